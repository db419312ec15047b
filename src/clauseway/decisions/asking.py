"""From a question to a decision: fold the agreement for its day, apply the rule, write a receipt.

    decide      the outcome with its reasons, conditions, the readings it turns on and a receipt
    outcome_of  the outcome alone
    looks_of    each comparison of a term with an act that was made while deciding, for a trace

`engine` has the rule itself.
"""

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    InForce,
    Licence,
    Permission,
    Prohibition,
    in_force,
    meaning_of_facts,
)
from clauseway.agreement.language.actions import SELL, SERVE
from clauseway.agreement.language.terms import AnyTerm
from clauseway.catalog import Catalog
from clauseway.decisions.case import Case, Finding, both, named, not_named, once
from clauseway.decisions.decision import Decision, Outcome, Receipt, Turn
from clauseway.decisions.engine import ENGINE, decide_act
from clauseway.decisions.forbidding import carve_out, inside
from clauseway.decisions.question import Question
from clauseway.decisions.reach import CARVED_OUT, INSIDE, NOT_GIVEN, NOWHERE, Act, Look, act_on
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
        receipt=receipt(agreement, facts_hash(known_facts), question, finding.outcome),
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
        otherwise = msgspec.structs.replace(question, readings=readings)
        finding = _answer(_case(agreement, catalog, known_facts, otherwise))
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
    looks: list[Look] | None = None,
) -> Case:
    force = in_force(agreement, known_facts, question.as_of, question.known_at, question.readings)
    return Case.of(agreement, catalog, force, known_facts, question, looks)


def looks_of(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> tuple[InForce, list[Look]]:
    """Return the terms as they stand on the day, and in order each look at a term."""
    looks: list[Look] = []
    case = _case(agreement, catalog, facts.known(question.known_at), question, looks)
    _answer(case)  # for the looks that it records
    terms = {state.term.id: state.term for state in case.force.states}
    return case.force, [
        msgspec.structs.replace(look, passes=_passes(case, terms[look.term], look))
        # `_passes` records looks too, so walk a copy.
        for look in tuple(looks)
    ]


def _passes(case: Case, term: AnyTerm, look: Look) -> str:
    """Return why a term that reaches the act does not count; empty if it counts.

    A term that forbids may let it pass (`INSIDE`, `CARVED_OUT`). A right may come from somebody who
    cannot give it (`NOT_GIVEN`).
    """
    if look.outside != NOWHERE:
        return ""
    if isinstance(term, Permission | Licence):
        return "" if given_by_right(case, term, look.act) else NOT_GIVEN
    if not isinstance(term, Exclusivity | Prohibition):
        return ""
    if inside(case, term, look.act):
        return INSIDE
    return CARVED_OUT if carve_out(case, term, look.act) else ""


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
    # A question that names no seller has the party for one.
    if question.action == SERVE and question.seller != question.party:
        sale = msgspec.structs.replace(act, action=SELL, party=question.seller)
        finding = both(finding, named(decide_act(case, sale), sale))
    return finding


def act_of(question: Question, catalog: Catalog) -> Act:
    """Return the act that a question asks about."""
    region = catalog.region_of(question.cloud, question.region)
    return act_on(question, region=region)


def facts_hash(facts: FactRegister) -> str:
    """Return the digest of the facts' meaning. Their order and their place in files are ignored."""
    return meaning_of_facts(facts.facts)


def receipt(agreement: Agreement, facts: str, question: Question, outcome: Outcome) -> Receipt:
    """Return the receipt of a decision. `facts` is the `facts_hash` of the known facts."""
    parts = [
        ENGINE,
        agreement.meaning,
        facts,
        msgspec.json.encode(question, order="sorted").decode(),
        outcome,
    ]
    return Receipt(
        id=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
        engine=ENGINE,
        agreement=agreement.hash,
        meaning=agreement.meaning,
        facts=facts,
        as_of=question.as_of,
        known_at=str(question.known_at),
    )
