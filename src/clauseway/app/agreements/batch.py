"""Questions from a file, answered column by column: each distinct question is decided once, through
tables.

    file ─ rows in parts ─ each column's distinct texts ─ stand-ins ─ distinct questions ─ answers ─ rows ─▶ file

`exchange.question_files` reads the rows and writes them back. Needs PyArrow.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from clauseway.agreement.language.actions import ACTIONS, SELL, SERVE, SHARE
from clauseway.app.opening.library import OpenAgreement, known_point, readings_of
from clauseway.app.opening.several import Opened, each_of
from clauseway.decisions import (
    Decision,
    Outcome,
    Question,
    StandIns,
    Tables,
    Verdict,
    check_readings,
)
from clauseway.decisions.parts import PARTS
from clauseway.exchange.question_files import (
    COLUMNS,
    INVALID,
    LISTS,
    AnsweredRow,
    QuestionRows,
    answers_to,
    encodable,
    items_of,
    read_questions,
    refused_as_a_whole,
    text_of,
)
from clauseway.values import FOREVER, InvalidInput, KnownAt, parse_day
from clauseway.wording.outcomes import is_due, outcome_word

# Distinct questions, texts of a column and sets of supposed facts kept at a time.
_KEPT_MAX = 1 << 21
_SUPPOSED_MAX = 256
_DEFAULTS = {part.name: part.default for part in PARTS}
# Codes of all columns are joined in one whole number with a sign.
_BITS_MAX = 63


class Summary(msgspec.Struct, frozen=True):
    """The number of rows by outcome in the words that people read, and the first problem."""

    rows: int
    outcomes: Mapping[str, int]
    problem: str

    @property
    def invalid(self) -> int:
        return self.outcomes.get(INVALID, 0)


def decide_file(
    opened: Opened, source: Path, target: Path | None, otherwise: Mapping[str, str]
) -> Summary:
    """Answer the questions of a file, in its order, keeping all its columns.

    `otherwise` holds the parts that rows leave out. Without a target, JSON lines go to standard
    output. Raise InvalidInput where the file as a whole cannot be read.
    """
    read = read_questions(source)
    write = answers_to(source, target)
    with refused_as_a_whole(source), write() as put:
        asker = _Asker(opened, otherwise)
        outcomes: Counter[str] = Counter()
        problem = ""
        for part in read():
            # Each distinct question is answered once; `places` says which answer a row takes.
            places, answers = asker.answers(part)
            put(part, places, answers)
            for place, count in _counted(places):
                outcomes[_word(answers[place])] += count
                problem = problem or answers[place].problem
        return Summary(
            rows=sum(outcomes.values()), outcomes=dict(sorted(outcomes.items())), problem=problem
        )


def _word(answer: AnsweredRow) -> str:
    if answer.due is None:
        return answer.outcome
    return outcome_word(Outcome(answer.outcome), SHARE)


def _answered(decided: Decision | Verdict, action: str) -> AnsweredRow:
    return AnsweredRow(
        decided.outcome,
        is_due(decided.outcome, action),
        tuple(reason.term for reason in decided.reasons),
    )


def _counted(places: pa.Array) -> Iterator[tuple[int, int]]:
    for counted in pc.value_counts(places).to_pylist():
        yield counted["values"], counted["counts"]


class _Column:
    """The distinct texts of a part of the question, numbered over the whole file, each with its
    stand-in."""

    def __init__(self, stand_in: Callable[[str], object]) -> None:
        self._stand_in = stand_in
        self._numbers: dict[object, int] = {}
        self.values: list[object] = []

    def __len__(self) -> int:
        return len(self.values)

    def codes(self, texts: pa.Array | None) -> pa.Array | int:
        """Return a number for each row, or one number for all rows of a file without the column."""
        if texts is None:
            return self._number(None)
        encoded = (
            texts
            if pa.types.is_dictionary(texts.type)
            else pc.dictionary_encode(encodable(texts), "encode")
        )
        numbers = [self._number(value) for value in encoded.dictionary.to_pylist()]
        codes = pa.array(numbers, pa.int64()).take(encoded.indices)
        return codes.fill_null(self._number(None)) if codes.null_count else codes

    def _number(self, value: object) -> int:
        stand_in = self._stand_in(text_of(value))
        if stand_in not in self._numbers:
            self._numbers[stand_in] = len(self.values)
            self.values.append(stand_in)
        return self._numbers[stand_in]


class _Asker:
    """Answers rows. Answers for one part of a file are kept for the next."""

    def __init__(self, opened: Opened, otherwise: Mapping[str, str]) -> None:
        self._opened = opened
        self._stand_ins = StandIns((asked.agreement, asked.facts) for asked in each_of(opened))
        self._otherwise = _DEFAULTS | {"as_of": str(datetime.now(UTC).date()), **otherwise}
        self._now = known_point(None)
        self._columns = self._new_columns()
        self._supposed: dict[str, Tables | None] = {}
        self._readings: dict[str, Mapping[str, str] | None] = {}
        self._bits: tuple[int, ...] = ()
        # The place of the answer to a question, by the question's codes; and each answer's place.
        self._places: dict[object, int] = {}
        self._answers: dict[AnsweredRow, int] = {}

    def answers(self, part: QuestionRows) -> tuple[pa.Array, list[AnsweredRow]]:
        """Return the index of each row's answer, and the list of answers so far."""
        texts = max(len(column) for column in self._columns.values())
        if max(len(self._places), len(self._answers), texts) > _KEPT_MAX:
            self._forget()
            self._columns = self._new_columns()
            self._readings.clear()
        # Supposed facts come first: their days cut the days of the questions.
        codes = {
            name: self._columns[name].codes(part.columns.get(name))
            for name in reversed(self._columns)
        }
        places = self._places_of([codes[name] for name in self._columns], part.count)
        if part.unread:
            rows = places.to_pylist()
            for number, problem in part.unread.items():
                rows[number] = self._kept(AnsweredRow(INVALID, problem=problem))
            places = pa.array(rows, pa.int64())
        return places, list(self._answers)

    def _new_columns(self) -> dict[str, _Column]:
        return {part: _Column(self._reader(part)) for part in (*COLUMNS, *LISTS)}

    def _forget(self) -> None:
        self._places.clear()
        self._answers.clear()

    def _places_of(self, codes: Sequence[pa.Array | int], count: int) -> pa.Array:
        """Return the place of each row's answer.

        The codes of a row are joined in one number where they fit into it: distinct numbers are
        distinct questions.
        """
        bits = tuple(len(column).bit_length() for column in self._columns.values())
        if bits != self._bits:
            # Numbers that were joined otherwise mean something else now.
            self._bits = bits
            self._forget()
        if sum(bits) > _BITS_MAX:
            rows = zip(
                *(
                    [column] * count if isinstance(column, int) else column.to_pylist()
                    for column in codes
                ),
                strict=True,
            )
            return pa.array([self._place(row, row) for row in rows], pa.int64())
        joined, width = pa.repeat(pa.scalar(0, pa.int64()), count), sum(bits)
        for column, own in zip(codes, bits, strict=True):
            width -= own
            shifted = (
                column << width if isinstance(column, int) else pc.multiply(column, 1 << width)
            )
            joined = pc.add(joined, shifted)
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

    def _kept(self, answer: AnsweredRow) -> int:
        return self._answers.setdefault(answer, len(self._answers))

    def _reader(self, part: str) -> Callable[[str], object]:
        otherwise = self._otherwise.get(part, "")

        def read(text: str) -> object:
            return self._read(part, text or otherwise)

        return read

    def _read(self, part: str, text: str) -> object:
        """Return the stand-in of a text; of a day, a day with the same answers.

        Bad texts are reported later.
        """
        try:
            if part == "as_of":
                return self._stand_ins.day(parse_day(text, "--as-of"))
            if part == "known_at":
                return self._stand_ins.known_at(known_point(text) if text else self._now)
            if part == "suppose":
                self._stand_ins.suppose(items_of(text))
        # Without a stand-in the text is asked in full, and the answer says what is wrong with it.
        except InvalidInput:
            pass
        return text

    def _decided(self, parts: Mapping[str, Any]) -> AnsweredRow:
        question = self._question(parts)
        tables = self._tables(parts["suppose"]) if question is not None else None
        if question is not None and tables is not None:
            try:
                return _answered(tables.answer(question), question.action)
            except KeyError:
                pass  # the question is not valid: asking in full says why
        return self._asked_in_full(parts)

    def _asked_in_full(self, parts: Mapping[str, Any]) -> AnsweredRow:
        asked = {name: parts[name] for name in COLUMNS}
        try:
            reading = readings_of(items_of(parts["reading"]))
            opened, question = self._opened.asking(
                items_of(parts["suppose"]), **asked, reading=reading
            )
        except InvalidInput as error:
            return AnsweredRow(INVALID, problem=" ".join(map(str, error.problems)))
        return _answered(opened.answer(question), question.action)

    def _question(self, parts: Mapping[str, Any]) -> Question | None:
        """Return the question, checked only in the parts that no table looks at; None where one
        of them is wrong."""
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
            # A product that is served may be sold by another; a sale's seller is its party.
            and (not seller or action == SERVE or (action == SELL and seller == parts["party"]))
        )
        if readings is None or not valid:
            return None
        named = {name: parts[name] for name in COLUMNS if name != "seller"}
        return Question(**named, seller=seller or parts["party"], readings=readings)

    def _tables(self, suppose: str) -> Tables | None:
        """Return the tables with supposed facts; None for several agreements, and for facts that
        cannot be supposed."""
        if suppose not in self._supposed:
            if len(self._supposed) == _SUPPOSED_MAX:
                self._supposed.clear()
            self._supposed[suppose] = self._tables_with(items_of(suppose))
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
                    self._opened.agreement, readings_of(items_of(text))
                )
            except InvalidInput:
                self._readings[text] = None
        return self._readings.get(text)


def _taken_apart(number: int, bits: Sequence[int]) -> tuple[int, ...]:
    codes = []
    for width in reversed(bits[1:]):
        codes.append(number & ((1 << width) - 1))
        number >>= width
    return (number, *reversed(codes))
