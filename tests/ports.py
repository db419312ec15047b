"""Ports that stay free until somebody listens at them, and free again after a restart.

The kernel gives a port of its own range (32768 and above on Linux) to whoever asks for any, connections included: who
stops at such a port may find it taken. Each process of a test run takes from a block of its own, and none twice.
"""

import contextlib
import os
import random
import socket
from collections.abc import Iterator
from functools import cache

_FIRST, _BLOCKS, _PER_BLOCK = 10_000, 16, 1_300


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens at, below those that the kernel gives away."""
    ports: list[int] = []
    for port in _block():
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == number:
            return ports
    raise RuntimeError("this process has had all ports of its block")


@cache
def _block() -> Iterator[int]:
    """The ports of this process, in any order. A port that was given is not free, though nobody may listen yet."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + process % _BLOCKS * _PER_BLOCK
    return iter(random.sample(range(first, first + _PER_BLOCK), _PER_BLOCK))
