"""A journal's copy, as it lies in a follower's folder: one folder for each journal, named by it.

It holds the segments, byte by byte as the gateway wrote them, and two small files. `copy.json`
names the journal as the gateway does, says by which setting it was copied, and whether it was
closed in order. `recovered.json` is the fence: once it is there, no gateway continues this journal.
The writer's lock of the folder belongs to the follower while a gateway is connected, and to whoever
recovers the copy, never to both.
"""

import json
from pathlib import Path
from typing import Final, NamedTuple

from clauseway.files import write_whole
from clauseway.files.folders import list_folder
from clauseway.files.presence import is_there
from clauseway.spool.follower_messages import SECRET_LENGTH_MIN, SegmentDigest
from clauseway.spool.reader import extent, extents
from clauseway.spool.segments import SpoolSegment, is_written, list_segments

_STATE: Final = "copy.json"
_FENCE: Final = "recovered.json"
_READ_BYTES: Final = 1 << 20
_IDENTITY_LENGTH: Final = 32
# By which setting a journal goes on while its follower is away.
REFUSE, ALONE = "refuse", "alone"


class Uncopied(OSError):
    """There is no copy of the journal at present, and there has to be one."""


def parse_address(text: str, least_port: int = 1) -> tuple[str, int]:
    """Return host and port of "HOST:PORT" or "[HOST]:PORT". Raise ValueError."""
    host, colon, port = text.rpartition(":")
    is_number = port.isascii() and port.isdecimal() and len(port) <= 5
    if not (colon and is_number) or not least_port <= int(port) < 65_536:
        raise ValueError(f"an address is HOST:PORT, with a port from {least_port} to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address stands in brackets: [::1]:8410")
    if not host or host != host.strip():
        raise ValueError("an address is HOST:PORT, as 10.0.0.7:8410")
    return host, int(port)


def read_secret(file: Path) -> bytes:
    """Return the secret in a file. Raise ValueError, which says why there is none."""
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    if len(secret) < SECRET_LENGTH_MIN:
        raise ValueError(f"a secret has at least {SECRET_LENGTH_MIN} characters")
    return secret


class HeldSegment(NamedTuple):
    """A segment in a copy: how far it is whole, and the digest of that."""

    number: int
    size: int
    digest: str
    is_closed: bool


class CopyState(NamedTuple):
    """A journal's copy as it was last written: the gateway's name for the journal, its setting
    `when_away`, and whether the journal was closed in order, with everything copied."""

    place: str
    when_away: str
    is_closed: bool


class JournalCopy(NamedTuple):
    """A copy in a follower's folder. `recovered_by` names who recovered it; empty for nobody."""

    spool: str
    directory: Path
    state: CopyState
    is_connected: bool
    recovered_by: str
    segments: int
    frames: int
    size: int


def digest_of(path: Path, size: int) -> str:
    """Return the digest of a segment's first `size` bytes. Raise OSError."""
    digest = SegmentDigest()
    with path.open("rb") as file:
        while size and (data := file.read(min(size, _READ_BYTES))):
            digest.feed(data)
            size -= len(data)
    return digest.hex()


def held_segments(directory: Path) -> list[HeldSegment]:
    """Return the segments of a copy, oldest first. Raise OSError."""
    return [_held(segment) for segment in list_segments(directory)]


def _held(segment: SpoolSegment) -> HeldSegment:
    whole = extent(segment)
    digest = digest_of(segment.path, whole.size)
    return HeldSegment(segment.number, whole.size, digest, whole.is_closed)


def write_state(directory: Path, state: CopyState) -> None:
    write_whole(directory / _STATE, json.dumps(state._asdict()).encode())


def read_state(directory: Path) -> CopyState:
    """Return the state of a copy. One that cannot be read is taken for the most careful one."""
    try:
        fields = json.loads((directory / _STATE).read_text("utf-8"))
        return CopyState(str(fields["place"]), str(fields["when_away"]), bool(fields["is_closed"]))
    except (OSError, ValueError, KeyError, TypeError):
        return CopyState(directory.name, ALONE, False)


def write_fence(directory: Path, recovered_by: str) -> None:
    """End a copy for good: no gateway continues the journal. Its lock has to be held."""
    write_whole(directory / _FENCE, json.dumps({"recovered_by": recovered_by}).encode())


def fenced_by(directory: Path) -> str:
    """Return who recovered a copy; empty if nobody did."""
    try:
        fence = json.loads((directory / _FENCE).read_text("utf-8"))
        return str(fence["recovered_by"])
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError):
        return "somebody"  # a fence that cannot be read is a fence


def journal_copies(folder: Path) -> list[JournalCopy]:
    """Return the copies in a follower's folder, by the names of their journals. Raise OSError."""
    return [_copy(path) for path in list_folder(folder) if is_copy(path)]


def is_copy(path: Path) -> bool:
    return len(path.name) == _IDENTITY_LENGTH and is_there(path / _STATE)


def _copy(directory: Path) -> JournalCopy:
    wholes = extents(directory)
    return JournalCopy(
        spool=directory.name,
        directory=directory,
        state=read_state(directory),
        is_connected=is_written(directory),
        recovered_by=fenced_by(directory),
        segments=len(wholes),
        frames=sum(whole.frames for whole in wholes),
        size=sum(whole.size for whole in wholes),
    )
