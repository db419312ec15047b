"""`clauseway export`: the journal and the agreement in other programs' formats."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from clauseway.app.exporting import beancount_journal, extract
from clauseway.app.exporting import cedar as cedar_text
from clauseway.app.exporting import odrl as odrl_text
from clauseway.app.exporting import rego as rego_text
from clauseway.app.home import home_at
from clauseway.cli import options
from clauseway.exchange.extract import Extract
from clauseway.values import InvalidInput, Problem

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

_Out = Annotated[Path | None, typer.Option("--out", help="File to write; by default standard output.", metavar="FILE")]


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
def cedar(
    as_of: options.AsOf = None,
    known_at: options.KnownAt = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    out: _Out = None,
    entities: Annotated[
        bool, typer.Option("--entities", help="Print the entities instead of the policies (JSON).")
    ] = False,
) -> int:
    """Write the agreement in force as Cedar policies, each with the term it comes from.

    With --out the entities (parties, products, clouds' launches, grants) go beside it: partnership.cedar and
    partnership.entities.json. An authorizer that allows Action::"serve" says permitted; else one that allows
    Action::"serve.once-met" says conditional; else one that allows Action::"serve.stated" says forbidden; else it is
    unstated.

    \b
    The agreement as it was in March 2026:
      clauseway export cedar --as-of 2026-03-15 --out partnership.cedar
    What was expected of May when March ended?
      clauseway export cedar --as-of 2026-05-01 --known-at 2026-03-31
    """
    policies, entities_json = cedar_text(_extract(as_of, known_at, reading, suppose, facts, agreement, home))
    if out is None:
        sys.stdout.write(entities_json if entities else policies)
    else:
        _write(out, policies)
        _write(out.with_suffix(".entities.json"), entities_json)
    return 0


@app.command()
def rego(
    as_of: options.AsOf = None,
    known_at: options.KnownAt = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    out: _Out = None,
) -> int:
    """Write the agreement in force as a Rego module (v1), each rule with the term it comes from.

    The input is a question ({"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud": "aws"});
    data.clauseway.outcome is one of the four outcomes.

    \b
    The agreement with ship-first read with "or":
      clauseway export rego --as-of 2026-05-01 --reading R1=or --out partnership.rego
    """
    _put(out, rego_text(_extract(as_of, known_at, reading, suppose, facts, agreement, home)))
    return 0


@app.command()
def odrl(
    as_of: options.AsOf = None,
    known_at: options.KnownAt = None,
    reading: options.Readings = None,
    suppose: options.Suppositions = None,
    facts: options.FactsFile = None,
    agreement: options.AgreementFolder = None,
    home: options.HomeFolder = None,
    out: _Out = None,
) -> int:
    """Write the agreement in force as an ODRL 2.2 policy (JSON-LD), each rule with the term it comes from.

    What is permitted is a permission, what is forbidden a prohibition; what is conditional is a permission with duties;
    what no rule reaches is unstated.

    \b
    The agreement from the end of exclusivity on:
      clauseway export odrl --as-of 2026-04-27 --out partnership.jsonld
    """
    _put(out, odrl_text(_extract(as_of, known_at, reading, suppose, facts, agreement, home)))
    return 0


def _extract(
    as_of: str | None,
    known_at: str | None,
    reading: list[str] | None,
    suppose: list[str] | None,
    facts: Path | None,
    agreement: Path | None,
    home: Path | None,
) -> Extract:
    opened = options.opened(agreement, facts, suppose, home)
    return extract(opened, as_of, known_at, options.readings_of(reading))


def _put(out: Path | None, text: str) -> None:
    if out is None:
        sys.stdout.write(text)
    else:
        _write(out, text)


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        why = error.strerror or str(error)
        todo = "Name a file in a folder that exists and that you may write to."
        raise InvalidInput(Problem(what="cannot be written", why=why, where=str(out), todo=todo)) from None
