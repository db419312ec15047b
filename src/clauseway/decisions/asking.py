"""From a question to a decision: fold the agreement for its day, decide, and make a receipt.

    decide          the outcome with its reasons, conditions and receipt, and the readings that would
                    change the outcome
    outcome_of      the outcome alone
    comparisons_of  each comparison of a term with an act that was made while deciding, for a trace

`engine` has the decision itself.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    InForce,
    Licence,
    Ownership,
    Permission,
    Precedence,
    Prohibition,
    RefusalRight,
    RevenueShareTerm,
    TermState,
    in_force,
    meaning_of_facts,
)
from clauseway.agreement.language.actions import SELL, SERVE
from clauseway.agreement.language.terms import Inoperative
from clauseway.catalog import Catalog
from clauseway.decisions.case import Case, Finding, both, named, not_named, once
from clauseway.decisions.decision import Decision, Outcome, Receipt, Turn
from clauseway.decisions.engine import ENGINE, decide_act
from clauseway.decisions.forbidding import carve_out, inside, stands
from clauseway.decisions.question import Question
from clauseway.decisions.reach import (
    CARVED_OUT,
    INSIDE,
    NOT_GIVEN,
    NOWHERE,
    Act,
    TermComparison,
    act_on,
)
from clauseway.decisions.rights import given_by_right


def decide(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Decision:
    """Answer a question. Of `facts`, only those known at the question's `known_at` count."""
    known_facts = facts.known(question.known_at)
    finding = _answer(_case(agreement, catalog, known_facts, question))
    return Decision(
        outcome=finding.outcome,
        reasons=once(finding.reasons),
        conditions=finding.conditions,
        turns_on=_turns(agreement, catalog, known_facts, question, finding.outcome),
        as_of=question.as_of,
        known_at=str(question.known_at),
        receipt=receipt(agreement, facts_digest(known_facts), question, finding.outcome),
    )


def _turns(
    agreement: Agreement,
    catalog: Catalog,
    known_facts: FactRegister,
    question: Question,
    outcome: Outcome,
) -> tuple[Turn, ...]:
    """Return the readings that, each changed alone, would change the outcome."""
    turns = []
    for reading, option in other_options(agreement, question.readings):
        readings = {**question.readings, reading: option}
        varied = msgspec.structs.replace(question, readings=readings)
        finding = _answer(_case(agreement, catalog, known_facts, varied))
        if finding.outcome != outcome:
            turns.append(Turn(reading=reading, option=option, outcome=finding.outcome))
    return tuple(turns)


def other_options(agreement: Agreement, readings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield a pair (reading, option) for each option that was not chosen."""
    for reading in agreement.readings.values():
        for option in reading.options:
            if option != readings[reading.id]:
                yield reading.id, option


def _case(
    agreement: Agreement,
    catalog: Catalog,
    known_facts: FactRegister,
    question: Question,
    comparisons: list[TermComparison] | None = None,
) -> Case:
    force = in_force(agreement, known_facts, question.as_of, question.known_at, question.readings)
    return Case.of(agreement, catalog, force, known_facts, question, comparisons)


def comparisons_of(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> tuple[InForce, list[TermComparison]]:
    """Return the terms as they stand on the day, and in order each comparison of a term."""
    comparisons: list[TermComparison] = []
    case = _case(agreement, catalog, facts.known(question.known_at), question, comparisons)
    _answer(case)  # for the comparisons that it records
    states = {state.term.id: state for state in case.force.terms}
    return case.force, [
        msgspec.structs.replace(
            comparison, ignored_because=_why_ignored(case, states[comparison.term], comparison)
        )
        # `_why_ignored` records comparisons too, so walk a copy.
        for comparison in tuple(comparisons)
    ]


def _why_ignored(case: Case, state: TermState, comparison: TermComparison) -> str:
    """Return why a term that reaches the act does not count; empty if it counts.

    A term that forbids may let it pass (`INSIDE`, `CARVED_OUT`). A right, or the right that wrote
    an exclusivity, may come from somebody who cannot give it (`NOT_GIVEN`).
    """
    if comparison.outside != NOWHERE:
        return ""
    term = state.term
    match term:
        case Exclusivity() if not stands(case, state, comparison.act):
            return NOT_GIVEN
        case Permission() | Licence():
            return "" if given_by_right(case, term, comparison.act) else NOT_GIVEN
        case Exclusivity() | Prohibition():
            if inside(case, term, comparison.act):
                return INSIDE
            return CARVED_OUT if carve_out(case, term, comparison.act) else ""
        case Ownership() | Precedence() | RefusalRight() | RevenueShareTerm() | Inoperative():
            return ""
        case _:
            assert_never(term)


def outcome_of(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Outcome:
    """Return the outcome alone, without reasons, conditions or a receipt."""
    return _answer(_case(agreement, catalog, facts.known(question.known_at), question)).outcome


def _answer(case: Case) -> Finding:
    """Decide the act that is asked about, and the sale of what is served for another seller."""
    question = case.question
    if question.product and not case.catalog.names_product(question.product):
        return Finding(Outcome.UNSTATED, (not_named(case.agreement, question.product),))
    act = act_of(question, case.catalog)
    finding = named(decide_act(case, act), act)
    # Without a named seller, the party is the seller, and `decide_act` has checked the sale.
    if question.action == SERVE and question.seller != question.party:
        sale = msgspec.structs.replace(act, action=SELL, party=question.seller)
        finding = both(finding, named(decide_act(case, sale), sale))
    return finding


def act_of(question: Question, catalog: Catalog) -> Act:
    """Return the act that a question asks about."""
    region = catalog.region_of(question.cloud, question.region)
    return act_on(question, region=region)


def facts_digest(facts: FactRegister) -> str:
    """Return the digest of the facts' meaning. Their order and their place in files are ignored."""
    return meaning_of_facts(facts.facts)


def receipt(
    agreement: Agreement, known_facts_digest: str, question: Question, outcome: Outcome
) -> Receipt:
    """Return the receipt of a decision."""
    # Everything that the outcome rests on, in a form that is the same everywhere.
    parts = [
        ENGINE,
        agreement.meaning_digest,
        known_facts_digest,
        msgspec.json.encode(question, order="sorted").decode(),
        outcome,
    ]
    return Receipt(
        id=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
        engine=ENGINE,
        agreement=agreement.text_digest,
        meaning=agreement.meaning_digest,
        facts=known_facts_digest,
        as_of=question.as_of,
        known_at=str(question.known_at),
    )
