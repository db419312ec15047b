"""One request's life, from its route to its last byte, in the order in which it happens.

    prepared    a file for batches is read, a list of several accounts is put together; most requests need nothing
    eligible    candidates are permitted and not tried yet, best first
    attempted   one of them has the request (two, where the caller asked for a hedge); an intent is in the journal
    committed   the first content of a stream has gone out: from here the caller gets this cloud's answer or a broken
                stream, not another's
    named       the rows of resources that the answer names are durable; most answers name none
    settled     the usage record is in the journal, not yet durable; the last bytes are held
    over        answered, or the caller left

An attempt that fails makes the next candidate eligible; `failures` is the table of what sends a
request elsewhere. Candidates that are ejected, full or beyond a budget are skipped, and the
explanation says so.
"""

import asyncio
from collections.abc import Callable, Iterator
from math import ceil
from time import monotonic_ns
from typing import Final, NamedTuple, Protocol

from clauseway.gateway.budgets.accounts import Shortage
from clauseway.gateway.request.attempt import Attempt, AttemptOwner
from clauseway.gateway.request.explanations import FailedAttempt, RequestExplanation
from clauseway.gateway.request.failures import Failure, retry_lines
from clauseway.gateway.request.in_flight import Use
from clauseway.gateway.request.issued import Issued, OnWritten
from clauseway.gateway.request.refusals import Refused, journal_failed
from clauseway.gateway.request.resources import End, Resources
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import Candidate, CandidateSelection, Skipped
from clauseway.gateway.routing.tables import Customer
from clauseway.gateway.routing.targets import Reserved
from clauseway.gateway.wire.errors import (
    BUDGET_UNKNOWN,
    CLOUDS_BUSY,
    CLOUDS_FAILED,
    CLOUDS_UNAVAILABLE,
    DEADLINE,
    INTERNAL,
    JOURNAL_FAILED,
    JOURNAL_FULL,
    OWN_FAULT,
    PATIENCE_S,
    PHRASES,
    STREAM_BROKEN,
    UNKNOWN_MODEL,
    ErrorKind,
    error_event,
    error_response,
    response,
    shortage_response,
)
from clauseway.gateway.wire.operations import UnderstoodRequest
from clauseway.metering import RequestId, Status
from clauseway.spool import NO_ROOM

FOREVER_S: Final = 1e12  # finite, because the wheel counts in ticks
_NOTHING: Final = Reserved(0, 0, 0)
_CALLED_OFF: Final = "was slower and called off"


class Caller(Protocol):
    """The client's connection, as far as a lifecycle needs it."""

    head_lines: bytes
    chunked: bool

    def write(self, data: bytes) -> None:
        """Send bytes; dropped when the client is gone."""

    def request_over(self, *, intact: bool) -> None:
        """The answer is out. `intact` false: the connection cannot be used for another."""

    def request_due(self, due_s: float) -> None:
        """The request wants to be looked at by then."""


class Prepared(NamedTuple):
    """The outcome of a preparation: candidates and the request as it goes to them, or the whole
    answer."""

    selection: CandidateSelection = CandidateSelection(())
    wanted: UnderstoodRequest | None = None
    answer: bytes = b""


class Preparation(Protocol):
    """Something that has to be known before any cloud is asked, and takes time."""

    async def prepare(self, is_over: Callable[[], bool], /) -> Prepared | None:
        """Return None once the request is over. Raises Refused."""


class Lifecycle(AttemptOwner):
    """See the module. Created when a request is understood and permitted; `start` sets it off.

    `resources` are what it makes or follows at an account, where it does.
    """

    # The state before the first attempt; in the class, because most requests never change most of
    # it.
    due_s = 0.0
    slot_s = 0.0
    _attempt: Attempt | None = None  # the one whose answer the caller gets, or the latest
    _hedge: Attempt | None = None
    _hedge_due_s = FOREVER_S
    _next = 0
    _last_resort: Candidate | None = None
    _waits_s = 0.0
    _shortage: Shortage | None = None
    _working: asyncio.Task[None] | None = None  # the preparation, or the growth of a budget
    _last_head: list[bytes] | None = None
    _unnamed: list[bytes] | None = (
        None  # events that wait until the row of their response is durable
    )
    _last_bytes = b""
    _status = 0
    _message = ""
    _committed = False
    _closing = False
    _over = False
    _unattended = False
    # Its bytes in flight: those of its body that were counted, and of an answer that is gathered
    # whole; and the use of its key that they are counted in. Released when the request is over.
    use: Use | None = None
    bytes_held = 0

    def __init__(
        self,
        caller: Caller,
        shared: Shared,
        customer: Customer,
        selection: CandidateSelection,
        wanted: UnderstoodRequest,
        event_ns: int,
        resources: Resources | None = None,
        preparation: Preparation | None = None,
    ) -> None:
        self._caller = caller
        self.shared = shared
        self.customer = customer
        self.wanted = wanted
        self.event_ns = event_ns
        self.number = shared.next_number()
        self._candidates = selection.candidates
        self._skipped = selection.skipped
        self._tried: tuple[FailedAttempt, ...] = ()
        self._resources = resources
        self._preparation = preparation

    @property
    def follows(self) -> bool:
        """Return whether the request is about something that lies on one account."""
        return self._resources is not None and self._resources.followed is not None

    @property
    def begun(self) -> bool:
        """Return whether some of the answer has gone out, and more will follow it."""
        return self._committed and self._unnamed is None

    @property
    def others_left(self) -> bool:
        """Return whether another candidate could be asked."""
        return self._next < len(self._candidates)

    @property
    def _under_way(self) -> Iterator[Attempt]:
        """The attempts that are not over: one, or two under a hedge. Looked at one by one: one may
        end another."""
        both = (self._attempt, self._hedge)
        return (attempt for attempt in both if attempt is not None and not attempt.over)

    def gathered(self, count: int) -> None:
        """Count bytes of an answer that are held until it is whole."""
        in_flight = self.shared.in_flight
        if self.use is None:
            self.use = in_flight.find(self.customer.label)
        if self.use is not None:
            self.bytes_held += count
            in_flight.add(self.use, count)

    # -- start → prepared

    def start(self) -> None:
        self._begin_ns = monotonic_ns()
        shared = self.shared
        shared.spool.open_requests += 1
        shared.counts.begun += 1
        shared.retries.request()
        now_s = shared.wheel.now_s
        self._deadline_s = now_s + shared.tables.deadline_s
        if self.wanted.hedge_s:
            self._hedge_due_s = now_s + self.wanted.hedge_s
        if shared.spool.full is not None:
            # Nothing is asked of a cloud that could not be recorded: wait for room, as long as that
            # is allowed.
            shared.spool.wait(_Turn(self))
            self._due(FOREVER_S)
            return
        self.go()

    def go(self) -> None:
        """Prepare the request, or attempt the first candidate."""
        preparation, self._preparation = self._preparation, None
        if preparation is not None:
            self._working = self.shared.loop.create_task(self._prepare(preparation))
            self._due(self._deadline_s)
            return
        try:
            if not self._begin_next():
                self._nothing_left()
        except Exception as error:
            self.fault(error)

    async def _prepare(self, preparation: Preparation) -> None:
        try:
            prepared = await preparation.prepare(self._is_over)
            if prepared is not None and not self._over and not self._closing:
                self._working = None
                self._after_preparation(prepared)
        except Refused as refused:
            if not self._over and not self._closing:
                self._refuse(refused)
        except Exception as error:
            self._working = None
            self.fault(error)

    def _is_over(self) -> bool:
        return self._over

    def _after_preparation(self, prepared: Prepared) -> None:
        wanted = prepared.wanted
        if wanted is None:
            self._status = 200
            self._give(response(200, prepared.answer, self._lines(b"")), "")
            return
        self._hedge_due_s = FOREVER_S  # a file that is uploaded to two clouds stays at both
        self._candidates, self.wanted = prepared.selection.candidates, wanted
        self._skipped = (*self._skipped, *prepared.selection.skipped)
        if self._resources is not None:
            self._resources.turn_to(wanted)
        if not self._begin_next():
            self._nothing_left()

    def _refuse(self, refused: Refused) -> None:
        """The preparation has shown that no cloud can be asked."""
        fault, message = refused.fault, str(refused)
        self.shared.counts.refusals[fault.code] += 1
        self._skipped = (*self._skipped, *refused.skipped)
        self._status = fault.status
        self._give(
            error_response(
                fault, message, param=refused.param, headers=self._lines(refused.headers)
            ),
            message,
        )

    def room_made(self, error: OSError | None) -> None:
        """The journal can be written again, or, with an error, it took too long."""
        if self._over:
            return
        if error is None:
            self._deadline_s = self.shared.wheel.now_s + self.shared.tables.deadline_s
            self.go()
        else:
            self._closing = True
            self._status, self._message = (
                JOURNAL_FULL.status,
                "The usage journal could not be written.",
            )
            self.durable(error)

    # -- eligible → attempted

    def _begin_next(self) -> bool:
        """Attempt the best candidate that is left and can be asked now; False where there is
        none."""
        shared = self.shared
        now_s = shared.wheel.now_s
        while self._next < len(self._candidates):
            candidate = self._candidates[self._next]
            self._next += 1
            target = candidate.target
            if target.prepare is None:  # the log says why; it is the operator's affair
                self._skip(candidate, "has no credential at present")
            elif not target.health.admits(now_s, self.customer.label):
                self._skip(candidate, target.health.why)
                if target.health.waiting and target.health.insists:
                    self._waits_s = min(self._waits_s or FOREVER_S, target.health.until_s)
                else:
                    self._last_resort = self._last_resort or candidate
            elif not target.has_room(now_s):
                self._skip(candidate, "its quota of this minute is used up")
                self._last_resort = self._last_resort or candidate
            elif self._begin(candidate):
                return True
        # A candidate that was skipped is still better than no answer.
        skipped, self._last_resort = self._last_resort, None
        if skipped is None or self._tried:
            return False
        return self._begin(skipped)

    def _begin(self, candidate: Candidate) -> bool:
        """Reserve the worst case and set off, or wait for a budget to grow; False where an account
        cannot bear it."""
        target, wanted = candidate.target, self.wanted
        scale = (
            target.scale_for(wanted, self.customer.buyer, self.event_ns)
            if target.varied
            else target.scale
        )
        if wanted.operation.free:
            reserved = self._reserved_for_batch()
        else:
            reserved = target.worst_case(
                wanted.asked,
                wanted.text_bytes if wanted.operation.is_text else len(wanted.body),
                wanted.needs,
                scale,
            )
        account = self.customer.account
        if account is not None:
            shortage = account.reserve(
                target.cloud,
                target.product,
                reserved.picodollars,
                reserved.tokens,
                self.shared.wheel.now_s,
            )
            if shortage is not None:
                if shortage.may_grow and self._attempt is None:
                    # A slice may grow: wait for it rather than go to a worse candidate.
                    self._working = self.shared.loop.create_task(self._grow(shortage, candidate))
                    self._due(self._deadline_s)
                    return True
                self._skip(candidate, shortage.message)
                self._shortage = self._shortage or shortage
                return False
        if target.quota is not None:
            target.quota.take(len(wanted.body) >> 2)
        ordinal = len(self._tried) + 1 + (self._attempt is not None and not self._attempt.over)
        attempt = Attempt(self, candidate, ordinal, reserved)
        if self._attempt is not None and not self._attempt.over:
            self._hedge = attempt
        else:
            self._attempt = attempt
        attempt.begin()
        return True

    def _reserved_for_batch(self) -> Reserved:
        """Return what is reserved for what a request sets off that uses nothing itself: a batch."""
        resources = self._resources
        return (
            resources.reserved_for_batch()
            if resources is not None and resources.is_batch
            else _NOTHING
        )

    def _skip(self, candidate: Candidate, why: str) -> None:
        target = candidate.target
        self._skipped = (*self._skipped, Skipped(target.cloud, target.name, why))

    def _nothing_left(self) -> None:
        """No candidate can be asked (any more): say so."""
        shortage = self._shortage
        if shortage is not None and not self._tried:
            self.shared.counts.shortages[shortage.kind, shortage.whose] += 1
            self._status = BUDGET_UNKNOWN.status if shortage.is_unknown else 429
            self._give(shortage_response(shortage, self._lines(b"")), shortage.message)
            return
        statuses = {tried.status for tried in self._tried}
        head = retry_lines(self._last_head or [])
        if not statuses and self._waits_s:
            wait_s = max(self._waits_s - self.shared.wheel.now_s, 0.0)
            again = CLOUDS_BUSY._replace(should_retry=wait_s <= PATIENCE_S)
            self._give_up(
                again,
                b"retry-after: %d\r\nretry-after-ms: %d\r\n" % (ceil(wait_s), wait_s * 1000),
            )
        elif statuses == {404} and self._retirement:
            self._give_up(UNKNOWN_MODEL, b"")
        elif statuses == {429}:
            self._give_up(CLOUDS_BUSY, head)
        elif not statuses or statuses <= {429, 503}:
            self._give_up(CLOUDS_UNAVAILABLE, head)
        else:
            self._give_up(CLOUDS_FAILED, b"")

    async def _grow(self, shortage: Shortage, candidate: Candidate) -> None:
        """Ask for larger slices of the budgets that are short, and try again with them.

        Others may have been quicker: then it is short again, and asks again, until what is denied
        may not grow.
        """
        try:
            await self.shared.accounts.grow(shortage)
            if self._over or self._closing:
                return
            self._working = None
            if not self._begin(candidate) and not self._begin_next():
                self._nothing_left()
        except Exception as error:
            self._working = None
            self.fault(error)

    def start_unattended(self) -> None:
        """Set off for the sake of its usage alone: nobody waits for the answer."""
        self._unattended = True
        self.shared.drained.add(self)
        self.start()

    # -- deadlines

    def expect(self, attempt: Attempt) -> None:
        """Something has to come from the cloud before the attempt's time is over, and before the
        request's is."""
        due_s = self.shared.wheel.now_s + self.shared.tables.attempt_timeout_s
        attempt.due_s = due_s = due_s if due_s < self._deadline_s else self._deadline_s
        if self._hedge is not None or self._hedge_due_s < due_s:
            due_s = self._earliest()
        self._due(due_s)

    def expect_by(self, attempt: Attempt, due_s: float) -> None:
        """The rest has to come sooner than that."""
        attempt.due_s = min(attempt.due_s, due_s)
        self._due(self._earliest())

    def too_late(self, _attempt: Attempt) -> str:
        """Return in words how an attempt was too late."""
        over = self.shared.wheel.now_s >= self._deadline_s
        return "was not done before the request's deadline" if over else "fell silent"

    def _earliest(self) -> float:
        due_s = self._deadline_s if self._committed else min(self._deadline_s, self._hedge_due_s)
        return min((due_s, *(attempt.due_s for attempt in self._under_way)))

    def _due(self, due_s: float) -> None:
        sooner = due_s < self.due_s
        self.due_s = due_s
        if self._unattended:
            self.shared.wheel.arm(self, due_s)
        elif sooner:
            self._caller.request_due(due_s)

    def expired(self) -> None:
        """Called by the wheel, where nobody waits for the answer."""
        if self._over:
            return
        self.overdue(self.shared.wheel.now_s)
        if not self._over:
            self.shared.wheel.arm(self, max(self.due_s, self.shared.wheel.now_s))

    def overdue(self, now_s: float) -> None:
        """Past `due_s`: an attempt has taken too long, or the whole request has, or it is time for
        the hedge."""
        if self._closing:
            self.due_s = FOREVER_S
            return
        if now_s >= self._deadline_s and not self._committed:
            self._deadline_over()
            return
        if now_s >= self._hedge_due_s and not self._committed:
            self._hedge_due_s = FOREVER_S
            attempt = self._attempt
            if (
                attempt is not None
                and not attempt.over
                and self._hedge is None
                and self.others_left
            ):
                if self.shared.retries.take():
                    self._begin_next()
                else:
                    self._no_retries_left()
        for attempt in self._under_way:
            if attempt.due_s <= now_s:
                attempt.overdue()
        self.due_s = FOREVER_S if self._closing else self._earliest()

    def _deadline_over(self) -> None:
        if self._working is not None:
            self._working.cancel()
        for attempt in self._under_way:
            attempt.let_go()
            attempt.failed = True
            attempt.candidate.target.health.failed(
                self.shared.wheel.now_s, "did not answer in time", self.customer.label
            )
            attempt.record(Status.FAILED, attempt.status)
            self._note(
                attempt, Failure("did not answer before the request's deadline", attempt.status)
            )
        self._give_up(DEADLINE, b"")

    # -- reports of attempts

    def failed(self, attempt: Attempt, failure: Failure) -> None:
        attempt.record(Status.FAILED, failure.status)
        self._note(attempt, failure)
        self._last_head = [*attempt.head, *attempt.limits]
        other = self._hedge if attempt is self._attempt else self._attempt
        self._hedge = None
        if other is not None and not other.over:
            self._attempt = other
            return
        if self._closing:
            return
        if self.others_left and not self.shared.retries.take():
            self._no_retries_left()
        elif self._begin_next():
            return
        self._nothing_left()

    def faulted(self, attempt: Attempt, error: Exception) -> None:
        """The gateway itself failed at an attempt. No other cloud is asked: it would be the same
        there."""
        other = self._hedge if attempt is self._attempt else self._attempt
        if other is None or other is attempt or other.over or self._committed:
            self.fault(error)
            return
        self.shared.report_fault(error)
        self._attempt, self._hedge = other, None
        self._end_faulted(attempt)

    def fault(self, error: BaseException) -> None:
        """The gateway itself failed: end what is under way and tell the client."""
        self.shared.report_fault(error)
        if self._over:
            return
        stream = self._attempt.stream if self._attempt is not None else None
        for attempt in (self._attempt, self._hedge):
            if attempt is not None:
                attempt.let_go()
                attempt.candidate.target.health.called_off()
                self._end_faulted(attempt)
        self._status, self._message = INTERNAL.status, OWN_FAULT
        if self._committed and stream is not None:
            event = stream.broken(INTERNAL, OWN_FAULT)
            self._settle(_last_of_stream(event, self._caller.chunked))
        else:
            self._settle(error_response(INTERNAL, OWN_FAULT, headers=self._lines(b"")))

    def _end_faulted(self, attempt: Attempt) -> None:
        """Record an attempt at which the gateway failed, if it is not recorded yet."""
        attempt.failed = True
        where = attempt.candidate.target
        why = "the gateway itself failed at this attempt"
        self._skipped = (*self._skipped, Skipped(where.cloud, where.name, why))
        try:
            if not attempt.over and attempt.committed:
                attempt.record_until_now()
            elif not attempt.over:
                attempt.record(Status.FAILED, attempt.status)
        except Exception as error:
            self.shared.report_fault(error)
            attempt.abandon()

    def _no_retries_left(self) -> None:
        self._skipped = (
            *self._skipped,
            Skipped("", "", "no retries are left: too many requests fail at present"),
        )

    def _note(self, attempt: Attempt, failure: Failure) -> None:
        target = attempt.candidate.target
        if failure.outcome != _CALLED_OFF:
            self.shared.counts.failed[target.cloud] += 1
        tried = FailedAttempt(
            cloud=target.cloud,
            deployment=target.name,
            outcome=failure.outcome,
            status=failure.status,
            duration_us=attempt.age_us(),
            product=target.product,
            units=attempt.units,
            charged=attempt.charged,
            is_estimated=attempt.is_estimated,
        )
        self._tried = (*self._tried, tried)

    def content(self, attempt: Attempt, events: bytes) -> None:
        caller = self._caller
        framed = b"%x\r\n%b\r\n" % (len(events), events) if caller.chunked else events
        if self._unnamed is not None:
            self._unnamed.append(framed)
            return
        if self._committed:
            caller.write(framed)
            return
        self._win(attempt)
        self._committed = True
        if self.wanted.needs.cache_key:
            self._cached_at(attempt)
        framed = self._stream_head(attempt, framed)
        resources = self._resources
        identifier = resources.runs_on(attempt.stream) if resources is not None else ""
        if resources is None or not identifier:
            caller.write(framed)
            return
        # The response goes on without us: its name has to be durable before anybody can have read
        # it.
        attempt.later = resources.row(attempt, identifier, pending=True)
        self._unnamed = [framed]
        self.shared.holds.attended.add(identifier)
        self.shared.issued.add((attempt.later,), self._guarded(self._name_durable))

    def _name_durable(self, outcome: bool | OSError) -> None:
        waiting, self._unnamed = self._unnamed, None
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

    def _win(self, attempt: Attempt) -> None:
        """From here the caller gets the answer of this attempt; the other one, if any, is called
        off."""
        if self._hedge is None:
            return
        other = self._hedge if attempt is self._attempt else self._attempt
        self._attempt, self._hedge = attempt, None
        if other is not None and not other.over:
            other.let_go()
            other.candidate.target.health.called_off()
            other.record_until_now()
            self._note(other, Failure(_CALLED_OFF, other.status))

    def _cached_at(self, attempt: Attempt) -> None:
        """It has read the prompt: requests that share its cache key follow."""
        where, shared = attempt.candidate.target, self.shared
        shared.tables.went_to(where, self.customer, self.wanted, shared.wheel.now_s)

    def answered(self, attempt: Attempt, body: bytes) -> None:
        self._win(attempt)
        self._status = status = attempt.status
        good = 200 <= status < 300
        counts = self.shared.counts
        (counts.served if good else counts.failed)[attempt.candidate.target.cloud] += 1
        if good and self.wanted.needs.cache_key:
            self._cached_at(attempt)
        resources = self._resources
        if resources is not None and resources.is_about_followed:
            self._answered_about(resources, attempt, body)
        elif resources is not None and good and resources.makes:
            self._answered_with_name(resources, attempt, body)
        else:
            if good:
                attempt.record_answer(body)
            else:
                attempt.record(Status.FAILED, status)
            self._settle(self._whole(attempt, body))

    def ended(self, attempt: Attempt) -> None:
        stream = attempt.stream
        assert stream is not None
        self.shared.counts.served[attempt.candidate.target.cloud] += 1
        self._status = attempt.status
        last = stream.last
        last_bytes = _last_of_stream(last, self._caller.chunked)
        if not self._committed:
            # It was all in one event, which is held.
            self._win(attempt)
            if self.wanted.needs.cache_key:
                self._cached_at(attempt)
            last_bytes = self._stream_head(attempt, last_bytes)
        resources = self._resources
        if resources is None:
            attempt.record_stream()
            self._settle(last_bytes)
            return
        end = resources.end_of_stream(attempt)
        if end is not None:
            self._meter_end(end, attempt, last_bytes, [])
        elif resources.is_about_followed:
            attempt.record(Status.COMPLETE, attempt.status)
            self._settle(last_bytes)
        else:
            attempt.record_stream()
            row = resources.row_of_stream(attempt, stream)
            self._settle_named(last_bytes, [row] if row is not None else [])

    def broken(self, attempt: Attempt, reason: str) -> None:
        """The stream broke after content went out: an error event in the client's format, and never
        a clean end."""
        attempt.record_until_now()
        attempt.failed = True
        target, stream = attempt.candidate.target, attempt.stream
        assert stream is not None
        self._note(attempt, Failure(reason, attempt.status))
        self._status = 502
        message = self._message = (
            f"The stream broke: {target.cloud} {reason} (deployment {target.name})."
        )
        event = stream.broken(STREAM_BROKEN, message)
        self._settle(_last_of_stream(event, self._caller.chunked))

    # -- committed → named: answers about resources

    def _answered_with_name(self, resources: Resources, attempt: Attempt, body: bytes) -> None:
        """The answer names what was made; where that runs on, its usage is metered at its end."""
        last_bytes = self._whole(attempt, body)
        row = resources.row_of_answer(attempt, body)
        if row is not None and row.pending:
            attempt.later = row
            attempt.record(Status.COMPLETE, attempt.status)
        else:
            attempt.record_answer(body)
        self._settle_named(last_bytes, [row] if row is not None else [])

    def _answered_about(self, resources: Resources, attempt: Attempt, body: bytes) -> None:
        """The answer is about a resource that was made before; where it tells its end, its usage
        comes with it."""
        status, last_bytes = attempt.status, self._whole(attempt, body)
        end, files = resources.end_of_answer(status, body), resources.files_of(status, body)
        if end is not None:
            self._meter_end(end, attempt, last_bytes, files)
            return
        attempt.record(Status.COMPLETE if status < 300 else Status.FAILED, status)
        if status < 300 and self.wanted.operation.deletes and resources.followed is not None:
            self._closing = True
            settle = self._guarded(lambda _outcome: self._settle(last_bytes))
            self.shared.issued.forget(resources.followed.identifier, settle)
        else:
            self._settle_named(last_bytes, files)

    def _meter_end(
        self, end: End, attempt: Attempt, last_bytes: bytes, files: list[Issued]
    ) -> None:
        """Meter pending usage that has come to its end, if no other request has claimed the end."""
        shared, identifier = self.shared, end.resource.identifier
        self._closing = True

        def claimed(outcome: bool | OSError) -> None:
            if outcome is True:
                attempt.record_end(end.resource, end.units, end.status)
                shared.spool.wait(_Metered(shared, identifier))
            else:
                attempt.later = None
                attempt.record(Status.COMPLETE, attempt.status)
                shared.holds.drop(identifier)
            if isinstance(outcome, OSError):
                self.durable(outcome)
            else:
                self._settle_named(last_bytes, files)

        shared.issued.claim(
            identifier, str(RequestId(shared.boot, self.number)), self._guarded(claimed)
        )

    def _settle_named(self, last_bytes: bytes, rows: list[Issued]) -> None:
        """Settle, once the rows of the names that the answer gives are durable."""
        if not rows:
            self._settle(last_bytes)
            return
        self._closing = True

        def written(outcome: bool | OSError) -> None:
            if not isinstance(outcome, OSError):
                self._settle(last_bytes)
                return
            for row in rows:
                self.shared.holds.drop(row.identifier)
            self.durable(outcome)

        self.shared.issued.add(rows, self._guarded(written))

    def _guarded(self, step: OnWritten) -> OnWritten:
        """Return `step` with an exception in it reported as a fault of ours: nobody else would hear
        of it."""

        def guarded(outcome: bool | OSError) -> None:
            try:
                step(outcome)
            except Exception as error:
                self.fault(error)

        return guarded

    # -- settled → over

    def _head(self, attempt: Attempt, rest: bytes) -> bytes:
        """Status line and headers; `rest` is the framing and what follows it."""
        status = attempt.status
        account, where = self.customer.account, attempt.candidate.target
        # Where limits of the customer's own hold, it hears those; the cloud's are our account's.
        own = (
            account.rate_limit_headers(self.shared.wheel.now_s, where.cloud, where.product)
            if account
            else b""
        )
        return b"HTTP/1.1 %d %b\r\n%b%b%b%bx-clauseway-attempts: %d\r\n%b%b" % (
            status,
            PHRASES.get(status, b"-"),
            b"".join(attempt.head),
            own or b"".join(attempt.limits),
            attempt.candidate.headers,
            self.shared.request_line(self.number),
            len(self._tried) + 1,
            self._caller.head_lines,
            rest,
        )

    def _whole(self, attempt: Attempt, body: bytes) -> bytes:
        """A whole answer."""
        return self._head(attempt, b"content-length: %d\r\n\r\n%b" % (len(body), body))

    def _stream_head(self, attempt: Attempt, framed: bytes) -> bytes:
        """Status line and headers of a stream, and its first events."""
        framing = b"transfer-encoding: chunked\r\n\r\n" if self._caller.chunked else b"\r\n"
        return self._head(attempt, framing + framed)

    @property
    def _retirement(self) -> str:
        """The message for a model that is retired wherever it is served here; else empty."""
        return self.shared.tables.retirement(self.event_ns, self.customer, self.wanted.model)

    def _lines(self, headers: bytes) -> bytes:
        return b"%b%bx-clauseway-attempts: %d\r\n%b" % (
            headers,
            self.shared.request_line(self.number),
            len(self._tried),
            self._caller.head_lines,
        )

    def _give_up(self, fault: ErrorKind, headers: bytes) -> None:
        """Every candidate was attempted in vain, or none may be for now: say so, naming each."""
        how_far = "Attempted" if self._tried else "None was attempted"
        named = "; ".join(map(str, self._tried or self._skipped))
        message = f"No cloud answered this request. {how_far}: {named}."
        if fault is UNKNOWN_MODEL:
            message = f"{self._retirement} {message}"
        self._status = fault.status
        self._give(error_response(fault, message, headers=self._lines(headers)), message)

    def _give(self, answer: bytes, message: str) -> None:
        self._status, self._message = self._status or 429, message
        self._settle(answer)

    def _settle(self, last_bytes: bytes) -> None:
        """Hold the last bytes until everything recorded of this request is durable."""
        self._closing = True
        self._last_bytes = last_bytes
        self.shared.spool.wait(self)

    def durable(self, error: OSError | None) -> None:
        if self._over:
            return  # the caller left meanwhile
        caller = self._caller
        waiting, self._unnamed = self._unnamed, None
        if waiting is not None:
            caller.write(b"".join(waiting))
        # An answer that ends by its length or its last chunk leaves the connection usable: a client
        # that was not told otherwise sends its next request there.
        intact = caller.chunked or not self._committed
        if error is None:
            caller.write(self._last_bytes)
        elif self._committed:
            fault = JOURNAL_FULL if error.errno in NO_ROOM else JOURNAL_FAILED
            event = error_event(
                fault, "The usage journal could not be written; this answer was not recorded."
            )
            caller.write(_last_of_stream(event, caller.chunked))
        else:
            caller.write(journal_failed(error, caller.head_lines))
        try:
            self._end()
        finally:
            caller.request_over(intact=intact)

    def _end(self) -> None:
        self._over = True
        self._closing = True
        self._last_bytes = b""
        shared = self.shared
        shared.spool.open_requests -= 1
        if self.bytes_held and self.use is not None:
            shared.in_flight.release(self.use, self.bytes_held)
        if self._unattended:
            shared.drained.discard(self)
            shared.wheel.forget(self)
        # An attempt and its lifecycle know each other: let go here, or only the garbage collector
        # would free them.
        attempt, self._attempt, self._hedge = self._attempt, None, None
        wanted, answered = (
            self.wanted,
            attempt if attempt is not None and not attempt.failed else None,
        )
        if attempt is not None and attempt.later is not None:
            shared.holds.attended.discard(attempt.later.identifier)
        explanation = RequestExplanation(
            event_ns=self.event_ns,
            buyer=self.customer.buyer,
            operation=wanted.operation.name,
            model=wanted.model,
            skipped=self._skipped,
            attempted=self._tried,
            candidate=answered.candidate if answered is not None else None,
            units=answered.units if answered is not None else (),
            charged=answered.charged if answered is not None else 0,
            is_estimated=answered is not None and answered.is_estimated,
            status=self._status,
            message=self._message,
        )
        shared.finished(self.number, explanation, self._begin_ns, wanted.forwarded)

    # -- the caller

    def caller_left(self) -> None:
        """The client's connection is gone: what the cloud did until now is metered and the rest
        called off, or, by the customer's policy, the answer is read to its end for its usage."""
        self._unnamed = None
        if self._over:
            return
        if self._closing:
            self._end()
            return
        if self._working is not None:
            self._working.cancel()
        attempt = self._attempt
        if self._outlives_caller and attempt is not None and not attempt.over:
            self._caller = _NOBODY
            self._unattended = True
            self.shared.drained.add(self)
            attempt.resume()
            self.shared.wheel.arm(self, self.due_s)
            return
        self.call_off()

    @property
    def _outlives_caller(self) -> bool:
        """Return whether the answer is read to its end when nobody waits for it: always that of a
        batch, which runs."""
        return self.customer.drains or (self._resources is not None and self._resources.is_batch)

    def call_off(self) -> None:
        """Nobody wants the answer any more: what came until now is metered, the rest is let go."""
        if self._over:
            return
        if not self._closing:
            self._call_off()
        self._end()

    def _call_off(self) -> None:
        made: Issued | None = None
        for attempt in self._under_way:
            stream, resources = attempt.stream, self._resources
            if resources is not None and stream is not None and attempt.committed:
                made = resources.row_of_stream(attempt, stream)
            attempt.let_go()
            attempt.candidate.target.health.called_off()
            attempt.record_until_now()
            if attempt is self._hedge:
                self._note(attempt, Failure(_CALLED_OFF, attempt.status))
        if made is not None:
            # The client may have read its name.
            self.shared.issued.add((made,), nothing_follows)

    def caller_paused(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def caller_resumed(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()


class _Turn:
    """Waits for room in the journal, for a request that has not begun."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def durable(self, error: OSError | None) -> None:
        self._lifecycle.room_made(error)


class _Nobody:
    """Where the answer goes once the client has left."""

    head_lines = b""
    chunked = True

    def write(self, data: bytes) -> None:
        pass

    def request_over(self, *, intact: bool) -> None:
        pass

    def request_due(self, due_s: float) -> None:
        pass


_NOBODY: Final = _Nobody()


class _Metered:
    """Waits until the usage of a pending resource is durable, whoever has left: then its claim is
    settled."""

    def __init__(self, shared: Shared, identifier: str) -> None:
        self._shared = shared
        self._identifier = identifier

    def durable(self, error: OSError | None) -> None:
        if error is None:
            self._shared.issued.mark_reported(self._identifier)


def nothing_follows(_outcome: bool | OSError) -> None:
    """Nobody waits for the outcome."""


def _last_of_stream(events: bytes, chunked: bool) -> bytes:
    """The last events of a stream, framed, and its end."""
    if not chunked:
        return events
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events) if events else b"0\r\n\r\n"
