"""Requests a second over the last minute, from counts that one process collects at its own pace.

The rate rests on the collected counts alone, so it is the same for everybody who looks, however
many do.
"""

from collections import deque
from collections.abc import Sequence
from operator import le

import msgspec

WINDOW_S = 60.0


class _Collected(msgspec.Struct, frozen=True):
    """The number of requests of each worker at one time."""

    at_s: float
    requests: tuple[int, ...]


def _go_on(before: Sequence[int], after: Sequence[int]) -> bool:
    """Return whether the same workers counted on."""
    return len(before) == len(after) and all(map(le, before, after))


class RequestRate:
    """A ring of counts that are no older than a minute."""

    def __init__(self) -> None:
        self._ring: deque[_Collected] = deque()

    def collect(self, at_s: float, requests: Sequence[int]) -> None:
        """Take the number of requests of each worker up to now. `at_s` comes from a clock that never
        goes back."""
        if self._ring and not _go_on(self._ring[-1].requests, requests):
            # A worker that was started again counts from zero, and one may not have answered.
            self._ring.clear()
        self._ring.append(_Collected(at_s, tuple(requests)))
        while at_s - self._ring[0].at_s > WINDOW_S:
            self._ring.popleft()

    def forget(self) -> None:
        """Begin anew: the gateway does not answer, so nobody knows what came meanwhile."""
        self._ring.clear()

    def per_second(self) -> float | None:
        """Return the rate over the collected counts; None before there are two."""
        if len(self._ring) < 2:
            return None
        first, last = self._ring[0], self._ring[-1]
        return (sum(last.requests) - sum(first.requests)) / (last.at_s - first.at_s)
