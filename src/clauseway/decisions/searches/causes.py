"""The text or fact behind a change of answer: without it, the answer would still be the one before.

A question that was conditional may be answered otherwise now for a fact, a term or a change. The
answer cites all that it rests on, most of which was there before. So each text and fact cited is
left out in turn, and the question asked again.
"""

from collections.abc import Callable, Collection, Sequence

import msgspec

from clauseway.agreement import FactRegister, InForce, in_force
from clauseway.agreement.language.terms import EXCLUSIVE_SUFFIX
from clauseway.decisions.case import prolonging
from clauseway.decisions.decision import Outcome, Reason
from clauseway.decisions.givers import Givers
from clauseway.decisions.joint_answers import AskedAgreement, JointSide, own_options
from clauseway.decisions.parts import Names
from clauseway.decisions.tables.decision_table import Verdict
from clauseway.values import Citation

Answering = Callable[[Names], Verdict]
# Bearings of what an author cannot leave out, or what changes no answer.
_NEVER_CAUSES = frozenset({"rule", "commentary"})
# The term, document, line and words of a citation.
_Place = tuple[str, str, int, str]


class Causes:
    """The terms and facts that decide the answers that change between two sides.

    `answering` returns what answers the questions of a side.
    """

    def __init__(
        self, before: JointSide, after: JointSide, answering: Callable[[JointSide], Answering]
    ) -> None:
        self._after, self._answering = after, answering
        self._is_later = (before.as_of, before.known_at) != (after.as_of, after.known_at)
        self._givers = [Givers.of(_force_of(after, member).states) for member in after.asked]
        self._held = [_places_held(before, member) for member in before.asked]
        self._tried: dict[tuple[frozenset[_Place], ...], Answering] = {}

    def of(self, asked: Names, before: Verdict, after: Verdict, own: Reason | None) -> Reason:
        """Return the reason for which a question is answered otherwise.

        `own` is the party's own permission, which stands for the first reason if none decides. For
        a term that is in force by a new change alone, the change stands.
        """
        first = own or after.reasons[0]
        otherwise = self._new_prolongation(first, after.reasons) or first
        if before.outcome is Outcome.UNSTATED:
            return self._ownership(asked, otherwise) or otherwise
        if before.outcome is not Outcome.CONDITIONAL:
            return otherwise
        met = [
            reason
            for reason in after.reasons
            if reason.bearing == "meets" and reason not in before.reasons
        ]
        cited = dict.fromkeys([*met, otherwise, *after.reasons])
        new = [
            reason
            for reason in cited
            if reason.bearing not in _NEVER_CAUSES and not self._was_there(reason)
        ]
        # Time alone may let an earlier fact count: a lead of days passes.
        met = met if self._is_later else []
        # Of several that would each do, all are left out together; a clause goes before a fact.
        clauses_first = sorted(new, key=lambda reason: reason.bearing == "meets")
        for reasons in (*([reason] for reason in (*new, *met)), met, clauses_first):
            if reasons and self._decide(asked, reasons, before):
                return reasons[0]
        # Something that the answer does not cite would do as well. What was there decides nothing.
        return otherwise if otherwise in new else next(iter((*new, *met)), otherwise)

    def _ownership(self, asked: Names, reason: Reason) -> Reason | None:
        """Return the ownership by which a product needs its owner's grant, or the new change that
        keeps it in force, if a reason is the rule `grant`: the rule held before anything was stated."""
        if (reason.bearing, reason.term) != ("rule", "grant"):
            return None
        for givers, member in zip(self._givers, self._after.asked, strict=True):
            owned = givers.ownership(member.catalog.lineage(asked.product), self._after.as_of)
            if owned is not None and _is_of(reason, member):
                cited = (
                    Reason.of("permits", owned.term.citation),
                    *dict(prolonging([owned], self._after.as_of)).values(),
                )
                owns, *changes = (
                    msgspec.structs.replace(each, agreement=reason.agreement) for each in cited
                )
                return self._new_prolongation(owns, changes) or owns
        return None

    def _new_prolongation(self, prolonged: Reason, reasons: Sequence[Reason]) -> Reason | None:
        """Return the change that keeps a cited term in force past its own end, if it did not hold
        on the side before. A change that prolongs several terms is cited behind the first alone."""
        new = (
            reason
            for reason in reasons
            if reason.bearing == "prolongs"
            and reason.agreement == prolonged.agreement
            and prolonged.term in self._moved_by(reason)
            and not self._was_there(reason)
        )
        return next(new, None)

    def _moved_by(self, change: Reason) -> set[str]:
        """Return the terms whose end is set by a change that a reason cites."""
        return {
            term
            for member in self._after.asked
            if _is_of(change, member)
            for amendment in member.agreement.amendments
            for each in amendment.changes
            if _place(each.citation) == _place(change)
            for term in each.sets_end
        }

    def _was_there(self, reason: Reason) -> bool:
        """Return whether the text or fact that a reason cites held on the side before."""
        return any(
            _place(reason) in held
            for held, member in zip(self._held, self._after.asked, strict=True)
            if _is_of(reason, member)
        )

    def _decide(self, asked: Names, reasons: Sequence[Reason], before: Verdict) -> bool:
        """Return whether, without what these reasons cite, the answer is the one before."""
        left_out = tuple(
            frozenset(_place(reason) for reason in reasons if _is_of(reason, member))
            for member in self._after.asked
        )
        if left_out not in self._tried:
            self._tried[left_out] = self._answering(self._without(left_out))
        answer = self._tried[left_out](asked)
        return (answer.outcome, _waits_for(answer)) == (before.outcome, _waits_for(before))

    def _without(self, left_out: Sequence[Collection[_Place]]) -> JointSide:
        members = zip(self._after.asked, left_out, strict=True)
        asked = tuple(_without(member, places) for member, places in members)
        return msgspec.structs.replace(self._after, asked=asked)


def _places_held(side: JointSide, member: AskedAgreement) -> frozenset[_Place]:
    """Return the places of the terms in force, and of the changes and facts in effect."""
    force = _force_of(side, member)
    cited = [state.term.citation for state in force.states if state.in_force]
    for amendment in member.agreement.amendments:
        if amendment.id in force.amendments:
            cited += [change.citation for change in amendment.changes]
    facts = member.facts.known(side.known_at).facts
    cited += [fact.citation for fact in facts if fact.effective <= side.as_of]
    return frozenset(map(_place, cited))


def _force_of(side: JointSide, member: AskedAgreement) -> InForce:
    facts = member.facts.known(side.known_at)
    readings = own_options(member.agreement, side.readings)
    return in_force(member.agreement, facts, side.as_of, side.known_at, readings)


def _without(member: AskedAgreement, places: Collection[_Place]) -> AskedAgreement:
    """Return an agreement without the terms, changes and facts at these places.

    With a right goes the exclusivity that it writes.
    """
    if not places:
        return member
    names = {f"{term}{EXCLUSIVE_SUFFIX}" for term, *_ in places}

    def stays(citation: Citation) -> bool:
        return _place(citation) not in places and citation.term not in names

    amendments = tuple(
        msgspec.structs.replace(
            amendment,
            terms=tuple(term for term in amendment.terms if stays(term.citation)),
            changes=tuple(change for change in amendment.changes if stays(change.citation)),
        )
        for amendment in member.agreement.amendments
    )
    agreement = msgspec.structs.replace(member.agreement, amendments=amendments)
    facts = FactRegister(tuple(fact for fact in member.facts.facts if stays(fact.citation)))
    return AskedAgreement(agreement, member.catalog, facts)


def _place(cited: Reason | Citation) -> _Place:
    return cited.term, cited.document, cited.line, cited.text


def _is_of(reason: Reason, member: AskedAgreement) -> bool:
    """Return whether a reason cites an agreement; where one is asked, reasons leave it out."""
    return reason.agreement in ("", member.agreement.id)


def _waits_for(verdict: Verdict) -> frozenset[str]:
    return frozenset(condition.term for condition in verdict.conditions)
