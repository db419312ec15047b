"""Workers of the gateway that are started while the database goes away, or a former one still writes."""

import asyncio
from collections.abc import Callable
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


def one_worker(
    folder: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[..., _Worker], register: Callable[..., None]
) -> Gateways:
    """Gateways of one worker, which starts and is registered in these ways."""
    monkeypatch.setattr(gateways_module, "start", start)
    monkeypatch.setattr(gateways_module, "register_spool", register)
    gateways = Gateways(Home(folder).make(), 1)
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
    gateways = one_worker(tmp_path, monkeypatch, start, register)
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

    gateways = one_worker(tmp_path, monkeypatch, start, register)
    try:
        gateways.start()
        assert heard == ["revocations"]
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
