"""The machine's own faults in words: a disk that is full, a place that cannot be written.

Every library reports them in its own way: Python and Arrow by an error number, SQLite by a code,
DuckDB in a sentence, a child process in its log. One table reads them all, so that no command needs
words of its own.
"""

import errno
import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from clauseway.values import Problem


class _Fault(msgspec.Struct, frozen=True):
    """A fault of the machine: what happened, and what to do."""

    what: str
    remedy: str


_FULL = _Fault(
    "the disk is full",
    "Free some room there and repeat the command: what was not written can be repeated.",
)
_UNWRITABLE = _Fault(
    "it cannot be read or written",
    "Give this user the right to it, mount it for writing, or name another place (--home, --out).",
)
_FAILING = _Fault(
    "the disk fails",
    "Look at the disk and what the system logged about it, then repeat the command.",
)

_AWAY = _Fault(
    "the database cannot be reached",
    "Start the server or fix the network, and repeat the command: what was not written can be repeated.",
)
# The driver of PostgreSQL tells so before and in the middle of a transaction.
_SERVER_ERRORS = ("psycopg", "OperationalError")

_BY_NUMBER: Mapping[int, _Fault] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    # A file that may grow no further is full to whoever writes it.
    errno.EFBIG: _FULL,
    errno.EROFS: _UNWRITABLE,
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EIO: _FAILING,
}
# SQLite's primary error codes; the extended codes add the system call.
_BY_SQLITE_CODE: Mapping[int, _Fault] = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_IOERR: _FAILING,
}
# Where only a sentence is left of an error, the sentence quotes the system.
_BY_SENTENCE: Mapping[str, _Fault] = {
    os.strerror(number): fault for number, fault in _BY_NUMBER.items()
}


class ChildEnded(Exception):
    """A signal from outside ended a process that a command keeps running."""

    def __init__(self, name: str, signal_number: int, logs: Path) -> None:
        name_of_signal = signal.Signals(signal_number).name
        super().__init__(f"{name} was ended by {name_of_signal}")
        self.problem = Problem(
            what=f"the process of {name} was ended by signal {signal_number} ({name_of_signal})",
            why="the signal came from outside: a person, a supervisor, or the system when memory is short",
            where=str(logs),
            remedy="Start the command again. If nobody sent the signal, look for a lack of memory in "
            "the system's log (journalctl --dmesg).",
        )


def end_of(name: str, exit_code: int | None, logs: Path) -> Exception:
    """Return the error to raise when a process that has to run has ended."""
    if exit_code is not None and exit_code < 0:
        return ChildEnded(name, -exit_code, logs)
    return RuntimeError(f"{name} ended by itself with exit code {exit_code}; its log is in {logs}")


def fault_of(error: BaseException, home: Path) -> Problem | None:
    """Return the machine's fault behind an error, or None where the error is another one.

    `home` is where it is taken to have happened if the error names no file.
    """
    if isinstance(error, ChildEnded):
        return error.problem
    for cause in _causes(error):
        fault, why = _read(cause)
        if fault is not None:
            where = getattr(cause, "filename", None)
            if fault is _FAILING and _is_full(
                home
            ):  # SQLite's files in shared memory tell a full disk so
                fault = _FULL
            return Problem(what=fault.what, why=why, where=str(where or home), remedy=fault.remedy)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and the errors behind it, each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [getattr(cause, "orig", None), cause.__cause__, cause.__context__]
        waiting += getattr(cause, "exceptions", ())


def _read(cause: BaseException) -> tuple[_Fault | None, str]:
    number = (cause.errno or 0) if isinstance(cause, OSError) else 0
    if number in _BY_NUMBER:
        return _BY_NUMBER[number], os.strerror(number).lower()
    if isinstance(cause, sqlite3.Error):
        return _BY_SQLITE_CODE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF), str(cause)
    if (type(cause).__module__, type(cause).__name__) == _SERVER_ERRORS:
        return _AWAY, " ".join(str(cause).split())
    text = str(cause)
    sentence = next((sentence for sentence in _BY_SENTENCE if sentence in text), "")
    return _BY_SENTENCE.get(sentence), sentence.lower()


def _is_full(home: Path) -> bool:
    folder = next(folder for folder in (home, *home.parents) if folder.exists())
    return os.statvfs(folder).f_bavail == 0
