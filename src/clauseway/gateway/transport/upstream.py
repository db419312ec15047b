"""Connections to clouds: one request at a time on each, idle ones kept for the next.

An `Endpoint` is an address with its idle connections. An `UpstreamConnection` writes one request
and hands its receiver what comes back, once per read: the pieces of the body that were in it, and
whether the answer is complete.

An answer that is not framed in the way that it has to be (two answers to one request, a transfer
coding that nobody asked for, a head or a trailer without end, TLS cut without its closing message)
is lost, with its connection. A connection whose request the cloud answers without taking it whole
carries nothing more (RFC 9112, 9.3), nor does one on which something came that answers no request.
"""

import asyncio
import fcntl
import select
import ssl
import sys
import termios
from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop, Transport
from functools import partial
from typing import Final, cast

import httptools
from librt.strings import BytesWriter

from clauseway.gateway.clouds import DIALECTS
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.transport.connecting import Host
from clauseway.gateway.transport.header_actions import HeaderActions
from clauseway.gateway.transport.metadata_addresses import flaw_of_host

# _PASS is 0: the common case is tested first.
_PASS: Final = 0
_DROP: Final = 1
_FRAMING: Final = 2
_CONTENT_TYPE: Final = 3
_REQUEST_ID: Final = 4
_ENCODING: Final = 5
_LIMIT: Final = 6
_CODING: Final = 7
_CONNECTION: Final = 8
# What a client does not get: what is between two neighbours only, a matter of the cloud's own site,
# ours to say, or a name of our account there. Everything else is the client's.
_BETWEEN_NEIGHBOURS: Final = (
    *(b"keep-alive", b"te", b"trailer", b"upgrade", b"proxy-authenticate"),
    *(b"proxy-authorization", b"proxy-connection"),
)
_OF_THE_SITE: Final = (
    *(b"set-cookie", b"alt-svc", b"strict-transport-security", b"clear-site-data", b"refresh"),
    *(b"nel", b"report-to", b"reporting-endpoints", b"location", b"content-location"),
    *(b"operation-location", b"www-authenticate"),
)
_OF_OUR_ACCOUNT: Final = (
    b"openai-organization",
    b"openai-project",
    b"anthropic-organization-id",
)
_ACTIONS: Final = {
    b"connection": _CONNECTION,
    **dict.fromkeys((*_BETWEEN_NEIGHBOURS, *_OF_THE_SITE, *_OF_OUR_ACCOUNT), _DROP),
    b"x-ms-request-id": _PASS,
    b"x-ms-client-request-id": _PASS,
    b"content-length": _FRAMING,
    b"transfer-encoding": _CODING,
    b"content-type": _CONTENT_TYPE,
    b"content-encoding": _ENCODING,
    **{dialect.request_id_header: _REQUEST_ID for dialect in DIALECTS.values()},
}
# Of HTTP: later ones have no text, so whoever writes them there speaks something else.
_VERSIONS: Final = ("1.1", "1.0")
STATUS_LINE_BEGINNING: Final = b"HTTP/1.1 "
# Of `Connection`: they name no header.
_CONNECTION_OPTIONS: Final = (b"keep-alive", b"close")
# Of `Content-Encoding`: an empty list names no encoding either.
_NO_ENCODINGS: Final = (b"identity", b"")
_JSON: Final = b"application/json"  # as most answers say it
# Server-sent events, and AWS's frames around them.
_EVENT_STREAMS: Final = (b"text/event-stream", b"application/vnd.amazon.eventstream")
# Besides our own: what Azure says of the resource, the deployment and the region that answered.
_OURS: Final = (b"x-clauseway-", b"x-ms-", b"azureml-")
_LIMITS: Final = (b"x-ratelimit-", b"anthropic-ratelimit-")


def _action_of(name: bytes) -> int:
    """Return the action for a cloud's header, by its name in lower case."""
    if name in _ACTIONS:
        return _ACTIONS[name]
    if name.startswith(_OURS):
        return _DROP
    return _LIMIT if name.startswith(_LIMITS) else _PASS


_actions: Final = HeaderActions(_action_of)
# Bytes that may come in a row without one of the body: a head, interim answers, extensions,
# trailers. Clouds' heads have two thousand bytes; the parser keeps the last header until it ends.
_BARREN_BYTES_MAX: Final = 64 << 10
# A request of this length leaves the kernel at once, in ten segments (RFC 6928).
_SENT_AT_ONCE_BYTES: Final = 14_000


class Receiver(ABC):
    """The sender of a request, which receives its answer. After `complete` or `lost` it is not
    called again."""

    @abstractmethod
    def received(self, data: bytes, complete: bool) -> None:
        """Receive bytes of the answer's body, once its head has come; `complete` with the last."""

    @abstractmethod
    def lost(self, reason: str, reused: bool) -> None:
        """Hear that the connection broke. `reused`: it had carried another request before, and
        broke before a byte of this answer."""


class Endpoint:
    """An address that is called, and its idle connections, the freshest last.

    INVARIANT: a connection that is closing, or at its end, is not among them.
    """

    def __init__(
        self,
        host: str,
        port: int,
        loop: AbstractEventLoop,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.limits = limits
        self.idle: list[UpstreamConnection] = []
        self.age = (
            0  # in seconds, counted by `grow_older`: a clock need not be read for each request
        )
        # By how much its clock is ahead of this machine's, once it has refused a signature for that.
        self.clock_ahead_s = 0
        self._loop = loop
        self._host = Host(host, port, loop)
        self.tls = tls  # checks that the host is the one that was called

    def take(self) -> "UpstreamConnection | None":
        """Return the idle connection used last; None if there is none.

        A connection on which something has come meanwhile is closed: it is at its end, or what
        came would be taken for the answer to the next request. The event loop reads it within a
        turn, so the system is asked about those alone that were kept in an earlier second.
        """
        while self.idle:
            connection = self.idle.pop()
            if connection.idle_since == self.age or not connection.has_unread():
                return connection
            connection.abort()
        return None

    async def connect(self) -> "UpstreamConnection":
        """Open a connection. Raise OSError (refused, unreachable, TLS) or TimeoutError.

        The address that was reached is judged before anything of a request is sent over it: a name
        may lead elsewhere today than when the configuration was checked.
        """
        while True:
            tls = self.tls
            async with asyncio.timeout(self.limits.connect_s):
                transport, connection = await self._open(tls)
            reached = transport.get_extra_info("peername")
            if isinstance(reached, tuple) and (flaw := flaw_of_host(str(reached[0]))):
                connection.abort()
                raise ConnectionRefusedError(f"its name leads to {reached[0]}: {flaw}")
            # The authority that checked it may have been replaced meanwhile.
            if tls is self.tls:
                return connection
            connection.close()

    async def _open(self, tls: ssl.SSLContext | None) -> tuple[Transport, "UpstreamConnection"]:
        connected = await self._host.connect()
        try:
            return await self._loop.create_connection(
                partial(UpstreamConnection, self, tls),
                sock=connected,
                ssl=tls,
                server_hostname=self.host if tls is not None else None,
            )
        except BaseException as error:
            connected.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                # OpenSSL's words go on with our host's name, which is not the client's to know.
                why = error.verify_message.partition(",")[0]
                raise ConnectionError(f"its certificate is not accepted: {why}") from None
            if alert := _alert_in(error):
                raise ConnectionError(f"it ends TLS with an alert: {alert}") from None
            raise

    def keep(self, connection: "UpstreamConnection") -> None:
        room = len(self.idle) < self.limits.upstream_idle_connections
        if room and connection.checked_by is self.tls:
            self.idle.append(connection)
        else:
            connection.close()

    def forget(self, connection: "UpstreamConnection") -> None:
        """Take a connection that closes out of the idle ones."""
        if connection in self.idle:
            self.idle.remove(connection)

    def grow_older(self) -> None:
        """Count a second, and close connections that have been idle too long: the oldest stand
        first in the list."""
        self.age += 1
        oldest = self.age - self.limits.upstream_idle_s
        while self.idle and self.idle[0].idle_since < oldest:
            self.idle.pop(0).close()

    def trust(self, tls: ssl.SSLContext | None) -> None:
        """Send nothing more over connections that another context has checked."""
        self.tls = tls
        self.close()

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()


# Replaces the parser of a lost connection: the two refer to each other, and only the garbage
# collector would free them.
_NO_PARSER: Final = httptools.HttpResponseParser(object())


class UpstreamConnection(asyncio.Protocol):
    """One connection. `status`, `head` (header lines to pass on), `limits` (those of rate limits)
    and the rest describe the answer being received."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self.checked_by = tls
        self._parser = httptools.HttpResponseParser(self)
        self._transport: Transport | None = None
        self._unread: select.poll | None = None
        self._receiver: Receiver | None = None
        self._id_header = b""
        self._paused = False
        self._used = False
        self._is_long = False  # the request: some of it may wait to be sent
        self.idle_since = 0
        # Received header lines: those of the head become `head` and `limits`; trailers are dropped.
        self._lines = BytesWriter()
        self._limit_lines = BytesWriter()
        self._barren_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.head = b""
        self.limits = b""
        self._lines.truncate(0)
        self._limit_lines.truncate(0)
        self._fault = ""
        self._coded = False
        self._hop_headers = b""
        self._closed_in_order = False
        self.is_event_stream = False
        self.encoding = b""  # in lower case; empty where the body has none
        self.upstream_id = b""
        self._begins_as_1_1 = False
        self._parts: list[bytes] = []
        self._head_done = False
        self._framed = False
        self._complete = False
        self._keep_alive = False

    # -- for the attempt

    def has_unread(self) -> bool:
        """Return whether something has come that the event loop has not read: bytes, or the end."""
        return self._unread is not None and bool(self._unread.poll(0))

    def send(self, receiver: Receiver, id_header: bytes, data: bytes) -> None:
        """Send a whole request; its answer goes to `receiver`."""
        assert self._transport is not None
        self._begin()
        self._barren_bytes = 0  # goes on over interim answers, which begin anew as well
        self._receiver = receiver
        self._id_header = id_header
        self._is_long = len(data) > _SENT_AT_ONCE_BYTES
        self._transport.write(data)

    def abort(self) -> None:
        """Abort the connection and drop the answer; the receiver is not called again."""
        self._receiver = None
        self._endpoint.forget(self)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        self._receiver = None
        if self._transport is None:
            return
        if _has_unsent_bytes(self._transport):
            self._transport.abort()  # a close would wait until the cloud reads, if it ever does
        else:
            self._transport.close()

    def pause(self) -> None:
        """Stop reading: the client does not read what was sent already."""
        if not self._paused and self._transport is not None and self._receiver is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Transport, transport)
        socket = transport.get_extra_info("socket")
        if socket is not None:
            self._unread = select.poll()
            self._unread.register(socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            # Bytes that answer no request: the connection cannot be trusted with another.
            self.abort()
            return
        self._parse(data)
        if self._fault:
            self.abort()
            receiver.lost(self._fault, False)
            return
        if not self._head_done:
            return
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        if parts:
            self._parts = []
            self._barren_bytes = 0
        if self._complete:
            self._receiver = None
            self._park()
            receiver.received(body, True)
        else:
            receiver.received(body, False)

    def _parse(self, data: bytes) -> None:
        """Parse bytes of the answer, and note how they break HTTP or a limit."""
        if not self._barren_bytes and not self.status:
            self._begins_as_1_1 = data.startswith(STATUS_LINE_BEGINNING)
            # The parser takes two neighbours of HTTP for it, and empty lines before an answer.
            if not self._begins_as_1_1 and data.lstrip(b"\r\n")[:1] not in (b"H", b""):
                self._fault = "sent what is not HTTP"
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fault = "went over to another protocol"
            return
        except httptools.HttpParserError as error:
            self._fault = f"sent what is not HTTP ({error})"
            return
        if not self._parts and not self._complete:
            self._barren_bytes += len(data)
            if self._barren_bytes > _BARREN_BYTES_MAX:
                self._fault = f"sent {self._barren_bytes} bytes without an answer in them"

    def eof_received(self) -> None:
        """The cloud sends nothing more: use the connection for no further request."""
        self._endpoint.forget(self)
        self._closed_in_order = self._transport is not None and _is_closed_in_order(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._parser = _NO_PARSER
        self._endpoint.forget(self)
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        if self._head_done and not self._framed and exc is None and self._closed_in_order:
            receiver.received(b"", True)  # an answer without a length ends with its connection
        elif self.status:
            receiver.lost("broke off its answer", False)
        else:
            reused = self._used and not self._barren_bytes
            # By TLS 1.3 a client hears of its own certificate when it reads.
            alert = _alert_in(exc)
            receiver.lost(
                f"ended TLS with an alert: {alert}"
                if alert
                else "closed the connection without an answer",
                reused,
            )

    def _park(self) -> None:
        transport = self._transport
        assert transport is not None
        if self._paused:
            self.resume()
        self._used = True
        if self._keep_alive and not (self._is_long and _has_unsent_bytes(transport)):
            self.idle_since = self._endpoint.age
            self._endpoint.keep(self)
        else:
            self.close()

    # -- httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        # The parser leaves the white space behind a value, which is none of it (RFC 9112, 5.1).
        action = _actions.of(name)
        if not action:
            _write_line(self._lines, name, value)
        elif self._head_done:
            return  # a trailer neither frames the answer nor names the request
        elif action == _REQUEST_ID:
            _write_line(self._lines, name, value)
            if name == self._id_header or name.lower() == self._id_header:
                self.upstream_id = value
        elif action == _CONTENT_TYPE:
            _write_line(self._lines, name, value)
            self.is_event_stream = value != _JSON and value.lower().startswith(_EVENT_STREAMS)
        elif action == _LIMIT:
            _write_line(self._limit_lines, name, value)
        elif action == _FRAMING:
            self._framed = True
        elif action == _CODING:
            if self._coded or (value != b"chunked" and value.strip().lower() != b"chunked"):
                self._fault = "answered in a transfer coding that nobody asked for"
            self._framed = self._coded = True
        elif action == _CONNECTION:
            if value.strip().lower() not in _CONNECTION_OPTIONS:
                self._hop_headers += b"," + value.lower()
        elif action == _ENCODING:
            _write_line(self._lines, name, value)
            encoding = value.strip().lower()
            if encoding not in _NO_ENCODINGS:
                self.encoding = b"%b,%b" % (self.encoding, encoding) if self.encoding else encoding

    def on_message_begin(self) -> None:
        if self._complete:
            self._fault = "sent two answers to one request"

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status < 100:
            self._fault = f"answered with a status of {self.status}"
            return
        # The parser would make a text of it for each answer.
        version = "1.1" if self._begins_as_1_1 else self._parser.get_http_version()
        if version not in _VERSIONS:
            self._fault = f"answered in HTTP/{version}"
        # Whoever speaks 1.0 does not know chunks (RFC 9112, 6.1).
        elif self._coded and version == "1.0":
            self._fault = "answered in chunks, and in HTTP/1.0"
        elif self.status >= 200 and not self._head_done:
            self._head_done = True
            self.head, self.limits = self._lines.getvalue(), self._limit_lines.getvalue()
            if self._hop_headers:
                self.head = _without(self._hop_headers, self.head)
                self.limits = _without(self._hop_headers, self.limits)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self.status < 200:
            # An interim answer; the real one follows. Where it came before, that is a fault.
            if not self._fault:
                self._begin()
            return
        self._complete = True
        # Ask now: the parser forgets it when this callback returns.
        self._keep_alive = self._parser.should_keep_alive()


def _write_line(lines: BytesWriter, name: bytes, value: bytes) -> None:
    lines.write(name)
    lines.write(b": ")
    lines.write(value)
    lines.write(b"\r\n")


def _without(names: bytes, lines: bytes) -> bytes:
    """Return header lines without those that `Connection` names in a list, in lower case."""
    dropped = {name.strip() for name in names.split(b",")}
    kept = [
        line
        for line in lines.splitlines(keepends=True)
        if line.partition(b":")[0].lower() not in dropped
    ]
    return b"".join(kept)


def _has_unsent_bytes(transport: Transport) -> bool:
    """Return whether bytes are left that the other side's kernel has not taken. With TLS the
    transport does not count what it has encrypted: that waits behind a full queue of the kernel."""
    if transport.get_write_buffer_size() > 0:
        return True
    socket = transport.get_extra_info("socket")
    if socket is None:
        return False
    try:
        queued = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return False  # it is closed, or this system does not tell
    return int.from_bytes(queued, sys.byteorder) > 0


def _alert_in(error: BaseException | None) -> str:
    """Return the alert with which the other side ended TLS, in words; empty if it sent none."""
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    return (reason or "").partition("_ALERT_")[2].replace("_", " ").lower()


def _is_closed_in_order(transport: Transport) -> bool:
    """Return whether the other side has said that nothing more follows. With TLS that takes a
    message of its own: whoever stands between can close a connection, but not write that."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return not tls.read(1)
    except ssl.SSLError:
        return False
