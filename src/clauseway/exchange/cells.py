"""CSV without formulas: the one writer of every CSV file, and the strict reader of others' files.

A spreadsheet runs a cell that begins with = + - @ as a formula, so a model's name from a request
could be code on an accountant's machine. Such text is written with an apostrophe before it, which
makes it text to a spreadsheet. Numbers are unchanged. Text that begins with apostrophes and such a
sign gets one more apostrophe, so that `plain` restores every text exactly.

A cell that nothing closes would take the rows after it with it, without an error: `csv_rows` reads
by the letter, and says which lines are no row.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, AnyStr, Final, NamedTuple, Protocol

from clauseway.values import InvalidInput

# Signs that begin a formula, in their wide forms too, and characters before which one may hide.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# A line is held whole, and a row of commas takes some twenty times its length. A gzipped file
# unpacks to any size.
_LINE_MAX: Final = 1 << 20
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class _Writable(Protocol):
    def write(self, text: str, /) -> object: ...


class _LineFeeds:
    """Ends each row with a line feed; the csv module ends it with CRLF."""

    def __init__(self, file: _Writable) -> None:
        self._file = file

    def write(self, row: str, /) -> object:
        return self._file.write(row.removesuffix("\r\n") + "\n")


class CsvWriter:
    """Writes rows by RFC 4180, with line feeds between them and without formulas."""

    def __init__(self, file: _Writable) -> None:
        # With this terminator the csv module quotes a cell that has a carriage return.
        self._rows = csv.writer(_LineFeeds(file), lineterminator="\r\n")

    def row(self, values: Iterable[object]) -> None:
        self._rows.writerow([inert(value) if isinstance(value, str) else value for value in values])

    def rows(self, rows: Iterable[Iterable[object]]) -> None:
        for values in rows:
            self.row(values)


class CsvRow(NamedTuple):
    """A row: its first and last line, its cells as they were before they were made inert, and why
    these lines are no row, else empty."""

    first: int
    last: int
    cells: list[str]
    problem: str = ""


def lines_within_bounds(file: IO[AnyStr], path: Path) -> Iterator[AnyStr]:
    """Yield the lines of a file. Raise InvalidInput for one that is too long to be a row."""
    number = 0
    while line := file.readline(_LINE_MAX):
        number += 1
        _check_length(line, path, number)
        yield line


class LinesThere:
    """The lines of a file, read in parts: each part is what is there by then, a million bytes at most.
    Raise InvalidInput for a line that is too long to be a row.

    `is_last_there` says of the line just yielded that the next one has yet to be read, which a pipe
    may have to be waited for.
    """

    def __init__(self, file: BufferedReader, path: Path) -> None:
        self._file, self._path = file, path
        self.is_last_there = False

    def __iter__(self) -> Iterator[bytes]:
        number, rest = 0, b""
        while more := self._file.read1(_LINE_MAX):
            lines = (rest + more).splitlines(keepends=True)
            # A line that ends with a carriage return may go on with a line feed.
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            for place, line in enumerate(lines, 1):
                _check_length(line, self._path, number + place)
                self.is_last_there = place == len(lines)
                yield line
            number += len(lines)
            _check_length(rest, self._path, number + 1)
        if rest:
            yield rest


def _check_length(line: AnyStr, path: Path, number: int) -> None:
    if len(line) >= _LINE_MAX:
        raise InvalidInput.of(
            what="a line is too long",
            why="it has more than a million characters",
            where=str(path),
            line=number,
            remedy="Give a file with a row in each line: a row has a few thousand.",
        )


def csv_rows(lines: Iterable[str]) -> Iterator[CsvRow]:
    """Yield the rows of a CSV file, its heading first. Lines are text with its line ends, as a file
    that was opened with `newline=""` yields it."""
    reader = csv.reader(lines, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # Of a row that fails, the reader behind it alone knows the last line.
            yield CsvRow(first, reader.line_num, [], str(error))
        else:
            yield CsvRow(first, reader.line_num, [plain(cell) for cell in row])


def inert(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def plain(cell: str) -> str:
    """Return the text of a cell that `inert` may have marked."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
