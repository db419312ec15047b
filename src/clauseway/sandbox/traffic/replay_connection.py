"""The replay's connections: one request at a time on each, whose answer is read whole.

It is the replay's own code on the parser that the gateway uses, because a library for every purpose
(httpx) takes a millisecond of CPU a request, five seconds of a night.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Final, Self, cast
from urllib.parse import urlsplit

import httptools
import msgspec

from clauseway.values import InvalidInput

_CONNECT_S: Final = 10.0
# Between two reads of an answer: a model may work for long before its first word.
_READ_S: Final = 120.0
_PORTS: Final = {"http": 80, "https": 443}
# The names of failures, as a replay's progress counts them.
NOT_CONNECTED: Final = "not_connected"
BROKEN_OFF: Final = "broken_off"
TIMED_OUT: Final = "timed_out"
NOT_HTTP: Final = "not_http"


class ReplayAnswer(msgspec.Struct):
    """An answer, or how it failed; names of headers are in lower case.

    `status` is 0 where no answer began. `failure` is a name and a sentence, both empty where the
    answer came whole.
    """

    status: int = 0
    headers: dict[bytes, bytes] = {}
    body: bytes = b""
    failure: tuple[str, str] = ("", "")

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")


class GatewayAddress(msgspec.Struct, frozen=True):
    """The place at which a gateway listens, and the path of its API; `tls` is None for plain HTTP."""

    host: str
    port: int
    authority: str
    path: str
    tls: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, certificate: Path | None = None) -> Self:
        """Read an address like `http://127.0.0.1:8400/v1`. `certificate` is the file of what a
        gateway with TLS is shown. Raise InvalidInput."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            # It stands in the head of each request, and may break it nowhere.
            (parts.netloc + parts.path).encode("ascii")
            usable = parts.scheme in _PORTS and host and url.isprintable() and " " not in url
        except ValueError:
            usable = False
        if not usable:
            raise InvalidInput.of(
                what=f"{url!r} is not the address of a gateway",
                why="requests go to an http:// or https:// URL with a host",
                where="--url",
                remedy="Give the address with its /v1, like http://127.0.0.1:8400/v1.",
            )
        assert host is not None
        return cls(
            host=host,
            port=port or _PORTS[parts.scheme],
            authority=parts.netloc.rpartition("@")[2],
            path=parts.path.rstrip("/"),
            tls=_tls_with(certificate) if parts.scheme == "https" else None,
        )


def _tls_with(certificate: Path | None) -> ssl.SSLContext:
    # Trust as the gateway trusts clouds: `create_default_context` is stricter from Python 3.13 on.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_default_certs()
    if certificate is not None:
        try:
            # No password is asked for: nobody may be there to answer.
            tls.load_cert_chain(certificate, password="")
        except (OSError, ValueError) as error:
            raise InvalidInput.of(
                what=f"{certificate} is not a certificate to show",
                why=str(error),
                where="--certificate",
                remedy="Give a PEM file with the certificate and its private key, which no password "
                "protects.",
            ) from None
    return tls


class ReplayConnection(asyncio.Protocol):
    """A connection that is opened when it is first needed, and again after it was closed."""

    def __init__(self, address: GatewayAddress) -> None:
        self._address = address
        self._transport: asyncio.Transport | None = None
        self._begin()

    def _begin(self) -> None:
        self._answer = ReplayAnswer()
        self._parts: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._done: asyncio.Future[None] | None = None
        self._limit: asyncio.Timeout | None = None
        self._framed = self._ended = self._keeps_alive = False

    async def ask(self, data: bytes) -> ReplayAnswer:
        """Send a whole request and return its answer, or what came of it."""
        if self._transport is None or self._transport.is_closing():
            try:
                await self._connect()
            except (OSError, TimeoutError) as error:
                return ReplayAnswer(failure=(NOT_CONNECTED, str(error) or "no answer in time"))
        self._begin()
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        self._transport.write(data)
        try:
            async with asyncio.timeout(_READ_S) as self._limit:
                await self._done
        except TimeoutError:
            self._end((TIMED_OUT, f"nothing came for {_READ_S:.0f} s"))
        finally:
            if not self._keeps_alive:
                self.close()
        return self._answer

    async def _connect(self) -> None:
        at = self._address
        async with asyncio.timeout(_CONNECT_S):
            await asyncio.get_running_loop().create_connection(
                lambda: self,
                at.host,
                at.port,
                ssl=at.tls,
                server_hostname=at.host if at.tls is not None else None,
            )

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _end(self, failure: tuple[str, str] = ("", "")) -> None:
        if self._done is None or self._ended:
            return
        self._ended = True
        self._answer.body = b"".join(self._parts)
        self._answer.failure = failure
        if not self._done.done():
            self._done.set_result(None)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        if self._done is None or self._ended:
            self.close()  # bytes that answer no request
            return
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + _READ_S)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keeps_alive = False
            self._end((NOT_HTTP, f"the answer is not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._keeps_alive = False
        # An answer without a length ends with its connection.
        whole = self._answer.status and not self._framed and exc is None
        self._end(("", "") if whole else (BROKEN_OFF, "the connection ended before the answer"))

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        # Interim answers come before the answer; after it nothing may.
        self._headers = {}
        self._keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and not self._ended:
            self._answer.status, self._answer.headers = status, self._headers
            self._framed = bool(self._headers.keys() & {b"content-length", b"transfer-encoding"})

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._answer.status and not self._ended:
            # Ask now: the parser forgets it when this callback returns.
            self._keeps_alive = self._parser.should_keep_alive()
            self._end()
