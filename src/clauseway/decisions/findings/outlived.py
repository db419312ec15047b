"""Find what stays reserved to parties whose own right to it has ended.

An exclusivity that stands by itself does not end with the right that it protects. In every legal
position in which it is in force, the acts inside it are decided. Where an act was permitted inside it, and
later each of them lacks a right that was lost, nobody is left who may act, until somebody is granted
it anew.
"""

from collections.abc import Iterator, Mapping
from datetime import date

import msgspec

from clauseway.agreement import Agreement, Exclusivity, FactRegister, TermState
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Outcome
from clauseway.decisions.engine import decide_act
from clauseway.decisions.findings.effects import readings_named
from clauseway.decisions.forbidding import is_inside
from clauseway.decisions.rights import find_lost_rights
from clauseway.decisions.tables.decision_table import DecisionTable, Sheet
from clauseway.values import FOREVER, KnownAt

# An exclusivity, an action that it reserves, and a product of it.
_Reserved = tuple[str, str, str]


class Outlived(msgspec.Struct, frozen=True, kw_only=True):
    """An exclusivity inside which nobody has a right to an action any more, since a day.

    `by` are the terms and facts that gave the rights. `until` is the day on which somebody has one
    again, or nothing is reserved any more; empty where neither ever comes.
    """

    term: str
    action: str
    product: str
    by: tuple[str, ...]
    since: date
    until: date | None


def outlived_rights(
    agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> tuple[Outlived, ...]:
    """Return what exclusivities reserve to parties whose rights have ended, with all that is known."""
    first: dict[_Reserved, Outlived] = {}
    for readings in readings_named(agreement):
        for outlived in _under(readings, agreement, catalog, facts):
            key = (outlived.term, outlived.action, outlived.product)
            first.setdefault(key, outlived)
    return tuple(first[key] for key in sorted(first))


def _under(
    readings: Mapping[str, str], agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> Iterator[Outlived]:
    """Yield what is reserved in vain under a choice of readings."""
    held: dict[_Reserved, set[date]] = {}
    lost: dict[_Reserved, dict[date, tuple[set[str], date]]] = {}
    table = DecisionTable(agreement, catalog, facts, KnownAt.everything(), readings)
    for sheet in table.sheets():
        for state in sheet.case.states(Exclusivity):
            # The exclusivity that a right wrote ends with the right.
            if state.in_force and state.right is None:
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


def _rights_inside(state: TermState, sheet: Sheet) -> dict[_Reserved, set[str] | None]:
    """Return the rights lost of what an exclusivity reserves; None where somebody may act."""
    case, term = sheet.case, state.term
    assert isinstance(term, Exclusivity)
    rights: dict[_Reserved, set[str] | None] = {}
    for act in sheet.acts:
        reserved = (term.id, act.action, act.product)
        # Somebody was found who may act: nothing more of it can be lost.
        if rights.get(reserved, set()) is None:
            continue
        if not case.reaches(term, act) or not is_inside(case, term, act):
            continue
        names = rights.setdefault(reserved, set())
        assert names is not None
        finding = decide_act(case, act)
        # Forbidden, or open by a new grant alone: nobody inside may act by this act's rights.
        if any(condition.term == "grant" for condition in finding.conditions) or (
            finding.outcome is Outcome.FORBIDDEN
        ):
            names |= find_lost_rights(case, act)
        else:
            rights[reserved] = None
    return rights
