"""Stores: where the lake's files lie by name, in a folder or on object storage.

A file appears whole under its name or not at all, and no file is overwritten but those that are
`replace`d by their writer alone. Names are those of `LakeFile`, with slashes.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import msgspec

from clauseway.files import force_folder, write_whole
from clauseway.files.folders import list_tree
from clauseway.files.presence import is_file, is_there
from clauseway.values import Damaged


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a store, and the instant of its last change in nanoseconds since 1970."""

    name: str
    bytes: int
    changed_ns: int


class StoreFailed(Damaged):
    """Object storage cannot be reached or refuses what is asked; it was asked several times where
    that may help, and nothing was changed."""


class Store(Protocol):
    """The place of the lake's files.

    Every method raises OSError if a folder's disk fails, and StoreFailed if object storage does.
    """

    @property
    def is_remote(self) -> bool:
        """Return whether files are elsewhere, so that readers need copies of them."""

    @property
    def location(self) -> str:
        """Return the address of the place for other programs, without a slash at its end."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Return what a remote store's configuration names: `endpoint`, `region`,
        `access_key_id`, `secret_access_key`, `session_token`."""

    def put(self, name: str, content: bytes) -> bool:
        """Write a durable file unless there is one of that name; return whether it is new."""

    def replace(self, name: str, content: bytes) -> None:
        """Write a durable file in place of the one of that name, if there is one."""

    def get(self, name: str) -> bytes:
        """Return a file's bytes. Raise FileNotFoundError."""

    def keep(self, name: str, path: Path) -> bool:
        """Store the file that was written at `path`, the name's place in the lake's folder; return
        False if the store has another file of that name, which is left as it is."""

    def copy(self, name: str, path: Path) -> None:
        """Copy a file of a remote store to a path. Raise FileNotFoundError."""

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, read to its last byte. Raise FileNotFoundError."""

    def under(self, folder: str) -> Iterator[Stored]:
        """Yield the files below a folder; of the empty name, all."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone already are no error."""


class FolderStore:
    """A store that is a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def is_remote(self) -> bool:
        return False

    @property
    def location(self) -> str:
        return f"file://{self._root.absolute()}"

    @property
    def settings(self) -> Mapping[str, str]:
        return {}

    def put(self, name: str, content: bytes) -> bool:
        # One process at a time writes such files. One that died may not have forced the name of
        # the file that it wrote.
        path = self._root / name
        if is_there(path):
            for folder in (path.parent, *make_folders(path.parent, self._root)):
                force_folder(folder)
            return False
        self.replace(name, content)
        return True

    def replace(self, name: str, content: bytes) -> None:
        path = self._root / name
        folders = make_folders(path.parent, self._root)
        write_whole(path, content)
        for folder in folders:
            force_folder(folder)

    def get(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def keep(self, name: str, path: Path) -> bool:
        return path == self._root / name

    def copy(self, name: str, path: Path) -> None:
        raise AssertionError("files of a folder are read where they are")

    def digest(self, name: str) -> str:
        with (self._root / name).open("rb") as stored:
            return hashlib.file_digest(stored, "sha256").hexdigest()

    def under(self, folder: str) -> Iterator[Stored]:
        for path in list_tree(self._root / folder):
            if is_file(path):
                status = path.stat()
                yield Stored(
                    name=path.relative_to(self._root).as_posix(),
                    bytes=status.st_size,
                    changed_ns=status.st_mtime_ns,
                )

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self._root / name).unlink(missing_ok=True)


def make_folders(folder: Path, root: Path) -> list[Path]:
    """Make a folder under `root`; return the folders to force once there is a file in it.

    Folders that were there already are among them: whoever made them may have died before forcing
    their names. Raise FileNotFoundError if `root` is gone: its file system may be away, and what is
    written in its place would not be found once that is back.
    """
    made = list(takewhile(lambda above: above != root, (folder, *folder.parents)))
    for each in reversed(made):
        each.mkdir(exist_ok=True)
    return [each.parent for each in made]
