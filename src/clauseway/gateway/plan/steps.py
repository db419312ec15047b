"""Long work on the loop that serves requests, done in turns: between two turns the loop serves
requests.

Such work is a generator that yields wherever it may pause, and returns its result.
"""

import asyncio
from collections.abc import Callable, Generator
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

# A turn is short beside the time that a cloud takes for its first byte. A step between two yields
# takes less.
_TURN_S = 0.002


def whole(work: Generator[None, None, T]) -> T:
    """Do the work at once and return its result: nobody is served yet."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


def emptied(held: dict[Any, Any]) -> Generator[None, None, None]:
    """Empty a dictionary in steps: emptying a very large one takes as long as filling it did."""
    while held:
        held.popitem()
        yield


async def between_requests(
    work: Generator[None, None, T], superseded: Callable[[], bool]
) -> T | None:
    """Do the work in turns and return its result; None if it is superseded, which is checked after
    each turn."""
    begun_s = perf_counter()
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
        took_s = perf_counter() - begun_s
        if took_s >= _TURN_S:
            # Leave the core to requests for as long as the turn took.
            await asyncio.sleep(took_s)
            if superseded():
                work.close()
                return None
            begun_s = perf_counter()
