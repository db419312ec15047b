"""The control database: one object over one engine. Every method is one transaction; times are arguments.

    Overlap(Exception)     a batch whose frames are partly sealed already; nothing was written
    ledger.Conflict        an entry's or settlement's id came again with other content; nothing was written

Faults of the database itself stay SQLAlchemy's.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    and_,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateColumn

from clauseway.ledger import Conflict, Entry, Settlement
from clauseway.storage.control import audit, journal, schema
from clauseway.storage.control.engines import Place, engine_of, reader_of, writer_of
from clauseway.values import Interval

R = TypeVar("R", bound=msgspec.Struct)


class Overlap(Exception):
    """A batch shares frames with one that was sealed with another range."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's key: the keyed hash of its secret (hex), and who buys from whom with it.

    0 is not revoked, and never expiring.
    """

    digest: str
    key_id: str
    organisation: str
    project: str
    seller: str
    segment: str
    created_ns: int
    revoked_ns: int = 0
    role: str = "member"
    expires_ns: int = 0


class FormerSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A key's secret that was replaced by another, and the instant from which it is no longer accepted."""

    digest: str
    key_id: str
    until_ns: int


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed batch: frames `first_frame` ≤ n < `end_frame` of a spool's segment.

    `digest` is the hash of its files' digests as they were sealed, usage first: what the batch holds never changes,
    whatever files it is merged into. The days are the first and last event day of its usage, none where it holds only
    intents.
    """

    spool: str
    segment: int
    first_frame: int
    end_frame: int
    digest: str
    usage_rows: int
    intent_rows: int
    first_day: date | None
    last_day: date | None
    sealed_ns: int

    @property
    def name(self) -> str:
        """What a settlement's inputs call it: its place and what it holds."""
        return f"{self.spool}/{self.segment}/{self.first_frame}-{self.end_frame}:{self.digest}"


class FactRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded fact. `sequence` orders what was recorded in one instant; `payload` is JSON."""

    sequence: int
    recorded_ns: int
    kind: str
    effective: date
    payload: str
    source: str


class Control:
    """The control data of one home. Safe to share between threads; processes may open the same database."""

    def __init__(self, engine: Engine) -> None:
        self._reader = reader_of(engine)
        self._writer = writer_of(engine)
        audit.watch(engine)
        with self._writer.begin() as connection:
            schema.metadata.create_all(connection)
            _add_columns(connection)
            audit.open_log(connection)

    @classmethod
    def open(cls, place: Place) -> "Control":
        """Open the database at a place and create its tables where they are missing.

        A SQLite file is created too, its folder must exist. Raises InvalidInput as `engine_of` does.
        """
        return cls(engine_of(place))

    def close(self) -> None:
        self._reader.dispose()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads, for the other parts of this room."""
        return self._reader.begin()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes. The log of the books gets what it wrote, before it commits."""
        with self._writer.begin() as connection, audit.chaining(connection):
            yield connection

    @contextmanager
    def unchained(self) -> Iterator[Connection]:
        """A transaction that begins the log again: it appends to the log by itself."""
        with self._writer.begin() as connection:
            yield connection

    # Keys

    def add_key(self, key: ApiKey) -> None:
        """Add a key. The same key again changes nothing; another with its id or digest raises IntegrityError."""
        with self.writing() as connection:
            found = connection.execute(
                select(schema.keys).where(schema.keys.c.digest == key.digest)
            ).one_or_none()
            if found is None or as_record(ApiKey, found) != key:
                connection.execute(insert(schema.keys).values(**msgspec.structs.asdict(key)))

    def revoke_key(self, key_id: str, revoked_ns: int) -> bool:
        """Revoke a key from an instant on; whether there was one to revoke. The first revocation stands."""
        active = and_(schema.keys.c.key_id == key_id, schema.keys.c.revoked_ns == 0)
        with self.writing() as connection:
            return (
                connection.execute(
                    update(schema.keys).where(active).values(revoked_ns=revoked_ns)
                ).rowcount
                > 0
            )

    def replace_secret(self, key_id: str, digest: str, former_until_ns: int) -> bool:
        """Give a key another secret; the one before it is accepted until an instant. Whether there was such a key."""
        active = and_(schema.keys.c.key_id == key_id, schema.keys.c.revoked_ns == 0)
        with self.writing() as connection:
            former = connection.execute(
                select(schema.keys.c.digest).where(active)
            ).scalar_one_or_none()
            if former is None:
                return False
            kept = FormerSecret(digest=former, key_id=key_id, until_ns=former_until_ns)
            connection.execute(insert(schema.former_secrets).values(**msgspec.structs.asdict(kept)))
            connection.execute(update(schema.keys).where(active).values(digest=digest))
            return True

    def former_secrets(self) -> list[FormerSecret]:
        """The secrets that were replaced, in the order of their ends."""
        query = select(schema.former_secrets).order_by(
            schema.former_secrets.c.until_ns, schema.former_secrets.c.digest
        )
        with self._reader.begin() as connection:
            return [as_record(FormerSecret, row) for row in connection.execute(query)]

    def keys(self, *, with_revoked: bool = False) -> list[ApiKey]:
        """The keys in order of creation, by default without those revoked."""
        query = select(schema.keys).order_by(schema.keys.c.created_ns, schema.keys.c.key_id)
        if not with_revoked:
            query = query.where(schema.keys.c.revoked_ns == 0)
        with self._reader.begin() as connection:
            return [as_record(ApiKey, row) for row in connection.execute(query)]

    # The manifest of the lake

    def commit_batch(
        self, sealed: Sealed, along: Callable[[Connection], None] = lambda _: None
    ) -> bool:
        """Commit a sealed batch; whether it is new. The same range again changes nothing. Raises Overlap.

        What goes `along` with a new one is written in its transaction: all or none.

        INVARIANT: committed ranges of one (spool, segment) never overlap: the check and the insert are one transaction
        that excludes other writers.
        """
        with self.writing() as connection:
            held = _overlapping(
                connection, sealed.spool, sealed.segment, sealed.first_frame, sealed.end_frame
            )
            if [(other.first_frame, other.end_frame) for other in held] == [
                (sealed.first_frame, sealed.end_frame)
            ]:
                return False
            if held:
                raise Overlap(f"{sealed.name} overlaps {held[0].name}, which is sealed")
            named = {"usage_file": "", "intents_file": "", **msgspec.structs.asdict(sealed)}
            connection.execute(insert(schema.manifest).values(**named))
            along(connection)
            return True

    def overlapping(
        self, spool: str, segment: int, first_frame: int, end_frame: int
    ) -> list[Sealed]:
        """The sealed batches that share frames with a range."""
        with self._reader.begin() as connection:
            return _overlapping(connection, spool, segment, first_frame, end_frame)

    def batches(self, days: Interval | None = None) -> list[Sealed]:
        """The sealed batches in order of commit, all or those with usage on some of the days."""
        columns = schema.manifest.c
        query = select(schema.manifest).order_by(columns.sequence)
        if days is not None:
            query = query.where(columns.first_day < days.end, columns.last_day >= days.begin)
        with self._reader.begin() as connection:
            return [as_record(Sealed, row) for row in connection.execute(query)]

    def sealed_to(self, spool: str, segment: int) -> int:
        """The first frame of a segment that no sealed batch reaches beyond: where the next batch may begin."""
        columns = schema.manifest.c
        query = select(columns.end_frame).where(columns.spool == spool, columns.segment == segment)
        with self._reader.begin() as connection:
            return max(connection.execute(query).scalars(), default=0)

    # The register of facts

    def record_fact(
        self, *, kind: str, effective: date, payload: str, source: str, recorded_ns: int
    ) -> int:
        """Append a fact; its sequence. Facts are never changed: what was wrong is said again, later."""
        values = {"kind": kind, "effective": effective, "payload": payload, "source": source}
        with self.writing() as connection:
            done = connection.execute(
                insert(schema.facts).values(recorded_ns=recorded_ns, **values)
            )
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

    def facts(self) -> list[FactRow]:
        """All recorded facts, in the order in which they were recorded."""
        with self._reader.begin() as connection:
            return [
                as_record(FactRow, row)
                for row in connection.execute(
                    select(schema.facts).order_by(schema.facts.c.sequence)
                )
            ]

    # The journal and the settlements it was posted from

    def post(self, entries: Iterable[Entry], recorded_ns: int) -> int:
        """Append entries, all or none; how many were new. Raises ledger.Conflict."""
        with self.writing() as connection:
            return journal.post(connection, entries, recorded_ns)

    def settle(self, settlement: Settlement, entries: Iterable[Entry], recorded_ns: int) -> int:
        """Append a settlement together with its entries, all or none; how many entries were new.

        The latest settlement of its period again changes nothing. Raises ledger.Conflict.
        """
        return self.settle_together([(settlement, entries)], recorded_ns)

    def settle_together(
        self, settled: Iterable[tuple[Settlement, Iterable[Entry]]], recorded_ns: int
    ) -> int:
        """The same for several settlements that belong together: a month and what it restates. All or none."""
        with self.writing() as connection:
            new = 0
            for settlement, entries in settled:
                _keep(connection, settlement, recorded_ns)
                new += journal.post(connection, entries, recorded_ns)
            return new

    def entries(self, *references: str) -> list[Entry]:
        """The journal, in the order in which it was posted; or only what refers to something that begins so."""
        with self._reader.begin() as connection:
            return journal.read(connection, references)

    def settlements(self, period: Interval | None = None) -> list[Settlement]:
        """The settlements in the order in which they were recorded, all or those of one period."""
        columns = schema.settlements.c
        query = select(columns.body).order_by(columns.sequence)
        if period is not None:
            query = query.where(columns.begin_day == period.begin, columns.end_day == period.end)
        with self._reader.begin() as connection:
            return [
                msgspec.json.decode(body, type=Settlement)
                for body in connection.execute(query).scalars()
            ]


def _overlapping(
    connection: Connection, spool: str, segment: int, first_frame: int, end_frame: int
) -> list[Sealed]:
    columns = schema.manifest.c
    query = select(schema.manifest).where(
        columns.spool == spool,
        columns.segment == segment,
        columns.first_frame < end_frame,
        columns.end_frame > first_frame,
    )
    return [as_record(Sealed, row) for row in connection.execute(query)]


def _keep(connection: Connection, settlement: Settlement, recorded_ns: int) -> None:
    """Append a settlement unless it is the latest of its period."""
    columns, period = schema.settlements.c, settlement.period
    body = msgspec.json.encode(settlement).decode()
    of_period = select(schema.settlements).where(
        columns.begin_day == period.begin, columns.end_day == period.end
    )
    rows = connection.execute(of_period.order_by(columns.sequence)).all()
    if any(row.receipt == settlement.receipt and _read(row.body) != settlement for row in rows):
        raise Conflict(f"settlement {settlement.receipt} was recorded before with another result")
    if rows and rows[-1].receipt == settlement.receipt:
        return
    new = insert(schema.settlements).values(
        receipt=settlement.receipt,
        begin_day=period.begin,
        end_day=period.end,
        body=body,
        recorded_ns=recorded_ns,
    )
    connection.execute(new)


def _read(body: str) -> Settlement:
    """A settlement as it was recorded: what later versions say besides says nothing in it."""
    return msgspec.json.decode(body, type=Settlement)


def _add_columns(connection: Connection) -> None:
    """Give the tables of an older database the columns that were added since; each has a default."""
    found = inspect(connection)
    for table in schema.GROWN:
        known = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                definition = CreateColumn(column).compile(connection.engine)
                connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {definition}"))


def as_record(record: type[R], row: Row[Any]) -> R:
    """A row as the record whose fields its columns are named after."""
    values = row._mapping
    return record(**{name: values[name] for name in record.__struct_fields__})
