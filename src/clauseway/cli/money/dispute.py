"""`clauseway books dispute`: charges that one party does not accept."""

from typing import Annotated

import typer

from clauseway.app.books.bookkeeping import dispute, disputes, resolve
from clauseway.app.opening.home import home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.held import by_one_connection
from clauseway.cli.money.credit import Which, book
from clauseway.cli.money.invoice import Dated, dated

app = typer.Typer(
    help="Charges in dispute: out of the base, and with it of the cap, until the dispute ends.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("open")
@by_one_connection
@options.taking(Which)
def open_(which: Which, home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """Dispute a charge: it leaves the base, and with it the cap, until the dispute is resolved.

    \b
    A request:
      clauseway books dispute open --id claim-3 --request 00000000000000070000000000000005 --reason "never asked for"
    """
    return book(dispute, which, home, "in dispute", as_json)


@app.command("resolve")
def resolve_(
    claim: Annotated[str, typer.Argument(help="The dispute's id.")],
    reference: Annotated[str, typer.Option("--id", help="Your reference: twice the same is once.")],
    upheld: Annotated[
        bool, typer.Option("--upheld/--rejected", help="The charge stays out; or it returns.")
    ],
    reason: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    day: Dated = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """End a dispute. Upheld, the charge stays out as a credit does; rejected, it returns to the
    base and the cap.

    \b
    It was right:
      clauseway books dispute resolve claim-3 --id answer-3 --upheld
    It was not:
      clauseway books dispute resolve claim-3 --id answer-3 --rejected
    """
    made = resolve(home_at(home), reference, claim, upheld=upheld, day=dated(day), reason=reason)
    answer(as_json, made, f"{made.dispute} is {'upheld' if made.upheld else 'rejected'}.")
    return 0


@app.command("list")
def list_(home: options.HomeRead = None, as_json: options.AsJson = False) -> int:
    """List every dispute and how it ended.

    \b
      clauseway books dispute list
    """
    listed = disputes(home_at(home))

    def show() -> None:
        for claim, ended in listed:
            how = "open" if ended is None else "upheld" if ended.upheld else "rejected"
            text = f"{claim.id}  {claim.of.amount.normalize():f} USD  {how}  {claim.reason}"
            console().print(text.rstrip(), soft_wrap=True)
        if not listed:
            console().print("Nothing was disputed.")

    answer(as_json, [{"dispute": claim, "resolution": ended} for claim, ended in listed], show)
    return 0
