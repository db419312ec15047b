"""The journal in SQL: entries appended once, many at a time; read whole, by reference, or account
by account.

Every function works within the caller's transaction. An entry that is there already changes
nothing; if its id was used for different content, ledger.Conflict is raised, and nothing of the
call stays.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, insert, or_, select

from clauseway.ledger import Account, Conflict, Entry, Posting
from clauseway.storage.control import schema
from clauseway.values import Citation

# Ids in one query: fewer than the parameters that any of the databases accepts.
_AT_ONCE = 500
_CITATIONS = msgspec.json.Decoder(tuple[Citation, ...])


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """A posting with its entry, for lists and balances."""

    entry: str
    reference: str
    day: date
    narration: str
    posting: Posting


def post(connection: Connection, entries: Iterable[Entry], recorded_ns: int) -> int:
    """Append entries; return how many were new. Raise ledger.Conflict."""
    wanted: dict[str, Entry] = {}
    for entry in entries:
        if wanted.setdefault(entry.id, entry) != entry:
            raise Conflict(f"entry {entry.id} comes twice with other content")
    for posted in _by_id(connection, list(wanted)):
        if wanted.pop(posted.id) != posted:
            raise Conflict(f"entry {posted.id} was posted before with other content")
    if wanted:
        _append(connection, list(wanted.values()), recorded_ns)
    return len(wanted)


def read(connection: Connection, references: Sequence[str] = ()) -> list[Entry]:
    """Return the entries in the order of posting: all, or those whose reference begins with one of
    these."""
    columns = schema.entries.c
    query = select(schema.entries).order_by(columns.sequence)
    legs = select(schema.postings).order_by(schema.postings.c.entry, schema.postings.c.leg)
    if references:
        # LIKE takes letters of either case for the same.
        begins = or_(
            *(func.substr(columns.reference, 1, len(begin)) == begin for begin in references)
        )
        query = query.where(begins)
        legs = legs.join(schema.entries, schema.postings.c.entry == columns.sequence).where(begins)
    return _built(connection, query, legs)


def legs_of(connection: Connection, *, party: str = "", name: str = "") -> Iterator[Leg]:
    """Yield the postings of a party's accounts in the order of posting."""
    entries, postings = schema.entries.c, schema.postings.c
    query = select(
        schema.postings, entries.id, entries.reference, entries.day, entries.narration
    ).join(schema.entries, postings.entry == entries.sequence)
    for column, wanted in ((postings.party, party), (postings.name, name)):
        query = query.where(column == wanted) if wanted else query
    for row in connection.execute(query.order_by(postings.entry, postings.leg)):
        yield Leg(
            entry=row.id,
            reference=row.reference,
            day=row.day,
            narration=row.narration,
            posting=_posting(row),
        )


def _by_id(connection: Connection, ids: Sequence[str]) -> Iterator[Entry]:
    columns = schema.entries.c
    for at in range(0, len(ids), _AT_ONCE):
        some = ids[at : at + _AT_ONCE]
        query = select(schema.entries).where(columns.id.in_(some)).order_by(columns.sequence)
        legs = (
            select(schema.postings)
            .join(schema.entries, schema.postings.c.entry == columns.sequence)
            .where(columns.id.in_(some))
            .order_by(schema.postings.c.entry, schema.postings.c.leg)
        )
        yield from _built(connection, query, legs)


def _built(connection: Connection, query: Select[Any], legs: Select[Any]) -> list[Entry]:
    postings: dict[int, list[Posting]] = {}
    for row in connection.execute(legs):
        postings.setdefault(row.entry, []).append(_posting(row))
    return [
        Entry(
            id=row.id,
            reference=row.reference,
            day=row.day,
            narration=row.narration,
            postings=tuple(postings.get(row.sequence, ())),
        )
        for row in connection.execute(query)
    ]


def _posting(row: Row[Any]) -> Posting:
    account = Account(row.party, row.kind, row.name, row.about)
    return Posting(account, row.amount, row.currency, _citations(row.citations))


def _append(connection: Connection, entries: Sequence[Entry], recorded_ns: int) -> None:
    """Insert entries and then their postings, each in one statement; read the entries' numbers in
    between."""
    rows = [
        {
            "id": e.id,
            "reference": e.reference,
            "day": e.day,
            "narration": e.narration,
            "recorded_ns": recorded_ns,
        }
        for e in entries
    ]
    columns = schema.entries.c
    # The numbers that the database gives are read back by id; `last` keeps that look short.
    last = connection.execute(select(func.max(columns.sequence))).scalar_one() or 0
    connection.execute(insert(schema.entries), rows)
    numbers = {
        row.id: row.sequence
        for row in connection.execute(
            select(columns.id, columns.sequence).where(columns.sequence > last)
        )
    }
    legs = [
        {
            "entry": numbers[entry.id],
            "leg": leg,
            "party": posting.account.party,
            "kind": posting.account.kind,
            "name": posting.account.name,
            "about": posting.account.about,
            "amount": posting.amount,
            "currency": posting.currency,
            "citations": _written(posting.citations),
        }
        for entry in entries
        for leg, posting in enumerate(entry.postings)
    ]
    if legs:
        connection.execute(insert(schema.postings), legs)


# Thousands of postings cite the same few clauses.
@lru_cache(maxsize=1024)
def _citations(text: str) -> tuple[Citation, ...]:
    return _CITATIONS.decode(text)


@lru_cache(maxsize=1024)
def _written(citations: tuple[Citation, ...]) -> str:
    return msgspec.json.encode(citations).decode()
