"""`clauseway books journal`: the entries, with running balances."""

from typing import Annotated

import typer

from clauseway.app.books.settled import journal_of
from clauseway.app.opening.home import home_at
from clauseway.app.opening.several import check_party
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.held import held_agreements
from clauseway.cli.output import lines
from clauseway.ledger.journal import ACCOUNT_NAMES
from clauseway.values import amount_text, check_known


def command(
    party: Annotated[str, typer.Option(help="Only this party's books.")] = "",
    period: Annotated[
        str, typer.Option("--period", help="Only what is dated in this month, as 2026-05.")
    ] = "",
    account: Annotated[
        str,
        typer.Option(help=f"Only accounts of this name: {', '.join(ACCOUNT_NAMES)}."),
    ] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """List the journal: every posting with its account's balance after it. Debits are above zero,
    credits below.

    \b
    Microsoft's books in May:
      clauseway books journal --party microsoft --period 2026-05
    What is in dispute:
      clauseway books journal --account disputed
    """
    if account:
        check_known("--account", [account], ACCOUNT_NAMES, "no account in the books is called so")
    journal = list(journal_of(home_at(home), party, period, account))
    # The books may have a party of an earlier text; a name in neither is misspelt.
    if not journal:
        check_party(party, held_agreements(home))

    def show() -> None:
        out, before = lines(), ""
        for line in journal:
            if line.leg.entry != before:
                out.line(f"{line.leg.day}  {line.leg.narration}", style="bold", whole=True)
                before = line.leg.entry
            posting = line.leg.posting
            amounts = (
                f"{amount_text(posting.amount, posting.currency):>18} {posting.currency}  "
                f"balance {amount_text(line.balance, posting.currency):>18}"
            )
            out.line(f"  {posting.account!s:<52}{amounts}", whole=True)
        if not before:
            out.line("Nothing was posted.")

    answer(
        as_json,
        [
            {
                "entry": line.leg.entry,
                "day": line.leg.day,
                "narration": line.leg.narration,
                "account": str(line.leg.posting.account),
                "amount": line.leg.posting.amount,
                "currency": line.leg.posting.currency,
                "balance": line.balance,
                "citations": line.leg.posting.citations,
            }
            for line in journal
        ],
        show,
    )
    return 0
