"""Rights of first refusal and ship-first make an answer conditional until facts meet them.

Both bind the party that does an act and the party that grants it: an owner that must ship first on
one cloud cannot let another party go ahead on a different cloud. A right of first refusal never
binds its holder, nor stands in the way of a licence to it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import assert_never, get_args

import msgspec

from clauseway.agreement import Answer, Offer, Precedence, RefusalRight
from clauseway.agreement.language.terms import FIRST_SHIPPED_SINCE, AnyTerm, Conditional
from clauseway.decisions.case import ASKED_PRODUCT, Case, Finding
from clauseway.decisions.decision import Condition, Outcome, Reason
from clauseway.decisions.reach import Act
from clauseway.values import counted

_KINDS = get_args(Conditional)
_NOTHING = Finding(Outcome.PERMITTED, ())


def find_conditions(case: Case, acts: Sequence[Act], party: str, grantor: str = "") -> Finding:
    """Return the conditions on the acts that `party` needs.

    They bind the parties that do the acts, and the grantor behind them.
    """
    reasons: tuple[Reason, ...] = ()
    open_conditions: tuple[Condition, ...] = ()
    for kind in _KINDS:
        for state in case.states(kind):
            if state.in_force:
                finding = _find_condition(case, state.term, acts, party, grantor)
                reasons += finding.reasons
                open_conditions += finding.conditions
    outcome = Outcome.CONDITIONAL if open_conditions else Outcome.PERMITTED
    return Finding(outcome, reasons, open_conditions)


def _find_condition(
    case: Case, term: AnyTerm, acts: Sequence[Act], party: str, grantor: str
) -> Finding:
    """Return the condition of a term in force, or why it is met; nothing if it does not bind."""
    assert isinstance(term, Conditional)
    match term:
        case RefusalRight():
            return _find_first_refusal(case, term, acts, party, grantor)
        case Precedence():
            return _find_ship_first(case, term, [*acts, *_as_grantor(acts, grantor)])
        case _:
            assert_never(term)


def _as_grantor(acts: Sequence[Act], grantor: str) -> list[Act]:
    """Return the acts of other parties as acts of the grantor.

    A grantor may not let another party do what the grantor itself must not do yet.
    """
    return [
        msgspec.structs.replace(act, party=grantor)
        for act in acts
        if grantor and act.party != grantor
    ]


def _find_first_refusal(
    case: Case, term: RefusalRight, acts: Sequence[Act], party: str, grantor: str
) -> Finding:
    # Acts that the holder asks for, or would be licensed, need not be offered to it first.
    if term.holder in (party, acts[0].to):
        return _NOTHING
    # An act that the holder itself does, such as hosting, need not be offered to it.
    needing_offer = [act for act in acts if act.party != term.holder]
    bound = [
        act
        for act in (*needing_offer, *_as_grantor(needing_offer, grantor))
        if act.party == (term.grantor or case.owner(act))
    ]
    if not any(case.reaches(term, act) for act in bound):
        return _NOTHING
    product = acts[0].product
    cited = Reason.of("conditions", term.citation)
    offer = case.facts.offer(term.subject_of(product), case.as_of)
    if offer is not None and offer.passed_by(case.as_of):
        return Finding(Outcome.PERMITTED, (Reason.of("meets", offer.citation), cited))
    condition = _state_offer_condition(case, term, product, offer)
    return Finding(Outcome.CONDITIONAL, (cited,), (condition,))


def _state_offer_condition(
    case: Case, term: RefusalRight, product: str, offer: Offer | None
) -> Condition:
    rule = f"It must first be offered to {term.holder}, and {term.holder} must pass"
    if offer is not None:
        rule = f"{term.holder} must pass on what it was offered on {offer.effective}"
        if offer.answer_by is not None:
            rule += f"; silence through {offer.answer_by} counts as a pass"
    if term.subject:
        return Condition(term=term.id, text=f"{rule}.", needs=(f"offer:{term.subject}:passed",))
    if product not in case.catalog.products:
        # A class stands for a new product. Each product is offered by its own name.
        text = f"{rule}; name a product, because each is offered by itself."
        return Condition(term=term.id, text=text, needs=())
    return Condition(term=term.id, text=f"{rule}.", needs=(f"offer:{ASKED_PRODUCT}:passed",))


def _find_ship_first(case: Case, term: Precedence, acts: Sequence[Act]) -> Finding:
    if not any(case.reaches(term, act) for act in acts):
        return _NOTHING
    product = acts[0].product
    satisfied = _cite_satisfied(case, term, product)
    if satisfied is not None:
        return Finding(Outcome.PERMITTED, satisfied)
    cited = (Reason.of("conditions", term.citation), *case.commentary("precedence"))
    return Finding(Outcome.CONDITIONAL, cited, (_state_ship_first_condition(case, term, product),))


def _cite_satisfied(case: Case, term: Precedence, product: str) -> tuple[Reason, ...] | None:
    """Cite why ship-first is met or does not bind; return None where it stands in the way."""
    readings = case.question.readings
    launches = case.facts.launches(product)
    if term.binds.under(readings) == FIRST_SHIPPED_SINCE:
        if case.as_of < term.since:
            note = f"it binds what first ships on or after {term.since}"
            return (Reason.of("not-bound", term.citation, note),)
        catalog_entry = case.catalog.products.get(product)
        shipped = [launch.effective for launch in launches]
        if catalog_entry is not None and catalog_entry.first_shipped_by:
            shipped.append(catalog_entry.first_shipped_by)
        if shipped and min(shipped) < term.since:
            return (
                Reason.of(
                    "not-bound",
                    term.citation,
                    f"{ASKED_PRODUCT} had first shipped by {min(shipped)}",
                ),
            )
    # A launch on the first cloud counts once the lead has passed.
    lead = timedelta(days=term.lead_days)
    on_first = [
        launch
        for launch in launches
        if launch.cloud == term.first and launch.effective + lead <= case.as_of
    ]
    if on_first:
        return (
            Reason.of("meets", on_first[0].citation),
            Reason.of("conditions", term.citation, "met"),
        )
    answer = case.facts.answer(product, case.as_of)
    if answer is not None and lifts(term, answer, readings):
        return (
            Reason.of("meets", answer.citation),
            Reason.of("conditions", term.citation, "the exception applies"),
        )
    return None


def lifts(term: Precedence, answer: Answer, readings: Mapping[str, str]) -> bool:
    """Return whether an answer of the first cloud's operator is the exception that a term makes."""
    if term.unless is None:
        return False
    if term.unless.under(readings) == "cannot-and-declines":
        return not answer.can and answer.declines
    return not answer.can or answer.declines


def _state_ship_first_condition(case: Case, term: Precedence, product: str) -> Condition:
    operator = case.catalog.operators[term.first]
    answers: tuple[str, ...] = ()
    ahead = f" and be there for {counted(term.lead_days, 'day')}" if term.lead_days else ""
    rule = f"{ASKED_PRODUCT} must first ship on {term.first}{ahead}"
    if term.unless is not None:
        both = term.unless.under(case.question.readings) == "cannot-and-declines"
        answers = (
            ("cannot+declines",) if both else ("cannot+declines", "cannot+chooses", "can+declines")
        )
        rule += f", unless {operator} cannot {'and' if both else 'or'} chooses not to support it"
    if product not in case.catalog.products:
        # A class stands for a new product that has launched nowhere. Facts are about products, so
        # no fact about a class could meet the condition.
        return Condition(
            term=term.id,
            text=f"{rule}; name a product, because launches and answers are recorded of products.",
            needs=(),
        )
    recorded = case.facts.answer(product, case.as_of)
    state = "its recorded answer does not lift this" if recorded else "no answer of it is recorded"
    launches = [launch for launch in case.facts.launches(product) if launch.cloud == term.first]
    shipped = any(launch.effective <= case.as_of for launch in launches)
    launched = "those days are not over" if shipped else "no launch there is recorded"
    return Condition(
        term=term.id,
        text=f"{rule}; {launched}, and {state}." if answers else f"{rule}; {launched}.",
        needs=(
            # With a lead of days, no launch on the day asked about can meet the condition.
            *([f"launch:{ASKED_PRODUCT}:{term.first}:available"] if not term.lead_days else []),
            *(f"answer:{ASKED_PRODUCT}:{answer}" for answer in answers),
        ),
    )
