"""Programs forked from a process that has loaded them: each is the whole program, a process of its own, without the
third of a second that loading takes.

The process that forks has imported the program and runs none of it, so what is forked is as new as after an exec. That
the commands themselves start is held by the tests of `serve`, of `up` and of the sandbox's process, and by those whose
gateway is started by a script.
"""

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

_MESSAGE_BYTES = 1 << 17  # the environment is the most of it
_DESCRIPTORS_MAX = 16
# Descriptors that came are moved here first, out of the way of the numbers that they are to have.
_FREE_FROM = 100


class ForkedProgram:
    """A program's process, with the members of `subprocess.Popen` that tests use."""

    def __init__(self, parent: "_Parent", pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._parent = parent
        # Readable once the process has ended. It is reaped when it is asked about, so until then its number is its own.
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self._code(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._code(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self._parent.program, timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _code(self, timeout_s: float | None) -> int | None:
        if self.returncode is None:
            end = select.poll()
            end.register(self._end, select.POLLIN)
            if end.poll(None if timeout_s is None else timeout_s * 1000):
                self.returncode = self._parent.ask({"reap": self.pid})
                os.close(self._end)
        return self.returncode


class _Parent:
    """The process that has loaded a program and forks."""

    def __init__(self, program: str) -> None:
        self.program = program
        self._asking, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with answering:
            number = answering.fileno()
            self._process = subprocess.Popen(
                [sys.executable, __file__, program, str(number)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(number,),
            )
        self._one_at_a_time = threading.Lock()

    def ask(self, question: dict[str, Any], descriptors: Sequence[int] = ()) -> int:
        with self._one_at_a_time:
            socket.send_fds(self._asking, [json.dumps(question).encode()], descriptors)
            return int(self._asking.recv(_MESSAGE_BYTES))

    def end(self) -> None:
        self._asking.close()
        self._process.wait()


_PARENTS: dict[str, _Parent] = {}
_FIRST = threading.Lock()


def start(program: str, arguments: Sequence[str], errors: int = 2, pass_fds: Sequence[int] = ()) -> ForkedProgram:
    """Start a package as `python -m` would, with this process's environment and folder. Its standard error goes to the
    descriptor `errors`."""
    with _FIRST:
        parent = _PARENTS.get(program) or _PARENTS.setdefault(program, _Parent(program))
    read, write = os.pipe()
    question = {
        "arguments": list(arguments),
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "numbers": [1, 2, *pass_fds],
    }
    try:
        pid = parent.ask(question, (write, errors, *pass_fds))
    finally:
        os.close(write)
    return ForkedProgram(parent, pid, open(read, "rb"))


def stop() -> None:
    while _PARENTS:
        _PARENTS.popitem()[1].end()


def _fork_as_asked(answering: socket.socket) -> list[str] | None:
    """Fork until nobody asks any more, then return None; in each process that was forked, return its arguments."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(answering, _MESSAGE_BYTES, _DESCRIPTORS_MAX)
        if not message:
            return None
        question = json.loads(message)
        if "reap" in question:
            _, status = os.waitpid(question["reap"], 0)
            answering.send(b"%d" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            answering.close()
            _settle_in(question, descriptors)
            return list(question["arguments"])
        for descriptor in descriptors:
            os.close(descriptor)
        answering.send(b"%d" % pid)


def _settle_in(question: dict[str, Any], descriptors: Sequence[int]) -> None:
    os.environ.clear()
    os.environ.update(question["environment"])
    time.tzset()
    os.chdir(question["folder"])
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FREE_FROM) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in zip(moved, question["numbers"], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


if __name__ == "__main__":
    loaded = importlib.import_module(f"{sys.argv[1]}.__main__")
    gc.freeze()  # no look for garbage in a process copies the pages that all of them share
    with socket.socket(fileno=int(sys.argv[2])) as answering:
        arguments = _fork_as_asked(answering)
    sys.exit(0 if arguments is None else loaded.main(arguments))
