"""Imports: the files that were read together, and the origin of each record. So nothing is imported
twice.

A record is known by 20 bytes, its request and its attempt. A running import claims its records,
some at a time; its last transaction ends it and makes them count. An import that died before has no
end: the next one gives its claims back. INVARIANT: one import runs at a time
(`app.usage.importing` holds a lock), so an import without an end is dead.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from clauseway.metering import RequestId
from clauseway.storage.control import schema
from clauseway.storage.control.control import Control

_AT_ONCE = 500  # identities in one query: a database takes some thousands of values, not more
_WRITTEN = 50_000  # claims in one transaction: other writers wait until it ends
_RECORDS, _IMPORTS = schema.imported_records.c, schema.imports.c
# In the place of an import's number: for records taken out of quarantine, and for records that were
# imported before imports were numbered.
SINGLE = 0


class ImportedFile(msgspec.Struct, frozen=True):
    """A file of an import: its name, and a hash of its bytes."""

    name: str
    digest: str


class ImportedRow(msgspec.Struct, frozen=True):
    """A record by its identity, a hash of its content, its file (by its place in the import) and
    its line."""

    identity: bytes
    content: bytes
    file: int
    line: int


class Seen(msgspec.Struct, frozen=True):
    """The record at its first import: a hash of its content, its file and line."""

    content: bytes
    file: ImportedFile
    line: int


T = TypeVar("T")
_FILES = msgspec.json.Decoder(list[ImportedFile])
_UNNAMED = ImportedFile("an earlier file", "")


def identity_of(request: RequestId, attempt: int) -> bytes:
    """Return the 20 bytes by which a record is known."""
    return (
        request.boot.to_bytes(8, "big")
        + request.number.to_bytes(8, "big")
        + attempt.to_bytes(4, "big")
    )


def begin(control: Control, files: Sequence[ImportedFile], started_ns: int) -> int:
    """Begin an import; return its number. The claims of an import that died are given back."""
    with control.writing() as connection:
        _adopt_former(connection)
        # Only one import runs at a time, so an import without an end is dead.
        dead = (
            connection.execute(select(_IMPORTS.number).where(_IMPORTS.ended_ns == 0))
            .scalars()
            .all()
        )
        if dead:
            connection.execute(
                delete(schema.imported_records).where(_RECORDS.import_number.in_(dead))
            )
            connection.execute(delete(schema.imports).where(_IMPORTS.number.in_(dead)))
        named = msgspec.json.encode(files).decode()
        done = connection.execute(insert(schema.imports).values(files=named, started_ns=started_ns))
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])


def seen(control: Control, identities: Iterable[bytes]) -> dict[bytes, Seen]:
    """Return which of these records were imported before, by their identity."""
    imported: dict[bytes, Seen] = {}
    with control.reading() as connection:
        files: dict[int, list[ImportedFile]] = {SINGLE: []}
        for some in _chunks(sorted(identities), _AT_ONCE):
            query = select(schema.imported_records).where(_RECORDS.id.in_(some))
            for row in connection.execute(query):
                if row.import_number not in files:
                    files[row.import_number] = _files_of(connection, row.import_number)
                of_import = files[row.import_number]
                file = of_import[row.file] if of_import else _UNNAMED
                imported[row.id] = Seen(row.content, file, row.line)
    return imported


def claim(control: Control, number: int, claims: Iterable[ImportedRow]) -> None:
    """Claim records for a running import. In the order of their identities this is quick at any
    size."""
    for some in _chunks(claims, _WRITTEN):
        with control.writing() as connection:
            _insert(connection, number, some)


def claim_single(connection: Connection, claimed: ImportedRow) -> None:
    """Record that a record is imported, in the transaction that commits it."""
    _insert(connection, SINGLE, [claimed])


def end(connection: Connection, number: int, ended_ns: int) -> None:
    """End an import, in the transaction that commits its records."""
    done = connection.execute(
        update(schema.imports).where(_IMPORTS.number == number).values(ended_ns=ended_ns)
    )
    assert done.rowcount == 1, f"import {number} does not run"


def _insert(connection: Connection, number: int, claims: Sequence[ImportedRow]) -> None:
    connection.execute(
        insert(schema.imported_records),
        [
            {
                "id": claimed.identity,
                "content": claimed.content,
                "import_number": number,
                "file": claimed.file,
                "line": claimed.line,
            }
            for claimed in claims
        ],
    )


def _files_of(connection: Connection, number: int) -> list[ImportedFile]:
    named = connection.execute(select(_IMPORTS.files).where(_IMPORTS.number == number)).scalar_one()
    return _FILES.decode(named)


def _adopt_former(connection: Connection) -> None:
    """Take over the records that a home kept as text, before imports were numbered."""
    for row in connection.execute(select(schema.imported)).all():
        identity = identity_of(RequestId.parse(row.request_id), row.attempt)
        content = bytes.fromhex(row.content)
        claim_single(connection, ImportedRow(identity, content, 0, row.line))
    connection.execute(delete(schema.imported))


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some
