"""Find what is reserved to nobody: whoever may act by one term is forbidden to by another.

In every situation in which an exclusivity is in force, the acts inside it are decided. Where all
acts with a product are forbidden, nobody is left who may act: those outside are kept out by the
exclusivity itself.
"""

from collections.abc import Iterator
from datetime import date

import msgspec

from clauseway.agreement import Agreement, Exclusivity, FactRegister, TermState
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Outcome
from clauseway.decisions.emptied import readings_named
from clauseway.decisions.engine import decide_act
from clauseway.decisions.forbidding import inside, stands
from clauseway.decisions.table import DecisionTable, Sheet
from clauseway.values import KnownAt

# An exclusivity, an action that it reserves, and a product of it.
_Reserved = tuple[str, str, str]


class ReservedToNobody(msgspec.Struct, frozen=True, kw_only=True):
    """An exclusivity inside which an action with a product is forbidden, and by which terms.

    `since` is the first day of it; empty where it is so on each day on which the term is in force.
    """

    term: str
    action: str
    product: str
    by: tuple[str, ...]
    since: date | None


def reserved_to_nobody(
    agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> tuple[ReservedToNobody, ...]:
    """Return what exclusivities reserve to somebody whom other terms forbid it."""
    search = _Search()
    for readings in readings_named(agreement):
        table = DecisionTable(agreement, catalog, facts, KnownAt.everything(), readings)
        for sheet in table.sheets():
            for state in sheet.case.states(Exclusivity):
                if state.in_force:
                    search.look(state, sheet)
    return tuple(search.reserved())


class _Search:
    """What is free somewhere, and what is forbidden throughout a situation."""

    def __init__(self) -> None:
        self._free: set[_Reserved] = set()
        self._closed: dict[_Reserved, dict[date, set[str]]] = {}

    def look(self, state: TermState, sheet: Sheet) -> None:
        """Decide the acts inside an exclusivity in a situation, until one is not forbidden."""
        case, term = sheet.case, state.term
        assert isinstance(term, Exclusivity)
        forbidding: dict[_Reserved, set[str]] = {}
        free: set[_Reserved] = set()
        for act in sheet.acts:
            reserved = (term.id, act.action, act.product)
            if reserved in free or not case.reaches(term, act) or not inside(case, term, act):
                continue
            if not stands(case, state, act):
                continue
            finding = decide_act(case, act)
            if finding.outcome is not Outcome.FORBIDDEN:
                free.add(reserved)
                continue
            by = {reason.term for reason in finding.reasons if reason.bearing == "forbids"}
            forbidding.setdefault(reserved, set()).update(by)
        self._free |= free
        for reserved, by in forbidding.items():
            # Where only a right has ended, no term forbids it to those who are left.
            if reserved not in free and by:
                self._closed.setdefault(reserved, {}).setdefault(sheet.day, set()).update(by)

    def reserved(self) -> Iterator[ReservedToNobody]:
        for (term, action, product), days in sorted(self._closed.items()):
            since = min(days)
            yield ReservedToNobody(
                term=term,
                action=action,
                product=product,
                by=tuple(sorted(days[since])),
                since=since if (term, action, product) in self._free else None,
            )
