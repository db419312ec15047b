"""The quarantine: usage that cannot be true, whole as it came, until somebody corrects or drops it.

Entries are kept after that too, with what became of them. `digest` names what is held: the same again is held once.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, insert, select, update

from clauseway.metering import Flaw
from clauseway.storage import schema
from clauseway.storage.control import Control

OPEN, REPLAYED, DROPPED = "open", "replayed", "dropped"


class Flawed(msgspec.Struct, frozen=True, kw_only=True):
    """A row to hold: which file or spool it came from, at which line or number, what is wrong, and the row (JSON)."""

    origin: str
    line: int
    flaws: tuple[Flaw, ...]
    body: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.origin}\n{self.line}\n{self.body}".encode()).hexdigest()


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A row in quarantine. `state` is open, replayed or dropped; `ended_ns` is when it became so."""

    number: int
    origin: str
    line: int
    flaws: tuple[Flaw, ...]
    body: str
    state: str
    quarantined_ns: int
    ended_ns: int


_FLAWS = msgspec.json.Decoder(tuple[Flaw, ...])


def hold(connection: Connection, flawed: Iterable[Flawed], quarantined_ns: int) -> int:
    """Hold rows; how many were not held before."""
    new = 0
    for one in flawed:
        digest = one.digest
        if connection.execute(select(schema.quarantine.c.sequence).where(schema.quarantine.c.digest == digest)).first():
            continue
        values = {
            "digest": digest, "origin": one.origin, "line": one.line, "body": one.body, "state": OPEN,
            "flaws": msgspec.json.encode(one.flaws).decode(), "quarantined_ns": quarantined_ns, "ended_ns": 0,
        }  # fmt: skip
        connection.execute(insert(schema.quarantine).values(**values))
        new += 1
    return new


def end(connection: Connection, numbers: Sequence[int], state: str, ended_ns: int) -> None:
    """Say what became of open rows."""
    columns = schema.quarantine.c
    for number in numbers:
        is_open = (columns.sequence == number) & (columns.state == OPEN)
        connection.execute(update(schema.quarantine).where(is_open).values(state=state, ended_ns=ended_ns))


def held(control: Control, *, with_ended: bool = False, numbers: Sequence[int] = (), limit: int = 0) -> list[Held]:
    """The rows in quarantine in the order they came, by default only those still open; some of them, or at most so
    many."""
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
            Held(
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
