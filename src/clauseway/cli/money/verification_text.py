"""Print a repeated statement and its signatures on a terminal."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.console import Console

from clauseway.app.reports.handed_statements import (
    CANNOT_BE_CHECKED,
    DIFFERS,
    StatementVerification,
)
from clauseway.cli.console import print_indented


def print_verification(out: Console, done: StatementVerification, by: str = "") -> None:
    """Print that the statement is the same, or every difference; `by` names another engine."""
    whom = f" for {_named(done.party)}" if done.party else ""
    verdict = (
        "the same, to the last byte"
        if done.same
        else CANNOT_BE_CHECKED
        if done.is_unchecked
        else "NOT the same"
    )
    title = f"Statement {done.period}{whom}{f' by {by}' if by else ''}: {verdict}"
    out.print(title, style="bold green" if done.same else "bold red")
    print_indented(out, f"statement {done.digest}", by=2, style="dim")
    for remark in done.remarks:
        print_indented(out, remark, by=2, style="yellow")
    for estimate in done.estimates:
        text = f"{estimate.name} = {estimate.value}: {estimate.text}"
        print_indented(out, text, by=2, style="yellow")
    for line in done.lines:
        verdict = line.verdict
        if line.because:
            verdict = f"{verdict}, because: {line.because}"
        elif line.verdict == DIFFERS:
            verdict = f"differs by {line.differs_by:+,.2f}"
        print_indented(out, f"{line.line}  {line.stated:,.2f}  {line.of}: {verdict}", by=2)
    for difference in done.differences:
        print_indented(out, str(difference), by=2)


def print_source(out: Console, source: Any, *, is_begun: bool) -> None:
    """Print something that a pack stands on, and whether this home has the same; without a home
    that was begun, whether this version ships it.

    `source` is a record of `app.reports.packing`, which loads an engine.
    """
    here = "not in this home" if source.here == "not here" else f"{source.here} in this home"
    if not is_begun and source.here == "the same":
        here = "the same as this version ships"
    style = "red" if source.here == "another" else "dim"
    print_indented(out, f"stands on {source.what} {source.digest}: {here}", by=2, style=style)


def print_unnamed(out: Console, months: Sequence[str], named_from: date) -> None:
    """Print the closed months in which a correction that was left out of a pack is not missed."""
    of = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
    text = (
        f"no usage of {of} before {named_from} is named by the statement: a correction left out "
        f"with it is not missed"
    )
    print_indented(out, text, by=2, style="dim")


def _named(party: str) -> str:
    """Return a party's name, in quotes where it could be read on into what is said of it."""
    return repr(party) if " " in party else party


def print_signing(out: Console, signing: Any) -> None:
    """Print who signed, whether each signature holds, and which lines were changed since.

    `signing` is a record of `app.reports.signing`, which needs an extra.
    """
    out.print(f"Signatures in {signing.file}", style="bold")
    for signature in signing.signatures:
        # A signature may be right, and the statement beside it another one.
        is_of_another = signature.valid and bool(signing.changed)
        worth = (
            "NOT of this statement"
            if is_of_another
            else "valid"
            if signature.valid
            else "NOT valid"
        )
        holds = signature.valid and signature.trusted and not is_of_another
        style = "green" if holds else "red"
        print_indented(
            out,
            f"{_named(signature.party)} {signature.role} at {signature.at}: {worth}; {signature.vouched}",
            by=2,
            style=style,
        )
        if signature.unverified:
            print_indented(
                out,
                f"signed without performing it again: {signature.unverified}",
                by=4,
                style="yellow",
            )
        for disputed in signature.disputes:
            print_indented(
                out, f"not line {disputed.line}: {disputed.reason}", by=4, style="yellow"
            )
    if signing.note:
        print_indented(out, signing.note, by=2, style="yellow")
    for edited in signing.edited:
        print_indented(out, edited, by=2, style="red")
    for changed in signing.changed:
        print_indented(out, changed, by=2, style="red")
