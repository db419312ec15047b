"""An act is forbidden by an exclusivity that it lies outside of, or by a prohibition on its party.

The kind of a term decides, whatever its days: a term that forbids goes before every permission,
unless the permission names that term (`despite`).
"""

from collections.abc import Iterator, Sequence
from typing import assert_never, get_args

import msgspec

from clauseway.agreement import Exclusivity, Permission, Scope, TermState
from clauseway.agreement.language.actions import LICENSE, SEGMENTS, takes
from clauseway.agreement.language.terms import Barring, Forbidding, Only
from clauseway.decisions.case import ASKED_SEGMENT, Case
from clauseway.decisions.decision import Reason
from clauseway.decisions.endings import cite_end_or_pause, cite_fall
from clauseway.decisions.givers import LostRight
from clauseway.decisions.reach import NOWHERE, Act, outside_scope
from clauseway.decisions.rights import is_given_by_right


def cite_forbidding_terms(case: Case, acts: Sequence[Act], party: str) -> tuple[Reason, ...]:
    """Cite the terms in force that forbid any of these acts. `party` needs all of the acts."""
    return tuple(
        Reason.of(
            "forbids",
            term.citation,
            f"reserved to {_name_reserved(term)}" if isinstance(term, Exclusivity) else "",
        )
        for act in acts
        for term in _find_reaching_terms(case, act)
        if not is_inside(case, term, act)
        and find_carve_out(case, term, act) is None
        and not _is_overridden(case, term, act, party)
    )


class Exemptions(msgspec.Struct, frozen=True):
    """The terms in force that reach an act and let it pass.

    `inside`: the act lies inside an exclusivity. `exempt`: a carve-out covers the act.
    """

    inside: tuple[Reason, ...]
    exempt: tuple[Reason, ...]


def find_exemptions(case: Case, acts: Sequence[Act]) -> Exemptions:
    """Return the terms in force that reach one of these acts and let it pass."""
    within: list[Reason] = []
    exempt: list[Reason] = []
    for act in acts:
        for term in _find_reaching_terms(case, act):
            if isinstance(term, Exclusivity) and is_inside(case, term, act):
                within.append(
                    Reason.of("inside", term.citation, f"reserved to {_name_reserved(term)}")
                )
            elif (scope := find_carve_out(case, term, act)) is not None:
                exempt.append(Reason.of("exempts", term.citation, _describe_carve_out(scope, act)))
    return Exemptions(tuple(within), tuple(exempt))


def cite_last_exclusivity(case: Case, acts: Sequence[Act]) -> tuple[Reason, ...]:
    """Cite the last exclusivity that forbade one of these acts, and the text that ended it."""
    last = find_last_exclusivity(case, acts)
    return cite_exclusivity(last) if last is not None else ()


def cite_exclusivity(lost: LostRight) -> tuple[Reason, ...]:
    """Cite an exclusivity that ended or fell, and the text that ended it."""
    return (cite_fall(lost),) if lost.fell else cite_end_or_pause(lost.state)


def find_last_exclusivity(case: Case, acts: Sequence[Act]) -> LostRight | None:
    """Return the last exclusivity that forbade one of these acts and does so no more."""
    lost: list[LostRight] = []
    in_force: set[str] = set()
    for state in case.states(Exclusivity):
        # An exclusivity that a right wrote may have fallen with the right before it ended.
        loss = case.givers.lost(state, case.lineage(acts[0].product), case.as_of)
        if loss is not None and any(case.reaches(state.term, act) for act in acts):
            lost.append(loss)
        elif loss is None and state.in_force:
            in_force.add(state.term.id)
    last = max(lost, key=lambda loss: loss.rank, default=None)
    # A term that paused and is in force again was not lifted.
    return None if last is None or last.state.term.id in in_force else last


def is_inside(case: Case, term: Forbidding, act: Act) -> bool:
    """Return whether an act that a term reaches lies inside what an exclusivity reserves."""
    if isinstance(term, Barring):
        return False
    match term:
        case Exclusivity():
            return _is_reserved(case, term.only, act)
        case _:
            assert_never(term)


def _is_reserved(case: Case, only: Only, act: Act) -> bool:
    """Return whether an act lies inside what an exclusivity names."""
    if only.clouds:
        return act.cloud in only.clouds
    if only.sellers:
        return act.seller in only.sellers
    if only.regions:
        return act.region in only.regions
    if only.parties:
        return act.party in only.parties
    if act.action == LICENSE:
        # An owner that "licenses" itself gives nothing to anybody.
        return act.to in only.licensees or act.to == case.owner(act)
    return act.party in only.licensees


def find_carve_out(case: Case, term: Forbidding, act: Act) -> Scope | None:
    """Return the first carve-out of a term that covers an act, or None."""
    return next(
        (scope for scope in term.except_ if outside_scope(scope, act, case.belongs) == NOWHERE),
        None,
    )


def _find_reaching_terms(case: Case, act: Act) -> Iterator[Forbidding]:
    for kind in get_args(Forbidding):
        for state in case.states_about(kind, act.product):
            term = state.term
            # Each answer runs this for every act, so terms on other actions are skipped first.
            # A trace compares every term.
            if not isinstance(term, Forbidding) or (
                case.comparisons is None and act.action not in term.actions
            ):
                continue
            if state.in_force and case.reaches(term, act) and stands(case, state, act):
                yield term


def stands(case: Case, state: TermState, act: Act) -> bool:
    """Return whether a term stands for an act: an exclusivity does while the right behind it does."""
    return state.right is None or is_given_by_right(case, state.right, act)


def _is_overridden(case: Case, term: Forbidding, act: Act, party: str) -> bool:
    """Return whether a permission in force of the party, or of anyone, overrides the term."""
    # The permission is that of the party that needs the act, whoever does it.
    as_party = msgspec.structs.replace(act, party=party)
    return any(
        state.in_force
        and isinstance(permission := state.term, Permission)
        and permission.overrides(term.id)
        and case.reaches(permission, as_party)
        and is_given_by_right(case, permission, as_party)
        for state in case.states_about(Permission, act.product)
    )


def _name_reserved(term: Exclusivity) -> str:
    return ", ".join(sorted(term.only.names))


def _describe_carve_out(scope: Scope, act: Act) -> str:
    """Describe a carve-out by the segment, sellers and regions that it names."""
    if not takes(act.action, SEGMENTS):
        return "its carve-out"
    parts = [ASKED_SEGMENT] if scope.segments or not (scope.sellers or scope.regions) else []
    parts += [f"sales by {' or '.join(sorted(scope.sellers))}"] if scope.sellers else []
    parts += [f"places in {' or '.join(sorted(scope.regions))}"] if scope.regions else []
    return f"the carve-out for {', '.join(parts)}"
