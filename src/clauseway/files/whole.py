"""Files that are written beside, then renamed.

A reader sees the file as it was or as it is now, never a part of it. A `durable` file is forced to
disk before it takes its name, and its name after that, so that it survives a machine that stops;
the others are copies that can be made again.
"""

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from clauseway.files.presence import is_file, is_there

PRIVATE = 0o600
# The bits of a mode that let the group and everybody else in.
_OTHERS = 0o077
# The names of files that are written beside others.
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{32}\.(part|first)")
_WRITTEN_WITHIN_S = 3600
_ROOT = 0
_PUBLIC = 0o666  # less what the umask takes
# A file system without hard links (FAT, many network file systems) refuses one as not permitted.
_WITHOUT_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
# How a caller that can only give a path names standard output.
STANDARD_OUTPUT: Final = Path("/dev/stdout")


@contextmanager
def written_whole(path: Path, *, durable: bool = True, mode: int = _PUBLIC) -> Iterator[Path]:
    """Yield the path of an empty file to write; it takes the name `path` when the block ends.

    A block that raises leaves what was there before, and nothing beside it.
    """
    # The name is nobody else's: several threads and processes may write the same file.
    beside = path.with_name(f".{path.name}.{uuid4().hex}.part")
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    try:
        yield beside
        if durable:
            force_file(beside)
        beside.rename(path)
    except BaseException:
        beside.unlink(missing_ok=True)  # a full disk gets its room back
        raise
    if durable:
        force_folder(path.parent)


@contextmanager
def output_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield the path at which to write a file that a user names; `written_whole` with what a user
    expects of that name.

    A device and a pipe are written as they are: a file would take their place. So is a file in a
    folder where nothing else may be made. Behind a symbolic link the file is replaced to which it
    leads. Whoever could read the file that was there can read the new one. Where standard output is
    a file, what is written goes on where that stands.
    """
    if path == STANDARD_OUTPUT and is_file(path):
        # Opened by its path it would begin anew, and lose what a shell appends to (`>>`).
        with tempfile.NamedTemporaryFile() as held:
            yield Path(held.name)
            with os.fdopen(os.dup(1), "wb") as opened:
                shutil.copyfileobj(held, opened)
        return
    has_file = is_there(path)
    if has_file and not (is_file(path) and os.access(path.resolve().parent, os.W_OK)):
        yield path
        return
    target = path.resolve()
    with written_whole(target, durable=durable) as beside:
        yield beside
        if has_file:
            beside.chmod(stat.S_IMODE(target.stat().st_mode))


def write_whole(path: Path, content: bytes, *, durable: bool = True, mode: int = _PUBLIC) -> None:
    """Write a file that appears with all of its content."""
    with written_whole(path, durable=durable, mode=mode) as beside, _naming(beside):
        beside.write_bytes(content)


def write_first(path: Path, content: bytes, *, mode: int = _PUBLIC) -> None:
    """Write a durable file unless there is one: of several writers, the first prevails.

    Raise OSError (EOPNOTSUPP) where the file system has no hard links.
    """
    first = path.with_name(f".{path.name}.{uuid4().hex}.first")
    write_whole(first, content, mode=mode)
    try:
        os.link(first, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        message = "the file system has no hard links"
        raise OSError(errno.EOPNOTSUPP, message, str(path)) from error
    finally:
        first.unlink()
    force_folder(path.parent)


def remove_unfinished(folder: Path, now_s: float) -> None:
    """Remove from a folder what processes left that were killed while they wrote a file there.

    Nobody takes an hour to write one: a younger file may still be written.
    """
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < now_s - _WRITTEN_WITHIN_S:
                    path.unlink()


def close_to_others(path: Path) -> None:
    """Take a file or folder from its group and from everybody else. Raise OSError (EOPNOTSUPP)
    where the file system keeps no rights, as FAT.

    Its owner may do what they might before: one that they made read-only stays read-only.
    """
    there = path.stat()
    mode = stat.S_IMODE(there.st_mode)
    if not mode & _OTHERS:
        return
    try:
        path.chmod(mode & ~_OTHERS)
    except PermissionError as error:
        # The owner may change a file's mode wherever it has one.
        if os.geteuid() not in (there.st_uid, _ROOT):
            raise
        message = "the file system keeps no rights"
        raise OSError(errno.EOPNOTSUPP, message, str(path)) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that their names are durable.

    The name of the folder itself is forced where it is there already, too: whoever made it may have
    died before that.
    """
    fresh = [folder]
    while not is_there(fresh[-1].parent):
        fresh.append(fresh[-1].parent)
    folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(fresh):
        force_folder(made.parent)


def force_folder(folder: Path) -> None:
    """Make the names in a folder durable: a file whose name is lost is lost.

    Raise OSError (EOPNOTSUPP) where the file system forces no folder to disk.
    """
    try:
        _force(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        message = "the file system forces no folder to disk"
        raise OSError(errno.EOPNOTSUPP, message, str(folder)) from error


def force_file(path: Path) -> None:
    """Make what a file has durable, whoever wrote it. Raise OSError."""
    _force(path, os.O_RDONLY)


def _force(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        with _naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in the error of a call that takes a descriptor: the system does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
