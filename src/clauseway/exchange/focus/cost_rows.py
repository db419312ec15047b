"""A cloud's bill in FOCUS as costs: each charge of any category and service, with its tags.

Quantities and meters are not read, so a bill needs no column for them. A row whose tags cannot be
read counts with its cost all the same.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from clauseway.exchange.focus.bill_fields import (
    UnreadField,
    currency_in,
    day_in,
    number_in,
    read_rows,
)
from clauseway.exchange.focus.bill_rows import UnreadRow
from clauseway.exchange.focus.bill_tags import tags_of
from clauseway.exchange.usage.focus import CLOUD_COLUMNS, TAGS, BillNames, cloud_of

_NEEDED = ("BillingCurrency", "ChargeCategory", "ChargePeriodStart")


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A charge: its line, day, cloud and FOCUS category, its cost, its tags, and its other columns.

    `unread_tags` says why the tags could not be read. Two rows with the same content have the same
    `identity`, whatever their tags: these may be filled in later.
    """

    line: int
    day: date
    cloud: str
    category: str
    currency: str
    cost: Decimal
    tags: Mapping[str, tuple[str, ...]]
    columns: Mapping[str, Any]
    identity: bytes
    unread_tags: str = ""


def cost_rows(path: Path, names: BillNames, cost: str) -> Iterator[CostRow | UnreadRow]:
    """Yield the charges of a bill, and the rows whose day or cost cannot be read.

    `cost` is the column that is read. Raise InvalidInput if the file cannot be read or lacks a
    column, naming all of them.
    """
    cloud = _cloud_by(names)
    for line, columns, wrong in read_rows(path, _NEEDED, cost):
        row = {name: value for name, value in columns.items() if value not in (None, "")}
        try:
            if wrong:
                raise UnreadField("row", wrong)
            yield _cost_row(line, row, columns, cloud(row), cost)
        except UnreadField as error:
            yield UnreadRow(line=line, field=error.field, reason=str(error))


def _cloud_by(names: BillNames) -> Callable[[Mapping[str, Any]], str]:
    """Return what names the cloud of a row. A bill's rows have few providers, so that each is looked
    up once."""

    @lru_cache(maxsize=1024)
    def cloud_named(*written: str) -> str:
        return cloud_of(dict(zip(CLOUD_COLUMNS, written, strict=True)), names)

    return lambda row: cloud_named(*[str(row.get(column, "")) for column in CLOUD_COLUMNS])


def _cost_row(
    line: int, row: Mapping[str, Any], columns: Mapping[str, Any], cloud: str, cost: str
) -> CostRow:
    tags: Mapping[str, tuple[str, ...]] = {}
    unread = ""
    try:
        tags = tags_of(row.get(TAGS))
    except ValueError as error:
        unread = str(error)
    return CostRow(
        line=line,
        day=day_in(row, "ChargePeriodStart"),
        cloud=cloud,
        category=str(row.get("ChargeCategory", "")),
        currency=currency_in(row),
        cost=number_in(row, cost),
        tags=tags,
        columns=columns,
        identity=_identity(row),
        unread_tags=unread,
    )


def _identity(row: Mapping[str, Any]) -> bytes:
    """Return a hash of the row as it is written, but for its tags; bytes that are not UTF-8 are
    part of it."""
    untagged = tuple(cell for cell in row.items() if cell[0] != TAGS)
    written = repr(untagged).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(written, digest_size=16).digest()
