"""The control database: one object over one engine. Every method is one transaction; times are
arguments.

    Overlap(Exception)     a batch whose frames are partly sealed already; nothing was written
    ledger.Conflict        an entry's or settlement's id came again with different content;
                           nothing was written

Faults of the database itself stay SQLAlchemy's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import date
from threading import Lock
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, ProgrammingError

from clauseway.ledger import Conflict, Entry, Settlement
from clauseway.storage.control import audit, journal, schema
from clauseway.storage.control.announcements import LogListener
from clauseway.storage.control.engines import Place, adder_of, engine_of, reader_of, writer_of
from clauseway.storage.control.people import SecondPersonNeeded, ask, waits
from clauseway.storage.control.row_numbers import continue_numbers_once
from clauseway.storage.control.versions import (
    bring_up,
    constraint_fault,
    is_present,
    require_present,
)
from clauseway.values import Interval, InvalidInput

R = TypeVar("R", bound=msgspec.Struct)
# The error that a moved database gives to a write.
MOVED_MEANWHILE = "the control data was moved meanwhile"

# Each statement is made once: to make one takes as long as to execute it.
_KEYS = select(schema.keys).order_by(schema.keys.c.created_ns, schema.keys.c.key_id)
_ACTIVE_KEYS = _KEYS.where(schema.keys.c.revoked_ns == 0)
_KEY = _KEYS.where(schema.keys.c.key_id == bindparam("_key_id"))
_FORMER_SECRETS = select(schema.former_secrets).order_by(
    schema.former_secrets.c.until_ns, schema.former_secrets.c.digest
)
_FACTS = select(schema.facts).order_by(schema.facts.c.sequence)
_BATCH = schema.manifest.c
_OF_SEGMENT = (_BATCH.spool == bindparam("_spool"), _BATCH.segment == bindparam("_segment"))
_SEALED_TO = select(_BATCH.end_frame).where(*_OF_SEGMENT)
_OVERLAPPING = select(schema.manifest).where(
    *_OF_SEGMENT, _BATCH.first_frame < bindparam("_end"), _BATCH.end_frame > bindparam("_first")
)
_COMMIT_BATCH = insert(schema.manifest)


class Overlap(Exception):
    """A batch shares frames with one that was sealed with another range."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's key: the keyed hash of its secret (hex), its organisation and project, and the
    seller they buy from.

    `revoked_ns` 0 is not revoked, `expires_ns` 0 is never.
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
    """A key's secret that was replaced by another, and the instant from which it is no longer
    accepted; 0 if it ended as it was replaced."""

    digest: str
    key_id: str
    until_ns: int


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed batch: frames `first_frame` ≤ n < `end_frame` of a spool's segment.

    `digest` is the hash of its files' digests as they were sealed, usage first: the content of the
    batch never changes, whatever files it is merged into. The days are the first and last event day
    of its usage, None if it holds only intents.
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
        """Return the name in a settlement's inputs: its range and its digest."""
        return f"{self.spool}/{self.segment}/{self.first_frame}-{self.end_frame}:{self.digest}"


class FactPayload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a fact that the database keeps beside its columns, as JSON."""

    agreement: str
    says: str
    about: Mapping[str, str | bool]
    corrects: str = ""


class FactRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded fact. `sequence` orders the facts of one instant; `payload` is a `FactPayload` in
    JSON."""

    sequence: int
    recorded_ns: int
    kind: str
    effective: date
    payload: str
    source: str


class Control:
    """The control data of one home. Safe to share between threads; processes may open the same
    database."""

    def __init__(self, engine: Engine, *, begins: bool = False) -> None:
        self._reader = reader_of(engine)
        self._writer = writer_of(engine)
        self._adder = adder_of(engine)
        audit.watch(engine)
        # Read first: opening a database that is of the present version waits for no writer.
        with self._reader.begin() as connection:
            is_ready = is_present(connection) and audit.is_open(connection)
        if not is_ready:
            with self._writer.begin() as connection:
                is_new = bring_up(connection, begins=begins)
                audit.open_log(connection, is_new=is_new)

    @classmethod
    def open(cls, place: Place, *, may_begin: bool = True) -> "Control":
        """Open the database at a place, and bring its tables to this program's version.

        A SQLite file is created too if it `may_begin` (see `engine_of`); an empty database on a
        server is filled by `begin` alone. Raise InvalidInput as `engine_of` and `bring_up` do.
        """
        kept = _KEPT.get()
        if kept is not None and kept.place == place:
            return kept.opened(may_begin=may_begin)
        return cls(engine_of(place, may_begin=may_begin))

    @classmethod
    def begin(cls, place: Place) -> "Control":
        """Open the database at a place as `open` does, and create the tables if a server has none.
        Raise InvalidInput as `open` does."""
        return cls(engine_of(place), begins=True)

    def close(self) -> None:
        self._reader.dispose()

    def listener(self) -> LogListener:
        """Return what listens for writes to the log of the books."""
        return LogListener(self._reader)

    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction that only reads, for the other parts of this room."""
        return self._reader.begin()

    @contextmanager
    def adding(self) -> Iterator[Connection]:
        """Open a transaction that adds and removes rows of tables that the log of the books leaves
        out. On a server it waits for no other writer.

        Raise InvalidInput, and write nothing, where the tables changed their version since the
        control data was opened.
        """
        with self._adder.begin() as connection:
            require_present(connection)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction that writes. The log of the books records its writes before it
        commits.

        Raise InvalidInput, and write nothing, where the person may not write the rows, or a second
        person has to; then the write is noted as waiting. It is raised too where the control data
        was moved, or its tables changed their version, since it was opened.
        """
        try:
            with self.unchained() as connection, audit.chaining(connection):
                yield connection
        except SecondPersonNeeded as needed:
            raise self._asked_for(needed) from None
        except (IntegrityError, ProgrammingError) as error:
            if MOVED_MEANWHILE in str(error.orig):
                raise _moved() from None
            # Without its constraints a table also lacks the numbers of its rows.
            with self._reader.begin() as connection:
                fault = constraint_fault(connection)
            if fault is None:
                raise
            raise InvalidInput(fault) from error

    def _asked_for(self, needed: SecondPersonNeeded) -> InvalidInput:
        """Note a write that waits for a second person; return the error for its author."""
        with self.unchained() as connection, audit.chaining(connection):
            problem = waits(connection, needed)
            if needed.is_new:
                ask(connection, needed.asked)
        return InvalidInput(problem)

    @contextmanager
    def unchained(self) -> Iterator[Connection]:
        """Open a transaction that writes and that the log does not record: whoever opens it chains
        it, or begins the log again."""
        with self._writer.begin() as connection:
            require_present(connection)
            continue_numbers_once(connection)
            yield connection

    # Keys

    def add_key(self, key: ApiKey) -> None:
        """Add a key. The same key again changes nothing; another key with its id or digest raises
        IntegrityError."""
        with self.writing() as connection:
            held = connection.execute(
                select(schema.keys).where(schema.keys.c.digest == key.digest)
            ).one_or_none()
            if held is None or as_record(ApiKey, held) != key:
                connection.execute(insert(schema.keys).values(**msgspec.structs.asdict(key)))

    def revoke_key(self, key_id: str, revoked_ns: int) -> bool:
        """Revoke a key from an instant on; return whether there was a key to revoke. The first
        revocation stands."""
        active = and_(schema.keys.c.key_id == key_id, schema.keys.c.revoked_ns == 0)
        with self.writing() as connection:
            return (
                connection.execute(
                    update(schema.keys).where(active).values(revoked_ns=revoked_ns)
                ).rowcount
                > 0
            )

    def replace_secret(self, key_id: str, digest: str, former_until_ns: int) -> bool:
        """Give a key another secret; the secrets before it are accepted until an instant at most, 0
        for not at all. Return whether there is such a key."""
        active = and_(schema.keys.c.key_id == key_id, schema.keys.c.revoked_ns == 0)
        with self.writing() as connection:
            former = connection.execute(
                select(schema.keys.c.digest).where(active)
            ).scalar_one_or_none()
            if former is None:
                return False
            # A secret that was replaced before may have leaked as well as the present one.
            later = and_(
                schema.former_secrets.c.key_id == key_id,
                schema.former_secrets.c.until_ns > former_until_ns,
            )
            connection.execute(
                update(schema.former_secrets).where(later).values(until_ns=former_until_ns)
            )
            kept = FormerSecret(digest=former, key_id=key_id, until_ns=former_until_ns)
            connection.execute(insert(schema.former_secrets).values(**msgspec.structs.asdict(kept)))
            connection.execute(update(schema.keys).where(active).values(digest=digest))
            return True

    def former_secrets(self) -> list[FormerSecret]:
        """Return the secrets that were replaced, in the order of their ends."""
        with self._reader.begin() as connection:
            return [as_record(FormerSecret, row) for row in connection.execute(_FORMER_SECRETS)]

    def keys(self, *, with_revoked: bool = False) -> list[ApiKey]:
        """Return the keys in order of creation, by default without the revoked ones."""
        query = _KEYS if with_revoked else _ACTIVE_KEYS
        with self._reader.begin() as connection:
            return [as_record(ApiKey, row) for row in connection.execute(query)]

    def key(self, key_id: str) -> ApiKey | None:
        """Return a key, revoked or not; None where there is none with that id."""
        with self._reader.begin() as connection:
            row = connection.execute(_KEY, {"_key_id": key_id}).one_or_none()
        return None if row is None else as_record(ApiKey, row)

    # The manifest of the lake

    def commit_batch(
        self, sealed: Sealed, along: Callable[[Connection], None] = lambda _: None
    ) -> bool:
        """Commit a sealed batch; return whether it is new. The same range again changes nothing.
        Raise Overlap.

        The writes of `along` join the transaction of a new batch: all or none.

        INVARIANT: committed ranges of one (spool, segment) never overlap: the check and the insert
        are one transaction that excludes other writers.
        """
        with self.writing() as connection:
            held = _overlapping(
                connection, sealed.spool, sealed.segment, sealed.first_frame, sealed.end_frame
            )
            if [(batch.first_frame, batch.end_frame) for batch in held] == [
                (sealed.first_frame, sealed.end_frame)
            ]:
                return False
            if held:
                raise Overlap(f"{sealed.name} overlaps {held[0].name}, which is sealed")
            named = {"usage_file": "", "intents_file": "", **msgspec.structs.asdict(sealed)}
            connection.execute(_COMMIT_BATCH, named)
            along(connection)
            return True

    def overlapping(
        self, spool: str, segment: int, first_frame: int, end_frame: int
    ) -> list[Sealed]:
        """Return the sealed batches that share frames with a range."""
        with self._reader.begin() as connection:
            return _overlapping(connection, spool, segment, first_frame, end_frame)

    def batches(self, days: Interval | None = None) -> list[Sealed]:
        """Return the sealed batches in order of commit, all or those with usage on some of the
        days."""
        columns = schema.manifest.c
        query = select(schema.manifest).order_by(columns.sequence)
        if days is not None:
            query = query.where(columns.first_day < days.end, columns.last_day >= days.begin)
        with self._reader.begin() as connection:
            return [as_record(Sealed, row) for row in connection.execute(query)]

    def first_and_last_day(self) -> tuple[date, date] | None:
        """Return the first and the last day of all sealed usage; None if there is none."""
        columns = schema.manifest.c
        query = select(func.min(columns.first_day), func.max(columns.last_day))
        with self._reader.begin() as connection:
            first, last = connection.execute(query).one()
        return None if first is None else (first, last)

    def sealed_to(self, spool: str, segment: int) -> int:
        """Return the first frame of a segment beyond all sealed batches: the next batch may begin
        there."""
        named = {"_spool": spool, "_segment": segment}
        with self._reader.begin() as connection:
            return max(connection.execute(_SEALED_TO, named).scalars(), default=0)

    def segments_sealed(self, spool: str) -> int:
        """Return the number beyond all segments of a spool of which anything was sealed."""
        columns = schema.manifest.c
        query = select(func.max(columns.segment)).where(columns.spool == spool)
        with self._reader.begin() as connection:
            last = connection.execute(query).scalar_one()
        return 0 if last is None else int(last) + 1

    def is_sealed_beyond(self, spool: str, segment: int, frame: int) -> bool:
        """Return whether anything was sealed of a spool from a frame on."""
        columns = schema.manifest.c
        is_later = (columns.segment > segment) | (
            (columns.segment == segment) & (columns.end_frame > frame)
        )
        query = select(columns.segment).where(columns.spool == spool, is_later).limit(1)
        with self._reader.begin() as connection:
            return connection.execute(query).first() is not None

    # The register of facts

    def record_fact(
        self, *, kind: str, effective: date, payload: str, source: str, recorded_ns: int
    ) -> int:
        """Append a fact; return its sequence. Facts are never changed: a wrong fact is corrected by
        a later one."""
        values = {"kind": kind, "effective": effective, "payload": payload, "source": source}
        with self.writing() as connection:
            done = connection.execute(
                insert(schema.facts).values(recorded_ns=recorded_ns, **values)
            )
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

    def facts(self) -> list[FactRow]:
        """Return all recorded facts, in the order in which they were recorded."""
        with self._reader.begin() as connection:
            return [as_record(FactRow, row) for row in connection.execute(_FACTS)]

    # The journal and the settlements it was posted from

    def post(self, entries: Iterable[Entry], recorded_ns: int) -> int:
        """Append entries, all or none; return how many were new. Raise ledger.Conflict."""
        with self.writing() as connection:
            return journal.post(connection, entries, recorded_ns)

    def settle(self, settlement: Settlement, entries: Iterable[Entry], recorded_ns: int) -> int:
        """Append a settlement together with its entries, all or none; return how many entries were
        new.

        The latest settlement of its period again changes nothing. Raise ledger.Conflict.
        """
        return self.settle_together([(settlement, entries)], recorded_ns)

    def settle_together(
        self, settled: Iterable[tuple[Settlement, Iterable[Entry]]], recorded_ns: int
    ) -> int:
        """Append several settlements that belong together, a month and its restatements: all or
        none."""
        with self.writing() as connection:
            new = 0
            for settlement, entries in settled:
                _keep(connection, settlement, recorded_ns)
                new += journal.post(connection, entries, recorded_ns)
            return new

    def entries(self, *references: str) -> list[Entry]:
        """Return the journal, in the order of posting; or only the entries whose reference begins
        so."""
        with self._reader.begin() as connection:
            return journal.read(connection, references)

    def settlements(self, period: Interval | None = None) -> list[Settlement]:
        """Return the settlements in the order of recording, all or those of one period."""
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
    frames = {"_spool": spool, "_segment": segment, "_first": first_frame, "_end": end_frame}
    return [as_record(Sealed, row) for row in connection.execute(_OVERLAPPING, frames)]


def _keep(connection: Connection, settlement: Settlement, recorded_ns: int) -> None:
    """Append a settlement unless it is the latest of its period."""
    columns, period = schema.settlements.c, settlement.period
    body = msgspec.json.encode(settlement).decode()
    of_period = select(schema.settlements).where(
        columns.begin_day == period.begin, columns.end_day == period.end
    )
    rows = connection.execute(of_period.order_by(columns.sequence)).all()
    # One receipt stands for one result, because it names all inputs.
    if any(row.receipt == settlement.receipt and _read(row.body) != settlement for row in rows):
        raise Conflict(f"settlement {settlement.receipt} was recorded before with another result")
    # Settling again on the same inputs adds nothing; coming back to an older result does.
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


def _moved() -> InvalidInput:
    return InvalidInput.of(
        what="nothing was recorded",
        why=MOVED_MEANWHILE,
        where="the home",
        remedy="Repeat the command: it records where the control data lies now. If it is refused again, another "
        "home took the control data: ask who ran `clauseway home migrate --to embedded`.",
    )


def _read(body: str) -> Settlement:
    """Read a settlement as it was recorded: fields of later versions have their defaults."""
    return msgspec.json.decode(body, type=Settlement)


def as_record(record: type[R], row: Row[Any]) -> R:
    """Return a row as the record whose fields have the names of its columns."""
    values = row._mapping
    return record(**{name: values[name] for name in record.__struct_fields__})


class _KeptControl(Control):
    """Control data that stay open when a caller closes them."""

    def close(self) -> None:
        """Leave the database open for the next caller; `kept_open` closes it."""

    def end(self) -> None:
        super().close()


class _KeptOpen:
    """The control data at one place, opened at the first call."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._control: _KeptControl | None = None
        self._lock = Lock()

    def opened(self, *, may_begin: bool) -> Control:
        with self._lock:
            if self._control is None:
                self._control = _KeptControl(engine_of(self.place, may_begin=may_begin))
            return self._control

    def end(self) -> None:
        if self._control is not None:
            self._control.end()


_KEPT: ContextVar[_KeptOpen | None] = ContextVar("kept", default=None)


@contextmanager
def kept_open(place: Place) -> Iterator[None]:
    """Open the database at a place once for everything that is read within, and close it after.

    SQLite reads the whole schema for each new connection, a server begins a process for it: that
    takes longer than the question. Other places, as those of copies, open and close as ever. Within
    another of the same place, the outer one goes on.
    """
    outer = _KEPT.get()
    if outer is not None and outer.place == place:
        yield
        return
    kept = _KeptOpen(place)
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)
        kept.end()
