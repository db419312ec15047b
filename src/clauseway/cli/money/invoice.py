"""`clauseway books invoice`: what is owed becomes a claim."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.books.bookkeeping import invoice, invoices
from clauseway.app.opening.home import home_at
from clauseway.app.reports.statements import cents
from clauseway.cli import options
from clauseway.cli.output import console, print_json
from clauseway.ledger.vouchers import InvoiceLine
from clauseway.values import InvalidInput, Problem, parse_day

Currency = Annotated[
    str, typer.Option(help="Another currency than USD, by the home's rates.", metavar="CODE")
]
Dated = Annotated[
    str, typer.Option("--dated", help="The day it is dated in the books; by default today (UTC).")
]


def command(
    period: Annotated[str, typer.Option("--period", help="The closed month, as 2026-05.")] = "",
    payer: Annotated[str, typer.Option(help="Who pays.")] = "",
    payee: Annotated[str, typer.Option(help="Who is paid.")] = "",
    day: Dated = "",
    told: Annotated[
        str, typer.Option("--id", help="The invoice's number; by default PAYEE-PAYER-PERIOD.")
    ] = "",
    currency: Currency = "USD",
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Invoice what one party owes another through a closed month, and post it. Without a period: list the invoices.

    It takes everything that was accrued through the month and is not invoiced yet, corrections included, by term, with
    the day on which each is due. Below zero it is a credit note. Again, it is the same invoice.

    \b
    What OpenAI owes Microsoft for May:
      clauseway books invoice --period 2026-05 --payer openai --payee microsoft
    In euros, at the rate of the invoice's day (clauseway basis rates FILE):
      clauseway books invoice --period 2026-05 --payer openai --payee microsoft --currency EUR
    What is open:
      clauseway books invoice
    """
    if not period:
        return _list(home, as_json)
    if not payer or not payee:
        why = "an invoice is from one party to another"
        raise InvalidInput(
            Problem(
                what="no payer or payee",
                why=why,
                where="--payer",
                todo="Name both: --payer and --payee.",
            )
        )
    found = invoice(home_at(home), period, payer, payee, dated(day), told, currency)
    if as_json:
        print_json(found)
        return 0
    out = console()
    out.print(
        f"Invoice {found.id}: {found.payer} owes {found.payee} {cents(found.total)} {found.currency}",
        style="bold",
    )
    for line in found.lines:
        due = f", due {line.due}" if line.due else ""
        out.print(f"  {line.term}: {cents(line.amount)} {found.currency}{due}", soft_wrap=True)
        for text in _working(line):
            out.print(f"    {text}", soft_wrap=True, style="dim")
    return 0


def _working(line: InvoiceLine) -> list[str]:
    """What a line is the sum of, where it is more than one month's share."""
    if len(line.parts) == 1 and line.parts[0].share == line.owed:
        return []
    found = []
    for part in line.parts:
        named = (
            ("share", part.share),
            ("corrections", part.corrections),
            ("restatements", part.restated),
        )
        steps = " + ".join(f"{name} {cents(amount)}" for name, amount in named if amount)
        found.append(f"{part.month}: {steps or cents(part.amount)}")
    if line.invoiced_before:
        found.append(f"less {cents(line.invoiced_before)} invoiced before")
    return found


def _list(home: Path | None, as_json: bool) -> int:
    found = invoices(home_at(home))
    if as_json:
        print_json([{"invoice": one, "open": open_} for one, open_ in found])
        return 0
    for one, open_ in found:
        text = f"{one.id}  {one.payer} to {one.payee}  {cents(one.total)} {one.currency}, open {cents(open_)}"
        console().print(text, soft_wrap=True)
    if not found:
        console().print("No invoice was written.")
    return 0


def dated(day: str) -> date | None:
    return parse_day(day, "--dated") if day else None
