"""Find what a licence carries that its licensor could on no day do or license on."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from clauseway.agreement import Agreement, FactRegister, Licence, Scope, TermState, in_force
from clauseway.agreement.soundness.lives import whatever_happens
from clauseway.catalog import Catalog
from clauseway.decisions.findings.effects import readings_named
from clauseway.decisions.givers import Givers, giver_of
from clauseway.values import DAY_BEFORE_FOREVER, KnownAt


class NeverGiven(msgspec.Struct, frozen=True, kw_only=True):
    """Products that a part of a licence carries and its licensor may never license on.

    `part` counts from 1. `links` are the permissions by which the licensor licenses other products
    on, up to a party that could give these; empty where there are none.
    """

    term: str
    part: int
    products: tuple[str, ...]
    links: tuple[str, ...]


def never_given(
    agreement: Agreement, catalog: Catalog, facts: FactRegister
) -> tuple[NeverGiven, ...]:
    """Return what licences carry in vain under every reading under which they stand.

    With all that is known, and whatever events begin or pause the right to license on.
    """
    everything = KnownAt.everything()
    by_readings: list[dict[tuple[str, int], NeverGiven | None]] = []
    for readings in readings_named(agreement):
        folded = in_force(
            whatever_happens(agreement),
            facts.known(everything),
            DAY_BEFORE_FOREVER,
            everything,
            readings,
        )
        search = _Search(catalog=catalog, givers=Givers.of(folded.states))
        by_readings.append(
            {
                (state.term.id, part): search.in_vain(state, scope, part)
                for state in folded.states
                if isinstance(state.term, Licence) and state.begin < state.end
                for part, scope in enumerate(state.term.carries, start=1)
            }
        )
    by_part: dict[tuple[str, int], list[NeverGiven | None]] = {}
    for parts in by_readings:
        for key, part_in_vain in parts.items():
            by_part.setdefault(key, []).append(part_in_vain)
    return tuple(each[0] for each in by_part.values() if each[0] is not None and None not in each)


class _Search(msgspec.Struct, frozen=True):
    """The possible givers of each product and their last days, under one choice of readings."""

    catalog: Catalog
    givers: Givers

    def in_vain(self, state: TermState, scope: Scope, part: int) -> NeverGiven | None:
        """Return the products of a part that its licensor can never give; None if there are none.

        For a part that names no products, return them only if the licensor can give none at all.
        """
        giver = giver_of(state.term)
        owned = [name for name in self._askable(scope) if self._is_ever_owned(name)]
        lost = [
            name
            for name in owned
            if self.givers.given_until(giver, self.catalog.lineage(name), state.begin, state.end)
            is None
        ]
        if not scope.products and lost != owned:
            return None
        widest = self._widest(lost, given={*owned} - {*lost})
        if not widest:
            return None
        links = self._links(giver, widest[0], state, ())
        return NeverGiven(term=state.term.id, part=part, products=tuple(widest), links=links)

    def _widest(self, lost: Sequence[str], given: Collection[str]) -> list[str]:
        """Return the widest of these names, without a class of which some product can be given."""
        lineage = self.catalog.lineage
        return self.catalog.widest(
            [name for name in lost if not any(name in lineage(other) for other in given)]
        )

    def _askable(self, scope: Scope) -> Iterator[str]:
        """Yield the products and classes of a scope that take an action of it."""
        for name in sorted({*self.catalog.classes, *self.catalog.products}):
            actions = self.catalog.classes[self.catalog.class_of(name)].actions
            if actions & (scope.actions or actions) and (
                not scope.products or not self.catalog.lineage(name).isdisjoint(scope.products)
            ):
                yield name

    def _is_ever_owned(self, name: str) -> bool:
        lineage = self.catalog.lineage(name)
        return any(
            not lineage.isdisjoint(getattr(state.term, "products", ()))
            for state in self.givers.owning
        )

    def _links(
        self, giver: str, name: str, right: TermState, behind: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Return the permissions to license on of a party, up to one of a party that could give."""
        lineage, asked = self.catalog.lineage(name), (giver, *behind)
        for state in self.givers.licensing:
            begin, end = max(state.begin, right.begin), min(state.end, right.end)
            grantor = giver_of(state.term)
            if getattr(state.term, "party", "") != giver or begin >= end or grantor in asked:
                continue
            if not grantor or self.givers.given_until(grantor, lineage, begin, end) is not None:
                return (state.term.id,)
            if further := self._links(grantor, name, right, asked):
                return (state.term.id, *further)
        return ()
