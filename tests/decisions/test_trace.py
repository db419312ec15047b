"""The trace against the decision: what decides is traced as applying, and what is traced as not applying decides
nothing. And what a reader is told of each term.
"""

import pytest
from every_question import Asked, ask, cases, on, partnership
from generated_agreements import agreements
from hypothesis import given, settings
from hypothesis import strategies as st
from partnership_by_hand import Case

from clauseway import Decision, KnownAt, OpenAgreement
from clauseway.agreement import boundaries
from clauseway.decisions import all_questions
from clauseway.decisions.trace import Traced, trace
from soak import examples
from terms_at_hand import amendment, asking, at_hand, decided, documents, reading

EVERYTHING = KnownAt.everything()


def traced(asked: Asked) -> tuple[Decision, tuple[Traced, ...]]:
    opened = partnership().supposing(asked.texts)
    question = ask(opened, asked.case)
    decision = opened.answer(question)
    return decision, trace(opened.agreement, opened.catalog, opened.facts, question, decision)


@settings(max_examples=examples(60))
@given(asked=cases())
def test_what_decides_applies_and_what_does_not_apply_decides_nothing(asked: Asked) -> None:
    decision, steps = traced(asked)
    reasons = {reason.term for reason in decision.reasons}
    applying = {step.term for step in steps if step.applies}
    assert reasons <= applying
    assert not reasons & {step.term for step in steps if not step.applies}


@settings(max_examples=examples(60))
@given(asked=cases())
def test_a_term_in_force_that_is_cited_was_looked_at(asked: Asked) -> None:
    """Found by the engine's own comparisons, not read off the reasons: it reaches the act, or it has ended."""
    decision, steps = traced(asked)
    finding = {step.term: step.finding for step in steps}
    for reason in decision.reasons:
        assert finding[reason.term] in ("ended" if reason.bearing == "ended" else "", "applies", "carved-out"), reason


@settings(max_examples=100)
@given(asked=cases())
def test_every_term_is_traced_once_with_its_place_and_a_reason(asked: Asked) -> None:
    _, steps = traced(asked)
    terms = [term for amendment in partnership().agreement.amendments for term in amendment.terms]
    names = [step.term for step in steps]
    assert len(names) == len(set(names))
    assert {term.id for term in terms} <= set(names)
    assert all(step.why and step.document for step in steps)


# question → term → finding, and words that stand in why
FINDINGS = [
    (on("2026-03-15", "serve", "openai", "gpt-5.5", "aws"), "A4.api", "applies", "forbids"),
    (on("2026-03-15", "serve", "openai", "gpt-5.5", "aws"), "A5.any-cloud", "not-begun", "2026-04-27"),
    (on("2026-03-15", "serve", "openai", "gpt-5.5", "aws", known_at="2026-03-15"), "A5.any-cloud", "not-known", "A5"),
    (
        on("2026-03-15", "serve", "openai", "gpt-5.5", "aws"),
        "A1.workloads",
        "ended",
        "2025-10-28 by A3.lifts-workloads",
    ),
    (on("2026-03-15", "serve", "openai", "gpt-5.5", "aws"), "A4.stateful", "outside", "product gpt-5.5"),
    (on("2026-03-15", "serve", "openai", "gpt-5.5", "azure"), "A4.api", "applies", "reserved to azure"),
    (
        on("2026-03-15", "serve", "openai", "gpt-5.5", "aws", segment="us-national-security"),
        "A4.api",
        "carved-out",
        "the carve-out for us-national-security",
    ),
    (on("2026-03-15", "sell", "amazon", "gpt-5.4", "aws"), "A1.sale", "applies", "reserved to microsoft, openai"),
    (on("2026-03-15", "sell", "amazon", "gpt-5.4", "aws"), "A3.licence", "outside", "party amazon"),
    (on("2026-05-01", "serve", "openai", "new-model", "aws"), "A5.ship-first", "applies", "condition"),
    (on("2026-05-01", "serve", "openai", "new-model", "azure"), "A5.ship-first", "outside", "cloud azure"),
    (on("2026-05-01", "serve", "openai", "new-model", "aws"), "A1.ownership", "applies", "other terms decide"),
    (on("2026-05-01", "serve", "openai", "new-model", "aws"), "A5.stake", "no-effect", "no decision"),
    (
        on("2031-05-01", "use-under-licence", "microsoft", "ip.research"),
        "A5.licence-research",
        "another-reading",
        "R6=all-ip; asked was R6=listed",
    ),
    (
        on("2031-05-01", "use-under-licence", "microsoft", "ip.research"),
        "A3.licence-research",
        "ended",
        "by its own end",
    ),
    (on("2024-05-01", "serve", "acme", "gpt-oss-120b", "aws"), "A1.open-weight", "applies", "permits"),
    (on("2024-05-01", "serve", "acme", "gpt-oss-120b", "aws"), "A1.workloads", "outside", "product gpt-oss-120b"),
    (on("2026-05-01", "share-revenue", "openai", to="microsoft"), "A5.share-openai-microsoft", "applies", "due"),
    (
        on("2026-04-01", "share-revenue", "openai", to="microsoft"),
        "A1.share-microsoft-openai",
        "outside",
        "party openai",
    ),
]


@pytest.mark.parametrize(("case", "term", "finding", "words"), FINDINGS)
def test_why_a_term_did_or_did_not_apply(case: Case, term: str, finding: str, words: str) -> None:
    _, steps = traced(Asked(case, ()))
    [step] = [item for item in steps if item.term == term]
    assert (step.finding, words in step.why) == (finding, True), step


RESCINDED = documents("") | {
    "A2.md": amendment(
        "A2",
        "2026-07-01",
        "id: A2.x\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]\nunder: {R1: wide}",
        "2026-03-01",
    ),
    "A3.md": amendment("A3", "2026-06-01", "id: A3.takes-back\nrescinds: [A2]\nunder: {R2: a}"),
}
RESCINDED["agreement.md"] = RESCINDED["agreement.md"].replace(
    "rules:",
    "readings:\n  R1: {says: Both ways., source: [T], options: [wide, narrow]}\n"
    "  R2: {says: Both ways., source: [T], options: [a, b]}\nrules:",
)


TAKEN_BACK = "A2 never takes effect: A3 rescinds it, which became known on 2026-06-01"


@pytest.mark.parametrize(
    ("as_of", "known_at", "readings", "finding", "why"),
    [
        ("2026-08-01", "2026-12-31", {}, "rescinded", TAKEN_BACK),
        ("2026-02-01", "2026-12-31", {}, "rescinded", TAKEN_BACK),
        ("2026-08-01", "2026-12-31", {"R1": "narrow"}, "rescinded", TAKEN_BACK),
        ("2026-08-01", "2026-12-31", {"R2": "b"}, "applies", "it permits this"),
        (
            "2026-08-01",
            "2026-12-31",
            {"R1": "narrow", "R2": "b"},
            "another-reading",
            "it stands under R1=wide; asked was R1=narrow",
        ),
        ("2026-08-01", "2026-05-31", {}, "applies", "it permits this"),
        ("2026-02-01", "2026-02-01", {}, "not-known", "A2 became known on 2026-03-01"),
    ],
)
def test_a_term_of_a_rescinded_amendment_is_told_with_who_rescinds_it(
    as_of: str, known_at: str, readings: dict[str, str], finding: str, why: str
) -> None:
    opened = reading(RESCINDED)
    question = opened.question(
        action="sell", party="shop", product="app", cloud="own", as_of=as_of, known_at=known_at, reading=readings
    )
    steps = trace(opened.agreement, opened.catalog, opened.facts, question, opened.answer(question))
    [step] = [item for item in steps if item.term == "A2.x"]
    assert (step.finding, step.why) == (finding, why)


@pytest.mark.parametrize(("known_at", "finding"), [("2026-04-30", "rescinded"), ("2026-05-01", "applies")])
def test_what_is_itself_rescinded_rescinds_nothing(known_at: str, finding: str) -> None:
    """A3 rescinds A2 and is rescinded by A4 before it takes effect."""
    rescinding = {
        "A3.md": amendment("A3", "2026-06-01", "id: A3.takes-back\nrescinds: [A2]", "2026-04-01"),
        "A4.md": amendment("A4", "2026-05-01", "id: A4.takes-back\nrescinds: [A3]"),
    }
    opened = reading(RESCINDED | rescinding)
    question = opened.question(
        action="sell", party="shop", product="app", cloud="own", as_of="2026-08-01", known_at=known_at
    )
    steps = trace(opened.agreement, opened.catalog, opened.facts, question, opened.answer(question))
    assert [step.finding for step in steps if step.term == "A2.x"] == [finding]


OVERRIDDEN = """
id: p
kind: prohibition
parties: [maker, shop]
actions: [sell]
products: [apps]

id: shops
kind: permission
party: shop
actions: [sell]
products: [apps]
despite: [p]
"""


@pytest.mark.parametrize(
    ("party", "outcome", "why"),
    [
        ("shop", "permitted", "it forbids this; shops permits it despite it"),
        ("maker", "forbidden", "it forbids this"),
    ],
)
def test_a_term_that_a_permission_overrides_says_by_which(party: str, outcome: str, why: str) -> None:
    opened = at_hand(OVERRIDDEN)
    decision = decided(opened, f"sell {party} app own")
    question = asking(opened, f"sell {party} app own", "2026-06-01")
    steps = {step.term: step for step in trace(opened.agreement, opened.catalog, opened.facts, question, decision)}
    assert (decision.outcome, steps["p"].finding, steps["p"].why) == (outcome, "applies", why)


def test_what_applies_stands_first() -> None:
    _, steps = traced(Asked(on("2026-03-15", "serve", "openai", "gpt-5.5", "aws"), ()))
    assert [step.applies for step in steps] == sorted((step.applies for step in steps), reverse=True)
    assert steps[0].term == "A4.api"


@settings(max_examples=60)
@given(opened=agreements(), data=st.data())
def test_the_same_of_any_agreement(opened: OpenAgreement, data: st.DataObject) -> None:
    """Every kind of term, change and fact, drawn at random; every question on some days."""
    days = boundaries(opened.agreement, opened.facts, EVERYTHING)
    as_of = data.draw(st.sampled_from(days))
    known_at = data.draw(st.sampled_from([amendment.known for amendment in opened.agreement.amendments]))
    questions = list(all_questions(opened.agreement, opened.catalog, as_of=as_of, known_at=known_at))
    for question in data.draw(st.lists(st.sampled_from(questions), min_size=30, max_size=30)):
        decision = opened.answer(question)
        steps = trace(opened.agreement, opened.catalog, opened.facts, question, decision)
        finding = {step.term: step for step in steps}
        assert len(finding) == len(steps)
        for reason in decision.reasons:
            assert finding[reason.term].applies, reason
            assert finding[reason.term].finding in (
                "ended" if reason.bearing == "ended" else "",
                "applies",
                "carved-out",
            )
