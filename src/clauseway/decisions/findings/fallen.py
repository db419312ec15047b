"""Find the rights that fall before they end, because whoever gave them loses its own right."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import assert_never

import msgspec

from clauseway.agreement import (
    Agreement,
    Fact,
    FactRegister,
    Grant,
    Licence,
    Permission,
    Scope,
    TermState,
    Withdrawal,
    in_force,
)
from clauseway.agreement.language.terms import AnyTerm, Granting
from clauseway.catalog import Catalog
from clauseway.decisions.findings.effects import readings_named
from clauseway.decisions.givers import Givers, giver_of
from clauseway.values import DAY_BEFORE_FOREVER, FOREVER, Citation, KnownAt, through

# The day on which a right falls, and the day from which it counts again.
_Fall = tuple[date, date | None]


class FallenRight(msgspec.Struct, frozen=True, kw_only=True):
    """A right that falls on a day, of which products, and the texts that take it from its giver.

    `term` names a term, or the recorded `grant`. `again` is the day from which it counts again,
    because its giver's right was paused by an event; None if it never does.
    """

    term: str
    giver: str
    day: date
    products: tuple[str, ...]
    by: tuple[Citation, ...]
    again: date | None = None
    grant: Grant | None = None


def fallen_rights(
    agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> tuple[FallenRight, ...]:
    """Return the rights that fall, with all that is known, under the readings that terms name."""
    fallen: dict[tuple[str, date], FallenRight] = {}
    known_facts = facts.known(KnownAt.everything())
    withdrawals = FactRegister(
        tuple(fact for fact in known_facts.facts if isinstance(fact, Withdrawal))
    )
    names = sorted({*catalog.classes, *catalog.products})
    lineages = {name: catalog.lineage(name) for name in names}
    within: dict[str, list[str]] = defaultdict(list)
    for name, lineage in lineages.items():
        for wider in lineage:
            within[wider].append(name)
    for readings in readings_named(agreement):
        # A right may fall under one reading and stand under another.
        folded = in_force(
            agreement, known_facts, DAY_BEFORE_FOREVER, KnownAt.everything(), readings
        )
        search = _Search(
            givers=Givers.of(folded.states),
            lineages=lineages,
            within=within,
        )
        rights = chain(
            *map(search.of_term, folded.states),
            *(search.of_grant(fact, withdrawals) for fact in known_facts.facts),
        )
        for right in rights:
            fallen.setdefault((right.term, right.day), right)
    return tuple(fallen.values())


class _Search(msgspec.Struct, frozen=True):
    """The possible givers and their last days.

    `lineages` holds each product and class with its classes; `within`, in order of name, what lies
    in each.
    """

    givers: Givers
    lineages: Mapping[str, frozenset[str]]
    within: Mapping[str, Sequence[str]]

    def of_term(self, state: TermState) -> Iterator[FallenRight]:
        """Yield the days on which a term falls."""
        giver = giver_of(state.term)
        days: dict[_Fall, list[str]] = {}
        granted = _products(state.term) if giver and state.begin < state.end else ()
        for name in sorted({name for wider in granted for name in self.within.get(wider, ())}):
            for fall in self.givers.falls(giver, self.lineages[name], state.begin, state.end):
                days.setdefault(fall, []).append(name)
        for (day, again), names in days.items():
            fallen = self._fallen(state.term.id, giver, day, names)
            yield msgspec.structs.replace(fallen, again=again)

    def of_grant(self, grant: Fact, withdrawals: FactRegister) -> Iterator[FallenRight]:
        """Yield the days on which a recorded grant falls, by whoever granted it."""
        if not isinstance(grant, Grant):
            return
        days: dict[tuple[str, date], list[str]] = {}
        for name in self.within.get(grant.product, ()):
            lineage = self.lineages[name]
            giver = self.givers.grantor(lineage, grant.effective, DAY_BEFORE_FOREVER)
            if not giver:
                continue
            # A withdrawal of all of it ends the grant too; that of a part leaves the rest.
            ends = [FOREVER if grant.through is None else through(grant.through)]
            ends += [
                withdrawal.effective
                for withdrawal in withdrawals.withdrawals(grant, DAY_BEFORE_FOREVER)
                if withdrawal.product in lineage and withdrawal.scope == Scope()
            ]
            end = min(ends)
            last = self.givers.given_until(giver, lineage, grant.effective, end)
            if last is not None and last < end:
                days.setdefault((giver, last), []).append(name)
        for (giver, day), names in days.items():
            fallen = self._fallen(grant.name, giver, day, names)
            yield msgspec.structs.replace(fallen, grant=grant)

    def _fallen(self, right: str, giver: str, day: date, names: Sequence[str]) -> FallenRight:
        # A class stands for all in it.
        widest = [name for name in names if self.lineages[name].isdisjoint({*names} - {name})]
        by = dict.fromkeys(
            broken.ended_by if broken.end == day else broken.term.citation
            for name in widest
            for broken in self.givers.broken(giver, self.lineages[name], day)
        )
        return FallenRight(term=right, giver=giver, day=day, products=tuple(widest), by=tuple(by))


def _products(term: AnyTerm) -> frozenset[str]:
    """Return the products and classes to which a term grants a right."""
    if not isinstance(term, Granting):
        return frozenset()
    match term:
        case Permission():
            return term.products
        case Licence():
            return term.products.union(*(scope.products for scope in term.carries))
        case _:
            assert_never(term)
