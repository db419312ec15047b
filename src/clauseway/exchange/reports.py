"""What every reader of foreign usage gives: rows of our fields, not yet believed, with the line they came from.

Whether a row is believed is for `metering.examine` to say; a reader only translates names. What it cannot translate it
passes on under its own name, so that it is seen.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

# A file of one document is read whole up to here; more than that belongs in lines.
_DOCUMENT_BYTES_MAX = 256 << 20
_ARRAY_BYTES = 1 << 20


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A row: its number (from 1) in the file, its fields, or why it could not be read at all.

    `skipped` says why a row is no usage (a tax, an event of another kind): nothing is wrong with it.
    """

    line: int
    fields: dict[str, Any]
    unreadable: str = ""
    skipped: str = ""


def json_values(path: Path) -> Iterator[tuple[int, Any, str]]:
    """The JSON values of a file, each with its line and, where it is none, why: JSON lines, an array, or one document.

    An array on one line, or over the whole file, is as many values. Lines are read one at a time.
    """
    with path.open("rb") as file:
        first = _first_line(file)
        if not _is_whole(first):
            yield from _document(file)
            return
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                yield number, line.decode(errors="replace")[:500], f"no JSON: {error}"
                continue
            for one in value if isinstance(value, list) else (value,):
                yield number, one, ""


def _first_line(file: IO[bytes]) -> bytes:
    line = next((line for line in file if line.strip()), b"")
    file.seek(0)
    return line


def _is_whole(line: bytes) -> bool:
    """Whether a line is a value of its own; a broken one among lines counts as such."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line.strip() not in (b"", b"[", b"{") and not line.lstrip().startswith(b"[")
    return True


def _document(file: IO[bytes]) -> Iterator[tuple[int, Any, str]]:
    """The elements of an array that goes over many lines, one by one; or the one document that the file is."""
    decoder, text, line, at_end = json.JSONDecoder(), "", 1, False
    text = file.read(_ARRAY_BYTES).decode(errors="replace").lstrip()
    if not text.startswith("["):
        rest = file.read(_DOCUMENT_BYTES_MAX)
        try:
            yield 1, json.loads(text + rest.decode(errors="replace")), ""
        except ValueError as error:
            yield 1, text[:500], f"no JSON: {error}"
        return
    text = text[1:]
    while True:
        stripped = text.lstrip(" \t\r\n,")
        line += text.count("\n", 0, len(text) - len(stripped))
        text = stripped
        if text.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(text)
        except ValueError as error:
            if at_end:
                yield line, text[:500], f"no JSON: {error}"
                return
            more = file.read(max(_ARRAY_BYTES, len(text)))
            at_end, text = not more, text + more.decode(errors="replace")
            continue
        yield line, value, ""
        line += text.count("\n", 0, end)
        text = text[end:]
