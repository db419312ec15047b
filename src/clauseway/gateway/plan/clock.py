"""Business time: when a request counts as made. Deadlines and signatures never use it.

The simulated clock is a file of eight bytes, nanoseconds since 1970 as a signed number in this
machine's byte order, that somebody else moves on. It is mapped, so reading it costs no system call.
"""

import mmap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

BusinessClock = Callable[[], int]
system_clock: BusinessClock = time.time_ns
_BYTES = 8


def simulated_clock(path: Path) -> BusinessClock:
    """A reader of the clock file. Raises OSError or ValueError where it is missing or shorter than
    eight bytes."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), _BYTES, access=mmap.ACCESS_READ)
    # One load of eight aligned bytes: `struct` with a stated byte order would read byte by byte,
    # and see half a change.
    view = memoryview(mapped).cast("q")
    return partial(view.__getitem__, 0)
