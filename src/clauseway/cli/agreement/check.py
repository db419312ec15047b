"""`clauseway agreement check`: what is wrong, doubtful or idle in an agreement's text."""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from clauseway.app.agreements.checking import CheckView, check_folder, state_of, watched
from clauseway.app.opening.home import Home, home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.output import console, print_indented, print_problems
from clauseway.values import InvalidInput

UNSOUND = 2
# A person who saves a file looks at the answer after about a second.
_POLL_S = 1.0
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def command(
    agreement: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of an agreement, or the name of one that ships; by default the built-in "
            "partnership.",
            metavar="FOLDER",
        ),
    ] = None,
    home: options.HomeFolder = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file changes, until Ctrl-C.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Check an agreement's text: conflicts, gaps, overlaps, terms that do nothing, what is idle,
    uncited or prose only.

    Each remark names file and line, why, and what to do. Errors contradict: two exclusivities that
    no act can satisfy together, an exclusivity that takes back what a term grants, two owners.
    Warnings are probably not meant. Notes are worth knowing.

    \b
    Is the built-in partnership sound?
      clauseway agreement check
    While you write your own:
      clauseway agreement check my-agreement --watch

    Exit code: 0 no errors, 2 errors, 3 the text cannot be read, 1 a failure, ours or the machine's.
    """
    if watch:
        _watch(watched(agreement), home_at(home), as_json)
        return 0
    view = check_folder(agreement, home_at(home))
    _show(view, as_json)
    return 0 if view.sound else UNSOUND


def _watch(folder: Path, home: Home, as_json: bool) -> None:
    stopped = threading.Event()
    # Ctrl-C sets a flag: an exception raised while a library cleans up would be lost.
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    seen: object = None
    try:
        while not stopped.is_set():
            if (state := state_of(folder)) != seen:
                seen = state
                _check_again(folder, home, as_json)
                sys.stdout.flush()  # whoever reads a pipe waits for it too
            stopped.wait(_POLL_S)
    finally:
        signal.signal(signal.SIGINT, before)


def _check_again(folder: Path, home: Home, as_json: bool) -> None:
    """Check again. A text that cannot be read is reported and does not end the watching."""
    try:
        _show(check_folder(folder, home), as_json)
    except InvalidInput as error:
        print_problems(error.problems, as_json)


def _show(view: CheckView, as_json: bool) -> None:
    answer(as_json, view, lambda: _print(console(), view))


def _print(out: Console, view: CheckView) -> None:
    for remark in view.remarks:
        place = f"{remark.document}:{remark.line}" if remark.line else remark.document
        out.print(
            Text(remark.severity.value, _STYLES[remark.severity.value]),
            Text(f"{place}  {remark.what}"),
        )
        print_indented(out, f"{remark.why}. {remark.todo}", by=2, style="dim")
    counts = " · ".join(_counted(name, count) for name, count in view.counts.items())
    style = "bold green" if view.sound else "bold red"
    out.print(
        Text(f"\n{view.title}: "),
        Text("sound" if view.sound else "not sound", style),
        Text(f" ({counts})"),
        sep="",
    )


def _counted(name: str, count: int) -> str:
    return f"{count} {name}" if count == 1 else f"{count or 'no'} {name}s"
