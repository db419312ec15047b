"""The log of the books: a hash chain of every write, with its time, person and reason.

    writing transaction ── statements on chained tables ──▶ keys that were touched
    its end ── rows as they stand then ── judged (`people`) ──▶ one log row for each, chained to the row before

The transaction itself notes the rows (`watch`, `chaining`), so no caller can forget to. Log rows
are appended before the commit: there is no change without its log row, and no log row without its
change.

INVARIANT: appends are serialised by the database: a writer of a chained table locks the row of
`audit_head` first.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Delete,
    Engine,
    Insert,
    Row,
    Text,
    Update,
    bindparam,
    event,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from clauseway.storage.control import schema
from clauseway.storage.control.actor import acting
from clauseway.storage.control.announcements import announce
from clauseway.storage.control.chained import (
    BY_TABLE,
    CHAINED,
    Chained,
    RowContent,
    RowKey,
    contents,
    contents_of,
    day_of_text,
    row_text,
    streamed,
)
from clauseway.storage.control.people import Rights, judge, rights
from clauseway.values import Interval

OPENED, ADOPTED, ADDED, CHANGED, REMOVED = "opened", "adopted", "added", "changed", "removed"
# A broken log goes on from a row with this act: see `begin_again`.
RESTARTED = "restarted"
# The log begins with a row of its own, chained to this.
BEGIN = "0" * 64
# The kind of a row about the log itself.
_OWN_KIND = "log"
KINDS = frozenset({_OWN_KIND, *(kind for place in CHAINED for kind in place.kinds)})
_TOUCHED = "clauseway_touched"
_LOG = schema.audit_log.c
# A day that somebody wrote there by hand may be none, so it is read as text. A text that is no day
# is read as this one, which no row has: then the row's digest does not hold.
_NO_DAY = date.min
_ROW = [type_coerce(column, Text) if column is _LOG.day else column for column in _LOG]
_DAY = _LOG.keys().index("day")
_APPENDED_ROWS = 5_000

# Each statement is made once: to make one takes as long as to execute it.
_HEAD = schema.audit_head.c
_IS_OPEN = select(_HEAD.id)
_LOCK = _IS_OPEN.with_for_update()
_READ_HEAD = select(_HEAD.sequence, _HEAD.digest, _HEAD.checked, _HEAD.looked_through)
_APPEND, _MOVE_HEAD = insert(schema.audit_log), update(schema.audit_head)
_LATEST = select(*_ROW).where(
    _LOG.sequence.in_(
        select(func.max(_LOG.sequence))
        .where(_LOG.place == bindparam("_place"), _LOG.row.in_(bindparam("_rows", expanding=True)))
        .group_by(_LOG.row)
    )
)


class Logged(msgspec.Struct, frozen=True):
    """A row of the log, its columns in order. `content` is the digest of the written row, empty if
    it was removed.

    `day` is the first event day, or the day in the books, that it is about.
    """

    sequence: int
    recorded_ns: int
    who: str
    kind: str
    act: str
    place: str
    row: str
    subject: str
    day: date | None
    why: str
    content: str
    digest: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the log. Rows up to `checked` were checked before; see `audit_check`."""

    sequence: int
    digest: str
    checked: int = 0
    looked_through: int = 0

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest}"


class Touched:
    """The rows of chained tables that a transaction has written so far, and the rights before it.

    Of tables numbered by the database, these are the rows above the last number before the
    transaction.
    """

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.keys: dict[str, dict[RowKey, None]] = {}
        self.is_locked = False
        self.rights = Rights()


def watch(engine: Engine) -> None:
    """Note every write of a chained table in the transactions of an engine."""
    if not event.contains(engine, "before_execute", _before):
        event.listen(engine, "before_execute", _before)
        event.listen(engine, "after_execute", _after)


@contextmanager
def chaining(connection: Connection) -> Iterator[None]:
    """Append all rows written meanwhile to the log, in the connection's transaction."""
    touched = Touched()
    connection.execution_options(**{_TOUCHED: touched})
    yield
    written = list(_written(connection, touched)) if touched.is_locked else []
    # An approval that is used is a row of the log too.
    if written and judge(connection, acting(), touched.rights, written):
        written = list(_written(connection, touched))
    connection.execution_options(**{_TOUCHED: None})
    _append(connection, written, time.time_ns())


def is_open(connection: Connection) -> bool:
    """Return whether the log has begun."""
    return connection.execute(_IS_OPEN).first() is not None


def open_log(connection: Connection, *, is_new: bool) -> None:
    """Begin the log if there is none: it then starts by adopting the existing rows, of which a new
    database has none."""
    if is_open(connection):
        return
    # A log whose end was deleted goes on after its last row, chained to nothing: checks name the
    # break until the log is begun again.
    last = 0 if is_new else last_row(connection)[0]
    head = {"id": 1, "sequence": last, "digest": BEGIN, "checked": 0, "looked_through": 0}
    connection.execute(insert(schema.audit_head), head)
    if last:
        return
    adopted = [
        (ADOPTED, chained.place, content)
        for chained in (() if is_new else CHAINED)
        for content in contents(connection, chained)
    ]
    says = f"{len(adopted)} rows stood before the log began" if adopted else "a new home"
    opening = RowContent(row="", kind=_OWN_KIND, subject=says, day=None, why="", digest="")
    _append(connection, [(OPENED, str(schema.audit_log.name), opening), *adopted], time.time_ns())


def begin_again(connection: Connection, says: str, why: str, recorded_ns: int) -> None:
    """Begin the log again after a break: a row that says so, and every row of the books adopted as
    it stands.

    Older rows stay as they are, broken; a check goes on naming them.
    """
    head, last = head_of(connection), last_row(connection)
    # No number twice, and chained to the last row as it stands, broken or not.
    at = {"sequence": max(head.sequence, last[0]), "digest": last[1]}
    connection.execute(_MOVE_HEAD, at)
    opening = RowContent(row="", kind=_OWN_KIND, subject=says, day=None, why=why, digest="")
    adopted = [
        (ADOPTED, chained.place, content)
        for chained in CHAINED
        for content in contents(connection, chained)
    ]
    _append(connection, [(RESTARTED, str(schema.audit_log.name), opening), *adopted], recorded_ns)


def last_row(connection: Connection, before: int | None = None) -> tuple[int, str]:
    """Return the number and digest of the log's last row, or of the last before a number."""
    query = select(_LOG.sequence, _LOG.digest).order_by(_LOG.sequence.desc()).limit(1)
    if before is not None:
        query = query.where(_LOG.sequence < before)
    last = connection.execute(query).first()
    return (last.sequence, last.digest) if last is not None else (0, BEGIN)


def restarted_at(connection: Connection) -> int:
    """Return the number of the row with which the log was begun again last; 0 if it never was."""
    began = (_LOG.place == str(schema.audit_log.name)) & (_LOG.act == RESTARTED)
    return connection.execute(select(func.max(_LOG.sequence)).where(began)).scalar_one() or 0


def head_of(connection: Connection) -> Head:
    """Return the end of the log."""
    return Head(**connection.execute(_READ_HEAD).one()._mapping)


def logged(connection: Connection, after: int = 0, to: int | None = None) -> Iterator[Logged]:
    """Yield the rows of the log after one number and up to another, in order."""
    query = select(*_ROW).where(_LOG.sequence > after).order_by(_LOG.sequence)
    if to is not None:
        query = query.where(_LOG.sequence <= to)
    yield from map(_logged, streamed(connection, query))


def select_log(
    connection: Connection,
    *,
    kinds: Sequence[str] = (),
    who: str = "",
    days: Interval | None = None,
    limit: int = 0,
) -> list[Logged]:
    """Return the rows of the log of some kinds, by a person, about some days, in order; the last
    `limit` of them."""
    query = select(*_ROW).order_by(_LOG.sequence.desc())
    if kinds:
        query = query.where(_LOG.kind.in_(kinds))
    if who:
        query = query.where(_LOG.who == who)
    if days is not None:
        query = query.where(_LOG.day >= days.begin, _LOG.day < days.end)
    if limit:
        query = query.limit(limit)
    return [_logged(row) for row in connection.execute(query)][::-1]


def select_people(connection: Connection) -> Sequence[str]:
    """Return everybody who has rows in the log."""
    return connection.scalars(select(_LOG.who).distinct()).all()


def latest(connection: Connection, place: str, rows: Sequence[str]) -> dict[str, Logged]:
    """Return the last log row about each of these rows of a table."""
    logged_rows: dict[str, Logged] = {}
    for at in range(0, len(rows), 300):
        some = {"_place": place, "_rows": rows[at : at + 300]}
        logged_rows.update({row.row: _logged(row) for row in connection.execute(_LATEST, some)})
    return logged_rows


def digest_of(before: str, row: Logged) -> str:
    """Return the digest of a log row, chained to the digest of the row before."""
    encoded = msgspec.json.encode(msgspec.structs.replace(row, digest=""), order="sorted")
    return hashlib.sha256(before.encode() + encoded).hexdigest()


def _append(
    connection: Connection, written: Sequence[tuple[str, str, RowContent]], recorded_ns: int
) -> None:
    if not written:
        return
    # The head's row is locked by now: no other writer can append between this and the update.
    head, who = head_of(connection), acting()
    sequence, digest, rows = head.sequence, head.digest, []
    for act, place, content in written:
        sequence += 1
        row = Logged(
            sequence=sequence,
            recorded_ns=recorded_ns,
            who=who,
            kind=content.kind,
            act=act,
            place=place,
            row=content.row,
            subject=content.subject,
            day=content.day,
            why=content.why,
            content=content.digest,
            digest="",
        )
        # Each digest covers the one before, so no row can be changed or left out unnoticed.
        digest = digest_of(digest, row)
        rows.append({**msgspec.structs.asdict(row), "digest": digest})
    for at in range(0, len(rows), _APPENDED_ROWS):
        connection.execute(_APPEND, rows[at : at + _APPENDED_ROWS])
    connection.execute(_MOVE_HEAD, {"sequence": sequence, "digest": digest})
    announce(connection)


def _written(connection: Connection, touched: Touched) -> Iterator[tuple[str, str, RowContent]]:
    """Yield the rows that a transaction has written, as they stand at its end, each with its
    act."""
    for chained in CHAINED:
        place = chained.place
        if place in touched.last:
            new = chained.table.c.sequence > touched.last[place]
            yield from ((ADDED, place, content) for content in contents(connection, chained, new))
        keys = list(touched.keys.get(place, ()))
        if keys:
            yield from _changed(connection, chained, keys)


def _changed(
    connection: Connection, chained: Chained, keys: Sequence[RowKey]
) -> Iterator[tuple[str, str, RowContent]]:
    place = chained.place
    before = latest(connection, place, [row_text(key) for key in keys])
    now = {content.row: content for content in contents_of(connection, chained, keys)}
    for key in keys:
        row = row_text(key)
        was, is_ = before.get(row), now.get(row)
        # Gone, and not logged as gone yet.
        if is_ is None and was is not None and was.act != REMOVED:
            gone = RowContent(
                row=row, kind=was.kind, subject=was.subject, day=was.day, why="", digest=""
            )
            yield REMOVED, place, gone
        # New, or not as the log says: a row that was written back as it was changes nothing.
        elif is_ is not None and (was is None or was.content != is_.digest):
            yield ADDED if was is None or was.act == REMOVED else CHANGED, place, is_


# SQLAlchemy's events note the database's writes, statement by statement.


def _before(
    connection: Connection, statement: Any, multiparams: Any, params: Any, options: Any
) -> None:
    touched: Touched | None = connection.get_execution_options().get(_TOUCHED)
    if touched is None or not isinstance(statement, Insert | Update | Delete):
        return
    chained = BY_TABLE.get(str(getattr(statement.table, "name", "")))
    if chained is None:
        return
    # The first write of a transaction locks the log's head, so appends are serialised.
    if not touched.is_locked:
        touched.is_locked = True
        connection.execute(_LOCK)
        touched.rights = rights(connection)
    if isinstance(statement, Insert):
        if chained.is_numbered and chained.place not in touched.last:
            last = connection.execute(select(func.max(chained.table.c.sequence))).scalar_one()
            touched.last[chained.place] = last or 0
        return
    # Note the keys before an update or a deletion: a deleted row cannot be read afterwards.
    query = select(*(chained.table.c[name] for name in chained.key))
    if statement.whereclause is not None:
        query = query.where(statement.whereclause)
    for row in connection.execute(query):
        _touch(touched, chained, tuple(row))


def _after(
    connection: Connection, statement: Any, multiparams: Any, params: Any, options: Any, result: Any
) -> None:
    touched: Touched | None = connection.get_execution_options().get(_TOUCHED)
    if touched is None or not isinstance(statement, Insert):
        return
    chained = BY_TABLE.get(str(getattr(statement.table, "name", "")))
    if chained is not None and not chained.is_numbered:
        for values in result.context.compiled_parameters:
            _touch(touched, chained, tuple(values[name] for name in chained.key))


def _touch(touched: Touched, chained: Chained, key: RowKey) -> None:
    numbered_here = touched.last.get(chained.place)
    if numbered_here is None or key[0] <= numbered_here:
        touched.keys.setdefault(chained.place, {})[key] = None


def _logged(row: Row[Any]) -> Logged:
    # By position: looking up each name in the row takes half of the time.
    values: list[Any] = list(row)
    if values[_DAY] is not None:
        values[_DAY] = day_of_text(values[_DAY]) or _NO_DAY
    return Logged(*values)
