"""Sums that a settlement keeps so that the next one need not read everything again.

A row has a place (which sum it is) and a name (a hash of all inputs of the sum). A reader gives
both: a row with another name, or whose text was changed, is treated as missing. Dropping all rows
loses nothing but time.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import delete, insert, select

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control

# Places asked for in one query: below the number of parameters that every database takes.
_AT_ONCE = 500


class KeptSum(msgspec.Struct, frozen=True):
    """A sum as text, by its place and the hash of its inputs."""

    place: str
    name: str
    body: str


def read_sums(control: Control, names: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each place that is kept by the given name; `names` has a name for each
    place."""
    columns, places = schema.kept_sums.c, list(names)
    texts: dict[str, str] = {}
    with control.reading() as connection:
        for at in range(0, len(places), _AT_ONCE):
            query = select(schema.kept_sums).where(columns.place.in_(places[at : at + _AT_ONCE]))
            for row in connection.execute(query):
                if row.name == names[row.place] and row.digest == _digest(row.name, row.body):
                    texts[row.place] = row.body
    return texts


def keep_sums(control: Control, sums: Iterable[KeptSum]) -> None:
    """Keep sums, each replacing the sum at its place."""
    rows = [
        {
            "place": kept.place,
            "name": kept.name,
            "body": kept.body,
            "digest": _digest(kept.name, kept.body),
        }
        for kept in sums
    ]
    if not rows:
        return
    with control.writing() as connection:
        for at in range(0, len(rows), _AT_ONCE):
            places = [row["place"] for row in rows[at : at + _AT_ONCE]]
            connection.execute(delete(schema.kept_sums).where(schema.kept_sums.c.place.in_(places)))
        connection.execute(insert(schema.kept_sums), rows)


def drop_sums(control: Control) -> None:
    """Forget every kept sum."""
    with control.writing() as connection:
        connection.execute(delete(schema.kept_sums))


def _digest(name: str, body: str) -> str:
    return hashlib.sha256(f"{name}\n{body}".encode()).hexdigest()
