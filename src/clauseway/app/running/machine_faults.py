"""The machine's own faults in words: a disk that is full, a place that cannot be written.

Every library reports them in its own way: Python and Arrow by an error number, SQLite and
PostgreSQL by a code, DuckDB in a sentence, a child process in its log. They are all read here, so
that no command, tool or page needs words of its own.
"""

import errno
import os
import signal
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from clauseway.app.opening.home import IDENTITY_FILE, Home
from clauseway.app.opening.places import NO_ROOM_FOR_FILE, is_full, lacks_files
from clauseway.files.presence import is_there
from clauseway.files.sqlite_errors import primary_code
from clauseway.values import InvalidInput, Problem


class _Fault(msgspec.Struct, frozen=True):
    """A fault of the machine: what happened, and what to do."""

    what: str
    remedy: str


_FULL = _Fault(
    "the disk is full",
    "Free some room there and repeat the command: what was not written can be repeated.",
)
_TOO_LARGE = _Fault(
    "the file would be larger than is allowed",
    "Allow larger files (ulimit -f, LimitFSIZE of the unit), or name another place (--home, --out), and "
    "repeat the command: what was not written can be repeated.",
)
_UNWRITABLE = _Fault(
    "it cannot be read or written",
    "Give this user the right to it, mount it for writing, or name another place (--home, --out).",
)
_FAILING = _Fault(
    "the disk fails",
    "Look at the disk and what the system logged about it, then repeat the command.",
)
_NO_DESCRIPTOR = _Fault(
    "no more files can be opened",
    "Allow more open files (ulimit -n, LimitNOFILE of the unit), and repeat the command.",
)
_TOO_LONG = _Fault("the path is too long", "Name a shorter one (--home, --out).")
_UNSUITED = _Fault(
    "the file system lacks what a home needs",
    "Put the home on a file system with rights, hard links, locks, files in shared memory and folders "
    "that can be forced to disk, such as ext4 or xfs.",
)
_NO_THREAD = _Fault(
    "no more threads or processes can be started",
    "Allow more (ulimit -u, TasksMax of the unit) or free some memory, and repeat the command.",
)
_UNLOADABLE = _Fault(
    "a library of the program cannot be loaded",
    "Free some memory or allow more (ulimit -v, MemoryMax of the unit), and repeat the command. If the "
    "program lies on a disk that is mounted with noexec, mount it without.",
)
_NO_MEMORY = _Fault(
    "memory is short",
    "Free some memory or allow more (MemoryMax of the unit), and repeat the command.",
)
_DAMAGED = _Fault(
    "the control data are damaged",
    "Restore the home from its latest backup: clauseway home restore FOLDER --home PLACE --take-over.",
)

_GONE = _Fault(
    "the home is gone",
    "Mount its disk, or move it back, and repeat the command; or name where it lies now (--home).",
)
_AWAY = _Fault(
    "the database cannot be reached",
    "Start the server, or fix the network or the address (database.url of the home, or --to), and "
    "repeat the command: what was not written can be repeated.",
)
_COMMIT_LOST = _Fault(
    "whether it was written is not known",
    "Look at the end of `clauseway audit log` before you repeat the command.",
)
_LOCK_LOST = _Fault(
    "the lock of this command is lost",
    "Repeat the command: another process may have begun meanwhile, so nothing more was written.",
)
_READ_ONLY = _Fault(
    "the database takes no writes",
    "Wait until a failover is over, or name the server that takes writes (database.url of the home), "
    "and repeat the command.",
)
_NO_RIGHT = _Fault(
    "the role of the database lacks a right",
    "Make it the owner of the database and of its tables, and repeat the command.",
)
_NO_SCHEMA = _Fault(
    "the database has no schema for the tables",
    "Fix the search_path of the role, the database or the address, and repeat the command.",
)
_CANCELLED = _Fault(
    "the database server cancelled a statement",
    "Let its statement_timeout be longer for this role (ALTER ROLE … SET statement_timeout), and "
    "repeat the command.",
)
_SILENT = _Fault(
    "the database server ended a transaction",
    "This process or its machine stood still in the middle of it, so nothing of it was written: "
    "repeat the command.",
)
_TOO_SLOW = _Fault(
    "the database server ended a transaction",
    "Let it last longer for this role (ALTER ROLE … SET transaction_timeout), and repeat the "
    "command.",
)
_IN_THE_WAY = _Fault(
    "another transaction is in the way",
    "Look for one that lasts (pg_stat_activity), and repeat the command: nothing was written.",
)
_SERVER_FULL = _Fault(
    "the database server is out of room or connections",
    "Give it more, and repeat the command: what was not written can be repeated.",
)
_ENCODING = _Fault(
    "the database cannot hold the text",
    "Move the home back (clauseway home migrate --to embedded), and then into a database with "
    "ENCODING 'UTF8'.",
)
_SERVER_FAILING = _Fault(
    "the database server fails",
    "Look at its log and its disk, then repeat the command.",
)
# The beginnings of PostgreSQL's codes. An error of another code is ours: the driver gives it a class
# that is none of `OperationalError`.
_BY_SQLSTATE: Mapping[str, _Fault] = {
    "": _AWAY,  # the connection was never made, or ended without a word
    "08": _AWAY,
    "22P05": _ENCODING,
    "25006": _READ_ONLY,
    "25P03": _SILENT,
    "25P04": _TOO_SLOW,
    "28": _AWAY,
    "3D": _AWAY,
    "3F": _NO_SCHEMA,
    "40": _IN_THE_WAY,
    "40003": _COMMIT_LOST,
    "42501": _NO_RIGHT,
    "53": _SERVER_FULL,
    "55": _IN_THE_WAY,
    "57": _AWAY,
    "57014": _CANCELLED,
    "58": _SERVER_FAILING,
    "F0": _SERVER_FAILING,
    "HV": _SERVER_FAILING,
    "XX": _SERVER_FAILING,
}
# The words of a server that lets nobody more in: the driver has no code for that.
_NO_CONNECTION = ("too many connections", "too many clients", "remaining connection slots")
# Our own errors about a server's connections, by name: the module with them is slow to load.
_BY_CLASS: Mapping[str, _Fault] = {"CommitLost": _COMMIT_LOST, "LockLost": _LOCK_LOST}
_OF_SERVER = frozenset({*_BY_SQLSTATE.values(), *_BY_CLASS.values()})

_BY_NUMBER: Mapping[int, _Fault] = {
    **dict.fromkeys(NO_ROOM_FOR_FILE, _FULL),
    errno.EFBIG: _TOO_LARGE,
    errno.EROFS: _UNWRITABLE,
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EIO: _FAILING,
    # Of a damaged file system, and of a file server that is gone or forgot the file.
    errno.EUCLEAN: _FAILING,
    errno.ESTALE: _FAILING,
    errno.EREMOTEIO: _FAILING,
    errno.ENAMETOOLONG: _TOO_LONG,
    errno.EOPNOTSUPP: _UNSUITED,
    # A file server without a service for locks.
    errno.ENOLCK: _UNSUITED,
    errno.EMFILE: _NO_DESCRIPTOR,
    errno.ENFILE: _NO_DESCRIPTOR,
    errno.ENOMEM: _NO_MEMORY,
    # Of a process that could not be forked.
    errno.EAGAIN: _NO_THREAD,
}
# SQLite's primary error codes; the extended codes add the system call.
_BY_SQLITE_CODE: Mapping[int, _Fault] = {
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_IOERR: _FAILING,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}
# Where only a sentence is left of an error, the sentence quotes the system.
_BY_SENTENCE: Mapping[str, _Fault] = {
    **{os.strerror(number): fault for number, fault in _BY_NUMBER.items()},
    # The words of Python, of the loader of shared libraries, and of DuckDB.
    "can't start new thread": _NO_THREAD,
    "Out of Memory Error": _NO_MEMORY,
    "failed to map segment from shared object": _UNLOADABLE,
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
        if _is_of_a_home_that_is_gone(cause, home):
            fault, why = _GONE, "its folder was moved, or its disk is not mounted any more"
        if fault is not None:
            where = getattr(cause, "filename", None)
            # SQLite tells so that a disk is full which has its files in shared memory, or to which no
            # file can be added.
            may_be_full = (
                fault in (_FAILING, _UNSUITED) or primary_code(cause) == sqlite3.SQLITE_CANTOPEN
            )
            if may_be_full and _has_no_room(home):
                fault = _FULL
            if fault is _DAMAGED:
                where = Home(home).control
            if fault in _OF_SERVER:
                where = _database_of(cause) or _place_of_data(home)
            return Problem(what=fault.what, why=why, where=str(where or home), remedy=fault.remedy)
    return None


def _is_of_a_home_that_is_gone(cause: BaseException, home: Path) -> bool:
    if not isinstance(cause, FileNotFoundError) or cause.filename is None:
        return False
    home = home.absolute()
    missing = Path(os.fsdecode(cause.filename)).absolute()
    # A mount that ends leaves an empty folder. Without these files nobody serves a home.
    there = Home(home)
    needed = (there.embedded_control, there.hash_key_path, home / IDENTITY_FILE)
    if is_there(home) and missing not in needed:
        return False
    return missing.is_relative_to(home)


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
    if isinstance(cause, OSError) and (number := cause.errno or 0) in _BY_NUMBER:
        return _BY_NUMBER[number], str(cause.strerror or os.strerror(number)).lower()
    if isinstance(cause, MemoryError):
        return _NO_MEMORY, str(cause) or os.strerror(errno.ENOMEM).lower()
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_IOERR_SHMMAP:
            return _UNSUITED, "it maps no file into shared memory"
        fault = _FULL if is_full(cause) else _BY_SQLITE_CODE.get(primary_code(cause))
        return fault, str(cause)
    if type(cause).__name__ in _BY_CLASS:
        return _BY_CLASS[type(cause).__name__], _said_by_server(cause)
    if type(cause).__module__.partition(".")[0] == "psycopg":
        return _of_server(cause), _said_by_server(cause)
    text = str(cause)
    sentence = next((sentence for sentence in _BY_SENTENCE if sentence in text), "")
    return _BY_SENTENCE.get(sentence), sentence.lower()


def _of_server(cause: BaseException) -> _Fault | None:
    """Return the fault behind an error of PostgreSQL's driver; None where the statement is wrong."""
    code = getattr(cause, "sqlstate", None) or ""
    if not code and not any(base.__name__ == "OperationalError" for base in type(cause).mro()):
        return None  # refused by the driver itself
    if not code and any(words in str(cause) for words in _NO_CONNECTION):
        return _SERVER_FULL
    # The longest beginning of the code that stands in the table.
    fitting = [beginning for beginning in _BY_SQLSTATE if beginning and code.startswith(beginning)]
    return _BY_SQLSTATE.get(max(fitting, key=len, default=code))


def _said_by_server(cause: BaseException) -> str:
    """Return the server's words in one line, without the place in a statement and full stop."""
    from clauseway.storage.control.engines import said_by_driver  # noqa: PLC0415  # loads SQLAlchemy

    return said_by_driver(getattr(cause, "orig", cause)).rstrip(".")


def _database_of(cause: BaseException) -> str:
    """Return the database that an error is of, as its engine noted it; empty for none."""
    return str(getattr(getattr(cause, "orig", cause), "database", ""))


def _place_of_data(home: Path) -> str:
    """Return the address of the home's database, without its password."""
    from clauseway.app.running.control_data import place_of  # noqa: PLC0415  # loads SQLAlchemy

    try:
        return place_of(Home(home))
    except InvalidInput:
        return str(home)


def _has_no_room(home: Path) -> bool:
    folder = next(folder for folder in (home, *home.parents) if is_there(folder))
    room = os.statvfs(folder)
    return room.f_bavail == 0 or lacks_files(room)
