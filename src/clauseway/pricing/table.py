"""The interval table: for one sale, from when until when each unit costs what, one row per stretch without a change.

    UnknownPrice(LookupError)   usage whose price no book carries; names every product, cloud, unit and day

Of the entries that match a sale and were known, those of the first book that has any win, and no price of another book
stands beside them: a book is whole for a model that it prices. Among them the most specific,
then the longest step of context, then the one that begins last (the latest start up to the day), then the one recorded
last. A discount is off the list price: it is chosen among the discounts in the same way, and where a price that names
the buyer is in force, which was negotiated as a whole, none applies. A discounted price is rounded once, half-even, to
a whole pico per unit.
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
from clauseway.pricing.book import Entry, PriceBook
from clauseway.pricing.conditions import HOUR, NAMES, Conditions, Sale, classes_of_hours
from clauseway.values import USD, InvalidInput, KnownAt, Problem, exact_product, round_half_even

_RATE_PLACES = 12
_ADD_IT = "add it to the price book; one that prices a model prices all of its units"
_HUNDRED, _ONE = Decimal(100), Decimal(1)


class UnknownPrice(LookupError):
    """No price in the book for what was used. `missing` holds (sale, unit, day), `sentences` the same in words; nothing
    was charged."""

    def __init__(self, missing: Iterable[tuple[Sale, Unit, date]]) -> None:
        self.missing = tuple(sorted(set(missing)))
        self.sentences = tuple(self._sentence(*missing) for missing in self.missing)
        super().__init__("\n".join(f"no price for {one}: {_ADD_IT}" for one in self.sentences))

    @staticmethod
    def _sentence(sale: Sale, unit: Unit, day: date) -> str:
        place = f"{sale.cloud} in {sale.region}" if sale.region else sale.cloud
        return f"{unit.column} of {sale.product} on {place} sold by {sale.seller} on {day}"


class Price(msgspec.Struct, frozen=True):
    """What one unit costs, in picos of `currency`: the entry that won, and the discount on it, if any."""

    price: int
    entry: Entry
    discount: Entry | None = None

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
        """Which book won, and its line."""
        return self.entry.place + (f" less {self.discount.place}" if self.discount else "")


class PriceRow(msgspec.Struct, frozen=True):
    """What each unit of a sale costs, in picos of `currency`, on the days `begin` ≤ day < `end`.

    Rows of one sale do not overlap. A unit that is not in `prices` has no price; `won` says whence each comes.
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
    """One unit's part of a charge: `quantity` × `price` picos = `amount`, at the price that `source` gives.

    `place` is the book and line that won, and where there is a discount its line too.
    """

    unit: Unit
    quantity: int
    price: int
    amount: int
    source: str
    place: str = ""


class Charge(msgspec.Struct, frozen=True):
    """What usage costs, in picos of `currency`, and how that came about. The lines sum to it."""

    picodollars: int
    lines: tuple[ChargeLine, ...]
    currency: str = USD

    @property
    def amount(self) -> Decimal:
        """In its currency, to twelve decimal places."""
        return Decimal(self.picodollars).scaleb(-12)


class Grain(msgspec.Struct, frozen=True, kw_only=True):
    """How finely sales must be told apart so that every one of a group has one price.

    `further` names what counts beyond product, cloud, seller and region. Of buyers and endpoints only those that an
    entry names differ from the rest; `steps` are the lengths of context at which a price changes, ascending; `hours`
    gives each hour of the week the first one that has its prices. `units` are those that have a price or need one.
    `dear` gives each product (under no name: any) the length above which it costs otherwise.
    """

    further: frozenset[str]
    buyers: frozenset[str]
    tiers: frozenset[str]
    endpoints: frozenset[str]
    steps: tuple[int, ...]
    hours: Mapping[int, int]
    units: frozenset[Unit]
    dear: Mapping[str, int] = {}

    def group_of(self, sale: Sale) -> Sale:
        """The sale that stands for all of its group."""
        return Sale(
            sale.product,
            sale.cloud,
            sale.seller,
            sale.region,
            sale.buyer if sale.buyer in self.buyers else "",
            sale.tier if sale.tier in self.tiers else "",
            sale.endpoint if sale.endpoint in self.endpoints else "",
            # One more than the step is above it, and above no longer one.
            max((step + 1 for step in self.steps if sale.context > step), default=0),
            self.hours.get(sale.hour, -1) if HOUR in self.further else -1,
        )


class Exchange(Protocol):
    """Dated rates that a user supplies. `digest` is the hash of their text, for receipts."""

    @property
    def digest(self) -> str: ...

    def at(self, day: date, base: str, quote: str) -> Fraction:
        """What one `base` is in `quote` on a day. Raises InvalidInput where no rate says so."""


class PriceTable:
    """Books as known at one point, the first over the others. Immutable in what it answers; it keeps what it found.

    What costs another currency than USD is worth what the rates say of the event's day.
    """

    def __init__(
        self,
        books: PriceBook | Sequence[PriceBook],
        known_at: KnownAt,
        exchange: Exchange | None = None,
    ) -> None:
        self.books = (books,) if isinstance(books, PriceBook) else tuple(books)
        self.known_at = known_at
        self.digest = table_digest(
            [book.digest for book in self.books] + ([exchange.digest] if exchange else [])
        )
        self.exchange = exchange
        self._rank = {book.name: rank for rank, book in enumerate(reversed(self.books))}
        self._rows: dict[Sale, tuple[PriceRow, ...]] = {}
        self._grains: dict[Sale, Grain] = {}
        self._places: dict[Sale, list[Entry]] = {}
        self._narrowed: dict[tuple[Sale, str], list[Entry]] = {}

    @cached_property
    def _entries(self) -> Mapping[str, Sequence[Entry]]:
        """What was known by then, by product; under no name, what holds for all."""
        known: dict[str, list[Entry]] = {}
        for book in self.books:
            for entry in book.entries:
                if entry.known_at.instant_ns <= self.known_at.instant_ns:
                    known.setdefault(entry.conditions.product, []).append(entry)
        return known

    def _of(self, place: Sale) -> list[Entry]:
        """The entries that may hold for a product, cloud, seller and region."""
        entries = [*self._entries.get("", ()), *self._entries.get(place.product, ())]
        return [entry for entry in entries if entry.conditions.may_match(place)]

    def grain(self, places: Iterable[Sale]) -> Grain:
        """How finely sales of these products, clouds, sellers and regions must be told apart."""
        entries = {id(entry): entry for place in places for entry in self._of(place)}.values()
        conditions = [entry.conditions for entry in entries]
        units = {
            unit for entry in entries if (unit := entry.unit) is not None and not entry.is_discount
        }
        return Grain(
            further=frozenset().union(*(one.further for one in conditions)),
            buyers=_named(conditions, "buyer"),
            tiers=_named(conditions, "tier"),
            endpoints=_named(conditions, "endpoint"),
            steps=tuple(sorted({one.above for one in conditions} - {0})),
            hours=classes_of_hours(one.hours for one in conditions if one.hours),
            units=frozenset(units) | WHOLES,
            dear={
                one.product: min(
                    other.above
                    for other in conditions
                    if other.above and other.product == one.product
                )
                for one in conditions
                if one.above
            },
        )

    def rows(self, sales: Iterable[Sale]) -> list[PriceRow]:
        """The rows of these sales, for a join on equality of everything in the sale and the day's interval."""
        return [
            row if row.sale == sale else msgspec.structs.replace(row, sale=sale)
            for sale in sorted(set(sales))
            for row in self._rows_of(sale)
        ]

    def row(self, sale: Sale, day: date) -> PriceRow:
        """The row in force that day; one without prices where the books say nothing."""
        for row in self._rows_of(sale):
            if row.begin <= day < row.end:
                return row
        return PriceRow(sale, day, day, {}, {})

    def price(self, sale: Sale, unit: Unit, day: date) -> int:
        """Picos for one unit. Raises UnknownPrice."""
        row = self.row(sale, day)
        if unit not in row.prices:
            raise UnknownPrice([(sale, unit, day)])
        return row.prices[unit]

    def charge(self, sale: Sale, day: date, report: Mapping[Unit, int]) -> Charge:
        """Price one report of usage, each token once. Raises UnknownPrice, naming every unit that has none.

        The length of the context is the report's own.
        """
        return self.charge_sum(in_context(sale, report), day, report)

    def charge_sum(self, sale: Sale, day: date, report: Mapping[Unit, int]) -> Charge:
        """Price the sum of reports that have one price (see `Grain.group_of`): the context's length is the sale's.

        Raises UnknownPrice.
        """
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
        """What one unit of a currency is in USD on a day, half-even to twelve places, so that converting sums and
        summing what was converted are the same. Raises InvalidInput where no rate says so."""
        if currency == USD:
            return Decimal(1)
        if self.exchange is None:
            what = f"prices in {currency}"
            todo = "Accept a file with day,base,quote,rate: clauseway basis rates FILE --why …."
            raise InvalidInput(
                Problem(what=what, why="no rates are held", where="rates", todo=todo)
            )
        rate = self.exchange.at(day, currency, USD)
        return Decimal(round(rate * 10**_RATE_PLACES)).scaleb(-_RATE_PLACES)

    def looked_at(self, sale: Sale, unit: Unit) -> list[Entry]:
        """Every entry on a unit of that product, known or not, in the order of the books."""
        return [
            entry
            for book in self.books
            for entry in book.entries
            if entry.conditions.product in ("", sale.product) and entry.unit in (unit, None)
        ]

    def rank(self, entry: Entry) -> tuple[int, int, int, date, KnownAt]:
        """What decides between entries that match and are in force: the greatest wins."""
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
            entries = [
                entry
                for entry in self._narrow(place, group.buyer)
                if entry.conditions.matches(group)
            ]
            self._rows[group] = tuple(self._cut(group, entries))
        return self._rows[group]

    def _narrow(self, place: Sale, buyer: str) -> list[Entry]:
        """The entries that may hold for a buyer there: most of a long book may be prices of others."""
        if place not in self._places:
            self._places[place] = self._of(place)
        if (place, buyer) not in self._narrowed:
            found = [
                entry for entry in self._places[place] if entry.conditions.buyer in ("", buyer)
            ]
            self._narrowed[place, buyer] = found
        return self._narrowed[place, buyer]

    def _cut(self, sale: Sale, entries: list[Entry]) -> Iterable[PriceRow]:
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

    def _winners(self, in_force: list[Entry]) -> dict[Unit, Price]:
        ranked = sorted(in_force, key=self.rank)
        discounts = [entry for entry in ranked if entry.is_discount]
        prices = [entry for entry in ranked if not entry.is_discount]
        # INVARIANT: all prices of a sale are of one book. What it does not list, it prices as a part of its whole.
        own = {
            entry.unit: entry
            for entry in prices
            if entry.book == prices[-1].book and entry.unit is not None
        }
        return {unit: _discounted(unit, entry, discounts) for unit, entry in own.items()}


def _of_batches(in_force: Sequence[Entry]) -> list[Entry]:
    """The entries that count for a batch: its own price goes before those of a length in any tier."""
    own = {
        (one.book, one.is_discount, one.unit) for one in in_force if one.conditions.is_of_batches
    }
    return [
        one
        for one in in_force
        if not (
            one.conditions.is_of_lengths_in_any_tier
            and (one.book, one.is_discount, one.unit) in own
        )
    ]


def in_context(sale: Sale, report: Mapping[Unit, int]) -> Sale:
    """The sale with the length of its context, none where the report sums many requests: theirs are not known."""
    single = has_length(sale.endpoint, report.get(Unit.REQUESTS, 1))
    context = report.get(Unit.INPUT_TOKENS, 0) if single else 0
    return sale if context == sale.context else msgspec.structs.replace(sale, context=context)


def _discounted(unit: Unit, entry: Entry, discounts: Sequence[Entry]) -> Price:
    """The price less the discount that ranks highest among those on it."""
    on_it = [discount for discount in discounts if discount.unit in (unit, None)]
    if not on_it or entry.conditions.buyer:
        return Price(entry.price, entry)
    kept = exact_product(Decimal(entry.price), (_HUNDRED - on_it[-1].percent).scaleb(-2))
    return Price(int(round_half_even(kept, _ONE)), entry, on_it[-1])


def _named(conditions: Iterable[Conditions], name: str) -> frozenset[str]:
    at = NAMES.index(name)
    return frozenset(one.names[at] for one in conditions if one.names[at])


def _currency(prices: Iterable[Price]) -> str:
    """The one currency of a sale's prices. Raises InvalidInput where it has two: a charge is an amount in one."""
    entries = sorted(
        (price.entry for price in prices), key=lambda entry: (entry.currency, entry.place)
    )
    first, last = entries[0], entries[-1]
    if first.currency != last.currency:
        what, why = (
            "one sale priced in two currencies",
            f"{first.place} says {first.currency}, this {last.currency}",
        )
        todo = "Give all units of a sale their prices in one currency."
        raise InvalidInput(Problem(what=what, why=why, where=last.book, line=last.line, todo=todo))
    return first.currency


def table_digest(digests: Sequence[str]) -> str:
    """The hash of a book, or of all of them in their order and of the rates."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()
