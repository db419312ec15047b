"""The trace of a decision lists every term of the agreement, and why it did or did not apply.

Nothing is decided a second time here. The engine's own comparisons (`asking.comparisons_of`) show which terms
it compared with an act, and which part of the act lay outside a term. The fold
(`agreement.in_force`) shows when terms begin and end.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Agreement,
    Amendment,
    Change,
    Exclusivity,
    FactRegister,
    InForce,
    Licence,
    Ownership,
    Permission,
    Precedence,
    RefusalRight,
    RevenueShareTerm,
    TermState,
)
from clauseway.agreement.force.fold import rescissions
from clauseway.agreement.language.terms import AnyTerm, Barring, Forbidding, Inoperative
from clauseway.catalog import Catalog
from clauseway.decisions.asking import act_of, comparisons_of
from clauseway.decisions.decision import Decision, Reason
from clauseway.decisions.givers import Givers, giver_of
from clauseway.decisions.joint_answers import (
    AskedAgreement,
    answer_of,
    in_their_order,
    put_to,
    unnamed_in,
)
from clauseway.decisions.question import Question
from clauseway.decisions.reach import (
    ACTION,
    CARVED_OUT,
    CLOUD,
    INSIDE,
    MISMATCHES,
    NOT_GIVEN,
    NOWHERE,
    OTHER_PARTY,
    PARTY,
    PRODUCT,
    REGION,
    SEGMENT,
    SELLER,
    Act,
    TermComparison,
    outside,
)
from clauseway.values import FOREVER, Citation

# The findings of a trace about a term.
APPLIES = "applies"
OUTSIDE = "outside"
ENDED = "ended"
NOT_BEGUN = "not-begun"
NOT_KNOWN = "not-known"
RESCINDED = "rescinded"
OTHER_READING = "another-reading"
NOT_NEEDED = "not-needed"
WITHOUT_EFFECT = "no-effect"

_BEARS: Mapping[str, str] = {
    "permits": "it permits this",
    "forbids": "it forbids this",
    "conditions": "it sets a condition",
    "inside": "this lies inside what it reserves, which it neither forbids nor grants",
    "exempts": "it would forbid this, but for its carve-out",
    "prolongs": "it keeps the term in force",
    "ended": "it ended",
    "meets": "it meets a condition",
    "not-bound": "it does not bind this",
    "rule": "so silence is read",
    "commentary": "it is quoted, and changes nothing",
}


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """A term and the finding about it; or a change, fact or rule that a reason cites.

    `finding`: applies · carved-out · outside · ended · not-begun · not-known · rescinded ·
    another-reading · not-needed (the answer was clear without it) · no-effect.
    `applies`: it bears on the outcome. A term that has ended, or whose carve-out covers the case,
    applies if a reason cites it.
    `bearing`: how it bears on the outcome, by its reason; empty if other terms decide.
    `agreement`: the id of the term's agreement, where several were asked together.
    """

    term: str
    kind: str
    amendment: str
    document: str
    line: int
    finding: str
    applies: bool
    bearing: str
    why: str
    agreement: str = ""


def trace_together(asked: Iterable[AskedAgreement], question: Question) -> tuple[Traced, ...]:
    """Trace each agreement's own answer, one agreement after the other.

    The trace of an agreement that does not know the names asked about is its rule on silence.
    """
    return tuple(
        msgspec.structs.replace(traced, agreement=member.agreement.id)
        for member in in_their_order(asked)
        for traced in _own_trace(member, question)
    )


def _own_trace(member: AskedAgreement, question: Question) -> Iterable[Traced]:
    own, decision = put_to(member, question), answer_of(member, question)
    if unnamed_in(member, own):
        return [
            _of(reason.term, "rule", reason.citation, APPLIES, reason)
            for reason in decision.reasons
        ]
    return trace(member.agreement, member.catalog, member.facts, own, decision)


def trace(
    agreement: Agreement,
    catalog: Catalog,
    facts: FactRegister,
    question: Question,
    decision: Decision,
) -> tuple[Traced, ...]:
    """Trace a decision: first the terms that apply, then the rest, the latest amendment first."""
    force, comparisons = comparisons_of(agreement, catalog, facts, question)
    tracing = _Tracing(
        catalog=catalog,
        question=question,
        decision=decision,
        force=force,
        comparisons=comparisons,
        rescinded=rescissions(agreement, force.known_at, question.readings),
    )
    traced = [tracing.state(state) for state in force.terms]
    folded = {state.term.id for state in force.states}
    for amendment in reversed(agreement.amendments):
        traced += [
            tracing.left_out(term, amendment) for term in amendment.terms if term.id not in folded
        ]
    traced += tracing.beside()
    return tuple(sorted(traced, key=lambda line: not line.applies))


# A term's id, its document and its line.
_Place = tuple[str, str, int]


class _Tracing:
    """The reasons and comparisons of one decision, for the trace of its terms."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        question: Question,
        decision: Decision,
        force: InForce,
        comparisons: Iterable[TermComparison],
        rescinded: Mapping[str, tuple[Amendment, Change]],
    ) -> None:
        self._catalog = catalog
        self._question = question
        # Keyed by place, because a rule or a fact may have the same name as a term.
        self._reasons = {
            (reason.term, reason.document, reason.line): reason for reason in decision.reasons
        }
        self._places: set[_Place] = set()
        self._force = force
        self._rescinded = rescinded
        self._rights = {state.term.id: state.right for state in force.states}
        self._links = self._links_of_rights()
        self._comparisons: dict[str, list[TermComparison]] = {}
        for comparison in comparisons:
            self._comparisons.setdefault(comparison.term, []).append(comparison)

    def _links_of_rights(self) -> dict[str, tuple[str, ...]]:
        """Return for each right that is cited as permitting the terms by which it was passed on."""
        givers, lineage = Givers.of(self._force.states), self._lineage()
        links: dict[str, tuple[str, ...]] = {}
        for state in self._force.states:
            term = state.term
            reason = self._reasons.get((term.id, term.citation.document, term.citation.line))
            giver = giver_of(term)
            if giver and state.in_force and reason is not None and reason.bearing == "permits":
                passed_on = givers.links(giver, lineage, self._question.as_of) or ()
                links[term.id] = tuple(link.term.id for link in passed_on)
        return links

    def _lineage(self) -> frozenset[str]:
        product = self._question.product
        return self._catalog.lineage(product) if product else frozenset()

    def state(self, state: TermState) -> Traced:
        """Trace a term of a known amendment, under the readings asked for."""
        term = state.term
        if isinstance(term, Inoperative):
            return self._not(term, state.amendment, WITHOUT_EFFECT, "its kind bears on no decision")
        if state.in_force:
            return self._in_force(term, state.amendment)
        if not state.ended:
            return self._not(term, state.amendment, NOT_BEGUN, _begins(state))
        return self._ended(state)

    def left_out(self, term: AnyTerm, amendment: Amendment) -> Traced:
        """Trace a term that the fold leaves out: not known yet, rescinded, or of another reading."""
        if amendment.known > self._force.known_at:
            return self._not(
                term,
                amendment.id,
                NOT_KNOWN,
                f"{amendment.id} became known on {amendment.known.day}",
            )
        if amendment.id in self._rescinded:
            by, _ = self._rescinded[amendment.id]
            why = (
                f"{amendment.id} never takes effect: {by.id} rescinds it, "
                f"which became known on {by.known.day}"
            )
            return self._not(term, amendment.id, RESCINDED, why)
        # The remaining case: it stands under a reading that was not asked for.
        under = ", ".join(f"{reading}={option}" for reading, option in sorted(term.under.items()))
        asked = ", ".join(
            f"{reading}={self._question.readings[reading]}" for reading in sorted(term.under)
        )
        return self._not(
            term, amendment.id, OTHER_READING, f"it stands under {under}; asked was {asked}"
        )

    def beside(self) -> Iterator[Traced]:
        """Trace the other places that reasons cite: changes, facts, rules, commentary."""
        for place, reason in self._reasons.items():
            if place not in self._places:
                kind = {"facts": "fact", "agreement": "rule"}.get(reason.amendment, "change")
                # An event that comes about on a day is cited where it is defined.
                is_event = kind == "rule" and reason.bearing == "meets"
                kind = "event" if is_event else kind
                kind = "commentary" if reason.bearing == "commentary" else kind
                yield _of(reason.term, kind, reason.citation, APPLIES, reason)

    def _in_force(self, term: AnyTerm, amendment: str) -> Traced:
        """Trace a term in force by its comparisons and the reason that cites it, if any."""
        comparisons = self._comparisons.get(term.id, [])
        reason = self._reason(term)
        passed_on = [right for right, links in self._links.items() if term.id in links]
        if reason is None and passed_on:
            return _applying(term, f"{' and '.join(passed_on)} rests on it: it may be licensed on")
        reaching = [comparison for comparison in comparisons if comparison.outside == NOWHERE]
        # Never looked at, or looked at and out of reach: say by what.
        if not comparisons:
            return self._not_looked_at(term, amendment)
        if not reaching:
            nearest = max(comparisons, key=lambda comparison: MISMATCHES.index(comparison.outside))
            return self._not(
                term, amendment, OUTSIDE, _lies_outside(nearest.outside, term, nearest.act)
            )
        # It reaches the act. Does it let it pass, is it cited, or do other terms decide?
        ignored_because = {comparison.ignored_because for comparison in reaching}
        if ignored_because == {CARVED_OUT} and reason is None:
            return self._not(
                term, amendment, CARVED_OUT, "a carve-out covers the case; other terms decide"
            )
        if ignored_because == {NOT_GIVEN} and reason is None:
            giver = giver_of(self._rights.get(term.id) or term)
            return self._not(term, amendment, OUTSIDE, _not_given(giver, reaching[0].act))
        if reason is not None:
            finding = CARVED_OUT if ignored_because == {CARVED_OUT} else APPLIES
            traced = _of(term.id, term.kind, term.citation, finding, reason)
            if links := self._links.get(term.id):
                why = f"{traced.why}: {giver_of(term)} gives it by {', by '.join(links)}"
                return msgspec.structs.replace(traced, why=why)
            return traced
        if ignored_because == {INSIDE}:
            return _applying(term, "this lies inside what it reserves; other terms decide")
        if isinstance(term, Forbidding) and (despite := self._permitting_despite(term)):
            return _applying(
                term, f"it forbids this; {' and '.join(despite)} permits it despite it"
            )
        return _applying(term, "it is in force and reaches this; other terms decide")

    def _permitting_despite(self, term: Forbidding) -> list[str]:
        """Return the permissions that the decision cites and that override a term."""
        permitting = {
            reason.term for reason in self._reasons.values() if reason.bearing == "permits"
        }
        return [
            state.term.id
            for state in self._force.terms
            if isinstance(state.term, Permission)
            and state.term.id in permitting
            and state.term.overrides(term.id)
        ]

    def _not_looked_at(self, term: AnyTerm, amendment: str) -> Traced:
        """Trace a term that was not compared: it was not needed, or the question lies outside it."""
        act = act_of(self._question, self._catalog)
        where = outside(term, act, self._belongs)
        if where == NOWHERE or not self._force.stated:
            return self._not(term, amendment, NOT_NEEDED, "the answer was clear without it")
        return self._not(term, amendment, OUTSIDE, _lies_outside(where, term, act))

    def _belongs(self, product: str, scope: Iterable[str]) -> bool:
        return any(self._catalog.belongs(product, name) for name in scope)

    def _ended(self, state: TermState) -> Traced:
        term = state.term
        by = "by its own end" if state.ended_by.term == term.id else f"by {state.ended_by.term}"
        event = f", by {state.event.term}" if state.event is not None else ""
        why = f"it ended on {state.end} {by}{event}"
        if state.paused:
            why = f"it is paused since {state.end}, {state.paused}"
        reason = self._reason(term)
        if reason is None:
            return self._not(term, state.amendment, ENDED, why)
        return msgspec.structs.replace(
            _of(term.id, term.kind, term.citation, ENDED, reason), why=why
        )

    def _reason(self, term: AnyTerm) -> Reason | None:
        place = term.id, term.citation.document, term.citation.line
        self._places.add(place)
        return self._reasons.get(place)

    def _not(self, term: AnyTerm, amendment: str, finding: str, why: str) -> Traced:
        return Traced(
            term=term.id,
            kind=term.kind,
            amendment=amendment,
            document=term.citation.document,
            line=term.citation.line,
            finding=finding,
            applies=False,
            bearing="",
            why=why,
        )


def _of(term: str, kind: str, citation: Citation, finding: str, reason: Reason) -> Traced:
    """Trace the term, change, fact or rule that a reason cites."""
    note = f": {reason.note}" if reason.note else ""
    return Traced(
        term=term,
        kind=kind,
        amendment=citation.amendment,
        document=citation.document,
        line=citation.line,
        finding=finding,
        applies=True,
        bearing=reason.bearing,
        why=_BEARS.get(reason.bearing, reason.bearing) + note,
    )


def _applying(term: AnyTerm, why: str) -> Traced:
    return Traced(
        term=term.id,
        kind=term.kind,
        amendment=term.citation.amendment,
        document=term.citation.document,
        line=term.citation.line,
        finding=APPLIES,
        applies=True,
        bearing="",
        why=why,
    )


def _lies_outside(part: str, term: AnyTerm, act: Act) -> str:
    """Say which part of the act lies outside, and what the term is about instead."""
    value = {
        PARTY: act.party,
        ACTION: act.action,
        OTHER_PARTY: act.to,
        PRODUCT: act.product or "no product",
        CLOUD: act.cloud,
        SELLER: act.seller or "of nobody",
        SEGMENT: act.segment,
        REGION: act.region or "of no place",
    }[part]
    about = ", ".join(_about(part, term))
    return f"the {part} {value} lies outside" + (f"; it is about {about}" if about else "")


def _not_given(giver: str, act: Act) -> str:
    """Say that a right comes from somebody who cannot give it."""
    return f"{giver} gives it, and neither owns {act.product} nor may license it on"


def _begins(state: TermState) -> str:
    """Say when a term begins, or for which event it waits."""
    if state.begin < FOREVER:
        return f"it begins on {state.begin}"
    events = [event for event in (state.term.from_, state.term.while_) if event]
    return f"it waits for {' and '.join(events)}" if events else f"{state.term.while_no} goes on"


# The fields of terms that name each part but the parties. Each kind of term has some of these.
_WRITTEN: Mapping[str, str] = {
    ACTION: "actions",
    PRODUCT: "products",
    CLOUD: "clouds",
    SELLER: "sellers",
    SEGMENT: "segments",
    REGION: "regions",
}


def _about(part: str, term: AnyTerm) -> list[str]:
    """Return the names that a term is about in a part of an act; empty where it names none."""
    if part == PARTY:
        return sorted(_parties(term))
    if part == OTHER_PARTY:
        return [term.payee] if isinstance(term, RevenueShareTerm) else []
    return sorted(getattr(term, _WRITTEN[part], ()))


def _parties(term: AnyTerm) -> frozenset[str]:
    """Return the parties with which the party of an act is compared."""
    if isinstance(term, Barring):
        return term.barred
    match term:
        case Ownership() | Permission() | Precedence():
            return frozenset({term.party})
        case Licence():
            return frozenset({term.licensee})
        case RefusalRight():
            return frozenset({term.grantor}) - {""}
        case RevenueShareTerm():
            return frozenset({term.payer})
        case Exclusivity() | Inoperative():
            return frozenset()
        case _:
            assert_never(term)
