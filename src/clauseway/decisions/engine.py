"""The rule of decision, in one place. `decide` reads top to bottom the way a lawyer would argue it.

decide ─ unstated?      no amendment both in force and known, or nobody owns it and nothing permits it to anyone
       ─ share-revenue  is a share due
       ─ forbidden?     each act that is needed: a sale is an offer by the seller and a hosting by the host
       ─ the owner's    permitted, under its conditions
       ─ anyone's       permitted by a public permission, under the party's own conditions
       ─ another's      by licence or grant, under the owner's conditions; without one, conditional on a grant
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    InForce,
    Prohibition,
    RevenueShareTerm,
    TermState,
    in_force,
    meaning_of_facts,
)
from clauseway.agreement.actions import LICENSE, SELL, SERVE, SHARE, USE
from clauseway.agreement.terms import ANYONE, AnyTerm
from clauseway.catalog import Catalog
from clauseway.decisions.case import ASKED_PARTY, ASKED_PRODUCT, Case, Finding, both, named, once
from clauseway.decisions.conditions import conditions
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Receipt, Turn
from clauseway.decisions.forbidding import barred, carve_out, ending, inside, lifted, passing
from clauseway.decisions.question import SOLD_ACTIONS, Question
from clauseway.decisions.reach import CARVED_OUT, INSIDE, NOWHERE, Act, Look, act_on
from clauseway.decisions.rights import (
    Licences,
    grants,
    licences,
    own_launch,
    ownership,
    permissions,
)

# Names the rules above; a change of any answer changes it, and with it every receipt.
ENGINE = "clauseway-decisions/3"


def decide(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Decision:
    """Answer a question. `facts` may hold more than was known: only what was known at `known_at` counts."""
    known = facts.known(question.known_at)
    finding = _find(agreement, catalog, known, question)
    return Decision(
        outcome=finding.outcome,
        reasons=once(finding.reasons),
        conditions=finding.conditions,
        turns_on=_turns(agreement, catalog, known, question, finding.outcome),
        as_of=question.as_of,
        known_at=str(question.known_at),
        receipt=receipt(agreement, facts_hash(known), question, finding.outcome),
    )


def _turns(
    agreement: Agreement,
    catalog: Catalog,
    known: FactRegister,
    question: Question,
    outcome: Outcome,
) -> tuple[Turn, ...]:
    """The readings, each changed alone, under which the outcome would be another."""
    turns = []
    for reading, option in other_options(agreement, question.readings):
        readings = {**question.readings, reading: option}
        other = _find(
            agreement, catalog, known, msgspec.structs.replace(question, readings=readings)
        )
        if other.outcome != outcome:
            turns.append(Turn(reading=reading, option=option, outcome=other.outcome))
    return tuple(turns)


def other_options(agreement: Agreement, readings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every option that was not chosen, with its reading."""
    for reading in agreement.readings.values():
        for option in reading.options:
            if option != readings[reading.id]:
                yield reading.id, option


def _find(
    agreement: Agreement, catalog: Catalog, known: FactRegister, question: Question
) -> Finding:
    force = in_force(agreement, known, question.as_of, question.known_at, question.readings)
    return _answer(Case.of(agreement, catalog, force, known, question))


def looks_of(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> tuple[InForce, list[Look]]:
    """What an answer looked at: the terms as they stand on the day, and every look at one, in order."""
    known = facts.known(question.known_at)
    force = in_force(agreement, known, question.as_of, question.known_at, question.readings)
    looks: list[Look] = []
    case = Case.of(agreement, catalog, force, known, question, looks)
    _answer(case)
    terms = {state.term.id: state.term for state in force.states}
    return force, [
        msgspec.structs.replace(look, passes=_passes(case, terms[look.term], look))
        for look in looks
    ]


def _passes(case: Case, term: AnyTerm, look: Look) -> str:
    if look.outside != NOWHERE or not isinstance(term, Exclusivity | Prohibition):
        return ""
    return (
        INSIDE
        if inside(case, term, look.act)
        else CARVED_OUT
        if carve_out(case, term, look.act)
        else ""
    )


def outcome_of(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Outcome:
    """The outcome alone, without what a decision says about it."""
    return _find(agreement, catalog, facts.known(question.known_at), question).outcome


def _answer(case: Case) -> Finding:
    question = case.question
    act = act_of(question, case.catalog)
    finding = named(decide_act(case, act), act)
    if question.action == SERVE and question.seller != question.party:
        sale = msgspec.structs.replace(act, action=SELL, party=question.seller)
        finding = both(finding, named(decide_act(case, sale), sale))
    return finding


def act_of(question: Question, catalog: Catalog) -> Act:
    """What a question asks about."""
    return act_on(
        question.action,
        question.party,
        question.product,
        question.cloud,
        question.to,
        question.segment,
        question.seller,
        catalog.region_of(question.cloud, question.region),
    )


def decide_act(case: Case, act: Act) -> Finding:
    """What an act alone comes to. Its texts name what was asked by marks, which `named` fills in."""
    if not case.force.stated:
        return Finding(Outcome.UNSTATED, (case.rule("unstated"),))
    if act.action == SHARE:
        return _share(case, act)
    owner = case.owner(act)
    public = permissions(case, act, ANYONE)
    if owner is None and not public:
        return Finding(Outcome.UNSTATED, (case.rule("unstated"),))
    needed = _needed(case, act, owner)
    if bars := barred(case, needed, act.party):
        return Finding(Outcome.FORBIDDEN, bars)
    if act.party == owner:
        return both(
            Finding(Outcome.PERMITTED, _grounds(case, needed, owner)),
            conditions(case, needed, owner, owner),
        )
    if public or owner is None:
        return both(Finding(Outcome.PERMITTED, public), conditions(case, needed, act.party))
    return _use(case, act, owner) if act.action == USE else _derived(case, act, owner, needed)


def _needed(case: Case, act: Act, owner: str | None) -> tuple[Act, ...]:
    """The acts that are needed for what is asked, each by whoever does it.

    A sale is an offer by the seller and a hosting. Another party's serving is both, by that party; the owner's serving
    is a hosting alone.
    """
    if act.action == SELL:
        return act, msgspec.structs.replace(act, action=SERVE, party=_host(case, act, owner))
    if act.action == SERVE and act.party != owner:
        return msgspec.structs.replace(act, action=SELL), act
    if act.action == LICENSE and owner is not None and act.party != owner:
        # Nobody licenses on what the owner could not license to both.
        return act, _licensing(act, owner, act.party), _licensing(act, owner, act.to)
    return (act,)


def _host(case: Case, act: Act, owner: str | None) -> str:
    """Who hosts what is sold on a cloud: the owner where it launched there, else the cloud's operator."""
    launches = case.facts.launches(act.product)
    if owner and any(
        launch.cloud == act.cloud and launch.effective <= case.as_of for launch in launches
    ):
        return owner
    return case.catalog.operators.get(act.cloud, "")


def _grounds(case: Case, acts: Sequence[Act], owner: str) -> tuple[Reason, ...]:
    """Why nothing forbids these acts to the owner: it may do what no term in force forbids."""
    own = [msgspec.structs.replace(act, party=owner) for act in acts]
    passed = passing(case, acts)
    declared = [
        reason
        for act in own
        for party in (owner, ANYONE)
        for reason in permissions(case, act, party)
    ]
    if passed.exempt or declared:
        return (*passed.exempt, *declared, *passed.inside)
    owned = ownership(case, acts[0])
    return (
        (*passed.inside, *owned)
        if passed.inside
        else (*lifted(case, acts), *owned, case.rule("owner"))
    )


# What others do


def _derived(case: Case, act: Act, owner: str, needed: Sequence[Act]) -> Finding:
    """Another party acts by the owner's licence or grant, under the conditions that bind the owner."""
    bound = conditions(case, needed, act.party, owner)
    licensed = licences(case, act, owner) if act.action in SOLD_ACTIONS else Licences((), ())
    if licensed.held:
        return both(
            Finding(Outcome.PERMITTED, licensed.held + _grounds(case, needed, owner)), bound
        )
    granted = grants(case, act)
    if licensed.lost and not granted:
        return _no_longer_licensed(case, licensed.lost)
    if granted or (granted := own_launch(case, act)):
        return both(Finding(Outcome.PERMITTED, _grounds(case, needed, owner) + granted), bound)
    return both(_lacks_a_grant(case, act, owner, needed), bound)


def _use(case: Case, act: Act, owner: str) -> Finding:
    """Another party uses intellectual property: by a licence in force, or by one the owner may still give."""
    licensed = licences(case, act, owner)
    if licensed.held:
        return both(Finding(Outcome.PERMITTED, licensed.held), conditions(case, [act], act.party))
    if licensed.lost and not grants(case, act):
        return _no_longer_licensed(case, licensed.lost)
    licensing = (_licensing(act, owner, act.party),)
    if bars := barred(case, licensing, owner):
        return Finding(Outcome.FORBIDDEN, (*bars, case.rule("grant")))
    bound = conditions(case, [act, *licensing], act.party, owner)
    if granted := grants(case, act):
        return both(Finding(Outcome.PERMITTED, _grounds(case, licensing, owner) + granted), bound)
    return both(_lacks_a_grant(case, act, owner, licensing), bound)


def _no_longer_licensed(case: Case, lost: Sequence[TermState]) -> Finding:
    """Who was licensed and is no longer is refused, until a grant says otherwise: a launch on its cloud is none."""
    last = max(lost, key=lambda state: (state.end, state.order))
    return Finding(Outcome.FORBIDDEN, (*ending(last), case.rule("licensee")))


def _lacks_a_grant(case: Case, act: Act, owner: str, needed: Sequence[Act]) -> Finding:
    """The owner could grant this and has not."""
    condition = Condition(
        term="grant",
        text=f"{owner} must grant it to {ASKED_PARTY}; no grant is recorded.",
        needs=(f"grant:{ASKED_PARTY}:{ASKED_PRODUCT}",),
    )
    # What once reserved it: the offer or the licence, not the hosting.
    freed = lifted(
        case, [_licensing(act, owner, act.party)] if act.action == LICENSE else needed[:1]
    )
    reasons = (*freed, case.rule("grant"), *case.commentary("grant"))
    return Finding(Outcome.CONDITIONAL, reasons, (condition,))


def _licensing(act: Act, owner: str, to: str) -> Act:
    return msgspec.structs.replace(act, action=LICENSE, party=owner, to=to)


# Revenue shares


def _share(case: Case, act: Act) -> Finding:
    """Due is permitted, nothing due is forbidden. The cap is a limit, not a condition."""
    shares = [state for state in case.states(RevenueShareTerm) if case.reaches(state.term, act)]
    due = [state for state in shares if state.in_force]
    counted = [state for state in due if _counts(case, state, act)]
    if counted:
        return Finding(
            Outcome.PERMITTED,
            tuple(Reason.of("permits", state.term.citation, "due") for state in counted),
        )
    if due:
        # Of a product that counts elsewhere it is the cloud that is in no base.
        elsewhere = any(
            _counts(case, state, msgspec.structs.replace(act, cloud="")) for state in due
        )
        note = (
            "sales on that cloud are in no base" if elsewhere else f"{ASKED_PRODUCT} is in no base"
        )
        excluded = tuple(Reason.of("forbids", state.term.citation, note) for state in due)
        return Finding(Outcome.FORBIDDEN, excluded)
    ended = [state for state in shares if state.ended]
    if ended:
        last = max(ended, key=lambda state: (state.end, state.order))
        return Finding(Outcome.FORBIDDEN, (*ending(last), case.rule("share")))
    return Finding(Outcome.FORBIDDEN, (case.rule("share"),))


def _counts(case: Case, state: TermState, act: Act) -> bool:
    """Return whether what is asked about is in the base, as the ledger takes it; a share as a whole always is."""
    term = state.term
    assert isinstance(term, RevenueShareTerm)
    if act.product:
        return term.base.takes_in(case.lineage(act.product), act.cloud)
    return not act.cloud or not term.base.clouds or act.cloud in term.base.clouds


def facts_hash(known: FactRegister) -> str:
    """The digest of what facts say, whatever the order in which they were given and wherever they stand."""
    return meaning_of_facts(known.facts)


def receipt(agreement: Agreement, facts: str, question: Question, outcome: Outcome) -> Receipt:
    """The receipt of a decision. `facts`: the `facts_hash` of those known."""
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
