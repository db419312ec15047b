"""Sums that a settlement keeps so that the next one need not read everything again.

A row has a place (which sum it is) and a name (a hash of everything it was made from). Who asks says both: a row by
another name, or whose text is not what was written, is as if it were not there. Dropping all rows loses nothing but
time.
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
    """A sum as text, by its place and the name of what it was made from."""

    place: str
    name: str
    body: str


def read_sums(control: Control, names: Mapping[str, str]) -> dict[str, str]:
    """Return the text of each place that is kept by the name asked for; `names` has a name for each place."""
    columns, places = schema.kept_sums.c, list(names)
    found: dict[str, str] = {}
    with control.reading() as connection:
        for at in range(0, len(places), _AT_ONCE):
            query = select(schema.kept_sums).where(columns.place.in_(places[at : at + _AT_ONCE]))
            for row in connection.execute(query):
                if row.name == names[row.place] and row.digest == _digest(row.name, row.body):
                    found[row.place] = row.body
    return found


def keep_sums(control: Control, sums: Iterable[KeptSum]) -> None:
    """Keep sums, each in place of what was kept there."""
    rows = [
        {
            "place": one.place,
            "name": one.name,
            "body": one.body,
            "digest": _digest(one.name, one.body),
        }
        for one in sums
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
