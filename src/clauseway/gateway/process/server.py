"""The gateway's process: sockets, signals, the plan and its replacement, the drain.

A plan that is replaced (or SIGHUP) is read and checked between requests, in turns of milliseconds,
and takes the place of the one in use whole; one that cannot be used is reported and changes
nothing. With it come the process's settings: limits and certificates hold from the next connection
on, and settings that need a restart are named. SIGUSR1: ended secrets are refused at once. SIGUSR2:
`/readyz` answers 503 from now on, ahead of a stop. SIGTERM, SIGINT or the death of the parent: no
new connections, open requests end, the journal is closed, exit 0.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

import msgspec

from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.budgets.leases import CurrentLeaseServer
from clauseway.gateway.connections.connection import ClientConnection, actions_passing
from clauseway.gateway.plan.clock import simulated_clock, system_clock
from clauseway.gateway.plan.file import Opened, PlanUnread, read_pieces
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Telemetry, changed_needing_restart
from clauseway.gateway.plan.steps import between_requests, whole
from clauseway.gateway.process.control_socket import serve_control
from clauseway.gateway.process.ended_keys import EndedKeys
from clauseway.gateway.process.journal_copy import copy_journal
from clauseway.gateway.process.journals import SpoolFactory, open_journal, recorded
from clauseway.gateway.process.logs import AccessLog, LogQueue
from clauseway.gateway.process.presenting import Presenting
from clauseway.gateway.process.refused import RefusedRequests
from clauseway.gateway.process.reporting import Reporter
from clauseway.gateway.request.pending import Poller
from clauseway.gateway.request.resource_index import ResourceIndex
from clauseway.gateway.request.shared import Shared, Watcher, Worker
from clauseway.gateway.request.shared_index import SharedIndex
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.opening import opening
from clauseway.gateway.routing.quotas import Memory
from clauseway.gateway.routing.routing_tables import RoutingTables
from clauseway.gateway.transport.listener import Listener
from clauseway.gateway.transport.tls import file_identity
from clauseway.gateway.transport.upstream_endpoints import Endpoints
from clauseway.spool import SpoolWriter
from clauseway.values import VERSION, InvalidInput

_LOOK_EVERY_S = 1.0
_DRAIN_CHECK_S = 0.02
# The loop looks at its sockets before or after it resumes a task: two turns contain a look.
_TURNS_OF_A_LOOK = 2
# A home says once a second that it reaches its database; a busy machine says it later.
_AWAY_AFTER_S = 5.0


class ProcessOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options that the process is started with."""

    plan: Path
    spool: Path
    host: str = "127.0.0.1"
    port: int | None = None  # the usual one, or the next free one above it
    simulated_clock: Path | None = None
    control: Path | None = None
    damages: Path | None = None
    revocations: Path | None = None  # secrets that were ended since the plan was compiled
    refused: Path | None = None  # where requests are kept that no cloud answered
    parent_pipe: int | None = None
    # By a factory: compiled, a record is not known to be frozen.
    worker: Worker = msgspec.field(default_factory=Worker)
    shares_limits: bool = False  # with gateways of other homes, and the resource index too
    resource_index: Path | None = None  # its file, where workers share one
    # Sockets that listen already, of whoever started us.
    listener: int | None = None
    metrics_listener: int | None = None
    limits: Limits | None = None  # instead of the plan's

    @property
    def worker_name(self) -> str:
        """Return what names this process among those that serve together; empty where it is
        alone."""
        return self.spool.name if self.worker.count > 1 else ""


class Exporting(Watcher, Protocol):
    """A watcher that exports what it hears. It makes spans of a `share` of the requests."""

    share: float

    def close(self) -> None:
        """Send what has gathered, for some seconds at most. Blocks."""


class Server:
    """One gateway process."""

    def __init__(self, options: ProcessOptions, spool_factory: SpoolFactory = SpoolWriter) -> None:
        self._options = options
        self._spool_factory = spool_factory
        self._woken = asyncio.Event()
        self._stopping = False
        self._read_again = False
        self._plan_seen = file_identity(options.plan)
        # Why the plan's file could not be read; empty once it was read.
        self._plan_unread = ""
        self._reporting: asyncio.Future[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._figures: Callable[[], bytes] = bytes
        self._ended_keys = EndedKeys(options.revocations, time.monotonic)

    async def run(self) -> None:
        """Serve until a stop is asked for. Raises InvalidInput for a bad plan, OSError for a socket
        or the spool."""
        options, loop = self._options, asyncio.get_running_loop()
        opened = whole(opening(read_pieces(options.plan), str(options.plan)))
        # Settings that need a restart stay those of the start.
        self._settings = self._settings_at_start = settings = opened.plan.settings
        self._actions = actions_passing(settings.passed_headers)
        self._lines = lines = LogQueue(settings.log, loop, sys.stderr.buffer, options.worker_name)
        try:
            lines.event("start", version=VERSION, pid=os.getpid(), plan=str(options.plan))
            await self._serve(opened)
        finally:
            lines.close()

    async def _serve(self, opened: Opened) -> None:
        options, settings, lines = self._options, self._settings, self._lines
        loop, limits = asyncio.get_running_loop(), self._options.limits or self._settings.limits
        self._provide_descriptors(limits)
        listener = self._listener = Listener(options.host, options.port, options.listener)
        self._shared_index = SharedIndex(loop) if options.shares_limits else None
        boot, spool, resource_index, ending = open_journal(
            options.spool, options.resource_index, loop, self._spool_factory, self._shared_index
        )
        spool.hold_s = limits.journal_hold_s
        copy_journal(spool, options.spool, boot, settings.journal, lines, self.stop)
        shared = await self._share(opened, boot, spool, resource_index)
        await listener.open(
            loop, self._client, settings.tls, self._handshake_s, self._begin_handshake
        )
        metrics = await self._serve_metrics(settings.telemetry)
        control = (
            await serve_control(options.control, shared, self._figures) if options.control else None
        )
        self._heed_signals(loop)
        self._heed_parent(loop)
        _quiet_garbage_collector()
        self._announce(opened, metrics)
        # Behind the requests: nothing that is answered depends on what a dead process left open.
        self._ending = asyncio.create_task(between_requests(ending, _never))
        await self._watch()
        if self._reloading is not None:
            self._reloading.cancel()
        cut_off = await self._drain()
        if control is not None:
            control.close()
        await self._close()
        if metrics is not None:
            metrics.close()
        if self._telemetry is not None:
            await loop.run_in_executor(None, self._telemetry.close)
        lines.event("stopped", requests=shared.counts.started, cut_off=cut_off)

    async def _share(
        self, opened: Opened, boot: int, spool: SpoolWriter, resource_index: ResourceIndex
    ) -> Shared:
        """Make what all connections share, with the tables of a plan; nobody is answered yet."""
        options, settings, loop = self._options, self._settings, asyncio.get_running_loop()
        limits = options.limits or settings.limits
        self._endpoints = Endpoints(loop, limits, settings.tls)
        self._health: dict[tuple[str, str], Health] = {}
        self._memory = Memory(options.worker.count)
        self._lease_server = CurrentLeaseServer(boot, spool.identity, lambda: spool.next_frame)
        are_shared = options.shares_limits or options.worker.count > 1
        self._allowances = Allowances(
            self._lease_server, shares_limits=are_shared, recorded=partial(recorded, spool)
        )
        self._presenting = Presenting(self._report_credential)
        tables = self._tables(opened, spool)
        await self._presenting.fetches_done()
        clock = (
            simulated_clock(options.simulated_clock) if options.simulated_clock else system_clock
        )
        shared = self._shared = Shared(
            loop,
            tables,
            spool,
            clock,
            limits,
            boot,
            self._allowances,
            resource_index,
            options.worker,
        )
        if options.worker.count > 1:
            shared.siblings = options.control
        shared.shared_index = self._shared_index
        if self._shared_index is not None:
            self._shared_index.index = resource_index
        self._poller = Poller(shared)
        self._reporter = Reporter(shared, self._health, self._lines)
        self._access = AccessLog(self._lines, settings.log.access, boot, self._knows_model)
        self._telemetry = self._open_telemetry(settings.telemetry, boot)
        self._refused = self._open_refused(boot)
        self._watchers()
        return shared

    def _announce(self, opened: Opened, metrics: asyncio.Server | None) -> None:
        """Tell whoever started this process, and the log, that it serves, and on which ports."""
        options, port = self._options, self._listener.port
        ports, of_metrics = {"gateway": port}, {}
        if metrics is not None:
            ports["metrics"] = metrics.sockets[0].getsockname()[1]
            # `metrics_port = 0` asks for any free port.
            of_metrics = {"metrics_port": ports["metrics"]}
        announce = {"ready": True, "ports": ports, "pid": os.getpid()}
        print(msgspec.json.encode(announce).decode(), flush=True)
        self._lines.event(
            "ready",
            host=options.host,
            port=port,
            tls=bool(self._settings.tls.certificate),
            **of_metrics,
            **_figures(opened),
        )

    async def _close(self) -> None:
        """Close what all connections shared: each after all that may still write to it."""
        shared = self._shared
        await asyncio.wait((self._ending,))
        shared.resource_index.flush()
        await asyncio.sleep(0)  # requests that waited for the index record what they metered
        await shared.holds.close()
        await self._allowances.close()
        self._lease_server.close()
        if self._shared_index is not None:
            self._shared_index.close()
        self._presenting.close()
        await shared.spool.close()
        shared.resource_index.close()
        if self._refused is not None:
            self._refused.close()

    async def _serve_metrics(self, telemetry: Telemetry) -> asyncio.Server | None:
        """Serve the metrics, if the settings ask for them. Raises InvalidInput where the libraries
        are not installed or the address cannot be had."""
        options = self._options
        # A worker that is given sockets opens none: another worker may listen there.
        is_given = options.listener is not None and options.metrics_listener is None
        if not telemetry.metrics or is_given:
            return None
        module = optional("clauseway.gateway.process.metrics", "telemetry.metrics", "server")
        figures = module.Figures(self._shared, self._health, self._lines, options.damages)
        page = module.MetricsPage(
            figures,
            telemetry.metrics_host,
            options.control,
            options.worker_name,
            options.worker.count,
        )
        self._figures = page.own
        return cast(
            asyncio.Server,
            await module.serve_metrics(
                telemetry.metrics_host, telemetry.metrics_port, page, options.metrics_listener
            ),
        )

    def _open_refused(self, boot: int) -> RefusedRequests | None:
        if self._options.refused is None:
            return None
        try:
            return RefusedRequests(self._options.refused, boot, asyncio.get_running_loop())
        except OSError as error:
            # Requests are served all the same.
            self._lines.event("refused requests not kept", problem=str(error))
            return None

    def _open_telemetry(self, settings: Telemetry, boot: int) -> Exporting | None:
        """Return the exporter of telemetry, if the settings name a collector. Raises InvalidInput
        where the libraries are not installed, or cannot take a variable of the environment."""
        if not settings.otlp_endpoint:
            return None
        module = optional(
            "clauseway.gateway.process.telemetry", "telemetry.otlp_endpoint", "telemetry"
        )
        loop = asyncio.get_running_loop()
        try:
            exporting = module.TelemetryWatcher(
                settings,
                boot,
                loop,
                self._lines,
                self._knows_model,
                "https" if self._settings.tls.certificate else "http",
            )
        except ValueError as error:
            raise InvalidInput.of(
                what="OpenTelemetry's library does not start",
                why=str(error),
                where="telemetry.otlp_endpoint",
                remedy="Correct or unset the OTEL_ variable of the environment that says so.",
            ) from None
        return cast(Exporting, exporting)

    def _provide_descriptors(self, limits: Limits) -> None:
        """Ask the system for file descriptors: it gives few otherwise. A connection takes one here
        and mostly one toward a cloud."""
        wanted = 2 * limits.connections
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        given = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < given:
            resource.setrlimit(resource.RLIMIT_NOFILE, (given, hard))
        if given < wanted:
            self._lines.event(
                "few descriptors", connections=limits.connections, wanted=wanted, given=given
            )

    def _knows_model(self, name: str) -> bool:
        return name in self._shared.tables.plan.models

    def _watchers(self) -> None:
        """Set who hears of requests that are over: nobody, unless somebody asks for it."""
        access = (self._access,) if self._access.share else ()
        telemetry = (self._telemetry,) if self._telemetry is not None else ()
        refused = (self._refused,) if self._refused is not None else ()
        self._shared.watchers = (*access, *telemetry, *refused)

    def _client(self) -> ClientConnection:
        return ClientConnection(self._shared, self._actions)

    def _handshake_s(self) -> float:
        return self._shared.limits.head_s

    def _begin_handshake(self, peer: object) -> Callable[[], None] | None:
        return self._shared.in_flight.begin_handshake(peer, self._shared.limits)

    def _tables(self, opened: Opened, spool: SpoolWriter) -> RoutingTables:
        """Return the tables of a plan that is in force from here on. Raises InvalidInput, and the
        present tables stay."""
        tables = RoutingTables(
            opened,
            spool.label,
            self._endpoints.at,
            lambda place: self._health.setdefault(place, Health()),
            self._allowances,
            self._memory,
        )
        self._presenting.reload(tables.targets)
        # Read after the plan: it may have been compiled before a key was revoked. And read only
        # where nothing refuses the plan any more: what is read here is ended in these tables alone.
        self._ended_keys.read()
        self._ended_keys.forget(opened.keys)
        tables.end(self._ended_keys.ended)
        tables.end_by(time.time_ns())
        self._lease_server.reload(opened.plan.leases)
        if self._shared_index is not None:
            self._shared_index.socket = opened.plan.usage
        self._allowances.turn_to(opened)
        return tables

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    def announce_stop(self) -> None:
        """Say at /readyz that a stop is near, and answer requests until it comes."""
        self._shared.stop_announced = True
        self._lines.event("stop announced")

    def reload(self) -> None:
        """Have the plan read anew, soon."""
        self._read_again = True
        self._woken.set()

    def _look_at_database(self) -> None:
        """Set how long the home has not reached it, where other homes may write there."""
        if not self._options.shares_limits:
            return
        shared, silent_s = self._shared, self._ended_keys.silent_s
        shared.database_away_s = silent_s if silent_s >= _AWAY_AFTER_S else 0.0
        shared.is_cut_off = silent_s >= shared.limits.database_away_s

    def heed_revocations(self) -> None:
        """Refuse the secrets that were ended since the last look, and those whose end has come."""
        if ended := self._ended_keys.read():
            self._shared.tables.end(ended)
        self._shared.tables.end_by(time.time_ns())

    async def _watch(self) -> None:
        """Look once a second whether the plan or a certificate is another file, whether secrets
        ended or idle connections are too old, and what there is to report. Return once a stop
        is asked for."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _LOOK_EVERY_S)
            self._woken.clear()
            if self._stopping:
                return
            if self._ending.done():
                self._ending.result()  # a journal that cannot be read ends the process
            self.heed_revocations()
            self._look_at_database()
            self._look_at_plan()
            await self._reload_certificates()
            self._endpoints.grow_older()
            self._presenting.look()
            self._reporter.look()
            if self._reporting is None or self._reporting.done():
                self._reporting = asyncio.ensure_future(self._allowances.report(time.monotonic()))
            self._shared.holds.look(time.monotonic())
            self._poller.poll(time.monotonic())

    def _look_at_plan(self) -> None:
        """Reload one plan at a time."""
        if self._reloading is not None:
            if not self._reloading.done():
                return
            self._reloading.result()  # an exception that nobody foresaw ends the process
        if self._read_again or file_identity(self._options.plan) != self._plan_seen:
            self._read_again = False
            self._reloading = asyncio.create_task(self._reload_plan())
            self._reloading.add_done_callback(lambda _: self._woken.set())

    async def _reload_plan(self) -> None:
        """Read the plan anew; keep the present one where the new one is no plan."""
        shared = self._shared
        try:
            opened = await self._newest()
            await self._presenting.fetch_ahead(target.auth for target in opened.plan.targets)
            former, tables = shared.tables, self._tables(opened, shared.spool)
        except PlanUnread as error:
            if str(error) != self._plan_unread:
                self._refuse("plan", error)
            self._plan_unread = str(error)
            # Nobody writes it again because this process had no descriptor or memory for it.
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self.reload)
            return
        except InvalidInput as error:
            self._refuse("plan", error)
            return
        self._plan_unread = ""
        shared.turn_to(tables)
        self._follow(opened)
        await between_requests(self._letting_go(former), self._is_outdated)

    async def _newest(self) -> Opened:
        """Return the present plan. If another replaces it while it is read, return that one, which
        is read to its end. Raises InvalidInput."""
        path = self._options.plan
        for superseded in (self._is_outdated, _never):
            self._plan_seen = file_identity(path)
            pieces = await asyncio.get_running_loop().run_in_executor(None, read_pieces, path)
            opened = await between_requests(opening(pieces, str(path)), superseded)
            if opened is not None:
                return opened
        raise AssertionError("nothing supersedes the second")

    def _is_outdated(self) -> bool:
        return file_identity(self._options.plan) != self._plan_seen

    def _letting_go(self, former: RoutingTables) -> Generator[None, None, None]:
        yield from former.letting_go()
        yield from self._allowances.forgetting()

    def _follow(self, opened: Opened) -> None:
        """Let the settings that come with a plan hold."""
        plan = opened.plan
        before, self._settings = self._settings, plan.settings
        self._actions = actions_passing(plan.settings.passed_headers)
        limits = self._shared.limits = self._options.limits or plan.settings.limits
        self._shared.retries.always = limits.retries
        self._shared.spool.hold_s = limits.journal_hold_s
        self._shared.busy_polling.polling_us = limits.busy_polling_us
        self._endpoints.limit(limits)
        if limits.connections != before.limits.connections:
            self._provide_descriptors(limits)
        # At once: a request that follows the new plan must not call its clouds by former trust.
        self._reload_authorities()
        self._access.share = plan.settings.log.access
        if self._telemetry is not None:
            self._telemetry.share = plan.settings.telemetry.spans
        self._watchers()
        self._lines.event("plan reloaded", **_figures(opened))
        changed = changed_needing_restart(self._settings_at_start, plan.settings)
        if changed and before != plan.settings:
            self._lines.event("restart needed", settings=changed)

    async def _reload_certificates(self) -> None:
        """Reload the certificates and authorities that have other names or files than before; where
        they cannot be used, the present ones stay."""
        self._reload_authorities()
        tls, loop = self._settings.tls, asyncio.get_running_loop()
        if self._listener.is_outdated(tls):
            try:
                trusts_others = await self._listener.open(
                    loop,
                    self._client,
                    tls,
                    self._handshake_s,
                    self._begin_handshake,
                )
                self._lines.event("certificate reloaded", certificate=tls.certificate)
                if trusts_others:
                    self._end_former_trust()
            except InvalidInput as error:
                self._refuse("certificate", error)

    def _reload_authorities(self) -> None:
        """Check clouds by the authorities that the settings name now; where these cannot be used,
        by the present ones."""
        tls = self._settings.tls
        if self._endpoints.is_outdated(tls):
            try:
                self._endpoints.trust(tls)
                self._lines.event("authorities reloaded", upstream_ca=tls.upstream_ca)
            except InvalidInput as error:
                self._refuse("authorities", error)

    def _end_former_trust(self) -> None:
        """Make clients that the former authority let in connect anew, once they are answered."""
        self._shared.authorities_replaced += 1
        for connection in list(self._shared.connections):
            connection.stop_when_idle("The authority of clients' certificates was replaced.")

    def _refuse(self, subject: str, error: InvalidInput) -> None:
        self._lines.event(
            f"{subject} refused", problems=[str(problem) for problem in error.problems]
        )

    def _report_credential(self, deployment: str, problem: str) -> None:
        if problem:
            self._lines.event("credential problem", deployment=deployment, problem=problem)
        else:
            self._lines.event("credential well", deployment=deployment)

    async def _drain(self) -> int:
        """Close the port and let open requests end; return how many connections had to be cut
        off."""
        shared = self._shared
        shared.draining = True
        # Connections that wait in the kernel would be reset with the port: one look at the sockets
        # accepts them. They are connections of ours some turns of the loop later.
        for _ in range(_TURNS_OF_A_LOOK):
            await asyncio.sleep(0)
        self._listener.close()
        open_requests, connections = shared.spool.open_requests, len(shared.connections)
        self._lines.event("drain", open=open_requests, connections=connections)
        await asyncio.sleep(_DRAIN_CHECK_S)
        for connection in list(shared.connections):
            connection.stop_when_idle("The gateway is stopping.")
        now_s = time.monotonic()
        give_up_s = now_s + shared.limits.drain_s
        # A TLS handshake has as long as the first request of a client without TLS.
        handshakes_end_s = min(now_s + shared.limits.linger_s, give_up_s)
        while (self._serves() and time.monotonic() < give_up_s) or (
            self._listener.shakes_hands and time.monotonic() < handshakes_end_s
        ):
            await asyncio.sleep(_DRAIN_CHECK_S)
        left = list(shared.connections)
        for connection in left:
            connection.abort()
        # One turn of the loop, in which connections that were cut off report their end.
        await asyncio.sleep(0)
        # Requests that nobody waits for any more would run on without a connection.
        for unattended in list(shared.unattended):
            unattended.cancel()
        shared.wheel.stop()
        self._endpoints.close()
        return len(left)

    def _serves(self) -> bool:
        """Return whether anything is open that a stop waits for."""
        return bool(self._shared.connections or self._shared.unattended)

    def _heed_signals(self, loop: AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGUSR1, self.heed_revocations)
        loop.add_signal_handler(signal.SIGUSR2, self.announce_stop)

    def _heed_parent(self, loop: AbstractEventLoop) -> None:
        """Stop when the other end of the pipe, which is the parent's, is closed: however it died."""
        pipe = self._options.parent_pipe
        if pipe is None:
            return

        def readable() -> None:
            if not os.read(pipe, 1):
                loop.remove_reader(pipe)
                self.stop()

        loop.add_reader(pipe, readable)


def optional(module: str, setting: str, extra: str) -> ModuleType:
    """Return a module that is loaded only where a setting asks for it. Raises InvalidInput where
    the libraries that the extra brings are not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        what, why = f"it needs {error.name}", "the library is not installed"
        remedy = f"Install it: pip install 'clauseway[{extra}]', or switch it off."
        raise InvalidInput.of(what=what, why=why, where=setting, remedy=remedy) from None


def _never() -> bool:
    return False


def _figures(opened: Opened) -> dict[str, object]:
    """Return the figures of a plan for a line."""
    plan = opened.plan
    deployments = {target.label.deployment for target in plan.targets}
    return {
        "agreement": plan.agreement,
        "digest": opened.digest,
        "deployments": len(deployments),
        "models": len(plan.models),
        "keys": len(opened.keys),
        "epochs": len(plan.epochs),
        "budgets": len(opened.budgets),
    }


def _quiet_garbage_collector() -> None:
    """Freeze the objects that exist now: the collector need not walk them again and again under
    load. Later ones it walks in small parts, a millisecond for the youngest and five for those that
    outlived a few of these: with very many keys there is much that stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 5, 2_000)
