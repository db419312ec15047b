"""Porcupine, a checker of linearizability, as an outside judge: built once from its Go module into the tests' cache.

The rules that it judges by stand in `porcupine/main.go`. As a script (`make test` runs it first) this builds it.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from obtained import obtain
from opa_judge import Unavailable, installed_go

_SOURCE = Path(__file__).with_name("porcupine")
_FILES = ("main.go", "go.mod", "go.sum")
_BUILD_S = 900.0  # an upper bound for a busy machine and a slow module proxy
_JUDGE_S = 300.0

Answer = TypeVar("Answer")


@cache
def program() -> Path:
    """The judge's program. Raises Unavailable."""
    text = b"".join((_SOURCE / name).read_bytes() for name in _FILES)
    return obtain(f"porcupine-{hashlib.sha256(text).hexdigest()[:12]}", _build) / "judge"


def _build(folder: Path) -> None:
    print("Building porcupine for the tests, once …", file=sys.stderr, flush=True)
    command = [str(installed_go()), "build", "-p", "2", "-trimpath", "-o", str(folder / "judge"), "."]
    settings = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    done = subprocess.run(
        command, cwd=_SOURCE, env=settings, capture_output=True, text=True, check=False, timeout=_BUILD_S
    )
    if done.returncode:
        raise Unavailable(f"porcupine cannot be built: {done.stderr[-400:]}")


def judged(history: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return for each object of a history whether it is linearizable: `Ok`, `Illegal`, or `Unknown` in time."""
    lines = "".join(json.dumps(operation) + "\n" for operation in history)
    done = subprocess.run([program()], input=lines, capture_output=True, text=True, check=True, timeout=_JUDGE_S)
    verdicts: dict[str, str] = json.loads(done.stdout)
    return verdicts


class History:
    """A file of operations that several processes append to. The clock is the machine's, one for all of them."""

    def __init__(self, path: Path, client: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._client, self._number = client, 0

    def do(
        self,
        asked: Mapping[str, Any],
        act: Callable[[], Answer],
        said: Callable[[Answer], dict[str, Any]],
        unknown: tuple[type[Exception], ...],
    ) -> Answer | None:
        """Do something and write down when it was asked and answered. After one of `unknown` nobody knows what became
        of it: None."""
        self._number += 1
        name = f"{self._client}-{self._number}"
        self._write({"operation": name, "client": self._client, **asked, "call": time.monotonic_ns()})
        try:
            answer = act()
        except unknown:
            return None
        self._write({"operation": name, "return": time.monotonic_ns(), "output": said(answer)})
        return answer

    def _write(self, line: Mapping[str, Any]) -> None:
        # Lines of several processes do not mix, and survive the process that wrote them.
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.write(self._file, json.dumps(line).encode() + b"\n")
        fcntl.flock(self._file, fcntl.LOCK_UN)


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the operations that were written to a file; one without an end has no `output`."""
    operations: dict[str, dict[str, Any]] = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        operations.setdefault(line["operation"], {}).update(line)
    return list(operations.values())


def main() -> None:
    """See to the judge; without it, its tests skip and say so."""
    try:
        program()
    except Unavailable as reason:
        print(f"No porcupine: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
