"""`clauseway export usage`: sealed usage, for another home or program."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.opening.home import home_at
from clauseway.app.opening.periods import days_given
from clauseway.app.opening.places import place_or_output
from clauseway.app.usage.compacting import export_usage
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.written import file_named
from clauseway.values import counted


def usage(
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="FILE")],
    form: Annotated[
        str, typer.Option("--format", help="parquet, cloudevents, or focus (usage rows).")
    ] = "parquet",
    begin: Annotated[
        str, typer.Option("--from", help="First day, as 2026-05-01; by default the first there is.")
    ] = "",
    end: Annotated[
        str, typer.Option("--until", help="Last day, as 2026-05-31; by default the last there is.")
    ] = "",
    home: options.HomeRead = None,
    as_json: options.AsJson = False,
) -> int:
    """Write sealed usage to a file: every record once (Parquet, CloudEvents), or summed by hour
    (FOCUS usage rows).

    `usage import` of another home takes each of them. FOCUS rows say what was used, not what it
    cost.

    \b
    May, record by record:
      clauseway export usage --out may.parquet --from 2026-05-01 --until 2026-05-31
    Everything as events, one per line:
      clauseway export usage --format cloudevents --out usage.jsonl
    """
    out = place_or_output(file_named(out))
    rows = export_usage(home_at(home), form, out, days_given(begin, end))

    def report() -> None:
        # Beside the output, which may be what the file is.
        print(f"{counted(rows, 'row')} in {out}", file=sys.stderr)

    answer(as_json, {"rows": rows, "file": str(out)}, report)
    return 0
