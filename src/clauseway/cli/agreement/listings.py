"""`clauseway agreement listings`: listing histories, compared with the agreement."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from clauseway.app.agreements.launch_audit import (
    AuditRow,
    AuditView,
    EvidenceRow,
    ProviderRow,
    launch_audit,
    listed_prices,
)
from clauseway.app.opening.library import chosen_by_name, readings_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, plain_table
from clauseway.decisions import Bound, Order

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
BREACH = 2

_Listings = Annotated[
    Path | None,
    typer.Option("--listings", help="CSV of listing events; by default the sample that ships."),
]
_STYLES = {Order.FIRST: "green", Order.LATER: "red", Order.CANNOT_TELL: "yellow"}


@app.callback()
def _listings() -> None:
    """Listing histories, compared with the agreement."""


@app.command()
def launches(
    listings: _Listings = None,
    known_at: options.KnownAtFlag = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeIfNamed = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a provider hosts: a cloud, resale or unknown. Repeatable.",
            metavar="NAME=HOST",
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Did every product ship first on the cloud that the agreement puts first?

    Evidence are the listings (a listing says: offered by this day at the latest) and the recorded
    launches. Where it cannot tell, that is said: one day for both, one commit, listed already when
    observation began, a listing that may lag, resellers only. A reseller of Azure-hosted models is
    not another host. No listing says who resells, so each reseller is an assumption by name, and
    --provider says otherwise. Open weights are outside the clause.

    \b
    Every product, from the sample that ships:
      clauseway agreement listings launches
    What could one have said at the end of May 2026?
      clauseway agreement listings launches --known-at 2026-05-31
    And if Databricks hosts what it lists on AWS?
      clauseway agreement listings launches --provider databricks=aws
    And if the clause bound the older products too?
      clauseway agreement listings launches --reading R5=all

    Exit code: 0 no breach is evidenced (which is not: all is well; see "cannot tell"), 2 one is, 3
    invalid input.
    """
    opened = options.opened_one(agreement, facts, suppose, home)
    hosts = chosen_by_name(
        provider, "--provider", "a provider's host", "Write NAME=HOST, as databricks=aws."
    )
    view = launch_audit(opened, listings, known_at, readings_of(reading), hosts)
    answer(as_json, view, lambda: _print(console(), view))
    return BREACH if view.breaches else 0


@app.command()
def prices(
    model: Annotated[str, typer.Option("--model", help="The model, as gpt-5.")],
    listings: _Listings = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Only the prices in force on this day.")
    ] = None,
    known_at: options.KnownAtFlag = None,
    as_json: options.AsJson = False,
) -> int:
    """Show a model's prices as providers stated them: in force from when, known since when.

    A price that only gains digits (0.13, then 0.125) corrects the one before and was in force since
    that was.

    \b
    What was gpt-5's cached price in September 2025, as known then, and as known now?
      clauseway agreement listings prices --model gpt-5 --as-of 2025-09-01 --known-at 2025-09-01
      clauseway agreement listings prices --model gpt-5 --as-of 2025-09-01
    """
    rows = listed_prices(model, listings, as_of, known_at)

    def show() -> None:
        table = plain_table(
            "provider", "in", "out", "cached in", "in force by", "known since", "commit", "corrects"
        )
        for row in rows:
            stated = (row.input or "–", row.output or "–", row.cache_read or "–")
            table.add_row(
                row.provider, *stated, str(row.effective), row.known, row.commit, row.corrects
            )
        out = console()
        out.print(f"{model}, USD per million tokens", style="bold")
        out.print(table)

    answer(as_json, rows, show)
    return 0


def _print(out: Console, view: AuditView) -> None:
    readings = ", ".join(f"{name}={option}" for name, option in view.readings.items())
    out.print(f"Did it ship on {view.first} first? {view.title}", style="bold")
    out.print(f"{view.listings} · known at {view.known_at} · readings {readings}", style="dim")
    # Products on no other cloud, and those outside the clause, are listed by name below.
    elsewhere = [row for row in view.rows if row.cloud and row.order is not Order.OUTSIDE]
    table = plain_table(
        "product", "other cloud", f"on {view.first} by", "there by", "order", "bound"
    )
    for row in elsewhere:
        days = (_day(row.on_first), _day(row.elsewhere))
        table.add_row(
            row.product, row.cloud, *days, row.order, row.bound, style=_STYLES.get(row.order, "")
        )
    out.print(table if elsewhere else "Nothing is known to be on another cloud.")
    for row in elsewhere:
        _print_evidence(out, view.first, row)
    _print_names(out, f"On {view.first} and on no other cloud", _only(view, True))
    for row in _only(view, True):
        if row.bound is Bound.CANNOT_TELL:
            out.print(f"  {row.product}: {row.why_bound}", style="dim", soft_wrap=True)
    _print_names(out, "Seen directly or at resellers only, on no cloud", _only(view, False))
    _print_names(
        out, "Outside the clause (open weights)", [r for r in view.rows if r.order is Order.OUTSIDE]
    )
    _print_providers(out, view.providers)
    count = "One breach is" if view.breaches == 1 else f"{view.breaches or 'No'} breaches are"
    verdict = f"{count} evidenced."
    undecided = sum(row.order is Order.CANNOT_TELL for row in view.rows)
    out.print(f"\n{verdict} Where the evidence cannot tell: {undecided}.", style="bold")


def _print_evidence(out: Console, first: str, row: AuditRow) -> None:
    out.print(f"\n{row.product} on {row.cloud}: {row.why}", style="bold")
    for cloud, rows in ((first, row.on_first), (row.cloud, row.elsewhere)):
        for evidence in rows:
            by = "by" if evidence.listed else "on"
            out.print(
                f"  {cloud}: {by} {evidence.day}, {evidence.evidence} (known {evidence.known})",
                soft_wrap=True,
            )
    term = f", {row.term}" if row.term else ""
    out.print(f"  bound: {row.bound}: {row.why_bound}{term}", soft_wrap=True)


def _print_names(out: Console, title: str, rows: Iterable[AuditRow]) -> None:
    """Print products that need no evidence of order, with the clause that binds or may bind them."""
    names = [
        row.product if row.bound is Bound.NO else f"{row.product} (bound: {row.bound})"
        for row in rows
    ]
    if names:
        out.print(f"\n{title}: {', '.join(dict.fromkeys(names))}.", style="dim")


def _print_providers(out: Console, providers: Sequence[ProviderRow]) -> None:
    """Print who says where each provider's listings are launches."""
    for standing, title in (
        (
            "assumed",
            "Assumed by name, on no listing's evidence (--provider NAME=HOST says otherwise)",
        ),
        ("chosen", "As chosen with --provider"),
    ):
        rows = [provider for provider in providers if provider.standing == standing]
        if rows:
            out.print(f"\n{title}:", style="dim")
        for provider in rows:
            out.print(f"  {provider.provider}: {provider.why}", style="dim", soft_wrap=True)


def _only(view: AuditView, on_first: bool) -> list[AuditRow]:
    nowhere = [row for row in view.rows if row.order is Order.NOWHERE_ELSE]
    return [row for row in nowhere if bool(row.on_first) is on_first]


def _day(evidence: Sequence[EvidenceRow]) -> str:
    return str(evidence[0].day) if evidence else "–"
