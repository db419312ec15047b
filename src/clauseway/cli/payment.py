"""`clauseway payment`: money on an invoice."""

from typing import Annotated

import typer

from clauseway.app.bookkeeping import pay
from clauseway.app.home import home_at
from clauseway.app.statements import cents
from clauseway.cli import options
from clauseway.cli.invoice import Dated, RatesFile, dated
from clauseway.cli.output import console, print_json


def command(
    invoice: Annotated[str, typer.Argument(help="The invoice's number.")],
    told: Annotated[str, typer.Option("--id", help="Your reference, such as the bank's: twice the same is once.")],
    amount: Annotated[str, typer.Option(help="What was paid, before withholding; by default all that is open.")] = "",
    day: Dated = "",
    currency: Annotated[str, typer.Option(help="Another currency than the invoice's; needs --rates.")] = "",
    rates: RatesFile = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Record a payment on an invoice, and post it: cash, what was withheld as tax, and what the exchange left over.

    \b
    All of it:
      clauseway payment microsoft-openai-2026-05 --id bank-778
    A part, in euros:
      clauseway payment microsoft-openai-2026-05 --id bank-779 --amount 1.20 --currency EUR --rates rates.csv
    """
    paid = pay(home_at(home), told, invoice, amount, dated(day), currency, rates)
    if as_json:
        print_json(paid)
    else:
        withheld = f", of which {cents(paid.withheld)} withheld" if paid.withheld else ""
        console().print(f"{paid.id}: {cents(paid.amount)} {paid.currency} on {paid.invoice}{withheld}", soft_wrap=True)
    return 0
