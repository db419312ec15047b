"""What came of repeating a statement, on a terminal."""

from rich.console import Console

from clauseway.app.verifying import Verification
from clauseway.cli.output import print_indented


def print_verification(out: Console, done: Verification) -> None:
    """The same, or every difference."""
    whom = f" for {done.party}" if done.party else ""
    verdict = "the same, to the last byte" if done.same else "NOT the same"
    out.print(f"Statement {done.period}{whom}: {verdict}", style="bold green" if done.same else "bold red")
    print_indented(out, f"statement {done.digest}", by=2, style="dim")
    for remark in done.remarks:
        print_indented(out, remark, by=2, style="yellow")
    for difference in done.differences:
        print_indented(out, str(difference), by=2)
