"""The log of a home's books: list it, check the books against it, and refuse to go on where they
were edited."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from sqlalchemy import Connection

from clauseway.app.books.basis import text_problems
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.key_file import key_file_problems
from clauseway.app.opening.periods import month
from clauseway.ledger.assumptions import STATED, Assumption
from clauseway.storage import Control
from clauseway.storage.control import audit
from clauseway.storage.control.actor import acting
from clauseway.storage.control.audit import Logged
from clauseway.storage.control.audit_breaks import ChainBreak, breaks, state_break
from clauseway.storage.control.audit_check import CheckedLog, check, check_in_part, check_place
from clauseway.storage.control.people import people
from clauseway.values import InvalidInput, KnownAt, Problem, check_known, checked_reason

# Beyond these, a refusal says how many more there are.
_PROBLEMS_REPORTED_MAX = 20
# The end of a log as people note it: the number of its last row, and that row's SHA-256.
_END = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check of all books.

    `head` names the log's end, for comparison with another day's.

    `breaks` were stated, and the log was begun again after each; `before` is what is wrong before
    the last of them.
    """

    head: str
    rows: int
    problems: tuple[Problem, ...]
    breaks: tuple[ChainBreak, ...] = ()
    before: tuple[Problem, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Return whether the log was never broken."""
        return not self.problems and not self.breaks


def list_log(
    home: Home, kinds: Sequence[str] = (), period: str = "", who: str = "", limit: int = 0
) -> list[Logged]:
    """List the log: of some kinds, about a month, by a person; the last `limit` rows.

    Raise InvalidInput.
    """
    days = month(period) if period else None
    with _control(home) as control, control.reading() as connection:
        check_known("--kind", kinds, audit.KINDS, "the log has no rows of such a kind")
        if who:
            why = "nobody of that name wrote in these books or may write there"
            check_known("--who", [who], _writers(connection), why)
        return audit.select_log(connection, kinds=kinds, who=who, days=days, limit=limit)


def verify_books(home: Home, expected: str = "") -> Verified:
    """Check every row of the books against the log, and the log itself.

    `expected` is the log's end as noted on another day (`NUMBER:DIGEST`): the log must still run
    through it. Without it, a log that somebody computed anew from an edited book cannot be told
    from a true one. Raise InvalidInput.
    """
    end = _end_of(expected) if expected else None
    with _control(home) as control:
        checked = check(control)
        problems = checked.problems + _beside(home, control)
        if end is not None:
            problems += tuple(_unexpected(control, *end))
        stated = tuple(breaks(control))
    return Verified(
        head=str(checked.head),
        rows=checked.rows,
        problems=problems,
        breaks=stated,
        before=checked.before,
    )


def restart_log(home: Home, why: str) -> ChainBreak:
    """State that the log is broken, and begin it again.

    Raise InvalidInput: no reason, or it is whole.

    The books stand from then on as they are; the break is shown by every check and every statement
    after it.
    """
    reason = checked_reason(why, "every statement after the break says what is known of it")
    with _control(home) as control:
        problems = check(control).problems
        if not problems:
            problem, remedy = "the log is not broken", "Nothing is to be done."
            why_not = "every row is what was recorded, since it was begun"
            raise InvalidInput.of(what=problem, why=why_not, where="books", remedy=remedy)
        return state_break(control, problems, acting(), reason, time.time_ns())


def stated_breaks(control: Control, known_at: KnownAt) -> list[Assumption]:
    """Return the breaks that were stated by then, as what a settlement stands on."""
    return [
        Assumption(
            name=f"books-begun-again-{number}",
            value=f"at log row {break_.row}",
            standing=STATED,
            text=(
                f"The log of the books was broken ({break_.found}; {break_.problems} findings). "
                f"It ended with {break_.head} and was begun again by {break_.who} "
                f"on {KnownAt(break_.recorded_ns).day}: {break_.why}."
            ),
            source=break_.who,
            accepted=False,
        )
        for number, break_ in enumerate(breaks(control), 1)
        if break_.recorded_ns <= known_at.instant_ns
    ]


def edits(home: Home) -> tuple[Problem, ...]:
    """Return a problem for each edit in the books of a home, if it has any."""
    if not home.is_begun:
        return ()
    with _control(home) as control:
        return check(control).problems + _beside(home, control)


def edited_keys(home: Home) -> tuple[Problem, ...]:
    """Return a problem for each trusted key that differs from the record, in the books or in the
    file beside them."""
    if not home.is_begun:
        return ()
    with _control(home) as control:
        return check_place(control, "party_keys") + key_file_problems(home, control)


def refuse_edited(control: Control) -> None:
    """Refuse to go on where the books are not what was recorded.

    Raise InvalidInput with what was edited.

    The cost is bounded: see `storage.control.audit_check`.
    """
    checked: CheckedLog = check_in_part(control)
    if checked.problems:
        # A few show what was done; of a book that was written over there would be thousands.
        problems = checked.problems[:_PROBLEMS_REPORTED_MAX]
        if more := len(checked.problems) - len(problems):
            last = msgspec.structs.replace(
                problems[-1],
                why=f"{problems[-1].why}; and {more} more, which `clauseway audit verify` lists",
            )
            problems = (*problems[:-1], last)
        raise InvalidInput(*problems)


def _beside(home: Home, control: Control) -> tuple[Problem, ...]:
    """Return a problem for each text that is not what the books name by its digest, and for each
    difference of the key file."""
    return text_problems(control) + key_file_problems(home, control)


def _end_of(noted: str) -> tuple[int, str]:
    """Return the number and digest of a log's end, as somebody noted it. Raise InvalidInput."""
    end = _END.fullmatch(noted.strip())
    if end is None:
        problem = f"{noted[:100]!r} is not an end of a log"
        why = "it is the number of a row and a digest of 64 hexadecimal digits"
        remedy = "Write it as `clauseway audit verify` printed it: NUMBER:DIGEST."
        raise InvalidInput.of(what=problem, why=why, where="--head", remedy=remedy)
    return int(end[1]), end[2]


def _unexpected(control: Control, number: int, digest: str) -> Iterator[Problem]:
    """Compare the log with its end as noted on another day."""
    with control.reading() as connection:
        there = next(audit.logged(connection, number - 1, number), None)
    if there is None or there.digest != digest:
        why = "the log has no such row" if there is None else f"its digest is {there.digest} here"
        remedy = "Restore the database from a backup made before the log was written anew."
        problem = f"log row {number} is not the one that was told"
        yield Problem(what=problem, why=why, where="books", remedy=remedy)


def _writers(connection: Connection) -> set[str]:
    """Return the people who wrote in the books, and those who may."""
    return {*audit.select_people(connection), *(person.account for person in people(connection))}


@contextmanager
def _control(home: Home) -> Iterator[Control]:
    if not home.is_begun:
        problem, why = "no books", "nothing was ever recorded in this home"
        remedy = "Name the home with --home, or $CLAUSEWAY_HOME."
        raise InvalidInput.of(what=problem, why=why, where=str(home.root), remedy=remedy)
    with open_control(home) as control:
        yield control
