"""The journal of a process that starts, and the end of what a dead process left open in it.

A journal may hold hundreds of thousands of requests that nobody has sealed yet. So a gateway serves
first and reads them behind its requests: nothing that it answers depends on them. Until then a dead
process's reservations stay leased, and its claims stay claimed.

`python -m clauseway.gateway.process.journals JOURNAL INDEX` does only that, for a journal that no
process is to write any more.
"""

import asyncio
import secrets
import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

from clauseway.gateway.plan.steps import whole
from clauseway.gateway.request.resource_index import INDEX_FILE, Announcing, ResourceIndex
from clauseway.metering import RequestId, Status
from clauseway.spool import OpenAttempt, SpoolWriter, pack_usage_fields, reading_unended

_UINT63 = 63

SpoolFactory = Callable[..., SpoolWriter]


class OpenedJournal(NamedTuple):
    """A journal that is written, the start that writes it, and the resource index beside it.

    `ending` reads what dead processes left in it and ends that, in steps; to be gone through once.
    """

    boot: int
    spool: SpoolWriter
    resource_index: ResourceIndex
    ending: Generator[None, None, None]


class _Recorded:
    """Waits for a journal."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.over: asyncio.Future[bool] = loop.create_future()

    def write_ended(self, error: OSError | None) -> None:
        if not self.over.done():
            self.over.set_result(error is None)


async def recorded(spool: SpoolWriter) -> bool:
    """Wait until all that was appended so far is durable; return False where it cannot be
    written."""
    waiter = _Recorded(asyncio.get_running_loop())
    spool.notify_when_durable(waiter)
    return await waiter.over


def open_journal(
    directory: Path,
    index: Path | None,
    loop: AbstractEventLoop,
    spool_factory: SpoolFactory = SpoolWriter,
    announcing: Announcing | None = None,
) -> OpenedJournal:
    """Open a journal to write in it. `index` is the file of the resource index, by default one
    beside the journal. `announcing` gets what is added to the index copied to where other homes
    find it. Raises OSError."""
    boot = secrets.randbits(_UINT63)
    spool = spool_factory(directory, loop, boot=boot)
    resource_index = ResourceIndex(
        index or directory / INDEX_FILE, loop, spool.identity, announcing
    )
    # Taken before anybody is served: later claims are this process's own.
    claims = resource_index.claims()
    ending = _end_unended(directory, spool, resource_index, claims)
    return OpenedJournal(boot, spool, resource_index, ending)


def _end_unended(
    directory: Path, spool: SpoolWriter, resource_index: ResourceIndex, claims: dict[str, str]
) -> Generator[None, None, None]:
    """Record the attempts that dead processes left open as lost, and decide their claims.

    INVARIANT: segments of this process are not read, so that none of its own attempts is ended.
    Raises OSError.
    """
    first_own, _ = spool.position
    asked = {request: RequestId.parse(request) for request in claims.values()}
    unended = yield from reading_unended(directory, first_own, asked.values())
    write_lost(spool, unended.attempts)
    recorded = {request for request, name in asked.items() if name in unended.recorded}
    resource_index.resolve(claims, recorded)


async def end_journal(directory: Path, index: Path) -> None:
    """End what is open in a journal that no process writes any more. Raises OSError."""
    _, spool, resource_index, ending = open_journal(directory, index, asyncio.get_running_loop())
    whole(ending)
    resource_index.flush()
    await spool.close()
    resource_index.close()
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
            # Only the process that died could have measured these.
            duration_us=0,
            first_content_us=0,
            charge_picodollars=0,
            units=(),
            upstream_id=b"",
        )
        spool.append(record, buyer, deployment, ruling)


def main(arguments: list[str]) -> int:
    """End the journal at one path, whose identifiers are in the index at another. Raises OSError."""
    journal, index = map(Path, arguments)
    asyncio.run(end_journal(journal, index))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
