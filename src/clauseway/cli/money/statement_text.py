"""A statement on a terminal: directions, lines with their clauses, totals, assumptions, receipt."""

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from clauseway.cli.console import plain_table, print_indented
from clauseway.web.contexts import StatementContext, StatementSection
from clauseway.wording.dates import day_in_words, days_in_words

_HASH_LENGTH = 64  # SHA-256 in hex


def print_statement(out: Console, statement: StatementContext) -> None:
    """Print the whole statement, as wide as the terminal."""
    out.print(f"\n{statement.title} ({statement.currency})", style="bold")
    for alert in statement.alerts:
        print_indented(
            out,
            f"Open: {alert.what} ({alert.where}): {alert.why}. {alert.remedy}",
            by=2,
            style="red",
        )
    for section in statement.sections:
        _print_section(out, section)
    for total in statement.totals:
        out.print(f"  {total.label}: {total.amount} {statement.currency}", style="bold")
        if total.parts:
            print_indented(out, total.parts, by=4, style="dim")
    for deadline in statement.calendar:
        text = f"{deadline.label}: {deadline.amount} {statement.currency} "
        text += f"through {day_in_words(deadline.through)}, due {day_in_words(deadline.due)}"
        print_indented(out, f"{text}; withheld {deadline.withheld}, paid {deadline.paid}", by=2)
    if statement.assumptions:
        out.print("\n  Assumptions, by name:", style="dim")
    for assumption in statement.assumptions:
        text = f"{assumption.name} = {assumption.in_words}: {assumption.note}"
        print_indented(out, text, by=4, style="dim")
    receipt = " · ".join(f"{line.name} {_short(line.value)}" for line in statement.receipt)
    print_indented(out, receipt, by=2, style="dim")


def _print_section(out: Console, section: StatementSection) -> None:
    days = days_in_words(section.begin, section.end)
    out.print(
        f"\n  {section.payer} pays {section.payee}, {days}: {section.heading}", style="bold cyan"
    )
    sums = ("base", "rate", "amount")
    table = plain_table("line", *sums, "clause", figures=sums, gap=3)
    table.add_column("name", no_wrap=True, style="dim")
    for line in section.lines:
        clauses = ", ".join(f"{cited.document}:{cited.line}" for cited in line.citations)
        table.add_row(line.label, line.base, line.rate, line.amount, clauses, line.id)
    subtotal = Text(section.subtotal, "bold")
    table.add_row(Text("due", "bold"), "", "", subtotal, "", "")
    out.print(Padding(table, (0, 0, 0, 4), expand=False))
    for note in filter(
        None, (section.note, f"Assumed: {section.assumed}" if section.assumed else "")
    ):
        print_indented(out, note, by=4, style="dim")


def _short(value: str) -> str:
    """Return the beginning of a hash, enough to compare by eye; any other value as it is."""
    return f"{value[:12]}…" if len(value) == _HASH_LENGTH else value
