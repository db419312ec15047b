"""Connections to a host by its name: looked up by a thread of its own, and by the first of its
addresses that answers (RFC 8305).

A name that no server answers keeps its thread waiting as long as the system's resolver does, ten
seconds and more, however soon whoever asked gives up. The event loop has four threads for all
names: one such name would keep all other clouds from being reached. So no more than one thread
waits for a name, and none for two names.
"""

import asyncio
import contextlib
import os
import socket
import threading
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any, Final

# An address as `getaddrinfo` gives it: family, kind, protocol, canonical name, address.
SocketAddress = tuple[int, int, int, str, Any]

# A system that acknowledges nothing of what was sent for so long is out of reach; by itself ours
# would send it again for a quarter of an hour.
_UNACKNOWLEDGED_S: Final = 30
# While a cloud thinks, nothing is sent. Its system is asked whether it is still there, and whoever
# stands between and forgets silent connections (some after four minutes) remembers this one.
_SILENCE_OPTIONS: Final = (
    (socket.TCP_KEEPIDLE, 15),
    (socket.TCP_KEEPINTVL, 5),
    (socket.TCP_KEEPCNT, 3),
    (socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_S * 1000),
)
# An address that has not answered by then may still; the next one is asked beside it (RFC 8305, 5).
_NEXT_S: Final = 0.25


class Host:
    """A host and its port. Its name is looked up for each connection: it may lead elsewhere today."""

    def __init__(self, name: str, port: int, loop: AbstractEventLoop) -> None:
        self.name = name
        self.port = port
        self._loop = loop
        self._lookup: Future[Sequence[SocketAddress]] | None = None

    async def connect(self) -> socket.socket:
        """Return a socket that is connected to one of its addresses. Raises OSError where no
        address is found, or none answers."""
        addresses = await self._addresses()
        if len(addresses) == 1:
            return await _connected(self._loop, addresses[0])
        return await _first_connected(self._loop, _by_turns(addresses))

    async def _addresses(self) -> Sequence[SocketAddress]:
        """Return its addresses. Connections that open at once share one lookup."""
        with contextlib.suppress(OSError):  # a name
            return _look_up(self.name, self.port, socket.AI_NUMERICHOST)
        if self._lookup is None:
            # The resolver calls a name unknown where it gets no descriptor: that is said here.
            socket.socket().close()
            lookup: Future[Sequence[SocketAddress]] = self._loop.create_future()
            # Nobody waits for the end of one that hangs, not even the process.
            threading.Thread(target=self._run, args=(lookup,), daemon=True).start()
            self._lookup = lookup
        return await asyncio.shield(self._lookup)

    def _run(self, lookup: "Future[Sequence[SocketAddress]]") -> None:
        outcome: Sequence[SocketAddress] | Exception
        try:
            outcome = _look_up(self.name, self.port)
        except Exception as error:
            outcome = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._end, lookup, outcome)

    def _end(
        self,
        lookup: "Future[Sequence[SocketAddress]]",
        outcome: Sequence[SocketAddress] | Exception,
    ) -> None:
        self._lookup = None
        if isinstance(outcome, Exception):
            lookup.set_exception(outcome)
            lookup.exception()  # whoever waited may have given up
        else:
            lookup.set_result(outcome)


def _look_up(name: str, port: int, flags: int = 0) -> Sequence[SocketAddress]:
    return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)


def _by_turns(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """Return addresses in the order in which they are attempted: IPv6 and IPv4 take turns, because
    mostly all of one version answer or none."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain(*zip_longest(first, others)) if address is not None]


async def _first_connected(
    loop: AbstractEventLoop, addresses: Sequence[SocketAddress]
) -> socket.socket:
    """Return a socket that is connected to the first address that answers. Each is attempted once
    the one before has failed, or has not answered in a while. Raises the last OSError."""
    waiting, attempts = list(reversed(addresses)), set[Task[socket.socket]]()
    failure: BaseException | None = None
    try:
        while waiting or attempts:
            if waiting:
                attempts.add(loop.create_task(_connected(loop, waiting.pop())))
            ended, _ = await asyncio.wait(
                attempts,
                timeout=_NEXT_S if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in ended:
                attempts.remove(attempt)
                failure = attempt.exception()
                if failure is None:
                    return attempt.result()
        assert failure is not None, "a host has an address"
        raise failure
    finally:
        for attempt in attempts:
            _give_up(attempt)


async def _connected(loop: AbstractEventLoop, address: SocketAddress) -> socket.socket:
    family, kind, protocol, _, place = address
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        _notice_silence(opened)
        await loop.sock_connect(opened, place)
    except BaseException as error:
        opened.close()
        if isinstance(error, OSError) and error.errno:
            # The event loop's words name the address, which is not the client's to know.
            raise OSError(error.errno, os.strerror(error.errno)) from None
        raise
    return opened


def _notice_silence(opened: socket.socket) -> None:
    """Have the system end the connection once the other side's is out of reach."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _SILENCE_OPTIONS:
        opened.setsockopt(socket.IPPROTO_TCP, option, value)


def _give_up(attempt: "Task[socket.socket]") -> None:
    """Cancel an attempt, or close the connection that it brought in the same moment."""
    if not attempt.cancel() and attempt.exception() is None:
        attempt.result().close()
