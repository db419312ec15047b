"""Find the rights that other terms empty: what they grant is forbidden wherever they grant it.

A right is a permission, or what a licence lets its holder do, for one action. It is tried in every
situation in which it is in force, on each combination that it covers. Where all of them are
forbidden, under every reading that lets it stand, the right is empty. It is no mistake of one term:
kind decides between two terms, and what forbids goes before what grants.
"""

from collections.abc import Iterator, Mapping

import msgspec

from clauseway.agreement import Agreement, FactRegister, Licence, Permission
from clauseway.agreement.language.actions import ACTIONS
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Outcome
from clauseway.decisions.effects import choices_of_readings
from clauseway.decisions.engine import decide_act
from clauseway.decisions.rights import given_by_right
from clauseway.decisions.table import DecisionTable, Sheet
from clauseway.values import KnownAt

# A term and one of the actions that it grants.
_Right = tuple[str, str]


class Emptied(msgspec.Struct, frozen=True, kw_only=True):
    """A term of which some actions are forbidden wherever it grants them, and by which terms.

    `whole` is true where nothing that it grants is left.
    """

    term: str
    actions: tuple[str, ...]
    whole: bool
    by: tuple[str, ...]


def emptied(agreement: Agreement, catalog: Catalog, facts: FactRegister) -> tuple[Emptied, ...]:
    """Return the terms that grant something which other terms forbid altogether."""
    search = _Search(agreement, catalog, facts)
    for readings in readings_named(agreement):
        search.under(readings)
    for readings in choices_of_readings(agreement):
        if not search.empty:
            break
        search.under(readings)
    return tuple(search.emptied())


def readings_named(agreement: Agreement) -> Iterator[Mapping[str, str]]:
    """Yield the default readings, and those under which single terms stand."""
    default = agreement.default_readings()
    under = [{}, *(term.under for amendment in agreement.amendments for term in amendment.terms)]
    seen: list[Mapping[str, str]] = []
    for options in under:
        if options not in seen:
            seen.append(options)
            yield {**default, **options}


class _Search:
    """The rights seen so far, those that leave something to do, and the terms that forbid."""

    def __init__(self, agreement: Agreement, catalog: Catalog, facts: FactRegister) -> None:
        self._agreement, self._catalog, self._facts = agreement, catalog, facts
        self._forbidden: dict[_Right, set[str]] = {}
        self._free: set[_Right] = set()

    @property
    def empty(self) -> set[_Right]:
        return set(self._forbidden) - self._free

    def under(self, readings: Mapping[str, str]) -> None:
        """Try the rights that stand under some readings, with all that is known."""
        known_at = KnownAt.everything()
        table = DecisionTable(self._agreement, self._catalog, self._facts, known_at, readings)
        for sheet in table.sheets():
            for kind in (Permission, Licence):
                for state in sheet.case.states(kind):
                    if state.in_force and isinstance(state.term, Permission | Licence):
                        self._try(state.term, sheet)

    def _try(self, term: Permission | Licence, sheet: Sheet) -> None:
        case = sheet.case
        for act in sheet.acts:
            right = (term.id, act.action)
            if right in self._free:
                return
            if not (case.reaches(term, act) and given_by_right(case, term, act)):
                continue
            finding = decide_act(case, act)
            if finding.outcome is not Outcome.FORBIDDEN:
                self._free.add(right)
                return
            forbidding = {reason.term for reason in finding.reasons if reason.bearing == "forbids"}
            self._forbidden.setdefault(right, set()).update(forbidding)

    def emptied(self) -> Iterator[Emptied]:
        empty = self.empty
        for term in dict.fromkeys(term for term, _ in sorted(empty)):
            actions = tuple(action for action in ACTIONS if (term, action) in empty)
            yield Emptied(
                term=term,
                actions=actions,
                whole=not any(of == term for of, _ in self._free),
                by=tuple(sorted(set().union(*(self._forbidden[term, act] for act in actions)))),
            )
