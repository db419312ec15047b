"""Find what is reserved to nobody: whoever may act by one term is forbidden to by another.

In every legal position in which an exclusivity is in force, the acts inside it are decided. Where
all acts with a product are forbidden, nobody is left who may act: those outside are kept out by the
exclusivity itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain

import msgspec

from clauseway.agreement import (
    Agreement,
    Exclusivity,
    FactRegister,
    TermState,
    boundaries,
    in_force,
)
from clauseway.agreement.language.actions import SELL
from clauseway.catalog import Catalog
from clauseway.decisions.case import Case
from clauseway.decisions.decision import Outcome
from clauseway.decisions.engine import decide_act, host_of
from clauseway.decisions.findings.effects import readings_named
from clauseway.decisions.forbidding import cite_forbidding_terms, is_inside, stands
from clauseway.decisions.reach import Act
from clauseway.decisions.tables.decision_table import DecisionTable, Sheet
from clauseway.values import KnownAt

# An exclusivity, an action that it reserves, and a product of it.
_Reserved = tuple[str, str, str]


class ReservedToNobody(msgspec.Struct, frozen=True, kw_only=True):
    """An exclusivity inside which an action with a product is forbidden, and by which terms.

    `hosts` are those of the sales, where it is they who are kept from serving, and not the sellers
    from selling.
    `since` is the first day of it; empty where it is so on each day on which the term is in force.
    `until` is the first day after `since` on which it is so no more; empty where there is none.
    `rights` are those by which somebody may act inside it on other days, and that do not hold on the
    first of these.
    """

    term: str
    action: str
    product: str
    by: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    since: date | None
    until: date | None = None
    rights: tuple[str, ...] = ()


def reserved_to_nobody(
    agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> tuple[ReservedToNobody, ...]:
    """Return what exclusivities reserve to somebody whom other terms forbid it."""
    search = _Search()
    tables = [
        DecisionTable(agreement, catalog, facts, KnownAt.everything(), readings)
        for readings in readings_named(agreement)
    ]
    for sheet in chain.from_iterable(table.sheets() for table in tables):
        for state in sheet.case.states(Exclusivity):
            if state.in_force:
                search.look(state, sheet)
    return tuple(_lasting(act, tables, facts) if act.since else act for act in search.reserved())


def _lasting(
    closed: ReservedToNobody, tables: Iterable[DecisionTable], facts: FactRegister
) -> ReservedToNobody:
    """Return the finding with its end, and with the rights that would end it sooner."""
    inside_it = [
        (sheet.case, msgspec.structs.replace(act, product=closed.product))
        for table in tables
        for sheet in table.sheets()
        for state in sheet.case.states(Exclusivity)
        if state.term.id == closed.term and state.in_force
        for act in sheet.acts
        if act.action == closed.action and _is_inside(sheet.case, state, act)
    ]
    # A right that holds on the first of these days brings nothing back: a term forbids it all the same.
    cases = [
        sheet.case for table in tables for sheet in table.sheets() if sheet.day == closed.since
    ]
    holding = set().union(*map(_in_force, cases))
    return msgspec.structs.replace(
        closed,
        until=_until(closed, inside_it, facts),
        rights=tuple(sorted(_rights(inside_it) - holding)),
    )


def _in_force(case: Case) -> set[str]:
    """Return the terms that are in force in a case."""
    states = chain.from_iterable(case.by_kind.values())
    return {state.term.id for state in states if state.in_force}


def _rights(inside_it: Iterable[tuple[Case, Act]]) -> set[str]:
    """Return the rights that permit acts in their legal positions."""
    return {
        reason.term
        for case, act in inside_it
        for reason in decide_act(case, act).reasons
        if reason.bearing == "permits"
    }


def _until(
    closed: ReservedToNobody, inside_it: Sequence[tuple[Case, Act]], facts: FactRegister
) -> date | None:
    """Return the first day on which an act inside is not forbidden any more, or is not reserved."""
    if not inside_it or closed.since is None:
        return None
    # Legal positions that recur are walked once, so each later day is decided for itself.
    # One case suffices: `_on` makes it anew for each day.
    case, acts = inside_it[0][0], {act for _, act in inside_it}
    known_at = case.question.known_at
    known_facts = facts.known(known_at)
    for day in boundaries(case.agreement, known_facts, known_at):
        if day <= closed.since:
            continue
        on_day = _on(case, known_facts, day)
        states = on_day.states(Exclusivity)
        holding = [state for state in states if state.term.id == closed.term and state.in_force]
        # Once the exclusivity is over, nothing is reserved by it.
        if not holding or any(
            _is_inside(on_day, holding[0], act)
            and decide_act(on_day, act).outcome is not Outcome.FORBIDDEN
            for act in acts
        ):
            return day
    return None


def _on(case: Case, facts: FactRegister, day: date) -> Case:
    """Return the case as it stands on another day. A position's own facts are not all of them."""
    question = msgspec.structs.replace(case.question, as_of=day)
    force = in_force(case.agreement, facts, day, question.known_at, question.readings)
    return Case.of(case.agreement, case.catalog, force, facts, question)


def _is_inside(case: Case, state: TermState, act: Act) -> bool:
    """Return whether an exclusivity reaches an act, which lies inside what it reserves."""
    term = state.term
    assert isinstance(term, Exclusivity)
    return case.reaches(term, act) and is_inside(case, term, act) and stands(case, state, act)


class _Search:
    """The acts free somewhere, and those forbidden throughout a legal position."""

    def __init__(self) -> None:
        self._free: set[_Reserved] = set()
        self._closed: dict[_Reserved, dict[date, set[str]]] = {}
        # The hosts of sales that nothing forbids, and sales that are forbidden themselves.
        self._hosts: dict[_Reserved, set[str]] = {}
        self._forbidden: set[_Reserved] = set()

    def look(self, state: TermState, sheet: Sheet) -> None:
        """Decide the acts inside an exclusivity in a legal position, until one is not forbidden."""
        case, term = sheet.case, state.term
        assert isinstance(term, Exclusivity)
        forbidding: dict[_Reserved, set[str]] = {}
        free: set[_Reserved] = set()
        for act in sheet.acts:
            reserved = (term.id, act.action, act.product)
            if reserved in free or not _is_inside(case, state, act):
                continue
            finding = decide_act(case, act)
            if finding.outcome is not Outcome.FORBIDDEN:
                free.add(reserved)
                continue
            by = {reason.term for reason in finding.reasons if reason.bearing == "forbids"}
            forbidding.setdefault(reserved, set()).update(by)
            if act.action == SELL and not cite_forbidding_terms(case, (act,), act.party):
                host = host_of(case, act, case.owner(act))
                self._hosts.setdefault(reserved, set()).add(host)
            else:
                self._forbidden.add(reserved)
        self._free |= free
        for reserved, by in forbidding.items():
            # Where only a right has ended, no term forbids it to those who are left.
            if reserved not in free and by:
                self._closed.setdefault(reserved, {}).setdefault(sheet.day, set()).update(by)

    def reserved(self) -> Iterator[ReservedToNobody]:
        for reserved, days in sorted(self._closed.items()):
            term, action, product = reserved
            hosts = self._hosts.get(reserved, set()) if reserved not in self._forbidden else ()
            since = min(days)
            yield ReservedToNobody(
                term=term,
                action=action,
                product=product,
                by=tuple(sorted(days[since])),
                hosts=tuple(sorted(hosts)),
                since=since if reserved in self._free else None,
            )
