"""People: the rows that each may write into the books, and the writes that need a second person.

    person      an account of the operating system, and the kinds of rows that it may write
    rule        a kind of row that two people write together
    approval    a write that one person asked for; another one makes it, by the same command

As long as nobody is named, every account that reaches the database may write everything. The check
is part of the writing transaction (`judge`, called by the books' log): no command can forget it.

INVARIANT: a write under a rule is committed with an approval that another person asked for, and
what both asked for is equal but for the instant and the person.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from shlex import quote
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from clauseway.storage.control import schema
from clauseway.storage.control.chained import BY_TABLE, RowContent, unstamped
from clauseway.storage.control.passwords import passwords
from clauseway.values import InvalidInput, Problem

# Rights that a person may be given: a name that stands for the kinds of rows of one kind of work.
ROLES: Mapping[str, tuple[str, ...]] = {
    "people": ("person", "rule", "password"),
    "customers": ("key", "secret", "organisation", "project", "limit", "budget"),
    "facts": ("fact",),
    "basis": ("basis",),
    "books": (
        "settlement",
        "credit",
        "dispute",
        "resolution",
        "invoice",
        "payment",
        "reversal",
        "close",
        "break",
    ),
    "usage": ("import", "loss", "dropped-days"),
    "parties": ("party-key", "withdrawn-key"),
}
# Kinds that software writes while it meters, or that stand beside a row of another kind.
FREE: Mapping[str, str] = {
    "usage": "sealed by whatever meters",
    "file": "written with the usage that it holds",
    "one copy": "noted by whoever looks after the journals",
    "entry": "posted with its settlement or voucher",
    "approval": "says who asked; the write itself is judged",
}
# Kinds that a rule may name: their rows say nothing but what was asked for, the instant and person.
FOR_TWO = ("credit", "dispute", "resolution", "invoice", "payment", "reversal", "close", "basis")
# Under any rule these need two as well: one person could else end the rule, or be both.
_GUARDED = ("person", "rule")
_CHANGED, _REMOVED = "changed", "removed"
_APPROVED, _WITHDRAWN = "approved", "withdrawn"

# Each statement is made once: to make one takes as long as to execute it.
_PEOPLE = select(schema.people).order_by(schema.people.c.account)
_RULES = select(schema.two_person_rules.c.kind).order_by(schema.two_person_rules.c.kind)
_SHOWN_SUBJECTS = 3

# The act, the table and the content of a row that a transaction has written.
Written = tuple[str, str, RowContent]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person: the account, and the roles or kinds that it was given."""

    account: str
    may: tuple[str, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """Return the kinds of rows that the person may write."""
        return frozenset(kind for name in self.may for kind in ROLES.get(name, (name,)))


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """The people that are named, the kinds of rows that two people write together, and who reads
    which pages (as the log names it)."""

    people: tuple[Person, ...] = ()
    rules: frozenset[str] = frozenset()
    readers: frozenset[str] = frozenset()


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A write that waits for a second person. `says` is what the rows say, by column."""

    number: int
    kind: str
    subject: str
    digest: str
    says: tuple[Mapping[str, str], ...]
    asked_by: str
    asked_ns: int


class SecondPersonNeeded(Exception):
    """A write under a rule, which nobody else has asked for yet: it is rolled back."""

    def __init__(self, asked: Approval, *, is_new: bool) -> None:
        super().__init__(f"{asked.kind} {asked.subject}")
        self.asked, self.is_new = asked, is_new


# People and rules


def people(connection: Connection) -> list[Person]:
    """Return the people that were named, in the order of their accounts."""
    rows = connection.execute(_PEOPLE)
    return [Person(account=row.account, may=tuple(row.may.split())) for row in rows]


def name_person(connection: Connection, person: Person, recorded_ns: int) -> None:
    """Name a person, or give one that is named something else to do."""
    columns = schema.people.c
    may = " ".join(person.may)
    changed = connection.execute(
        update(schema.people)
        .where(columns.account == person.account)
        .values(may=may, recorded_ns=recorded_ns)
    )
    if not changed.rowcount:
        connection.execute(
            insert(schema.people).values(account=person.account, may=may, recorded_ns=recorded_ns)
        )


def remove_person(connection: Connection, account: str) -> bool:
    """Let a person write nothing any more; return whether there was one."""
    named = schema.people.c.account == account
    return connection.execute(delete(schema.people).where(named)).rowcount > 0


def rules(connection: Connection) -> list[str]:
    """Return the kinds of rows that two people write together."""
    return list(connection.execute(_RULES).scalars())


def set_rules(connection: Connection, kinds: Iterable[str], recorded_ns: int) -> None:
    """Let exactly these kinds of rows need two people."""
    table, wanted, held = schema.two_person_rules, set(kinds), set(rules(connection))
    for kind in sorted(wanted - held):
        connection.execute(insert(table).values(kind=kind, recorded_ns=recorded_ns))
    for kind in sorted(held - wanted):
        connection.execute(delete(table).where(table.c.kind == kind))


# Approvals


def waiting(connection: Connection) -> list[Approval]:
    """Return what waits for a second person, in the order in which it was asked for."""
    columns = schema.approvals.c
    query = select(schema.approvals).where(columns.decision == "").order_by(columns.sequence)
    return [
        Approval(
            number=row.sequence,
            kind=row.kind,
            subject=row.subject,
            digest=row.digest,
            says=msgspec.json.decode(row.says, type=tuple[dict[str, str], ...]),
            asked_by=row.asked_by,
            asked_ns=row.asked_ns,
        )
        for row in connection.execute(query)
    ]


def ask(connection: Connection, asked: Approval) -> None:
    """Note that a person asked for a write."""
    connection.execute(
        insert(schema.approvals).values(
            kind=asked.kind,
            subject=asked.subject,
            digest=asked.digest,
            says=msgspec.json.encode(asked.says).decode(),
            asked_by=asked.asked_by,
            asked_ns=asked.asked_ns,
            decision="",
            decided_by="",
            decided_ns=0,
        )
    )


def waits(connection: Connection, needed: SecondPersonNeeded) -> Problem:
    """Say that a write waits, and how it differs from a waiting write of the same name."""
    asked = needed.asked
    remedy = "Somebody else runs the same command. What waits: clauseway person waiting."
    others = [
        approval
        for approval in waiting(connection)
        if (approval.kind, approval.subject) == (asked.kind, asked.subject)
        and approval.digest != asked.digest
    ]
    if needed.is_new and others:
        other = others[-1]
        remedy = (
            f"{other.asked_by} asked for it otherwise ({_difference(asked, other)}): run that "
            f"command, or withdraw it: clauseway person withdraw {other.number}."
        )
    return Problem(
        what=f"{asked.kind} {asked.subject} waits for a second person",
        why=f"two people write a {asked.kind} together here, and {asked.asked_by} asked for it",
        where="clauseway person two",
        remedy=remedy,
    )


def details(approval: Approval) -> dict[str, str]:
    """Return what a waiting write says, by name: a column, or a member of the JSON in a column."""
    said: dict[str, str] = {}
    for row in approval.says:
        for column, text in row.items():
            said |= _members(column, text)
    return said


def _members(column: str, text: str) -> dict[str, str]:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {column: text}
    if not isinstance(value, dict):
        return {column: text}
    members: dict[str, str] = {}
    for name, member in value.items():
        plain = member if isinstance(member, str) else msgspec.json.encode(member).decode()
        members |= _members(name, plain)
    return members


def _difference(asked: Approval, other: Approval) -> str:
    """Say in which members two writes differ: `day 2026-06-01, not 2026-06-02`."""
    here, there = details(asked), details(other)
    names = [name for name in {**there, **here} if here.get(name) != there.get(name)]
    return "; ".join(
        f"{name} {there.get(name, 'none')}, not {here.get(name, 'none')}" for name in names
    )


def withdraw(connection: Connection, number: int, who: str, decided_ns: int) -> bool:
    """Withdraw a waiting write; return whether it waited."""
    return _decide(connection, number, _WITHDRAWN, who, decided_ns)


def rights(connection: Connection) -> Rights:
    """Return who may write what at this point of a transaction."""
    named = tuple(people(connection))
    # The readers of the pages matter only where somebody may be refused.
    readers = passwords(connection) if named else []
    return Rights(
        people=named,
        rules=frozenset(rules(connection)),
        readers=frozenset(f"{each.account}/{' '.join(each.sees)}" for each in readers),
    )


def judge(connection: Connection, who: str, before: Rights, written: Sequence[Written]) -> bool:
    """Judge the rows that a transaction has written, by the rights that held before it: nobody gives
    themselves a right by the write that needs it. Return whether a waiting approval was used.

    Raise InvalidInput where the person may not write them, SecondPersonNeeded where somebody else
    has to ask for the same first.
    """
    if before.people:
        _check_allowed(before, who, written)
    for_two = [row for row in written if before.rules and _kind(row) in (*before.rules, *_GUARDED)]
    if not for_two:
        return False
    asked = _asked(connection, who, for_two)
    earlier = [approval for approval in waiting(connection) if approval.digest == asked.digest]
    if not earlier:
        raise SecondPersonNeeded(asked, is_new=True)
    if all(approval.asked_by == who for approval in earlier):
        raise SecondPersonNeeded(earlier[0], is_new=False)
    # Two who asked at the same instant both wait: either may go on, and neither waits any more.
    for approval in earlier:
        _decide(connection, approval.number, _APPROVED, who, asked.asked_ns)
    return True


def _kind(row: Written) -> str:
    """Return a row's kind; empty for the rows that software writes. A loss gives a reason when
    somebody accepts it, not when it is found."""
    _, _, content = row
    is_noted = content.kind in FREE or (content.kind == "loss" and not content.why)
    return "" if is_noted else content.kind


def _check_allowed(before: Rights, who: str, written: Sequence[Written]) -> None:
    """Raise InvalidInput for rows that a person may not write."""
    named = before.people
    may = next((person.kinds for person in named if person.account == who), frozenset())
    others = [row for row in written if not _is_own_password(before, who, row)]
    refused = sorted({_kind(row) for row in others} - may - {""})
    if not refused:
        return
    given = ", ".join(sorted(may)) or "nothing"
    allowed = sorted(
        person.account for person in named if not set(refused) - person.kinds and person.account
    )
    able = f"{', '.join(allowed)} may" if allowed else "nobody named may"
    raise InvalidInput.of(
        what=f"{who} may not write: {', '.join(refused)}",
        why=f"{who} was given {given}",
        where="clauseway person list",
        remedy=f"Ask somebody who may ({able}), or be given it: "
        f"clauseway person add {quote(who)} --may …",
    )


def _is_own_password(before: Rights, who: str, row: Written) -> bool:
    """True if somebody gave themselves another password, and sees the same as before."""
    act, _, content = row
    is_same = content.row == who and content.subject in before.readers
    return content.kind == "password" and act == _CHANGED and is_same


def _asked(connection: Connection, who: str, for_two: Sequence[Written]) -> Approval:
    says = tuple(_said(connection, *row) for row in for_two)
    subjects = [content.subject for _, _, content in for_two]
    more = len(subjects) - _SHOWN_SUBJECTS
    shown = ", ".join(subjects[:_SHOWN_SUBJECTS]) + (f" and {more} more" if more > 0 else "")
    return Approval(
        number=0,
        kind=for_two[0][2].kind,
        subject=shown,
        digest=hashlib.sha256(msgspec.json.encode(says, order="sorted")).hexdigest(),
        says=says,
        asked_by=who,
        asked_ns=time.time_ns(),
    )


def _said(connection: Connection, act: str, place: str, content: RowContent) -> dict[str, str]:
    """Return what a row says, but for when and by whom; of a removed row its name."""
    if act == _REMOVED:
        return {"table": place, "removed": content.row}
    return {"table": place, **unstamped(connection, BY_TABLE[place], content.row)}


def _decide(connection: Connection, number: int, decision: str, who: str, now_ns: int) -> bool:
    columns = schema.approvals.c
    still = (columns.sequence == number) & (columns.decision == "")
    values: dict[str, Any] = {"decision": decision, "decided_by": who, "decided_ns": now_ns}
    return connection.execute(update(schema.approvals).where(still).values(values)).rowcount > 0
