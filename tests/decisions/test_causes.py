"""A changed answer is laid to its cause: without the cause, the answer would be the one before."""

from datetime import date
from itertools import pairwise

import msgspec
import pytest
from generated_agreements import agreements
from hypothesis import given, settings

from clauseway import Decision, KnownAt, OpenAgreement
from clauseway.agreement import FactRegister, boundaries
from clauseway.decisions import Outcome
from clauseway.decisions.searches.compare import OutcomeChange, Side, compare
from soak import examples
from terms_at_hand import amendment, documents, reading

EVERYTHING = KnownAt.everything()
FIRST = (
    "id: A1.first\nkind: precedence\nparty: maker\nfirst: north\nactions: [serve]\nproducts: [apps]\n"
    "binds: every-product\nsince: 2026-01-01\nlead-days: 30"
)
SERVES = "id: A1.serves\nkind: permission\nparty: rival\nactions: [serve, sell]\nproducts: [apps]"
EVENT = "kind: event, event: consent, effective: 2026-01-05"
LAUNCH = "kind: launch, product: app, cloud: north, stage: available, effective: 2026-02-01"
SECOND = "kind: launch, product: app, cloud: north, stage: available, effective: 2026-02-02"


def opened(terms: str, facts: tuple[str, ...] = (), **later: str) -> OpenAgreement:
    texts = documents(terms, facts) | {f"{name}.md": text for name, text in later.items()}
    events = "events:\n  consent: {says: The maker consents., source: [T]}\nrules:"
    texts["agreement.md"] = texts["agreement.md"].replace("rules:", events, 1)
    return reading(texts)


def side(agreement: OpenAgreement, day: date, up_to: int = 99) -> Side:
    text = msgspec.structs.replace(agreement.agreement, amendments=agreement.agreement.amendments[:up_to])
    return Side(agreement=text, facts=agreement.facts, as_of=day, known_at=EVERYTHING, readings={})


def because(
    changes: tuple[OutcomeChange, ...],
    party: str,
    before: Outcome = Outcome.CONDITIONAL,
    after: Outcome = Outcome.PERMITTED,
) -> set[str]:
    """The causes of what the party may do now with `app` on south, and might on a condition; or of other answers."""
    return {
        change.because.term
        for change in changes
        if change.combination.party == party
        and (change.combination.product, change.combination.cloud) == ("app", "south")
        and (change.before, change.after) == (before, after)
    }


@pytest.mark.parametrize(
    ("terms", "facts", "cause"),
    [
        # The right began long before; the launch was thirty days ago on the day.
        (SERVES + "\nfrom: consent", (EVENT, LAUNCH), "launch:app:north:available"),
        # Of two launches, the lead of the first alone is over.
        (SERVES + "\nfrom: consent", (EVENT, LAUNCH, SECOND), "launch:app:north:available"),
        # The leads of both launches are over on the day, and either would do.
        (SERVES, (LAUNCH, LAUNCH.replace("available", "preview")), "launch:app:north:available"),
        # The consent is of the day, the lead over long before.
        (
            SERVES + "\nfrom: consent",
            (EVENT.replace("01-05", "03-03"), LAUNCH.replace("02-01", "01-15")),
            "event:consent",
        ),
        # The right begins on the day.
        (SERVES + "\nbegins: 2026-03-03", (LAUNCH.replace("02-01", "01-15"),), "A1.serves"),
    ],
)
def test_of_two_facts_that_which_decides_is_cited(terms: str, facts: tuple[str, ...], cause: str) -> None:
    agreement = opened(f"{FIRST}\n\n{terms}", facts)
    changes = compare(side(agreement, date(2026, 3, 2)), side(agreement, date(2026, 3, 3)), agreement.catalog)
    assert because(changes, "rival") == {cause}


def test_between_two_texts_no_fact_decides() -> None:
    """The facts are those of both sides: what is new is the amendment's right."""
    right = amendment("A2", "2026-06-01", SERVES.replace("A1", "A2") + "\nfrom: consent")
    agreement = opened(FIRST, (EVENT.replace("01-05", "06-01"), LAUNCH), A2=right)
    changes = compare(side(agreement, date(2026, 6, 1), 1), side(agreement, date(2026, 6, 1)), agreement.catalog)
    assert because(changes, "rival") == {"A2.serves"}


def test_between_two_texts_no_fact_decides_where_either_of_two_rights_would_do() -> None:
    rights = [SERVES.replace("A1.serves", name) + "\nfrom: consent" for name in ("A2.serves", "A2.too")]
    later = amendment("A2", "2026-06-01", "\n\n".join(rights))
    agreement = opened(FIRST, (EVENT.replace("01-05", "06-01"), LAUNCH), A2=later)
    changes = compare(side(agreement, date(2026, 6, 1), 1), side(agreement, date(2026, 6, 1)), agreement.catalog)
    assert because(changes, "rival") == {"A2.serves"}


def test_a_change_that_held_before_decides_nothing() -> None:
    """On the day the prohibition's own end is passed, and the event comes during which it holds."""
    bars = "id: A1.bars\nkind: prohibition\nparties: [rival]\nactions: [serve]\nproducts: [apps]\nwhile: consent"
    longer = amendment("A2", "2026-02-01", "id: A2.longer\nsets-end: [A1.bars]\nthrough: 2026-12-31")
    agreement = opened(f"{SERVES}\n\n{bars}\nthrough: 2026-03-02", (EVENT.replace("01-05", "03-03"),), A2=longer)
    changes = compare(side(agreement, date(2026, 3, 2)), side(agreement, date(2026, 3, 3)), agreement.catalog)
    assert because(changes, "rival", Outcome.PERMITTED, Outcome.FORBIDDEN) == {"A1.bars"}


@settings(max_examples=examples(10))
@given(agreement=agreements())
def test_without_a_fact_that_is_cited_nothing_changes(agreement: OpenAgreement) -> None:
    """Leave out the fact; where another would have done as well, all those that the answer cites."""
    days = boundaries(agreement.agreement, agreement.facts, EVERYTHING)
    for eve, day in pairwise(days[:12]):
        for change in compare(side(agreement, eve), side(agreement, day), agreement.catalog):
            if change.before is Outcome.CONDITIONAL and change.because.amendment == "facts":
                asked = msgspec.structs.asdict(change.combination)
                was, now = (agreement.question(**asked, as_of=each, known_at=EVERYTHING) for each in (eve, day))
                reasons = agreement.answer(now).reasons
                cited = {reason.term for reason in reasons if reason.amendment == "facts"}
                answers = [without(agreement, facts).answer(now) for facts in ({change.because.term}, cited)]
                assert waits_for(agreement.answer(was)) in map(waits_for, answers), change


def waits_for(decision: Decision) -> tuple[Outcome, set[str]]:
    return decision.outcome, {condition.term for condition in decision.conditions}


def without(agreement: OpenAgreement, names: set[str]) -> OpenAgreement:
    facts = tuple(fact for fact in agreement.facts.facts if fact.citation.term not in names)
    return msgspec.structs.replace(agreement, facts=FactRegister(facts))
