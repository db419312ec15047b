"""Find what stays reserved to parties whose own right to it has ended.

An exclusivity that stands by itself does not end with the right that it protects. In every legal
position in which it is in force, the acts inside it are decided. Nobody is left who may act where an
act inside it was permitted, and later every party inside lacks a right that it had, until somebody is
granted the right anew, or an event comes that a right waits for.
"""

from collections.abc import Iterator, Mapping, Set
from datetime import date
from itertools import product as every

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    Licence,
    Ownership,
    Permission,
    TermState,
)
from clauseway.catalog import Catalog
from clauseway.decisions.case import Case, Finding
from clauseway.decisions.decision import Outcome
from clauseway.decisions.engine import decide_act
from clauseway.decisions.findings.coming import by_supposition, supposing
from clauseway.decisions.findings.effects import readings_named
from clauseway.decisions.forbidding import is_inside
from clauseway.decisions.reach import Act
from clauseway.decisions.rights import find_lost_rights
from clauseway.decisions.tables.decision_table import DecisionTable, Sheet
from clauseway.values import FOREVER, KnownAt

# An exclusivity, an action that it reserves, and a product of it.
_Reserved = tuple[str, str, str]


class Outlived(msgspec.Struct, frozen=True, kw_only=True):
    """An exclusivity inside which nobody has a right to an action any more, since a day.

    `by` are the terms and facts that gave the rights. `until` is the day on which somebody has one
    again, or nothing is reserved any more; empty where neither ever comes. `rights` are the terms
    that wait for events, and by which somebody may act inside it once these come.
    """

    term: str
    action: str
    product: str
    by: tuple[str, ...]
    since: date
    until: date | None
    rights: tuple[str, ...] = ()


def outlived_rights(
    agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> tuple[Outlived, ...]:
    """Return what exclusivities reserve to parties whose rights have ended, with all that is known."""
    first: dict[_Reserved, Outlived] = {}
    for readings in readings_named(agreement):
        for outlived in _under(readings, agreement, catalog, facts):
            key = (outlived.term, outlived.action, outlived.product)
            first.setdefault(key, outlived)
    rights = _rights_to_come(first.keys(), agreement, catalog, facts)
    return tuple(
        msgspec.structs.replace(first[key], rights=tuple(sorted(rights[key])))
        for key in sorted(first)
    )


def _rights_to_come(
    outlived: Set[_Reserved], agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> Mapping[_Reserved, set[str]]:
    """Return, for what is reserved in vain, the terms that wait for events and by which somebody may
    act inside it once these come."""
    to_come: dict[_Reserved, set[str]] = {reserved: set() for reserved in outlived}
    if not to_come:
        return to_come
    waiting = {
        id: term
        for id, term in agreement.terms_by_id.items()
        if isinstance(term, Permission | Licence | Ownership)
        and (term.from_ or term.while_ or term.while_no)
    }
    products = {product for _, _, product in outlived}
    coming = by_supposition(agreement, catalog, waiting.values())
    for supposed, readings in every(coming, readings_named(agreement)):
        register = supposing(supposed, agreement, catalog, facts)
        table = DecisionTable(agreement, catalog, register, KnownAt.everything(), readings)
        for sheet in table.sheets(products):
            for reserved, cited in _granted(outlived, sheet):
                to_come[reserved].update(cited & waiting.keys())
    return to_come


def _granted(outlived: Set[_Reserved], sheet: Sheet) -> Iterator[tuple[_Reserved, set[str]]]:
    """Yield the acts reserved in vain that somebody may do in a legal position, with the terms that
    answer them."""
    for state in _standing_alone(sheet):
        for act in sheet.acts:
            reserved = _reserved(state, act)
            if reserved in outlived and _is_inside(sheet.case, state, act):
                finding = decide_act(sheet.case, act)
                if not _needs_a_grant(finding):
                    yield reserved, {reason.term for reason in finding.reasons}


def _under(
    readings: Mapping[str, str], agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> Iterator[Outlived]:
    """Yield what is reserved in vain under a choice of readings."""
    held: dict[_Reserved, set[date]] = {}
    lost: dict[_Reserved, dict[date, tuple[set[str], date]]] = {}
    table = DecisionTable(agreement, catalog, facts, KnownAt.everything(), readings)
    for sheet in table.sheets():
        for state in _standing_alone(sheet):
            for reserved, rights in _rights_inside(state, sheet).items():
                if rights is None:
                    held.setdefault(reserved, set()).add(sheet.day)
                elif rights:
                    lost.setdefault(reserved, {})[sheet.day] = (rights, state.end)
    for reserved, days in lost.items():
        begun = held.get(reserved, set())
        after = [day for day in sorted(days) if any(before < day for before in begun)]
        if after:
            term, action, product = reserved
            rights, end = days[after[0]]
            until = min([end, *(day for day in begun if day > after[0])])
            yield Outlived(
                term=term,
                action=action,
                product=product,
                by=tuple(sorted(rights)),
                since=after[0],
                until=until if until < FOREVER else None,
            )


def _standing_alone(sheet: Sheet) -> Iterator[TermState]:
    """Yield the exclusivities in force. One that a right wrote ends with the right."""
    for state in sheet.case.states(Exclusivity):
        if state.in_force and state.right is None:
            yield state


def _reserved(state: TermState, act: Act) -> _Reserved:
    return state.term.id, act.action, act.product


def _is_inside(case: Case, state: TermState, act: Act) -> bool:
    """Return whether an exclusivity reserves an act."""
    term = state.term
    assert isinstance(term, Exclusivity)
    return case.reaches(term, act) and is_inside(case, term, act)


def _needs_a_grant(finding: Finding) -> bool:
    """Return whether an act is forbidden, or open by a new grant alone."""
    return finding.outcome is Outcome.FORBIDDEN or any(
        condition.term == "grant" for condition in finding.conditions
    )


def _rights_inside(state: TermState, sheet: Sheet) -> dict[_Reserved, set[str] | None]:
    """Return the rights that were lost to each act that an exclusivity reserves; None where somebody
    may act."""
    case = sheet.case
    rights: dict[_Reserved, set[str] | None] = {}
    for act in sheet.acts:
        reserved = _reserved(state, act)
        # Somebody was found who may act: nothing more of it can be lost.
        if rights.get(reserved, set()) is None or not _is_inside(case, state, act):
            continue
        names = rights.setdefault(reserved, set())
        assert names is not None
        # Nobody inside may act by the rights of an act that needs a grant.
        if _needs_a_grant(decide_act(case, act)):
            names |= find_lost_rights(case, act)
        else:
            rights[reserved] = None
    return rights
