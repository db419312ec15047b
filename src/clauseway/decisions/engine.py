"""The rule of decision, in one place. `decide` reads top to bottom as a lawyer would argue.

unstated?       No amendment is both in force and known, the product has no owner and no
                permission to anyone, or the agreement does not name the product.
share-revenue   Is a share due?
the seller      Serving what another sells needs the seller's right to sell, too.
forbidden?      Check each act that the question needs. A sale, for example, needs an offer by
                the seller and hosting by the host.
the owner       The owner is permitted, under its own conditions.
anyone          A public permission permits the act, under the party's own conditions.
another party   A licence or a grant permits the act, under the owner's conditions. Without
                either, the answer is conditional on a grant.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    InForce,
    Licence,
    Permission,
    Prohibition,
    RevenueShareTerm,
    TermState,
    in_force,
    meaning_of_facts,
)
from clauseway.agreement.language.actions import LICENSE, SELL, SERVE, SHARE, USE
from clauseway.agreement.language.terms import ANYONE, AnyTerm
from clauseway.catalog import Catalog
from clauseway.decisions.case import (
    ASKED_PARTY,
    ASKED_PRODUCT,
    Case,
    Finding,
    both,
    named,
    once,
    with_beginnings,
)
from clauseway.decisions.conditions import conditions
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Receipt, Turn
from clauseway.decisions.forbidding import barred, carve_out, ending, inside, lifted, passing
from clauseway.decisions.parts import ACTIONS_WITH_SELLER
from clauseway.decisions.question import Question
from clauseway.decisions.reach import CARVED_OUT, INSIDE, NOT_GIVEN, NOWHERE, Act, Look, act_on
from clauseway.decisions.rights import (
    Licences,
    given_by_right,
    grants,
    licences,
    own_launch,
    ownership,
    permissions,
)

# The version of the rules above. Raise it when any answer changes: every receipt contains it.
ENGINE = "clauseway-decisions/5"


def decide(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> Decision:
    """Answer a question. Of `facts`, only those known at the question's `known_at` count."""
    known_facts = facts.known(question.known_at)
    finding = _finding_of(agreement, catalog, known_facts, question)
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
        finding = _finding_of(
            agreement, catalog, known_facts, msgspec.structs.replace(question, readings=readings)
        )
        if finding.outcome != outcome:
            turns.append(Turn(reading=reading, option=option, outcome=finding.outcome))
    return tuple(turns)


def other_options(agreement: Agreement, readings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each option that was not chosen, after the id of its reading."""
    for reading in agreement.readings.values():
        for option in reading.options:
            if option != readings[reading.id]:
                yield reading.id, option


def _finding_of(
    agreement: Agreement, catalog: Catalog, known_facts: FactRegister, question: Question
) -> Finding:
    force = in_force(agreement, known_facts, question.as_of, question.known_at, question.readings)
    return _answer(Case.of(agreement, catalog, force, known_facts, question))


def looks_of(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question
) -> tuple[InForce, list[Look]]:
    """Return the terms as they stand on the day, and in order each look at a term."""
    known_facts = facts.known(question.known_at)
    force = in_force(agreement, known_facts, question.as_of, question.known_at, question.readings)
    looks: list[Look] = []
    case = Case.of(agreement, catalog, force, known_facts, question, looks)
    _answer(case)
    terms = {state.term.id: state.term for state in force.states}
    return force, [
        msgspec.structs.replace(look, passes=_passes(case, terms[look.term], look))
        # To say why one passes looks again, and appends to the list.
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
    return _finding_of(agreement, catalog, facts.known(question.known_at), question).outcome


def _answer(case: Case) -> Finding:
    question = case.question
    if question.product and not case.catalog.names_product(question.product):
        note = f"it does not name {question.product}"
        return Finding(Outcome.UNSTATED, (case.rule("unstated", note),))
    act = act_of(question, case.catalog)
    finding = named(decide_act(case, act), act)
    # Serving what another party sells also needs the seller's own right to sell.
    if question.action == SERVE and question.seller != question.party:
        sale = msgspec.structs.replace(act, action=SELL, party=question.seller)
        finding = both(finding, named(decide_act(case, sale), sale))
    return finding


def act_of(question: Question, catalog: Catalog) -> Act:
    """Return the act that a question asks about."""
    region = catalog.region_of(question.cloud, question.region)
    return act_on(question, region=region)


def decide_act(case: Case, act: Act) -> Finding:
    """Decide an act. The texts hold placeholders for names, which `named` fills in."""
    return with_beginnings(case, _rule(case, act))


def _rule(case: Case, act: Act) -> Finding:
    if not case.force.stated:
        return Finding(Outcome.UNSTATED, (case.rule("unstated"),))
    if act.action == SHARE:
        return _share(case, act)
    owner = case.owner(act)
    public = permissions(case, act, ANYONE)
    if owner is None and not public:
        # The rule `unstated` speaks of days on which nothing is in force at all.
        return Finding(Outcome.UNSTATED, (case.rule("owner", f"nobody owns {ASKED_PRODUCT}"),))
    needed = _needed(case, act, owner)
    # A term that forbids goes before every permission.
    if bars := barred(case, needed, act.party):
        return Finding(Outcome.FORBIDDEN, bars)
    # The owner may do whatever no term forbids.
    if act.party == owner:
        # The hosting alone is cited for serving: `sell` says why the owner may sell.
        cited = [act] if act.action == SERVE else needed
        return both(
            Finding(Outcome.PERMITTED, _grounds(case, cited, owner)),
            conditions(case, needed, owner, grantor=owner),
        )
    # Without an owner there is a public permission: see above.
    if public or owner is None:
        return both(Finding(Outcome.PERMITTED, public), conditions(case, needed, act.party))
    # Any other party needs a licence or a grant.
    return _use(case, act, owner) if act.action == USE else _derived(case, act, owner, needed)


def _needed(case: Case, act: Act, owner: str | None) -> tuple[Act, ...]:
    """Return the acts that the act asked about needs, each with the party that does it.

    A sale needs an offer by the seller, and hosting by the host. Who serves what it sells itself
    needs both of itself. Who serves for another seller hosts alone: the sale is asked apart.
    """
    if act.action == SELL:
        return act, msgspec.structs.replace(act, action=SERVE, party=_host(case, act, owner))
    if act.action == SERVE and act.seller == act.party:
        return msgspec.structs.replace(act, action=SELL), act
    if act.action == LICENSE and owner is not None and act.party != owner:
        # A sublicence needs two licences by the owner: to the sublicensor and to the sublicensee.
        return act, _licensing(act, owner, act.party), _licensing(act, owner, act.to)
    return (act,)


def _host(case: Case, act: Act, owner: str | None) -> str:
    """Return the host on a cloud: the owner where the product launched there, else the operator."""
    launches = case.facts.launches(act.product)
    if owner and any(
        launch.cloud == act.cloud and launch.effective <= case.as_of for launch in launches
    ):
        return owner
    return case.catalog.operators.get(act.cloud, "")


def _grounds(case: Case, acts: Sequence[Act], owner: str) -> tuple[Reason, ...]:
    """Return the reasons why the owner may do these acts: no term in force forbids them.

    Carve-outs and permissions of the owner or of anyone are cited first, then the exclusivities that the acts lie
    inside. Where there are neither, cite the exclusivity that ended, ownership and its rule.
    """
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
    if passed.inside:
        return (*passed.inside, *owned)
    return (*lifted(case, acts), *owned, case.rule("owner"))


# Parties other than the owner


def _derived(case: Case, act: Act, owner: str, needed: Sequence[Act]) -> Finding:
    """Decide an act of a party that is not the owner: it needs a licence or a grant.

    The conditions that bind the owner bind the act too.
    """
    bound = conditions(case, needed, act.party, grantor=owner)
    licensed = licences(case, act) if act.action in ACTIONS_WITH_SELLER else Licences((), ())
    if licensed.held:
        return both(
            Finding(Outcome.PERMITTED, licensed.held + _grounds(case, needed, owner)), bound
        )
    granted = grants(case, act)
    if licensed.lost and not granted:
        return _no_longer_licensed(case, licensed.lost)
    granted = granted or own_launch(case, act)
    if granted:
        return both(Finding(Outcome.PERMITTED, _grounds(case, needed, owner) + granted), bound)
    return both(_lacks_a_grant(case, act, owner, needed), bound)


def _use(case: Case, act: Act, owner: str) -> Finding:
    """Decide a use of intellectual property by a party that is not the owner.

    It needs a licence in force, or one that the owner may still give.
    """
    licensed = licences(case, act)
    if licensed.held:
        return both(Finding(Outcome.PERMITTED, licensed.held), conditions(case, [act], act.party))
    if licensed.lost and not grants(case, act):
        return _no_longer_licensed(case, licensed.lost)
    # Without a licence, the answer depends on whether the owner may still give one.
    licensing = (_licensing(act, owner, act.party),)
    if bars := barred(case, licensing, owner):
        return Finding(Outcome.FORBIDDEN, (*bars, case.rule("grant")))
    bound = conditions(case, [act, *licensing], act.party, grantor=owner)
    if granted := grants(case, act):
        return both(Finding(Outcome.PERMITTED, _grounds(case, licensing, owner) + granted), bound)
    return both(_lacks_a_grant(case, act, owner, licensing), bound)


def _no_longer_licensed(case: Case, lost: Sequence[TermState]) -> Finding:
    """Refuse a former licensee. Only a grant can permit the act; a launch on its cloud cannot."""
    last = max(lost, key=lambda state: (state.end, state.order))
    return Finding(Outcome.FORBIDDEN, (*ending(last), case.rule("licensee")))


def _lacks_a_grant(case: Case, act: Act, owner: str, needed: Sequence[Act]) -> Finding:
    """Answer that the act is conditional: the owner could grant it and has not."""
    condition = Condition(
        term="grant",
        text=f"{owner} must grant it to {ASKED_PARTY}; no grant is recorded.",
        needs=(f"grant:{ASKED_PARTY}:{ASKED_PRODUCT}",),
    )
    # Cite the exclusivity that once reserved the offer or the licence, never the hosting.
    freed = lifted(
        case, [_licensing(act, owner, act.party)] if act.action == LICENSE else needed[:1]
    )
    reasons = (*freed, case.rule("grant"), *case.commentary("grant"))
    return Finding(Outcome.CONDITIONAL, reasons, (condition,))


def _licensing(act: Act, owner: str, to: str) -> Act:
    return msgspec.structs.replace(act, action=LICENSE, party=owner, to=to)


# Revenue shares


def _share(case: Case, act: Act) -> Finding:
    """Decide a revenue share: permitted if it is due, forbidden if it is not.

    A cap is a limit, not a condition.
    """
    shares = [state for state in case.states(RevenueShareTerm) if case.reaches(state.term, act)]
    due = [state for state in shares if state.in_force]
    # Shares that are due and whose base contains the product and the cloud.
    counted = [state for state in due if _counts(case, state, act)]
    if counted:
        return Finding(
            Outcome.PERMITTED,
            tuple(Reason.of("permits", state.term.citation, "due") for state in counted),
        )
    if due:
        # Where the product counts on some other cloud, name the cloud as the reason.
        elsewhere = any(
            _counts(case, state, msgspec.structs.replace(act, cloud="")) for state in due
        )
        note = (
            "sales on that cloud are in no base" if elsewhere else f"{ASKED_PRODUCT} is in no base"
        )
        excluded = tuple(Reason.of("forbids", state.term.citation, note) for state in due)
        return Finding(Outcome.FORBIDDEN, excluded)
    # No share is due: cite the share that ended last, else the rule on silence.
    ended = [state for state in shares if state.ended]
    if ended:
        last = max(ended, key=lambda state: (state.end, state.order))
        return Finding(Outcome.FORBIDDEN, (*ending(last), case.rule("share")))
    return Finding(Outcome.FORBIDDEN, (case.rule("share"),))


def _counts(case: Case, state: TermState, act: Act) -> bool:
    """Return whether the base contains the product and cloud asked about, as the ledger does.

    A question that names neither is about the share as a whole, which always counts.
    """
    term = state.term
    assert isinstance(term, RevenueShareTerm)
    if act.product:
        return term.base.takes_in(case.lineage(act.product), act.cloud)
    return not act.cloud or not term.base.clouds or act.cloud in term.base.clouds


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
