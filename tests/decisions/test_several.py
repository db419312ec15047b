"""Two agreements in force at once, as a table: what one says, what the other says, and what holds under both.

The maker owns the product. `reseller` asks whether it may sell it on the cloud `west`; where the line begins with
"maker", the maker asks whether it may serve it there.
"""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.decisions import (
    AskedAgreement,
    Decision,
    Outcome,
    Question,
    ask_together,
    decide,
    decide_together,
    decide_together_as_read,
    timeline_together,
)
from clauseway.values import InvalidInput, KnownAt
from two_agreements import DAY, SAYS, WITHOUT, agreement


def question(asked: list[AskedAgreement], who: str, **parts: str) -> Question:
    action = {"maker": "serve", "reseller": "sell"}[who]
    return ask_together(
        asked,
        action=action,
        party=who,
        product="item",
        cloud="west",
        as_of=DAY,
        known_at=KnownAt.end_of(DAY),
        readings=dict(parts),
    )


def together(who: str, first: str, second: str, **parts: str) -> Decision:
    asked = [agreement("north", first), agreement("south", second)]
    return decide_together(asked, question(asked, who, **parts))


PERMITTED, FORBIDDEN, CONDITIONAL, UNSTATED = Outcome
# who | what one agreement says | what the other says | under both | the agreements that decide
TOGETHER = [
    ("reseller", "nothing more", "nothing more", "a grant", "north south"),
    ("reseller", "the reseller may sell", "nothing more", "permitted", "north south"),
    ("reseller", "the reseller may sell", "the reseller may sell", "permitted", "north south"),
    ("reseller", "the reseller may sell", "only the maker sells", "forbidden", "south"),
    ("reseller", "nothing more", "only the maker sells", "forbidden", "south"),
    ("reseller", "only the maker sells", "only east hosts", "forbidden", "north south"),
    ("reseller", "the reseller may sell", "only east hosts", "forbidden", "south"),
    ("reseller", "the reseller may sell", "does not name the product", "permitted", "north"),
    ("reseller", "nothing more", "does not name the product", "a grant", "north"),
    ("reseller", "only the maker sells", "does not name west", "forbidden", "north"),
    ("reseller", "the reseller may sell", "does not name the reseller", "permitted", "north"),
    ("reseller", "the reseller may sell", "east first", "conditional: east-first", "south"),
    ("reseller", "the reseller may sell", "an offer first", "conditional: offer-first", "south"),
    ("reseller", "nothing more", "east first", "conditional: east-first, grant", "north south"),
    ("reseller", "anyone may sell", "nothing more", "permitted", "north south"),
    ("reseller", "anyone may sell", "only the maker sells", "forbidden", "south"),
    ("reseller", "anyone may sell", "east first", "conditional: east-first", "south"),
    ("maker", "nothing more", "nothing more", "permitted", "north south"),
    ("maker", "nothing more", "only east hosts", "forbidden", "south"),
    ("maker", "nothing more", "east first", "conditional: east-first", "south"),
    ("maker", "an offer first", "east first", "conditional: east-first, offer-first", "north south"),
    ("maker", "only east hosts", "an offer first", "forbidden", "north"),
    ("maker", "does not name west", "an offer first", "conditional: offer-first", "south"),
    ("maker", "nothing more", "does not name the product", "permitted", "north"),
]


@pytest.mark.parametrize(("who", "first", "second", "under_both", "deciding"), TOGETHER)
def test_under_two_agreements(who: str, first: str, second: str, under_both: str, deciding: str) -> None:
    decision = together(who, first, second)
    needed = ", ".join(sorted(condition.term for condition in decision.conditions))
    said = {"conditional: grant": "a grant"}.get(f"{decision.outcome}: {needed}", f"{decision.outcome}: {needed}")
    assert said.removesuffix(": ") == under_both
    assert " ".join(sorted({reason.agreement for reason in decision.reasons})) == deciding


def test_where_none_names_it_together_nothing_is_stated() -> None:
    decision = together("reseller", "does not name the product", "does not name west")
    assert decision.outcome is Outcome.UNSTATED
    assert [(reason.agreement, reason.note) for reason in decision.reasons] == [
        ("north", "it does not name item"),
        ("south", "it does not name west"),
    ]


def test_a_grant_that_another_agreement_makes_needless_says_so() -> None:
    notes = [reason.note for reason in together("reseller", "the reseller may sell", "nothing more").reasons]
    assert notes[-1] == "no grant needed: north permits it"


def test_a_share_is_due_where_one_agreement_makes_it_due() -> None:
    asked = [agreement("north", "a share is due"), agreement("south", "nothing more")]
    parts = {"action": "share-revenue", "party": "maker", "to": "partner"}
    due = ask_together(asked, **parts, as_of=DAY, known_at=KnownAt.end_of(DAY))  # type: ignore[arg-type]
    assert decide_together(asked, due).outcome is Outcome.PERMITTED
    none = [agreement("north", "nothing more"), agreement("south", "nothing more")]
    assert decide_together(none, due).outcome is Outcome.FORBIDDEN


@pytest.mark.parametrize(("who", "first", "second", "_", "__"), TOGETHER)
def test_without_what_it_turns_on_a_decision_is_the_same(who: str, first: str, second: str, _: str, __: str) -> None:
    asked = [agreement("north", first), agreement("south", second)]
    put = question(asked, who)
    decision = decide_together(asked, put)
    assert decide_together_as_read(asked, put) == msgspec.structs.replace(decision, turns_on=())


def test_what_turns_on_a_reading_of_one_of_them() -> None:
    decision = together("maker", "nothing more", "east first")
    assert [(turn.reading, turn.option, turn.outcome) for turn in decision.turns_on] == [
        ("READS", "new", Outcome.PERMITTED)
    ]
    assert together("maker", "nothing more", "east first", READS="new").outcome is Outcome.PERMITTED


def test_a_segment_that_an_agreement_does_not_know_lifts_no_prohibition_of_it() -> None:
    north, south = agreement("north", "the reseller may sell"), agreement("south", "only the maker sells")
    catalog = msgspec.structs.replace(north.catalog, segments=north.catalog.segments | {"schools"})
    asked = [AskedAgreement(north.agreement, catalog, north.facts), south]
    for_schools = msgspec.structs.replace(question(asked, "reseller"), segment="schools")
    assert decide_together(asked, for_schools).outcome is Outcome.FORBIDDEN


def test_everything_wrong_with_a_question_to_several_is_told_at_once() -> None:
    asked = [agreement("north", "nothing more"), agreement("south", "nothing more")]
    with pytest.raises(InvalidInput) as refused:
        ask_together(
            asked,
            action="sell",
            party="nobody",
            product="item",
            cloud="nowhere",
            as_of=DAY,
            known_at=KnownAt.end_of(DAY),
            readings={"READS": "neither", "OTHER": "x"},
        )
    wheres = sorted(problem.where for problem in refused.value.problems)
    assert wheres == ["--cloud", "--party", "--reading", "--reading READS"]


@given(
    who=st.sampled_from(["maker", "reseller"]), says=st.lists(st.sampled_from(sorted({*SAYS, *WITHOUT})), max_size=3)
)
def test_their_order_changes_nothing_and_a_silent_one_adds_nothing(who: str, says: list[str]) -> None:
    asked = [agreement("base", "nothing more"), *(agreement(f"n{at}", text) for at, text in enumerate(says))]
    asking = question(asked, who)
    decision = decide_together(asked, asking)
    assert decide_together(asked[::-1], asking) == decision
    silent = agreement("silent", "does not name the product")
    assert decide_together([*asked, silent], asking).outcome == decision.outcome


@given(
    who=st.sampled_from(["maker", "reseller"]),
    first=st.sampled_from(sorted(SAYS)),
    second=st.sampled_from(sorted(SAYS)),
)
def test_a_timeline_says_each_day_what_is_decided_on_it(who: str, first: str, second: str) -> None:
    asked = [agreement("north", first, "2024-01-01"), agreement("south", second, "2025-03-01")]
    asking = question(asked, who)
    spans = timeline_together(asked, asking)
    assert spans[0].begin == date(2024, 1, 1)
    for span in spans:
        on_the_day = decide_together(asked, msgspec.structs.replace(asking, as_of=span.begin))
        assert (span.decision.outcome, span.decision.reasons) == (on_the_day.outcome, on_the_day.reasons)
        assert span.decision.receipt == on_the_day.receipt


@pytest.mark.parametrize("says", sorted(SAYS))
def test_one_agreement_alone_answers_as_it_does(says: str) -> None:
    text = agreement("north", says)
    asking = question([text], "reseller")
    own = msgspec.structs.replace(asking, readings=text.agreement.default_readings())
    assert decide_together([text], asking) == decide(text.agreement, text.catalog, text.facts, own)
