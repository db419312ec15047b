"""Workers of the gateway that are started while the database goes away."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from clauseway.app.opening.home import Home
from clauseway.app.running import gateways as gateways_module
from clauseway.app.running.gateways import Gateways
from clauseway.gateway.plan.settings import Settings


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


def test_a_worker_that_runs_and_cannot_be_registered_leaves_before_another_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[_Worker] = []

    def start(*_: Any, **__: Any) -> _Worker:
        assert not any(worker.running for worker in started), "the former one writes the journal"
        started.append(_Worker())
        return started[-1]

    register = _Register()
    monkeypatch.setattr(gateways_module, "start", start)
    monkeypatch.setattr(gateways_module, "register_spool", register)
    gateways = Gateways(Home(tmp_path).make(), 1)
    gateways.listen("127.0.0.1", 0, Settings())
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
