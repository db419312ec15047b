"""The commands. Each reads its flags, calls one use case in `app`, and prints the answer for a person or as JSON.

`COMMANDS` is the one list of them. Only the command that is run is imported, so `--help` stays quick and asking a
question does not load a database.

Exit codes: 0 done (for `decide`: permitted) · 2 not so: any other outcome of `decide`, a receipt that differs, a
counterexample, an unsound text · 3 invalid input · 1 a failure, ours or the machine's (a full disk, a home that
cannot be written) · 130 broken off.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer

from clauseway.app.opening.home import home_at
from clauseway.cli.faults import fault_of
from clauseway.cli.homes import guard
from clauseway.cli.output import print_fault, print_problems
from clauseway.values import InvalidInput, Problem

INVALID, FAILED = 3, 1
BROKEN_OFF = 130  # what shells give for Ctrl-C
# Set to anything to see where a failure of ours came from.
_DEBUG = "CLAUSEWAY_DEBUG"
# The extra that brings a library which the smallest installation lacks.
_EXTRAS = {
    "botocore": "sandbox",
    "cryptography": "signing",
    "duckdb": "settle",
    "httpx": "sandbox",
    "ibis": "settle",
    "pyarrow": "settle",
    "typst": "documents",
    "vl_convert": "charts",
}
# What a wrong flag or a missing option raises.
_UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])


class _Entry(msgspec.Struct, frozen=True):
    """A command: the module that holds it as `command`, or as the group `app`; and its line in the help."""

    module: str
    help: str
    is_group: bool = False


COMMANDS: Mapping[str, _Entry] = {
    "up": _Entry(
        "clauseway.cli.gateway.up",
        "Play the night of the amendment: clouds, gateway, pages, traffic, statement.",
    ),
    "decide": _Entry(
        "clauseway.cli.agreement.decide",
        "Ask the agreement: who may do what, where and when, and why.",
    ),
    "terms": _Entry(
        "clauseway.cli.agreement.terms", "Show what is in force on a day, as known on a day."
    ),
    "agreement": _Entry(
        "clauseway.cli.agreement.agreement",
        "Write an agreement: begin, lay out, complete.",
        is_group=True,
    ),
    "fact": _Entry("clauseway.cli.agreement.fact", "Record facts and list them.", is_group=True),
    "verify": _Entry(
        "clauseway.cli.agreement.verify",
        "Repeat a decision from its receipt: the same, or what differs.",
    ),
    "prove": _Entry(
        "clauseway.cli.agreement.prove",
        "Prove what never, or always, holds; or find the smallest counterexample.",
    ),
    "check": _Entry(
        "clauseway.cli.agreement.check",
        "Check an agreement: conflicts, gaps, overlaps, what does nothing.",
    ),
    "timeline": _Entry(
        "clauseway.cli.agreement.timeline",
        "Show rights over the years, as a table and as a picture.",
    ),
    "diff": _Entry(
        "clauseway.cli.agreement.diff",
        "Show what changes between amendments, days or states of knowledge.",
    ),
    "brief": _Entry(
        "clauseway.cli.agreement.brief",
        "Tell an amendment on a page, each sentence with its clause.",
    ),
    "serve": _Entry("clauseway.cli.gateway.serve", "Run the gateway and the pages."),
    "doctor": _Entry(
        "clauseway.cli.gateway.doctor",
        "Examine what a gateway needs: credentials, clouds, prices, permission.",
    ),
    "config": _Entry(
        "clauseway.cli.gateway.config",
        "Check the gateway's configuration, and show it.",
        is_group=True,
    ),
    "sandbox": _Entry("clauseway.cli.gateway.sandbox", "Run the simulated clouds."),
    "replay": _Entry("clauseway.cli.gateway.replay", "Send recorded traffic through a gateway."),
    "models": _Entry(
        "clauseway.cli.gateway.models",
        "Show models, their names and ends, and what each surface lacks.",
    ),
    "commitments": _Entry(
        "clauseway.cli.gateway.commitments",
        "Show how commitments to clouds burn down, and where that leads.",
    ),
    "request": _Entry(
        "clauseway.cli.gateway.request", "Show what became of one request, attempt by attempt."
    ),
    "price": _Entry(
        "clauseway.cli.money.price",
        "What usage costs, by which entry of which book, and why; check a book.",
    ),
    "usage": _Entry(
        "clauseway.cli.usage.usage",
        "Import usage from elsewhere; what could not be believed.",
        is_group=True,
    ),
    "lake": _Entry(
        "clauseway.cli.usage.lake",
        "The sealed usage on disk, and keeping it in shape.",
        is_group=True,
    ),
    "spool": _Entry(
        "clauseway.cli.usage.spool", "The usage journals, and what of them was lost.", is_group=True
    ),
    "settle": _Entry(
        "clauseway.cli.money.settle",
        "Settle a month from metered usage, under assumptions accepted by name.",
    ),
    "basis": _Entry(
        "clauseway.cli.money.basis",
        "What settlements stand on: show it, change it, by whom and why.",
        is_group=True,
    ),
    "statement": _Entry(
        "clauseway.cli.money.statement",
        "Print a settled month, open its lines, sign it and verify it.",
        is_group=True,
    ),
    "close": _Entry(
        "clauseway.cli.money.close", "Close a month: from then on its statement never changes."
    ),
    "invoice": _Entry(
        "clauseway.cli.money.invoice",
        "Invoice what is owed through a closed month, in any currency.",
    ),
    "payment": _Entry(
        "clauseway.cli.money.payment", "Record a payment on an invoice, with what is withheld."
    ),
    "credit": _Entry(
        "clauseway.cli.money.credit", "Take a charge back, at the time of what it reverses."
    ),
    "dispute": _Entry(
        "clauseway.cli.money.dispute", "Charges in dispute: open, resolve, list.", is_group=True
    ),
    "journal": _Entry("clauseway.cli.money.journal", "List the journal with running balances."),
    "forecast": _Entry(
        "clauseway.cli.money.forecast",
        "When is the cap reached, what is due each year, what is saved.",
    ),
    "rehearse": _Entry(
        "clauseway.cli.agreement.rehearse",
        "Play recorded traffic and settled months under a draft amendment.",
    ),
    "reconcile": _Entry(
        "clauseway.cli.usage.reconcile", "Compare a cloud's bill with what was metered, and why."
    ),
    "party": _Entry(
        "clauseway.cli.money.party",
        "The parties' keys, which statements are signed with.",
        is_group=True,
    ),
    "audit": _Entry(
        "clauseway.cli.money.audit",
        "Who did what to the books, and whether they were edited.",
        is_group=True,
    ),
    "listings": _Entry(
        "clauseway.cli.agreement.listings",
        "Hold listing histories against ship-first, and show listed prices.",
        is_group=True,
    ),
    "export": _Entry(
        "clauseway.cli.agreement.export",
        "Write agreement or journal in other formats.",
        is_group=True,
    ),
    "organisation": _Entry(
        "clauseway.cli.customers.organisation",
        "Who buys, and how their requests go.",
        is_group=True,
    ),
    "project": _Entry(
        "clauseway.cli.customers.project", "The parts of an organisation.", is_group=True
    ),
    "key": _Entry(
        "clauseway.cli.customers.key", "Make, rotate and revoke customers' keys.", is_group=True
    ),
    "limit": _Entry(
        "clauseway.cli.customers.limit", "What may be asked in a minute.", is_group=True
    ),
    "budget": _Entry(
        "clauseway.cli.customers.budget", "What may be spent, and what is.", is_group=True
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(given: list[str]) -> int:
    """Run a command; its exit code. Nothing but the code comes back: errors are told as they are meant to be read."""
    if given[:1] == ["help"]:
        given = [*given[1:], "--help"]
    as_json = "--json" in given
    try:
        application = guard(typer.main.get_command(_application(given)))
        code = application(given or ["--help"], prog_name="clauseway", standalone_mode=False)
        sys.stdout.flush()  # here, where an error can still be told
        return code if isinstance(code, int) else 0
    except InvalidInput as error:
        print_problems(error.problems, as_json)
        return INVALID
    except _UsageError as error:
        error.show()  # type: ignore[attr-defined]
        return INVALID
    except (KeyboardInterrupt, typer.Abort):
        return BROKEN_OFF
    except BrokenPipeError:
        # Whoever read us has left; that is no failure of ours, and there is nobody to tell.
        _drop_output()
        return 0
    except ModuleNotFoundError as error:
        return _missing(error, given[0], as_json)
    except Exception as error:
        fault = fault_of(error, _home_of(given))
        if fault is None:
            return _told(error)
        if _output_fails():
            fault, as_json = msgspec.structs.replace(fault, where="standard output"), False
        print_fault(fault, as_json)
        return FAILED


def _home_of(given: Sequence[str]) -> Path:
    """The home that the flags name, or the default one: where a fault happened that names no file."""
    named = [value for flag, value in pairwise(given) if flag == "--home"]
    named += [word.removeprefix("--home=") for word in given if word.startswith("--home=")]
    return home_at(named[-1] if named else None).root


def _output_fails() -> bool:
    """Try standard output where it is a file: an error that names no file may have come from there."""
    if sys.stdout.isatty():
        return False
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        _drop_output()
        return True
    return False


def _drop_output() -> None:
    """Have what is still to be printed go nowhere: nobody reads it, or it cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _missing(error: ModuleNotFoundError, command: str, as_json: bool) -> int:
    """A library that only a larger installation brings; anything else that is not found is a failure of ours."""
    library = (error.name or "").partition(".")[0]
    if library not in _EXTRAS:
        return _told(error)
    todo = f"Install it: pip install 'clauseway[{_EXTRAS[library]}]'."
    what, why = f"it needs {library}", "the library is not installed"
    print_problems([Problem(what=what, why=why, where=command, todo=todo)], as_json)
    return INVALID


def _told(error: Exception) -> int:
    if os.environ.get(_DEBUG):
        traceback.print_exc()
    print(f"clauseway failed: {type(error).__name__}: {error}", file=sys.stderr)
    print(
        f"This is a failure of ours, not of your input. {_DEBUG}=1 shows where it came from.",
        file=sys.stderr,
    )
    return FAILED


def _application(given: list[str]) -> typer.Typer:
    """All commands by name, of which only the one that is asked for is imported."""
    application = typer.Typer(
        help="A clause is a way: an agreement decides, routes, meters and settles.",
        epilog="Begin with `clauseway up`, or ask: clauseway decide --help",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    application.callback()(_program)
    words = given or _words_to_complete()
    wanted = next((word for word in words if not word.startswith("-")), "")
    for name, entry in COMMANDS.items():
        if entry.is_group and name == wanted:  # with the help that it has itself
            application.add_typer(
                importlib.import_module(entry.module).app, name=name, short_help=entry.help
            )
        elif entry.is_group:
            application.add_typer(typer.Typer(callback=_nothing), name=name, help=entry.help)
        else:
            command: Callable[..., object] = (
                importlib.import_module(entry.module).command if name == wanted else _nothing
            )
            application.command(name, short_help=entry.help)(command)
    return application


def _words_to_complete() -> list[str]:
    """Return the words that a shell asks to complete, without the program's name: bash has its own variable."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return line.split()[1:]


def _print_version(wanted: bool) -> None:
    if wanted:
        # Loading this takes as long as answering a question does; only `--version` needs it.
        metadata = importlib.import_module("importlib.metadata")
        print(f"clauseway {metadata.version('clauseway')}")
        raise typer.Exit


def _program(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Take the options that stand before any command."""


def _nothing() -> None:
    """Stands for a command that was not asked for."""
