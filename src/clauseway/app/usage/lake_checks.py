"""Checking the lake: every byte against its digest, at once or part by part, and what the last
checks found."""

import time
from collections.abc import Callable, Sequence, Set

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.usage.damages import note, noted_faults
from clauseway.app.usage.lake_place import some_at_once
from clauseway.app.usage.sealing import lake_locked, open_lake
from clauseway.storage.books.losses import Loss, Losses
from clauseway.storage.control.audit_check import check_counts
from clauseway.storage.lake.digests import LakeDamaged, LakeFault
from clauseway.storage.lake.file_list import LakeFile, every_file, seen_files
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.lost_files import heal
from clauseway.storage.lake.unlisted_files import files_with_missing_usage, usage_files_of
from clauseway.values import Interval, InvalidInput, Problem, counted, day_of

# Files that are read between two words on how far a check has come.
_AT_ONCE = 20
# Clocks of machines that share a lake differ by less.
_SKEW_NS = 300 * 1_000_000_000
# The lists of a lake: its batches, its files, and the days that were dropped.
_LISTS = ("manifest", "lake_files", "dropped_days")


class LakeCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The lake held against its digests: the number of files and bytes read, and the problems of
    which.

    `retired` files were merged into others and are not yet deleted. `unlisted` ones nobody reads;
    those `unknown` among them may hold usage that the database lacks, and stay.
    `lost` ones were accepted as lost and are not back; `healed` ones are, and are read again.
    `edits` say where the lists of files and batches have other rows than the log of the books.
    """

    files: int
    retired: int
    bytes: int
    faults: tuple[LakeFault, ...]
    unlisted: tuple[str, ...]
    lost: tuple[Loss, ...] = ()
    healed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    edits: tuple[Problem, ...] = ()


def check_lake(
    home: Home, on_files: Callable[[int, int], object] = lambda _done, _all: None
) -> LakeCheck:
    """Read every byte of every file and hold it against its digest; tell `on_files` how many were
    read, of how many."""
    with lake_locked(home), open_lake(home) as lake:
        healed = heal(lake, time.time_ns())
    with open_lake(home) as lake:
        every = every_file(lake.control)
        files = [file for file in every if not file.lost_ns]
        faults = list[LakeFault]()
        for some in some_at_once(files, _AT_ONCE, on_files):
            faults += lake.sealed.examine(some)
        if faults:
            # Merging meanwhile deletes what it had retired: that is no fault.
            still = {file.name for file in every_file(lake.control)}
            faults = [fault for fault in faults if fault.name in still]
        note_faults(home, files, faults)
        lost = tuple(loss for loss in Losses(lake.control).all() if loss.file and not loss.found_ns)
        unlisted, unknown = _unlisted(home, lake)
        edits = check_counts(lake.control, _LISTS)
    retired = sum(file.is_retired for file in files)
    return LakeCheck(
        files=len(files) - retired,
        retired=retired,
        bytes=sum(file.bytes for file in files),
        faults=tuple(faults),
        unlisted=unlisted,
        lost=lost,
        healed=tuple(file.name for file in healed),
        unknown=unknown,
        edits=edits,
    )


def _unlisted(home: Home, lake: Lake) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files of a lake that its manifest does not name, and which of them may hold usage
    that the database lacks."""
    if not _beside_manifest(lake, _data_files(lake)):
        return (), ()
    # Sealing writes a file before its line of the manifest, merging deletes it after: while neither
    # runs, a second look finds those alone that stay.
    with lake_locked(home):
        there = _data_files(lake)
        unlisted = _beside_manifest(lake, there)
        return unlisted, tuple(sorted(files_with_missing_usage(lake.control, lake.sealed, there)))


def unknown_files(home: Home) -> tuple[str, ...]:
    """Return the files of a lake that may hold usage which the database lacks."""
    with open_lake(home) as lake:
        return _unlisted(home, lake)[1]


def refuse_unknown(home: Home, lake: Lake, days: Interval) -> None:
    """Raise InvalidInput where files of some of the days may hold usage which the database
    lacks."""
    unknown = usage_files_of(_unlisted(home, lake)[1], days)
    if unknown:
        raise InvalidInput(unknown_problem(unknown))


def unknown_problem(names: Sequence[str]) -> Problem:
    """Return the problem of files that may hold usage which the database lacks."""
    return Problem(
        what="the lake holds usage that the database does not know",
        why=f"{len(names):,} of its files are on no list, as where a process was killed while it "
        "sealed or imported, or the database was put back to an earlier state; no statement has what "
        "is in them",
        where=names[-1],
        remedy="A home that is served and still has the journal seals it again within a minute; "
        "`clauseway lake check` names what stays, and what to do.",
    )


def usage_ahead(home: Home) -> Problem | None:
    """Return a problem where usage is dated after today. It was plausible when it was metered, by a
    clock that was ahead."""
    with open_control(home) as control:
        sealed = control.first_and_last_day()
    if sealed is None or sealed[1] <= day_of(time.time_ns() + _SKEW_NS):
        return None
    return Problem(
        what=f"usage is dated up to {sealed[1]}, ahead of this machine's clock",
        why="a clock was ahead while requests were served; they are settled in the months of that clock",
        where=str(home.root),
        remedy="If this machine's clock is behind, set it. Else `clauseway usage show --by hour --from DAY` "
        "shows that usage from tomorrow on, and with --key and --by request each request: credit it there "
        "(clauseway books credit, --dated that day), and import it on its true day (clauseway usage import).",
    )


def _data_files(lake: Lake) -> set[str]:
    return {stored.name for stored in lake.stored() if stored.name.endswith(".parquet")}


def _beside_manifest(lake: Lake, there: Set[str]) -> tuple[str, ...]:
    return tuple(sorted(there - {file.name for file in every_file(lake.control)}))


def listed_lake(home: Home) -> str:
    """Look whether each file of a lake on object storage is there, at its size, and say so; return
    nothing for a lake in its folder, which is looked at otherwise.

    Raise StoreFailed, LakeDamaged.
    """
    with open_lake(home) as lake:
        if not lake.store.is_remote:
            return ""
        files = seen_files(lake.control)
        if faults := lake.sealed.at_sight(files):
            raise LakeDamaged(faults)
        return f"{lake.store.location}: {counted(len(files), 'file')}, each there and at its size"


def check_part(home: Home, part: int, parts: int) -> None:
    """Hold one of so many parts of the lake against its digests, and note the faults."""
    with open_lake(home) as lake:
        read = [file for file in every_file(lake.control) if not file.lost_ns]
        files = [file for number, file in enumerate(read) if number % parts == part]
        note_faults(home, files, lake.sealed.examine(files))


def note_faults(home: Home, files: Sequence[LakeFile], faults: Sequence[LakeFault]) -> None:
    """Note which of these files, read to their end, are missing or changed; the others are sound."""
    before = noted_faults(home)
    read = {file.name for file in files}
    now = {name: fault for name, fault in before.items() if name not in read}
    now |= {fault.name: fault.what for fault in faults}
    if now != before:
        note(home, home.lake_faults, msgspec.json.encode(now, order="sorted"))
