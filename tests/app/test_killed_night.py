"""`up` killed in the middle of its night: its processes leave, what was recorded stays, and the next one starts."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from clauseway import spool
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.metering import Intent, RequestId, UsageRecord

CLAUSEWAY = Path(sys.executable).parent / "clauseway"
LEAVE_TIMEOUT_S = 60


@contextmanager
def running_night(home: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [CLAUSEWAY, "up", "--home", str(home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as up:
        try:
            yield up
        finally:
            up.kill()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def await_exit(handles: list[int]) -> None:
    """A process handle is readable once the process has ended."""
    waiting = set(handles)
    while waiting:
        ended, _, _ = select.select(waiting, [], [], LEAVE_TIMEOUT_S)
        assert ended, "a child outlives its parent"
        waiting -= set(ended)


def test_after_a_kill_nothing_recorded_is_lost_and_up_starts_again(tmp_path: Path) -> None:
    with running_night(tmp_path) as up:
        assert up.stdout is not None
        # Killed as soon as the simulated clock is past the amendment: requests are in flight.
        next(line for line in up.stdout if line.startswith("27 Apr"))
        handles = [os.pidfd_open(pid) for pid in children(up.pid)]
        assert len(handles) == 3  # clouds, gateway, pages
        up.send_signal(signal.SIGKILL)
        await_exit(handles)
    home = Home((tmp_path / "up" / "latest").resolve())
    intents, ended = attempts(home)
    assert len(intents) > 500
    assert ended <= intents
    still_open = {key(attempt.intent) for attempt in spool.open_attempts(home.spools / "gateway")}
    assert still_open == intents - ended
    sealed = seal(home)
    assert (sealed.usage, sealed.intents, sealed.damages) == (len(ended), len(intents), ())
    with open_lake(home) as lake:
        assert sum(pq.read_metadata(path).num_rows for path in lake.files()) == len(ended)
    again = subprocess.run(
        [CLAUSEWAY, "up", "--once", "--limit", "40", "--json", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert json.loads(again.stdout)["progress"]["done"] == 40


def key(record: Intent | UsageRecord) -> tuple[RequestId, int]:
    return record.request, record.attempt


def attempts(home: Home) -> tuple[set[tuple[RequestId, int]], set[tuple[RequestId, int]]]:
    """The attempts begun and those ended that the spool holds."""
    directory = home.spools / "gateway"
    begun: set[tuple[RequestId, int]] = set()
    ended: set[tuple[RequestId, int]] = set()
    for position in spool.positions(directory):
        batch = spool.read_frames(directory, position.segment, 0, 10**9)
        begun |= {key(intent) for intent in batch.intents}
        ended |= {key(record) for record in batch.records}
        assert batch.damages == ()
    return begun, ended
