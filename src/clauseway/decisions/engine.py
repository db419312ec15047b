"""The rule of decision, in one place. `decide` reads top to bottom the way a lawyer would argue it.

decide ─ unstated?            no amendment both in force and known
       ─ public permission?   a term grants it to anyone
       ─ by action            share-revenue: is a share due
                              license, use-under-licence: licences and their exclusivity
                              the owner's serve, sell, contract-compute: what forbids, what conditions
                              anyone else's: exclusivity of sale, the owner's own right, a licence, a grant
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

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
    RefusalRight,
    RevenueShareTerm,
    Scope,
    Term,
    TermState,
    in_force,
    meaning_of_facts,
)
from clauseway.agreement.terms import ANYONE
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Condition, Decision, Outcome, Reason, Receipt, Turn
from clauseway.decisions.question import CONTRACT, LICENSE, SELL, SERVE, SHARE, SOLD_ACTIONS, USE, Question
from clauseway.decisions.reach import CARVED_OUT, INSIDE, NOWHERE, Act, Look, outside, outside_scope

# Names the rules above; a change of any answer changes it, and with it every receipt.
ENGINE = "clauseway-decisions/2"

# Where a text names what the question names, these stand for it until the answer is given: a finding then holds for
# every question that no term tells from this one. No document can hold them (YAML refuses the character).
ASKED_PARTY, ASKED_PRODUCT, ASKED_SEGMENT = "\0party", "\0product", "\0segment"


class Finding(msgspec.Struct, frozen=True):
    """A part of the answer. Parts combine: one that forbids decides alone, conditions add up."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    conditions: tuple[Condition, ...] = ()


class Case(msgspec.Struct, frozen=True):
    """Everything an answer may rest on. `by_kind` holds the states of `force`, in its order."""

    agreement: Agreement
    catalog: Catalog
    force: InForce
    facts: FactRegister
    question: Question
    by_kind: Mapping[type, Sequence[TermState]]
    # Every look at a term, where somebody wants to see them.
    looks: list[Look] | None = None
    lineages: dict[str, frozenset[str]] = msgspec.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        agreement: Agreement,
        catalog: Catalog,
        force: InForce,
        facts: FactRegister,
        question: Question,
        looks: list[Look] | None = None,
    ) -> "Case":
        by_kind: dict[type, list[TermState]] = {}
        for state in force.states:
            by_kind.setdefault(type(state.term), []).append(state)
        return cls(agreement, catalog, force, facts, question, by_kind, looks)

    @property
    def as_of(self) -> date:
        return self.question.as_of

    def states(self, kind: type) -> Sequence[TermState]:
        return self.by_kind.get(kind, ())

    def belongs(self, product: str, scope: Iterable[str]) -> bool:
        return not self.lineage(product).isdisjoint(scope)

    def lineage(self, product: str) -> frozenset[str]:
        if product not in self.lineages:
            self.lineages[product] = self.catalog.lineage(product)
        return self.lineages[product]

    def reaches(self, term: Term, act: Act) -> bool:
        where = outside(term, act, self.belongs)
        if self.looks is not None:
            self.looks.append(Look(term.id, act, where))
        return where == NOWHERE

    def rule(self, name: str) -> Reason:
        return Reason.of("rule", self.agreement.rules[name])

    def commentary(self, bears_on: str) -> tuple[Reason, ...]:
        return tuple(
            Reason.of("commentary", comment.citation)
            for comment in self.agreement.commentary
            if comment.bears_on == bears_on and comment.from_amendment in self.force.amendments
        )


def decide(agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question) -> Decision:
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
    agreement: Agreement, catalog: Catalog, known: FactRegister, question: Question, outcome: Outcome
) -> tuple[Turn, ...]:
    """The readings, each changed alone, under which the outcome would be another."""
    turns = []
    for reading, option in other_options(agreement, question.readings):
        readings = {**question.readings, reading: option}
        other = _find(agreement, catalog, known, msgspec.structs.replace(question, readings=readings))
        if other.outcome != outcome:
            turns.append(Turn(reading=reading, option=option, outcome=other.outcome))
    return tuple(turns)


def other_options(agreement: Agreement, readings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Every option that was not chosen, with its reading."""
    for reading in agreement.readings.values():
        for option in reading.options:
            if option != readings[reading.id]:
                yield reading.id, option


def _find(agreement: Agreement, catalog: Catalog, known: FactRegister, question: Question) -> Finding:
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
    return force, [msgspec.structs.replace(look, passes=_passes(case, terms[look.term], look)) for look in looks]


def _passes(case: Case, term: Term, look: Look) -> str:
    if look.outside != NOWHERE or not isinstance(term, Exclusivity):
        return ""
    return INSIDE if _inside(case, term, look.act) else CARVED_OUT if _carved_out(case, term, look.act) else ""


def outcome_of(agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question) -> Outcome:
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
    return Act(
        action=question.action,
        party=question.party,
        product=question.product,
        cloud=question.cloud,
        to=question.to,
        segment=question.segment,
        seller=question.seller if question.action in SOLD_ACTIONS else "",
        region=catalog.region_of(question.cloud, question.region),
    )


def decide_act(case: Case, act: Act) -> Finding:
    """What an act alone comes to. Its texts name what was asked by marks, which `named` fills in."""
    if not case.force.stated:
        return Finding(Outcome.UNSTATED, (case.rule("unstated"),))
    if act.action == SHARE:
        return _share(case, act)
    if public := _permissions(case, act, ANYONE):
        return Finding(Outcome.PERMITTED, public)
    owner = _owner(case, act)
    if owner is None:
        return Finding(Outcome.UNSTATED, (case.rule("unstated"),))
    if act.party == owner:
        return _own(case, msgspec.structs.replace(act, action=SERVE) if act.action == SELL else act)
    if act.action == USE:
        return _use(case, act, owner)
    if act.action == LICENSE:
        return _sublicense(case, act, owner)
    if act.action == CONTRACT:
        return _granted(case, act, _own(case, msgspec.structs.replace(act, party=owner)), owner)
    return _sale(case, act, owner)


def _owner(case: Case, act: Act) -> str | None:
    for state in case.states(Ownership):
        if state.in_force and isinstance(state.term, Ownership) and case.reaches(state.term, act):
            return state.term.party
    return None


def _ownership(case: Case, act: Act) -> tuple[Reason, ...]:
    return tuple(
        Reason.of("permits", state.term.citation)
        for state in case.states(Ownership)
        if state.in_force and case.reaches(state.term, act)
    )


# The owner's own acts


def _own(case: Case, act: Act) -> Finding:
    """The owner may do what no term in force forbids."""
    barred = _barred(case, act)
    if barred:
        return Finding(Outcome.FORBIDDEN, barred)
    reserved = _reserved_to(case, act)
    refusal = _first_refusal(case, act)
    ship_first = _ship_first(case, act)
    conditions = refusal.conditions + ship_first.conditions
    if conditions:
        return Finding(Outcome.CONDITIONAL, refusal.reasons + ship_first.reasons, conditions)
    permitting = reserved.exempt + _permissions(case, act, act.party) + reserved.inside
    grounds = permitting or (*_lifted(case, act), *_ownership(case, act), case.rule("owner"))
    return Finding(Outcome.PERMITTED, grounds + refusal.reasons + ship_first.reasons)


def _barred(case: Case, act: Act) -> tuple[Reason, ...]:
    """The exclusivities in force that reserve this for somebody or somewhere else."""
    return tuple(
        Reason.of("forbids", term.citation, _reserves(term))
        for state in case.states(Exclusivity)
        if state.in_force
        and isinstance(term := state.term, Exclusivity)
        and case.reaches(term, act)
        and not _inside(case, term, act)
        and not _carved_out(case, term, act)
    )


class _Reserved(msgspec.Struct, frozen=True):
    """Exclusivities in force that reach this act and yet let it pass: it lies inside, or a carve-out covers it."""

    inside: tuple[Reason, ...]
    exempt: tuple[Reason, ...]


def _reserved_to(case: Case, act: Act) -> _Reserved:
    inside: list[Reason] = []
    exempt: list[Reason] = []
    for state in case.states(Exclusivity):
        term = state.term
        if state.in_force and isinstance(term, Exclusivity) and case.reaches(term, act):
            if _inside(case, term, act):
                inside.append(Reason.of("permits", term.citation, _reserves(term)))
            elif (scope := _carve_out(case, term, act)) is not None:
                exempt.append(Reason.of("exempts", term.citation, f"the carve-out for {_told(scope)}"))
    return _Reserved(tuple(inside), tuple(exempt))


def _told(scope: Scope) -> str:
    """What a carve-out is for: the segment, sellers and regions that it names."""
    told = [ASKED_SEGMENT] if scope.segments or not (scope.sellers or scope.regions) else []
    told += [f"sales by {' or '.join(sorted(scope.sellers))}"] if scope.sellers else []
    told += [f"places in {' or '.join(sorted(scope.regions))}"] if scope.regions else []
    return ", ".join(told)


def _reserves(term: Exclusivity) -> str:
    only = term.only
    names = only.clouds or only.sellers or only.regions or only.parties or only.licensees
    return f"reserved to {', '.join(sorted(names))}"


def _inside(case: Case, term: Exclusivity, act: Act) -> bool:
    if term.only.clouds:
        return act.cloud in term.only.clouds
    if term.only.sellers:
        return act.seller in term.only.sellers
    if term.only.regions:
        return act.region in term.only.regions
    if term.only.parties:
        return act.party in term.only.parties
    return act.to in term.only.licensees or act.to == _owner(case, act)


def _carved_out(case: Case, term: Exclusivity, act: Act) -> bool:
    return _carve_out(case, term, act) is not None


def _carve_out(case: Case, term: Exclusivity, act: Act) -> Scope | None:
    """The first carve-out that covers an act."""
    return next((scope for scope in term.except_ if outside_scope(scope, act, case.belongs) == NOWHERE), None)


def _permissions(case: Case, act: Act, party: str) -> tuple[Reason, ...]:
    return tuple(
        Reason.of("permits", term.citation)
        for state in case.states(Permission)
        if state.in_force
        and isinstance(term := state.term, Permission)
        and term.party == party
        and case.reaches(term, act)
    )


def _lifted(case: Case, act: Act) -> tuple[Reason, ...]:
    """The exclusivity that forbade this last, and what ended it."""
    ended = [state for state in case.states(Exclusivity) if state.ended and case.reaches(state.term, act)]
    return _ending(max(ended, key=lambda state: (state.end, state.order))) if ended else ()


def _ending(state: TermState) -> tuple[Reason, ...]:
    """What ended a term: the text that did, the event where it was one, and the term itself."""
    note = f"{state.term.id} ended on {state.end}"
    cited = [Reason.of("ended", state.ended_by, note)]
    if state.event is not None:
        cited.append(Reason.of("meets", state.event))
    return (*cited, Reason.of("ended", state.term.citation, note))


def _first_refusal(case: Case, act: Act) -> Finding:
    reasons: list[Reason] = []
    conditions: list[Condition] = []
    for state in case.states(RefusalRight):
        term = state.term
        if not state.in_force or not isinstance(term, RefusalRight) or not case.reaches(term, act):
            continue
        if offer := case.facts.passed(term.subject, case.as_of):
            reasons += [Reason.of("meets", offer.citation), Reason.of("conditions", term.citation)]
        else:
            reasons.append(Reason.of("conditions", term.citation))
            conditions.append(
                Condition(
                    term=term.id,
                    text=f"It must first be offered to {term.holder}, and {term.holder} must pass.",
                    needs=(f"offer:{term.subject}:passed",),
                )
            )
    return Finding(Outcome.CONDITIONAL if conditions else Outcome.PERMITTED, tuple(reasons), tuple(conditions))


def _ship_first(case: Case, act: Act) -> Finding:
    reasons: tuple[Reason, ...] = ()
    conditions: list[Condition] = []
    for state in case.states(Precedence):
        term = state.term
        if not state.in_force or not isinstance(term, Precedence) or not case.reaches(term, act):
            continue
        satisfied = _satisfied(case, term, act.product)
        if satisfied is not None:
            reasons += satisfied
        else:
            reasons += (Reason.of("conditions", term.citation), *case.commentary("precedence"))
            conditions.append(_ship_first_condition(case, term, act.product))
    return Finding(Outcome.CONDITIONAL if conditions else Outcome.PERMITTED, reasons, tuple(conditions))


def _satisfied(case: Case, term: Precedence, product: str) -> tuple[Reason, ...] | None:
    """Why ship-first does not stand in the way, or None where it does."""
    readings = case.question.readings
    launches = case.facts.launches(product)
    if term.binds.under(readings) == "first-shipped-since":
        known = case.catalog.products.get(product)
        shipped = [launch.effective for launch in launches]
        shipped += [known.first_shipped_by] if known is not None and known.first_shipped_by else []
        if shipped and min(shipped) < term.since:
            return (Reason.of("not-bound", term.citation, f"{ASKED_PRODUCT} had first shipped by {min(shipped)}"),)
    on_first = [launch for launch in launches if launch.cloud == term.first and launch.effective <= case.as_of]
    if on_first:
        return (Reason.of("meets", on_first[0].citation), Reason.of("conditions", term.citation, "met"))
    answer = case.facts.answer(product, case.as_of)
    if answer is not None:
        both = term.unless.under(readings) == "cannot-and-declines"
        if (not answer.can and answer.declines) if both else (not answer.can or answer.declines):
            return (
                Reason.of("meets", answer.citation),
                Reason.of("conditions", term.citation, "the exception applies"),
            )
    return None


def _ship_first_condition(case: Case, term: Precedence, product: str) -> Condition:
    operator = case.catalog.operators[term.first]
    both = term.unless.under(case.question.readings) == "cannot-and-declines"
    answers = ("cannot+declines",) if both else ("cannot+declines", "cannot+chooses", "can+declines")
    exception = f"unless {operator} cannot {'and' if both else 'or'} chooses not to support it"
    rule = f"{ASKED_PRODUCT} must first ship on {term.first}, {exception}"
    if product not in case.catalog.products:
        # A class stands for a product of it that has launched nowhere: there is nothing to record about a class.
        return Condition(
            term=term.id,
            text=f"{rule}; name a product, because launches and answers are recorded of products.",
            needs=(),
        )
    recorded = case.facts.answer(product, case.as_of)
    state = "its recorded answer does not lift this" if recorded else "no answer of it is recorded"
    return Condition(
        term=term.id,
        text=f"{rule}; no launch there is recorded, and {state}.",
        needs=(
            f"launch:{ASKED_PRODUCT}:{term.first}:available",
            *(f"answer:{ASKED_PRODUCT}:{answer}" for answer in answers),
        ),
    )


# What others do


def _sale(case: Case, act: Act, owner: str) -> Finding:
    """Another party sells, or serves, which is answered as its sale: by licence or grant, where the owner may serve."""
    barred = _barred(case, msgspec.structs.replace(act, action=SELL))
    serves = _own(case, msgspec.structs.replace(act, action=SERVE, party=owner))
    if barred or serves.outcome is Outcome.FORBIDDEN:
        return Finding(Outcome.FORBIDDEN, barred + (serves.reasons if serves.outcome is Outcome.FORBIDDEN else ()))
    licences = [state for state in case.states(Licence) if case.reaches(state.term, act)]
    held = tuple(Reason.of("permits", state.term.citation) for state in licences if state.in_force)
    if held:
        return both(Finding(Outcome.PERMITTED, held), serves)
    lost = [state for state in licences if state.ended]
    if lost and not _grants(case, act):
        return _no_longer_licensed(case, lost)
    return _granted(case, act, serves, owner)


def _no_longer_licensed(case: Case, lost: list[TermState]) -> Finding:
    """Who was licensed and is no longer is refused, until a grant says otherwise: a launch on its cloud is none."""
    last = max(lost, key=lambda state: (state.end, state.order))
    return Finding(Outcome.FORBIDDEN, (*_ending(last), case.rule("licensee")))


def _granted(case: Case, act: Act, owners: Finding, owner: str) -> Finding:
    """Another party acts by the owner's grant, and no further than the owner itself may."""
    if owners.outcome is Outcome.FORBIDDEN:
        return Finding(Outcome.FORBIDDEN, (*owners.reasons, case.rule("grant")))
    grants = _grants(case, act) + _own_launch(case, act)
    if grants:
        return both(Finding(Outcome.PERMITTED, ()), Finding(owners.outcome, owners.reasons + grants, owners.conditions))
    freed = _lifted(case, _reserved_act(act, owner))
    condition = Condition(
        term="grant",
        text=f"{owner} must grant it to {ASKED_PARTY}; no grant is recorded.",
        needs=(f"grant:{ASKED_PARTY}:{ASKED_PRODUCT}",),
    )
    reasons = (*freed, case.rule("grant"), *case.commentary("grant"))
    return both(Finding(Outcome.CONDITIONAL, reasons, (condition,)), owners)


def _reserved_act(act: Act, owner: str) -> Act:
    """The act that an exclusivity once kept from this party: a sale, or the owner's licensing to it."""
    if act.action in (USE, LICENSE):
        return _licensing(act, owner, act.party)
    return msgspec.structs.replace(act, action=SELL) if act.action == SERVE else act


def _grants(case: Case, act: Act) -> tuple[Reason, ...]:
    """What grants this to the party: a permission of a term, or a recorded grant of the product or its class."""
    recorded = [
        fact for fact in case.facts.grants(act.party, case.as_of) if case.catalog.belongs(act.product, fact.product)
    ]
    return _permissions(case, act, act.party) + tuple(Reason.of("meets", fact.citation) for fact in recorded)


def _own_launch(case: Case, act: Act) -> tuple[Reason, ...]:
    """The owner's launch on the party's own cloud, which grants sale there and nowhere else."""
    if act.action not in (SERVE, SELL) or act.cloud not in case.catalog.own_cloud(act.party):
        return ()
    launches = [
        launch
        for launch in case.facts.launches(act.product)
        if launch.cloud == act.cloud and launch.effective <= case.as_of
    ]
    return tuple(Reason.of("meets", launch.citation) for launch in launches[:1])


def _use(case: Case, act: Act, owner: str) -> Finding:
    """Another party uses intellectual property: by a licence in force, or by one the owner may still give."""
    licences = [state for state in case.states(Licence) if case.reaches(state.term, act)]
    if held := tuple(Reason.of("permits", state.term.citation) for state in licences if state.in_force):
        return Finding(Outcome.PERMITTED, held)
    lost = [state for state in licences if state.ended]
    if lost and not _grants(case, act):
        return _no_longer_licensed(case, lost)
    return _granted(case, act, _own(case, _licensing(act, owner, act.party)), owner)


def _sublicense(case: Case, act: Act, owner: str) -> Finding:
    """Another party licenses on: only where the owner may license to both, and then by a grant."""
    to_party = _own(case, _licensing(act, owner, act.party))
    to_other = _own(case, _licensing(act, owner, act.to))
    return _granted(case, act, both(to_party, to_other), owner)


def _licensing(act: Act, owner: str, to: str) -> Act:
    return msgspec.structs.replace(act, action=LICENSE, party=owner, to=to)


# Revenue shares


def _share(case: Case, act: Act) -> Finding:
    """Due is permitted, nothing due is forbidden. The cap is a limit, not a condition."""
    shares = [state for state in case.states(RevenueShareTerm) if case.reaches(state.term, act)]
    due = [state for state in shares if state.in_force]
    counted = [state for state in due if not _excluded(case, state, act.product)]
    if counted:
        return Finding(Outcome.PERMITTED, tuple(Reason.of("permits", state.term.citation, "due") for state in counted))
    if due:
        excluded = tuple(Reason.of("forbids", state.term.citation, f"{ASKED_PRODUCT} is in no base") for state in due)
        return Finding(Outcome.FORBIDDEN, excluded)
    ended = [state for state in shares if state.ended]
    if ended:
        last = max(ended, key=lambda state: (state.end, state.order))
        return Finding(Outcome.FORBIDDEN, (*_ending(last), case.rule("share")))
    return Finding(Outcome.FORBIDDEN, (case.rule("share"),))


def _excluded(case: Case, state: TermState, product: str) -> bool:
    term = state.term
    return bool(product) and isinstance(term, RevenueShareTerm) and case.belongs(product, term.base.excludes)


# Putting parts together


def both(first: Finding, second: Finding) -> Finding:
    """Both must hold. One that forbids decides alone; conditions add up."""
    forbidding = [finding for finding in (first, second) if finding.outcome is Outcome.FORBIDDEN]
    if forbidding:
        return Finding(Outcome.FORBIDDEN, tuple(reason for finding in forbidding for reason in finding.reasons))
    unstated = [finding for finding in (first, second) if finding.outcome is Outcome.UNSTATED]
    if unstated:
        return unstated[0]
    conditions = tuple(dict.fromkeys(first.conditions + second.conditions))  # both may rest on the same one
    outcome = Outcome.CONDITIONAL if conditions else Outcome.PERMITTED
    deciding = [finding for finding in (first, second) if finding.outcome is outcome] if conditions else [first, second]
    return Finding(outcome, tuple(reason for finding in deciding for reason in finding.reasons), conditions)


def named(finding: Finding, act: Act) -> Finding:
    """The finding with the names of what was asked in its texts."""

    def fill(text: str) -> str:
        return (
            text.replace(ASKED_PARTY, act.party).replace(ASKED_PRODUCT, act.product).replace(ASKED_SEGMENT, act.segment)
        )

    return Finding(
        finding.outcome,
        tuple(
            msgspec.structs.replace(reason, note=fill(reason.note)) if "\0" in reason.note else reason
            for reason in finding.reasons
        ),
        tuple(
            Condition(term=one.term, text=fill(one.text), needs=tuple(map(fill, one.needs)))
            for one in finding.conditions
        ),
    )


def once(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Each place once, at its first mention."""
    seen: dict[tuple[str, str, int], Reason] = {}
    for reason in reasons:
        seen.setdefault((reason.term, reason.document, reason.line), reason)
    return tuple(seen.values())


def facts_hash(known: FactRegister) -> str:
    """The digest of what facts say, whatever the order in which they were given and wherever they stand."""
    return meaning_of_facts(known.facts)


def receipt(agreement: Agreement, facts: str, question: Question, outcome: Outcome) -> Receipt:
    """The receipt of a decision. `facts`: the `facts_hash` of those known."""
    parts = [ENGINE, agreement.meaning, facts, msgspec.json.encode(question, order="sorted").decode(), outcome]
    return Receipt(
        id=hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32],
        engine=ENGINE,
        agreement=agreement.hash,
        meaning=agreement.meaning,
        facts=facts,
        as_of=question.as_of,
        known_at=str(question.known_at),
    )
