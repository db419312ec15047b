"""Workers of the gateway that are started while the database goes away, or a former one still writes."""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from clauseway.app.opening.home import Home
from clauseway.app.running import gateways as gateways_module
from clauseway.app.running.gateways import Gateways
from clauseway.gateway.plan.settings import Settings
from clauseway.spool import SpoolWriter


class _Worker:
    """A process that runs until it is asked to leave."""

    name = "worker 0 of the gateway"

    def __init__(self) -> None:
        self.running = True

    def ask_to_leave(self) -> None:
        self.running = False

    def stop(self, patience_s: float = 0.0) -> int:
        del patience_s
        self.running = False
        return 0


class _Register:
    """A register of journals whose database is away where the answers say so."""

    def __init__(self) -> None:
        self.away: list[bool] = []

    def __call__(self, home: Home, journal: Path) -> None:
        if self.away and self.away.pop(0):
            raise OperationalError("", None, Exception(f"no connection for {journal}"))


def some_workers(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[..., _Worker],
    register: Callable[..., None],
    count: int = 1,
) -> Gateways:
    """Gateways of so many workers, which start and are registered in these ways."""
    monkeypatch.setattr(gateways_module, "start", start)
    monkeypatch.setattr(gateways_module, "register_spool", register)
    gateways = Gateways(Home(folder).make(), count)
    gateways.listen("127.0.0.1", 0, Settings())
    return gateways


def test_a_worker_that_runs_and_cannot_be_registered_leaves_before_another_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[_Worker] = []

    def start(*_: Any, **__: Any) -> _Worker:
        assert not any(worker.running for worker in started), "the former one writes the journal"
        started.append(_Worker())
        return started[-1]

    register = _Register()
    gateways = some_workers(tmp_path, monkeypatch, start, register)
    try:
        gateways.start()
        started[0].running = False
        died = gateways.dead()
        assert died is not None
        register.away = [False, True]  # it goes away while the worker starts
        with pytest.raises(DBAPIError):
            gateways.start_again(died)
        gateways.start_again(died)
        assert [worker.running for worker in started] == [False, False, True]
        assert gateways.dead() is None
    finally:
        gateways.stop()


def test_a_worker_hears_of_what_is_revoked_or_changed_while_it_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revocations are announced by another thread; that one may come while a start waits for the database."""
    heard: list[str] = []

    def register(*_: Any) -> None:
        if gateways_started:
            gateways.heed_revocations()

    class Worker(_Worker):
        def heed_revocations(self) -> None:
            heard.append("revocations")

    gateways_started: list[Worker] = []

    def start(*_: Any, **__: Any) -> Worker:
        gateways_started.append(Worker())
        return gateways_started[-1]

    gateways = some_workers(tmp_path, monkeypatch, start, register)
    try:
        gateways.start()
        assert heard == ["revocations"]
    finally:
        gateways.stop()


def connect(port: int, stack: ExitStack) -> None:
    for _ in range(20):
        stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))


def accepted(listener: socket.socket) -> int:
    """Accept all that the kernel has for a socket, and close it; how many that were."""
    listener.setblocking(False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def test_connections_go_to_workers_that_run_while_another_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of them would wait for as long as the machine starts none."""
    has_room = [True]
    workers: list[_Worker] = []

    def start(*_: Any, **__: Any) -> _Worker:
        if not has_room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        workers.append(_Worker())
        return workers[-1]

    gateways = some_workers(tmp_path, monkeypatch, start, lambda *_: None, count=2)
    try:
        gateways.start()
        first, second = gateways
        has_room[0], workers[1].running = False, False
        with pytest.raises(OSError, match="No space left"):
            gateways.start_again(second)
        with ExitStack() as stack:
            connect(gateways._port, stack)
            assert accepted(gateways._sockets[0]) == 20
        workers[0].running = False
        with pytest.raises(OSError, match="No space left"):
            gateways.start_again(first)
        with ExitStack() as stack:
            connect(gateways._port, stack)  # where none runs, they wait: the port is not given up
        accepted(gateways._sockets[0])
        has_room[0] = True
        gateways.start_again(first)
        gateways.start_again(second)
        with ExitStack() as stack:
            connect(gateways._port, stack)
            assert sum(accepted(listener) for listener in gateways._sockets) == 20
    finally:
        gateways.stop()


def test_a_journal_that_a_former_process_still_writes_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def start(_name: str, _module: str, arguments: list[str], *_: Any, **__: Any) -> _Worker:
        written.append(Path(arguments[arguments.index("--spool") + 1]).name)
        return _Worker()

    async def start_beside_a_writer() -> None:
        """As after a kill of `serve`: its gateway still serves its open requests."""
        home = Home(tmp_path).make()
        former = SpoolWriter(home.gateway_journal(0), asyncio.get_running_loop(), boot=1)
        gateways = Gateways(home, 2)
        gateways.listen("127.0.0.1", 0, Settings())
        try:
            gateways.start()
        finally:
            gateways.stop()
            await former.close()

    monkeypatch.setattr(gateways_module, "start", start)
    asyncio.run(start_beside_a_writer())
    assert written == ["gateway-1", "gateway-2"]
