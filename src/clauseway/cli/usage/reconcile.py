"""`clauseway usage reconcile`: a cloud's bill against the meter."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.padding import Padding

from clauseway.app.opening.home import home_at
from clauseway.app.opening.periods import month
from clauseway.app.reports.amounts import signed
from clauseway.app.reports.reconciliation_text import (
    behind,
    differing,
    quantities,
    summary,
    verdict,
)
from clauseway.app.reports.reconciling import (
    Reconciliation,
    rates_of,
    reconcile_bill,
    regions_of,
    tolerance_of,
)
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table, print_indented, print_rest
from clauseway.cli.held import by_one_connection, held_agreements, held_prices
from clauseway.exchange.focus.bill_fields import COSTS
from clauseway.exchange.usage.focus import VERSIONS_READ
from clauseway.ledger.reconciliation import Item, ReconciledLine
from clauseway.values import counted

DIFFERS = 2
# More than a screen of findings is for --json.
_SHOWN = 40


@by_one_connection
def command(
    bill: Annotated[
        Path,
        typer.Option(
            "--bill", help=f"The bill: FOCUS {VERSIONS_READ} as CSV, or Parquet.", metavar="FILE"
        ),
    ],
    period: Annotated[
        str, typer.Option(help="Only this month, as 2026-05; by default the bill's own period.")
    ] = "",
    cloud: Annotated[
        list[str] | None, typer.Option(help="Only this host cloud. Repeatable.")
    ] = None,
    seller: Annotated[
        list[str] | None,
        typer.Option(
            help="Only what this party sold; by default whoever issued the bill's invoices. Repeatable."
        ),
    ] = None,
    cost: Annotated[
        str, typer.Option(help=f"The bill's column to compare: {', '.join(COSTS)}.")
    ] = COSTS[0],
    tolerance: Annotated[
        str, typer.Option(help="Amounts that differ by at most so many USD an item are equal.")
    ] = "0.000001",
    quantity_tolerance: Annotated[
        str, typer.Option(help="The same for quantities, in units.")
    ] = "0",
    rate: options.RateFlags = None,
    billed_as: Annotated[
        list[str] | None,
        typer.Option(
            "--billed-as",
            help="A region of the meter and its name on the bill, as global=eastus2. Repeatable: of one name they are "
            "compared together.",
            metavar="REGION=NAME",
        ),
    ] = None,
    known_at: options.KnownAtFlag = None,
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Compare a cloud's bill with what was metered: by day, region, product and unit, with likely
    causes.

    The bill says what is compared: its billing period, its clouds, and the parties that issued its
    invoices. Each item is matched, missing on one side, of another quantity or of another price,
    with the amount at stake. A cause is named only where the figures bear it out. Taxes, credits,
    purchases and corrections are no usage: they are listed with their amounts, so that the parts
    add up to the bill's total. Nothing is changed. The exit code is 0 where all usage is matched
    and nothing but taxes and other services lies beside it, 2 where something differs or a row
    could not be read.

    \b
    A month's bill:
      clauseway usage reconcile --bill may.csv
    In euros, equal up to a cent an item:
      clauseway usage reconcile --bill may.parquet --rate EUR=1.08 --tolerance 0.01
    Global and data-zone deployments, which the bill has in the region of their resource:
      clauseway usage reconcile --bill may.csv --billed-as global=eastus2 --billed-as datazone-us=eastus2
    By what was known about prices then:
      clauseway usage reconcile --bill may.csv --known-at 2026-06-03
    """
    result = reconcile_bill(
        home_at(home),
        held_agreements(home),
        held_prices(home, known_at),
        bill,
        tolerance=tolerance_of(tolerance, quantity_tolerance),
        cost=cost,
        days=month(period) if period else None,
        clouds=cloud or [],
        sellers=seller or [],
        rates=rates_of(rate or []),
        regions=regions_of(billed_as or []),
    )
    answer(as_json, result, lambda: _print(console(), result))
    return 0 if result.is_matched else DIFFERS


def _print(out: Console, reconciliation: Reconciliation) -> None:
    result, scope = reconciliation.found, reconciliation.scope
    out.print(f"Reconciliation of {reconciliation.bill} (USD)", style="bold")
    sold = f", sold by {', '.join(scope.sellers)}" if scope.sellers else ""
    scoped = f"{scope.days.begin} up to, not including, {scope.days.end}, on {', '.join(scope.clouds)}{sold}"
    scoped += "".join(f", {name} as {billed}" for name, billed in scope.regions.items())
    equal = f"equal up to {result.tolerance.amount:f} USD and {result.tolerance.quantity:f} units an item"
    basis = f"{reconciliation.cost} of {counted(reconciliation.rows, 'row')}; {equal}; "
    basis += f"prices as known at {reconciliation.known_at}"
    print_indented(out, f"{scoped}; {basis}", by=2, style="dim")
    _print_summary(out, reconciliation)
    _print_items(out, reconciliation)
    for row in reconciliation.unread[:_SHOWN]:
        print_indented(
            out,
            f"{reconciliation.bill}:{row.line}: {row.field}: {row.reason}. The row was left out.",
            by=2,
        )
    print_rest(out, len(reconciliation.unread), _SHOWN)
    if reconciliation.uncounted:
        text = f"Of {counted(reconciliation.uncounted, 'row')} the cost cannot be read: "
        text += "the bill's total is without them."
        print_indented(out, text, by=2)
    for currency, amount in result.unrated.items():
        print_indented(out, f"{amount:,f} {currency} have no rate and are in no amount.", by=2)
    out.print(f"\n  {verdict(reconciliation)}", style="bold")


def _print_summary(out: Console, reconciliation: Reconciliation) -> None:
    figures = ("items", "at stake", "metered", "billed")
    table = plain_table("", *figures, figures=figures, gap=3)
    for row in summary(reconciliation):
        table.add_row(*msgspec.structs.astuple(row))
    out.print(Padding(table, (1, 0, 1, 2), expand=False))


def _print_items(out: Console, reconciliation: Reconciliation) -> None:
    result = reconciliation.found
    for day in result.whole_days:
        text = f"  {day.day} {', '.join(day.clouds)}: the whole day is {day.status}, {signed(day.difference)}"
        out.print(text, style="bold")
        out.print(f"    {counted(day.items, 'item')}", style="dim")
    items = differing(reconciliation)
    for line, item in items[:_SHOWN]:
        _print_item(out, line, item)
    print_rest(out, len(items), _SHOWN)


def _print_item(out: Console, line: ReconciledLine, item: Item) -> None:
    where = f"{line.cloud} {line.region}".rstrip()
    out.print(
        f"  {line.day} {where} {line.product} {item.unit}: {item.status}, {signed(item.difference)}",
        style="bold",
    )
    out.print(f"    {quantities(item)}")
    for cause in item.causes:
        print_indented(out, f"{cause.name}: {cause.detail}", by=4)
    print_indented(out, behind(item), by=4, style="dim")
