"""What all connections of one gateway process share: tables, journal, clock, timers, counts."""

from asyncio import AbstractEventLoop
from collections import Counter
from typing import Protocol

from clauseway.gateway.accounts import Accounts
from clauseway.gateway.clock import BusinessClock
from clauseway.gateway.explanations import Explanations
from clauseway.gateway.health import RetryBudget
from clauseway.gateway.holds import Holds
from clauseway.gateway.issued import IssuedIndex
from clauseway.gateway.limits import Limits
from clauseway.gateway.routes import Tables
from clauseway.gateway.timers import Wheel
from clauseway.spool import SpoolWriter


class Connection(Protocol):
    """A client's connection, as far as the process needs it."""

    def stop_when_idle(self) -> None:
        """Close after the present answer, or now if there is none."""

    def abort(self) -> None:
        """Close at once, whatever is open."""


class Unattended(Protocol):
    """An exchange for whose answer nobody waits."""

    def call_off(self) -> None:
        """Meter what came until now and let the rest go."""


class Counts:
    """Live counts since the start, by cloud. `begun` are requests that reached a cloud's door.

    `tokens` are input and output together, as the clouds reported them.
    """

    def __init__(self) -> None:
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.begun = 0


class Shared:
    """One per process. `tables` is replaced whole when the plan is; `draining` once a stop was asked for.

    `boot` names this start: with a request's number it is the request's identity.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        tables: Tables,
        spool: SpoolWriter,
        clock: BusinessClock,
        limits: Limits,
        boot: int,
        accounts: Accounts,
        issued: IssuedIndex,
    ) -> None:
        self.loop = loop
        self.tables = tables
        self.spool = spool
        self.clock = clock
        self.limits = limits
        self.boot = boot
        self.accounts = accounts
        self.issued = issued
        self.holds = Holds()
        self.explanations = Explanations()
        self.retries = RetryBudget()
        self.wheel = Wheel(loop)
        self.counts = Counts()
        self.connections: set[Connection] = set()
        # Exchanges whose client has left and whose answer is read to its end all the same.
        self.drained: set[Unattended] = set()
        self.draining = False
        self._number = 0
        self._request_prefix = b"x-clauseway-request-id: req_%016x" % boot

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def request_line(self, number: int) -> bytes:
        """The header line that names a request."""
        return b"%b%016x\r\n" % (self._request_prefix, number)
