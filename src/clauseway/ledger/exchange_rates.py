"""Exchange rates that a user supplies, dated: the latest one at or before a day counts.

    day,base,quote,rate
    2026-05-29,EUR,USD,1.0842        one EUR is 1.0842 USD from 29 May 2026 on,
                                     until a later line says otherwise

A pair may be asked for the other way round; the inverse is exact. Two rates of one pair and day are
an error, and so is a day before the first.
"""

import csv
import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import floor

import msgspec

from clauseway.values import (
    BadNumber,
    InvalidInput,
    Problem,
    allocate,
    exact_product,
    is_currency,
    parse_day,
    read_decimal,
    refuse_any,
)

_COLUMNS = ["day", "base", "quote", "rate"]
_Pair = frozenset[str]


class Rate(msgspec.Struct, frozen=True):
    """One `base` is `rate` of `quote` from `day` on."""

    day: date
    base: str
    quote: str
    rate: Decimal

    @property
    def pair(self) -> _Pair:
        """Return what EUR,USD and USD,EUR have in common."""
        return frozenset((self.base, self.quote))


class Rates:
    """The rates of a file, by pair and in order of their days. `digest` is the hash of its
    `text`."""

    def __init__(
        self,
        rates: tuple[Rate, ...] = (),
        source: str = "--rates",
        digest: str = "",
        text: str = "",
    ) -> None:
        self.all = tuple(sorted(rates, key=lambda rate: rate.day))
        self.digest = digest
        self.text = text
        self.source = source

    @cached_property
    def _of_pair(self) -> Mapping[_Pair, Sequence[Rate]]:
        of_pair: dict[_Pair, list[Rate]] = {}
        for rate in self.all:
            of_pair.setdefault(rate.pair, []).append(rate)
        return of_pair

    def in_force(self, day: date) -> list[Rate]:
        """Return the rate of each pair that counts on a day."""
        latest = (self._latest(pair, day) for pair in self._of_pair)
        return sorted((rate for rate in latest if rate), key=msgspec.structs.astuple)

    def at(self, day: date, base: str, quote: str) -> Fraction:
        """Return the value of one `base` in `quote` on a day. Raise InvalidInput if no rate is that
        old."""
        if base == quote:
            return Fraction(1)
        latest = self._latest(frozenset((base, quote)), day)
        if latest is None:
            raise InvalidInput.of(
                what=f"no rate of {base} in {quote} on {day}",
                why="a rate counts from its day on, and none is that old",
                where=self.source,
                remedy=f"Accept a file with {','.join(_COLUMNS)} and a line for the pair: "
                "clauseway basis rates FILE --why ….",
            )
        return Fraction(latest.rate) if latest.base == base else 1 / Fraction(latest.rate)

    def _latest(self, pair: _Pair, day: date) -> Rate | None:
        rates = self._of_pair.get(pair, ())
        until = bisect_right(rates, day, key=lambda rate: rate.day)
        return rates[until - 1] if until else None


def convert(amount: Decimal, rate: Fraction, unit: Decimal) -> Decimal:
    """Convert an amount at a rate, half-even to multiples of `unit`."""
    return unit * round(Fraction(amount) * rate / Fraction(unit))


def convert_parts(
    total: Decimal, parts: Mapping[str, Decimal], rate: Fraction, unit: Decimal
) -> dict[str, Decimal]:
    """Split `total`, the parts' sum converted at a rate, over the parts, in multiples of `unit`.

    Largest remainder. Each part stays at what it is worth at the rate, to within a unit or two:
    claims and credits that nearly cancel must not be scaled to the rounded rest of them.
    """
    if len({part > 0 for part in parts.values() if part}) < 2:
        return allocate(total, list(parts.items()), unit)
    units = {name: Fraction(part) * rate / Fraction(unit) for name, part in parts.items()}
    floors = {name: floor(worth) for name, worth in units.items()}
    # What is paid may differ from the parts' worth by more than a unit for each of them.
    whole = int(Fraction(total) / Fraction(unit))
    each, left = divmod(whole - sum(floors.values()), len(parts))
    favoured = sorted(units, key=lambda name: (floors[name] - units[name], name))[:left]
    return {
        name: exact_product(unit, Decimal(floors[name] + each + (name in favoured)))
        for name in parts
    }


def read_rates(text: str, source: str) -> Rates:
    """Read the rates of a CSV file. Raise InvalidInput with everything wrong in it."""
    reader = csv.reader(text.splitlines())
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        what = f"not a line of CSV ({error})"
        raise InvalidInput(_problem(source, reader.line_num, what, ",".join(_COLUMNS))) from None
    if not rows or rows[0][1] != _COLUMNS:
        raise InvalidInput(_problem(source, 1, "unexpected columns", ",".join(_COLUMNS)))
    rates: dict[tuple[date, _Pair], Rate] = {}
    problems: list[Problem] = []
    for line, row in rows[1:]:
        for parsed in _read(row, source, line) if row else ():
            if isinstance(parsed, Problem):
                problems.append(parsed)
            elif (parsed.day, parsed.pair) in rates:
                problems.append(
                    _problem(source, line, f"a second rate of the pair on {parsed.day}", "one")
                )
            else:
                rates[parsed.day, parsed.pair] = parsed
    refuse_any(problems)
    return Rates(tuple(rates.values()), source, hashlib.sha256(text.encode()).hexdigest(), text)


def _read(row: list[str], source: str, line: int) -> Iterator[Rate | Problem]:
    if len(row) != len(_COLUMNS):
        yield _problem(source, line, f"{len(row)} fields", ",".join(_COLUMNS))
        return
    day, base, quote, rate = (field.strip() for field in row)
    # All mistakes of a line are reported at once.
    problems = []
    try:
        on = parse_day(day, source)
    except InvalidInput:
        problems.append(_problem(source, line, f"{day!r} is not a day", "a day as YYYY-MM-DD"))
    if not (is_currency(base) and is_currency(quote)) or base == quote:
        problems.append(
            _problem(
                source, line, f"{base!r} and {quote!r} are not a pair", "two currencies, as EUR,USD"
            )
        )
    try:
        value = read_decimal(rate)
        if not value:
            raise BadNumber("it is zero", "Write a number above zero.")
    except BadNumber as error:
        problems.append(error.problem(f"{rate!r} is not a rate", source, line))
    if problems:
        yield from problems
    else:
        yield Rate(on, base, quote, value)


def _problem(source: str, line: int, message: str, wanted: str) -> Problem:
    why = "rates are read from a CSV file, one dated pair a line"
    return Problem(what=message, why=why, where=source, line=line, remedy=f"Write {wanted}.")
