"""The processes that hold leases of budgets, and which of them are no more.

A start of a gateway is known by its `boot` and by the journal that it writes. Its process number
says nothing: in a container the next process mostly has the same number, and another container does
not see it.
"""

from collections.abc import Iterable, Sequence

from clauseway import spool as journals
from clauseway.app.opening.home import Home
from clauseway.files.folders import list_folder
from clauseway.storage import Control
from clauseway.storage.books.losses import Losses, Spool
from clauseway.storage.customers.leases import NOBODY, Lease, Leases

_UNKNOWN = 0  # the start of a writer whose segments do not say it


def dead_leases(control: Control, home: Home) -> list[Lease]:
    """Return the open leases of processes that are no more."""
    return of_the_dead(control, home, Leases(control).open())


def of_the_dead(control: Control, home: Home, leases: Sequence[Lease]) -> list[Lease]:
    """Return those of the leases whose processes are no more.

    A journal has one writer at a time. A start that wrote a journal of this home is dead unless it
    writes that journal now: every other start of it came before, or has ended. Processes of another
    home are dead once their journal was written off; and where that home was silent for long, once
    their journal is at rest: each ended in order, and whoever would free its leases may be gone.
    Of a journal that is neither registered nor here nothing is known, so its leases stay.

    INVARIANT: the leases were read before. Who holds one has a journal open by then, so a journal
    without a writer has no holder that lives.
    """
    if not leases:
        return []
    losses, identity = Losses(control), home.identity()
    spools = {spool.spool: spool for spool in losses.spools()}
    of_boot = {boot: spool for spool in spools.values() for boot in spool.boots}
    given_up = losses.written_off() | _at_rest_elsewhere(losses, spools.values(), identity)
    writers = _writing_starts(home)
    dead = []
    for lease in leases:
        spool = spools.get(lease.spool) or of_boot.get(lease.boot)
        journal = lease.spool if spool is None else spool.spool
        if lease.pid == NOBODY or (spool is None and journal not in writers):
            continue
        if spool is None or spool.is_of(identity):
            is_gone = writers.get(journal) not in (int(lease.boot, 16), _UNKNOWN)
        else:
            is_gone = journal in given_up
        if is_gone:
            dead.append(lease)
    return dead


def _writing_starts(home: Home) -> dict[str, int | None]:
    """Return the start that writes each journal in the home now, None where nobody writes it."""
    starts: dict[str, int | None] = {}
    for directory in list_folder(home.spools):
        identity = journals.identity_of(directory)
        if identity is not None:
            start = journals.writing_start(directory)
            # Of a journal and its copies in other folders, one is written.
            starts[identity.hex()] = start if start is not None else starts.get(identity.hex())
    return starts


def _at_rest_elsewhere(losses: Losses, spools: Iterable[Spool], home: str) -> set[str]:
    """Return the spools at rest of other homes that were silent for long."""
    elsewhere = [spool for spool in spools if spool.is_at_rest and not spool.is_of(home)]
    silent = {other for other in {spool.home for spool in elsewhere} if losses.is_silent(other)}
    return {spool.spool for spool in elsewhere if spool.home in silent}
