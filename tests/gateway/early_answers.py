"""The gateway with its one promise broken: whoever waits for a record is told "durable" at once.

Started by the durability tests in place of the real one, to show that they would notice. Nothing in the product can be
made to do this. Started with -E, from the sources: from a writer that is compiled nobody can inherit.
"""

import sys

import uvloop

from clauseway.gateway.__main__ import parse_options
from clauseway.gateway.process.server import Server
from clauseway.spool import SpoolWriter, Waiter


class Nobody:
    """Takes the place in line of a waiter who was told already."""

    def write_ended(self, error: OSError | None) -> None:
        pass


class EarlyWriter(SpoolWriter):
    """Commits for one of many: else the next answer's commit would bring this one's record too."""

    _commits = False

    def notify_when_durable(self, waiter: Waiter, *, is_last_step: bool = False) -> None:
        waiter.write_ended(None)
        if not self._commits:
            self._commits = True
            self._loop.call_later(0.05, self._commit_for_all)

    def _commit_for_all(self) -> None:
        self._commits = False
        super().notify_when_durable(Nobody())


async def main() -> None:
    await Server(parse_options(sys.argv[1:]), EarlyWriter).run()


uvloop.run(main())
