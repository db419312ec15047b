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
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Any, NamedTuple, NoReturn

import msgspec
from sqlalchemy.exc import DBAPIError

from clauseway.app.books.basis import (
    NamedBasis,
    basis_of,
    first_prices,
    given_prices,
    record_first_use,
)
from clauseway.app.customers.keys import known_hash_key
from clauseway.app.customers.leasing import lease_server
from clauseway.app.customers.shared_identifiers import shared_identifiers
from clauseway.app.customers.tenants import Tenancy, tenancy_for_plan
from clauseway.app.drafting.drafts import PRICES_FILE
from clauseway.app.opening.configuration import (
    LISTEN_AT,
    NOT_LISTENED_AT,
    Configuration,
    is_listened_at,
    read_configuration,
    settings_of,
)
from clauseway.app.opening.home import Home
from clauseway.app.opening.locks import GONE_AFTER_S, SERVED, IdentityLock, locked_here
from clauseway.app.opening.named_agreements import agreements_in
from clauseway.app.opening.prices import TODO_PRICE
from clauseway.app.opening.restored import refuse_beside_another
from clauseway.app.opening.several import (
    Opened,
    agreements_with,
    files_of_agreements,
    with_recorded,
)
from clauseway.app.running.gateways import Gateways
from clauseway.app.running.plan_inputs import InputsState, PlanInputs, state_of
from clauseway.app.running.planning import compile_plan, write_plan
from clauseway.app.running.processes import (
    PAGES_PORT,
    Child,
    ChildFailed,
    Meanwhile,
    moved,
    nothing,
    on_port,
    start,
)
from clauseway.app.running.project_usage import ProjectUsages
from clauseway.app.running.revocations import Revocations, begin_revocations
from clauseway.app.running.snippets import Sample, sample_of
from clauseway.files import remove_unfinished, write_whole
from clauseway.files.presence import is_there
from clauseway.gateway.plan import Plan
from clauseway.gateway.routing.plan_checks import check
from clauseway.gateway.transport.listener import USUAL_PORT
from clauseway.metering import Unit
from clauseway.pricing import PriceTable, UnknownPrice
from clauseway.storage.books.basis import Acceptance
from clauseway.storage.control.audit import Head
from clauseway.storage.control.engines import said_by
from clauseway.values import InvalidInput, KnownAt, Problem
from clauseway.wording.names import listed

# These load the engine, for which no start waits.
_UPKEEP = "clauseway.app.running.upkeep"
_COMMITMENTS = "clauseway.app.running.commitments"
_SEALING = "clauseway.app.usage.sealing"
# How soon a dead process or a changed file is seen, and taken up what the thread that looks at the
# database has seen: nothing of it asks the database.
_ROUND_EVERY_S = 0.1
# A lake lags behind the spool by this much at most.
_SEAL_EVERY_S = 15.0
# An hour of sealing leaves 240 small files; the last hours' are merged with the day's.
_MERGE_EVERY_S = 3600.0
_LOOPBACK = "127.0.0.1"
# A process that ends more often within that time is broken: starting it again would hide that.
_ENDS_MAX, _ENDS_WITHIN_S = 3, 60.0
# The gateway serves on without the pages, which are tried once in so long from then on.
_PAGES_AGAIN_AFTER_S = 30.0
# Where the machine starts no process, it is tried again so much later: each try takes up to a second of a core.
_AGAIN_AFTER_S = 3.0


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of `serve`. Paths left out mean: the built-in agreement, its own facts, real time.

    `opened` comes without what is recorded in the home: that is read anew with every plan, and so
    are the files of `agreements` and `facts`, where any are named. `host` and `port` are the
    configuration's where they are None. A port that is named nowhere is the usual one, or the next
    free one above it. `workers` processes of the gateway share it.
    """

    home: Home
    opened: Opened
    configuration: Path
    agreements: tuple[Path, ...] = ()
    facts: Path | None = None
    host: str | None = None
    port: int | None = None
    workers: int = 1
    pages_port: int | None = None
    simulated_clock: Path | None = None
    snippet_key: str = ""
    # Without, secrets that stand elsewhere may be missing here: for who checks and does not serve.
    secrets: bool = True


class Served(msgspec.Struct):
    """The running processes of a home and where they listen. Pages that died are replaced here by
    those that are started in their place, at the same port; None where they could not be started yet."""

    home: Home
    gateways: Gateways
    pages: Child | None
    gateway_url: str
    pages_url: str
    start_pages: Callable[[Meanwhile], Child]
    # A request that its deployments may serve.
    sample: Sample
    # The configuration by which all of this was started.
    configuration: Configuration
    # Usual ports that were taken, each a sentence.
    notes: tuple[str, ...] = ()
    # The price book that the home holds from now on.
    recorded: tuple[Acceptance, ...] = ()
    # The state of everything that the first plan was compiled from.
    inputs: InputsState | None = None
    # The end of the log of the books before that.
    seen_to: Head | None = None
    # The lock of the home's identity, which no other machine may hold.
    identity: IdentityLock | None = None

    def start_pages_again(self, meanwhile: Meanwhile) -> None:
        """Start the pages in the place of those that died, calling `meanwhile` until they are ready.
        Raise InvalidInput, ChildFailed."""
        if self.pages is not None:
            self.pages.stop()
        self.pages = self.start_pages(meanwhile)
        self.pages_url = _pages_url(self.pages.ready["ports"]["pages"])
        self.home.pages_away.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop all: the pages first, because they read what the gateway tells."""
        if self.pages is not None:
            self.pages.stop()
        with contextlib.suppress(OSError):  # the home may be gone
            self.home.pages_away.unlink(missing_ok=True)
        self.gateways.stop()


class _Sources(NamedTuple):
    """The sources of a plan, as read at an instant."""

    known_at: KnownAt
    opened: Opened
    configuration: Configuration


def _read_sources(options: ServeOptions) -> _Sources:
    """Read the recorded facts and the configuration. Raise InvalidInput with every problem."""
    known_at = KnownAt(time.time_ns())
    opened = with_recorded(_text_of(options), options.home)
    configuration = read_configuration(
        options.configuration, opened.catalog, secrets=options.secrets
    )
    return _Sources(known_at, opened, configuration)


def _text_of(options: ServeOptions) -> Opened:
    """Return the agreements as their files are now: an amendment may have been added. Raise
    InvalidInput."""
    if not options.agreements and options.facts is None:
        return options.opened
    return agreements_with(options.agreements, options.facts)


def present_plan(options: ServeOptions) -> Plan:
    """Return the plan as of now. Raise InvalidInput with every problem."""
    return _plan_from(_read_sources(options), options)


def _without_price(error: UnknownPrice, configuration: Path) -> Iterator[Problem]:
    """Yield a problem for all that lacks the prices of the same units: one book mends it."""
    units: dict[tuple[str, str], set[Unit]] = {}
    for sale, unit, _ in error.missing:
        place = f"{sale.cloud} in {sale.region}" if sale.region else sale.cloud
        units.setdefault((f"{sale.product} on {place}", sale.seller), set()).add(unit)
    together: dict[tuple[Unit, ...], dict[str, None]] = {}
    for (offered, _), lacking in units.items():
        together.setdefault(tuple(sorted(lacking)), {})[offered] = None
    for missing, offers in together.items():
        names = listed([unit.column for unit in missing])
        yield Problem(
            what=f"no price for {names} of {listed(list(offers))}",
            why="what has no price is not sold",
            where=str(configuration),
            remedy=f"{_accept_prices(configuration)} Or do not sell it there.",
        )


def _accept_prices(configuration: Path) -> str:
    """Return what to do about missing prices: an import may have left a book that is not accepted."""
    book = configuration.parent / PRICES_FILE
    if not is_there(book):
        return TODO_PRICE
    accept = f"clauseway basis prices {quote(str(book))} --why …"
    return f"Add the price to {book} if it lacks it, and accept that: {accept}"


def _plan_from(sources: _Sources, options: ServeOptions, book: Path | None = None) -> Plan:
    """Return the plan of these sources, with `book` over the prices that the home holds.

    Raise InvalidInput with every problem.
    """
    known_at, opened, configuration = sources
    home = options.home
    tenancy = tenancy_for_plan(home)
    prices = given_prices(basis_of(home), NamedBasis(prices=book), known_at)
    # A plan is compiled whole or not at all: one missing price leaves the present plan as it is.
    try:
        plan = compile_plan(
            opened,
            configuration,
            tenancy.keys,
            known_hash_key(home),
            known_at=known_at,
            prices=prices,
            where=options.configuration,
            spent=_spent_by_name(home, configuration, prices),
            secrets=options.secrets,
        )
    except UnknownPrice as error:
        raise InvalidInput(*_without_price(error, options.configuration)) from None
    plan = msgspec.structs.replace(
        plan,
        policies=tenancy.policies,
        limits=tenancy.limits,
        budgets=tenancy.budgets,
        leases=str(home.lease_socket) if _are_leased(options, tenancy) else "",
        usage=str(home.lease_socket),
        settings=settings_of(configuration, options.configuration),
        attempt_timeout_s=configuration.gateway.attempt_timeout_s,
        answer_timeout_s=configuration.gateway.answer_timeout_s,
        deadline_s=configuration.gateway.deadline_s,
    )
    # A plan that the gateway would refuse must not take the place of the present one.
    check(plan)
    return plan


def _spent_by_name(home: Home, configuration: Configuration, prices: PriceTable) -> dict[str, int]:
    """Return the amount ever spent toward each commitment, in picodollars."""
    if not configuration.commitment:
        return {}
    spent: dict[str, int] = import_module(_COMMITMENTS).spent_by_name(home, configuration, prices)
    return spent


def _are_leased(options: ServeOptions, tenancy: Tenancy) -> bool:
    """Return whether gateways have to ask for something: for slices of budgets, and, where there
    may be several, for shares of limits."""
    are_several = options.workers > 1 or options.home.may_be_shared
    return bool(tenancy.budgets or (tenancy.limits and are_several))


@contextlib.contextmanager
def serving(options: ServeOptions, book: Path | None = None) -> Iterator[Served]:
    """Run the gateway and the pages until the block ends. Raise InvalidInput, ChildFailed.

    A home that holds no prices yet holds those of `book` once both run; a refusal records nothing.
    """
    if options.host is not None and not is_listened_at(options.host):
        raise InvalidInput.of(
            what=f"{options.host!a} cannot be listened at",
            why=NOT_LISTENED_AT,
            where="--host",
            remedy=LISTEN_AT,
        )
    clock = ("--simulated-clock", str(options.simulated_clock)) if options.simulated_clock else ()
    with contextlib.ExitStack() as stack:
        begun = _begun(options)
        if not options.home.is_begun:
            # Serving that is refused makes no home.
            _plan_from(_read_sources(options), options, book)
        home = options.home.make()
        refuse_beside_another(home)
        stack.enter_context(locked_here(home, SERVED, lambda: _refuse_served(home)))
        remove_unfinished(home.root, time.time())
        identity = stack.enter_context(contextlib.closing(IdentityLock(home)))
        identity.require(
            lambda: to_standard_error(
                "Another machine serves a home of this identity (home.id): "
                f"waiting for {GONE_AFTER_S} seconds, in which the lock of one that is gone ends."
            )
        )
        first_prices(home, book)  # another book than the home holds is refused before all else
        # Looked at before the plan is compiled: what changes meanwhile is seen afterwards.
        seen_to = begin_revocations(home)
        # Both are made at first use, and never for a home that is served.
        home.identity()
        known_hash_key(home)
        home = home.served()  # from here on its control data is there
        options = msgspec.structs.replace(options, home=home)
        inputs = _inputs_of(options)
        # The plan must be good before a process starts by it.
        sources = _read_sources(options)
        configuration = sources.configuration
        plan = _plan_from(sources, options, book)
        write_plan(plan, home.plan)
        usage = ProjectUsages(options.home)
        answers = {
            "/usage": usage.answer,
            **stack.enter_context(shared_identifiers(home)),
        }
        stack.enter_context(lease_server(home, answers))
        host = configuration.gateway.host if options.host is None else options.host
        port = configuration.gateway.port if options.port is None else options.port
        gateways = Gateways(home, options.workers, clock)
        with contextlib.ExitStack() as starting:
            starting.enter_context(_home_is_there(home))
            starting.callback(gateways.stop)
            taken = gateways.listen(host, port, plan.settings)
            gateways.start()
            served = _served(options, configuration, gateways, host, taken, clock)
            served.notes = (
                *begun,
                *moved("the gateway listens", port, USUAL_PORT, taken),
                *served.notes,
            )
            starting.pop_all()
        stack.callback(served.stop)
        served.inputs, served.seen_to, served.identity = inputs, seen_to, identity
        # Asked again: somebody may have accepted a book while the processes started.
        served.recorded = tuple(
            record_first_use(home, lambda: first_prices(home, book), "first used by the gateway")
        )
        yield served


def _begun(options: ServeOptions) -> tuple[str, ...]:
    """Return a sentence where a new home begins that its configuration is not a part of: the disk
    of an older one may have gone from that place."""
    root = options.home.root.resolve()
    if options.home.is_begun or options.configuration.resolve().is_relative_to(root):
        return ()
    return (
        f"A new home begins at {root}: without keys, usage and books. If it should be an older one, "
        "stop, and look whether its disk is mounted.",
    )


@contextlib.contextmanager
def _home_is_there(home: Home) -> Iterator[None]:
    """Raise FileNotFoundError where a process refuses to start, or fails, because the disk of the
    home went meanwhile."""
    try:
        yield
    except (InvalidInput, ChildFailed):
        home.identity()
        raise


def _served(
    options: ServeOptions,
    configuration: Configuration,
    gateways: Gateways,
    host: str,
    port: int,
    clock: tuple[str, ...],
) -> Served:
    """Start the pages beside gateways that run. Raise InvalidInput, ChildFailed."""
    scheme = "https" if configuration.tls.certificate else "http"
    gateway_url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/v1"
    sample = sample_of(configuration.deployment)
    pages: Child | None = None
    pages_port = options.pages_port
    try:
        pages = _start_pages(options, pages_port, clock, gateway_url, sample)
    # Their own fault stops no traffic: a machine that starts at night has nobody who reads a refusal.
    except ChildFailed as error:
        notes: tuple[str, ...] = (f"The gateway serves without the pages: {error}",)
        _note_pages_away(options.home, str(error))
    else:
        pages_port = pages.ready["ports"]["pages"]
        notes = moved("the pages listen", options.pages_port, PAGES_PORT, pages_port)
        options.home.pages_away.unlink(missing_ok=True)
    return Served(
        home=options.home,
        gateways=gateways,
        pages=pages,
        gateway_url=gateway_url,
        pages_url=_pages_url(pages_port or PAGES_PORT),
        start_pages=lambda meanwhile: _start_pages(
            options, pages_port, clock, gateway_url, sample, meanwhile
        ),
        sample=sample,
        configuration=configuration,
        notes=notes,
    )


def _pages_url(port: int) -> str:
    return f"http://{_LOOPBACK}:{port}/"


def _note_pages_away(home: Home, why: str) -> None:
    """Write for `clauseway doctor` why the pages are away. That is reported too, so a disk that is
    full or gone fails nothing."""
    with contextlib.suppress(OSError):
        if home.is_begun:
            write_whole(home.pages_away, why.encode(), durable=False)


def _refuse_served(home: Home) -> NoReturn:
    """Refuse a second process, which would take plan and leases from the first one's gateway."""
    problem, why = "this home is served already", "its plan, journal and leases are one process's"
    remedy = "Stop the other one, or name another home with --home."
    raise InvalidInput.of(what=problem, why=why, where=str(home.root), remedy=remedy)


def _start_pages(
    options: ServeOptions,
    port: int | None,
    clock: tuple[str, ...],
    gateway_url: str,
    sample: Sample,
    meanwhile: Meanwhile = nothing,
) -> Child:
    arguments = [
        *("--home", str(options.home.root)),
        *("--gateway-url", gateway_url),
        *("--sample-model", sample.model),
        *("--sample-cloud", sample.cloud),
        *("--sample-seller", sample.seller),
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
        "clauseway.app.running.pages_process",
        [*arguments, *clock],
        log,
        # Not as an argument: those are shown to every user of the machine.
        secret=options.snippet_key,
        meanwhile=meanwhile,
    )


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to a running home from outside, each until it is heard: to stop, to compile the
    plan anew although nothing seems to have changed, to replace the gateway's processes."""

    stop: threading.Event = msgspec.field(default_factory=threading.Event)
    reload: threading.Event = msgspec.field(default_factory=threading.Event)
    replace: threading.Event = msgspec.field(default_factory=threading.Event)


def to_standard_error(text: str) -> None:
    """Print a report, if somebody reads it: a pipe that broke, or a log without room, is no reason to
    stop serving."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def keep(
    options: ServeOptions,
    served: Served,
    signals: Signals,
    report: Callable[[str], None] = to_standard_error,
) -> Child | None:
    """Keep all processes running and plan and lake up to date, until told to stop and the delay of
    stops is over (None), or until a gateway dies again and again (which one).

    A change that cannot be loaded is passed to `report`. Sealing and the pages have threads of their
    own: a revoked key and a gateway that died do not wait for them; and a change does not wait for a
    gateway that starts. A revoked key waits for no plan either.
    """
    assert served.seen_to is not None, "it is known once they serve"
    options = msgspec.structs.replace(options, home=served.home)
    revocations = Revocations(options.home, served.seen_to, served.gateways.heed_revocations)
    look = partial(_inputs_of, options)
    inputs = PlanInputs(options.home, look, served.inputs, report, revocations.head)
    reloading = Reloading(options, served, report)
    with (
        ThreadPoolExecutor(1, "upkeep") as thread,
        contextlib.closing(inputs),
        revocations.looking(),
        contextlib.closing(RevivingPages(served, report)) as reviving_pages,
    ):
        rounds = Rounds(options.home, report, thread, served.identity)

        def reload_changes() -> None:
            if inputs.changed() or signals.reload.is_set():
                # Cleared first: a signal that comes meanwhile asks for another take-over.
                signals.reload.clear()
                if not reloading.reload():
                    inputs.missed()

        reviving = Reviving(served.gateways, report, reload_changes)
        stopping = Stopping(served.gateways, signals.stop)
        while not stopping.is_due():
            if (dead := served.gateways.dead()) and not reviving.start_again(dead):
                return dead
            reviving_pages.look()
            served.gateways.reap(report)
            reload_changes()
            if signals.replace.is_set():
                signals.replace.clear()
                try:
                    served.gateways.replace_all(reload_changes)
                    report("The gateway's processes were replaced.")
                except (
                    InvalidInput,
                    ChildFailed,
                    ModuleNotFoundError,
                    DBAPIError,
                    OSError,
                ) as error:
                    report(f"The gateway's processes were not all replaced: {said_by(error)}")
            rounds.look()
    return None


class Stopping:
    """Waits for a stop. Once it is asked for, load balancers are told, and the stop is due when they
    had time to send requests elsewhere."""

    def __init__(self, gateways: Gateways, asked: threading.Event) -> None:
        self._gateways, self._asked = gateways, asked
        self._due_s: float | None = None

    def is_due(self) -> bool:
        """Wait until the next round, or for the rest of the delay; return whether that is over."""
        if self._due_s is None:
            if not self._asked.wait(_ROUND_EVERY_S):
                return False
            self._due_s = time.monotonic() + self._gateways.announce_stop()
        left_s = self._due_s - time.monotonic()
        time.sleep(max(0.0, min(left_s, _ROUND_EVERY_S)))
        return left_s <= _ROUND_EVERY_S


def seal_the_rest(home: Home) -> None:
    """Seal what the processes of a served home had metered when they ended."""
    import_module(_SEALING).seal(home)


class Reloading:
    """Compiles the plan after a change, and has the gateways read it."""

    def __init__(
        self, options: ServeOptions, served: Served, report: Callable[[str], None]
    ) -> None:
        self._options, self._served, self._report = options, served, report
        self._failure = ""
        self._kept: list[str] = []
        # Flags go before the configuration.
        self._flags_name_agreements = options.agreements != agreements_in(options.configuration)

    def reload(self) -> bool:
        """Return whether the change is dealt with: loaded, or reported as one that cannot be. Where
        the disk or the database failed the present plan stays, and that is reported once, until
        the change can be loaded."""
        try:
            sources = _read_sources(self._options)
            plan = _plan_from(sources, self._options)
            write_plan(plan, self._options.home.plan)
            self._served.gateways.reload(plan.settings)
        except InvalidInput as error:
            self._report(f"The change was not loaded, and changes nothing:\n{error}")
        except (DBAPIError, OSError) as error:
            if str(error) != self._failure:
                self._report(f"A change is not loaded yet, and is tried again: {said_by(error)}")
            self._failure = str(error)
            return False
        else:
            if self._failure:
                self._report("The change is loaded.")
            self._report_kept(sources.configuration)
        self._failure = ""
        return True

    def _report_kept(self, configuration: Configuration) -> None:
        """Report settings that stay as they were at the start, once for the same ones. The gateways
        report those of theirs."""
        before, options = self._served.configuration, self._options
        at, now_at = before.gateway, configuration.gateway
        changed = {
            "agreement": not self._flags_name_agreements
            and before.agreement != configuration.agreement,
            "gateway.host": options.host is None and at.host != now_at.host,
            "gateway.port": options.port is None and at.port != now_at.port,
        }
        kept = [name for name, is_changed in changed.items() if is_changed]
        if kept and kept != self._kept:
            self._report(
                f"{listed(kept)} {'needs' if len(kept) == 1 else 'need'} a restart: what was in force "
                "at the start stays in force. Stop `clauseway serve` and start it again."
            )
        self._kept = kept


class Reviving:
    """Starts gateways again that died, unless one dies again and again."""

    def __init__(
        self, gateways: Gateways, report: Callable[[str], None], meanwhile: Meanwhile
    ) -> None:
        self._gateways, self._report, self._meanwhile = gateways, report, meanwhile
        self._ends_s: dict[str, deque[float]] = {}
        self._waiting = ""
        self._again_s = 0.0

    def _tell_once(self, text: str) -> None:
        if text != self._waiting:
            self._report(text)
        self._waiting = text

    def start_again(self, dead: Child) -> bool:
        """Start another process in its place; False once it makes no sense to go on."""
        now_s = time.monotonic()
        if now_s < self._again_s:
            return True
        ends_s = self._ends_s.setdefault(dead.name, deque())
        while ends_s and ends_s[0] < now_s - _ENDS_WITHIN_S:
            ends_s.popleft()
        ends_s.append(now_s)
        if len(ends_s) > _ENDS_MAX:
            return False
        code = dead.exit_code
        try:
            self._gateways.start_again(dead, self._meanwhile)
        except DBAPIError as error:
            ends_s.pop()  # not counted: the database was down, not the process
            self._tell_once(
                f"{dead.name} ended ({code}) and waits for the database: {said_by(error)}"
            )
        except OSError as error:
            ends_s.pop()  # not counted: the machine has no room, memory or descriptor for it
            self._again_s = time.monotonic() + _AGAIN_AFTER_S
            self._tell_once(f"{dead.name} ended ({code}) and waits for the machine: {error}")
        except (InvalidInput, ChildFailed, ModuleNotFoundError) as error:
            self._report(f"{dead.name} ended ({code}) and could not be started again: {error}")
        else:
            self._report(f"{dead.name} ended ({code}) and was started again.")
            self._waiting = ""
        return True


class RevivingPages:
    """Starts the pages again whenever they end. A thread waits for them, so that no gateway does; and
    pages that end again and again are tried less often, but always."""

    def __init__(self, served: Served, report: Callable[[str], None]) -> None:
        self._served, self._report = served, report
        self._thread = ThreadPoolExecutor(1, "pages")
        self._starting: Future[None] | None = None
        self._closed = threading.Event()
        self._tries, self._tried_s, self._again_s = 0, 0.0, 0.0
        self._ended: int | None = None
        self._reported = ""

    def look(self) -> None:
        """Begin to start the pages where they do not run and it is time, and take note of how that
        went."""
        now_s = time.monotonic()
        if self._starting is not None:
            if self._starting.done():
                starting, self._starting = self._starting, None
                self._note_end_of(starting)
            return
        if self._served.pages is not None and self._served.pages.running:
            return
        if now_s < self._again_s:
            # Of pages that did not start at all the reason was told.
            if not self._reported:
                self._tell_away(f"they end again and again, with exit code {self._exit_code}")
            return
        if now_s - self._tried_s > _ENDS_WITHIN_S:
            self._tries = 0
        self._tries, self._tried_s = self._tries + 1, now_s
        self._ended = self._exit_code
        self._starting = self._thread.submit(
            self._served.start_pages_again, self._go_on_unless_closed
        )

    def close(self) -> None:
        """Wait for no pages any more. Those that became ready meanwhile are among what is served."""
        self._closed.set()
        self._thread.shutdown()

    def _go_on_unless_closed(self) -> None:
        if self._closed.is_set():
            raise ChildFailed("the pages are not waited for: everything stops")

    @property
    def _exit_code(self) -> int | None:
        return self._served.pages.exit_code if self._served.pages is not None else None

    def _note_end_of(self, starting: Future[None]) -> None:
        now_s = time.monotonic()
        self._again_s = now_s + _PAGES_AGAIN_AFTER_S if self._tries >= _ENDS_MAX else now_s
        try:
            starting.result()
        except OSError as error:
            # The machine has no room, memory or descriptor for them.
            self._tries, self._again_s = self._tries - 1, now_s + _AGAIN_AFTER_S
            self._tell_away(f"they wait for the machine: {error}")
        except (InvalidInput, ChildFailed, ModuleNotFoundError) as error:
            self._tell_away(str(error))
        else:
            ended = "ended" if self._ended is None else f"ended ({self._ended})"
            self._report(f"the pages {ended} and were started again.")
            self._reported = ""

    def _tell_away(self, why: str) -> None:
        if why != self._reported:
            self._report(f"The gateway serves on without the pages, which are tried again: {why}")
            _note_pages_away(self._served.home, why)
        self._reported = why


def _inputs_of(options: ServeOptions) -> InputsState:
    texts = files_of_agreements(options.agreements, options.facts)
    try:
        opened = _text_of(options)
    except InvalidInput:  # reported when a plan is compiled of it
        opened = options.opened
    return state_of(options.home, opened, options.configuration, texts)


class Rounds:
    """Rounds of upkeep in a thread: one at a time, each when it is due."""

    def __init__(
        self,
        home: Home,
        report: Callable[[str], None],
        thread: Executor,
        identity: IdentityLock | None = None,
    ) -> None:
        self._home, self._report, self._thread = home, report, thread
        self._identity, self._other = identity, ""
        self._sealed_s = self._merged_s = time.monotonic()
        self._upkeep: Any = None
        # The failure that was reported last, until upkeep is loaded.
        self._failure = ""
        self._working: Future[None] | None = None

    def look(self) -> None:
        """Begin a round where one is due and none is under way. Raise what the last one raised."""
        if self._working is not None:
            if not self._working.done():
                return
            self._working.result()
            self._working = None
        now_s = time.monotonic()
        if now_s - self._sealed_s < _SEAL_EVERY_S:
            return
        merging = now_s - self._merged_s >= _MERGE_EVERY_S
        self._sealed_s, self._merged_s = now_s, now_s if merging else self._merged_s
        self._working = self._thread.submit(self._round, merging=merging)

    def keep_identity(self) -> None:
        """Take the lock of the home's identity again if the server's restart ended it; report
        another machine that has it."""
        other = ""
        try:
            if self._identity is not None:
                self._identity.require()
        except InvalidInput as error:
            other = str(error)
        except DBAPIError:
            return  # the outage is reported where it is noticed
        if other and other != self._other:
            self._report(other)
        self._other = other

    def _round(self, *, merging: bool) -> None:
        self.keep_identity()
        if self._upkeep is None:
            try:
                upkeep = import_module(_UPKEEP)
            except ModuleNotFoundError:
                raise  # what it needs is not installed
            # No descriptor or memory is left, or its disk fails; the loader of a shared library
            # says so by an ImportError.
            except (OSError, ImportError, MemoryError) as error:
                if str(error) != self._failure:
                    self._report(f"Usage cannot be sealed yet; it is tried again: {error}")
                self._failure = str(error)
                return
            self._upkeep = upkeep.Upkeep(self._home, self._report)
        self._upkeep.round(merging=merging)
