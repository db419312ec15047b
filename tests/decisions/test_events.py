"""Terms that hold from, until or while an event: a table of events and days, to be checked with a calendar."""

import re
from datetime import date

import msgspec
import pytest
from reference_evaluator import World

from clauseway import InvalidInput, KnownAt, OpenAgreement
from clauseway.agreement import Agreement, FactRegister
from clauseway.agreement.soundness.checking import check_agreement
from clauseway.app.books.register import list_facts
from clauseway.catalog import Catalog
from clauseway.decisions import Tables
from clauseway.decisions.question import RESTS_ON
from clauseway.decisions.trace import trace
from terms_at_hand import asking, decided, documents, reading

EVENTS = """events:
  notice: {says: Either party gives notice of termination., source: [T]}
  cure: {says: The breach is cured., source: [T]}
  breach: {says: A material breach., over-by: cure, source: [T]}
  termination: {says: Thirty days after a notice., after: notice, days: 30, prevented-by: cure, source: [T]}
  consent: {says: The maker consents., source: [T]}
  renewal: {says: The term is renewed., source: [T]}
  expiry: {says: The term ends., on: 2027-01-01, extended-by: renewal, days: 365, source: [T]}
"""
# The exclusivity stands while there is no breach, the permission until termination, and so on.
TERMS = """id: A1.only
kind: exclusivity
actions: [serve]
products: [app]
only: {clouds: [north]}
while-no: breach

id: A1.shop
kind: permission
party: shop
actions: [contract-compute]
products: [rooms]
until: termination

id: A1.rival
kind: permission
party: rival
actions: [contract-compute]
products: [rooms]
from: consent

id: A1.use
kind: licence
licensor: maker
licensee: partner
products: [rights]
until: expiry

id: A1.state
kind: prohibition
parties: [maker]
actions: [serve]
products: [tool]
while: breach"""
ELSEWHERE = "serve maker app south"
SHOP = "contract-compute shop rooms own"
RIVAL = "contract-compute rival rooms own"
USE = "use-under-licence partner rights"
TOOL = "serve maker tool own"


def event(name: str, day: str, through: str = "") -> str:
    return f"kind: event, event: {name}, effective: {day}" + (f", through: {through}" if through else "")


def opened(*facts: str, terms: str = TERMS, events: str = EVENTS) -> OpenAgreement:
    texts = documents(terms, facts)
    return reading(texts | {"agreement.md": texts["agreement.md"].replace("rules:", events + "rules:", 1)})


BREACH = event("breach", "2026-03-01")
CURE = event("cure", "2026-03-20")
NOTICE = event("notice", "2026-06-01")
AGAIN = event("breach", "2026-09-01", "2026-09-10")
RENEWED = event("renewal", "2026-12-31")
LATE = event("renewal", "2027-01-01")


@pytest.mark.parametrize(
    ("facts", "question", "day", "outcome"),
    [
        # An exclusivity holds while no breach does.
        ((), ELSEWHERE, "2026-03-01", "forbidden"),
        ((BREACH,), ELSEWHERE, "2026-02-28", "forbidden"),
        ((BREACH,), ELSEWHERE, "2026-03-01", "permitted"),
        ((BREACH,), ELSEWHERE, "2030-01-01", "permitted"),
        # A breach is over by its cure, and may come again; a fact may say its own last day.
        ((BREACH, CURE), ELSEWHERE, "2026-03-19", "permitted"),
        ((BREACH, CURE), ELSEWHERE, "2026-03-20", "forbidden"),
        ((BREACH, CURE, AGAIN), ELSEWHERE, "2026-09-01", "permitted"),
        ((BREACH, CURE, AGAIN), ELSEWHERE, "2026-09-10", "permitted"),
        ((BREACH, CURE, AGAIN), ELSEWHERE, "2026-09-11", "forbidden"),
        # One that is cured on its own day was none.
        ((BREACH, event("cure", "2026-03-01")), ELSEWHERE, "2026-03-01", "forbidden"),
        ((BREACH, event("cure", "2026-03-01")), ELSEWHERE, "2026-03-02", "forbidden"),
        # A term that holds while a breach does holds on just those days.
        ((), TOOL, "2026-03-05", "permitted"),
        ((BREACH, CURE), TOOL, "2026-03-05", "forbidden"),
        ((BREACH, CURE), TOOL, "2026-03-20", "permitted"),
        # Termination comes thirty days after notice: 1 June and 30 days are 1 July.
        ((), SHOP, "2026-07-01", "permitted"),
        ((NOTICE,), SHOP, "2026-06-30", "permitted"),
        ((NOTICE,), SHOP, "2026-07-01", "conditional"),
        # A cure within these days prevents it; one before the notice or on the thirtieth day does not.
        ((NOTICE, event("cure", "2026-06-30")), SHOP, "2026-07-01", "permitted"),
        ((NOTICE, event("cure", "2026-06-01")), SHOP, "2026-07-01", "permitted"),
        ((NOTICE, event("cure", "2026-05-31")), SHOP, "2026-07-01", "conditional"),
        ((NOTICE, event("cure", "2026-07-01")), SHOP, "2026-07-01", "conditional"),
        # A second notice runs its own days.
        ((NOTICE, event("cure", "2026-06-30"), event("notice", "2026-08-01")), SHOP, "2026-08-30", "permitted"),
        ((NOTICE, event("cure", "2026-06-30"), event("notice", "2026-08-01")), SHOP, "2026-08-31", "conditional"),
        # A right that waits for consent.
        ((), RIVAL, "2026-05-01", "conditional"),
        ((event("consent", "2026-05-01"),), RIVAL, "2026-04-30", "conditional"),
        ((event("consent", "2026-05-01"),), RIVAL, "2026-05-01", "permitted"),
        # It begins with the consent; a consent that ends does not take it back.
        ((event("consent", "2026-05-01", "2026-05-31"),), RIVAL, "2026-07-01", "permitted"),
        # A consent of before is over when the term begins on 1 January.
        ((event("consent", "2025-05-01", "2025-05-31"),), RIVAL, "2026-07-01", "conditional"),
        ((event("consent", "2025-05-01"),), RIVAL, "2026-07-01", "permitted"),
        # The licence expires, unless it was renewed by then: 365 days from 1 January 2027.
        ((), USE, "2026-12-31", "permitted"),
        ((), USE, "2027-01-01", "forbidden"),
        ((RENEWED,), USE, "2027-12-31", "permitted"),
        ((RENEWED,), USE, "2028-01-01", "forbidden"),
        ((LATE,), USE, "2027-01-01", "forbidden"),
        ((RENEWED, event("renewal", "2027-06-01")), USE, "2028-12-30", "permitted"),
        ((RENEWED, event("renewal", "2027-06-01")), USE, "2028-12-31", "forbidden"),
    ],
)
def test_days_of_events(facts: tuple[str, ...], question: str, day: str, outcome: str) -> None:
    agreement = opened(*facts)
    decision = decided(agreement, question, day)
    assert decision.outcome == outcome
    question_asked = asking(agreement, question, day)
    tables = Tables(agreement.agreement, agreement.catalog, agreement.facts)
    assert tables.decide(question_asked) == decision
    assert World(agreement, question_asked).answer() == outcome


@pytest.mark.parametrize(
    ("terms", "events", "refusal"),
    [
        (TERMS.replace("until: expiry", "until: never"), EVENTS, "unknown day or event 'never'"),
        (
            TERMS.replace("while: breach", "while: [breach, notice]"),
            EVENTS,
            "Write one event. For both at once, write from: a with while: b, if a goes on for good; for either, "
            "a term for each.",
        ),
        (
            TERMS.replace("until: expiry", "until: [expiry, breach]"),
            EVENTS,
            "Write one event. For the earlier of two, write until: a with while-no: b, if b goes on for good; for the "
            "later, a term for each.",
        ),
        (
            TERMS.replace("from: consent", "from: [consent, notice]"),
            EVENTS,
            "Write one event. For both, write from: a with while: b, if b goes on for good; for the earlier, a term "
            "for each.",
        ),
        (
            TERMS,
            EVENTS.replace("prevented-by: cure", "prevented-by: [cure, consent]"),
            "Write one event. For either of two, define an event for each, and write a term until each.",
        ),
        (
            "id: s\nkind: revenue-share\npayer: maker\npayee: shop\nrate: 5 %\nbase: {sellers: [maker]}\n"
            "cap: {amount: USD 5, per: year}",
            EVENTS,
            "Write one amount: it holds over the whole share. For a cap a year, write a share for each year.",
        ),
        (TERMS.replace("while: breach", "while: brech"), EVENTS, "Did you mean 'breach'?"),
        (TERMS, EVENTS.replace("prevented-by: cure", "prevented-by: termination"), "it waits for itself"),
        (TERMS, EVENTS.replace("after: notice, ", ""), "prevented-by: has its effect on after: alone"),
        (TERMS, EVENTS.replace("on: 2027-01-01, ", ""), "extended-by: puts off the day in on:"),
        (TERMS, EVENTS.replace("  cure:", "  milestone:"), "every agreement knows it"),
        (
            "id: s\nkind: revenue-share\npayer: maker\npayee: shop\nrate: 5 %\nbase: {sellers: [maker]}\nwhile: breach",
            EVENTS,
            "the share s cannot pause",
        ),
    ],
)
def test_what_is_refused(terms: str, events: str, refusal: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(refusal)):
        opened(terms=terms, events=events)


@pytest.mark.parametrize(
    ("name", "why", "remedy"),
    [
        (
            "termination",
            "it comes about by itself, 30 days after notice, unless cure prevents it",
            "Record or suppose notice.",
        ),
        (
            "expiry",
            "it comes about by itself, on 2027-01-01, put off by 365 days by each renewal",
            "Record or suppose renewal.",
        ),
        ("lapse", "it comes about by itself, 1 day after notice", "Record or suppose notice."),
        ("end", "it comes about by itself, on 2030-01-01", "Leave it out."),
        ("notce", "the agreement does not define it", "Did you mean 'notice'?"),
    ],
)
def test_an_event_that_comes_about_by_itself_is_not_recorded(name: str, why: str, remedy: str) -> None:
    events = EVENTS + "  end: {says: The end., on: 2030-01-01, source: [T]}\n"
    events += "  lapse: {says: A day later., after: notice, days: 1, source: [T]}\n"
    with pytest.raises(InvalidInput) as supposed:
        opened(events=events).supposing([f"event:{name}=2026-05-01"])
    with pytest.raises(InvalidInput) as recorded:
        opened(event(name, "2026-05-01"), events=events)
    refusals = [problem for error in (supposed, recorded) for problem in error.value.problems]
    assert [(problem.why, problem.remedy) for problem in refusals] == [(why, remedy)] * 2


def test_an_event_that_comes_about_on_a_day_is_cited_where_it_is_defined() -> None:
    lets = "id: A1.shop\nkind: permission\nparty: shop\nactions: [contract-compute]\nproducts: [rooms]\nfrom: expiry"
    agreement = opened(terms=lets)
    question = asking(agreement, SHOP, "2027-06-01")
    decision = agreement.answer(question)
    [cited] = [reason for reason in decision.reasons if reason.bearing == "meets"]
    assert (cited.amendment, cited.term, cited.document) == ("agreement", "expiry", "agreement.md")
    steps = trace(agreement.agreement, agreement.catalog, agreement.facts, question, decision)
    assert [step.kind for step in steps if step.term == "expiry"] == ["event"]


def test_events_are_supposed_retracted_and_known_late() -> None:
    supposed = opened().supposing(["event:breach=2026-03-01"])
    assert decided(supposed, ELSEWHERE, "2026-03-05").outcome == "permitted"
    late = opened(BREACH + ", recorded: 2026-05-01")
    asked = asking(late, ELSEWHERE, "2026-03-05")
    assert late.answer(asked).outcome == "permitted"
    before = msgspec.structs.replace(asked, known_at=KnownAt.end_of(date(2026, 4, 30)))
    assert late.answer(before).outcome == "forbidden"
    never = opened(BREACH + ", id: b", "kind: retraction, effective: 2026-04-01, corrects: b")
    assert decided(never, ELSEWHERE, "2026-03-05").outcome == "forbidden"


def test_a_trace_says_for_what_a_term_waits() -> None:
    agreement = opened()
    asked = asking(agreement, RIVAL, "2026-05-01")
    traced = trace(agreement.agreement, agreement.catalog, agreement.facts, asked, agreement.answer(asked))
    assert [step.why for step in traced if step.term == "A1.rival"] == ["it waits for consent"]


@pytest.mark.parametrize(
    ("facts", "question", "day", "cited"),
    [
        # A right that began with the consent rests on the consent.
        ((event("consent", "2026-05-01"),), RIVAL, "2026-05-01", "consent"),
        # A prohibition that stands while there is a breach rests on the breach.
        ((BREACH,), TOOL, "2026-03-05", "breach"),
        # An exclusivity that stands again since the cure rests on the cure.
        ((BREACH, CURE), ELSEWHERE, "2026-03-20", "cure"),
        # Before any breach it rests on its own text alone.
        ((BREACH, CURE), ELSEWHERE, "2026-02-01", ""),
    ],
)
def test_a_decision_cites_the_event_that_began_its_term(
    facts: tuple[str, ...], question: str, day: str, cited: str
) -> None:
    agreement = opened(*facts)
    decision = decided(agreement, question, day)
    assert [reason.bearing for reason in decision.reasons if reason.amendment == "facts"] == ["meets"] * bool(cited)
    assert cited in "".join(reason.term for reason in decision.reasons if reason.amendment == "facts")
    tables = Tables(agreement.agreement, agreement.catalog, agreement.facts)
    assert tables.decide(asking(agreement, question, day)) == decision


@pytest.mark.parametrize(
    ("facts", "idle"),
    [
        # A renewal on the very day of the expiry comes too late, one of the day before does not.
        ((LATE,), ["event:renewal=2027-01-01"]),
        ((RENEWED,), []),
        # A second notice after the first has ended all, and a cure where nothing was broken.
        ((NOTICE, event("notice", "2026-07-05")), ["event:notice=2026-07-05"]),
        ((CURE,), ["event:cure=2026-03-20"]),
        ((BREACH, CURE), []),
        # As known before the first was recorded, the second ended all: it changed answers then.
        ((NOTICE + ", recorded: 2026-08-01", event("notice", "2026-07-05")), []),
        # A second breach within the first.
        ((BREACH, event("breach", "2026-03-10", "2026-03-12"), CURE), ["event:breach=2026-03-10"]),
    ],
)
def test_an_event_that_changes_nothing_is_told(facts: tuple[str, ...], idle: list[str]) -> None:
    agreement = opened(*facts)
    remarks = check_agreement(agreement.agreement, agreement.facts, RESTS_ON)
    texts = [remark.what for remark in remarks if remark.kind == "idle-event"]
    assert texts == [f"{name} changes nothing" for name in idle]
    register = list_facts(agreement, KnownAt.everything())
    assert [fact.name for fact in register if fact.idle] == idle


# --- what is paused --------------------------------------------------------------------------------------------------

MAY_SELL = "id: g\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]\n"
MAY_USE = "id: g\nkind: licence\nlicensor: maker\nlicensee: shop\nproducts: [rights]\n"
BREACHED = (
    "kind: event, event: breach, effective: 2026-03-01",
    "kind: event, event: cure, effective: 2026-07-01",
)
# The right · the question · a day · its answer · what is said of the right.
PAUSED = [
    (MAY_SELL + "while-no: breach", "sell shop app own", "2026-02-01", "permitted", ""),
    (
        MAY_SELL + "while-no: breach",
        "sell shop app own",
        "2026-04-01",
        "conditional",
        "paused: g, while breach goes on",
    ),
    (MAY_SELL + "while-no: breach", "sell shop app own", "2026-07-01", "permitted", ""),
    (MAY_SELL + "while: breach", "sell shop app own", "2026-02-01", "conditional", ""),
    (
        MAY_SELL + "while: breach",
        "sell shop app own",
        "2026-08-01",
        "conditional",
        "paused: g, while breach does not go on",
    ),
    (
        MAY_SELL.replace("shop", "anyone") + "while-no: breach",
        "sell shop app own",
        "2026-04-01",
        "conditional",
        "paused: g, while breach goes on",
    ),
    # A term that ends while it is paused has ended.
    (
        MAY_SELL + "while-no: breach\nuntil: 2026-05-01",
        "sell shop app own",
        "2026-04-30",
        "conditional",
        "paused: g, while breach goes on",
    ),
    (
        MAY_SELL + "while-no: breach\nuntil: 2026-05-01",
        "sell shop app own",
        "2026-05-01",
        "conditional",
        "g ended on 2026-05-01",
    ),
    (
        MAY_USE + "while-no: breach",
        "use-under-licence shop rights",
        "2026-04-01",
        "forbidden",
        "paused: g, while breach goes on",
    ),
    (
        MAY_USE + "while-no: breach\nuntil: 2026-05-01",
        "use-under-licence shop rights",
        "2026-06-01",
        "forbidden",
        "g ended on 2026-05-01",
    ),
    (
        MAY_USE + "while-no: breach\nuntil: 2026-09-01",
        "use-under-licence shop rights",
        "2026-10-01",
        "forbidden",
        "g ended on 2026-09-01",
    ),
]


@pytest.mark.parametrize(("right", "question", "day", "outcome", "said"), PAUSED)
def test_a_right_that_is_paused_is_named(right: str, question: str, day: str, outcome: str, said: str) -> None:
    texts = documents(right, BREACHED)
    texts["agreement.md"] = texts["agreement.md"].replace("rules:\n", EVENTS + "rules:\n")
    opened = reading(texts)
    decision = decided(opened, question, day)
    assert decision.outcome == outcome
    notes = [reason.note for reason in decision.reasons if reason.term == "g" and reason.note]
    assert notes == ([said] if said else [])
    tables = Tables(opened.agreement, opened.catalog, opened.facts)
    asked = asking(opened, question, day)
    assert tables.decide(asked) == decision
    assert World(opened, asked).answer() == outcome
    if "paused" in said:
        [traced] = [line for line in trace(*_parts(opened), asked, decision) if line.term == "g"]
        assert said.partition(", ")[2] in traced.why


def _parts(opened: OpenAgreement) -> tuple[Agreement, Catalog, FactRegister]:
    return opened.agreement, opened.catalog, opened.facts


def test_a_share_that_an_event_ends_names_what_was_recorded() -> None:
    share = "id: A1.s\nkind: revenue-share\npayer: maker\npayee: partner\nrate: 5 %%\n"
    share += "base: {sellers: [maker]}\nuntil: %s"
    facts = ("kind: event, event: notice, effective: 2026-03-01", "kind: event, event: breach, effective: 2026-04-01")
    for until, end, event in (
        ("breach", date(2026, 4, 1), "event:breach"),
        ("termination", date(2026, 3, 31), "event:notice"),
    ):
        texts = documents(share % until, facts)
        texts["agreement.md"] = texts["agreement.md"].replace("rules:", f"{EVENTS}rules:", 1)
        [result] = reading(texts).revenue_shares(KnownAt.everything(), {})
        assert (result.end, result.event.term) == (end, event)  # type: ignore[union-attr]
