"""Sealing: what the spools hold goes to the lake, batch by batch, and only then does a spool let go of it."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from clauseway import spool
from clauseway.app.home import Home
from clauseway.app.leasing import dead_leases, return_leases
from clauseway.storage import Control
from clauseway.storage.batches import Batch
from clauseway.storage.lake import Lake

# Records in one Parquet file: large enough to compress well, small enough that sealing takes little memory.
_BATCH_RECORDS = 100_000


class Sealing(msgspec.Struct, frozen=True, kw_only=True):
    """What one round of sealing did. `damages` are bytes of a spool that are not what was written."""

    batches: int
    usage: int
    intents: int
    damages: tuple[str, ...]


@contextmanager
def open_lake(home: Home) -> Iterator[Lake]:
    """The lake of a home, with its manifest."""
    control = Control.open(home.make().control)
    try:
        yield Lake(home.lake, control)
    finally:
        control.close()


def seal(home: Home) -> Sealing:
    """Seal everything that is durable in the home's spools, and free what dead gateways held of budgets.

    Safe while gateways write and while others seal.
    """
    with open_lake(home) as lake, alone(home):
        # Who is dead now has written its last: after this round all of it is sealed.
        dead = dead_leases(lake.control)
        rounds = [_seal_spool(lake, directory) for directory in _spools(home)]
        if dead:
            return_leases(lake, dead, time.time_ns(), all_is_read=not any(done.damages for done in rounds))
    return Sealing(
        batches=sum(done.batches for done in rounds),
        usage=sum(done.usage for done in rounds),
        intents=sum(done.intents for done in rounds),
        damages=tuple(damage for done in rounds for damage in done.damages),
    )


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """One at a time changes the lake: two sealers would cut one spool into ranges that overlap."""
    with (home.root / "seal.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _spools(home: Home) -> list[Path]:
    return sorted(path for path in home.spools.glob("*") if path.is_dir())


def _seal_spool(lake: Lake, directory: Path) -> Sealing:
    batches = usage = intents = 0
    damages: list[str] = []
    for position in spool.positions(directory):
        first = lake.control.sealed_to(position.spool, position.segment)
        while first < position.end:
            read = spool.read_batch(directory, position.segment, first, _BATCH_RECORDS)
            if read.end == first:
                break
            lake.seal(_batch(read), time.time_ns())
            batches, usage, intents = batches + 1, usage + len(read.records), intents + len(read.intents)
            damages += [str(damage) for damage in read.damages]
            first = read.end
        spool.release(directory, position.segment, first)
    return Sealing(batches=batches, usage=usage, intents=intents, damages=tuple(damages))


def _batch(read: spool.Batch) -> Batch:
    return Batch(
        spool=read.spool,
        segment=read.segment,
        first_frame=read.first,
        end_frame=read.end,
        usage=read.records,
        intents=read.intents,
        buyers=read.buyers,
        deployments=read.deployments,
        rulings=read.rulings,
    )
