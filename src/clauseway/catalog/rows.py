"""The catalog's data files: CSV with a header and remarks after `#`; all problems are reported at
once, each with its line."""

import csv
from collections.abc import Sequence
from datetime import date

from clauseway.values import (
    FOREVER,
    BadNumber,
    Interval,
    InvalidInput,
    Problem,
    parse_day,
    read_whole,
    refuse_any,
)


class RowReader:
    """A line being read: its fields, and every problem found in it."""

    def __init__(self, fields: dict[str, str], name: str, line: int) -> None:
        self.fields, self.name, self.line = fields, name, line
        self.problems: list[Problem] = []

    def refuse(self, problem: str, why: str, remedy: str) -> None:
        self.problems.append(
            Problem(what=problem, why=why, where=self.name, line=self.line, remedy=remedy)
        )

    def text(self, column: str) -> str:
        return self.fields[column]

    def stated(self, column: str) -> str:
        """Return a field that may not be empty."""
        if not self.fields[column]:
            self.refuse(
                f"{column} is empty", "nothing could be made of the line", f"Write its {column}."
            )
        return self.fields[column]

    def stated_day(self, column: str) -> date:
        """Return a day that may not be left out; FOREVER, and a problem, if the field holds no
        day."""
        try:
            return parse_day(self.fields[column], column)
        except InvalidInput as invalid:
            problem = invalid.problems[0]
            self.refuse(f"{column}: {problem.what}", problem.why, problem.remedy)
            return FOREVER

    def day(self, column: str, otherwise: date) -> date:
        """Return a day, or `otherwise` if the field is empty."""
        return self.stated_day(column) if self.fields[column] else otherwise

    def interval(self, begin: str, end: str) -> Interval:
        """Return the days from `begin` (empty: unbounded) until before `end` (empty: unbounded)."""
        interval = Interval(self.day(begin, date.min), self.day(end, FOREVER))
        if interval.is_empty and not self.problems:
            why = f"it begins {interval.begin} and ends {interval.end}"
            self.refuse("the line never holds", why, "Put the end after the begin.")
        return interval

    def count(self, column: str) -> int:
        """Return a whole number, 0 if the field is empty."""
        text = self.fields[column]
        try:
            return read_whole(text) if text else 0
        except BadNumber as error:
            self.refuse(f"{column}: {text!r} is not a number", error.why, error.remedy)
            return 0

    def one_of(self, column: str, allowed: Sequence[str]) -> str:
        value = self.fields[column]
        if value not in allowed:
            self.refuse(
                f"unknown {column} {value!r}",
                "nothing defines it",
                f"Write one of: {', '.join(allowed)}.",
            )
        return value


def read_rows(text: str, name: str, columns: Sequence[str]) -> list[RowReader]:
    """Read the lines of a file with these columns. Raise InvalidInput if it has others; `name` is
    the file."""
    # The header must be the first line left.
    lines = filled_lines(text)
    remedy = f"Write {','.join(columns)}."
    if not lines or fields_of(lines[0][1]) != list(columns):
        number, first_line = lines[0] if lines else (1, "")
        message = "the first line does not name the columns"
        raise InvalidInput.of(
            what=message, why=f"it reads {first_line!r}", where=name, line=number, remedy=remedy
        )
    rows, problems = [], []
    for number, line in lines[1:]:
        fields = fields_of(line)
        if len(fields) == len(columns):
            rows.append(RowReader(dict(zip(columns, fields, strict=True)), name, number))
        else:
            why = f"it has {len(fields)} fields, not {len(columns)}"
            problems.append(
                Problem(what="a line does not fit", why=why, where=name, line=number, remedy=remedy)
            )
    refuse_any(problems)
    return rows


def check_rows(rows: Sequence[RowReader], key: Sequence[str]) -> None:
    """Raise InvalidInput with every problem of the rows, and each row that repeats the `key`
    columns of an earlier row."""
    lines: dict[tuple[str, ...], int] = {}
    for row in rows:
        values = tuple(map(row.text, key))
        first = lines.setdefault(values, row.line)
        if first != row.line:
            problem = f"a second line for {' '.join(filter(None, values))}"
            row.refuse(problem, f"line {first} has the same", "Keep one of them.")
    refuse_any(problem for row in rows for problem in row.problems)


def filled_lines(text: str) -> list[tuple[int, str]]:
    """Return the lines of a file by their numbers, without remarks and empty lines."""
    return [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and line[0] != "#"
    ]


def fields_of(line: str) -> list[str]:
    """Return the fields of a line; none where it cannot be one (a field of more than 128 KB)."""
    try:
        return [field.strip() for field in next(csv.reader([line]))]
    except csv.Error:
        return []
