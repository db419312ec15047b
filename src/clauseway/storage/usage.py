"""Usage summed and priced, as one set of Ibis expressions over the sealed files (DuckDB here).

Each attempt counts once by (request, attempt), whatever was sealed. Tokens are summed before prices are joined: the
join is between groups and the price table's rows, on equality of what a price depends on and the day's interval. Money
is decimal(38, 12) throughout; the same rows price one record in `pricing`, and a law in the tests says they agree.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from operator import add
from typing import Any

import ibis
import msgspec
import pyarrow as pa
from ibis import _
from ibis.backends import BaseBackend
from ibis.expr.types import DecimalValue, Table

from clauseway.ledger import RevenueLine, SaleRecord
from clauseway.metering import Status, Unit
from clauseway.metering.units import CONTAINED_IN, WHOLES
from clauseway.pricing import DIMENSIONS, PriceRow, PriceTable, Sale, UnknownPrice
from clauseway.storage.lake import Lake
from clauseway.values import Interval, day_after

# What was sold: an answer that counts. A failed attempt and one lost in a crash are in the lake and have no charge.
PRICED = (Status.COMPLETE, Status.INTERRUPTED, Status.ESTIMATED)
# 18 and 18 digits multiply into 37, the widest that every engine keeps without dropping a decimal.
_COUNT, _PRICE = "decimal(18, 0)", pa.decimal128(18, 12)


class CloudUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What a cloud served: attempts that count, attempts that do not, and the tokens of those that do."""

    cloud: str
    served: int
    failed: int
    input_tokens: int
    output_tokens: int


def revenue(lake: Lake, prices: PriceTable, days: Interval) -> list[RevenueLine]:
    """The charges for usage with event days in `days`, by day, seller, cloud and product. Raises UnknownPrice."""
    con = ibis.duckdb.connect()
    usage = _usage(con, lake, days)
    if usage is None:
        return []
    sums = (
        _priced_once(usage)
        .group_by("event_day", *DIMENSIONS)
        .agg(
            **{unit.column: _[unit.column].sum() for unit in Unit},
            attempts=_.count(),
            first_request=_.request_id.min(),
            last_request=_.request_id.max(),
        )
    )
    by_line = ["event_day", "seller", "cloud", "product"]
    lines = (
        _charged(con, con.create_table("sums", sums, temp=True), prices)
        .group_by(by_line)
        .agg(
            amount=_.amount.sum(),
            requests=_.attempts.sum(),
            first_request=_.first_request.min(),
            last_request=_.last_request.max(),
        )
    )
    return [RevenueLine(**row) for row in _rows(con, lines.order_by(by_line))]


def sales_in_order(lake: Lake, prices: PriceTable, day: date) -> list[SaleRecord]:
    """The charges of one event day one by one, by event time and then record id. Raises UnknownPrice."""
    con = ibis.duckdb.connect()
    usage = _usage(con, lake, Interval(day, day_after(day)))
    if usage is None:
        return []
    charged = _charged(con, con.create_table("attempts", _priced_once(usage), temp=True), prices)
    return [SaleRecord(**row) for row in _rows(con, charged.select(*SaleRecord.__struct_fields__))]


def usage_by_cloud(lake: Lake, days: Interval | None = None) -> list[CloudUsage]:
    """What each cloud served on the days, sealed so far."""
    con = ibis.duckdb.connect()
    usage = _usage(con, lake, days)
    if usage is None:
        return []
    counts = _.status.isin(PRICED)
    clouds = (
        _once(usage)
        .group_by("cloud")
        .agg(
            served=counts.sum(),
            failed=(~counts).sum(),
            input_tokens=_.input_tokens.sum(where=counts).fill_null(0),
            output_tokens=_.output_tokens.sum(where=counts).fill_null(0),
        )
    )
    return [CloudUsage(**row) for row in _rows(con, clouds.order_by("cloud"))]


def _usage(con: BaseBackend, lake: Lake, days: Interval | None) -> Table | None:
    """The sealed usage of some days, or none at all. A unit that no file knew yet is a column of nulls."""
    files = lake.files(days)
    if not files:
        return None
    usage = con.read_parquet([str(file) for file in files], union_by_name=True)
    usage = usage.mutate(**{u.column: ibis.null("int64") for u in Unit if u.column not in usage.columns})
    if days is None:
        return usage
    return usage.filter(_.event_day >= days.begin, _.event_day < days.end)


def _once(usage: Table) -> Table:
    """Each attempt once. Where an attempt was recorded twice, what is known best stands (the lowest status)."""
    best_first = [_.status, _.recorded_ns, _.upstream_id]
    ranked = usage.mutate(rank=ibis.row_number().over(group_by=[_.request_id, _.attempt], order_by=best_first))
    return ranked.filter(_.rank == 0).drop("rank")


def _priced_once(usage: Table) -> Table:
    """The attempts that have a charge. INVARIANT: they have the lowest statuses, so the best of two is among them."""
    return _once(usage.filter(_.status.isin(PRICED)))


def _charged(con: BaseBackend, usage: Table, prices: PriceTable) -> Table:
    """Usage (sums or single attempts) with its `amount` in USD. Raises UnknownPrice, naming all that has no price."""
    sales = [Sale(**row) for row in _rows(con, usage.select(*DIMENSIONS).distinct())]
    table = ibis.memtable(_price_table(prices.rows(sales)))
    on = [usage[name] == table[f"of_{name}"] for name in DIMENSIONS]
    joined = usage.left_join(table, [*on, usage.event_day >= table.begin, usage.event_day < table.end])
    missing = [
        (Sale(**{name: row[name] for name in DIMENSIONS}), unit, row["event_day"])
        for unit in sorted(WHOLES)
        for row in _rows(con, joined.filter(_quantity(joined, unit) != 0, _price(joined, unit).isnull()).distinct())
    ]
    if missing:
        raise UnknownPrice(missing)
    amounts = [_quantity(joined, unit) * _price(joined, unit).fill_null(Decimal(0)) for unit in Unit]
    return joined.mutate(amount=reduce(add, amounts).cast("decimal(38, 12)"))


def _quantity(joined: Table, unit: Unit) -> DecimalValue:
    """`metering.units.billable` on columns: a whole without those of its parts that have a price of their own."""
    quantity = joined[unit.column].fill_null(0).cast(_COUNT)
    for part, whole in CONTAINED_IN.items():
        if whole == unit:
            own = _price(joined, part).notnull().ifelse(joined[part.column].fill_null(0), 0)
            quantity = quantity - own.cast(_COUNT)
    return quantity.cast(_COUNT)


def _price(joined: Table, unit: Unit) -> DecimalValue:
    return joined[f"price_of_{unit.column}"]


def _price_table(rows: Sequence[PriceRow]) -> pa.Table:
    """The interval table as columns, one price column per unit, USD per unit."""
    schema = pa.schema(
        [
            *((f"of_{name}", pa.string()) for name in DIMENSIONS),
            ("begin", pa.date32()),
            ("end", pa.date32()),
            *((f"price_of_{unit.column}", _PRICE) for unit in Unit),
        ]
    )
    columns: dict[str, Iterable[Any]] = {f"of_{name}": [getattr(row.sale, name) for row in rows] for name in DIMENSIONS}
    columns |= {"begin": [row.begin for row in rows], "end": [row.end for row in rows]}
    for unit in Unit:
        prices = [row.prices.get(unit) for row in rows]
        columns[f"price_of_{unit.column}"] = [None if p is None else Decimal(p).scaleb(-12) for p in prices]
    return pa.table(columns, schema=schema)


def _rows(con: BaseBackend, table: Table) -> list[dict[str, Any]]:
    return list(con.to_pyarrow(table).to_pylist())
