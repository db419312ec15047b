"""The files of a spool: names, order, headers, and the lock that makes the writer the only one."""

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from clauseway.spool.format import SEGMENT_HEADER, SegmentHeader, unpack_segment_header

_SUFFIX = ".seg"
_LOCK_NAME = "writer.lock"


class SpoolBusy(OSError):
    """Another process writes this spool."""


class Segment(NamedTuple):
    """A segment file. `header` is None where it is damaged, or was never written because the process died first."""

    path: Path
    number: int
    header: SegmentHeader | None


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:016d}{_SUFFIX}"


def list_segments(directory: Path) -> list[Segment]:
    """Every segment of the spool, oldest first."""
    paths = sorted(path for path in directory.glob(f"*{_SUFFIX}") if path.stem.isdigit())
    return [Segment(path, int(path.stem), _read_header(path)) for path in paths]


def _read_header(path: Path) -> SegmentHeader | None:
    with path.open("rb") as file:
        return unpack_segment_header(file.read(SEGMENT_HEADER.size))


def lock(directory: Path) -> int:
    """Take the writer's lock and return its descriptor; the kernel lets go of it when the process ends."""
    descriptor = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SpoolBusy(f"{directory} is written by another process. Stop it, or name another directory.") from error
    return descriptor


def sync_directory(directory: Path) -> None:
    """Make the directory's entries durable: a file whose name is lost is lost."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
