"""Versions of the control database's tables: each is a script of Alembic in `migrations/versions`.

    InvalidInput     the database is of a later version than this program, does not say its version
                     any more or says a false one, lacks tables or constraints, or is empty where it should hold a
                     home's control data or cannot hold every text; or it changed its version while
                     a program had it open

A new database is made whole at the present version. Only one of another version needs Alembic.
"""

import sqlite3
from functools import cache
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    UniqueConstraint,
    create_mock_engine,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import ColumnCollectionConstraint

from clauseway.files.sqlite_errors import primary_code
from clauseway.storage.control import schema
from clauseway.values import InvalidInput, Problem

# The last script's revision. A test holds the two equal.
PRESENT = "0012"
BEFORE_ALL = "base"
_TABLE = "alembic_version"
# A table of every version but the first, which was in use before databases named their version.
_SINCE_THE_SECOND = "homes"
_KINDS: dict[type[Constraint], str] = {
    CheckConstraint: "check",
    ForeignKeyConstraint: "reference",
    UniqueConstraint: "unique constraint",
}
# A restore without constraints lacks all of them.
_NAMED_MAX = 5
# PostgreSQL's codes for a column or table that is there twice, or is not there.
_OF_ANOTHER_SHAPE = ("42701", "42P07", "42703", "42P01")


def is_present(connection: Connection) -> bool:
    """Return whether a database is of the present version. Raise InvalidInput if it is and lacks a
    table."""
    tables = set(inspect(connection).get_table_names())
    if version_of(connection, tables) != PRESENT:
        return False
    if missing := sorted(schema.metadata.tables.keys() - tables):
        raise _not_whole(connection, f"the table {missing[0]} is missing")
    return True


def require_present(connection: Connection) -> None:
    """Raise InvalidInput where a database is not of the present version any more: while a program
    serves, a later one may bring the tables up, or a restore put earlier ones back.

    INVARIANT: asked in each transaction in which a writer decides by rows. Two versions may mean
    different things by rows that both can write.
    """
    try:
        held = version_of(connection, {_TABLE})
    except DBAPIError as error:
        if not _is_of_another_shape(error):
            raise
        raise _without_version("is not there") from None
    if held != PRESENT:
        raise _changed(held) if held else _without_version("has no row")


def missing_constraints(connection: Connection) -> list[str]:
    """Return the constraints and indexes that a database of the present version lacks, in words. A
    restore that left them out reads as a whole one, and would take rows that exclude each other.
    """
    held = inspect(connection)
    keys, unique = held.get_multi_pk_constraint(), held.get_multi_unique_constraints()
    references, checks = held.get_multi_foreign_keys(), held.get_multi_check_constraints()
    indexes = held.get_multi_indexes()
    missing = set[str]()
    for table in schema.metadata.sorted_tables:
        place = (None, table.name)
        if set(keys[place]["constrained_columns"]) != set(table.primary_key.columns.keys()):
            missing.add(f"the primary key of {table.name}")
        here = {
            *((UniqueConstraint, *sorted(each["column_names"])) for each in unique[place]),
            *((ForeignKeyConstraint, *each["constrained_columns"]) for each in references[place]),
            *((CheckConstraint, each["name"]) for each in checks[place]),
        }
        for constraint in table.constraints - {table.primary_key}:
            if _shape_of(constraint) not in here:
                missing.add(f"a {_KINDS[type(constraint)]} of {table.name}")
        names = {each["name"] for each in indexes[place]}
        missing |= {f"the index {each.name}" for each in table.indexes if each.name not in names}
    if connection.dialect.name == "postgresql":
        asked = text("SELECT FROM pg_constraint WHERE conname = 'ranges_exclude_each_other'")
        if connection.execute(asked).first() is None:
            missing.add("the exclusion of ranges of manifest")
    return sorted(missing)


def constraint_fault(connection: Connection) -> Problem | None:
    """Return a problem where a database of the present version lacks constraints."""
    missing = missing_constraints(connection)
    if not missing:
        return None
    named = ", ".join(missing[:_NAMED_MAX])
    more = f" and {len(missing) - _NAMED_MAX} more" if len(missing) > _NAMED_MAX else ""
    return Problem(
        what="the database takes rows that it should refuse",
        why=f"it lacks {named}{more}, which a restore left out",
        where="the database",
        remedy="Restore it from a whole backup; or have its tables made anew, which checks every row, "
        "while nothing serves: clauseway home migrate --to embedded, then --to an empty database.",
    )


def _shape_of(constraint: Constraint) -> tuple[object, ...]:
    """Return what a constraint and the one that a database tells of have in common."""
    if isinstance(constraint, CheckConstraint):
        return CheckConstraint, constraint.name
    assert isinstance(constraint, ColumnCollectionConstraint)
    return type(constraint), *sorted(constraint.columns.keys())


def bring_up(connection: Connection, *, begins: bool = True) -> bool:
    """Bring a database to the present version, in the connection's transaction; return whether it
    was empty.

    A server's empty database is filled only if the caller `begins` it: the one that a home names
    may be about to be restored, or be the wrong one, and without keys every customer is refused.
    Raise InvalidInput if the database is of a later version, has lost its version or says a false
    one, or is empty and not to be begun or of another encoding than UTF-8.
    """
    tables = set(inspect(connection).get_table_names())
    held = version_of(connection, tables)
    if held == PRESENT:
        return False
    if not held and _SINCE_THE_SECOND in tables:
        raise _without_version("has no row" if _TABLE in tables else "is not there")
    if tables:
        try:
            move(connection, PRESENT)
        except DBAPIError as error:
            if not _is_of_another_shape(error):
                raise
            raise _false_version(held, error) from None
        return False
    if connection.dialect.name == "postgresql":
        if not begins:
            _refuse_without_tables(connection)
        _require_utf8(connection)
    for statement in _creation(connection.dialect.name):
        connection.exec_driver_sql(statement)
    _stamp(connection)
    return True


def _require_utf8(connection: Connection) -> None:
    """Refuse a server's database in which some names cannot be written. Asked once, when it is
    empty: a home that has been in such a database goes on."""
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        name = connection.execute(text("SELECT current_database()")).scalar_one()
        problem = f"the encoding of the database is {encoding}"
        why = "names, reasons and sources may contain any character, and only UTF8 holds them all"
        remedy = (
            "Make one that does: CREATE DATABASE clauseway TEMPLATE template0 "
            "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'."
        )
        raise InvalidInput.of(what=problem, why=why, where=name, remedy=remedy)


@cache
def _creation(database: str) -> tuple[str, ...]:
    """Return the statements that create all tables in a database, `sqlite` or `postgresql`.

    Writing them takes longer than executing them, so a process that makes many homes writes them
    once.
    """
    statements = list[str]()

    def note(statement: Any, *_: Any) -> None:
        statements.append(str(statement.compile(dialect=mock.dialect)))

    mock = create_mock_engine(f"{database}://", note)
    # Nothing stands in that database: each table would be looked for.
    schema.metadata.create_all(mock, checkfirst=False)
    return tuple(statements)


def version_of(connection: Connection, tables: set[str]) -> str:
    """Return the version of a database with these tables, empty for one without a version. Raise
    InvalidInput for one with several."""
    if _TABLE not in tables:
        return ""
    held = connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalars().all()
    if len(held) > 1:
        raise _without_version(f"has {len(held)} rows")
    return str(held[0]) if held else ""


def move(connection: Connection, version: str) -> None:
    """Bring a database up or down to a version. Raise InvalidInput if its own is a later one."""
    from alembic import command  # noqa: PLC0415  # only a database of another version loads it
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = _config(connection)
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    held = version_of(connection, set(inspect(connection).get_table_names()))
    if held and held not in revisions:
        raise _later(held)
    # Ordered from the last to the first.
    is_down = held and (version == BEFORE_ALL or revisions.index(version) > revisions.index(held))
    (command.downgrade if is_down else command.upgrade)(config, version)


def _config(connection: Connection) -> Any:
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "clauseway.storage.control:migrations")
    return config


def _stamp(connection: Connection) -> None:
    """Write the present version as Alembic does."""
    connection.execute(
        text(
            f"CREATE TABLE {_TABLE} (version_num VARCHAR(32) NOT NULL, "
            f"CONSTRAINT {_TABLE}_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text(f"INSERT INTO {_TABLE} VALUES (:version)"), {"version": PRESENT})


_WRITE_AGAIN = (
    "Wait until a restore that is under way has ended, or restore a backup: clauseway home restore. "
    "If this version of the program was the last at it, write the version again: "
    f"DROP TABLE IF EXISTS {_TABLE}; "
    f"CREATE TABLE {_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY); "
    f"INSERT INTO {_TABLE} VALUES ('{PRESENT}');"
)


def _without_version(lost: str) -> InvalidInput:
    problem = "the home's database does not say its version"
    why = f"its table {_TABLE} {lost}, so nobody knows what would bring its tables up to date"
    return InvalidInput.of(what=problem, why=why, where="the home", remedy=_WRITE_AGAIN)


def _is_of_another_shape(error: DBAPIError) -> bool:
    """Return whether a statement failed because a table or column is there already, or is not."""
    is_of_sqlite = primary_code(error.orig) == sqlite3.SQLITE_ERROR
    return is_of_sqlite or getattr(error.orig, "sqlstate", "") in _OF_ANOTHER_SHAPE


def _false_version(held: str, error: DBAPIError) -> InvalidInput:
    problem = f"the home's database is not of the version {held} that it names"
    why = f"bringing its tables up to {PRESENT} failed, and nothing was changed: {error.orig}"
    return InvalidInput.of(what=problem, why=why, where="the home", remedy=_WRITE_AGAIN)


def _later(held: str) -> InvalidInput:
    problem = f"the home's database is of version {held}"
    why = f"this program knows versions up to {PRESENT}; a later one wrote it"
    remedy = "Use the program that wrote it, or a later one."
    return InvalidInput.of(what=problem, why=why, where="the home", remedy=remedy)


def _changed(held: str) -> InvalidInput:
    problem = f"the home's database is of version {held} by now"
    why = (
        f"this process opened it at version {PRESENT}; since then another version of the program or "
        "a restore changed its tables, so nothing was written"
    )
    remedy = "Start it again, by the version of the program that was the last at the home."
    return InvalidInput.of(what=problem, why=why, where="the home", remedy=remedy)


def _refuse_without_tables(connection: Connection) -> None:
    """Refuse a server's database without tables. Where the role has no schema, nothing is refused:
    the server itself says so at the first table."""
    named = text("SELECT current_database(), current_schema()")
    database, its_schema = connection.execute(named).one()
    if its_schema is None:
        return
    problem = "the database holds no control data"
    why = f"the schema {its_schema} has no table"
    remedy = (
        "Restore the database from its backup, or name the one that holds the control data "
        "(database.url of the home). For a new home remove database.url, and fill the empty "
        "database by `clauseway home migrate --to` its address."
    )
    raise InvalidInput.of(what=problem, why=why, where=f"database {database}", remedy=remedy)


def _not_whole(connection: Connection, why: str) -> InvalidInput:
    is_server = connection.dialect.name == "postgresql"
    remedy = (
        "Wait until the restore has ended, or repeat it into an empty database while nothing serves "
        "(pg_restore --single-transaction restores everything or nothing)."
        if is_server
        else "Restore the home from its latest backup: clauseway home restore FOLDER --home PLACE --take-over."
    )
    where = "the database" if is_server else "the home"
    return InvalidInput.of(
        what="the control data is not whole", why=why, where=where, remedy=remedy
    )
