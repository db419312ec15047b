"""Find changes that would change an answer: the nearest days, more knowledge, facts and readings.

Every entry says how to ask again and the outcome then; asking so gives exactly that outcome. Of
several agreements in force at once, it also names those whose own answer would change.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from itertools import product as every

import msgspec

from clauseway.agreement import Agreement, FactRegister, boundaries
from clauseway.agreement.language.terms import MILESTONE
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Decision, Outcome
from clauseway.decisions.joint_answers import (
    AskedAgreement,
    in_their_order,
    joined_verdict,
    put_to,
    silence,
    supposing_together,
    unnamed_in,
)
from clauseway.decisions.question import Question
from clauseway.decisions.tables.decision_table import Tables, Verdict
from clauseway.values import InvalidInput, KnownAt

# Facts that meet several conditions at once are tried together. More ways than these would tell a
# reader nothing new.
_WAYS_MAX = 16


class WouldChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way to ask again, and the outcome then. `kind` says which of four fields is filled.

    `later`, `earlier`: the day `as_of`. `knowledge`: the day `known_at`, by whose end it was known.
    `fact`: the facts to `suppose`, in the form that `--suppose` takes. `reading`: an option, in the
    form that `--reading` takes. `agreements` names those of several agreements whose own answer
    would change.
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
    """Return the changes that alone would change a decision: days, knowledge, facts, readings."""
    return would_change_together([AskedAgreement(agreement, catalog, facts)], question, decision)


def would_change_together(
    asked: Sequence[AskedAgreement], question: Question, decision: Decision
) -> tuple[WouldChange, ...]:
    """Do the same as `would_change`, for a decision under one or several agreements."""
    asking = _Asking(asked, question, decision)
    return (
        *asking.later(),
        *asking.earlier(),
        *asking.knowledge(),
        *asking.facts(_ways_to_meet(decision)),
        *asking.readings(),
    )


class _Changed(msgspec.Struct, frozen=True):
    """A changed outcome, and the agreements whose own answer changed."""

    outcome: Outcome
    agreements: tuple[str, ...]


class _Member(msgspec.Struct, frozen=True):
    """An agreement and its tables. One fold serves every day; a question compiles one row."""

    asked: AskedAgreement
    tables: Tables

    @classmethod
    def of(cls, asked: AskedAgreement) -> "_Member":
        return cls(asked, Tables(asked.agreement, asked.catalog, asked.facts))

    def answer(self, question: Question) -> Verdict:
        """Return the agreement's own answer. It is unstated if it does not know the names."""
        own = put_to(self.asked, question)
        if unnamed := unnamed_in(self.asked, own):
            return silence(self.asked, unnamed)
        return self.tables.answer(own)


class _Asking:
    """A question with its answer, to be asked again with changes."""

    def __init__(
        self, asked: Sequence[AskedAgreement], question: Question, decision: Decision
    ) -> None:
        self._asked = in_their_order(asked)
        self._members = [_Member.of(member) for member in self._asked]
        self._question = question
        self._decision = decision
        self._said = [member.answer(question) for member in self._members]
        days = {
            day
            for member in asked
            for day in boundaries(member.agreement, member.facts, question.known_at)
        }
        self._days = sorted(days)

    def later(self) -> Iterator[WouldChange]:
        """Yield the first day after the question's on which the outcome changes."""
        yield from self._first(
            [day for day in self._days if day > self._question.as_of], self._on("later")
        )

    def earlier(self) -> Iterator[WouldChange]:
        """Yield the last earlier day with another outcome: the eve of a day that can change it."""
        eves = [
            day - timedelta(days=1)
            for day in reversed(self._days)
            if date.min < day <= self._question.as_of
        ]
        yield from self._first(eves, self._on("earlier"))

    def knowledge(self) -> Iterator[WouldChange]:
        """Yield the first day by whose end enough was known to change the outcome."""
        points = [
            amendment.known for member in self._asked for amendment in member.agreement.amendments
        ]
        points += [fact.known for member in self._asked for fact in member.facts.facts]
        days = sorted({point.day for point in points if point > self._question.known_at})
        yield from self._first(days, self._known)

    def facts(self, ways: Iterable[tuple[str, ...]]) -> Iterator[WouldChange]:
        """Yield the facts that would change the outcome if true from the question's day on."""
        for way in dict.fromkeys((*ways, *self._grants(), (MILESTONE,), *self._events())):
            supposed = tuple(f"{need}={self._question.as_of}" for need in way)
            members = [_Member.of(member) for member in self._supposing(supposed)]
            if members and (change := self._other(members, self._question)):
                yield WouldChange(
                    kind="fact",
                    suppose=supposed,
                    outcome=change.outcome,
                    agreements=change.agreements,
                )

    def readings(self) -> Iterator[WouldChange]:
        """Yield each reading under which the outcome changes."""
        for turn in self._decision.turns_on:
            readings = {**self._question.readings, turn.reading: turn.option}
            change = self._other(
                self._members, msgspec.structs.replace(self._question, readings=readings)
            )
            agreements = change.agreements if change else ()
            option = f"{turn.reading}={turn.option}"
            yield WouldChange(
                kind="reading", outcome=turn.outcome, reading=option, agreements=agreements
            )

    def _supposing(self, supposed: Iterable[str]) -> Sequence[AskedAgreement]:
        """Return the agreements with these facts; none if no agreement knows a fact's names."""
        asked: Sequence[AskedAgreement] = self._asked
        try:
            for text in supposed:
                asked = supposing_together(asked, text)
        except InvalidInput:
            return ()
        return asked

    def _grants(self) -> list[tuple[str, ...]]:
        """Return a grant of the product, which restores even the rights of an ended licence."""
        asked = self._question
        if not asked.product:
            return []
        return [
            (f"grant:{party}:{asked.product}",)
            for party in dict.fromkeys((asked.party, asked.seller))
        ]

    def _events(self) -> list[tuple[str, ...]]:
        """Return the events that may be recorded under any of the agreements."""
        names = {name for asked in self._asked for name in asked.catalog.events}
        return [(f"event:{name}",) for name in sorted(names)]

    def _on(self, kind: str) -> Callable[[date], WouldChange | None]:
        def ask(day: date) -> WouldChange | None:
            change = self._other(self._members, msgspec.structs.replace(self._question, as_of=day))
            if change is None:
                return None
            return WouldChange(
                kind=kind, as_of=day, outcome=change.outcome, agreements=change.agreements
            )

        return ask

    def _known(self, day: date) -> WouldChange | None:
        change = self._other(
            self._members, msgspec.structs.replace(self._question, known_at=KnownAt.end_of(day))
        )
        if change is None:
            return None
        return WouldChange(
            kind="knowledge", known_at=day, outcome=change.outcome, agreements=change.agreements
        )

    def _other(self, members: Sequence[_Member], question: Question) -> _Changed | None:
        """Return the outcome of a changed question or under changed facts; None if it is equal."""
        said = [member.answer(question) for member in members]
        outcome = joined_verdict(question.action, self._asked, said).outcome
        if outcome is self._decision.outcome:
            return None
        if len(said) == 1:
            return _Changed(outcome, ())
        changed = (
            member.agreement.id
            for member, was, now in zip(self._asked, self._said, said, strict=True)
            if _says(was) != _says(now)
        )
        return _Changed(outcome, tuple(changed))

    @staticmethod
    def _first(
        days: Sequence[date], ask: Callable[[date], WouldChange | None]
    ) -> Iterator[WouldChange]:
        yield from islice(filter(None, map(ask, days)), 1)


def _says(said: Verdict) -> tuple[object, ...]:
    """Return the parts of an agreement's answer that bear on the joint outcome."""
    return said.outcome, {condition.term for condition in said.conditions}


def _ways_to_meet(decision: Decision) -> list[tuple[str, ...]]:
    """Return ways to meet all conditions, each with a fact for each condition.

    Return none if no fact can meet some condition.
    """
    needs = [condition.needs for condition in decision.conditions]
    return list(islice(every(*needs), _WAYS_MAX)) if needs else []
