"""Keeping the lake in shape: merging small files, dropping old records, hourly sums made
anew, usage handed on."""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from clauseway.app.opening.home import Home
from clauseway.app.opening.places import file_at
from clauseway.app.opening.revenue_shares import shares_of
from clauseway.app.opening.several import Opened
from clauseway.app.usage.lake_place import copies_bytes_max
from clauseway.app.usage.sealing import lake_locked, open_lake
from clauseway.exchange.cells import CsvWriter
from clauseway.exchange.parquet_output import parquet_output
from clauseway.exchange.usage.cloudevents import write_cloudevents
from clauseway.exchange.usage.focus import USAGE_COLUMNS, usage_rows
from clauseway.ledger.floors import calendar_period
from clauseway.storage.books.books import Books, latest_settlement
from clauseway.storage.lake.columns import USAGE_SCHEMA
from clauseway.storage.lake.compaction import compact, drop_before
from clauseway.storage.lake.file_list import (
    INTENTS,
    USAGE,
    LakeFile,
    every_file,
    files_of,
    kept_from,
)
from clauseway.storage.lake.hourly_sums import Usage, replace_day, usage_by
from clauseway.storage.lake.key_usage import ChargedUsage, usage_of_key
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.rollups import scan
from clauseway.storage.lake.usage_records import days_of
from clauseway.storage.usage.sums import hour_sums
from clauseway.values import Interval, InvalidInput, KnownAt, Problem, counted, suggestion

# A query that listed a file before it was merged may still be reading it: none takes longer.
_GRACE_NS = 600 * 1_000_000_000
SHOWN_BY = ("hour", "organisation", "project", "seller", "cloud", "region", "product", "model")
# The usage of one key is summed from its records, which know their requests.
KEY_SHOWN_BY = (*SHOWN_BY, "request")
EXPORTS = ("parquet", "cloudevents", "focus")


class LakeState(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the lake.

    Days are the first and the last with usage; `kept_from` is empty where none was dropped, `place`
    where the files lie in the home's folder.
    """

    usage_files: int
    intent_files: int
    rows: int
    bytes: int
    first_day: date | None
    last_day: date | None
    kept_from: date | None
    place: str = ""


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """The result of merging, and the number of files removed because nobody needs them any more.

    `unknown` files may hold usage that the database lacks, and stay.
    """

    before: int
    after: int
    rows: int
    removed: int
    unknown: tuple[str, ...] = ()


def state(home: Home) -> LakeState:
    """Return the contents of the lake."""
    with open_lake(home) as lake:
        usage, intents = (files_of(lake.control, kind) for kind in (USAGE, INTENTS))
        return LakeState(
            usage_files=len(usage),
            intent_files=len(intents),
            rows=sum(file.rows for file in usage),
            bytes=sum(file.bytes for file in (*usage, *intents)),
            first_day=min((file.first_day for file in usage), default=None),
            last_day=max((file.last_day for file in usage), default=None),
            kept_from=kept_from(lake.control),
            place=lake.store.location if lake.store.is_remote else "",
        )


def compact_lake(home: Home, files_least: int | None = None) -> Compacted:
    """Merge the small files of each day where there are enough (see `compact`), and remove what
    is not needed."""
    before = after = rows = 0
    with lake_locked(home), open_lake(home) as lake:
        for merged in compact(lake, time.time_ns(), files_least=files_least):
            before, after, rows = before + merged.before, after + merged.after, rows + merged.rows
        swept = lake.sweep(time.time_ns() - _GRACE_NS)
        if lake.store.is_remote:
            lake.sealed.trim(every_file(lake.control), copies_bytes_max(home))
    return Compacted(
        before=before, after=after, rows=rows, removed=len(swept.removed), unknown=swept.unknown
    )


def retain(home: Home, opened: Opened, keep_days: int, today: date) -> int:
    """Drop single records older than so many days; how many.

    Hourly sums and everything settled stay.

    Raise InvalidInput where a period that is not closed, or a share that still runs, needs one of
    these days.
    """
    wanted = today - timedelta(days=keep_days)
    with lake_locked(home), open_lake(home) as lake:
        files = files_of(lake.control, USAGE)
        if not any(file.first_day < wanted for file in files):
            return 0
        needed, why = _needed(lake, opened, files)
        if needed < wanted:
            problem = f"usage before {wanted} cannot be dropped"
            remedy = f"Keep {counted((today - needed).days, 'day')} or more; or settle and close the periods before."
            raise InvalidInput.of(what=problem, why=why, where="--keep-days", remedy=remedy)
        return drop_before(lake, wanted, time.time_ns())


def _needed(lake: Lake, opened: Opened, files: Sequence[LakeFile]) -> tuple[date, str]:
    """Return the first day whose single records are still needed, and what for."""
    books = Books(lake.control)
    open_from = books.open_since()
    if open_from is None:
        first = min(file.first_day for file in files)
        return first, f"no period is closed, and there is usage from {first} on"
    # Nothing can be found to be due for a closed month without its usage.
    owed = books.latest(calendar_period(open_from, "month"))
    if corrected := [change.period.begin for change in owed.corrections] if owed else []:
        return min(corrected), f"{open_from:%Y-%m}, which is open, corrects {min(corrected):%Y-%m}"
    last = latest_settlement(lake.control)
    settled_ns = books.settled_ns(last.receipt) if last else None
    late = min(
        (
            file.first_day
            for file in files
            if settled_ns is not None and file.sealed_ns > settled_ns
        ),
        default=open_from,
    )
    if late < open_from:
        return late, f"usage of {late} came after the last settlement"
    # A share is due on what it summed up to since it began, so it needs its first day as long as it
    # runs.
    running = [
        share
        for share in shares_of(opened, KnownAt(time.time_ns()), {})
        if share.begin < open_from < share.end
    ]
    since = min(running, key=lambda share: share.begin, default=None)
    if since is None:
        return open_from, f"the periods from {open_from} on are not closed"
    return since.begin, f"the share {since.term} runs since {since.begin}, and is due on all of it"


def figures_of(usage: Usage) -> dict[str, int]:
    """Return the figures of a sum by name: attempts served and failed, then its units."""
    return {"served": usage.served, "failed": usage.failed, **usage.units}


def summed_rows(by: Sequence[str], sums: Iterable[Usage]) -> list[dict[str, str | int]]:
    """Return sums as rows: what was summed by, then the figures."""
    return [{**dict(zip(by, usage.key, strict=True)), **figures_of(usage)} for usage in sums]


def usage_shown(home: Home, by: Sequence[str], days: Interval | None = None) -> list[Usage]:
    """Usage summed by some of `SHOWN_BY`, from the hourly sums; hours as instants.

    Raise InvalidInput.
    """
    _check_names(by)
    with open_lake(home) as lake:
        sums = usage_by(lake.control, by, days)
    return [_with_instants(by, usage) for usage in sums]


def usage_of_key_shown(
    home: Home, key_id: str, by: Sequence[str], days: Interval | None = None
) -> list[ChargedUsage]:
    """Usage of one key summed by some of `KEY_SHOWN_BY`, and what it was charged; hours as instants.

    Raise InvalidInput, also for a key that no home made and nobody used.
    """
    _check_names(by, KEY_SHOWN_BY)
    with open_lake(home) as lake:
        sums = usage_of_key(lake, key_id, by, days)
        # Imported usage names keys that were made elsewhere.
        if not sums:
            _refuse_unknown_key(lake, key_id)
    return [msgspec.structs.replace(of, usage=_with_instants(by, of.usage)) for of in sums]


def _refuse_unknown_key(lake: Lake, key_id: str) -> None:
    keys = {key.key_id for key in lake.control.keys(with_revoked=True)}
    if key_id in keys:
        return
    raise InvalidInput.of(
        what=f"there is no key {key_id!r}",
        why="none was made here with that id, and no usage in these days names it",
        where="--key",
        remedy=f"{suggestion(key_id, keys)} See clauseway key list --with-revoked.",
    )


def _check_names(by: Sequence[str], known: Sequence[str] = SHOWN_BY) -> None:
    wrong = [name for name in by if name not in known]
    if wrong:
        remedy = f"Some of {', '.join(known)}."
        if known == SHOWN_BY and "request" in wrong:
            remedy += " Requests are told of one key: --key KEY."
        raise InvalidInput(
            *(
                Problem(
                    what=f"{name!r} is nothing to sum by",
                    why="no sum knows it",
                    where="--by",
                    remedy=suggestion(name, known, remedy),
                )
                for name in wrong
            )
        )


def _with_instants(by: Sequence[str], usage: Usage) -> Usage:
    named = zip(by, usage.key, strict=True)
    key = tuple(_instant(int(value)) if name == "hour" else value for name, value in named)
    return msgspec.structs.replace(usage, key=key)


def _instant(hour: int) -> str:
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y-%m-%dT%H:00Z")


def rebuild_rollups(home: Home) -> int:
    """Sum every day of the lake anew, from all its records; how many days differed from what was
    there."""
    changed = 0
    with lake_locked(home), open_lake(home) as lake:
        for day in days_of(files_of(lake.control, USAGE)):
            rows = scan(lake.files(day), day)
            with lake.control.writing() as connection:
                changed += replace_day(connection, day.begin, rows)
    return changed


def export_usage(home: Home, form: str, out: Path, days: Interval | None = None) -> int:
    """Write sealed usage to a file, each attempt once; how many rows. Raise InvalidInput."""
    if form not in EXPORTS:
        remedy = f"One of {', '.join(EXPORTS)}."
        raise InvalidInput.of(
            what=f"{form!r} is not a format",
            why="no export writes it",
            where="--format",
            remedy=remedy,
        )
    with file_at(out) as beside, open_lake(home) as lake:
        write = {"parquet": _parquet, "cloudevents": _cloudevents, "focus": _focus}[form]
        return write(lake, beside, days)


def _parquet(lake: Lake, out: Path, days: Interval | None) -> int:
    rows = 0
    with (
        parquet_output(out) as output,
        pq.ParquetWriter(output, USAGE_SCHEMA, compression="zstd") as writer,
    ):
        for batch in lake.records(days):
            writer.write_table(
                pa.Table.from_batches([batch]).select(USAGE_SCHEMA.names).cast(USAGE_SCHEMA)
            )
            rows += batch.num_rows
    return rows


def _cloudevents(lake: Lake, out: Path, days: Interval | None) -> int:
    rows = 0
    with out.open("wb") as file:
        for batch in lake.records(days):
            file.writelines(write_cloudevents(batch.to_pylist()))
            rows += batch.num_rows
    return rows


def _focus(lake: Lake, out: Path, days: Interval | None) -> int:
    rows = 0
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = CsvWriter(file)
        writer.row(USAGE_COLUMNS)
        for row in usage_rows(_sums(lake, days)):
            writer.row(row[name] for name in USAGE_COLUMNS)
            rows += 1
    return rows


def _sums(lake: Lake, days: Interval | None) -> Iterator[dict[str, Any]]:
    """Yield sums by hour and tier, a day at a time, of the lake as it is listed now."""
    still = lake.snapshot()
    for day in still.days(days):
        yield from hour_sums(still, day)


def today() -> date:
    return datetime.now(UTC).date()
