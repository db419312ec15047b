"""`clauseway agreement rehearse`: what a draft amendment would have changed."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import day_given, readings_of
from clauseway.app.reports.rehearsing import MEANINGS, Rehearsal, Routed, open_draft, rehearse
from clauseway.cli import options
from clauseway.cli.beside_text import cents, print_assumed, signed
from clauseway.cli.held import held_prices
from clauseway.cli.output import console, print_indented, print_json

_SHOWN = 40


def command(
    draft: Annotated[
        Path,
        typer.Argument(
            help="The draft: an amendment as Markdown, not yet signed.", metavar="DRAFT.md"
        ),
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
    known_at: options.KnownAt = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Rehearse an amendment that is not signed yet, on recorded traffic and settled months. Nothing is changed.

    The draft is placed after the agreement's last amendment; what is wrong in it is told with its lines. Each recorded
    request is asked about again, as the agreement is and under the draft: which would be refused, or go elsewhere, by
    which terms. Each settled month is settled both ways on the same usage: what each party would gain or lose.

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
    found = rehearse(
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
    if as_json:
        print_json(found)
    else:
        _print(console(), found)
    return 0


def _print(out: Console, found: Rehearsal) -> None:
    last = found.days.end - timedelta(days=1)
    out.print(
        f"Rehearsal of {found.amendment}, {found.title} ({found.draft})", style="bold", markup=False
    )
    own = "" if found.as_if == found.effective else f"; its own day is {found.effective}"
    played = (
        f"Played from {found.days.begin} to {last}, as if in effect from {found.as_if} on{own}."
    )
    print_indented(
        out, f"{played} Known at {found.known_at}. Nothing was changed.", by=2, style="dim"
    )
    print_indented(
        out, f"{found.requests:,} recorded requests, {found.unchanged:,} of them as before.", by=2
    )
    for what, words in MEANINGS.items():
        rows = [row for row in found.routed if row.what == what]
        if rows:
            count = sum(row.requests for row in rows)
            out.print(
                f"\n  {count:,} {words}" if what != "opened" else f"\n  Requests that {words}",
                style="bold cyan",
            )
            for row in rows[:_SHOWN]:
                _print_row(out, row)
    for one in found.not_asked:
        print_indented(
            out,
            f"{one.requests:,} of {one.product} on {one.cloud} were not asked about: {one.why}",
            by=2,
        )
    _print_months(out, found)
    if found.changes_nothing:
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
        markup=False,
        soft_wrap=True,
    )
    if row.clouds and row.clouds != (row.cloud,):
        print_indented(out, f"permitted under the draft: {', '.join(row.clouds)}", by=6)
    sides = (("as it is", row.before), ("draft", row.after))
    told = "; ".join(
        f"{label}: {side.outcome} by {', '.join(side.terms)} ({', '.join(side.places)})"
        for label, side in sides
    )
    print_indented(out, told, by=6, style="dim")
    print_indented(out, f"for example {', '.join(row.samples[:2])}", by=6, style="dim")


def _print_months(out: Console, found: Rehearsal) -> None:
    if not found.months:
        out.print("\n  No month of these days is settled; --assume settles them for the rehearsal.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("month")
    table.add_column("direction", overflow="fold")
    for column in ("as it is", "under the draft", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in found.months:
        for way in one.beside.directions:
            label = f"{way.payer} pays {way.payee}"
            table.add_row(
                one.period, label, cents(way.real), cents(way.other), signed(way.difference)
            )
        for seller, charges in one.refused.items():
            table.add_row(
                one.period, f"charges of {seller} that would be refused", cents(charges), "", ""
            )
    out.print(Padding(table, (1, 0, 0, 2), expand=False))
    for party in found.parties:
        verb = "gains" if party.gains > 0 else "loses" if party.gains < 0 else "is as before:"
        out.print(f"  {party.party} {verb} {cents(abs(party.gains))} USD", style="bold")
    _print_assumed(out, found)


def _print_assumed(out: Console, found: Rehearsal) -> None:
    """The figures of all months, on either side."""
    for label, sides in (
        ("Assumed, as it is", [one.beside.real_assumptions for one in found.months]),
        ("Assumed, under the draft", [one.beside.other_assumptions for one in found.months]),
    ):
        print_assumed(out, label, tuple(dict.fromkeys(figure for side in sides for figure in side)))
