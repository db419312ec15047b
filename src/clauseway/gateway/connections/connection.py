"""One connection of a client: HTTP/1.1 in, one request at a time, answers in the order of the
requests.

The parser calls back for each part of a request. A request that arrives while another is being
answered waits in line, and reading pauses once too much waits. The router decides what each request
means.

The body is kept only if the router accepts the head: a known key, and a path that this key may use.
`Upgrade` is ignored (RFC 9110, 7.8), except for a WebSocket on `/v1/responses`.

A client that closes its sending half after whole requests gets its answers. It cannot be told from
a client that left, so the first bytes of the answer are sent at once: a client that left resets the
connection.
"""

import asyncio
import re
import socket
import struct
from collections import deque
from collections.abc import Iterable
from typing import Final, cast

import httptools

from clauseway.gateway.connections.incoming import NOTHING, Incoming
from clauseway.gateway.connections.router import Router
from clauseway.gateway.connections.served_client import ServedClient
from clauseway.gateway.connections.unread_answers import UnreadAnswers
from clauseway.gateway.connections.web_socket import (
    PATHS,
    WebSocketSession,
    accepted,
    check_handshake,
    names_web_socket,
)
from clauseway.gateway.request.in_flight import Use, address_of
from clauseway.gateway.request.refusals import Refused
from clauseway.gateway.request.shared import Shared, lines_of_own_answer
from clauseway.gateway.transport.header_actions import HeaderActions
from clauseway.gateway.transport.upstream import STATUS_LINE_BEGINNING
from clauseway.gateway.wire import errors
from clauseway.gateway.wire.errors import ErrorKind, error_response

# RFC 3986, 3.2.2: an address in brackets or a name, and a port.
_HOST_FORM: Final = re.compile(
    rb"(?:\[[0-9A-Za-z:.~_-]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?"
)
# struct linger (man 7 socket): on, for no seconds. What is unsent is dropped, and the connection reset.
_WITHOUT_LINGERING: Final = struct.pack("ii", 1, 0)
# W3C's Trace Context, 3.3.1. A list that cannot be read is dropped; the bytes of any other header
# that is passed on are nobody's business on the way (RFC 9110, 5.5).
_TRACE_STATE_FORM: Final = re.compile(rb"[\t -~]*")
# As most clients say it; neither names a header.
_ORDINARY_CONNECTIONS: Final = (b"keep-alive", b"Keep-Alive", b"close")
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
_WEB_SOCKET_VERSION: Final = 14
_CONNECTION: Final = 15
_CONTENT_CODING: Final = 16
_TRACE_STATE: Final = 17
_OTHER_API_KEY: Final = 12  # as Anthropic's clients name it; some of them send both
# The headers that the gateway reads, and those that it passes on to clouds. All others (cookies,
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
    b"content-encoding": _CONTENT_CODING,
    b"upgrade": _UPGRADE,
    b"sec-websocket-key": _WEB_SOCKET_KEY,
    b"sec-websocket-version": _WEB_SOCKET_VERSION,
    b"host": _HOST,
    b"connection": _CONNECTION,
    b"openai-beta": _PASS,
    b"anthropic-version": _PASS,
    b"anthropic-beta": _PASS,
    b"x-client-request-id": _PASS,
    b"traceparent": _PASS,
    b"tracestate": _TRACE_STATE,
}


def actions_passing(passed: Iterable[str]) -> HeaderActions:
    """Return the actions for a client's headers. `passed` are names that clouds receive beside those
    that always do."""
    also_passed = frozenset([name.lower().encode() for name in passed])

    def action_of(name: bytes) -> int:
        return _ACTIONS.get(name, _PASS if name in also_passed else _DROP)

    return HeaderActions(action_of)


# The most bytes in a row without a byte of the body: chunk extensions, trailers.
_BARREN_BYTES_MAX: Final = 64 << 10
# Probes whether a client that sends nothing more is still there: the first bytes of the answer, one
# by one; once a stream has begun, leading zeros of the next chunk's size.
_PROBE_S: Final = 0.1  # a round trip at least; each further probe doubles it
_VERSION_1_1: Final = b" HTTP/1.1\r\n"  # behind method and target
_HTTP_2_PREFACE: Final = b"PRI * HTTP/2.0\r\n"  # of clients with prior knowledge
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# A client has so long to read the error event of a stream that broke before its connection closes:
# some drop what they have not read yet when a connection closes inside a body.
_ERROR_READ_S: Final = 0.5
# A body of at most this length is not counted among the bytes in flight: the limits of connections
# keep all such bodies together within a few MB.
_UNCOUNTED_BYTES_MAX: Final = 4 << 10
# The body of a refused head is read and dropped up to this length, and the connection can be used
# again; a longer one is refused and the connection closed.
_DROPPED_BYTES_MAX: Final = 64 << 10
# How many connections beyond a limit may wait for the answer that refuses them; further ones are
# closed at once.
_TURNED_AWAY_MAX: Final = 1000
# A connection beyond a limit of connections may still ask for these: a load balancer whose probe is
# refused would take the whole gateway out of service.
_HEALTH: Final = (b"/readyz", b"/healthz")
# Replaces the parser of a lost connection: the two refer to each other, and only the garbage
# collector would free them.
_NO_PARSER: Final = httptools.HttpRequestParser(object())


class ClientConnection(ServedClient):
    """One connection, as the module describes it. `head_lines` and `chunked` tell how the answer to
    the present request is framed."""

    def __init__(self, shared: Shared, actions: HeaderActions) -> None:
        super().__init__(shared, Router(shared))
        self._actions = actions
        # Created in `connection_made`: it refers to this connection, whose TLS handshake may still
        # fail.
        self._parser = _NO_PARSER
        self._transport: asyncio.Transport | None = None
        self._incoming: Incoming = NOTHING
        self._handshake: Incoming = NOTHING  # of a WebSocket that is about to be opened
        self._waiting: deque[Incoming] = deque()
        self._host = b""  # the latest one that was checked
        self._waiting_bytes = 0
        self._head_bytes = 0
        self._barren_bytes = 0
        # A read that begins with a request, until that request's head has come.
        self._first_read = b""
        self._completed = 0  # requests that have arrived whole
        self._ended = False  # the client sends nothing more
        self._sent_ahead = 0  # bytes of the next answer that went out as probes
        self._probes = 0
        self._paused = False
        self._address = ""  # by which connections are counted
        self._excess: Refused | None = None  # the refusal, if the connection is beyond a limit
        self._refused = False  # nothing more that comes is read
        # The refusal that is sent once the requests before it are answered.
        self._refusal: Refused | None = None
        self._closing = False  # the answer under way is the last one, or was it
        self._is_cut = False  # the last answer is a stream that broke: its body has no end
        self._authorities_replaced = shared.authorities_replaced
        self._replaying = False
        self.head_lines = b""
        self.chunked = True

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
            # The authority that this handshake began with was replaced before its end.
            self._refused = True
            self._transport.abort()
        elif shared.draining:
            self._await_last_request()
        else:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.head_s)

    def _begin_in_excess(self, excess: Refused) -> None:
        """Wait briefly for the request of a connection beyond a limit: clients read an answer only
        after they have sent a request."""
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
        self._shared.busy_polling.bytes_came()
        if len(data) > _HEADS_MOSTLY and self._is_too_long(data):
            self._refuse_long_head()
            return
        completed, pieces = self._completed, len(self._incoming.pieces)
        self._first_read = b"" if self._incoming.begun else data
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError as error:
            # A fault of the gateway, not of the client: it costs this connection alone.
            self._shared.report_fault(error.__context__ or error)
            self._refuse(errors.INTERNAL, errors.OWN_FAULT)
            return
        except httptools.HttpParserError as error:
            reason = str(error) + "."
            if data.startswith(_HTTP_2_PREFACE):
                reason = "HTTP/2 is not spoken here: have the client use HTTP/1.1."
            self._refuse(errors.MALFORMED_HTTP, f"This is not a valid HTTP/1.1 request: {reason}")
            return
        self._first_read = b""  # drop it: the rest of a head may be long in coming
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
            # CONNECT: the bytes that follow are not HTTP for this gateway.
            if self._refused or (self._closing and not self._incoming.begun):
                return
            self._keep_protocol()

    def _opens_session(self, incoming: Incoming) -> bool:
        """Return whether a handshake asks for a WebSocket on a path that has one, with no request
        before it left to answer."""
        return (
            incoming.method == b"GET"
            and incoming.chunked  # HTTP/1.0 knows no `Upgrade` (RFC 9110, 7.8)
            and names_web_socket(incoming.upgrade)
            and incoming.url.partition(b"?")[0] in PATHS
            and self._lifecycle is None
            and not self._waiting
            and not self._stuck
        )

    def _open_session(self, data: bytes) -> None:
        """Hand the connection over to a session; `data` are the bytes after the handshake."""
        shared, transport, handshake = self._shared, self._transport, self._handshake
        self._incoming = self._handshake = NOTHING
        if transport is None or self._refused:
            return
        if shared.draining:
            self._refuse(errors.STOPPING, "The gateway is stopping: open the session again.")
            return
        try:
            check_handshake(handshake)
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
        """Go on in HTTP/1.1 with a new parser: the last one stopped parsing at the `Upgrade`,
        before the body of that request."""
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
        """Return whether `data` makes the head longer than its limit, even if the head ends in
        it."""
        limit = self._shared.limits.head_bytes - self._head_bytes
        if len(data) <= limit or self._incoming.head_done:
            return False
        end = data.find(b"\r\n\r\n")
        return (len(data) if end < 0 else end) > limit

    def eof_received(self) -> bool:
        """The client sends nothing more. Return whether the connection stays open: it does while
        whole requests are unanswered. (A TLS connection cannot be half-closed here.)"""
        transport = self._transport
        if transport is None:
            return False
        # Bytes after whole requests may have been refused: those requests are still answered.
        if self._lifecycle is None and (self._closing or not self._waiting):
            return False
        if transport.get_extra_info("ssl_object") is not None:
            return False
        self._ended = True
        self._probe()
        return True

    def _probe(self) -> None:
        """Send one byte that the answer contains anyway, and the next one some time later."""
        lifecycle, transport = self._lifecycle, self._transport
        if lifecycle is None or transport is None or self._probes >= len(STATUS_LINE_BEGINNING):
            return
        if not lifecycle.has_sent_bytes:
            transport.write(STATUS_LINE_BEGINNING[self._sent_ahead : self._sent_ahead + 1])
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
        self._forget_unread()
        self._router.leave()
        self._waiting.clear()
        self._incoming = NOTHING
        self._parser = _NO_PARSER
        self._shared.wheel.forget(self)
        self._leave_request()

    def pause_writing(self) -> None:
        """The client does not read its answers: read no more of its requests."""
        if self._transport is not None:
            self._hold_unread(self._transport)

    def resume_writing(self) -> None:
        self._stuck = False
        self._forget_unread()
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
        """Set the deadline for the rest of a head or body, and count bytes that belong to no body.
        Before the last read of `count` bytes, `completed` requests and `pieces` of a body had
        come."""
        shared = self._shared
        incoming = self._incoming
        if self._transport is None or self._refused:
            return  # a session has taken over, or nothing more is read
        if incoming.head_done:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.body_s)
            if incoming.unwanted or len(incoming.pieces) != pieces:
                self._barren_bytes = 0
                return
            self._barren_bytes += count
            if self._barren_bytes > _BARREN_BYTES_MAX:
                self._refuse(
                    errors.HEAD_TOO_LARGE,
                    f"Extensions and trailers of a body may have at most {_BARREN_BYTES_MAX:,} bytes.",
                )
        elif incoming.begun:
            if self._completed != completed:
                count = 0  # most of these bytes belong to the requests before
            if self._head_bytes == 0:
                shared.wheel.arm(self, shared.wheel.now_s + shared.limits.head_s)
            self._head_bytes += count
            if self._head_bytes > shared.limits.head_bytes:
                self._refuse_long_head()

    def timer_fired(self) -> None:
        if self._lifecycle is not None:
            self._check_deadlines(self._lifecycle)
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
        now_s = self._shared.wheel.now_s
        if self._unread is None:
            self._unread = UnreadAnswers(transport, now_s, self._shared.limits.idle_s)
        elif self._unread.lie_still(now_s):
            transport.abort()
            return
        self._shared.wheel.arm(self, self._unread.due_s)

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        self._incoming = Incoming()

    def on_url(self, url: bytes) -> None:
        self._incoming.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser leaves the white space behind a value, which is none of it (RFC 9112, 5.1).
        action = self._actions.of(name)
        if not action:
            return
        incoming = self._incoming
        if incoming.head_done:  # a trailer authenticates nobody
            return
        if action == _HOST:
            if incoming.named_host:
                self._refuse_twice(b"Host")
            if value != self._host:
                self._check_host(value)
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
            incoming.api_key = value.strip()
        elif action == _OTHER_API_KEY:
            if incoming.other_api_key:
                self._refuse_twice(b"x-api-key")
            incoming.other_api_key = value.strip()
        elif action == _CLOUD:
            if incoming.cloud:
                self._refuse_twice(b"x-clauseway-cloud")
            incoming.cloud = value.strip()
        elif action == _HEDGE:
            if incoming.hedge:
                self._refuse_twice(b"x-clauseway-hedge-ms")
            incoming.hedge = value.strip()
        elif action == _CODING:
            incoming.coded = True
            if value.strip().lower() != b"chunked":
                # The parser would undo the chunks and leave the other coding in the body.
                self._refuse(
                    errors.MALFORMED_HTTP,
                    "A body may come in chunks and in no other transfer coding.",
                )
        elif action == _UPGRADE:
            incoming.upgrade += value + b","
        elif action == _WEB_SOCKET_KEY:
            if incoming.web_socket_key:
                self._refuse_twice(b"Sec-WebSocket-Key")
            incoming.web_socket_key = value.strip()
        elif action == _CONNECTION:
            if value not in _ORDINARY_CONNECTIONS:
                incoming.connection += value + b","
        elif action == _CONTENT_CODING:
            incoming.content_coding = value.strip()
        elif action == _TRACE_STATE:
            if _TRACE_STATE_FORM.fullmatch(value) is not None:
                incoming.forwarded += (name, b": ", value, b"\r\n")
        elif action == _WEB_SOCKET_VERSION:
            if incoming.web_socket_version:
                self._refuse_twice(b"Sec-WebSocket-Version")
            incoming.web_socket_version = value.strip()
        else:
            incoming.expect = incoming.expect + b"," + value if incoming.expect else value

    def _begins_read_as_1_1(self, incoming: Incoming) -> bool:
        """Return whether the present read begins with the line of this request, of HTTP/1.1: as
        most do. The parser would write its version as text, which costs a hundredth of a request."""
        read, self._first_read = self._first_read, b""
        end = len(incoming.method) + len(incoming.url) + 1
        return read[end : end + len(_VERSION_1_1)] == _VERSION_1_1

    def _check_host(self, host: bytes) -> None:
        if _HOST_FORM.fullmatch(host.strip()) is None:
            self._refuse(errors.MALFORMED_HTTP, "A Host is a name and a port (RFC 9112, 3.2).")
        else:
            self._host = host

    def _refuse_twice(self, name: bytes) -> None:
        """Refuse a header that stands twice: another server may obey the other one."""
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
        if incoming.connection:
            incoming.drop_forwarded(incoming.connection)
        incoming.method = parser.get_method()
        version = "1.1" if self._begins_read_as_1_1(incoming) else parser.get_http_version()
        if version == "1.1":
            if not incoming.named_host:
                self._refuse(errors.MALFORMED_HTTP, "A head has a Host (RFC 9112, 3.2).")
                return
        elif version == "1.0":
            incoming.chunked = False
            incoming.expect = b""  # its client cannot hear a 100 (RFC 9110, 10.1.1)
        else:
            self._refuse(errors.MALFORMED_HTTP, "Requests come by HTTP/1.1 or HTTP/1.0.")
            return
        self._head_bytes = self._barren_bytes = 0
        limit = self._shared.limits.body_bytes
        length = incoming.length
        count = int(length) if len(length) > 3 else 0  # no limit is below a thousand
        if count > limit:
            self._refuse_long_body()
        elif incoming.expect and not _expects_continue(incoming.expect):
            self._refuse(errors.EXPECTATION, "Only 100-continue can be expected.")
        elif (count or incoming.coded or length.strip(b"0")) and not self._router.wants_body(
            incoming
        ):
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
            return  # the head stated this length, which was checked
        incoming.received += len(body)
        if incoming.received > self._shared.limits.body_bytes:
            self._refuse_long_body()
        else:
            self._count_bytes(incoming, len(body))

    def _begin_count(self, incoming: Incoming, count: int) -> bool:
        """Count a body from here on for the key that its head has just shown."""
        incoming.use = self._router.use
        return not count or self._count_bytes(incoming, count)

    def _count_bytes(self, incoming: Incoming, count: int) -> bool:
        """Count bytes of a body, announced or received. Refuse, and return False, if too many are
        in flight."""
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
        """Stop counting the body of a request: it is not kept any more."""
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
        # Ask now: the parser forgets it when this callback returns.
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
        # The head of the answer has to say that the connection ends with it.
        if not incoming.keep_alive or self._shared.draining or not incoming.chunked:
            self._closing = True
            self.head_lines = b"connection: close\r\n"
        self.chunked = incoming.chunked
        try:
            outcome = self._router.route(incoming, self)
            if isinstance(outcome, bytes):
                self._release_bytes(incoming)
                self._closing = self._closing or not incoming.keep_alive
                self.write(outcome)
                self._after_answer()
            else:
                # From here on the lifecycle counts the bytes of the body, and releases them.
                if incoming.bytes_in_flight:
                    outcome.in_flight_use = incoming.use
                    outcome.bytes_in_flight = incoming.bytes_in_flight
                    incoming.bytes_in_flight = 0
                self._begin(outcome)
        except Exception as error:
            # Drop all of the request: its bytes, its attempt and the requests that wait behind it.
            self._shared.report_fault(error)
            self._release_bytes(incoming)
            self._drop_request()
            for waiting in self._waiting:
                self._release_bytes(waiting)
            self._waiting.clear()
            self._end_with(Refused(errors.INTERNAL, errors.OWN_FAULT))

    # -- answering

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            if self._sent_ahead:
                data, self._sent_ahead = data[self._sent_ahead :], 0
            self._transport.write(data)

    def request_over(self, *, intact: bool) -> None:
        lifecycle, self._lifecycle = self._lifecycle, None
        if not intact:
            self._closing = True
            self._is_cut = lifecycle is not None and lifecycle.is_cut
        self._after_answer()

    def _after_answer(self) -> None:
        """Serve the next request in line, wait for one, or close, after an answer was sent."""
        if self._transport is None:
            return
        if self._stuck:
            self._count_unread()
        draining = self._shared.draining
        if self._closing or (draining and self._stuck):
            if self._is_cut:
                self._await_reading_of_error()
            elif self._refused:
                self._linger()
            else:
                self._close()
            return
        if self._waiting and not self._stuck:
            # In a call of its own: a long line of refused requests would recurse as deeply.
            self._shared.loop.call_soon(self._serve_next)
            return
        if self._refusal is not None and not self._waiting:
            self._end_with(self._refusal)
            return
        if self._ended and not self._waiting:
            self._close()
            return
        if not self._refused and (self._incoming is not NOTHING or self._paused):
            self._go_on_reading()
        if draining and not self._incoming.begun:
            self._await_last_request()
            return
        shared = self._shared
        shared.wheel.arm(self, shared.wheel.now_s + shared.limits.idle_s)

    def _serve_next(self) -> None:
        """Serve the next request in line, if the connection is free."""
        if self._transport is None or self._lifecycle is not None or self._stuck:
            return
        if not self._waiting:
            return
        self._serve(self._waiting.popleft())
        if not self._waiting and not self._refused:
            self._go_on_reading()

    def _go_on_reading(self) -> None:
        """Resume reading: every request that waited has been served."""
        self._waiting_bytes = 0
        self._resume_reading()
        if self._lifecycle is None and self._incoming.head_done and self._incoming.expect:
            self.write(_CONTINUE)

    def stop_when_idle(self, _reason: str) -> None:
        """Close now if no request is under way, else after its answer. A gateway that drains still
        serves one more request of each client: nothing has told them that the connection ends, so
        it may be on its way. Its answer says so, and ends the connection."""
        if self._shared.draining and self._excess is None and not self._refused:
            if self._incoming.begun:
                return  # its deadlines still hold
            if not self._stuck:
                if self._lifecycle is None and not self._waiting:
                    self._await_last_request()
                return
        self._closing = True
        if self._lifecycle is None and not self._waiting and self._transport is not None:
            self._close()

    def _await_last_request(self) -> None:
        """Wait briefly for the request of a client that does not know that the gateway drains."""
        wheel, limits = self._shared.wheel, self._shared.limits
        # Close a connection without a request before the drain ends and cuts off what is left.
        wheel.arm(self, wheel.now_s + min(limits.linger_s, limits.drain_s / 2))

    def _await_reading_of_error(self) -> None:
        """Close a moment after a stream broke, unless the client closes first, as most do that read
        the error event."""
        self._refused = True
        self._shared.wheel.arm(self, self._shared.wheel.now_s + _ERROR_READ_S)

    def _close(self) -> None:
        """Close once the answers are sent; abort if the client stops reading them."""
        shared = self._shared
        if self._is_cut and not self.chunked:
            self._reset()
        if self._transport is not None:
            self._transport.close()
        if self._transport is not None:
            shared.wheel.arm(self, shared.wheel.now_s + shared.limits.idle_s)

    def abort(self) -> None:
        if self._lifecycle is not None and not self.chunked:
            self._reset()
        if self._transport is not None:
            self._transport.abort()

    def _reset(self) -> None:
        """Close without the end that TCP has for whole answers: a body without chunks ends with its
        connection, so that a client of HTTP/1.0 would take a part for the whole."""
        if self._transport is not None:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITHOUT_LINGERING)
            self._transport.abort()

    def _pause_reading(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused and not self._stuck and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _refuse_long_head(self) -> None:
        most = self._shared.limits.head_bytes
        self._refuse(errors.HEAD_TOO_LARGE, f"A head may have at most {most:,} bytes.")

    def _refuse_long_body(self) -> None:
        most = self._shared.limits.body_bytes
        self._refuse(errors.BODY_TOO_LARGE, f"A body may have at most {most:,} bytes.")

    def _refuse(self, kind: ErrorKind, message: str) -> None:
        self._refuse_as(Refused(kind, message))

    def _refuse_as(self, refused: Refused) -> None:
        """Answer with a refusal and close, once the requests before are answered (RFC 9112,
        9.3.2): what comes after cannot be divided into requests, or would be too much."""
        if self._refused or self._transport is None:
            return
        self._refused = True
        self._incoming.pieces.clear()
        self._release_bytes(self._incoming)
        if self._lifecycle is None and not self._waiting:
            self._end_with(refused)
        else:
            self._refusal = refused

    def _end_with(self, refused: Refused) -> None:
        """Send a refusal as the last answer. Bytes that still arrive are read and dropped for a
        while: closing over unread bytes would reset the connection, and the answer would be
        lost."""
        shared = self._shared
        if self._transport is None:
            return
        self._refused = self._closing = True
        shared.counts.refusals[refused.kind.code] += 1
        headers = lines_of_own_answer(shared.identity_lines(shared.next_number())) + refused.headers
        self.write(error_response(refused.kind, str(refused), headers=headers, close=True))
        self._linger()

    def _linger(self) -> None:
        """Close the sending half; read and drop for a while the bytes that still arrive."""
        shared, transport = self._shared, self._transport
        if transport is None:
            return
        if transport.can_write_eof():
            transport.write_eof()
        self._resume_reading()
        shared.wheel.arm(self, shared.wheel.now_s + shared.limits.linger_s)


def _expects_continue(expect: bytes) -> bool:
    """Return whether `Expect`, of one or several headers, lists 100-continue alone."""
    return all(name.strip().lower() == b"100-continue" for name in expect.split(b","))
