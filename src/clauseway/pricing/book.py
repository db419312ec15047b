"""The price book as a person writes it: one line per dated price, its conditions conjunctive, its source beside it.

    product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source

An empty condition means any. Days are UTC, `end` is excluded and, left empty, means until another entry with the same
conditions begins. `known_at` is the day on which the price was recorded: a later correction is another line, never an
edit. Lines that begin with `#` are remarks.
"""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

import msgspec

from clauseway.metering import Unit
from clauseway.values import FOREVER, Interval, InvalidInput, KnownAt, Problem, parse_day

DIMENSIONS = ("product", "cloud", "seller", "region")
COLUMNS = (*DIMENSIONS, "unit", "begin", "end", "known_at", "usd_per_million", "source")
# A price per unit is kept in 18 digits, 12 of them decimals, so that times a count it fits into 38.
PRICE_USD_PER_MILLION_MAX = 10**12
_UNITS: Mapping[str, Unit] = {unit.column: unit for unit in Unit}


class Sale(msgspec.Struct, frozen=True, order=True):
    """What a price may depend on, besides unit and day."""

    product: str
    cloud: str
    seller: str
    region: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the book. `conditions` are in the order of `DIMENSIONS`, empty for any; `price` is in picodollars."""

    conditions: tuple[str, ...]
    unit: Unit
    interval: Interval
    known_at: KnownAt
    price: int
    source: str
    line: int

    @property
    def specificity(self) -> int:
        """How many conditions it names; of two entries that match, the one that names more wins."""
        return sum(1 for condition in self.conditions if condition)

    def matches(self, sale: Sale) -> bool:
        values = (sale.product, sale.cloud, sale.seller, sale.region)
        return all(not wanted or wanted == value for wanted, value in zip(self.conditions, values, strict=True))

    def meets(self, other: "Entry") -> bool:
        """Whether some sale on some day is matched by both."""
        return (
            self.unit == other.unit
            and not self.interval.intersect(other.interval).is_empty
            and all(not a or not b or a == b for a, b in zip(self.conditions, other.conditions, strict=True))
        )


class PriceBook(msgspec.Struct, frozen=True, kw_only=True):
    """A book read whole. `name` is where it came from; `digest` is the hash of its text, for receipts."""

    name: str
    digest: str
    entries: tuple[Entry, ...]


class _Line:
    """A line being read: its fields, and every problem found in it."""

    def __init__(self, fields: dict[str, str], name: str, number: int) -> None:
        self.fields, self.name, self.number = fields, name, number
        self.problems: list[Problem] = []

    def refuse(self, what: str, why: str, todo: str) -> None:
        self.problems.append(Problem(what=what, why=why, where=self.name, line=self.number, todo=todo))

    def day(self, column: str) -> date:
        try:
            return parse_day(self.fields[column], column)
        except InvalidInput as invalid:
            problem = invalid.problems[0]
            self.refuse(f"{column}: {problem.what}", problem.why, problem.todo)
            return FOREVER

    def interval(self) -> Interval:
        interval = Interval(self.day("begin"), self.day("end") if self.fields["end"] else FOREVER)
        if interval.is_empty and not self.problems:
            why = f"it begins {interval.begin} and ends {interval.end}"
            self.refuse("the price is never in force", why, "Put the end after the begin.")
        return interval

    def unit(self) -> Unit | None:
        unit = _UNITS.get(self.fields["unit"])
        if unit is None:
            self.refuse(
                f"unknown unit {self.fields['unit']!r}", "no meter counts it", f"Use one of {', '.join(_UNITS)}."
            )
        return unit

    def picodollars(self) -> int:
        """USD per million units as whole picodollars per unit: 1 USD / 10^6 = 10^6 picodollars."""
        text = self.fields["usd_per_million"]
        try:
            price = Decimal(text)
        except InvalidOperation:
            price = Decimal("NaN")
        if not price.is_finite():
            self.refuse(f"{text!r} is no price", "it is no decimal number", "Write USD per million units, as in 2.50.")
        elif price < 0:
            self.refuse(f"a negative price, {text}", "a credit is an entry of its own", "Write the price as charged.")
        elif price >= PRICE_USD_PER_MILLION_MAX:
            self.refuse(f"a price of {text}", "it is beyond what one column can hold", "Check the unit of the price.")
        elif price != round(price, 6):
            self.refuse(f"a price of {text}", "it has more than six decimal places", "Round it as the seller does.")
        else:
            return int(price * 1_000_000)
        return 0

    def source(self) -> str:
        if not self.fields["source"]:
            self.refuse("a price without a source", "nobody could check it", "Say where it was listed or agreed.")
        return self.fields["source"]

    def entry(self) -> Entry | None:
        """The line as an entry, or none where it has problems."""
        unit, interval, known_at = self.unit(), self.interval(), self.day("known_at")
        price, source = self.picodollars(), self.source()
        if self.problems or unit is None:
            return None
        return Entry(
            conditions=tuple(self.fields[dimension] for dimension in DIMENSIONS),
            unit=unit,
            interval=interval,
            known_at=KnownAt.recorded_on(known_at, sequence=self.number),
            price=price,
            source=source,
            line=self.number,
        )


def parse_book(text: str, name: str) -> PriceBook:
    """Read a book from its text. Raises InvalidInput with every problem in it; `name` is the file they are said of."""
    lines, problems = _lines(text, name)
    entries = [entry for line in lines if (entry := line.entry())]
    problems += [problem for line in lines for problem in line.problems]
    problems += _ambiguities(entries, name)
    if problems:
        raise InvalidInput(*sorted(problems, key=lambda problem: problem.line))
    return PriceBook(name=name, digest=hashlib.sha256(text.encode()).hexdigest(), entries=tuple(entries))


def _lines(text: str, name: str) -> tuple[list[_Line], list[Problem]]:
    """The book's lines, and what is wrong with their shape."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[0] != "#"]
    todo = f"Write {','.join(COLUMNS)}."
    if not lines or tuple(_fields(lines[0][1])) != COLUMNS:
        number, found = lines[0] if lines else (1, "")
        what = "the first line is not the header of a price book"
        return [], [Problem(what=what, why=f"it reads {found!r}", where=name, line=number, todo=todo)]
    good, problems = [], []
    for number, line in lines[1:]:
        fields = _fields(line)
        if len(fields) == len(COLUMNS):
            good.append(_Line(dict(zip(COLUMNS, fields, strict=True)), name, number))
        else:
            why = f"it has {len(fields)} fields, a price has {len(COLUMNS)}"
            problems.append(Problem(what="a line is no price", why=why, where=name, line=number, todo=todo))
    return good, problems


def _fields(line: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line]))]


def _ambiguities(entries: Sequence[Entry], name: str) -> list[Problem]:
    """Pairs of which neither wins: said of the later line."""
    return [
        Problem(
            what=f"an ambiguous price of {later.unit.column}",
            why=f"line {one.line} is as specific and meets it on {later.interval.intersect(one.interval).begin}",
            where=name,
            line=later.line,
            todo="End one before the other begins, or add a line that names the conditions of both.",
        )
        for one, later in _comparable(entries)
        if _ambiguous(one, later) and not any(_settles(entry, one, later) for entry in entries)
    ]


def _comparable(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Pairs that may match one sale, in the book's order: of one unit and one product, or where one names none."""
    seen: dict[tuple[Unit, str], list[Entry]] = {}
    for later in entries:
        product = later.conditions[0]
        for (unit, other), earlier in seen.items():
            if unit == later.unit and (not product or other in ("", product)):
                yield from ((one, later) for one in earlier)
        seen.setdefault((later.unit, product), []).append(later)


def _ambiguous(one: Entry, other: Entry) -> bool:
    """Two entries of one specificity that meet, unless one succeeds or corrects the other.

    With the same conditions, one recorded on a later day corrects the other, and one that begins later succeeds an
    open-ended one.
    """
    if one.specificity != other.specificity or not one.meets(other):
        return False
    if one.conditions != other.conditions:
        return True
    if one.known_at.instant_ns != other.known_at.instant_ns:
        return False
    earlier = min(one, other, key=lambda entry: entry.interval.begin)
    return one.interval.begin == other.interval.begin or earlier.interval.end != FOREVER


def _settles(entry: Entry, one: Entry, other: Entry) -> bool:
    """Whether an entry that names the conditions of both wins over both wherever they meet."""
    both = (a or b for a, b in zip(one.conditions, other.conditions, strict=True))
    overlap = one.interval.intersect(other.interval)
    return (
        entry.unit == one.unit
        and entry.specificity > one.specificity
        and all(not wanted or wanted == value for wanted, value in zip(entry.conditions, both, strict=True))
        and entry.interval.intersect(overlap) == overlap
        and entry.known_at.instant_ns <= max(one.known_at, other.known_at).instant_ns
    )
