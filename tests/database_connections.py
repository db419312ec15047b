"""Connections that are made to control databases, and queries that they are asked, while something is read."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool


@contextmanager
def connections_made() -> Iterator[list[object]]:
    """Every connection that is made meanwhile, to any database."""
    made: list[object] = []

    def note(connection: object, _record: object) -> None:
        made.append(connection)

    event.listen(Pool, "connect", note)
    try:
        yield made
    finally:
        event.remove(Pool, "connect", note)


@contextmanager
def queries_asked(table: str) -> Iterator[list[str]]:
    """Every query of that table that is asked meanwhile, of any database."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, query: str, *_more: object) -> None:
        if f"FROM {table}" in query:
            asked.append(query)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)
