"""A few hundred inputs for every reader, and again each input that once broke a law. `make soak` gives 100,000 each."""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from fuzzing import (
    KEPT,
    SLICED,
    Fuzzed,
    Progress,
    Run,
    fuzz,
    is_stopped,
    kept_inputs,
    merged,
    names,
    readers_without,
    slices,
)

from commits import described
from kill_stage import PATIENCE_S, command_line, descendants, eventually

ROOT = Path(__file__).parents[2]
READERS = list(names())
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fuzzed() -> Mapping[str, Fuzzed]:
    """All readers in one process that is not this one: whatever an input does, the others are read."""
    return {each.reader: each for each in fuzz()}


@pytest.mark.parametrize("name", READERS)
def test_no_input_breaks_a_law(fuzzed: Mapping[str, Fuzzed], name: str) -> None:
    """A value or an error of the reader's own; no end of the process, no memory and no time without bound."""
    read = fuzzed[name]
    assert [(each.number, each.how, each.where) for each in read.broken] == []
    assert read.values, "some inputs get through to the end"
    assert read.refused, "and some are refused"


def test_each_kept_input_belongs_to_a_reader() -> None:
    assert {path.name for path in KEPT.iterdir()} <= set(READERS)
    assert all(list(kept_inputs(path.name)) for path in KEPT.iterdir())


def test_each_address_of_the_openapi_documents_is_among_the_inputs() -> None:
    """The readers of HTTP draw from the documents themselves, so a new address is fuzzed without a word."""
    source = (ROOT / "tests/readers/fuzzed_readers.py").read_text()
    assert set(re.findall(r'_operations\("([\w.]+)"\)', source)) == {
        path.name for path in (ROOT / "docs/openapi").glob("*.json")
    }


def test_inputs_before_one_that_ended_the_process_are_counted() -> None:
    """As if an input ended it: the process is killed while it reads, and a new one reads on."""
    killed = Thread(target=_kill_once_it_reads, args=("rates", 20))
    killed.start()
    (fuzzed,) = fuzz(["rates"], seed="killed", last=3_000)
    killed.join()
    assert [broken.how[:26] for broken in fuzzed.broken] == ["the process ended with -9,"]
    assert fuzzed.broken[0].number >= 20
    assert fuzzed.inputs == fuzzed.values + fuzzed.refused == 3_000


def _kill_once_it_reads(name: str, number: int) -> None:
    while True:
        os.sched_yield()
        for children in Path("/proc/self/task").glob("*/children"):
            for child in children.read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
                if "--child" in words and name in words:
                    progress = Progress(Path(words[words.index("--child") + 1]) / "progress")
                    while progress.place[0] < number:
                        os.sched_yield()
                    os.kill(int(child), signal.SIGKILL)
                    return


FUZZED = Fuzzed("rates", 100, 10, 90, (), 1.0, 0.5, 2.0)


def test_one_reader_alone_can_be_added_to_the_record_of_the_longest_run() -> None:
    """Results of other readers stay, each input is of a seed and a commit, and no input is read again."""
    first = Run("3", "abc", once=True).record([FUZZED, msgspec.structs.replace(FUZZED, reader="packs")], {})
    record = Run("3", "def", once=True).record([msgspec.structs.replace(FUZZED, reader="books")], first)
    record = Run("4", "def", once=True).record([msgspec.structs.replace(FUZZED, slowest_s=0.75)], record)
    assert record["seeds"] == ["3", "4"]
    assert record["runs"] == [
        {"seed": "3", "commit": "abc", "readers": ["rates", "packs"]},
        {"seed": "3", "commit": "def", "readers": ["books"]},
        {"seed": "4", "commit": "def", "readers": ["rates"]},
    ]
    readers = {each["name"]: (each["inputs"], each["seeds"], each["slowest_s"]) for each in record["readers"]}
    assert readers == {"packs": (100, ["3"], 0.5), "books": (100, ["3"], 0.5), "rates": (200, ["3", "4"], 0.75)}
    assert set(READERS) - set(readers_without("3", record)) == {"packs", "books", "rates"}
    assert set(READERS) - set(readers_without("4", record)) == {"rates"}


def test_slices_together_are_the_reader() -> None:
    """Slow readers are cut, others whole; what came of the slices adds up."""
    assert set(SLICED) <= set(READERS)
    assert list(slices("packs", 60_000)) == [(0, 25_000), (25_000, 50_000), (50_000, 60_000)]
    assert list(slices("rates", 60_000)) == [(0, 60_000)]
    assert list(slices("packs", 0)) == [(0, 0)], "as many as in the suite"
    (whole,) = merged([FUZZED, msgspec.structs.replace(FUZZED, memory_mb=3.0, values=20, refused=80)])
    assert whole == Fuzzed("rates", 200, 30, 170, (), 3.0, 0.5, 4.0)
    assert [each.inputs for each in fuzz(["rates"], first=10, last=30)] == [20]


def test_a_reader_that_somebody_stopped_does_not_hang() -> None:
    with subprocess.Popen(["sleep", "60"]) as reading:
        for number, expected in ((signal.SIGSTOP, True), (signal.SIGCONT, False)):
            reading.send_signal(number)
            os.waitid(os.P_PID, reading.pid, os.WSTOPPED | os.WCONTINUED)
            assert is_stopped(reading.pid) is expected
        reading.kill()


def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    """Neither the one that reads nor the gateway that this one has started."""
    command = [sys.executable, str(ROOT / "tests/readers/fuzzing.py"), "--reader", "gateway", "--inputs", "1000000"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as run:
        eventually(lambda: any("clauseway.gateway" in command_line(pid) for pid in descendants(run.pid)), "its gateway")
        ends = [os.pidfd_open(pid) for pid in descendants(run.pid)]
        run.kill()
        assert len(ends) >= 2
        for end in ends:
            assert select.select([end], [], [], PATIENCE_S)[0], "it goes on"
            os.close(end)


def test_the_record_is_written_after_each_reader(tmp_path: Path) -> None:
    """A run that is ended keeps what it did, and the same command goes on with the others."""
    record = tmp_path / "record.json"
    words = ["--reader", "rates", "--reader", "copies", "--inputs", "50", "--seed", "a", "--once"]
    command = [sys.executable, str(ROOT / "tests/readers/fuzzing.py"), *words, "--record", str(record)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        eventually(lambda: record.exists() or process.poll() is not None, "a record")
        process.kill()
    assert [each["name"] for each in json.loads(record.read_text())["readers"]][:1] == ["rates"]
    assert subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == 0
    names_and_inputs = {each["name"]: each["inputs"] for each in json.loads(record.read_text())["readers"]}
    assert names_and_inputs == {"rates": 50, "copies": 50}


def test_a_record_of_a_run_is_no_change_of_what_was_run(tmp_path: Path) -> None:
    """Kills and seeds write theirs before the readers are fuzzed; a changed source is a change."""
    for path in ("bench/evidence/kills.json", "docs/evidence.md", "src/a.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a", "commit", "-qm", "a"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    clean = described(tmp_path)
    (tmp_path / "bench/evidence/kills.json").write_text("2")
    (tmp_path / "docs/evidence.md").write_text("2")
    assert described(tmp_path) == clean
    (tmp_path / "src/a.py").write_text("2")
    assert described(tmp_path) == f"{clean}-dirty"
