"""Questions from a file, answered column by column: each distinct question is decided once, through tables.

    file ─ rows in parts ─ each column's distinct texts ─ stand-ins ─ distinct questions ─ answers ─ rows ─▶ file

A Parquet file stays in columns all the way. JSON lines and CSV are read row by row, so that a row that cannot be read
is told in its place, as an invalid question is: its outcome is `invalid`, and `problem` says why. Needs PyArrow.
"""

import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TextIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clauseway.agreement.actions import ACTIONS, SELL, SERVE
from clauseway.app.opening.library import OpenAgreement, known_point, readings_of
from clauseway.app.opening.several import OpenAgreements, Opened
from clauseway.decisions import Question, StandIns, Tables, check_readings
from clauseway.exchange.cells import CsvWriter, plain
from clauseway.values import FOREVER, InvalidInput, KnownAt, Problem, parse_day

INVALID = "invalid"
# What a question is made of, named as the flags are; a column may also be written with hyphens.
PARTS = (
    "action",
    "party",
    "product",
    "cloud",
    "to",
    "seller",
    "segment",
    "region",
    "as_of",
    "known_at",
)
LISTS = ("reading", "suppose")
ADDED = ("outcome", "terms", "problem")
# Rows held at a time: wide enough that what a part costs by itself disappears, small enough to be held in memory.
_ROWS = 1 << 20
_ROWS_READ_SINGLY = 1 << 16
# Distinct questions and sets of supposed facts kept at a time.
_PLACES_MAX = 1 << 21
_SUPPOSED_MAX = 256
# Codes of all columns are joined in one whole number with a sign.
_BITS_MAX = 63


class Answer(msgspec.Struct, frozen=True):
    """What comes back for a row: outcome and deciding terms, or what is wrong with it."""

    outcome: str
    terms: tuple[str, ...] = ()
    problem: str = ""


class Summary(msgspec.Struct, frozen=True):
    """How many rows came to which outcome, and the first problem."""

    rows: int
    outcomes: Mapping[str, int]
    problem: str

    @property
    def invalid(self) -> int:
        return self.outcomes.get(INVALID, 0)


def decide_file(
    opened: Opened, source: Path, target: Path | None, otherwise: Mapping[str, str]
) -> Summary:
    """Answer the questions of a file, in its order, keeping all its columns. `otherwise`: what a row leaves out.

    Without a target, JSON lines go to standard output. Raises InvalidInput where the file as a whole cannot be read.
    """
    read = _format(source, _READERS, "--batch")
    write = _writer(source, target)
    with _told(source), write() as put:
        asker = _Asker(opened, otherwise)
        outcomes: Counter[str] = Counter()
        problem = ""
        for part in read(source):
            found, answers = asker.answers(part)
            put(part, found, answers)
            for place, count in _counted(found):
                outcomes[answers[place].outcome] += count
                problem = problem or answers[place].problem
        return Summary(
            rows=sum(outcomes.values()), outcomes=dict(sorted(outcomes.items())), problem=problem
        )


def _counted(found: pa.Array) -> Iterator[tuple[int, int]]:
    for one in pc.value_counts(found).to_pylist():
        yield one["values"], one["counts"]


# Parts of a file


class _Part(msgspec.Struct, frozen=True):
    """Some rows of a file. `columns` holds what questions are made of; `rows` what is written beside the answers, as a
    table or one by one; `unread` what is wrong with rows that could not be read."""

    columns: Mapping[str, pa.Array]
    rows: Any
    count: int
    unread: Mapping[int, str] = {}


def _read_parquet(path: Path) -> Iterator[_Part]:
    with pq.ParquetFile(path) as file:
        names = _named(file.schema_arrow.names, path)
        for batch in (
            file.iter_batches(batch_size=_ROWS)
            if file.metadata.num_rows
            else [_no_rows(file.schema_arrow)]
        ):
            yield _Part(
                {part: batch.column(name) for part, name in names.items()}, batch, batch.num_rows
            )


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    """So that a file without questions comes back as a file without answers."""
    return pa.RecordBatch.from_pylist([], schema)


def _read_csv(path: Path) -> Iterator[_Part]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        heading = next(lines, [])
        names = _named(heading, path)
        for rows in _parts(lines):
            whole = [
                row if len(row) == len(heading) else [*row, *[""] * len(heading)][: len(heading)]
                for row in rows
            ]
            yield _Part(
                {
                    part: pa.array([plain(row[heading.index(name)]) for row in whole])
                    for part, name in names.items()
                },
                [dict(zip(heading, map(plain, row), strict=True)) for row in whole],
                len(rows),
                {
                    number: f"it has {len(row)} fields, and the heading has {len(heading)}."
                    for number, row in enumerate(rows)
                    if len(row) != len(heading)
                },
            )


def _read_lines(path: Path) -> Iterator[_Part]:
    with path.open("rb") as file:
        for lines in _parts(line for line in file if line.strip()):
            rows: list[dict[str, Any]] = []
            unread: dict[int, str] = {}
            for number, line in enumerate(lines):
                try:
                    row = msgspec.json.decode(line, type=dict[str, Any])
                    _named(row, path)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    row, unread[number] = (
                        {"line": line.decode("utf-8", "replace").rstrip("\n")},
                        f"no object: {error}",
                    )
                except InvalidInput as error:
                    unread[number] = " ".join(map(str, error.problems))
                rows.append(row)
            columns = {
                part: pa.array(
                    [_text(row.get(part, row.get(part.replace("_", "-")))) for row in rows]
                )
                for part in (*PARTS, *LISTS)
            }
            yield _Part(
                {part: texts for part, texts in columns.items() if texts.null_count < len(rows)},
                rows,
                len(rows),
                unread,
            )


def _parts(rows: Iterable[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for row in rows:
        part.append(row)
        if len(part) == _ROWS_READ_SINGLY:
            yield part
            part = []
    if part:
        yield part


def _text(value: object) -> str | None:
    """A value as a flag would take it; lists as the items between semicolons."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    return str(value)


def _named(names: Iterable[str], path: Path) -> dict[str, str]:
    """Which column is which part of a question. The others are kept and ask nothing."""
    found: dict[str, str] = {}
    problems = []
    for name in names:
        part = name.replace("-", "_")
        if name in ADDED or part in found:
            why = "the answers take that name" if name in ADDED else "it stands there twice"
            problems.append(
                Problem(
                    what=f"column {name!r}", why=why, where=str(path), todo="Give it another name."
                )
            )
        elif part in PARTS or part in LISTS:
            found[part] = name
    if problems:
        raise InvalidInput(*problems)
    return found


# What is distinct


class _Column:
    """The distinct texts of a part of the question, numbered over the whole file, and what stands in for each."""

    def __init__(self, stand_in: Callable[[str], object]) -> None:
        self._stand_in = stand_in
        self._numbers: dict[object, int] = {}
        self.values: list[object] = []

    def codes(self, texts: pa.Array | None) -> pa.Array | int:
        """A number for each row, or one for all where there is no such column."""
        if texts is None:
            return self._number(None)
        encoded = (
            texts
            if pa.types.is_dictionary(texts.type)
            else pc.dictionary_encode(_encodable(texts), "encode")
        )
        numbers = [self._number(value) for value in encoded.dictionary.to_pylist()]
        codes = pa.array(numbers, pa.int64()).take(encoded.indices)
        return codes.fill_null(self._number(None)) if codes.null_count else codes

    def _number(self, value: object) -> int:
        stand_in = self._stand_in(_written(value))
        if stand_in not in self._numbers:
            self._numbers[stand_in] = len(self.values)
            self.values.append(stand_in)
        return self._numbers[stand_in]


def _encodable(values: pa.Array) -> pa.Array:
    """Lists of texts as one text each; whatever else has no distinct values as text."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        if pa.types.is_string(values.type.value_type) and not values.flatten().null_count:
            return pc.binary_join(values, ";")
        return pa.array([_text(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_nested(values.type):
        return pa.array([_text(value) for value in values.to_pylist()], pa.string())
    return values


def _written(value: object) -> str:
    """As it would be written on the command line; midnight without a zone is a day."""
    if isinstance(value, datetime):
        at_midnight = value.tzinfo is None and value == datetime(value.year, value.month, value.day)
        return str(value.date()) if at_midnight else value.isoformat()
    return "" if value is None else str(value)


class _Asker:
    """Answers rows. What was decided for one part of a file is kept for the next."""

    def __init__(self, opened: Opened, otherwise: Mapping[str, str]) -> None:
        self._opened = opened
        each = opened.each if isinstance(opened, OpenAgreements) else (opened,)
        self._stand_ins = StandIns((one.agreement, one.facts) for one in each)
        self._otherwise = {"as_of": str(datetime.now(UTC).date()), "segment": "any", **otherwise}
        self._now = known_point(None)
        self._columns = {part: _Column(self._reader(part)) for part in (*PARTS, *LISTS)}
        self._supposed: dict[str, Tables | None] = {}
        self._readings: dict[str, Mapping[str, str] | None] = {}
        self._bits: tuple[int, ...] = ()
        # The place of the answer to what was asked, by its codes; and each answer's place.
        self._places: dict[object, int] = {}
        self._answers: dict[Answer, int] = {}

    def answers(self, part: _Part) -> tuple[pa.Array, list[Answer]]:
        """All answers given so far, and for each row the place of its own."""
        if len(self._places) > _PLACES_MAX or len(self._answers) > _PLACES_MAX:
            self._forget()
        # What is supposed comes first: its days cut the days of the questions.
        codes = {
            name: self._columns[name].codes(part.columns.get(name))
            for name in reversed(self._columns)
        }
        found = self._found([codes[name] for name in self._columns], part.count)
        if part.unread:
            places = found.to_pylist()
            for number, problem in part.unread.items():
                places[number] = self._kept(Answer(INVALID, problem=problem))
            found = pa.array(places, pa.int64())
        return found, list(self._answers)

    def _forget(self) -> None:
        self._places.clear()
        self._answers.clear()

    def _found(self, codes: Sequence[pa.Array | int], count: int) -> pa.Array:
        """The place of each row's answer. Codes that fit into one number are joined in it, and told apart by it."""
        bits = tuple(len(column.values).bit_length() for column in self._columns.values())
        if bits != self._bits:
            # Numbers that were joined otherwise mean something else now.
            self._bits = bits
            self._forget()
        if sum(bits) > _BITS_MAX:
            rows = zip(
                *([one] * count if isinstance(one, int) else one.to_pylist() for one in codes),
                strict=True,
            )
            return pa.array([self._place(row, row) for row in rows], pa.int64())
        joined, width = pa.repeat(pa.scalar(0, pa.int64()), count), sum(bits)
        for one, own in zip(codes, bits, strict=True):
            width -= own
            joined = pc.add(
                joined, one << width if isinstance(one, int) else pc.multiply(one, 1 << width)
            )
        encoded = pc.dictionary_encode(joined)
        places = [self._place(number, None) for number in encoded.dictionary.to_pylist()]
        return pa.array(places, pa.int64()).take(encoded.indices)

    def _place(self, key: object, codes: tuple[int, ...] | None) -> int:
        place = self._places.get(key)
        if place is None:
            codes = _taken_apart(key, self._bits) if isinstance(key, int) else codes
            assert codes is not None
            values = [
                column.values[code]
                for column, code in zip(self._columns.values(), codes, strict=True)
            ]
            place = self._places[key] = self._kept(
                self._decided(dict(zip(self._columns, values, strict=True)))
            )
        return place

    def _kept(self, answer: Answer) -> int:
        return self._answers.setdefault(answer, len(self._answers))

    def _reader(self, part: str) -> Callable[[str], object]:
        otherwise = self._otherwise.get(part, "")

        def read(text: str) -> object:
            return self._read(part, text or otherwise)

        return read

    def _read(self, part: str, text: str) -> object:
        """What stands in for a text: for a day one with the same answers. What is wrong with it is told later."""
        try:
            if part == "as_of":
                return self._stand_ins.day(parse_day(text, "--as-of"))
            if part == "known_at":
                return self._stand_ins.known_at(known_point(text) if text else self._now)
            if part == "suppose":
                for item in _items(text):
                    self._stand_ins.cut_at(parse_day(item.partition("=")[2], "--suppose"))
        except InvalidInput:
            pass
        return text

    def _decided(self, parts: Mapping[str, Any]) -> Answer:
        question = self._question(parts)
        tables = self._tables(parts["suppose"]) if question is not None else None
        if question is not None and tables is not None:
            try:
                verdict = tables.answer(question)
                return Answer(verdict.outcome, tuple(reason.term for reason in verdict.reasons))
            except KeyError:
                pass  # it is no valid question: asking in full says why
        return self._asked_in_full(parts)

    def _asked_in_full(self, parts: Mapping[str, Any]) -> Answer:
        asked = {name: parts[name] for name in PARTS}
        try:
            reading = readings_of(_items(parts["reading"]))
            opened, question = self._opened.asking(
                _items(parts["suppose"]), **asked, reading=reading
            )
        except InvalidInput as error:
            return Answer(INVALID, problem=" ".join(map(str, error.problems)))
        decision = opened.answer(question)
        return Answer(decision.outcome, tuple(reason.term for reason in decision.reasons))

    def _question(self, parts: Mapping[str, Any]) -> Question | None:
        """The question, unchecked but for what a table does not look at; None where that is wrong."""
        readings = self._readings_of(parts["reading"])
        action, seller, as_of, known_at = (
            parts[name] for name in ("action", "seller", "as_of", "known_at")
        )
        valid = (
            action in ACTIONS
            and isinstance(as_of, date)
            and as_of != FOREVER
            and isinstance(known_at, KnownAt)
            and parts["region"].isprintable()
            and (not seller or action == SERVE or (action == SELL and seller == parts["party"]))
        )
        if readings is None or not valid:
            return None
        named = {name: parts[name] for name in PARTS if name != "seller"}
        return Question(**named, seller=seller or parts["party"], readings=readings)

    def _tables(self, suppose: str) -> Tables | None:
        """The tables with what is supposed; None for several agreements, and where it cannot be supposed."""
        if suppose not in self._supposed:
            if len(self._supposed) == _SUPPOSED_MAX:
                self._supposed.clear()
            self._supposed[suppose] = self._tables_with(_items(suppose))
        return self._supposed[suppose]

    def _tables_with(self, suppose: Sequence[str]) -> Tables | None:
        if not isinstance(self._opened, OpenAgreement):
            return None
        try:
            opened = self._opened.supposing(suppose)
        except InvalidInput:
            return None
        return Tables(opened.agreement, opened.catalog, opened.facts)

    def _readings_of(self, text: str) -> Mapping[str, str] | None:
        if text not in self._readings and isinstance(self._opened, OpenAgreement):
            try:
                self._readings[text] = check_readings(
                    self._opened.agreement, readings_of(_items(text))
                )
            except InvalidInput:
                self._readings[text] = None
        return self._readings.get(text)


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(";") if item.strip()]


def _taken_apart(number: int, bits: Sequence[int]) -> tuple[int, ...]:
    codes = []
    for width in reversed(bits[1:]):
        codes.append(number & ((1 << width) - 1))
        number >>= width
    return (number, *reversed(codes))


# Writing

# Takes a part, the place of each row's answer, and the answers.
_Put = Callable[[_Part, pa.Array, Sequence[Answer]], None]


def _writer(source: Path, target: Path | None) -> Callable[[], AbstractContextManager[_Put]]:
    if target is None:
        return lambda: _lines_to(sys.stdout)
    write = _format(target, _WRITERS, "--out")
    if (
        write is not _write_lines
        and _format(source, _READERS, "--batch") is not _READERS[target.suffix.lower()]
    ):
        raise InvalidInput(
            Problem(
                what=f"{target.suffix} for {source.suffix}",
                why="answers come back in the format of the questions, or as JSON lines",
                where="--out",
                todo=f"Name a file that ends in {source.suffix} or in .jsonl.",
            )
        )
    return lambda: _whole(target, write)


@contextmanager
def _whole(target: Path, write: Callable[[Path], AbstractContextManager[_Put]]) -> Iterator[_Put]:
    """Write beside the target and put it in place once it is whole: a run that breaks off leaves what was there."""
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        with write(fresh) as put:
            yield put
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _write_parquet(path: Path) -> Iterator[_Put]:
    """Writing goes on beside the deciding of the next part: the one is PyArrow's work, the other Python's."""
    writers: list[pq.ParquetWriter] = []
    pending: list[Future[None]] = []

    def write(table: pa.Table) -> None:
        if not writers:
            writers.append(pq.ParquetWriter(path, table.schema))
        writers[0].write_table(table)

    def put(part: _Part, found: pa.Array, answers: Sequence[Answer]) -> None:
        batch = part.rows
        added = (
            pa.array([one.outcome for one in answers], pa.string()).take(found),
            pa.array([one.terms for one in answers], pa.list_(pa.string())).take(found),
            pa.array([one.problem or None for one in answers], pa.string()).take(found),
        )
        table = pa.Table.from_arrays([*batch.columns, *added], [*batch.schema.names, *ADDED])
        if pending:
            pending.pop().result()
        pending.append(beside.submit(write, table))

    try:
        with ThreadPoolExecutor(1) as beside:
            yield put
            if pending:
                pending.pop().result()
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def _write_csv(path: Path) -> Iterator[_Put]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = CsvWriter(file)

        def put(part: _Part, found: pa.Array, answers: Sequence[Answer]) -> None:
            if not file.tell():
                writer.row([*part.rows[0], *ADDED])
            for row, place in zip(part.rows, found.to_pylist(), strict=True):
                one = answers[place]
                writer.row([*row.values(), one.outcome, ";".join(one.terms), one.problem])

        yield put


@contextmanager
def _write_lines(path: Path) -> Iterator[_Put]:
    with path.open("w", encoding="utf-8") as file, _lines_to(file) as put:
        yield put


@contextmanager
def _lines_to(file: TextIO) -> Iterator[_Put]:
    encoder = msgspec.json.Encoder(enc_hook=str)

    def put(part: _Part, found: pa.Array, answers: Sequence[Answer]) -> None:
        rows = part.rows if isinstance(part.rows, list) else part.rows.to_pylist()
        for row, place in zip(rows, found.to_pylist(), strict=True):
            one = answers[place]
            added = {"outcome": one.outcome, "terms": one.terms}
            if one.problem:
                added["problem"] = one.problem
            file.write(encoder.encode(row | added).decode() + "\n")

    yield put


_READERS: Mapping[str, Callable[[Path], Iterator[_Part]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
}
_WRITERS: Mapping[str, Callable[[Path], AbstractContextManager[_Put]]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_lines,
    ".ndjson": _write_lines,
}


def _format(path: Path, known: Mapping[str, Any], flag: str) -> Any:
    if path.suffix.lower() not in known:
        raise InvalidInput(
            Problem(
                what=f"{path.name!r} has no known format",
                why="the end of its name says which",
                where=flag,
                todo=f"Name a file that ends in {', '.join(known)}.",
            )
        )
    return known[path.suffix.lower()]


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What is wrong with a file as a whole."""
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise InvalidInput(
            Problem(
                what="the file cannot be read or written",
                why=str(error),
                where=str(path),
                todo="Give a readable file of questions, and a place to write to.",
            )
        ) from None
