"""Files that a command writes: a text to its file or to standard output, and the report of each."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, Protocol

import msgspec
import typer

from clauseway.app.opening.places import file_at
from clauseway.cli.answers import answer
from clauseway.values import counted


def file_named(out: Path | None) -> Path | None:
    """Return the file to write; None for `-`, the usual word for standard output."""
    return None if out == Path("-") else out


OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="File to write; by default standard output.",
        metavar="FILE",
        callback=file_named,
    ),
]
_SINGULAR = {
    "entries": "entry",
    "rows": "row",
    "events": "event",
    "terms in force": "term in force",
    "entities": "entity",
    "declarations": "declaration",
}


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written, as --json reports it. Without a file, `text` is what it would hold."""

    file: str
    number: int
    unit: str
    text: str = ""


class WrittenText(NamedTuple):
    """A text, and how much it holds of which unit."""

    text: str
    number: int
    unit: str


class ExportOutput(Protocol):
    """The flags that say where an export goes and how it is reported."""

    @property
    def out(self) -> Path | None: ...
    @property
    def as_json(self) -> bool: ...


def put(given: ExportOutput, written: WrittenText, out: Path | None = None) -> WrittenFile:
    """Write a text to its file, or where none is named to standard output; --json reports it."""
    out = out or given.out
    if out is not None:
        write_text(out, written.text)
    elif not given.as_json:
        sys.stdout.write(written.text)
    return WrittenFile(
        file=str(out or ""),
        number=written.number,
        unit=written.unit,
        text=written.text if out is None else "",
    )


def report_written(files: Sequence[WrittenFile], as_json: bool) -> int:
    """Report what was written: as JSON, or in words on standard error, beside the output."""

    def show() -> None:
        for file in files:
            count = counted(file.number, _SINGULAR[file.unit], file.unit)
            print(f"{count} written to {file.file or 'standard output'}.", file=sys.stderr)

    answer(as_json, {"files": files}, show)
    return 0


def report_rows(written: Mapping[Path, int], as_json: bool) -> int:
    """Report files of rows, each by its name on standard output."""
    if not as_json:
        for path in written:
            print(path)
    files = [
        WrittenFile(file=str(path), number=rows, unit="rows") for path, rows in written.items()
    ]
    return report_written(files, as_json)


def write_text(out: Path, text: str) -> None:
    """Write a text. Raise InvalidInput if it cannot be written."""
    with file_at(out) as beside:
        beside.write_text(text, "utf-8")
