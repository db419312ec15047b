"""Stand-ins for days and points of knowledge, for callers that ask many questions.

All days between two boundaries have the same answers, and so have all points of knowledge between
two announcements. A caller that replaces its own days and points by their stand-ins is left with
few distinct questions, and asks each of them once.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from datetime import date

from clauseway.agreement import Agreement, FactRegister, boundaries
from clauseway.values import FOREVER, KnownAt


class StandIns:
    """A day for each epoch and a point for each state of knowledge, of one or more agreements."""

    def __init__(self, asked: Iterable[tuple[Agreement, FactRegister]]) -> None:
        days: set[date] = set()
        points: set[KnownAt] = set()
        for agreement, facts in asked:
            # A fact corrected since still counts in questions about what was known before that.
            days.update(boundaries(agreement, FactRegister(), KnownAt.everything()))
            days.update(fact.effective for fact in facts.facts)
            points.update(amendment.known for amendment in agreement.amendments)
            points.update(fact.known for fact in facts.facts)
        self._days, self._points = sorted(days), sorted(points)

    def cut_at(self, day: date) -> None:
        """Add a day on which answers may change, because a question supposes a fact of that day."""
        if day not in self._days:
            insort(self._days, day)

    def day(self, as_of: date) -> date:
        """Return a day with the same answers. FOREVER stays: no question can be about it."""
        if as_of == FOREVER:
            return as_of
        number = bisect_right(self._days, as_of)
        return self._days[number - 1] if number else date.min

    def known_at(self, known_at: KnownAt) -> KnownAt:
        """Return a point at which the same was known."""
        number = bisect_right(self._points, known_at)
        return self._points[number - 1] if number else KnownAt.always()
