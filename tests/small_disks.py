"""A file system of a few megabytes, which can really be full. Only root can mount one; else its tests are skipped."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """Mounted at `path`. `fill` leaves so many bytes free; `clear` gives the room back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    @property
    def free(self) -> int:
        room = os.statvfs(self.path)
        return room.f_bavail * room.f_frsize

    def fill(self, leave: int = 0) -> None:
        with self._filler.open("ab") as file:
            while (missing := self.free - leave) > 0:
                file.write(bytes(min(missing, 1 << 20)))
                file.flush()

    def clear(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, size: int, files_max: int = 0) -> Iterator[SmallDisk]:
    """Mount a disk of so many bytes; with `files_max`, of so many files and folders."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={files_max}", "tmpfs", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
