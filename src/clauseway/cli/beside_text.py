"""Two settlements side by side on a terminal: lines, directions, what each party gains, and the
figures assumed.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from clauseway.app.reports.amounts import cents, signed
from clauseway.cli.console import plain_table, print_indented
from clauseway.ledger.assumptions import Assumption, in_one_line
from clauseway.ledger.beside import Amounts, PartyBeside, SideBySide
from clauseway.wording.dates import day_in_words

# Records to print: what makes them loads an engine.
if TYPE_CHECKING:
    from clauseway.app.reports.what_if import WhatIf


def print_what_if(out: Console, comparison: "WhatIf") -> None:
    """Print the month as it is and as it would be, and that nothing was posted."""
    out.print(f"\nWhat if: {comparison.period} under {comparison.under} (USD)", style="bold")
    posted = "posted" if comparison.real_is_posted else "as it would be settled now; not posted so"
    print_indented(
        out,
        f"Real: {posted}. Known at {comparison.known_at}. Nothing was posted by this.",
        by=2,
        style="dim",
    )
    print_beside(out, comparison.beside)
    print_assumed(out, "Assumed, real", comparison.beside.real_assumptions)
    if comparison.beside.other_assumptions != comparison.beside.real_assumptions:
        print_assumed(out, "Assumed, if", comparison.beside.other_assumptions)
    receipts = f"receipts: real {comparison.beside.real_receipt[:12]}… · if {comparison.beside.other_receipt[:12]}…"
    print_indented(out, receipts, by=2, style="dim")


def print_beside(out: Console, comparison: SideBySide) -> None:
    """Print lines by direction with totals, then the gain or loss of each party."""
    for direction in comparison.directions:
        out.print(f"\n  {direction.payer} pays {direction.payee}", style="bold cyan")
        sums = ("base", "real", "if", "difference")
        table = plain_table("line", *sums, "clause", figures=sums, gap=3)
        for line in comparison.lines:
            if (line.payer, line.payee) == (direction.payer, direction.payee):
                # A line may stand on one of the two sides alone.
                base = line.real.base or line.other.base
                table.add_row(
                    line.of,
                    f"{base.normalize():,f}",
                    cents(line.real.amount),
                    cents(line.other.amount),
                    signed(line.difference),
                    _clauses(line.real, line.other),
                )
        table.add_row(
            _bold("due"),
            "",
            *map(_bold, (cents(direction.real), cents(direction.other))),
            _bold(signed(direction.difference)),
            "",
        )
        out.print(Padding(table, (0, 0, 0, 4), expand=False))
        for label, ended in (("real", direction.real_ended), ("if", direction.other_ended)):
            if ended is not None:
                last = day_in_words(ended.day - timedelta(days=1))
                where = f"{ended.citation.document}:{ended.citation.line}"
                print_indented(
                    out, f"{label}: nothing is due after {last} ({where}).", by=4, style="dim"
                )
        for label, caps in (("real", direction.real_caps), ("if", direction.other_caps)):
            for cap in caps:
                consumed = cap.opening + cap.consumed_before + cap.consumed
                note = f"{label}: of the cap {cents(cap.cap)}, {cents(consumed)} consumed by the end of the period."
                print_indented(out, note, by=4, style="dim")
    out.print()
    print_gains(out, comparison.parties)


def print_gains(out: Console, parties: Iterable[PartyBeside]) -> None:
    """Print what each party gains or loses."""
    for party in parties:
        verb = "gains" if party.gains > 0 else "loses" if party.gains < 0 else "is as before:"
        out.print(f"  {party.party} {verb} {cents(abs(party.gains))} USD", style="bold")


def print_assumed(out: Console, label: str, assumptions: tuple[Assumption, ...]) -> None:
    """Print every figure used, with its value and standing."""
    named = in_one_line(assumptions)
    print_indented(out, f"{label}: {named or 'nothing'}", by=2, style="dim")


def _clauses(real: Amounts, other: Amounts) -> str:
    sides = [
        ", ".join(f"{item.document}:{item.line}" for item in side.citations) or "–"
        for side in (real, other)
    ]
    return sides[0] if sides[0] == sides[1] else " | ".join(sides)


def _bold(text: str) -> Text:
    return Text(text, "bold")
