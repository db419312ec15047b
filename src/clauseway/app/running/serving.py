"""Running a gateway and its pages: compile the plan, start both, keep plan and lake up to date,
stop.

A changed configuration is loaded while requests run; one that cannot be is reported,
and changes nothing.
"""

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import msgspec
from sqlalchemy.exc import DBAPIError

from clauseway.app.books.basis import (
    NamedBasis,
    basis_of,
    first_prices,
    given_prices,
    history,
    record,
)
from clauseway.app.books.compacting import compact_lake
from clauseway.app.books.lake_checks import check_part
from clauseway.app.books.leasing import lease_server
from clauseway.app.books.losses import write_conditions
from clauseway.app.books.project_usage import ProjectUsages
from clauseway.app.books.register import recorded_facts
from clauseway.app.books.sealing import register_spool, seal
from clauseway.app.books.tenants import tenancy_for_plan
from clauseway.app.opening.configuration import (
    Configuration,
    placed_path,
    read_configuration,
    settings_of,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import SERVED, alone_here
from clauseway.app.opening.prices import TODO_PRICE
from clauseway.app.opening.several import Opened, with_recorded
from clauseway.app.running.commitments import spent_by_name
from clauseway.app.running.planning import compile_plan, write_plan
from clauseway.app.running.processes import PAGES_PORT, Child, ChildFailed, moved, on_port, start
from clauseway.app.running.snippets import Sample, sample_of
from clauseway.gateway.plan import Plan
from clauseway.gateway.routing.checks import check
from clauseway.gateway.transport.listener import USUAL_PORT
from clauseway.pricing import UnknownPrice
from clauseway.storage.books.basis import Acceptance
from clauseway.storage.lake.digests import LakeDamaged
from clauseway.values import InvalidInput, KnownAt, Problem

# A key is accepted this soon after it was made; a lake lags behind the spool by this much at most.
_PLAN_EVERY_S, _SEAL_EVERY_S = 1.0, 15.0
# An hour of sealing leaves 240 small files; the last hours' are merged with the day's.
_MERGE_EVERY_S = 3600.0
_BALANCES_EVERY_S = 600.0
# Each round of merging reads one of so many parts of the lake to its end: all of it in a day.
_CHECK_PARTS = 24
_LOOPBACK = "127.0.0.1"
# What ends more often within that time is broken, and starting it again would only hide that.
_ENDS_MAX, _ENDS_WITHIN_S = 3, 60.0


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `serve`. Paths left out mean: the built-in agreement, its own facts, real time.

    `opened` comes without what is recorded in the home: that is read anew with every plan. `host`
    and `port` are the configuration's where they are None. A port that is named nowhere is the
    usual one, or the next free one above it.
    """

    home: Home
    opened: Opened
    configuration: Path
    agreements: tuple[Path, ...] = ()
    facts: Path | None = None
    host: str | None = None
    port: int | None = None
    pages_port: int | None = None
    simulated_clock: Path | None = None
    snippet_key: str = ""


class Served(msgspec.Struct):
    """The running processes and where they listen. A process that died is replaced here by the one
    that is started in its place, at the same port."""

    gateway: Child
    pages: Child
    gateway_url: str
    pages_url: str
    start_gateway: Callable[[], Child]
    start_pages: Callable[[], Child]
    # A request that its deployments may serve.
    sample: Sample
    # Usual ports that were taken, each a sentence.
    notes: tuple[str, ...] = ()
    # The price book that the home holds from now on.
    recorded: tuple[Acceptance, ...] = ()

    def dead(self) -> Child | None:
        """Return the first of them that has died, or None while both run."""
        return next((child for child in (self.gateway, self.pages) if not child.running), None)

    def start_again(self, dead: Child) -> None:
        """Start a process in the place of one that died. Raise InvalidInput, ChildFailed."""
        dead.stop()
        if dead is self.gateway:
            self.gateway = self.start_gateway()
        else:
            self.pages = self.start_pages()

    def stop(self) -> None:
        """Stop both: the pages first, because they read what the gateway tells."""
        self.pages.stop()
        self.gateway.stop()


def present_plan(options: ServeOptions, book: Path | None = None) -> Plan:
    """Return the plan as of now, with `book` over the prices that the home holds.

    Raise InvalidInput with every problem.
    """
    known_at = KnownAt(time.time_ns())
    home = options.home.make()
    opened = with_recorded(options.opened, home)
    configuration = read_configuration(options.configuration, opened.catalog)
    tenancy = tenancy_for_plan(home)
    prices = given_prices(basis_of(home), NamedBasis(prices=book), known_at)
    # A plan is compiled whole or not at all: one missing price leaves the present plan as it is.
    try:
        plan = compile_plan(
            opened,
            configuration,
            tenancy.keys,
            home.hash_key(),
            known_at=known_at,
            prices=prices,
            where=options.configuration,
            spent=spent_by_name(home, configuration, prices),
        )
    except UnknownPrice as error:
        why, todo = "what has no price is not sold", f"{TODO_PRICE} Or do not sell it there."
        where = str(options.configuration)
        raise InvalidInput(
            *(
                Problem(what=f"no price for {missing}", why=why, where=where, todo=todo)
                for missing in error.sentences
            )
        ) from None
    plan = msgspec.structs.replace(
        plan,
        policies=tenancy.policies,
        limits=tenancy.limits,
        budgets=tenancy.budgets,
        leases=str(home.lease_socket) if tenancy.budgets else "",
        usage=str(home.lease_socket),
        settings=settings_of(configuration, options.configuration),
        attempt_timeout_s=configuration.gateway.attempt_timeout_s,
        deadline_s=configuration.gateway.deadline_s,
    )
    check(plan)
    return plan


def refresh_plan(options: ServeOptions, book: Path | None = None) -> None:
    """Compile the plan as of now and hand it to the gateway.

    Raise as `present_plan` does.
    """
    write_plan(present_plan(options, book), options.home.plan)


@contextlib.contextmanager
def serving(options: ServeOptions, book: Path | None = None) -> Iterator[Served]:
    """Run the gateway and the pages until the block ends. Raise InvalidInput, ChildFailed.

    A home that holds no prices yet holds those of `book` once both run; a refusal records nothing.
    """
    clock = ["--simulated-clock", str(options.simulated_clock)] if options.simulated_clock else []
    with contextlib.ExitStack() as stack:
        home = options.home.make()
        stack.enter_context(alone_here(home, SERVED, lambda: _refuse_served(home)))
        first = first_prices(home, book)
        # The plan must be good before a process starts by it.
        refresh_plan(options, book)
        configuration = read_configuration(
            options.configuration, with_recorded(options.opened, options.home).catalog
        )
        usage = ProjectUsages(options.home)
        stack.enter_context(lease_server(options.home, {"/usage": usage.answer}))
        host = configuration.gateway.host if options.host is None else options.host
        port = configuration.gateway.port if options.port is None else options.port
        gateway = _start_gateway(options, host, port, clock)
        with contextlib.ExitStack() as starting:
            starting.callback(gateway.stop)
            served = _served(options, configuration, gateway, host, port, clock)
            starting.pop_all()
        stack.callback(served.stop)
        served.recorded = tuple(record(home, first, "first used by the gateway"))
        yield served


def _served(
    options: ServeOptions,
    configuration: Configuration,
    gateway: Child,
    host: str,
    port: int | None,
    clock: list[str],
) -> Served:
    """Start the pages beside a gateway that runs. Raise InvalidInput, ChildFailed."""
    # The children say which ports they took.
    gateway_port = gateway.ready["ports"]["gateway"]
    scheme = "https" if configuration.tls.certificate else "http"
    gateway_url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{gateway_port}/v1"
    sample = sample_of(configuration.deployment)
    pages = _start_pages(options, options.pages_port, clock, gateway_url, sample)
    pages_port = pages.ready["ports"]["pages"]
    return Served(
        gateway=gateway,
        pages=pages,
        gateway_url=gateway_url,
        pages_url=f"http://{_LOOPBACK}:{pages_port}/",
        start_gateway=lambda: _start_gateway(options, host, gateway_port, clock),
        start_pages=lambda: _start_pages(options, pages_port, clock, gateway_url, sample),
        sample=sample,
        notes=(
            *moved("the gateway", port, USUAL_PORT, gateway_port),
            *moved("the pages", options.pages_port, PAGES_PORT, pages_port),
        ),
    )


def _refuse_served(home: Home) -> NoReturn:
    """Refuse a second process, which would take plan and leases from the first one's gateway."""
    problem, why = "this home is served already", "its plan, journal and leases are one process's"
    todo = "Stop the other one, or name another home with --home."
    raise InvalidInput(Problem(what=problem, why=why, where=str(home.root), todo=todo))


def _start_gateway(options: ServeOptions, host: str, port: int | None, clock: list[str]) -> Child:
    home = options.home
    spool = home.spools / "gateway"
    register_spool(home, spool)
    arguments = [
        *("--plan", str(home.plan)),
        *("--spool", str(spool)),
        *("--host", host),
        *("--control", str(home.gateway_socket)),
        *("--conditions", str(home.conditions)),
        *on_port(port),
    ]
    child = start(
        "the gateway", "clauseway.gateway", [*arguments, *clock], home.logs / "gateway.log"
    )
    register_spool(home, spool)  # again: now it has the segment that this gateway writes
    return child


def _start_pages(
    options: ServeOptions, port: int | None, clock: list[str], gateway_url: str, sample: Sample
) -> Child:
    arguments = [
        *("--home", str(options.home.root)),
        *("--gateway-url", gateway_url),
        *("--sample-model", sample.model),
        *("--sample-cloud", sample.cloud),
    ]
    for flag, path in (
        *(("--agreement", path) for path in options.agreements),
        ("--facts", options.facts),
    ):
        arguments += [flag, str(path)] if path else []
    arguments += on_port(port)
    log = options.home.logs / "pages.log"
    return start(
        "the pages",
        "clauseway.app.running.pages",
        [*arguments, *clock],
        log,
        secret=options.snippet_key,
    )


def keep(
    options: ServeOptions,
    served: Served,
    until: threading.Event,
    again: threading.Event | None = None,
    report: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> Child | None:
    """Keep both processes running and plan and lake up to date, until told to stop (None) or until a
    process dies again and again (which one).

    `again` set: compile the plan anew although nothing seems to have changed. A change that cannot
    be loaded is passed to `report`.
    """
    sealed_s = merged_s = time.monotonic()
    tending = Upkeep(options.home, report)
    reviving = Reviving(served, report)
    seen = _inputs(options)
    while not until.wait(_PLAN_EVERY_S):
        if (dead := served.dead()) and not reviving.start_again(dead):
            return dead
        changed = _inputs(options)
        # A change that cannot be compiled is reported once, and the present plan stays.
        if changed != seen or (again is not None and again.is_set()):
            seen = changed
            if again is not None:
                again.clear()
            try:
                refresh_plan(options)
            except InvalidInput as error:
                report(f"The change was not taken over, and changes nothing:\n{error}")
        if time.monotonic() - sealed_s >= _SEAL_EVERY_S:
            merging = time.monotonic() - merged_s >= _MERGE_EVERY_S
            tending.round(merging=merging)
            sealed_s = time.monotonic()
            merged_s = sealed_s if merging else merged_s
    return None


class Reviving:
    """Starts processes again that died, unless they die again and again."""

    def __init__(self, served: Served, report: Callable[[str], None]) -> None:
        self._served, self._told = served, report
        self._ends_s: deque[float] = deque()

    def start_again(self, dead: Child) -> bool:
        """Start another process in its place; False once it makes no sense to go on."""
        now_s = time.monotonic()
        while self._ends_s and self._ends_s[0] < now_s - _ENDS_WITHIN_S:
            self._ends_s.popleft()
        self._ends_s.append(now_s)
        if len(self._ends_s) > _ENDS_MAX:
            return False
        code = dead.exit_code
        try:
            self._served.start_again(dead)
        except (InvalidInput, ChildFailed) as error:
            self._told(f"{dead.name} ended ({code}) and could not be started again: {error}")
        else:
            self._told(f"{dead.name} ended ({code}) and was started again.")
        return True


class Upkeep:
    """Upkeep of a served home, round by round. Each problem is reported once."""

    def __init__(self, home: Home, report: Callable[[str], None]) -> None:
        self._home, self._told = home, report
        self._part = 0
        self._lost: set[str] = set()

    def round(self, *, merging: bool) -> None:
        """Seal what was metered; where it is time, merge small files and read a part of the lake to
        its end.

        Where the disk or the database fails, usage stays in the spool until it can be sealed, and
        the gateway refuses requests once its own disk fails.
        """
        try:
            seal(self._home)
            if merging:
                check_part(self._home, self._part, _CHECK_PARTS)
                self._part = (self._part + 1) % _CHECK_PARTS
                compact_lake(self._home)
        except LakeDamaged:
            pass  # told below
        except (OSError, DBAPIError) as error:
            self._told(
                f"Usage could not be sealed and waits in the spool; it is tried again: {error}"
            )
            return
        lost = {str(condition.problem) for condition in write_conditions(self._home)}
        for text in sorted(lost - self._lost):
            self._told(f"Usage is damaged or lost; its months cannot be settled:\n{text}")
        self._lost = lost


def _inputs(options: ServeOptions) -> list[object]:
    """Return the state of everything that a plan is compiled from: tenants, facts, the
    configuration, the basis."""
    facts = len(recorded_facts(options.home))
    try:
        configuration = read_configuration(
            options.configuration, with_recorded(options.opened, options.home).catalog
        )
    except InvalidInput:
        configuration = Configuration()
    files = [options.configuration, *_secret_files(options, configuration)]
    # The gateway counts down the rest of commitments; now and then metered usage corrects it.
    period = time.monotonic() // _BALANCES_EVERY_S if configuration.commitment else 0
    accepted = len(history(options.home))
    return [tenancy_for_plan(options.home), facts, accepted, period, *map(_stamp, files)]


def _secret_files(options: ServeOptions, configuration: Configuration) -> list[Path]:
    """Return the files of secrets that are part of the plan, and may be replaced."""
    named = [deployment.auth.secret_file for deployment in configuration.deployment]
    return [Path(placed_path(name, options.configuration)) for name in named if name]


def _stamp(path: Path | None) -> tuple[int, int]:
    if path is None or not path.exists():
        return (0, 0)
    stat = path.stat()
    return (stat.st_mtime_ns, stat.st_ino)
