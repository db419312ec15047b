"""A right to act comes from a permission, a licence or a recorded grant.

It also comes from a launch, where the agreement says so.
"""

from datetime import date, timedelta
from itertools import islice

import msgspec

from clauseway.agreement import Grant, Licence, Ownership, Permission, TermState, Withdrawal
from clauseway.agreement.language.actions import SELL, SERVE
from clauseway.agreement.language.terms import AnyTerm
from clauseway.decisions.case import Case
from clauseway.decisions.decision import Reason
from clauseway.decisions.endings import cite_breaks
from clauseway.decisions.givers import LostRight, giver_of
from clauseway.decisions.reach import NOWHERE, Act, outside_scope
from clauseway.values import FOREVER, through

# The rule that a launch on a party's own cloud grants the party resale there. It applies only where
# an agreement states it.
LAUNCH_RULE = "launch"
# The actions that a licence can permit beside a use (the engine decides a use apart).
LICENSABLE_ACTIONS = frozenset({SERVE, SELL})
_ONE_DAY = timedelta(days=1)


def cite_permissions(case: Case, act: Act, party: str) -> tuple[Reason, ...]:
    """Cite the permissions in force that cover an act. `party` may be `ANYONE`."""
    return tuple(
        Reason.of("permits", term.citation)
        for state in case.states_about(Permission, act.product)
        if isinstance(term := state.term, Permission)
        and term.party == party
        and state.in_force
        and case.reaches(term, act)
        and is_given_by_right(case, term, act)
    )


class LostPermissions(msgspec.Struct, frozen=True):
    """The permissions to an act that do not hold: those that pause, and the one that was lost last."""

    paused: tuple[TermState, ...]
    last: LostRight | None


def find_lost_permissions(case: Case, act: Act) -> LostPermissions:
    """Return the permissions to a party, or to anyone, that covered an act and hold no more."""
    lineage = case.lineage(act.product)
    last: dict[str, TermState] = {}
    lost: list[LostRight] = []
    for state in case.states_about(Permission, act.product):
        term = state.term
        if state.begin > case.as_of or not case.reaches(term, act):
            continue
        # A term may hold in several stretches: the last of them tells how it stands now.
        last[term.id] = max(last.get(term.id, state), state, key=lambda state: state.end)
        if not state.paused and (loss := case.givers.lost_permission(state, lineage, case.as_of)):
            lost.append(loss)
    paused = tuple(
        state
        for state in last.values()
        if state.paused and state.ended and is_given_by_right(case, state.term, act)
    )
    return LostPermissions(paused, max(lost, key=lambda loss: loss.rank, default=None))


def is_given_by_right(case: Case, term: AnyTerm, act: Act) -> bool:
    """Return whether the giver of a right could give the act. A right without a giver passes.

    For an exclusivity that a right wrote, pass that right as `term`.
    """
    giver = giver_of(term)
    return (
        not giver
        or giver == case.owner(act)
        or case.givers.may_license_on(giver, case.lineage(act.product), case.as_of)
    )


def cite_ownership(case: Case, act: Act) -> tuple[Reason, ...]:
    """Cite the ownership in force of the product that an act is about.

    If several cover the product, the first in the order of the states counts, as in `Case.owner`.
    """
    owning = (
        Reason.of("permits", state.term.citation)
        for state in case.states_about(Ownership, act.product)
        if state.in_force and case.reaches(state.term, act)
    )
    return tuple(islice(owning, 1))


def find_ended_ownership(case: Case, act: Act, party: str = "") -> TermState | None:
    """Return the ownership of a product that ended or paused last, by any party or by one; None if
    nobody, or not that party, ever owned it."""
    ended = [
        state
        for state in case.states_about(Ownership, act.product)
        if isinstance(state.term, Ownership)
        and state.ended
        and state.begin <= state.end  # else it was ended before it began
        and (not party or state.term.party == party)
        and case.reaches(state.term, act)
    ]
    return max(ended, key=lambda state: (state.end, state.order), default=None)


class Licences(msgspec.Struct, frozen=True):
    """The licences of a party that cover an act: those that hold, else those that were lost."""

    held: tuple[Reason, ...]
    lost: tuple[LostRight, ...]


def find_licences(case: Case, act: Act) -> Licences:
    """Return the party's licences that cover an act and that their licensor could give."""
    # Each answer runs this for every act, so the licences of others are skipped first. A trace
    # compares every term.
    covering = [
        state
        for state in case.states(Licence)
        if isinstance(licence := state.term, Licence)
        and (licence.licensee == act.party or case.comparisons is not None)
        and case.reaches(licence, act)
    ]
    held = tuple(
        Reason.of("permits", state.term.citation)
        for state in covering
        if state.in_force and is_given_by_right(case, state.term, act)
    )
    # With a licence that holds, what others lost does not matter.
    if held or not covering:
        return Licences(held, ())
    lineage = case.lineage(act.product)
    losses = (case.givers.lost(state, lineage, case.as_of) for state in covering)
    return Licences((), tuple(lost for lost in losses if lost is not None))


def cite_grants(case: Case, act: Act) -> tuple[Reason, ...]:
    """Cite the permissions and recorded grants that cover a party's act.

    A recorded grant may be of the product or of its class.
    """
    recorded = [
        fact
        for fact in case.facts.grants(act.party, case.as_of)
        if _covers(case, fact, act)
        and _find_withdrawal(case, fact, act) is None
        and _is_still_given(case, fact, act)
    ]
    return cite_permissions(case, act, act.party) + tuple(
        Reason.of("meets", fact.citation) for fact in recorded
    )


def _covers(case: Case, fact: Grant | Withdrawal, act: Act) -> bool:
    """Return whether a recorded grant or withdrawal covers an act."""
    return (
        case.catalog.belongs(act.product, fact.product)
        and outside_scope(fact.scope, act, case.belongs) == NOWHERE
    )


def _is_still_given(case: Case, grant: Grant, act: Act) -> bool:
    """Return whether the party that recorded a grant could still give it."""
    grantor = _find_grantor(case, grant, act)
    lineage = case.lineage(act.product)
    return not grantor or case.givers.may_give(grantor, lineage, case.as_of)


def _find_grantor(case: Case, grant: Grant, act: Act) -> str:
    return case.givers.grantor(case.lineage(act.product), grant.effective, case.as_of)


def _find_withdrawal(case: Case, grant: Grant, act: Act) -> Withdrawal | None:
    """Return the first withdrawal that took an act from a grant; the rest of the grant goes on."""
    withdrawn = [
        fact for fact in case.facts.withdrawals(grant, case.as_of) if _covers(case, fact, act)
    ]
    return min(withdrawn, key=lambda fact: (fact.effective, fact.known), default=None)


class EndedGrant(msgspec.Struct, frozen=True):
    """A recorded grant that holds no more: how it ended and when, and what to cite."""

    note: str
    reasons: tuple[Reason, ...]
    day: date
    granted: date

    @property
    def rank(self) -> tuple[date, date]:
        """Return the place among grants that ended: the last in time, then the last granted."""
        return self.day, self.granted


def find_last_ended_grant(case: Case, act: Act) -> EndedGrant | None:
    """Return the party's grant of an act that ended last: by its own end, a withdrawal or a fall."""
    ended = [
        _find_ended_grant(case, grant, act)
        for grant in case.facts.grants_made(act.party, case.as_of)
        if _covers(case, grant, act)
    ]
    return max(filter(None, ended), key=lambda each: each.rank, default=None)


def _find_ended_grant(case: Case, grant: Grant, act: Act) -> EndedGrant | None:
    """Return how a grant of an act ended; None if it holds."""
    withdrawal = _find_withdrawal(case, grant, act)
    over = FOREVER if grant.through is None else through(grant.through)
    if withdrawal is not None and withdrawal.effective < over:
        over, note = withdrawal.effective, f"was withdrawn on {withdrawal.effective}"
        before = [Reason.of("ended", withdrawal.citation)]
    else:
        note, before = f"ended on {over}", []
    # The grantor may have lost its own right earlier.
    grantor, lineage = _find_grantor(case, grant, act), case.lineage(act.product)
    end = min(over, case.as_of + _ONE_DAY)
    last = case.givers.given_until(grantor, lineage, grant.effective, end) if grantor else end
    if last is not None and last < end:
        note = f"fell on {last}: {grantor} could give it no more"
        before, over = [*cite_breaks(case, grantor, last, act)], last
    if over > case.as_of:
        return None
    reasons = (*before, Reason.of("ended", grant.citation, f"it {note}"))
    return EndedGrant(note, reasons, over, grant.effective)


def find_lost_rights(case: Case, act: Act) -> set[str]:
    """Return the rights to an act that its party held and lost: terms and recorded grants.

    A right that pauses is not lost.
    """
    lost = [*find_licences(case, act).lost]
    if (last := find_lost_permissions(case, act).last) is not None:
        lost.append(last)
    names = {each.state.term.id for each in lost if not each.state.paused}
    if (ended := find_last_ended_grant(case, act)) is not None:
        names.add(ended.reasons[-1].term)
    return names


def cite_launch_on_own_cloud(case: Case, act: Act) -> tuple[Reason, ...]:
    """Cite the owner's launch on the party's own cloud, if the agreement lets it grant resale."""
    if LAUNCH_RULE not in case.agreement.rules or act.action not in (SERVE, SELL):
        return ()
    if case.catalog.operators.get(act.cloud) != act.party:
        return ()
    launches = [
        launch
        for launch in case.facts.launches(act.product)
        if launch.cloud == act.cloud and launch.effective <= case.as_of
    ]
    return (
        (Reason.of("meets", launches[0].citation), case.cite_rule(LAUNCH_RULE)) if launches else ()
    )
