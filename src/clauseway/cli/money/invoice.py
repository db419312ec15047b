"""`clauseway books invoice`: what is owed becomes a claim."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.books.bookkeeping import invoice, invoices
from clauseway.app.opening.home import home_at
from clauseway.app.reports.amounts import cents, in_currency
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.console import console
from clauseway.ledger.vouchers import InvoiceLine
from clauseway.values import USD, InvalidInput, amount_text, parse_day

# The flags of an invoice that is written.
_OF_ONE = ("payer", "payee", "day", "number", "currency")
_LISTED = "without --period the invoices are listed"
_A_MONTH = "Add --period, or leave it out."

Currency = Annotated[
    str, typer.Option(help="Another currency than USD, by the home's rates.", metavar="CURRENCY")
]
Dated = Annotated[
    str, typer.Option("--dated", help="The day it is dated in the books; by default today (UTC).")
]


def command(
    context: typer.Context,
    period: Annotated[str, typer.Option("--period", help="The closed month, as 2026-05.")] = "",
    payer: Annotated[str, typer.Option(help="Who pays.")] = "",
    payee: Annotated[str, typer.Option(help="Who is paid.")] = "",
    day: Dated = "",
    number: Annotated[
        str, typer.Option("--id", help="The invoice's number; by default PAYEE-PAYER-PERIOD.")
    ] = "",
    currency: Currency = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Invoice what one party owes another through a closed month, and post it. Without a period:
    list the invoices.

    It takes everything that was accrued through the month and is not invoiced yet, corrections
    included, by term, with the day on which each is due. Below zero it is a credit note. Again, it
    is the same invoice; with another day, currency, party or period under its id, it is refused.

    \b
    What OpenAI owes Microsoft for May:
      clauseway books invoice --period 2026-05 --payer openai --payee microsoft
    In euros, at the rate of the invoice's day (clauseway basis rates FILE):
      clauseway books invoice --period 2026-05 --payer openai --payee microsoft --currency EUR
    What is open:
      clauseway books invoice
    """
    if not period:
        check_unread(context, dict.fromkeys(_OF_ONE, _LISTED), _A_MONTH)
        return _list(home, as_json)
    if not payer or not payee:
        why = "an invoice is from one party to another"
        raise InvalidInput.of(
            what="no payer or payee",
            why=why,
            where="--payer",
            remedy="Name both: --payer and --payee.",
        )
    written = invoice(home_at(home), period, payer, payee, dated(day), number, currency)

    def show() -> None:
        out = console()
        out.print(
            f"Invoice {written.id}: {written.payer} owes {written.payee} "
            f"{in_currency(written.total, written.currency)}",
            style="bold",
        )
        for line in written.lines:
            due = f", due {line.due}" if line.due else ""
            out.print(
                f"  {line.term}: {in_currency(line.amount, written.currency)}{due}",
                soft_wrap=True,
            )
            for text in _working(line, written.currency):
                out.print(f"    {text}", soft_wrap=True, style="dim")

    answer(as_json, written, show)
    return 0


def _working(line: InvoiceLine, currency: str) -> list[str]:
    """Return the parts of a line that sums more than the share of one month; in USD, which is named
    where the invoice is in another currency."""
    if len(line.parts) == 1 and line.parts[0].share == line.owed:
        return []
    usd = "" if currency == USD else f" {USD}"
    texts = []
    for part in line.parts:
        named = (
            ("share", part.share),
            ("corrections", part.corrections),
            ("restatements", part.restated),
        )
        steps = " + ".join(f"{name} {cents(amount)}{usd}" for name, amount in named if amount)
        texts.append(f"{part.month}: {steps or cents(part.amount) + usd}")
    if line.invoiced_before:
        texts.append(f"less {cents(line.invoiced_before)}{usd} invoiced before")
    return texts


def _list(home: Path | None, as_json: bool) -> int:
    written = invoices(home_at(home))

    def show() -> None:
        for issued, open_ in written:
            text = f"{issued.id}  {issued.payer} to {issued.payee}  "
            left = amount_text(open_, issued.currency)
            text += f"{in_currency(issued.total, issued.currency)}, open {left}"
            console().print(text, soft_wrap=True)
        if not written:
            console().print("No invoice was written.")

    answer(as_json, [{"invoice": issued, "open": open_} for issued, open_ in written], show)
    return 0


def dated(day: str) -> date | None:
    return parse_day(day, "--dated") if day else None
