"""Find the rights that other terms empty: what they grant is forbidden wherever they grant it.

A right is a permission, or what a licence lets its holder do, for one action. It is tried in every
legal position in which it is in force, on each combination that it covers. Where all of them are
forbidden, under every reading that lets it stand, the right is empty. It is no mistake of one term:
kind decides between two terms, and what forbids goes before what grants. A right that some event
may free of what forbids it stands by, and is not empty.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

import msgspec

from clauseway.agreement import Agreement, FactRegister, Licence, Permission
from clauseway.agreement.language.actions import ACTIONS
from clauseway.agreement.language.terms import AnyTerm
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Outcome
from clauseway.decisions.engine import decide_act
from clauseway.decisions.findings.coming import bears_on, by_supposition, position_of, supposing
from clauseway.decisions.findings.effects import choices_of_readings, readings_named
from clauseway.decisions.rights import is_given_by_right
from clauseway.decisions.tables.decision_table import DecisionTable, Sheet
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
    search.whatever_comes()
    return tuple(search.emptied())


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
        for term, sheet in self._held(readings, self._facts):
            self._try(term, sheet)

    def whatever_comes(self) -> None:
        """Try the rights that are empty so far with the events that may come."""
        empty = {term for term, _ in self.empty}
        terms = [term for each in self._agreement.amendments for term in each.terms]
        seen: set[Hashable] = set()
        coming = by_supposition(
            self._agreement, self._catalog, [term for term in terms if term.id in empty]
        )
        for supposed, concerned in coming.items():
            register = supposing(supposed, self._agreement, self._catalog, self._facts)
            for readings in readings_named(self._agreement):
                still = {term for term, _ in self.empty}
                pending = [term for term in concerned if term.id in still]
                about = frozenset().union(*(bears_on(self._catalog, term) for term in pending))
                if pending:
                    self._free_by(pending, self._held(readings, register, about), seen)

    def _free_by(
        self,
        terms: Iterable[AnyTerm],
        held: Iterable[tuple[Permission | Licence, Sheet]],
        seen: set[Hashable],
    ) -> None:
        """Try some rights, each in every legal position in which it was not tried before."""
        names = {term.id for term in terms}
        for right, sheet in held:
            if right.id in names and (tried := (right.id, position_of(sheet))) not in seen:
                seen.add(tried)
                self._try(right, sheet, recorded=False)

    def _held(
        self,
        readings: Mapping[str, str],
        facts: FactRegister,
        about: Collection[str] | None = None,
    ) -> Iterator[tuple[Permission | Licence, Sheet]]:
        """Yield each legal position with each right that is in force in it."""
        known_at = KnownAt.everything()
        table = DecisionTable(self._agreement, self._catalog, facts, known_at, readings)
        for sheet in table.sheets(about):
            for kind in (Permission, Licence):
                for state in sheet.case.states(kind):
                    if state.in_force and isinstance(state.term, Permission | Licence):
                        yield state.term, sheet

    def _try(self, term: Permission | Licence, sheet: Sheet, *, recorded: bool = True) -> None:
        case = sheet.case
        for act in sheet.acts:
            right = (term.id, act.action)
            if right in self._free:
                return
            if not (case.reaches(term, act) and is_given_by_right(case, term, act)):
                continue
            finding = decide_act(case, act)
            if finding.outcome is not Outcome.FORBIDDEN:
                self._free.add(right)
                return
            if recorded:
                by = {reason.term for reason in finding.reasons if reason.bearing == "forbids"}
                self._forbidden.setdefault(right, set()).update(by)

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
