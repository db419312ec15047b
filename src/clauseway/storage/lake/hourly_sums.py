"""Hourly sums of usage, kept in the control database, so that a page costs the same at any size of
the lake.

They are written in the transaction that commits a batch, so they hold a batch once or not at all.
Nothing here reads a file of the lake, so a page that only shows sums loads no engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, func, select

from clauseway.metering import Unit
from clauseway.storage.control import engines, schema
from clauseway.storage.control.control import Control
from clauseway.values import HOUR_NS, Interval, day_after, day_of, start_of_day_ns

DIMENSIONS = ("organisation", "project", "seller", "cloud", "region", "product", "model")
FIGURES = ("served", "failed", *(unit.column for unit in Unit))
_ROWS_AT_ONCE = 5_000
_COLUMNS = schema.rollups.c
RollupRow = dict[str, Any]


class Sums(msgspec.Struct, frozen=True):
    """The sums that a batch adds, and the days that are summed anew.

    On days that are `unsure` a damaged file hides whether an attempt repeats: sums added there may
    count twice until the days are summed again.
    """

    added: Iterable[RollupRow]
    anew: frozenset[date] = frozenset()
    unsure: frozenset[date] = frozenset()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over some hours: attempts that count, attempts that do not, and the units of those that
    do, by column."""

    key: tuple[str, ...]
    served: int
    failed: int
    units: dict[str, int]


def add_sums(connection: Connection, sums: Sums) -> None:
    """Add to the sums, in the transaction of their batch."""
    for day in sums.anew:
        connection.execute(delete(schema.rollups).where(_in(Interval(day, day_after(day)))))
    statement = engines.insert_into(connection, schema.rollups)
    more = {name: _COLUMNS[name] + statement.excluded[name] for name in FIGURES}
    adding = statement.on_conflict_do_update(index_elements=["hour", *DIMENSIONS], set_=more)
    left = iter(sums.added)
    while some := list(islice(left, _ROWS_AT_ONCE)):
        connection.execute(adding, some)


def replace_day(connection: Connection, day: date, rows: Sequence[RollupRow]) -> bool:
    """Replace a day's sums by those of a full scan; return whether they differ."""
    key = ["hour", *DIMENSIONS, *FIGURES]
    held = connection.execute(
        select(*(_COLUMNS[name] for name in key)).where(_in(Interval(day, day_after(day))))
    )
    if {tuple(row) for row in held} == {tuple(row[name] for name in key) for row in rows}:
        return False
    add_sums(connection, Sums(list(rows), frozenset([day])))
    return True


def sums_of(connection: Connection, days: Interval) -> list[RollupRow]:
    """Return the sums of each hour of some days, by every dimension."""
    names = ["hour", *DIMENSIONS, *FIGURES]
    query = select(*(_COLUMNS[name] for name in names)).where(_in(days))
    return [dict(row._mapping) for row in connection.execute(query)]


def usage_by(
    control: Control,
    by: Sequence[str],
    days: Interval | None = None,
    only: Mapping[str, str] | None = None,
) -> list[Usage]:
    """Return sums grouped and ordered by `by`: columns out of hour, organisation, project, seller,
    cloud, region, product, model. `only` keeps the rows whose columns have these names."""
    key = [_COLUMNS[name] for name in by]
    query = (
        select(*key, *(func.sum(_COLUMNS[name]).label(name) for name in FIGURES))
        .group_by(*key)
        .order_by(*key)
    )
    if days is not None:
        query = query.where(_in(days))
    for dimension, name in (only or {}).items():
        query = query.where(_COLUMNS[dimension] == name)
    with control.reading() as connection:
        return [
            Usage(
                key=tuple(str(row._mapping[name]) for name in by),
                served=int(row._mapping["served"]),
                failed=int(row._mapping["failed"]),
                units={
                    unit.column: int(row._mapping[unit.column])
                    for unit in Unit
                    if row._mapping[unit.column]
                },
            )
            for row in connection.execute(query)
        ]


def days_with_usage(control: Control) -> Interval | None:
    """Return the days from the first to the last with usage; None where there is none."""
    # A query each: SQLite looks up one end of an index, and walks over every row for both.
    with control.reading() as connection:
        first = connection.execute(select(func.min(_COLUMNS.hour))).scalar_one()
        last = connection.execute(select(func.max(_COLUMNS.hour))).scalar_one()
    if first is None:
        return None
    return Interval(day_of(first * HOUR_NS), day_after(day_of(last * HOUR_NS)))


def _in(days: Interval) -> Any:
    begin, end = (start_of_day_ns(day) // HOUR_NS for day in (days.begin, days.end))
    return and_(_COLUMNS.hour >= begin, _COLUMNS.hour < end)
