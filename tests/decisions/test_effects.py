"""No term of a sound agreement is without effect on some question that `check` names.

For each term `effects` names a question whose answer would be another without it, or there is none.
"""

from collections.abc import Mapping

import pytest
from generated_agreements import READINGS, agreements
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reference_evaluator import World

from clauseway import KnownAt, OpenAgreement, open_agreement
from clauseway.agreement import FactRegister, boundaries, suppose
from clauseway.agreement.language.terms import Inoperative
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.app.agreements.checking import readings_left_out, without_effect
from clauseway.decisions import Tables, all_questions
from clauseway.decisions.findings.effects import Effect, differ, effects, without_term
from clauseway.decisions.question import RESTS_ON
from soak import examples
from terms_at_hand import at_hand, decided, documents, reading

# Every term is tried in every position that the others make: of twice as many terms, ten times as long.
AGREEMENTS = agreements((2, 4))


def knowing(opened: OpenAgreement, effect: Effect) -> FactRegister:
    """The register that an effect's question was asked with."""
    recorded, events = FactRegister() if effect.alone else opened.facts, opened.agreement.events
    return recorded.with_facts([suppose(text, opened.catalog, events) for text in effect.supposed])


def deciding(opened: OpenAgreement) -> list[str]:
    terms = [term for amendment in opened.agreement.amendments for term in amendment.terms]
    return [term.id for term in terms if not isinstance(term, Inoperative)]


# Each example walks all that can be asked of it; a failing one is told as it was drawn.
@settings(
    max_examples=examples(6),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(opened=AGREEMENTS, data=st.data())
def test_each_term_has_the_effect_that_is_named_or_none(opened: OpenAgreement, data: st.DataObject) -> None:
    """One test of three laws: most of its time goes into the search for the effects."""
    shown = effects(opened.agreement, opened.catalog, opened.facts)
    each_question_named_is_answered_otherwise_without_its_term(opened, shown)
    a_term_said_to_change_no_answer_changes_none(opened, shown, data)
    check_names_a_question_or_says_why_not(opened, shown)


def each_question_named_is_answered_otherwise_without_its_term(
    opened: OpenAgreement, shown: Mapping[str, Effect]
) -> None:
    """By the engine, and where the outcome differs by the reference evaluator too."""
    for term, effect in shown.items():
        facts, less = knowing(opened, effect), without_term(opened.agreement, term)
        sides = [OpenAgreement(agreement, opened.catalog, facts) for agreement in (opened.agreement, less)]
        answers = [side.answer(effect.question) for side in sides]
        assert differ(*answers)
        assert [answer.outcome for answer in answers] == [effect.outcome, effect.without]
        assert [World(side, effect.question).answer() for side in sides] == [effect.outcome, effect.without]


def a_term_said_to_change_no_answer_changes_none(
    opened: OpenAgreement, shown: Mapping[str, Effect], data: st.DataObject
) -> None:
    readings = {name: data.draw(st.sampled_from(options)) for name, options in READINGS.items()}
    before = Tables(opened.agreement, opened.catalog, opened.facts)
    for term in deciding(opened):
        if term in shown:
            continue
        after = Tables(without_term(opened.agreement, term), opened.catalog, opened.facts)
        for known_at in (KnownAt.everything(), data.draw(st.sampled_from([*opened.agreement.amendments])).known):
            for day in boundaries(opened.agreement, opened.facts, known_at):
                asked = all_questions(opened.agreement, opened.catalog, as_of=day, known_at=known_at, readings=readings)
                for question in list(asked)[:: data.draw(st.integers(11, 19))]:
                    assert before.answer(question) == after.answer(question), (term, question)


def check_names_a_question_or_says_why_not(opened: OpenAgreement, shown: Mapping[str, Effect]) -> None:
    remarks = check_agreement(opened.agreement, opened.facts, RESTS_ON)
    said = [*remarks, *without_effect(opened.agreement, remarks, shown)]
    why = {remark.what.split()[0] for remark in said if remark.kind in ("dead", "unreachable", "no-effect")}
    assert set(deciding(opened)) <= {*shown, *why}
    assert not {remark.what.split()[0] for remark in said if remark.kind == "no-effect"} & {*shown}


@pytest.mark.parametrize("name", ["openai-microsoft", "anthropic-clouds"])
def test_every_term_of_the_agreements_that_ship_has_an_effect(name: str) -> None:
    opened = open_agreement(name)
    assert sorted(effects(opened.agreement, opened.catalog, opened.facts)) == sorted(deciding(opened))


# A term beside the ownership of everything · the question that it changes · with it · without it
ALONE = [
    (
        "id: t\nkind: prohibition\nparties: [rival]\nactions: [sell]\nproducts: [app]",
        ("serve", "rival", "app"),
        "forbidden",
        "conditional",
    ),
    (
        "id: t\nkind: permission\nparty: shop\nactions: [contract-compute]\nproducts: [rooms]",
        ("contract-compute", "shop", "rooms"),
        "permitted",
        "conditional",
    ),
    (
        "id: t\nkind: revenue-share\npayer: shop\npayee: maker\nrate: 5 %\nbase: {sellers: [shop]}",
        ("share-revenue", "shop", ""),
        "permitted",
        "forbidden",
    ),
]


@pytest.mark.parametrize(("term", "asked", "outcome", "without"), ALONE)
def test_the_question_of_a_term(term: str, asked: tuple[str, str, str], outcome: str, without: str) -> None:
    opened = at_hand(term)
    effect = effects(opened.agreement, opened.catalog, opened.facts)["t"]
    question = effect.question
    assert (question.action, question.party, question.product) == asked
    assert (effect.outcome, effect.without) == (outcome, without)


TWICE = """
id: first
kind: exclusivity
actions: [serve]
products: [apps]
only: {clouds: [own]}
until: 2026-06-01

id: again
kind: exclusivity
actions: [serve]
products: [apps]
only: {clouds: [own]}
"""


def test_a_question_whose_outcome_changes_goes_before_others() -> None:
    """While both hold, each changes the reasons alone; once the first has ended, the other decides."""
    opened = at_hand(TWICE)
    quick = effects(opened.agreement, opened.catalog, opened.facts)["again"]
    assert (quick.outcome, quick.without, str(quick.question.as_of)) == ("forbidden", "forbidden", "2026-01-01")
    shown = effects(opened.agreement, opened.catalog, opened.facts, outcomes=True)
    later = shown["again"]
    assert (later.outcome, later.without, str(later.question.as_of)) == ("forbidden", "permitted", "2026-06-01")
    assert decided(opened, "serve maker app north").outcome == later.outcome
    assert not shown["first"].changes_outcome


@pytest.mark.parametrize(("count", "said"), [(8, []), (9, ["effects were looked for under 256 choices of readings"])])
def test_a_search_that_stops_says_so(count: int, said: list[str]) -> None:
    """Nine readings of two options each can be chosen in 512 ways."""
    names = [f"R{number}" for number in range(count)]
    readings = "".join(f"  {name}: {{options: [a, b], says: In two ways., source: [T]}}\n" for name in names)
    texts = documents(IDLE[0])
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", f"readings:\n{readings}rules:\n")
    assert [remark.what for remark in readings_left_out(reading(texts).agreement)] == said


# Terms of which one changes no answer.
IDLE = [
    "id: t\nkind: refusal-right\nholder: maker\nactions: [contract-compute]\nproducts: [rooms]\nsubject: room",
    "id: t\nkind: licence\nlicensor: rival\nlicensee: shop\nproducts: [rights]",
    "id: t\nkind: precedence\nparty: shop\nfirst: north\nactions: [contract-compute]\nproducts: [rooms]\n"
    "binds: every-product\nsince: 2026-01-01\n\n"
    "id: no\nkind: prohibition\nparties: [anyone]\nactions: [contract-compute]\nproducts: [rooms]",
]


@pytest.mark.parametrize("terms", IDLE)
def test_a_term_without_effect_is_told(terms: str) -> None:
    """First refusal of its holder's own, a licence of what is another's, ship-first of what is forbidden."""
    opened = at_hand(terms)
    shown = effects(opened.agreement, opened.catalog, opened.facts)
    remarks = check_agreement(opened.agreement, opened.facts, RESTS_ON)
    assert [remark.what for remark in without_effect(opened.agreement, remarks, shown)] == ["t changes no answer"]


KEPT = "id: kept\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\nexclusive: true\n"
SECOND = "\n\nid: t\nkind: licence\nlicensor: maker\nlicensee: rival\nproducts: [rights]"
SELLING = "id: kept\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [app]\nexclusive: true\n"
SECOND_SELLER = "\n\nid: t\nkind: permission\nparty: rival\nactions: [sell]\nproducts: [app]"
NOT_RIVAL = "id: not\nkind: prohibition\nparties: [rival]\nactions: [sell]\nproducts: [apps]\n"
STANDING_BY = [
    KEPT + "until: milestone" + SECOND,
    KEPT + "while-no: milestone" + SECOND,
    SELLING + "until: milestone" + SECOND_SELLER,
    SELLING + "while-no: milestone" + SECOND_SELLER,
    SELLING + "while-no: milestone" + SECOND_SELLER + "\nwhile: milestone",
    NOT_RIVAL + "until: milestone" + SECOND_SELLER,
    # It begins after what is in its way, and that after it.
    SELLING + "until: milestone" + SECOND_SELLER + "\nbegins: 2026-06-01",
    SELLING + "begins: 2026-06-01\nuntil: milestone" + SECOND_SELLER,
    # Two events have to come, or one to come while the other does not.
    NOT_RIVAL + "until: milestone\n\n" + SELLING + "while-no: e" + SECOND_SELLER,
    NOT_RIVAL + "until: late\n\n" + SELLING + "while-no: f" + SECOND_SELLER + "\nuntil: cure",
    # Ship-first of what is forbidden, and a carve-out from what stands still.
    NOT_RIVAL.replace("rival", "anyone") + "until: milestone\n\n"
    "id: t\nkind: precedence\nparty: maker\nfirst: north\nactions: [sell]\nproducts: [apps]\n"
    "binds: every-product\nsince: 2026-01-01",
    NOT_RIVAL + "while-no: e\n\n" + NOT_RIVAL.replace("not", "t", 1),
    # A party that may never sell may host the sales of another, once nothing forbids that.
    NOT_RIVAL + "\n" + NOT_RIVAL.replace("not", "unhosted", 1).replace("sell", "serve") + "until: milestone\n\n"
    "id: t\nkind: permission\nparty: rival\nactions: [serve]\nproducts: [app]",
]
EVENTS = """events:
  e: {says: It happened., source: [T]}
  cure: {says: It was cured., source: [T]}
  f: {says: It happened., over-by: e, source: [T]}
  late: {says: It is late., after: f, days: 31, prevented-by: cure, source: [T]}
rules:
"""


@pytest.mark.parametrize("terms", STANDING_BY)
@pytest.mark.parametrize("facts", [(), ("kind: event, event: e, effective: 2026-02-01, through: 2026-02-20",)])
def test_a_right_that_stands_by_until_an_event_has_an_effect(terms: str, facts: tuple[str, ...]) -> None:
    """Whatever is in its way waits for the event, not the right."""
    texts = documents(terms, facts)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", EVENTS)
    opened = reading(texts)
    effect = effects(opened.agreement, opened.catalog, opened.facts)["t"]
    sides = [opened.agreement, without_term(opened.agreement, "t")]
    answers = [OpenAgreement(side, opened.catalog, knowing(opened, effect)).answer(effect.question) for side in sides]
    assert [answer.outcome for answer in answers] == [effect.outcome, effect.without]
    assert differ(*answers)
