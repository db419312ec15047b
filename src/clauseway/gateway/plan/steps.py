"""Work of some length on the loop that serves requests, in slices: after each one the loop goes on
with those.

Such work is a generator that yields wherever it may be left; what it came to is what it returns.
"""

import asyncio
from collections.abc import Callable, Generator
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

# Short beside what a cloud takes for its first byte; a step between two yields takes less.
_SLICE_S = 0.002


def whole(work: Generator[None, None, T]) -> T:
    """All of it at once: where nobody is served yet."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


def emptied(held: dict[Any, Any]) -> Generator[None, None, None]:
    """Let go of what a dictionary holds: of very much, that takes as long as making it did."""
    while held:
        held.popitem()
        yield


async def by_slices(work: Generator[None, None, T], superseded: Callable[[], bool]) -> T | None:
    """Do the work and return its result; None once it is superseded, which is looked at after each
    slice."""
    begun_s = perf_counter()
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
        took_s = perf_counter() - begun_s
        if took_s >= _SLICE_S:
            # As long as that took, the core is the requests'.
            await asyncio.sleep(took_s)
            if superseded():
                work.close()
                return None
            begun_s = perf_counter()
