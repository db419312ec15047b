"""The commands. Each reads its flags, calls one use case in `app`, and prints the answer for a
person or as JSON.

    commands   the one list of them, and the tree built from it
    agreement  commands that ask agreements, write them and record facts
    gateway    commands that configure, run and examine a gateway
    usage      commands for metered usage
    money      commands for months and books
    customers  commands for who buys
    mcp        `clauseway mcp`, for assistants

    options         the flags that several commands take; names_in_any_case: names however typed
    command_line    flags given once, values that say something
    homes           how each command uses a home, so that none answers from a missing one
    held            the prices and agreements that a home's settlements rest on
    output          lines and problems printed; answers: as JSON or as text
    console         colours and tables
    table_widths    columns that keep their figures on narrow terminals
    beside_text     two settlements side by side
    written         files that a command writes
    help            the layout of `--help`
    signals         signals of the operating system, as events to wait for

Exit codes: 0 done (for `decide`: permitted) · 2 not so: any other outcome of `decide`, a receipt
that differs, a counterexample, an unsound text · 3 invalid input · 1 a failure, ours or the
machine's (a full disk, a home that cannot be written) · 130 broken off.
"""

import os
import select
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer

from clauseway.app.opening.home import Home, home_at
from clauseway.app.opening.locks import reporting_waits
from clauseway.app.running.machine_faults import fault_of
from clauseway.cli.command_line import argument_meant, checked
from clauseway.cli.commands import (
    HELP_FLAGS,
    INSTEAD_OF,
    beside_with,
    line_of,
    only_answers,
    path_in,
    paths_like,
    program,
)
from clauseway.cli.help import WIDTH_MAX, prepared
from clauseway.cli.homes import guard
from clauseway.cli.names_in_any_case import fold_names
from clauseway.cli.output import prepare_streams, print_failure, print_fault, print_problems
from clauseway.files.core_dumps import forbid_core_dumps
from clauseway.values import VERSION, InvalidInput, Problem, refuse_any

INVALID, FAILED = 3, 1
BROKEN_OFF = 130  # what shells give for Ctrl-C
# Set to see where a failure of ours came from; to what says no, it is as if it were not set.
_DEBUG = "CLAUSEWAY_DEBUG"
_OFF = frozenset({"", "0", "false", "no", "off"})
# A shell sets it when it asks for completions.
_COMPLETION = "_CLAUSEWAY_COMPLETE"
# The extra that brings a library which the smallest installation lacks.
_EXTRAS = {
    "anyio": "mcp",
    "botocore": "sandbox",
    "cryptography": "signing",
    "duckdb": "settle",
    "fastavro": "iceberg",
    "httptools": "http",
    "ibis": "settle",
    "mcp": "mcp",
    "obstore": "object-storage",
    "pandas": "spark",
    "psycopg": "postgres",
    "pyarrow": "settle",
    "pyspark": "spark",
    "starlette": "http",
    "typst": "documents",
    "openpyxl": "documents",
    "uvicorn": "http",
    "uvloop": "http",
    "vl_convert": "charts",
    "wsproto": "http",
}
# Commands that need several extras, and the one that brings all of them.
_BY_COMMAND = {
    "serve": "server",
    "doctor": "server",
    "gateway sandbox": "sandbox",
    "gateway replay": "sandbox",
    "mcp": "mcp",
    "up": "all",
}
# Of the extras above, those that are part of such an extra.
_PARTS = {
    "server": frozenset({"http", "settle"}),
    "sandbox": frozenset({"http"}),
    "mcp": frozenset({"settle"}),
    "all": frozenset({"http", "sandbox", "settle"}),
}
# The error that typer raises for a wrong flag or a missing option.
_UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code."""
    prepare_streams()
    # Its children (gateway, pages) inherit the limit.
    forbid_core_dumps()
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(given: list[str]) -> int:
    """Run a command and return its exit code. Errors are printed, never raised."""
    if given[:1] == ["help"]:
        given = [*given[1:], "--help"]
    if given == ["version"]:
        given = ["--version"]
    as_json = "--json" in given
    try:
        _require_text(given)
        tree = prepared(checked(guard(fold_names(program(given, _program_options)))))
        with reporting_waits(_say_wait):
            code = tree(
                given or ["--help"],
                prog_name="clauseway",
                standalone_mode=False,
                max_content_width=WIDTH_MAX,
            )
        sys.stdout.flush()  # here, where an error can still be reported
        return code if isinstance(code, int) else 0
    except InvalidInput as error:
        # The file that was named may be standard output.
        if isinstance(error.__context__, BrokenPipeError) and _reader_left():
            return _pipe_broke(error.__context__)
        with _to_a_reader():
            print_problems(error.problems, as_json, only_answers=only_answers(given))
        return INVALID
    except _UsageError as error:
        with _to_a_reader():
            _print_usage_error(error, given, as_json)
        return INVALID
    except (KeyboardInterrupt, typer.Abort):
        return BROKEN_OFF
    except BrokenPipeError as error:
        return _pipe_broke(error)
    except SystemExit as ended:
        # Typer and rich end a program like this when a pipe breaks, whichever pipe it is.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        return _pipe_broke(ended.__context__)
    except ModuleNotFoundError as error:
        if _COMPLETION in os.environ:  # what is printed would land in the line that is completed
            return FAILED
        return _missing(error, given, as_json)
    except Exception as error:
        fault = _missing_folder() or fault_of(error, _home_of(given))
        if fault is None:
            return _report(error, given, as_json)
        if _output_fails():
            fault, as_json = msgspec.structs.replace(fault, where="standard output"), False
        with _to_a_reader():
            print_fault(fault, as_json)
        return FAILED


def _require_text(given: Sequence[str]) -> None:
    """Raise InvalidInput with every word whose bytes are no text: what is recorded, signed and
    exported is UTF-8, a file's name too."""
    encoding = sys.getfilesystemencoding().upper()
    problems = [
        Problem(
            what=f"'{word.encode(errors='backslashreplace').decode()}' is not {encoding}",
            why="its bytes are no text in the encoding of this locale",
            where=f"word {number}",
            remedy="Write it in that encoding. Rename a file or a folder whose name is in another.",
        )
        for number, word in enumerate(given, 1)
        if not _is_text(word)
    ]
    refuse_any(problems)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:  # Python hands such bytes over as halves of surrogate pairs
        return False
    return True


def _say_wait(home: Home) -> None:
    """Say that the command waits: a silent one is taken for stuck."""
    message = f"Another process works at {home.root}: this command waits until it has ended."
    print(message, file=sys.stderr, flush=True)


def _print_usage_error(error: Any, given: Sequence[str], as_json: bool) -> None:
    """Print why the command line is wrong, and where a command is that was named without its group,
    or in another."""
    suggested = [f"Did you mean `clauseway {path}`?" for path in paths_like(given)]
    suggested += [way for path, way in INSTEAD_OF.items() if path == " ".join(given[:2])]
    suggested += [*_instead_of_flag(error, given), *_with_missing_flag(error, given)]
    if not as_json:
        error.show()
        for line in suggested:
            print(line, file=sys.stderr)
        return
    command = error.ctx.command_path if error.ctx else f"clauseway {path_in(given)}"
    problem = Problem(
        what=error.format_message().removesuffix("."),
        why="the command does not take what it was given",
        where=command,
        remedy=" ".join(suggested) or f"See {command} --help.",
    )
    print_problems([problem], as_json)


def _instead_of_flag(error: Any, given: Sequence[str]) -> list[str]:
    """Return what to write in place of a flag that a command does not have: the argument of that
    name, or a command beside it that has the flag."""
    flag, context = getattr(error, "option_name", ""), error.ctx
    if context is None or not flag.startswith("--") or not hasattr(error, "possibilities"):
        return []
    argument = argument_meant(context, flag)
    if argument is not None:
        value = _value_of(flag, given) or (argument.metavar or argument.name.upper())
        return [f"It takes no flag: `{context.command_path} {value}`."]
    return [f"`clauseway {beside}` has {flag}." for beside in beside_with(context, flag)]


def _with_missing_flag(error: Any, given: Sequence[str]) -> list[str]:
    """Return the command with the flag that it needs, where a value was written without one; of a
    command that takes arguments, nothing."""
    context, lacking = error.ctx, getattr(error, "param", None)
    if lacking is None or not hasattr(error, "param_type"):
        return []
    if any(parameter.param_type_name == "argument" for parameter in context.command.params):
        return []
    command = context.command_path.split()[-1]
    words = given[given.index(command) + 1 :] if command in given else ()
    if not words or words[0].startswith("-"):
        return []
    return [f"Did you mean `{context.command_path} {lacking.opts[0]} {words[0]}`?"]


def _value_of(flag: str, given: Sequence[str]) -> str:
    """Return the value that was given to a flag; empty without one."""
    for word, after in zip(given, [*given[1:], ""], strict=True):
        if word == flag:
            return "" if after.startswith("-") else after
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return ""


def _missing_folder() -> Problem | None:
    """Return the fault of a working directory that was removed; None where it is there.

    The kind of error does not tell: some releases of Python raise SystemError at an import there.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        return Problem(
            what="the working directory is gone",
            why="somebody removed it after this shell came there",
            where=os.environ.get("PWD", "."),
            remedy="Go to a folder that is there (cd), and repeat the command.",
        )
    return None


def _home_of(given: Sequence[str]) -> Path:
    """Return the home of the flags, else the default home: the place of a fault without a file."""
    named = [value for flag, value in pairwise(given) if flag == "--home"]
    named += [word.removeprefix("--home=") for word in given if word.startswith("--home=")]
    return home_at(named[-1] if named else None).root


def _output_fails() -> bool:
    """Return whether standard output cannot be written: an error without a file may come from it."""
    if sys.stdout.isatty():
        return False
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        _drop_output()
        return True
    return False


def _pipe_broke(error: BrokenPipeError) -> int:
    """Return 0 where the reader of the output has left, as `head` does: nothing failed, and nobody
    is there to tell. A pipe or connection of the command's own is a failure."""
    if not _reader_left():
        return _report(error)
    _drop_output()
    return 0


def _reader_left() -> bool:
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in output.poll(0))


@contextmanager
def _to_a_reader() -> Iterator[None]:
    """Let an error be printed to a reader that may have left: the exit code says it then."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    """Discard the rest of the output: nobody reads it, or it cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def libraries_of(whole: str) -> Iterator[str]:
    """Yield the libraries of an extra that stands for others."""
    yield from (library for library, extra in _EXTRAS.items() if extra in _PARTS[whole])


def _missing(error: ModuleNotFoundError, given: Sequence[str], as_json: bool) -> int:
    """Say which extra brings a missing library; any other missing module is our own failure.

    Help says it beside what the command does: whoever asks for it decides whether to install.
    """
    library = (error.name or "").partition(".")[0]
    if library not in _EXTRAS:
        return _report(error, given, as_json)
    command = path_in(given)
    extra = _EXTRAS[library]
    whole = _BY_COMMAND.get(command, extra)
    if extra in _PARTS.get(whole, ()):
        extra = whole
    if not frozenset(HELP_FLAGS).isdisjoint(given):
        print(f"Usage: clauseway {command} …\n\n  {line_of(command)}\n")
        print(f"  To use it and see its options: pip install 'clauseway[{extra}]'")
        return 0
    remedy = f"Install it: pip install 'clauseway[{extra}]'."
    mistake, why = f"it needs {library}", "the library is not installed"
    print_problems([Problem(what=mistake, why=why, where=command, remedy=remedy)], as_json)
    return INVALID


def _report(error: Exception, given: Sequence[str] = (), as_json: bool = False) -> int:
    if os.environ.get(_DEBUG, "").strip().lower() not in _OFF:
        traceback.print_exc()
    if as_json:
        failure = Problem(
            what=f"{type(error).__name__}: {error}",
            why="this is a failure of ours, not of your input",
            where=f"clauseway {path_in(given)}",
            remedy=f"{_DEBUG}=1 shows where it came from.",
        )
        with _to_a_reader():
            print_failure(failure)
        return FAILED
    print(f"clauseway failed: {type(error).__name__}: {error}", file=sys.stderr)
    print(
        f"This is a failure of ours, not of your input. {_DEBUG}=1 shows where it came from.",
        file=sys.stderr,
    )
    return FAILED


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"clauseway {VERSION}")
        raise typer.Exit


def _program_options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Take the options that stand before any command."""
