"""`clauseway books journal`: the entries, with running balances."""

from typing import Annotated

import typer

from clauseway.app.books.bookkeeping import journal_of
from clauseway.app.opening.home import home_at
from clauseway.app.reports.statements import cents
from clauseway.cli import options
from clauseway.cli.output import console, print_json


def command(
    party: Annotated[str, typer.Option(help="Only this party's books.")] = "",
    period: Annotated[
        str, typer.Option("--period", help="Only what is dated in this month, as 2026-05.")
    ] = "",
    account: Annotated[
        str,
        typer.Option(
            help="Only accounts of this name: revenue-share, invoiced, disputed, bank, withholding."
        ),
    ] = "",
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """List the journal: every posting with its account's balance after it. Debits are above zero, credits below.

    \b
    Microsoft's books in May:
      clauseway books journal --party microsoft --period 2026-05
    What is in dispute:
      clauseway books journal --account disputed
    """
    found = journal_of(home_at(home), party, period, account)
    if as_json:
        print_json(
            [
                {
                    "entry": one.leg.entry,
                    "day": one.leg.day,
                    "narration": one.leg.narration,
                    "account": str(one.leg.posting.account),
                    "amount": one.leg.posting.amount,
                    "currency": one.leg.posting.currency,
                    "balance": one.balance,
                    "citations": one.leg.posting.citations,
                }
                for one in found
            ]
        )
        return 0
    out, before = console(), ""
    for one in found:
        if one.leg.entry != before:
            out.print(
                f"{one.leg.day}  {one.leg.narration}", style="bold", soft_wrap=True, markup=False
            )
            before = one.leg.entry
        posting = one.leg.posting
        amounts = (
            f"{cents(posting.amount):>18} {posting.currency}  balance {cents(one.balance):>18}"
        )
        out.print(f"  {posting.account!s:<52}{amounts}", soft_wrap=True, markup=False)
    if not before:
        out.print("Nothing was posted.")
    return 0
