"""Print the changes that would lead to another decision, and the trace of its terms."""

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clauseway.app.agreements.explaining import OwnAnswer
from clauseway.cli.output import outcome_style, print_indented
from clauseway.decisions.searches.change import WouldChange
from clauseway.decisions.trace import Traced
from clauseway.wording.decided import RECORD_PRODUCT
from clauseway.wording.outcomes import outcome_word


def print_would_change(out: Console, changes: Sequence[WouldChange], action: str) -> None:
    """Print one line for each way to another outcome."""
    if not changes:
        out.print("\nNothing recorded or written would change this.")
        return
    out.print("\nWhat would change this", style="bold")
    for change in changes:
        line = (
            Text("  ")
            .append(f"{_when(change)}: ")
            .append(outcome_word(change.outcome, action), outcome_style(change.outcome))
        )
        line.append(f" ({', '.join(change.agreements)})" if change.agreements else "", "dim")
        out.print(line, soft_wrap=True)


def print_how_to_name(out: Console, product: str) -> None:
    """Print the command that gives a product the class by which terms reach it."""
    out.print(
        f"\nNo agreement asked names {product}, so its class is not known. "
        "Once its class is recorded, it is decided like any other of that class:",
        soft_wrap=True,
    )
    out.print(f"  {RECORD_PRODUCT.format(product=product)}", soft_wrap=True, markup=False)


def _when(change: WouldChange) -> str:
    """The words for an entry's kind."""
    words = {
        "later": f"from {change.as_of}",
        "earlier": f"up to {change.as_of}",
        "knowledge": f"as known at the end of {change.known_at}",
        "fact": f"with {' and '.join(change.suppose)}",
        "reading": f"read with {change.reading}",
    }
    return words[change.kind]


def print_answers(out: Console, answers: Sequence[OwnAnswer], action: str) -> None:
    """Print the answer of each of several agreements alone."""
    out.print("\nEach for itself", style="bold")
    for row in answers:
        out.print(
            Text(f"  {row.agreement}: ").append(
                outcome_word(row.outcome, action), outcome_style(row.outcome)
            ),
            soft_wrap=True,
        )


def print_trace(out: Console, traced: Sequence[Traced] | msgspec.UnsetType) -> None:
    """Print a table of every term; those that apply come first."""
    # Unset where no trace was asked for.
    if isinstance(traced, msgspec.UnsetType):
        return
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
