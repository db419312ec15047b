"""`clauseway settle`: who owes whom for a month."""

from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.home import home_at
from clauseway.app.library import readings_of
from clauseway.app.prices import open_prices
from clauseway.app.settling import now, settle_month
from clauseway.app.statements import statement_context
from clauseway.app.what_if import what_if
from clauseway.cli import options
from clauseway.cli.beside_text import print_what_if
from clauseway.cli.output import console, print_json
from clauseway.cli.statement_text import print_statement
from clauseway.ledger import statement_of

Period = Annotated[str, typer.Option("--period", help="The month, as 2026-05.")]
Assume = Annotated[
    list[str] | None,
    typer.Option("--assume", help="A figure accepted by name, or given a value. Repeatable.", metavar="NAME[=VALUE]"),
]


def command(
    period: Period,
    assume: Assume = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    prices: options.PriceBook = None,
    rates: Annotated[
        Path | None, typer.Option("--rates", help="Dated exchange rates, for prices in other currencies than USD.")
    ] = None,
    under: Annotated[
        list[str] | None,
        typer.Option(
            "--under",
            help="Show beside it what would be due as of an earlier amendment, by another reading or with another "
            "figure; nothing is posted. Repeatable.",
            metavar="AMENDMENT|NAME=VALUE",
        ),
    ] = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Settle a month from metered usage, under assumptions accepted by name.

    Seals what the gateways have metered, prices it, takes every revenue share in force in the month on cumulative
    totals, clips it at its cap, posts the journal and prints the statement. Figures that were never published are used
    only where you accept them by name; without that, nothing is settled and the figure is named. Settling a month again
    on more usage posts the difference.

    \b
    What is undisclosed?
      clauseway settle --period 2026-05
    Accept what was reported:
      clauseway settle --period 2026-05 --assume share-openai-microsoft --assume cap
    The shares of two agreements:
      clauseway settle --period 2026-05 --agreement ours --agreement theirs
    With figures of your own:
      clauseway settle --period 2026-05 --assume share-openai-microsoft=18% --assume "cap=USD 30 billion"
    What if only the terms up to A3 governed the same usage, or the percentage were another? Nothing is posted:
      clauseway settle --period 2026-05 --assume share-openai-microsoft --assume cap --under A3
      clauseway settle --period 2026-05 --under share-openai-microsoft=15%
    """
    known_at = now()
    if under:
        found = what_if(
            home_at(home),
            options.opened(agreement, facts, suppose, home),
            open_prices(known_at, prices, rates),
            period,
            assume or [],
            readings_of(reading),
            under,
        )
        if as_json:
            print_json(found)
        else:
            print_what_if(console(), found)
        return 0
    settlement = settle_month(
        home_at(home),
        options.opened(agreement, facts, suppose, home),
        open_prices(known_at, prices, rates),
        period,
        assume or [],
        readings_of(reading),
    )
    if as_json:
        print_json(statement_of(settlement))
    else:
        print_statement(console(), statement_context(statement_of(settlement)))
    return 0
