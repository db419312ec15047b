"""Recovering: a follower's copy takes the place of a journal whose disk is gone.

The recovered journal keeps its name and is never written again: whoever seals which copy of it, a
range of it is sealed once. Attempts that were open when it ended are ended in a journal of their
own. The fence in the follower's folder comes first, so that no gateway adds to what is recovered.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import msgspec
import pyarrow as pa

from clauseway import spool
from clauseway.app.opening.home import Home
from clauseway.app.usage.damages import blocking_damages
from clauseway.app.usage.losses import end_row, given_up
from clauseway.app.usage.missing_ends import lost_from
from clauseway.app.usage.sealing import lake_locked, open_lake, seal
from clauseway.app.usage.usage_journals import register_spool
from clauseway.files import force_folder, make_folder, write_whole
from clauseway.files.presence import is_folder, is_there
from clauseway.gateway.process.journals import write_lost
from clauseway.metering import Status
from clauseway.spool import SpoolBusy, SpoolWriter
from clauseway.spool.copies import (
    ALONE,
    JournalCopy,
    fenced_by,
    journal_copies,
    write_fence,
)
from clauseway.spool.segments import IDENTITY_NAME, list_segments, lock
from clauseway.spool.writer import close_copy
from clauseway.storage import Control
from clauseway.storage.books.losses import GONE_ON_ALONE, RECOVERED, RESTORED, Losses, Spool
from clauseway.storage.control.actor import acting
from clauseway.storage.lake.columns import INTENT_SCHEMA, USAGE_SCHEMA
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.sealed_batches import Range
from clauseway.storage.usage.unended import AttemptKey, begun_from, ended_of
from clauseway.values import InvalidInput, by_beginning, checked_reason

_BOOT_ENDING = 1  # of the journal of ends; it serves no request of its own
_NAME_LENGTH = 8
# In a recovered journal: its open attempts were ended.
_ENDED = "ended"


class CopyFound(msgspec.Struct, frozen=True, kw_only=True):
    """A copy in a follower's folder."""

    spool: str
    place: str
    frames: int
    size: int
    when_away: str
    is_connected: bool
    is_closed: bool
    recovered_by: str


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """A recovered journal: its `frames`, the `usage` records that were sealed by that, the attempts
    that were `ended` as lost, and problems that are `open` in the home."""

    spool: str
    place: str
    frames: int
    usage: int
    ended: int
    open: tuple[str, ...]


def copies_in(folder: Path) -> list[CopyFound]:
    """Return the copies in a follower's folder. Raise InvalidInput where there is no such folder."""
    return [
        CopyFound(
            spool=copy.spool,
            place=copy.state.place,
            frames=copy.frames,
            size=copy.size,
            when_away=copy.state.when_away,
            is_connected=copy.is_connected,
            is_closed=copy.state.is_closed,
            recovered_by=copy.recovered_by,
        )
        for copy in _listed(folder)
    ]


def _listed(folder: Path) -> list[JournalCopy]:
    if not is_folder(folder):
        remedy = "Name the folder of `clauseway journal follow` with --dir."
        raise InvalidInput.of(
            what="there are no copies",
            why="there is no such folder",
            where=str(folder),
            remedy=remedy,
        )
    return journal_copies(folder)


def recover(home: Home, folder: Path, name: str, why: str) -> Recovered:
    """Take a copy for its journal and seal it; again the same changes nothing. Raise InvalidInput.

    Refused while the journal's gateway is connected, while the journal itself is in this home, and
    while the home that holds it was heard a short time ago.
    """
    reason = checked_reason(
        why, "the copy keeps the reason for which the journal is taken for lost"
    )
    copy = _named(folder, name)
    place = f"{RECOVERED}{copy.spool[:_NAME_LENGTH]}"
    ends = home.spools / f"{place}-ends"
    target = home.spools / place
    try:
        held = lock(copy.directory)
    except SpoolBusy:
        remedy = "Stop the gateway, or wait until it is gone: a lost machine is for ten seconds."
        problem = "the journal is not lost: its gateway writes it at this moment"
        raise InvalidInput.of(
            what=problem, why="its follower hears it", where=f"journal {copy.spool}", remedy=remedy
        ) from None
    try:
        with lake_locked(home), open_lake(home) as lake:
            _check(lake.control, home, copy)
            # INVARIANT: before anything is read, so that nothing is acknowledged after it.
            if not fenced_by(copy.directory):
                by = f"{acting()} for home {home.identity()}: {reason}"
                write_fence(copy.directory, by)
            if not is_there(target):
                _take(copy, target)
            _register(lake.control, home, copy, place)
            ended = _end_beyond(lake, copy)
    finally:
        os.close(held)
    with open_lake(home) as lake:
        ended += end_open_attempts(home, target, ends, partial(ended_of, lake))
    sealed = seal(home)
    return Recovered(
        spool=copy.spool,
        place=place,
        frames=copy.frames,
        usage=sealed.usage,
        ended=ended,
        open=tuple(str(damage.problem) for damage in blocking_damages(home)),
    )


def _named(folder: Path, name: str) -> JournalCopy:
    return by_beginning(
        name.lower(),
        ((copy.spool, copy) for copy in _listed(folder)),
        "copy",
        missing="the follower has none of that name",
        where="JOURNAL",
        remedy="See clauseway journal copies.",
    )


def _check(control: Control, home: Home, copy: JournalCopy) -> None:
    """Refuse to recover what is not lost. Raise InvalidInput."""
    where = f"journal {copy.spool}"
    by, ours = fenced_by(copy.directory), f"for home {home.identity()}:"
    if by and ours not in by:
        remedy = "Nothing is to be done: what that home sealed is in the lake."
        raise InvalidInput.of(
            what="it was recovered already", why=f"by {by}", where=where, remedy=remedy
        )
    losses = Losses(control)
    registered = losses.spool(copy.spool)
    if registered is None:
        return
    if not registered.is_of(home.identity()):
        given_up(losses, registered)
        return
    there = home.spools / registered.place
    is_same = is_folder(there) and spool.identity_of(there) == bytes.fromhex(copy.spool)
    # Segments that a backup brought back are a beginning: the copy may go on where that ends.
    if is_same and not registered.place.startswith((RECOVERED, RESTORED)):
        remedy = "Nothing is to be done: it is sealed from there."
        raise InvalidInput.of(
            what="the journal is not lost", why=f"it is there: {there}", where=where, remedy=remedy
        )


def _take(copy: JournalCopy, target: Path) -> None:
    """Copy the segments into the home, whole or not at all, and close the last one."""
    part = target.with_name(f".{target.name}.part")
    # An attempt that was broken off is begun again.
    shutil.rmtree(part, ignore_errors=True)
    make_folder(part)
    for segment in list_segments(copy.directory):
        shutil.copyfile(segment.path, part / segment.path.name)
    shutil.copyfile(copy.directory / IDENTITY_NAME, part / IDENTITY_NAME)
    segments = list_segments(part)
    if segments:
        close_copy(segments[-1])
    # The rename makes the journal appear, so each byte is on the disk before.
    for path in part.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    force_folder(part)
    part.rename(target)
    force_folder(target.parent)


def _register(control: Control, home: Home, copy: JournalCopy, place: str) -> None:
    """Enter the journal as this home's, and what it may lack as a loss."""
    losses, now_ns = Losses(control), time.time_ns()
    identity = home.identity()
    fresh = Spool(spool=copy.spool, place=place, registered_ns=now_ns, home=identity)
    places = spool.positions(home.spools / place)
    # Segments before the first of the copy were sealed and released: none of them is missed.
    if losses.spool(copy.spool) is None and places:
        fresh = msgspec.structs.replace(fresh, released=places[0].segment)
    registered = losses.register(fresh)
    if places and registered.segment > places[-1].segment and not registered.frames:
        # The next segment, made ahead of time: nothing was ever written there.
        registered = msgspec.structs.replace(
            registered, segment=places[-1].segment, frames=places[-1].end
        )
    losses.saw(msgspec.structs.replace(registered, missing_ns=0))
    # Only a gateway that may go on alone, and closed nothing, can have written past its copy.
    if copy.state.when_away != ALONE or copy.state.is_closed or not places:
        return
    last = places[-1]
    already = {(loss.spool, loss.reason) for loss in losses.all()}
    if (copy.spool, GONE_ON_ALONE) not in already:
        losses.record([lost_from(last.end, last, registered, GONE_ON_ALONE, now_ns, now_ns)])


def _end_beyond(lake: Lake, copy: JournalCopy) -> int:
    """End the attempts that began beyond the end of the copy and were sealed from the lost disk,
    and of whose end nobody knows; return how many.

    A gateway writes an attempt's begin here while its follower is away.
    """
    of = Range(spool=f"{copy.spool}-beyond", segment=0, first_frame=0, end_frame=1)
    registered = Losses(lake.control).spool(copy.spool)
    places = spool.positions(copy.directory)
    segment, frame = (places[-1].segment, places[-1].end) if places else (0, 0)
    is_behind = lake.control.is_sealed_beyond(copy.spool, segment, frame)
    if registered is None or not is_behind or lake.is_sealed(of):
        return 0
    begun = begun_from(lake, registered.boots, segment, frame)
    left_open = begun.keys() - ended_of(lake, begun.keys())
    if not left_open:
        return 0
    now_ns = time.time_ns()
    rows = [end_row(begun[key], now_ns, Status.LOST) for key in sorted(left_open)]
    usage = pa.Table.from_pylist(rows, schema=USAGE_SCHEMA)
    lake.seal_tables(of, usage, INTENT_SCHEMA.empty_table(), now_ns)
    return len(rows)


def end_open_attempts(
    home: Home,
    recovered: Path,
    ends: Path,
    sealed_ends: Callable[[Collection[AttemptKey]], Collection[AttemptKey]] = lambda _: (),
) -> int:
    """End the attempts that were open in a journal that nobody writes any more, once, in a journal
    of their own; return how many.

    `sealed_ends` returns those of the attempts whose end was sealed from elsewhere.
    """
    done = recovered / _ENDED
    if is_there(done):
        return 0  # and perhaps sealed and released since
    left_open = {
        (str(attempt.intent.request), attempt.intent.attempt): attempt
        for attempt in spool.open_attempts(recovered)
    }
    over = set(sealed_ends(left_open))
    if is_there(ends):
        over |= {
            (str(record.request), record.attempt)
            for place in spool.positions(ends)
            for record in spool.read_frames(ends, place.segment, 0, 1 << 62).records
        }
    unended = [attempt for key, attempt in left_open.items() if key not in over]
    if unended:
        _write_ends(home, ends, unended)
    write_whole(done, b"")
    return len(unended)


def _write_ends(home: Home, ends: Path, left_open: list[spool.OpenAttempt]) -> None:
    register_spool(home, ends)

    async def write() -> None:
        writer = SpoolWriter(ends, asyncio.get_running_loop(), boot=_BOOT_ENDING)
        write_lost(writer, left_open)
        await writer.close()
        if writer.failure is not None:
            raise writer.failure

    asyncio.run(write())
