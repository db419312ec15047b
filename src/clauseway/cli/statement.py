"""`clauseway statement`: a settled month."""

from typing import Annotated

import typer

from clauseway.app.home import home_at
from clauseway.app.settling import statement
from clauseway.app.several import open_agreements
from clauseway.app.statements import statement_context
from clauseway.cli import options
from clauseway.cli.output import console, print_json
from clauseway.cli.settle import Period
from clauseway.cli.statement_text import print_statement
from clauseway.values import InvalidInput, Problem


def command(
    period: Period,
    party: Annotated[str, typer.Option(help="Only what concerns this party.")] = "",
    agreement: options.AgreementFolders = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Print a settled month, for one party or for all. Every line names its clause.

    \b
    All of it:
      clauseway statement --period 2026-05
    What Microsoft sees, for a machine:
      clauseway statement --period 2026-05 --party microsoft --json
    """
    _check_party(party, open_agreements(agreement or []).catalog.parties)
    found = statement(home_at(home), period, party)
    if found is None:
        raise InvalidInput(
            Problem(
                what=f"{period} is not settled",
                why="no settlement of that month was posted here",
                where="--period",
                todo=f"Settle it first: clauseway settle --period {period} --assume …",
            )
        )
    if as_json:
        print_json(found)
    else:
        print_statement(console(), statement_context(found))
    return 0


def _check_party(party: str, parties: frozenset[str]) -> None:
    if party and party not in parties:
        raise InvalidInput(
            Problem(
                what=f"unknown name {party!r}",
                why="the agreement does not name it",
                where="--party",
                todo=f"Known: {', '.join(sorted(parties))}.",
            )
        )
