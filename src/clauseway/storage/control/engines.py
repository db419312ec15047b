"""Engines under the control database: SQLite in a file of the home, or a PostgreSQL server that
machines share.

    InvalidInput     the address names no usable database, or the database orders text by a language
    CommitLost       whether a transaction was committed is not known
    LockLost         a lock ended with its connection, and a writer under it wrote nothing

Both give the same three kinds of transaction. A writing transaction excludes every other writer
from its beginning, so rows that it read before it wrote cannot have changed in between. A reading
transaction sees the database as it was at its first statement. A transaction that adds and removes
rows by which no writer decides waits, on a server, for no other writer. See docs/choices/0099.
"""

import errno
import os
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from importlib import import_module
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

from sqlalchemy import (
    URL,
    Connection,
    Dialect,
    Engine,
    ExceptionContext,
    Table,
    create_engine,
    event,
    text,
)
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import LRUCache

from clauseway.files import PRIVATE, close_to_others
from clauseway.files.presence import is_there
from clauseway.storage.control.server_address import read_address, shown
from clauseway.values import InvalidInput

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
_OURS = "clauseway.settings"
_SERVER_SETTINGS = {
    "lock_timeout": f"{_BUSY_TIMEOUT_S}s",
    # A connection that holds a lock, or listens, is silent for as long as it takes.
    "idle_session_timeout": "0",
    # Nor does a reader say anything while it settles a month from what it reads. Writers are given
    # their own time.
    "idle_in_transaction_session_timeout": "0",
    # A role or database may be set to `off`, and the server's crash would take back commits on which
    # journals have let go of what they held.
    "synchronous_commit": "on",
    # A name of ours, by which a connection shows that it has these settings.
    _OURS: "on",
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
# The locks by name are numbers in a space of their own.
_LOCKS = 0x636C_6177
# Those of whoever serves are in another: their names are identities of homes.
_SERVED = 0x636C_6173
# What a server says of a lock that was not free within `lock_timeout`.
_NOT_FREE = "55P03"
# What it says when it ends a transaction of a silent writer, which no commit has reached.
_WAS_SILENT = "25P03"
_OWN_SETTING = text(f"SELECT current_setting('{_OURS}', true)")
_SESSION = text("SELECT pg_backend_pid()")
_IS_COMMITTING = "clauseway_is_committing"
# The connections that hold locks for whoever writes in this context.
_HELD: ContextVar[tuple[Connection, ...]] = ContextVar("held", default=())
# This process's connections to servers. The lock is held by whoever reads or changes the set.
_OPEN: WeakSet[Any] = WeakSet()
_OPEN_LOCK = threading.Lock()
# In the order of their bytes, which is how SQLite, and so every digest of rows, orders them.
_IN_ORDER = ["-", "10", "9", "B", "Z", "_", "a", "b", "é"]


class CommitLost(OperationalError):
    """The connection ended while a transaction was committed: whether it was is not known."""


class LockLost(OperationalError):
    """The connection that held a lock of the server has ended, and with it the lock: nothing was
    written."""


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


def engine_of(place: Place, *, may_begin: bool = True) -> Engine:
    """Return an engine over the database at a place. A SQLite file that is not there now is made at
    first use if it `may_begin`; its folder must exist.

    A server's database must exist; nothing is asked of it yet. Raise InvalidInput if the address is
    not valid.
    """
    if isinstance(place, Path):
        return _sqlite(place, begins=may_begin and not is_there(place))
    return _postgresql(place)


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


def insert_into(connection: Connection, table: Table) -> Any:
    """Return the dialect's own `INSERT`, which can say what is done where a row is there already.

    Only the dialect that a home uses is loaded: PostgreSQL's takes 40 ms.
    """
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    return dialect.insert(table)


def without_password(place: Place) -> str:
    """Return a place as it may be shown."""
    return str(place) if isinstance(place, Path) else shown(place)


def said_by(error: Exception) -> str:
    """Return what an error says, of a database's error its own words alone: the statement helps
    nobody who operates a home."""
    original = error.orig if isinstance(error, DBAPIError) else None
    return str(error) if original is None else said_by_driver(original)


def said_by_driver(error: BaseException) -> str:
    """Return what an error of a database's driver says, in one line."""
    said = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    # PostgreSQL's client library asks a question back in a line of its own, which begins with a tab.
    lines = [line for line in said.splitlines() if not line.startswith("\t")]
    return " ".join(" ".join(lines).split())


def _sqlite(path: Path, *, begins: bool) -> Engine:
    engine = create_engine(
        # Not parsed from a text: in a path, `?` and `%` are characters like others.
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_TIMEOUT_S},
        # An error is printed and logged; what was to be written may be a secret's digest.
        hide_parameters=True,
        execution_options={"compiled_cache": _STATEMENTS},
    )
    event.listen(engine, "do_connect", partial(_name_file, path, begins=begins))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _name_file(
    path: Path,
    _dialect: Dialect,
    _record: object,
    arguments: list[Any],
    settings: dict[str, Any],
    *,
    begins: bool,
) -> None:
    """Name the file to SQLite as a database that is there: whether another is begun in its place is
    not SQLite's to say. Raise as `_make_private` does."""
    _make_private(path, begins=begins)
    arguments[0] = f"file:{quote(os.fsencode(path))}?mode=rw"
    settings["uri"] = True


def _make_private(path: Path, *, begins: bool) -> None:
    """Make a database that was not there yet (`begins`), for this user alone, and close one that is
    open to others. Raise FileNotFoundError if it is gone meanwhile.

    Programs before this one made it by the umask. SQLite gives the files beside it (-wal, -shm) the
    mode of the database, and says itself what it cannot open.
    """
    if begins:
        with suppress(OSError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
            return
    elif not is_there(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    for name in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))):
        # A file that is not there, or another account's, stays as it is.
        with suppress(OSError):
            close_to_others(name)


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
    url = read_address(address)
    engine = create_engine(url, connect_args=_connect_arguments(url.query), hide_parameters=True)
    event.listen(engine, "connect", _note_open)
    event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "commit", _note_commit)
    event.listen(engine, "handle_error", _name_lost_commit)
    event.listen(engine, "handle_error", partial(_name_database, shown(address)))
    event.listen(engine, "checkin", _note_silence)
    event.listen(engine, "checkout", partial(_try_connection, engine.dialect))
    event.listen(engine, "first_connect", _require_order_of_bytes)
    return engine


def _connect_arguments(query: Mapping[str, Sequence[str] | str]) -> dict[str, object]:
    """Return our settings of a connection. The address's own go before them, except its encoding:
    the program speaks UTF-8."""
    arguments = {name: value for name, value in _CLIENT_SETTINGS.items() if name not in query}
    if isinstance(options := query.get("options"), str):
        # Of settings that are named twice the server takes the last.
        arguments["options"] = f"{_CLIENT_SETTINGS['options']} {options}"
    return arguments | {"client_encoding": "utf8"}


def _note_open(connection: Any, _record: object) -> None:
    with _OPEN_LOCK:
        _OPEN.add(connection)


def is_silent(address: str) -> bool:
    """Return whether a server says nothing to who connects, not even that it lets nobody in. Raise
    InvalidInput if the address is not valid."""
    engine = _postgresql(address)
    try:
        with engine.connect():
            return False
    except DBAPIError as error:
        driver: Any = engine.dialect.dbapi
        return isinstance(error.orig, driver.errors.ConnectionTimeout)
    finally:
        engine.dispose()


def cut_connections() -> None:
    """Cut all connections of this process to servers: whoever waits for an answer gets an error.

    A frozen server keeps its connections open, and a wait for its answer has no end of its own.
    """
    with _OPEN_LOCK:
        connections = list(_OPEN)
    for connection in connections:
        # Closed meanwhile, or ended by the server.
        with suppress(OSError, connection.OperationalError):
            _cut(connection.fileno())


def _cut(descriptor: int) -> None:
    """Shut down a socket whose descriptor is another's, and stays open."""
    with socket.socket(fileno=os.dup(descriptor)) as connected:
        connected.shutdown(socket.SHUT_RDWR)


def _note_silence(connection: Any, record: ConnectionPoolEntry) -> None:
    record.info[_SILENT_SINCE] = time.monotonic()
    # After a reader SQLAlchemy would ask for writes by name, whatever the server allows: one that is
    # read-only for now, or a standby, is to say so.
    if connection is not None and connection.read_only is not None:
        connection.read_only = None


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
    if not connection.get_execution_options().get(WRITES, False):
        return
    connection.info[_IS_COMMITTING] = False
    # The lock comes first: a wait for it is no silence.
    connection.exec_driver_sql(
        "SELECT pg_advisory_xact_lock(%s), "
        "set_config('idle_in_transaction_session_timeout', %s, true)",
        (_WRITERS, f"{_SILENT_S}s"),
    )
    for lock in _HELD.get():
        _require_held(lock)


def _require_held(lock: Connection) -> None:
    """Raise LockLost if the connection that holds a lock has ended: the lock may be another's."""
    try:
        lock.exec_driver_sql("SELECT 1")
    except DBAPIError as error:
        raise LockLost(None, None, error.orig or error) from error


def _note_commit(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITES, False):
        connection.info[_IS_COMMITTING] = True


def _name_lost_commit(context: ExceptionContext) -> OperationalError | None:
    """Return the error to raise instead where a connection is lost at the commit of a writer."""
    connection = context.connection
    # A statement fails before the commit, and the rollback after it matters to nobody.
    if connection is None or context.statement is not None or not context.is_disconnect:
        return None
    if not connection.info.pop(_IS_COMMITTING, False):
        return None
    if getattr(context.original_exception, "sqlstate", None) == _WAS_SILENT:
        return None
    return CommitLost(None, None, context.original_exception)


def _name_database(place: str, context: ExceptionContext) -> None:
    """Note on the driver's error which database it is of: a home that moves has two."""
    context.original_exception.database = place  # type: ignore[attr-defined]


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
        raise InvalidInput.of(what=message, why=why, where=name, remedy=remedy)


def _require_own_session(engine: Engine, connection: Connection) -> None:
    """Refuse a pooler that lends one connection of the server to several clients in turn: each of
    them would get every lock. Raise InvalidInput."""
    # Only a pooler that was told to drop our settings leaves this one out.
    if connection.execute(_OWN_SETTING).scalar_one() is not None:
        return
    with engine.connect() as other:
        sessions = {each.execute(_SESSION).scalar_one() for each in (connection, other)}
    if len(sessions) == 1:
        raise InvalidInput.of(
            what="no lock can be held through this pooler",
            why="it lends one connection of the server to several clients, transaction by transaction",
            where="the database's address",
            remedy="Name the server itself, or let the pooler keep a connection for each client "
            "(PgBouncer: pool_mode = session).",
        )


@contextmanager
def holding(address: str, number: int, on_wait: Callable[[], object]) -> Iterator[None]:
    """Hold one of the server's locks for as long as this lasts, on a connection of its own.

    A server lets go of the locks of a connection that ends, however it ends. Whoever writes within
    raises LockLost from then on: another process may hold the lock.
    """
    engine = _postgresql(address).execution_options(isolation_level="AUTOCOMMIT")
    named = {"space": _LOCKS, "number": number - 2**31}
    try:
        with engine.connect() as connection:
            _require_own_session(engine, connection)
            asked = text("SELECT pg_try_advisory_lock(:space, :number)")
            if not connection.execute(asked, named).scalar_one():
                on_wait()
                # The holder may settle for minutes, so this wait has no time limit.
                connection.exec_driver_sql("SET lock_timeout = 0")
                connection.execute(text("SELECT pg_advisory_lock(:space, :number)"), named)
            # A former holder that lost the lock may be at a commit: its next writer notices.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_WRITERS,))
            token = _HELD.set((*_HELD.get(), connection))
            try:
                yield
            finally:
                _HELD.reset(token)
    finally:
        engine.dispose()


class ServerLock:
    """One of the server's locks, on a connection of its own; taken again once that has ended.

    Unlike `holding`, it keeps no writer of this process from writing after it was lost.
    """

    def __init__(self, address: str, name: str) -> None:
        self._engine = _postgresql(address).execution_options(isolation_level="AUTOCOMMIT")
        self._named = {"space": _SERVED, "number": zlib.crc32(name.encode()) - 2**31}
        self._connection: Connection | None = None

    def take(self, patience_s: int = 1) -> bool:
        """Take the lock unless it is held here already; return False if another process holds it
        for so long. Raise DBAPIError where the server is away."""
        if self._connection is not None:
            try:
                self._connection.exec_driver_sql("SELECT 1")
            except DBAPIError:
                self.close()
            else:
                return True
        connection = self._engine.connect()
        try:
            connection.exec_driver_sql(f"SET lock_timeout = '{patience_s}s'")
            connection.execute(text("SELECT pg_advisory_lock(:space, :number)"), self._named)
        except DBAPIError as error:
            connection.invalidate()
            connection.close()
            if getattr(error.orig, "sqlstate", None) == _NOT_FREE:
                return False
            raise
        self._connection = connection
        return True

    def close(self) -> None:
        """Let go of the lock. It may be taken again."""
        if self._connection is not None:
            # The pool would keep the connection, and with it the lock.
            self._connection.invalidate()
            self._connection.close()
        self._connection = None
        self._engine.dispose()
