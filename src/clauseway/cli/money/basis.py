"""`clauseway basis`: prices, rates, figures and texts that settlements rest on, with who accepted
them.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clauseway.app.books.basis import (
    ASSUMPTION,
    basis_of,
    change_agreements,
    change_figures,
    change_prices,
    change_rates,
    change_readings,
    held_text,
    history,
    replaced,
    sellers_of,
    shipped_differently,
)
from clauseway.app.opening.home import Home, home_at
from clauseway.app.opening.library import known_point, readings_of
from clauseway.app.opening.prices import slips_in
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.console import console, in_seconds, plain_table
from clauseway.cli.held import by_one_connection
from clauseway.cli.money.price import print_slips
from clauseway.ledger.assumptions import in_thousands
from clauseway.storage.books.basis import Acceptance
from clauseway.values import InvalidInput, KnownAt

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)

Why = Annotated[str, typer.Option("--why", help="Why, in a sentence: corrections repeat it.")]
Withdraw = Annotated[
    list[str] | None,
    typer.Option(
        "--withdraw", help="A name that is to hold no longer. Repeatable.", metavar="NAME"
    ),
]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An acceptance as people and --json see it."""

    kind: str
    name: str
    label: str
    digest: str
    at: str
    who: str
    why: str


@app.callback()
@by_one_connection
def show(
    context: typer.Context,
    known_at: options.KnownAtFlag = None,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Show the basis of this home's settlements: price books, exchange rates, accepted figures,
    readings and agreements, each with who accepted it, when and why.

    The first settlement that uses something records it. From then on every command that prices or
    settles uses it, and only the commands below change it. Settled months that are open use a
    change when they are settled again; closed ones get a correction that says who and why.

    \b
    What holds now, and what held at the end of May:
      clauseway basis
      clauseway basis --known-at 2026-05-31
    Another price book:
      clauseway basis prices book.csv --why "list of 1 June, contract 12"
    Another value of a figure:
      clauseway basis assume cap=30_000_000_000 --why "term sheet of 3 June"
    """
    if context.invoked_subcommand is not None:
        return 0
    basis = basis_of(home_at(home), known_point(known_at) if known_at else None)
    shown = [_shown(acceptance) for acceptance in basis.held.values()]

    def show() -> None:
        _print(shown)
        if shipped_differently(basis):
            text = "This version ships other price books: clauseway basis prices --of-this-version --why …"
            console().print(text, style="dim", soft_wrap=True)

    answer(as_json, shown, show)
    return 0


@app.command()
@by_one_connection
def prices(
    context: typer.Context,
    why: Why,
    file: Annotated[
        Path | None, typer.Argument(help="Your price book; it goes before the shipped ones.")
    ] = None,
    of_this_version: Annotated[
        bool,
        typer.Option("--of-this-version", help="Take the shipped books of this version."),
    ] = False,
    alone: Annotated[
        bool, typer.Option("--without-own", help="Drop your own book; the shipped ones remain.")
    ] = False,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Change the price books.

    \b
    A book of your own, instead of the one before:
      clauseway basis prices book.csv --why "list of 1 June, contract 12"
    The list prices that came with a new version:
      clauseway basis prices --of-this-version --why "prices of the new models"
    """
    if file is None and not of_this_version and not alone:
        remedy = "Name a file, or say --of-this-version or --without-own."
        raise InvalidInput.of(
            what="no price book", why="none was named", where="FILE", remedy=remedy
        )
    if file is not None:
        check_unread(context, {"alone": "the file is your own book"})
    changed = change_prices(
        home_at(home), why, file=file, of_this_version=of_this_version, alone=alone
    )
    code = _say(home_at(home), changed, as_json)
    if file is not None and not as_json:
        # Of the text that the home holds now: a pipe can be read only once.
        basis = basis_of(home_at(home))
        print_slips(console(), slips_in(basis.books[0], sellers_of(basis)))
    return code


@app.command()
@by_one_connection
def rates(
    file: Annotated[Path, typer.Argument(help="Dated exchange rates: day,base,quote,rate.")],
    why: Why,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Change the exchange rates. The file holds all of them: it replaces the one before.

    \b
      clauseway basis rates rates.csv --why "reference rates of May"
    """
    return _say(home_at(home), change_rates(home_at(home), why, file), as_json)


@app.command()
@by_one_connection
def assume(
    why: Why,
    figures: Annotated[
        list[str] | None,
        typer.Argument(help="Figures accepted by name, or given a value.", metavar="NAME[=VALUE]…"),
    ] = None,
    withdraw: Withdraw = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Accept figures by name or with a value, or withdraw them.

    \b
      clauseway basis assume cap=30_000_000_000 --why "term sheet of 3 June"
      clauseway basis assume --withdraw cap --why "not agreed"
    """
    return _say(
        home_at(home), change_figures(home_at(home), why, figures or [], withdraw or []), as_json
    )


@app.command()
@by_one_connection
def read(
    why: Why,
    readings: Annotated[
        list[str] | None, typer.Argument(help="How to read a text.", metavar="NAME=OPTION…")
    ] = None,
    withdraw: Withdraw = None,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Choose how a text is read that can be read two ways, or withdraw the choice.

    \b
      clauseway basis read R1=or --why "opinion of counsel, 4 June"
    """
    chosen = readings_of(readings)
    return _say(home_at(home), change_readings(home_at(home), why, chosen, withdraw or []), as_json)


@app.command()
@by_one_connection
def agreement(
    why: Why,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            help="The agreements' folders, or names of those that ship, all of them.",
            metavar="FOLDER…",
        ),
    ] = None,
    built_in: Annotated[
        bool, typer.Option("--built-in", help="The built-in partnership of this version.")
    ] = False,
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Change the agreements that are settled under, for instance by a new amendment.

    \b
      clauseway basis agreement ours --why "amendment 6, signed 5 June"
    """
    if bool(folders) == built_in:
        remedy = "Name the folders, or say --built-in."
        raise InvalidInput.of(
            what="no agreement", why="none was named", where="FOLDER", remedy=remedy
        )
    return _say(home_at(home), change_agreements(home_at(home), why, folders or []), as_json)


@app.command("history")
def history_(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List everything that was ever accepted or withdrawn, in order.

    \b
      clauseway basis history
    """
    shown = [_shown(acceptance) for acceptance in history(home_at(home))]
    answer(as_json, shown, lambda: _print(shown))
    return 0


@app.command()
def text(
    named: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="The name of a price book or of rates, as `clauseway basis` shows it, or a digest.",
        ),
    ],
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Print a text that was accepted, whole.

    \b
    Your price book that holds:
      clauseway basis text book.csv
    Whatever was accepted before:
      clauseway basis history --json
      clauseway basis text DIGEST
    """
    held = held_text(home_at(home), named)
    digest = hashlib.sha256(held.encode()).hexdigest()
    answer(as_json, {"digest": digest, "text": held}, lambda: sys.stdout.write(held))
    return 0


def say_recorded(recorded: Sequence[Acceptance]) -> None:
    """Report on standard error what a command was the first to use, so that JSON stays JSON."""
    for acceptance in recorded:
        named = (
            f"{acceptance.name} = {acceptance.label}"
            if acceptance.name and acceptance.name != acceptance.label
            else acceptance.label
        )
        print(
            f"Accepted by {acceptance.who}, and held from now on: {acceptance.kind} {named}",
            file=sys.stderr,
        )
    if recorded:
        print("`clauseway basis` shows all that is held.", file=sys.stderr)


def _say(at: Home, changed: Sequence[Acceptance], as_json: bool) -> int:
    shown = [_shown(acceptance) for acceptance in changed]

    def show() -> None:
        if not shown:
            console().print("Nothing changed: that is what the home holds.")
            return
        _print(shown)
        for change, former in replaced(at, changed):
            name = f"{change.kind} {change.name}".rstrip()
            day = KnownAt(former.recorded_ns).to_the_second()
            console().print(
                f"{name} replaces {former.label}, accepted by {former.who} at {day}: {former.why}",
                style="yellow",
                soft_wrap=True,
            )
        console().print(
            "Settle open months again to use it; closed months get a correction.", style="dim"
        )

    answer(as_json, shown, show)
    return 0


def _shown(acceptance: Acceptance) -> Shown:
    return Shown(
        kind=acceptance.kind,
        name=acceptance.name,
        label=acceptance.label if not acceptance.is_withdrawal else "withdrawn",
        digest=acceptance.digest,
        at=str(KnownAt(acceptance.recorded_ns)) if acceptance.sequence else "",
        who=acceptance.who,
        why=acceptance.why,
    )


_OTHER_DIGESTS = (
    "kept as: the digest of the text that this home keeps. Statements name an agreement by the digest "
    "of its documents, and prices by that of all their books."
)


def _print(shown: Sequence[Shown]) -> None:
    if not shown:
        console().print("Nothing was accepted yet. The first settlement records what it uses.")
        return
    table = plain_table("kind", "name", "what", "since", "by", "because")
    for acceptance in shown:
        table.add_row(
            acceptance.kind,
            acceptance.name,
            _label(acceptance),
            in_seconds(acceptance.at),
            acceptance.who,
            acceptance.why,
        )
    console().print(table)
    if any(acceptance.digest for acceptance in shown):
        console().print(_OTHER_DIGESTS, style="dim")


def _label(acceptance: Shown) -> str:
    """Return what was accepted. Two versions of a text have one title, and differ by the digests of
    what is kept of them."""
    if acceptance.kind == ASSUMPTION:
        return in_thousands(acceptance.label)
    if not acceptance.digest:
        return acceptance.label
    return f"{acceptance.label} · kept as {acceptance.digest[:8]}"
