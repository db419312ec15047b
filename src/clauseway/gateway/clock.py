"""Business time: when a request counts as made. Deadlines and signatures never use it.

The simulated clock is a file of eight bytes, nanoseconds since 1970 as a signed little-endian number, that somebody
else moves on. It is mapped, so reading it costs no system call.
"""

import mmap
import time
from collections.abc import Callable
from pathlib import Path
from struct import Struct

BusinessClock = Callable[[], int]
system_clock: BusinessClock = time.time_ns
_INSTANT = Struct("<q")


def simulated_clock(path: Path) -> BusinessClock:
    """A reader of the clock file. Raises OSError or ValueError where it is missing or shorter than eight bytes."""
    with path.open("rb") as file:
        instant = mmap.mmap(file.fileno(), _INSTANT.size, access=mmap.ACCESS_READ)
    unpack = _INSTANT.unpack_from

    def now_ns() -> int:
        (value,) = unpack(instant)
        return int(value)

    return now_ns
