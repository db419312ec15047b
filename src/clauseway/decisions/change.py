"""What would change an answer: the nearest days, more knowledge, facts and readings under which it is another.

Every entry says how to ask again, and what the outcome is then; asking so gives just that outcome. Of several
agreements in force at once it also names those whose own answer is another then.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from itertools import product as every

import msgspec

from clauseway.agreement import Agreement, FactRegister, boundaries
from clauseway.agreement.terms import MILESTONE
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Decision, Outcome
from clauseway.decisions.engine import outcome_of
from clauseway.decisions.question import Question
from clauseway.decisions.several import (
    Asked,
    Said,
    answer_of,
    in_their_order,
    joined_verdict,
    supposing_together,
)
from clauseway.values import InvalidInput, KnownAt

# Facts that meet several conditions at once are tried together; more ways than these tell a reader nothing new.
_WAYS_MAX = 16


class WouldChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way to ask again, and the outcome then. One of the four is filled, by `kind`.

    `later`, `earlier`: the day `as_of`. `knowledge`: what was known by the end of the day `known_at`. `fact`: what to
    `suppose`, in the form that `--suppose` takes. `reading`: an option as `--reading` takes it. `agreements` names, of
    several asked together, those whose own answer is another then.
    """

    kind: str
    outcome: Outcome
    as_of: date | None = None
    known_at: date | None = None
    suppose: tuple[str, ...] = ()
    reading: str = ""
    agreements: tuple[str, ...] = ()


def would_change(
    agreement: Agreement,
    catalog: Catalog,
    facts: FactRegister,
    question: Question,
    decision: Decision,
) -> tuple[WouldChange, ...]:
    """What would change a decision, each entry alone. Days first, then knowledge, facts and readings."""
    return would_change_together([Asked(agreement, catalog, facts)], question, decision)


def would_change_together(
    asked: Sequence[Asked], question: Question, decision: Decision
) -> tuple[WouldChange, ...]:
    """The same of a decision under one or several agreements."""
    asking = _Asking(asked, question, decision)
    return (
        *asking.later(),
        *asking.earlier(),
        *asking.knowledge(),
        *asking.facts(_ways_to_meet(decision)),
        *asking.readings(),
    )


class _Found(msgspec.Struct, frozen=True):
    """Another outcome, and the agreements whose own answer is another."""

    outcome: Outcome
    agreements: tuple[str, ...]


class _Asking:
    """A question with its answer, to be asked again otherwise."""

    def __init__(self, asked: Sequence[Asked], question: Question, decision: Decision) -> None:
        self._asked = in_their_order(asked)
        self._question = question
        self._decision = decision
        self._said = [answer_of(one, question) for one in self._asked] if len(asked) > 1 else []
        days = {
            day for one in asked for day in boundaries(one.agreement, one.facts, question.known_at)
        }
        self._days = sorted(days)

    def later(self) -> Iterator[WouldChange]:
        """The first day after the question's on which the outcome is another."""
        yield from self._first(
            [day for day in self._days if day > self._question.as_of], self._on("later")
        )

    def earlier(self) -> Iterator[WouldChange]:
        """The last day before the question's on which the outcome was another: the eve of a day that can change it."""
        eves = [
            day - timedelta(days=1)
            for day in reversed(self._days)
            if date.min < day <= self._question.as_of
        ]
        yield from self._first(eves, self._on("earlier"))

    def knowledge(self) -> Iterator[WouldChange]:
        """The first day by whose end enough more was known for another outcome."""
        points = [amendment.known for one in self._asked for amendment in one.agreement.amendments]
        points += [fact.known for one in self._asked for fact in one.facts.facts]
        days = sorted({point.day for point in points if point > self._question.known_at})
        yield from self._first(days, self._known)

    def facts(self, ways: Iterable[tuple[str, ...]]) -> Iterator[WouldChange]:
        """The facts that would change the outcome, taken as true from the question's day on."""
        for way in dict.fromkeys((*ways, *self._grants(), (MILESTONE,), *self._events())):
            supposed = tuple(f"{need}={self._question.as_of}" for need in way)
            if (asked := self._supposing(supposed)) and (
                found := self._other(asked, self._question)
            ):
                yield WouldChange(
                    kind="fact",
                    suppose=supposed,
                    outcome=found.outcome,
                    agreements=found.agreements,
                )

    def readings(self) -> Iterator[WouldChange]:
        """Each reading under which the outcome is another."""
        for turn in self._decision.turns_on:
            readings = {**self._question.readings, turn.reading: turn.option}
            found = self._other(
                self._asked, msgspec.structs.replace(self._question, readings=readings)
            )
            agreements = found.agreements if found else ()
            option = f"{turn.reading}={turn.option}"
            yield WouldChange(
                kind="reading", outcome=turn.outcome, reading=option, agreements=agreements
            )

    def _supposing(self, supposed: Iterable[str]) -> Sequence[Asked]:
        """The agreements with these facts; none where one of the facts is about nothing that any of them names."""
        asked: Sequence[Asked] = self._asked
        try:
            for text in supposed:
                asked = supposing_together(asked, text)
        except InvalidInput:
            return ()
        return asked

    def _grants(self) -> list[tuple[str, ...]]:
        """A grant of what is asked about, which gives back even what a licence that ended once gave."""
        asked = self._question
        if not asked.product:
            return []
        return [
            (f"grant:{party}:{asked.product}",)
            for party in dict.fromkeys((asked.party, asked.seller))
        ]

    def _events(self) -> list[tuple[str, ...]]:
        """The events that may be recorded under any of the agreements."""
        names = {name for asked in self._asked for name in asked.catalog.events}
        return [(f"event:{name}",) for name in sorted(names)]

    def _on(self, kind: str) -> Callable[[date], WouldChange | None]:
        def ask(day: date) -> WouldChange | None:
            found = self._other(self._asked, msgspec.structs.replace(self._question, as_of=day))
            if found is None:
                return None
            return WouldChange(
                kind=kind, as_of=day, outcome=found.outcome, agreements=found.agreements
            )

        return ask

    def _known(self, day: date) -> WouldChange | None:
        found = self._other(
            self._asked, msgspec.structs.replace(self._question, known_at=KnownAt.end_of(day))
        )
        if found is None:
            return None
        return WouldChange(
            kind="knowledge", known_at=day, outcome=found.outcome, agreements=found.agreements
        )

    def _other(self, asked: Sequence[Asked], question: Question) -> _Found | None:
        """The outcome of another question, or under other facts; None where it is the same."""
        if len(asked) == 1:
            [one] = asked
            outcome = outcome_of(one.agreement, one.catalog, one.facts, question)
            return None if outcome is self._decision.outcome else _Found(outcome, ())
        said = [answer_of(one, question) for one in asked]
        outcome = joined_verdict(question.action, asked, said).outcome
        if outcome is self._decision.outcome:
            return None
        pairs = zip(asked, self._said, said, strict=True)
        return _Found(
            outcome, tuple(one.agreement.id for one, was, now in pairs if _says(was) != _says(now))
        )

    @staticmethod
    def _first(
        days: Sequence[date], ask: Callable[[date], WouldChange | None]
    ) -> Iterator[WouldChange]:
        yield from islice(filter(None, map(ask, days)), 1)


def _says(said: Said) -> tuple[object, ...]:
    """What bears on the outcome of all."""
    return said.outcome, {condition.term for condition in said.conditions}


def _ways_to_meet(decision: Decision) -> list[tuple[str, ...]]:
    """Facts that together meet all conditions, one for each; none where a condition can be met by no fact."""
    needs = [condition.needs for condition in decision.conditions]
    return list(islice(every(*needs), _WAYS_MAX)) if needs else []
