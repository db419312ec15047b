"""The identifiers of a home's index that are to be copied to a database that homes share.

The gateways note them in the commit that adds or forgets a row; the process that runs the home
copies them and lets go of the notes. A copy that is made twice changes nothing, so a note is let go
of without a forced write.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from clauseway.files.presence import is_there
from clauseway.gateway.request.resource_index import (
    COLUMNS,
    IndexedResource,
    forget_pages,
    open_index,
    resource_in_row,
)

_WAITING = "SELECT identifier, gone FROM to_share ORDER BY identifier LIMIT ?"
_ROW = f"SELECT {COLUMNS} FROM issued WHERE identifier = ?"
_CONTENTS = "SELECT purpose, contents FROM contents WHERE identifier = ?"
_ALL = (
    "INSERT INTO to_share (identifier, gone) SELECT identifier, 0 FROM issued WHERE true "
    "ON CONFLICT DO NOTHING"
)
# A note that was changed meanwhile stays.
_LET_GO = "DELETE FROM to_share WHERE identifier = ? AND gone = ?"


class ToShare(NamedTuple):
    """An identifier to be copied, with its resource; without one it is to be removed there."""

    identifier: str
    is_gone: bool
    resource: IndexedResource | None


class ResourcesToShare:
    """The notes in one index. Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open the index; one that was never shared notes all that it holds. Raises
        sqlite3.Error."""
        self._connection = open_index(path)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        # SQLite's `user_version` of the file tells whether its gateways note what they add.
        if not self._is_noted():
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute(_ALL)
                self._connection.execute("PRAGMA user_version = 1")

    def _is_noted(self) -> bool:
        (number,) = self._connection.execute("PRAGMA user_version").fetchone()
        return bool(number)

    def waiting(self, count: int) -> list[ToShare]:
        """Return some of what is to be copied. Raises sqlite3.Error."""
        noted = self._connection.execute(_WAITING, (count,)).fetchall()
        return [
            ToShare(identifier, bool(gone), None if gone else self._resource(identifier))
            for identifier, gone in noted
        ]

    def _resource(self, identifier: str) -> IndexedResource | None:
        row = self._connection.execute(_ROW, (identifier,)).fetchone()
        if row is None:
            return None
        purpose, contents = self._connection.execute(_CONTENTS, (identifier,)).fetchone() or (
            "",
            b"",
        )
        return msgspec.structs.replace(resource_in_row(row), purpose=purpose, contents=contents)

    def let_go(self, copied: Sequence[ToShare]) -> None:
        """Let go of what was copied. Raises sqlite3.Error."""
        with self._connection:
            self._connection.executemany(
                _LET_GO, [(note.identifier, int(note.is_gone)) for note in copied]
            )

    def read_again(self) -> None:
        """Read the file again after an error, damaged pages too."""
        forget_pages(self._connection)

    def close(self) -> None:
        self._connection.close()


def note_nothing(path: Path) -> None:
    """Say in an index that its gateways note nothing: once homes share it again, all is copied.
    Raises sqlite3.Error."""
    if not is_there(path):
        return
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        if connection.execute("PRAGMA user_version").fetchone() != (0,):
            connection.execute("PRAGMA user_version = 0")
    finally:
        connection.close()
