"""`clauseway decide`: one question, one decision."""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clauseway.app.agreements.explaining import Explanation, explain
from clauseway.app.opening.library import readings_of
from clauseway.app.opening.several import Opened
from clauseway.cli import options
from clauseway.cli.agreement.explanation import (
    print_answers,
    print_how_to_name,
    print_would_change,
)
from clauseway.cli.answers import answer
from clauseway.cli.command_line import check_unread
from clauseway.cli.output import Lines, Styled, indented, lines, outcome_style
from clauseway.decisions import Outcome, Question, Reason
from clauseway.values import InvalidInput, Problem, counted
from clauseway.wording.decided import from_source
from clauseway.wording.names import act_of
from clauseway.wording.outcomes import outcome_word

NOT_PERMITTED, INVALID = 2, 3


@options.taking(options.QuestionFlags, first=True)
def command(
    flags: msgspec.Struct,
    context: typer.Context,
    as_of: options.AsOf = None,
    known_at: options.KnownAtFlag = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolders = None,
    home: options.HomeIfNamed = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Also every term, and why it did or did not apply.")
    ] = False,
    batch: Annotated[
        Path | None,
        typer.Option(
            help="A file of questions (.parquet, .csv, .jsonl), its columns named like the flags; "
            "columns of other names are kept. Several readings or suppositions in one cell "
            "are separated by ;"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the answers to --batch go; by default JSON lines are printed."),
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Ask the agreement: who may do what, where and when, and why.

    Prints the outcome (permitted, forbidden, conditional or unstated; of a revenue share: due or
    not due), the deciding terms with document, line and
    source, what would have to be recorded, what would change the answer, and both clocks.
    Conditional: nothing forbids it, but something must be recorded first (a grant, an offer, a
    launch).

    \b
    May OpenAI serve its API on AWS in March 2026?
      clauseway decide --action serve --party openai --product api.stateless --cloud aws --as-of 2026-03-15
    What was to be expected of May when March ended?
      clauseway decide --action serve --party openai --product gpt-5.5 --cloud aws --as-of 2026-05-01 --known-at 2026-03-31
    Is a share due once the milestone is verified?
      clauseway decide --action share-revenue --party openai --to microsoft --as-of 2027-06-01 --suppose milestone=2027-01-01
    What if ship-first is read with "or"?
      clauseway decide --action serve --party openai --product new-model --cloud aws --as-of 2026-05-01 --reading R1=or --suppose answer:new-model:can+declines=2026-04-29

    Which terms were looked at, and why did each apply or not?
      clauseway decide --action serve --party openai --product gpt-5.5 --cloud aws --as-of 2026-05-01 --trace
    With a second agreement in force beside the first, and what does each of them say?
      clauseway decide --agreement ours --agreement theirs --action sell --party partner --product assistant --cloud partner-cloud
    A receipt to verify later:
      clauseway decide --action serve --party openai --product gpt-5.5 --cloud aws --as-of 2026-05-01 --json > receipt.json
    Ten million questions at once; flags hold for what a row leaves out, and an invalid row says why:
      clauseway decide --batch questions.parquet --out answers.parquet --as-of 2026-05-01

    Exit code: 0 permitted, 2 any other outcome, 3 invalid question, 1 a failure, ours or the
    machine's. With --batch: 0, or 3 if any row was invalid.
    """
    named, asked = options.named_by(flags), options.opened(agreement, facts, home=home)
    if batch is not None:
        check_unread(context, {"trace": "a file of questions gets answers without their traces"})
        given = named.named() | {"as_of": as_of or "", "known_at": known_at or ""}
        given |= {"reading": ";".join(reading or ()), "suppose": ";".join(suppose or ())}
        return _decide_batch(
            asked, batch, out, {name: value for name, value in given.items() if value}
        )
    check_unread(context, {"out": "one answer is printed"})
    options.check_named(
        named, "a question names it", "Name it, or ask a file of questions with --batch."
    )
    opened, question = asked.asking(
        suppose or (),
        as_of=as_of,
        known_at=known_at,
        reading=readings_of(reading),
        **named.given(),
    )
    decision = explain(opened, question, suppositions=suppose or (), with_trace=trace)
    # Of a product that no agreement knows it is told how to name it, not what would change.
    is_named = not named.product or opened.catalog.names_product(named.product)
    answer(as_json, decision, lambda: _print(lines(), question, decision, is_named=is_named))
    return 0 if decision.outcome is Outcome.PERMITTED else NOT_PERMITTED


def _decide_batch(
    opened: Opened, source: Path, target: Path | None, otherwise: Mapping[str, str]
) -> int:
    try:
        # Columns need PyArrow, which only the larger installation brings.
        answering = importlib.import_module("clauseway.app.agreements.batch")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        remedy = "Install it: pip install 'clauseway[settle]'."
        problem = Problem(
            what="it cannot be read", why="PyArrow is not installed", where="--batch", remedy=remedy
        )
        raise InvalidInput(problem) from None
    summary = answering.decide_file(opened, source, target, otherwise)
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in summary.outcomes.items())
    print(f"{counted(summary.rows, 'question')}: {counts or 'none'}", file=sys.stderr)
    if summary.invalid:
        print(f"the first invalid one: {summary.problem}", file=sys.stderr)
    return INVALID if summary.invalid else 0


def _print(out: Lines, question: Question, decision: Explanation, *, is_named: bool) -> None:
    word = outcome_word(decision.outcome, question.action)
    asked = f"{question.party}: {act_of(question)}"
    out.line(Styled(word.upper(), outcome_style(decision.outcome)), f" {asked}")
    out.line(f"as of {decision.as_of} · known at {decision.known_at}", style="dim")
    for reason in decision.reasons:
        _print_reason(out, reason)
    for condition in decision.conditions:
        out.line(f"\nOnly if: {condition.text}")
        if condition.needs:
            needs = f"any one of these would do: {', '.join(condition.needs)}"
            out.line(indented(needs, out.width, by=2), style="dim", whole=True)
    if isinstance(decision.answers, tuple):
        print_answers(out, decision.answers, question.action)
    if is_named:
        print_would_change(out, decision.would_change, question.action)
    else:
        print_how_to_name(out, question.product)
    if not isinstance(decision.trace, msgspec.UnsetType):
        # Loaded with the library that draws tables, which no other answer needs.
        importlib.import_module("clauseway.cli.agreement.trace_table").print_trace(decision.trace)
    out.line(f"\nreceipt {decision.receipt.id}", style="dim")


def _print_reason(out: Lines, reason: Reason) -> None:
    note = f" ({reason.note})" if reason.note else ""
    of = f"{reason.agreement} " if reason.agreement else ""
    out.line(f"\n{reason.bearing}: {of}{reason.amendment} {reason.term}{note}", style="bold")
    out.line(indented(reason.text, out.width, by=2), whole=True)
    place = f"{reason.document}, line {reason.line} · {from_source(reason.source)}"
    out.line(indented(place, out.width, by=2), style="dim", whole=True)
