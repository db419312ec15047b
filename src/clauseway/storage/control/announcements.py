"""Announcements: a server tells all who listen that the log of the books has grown.

    writing transaction ── announce ──▶ its commit ──▶ `heard_within` of every listener

A database in a file has nobody who could tell. An announcement is lost with the connection that it
was meant for, so whoever listens looks at the log now and then all the same. See
docs/choices/0198.
"""

from typing import Any, Final

from sqlalchemy import Connection, Engine

from clauseway.storage.control.engines import has_word_within

_CHANNEL: Final = "clauseway_log"


def announce(connection: Connection) -> None:
    """Announce that the log has grown, once the transaction commits."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


class LogListener:
    """Listens at a database, on a connection of its own. For one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # The driver's own: SQLAlchemy knows no announcements.
        self._connection: Any = None

    def listen(self) -> bool:
        """Listen from now on; return whether the database announces its writes. Raise
        DBAPIError."""
        if self._engine.dialect.name != "postgresql":
            return False
        if self._connection is None:
            lent = self._engine.connect()
            # The pool must not lend a connection that listens.
            lent.detach()
            self._connection = lent.connection.dbapi_connection
            try:
                self._connection.autocommit = True
                self._connection.execute(f"LISTEN {_CHANNEL}")
            except self._engine.dialect.loaded_dbapi.Error:
                self.close()
        return self._connection is not None

    def heard_within(self, seconds: float) -> bool:
        """Wait for an announcement; return whether there was one, or may have been one because the
        connection was lost."""
        assert self._connection is not None, "it listens"
        try:
            if not has_word_within(seconds, self._connection):
                return False
            for _ in self._connection.notifies(timeout=0):
                pass
        except self._engine.dialect.loaded_dbapi.Error:
            self.close()
        return True

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
