"""Printing that all commands share: JSON for machines, text for people, problems for both."""

import io
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import IO, Any, cast

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from clauseway.values import Problem

# Beyond every line: into a pipe or a file nothing is wrapped, so that a path is copied whole.
_UNBOUNDED = 100_000
# A terminal obeys these, and somebody else may have written the text: a reason in a dispute, a name
# in a bill. Each is shown as its picture, as `cat -v` does.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PICTURES, _DELETE = 0x2400, 0x7F
_PADDING = re.compile(r" +$", re.MULTILINE)
_COLOURS = {
    "permitted": "green",
    "forbidden": "red",
    "conditional": "yellow",
    "unstated": "bright_black",
}


class _Unpadded(io.TextIOBase):
    """Standard output without the spaces that fill a table's last column."""

    def write(self, text: str) -> int:
        return sys.stdout.write(_PADDING.sub("", text))

    def flush(self) -> None:
        sys.stdout.flush()


def shown(text: str) -> str:
    """Return a text with a picture in the place of each character that a terminal would obey."""
    return _OBEYED.sub(_picture, text)


def _picture(character: re.Match[str]) -> str:
    number = ord(character[0])
    if number < ord(" "):
        return chr(_PICTURES + number)
    return "\N{SYMBOL FOR DELETE}" if number == _DELETE else "\N{REPLACEMENT CHARACTER}"


class _Console(Console):
    """A console whose styles are its own alone: no text moves the cursor or changes a colour."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))


def console() -> Console:
    """Return where people read: as wide as the terminal; into a pipe not wrapped or padded.

    Colours are for a terminal alone; numbers and paths are not guessed at.
    """
    if sys.stdout.isatty():
        return _Console(highlight=False)
    return _Console(highlight=False, width=_UNBOUNDED, file=cast("IO[str]", _Unpadded()))


def print_indented(out: Console, text: str, by: int = 3, style: str = "") -> None:
    """Print a paragraph whose every line is indented, wrapped or not."""
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
    """Print one JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    sys.stdout.flush()  # a program that starts `serve` waits for its addresses


def print_problems(problems: Sequence[Problem], as_json: bool) -> None:
    """Print every problem with its place, reason and remedy. The command has changed nothing."""
    if as_json:
        print_json({"error": {"type": "invalid_input", "problems": problems}})
        return
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    print(f"Refused, with {count}; nothing was changed.", file=sys.stderr)
    for problem in problems:
        place = f"{problem.where}:{problem.line}" if problem.line else problem.where
        sentences = f"  {place}: {problem.what}: {problem.why}.\n    {problem.todo}"
        print(shown(sentences), file=sys.stderr)


def print_fault(fault: Problem, as_json: bool) -> None:
    """Print a fault of the machine: the input was right, and the command did not finish."""
    if as_json:
        print_json({"error": {"type": "machine_fault", "problems": [fault]}})
        return
    print(
        f"Stopped.\n  {fault.where}: {fault.what}: {fault.why}.\n    {fault.todo}", file=sys.stderr
    )


def outcome_style(outcome: str) -> str:
    return f"bold {_COLOURS[outcome]}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: 1 request, 2 requests, 1,000 entries."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
