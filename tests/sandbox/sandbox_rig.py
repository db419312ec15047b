"""The simulated clouds as the process that they are, one for all tests of this room."""

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import msgspec
import pytest


class Clouds(msgspec.Struct, frozen=True):
    """Where the clouds listen, and their administration."""

    ports: dict[str, int]

    def url(self, cloud: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[cloud]}{path}"

    def counts(self, cloud: str) -> dict[str, int]:
        counts: dict[str, dict[str, int]] = httpx.get(self.url(cloud, "/sandbox/counts")).json()
        return counts[cloud]

    def add_fault(self, cloud: str, **rule: object) -> None:
        assert httpx.post(self.url(cloud, "/sandbox/faults"), json=rule).status_code == 200

    def clear_faults(self) -> None:
        for cloud in self.ports:
            assert httpx.delete(self.url(cloud, "/sandbox/faults")).json() == []


@pytest.fixture(scope="session")
def running_clouds() -> Iterator[Clouds]:
    command = [sys.executable, "-m", "clauseway.sandbox"]
    for cloud in ("openai", "azure", "bedrock", "bedrock-runtime", "vertex", "oracle"):
        command += [f"--{cloud}-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Clouds(ready["ports"])
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def clouds(running_clouds: Clouds) -> Iterator[Clouds]:
    yield running_clouds
    running_clouds.clear_faults()
