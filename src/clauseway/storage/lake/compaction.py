"""Compaction: many small files of a day become few large ones, and what is too old is let go of.

A merged file is written like any other; in one transaction it takes the place of those it was made from. A crash
before leaves it unlisted, for `sweep`; a crash after leaves the others retired, for `sweep` a while later. So every row
is seen exactly once at every instant. Rows are sorted by request, so that a look for one reads little.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow as pa

from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA
from clauseway.storage.lake.digests import LakeDamaged, LakeFault, read_rows
from clauseway.storage.lake.files import (
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

# Rows of a merged file: what is in memory while it is made, some 300 bytes each.
ROWS_MAX = 500_000
# While gateways still seal a day, fewer than that are left as they are: to write its rows anew for
# each new file would write them a thousand times. To a day that is over, only imports add files.
FILES_LEAST, FILES_LEAST_OVER = 8, 2
_OVER_AFTER = timedelta(days=2)
_SCHEMAS = {USAGE: USAGE_SCHEMA, INTENTS: INTENT_SCHEMA}


class Merged(msgspec.Struct, frozen=True):
    """How many files became how many, with how many rows."""

    before: int
    after: int
    rows: int


def compact(
    lake: Lake, now_ns: int, *, files_least: int | None = None, rows_max: int = ROWS_MAX
) -> Iterator[Merged]:
    """Merge what is small, day by day; after each merge, what it did. Only while nobody seals.

    By default a day has `FILES_LEAST` small files before they are merged, and `FILES_LEAST_OVER`
    once it is two days old; with `files_least`, every day has so many.
    Where a file is not what was written the others of its day stay as they are too; once all else is merged, that is
    raised as LakeDamaged. Raises OSError where the disk fails. Nothing is lost by either.
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
    """Keep no single records of the days before; how many of usage were dropped. Hourly sums stay."""
    files = [
        file for kind in (USAGE, INTENTS) for file in files_of(lake.control, kind) if file.last_day < kept_from
    ]  # fmt: skip
    if files:
        with lake.control.writing() as connection:
            drop_days(connection, files, kept_from, now_ns)
    return sum(file.rows for file in files if file.kind == USAGE)


def _groups(
    files: Sequence[LakeFile], least: Callable[[date], int], rows_max: int
) -> Iterator[list[LakeFile]]:
    """Files of a day that together make one, where there are enough of them."""
    # An estimate goes when the lost file is put back, and so stays by itself.
    small = [file for file in files if file.rows < rows_max // 2 and not file.is_estimate]
    by_day = sorted(small, key=lambda file: (file.first_day, file.last_day))
    for (_, last_day), of_day in groupby(by_day, key=lambda file: (file.first_day, file.last_day)):
        files_least = least(last_day)
        group: list[LakeFile] = []
        for file in of_day:
            if sum(one.rows for one in group) + file.rows > rows_max:
                if len(group) >= files_least:
                    yield group
                group = []
            group.append(file)
        if len(group) >= files_least:
            yield group


def _merge(lake: Lake, kind: str, group: Sequence[LakeFile], now_ns: int) -> Merged:
    rows = pa.concat_tables(
        [_read(lake.root / file.name, _SCHEMAS[kind]) for file in lake.sound(group)]
    ).unify_dictionaries().sort_by([("request_id", "ascending"), ("attempt", "ascending")])  # fmt: skip
    assert rows.num_rows == sum(file.rows for file in group)
    names = "\n".join(file.name for file in group)
    place = f"merged-{hashlib.sha256(names.encode()).hexdigest()[:32]}.parquet"
    written = lake.write(kind, place, rows, max(file.sealed_ns for file in group))
    # Where none shared an attempt with another, what they became shares none either.
    apart = all(file.apart for file in group)
    written = [msgspec.structs.replace(file, apart=apart) for file in written]
    with lake.control.writing() as connection:
        retire(connection, [file.name for file in group], now_ns)
        list_files(connection, written)
    return Merged(len(group), len(written), rows.num_rows)


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    table = read_rows(path)
    # A unit that was not known when it was written is a column of nulls.
    missing = [name for name in schema.names if name not in table.column_names]
    for name in missing:
        table = table.append_column(
            schema.field(name), pa.nulls(table.num_rows, schema.field(name).type)
        )
    return table.select(schema.names).cast(schema)
