"""The interval table: for one sale, from when until when each unit costs what, one row per stretch without a change.

    UnknownPrice(LookupError)   usage whose price the book does not carry; names every product, cloud, unit and day

Of the entries that match a sale and were known, the most specific wins; among those the one that begins last (the
latest start up to the day), then the one recorded last.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise

import msgspec

from clauseway.metering import Unit, billable
from clauseway.pricing.book import Entry, PriceBook, Sale
from clauseway.values import KnownAt


class UnknownPrice(LookupError):
    """No price in the book for what was used. `missing` holds (sale, unit, day); nothing was charged."""

    def __init__(self, missing: Iterable[tuple[Sale, Unit, date]]) -> None:
        self.missing = tuple(sorted(set(missing)))
        super().__init__("\n".join(self._sentence(*missing) for missing in self.missing))

    @staticmethod
    def _sentence(sale: Sale, unit: Unit, day: date) -> str:
        place = f"{sale.cloud} in {sale.region}" if sale.region else sale.cloud
        return (
            f"no price for {unit.column} of {sale.product} on {place} sold by {sale.seller} on {day}: "
            f"add it to the price book"
        )


class PriceRow(msgspec.Struct, frozen=True, order=True):
    """What each unit of a sale costs, in picodollars, on the days `begin` ≤ day < `end`.

    Rows of one sale do not overlap. A unit that is not in `prices` has no price; `sources` is parallel to `prices`.
    """

    sale: Sale
    begin: date
    end: date
    prices: Mapping[Unit, int]
    sources: Mapping[Unit, str]


class ChargeLine(msgspec.Struct, frozen=True):
    """One unit's part of a charge: `quantity` × `price` picodollars = `amount`, at the price that `source` gives."""

    unit: Unit
    quantity: int
    price: int
    amount: int
    source: str


class Charge(msgspec.Struct, frozen=True):
    """What usage costs, in picodollars, and how that came about. The lines sum to it."""

    picodollars: int
    lines: tuple[ChargeLine, ...]

    @property
    def amount(self) -> Decimal:
        """USD, to twelve decimal places."""
        return Decimal(self.picodollars).scaleb(-12)


class PriceTable:
    """The book as known at one point. Immutable in what it answers; it keeps the rows it has already worked out."""

    def __init__(self, book: PriceBook, known_at: KnownAt) -> None:
        self.digest = book.digest
        self.known_at = known_at
        self._entries = [entry for entry in book.entries if entry.known_at.instant_ns <= known_at.instant_ns]
        self._rows: dict[Sale, tuple[PriceRow, ...]] = {}

    def rows(self, sales: Iterable[Sale]) -> list[PriceRow]:
        """The rows of these sales, for a join on equality of all dimensions and the day's interval."""
        return [row for sale in sorted(set(sales)) for row in self._rows_of(sale)]

    def row(self, sale: Sale, day: date) -> PriceRow:
        """The row in force that day; one without prices where the book says nothing."""
        for row in self._rows_of(sale):
            if row.begin <= day < row.end:
                return row
        return PriceRow(sale, day, day, {}, {})

    def price(self, sale: Sale, unit: Unit, day: date) -> int:
        """Picodollars for one unit. Raises UnknownPrice."""
        row = self.row(sale, day)
        if unit not in row.prices:
            raise UnknownPrice([(sale, unit, day)])
        return row.prices[unit]

    def charge(self, sale: Sale, day: date, report: Mapping[Unit, int]) -> Charge:
        """Price one report of usage, each token once. Raises UnknownPrice, naming every unit that has none."""
        row = self.row(sale, day)
        quantities = {unit: count for unit, count in billable(report, frozenset(row.prices)).items() if count}
        if missing := [(sale, unit, day) for unit in quantities if unit not in row.prices]:
            raise UnknownPrice(missing)
        lines = tuple(
            ChargeLine(unit, count, row.prices[unit], count * row.prices[unit], row.sources[unit])
            for unit, count in sorted(quantities.items())
        )
        return Charge(sum(line.amount for line in lines), lines)

    def _rows_of(self, sale: Sale) -> tuple[PriceRow, ...]:
        if sale not in self._rows:
            self._rows[sale] = _cut(sale, [entry for entry in self._entries if entry.matches(sale)])
        return self._rows[sale]


def _cut(sale: Sale, entries: list[Entry]) -> tuple[PriceRow, ...]:
    """Cut time where any entry begins or ends, and take each unit's winner in between."""
    bounds = sorted({bound for entry in entries for bound in (entry.interval.begin, entry.interval.end)})
    rows = []
    for begin, end in pairwise(bounds):
        winners = _winners(entries, begin)
        if winners:
            prices = {unit: entry.price for unit, entry in winners.items()}
            sources = {unit: entry.source for unit, entry in winners.items()}
            rows.append(PriceRow(sale, begin, end, prices, sources))
    return tuple(rows)


def _winners(entries: list[Entry], day: date) -> dict[Unit, Entry]:
    in_force = [entry for entry in entries if day in entry.interval]
    ranked = sorted(in_force, key=lambda entry: (entry.specificity, entry.interval.begin, entry.known_at))
    return {entry.unit: entry for entry in ranked}
