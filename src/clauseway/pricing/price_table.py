"""The interval table: for one sale, the price of each unit and its days, one row per stretch
without a change.

    UnknownPrice(LookupError)   usage whose price no book carries;
                                names every product, cloud, unit and day

Among the entries that match a sale and were known, the first book with any entry wins, and no price
of another book stands beside its prices: a book is whole for a model that it prices. Within that
book the most specific entry wins, then the longest step of context, then the latest begin up to the
day, then the latest recording. A discount is off the list price: it is chosen among the discounts
in the same way. Where a price that names the buyer is in force, no discount applies, because that
price was negotiated as a whole. A discounted price is rounded once, half-even, to a whole pico per
unit.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import msgspec

from clauseway.metering import Unit, billable
from clauseway.metering.endpoints import BATCH, has_length
from clauseway.metering.units import WHOLES
from clauseway.pricing.book import PriceBook
from clauseway.pricing.price_conditions import HOUR, NAMES, Conditions, Sale, classes_of_hours
from clauseway.pricing.price_entry import PriceEntry
from clauseway.values import USD, InvalidInput, KnownAt, exact_product, round_half_even

_RATE_PLACES = 12
_ADD_IT = "add it to the price book; one that prices a model prices all of its units"
_HUNDRED, _ONE = Decimal(100), Decimal(1)


class UnknownPrice(LookupError):
    """No price in the book for some usage.

    `missing` holds (sale, unit, day), `sentences` the same in words; nothing was charged.
    """

    def __init__(self, missing: Iterable[tuple[Sale, Unit, date]]) -> None:
        self.missing = tuple(sorted(set(missing)))
        self.sentences = tuple(self._sentence(*missing) for missing in self.missing)
        super().__init__(
            "\n".join(f"no price for {sentence}: {_ADD_IT}" for sentence in self.sentences)
        )

    @staticmethod
    def _sentence(sale: Sale, unit: Unit, day: date) -> str:
        place = f"{sale.cloud} in {sale.region}" if sale.region else sale.cloud
        return f"{unit.column} of {sale.product} on {place} sold by {sale.seller} on {day}"


class Price(msgspec.Struct, frozen=True):
    """The price of one unit, in picos of `currency`: the entry that won, and the discount on it, if
    any."""

    price: int
    entry: PriceEntry
    discount: PriceEntry | None = None

    @property
    def source(self) -> str:
        off = (
            f", less {self.discount.percent.normalize():f} %: {self.discount.source}"
            if self.discount
            else ""
        )
        return f"{self.entry.source}{off}"

    @property
    def place(self) -> str:
        """Return the winning book and its line."""
        return self.entry.place + (f" less {self.discount.place}" if self.discount else "")


class PriceRow(msgspec.Struct, frozen=True):
    """The prices of a sale's units, in picos of `currency`, on the days `begin` ≤ day < `end`.

    Rows of one sale do not overlap. A unit that is not in `prices` has no price; `won` holds the
    entry behind each price.
    """

    sale: Sale
    begin: date
    end: date
    prices: Mapping[Unit, int]
    won: Mapping[Unit, Price]
    currency: str = USD

    @property
    def sources(self) -> Mapping[Unit, str]:
        return {unit: won.source for unit, won in self.won.items()}


class ChargeLine(msgspec.Struct, frozen=True):
    """One unit's part of a charge: `quantity` × `price` picos = `amount`, at the price that
    `source` gives.

    `place` is the winning book and line, and the line of a discount.
    """

    unit: Unit
    quantity: int
    price: int
    amount: int
    source: str
    place: str = ""


class Charge(msgspec.Struct, frozen=True):
    """The charge for usage, in picos of `currency`, with its lines, which sum to it."""

    picodollars: int
    lines: tuple[ChargeLine, ...]
    currency: str = USD

    @property
    def amount(self) -> Decimal:
        """Return the amount in its currency, to twelve decimal places."""
        return Decimal(self.picodollars).scaleb(-12)


class Grain(msgspec.Struct, frozen=True, kw_only=True):
    """The fineness by which sales must be told apart so that all sales of a group have one price.

    `further` names the conditions that count beyond product, cloud, seller and region. Only the
    buyers and endpoints that an entry names differ from the rest; `steps` are the lengths of
    context at which a price changes, ascending; `hours` maps each hour of the week to the first
    hour with its prices. `units` are the units that have a price or need one. `dear` gives each
    product (empty: any) the length above which its price changes.
    """

    further: frozenset[str]
    buyers: frozenset[str]
    tiers: frozenset[str]
    endpoints: frozenset[str]
    steps: tuple[int, ...]
    hours: Mapping[int, int]
    units: frozenset[Unit]
    dear: Mapping[str, int] = {}

    def __hash__(self) -> int:
        # Mappings have no hash. Grains that differ in them alone are told apart as equals are.
        return hash((self.further, self.buyers, self.endpoints, self.steps, self.units))

    def group_of(self, sale: Sale) -> Sale:
        """Return the sale that stands for all of its group."""
        return Sale(
            sale.product,
            sale.cloud,
            sale.seller,
            sale.region,
            sale.buyer if sale.buyer in self.buyers else "",
            sale.tier if sale.tier in self.tiers else "",
            sale.endpoint if sale.endpoint in self.endpoints else "",
            # One token more than the step lies above it, and above no longer step.
            max((step + 1 for step in self.steps if sale.context > step), default=0),
            self.hours.get(sale.hour, -1) if HOUR in self.further else -1,
        )


class DatedRates(Protocol):
    """Dated exchange rates that a user supplies. `digest` is the hash of their text, for
    receipts."""

    @property
    def digest(self) -> str: ...

    def at(self, day: date, base: str, quote: str) -> Fraction:
        """Return the value of one `base` in `quote` on a day. Raise InvalidInput if no rate is
        known."""


class PriceTable:
    """Books as known at one point, the first over the others. Immutable in its answers; it caches
    rows.

    Prices in other currencies than USD are converted at the rates of the event's day.
    """

    def __init__(
        self,
        books: PriceBook | Sequence[PriceBook],
        known_at: KnownAt,
        rates: DatedRates | None = None,
    ) -> None:
        self.books = (books,) if isinstance(books, PriceBook) else tuple(books)
        self.known_at = known_at
        self.digest = table_digest(
            [book.digest for book in self.books] + ([rates.digest] if rates else [])
        )
        self.rates = rates
        # The first book goes before all others: an operator's own stands before those that ship.
        self._rank = {book.name: rank for rank, book in enumerate(reversed(self.books))}
        self._rows: dict[Sale, tuple[PriceRow, ...]] = {}
        self._grains: dict[Sale, Grain] = {}
        self._places: dict[Sale, list[PriceEntry]] = {}
        self._narrowed: dict[tuple[Sale, str], list[PriceEntry]] = {}

    @cached_property
    def _entries(self) -> Mapping[str, Sequence[PriceEntry]]:
        """Return the entries known by then, by product; those for any product under the empty
        name."""
        by_product: dict[str, list[PriceEntry]] = {}
        for book in self.books:
            for entry in book.entries:
                if entry.known_at.instant_ns <= self.known_at.instant_ns:
                    by_product.setdefault(entry.conditions.product, []).append(entry)
        return by_product

    def _of(self, place: Sale) -> list[PriceEntry]:
        """Return the entries that may hold for a product, cloud, seller and region."""
        entries = [*self._entries.get("", ()), *self._entries.get(place.product, ())]
        return [entry for entry in entries if entry.conditions.may_match(place)]

    def grain(self, places: Iterable[Sale]) -> Grain:
        """Return how finely sales of these products, clouds, sellers and regions must be told
        apart."""
        entries = {id(entry): entry for place in places for entry in self._of(place)}.values()
        conditions = [entry.conditions for entry in entries]
        units = {
            unit for entry in entries if (unit := entry.unit) is not None and not entry.is_discount
        }
        # The first step of each product: the length above which a price changes.
        dear: dict[str, int] = {}
        for condition in conditions:
            if condition.above:
                dear[condition.product] = min(
                    condition.above, dear.get(condition.product, condition.above)
                )
        return Grain(
            further=frozenset().union(*(condition.further for condition in conditions)),
            buyers=_named(conditions, "buyer"),
            tiers=_named(conditions, "tier"),
            endpoints=_named(conditions, "endpoint"),
            steps=tuple(sorted({condition.above for condition in conditions} - {0})),
            hours=classes_of_hours(condition.hours for condition in conditions if condition.hours),
            units=frozenset(units) | WHOLES,
            dear=dear,
        )

    def rows(self, sales: Iterable[Sale]) -> list[PriceRow]:
        """Return the rows of these sales, for a join on equality of everything in the sale and the
        day's interval."""
        return [
            row if row.sale == sale else msgspec.structs.replace(row, sale=sale)
            for sale in sorted(set(sales))
            for row in self._rows_of(sale)
        ]

    def row(self, sale: Sale, day: date) -> PriceRow:
        """Return the row in force that day; a row without prices if the books have none."""
        for row in self._rows_of(sale):
            if row.begin <= day < row.end:
                return row
        return PriceRow(sale, day, day, {}, {})

    def price(self, sale: Sale, unit: Unit, day: date) -> int:
        """Return the picos for one unit. Raise UnknownPrice."""
        row = self.row(sale, day)
        if unit not in row.prices:
            raise UnknownPrice([(sale, unit, day)])
        return row.prices[unit]

    def charge(self, sale: Sale, day: date, report: Mapping[Unit, int]) -> Charge:
        """Price one report of usage, each token once. Raise UnknownPrice, naming every unit without
        a price.

        The length of the context is the report's own.
        """
        return self.charge_sum(in_context(sale, report), day, report)

    def charge_sum(self, sale: Sale, day: date, report: Mapping[Unit, int]) -> Charge:
        """Price the sum of reports that have one price (see `Grain.group_of`): the context's length
        is the sale's.

        Raise UnknownPrice.
        """
        # Parts with a price of their own are taken out of their wholes; unpriced wholes are errors.
        row = self.row(sale, day)
        quantities = {
            unit: count for unit, count in billable(report, frozenset(row.prices)).items() if count
        }
        if missing := [(sale, unit, day) for unit in quantities if unit not in row.prices]:
            raise UnknownPrice(missing)
        lines = tuple(
            ChargeLine(unit, count, won.price, count * won.price, won.source, won.place)
            for unit, count in sorted(quantities.items())
            if (won := row.won[unit])
        )
        return Charge(sum(line.amount for line in lines), lines, row.currency)

    def usd(self, currency: str, day: date) -> Decimal:
        """Return the value of one unit of a currency in USD on a day, half-even to twelve places.

        Converting sums and summing converted amounts are then the same. Raise InvalidInput if no
        rate is known.
        """
        if currency == USD:
            return Decimal(1)
        if self.rates is None:
            message = f"prices in {currency}"
            remedy = "Accept a file with day,base,quote,rate: clauseway basis rates FILE --why …."
            raise InvalidInput.of(
                what=message, why="no rates are held", where="rates", remedy=remedy
            )
        rate = self.rates.at(day, currency, USD)
        return Decimal(round(rate * 10**_RATE_PLACES)).scaleb(-_RATE_PLACES)

    def looked_at(self, sale: Sale, unit: Unit) -> list[PriceEntry]:
        """Return every entry on a unit of that product, whenever it was recorded, in the order of
        the books."""
        return [
            entry
            for book in self.books
            for entry in book.entries
            if entry.conditions.product in ("", sale.product) and entry.unit in (unit, None)
        ]

    def rank(self, entry: PriceEntry) -> tuple[int, int, int, date, KnownAt]:
        """Return the key that decides between entries that match and are in force: the greatest
        wins."""
        conditions = entry.conditions
        return (
            self._rank.get(entry.book, 0),
            entry.specificity,
            conditions.above,
            entry.interval.begin,
            entry.known_at,
        )

    def _rows_of(self, sale: Sale) -> tuple[PriceRow, ...]:
        place = Sale(sale.product, sale.cloud, sale.seller, sale.region)
        if place not in self._grains:
            self._grains[place] = self.grain([place])
        group = self._grains[place].group_of(sale)
        if group not in self._rows:
            # Filter by place and buyer first: most entries of a long book are other buyers'.
            entries = [
                entry
                for entry in self._narrow(place, group.buyer)
                if entry.conditions.matches(group)
            ]
            self._rows[group] = tuple(self._cut(group, entries))
        return self._rows[group]

    def _narrow(self, place: Sale, buyer: str) -> list[PriceEntry]:
        """Return the entries that may hold for a buyer there: most of a long book may be prices of
        others."""
        if place not in self._places:
            self._places[place] = self._of(place)
        if (place, buyer) not in self._narrowed:
            entries = [
                entry for entry in self._places[place] if entry.conditions.buyer in ("", buyer)
            ]
            self._narrowed[place, buyer] = entries
        return self._narrowed[place, buyer]

    def _cut(self, sale: Sale, entries: list[PriceEntry]) -> Iterable[PriceRow]:
        """Cut time where any entry begins or ends, and take each unit's winner in between."""
        bounds = sorted(
            {bound for entry in entries for bound in (entry.interval.begin, entry.interval.end)}
        )
        for begin, end in pairwise(bounds):
            in_force = [entry for entry in entries if begin in entry.interval]
            won = self._winners(_of_batches(in_force) if sale.tier == BATCH else in_force)
            if won:
                prices = {unit: price.price for unit, price in won.items()}
                yield PriceRow(sale, begin, end, prices, won, _currency(won.values()))

    def _winners(self, in_force: list[PriceEntry]) -> dict[Unit, Price]:
        ranked = sorted(in_force, key=self.rank)
        discounts = [entry for entry in ranked if entry.is_discount]
        prices = [entry for entry in ranked if not entry.is_discount]
        # INVARIANT: all prices of a sale are of one book. A unit that the book does not list is
        # priced as a part of its whole.
        own = {
            entry.unit: entry
            for entry in prices
            if entry.book == prices[-1].book and entry.unit is not None
        }
        return {unit: _discounted(unit, entry, discounts) for unit, entry in own.items()}


def _of_batches(in_force: Sequence[PriceEntry]) -> list[PriceEntry]:
    """Return the entries that count for a batch: its own price goes before those of a length in any
    tier."""
    own = {
        (entry.book, entry.is_discount, entry.unit)
        for entry in in_force
        if entry.conditions.is_of_batches
    }
    return [
        entry
        for entry in in_force
        if not (
            entry.conditions.is_of_lengths_in_any_tier
            and (entry.book, entry.is_discount, entry.unit) in own
        )
    ]


def in_context(sale: Sale, report: Mapping[Unit, int]) -> Sale:
    """Return the sale with the length of its context; 0 if the report sums many requests, whose
    lengths are unknown."""
    single = has_length(sale.endpoint, report.get(Unit.REQUESTS, 1))
    context = report.get(Unit.INPUT_TOKENS, 0) if single else 0
    return sale if context == sale.context else msgspec.structs.replace(sale, context=context)


def _discounted(unit: Unit, entry: PriceEntry, discounts: Sequence[PriceEntry]) -> Price:
    """Return the price less the highest ranking of its discounts."""
    on_it = [discount for discount in discounts if discount.unit in (unit, None)]
    if not on_it or entry.conditions.buyer:
        return Price(entry.price, entry)
    kept = exact_product(Decimal(entry.price), (_HUNDRED - on_it[-1].percent).scaleb(-2))
    return Price(int(round_half_even(kept, _ONE)), entry, on_it[-1])


def _named(conditions: Iterable[Conditions], name: str) -> frozenset[str]:
    at = NAMES.index(name)
    return frozenset(condition.names[at] for condition in conditions if condition.names[at])


def _currency(prices: Iterable[Price]) -> str:
    """Return the one currency of a sale's prices. Raise InvalidInput if it has two: a charge is an
    amount in one."""
    entries = sorted(
        (price.entry for price in prices), key=lambda entry: (entry.currency, entry.place)
    )
    first, last = entries[0], entries[-1]
    # In order of their currencies, so the ends differ as soon as any two do.
    if first.currency != last.currency:
        message, why = (
            "one sale priced in two currencies",
            f"{first.place} says {first.currency}, this {last.currency}",
        )
        remedy = "Give all units of a sale their prices in one currency."
        raise InvalidInput.of(what=message, why=why, where=last.book, line=last.line, remedy=remedy)
    return first.currency


def table_digest(digests: Sequence[str]) -> str:
    """Hash a book, or all of them in their order and the rates."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
