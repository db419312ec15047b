"""Questions asked in great number: days and points of knowledge that have the same answers stand for each other.

Whoever puts these in the place of its own is left with few questions that are distinct, and asks each of them once.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from datetime import date

from clauseway.agreement import Agreement, FactRegister, boundaries
from clauseway.values import FOREVER, KnownAt


class StandIns:
    """A day for each epoch and a point for each state of knowledge, over one agreement or several."""

    def __init__(self, asked: Iterable[tuple[Agreement, FactRegister]]) -> None:
        days: set[date] = set()
        points: set[KnownAt] = set()
        for agreement, facts in asked:
            # A fact that was corrected by now still has its day for those who ask of what was known before.
            days.update(boundaries(agreement, FactRegister(), KnownAt.everything()))
            days.update(fact.effective for fact in facts.facts)
            points.update(amendment.known for amendment in agreement.amendments)
            points.update(fact.known for fact in facts.facts)
        self._days, self._points = sorted(days), sorted(points)

    def cut_at(self, day: date) -> None:
        """Another day on which answers may change, for a question that supposes something of it."""
        if day not in self._days:
            insort(self._days, day)

    def day(self, as_of: date) -> date:
        """A day with the same answers. FOREVER is none that can be asked about, and stays."""
        if as_of == FOREVER:
            return as_of
        number = bisect_right(self._days, as_of)
        return self._days[number - 1] if number else date.min

    def known_at(self, known_at: KnownAt) -> KnownAt:
        """A point at which the same was known."""
        number = bisect_right(self._points, known_at)
        return self._points[number - 1] if number else KnownAt.always()
