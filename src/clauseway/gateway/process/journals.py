"""The journal of a process that starts: what a dead process left open in it is ended first.

`python -m clauseway.gateway.process.journals JOURNAL INDEX` does that alone, for a journal that no
process is to write any more.
"""

import asyncio
import secrets
import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clauseway.gateway.request.issued import ISSUED_FILE, IssuedIndex
from clauseway.gateway.request.pending import recorded_requests
from clauseway.metering import Status
from clauseway.spool import OpenAttempt, SpoolWriter, open_attempts, pack_usage_fields

_UINT63 = 63

SpoolFactory = Callable[..., SpoolWriter]


class OpenedJournal(NamedTuple):
    """A journal that is written, the start that writes it, and the identifiers beside it."""

    boot: int
    spool: SpoolWriter
    issued: IssuedIndex


def open_journal(
    directory: Path,
    index: Path | None,
    loop: AbstractEventLoop,
    spool_factory: SpoolFactory = SpoolWriter,
) -> OpenedJournal:
    """Open a journal to write in it: attempts that a dead process left open are lost from here on,
    and its claims are decided. `index` is the file of identifiers, by default one beside it. Raises
    OSError."""
    boot = secrets.randbits(_UINT63)
    left_open = open_attempts(directory) if directory.exists() else []
    spool = spool_factory(directory, loop, boot=boot)
    write_lost(spool, left_open)
    issued = IssuedIndex(index or directory / ISSUED_FILE, loop, spool.identity)
    if issued.claims():
        issued.resolve(recorded_requests(directory))
    issued.end_lost_holds()
    return OpenedJournal(boot, spool, issued)


async def end_journal(directory: Path, index: Path) -> None:
    """End what is open in a journal that no process writes any more. Raises OSError."""
    _, spool, issued = open_journal(directory, index, asyncio.get_running_loop())
    issued.flush()
    await spool.close()
    issued.close()
    if spool.failure is not None:
        raise spool.failure


def write_lost(spool: SpoolWriter, attempts: list[OpenAttempt]) -> None:
    """Record the end of attempts that a dead process left open: LOST, with no units, under the
    labels they began with."""
    for attempt in attempts:
        intent = attempt.intent
        buyer, deployment, ruling = [
            spool.label(label) for label in (attempt.buyer, attempt.deployment, attempt.ruling)
        ]
        record = pack_usage_fields(
            boot=intent.request.boot,
            number=intent.request.number,
            attempt=intent.attempt,
            event_ns=intent.event_ns,
            recorded_ns=time.time_ns(),
            buyer=buyer,
            deployment=deployment,
            ruling=ruling,
            endpoint=intent.endpoint,
            status=Status.LOST,
            http_status=0,
            streamed=False,
            duration_us=0,
            first_content_us=0,
            charge_picodollars=0,
            units=(),
            upstream_id=b"",
        )
        spool.append(record, buyer, deployment, ruling)


if __name__ == "__main__":
    asyncio.run(end_journal(Path(sys.argv[1]), Path(sys.argv[2])))
