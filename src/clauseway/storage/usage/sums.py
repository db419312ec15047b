"""Usage summed by day, buyer and place, and by everything its price depends on: bills are written
from it. And by hour and tier, for rows of usage without prices."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import msgspec
from ibis import _
from ibis.expr.types import Table

from clauseway.metering import Unit
from clauseway.pricing import Grain, PriceTable, Sale
from clauseway.storage.lake import hourly_sums
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import built, duckdb_engine
from clauseway.storage.lake.usage_records import hour_of
from clauseway.storage.usage.attempts import Selection, selected
from clauseway.storage.usage.priced import (
    places_of,
    price_columns,
    priced_once,
    rows_of,
    sale_of,
    sealed_usage,
    tier_of,
    with_price_columns,
)
from clauseway.values import Interval

_CHUNK_ROWS = 20_000
_BUYERS = ("organisation", "project")


class DaySum(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts of one day that have one price; of one project, or of all buyers where none is named.

    `sale` stands for all of them, the length of their context included; `units` are as reported,
    wholes and parts.
    """

    day: date
    organisation: str = ""
    project: str = ""
    sale: Sale
    attempts: int
    units: Mapping[Unit, int]


def day_sums(
    lake: Lake, prices: PriceTable, selection: Selection, *, of_all_buyers: bool = False
) -> Iterator[DaySum]:
    """Yield the selected attempts that count, summed as finely as these prices tell them apart; by
    project, unless they are summed `of_all_buyers`."""
    with duckdb_engine() as con:
        usage = sealed_usage(con, lake, selection.days)
        if usage is None:
            return
        # Summed in the database as coarsely as prices allow; only the sums are fetched, in chunks.
        grain = prices.grain(places_of(con, lake, selection.days))
        buyers = () if of_all_buyers else _BUYERS
        sums = built(con, _day_sums, selected(usage, selection), grain, buyers)
        cursor = con.raw_sql(con.compile(sums))
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(_CHUNK_ROWS):
            for values in rows:
                row = dict(zip(names, values, strict=True))
                units = {
                    unit: int(row[unit.column]) for unit in Unit if row[unit.column] is not None
                }
                yield DaySum(
                    day=row["event_day"],
                    **{name: row[name] for name in buyers},
                    sale=sale_of(row),
                    attempts=row["attempts"],
                    units=units,
                )


def _day_sums(usage: Table, grain: Grain, buyers: tuple[str, ...]) -> Table:
    return (
        with_price_columns(priced_once(usage), grain)
        .group_by("event_day", *buyers, *price_columns(grain))
        .agg(**{unit.column: _[unit.column].sum() for unit in Unit}, attempts=_.count())
    )


def hour_sums(lake: Lake, days: Interval) -> list[dict[str, Any]]:
    """Return the units of the attempts that count on the event days, by hour (since 1970), by every
    dimension of the hourly sums, and by service tier."""
    with duckdb_engine() as con:
        usage = sealed_usage(con, lake, days)
        if usage is None:
            return []
        return rows_of(con, built(con, _hour_sums, usage))


def _hour_sums(usage: Table) -> Table:
    by = ("hour", *hourly_sums.DIMENSIONS, "tier")
    counted = priced_once(usage)
    return (
        counted.mutate(hour=hour_of(_.event_ns), tier=tier_of(counted))
        .group_by(*by)
        .agg(**{unit.column: _[unit.column].sum() for unit in Unit})
        .order_by(*by)
    )
