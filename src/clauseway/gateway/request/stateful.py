"""An exchange about what lasts: it makes something that lies on one account from then on, follows what was made, or
lists it.

What is made has a name, which is durable before anybody can have read it. What goes on after its answer (a response in
the background, a batch) is pending: its usage is metered by the one request that sees its end. Who can take a file is
found out while it is read.
"""

from time import time_ns
from typing import Final

import msgspec

from clauseway.gateway.clouds.usage import Units
from clauseway.gateway.request.attempt import Attempt
from clauseway.gateway.request.exchange import FOREVER_S, Caller, Exchange
from clauseway.gateway.request.issued import Hold, Issued, Told
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import Candidate, PassedOver, Selection
from clauseway.gateway.routing.tables import Customer
from clauseway.gateway.routing.targets import Reserved
from clauseway.gateway.wire.answers import Stream
from clauseway.gateway.wire.batch_files import Batching, Preparing, Upload
from clauseway.gateway.wire.errors import error_response, response
from clauseway.gateway.wire.made import Made, made_in, only_owned
from clauseway.gateway.wire.operations import FILES, State, Wanted
from clauseway.metering import RequestId, Status

GONE: Final = frozenset((404, 410))


class LastingExchange(Exchange):
    """See the module. `issued` is what the request follows, where it names something that was made before."""

    _awaiting: list[bytes] | None = None  # what has to wait for a name to be durable

    def __init__(
        self,
        caller: Caller,
        shared: Shared,
        customer: Customer,
        selection: Selection,
        wanted: Wanted,
        event_ns: int,
        issued: Issued | None,
    ) -> None:
        super().__init__(caller, shared, customer, selection, wanted, event_ns)
        self._issued = issued

    @property
    def follows(self) -> bool:
        return self._issued is not None

    # -- who can be asked

    def _set_off(self) -> Reserved:
        """No limit by the minute holds for a batch: its tokens are not of this minute."""
        asked = self.wanted.asked
        if isinstance(asked, Batching):
            return Reserved(asked.picodollars, 0, asked.output_tokens)
        return super()._set_off()

    def _finds_out(self) -> bool:
        preparing = getattr(self.wanted.asked, "preparing", None)
        if preparing is None or self._growing is not None:
            return False
        self._growing = self.shared.loop.create_task(self._prepare(preparing))
        self._due(self._deadline_s)
        return True

    async def _prepare(self, preparing: Preparing) -> None:
        try:
            await preparing.prepare(self)
        except Exception as error:
            self._growing = None
            self.fault(error)

    def is_over(self) -> bool:
        return self._over

    def go_on(self, candidates: tuple[Candidate, ...], passed: tuple[PassedOver, ...], wanted: Wanted) -> None:
        """It was found out who can be asked, and for what."""
        if self._over or self._settled:
            return
        self._growing = None
        self._hedge_due_s = FOREVER_S  # what is uploaded to two clouds stays at both
        self._candidates, self.wanted = candidates, wanted
        self._passed = (*self._passed, *passed)
        if not self._begin_next():
            self._nothing_left()

    def tell(self, body: bytes) -> None:
        """What was asked of others, put together."""
        if not self._over and not self._settled:
            self._status = 200
            self._give(response(200, body, self._lines(b"")), "")

    def refuse(self, refused: Refused) -> None:
        """It was found out that nobody can be asked."""
        if self._over or self._settled:
            return
        fault, message = refused.fault, str(refused)
        self.shared.counts.refusals[fault.code] += 1
        self._passed = (*self._passed, *refused.passed)
        self._status = fault.status
        self._give(error_response(fault, message, param=refused.param, headers=self._lines(refused.headers)), message)

    # -- what comes back

    def _pass_on_first(self, attempt: Attempt, framed: bytes) -> None:
        made = attempt.stream.made if attempt.stream is not None else None
        if not self.wanted.asked.later or made is None or self.wanted.operation.state is not State.ISSUES:
            super()._pass_on_first(attempt, framed)
            return
        # It goes on without us: its name has to last before anybody can have read it.
        attempt.later = self._row(attempt, made.id, pending=True)
        self._awaiting = [framed]
        self.shared.holds.attended.add(made.id)
        self.shared.issued.add((attempt.later,), self._guarded(self._name_durable))

    def _pass_on(self, framed: bytes) -> None:
        if self._awaiting is None:
            super()._pass_on(framed)
        else:
            self._awaiting.append(framed)

    def _name_durable(self, outcome: bool | OSError) -> None:
        waiting, self._awaiting = self._awaiting, None
        if self._over or waiting is None:
            return
        if isinstance(outcome, OSError):
            self._committed = False
            if self._attempt is not None:
                self._attempt.later = None
            self._call_off()
            self.durable(outcome)
        else:
            self._caller.write(b"".join(waiting))

    def _record_answer(self, attempt: Attempt, body: bytes, good: bool) -> None:
        state, issued = self.wanted.operation.state, self._issued
        if state is State.FOLLOWS and issued is not None:
            self._answered_of(issued, attempt, body, self._whole(attempt, body))
        elif good and state is State.ISSUES:
            self._answered_with_name(attempt, body, self._whole(attempt, body))
        elif good and state is State.LISTS:
            super()._record_answer(attempt, only_owned(body, self._owned()), good)
        else:
            super()._record_answer(attempt, body, good)

    def _answered_with_name(self, attempt: Attempt, body: bytes, last_bytes: bytes) -> None:
        made = made_in(body)
        row = self._row(attempt, made.id, pending=made.pending) if made is not None and self._keeps else None
        if row is not None and row.pending:
            attempt.later = row
            attempt.record(Status.COMPLETE, attempt.status)
        else:
            attempt.record_answer(body)
        self._settle_named(last_bytes, row)

    def _answered_of(self, issued: Issued, attempt: Attempt, body: bytes, last_bytes: bytes) -> None:
        """What became of something that was made before: where that is its end, its usage comes with it."""
        operation, status = self.wanted.operation, attempt.status
        made = made_in(body) if status == 200 and operation.tells_end else None
        if issued.pending and made is not None and not made.pending:
            units = operation.units_in(body)
            missing = units is None and made.status == "completed"
            told = (self._estimate(issued), Status.ESTIMATED) if missing else (units or (), Status.COMPLETE)
            self._meter_end(issued, attempt, *told, last_bytes, made)
        elif issued.pending and status in GONE and operation.tells_end:
            self._meter_end(issued, attempt, self._estimate(issued), Status.ESTIMATED, last_bytes, None)
        else:
            attempt.record(Status.COMPLETE if status < 300 else Status.FAILED, status)
            if status < 300 and operation.deletes:
                self._settled = True
                self.shared.issued.forget(issued.identifier, self._guarded(lambda _outcome: self._settle(last_bytes)))
            else:
                self._settle_named(last_bytes, *self._files(issued, made))

    def _record_stream(self, attempt: Attempt, stream: Stream, last_bytes: bytes) -> None:
        operation, issued = self.wanted.operation, self._issued
        if operation.state is State.FOLLOWS and issued is not None:
            if issued.pending and operation.tells_end:
                self._meter_end(issued, attempt, *attempt.units_of_stream(), last_bytes, None)
                return
            attempt.record(Status.COMPLETE, attempt.status)
            self._settle(last_bytes)
        elif attempt.later is not None:
            self._meter_end(attempt.later, attempt, *attempt.units_of_stream(), last_bytes, None)
        else:
            attempt.record_stream()
            named = operation.state is State.ISSUES and stream.made is not None and self._keeps
            self._settle_named(last_bytes, self._row(attempt, stream.made.id) if named and stream.made else None)

    def durable(self, error: OSError | None) -> None:
        waiting, self._awaiting = self._awaiting, None
        if waiting is not None and not self._over:
            self._caller.write(b"".join(waiting))
        super().durable(error)

    def _end(self) -> None:
        attempt = self._attempt
        super()._end()
        if attempt is not None and attempt.later is not None:
            self.shared.holds.attended.discard(attempt.later.identifier)

    # -- the caller

    def caller_left(self) -> None:
        self._awaiting = None
        super().caller_left()

    @property
    def _goes_on(self) -> bool:
        """That of a batch always: it runs."""
        return super()._goes_on or isinstance(self.wanted.asked, Batching)

    def _call_off(self) -> None:
        made = [one.stream.made for one in self._under_way if one.stream is not None and one.committed]
        super()._call_off()
        attempt, stream_made = self._attempt, made[-1] if made else None
        if stream_made is not None and attempt is not None and self._makes:
            # The client may have read its name.
            self.shared.issued.add((self._row(attempt, stream_made.id),), nothing_follows)

    # -- what was made, and lies on that account from now on

    @property
    def _makes(self) -> bool:
        """Whether what it makes is kept."""
        return self.wanted.operation.state is State.ISSUES and self._keeps

    @property
    def _keeps(self) -> bool:
        """Whether the cloud keeps what was made: OpenAI does where it is not told otherwise."""
        return getattr(self.wanted.asked, "store", None) is not False

    def _row(self, attempt: Attempt, identifier: str, *, pending: bool = False) -> Issued:
        asked, deployment = self.wanted.asked, attempt.candidate.target.name
        upload = asked if isinstance(asked, Upload) else None
        return Issued(
            identifier=identifier,
            buyer=self.customer.buyer,
            deployment=deployment,
            model=self.wanted.model,
            endpoint=self.wanted.operation.code,
            body_bytes=len(self.wanted.body),
            created_ns=time_ns(),
            pending=pending,
            purpose=upload.purpose if upload is not None else "",
            contents=upload.contents.get(deployment, b"") if upload is not None else b"",
            hold=self._hold(attempt, identifier) if pending and isinstance(asked, Batching) else None,
        )

    def _hold(self, attempt: Attempt, identifier: str) -> Hold | None:
        """What lasts of what is reserved; None where no budget holds."""
        account, target, reserved = self.customer.account, attempt.candidate.target, attempt.reserved
        purses = account.purses(target.cloud, target.product) if account is not None else ()
        budgets = tuple([purse.id for purse in purses])
        return Hold(identifier, budgets, reserved.picodollars, time_ns()) if budgets else None

    def _files(self, issued: Issued, made: Made | None) -> list[Issued]:
        """The files that a batch brought."""
        return [
            msgspec.structs.replace(
                issued, identifier=name, endpoint=FILES, pending=False, created_ns=time_ns(), purpose="batch_output"
            )
            for name in (made.files if made is not None else ())
        ]

    def _estimate(self, issued: Issued) -> Units:
        """Of what has ended and does not tell its usage: of its input alone, because no output was ever seen."""
        return self.wanted.operation.estimate(issued.body_bytes, 0)

    def _meter_end(
        self, issued: Issued, attempt: Attempt, units: Units, status: Status, last_bytes: bytes, made: Made | None
    ) -> None:
        """What was pending has come to its end: the one request that claims it meters it."""
        shared = self.shared
        self._settled = True

        def told(outcome: bool | OSError) -> None:
            if outcome is True:
                attempt.record_end(issued, units, status)
                shared.spool.wait(_Recorded(shared, issued.identifier))
            else:
                attempt.later = None
                attempt.record(Status.COMPLETE, attempt.status)
                shared.holds.drop(issued.identifier)
            if isinstance(outcome, OSError):
                self.durable(outcome)
            else:
                self._settle_named(last_bytes, *self._files(issued, made))

        shared.issued.claim(issued.identifier, str(RequestId(shared.boot, self.number)), self._guarded(told))

    def _settle_named(self, last_bytes: bytes, *rows: Issued | None) -> None:
        """Settle, once the names that the answer gives are durable."""
        named = [row for row in rows if row is not None]
        if not named:
            self._settle(last_bytes)
            return
        self._settled = True

        def told(outcome: bool | OSError) -> None:
            if not isinstance(outcome, OSError):
                self._settle(last_bytes)
                return
            for row in named:
                self.shared.holds.drop(row.identifier)
            self.durable(outcome)

        self.shared.issued.add(named, self._guarded(told))

    def _guarded(self, step: Told) -> Told:
        """`step`, with an exception in it told as a fault of ours: nobody else would hear of it."""

        def guarded(outcome: bool | OSError) -> None:
            try:
                step(outcome)
            except Exception as error:
                self.fault(error)

        return guarded

    def _owned(self) -> set[str]:
        """What the customer's project has made of the kind that is listed."""
        buyer, kind = self.customer.buyer, self.wanted.operation.lists
        return self.shared.issued.owned(buyer.organisation, buyer.project, kind)


def nothing_follows(_outcome: bool | OSError) -> None:
    """Where nobody waits for it."""


class _Recorded:
    """Waits for the usage of what was pending to be durable, whoever else has left: then its claim is settled."""

    def __init__(self, shared: Shared, identifier: str) -> None:
        self._shared = shared
        self._identifier = identifier

    def durable(self, error: OSError | None) -> None:
        if error is None:
            self._shared.issued.tell(self._identifier)
