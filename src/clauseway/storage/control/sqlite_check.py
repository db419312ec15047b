"""Check that a file is a whole SQLite database: before it is opened, or by an error that it gave."""

import sqlite3
from contextlib import closing
from pathlib import Path

from clauseway.files.sqlite_errors import primary_code


def damage_in(path: Path) -> str:
    """Return what is damaged in a database, in SQLite's words; empty where nothing is.

    The file is read from its begin to its end.
    """
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            [(first,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if first == "ok" else str(first)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error says that the file is damaged."""
    return primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
