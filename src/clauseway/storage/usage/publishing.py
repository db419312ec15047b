"""Publishing: the sealed usage as a table of Apache Iceberg's format, for engines that are not ours.

    metadata/     the table: v1.metadata.json, v2 …; manifests; the number of the newest version
    published/    a day's attempts each once, for days on which an attempt was sealed twice
    usage/        all other data files of the table, as they were sealed

Nothing is copied but those days. The new metadata file is the commit: whatever is killed, a reader
sees the former table or the new one. A snapshot is named by the files that it holds, so that the
same files are the same snapshot whenever and wherever they are published. Only one publishes at a
time. The module needs the extra `iceberg`.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
import pyarrow as pa
from ibis import _

from clauseway.storage.lake.columns import USAGE_SCHEMA
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.storage.lake.file_list import USAGE, LakeFile, every_file, files_of
from clauseway.storage.lake.lake import DATA_FILES, METADATA, PUBLISHED, Lake
from clauseway.storage.lake.ownership import OWNER
from clauseway.storage.lake.query_engines import duckdb_engine
from clauseway.storage.lake.stores import Store
from clauseway.storage.lake.usage_records import days_of, once
from clauseway.storage.usage.iceberg import (
    ADDED,
    DELETED,
    EXISTING,
    FORMAT_VERSION,
    SORT_ORDERS,
    SPEC,
    DataFile,
    ManifestEntry,
    ManifestFile,
    last_column_id,
    name_mapping,
    read_manifest,
    read_manifest_list,
    schema,
    write_manifest,
    write_manifest_list,
)
from clauseway.values import Interval, InvalidInput

_HINT = f"{METADATA}/version-hint.text"
_VERSION = re.compile(rf"{METADATA}/v(\d+)\.metadata\.json")
# Earlier states that readers may still ask for; files of these stay in the lake.
_SNAPSHOTS_KEPT = 5
# More manifests are merged into one, because a reader opens each of them.
_MANIFESTS_MAX = 64
# A reader that opened the former table has so long to read its metadata.
_GRACE_NS = 600 * 1_000_000_000
_MS_NS = 1_000_000
_READ_ROWS = 20_000
_MERGED = "merged-"


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """The published table: where it is, its current snapshot, and what it holds.

    `is_new` if the table changed; `added` and `removed` count its data files. `rewritten` are the
    days that are read from files of their own, because an attempt was sealed twice.
    """

    location: str
    metadata: str
    snapshot: int
    is_new: bool
    files: int
    rows: int
    added: int
    removed: int
    rewritten: int
    first_day: date | None
    last_day: date | None


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A data file that the table is to hold: its name in the lake and a hash of its content."""

    name: str
    digest: str
    file: DataFile


class _Table:
    """The table as it is published: its newest version, and its metadata if it lies here."""

    def __init__(self, store: Store, version: int, metadata: Mapping[str, Any]) -> None:
        self.store, self.version = store, version
        # A table that lay elsewhere names all its files there: it begins anew.
        is_here = metadata.get("location") == store.location
        self.metadata = dict(metadata) if is_here else _begun(store.location)
        self._manifests: dict[str, tuple[ManifestFile, ...]] = {}

    @property
    def snapshots(self) -> list[dict[str, Any]]:
        return list(self.metadata["snapshots"])

    def current(self) -> dict[str, Any] | None:
        """Return the current snapshot; None if there is none."""
        number = self.metadata.get("current-snapshot-id")
        return next((each for each in self.snapshots if each["snapshot-id"] == number), None)

    def manifests(self, snapshot: Mapping[str, Any]) -> tuple[ManifestFile, ...]:
        """Return the manifests of a snapshot with their entries."""
        listed = snapshot["manifest-list"]
        if listed not in self._manifests:
            self._manifests[listed] = tuple(
                msgspec.structs.replace(
                    manifest,
                    entries=read_manifest(
                        self.store.get(self.name_of(manifest.path)),
                        manifest.sequence,
                        manifest.snapshot,
                    ),
                )
                for manifest in read_manifest_list(self.store.get(self.name_of(listed)))
            )
        return self._manifests[listed]

    def name_of(self, path: str) -> str:
        """Return the name in the lake of a file that the table names."""
        return path.removeprefix(f"{self.store.location}/")

    def data_files(self, snapshots: Iterable[Mapping[str, Any]]) -> set[str]:
        """Return the names of the data files in the given snapshots."""
        return {
            self.name_of(entry.file.path)
            for snapshot in snapshots
            for manifest in self.manifests(snapshot)
            for entry in manifest.entries
            if entry.is_live
        }

    def own_files(self, snapshots: Iterable[Mapping[str, Any]]) -> set[str]:
        """Return the names of the manifests and manifest lists of some snapshots."""
        paths = {snapshot["manifest-list"] for snapshot in snapshots}
        paths |= {manifest.path for each in snapshots for manifest in self.manifests(each)}
        return {self.name_of(path) for path in paths}


def publish(lake: Lake, now_ns: int) -> Publication:
    """Publish the usage that readers of the lake see, each attempt once; return the table.

    Nothing is written if the table holds exactly that. Only while nobody else changes the lake.
    Raise LakeDamaged if a file is missing or was cut, InvalidInput if the table cannot be read or
    somebody else publishes at this place, OSError if the place fails.
    """
    table = _opened(lake.store)
    before = _live(table)
    wanted, rewritten = _wanted(lake, before)
    number = _snapshot_number(wanted)
    added = [each for each in wanted if each.name not in before]
    removed = before.keys() - {each.name for each in wanted}
    current = table.current()
    is_same = current is not None and current["snapshot-id"] == number
    metadata = f"{METADATA}/v{table.version}.metadata.json"
    # The same files under older columns are a new version of the table too.
    is_new = not is_same or not _is_of_today(table.metadata)
    if is_new:
        metadata = _commit(table, lake, wanted, number)
        # Opened anew: only what the new metadata does not name may be cleared.
        _clear(_opened(lake.store), now_ns)
    else:
        _point_to(lake.store, table.version)
    days = [each.file.day for each in wanted]
    return Publication(
        location=lake.store.location,
        metadata=f"{lake.store.location}/{metadata}",
        snapshot=number,
        is_new=is_new,
        files=len(wanted),
        rows=sum(each.file.rows for each in wanted),
        added=len(added),
        removed=len(removed),
        rewritten=rewritten,
        first_day=min(days, default=None),
        last_day=max(days, default=None),
    )


def _opened(store: Store) -> _Table:
    """Read the newest version of the table. Raise InvalidInput."""
    names = [stored.name for stored in store.under(METADATA)]
    version = max((int(held[1]) for name in names if (held := _VERSION.fullmatch(name))), default=0)
    if not version:
        return _Table(store, 0, {})
    name = f"{METADATA}/v{version}.metadata.json"
    try:
        metadata = json.loads(store.get(name))
        is_ours = metadata["format-version"] == FORMAT_VERSION and metadata["location"]
    except (ValueError, KeyError, TypeError):
        is_ours = False
    if not is_ours:
        raise _unreadable(store, name, "it is no metadata of a table that was published here")
    return _Table(store, version, metadata)


def _live(table: _Table) -> dict[str, DataFile]:
    """Return the data files of the current snapshot by their names in the lake."""
    current = table.current()
    if current is None:
        return {}
    try:
        manifests = table.manifests(current)
    except (OSError, ValueError, KeyError) as error:
        name = table.name_of(current["manifest-list"])
        raise _unreadable(
            table.store, name, f"it or a manifest in it cannot be read: {error}"
        ) from None
    return {
        table.name_of(entry.file.path): entry.file
        for manifest in manifests
        for entry in manifest.entries
        if entry.is_live
    }


def _wanted(lake: Lake, before: Mapping[str, DataFile]) -> tuple[list[_Wanted], int]:
    """Return the data files that hold each attempt once, and how many days were rewritten."""
    files = files_of(lake.control, USAGE)
    if faults := lake.sealed.at_sight(files):
        raise LakeDamaged(faults)
    wanted, rewritten = [], 0
    for day in days_of(files):
        of_day = [file for file in files if file.first_day < day.end and file.last_day >= day.begin]
        # A sealed file is published as it is where no attempt of the day is in another file and no
        # other day is in this one; else the day gets a file of its own.
        if all(file.apart and file.first_day == file.last_day for file in of_day):
            wanted += [_as_sealed(lake.store, file) for file in of_day]
        else:
            wanted.append(_each_once(lake, day, of_day, before))
            rewritten += 1
    return wanted, rewritten


def _as_sealed(store: Store, file: LakeFile) -> _Wanted:
    is_sorted = file.name.rpartition("/")[2].startswith(_MERGED)
    return _Wanted(
        name=file.name, digest=file.digest, file=_data_file(store, file, is_sorted=is_sorted)
    )


def _each_once(
    lake: Lake, day: Interval, files: Sequence[LakeFile], before: Mapping[str, DataFile]
) -> _Wanted:
    """Return a file with a day's attempts, each once by its best known record; write it if the
    table does not hold it."""
    together = "\n".join(sorted(file.digest for file in files))
    digest = hashlib.sha256(together.encode()).hexdigest()
    name = f"{PUBLISHED}/{USAGE}/{day.begin}/{digest[:32]}.parquet"
    if name in before:
        return _Wanted(name=name, digest=digest, file=before[name])
    written = lake.write_file(name, USAGE, day.begin, _in_order(lake, day, files), 0)
    return _Wanted(name=name, digest=digest, file=_data_file(lake.store, written, is_sorted=True))


def _in_order(lake: Lake, day: Interval, files: Sequence[LakeFile]) -> Iterator[pa.Table]:
    """Yield a day's attempts, each once, by request and attempt."""
    paths = [lake.root / file.name for file in lake.sound(files)]
    with duckdb_engine() as con:
        rows = once(con, paths, day).select(*USAGE_SCHEMA.names)
        ordered = con.compile(rows.order_by(_.request_id, _.attempt))
        for batch in con.con.sql(ordered).to_arrow_reader(_READ_ROWS):
            yield pa.Table.from_batches([batch]).cast(USAGE_SCHEMA)


def _data_file(store: Store, file: LakeFile, *, is_sorted: bool) -> DataFile:
    return DataFile(
        path=f"{store.location}/{file.name}",
        day=file.first_day,
        rows=file.rows,
        bytes=file.bytes,
        first_request=file.first_request,
        last_request=file.last_request,
        sorted=is_sorted,
    )


def _snapshot_number(wanted: Sequence[_Wanted]) -> int:
    """Return the name of a snapshot: a hash of what it holds, as the format's positive number."""
    content = json.dumps(sorted((each.name, each.digest) for each in wanted))
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") >> 1


def _commit(table: _Table, lake: Lake, wanted: Sequence[_Wanted], number: int) -> str:
    """Write the next version of the table; return the name of its metadata."""
    metadata, store = table.metadata, table.store
    newest_ns = max((file.sealed_ns for file in files_of(lake.control, USAGE)), default=0)
    # The table's time is that of its newest usage, and grows: the format asks for it.
    at_ms = max(newest_ns // _MS_NS, metadata["last-updated-ms"] + 1)
    kept = _kept(table, lake)
    snapshots = list(kept)
    # A table that was published before and is so again is the same snapshot.
    if number not in {snapshot["snapshot-id"] for snapshot in kept}:
        snapshots.append(_snapshot(table, wanted, number, at_ms))
        metadata["last-sequence-number"] += 1
    log = [*metadata["snapshot-log"], {"snapshot-id": number, "timestamp-ms": at_ms}]
    former = [*metadata["metadata-log"]]
    if metadata["last-updated-ms"]:
        name = f"{METADATA}/v{table.version}.metadata.json"
        before = {"timestamp-ms": metadata["last-updated-ms"]}
        former.append(before | {"metadata-file": f"{store.location}/{name}"})
    metadata |= _columns_of_today(metadata)
    metadata |= {
        "last-updated-ms": at_ms,
        "snapshots": snapshots,
        "current-snapshot-id": number,
        "refs": {"main": {"snapshot-id": number, "type": "branch"}},
        "snapshot-log": _since_kept(log, snapshots),
        "metadata-log": former[-_SNAPSHOTS_KEPT:],
    }
    # From now on sweeping keeps these files, and the former files until the new table is published.
    names = {each.name for each in wanted} | table.data_files(kept)
    _spare(store, names | lake.published_files())
    name = f"{METADATA}/v{table.version + 1}.metadata.json"
    content = json.dumps(metadata, indent=1).encode()
    # A put whose answer was lost is asked for again, and then finds its own file there.
    if not store.put(name, content) and store.get(name) != content:
        raise InvalidInput.of(
            what="somebody else publishes here",
            why=f"{name} was written meanwhile",
            where=store.location,
            remedy="Publish a lake from one place only, and repeat the command.",
        )
    _point_to(store, table.version + 1)
    _spare(store, names)
    return name


def _point_to(store: Store, version: int) -> None:
    """Say which version is the newest, unless that is said: whoever published it may have died."""
    named = str(version).encode()
    try:
        if store.get(_HINT) == named:
            return
    except FileNotFoundError:
        pass
    store.replace(_HINT, named)


def _kept(table: _Table, lake: Lake) -> list[dict[str, Any]]:
    """Return the latest snapshots of which every file is still there, the oldest first."""
    # A snapshot with a file that was swept cannot be read any more.
    there = {file.name for file in every_file(lake.control)}
    there |= {stored.name for stored in table.store.under(PUBLISHED)}
    whole = [snapshot for snapshot in table.snapshots if table.data_files([snapshot]) <= there]
    return whole[-(_SNAPSHOTS_KEPT - 1) :]


def _snapshot(table: _Table, wanted: Sequence[_Wanted], number: int, at_ms: int) -> dict[str, Any]:
    """Write the manifests of a new snapshot and their list; return the snapshot."""
    current, sequence = table.current(), table.metadata["last-sequence-number"] + 1
    former = table.manifests(current) if current is not None else ()
    manifests = [
        manifest
        if isinstance(manifest, ManifestFile)
        else _written(table, manifest, number, sequence)
        for manifest in _planned(table, former, wanted, number)
    ]
    parent = None if current is None else current["snapshot-id"]
    content = write_manifest_list(manifests, number, parent, sequence)
    name = f"{METADATA}/snap-{number}-{_hashed(content)}.avro"
    table.store.put(name, content)
    own = [entry for each in manifests if each.snapshot == number for entry in each.entries]
    snapshot = {
        "snapshot-id": number,
        "sequence-number": sequence,
        "timestamp-ms": at_ms,
        "manifest-list": f"{table.store.location}/{name}",
        "schema-id": _columns_of_today(table.metadata)["current-schema-id"],
        "summary": _summary(own, wanted),
    }
    return snapshot if parent is None else snapshot | {"parent-snapshot-id": parent}


def _planned(
    table: _Table, former: Sequence[ManifestFile], wanted: Sequence[_Wanted], number: int
) -> list[ManifestFile | list[ManifestEntry]]:
    """Return the manifests that stay, and the entries of those that are to be written."""
    names = {each.name for each in wanted}
    before = {
        table.name_of(entry.file.path)
        for manifest in former
        for entry in manifest.entries
        if entry.is_live
    }
    planned: list[ManifestFile | list[ManifestEntry]] = []
    for manifest in former:
        live = [entry for entry in manifest.entries if entry.is_live]
        # A manifest whose files all stay is named again; any other is written anew.
        if all(table.name_of(entry.file.path) in names for entry in live):
            planned += [manifest] if live else []
        else:
            planned.append([_carried(table, entry, names, number) for entry in live])
    fresh = [
        ManifestEntry(status=ADDED, snapshot=number, sequence=0, file=each.file)
        for each in sorted(wanted, key=lambda each: (each.file.day, each.name))
        if each.name not in before
    ]
    planned += [fresh] if fresh else []
    if len(planned) <= _MANIFESTS_MAX:
        return planned
    # Entries that are added keep their snapshot's number: the others state theirs.
    together = [
        _carried(table, entry, names, number) if isinstance(each, ManifestFile) else entry
        for each in planned
        for entry in (each.entries if isinstance(each, ManifestFile) else each)
        if entry.is_live or not isinstance(each, ManifestFile)
    ]
    return [together]


def _carried(table: _Table, entry: ManifestEntry, names: set[str], number: int) -> ManifestEntry:
    """Return a live entry of an earlier snapshot as it stands in a manifest that is written now."""
    if table.name_of(entry.file.path) in names:
        return msgspec.structs.replace(entry, status=EXISTING)
    return msgspec.structs.replace(entry, status=DELETED, snapshot=number)


def _written(
    table: _Table, entries: Sequence[ManifestEntry], number: int, sequence: int
) -> ManifestFile:
    content = write_manifest(entries, sequence)
    name = f"{METADATA}/{_hashed(content)}-m0.avro"
    table.store.put(name, content)
    return ManifestFile(
        path=f"{table.store.location}/{name}",
        bytes=len(content),
        sequence=sequence,
        snapshot=number,
        entries=tuple(entries),
    )


def _summary(own: Sequence[ManifestEntry], wanted: Sequence[_Wanted]) -> dict[str, str]:
    """Return what a snapshot changed, in the format's own words."""
    added = [entry.file for entry in own if entry.status == ADDED]
    deleted = [entry.file for entry in own if entry.status == DELETED]
    figures = {
        "added-data-files": len(added),
        "added-records": sum(file.rows for file in added),
        "added-files-size": sum(file.bytes for file in added),
        "deleted-data-files": len(deleted),
        "deleted-records": sum(file.rows for file in deleted),
        "removed-files-size": sum(file.bytes for file in deleted),
        "total-data-files": len(wanted),
        "total-records": sum(each.file.rows for each in wanted),
        "total-files-size": sum(each.file.bytes for each in wanted),
        "total-delete-files": 0,
        "total-position-deletes": 0,
        "total-equality-deletes": 0,
    }
    always = ("total-",)
    return {"operation": _operation(added, deleted)} | {
        name: str(figure) for name, figure in figures.items() if figure or name.startswith(always)
    }


def _operation(added: Sequence[DataFile], deleted: Sequence[DataFile]) -> str:
    if not deleted:
        return "append"
    # Merging moves rows to another file and changes none.
    if _rows_by_day(added) == _rows_by_day(deleted):
        return "replace"
    return "overwrite" if added else "delete"


def _rows_by_day(files: Sequence[DataFile]) -> Counter[date]:
    rows: Counter[date] = Counter()
    for file in files:
        rows[file.day] += file.rows
    return rows


def _begun(location: str) -> dict[str, Any]:
    """Return the metadata of a table without a snapshot."""
    return {
        "format-version": FORMAT_VERSION,
        # The same place has the same table's id, whoever publishes there again.
        "table-uuid": str(uuid5(NAMESPACE_URL, location)),
        "location": location,
        "last-sequence-number": 0,
        "last-updated-ms": 0,
        "last-column-id": last_column_id(),
        "schemas": [schema(0)],
        "current-schema-id": 0,
        "partition-specs": [SPEC],
        "default-spec-id": SPEC["spec-id"],
        "last-partition-id": 1000,
        "sort-orders": SORT_ORDERS,
        "default-sort-order-id": 1,
        "properties": {},
        "snapshots": [],
        "snapshot-log": [],
        "metadata-log": [],
    }


def _columns_of_today(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the metadata that says which columns there are, as they are now."""
    schemas = list(metadata["schemas"])
    number = len(schemas) - 1
    if schemas[number] != schema(number):
        number += 1
        schemas.append(schema(number))
    return {
        "schemas": schemas,
        "current-schema-id": number,
        "last-column-id": last_column_id(),
        "properties": {"schema.name-mapping.default": name_mapping()},
    }


def _is_of_today(metadata: Mapping[str, Any]) -> bool:
    return all(metadata[name] == value for name, value in _columns_of_today(metadata).items())


def _since_kept(
    log: Sequence[dict[str, Any]], snapshots: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the end of the log that names no snapshot that is gone."""
    there = {snapshot["snapshot-id"] for snapshot in snapshots}
    kept: list[dict[str, Any]] = []
    for entry in reversed(log):
        if entry["snapshot-id"] not in there:
            break
        kept.insert(0, entry)
    return kept


def _spare(store: Store, names: Iterable[str]) -> None:
    """Say which data files the table stands on, for whoever sweeps the lake."""
    store.replace(DATA_FILES, msgspec.json.encode(sorted(names)))


def _clear(table: _Table, now_ns: int) -> None:
    """Remove what no version of the table names any more, once nobody can be reading it."""
    needed = table.own_files(table.snapshots) | table.data_files(table.snapshots)
    needed |= {table.name_of(entry["metadata-file"]) for entry in table.metadata["metadata-log"]}
    needed |= {f"{METADATA}/v{table.version}.metadata.json", _HINT, DATA_FILES, OWNER}
    table.store.remove(
        stored.name
        for folder in (METADATA, PUBLISHED)
        for stored in list(table.store.under(folder))
        if stored.name not in needed and stored.changed_ns < now_ns - _GRACE_NS
    )


def _hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _unreadable(store: Store, name: str, why: str) -> InvalidInput:
    remedy = f"Put it back from a backup; or remove {METADATA} there and publish again."
    where = f"{store.location}/{name}"
    return InvalidInput.of(
        what="the published table cannot be read", why=why, where=where, remedy=remedy
    )
