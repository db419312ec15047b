"""One request from its route to its last byte.

    eligible    candidates are permitted and not tried yet, best first
    attempted   one of them has the request; an intent is in the journal
    committed   content has come: from here the caller gets this cloud's answer or a broken stream, not another's
    settled     the usage record is in the journal, not yet durable; the last bytes are held
    over        answered, or the caller left

A cloud that does not answer in time, refuses, breaks off or answers 408, 409, 429 or 5xx (or redirects: nobody signed
for that) makes the next candidate eligible; any other status is the cloud's word and is passed on as it is.
"""

import asyncio
from time import monotonic_ns, time, time_ns
from typing import NamedTuple, Protocol

from clauseway.gateway.clouds.dialect import CHAT_COMPLETIONS as _CALL
from clauseway.gateway.clouds.usage import ChatUsage, Units, estimate, estimated_tokens, usage_in
from clauseway.gateway.errors import (
    CLOUDS_BUSY,
    CLOUDS_FAILED,
    CLOUDS_UNAVAILABLE,
    DEADLINE,
    JOURNAL_FAILED,
    PHRASES,
    STREAM_BROKEN,
    Fault,
    error_event,
    error_response,
)
from clauseway.gateway.requests import ChatRequest
from clauseway.gateway.routes import CallTarget, Candidate, Customer
from clauseway.gateway.shared import Shared
from clauseway.gateway.splice import asking_usage, with_model
from clauseway.gateway.streams import DONE, BadStream, EventStream
from clauseway.gateway.upstream import UpstreamConnection
from clauseway.metering import Status
from clauseway.spool import pack_intent, pack_usage_fields

CHAT_COMPLETIONS = 1  # the endpoint's code in the journal
_COMPLETE = Status.COMPLETE
_NO_UNITS: Units = ()
# Besides 5xx and 3xx: conditions of that deployment at that moment, which another may not share.
_TRY_ELSEWHERE = frozenset((408, 409, 429))


class Caller(Protocol):
    """The client's connection, as far as an exchange needs it."""

    head_lines: bytes
    chunked: bool

    def write(self, data: bytes) -> None:
        """Send bytes; dropped when the client is gone."""

    def exchange_over(self, *, intact: bool) -> None:
        """The answer is out. `intact` false: the connection cannot be used for another."""


class Attempt(NamedTuple):
    """What became of a candidate, for the error that names them all."""

    cloud: str
    deployment: str
    outcome: str
    status: int

    def __str__(self) -> str:
        return f"{self.cloud} {self.deployment}: {self.outcome}"


class Exchange:
    """See the module. Created when a request is understood, permitted and priced; `start` sets it off."""

    # How it stands before the first attempt; in the class, because most exchanges never change most of it.
    due_s = 0.0
    _upstream: UpstreamConnection | None = None
    _connecting: asyncio.Task[None] | None = None
    _stream: EventStream | None = None
    _held = b""
    _begin_ns = 0
    _settled = False
    _over = False
    # Of the present attempt.
    _status = 0
    _answer_head = b""
    _upstream_id = b""
    _pieces: list[bytes] | None = None
    _collected = 0
    _retried = False
    _committed = False
    _first_content_us = 0

    def __init__(
        self,
        caller: Caller,
        shared: Shared,
        customer: Customer,
        candidates: tuple[Candidate, ...],
        request: ChatRequest,
        body: bytes,
        passed: bytes,
        event_ns: int,
    ) -> None:
        self._caller = caller
        self._shared = shared
        self._customer = customer
        self._candidates = candidates
        self._request = request
        self._body = body
        self._passed = passed
        self._event_ns = event_ns
        self._streamed = bool(request.stream)
        self._number = shared.next_number()
        self._attempts: list[Attempt] = []
        self._candidate = candidates[0]

    def _forget_attempt(self) -> None:
        """Nothing of the failed attempt's answer counts for the next."""
        self._stream = None
        self._status = 0
        self._answer_head = b""
        self._upstream_id = b""
        self._pieces = None
        self._collected = 0
        self._retried = False

    # -- eligible → attempted

    def start(self) -> None:
        shared = self._shared
        shared.spool.open_requests += 1
        shared.counts.begun += 1
        self._deadline_s = shared.wheel.now_s + shared.tables.deadline_s
        self._attempt(self._candidate)

    def _attempt(self, candidate: Candidate) -> None:
        shared, target, request = self._shared, candidate.target, self._request
        self._candidate = candidate
        self._begin_ns = monotonic_ns()
        body_bytes = len(self._body)
        output_max = request.max_completion_tokens or request.max_tokens or target.output_tokens_max
        if request.n is not None:
            output_max *= request.n
        # The worst case: a token is at least one byte of the body.
        reserved = body_bytes * target.input_price + output_max * target.output_price
        buyer, deployment, ruling = self._customer.label, target.label, candidate.ruling
        shared.spool.append(
            pack_intent(
                shared.boot, self._number, len(self._attempts) + 1, self._event_ns, time_ns(),
                buyer, deployment, ruling, CHAT_COMPLETIONS, body_bytes, output_max, reserved,
            ),
            buyer, deployment, ruling,
        )  # fmt: skip
        self._expect_within_attempt()
        upstream = target.endpoint.take()
        if upstream is not None:
            self._send(upstream)
        else:
            self._connect()

    def _age_us(self) -> int:
        """How long the present attempt has taken."""
        return (monotonic_ns() - self._begin_ns) // 1000

    def _expect_within_attempt(self) -> None:
        """Something has to come from the cloud before the attempt's time is over, and before the request's is."""
        due_s = self._shared.wheel.now_s + self._shared.tables.attempt_timeout_s
        self.due_s = due_s if due_s < self._deadline_s else self._deadline_s

    def _connect(self) -> None:
        self._connecting = self._shared.loop.create_task(self._connect_and_send(self._candidate.target))

    async def _connect_and_send(self, target: CallTarget) -> None:
        try:
            upstream = await target.endpoint.connect()
        except (OSError, TimeoutError) as error:
            self._connecting = None
            reason = "did not accept a connection in time" if isinstance(error, TimeoutError) else _reason_of(error)
            self._attempt_failed(reason)
            return
        if self._connecting is not asyncio.current_task():
            target.endpoint.keep(upstream)  # called off in the very moment in which it succeeded
            return
        self._connecting = None
        self._send(upstream)

    def _send(self, upstream: UpstreamConnection) -> None:
        target = self._candidate.target
        request = self._request
        body = self._body
        if request.model != target.model:
            body = with_model(body, target.model, target.quoted_model)
        if self._streamed and not request.wants_usage:
            body = asking_usage(body, b'"stream_options"' in body)
        self._upstream = upstream
        head = target.prepare(_CALL, body, self._passed, int(time()))
        upstream.send(self, target.request_id_header, head + body)

    # -- attempted → committed, or the next one

    def received(self, data: bytes, complete: bool) -> None:
        upstream = self._upstream
        assert upstream is not None
        if complete:
            self._upstream = None
        if self._stream is not None:
            self._stream_received(data, complete)
            return
        if not self._status:
            status = upstream.status
            self._upstream_id = upstream.upstream_id
            if status >= 500 or status in _TRY_ELSEWHERE or 300 <= status < 400:
                self._let_go_of_upstream()
                self._attempt_failed(f"answered {status}", status, upstream.head)
                return
            self._status = status
            self._answer_head = b"".join(upstream.head)
            if self._streamed and status == 200 and upstream.is_event_stream:
                self._stream = EventStream(strip_usage=not self._request.wants_usage)
                self._stream_received(data, complete)
                return
        if not complete:
            self._collect(data)
        elif self._pieces is None:
            self._answered(data)
        else:
            self._answered(b"".join((*self._pieces, data)))

    def lost(self, reason: str, reused: bool) -> None:
        self._upstream = None
        if self._committed:
            self._broken(f"{self._candidate.target.cloud} {reason}")
        elif reused and self._may_reconnect():
            # The connection had died while idle: the same attempt, on a fresh one.
            self._retried = True
            self._connect()
        else:
            self._attempt_failed(reason, self._status)

    def _may_reconnect(self) -> bool:
        """Whether a lost connection is only that. Where another candidate is left, it is asked instead: nothing tells
        for certain that the lost request was not worked on.
        """
        is_last = len(self._attempts) + 1 == len(self._candidates)
        return is_last and not self._retried and self._age_us() < self._shared.limits.stale_s * 1e6

    def expired(self, now_s: float) -> None:
        """Past `due_s`: the attempt has taken too long, or the whole request has."""
        if self._settled:
            return
        self._let_go_of_upstream()
        if self._committed:
            self._broken(f"{self._candidate.target.cloud} fell silent")
        elif now_s >= self._deadline_s:
            self._record(Status.FAILED, self._status, _NO_UNITS)
            self._note("did not answer before the request's deadline", self._status)
            self._give_up(DEADLINE, b"")
        else:
            self._attempt_failed("did not answer in time", self._status)

    def caller_left(self) -> None:
        """The client's connection is gone. What the cloud did until now is metered; the rest is called off."""
        if self._over:
            return
        self._let_go_of_upstream()
        if not self._settled:
            self._record_until_now()
        self._end()

    def caller_paused(self) -> None:
        if self._upstream is not None:
            self._upstream.pause()

    def caller_resumed(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def _let_go_of_upstream(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None

    def _attempt_failed(self, outcome: str, status: int = 0, head: list[bytes] | None = None) -> None:
        self._record(Status.FAILED, status, _NO_UNITS)
        self._note(outcome, status)
        self._forget_attempt()
        if len(self._attempts) < len(self._candidates):
            self._attempt(self._candidates[len(self._attempts)])
            return
        statuses = {attempt.status for attempt in self._attempts}
        if statuses == {429}:
            self._give_up(CLOUDS_BUSY, _retry_lines(head or []))
        else:
            self._give_up(CLOUDS_UNAVAILABLE if statuses <= {429, 503} else CLOUDS_FAILED, b"")

    def _note(self, outcome: str, status: int) -> None:
        target = self._candidate.target
        self._shared.counts.failed[target.cloud] += 1
        self._attempts.append(Attempt(target.cloud, target.name, outcome, status))

    def _give_up(self, fault: Fault, headers: bytes) -> None:
        """Every candidate was attempted in vain: say so, naming each."""
        named = "; ".join(str(attempt) for attempt in self._attempts)
        message = f"No cloud answered this request. Attempted: {named}."
        lines = b"%b%bx-clauseway-attempts: %d\r\n%b" % (
            headers,
            self._shared.request_line(self._number),
            len(self._attempts),
            self._caller.head_lines,
        )
        self._settle(error_response(fault, message, headers=lines))

    # -- an answer in one piece

    def _collect(self, data: bytes) -> None:
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(data)
        self._collected += len(data)
        if self._collected > self._shared.limits.answer_bytes:
            self._let_go_of_upstream()
            self._attempt_failed(f"answered more than {self._shared.limits.answer_bytes} bytes", self._status)

    def _answered(self, body: bytes) -> None:
        status = self._status
        if status == 200:
            usage = usage_in(body)
            if usage is not None:
                self._record_usage(usage)
            else:
                self._record_estimate(Status.ESTIMATED, estimated_tokens(len(body)))
            self._shared.counts.served[self._candidate.target.cloud] += 1
        else:
            self._record(Status.FAILED, status, _NO_UNITS)
            self._shared.counts.failed[self._candidate.target.cloud] += 1
        self._settle(self._head(b"content-length: %d\r\n\r\n%b" % (len(body), body)))

    def _head(self, rest: bytes) -> bytes:
        """Status line and headers; `rest` is the framing and what follows it."""
        status = self._status
        return b"HTTP/1.1 %d %b\r\n%b%b%bx-clauseway-attempts: %d\r\n%b%b" % (
            status,
            PHRASES.get(status, b"-"),
            self._answer_head,
            self._candidate.headers,
            self._shared.request_line(self._number),
            len(self._attempts) + 1,
            self._caller.head_lines,
            rest,
        )

    # -- a stream

    def _stream_received(self, data: bytes, complete: bool) -> None:
        stream = self._stream
        assert stream is not None
        try:
            events = stream.feed(data)
        except BadStream as error:
            self._let_go_of_upstream()
            self._stream_failed(str(error))
            return
        if stream.committed:
            self._expect_within_attempt()
            if events:
                self._pass_on(events)
        elif stream.failed:
            self._let_go_of_upstream()
            self._attempt_failed("reported an error before any content", self._status)
            return
        if complete:
            self._stream_ended(stream)

    def _pass_on(self, events: bytes) -> None:
        framed = b"%x\r\n%b\r\n" % (len(events), events) if self._caller.chunked else events
        if self._committed:
            self._caller.write(framed)
            return
        self._committed = True
        self._first_content_us = self._age_us()
        framing = b"transfer-encoding: chunked\r\n\r\n" if self._caller.chunked else b"\r\n"
        self._caller.write(self._head(framing + framed))

    def _stream_ended(self, stream: EventStream) -> None:
        cloud = self._candidate.target.cloud
        if not stream.done or not stream.committed or stream.failed:
            self._stream_failed("ended the stream without its last event" if not stream.failed else "reported an error")
            return
        if stream.usage is not None:
            self._record_usage(stream.usage)
        else:
            self._record_estimate(Status.ESTIMATED, stream.events)
        self._shared.counts.served[cloud] += 1
        self._settle(b"e\r\n%b\r\n0\r\n\r\n" % DONE if self._caller.chunked else DONE)

    def _stream_failed(self, reason: str) -> None:
        if self._committed:
            self._broken(f"{self._candidate.target.cloud} {reason}")
        else:
            self._attempt_failed(reason, self._status)

    def _broken(self, reason: str) -> None:
        """The stream broke after content went out: an error event in the client's format, and no `[DONE]`."""
        self._record_until_now()
        target = self._candidate.target
        self._shared.counts.failed[target.cloud] += 1
        event = error_event(STREAM_BROKEN, f"The stream broke: {reason} (deployment {target.name}).")
        self._settle(b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event) if self._caller.chunked else event)

    # -- settled → over

    def _record_usage(self, usage: ChatUsage, status: Status = _COMPLETE) -> None:
        """What the cloud reported, and what it is worth at the prices of the reservation."""
        target = self._candidate.target
        input_tokens, output_tokens = usage.prompt_tokens, usage.completion_tokens
        self._shared.counts.tokens[target.cloud] += input_tokens + output_tokens
        charge = input_tokens * target.input_price + output_tokens * target.output_price
        self._record(status, self._status, target.units_of(usage), charge)

    def _record_estimate(self, status: Status, output_tokens: int) -> None:
        """What it must have been about, where the cloud did not report it."""
        target = self._candidate.target
        units = estimate(len(self._body), output_tokens)
        charge = units[0][1] * target.input_price + output_tokens * target.output_price
        self._record(status, self._status, units, charge)

    def _record_until_now(self) -> None:
        """What the caller got before it broke off: as reported, or estimated by the events that were passed on."""
        stream = self._stream
        if stream is not None and stream.usage is not None:
            self._record_usage(stream.usage, Status.INTERRUPTED)
        else:
            events = stream.events if stream is not None and self._committed else 0
            self._record_estimate(Status.INTERRUPTED, events)

    def _record(self, status: Status, http_status: int, units: Units, charge: int = 0) -> None:
        """The end of the present attempt goes into the journal."""
        shared, candidate = self._shared, self._candidate
        duration_us = (monotonic_ns() - self._begin_ns) // 1000
        buyer, deployment, ruling = self._customer.label, candidate.target.label, candidate.ruling
        shared.spool.append(
            pack_usage_fields(
                shared.boot, self._number, len(self._attempts) + 1, self._event_ns, time_ns(),
                buyer, deployment, ruling, CHAT_COMPLETIONS,
                status, http_status, self._streamed, duration_us, self._first_content_us or duration_us,
                charge, units, self._upstream_id,
            ),
            buyer, deployment, ruling,
        )  # fmt: skip

    def _settle(self, last_bytes: bytes) -> None:
        """Hold the last bytes until everything recorded of this request is durable."""
        self._settled = True
        self._held = last_bytes
        self._shared.spool.wait(self)

    def durable(self, error: OSError | None) -> None:
        if self._over:
            return  # the caller left meanwhile
        caller = self._caller
        intact = False
        if error is None:
            caller.write(self._held)
            intact = caller.chunked or not self._committed
        elif self._committed:
            event = error_event(JOURNAL_FAILED, "The usage journal failed; this answer was not recorded.")
            caller.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event) if caller.chunked else event)
        else:
            caller.write(journal_failed(error, caller.head_lines))
        self._end()
        caller.exchange_over(intact=intact)

    def _end(self) -> None:
        self._over = True
        self._settled = True
        self._shared.spool.open_requests -= 1


def journal_failed(error: OSError, head_lines: bytes = b"") -> bytes:
    """What is answered when usage cannot be recorded: nothing is served unmetered."""
    message = f"The usage journal cannot be written ({error.strerror or error}); nothing is served until it can."
    return error_response(JOURNAL_FAILED, message, headers=head_lines)


def _reason_of(error: OSError) -> str:
    return f"could not be reached ({error.strerror or error})"


def _retry_lines(head: list[bytes]) -> bytes:
    """The header lines of a 429 that tell a client when to come again."""
    lines = zip(head[::4], head[2::4], strict=False)
    return b"".join(
        b"%b: %b\r\n" % (name, value)
        for name, value in lines
        if name.lower().startswith((b"retry-after", b"x-ratelimit-"))
    )
