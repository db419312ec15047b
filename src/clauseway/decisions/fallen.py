"""Find the rights that fall before they end, because whoever gave them loses its own right."""

from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

from clauseway.agreement import Agreement, FactRegister, Licence, Permission, TermState, in_force
from clauseway.agreement.language.terms import AnyTerm
from clauseway.catalog import Catalog
from clauseway.decisions.emptied import readings_named
from clauseway.decisions.givers import Givers, giver_of
from clauseway.values import FOREVER, Citation, KnownAt


class FallenRight(msgspec.Struct, frozen=True, kw_only=True):
    """A right that falls on a day, of which products, and the texts that take it from its giver."""

    term: str
    giver: str
    day: date
    products: tuple[str, ...]
    by: tuple[Citation, ...]


def fallen_rights(
    agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> tuple[FallenRight, ...]:
    """Return the rights that fall, with all that is known, under the readings that terms name."""
    fallen: dict[tuple[str, date], FallenRight] = {}
    last_day = FOREVER - timedelta(days=1)
    for readings in readings_named(agreement):
        folded = in_force(agreement, facts, last_day, KnownAt.everything(), readings)
        for right in _of(folded.states, catalog, last_day):
            fallen.setdefault((right.term, right.day), right)
    return tuple(fallen.values())


def _of(states: tuple[TermState, ...], catalog: Catalog, last_day: date) -> Iterator[FallenRight]:
    givers = Givers.of(states)
    lineages = {
        name: catalog.lineage(name) for name in sorted({*catalog.classes, *catalog.products})
    }
    for state in states:
        giver = giver_of(state.term)
        days: dict[date, list[str]] = {}
        for name, lineage in lineages.items() if giver else ():
            if not lineage.isdisjoint(_products(state.term)):
                lost = givers.lost(state, lineage, last_day)
                if lost is not None and lost.fell:
                    days.setdefault(lost.day, []).append(name)
        for day, names in days.items():
            # A class stands for all in it.
            widest = [name for name in names if lineages[name].isdisjoint({*names} - {name})]
            by = dict.fromkeys(
                broken.ended_by if broken.end == day else broken.term.citation
                for name in widest
                for broken in givers.broken(giver, lineages[name], day)
            )
            yield FallenRight(
                term=state.term.id, giver=giver, day=day, products=tuple(widest), by=tuple(by)
            )


def _products(term: AnyTerm) -> frozenset[str]:
    match term:
        case Permission():
            return term.products
        case Licence():
            return term.products.union(*(scope.products for scope in term.carries))
        case _:
            return frozenset()
