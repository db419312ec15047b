"""A command that waits for signals hears them, however many come at once; and one whose reader leaves ends quietly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import settled_book
from in_process import CLAUSEWAY

# The second signal comes in the middle of the first one's handler.
TWO_AT_ONCE = """
import os, signal, sys
from clauseway.cli.signals import stop_on_signals
until, sent = stop_on_signals(), []
def in_the_handler(frame, happening, argument):
    if happening == "call" and frame.f_code.co_name in ("set", "put", "notify_all", "<lambda>") and len(sent) < 5:
        sent.append(os.kill(os.getpid(), signal.SIGTERM))
sys.setprofile(in_the_handler)
os.kill(os.getpid(), signal.SIGTERM)
print(until.wait(), until.wait(0.0), until.is_set(), len(sent) > 1)
"""


def test_signals_that_come_together_are_heard() -> None:
    ended = subprocess.run([sys.executable, "-c", TWO_AT_ONCE], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "True True True True\n"


def test_a_wait_ends_without_a_signal_too() -> None:
    code = "from clauseway.cli.signals import stop_on_signals\nprint(stop_on_signals().wait(0.01))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "False\n"


# Its handler runs until the time of the wait is over, as it does on a busy machine.
ANOTHER_AT_THE_END = """
import signal, time
from clauseway.cli.signals import set_on, stop_on_signals
until, reload = stop_on_signals(), set_on(signal.SIGHUP)
def hear(*_):
    reload.set()
    time.sleep(0.2)
signal.signal(signal.SIGHUP, hear)
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGHUP))
signal.setitimer(signal.ITIMER_REAL, 0.05)
print(until.wait(0.1), reload.is_set())
"""


def test_a_wait_ends_although_another_signal_came_at_its_end() -> None:
    code = ANOTHER_AT_THE_END
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "False True\n"


LEFT = [
    (["statement", "--period", "2026-05"], 0),
    (["statement", "--period", "2026-05", "--json"], 0),
    (["agreement", "terms"], 0),
    (["--help"], 0),
    (["statement", "--help"], 0),
    # A refused command stays refused.
    (["statement", "--json"], 3),
    (["statement"], 3),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settled_book.make(tmp_path_factory.mktemp("book") / "home").root


@pytest.mark.parametrize(("words", "code"), LEFT, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_reader_that_leaves_is_no_failure(words: list[str], code: int, home: Path) -> None:
    """As `clauseway statement | head -1` does it, but here the reader has left before the first byte."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [CLAUSEWAY, *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"CLAUSEWAY_HOME": str(home)},
    )
    os.close(writer)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert (ended.stderr == "") == (code == 0 or "--json" in words)


def test_a_pipe_of_its_own_that_breaks_is_a_failure(tmp_path: Path) -> None:
    code = """
import sys
from clauseway import cli
def broken(*_, **__):
    raise BrokenPipeError(32, "Broken pipe")
import clauseway.cli.money.statement as statement
statement.settled_statement = broken
sys.exit(cli.run(["statement", "--period", "2026-05", "--home", sys.argv[1]]))
"""
    home = settled_book.make(tmp_path / "home").root
    ended = subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, "Broken pipe" in ended.stderr) == (1, True)
