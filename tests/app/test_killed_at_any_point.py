"""Request, commit, seal, compaction, settlement and close, killed at any point: all is there, once."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from soak import examples

STEPS = Path(__file__).with_name("crash_steps.py")
KILLED, FULL, DONE = 99, 98, 0
KILLS = examples(54)
# From which point on, and up to which, a step is killed: the first dozen only open the database.
POINTS = {"serve": (0, 50), "seal": (0, 120), "merge": (10, 36), "settle": (10, 50), "close": (0, 28)}
NEVER = 1 << 30


class Server:
    """The process that runs steps, each in a process of its own, in one home."""

    def __init__(self, process: "subprocess.Popen[str]", home: Path) -> None:
        self._process, self.home, self.boot = process, home, 0

    def step(self, name: str, at: int = NEVER, *, full: bool = False) -> tuple[int, Any]:
        """Its exit code, and what it gave where it came to its end."""
        self.boot += 1
        result = self.home / "result.json"
        result.unlink(missing_ok=True)
        asked = {"step": name, "home": str(self.home), "boot": self.boot, "at": at, "full": full}
        asked["result"] = str(result)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        return code, json.loads(result.read_text()) if code == DONE else None

    def state(self) -> dict[str, Any]:
        code, outcome = self.step("state")
        assert code == DONE
        assert isinstance(outcome, dict)
        return outcome


@contextmanager
def running(home: Path) -> Iterator[Server]:
    home.mkdir(exist_ok=True)
    with subprocess.Popen([sys.executable, STEPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process, home)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("killed")) as outcome:
        yield outcome


def all_is_well(outcome: dict[str, Any]) -> None:
    problems = {name: outcome[name] for name in ("missing", "twice", "rollups", "unlisted", "manifest", "ids_twice")}
    assert problems == {"missing": [], "twice": 0, "rollups": 0, "unlisted": 0, "manifest": 0, "ids_twice": 0}
    assert float(outcome["journal"]) == 0


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_killed_at_any_point_everything_is_there_once(server: Server) -> None:
    chance, killed, passed = random.Random(42), 0, dict.fromkeys(POINTS, 0)
    while killed < KILLS:
        for name in ("serve", "seal", "merge", "settle"):
            code, _ = server.step(name, chance.randrange(*POINTS[name]))
            assert code in (KILLED, DONE)
            killed, passed[name] = killed + (code == KILLED), passed[name] + (code == KILLED)
            if name == "seal" and chance.random() < 0.5:
                assert server.step("seal")[0] == DONE  # so that there is something to merge
        if chance.random() < 0.15:
            all_is_well(server.state())
    assert min(passed[name] for name in ("serve", "seal", "merge", "settle")) > KILLS // 10
    all_is_well(server.state())
    # Whatever died is done at last: all that was answered is in the lake, and settled once.
    for name in ("seal", "merge", "settle"):
        assert server.step(name)[0] == DONE
    before = server.state()
    assert server.step("settle")[0] == DONE
    after = server.state()
    all_is_well(after)
    assert after["rows"] >= after["answered"] > 0
    assert after["income"] == before["income"] != "0"
    for at in range(0, POINTS["close"][1], 3):
        if server.step("close", at)[0] == DONE:
            break
    assert server.step("close")[0] == DONE
    assert server.state() == after


def test_answering_before_the_record_is_durable_is_found_out(tmp_path: Path) -> None:
    chance = random.Random(7)
    with running(tmp_path / "early") as server:
        for _ in range(6):
            server.step("serve early", chance.randrange(10, 40))
        assert server.state()["missing"] != []


@pytest.mark.slow
def test_on_a_full_disk_nothing_is_lost_and_all_is_done_once_there_is_room(tmp_path: Path) -> None:
    chance = random.Random(28)
    with running(tmp_path / "full") as server:
        refused = 0
        for place in range(examples(5)):
            for name in ("serve", "seal", "merge", "settle"):
                code, _ = server.step(name, chance.randrange(*POINTS[name]), full=True)
                assert code in (FULL, DONE)
                refused += code == FULL
            if place % 2:
                all_is_well(server.state())
        assert refused > examples(3)
        for name in ("serve", "seal", "merge", "settle"):
            assert server.step(name)[0] == DONE
        outcome = server.state()
    all_is_well(outcome)
    assert outcome["rows"] >= outcome["answered"] > 0
