"""Sockets that listen from the moment they exist, so that a port is either taken or had, never
both.

A socket that is bound and does not listen yet shares its port with every other one that allows
reuse: two processes would each believe that the port is theirs. So a port is not looked for ahead:
whoever serves listens, and then says where.
"""

import errno
import socket

from clauseway.values import InvalidInput, listen_problem

# Connections that arrive in one burst wait in the kernel's queue instead of being refused.
BACKLOG = 4096
# The usual ports of one installation are neighbours: some of the next ones may be taken by its
# other processes.
_PORTS_TRIED_MAX = 100


def listen(host: str, port: int | None, usual: int) -> socket.socket:
    """Return a socket that listens at `port`; 0 takes any free one.

    Where no port is named (None), it is the usual one, or the next free one above it. Raises
    InvalidInput where the address cannot be had.
    """
    candidates = range(usual, usual + _PORTS_TRIED_MAX) if port is None else (port,)
    for candidate in candidates:
        try:
            return _listening(host, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or candidate == candidates[-1]:
                raise InvalidInput(listen_problem(host, candidate, error)) from None
    raise AssertionError("at least one port is tried")


def listen_together(host: str, port: int | None, usual: int, count: int) -> list[socket.socket]:
    """Return sockets that listen at one port, among which the system spreads connections.

    The first one takes the port for itself, as `listen` does; only then it is shared. Raises
    InvalidInput where the address cannot be had.
    """
    sockets = [listen(host, port, usual)]
    try:
        if count > 1:
            sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        number = sockets[0].getsockname()[1]
        while len(sockets) < count:
            sockets.append(_listening(host, number, shared=True))
    except OSError as error:
        for listener in sockets:
            listener.close()
        raise InvalidInput(listen_problem(host, number, error)) from None
    return sockets


def listen_beside(host: str, port: int) -> socket.socket:
    """Return one more socket that listens at a port that others share. Raises OSError."""
    return _listening(host, port, shared=True)


def _listening(host: str, port: int, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port that a process before has just left is free; one at which another listens is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
