"""`clauseway price`: what usage costs, on what day and as known when, with the working; and books
checked.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from clauseway.app.books.basis import NamedBasis, basis_of, given_prices, sellers_of
from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import known_point
from clauseway.app.opening.prices import (
    USUAL_TOKENS,
    ChargePart,
    CheckedBook,
    PriceWorking,
    check_book,
    moment,
    show_working,
)
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.console import console, print_indented
from clauseway.cli.held import by_one_connection
from clauseway.pricing import DEFAULT_TIER, Sale
from clauseway.values import InvalidInput, Problem, counted

_CHECK = "check"
_READ_BY_CHECK = {"product", "file", "home", "as_json"}
_WHOLE = "a book is checked whole, for every sale"
_ANOTHER_BOOK = "Leave it out; --prices FILE prices with another book."
_STYLES = {"won": "green", "discount": "cyan", "skipped": "dim"}


@by_one_connection
def command(
    context: typer.Context,
    product: Annotated[
        str, typer.Argument(help="A product or a model's name; or `check`.", metavar="MODEL|check")
    ],
    file: Annotated[
        Path | None, typer.Argument(help="After check: the book.", metavar="[FILE]")
    ] = None,
    cloud: Annotated[str, typer.Option("--cloud", help="The host cloud.")] = "",
    seller: Annotated[str, typer.Option("--seller", help="Whom the customer pays.")] = "openai",
    region: Annotated[str, typer.Option("--region", help="The cloud's region.")] = "",
    buyer: Annotated[
        str, typer.Option("--buyer", help="The organisation, for negotiated prices.")
    ] = "",
    tier: Annotated[
        str, typer.Option("--tier", help="default, flex, priority, ultrafast or batch.")
    ] = DEFAULT_TIER,
    endpoint: Annotated[
        str, typer.Option("--endpoint", help="chat, responses, embeddings, …")
    ] = "",
    tokens: Annotated[
        str,
        typer.Option(
            "--tokens",
            help="Usage as reported: in=1000,cached=400,out=500.",
            metavar="UNIT=COUNT,…",
        ),
    ] = USUAL_TOKENS,
    at: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="The day (or, for time windows, the minute) of the usage; default today.",
        ),
    ] = None,
    known_at: options.KnownAtFlag = None,
    prices: options.PriceBookFlag = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            "--rates", help="Dated exchange rates, for prices in other currencies than USD."
        ),
    ] = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Say what usage costs, by which entry of which book, and why the others did not win.

    The price in force when it was used counts, as known when it is settled: both clocks can be set.
    The first book that prices the model there has all its prices: yours, then the shipped one, then
    the public list, as the home holds them (--prices and --rates try others, and record nothing). A
    unit that the book does not list is priced as the unit that contains it. In a book the entry
    that names the most conditions wins. A price that it does not carry is an error.

    \b
    A million tokens each way, of a thousand requests, today:
      clauseway price gpt-5.5 --cloud azure
    Of one request, with its cached part, on a day:
      clauseway price gpt-5.5 --cloud aws --tokens in=1000,cached=400,out=500 --as-of 2026-05-01
    As known before that price was recorded:
      clauseway price gpt-5.6-sol --cloud aws --region global --as-of 2026-09-01 --known-at 2026-09-01
    In another tier, above the length at which it costs more:
      clauseway price gpt-5.5 --cloud openai-own --tier flex --tokens in=300000,out=500 --as-of 2026-11-01
    A book of your own: is it sound?
      clauseway price check prices.csv

    Exit code: 0 done, 3 unknown price or unsound book, 1 a failure, ours or the machine's.
    """
    if product == _CHECK:
        check_unread(context, dict.fromkeys(set(context.params) - _READ_BY_CHECK, _WHOLE))
        return _check(file, home, as_json)
    check_unread(context, {"file": "`price check` alone reads a file"}, _ANOTHER_BOOK)
    day, hour = moment(at) if at else (datetime.now(UTC).date(), -1)
    given = NamedBasis(prices=prices, rates=rates)
    basis = basis_of(home_at(home))
    table = given_prices(basis, given, known_point(known_at))
    sale = Sale(product, cloud, seller, region, buyer, tier, endpoint, 0, hour)
    working = show_working(table, sale, day, tokens, sellers_of(basis))
    answer(as_json, working, lambda: _print(console(), working))
    return 0


def _check(file: Path | None, home: Path | None, as_json: bool) -> int:
    if file is None:
        problem = Problem(
            what="no book",
            why="none was named",
            where="FILE",
            remedy="Write `price check prices.csv`.",
        )
        raise InvalidInput(problem)
    checked = check_book(file, sellers_of(basis_of(home_at(home))))
    answer(as_json, checked, lambda: _print_check(console(), checked))
    return 0


def _print_check(out: Console, checked: CheckedBook) -> None:
    out.print(f"{checked.file} is sound.", style="bold", soft_wrap=True)
    out.print(
        f"{counted(checked.prices, 'price')} and {counted(checked.discounts, 'discount')} "
        f"for {', '.join(checked.products)}"
    )
    for entry in checked.lacks:
        where = f" on {entry.cloud}" if entry.cloud else ""
        out.print(
            f"It lacks {entry.unit} of {entry.product}{where}: {entry.then}.",
            style="yellow",
            soft_wrap=True,
        )
    print_slips(out, checked.slips)
    out.print(f"digest {checked.digest}", style="dim", soft_wrap=True)


def print_slips(out: Console, slips: Iterable[str]) -> None:
    """Print the names in a book that are likely meant otherwise."""
    for slip in slips:
        out.print(slip, style="yellow", soft_wrap=True)


def _print(out: Console, working: PriceWorking) -> None:
    place = f"{working.cloud} in {working.region}" if working.region else working.cloud
    out.print(
        f"{working.product} on {place}, sold by {working.seller}: {_further(working)}", style="bold"
    )
    out.print(
        f"as of {working.at} · as known at {working.known_at} · books {' › '.join(working.books)}",
        style="dim",
    )
    table = Table(box=None, pad_edge=False)
    for name, justify in (
        ("unit", "left"),
        ("tokens", "right"),
        ("", "right"),
        (_per(working), "right"),
        ("", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column(working.currency, justify="right")
    table.add_column("by")
    for part in working.parts:
        price = f"{part.per_million.normalize():,f}"
        table.add_row(
            part.unit, f"{part.quantity:,}", "×", price, "=", f"{part.amount:,.12f}", part.place
        )
    table.add_row("", "", "", "", "", f"{working.amount:,.12f}", style="bold")
    out.print(table)
    if working.note:
        out.print(working.note, style="yellow")
    if working.usd is not None:
        out.print(f"{working.usd:,.12f} USD at the rate of {working.at}", style="bold")
    for part in working.parts:
        _print_part(out, part)


def _per(working: PriceWorking) -> str:
    return f"{working.currency} per million"


def _further(working: PriceWorking) -> str:
    named = [
        f"{working.tier} tier",
        working.endpoint,
        f"for {working.buyer}" if working.buyer else "",
    ]
    return ", ".join(filter(None, named))


def _print_part(out: Console, part: ChargePart) -> None:
    out.print(f"\n{part.unit}: {part.source}", soft_wrap=True)
    for entry in part.looked_at:
        if entry.holds:
            style = _STYLES[entry.verdict]
            print_indented(
                out,
                f"{entry.verdict}: {entry.place}: {entry.says} ({entry.conditions}): {entry.why}",
                2,
                style,
            )
    if others := sum(not entry.holds for entry in part.looked_at):
        out.print(f"  more entries for other cases: {others}; --json lists each", style="dim")
