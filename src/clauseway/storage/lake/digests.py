"""Digests: the lake's files compared with the SHA-256 that sealing wrote into the database.

    LakeDamaged(Damaged)     files that are missing or changed; nothing was read from them

Every byte is read: a file's size and times prove nothing against an editor who sets them. See
docs/choices/0050.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import msgspec

from clauseway.storage.lake.file_list import LakeFile
from clauseway.values import Damaged, Problem, counted

MISSING, CHANGED = "missing", "changed"
# The hash runs without Python's lock; more threads would only wait for the disk.
_THREADS_MAX = 4


class LakeFault(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the lake that is `missing` or `changed`, with the event days whose records it held.

    `digest` is the SHA-256 that it had when it was written. Nobody reads a retired file any more.
    """

    name: str
    what: str
    first_day: date
    last_day: date
    rows: int
    digest: str
    is_retired: bool = False

    @property
    def problem(self) -> Problem:
        why = (
            "it is not there"
            if self.what == MISSING
            else "its bytes are not those that were written"
        )
        days = (
            f"{self.first_day}"
            if self.first_day == self.last_day
            else f"{self.first_day} to {self.last_day}"
        )
        records = counted(self.rows, "record")
        return Problem(
            what=f"a file of the lake is {self.what}",
            why=f"{why}; it held {records} of {days}",
            where=self.name,
            remedy=f"Put it back from a backup: its SHA-256 is {self.digest}. "
            "Then: clauseway lake check. "
            f"Without a backup, accept the loss: clauseway lake accept {self.name} --why …",
        )


class LakeDamaged(Damaged):
    """Files of the lake are missing or changed."""

    def __init__(self, faults: Sequence[LakeFault]) -> None:
        super().__init__(*(fault.problem for fault in faults))
        self.faults = tuple(faults)


def faults_in(root: Path, files: Iterable[LakeFile]) -> list[LakeFault]:
    """Read every byte of the files; return the faults of those missing or changed, in the order
    given."""
    wanted = list(files)
    threads = max(1, min(_THREADS_MAX, os.cpu_count() or 1, len(wanted)))
    if threads == 1:
        faults = [_fault(root, file) for file in wanted]
    else:
        with ThreadPoolExecutor(threads) as pool:
            faults = list(pool.map(lambda file: _fault(root, file), wanted))
    return [fault for fault in faults if fault is not None]


def faults_at_sight(root: Path, files: Iterable[LakeFile]) -> list[LakeFault]:
    """Return the faults of missing files and files of another size. Quick, and blind to an edit
    that keeps the size."""
    faults = ((file, _at_sight(root / file.name, file)) for file in files)
    return [as_fault(file, fault) for file, fault in faults if fault]


def _fault(root: Path, file: LakeFile) -> LakeFault | None:
    path = root / file.name
    if fault := _at_sight(path, file):
        return as_fault(file, fault)
    try:
        with path.open("rb") as stored:
            is_sound = hashlib.file_digest(stored, "sha256").hexdigest() == file.digest
    except FileNotFoundError:
        return as_fault(file, MISSING)
    return None if is_sound else as_fault(file, CHANGED)


def _at_sight(path: Path, file: LakeFile) -> str:
    try:
        return "" if path.stat().st_size == file.bytes else CHANGED
    except (FileNotFoundError, NotADirectoryError):
        return MISSING


def as_fault(file: LakeFile, fault: str) -> LakeFault:
    """Return the fault of a file that is `MISSING` or `CHANGED`."""
    return LakeFault(
        name=file.name,
        what=fault,
        first_day=file.first_day,
        last_day=file.last_day,
        rows=file.rows,
        digest=file.digest,
        is_retired=file.is_retired,
    )
