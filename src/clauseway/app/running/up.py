"""The night of the amendment, end to end: clouds, gateway, pages, a week of real traffic, two
settled months.

The business clock is simulated and moved by the replay; signatures, timeouts and records' own times
are real.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from clauseway.app.books.basis import basis_of
from clauseway.app.books.demonstration import PERIODS
from clauseway.app.books.settled import now
from clauseway.app.books.settling import settle_month
from clauseway.app.customers.keys import create_key
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.running.processes import Child
from clauseway.app.running.replaying import replay_now
from clauseway.app.running.serving import Served, ServeOptions, Signals, keep, serving
from clauseway.app.running.simulation import RunningSandbox, sandbox_clouds, write_configuration
from clauseway.app.usage.sealing import Sealing, seal
from clauseway.ledger import Settlement
from clauseway.sandbox.traffic.clock import SimulatedClock
from clauseway.sandbox.traffic.replay import Progress, ReplayReport
from clauseway.sandbox.traffic.traffic import BEGIN_NS, OPENAI_CUSTOMER, SELLERS, PlannedRequest

# Figures that were reported and never published: the settlement of `up` accepts them by name.
ASSUMPTIONS = ("share-openai-microsoft", "share-microsoft-openai", "cap")
_RUNS = "up"
_LATEST = "latest"


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """A run of `up`: its processes, its keys by buyer, and the clock that its replay moves."""

    options: ServeOptions
    clouds: RunningSandbox
    served: Served
    keys: Mapping[str, str]
    clock: SimulatedClock

    @property
    def home(self) -> Home:
        return self.options.home

    @property
    def notes(self) -> tuple[str, ...]:
        """Usual ports that were taken, each a sentence."""
        return (*self.clouds.notes, *self.served.notes)

    @property
    def snippet_key(self) -> str:
        """Return the key that the pasted snippets use: it buys from the owner."""
        return self.keys[OPENAI_CUSTOMER]


def fresh_home(home: Home) -> Home:
    """Make a home of its own for each run, so that no run counts another's usage; `latest`
    points to it."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    fresh = Home(home.make().root / _RUNS / stamp).make()
    latest = home.root / _RUNS / _LATEST
    beside = latest.with_name(f"{_LATEST}.{stamp}")
    beside.symlink_to(stamp)
    beside.replace(latest)
    return fresh


@contextlib.contextmanager
def night(
    home: Home, opened: OpenAgreement, port: int | None, pages_port: int | None
) -> Iterator[Night]:
    """Start everything in a fresh home, until the block ends. Raise InvalidInput, ChildFailed.

    `port` is the gateway's; a port that is None is the usual one, or the next free one above it.
    """
    with contextlib.ExitStack() as stack:
        clouds = stack.enter_context(sandbox_clouds(home))
        # The configuration names the clouds' ports, which are known once they listen.
        write_configuration(clouds, home.configuration)
        keys = _keys(home, opened)
        clock = stack.enter_context(SimulatedClock.create(home.clock, BEGIN_NS))
        options = ServeOptions(
            home=home,
            opened=opened,
            configuration=home.configuration,
            simulated_clock=home.clock,
            snippet_key=keys[OPENAI_CUSTOMER],
            port=port,
            pages_port=pages_port,
        )
        served = stack.enter_context(serving(options))
        yield Night(options=options, clouds=clouds, served=served, keys=keys, clock=clock)


def _keys(home: Home, opened: OpenAgreement) -> dict[str, str]:
    """Return one key per buyer of the planned traffic."""
    return {
        buyer: create_key(
            home, opened.catalog, organisation=buyer, project="night", seller=seller, segment="any"
        ).secret
        for buyer, seller in SELLERS.items()
    }


def play(
    run: Night, planned: Sequence[PlannedRequest], on_progress: Callable[[Progress], None]
) -> ReplayReport:
    """Replay the week under the simulated clock."""
    return replay_now(run.served.gateway_url, run.keys, planned, on_progress, run.clock)


def settle_night(
    home: Home, opened: OpenAgreement, assume: Sequence[str]
) -> tuple[Sealing, list[Settlement]]:
    """Seal what was metered and settle both months.

    Raise InvalidInput where a figure is not accepted.
    """
    sealed = seal(home)
    prices = basis_of(home).prices(now())
    return sealed, [settle_month(home, opened, prices, period, assume, {}) for period in PERIODS]


def stay(run: Night, until: threading.Event) -> Child | None:
    """Keep serving until told to stop (None) or until a process dies (which one)."""
    if not run.clouds.running:
        return run.clouds.child
    return keep(run.options, run.served, Signals(stop=until))
