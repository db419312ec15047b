"""`clauseway agreement check`: what is wrong, doubtful or idle in an agreement's text."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from clauseway.app.agreements.checking import (
    CheckView,
    TermEffect,
    check_folder,
    state_of,
    watched,
)
from clauseway.app.opening.home import Home, home_at
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console, print_indented
from clauseway.cli.output import print_problems
from clauseway.cli.signals import set_on
from clauseway.decisions import Outcome
from clauseway.decisions.parts import PARTS
from clauseway.values import InvalidInput, KnownAt
from clauseway.wording.outcomes import outcome_word

UNSOUND = 2
# A person who saves a file looks at the answer after about a second.
_POLL_S = 1.0
_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


def command(
    agreement: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of an agreement, or the name of one that ships; by default the built-in "
            "partnership.",
            metavar="FOLDER",
        ),
    ] = None,
    home: options.HomeIfNamed = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file changes, until Ctrl-C.")
    ] = False,
    with_effects: Annotated[
        bool,
        typer.Option(
            "--effects",
            help="Show for each term a question whose answer would be another without it.",
        ),
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Check an agreement's text: conflicts, gaps, overlaps, terms that do nothing, what is idle,
    uncited or prose only.

    Each remark names file and line, why, and what to do. Errors contradict: two exclusivities that
    no act can satisfy together, an exclusivity that takes back what a term grants, two owners.
    Warnings are probably not meant. Notes are worth knowing.

    \b
    Is the built-in partnership sound?
      clauseway agreement check
    While you write your own:
      clauseway agreement check my-agreement --watch

    What does each term do?
      clauseway agreement check my-agreement --effects

    Exit code: 0 no errors, 2 errors, 3 the text cannot be read, 1 a failure, ours or the machine's.
    """
    if watch:
        _watch(watched(agreement), home_at(home), as_json, with_effects)
        return 0
    view = check_folder(agreement, home_at(home), outcomes=with_effects)
    _show(view, as_json, with_effects)
    return 0 if view.sound else UNSOUND


def _watch(folder: Path, home: Home, as_json: bool, with_effects: bool) -> None:
    # Ctrl-C sets a flag: an exception raised while a library cleans up would be lost.
    before = signal.getsignal(signal.SIGINT)
    stopped = set_on(signal.SIGINT)
    seen: object = None
    try:
        while not stopped.is_set():
            if (state := state_of(folder)) != seen:
                seen = state
                _check_again(folder, home, as_json, with_effects)
                sys.stdout.flush()  # whoever reads a pipe waits for it too
            stopped.wait(_POLL_S)
    finally:
        signal.signal(signal.SIGINT, before)


def _check_again(folder: Path, home: Home, as_json: bool, with_effects: bool) -> None:
    """Check again. A text that cannot be read is reported and does not end the watching."""
    try:
        _show(check_folder(folder, home, outcomes=with_effects), as_json, with_effects)
    except InvalidInput as error:
        print_problems(error.problems, as_json, only_answers=True)


def _show(view: CheckView, as_json: bool, with_effects: bool) -> None:
    answer(as_json, view, lambda: _print(console(), view, with_effects))


def _print(out: Console, view: CheckView, with_effects: bool) -> None:
    for effect in view.effects if with_effects else ():
        _print_effect(out, effect)
    for shown in view.shown if with_effects else ():
        out.print(
            Text(f"{shown.term}  no effect on any answer: a term of kind {shown.kind} is shown")
        )
    for remark in view.remarks:
        place = f"{remark.document}:{remark.line}" if remark.line else remark.document
        out.print(
            Text(remark.severity.value, _STYLES[remark.severity.value]),
            Text(f"{place}  {remark.what}"),
        )
        print_indented(out, f"{remark.why}. {remark.remedy}", by=2, style="dim")
    counts = " · ".join(_counted(name, count) for name, count in view.counts.items())
    style = "bold green" if view.sound else "bold red"
    out.print(
        Text(f"\n{view.title}: "),
        Text("sound" if view.sound else "not sound", style),
        Text(f" ({counts})"),
        sep="",
    )
    out.print(Text(f"text {view.digest}", "dim"))


def _print_effect(out: Console, effect: TermEffect) -> None:
    asked = effect.question
    before = outcome_word(Outcome(effect.without), asked.action)
    after = outcome_word(Outcome(effect.outcome), asked.action)
    # A term may leave the outcome and change the reasons: that is an effect too.
    after += "" if before != after else ", for other reasons"
    out.print(Text(f"{effect.term}  without it {before} → with it {after}"))
    # Only what a flag's default leaves open, so that the line can be copied and run.
    flags = [
        f"{part.flag} {name}"
        for part in PARTS
        if (name := asked.as_combination()[part.name]) not in ("", part.default)
    ]
    flags += [f"--as-of {asked.as_of}"]
    if asked.known_at != KnownAt.everything():
        flags.append(f"--known-at {asked.known_at}")
    flags += [f"--reading {name}={option}" for name, option in effect.chosen.items()]
    flags += [f"--suppose {fact}" for fact in asked.suppositions]
    alone = ", with nothing else recorded" if effect.alone else ""
    print_indented(out, f"decide {' '.join(flags)}{alone}", by=2, style="dim")


def _counted(name: str, count: int) -> str:
    return f"{count} {name}" if count == 1 else f"{count or 'no'} {name}s"
