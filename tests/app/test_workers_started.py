"""Workers of the gateway that are started while the database goes away, or a former one still writes."""

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from awaiting import PATIENCE_S
from clauseway.app.opening.home import Home
from clauseway.app.running import gateways as gateways_module
from clauseway.app.running.gateways import Gateways
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, Telemetry
from clauseway.spool import SpoolWriter
from ports import free_ports


class _Worker:
    """A process that runs until it is asked to leave."""

    name = "worker 0 of the gateway"

    def __init__(self) -> None:
        self.running, self.is_waited_for = True, False

    def ask_to_leave(self) -> None:
        self.running = False

    def stop(self, patience_s: float = 0.0) -> int:
        del patience_s
        self.running, self.is_waited_for = False, True
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
        assert started[0].is_waited_for, "else its number and its pipe stay"
        gateways.start_again(died)
        assert [worker.running for worker in started] == [False, False, True]
        assert gateways.dead() is None
    finally:
        gateways.stop()


@pytest.mark.parametrize(
    ("stop_delay_s", "expected"),
    [(0.0, ["plan", "revocations"]), (7.0, ["plan", "revocations", "stop"])],
    ids=["stops at once", "announces stops"],
)
def test_a_worker_hears_of_what_is_revoked_or_changed_while_it_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_delay_s: float, expected: list[str]
) -> None:
    """Revocations are announced by another thread; that one may come while a start waits for the database."""
    heard: list[str] = []
    settings = Settings(limits=Limits(stop_delay_s=stop_delay_s))

    def register(*_: Any) -> None:
        if gateways_started:
            gateways.heed_revocations()
            gateways.reload(settings)
            assert gateways.announce_stop() == settings.limits.stop_delay_s

    class Worker(_Worker):
        def heed_revocations(self) -> None:
            heard.append("revocations")

        def reload(self) -> None:
            heard.append("plan")

        def announce_stop(self) -> None:
            heard.append("stop")

    gateways_started: list[Worker] = []

    def start(*_: Any, **__: Any) -> Worker:
        gateways_started.append(Worker())
        return gateways_started[-1]

    gateways = some_workers(tmp_path, monkeypatch, start, register)
    try:
        gateways.start()
        assert heard == expected
    finally:
        gateways.stop()


def test_who_is_replaced_leaves_and_is_looked_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its journal is nobody's until it has left, and is ended for it where it ended badly."""

    class Worker(_Worker):
        def __init__(self, journal: str) -> None:
            super().__init__()
            self.journal, self.asked, self.code, self.patience_s = journal, False, 0, 0.0

        def ask_to_leave(self) -> None:
            self.asked = True

        def stop(self, patience_s: float = 0.0) -> int:
            self.running, self.patience_s = False, patience_s
            return self.code

        def reload(self) -> None:
            pass

    workers: list[Worker] = []
    ended: list[str] = []

    def start(_name: str, _module: str, arguments: list[str], *_: Any, **__: Any) -> Worker:
        workers.append(Worker(Path(arguments[arguments.index("--spool") + 1]).name))
        return workers[-1]

    def run(_name: str, _module: str, arguments: list[str], _log: Path) -> None:
        ended.append(Path(arguments[0]).name)

    monkeypatch.setattr(gateways_module, "run", run)
    gateways = some_workers(tmp_path, monkeypatch, start, lambda *_: None)
    reports: list[str] = []
    gateways.start()
    for _ in range(2):
        gateways.replace_all()
        gateways.reap(reports.append)
    assert [worker.journal for worker in workers] == ["gateway", "gateway-1", "gateway-2"]
    assert [worker.asked for worker in workers] == [True, True, False]
    workers[0].running = workers[1].running = False
    workers[1].code = -9
    for _ in range(2):
        gateways.reap(reports.append)
    assert reports == ["worker 0 of the gateway was replaced and ended with -9; its journal was ended."]
    assert ended == ["gateway-1"]
    gateways.replace_all()
    assert workers[3].journal == "gateway", "it is free again"
    gateways.reload(Settings(limits=Limits(drain_s=40.0)))
    gateways.stop()
    assert [worker.patience_s for worker in workers[2:]] == [55.0, 55.0], "whoever still leaves too"
    assert [worker.asked for worker in workers[2:]] == [True, True]


def test_figures_are_served_where_the_settings_say_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of the place holds for the processes that replace the present ones."""
    passed: list[int] = []

    class Worker(_Worker):
        def reload(self) -> None:
            pass

    def start(_name: str, _module: str, arguments: list[str], *_: Any, **__: Any) -> Worker:
        passed.append(arguments.count("--metrics-listener"))
        return Worker()

    def taken() -> list[bool]:
        """Return for each port whether somebody listens there."""
        heard = []
        for port in ports:
            with socket.socket() as client:
                heard.append(client.connect_ex(("127.0.0.1", port)) == 0)
        return heard

    monkeypatch.setattr(gateways_module, "start", start)
    monkeypatch.setattr(gateways_module, "register_spool", lambda *_: None)
    ports = free_ports(3)
    first, second = (Settings(telemetry=Telemetry(metrics=True, metrics_port=port)) for port in ports[:2])
    gateways = Gateways(Home(tmp_path).make(), 1)
    gateways.listen("127.0.0.1", ports[2], first)
    gateways.start()
    assert taken() == [True, False, True]
    for settings, expected in (
        (first, [True, False, True]),  # the port is not given up meanwhile
        (second, [False, True, True]),
        (Settings(), [False, False, True]),
        (second, [False, True, True]),
    ):
        gateways.reload(settings)
        gateways.replace_all()
        assert taken() == expected
    assert passed == [1, 1, 1, 0, 1]
    gateways.stop()
    assert taken() == [False] * 3


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


def test_workers_start_together_behind_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first alone shows whether the plan can be served, and makes what all of them share."""
    together = threading.Barrier(3)
    journals: list[str] = []

    def start(_name: str, _module: str, arguments: list[str], *_: Any, **__: Any) -> _Worker:
        journals.append(Path(arguments[arguments.index("--spool") + 1]).name)
        if len(journals) > 1:
            together.wait(PATIENCE_S)
        return _Worker()

    gateways = some_workers(tmp_path, monkeypatch, start, lambda *_: None, count=4)
    try:
        gateways.start()
        assert sorted(journals) == ["gateway", "gateway-1", "gateway-2", "gateway-3"]
        assert len(list(gateways)) == 4
    finally:
        gateways.stop()


def test_a_worker_that_fails_beside_others_leaves_none_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[_Worker] = []

    def start(name: str, *_: Any, **__: Any) -> _Worker:
        if name == "worker 1 of the gateway":
            raise OSError(errno.ENOSPC, "No space left on device")
        started.append(_Worker())
        return started[-1]

    gateways = some_workers(tmp_path, monkeypatch, start, lambda *_: None, count=4)
    with pytest.raises(OSError, match="No space left"):
        gateways.start()
    gateways.stop()
    assert started, "the first at least"
    assert all(worker.is_waited_for for worker in started)


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
