"""Comparisons: exactly what is answered otherwise, told in boxes that expand to exactly that."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway import KnownAt, open_agreement
from clauseway.decisions import Outcome, all_questions, decide
from clauseway.decisions.searches.compare import Box, Combination, OutcomeChange, Side, compare, grouped
from soak import examples

OPENED = open_agreement()
AMENDMENTS = OPENED.agreement.amendments
DAYS = (
    *(amendment.effective for amendment in AMENDMENTS),
    date(2022, 6, 1),
    date(2026, 4, 26),
    date(2026, 4, 28),
    date(2026, 6, 11),
    date(2030, 12, 31),
    date(2031, 1, 1),
    date(2033, 1, 1),
)


def side(as_of: date, known_at: date = date(2026, 11, 1), **readings: str) -> Side:
    return Side(
        agreement=OPENED.agreement,
        facts=OPENED.facts,
        as_of=as_of,
        known_at=KnownAt.end_of(known_at),
        readings=readings,
    )


sides = st.builds(
    side,
    st.sampled_from(DAYS),
    st.sampled_from((*DAYS[:6], date(2026, 11, 1))),
    R3=st.sampled_from(("a4", "a3")),
    R5=st.sampled_from(("new", "all")),
)
few = settings(max_examples=examples(8))


def outcomes(side: Side) -> Iterator[tuple[Combination, Outcome]]:
    """Every combination asked by itself, nothing taken from another's answer."""
    readings = {**OPENED.agreement.default_readings(), **side.readings}
    # Without other readings to try, a decision is five times as quick; its outcome is the same.
    text = msgspec.structs.replace(side.agreement, readings={})
    for question in all_questions(
        OPENED.agreement, OPENED.catalog, as_of=side.as_of, known_at=side.known_at, readings=readings
    ):
        yield Combination(**question.as_combination()), decide(text, OPENED.catalog, side.facts, question).outcome


def test_exactly_the_outcomes_that_differ() -> None:
    eve, day = side(date(2026, 4, 26)), side(date(2026, 4, 27))
    walked = {
        combination: (first, second)
        for (combination, first), (_, second) in zip(outcomes(eve), outcomes(day), strict=True)
        if first != second
    }
    changes = {change.combination: (change.before, change.after) for change in compare(eve, day, OPENED.catalog)}
    assert changes == walked
    assert len(changes) > 2000


@few
@given(first=sides, second=sides)
def test_the_boxes_expand_to_exactly_the_changes(first: Side, second: Side) -> None:
    changes = compare(first, second, OPENED.catalog)
    boxes = grouped(changes)
    rows = [(combination, said_of(box)) for box in boxes for combination in box.combinations()]
    assert len(rows) == len(changes) == sum(map(len, boxes)), "no combination stands in two boxes"
    assert set(rows) == {(change.combination, said_of(change)) for change in changes}


def said_of(change: Box | OutcomeChange) -> tuple[object, ...]:
    return change.before, change.after, change.conditions, change.because.document, change.because.line


@few
@given(first=sides, second=sides)
def test_a_comparison_and_its_inverse_cancel_out(first: Side, second: Side) -> None:
    there, back = compare(first, second, OPENED.catalog), compare(second, first, OPENED.catalog)
    assert composed(there, back) == {}


@few
@given(first=sides, second=sides, third=sides)
def test_two_comparisons_in_a_row_are_one(first: Side, second: Side, third: Side) -> None:
    in_two = composed(compare(first, second, OPENED.catalog), compare(second, third, OPENED.catalog))
    at_once = {change.combination: (change.before, change.after) for change in compare(first, third, OPENED.catalog)}
    assert in_two == at_once


@few
@given(first=sides)
def test_a_side_compared_with_itself_is_empty(first: Side) -> None:
    assert compare(first, first, OPENED.catalog) == ()


def composed(
    first: tuple[OutcomeChange, ...], second: tuple[OutcomeChange, ...]
) -> dict[Combination, tuple[Outcome, Outcome]]:
    """Return the result of two comparisons, one after the other."""
    total = {change.combination: (change.before, change.after) for change in first}
    for change in second:
        before, between = total.get(change.combination, (change.before, change.before))
        assert between == change.before, "the second begins where the first ended"
        total[change.combination] = (before, change.after)
    return {combination: turn for combination, turn in total.items() if turn[0] != turn[1]}


def test_no_two_boxes_could_be_one() -> None:
    for before, after in pairwise(AMENDMENTS):
        boxes = grouped(compare(side(before.effective), side(after.effective), OPENED.catalog))
        alike: dict[object, list[tuple[tuple[str, ...], ...]]] = {}
        for box in boxes:
            members = (box.actions, box.parties, box.to, box.products, box.clouds, box.segments)
            key = (box.before, box.after, box.conditions, box.because.term, "share-revenue" in box.actions)
            alike.setdefault(key, []).append(members)
        for some in alike.values():
            for index, question in enumerate(some):
                for other in some[:index]:
                    assert sum(left != right for left, right in zip(question, other, strict=True)) > 1, (
                        question,
                        other,
                    )


@pytest.mark.parametrize(
    ("day", "asked", "turn", "because", "conditions"),
    [
        # what A5 lifts, what it binds, and who needs a grant
        ("2026-04-27", "serve openai gpt-5.5 aws", "forbidden permitted", "A5.any-cloud", ""),
        ("2026-04-27", "serve openai new-model aws", "forbidden conditional", "A5.ship-first", "A5.ship-first"),
        ("2026-04-27", "serve openai managed-agents aws", "permitted conditional", "A5.ship-first", "A5.ship-first"),
        ("2026-04-27", "sell google gpt-5.5 oci", "forbidden conditional", "A5.ends-exclusive-sale", "grant"),
        # a fact that meets a condition is what changes the answer
        ("2026-04-28", "sell amazon gpt-5.5 aws", "conditional permitted", "launch:gpt-5.5:aws:preview", ""),
        # from nothing stated: who needs a grant needs the owner's
        ("2023-01-23", "contract-compute google compute.new azure", "unstated conditional", "A1.ownership", "grant"),
        # a licence that ends
        ("2033-01-01", "sell microsoft gpt-5.5 azure", "permitted forbidden", "A5.licence", ""),
    ],
)
def test_the_clause_that_changes_an_answer(day: str, asked: str, turn: str, because: str, conditions: str) -> None:
    """Between a day and its eve."""
    after = date.fromisoformat(day)
    changes = compare(side(after - timedelta(days=1)), side(after), OPENED.catalog)
    action, party, product, cloud = asked.split()
    combination = Combination(action=action, party=party, product=product, cloud=cloud)
    (change,) = [change for change in changes if change.combination == combination]
    assert f"{change.before} {change.after}" == turn
    assert change.because.term == because
    assert " ".join(change.conditions) == conditions
