"""Models as data: their limits, the names under which clients ask for them, and the retirements of
names.

A product is the agreement's word; clients ask for names. A name is the product's own, an alias that
means it, or a dated snapshot of it. A vendor retires a snapshot, or the product itself, from a day
on; the successor is named, so that a client learns which name to ask for.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from clauseway.catalog.capabilities import SURFACES
from clauseway.catalog.rows import RowReader, check_rows, read_rows
from clauseway.values import FOREVER

KINDS = ("text", "embedding", "image", "speech", "transcription", "moderation")
_ROLES = ("alias", "snapshot")
# Vendors end the name of a snapshot in its day: gpt-4-0613, o1-2024-12-17, gpt-4-1106-preview.
_DATED = re.compile(r"-\d{4}(-\d\d-\d\d)?(-preview)?")
_MODEL_COLUMNS = (
    "product",
    "surface",
    "kind",
    "context_tokens_max",
    "output_tokens_max",
    "image_tokens_max",
    "source",
)
_NAME_COLUMNS = ("name", "product", "role", "from", "source")
_RETIREMENT_COLUMNS = ("name", "vendor", "day", "successor", "source")
# A vendor is a surface, or all whose names begin with it and a hyphen.
VENDORS = tuple(dict.fromkeys(part for name in SURFACES for part in (name.partition("-")[0], name)))


class ModelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a product on a surface (empty: on all), in tokens; 0 if not known.

    `image_tokens_max` is the most that one image in a request counts for.
    """

    product: str
    surface: str
    kind: str
    context_tokens_max: int
    output_tokens_max: int
    image_tokens_max: int
    source: str


class ProductName(msgspec.Struct, frozen=True, kw_only=True):
    """A name that clients may ask for: an alias of a product, or a dated snapshot of it, from a day
    on."""

    name: str
    product: str
    is_snapshot: bool
    begin: date
    source: str


class Retirement(msgspec.Struct, frozen=True, kw_only=True):
    """From `day` on a vendor (empty: every vendor) no longer serves a name. `successor` may be
    empty."""

    name: str
    vendor: str
    day: date
    successor: str
    source: str

    def holds_on(self, surface: str) -> bool:
        return self.vendor in ("", surface) or surface.startswith(f"{self.vendor}-")

    @property
    def sentence(self) -> str:
        """Return the answer to a client that asks for the name."""
        where = f" by {self.vendor}" if self.vendor else ""
        then = (
            f" Its successor is {self.successor!r}."
            if self.successor
            else " No successor is recorded."
        )
        retired = f"The model {self.name!r} was retired{where} on {self.day}."
        return f"{retired}{then} (Source: {self.source}.)"


class Models(msgspec.Struct, frozen=True):
    """All models, names and retirements. `models` is by product and surface."""

    models: Mapping[tuple[str, str], ModelLimits]
    names: tuple[ProductName, ...]
    retirements: tuple[Retirement, ...]

    def of(self, product: str, surface: str) -> ModelLimits:
        """Return a product's limits on a surface; a text model of unknown size if nothing is known
        of it."""
        unknown = ModelLimits(
            product=product,
            surface="",
            kind="text",
            context_tokens_max=0,
            output_tokens_max=0,
            image_tokens_max=0,
            source="",
        )
        # A surface may hold less or more than the product does elsewhere.
        return self.models.get((product, surface)) or self.models.get((product, "")) or unknown

    @property
    def products(self) -> frozenset[str]:
        """Return the products with limits or with a retirement. Aliases and snapshots are not
        products: what holds of one is asked of its product."""
        retired = {retirement.name for retirement in self.retirements}
        undated = {name for name in retired if not _DATED.search(name)}
        others = {name.name for name in self.names}
        return frozenset({product for product, _ in self.models} | (undated - others))

    def named(self, products: Iterable[str]) -> dict[str, str]:
        """Map each name that clients may ask for to its product, the products' own names first."""
        wanted = sorted(products)
        own = {product: product for product in wanted}
        return own | {
            name.name: name.product
            for name in self.names
            if name.product in own and name.name not in own
        }

    def ended(self, name: str, product: str, surface: str) -> Retirement | None:
        """Return what ends a name of a product on a surface: the name's own line, else the
        product's. Of several lines, return the line that names the surface most closely."""
        for ended in (name, product):
            lines = [line for line in self._lines_of(ended) if line.holds_on(surface)]
            if lines:
                return max(lines, key=lambda line: len(line.vendor))
        return None

    def names_of(self, ended: Retirement) -> list[str]:
        """Return the names that end by a line: the line's own name, and the product's other names
        without a line of that vendor."""
        others = [name for name in self.named([ended.name]) if name != ended.name]
        return [
            ended.name,
            *(
                name
                for name in others
                if all(line.vendor != ended.vendor for line in self._lines_of(name))
            ),
        ]

    def _lines_of(self, name: str) -> list[Retirement]:
        return [line for line in self.retirements if line.name == name]

    @property
    def snapshots(self) -> Mapping[str, str]:
        """Map each snapshot to its product."""
        return {name.name: name.product for name in self.names if name.is_snapshot}


def parse_models(models: str, names: str, retirements: str) -> Models:
    """Read the three files from their text. Raise InvalidInput with every problem in the first file
    that has any."""
    rows = read_rows(models, "models.csv", _MODEL_COLUMNS)
    limits = {(row.text("product"), row.text("surface")): _model(row) for row in rows}
    check_rows(rows, ("product", "surface"))
    rows = read_rows(names, "names.csv", _NAME_COLUMNS)
    products = sorted({product for product, _ in limits})
    listed = tuple(_name(row, products) for row in rows)
    check_rows(rows, ("name",))
    rows = read_rows(retirements, "retirements.csv", _RETIREMENT_COLUMNS)
    ended = tuple(_retirement(row) for row in rows)
    check_rows(rows, ("name", "vendor"))
    return Models(limits, listed, ended)


def _model(row: RowReader) -> ModelLimits:
    return ModelLimits(
        product=row.stated("product"),
        surface=row.one_of("surface", ("", *SURFACES)),
        kind=row.one_of("kind", KINDS),
        context_tokens_max=row.count("context_tokens_max"),
        output_tokens_max=row.count("output_tokens_max"),
        image_tokens_max=row.count("image_tokens_max"),
        source=row.stated("source"),
    )


def _name(row: RowReader, products: Sequence[str]) -> ProductName:
    return ProductName(
        name=row.stated("name"),
        product=row.one_of("product", products),
        is_snapshot=row.one_of("role", _ROLES) == "snapshot",
        begin=row.day("from", date.min),
        source=row.stated("source"),
    )


def _retirement(row: RowReader) -> Retirement:
    row.stated("day")
    return Retirement(
        name=row.stated("name"),
        vendor=row.one_of("vendor", ("", *VENDORS)),
        day=row.day("day", FOREVER),
        successor=row.text("successor"),
        source=row.stated("source"),
    )
