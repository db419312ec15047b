"""Damage and losses of a home that block something, as the database and a look at the files tell.

Nothing here reads usage, so that a page that shows them loads no engine.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.files import write_whole
from clauseway.files.presence import is_there
from clauseway.gateway.process.home_damage import KINDS, read_damages
from clauseway.storage import Control
from clauseway.storage.books.losses import GONE_ON_ALONE, Loss, Losses, Spool
from clauseway.storage.lake.digests import CHANGED, LakeFault, as_fault, faults_at_sight
from clauseway.storage.lake.file_list import LakeFile, seen_files
from clauseway.values import Interval, Problem, counted, day_after, refuse_any


class BlockingDamage(msgspec.Struct, frozen=True, kw_only=True):
    """Damage or loss in a home that blocks something: `kind` is frames, spool or lake."""

    kind: str
    problem: Problem
    days: Interval


def blocking_damages(home: Home, *, missing_files: bool = True) -> list[BlockingDamage]:
    """Return every loss that nobody accepted, every missing spool, and every file of the lake that
    is missing or of another size."""
    if not home.is_begun:
        return []
    with open_control(home) as control:
        losses = Losses(control)
        damages = [
            BlockingDamage(kind="frames", problem=loss_problem(loss), days=loss.interval)
            for loss in losses.all()
            if not loss.is_accepted
        ]
        damages += [
            BlockingDamage(kind="spool", problem=missing_problem(spool), days=losses.days_of(spool))
            for spool in missing_spools(losses)
        ]
        faults = _lake_faults(home, seen_files(control)) if missing_files else []
        return damages + [
            BlockingDamage(
                kind="lake",
                problem=fault.problem,
                days=Interval(fault.first_day, day_after(fault.last_day)),
            )
            for fault in faults
        ]


def _lake_faults(home: Home, files: Sequence[LakeFile]) -> list[LakeFault]:
    """Return the faults that a look at the lake finds, and those that its last checks noted."""
    noted = noted_faults(home)
    if is_there(home.lake_place):
        # Object storage is not listed at each look: reading it in parts finds the same.
        return [as_fault(file, noted[file.name]) for file in files if file.name in noted]
    # A look finds missing files and other sizes; a full check found other bytes.
    faults = faults_at_sight(home.lake, files)
    at_sight = {fault.name for fault in faults}
    changed = {name for name, fault in noted.items() if fault == CHANGED} - at_sight
    return [*faults, *(as_fault(file, CHANGED) for file in files if file.name in changed)]


def write_damages(home: Home) -> list[BlockingDamage]:
    """Return the blocking damages of a home, and write their counts for the gateway's figures."""
    damages = blocking_damages(home)
    counts = {kind: sum(damage.kind == kind for damage in damages) for kind in KINDS}
    if read_damages(home.damages) != counts:
        note(home, home.damages, msgspec.json.encode(counts))
    return damages


def note(home: Home, path: Path, content: bytes) -> None:
    """Write what a look at a home found into the home, unless the home is gone since: an empty
    folder in its place, as of a mount that went, stays empty."""
    if home.is_begun:
        write_whole(path, content, durable=False)


def missing_spools(losses: Losses) -> list[Spool]:
    """Return the registered journals that are not there, were not at rest, and that nobody wrote
    off."""
    written_off = losses.written_off()
    return [
        spool for spool in losses.spools() if spool.missing_ns and spool.spool not in written_off
    ]


def loss_problem(loss: Loss) -> Problem:
    """Return an open loss, with what to do."""
    copied = (
        "No copy goes further:"
        if loss.reason == GONE_ON_ALONE
        else "Restore the segment from a copy if there is one; else"
    )
    remedy = (
        f"{copied} import what the cloud's bill says (clauseway usage import), and accept the "
        f"loss: clauseway spool accept {loss.number} --why …"
    )
    return Problem(
        what=f"usage of {loss.days} may be lost", why=loss.reason, where=loss.place, remedy=remedy
    )


def missing_problem(spool: Spool) -> Problem:
    """Return a missing journal, with what to do."""
    reach = (
        f"last seen with {counted(spool.frames, 'frame')} in segment {spool.segment}"
        if spool.segment >= 0
        else "never seen"
    )
    why = f"it was registered before its first use and is not in the home any more ({reach})"
    remedy = (
        f"Put the folder back into the home's spool folder. With a follower's copy: clauseway "
        f"journal recover {spool.spool[:8]} --dir COPIES --why …; without one: clauseway spool "
        f"write-off {spool.spool} --why …"
    )
    return Problem(
        what="a usage journal is missing",
        why=why,
        where=f"spool {spool.spool} ({spool.place})",
        remedy=remedy,
    )


def refuse_losses(control: Control, days: Interval) -> None:
    """Raise InvalidInput where usage of some of the days may be lost and nobody accepted an
    estimate for it."""
    losses = Losses(control)
    problems = [
        loss_problem(loss) for loss in losses.all() if not loss.is_accepted and loss.touches(days)
    ]
    for missing in missing_spools(losses):
        if not losses.days_of(missing).intersect(days).is_empty:
            problems.append(missing_problem(missing))
    refuse_any(problems)


def noted_faults(home: Home) -> dict[str, str]:
    """Return the files that were missing or changed when they were last read to their end: by name,
    which of the two."""
    try:
        noted = msgspec.json.decode(home.lake_faults.read_bytes(), type=dict[str, str] | list[str])
    except (OSError, msgspec.DecodeError):
        return {}
    # Programs before this one noted the names alone.
    return noted if isinstance(noted, dict) else dict.fromkeys(noted, CHANGED)
