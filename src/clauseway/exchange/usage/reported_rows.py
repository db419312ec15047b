"""Shared by every reader of foreign usage: rows of our fields, not yet believed, with the line they
came from.

`metering.examine` decides if a row is believed; a reader only translates names. Fields that it
cannot translate it passes on under their own names, so that they are seen. A value that is not
JSON, or not of the type that its format says, is a row that could not be read; the next row is.
"""

import json
import re
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

# A file of one document is read whole up to here; more than that belongs in lines.
_DOCUMENT_BYTES_MAX = 256 << 20
# A value is one record, or one export of a collector: a longer value is neither, and must not fill
# the memory.
_VALUE_BYTES_MAX = 16 << 20
_ARRAY_BYTES = 1 << 20
_SHOWN = 500  # characters of an unreadable value
_BOM = b"\xef\xbb\xbf"
_TOO_DEEP = "not readable JSON: it is nested too deep"
_TOO_LONG = f"not a record: it is longer than {_VALUE_BYTES_MAX >> 20} MB"
_BETWEEN = re.compile(r"[ \t\r\n,]*")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{},]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its number (from 1) in the file, its fields, or why it could not be read at all.

    `skipped` says why a row is not usage (a tax, an event of another kind): nothing is wrong with
    it.
    """

    line: int
    fields: dict[str, Any]
    unreadable: str = ""
    skipped: str = ""


class Malformed(ValueError):
    """A member is not of the type that its format says."""


def object_of(value: Any, name: str) -> Mapping[str, Any]:
    """Return an object, empty if there is nothing. Raise Malformed."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{name} is not an object")
    return value


def list_of(value: Any, name: str) -> list[Any]:
    """Return a list, empty if there is nothing. Raise Malformed."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{name} is not a list")
    return value


def json_values(path: Path) -> Iterator[tuple[int, Any, str]]:
    """Yield the JSON values of a file, each with its line and why it is not JSON, else empty.

    JSON lines, an array, or one document. An array on one line, or over the whole file, is as many
    values. Lines are read one at a time.
    """
    with path.open("rb") as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        begin = file.tell()
        # A first line that is no value of its own begins a document over many lines.
        first = next((line for line, _ in _lines(file) if line.strip()), b"")
        file.seek(begin)
        if not _is_whole(first):
            yield from _document(file)
            return
        for number, (line, is_whole) in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            value, wrong = _decoded(line) if is_whole else (_shown(line), _TOO_LONG)
            if wrong:
                yield number, value, wrong
                continue
            for element in value if isinstance(value, list) else (value,):
                yield number, element, ""


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield the lines of a file, marked if whole: of a line longer than any record only its
    beginning."""
    while line := file.readline(_VALUE_BYTES_MAX):
        is_whole = line.endswith(b"\n") or len(line) < _VALUE_BYTES_MAX
        yield line, is_whole
        while not is_whole and (rest := file.readline(_VALUE_BYTES_MAX)):
            is_whole = rest.endswith(b"\n")


def _decoded(line: bytes) -> tuple[Any, str]:
    """Return the value of a line, or its beginning and why it is not JSON."""
    try:
        return msgspec.json.decode(line), ""
    except RecursionError:
        return _shown(line), _TOO_DEEP
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _shown(line), f"not JSON: {error}"


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode(errors="replace")


def _is_whole(line: bytes) -> bool:
    """True if a line is a value of its own; a broken line among lines counts as such."""
    _, wrong = _decoded(line)
    if not wrong or wrong == _TOO_DEEP:
        return True
    return line.strip() not in (b"", b"[", b"{") and not line.lstrip().startswith(b"[")


def _document(file: IO[bytes]) -> Iterator[tuple[int, Any, str]]:
    """Yield the elements of an array that goes over many lines, one by one; or the one document
    that the file is."""
    start = file.tell()
    # Bytes that are not UTF-8 become lone surrogates: they spoil their row, and are seen there.
    unicode = getincrementaldecoder("utf-8")("surrogateescape")
    text = unicode.decode(file.read(_ARRAY_BYTES)).lstrip()
    if text.startswith("["):
        yield from _elements(file, unicode, text[1:])
        return
    file.seek(start)
    whole = file.read(_DOCUMENT_BYTES_MAX)
    if file.read(1):
        yield (
            1,
            _shown(whole),
            f"not a document: it is longer than {_DOCUMENT_BYTES_MAX >> 20} MB; write lines",
        )
        return
    if not whole.strip():
        return  # a day on which nothing was used, as somebody's export has it
    value, wrong = _decoded(whole)
    yield 1, value, wrong


def _elements(
    file: IO[bytes], unicode: IncrementalDecoder, text: str
) -> Iterator[tuple[int, Any, str]]:
    """Yield the elements of an array of which `text` is the beginning; invalid ones are skipped to
    the next comma. The text is read in place: cutting each element off it would copy it as often."""
    decoder, line, at, at_end = json.JSONDecoder(), 1, 0, False
    while True:
        between = _BETWEEN.match(text, at)
        assert between is not None, "it matches an empty text"
        begin = between.end()
        line += text.count("\n", at, begin)
        at = begin
        if text.startswith("]", at):
            return
        try:
            value, end = decoder.raw_decode(text, at)
            wrong = ""
        except (ValueError, RecursionError) as error:
            # The element may continue: read twice as much, up to the length of the longest record.
            if not at_end and len(text) - at < _VALUE_BYTES_MAX:
                more = file.read(max(_ARRAY_BYTES, len(text) - at))
                at_end = not more
                text, at = text[at:] + unicode.decode(more, final=at_end), 0
                continue
            if at == len(text):
                yield line, "", "not JSON: the array has no end"
                return
            end = _end_of_element(text, at)
            value, wrong = text[at : min(end, at + _SHOWN)], _why(error, text[at:end], at)
        yield line, value, wrong
        line += text.count("\n", at, end)
        at = end


def _why(error: Exception, element: str, at: int) -> str:
    """Return why an element is not JSON; `at` is its place in the text that was decoded."""
    if isinstance(error, json.JSONDecodeError):
        error = json.JSONDecodeError(error.msg, element, error.pos - at)
    return _TOO_DEEP if isinstance(error, RecursionError) else f"not JSON: {error}"


def _end_of_element(text: str, at: int) -> int:
    """Return where an unreadable element that begins at a place ends: before the comma or bracket
    that its own brackets leave."""
    depth = 0
    for match in _BRACKETS.finditer(text, at):
        sign = match[0][0]
        if sign in "[{":
            depth += 1
        elif sign in "]}" and depth:
            depth -= 1
        elif (sign == "," or sign in "]}") and not depth:
            return max(match.start(), at + 1)
    return len(text)


def keepable(value: Any) -> Any:
    """Return a value as it can be kept: lone surrogates replaced, and a number beyond 64 bits as
    text."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {str(keepable(name)): keepable(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [keepable(member) for member in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return str(value)
    return value
