"""The same question, asked of our engine and of judges from outside who read only what was exported: one answer.

Every combination of action, party, other party, product or class, cloud and segment, at every
boundary and one day either side; in every third question another sells what the party serves, and
places stand for their regions. Where an export says what it said the day before, its answers are
the day before's. So that the suite stays quick, each judge is asked a part of the questions, others
each time. All of all of them, as a script: `python tests/exchange/test_outside_judges.py`.
"""

import sys
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import count, islice

import msgspec
import pytest
from drawn_at_random import AGREEMENTS, FIRST_DAY, READINGS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outside_judges import JUDGES

from clauseway import KnownAt, OpenAgreement, open_agreement
from clauseway.agreement import boundaries
from clauseway.app.agreements.exporting import cedar, extract
from clauseway.catalog import Catalog
from clauseway.decisions import DecisionTable, Question, all_questions, check_readings, compile_table
from clauseway.exchange.agreements import AGREEMENT_FORMATS
from clauseway.exchange.agreements.extract import Extract
from soak import every, examples
from terms_at_hand import at_hand

# Where nobody built OPA before, the first test that asks it does.
pytestmark = pytest.mark.timeout(1_800)

EVERYTHING = KnownAt.everything()
ONE = timedelta(days=1)


def days_of(opened: OpenAgreement, known_at: KnownAt = EVERYTHING) -> list[date]:
    """Every boundary and one day either side."""
    days = boundaries(opened.agreement, opened.facts, known_at)
    return sorted({near for day in days for near in (day - ONE, day, day + ONE)})


class Hearing:
    """Asks a judge and our engine the same questions, day by day; what differs is collected."""

    def __init__(
        self, opened: OpenAgreement, readings: dict[str, str] | None = None, known_at: KnownAt = EVERYTHING
    ) -> None:
        self.opened, self.known_at = opened, known_at
        self.readings = check_readings(opened.agreement, readings or {})
        self.asked = self.heard = 0
        self.differing: list[str] = []

    def table(self) -> DecisionTable:
        return compile_table(
            self.opened.agreement, self.opened.catalog, self.opened.facts, self.known_at, self.readings
        )

    def questions(self, day: date, first: int = 0, stride: int = 1) -> list[Question]:
        agreement, catalog = self.opened.agreement, self.opened.catalog
        everything = all_questions(agreement, catalog, as_of=day, known_at=self.known_at, readings=self.readings)
        some = islice(enumerate(everything), first, None, stride)
        return [_varied(question, number, catalog) for number, question in some]

    def hear(self, judge: str, days: Iterable[date], stride: int = 1) -> None:
        form, answers_of = JUDGES[judge]
        table, turns = self.table(), count()
        exported, answers, phase = "", list[str](), 0
        for day in days:
            taken = extract(self.opened, day, self.known_at, self.readings)
            text = _undated(_exported(form, taken), day)
            if new := text != exported:
                exported, phase = text, next(turns) % stride
            questions = self.questions(day, phase, stride)
            if new:
                answers = answers_of(taken, questions)
                self.heard += len(answers)
            for question, outside in zip(questions, answers, strict=True):
                self.asked += 1
                ours = table.answer(question).outcome
                if outside != ours:
                    self.differing.append(f"{judge} {outside}, ours {ours}: {_readable(question)}")

    def agrees(self) -> None:
        shown = "\n".join(self.differing[:20])
        assert not self.differing, f"{len(self.differing)} of {self.asked} differ:\n{shown}"


def _varied(question: Question, number: int, catalog: Catalog) -> Question:
    """Now and then sold by another than the party, or asked of a place instead of a region."""
    parties, places = sorted(catalog.parties), sorted(catalog.places_of(question.cloud))
    if question.action == "serve" and number % 3 == 0:
        question = msgspec.structs.replace(question, seller=parties[number // 3 % len(parties)])
    if question.region and places and number % 4 == 0:
        question = msgspec.structs.replace(question, region=places[number // 4 % len(places)])
    return question


def _exported(form: str, taken: Extract) -> str:
    return "".join(cedar(taken)) if form == "cedar" else AGREEMENT_FORMATS[form](taken)


def _undated(text: str, day: date) -> str:
    """An export without its own day: in the others' heading, and in the name and the fields of the ODRL policy."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if f"as of {day}" not in line).replace(str(day), "DAY")


def _readable(asked: Question) -> str:
    parts = (asked.action, asked.party, asked.to, asked.product, asked.cloud, asked.segment, asked.region)
    return " ".join(filter(None, (*parts, f"sold by {asked.seller}", f"as of {asked.as_of}")))


# Each judge is asked one question in so many: of every boundary, and of single days.
STRIDES = {"cedar": every(2, 29), "opa": every(3, 15), "regopy": every(7, 89), "odrl": every(11, 45)}
SPARSE = {"cedar": every(11, 19), "opa": 11, "regopy": every(11, 59), "odrl": every(11, 29)}


@pytest.mark.parametrize("judge", JUDGES)
def test_every_combination_at_every_boundary(judge: str) -> None:
    opened, stride = open_agreement(), STRIDES[judge]
    hearing = Hearing(opened)
    hearing.hear(judge, days_of(opened), stride)
    hearing.agrees()
    assert hearing.asked * stride > 150_000
    assert hearing.heard * stride > 60_000


@pytest.mark.parametrize("judge", JUDGES)
def test_the_other_agreement_that_ships(judge: str) -> None:
    opened = open_agreement("anthropic-clouds")
    for readings in ({}, {"R1": "sole", "R2": "by-anthropic"}):
        hearing = Hearing(opened, readings)
        hearing.hear(judge, boundaries(opened.agreement, opened.facts, EVERYTHING), every(3, 29))
        hearing.agrees()


# Facts on refusal rights, ship-first, grants, the milestone and licences; the last fact's day is asked about.
SUPPOSED = (
    ("offer:compute:passed=2025-03-01",),
    ("milestone=2026-01-15",),
    ("milestone=2027-01-01",),
    ("launch:new-model:azure:preview=2026-05-02",),
    ("launch:stateful-runtime:aws:preview=2026-03-01", "grant:google:gpt-5.5=2026-05-10"),
    ("answer:new-model:can+declines=2026-04-29", "answer:managed-agents:cannot+declines=2026-05-01"),
    ("answer:new-model:cannot+chooses=2026-04-29", "grant:amazon:ip.models=2026-04-30"),
    (
        "grant:deployment-venture:api=2026-03-01",
        "grant:microsoft:ip.models=2033-01-01",
        "grant:microsoft:app=2033-02-01",
    ),
)


@pytest.mark.parametrize("supposed", SUPPOSED, ids=lambda texts: texts[0])
@pytest.mark.parametrize(
    "readings", [{}, {"R1": "or", "R3": "a3", "R5": "all", "R6": "all-ip"}], ids=["default", "others"]
)
@pytest.mark.parametrize("judge", JUDGES)
def test_facts_and_readings(judge: str, supposed: tuple[str, ...], readings: dict[str, str]) -> None:
    opened = open_agreement().supposing(supposed)
    day = max(date.fromisoformat(text.partition("=")[2]) for text in supposed) + ONE
    hearing = Hearing(opened, readings)
    hearing.hear(judge, [day], SPARSE[judge])
    hearing.agrees()


@pytest.mark.parametrize("known", ["2022-12-31", "2024-06-01", "2025-06-01", "2026-03-31"])
@pytest.mark.parametrize("judge", JUDGES)
def test_as_known_then(judge: str, known: str) -> None:
    """Years later, as it looked then: what became known after is in no export."""
    hearing = Hearing(open_agreement(), known_at=KnownAt.end_of(date.fromisoformat(known)))
    hearing.hear(judge, [date(2026, 5, 1), date(2031, 1, 1)], SPARSE[judge])
    hearing.agrees()


@pytest.mark.parametrize("judge", JUDGES)
def test_what_can_only_be_served_is_sold_by_others_too(judge: str) -> None:
    """Nobody is asked for the sale of research alone; who sells what another serves of it is."""
    opened = open_agreement()
    parties = sorted(opened.catalog.parties)
    assert opened.catalog.classes["research"].actions == {"serve"}
    for day in (date(2022, 1, 1), date(2025, 10, 28), date(2026, 5, 1)):
        served = [
            question
            for question in Hearing(opened).questions(day)
            if (question.product, question.segment) == ("research", "any")
        ]
        asked = [msgspec.structs.replace(question, seller=seller) for question in served for seller in parties]
        ours = [opened.answer(question).outcome for question in asked]
        assert JUDGES[judge].answers(extract(opened, day), asked) == ours


@pytest.mark.parametrize("judge", JUDGES)
def test_all_four_outcomes_are_told_apart(judge: str) -> None:
    """A hearing in which one outcome never came would prove little of it."""
    opened = open_agreement()
    outcomes = set[str]()
    for day in (date(2022, 1, 1), date(2026, 5, 1)):
        outcomes |= {*JUDGES[judge].answers(extract(opened, day), Hearing(opened).questions(day, stride=11))}
    assert outcomes == {"permitted", "forbidden", "conditional", "unstated"}


KEPT_BY_THE_OWNER = """
id: t
kind: refusal-right
holder: maker
actions: [sell]
products: [apps]
subject: resale

id: g
kind: permission
party: partner
actions: [serve, sell]
products: [apps]
"""


@pytest.mark.parametrize("judge", JUDGES)
def test_a_right_that_the_owner_holds_itself_binds_nobody(judge: str) -> None:
    """Without a grantor a right binds the owner, and never its holder: here they are one."""
    hearing = Hearing(at_hand(KEPT_BY_THE_OWNER))
    hearing.hear(judge, [date(2026, 5, 1)])
    hearing.agrees()


# The maker gives a class of which one product is another's: the class itself, and the rest of it, are still given.
PARTLY_OWNED = """
id: other
kind: ownership
party: rival
products: [app]

id: own
kind: ownership
party: maker
products: [apps, rooms, rights]
"""
GIVEN = "id: g\nkind: permission\nparty: partner\ngrantor: maker\nactions: [serve, sell]\nproducts: [apps]"
GIVEN_IN_PART = (
    f"{GIVEN}\nexclusive: true",
    GIVEN,
    f"id: b\nkind: prohibition\nparties: [anyone]\nactions: [sell]\nproducts: [apps]\n\n{GIVEN}\ndespite: [b]",
)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("terms", GIVEN_IN_PART, ids=["exclusive", "permitted", "despite"])
def test_a_class_is_given_without_what_another_owns_of_it(judge: str, terms: str) -> None:
    hearing = Hearing(at_hand(terms, owned=PARTLY_OWNED))
    hearing.hear(judge, [date(2026, 5, 1)])
    hearing.agrees()


# A licence's products that ended; grants of all of them were withdrawn in part, by place, customers and product.
LICENSED = (
    "id: t\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\ncarries:"
    "\n  - products: [apps]\nthrough: 2026-01-31"
)
GRANTED = "kind: grant, party: {}, effective: 2026-02-01, product: {}"
WITHDRAWN = "kind: withdrawal, party: {}, effective: 2026-03-01, {}"


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize(
    "facts",
    [
        (GRANTED.format("shop", "apps"), WITHDRAWN.format("shop", "product: app")),
        (
            GRANTED.format("shop", "apps"),
            WITHDRAWN.format("shop", "product: app, cloud: north"),
            WITHDRAWN.format("shop", "product: tool, segment: state"),
        ),
        (GRANTED.format("shop", "apps"), WITHDRAWN.format("shop", "product: apps, cloud: north")),
        (GRANTED.format("rival", "app, cloud: south"), WITHDRAWN.format("rival", "product: apps, segment: state")),
    ],
)
def test_a_withdrawal_takes_what_it_covers(judge: str, facts: tuple[str, ...]) -> None:
    hearing = Hearing(at_hand(LICENSED, facts))
    hearing.hear(judge, [date(2026, 4, 1)])
    hearing.agrees()


# --- any agreement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("judge", list(JUDGES))
@given(opened=AGREEMENTS, days=st.integers(0, 65), as_known_then=st.booleans(), readings=READINGS)
@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_agreement(
    judge: str, opened: OpenAgreement, days: int, as_known_then: bool, readings: dict[str, str]
) -> None:
    """Nothing of an export is special to one agreement: several owners, public licences, whatever may be written."""
    day = FIRST_DAY + timedelta(days=days)
    hearing = Hearing(opened, readings, KnownAt.end_of(day) if as_known_then else EVERYTHING)
    hearing.hear(judge, [day], 7)
    hearing.agrees()


def main() -> None:
    """Everything, of every judge."""
    for judge in sys.argv[1:] or JUDGES:
        for readings in ({}, {"R1": "or", "R3": "a3", "R5": "all", "R6": "all-ip"}):
            opened = open_agreement()
            hearing = Hearing(opened, readings)
            hearing.hear(judge, days_of(opened))
            hearing.agrees()
            print(judge, readings or "default readings", f"{hearing.asked} answers compared, {hearing.heard} heard")


if __name__ == "__main__":
    main()
