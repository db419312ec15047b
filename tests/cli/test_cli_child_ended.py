"""A process that `serve` and the sandbox keep running is ended from outside: which, by what, and what to do."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from awaiting import eventually
from deployments import deployment

CLAUSEWAY = Path(sys.executable).parent / "clauseway"
# `clauseway` to which an hour is what a minute is: a busy machine may take as long to die often.
PATIENT = """
import sys
from clauseway.app.running import serving
from clauseway.cli import main
serving._ENDS_WITHIN_S = 3600.0
serving._PAGES_AGAIN_AFTER_S = 3600.0
sys.exit(main())
"""
# `clauseway` that is asked to read everything anew, and to replace its processes, before it has begun to serve.
ASKED_EARLY = """
import os, signal, sys
from clauseway import cli
from clauseway.__main__ import main
libraries_of = cli.libraries_of
def asked_early(*words):
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGUSR2)
    return libraries_of(*words)
cli.libraries_of = asked_early
sys.exit(main())
"""
READY = {"gateway sandbox": "Ctrl-C stops them", "serve": "curl"}


@contextlib.contextmanager
def running(
    home: Path, words: str, *more: str, launcher: Sequence[str | Path] = (CLAUSEWAY,)
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that keeps processes running, from when it says that they are ready, and what it said until then."""
    (home / "clouds.toml").write_text(deployment())
    with subprocess.Popen(
        [*launcher, *words.split(), *more, "--home", str(home / "home")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        try:
            lines = [next(command.stdout)]
            while READY[words] not in lines[-1]:
                lines.append(next(command.stdout))
            yield command, "".join(lines)
        finally:
            command.kill()


SERVE = ("--port", "0", "--pages-port", "0", "--config", "clouds.toml")


def children_of(command: subprocess.Popen[str], module: str = "") -> list[int]:
    threads = Path(f"/proc/{command.pid}/task").glob("*/children")  # each lists what it started itself
    children = [child for thread in threads for child in thread.read_text().split()]
    return [int(child) for child in children if module in Path(f"/proc/{child}/cmdline").read_text()]


def is_named(said: str, name: str) -> None:
    assert "failure of ours" not in said
    assert f"the process of {name} was ended by signal 9 (SIGKILL)" in said
    assert "Start the command again." in said


def test_a_process_ended_by_a_signal_is_named(tmp_path: Path) -> None:
    with running(tmp_path, "gateway sandbox", "--openai-port", "0") as (command, _):
        for child in children_of(command):
            os.kill(child, signal.SIGKILL)
        assert command.stderr is not None
        said = command.stderr.read()
        assert command.wait() == 1
    is_named(said, "the sandbox clouds")


@pytest.mark.parametrize(("name", "module"), [("the gateway", "clauseway.gateway"), ("the pages", "running.pages")])
def test_a_process_of_serve_that_dies_is_started_again_at_its_port(name: str, module: str, tmp_path: Path) -> None:
    """And where it dies again and again, the command ends and names it; without pages the gateway serves on."""
    with running(tmp_path, "serve", *SERVE, launcher=(sys.executable, "-c", PATIENT)) as (command, said):
        assert command.stderr is not None
        gateway, pages = re.findall(r"http://127\.0\.0\.1:\d+", said)[:2]
        for _ in range(3):
            (child,) = children_of(command, module)
            os.kill(child, signal.SIGKILL)
            assert re.match(rf"{name} ended \(-9\) and (was|were) started again\.", command.stderr.readline())
            assert httpx.get(f"{gateway}/healthz").status_code == 200
            assert httpx.get(pages).status_code == 200
        (child,) = children_of(command, module)
        os.kill(child, signal.SIGKILL)
        if name == "the pages":
            assert "end again and again" in command.stderr.readline()
            assert httpx.get(f"{gateway}/healthz").status_code == 200
            return
        said = command.stderr.read()
        assert command.wait() == 1
    is_named(said, name)


def test_signals_that_come_while_it_starts_end_nothing(tmp_path: Path) -> None:
    """As `systemctl reload` right after `systemctl start`."""
    with running(tmp_path, "serve", *SERVE, launcher=(sys.executable, "-c", ASKED_EARLY)) as (command, said):
        gateway, _ = re.findall(r"http://127\.0\.0\.1:\d+", said)[:2]
        assert httpx.get(f"{gateway}/healthz").status_code == 200
        command.terminate()
        assert command.wait() == 0


def test_a_signal_replaces_the_gateways_processes(tmp_path: Path) -> None:
    with running(tmp_path, "serve", *SERVE) as (command, said):
        gateway, _ = re.findall(r"http://127\.0\.0\.1:\d+", said)[:2]
        (old,) = children_of(command, "clauseway.gateway")
        command.send_signal(signal.SIGUSR2)
        eventually(lambda: [new for new in children_of(command, "clauseway.gateway") if new != old])
        assert httpx.get(f"{gateway}/healthz").status_code == 200
