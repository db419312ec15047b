"""Lost files of the lake: accepted as lost with an estimate, and read again once they are put back.

    listed ──▶ lost: no reader sees it; an estimate from the hourly sums may stand for it
      ▲          │
      └──────────┘ put back with the bytes that it was sealed with: its estimate goes

The hourly sums of a day were made from its files when they were sealed. The difference between the
sums and the other files of the day was in the lost file. If several files of a day are lost, the
sums do not tell them apart: each has a part of the difference by its number of records, and the
last the rest.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy import Connection, insert, select, update

from clauseway.metering import Status, Unit
from clauseway.metering.endpoints import SUMMED as SUMMED_ENDPOINT
from clauseway.metering.usage_rules import imported_id
from clauseway.storage.books.losses import SUMMED, Loss
from clauseway.storage.control import schema
from clauseway.storage.control.control import as_record
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA
from clauseway.storage.lake.file_list import ESTIMATE, USAGE, LakeFile, files_of, lost_files, retire
from clauseway.storage.lake.hourly_sums import RollupRow, replace_day, sums_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.rollups import scan
from clauseway.storage.lake.sealed_batches import Range
from clauseway.storage.lake.usage_records import days_of
from clauseway.values import HOUR_NS, Interval, day_of

_FILES = schema.lake_files.c
_PLACE = ("organisation", "project", "seller", "cloud", "region", "product", "model")
_COUNTED = ("served", *(unit.column for unit in Unit))


def accept_file(lake: Lake, file: LakeFile, loss: Loss, before: int, now_ns: int) -> Loss:
    """Accept the loss of a file, with the estimate that the loss names, in one transaction; return
    the recorded loss.

    `before` is how often the file was lost before. Only while nobody else changes the lake.
    """
    parts = _parts(lake, file)
    counted = parts if loss.estimate == SUMMED else []
    usage = pa.Table.from_pylist(
        [_usage_row(file, part, now_ns) for part in counted], schema=USAGE_SCHEMA
    )
    accepted = msgspec.structs.replace(loss, attempts=usage.num_rows)
    # Accepted at nothing, the file's part leaves the sums, and is no other lost file's.
    sums = _sums(lake, file, [] if counted else parts)
    also = partial(_take_for_lost, lake=lake, file=file, loss=accepted, sums=sums, now_ns=now_ns)
    if usage.num_rows:
        of = Range(spool=_spool(file), segment=before, first_frame=0, end_frame=1)
        lake.seal_tables(of, usage, INTENT_SCHEMA.empty_table(), now_ns, also=also)
    else:
        with lake.control.writing() as connection:
            also(connection)
    return accepted


def heal(lake: Lake, now_ns: int) -> list[LakeFile]:
    """Read lost files again that were put back as they were sealed; return them. Estimates for them
    go."""
    lost = lost_files(lake.control)
    damaged = {fault.name for fault in lake.sealed.examine(lost)} if lost else set()
    healed = [file for file in lost if file.name not in damaged]
    for file in healed:
        with lake.control.writing() as connection:
            # Attempts of it may have been sealed again meanwhile: they count once.
            back = update(schema.lake_files).where(_FILES.name == file.name)
            connection.execute(back.values(lost_ns=0, apart=False))
            retire(connection, _estimates(connection, file), now_ns)
            losses = schema.losses.c
            of_file = (losses.file == file.name) & (losses.found_ns == 0)
            connection.execute(update(schema.losses).where(of_file).values(found_ns=now_ns))
            _sum_again(connection, lake, file)
    return healed


def _take_for_lost(
    connection: Connection,
    lake: Lake,
    file: LakeFile,
    loss: Loss,
    sums: Mapping[date, Sequence[RollupRow]],
    now_ns: int,
) -> None:
    lost = update(schema.lake_files).where(_FILES.name == file.name)
    connection.execute(lost.values(lost_ns=now_ns))
    connection.execute(insert(schema.losses).values(**_row(loss)))
    # Sealing an estimate added it to the sums that it was taken from: set these as they were. Beside
    # other damaged files they are not summed again.
    for day, rows in sums.items():
        replace_day(connection, day, rows)
    _sum_again(connection, lake, file)


def _row(loss: Loss) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(loss).items() if name != "number"}


def _spool(file: LakeFile) -> str:
    return ESTIMATE + hashlib.sha256(file.name.encode()).hexdigest()[:16]


def _estimates(connection: Connection, file: LakeFile) -> list[str]:
    """Return the names of the files that stand for a lost file."""
    named = _FILES.name.contains(f"/{_spool(file)}-", autoescape=True)
    return list(
        connection.execute(select(_FILES.name).where(named, _FILES.retired_ns == 0)).scalars()
    )


def _sum_again(connection: Connection, lake: Lake, file: LakeFile) -> None:
    """Set the hourly sums of the file's days to those of the visible files."""
    if file.kind != USAGE:
        return
    seen = (_FILES.kind == USAGE) & (_FILES.retired_ns == 0) & (_FILES.lost_ns == 0)
    for day in days_of([file]):
        of_day = seen & (_FILES.first_day < day.end) & (_FILES.last_day >= day.begin)
        rows = connection.execute(select(schema.lake_files).where(of_day))
        files = [as_record(LakeFile, row) for row in rows]
        # The content of a damaged file is not known: the sums stay as they were.
        if not lake.sealed.faults(files):
            replace_day(
                connection, day.begin, scan([lake.root / listed.name for listed in files], day)
            )


def _sums(lake: Lake, file: LakeFile, gone: Sequence[RollupRow]) -> dict[date, Sequence[RollupRow]]:
    """Return the hourly sums of the file's days as they are, less what is gone."""
    if file.kind != USAGE:
        return {}
    less = {_key(row): row for row in gone}
    with lake.control.reading() as connection:
        return {
            day.begin: [_less(row, less.get(_key(row))) for row in sums_of(connection, day)]
            for day in days_of([file])
        }


def _less(row: RollupRow, gone: RollupRow | None) -> RollupRow:
    return row if gone is None else {**row, **{name: row[name] - gone[name] for name in _COUNTED}}


def _parts(lake: Lake, file: LakeFile) -> list[RollupRow]:
    """Return the part of the file in the hourly sums beyond its days' sound files, by hour and
    place. A file of intents has none."""
    if file.kind != USAGE:
        return []
    return [part for day in days_of([file]) for part in _parts_of(lake, file, day)]


def _parts_of(lake: Lake, file: LakeFile, day: Interval) -> Iterator[RollupRow]:
    listed = files_of(lake.control, USAGE, day)
    damaged = {fault.name for fault in lake.sealed.faults(listed)}
    # Other files that wait to be accepted have their parts of the same difference.
    records = sum(other.rows for other in listed if other.name in damaged)
    sound = [lake.root / other.name for other in listed if other.name not in damaged]
    accounted = {_key(row): row for row in scan(sound, day)}
    with lake.control.reading() as connection:
        summed = sums_of(connection, day)
    for row in summed:
        held = accounted.get(_key(row))
        left = {name: row[name] - (held[name] if held else 0) for name in _COUNTED}
        part = {name: count * file.rows // records for name, count in left.items()}
        # A part of less than a request stays for the files that are accepted later.
        if part["served"] > 0 and min(left.values()) >= 0:
            yield {**row, **part}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["hour"], *(row[name] for name in _PLACE)


def _usage_row(file: LakeFile, row: RollupRow, now_ns: int) -> dict[str, Any]:
    """Return the usage of an hour as a single record that sums many."""
    event_ns = row["hour"] * HOUR_NS
    identity = "|".join(map(str, _key(row)))
    return {
        # Names that the hourly sums do not keep stay empty.
        **{
            name: ""
            for name in USAGE_SCHEMA.names
            if pa.types.is_dictionary(USAGE_SCHEMA.field(name).type)
        },
        **{name: row[name] for name in _PLACE},
        "request_id": str(imported_id(f"{_spool(file)}@{now_ns}", identity)),
        "attempt": 1,
        "event_ns": event_ns,
        "event_day": day_of(event_ns),
        "recorded_ns": now_ns,
        "endpoint": SUMMED_ENDPOINT,
        "segment": "any",
        "terms": [],
        "status": int(Status.ESTIMATED),
        "http_status": 0,
        "streamed": False,
        "duration_us": 0,
        "first_content_us": 0,
        "charge_picodollars": 0,
        "upstream_id": "",
        "tier": "",
        # None for zero: the sums do not tell zeros from units that were never reported.
        **{unit.column: row[unit.column] or None for unit in Unit},
    }
