"""What the commands share in printing: JSON for machines, text for people, problems for both."""

import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import msgspec
from rich.console import Console

from clauseway.values import Problem

# Wide enough that a statement's lines stay whole where no terminal says otherwise.
_WIDTH_IN_A_FILE = 110
_COLOURS = {
    "permitted": "green",
    "forbidden": "red",
    "conditional": "yellow",
    "unstated": "bright_black",
}


def console() -> Console:
    """Where people read. Colour only on a terminal; numbers and paths are not guessed at."""
    width = None if sys.stdout.isatty() else _WIDTH_IN_A_FILE
    return Console(highlight=False, width=width)


def print_indented(out: Console, text: str, by: int = 3, style: str = "") -> None:
    """A paragraph whose every line is indented, wrapped or not."""
    margin = " " * by
    out.print(
        textwrap.fill(
            text,
            out.width,
            initial_indent=margin,
            subsequent_indent=margin,
            break_long_words=False,
            break_on_hyphens=False,
        ),
        style=style,
        markup=False,
        soft_wrap=True,
    )


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_problems(problems: Sequence[Problem], as_json: bool) -> None:
    """Everything that was wrong, each with what, why, where and what to do. Nothing was changed."""
    if as_json:
        print_json({"error": {"type": "invalid_input", "problems": problems}})
        return
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    print(f"Refused, with {count}; nothing was changed.", file=sys.stderr)
    for problem in problems:
        place = f"{problem.where}:{problem.line}" if problem.line else problem.where
        print(f"  {place}: {problem.what}: {problem.why}.\n    {problem.todo}", file=sys.stderr)


def print_fault(fault: Problem, as_json: bool) -> None:
    """A fault of the machine: nobody's input was wrong, and the command did not come to its end."""
    if as_json:
        print_json({"error": {"type": "machine_fault", "problems": [fault]}})
        return
    print(
        f"Stopped.\n  {fault.where}: {fault.what}: {fault.why}.\n    {fault.todo}", file=sys.stderr
    )


def outcome_style(outcome: str) -> str:
    return f"bold {_COLOURS[outcome]}"
