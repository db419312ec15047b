"""Copy a control database into another, of either kind, and prove where it matters that both hold
the same.

InvalidInput     the target is not empty, or differs from the source afterwards
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Table, delete, func, insert, select, text

from clauseway.storage.control import schema
from clauseway.storage.control.chained import stated
from clauseway.storage.control.control import MOVED_MEANWHILE, Control
from clauseway.storage.control.engines import Place, allow_silence
from clauseway.storage.control.row_numbers import continue_numbers
from clauseway.values import InvalidInput

# A table, and how many of its rows are copied.
OnTable = Callable[[str, int], None]
_ROWS = 5_000
# Each write to the books also writes the head of their log; slices of budgets and shares of limits stand outside it.
_REFUSING = (schema.audit_head, schema.leases, schema.limit_shares)
# A new database has rows of its own in these tables: the beginning of its log, which the source's log
# replaces.
_BEGUN = (str(schema.audit_log.name), str(schema.audit_head.name))


class TableContent(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a table: its number of rows, and the SHA-256 of their columns in the order of
    their keys."""

    table: str
    rows: int
    digest: str


def copy_control(source: Control, target: Control) -> None:
    """Copy every row of every table, all or none.

    The log of the books goes along as it is: the target gets no row of its own. Raise InvalidInput
    if the target is not empty.
    """
    with source.reading() as reading, target.unchained() as writing:
        allow_silence(writing)
        _copy_tables(reading, writing, lambda *_: None)


def copy_and_compare(
    source: Control, target: Control, on_table: OnTable, *, may_be_done: bool = False
) -> list[TableContent]:
    """Copy as `copy_control` does, and return the target's content, table by table.

    Every row is read again on both sides. If the copy `may_be_done`, a target that holds the same
    already stays as it is. Raise InvalidInput if the target is not empty, or differs from the source
    afterwards; then nothing of the copy is kept.
    """
    with source.reading() as reading, target.unchained() as writing:
        allow_silence(writing)
        original = contents_of_tables(reading)
        if may_be_done and contents_of_tables(writing) == original:
            return original
        _copy_tables(reading, writing, on_table)
        copied = contents_of_tables(writing)
        _require_same(original, copied)
    return copied


def retire(connection: Connection) -> None:
    """Make a database that was moved refuse every later write to the books, and every later lease.

    A process may still have it open; `Control.writing` then raises InvalidInput.
    """
    is_server = connection.dialect.name == "postgresql"
    for statement in _on_server() if is_server else _in_file():
        connection.execute(text(statement))


def _on_server() -> Iterator[str]:
    """Yield the statements by which a server's tables refuse writes."""
    yield (
        "CREATE FUNCTION refuse_moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE "
        f"'{MOVED_MEANWHILE}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in _REFUSING:
        yield (
            f"CREATE TRIGGER moved BEFORE INSERT OR UPDATE OR DELETE ON {table.name} "
            "EXECUTE FUNCTION refuse_moved()"
        )


def _in_file() -> Iterator[str]:
    """Yield the statements by which a file's tables refuse writes."""
    for table in _REFUSING:
        for event in ("INSERT", "UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER moved_{table.name}_{event.lower()} BEFORE {event} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, '{MOVED_MEANWHILE}'); END"
            )


def is_retired(connection: Connection) -> bool:
    """Return whether the control data was moved from this server's database."""
    moved = "SELECT FROM pg_trigger WHERE tgname = 'moved' AND tgrelid = 'audit_head'::regclass"
    return connection.execute(text(moved)).first() is not None


def snapshot(place: Place, path: Path) -> None:
    """Write the control data of a place, as it is at one moment, into a new SQLite file.

    Writers go on meanwhile. The file stands alone: no log beside it belongs to it.
    """
    if isinstance(place, Path):
        snapshot_of_file(place, path)
        return
    source, target = Control.open(place), Control.open(path)
    try:
        copy_control(source, target)
    finally:
        source.close()
        target.close()
    stand_alone(path)


def snapshot_of_file(source: Path, path: Path) -> None:
    """Copy a SQLite database, as it is at one moment, into a new file that stands alone."""
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(path)) as written:
        read.backup(written)  # all pages in one step, so within one reading transaction
    stand_alone(path)


def stand_alone(path: Path) -> None:
    """Write the log beside a SQLite file into the file, which nobody has open."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=DELETE").close()


def contents_of_tables(connection: Connection) -> list[TableContent]:
    """Return the content of each table, equal for equal tables whichever database they are in."""
    return [_content(connection, table) for table in schema.metadata.sorted_tables]


def _copy_tables(reading: Connection, writing: Connection, on_table: OnTable) -> None:
    _require_empty(writing)
    for table in schema.metadata.sorted_tables:
        on_table(str(table.name), _copy(reading, writing, table))
    continue_numbers(writing)


def _copy(reading: Connection, writing: Connection, table: Table) -> int:
    if table.name in _BEGUN:
        writing.execute(delete(table))
    rows = 0
    selected = reading.execute(select(table).execution_options(yield_per=_ROWS))
    for part in selected.mappings().partitions(_ROWS):
        writing.execute(insert(table), [dict(row) for row in part])
        rows += len(part)
    return rows


def _content(connection: Connection, table: Table) -> TableContent:
    rows, hashed = 0, hashlib.sha256()
    query = select(table).order_by(*table.primary_key.columns)
    for row in connection.execute(query.execution_options(yield_per=_ROWS)):
        hashed.update(msgspec.json.encode(stated(table, row), order="sorted"))
        rows += 1
    return TableContent(table=str(table.name), rows=rows, digest=hashed.hexdigest())


def _rows_of(connection: Connection, table: Table) -> int:
    counted: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return counted


def _require_empty(writing: Connection) -> None:
    counts = {str(table.name): _rows_of(writing, table) for table in schema.metadata.sorted_tables}
    held = {table: rows for table, rows in counts.items() if rows}
    begun = {name: held.pop(name, 0) for name in _BEGUN}
    if held or begun[_BEGUN[0]] > 1:
        most = ", ".join(f"{rows:,} rows of {name}" for name, rows in sorted(held.items())[:3])
        message, why = "the target is not empty", f"it holds {most or 'a log of books'}"
        where, remedy = _refused(writing)
        raise InvalidInput.of(what=message, why=why, where=where, remedy=remedy)


def _refused(target: Connection) -> tuple[str, str]:
    """Return the place of a target that is not empty, and what to do."""
    if target.dialect.name == "postgresql":
        return "the target", "Name a database that is empty; what is in this one stays as it is."
    # A home has one place for its file, so no other can be named.
    place = str(target.engine.url.database)
    return place, "Rename that file, if nothing reads it any more, and repeat the command."


def _require_same(source: list[TableContent], target: list[TableContent]) -> None:
    pairs = zip(source, target, strict=True)
    differing = [
        f"{original.table} ({original.rows:,} and {copy.rows:,} rows)"
        for original, copy in pairs
        if original != copy
    ]
    if differing:
        message, why = "the copy is not the same", f"these tables differ: {', '.join(differing)}"
        remedy = (
            "Nothing was kept of the copy and the home is as it was. "
            "Report this as a fault of clauseway."
        )
        raise InvalidInput.of(what=message, why=why, where="the target", remedy=remedy)
