"""`clauseway init`: a first configuration, from three answers."""

import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from clauseway.app.books.basis import basis_of
from clauseway.app.drafting.beginning import VENDORS, Answers, begin
from clauseway.app.drafting.importing_litellm import ImportOptions
from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import BUILT_IN, SHIPPED
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.console import console
from clauseway.cli.gateway.drafted import print_drafted
from clauseway.values import InvalidInput, KnownAt, Problem
from clauseway.wording.names import listed

_NONE = "none"


def command(
    vendor: Annotated[
        list[str] | None,
        typer.Option(
            help="Where you buy: openai, azure, aws, google, anthropic, mistral, … Repeatable."
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="A model that you use, as gpt-5.5. Repeatable.")
    ] = None,
    agreement: options.AgreementFolders = None,
    without_agreement: Annotated[
        bool, typer.Option("--without-agreement", help="Under no agreement: nothing is stated.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write it here; by default clauseway.toml in the home."),
    ] = None,
    demo: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Fill the home with what a document's examples use instead: statements, what-next.",
        ),
    ] = "",
    home: options.HomeMade = None,
    as_json: options.AsJson = False,
) -> int:
    """Begin: write a commented configuration from three answers.

    Asks where you buy, which models you use, and under which agreement or none; flags answer
    instead. `config check` accepts the file once the secrets are set. Nothing is overwritten.

    \b
    On a terminal, which asks:
      clauseway init
    In a script:
      clauseway init --vendor openai --vendor azure --model gpt-5.5 --agreement openai-microsoft
    Under no agreement yet:
      clauseway init --vendor mistral --model mistral-large-latest --without-agreement
    Two settled months, with a price book, a draft and a bill, to try what the documents show:
      clauseway init --demo what-next
    """
    if demo:
        _refuse_answers(vendor, model, agreement, without_agreement, out)
        return _demonstrate(demo, home, as_json)
    answers = _answers(vendor, model, agreement, without_agreement)
    at, known_at = home_at(home), KnownAt(time.time_ns())
    begun = begin(
        answers,
        ImportOptions(
            file=Path("init"),
            out=(out or at.configuration).absolute(),
            home=at,
            agreements=answers.agreements,
            prices=basis_of(at).prices(known_at),
            known_at=known_at,
            environment=os.environ,
        ),
    )
    answer(as_json, begun, lambda: print_drafted(begun, is_imported=False))
    return 0


def _refuse_answers(*answers: object) -> None:
    if any(answers):
        why, remedy = "a demo asks no question", "Leave out the answers, or --demo."
        raise InvalidInput.of(what="--demo beside answers", why=why, where="--demo", remedy=remedy)


def _demonstrate(demo: str, home: Path | None, as_json: bool) -> int:
    # Settling needs an extra, which a first configuration does not.
    demonstration: Any = import_module("clauseway.app.books.demonstration")
    made = demonstration.demonstrate(home_at(home), demo, Path.cwd())

    def show() -> None:
        out = console()
        files = ", ".join(Path(file).name for file in made.files)
        out.print(
            f"{made.sales} sales settled in {made.home}: {listed(made.settled)}", soft_wrap=True
        )
        out.print(f"Beside you: {files}", soft_wrap=True)
        out.print(f"Every example of {listed(made.documents)} can be pasted now.", soft_wrap=True)

    answer(as_json, made, show)
    return 0


def _answers(
    vendors: list[str] | None,
    models: list[str] | None,
    agreements: list[Path] | None,
    without_agreement: bool,
) -> Answers:
    """Return the answers that the flags give; the others are asked for on a terminal. Raise
    InvalidInput where nobody can be asked."""
    if agreements and without_agreement:
        raise InvalidInput(_problem("--agreement", "with --without-agreement", "Give one of both."))
    missing = [
        flag
        for flag, given in (
            ("--vendor", vendors),
            ("--model", models),
            ("--agreement", agreements or without_agreement),
        )
        if not given
    ]
    # Asked in a script, nobody would answer: every missing flag is named at once.
    if missing and not sys.stdin.isatty():
        remedy = "Give {}, or run it on a terminal, which asks."
        other = " or --without-agreement"
        raise InvalidInput(
            *(
                _problem(
                    flag, "it is missing", remedy.format(flag + other * (flag == "--agreement"))
                )
                for flag in missing
            )
        )
    if not vendors:
        vendors = _asked(f"Where do you buy ({', '.join(VENDORS)})", "openai")
    if not models:
        models = _asked("Which models", "gpt-5.5, gpt-5.4-mini, text-embedding-3-small")
    if not agreements and not without_agreement:
        named = _asked(f"Under which agreement ({', '.join(SHIPPED)}, a folder, or none)", BUILT_IN)
        without_agreement = named == [_NONE]
        agreements = [Path(name) for name in named]
    return Answers(
        vendors=tuple(vendors),
        models=tuple(models),
        agreements=None if without_agreement else tuple(agreements or ()),
    )


def _asked(question: str, usual: str) -> list[str]:
    """Return the answers to a question; several are separated by commas."""
    written: str = typer.prompt(question, default=usual, err=True)
    return [name for part in written.split(",") if (name := part.strip())]


def _problem(where: str, problem: str, remedy: str) -> Problem:
    why = "three answers make a configuration: where, which models, under which agreement"
    return Problem(what=problem, why=why, where=where, remedy=remedy)
