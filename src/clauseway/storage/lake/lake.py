"""The lake: sealed usage as Parquet files, one per event day, named by spool and range, listed in
the database alone; in a folder, or on object storage with copies in that folder.

Sealing writes each file beside its place, forces it to disk, renames it, forces the folder, and
only then commits the range to the manifest, together with the list of its files, the hourly sums
and all other rows of the batch. A crash in between leaves unlisted files; sealing the batch again
finds them or writes others beside them, and `sweep` removes what is in listed files too.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from datetime import date
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Connection, select, update

from clauseway.files import force_folder, written_whole
from clauseway.files.presence import is_there
from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, Overlap, Sealed
from clauseway.storage.lake.columns import intent_table, sound_table
from clauseway.storage.lake.file_list import (
    INTENTS,
    USAGE,
    LakeFile,
    LakeListing,
    files_of,
    forget,
    kept_names,
    list_files,
    listing_of,
    refuse_dropped,
)
from clauseway.storage.lake.hourly_sums import Sums, add_sums, replace_day
from clauseway.storage.lake.ownership import require_own
from clauseway.storage.lake.quarantine import hold
from clauseway.storage.lake.query_engines import QueryEngine, duckdb_engine
from clauseway.storage.lake.rollups import Summing, scan
from clauseway.storage.lake.sealed_batches import Range, UsageBatch
from clauseway.storage.lake.sealed_files import SealedFiles
from clauseway.storage.lake.stores import FolderStore, Store, Stored, make_folders
from clauseway.storage.lake.unlisted_files import files_with_missing_usage
from clauseway.storage.lake.usage_records import days_of, records_in
from clauseway.values import Interval, InvalidInput

# Writes in the transaction that commits a batch.
AlsoWrite = Callable[[Connection], object]
# Rows that are read or skipped together: few enough that a look-up of a few requests reads little.
_ROW_GROUP = 131_072
# In the name of a file whose own is taken, until its digest is known. Only one process writes.
_WHILE_WRITTEN = "0" * 16
_NO_LIMIT_NS = (1 << 63) - 1
_SOLD_WHERE = ["product", "cloud", "seller", "region"]
# Folders of the published table (`publishing`), which readers of the lake never look into.
METADATA, PUBLISHED = "metadata", "published"
# The data files that the published table stands on: they stay.
DATA_FILES = f"{METADATA}/data-files.json"
_FORMER_NAMES = ((USAGE, "usage_file"), (INTENTS, "intents_file"))
_FORMER = (schema.manifest.c.usage_file != "") | (schema.manifest.c.intents_file != "")


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the files that were removed; `unknown` ones stay, because they may hold usage
    that the database lacks."""

    removed: tuple[str, ...]
    unknown: tuple[str, ...]


def write_nothing(_: Connection) -> None:
    """Write nothing along with a batch."""


class Lake:
    """The files under `root`, which is created, and the manifest in `control`.

    Sums of usage take records known by `known_ns`, in files sealed by `sealed_ns`: by default, all.
    """

    def __init__(self, root: Path, control: Control, store: Store | None = None) -> None:
        self.root = root
        self.control = control
        self.store: Store = store or FolderStore(root)
        self.known_ns = self.sealed_ns = _NO_LIMIT_NS
        self._listing: LakeListing | None = None
        self.engine: QueryEngine = duckdb_engine
        if not is_there(root):
            root.mkdir(exist_ok=True)  # and not the folder above it: a home may be gone meanwhile
            force_folder(root.parent)
        self._disk = root.stat().st_dev
        with control.reading() as connection:
            has_former = _has_former(connection)
            # A mount that ended leaves an empty folder.
            self._missing = None if self._has_files else _first_listed(connection)
        if has_former:
            _adopt_former(self)

    @property
    def sealed(self) -> SealedFiles:
        """Return the files as readers find them."""
        return SealedFiles(self.root, self.store)

    @property
    def is_limited(self) -> bool:
        """True if sums leave out later records."""
        return min(self.known_ns, self.sealed_ns) < _NO_LIMIT_NS

    def as_known(self, known_ns: int, sealed_ns: int | None = None) -> "Lake":
        """Return the lake with the usage that was known by an instant, and sealed here by
        another."""
        limited = copy(self)
        limited.known_ns = known_ns
        limited.sealed_ns = self.sealed_ns if sealed_ns is None else sealed_ns
        return limited

    def snapshot(self, *, use_kept: bool = True) -> "Lake":
        """Return the lake as it is listed now, as by `listing_of`: what is sealed, merged or lost
        while sums of usage are made changes none of them. Of a snapshot: itself."""
        if self._listing is not None:
            return self
        still = copy(self)
        still._listing = listing_of(self.control, use_kept=use_kept)
        return still

    @property
    def listing(self) -> LakeListing:
        """Return the listing that sums are made from: the snapshot's, or the present one."""
        return self._listing or listing_of(self.control)

    def priced_by(self, engine: QueryEngine) -> "Lake":
        """Return the lake with another engine to sum, price and hash its usage."""
        other = copy(self)
        other.engine = engine
        return other

    def seal(self, batch: UsageBatch, sealed_ns: int, *, also: AlsoWrite = write_nothing) -> bool:
        """Seal a batch; return whether it is new. Once this returns, the batch is durable and the
        spool may release it.

        A record with impossible units is an attempt without units in the lake, and whole in the
        quarantine. The same range again changes nothing. `also` writes in the transaction of the
        commit. Raise storage.Overlap, and OSError if the disk fails.
        """
        if self.is_sealed(batch.range):
            return False
        usage, flawed = sound_table(batch)

        def with_quarantine(connection: Connection) -> None:
            hold(connection, flawed, sealed_ns)
            also(connection)

        return self.seal_tables(
            batch.range, usage, intent_table(batch), sealed_ns, also=with_quarantine
        )

    def seal_tables(
        self,
        of: Range,
        usage: pa.Table,
        intents: pa.Table,
        sealed_ns: int,
        *,
        also: AlsoWrite = write_nothing,
    ) -> bool:
        """Seal a range that is columns already (`USAGE_SCHEMA`, `INTENT_SCHEMA`).

        `also` writes in the transaction of the commit. Raise as `seal` does.
        """
        return self.seal_parts(of, _by_day(usage), intents, sealed_ns, also=also)

    def seal_parts(
        self,
        of: Range,
        usage: Iterable[pa.Table],
        intents: pa.Table,
        sealed_ns: int,
        *,
        also: AlsoWrite = write_nothing,
    ) -> bool:
        """Seal a range whose usage comes in parts, each of one event day and the days in order.

        One part is in memory at a time, so a range may hold more rows than memory does. No attempt
        may be in two parts.
        """
        if self.is_sealed(of):
            return False
        frames = f"{of.first_frame:010d}-{of.end_frame:010d}"
        place = f"{of.spool}-{of.segment:016d}-{frames}.parquet"
        # Write the files and sum their rows on the way; nobody sees them before the commit.
        summing = Summing(self.control, self.sealed)
        written = list(self.write_parts(USAGE, place, summing.watch(usage), sealed_ns))
        sums = summing.sums(written)
        days = [file.first_day for file in written]
        repeating = sums.anew | sums.unsure
        files = [
            msgspec.structs.replace(file, apart=file.first_day not in repeating) for file in written
        ]
        files += self.write(INTENTS, place, intents, sealed_ns)
        sealed = Sealed(
            spool=of.spool,
            segment=of.segment,
            first_frame=of.first_frame,
            end_frame=of.end_frame,
            digest=hashlib.sha256("".join(file.digest for file in files).encode()).hexdigest(),
            usage_rows=sum(file.rows for file in written),
            intent_rows=intents.num_rows,
            first_day=min(days, default=None),
            last_day=max(days, default=None),
            sealed_ns=sealed_ns,
        )
        self.require_disk()
        return self.control.commit_batch(
            sealed, lambda connection: _commit(connection, files, sums, also)
        )

    def is_sealed(self, wanted: Range) -> bool:
        """True if exactly this range is committed. Raise Overlap if another range shares frames
        with it."""
        frames = (wanted.first_frame, wanted.end_frame)
        held = self.control.overlapping(wanted.spool, wanted.segment, *frames)
        if held and [(batch.first_frame, batch.end_frame) for batch in held] != [frames]:
            segment = f"{wanted.spool}/{wanted.segment}"
            raise Overlap(f"frames {frames} of {segment} overlap {held[0].name}, which is sealed")
        return bool(held)

    def files(self, days: Interval | None = None, kind: str = USAGE) -> list[Path]:
        """Return the paths of a kind's files, all or those with rows of some of the days, in order
        of listing.

        Raise as `sound` does.
        """
        return [self.root / file.name for file in self.sound(files_of(self.control, kind, days))]

    def usage_files(self, days: Interval | None = None) -> Sequence[LakeFile]:
        """Return the files that sums of usage are made from. Readers of their rows call `sound`
        first."""
        if self._listing is None:
            files = files_of(self.control, USAGE, days)
        else:
            files = self._listing.usage_files(days)
            if days is not None:
                refuse_dropped(self.control, days)
        return [file for file in files if file.sealed_ns <= self.sealed_ns]

    def days(self, days: Interval | None = None) -> list[Interval]:
        """Return each day that has usage, in order; all, or those among some days."""
        return days_of(self.usage_files(days), days)

    def records(self, days: Interval | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the records of the lake as it is listed now, of all days or of some: day by day, by
        event time and then by request.

        Raise LakeDamaged at the first day with a file that is missing or changed.
        """
        still = self.snapshot()
        for day in still.days(days):
            files = still.sound(still.usage_files(day))
            yield from records_in([still.sealed.path(file) for file in files], day)

    def sound(self, files: Sequence[LakeFile]) -> Sequence[LakeFile]:
        """Check that these files are as they were written, and return them: readers of rows call
        this first. Raise LakeDamaged."""
        self.sealed.require_sound(files)
        return files

    def sweep(self, retired_before_ns: int = 1 << 62) -> Swept:
        """Remove the files that are not listed, and those retired before an instant. Files that may
        hold usage which the database lacks stay.

        Only while nobody seals. Raise InvalidInput if the lake is not of this database.
        """
        kept = kept_names(self.control, retired_before_ns)
        there = {stored.name for stored in self.stored()}
        if there:
            require_own(self.control, self.store, there)
        missed: set[str] = set()
        if not there <= kept:
            missed = files_with_missing_usage(self.control, self.sealed, there)
        gone = sorted(there - kept - self.published_files() - missed)
        # Off the list first: whoever lost the lock to another process can write no more, and so
        # removes nothing that the other one has just put there.
        forget(self.control, gone)
        self._remove(gone)
        return Swept(removed=tuple(gone), unknown=tuple(sorted(missed)))

    def remove_unlisted(self, name: str) -> None:
        """Remove a file that is not listed. Raise InvalidInput as `sweep` does."""
        assert name not in kept_names(self.control, 0), f"{name} is listed"
        require_own(self.control, self.store, {stored.name for stored in self.stored()})
        self._remove([name])

    def _remove(self, names: Sequence[str]) -> None:
        self.store.remove(names)
        if self.store.is_remote:
            FolderStore(self.root).remove(names)

    def stored(self) -> Iterator[Stored]:
        """Yield the files of the lake that are there, listed or not; not those of the published
        table alone."""
        for stored in self.store.under(""):
            if stored.name.partition("/")[0] not in (METADATA, PUBLISHED):
                yield stored

    def published_files(self) -> set[str]:
        """Return the data files that the published table stands on."""
        try:
            return set(msgspec.json.decode(self.store.get(DATA_FILES), type=list[str]))
        except FileNotFoundError:
            return set()

    def write(self, kind: str, place: str, table: pa.Table, sealed_ns: int) -> list[LakeFile]:
        """Write rows as one file per event day, each durable under its name; none for no rows.
        Nobody sees them yet."""
        return list(self.write_parts(kind, place, _by_day(table), sealed_ns))

    def write_parts(
        self, kind: str, place: str, parts: Iterable[pa.Table], sealed_ns: int
    ) -> Iterator[LakeFile]:
        """Write rows that come in parts, each of one event day and the days in order."""
        for day, of_day in groupby(parts, _day_of):
            yield self.write_file(f"{kind}/{day}/{place}", kind, day, of_day, sealed_ns)

    def write_file(
        self, name: str, kind: str, day: date, parts: Iterable[pa.Table], sealed_ns: int
    ) -> LakeFile:
        """Write the rows of a day as one file, durable under its name, and describe it."""
        rows, ids, places = 0, list[str](), set[tuple[str, ...]]()

        def watched() -> Iterator[pa.Table]:
            nonlocal rows
            for part in parts:
                # The bounds of ids tell later which files may hold the same attempts.
                outer = pc.min_max(part["request_id"]).as_py()
                ids.extend((outer["min"], outer["max"]))
                rows += part.num_rows
                if kind == USAGE:
                    places.update(_places(part))
                yield part

        written = self._free_name(name)
        digest, size = self._write(written, watched())
        name = self._kept(name, written, digest)
        return LakeFile(
            name=name,
            kind=kind,
            first_day=day,
            last_day=day,
            first_request=min(ids),
            last_request=max(ids),
            rows=rows,
            bytes=size,
            digest=digest,
            sealed_ns=sealed_ns,
            places=json.dumps(sorted(map(list, places))) if kind == USAGE else "",
        )

    def _free_name(self, name: str) -> str:
        """Return the name to write a file under: its own, or another if the folder has a file of
        that name."""
        if self.store.is_remote or not is_there(self.root / name):
            return name
        return _marked(name, _WHILE_WRITTEN)

    def _kept(self, name: str, written: str, digest: str) -> str:
        """Store a file that was written as `written`; return its name.

        A process that was killed before its batch was committed, or a database that was put back
        since, may have left another file under that name. Nothing is overwritten: then the file's
        digest is part of its name.
        """
        path = self.root / written
        if written == name and self.store.keep(name, path):
            return name
        if written != name and self.store.digest(name) == digest:
            path.unlink()
            return name
        other = _marked(name, digest)
        path.rename(self.root / other)
        force_folder(path.parent)
        assert self.store.keep(other, self.root / other), f"{other} is named by its content"
        return other

    @property
    def _has_files(self) -> bool:
        return self.store.is_remote or any(is_there(self.root / kind) for kind in (USAGE, INTENTS))

    def _require_begun(self) -> None:
        """Raise InvalidInput where the folder has no file, and the database lists some: what is
        written there is gone once the mount is back."""
        if self._missing is not None and not self._has_files:
            raise _gone(self.root, f"it is empty, and the database lists {self._missing} there")

    def require_disk(self) -> None:
        """Raise InvalidInput where the folder is on another disk than when it was opened.

        INVARIANT: asked between the writing of files and the commit that lists them. A mount that
        ends or comes meanwhile leaves files where nobody finds them.
        """
        if not self.store.is_remote and self.root.stat().st_dev != self._disk:
            raise _gone(self.root, "the folder is on another disk than a moment ago")

    def _write(self, name: str, parts: Iterator[pa.Table]) -> tuple[str, int]:
        """Write a table, in parts, so that its name appears only with all its bytes; return their
        SHA-256 and count."""
        path = self.root / name
        self._require_begun()
        folders = make_folders(path.parent, self.root)
        with written_whole(path) as beside:
            first = next(parts)
            with pq.ParquetWriter(
                beside, first.schema, compression="zstd", write_page_checksum=True
            ) as writer:
                writer.write_table(first, row_group_size=_ROW_GROUP)
                for part in parts:
                    writer.write_table(part, row_group_size=_ROW_GROUP)
            # Of the file as it was written, before its name appears.
            with beside.open("rb") as written:
                digest = hashlib.file_digest(written, "sha256").hexdigest()
            size = beside.stat().st_size
        for folder in folders:
            force_folder(folder)
        return digest, size


def _gone(root: Path, why: str) -> InvalidInput:
    return InvalidInput.of(
        what="the lake's folder is not in its place, so no usage was sealed or merged",
        why=why,
        where=str(root),
        remedy="Mount it again, or put its files back from a backup. If they are lost for good, make "
        f"the folder {root / USAGE}: then `clauseway lake check` names each of them.",
    )


def _commit(connection: Connection, files: Iterable[LakeFile], sums: Sums, also: AlsoWrite) -> None:
    list_files(connection, files)
    add_sums(connection, sums)
    also(connection)


def _marked(name: str, mark: str) -> str:
    """Return the name of a file beside another one that has its name."""
    return f"{name.removesuffix('.parquet')}-{mark[:16]}.parquet"


def _places(usage: pa.Table) -> set[tuple[str, ...]]:
    """Return the products, clouds, sellers and regions of usage, for `LakeFile.places`."""
    distinct = usage.select(_SOLD_WHERE).group_by(_SOLD_WHERE, use_threads=False).aggregate([])
    return {tuple(row[name] for name in _SOLD_WHERE) for row in distinct.to_pylist()}


def _by_day(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows of each event day, in order of days; the rows of a day keep their order."""
    days = sorted(pc.unique(table["event_day"]).to_pylist())
    for day in days:
        of_day = pc.equal(table["event_day"], pa.scalar(day, pa.date32()))
        yield table if len(days) == 1 else table.filter(of_day)


def _day_of(part: pa.Table) -> date:
    """Return the one event day of a part."""
    days = pc.min_max(part["event_day"]).as_py()
    assert days["min"] == days["max"], "a part is of one day"
    day: date = days["min"]
    return day


def _first_listed(connection: Connection) -> str | None:
    """Return the name of a file that readers see; None if there is none."""
    columns = schema.lake_files.c
    living = (columns.retired_ns == 0) & (columns.lost_ns == 0)
    name: str | None = connection.execute(select(columns.name).where(living).limit(1)).scalar()
    return name


def _has_former(connection: Connection) -> bool:
    former = select(schema.manifest.c.sequence).where(_FORMER).limit(1)
    return connection.execute(former).first() is not None


def _adopt_former(lake: Lake) -> None:
    """List the files of homes that named them in the manifest, one for all days of a batch."""
    columns = schema.manifest.c
    with lake.control.writing() as connection:
        rows = connection.execute(
            select(schema.manifest).where(_FORMER).order_by(columns.sequence)
        ).all()
        files = [
            _described(lake.root, kind, getattr(row, column), row.sealed_ns)
            for row in rows
            for kind, column in _FORMER_NAMES
            if getattr(row, column)
        ]
        list_files(connection, files)
        # Such homes have no hourly sums either.
        usage = [file for file in files if file.kind == USAGE]
        for day in days_of(usage):
            replace_day(connection, day.begin, scan([lake.root / file.name for file in usage], day))
        connection.execute(
            update(schema.manifest).where(_FORMER).values(usage_file="", intents_file="")
        )


def _described(root: Path, kind: str, name: str, sealed_ns: int) -> LakeFile:
    path = root / name
    table = pq.read_table(path, columns=["event_day", "request_id"])
    days, ids = pc.min_max(table["event_day"]).as_py(), pc.min_max(table["request_id"]).as_py()
    with path.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
    return LakeFile(
        name=name,
        kind=kind,
        first_day=days["min"],
        last_day=days["max"],
        first_request=ids["min"],
        last_request=ids["max"],
        rows=table.num_rows,
        bytes=path.stat().st_size,
        digest=digest,
        sealed_ns=sealed_ns,
    )
