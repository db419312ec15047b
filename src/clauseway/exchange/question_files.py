"""Files of questions, and the same rows with their answers: Parquet, CSV and JSON lines. Needs
PyArrow.

    read_questions(path)                     the rows, in parts
    with answers_to(source, target) as put   put(rows, places, answers) writes a part
                                             beside its answers

A Parquet file stays in columns. JSON lines and CSV are read row by row, and the rows that a pipe has
are answered before more are waited for. An unreadable row is reported in its place, like an invalid
question, with the outcome `invalid` and the reason in `problem`. For a revenue share, `due` is true
or false unless the outcome is unstated. A column has the name of a part of the question, or of its
flag. A column with nearly such a name is refused, because its question would be answered without
it; any other column is kept and asks nothing.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clauseway.decisions.parts import BY_NAME
from clauseway.exchange.cells import CsvRow, CsvWriter, LinesThere, csv_rows
from clauseway.exchange.parquet_output import parquet_output
from clauseway.exchange.parquet_reading import others_parquet
from clauseway.files import output_file
from clauseway.values import NOT_JSON, InvalidInput, Problem, cause_of, check_depth, refuse_any

INVALID = "invalid"
# The parts of a question, named as the flags are; a column may also be written with hyphens.
COLUMNS = (*BY_NAME, "as_of", "known_at")
LISTS = ("reading", "suppose")
ADDED = ("outcome", "due", "terms", "problem")
# The least similarity at which a name is taken for a misspelling: `segement` and `segment` have
# 0.93, `reason` and `region` 0.83.
_SAME_LEAST = 0.88
# Rows in memory at a time: enough to make the cost of a part negligible.
_ROWS = 1 << 18


class AnsweredRow(msgspec.Struct, frozen=True):
    """The answer to a row: outcome and deciding terms, or the problem with its question.

    `due` says whether a revenue share is due; None if it is unstated, and for other actions.
    """

    outcome: str
    due: bool | None = None
    terms: tuple[str, ...] = ()
    problem: str = ""


class QuestionRows(msgspec.Struct, frozen=True):
    """Some rows of a file.

    `columns` holds the parts of questions; `rows` is written with the answers, as a table or row by
    row; `unread` maps the number of each unreadable row to the reason.
    """

    columns: Mapping[str, pa.Array]
    rows: Any
    count: int
    unread: Mapping[int, str] = {}


# Writes rows with their answers: the rows, the index of each row's answer, and the answers.
Put = Callable[[QuestionRows, pa.Array, Sequence[AnsweredRow]], None]


def read_questions(source: Path) -> Callable[[], Iterator[QuestionRows]]:
    """Return the reader of a file. Raise InvalidInput if its name ends in no known format."""
    read = _format(source, _READERS, "--batch")
    return lambda: read(source)


def answers_to(source: Path, target: Path | None) -> Callable[[], AbstractContextManager[Put]]:
    """Return the writer of a file of answers; without a target, of JSON lines to standard output.

    Raise InvalidInput if the target has no known format, or another one than the questions.
    """
    if target is None:
        return lambda: _lines_to(sys.stdout)
    write = _format(target, _WRITERS, "--out")
    same_format = _format(source, _READERS, "--batch") is _READERS[target.suffix.lower()]
    if write is not _write_lines and not same_format:
        raise InvalidInput.of(
            what=f"{target.suffix} for {source.suffix}",
            why="answers come back in the format of the questions, or as JSON lines",
            where="--out",
            remedy=f"Name a file that ends in {source.suffix} or in .jsonl.",
        )
    return lambda: _whole(target, write)


@contextmanager
def refused_as_a_whole(path: Path) -> Iterator[None]:
    """Translate faults of a file into InvalidInput.

    A broken pipe is not a fault of the file.
    """
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise InvalidInput.of(
            what="the file cannot be read or written",
            why=cause_of(error),
            where=str(path),
            remedy="Give a readable file of questions, and a place to write to.",
        ) from None


# Cells


def items_of(text: str) -> list[str]:
    """Return the items of a list that is written as one text."""
    return [item.strip() for item in text.split(";") if item.strip()]


def text_of(value: object) -> str:
    """Return a value as written on the command line; midnight without a zone is a day."""
    if isinstance(value, datetime):
        at_midnight = value.tzinfo is None and value == datetime(value.year, value.month, value.day)
        return str(value.date()) if at_midnight else value.isoformat()
    return "" if value is None else str(value)


def encodable(values: pa.Array) -> pa.Array:
    """Return values with distinct texts: a list, or any other nested value, becomes one text."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        if pa.types.is_string(values.type.value_type) and not values.flatten().null_count:
            return pc.binary_join(values, ";")
        return pa.array([_flag_text(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_nested(values.type):
        return pa.array([_flag_text(value) for value in values.to_pylist()], pa.string())
    return values


def _flag_text(value: object) -> str | None:
    """Return a value as a flag would take it; lists as the items between semicolons."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    return str(value)


# Reading


def _read_parquet(path: Path) -> Iterator[QuestionRows]:
    with others_parquet(path, _ROWS, may_repeat=True) as file:
        names = _columns_of(file.schema.names, path)
        # Answer a file without questions with a file without answers.
        without = [] if file.rows else [pa.RecordBatch.from_pylist([], file.schema)]
        for batch in chain(without, file.batches):
            columns = {part: batch.column(name) for part, name in names.items()}
            yield QuestionRows(columns, batch, batch.num_rows)


def _read_csv(path: Path) -> Iterator[QuestionRows]:
    with path.open("rb") as file:
        there = LinesThere(file, path)
        lines = _cells(csv_rows(_decoded(there)))
        heading = _distinct(next(lines, []))
        names = _columns_of(heading, path)
        places = {part: heading.index(name) for part, name in names.items()}
        for rows in _in_parts(lines, there):
            # A row of another length is padded or cut, and reported as unread.
            whole = [
                row if len(row) == len(heading) else [*row, *[""] * len(heading)][: len(heading)]
                for row in rows
            ]
            yield QuestionRows(
                {part: pa.array([row[place] for row in whole]) for part, place in places.items()},
                [dict(zip(heading, row, strict=True)) for row in whole],
                len(rows),
                {
                    number: f"it has {len(row)} fields, and the heading has {len(heading)}."
                    for number, row in enumerate(rows)
                    if len(row) != len(heading)
                },
            )


def _cells(rows: Iterable[CsvRow]) -> Iterator[list[str]]:
    """Yield the cells of each row. Raise csv.Error naming the line in which a row begins."""
    for row in rows:
        if row.problem:
            raise csv.Error(f"{row.problem}, in the row that begins in line {row.first}")
        yield row.cells


def _distinct(heading: Sequence[str]) -> list[str]:
    """Name every unnamed column but the first by its place, because each value of a row is kept by
    its column's name."""
    first = heading.index("") if "" in heading else -1
    return [
        name or ("" if place == first else f"column {place + 1}")
        for place, name in enumerate(heading)
    ]


def _read_lines(path: Path) -> Iterator[QuestionRows]:
    with path.open("rb") as file:
        there = LinesThere(file, path)
        for lines in _in_parts(there, there):
            rows: list[dict[str, Any]] = []
            unread: dict[int, str] = {}
            for number, line in enumerate(filter(bytes.strip, lines)):
                row, problem = _object(line, path)
                rows.append(row)
                if problem:
                    unread[number] = problem
            columns = {
                part: pa.array(
                    # A name may have hyphens (as-of), like the flags of the command line.
                    [_flag_text(row.get(part, row.get(part.replace("_", "-")))) for row in rows]
                )
                for part in (*COLUMNS, *LISTS)
            }
            # A part that no row gives is left out, so that the caller's value for all rows holds.
            given = {part: texts for part, texts in columns.items() if texts.null_count < len(rows)}
            yield QuestionRows(given, rows, len(rows), unread)


def _object(line: bytes, path: Path) -> tuple[dict[str, Any], str]:
    """Return a line's object and its problem, empty for none."""
    try:
        check_depth(line)
        row = msgspec.json.decode(line, type=dict[str, Any])
    except NOT_JSON as error:
        text = line.decode("utf-8", "replace").rstrip("\n")
        return {"line": text}, f"not a JSON object: {error}"
    try:
        _columns_of(row, path)
    except InvalidInput as error:
        return row, " ".join(map(str, error.problems))
    return row, ""


def _decoded(lines: Iterable[bytes]) -> Iterator[str]:
    encoding = "utf-8-sig"
    for line in lines:
        yield line.decode(encoding)
        encoding = "utf-8"


def _in_parts(rows: Iterable[Any], lines: LinesThere) -> Iterator[list[Any]]:
    """Yield the rows in parts, each as long as the next line need not be waited for."""
    part: list[Any] = []
    for row in rows:
        part.append(row)
        if lines.is_last_there:
            yield part
            part = []
    if part:
        yield part


def _columns_of(names: Iterable[str], path: Path) -> dict[str, str]:
    """Map each part of a question to its column.

    Raise InvalidInput for repeated names, and for names that are nearly a part's.
    """
    columns: dict[str, str] = {}
    others: dict[str, None] = {}
    problems = []
    for name in names:
        part = name.replace("-", "_")
        if name in ADDED or part in columns or name in others:
            why = "the answers take that name" if name in ADDED else "it is there twice"
            problems.append(
                Problem(
                    what=f"column {name!r}",
                    why=why,
                    where=str(path),
                    remedy="Give it another name.",
                )
            )
        elif part in COLUMNS or part in LISTS:
            columns[part] = name
        else:
            others[name] = None
    missing = tuple(part for part in (*COLUMNS, *LISTS) if part not in columns)
    problems += [
        Problem(
            what=f"column {name!r}",
            why=f"it asks nothing, though it is nearly named {meant}",
            where=str(path),
            remedy=f"Write {meant}; or give it a name that is less like it, if it is yours.",
        )
        for name in others
        if (meant := _nearly(name, missing))
    ]
    refuse_any(problems)
    return columns


@lru_cache(1024)  # Each line of a file of JSON lines names its columns again.
def _nearly(name: str, parts: tuple[str, ...]) -> str:
    """Return the part whose name differs only by a misspelling, capitals or spaces; empty if there
    is none."""
    letters = {part.replace("_", ""): part for part in parts}
    written = "".join(letter for letter in name.casefold() if letter not in " -_")
    swapped = (other for other in letters if sorted(other) == sorted(written))
    near = get_close_matches(written, letters, 1, _SAME_LEAST) or [*swapped]
    return letters[near[0]] if near else ""


# Writing


@contextmanager
def _whole(target: Path, write: Callable[[Path], AbstractContextManager[Put]]) -> Iterator[Put]:
    """Replace the target once the file is complete; an aborted run leaves the old file."""
    with output_file(target, durable=False) as beside, write(beside) as put:
        yield put


@contextmanager
def _write_parquet(path: Path) -> Iterator[Put]:
    """Write each part while the next is decided: writing is PyArrow's work, deciding Python's."""
    writers: list[pq.ParquetWriter] = []
    pending: list[Future[None]] = []

    def write(table: pa.Table) -> None:
        if not writers:
            writers.append(pq.ParquetWriter(output, table.schema))
        writers[0].write_table(table)

    def put(part: QuestionRows, places: pa.Array, answers: Sequence[AnsweredRow]) -> None:
        batch = part.rows
        added = (
            pa.array([answer.outcome for answer in answers], pa.string()).take(places),
            pa.array([answer.due for answer in answers], pa.bool_()).take(places),
            pa.array([answer.terms for answer in answers], pa.list_(pa.string())).take(places),
            pa.array([answer.problem or None for answer in answers], pa.string()).take(places),
        )
        table = pa.Table.from_arrays([*batch.columns, *added], [*batch.schema.names, *ADDED])
        # At most one part waits, so that memory is bounded; a failed write raises here.
        if pending:
            pending.pop().result()
        pending.append(beside.submit(write, table))

    with parquet_output(path) as output:
        try:
            with ThreadPoolExecutor(1) as beside:
                yield put
                if pending:
                    pending.pop().result()
        finally:
            for writer in writers:
                writer.close()


@contextmanager
def _write_csv(path: Path) -> Iterator[Put]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = CsvWriter(file)
        header: list[str] = []

        def put(part: QuestionRows, places: pa.Array, answers: Sequence[AnsweredRow]) -> None:
            # Write the header with the first part, whose rows name the columns.
            if not header:
                header.extend([*part.rows[0], *ADDED])
                writer.row(header)
            for row, place in zip(part.rows, places.to_pylist(), strict=True):
                answer = answers[place]
                due = "" if answer.due is None else str(answer.due).lower()
                terms = ";".join(answer.terms)
                writer.row([*row.values(), answer.outcome, due, terms, answer.problem])

        yield put


@contextmanager
def _write_lines(path: Path) -> Iterator[Put]:
    with path.open("w", encoding="utf-8") as file, _lines_to(file) as put:
        yield put


@contextmanager
def _lines_to(file: TextIO) -> Iterator[Put]:
    encoder = msgspec.json.Encoder(enc_hook=str)

    def put(part: QuestionRows, places: pa.Array, answers: Sequence[AnsweredRow]) -> None:
        rows = part.rows if isinstance(part.rows, list) else part.rows.to_pylist()
        for row, place in zip(rows, places.to_pylist(), strict=True):
            answer = answers[place]
            added: dict[str, object] = {"outcome": answer.outcome}
            if answer.due is not None:
                added["due"] = answer.due
            added["terms"] = answer.terms
            if answer.problem:
                added["problem"] = answer.problem
            file.write(encoder.encode(row | added).decode() + "\n")
        file.flush()

    yield put


_READERS: Mapping[str, Callable[[Path], Iterator[QuestionRows]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
}
_WRITERS: Mapping[str, Callable[[Path], AbstractContextManager[Put]]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_lines,
    ".ndjson": _write_lines,
}


def _format(path: Path, formats: Mapping[str, Any], flag: str) -> Any:
    if path.suffix.lower() not in formats:
        raise InvalidInput.of(
            what=f"{path.name!r} has no known format",
            why="the ending of its name does not say which",
            where=flag,
            remedy=f"Name a file that ends in {', '.join(formats)}.",
        )
    return formats[path.suffix.lower()]
