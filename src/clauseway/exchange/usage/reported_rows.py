"""The parts that all readers of foreign usage share: rows of our fields, not yet checked, each with its line.

`metering.examine` checks a row; a reader only translates names. A field without a translation keeps
its own name, so that it is reported. A value that is not JSON, or not of the type of its format, is
an unreadable row; reading continues with the next row.
"""

import json
import re
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from clauseway.values import LEVELS_MAX, check_depth, nests_beyond

# A file of one document is read whole up to here; more than that belongs in lines.
_DOCUMENT_BYTES_MAX = 256 << 20
# The longest record, or export of a collector. A longer value must not fill the memory.
_VALUE_BYTES_MAX = 16 << 20
_ARRAY_BYTES = 1 << 20
# More text before an element that is not JSON is dropped: its error would count the lines of all of it.
_BEFORE_ERROR_MAX = 8 << 10
_SHOWN = 500  # characters of an unreadable value
_BOM = b"\xef\xbb\xbf"
_TOO_DEEP = "not readable JSON: it is nested too deep"
_TOO_LONG = f"not a record: it is longer than {_VALUE_BYTES_MAX >> 20} MB"
_BETWEEN = re.compile(r"[ \t\r\n,]*")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{},]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its number in the file from 1, its fields, or why it is unreadable.

    `skipped` says why a valid row is not usage (a tax, an event of another kind). `untagged_id` is
    the id that the row would have without its tags, where that is another.
    """

    line: int
    fields: dict[str, Any]
    unreadable: str = ""
    skipped: str = ""
    untagged_id: str = ""


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

    The file is JSON lines, an array, or one document. An array, on one line or over the whole file,
    yields its elements. Lines are read one at a time.
    """
    with path.open("rb") as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        begin = file.tell()
        # If the first line is not a whole value, a document goes over many lines.
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
    """Yield the lines of a file and whether each is whole; of a line longer than any record, only
    its beginning."""
    while line := file.readline(_VALUE_BYTES_MAX):
        is_whole = line.endswith(b"\n") or len(line) < _VALUE_BYTES_MAX
        yield line, is_whole
        while not is_whole and (rest := file.readline(_VALUE_BYTES_MAX)):
            is_whole = rest.endswith(b"\n")


def _decoded(line: bytes) -> tuple[Any, str]:
    """Return the value of a line, or its beginning and why it is not JSON."""
    try:
        check_depth(line)
        return msgspec.json.decode(line), ""
    except RecursionError:
        return _shown(line), _TOO_DEEP
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _shown(line), f"not JSON: {error}"


def _shown(line: bytes) -> str:
    return line[:_SHOWN].decode(errors="replace")


def _is_whole(line: bytes) -> bool:
    """Return whether a line is a whole value; a broken line among lines counts as whole."""
    _, wrong = _decoded(line)
    if not wrong or wrong == _TOO_DEEP:
        return True
    return line.strip() not in (b"", b"[", b"{") and not line.lstrip().startswith(b"[")


def _document(file: IO[bytes]) -> Iterator[tuple[int, Any, str]]:
    """Yield the elements of an array over many lines, or the one document of the file."""
    start = file.tell()
    # Bytes that are not UTF-8 become lone surrogates, so that only their own row is invalid.
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
        return  # the export of a day without usage
    value, wrong = _decoded(whole)
    yield 1, value, wrong


def _elements(
    file: IO[bytes], unicode: IncrementalDecoder, text: str
) -> Iterator[tuple[int, Any, str]]:
    """Yield the elements of an array that begins with `text`; skip an invalid element up to the
    next comma. Read the text in place, because cutting off each element would copy the rest each
    time."""
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
            if nests_beyond(text[at:end].encode("utf-8", "surrogatepass"), LEVELS_MAX):
                value, wrong = text[at : at + _SHOWN], _TOO_DEEP
        except (ValueError, RecursionError) as error:
            # The element may continue: double the text, up to the length of the longest record.
            if not at_end and len(text) - at < _VALUE_BYTES_MAX:
                more = file.read(max(_ARRAY_BYTES, len(text) - at))
                at_end = not more
                text, at = text[at:] + unicode.decode(more, final=at_end), 0
                continue
            if at == len(text):
                yield line, "", "not JSON: the array has no end"
                return
            if at > _BEFORE_ERROR_MAX:
                text, at = text[at:], 0
                continue
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
    """Return the end of an unreadable element: the first comma or bracket outside its own
    brackets."""
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
    """Return a value that can be stored: lone surrogates replaced, and numbers beyond 64 bits as
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
