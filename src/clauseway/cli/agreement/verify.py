"""`clauseway verify`: ask a recorded question again, and say whether the answer is the same."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from clauseway.app.agreements.explaining import DecisionVerification, read_explanation, verify
from clauseway.app.opening.places import read_bytes, read_within
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, print_indented
from clauseway.cli.output import outcome_style
from clauseway.values import InvalidInput
from clauseway.wording.names import act_of
from clauseway.wording.outcomes import outcome_word

DIFFERS = 2
STANDARD_INPUT = "-"
# With the traces of six agreements a receipt has some hundred kilobytes.
_RECEIPT_BYTES_MAX = 16 << 20


def command(
    receipt: Annotated[
        str, typer.Argument(help="A file with what `decide --json` printed; - for standard input.")
    ],
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Repeat a decision from its receipt: the same question, readings, suppositions and both
    clocks, asked again.

    Says whether outcome, reasons, engine version and the hashes of agreement and facts are the
    same, and which are not. Where the decision was made with --agreement or --facts, give them
    again.

    \b
    Keep a decision, and check it later:
      clauseway decide --action serve --party openai --product gpt-5.5 --cloud aws --json > receipt.json
      clauseway verify receipt.json
    From a pipe:
      clauseway verify - < receipt.json

    Exit code: 0 the same, 2 it differs, 3 the receipt cannot be read or asked, 1 a failure, ours or
    the machine's.
    """
    recorded = read_explanation(receipt, _read(receipt))
    verification = verify(options.opened(agreement, facts, home=home), recorded)
    answer(as_json, verification, lambda: _print(verification))
    return 0 if verification.same else DIFFERS


def _read(receipt: str) -> bytes:
    try:
        if receipt == STANDARD_INPUT:
            return read_within(sys.stdin.buffer, _RECEIPT_BYTES_MAX)
        return read_bytes(Path(receipt), _RECEIPT_BYTES_MAX)
    except OSError as error:
        raise InvalidInput.of(
            what="the receipt cannot be read",
            why=error.strerror or str(error),
            where=receipt,
            remedy="Name the file that holds what `clauseway decide --json` printed.",
        ) from None


def _print(verification: DecisionVerification) -> None:
    out = console()
    if verification.same:
        out.print("SAME", style="bold green")
        _print_answer(out, verification)
        for note in verification.notes:
            print_indented(
                out, f"The {note.what} was edited since, without a change of meaning.", by=2
            )
        out.print(f"receipt {verification.recorded.id}", style="dim")
        return
    out.print("DIFFERS", style="bold red")
    _print_answer(out, verification)
    for difference in verification.differences:
        out.print(f"\n{difference.what}", style="bold")
        print_indented(out, f"recorded: {difference.recorded}", by=2)
        print_indented(out, f"now:      {difference.now}", by=2)


def _print_answer(out: Console, verification: DecisionVerification) -> None:
    """Print the question and the answer now: people do not read the receipt itself."""
    asked = verification.question
    word = outcome_word(verification.outcome, asked.action).upper()
    style = outcome_style(verification.outcome)
    print_indented(out, f"{word} {asked.party}: {act_of(asked)}", by=2, style=style)
    print_indented(out, f"as of {asked.as_of} · known at {asked.known_at}", by=2, style="dim")
    readings = [f"{name}={reading}" for name, reading in sorted(asked.readings.items())]
    for words, items in (("read with", readings), ("supposing", asked.suppositions)):
        if items:
            print_indented(out, f"{words} {', '.join(items)}", by=2)
