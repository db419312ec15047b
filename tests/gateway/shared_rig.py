"""State that the connections of a gateway share, made in the test's own process: real tables, journal and index."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from clauseway.gateway.plan import Plan
from clauseway.gateway.plan.clock import system_clock
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.process.journals import open_journal
from clauseway.gateway.request.shared import Shared, Worker
from selection_rig import Bench


@asynccontextmanager
async def shared_by(plan: Plan, folder: Path) -> AsyncIterator[Shared]:
    """Whatever is to be asked of the journal is asked before the end: it is closed then."""
    loop = asyncio.get_running_loop()
    bench, journal = Bench(plan), open_journal(folder, None, loop)
    shared = Shared(
        loop,
        bench.tables,
        journal.spool,
        system_clock,
        Limits(),
        journal.boot,
        bench.allowances,
        journal.resource_index,
        Worker(),
    )
    yield shared
    shared.wheel.stop()
    await journal.spool.close()
    journal.resource_index.close()
