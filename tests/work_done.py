"""The cost of work, measured so that no load of the machine decides a test: by calls, or by its growth."""

import sys
from collections import Counter
from collections.abc import Callable
from time import process_time_ns
from types import FrameType

TIMES = 8


def calls_in(work: Callable[[], object]) -> Counter[str]:
    """How often `work` called which function of Python, by the function's name."""
    calls = Counter[str]()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def grows_with_its_length(
    work: Callable[[int], Callable[[], object]], length: int, cpu_ns: Callable[[], int] = process_time_ns
) -> bool:
    """Return whether the cost of what `work` makes grows with its length, and no faster.

    Work that goes through all from each place costs 64 times as much for eight times the length; work that goes
    through it once, eight times. `cpu_ns` says the time of the processor that was spent till now.
    """
    return least_cost(work(length), cpu_ns) < 3 * TIMES * least_cost(work(length // TIMES), cpu_ns)


def least_cost(work: Callable[[], object], cpu_ns: Callable[[], int] = process_time_ns) -> int:
    """The least of three runs: one that was disturbed is not the least."""

    def cost() -> int:
        begun = cpu_ns()
        work()
        return cpu_ns() - begun

    return min(cost() for _ in range(3))
