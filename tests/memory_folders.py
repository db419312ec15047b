"""Folders on a memory file system, for what need not survive its process. Those of killed processes are removed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = Path("/dev/shm")


@contextmanager
def memory_folder(prefix: str, room_bytes: int = 0, *, programs: bool = False) -> Iterator[Path]:
    """Make a folder for as long as this lasts: in memory where there is so much room, unless TMPDIR names a place, else
    where temporary files lie. `programs` shall run from it, which some containers forbid in memory.

    Its process holds a lock on it, which ends with the process, however that ends: then the next folder of that
    prefix takes its place.
    """
    serves = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= room_bytes
    if programs and serves and os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        serves = False
    parent = MEMORY if serves and "TMPDIR" not in os.environ else Path(tempfile.gettempdir())
    with _locked(parent):  # nobody looks between the making of a folder and its lock
        _remove_abandoned(parent, prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _open(folder)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for folder in parent.glob(f"{prefix}*"):
        # Another user's cannot be opened; one whose process is there cannot be locked.
        with suppress(OSError):
            lock = _open(folder)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


@contextmanager
def _locked(parent: Path) -> Iterator[None]:
    lock = _open(parent)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
