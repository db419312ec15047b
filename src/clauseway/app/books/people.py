"""The people of a home: who may write its books, what two write together, who reads its pages."""

import time
from collections.abc import Sequence
from shlex import quote

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.storage.control.actor import acting
from clauseway.storage.control.passwords import (
    Password,
    password_of,
    passwords,
    remove_password,
    set_password,
    verifier_of,
)
from clauseway.storage.control.people import (
    FOR_TWO,
    ROLES,
    Approval,
    Person,
    details,
    name_person,
    people,
    remove_person,
    rights,
    set_rules,
    waiting,
    withdraw,
)
from clauseway.values import InvalidInput, check_names, suggestion

# The screens that may be given, by their names; everybody who signs in sees the first page.
SCREENS = ("engineer", "lawyer", "finance", "auditor")
PASSWORD_MIN, PASSWORD_MAX = 12, 200
_KINDS = tuple(kind for kinds in ROLES.values() for kind in kinds)
_PEOPLE = "person"


class Permitted(msgspec.Struct, frozen=True, kw_only=True):
    """The people who may write what; nobody named is everybody.

    `for_two` are the kinds that need two.
    """

    people: tuple[Person, ...]
    for_two: tuple[str, ...]


class PageReader(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who signs in to the pages, and the screens that they see."""

    account: str
    sees: tuple[str, ...]


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A write that waits for a second person; `says` is what it would record."""

    number: int
    kind: str
    subject: str
    says: dict[str, str]
    asked_by: str
    asked_ns: int


def permitted(home: Home) -> Permitted:
    """Return who may write what."""
    with open_control(home) as control, control.reading() as connection:
        held = rights(connection)
    return Permitted(people=held.people, for_two=tuple(sorted(held.rules)))


def page_readers(home: Home) -> list[PageReader]:
    """Return who reads the pages with a password; nobody: they are open to this machine."""
    with open_control(home) as control, control.reading() as connection:
        return [PageReader(account=each.account, sees=each.sees) for each in passwords(connection)]


def add_person(home: Home, account: str, may: Sequence[str]) -> Person:
    """Name a person, or give one that is named something else to do.

    Raise InvalidInput: no such role or kind, or nobody could name people any more.
    """
    check_names({"ACCOUNT": account})
    _check_known(may, (*ROLES, *_KINDS), "--may")
    person = Person(account=account, may=tuple(dict.fromkeys(may)))
    with open_control(home) as control, control.writing() as connection:
        first = not people(connection)
        name_person(connection, person, time.time_ns())
        if first and (account != acting() or _PEOPLE not in person.kinds):
            raise InvalidInput.of(
                what="nobody is named yet",
                why="from the first one on only people who are named may write",
                where="ACCOUNT",
                remedy=f"Name yourself first: clauseway person add {quote(acting())} --may people --may …",
            )
        _check_somebody_names(people(connection))
    return person


def drop_person(home: Home, account: str) -> None:
    """Let a person write nothing any more. Raise InvalidInput."""
    with open_control(home) as control, control.writing() as connection:
        if not remove_person(connection, account):
            listed = ", ".join(person.account for person in people(connection)) or "nobody"
            raise InvalidInput.of(
                what=f"{account} is not named",
                why="no such person may write here",
                where="ACCOUNT",
                remedy=f"Named: {listed}.",
            )
        _check_somebody_names(people(connection))


def need_two(home: Home, kinds: Sequence[str]) -> tuple[str, ...]:
    """Let exactly these kinds of writes need two people. Raise InvalidInput."""
    _check_known(kinds, FOR_TWO, "KIND")
    with open_control(home) as control, control.writing() as connection:
        set_rules(connection, kinds, time.time_ns())
    return tuple(sorted(set(kinds)))


def give_password(home: Home, account: str, password: str, sees: Sequence[str]) -> PageReader:
    """Let somebody read the pages with a password, or give them another. Raise InvalidInput.

    `sees` are names of screens. Without any, somebody new sees all, and others see the same as
    before.
    """
    check_names({"ACCOUNT": account})
    unknown = [name for name in sees if name not in SCREENS]
    if unknown:
        raise InvalidInput.of(
            what=f"{unknown[0]!r} is no screen",
            why="the first page is everybody's, and there are four others",
            where="--sees",
            remedy=f"Write some of: {', '.join(SCREENS)}.",
        )
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise InvalidInput.of(
            what=f"a password of {len(password)} characters",
            why=f"it has {PASSWORD_MIN} to {PASSWORD_MAX}",
            where="standard input",
            remedy="Give a sentence, or let a program make one.",
        )
    with open_control(home) as control, control.writing() as connection:
        held = password_of(connection, account)
        given = tuple(sees) or (held.sees if held else SCREENS)
        now_ns, verifier = time.time_ns(), verifier_of(password)
        set_password(
            connection,
            Password(account=account, sees=given, verifier=verifier, recorded_ns=now_ns),
        )
    return PageReader(account=account, sees=given)


def take_password(home: Home, account: str) -> None:
    """Let somebody read the pages no more; their sessions end. Raise InvalidInput."""
    with open_control(home) as control, control.writing() as connection:
        if not remove_password(connection, account):
            listed = ", ".join(each.account for each in passwords(connection)) or "nobody"
            raise InvalidInput.of(
                what=f"{account} has no password",
                why="nobody of that name reads the pages",
                where="ACCOUNT",
                remedy=f"Who does: {listed}.",
            )


def list_waiting(home: Home) -> list[Waiting]:
    """Return what waits for a second person."""
    with open_control(home) as control, control.reading() as connection:
        return [_shown(approval) for approval in waiting(connection)]


def withdraw_waiting(home: Home, number: int) -> None:
    """Let a write wait no longer. Raise InvalidInput where none of this number waits."""
    with open_control(home) as control, control.writing() as connection:
        if not withdraw(connection, number, acting(), time.time_ns()):
            raise InvalidInput.of(
                what=f"nothing waits under {number}",
                why="it was made or withdrawn, or never asked for",
                where="NUMBER",
                remedy="Look: clauseway person waiting.",
            )


def _shown(approval: Approval) -> Waiting:
    return Waiting(
        number=approval.number,
        kind=approval.kind,
        subject=approval.subject,
        says=details(approval),
        asked_by=approval.asked_by,
        asked_ns=approval.asked_ns,
    )


def _check_known(given: Sequence[str], names: Sequence[str], where: str) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InvalidInput.of(
            what=f"{unknown[0]!r} is nothing that somebody may write",
            why="roles and kinds are a closed list",
            where=where,
            remedy=suggestion(
                unknown[0], names, f"Write some of: {', '.join(dict.fromkeys(names))}."
            ),
        )


def _check_somebody_names(named: Sequence[Person]) -> None:
    if named and not any(_PEOPLE in person.kinds for person in named):
        raise InvalidInput.of(
            what="nobody could name people any more",
            why="somebody who is named has to be able to",
            where="--may people",
            remedy="Give it to somebody else first, or remove everybody else before.",
        )
