"""Running a gateway and its pages: compile the plan, start both, keep plan and lake up to date, stop."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from clauseway.app.configuration import read_configuration
from clauseway.app.home import Home
from clauseway.app.keys import active_keys
from clauseway.app.leasing import lease_server
from clauseway.app.planning import compile_plan, write_plan
from clauseway.app.prices import open_prices
from clauseway.app.processes import Child, free_port, start
from clauseway.app.register import recorded_facts
from clauseway.app.sealing import seal
from clauseway.app.several import Opened, with_recorded
from clauseway.values import KnownAt

GATEWAY_PORT, PAGES_PORT = 8400, 8401
# A key is accepted this soon after it was made; a lake lags behind the spool by this much at most.
_PLAN_EVERY_S, _SEAL_EVERY_S = 1.0, 15.0
_LOOPBACK = "127.0.0.1"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve. Paths left out mean: the built-in agreement, its own facts, the shipped price book, real time.

    `opened` comes without what is recorded in the home: that is read anew with every plan.
    """

    home: Home
    opened: Opened
    configuration: Path
    agreements: tuple[Path, ...] = ()
    facts: Path | None = None
    prices: Path | None = None
    host: str = _LOOPBACK
    port: int = GATEWAY_PORT
    pages_port: int = PAGES_PORT
    simulated_clock: Path | None = None
    snippet_key: str = ""


class Served(msgspec.Struct, frozen=True):
    """The running processes and where they listen."""

    gateway: Child
    pages: Child
    gateway_url: str
    pages_url: str

    def running(self) -> Child | None:
        """The first of them that has died, or None while both run."""
        return next((child for child in (self.gateway, self.pages) if not child.running), None)


def refresh_plan(options: Options) -> None:
    """Compile the plan from what is true now and hand it to the gateway."""
    known_at = KnownAt(time.time_ns())
    home = options.home.make()
    plan = compile_plan(
        with_recorded(options.opened, home),
        read_configuration(options.configuration, options.opened.catalog),
        active_keys(home),
        home.hash_key(),
        known_at=known_at,
        prices=open_prices(known_at, options.prices),
        where=options.configuration,
    )
    write_plan(plan, home.plan)


@contextlib.contextmanager
def serving(options: Options) -> Iterator[Served]:
    """The gateway and the pages, until the block ends. Raises InvalidInput, ChildFailed."""
    refresh_plan(options)
    clock = ["--simulated-clock", str(options.simulated_clock)] if options.simulated_clock else []
    with contextlib.ExitStack() as stack:
        stack.enter_context(lease_server(options.home))
        gateway = _start_gateway(options, clock)
        stack.callback(gateway.stop)
        gateway_url = f"http://{options.host}:{gateway.ready['ports']['gateway']}/v1"
        pages = _start_pages(options, clock, gateway_url)
        stack.callback(pages.stop)
        yield Served(gateway, pages, gateway_url, f"http://{_LOOPBACK}:{pages.ready['ports']['pages']}/")


def _start_gateway(options: Options, clock: list[str]) -> Child:
    home = options.home
    spool = home.spools / "gateway"
    spool.mkdir(parents=True, exist_ok=True)
    arguments = [
        *("--plan", str(home.plan)),
        *("--spool", str(spool)),
        *("--host", options.host),
        *("--port", str(free_port(options.port, options.host))),
        *("--control", str(home.gateway_socket)),
    ]
    return start("the gateway", "clauseway.gateway", [*arguments, *clock], home.logs / "gateway.log")


def _start_pages(options: Options, clock: list[str], gateway_url: str) -> Child:
    arguments = [
        *("--home", str(options.home.root)),
        *("--port", str(free_port(options.pages_port))),
        *("--gateway-url", gateway_url),
        *("--key", options.snippet_key),
    ]
    for flag, path in (*(("--agreement", path) for path in options.agreements), ("--facts", options.facts)):
        arguments += [flag, str(path)] if path else []
    return start("the pages", "clauseway.app.pages", [*arguments, *clock], options.home.logs / "pages.log")


def keep(options: Options, served: Served, until: threading.Event) -> Child | None:
    """Keep plan and lake up to date until told to stop (None) or until a process dies (which one)."""
    sealed_s = time.monotonic()
    seen = _inputs(options)
    while not until.wait(_PLAN_EVERY_S):
        if dead := served.running():
            return dead
        changed = _inputs(options)
        if changed != seen:
            refresh_plan(options)
            seen = changed
        if time.monotonic() - sealed_s >= _SEAL_EVERY_S:
            seal(options.home)
            sealed_s = time.monotonic()
    return None


def _inputs(options: Options) -> list[object]:
    """What a plan is compiled from and may change while it runs: keys, facts, the configuration, the book."""
    facts = len(recorded_facts(options.home))
    return [active_keys(options.home), facts, _stamp(options.configuration), _stamp(options.prices)]


def _stamp(path: Path | None) -> tuple[int, int]:
    if path is None or not path.exists():
        return (0, 0)
    found = path.stat()
    return (found.st_mtime_ns, found.st_ino)
