"""One attempt of a request at one deployment: from its intent in the journal to its usage record.

It sends, reads the answer and reports to its lifecycle: a whole answer, content of a stream,
the end of a stream, a stream that broke, a failure of the cloud, an exception of our own. Each
attempt has its own record. Its reservation ends once: with the record or, where a resource runs on at
the cloud, with the resource.

INVARIANT: no exception leaves the entry points of an attempt. Whatever the state in which one is
raised, the connection is closed and the lifecycle gets `attempt_raised`, which ends the attempt. The
exception does not count against the cloud.
"""

import asyncio
import errno
import re
from abc import ABC, abstractmethod
from time import monotonic_ns, time, time_ns
from typing import Final

from clauseway.gateway.clouds import HeadWriter
from clauseway.gateway.clouds.reported_units import BYTES_PER_TOKEN, Units, time_heard_in
from clauseway.gateway.clouds.reports import NO_REPORT
from clauseway.gateway.request.failures import (
    Failure,
    date_s,
    failure_of,
    failure_of_event,
    is_suspect,
    lacks_path,
    status_of_refusal,
    without_header,
    without_retry,
)
from clauseway.gateway.request.holds import Reservation
from clauseway.gateway.request.passed_content import PassedContent
from clauseway.gateway.request.resource_index import IndexedResource
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.choices import Candidate
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.routing_tables import Customer
from clauseway.gateway.routing.targets import CallTarget, WorstCase
from clauseway.gateway.transport.upstream import Receiver, UpstreamConnection
from clauseway.gateway.wire.bodies.decoding import BYTE_ORDER_MARK
from clauseway.gateway.wire.error_bodies import COMPRESSIONS, decompressed
from clauseway.gateway.wire.errors import without_our_names
from clauseway.gateway.wire.event_streams import Stream
from clauseway.gateway.wire.operations import BATCHES, SOUNDS, Operation, UnderstoodRequest
from clauseway.gateway.wire.sse import BadStream, data_of
from clauseway.gateway.wire.whole_answers import (
    announces_sound,
    is_announced,
    shows_its_end,
    tells_error,
    used_nothing,
    without_names_in_failure,
)
from clauseway.metering import Status, Unit
from clauseway.metering.endpoints import DEFAULT_TIER, ENDPOINT_NAMES, TIERS
from clauseway.spool import SCARCE, pack_intent, pack_usage_fields
from clauseway.spool.segment_format import TIER_CODE

_OK: Final = 200
_PARTIAL_CONTENT: Final = 206
_REQUEST_TIMEOUT: Final = 408
# The first field of an event, or a comment, behind a mark and empty lines; and how many bytes tell it.
_FIRST_FIELD: Final = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:data|event|id|retry)?:")
_FIRST_FIELD_BYTES: Final = 11
_TOO_MANY_REQUESTS: Final = 429
_FLEX: Final = "flex"
_FORBIDDEN: Final = 403
_PROGRAMMES: Final = b'"access_programs"'
# An object of JSON behind a byte order mark.
_MARKED_OBJECT: Final = BYTE_ORDER_MARK + b"{"
# An error is some hundred bytes; a page of HTML is not read to its end.
_ERROR_BYTES_MAX: Final = 64 << 10
# For the rest of an error whose status is known, or of a stream whose last event has come.
_REST_TIMEOUT_S: Final = 2.0
# Clouds refuse what was signed five minutes and more from their own time.
_SKEW_S_MIN: Final = 240
# The system has no descriptor or no memory left for a connection.
_OF_THIS_MACHINE: Final = SCARCE | {errno.ENOBUFS}


class AttemptOwner(ABC):
    """The lifecycle, as far as an attempt needs it. A class to inherit from, not a protocol: the
    compiled gateway calls its methods directly and looks none of them up."""

    shared: Shared
    customer: Customer
    request: UnderstoodRequest
    number: int
    event_ns: int

    @property
    @abstractmethod
    def names_resource(self) -> bool: ...
    @property
    @abstractmethod
    def has_candidates_left(self) -> bool: ...
    @abstractmethod
    def attempt_failed(self, attempt: "Attempt", failure: Failure) -> None: ...
    @abstractmethod
    def stream_content(self, attempt: "Attempt", events: bytes) -> None: ...
    @abstractmethod
    def answered(self, attempt: "Attempt", body: bytes) -> None: ...
    @abstractmethod
    def stream_ended(self, attempt: "Attempt") -> None: ...
    @abstractmethod
    def stream_broke(self, attempt: "Attempt", reason: str) -> None: ...
    @abstractmethod
    def attempt_raised(self, attempt: "Attempt", error: Exception) -> None: ...
    @abstractmethod
    def set_deadline(self, attempt: "Attempt") -> None: ...
    @abstractmethod
    def shorten_deadline(self, attempt: "Attempt", due_s: float) -> None: ...
    @abstractmethod
    def count_answer_bytes(self, count: int) -> None: ...


class Attempt(Receiver):
    """One attempt, as the module describes it.

    Its end counts for `health`. `ordinal` counts the attempts of a request from 1. `reserved` is the
    worst case, which was reserved for this attempt from limits and budgets.
    """

    # Defaults are class attributes: most attempts set few of them, so instances stay small.
    status = 0
    stream: Stream | None = None
    first_content_us = 0
    has_content = False  # a stream's content has come: no other candidate is attempted from here on
    over = False  # its usage record is appended, or could not be
    failed = False
    is_probe = False  # of a deployment whose ejection is over
    is_refused = False  # its stream's content is an error about the request itself
    charged = 0
    is_estimated = False  # because the cloud reported no usage
    _tokens = 0
    _report = NO_REPORT  # of a whole answer
    sent = False  # the request was handed to a connection
    _upstream: UpstreamConnection | None = None
    _upstream_id = b""  # the cloud's own identifier of the request
    _task: asyncio.Task[None] | None = None  # the task that connects, or renews the credential
    _buffered: list[bytes] | None = None
    _buffered_bytes = 0
    # The status says that the deployment, or our account there, is most likely at fault.
    _may_refuse_us = False
    _may_be_whole = False  # nobody asked for a stream, and the head says that events follow
    _is_encoded = False  # the body has a `content-encoding` that is not read
    _is_compressed = False  # a refusal, in an encoding that is read
    _uses_kept_connection = False  # which had carried another request before
    _may_repeat = True  # somebody waits for the answer
    _has_renewed = False  # the credential was refused and renewed
    _has_signed_anew = False  # the signature was refused for its time
    _signed_s = 0  # the time of the signature, in seconds since 1970
    # The resource that the answer made, if its usage is known only at the resource's end.
    pending_resource: IndexedResource | None = None
    _sent_head_writer: HeadWriter | None = None  # it wrote the credential that was sent

    def __init__(
        self,
        owner: AttemptOwner,
        candidate: Candidate,
        health: Health,
        ordinal: int,
        reserved: WorstCase,
    ) -> None:
        self._owner = owner
        self.candidate = candidate
        self.health = health
        self.ordinal = ordinal
        self.reserved = reserved
        self.head = b""
        self.rate_limit_lines = b""
        self.units: Units = ()
        self.due_s = 0.0
        self._begin_ns = monotonic_ns()

    # -- toward the cloud

    def begin(self) -> None:
        """Write the intent and send the request, at once or when a connection is open."""
        try:
            self._begin()
        except Exception as error:
            self._end_with_own_fault(error)

    def _begin(self) -> None:
        owner, target = self._owner, self.candidate.target
        request, shared = owner.request, owner.shared
        # The numbers by which the journal knows buyer, deployment and ruling.
        buyer, deployment, ruling = owner.customer.label, target.label, self.candidate.ruling
        reserved = self.reserved
        # The intent goes first, and is on the disk within 50 ms. If this process dies after that, the
        # attempt is found in the journal and the whole reservation counts as spent.
        shared.spool.append(
            pack_intent(
                boot=shared.boot,
                number=owner.number,
                attempt=self.ordinal,
                event_ns=owner.event_ns,
                recorded_ns=time_ns(),
                buyer=buyer,
                deployment=deployment,
                ruling=ruling,
                endpoint=request.operation.code,
                body_bytes=len(request.body),
                output_tokens_max=reserved.output_tokens,
                reserved_picodollars=reserved.picodollars,
            ),
            buyer,
            deployment,
            ruling,
        )
        if self.health.attempted(shared.wheel.now_s, owner.customer.buyer.organisation):
            self.is_probe = True
        # The cloud may just have closed a kept connection; the request is then sent again. A
        # request that must not be repeated is sent on a fresh connection.
        upstream = target.endpoint.take() if request.operation.is_repeatable else None
        if upstream is not None:
            self._uses_kept_connection = True
            self._send(upstream)
        else:
            self._connect()

    def _connect(self) -> None:
        """Open a connection in a task of its own, and send the request there."""
        self.sent = self._uses_kept_connection = False
        self._task = self._owner.shared.loop.create_task(
            self._connect_and_send(self.candidate.target)
        )

    async def _connect_and_send(self, target: CallTarget) -> None:
        try:
            upstream = await target.endpoint.connect()
        except (OSError, TimeoutError) as error:
            self._task = None
            reason = (
                "did not accept a connection in time"
                if isinstance(error, TimeoutError)
                else f"could not be reached ({error.strerror or error})"
            )
            if error.errno in _OF_THIS_MACHINE:
                self._fail_for_this_machine(Failure(reason))
            else:
                self._fail(Failure(reason))
            return
        except Exception as error:
            self._task = None
            self._end_with_own_fault(error)
            return
        if self._task is not asyncio.current_task():
            # The attempt was cancelled while the connection opened.
            target.endpoint.keep(upstream)
            return
        self._task = None
        try:
            self._send(upstream)
        except Exception as error:
            self._end_with_own_fault(error)

    def _send(self, upstream: UpstreamConnection) -> None:
        target, request = self.candidate.target, self._owner.request
        write_head = target.write_head
        # There is no credential at present. Keep the connection: nothing was sent on it.
        if write_head is None:
            target.endpoint.keep(upstream)
            self._fail(Failure("has no credential at present"))
            return
        self._upstream = upstream
        # The body for this deployment: the model's name there; a stream is asked to report its usage.
        body = request.operation.splice(
            request.properties, request.body, request.content_type, target.destination
        )
        # If the credential is refused, this tells whether another request has renewed it meanwhile.
        self._sent_head_writer = write_head
        call = request.call
        # Some surfaces take another path and body, as Anthropic's models on other clouds do.
        if target.envelope is not None:
            call, body = target.envelope(call, body, request.forwarded, request.properties.streamed)
        # The wall clock, never the business clock: clouds reject signatures of another time.
        self._signed_s = int(time()) + target.endpoint.clock_ahead_s
        head = write_head(call, body, request.forwarded, self._signed_s)
        self.sent = True
        upstream.send(self, target.request_id_header, head + body)

    async def _renew_and_send(self, target: CallTarget) -> None:
        """Send the same attempt again with a fresh credential, if there is one: the last credential
        was refused."""
        assert target.renew is not None
        try:
            # If another request renewed first, the present credential is not the one that was refused.
            is_renewed = target.write_head is not self._sent_head_writer or await target.renew()
            if self._task is not asyncio.current_task():
                return
            self._task = None
            if is_renewed:
                self._send_anew()
            else:
                self._fail(Failure("refused our credential", self.status))
        except Exception as error:
            self._task = None
            self._end_with_own_fault(error)

    def _send_anew(self) -> None:
        """Send the request once more, after a refusal that counts as no answer."""
        self.status = 0
        self._may_refuse_us = self._is_encoded = self._is_compressed = False
        self._buffered = None
        self._buffered_bytes = 0
        self._owner.set_deadline(self)
        self._connect()

    def _turns_to_clouds_clock(self) -> bool:
        """Return whether our credential may have been refused because it signed at a time that is
        far from the cloud's; from here on, requests to this host are signed by the cloud's clock."""
        target = self.candidate.target
        if not target.is_signed:
            return False
        clouds_s = int(date_s(self.head))
        if self._has_signed_anew or abs(clouds_s - self._signed_s) < _SKEW_S_MIN or not clouds_s:
            # Refused by the cloud's clock too: for another reason, or its `Date` tells another one.
            target.endpoint.clock_ahead_s = 0
            return False
        ahead_s = clouds_s - int(time())
        # Where this machine's clock was set right meanwhile, it counts again.
        target.endpoint.clock_ahead_s = ahead_s if abs(ahead_s) >= _SKEW_S_MIN else 0
        return True

    # -- the answer

    def received(self, data: bytes, complete: bool) -> None:
        self._owner.shared.busy_polling.bytes_came()
        try:
            self._read(data, complete)
        except Exception as error:
            self._end_with_own_fault(error)

    def _read(self, data: bytes, complete: bool) -> None:
        """Read bytes of the answer; `complete` tells that they are its last."""
        upstream = self._upstream
        assert upstream is not None
        if complete:
            self._upstream = None
        if not self.status:
            self._read_head(upstream)
        if self.stream is not None:
            self._read_stream(upstream, data, complete)
        # We accept no coding; encoded bytes could be neither read for usage nor passed on.
        elif self._is_encoded:
            self._distrust(upstream)
            self._fail_encoded()
        elif not complete:
            self._buffer_body(upstream, data)
        elif self._buffered is None:
            self._read_whole_body(upstream, data)
        else:
            self._read_whole_body(upstream, b"".join((*self._buffered, data)))

    def _fail_encoded(self) -> None:
        """Report an answer that cannot be read. Of a refusal, status and head still say how long to
        wait, that our credential was refused, or that it is most likely about the request: whoever
        sends many such requests takes the deployment from nobody."""
        if self._presents_another_credential():
            return
        names_resource = self._owner.names_resource
        failure = failure_of(self.status, self.head, b"", time(), names_resource=names_resource)
        outcome = f"answered {self.status} in an encoding that nobody asked for"
        if failure is not None:
            self._fail(failure._replace(outcome=outcome))
        else:
            self._fail_without_blame(Failure(outcome, self.status))

    def _read_head(self, upstream: UpstreamConnection) -> None:
        """Read status and headers; begin the stream if events to pass on follow them."""
        status = self.status = upstream.status
        self._upstream_id = upstream.upstream_id
        self.head, self.rate_limit_lines = upstream.head, upstream.limits
        if upstream.encoding:
            self._is_compressed = status >= 300 and upstream.encoding in COMPRESSIONS
            self._is_encoded = not self._is_compressed
        if status == 200:
            operation = self._owner.request.operation
            # A file may hold anything, events too.
            if upstream.is_event_stream and not self._is_encoded and not operation.is_file_content:
                self._begin_announced_stream(operation)
        elif is_suspect(status):
            self._may_refuse_us = True
            self._owner.shorten_deadline(self, self._owner.shared.wheel.now_s + _REST_TIMEOUT_S)

    def _begin_announced_stream(self, operation: Operation) -> None:
        """Begin the stream that a head announces. Some servers announce one before a whole answer
        too: where nobody asked for a stream, the body's first bytes tell."""
        framed = self.candidate.target.destination.framed
        is_asked = self._owner.request.properties.streamed or not operation.routed
        if is_asked or framed:
            self._begin_stream(is_announced=not framed)
        else:
            self._may_be_whole = True

    def _begin_stream(self, *, is_announced: bool) -> None:
        """Begin to read the answer as events. `is_announced`: its head says that it is what the
        client gets, server-sent events."""
        request = self._owner.request
        operation, target = request.operation, self.candidate.target
        self.stream = operation.stream(
            request.properties, operation.report_in, target.destination, target.health.omissions
        )
        if not is_announced:
            self.head = _with_content_type(self.head, b"text/event-stream; charset=utf-8")

    def _is_stream(self, beginning: bytes) -> bool:
        """Return whether a body is events, although its head does not say so (some servers write no
        content type, or another) or nobody asked for them."""
        return (
            self.status == _OK
            and (self._owner.request.properties.streamed or self._may_be_whole)
            and not self.candidate.target.destination.framed
            and _FIRST_FIELD.match(beginning) is not None
        )

    def _buffer_body(self, upstream: UpstreamConnection, data: bytes) -> None:
        """Keep bytes of a body that is read when it is whole; end the attempt if it is too long."""
        if self._buffered is None:
            self._buffered = []
        if self._buffered_bytes < _FIRST_FIELD_BYTES:
            beginning = b"".join((*self._buffered, data))
            if self._is_stream(beginning):
                self._begin_stream(is_announced=self._may_be_whole)
                self._buffered = None
                self._read_stream(upstream, beginning, complete=False)
                return
        self._buffered.append(data)
        self._buffered_bytes += len(data)
        if self._buffered_bytes >= _FIRST_FIELD_BYTES and self._is_sound:
            self._pass_on_content()
            return
        self._owner.count_answer_bytes(len(data))
        limit = _ERROR_BYTES_MAX if self._may_refuse_us else self._owner.shared.limits.answer_bytes
        if self._buffered_bytes > limit:
            if self.status == _OK and self._owner.request.operation.is_file_content:
                self._pass_on_content()
                return
            self.disconnect()
            if self._may_refuse_us:
                self._handle_refusal(b"".join(self._buffered), is_whole=False)
            else:
                self._fail(Failure(f"answered more than {limit:,} bytes", self.status))

    def _may_be_long(self, body: bytes) -> bool:
        """Return whether a body would have been passed on in pieces if it had come in pieces."""
        is_file = self.status == _OK and self._owner.request.operation.is_file_content
        return is_file or self._is_sound or self._is_stream(body)

    @property
    def _is_sound(self) -> bool:
        """Return whether speech is coming, which clients play as it comes."""
        operation = self._owner.request.operation
        return operation.code == SOUNDS and self.status == _OK and announces_sound(self.head)

    def _pass_on_content(self) -> None:
        """Pass on what has come of speech or of a long file, and from here on each piece as it
        comes."""
        upstream, pieces = self._upstream, self._buffered or ()
        assert upstream is not None
        operation = self._owner.request.operation
        token_bytes = operation.output_token_bytes if operation.metered else 0
        self.stream, self._buffered = PassedContent(token_bytes), None
        for piece in pieces:
            self._read_stream(upstream, piece, complete=False)

    def _read_whole_body(self, upstream: UpstreamConnection, body: bytes) -> None:
        """Report a whole body: an answer, a refusal, or a failure of the cloud."""
        limit = self._owner.shared.limits.answer_bytes
        if len(body) > limit and not self._may_refuse_us and not self._may_be_long(body):
            self._fail(Failure(f"answered more than {limit:,} bytes", self.status))
            return
        # Nobody may write the mark (RFC 8259, 8.1), and many clients cannot read it.
        if body.startswith(_MARKED_OBJECT) and not self._owner.request.operation.is_file_content:
            body = body[len(BYTE_ORDER_MARK) :]
        if self.status >= 300:
            self._handle_refusal(body, is_whole=True)
            return
        operation, target = self._owner.request.operation, self.candidate.target
        if self.status == _PARTIAL_CONTENT and not shows_its_end(operation.name, body):
            self._distrust(upstream)
            self._fail(Failure("answered 206 with a part that nobody asked for", self.status))
            return
        # Read the usage once: it shows here that the body is an answer, and the record needs it.
        self._report = operation.report_in(body, target.health.omissions)
        units = self._report.units
        # Most answers are told at first sight; any other body is examined, which is slower.
        is_plain = bool(units) and operation.is_plain_answer(body)
        if is_plain or operation.is_answer(body) or is_announced(operation.name, self.head, body):
            if operation.tells_failure and not is_plain:
                body = without_names_in_failure(body, target.destination.account_names)
            if self._may_be_whole:
                self.head = _with_content_type(self.head, b"application/json")
            self.health.succeeded()
            self._owner.answered(self, body)
        elif self._is_stream(body):
            self._begin_stream(is_announced=self._may_be_whole)
            self._read_stream(upstream, body, complete=True)
        # Some servers answer an error about the request itself with a status of success.
        elif not units and tells_error(body) and (meant := status_of_refusal(body)):
            self.status = meant
            self._handle_refusal(body, is_whole=True)
        else:
            self._distrust(upstream)
            self._fail(Failure(f"answered {self.status} without an answer", self.status))

    def _distrust(self, upstream: UpstreamConnection) -> None:
        """Close a connection whose response was no answer, even if it is kept already: its server
        may read nothing more there, and the next request would wait on it until its timeout."""
        self._upstream = None
        upstream.abort()

    def _handle_refusal(self, body: bytes, *, is_whole: bool) -> None:
        """Pass on a refusal of the request itself; any other is the attempt's failure, unless
        another credential may do."""
        if self.status == _REQUEST_TIMEOUT and self._uses_kept_connection and self._may_reconnect():
            # The cloud had waited for a request, and closes the connection (RFC 9110, 15.5.9).
            self._send_anew()
            return
        if self._is_compressed:
            plain = decompressed(body, _ERROR_BYTES_MAX)
            if plain is None:
                self._fail_encoded()
                return
            body, self.head = plain, without_header(self.head, b"content-encoding")
        owner = self._owner
        names_resource = owner.names_resource
        failure = failure_of(self.status, self.head, body, time(), names_resource=names_resource)
        # A refusal of the path is passed on to the client only if no other server may have the
        # path.
        if (
            lacks_path(self.status, body)
            and not names_resource
            and (failure is not None or owner.has_candidates_left)
        ):
            self._fail_without_path()
            return
        if failure is None and is_whole:
            # This 429 is about the request itself: it exceeds the limit alone, so a retry cannot
            # help.
            if self.status == _TOO_MANY_REQUESTS:
                self.head = without_retry(self.head)
            shape = owner.request.operation.shape_error
            refusal = without_our_names(body, self.candidate.target.destination.account_names)
            if shape is not None:
                refusal = shape(self.status, refusal, self._upstream_id.decode("latin-1"))
            # It tells nothing about the deployment's health: a server whose model is broken still
            # refuses what is not valid.
            self.health.cancelled()
            owner.answered(self, refusal)
            return
        if not self._presents_another_credential():
            self._fail(failure or Failure(f"answered {self.status}", self.status))

    def _presents_another_credential(self) -> bool:
        """Sign by the cloud's clock, or renew the credential, each once, where it was refused.
        Return whether the request is sent again by that."""
        target = self.candidate.target
        if not self._may_repeat or self.status not in target.refuses_with:
            return False
        if self._turns_to_clouds_clock():
            self._has_signed_anew = True
            self._send_anew()
            return True
        if target.renew is None or self._has_renewed:
            return False
        self._has_renewed = True
        self._task = self._owner.shared.loop.create_task(self._renew_and_send(target))
        return True

    def _read_stream(self, upstream: UpstreamConnection, data: bytes, complete: bool) -> None:
        """Read bytes of a stream, and hand its events to the lifecycle."""
        stream, owner = self.stream, self._owner
        assert stream is not None
        try:
            events = stream.feed(data)
            if complete:
                events += stream.close()
        except BadStream as error:
            self._distrust(upstream)
            self._report_broken_stream(str(error))
            return
        if stream.has_content:
            if not self.has_content:
                self.has_content = True
                self.first_content_us = self.age_us()
                self.health.succeeded()
            # After the last event only the connection has to end; else the next event is awaited.
            if stream.done:
                owner.shorten_deadline(self, owner.shared.wheel.now_s + _REST_TIMEOUT_S)
            else:
                owner.set_deadline(self)
            if events:
                owner.stream_content(self, events)
        # Until content has come, an error is judged as a refusal is.
        elif stream.failed:
            failure = failure_of_event(stream.error, self.status)
            if failure is not None:
                self.disconnect()
                self._fail(failure)
                return
            self._pass_on_refusal(stream)
        if complete:
            if self._is_whole_stream:
                owner.stream_ended(self)
            elif stream.failed:
                self._report_broken_stream("reported an error")
            else:
                self._distrust(upstream)
                self._report_broken_stream("ended the stream without its last event")

    def _pass_on_refusal(self, stream: Stream) -> None:
        """Pass on an error about the request itself. The error ends the stream and says nothing
        about the deployment's health."""
        target, shared = self.candidate.target, self._owner.shared
        self.is_refused = self.has_content = True
        self.first_content_us = self.age_us()
        self.health.cancelled()
        # As for whole refusals: count the attempt as failed, but not against the deployment's
        # health.
        shared.counts.failed[target.cloud] += 1
        events = stream.end_with_error()
        self._owner.shorten_deadline(self, shared.wheel.now_s + _REST_TIMEOUT_S)
        self._owner.stream_content(self, events)

    @property
    def awaits_events(self) -> bool:
        """Return whether a stream has begun and its last event has not come."""
        return self.has_content and self.stream is not None and not self.stream.done

    @property
    def awaits_whole_answer(self) -> bool:
        """Return whether the cloud works on an answer that comes whole: it charges for all of it,
        whoever has left."""
        request = self._owner.request
        is_called = self.sent and self.status < 300 and self.stream is None
        return is_called and request.operation.metered and not request.properties.streamed

    def repeat_nothing(self) -> None:
        """Send the request nowhere again, whatever comes: nobody waits for its answer."""
        self._may_repeat = False

    @property
    def _is_whole_stream(self) -> bool:
        """Return whether a stream's last event has come: no later byte belongs to the answer."""
        stream = self.stream
        return stream is not None and stream.done and stream.has_content and not stream.failed

    def _report_broken_stream(self, reason: str) -> None:
        """Report a stream that broke; before any content that is a failed attempt."""
        if self.has_content:
            self._owner.stream_broke(self, reason)
        else:
            self._fail(Failure(reason, self.status))

    def lost(self, reason: str, reused: bool) -> None:
        try:
            self._handle_loss(reason, reused)
        except Exception as error:
            self._end_with_own_fault(error)

    def _handle_loss(self, reason: str, reused: bool) -> None:
        """End the attempt whose connection was lost, or send it again on another."""
        self._upstream = None
        if self._is_whole_stream:
            self._owner.stream_ended(self)
        elif self.has_content:
            self._owner.stream_broke(self, reason)
        elif self._may_refuse_us:
            self._handle_refusal(b"".join(self._buffered or ()), is_whole=False)
        elif reused and self._may_reconnect():
            # The cloud closed the connection while it was idle: the request was not processed.
            self._connect()
        else:
            self._fail(Failure(reason, self.status))

    def _may_reconnect(self) -> bool:
        """Return whether to send an attempt, whose kept connection was closed, again on a fresh one:
        only soon after it began. A kept connection that was closed says nothing about the
        deployment. Later, the cloud may have worked on the request, so the loss is a failure."""
        return self._may_repeat and self.age_us() < self._owner.shared.limits.stale_s * 1e6

    def time_out(self) -> None:
        """End the attempt, because `due_s` has passed."""
        try:
            self._time_out()
        except Exception as error:
            self._end_with_own_fault(error)

    def _time_out(self) -> None:
        self.disconnect()
        if self._may_refuse_us:
            self._handle_refusal(b"".join(self._buffered or ()), is_whole=False)
        # The last event has come; only the end of the connection was waited for.
        elif self._is_whole_stream:
            self._owner.stream_ended(self)
        elif self.has_content:
            self._owner.stream_broke(self, "fell silent")
        else:
            self._fail(Failure("did not answer in time", self.status))

    def _fail(self, failure: Failure) -> None:
        """Report that the deployment brought no answer. That counts against its health, unless the
        cloud asks us to wait, has no capacity for the request's tier, or our account is in no
        programme that the request asks for."""
        self.failed = True
        now_s = self._owner.shared.wheel.now_s
        if self._leaves_other_requests(failure):
            self.health.cancelled()
        elif failure.wait_s:
            self.health.asked_to_wait(
                now_s,
                failure.wait_s,
                failure.outcome,
                named_duration=failure.named_duration,
                status=failure.status,
            )
        else:
            self.health.failed(now_s, failure.outcome, self._owner.customer.buyer.organisation)
        self._owner.attempt_failed(self, failure)

    def _leaves_other_requests(self, failure: Failure) -> bool:
        """Return whether requests that ask for less are served there all the same."""
        request = self._owner.request
        # The flex tier fills up by itself: requests of other tiers need not wait for it.
        if failure.lacks_flex:
            return request.needs.tier == _FLEX
        # OpenAI's 403 to whoever asks for a programme that the account is not in.
        status = failure.meant or failure.status
        return status == _FORBIDDEN and _PROGRAMMES in request.body

    def _fail_for_this_machine(self, failure: Failure) -> None:
        """Report that the system gave no connection to anywhere. That does not count against the
        deployment's health; another may have an idle connection."""
        self._owner.shared.counts.shortages["descriptors", "the process"] += 1
        self._fail_without_blame(failure)

    def _fail_without_blame(self, failure: Failure) -> None:
        """Report a failure that tells nothing about the deployment's health."""
        self.failed = True
        self.health.cancelled()
        self._owner.attempt_failed(self, failure)

    def _fail_without_path(self) -> None:
        """Report that the server lacks the operation's path. That does not count against its
        health."""
        self.failed = True
        owner = self._owner
        name, organisation = owner.request.operation.name, owner.customer.buyer.organisation
        self.health.found_absent(owner.shared.wheel.now_s, name, organisation)
        owner.attempt_failed(self, Failure(f"answered {self.status}: no such path", self.status))

    def _end_with_own_fault(self, error: Exception) -> None:
        """End the attempt as it stands, because the gateway itself failed. That counts neither for
        nor against the cloud."""
        self.failed = True
        self.disconnect()
        self.health.cancelled()
        self._owner.attempt_raised(self, error)

    def end_without_record(self) -> None:
        """Release the attempt's reservation without a record: writing the record raised."""
        if self.over:
            return
        self.over = True
        self._end_reservation(0, 0)

    def _end_reservation(self, charge: int, tokens: int) -> None:
        """End the attempt's own reservation with a charge and the tokens that were used."""
        allowance = self._owner.customer.allowance
        target = self.candidate.target
        reserved = self.reserved
        if allowance is not None:
            allowance.end_reservation(
                target.cloud,
                target.product,
                reserved.picodollars,
                charge,
                reserved.tokens,
                tokens,
            )

    def disconnect(self) -> None:
        """Abort the connection to the cloud, or stop connecting. The attempt is not over yet: its end
        must still be recorded."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def pause(self) -> None:
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def age_us(self) -> int:
        """Return the microseconds since the attempt began."""
        return (monotonic_ns() - self._begin_ns) // 1000

    # -- the usage record; it ends the reservation

    def record_units(self, units: Units, status: Status = Status.COMPLETE) -> None:
        """Record the units that the cloud reported, and their charge."""
        self.record_end(status, self.status, units)

    def record_estimate(self, status: Status, output_tokens: int) -> None:
        """Record an estimate of the usage, because the cloud did not report it."""
        request = self._owner.request
        if not request.operation.metered:
            self.record_end(status, self.status)
            return
        self.is_estimated = True
        self.record_end(status, self.status, self._estimate(output_tokens))

    def record_usage_of_answer(self, body: bytes) -> None:
        """Record the usage of a whole answer: as reported, or estimated by its length. An answer
        that tells nothing but its failure used nothing."""
        operation = self._owner.request.operation
        units = self._report.units
        if self._is_sold_by_length:
            units = _by_length(units, body)
        if units is not None:
            self.record_units(units)
        elif operation.tells_failure and used_nothing(body):
            self.record_end(Status.FAILED, self.status)
        else:
            self.record_estimate(Status.ESTIMATED, operation.tokens_answered(len(body)))

    @property
    def _is_sold_by_length(self) -> bool:
        return self.candidate.target.scale.rates.by_time

    def record_usage_of_stream(self) -> None:
        """Record the usage of a stream that is complete."""
        self.record_units(*self.units_of_stream())

    def units_of_stream(self) -> tuple[Units, Status]:
        """Return the usage of a complete stream: as reported, else an estimate from the number of its
        events, with the status ESTIMATED."""
        stream = self.stream
        assert stream is not None
        units = stream.units
        if self._is_sold_by_length:
            units = _by_length(units, data_of(stream.last))
        if units is not None:
            return units, Status.COMPLETE
        if self.is_refused:
            return (), Status.FAILED
        self.is_estimated = True
        return self._estimate(stream.events), Status.ESTIMATED

    def _estimate(self, output_tokens: int) -> Units:
        """Return an estimate of usage that was not reported; input that was reported is none. Where
        tokens cost, it is never larger than the worst case."""
        request, reserved = self._owner.request, self.reserved
        # Estimate sound that is charged by its duration from its bytes, rounded up.
        if self._is_sold_by_length:
            return ((_AUDIO_TIME, -(-len(request.body) // _SOUND_BYTES_PER_MS)),)
        pictures = request.needs.images
        estimate = request.operation.estimate(request.text_bytes, output_tokens, pictures)
        if not request.operation.metered:
            return estimate
        # Some streams report their input before their output.
        input_units = self.stream.input_units if self.stream is not None else ()
        if input_units:
            return (*input_units, (_OUTPUT, min(output_tokens, reserved.output_tokens)))
        most = {
            _INPUT: reserved.tokens - reserved.output_tokens,
            _OUTPUT: reserved.output_tokens,
        }
        return tuple([(unit, min(count, most[unit])) for unit, count in estimate])

    def output_in(self, body: bytes) -> int:
        """Return the output tokens of a whole answer: as reported, or estimated by its length."""
        units = self._report.units
        if units is not None:
            return dict(units).get(_OUTPUT, 0)
        return self._owner.request.operation.tokens_answered(len(body))

    def record_usage_until_now(self, output_tokens: int = 0) -> None:
        """Record the usage until the answer broke off: as reported, or estimated by the events that
        were passed on and by the input that the stream reported, if it did. Of an answer that comes
        whole, `output_tokens` are estimated: its cloud works it out to its end. A request that was
        never sent, or was refused, used nothing, and a response that runs on at the cloud is
        metered at its end."""
        stream = self.stream
        units = stream.units if stream is not None else None
        if self.pending_resource is not None or not self._owner.request.operation.metered:
            self.record_end(Status.INTERRUPTED, self.status)
        elif self.is_refused:
            self.record_usage_of_stream()
        elif units is not None:
            self.record_units(units, Status.INTERRUPTED)
        # A refusal may still be arriving, or its credential be renewed.
        elif self.awaits_whole_answer:
            self.record_estimate(Status.INTERRUPTED_ESTIMATED, output_tokens)
        elif self.sent and self.status < 300:
            self.record_estimate(
                Status.INTERRUPTED_ESTIMATED,
                stream.events if stream is not None and self.has_content else 0,
            )
        else:
            self.record_end(Status.FAILED, self.status)

    def record_end(self, status: Status, http_status: int, units: Units = ()) -> None:
        """Write the usage record to the journal, exactly once, and end the reservation with its
        charge."""
        owner, customer = self._owner, self._owner.customer
        charge = self._charge_and_append(status, http_status, units, customer.label)
        if customer.allowance is None:
            return
        # The resource runs on at the cloud: keep the reservation until its end brings the charge.
        if self.pending_resource is not None:
            target, reserved = self.candidate.target, self.reserved
            # A batch's reservation is a lease of its own, which outlives this process.
            outlives_process = self.pending_resource.hold is not None
            reservation = Reservation(
                customer.allowance,
                target.cloud,
                target.product,
                reserved.picodollars,
                reserved.tokens,
                outlives_process,
            )
            owner.shared.holds.keep(self.pending_resource.identifier, reservation)
            return
        self._end_reservation(charge, self._tokens)

    def record_resource_end(self, resource: IndexedResource, units: Units, status: Status) -> None:
        """Write the usage record to the journal: the usage of a pending resource whose end this
        attempt has seen. Record it for the key, and at the endpoint, that made the resource."""
        shared = self._owner.shared
        charge = self._charge_and_append(
            status, self.status, units, shared.spool.label(resource.buyer), resource
        )
        # Do not count a batch's tokens in the minute in which it ends.
        tokens = 0 if resource.endpoint == BATCHES.code else self._tokens
        # The charge ends the reservation that is kept for the resource. If none is kept, because the
        # resource was made before a restart, the charge counts against the key of this request,
        # because the money is spent.
        if self.pending_resource is None and shared.holds.end_reservation(
            resource.identifier, charge, tokens
        ):
            charge = tokens = 0
        self._end_reservation(charge, tokens)

    def _charge_and_append(
        self,
        status: Status,
        http_status: int,
        units: Units,
        buyer: int,
        resource: IndexedResource | None = None,
    ) -> int:
        """Charge the units, append the usage record, which ends the attempt, and let the target learn
        from it. Return the charge in picodollars. The usage is this request's, or that of the
        `resource` whose end it has seen."""
        assert not self.over, "an attempt ends once"
        owner, candidate = self._owner, self.candidate
        shared, target = owner.shared, candidate.target
        duration_us = (monotonic_ns() - self._begin_ns) // 1000
        deployment, ruling = target.label, candidate.ruling
        # The charge: at the plain price, or at that of the service tier that the cloud reports.
        charge = tokens = 0
        recorded_units: tuple[tuple[int, int], ...] = units
        if units:
            tokens = tokens_of(units)
            tier = self._tier_as_served(resource)
            if target.has_varying_prices or tier:
                charge = self._charge_as_served(units, resource, tier)
                # The journal keeps the tier among the units.
                recorded_units = (*units, (TIER_CODE, TIERS.index(tier))) if tier else units
            else:
                charge = target.charge(units)
            # The counters leave estimates and broken answers out.
            if status is _COMPLETE:
                shared.counts.tokens[target.cloud] += tokens
        self._tokens = tokens
        if target.is_watched:
            self._teach_target(status, duration_us, units, resource)
        # The record, and with it the end of the attempt.
        shared.spool.append(
            pack_usage_fields(
                boot=shared.boot,
                number=owner.number,
                attempt=self.ordinal,
                event_ns=owner.event_ns,
                recorded_ns=time_ns(),
                buyer=buyer,
                deployment=deployment,
                ruling=ruling,
                endpoint=owner.request.operation.code if resource is None else resource.endpoint,
                status=status,
                http_status=http_status,
                streamed=self.stream is not None,
                duration_us=duration_us,
                first_content_us=self.first_content_us or duration_us,
                charge_picodollars=charge,
                units=recorded_units,
                upstream_id=self._upstream_id,
            ),
            buyer,
            deployment,
            ruling,
        )
        self.over = True
        self.units, self.charged = units, charge
        return charge

    def _teach_target(
        self, status: Status, duration_us: int, units: Units, resource: IndexedResource | None
    ) -> None:
        """Let the target learn how far its quota was misjudged and, if its model has answered, its
        pace. Reading a resource is no answer of a model, and a batch has a quota of its own."""
        owner, is_batch = self._owner, resource is not None and resource.endpoint == BATCHES.code
        has_answered = bool(units) and resource is None
        expected = tokens_expected(owner.request, self.reserved)
        self.candidate.target.observe(
            self.stream is not None,
            status,
            (self.first_content_us or duration_us) if has_answered else 0,
            (0 if is_batch else self._tokens) - expected,
            owner.shared.wheel.now_s,
        )

    @property
    def units_of_answer(self) -> Units | None:
        """Return the usage that a whole answer reported, None where it reported none."""
        return self._report.units

    @property
    def model_there(self) -> str:
        """Return the model that the cloud says gave the answer; empty where it does not say."""
        return self.stream.model if self.stream is not None else self._report.model

    def _tier_as_served(self, resource: IndexedResource | None) -> str:
        """Return the service tier that the cloud reports: not always the one that the client asked for.
        Empty for the default tier that nobody asked for and no price depends on; who made a resource
        may have asked. Any other tier is recorded, because its price may become known later."""
        tier = self.stream.tier if self.stream is not None else self._report.tier
        is_asked = resource is not None or bool(self._owner.request.needs.tier)
        if tier == DEFAULT_TIER and not is_asked and not self.candidate.target.tiered:
            return ""
        return tier

    def _charge_as_served(self, units: Units, resource: IndexedResource | None, tier: str) -> int:
        """Return the charge of the units in the tier in which they were served."""
        owner = self._owner
        buyer, endpoint = owner.customer.buyer, owner.request.operation.name
        if resource is not None:
            buyer, endpoint = resource.buyer, ENDPOINT_NAMES[resource.endpoint]
        return self.candidate.target.charge_of(units, endpoint, tier, buyer, owner.event_ns)


def _by_length(units: Units | None, answer: bytes) -> Units | None:
    """Return the length of the audio that an answer tells, for tokens have no price where audio is
    sold by its length; the units that it reports where they are that length, or none is told."""
    return units if _AUDIO_TIME in dict(units or ()) else time_heard_in(answer) or units


def _with_content_type(head: bytes, content_type: bytes) -> bytes:
    """Return the header lines for a client whose cloud said otherwise of its body, or sent its
    events in AWS's frames."""
    return without_header(head, b"content-type") + b"content-type: %b\r\n" % content_type


def tokens_expected(request: UnderstoodRequest, reserved: WorstCase) -> int:
    """Return about how many tokens a request takes from its model's quota of the minute: a part of
    its bytes, because its answer is not known. A picture has far more bytes than tokens, so a
    request takes no more than was reserved for its input."""
    if not request.operation.metered:
        return 0
    return min(len(request.body) // BYTES_PER_TOKEN, reserved.tokens - reserved.output_tokens)


def tokens_of(units: Units) -> int:
    """Return input and output tokens together, each token once."""
    total = 0
    for unit, count in units:
        if unit is _INPUT or unit is _OUTPUT:
            total += count
    return total


# Python 3.11 takes longer to find a member of an enumeration than a name of a module.
_COMPLETE: Final = Status.COMPLETE
_INPUT: Final = Unit.INPUT_TOKENS
_OUTPUT: Final = Unit.OUTPUT_TOKENS
_AUDIO_TIME: Final = Unit.AUDIO_INPUT_MILLISECONDS
# For estimates: sound as MP3 of 128 kbit/s.
_SOUND_BYTES_PER_MS: Final = 16
