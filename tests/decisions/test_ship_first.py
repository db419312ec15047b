"""Ship-first of what first ships since a day: that day may lie ahead."""

import pytest
from reference_evaluator import World

from clauseway import InvalidInput
from clauseway.agreement import boundaries
from clauseway.decisions import Tables
from clauseway.values import KnownAt
from terms_at_hand import asking, at_hand

FIRST = """
id: A1.first
kind: precedence
party: maker
first: north
actions: [serve]
products: [apps]
since: 2026-09-01
binds: %s"""
NEW = FIRST % "first-shipped-since"
ON_NORTH = "kind: launch, product: app, cloud: north, stage: available, effective: 2026-05-01"
ON_OWN = "kind: launch, product: app, cloud: own, stage: available, effective: %s"


@pytest.mark.parametrize(
    ("terms", "facts", "question", "day", "outcome"),
    [
        # Whatever ships before that day is not new.
        (NEW, (), "serve maker app own", "2026-02-01", "permitted"),
        (NEW, (), "serve maker app own", "2026-08-31", "permitted"),
        (NEW, (), "serve maker app own", "2026-09-01", "conditional"),
        (NEW, (), "serve maker apps own", "2026-08-31", "permitted"),
        (NEW, (), "serve maker apps own", "2026-09-01", "conditional"),
        # Products that shipped before it stay free, and those that ship later do not.
        (NEW, (ON_OWN % "2026-08-31",), "serve maker app own", "2026-09-01", "permitted"),
        (NEW, (ON_OWN % "2026-09-01",), "serve maker app own", "2026-09-01", "conditional"),
        # One that is recorded to ship later may all the same ship before.
        (NEW, (ON_OWN % "2026-10-01",), "serve maker app own", "2026-08-31", "permitted"),
        # A lead of thirty days from 1 May is over with 30 May.
        (FIRST % "every-product\nlead-days: 30", (ON_NORTH,), "serve maker app own", "2026-05-30", "conditional"),
        (FIRST % "every-product\nlead-days: 30", (ON_NORTH,), "serve maker app own", "2026-05-31", "permitted"),
        # Of every product, no day is asked.
        (FIRST % "every-product", (), "serve maker app own", "2026-02-01", "conditional"),
    ],
)
def test_what_ships_before_the_day(terms: str, facts: tuple[str, ...], question: str, day: str, outcome: str) -> None:
    opened = at_hand(terms, facts)
    asked = asking(opened, question, day)
    decision = opened.answer(asked)
    assert decision.outcome == outcome
    assert Tables(opened.agreement, opened.catalog, opened.facts).decide(asked) == decision
    assert World(opened, asked).answer() == outcome


def test_the_day_is_a_boundary() -> None:
    opened = at_hand(NEW)
    assert "2026-09-01" in map(str, boundaries(opened.agreement, opened.facts, KnownAt.everything()))
    # So is the day on which a lead of days is over.
    led = at_hand(FIRST % "every-product\nlead-days: 30", (ON_NORTH,))
    assert "2026-05-31" in map(str, boundaries(led.agreement, led.facts, KnownAt.everything()))


def test_why_it_is_not_bound() -> None:
    opened = at_hand(NEW)
    [reason] = [
        reason
        for reason in opened.answer(asking(opened, "serve maker app own", "2026-08-31")).reasons
        if reason.bearing == "not-bound"
    ]
    assert (reason.term, reason.note) == ("A1.first", "it binds what first ships on or after 2026-09-01")


@pytest.mark.parametrize("end", ["through: 2026-08-31", "until: 2026-09-01"])
def test_a_day_after_the_end_is_refused(end: str) -> None:
    with pytest.raises(InvalidInput, match=r"A1.first binds nothing") as refused:
        at_hand(f"{NEW}\n{end}")
    [problem] = refused.value.problems
    assert "2026-09-01" in problem.why
    assert "since:" in problem.remedy


@pytest.mark.parametrize("end", ["through: 2026-09-01", "until: 2026-09-02", "until: milestone"])
def test_a_day_before_the_end_is_read(end: str) -> None:
    at_hand(f"{NEW}\n{end}")


def test_a_day_after_the_end_means_nothing_to_every_product() -> None:
    at_hand(FIRST % "every-product" + "\nthrough: 2026-08-31")
