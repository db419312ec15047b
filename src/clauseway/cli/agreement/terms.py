"""`clauseway agreement terms`: what is in force."""

from datetime import date, timedelta
from typing import Annotated

import typer

from clauseway.app.agreements.term_rows import TermRow, TermsView, terms_view
from clauseway.app.opening.library import readings_of
from clauseway.app.opening.several import each_of, own_readings
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table


def command(
    as_of: options.AsOf = None,
    known_at: options.KnownAtFlag = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    ended: Annotated[
        bool, typer.Option("--ended", help="Also those that have ended, and what ended them.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Show what is in force on a day, as known on a day: each term with its clause, and the clauses
    in prose only.

    \b
    What was in force when the fifth amendment began?
      clauseway agreement terms --as-of 2026-04-27
    And what did people expect of that day a month earlier?
      clauseway agreement terms --as-of 2026-04-27 --known-at 2026-03-27
    """
    opened = options.opened(agreement, facts, suppose, home)
    views = [
        terms_view(
            member,
            as_of,
            known_at,
            own_readings(opened, member, readings_of(reading)),
            with_ended=ended,
        )
        for member in each_of(opened)
    ]

    def show() -> None:
        for view in views:
            _print(view)

    answer(as_json, views[0] if len(views) == 1 else {"agreements": views}, show)
    return 0


def _print(view: TermsView) -> None:
    out = console()
    out.print(f"{view.title}, as of {view.as_of} · known at {view.known_at}", style="bold")
    table = plain_table("term", "kind", "says", "ends", "clause")
    for row in view.terms:
        table.add_row(
            row.term,
            row.kind,
            row.text,
            _end(row),
            f"{row.document}:{row.line}",
            style="" if row.in_force else "dim",
        )
    out.print(table)
    if not view.terms:
        out.print("No term is both in force and known.")
    for clause in view.not_formalised:
        out.print(
            f"not formalised: {clause.amendment} {clause.number} {clause.title} ({clause.document}:{clause.line})",
            style="dim",
        )


def _end(row: TermRow) -> str:
    """Return a term's last day, as its agreement writes it, or the event that ends it."""
    if row.until:
        again = f", again from {row.again}" if row.again else ""
        return f"through {date.fromisoformat(row.until) - timedelta(days=1)}{again}"
    return f"until {row.until_event}" if row.until_event else ""
