"""Print the changes that would lead to another decision, and how agreements answer alone."""

from collections.abc import Sequence

from clauseway.app.agreements.explaining import OwnAnswer
from clauseway.cli.output import Lines, Styled, outcome_style
from clauseway.decisions.searches.change import WouldChange
from clauseway.wording.decided import RECORD_PRODUCT
from clauseway.wording.outcomes import outcome_word


def print_would_change(out: Lines, changes: Sequence[WouldChange], action: str) -> None:
    """Print one line for each way to another outcome."""
    if not changes:
        out.line("\nNothing recorded or written would change this.")
        return
    out.line("\nWhat would change this", style="bold")
    for change in changes:
        out.line(
            f"  {_introduction(change)}: ",
            Styled(outcome_word(change.outcome, action), outcome_style(change.outcome)),
            Styled(f" ({', '.join(change.agreements)})" if change.agreements else "", "dim"),
            whole=True,
        )


def print_how_to_name(out: Lines, product: str) -> None:
    """Print the command that gives a product the class by which terms reach it."""
    out.line(
        f"\nNo agreement asked names {product}, so its class is not known. "
        "Once its class is recorded, it is decided like any other of that class:",
        whole=True,
    )
    out.line(f"  {RECORD_PRODUCT.format(product=product)}", whole=True)


def _introduction(change: WouldChange) -> str:
    """Return the words that introduce a change, by its kind."""
    words = {
        "later": f"from {change.as_of}",
        "earlier": f"up to {change.as_of}",
        "knowledge": f"as known at the end of {change.known_at}",
        "fact": f"with {' and '.join(change.suppose)}",
        "reading": f"read with {change.reading}",
    }
    return words[change.kind]


def print_answers(out: Lines, answers: Sequence[OwnAnswer], action: str) -> None:
    """Print the answer of each of several agreements alone."""
    out.line("\nEach for itself", style="bold")
    for row in answers:
        out.line(
            f"  {row.agreement}: ",
            Styled(outcome_word(row.outcome, action), outcome_style(row.outcome)),
            whole=True,
        )
