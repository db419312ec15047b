"""The listener: where clients come in, with or without TLS, by certificates that may change while it is
open.

The listening socket stays; what changes is who accepts from it. Connections that are open, and
those that wait in the kernel, notice nothing of it here.
"""

import asyncio
import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path

from clauseway.gateway.plan.settings import TlsSettings
from clauseway.gateway.transport.listening import BACKLOG, listen
from clauseway.gateway.transport.tls import identity, toward_clients

USUAL_PORT = 8400


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
        self._tls = TlsSettings()
        self._seen = identity()
        self._authority = b""

    async def open(
        self,
        loop: AbstractEventLoop,
        client: Callable[[], asyncio.Protocol],
        tls: TlsSettings,
        handshake_s: float,
    ) -> bool:
        """Accept clients from now on as `tls` says, and no more as it was said before. Return
        whether clients' certificates are checked by another authority than before. Raises
        InvalidInput, with nothing changed, where that cannot be."""
        # Before they are read: what is replaced meanwhile is noticed at the next look.
        seen, authority = _files(tls), _authority(tls)
        context = toward_clients(tls)
        server = await loop.create_server(
            client,
            # A server closes its sockets when it is closed; the port has to stay open.
            sock=self._socket.dup(),
            backlog=BACKLOG,
            ssl=context,
            ssl_handshake_timeout=handshake_s if context is not None else None,
        )
        before, self._server = self._server, server
        self._tls, self._seen = tls, seen
        former, self._authority = self._authority, authority
        # Last, so that somebody accepts at every moment.
        if before is not None:
            before.close()
        return before is not None and authority != former

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

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._socket.close()


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
