"""`clauseway agreement brief`: an amendment on a page."""

import sys
from typing import Annotated

import typer

from clauseway.app.agreements.briefing import brief
from clauseway.app.opening.library import known_point, readings_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.wording.brief_page import markdown_of


def command(
    amendment: Annotated[str, typer.Argument(help="The amendment: A1, A2, …")],
    known_at: Annotated[
        str | None,
        typer.Option(
            "--known-at",
            help="What was known by the end of this day, or by this instant; by default the day on "
            "which the amendment takes effect (or is known), and of the facts since then now.",
        ),
    ] = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Tell an amendment on a page of Markdown: what happened, why it matters, key numbers, quick
    answers.

    Each sentence comes from the amendment's terms and changes, from what is answered otherwise and
    from the recorded facts, and names its clause, line and source. Figures that were never
    disclosed are named as such.

    \b
    The fifth amendment in brief:
      clauseway agreement brief A5
    As one could have told it when May 2026 ended, without what was recorded later:
      clauseway agreement brief A5 --known-at 2026-05-31
    The same with the exception to ship-first read otherwise, as a file:
      clauseway agreement brief A5 --reading R1=or > A5-brief.md
    """
    moment = known_point(known_at) if known_at is not None else None
    page = brief(
        options.opened_one(agreement, facts, suppose, home), amendment, readings_of(reading), moment
    )
    answer(as_json, page, lambda: sys.stdout.write(markdown_of(page)))
    return 0
