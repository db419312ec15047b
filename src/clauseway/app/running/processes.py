"""Child processes that live no longer than their parent and say when they are ready.

Each child gets the read end of a pipe. When the parent is gone, however it went, the pipe ends and
the child drains and leaves. A child that is ready prints one line of JSON; until then it is waited
for, and what it says on the way is kept. The line of a child that refuses to start holds the
problems instead, that of one whose disk is full the error's number. No port is looked for here: a
child listens, and its line says where.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clauseway.values import InvalidInput, Problem

# Long enough for a cold start on a busy machine of two cores.
READY_TIMEOUT_S = 60.0
# A gateway that drains may wait for answers under way.
_LEAVE_TIMEOUT_S = 15.0
# Loads the module named next, and runs it.
_PYTHON = (sys.executable, "-m", "clauseway.start")
# How Python ends a process that imports what is not there.
_NOT_INSTALLED = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'$")

PAGES_PORT = 8401
# How soon a change is seen in the database: a revoked key is refused within a second.
LOOK_EVERY_S = 0.25

# The work that a parent goes on with while it waits for a child.
Meanwhile = Callable[[], None]


def nothing() -> None:
    """Nothing to go on with."""


class ChildFailed(Exception):
    """A child did not become ready. The text names it and quotes what it said."""


class Child:
    """A running child process. `ready` is what it announced."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], ready: dict[str, Any], pipe: int
    ) -> None:
        self.name, self.ready = name, ready
        self._process, self._pipe = process, pipe

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return how the process ended: a signal's number below zero, an exit code, or None
        while it runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def ask_to_leave(self) -> None:
        """Ask it to drain and leave, and do not wait."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)

    def reload(self) -> None:
        """Have it read what it serves by anew."""
        if self.running:
            self._process.send_signal(signal.SIGHUP)

    def heed_revocations(self) -> None:
        """Have a gateway read which secrets were ended."""
        if self.running:
            self._process.send_signal(signal.SIGUSR1)

    def announce_stop(self) -> None:
        """Have a gateway tell load balancers that it is about to stop."""
        if self.running:
            self._process.send_signal(signal.SIGUSR2)

    def stop(self, patience_s: float = _LEAVE_TIMEOUT_S) -> int:
        """Ask it to drain and leave, and wait; its exit code. A second call does nothing more.

        One that does not leave in time is killed.
        """
        self.ask_to_leave()
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:  # the number may belong to another file by now
            os.close(pipe)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code


def start(
    name: str,
    module: str,
    arguments: Sequence[str],
    log: Path,
    *,
    secret: str = "",
    passed: Sequence[int] = (),
    meanwhile: Meanwhile = nothing,
) -> Child:
    """Start the process of a module and wait until it is ready, calling `meanwhile` again and again. Its
    errors go to `log`.

    It gets the descriptors `passed` under their numbers. It reads `secret` from its standard input:
    a command line can be read by every user of the machine.

    Raise InvalidInput with the problems for which the child refuses to start, OSError where it finds
    no room on its disk, or cannot be started, ModuleNotFoundError where a library is missing that it
    needs, ChildFailed where it fails otherwise.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    command = [*_PYTHON, module, *arguments, "--parent-pipe", str(read_end)]
    try:
        with log.open("ab") as errors:
            # A session of its own: Ctrl-C reaches the parent alone, which then stops its children
            # in order.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=(read_end, *passed),
                start_new_session=True,
            )
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    _write_secret(process, secret)
    try:
        ready = _wait_ready(name, process, log, meanwhile)
    except BaseException:
        process.kill()
        process.wait()
        os.close(write_end)
        raise
    return Child(name, process, ready, write_end)


def run(name: str, module: str, arguments: Sequence[str], log: Path) -> None:
    """Run the process of a module to its end. Raise ChildFailed where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        command = [*_PYTHON, module, *arguments]
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, check=False
        )
    if ended.returncode:
        raise ChildFailed(f"{name} failed with exit code {ended.returncode}: {_tail(log)}")


def _write_secret(process: subprocess.Popen[bytes], secret: str) -> None:
    """Write the secret and close. This never blocks, because a short text fits into the pipe."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
        stdin.write(secret.encode())


def _wait_ready(
    name: str, process: subprocess.Popen[bytes], log: Path, meanwhile: Meanwhile
) -> dict[str, Any]:
    assert process.stdout is not None
    # Not `select.select`, which takes no descriptor above 1,023: a parent may have as many open.
    said = select.poll()
    said.register(process.stdout, select.POLLIN)
    deadline = time.monotonic() + READY_TIMEOUT_S
    line = b""
    # A child writes one line of JSON once it listens, or exits.
    while not line.endswith(b"\n"):
        left = max(deadline - time.monotonic(), 0)
        # Read before it is given up: `meanwhile` may have taken all of the time.
        if not said.poll(min(left, LOOK_EVERY_S) * 1000):
            if not left:
                raise ChildFailed(
                    f"{name} was not ready within {READY_TIMEOUT_S:.0f} s; its log is {log}"
                )
            meanwhile()
            continue
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            if missing := _missing_library(log):
                raise ModuleNotFoundError(f"{name} needs {missing}", name=missing)
            raise ChildFailed(
                f"{name} stopped before it was ready, with exit code {process.wait()}: {_tail(log)}"
            )
        line += part
    try:
        ready = msgspec.json.decode(line)
    except msgspec.DecodeError:
        raise ChildFailed(
            f"{name} said {line!r} instead of that it is ready; its log is {log}"
        ) from None
    assert isinstance(ready, dict)
    if number := ready.get("errno"):
        raise OSError(number, os.strerror(number), ready["path"] or None)
    if ready.get("ready") is False:
        raise InvalidInput(*msgspec.convert(ready["problems"], tuple[Problem, ...]))
    return ready


def _missing_library(log: Path) -> str:
    """Return the library without which a child could not start, as the last line of its log says;
    empty where it ended for another reason."""
    match = _NOT_INSTALLED.search(_tail(log))
    return match[1] if match else ""


def _tail(log: Path) -> str:
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        return "it left no log"
    return " / ".join(lines[-3:]) or "it said nothing"


def on_port(port: int | None) -> list[str]:
    """Return the flag of a port asked for by name; a child that is not told takes its usual one,
    or the next free one."""
    return [] if port is None else ["--port", str(port)]


def moved(who_listens: str, asked: int | None, usual: int, port: int) -> tuple[str, ...]:
    """Return a sentence where nobody asked for a port and the usual one was taken."""
    if asked is not None or port == usual:
        return ()
    return (f"Port {usual} is taken: {who_listens} on {port}.",)
