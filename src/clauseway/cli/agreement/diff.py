"""`clauseway agreement diff`: answers that differ between amendments, days or states of knowledge."""

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from clauseway.app.agreements.comparing import compare_amendments, compare_days
from clauseway.app.opening.library import OpenAgreement, known_point, readings_of
from clauseway.app.opening.several import Opened
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.output import console, print_indented
from clauseway.values import InvalidInput, Problem, parse_day
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
    the later takes effect. With --json every changed combination is listed beside the groups that
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
    names, days, points = amendments or [], as_of or [], known_at or []
    _refuse_sides(names, days, points)
    opened, readings = options.opened(agreement, facts, suppose, home), readings_of(reading)
    if names:
        comparison = compare_amendments(_only_one(opened), names, readings)
    else:
        asked = [parse_day(day, "--as-of") for day in days] or [_today()]
        moments = [known_point(point) for point in points] or [known_point(None)]
        comparison = compare_days(opened, asked, moments, readings)
    answer(as_json, comparison, lambda: _print(comparison))
    return 0


def _today() -> date:
    return datetime.now(UTC).date()


def _refuse_sides(names: list[str], days: list[str], points: list[str]) -> None:
    """Raise InvalidInput unless there are two amendments, two days or two points of knowledge."""
    if names and (days or points):
        why, todo = (
            "amendments bring their own days",
            "Name amendments, or days with --as-of and --known-at.",
        )
    elif len(names) > 2 or (not names and max(len(days), len(points)) != 2):
        why, todo = (
            "a comparison has two sides",
            "Write `diff A4 A5`, or give --as-of or --known-at twice.",
        )
    else:
        return
    raise InvalidInput(Problem(what="these are not two sides", why=why, where="diff", todo=todo))


def _only_one(opened: Opened) -> OpenAgreement:
    """Return the agreement whose amendments are compared. Raise InvalidInput if there are several."""
    if isinstance(opened, OpenAgreement):
        return opened
    why, todo = (
        "each has amendments of its own",
        "Give one --agreement, or compare days with --as-of twice.",
    )
    mistake = "several agreements have no one amendment"
    raise InvalidInput(Problem(what=mistake, why=why, where="--agreement", todo=todo))


def _print(comparison: Comparison) -> None:
    out = console()
    out.print(f"before: {comparison.before}\nafter:  {comparison.after}", style="dim")
    for rescission in comparison.rescissions:
        out.print()
        print_indented(out, f"{rescission.sentence}.", by=0)
        print_indented(out, rescission.place, by=2, style="dim")
    for group in comparison.groups:
        out.print()
        print_indented(out, f"{group.sentence}", by=0)
        print_indented(out, f"{group.place} · {_count(group.count)}", by=2, style="dim")
    out.print(
        f"\n{_count(len(comparison.changed))} answered otherwise"
        if comparison.changed
        else "\nNothing changes."
    )


def _count(number: int) -> str:
    return f"{number:,} combination{'' if number == 1 else 's'}"
