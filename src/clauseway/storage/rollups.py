"""Rollups: usage summed by hour, kept in the control database, so that a page costs the same at any size of the lake.

They are written in the transaction that commits a batch, so they hold a batch once or not at all. An attempt that was
sealed before (a spool that was copied, a correction) would count twice if it were simply added: then the whole day is
summed again from its files. INVARIANT: the sums of a day are those of a full scan of its files, each attempt once.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ibis import _
from sqlalchemy import Connection, and_, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from clauseway.metering import SERVED, RequestId, Unit
from clauseway.metering.checks import IMPORTED
from clauseway.storage import schema
from clauseway.storage.control import Control
from clauseway.storage.files import USAGE, LakeFile, files_of
from clauseway.storage.records import once
from clauseway.values import DAY_NS, Interval, day_after, start_of_day_ns

_HOUR_NS = DAY_NS // 24
_DIMENSIONS = ("organisation", "project", "seller", "cloud", "region", "product", "model")
_SUMS = ("served", "failed", *(unit.column for unit in Unit))
_COLUMNS = schema.rollups.c
# Both say it alike, and each in a module of its own.
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_FIRST_IMPORTED = str(RequestId(IMPORTED, 0))
Row = dict[str, Any]


class Sums(msgspec.Struct, frozen=True):
    """What a batch adds to the sums, and the days that are summed anew."""

    added: list[Row]
    anew: frozenset[date] = frozenset()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over some hours: attempts that count, attempts that do not, and the units of those that do, by column."""

    key: tuple[str, ...]
    served: int
    failed: int
    units: dict[str, int]


def sums_with(control: Control, root: Path, usage: pa.Table, written: Sequence[LakeFile]) -> Sums:
    """What these rows, already `written` under `root`, add to the sums."""
    if usage.num_rows == 0:
        return Sums([])
    days = pc.min_max(usage["event_day"]).as_py()
    held = files_of(control, USAGE, Interval(days["min"], day_after(days["max"])))
    again = _days_again(usage, held, root)
    if not again:
        return Sums(_summed(usage))
    fresh = [day for day in pc.unique(usage["event_day"]).to_pylist() if day not in again]
    added = _summed(usage.filter(pc.is_in(usage["event_day"], pa.array(fresh, pa.date32()))))
    files = [root / file.name for file in (*held, *written)]
    return Sums(added + [row for day in sorted(again) for row in scan(files, _day(day))], frozenset(again))


def add_sums(connection: Connection, sums: Sums) -> None:
    """Add to the sums, in the transaction of the batch they come from."""
    for day in sums.anew:
        connection.execute(delete(schema.rollups).where(_in(_day(day))))
    if sums.added:
        statement = _INSERTS[connection.dialect.name](schema.rollups)
        more = {name: _COLUMNS[name] + statement.excluded[name] for name in _SUMS}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["hour", *_DIMENSIONS], set_=more), sums.added
        )


def replace_day(connection: Connection, day: date, rows: Sequence[Row]) -> bool:
    """Put a full scan's sums in place of a day's; whether they differ."""
    key = ["hour", *_DIMENSIONS, *_SUMS]
    held = connection.execute(select(*(_COLUMNS[name] for name in key)).where(_in(_day(day))))
    if {tuple(row) for row in held} == {tuple(row[name] for name in key) for row in rows}:
        return False
    add_sums(connection, Sums(list(rows), frozenset([day])))
    return True


def usage_by(control: Control, by: Sequence[str], days: Interval | None = None) -> list[Usage]:
    """The sums by some of hour, organisation, project, seller, cloud, region, product, model, in their order."""
    key = [_COLUMNS[name] for name in by]
    query = select(*key, *(func.sum(_COLUMNS[name]).label(name) for name in _SUMS)).group_by(*key).order_by(*key)
    if days is not None:
        query = query.where(_in(days))
    with control.reading() as connection:
        return [
            Usage(
                key=tuple(str(row._mapping[name]) for name in by),
                served=int(row._mapping["served"]),
                failed=int(row._mapping["failed"]),
                units={unit.column: int(row._mapping[unit.column]) for unit in Unit if row._mapping[unit.column]},
            )
            for row in connection.execute(query)
        ]


def scan(files: Sequence[Path], days: Interval) -> list[Row]:
    """The sums of some days by reading every row of the files, each attempt once, as what is known best of it."""
    if not files:
        return []
    con = ibis.duckdb.connect()
    counts = _.status.isin([int(status) for status in SERVED])
    summed = (
        once(con, files, days)
        .mutate(hour=_.event_ns // _HOUR_NS)
        .group_by("hour", *_DIMENSIONS)
        .agg(
            served=counts.sum(),
            failed=(~counts).sum(),
            **{unit.column: _[unit.column].sum(where=counts).fill_null(0) for unit in Unit},
        )
    )
    return list(con.to_pyarrow(summed.order_by("hour", *_DIMENSIONS)).to_pylist())


def _days_again(usage: pa.Table, held: Sequence[LakeFile], root: Path) -> set[date]:
    """The days on which an attempt of these rows is among them twice, or in a file too.

    INVARIANT: an attempt keeps its event's time whenever it is recorded, so only files of these days are held against
    them; and what is imported is in no file, because its identity is new in the transaction that commits it.
    """
    pairs = usage.select(["request_id", "attempt", "event_day"])
    counted = pairs.group_by(["request_id", "attempt", "event_day"]).aggregate([([], "count_all")])
    days = set(pc.unique(counted.filter(pc.greater(counted["count_all"], 1))["event_day"]).to_pylist())
    pairs = pairs.filter(pc.less(pairs["request_id"], _FIRST_IMPORTED))
    if pairs.num_rows == 0:
        return days
    ids = pc.min_max(pairs["request_id"]).as_py()
    between = (pc.field("request_id") >= ids["min"]) & (pc.field("request_id") <= ids["max"])
    for file in held:
        if file.first_request > ids["max"] or file.last_request < ids["min"]:
            continue
        there = pq.read_table(root / file.name, columns=pairs.column_names, filters=between)
        if there.num_rows:
            both = pairs.join(there, ["request_id", "attempt", "event_day"], join_type="left semi", use_threads=False)
            days |= set(pc.unique(both["event_day"]).to_pylist())
    return days


def _summed(usage: pa.Table) -> list[Row]:
    """The sums of rows in memory, of which no attempt is there twice."""
    counts = pc.is_in(usage["status"], pa.array([int(status) for status in SERVED], pa.int8()))
    columns = {name: usage[name].cast(pa.string()) for name in _DIMENSIONS}
    columns["hour"] = pc.divide(usage["event_ns"], _HOUR_NS)  # not before 1970, so this is the floor
    columns["served"] = pc.cast(counts, pa.int64())
    columns["failed"] = pc.cast(pc.invert(counts), pa.int64())
    for unit in Unit:
        columns[unit.column] = pc.if_else(counts, pc.fill_null(usage[unit.column], 0), 0)
    keys = ["hour", *_DIMENSIONS]
    grouped = pa.table(columns).group_by(keys).aggregate([(name, "sum") for name in _SUMS])
    return list(grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names]).to_pylist())


def _day(day: date) -> Interval:
    return Interval(day, day_after(day))


def _in(days: Interval) -> Any:
    begin, end = (start_of_day_ns(day) // _HOUR_NS for day in (days.begin, days.end))
    return and_(_COLUMNS.hour >= begin, _COLUMNS.hour < end)
