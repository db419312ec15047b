"""Requests a second over the last minute, from counts that one process collects at its own pace, so
that the rate does not depend on how many readers look."""

from collections import deque
from collections.abc import Sequence
from operator import le

import msgspec

WINDOW_S = 60.0


class _Collected(msgspec.Struct, frozen=True):
    """The number of requests of each worker at one time."""

    at_s: float
    requests: tuple[int, ...]


def _continue(before: Sequence[int], after: Sequence[int]) -> bool:
    """Return whether the same workers have kept counting."""
    return len(before) == len(after) and all(map(le, before, after))


class RequestRate:
    """A ring of counts that are no older than a minute."""

    def __init__(self) -> None:
        self._ring: deque[_Collected] = deque()

    def collect(self, at_s: float, requests: Sequence[int]) -> None:
        """Add the number of requests of each worker up to now. `at_s` is of a monotonic clock."""
        if self._ring and not _continue(self._ring[-1].requests, requests):
            # A restarted worker counts from zero, and a worker may not have answered.
            self._ring.clear()
        self._ring.append(_Collected(at_s, tuple(requests)))
        while at_s - self._ring[0].at_s > WINDOW_S:
            self._ring.popleft()

    def forget(self) -> None:
        """Drop all counts, because the gateway does not answer and may count meanwhile."""
        self._ring.clear()

    def per_second(self) -> float | None:
        """Return the rate over the collected counts; None before there are two."""
        if len(self._ring) < 2:
            return None
        first, last = self._ring[0], self._ring[-1]
        return (sum(last.requests) - sum(first.requests)) / (last.at_s - first.at_s)
