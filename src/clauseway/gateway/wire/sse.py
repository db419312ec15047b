"""Server-sent events as bytes: where whole events end, and what their data is. Pure.

A line ends in LF, CR LF or CR, and an event in an empty line (HTML standard, 9.2.5). The empty line
may end otherwise than the one before it: some servers write an event and its end in two places. A
byte order mark may stand before the first event, and belongs to none.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from clauseway.gateway.wire.bodies.decoding import BYTE_ORDER_MARK
from clauseway.values import NOT_JSON

_DATA: Final = b"data:"
_END: Final = re.compile(rb"\n\n|\n\r\n|\r\r\n?")
# A field that the format does not have: llama.cpp writes the errors of a chat so.
_ERROR_FIELD: Final = re.compile(rb"^error:[ \t]*([^\r\n]+)", re.MULTILINE)
# An empty line has up to three bytes.
_TAIL_BYTES: Final = 2
_TYPE_LINE: Final = re.compile(rb"(?:\A|[\r\n])event:[ \t]*([^\r\n]*)")


class BadStream(Exception):
    """The cloud sends no event stream that can be passed on."""


def without_mark(beginning: bytes) -> bytes:
    """Return the beginning of a stream without its byte order mark. With it the first field has
    another name, so clients that do not know the mark read no first event."""
    return beginning.removeprefix(BYTE_ORDER_MARK)


def end_of_events(block: bytes) -> int:
    """Return where the last whole event ends; 0 where none does."""
    if block.endswith(b"\n\n"):
        return len(block)
    end = _end_of_last(b"\n\n", block)
    # A single byte is found much sooner, and most servers write no CR.
    if block.find(b"\r") >= 0:
        # Behind CR LF, too, an empty line ends an event.
        end = max(end, _end_of_last(b"\n\r\n", block), _end_of_last(b"\r\r", block))
    return end


class UnendedEvent:
    """The beginning of an event whose end has not come. Its pieces are joined once, when it comes:
    a large event in small pieces costs no more than its length."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        # The last bytes, with which an empty line may begin.
        self._tail = b""
        self.length = 0

    def ended_by(self, data: bytes) -> bytes:
        """Return the whole events up to here, nothing where none has ended, and keep the rest."""
        end = end_of_events(self._tail + data if self._tail else data) - len(self._tail)
        if end <= 0:
            self._keep(data)
            return b""
        kept = self.taken() if self.length else b""
        if end < len(data):
            self._keep(data[end:])
            data = data[:end]
        return kept + data if kept else data

    def taken(self) -> bytes:
        """Return the bytes that are kept, and keep them no longer."""
        kept = b"".join(self._pieces)
        self._pieces, self._tail, self.length = [], b"", 0
        return kept

    def _keep(self, data: bytes) -> None:
        self._pieces.append(data)
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        self.length += len(data)


def _end_of_last(empty_line: bytes, block: bytes) -> int:
    at = block.rfind(empty_line)
    return at + len(empty_line) if at >= 0 else 0


def events_in(block: bytes) -> Iterator[bytes]:
    """Yield the events of a block, each with its empty line, which the last may lack. Joined they
    are the block."""
    begin = 0
    if block.find(b"\r") >= 0:
        for empty_line in _END.finditer(block):
            yield block[begin : empty_line.end()]
            begin = empty_line.end()
    else:
        while (end := block.find(b"\n\n", begin)) >= 0:
            yield block[begin : end + 2]
            begin = end + 2
    if begin < len(block):
        yield block[begin:]


def data_of(event: bytes) -> bytes:
    """Return the data of an event: its `data:` lines, joined as the format says."""
    # As nearly every server writes an event: one line, and the empty one.
    is_one_line = event.startswith(_DATA) and event.find(b"\n") == len(event) - 2
    if is_one_line and event.endswith(b"\n\n") and event.find(b"\r") < 0:
        return event[len(_DATA) :].strip()
    lines: Iterable[bytes] = (line for line in event.splitlines() if line.startswith(_DATA))
    return b"\n".join(line[len(_DATA) :].strip() for line in lines)


def type_in_line(event: bytes) -> str:
    """Return the type that stands in the event's own line; empty where none does."""
    line = _TYPE_LINE.search(event)
    return line[1].decode("utf-8", "replace") if line is not None else ""


def is_error_by_line(event: bytes) -> bool:
    """Return whether the event's own line says that it is an error, whatever type its data has."""
    return event.find(b"error") >= 0 and type_in_line(event) == "error"


def with_errors_as_data(block: bytes) -> bytes:
    """Return a block whose fields `error` are data with a member `error`: no client reads a field of
    that name."""
    if block.startswith(b"error:") or block.find(b"\nerror:") >= 0:
        return _ERROR_FIELD.sub(_error_as_data, block)
    return block


def _error_as_data(field: re.Match[bytes]) -> bytes:
    error = field[1]
    try:
        msgspec.json.decode(error, type=msgspec.Raw)
    except NOT_JSON:
        error = msgspec.json.encode(error.decode("utf-8", "replace"))
    return b'data: {"error":%b}' % error
