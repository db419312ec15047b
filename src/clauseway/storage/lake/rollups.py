"""Rollups: usage summed by hour on its way into the lake, or from all files of a day.

`hourly_sums` keeps them. An attempt that was sealed before (a spool that was copied, a correction)
would count twice if it were simply added: then the whole day is summed again from its files.
INVARIANT: the sums of a day are those of a full scan of its files, each attempt once.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from ibis import _
from ibis.expr.types import Table

from clauseway.metering import SERVED, Unit
from clauseway.storage.control.control import Control
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.digests import LakeFault
from clauseway.storage.lake.file_list import USAGE, LakeFile, files_of
from clauseway.storage.lake.hourly_sums import DIMENSIONS, FIGURES, RollupRow, Sums
from clauseway.storage.lake.query_engines import built, duckdb_engine
from clauseway.storage.lake.sealed_files import SealedFiles
from clauseway.storage.lake.usage_records import FIRST_IMPORTED, hour_of, is_served, once
from clauseway.values import HOUR_NS, Interval, day_after, day_of

_ROWS_IN_MEMORY = 20_000


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
                # A day with a damaged file cannot be summed anew: its new rows are added, and
                # nothing is settled from it.
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


def scan(files: Sequence[Path], days: Interval) -> list[RollupRow]:
    """Sum some days by reading every row of the files; of each attempt, only its best known
    record."""
    if not files:
        return []
    with duckdb_engine() as con:
        summed = built(con, _hourly, once(con, files, days))
        return list(con.to_pyarrow(summed).to_pylist())


def _hourly(usage: Table) -> Table:
    counts = is_served(_.status)
    return (
        usage.mutate(hour=hour_of(_.event_ns))
        .group_by("hour", *DIMENSIONS)
        .agg(
            served=counts.sum(),
            failed=(~counts).sum(),
            # Units of attempts that do not count are left out.
            **{unit.column: _[unit.column].sum(where=counts).fill_null(0) for unit in Unit},
        )
        .order_by("hour", *DIMENSIONS)
    )


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
    pairs = pairs.filter(pc.less(pairs["request_id"], FIRST_IMPORTED))
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
    columns = {name: usage[name].cast(pa.string()) for name in DIMENSIONS}
    # Events are not before 1970, so this is the floor.
    columns["hour"] = pc.divide(usage["event_ns"], HOUR_NS)
    columns["served"] = pc.cast(counts, pa.int64())
    columns["failed"] = pc.cast(pc.invert(counts), pa.int64())
    for unit in Unit:
        columns[unit.column] = pc.if_else(counts, pc.fill_null(usage[unit.column], 0), 0)
    keys = ["hour", *DIMENSIONS]
    grouped = (
        pa.table(columns)
        .group_by(keys, use_threads=False)
        .aggregate([(name, "sum") for name in FIGURES])
    )
    return grouped.rename_columns([name.removesuffix("_sum") for name in grouped.column_names])


def _day_of(row: RollupRow) -> date:
    return day_of(row["hour"] * HOUR_NS)


def _day(day: date) -> Interval:
    return Interval(day, day_after(day))
