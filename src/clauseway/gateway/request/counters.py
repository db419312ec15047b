"""Counters of a process since its start: a few additions for each request, and no more.

`control_socket`, `glance` and `metrics` derive the figures that they show from these counters when they are asked.
"""

from collections import defaultdict
from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.metering import Unit

# A duration falls into the bucket of its number of bits in microseconds: bucket 17 holds those
# below 131 ms. Twice as long is one bucket further, which is as exact as anyone needs it, and costs
# one look-up.
BUCKETS: Final = 64
UNITS: Final = max(Unit) + 1

# (deployment, product, operation, status): the first two are empty where no cloud answered; status
# 0: the client left.
CountersKey = tuple[str, str, str, int]


class Counters:
    """Requests that ended in one way."""

    __slots__ = ("buckets", "charged", "count", "duration_us", "units")

    def __init__(self) -> None:
        self.count = 0
        self.duration_us = 0
        self.buckets = vec[i64]([0] * BUCKETS)
        self.units = vec[i64]([0] * UNITS)  # by the unit's code
        self.charged = 0  # in picodollars, provisional


class Counts:
    """Live counts. Those by cloud are for the pages; `started` counts the requests that were handed
    to a lifecycle.

    `tokens` are input and output together, as the clouds reported them. `failures` are failed
    attempts by (deployment, product, HTTP status, 0 for none); `refusals` are by code of the error,
    `shortages` by (kind, whose).
    """

    def __init__(self) -> None:
        self.served: defaultdict[str, int] = defaultdict(int)
        self.refused: defaultdict[str, int] = defaultdict(int)
        self.failed: defaultdict[str, int] = defaultdict(int)
        self.tokens: defaultdict[str, int] = defaultdict(int)
        self.started = 0
        self.by_outcome: dict[CountersKey, Counters] = {}
        self.failures: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.failovers = 0
        self.refusals: defaultdict[str, int] = defaultdict(int)
        self.shortages: defaultdict[tuple[str, str], int] = defaultdict(int)

    @property
    def ended(self) -> int:
        """Return the number of requests that are over, refused ones among them."""
        return sum(counters.count for counters in list(self.by_outcome.values()))

    def finished(self, explanation: RequestExplanation, duration_us: int) -> None:
        """Count a request that is over."""
        operation = explanation.operation
        candidate = explanation.candidate
        tried = explanation.attempted
        # A request that no cloud answered is counted without a place.
        if candidate is not None:
            key = (candidate.target.name, candidate.target.product, operation, explanation.status)
        else:
            key = ("", "", operation, explanation.status)
        counters = self.by_outcome.get(key)
        if counters is None:
            counters = self.by_outcome[key] = Counters()
        counters.count += 1
        counters.duration_us += duration_us
        counters.buckets[duration_us.bit_length()] += 1
        used = counters.units
        for unit, count in explanation.units:
            code: i64 = unit
            used[code] += count
        counters.charged += explanation.charged
        # Attempts that failed are counted at their own deployments. Their usage is counted there
        # too, and that of those called off, which are no failures.
        for ended in tried:
            # Another attempt than the first answered.
            self.failovers += candidate is not None and ended.ordinal == 1
            if not ended.called_off:
                self.failures[ended.deployment, ended.product, ended.status] += 1
            if ended.units:
                self._used(ended, operation)

    def _used(self, ended: EndedAttempt, operation: str) -> None:
        """Count what an attempt used that did not answer, at its own deployment and without a request."""
        counters = self.by_outcome.setdefault(
            (ended.deployment, ended.product, operation, ended.status), Counters()
        )
        for unit, count in ended.units:
            counters.units[unit] += count
        counters.charged += ended.charged
