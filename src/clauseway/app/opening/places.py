"""The files that a user names: a fault of reading them, or of writing at their places, is the user's
to mend, unless the disk there is full or fails."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import IO

from clauseway.files import STANDARD_OUTPUT, output_file
from clauseway.files.sqlite_errors import primary_code
from clauseway.values import InvalidInput, cause_of

A_FILE = "Name a file in a folder that exists and that you may write to."
A_FOLDER = "Name a folder that you may write to."
A_PLACE = "Name a place you may write to."
# A contract of a thousand pages has 3 MB, and a price book of a line for each price that any cloud
# lists 10. What is read of a text takes many times its length.
_TEXT_BYTES_MAX = 64 << 20
# There is no room for a file: on the disk, for this user, or as long as it would be.
NO_ROOM_FOR_FILE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
# The machine's faults: another name would not help.
_OF_THE_DISK = NO_ROOM_FOR_FILE | {errno.EIO}


def is_full(error: BaseException) -> bool:
    """Return whether there was no room for a write, as the system or SQLite says it."""
    if isinstance(error, OSError):
        return error.errno in NO_ROOM_FOR_FILE
    said = getattr(error, "orig", error)  # by SQLAlchemy, of a database on a server
    return primary_code(said) == sqlite3.SQLITE_FULL


def lacks_files(disk: os.statvfs_result, least: int = 1) -> bool:
    """Return whether fewer than `least` files can be made on a disk. A file system without a limit
    of files reports 0 of 0."""
    return disk.f_files > 0 and disk.f_favail < least


def read_text(path: Path, subject: str = "the file", encoding: str = "utf-8") -> str:
    """Return the text of a file. Raise InvalidInput where it cannot be read."""
    try:
        return text_of(path, encoding)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput.of(
            what=f"{subject} cannot be read",
            why=cause_of(error),
            where=str(path),
            remedy="Give a readable UTF-8 file.",
        ) from None


def text_of(path: Path, encoding: str = "utf-8", newline: str | None = None) -> str:
    """Return the text of a file that somebody wrote. Raise OSError, also where it is too large, and
    UnicodeDecodeError. Line ends become line feeds, unless `newline` is empty."""
    content = BytesIO(read_bytes(path, _TEXT_BYTES_MAX))
    return TextIOWrapper(content, encoding, newline=newline).read()


def read_bytes(path: Path, bytes_max: int) -> bytes:
    """Return the content of a file that somebody else gave. Raise OSError, also where it has more
    than so many bytes."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > bytes_max:
            raise _too_long(bytes_max)
        return read_within(file, bytes_max)


def read_within(file: IO[bytes], bytes_max: int) -> bytes:
    """Return what an open file has: a pipe or a device does not say how much that is. Raise OSError
    where it has more than so many bytes."""
    content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise _too_long(bytes_max)
    return content


def _too_long(bytes_max: int) -> OSError:
    return OSError(errno.EOVERFLOW, f"it has more than {bytes_max >> 20} MB")


def place_or_output(out: Path | None) -> Path:
    """Return the place of a file, or that of standard output where none is named."""
    return out or STANDARD_OUTPUT


@contextmanager
def writing(
    place: Path, remedy: str = A_FILE, *, problem: str = "cannot be written"
) -> Iterator[None]:
    """Raise InvalidInput for a fault of writing into the place; OSError with its name if the disk
    there is full or fails."""
    try:
        yield
    except OSError as error:
        if error.errno in _OF_THE_DISK:
            raise OSError(error.errno, os.strerror(error.errno), str(place)) from error
        raise unwritable(place, error, remedy, problem=problem) from None


@contextmanager
def file_at(
    place: Path, remedy: str = A_FILE, *, problem: str = "cannot be written"
) -> Iterator[Path]:
    """Yield the path at which to write the file that a user names (see `output_file`). Raise as
    `writing` does."""
    with writing(place, remedy, problem=problem), output_file(place) as beside:
        yield beside


def unwritable(
    place: Path, error: OSError, remedy: str = A_FILE, *, problem: str = "cannot be written"
) -> InvalidInput:
    """Return the refusal of a place that cannot be written."""
    why = error.strerror or str(error) or type(error).__name__
    return InvalidInput.of(what=problem, why=why, where=str(place), remedy=remedy)
