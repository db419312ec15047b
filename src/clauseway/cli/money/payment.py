"""`clauseway books payment`: money on an invoice."""

from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.books.bookkeeping import invoices, pay, reverse
from clauseway.app.opening.home import home_at
from clauseway.app.reports.amounts import in_currency
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.money.invoice import Dated, dated
from clauseway.values import InvalidInput, amount_text


def command(
    context: typer.Context,
    reference: Annotated[
        str,
        typer.Option("--id", help="Your reference, such as the bank's: twice the same is once."),
    ],
    invoice: Annotated[
        str, typer.Argument(help="The invoice's number; left out with --reverse.")
    ] = "",
    reversed_: Annotated[
        str,
        typer.Option(
            "--reverse", help="Take this payment back: what it settled is open again.", metavar="ID"
        ),
    ] = "",
    reason: Annotated[str, typer.Option(help="With --reverse: why, in a few words.")] = "",
    amount: Annotated[
        str, typer.Option(help="What was paid, before withholding; by default all that is open.")
    ] = "",
    day: Dated = "",
    currency: Annotated[
        str, typer.Option(help="Another currency than the invoice's, by the home's rates.")
    ] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Record a payment on an invoice, and post it: cash, what was withheld as tax, and what the
    exchange left over.

    A payment is never changed. One that a bank returned, or that was booked by mistake, is reversed
    by a voucher of its own, with the same entry the other way round.

    \b
    All of it:
      clauseway books payment microsoft-openai-2026-05 --id bank-778
    A part, in euros:
      clauseway books payment microsoft-openai-2026-05 --id bank-779 --amount 1.20 --currency EUR
    The bank returned it:
      clauseway books payment --reverse bank-778 --id bank-780 --reason "returned: account closed"
    """
    if reversed_:
        check_unread(
            context, dict.fromkeys(("amount", "currency"), "a payment is taken back whole")
        )
        return _reverse(home, reference, invoice, reversed_, day, reason, as_json)
    check_unread(context, {"reason": "a payment is booked without one"})
    if not invoice:
        remedy = "Name the invoice, or the payment to take back with --reverse."
        raise InvalidInput.of(
            what="no invoice", why="a payment is on an invoice", where="INVOICE", remedy=remedy
        )
    paid = pay(home_at(home), reference, invoice, amount, dated(day), currency)
    text = f"{paid.id}: {in_currency(paid.amount, paid.currency)} on {paid.invoice}"
    if paid.withheld:
        text += f", of which {amount_text(paid.withheld, paid.currency)} withheld"
    [(of, left)] = [each for each in invoices(home_at(home)) if each[0].id == paid.invoice]
    text += f"; {in_currency(left, of.currency)} of it is open" if left else "; it is paid"
    answer(as_json, paid, text)
    return 0


def _reverse(
    home: Path | None,
    reference: str,
    invoice: str,
    payment: str,
    day: str,
    reason: str,
    as_json: bool,
) -> int:
    if invoice:
        why = "a reversal is of one payment, on whichever invoice that was"
        raise InvalidInput.of(
            what=f"invoice {invoice!r}", why=why, where="INVOICE", remedy="Leave it out."
        )
    done, paid = reverse(home_at(home), reference, payment, dated(day), reason)
    amount = f"{in_currency(paid.amount, paid.currency)} of {paid.invoice}"
    answer(as_json, done, f"{done.id}: {paid.id} reversed, {amount} is open again")
    return 0
