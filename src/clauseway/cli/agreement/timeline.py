"""`clauseway agreement timeline`: rights over the years."""

from datetime import timedelta
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from clauseway.app.agreements.timelines import (
    RightsOverTime,
    main_rights,
    rights_over_time,
    svg_of,
)
from clauseway.app.opening.library import known_point, readings_of
from clauseway.app.opening.picture_files import write_pictures
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table
from clauseway.cli.output import outcome_style
from clauseway.decisions.parts import PARTS, Names
from clauseway.values import Problem, refuse_any


@options.taking(options.QuestionFlags, first=True)
def command(
    flags: msgspec.Struct,
    every: Annotated[
        bool, typer.Option("--all", help="The agreement's main rights, instead of one.")
    ] = False,
    first_year: Annotated[
        int | None, options.year("--from", "The first year; by default the agreement's.")
    ] = None,
    last_year: Annotated[
        int | None, options.year("--until", "The last year; by default 2033.")
    ] = None,
    known_at: options.KnownAtFlag = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    svg: options.Svg = None,
    png: options.Png = None,
    as_json: options.AsJson = False,
) -> int:
    """Show a right over the years: the days, the outcome, the clause that decides it, and why.

    \b
    From when on may OpenAI serve GPT-5.5 on AWS?
      clauseway agreement timeline --action serve --party openai --product gpt-5.5 --cloud aws
    Until when is a share due, if the milestone is verified in 2027?
      clauseway agreement timeline --action share-revenue --party openai --to microsoft --suppose milestone=2027-01-01
    What a reseller may sell by its own agreement and another together:
      clauseway agreement timeline --action sell --party reseller --product app --agreement ours --agreement theirs
    The main rights, as one picture:
      clauseway agreement timeline --all --from 2023 --until 2033 --svg rights.svg
    """
    opened, readings = options.opened(agreement, facts, suppose, home), readings_of(reading)
    named = options.named_by(flags)
    if every:
        _refuse_names(named)
        moment = known_point(known_at)
        rights = main_rights(opened, moment, readings)
    else:
        options.check_named(named, "a timeline is of one right, or of --all", "Give {}, or --all.")
        question = opened.question(known_at=known_at, reading=readings, **named.given())
        moment, rights = question.known_at, [question]
    view = rights_over_time(opened, rights, moment, first_year, last_year)
    if svg is not None or png is not None:
        write_pictures(svg_of(view), svg, png)
    answer(as_json, view, lambda: _print(view))
    return 0


def _refuse_names(named: Names) -> None:
    """Raise InvalidInput for each part of a question that stands beside --all."""
    problems = [
        Problem(
            what="it has no meaning here",
            why="--all chooses the rights",
            where=part.flag,
            remedy=f"Leave {part.flag} out.",
        )
        for part in PARTS
        if getattr(named, part.name) != part.default
    ]
    refuse_any(problems)


def _print(view: RightsOverTime) -> None:
    out = console()
    out.print(
        f"{view.title}, {view.begin.year} to {view.end.year - 1} · known at {view.known_at}",
        style="dim",
    )
    for row in view.rights:
        out.print(f"\n{row.right}", style="bold")
        table = plain_table("from", "through", "outcome", "clause", "why")
        for span in row.spans:
            table.add_row(
                str(span.begin),
                str(span.end - timedelta(days=1)),
                Text(span.word, outcome_style(span.outcome)),
                span.clause,
                span.why,
            )
        out.print(table)
