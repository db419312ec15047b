"""Stand-ins for days and points of knowledge, for callers that ask many questions.

All days between two boundaries have the same answers, and so have all points of knowledge between
two announcements. A caller that replaces its own days and points by their stand-ins is left with
few distinct questions, and asks each of them once.
"""

import contextlib
from bisect import bisect_right, insort
from collections.abc import Iterable
from datetime import date

from clauseway.agreement import (
    Agreement,
    Fact,
    FactRegister,
    Milestone,
    possible_boundaries,
    possible_turns,
    suppose,
)
from clauseway.agreement.language.facts import EventHappened
from clauseway.values import FOREVER, InvalidInput, KnownAt


class StandIns:
    """A day for each epoch and a point for each state of knowledge, of one or more agreements."""

    def __init__(self, asked: Iterable[tuple[Agreement, FactRegister]]) -> None:
        days: set[date] = set()
        points: set[KnownAt] = set()
        self._happened: list[tuple[Agreement, tuple[Fact, ...]]] = []
        for agreement, facts in asked:
            # A fact corrected since still counts in questions about what was known before that.
            days |= possible_boundaries(agreement, facts)
            points.update(amendment.known for amendment in agreement.amendments)
            points.update(fact.known for fact in facts.facts)
            happened = (fact for fact in facts.facts if isinstance(fact, EventHappened | Milestone))
            self._happened.append((agreement, tuple(happened)))
        self._days, self._points = sorted(days), sorted(points)

    def suppose(self, items: Iterable[str]) -> None:
        """Add the days on which answers may change because a question supposes these facts.

        A supposed event has its days together with those on record. A fact that an agreement cannot
        read is left to the question.
        """
        items = list(items)
        days: set[date] = set()
        for agreement, happened in self._happened:
            supposed = _readable(items, agreement)
            days |= possible_turns(agreement, FactRegister((*happened, *supposed)))
        for day in days.difference(self._days):
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


def _readable(items: Iterable[str], agreement: Agreement) -> list[Fact]:
    facts = []
    for item in items:
        with contextlib.suppress(InvalidInput):
            facts.append(suppose(item, agreement.catalog, agreement.events))
    return facts
