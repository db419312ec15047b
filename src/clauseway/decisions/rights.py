"""A right to act comes from a permission, a licence or a recorded grant.

It also comes from a launch, where the agreement says so.
"""

import msgspec

from clauseway.agreement import Licence, Ownership, Permission, TermState
from clauseway.agreement.language.actions import LICENSE, SELL, SERVE
from clauseway.decisions.case import Case
from clauseway.decisions.decision import Reason
from clauseway.decisions.reach import NOWHERE, Act, outside_scope

# The rule that a launch on a party's own cloud grants the party resale there. It applies only where
# an agreement states it.
LAUNCH_RULE = "launch"
# A licence can carry serving and selling only; the engine's `_decide_use` decides use.
CARRIED_ACTIONS = frozenset({SERVE, SELL})


def permissions(case: Case, act: Act, party: str) -> tuple[Reason, ...]:
    """Return the permissions in force that cover an act. `party` may be `ANYONE`."""
    return tuple(
        Reason.of("permits", term.citation)
        for state in case.states(Permission)
        if isinstance(term := state.term, Permission)
        and term.party == party
        and state.in_force
        and case.reaches(term, act)
        and given_by_right(case, term, act)
    )


def paused_permissions(case: Case, act: Act) -> tuple[TermState, ...]:
    """Return the permissions to a party, or to anyone, that cover an act and are paused."""
    last: dict[str, TermState] = {}
    for state in case.states(Permission):
        term = state.term
        if (
            state.ended
            and isinstance(term, Permission)
            and (term.while_ or term.while_no)
            and case.reaches(term, act)
            and given_by_right(case, term, act)
        ):
            last[term.id] = max(last.get(term.id, state), state, key=lambda state: state.end)
    return tuple(state for state in last.values() if state.paused)


def given_by_right(case: Case, term: Permission | Licence, act: Act) -> bool:
    """Return whether the licensor, or the grantor that a permission names, could give the act."""
    giver = term.licensor if isinstance(term, Licence) else term.grantor
    return not giver or _could_give(case, giver, act)


def ownership(case: Case, act: Act) -> tuple[Reason, ...]:
    """Return the ownership in force of the product that an act is about."""
    return tuple(
        Reason.of("permits", state.term.citation)
        for state in case.states(Ownership)
        if state.in_force and case.reaches(state.term, act)
    )


class Licences(msgspec.Struct, frozen=True):
    """The licences of a party that cover an act: those in force, and those that have ended."""

    held: tuple[Reason, ...]
    lost: tuple[TermState, ...]


def licences(case: Case, act: Act) -> Licences:
    """Return the party's licences that cover an act and that their licensor could give."""
    # Each answer runs this for every act, so the licences of others are skipped first. A trace
    # compares every term.
    given = [
        state
        for state in case.states(Licence)
        if isinstance(licence := state.term, Licence)
        and (licence.licensee == act.party or case.comparisons is not None)
        and case.reaches(licence, act)
        and given_by_right(case, licence, act)
    ]
    held = tuple(Reason.of("permits", state.term.citation) for state in given if state.in_force)
    return Licences(held, tuple(state for state in given if state.ended))


def _could_give(case: Case, giver: str, act: Act, behind: tuple[str, ...] = ()) -> bool:
    """Return whether a party owns the product, or a permission lets the party license it on.

    That permission may have a grantor of its own. `behind` are the parties already asked about.
    """
    return giver == case.owner(act) or any(
        state.in_force
        and isinstance(permission := state.term, Permission)
        and permission.party == giver
        and LICENSE in permission.actions
        and case.belongs(act.product, permission.products)
        and (
            not permission.grantor
            or (
                permission.grantor not in (giver, *behind)
                and _could_give(case, permission.grantor, act, (giver, *behind))
            )
        )
        for state in case.states(Permission)
    )


def grants(case: Case, act: Act) -> tuple[Reason, ...]:
    """Return the permissions and recorded grants that cover a party's act.

    A recorded grant may be of the product or of its class.
    """
    recorded = [
        fact
        for fact in case.facts.grants(act.party, case.as_of)
        if case.catalog.belongs(act.product, fact.product)
        and outside_scope(fact.scope, act, case.belongs) == NOWHERE
    ]
    return permissions(case, act, act.party) + tuple(
        Reason.of("meets", fact.citation) for fact in recorded
    )


def own_launch(case: Case, act: Act) -> tuple[Reason, ...]:
    """Return the owner's launch on the party's own cloud, if the agreement lets it grant resale."""
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
