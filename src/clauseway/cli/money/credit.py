"""`clauseway books credit`: a charge taken back."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clauseway.app.books.bookkeeping import Sold, VoucherDraft, credit
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.held import by_one_connection, held_prices
from clauseway.cli.money.invoice import Dated, dated
from clauseway.ledger import Credit, Dispute
from clauseway.values import parse_day


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """The flags that name a sale and the voucher about it."""

    reference: Annotated[str, typer.Option("--id", help="Your reference: twice the same is once.")]
    request: Annotated[str, typer.Option(help="The request whose charge it is.")] = ""
    of_day: Annotated[
        str, typer.Option("--sold-on", help="Or the day of the sales, as 2026-05-02 (UTC).")
    ] = ""
    seller: Annotated[str, typer.Option(help="With --sold-on: who sold.")] = ""
    cloud: Annotated[str, typer.Option(help="With --sold-on: the host cloud.")] = ""
    product: Annotated[str, typer.Option(help="With --sold-on: the product.")] = ""
    amount: Annotated[
        str, typer.Option(help="How much of the charge, in USD; by default all that is left of it.")
    ] = ""
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = ""
    day: Dated = ""

    def draft(self) -> VoucherDraft:
        sold = Sold(
            request=self.request,
            day=parse_day(self.of_day, "--sold-on") if self.of_day else None,
            seller=self.seller,
            cloud=self.cloud,
            product=self.product,
        )
        return VoucherDraft(
            id=self.reference,
            sold=sold,
            amount=self.amount,
            day=dated(self.day),
            reason=self.reason,
        )


@by_one_connection
@options.taking(Which)
def command(which: Which, home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Take a charge back, wholly or in part, at the event time of what it reverses.

    The next settlement has a smaller base, and less of the cap is consumed. For a closed month the
    open month has the correction, or the closed one is restated.

    \b
    A whole request:
      clauseway books credit --id note-12 --request 00000000000000070000000000000005 --reason "answered with nonsense"
    A part of a day's sales:
      clauseway books credit --id note-13 --sold-on 2026-05-02 --seller openai --cloud aws --product gpt-5.4 --amount 0.10
    """
    return book(credit, which, home, "taken back", as_json)


def book(
    voucher: Callable[..., Credit | Dispute],
    which: Which,
    home: Path | None,
    done: str,
    as_json: bool,
) -> int:
    """Book a voucher about the sale that the flags name, and print what was `done`."""
    made = voucher(home_at(home), partial(held_prices, home), which.draft())
    of = made.of
    usage = f"{of.amount.normalize():f} USD of {of.product} on {of.cloud}"
    answer(as_json, made, f"{made.id}: {usage}, sold by {of.seller}, {done}")
    return 0
