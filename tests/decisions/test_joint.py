"""Several agreements in one table, proof, comparison and trace: each time what is decided under all of them."""

from collections.abc import Iterator
from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway.agreement import boundaries, read_with_facts
from clauseway.catalog import ProductClass
from clauseway.decisions import AskedAgreement, Outcome, Question, all_questions, decide_together, joint_catalog
from clauseway.decisions.joint_answers import (
    JointSide,
    check_regions_together,
    own_options,
    put_to,
    supposing_together,
)
from clauseway.decisions.searches.change import WouldChange, would_change_together
from clauseway.decisions.searches.compare import Combination, grouped
from clauseway.decisions.searches.joint import (
    JointTable,
    compare_together,
    every_reading_together,
    prove_together,
)
from clauseway.decisions.searches.proof import Claim, Within
from clauseway.decisions.trace import trace, trace_together
from clauseway.values import Interval, InvalidInput, KnownAt
from two_agreements import DAY, SAYS, WITHOUT, agreement, documents

ALWAYS = KnownAt.everything()
pairs = st.tuples(*(st.sampled_from(sorted({*SAYS, *WITHOUT})) for _ in range(2)))


def two(says: tuple[str, str]) -> list[AskedAgreement]:
    return [agreement("north", says[0], "2024-01-01"), agreement("south", says[1], "2025-03-01")]


def days(asked: list[AskedAgreement]) -> list[date]:
    return sorted(
        {day for opened in asked for day in boundaries(opened.agreement, opened.facts, ALWAYS) if day > date.min}
    )


def questions(asked: list[AskedAgreement], day: date) -> Iterator[Question]:
    catalog = joint_catalog([opened.catalog for opened in asked])
    for question in all_questions(asked[0].agreement, catalog, as_of=day, known_at=ALWAYS):
        yield msgspec.structs.replace(question, readings={})


def combination(question: Question) -> Combination:
    return Combination(**question.as_combination())


@settings(max_examples=12)
@given(says=pairs)
def test_the_joint_table_says_what_is_decided(says: tuple[str, str]) -> None:
    asked = two(says)
    table = JointTable(asked, ALWAYS, {})
    for day in days(asked):
        for question in questions(asked, day):
            said = table.verdict(question, day)
            decided = decide_together(asked, question)
            assert (said.outcome, said.reasons) == (decided.outcome, decided.reasons), question
            assert said.conditions == decided.conditions


@settings(max_examples=12)
@given(says=pairs, outcome=st.sampled_from(Outcome), always=st.booleans())
def test_a_claim_holds_where_it_holds_of_every_decision(says: tuple[str, str], outcome: Outcome, always: bool) -> None:
    asked = two(says)
    claim, begin = Claim(always=always, outcomes=frozenset({outcome})), date(2024, 1, 1)
    proof = prove_together(asked, claim, Within(), Interval(begin, date(2026, 1, 1)), known_at=ALWAYS, readings=[{}])
    refuting = [
        question
        for day in sorted({begin, *days(asked)})
        for question in questions(asked, day)
        if not claim.holds_of(decide_together(asked, question).outcome)
    ]
    assert proof.holds == (not refuting)
    if proof.counterexample is not None:
        assert proof.counterexample.as_of == refuting[0].as_of
        assert not claim.holds_of(decide_together(asked, proof.counterexample).outcome)


@settings(max_examples=8)
@given(says=pairs)
def test_a_comparison_finds_exactly_what_is_decided_otherwise(says: tuple[str, str]) -> None:
    asked = two(says)
    was, now = date(2024, 6, 1), DAY
    before, after = (JointSide(asked=tuple(asked), as_of=day, known_at=ALWAYS, readings={}) for day in (was, now))
    changed = {
        combination(question)
        for question in questions(asked, now)
        if decide_together(asked, question).outcome
        is not decide_together(asked, msgspec.structs.replace(question, as_of=was)).outcome
    }
    comparison = compare_together(before, after)
    assert {change.combination for change in comparison} == changed
    assert {combination for box in grouped(comparison) for combination in box.combinations()} == changed
    assert {change.combination for change in compare_together(after, before)} == changed
    assert not compare_together(after, after)


def again(asked: list[AskedAgreement], question: Question, change: WouldChange) -> Outcome:
    if change.as_of is not None:
        question = msgspec.structs.replace(question, as_of=change.as_of)
    if change.known_at is not None:
        question = msgspec.structs.replace(question, known_at=KnownAt.end_of(change.known_at))
    if change.reading:
        name, _, option = change.reading.partition("=")
        question = msgspec.structs.replace(question, readings={name: option})
    for text in change.suppose:
        asked = supposing_together(asked, text)
    return decide_together(asked, question).outcome


@settings(max_examples=25)
@given(says=pairs, data=st.data())
def test_asked_again_as_stated_the_outcome_is_as_stated(says: tuple[str, str], data: st.DataObject) -> None:
    asked = two(says)
    question = data.draw(st.sampled_from(list(questions(asked, data.draw(st.sampled_from(days(asked)))))))
    decision = decide_together(asked, question)
    for change in would_change_together(asked, question, decision):
        assert change.outcome is not decision.outcome
        assert again(asked, question, change) is change.outcome, change
        assert change.agreements, change


# who asks | what north says | what south says, from 2025-03-01 on | what would change the answer of 2026-06-01, whose
WOULD_CHANGE = [
    (
        "serve",
        "maker",
        "nothing more",
        "east first",
        [
            "earlier 2025-02-28: permitted (south)",
            "fact launch:item:east:available=2026-06-01: permitted (south)",
            "fact answer:item:cannot+declines=2026-06-01: permitted (south)",
            "reading READS=new: permitted (south)",
        ],
    ),
    (
        "sell",
        "reseller",
        "nothing more",
        "only the maker sells",
        ["earlier 2025-02-28: conditional (south)"],
    ),
    (
        "sell",
        "reseller",
        "nothing more",
        "nothing more",
        [
            "earlier 2023-12-31: unstated (north, south)",
            "fact grant:reseller:item=2026-06-01: permitted (north, south)",
        ],
    ),
]


@pytest.mark.parametrize(("action", "who", "north", "south", "stated"), WOULD_CHANGE)
def test_what_would_change_this_and_in_which_agreement(
    action: str, who: str, north: str, south: str, stated: list[str]
) -> None:
    asked = two((north, south))
    [question] = [
        question
        for question in questions(asked, DAY)
        if (question.action, question.party, question.product, question.cloud, question.segment)
        == (action, who, "item", "west", "any")
    ]
    changes = would_change_together(asked, question, decide_together(asked, question))
    sentences = [
        f"{change.kind} {change.as_of or change.known_at or ' '.join(change.suppose) or change.reading}: "
        f"{change.outcome} ({', '.join(change.agreements)})"
        for change in changes
    ]
    assert sentences == stated


def test_the_eve_of_the_day_asked_about_would_change_an_answer_of_the_first_day() -> None:
    asked = [agreement("north", "nothing more"), agreement("south", "east first", str(DAY))]
    [question] = [
        question
        for question in questions(asked, DAY)
        if (question.action, question.party, question.product, question.cloud, question.segment)
        == ("serve", "maker", "item", "west", "any")
    ]
    [eve] = [
        change for change in would_change_together(asked, question, decide_together(asked, question)) if change.as_of
    ]
    assert (eve.kind, eve.as_of, eve.outcome) == ("earlier", date(2026, 5, 31), Outcome.PERMITTED)


def test_the_trace_is_each_agreements_own_and_says_whose() -> None:
    asked = [*two(("the reseller may sell", "east first")), agreement("silent", "does not name the product")]
    [question] = [
        question
        for question in questions(asked, DAY)
        if (question.action, question.party, question.product, question.cloud, question.segment)
        == ("sell", "reseller", "item", "west", "any")
    ]
    traced = trace_together(asked, question)
    for opened in asked[:2]:
        own = put_to(opened, question)
        decision = decide_together([opened], question)
        alone = trace(opened.agreement, opened.catalog, opened.facts, own, decision)
        mine = [msgspec.structs.replace(each, agreement="") for each in traced if each.agreement == opened.agreement.id]
        assert mine == list(alone)
    [silent] = [each for each in traced if each.agreement == "silent"]
    assert (silent.kind, silent.term, silent.why) == (
        "rule",
        "unstated",
        "so silence is read: it does not name item",
    )


def test_every_choice_of_readings_begins_with_each_agreements_own_default() -> None:
    asked = two(("east first", "nothing more"))
    assert every_reading_together(asked, {}) == [{"READS": "every"}, {"READS": "new"}]
    assert every_reading_together(asked, {"READS": "new"}) == [{"READS": "new"}]
    readings = asked[1].agreement.readings
    turned = {"READS": msgspec.structs.replace(readings["READS"], options=("new", "every"))}
    other = AskedAgreement(
        msgspec.structs.replace(asked[1].agreement, readings=turned), asked[1].catalog, asked[1].facts
    )
    assert every_reading_together([asked[0], other], {}) == [{}, {"READS": "every"}, {"READS": "new"}]


def test_of_what_two_agreements_name_the_first_prevails_and_a_class_takes_what_either_lets_it_take() -> None:
    north = agreement("north", "an offer first").catalog
    south = msgspec.structs.replace(
        agreement("south", "nothing more").catalog,
        operators={"east": "reseller", "far": "maker"},
        classes={"app": ProductClass(id="app", actions=frozenset({"license"}))},
    )
    both = joint_catalog([north, south])
    assert both.operators == {"east": "partner", "west": "maker", "far": "maker"}
    assert both.classes["app"].actions == {"serve", "sell", "license"}
    assert both.subjects == frozenset({"hosting"})
    # Where one of them does not know what is offered, nobody knows what else may be.
    assert joint_catalog([north, msgspec.structs.replace(south, subjects=None)]).subjects is None


# The options that are chosen → that under which an agreement is asked that knows READS: every, or new.
OWN_OPTIONS = [({}, "every"), ({"READS": "new"}, "new"), ({"READS": "old"}, "every"), ({"OTHER": "new"}, "every")]


@pytest.mark.parametrize(("chosen", "own"), OWN_OPTIONS)
def test_an_option_that_an_agreement_does_not_define_leaves_it_its_default(chosen: dict[str, str], own: str) -> None:
    assert own_options(agreement("north", "nothing more").agreement, chosen) == {"READS": own}


def inside(region: str) -> AskedAgreement:
    """An agreement that tells regions and sellers apart: what the maker sells is hosted in one region alone."""
    texts = documents("inside", "only east hosts")
    named = f"segments: [trade]\nregions: {{{region}: {{east: [e1], west: [w1]}}}}"
    texts["agreement.md"] = texts["agreement.md"].replace("segments: [trade]", named)
    only = f"only: {{regions: [{region}]}}\nsellers: [maker]"
    texts["A1.md"] = texts["A1.md"].replace("only: {clouds: [east]}", only)
    return AskedAgreement(*read_with_facts(texts))


def test_regions_and_sellers_of_one_agreement_count_for_both() -> None:
    asked = [agreement("north", "the reseller may sell"), inside("eu")]
    table = JointTable(asked, ALWAYS, {})
    outcomes = {}
    for region in ("eu", "elsewhere", "w1"):
        question = Question(
            action="serve",
            party="maker",
            product="item",
            cloud="west",
            to="",
            seller="maker",
            segment="any",
            region=region,
            as_of=DAY,
            known_at=ALWAYS,
            readings={},
        )
        outcomes[region] = table.verdict(question, DAY).outcome
        assert outcomes[region] is decide_together(asked, question).outcome
    assert outcomes == {"eu": Outcome.PERMITTED, "elsewhere": Outcome.FORBIDDEN, "w1": Outcome.PERMITTED}


def test_agreements_that_divide_regions_differently_are_not_asked_together() -> None:
    check_regions_together([inside("eu"), agreement("north", "nothing more")])
    with pytest.raises(InvalidInput, match="divide regions differently"):
        check_regions_together([inside("eu"), inside("us")])
