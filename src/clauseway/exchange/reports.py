"""What every reader of foreign usage gives: rows of our fields, not yet believed, with the line they came from.

Whether a row is believed is for `metering.examine` to say; a reader only translates names. What it cannot translate it
passes on under its own name, so that it is seen. A value that is no JSON, or not of the type that its format says, is
a row that could not be read; the next one is.
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
# A value is one record, or one export of a collector: longer is no such thing, and must not fill the memory.
_VALUE_BYTES_MAX = 16 << 20
_ARRAY_BYTES = 1 << 20
_SHOWN = 500  # characters of what could not be read
_BOM = b"\xef\xbb\xbf"
_TOO_DEEP = "no JSON that can be read: it is nested too deep"
_TOO_LONG = f"no record: it is longer than {_VALUE_BYTES_MAX >> 20} MB"
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{},]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its number (from 1) in the file, its fields, or why it could not be read at all.

    `skipped` says why a row is no usage (a tax, an event of another kind): nothing is wrong with it.
    """

    line: int
    fields: dict[str, Any]
    unreadable: str = ""
    skipped: str = ""


class Malformed(ValueError):
    """A member is not of the type that its format says."""


def object_of(value: Any, name: str) -> Mapping[str, Any]:
    """An object; none where there is nothing. Raises Malformed."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{name} is no object")
    return value


def list_of(value: Any, name: str) -> list[Any]:
    """A list; an empty one where there is nothing. Raises Malformed."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{name} is no list")
    return value


def json_values(path: Path) -> Iterator[tuple[int, Any, str]]:
    """The JSON values of a file, each with its line and, where it is none, why: JSON lines, an array, or one document.

    An array on one line, or over the whole file, is as many values. Lines are read one at a time.
    """
    with path.open("rb") as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        begin = file.tell()
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
            for one in value if isinstance(value, list) else (value,):
                yield number, one, ""


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file, and whether each is whole: of one that is longer than any record only its beginning."""
    while line := file.readline(_VALUE_BYTES_MAX):
        is_whole = line.endswith(b"\n") or len(line) < _VALUE_BYTES_MAX
        yield line, is_whole
        while not is_whole and (rest := file.readline(_VALUE_BYTES_MAX)):
            is_whole = rest.endswith(b"\n")


def _decoded(line: bytes) -> tuple[Any, str]:
    """The value of a line, or its beginning and why it is none."""
    try:
        return msgspec.json.decode(line), ""
    except RecursionError:
        return _shown(line), _TOO_DEEP
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _shown(line), f"no JSON: {error}"


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode(errors="replace")


def _is_whole(line: bytes) -> bool:
    """Whether a line is a value of its own; a broken one among lines counts as such."""
    _, wrong = _decoded(line)
    if not wrong or wrong == _TOO_DEEP:
        return True
    return line.strip() not in (b"", b"[", b"{") and not line.lstrip().startswith(b"[")


def _document(file: IO[bytes]) -> Iterator[tuple[int, Any, str]]:
    """The elements of an array that goes over many lines, one by one; or the one document that the file is."""
    start = file.tell()
    # Bytes that are no UTF-8 become signs that are no Unicode: they spoil their row, and are seen there.
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
            f"no document: it is longer than {_DOCUMENT_BYTES_MAX >> 20} MB; write lines",
        )
        return
    if not whole.strip():
        return  # a day on which nothing was used, as somebody's export has it
    value, wrong = _decoded(whole)
    yield 1, value, wrong


def _elements(
    file: IO[bytes], unicode: IncrementalDecoder, text: str
) -> Iterator[tuple[int, Any, str]]:
    """The elements of an array of which `text` is the beginning; what is none is passed by up to the next comma."""
    decoder, line, at_end = json.JSONDecoder(), 1, False
    while True:
        stripped = text.lstrip(" \t\r\n,")
        line += text.count("\n", 0, len(text) - len(stripped))
        text = stripped
        if text.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(text)
            wrong = ""
        except (ValueError, RecursionError) as error:
            more = b"" if at_end else file.read(max(_ARRAY_BYTES, len(text)))
            at_end = not more
            text += unicode.decode(more, final=at_end)
            if more and len(text) < _VALUE_BYTES_MAX:
                continue
            if not text:
                yield line, "", "no JSON: the array has no end"
                return
            end = _end_of_element(text)
            value, wrong = text[:end][:_SHOWN], _why(error)
        yield line, value, wrong
        line += text.count("\n", 0, end)
        text = text[end:]


def _why(error: Exception) -> str:
    return _TOO_DEEP if isinstance(error, RecursionError) else f"no JSON: {error}"


def _end_of_element(text: str) -> int:
    """Where an element that cannot be read ends: before the comma or bracket that its own brackets leave."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        sign = found[0][0]
        if sign in "[{":
            depth += 1
        elif sign in "]}" and depth:
            depth -= 1
        elif (sign == "," or sign in "]}") and not depth:
            return max(found.start(), 1)
    return len(text)


def keepable(value: Any) -> Any:
    """A value as it can be kept: signs that are no Unicode marked, and a number beyond 64 bits as text."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {str(keepable(name)): keepable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [keepable(one) for one in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return str(value)
    return value
