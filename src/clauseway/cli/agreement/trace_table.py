"""Print the trace of a decision's terms."""

from collections.abc import Sequence

from rich.table import Table

from clauseway.cli.console import console, print_indented
from clauseway.decisions.trace import Traced


def print_trace(traced: Sequence[Traced]) -> None:
    """Print a table of every term; those that apply come first."""
    out = console()
    out.print("\nTrace", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "term", "where", "finding", "why"):
        table.add_column(name, overflow="fold", no_wrap=name in ("", "finding"))
    for row in traced:
        where = f"{row.document}:{row.line}" if row.line else row.document
        mark, style = ("•", "") if row.applies else ("", "dim")
        of = f"{row.agreement} " if row.agreement else ""
        table.add_row(
            mark, f"{of}{row.term} ({row.kind})", where, row.finding, row.why, style=style
        )
    out.print(table)
    print_indented(out, "• bears on the outcome", by=0, style="dim")
