"""The gateway's process: sockets, signals, the plan and its replacement, the drain.

A plan that is replaced (or SIGHUP) is compiled beside the one in use and takes its place between two requests; one that
cannot be read is reported and changes nothing. SIGTERM, SIGINT or the death of the parent: no new connections, open
requests end, the journal is closed, exit 0.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import socket
import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path

import msgspec

from clauseway.gateway.accounts import Accounts
from clauseway.gateway.client import ClientConnection
from clauseway.gateway.clock import simulated_clock, system_clock
from clauseway.gateway.clouds.dialect import Address
from clauseway.gateway.control import serve_control
from clauseway.gateway.health import Health
from clauseway.gateway.issued import ISSUED_FILE, IssuedIndex
from clauseway.gateway.lessors import Lessors
from clauseway.gateway.limits import Limits
from clauseway.gateway.pending import Poller, recorded_requests
from clauseway.gateway.plan import Plan
from clauseway.gateway.presenting import Presenting
from clauseway.gateway.routes import Tables
from clauseway.gateway.shared import Shared
from clauseway.gateway.upstream import Endpoint
from clauseway.metering import Status
from clauseway.spool import OpenAttempt, SpoolWriter, open_attempts, pack_usage_fields
from clauseway.values import InvalidInput, Problem

_PLAN_CHECK_S = 1.0
_DRAIN_CHECK_S = 0.02
_BACKLOG = 4096  # connections that arrive in one burst wait in the kernel, not in the client's retry
_UINT63 = 63

SpoolFactory = Callable[..., SpoolWriter]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is started with."""

    plan: Path
    spool: Path
    host: str = "127.0.0.1"
    port: int = 8400
    simulated_clock: Path | None = None
    control: Path | None = None
    parent_pipe: int | None = None
    limits: Limits | None = None  # instead of the plan's


def read_plan(path: Path) -> Plan:
    """Raises InvalidInput where the file is missing or no plan."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as error:
        todo = "Compile the plan anew; it is replaced whole, by rename."
        raise InvalidInput(Problem(what="no readable plan", why=str(error), where=str(path), todo=todo)) from None


class Endpoints:
    """One endpoint per address for the life of the process, so that a new plan keeps the open connections."""

    def __init__(self, loop: AbstractEventLoop, limits: Limits) -> None:
        self._loop = loop
        self._limits = limits
        self._known: dict[tuple[str, str, int], Endpoint] = {}

    def at(self, address: Address) -> Endpoint:
        key = (address.scheme, address.host, address.port)
        if key not in self._known:
            self._known[key] = Endpoint(*key, self._loop, self._limits)
        return self._known[key]

    def take_over(self, limits: Limits) -> None:
        self._limits = limits
        for endpoint in self._known.values():
            endpoint.limits = limits

    def grow_older(self) -> None:
        for endpoint in self._known.values():
            endpoint.grow_older()

    def close(self) -> None:
        for endpoint in self._known.values():
            endpoint.close()


class Server:
    """One gateway process."""

    def __init__(self, options: Options, spool_factory: SpoolFactory = SpoolWriter) -> None:
        self._options = options
        self._spool_factory = spool_factory
        self._stop = asyncio.Event()
        self._plan_seen = _identity(options.plan)
        self._reporting: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Serve until a stop is asked for. Raises InvalidInput for a bad plan, OSError for a socket or the spool."""
        options, loop = self._options, asyncio.get_running_loop()
        plan = read_plan(options.plan)
        clock = simulated_clock(options.simulated_clock) if options.simulated_clock else system_clock
        listening = _listen(options.host, options.port)
        boot = secrets.randbits(_UINT63)
        left_open = open_attempts(options.spool) if options.spool.exists() else []
        spool = self._spool_factory(options.spool, loop, boot=boot)
        write_lost(spool, left_open)
        limits = options.limits or plan.settings.limits
        self._endpoints = Endpoints(loop, limits)
        self._health: dict[str, Health] = {}
        self._lessors = Lessors(boot)
        self._accounts = Accounts(self._lessors)
        self._presenting = Presenting()
        issued = IssuedIndex(options.spool / ISSUED_FILE, loop)
        if issued.claims():
            issued.resolve(recorded_requests(options.spool))
        tables = self._tables(plan, spool)
        await self._presenting.settled()
        shared = self._shared = Shared(loop, tables, spool, clock, limits, boot, self._accounts, issued)
        self._poller = Poller(shared)
        server = await loop.create_server(lambda: ClientConnection(shared), sock=listening, backlog=_BACKLOG)
        control = await serve_control(options.control, shared) if options.control else None
        self._heed_signals(loop)
        self._heed_parent(loop)
        _quiet_garbage_collector()
        announce = {"ready": True, "ports": {"gateway": listening.getsockname()[1]}, "pid": os.getpid()}
        print(msgspec.json.encode(announce).decode(), flush=True)
        await self._watch()
        server.close()
        await self._drain()
        if control is not None:
            control.close()
        issued.flush()
        await asyncio.sleep(0)  # who waits for it records what it metered
        await self._accounts.close()
        self._lessors.close()
        self._presenting.close()
        await spool.close()
        issued.close()

    def _tables(self, plan: Plan, spool: SpoolWriter) -> Tables:
        tables = Tables(
            plan, spool.label, self._endpoints.at, lambda name: self._health.setdefault(name, Health()), self._accounts
        )
        self._lessors.take_over(plan.leases)
        self._presenting.take_over(tables.targets)
        return tables

    def stop(self) -> None:
        self._stop.set()

    def reload(self) -> None:
        """Read the plan anew; keep the present one where the new one is no plan."""
        self._plan_seen = _identity(self._options.plan)
        try:
            plan = read_plan(self._options.plan)
            self._shared.tables = self._tables(plan, self._shared.spool)
            self._shared.limits = self._options.limits or plan.settings.limits
            self._endpoints.take_over(self._shared.limits)
        except InvalidInput as error:
            print(f"The plan was not taken over:\n{error}", file=sys.stderr, flush=True)

    async def _watch(self) -> None:
        """Once a second: is the plan another file, are idle connections too old. Until a stop is asked for."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _PLAN_CHECK_S)
            if _identity(self._options.plan) != self._plan_seen:
                self.reload()
            self._endpoints.grow_older()
            if self._reporting is None or self._reporting.done():
                self._reporting = asyncio.ensure_future(self._accounts.report(time.monotonic()))
            self._poller.poll(time.monotonic())

    async def _drain(self) -> None:
        shared = self._shared
        shared.draining = True
        for connection in list(shared.connections):
            connection.stop_when_idle()
        give_up_s = time.monotonic() + shared.limits.drain_s
        while (shared.connections or shared.drained) and time.monotonic() < give_up_s:
            await asyncio.sleep(_DRAIN_CHECK_S)
        for connection in list(shared.connections):
            connection.abort()
        await asyncio.sleep(0)
        for exchange in list(shared.drained):
            exchange.call_off()
        shared.wheel.stop()
        self._endpoints.close()

    def _heed_signals(self, loop: AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def _heed_parent(self, loop: AbstractEventLoop) -> None:
        """The pipe's other end is the parent's: when it is closed, by whatever death, it is time to go."""
        pipe = self._options.parent_pipe
        if pipe is None:
            return

        def readable() -> None:
            if not os.read(pipe, 1):
                loop.remove_reader(pipe)
                self.stop()

        loop.add_reader(pipe, readable)


def write_lost(spool: SpoolWriter, attempts: list[OpenAttempt]) -> None:
    """What a process that died left open gets its end: LOST, with no units, under the labels it began with."""
    for attempt in attempts:
        intent = attempt.intent
        codes = spool.label(attempt.buyer), spool.label(attempt.deployment), spool.label(attempt.ruling)
        record = pack_usage_fields(
            intent.request.boot, intent.request.number, intent.attempt, intent.event_ns, time.time_ns(), *codes,
            intent.endpoint, Status.LOST, 0, False, 0, 0, 0, (), b"",
        )  # fmt: skip
        spool.append(record, *codes)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    return listening


def _identity(path: Path) -> tuple[int, int, int]:
    """Changes when a file is replaced or written; zeros while it is missing."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def _quiet_garbage_collector() -> None:
    """What exists now stays: the collector need not walk it again and again under load."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
