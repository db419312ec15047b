"""Prove a claim by trying it on every combination and every stretch of days in a range.

If the claim fails, report the smallest exception. The domain is finite, and a table knows the days
on which each answer may change. So every question is asked, and none is asked twice. A proof holds
for one point of knowledge, and under every choice of readings that was tried.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import product as every
from math import prod
from typing import Protocol

import msgspec

from clauseway.agreement import Agreement, FactRegister
from clauseway.agreement.language.actions import ACTIONS, SERVE
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Outcome
from clauseway.decisions.parts import PARTS, NameLists, Names
from clauseway.decisions.question import Question, check_part, check_readings, region_problems
from clauseway.decisions.tables.decision_table import DecisionTable, Verdict
from clauseway.decisions.tables.domain import all_questions
from clauseway.values import FOREVER, Interval, InvalidInput, KnownAt, Problem, refuse_any

# Each choice of readings needs its own walk, which takes about a tenth of a second over the whole
# built-in agreement.
_CHOICES_MAX = 1024


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim about every outcome: it is always (`always`) or never one of `outcomes`."""

    always: bool
    outcomes: frozenset[Outcome]

    def holds_of(self, outcome: Outcome) -> bool:
        return (outcome in self.outcomes) is self.always

    def __str__(self) -> str:
        return f"{'always' if self.always else 'never'} {' or '.join(sorted(self.outcomes))}"


class Within(NameLists, frozen=True, kw_only=True):
    """The combinations that a claim is about. An empty list means any name.

    A class stands for a new product of it, as in a question. A wider class, which no question can
    be about, stands for everything that lies in it.
    """

    def check(self, catalog: Catalog) -> None:
        """Raise InvalidInput for every name that is not known."""
        problems: list[Problem] = []
        for part in PARTS:
            for name in () if part.name == "region" else getattr(self, part.lists):
                check_part(problems, part, name, catalog)
        problems += [
            problem for name in self.regions for problem in self._region_problems(catalog, name)
        ]
        refuse_any(problems)

    def _region_problems(self, catalog: Catalog, name: str) -> list[Problem]:
        """Return the problems of a region that lies on none of the clouds, as `ask` words them."""
        problems = [
            region_problems(catalog, SERVE, cloud, name)
            for cloud in self.clouds or sorted(catalog.clouds)
        ]
        return problems[0] if all(problems) else []

    def holding(self, catalog: Catalog) -> Callable[[Question], bool]:
        """Return the function that says if a question is one of these combinations."""
        limits = [(part.name, names) for part in PARTS if (names := getattr(self, part.lists))]

        def is_meant(question: Question, part: str, names: tuple[str, ...]) -> bool:
            match part:
                case "product":
                    return any(_is_meant(question.product, name, catalog) for name in names)
                case "region":
                    return any(self._lies_in(question, name, catalog) for name in names)
            return getattr(question, part) in names

        return lambda question: all(is_meant(question, *limit) for limit in limits)

    @staticmethod
    def _lies_in(question: Question, name: str, catalog: Catalog) -> bool:
        """Return whether a question's region is the region named, or that of the place named.

        Where the agreement defines no regions, this is true of every place.
        """
        try:
            return question.region == catalog.region_of(question.cloud, name)
        except KeyError:
            return False  # the place belongs to another cloud


def _is_meant(product: str, name: str, catalog: Catalog) -> bool:
    if not product or product == name:
        return product == name
    wider = name in catalog.classes and not catalog.classes[name].actions
    return wider and catalog.belongs(product, name)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The result of trying a claim on every combination and every day of a range.

    `end` is exclusive, FOREVER where the range has no end. `stretches` counts the runs of days on
    which no answer can change, `readings` the choices of readings. `counterexample` is the smallest
    question of which the claim does not hold: the one of the earliest day, then with the fewest
    names, then with the first names, then under the first readings.
    """

    holds: bool
    combinations: int
    begin: date
    end: date
    stretches: int
    readings: int
    counterexample: Question | None = None

    @property
    def days(self) -> int | None:
        """Return how many days were covered; None where the range has no end."""
        return None if self.end == FOREVER else (self.end - self.begin).days


def prove(
    agreement: Agreement,
    catalog: Catalog,
    facts: FactRegister,
    claim: Claim,
    within: Within,
    days: Interval,
    *,
    known_at: KnownAt,
    readings: Sequence[Mapping[str, str]],
) -> Proof:
    """Try a claim on every question within `within` and `days`, under each choice of `readings`.

    `every_reading` makes these choices; each has an option for every reading.
    Raise InvalidInput for unknown names, and if there is no such question.

    >>> from datetime import date
    >>> from clauseway import Claim, Interval, KnownAt, Outcome, Within
    >>> from clauseway import every_reading, open_agreement, prove
    >>> opened = open_agreement()
    >>> proof = prove(
    ...     opened.agreement,
    ...     opened.catalog,
    ...     opened.facts,
    ...     Claim(always=False, outcomes=frozenset({Outcome.PERMITTED})),
    ...     Within(actions=("serve",), parties=("openai",), products=("gpt-5.5",), clouds=("aws",)),
    ...     Interval(date(2023, 1, 23), date(2026, 4, 27)),
    ...     known_at=KnownAt.everything(),
    ...     readings=every_reading(opened.agreement, {}),
    ... )
    >>> print(proof.holds, proof.counterexample.as_of, proof.counterexample.segment)
    False 2025-10-28 us-national-security
    """
    questions = all_questions(
        agreement,
        catalog,
        as_of=days.begin,
        known_at=known_at,
        every_seller=bool(within.sellers),
    )
    tables = [DecisionTable(agreement, catalog, facts, known_at, chosen) for chosen in readings]
    return walk(claim, within, days, catalog, questions, tables, readings)


class AnswerTable(Protocol):
    """A table, of one agreement or of several in force at once."""

    def verdict(self, asked: Names, as_of: date) -> Verdict: ...

    def days(self, action: str, product: str) -> Sequence[date]: ...


def walk(
    claim: Claim,
    within: Within,
    days: Interval,
    catalog: Catalog,
    questions: Iterable[Question],
    tables: Sequence[AnswerTable],
    readings: Sequence[Mapping[str, str]],
) -> Proof:
    """Try a claim on the questions that lie within `within`, under each table.

    `readings[n]` are the readings of `tables[n]`. Raises InvalidInput as `prove` does.
    """
    within.check(catalog)
    rows = _rows(filter(within.holding(catalog), questions))
    if not rows or days.is_empty:
        raise InvalidInput(_nothing_to_walk(days))
    exceptions = [
        (day, _size(question), number, question)
        for number, table in enumerate(tables)
        for day, question in _smallest(claim, table, rows, days)
    ]
    counterexample: Question | None = None
    if exceptions:
        # The question itself does not count: questions cannot be compared.
        day, _, number, question = min(exceptions, key=lambda exception: exception[:3])
        counterexample = msgspec.structs.replace(question, as_of=day, readings=readings[number])
    return Proof(
        holds=not exceptions,
        combinations=sum(map(len, rows.values())),
        begin=days.begin,
        end=days.end,
        stretches=len(
            {day for table in tables for row in rows for day in _days(table, *row, days)}
        ),
        readings=len(tables),
        counterexample=counterexample,
    )


_Rows = Mapping[tuple[str, str], Sequence[Question]]


def _rows(questions: Iterable[Question]) -> _Rows:
    """Group questions by action and product: the answers of a row change on the same days."""
    rows: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in questions:
        rows[question.action, question.product].append(question)
    return rows


def _days(table: AnswerTable, action: str, product: str, days: Interval) -> Iterator[date]:
    """Yield the first day of each stretch in the range on which no answer of a row changes."""
    yield days.begin
    yield from (day for day in table.days(action, product) if days.begin < day < days.end)


def every_reading(agreement: Agreement, chosen: Mapping[str, str]) -> list[dict[str, str]]:
    """Return every choice of readings that keeps the chosen options, the defaults first.

    Raise InvalidInput for unknown readings or options, and if there are too many choices to walk.

    >>> from clauseway import every_reading, open_agreement
    >>> choices = every_reading(open_agreement().agreement, {})
    >>> print(len(choices), choices[0])
    16 {'R1': 'and', 'R3': 'a4', 'R5': 'new', 'R6': 'listed'}
    """
    fixed = check_readings(agreement, chosen)
    options = [
        (fixed[reading.id],) if reading.id in chosen else reading.options
        for reading in agreement.readings.values()
    ]
    check_choices(prod(map(len, options)))
    return [dict(zip(agreement.readings, choice, strict=True)) for choice in every(*options)]


def check_choices(count: int) -> None:
    """Raise InvalidInput if there are more choices of readings than can be walked."""
    if count > _CHOICES_MAX:
        raise InvalidInput.of(
            what="too many readings are left open",
            why=f"they are read in {count:,} ways",
            where="--every-reading",
            remedy="Choose some of them with --reading NAME=OPTION.",
        )


def _smallest(
    claim: Claim, table: AnswerTable, rows: _Rows, days: Interval
) -> Iterator[tuple[date, Question]]:
    """Yield the smallest question of which the claim does not hold under a table, if there is one.

    Yield its day with it.
    """
    exceptions = (
        (day, _size(question), question)
        for (action, product), questions in rows.items()
        for day in _days(table, action, product, days)
        for question in questions
        if not claim.holds_of(table.verdict(question, day).outcome)
    )
    smallest = min(exceptions, key=lambda exception: exception[:2], default=None)
    if smallest:
        yield smallest[0], smallest[2]


def _size(question: Question) -> tuple[object, ...]:
    """Return a sort key: fewer names first, then the names in order. Open parts do not count."""
    combination = question.as_combination()
    names = tuple(combination[part.name] for part in PARTS if part.name != "action")
    count = sum(name not in ("", "any") for name in names)
    return count, ACTIONS.index(question.action), names


def _nothing_to_walk(days: Interval) -> Problem:
    if days.is_empty:
        why, remedy = (
            f"the range from {days.begin} has no day",
            "Let --until be no earlier than --from.",
        )
        return Problem(what="there is nothing to prove", why=why, where="--until", remedy=remedy)
    why = (
        "no question has all these names: "
        "some action does not take that product, cloud or other party"
    )
    return Problem(
        what="there is nothing to prove", why=why, where="--action", remedy="Leave out a flag."
    )
