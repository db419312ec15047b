"""Connections that are made to control databases, and queries that they are asked, while something is read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool


@contextmanager
def connections_made() -> Iterator[list[object]]:
    """Every connection that is made meanwhile, to any database."""
    made: list[object] = []

    def note(connection: object, _record: object) -> None:
        made.append(connection)

    with _listener(Pool, "connect", note):
        yield made


@contextmanager
def queries_asked(table: str) -> Iterator[list[str]]:
    """Every query of that table that is asked meanwhile, of any database."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, query: str, *_more: object) -> None:
        if f"FROM {table}" in query:
            asked.append(query)

    with _listener(Engine, "before_cursor_execute", note):
        yield asked


@contextmanager
def _listener(target: type, name: str, note: Callable[..., None]) -> Iterator[None]:
    """Call `note` at each event of that name meanwhile."""
    event.listen(target, name, note)
    try:
        yield
    finally:
        event.remove(target, name, note)
