"""What was imported: which record, what it said, and in which file it was first seen. So nothing is imported twice."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec
from sqlalchemy import Connection, insert, select, tuple_

from clauseway.storage import schema
from clauseway.storage.control import Control

Key = tuple[str, int]  # request id, attempt
_AT_ONCE = 500  # keys in one query: a database takes some thousands of values, not more
_COLUMNS = schema.imported.c


class Seen(msgspec.Struct, frozen=True):
    """What a record said (a hash of it), and the file (a hash) and line that first said it."""

    content: str
    file: str
    line: int


def seen(control: Control, keys: Iterable[Key]) -> dict[Key, Seen]:
    """Those of the records that were imported."""
    found: dict[Key, Seen] = {}
    with control.reading() as connection:
        for some in _chunks(keys):
            query = select(schema.imported).where(tuple_(_COLUMNS.request_id, _COLUMNS.attempt).in_(some))
            for row in connection.execute(query):
                found[row.request_id, row.attempt] = Seen(row.content, row.file, row.line)
    return found


def remember(connection: Connection, records: Sequence[tuple[Key, Seen]]) -> None:
    """Say that these are imported, in the transaction that commits them."""
    rows = [
        {"request_id": key[0], "attempt": key[1], **msgspec.structs.asdict(record)} for key, record in records
    ]  # fmt: skip
    if rows:
        connection.execute(insert(schema.imported), rows)


def _chunks(keys: Iterable[Key]) -> Iterator[list[Key]]:
    left = iter(keys)
    while some := list(islice(left, _AT_ONCE)):
        yield some
