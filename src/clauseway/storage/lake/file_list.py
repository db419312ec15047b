"""The list of the lake's files, kept in the control database beside the manifest.

A file is listed with the batch whose rows it holds, in one transaction, or in place of the files it
was merged from, in one transaction. Files that are no longer read are retired first and deleted
later, so that a running query still ends.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from clauseway.storage.books.kept_sums import KeptSum, keep_sums, read_sums
from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, as_record
from clauseway.values import Interval, InvalidInput

USAGE, INTENTS = "usage", "intents"
# The beginning of the spools of estimates for lost files, and so of their files' names.
ESTIMATE = "lost-"
# So many batches are read from the manifest at a time.
_ROWS = 10_000
# The place of the names of sealed usage among the kept sums, and their format: whoever makes names
# otherwise changes it.
_SEALED, _SEALED_FORMAT = "sealed usage", "sealed usage 1"
_PLACES = msgspec.json.Decoder(list[tuple[str, str, str, str]])


class DroppedDays(InvalidInput):
    """Single records of these days were dropped; only their hourly sums are left."""


class LakeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file: its name in the lake, the event days and request ids it spans, and the
    SHA-256 of its bytes.

    `sealed_ns` is when the newest of its rows was sealed. `apart`: no attempt in it is there twice,
    or in a file that was sealed before. `places` are the products, clouds, sellers and regions of
    its usage, as JSON; empty if they were never read. `retired_ns` is when it was merged into
    others or dropped; 0 while readers see it. `lost_ns` is when its loss was accepted; 0 unless it
    was.
    """

    name: str
    kind: str
    first_day: date
    last_day: date
    first_request: str
    last_request: str
    rows: int
    bytes: int
    digest: str
    sealed_ns: int
    apart: bool = False
    places: str = ""
    retired_ns: int = 0
    lost_ns: int = 0

    @property
    def is_estimate(self) -> bool:
        """True if the file stands for a lost one, and goes when that is put back."""
        return self.name.rpartition("/")[2].startswith(ESTIMATE)

    @property
    def is_retired(self) -> bool:
        return self.retired_ns > 0

    def recorded_places(self) -> list[tuple[str, str, str, str]]:
        """Return product, cloud, seller and region of its usage; none if they were never read."""
        return _PLACES.decode(self.places) if self.places else []


def list_files(connection: Connection, files: Iterable[LakeFile]) -> None:
    """Make these files visible to readers."""
    rows = [{**msgspec.structs.asdict(file), "retired_ns": 0} for file in files]
    if rows:
        connection.execute(insert(schema.lake_files), rows)


def retire(connection: Connection, names: Sequence[str], retired_ns: int) -> None:
    """Hide these files from readers. INVARIANT: each of them was visible until now, so nothing
    counts twice."""
    columns = schema.lake_files.c
    for name in names:
        seen = (columns.name == name) & (columns.retired_ns == 0)
        done = connection.execute(
            update(schema.lake_files).where(seen).values(retired_ns=retired_ns)
        )
        assert done.rowcount == 1, f"{name} is not in the lake"


def forget(control: Control, names: Iterable[str]) -> None:
    """Take retired files off the list, once they are deleted."""
    columns = schema.lake_files.c
    with control.writing() as connection:
        for name in names:
            connection.execute(
                delete(schema.lake_files).where(columns.name == name, columns.retired_ns > 0)
            )


class SealedUsage(msgspec.Struct, frozen=True):
    """All batches whose usage is of the same days, from the first to the last. `name` is a hash of
    their ranges and contents, in order of commit: each continues that of the batches before."""

    first_day: date
    last_day: date
    name: str


class NamedUsage(msgspec.Struct, frozen=True):
    """The usage that is sealed up to the manifest's row `through`; `last` is what that row holds."""

    through: int = 0
    last: str = ""
    usage: tuple[SealedUsage, ...] = ()


class LakeListing(msgspec.Struct, frozen=True):
    """The lake as it was listed at an instant: what is sealed of usage, the usage files that readers
    see and those whose loss was accepted."""

    sealed: NamedUsage
    files: tuple[LakeFile, ...]
    lost: tuple[LakeFile, ...]

    @property
    def usage(self) -> tuple[SealedUsage, ...]:
        return self.sealed.usage

    def usage_files(self, days: Interval | None) -> list[LakeFile]:
        """Return the files, all or those with rows of some of the days."""
        return [
            file
            for file in self.files
            if days is None or (file.first_day < days.end and file.last_day >= days.begin)
        ]


def listing_of(control: Control, *, use_kept: bool = True) -> LakeListing:
    """Return what is listed now, read in one transaction: every batch, or with `use_kept` those
    since the names that were kept, which the log does not chain."""
    files = schema.lake_files
    listed = (files.c.kind == USAGE) & (files.c.retired_ns == 0)
    # Batches are only ever added, and in the order of their numbers: the log's lock sees to that.
    text = read_sums(control, {_SEALED: _SEALED_FORMAT}).get(_SEALED) if use_kept else None
    kept = msgspec.json.decode(text, type=NamedUsage) if text else NamedUsage()
    with control.reading() as connection:
        sealed = _named_usage(connection, kept)
        rows = connection.execute(select(files).where(listed).order_by(files.c.sequence))
        usage = [as_record(LakeFile, row) for row in rows]
        return LakeListing(
            sealed=sealed,
            files=tuple(file for file in usage if not file.lost_ns),
            lost=tuple(file for file in usage if file.lost_ns),
        )


def keep_listing(control: Control, listing: LakeListing) -> None:
    """Keep the names of a listing's usage: the next listing reads the batches since."""
    body = msgspec.json.encode(listing.sealed).decode()
    keep_sums(control, [KeptSum(_SEALED, _SEALED_FORMAT, body)])


def _named_usage(connection: Connection, kept: NamedUsage) -> NamedUsage:
    """Return what is sealed of usage. A gateway seals four batches a minute, two million a year:
    only those since the kept names are read, and none of them is held."""
    columns = schema.manifest.c
    batch = (columns.spool, columns.segment, columns.first_frame, columns.end_frame, columns.digest)
    through = connection.execute(select(*batch).where(columns.sequence == kept.through)).first()
    if through is None or _text(through) != kept.last:
        # Of another manifest: a copy of the database may lack rows, and their numbers come again.
        kept = NamedUsage()
    query = select(columns.sequence, columns.first_day, columns.last_day, *batch)
    since = (columns.sequence > kept.through) & columns.first_day.is_not(None)
    query = query.where(since).order_by(columns.sequence)
    rows = connection.execute(query, execution_options={"yield_per": _ROWS})
    newest, last = kept.through, kept.last
    names = {(usage.first_day, usage.last_day): usage.name for usage in kept.usage}
    for sequence, first_day, last_day, *content in rows:
        newest, last = sequence, _text(content)
        text = names.get((first_day, last_day), "") + last
        names[first_day, last_day] = hashlib.sha256(text.encode()).hexdigest()
    usage = tuple(SealedUsage(*days, name) for days, name in names.items())
    return NamedUsage(newest, last, usage)


def _text(content: Sequence[Any]) -> str:
    return msgspec.json.encode(tuple(content)).decode()


def refuse_dropped(control: Control, days: Interval) -> None:
    """Raise DroppedDays if single records of these days were dropped."""
    with control.reading() as connection:
        _refuse_dropped(connection, days)


def files_of(control: Control, kind: str, days: Interval | None = None) -> list[LakeFile]:
    """Return the files of a kind that readers see, all or those with rows of some of the days, in
    order of listing.

    Raise DroppedDays if single records of these days were dropped: a sum without them would be
    wrong.
    """
    columns = schema.lake_files.c
    seen = (columns.kind == kind) & (columns.retired_ns == 0) & (columns.lost_ns == 0)
    query = select(schema.lake_files).where(seen).order_by(columns.sequence)
    if days is not None:
        query = query.where(columns.first_day < days.end, columns.last_day >= days.begin)
    with control.reading() as connection:
        if days is not None:
            _refuse_dropped(connection, days)
        return [as_record(LakeFile, row) for row in connection.execute(query)]


def every_file(control: Control) -> list[LakeFile]:
    """Return all listed files, of usage and intents, also those retired and not yet deleted."""
    with control.reading() as connection:
        query = select(schema.lake_files).order_by(schema.lake_files.c.sequence)
        return [as_record(LakeFile, row) for row in connection.execute(query)]


def seen_files(control: Control) -> list[LakeFile]:
    """Return the files that readers see, of usage and intents."""
    return [file for file in every_file(control) if not file.is_retired and not file.lost_ns]


def lost_files(control: Control) -> list[LakeFile]:
    """Return the files that were accepted as lost and are not back."""
    columns = schema.lake_files.c
    with control.reading() as connection:
        query = select(schema.lake_files).where(columns.lost_ns > 0, columns.retired_ns == 0)
        return [
            as_record(LakeFile, row) for row in connection.execute(query.order_by(columns.sequence))
        ]


def kept_names(control: Control, retired_before_ns: int) -> set[str]:
    """Return the files that must stay: the visible ones, and those retired at that instant or
    later."""
    columns = schema.lake_files.c
    stays = (columns.retired_ns == 0) | (columns.retired_ns >= retired_before_ns)
    with control.reading() as connection:
        return set(connection.execute(select(columns.name).where(stays)).scalars())


def drop_days(
    connection: Connection, files: Sequence[LakeFile], kept_from: date, dropped_ns: int
) -> None:
    """Drop the single records of the days before `kept_from`; `files` are all that hold some."""
    retire(connection, [file.name for file in files], dropped_ns)
    values = {
        "first_day": min(file.first_day for file in files),
        "kept_from": kept_from,
        "rows": sum(file.rows for file in files if file.kind == USAGE),
        "dropped_ns": dropped_ns,
    }
    connection.execute(insert(schema.dropped_days).values(**values))


def kept_from(control: Control) -> date | None:
    """Return the first day of which every record is kept; None if none was ever dropped."""
    with control.reading() as connection:
        columns = schema.dropped_days.c
        latest = select(columns.kept_from).order_by(columns.kept_from.desc()).limit(1)
        return connection.execute(latest).scalar_one_or_none()


def is_dropped(control: Control, days: Interval) -> bool:
    """Return whether single records of these days were dropped."""
    with control.reading() as connection:
        return _dropped_before(connection, days) is not None


def _dropped_before(connection: Connection, days: Interval) -> date | None:
    """Return the day before which single records of these days were dropped, if any were."""
    columns = schema.dropped_days.c
    query = select(columns.kept_from).where(
        columns.first_day < days.end, columns.kept_from > days.begin
    )
    return connection.execute(query.order_by(columns.kept_from.desc())).scalars().first()


def _refuse_dropped(connection: Connection, days: Interval) -> None:
    kept = _dropped_before(connection, days)
    if kept is not None:
        message = f"single records before {kept} were dropped"
        why = f"days from {days.begin} on are asked for, and a sum without them would be wrong"
        raise DroppedDays.of(
            what=message, why=why, where="lake", remedy=f"Ask for days from {kept} on."
        )
