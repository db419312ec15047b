"""`clauseway usage allocate`: costs by team, from clouds' bills and the gateway's usage."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding

from clauseway.app.opening.home import home_at
from clauseway.app.reports.allocating import (
    BILLS_READ,
    COST_COLUMNS,
    EFFECTIVE,
    AllocatedCosts,
    AllocationAsked,
    allocate_bills,
    teams_of,
)
from clauseway.app.reports.allocation_text import columns_of, rows_of_teams, sentences
from clauseway.app.reports.reconciling import rates_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table, print_indented, print_rest
from clauseway.cli.held import by_one_connection, held_agreements, held_prices
from clauseway.values import counted, read_pairs

_LEFT = 2
# More sentences than a screen are for --json.
_SHOWN = 40


@by_one_connection
def command(
    bill: Annotated[
        list[Path],
        typer.Option(
            "--bill",
            help=f"A cloud's bill: {BILLS_READ}. Repeatable.",
            metavar="FILE",
        ),
    ],
    period: Annotated[str, typer.Option(help="The month, as 2026-05, by the days of charges.")],
    by: Annotated[
        list[str],
        typer.Option(
            help="What names a team: a tag's key, or a column as SubAccountName. Repeatable: the first "
            "that a charge has.",
            metavar="COLUMN",
        ),
    ],
    team: Annotated[
        list[str] | None,
        typer.Option(
            help="Another name of a team, of a tag or of the gateway's project, as Search=search or "
            "acme/search=search. Repeatable.",
            metavar="NAME=TEAM",
        ),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(
            help="What the charges of the gateway's own accounts have, as team=ai-gateway or "
            "SubAccountId=1234: they are split over its projects. Repeatable.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    cost: Annotated[
        str, typer.Option(help=f"The bills' column to sum: {', '.join(COST_COLUMNS)}.")
    ] = EFFECTIVE,
    rate: options.RateFlags = None,
    known_at: options.KnownAtFlag = None,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Say what each team cost in a month, over all clouds: bills by tag, the gateway by project.

    Every charge counts, of any service and category; what has no tag is shown as such. Names stay
    as they are written: two spellings are two teams until --team joins them. What the gateway sent
    to a cloud is on that cloud's bill: it is added only for clouds without a bill, and --gateway
    splits the charges of its accounts as their usage was metered. Nothing is kept. The exit code is
    2 where a row could not be read or has no rate.

    \b
    May, from the bills of two clouds whose tags have other keys:
      clauseway usage allocate --period 2026-05 --bill aws.parquet --bill azure.csv --by user:team --by team
    With the charges of the gateway's account split over its projects:
      clauseway usage allocate --period 2026-05 --bill aws.parquet --by team --gateway SubAccountId=4444
    By account, as invoiced:
      clauseway usage allocate --period 2026-05 --bill aws.parquet --by SubAccountName --cost BilledCost
    """
    asked = AllocationAsked(
        period=period,
        keys=tuple(dict.fromkeys(by)),
        teams=teams_of(team or []),
        gateway=tuple(read_pairs(gateway or [], "--gateway", "team=ai-gateway", at_last=True)),
        cost=cost,
    )
    allocated = allocate_bills(
        home_at(home),
        held_agreements(home),
        held_prices(home, known_at),
        bill,
        asked,
        rates_of(rate or []),
        lambda bill, rows: None if as_json else _print_read(bill, rows),
    )
    answer(as_json, allocated, lambda: _print(console(), allocated))
    return 0 if allocated.is_whole else _LEFT


def _print_read(bill: str, rows: int) -> None:
    print(f"{bill}: {counted(rows, 'row')} read", file=sys.stderr, flush=True)


def _print(out: Console, allocated: AllocatedCosts) -> None:
    out.print(f"Costs of {allocated.period} by team (USD)", style="bold")
    by = ", then ".join(allocated.keys)
    print_indented(
        out,
        f"{allocated.cost}; by {by}; prices as known at {allocated.known_at}",
        by=2,
        style="dim",
    )
    figures = columns_of(allocated)
    table = plain_table("", *figures, figures=figures, gap=3)
    for row in rows_of_teams(allocated):
        table.add_row(row.name, *row.amounts)
    out.print(Padding(table, (1, 0, 1, 2), expand=False))
    said = list(sentences(allocated))
    for sentence in said[:_SHOWN]:
        print_indented(out, sentence, by=2)
    print_rest(out, len(said), _SHOWN)
