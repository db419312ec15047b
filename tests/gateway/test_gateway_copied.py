"""A gateway whose journal has a copy at a follower, as processes that are killed under load: what was answered is in
the copy, the gateway says how it stands, and goes on by itself once the follower is back."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from gateway_rig import AUTHORIZED, MESSAGES, MODEL, Rig

from awaiting import eventually
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Copying, Settings, Telemetry
from clauseway.spool import alone_periods, identity_of, read_frames
from clauseway.spool.reader import positions
from copied import SECRET, numbers_in
from ports import free_ports
from small_disks import small_disk

CLIENTS = 6
When = Literal["refuse", "alone"]
PATIENCE_S = 60.0
HTTP = httpx.Client(timeout=PATIENCE_S)


class FollowerProcess:
    """`clauseway journal follow`, at one port over all its lives. `clock_s` is how wrong its clock is."""

    def __init__(self, root: Path, folder: Path | None = None, clock_s: int = 0) -> None:
        self.folder = folder or root / "copies"
        self.secret = root / "follower.secret"
        self.secret.write_bytes(SECRET)
        self._errors, self._clock_s = root / "follower.err", clock_s
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        shifted = f"import time; now = time.time; time.time = lambda: now() + {self._clock_s}; "
        command = [sys.executable, "-c", shifted + "import sys; from clauseway.cli import main; sys.exit(main())"]
        command += ["journal", "follow", "--listen", f"127.0.0.1:{self.port}", "--dir", str(self.folder)]
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [*command, "--secret-file", str(self.secret), "--json"], stdout=subprocess.PIPE, stderr=errors
            )
        assert self._process.stdout is not None
        said = b""
        while b'"listening"' not in said:
            line = self._process.stdout.readline()
            assert line, said.decode() + self.errors()
            said += line

    def errors(self) -> str:
        return self._errors.read_text()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def copy(self) -> Path:
        (directory,) = self.folder.iterdir()
        return directory


@contextlib.contextmanager
def followed(
    rig: Rig, when_away: When = "refuse", *, folder: Path | None = None, clock_s: int = 0, patience_s: float = 1.0
) -> Iterator[FollowerProcess]:
    """A gateway with a follower, both running."""
    follower = FollowerProcess(rig.home, folder, clock_s)
    follower.start()
    try:
        start(rig, follower, when_away, patience_s=patience_s)
        yield follower
    finally:
        follower.kill()


def start(
    rig: Rig, follower: FollowerProcess, when_away: When = "refuse", secret: Path | None = None, patience_s: float = 1.0
) -> None:
    if "azure" not in rig.clouds:
        rig.cloud("azure")
    copying = Copying(
        copies=1,
        follower=f"127.0.0.1:{follower.port}",
        secret_file=str(secret or follower.secret),
        when_away=when_away,
        patience_s=patience_s,
    )
    settings = Settings(limits=Limits(drain_s=5.0), journal=copying, telemetry=Telemetry(metrics=True, metrics_port=0))
    rig.start(rig.plan(settings=settings))


def post(rig: Rig) -> httpx.Response:
    body = {"model": MODEL, "messages": MESSAGES}
    return HTTP.post(f"{rig.url}/v1/chat/completions", json=body, headers=AUTHORIZED)


def ready(rig: Rig) -> httpx.Response:
    return HTTP.get(f"{rig.url}/readyz")


def served_again(rig: Rig) -> bool:
    answer = ready(rig)
    return answer.status_code == 200 and answer.json()["copies"] == 1


def figure(rig: Rig, name: str) -> float:
    lines = HTTP.get(f"http://127.0.0.1:{rig.ports['metrics']}/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name} ")]
    return float(line.split(" ")[1])


class Load:
    """Clients that ask on and on; the requests whose answers they got whole."""

    def __init__(self, rig: Rig) -> None:
        self.answered: set[str] = set()
        self.refused: set[str] = set()
        self._rig, self._over = rig, threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _ask(self) -> None:
        body = {"model": MODEL, "messages": MESSAGES}
        with httpx.Client(timeout=PATIENCE_S, headers=AUTHORIZED) as client:
            while not self._over.is_set():
                try:
                    answer = client.post(f"{self._rig.url}/v1/chat/completions", json=body)
                except httpx.HTTPError:
                    self._over.wait(0.05)
                    continue
                if answer.status_code == 200:
                    self.answered.add(answer.headers["x-clauseway-request-id"])
                else:
                    self.refused.add(answer.json()["error"]["code"])
                    self._over.wait(0.05)

    def grows(self, by: int) -> None:
        until = len(self.answered) + by
        eventually(lambda: len(self.answered) >= until)


def requests_in(directory: Path) -> list[str]:
    return [
        str(record.request)
        for place in positions(directory)
        for record in read_frames(directory, place.segment, 0, 1 << 40).records
    ]


def test_a_gateway_killed_under_load_and_its_directory_removed(rig: Rig) -> None:
    """The clock of the follower is a month behind: nothing depends on it."""
    with followed(rig, clock_s=-30 * 86_400, patience_s=50.0) as follower:
        assert ready(rig).json()["copies"] == 1
        with Load(rig) as load:
            load.grows(60)
            rig.kill()
        shutil.rmtree(rig.spool)
        recorded = requests_in(follower.copy())
        assert len(recorded) == len(set(recorded))
        assert load.answered <= set(recorded)
        assert load.refused == set()


def events_of_the_copy(rig: Rig) -> list[str]:
    """Read them from the log, whose thread may still be writing its last line."""
    lines = [line for line in rig.errors().splitlines() if line.startswith("{") and line.endswith("}")]
    events = [json.loads(line)["event"] for line in lines]
    return [event for event in events if event.startswith("journal cop")]


@pytest.mark.parametrize("when_away", ["refuse", "alone"])
def test_a_follower_killed_under_load_and_started_again(rig: Rig, when_away: When) -> None:
    with followed(rig, when_away) as follower, Load(rig) as load:
        load.grows(20)
        follower.kill()
        if when_away == "refuse":
            eventually(lambda: ready(rig).status_code == 503)
            for refused in (ready(rig), post(rig), HTTP.get(f"{rig.url}/healthz")):
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_copy_missing")
                assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("5", "true")
                assert "is away" in refused.json()["error"]["message"]
        else:
            eventually(lambda: ready(rig).json()["copies"] == 0)
            assert "usage has one copy until it is back" in ready(rig).json()["journal"]
            load.grows(20)
            assert figure(rig, "clauseway_journal_commits_alone_total") > 0
        assert figure(rig, "clauseway_journal_copy_away") == 1
        assert figure(rig, "clauseway_journal_full") == 0
        follower.start()
        eventually(lambda: served_again(rig))
        load.grows(20)
        eventually(lambda: figure(rig, "clauseway_journal_copy_away") == 0)
        eventually(lambda: events_of_the_copy(rig)[-1] == "journal copied again")
        rig.kill()
    assert load.answered <= set(requests_in(follower.copy())), "what was answered alone came later"
    # The head of a request may have come while the copy was missing, and its body when it was back.
    assert load.refused - {"changed_meanwhile"} == ({"journal_copy_missing"} if when_away == "refuse" else set())
    assert bool(alone_periods(rig.spool)) is (when_away == "alone")
    assert events_of_the_copy(rig)[0] == "journal copy away"


def test_both_killed_and_the_gateways_disk_is_there(rig: Rig) -> None:
    with followed(rig) as follower:
        with Load(rig) as load:
            load.grows(20)
            follower.kill()
            rig.kill()
        follower.start()
        start(rig, follower)
        eventually(lambda: served_again(rig))
        eventually(lambda: post(rig).status_code == 200)  # a follower that takes a second is away for a while
        assert load.answered <= set(requests_in(follower.copy())) & set(requests_in(rig.spool))
        rig.stop()
        assert follower.stop() == 0


def test_a_follower_whose_disk_is_full(rig: Rig, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 << 20) as disk, followed(rig, folder=disk.path / "copies") as follower:
        eventually(lambda: post(rig).status_code == 200)
        disk.fill()
        with Load(rig) as load:
            eventually(lambda: "journal_copy_missing" in load.refused)
            eventually(lambda: "its disk is full" in ready(rig).text)
            disk.clear()
            eventually(lambda: served_again(rig))
            load.grows(10)
            rig.kill()
        assert load.answered <= set(requests_in(follower.copy()))


def test_a_gateway_that_starts_without_its_follower_waits_for_it(rig: Rig) -> None:
    follower = FollowerProcess(rig.home)
    follower.start()
    follower.kill()
    start(rig, follower)
    eventually(lambda: ready(rig).status_code == 503)
    follower.start()
    eventually(lambda: served_again(rig))
    eventually(lambda: post(rig).status_code == 200)
    other = rig.home / "other.secret"
    other.write_text("f" * 32)
    rig.stop()
    start(rig, follower, secret=other)
    eventually(lambda: "another secret" in ready(rig).text)
    rig.kill()
    follower.kill()
    assert identity_of(rig.spool) is not None
    assert numbers_in(follower.copy())
