"""Copies of files whose bytes are counted and hashed on the way."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from clauseway.files.whole import PRIVATE

_READ_BYTES = 1 << 20


class FileContent(NamedTuple):
    """The content of a file: its number of bytes and their SHA-256 in hex."""

    bytes: int
    digest: str


def copy_hashed(source: Path, target: Path) -> FileContent:
    """Copy a file to a path that is free, force it to disk and return what was written.

    A file that grows meanwhile is copied from its beginning to the end that it has when the copy
    gets there. Raise OSError; FileExistsError where the path is taken.
    """
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with source.open("rb") as read, open(os.open(target, flags, PRIVATE), "wb") as written:
        while data := read.read(_READ_BYTES):
            written.write(data)
            digest.update(data)
            size += len(data)
        written.flush()
        os.fsync(written.fileno())
    return FileContent(size, digest.hexdigest())


def content_of(path: Path) -> FileContent:
    """Return the content of a file. Raise OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileContent(file.tell(), digest)
