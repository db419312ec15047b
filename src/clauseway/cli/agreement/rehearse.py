"""`clauseway agreement rehearse`: the effect of a draft amendment on recorded traffic."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding

from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import day_given, readings_of
from clauseway.app.reports.amounts import cents, signed
from clauseway.app.reports.rehearsing import MEANINGS, Rehearsal, Routed, open_draft, rehearse
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.beside_text import print_assumed, print_gains
from clauseway.cli.console import console, plain_table, print_indented, print_rest
from clauseway.cli.held import held_prices
from clauseway.values import counted

_SHOWN = 40


def command(
    draft: Annotated[
        Path,
        typer.Argument(help="The draft: an amendment as Markdown, not yet signed.", metavar="FILE"),
    ],
    first: Annotated[
        str | None,
        typer.Option(
            "--from", help="The first day played; by default that of the usage.", metavar="DAY"
        ),
    ] = None,
    last: Annotated[
        str | None, typer.Option("--until", help="The last day played.", metavar="DAY")
    ] = None,
    as_if: Annotated[
        str | None,
        typer.Option(
            "--effective",
            help="The day from which the draft is played; by default its own, where usage reaches it.",
            metavar="DAY",
        ),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            "--assume",
            help="A figure by name, or with a value; by default those each month was settled with.",
            metavar="NAME[=VALUE]",
        ),
    ] = None,
    reading: options.Readings = None,
    known_at: options.KnownAtFlag = None,
    agreement: options.AgreementOfHome = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Rehearse an amendment that is not signed yet, on recorded traffic and settled months. Nothing
    is changed.

    The draft is placed after the agreement's last amendment; its mistakes are reported with their
    lines. Each recorded request is asked about again, as the agreement is and under the draft:
    which would be refused, or go elsewhere, by which terms. Each settled month is settled both ways
    on the same usage: what each party would gain or lose.

    \b
    What would it have done to the traffic and months on record?
      clauseway agreement rehearse A6.md
    In May, as if it had been signed on 1 May:
      clauseway agreement rehearse A6.md --from 2026-05-01 --until 2026-05-31 --effective 2026-05-01
    An agreement of your own, months not settled yet:
      clauseway agreement rehearse draft.md --agreement ours --assume share-ours=15%
    """
    where = home_at(home)
    days = {
        flag: day_given(day, flag)
        for flag, day in (("--from", first), ("--until", last), ("--effective", as_if))
    }
    real, drafted = open_draft(agreement, draft, where)
    rehearsal = rehearse(
        where,
        real,
        drafted,
        held_prices(home, known_at),
        first=days["--from"],
        last=days["--until"],
        as_if=days["--effective"],
        assume=assume or [],
        readings=readings_of(reading),
    )
    answer(as_json, rehearsal, lambda: _print(console(), rehearsal))
    return 0


def _print(out: Console, rehearsal: Rehearsal) -> None:
    last = rehearsal.days.last_day
    out.print(
        f"Rehearsal of {rehearsal.amendment}, {rehearsal.title} ({rehearsal.draft})",
        style="bold",
    )
    own = (
        "" if rehearsal.as_if == rehearsal.effective else f"; its own day is {rehearsal.effective}"
    )
    played = f"Played from {rehearsal.days.begin} to {last}, as if in effect from {rehearsal.as_if} on{own}."
    print_indented(
        out, f"{played} Known at {rehearsal.known_at}. Nothing was changed.", by=2, style="dim"
    )
    print_indented(
        out,
        f"{counted(rehearsal.requests, 'recorded request')}, {rehearsal.unchanged:,} of them as before.",
        by=2,
    )
    for change, words in MEANINGS.items():
        rows = [row for row in rehearsal.routed if row.what == change]
        if rows:
            count = sum(row.requests for row in rows)
            out.print(
                f"\n  {count:,} {words}" if change != "opened" else f"\n  Requests that {words}",
                style="bold cyan",
            )
            for row in rows[:_SHOWN]:
                _print_row(out, row)
            print_rest(out, len(rows), _SHOWN, by=4)
    for item in rehearsal.not_asked:
        print_indented(
            out,
            f"{item.requests:,} of {item.product} on {item.cloud} were not asked about: {item.why}",
            by=2,
        )
    _print_months(out, rehearsal)
    if rehearsal.changes_nothing:
        out.print("\n  It changes nothing of what was played.", style="bold")


def _print_row(out: Console, row: Routed) -> None:
    place = f"{row.cloud} {row.region}".rstrip()
    days = (
        str(row.first_day)
        if row.first_day == row.last_day
        else f"{row.first_day} to {row.last_day}"
    )
    charged = "charges unknown" if row.charged is None else f"charged {row.charged.normalize():,f}"
    out.print(
        f"    {row.requests:,} of {row.product} on {place}, sold by {row.seller} to {row.segment}: {days}, {charged}",
        soft_wrap=True,
    )
    # The cloud that was taken is named above; others are worth a line.
    if row.clouds and row.clouds != (row.cloud,):
        print_indented(out, f"permitted under the draft: {', '.join(row.clouds)}", by=6)
    sides = (("as it is", row.before), ("draft", row.after))
    outcomes = "; ".join(
        f"{label}: {side.outcome} by {', '.join(side.terms)} ({', '.join(side.places)})"
        for label, side in sides
    )
    print_indented(out, outcomes, by=6, style="dim")
    print_indented(out, f"for example {', '.join(row.samples[:2])}", by=6, style="dim")


def _print_months(out: Console, rehearsal: Rehearsal) -> None:
    if not rehearsal.months:
        out.print("\n  No month of these days is settled; --assume settles them for the rehearsal.")
        return
    sums = ("as it is", "under the draft", "difference")
    table = plain_table("month", "direction", *sums, figures=sums, gap=3)
    for item in rehearsal.months:
        for way in item.beside.directions:
            label = f"{way.payer} pays {way.payee}"
            table.add_row(
                item.period, label, cents(way.real), cents(way.other), signed(way.difference)
            )
        for seller, charges in item.refused.items():
            table.add_row(
                item.period, f"charges of {seller} that would be refused", cents(charges), "", ""
            )
    out.print(Padding(table, (1, 0, 0, 2), expand=False))
    print_gains(out, rehearsal.parties)
    _print_assumed(out, rehearsal)


def _print_assumed(out: Console, rehearsal: Rehearsal) -> None:
    """Print the figures of all months, on either side."""
    for label, sides in (
        ("Assumed, as it is", [item.beside.real_assumptions for item in rehearsal.months]),
        ("Assumed, under the draft", [item.beside.other_assumptions for item in rehearsal.months]),
    ):
        print_assumed(out, label, tuple(dict.fromkeys(figure for side in sides for figure in side)))
