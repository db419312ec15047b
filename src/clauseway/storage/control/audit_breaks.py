"""Breaks of the books' log on record: by whom, when, why, from which row.

Only a backup repairs a broken log. A restarted log shows its break permanently.
"""

import msgspec
from sqlalchemy import insert, select

from clauseway.storage.control import audit, schema
from clauseway.storage.control.control import Control, as_record
from clauseway.values import Problem


class ChainBreak(msgspec.Struct, frozen=True, kw_only=True):
    """A stated break: the log goes on from `row`; it ended with `head`. `found` is the first of the
    `problems`."""

    recorded_ns: int
    row: int
    head: str
    found: str
    problems: int
    who: str
    why: str


def breaks(control: Control) -> list[ChainBreak]:
    """Return every stated break, in order."""
    table = schema.audit_breaks
    with control.reading() as connection:
        rows = connection.execute(select(table).order_by(table.c.sequence))
        return [as_record(ChainBreak, row) for row in rows]


def state_break(
    control: Control, problems: tuple[Problem, ...], who: str, why: str, now_ns: int
) -> ChainBreak:
    """Record a break and begin the log again, in one transaction."""
    with control.unchained() as connection:
        head, last = audit.head_of(connection), audit.last_row(connection)
        ended = f"{last[0]}:{last[1]}"
        stated = ChainBreak(
            recorded_ns=now_ns,
            # Beyond both: a head that was changed may be behind the rows, or ahead of them.
            row=max(head.sequence, last[0]) + 1,
            head=ended,
            found=problems[0].what,
            problems=len(problems),
            who=who,
            why=why,
        )
        connection.execute(insert(schema.audit_breaks).values(**msgspec.structs.asdict(stated)))
        says = (
            f"the log was broken: {stated.found}; {stated.problems} findings; it ended with {ended}"
        )
        audit.begin_again(connection, says, why, now_ns)
    return stated
