"""Engines under the control database: SQLite in a file of the home, or a PostgreSQL server that
machines share.

    InvalidInput     the address names no usable database, or the database orders text by a language

Both give the same three kinds of transaction. A writing transaction excludes every other writer
from its beginning, so rows that it read before it wrote cannot have changed in between. A reading
transaction sees the database as it was at its first statement. A transaction that adds and removes
rows by which no writer decides waits, on a server, for no other writer. See docs/choices/0099.
"""

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import LRUCache

from clauseway.files import PRIVATE
from clauseway.values import InvalidInput, Problem

# The place of a control database: a file, or the address of a server's database.
Place = Path | str
WRITES = "clauseway_writes"
# A writer waits this long for another: longer than any transaction here takes, shorter than a
# person's patience.
_BUSY_TIMEOUT_S = 30
# A writer that says nothing for so long in the middle of a transaction is frozen, or its machine is:
# the server ends the transaction before those who wait for it give up. A writer that lives never
# pauses for as long between two statements.
_SILENT_S = 20
# Both sides ask a connection that is silent for some seconds whether the other one is there, and so
# learn within half a minute that a machine is gone: the systems' own defaults are two hours, in
# which a lost machine would keep its locks.
_KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
_SERVER_SETTINGS = {
    "lock_timeout": f"{_BUSY_TIMEOUT_S}s",
    "client_encoding": "utf8",
    **{f"tcp_{name}": value for name, value in _KEEPALIVES.items()},
}
_CLIENT_SETTINGS = {
    **_KEEPALIVES,
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "options": " ".join(f"-c {name}={value}" for name, value in _SERVER_SETTINGS.items()),
}
# A connection that was silent for so long is tried before it is used: a server that has ended says
# so at once, but a firewall that forgot a connection says nothing.
_TRIED_AFTER_S = 10.0
_SILENT_SINCE = "clauseway_silent_since"
# PostgreSQL's name for the lock that writers take: any number that no other program uses in this
# database.
_WRITERS = 0x636C_6175_7365_7761
# The bits of a file's mode that let its group and everybody else in.
_OTHERS = 0o077
# The locks by name are numbers in a space of their own.
_LOCKS = 0x636C_6177
_DRIVER = "postgresql+psycopg"
_SCHEMES = ("postgresql", "postgres", _DRIVER)
# In the order of their bytes, which is how SQLite, and so every digest of rows, orders them.
_IN_ORDER = ["-", "10", "9", "B", "Z", "_", "a", "b", "é"]


class _Statements(LRUCache[Any, Any]):
    """Compiled statements, shared by all SQLite engines of this process.

    SQLAlchemy compiles a statement once for each engine, and a command opens a home some dozens of
    times. All these engines speak to one library with the same settings, so the text of a statement
    is the same for each: the dialect, which comes first in a key, is left out of it.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(key[1:], compiled)


# More than there are statements in the program, each with the columns that it writes.
_STATEMENTS = _Statements(2000)


def engine_of(place: Place) -> Engine:
    """Return an engine over the database at a place. A SQLite file is made at first use; its folder
    must exist.

    A server's database must exist; nothing is asked of it yet. Raise InvalidInput if the address is
    not valid.
    """
    return _sqlite(place) if isinstance(place, Path) else _postgresql(place)


def reader_of(engine: Engine) -> Engine:
    """Return the engine for transactions that only read."""
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writer_of(engine: Engine) -> Engine:
    """Return the engine for transactions that write."""
    if engine.dialect.name != "postgresql":
        return engine.execution_options(**{WRITES: True})
    # Each statement sees all earlier commits, so rows read after the lock are the present ones.
    return engine.execution_options(isolation_level="READ COMMITTED", **{WRITES: True})


def adder_of(engine: Engine) -> Engine:
    """Return the engine for transactions that add and remove rows by which no writer decides. A
    server locks such rows alone; a file has one writer at a time."""
    if engine.dialect.name != "postgresql":
        return writer_of(engine)
    return engine.execution_options(isolation_level="READ COMMITTED")


def now_ns(connection: Connection) -> int:
    """Return the time by the clock that all machines of a database share."""
    if connection.dialect.name != "postgresql":
        return time.time_ns()
    asked = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint")
    return int(connection.execute(asked).scalar_one())


def without_password(place: Place) -> str:
    """Return a place as it may be shown."""
    return str(place) if isinstance(place, Path) else make_url(place).render_as_string()


def _sqlite(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": _BUSY_TIMEOUT_S},
        execution_options={"compiled_cache": _STATEMENTS},
    )
    event.listen(engine, "do_connect", lambda *_: _make_private(path))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """Make a database that is not there yet, for this user alone, and close one that is open to
    others.

    Programs before this one made it by the umask. SQLite gives the files beside it (-wal, -shm) the
    mode of the database, and says itself what it cannot open.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
        return
    for name in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))):
        # A file that is not there, or another account's, stays as it is.
        with suppress(OSError):
            if name.stat().st_mode & _OTHERS:
                name.chmod(PRIVATE)


def _prepare_sqlite(connection: SqliteConnection, _record: object) -> None:
    """Make SQLite durable, concurrent and strict; transactions begin where we say, not where the
    driver guesses."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(address: str) -> Engine:
    try:
        url = make_url(address)
    except ArgumentError:
        url = None
    if url is None or url.drivername not in _SCHEMES or not url.database:
        message, why = "the address of the database is not valid", "it names no PostgreSQL database"
        remedy = "Write it as postgresql://USER:PASSWORD@HOST/DATABASE."
        raise InvalidInput(
            Problem(what=message, why=why, where="the database's address", remedy=remedy)
        )
    engine = create_engine(
        url.set(drivername=_DRIVER),
        # Parameters in the address are not overridden.
        connect_args={
            name: value for name, value in _CLIENT_SETTINGS.items() if name not in url.query
        },
    )
    event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "checkin", _note_silence)
    event.listen(engine, "checkout", partial(_try_connection, engine.dialect))
    event.listen(engine, "first_connect", _require_order_of_bytes)
    return engine


def _note_silence(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_SILENT_SINCE] = time.monotonic()


def _try_connection(
    dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _lent: object
) -> None:
    """Have a connection replaced that is of no use any more.

    Raise InvalidatePoolError, on which the pool connects anew.
    """
    silent_since_s = record.info.get(_SILENT_SINCE)
    if silent_since_s is None:
        return  # it was made just now
    try:
        # A trial is a transaction of its own, so whoever reads again and again would ask twice.
        is_long = time.monotonic() - silent_since_s >= _TRIED_AFTER_S
        # A word that nobody asked for is nearly always that the server closes the connection.
        if is_long or has_word_within(0, connection):
            dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError(str(error)) from error


def has_word_within(seconds: float, connection: Any) -> bool:
    """Wait until the server says something on a connection of the driver; return whether it did."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITES, False):
        # The lock comes first: a wait for it is no silence.
        connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(%s), "
            "set_config('idle_in_transaction_session_timeout', %s, true)",
            (_WRITERS, f"{_SILENT_S}s"),
        )


def allow_silence(connection: Connection) -> None:
    """Let a writing transaction be silent for as long as it takes: it reads another database."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def _require_order_of_bytes(connection: object, _record: object) -> None:
    """Refuse a database that orders text by a language: equal rows would get different digests
    there."""
    cursor = connection.cursor()  # type: ignore[attr-defined]
    try:
        cursor.execute(
            "SELECT array(SELECT x FROM unnest(%s::text[]) AS x ORDER BY x)", (_IN_ORDER,)
        )
        ordered = cursor.fetchone()[0]
        cursor.execute("SELECT current_database()")
        name = cursor.fetchone()[0]
    finally:
        cursor.close()
    # The queries began a transaction: end it before the pool lends the connection.
    connection.rollback()  # type: ignore[attr-defined]
    if ordered != _IN_ORDER:
        message = "the database orders text by a language"
        why = "digests of rows and statements are the same everywhere only in the order of bytes"
        remedy = (
            "Make one that does not: CREATE DATABASE clauseway TEMPLATE template0 "
            "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'."
        )
        raise InvalidInput(Problem(what=message, why=why, where=name, remedy=remedy))


@contextmanager
def holding(address: str, number: int, on_wait: Callable[[], object]) -> Iterator[None]:
    """Hold one of the server's locks for as long as this lasts, on a connection of its own.

    A server lets go of the locks of a connection that ends, however it ends.
    """
    engine = _postgresql(address).execution_options(isolation_level="AUTOCOMMIT")
    named = {"space": _LOCKS, "number": number - 2**31}
    try:
        with engine.connect() as connection:
            asked = text("SELECT pg_try_advisory_lock(:space, :number)")
            if not connection.execute(asked, named).scalar_one():
                on_wait()
                # The holder may settle for minutes, so this wait has no time limit.
                connection.exec_driver_sql("SET lock_timeout = 0")
                connection.execute(text("SELECT pg_advisory_lock(:space, :number)"), named)
            yield
    finally:
        engine.dispose()
