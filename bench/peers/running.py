"""A peer that runs, and what they all need to get there."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

_HELD: list[socket.socket] = []
_PATIENCE_S = 60.0  # LiteLLM imports for half a minute on a small machine


class Running(msgspec.Struct):
    """A peer's port, its process, and the headers that a request to it must carry besides ours."""

    port: int
    process: subprocess.Popen[bytes]
    headers: tuple[str, ...] = ()

    def processes(self) -> list[int]:
        """It and all that it has started."""
        processes = [self.process.pid]
        for process in processes:
            processes += map(
                int, Path(f"/proc/{process}/task/{process}/children").read_text().split()
            )
        return processes

    def stop(self) -> None:
        for process in reversed(self.processes()):
            os.kill(process, 9)
        self.process.wait()


def held_port() -> int:
    """A port for a program that must be told its own, and cannot say which one it took.

    It stays bound here, with reuse and without listening, until this process ends: the program can listen there, and
    the system gives it to nobody else.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    port: int = held.getsockname()[1]
    return port


def launch(
    command: Sequence[str | Path],
    port: int,
    home: Path,
    *,
    headers: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start a peer and wait until it listens. Raises TimeoutError with the end of its log."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "peer.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=home, env={**os.environ, **(environment or {})}
        )
    give_up_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up_s and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Running(port, process, headers)
        time.sleep(0.05)
    process.kill()
    raise TimeoutError(f"{command[0]} did not start: {log.read_text()[-2000:]}")


def python_with(cache: Path, name: str, *requirements: str) -> Path | None:
    """A Python environment of its own with some packages, made once; None where they cannot be fetched."""
    environment = cache / name
    python = environment / "bin" / "python"
    done = environment / ".fetched"
    if done.exists():
        return python
    cache.mkdir(parents=True, exist_ok=True)
    commands: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", environment],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
    ]
    for command in commands:
        if subprocess.run(command, check=False).returncode != 0:
            return None
    done.touch()
    return python
