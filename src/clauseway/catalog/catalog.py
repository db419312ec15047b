"""The parties, clouds, classes and products that an agreement speaks about, as data that its folder
declares.

A class may belong to a wider one (`api.stateless` to `api`); a scope that names the wider one holds
for all in it.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date

import msgspec

# The region of a place that lies in no defined region.
ELSEWHERE = "elsewhere"


class ProductClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class of products. `actions` are those that may be asked of it; `within` is the wider
    class, if any."""

    id: str
    within: str = ""
    actions: frozenset[str] = frozenset()


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product. `first_shipped_by` is the latest day by which it had first shipped, if no launch
    record names it."""

    id: str
    product_class: str
    first_shipped_by: date | None = None


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that may be named in a question or a fact. All mappings are by identifier.

    `regions`: the places of each region, by cloud. Empty where terms do not tell regions apart:
    then any text is a region.
    """

    parties: frozenset[str]
    clouds: frozenset[str]
    operators: Mapping[str, str]
    segments: frozenset[str]
    classes: Mapping[str, ProductClass]
    products: Mapping[str, Product]
    regions: Mapping[str, Mapping[str, frozenset[str]]] = msgspec.field(default_factory=dict)
    # The subjects of rights of first refusal, as facts of kind offer name them; None if not known.
    subjects: frozenset[str] | None = None
    # The products and classes of which each product is offered by itself, under its own name.
    offered_each: frozenset[str] = frozenset()
    # The events that an agreement defines and that are recorded, as facts of kind event name them.
    events: frozenset[str] = frozenset()

    def class_of(self, name: str) -> str:
        """Return the class of a product, or the class itself when a class is named."""
        return self.products[name].product_class if name in self.products else name

    def takes(self, name: str, action: str) -> bool:
        """Return whether a product or class takes an action, as its class says."""
        product_class = self.classes.get(self.class_of(name))
        return product_class is not None and action in product_class.actions

    def wider_taking(self, name: str, action: str) -> str:
        """Return the nearest wider class that takes an action which a product or class does not;
        empty if there is none.

        A class takes the actions that it lists itself, not those of a wider class.
        """
        at = self.class_of(name)
        if self.takes(at, action):
            return ""
        while at in self.classes and not self.takes(at, action):
            at = self.classes[at].within
        return at

    def names_product(self, name: str) -> bool:
        """Return whether a name is a product or a class."""
        return name in self.products or name in self.classes

    def belongs(self, name: str, scope: str) -> bool:
        """True if a product or class lies in `scope`, itself a product, a class or a wider
        class."""
        return scope in self.lineage(name)

    def lineage(self, name: str) -> frozenset[str]:
        """Return everything a product or class lies in: itself, its class and each wider class.

        A name that is neither lies in itself alone.
        """
        lineage = [name]
        at = self.class_of(name)
        while at in self.classes:
            lineage.append(at)
            at = self.classes[at].within
        return frozenset(lineage)

    def overlap(self, some: Iterable[str], others: Iterable[str]) -> bool:
        """Return whether a product can lie in both of two scopes, each products and classes."""
        others = tuple(others)
        return any(
            self.belongs(name, other) or self.belongs(other, name)
            for name in some
            for other in others
        )

    def widest(self, names: Collection[str]) -> list[str]:
        """Return products and classes without those that lie in another of them."""
        return [name for name in names if self.lineage(name).isdisjoint({*names} - {name})]

    def offer_subjects(self) -> frozenset[str] | None:
        """Return what an offer may be of; None if that is not known."""
        if self.subjects is None:
            return None
        each = [name for name in self.products if self.lineage(name) & self.offered_each]
        return self.subjects.union(each)

    def own_cloud(self, party: str) -> frozenset[str]:
        """Return the clouds that a party operates."""
        return frozenset(cloud for cloud, operator in self.operators.items() if operator == party)

    def region_of(self, cloud: str, place: str) -> str:
        """Return the region of a place of a cloud, or the region itself when a region is named.

        Empty if no term tells regions apart, or no place is given. Raise KeyError for a place whose
        region is not known.
        """
        if not self.regions or not place:
            return ""
        if place in self.regions or place == ELSEWHERE:
            return place
        for name, places in self.regions.items():
            if place in places.get(cloud, ()):
                return name
        raise KeyError(place)

    def places_of(self, cloud: str) -> frozenset[str]:
        """Return the places of a cloud whose region is known."""
        return frozenset(
            place for places in self.regions.values() for place in places.get(cloud, ())
        )
