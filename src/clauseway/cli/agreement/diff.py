"""`clauseway agreement diff`: answers that differ between amendments, days or states of knowledge."""

from typing import Annotated

import typer

from clauseway.app.agreements.comparing import compare_sides
from clauseway.app.opening.library import readings_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, print_indented
from clauseway.values import counted
from clauseway.wording.changes import Comparison


def command(
    amendments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two amendments, or one: before it and with it.", metavar="[AMENDMENT [AMENDMENT]]"
        ),
    ] = None,
    as_of: Annotated[
        list[str] | None,
        typer.Option(
            "--as-of", help="A day; given twice, before and after. By default today (UTC)."
        ),
    ] = None,
    known_at: Annotated[
        list[str] | None,
        typer.Option(
            "--known-at",
            help="A day or an instant; given twice, before and after. By default now. Amendments "
            "are compared as known on the day on which the later takes effect.",
        ),
    ] = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Show everything that is answered otherwise, and nothing else: in sentences, each with the
    clause that decides it.

    Asks every combination of action, party, product, cloud and segment on both sides. Between two
    amendments the text up to the one is compared with the text up to the other, on the day on which
    the later takes effect; where nothing changes on it, as by an extension, on the first later day
    on which something does. With --json every changed combination is listed beside the groups that
    the sentences tell.

    \b
    What did the fifth amendment change?
      clauseway agreement diff A4 A5
    What changes when Microsoft's licence ends?
      clauseway agreement diff --as-of 2032-12-31 --as-of 2033-01-01
    And with two agreements in force at once?
      clauseway agreement diff --as-of 2026-04-26 --as-of 2026-04-27 --agreement ours --agreement theirs
    What did people expect of May before the amendment was known, and what after?
      clauseway agreement diff --as-of 2026-05-01 --known-at 2026-03-31 --known-at 2026-04-30
    """
    opened = options.opened(agreement, facts, suppose, home)
    comparison = compare_sides(
        opened, amendments or (), as_of or (), known_at or (), readings_of(reading)
    )
    answer(as_json, comparison, lambda: _print(comparison))
    return 0


def _print(comparison: Comparison) -> None:
    out = console()
    out.print(f"before: {comparison.before}\nafter:  {comparison.after}", style="dim")
    for rescission in comparison.rescissions:
        out.print()
        print_indented(out, f"{rescission.sentence}.", by=0)
        print_indented(out, rescission.place, by=2, style="dim")
    if comparison.unchanged:
        out.print()
        print_indented(out, comparison.unchanged, by=0)
    for group in comparison.shown.groups:
        out.print()
        print_indented(out, f"{group.sentence}", by=0)
        print_indented(
            out, f"{group.place} · {counted(group.count, 'combination')}", by=2, style="dim"
        )
    if changed := comparison.shown.changed:
        out.print(f"\n{counted(len(changed), 'combination')} answered otherwise")
