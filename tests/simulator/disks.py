"""The virtual disk: a folder of the real machine, in memory, and beside it what of that would survive a loss of power.

Production code opens, writes, renames and reads its files itself; the calls that change or force them pass through
here. A file's bytes are durable as of the last call that forced them (`fsync`, `fdatasync`, a write with RWF_DSYNC),
the names in a folder as of the last `fsync` of it. When power is lost, whatever differs from that is kept, lost or kept
in part: bytes by sectors, names by what one rename or removal changed. A write that was under way is torn so too.

Databases' own files (SQLite's) are left as they are: their faults are the real kills'.
"""

import contextlib
import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

from clauseway.spool.segments import LOCK_RECORD

from .world import Machine, Process, World

SECTOR: Final = 512
# Of a real disk that is in order, in memory: a forced write.
_FORCED_S: Final = (0.000_05, 0.002)
_SLOW_S: Final = (0.005, 0.3)
_CALL_S: Final = 0.000_005
_DATABASES: Final = (".db", ".db-wal", ".db-shm")

# The real calls, as they are outside of every simulation.
REAL: Final = {
    name: getattr(os, name)
    for name in (
        "open",
        "close",
        "write",
        "pwrite",
        "pwritev",
        "fsync",
        "fdatasync",
        "ftruncate",
        "posix_fallocate",
        "rename",
        "replace",
        "unlink",
        "mkdir",
        "rmdir",
        "statvfs",
        "getpid",
        "kill",
        "urandom",
        "link",
    )
}
_REAL_FLOCK: Final = fcntl.flock


class DiskTrouble(NamedTuple):
    """The present faults of a machine's disk."""

    is_full: bool = False
    fails: bool = False
    is_slow: bool = False
    # A file system that copies on write, or a thin volume, needs room for bytes that are there already, too.
    copies: bool = False


# Is told of each call that changes names, once it is done: the call, and the path.
Changed = Callable[[str, str], None]


class Disks:
    """The disks of all machines, each a folder under `root` named by its machine."""

    def __init__(self, world: World, root: Path) -> None:
        self._world, self._root = world, root
        self._graves = root / ".graves"
        self._graves.mkdir(parents=True)
        # By inode: the durable bytes of a file, the durable names of a folder.
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self.trouble: dict[str, DiskTrouble] = {}
        self._locks: dict[int, Process] = {}
        self._prefix = f"{root}/"
        self.on_change: list[Changed] = []
        self._lost = 0

    def root_of(self, machine: Machine) -> Path:
        path = self._root / machine.name
        if not path.exists():
            REAL["mkdir"](path)
            self._names[path.stat().st_ino] = {}
        return path

    def settle(self, machine: Machine) -> None:
        """Make everything on a disk durable: what was there before the story begins."""
        for folder, folders, files in os.walk(self.root_of(machine)):
            at = Path(folder)
            self._names[at.stat().st_ino] = {name: (at / name).lstat().st_ino for name in (*folders, *files)}
            for name in files:
                self._bytes[(at / name).stat().st_ino] = (at / name).read_bytes()

    # -- where a call belongs

    def _machine_of(self, path: Any) -> str:
        """Return the machine on whose disk a path lies; empty where it is none of ours."""
        text = os.fspath(path) if not isinstance(path, int) else ""
        if isinstance(text, bytes) or not text.startswith(self._prefix):
            return ""
        return str(text[len(self._prefix) :].partition("/")[0])

    def _path_of(self, descriptor: int) -> str:
        try:
            return os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            return ""

    def _is_ours(self, path: Any) -> bool:
        return self._world.current is not None and bool(self._machine_of(path))

    # -- the calls

    def calls(self) -> dict[str, Callable[..., Any]]:
        """Return the stand-ins for functions of `os`."""
        calls: tuple[Callable[..., Any], ...] = (
            self._open,
            self._pwrite,
            self._pwritev,
            self._write,
            self._fsync,
            self._fdatasync,
            self._ftruncate,
            self._rename,
            self._unlink,
            self._mkdir,
            self._statvfs,
            self._getpid,
            self._kill,
            self._urandom,
            self._link,
        )
        named = {call.__name__.removeprefix("_"): call for call in calls}
        return named | {"replace": self._rename, "posix_fallocate": self._fallocate}

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: Any = None) -> int:
        if flags & os.O_CREAT and self._is_ours(path):
            self._world.pause(_CALL_S)
        descriptor: int = REAL["open"](path, flags, mode, dir_fd=dir_fd)
        if flags & os.O_CREAT:
            self._changed("open", path)
        return descriptor

    def _changed(self, call: str, path: Any) -> None:
        if self._is_ours(path):
            for listener in self.on_change:
                listener(call, os.fspath(path))

    def _trouble(self, path: str) -> DiskTrouble:
        return self.trouble.get(self._machine_of(path), DiskTrouble())

    def _raise_for(self, path: str, *, takes_room: bool = True) -> None:
        trouble = self._trouble(path)
        if trouble.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        if trouble.is_full and takes_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _forced(self, path: str) -> None:
        """Wait as long as a forced write takes."""
        slow = self._trouble(path).is_slow
        self._world.pause(self._world.chance.uniform(*(_SLOW_S if slow else _FORCED_S)))

    def _pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        path = self._path_of(descriptor)
        if self._is_ours(path):
            self._raise_for(path, takes_room=os.fstat(descriptor).st_size < offset + len(data))
        written: int = REAL["pwrite"](descriptor, data, offset)
        return written

    def _pwritev(self, descriptor: int, buffers: Any, offset: int, flags: int = 0) -> int:
        path = self._path_of(descriptor)
        if not self._is_ours(path):
            written: int = REAL["pwritev"](descriptor, buffers, offset, flags)
            return written
        data = b"".join(buffers)
        # Of a full disk, bytes that have their blocks already are written all the same.
        has_room = os.fstat(descriptor).st_size >= offset + len(data) and not self._trouble(path).copies
        self._raise_for(path, takes_room=not has_room)
        cut = self._part_of(len(data))
        REAL["pwrite"](descriptor, data[:cut], offset)
        self._forced(path)
        if cut < len(data):
            REAL["pwrite"](descriptor, data[cut:], offset + cut)
            self._forced(path)
        if flags & os.RWF_DSYNC:
            self._force_range(descriptor, offset, data)
        return len(data)

    def _part_of(self, count: int) -> int:
        """Return how many bytes the disk takes at once: now and then a part of them only."""
        return self._world.chance.randrange(count) if self._world.chance.random() < 0.1 else count

    def _fdatasync(self, descriptor: int) -> None:
        """Force all bytes of a file: in two parts, if the disk takes only a part at once."""
        path = self._path_of(descriptor)
        if not self._is_ours(path):
            return
        self._raise_for(path, takes_room=self._trouble(path).copies)
        size = os.fstat(descriptor).st_size
        if self._part_of(size) < size:
            self._forced(path)
        self._forced(path)
        self._force_range(descriptor, 0, os.pread(descriptor, size, 0))

    def _force_range(self, descriptor: int, offset: int, data: bytes) -> None:
        inode = os.fstat(descriptor).st_ino
        before = self._bytes.get(inode, b"")
        if len(before) < offset:
            before += bytes(offset - len(before))
        self._bytes[inode] = before[:offset] + data + before[offset + len(data) :]

    def _write(self, descriptor: int, data: bytes) -> int:
        path = self._path_of(descriptor)
        if self._is_ours(path):
            self._raise_for(path)
            self._world.pause(_CALL_S)
        written: int = REAL["write"](descriptor, data)
        return written

    def _fallocate(self, descriptor: int, offset: int, length: int) -> None:
        path = self._path_of(descriptor)
        if self._is_ours(path):
            self._raise_for(path)
            self._world.pause(_CALL_S)
        REAL["posix_fallocate"](descriptor, offset, length)

    def _ftruncate(self, descriptor: int, length: int) -> None:
        if self._is_ours(self._path_of(descriptor)):
            self._world.pause(_CALL_S)
        REAL["ftruncate"](descriptor, length)

    def _fsync(self, descriptor: int) -> None:
        path = self._path_of(descriptor)
        if not self._is_ours(path):
            return  # in memory nothing is to be waited for
        self._raise_for(path, takes_room=False)
        self._forced(path)
        status = os.fstat(descriptor)
        if os.path.isdir(path):
            self._names[status.st_ino] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self._bytes[status.st_ino] = os.pread(descriptor, status.st_size, 0)

    def _bury(self, path: Any) -> None:
        """Keep a file that loses its name: the name may come back."""
        if os.path.isfile(path):
            grave = self._graves / str(os.stat(path).st_ino)
            if not grave.exists():
                REAL["link"](path, grave)

    def _rename(self, source: Any, target: Any, **_: Any) -> None:
        if self._is_ours(source):
            self._world.pause(_CALL_S)
            self._bury(target)
        REAL["rename"](source, target)
        self._changed("rename", target)

    def _unlink(self, path: Any, **named: Any) -> None:
        if self._is_ours(path):
            self._world.pause(_CALL_S)
            self._bury(path)
        REAL["unlink"](path, **named)
        self._changed("unlink", path)

    def _link(self, source: Any, target: Any, **named: Any) -> None:
        if self._is_ours(source):
            self._world.pause(_CALL_S)
        REAL["link"](source, target, **named)

    def _mkdir(self, path: Any, mode: int = 0o777, **named: Any) -> None:
        if self._is_ours(path):
            self._world.pause(_CALL_S)
        REAL["mkdir"](path, mode, **named)

    def _statvfs(self, path: Any) -> Any:
        room = REAL["statvfs"](path)
        if self._is_ours(path) and self._trouble(os.fspath(path)).is_full:
            return os.statvfs_result((*room[:4], 0, *room[5:]))
        return room

    def flock(self, file: Any, operation: int) -> None:
        """Take a lock: the real one, for which a thread waits in virtual time."""
        process = self._world.current
        if process is None:
            _REAL_FLOCK(file, operation)
            return
        descriptor = file if isinstance(file, int) else file.fileno()
        while True:
            try:
                _REAL_FLOCK(descriptor, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                if operation & fcntl.LOCK_NB:
                    raise
                self._world.pause(0.05)
            else:
                process.on_end.append(lambda: self._unlock(descriptor, process))
                self._locks[descriptor] = process
                return

    def _unlock(self, descriptor: int, process: Process) -> None:
        """Let go of a lock whose process ended."""
        if self._locks.get(descriptor) is process:
            del self._locks[descriptor]
            with contextlib.suppress(OSError):  # closed before it ended
                _REAL_FLOCK(descriptor, fcntl.LOCK_UN)
                unlocked = LOCK_RECORD.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, unlocked)

    def _getpid(self) -> int:
        process = self._world.current
        pid: int = process.pid if process is not None else REAL["getpid"]()
        return pid

    def _kill(self, pid: int, number: int) -> None:
        process = self._world.pids.get(pid)
        if process is None:
            REAL["kill"](pid, number)
            return
        assert number == 0, "processes of the simulator are ended by it alone"
        asking = self._world.current
        # Numbers mean something on their own machine only.
        if not process.alive or (asking is not None and process.machine is not asking.machine):
            raise ProcessLookupError(errno.ESRCH, "no such process")

    def _urandom(self, size: int) -> bytes:
        # A module that is imported in the middle of a story draws once in a process: the next story
        # would not be told the same.
        return REAL["urandom"](size) if _is_importing() else self._world.chance.randbytes(size)

    # -- losing power, losing a disk

    def lose_power(self, machine: Machine) -> int:
        """Leave of a machine's disk what a loss of power leaves; return how many files and folders were touched."""
        root = self.root_of(machine)
        homes = {int(grave.name): grave for grave in self._graves.iterdir()}
        for folder, folders, files in os.walk(root):
            homes |= {(Path(folder) / name).lstat().st_ino: Path(folder) / name for name in (*folders, *files)}
        return self._leave_names(root, homes)

    def _leave_names(self, folder: Path, homes: dict[int, Path]) -> int:
        chance = self._world.chance
        inode = folder.stat().st_ino
        present = {entry.name: entry.inode() for entry in os.scandir(folder)}
        durable = self._names.get(inode, {})
        chosen, touched = dict(present), 0
        changes = _changes(present, durable)
        if changes:
            # All new, all old, or each change by itself.
            odds = chance.choice((0.0, 0.5, 1.0, 0.5))
            for names in changes:
                if any(name.endswith(_DATABASES) for name in names):
                    continue
                if chance.random() < odds:
                    touched += 1
                    for name in names:
                        chosen.pop(name, None)
                        if name in durable and durable[name] in homes:
                            chosen[name] = durable[name]
        for name, number in present.items():
            if chosen.get(name) != number:
                self._put_away(folder / name, number, homes)
        for name, number in chosen.items():
            if present.get(name) != number:
                if homes[number].is_dir():
                    REAL["rename"](homes[number], folder / name)
                else:
                    REAL["link"](homes[number], folder / name)
        self._names[inode] = chosen
        for name in sorted(chosen):
            path = folder / name
            if path.is_dir() and not path.is_symlink():
                touched += self._leave_names(path, homes)
            elif not name.endswith(_DATABASES) and not path.is_symlink():
                touched += self._leave_bytes(path)
        return touched

    def _put_away(self, path: Path, inode: int, homes: dict[int, Path]) -> None:
        grave = self._graves / str(inode)
        if grave.exists() and not path.is_dir():
            REAL["unlink"](path)
        else:
            REAL["rename"](path, grave)
        homes[inode] = grave
        if grave.is_dir():  # what lay in it moved with it
            for folder, folders, files in os.walk(grave):
                for name in (*folders, *files):
                    below = Path(folder) / name
                    homes[below.lstat().st_ino] = below

    def _leave_bytes(self, path: Path) -> int:
        chance = self._world.chance
        inode = path.stat().st_ino
        present, durable = path.read_bytes(), self._bytes.get(inode, b"")
        if present == durable:
            return 0
        which = chance.random()
        if which < 0.3:
            left = durable
        elif which < 0.5:
            left = present
        else:
            size = chance.choice((len(present), len(durable)))
            left = b"".join(
                (present if chance.random() < 0.5 else durable)[at : at + SECTOR].ljust(min(SECTOR, size - at), b"\0")[
                    : size - at
                ]
                for at in range(0, size, SECTOR)
            )
        # In place: other names of it, and whoever has it open, see the same file.
        with open(path, "r+b") as file:
            file.truncate(0)
            file.write(left)
        self._bytes[inode] = left
        return 1

    def lose(self, machine: Machine) -> None:
        """Lose a machine's disk with all that is on it; it comes back empty."""
        self._lost += 1
        # Put aside, not removed: numbers of files that are gone would be given to others.
        REAL["rename"](self.root_of(machine), self._root / f".lost-{self._lost}")
        self.root_of(machine)


def _changes(present: dict[str, int], durable: dict[str, int]) -> Iterable[set[str]]:
    """Return the names that differ, those together that one rename or replacement changed."""
    groups: list[tuple[set[str], set[int]]] = []
    for name in sorted(present.keys() | durable.keys()):
        before, after = durable.get(name), present.get(name)
        if before == after:
            continue
        names, inodes = {name}, {number for number in (before, after) if number is not None}
        for group in [group for group in groups if group[1] & inodes]:
            groups.remove(group)
            names |= group[0]
            inodes |= group[1]
        groups.append((names, inodes))
    return [names for names, _ in groups]


def _is_importing() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None
