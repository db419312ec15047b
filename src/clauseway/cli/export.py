"""`clauseway export`: the journal and the agreement in other programs' formats."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clauseway.app.exporting import COMBINATION, beancount_journal, extracts
from clauseway.app.exporting import cedar as cedar_text
from clauseway.app.exporting import odrl as odrl_text
from clauseway.app.exporting import rego as rego_text
from clauseway.app.home import home_at
from clauseway.app.library import readings_of
from clauseway.cli import options
from clauseway.exchange.extract import Extract
from clauseway.values import InvalidInput, Problem

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

_Out = Annotated[Path | None, typer.Option("--out", help="File to write; by default standard output.", metavar="FILE")]


_Write = Callable[[Extract], str]


class _Flags(msgspec.Struct, frozen=True, kw_only=True):
    """What every export of agreements takes."""

    as_of: options.AsOf = None
    known_at: options.KnownAt = None
    reading: options.Readings = None
    suppose: options.Suppositions = None
    facts: options.FactsFile = None
    agreement: options.AgreementFolders = None
    home: options.HomeFolder = None
    out: _Out = None


_Entities = Annotated[bool, typer.Option("--entities", help="Print the entities instead of the policies (JSON).")]


@app.callback()
def _export() -> None:
    """The journal and the agreement in other programs' formats."""


@app.command()
def beancount(home: options.HomeFolder = None) -> int:
    """Print the whole journal as beancount text, which bean-check accepts.

    \b
    To a file:
      clauseway export beancount > journal.beancount
    """
    sys.stdout.write(beancount_journal(home_at(home)))
    return 0


@app.command()
@options.taking(_Flags)
def cedar(flags: _Flags, entities: _Entities = False) -> int:
    """Write the agreement in force as Cedar policies, each with the term it comes from.

    With --out the entities (parties, products, clouds' launches, grants) go beside it: partnership.cedar and
    partnership.entities.json. An authorizer that allows Action::"serve" says permitted; else one that allows
    Action::"serve.once-met" says conditional; else one that allows Action::"serve.stated" says forbidden; else it is
    unstated. Of several agreements each has files of its own, and a text says how their answers are joined.

    \b
    The agreement as it was in March 2026:
      clauseway export cedar --as-of 2026-03-15 --out partnership.cedar
    What was expected of May when March ended?
      clauseway export cedar --as-of 2026-05-01 --known-at 2026-03-31
    """
    if flags.out is None and entities:
        return _put(flags, lambda taken: cedar_text(taken)[1])
    return _put(
        flags, lambda taken: cedar_text(taken)[0], beside=(".entities.json", lambda taken: cedar_text(taken)[1])
    )


@app.command()
@options.taking(_Flags)
def rego(flags: _Flags) -> int:
    """Write the agreement in force as a Rego module (v1), each rule with the term it comes from.

    The input is a question ({"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"});
    data.clauseway.outcome is one of the four outcomes. Of several agreements each has a file of its own, and a text
    says how their answers are joined.

    \b
    The agreement with ship-first read with "or":
      clauseway export rego --as-of 2026-05-01 --reading R1=or --out partnership.rego
    Two agreements in force at once (both.NAME.rego, and how to join them in both.combination.txt):
      clauseway export rego --agreement ours --agreement theirs --out both.rego
    """
    return _put(flags, rego_text)


@app.command()
@options.taking(_Flags)
def odrl(flags: _Flags) -> int:
    """Write the agreement in force as an ODRL 2.2 policy (JSON-LD), each rule with the term it comes from.

    What is permitted is a permission, what is forbidden a prohibition; what is conditional is a permission with duties;
    what no rule reaches is unstated. Of several agreements each has a file of its own, and a text says how their
    answers are joined.

    \b
    The agreement from the end of exclusivity on:
      clauseway export odrl --as-of 2026-04-27 --out partnership.jsonld
    """
    return _put(flags, odrl_text)


def _put(flags: _Flags, write: _Write, beside: tuple[str, _Write] | None = None) -> int:
    """Write each agreement given, to its file or, where there is but one, to standard output. `beside` is a second file
    of each: what its name ends with, and its text."""
    opened = options.opened(flags.agreement, flags.facts, flags.suppose, flags.home)
    taken = extracts(opened, flags.as_of, flags.known_at, readings_of(flags.reading))
    if flags.out is None:
        sys.stdout.write(write(_only_one(taken)))
        return 0
    out = flags.out
    for name, extract in taken.items():
        stem = out.stem if len(taken) == 1 else f"{out.stem}.{name}"
        _write(out.with_name(f"{stem}{out.suffix}"), write(extract))
        if beside is not None:
            ending, text_beside = beside
            _write(out.with_name(f"{stem}{ending}"), text_beside(extract))
    if len(taken) > 1:
        _write(out.with_name(f"{out.stem}.combination.txt"), COMBINATION)
    return 0


def _only_one(taken: Mapping[str, Extract]) -> Extract:
    """The one agreement that is printed. Raises InvalidInput where there are several."""
    if len(taken) > 1:
        what, why = "several agreements are several files", "each has rules of its own"
        todo = "Name where they go: --out both.cedar writes both.NAME.cedar and both.combination.txt."
        raise InvalidInput(Problem(what=what, why=why, where="--out", todo=todo))
    [extract] = taken.values()
    return extract


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        todo = "Name a file in a folder that exists and that you may write to."
        raise InvalidInput(Problem(what="cannot be written", why=why, where=str(out), todo=todo)) from None
