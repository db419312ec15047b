"""The records of the lake, each attempt once: if an attempt was recorded twice, its best known
record stands."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import reduce
from operator import or_
from pathlib import Path

import ibis
import pyarrow as pa
from ibis import _
from ibis.backends import BaseBackend
from ibis.expr.types import BooleanValue, IntegerValue, NumericValue, Table

from clauseway.metering import SERVED, RequestId, Unit
from clauseway.metering.usage_rules import IMPORTED
from clauseway.storage.lake.columns import LATER
from clauseway.storage.lake.file_list import LakeFile
from clauseway.storage.lake.query_engines import built, duckdb_engine, read_files
from clauseway.values import HOUR_NS, Interval, day_after

_ROWS = 20_000
# Imported records have ids from here on; the time of their recording says nothing about their
# cloud.
FIRST_IMPORTED = str(RequestId(IMPORTED, 0))


def days_of(files: Sequence[LakeFile], days: Interval | None = None) -> list[Interval]:
    """Return each day that the files span, as an interval, in order; all, or those among some
    days."""
    spans = {
        file.first_day + timedelta(n)
        for file in files
        for n in range((file.last_day - file.first_day).days + 1)
    }
    return [Interval(day, day_after(day)) for day in sorted(spans) if days is None or day in days]


def rows_in(con: BaseBackend, files: Sequence[Path | str], days: Interval | None) -> Table:
    """Return the rows of some days in these files. A column that no file has is a column of
    nulls."""
    usage = built(con, _complete, read_files(con, files))
    return usage if days is None else built(con, _on, usage, days)


def _complete(usage: Table) -> Table:
    missing = {unit.column: ibis.null("int64") for unit in Unit}
    missing |= {name: ibis.null("string") for name, _type in LATER}
    return usage.mutate(
        **{name: null for name, null in missing.items() if name not in usage.columns}
    )


def _on(usage: Table, days: Interval) -> Table:
    return usage.filter(_.event_day >= days.begin, _.event_day < days.end)


def best_known(usage: Table) -> Table:
    """Return each attempt once. If an attempt was recorded twice, its best known record stands (the
    lowest status)."""
    best_first = [_.status, _.recorded_ns, _.upstream_id]
    ranked = usage.mutate(
        rank=ibis.row_number().over(group_by=[_.request_id, _.attempt], order_by=best_first)
    )
    return ranked.filter(_.rank == 0).drop("rank")


def once(con: BaseBackend, files: Sequence[Path], days: Interval) -> Table:
    """Return the records of some days in these files, each attempt once."""
    return built(con, best_known, rows_in(con, files, days))


def is_served(status: NumericValue) -> BooleanValue:
    """Return the condition that an attempt counts: its status is in one of the ranges of `SERVED`.

    A range costs two comparisons a row however many codes it holds; a list costs one for each code.
    """
    return reduce(or_, (status.between(first, last) for first, last in _ranges(SERVED)))


def hour_of(event_ns: IntegerValue) -> IntegerValue:
    """Return the hour since 1970 that holds an instant.

    An engine divides in floating point, where an hour's last nanoseconds are the next hour's first.
    Whole hours are divided exactly, so the rest of the hour is taken off first.
    """
    rest = (event_ns % HOUR_NS + HOUR_NS) % HOUR_NS
    return (event_ns - rest) // HOUR_NS


def _ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Return codes as the fewest ranges, both ends included."""
    ranges: list[tuple[int, int]] = []
    for code in sorted(codes):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return ranges


def records_in(files: Sequence[Path], day: Interval) -> Iterator[pa.RecordBatch]:
    """Yield the records of a day in these files, by event time and then by request."""
    with duckdb_engine() as con:
        in_order = once(con, files, day).order_by(_.event_ns, _.request_id, _.attempt)
        yield from con.con.sql(con.compile(in_order)).to_arrow_reader(_ROWS)
