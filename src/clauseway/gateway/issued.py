"""Which deployment issued which identifier, and to whom: responses, files and batches live on one account only.

A table in a file beside the journal (SQLite, from the standard library): written by a thread of its own, many rows to a
commit, durable before the client gets the last byte of the answer that names the identifier. Workers on one machine
share the file. A request that names no identifier never comes here.
"""

import queue
import sqlite3
import threading
from asyncio import AbstractEventLoop
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import msgspec

ISSUED_FILE = "issued.db"
_REMEMBERED_MAX = 10_000  # follow-ups mostly come soon
_BATCH_MAX = 512
_SCHEMA = """
CREATE TABLE IF NOT EXISTS issued (
    identifier TEXT PRIMARY KEY,
    organisation TEXT NOT NULL,
    project TEXT NOT NULL,
    deployment TEXT NOT NULL,
    model TEXT NOT NULL,
    endpoint INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    created_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS issued_by_owner ON issued (organisation, project, endpoint, created_ns);
CREATE INDEX IF NOT EXISTS issued_pending ON issued (pending) WHERE pending = 1;
"""
_INSERT = """
INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (identifier) DO UPDATE SET pending = excluded.pending
"""

Told = Callable[[OSError | None], None]


class Issued(msgspec.Struct, frozen=True):
    """An identifier and where it lies. `model` is the name that the client asked for, `endpoint` the code of the
    operation that made it; `pending`: its usage has not been reported yet. `created_ns`: nanoseconds since 1970."""

    identifier: str
    organisation: str
    project: str
    deployment: str
    model: str
    endpoint: int
    pending: bool
    created_ns: int


class IssuedIndex:
    """The index. `add` tells when the row is durable; what cannot be written is told as an OSError."""

    def __init__(self, path: Path, loop: AbstractEventLoop) -> None:
        """Raises OSError where the file cannot be opened."""
        self._loop = loop
        self._remembered: OrderedDict[str, Issued] = OrderedDict()
        try:
            self._reading = _open(path)
            self._reading.executescript(_SCHEMA)
            self._writing = _open(path)
        except sqlite3.Error as error:
            raise OSError(f"{path}: {error}") from error
        self._queue: queue.SimpleQueue[tuple[Issued, Told] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="issued", daemon=True)
        self._thread.start()

    def find(self, identifier: str) -> Issued | None:
        found = self._remembered.get(identifier)
        if found is not None:
            return found
        row = self._reading.execute("SELECT * FROM issued WHERE identifier = ?", (identifier,)).fetchone()
        return _issued(row) if row is not None else None

    def owned(self, organisation: str, project: str, endpoint: int) -> set[str]:
        """The identifiers that a project holds, of one kind."""
        rows = self._reading.execute(
            "SELECT identifier FROM issued WHERE organisation = ? AND project = ? AND endpoint = ?",
            (organisation, project, endpoint),
        )
        return {row[0] for row in rows}

    def pending(self, count: int) -> list[Issued]:
        """Some of those whose usage is still to come, oldest first."""
        rows = self._reading.execute("SELECT * FROM issued WHERE pending = 1 ORDER BY created_ns LIMIT ?", (count,))
        return [_issued(row) for row in rows]

    def add(self, issued: Issued, told: Told) -> None:
        """Write a row, or its `pending` anew; `told` is called on the loop once that is durable."""
        self._remembered[issued.identifier] = issued
        if len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        self._queue.put((issued, told))

    def close(self) -> None:
        """What was added is written first."""
        self._queue.put(None)
        self._thread.join()
        self._reading.close()
        self._writing.close()

    def _write(self) -> None:
        """The thread: one commit for all that came while the last one was written."""
        ended = False
        while not ended:
            taken = [self._queue.get()]
            while len(taken) < _BATCH_MAX and not self._queue.empty():
                taken.append(self._queue.get())
            ended = None in taken
            rows = [entry for entry in taken if entry is not None]
            error = self._commit([issued for issued, _ in rows])
            for _, told in rows:
                self._loop.call_soon_threadsafe(told, error)

    def _commit(self, rows: list[Issued]) -> OSError | None:
        try:
            with self._writing:
                self._writing.executemany(_INSERT, [msgspec.structs.astuple(row) for row in rows])
        except sqlite3.Error as error:
            return OSError(f"the index of identifiers cannot be written: {error}")
        return None


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _issued(row: tuple[str, str, str, str, str, int, int, int]) -> Issued:
    return Issued(*row[:6], pending=bool(row[6]), created_ns=row[7])
