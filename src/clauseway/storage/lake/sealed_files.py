"""The lake's files as readers find them: in its folder or, where they lie on object storage, as copies
that the folder holds.

A copy is hashed each time that it is read, as every file is, and taken again if it is not what was
sealed: so what readers read is what was hashed, wherever it came from.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from clauseway.files.presence import is_there
from clauseway.storage.lake.digests import (
    CHANGED,
    MISSING,
    LakeDamaged,
    LakeFault,
    as_fault,
    faults_at_sight,
    faults_in,
)
from clauseway.storage.lake.file_list import LakeFile
from clauseway.storage.lake.stores import Store

# Objects asked for together: most of the time is waiting.
_AT_ONCE = 8
# A query may still be reading a copy: none takes longer.
_GRACE_NS = 600 * 1_000_000_000


class SealedFiles:
    """The files of a lake whose folder is `root` and whose place is `store`."""

    def __init__(self, root: Path, store: Store) -> None:
        self._root, self._store = root, store

    def path(self, file: LakeFile) -> Path:
        """Return where readers find a file that `faults` found nothing wrong with."""
        return self._root / file.name

    def unlisted_path(self, name: str) -> Path:
        """Return where a stored file is that is not listed; one that is elsewhere is copied first.
        Raise OSError."""
        path = self._root / name
        if self._store.is_remote and not is_there(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._store.copy(name, path)
        return path

    def faults(self, files: Iterable[LakeFile]) -> list[LakeFault]:
        """Read every byte of what readers would read; return the faults of files that are missing
        or changed. Afterwards all other files are at their paths."""
        wanted = list(files)
        if not self._store.is_remote:
            return faults_in(self._root, wanted)
        self.fetch(wanted)
        by_name = {file.name: file for file in wanted}
        # A copy that is not what was sealed is taken again before its original is blamed.
        changed = [by_name[fault.name] for fault in faults_in(self._root, wanted)]
        self._copy(changed)
        faults = faults_in(self._root, changed)
        for fault in faults:
            (self._root / fault.name).unlink(missing_ok=True)
        return faults

    def require_sound(self, files: Iterable[LakeFile]) -> None:
        """Raise LakeDamaged with every file that is missing or changed."""
        if faults := self.faults(files):
            raise LakeDamaged(faults)

    def require_there(self, files: Iterable[LakeFile]) -> None:
        """Raise LakeDamaged as `require_sound` does, and fetch nothing: files that are stored
        elsewhere, and have no copy here, are looked at and not read."""
        if not self._store.is_remote:
            self.require_sound(files)
            return
        by_name = {file.name: file for file in files}
        without_copy = [
            by_name[fault.name] for fault in faults_at_sight(self._root, by_name.values())
        ]
        if without_copy and (faults := self.at_sight(without_copy)):
            raise LakeDamaged(faults)

    def fetch(self, files: Iterable[LakeFile]) -> None:
        """Copy the files that are not at their paths, or not with their sizes. A file that is not
        stored either stays away."""
        if self._store.is_remote:
            wanted = {file.name: file for file in files}
            absent = faults_at_sight(self._root, wanted.values())
            self._copy([wanted[fault.name] for fault in absent])

    def examine(self, files: Iterable[LakeFile]) -> list[LakeFault]:
        """Read every byte of the files where they are stored; return the faults."""
        if not self._store.is_remote:
            return faults_in(self._root, files)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            faults = list(pool.map(self._examined, list(files)))
        return [fault for fault in faults if fault is not None]

    def at_sight(self, files: Iterable[LakeFile]) -> list[LakeFault]:
        """Return the faults of files that are missing where they are stored, or of another size."""
        if not self._store.is_remote:
            return faults_at_sight(self._root, files)
        sizes = {stored.name: stored.bytes for stored in self._store.under("")}
        return [
            as_fault(file, CHANGED if file.name in sizes else MISSING)
            for file in files
            if sizes.get(file.name) != file.bytes
        ]

    def trim(self, files: Sequence[LakeFile], bytes_max: int) -> int:
        """Remove the oldest copies beyond so many bytes; return how many. Never an original."""
        if not self._store.is_remote:
            return 0
        held, removed = [], 0
        for file in files:
            with suppress(FileNotFoundError):
                status = self.path(file).stat()
                held.append((status.st_mtime_ns, status.st_size, self.path(file)))
        left = sum(size for _, size, _ in held)
        for changed_ns, size, path in sorted(held):
            if left <= bytes_max or changed_ns > time.time_ns() - _GRACE_NS:
                break
            path.unlink(missing_ok=True)
            left, removed = left - size, removed + 1
        return removed

    def _examined(self, file: LakeFile) -> LakeFault | None:
        try:
            is_sound = self._store.digest(file.name) == file.digest
        except FileNotFoundError:
            return as_fault(file, MISSING)
        return None if is_sound else as_fault(file, CHANGED)

    def _copy(self, files: Sequence[LakeFile]) -> None:
        if files:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._copied, files))

    def _copied(self, file: LakeFile) -> None:
        path = self.path(file)
        # Not forced to disk: a copy that is lost is made again.
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store.copy(file.name, path)
        except FileNotFoundError:
            path.unlink(missing_ok=True)
