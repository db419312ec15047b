"""The simulated clouds in a thread of the tests' own process; `test_sandbox_process` runs them as one of their own."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import httpx
import msgspec
import pytest
import uvloop

from clauseway.sandbox.clouds import FAKE_CLOUDS
from clauseway.sandbox.server import serve

PATIENCE_S = 60.0  # an upper bound for a busy machine, never the measure
# One client for all: to make one takes longer than a request.
ADMINISTRATION = httpx.Client(verify=False, timeout=PATIENCE_S)


class Clouds(msgspec.Struct, frozen=True):
    """Where the clouds listen, and their administration."""

    ports: dict[str, int]

    def url(self, cloud: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[cloud]}{path}"

    def counts(self, cloud: str) -> dict[str, int]:
        counts: dict[str, dict[str, int]] = ADMINISTRATION.get(self.url(cloud, "/sandbox/counts")).json()
        return counts[cloud]

    def attempts(self, cloud: str) -> list[dict[str, object]]:
        attempts: list[dict[str, object]] = ADMINISTRATION.get(self.url(cloud, "/sandbox/attempts")).json()
        return [attempt for attempt in attempts if attempt["cloud"] == cloud]

    def add_fault(self, cloud: str, **rule: object) -> None:
        assert ADMINISTRATION.post(self.url(cloud, "/sandbox/faults"), json=rule).status_code == 200

    def clear_faults(self) -> None:
        for cloud in self.ports:
            assert ADMINISTRATION.delete(self.url(cloud, "/sandbox/faults")).json() == []


class _Thread(threading.Thread):
    """The clouds' event loop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ready = threading.Event()
        self.ports: dict[str, int] = {}

    def run(self) -> None:
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._until = asyncio.get_running_loop(), asyncio.Event()
        await serve("127.0.0.1", dict.fromkeys(FAKE_CLOUDS, 0), [], self._on_ready, self._until)

    def _on_ready(self, ports: Mapping[str, int]) -> None:
        self.ports = dict(ports)
        self.ready.set()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._until.set)
        self.join(PATIENCE_S)
        assert not self.is_alive()


@pytest.fixture(scope="session")
def running_clouds() -> Iterator[Clouds]:
    thread = _Thread()
    thread.start()
    assert thread.ready.wait(PATIENCE_S)
    yield Clouds(thread.ports)
    thread.stop()


@pytest.fixture
def clouds(running_clouds: Clouds) -> Iterator[Clouds]:
    yield running_clouds
    running_clouds.clear_faults()


def replaced(name: str, old: str, new: str) -> Callable[[dict[str, str]], None]:
    """A change of a signed header, which must not pass."""

    def change(headers: dict[str, str]) -> None:
        assert old in headers[name]
        headers[name] = headers[name].replace(old, new)

    return change
