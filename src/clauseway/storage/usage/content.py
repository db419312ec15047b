"""Usage named by its content: the same attempts have the same name in any home.

The name of a day is a hash of its attempts that count, each once, in the order of their requests:
so it depends neither on files and batches nor on the order in which they came. It covers an
attempt's identity and everything that its charge may depend on. The instant at which an attempt was
first known is left out: it decides which attempts are named (`Lake.as_known`), and changes no
amount beyond.

Rows are hashed in blocks (`block_hashes`): some microseconds a row, once for each set of files that
a day has had. DuckDB hands them in order to this process, which hashes them; Spark hashes them
where they are (`spark_hashes`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import pairwise

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _
from ibis.backends import BaseBackend
from ibis.expr.types import Table
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DBAPIError

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control
from clauseway.storage.lake.columns import USAGE_SCHEMA
from clauseway.storage.lake.file_list import LakeFile
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import built, duckdb_engine
from clauseway.storage.usage.block_hashes import (
    BLOCK_ROWS,
    NUMBERS,
    ORDER,
    UNITS,
    WORDS,
    DayContent,
    block_hash,
    day_content,
)
from clauseway.storage.usage.priced import priced_once, sealed_usage
from clauseway.storage.usage.spark_hashes import days_hashed_by_spark
from clauseway.values import Interval, day_after

_CHUNK_ROWS = 50_000
# Rows sorted at a time, where they are of several days: some 350 bytes each.
_SORTED_ROWS = 250_000
# The same for Spark, which sorts on disks of its workers.
_SORTED_BY_SPARK_ROWS = 50_000_000


def day_contents(lake: Lake, days: Interval) -> list[DayContent]:
    """Return the content of each of these event days that has any, in order."""
    files_of = _by_days(lake.usage_files(days), days)
    # Contents read before are kept; a limited lake reads anew.
    contents = {} if lake.is_limited else _kept(lake.control, days, files_of)
    missing = [day for day in files_of if day not in contents]
    if missing:
        read = _read(lake, {day: sum(file.rows for file in files_of[day]) for day in missing})
        if not lake.is_limited:
            _keep(lake.control, read, files_of)
        contents |= read
    return [contents[day] for day in sorted(contents) if contents[day].attempts]


def drop_contents(control: Control) -> None:
    """Forget the contents read before: each is read from the usage again."""
    with control.writing() as connection:
        connection.execute(delete(schema.usage_contents))


def content_digest(contents: Sequence[DayContent]) -> str:
    """Return the name of the usage of some days; empty if there is none."""
    if not contents:
        return ""
    rows = [(str(content.day), content.attempts, content.digest) for content in contents]
    return hashlib.blake2b(msgspec.json.encode(rows), digest_size=32).hexdigest()


def attempts_of(contents: Sequence[DayContent]) -> int:
    """Return how many attempts count on some days."""
    return sum(content.attempts for content in contents)


def counted_attempts(lake: Lake, days: Interval) -> Iterator[pa.RecordBatch]:
    """Yield the attempts of some days that count, each once, in the order of their days; whole, as
    usage is written."""
    with duckdb_engine() as con:
        usage = sealed_usage(con, lake, days)
        if usage is None:
            return
        chosen = priced_once(usage).select(*USAGE_SCHEMA.names)
        ordered = chosen.order_by(_.event_day, _.event_ns, _.request_id, _.attempt)
        yield from con.con.sql(con.compile(ordered)).to_arrow_reader(_CHUNK_ROWS)


def _by_days(files: Sequence[LakeFile], days: Interval) -> dict[date, list[LakeFile]]:
    """Return the files that may hold rows of a day, by day in order."""
    by_day: dict[date, list[LakeFile]] = {}
    for file in files:
        day, last = max(file.first_day, days.begin), min(file.last_day, days.end - date.resolution)
        while day <= last:
            by_day.setdefault(day, []).append(file)
            day = day_after(day)
    return dict(sorted(by_day.items()))


def content_name(files: Sequence[LakeFile], content: DayContent) -> str:
    """Hash the files that hold a day's rows together with the content read from them: while the
    files are the same, so is the content."""
    digests = sorted(file.digest for file in files)
    named = msgspec.json.encode((digests, content.day, content.attempts, content.digest))
    return hashlib.blake2b(named, digest_size=32).hexdigest()


def _kept(
    control: Control, days: Interval, files_of: Mapping[date, Sequence[LakeFile]]
) -> dict[date, DayContent]:
    """Return the contents that were read from the same files before; a row that was edited is
    treated as missing."""
    columns = schema.usage_contents.c
    query = select(schema.usage_contents).where(columns.day >= days.begin, columns.day < days.end)
    kept: dict[date, DayContent] = {}
    with control.reading() as connection:
        for row in connection.execute(query):
            content = DayContent(day=row.day, attempts=row.attempts, digest=row.digest)
            if row.day in files_of and row.files == content_name(files_of[row.day], content):
                kept[row.day] = content
    return kept


def _keep(
    control: Control,
    read: Mapping[date, DayContent],
    files_of: Mapping[date, Sequence[LakeFile]],
) -> None:
    """Keep contents if the home may be written to; otherwise they are computed again."""
    columns = schema.usage_contents.c
    with suppress(DBAPIError), control.writing() as connection:
        for day, content in read.items():
            connection.execute(delete(schema.usage_contents).where(columns.day == day))
            values = {
                "day": day,
                "files": content_name(files_of[day], content),
                "attempts": content.attempts,
                "digest": content.digest,
            }
            connection.execute(insert(schema.usage_contents).values(**values))


def _read(lake: Lake, rows_of: Mapping[date, int]) -> dict[date, DayContent]:
    """Read the content of these days, a stretch of them at a time.

    `rows_of` are at least the rows of each day.
    """
    contents = {day: DayContent(day=day, attempts=0, digest="") for day in rows_of}
    with lake.engine() as con:
        by_duckdb = con.name == "duckdb"
        rows_max = _SORTED_ROWS if by_duckdb else _SORTED_BY_SPARK_ROWS
        for stretch in _small_stretches(rows_of, rows_max):
            usage = _hashed_columns(con, lake, stretch)
            if usage is None:
                continue
            if by_duckdb:
                hashed = _in_order(con, usage)
            else:
                rows = sum(rows_of[day] for day in rows_of if day in stretch)
                hashed = days_hashed_by_spark(con, usage, rows)
            contents |= {content.day: content for content in hashed}
    return contents


def _small_stretches(rows_of: Mapping[date, int], rows_max: int) -> Iterator[Interval]:
    """Yield the days as intervals without a gap, each of one day or of few enough rows to be sorted
    together."""
    for stretch in stretches(list(rows_of)):
        begin, rows = stretch.begin, 0
        for day, of_day in rows_of.items():
            if day not in stretch:
                continue
            if rows + of_day > rows_max and day != begin:
                yield Interval(begin, day)
                begin, rows = day, 0
            rows += of_day
        yield Interval(begin, stretch.end)


def stretches(days: Sequence[date]) -> Iterator[Interval]:
    """Yield the days as intervals without a gap."""
    if not days:
        return
    begin = before = days[0]
    for day in days[1:]:
        if day != day_after(before):
            yield Interval(begin, day_after(before))
            begin = day
        before = day
    yield Interval(begin, day_after(before))


def _hashed_columns(con: BaseBackend, lake: Lake, days: Interval) -> Table | None:
    """Return what is hashed of the attempts of some days; None if there is no usage."""
    usage = sealed_usage(con, lake, days)
    return None if usage is None else built(con, _hashed, usage)


def _hashed(usage: Table) -> Table:
    columns = {name: _[name].cast("string").fill_null("") for name in WORDS}
    columns |= {name: _[name].fill_null(0).cast("int64") for name in (*NUMBERS, *UNITS)}
    return priced_once(usage).select("event_day", **columns)


def _in_order(con: BaseBackend, usage: Table) -> Iterator[DayContent]:
    """Yield the days of usage, hashed by this process in order of request and attempt."""
    ordered = built(con, _ordered, usage)
    # Batches of rows cut days anywhere: hash until the day changes.
    at: date | None = None
    rows = _Rows()
    for batch in con.con.sql(con.compile(ordered)).to_arrow_reader(_CHUNK_ROWS):
        for day, part in _by_day(pa.Table.from_batches([batch])):
            if at is not None and day != at:
                yield rows.end(at)
                rows = _Rows()
            at = day
            rows.add(part)
    if at is not None:
        yield rows.end(at)


def _ordered(usage: Table) -> Table:
    return usage.order_by("event_day", *ORDER)


def _by_day(table: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """Yield the parts of a table in order of day, by day."""
    numbers = pa.concat_arrays(table["event_day"].cast(pa.int32()).chunks)
    cuts = [0, *pc.run_end_encode(numbers).run_ends.to_pylist()]
    for begin, end in pairwise(cuts):
        if begin < end:
            yield table["event_day"][begin].as_py(), table.slice(begin, end - begin)


class _Rows:
    """The hash of rows that come in order, in chunks of any size."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._waiting: list[pa.Table] = []
        self._count = self._rows = 0

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._count += rows.num_rows
        self._rows += rows.num_rows
        while self._count >= BLOCK_ROWS:
            together = pa.concat_tables(self._waiting)
            self._blocks.append(block_hash(together.slice(0, BLOCK_ROWS)))
            self._waiting = [together.slice(BLOCK_ROWS)]
            self._count -= BLOCK_ROWS

    def end(self, day: date) -> DayContent:
        if self._count:
            self._blocks.append(block_hash(pa.concat_tables(self._waiting)))
        return day_content(day, self._rows, self._blocks)
