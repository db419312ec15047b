"""A TOML file read into a record, with every problem at once: unknown keys, missing ones, values
out of bounds.

`tomllib` knows no lines, so they are looked up in the text: every key and table that stands at the
start of a line. Numbers are read as they are written, by the rules of `values.numbers`: no binary
fraction ever becomes money.
"""

import re
import tomllib
import types
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from clauseway.app.opening.places import text_of
from clauseway.values import (
    BadNumber,
    InvalidInput,
    Problem,
    read_decimal,
    read_whole,
    suggestion,
)

T = TypeVar("T", bound=msgspec.Struct)
_TABLE = re.compile(r"\s*(\[\[?)([^\[\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_LINE_IN_MESSAGE = re.compile(r"\(at line (\d+), column \d+\)")
_NOT_HERE: Any = object()
# A part of a path is a key, or the place in a list of tables.
_Path = tuple[str | int, ...]


_WHOLE_MAX = 10**18
# Python writes no whole number of more than 4,300 digits, and reads none unless it is hexadecimal,
# octal or binary.
_BITS_MAX = 4_000
_ENDLESS = re.compile(r"[0-9A-Fa-f_]{1000}")
# Far more than any setting has; Python itself gives up after a thousand.
_DEPTH_MAX = 32
_WORD = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
# `tomllib` takes a time that grows with the square of a key's parts.
_LONG_KEY = re.compile(rf"(?<![A-Za-z0-9_-]){_WORD}(?:[ \t]*\.[ \t]*{_WORD}){{{_DEPTH_MAX},}}")


class _Fraction(float):
    """A number with a point or an exponent, and how it is written."""

    text: str

    def __new__(cls, text: str) -> "_Fraction":
        number = super().__new__(cls, text)
        number.text = text
        return number


class TomlFile:
    """A file that was parsed, its lines, and the problems found in it so far."""

    def __init__(self, where: Path, text: str) -> None:
        self.where = where
        self.problems: list[Problem] = []
        if long_key := _LONG_KEY.search(text):
            raise _nested(where, text.count("\n", 0, long_key.start()) + 1)
        try:
            self.content: dict[str, Any] = tomllib.loads(text, parse_float=_Fraction)
        except RecursionError:
            raise _nested(where) from None
        except tomllib.TOMLDecodeError as error:
            # The error of `tomllib` tells the line in its message alone.
            match = _LINE_IN_MESSAGE.search(str(error))
            line = int(match[1]) if match else 0
            raise InvalidInput.of(
                what="not valid TOML",
                why=str(error),
                where=str(where),
                line=line,
                remedy="Fix the line.",
            ) from None
        except ValueError:
            raise _endless(where, text) from None
        if _depth(self.content) > _DEPTH_MAX:
            raise _nested(where)
        if _has_endless_number(self.content):
            raise _endless(where, text)
        self._lines = _lines_of(text)
        self._text = text.split("\n")
        self._places: dict[int, _Path] = {}

    def line(self, *path: str | int) -> int:
        """Return where a key stands, or the nearest table around it; 0 where that is not known."""
        while path and path not in self._lines:
            # A list of tables begins with its first.
            if (*path, 0) in self._lines:
                return self._lines[*path, 0]
            path = path[:-1]
        return self._lines.get(path, 0)

    def place(self, record: msgspec.Struct) -> _Path:
        """Return where a record that was read stands; to be asked while the record is there."""
        return self._places[id(record)]

    def has(self, *path: str | int) -> bool:
        """Return whether the file has a value there."""
        value: Any = self.content
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def line_of(self, *path: str | int) -> int:
        """Return the line of a key's value, or of the value around it; 0 where the file does not
        have it."""
        return self.line(*path) if self.has(*path) else 0

    def problem(self, path: _Path, problem: str, why: str, remedy: str) -> None:
        self.problems.append(
            Problem(
                what=problem, why=why, where=str(self.where), line=self.line(*path), remedy=remedy
            )
        )

    def read(self, kind: type[T]) -> T | None:
        """Return the whole file as a record.

        Wrong values become problems and are left out; None where nothing is left.
        """
        return self._struct(kind, self.content, ())

    def _struct(self, kind: type[T], value: object, path: _Path) -> T | None:
        if not isinstance(value, Mapping):
            self.problem(
                path,
                f"{named(path)} is not a table",
                f"it is {value!r}",
                "Write a table of keys and values.",
            )
            return None
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        # Unknown keys are reported, and reading goes on.
        for name in value.keys() - fields.keys():
            unknown = f"unknown key {named((*path, name))}"
            self.problem((*path, name), unknown, "nothing reads it", suggestion(name, fields))
        values: dict[str, Any] = {}
        for name, field in fields.items():
            if name in value:
                taken = self._value(field.type, value[name], (*path, name))
                if taken is not _NOT_HERE:
                    values[field.name] = taken
                    continue
            elif field.required:
                self.problem(
                    path,
                    f"{named((*path, name))} is missing",
                    "nothing stands for it",
                    f"Write {name} = ….",
                )
            # A required value that cannot be taken leaves no record; an optional one keeps its
            # default.
            if field.required:
                return None
        record = kind(**values)
        # Records have no room for their place, so it is kept by their identity.
        self._places[id(record)] = path
        return record

    def _value(self, kind: Any, value: object, path: _Path) -> Any:
        """Return the value, or `_NOT_HERE` where it is not valid."""
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            taken = self._struct(kind, value, path)
            return _NOT_HERE if taken is None else taken
        # A list of tables, as [[deployment]].
        items = get_args(kind)
        if (
            get_origin(kind) is tuple
            and isinstance(items[0], type)
            and issubclass(items[0], msgspec.Struct)
        ):
            if not isinstance(value, list):
                remedy = f"Write [[{named(path)}]] for each of them."
                self.problem(
                    path, f"{named(path)} is not a list of tables", "there may be several", remedy
                )
                return _NOT_HERE
            read = [
                self._struct(items[0], item, (*path, index)) for index, item in enumerate(value)
            ]
            return tuple(item for item in read if item is not None)
        # A plain value, checked against its limits.
        try:
            return msgspec.convert(self._number(kind, value, path), kind)
        except BadNumber as error:
            number = (
                value.text if isinstance(value, _Fraction) else self._written(path) or shown(value)
            )
            self.problem(path, f"{named(path)} = {number} cannot be", error.why, error.remedy)
            return _NOT_HERE
        except msgspec.ValidationError as error:
            reason = description_of(kind)
            is_day = _plain_kind(kind) is date
            other = "Write a day, as 2026-01-31." if is_day else "Write another value."
            remedy = f"It says: {reason}" if reason else other
            self.problem(
                path,
                f"{named(path)} = {shown(value)} cannot be",
                str(error).replace("`", ""),
                remedy,
            )
            return _NOT_HERE

    def _number(self, kind: Any, value: object, path: _Path) -> object:
        """Return a number read from its text, and any other value as it is. Raise BadNumber."""
        wanted = _plain_kind(kind)
        if wanted is Decimal and isinstance(value, str):
            return read_decimal(value)
        if isinstance(value, _Fraction):
            if wanted is int:
                raise BadNumber("it is not a whole number", "Write it as 12500.")
            if wanted is Decimal or wanted is float:
                number = read_decimal(value.text)
                return number if wanted is Decimal else float(number)
        # To Python a bool is an int; to TOML it is not.
        elif isinstance(value, int) and not isinstance(value, bool):
            whole = read_whole(
                self._written(path) or str(value), least=-_WHOLE_MAX, most=_WHOLE_MAX
            )
            return read_decimal(str(whole)) if wanted is Decimal else whole
        return value

    def _written(self, path: _Path) -> str:
        """Return how the number at a key is written, empty where its line does not show it."""
        line, key = self.line_of(*path), path[-1]
        if not line or not isinstance(key, str):
            return ""
        match = re.search(
            rf"""(?<![\w-])["']?{re.escape(key)}["']?\s*=\s*([-+\w.]+)""", self._text[line - 1]
        )
        return match[1] if match else ""


def _plain_kind(kind: Any) -> Any:
    """Return the plain type of an annotation, without metadata and without None."""
    if get_origin(kind) is Annotated:
        return _plain_kind(get_args(kind)[0])
    if isinstance(kind, types.UnionType):
        return next(
            (alternative for alternative in get_args(kind) if alternative is not type(None)), kind
        )
    return kind


def read_file(path: Path) -> TomlFile:
    """Read a TOML file. Raise InvalidInput if it cannot be read or is not valid TOML."""
    try:
        return TomlFile(path, text_of(path, "utf-8-sig"))
    except FileNotFoundError:
        problem, why, remedy = (
            "there is no configuration",
            "the file does not exist",
            "`clauseway init` writes a first one, `clauseway gateway sandbox --config FILE` one for "
            "simulated clouds. Or name another with --config.",
        )
    except (OSError, UnicodeDecodeError) as error:
        problem, why, remedy = (
            "the configuration cannot be read",
            str(error),
            "Give a readable text file, in UTF-8.",
        )
    raise InvalidInput.of(what=problem, why=why, where=str(path), remedy=remedy)


def description_of(kind: Any) -> str:
    """Return the reason that is written beside a setting."""
    if get_origin(kind) is Annotated:
        return next(
            (part.description or "" for part in get_args(kind) if isinstance(part, msgspec.Meta)),
            "",
        )
    return ""


def _depth(content: object) -> int:
    """Return how many tables and lists stand in each other at most."""
    depth, layer = 0, [content]
    while layer := [value for value in layer if isinstance(value, dict | list)]:
        depth += 1
        layer = [
            inner
            for value in layer
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    return depth


def _nested(where: Path, line: int = 0) -> InvalidInput:
    return InvalidInput.of(
        what="tables nested too deeply",
        why=f"no setting stands in more than {_DEPTH_MAX} of them",
        where=str(where),
        line=line,
        remedy="Write the settings that `clauseway config show` lists.",
    )


def _has_endless_number(content: object) -> bool:
    """Return whether a whole number anywhere has more digits than Python writes."""
    values = [content]
    while values:
        value = values.pop()
        if isinstance(value, int) and value.bit_length() > _BITS_MAX:
            return True
        if isinstance(value, dict | list):
            values += value.values() if isinstance(value, dict) else value
    return False


def _endless(where: Path, text: str) -> InvalidInput:
    begin = _ENDLESS.search(text)
    return InvalidInput.of(
        what="a number of thousands of digits",
        why="no setting takes such a number",
        where=str(where),
        line=text.count("\n", 0, begin.start()) + 1 if begin else 0,
        remedy=f"Write a whole number of at most {len(str(_WHOLE_MAX)) - 1} digits.",
    )


def named(path: _Path) -> str:
    """`deployment[2].auth.kind`, counted from 1 as people do."""
    named = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return named.removeprefix(".")


def shown(value: object) -> str:
    if isinstance(value, date | time):  # a moment is a date, too
        return value.isoformat()
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}…"


def _lines_of(text: str) -> dict[_Path, int]:
    """Return the line of each table and key that begins a line, from 1."""
    lines: dict[_Path, int] = {}
    table: _Path = ()
    counts: dict[_Path, int] = {}
    within = ""  # the quotes of a text of several lines
    # `splitlines` would count lines at characters that end none in TOML, nor in an editor.
    for number, line in enumerate(text.split("\n"), 1):
        if within:
            within = "" if within in line else within
            continue
        if head := _TABLE.match(line):
            table = _resolved(tuple(_parts(head[2])), counts, begins=head[1] == "[[")
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key[1])), number)
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2:
                within = quotes
    return lines


def _parts(name: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(name)]


def _resolved(parts: tuple[str, ...], counts: dict[_Path, int], *, begins: bool) -> _Path:
    """Return a table's path, with the place of the latest table of each list in it.

    `begins`: one more of its list.
    """
    path: _Path = ()
    for index, part in enumerate(parts):
        path = (*path, part)
        if begins and index == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
