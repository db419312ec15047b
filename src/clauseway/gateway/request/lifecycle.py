"""One request's life, in the order in which it happens.

The router has read the request, identified who asks and found the candidates that may serve it.
From there this file is the walk, section by section:

    start       the deadline runs; a full journal is waited for
    prepare     limits that are short here are asked for; a file for batches is read; a list of
                several accounts is put together; most requests need no preparation
    choose      the best candidate is taken that was not tried yet, is healthy and has room
    attempt     its worst case is reserved, an intent is in the journal, the request is sent
    answer      the candidate's answer comes, whole or as a stream. From the first content of a
                stream on, the caller gets this cloud's answer or a broken stream, not another's
    name        what the answer names (a stored response, a file, a batch) is durable in the
                gateway's own index; most answers name nothing
    finish      the usage record is in the journal; the last bytes are held until it is durable
    over        answered, or the caller left

Then follow the interruptions: attempts that fail, failures of the gateway itself, deadlines and the
hedge, callers that leave.

An attempt that fails makes the next candidate eligible; `failures` is the table of what sends a
request elsewhere. Candidates that are ejected, full or beyond a budget are skipped, and the
explanation says so. A caller may ask for a hedge: a second attempt beside a slow first one.
"""

import asyncio
from collections.abc import Callable, Iterator
from math import ceil
from time import monotonic_ns
from typing import Final, NamedTuple, Protocol

from clauseway.gateway.budgets.accounts import Shortage
from clauseway.gateway.clouds.usage import BYTES_PER_TOKEN
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
from clauseway.gateway.routing.targets import CallTarget, Reserved
from clauseway.gateway.wire.errors import (
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
    shortage_kind,
    shortage_response,
)
from clauseway.gateway.wire.message_errors import answer_in_message_shape
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
        """Call `check_deadlines` by then."""


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

    `resources` are those that it makes or follows at an account; None if it does neither.
    """

    # The state before the first attempt; in the class, because most requests never change most of
    # it.

    # When the timer wheel calls, and in which of its slots the request waits.
    due_s = 0.0
    slot_s = 0.0
    # The admission, the preparation, or the growth of a budget.
    _preparing: asyncio.Task[None] | None = None
    # The request limit whose share in this process was used up when the request came.
    unadmitted: Shortage | None = None
    # Choosing.
    _next_index = 0
    _last_resort: Candidate | None = None  # skipped, but better than no answer
    _busy_until_s = 0.0  # when the first of the clouds that asked us to wait may be asked again
    _shortage: Shortage | None = None
    # Attempting: the attempt whose answer the caller gets, or the latest; and the second one of a
    # hedge.
    _attempt: Attempt | None = None
    _hedge: Attempt | None = None
    _hedge_due_s = FOREVER_S
    _failure_head: list[bytes] | None = None  # the headers of the latest failure
    # Answering.
    _streaming = False  # content of a stream has gone out, or waits for its name to be durable
    _held_events: list[bytes] | None = None  # until the row of their response is durable
    _status = 0
    _message = ""
    _finishing = False  # the answer is certain, no cloud is asked any more: the journal is awaited
    _last_bytes = b""
    _over = False
    _unattended = False  # nobody waits for the answer; it is read for its usage
    # `bytes_held` are its bytes in flight: those of its body, and of an answer that is gathered
    # whole. `use` is the record of its key's use that counts them. Both are released at the end.
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
        return self._streaming and self._held_events is None

    @property
    def others_left(self) -> bool:
        """Return whether another candidate could be asked."""
        return self._next_index < len(self._candidates)

    # -- start

    def start(self) -> None:
        """Begin the walk: at once, or as soon as the journal has room."""
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
            shared.spool.wait(_AwaitsRoom(self))
            self._set_due(FOREVER_S)
            return
        self._prepare_or_attempt()

    def start_unattended(self) -> None:
        """Set off for the sake of its usage alone: nobody waits for the answer."""
        self._unattended = True
        self.shared.drained.add(self)
        self.start()

    def journal_writable(self, error: OSError | None) -> None:
        """Go on: the journal has room again, or, with an error, it took too long."""
        if self._over:
            return
        if error is None:
            self._deadline_s = self.shared.wheel.now_s + self.shared.tables.deadline_s
            self._prepare_or_attempt()
        else:
            self._finishing = True
            self._status = JOURNAL_FULL.status
            self._message = "The usage journal could not be written."
            self.durable(error)

    def _prepare_or_attempt(self) -> None:
        short, self.unadmitted = self.unadmitted, None
        if short is not None:
            self._preparing = self.shared.loop.create_task(self._admit(short))
            self._set_due(self._deadline_s)
            return
        preparation, self._preparation = self._preparation, None
        if preparation is not None:
            self._preparing = self.shared.loop.create_task(self._prepare(preparation))
            self._set_due(self._deadline_s)
            return
        try:
            self._attempt_next_or_refuse()
        except Exception as error:
            self.end_with_own_fault(error)

    # -- prepare

    async def _admit(self, short: Shortage) -> None:
        """Ask for larger shares of the limits that are short until the request is let through or
        nothing more is to be had."""
        account = self.customer.account
        assert account is not None, "a limit was short"
        shortage: Shortage | None = short
        try:
            while shortage is not None and shortage.may_grow:
                await self.shared.accounts.grow(shortage)
                shortage = account.admit(self.shared.wheel.now_s)
            if self._over or self._finishing:
                return
            self._preparing = None
            if shortage is None:
                self._prepare_or_attempt()
            else:
                limits = account.rate_limit_headers(self.shared.wheel.now_s)
                self._answer_short(shortage, limits)
        except Exception as error:
            self._preparing = None
            self.end_with_own_fault(error)

    async def _prepare(self, preparation: Preparation) -> None:
        try:
            prepared = await preparation.prepare(self._is_over)
            if prepared is not None and not self._over and not self._finishing:
                self._preparing = None
                self._go_on_with(prepared)
        except Refused as refused:
            if not self._over and not self._finishing:
                self._refuse(refused)
        except Exception as error:
            self._preparing = None
            self.end_with_own_fault(error)

    def _is_over(self) -> bool:
        return self._over

    def _go_on_with(self, prepared: Prepared) -> None:
        wanted = prepared.wanted
        if wanted is None:
            self._answer(200, response(200, prepared.answer, self._header_lines()))
            return
        self._hedge_due_s = FOREVER_S  # no hedge: a file uploaded twice would stay at both
        self._candidates, self.wanted = prepared.selection.candidates, wanted
        self._skipped = (*self._skipped, *prepared.selection.skipped)
        if self._resources is not None:
            self._resources.turn_to(wanted)
        self._attempt_next_or_refuse()

    def _refuse(self, refused: Refused) -> None:
        """Answer that, as the preparation has shown, no cloud can be asked."""
        kind, message = refused.kind, str(refused)
        self.shared.counts.refusals[kind.code] += 1
        self._skipped = (*self._skipped, *refused.skipped)
        lines = self._header_lines(refused.headers)
        answer = error_response(kind, message, param=refused.param, headers=lines)
        self._answer(kind.status, answer, message)

    # -- choose

    def _attempt_next_or_refuse(self) -> None:
        if not self._attempt_next():
            self._answer_none_left()

    def _attempt_next(self) -> bool:
        """Attempt the best candidate that is left and can be asked now; return False where there
        is none."""
        shared = self.shared
        now_s = shared.wheel.now_s
        while self._next_index < len(self._candidates):
            candidate = self._candidates[self._next_index]
            self._next_index += 1
            target = candidate.target
            if target.prepare is None:  # the log says why; it is the operator's affair
                self._skip(candidate, "has no credential at present")
            elif not target.health.admits(now_s, self.customer.label):
                self._skip(candidate, target.health.why)
                if target.health.waiting and target.health.insists:
                    self._busy_until_s = min(self._busy_until_s or FOREVER_S, target.health.until_s)
                else:
                    self._last_resort = self._last_resort or candidate
            elif not target.has_room(now_s):
                self._skip(candidate, "its quota of this minute is used up")
                self._last_resort = self._last_resort or candidate
            elif self._attempt_at(candidate):
                return True
        # A candidate that was skipped is still better than no answer.
        skipped, self._last_resort = self._last_resort, None
        # After an attempt there is an error to answer with.
        if skipped is None or self._tried:
            return False
        return self._attempt_at(skipped)

    def _skip(self, candidate: Candidate, why: str) -> None:
        target = candidate.target
        self._skipped = (*self._skipped, Skipped(target.cloud, target.name, why))

    # -- attempt

    def _attempt_at(self, candidate: Candidate) -> bool:
        """Reserve the worst case and set off, or wait for a budget to grow; return False where an
        account cannot bear it."""
        target = candidate.target
        reserved = self._worst_case(target)
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
                    self._preparing = self.shared.loop.create_task(
                        self._grow_budget(shortage, candidate)
                    )
                    self._set_due(self._deadline_s)
                    return True
                self._skip(candidate, shortage.message)
                self._shortage = self._shortage or shortage
                return False
        if target.quota is not None:
            target.quota.take(len(self.wanted.body) // BYTES_PER_TOKEN)
        is_hedge = self._attempt is not None and not self._attempt.over
        attempt = Attempt(self, candidate, len(self._tried) + 1 + is_hedge, reserved)
        if is_hedge:
            self._hedge = attempt
        else:
            self._attempt = attempt
        attempt.begin()
        return True

    def _worst_case(self, target: CallTarget) -> Reserved:
        """Return the most that an attempt can use and cost; of a batch, what it sets off."""
        wanted, resources = self.wanted, self._resources
        if wanted.operation.free:
            if resources is None or not resources.is_batch:
                return _NOTHING
            return resources.reserved_for_batch()
        scale = target.scale
        if target.varied:
            scale = target.scale_for(wanted, self.customer.buyer, self.event_ns)
        text_bytes = wanted.text_bytes if wanted.operation.is_text else len(wanted.body)
        return target.worst_case(wanted.asked, text_bytes, wanted.needs, scale)

    async def _grow_budget(self, shortage: Shortage, candidate: Candidate) -> None:
        """Ask for larger slices of the budgets that are short, and try again with them.

        Another request may take what was granted: then this repeats, until the request fits or no
        larger slice is to be had.
        """
        try:
            await self.shared.accounts.grow(shortage)
            if self._over or self._finishing:
                return
            self._preparing = None
            if not self._attempt_at(candidate):
                self._attempt_next_or_refuse()
        except Exception as error:
            self._preparing = None
            self.end_with_own_fault(error)

    def gathered(self, count: int) -> None:
        """Count bytes of an answer that are held until it is whole."""
        in_flight = self.shared.in_flight
        if self.use is None:
            self.use = in_flight.find(self.customer.label)
        if self.use is not None:
            self.bytes_held += count
            in_flight.add(self.use, count)

    # -- answer: reports of an attempt that goes well

    def answered(self, attempt: Attempt, body: bytes) -> None:
        """A whole answer has come; it may be a refusal of the request itself."""
        self._prefer(attempt)
        self._status = status = attempt.status
        good = 200 <= status < 300
        counts = self.shared.counts
        (counts.served if good else counts.failed)[attempt.candidate.target.cloud] += 1
        if good and self.wanted.needs.cache_key:
            self._remember_cache(attempt)
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
            self._finish(self._whole_answer(attempt, body))

    def stream_content(self, attempt: Attempt, events: bytes) -> None:
        """Pass events of a stream on. The first ones decide for this attempt."""
        caller = self._caller
        framed = b"%x\r\n%b\r\n" % (len(events), events) if caller.chunked else events
        if self._held_events is not None:
            self._held_events.append(framed)
            return
        if self._streaming:
            caller.write(framed)
            return
        self._prefer(attempt)
        self._streaming = True
        if self.wanted.needs.cache_key:
            self._remember_cache(attempt)
        framed = self._stream_head(attempt, framed)
        resources = self._resources
        background_id = resources.runs_on(attempt.stream) if resources is not None else ""
        if resources is None or not background_id:
            caller.write(framed)
            return
        # The response goes on without us: its name has to be durable before anybody can have read
        # it.
        attempt.later = resources.row(attempt, background_id, pending=True)
        self._held_events = [framed]
        self.shared.holds.attended.add(background_id)
        self.shared.issued.add((attempt.later,), self._guarded(self._name_durable))

    def stream_ended(self, attempt: Attempt) -> None:
        """The last event of a stream has come."""
        stream = attempt.stream
        assert stream is not None
        self.shared.counts.served[attempt.candidate.target.cloud] += 1
        self._status = attempt.status
        last_bytes = _last_of_stream(stream.last, self._caller.chunked)
        if not self._streaming:
            # It was all in one event, which is held.
            self._prefer(attempt)
            if self.wanted.needs.cache_key:
                self._remember_cache(attempt)
            last_bytes = self._stream_head(attempt, last_bytes)
        resources = self._resources
        if resources is None:
            attempt.record_stream()
            self._finish(last_bytes)
            return
        end = resources.end_of_stream(attempt)
        if end is not None:
            self._meter_end(end, attempt, last_bytes, [])
        elif resources.is_about_followed:
            attempt.record(Status.COMPLETE, attempt.status)
            self._finish(last_bytes)
        else:
            attempt.record_stream()
            row = resources.row_of_stream(attempt, stream)
            self._finish_named(last_bytes, [row] if row is not None else [])

    def _prefer(self, attempt: Attempt) -> None:
        """Give the caller the answer of this attempt; call its rival off, if there is one."""
        if self._hedge is None:
            return
        rival = self._rival_of(attempt)
        self._attempt, self._hedge = attempt, None
        if rival is not None:
            rival.let_go()
            rival.candidate.target.health.called_off()
            rival.record_until_now()
            self._note_failure(rival, Failure(_CALLED_OFF, rival.status))

    def _rival_of(self, attempt: Attempt) -> Attempt | None:
        """Return the other attempt under a hedge, as long as it is not over."""
        rival = self._hedge if attempt is self._attempt else self._attempt
        return rival if rival is not None and not rival.over else None

    def _remember_cache(self, attempt: Attempt) -> None:
        """The deployment has read the prompt: requests that share its cache key follow."""
        target, shared = attempt.candidate.target, self.shared
        shared.tables.went_to(target, self.customer, self.wanted, shared.wheel.now_s)

    # -- name: answers about resources

    def _name_durable(self, outcome: bool | OSError) -> None:
        """Send the events that waited for the row of their response."""
        waiting, self._held_events = self._held_events, None
        if self._over or waiting is None:
            return
        if isinstance(outcome, OSError):
            self._streaming = False  # nothing has gone out: the answer can still be an error
            if self._attempt is not None:
                self._attempt.later = None
            self._call_off_attempts()
            self.durable(outcome)
        else:
            self._caller.write(b"".join(waiting))

    def _answered_with_name(self, resources: Resources, attempt: Attempt, body: bytes) -> None:
        """The answer names what was made; where that runs on, its usage is metered at its end."""
        last_bytes = self._whole_answer(attempt, body)
        row = resources.row_of_answer(attempt, body)
        if row is not None and row.pending:
            attempt.later = row
            attempt.record(Status.COMPLETE, attempt.status)
        else:
            attempt.record_answer(body)
        self._finish_named(last_bytes, [row] if row is not None else [])

    def _answered_about(self, resources: Resources, attempt: Attempt, body: bytes) -> None:
        """The answer is about a resource that was made before. If it says that the resource has
        ended, the resource's usage is metered now."""
        status, last_bytes = attempt.status, self._whole_answer(attempt, body)
        end, files = resources.end_of_answer(status, body), resources.files_of(status, body)
        if end is not None:
            self._meter_end(end, attempt, last_bytes, files)
            return
        attempt.record(Status.COMPLETE if status < 300 else Status.FAILED, status)
        if status < 300 and self.wanted.operation.deletes and resources.followed is not None:
            self._finishing = True
            finish = self._guarded(lambda _outcome: self._finish(last_bytes))
            self.shared.issued.forget(resources.followed.identifier, finish)
        else:
            self._finish_named(last_bytes, files)

    def _meter_end(
        self, end: End, attempt: Attempt, last_bytes: bytes, files: list[Issued]
    ) -> None:
        """Meter pending usage that has come to its end, if no other request has claimed the end."""
        shared, identifier = self.shared, end.resource.identifier
        self._finishing = True

        def claimed(outcome: bool | OSError) -> None:
            if outcome is True:
                attempt.record_end(end.resource, end.units, end.status)
                shared.spool.wait(_ReportsMetered(shared, identifier))
            else:
                attempt.later = None
                attempt.record(Status.COMPLETE, attempt.status)
                shared.holds.drop(identifier)
            if isinstance(outcome, OSError):
                self.durable(outcome)
            else:
                self._finish_named(last_bytes, files)

        request = str(RequestId(shared.boot, self.number))
        shared.issued.claim(identifier, request, self._guarded(claimed))

    def _finish_named(self, last_bytes: bytes, rows: list[Issued]) -> None:
        """Finish, once the rows of the names that the answer gives are durable."""
        if not rows:
            self._finish(last_bytes)
            return
        self._finishing = True

        def written(outcome: bool | OSError) -> None:
            if not isinstance(outcome, OSError):
                self._finish(last_bytes)
                return
            for row in rows:
                self.shared.holds.drop(row.identifier)
            self.durable(outcome)

        self.shared.issued.add(rows, self._guarded(written))

    def _guarded(self, step: OnWritten) -> OnWritten:
        """Wrap `step`: an exception in it ends the request, because nobody else would hear of it."""

        def guarded(outcome: bool | OSError) -> None:
            try:
                step(outcome)
            except Exception as error:
                self.end_with_own_fault(error)

        return guarded

    # -- the bytes of an answer

    def _whole_answer(self, attempt: Attempt, body: bytes) -> bytes:
        return self._head(attempt, b"content-length: %d\r\n\r\n%b" % (len(body), body))

    def _stream_head(self, attempt: Attempt, framed: bytes) -> bytes:
        """Return status line and headers of a stream, and its first events."""
        framing = b"transfer-encoding: chunked\r\n\r\n" if self._caller.chunked else b"\r\n"
        return self._head(attempt, framing + framed)

    def _head(self, attempt: Attempt, rest: bytes) -> bytes:
        """Return status line and headers; `rest` is the framing and what follows it."""
        status = attempt.status
        account, target = self.customer.account, attempt.candidate.target
        # A customer with limits of its own is told those; the cloud's are limits of our account.
        own = (
            account.rate_limit_headers(self.shared.wheel.now_s, target.cloud, target.product)
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

    def _header_lines(self, headers: bytes = b"") -> bytes:
        """Return the headers of an answer that is the gateway's own."""
        return b"%b%bx-clauseway-attempts: %d\r\n%b" % (
            headers,
            self.shared.request_line(self.number),
            len(self._tried),
            self._caller.head_lines,
        )

    # -- finish → over

    def _answer(self, status: int, answer: bytes, message: str = "") -> None:
        """Finish with an answer of the gateway's own."""
        self._status, self._message = status, message
        # The tail of a stream has no head, and keeps its form.
        if self.wanted.operation.shape_error is not None and answer.startswith(b"HTTP/"):
            answer = answer_in_message_shape(answer)
        self._finish(answer)

    def _finish(self, last_bytes: bytes) -> None:
        """Hold the last bytes until everything recorded of this request is durable."""
        self._finishing = True
        self._last_bytes = last_bytes
        self.shared.spool.wait(self)

    def durable(self, error: OSError | None) -> None:
        """Send the last bytes, or, with an error, say that the journal could not be written."""
        if self._over:
            return  # the caller left meanwhile
        caller = self._caller
        waiting, self._held_events = self._held_events, None
        if waiting is not None:
            caller.write(b"".join(waiting))
        # An answer that ends by its length or its last chunk leaves the connection usable: unless
        # `connection: close` was sent, the client sends its next request there.
        intact = caller.chunked or not self._streaming
        if error is None:
            caller.write(self._last_bytes)
        elif self._streaming:
            kind = JOURNAL_FULL if error.errno in NO_ROOM else JOURNAL_FAILED
            message = "The usage journal could not be written; this answer was not recorded."
            stream = self._attempt.stream if self._attempt is not None else None
            event = stream.broken(kind, message) if stream else error_event(kind, message)
            caller.write(_last_of_stream(event, caller.chunked))
        else:
            answer = journal_failed(error, caller.head_lines)
            if self.wanted.operation.shape_error is not None:
                answer = answer_in_message_shape(answer)
            caller.write(answer)
        try:
            self._end()
        finally:
            caller.request_over(intact=intact)

    def _end(self) -> None:
        """Let go of everything that the request holds, and explain how it ended."""
        self._over = True
        self._finishing = True
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
        if attempt is not None and attempt.later is not None:
            shared.holds.attended.discard(attempt.later.identifier)
        wanted = self.wanted
        answered = attempt if attempt is not None and not attempt.failed else None
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

    # -- attempts that fail

    def attempt_failed(self, attempt: Attempt, failure: Failure) -> None:
        """Go on with the rival or the next candidate: the attempt brought nothing."""
        attempt.record(Status.FAILED, failure.status)
        self._note_failure(attempt, failure)
        self._failure_head = [*attempt.head, *attempt.limits]
        rival, self._hedge = self._rival_of(attempt), None
        if rival is not None:
            self._attempt = rival
            return
        if self._finishing:
            return
        if self.others_left and not self.shared.retries.take():
            self._note_no_retries()
            self._answer_none_left()
        else:
            self._attempt_next_or_refuse()

    def stream_broke(self, attempt: Attempt, reason: str) -> None:
        """End a stream that broke after content went out: an error event in the client's format,
        and never a clean end."""
        attempt.record_until_now()
        attempt.failed = True
        target, stream = attempt.candidate.target, attempt.stream
        assert stream is not None
        self._note_failure(attempt, Failure(reason, attempt.status))
        message = f"The stream broke: {target.cloud} {reason} (deployment {target.name})."
        event = stream.broken(STREAM_BROKEN, message)
        self._answer(502, _last_of_stream(event, self._caller.chunked), message)

    def _note_failure(self, attempt: Attempt, failure: Failure) -> None:
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

    def _note_no_retries(self) -> None:
        why = "no retries are left: too many requests fail at present"
        self._skipped = (*self._skipped, Skipped("", "", why))

    def _answer_short(self, shortage: Shortage, limits: bytes = b"") -> None:
        """Answer that a limit or budget is used up, or that nobody can say what is left of it.
        `limits` are header lines."""
        self.shared.counts.shortages[shortage.kind, shortage.whose] += 1
        answer = shortage_response(shortage, self._header_lines(limits))
        self._answer(shortage_kind(shortage).status, answer, shortage.message)

    def _answer_none_left(self) -> None:
        """Answer that no candidate can be asked, or none any more."""
        shortage = self._shortage
        if shortage is not None and not self._tried:
            self._answer_short(shortage)
            return
        statuses = {tried.status for tried in self._tried}
        retry = retry_lines(self._failure_head or [])
        if not statuses and self._busy_until_s:
            wait_s = max(self._busy_until_s - self.shared.wheel.now_s, 0.0)
            self._answer_failure(
                CLOUDS_BUSY._replace(should_retry=wait_s <= PATIENCE_S),
                b"retry-after: %d\r\nretry-after-ms: %d\r\n" % (ceil(wait_s), wait_s * 1000),
            )
        elif statuses == {404} and self._retirement:
            self._answer_failure(UNKNOWN_MODEL)
        elif statuses == {429}:
            self._answer_failure(CLOUDS_BUSY, retry)
        elif not statuses or statuses <= {429, 503}:
            self._answer_failure(CLOUDS_UNAVAILABLE, retry)
        else:
            self._answer_failure(CLOUDS_FAILED)

    def _answer_failure(self, kind: ErrorKind, headers: bytes = b"") -> None:
        """Answer that every candidate was attempted in vain, or that none may be attempted for now,
        and name each."""
        how_far = "Attempted" if self._tried else "None was attempted"
        named = "; ".join(map(str, self._tried or self._skipped))
        message = f"No cloud answered this request. {how_far}: {named}."
        if kind is UNKNOWN_MODEL:
            message = f"{self._retirement} {message}"
        answer = error_response(kind, message, headers=self._header_lines(headers))
        self._answer(kind.status, answer, message)

    @property
    def _retirement(self) -> str:
        """The message for a model that is retired wherever it is served here; else empty."""
        return self.shared.tables.retirement(self.event_ns, self.customer, self.wanted.model)

    # -- failures of the gateway itself: exceptions in our own code

    def attempt_raised(self, attempt: Attempt, error: Exception) -> None:
        """Leave the request to the rival, or end it. No other cloud is asked: the exception would
        be the same there."""
        rival = self._rival_of(attempt)
        if rival is None or self._streaming:
            self.end_with_own_fault(error)
            return
        self.shared.report_fault(error)
        self._attempt, self._hedge = rival, None
        self._record_raised(attempt)

    def end_with_own_fault(self, error: BaseException) -> None:
        """End the attempts under way and tell the client that the gateway failed."""
        self.shared.report_fault(error)
        if self._over:
            return
        stream = self._attempt.stream if self._attempt is not None else None
        for attempt in (self._attempt, self._hedge):
            if attempt is not None:
                attempt.let_go()
                attempt.candidate.target.health.called_off()
                self._record_raised(attempt)
        if self._streaming and stream is not None:
            event = stream.broken(INTERNAL, OWN_FAULT)
            answer = _last_of_stream(event, self._caller.chunked)
        else:
            answer = error_response(INTERNAL, OWN_FAULT, headers=self._header_lines())
        self._answer(INTERNAL.status, answer, OWN_FAULT)

    def _record_raised(self, attempt: Attempt) -> None:
        """Record an attempt at which the gateway failed, if it is not recorded yet."""
        attempt.failed = True
        self._skip(attempt.candidate, "the gateway itself failed at this attempt")
        try:
            if not attempt.over and attempt.committed:
                attempt.record_until_now()
            elif not attempt.over:
                attempt.record(Status.FAILED, attempt.status)
        except Exception as error:
            self.shared.report_fault(error)
            attempt.abandon()

    # -- deadlines and the hedge

    def expect(self, attempt: Attempt) -> None:
        """Something has to come from the cloud before the attempt's time is over, and before the
        request's is."""
        due_s = self.shared.wheel.now_s + self.shared.tables.attempt_timeout_s
        attempt.due_s = due_s = due_s if due_s < self._deadline_s else self._deadline_s
        if self._hedge is not None or self._hedge_due_s < due_s:
            due_s = self._earliest_due_s()
        self._set_due(due_s)

    def expect_by(self, attempt: Attempt, due_s: float) -> None:
        """Expect the rest of the answer by `due_s`."""
        attempt.due_s = min(attempt.due_s, due_s)
        self._set_due(self._earliest_due_s())

    def _earliest_due_s(self) -> float:
        due_s = self._deadline_s if self._streaming else min(self._deadline_s, self._hedge_due_s)
        return min((due_s, *(attempt.due_s for attempt in self._under_way)))

    def _set_due(self, due_s: float) -> None:
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
        self.check_deadlines(self.shared.wheel.now_s)
        if not self._over:
            self.shared.wheel.arm(self, max(self.due_s, self.shared.wheel.now_s))

    def check_deadlines(self, now_s: float) -> None:
        """Past `due_s`: end the request or an attempt whose time is over, or begin the hedge."""
        if self._finishing:
            self.due_s = FOREVER_S
            return
        if not self._streaming:
            if now_s >= self._deadline_s:
                self._end_at_deadline()
                return
            if now_s >= self._hedge_due_s:
                self._begin_hedge()
        for attempt in self._under_way:
            if attempt.due_s <= now_s:
                attempt.time_out()
        self.due_s = FOREVER_S if self._finishing else self._earliest_due_s()

    def _begin_hedge(self) -> None:
        """Attempt another candidate beside a slow attempt, once."""
        self._hedge_due_s = FOREVER_S
        attempt = self._attempt
        if attempt is None or attempt.over or self._hedge is not None or not self.others_left:
            return
        if self.shared.retries.take():
            self._attempt_next()
        else:
            self._note_no_retries()

    def _end_at_deadline(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
        for attempt in self._under_way:
            attempt.let_go()
            attempt.failed = True
            attempt.candidate.target.health.failed(
                self.shared.wheel.now_s, "did not answer in time", self.customer.label
            )
            attempt.record(Status.FAILED, attempt.status)
            self._note_failure(
                attempt, Failure("did not answer before the request's deadline", attempt.status)
            )
        self._answer_failure(DEADLINE)

    def lateness(self) -> str:
        """Return in words which time is over for a stream: the request's or the attempt's."""
        is_over = self.shared.wheel.now_s >= self._deadline_s
        return "was not done before the request's deadline" if is_over else "fell silent"

    @property
    def _under_way(self) -> Iterator[Attempt]:
        """The attempts that are not over: one, or two under a hedge. Looked at one by one: one may
        end another."""
        both = (self._attempt, self._hedge)
        return (attempt for attempt in both if attempt is not None and not attempt.over)

    # -- callers that leave, or read slowly

    def caller_left(self) -> None:
        """The client's connection is gone: what the cloud did until now is metered and the rest
        called off, or, by the customer's policy, the answer is read to its end for its usage."""
        self._held_events = None
        if self._over:
            return
        if self._finishing:
            self._end()
            return
        if self._preparing is not None:
            self._preparing.cancel()
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
        if not self._finishing:
            self._call_off_attempts()
        self._end()

    def _call_off_attempts(self) -> None:
        made: Issued | None = None
        for attempt in self._under_way:
            stream, resources = attempt.stream, self._resources
            if resources is not None and stream is not None and attempt.committed:
                made = resources.row_of_stream(attempt, stream)
            attempt.let_go()
            attempt.candidate.target.health.called_off()
            attempt.record_until_now()
            if attempt is self._hedge:
                self._note_failure(attempt, Failure(_CALLED_OFF, attempt.status))
        if made is not None:
            # The client may have read its name.
            self.shared.issued.add((made,), nothing_follows)

    def caller_paused(self) -> None:
        if self._attempt is not None:
            self._attempt.pause()

    def caller_resumed(self) -> None:
        if self._attempt is not None:
            self._attempt.resume()


class _AwaitsRoom:
    """Waits for room in the journal, for a request that has not begun."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def durable(self, error: OSError | None) -> None:
        self._lifecycle.journal_writable(error)


class _ReportsMetered:
    """Waits until the usage of a pending resource is durable, whoever has left, and then marks it
    as reported."""

    def __init__(self, shared: Shared, identifier: str) -> None:
        self._shared = shared
        self._identifier = identifier

    def durable(self, error: OSError | None) -> None:
        if error is None:
            self._shared.issued.mark_reported(self._identifier)


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


def nothing_follows(_outcome: bool | OSError) -> None:
    """Nobody waits for the outcome."""


def _last_of_stream(events: bytes, chunked: bool) -> bytes:
    """The last events of a stream, framed, and its end."""
    if not chunked:
        return events
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events) if events else b"0\r\n\r\n"
