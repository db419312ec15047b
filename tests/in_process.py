"""Commands run in this process: what they print and exit with, without starting an interpreter for each.

A few tests run the installed command instead, so that the way in is tested too.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from clauseway import cli

# Styles of a terminal beside the text: bold, dim.
_STYLES = re.compile(r"\x1b\[[0-9;]*m")
CLAUSEWAY = Path(sys.executable).parent / "clauseway"
_VARIABLE = "CLAUSEWAY_HOME"
# Shown as `uid 4294967294`. What documents show holds for every reader, whose names are of any length.
NAMELESS_ACCOUNT = 2**32 - 2


def run(
    *arguments: str,
    given: str = "",
    cwd: Path | None = None,
    home: Path | None = None,
    columns: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """A command's exit code and what it printed. `given` is its standard input, `cwd` the folder it is called in.

    With `columns` it prints on a terminal of that width, else into a pipe.
    """
    out = _Terminal(io.BytesIO(), "utf-8") if columns else io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(_given(given))
        # Only whoever calls from a folder of its own has the home beside it; the one of this machine stays out.
        empty = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(_environment(home or (None if cwd else empty)))
        if columns:
            stack.enter_context(_plain_terminal(columns))
        stack.enter_context(contextlib.chdir(cwd or Path.cwd()))
        code = cli.run(list(arguments))
    return subprocess.CompletedProcess(arguments, code, _STYLES.sub("", _written(out)), _written(err))


def answer(*arguments: str, code: int = 0, cwd: Path | None = None, given: str = "", home: Path | None = None) -> Any:
    """Return a command's JSON, with the exit code that is expected."""
    done = run(*arguments, "--json", cwd=cwd, given=given, home=home)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def run_installed(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same by the installed command, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    return subprocess.run(
        [CLAUSEWAY, *arguments], capture_output=True, text=True, timeout=60, check=False, cwd=cwd, env=environment
    )


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def _plain_terminal(columns: int) -> Any:
    before = {name: os.environ.get(name) for name in ("COLUMNS", "NO_COLOR", "TERM")}
    os.environ.update({"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "xterm"})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@contextlib.contextmanager
def _given(text: str) -> Any:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8")
    try:
        yield
    finally:
        sys.stdin = before


@contextlib.contextmanager
def _environment(home: Path | None) -> Any:
    before = os.environ.pop(_VARIABLE, None)
    if home is not None:
        os.environ[_VARIABLE] = str(home)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)
        if before is not None:
            os.environ[_VARIABLE] = before
