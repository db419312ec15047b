"""Each fault of a database server is a fault of the machine, in words; a wrong statement is a failure of ours."""

from pathlib import Path

import pytest
from psycopg import errors

from clauseway.app.running.machine_faults import fault_of
from clauseway.storage.control.engines import CommitLost, LockLost

# The driver's error | what is said, nothing where it is ours.
FAULTS = [
    (errors.OperationalError, "the database cannot be reached"),
    (errors.ConnectionTimeout, "the database cannot be reached"),
    (errors.AdminShutdown, "the database cannot be reached"),
    (errors.IdleInTransactionSessionTimeout, "the database cannot be reached"),
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
