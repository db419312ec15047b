"""One connection of a client: HTTP/1.1 in, one request at a time, answers in the order of the
requests.

The parser calls back for each part of a request; a request that is complete while another is being
answered waits in line, and reading stops when enough has come ahead. What a request asks for is the
router's to say.

A body is kept only where the head before it is good for something: a known key and something that
it may ask for. A wish for another protocol (`Upgrade`) is skipped, but for a WebSocket on
`/v1/responses`: the request is answered in this one (RFC 9110, 7.8).

A client that closes its sending half after whole requests gets its answers. From here that looks
like a client that left, so the first bytes of the answer go out at once: who has left rejects them.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final, cast

import httptools

from clauseway.gateway.connections.incoming import NOTHING, Incoming
from clauseway.gateway.connections.router import Router
from clauseway.gateway.connections.web_socket import PATHS, WebSocketSession, accepted
from clauseway.gateway.request.in_flight import Use, address_of
from clauseway.gateway.request.lifecycle import Lifecycle
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.errors import ErrorKind, error_response

# Below the least limit that may be set for a head; most heads are shorter.
_HEADS_MOSTLY: Final = 1000
# _DROP is 0: the common case is tested first.
_DROP: Final = 0
_PASS: Final = 1
_AUTHORIZATION: Final = 2
_API_KEY: Final = 3
_CLOUD: Final = 4
_LENGTH: Final = 5
_EXPECT: Final = 6
_CONTENT_TYPE: Final = 7
_HEDGE: Final = 8
_CODING: Final = 9
_UPGRADE: Final = 10
_HOST: Final = 11
_WEB_SOCKET_KEY: Final = 13
_OTHER_API_KEY: Final = 12  # as Anthropic's clients name it; some of them send both
# The client's headers that are read here, and those that clouds receive. All others (cookies,
# credentials, proxies' notes) are dropped, except those that a setting names.
_ACTIONS: Final = {
    b"authorization": _AUTHORIZATION,
    b"api-key": _API_KEY,
    b"x-api-key": _OTHER_API_KEY,
    b"x-clauseway-cloud": _CLOUD,
    b"content-type": _CONTENT_TYPE,
    b"content-length": _LENGTH,
    b"x-clauseway-hedge-ms": _HEDGE,
    b"expect": _EXPECT,
    b"transfer-encoding": _CODING,
    b"upgrade": _UPGRADE,
    b"sec-websocket-key": _WEB_SOCKET_KEY,
    b"host": _HOST,
    b"openai-beta": _PASS,
    b"anthropic-version": _PASS,
    b"anthropic-beta": _PASS,
    b"x-client-request-id": _PASS,
    b"traceparent": _PASS,
    b"tracestate": _PASS,
}
_SPELLINGS_MAX: Final = (
    2000  # how many spellings of header names are remembered; a hostile client cannot grow it
)


class Actions(dict[bytes, int]):
    """The action for a header, by its name as it is spelled. `passed` are names that clouds receive
    beside those that always do."""

    def __init__(self, passed: Iterable[str] = ()) -> None:
        self._passed = frozenset([name.lower().encode() for name in passed])

    def __missing__(self, name: bytes) -> int:
        lower = name.lower()
        action = _ACTIONS.get(lower, _PASS if lower in self._passed else _DROP)
        if len(self) < _SPELLINGS_MAX:
            self[name] = action
        return action


# Consecutive bytes that may come without a byte of a request's body: chunk extensions, trailers.
_BARREN_BYTES_MAX: Final = 64 << 10
# The bytes with which every answer begins go out one by one, to learn whether a client that sends
# nothing more is still there; leading zeros of a chunk's size where the answer has begun.
_BEGINNING: Final = b"HTTP/1.1 "
_PROBE_S: Final = 0.1  # a round trip at least; each further probe doubles it
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# A body that says it is as short is not counted among bytes in flight: the limits of connections
# bound what all of these have together, to a few MB.
_UNCOUNTED_BYTES_MAX: Final = 4 << 10
# Of a body that nobody wants so much is read and dropped, and the connection can be used again;
# more is turned away.
_DROPPED_BYTES_MAX: Final = 64 << 10
# Connections beyond a limit of which so many wait for what they ask; more are closed at once.
_TURNED_AWAY_MAX: Final = 1000
# A connection beyond a limit of connections may still ask for these: a probe that hears a refusal
# would take the whole gateway out of service.
_HEALTH: Final = (b"/readyz", b"/healthz")
# In the place of the parser of a connection that is lost: they know each other, and nobody collects
# such a ring soon.
_NO_PARSER: Final = httptools.HttpRequestParser(object())


class ClientConnection(asyncio.Protocol):
    """See the module. `head_lines` and `chunked` are what the present request asks of its answer's
    framing."""

    def __init__(self, shared: Shared, actions: Actions) -> None:
        self._shared = shared
        self._actions = actions
        # It knows the connection, so it is created when the connection is made: a handshake may
        # fail before.
        self._parser = _NO_PARSER
        self._router = Router(shared)
        self._transport: asyncio.Transport | None = None
        self._incoming: Incoming = NOTHING
        self._handshake: Incoming = NOTHING  # of a WebSocket that is about to be opened
        self._lifecycle: Lifecycle | None = None
        self._waiting: deque[Incoming] = deque()
        self._waiting_bytes = 0
        self._head_bytes = 0
        self._barren_bytes = 0
        self._completed = 0  # requests that have arrived whole
        self._ended = False  # the client sends nothing more
        self._sent_ahead = 0  # bytes of the next answer that went out as probes
        self._probes = 0
        self._paused = False
        self._stuck = False  # more is to be sent than the client reads
        self._unsent = -1  # how much, when it was looked at last
        self._address = ""  # as it is counted
        self._excess: Refused | None = None  # it is beyond a limit of connections, and hears so
        self._refused = False
        self._closing = False
        self._authorities_replaced = shared.authorities_replaced
        self._replaying = False
        self.head_lines = b""
        self.chunked = True
        self.due_s = 0.0
        self.slot_s = 0.0

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        shared = self._shared
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        shared.connections.add(self)
        self._address = address_of(transport.get_extra_info("peername"))
        self._excess = shared.in_flight.enter(self._address, shared.limits)
        if self._excess is not None:
            self._begin_in_excess(self._excess)
        elif self._authorities_replaced != shared.authorities_replaced:
            # Its handshake was begun with an authority that was replaced before the end.
            self._refused = True
            self._transport.abort()
        elif shared.draining:
            self._await_only_request()
        else:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.head_s)

    def _begin_in_excess(self, excess: Refused) -> None:
        """Wait for a moment for what it asks for: the answer is read only then."""
        shared, transport = self._shared, self._transport
        shared.in_flight.turned_away += 1
        if shared.in_flight.turned_away > _TURNED_AWAY_MAX and transport is not None:
            shared.counts.refusals[excess.kind.code] += 1
            transport.abort()
        else:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.linger_s)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if len(data) > _HEADS_MOSTLY and self._is_too_long(data):
            self._refuse(
                errors.HEAD_TOO_LARGE, f"A head may have {self._shared.limits.head_bytes} bytes."
            )
            return
        completed, pieces = self._completed, len(self._incoming.pieces)
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError as error:
            # Ours, not the client's: only this connection is given up.
            self._shared.report_fault(error.__context__ or error)
            self._refuse(errors.INTERNAL, errors.OWN_FAULT)
            return
        except httptools.HttpParserError as error:
            self._refuse(errors.MALFORMED_HTTP, f"This is not a valid HTTP/1.1 request: {error}.")
            return
        if self._lifecycle is None:
            self._await_more(len(data), completed, pieces)
        elif self._waiting or self._incoming.begun:
            self._waiting_bytes += len(data)
            if self._waiting_bytes > self._shared.limits.ahead_bytes:
                self._pause_reading()

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            if self._handshake is not NOTHING:
                self._open_session(data)
                return
            if self._closing and not self._incoming.begun:
                return  # CONNECT: what follows is for somebody else
            self._keep_protocol()

    def _opens_session(self, incoming: Incoming) -> bool:
        """Return whether a handshake asks for a WebSocket where there is one, and nothing is open
        before it."""
        return (
            incoming.web_socket_key != b""
            and incoming.method == b"GET"
            and incoming.url.partition(b"?")[0] in PATHS
            and self._lifecycle is None
            and not self._waiting
        )

    def _open_session(self, data: bytes) -> None:
        """Leave the connection to a session; `data` is what came after the handshake."""
        shared, transport, handshake = self._shared, self._transport, self._handshake
        self._incoming = self._handshake = NOTHING
        if transport is None or self._refused:
            return
        if shared.draining:
            self._refuse(errors.STOPPING, "The gateway is stopping: open the session again.")
            return
        try:
            self._router.admit(handshake)
        except Refused as refused:
            self._refuse_as(refused)
            return
        transport.write(accepted(handshake.web_socket_key))
        session = WebSocketSession(shared, self._router, transport, handshake, self._address)
        # The session owns the transport from here: no timer and no close of ours may reach it.
        self._transport = None
        self._parser = _NO_PARSER
        shared.connections.discard(self)
        shared.wheel.forget(self)
        transport.set_protocol(session)
        if data:
            session.data_received(data)

    def _keep_protocol(self) -> None:
        """Go on in HTTP/1.1, with another parser: the last one takes what follows an `Upgrade` for
        no HTTP, the body of the request too."""
        incoming = self._incoming
        self._parser = httptools.HttpRequestParser(self)
        if incoming.begun:
            framing = (
                b"transfer-encoding: chunked"
                if incoming.coded
                else b"content-length: " + incoming.length
            )
            self._replaying = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
            self._replaying = False
            self._incoming = incoming

    def _is_too_long(self, data: bytes) -> bool:
        """Return whether a head goes on in this beyond its limit: also one that comes as a whole is
        looked at."""
        if self._incoming.head_done:
            return False
        end = data.find(b"\r\n\r\n")
        return self._head_bytes + (len(data) if end < 0 else end) > self._shared.limits.head_bytes

    def eof_received(self) -> bool:
        """The client sends nothing more. Return whether the connection stays open: as long as whole
        requests have no answer yet. (TLS cannot be closed by halves here.)"""
        transport = self._transport
        if transport is None:
            return False
        # Bytes after a whole request may have been refused: that request has its answer still.
        if self._lifecycle is None and (self._refused or not self._waiting):
            return False
        if transport.get_extra_info("ssl_object") is not None:
            return False
        self._ended = True
        self._probe()
        return True

    def _probe(self) -> None:
        """Send a byte that no client has to notice, and the next one some time later."""
        lifecycle, transport = self._lifecycle, self._transport
        if lifecycle is None or transport is None or self._probes >= len(_BEGINNING):
            return
        if not lifecycle.has_sent_bytes:
            transport.write(_BEGINNING[self._sent_ahead : self._sent_ahead + 1])
            self._sent_ahead += 1
        elif self.chunked:
            transport.write(b"0")
        delay_s = _PROBE_S * 2**self._probes
        self._probes += 1
        self._shared.loop.call_later(delay_s, self._probe)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._shared.connections.discard(self)
        self._refused = True
        # A connection beyond a limit was never counted among those in flight.
        if self._excess is None:
            self._shared.in_flight.leave(self._address)
        else:
            self._shared.in_flight.turned_away -= 1
        for incoming in (self._incoming, *self._waiting):
            self._release_bytes(incoming)
        self._router.leave()
        self._waiting.clear()
        self._incoming = NOTHING
        self._parser = _NO_PARSER
        self._shared.wheel.forget(self)
        lifecycle, self._lifecycle = self._lifecycle, None
        if lifecycle is not None:
            lifecycle.client_left()

    def pause_writing(self) -> None:
        """The client does not read its answers: nothing more is read of what it asks."""
        self._stuck = True
        self._pause_reading()
        if self._lifecycle is not None:
            self._lifecycle.client_paused()

    def resume_writing(self) -> None:
        self._stuck = False
        if self._lifecycle is not None:
            if self._waiting_bytes <= self._shared.limits.ahead_bytes:
                self._resume_reading()
            self._lifecycle.client_resumed()
        elif self._waiting:
            self._shared.loop.call_soon(self._serve_next)
        elif not self._refused:
            self._go_on_reading()

    # -- deadlines

    def _await_more(self, count: int, completed: int, pieces: int) -> None:
        """The request is not complete: it is idle time, or time to send a head or a body. Before
        the last read of `count` bytes, `completed` requests and `pieces` of a body had come."""
        shared = self._shared
        incoming = self._incoming
        if self._transport is None:
            return  # a session has taken over
        if incoming.head_done:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.body_s)
            if incoming.unwanted or len(incoming.pieces) != pieces:
                self._barren_bytes = 0
                return
            self._barren_bytes += count
            if self._barren_bytes > _BARREN_BYTES_MAX:
                self._refuse(
                    errors.HEAD_TOO_LARGE,
                    f"Extensions and trailers of a body may have {_BARREN_BYTES_MAX} bytes.",
                )
        elif incoming.begun:
            if self._completed != completed:
                count = 0  # most of it was of the requests before
            if self._head_bytes == 0:
                shared.wheel.arm(self, shared.wheel.now_s + shared.limits.head_s)
            self._head_bytes += count
            if self._head_bytes > shared.limits.head_bytes:
                self._refuse(
                    errors.HEAD_TOO_LARGE, f"A head may have {shared.limits.head_bytes} bytes."
                )

    def timer_fired(self) -> None:
        """Called by the wheel."""
        shared = self._shared
        lifecycle = self._lifecycle
        if lifecycle is not None:
            if lifecycle.due_s <= shared.wheel.now_s:
                lifecycle.check_deadlines(shared.wheel.now_s)
            # The check may have ended the request, and its answer begun the next one in line.
            if self._lifecycle is lifecycle:
                shared.wheel.arm(self, max(lifecycle.due_s, shared.wheel.now_s))
        elif self._transport is None:
            return
        elif self._transport.is_closing() or self._stuck:
            self._await_reader(self._transport)
        elif self._excess is not None and not self._refused:
            self._refuse_as(self._excess)
        # Idle, or refused already: no request waits for an answer (RFC 9112, 9.5).
        elif self._refused or not self._incoming.begun:
            self._close()
        else:
            self._refuse(errors.SLOW_CLIENT, "The request did not arrive in time.")

    def _await_reader(self, transport: asyncio.Transport) -> None:
        """Wait on while the client reads what it was sent, however slowly."""
        unsent = transport.get_write_buffer_size()
        if unsent == self._unsent:
            transport.abort()
        else:
            self._unsent = unsent
            self._shared.wheel.arm(self, self._shared.wheel.now_s + self._shared.limits.idle_s)

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        self._incoming = Incoming()

    def on_url(self, url: bytes) -> None:
        self._incoming.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        action = self._actions[name]
        if not action:
            return
        incoming = self._incoming
        if incoming.head_done:  # a trailer authenticates nobody
            return
        if action == _HOST:
            if incoming.named_host:
                self._refuse_twice(b"Host")
            incoming.named_host = True
        elif action == _AUTHORIZATION:
            if incoming.authorization:
                self._refuse_twice(b"Authorization")
            incoming.authorization = value
        elif action == _LENGTH:
            incoming.length = value
        elif action == _CONTENT_TYPE:
            incoming.content_type = value
        elif action == _PASS:
            incoming.forwarded += (name, b": ", value, b"\r\n")
        elif action == _API_KEY:
            if incoming.api_key:
                self._refuse_twice(b"api-key")
            incoming.api_key = value
        elif action == _OTHER_API_KEY:
            if incoming.other_api_key:
                self._refuse_twice(b"x-api-key")
            incoming.other_api_key = value
        elif action == _CLOUD:
            incoming.cloud = value
        elif action == _HEDGE:
            incoming.hedge = value
        elif action == _CODING:
            incoming.coded = True
            if value.lower() != b"chunked":
                # The parser would take the chunks apart and leave the coding inside for us to
                # overlook.
                self._refuse(
                    errors.MALFORMED_HTTP,
                    "A body may come in chunks and in no other transfer coding.",
                )
        elif action == _UPGRADE:
            incoming.upgrade = True
        elif action == _WEB_SOCKET_KEY:
            incoming.web_socket_key = value
        else:
            incoming.expect = value

    def _refuse_twice(self, name: bytes) -> None:
        """Nobody can guess which of two would count: another server may take the other."""
        self._refuse(errors.MALFORMED_HTTP, f"A head has one {name.decode()}.")

    def on_headers_complete(self) -> None:
        if self._replaying or self._refused:
            return
        incoming, parser = self._incoming, self._parser
        if self._excess is not None:
            if incoming.url not in _HEALTH:
                self._refuse_as(self._excess)
                return
            incoming.keep_alive = False
        incoming.head_done = True
        incoming.method = parser.get_method()
        version = parser.get_http_version()
        if version == "1.1":
            if not incoming.named_host:
                self._refuse(errors.MALFORMED_HTTP, "A head has a Host (RFC 9112, 3.2).")
                return
        elif version == "1.0":
            incoming.chunked = False
        else:
            self._refuse(errors.MALFORMED_HTTP, "Requests come by HTTP/1.1 or HTTP/1.0.")
            return
        self._head_bytes = self._barren_bytes = 0
        limit = self._shared.limits.body_bytes
        length = incoming.length
        count = int(length) if len(length) > 3 else 0  # no limit is below a thousand
        if count > limit:
            self._refuse(errors.BODY_TOO_LARGE, f"A body may have {limit} bytes.")
        elif incoming.expect and incoming.expect.lower() != b"100-continue":
            self._refuse(errors.EXPECTATION, "Only 100-continue can be expected.")
        elif (incoming.coded or length.strip(b"0")) and not self._router.wants_body(incoming):
            incoming.unwanted = True
            if incoming.expect or count > _DROPPED_BYTES_MAX:
                self._turn_away(incoming)
        elif (count > _UNCOUNTED_BYTES_MAX or incoming.coded) and not self._begin_count(
            incoming, count
        ):
            return
        elif incoming.expect and self._lifecycle is None:
            self.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        incoming = self._incoming
        if incoming.unwanted:
            incoming.received += len(body)
            if incoming.received > _DROPPED_BYTES_MAX:
                self._turn_away(incoming)
            return
        incoming.pieces.append(body)
        if incoming.length:
            return  # as long as its head stated, which was checked
        incoming.received += len(body)
        if incoming.received > self._shared.limits.body_bytes:
            self._refuse(
                errors.BODY_TOO_LARGE, f"A body may have {self._shared.limits.body_bytes} bytes."
            )
        else:
            self._count_bytes(incoming, len(body))

    def _begin_count(self, incoming: Incoming, count: int) -> bool:
        """Count a body from here on for the key that its head has just shown."""
        incoming.use = self._router.use
        return not count or self._count_bytes(incoming, count)

    def _count_bytes(self, incoming: Incoming, count: int) -> bool:
        """Count bytes of a body, announced or here; False where there are too many at once."""
        shared, use = self._shared, incoming.use
        if use is not None:
            try:
                shared.in_flight.count_body(use, count, incoming.bytes_in_flight, shared.limits)
            except Refused as refused:
                self._refuse_as(refused)
                return False
            incoming.bytes_in_flight += count
        return True

    def _release_bytes(self, incoming: Incoming) -> None:
        """Its body is not needed any more."""
        use: Use | None = incoming.use
        if incoming.bytes_in_flight and use is not None:
            self._shared.in_flight.release(use, incoming.bytes_in_flight)
            incoming.bytes_in_flight = 0

    def _turn_away(self, incoming: Incoming) -> None:
        """Answer without the body, and close. A request in line behind others waits for its turn,
        and drops its body."""
        if self._lifecycle is None and not self._waiting and not self._refused:
            self._refused = True
            incoming.keep_alive = False
            self._incoming = NOTHING
            self._serve(incoming)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        incoming, parser = self._incoming, self._parser
        self._completed += 1
        # Here and not later: the parser forgets it as soon as this callback returns.
        incoming.keep_alive = incoming.keep_alive and parser.should_keep_alive()
        if incoming.upgrade:
            if (incoming.coded or incoming.length.strip(b"0")) and parser.should_upgrade():
                return  # its body is still to come: see `_keep_protocol`
            if self._opens_session(incoming) and parser.should_upgrade():
                self._handshake = incoming
                return
        elif incoming.method == b"CONNECT":
            incoming.keep_alive = False
        self._incoming = NOTHING
        if self._lifecycle is None and not self._waiting and not self._stuck:
            self._serve(incoming)
        else:
            self._waiting.append(incoming)

    # -- serving one request

    def _serve(self, incoming: Incoming) -> None:
        # Say before the answer that the connection ends with it.
        if not incoming.keep_alive or self._shared.draining or not incoming.chunked:
            self._closing = True
            self.head_lines = b"connection: close\r\n"
        self.chunked = incoming.chunked
        try:
            outcome = self._router.route(incoming, self)
            if isinstance(outcome, bytes):
                self._release_bytes(incoming)
                self._closing = self._closing or not incoming.keep_alive
                self._answer(outcome)
            else:
                # The lifecycle answers for the bytes of the body from here on.
                if incoming.bytes_in_flight:
                    outcome.in_flight_use = incoming.use
                    outcome.bytes_in_flight = incoming.bytes_in_flight
                    incoming.bytes_in_flight = 0
                self._begin(outcome)
        except Exception as error:
            # Nothing of the request stays: no bytes, no attempt, and nothing that waited behind it.
            self._shared.report_fault(error)
            self._release_bytes(incoming)
            lifecycle, self._lifecycle = self._lifecycle, None
            if lifecycle is not None:
                lifecycle.cancel()
            self._waiting.clear()
            self._refuse(errors.INTERNAL, errors.OWN_FAULT)

    def _begin(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        lifecycle.start()
        if self._lifecycle is lifecycle:
            self._shared.wheel.arm(self, lifecycle.due_s)

    def check_deadlines_by(self, due_s: float) -> None:
        """Have the deadlines checked by `due_s`, if that is sooner than before."""
        if self._lifecycle is not None and due_s < self.due_s:
            self._shared.wheel.arm(self, due_s)

    # -- answering

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            if self._sent_ahead:
                data, self._sent_ahead = data[self._sent_ahead :], 0
            self._transport.write(data)

    def request_over(self, *, intact: bool) -> None:
        self._lifecycle = None
        if not intact:
            self._closing = True
        self._after_answer()

    def _answer(self, data: bytes) -> None:
        """Send a whole answer that needed no cloud."""
        self.write(data)
        self._after_answer()

    def _after_answer(self) -> None:
        """Turn to the next request in line, or wait for one, or close: the answer was sent."""
        if self._transport is None:
            return
        if self._refused:
            self._linger()
            return
        if self._closing or self._shared.draining:
            self._close()
            return
        if self._waiting and not self._stuck:
            # Not from within this call: a long line of refusals would nest as deeply.
            self._shared.loop.call_soon(self._serve_next)
            return
        if self._ended and not self._waiting:
            self._close()
            return
        if self._incoming is not NOTHING or self._paused:
            self._go_on_reading()
        shared = self._shared
        shared.wheel.arm(self, shared.wheel.now_s + shared.limits.idle_s)

    def _serve_next(self) -> None:
        """Serve the next request in line, if the connection is free."""
        if self._transport is None or self._lifecycle is not None or self._stuck:
            return
        if not self._waiting:
            return
        self._serve(self._waiting.popleft())
        if not self._waiting:
            self._go_on_reading()

    def _go_on_reading(self) -> None:
        """Read on: the requests that came ahead have been served, and one that is still arriving
        may go on."""
        self._waiting_bytes = 0
        self._resume_reading()
        if self._lifecycle is None and self._incoming.head_done and self._incoming.expect:
            self.write(_CONTINUE)

    def stop_when_idle(self, _reason: str) -> None:
        """Close now if nothing is open here, else after the answer. A gateway that drains serves
        the request that is arriving, and the first one of a client that has just connected."""
        if self._shared.draining and self._excess is None and not self._refused:
            if self._incoming.begun:
                return  # its deadlines stand, and the answer ends the connection
            if not self._completed:
                self._await_only_request()
                return
        self._closing = True
        if self._lifecycle is None and not self._waiting and self._transport is not None:
            self._close()

    def _await_only_request(self) -> None:
        """Wait for a moment for the request of a client that connected before the port closed: it
        may be on its way, and would be lost."""
        self._shared.wheel.arm(self, self._shared.wheel.now_s + self._shared.limits.linger_s)

    def _close(self) -> None:
        """Close once the answers are sent; a client that does not read them has some time."""
        shared = self._shared
        if self._transport is not None:
            self._transport.close()
        if self._transport is not None:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.idle_s)

    def abort(self) -> None:
        """The drain has taken too long."""
        if self._transport is not None:
            self._transport.abort()

    def _pause_reading(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused and not self._stuck and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _refuse_as(self, refused: Refused) -> None:
        self._refuse(refused.kind, str(refused), refused.headers)

    def _refuse(self, kind: ErrorKind, message: str, headers: bytes = b"") -> None:
        """Answer and close; what is still coming is read and dropped for a moment, or our answer
        would be lost."""
        if self._refused or self._transport is None:
            return
        self._refused = True
        self._closing = True
        self._incoming.pieces.clear()
        self._release_bytes(self._incoming)
        shared = self._shared
        shared.counts.refusals[kind.code] += 1
        if self._lifecycle is None and not self._waiting:
            named = shared.identity_lines(shared.next_number())
            self.write(error_response(kind, message, headers=named + headers, close=True))
            self._linger()
        else:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.linger_s)

    def _linger(self) -> None:
        """Say that nothing more follows, and read and drop for a moment what is still coming."""
        shared, transport = self._shared, self._transport
        if transport is None:
            return
        if transport.can_write_eof():
            transport.write_eof()
        shared.wheel.arm(self, shared.wheel.now_s + shared.limits.linger_s)
