"""The price book as a person writes it: one line per dated price, its conditions conjunctive, its
source beside it.

    product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source

An empty condition means any. Days are UTC, `end` is excluded and, left empty, means until another
entry with the same conditions begins. `known_at` is the day on which the price was recorded: a
later correction is another line, never an edit. Lines that begin with `#` are remarks.

Further columns, wherever the header names them:

    buyer               the organisation whose price it is: negotiated
    tier                default, flex, priority, batch, as the cloud's answer calls it
    endpoint            chat, responses, embeddings, …
    above               requests with more input tokens than this
    hours               mon-fri 08-18, 22-06, sat,sun: UTC
    discount_percent    instead of a price: so much off the list price; an empty unit means all
    currency            of the price, then called `per_million`; USD where it is left empty
"""

import hashlib
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from clauseway.catalog.rows import RowReader, fields_of, filled_lines
from clauseway.metering import Unit
from clauseway.metering.endpoints import ENDPOINTS
from clauseway.metering.units import BY_COLUMN
from clauseway.pricing.ambiguity import ambiguities
from clauseway.pricing.price_conditions import NAMES, Conditions, parse_hours
from clauseway.pricing.price_entry import PriceEntry
from clauseway.values import (
    FOREVER,
    USD,
    BadNumber,
    Interval,
    InvalidInput,
    KnownAt,
    Problem,
    is_currency,
    read_decimal,
    read_whole,
)

_PRICE, _NEUTRAL_PRICE, _DISCOUNT = "usd_per_million", "per_million", "discount_percent"
COLUMNS = (
    "product",
    "cloud",
    "seller",
    "region",
    "unit",
    "begin",
    "end",
    "known_at",
    _PRICE,
    "source",
)
FURTHER_COLUMNS = ("buyer", "tier", "endpoint", "above", "hours", _DISCOUNT, "currency")
# A price per unit is kept in 18 digits, 12 of them decimals, so that times a count it fits into 38.
PRICE_PER_MILLION_MAX = 10**12
# Picos per unit are whole: a millionth of a price per million.
_PRICE_PLACES = 6
_CONTEXT_MAX = 10**12 - 1
# As finely as anyone agrees on a discount.
_PERCENT_PLACES = 6


class PriceBook(msgspec.Struct, frozen=True, kw_only=True):
    """A price book read whole. `name` is its file or origin; `digest` is the hash of its `text`,
    for receipts."""

    name: str
    digest: str
    entries: tuple[PriceEntry, ...]
    text: str = ""


class _Line(RowReader):
    """A line of a book being read."""

    def further(self, column: str) -> str:
        return self.fields.get(column, "")

    def in_force(self) -> Interval:
        interval = Interval(self.stated_day("begin"), self.day("end", FOREVER))
        if interval.is_empty and not self.problems:
            why = f"it begins {interval.begin} and ends {interval.end}"
            self.refuse("the price is never in force", why, "Put the end after the begin.")
        return interval

    def unit(self) -> Unit | None:
        unit = BY_COLUMN.get(self.fields["unit"])
        if unit is None and (self.fields["unit"] or not self.further(_DISCOUNT)):
            self.refuse(
                f"unknown unit {self.fields['unit']!r}",
                "no meter counts it",
                f"Use one of {', '.join(BY_COLUMN)}.",
            )
        return unit

    def conditions(self) -> Conditions:
        endpoint = self.further("endpoint")
        if endpoint and endpoint not in ENDPOINTS:
            remedy = f"Use one of {', '.join(ENDPOINTS)}."
            self.refuse(f"unknown endpoint {endpoint!r}", "no request is sent to it", remedy)
        return Conditions(tuple(self.further(name) for name in NAMES), self.above(), self.hours())

    def above(self) -> int:
        text = self.further("above")
        if not text:
            return 0
        try:
            return read_whole(text, least=1, most=_CONTEXT_MAX)
        except BadNumber as error:
            self.refuse(f"{text!r} is not a length of a context", error.why, error.remedy)
            return 0

    def hours(self) -> frozenset[int]:
        text = self.further("hours")
        try:
            return parse_hours(text) if text else frozenset()
        except ValueError as error:
            self.refuse(
                f"{text!r} is not a time window",
                str(error),
                "Write mon-fri 08-18, or 22-06, in UTC.",
            )
            return frozenset()

    def percent(self) -> Decimal:
        """Return the discount, zero if the line is a price."""
        text = self.further(_DISCOUNT)
        if not text:
            return Decimal(0)
        try:
            percent = read_decimal(text, places=_PERCENT_PLACES)
        except BadNumber as error:
            self.refuse(f"a discount of {text}", error.why, error.remedy)
            return Decimal(0)
        # A discount stands for a price: beside one, or with a currency, it would be ambiguous.
        if self.amount():
            self.refuse(
                "a price and a discount in one line",
                "one of them would be lost",
                "Write two lines.",
            )
        elif self.currency() != USD:
            self.refuse(
                "a discount with a currency",
                "it takes that of the list price",
                "Leave the currency empty.",
            )
        elif not 0 < percent <= 100:
            self.refuse(
                f"a discount of {text}",
                "it is not a percentage",
                "Write above 0 up to 100, as in 12.5.",
            )
        else:
            return percent
        return Decimal(0)

    def amount(self) -> str:
        return self.fields.get(_PRICE, "") or self.further(_NEUTRAL_PRICE)

    def currency(self) -> str:
        currency = self.further("currency") or USD
        if not is_currency(currency):
            self.refuse(
                f"{currency!r} is not a currency",
                "its code has three capital letters",
                "Write EUR, for example.",
            )
        elif currency != USD and _PRICE in self.fields:
            remedy = f"Name the column {_NEUTRAL_PRICE}."
            self.refuse(
                f"a price in {currency} in the column {_PRICE}",
                "that column holds prices in dollars",
                remedy,
            )
        return currency

    def picos(self) -> int:
        """Return a price per million units as whole picos per unit: 1 USD / 10^6 = 10^6
        picodollars."""
        text = self.amount()
        # A discount takes a part off other entries' prices and has none of its own.
        if self.further(_DISCOUNT):
            return 0
        try:
            price = read_decimal(text, places=_PRICE_PLACES)
        except BadNumber as error:
            remedy = (
                "Write USD per million units, as in 2.50." if error.is_general else error.remedy
            )
            self.refuse(f"{text!r} is not a price", error.why, remedy)
            return 0
        if price >= PRICE_PER_MILLION_MAX:
            self.refuse(
                f"a price of {text}",
                "it is beyond what one column can hold",
                "Check the unit of the price.",
            )
            return 0
        return int(price.scaleb(_PRICE_PLACES))

    def source(self) -> str:
        if not self.fields["source"]:
            self.refuse(
                "a price without a source",
                "nobody could check it",
                "Say where it was listed or agreed.",
            )
        return self.fields["source"]

    def entry(self) -> PriceEntry | None:
        """Return the line as an entry, or None if it has problems."""
        # Every cell is read before the line is given up, so that all its problems are reported.
        unit, interval, known_at = self.unit(), self.in_force(), self.stated_day("known_at")
        conditions, percent, price, source = (
            self.conditions(),
            self.percent(),
            self.picos(),
            self.source(),
        )
        currency = USD if percent else self.currency()
        if self.problems:
            return None
        return PriceEntry(
            conditions=conditions,
            unit=unit,
            interval=interval,
            known_at=KnownAt.recorded_on(known_at),
            price=price,
            source=source,
            line=self.line,
            book=self.name,
            percent=percent,
            currency=currency,
        )


def parse_book(text: str, name: str) -> PriceBook:
    """Read a book from its text. Raise InvalidInput with every problem in it; `name` is the file
    that problems name."""
    lines, problems = _lines(text, name)
    entries = [entry for line in lines if (entry := line.entry())]
    problems += [problem for line in lines for problem in line.problems]
    problems += ambiguities(entries, name)
    if problems:
        raise InvalidInput(*sorted(problems, key=lambda problem: problem.line))
    return PriceBook(
        name=name,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        entries=tuple(entries),
        text=text,
    )


def _lines(text: str, name: str) -> tuple[list[_Line], list[Problem]]:
    """Return the lines of the book, and the problems of lines with a wrong shape."""
    lines = filled_lines(text)
    remedy = f"Write {','.join(COLUMNS)}; further columns are {', '.join(FURTHER_COLUMNS)}."
    header = fields_of(lines[0][1]) if lines else []
    if not _is_header(header):
        number, text_ = lines[0] if lines else (1, "")
        message = "the first line is not the header of a price book"
        return [], [
            Problem(
                what=message,
                why=f"it reads {text_[:200]!r}",
                where=name,
                line=number,
                remedy=remedy,
            )
        ]
    good, problems = [], []
    for number, line in lines[1:]:
        fields = fields_of(line)
        if len(fields) == len(header):
            good.append(_Line(dict(zip(header, fields, strict=True)), name, number))
        else:
            why = f"it has {len(fields)} fields, a price has {len(header)}"
            problems.append(
                Problem(
                    what="a line is not a price", why=why, where=name, line=number, remedy=remedy
                )
            )
    return good, problems


def _is_header(names: Sequence[str]) -> bool:
    """True if every column is there once, the price under either of its names, and none is
    unknown."""
    plain = [_PRICE if name == _NEUTRAL_PRICE else name for name in names]
    allowed = {*COLUMNS, *FURTHER_COLUMNS}
    return set(COLUMNS) <= set(plain) <= allowed and len(set(plain)) == len(plain)
