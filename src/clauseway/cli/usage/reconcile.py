"""`clauseway usage reconcile`: a cloud's bill against the meter."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from clauseway.app.opening.home import home_at
from clauseway.app.opening.periods import month
from clauseway.app.reports.reconciling import Reconciliation, rates_of, reconcile_bill, tolerance_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.beside_text import cents, signed
from clauseway.cli.console import console, print_indented
from clauseway.cli.held import held_agreements, held_prices
from clauseway.cli.output import counted
from clauseway.exchange.focus.bill_rows import COSTS
from clauseway.exchange.usage.focus import VERSIONS_READ
from clauseway.ledger.reconciliation import BESIDE, MATCHED, NOT_READ, Item, ReconciledLine
from clauseway.values import round_together

DIFFERS = 2
# More than a screen of findings is for --json.
_SHOWN = 40


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
    rate: Annotated[
        list[str] | None,
        typer.Option(
            help="USD for one unit of a currency on all days, as EUR=1.08. Repeatable.",
            metavar="CURRENCY=RATE",
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
    and nothing but taxes lies beside it, 2 where something differs or a row could not be read.

    \b
    A month's bill:
      clauseway usage reconcile --bill may.csv
    In euros, equal up to a cent an item:
      clauseway usage reconcile --bill may.parquet --rate EUR=1.08 --tolerance 0.01
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
    )
    answer(as_json, result, lambda: _print(console(), result))
    return 0 if result.is_matched else DIFFERS


def _print(out: Console, reconciliation: Reconciliation) -> None:
    result, scope = reconciliation.found, reconciliation.scope
    out.print(f"Reconciliation of {reconciliation.bill} (USD)", style="bold", markup=False)
    sold = f", sold by {', '.join(scope.sellers)}" if scope.sellers else ""
    scoped = f"{scope.days.begin} up to, not including, {scope.days.end}, on {', '.join(scope.clouds)}{sold}"
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
    if reconciliation.uncounted:
        text = f"Of {counted(reconciliation.uncounted, 'row')} the cost cannot be read: "
        text += "the bill's total is without them."
        print_indented(out, text, by=2)
    for currency, amount in result.unrated.items():
        print_indented(out, f"{amount:,f} {currency} have no rate and are in no amount.", by=2)
    out.print(f"\n  {_verdict(reconciliation)}", style="bold")


def _verdict(reconciliation: Reconciliation) -> str:
    result = reconciliation.found
    if reconciliation.is_whole:
        return "Everything is matched."
    shown = round_together({part.name: part.billed for part in result.parts})
    rest = [
        f"{part.name} {cents(shown[part.name])}"
        for part in result.parts
        if part.name in BESIDE and (part.billed or (part.name == NOT_READ and part.rows))
    ]
    beside = f" Beside it on the bill: {', '.join(rest)} USD." if rest else ""
    if result.at_stake or reconciliation.unread:
        return f"At stake: {cents(result.at_stake)} USD.{beside}"
    return f"All usage that was compared is matched.{beside}"


def _print_summary(out: Console, reconciliation: Reconciliation) -> None:
    result = reconciliation.found
    table = _table(("", "items", "at stake", "metered", "billed"))
    # Rounded together, so that the columns add up as they are shown.
    metered = round_together({part.name: part.metered for part in result.parts})
    billed = round_together({part.name: part.billed for part in result.parts})
    for part in result.parts:
        if not part.rows and not part.metered:
            continue
        count, at_stake = result.by_status.get(part.name, (part.rows, Decimal(0)))
        is_known = part.name in result.by_status
        table.add_row(
            part.name,
            f"{count:,}",
            cents(at_stake) if is_known and part.name != MATCHED else "–",
            cents(metered[part.name]) if is_known else "–",
            cents(billed[part.name]),
        )
    for cause, (count, at_stake) in result.by_cause.items():
        name = f"  likely {cause}" if not cause.startswith("no ") else f"  {cause}"
        table.add_row(name, f"{count:,}", cents(at_stake), "", "")
    table.add_row("in all", "", cents(result.at_stake), cents(result.metered), cents(result.total))
    table.add_row("billed less metered", "", "", "", signed(result.total - result.metered))
    out.print(Padding(table, (1, 0, 1, 2), expand=False))


def _print_items(out: Console, reconciliation: Reconciliation) -> None:
    result = reconciliation.found
    # Items of a day that differs as a whole are told once, by that day.
    whole = {(day.day, cloud, day.status) for day in result.whole_days for cloud in day.clouds}
    for day in result.whole_days:
        text = f"  {day.day} {', '.join(day.clouds)}: the whole day is {day.status}, {signed(day.difference)}"
        out.print(text, style="bold")
        out.print(f"    {counted(day.items, 'item')}", style="dim")
    items = [
        (line, item)
        for line in result.lines
        for item in line.items
        if item.status != MATCHED and (line.day, line.cloud, item.status) not in whole
    ]
    # Those with the most money at stake first.
    items.sort(key=lambda pair: (-pair[1].at_stake, pair[0].day, pair[0].product, pair[1].unit))
    for line, item in items[:_SHOWN]:
        _print_item(out, line, item)
    if len(items) > _SHOWN:
        out.print(f"  … and {len(items) - _SHOWN:,} more: --json has all of them.", style="dim")


def _print_item(out: Console, line: ReconciledLine, item: Item) -> None:
    where = f"{line.cloud} {line.region}".rstrip()
    out.print(
        f"  {line.day} {where} {line.product} {item.unit}: {item.status}, {signed(item.difference)}",
        style="bold",
    )
    out.print(
        f"    metered {item.metered_quantity:,} for {_known(item.metered)} · "
        f"billed {item.billed_quantity.normalize():,f} for {_known(item.billed)}"
    )
    for cause in item.causes:
        print_indented(out, f"{cause.name}: {cause.detail}", by=4)
    rows = ", ".join(map(str, item.rows[:8])) + (", …" if len(item.rows) > 8 else "")
    requests = " to ".join(item.requests)
    behind = [f"rows {rows}" if rows else "", f"requests {requests}" if requests else ""]
    print_indented(out, " · ".join(filter(None, behind)), by=4, style="dim")


def _known(amount: Decimal | None) -> str:
    return "an unknown amount" if amount is None else f"{amount.normalize():,f}"


def _table(columns: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table
