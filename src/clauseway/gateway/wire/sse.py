"""Server-sent events as bytes: where whole events end, and what their data is. Pure."""

from collections.abc import Iterable


class BadStream(Exception):
    """The cloud sends no event stream that can be passed on."""


def end_of_events(block: bytes) -> int:
    """Where the last whole event ends."""
    if block.endswith(b"\n\n"):
        return len(block)
    end = block.rfind(b"\n\n") + 2
    crlf = block.rfind(b"\r\n\r\n") + 4
    return max(end if end > 1 else 0, crlf if crlf > 3 else 0)


def events_in(block: bytes) -> list[bytes]:
    """The whole events of a block, each with its empty line."""
    separator = b"\n\n" if b"\n\n" in block else b"\r\n\r\n"
    return [event + separator for event in block.split(separator) if event]


def data_of(event: bytes) -> bytes:
    """The data of an event: its `data:` lines, joined as the format says."""
    lines: Iterable[bytes] = (line for line in event.splitlines() if line.startswith(b"data:"))
    return b"\n".join(line[5:].strip() for line in lines)
