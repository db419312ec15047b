"""The processes that hold leases of budgets, and which of them are no more."""

import os
from collections.abc import Iterable, Sequence

from clauseway.storage import Control
from clauseway.storage.books.losses import RECOVERED, Losses, Spool
from clauseway.storage.customers.leases import NOBODY, Lease, Leases


def dead_leases(control: Control, home: str) -> list[Lease]:
    """Return the open leases of processes that are no more."""
    return of_the_dead(control, home, Leases(control).open())


def of_the_dead(control: Control, home: str, leases: Sequence[Lease]) -> list[Lease]:
    """Return those of the leases whose processes are no more.

    A number says only of this home's processes whether they live; one that has such a number again
    delays that. Processes of another home are dead once their journal was written off; and where
    that home was silent for long, once their journal is at rest: each ended in order, and whoever
    would free its leases may be gone.
    """
    if not leases:
        return []
    losses = Losses(control)
    spools = {spool.spool: spool for spool in losses.spools()}
    of_boot = {boot: spool for spool in spools.values() for boot in spool.boots}
    given_up = losses.written_off() | _at_rest_elsewhere(losses, spools.values(), home)
    dead = []
    for lease in leases:
        spool = spools.get(lease.spool) or of_boot.get(lease.boot)
        is_here = spool is None or spool.is_of(home)
        is_gone = (
            not _lives(lease.pid) if is_here else spool is not None and spool.spool in given_up
        )
        if spool is not None and is_here and spool.place.startswith(RECOVERED):
            is_gone = True  # its process was another machine's, whatever has its number here
        if lease.pid != NOBODY and is_gone:
            dead.append(lease)
    return dead


def _at_rest_elsewhere(losses: Losses, spools: Iterable[Spool], home: str) -> set[str]:
    """Return the spools at rest of other homes that were silent for long."""
    elsewhere = [spool for spool in spools if spool.is_at_rest and not spool.is_of(home)]
    silent = {other for other in {spool.home for spool in elsewhere} if losses.is_silent(other)}
    return {spool.spool for spool in elsewhere if spool.home in silent}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
