"""Checking the books against their log: every edit made beside the log is detected.

    the chain     each row's digest follows from the row before; the numbers have no gap
    the rows      each row of a chained table is as the log's last row about it says

A partial check costs the same however long the log is. It checks the rows logged since the last
check, and a part of the older rows that moves on with every check; and it counts the rows of each
table, so that a row that was slipped in or taken out is noticed at once.
"""

from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec
from sqlalchemy import Connection, func, select, update

from clauseway.storage.control import schema
from clauseway.storage.control.audit import (
    ADDED,
    ADOPTED,
    BEGIN,
    OPENED,
    REMOVED,
    Head,
    Logged,
    digest_of,
    head_of,
    last_row,
    latest,
    logged,
    restarted_at,
)
from clauseway.storage.control.chained import BY_TABLE, CHAINED, contents, contents_of, row_key
from clauseway.storage.control.control import Control
from clauseway.values import KnownAt, Problem

# Up to so many log rows, a check before a settlement reads them all, in about half a second.
_ALL_UP_TO = 20_000
# Beyond, it reads so many old rows, one by one, and all new rows.
_LOOKED_AT = 10_000
_LOG = schema.audit_log.c


class CheckedLog(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check: the log's end, how many of its rows were checked, and all problems.

    For a log that was begun again after a break, `problems` are the ones since, and `before` the
    lasting ones of its older part.
    """

    head: Head
    rows: int
    problems: tuple[Problem, ...]
    before: tuple[Problem, ...] = ()


def check(control: Control) -> CheckedLog:
    """Check all of the books."""
    with control.reading() as connection:
        return _all(connection)


def check_counts(control: Control, tables: Collection[str] = BY_TABLE) -> tuple[Problem, ...]:
    """Compare where the log ends, and how many rows some of its tables have, with what the log says.

    No row is read: what was changed in one is not noticed.
    """
    with control.reading() as connection:
        return (*_end(connection, head_of(connection)), *_counted(connection, tables))


def check_place(control: Control, place: str) -> tuple[Problem, ...]:
    """Compare the rows of one table with what the log says of them."""
    [chained] = [chained for chained in CHAINED if chained.place == place]
    with control.reading() as connection:
        since = restarted_at(connection)
        last = {row.row: row for row in logged(connection, max(0, since - 1)) if row.place == place}
        problems: list[Problem] = []
        for content in contents(connection, chained):
            subject = f"{content.kind} {content.subject}"
            problems += _compared(last.pop(content.row, None), content.digest, subject)
        gone = [row for row in last.values() if row.act != REMOVED]
        problems += [problem for row in gone for problem in _compared(row, "", "")]
    return tuple(problems)


def check_in_part(control: Control) -> CheckedLog:
    """Check the rows logged since the last check, and a part of the older rows."""
    with control.reading() as connection:
        head = head_of(connection)
        # Check everything while the log is short, or when too much is unchecked.
        if head.sequence - head.checked > _ALL_UP_TO or head.sequence <= _ALL_UP_TO:
            checked = _all(connection)
            parts = [(0, head.sequence)]
        else:
            checked, parts = _some(connection, head)
    if not checked.problems and head.sequence > _ALL_UP_TO:
        with control.writing() as connection:
            columns = schema.audit_head.c
            moved = {columns.checked: head.sequence, columns.looked_through: parts[0][1]}
            connection.execute(update(schema.audit_head).values(moved))
    return checked


def _some(connection: Connection, head: Head) -> tuple[CheckedLog, list[tuple[int, int]]]:
    """Check the next part of the old rows, and the new rows; return the result and the ranges of
    log rows."""
    since = max(0, restarted_at(connection) - 1)
    begin = head.looked_through if since <= head.looked_through < head.checked else since
    parts = [(begin, min(begin + _LOOKED_AT, head.sequence))]
    parts.append((max(head.checked, parts[0][1]), head.sequence))
    problems = [*_end(connection, head), *_counted(connection)]
    for after, to in parts:
        problems += _part(connection, after, to)
    rows = sum(to - after for after, to in parts)
    return CheckedLog(head=head, rows=rows, problems=tuple(problems)), parts


def _all(connection: Connection) -> CheckedLog:
    head = head_of(connection)
    last: dict[str, dict[str, Logged]] = {chained.place: {} for chained in CHAINED}
    problems = _end(connection, head)

    def noted(row: Logged) -> None:
        if row.place in last:
            last[row.place][row.row] = row

    # A log that was begun again has two parts, checked apart.
    since = restarted_at(connection)
    before: list[Problem] = []
    if since:
        before += _linked(logged(connection, 0, since - 1), 0, BEGIN, lambda _: None)
        end, link = last_row(connection, since)
        before += [_missing(end + 1, since)] if end + 1 < since else []
        problems += _linked(logged(connection, since - 1), since - 1, link, noted)
    else:
        problems += _linked(logged(connection), 0, BEGIN, noted)
    for chained in CHAINED:
        logged_rows = last[chained.place]
        for content in contents(connection, chained):
            row = logged_rows.pop(content.row, None)
            problems += _compared(row, content.digest, f"{content.kind} {content.subject}")
        gone = (row for row in logged_rows.values() if row.act != REMOVED)
        problems += [problem for row in gone for problem in _compared(row, "", "")]
    return CheckedLog(head=head, rows=head.sequence, problems=tuple(problems), before=tuple(before))


def _part(connection: Connection, after: int, to: int) -> Iterator[Problem]:
    """Check the log rows after one number up to another, and the rows of tables that they name."""
    rows: list[Logged] = []
    _, begin = last_row(connection, after + 1)
    yield from _linked(logged(connection, after, to), after, begin, rows.append)
    for chained in CHAINED:
        named = sorted({row.row for row in rows if row.place == chained.place})
        last = latest(connection, chained.place, named)
        keys = [row_key(chained, name) for name in named]
        now = {content.row: content for content in contents_of(connection, chained, keys)}
        for name in named:
            held = now.get(name)
            subject = f"{held.kind} {held.subject}" if held is not None else ""
            yield from _compared(last[name], held.digest if held is not None else "", subject)


def _linked(
    rows: Iterable[Logged], after: int, before: str, noted: Callable[[Logged], None]
) -> list[Problem]:
    """Follow the chain. At a break, go on from the digest that is written there."""
    problems = []
    expected = after + 1
    for row in rows:
        if row.sequence != expected:
            problems.append(_missing(expected, row.sequence))
        elif digest_of(before, row) != row.digest:
            problems.append(_broken(row))
        before, expected = row.digest, row.sequence + 1
        noted(row)
    return problems


def _end(connection: Connection, head: Head) -> list[Problem]:
    """Return a problem unless the log ends where its head says."""
    query = select(_LOG.sequence, _LOG.digest).order_by(_LOG.sequence.desc()).limit(1)
    last = connection.execute(query).first()
    if last is not None and tuple(last) == (head.sequence, head.digest):
        return []
    if last is not None and last.sequence == head.sequence:
        why = f"the digest of its last row, number {head.sequence}, is not the one that was noted"
    else:
        ends = f"with row {last.sequence}" if last is not None else "before its first row"
        why = f"its last row is number {head.sequence}, and the log ends {ends}"
    return [_problem("the end of the log was changed", why)]


def _counted(connection: Connection, tables: Collection[str] = BY_TABLE) -> Iterator[Problem]:
    """Compare how many rows each of the tables has with how many the log counts."""
    acts = select(_LOG.place, _LOG.act, func.count()).group_by(_LOG.place, _LOG.act)
    acts = acts.where(_LOG.sequence >= restarted_at(connection))
    counted = {(place, act): count for place, act, count in connection.execute(acts)}
    for chained in (BY_TABLE[place] for place in tables):
        there = connection.execute(select(func.count()).select_from(chained.table)).scalar_one()
        came = counted.get((chained.place, ADDED), 0) + counted.get((chained.place, ADOPTED), 0)
        logged_ = came - counted.get((chained.place, REMOVED), 0)
        if there != logged_:
            why = f"the log knows {logged_} rows of {chained.place}, and there are {there}"
            yield _problem(f"rows of {chained.place} were added or deleted", why)


def _compared(row: Logged | None, digest: str, subject: str) -> Iterator[Problem]:
    """Compare a row of a table with the last log row about it."""
    if row is None or (row.act == REMOVED and digest):
        yield _problem(f"{subject} was added", "the log does not know it")
    elif digest != row.content:
        done = "was changed" if digest else "was deleted"
        at = KnownAt(row.recorded_ns)
        why = f"it is not what {row.who} recorded at {at} (log row {row.sequence})"
        yield _problem(f"{row.kind} {row.subject} {done}", why)


def _missing(expected: int, next_row: int) -> Problem:
    gone = str(expected) if next_row == expected + 1 else f"{expected} to {next_row - 1}"
    return _problem(f"log row {gone} is missing", f"row {next_row} follows row {expected - 1}")


def _broken(row: Logged) -> Problem:
    opening = " (the opening row)" if row.act == OPENED else ""
    why = "its digest does not follow from it and the row before: one of them was changed"
    return _problem(f"log row {row.sequence}{opening} is broken", why)


def _problem(message: str, why: str) -> Problem:
    remedy = (
        "Restore the database from a backup; `clauseway audit verify` checks all of it again. "
        "Without a backup, state the break: `clauseway audit restart --why …`."
    )
    return Problem(what=message, why=why, where="books", remedy=remedy)
