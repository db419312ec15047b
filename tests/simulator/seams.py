"""The seams at which production code meets the virtual machines: one table, replaced for as long as a story runs.

Nothing of the product is replaced but what it takes from the operating system (clocks, files, locks, processes,
threads, sockets, randomness) and the server of the control database, for which SQLite stands in: a real file of its
own, whose real faults the real kills find.
"""

import asyncio
import contextlib
import fcntl
import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from clauseway import spool
from clauseway.app.customers import leasing
from clauseway.app.usage import recovering
from clauseway.gateway.process import journals, server
from clauseway.gateway.request import resource_index, shared
from clauseway.gateway.transport import timers
from clauseway.gateway.transport.connecting import Host
from clauseway.gateway.wire import errors
from clauseway.spool import copier, follower, writer
from clauseway.storage.control import engines
from clauseway.storage.customers import limit_shares
from clauseway.storage.lake import query_engines

from .disks import Disks
from .loops import PlannedConnection, VirtualLoop
from .network import Network, VirtualSocket, socket_of
from .threads import queue_of, threading_of
from .world import World

# A wheel that turns fewer times takes fewer events; deadlines are as precise as that.
_TICK_S = 0.25
_DATABASE = "database"
_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "thread_time", "sleep")
_REAL_CLOCKS = {name: getattr(time, name) for name in _CLOCKS}


class Replaced:
    """Attributes that are replaced, and what stood there before."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any, bool]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        self._before.append((owner, name, vars(owner).get(name), name in vars(owner)))
        setattr(owner, name, value)

    def undo(self) -> None:
        while self._before:
            owner, name, value, was_there = self._before.pop()
            if was_there:
                setattr(owner, name, value)
            else:
                delattr(owner, name)


@contextlib.contextmanager
def virtual(world: World, disks: Disks, network: Network, database: Path) -> Iterator[None]:
    """Let production code meet the virtual machines until the block ends."""
    replaced = Replaced()
    try:
        _clocks(world, replaced)
        for name, call in disks.calls().items():
            replaced.set(os, name, call)
        replaced.set(fcntl, "flock", disks.flock)
        replaced.set(random, "_urandom", os.urandom)
        _threads_and_sockets(world, network, replaced)
        _databases(world, network, database, replaced)
        _gateway(world, network, replaced)
        yield
    finally:
        replaced.undo()
        Engine.dispose(_engine())


def _clocks(world: World, replaced: Replaced) -> None:
    def monotonic_ns() -> int:
        return world.current.machine.monotonic_ns() if world.current else world.now_ns

    def time_ns() -> int:
        return world.current.machine.wall_ns() if world.current else world.machine("outside").wall_ns()

    virtual_clocks: dict[str, Callable[..., Any]] = {
        "time_ns": time_ns,
        "time": lambda: time_ns() / 1e9,
        "monotonic_ns": monotonic_ns,
        "monotonic": lambda: monotonic_ns() / 1e9,
        "perf_counter": lambda: monotonic_ns() / 1e9,
        "thread_time": lambda: 0.0,
        "sleep": world.pause,
    }
    for name in _CLOCKS:
        replaced.set(time, name, virtual_clocks[name])
    for module, held, name in _holders_of_clocks(len(sys.modules)):
        replaced.set(module, held, virtual_clocks[name])
    replaced.set(limit_shares.MemoryShares.__init__, "__defaults__", (virtual_clocks["monotonic"],))
    replaced.set(engines, "now_ns", lambda _: world.machine(_DATABASE).wall_ns())
    for module in (timers, errors):
        replaced.set(module, "TICK_S", _TICK_S)


@cache
def _holders_of_clocks(_: int) -> list[tuple[Any, str, str]]:
    """Return the modules that took a clock by its name and hold the real one; looked for again when modules came."""
    names = {id(clock): name for name, clock in _REAL_CLOCKS.items()}
    return [
        (module, held, names[id(value)])
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("clauseway.")
        for held, value in list(vars(module).items())
        if id(value) in names
    ]


def _threads_and_sockets(world: World, network: Network, replaced: Replaced) -> None:
    threads, queues = threading_of(world), queue_of(world)
    for module in (writer, follower, leasing, resource_index):
        replaced.set(module, "threading", threads)
    replaced.set(writer, "SimpleQueue", queues)
    replaced.set(resource_index, "queue", SimpleNamespace(SimpleQueue=queues))
    replaced.set(copier, "socket", socket_of(world, network))
    replaced.set(follower, "socket", socket_of(world, network))

    def run(main: Any) -> None:
        assert world.current is not None
        VirtualLoop(world, network, world.current).serve(main)

    asyncio_here = SimpleNamespace(run=run, get_running_loop=asyncio.get_running_loop)
    replaced.set(recovering, "asyncio", asyncio_here)

    class LeaseListener(_LeaseListener):
        def __init__(self, path: Path, *registers: Any) -> None:
            super().__init__(world, network, path, *registers)

    replaced.set(leasing, "_Server", LeaseListener)
    answer = leasing.answer

    def answering(leases: Any, call: Any, *others: Any) -> Any:
        assert world.current is not None
        held_up = network.next_held_up.pop(world.current.machine.name, None)
        if held_up is not None:
            # A packet that is lost again and again is sent again after twice as long, while others come through.
            held_up(world.pids[call.pid])
            world.pause(world.chance.uniform(3.0, 9.0))
        return answer(leases, call, *others)

    replaced.set(leasing, "answer", answering)


class _LeaseListener:
    """The lease server's socket: production code answers each connection, in a thread of its own."""

    def __init__(
        self, world: World, network: Network, path: Path, leases: Any, shares: Any, dead: Any, others: Any
    ) -> None:
        self.leases, self.shares, self.dead, self.others = leases, shares, dead, others
        process = world.current
        assert process is not None

        def accept(end: Any) -> None:
            connected = VirtualSocket(world, end)

            def answer() -> None:
                try:
                    leasing._Handler(connected, "gateway", self)  # type: ignore[arg-type]
                except (OSError, OperationalError) as error:
                    world.note(f"{process.name}: a question was not answered: {type(error).__name__}")
                finally:
                    connected.close()

            world.thread(process, answer)

        network.listen(process, (str(path), 0), accept)

    def serve_forever(self, _: float) -> None:
        """Connections are answered as they come."""

    def shutdown(self) -> None:
        pass

    def server_close(self) -> None:
        pass


# Whose database it is at present: a world, its network and the file.
here: list[Any] = []


@cache
def _engine() -> Engine:
    """Return the one engine of all stories, so that each statement is compiled once."""
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(here[2], timeout=0.0, check_same_thread=False),
        poolclass=QueuePool,
        # Every process has its own engine in truth, and who is killed on the way to the server keeps a connection of
        # this one until the story ends.
        max_overflow=-1,
    )
    event.listen(engine, "connect", engines._prepare_sqlite)
    event.listen(engine, "begin", lambda _: _reach(here[0], here[1]))
    event.listen(engine, "begin", engines._begin_sqlite)
    # Its homes come and go; its connections are closed at the end of a story.
    replaced_for_good = Replaced()
    replaced_for_good.set(engine, "dispose", lambda: None)
    return engine


def _reach(world: World, network: Network) -> None:
    """Go to the database's server, before a transaction begins: nobody is killed within one. Raise OperationalError."""
    process = world.current
    if process is None:
        return
    server_machine = world.machine(_DATABASE)
    world.pause(network.delay_s(process.machine, server_machine))
    # A short cut is outlasted.
    for _ in range(world.chance.choice((4, 18))):
        if not network.is_cut(process.machine, server_machine):
            return
        world.pause(0.5)
    raise OperationalError("connect", None, ConnectionError("the database does not answer"))


def _databases(world: World, network: Network, database: Path, replaced: Replaced) -> None:
    """Let every address of a database server mean one SQLite file, as far away as that server is."""

    here[:] = [world, network, database]
    # An engine asks more of its first connection than of any other, and a story is the same whether
    # it is the first of a process or not.
    with _engine().connect():
        pass
    Engine.dispose(_engine())
    held: set[int] = set()

    @contextlib.contextmanager
    def holding(_: str, number: int, on_wait: Callable[[], object]) -> Iterator[None]:
        process = world.current
        assert process is not None
        _reach(world, network)
        if number in held:
            on_wait()
        while number in held:
            world.pause(0.05)
        held.add(number)
        process.on_end.append(lambda: held.discard(number) if owner else None)
        owner = [process]
        try:
            yield
        finally:
            owner.clear()
            held.discard(number)

    replaced.set(engines, "_postgresql", lambda _: _engine())
    # The query engine is this process's, whichever of the story's asks it.
    replaced.set(query_engines, "os", SimpleNamespace(getpid=lambda: 0))
    replaced.set(engines, "holding", holding)


class OrderedSet(dict[Any, None]):
    """A set that keeps the order in which its members came: by their addresses, as `set` has them, no story would be
    told twice."""

    def add(self, member: Any) -> None:
        self[member] = None

    def discard(self, member: Any) -> None:
        self.pop(member, None)


class Lines:
    """A gateway's events, which go into the history."""

    world: World

    def __init__(self, _settings: Any, _loop: Any, _file: Any, worker: str = "") -> None:
        process = self.world.current
        assert process is not None
        self._name = process.name
        self.dropped = 0

    def event(self, event: str, **facts: object) -> None:
        reasons = {
            name: fact for name, fact in facts.items() if name in ("why", "whose", "error", "problem", "cut_off")
        }
        self.world.note(f"{self._name}: {event} {reasons or ''}".rstrip())

    def later(self, line: Callable[[], Any]) -> None:
        """Lines about requests are of no use here."""

    def close(self) -> None:
        pass


def _read_slowly(world: World, replaced: Replaced) -> None:
    """Let a dead process's journal take its time to be read, frame by frame."""
    frame_s = world.chance.choice((0.0, 0.001, 0.02))
    read = spool.reading_unended

    def reading(*asked: Any) -> Generator[None, None, Any]:
        frames = read(*asked)
        while True:
            try:
                next(frames)
            except StopIteration as done:
                return done.value
            world.pause(world.chance.uniform(0.0, frame_s))
            yield

    replaced.set(journals, "reading_unended", reading)


def _gateway(world: World, network: Network, replaced: Replaced) -> None:
    class Listener:
        """The gateway's listening socket."""

        shakes_hands = False

        def __init__(self, host: str, port: int | None, _: int | None = None) -> None:
            self._address = (host, port or 0)
            self.port = port or 0

        async def open(
            self, loop: Any, client: Callable[[], Any], _tls: Any, _handshake_s: float, _begin_handshake: Any
        ) -> None:
            assert world.current is not None
            network.serve_loop(world.current, loop, self._address, client)

        def is_outdated(self, _: Any) -> bool:
            return False

        def close(self) -> None:
            network.forget(self._address)

    class WorldLines(Lines):
        pass

    async def planned(host: Host) -> PlannedConnection:
        return PlannedConnection((host.name, host.port))

    WorldLines.world = world
    replaced.set(Host, "connect", planned)
    _read_slowly(world, replaced)
    # Once in a second or two it reports what was spent: fewer words, the same order of them.
    replaced.set(server, "_LOOK_EVERY_S", world.chance.choice((1.5, 3.0)))
    replaced.set(server, "Listener", Listener)
    replaced.set(server, "LogQueue", WorldLines)
    replaced.set(server, "_quiet_garbage_collector", lambda: None)
    replaced.set(shared, "set", OrderedSet)
    replaced.set(server, "print", lambda *_, **__: None)
    replaced.set(server.Server, "_provide_descriptors", lambda *_: None)
