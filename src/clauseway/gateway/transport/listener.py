"""The listener: where clients come in, with or without TLS, by certificates that may change while it is
open.

With TLS it accepts connections itself, because a server of asyncio shows none before its handshake
has ended, and a limit has to hold before.

The listening socket stays; what changes is who accepts from it. Connections that are open, and
those that wait in the kernel, notice nothing of it here.
"""

import asyncio
import socket
import ssl
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path

from clauseway.gateway.plan.settings import TlsSettings
from clauseway.gateway.transport.listening import BACKLOG, listen
from clauseway.gateway.transport.tls import identity, toward_clients

USUAL_PORT = 8400
# Where the system gives no descriptor, the next attempt: others end within a second.
_ACCEPT_AGAIN_S = 1.0

# Counts a handshake from its peer, and returns what ends it; None where there is no room for it.
BeginHandshake = Callable[[object], Callable[[], None] | None]


class Listener:
    """Listens from when it is made; `open` begins to accept. Port None takes the usual one or the
    next free one above. `descriptor` is a socket that listens already, of whoever started us.

    Raises InvalidInput where the address cannot be had.
    """

    def __init__(self, host: str, port: int | None, descriptor: int | None = None) -> None:
        self._socket = (
            listen(host, port, USUAL_PORT)
            if descriptor is None
            else socket.socket(fileno=descriptor)
        )
        self.port: int = self._socket.getsockname()[1]
        self._server: asyncio.AbstractServer | None = None
        self._acceptor: _Acceptor | None = None
        # Of every acceptor: one that was replaced lets those under way end.
        self._handshakes: set[asyncio.Task[None]] = set()
        self._tls = TlsSettings()
        self._seen = identity()
        self._authority = b""

    async def open(
        self,
        loop: AbstractEventLoop,
        client: Callable[[], asyncio.Protocol],
        tls: TlsSettings,
        handshake_s: Callable[[], float],
        begin_handshake: BeginHandshake,
    ) -> bool:
        """Accept clients from now on as `tls` says, and no more as it was said before; ask
        `handshake_s` for each how long its handshake may take. Return whether clients' certificates
        are checked by another authority than before. Raises InvalidInput, with nothing changed,
        where that cannot be."""
        # Before they are read: what is replaced meanwhile is noticed at the next look.
        seen, authority = _files(tls), _authority(tls)
        context = toward_clients(tls)
        was_open = self._server is not None or self._acceptor is not None
        if context is not None:
            acceptor = _Acceptor(
                loop,
                self._socket,
                client,
                context,
                handshake_s,
                begin_handshake,
                self._handshakes,
            )
            if self._acceptor is not None:
                self._acceptor.close()
            acceptor.open()
            self._acceptor = acceptor
        else:
            # A server closes its sockets when it is closed; the port has to stay open.
            self._server = await loop.create_server(
                client, sock=self._socket.dup(), backlog=BACKLOG
            )
        self._tls, self._seen = tls, seen
        former, self._authority = self._authority, authority
        return was_open and authority != former

    def is_outdated(self, tls: TlsSettings) -> bool:
        """Return whether other certificates are named, or lie there, than those that it was opened
        with. Whether there is TLS at all, and whether clients show certificates, stays as it was: a
        file that is half written, or a section that went missing, lets nobody in unprotected."""
        if _protection(tls) != _protection(self._tls):
            return False
        if _files(tls) == self._seen and _named(tls) == _named(self._tls):
            return False
        self._seen = _files(tls)  # where they cannot be used, that is said once
        return True

    @property
    def shakes_hands(self) -> bool:
        """Return whether a TLS handshake is under way."""
        return bool(self._handshakes)

    def close(self) -> None:
        """Close the port. What waits in the kernel for a TLS handshake is accepted before."""
        if self._server is not None:
            self._server.close()
        if self._acceptor is not None:
            self._acceptor.accept_all()
            self._acceptor.close()
        self._socket.close()


class _Acceptor:
    """Accepts connections with TLS from a listening socket, each counted from its beginning."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        listening: socket.socket,
        client: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        handshake_s: Callable[[], float],
        begin_handshake: BeginHandshake,
        handshakes: set[asyncio.Task[None]],
    ) -> None:
        """`handshakes` are those under way: each is added when it begins, and removed at its end."""
        self._loop = loop
        self._listening = listening
        self._client = client
        self._context = context
        self._handshake_s = handshake_s
        self._begin_handshake = begin_handshake
        self._handshakes = handshakes
        self._closed = False

    def open(self) -> None:
        if not self._closed:
            self._listening.setblocking(False)
            self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        self._closed = True
        self._loop.remove_reader(self._listening)

    def accept_all(self) -> None:
        """Accept all connections that wait in the kernel: they would be reset with the port."""
        for _ in range(BACKLOG):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept one connection: others wait in the kernel, for this process or a neighbour. Return
        whether one was there."""
        try:
            accepted, peer = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError:  # no descriptor or no memory is left
            self._loop.remove_reader(self._listening)
            self._loop.call_later(_ACCEPT_AGAIN_S, self.open)
            return False
        end = self._begin_handshake(peer)
        if end is None:
            accepted.close()
            return True
        accepted.setblocking(False)
        # Made now: it notes by which authority its handshake began.
        client = self._client()
        handshake = self._loop.create_task(self._shake_hands(accepted, client, end))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)
        return True

    async def _shake_hands(
        self, accepted: socket.socket, client: asyncio.Protocol, end: Callable[[], None]
    ) -> None:
        # Most failures are the client's: it left, or speaks no TLS that suits.
        try:
            await self._loop.connect_accepted_socket(
                lambda: client,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=self._handshake_s(),
            )
        except OSError:
            accepted.close()
        finally:
            end()


def _protection(tls: TlsSettings) -> tuple[bool, bool]:
    return (bool(tls.certificate), bool(tls.client_ca))


def _authority(tls: TlsSettings) -> bytes:
    """Return the certificates by which clients' are checked, as they lie there now."""
    try:
        return Path(tls.client_ca).read_bytes() if tls.client_ca else b""
    except OSError:
        return b""  # whoever makes a context of it says what is wrong


def _named(tls: TlsSettings) -> tuple[str, str, str]:
    return (tls.certificate, tls.key, tls.client_ca)


def _files(tls: TlsSettings) -> tuple[tuple[int, int, int], ...]:
    return identity(*_named(tls)) if tls.certificate else ()
