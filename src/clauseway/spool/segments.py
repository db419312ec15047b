"""The files of a spool: its identity, names, order, headers, and the lock that makes the writer the
only one."""

import contextlib
import errno
import fcntl
import os
import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from clauseway.files import force_folder, make_folder, write_whole
from clauseway.files.folders import list_folder
from clauseway.files.presence import is_there
from clauseway.spool.segment_format import (
    FRAME_HEADER,
    SEGMENT_HEADER,
    SegmentHeader,
    frame_is_valid,
    seeds_of,
    unpack_frame_header,
    unpack_segment_header,
)

# The errors that mean no room for now: on the disk, or in somebody's quota.
NO_ROOM: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
# The errors that mean that the process or the machine lacks descriptors or memory for now: they say
# nothing about the disk.
SCARCE: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))
_SUFFIX = ".seg"
_LOCK_NAME = "writer.lock"
_LOCKS = Path("/proc/locks")
# The kernel's record of a lock: kind, origin, first byte, length (0: to the end), process.
LOCK_RECORD = struct.Struct("@hhqqi4x")
WHOLE_FILE = LOCK_RECORD.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
IDENTITY_NAME = "spool.id"
_RELEASED_NAME = "released"
_NUMBERED_NAME = "numbered"
_FENCED_NAME = "fenced"
_IDENTITY_BYTES = 16
# From Linux 6.16 on ext4 caches what one call wrote as one unit, and each later write to a unit goes
# through all of its blocks. So zeros are written in small pieces; the header's page, in which each
# commit leaves a mark, is a piece by itself.
_PAGE_BYTES: Final = 4 << 10
_ZEROS: Final = memoryview(bytes(64 << 10))
# Forced at once: more would keep the disk from the commits that go on meanwhile.
_FORCED_BYTES: Final = 1 << 20


class SpoolBusy(OSError):
    """Another process writes this spool."""


class SpoolSegment(NamedTuple):
    """A segment file. `header` is None if it is damaged, or was never written because the process
    died first."""

    path: Path
    number: int
    header: SegmentHeader | None


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:016d}{_SUFFIX}"


def fill_with_zeros(descriptor: int, begin: int, end: int) -> None:
    """Fill a segment file from `begin` to `end` with zeros that are on the disk. Raise OSError."""
    at = begin
    while at < end:
        forced_at = min(end, at + _FORCED_BYTES)
        while at < forced_at:
            room = _PAGE_BYTES - at if at < _PAGE_BYTES else len(_ZEROS) - at % len(_ZEROS)
            at += os.pwrite(descriptor, _ZEROS[: min(room, forced_at - at)], at)
        os.fdatasync(descriptor)


def list_segments(directory: Path) -> list[SpoolSegment]:
    """Return every segment of the spool, oldest first, without those released meanwhile."""
    paths = [path for path in list_folder(directory, f"*{_SUFFIX}") if path.stem.isdigit()]
    headers: dict[Path, SegmentHeader | None] = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            # A segment may be released between the listing and the reading.
            headers[path] = _read_header(path)
    read = [header for header in headers.values() if header is not None]
    spool = read[-1].spool if read else _written_identity(directory)
    segments = []
    for path, header in headers.items():
        with contextlib.suppress(FileNotFoundError):
            header = header or _recover_header(path, spool)
            segments.append(SpoolSegment(path, int(path.stem), header))
    return segments


def newest_segment(directory: Path) -> int:
    """Return the number of the spool's newest segment with a header; -1 if there is none. A file
    without one is being made, or its process died over it."""
    segments = reversed(list_segments(directory))
    return next((segment.number for segment in segments if segment.header is not None), -1)


def next_number(directory: Path) -> int:
    """Return the number of a journal's next segment.

    INVARIANT: no two segments of a journal ever have one number, also when all that were there have
    gone: what is sealed is known by the segment's number and the frame's. Raise OSError.
    """
    names = (path.name.partition(".")[0] for path in list_folder(directory, f"*{_SUFFIX}*"))
    there = max((int(name) for name in names if name.isdigit()), default=-1)
    return max(there + 1, _noted(directory, _NUMBERED_NAME), released_before(directory))


def note_number(directory: Path, number: int) -> None:
    """Note that the numbers below this one are taken, before their segments go. Raise OSError."""
    if number > _noted(directory, _NUMBERED_NAME):
        write_whole(directory / _NUMBERED_NAME, str(number).encode())


def is_numbered(directory: Path) -> bool:
    """Return whether numbers of the journal are noted: a program that notes them gives none twice.
    Raise OSError."""
    return _noted(directory, _NUMBERED_NAME) > 0


def renumber(directory: Path, numbers: Sequence[int], begin: int) -> None:
    """Give segments the journal's next numbers, from `begin` on at least. Raise SpoolBusy where the
    journal is written, OSError."""
    descriptor = lock(directory)
    try:
        begin = max(next_number(directory), begin)
        for following, number in enumerate(numbers, begin):
            segment_path(directory, number).rename(segment_path(directory, following))
        force_folder(directory)
        note_number(directory, begin + len(numbers))
    finally:
        os.close(descriptor)


def _read_header(path: Path) -> SegmentHeader | None:
    with path.open("rb") as file:
        return unpack_segment_header(file.read(SEGMENT_HEADER.size))


def _recover_header(path: Path, spool: bytes | None) -> SegmentHeader | None:
    """Return the header of a segment whose own is damaged, if its first frame proves its seed.

    No field of a damaged header is believed, except the start that wrote it: a wrong start can only
    be one that is over.
    """
    with path.open("rb") as file:
        data = file.read(SEGMENT_HEADER.size)
        frame = unpack_frame_header(file.read(FRAME_HEADER.size))
        if frame is None or frame.number or len(data) < SEGMENT_HEADER.size:
            return None
        # A damaged header may claim gigabytes: memory is taken for bytes that are there.
        payload = file.read(min(frame.length, path.stat().st_size))
    *_, own, _, _, boot, _, acknowledged = SEGMENT_HEADER.unpack_from(data)
    # The first frame proves the seed: one of the two checksums makes it valid.
    stored, computed = seeds_of(data)
    if stored == computed:
        return None  # nothing is damaged: it is a header of another version
    for seed, identity in ((stored, spool), (computed, spool or own)):
        if identity is not None and frame_is_valid(frame, payload, seed):
            return SegmentHeader(identity, int(path.stem), 0, boot, seed, acknowledged)
    return None


def identity_of(directory: Path) -> bytes | None:
    """Return the 16 bytes that name the spool in `directory` for ever; None if nothing was ever
    written there."""
    return _written_identity(directory) or next(
        (
            segment.header.spool
            for segment in reversed(list_segments(directory))
            if segment.header is not None
        ),
        None,
    )


def identify(directory: Path) -> bytes:
    """Return the spool's identity, created and made durable if it has none. Raise OSError."""
    identity = identity_of(directory)
    if identity is None:
        make_folder(directory)
        identity = uuid.uuid4().bytes
    note_identity(directory, identity)
    return identity


def note_identity(directory: Path, identity: bytes) -> None:
    """Write a spool's identity beside its segments, if it is not there. Raise OSError.

    No folder is made: one that is gone with its file system would be begun in its place.
    """
    if not is_there(directory / IDENTITY_NAME):
        write_whole(directory / IDENTITY_NAME, f"{identity.hex()}\n".encode())


def _written_identity(directory: Path) -> bytes | None:
    try:
        identity = bytes.fromhex((directory / IDENTITY_NAME).read_text("ascii").strip())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return identity if len(identity) == _IDENTITY_BYTES else None


def note_released(directory: Path, segment: int) -> None:
    """Note that all segments up to this one are sealed, before they go. Raise OSError.

    A follower lets go of a copy only by this note: a folder that was emptied by mistake has none.
    """
    write_whole(directory / _RELEASED_NAME, str(segment + 1).encode())


def released_before(directory: Path) -> int:
    """Return the segment before which all of a journal's segments were released; 0 for none. Raise
    OSError."""
    return _noted(directory, _RELEASED_NAME)


def _noted(directory: Path, name: str) -> int:
    """Return the number in a note; 0 without one. Raise OSError if there is a note that cannot be
    read: 0 in its place would give a segment a number that was taken."""
    try:
        return int((directory / name).read_text("ascii"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return 0


def note_fenced(directory: Path) -> None:
    """Note that a journal was recovered elsewhere, so that the next start begins another one."""
    write_whole(directory / _FENCED_NAME, b"")


def set_fenced_aside(directory: Path) -> Path | None:
    """Move a journal that was recovered elsewhere into a folder of its own, to be sealed from
    there; return that folder. None where the journal is sound. Raise OSError."""
    fence = directory / _FENCED_NAME
    if not is_there(fence):
        return None
    identity = identity_of(directory)
    assert identity is not None, "a journal without a name was recovered"
    aside = directory.with_name(f"{directory.name}-{identity.hex()[:8]}")
    make_folder(aside)
    names = [path.name for path in list_folder(directory, f"*{_SUFFIX}")]
    # The name of the journal last: until then the next start finds all of it in one of the two.
    for name in (*names, _RELEASED_NAME, _NUMBERED_NAME, IDENTITY_NAME):
        if is_there(directory / name):
            (directory / name).rename(aside / name)
    force_folder(aside)
    fence.unlink()
    force_folder(directory)
    return aside


def is_written(directory: Path) -> bool:
    """Return whether a process writes the spool now. The lock itself is not tried: that could keep a
    writer out."""
    path = directory / _LOCK_NAME
    try:
        inode = path.stat().st_ino
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError:
        pass  # of another user: that its lock is held shows below
    else:
        # Asked of the file, so a writer in another container is seen.
        try:
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, WHOLE_FILE)
        finally:
            os.close(descriptor)
        if LOCK_RECORD.unpack(answer)[0] != fcntl.F_UNLCK:
            return True
    # A writer of an earlier version has the other kind of lock alone.
    held = (line.split() for line in _LOCKS.read_text("ascii").splitlines())
    return any(words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode) for words in held)


def writing_start(directory: Path) -> int | None:
    """Return the start of the gateway that writes the spool now: None where none does, 0 where its
    segments do not say.

    A spool has one writer at a time, and that one made the newest segment before it asked anybody
    for anything. While segments are released, an older one may be taken for the newest.
    """
    if not is_written(directory):
        return None
    headers = (segment.header for segment in reversed(list_segments(directory)))
    return next((header.boot for header in headers if header is not None), 0)


def lock(directory: Path) -> int:
    """Take the writer's lock and return its descriptor; the kernel releases it when the process
    ends."""
    descriptor = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # The first keeps out writers of earlier versions; the second shows in every container.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, WHOLE_FILE)
    except OSError as error:
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise  # the file system does not know one of the locks
        raise SpoolBusy(
            f"{directory} is written by another process. Stop it, or name another directory."
        ) from error
    return descriptor
