"""`clauseway forecast`: when the cap is reached, what is due each year, what the cap saves."""

from datetime import date
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding

from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import known_point, readings_of
from clauseway.app.opening.picture_files import write_pictures
from clauseway.app.reports.amounts import cents
from clauseway.app.reports.forecasting import THROUGH, Ahead, look_ahead, svg_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.beside_text import print_assumed
from clauseway.cli.console import console, plain_table, print_indented
from clauseway.cli.held import by_one_connection, held_agreements
from clauseway.ledger.forecast import AmountRange, Outlook
from clauseway.wording.dates import dated, day_in_words, month_in_words
from clauseway.wording.names import listed


@by_one_connection
def command(
    through: Annotated[int, options.year("--until", "The last year.")] = THROUGH,
    growth: Annotated[
        str,
        typer.Option(
            help="Growth a month instead of that of the settled months: 5%, or 2%..8%.",
            metavar="PERCENT",
        ),
    ] = "",
    assume: Annotated[
        list[str] | None,
        typer.Option(
            "--assume",
            help="A figure by name, or with a value; by default those of the latest settlement.",
            metavar="NAME[=VALUE]",
        ),
    ] = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    known_at: options.KnownAtFlag = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeRead = None,
    svg: options.Svg = None,
    png: options.Png = None,
    as_json: options.AsJson = False,
) -> int:
    """Look ahead from the settled months: when is the cap reached, what is due each year, what has
    the cap saved.

    The past is what was settled. The future grows as the settled months did: growth from month to
    month is drawn, with replacement and a fixed seed, from its own history, and each figure has a
    low, a middle and a high value. With fewer than four full settled months it says so and takes
    what you assume. Nothing is changed.

    \b
    From the settled months alone:
      clauseway forecast
    Too little history: what if it grows by 5 % a month, or by 2 to 8?
      clauseway forecast --growth 5%
      clauseway forecast --growth 2%..8% --svg ahead.svg
    Under another cap:
      clauseway forecast --growth 5% --assume share-openai-microsoft --assume "cap=USD 30 billion"
    """
    # The months were settled under what the home holds.
    opened = (
        options.opened(agreement, facts, suppose, home)
        if agreement
        else options.supposing(held_agreements(home), facts, suppose)
    )
    view = look_ahead(
        home_at(home),
        opened,
        known_at=known_point(known_at),
        assume=assume or [],
        readings=readings_of(reading),
        through=through,
        growth=growth,
    )
    if svg is not None or png is not None:
        write_pictures(svg_of(view), svg, png)
    answer(as_json, view, lambda: _print(console(), view))
    return 0


def _print(out: Console, view: Ahead) -> None:
    ahead = view.forecast
    out.print(
        f"Forecast through {ahead.through} (USD), settled through {ahead.last_settled}",
        style="bold",
    )
    print_indented(out, f"Known at {view.known_at}.", by=2, style="dim")
    for outlook in ahead.outlooks:
        _print_outlook(out, outlook)
    if not ahead.outlooks:
        out.print("  No revenue share is in force after that.")
    print_assumed(out, "Assumed", ahead.assumptions)


def _print_outlook(out: Console, outlook: Outlook) -> None:
    out.print(f"\n  {outlook.payer} pays {outlook.payee}: {outlook.term}", style="bold cyan")
    print_indented(
        out,
        f"{outlook.citation.document}:{outlook.citation.line}. Growth: {outlook.growth.method}.",
        by=4,
        style="dim",
    )
    _print_cap(out, outlook)
    sums = ("settled", "due, middle", "low", "high", "saved by the cap")
    table = plain_table("year", *sums, figures=sums, gap=3)
    for year in outlook.years:
        due = year.due
        table.add_row(
            str(year.year),
            *map(cents, (year.settled, due.mid, due.low, due.high)),
            _span(year.saved),
        )
    out.print(Padding(table, (1, 0, 0, 4), expand=False))


def _print_cap(out: Console, outlook: Outlook) -> None:
    print_indented(
        out,
        f"Settled so far: {cents(outlook.settled)}. Saved by the cap so far: {cents(outlook.saved)}.",
        by=4,
    )
    if outlook.unsettled:
        print_indented(out, f"Not settled, and in no year below: {_unsettled(outlook)}.", by=4)
    if outlook.cap is None or outlook.reached is None or outlook.remaining is None:
        print_indented(out, "There is no cap.", by=4)
        return
    reached = outlook.reached
    cap = f"Cap {cents(outlook.cap)} ({outlook.cap_name})"
    if reached.on is not None and reached.exceeded:
        print_indented(
            out,
            f"{cap}: already exceeded by {cents(reached.exceeded)}, since the statement of "
            f"{month_in_words(f'{reached.on:%Y-%m}')}.",
            by=4,
            style="bold",
        )
        return
    cap += f", {cents(outlook.remaining)} remaining: "
    if reached.on is not None:
        print_indented(out, f"{cap}reached on {day_in_words(reached.on)}.", by=4, style="bold")
        return
    if reached.earliest is None:
        print_indented(out, f"{cap}not reached by the end of the forecast.", by=4, style="bold")
        return
    range_ = f"likely {_day(reached.likely)}, at the earliest {reached.earliest}, at the latest {_day(reached.latest)}"
    # An assumed growth draws no paths, so there is no chance to count.
    chance = (
        ""
        if outlook.growth.is_assumed
        else f"; in {(reached.chance * 100).normalize():f} % of the paths"
    )
    print_indented(out, f"{cap}{dated(range_)}{chance}.", by=4, style="bold")


def _unsettled(outlook: Outlook) -> str:
    return listed(
        [f"{cents(stretch.amount)} of {listed(stretch.months)}" for stretch in outlook.unsettled]
    )


def _day(day: date | None) -> str:
    return "not before the end" if day is None else str(day)


def _span(amount: AmountRange) -> str:
    if amount.low == amount.high:
        return cents(amount.mid)
    return f"{cents(amount.mid)} ({_round(amount.low)} to {_round(amount.high)})"


def _round(amount: Decimal) -> str:
    return f"{amount:,.0f}"
