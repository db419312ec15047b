"""`clauseway gateway commitments`: how commitments to clouds burn down."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from clauseway.app.books.basis import basis_of
from clauseway.app.books.settled import now
from clauseway.app.opening.configuration import read_configuration
from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import day_given
from clauseway.app.running.commitments import BurnDown, burn_downs
from clauseway.app.usage.sealing import seal
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console

_STYLES = {
    "met": "green",
    "on course": "green",
    "short": "yellow",
    "lapsed": "red",
    "not begun": "bright_black",
}


def command(
    configuration: Annotated[
        Path | None,
        typer.Option("--config", help="The configuration; by default clauseway.toml in the home."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="The end of this day; by default today (UTC).")
    ] = None,
    agreement: options.AgreementOfConfiguration = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Show how commitments burn down (MACC, EDP, Google commit, Universal Credits), and where they
    lead at this pace.

    Seals what the gateways have metered and counts what was spent toward each [[commitment]] of the
    configuration. The pace is that of the last four weeks. A policy with the strategy `commitment`
    burns down first what lapses soonest.

    \b
    Today:
      clauseway gateway commitments
    As it stood at the end of May:
      clauseway gateway commitments --as-of 2026-05-31 --json
    """
    at, known_at = home_at(home), now()
    catalog = options.catalog_of(agreement, home, configuration)
    written = read_configuration(configuration or at.configuration, catalog, secrets=False)
    seal(at)
    day = day_given(as_of, "--as-of") or known_at.day
    commitments = burn_downs(at, written, basis_of(at).prices(known_at), day)
    answer(
        as_json,
        {"as_of": day, "commitments": commitments},
        (lambda: _print(commitments)) if commitments else "No [[commitment]] is configured.",
    )
    return 0


def _print(commitments: list[BurnDown]) -> None:
    out = console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("commitment", "until"):
        table.add_column(name)
    for name in ("amount", "spent", "left", "days", "a day"):
        table.add_column(name, justify="right")
    table.add_column("outlook")
    for commitment in commitments:
        money = [
            f"{amount:,.2f}" for amount in (commitment.amount, commitment.spent, commitment.left)
        ]
        table.add_row(
            commitment.name,
            str(commitment.end),
            *money,
            str(commitment.days_left),
            f"{commitment.a_day:,.2f}",
            Text(_outlook(commitment), _STYLES[commitment.outlook]),
        )
    out.print(table)
    out.print(
        "USD; `until` is excluded, the pace is that of the last four weeks.",
        style="dim",
    )


def _outlook(commitment: BurnDown) -> str:
    if commitment.outlook == "on course":
        return f"met on {commitment.reaches} at this pace"
    if commitment.outlook == "short":
        return f"{commitment.lapses:,.2f} would lapse at this pace"
    if commitment.outlook == "lapsed":
        return f"{commitment.left:,.2f} lapsed"
    return commitment.outlook
