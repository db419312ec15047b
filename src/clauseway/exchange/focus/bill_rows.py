"""A cloud's bill in FOCUS (CSV or Parquet) as input of `ledger.reconciliation`: quantities, costs,
and steps.

A row that cannot be read is reported with its field and left out; the rest is compared. Charges
that are not compared (taxes, purchases, credits, corrections, unreadable rows) are kept with their
cost, so that the bill adds up.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from clauseway.exchange.focus.bill_fields import (
    COSTS,
    UnreadField,
    currency_in,
    day_in,
    number_in,
    read_rows,
)
from clauseway.exchange.usage.bill_files import NEEDED
from clauseway.exchange.usage.focus import (
    BillNames,
    described_by,
    other_service,
    scale_of,
)
from clauseway.exchange.usage.reported_rows import keepable
from clauseway.ledger.reconciliation import (
    ADJUSTMENTS,
    CORRECTIONS,
    CREDITS,
    NOT_READ,
    OTHER_SERVICES,
    PURCHASES,
    TAXES,
    Billed,
)
from clauseway.metering import Unit
from clauseway.values import exact_product

_NEEDED = ("BillingCurrency", *NEEDED)
# The milliseconds of units of length.
_LENGTHS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000}
# The time of the export does not identify a row.
_MADE = re.compile(r"^x_Exported")
_ONE = Decimal(1)
_USAGE, _CORRECTION = "Usage", "Correction"
_CATEGORIES = {"Tax": TAXES, "Credit": CREDITS, "Purchase": PURCHASES, "Adjustment": ADJUSTMENTS}


class UnreadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that could not be read: its line, the field, and why."""

    line: int
    field: str
    reason: str


class UncomparedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is not compared: its line, one of `reconciliation.BESIDE`, its day if it has one,
    and its cost."""

    line: int
    kind: str
    day: date | None
    cost: Decimal
    currency: str


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """A bill's rows of usage, and its rows that are not compared.

    `unread` are rows that could not be read; `uncounted` are those whose cost could not be read
    either. `period` is the billing period if the rows state it: its first day, and the day after its
    last.
    """

    rows: tuple[Billed, ...]
    beside: tuple[UncomparedRow, ...]
    unread: tuple[UnreadRow, ...]
    uncounted: int
    period: tuple[date, date] | None
    has_regions: bool


def read_bill(path: Path, names: BillNames, cost: str = COSTS[0]) -> Bill:
    """Read a bill. `cost` is the column that is compared.

    Raise InvalidInput if the file cannot be read or lacks columns, naming all of them.
    """
    rows: list[Billed] = []
    beside: list[UncomparedRow] = []
    unread: list[UnreadRow] = []
    periods: set[tuple[date, date]] = set()
    uncounted = 0
    for line, raw, wrong in read_rows(path, _NEEDED, cost):
        # A row is usage, another charge, or unread; an unread row still counts with its cost.
        row = {name: value for name, value in raw.items() if value not in (None, "")}
        kind = _kind(row, names)
        try:
            if wrong:
                raise UnreadField("row", wrong)
            if kind:
                beside.append(_beside(line, row, kind, cost))
                continue
            rows.append(_billed(line, row, names, cost))
            if "BillingPeriodStart" in row and "BillingPeriodEnd" in row:
                periods.add(_period(row))
        except UnreadField as error:
            unread.append(UnreadRow(line=line, field=error.field, reason=str(error)))
            try:
                beside.append(_beside(line, row, NOT_READ, cost))
            except UnreadField:
                uncounted += 1
    return Bill(
        rows=tuple(_with_steps(rows)),
        beside=tuple(beside),
        unread=tuple(unread),
        uncounted=uncounted,
        period=(min(begin for begin, _ in periods), max(end for _, end in periods))
        if periods
        else None,
        has_regions=any(row.region for row in rows),
    )


def _period(row: Mapping[str, Any]) -> tuple[date, date]:
    """Return the billing period of a row. Google's view ends a month with its last day, where FOCUS
    has the day after."""
    begin, end = day_in(row, "BillingPeriodStart"), day_in(row, "BillingPeriodEnd")
    following = end + timedelta(days=1)
    if begin.day == following.day == 1 and (begin.year, begin.month) == (end.year, end.month):
        return begin, following
    return begin, end


def _kind(row: Mapping[str, Any], names: BillNames) -> str:
    """Return the kind of a row beside usage of models, by its class, category and service; empty
    for usage of models.

    Raise nothing: an unknown category is usage that cannot be read.
    """
    category = str(row.get("ChargeCategory", ""))
    if category == _USAGE and row.get("ChargeClass") == _CORRECTION:
        return CORRECTIONS
    if category == _USAGE and other_service(row):
        about, unit = described_by(row, names)
        return "" if unit and about["product"] else OTHER_SERVICES
    return _CATEGORIES.get(category, "")


def _beside(line: int, row: Mapping[str, Any], kind: str, cost: str) -> UncomparedRow:
    try:
        day = day_in(row, "ChargePeriodStart")
    except UnreadField:
        day = None
    return UncomparedRow(
        line=line, kind=kind, day=day, cost=number_in(row, cost), currency=currency_in(row)
    )


def _billed(line: int, row: Mapping[str, Any], names: BillNames, cost: str) -> Billed:
    category = str(row.get("ChargeCategory", ""))
    # Only usage was metered; any other charge is kept with its cost and compared with nothing.
    if category != _USAGE:
        raise UnreadField(
            "ChargeCategory", f"{category[:40]!r} is none" if category else "it is empty"
        )
    about, unit = described_by(row, names)
    scale, unit = _scale(row, unit)
    if not about["product"]:
        raise UnreadField("SkuMeter", "it names no product of the agreement or the price books")
    return Billed(
        line=line,
        day=day_in(row, "ChargePeriodStart"),
        unit=unit,
        quantity=exact_product(number_in(row, "ConsumedQuantity"), scale),
        cost=number_in(row, cost),
        currency=currency_in(row),
        quantity_step=exact_product(_step(number_in(row, "ConsumedQuantity")), scale),
        cost_step=_step(number_in(row, cost)),
        identity=_identity(row),
        **about,
    )


def _scale(row: Mapping[str, Any], unit: Unit | None) -> tuple[Decimal, Unit]:
    """Return how many of our units a unit of the bill is, and our unit: `1K Tokens` are 1,000.

    A second of audio is 1,000 milliseconds.
    """
    text = str(row.get("ConsumedUnit", ""))
    scale = scale_of(text)
    length = next((factor for name, factor in _LENGTHS.items() if name in text.lower()), None)
    if length is not None and "milli" not in text.lower():
        return scale * length, Unit.AUDIO_INPUT_MILLISECONDS
    if unit is None:
        raise UnreadField(
            "SkuMeter", f"{row.get('SkuMeter', '')!r} of {text!r} is not a unit that is metered"
        )
    return scale, unit


def _step(number: Decimal) -> Decimal:
    """Return the smallest difference that a figure shows by itself: zeros at its end may be how its
    file writes decimals."""
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int), f"{number} is finite"
    return _ONE.scaleb(min(exponent, 0))


def _with_steps(rows: list[Billed]) -> Iterator[Billed]:
    """Yield the rows with the finest step that the bill's figures have: `3` beside `2.51` is
    3.00."""
    cost_step = min((row.cost_step for row in rows), default=_ONE)
    steps: dict[Unit, Decimal] = {}
    for row in rows:
        steps[row.unit] = min(steps.get(row.unit, row.quantity_step), row.quantity_step)
    for row in rows:
        yield msgspec.structs.replace(row, cost_step=cost_step, quantity_step=steps[row.unit])


def _identity(row: Mapping[str, Any]) -> str:
    descriptive = sorted((name, str(value)) for name, value in row.items() if not _MADE.match(name))
    return hashlib.sha256(msgspec.json.encode(keepable(descriptive))).hexdigest()
