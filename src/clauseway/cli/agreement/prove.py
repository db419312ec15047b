"""`clauseway prove`: a claim over every combination and day of a range."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from clauseway.app.agreements.explaining import Explanation
from clauseway.app.agreements.proving import ProofView, claim_of, prove_claim
from clauseway.app.opening.library import readings_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, print_indented
from clauseway.cli.output import outcome_style
from clauseway.values import counted
from clauseway.wording.names import act_of
from clauseway.wording.outcomes import outcome_word

REFUTED = 2
_Names = list[str] | None


@options.taking(options.ClaimFlags, first=True)
def command(
    flags: msgspec.Struct,
    never: Annotated[
        _Names, typer.Option(help="An outcome that no answer may have. Repeatable.")
    ] = None,
    always: Annotated[
        _Names, typer.Option(help="The outcome that every answer has; repeated, one of them.")
    ] = None,
    from_day: Annotated[
        str | None, typer.Option("--from", help="The first day; by default the first amendment's.")
    ] = None,
    to_day: Annotated[
        str | None, typer.Option("--until", help="The last day; by default there is none.")
    ] = None,
    known_at: options.KnownAtFlag = None,
    reading: options.Readings = None,
    every_reading: Annotated[
        bool,
        typer.Option(
            "--every-reading", help="Under every choice of the readings that --reading leaves open."
        ),
    ] = False,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    as_json: options.AsJson = False,
) -> int:
    """Prove that an outcome never, or always, holds; or print the smallest counterexample.

    Walks every combination of action, party, product or class, cloud, other party and segment (and
    of sellers and regions, where terms tell them apart), on every day of the range, as known at one
    point. A flag that is left out means every value; where no term names sellers, serving is of
    what the party sells itself, unless --seller names another. A class stands, as in decide, for a
    new product of it. The smallest counterexample is that of the earliest day, then of the fewest
    names.

    \b
    Before the fifth amendment nothing lets OpenAI serve its stateless API on AWS, or does it?
      clauseway prove --never permitted --action serve --party openai --product api.stateless --cloud aws --from 2023-01-23 --until 2026-04-26
    To customers of no named segment it does not:
      clauseway prove --never permitted --action serve --party openai --product api.stateless --cloud aws --segment any --from 2023-01-23 --until 2026-04-26
    Together with a reseller's agreement: may it ever sell what neither permits?
      clauseway prove --never permitted --action sell --party reseller --agreement ours --agreement theirs
    Is OpenAI ever kept from a cloud after it, however the sources are read?
      clauseway prove --never forbidden --action serve --party openai --from 2026-04-27 --every-reading

    Exit code: 0 it holds, 2 a counterexample, 3 invalid input, 1 a failure, ours or the machine's.
    """
    view = prove_claim(
        options.opened(agreement, facts, suppose, home),
        claim_of(never or (), always or ()),
        options.within_of(flags),
        from_day=from_day,
        to_day=to_day,
        known_at=known_at,
        reading=readings_of(reading),
        every_option=every_reading,
        suppositions=suppose or (),
    )
    answer(as_json, view, lambda: _print(console(), view))
    return 0 if view.holds else REFUTED


def _print(out: Console, view: ProofView) -> None:
    if view.counterexample is None:
        out.print(Text("HOLDS", "bold green"), Text(view.claim))
    else:
        out.print(Text("COUNTEREXAMPLE", "bold red"), Text(f"to: {view.claim}"))
        _print_counterexample(out, view, view.counterexample)
    until = (
        f"to {view.to_day}, {counted(view.days or 0, 'day')}"
        if view.to_day is not None
        else "on, without end"
    )
    walked = f"{counted(view.combinations, 'combination')} from {view.begin} {until}"
    walked += f", in {counted(view.stretches, 'stretch', 'stretches')}"
    if len(view.readings) > 1:
        walked += f", under each of {len(view.readings)} choices of readings"
    out.print(f"\n{walked}\nknown at {view.known_at}", style="dim")


def _print_counterexample(out: Console, view: ProofView, counterexample: Explanation) -> None:
    asked = counterexample.question
    out.print(
        f"\non {asked.as_of}: {asked.party} {act_of(asked)}:",
        Text(
            outcome_word(counterexample.outcome, asked.action),
            outcome_style(counterexample.outcome),
        ),
    )
    # A claim may fail under one choice of readings and hold under the others.
    if len(view.readings) > 1:
        print_indented(
            out,
            f"read with {', '.join('='.join(choice) for choice in asked.readings.items())}",
            by=2,
        )
    for reason in counterexample.reasons:
        print_indented(out, str(reason), by=2)
    for condition in counterexample.conditions:
        print_indented(out, f"only if: {condition.text}", by=2)
