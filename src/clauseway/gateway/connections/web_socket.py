"""A client's WebSocket on `/v1/responses`: a session in which each message is a request as over
POST, with all its checks, limits and records; its events go out as messages, one request after the
other. Clouds are asked over POST: nothing of a session lives there.

wsproto only frames messages; the handshake is two lines. No compression is accepted, because a
message could unfold to more bytes than its limit.
"""

import asyncio
import contextlib
from base64 import b64decode, b64encode
from collections import deque
from hashlib import sha1
from itertools import islice
from typing import Final

import httptools
from wsproto import ConnectionType
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from clauseway.gateway.connections.incoming import Incoming
from clauseway.gateway.connections.router import Router
from clauseway.gateway.connections.served_client import ServedClient
from clauseway.gateway.request.in_flight import Use
from clauseway.gateway.request.refusals import Refused, refused_body
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.errors import error_response
from clauseway.gateway.wire.web_socket_turns import (
    EventReader,
    PreparedInput,
    SessionPreparation,
    SessionSteering,
    event_of_steering,
    events_of_preparation,
    in_lane,
    message_of_answer,
    request_of,
)
from clauseway.metering import RequestId

PATHS: Final = frozenset((b"/v1/responses", b"/openai/v1/responses", b"/openai/responses"))
_VERSION: Final = b"13"
_OFFERED_VERSION: Final = b"sec-websocket-version: 13\r\n"
_KEY_BYTES: Final = 16
_EVENT_STREAM: Final = b"text/event-stream"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
# The objects of a message that waits, beside its text: messages without a byte are not read without
# end either.
_WAITING_BYTES: Final = 256
# A read has room for tens of thousands of frames without a byte, which take a second: others' turns
# come between so many.
_FRAMES_AT_ONCE: Final = 64
# A fragment of so many bytes is not counted among a key's frames: clients and proxies cut a long
# message into fragments of 4 KB and more, and what these cost goes by their bytes.
_LONG_FRAGMENT_BYTES: Final = 1024
_HEAD: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-accept: %b\r\n\r\n"
)


def names_web_socket(upgrade: bytes) -> bool:
    """Return whether `Upgrade` names WebSocket among its protocols."""
    return b"websocket" in [name.strip() for name in upgrade.lower().split(b",")]


def check_handshake(handshake: Incoming) -> None:
    """Raise Refused if the handshake is none of RFC 6455, 4.2.1: of another version, or without a
    key of 16 bytes in base64."""
    if handshake.web_socket_version != _VERSION:
        message = "A WebSocket is opened by version 13 (RFC 6455, 4.2)."
        raise Refused(errors.MALFORMED_HTTP, message, headers=_OFFERED_VERSION)
    try:
        length = len(b64decode(handshake.web_socket_key, validate=True))
    except ValueError:
        length = 0
    if length != _KEY_BYTES:
        message = "Sec-WebSocket-Key is 16 bytes in base64 (RFC 6455, 4.1)."
        raise Refused(errors.MALFORMED_HTTP, message)


def accepted(key: bytes) -> bytes:
    """Return the head that answers a handshake."""
    return _HEAD % b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


class _Answer:
    """The answer to one turn, taken apart as its bytes come. The parser calls back."""

    def __init__(self, session: "WebSocketSession", lane: bytes) -> None:
        self._session = session
        self._lane = lane
        self._parser = httptools.HttpResponseParser(self)
        self._events = EventReader()
        self._streamed = False
        self._ended = False  # the turn's last event was sent
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type" and value.lower().startswith(_EVENT_STREAM):
            self._streamed = True

    def on_body(self, data: bytes) -> None:
        if not self._streamed:
            self._pieces.append(data)
            return
        for event in self._events.events(data):
            # After an error the failure of the response may follow, or ours: a client would take
            # it for the answer to its next turn.
            if not self._ended:
                self._ended = event.ends_turn
                self._session.send(in_lane(event.data, self._lane))

    def on_message_complete(self) -> None:
        if self._streamed:
            # Some servers write no empty line behind their last event.
            self.on_body(b"\n\n")
        else:
            body = b"".join(self._pieces)
            status = self._parser.get_status_code()
            self._session.send(message_of_answer(status, body, self._lane))


class _Message:
    """A message as it arrives. Its bytes count for its key from the first on, as those of a body
    do; `refused` tells that there are too many, and the rest of it is dropped."""

    __slots__ = ("bytes_in_flight", "length", "refused", "text", "use")

    def __init__(self) -> None:
        # One buffer: an object for each fragment would be larger than a short fragment's bytes.
        self.text = bytearray()
        self.length = 0
        self.bytes_in_flight = 0
        self.use: Use | None = None
        self.refused: Refused | None = None


class WebSocketSession(ServedClient):
    """See the module. It takes the place of the connection that took the handshake, with that
    one's key and its count among the connections of its address.

    INVARIANT: bytes of messages are counted in `in_flight` by the message that arrives, those that
    wait, the lifecycle, or the input that is kept for a later turn, and by one of them alone.
    """

    head_lines = b""
    chunked = True

    def __init__(
        self,
        shared: Shared,
        router: Router,
        transport: asyncio.Transport,
        handshake: Incoming,
        address: str,
    ) -> None:
        super().__init__(shared, router)
        self._transport = transport
        self._handshake = handshake
        self._address = address
        self._frames = Frames(ConnectionType.SERVER)
        self._arriving = _Message()
        self._waiting: deque[_Message] = deque()
        self._prepared: PreparedInput | None = None
        self._preparing = _Message()  # holds the bytes of what is prepared
        self._waiting_bytes = 0
        self._answer: _Answer | None = None
        self._paused = False
        self._frame_bytes = 0  # of the frame of a message that arrives
        self._behind = False  # frames that were read are still to be heard
        self._closing = False
        self._leaving = ""  # why the session ends with the turns that came before
        self._heard = True  # something came since it was looked at last
        shared.connections.add(self)
        shared.wheel.arm(self, shared.wheel.now_s + shared.limits.idle_s)

    # -- asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._closing:
            return
        self._shared.busy_polling.bytes_came()
        self._frames.receive_data(data)
        if not self._behind:
            self._hear_some()

    def _hear_some(self) -> None:
        """Hear some of the frames that were read, and the others once other connections had their
        turn; no more is read meanwhile."""
        was_behind = self._behind
        count = 0
        for event in islice(self._frames.events(), _FRAMES_AT_ONCE):
            count += 1
            self._hear(event)
        self._behind = count == _FRAMES_AT_ONCE and not self._closing
        if self._behind:
            self._shared.loop.call_soon(self._hear_some)
        if self._behind != was_behind and not self._paused and not self._closing:
            if self._behind:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _hear(self, event: Event) -> None:
        if self._closing:
            return
        if isinstance(event, (Ping, Pong)) and not self._count_frame():
            return
        if isinstance(event, TextMessage):
            self._gather(event)
        elif isinstance(event, Ping):
            self._transport.write(self._frames.send(event.response()))
        elif isinstance(event, BytesMessage):
            self._close(CloseReason.UNSUPPORTED_DATA, "Messages are text.")
        elif isinstance(event, CloseConnection):
            # By the client; or by the framing, which has found a flaw.
            self._close(event.code, event.reason or "")

    def _count_frame(self) -> bool:
        """Count a frame for the key; return whether the session goes on."""
        shared, use = self._shared, self._router.use
        try:
            if use is not None:
                shared.in_flight.count_frame(use, shared.wheel.now_s, shared.limits)
        except Refused as refused:
            shared.counts.refusals[refused.kind.code] += 1
            self._close(CloseReason.POLICY_VIOLATION, str(refused))
            return False
        return True

    def _counts(self, event: TextMessage, count: int) -> bool:
        """Return whether what came of a message ends a frame that counts for the key."""
        self._frame_bytes += count
        if not event.frame_finished:
            return False
        length, self._frame_bytes = self._frame_bytes, 0
        return event.message_finished or length < _LONG_FRAGMENT_BYTES

    def _gather(self, event: TextMessage) -> None:
        shared, message = self._shared, self._arriving
        fragment = event.data.encode()
        count = len(fragment)
        if self._counts(event, count) and not self._count_frame():
            return
        message.length += count
        if message.length > shared.limits.body_bytes:
            reason = f"A message may have at most {shared.limits.body_bytes:,} bytes."
            self._close(CloseReason.MESSAGE_TOO_BIG, reason)
            return
        if message.refused is None:
            message.text += fragment
            try:
                self._count_bytes(message, count)
            except Refused as refused:
                message.refused = refused
                message.text.clear()
                self._release_bytes(message)
        if event.message_finished:
            self._arriving = _Message()
            if self._leaving:
                self._release_bytes(message)  # the session ends with what came before
            else:
                self._wait(message)

    def _wait(self, message: _Message) -> None:
        self._waiting.append(message)
        self._waiting_bytes += message.length + _WAITING_BYTES
        if self._lifecycle is None:
            self._serve_next()
        elif self._waiting_bytes > self._shared.limits.ahead_bytes:
            self._pause_reading()

    def _count_bytes(self, message: _Message, count: int) -> None:
        """Count bytes among those of the key that the session has now. Raises Refused."""
        message.use = message.use or self._router.use
        if count and message.use is not None:
            self._shared.in_flight.count_body(
                message.use, count, message.bytes_in_flight, self._shared.limits
            )
            message.bytes_in_flight += count

    def _release_bytes(self, message: _Message) -> None:
        if message.bytes_in_flight and message.use is not None:
            self._shared.in_flight.release(message.use, message.bytes_in_flight)
            message.bytes_in_flight = 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        shared = self._shared
        shared.connections.discard(self)
        shared.in_flight.leave(self._address)
        shared.wheel.forget(self)
        for message in (self._arriving, self._preparing, *self._waiting):
            self._release_bytes(message)
        self._forget_unread()
        self._router.leave()
        self._waiting.clear()
        self._leave_request()

    def pause_writing(self) -> None:
        self._hold_unread(self._transport)

    def resume_writing(self) -> None:
        self._stuck = False
        self._forget_unread()
        if self._lifecycle is not None:
            self._lifecycle.client_resumed()
        else:
            self._shared.loop.call_soon(self._serve_next)

    def _pause_reading(self) -> None:
        if not self._paused:
            self._paused = True
            if not self._behind:
                self._transport.pause_reading()

    # -- one turn

    def _serve_next(self) -> None:
        if self._closing or self._stuck or self._lifecycle is not None:
            return
        if self._waiting:
            message = self._waiting.popleft()
            self._waiting_bytes -= message.length + _WAITING_BYTES
            self._serve(message)
        elif self._paused:
            self._paused = False
            if not self._behind:
                self._transport.resume_reading()

    def _serve(self, message: _Message) -> None:
        shared = self._shared
        answer = self._answer = _Answer(self, b"")
        try:
            if message.refused is not None:
                raise message.refused
            turn = request_of(bytes(message.text), self._prepared)
            message.text.clear()
            if isinstance(turn, SessionSteering):
                shared.counts.refusals[errors.NOT_IMPLEMENTED.code] += 1
                self.send(event_of_steering(turn))
                self.request_over(intact=True)
                return
            answer = self._answer = _Answer(self, turn.lane)
            if isinstance(turn, SessionPreparation):
                self._router.customer_of(self._handshake)
                self._prepare(turn, message)
                self.request_over(intact=True)
                return
            incoming = self._handshake.message(turn.body)
            # Prepared input makes a body longer than its message.
            self._count_bytes(message, max(0, len(turn.body) - message.bytes_in_flight))
            if len(turn.body) > shared.limits.body_bytes:
                most = f"A body may have at most {shared.limits.body_bytes:,} bytes."
                raise Refused(errors.BODY_TOO_LARGE, most)
            outcome = self._router.route(incoming, self)
            if not isinstance(outcome, bytes):
                # The lifecycle answers for the bytes of the body from here on.
                outcome.in_flight_use = message.use
                outcome.bytes_in_flight = message.bytes_in_flight
                message.bytes_in_flight = 0
                self._begin(outcome)
                return
            whole = outcome
        except BadBody as error:
            whole = self._refusal(refused_body(error))
        except Refused as refused:
            whole = self._refusal(refused)
        except Exception as error:
            shared.report_fault(error)
            self._drop_request()
            self._close(CloseReason.INTERNAL_ERROR, errors.OWN_FAULT)
            return
        finally:
            self._release_bytes(message)
        answer.feed(whole)
        self.request_over(intact=True)

    def _prepare(self, preparation: SessionPreparation, message: _Message) -> None:
        """Keep the input for the turn that follows, in the place of what was kept before; its
        bytes stay counted as long."""
        shared = self._shared
        hexadecimal = str(RequestId(shared.boot, shared.next_number())).partition("_")[2]
        identifier = f"resp_{hexadecimal}"
        count = sum(len(bytes(item)) for item in preparation.items)
        self._count_bytes(message, max(0, count - message.bytes_in_flight))
        self._release_bytes(self._preparing)
        self._preparing, self._prepared = _Message(), preparation.keep_as(identifier)
        self._preparing.use, self._preparing.bytes_in_flight = message.use, message.bytes_in_flight
        message.bytes_in_flight = 0
        for event in events_of_preparation(
            preparation, identifier, shared.clock() // 1_000_000_000
        ):
            self.send(event)

    def _refusal(self, refused: Refused) -> bytes:
        self._shared.counts.refusals[refused.kind.code] += 1
        return error_response(refused.kind, str(refused), param=refused.param)

    # -- the lifecycle's caller

    def write(self, data: bytes) -> None:
        if self._answer is not None and not self._closing:
            self._answer.feed(data)

    def request_over(self, *, intact: bool) -> None:
        self._lifecycle = self._answer = None
        if self._closing:
            return
        shared = self._shared
        self._count_unread()
        if self._leaving and not self._waiting:
            self._close(CloseReason.GOING_AWAY, self._leaving)
            return
        shared.wheel.arm(self, shared.wheel.now_s + shared.limits.idle_s)
        # Not from within this call: a long line of refusals would nest as deeply.
        shared.loop.call_soon(self._serve_next)

    # -- the socket

    def send(self, message: bytes) -> None:
        if not self._closing:
            # A cloud may cut a character in two, and a message is UTF-8 (RFC 6455, 5.6).
            text = message.decode("utf-8", "replace")
            self._transport.write(self._frames.send(TextMessage(data=text)))

    def timer_fired(self) -> None:
        """Called by the wheel: a deadline of the request, or nothing came for a while."""
        shared = self._shared
        if self._lifecycle is not None:
            self._check_deadlines(self._lifecycle)
        elif self._closing or not self._heard:
            self._transport.abort()
        else:
            self._heard = False
            self._transport.write(self._frames.send(Ping()))
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.idle_s)

    def _close(self, code: int, reason: str) -> None:
        """Say why nothing more comes, and close; whoever does not read that has some time."""
        if self._closing:
            return
        self._closing = True
        self._leave_request()
        shared, transport = self._shared, self._transport
        is_clients_end = self._frames.state is ConnectionState.REMOTE_CLOSING
        with contextlib.suppress(LocalProtocolError):  # the client may have closed meanwhile
            transport.write(self._frames.send(CloseConnection(code, reason[:100])))
        if is_clients_end or code == CloseReason.GOING_AWAY or not transport.can_write_eof():
            transport.close()
        else:
            self._drop_what_arrives()
        shared.wheel.arm(self, shared.wheel.now_s + shared.limits.linger_s)

    def _drop_what_arrives(self) -> None:
        """Close the sending half, and read and drop what the client still sends: closing over it
        would reset the connection, and the client would lose the reason."""
        self._transport.write_eof()
        if self._paused or self._behind:
            self._paused = self._behind = False
            self._transport.resume_reading()

    def stop_when_idle(self, reason: str) -> None:
        self._leaving = self._leaving or reason
        if self._lifecycle is None and not self._waiting:
            self._close(CloseReason.GOING_AWAY, self._leaving)

    def abort(self) -> None:
        self._transport.abort()
