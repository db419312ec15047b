"""`clauseway gateway models`: models of the catalog, their names, and the gaps of each surface."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from clauseway.app.books.settled import now
from clauseway.app.opening.library import day_given
from clauseway.app.opening.offerings import Lacking, ModelKnown, lacking_on, models_on
from clauseway.catalog import SURFACES
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.values import check_known


def command(
    product: Annotated[
        str, typer.Argument(help="One product; by default all.", metavar="[PRODUCT]")
    ] = "",
    surface: Annotated[
        str, typer.Option(help="Show what this surface lacks instead, with sources.")
    ] = "",
    as_of: options.AsOf = None,
    as_json: options.AsJson = False,
) -> int:
    """Show models: what they hold, their names and retirements; or what a surface lacks, and who
    says so.

    \b
    All of them:
      clauseway gateway models
    What Bedrock's mantle lacked on a day:
      clauseway gateway models gpt-5.5 --surface bedrock-mantle --as-of 2026-09-30
    """
    day = day_given(as_of, "--as-of") or now().day
    if surface:
        check_known("--surface", [surface], SURFACES, "the matrix has no such surface")
        lacking = lacking_on(surface, product, day)
        answer(
            as_json,
            {"as_of": day, "surface": surface, "lacks": lacking},
            lambda: _print_lacking(surface, lacking),
        )
        return 0
    models = models_on(product, day)
    answer(as_json, {"as_of": day, "models": models}, lambda: _print_models(models))
    return 0


def _print_lacking(surface: str, lacking: Sequence[Lacking]) -> None:
    out = console()
    for row in lacking:
        out.print(f"{row.capability}: {row.source}", soft_wrap=True)
    if not lacking:
        out.print(f"Nothing is known to be lacking on {surface}.")


def _print_models(models: Sequence[ModelKnown]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("product", "kind"):
        table.add_column(name)
    for name in ("holds", "answers"):
        table.add_column(name, justify="right")
    for name in ("other names", "retired"):
        table.add_column(name, overflow="fold")
    for row in models:
        ended = "; ".join(
            f"{end.vendor} {end.day}" + (f" → {end.successor}" if end.successor else "")
            for end in row.ends
        )
        table.add_row(
            row.product,
            row.kind,
            f"{row.context_tokens_max:,}" if row.context_tokens_max else "",
            f"{row.output_tokens_max:,}" if row.output_tokens_max else "",
            ", ".join(row.names),
            ended,
        )
    out = console()
    out.print(table)
    out.print("Tokens; what a surface holds otherwise stands in models.csv.", style="dim")
