"""From a question to a decision: fold the agreement for its day, decide, and make a receipt.

    decide          the outcome with its reasons, conditions and receipt, and the readings that would
                    change the outcome
    decide_as_read  the same, without the readings that would change the outcome
    comparisons_of  each comparison of a term with an act that was made while deciding, for a trace

`engine` has the decision itself.
"""

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache

import msgspec

from clauseway.agreement import (
    Agreement,
    FactRegister,
    InForce,
    TermState,
    in_force,
    meaning_of_facts,
)
from clauseway.agreement.language.actions import SELL, SERVE
from clauseway.agreement.language.terms import Forbidding, Granting
from clauseway.catalog import Catalog
from clauseway.decisions.case import Case, Finding, combined, named, not_named, once
from clauseway.decisions.decision import Decision, Outcome, Receipt, Turn
from clauseway.decisions.engine import ENGINE, decide_act
from clauseway.decisions.forbidding import find_carve_out, is_inside, stands
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
from clauseway.decisions.rights import is_given_by_right

# Many questions are about one day: the lines of an import, the examples of a brief. Each needs a case
# for its own readings and one for each other option. This is enough for a day of two agreements with
# as many readings as the built-in one.
_CASES_KEPT = 16


def decide(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Decision:
    """Answer a question. Of `facts`, only those known at the question's `known_at` count."""
    decision = decide_as_read(agreement, catalog, facts, question)
    turns = _turns(agreement, catalog, facts, question, decision.outcome)
    return msgspec.structs.replace(decision, turns_on=turns)


def decide_as_read(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Decision:
    """Answer a question. `turns_on`, which takes longest to find, stays empty."""
    case = _case(agreement, catalog, facts, question)
    finding = _once(_answer(case))
    return Decision(
        outcome=finding.outcome,
        reasons=finding.reasons,
        conditions=finding.conditions,
        turns_on=(),
        as_of=question.as_of,
        known_at=str(question.known_at),
        receipt=receipt(agreement, facts_digest(case.facts), question, finding.outcome),
    )


def find_answer(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Finding:
    """Answer a question without a receipt, whose digest of all facts takes longest."""
    return _once(_answer(_case(agreement, catalog, facts, question)))


def _once(finding: Finding) -> Finding:
    return msgspec.structs.replace(finding, reasons=once(finding.reasons))


def _turns(
    agreement: Agreement,
    catalog: Catalog,
    facts: FactRegister,
    question: Question,
    outcome: Outcome,
) -> tuple[Turn, ...]:
    """Return the readings that, each changed alone, would change the outcome."""
    turns = []
    for reading, option in other_options(agreement, question.readings):
        readings = {**question.readings, reading: option}
        varied = msgspec.structs.replace(question, readings=readings)
        finding = _answer(_case(agreement, catalog, facts, varied))
        if finding.outcome != outcome:
            turns.append(Turn(reading=reading, option=option, outcome=finding.outcome))
    return tuple(turns)


def other_options(agreement: Agreement, readings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield a pair (reading, option) for each option that was not chosen."""
    for reading in agreement.readings.values():
        for option in reading.options:
            if option != readings[reading.id]:
                yield reading.id, option


class _Basis:
    """The basis of all questions about one day, as known at a point, under the same readings.

    Two are equal if they hold the same agreement, catalog and facts, as objects: to compare these
    by value would take longer than the fold that it saves.
    """

    __slots__ = ("_key", "agreement", "catalog", "facts", "question")

    def __init__(
        self, agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
    ) -> None:
        self.agreement = agreement
        self.catalog = catalog
        self.facts = facts
        self.question = question
        # INVARIANT: this record holds the objects, so no other object takes over one of the ids.
        objects = (id(agreement), id(catalog), id(facts))
        readings = frozenset(question.readings.items())
        self._key = (*objects, question.as_of, question.known_at, readings)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Basis) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _case(
    agreement: Agreement,
    catalog: Catalog,
    facts: FactRegister,
    question: Question,
    comparisons: list[TermComparison] | None = None,
) -> Case:
    case = _folded(_Basis(agreement, catalog, facts, question))
    return msgspec.structs.replace(case, question=question, comparisons=comparisons)


@lru_cache(_CASES_KEPT)
def _folded(basis: _Basis) -> Case:
    """Return a case of this basis. It collects the lineages and owners of the products asked about,
    which are the same for every question."""
    question = basis.question
    known_facts = basis.facts.known(question.known_at)
    force = in_force(
        basis.agreement, known_facts, question.as_of, question.known_at, question.readings
    )
    return Case.of(basis.agreement, basis.catalog, force, known_facts, question)


def comparisons_of(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> tuple[InForce, list[TermComparison]]:
    """Return the terms as they stand on the day, and in order each comparison of a term."""
    comparisons: list[TermComparison] = []
    case = _case(agreement, catalog, facts, question, comparisons)
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
    term, act = state.term, comparison.act
    if isinstance(term, Granting):
        return "" if is_given_by_right(case, term, act) else NOT_GIVEN
    if not isinstance(term, Forbidding):
        return ""
    if not stands(case, state, act):
        return NOT_GIVEN
    if is_inside(case, term, act):
        return INSIDE
    return CARVED_OUT if find_carve_out(case, term, act) else ""


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
        finding = combined(finding, named(decide_act(case, sale), sale))
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
