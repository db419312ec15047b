"""Sealing: what the spools hold goes to the lake, batch by batch, and only then does a spool let go
of it.

Spools are registered, and each round looks for those that were: what cannot be read, and a spool
that is gone, is written into the database with the days it may belong to, in the transaction that
seals what lies around it.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

import msgspec

from clauseway import spool
from clauseway.app.customers.holders import dead_leases
from clauseway.app.opening import locks
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.usage.lake_place import store_of
from clauseway.app.usage.missing_ends import missing_end
from clauseway.app.usage.returning import UnreadJournals, return_leases
from clauseway.app.usage.reused_numbers import renumber_reused
from clauseway.files.presence import is_folder
from clauseway.metering import request_ids_of
from clauseway.storage import Control
from clauseway.storage.books.losses import WHOLE, Loss, Losses, Spool, record
from clauseway.storage.books.one_copy import OneCopyPeriod, record_one_copy
from clauseway.storage.customers.leases import Lease
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.storage.lake.file_list import LakeFile, lost_files
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.lost_files import heal
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.values import day_of

# Records in one Parquet file: large enough to compress well, small enough that sealing takes little
# memory.
_BATCH_RECORDS = 100_000


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one round of sealing.

    `damages` say which parts of a spool are missing or were altered.
    """

    batches: int
    usage: int
    intents: int
    damages: tuple[str, ...]


@contextmanager
def open_lake(home: Home) -> Iterator[Lake]:
    """Open the lake of a home, with its manifest."""
    with open_control(home) as control:
        yield Lake(home.lake, control, store_of(home))


def seal(home: Home) -> Sealing:
    """Seal everything that is durable in the home's spools, and free what dead gateways held of
    budgets.

    Safe while gateways write and while others seal. Of homes that share a database, each looks
    after its own journals.
    """
    with lake_locked(home), open_lake(home) as lake:
        now_ns = time.time_ns()
        if home.may_be_shared:
            Losses(lake.control).heard(home.identity())
        # A process that is dead now has written its last record: after this round all of it is
        # sealed.
        dead = dead_leases(lake.control, home)
        heal(lake, now_ns)
        rounds = [
            _seal_spool(lake, directory, now_ns, home.identity()) for directory in home.journals()
        ]
        missing = note_missing(lake.control, home, now_ns)
        damages = [damage for done in rounds for damage in done.damages]
        damages += [f"the journal {spool_.place} ({spool_.spool}) is missing" for spool_ in missing]
        if dead:
            try:
                return_leases(lake, dead, now_ns, _unread(lake.control, dead))
            except LakeDamaged as error:
                # Nobody can tell their spending, so it stays leased until the file is put back.
                damages += [str(problem) for problem in error.problems]
    return Sealing(
        batches=sum(done.batches for done in rounds),
        usage=sum(done.usage for done in rounds),
        intents=sum(done.intents for done in rounds),
        damages=tuple(damages),
    )


def lake_locked(home: Home) -> AbstractContextManager[None]:
    """Hold the lock of the lake: two sealers would cut one spool into ranges that overlap.

    INVARIANT: whoever changes the lake opens it behind this lock. Where its files lie, and where
    the database is, may change during the wait.
    """
    return locks.locked(home, "seal")


def note_missing(control: Control, home: Home, now_ns: int) -> list[Spool]:
    """Note which of the home's registered spools are not there, and which are again; those that are
    lost by that and open.

    A spool that was closed cleanly and wholly sealed is not missed.
    """
    losses = Losses(control)
    # Read before the folders: a journal that is made in between is registered after its folder.
    every = losses.spools()
    there = {
        identity.hex()
        for directory in home.journals()
        if (identity := spool.identity_of(directory)) is not None
    }
    written_off = losses.written_off()
    missing = []
    # Found again, or newly missing; a spool at rest is not missed.
    for registered in every:
        if not registered.is_of(home.identity()):
            continue
        if registered.spool in there:
            if registered.missing_ns:
                losses.saw(msgspec.structs.replace(registered, missing_ns=0))
            if registered.spool in written_off:
                losses.found_again(registered.spool, now_ns)
        elif not registered.is_at_rest:
            if not registered.missing_ns:
                losses.saw(msgspec.structs.replace(registered, missing_ns=now_ns))
            if registered.spool not in written_off:
                missing.append(registered)
    return missing


def _unread(control: Control, dead: Sequence[Lease]) -> UnreadJournals:
    """Return the dead processes whose journals are incomplete."""
    losses = Losses(control)
    spools, every, written_off = losses.spools(), losses.all(), losses.written_off()
    gone = {spool.spool for spool in spools if spool.missing_ns and spool.spool not in written_off}
    of_boot = {boot: spool.spool for spool in spools for boot in spool.boots}
    lost, missing = set(), set()
    gone_files = lost_files(control)
    for lease in dead:
        journal = lease.spool or of_boot.get(lease.boot, "")
        # A process that never named its journal may have written the one that is gone.
        if journal in gone or (not journal and gone):
            missing.add(lease.boot)
        elif (
            journal in written_off
            or any(_may_be_of(loss, lease.boot, journal) for loss in every)
            or any(_may_hold(file, lease.boot) for file in gone_files)
        ):
            lost.add(lease.boot)
    return UnreadJournals(lost=frozenset(lost), missing=frozenset(missing))


def _may_be_of(loss: Loss, boot: str, journal: str) -> bool:
    """Return whether a start may have written what was lost of a spool that is there."""
    if loss.segment == WHOLE:
        return False
    return loss.boot == boot if loss.boot else loss.spool == journal


def _may_hold(file: LakeFile, boot: str) -> bool:
    """Return whether a file may hold requests of a start: they are named by it."""
    first, last = request_ids_of(boot)
    return file.first_request <= last and file.last_request >= first


class _Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment after a round: how much of it was sealed in this round, and what of it is lost.

    `is_done` says that all of it is sealed and that nothing more will be written to it.
    """

    number: int
    batches: int
    usage: int
    intents: int
    lost: tuple[Loss, ...]
    is_done: bool


def _seal_spool(lake: Lake, directory: Path, now_ns: int, home: str) -> Sealing:
    named = spool.identity_of(directory)
    if named is None:
        damages = _unnamed(spool.positions(directory))
        return Sealing(batches=0, usage=0, intents=0, damages=damages)
    spool.note_identity(directory, named)
    losses, identity = Losses(lake.control), named.hex()
    # Before the folder is looked at: a gateway that starts in between registers a later segment.
    registered = losses.spool(identity)
    is_copy = registered is not None and _is_copy(registered, directory, home)
    if registered is not None and not is_copy:
        registered = renumber_reused(lake.control, registered, directory)
    taken, places = spool.next_number(directory), spool.positions(directory)
    if registered is None:
        first = _first_seen(identity, directory.name, places, taken, now_ns, home)
        registered = losses.register(first)
        is_copy = _is_copy(registered, directory, home)
    # A copy tells nothing of what is gone.
    gone = [] if is_copy else _gone_segments(lake.control, registered, taken, places, now_ns)
    segments = [
        _seal_segment(lake, directory, registered, place, until_ns, is_copy=is_copy)
        for place, until_ns in zip(places, _until(places, now_ns), strict=True)
    ]
    lost = gone + [loss for segment in segments for loss in segment.lost]
    _record_new(losses, lost)
    released = _released(registered.released, segments)
    if not is_copy:
        record_one_copy(lake.control, _one_copy(directory, identity, now_ns))
        registered = msgspec.structs.replace(registered, place=directory.name, home=home)
        is_at_rest = all(segment.is_done for segment in segments)
        _remember(losses, registered, places, released, is_at_rest=is_at_rest)
    # INVARIANT: no segment goes that the database does not say to be released. The gateway may have
    # closed others since they were looked at.
    sealed_ends = {
        place.segment: lake.control.sealed_to(place.spool or identity, place.segment)
        for place in places
        if place.segment < released
    }
    spool.release(directory, sealed_ends)
    return Sealing(
        batches=sum(segment.batches for segment in segments),
        usage=sum(segment.usage for segment in segments),
        intents=sum(segment.intents for segment in segments),
        damages=tuple(dict.fromkeys(f"{loss.place}: {loss.reason}" for loss in lost)),
    )


def _first_seen(
    identity: str, name: str, places: Sequence[spool.Position], taken: int, now_ns: int, home: str
) -> Spool:
    """Return a spool that was written before it was registered here: which segments it let go of
    before the oldest is not known."""
    return Spool(
        spool=identity,
        place=name,
        registered_ns=now_ns,
        released=places[0].segment if places else taken,
        home=home,
    )


def _is_copy(registered: Spool, directory: Path, home: str) -> bool:
    """Return whether a folder is a copy of a spool, beside the spool's own folder or in another
    home. It is sealed like any other."""
    is_beside = directory.name != registered.place and is_folder(
        directory.with_name(registered.place)
    )
    return is_beside or not (registered.is_of(home) or registered.missing_ns)


def _until(places: Sequence[spool.Position], now_ns: int) -> Iterator[int]:
    """Yield when each segment was written to at the latest: until the following one was begun."""
    for following in places[1:]:
        yield following.created_ns or now_ns
    if places:
        yield now_ns


def _seal_segment(
    lake: Lake,
    directory: Path,
    registered: Spool,
    place: spool.Position,
    until_ns: int,
    *,
    is_copy: bool,
) -> _Segment:
    """Seal the frames of a segment that are not sealed yet, batch by batch."""
    batches = usage = intents = 0
    lost: list[Loss] = []
    first = lake.control.sealed_to(place.spool or registered.spool, place.segment)
    # As it was when the segment was looked at: what a gateway has written since is sealed below.
    sealed_to = first
    while first < place.end:
        read = spool.read_frames(directory, place.segment, first, _BATCH_RECORDS)
        if read.end == first:
            break
        # INVARIANT: what is sealed stays in the journal. A frame whose writer died while it was
        # being forced can be read, and would be gone after a loss of power: what it began would
        # never end. Of a disk that takes nothing any more, what can be read may be all that is left.
        if read.end > place.acknowledged:
            with suppress(OSError):
                spool.force_segment(directory, place.segment)
        losses = [_loss(place, damage, until_ns, registered) for damage in read.damages]
        # INVARIANT: damage is known to the database as soon as the records around it are sealed.
        lake.seal(_batch(read), time.time_ns(), also=partial(record, losses=losses))
        batches += 1
        usage += len(read.records)
        intents += len(read.intents)
        lost += losses
        first = read.end
    # Damage without an end lies behind the last frame that can be read.
    lost += [
        _loss(place, damage, until_ns, registered) for damage in place.damages if damage.end < 0
    ]
    # A copy may end before what was sealed of the journal.
    if not is_copy:
        lost += missing_end(place, registered, sealed_to, until_ns, time.time_ns())
    return _Segment(
        number=place.segment,
        batches=batches,
        usage=usage,
        intents=intents,
        lost=tuple(lost),
        is_done=place.closed and first >= place.end,
    )


def _released(released: int, segments: Iterable[_Segment]) -> int:
    """Return the oldest segment that is still needed; `released` was, before this round."""
    for segment in segments:
        if not segment.is_done:
            break
        if segment.number == released:
            released += 1
    return released


def _record_new(losses: Losses, lost: Iterable[Loss]) -> None:
    """Record the losses that are not recorded yet."""
    recorded = {_key(loss) for loss in losses.all()}
    losses.record([loss for loss in lost if _key(loss) not in recorded])


def _one_copy(directory: Path, identity: str, now_ns: int) -> Iterator[OneCopyPeriod]:
    """Yield when the journal in a folder was written without its follower."""
    for period in spool.alone_periods(directory):
        yield OneCopyPeriod(
            spool=identity,
            place=directory.name,
            segment=period.segment,
            first_frame=period.first,
            since_ns=period.since_ns,
            until_ns=period.until_ns,
            recorded_ns=now_ns,
        )


def _remember(
    losses: Losses,
    registered: Spool,
    places: Sequence[spool.Position],
    released: int,
    *,
    is_at_rest: bool,
) -> None:
    """Keep how the spool was seen, if it has changed."""
    boots = {f"{place.boot:016x}" for place in places if place.boot}
    # One that is only being made may never be finished, and nothing is lost with it.
    last = next((place for place in reversed(places) if not place.is_blank), None)
    seen = msgspec.structs.replace(
        registered,
        released=released,
        segment=last.segment if last is not None else registered.segment,
        frames=last.end if last is not None else registered.frames,
        boots=tuple(sorted(boots.union(registered.boots))),
        is_at_rest=is_at_rest and bool(places or registered.is_at_rest),
        missing_ns=0,
    )
    if seen != losses.spool(registered.spool):
        losses.saw(seen)


def _gone_segments(
    control: Control,
    registered: Spool,
    taken: int,
    places: Sequence[spool.Position],
    now_ns: int,
) -> list[Loss]:
    """Return a loss for each segment that was there, or must have been, and is gone without
    being wholly sealed.

    The journal's folder says that the numbers below `taken` were used. A database that was put back
    to an earlier state never heard of the last of them.
    """
    there = {place.segment: place for place in places}
    last = max([registered.segment, taken - 1, *there])
    gone = [number for number in range(registered.released, last + 1) if number not in there]
    if registered.is_at_rest:
        gone = [number for number in gone if number > registered.segment]
    lost = []
    # The usage of a lost segment was recorded between its neighbours' usage.
    for number in gone:
        following = next(
            (place for place in places if place.segment > number and place.created_ns), None
        )
        before = next(
            (place for place in reversed(places) if place.segment < number and place.created_ns),
            None,
        )
        since_ns = before.created_ns if before is not None else registered.registered_ns
        until_ns = following.created_ns if following is not None else now_ns
        lost.append(
            Loss(
                spool=registered.spool,
                segment=number,
                first_frame=control.sealed_to(registered.spool, number),
                end_frame=-1,
                reason="the segment is gone",
                first_day=day_of(min(since_ns, until_ns)),
                last_day=day_of(until_ns),
                lost_ns=now_ns,
            )
        )
    return lost


def _unnamed(places: Iterable[spool.Position]) -> tuple[str, ...]:
    """Return the problem of a folder of which not even the spool's name can be read."""
    return tuple(str(damage) for place in places for damage in place.damages)


def _loss(place: spool.Position, damage: spool.Damage, until_ns: int, registered: Spool) -> Loss:
    """Return damage with the days it may belong to: between the known records before and after
    it."""
    since_ns = damage.since_ns or place.created_ns or registered.registered_ns
    end_ns = damage.until_ns or until_ns
    return Loss(
        spool=registered.spool,
        segment=place.segment,
        first_frame=damage.first,
        end_frame=damage.end,
        reason=damage.reason,
        first_day=day_of(min(since_ns, end_ns)),
        last_day=day_of(max(since_ns, end_ns)),
        lost_ns=time.time_ns(),
        boot=f"{damage.boot:016x}" if damage.boot else "",
    )


def _key(loss: Loss) -> tuple[str, int, int, str]:
    return loss.spool, loss.segment, loss.first_frame, loss.reason


def _batch(read: spool.FrameBatch) -> UsageBatch:
    return UsageBatch(
        spool=read.spool,
        segment=read.segment,
        first_frame=read.first,
        end_frame=read.end,
        usage=read.records,
        intents=read.intents,
        intent_frames=read.intent_frames,
        buyers=read.buyers,
        deployments=read.deployments,
        rulings=read.rulings,
    )
