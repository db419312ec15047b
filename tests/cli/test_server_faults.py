"""Each fault of the machine or of a database server is said in words; a wrong statement is a failure of ours."""

import errno
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from psycopg import errors

from clauseway.app.opening.home import Home
from clauseway.app.running.machine_faults import fault_of
from clauseway.cli.gateway.up import requests_failed
from clauseway.storage.control.engines import CommitLost, LockLost
from small_disks import small_disk

# The driver's error | what is said, nothing where it is ours.
FAULTS = [
    (errors.OperationalError, "the database cannot be reached"),
    (errors.ConnectionTimeout, "the database cannot be reached"),
    (errors.AdminShutdown, "the database cannot be reached"),
    (errors.IdleInTransactionSessionTimeout, "the database server ended a transaction"),
    (errors.TransactionTimeout, "the database server ended a transaction"),
    (errors.ReadOnlySqlTransaction, "the database takes no writes"),
    (errors.InsufficientPrivilege, "the role of the database lacks a right"),
    (errors.InvalidSchemaName, "the database has no schema for the tables"),
    (errors.QueryCanceled, "the database server cancelled a statement"),
    (errors.LockNotAvailable, "another transaction is in the way"),
    (errors.SerializationFailure, "another transaction is in the way"),
    (errors.DeadlockDetected, "another transaction is in the way"),
    (errors.DiskFull, "the database server is out of room or connections"),
    (errors.TooManyConnections, "the database server is out of room or connections"),
    (errors.UntranslatableCharacter, "the database cannot hold the text"),
    (errors.DataCorrupted, "the database server fails"),
    (errors.UniqueViolation, ""),
    (errors.UndefinedColumn, ""),
    (errors.ProgrammingError, ""),
]


@pytest.mark.parametrize(("error", "said"), FAULTS)
def test_a_fault_of_a_server_is_said_in_words(error: type[Exception], said: str, tmp_path: Path) -> None:
    problem = fault_of(error("the server's\nown words."), tmp_path)
    assert (problem.what if problem else "") == said
    assert problem is None or problem.why == "the server's own words"


@pytest.mark.parametrize(
    "words",
    [
        'connection failed: FATAL: too many connections for role "clauseway"',
        "connection failed: FATAL: sorry, too many clients already",
        "connection failed: FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute",
    ],
)
def test_a_server_without_connections_is_not_taken_for_one_that_is_away(words: str, tmp_path: Path) -> None:
    """A refused connection has no code to go by."""
    problem = fault_of(errors.OperationalError(words), tmp_path)
    assert problem is not None
    assert problem.what == "the database server is out of room or connections"


def no_shared_memory() -> sqlite3.OperationalError:
    """Return the error of SQLite where a file system maps no file into shared memory, as some of networks."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMMAP
    return error


# An error of Python or of a library | the message.
OF_THE_MACHINE = [
    (OSError(errno.EIO, "Input/output error"), "the disk fails"),
    (OSError(errno.EUCLEAN, "Structure needs cleaning"), "the disk fails"),
    (OSError(errno.ESTALE, "Stale file handle"), "the disk fails"),
    (OSError(errno.EREMOTEIO, "Remote I/O error"), "the disk fails"),
    (OSError(errno.EMFILE, "Too many open files"), "no more files can be opened"),
    (OSError(errno.ENFILE, "Too many open files in system"), "no more files can be opened"),
    (OSError(errno.ENAMETOOLONG, "File name too long"), "the path is too long"),
    (OSError(errno.EOPNOTSUPP, "Operation not supported"), "the file system lacks what a home needs"),
    (OSError(errno.ENOLCK, "No locks available"), "the file system lacks what a home needs"),
    (no_shared_memory(), "the file system lacks what a home needs"),
    (RuntimeError("IO Error: Cannot open file: Too many open files"), "no more files can be opened"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory is short"),
    (MemoryError(), "memory is short"),
    (RuntimeError("Out of Memory Error: Failed to allocate block of 2097152 bytes"), "memory is short"),
    (
        OSError(errno.EFBIG, "File too large"),
        "the file would be larger than is allowed",
    ),
    (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no more threads or processes can be started"),
    (
        RuntimeError("the gateway stopped: RuntimeError: can't start new thread"),
        "no more threads or processes can be started",
    ),
    (ImportError("libarrow.so: failed to map segment from shared object"), "a library of the program cannot be loaded"),
]


@pytest.mark.parametrize(("error", "said"), OF_THE_MACHINE)
def test_a_fault_of_the_machine_is_said_in_words(error: Exception, said: str, tmp_path: Path) -> None:
    problem = fault_of(error, tmp_path)
    assert problem is not None
    assert problem.what == said
    assert problem.why


@pytest.mark.parametrize("missing", ["home.id", "hash.key", "control.db"])
def test_a_home_that_was_moved_away_is_a_fault_of_the_machine(tmp_path: Path, missing: str) -> None:
    home = tmp_path / "home"
    with pytest.raises(FileNotFoundError) as failed:
        (home / missing).read_bytes()
    problem = fault_of(failed.value, home)
    assert problem is not None
    assert (problem.what, problem.where) == ("the home is gone", str(home / missing))
    # Its mount point is left.
    home.mkdir()
    assert fault_of(failed.value, home) == problem
    # Of a home that is there, another file that is missing is a failure of ours.
    with pytest.raises(FileNotFoundError) as failed:
        (home / "plan.json").read_bytes()
    assert fault_of(failed.value, home) is None


def test_a_disk_without_room_for_one_more_file_is_full(tmp_path: Path) -> None:
    """SQLite cannot make the files beside the database, and does not say why."""
    with small_disk(tmp_path / "disk", 1 << 20, files_max=2) as disk:
        with closing(sqlite3.connect(disk.path / "control.db")) as control, pytest.raises(sqlite3.Error) as failed:
            control.execute("CREATE TABLE t (x)")
        problem = fault_of(failed.value, disk.path)
    assert problem is not None
    assert problem.what == "the disk is full"


@pytest.mark.parametrize(
    ("error", "said"),
    [(CommitLost, "whether it was written is not known"), (LockLost, "the lock of this command is lost")],
)
def test_a_lost_connection_is_said_with_what_it_leaves(error: type[Exception], said: str, tmp_path: Path) -> None:
    problem = fault_of(error(None, None, errors.OperationalError("gone")), tmp_path)
    assert problem is not None
    assert problem.what == said


def test_every_operational_error_of_the_driver_has_words(tmp_path: Path) -> None:
    """Of the rest the statement is at fault: triggers, routines, savepoints, the server's limits."""
    named = [error for error in vars(errors).values() if isinstance(error, type)]
    operational = [error for error in named if issubclass(error, errors.OperationalError)]
    wordless = [error.sqlstate for error in operational if fault_of(error(), tmp_path) is None]
    assert {str(code)[:2] for code in wordless} <= {"27", "2F", "38", "39", "3B", "54"}


def test_a_night_that_the_machine_had_no_descriptors_for_is_laid_to_the_machine(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    home.logs.mkdir()
    refused = [
        {"status": 502, "message": "No cloud answered: azure direct: could not be reached (Too many open files)."},
        {"status": 403, "message": "forbidden by A4.api"},
    ]
    home.refused_by("gateway").write_text("".join(f"{json.dumps(line)}\n" for line in refused))
    error = requests_failed(home, {"clouds_failed": 2})
    problem = fault_of(error, tmp_path)
    assert problem is not None
    assert problem.what == "no more files can be opened"
    # Where the gateway says nothing of the machine, it is a failure of ours.
    home.refused_by("gateway").unlink()
    assert fault_of(requests_failed(home, {"clouds_failed": 2}), tmp_path) is None
