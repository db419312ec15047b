"""The product behind a vendor's name for a model: vendors write one model in many ways.

A name is looked up as it is, and then without what vendors add to it: a day, a version, a region, a
publisher, a hyphen for a point. A name that means no known product means none here: a slip must not
get round what an agreement states.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache

import msgspec

from clauseway.app.opening.offerings import shipped_models, shipped_products
from clauseway.catalog import Catalog

# Bedrock's regions of inference and publishers, Vertex's and open models' publishers.
_BEFORE = re.compile(
    r"^(us|eu|apac|au|jp|us-gov|global)\.(?=[a-z]+\.)|^(openai|anthropic|google)[./]", re.IGNORECASE
)
# A day or a version at the end: -20251001, @20251001, -2026-04-23, -v1:0, -1:0, -maas, -latest.
_AFTER = re.compile(r"([-@]\d{8}|-\d{4}-\d\d-\d\d|-v?\d+:\d+|-maas|-latest|@default)$")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Meant(msgspec.Struct, frozen=True):
    """The product that a name means, and the dated snapshot where the name is one."""

    product: str
    snapshot: str = ""


class ProductNames:
    """The products that may be meant: those of agreements, and those of the shipped catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        shipped = shipped_models()
        products = sorted({*catalog.products, *shipped_products()})
        self._names = shipped.named(products)
        self._snapshots = shipped.snapshots
        self._alike = {_alike(name): name for name in [*self._names, *products]}
        self.taken = frozenset(self._names)

    def meant(self, name: str) -> Meant | None:
        """Return the product that a vendor's name means, None if it is none that is known."""
        for written in _shortened(name):
            same = written if written in self._names else self._alike.get(_alike(written), "")
            if same:
                return Meant(self._names[same], same if same in self._snapshots else "")
        return None


def name_of_own(name: str) -> str:
    """Return a name that an agreement's text may have for a model: Latin letters, digits, dots,
    dashes and underscores."""
    return _NOT_IN_A_NAME.sub("-", name.strip()).strip("-._") or "model"


def _shortened(name: str) -> Iterable[str]:
    """Yield a name, and what remains of it without each addition of a vendor.

    Additions before the name go first: a day behind it belongs to the name of a snapshot.
    """
    yield name
    for addition in (_BEFORE, _AFTER):
        while (shorter := addition.sub("", name)) != name:
            name = shorter
            yield name


def _alike(name: str) -> str:
    """Return a name as those that differ in points, hyphens and Google's @ alone have it."""
    return re.sub(r"[._@]", "-", name.lower())


def snapshot_of(name: str) -> str:
    """Return the dated snapshot that a vendor's name is, empty where it is none that is known."""
    snapshots = _snapshots()
    known = (snapshots.get(_alike(written), "") for written in _shortened(name))
    return next(filter(None, known), "")


@cache
def _snapshots() -> Mapping[str, str]:
    """Return the snapshots that are known, each by how `_alike` writes it."""
    return {_alike(snapshot): snapshot for snapshot in shipped_models().snapshots}
