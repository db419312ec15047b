"""A cloud's bill against the meter, by day, cloud, region, product and unit: matches, differences
and their likely causes.

    metered ─┐                  ┌─▶ matched
             ├─▶ by line ─▶ item┤   missing on the bill · missing in the meter
    billed  ─┘                  └─▶ quantity differs · priced differently
                                           └─▶ CAUSES, the first that explains it

Charges beside usage (taxes, credits, corrections …) are compared with nothing and counted with
their amounts. INVARIANT: the parts of a bill (matched, differing, on one side only, beside usage)
sum to its total, to the last digit.

A cause is named only where the figures bear it out: each is a rule that gives back the difference,
to the unit or to the tolerance. A difference that no rule explains is reported as such. Amounts are
USD, `difference` is billed less metered.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec

from clauseway.metering import Unit
from clauseway.metering.units import WHOLES_OF
from clauseway.values import USD, Interval, exact_product, exact_sum

MATCHED = "matched"
NOT_BILLED, NOT_METERED = "missing on the bill", "missing in the meter"
QUANTITY, PRICE = "quantity differs", "priced differently"
STATUSES = (MATCHED, NOT_BILLED, NOT_METERED, QUANTITY, PRICE)
UNEXPLAINED = "no known cause"
# The charges of a bill beside the usage that is compared.
TAXES, CREDITS, PURCHASES, ADJUSTMENTS = "taxes", "credits", "purchases", "adjustments"
CORRECTIONS, OTHER_SERVICES = "corrections", "other services"
NOT_READ, NOT_COMPARED = "not read", "not compared"
BESIDE = (
    TAXES,
    CREDITS,
    PURCHASES,
    ADJUSTMENTS,
    CORRECTIONS,
    OTHER_SERVICES,
    NOT_READ,
    NOT_COMPARED,
)
# Nobody meters taxes and other services, and usage left out of a comparison is left out on purpose: neither is a
# difference.
_EXPECTED = frozenset({MATCHED, TAXES, OTHER_SERVICES, NOT_COMPARED})
_ZERO = Decimal(0)
_HALF = Decimal("0.5")
_EPOCH = date(1970, 1, 1)
_HOURS = 24
# The clocks of the world lie between UTC−12 and UTC+14; nearest first. A bill that states in UTC
# when its days begin dates those of a clock ahead of UTC a day earlier: of UTC+8 they begin at 16:00.
_EARLIEST = -12
_OFFSETS = tuple(
    sorted(
        (hours for hours in range(_EARLIEST - 11, 15) if hours),
        key=lambda hours: (abs(hours), hours),
    )
)


# The whole that holds what a response's tool read or drew → the whole that a bill has it in, under
# the model that draws.
_DRAWN: Mapping[Unit, Unit] = {
    Unit.IMAGE_TOOL_INPUT_TOKENS: Unit.INPUT_TOKENS,
    Unit.IMAGE_TOOL_OUTPUT_TOKENS: Unit.OUTPUT_TOKENS,
}


def _whole_of(unit: Unit) -> Unit:
    """Return the outermost whole that a unit lies in; the unit itself if it is a whole."""
    return WHOLES_OF[unit][-1] if unit in WHOLES_OF else unit


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """The metered quantity of one unit in one hour (since 1970), each token once.

    `amount` is its charge in USD, None if no price was known. `is_estimated`: by the gateway,
    because the cloud reported nothing or the answer broke off.
    """

    hour: int
    cloud: str
    seller: str
    region: str
    product: str
    unit: Unit
    quantity: int
    amount: Decimal | None
    attempts: int
    is_estimated: bool = False
    is_late: bool = False
    first_request: str = ""
    last_request: str = ""

    @property
    def day(self) -> date:
        return _EPOCH + timedelta(days=self.hour // _HOURS)


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a bill, `line` in its file. `quantity` counts our units, `cost` is in `currency`.

    `quantity_step` and `cost_step` are the smallest differences that its figures can show. Two rows
    with the same content have the same `identity`.
    """

    line: int
    day: date
    cloud: str
    seller: str
    region: str
    product: str
    unit: Unit
    quantity: Decimal
    cost: Decimal
    currency: str = USD
    quantity_step: Decimal = _ZERO
    cost_step: Decimal = _ZERO
    identity: str = ""


class UncomparedCharge(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a bill that is not compared: one of the kinds in `BESIDE`, and its cost in its
    currency."""

    kind: str
    cost: Decimal
    currency: str = USD


class OtherPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price (USD per unit) that an item was not charged at; the cause of the difference if the
    bill took it; and in `detail`, where the price stands."""

    price: Decimal
    cause: str
    detail: str


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """The differences that count as none: amounts within `amount` USD an item, quantities within
    `quantity` units an item."""

    amount: Decimal = Decimal("0.000001")
    quantity: Decimal = _ZERO


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A likely cause, and the figures that bear it out."""

    name: str
    detail: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of a line on both sides. `metered` is None if no price was known, `billed` if no
    rate was."""

    unit: str
    status: str
    metered_quantity: int
    billed_quantity: Decimal
    metered: Decimal | None
    billed: Decimal | None
    difference: Decimal
    causes: tuple[Cause, ...] = ()
    rows: tuple[int, ...] = ()
    requests: tuple[str, ...] = ()

    @property
    def at_stake(self) -> Decimal:
        return abs(self.difference)


class ReconciledLine(msgspec.Struct, frozen=True, kw_only=True):
    """A product on a cloud in a region on a day. Its status is that of its weightiest item."""

    day: date
    cloud: str
    region: str
    product: str
    status: str
    metered: Decimal
    billed: Decimal
    difference: Decimal
    items: tuple[Item, ...]


class BillPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a bill, one of `STATUSES` or of `BESIDE`: how many of its rows, and the amounts on
    both sides."""

    name: str
    rows: int
    metered: Decimal
    billed: Decimal


class WholeDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day on which one side has nothing at all of these clouds, and how many items the other side
    has."""

    day: date
    status: str
    clouds: tuple[str, ...]
    items: int
    difference: Decimal


class BillComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A bill compared with the meter. `at_stake` sums the differences without regard to sign;
    `by_status` and `by_cause` are (count of items, amount at stake).

    `total` is the bill's own, of all its rows; the `parts` sum to it. `unrated` sums, by currency,
    rows whose currency has no rate: they are in no amount.
    """

    lines: tuple[ReconciledLine, ...]
    parts: tuple[BillPart, ...]
    whole_days: tuple[WholeDay, ...]
    total: Decimal
    unrated: Mapping[str, Decimal]
    tolerance: Tolerance
    metered: Decimal
    billed: Decimal
    difference: Decimal
    at_stake: Decimal
    by_status: Mapping[str, tuple[int, Decimal]]
    by_cause: Mapping[str, tuple[int, Decimal]]

    @property
    def is_matched(self) -> bool:
        """True if all compared usage agrees, and nothing else on the bill but taxes asks for an
        explanation."""
        return all(line.status == MATCHED for line in self.lines) and not any(
            part.billed for part in self.parts if part.name not in _EXPECTED
        )

    @property
    def is_whole(self) -> bool:
        """True if the matched part is the whole bill: its own total is reached."""
        matched = next(part for part in self.parts if part.name == MATCHED)
        return self.is_matched and not self.unrated and matched.billed == self.total


class ItemPlace(NamedTuple):
    """The cloud, region, product and unit of an item, without its day."""

    cloud: str
    region: str
    product: str
    unit: Unit


class _Sides(NamedTuple):
    metered: list[Metered]
    billed: list[Billed]


class _Case(msgspec.Struct, frozen=True):
    """An item whose cause is sought, with everything beside it."""

    place: ItemPlace
    day: date
    metered: Sequence[Metered]
    billed: Sequence[Billed]
    billed_usd: Decimal | None
    book: "_Book"

    @property
    def quantity(self) -> int:
        return sum(usage.quantity for usage in self.metered)

    @property
    def billed_quantity(self) -> Decimal:
        return exact_sum(row.quantity for row in self.billed)

    @property
    def amount(self) -> Decimal | None:
        amounts = [usage.amount for usage in self.metered if usage.amount is not None]
        return exact_sum(amounts) if len(amounts) == len(self.metered) else None

    def is_quantity(self, wanted: Decimal | int) -> bool:
        """True if the bill's quantity is the wanted one, within the tolerance."""
        return abs(self.billed_quantity - wanted) <= self.book.tolerance.quantity

    def is_cost(self, wanted: Decimal) -> bool:
        return (
            self.billed_usd is not None
            and abs(self.billed_usd - wanted) <= self.book.tolerance.amount
        )


class _Book:
    """Both sides by place and day, with rates and other prices."""

    def __init__(
        self,
        metered: Iterable[Metered],
        billed: Iterable[Billed],
        days: Interval,
        tolerance: Tolerance,
        rates: Mapping[str, Decimal],
        others: Callable[[ItemPlace, str, date], Sequence[OtherPrice]],
    ) -> None:
        self.days, self.tolerance, self.rates, self.others = days, tolerance, rates, others
        self.sides: dict[ItemPlace, dict[date, _Sides]] = {}
        self.hours: dict[ItemPlace, dict[int, int]] = {}
        self.regions: dict[tuple[str, str, Unit], set[ItemPlace]] = {}
        self._offsets: dict[ItemPlace, int] = {}
        # The clouds and regions in which a response's tool drew.
        self.drawn: set[tuple[str, str]] = set()
        late = total = 0
        for usage in metered:
            place = ItemPlace(usage.cloud, usage.region, usage.product, usage.unit)
            by_hour = self.hours.setdefault(place, {})
            by_hour[usage.hour] = by_hour.get(usage.hour, 0) + usage.quantity
            late, total = late + usage.is_late, total + 1
            if _whole_of(usage.unit) in _DRAWN:
                self.drawn.add((usage.cloud, usage.region))
            if usage.day in days:
                self._side(place, usage.day).metered.append(usage)
        for row in billed:
            self._side(
                ItemPlace(row.cloud, row.region, row.product, row.unit), row.day
            ).billed.append(row)
        # If most usage was recorded late, as under a simulated clock, lateness explains nothing.
        self.tells_late = 2 * late < total
        of_days = (by_day.items() for by_day in self.sides.values())
        self.last_billed = max(
            (day for items in of_days for day, sides in items if sides.billed), default=None
        )

    def _side(self, place: ItemPlace, day: date) -> _Sides:
        self.regions.setdefault((place.cloud, place.product, place.unit), set()).add(place)
        return self.sides.setdefault(place, {}).setdefault(day, _Sides([], []))

    def at(self, place: ItemPlace, day: date) -> _Sides:
        return self.sides.get(place, {}).get(day, _Sides([], []))

    def by_product(
        self, place: ItemPlace, day: date, whole: Unit
    ) -> Mapping[str, tuple[int, Decimal]]:
        """Return what each product in a cloud and region has of a whole with its parts on a day:
        metered and billed."""
        sums: dict[str, tuple[int, Decimal]] = {}
        for other in self.sides:
            if (other.cloud, other.region, _whole_of(other.unit)) == (*place[:2], whole):
                metered, billed = self.at(other, day)
                count, quantity = sums.get(other.product, (0, _ZERO))
                count += sum(usage.quantity for usage in metered)
                sums[other.product] = (
                    count,
                    exact_sum((quantity, *(row.quantity for row in billed))),
                )
        return sums

    def offset(self, place: ItemPlace) -> int:
        """Return the hours by which the days of a place's bill begin before UTC's if every day then
        equals the meter's; 0 if none do.

        The first and the last day may hold less than a day of the meter.
        """
        if place not in self._offsets:
            self._offsets[place] = next(
                (hours for hours in _OFFSETS if self._is_offset(place, hours)), 0
            )
        return self._offsets[place]

    def _is_offset(self, place: ItemPlace, hours: int) -> bool:
        billed = {
            day: exact_sum(row.quantity for row in of.billed)
            for day, of in self.sides[place].items()
        }
        if not any(billed.values()):
            return False
        # Days of either side, the meter's as the bill's clock would date them.
        days = {
            *billed,
            *(
                _EPOCH + timedelta(days=(hour + hours) // _HOURS)
                for hour in self.hours.get(place, {})
            ),
        }
        # Another clock cuts the first and the last day: they bear out nothing. Neither does a clock
        # for days that UTC's gives as well, as where every day has the same usage.
        edges = (self.days.begin, self.days.last_day)

        def is_given(day: date, ahead: int) -> bool:
            apart = abs(billed.get(day, _ZERO) - self.shifted(place, day, ahead))
            return apart <= self.tolerance.quantity

        return all(
            is_given(day, hours) for day in days if day in self.days and day not in edges
        ) and any(billed.get(day) and day not in edges and not is_given(day, 0) for day in days)

    def usd(self, rows: Sequence[Billed]) -> Decimal | None:
        """Return the cost of the rows in USD; None if a currency has no rate."""
        if any(row.currency not in self.rates for row in rows):
            return None
        return exact_sum(exact_product(row.cost, self.rates[row.currency]) for row in rows)

    def shifted(self, place: ItemPlace, day: date, hours: int) -> int:
        """Return the quantity metered on a day of a clock that is so many hours ahead of UTC."""
        first = (day - _EPOCH).days * _HOURS - hours
        by_hour = self.hours.get(place, {})
        return sum(by_hour.get(hour, 0) for hour in range(first, first + _HOURS))


def reconcile(
    metered: Iterable[Metered],
    billed: Iterable[Billed],
    *,
    days: Interval,
    tolerance: Tolerance,
    rates: Mapping[str, Decimal] | None = None,
    others: Callable[[ItemPlace, str, date], Sequence[OtherPrice]] = lambda place, seller, day: (),
    beside: Iterable[UncomparedCharge] = (),
) -> BillComparison:
    """Compare a bill with the meter on these days.

    Metered usage may reach a day beyond them: a bill's days may begin at another hour. `rates` are
    USD for one unit of a currency; `others` gives the prices that an item could have had; `beside`
    are the bill's rows that are not compared.
    """
    billed, beside = tuple(billed), tuple(beside)
    book = _Book(metered, billed, days, tolerance, {USD: Decimal(1), **(rates or {})}, others)
    by_line: dict[tuple[date, str, str, str], list[Item]] = {}
    parts = _Parts(book.rates)
    for place, day in sorted(
        (place, day) for place, by_day in book.sides.items() for day in by_day
    ):
        sides = book.at(place, day)
        case = _Case(place, day, sides.metered, sides.billed, book.usd(sides.billed), book)
        item = _item(case)
        parts.compared(item, sides.billed)
        by_line.setdefault((day, place.cloud, place.region, place.product), []).append(item)
    for charge in beside:
        parts.beside(charge)
    lines = tuple(_line(*key, items) for key, items in sorted(by_line.items()))
    items = [item for line in lines for item in line.items]
    costs = [(row.currency, row.cost) for row in billed]
    costs += [(charge.currency, charge.cost) for charge in beside]
    total = _total(costs, book.rates)
    assert exact_sum(part.billed for part in parts.all()) == total, (
        "the parts of a bill are the bill"
    )
    return BillComparison(
        lines=lines,
        parts=parts.all(),
        whole_days=_whole_days(lines),
        total=total,
        unrated=_sums((name, cost) for name, cost in costs if name not in book.rates),
        tolerance=tolerance,
        metered=exact_sum(line.metered for line in lines),
        billed=exact_sum(line.billed for line in lines),
        difference=exact_sum(line.difference for line in lines),
        at_stake=exact_sum(item.at_stake for item in items if item.status != MATCHED),
        by_status=_by_status(items),
        by_cause=_by_cause(items),
    )


def _total(costs: Iterable[tuple[str, Decimal]], rates: Mapping[str, Decimal]) -> Decimal:
    """Return a bill's total in USD, from its rows alone, so that its parts can be held against it."""
    return exact_sum(exact_product(cost, rates[name]) for name, cost in costs if name in rates)


def _by_status(items: Iterable[Item]) -> dict[str, tuple[int, Decimal]]:
    by_status: dict[str, list[Item]] = {status: [] for status in STATUSES}
    for item in items:
        by_status[item.status].append(item)
    return {name: _counted(of_status) for name, of_status in by_status.items()}


def _by_cause(items: Iterable[Item]) -> dict[str, tuple[int, Decimal]]:
    """Return the items of each cause that there is. An item counts under its first cause alone, so
    that the counts add up."""
    by_cause: dict[str, list[Item]] = {name: [] for name in (*CAUSES, UNEXPLAINED)}
    for item in items:
        if item.causes:
            by_cause[item.causes[0].name].append(item)
    return {name: _counted(of_cause) for name, of_cause in by_cause.items() if of_cause}


class _Parts:
    """The parts of a bill, summed row by row."""

    def __init__(self, rates: Mapping[str, Decimal]) -> None:
        self._rates = rates
        self._rows = dict.fromkeys((*STATUSES, *BESIDE), 0)
        self._metered: dict[str, list[Decimal]] = {name: [] for name in self._rows}
        self._billed: dict[str, list[Decimal]] = {name: [] for name in self._rows}

    def compared(self, item: Item, rows: Sequence[Billed]) -> None:
        self._metered[item.status].append(item.metered or _ZERO)
        for row in rows:
            self._add(item.status, row.cost, row.currency)

    def beside(self, charge: UncomparedCharge) -> None:
        self._add(charge.kind, charge.cost, charge.currency)

    def _add(self, name: str, cost: Decimal, currency: str) -> None:
        self._rows[name] += 1
        if currency in self._rates:
            self._billed[name].append(exact_product(cost, self._rates[currency]))

    def all(self) -> tuple[BillPart, ...]:
        return tuple(
            BillPart(
                name=name,
                rows=rows,
                metered=exact_sum(self._metered[name]),
                billed=exact_sum(self._billed[name]),
            )
            for name, rows in self._rows.items()
        )


def _sums(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Sum amounts by their name."""
    sums: dict[str, Decimal] = {}
    for name, amount in amounts:
        sums[name] = exact_sum((sums.get(name, _ZERO), amount))
    return sums


def _whole_days(lines: Sequence[ReconciledLine]) -> tuple[WholeDay, ...]:
    """Return the days on which one side has nothing of some clouds: each is reported once, however
    many items it has."""
    items: dict[tuple[date, str], list[Item]] = {}
    for line in lines:
        items.setdefault((line.day, line.cloud), []).extend(line.items)
    missing: dict[tuple[date, str], list[str]] = {}
    for (day, cloud), of_day in sorted(items.items()):
        statuses = {item.status for item in of_day}
        # One side has nothing at all of this cloud on this day.
        if len(statuses) == 1 and statuses <= {NOT_BILLED, NOT_METERED}:
            missing.setdefault((day, statuses.pop()), []).append(cloud)
    return tuple(
        WholeDay(
            day=day,
            status=status,
            clouds=tuple(clouds),
            items=sum(len(items[day, cloud]) for cloud in clouds),
            difference=exact_sum(item.difference for cloud in clouds for item in items[day, cloud]),
        )
        for (day, status), clouds in missing.items()
    )


def _counted(items: Sequence[Item]) -> tuple[int, Decimal]:
    return len(items), exact_sum(item.at_stake for item in items)


def _line(
    day: date, cloud: str, region: str, product: str, items: Sequence[Item]
) -> ReconciledLine:
    # A line stands for its heaviest item: any difference before none, then the amount.
    weighty = max(items, key=lambda item: (item.status != MATCHED, item.at_stake))
    return ReconciledLine(
        day=day,
        cloud=cloud,
        region=region,
        product=product,
        status=weighty.status,
        metered=exact_sum(item.metered or _ZERO for item in items),
        billed=exact_sum(item.billed or _ZERO for item in items),
        difference=exact_sum(item.difference for item in items),
        items=tuple(items),
    )


def _item(case: _Case) -> Item:
    status = _status(case)
    amount, cost = case.amount, case.billed_usd
    # With one side's amount unknown, all of the other is at stake.
    difference = exact_sum((cost or _ZERO, (amount or _ZERO).copy_negate()))
    return Item(
        unit=case.place.unit.column,
        status=status,
        metered_quantity=case.quantity,
        billed_quantity=case.billed_quantity,
        metered=amount,
        billed=cost,
        difference=difference,
        causes=() if status == MATCHED else _causes(case, status),
        rows=tuple(row.line for row in case.billed),
        requests=_requests(case.metered),
    )


def _status(case: _Case) -> str:
    if not case.billed:
        return NOT_BILLED
    if not case.metered:
        return NOT_METERED
    if not case.is_quantity(case.quantity):
        return QUANTITY
    amount = case.amount
    return MATCHED if amount is not None and case.is_cost(amount) else PRICE


def _requests(metered: Sequence[Metered]) -> tuple[str, ...]:
    ids = {usage.first_request for usage in metered} | {usage.last_request for usage in metered}
    named = sorted(ids - {""})
    return (named[0], named[-1]) if len(named) > 1 else tuple(named)


def _causes(case: _Case, status: str) -> tuple[Cause, ...]:
    """Return the first cause of the difference; if the quantity differs, also the cause of a
    different price."""
    causes = [_first(case, of_quantity=status != PRICE)]
    if status == QUANTITY and (price_cause := _price_too(case)) is not None:
        causes.append(price_cause)
    return tuple(causes)


def _first(case: _Case, *, of_quantity: bool) -> Cause:
    for name, rule in CAUSES.items():
        if (name in _OF_QUANTITY) == of_quantity and (detail := rule(case)):
            return Cause(name=name, detail=detail)
    if of_quantity and not case.billed:
        detail = "nothing on the bill accounts for it"
    elif of_quantity and not case.metered:
        detail = "nothing that was metered accounts for it"
    else:
        detail = "no rule gives back the difference"
    return Cause(name=UNEXPLAINED, detail=detail)


def _price_too(case: _Case) -> Cause | None:
    """Return the cause of another price where the quantity differs as well: none while the price
    per unit is the meter's."""
    amount, cost = case.amount, case.billed_usd
    if amount is not None and cost is not None:
        # Crosswise, so that nothing is divided: amount / quantity = cost / billed quantity.
        other = exact_product(cost, Decimal(case.quantity)).copy_negate()
        apart = exact_sum((exact_product(amount, case.billed_quantity), other))
        if abs(apart) <= exact_product(case.book.tolerance.amount, Decimal(max(case.quantity, 1))):
            return None
    cause = _first(case, of_quantity=False)
    return None if cause.name == UNEXPLAINED else cause


# Causes: each rule returns the words that bear it out, or nothing.


def _duplicate(case: _Case) -> str:
    """Rows with the same content, without which the quantity is the meter's."""
    seen: dict[str, int] = {}
    # The first row of a content stands; every further one repeats it.
    again = []
    for row in case.billed:
        if row.identity and row.identity in seen:
            again.append(row)
        seen.setdefault(row.identity, row.line)
    if not again or not case.metered:
        return ""
    if not case.is_quantity(exact_sum((Decimal(case.quantity), *(row.quantity for row in again)))):
        return ""
    return "; ".join(f"row {row.line} repeats row {seen[row.identity]}" for row in again)


def _cached_twice(case: _Case) -> str:
    """Input billed with the cached tokens in it, although the bill has them on rows of their own
    too."""
    if case.place.unit is not Unit.INPUT_TOKENS:
        return ""
    cached, _ = case.book.at(case.place._replace(unit=Unit.CACHED_INPUT_TOKENS), case.day)
    count = sum(usage.quantity for usage in cached)
    if not count or not case.is_quantity(case.quantity + count):
        return ""
    return f"the bill's input holds the {count:,} cached tokens, which it bills apart as well"


def _time_zone(case: _Case) -> str:
    """Days that begin at another hour: an offset from UTC at which every billed day of the place is
    the meter's."""
    hours = case.book.offset(case.place)
    shifted = case.book.shifted(case.place, case.day, hours)
    if not hours or shifted == case.quantity or not case.is_quantity(shifted):
        return ""
    clock = hours if hours >= _EARLIEST else hours + _HOURS
    return f"with days that begin at midnight UTC{clock:+d} the quantity of every day is the bill's"


def _region(case: _Case) -> str:
    """Equal quantities of one day, each on one side alone, in regions of two names."""
    # Both sides have usage here: the region's name is not what differs.
    if case.metered and case.billed:
        return ""
    mine = case.place
    for place in sorted(case.book.regions[mine.cloud, mine.product, mine.unit] - {mine}):
        metered, billed = case.book.at(place, case.day)
        if (
            case.billed
            and metered
            and not billed
            and case.is_quantity(sum(usage.quantity for usage in metered))
        ):
            return f"metered in {place.region or 'no region'}"
        other = exact_sum(row.quantity for row in billed)
        if (
            case.metered
            and billed
            and not metered
            and abs(other - case.quantity) <= case.book.tolerance.quantity
        ):
            return f"billed in {place.region or 'no region'}"
    return ""


def _drawn(case: _Case) -> str:
    """What the tool of a response drew: metered under the model that was asked, because no answer
    names another, and billed under the model that draws."""
    place, whole = case.place, _whole_of(case.place.unit)
    pair = next((pair for pair in _DRAWN.items() if whole in pair), None)
    if pair is None or place[:2] not in case.book.drawn:
        return ""
    drawn = case.book.by_product(place, case.day, pair[0])
    count = sum(metered for metered, _ in drawn.values())
    if not count or any(billed for _, billed in drawn.values()):
        return ""
    tolerance = case.book.tolerance.quantity
    for product, (metered, billed) in case.book.by_product(place, case.day, pair[1]).items():
        if abs(billed - metered - count) <= tolerance:
            if whole is pair[0]:
                return f"billed as {pair[1].column} of {product}, the model that draws"
            if product == place.product:
                return f"metered as {pair[0].column} of {', '.join(sorted(drawn))}"
    return ""


def _late(case: _Case) -> str:
    """Usage recorded more than a day late, which the bill lacks."""
    late = [usage for usage in case.metered if usage.is_late]
    count = sum(usage.quantity for usage in late)
    if not case.book.tells_late or not count or not case.is_quantity(case.quantity - count):
        return ""
    return f"{count:,} were recorded more than a day after the event ({', '.join(_requests(late))})"


def _estimated(case: _Case) -> str:
    """Usage the gateway had to estimate: the bill holds at least the reported part, and the rest
    may be any count."""
    guessed = [usage for usage in case.metered if usage.is_estimated]
    count = sum(usage.quantity for usage in guessed)
    if not count or case.billed_quantity < case.quantity - count - case.book.tolerance.quantity:
        return ""
    requests = ", ".join(_requests(guessed))
    return f"{count:,} of them are estimates, of answers without a report ({requests})"


def _quantity_rounding(case: _Case) -> str:
    """Figures that are too coarse: half the last place of each row."""
    # Each row may be off by half its step.
    step = exact_sum(exact_product(row.quantity_step, _HALF) for row in case.billed)
    if not case.billed or not case.metered or not step:
        return ""
    if abs(case.billed_quantity - case.quantity) > step:
        return ""
    coarsest = max(row.quantity_step for row in case.billed)
    return f"the bill's quantities are in steps of {coarsest.normalize():f}"


def _not_yet(case: _Case) -> str:
    """Usage after the last day that the bill has charges for."""
    last = case.book.last_billed
    return (
        f"the bill's last charge is of {last}"
        if not case.billed and last is not None and case.day > last
        else ""
    )


def _currency(case: _Case) -> str:
    currencies = sorted({row.currency for row in case.billed} - case.book.rates.keys())
    if not currencies:
        return ""
    named = ", ".join(currencies)
    return f"billed in {named}, for which no rate was given; all that was metered is at stake"


def _unknown_price(case: _Case) -> str:
    if not case.metered or case.amount is not None:
        return ""
    return (
        "no price book had a price for it that day, as known then; all that was billed is at stake"
    )


def _other_price(name: str) -> Callable[[_Case], str]:
    """The bill's amount at a price that was not taken."""

    def rule(case: _Case) -> str:
        sellers = sorted(
            {usage.seller for usage in case.metered} or {row.seller for row in case.billed}
        )
        for seller in sellers:
            for other in case.book.others(case.place, seller, case.day):
                if other.cause == name and case.is_cost(
                    exact_product(case.billed_quantity, other.price)
                ):
                    return other.detail
        return ""

    return rule


def _amount_rounding(case: _Case) -> str:
    """Half the last place of each row's cost."""
    amount, cost = case.amount, case.billed_usd
    step = exact_sum(exact_product(row.cost_step, _HALF) for row in case.billed)
    if amount is None or cost is None or not step or abs(cost - amount) > step:
        return ""
    rows = f"{len(case.billed)} rows" if len(case.billed) > 1 else "a row"
    return f"{rows} rounded to {max(row.cost_step for row in case.billed).normalize():f}"


KNOWN_LATER, OTHER_DAY, OTHER_TIER = "price not yet known", "price of another day", "another tier"
OTHER_PLACE, DISCOUNT = "price of another region or seller", "discount"
# The one table of causes, in the order in which they are tried: first of quantities, then of
# prices.
CAUSES: Mapping[str, Callable[[_Case], str]] = {
    "duplicate": _duplicate,
    "cached tokens counted twice": _cached_twice,
    "late record": _late,
    "time zone of the day boundary": _time_zone,
    "another name of the region": _region,
    "drawn by a tool": _drawn,
    "not billed yet": _not_yet,
    "rounding of quantities": _quantity_rounding,
    "estimated usage": _estimated,
    "currency": _currency,
    "no price": _unknown_price,
    KNOWN_LATER: _other_price(KNOWN_LATER),
    DISCOUNT: _other_price(DISCOUNT),
    OTHER_TIER: _other_price(OTHER_TIER),
    OTHER_DAY: _other_price(OTHER_DAY),
    OTHER_PLACE: _other_price(OTHER_PLACE),
    "rounding": _amount_rounding,
}
# The causes before `currency` explain another quantity, those from there on another price.
_OF_QUANTITY = frozenset(list(CAUSES)[: list(CAUSES).index("currency")])
