"""A change that is said to change an answer does so when it is asked, and the nearest one is the nearest."""

from datetime import date, timedelta

import msgspec
import pytest
from every_question import Asked, ask, cases, on, partnership
from generated_agreements import agreements
from hypothesis import given, settings
from hypothesis import strategies as st
from partnership_by_hand import Case

from clauseway import KnownAt, OpenAgreement, Outcome, Question
from clauseway.agreement import boundaries
from clauseway.decisions import all_questions
from clauseway.decisions.searches.change import WouldChange, would_change
from soak import examples
from terms_at_hand import asking, documents, reading


def changes_of(asked: Asked) -> tuple[OpenAgreement, Question, tuple[WouldChange, ...]]:
    opened = partnership().supposing(asked.texts)
    question = ask(opened, asked.case)
    decision = opened.answer(question)
    return opened, question, would_change(opened.agreement, opened.catalog, opened.facts, question, decision)


def asked_again(opened: OpenAgreement, question: Question, change: WouldChange) -> Outcome:
    if change.as_of is not None:
        question = msgspec.structs.replace(question, as_of=change.as_of)
    if change.known_at is not None:
        question = msgspec.structs.replace(question, known_at=KnownAt.end_of(change.known_at))
    if change.reading:
        name, _, option = change.reading.partition("=")
        question = msgspec.structs.replace(question, readings={**question.readings, name: option})
    return opened.supposing(change.suppose).answer(question).outcome


@settings(max_examples=examples(100))
@given(asked=cases())
def test_asked_again_as_stated_the_outcome_is_as_stated(asked: Asked) -> None:
    opened, question, changes = changes_of(asked)
    outcome = opened.answer(question).outcome
    for change in changes:
        assert change.outcome != outcome
        assert asked_again(opened, question, change) == change.outcome, change


@settings(max_examples=100)
@given(asked=cases(), data=...)
def test_no_day_between_is_nearer(asked: Asked, data: int) -> None:
    """Up to the nearest later day, and back to the nearest earlier one, the outcome stays; else it stays for good."""
    opened, question, changes = changes_of(asked)
    outcome = opened.answer(question).outcome
    days = {change.kind: change.as_of for change in changes if change.as_of}
    first = days.get("earlier", date(2022, 1, 1)) + timedelta(days=1)
    last = days.get("later", date(2040, 1, 1)) - timedelta(days=1)
    if not first <= question.as_of <= last:
        return
    between = first + timedelta(days=data % ((last - first).days + 1))
    assert opened.answer(msgspec.structs.replace(question, as_of=between)).outcome == outcome, between


def said(change: WouldChange) -> str:
    when = change.as_of or change.known_at or change.reading or " ".join(change.suppose)
    return f"{change.kind} {when}: {change.outcome}"


# question → what would change the answer
CHANGES = [
    (
        on("2026-03-15", "serve", "openai", "gpt-5.5", "aws"),  # forbidden
        ["later 2026-04-27: permitted", "earlier 2023-01-22: unstated", "fact milestone=2026-03-15: permitted"],
    ),
    (
        on("2026-05-01", "serve", "openai", "gpt-5.5", "aws", known_at="2026-03-31"),  # forbidden: A5 was not known
        [
            "earlier 2023-01-22: unstated",
            "knowledge 2026-04-27: permitted",
            "fact milestone=2026-05-01: permitted",
        ],
    ),
    (
        on("2026-05-01", "serve", "openai", "new-model", "aws"),  # conditional on ship-first
        [
            "earlier 2026-04-26: forbidden",
            "fact launch:new-model:azure:available=2026-05-01: permitted",
            "fact answer:new-model:cannot+declines=2026-05-01: permitted",
        ],
    ),
    (
        on("2026-05-01", "sell", "amazon", "new-model", "aws"),  # conditional on ship-first and on a grant: both
        [
            "earlier 2026-04-26: forbidden",
            "fact grant:amazon:new-model=2026-05-01 launch:new-model:azure:available=2026-05-01: permitted",
            "fact grant:amazon:new-model=2026-05-01 answer:new-model:cannot+declines=2026-05-01: permitted",
        ],
    ),
    (
        on("2025-11-15", "serve", "openai", "stateful-runtime", "aws"),  # forbidden, or as R3 reads
        [
            "later 2026-02-27: permitted",
            "earlier 2023-01-22: unstated",
            "fact milestone=2025-11-15: permitted",
            "reading R3=a3: permitted",
        ],
    ),
    (
        on("2032-06-01", "use-under-licence", "microsoft", "ip.models"),  # permitted until the licence ends
        ["later 2033-01-01: forbidden", "earlier 2023-01-22: unstated"],
    ),
    (
        on("2033-06-01", "use-under-licence", "microsoft", "ip.models"),  # forbidden: what a licence gave ended with it
        ["earlier 2032-12-31: permitted", "fact grant:microsoft:ip.models=2033-06-01: permitted"],
    ),
]
EVENTS = "events:\n  consent: {says: The maker consents., source: [T]}\nrules:"
WAITS = "id: t\nkind: permission\nparty: rival\nactions: [serve, sell]\nproducts: [apps]\nfrom: consent"


@pytest.mark.parametrize(("case", "stated"), CHANGES)
def test_what_would_change_this(case: Case, stated: list[str]) -> None:
    *_, changes = changes_of(Asked(case, ()))
    assert [said(change) for change in changes] == stated


def test_a_fact_that_is_known_later_and_an_event_that_may_come() -> None:
    """The event came on 1 May, and nobody had told of it by the end of February."""
    texts = documents(WAITS, ("kind: event, event: consent, effective: 2026-05-01",))
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", EVENTS, 1)
    opened = reading(texts)
    question = asking(opened, "serve rival app south", "2026-06-01")
    question = msgspec.structs.replace(question, known_at=KnownAt.end_of(date(2026, 2, 28)))
    changes = would_change(opened.agreement, opened.catalog, opened.facts, question, opened.answer(question))
    assert [said(change) for change in changes] == [
        "earlier 2025-12-31: unstated",
        "knowledge 2026-05-01: permitted",
        "fact grant:rival:app=2026-06-01: permitted",
        "fact event:consent=2026-06-01: permitted",
    ]


@settings(max_examples=examples(20))
@given(opened=agreements(), data=st.data())
def test_the_same_of_any_agreement(opened: OpenAgreement, data: st.DataObject) -> None:
    """Every kind of term, change and fact, drawn at random: asked again as stated, the outcome is as stated."""
    days = boundaries(opened.agreement, opened.facts, KnownAt.everything())
    as_of = data.draw(st.sampled_from(days))
    known_at = data.draw(st.sampled_from([amendment.known for amendment in opened.agreement.amendments]))
    questions = list(all_questions(opened.agreement, opened.catalog, as_of=as_of, known_at=known_at))
    for question in data.draw(st.lists(st.sampled_from(questions), min_size=20, max_size=20)):
        decision = opened.answer(question)
        parts = opened.agreement, opened.catalog, opened.facts, question, decision
        for change in would_change(*parts):
            assert change.outcome != decision.outcome
            assert asked_again(opened, question, change) == change.outcome, change
