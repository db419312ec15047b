"""The quarantine: impossible usage, whole as it came, until somebody corrects or drops it.

Entries are kept after that too, with their final state. `digest` names the held row: an equal row
is held once.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from clauseway.metering import Flaw
from clauseway.storage.control import schema
from clauseway.storage.control.control import Control

OPEN, REPLAYED, DROPPED = "open", "replayed", "dropped"
_AT_ONCE = 500  # rows looked up in one query: a database takes some thousands of values, not more


class Flawed(msgspec.Struct, frozen=True, kw_only=True):
    """A row to hold: its file or spool, its line or number, its flaws, and the row itself
    (JSON)."""

    origin: str
    line: int
    flaws: tuple[Flaw, ...]
    body: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.origin}\n{self.line}\n{self.body}".encode()).hexdigest()


class QuarantinedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row in quarantine. `state` is open, replayed or dropped; `ended_ns` is when it was replayed
    or dropped, 0 while it is open."""

    number: int
    origin: str
    line: int
    flaws: tuple[Flaw, ...]
    body: str
    state: str
    quarantined_ns: int
    ended_ns: int


_FLAWS = msgspec.json.Decoder(tuple[Flaw, ...])


class Holding(msgspec.Struct, frozen=True):
    """The result of holding rows: how many wait now, and how many somebody had replayed or dropped
    before."""

    waiting: int
    ended: int


def hold(connection: Connection, flawed: Iterable[Flawed], quarantined_ns: int) -> Holding:
    """Hold rows. A row that is held already is held once; a row that was replayed or dropped stays
    so."""
    waiting = ended = 0
    left = iter(flawed)
    while some := list(islice(left, _AT_ONCE)):
        columns = schema.quarantine.c
        digests = [row_.digest for row_ in some]
        # Rows held before keep their state, whatever it is.
        query = select(columns.digest, columns.state).where(columns.digest.in_(digests))
        states = {row.digest: row.state for row in connection.execute(query)}
        fresh = {
            digest: row_ for digest, row_ in zip(digests, some, strict=True) if digest not in states
        }
        if fresh:
            rows = [_row_of(row_, digest, quarantined_ns) for digest, row_ in fresh.items()]
            connection.execute(insert(schema.quarantine), rows)
        ended_now = sum(states.get(digest, OPEN) != OPEN for digest in digests)
        waiting, ended = waiting + len(some) - ended_now, ended + ended_now
    return Holding(waiting, ended)


def _row_of(flawed: Flawed, digest: str, quarantined_ns: int) -> dict[str, object]:
    return {
        "digest": digest,
        "origin": flawed.origin,
        "line": flawed.line,
        "body": flawed.body,
        "state": OPEN,
        "flaws": msgspec.json.encode(flawed.flaws).decode(),
        "quarantined_ns": quarantined_ns,
        "ended_ns": 0,
    }


def judge(connection: Connection, judged: Mapping[int, Sequence[Flaw]]) -> None:
    """Replace the reasons of open rows by those of their latest check, by the rows' numbers."""
    columns = schema.quarantine.c
    for number, flaws in judged.items():
        is_open = (columns.sequence == number) & (columns.state == OPEN)
        written = msgspec.json.encode(flaws).decode()
        connection.execute(update(schema.quarantine).where(is_open).values(flaws=written))


def end(connection: Connection, numbers: Sequence[int], state: str, ended_ns: int) -> None:
    """Set the final state of open rows."""
    columns = schema.quarantine.c
    for number in numbers:
        is_open = (columns.sequence == number) & (columns.state == OPEN)
        connection.execute(
            update(schema.quarantine).where(is_open).values(state=state, ended_ns=ended_ns)
        )


def waiting(control: Control) -> int:
    """Return how many rows are open in quarantine."""
    is_open = schema.quarantine.c.state == OPEN
    with control.reading() as connection:
        query = select(func.count()).select_from(schema.quarantine).where(is_open)
        return connection.execute(query).scalar_one()


def held(
    control: Control, *, with_ended: bool = False, numbers: Sequence[int] = (), limit: int = 0
) -> list[QuarantinedRow]:
    """Return the rows in quarantine in the order they came, by default only those still open.

    `numbers` selects some of them, `limit` at most so many.
    """
    columns = schema.quarantine.c
    query = select(schema.quarantine).order_by(columns.sequence)
    if not with_ended:
        query = query.where(columns.state == OPEN)
    if numbers:
        query = query.where(columns.sequence.in_(numbers))
    if limit:
        query = query.limit(limit)
    with control.reading() as connection:
        return [
            QuarantinedRow(
                number=row.sequence,
                origin=row.origin,
                line=row.line,
                flaws=_FLAWS.decode(row.flaws),
                body=row.body,
                state=row.state,
                quarantined_ns=row.quarantined_ns,
                ended_ns=row.ended_ns,
            )
            for row in connection.execute(query)
        ]
