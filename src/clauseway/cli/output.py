"""Printing that all commands share: JSON for machines, lines of text for people, problems for both.

Tables and colours are drawn on a `console`.
"""

import codecs
import contextlib
import importlib
import io
import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from clauseway.values import Problem, counted

# Beyond every line: into a pipe or a file nothing is wrapped, so that a path is copied whole.
UNBOUNDED = 100_000
_PROGRESS_EVERY_S = 5.0
# A terminal obeys these, and somebody else may have written the text: a reason in a dispute, a name
# in a bill. Each is shown as its picture, as `cat -v` does. The last ones embed or turn the direction
# of what follows: a line would show its words and amounts in another order.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_PICTURES, _DELETE = 0x2400, 0x7F
_BYTES_OF_NAMES = "clauseway-bytes-of-names"
_COLOURS = {
    "permitted": "green",
    "forbidden": "red",
    "conditional": "yellow",
    "unstated": "bright_black",
}


def prepare_streams() -> None:
    """Make the standard streams fit for whatever a command prints, before it opens anything.

    Where one is closed, the next file that is opened would take its number, and be printed into:
    the null device takes it. A pipe or a file gets UTF-8, as JSON, TOML and CSV are, and so does the
    name of a folder that this locale could not read; a terminal of another encoding is shown by
    number the characters that it lacks.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115
            os.set_inheritable(null.fileno(), True)
            setattr(sys, name, null)
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="backslashreplace")
        else:
            codecs.register_error(_BYTES_OF_NAMES, _bytes_of_names)
            sys.stdout.reconfigure(encoding="utf-8", errors=_BYTES_OF_NAMES)


def _bytes_of_names(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write the bytes of a name that an ASCII locale handed over as halves of surrogate pairs, if
    they are text in UTF-8; else show each by number."""
    if isinstance(error, UnicodeEncodeError):
        halves = error.object[error.start : error.end]
        with contextlib.suppress(UnicodeError):
            name = halves.encode("utf-8", "surrogateescape")
            if name.decode().isprintable():
                return name, error.end
    return codecs.backslashreplace_errors(error)


class Styled(msgspec.Struct, frozen=True):
    """Words in a style, which only a terminal shows."""

    words: str
    style: str


class Lines(Protocol):
    """Where lines of text go that people read: a terminal or a pipe."""

    @property
    def width(self) -> int: ...

    def line(self, *parts: str | Styled, style: str = "", whole: bool = False) -> None:
        """Print a line. A terminal wraps it unless it is to stay `whole`."""


class _PipedLines:
    """Lines of text into a pipe or a file: without styles, never wrapped."""

    width = UNBOUNDED

    def line(self, *parts: str | Styled, style: str = "", whole: bool = False) -> None:
        print_text("".join(each if isinstance(each, str) else each.words for each in parts))


def lines() -> Lines:
    """Return where this command's lines go."""
    if not sys.stdout.isatty():
        return _PipedLines()
    made: Lines = importlib.import_module("clauseway.cli.console").TerminalLines()
    return made


def print_text(text: str) -> None:
    """Print a text as it is: nothing in it is taken for markup, and no line is broken."""
    sys.stdout.write(shown(text.expandtabs()) + "\n")
    sys.stdout.flush()


def indented(text: str, width: int, by: int) -> str:
    """Return a paragraph whose every line is indented, wrapped to a width."""
    margin = " " * by
    return textwrap.fill(
        text,
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def shown(text: str) -> str:
    """Return a text with a picture in the place of each character that a terminal would obey."""
    return _OBEYED.sub(_picture, text)


def _picture(character: re.Match[str]) -> str:
    number = ord(character[0])
    if number < ord(" "):
        return chr(_PICTURES + number)
    return "\N{SYMBOL FOR DELETE}" if number == _DELETE else "\N{REPLACEMENT CHARACTER}"


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(_document(value), indent=2).decode() + "\n")
    sys.stdout.flush()  # a program that starts `serve` waits for its addresses


def _document(value: Any) -> bytes:
    """Return a value as JSON. In the path of a folder whose name is not UTF-8 each byte that is no
    text is replaced, because most readers of JSON refuse half of a surrogate pair."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()


def print_problems(
    problems: Sequence[Problem], as_json: bool, *, only_answers: bool = False
) -> None:
    """Print every problem with its place, reason and remedy. The command has changed nothing, which
    is not said of one that `only_answers`."""
    if as_json:
        print_json({"error": {"type": "invalid_input", "problems": problems}})
        return
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    unchanged = "" if only_answers else "; nothing was changed"
    print(f"Refused, with {count}{unchanged}.", file=sys.stderr)
    for problem in problems:
        place = f"{problem.where}:{problem.line}" if problem.line else problem.where
        sentences = f"  {place}: {problem.what}: {problem.why}.\n    {problem.remedy}"
        print(shown(sentences), file=sys.stderr)


def print_fault(fault: Problem, as_json: bool) -> None:
    """Print a fault of the machine: the input was right, and the command did not finish."""
    if as_json:
        print_json({"error": {"type": "machine_fault", "problems": [fault]}})
        return
    sentences = f"  {fault.where}: {fault.what}: {fault.why}.\n    {fault.remedy}"
    print(f"Stopped.\n{shown(sentences)}", file=sys.stderr)


def print_failure(failure: Problem) -> None:
    """Print a failure of ours as JSON."""
    print_json({"error": {"type": "internal_error", "problems": [failure]}})


def outcome_style(outcome: str) -> str:
    return f"bold {_COLOURS[outcome]}"


def progress_on_stderr(
    noun: str, done_in_words: str, every_s: float = _PROGRESS_EVERY_S
) -> Callable[[int, int], None]:
    """Return what says on stderr how many of all are done (`7 of 12 files read`), every few
    seconds: a large lake takes hours, and years of statements minutes."""
    printed_s = time.monotonic()

    def tell(done: int, every: int) -> None:
        nonlocal printed_s
        if done < every and time.monotonic() - printed_s >= every_s:
            printed_s = time.monotonic()
            text = f"{done:,} of {counted(every, noun)} {done_in_words}"
            print(text, file=sys.stderr, flush=True)

    return tell
