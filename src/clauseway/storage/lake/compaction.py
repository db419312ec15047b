"""Compaction: many small files of a day become few large ones, and files that are too old are
dropped.

A merged file is written like any other; in one transaction it replaces the files it was made from.
A crash before leaves it unlisted, for `sweep`; a crash after leaves the others retired, for `sweep`
a while later. So every row is seen exactly once at every instant. Rows are sorted by request, so
that a look-up of a request reads little.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow as pa

from clauseway.metering import RequestId
from clauseway.storage.lake.checked_rows import read_rows
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA
from clauseway.storage.lake.digests import LakeDamaged, LakeFault
from clauseway.storage.lake.file_list import (
    INTENTS,
    USAGE,
    LakeFile,
    drop_days,
    files_of,
    list_files,
    retire,
)
from clauseway.storage.lake.lake import Lake
from clauseway.values import day_of

# Rows of a merged file: they are in memory while it is made, some 300 bytes each.
ROWS_MAX = 500_000
# While gateways still seal a day, fewer files than that are left as they are: merging each new file
# would write the rows a thousand times. To a day that is over, only imports add files.
FILES_LEAST, FILES_LEAST_OVER = 8, 2
_OVER_AFTER = timedelta(days=2)
_SCHEMAS = {USAGE: USAGE_SCHEMA, INTENTS: INTENT_SCHEMA}


class Merged(msgspec.Struct, frozen=True):
    """The number of files before and after a merge, and of their rows."""

    before: int
    after: int
    rows: int


def compact(
    lake: Lake, now_ns: int, *, files_least: int | None = None, rows_max: int = ROWS_MAX
) -> Iterator[Merged]:
    """Merge small files, day by day; yield each merge. Only while nobody seals.

    By default a day has `FILES_LEAST` small files before they are merged, and `FILES_LEAST_OVER`
    once it is two days old; with `files_least`, every day has so many.

    If a file is not as it was written, the other files of its day stay as they are too; once all
    else is merged, LakeDamaged is raised. Raise OSError if the disk fails. Nothing is lost by
    either.
    """
    faults: list[LakeFault] = []
    over = day_of(now_ns) - _OVER_AFTER

    def least(last_day: date) -> int:
        if files_least is not None:
            return files_least
        return FILES_LEAST_OVER if last_day < over else FILES_LEAST

    for kind in (USAGE, INTENTS):
        for group in _groups(files_of(lake.control, kind), least, rows_max):
            try:
                merged = _merge(lake, kind, group, now_ns)
            except LakeDamaged as error:
                faults += error.faults
            else:
                yield merged
    if faults:
        raise LakeDamaged(faults)


def drop_before(lake: Lake, kept_from: date, now_ns: int) -> int:
    """Drop the single records of earlier days; return how many records of usage. Hourly sums
    stay."""
    listed = [*files_of(lake.control, USAGE), *files_of(lake.control, INTENTS)]
    files = [file for file in listed if file.last_day < kept_from]
    if files:
        with lake.control.writing() as connection:
            drop_days(connection, files, kept_from, now_ns)
    return sum(file.rows for file in files if file.kind == USAGE)


def _groups(
    files: Sequence[LakeFile], least: Callable[[date], int], rows_max: int
) -> Iterator[list[LakeFile]]:
    """Yield groups of a day's files that make one file together, if there are enough of them.

    Files of one start of a gateway come together, and those of the next begin another file once
    this one is half full: a request then lies between the first and the last of few files.
    """
    # An estimate goes when the lost file is put back, and so stays by itself.
    small = [file for file in files if file.rows < rows_max // 2 and not file.is_estimate]
    by_day = sorted(small, key=lambda file: (file.first_day, file.last_day, file.first_request))
    for (_, last_day), of_day in groupby(by_day, key=lambda file: (file.first_day, file.last_day)):
        files_least = least(last_day)
        group: list[LakeFile] = []
        rows = 0
        for file in of_day:
            is_next = bool(group) and _start(group[-1]) != _start(file)
            if rows + file.rows > rows_max or (is_next and rows >= rows_max // 2):
                if len(group) >= files_least:
                    yield group
                group, rows = [], 0
            group.append(file)
            rows += file.rows
        if len(group) >= files_least:
            yield group


def _start(file: LakeFile) -> int:
    """Return the start of the gateway that took the last request of a file."""
    return RequestId.parse(file.last_request).boot


def _merge(lake: Lake, kind: str, group: Sequence[LakeFile], now_ns: int) -> Merged:
    tables = [_read(lake.root / file.name, _SCHEMAS[kind]) for file in lake.sound(group)]
    by_request = [("request_id", "ascending"), ("attempt", "ascending")]
    rows = pa.concat_tables(tables).unify_dictionaries().sort_by(by_request)
    assert rows.num_rows == sum(file.rows for file in group)
    names = "\n".join(file.name for file in group)
    place = f"merged-{hashlib.sha256(names.encode()).hexdigest()[:32]}.parquet"
    written = lake.write(kind, place, rows, max(file.sealed_ns for file in group))
    # If no file shared an attempt with another, the merged file shares none either.
    apart = all(file.apart for file in group)
    written = [msgspec.structs.replace(file, apart=apart) for file in written]
    lake.require_disk()
    with lake.control.writing() as connection:
        retire(connection, [file.name for file in group], now_ns)
        list_files(connection, written)
    return Merged(len(group), len(written), rows.num_rows)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    table = read_rows(path)
    # A unit that was unknown when the file was written is a column of nulls.
    missing = [name for name in schema.names if name not in table.column_names]
    for name in missing:
        table = table.append_column(
            schema.field(name), pa.nulls(table.num_rows, schema.field(name).type)
        )
    return table.select(schema.names).cast(schema)
