"""State that all connections of one gateway process share: tables, journal, clock, timers,
counters."""

from asyncio import AbstractEventLoop
from pathlib import Path
from time import monotonic_ns
from typing import Protocol
from zlib import crc32

import msgspec

from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.plan.clock import BusinessClock
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.request.busy_polling import BusyPolling
from clauseway.gateway.request.counters import Counts
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.request.holds import Holds
from clauseway.gateway.request.in_flight import InFlight
from clauseway.gateway.request.latest_requests import LatestRequests
from clauseway.gateway.request.resource_index import ResourceIndex
from clauseway.gateway.request.shared_index import SharedIndex
from clauseway.gateway.routing.health import RetryBudget
from clauseway.gateway.routing.routing_tables import RoutingTables
from clauseway.gateway.transport.timers import Wheel
from clauseway.gateway.wire.errors import INTERNAL, OWN_FAULT
from clauseway.spool import SpoolWriter


class Worker(msgspec.Struct, frozen=True):
    """A process among those that serve together at one port: its number, from 0, and how many
    there are."""

    number: int = 0
    count: int = 1

    def attends(self, identifier: str) -> bool:
        """Return whether this worker, of all workers, watches over an identifier."""
        return crc32(identifier.encode()) % self.count == self.number


class Connection(Protocol):
    """A client's connection, as far as the process needs it."""

    def stop_when_idle(self, reason: str) -> None:
        """Close after the present answer, or now if there is none. A client that can hear it is
        told the reason."""

    def abort(self) -> None:
        """Close at once, even in the middle of an answer."""


class Unattended(Protocol):
    """A request for whose answer nobody waits."""

    def cancel(self) -> None:
        """Meter the work until now and end the request."""


class Watcher(Protocol):
    """A watcher is notified of every request that is over."""

    def finished(
        self, number: int, explanation: RequestExplanation, duration_us: int, forwarded: bytes
    ) -> None:
        """Hear of a request that is over. `forwarded` are the client's header lines that were
        sent on to clouds, `traceparent` among them."""


class Shared:
    """One per process. `turn_to` replaces `tables` whole when the plan changes. `draining` is true
    once no more connections are taken.

    `boot` names this start: with a request's number it is the request's identity.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        tables: RoutingTables,
        spool: SpoolWriter,
        clock: BusinessClock,
        limits: Limits,
        boot: int,
        allowances: Allowances,
        resource_index: ResourceIndex,
        worker: Worker,
    ) -> None:
        self.loop = loop
        self.spool = spool
        self.clock = clock
        self.limits = limits
        self.boot = boot
        self.worker = worker
        # Our control socket, where other workers have theirs beside it.
        self.siblings: Path | None = None
        self.allowances = allowances
        self.resource_index = resource_index
        # The resources of all homes that share a database; None if no other home can.
        self.shared_index: SharedIndex | None = None
        self.busy_polling = BusyPolling(loop, spool, limits.busy_polling_us)
        self.holds = Holds(loop, allowances, resource_index)
        self.explanations = LatestRequests()
        self.retries = RetryBudget(limits.retries)
        self.wheel = Wheel(loop)
        self.counts = Counts()
        self.in_flight = InFlight(self.counts)
        self.watchers: tuple[Watcher, ...] = ()
        self.connections: set[Connection] = set()
        # Requests for whose answer nobody waits.
        self.unattended: set[Unattended] = set()
        # Load balancers are told to send requests elsewhere; all are still answered.
        self.stop_announced = False
        self.draining = False
        # How long the home has not reached its database, and whether that is too long to go on.
        self.database_away_s = 0.0
        self.is_cut_off = False
        # How often the authority of clients' certificates was replaced.
        self.authorities_replaced = 0
        self._number = 0
        self.turn_to(tables)

    def turn_to(self, tables: RoutingTables) -> None:
        """Serve by other tables from now on, and name their plan in answers."""
        self.tables = tables
        # The header line of answers that need no cloud: such requests get no name.
        self.plan_line = b"x-clauseway-plan: %b\r\n" % tables.digest.encode()
        self._request_prefix = b"%bx-clauseway-request-id: req_%016x" % (self.plan_line, self.boot)

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def identity_lines(self, number: int) -> bytes:
        """Return the header lines that name the plan and the request."""
        # In Python 3.11 `%016x` takes twice as long.
        return b"%b%b\r\n" % (self._request_prefix, number.to_bytes(8, "big").hex().encode())

    def report_fault(self, error: BaseException) -> None:
        """Count an exception of our own and write it to the log of whoever runs the process."""
        self.counts.refusals[INTERNAL.code] += 1
        self.loop.call_exception_handler({"message": OWN_FAULT, "exception": error})

    def finished(
        self, number: int, explanation: RequestExplanation, begin_ns: int, forwarded: bytes
    ) -> None:
        """Keep, count and report a request that is over. It began at `begin_ns` (of
        `time.monotonic_ns`)."""
        duration_us = (monotonic_ns() - begin_ns) // 1000
        self.explanations.keep(number, explanation)
        self.counts.finished(explanation, duration_us)
        for watcher in self.watchers:
            watcher.finished(number, explanation, duration_us, forwarded)


def lines_of_own_answer(identity_lines: bytes) -> bytes:
    """Return the header lines that name the plan and the request, in an answer that no cloud gave:
    OpenAI's clients take the id that their errors show from `x-request-id`."""
    return b"%bx-request-id: %b" % (identity_lines, identity_lines.rpartition(b": ")[2])
