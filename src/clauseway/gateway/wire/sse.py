"""Server-sent events as bytes: where whole events end, and what their data is. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_DATA: Final = b"data:"
_EVENT: Final = re.compile(rb"(?s:.*?)(?:\n\n|\r\n\r\n)")
_TYPE_LINE: Final = re.compile(rb"^event:[ \t]*([^\r\n]*)", re.MULTILINE)


class BadStream(Exception):
    """The cloud sends no event stream that can be passed on."""


def end_of_events(block: bytes) -> int:
    """Return where the last whole event ends; 0 where none does."""
    if block.endswith(b"\n\n"):
        return len(block)
    end = block.rfind(b"\n\n") + 2
    crlf = block.rfind(b"\r\n\r\n") + 4
    return max(end if end > 1 else 0, crlf if crlf > 3 else 0)


def events_in(block: bytes) -> Iterator[bytes]:
    """Yield the events of a block, each with its empty line, which the last may lack. Joined they
    are the block."""
    begin = 0
    if block.find(b"\r") >= 0:
        for event in _EVENT.finditer(block):
            yield event[0]
            begin = event.end()
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
