"""Rollups: usage summed by hour, kept in the control database, so that a page costs the same at any
size of the lake.

They are written in the transaction that commits a batch, so they hold a batch once or not at all.
An attempt that was sealed before (a spool that was copied, a correction) would count twice if it
were simply added: then the whole day is summed again from its files. INVARIANT: the sums of a day
are those of a full scan of its files, each attempt once.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import ibis
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _
from sqlalchemy import Connection, and_, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from clauseway.metering import SERVED, RequestId, Unit
from clauseway.metering.checks import IMPORTED
from clauseway.storage.control import schema
from clauseway.storage.control.control import Control
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.digests import LakeFault
from clauseway.storage.lake.files import USAGE, LakeFile, files_of
from clauseway.storage.lake.records import is_served, once
from clauseway.storage.lake.sealed_files import SealedFiles
from clauseway.values import HOUR_NS, Interval, day_after, day_of, start_of_day_ns

_DIMENSIONS = ("organisation", "project", "seller", "cloud", "region", "product", "model")
_SUMS = ("served", "failed", *(unit.column for unit in Unit))
_ROWS_IN_MEMORY, _ROWS_AT_ONCE = 20_000, 5_000
_COLUMNS = schema.rollups.c
# The same function, in a module for each database.
_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_FIRST_IMPORTED = str(RequestId(IMPORTED, 0))
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


class _Added:
    """Sums in the order they came: tables in memory, and beyond so many rows in a file without a
    name.

    Usage of years that comes in one batch may have a sum for nearly every row.
    """

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows = 0
        self._file: IO[bytes] | None = None
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def add(self, table: pa.Table) -> None:
        self._tables.append(table)
        self._rows += table.num_rows
        if self._rows > _ROWS_IN_MEMORY:
            self._write()

    def rows(self, but: Collection[date]) -> Iterator[RollupRow]:
        """Yield the sums of all days but these."""
        if self._writer is not None and self._file is not None:
            self._write()
            self._writer.close()
            self._file.seek(0)
            tables: Iterable[pa.RecordBatch | pa.Table] = pa.ipc.open_stream(self._file)
        else:
            tables = self._tables
        for table in tables:
            for row in table.to_pylist():
                if _day_of(row) not in but:
                    yield row

    def _write(self) -> None:
        if self._writer is None:
            self._file = TemporaryFile()  # noqa: SIM115  (it goes with this object)
            self._writer = pa.ipc.new_stream(self._file, self._tables[0].schema)
        for table in self._tables:
            self._writer.write_table(table)
        self._tables, self._rows = [], 0


class Summing:
    """Sums rows on their way into the lake, part by part, each of one event day and the days in
    order."""

    def __init__(self, control: Control, sealed: SealedFiles) -> None:
        self._control, self._sealed = control, sealed
        self._added = _Added()
        self._again: set[date] = set()
        self._unsure: set[date] = set()
        self._held: tuple[date | None, list[LakeFile]] = (None, [])

    def watch(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Pass the parts on while summing them."""
        for part in parts:
            self._sum(part)
            yield part

    def sums(self, written: Sequence[LakeFile]) -> Sums:
        """Return the sums that the parts add, now that their files are `written` under the root."""
        anew: list[RollupRow] = []
        for day in sorted(self._again):
            held = self._held_on(day)
            if self._sealed.faults(held):
                # A damaged day cannot be summed anew: it is added to, and nothing is settled from
                # it.
                self._unsure.add(day)
                continue
            files = [*held, *(file for file in written if file.first_day == day)]
            anew += scan([self._sealed.path(file) for file in files], _day(day))
        again = self._again - self._unsure
        return Sums(chain(self._added.rows(again), anew), frozenset(again), frozenset(self._unsure))

    def _sum(self, part: pa.Table) -> None:
        day: date = part["event_day"][0].as_py()
        again, unsure = _days_again(part, self._held_on(day), self._sealed)
        self._again |= again
        self._unsure |= unsure
        self._added.add(_summed(part))

    def _held_on(self, day: date) -> list[LakeFile]:
        """Return the files that hold rows of a day already."""
        if self._held[0] != day:
            self._held = (day, files_of(self._control, USAGE, _day(day)))
        return self._held[1]


def add_sums(connection: Connection, sums: Sums) -> None:
    """Add to the sums, in the transaction of their batch."""
    for day in sums.anew:
        connection.execute(delete(schema.rollups).where(_in(_day(day))))
    statement = _INSERTS[connection.dialect.name](schema.rollups)
    more = {name: _COLUMNS[name] + statement.excluded[name] for name in _SUMS}
    adding = statement.on_conflict_do_update(index_elements=["hour", *_DIMENSIONS], set_=more)
    left = iter(sums.added)
    while some := list(islice(left, _ROWS_AT_ONCE)):
        connection.execute(adding, some)


def replace_day(connection: Connection, day: date, rows: Sequence[RollupRow]) -> bool:
    """Replace a day's sums by those of a full scan; return whether they differ."""
    key = ["hour", *_DIMENSIONS, *_SUMS]
    held = connection.execute(select(*(_COLUMNS[name] for name in key)).where(_in(_day(day))))
    if {tuple(row) for row in held} == {tuple(row[name] for name in key) for row in rows}:
        return False
    add_sums(connection, Sums(list(rows), frozenset([day])))
    return True


def sums_of(connection: Connection, days: Interval) -> list[RollupRow]:
    """Return the sums of each hour of some days, by every dimension."""
    names = ["hour", *_DIMENSIONS, *_SUMS]
    query = select(*(_COLUMNS[name] for name in names)).where(_in(days))
    return [dict(row._mapping) for row in connection.execute(query)]


def usage_by(
    control: Control,
    by: Sequence[str],
    days: Interval | None = None,
    only: Mapping[str, str] | None = None,
) -> list[Usage]:
    """Return the sums by some of hour, organisation, project, seller, cloud, region, product,
    model, in their order; only of rows with these names, where any are given."""
    key = [_COLUMNS[name] for name in by]
    query = (
        select(*key, *(func.sum(_COLUMNS[name]).label(name) for name in _SUMS))
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


def scan(files: Sequence[Path], days: Interval) -> list[RollupRow]:
    """Sum some days by reading every row of the files; of each attempt, only its best known
    record."""
    if not files:
        return []
    con = ibis.duckdb.connect()
    counts = is_served(_.status)
    summed = (
        once(con, files, days)
        .mutate(hour=_.event_ns // HOUR_NS)
        .group_by("hour", *_DIMENSIONS)
        .agg(
            served=counts.sum(),
            failed=(~counts).sum(),
            **{unit.column: _[unit.column].sum(where=counts).fill_null(0) for unit in Unit},
        )
    )
    return list(con.to_pyarrow(summed.order_by("hour", *_DIMENSIONS)).to_pylist())


def _days_again(
    usage: pa.Table, held: Sequence[LakeFile], sealed: SealedFiles
) -> tuple[set[date], set[date]]:
    """Return the days on which an attempt repeats among these rows or in a file, and those on which
    a damaged file hides it.

    INVARIANT: an attempt keeps its event's time whenever it is recorded, so only files of these
    days are compared; and imported records are in no file, because their identity is new in the
    transaction that commits them.
    """
    pairs = usage.select(["request_id", "attempt", "event_day"])
    counted = pairs.group_by(["request_id", "attempt", "event_day"], use_threads=False).aggregate(
        [([], "count_all")]
    )
    days = set(
        pc.unique(counted.filter(pc.greater(counted["count_all"], 1))["event_day"]).to_pylist()
    )
    pairs = pairs.filter(pc.less(pairs["request_id"], _FIRST_IMPORTED))
    unsure: set[date] = set()
    if pairs.num_rows == 0:
        return days, unsure
    ids = pc.min_max(pairs["request_id"]).as_py()
    between = (pc.field("request_id") >= ids["min"]) & (pc.field("request_id") <= ids["max"])
    near = [
        file
        for file in held
        if file.first_request <= ids["max"] and file.last_request >= ids["min"]
    ]
    sealed.fetch(near)
    for file in near:
        try:
            there = read_rows(sealed.path(file), columns=pairs.column_names, filters=between)
        except (OSError, pa.ArrowException):
            # Damaged: no settlement reads it until it is put back, and then repeated attempts have
            # to count once.
            unsure.update(_days_of(file))
            continue
        if there.num_rows:
            both = pairs.join(
                there,
                ["request_id", "attempt", "event_day"],
                join_type="left semi",
                use_threads=False,
            )
            days |= set(pc.unique(both["event_day"]).to_pylist())
    return days, unsure


def _days_of(file: LakeFile | LakeFault) -> set[date]:
    return {file.first_day + timedelta(n) for n in range((file.last_day - file.first_day).days + 1)}


def _summed(usage: pa.Table) -> pa.Table:
    """Sum rows in memory, among which no attempt repeats."""
    counts = pc.is_in(usage["status"], pa.array([int(status) for status in SERVED], pa.int8()))
    columns = {name: usage[name].cast(pa.string()) for name in _DIMENSIONS}
    # Events are not before 1970, so this is the floor.
    columns["hour"] = pc.divide(usage["event_ns"], HOUR_NS)
    columns["served"] = pc.cast(counts, pa.int64())
    columns["failed"] = pc.cast(pc.invert(counts), pa.int64())
    for unit in Unit:
        columns[unit.column] = pc.if_else(counts, pc.fill_null(usage[unit.column], 0), 0)
    keys = ["hour", *_DIMENSIONS]
    grouped = (
        pa.table(columns)
        .group_by(keys, use_threads=False)
        .aggregate([(name, "sum") for name in _SUMS])
    )
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])


def _day_of(row: RollupRow) -> date:
    return day_of(row["hour"] * HOUR_NS)


def _day(day: date) -> Interval:
    return Interval(day, day_after(day))


def _in(days: Interval) -> Any:
    begin, end = (start_of_day_ns(day) // HOUR_NS for day in (days.begin, days.end))
    return and_(_COLUMNS.hour >= begin, _COLUMNS.hour < end)
