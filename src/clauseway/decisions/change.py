"""What would change an answer: the nearest days, more knowledge, facts and readings under which it is another.

Every entry says how to ask again, and what the outcome is then; asking so gives just that outcome.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from itertools import product as every

import msgspec

from clauseway.agreement import Agreement, FactRegister, boundaries, suppose
from clauseway.agreement.terms import MILESTONE
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Decision, Outcome
from clauseway.decisions.engine import outcome_of
from clauseway.decisions.question import Question
from clauseway.values import KnownAt

# Facts that meet several conditions at once are tried together; more ways than these tell a reader nothing new.
_WAYS_MAX = 16


class WouldChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way to ask again, and the outcome then. One of the four is filled, by `kind`.

    `later`, `earlier`: the day `as_of`. `knowledge`: what was known by the end of the day `known_at`. `fact`: what to
    `suppose`, in the form that `--suppose` takes. `reading`: an option as `--reading` takes it.
    """

    kind: str
    outcome: Outcome
    as_of: date | None = None
    known_at: date | None = None
    suppose: tuple[str, ...] = ()
    reading: str = ""


def would_change(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question, decision: Decision
) -> tuple[WouldChange, ...]:
    """What would change a decision, each entry alone. Days first, then knowledge, facts and readings."""
    asking = _Asking(agreement, catalog, facts, question, decision.outcome)
    return (
        *asking.later(),
        *asking.earlier(),
        *asking.knowledge(),
        *asking.facts(_ways_to_meet(decision)),
        *(
            WouldChange(kind="reading", outcome=turn.outcome, reading=f"{turn.reading}={turn.option}")
            for turn in decision.turns_on
        ),
    )


class _Asking:
    """A question with its answer, to be asked again otherwise."""

    def __init__(
        self, agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question, outcome: Outcome
    ) -> None:
        self._agreement = agreement
        self._catalog = catalog
        self._facts = facts
        self._question = question
        self._outcome = outcome
        self._days = boundaries(agreement, facts, question.known_at)

    def later(self) -> Iterator[WouldChange]:
        """The first day after the question's on which the outcome is another."""
        days = [day for day in self._days if day > self._question.as_of]
        yield from _first(days, self._on, lambda day, outcome: WouldChange(kind="later", as_of=day, outcome=outcome))

    def earlier(self) -> Iterator[WouldChange]:
        """The last day before the question's on which the outcome was another: the eve of a day that can change it."""
        eves = [day - timedelta(days=1) for day in reversed(self._days) if date.min < day <= self._question.as_of]
        yield from _first(eves, self._on, lambda day, outcome: WouldChange(kind="earlier", as_of=day, outcome=outcome))

    def knowledge(self) -> Iterator[WouldChange]:
        """The first day by whose end enough more was known for another outcome."""
        points = [amendment.known for amendment in self._agreement.amendments]
        points += [fact.known for fact in self._facts.facts]
        days = sorted({point.day for point in points if point > self._question.known_at})
        yield from _first(
            days, self._known, lambda day, outcome: WouldChange(kind="knowledge", known_at=day, outcome=outcome)
        )

    def facts(self, ways: Iterable[tuple[str, ...]]) -> Iterator[WouldChange]:
        """The facts that would change the outcome, taken as true from the question's day on."""
        for way in dict.fromkeys((*ways, *self._grants(), (MILESTONE,))):
            supposed = tuple(f"{need}={self._question.as_of}" for need in way)
            facts = self._facts.with_facts([suppose(text, self._catalog) for text in supposed])
            outcome = outcome_of(self._agreement, self._catalog, facts, self._question)
            if outcome != self._outcome:
                yield WouldChange(kind="fact", suppose=supposed, outcome=outcome)

    def _grants(self) -> list[tuple[str, ...]]:
        """A grant of what is asked about, which gives back even what a licence that ended once gave."""
        asked = self._question
        if not asked.product:
            return []
        return [(f"grant:{party}:{asked.product}",) for party in dict.fromkeys((asked.party, asked.seller))]

    def _on(self, day: date) -> Outcome | None:
        question = msgspec.structs.replace(self._question, as_of=day)
        return self._other(outcome_of(self._agreement, self._catalog, self._facts, question))

    def _known(self, day: date) -> Outcome | None:
        question = msgspec.structs.replace(self._question, known_at=KnownAt.end_of(day))
        return self._other(outcome_of(self._agreement, self._catalog, self._facts, question))

    def _other(self, outcome: Outcome) -> Outcome | None:
        return None if outcome == self._outcome else outcome


def _first(
    days: Sequence[date], ask: Callable[[date], Outcome | None], change: Callable[[date, Outcome], WouldChange]
) -> Iterator[WouldChange]:
    for day in days:
        if (outcome := ask(day)) is not None:
            yield change(day, outcome)
            return


def _ways_to_meet(decision: Decision) -> list[tuple[str, ...]]:
    """Facts that together meet all conditions, one for each; none where a condition can be met by no fact."""
    needs = [condition.needs for condition in decision.conditions]
    return list(islice(every(*needs), _WAYS_MAX)) if needs else []
