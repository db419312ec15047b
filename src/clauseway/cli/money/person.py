"""`clauseway person`: who may write the books, what two write together, who reads the pages."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from clauseway.app.books.people import (
    Permitted,
    Waiting,
    add_person,
    drop_person,
    give_password,
    list_waiting,
    need_two,
    page_readers,
    permitted,
    take_password,
    withdraw_waiting,
)
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.console import console, in_seconds, plain_table
from clauseway.values import KnownAt

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

_Account = Annotated[
    str,
    typer.Argument(
        help="The account that logs in to this machine; 'uid 1000' if it has no name there.",
        metavar="ACCOUNT",
    ),
]


@app.callback()
def _people() -> None:
    """People who may write here, each by the account that logged in (also beyond `sudo`).

    As long as nobody is named, every account that reaches the home may run every command. From the
    first one on a command that writes is refused to everybody else, whatever it would write: its
    role is checked where the row is written. Whoever may write the database by other means than
    these commands is seen by `clauseway audit verify`.
    """


@app.command()
def add(
    account: _Account,
    may: Annotated[
        list[str],
        typer.Option(
            "--may",
            metavar="ROLE",
            help="A role (people, customers, facts, basis, books, usage, parties), or one kind of "
            "write, as credit or budget. Repeatable.",
        ),
    ],
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Name a person and what they may write. It replaces what they were given before.

    \b
    The first is yourself:
      clauseway person add $(whoami) --may people --may books --may basis
    A clerk who makes keys and budgets, and one who may credit and do nothing else:
      clauseway person add anna --may customers
      clauseway person add bob --may credit
    """
    person = add_person(home_at(home), account, may)
    answer(as_json, person, f"{person.account} may write: {' '.join(person.may)}")
    return 0


@app.command()
def remove(
    account: _Account, home: options.HomeRead = None, as_json: options.AsJson = False
) -> int:
    """Let a person write nothing any more.

    \b
      clauseway person remove anna
    """
    drop_person(home_at(home), account)
    answer(as_json, {"removed": account}, f"{account} may write nothing any more.")
    return 0


@app.command("list")
def list_(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List who may write what, and what needs two people.

    \b
      clauseway person list
    """
    listed = permitted(home_at(home))
    answer(as_json, listed, lambda: _print(listed))
    return 0


@app.command()
def password(
    context: typer.Context,
    account: Annotated[
        str,
        typer.Argument(
            help="Whose password: an account of this machine, or any other name.", metavar="ACCOUNT"
        ),
    ],
    sees: Annotated[
        list[str] | None,
        typer.Option(
            "--sees",
            metavar="NAME",
            help="engineer, lawyer, finance or auditor: a screen that they see beside the first "
            "page. Repeatable; default all, or those of before.",
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the password away.")] = False,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Give somebody a password for the pages. The password is read from standard input.

    The pages ask nobody until somebody has a password; from then on they ask everybody. A session
    ends after twelve hours, and at once when its password is changed or taken away.

    \b
    Typed twice, and not shown:
      clauseway person password anna
    From a file, for somebody who sees two screens:
      clauseway person password bob --sees lawyer --sees auditor < password.txt
    No more:
      clauseway person password bob --remove
    """
    if remove:
        check_unread(context, {"sees": "who has no password sees no page"})
        take_password(home_at(home), account)
        answer(as_json, {"removed": account}, f"{account} reads the pages no more.")
        return 0
    if sys.stdin.isatty():
        typed = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    reader = give_password(home_at(home), account, typed, sees or [])
    answer(as_json, reader, f"{account} signs in and sees: {' '.join(reader.sees)}")
    return 0


@app.command()
def readers(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List who signs in to the pages, and which screens they see.

    \b
      clauseway person readers
    """
    listed = page_readers(home_at(home))

    def show() -> None:
        table = plain_table("account", "sees")
        for each in listed:
            table.add_row(each.account, " ".join(each.sees))
        nobody = "Nobody has a password: the pages are open to this machine."
        console().print(table if listed else nobody)

    answer(as_json, listed, show)
    return 0


@app.command()
def two(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            help="credit, dispute, resolution, invoice, payment, reversal, close or basis: all "
            "of them that need two; none ends the rule.",
            metavar="[KIND]…",
        ),
    ] = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Let two people write some kinds together.

    The first runs a command as ever, which writes nothing and waits. The second runs the same
    command: it is written only if it says the same (not its day of recording or its --why), and
    nobody is both. From then on people and this rule need two as well. `basis` is a change of
    prices, rates, figures, readings or agreements.

    \b
    Credits, disputes and how they end, closes and price books:
      clauseway person two credit dispute resolution close basis
    None any more, which needs two people too:
      clauseway person two
    """
    held = need_two(home_at(home), kinds or [])
    text = f"Two people write together: {', '.join(held)}" if held else "Nothing needs two people."
    answer(as_json, {"for_two": held}, text)
    return 0


@app.command()
def waiting(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List what waits for a second person: who asked for it, and what it says.

    \b
      clauseway person waiting
    """
    listed = list_waiting(home_at(home))
    answer(as_json, listed, lambda: _print_waiting(listed))
    return 0


@app.command()
def withdraw(
    number: Annotated[
        int,
        typer.Argument(
            parser=options.whole("NUMBER"),
            metavar="NUMBER",
            help="Its number, from `clauseway person waiting`.",
        ),
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Let a write wait no longer. It can be asked for again.

    \b
      clauseway person withdraw 3
    """
    withdraw_waiting(home_at(home), number)
    answer(as_json, {"withdrawn": number}, f"{number} waits no longer.")
    return 0


def _print(listed: Permitted) -> None:
    table = plain_table("account", "may write")
    for person in listed.people:
        table.add_row(person.account, " ".join(person.may))
    out = console()
    out.print(table if listed.people else "Nobody is named: every account may write everything.")
    if listed.for_two:
        out.print(f"Two people write together: {', '.join(listed.for_two)}")


def _print_waiting(listed: Sequence[Waiting]) -> None:
    table = plain_table("number", "asked for by", "on", "what", "says")
    for each in listed:
        says = "  ".join(f"{name}={text}" for name, text in each.says.items())
        day = in_seconds(str(KnownAt(each.asked_ns)))
        table.add_row(str(each.number), each.asked_by, day, f"{each.kind} {each.subject}", says)
    console().print(table if listed else "Nothing waits.")
