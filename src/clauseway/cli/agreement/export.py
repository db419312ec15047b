"""`clauseway export`: the journal and the agreement in other programs' formats."""

import contextlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer

from clauseway.app.agreements.exporting import COMBINATION, cedar_schema, extracts
from clauseway.app.agreements.exporting import cedar as cedar_text
from clauseway.app.agreements.exporting import odrl as odrl_text
from clauseway.app.agreements.exporting import rego as rego_text
from clauseway.app.books.compacting import export_usage
from clauseway.app.books.handing_over import (
    ExportScope,
    beancount_journal,
    focus_bill,
    hledger_journal,
    parquet_files,
    usage_event_lines,
    write_focus,
    write_focus_files,
)
from clauseway.app.books.handing_over import (
    focus_invoices as focus_invoices_of,
)
from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import readings_of
from clauseway.cli import options
from clauseway.cli.answers import answer
from clauseway.cli.held import held_agreements, held_prices
from clauseway.cli.output import counted
from clauseway.exchange.extract import Extract
from clauseway.exchange.focus_bill import bill_columns
from clauseway.exchange.focus_columns import V1_2
from clauseway.exchange.focus_invoices import CHARGE_COLUMNS, INVOICE_COLUMNS
from clauseway.values import InvalidInput, Problem

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

_Out = Annotated[
    Path | None,
    typer.Option("--out", help="File to write; by default standard output.", metavar="FILE"),
]


_SINGULAR = {
    "entries": "entry",
    "rows": "row",
    "events": "event",
    "terms in force": "term in force",
    "entities": "entity",
    "declarations": "declaration",
}


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written, as --json reports it. Without a file, `text` is what it would hold."""

    file: str
    number: int
    unit: str
    text: str = ""


class _Written(NamedTuple):
    """A text, and how much it holds of which unit."""

    text: str
    number: int
    unit: str


_Write = Callable[[Extract], _Written]


class _Flags(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of every export of agreements."""

    as_of: options.AsOf = None
    known_at: options.KnownAtFlag = None
    reading: options.Readings = None
    suppose: options.Suppositions = None
    facts: options.FactsFile = None
    agreement: options.AgreementFolders = None
    home: options.HomeFolder = None
    out: _Out = None
    as_json: options.AsJson = False


_Entities = Annotated[
    bool, typer.Option("--entities", help="Print the entities instead of the policies (JSON).")
]
_Schema = Annotated[
    bool, typer.Option("--schema", help="Print the schema instead of the policies.")
]


@app.callback()
def _export() -> None:
    """The journal and the agreement in other programs' formats."""


class _Books(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of every export of the books."""

    period: Annotated[str, typer.Option("--period", help="Only this month, as 2026-05.")] = ""
    party: Annotated[str, typer.Option("--party", help="Only this party's books.")] = ""
    home: options.HomeFolder = None
    out: _Out = None
    as_json: options.AsJson = False

    @property
    def part(self) -> ExportScope:
        """Return the part of the books to export. Raise InvalidInput for an unknown party."""
        options.check_party(self.party, held_agreements(self.home))
        part = ExportScope(period=self.period, party=self.party)
        _ = part.days
        return part


@app.command()
@options.taking(_Books)
def beancount(books: _Books) -> int:
    """Write the journal as beancount text, which bean-check accepts.

    \b
    All of it:
      clauseway export beancount --out journal.beancount
    What Microsoft books for May:
      clauseway export beancount --period 2026-05 --party microsoft
    """
    written = beancount_journal(home_at(books.home), books.part)
    return _done([_put(books, _Written(written.text, written.entries, "entries"))], books.as_json)


@app.command()
@options.taking(_Books)
def hledger(books: _Books) -> int:
    """Write the journal as an hledger journal, which `hledger check --strict` accepts.

    \b
    Balances as hledger sees them:
      clauseway export hledger --out books.journal
      hledger -f books.journal balance
    """
    written = hledger_journal(home_at(books.home), books.part)
    return _done([_put(books, _Written(written.text, written.entries, "entries"))], books.as_json)


@app.command()
@options.taking(_Books)
def focus(
    books: _Books,
    known_at: options.KnownAtFlag = None,
    form: Annotated[
        str, typer.Option("--format", help="csv or parquet; by default as --out ends, else csv.")
    ] = "",
    version: Annotated[
        str, typer.Option("--focus-version", help="1.2 or 1.4, of the specification.")
    ] = V1_2,
) -> int:
    """Write a month's charges as a bill in FOCUS: a row a day, buyer, product, cloud, region and
    unit.

    With --party it is that party's bill as a provider: what it sells, and what others sell on its
    clouds. Of the latter BilledCost is 0, because the seller receives the payment. Without, each
    seller bills its own.

    \b
    What Microsoft, which operates Azure, would send for May:
      clauseway export focus --period 2026-05 --party microsoft --out may.csv
    Everybody's own, as Parquet with types:
      clauseway export focus --period 2026-05 --out may.parquet
    With the columns of FOCUS 1.4:
      clauseway export focus --period 2026-05 --focus-version 1.4 --out may.csv
    """
    part = books.part
    if not part.period:
        todo = "Name it with --period, as 2026-05."
        raise InvalidInput(
            Problem(what="no period", why="a bill is of a month", where="--period", todo=todo)
        )
    table = held_prices(books.home, known_at)
    opened = held_agreements(books.home)
    rows = focus_bill(home_at(books.home), opened, table, part, version)
    text = write_focus(rows, bill_columns(version), form, books.out)
    if text:
        return _done([_put(books, _Written(text, len(rows), "rows"))], books.as_json)
    return _done([_File(file=str(books.out), number=len(rows), unit="rows")], books.as_json)


@app.command("focus-invoices")
@options.taking(_Books)
def focus_invoices(
    books: _Books,
    form: Annotated[str, typer.Option("--format", help="csv or parquet.")] = "csv",
) -> int:
    """Write invoices in FOCUS 1.4: invoice_detail (a row a line) and the charges behind it,
    cost_and_usage.

    The invoices of a home ask for shares of revenue; --party is whoever issued them, --period the
    month through which they ask. The charges of each invoice sum to it. The bill of usage is
    another file: clauseway export focus.

    \b
    What Microsoft asked for through May:
      clauseway export focus-invoices --period 2026-05 --party microsoft --out invoices
    """
    if books.out is None:
        mistake, why, todo = (
            "no folder",
            "there are two files",
            "Name where they go: --out invoices.",
        )
        raise InvalidInput(Problem(what=mistake, why=why, where="--out", todo=todo))
    details, charges = focus_invoices_of(home_at(books.home), books.part)
    datasets = {
        "invoice_detail": (details, INVOICE_COLUMNS),
        "cost_and_usage": (charges, CHARGE_COLUMNS),
    }
    written = write_focus_files(datasets, form, books.out)
    return _done_with_names(written, books.as_json)


@app.command()
@options.taking(_Books)
def parquet(books: _Books) -> int:
    """Write journal.parquet (a row a posting) and lines.parquet (a row a statement line) into a
    folder.

    \b
    For a notebook, or a warehouse:
      clauseway export parquet --out books
    """
    if books.out is None:
        mistake, why, todo = "no folder", "there are two files", "Name where they go: --out books."
        raise InvalidInput(Problem(what=mistake, why=why, where="--out", todo=todo))
    written = parquet_files(home_at(books.home), books.part, books.out)
    return _done_with_names(written, books.as_json)


@app.command()
@options.taking(_Books)
def cloudevents(books: _Books) -> int:
    """Write metered usage as CloudEvents 1.0, one JSON line an attempt; with --party, of what that
    party sold.

    Usage is sealed first. The id is the request's with the attempt's number: whoever gets it twice
    counts it once.

    \b
    May, for another system:
      clauseway export cloudevents --period 2026-05 --out may.jsonl
    """
    part = books.part
    lines = usage_event_lines(home_at(books.home), part)
    # The first event is looked for before a file is made: a month without usage leaves none.
    first = next(lines, None)
    if first is None and part.period:
        mistake, why = (
            f"there is no usage in {part.period}",
            "nothing that is asked for was metered or imported",
        )
        todo = "See what there is: clauseway usage show."
        raise InvalidInput(Problem(what=mistake, why=why, where="--period", todo=todo))
    every = chain([] if first is None else [first], lines)
    if books.as_json and books.out is None:
        text = b"".join(every)
        return _done([_put(books, _Written(text.decode(), text.count(b"\n"), "events"))], True)
    events = 0
    try:
        with contextlib.ExitStack() as stack:
            write = _write_lines(stack, books.out)
            for line in every:
                write(line)
                events += 1
    except OSError as error:
        if books.out is None:
            raise
        raise _unwritable(books.out, error) from None
    file = _File(file=str(books.out or ""), number=events, unit="events")
    return _done([file], books.as_json)


@app.command("usage")
def usage(
    out: Annotated[Path, typer.Option("--out", help="File to write.", metavar="FILE")],
    form: Annotated[
        str, typer.Option("--format", help="parquet, cloudevents, or focus (usage rows).")
    ] = "parquet",
    begin: Annotated[
        str, typer.Option("--from", help="First day, as 2026-05-01; by default the first there is.")
    ] = "",
    end: Annotated[
        str, typer.Option("--until", help="Last day, as 2026-05-31; by default the last there is.")
    ] = "",
    home: options.HomeFolder = None,
    as_json: options.AsJson = False,
) -> int:
    """Write sealed usage to a file: every record once (Parquet, CloudEvents), or summed by hour
    (FOCUS usage rows).

    `usage import` of another home takes each of them. FOCUS rows say what was used, not what it
    cost.

    \b
    May, record by record:
      clauseway export usage --out may.parquet --from 2026-05-01 --until 2026-05-31
    Everything as events, one per line:
      clauseway export usage --format cloudevents --out usage.jsonl
    """
    rows = export_usage(home_at(home), form, out, options.days_given(begin, end))
    answer(as_json, {"rows": rows, "file": str(out)}, f"{counted(rows, 'row')} in {out}")
    return 0


def _write_lines(stack: contextlib.ExitStack, out: Path | None) -> Callable[[bytes], object]:
    """Return the function that writes a line: into the file, or to standard output."""
    if out is None:
        return lambda line: sys.stdout.write(line.decode())
    return stack.enter_context(out.open("wb")).write


def _put(given: _Flags | _Books, written: _Written, out: Path | None = None) -> _File:
    """Write a text to its file, or where none is named to standard output; --json reports it."""
    out = out or given.out
    if out is not None:
        _write(out, written.text)
    elif not given.as_json:
        sys.stdout.write(written.text)
    return _File(
        file=str(out or ""),
        number=written.number,
        unit=written.unit,
        text=written.text if out is None else "",
    )


def _done(files: Sequence[_File], as_json: bool) -> int:
    """Report what was written: as JSON, or in words on standard error, beside the output."""

    def show() -> None:
        for file in files:
            count = counted(file.number, _SINGULAR[file.unit], file.unit)
            print(f"{count} written to {file.file or 'standard output'}.", file=sys.stderr)

    answer(as_json, {"files": files}, show)
    return 0


def _done_with_names(written: Mapping[Path, int], as_json: bool) -> int:
    """Report files of rows, each by its name on standard output."""
    if not as_json:
        for path in written:
            print(path)
    files = [_File(file=str(path), number=rows, unit="rows") for path, rows in written.items()]
    return _done(files, as_json)


@app.command()
@options.taking(_Flags)
def cedar(flags: _Flags, entities: _Entities = False, schema: _Schema = False) -> int:
    """Write the agreement in force as Cedar policies, each with the term it comes from.

    With --out the entities (parties, products, clouds' launches, grants) and the schema, under
    which policies and entities validate strictly, go beside it: partnership.cedar,
    partnership.entities.json and partnership.cedarschema. An authorizer that allows Action::"serve"
    says permitted; else one that allows Action::"serve.once-met" says conditional; else one that
    allows Action::"serve.stated" says forbidden; else it is unstated. Of several agreements each
    has files of its own, and a text says how their answers are joined.

    \b
    The agreement as it was in March 2026:
      clauseway export cedar --as-of 2026-03-15 --out partnership.cedar
    What was expected of May when March ended?
      clauseway export cedar --as-of 2026-05-01 --known-at 2026-03-31
    """
    if flags.out is None and (entities or schema):
        return _put_all(flags, _schema if schema else _entities)
    beside = {".entities.json": _entities, ".cedarschema": _schema}
    return _put_all(flags, lambda taken: _terms(taken, cedar_text(taken)[0]), beside)


@app.command()
@options.taking(_Flags)
def rego(flags: _Flags) -> int:
    """Write the agreement in force as a Rego module (v1), each rule with the term it comes from.

    The input is a question ({"action": "serve", "party": "openai", "product": "gpt-5.5", "cloud":
    "aws"}); data.clauseway.outcome is one of the four outcomes. Of several agreements each has a
    file of its own, and a text says how their answers are joined.

    \b
    The agreement with ship-first read with "or":
      clauseway export rego --as-of 2026-05-01 --reading R1=or --out partnership.rego
    Two agreements in force at once (both.NAME.rego, and how to join them in both.combination.txt):
      clauseway export rego --agreement ours --agreement theirs --out both.rego
    """
    return _put_all(flags, lambda taken: _terms(taken, rego_text(taken)))


@app.command()
@options.taking(_Flags)
def odrl(flags: _Flags) -> int:
    """Write the agreement in force as an ODRL 2.2 policy (JSON-LD), each rule with the term it
    comes from.

    What is permitted is a permission, what is forbidden a prohibition; what is conditional is a
    permission with duties; what no rule reaches is unstated. Actions and operands are a profile,
    defined in the same file; the policy lists what an evaluator that does not know it cannot tell,
    and no equivalence is claimed. Of several agreements each has a file of its own, and a text says
    how their answers are joined.

    \b
    The agreement from the end of exclusivity on:
      clauseway export odrl --as-of 2026-04-27 --out partnership.jsonld
    """
    return _put_all(flags, lambda taken: _terms(taken, odrl_text(taken)))


def _terms(taken: Extract, text: str) -> _Written:
    return _Written(text, taken.terms_written, "terms in force")


def _entities(taken: Extract) -> _Written:
    text = cedar_text(taken)[1]
    return _Written(text, len(msgspec.json.decode(text)), "entities")


def _schema(taken: Extract) -> _Written:
    text = cedar_schema(taken)
    return _Written(
        text, len(re.findall(r"^(?:entity|type|action)\b", text, re.MULTILINE)), "declarations"
    )


def _put_all(flags: _Flags, write: _Write, beside: Mapping[str, _Write] | None = None) -> int:
    """Write each agreement to a file of its own; a single agreement may go to standard output.

    `beside` are further files of each: their texts by the endings of their names.
    """
    opened = options.opened(flags.agreement, flags.facts, flags.suppose, flags.home)
    taken = extracts(opened, flags.as_of, flags.known_at, readings_of(flags.reading))
    if flags.out is None:
        return _done([_put(flags, write(_only_one(taken)))], flags.as_json)
    out, files = flags.out, []
    for name, extract in taken.items():
        stem = out.stem if len(taken) == 1 else f"{out.stem}.{name}"
        files.append(_put(flags, write(extract), out.with_name(f"{stem}{out.suffix}")))
        for ending, write_beside in (beside or {}).items():
            files.append(_put(flags, write_beside(extract), out.with_name(f"{stem}{ending}")))
    if len(taken) > 1:
        joined = out.with_name(f"{out.stem}.combination.txt")
        _write(joined, COMBINATION)
        print(
            f"How the answers of {len(taken)} agreements are joined is written to {joined}.",
            file=sys.stderr,
        )
    return _done(files, flags.as_json)


def _only_one(taken: Mapping[str, Extract]) -> Extract:
    """Return the only agreement. Raise InvalidInput if there are several."""
    if len(taken) > 1:
        mistake, why = "several agreements are several files", "each has rules of its own"
        todo = (
            "Name where they go: --out both.cedar writes both.NAME.cedar and both.combination.txt."
        )
        raise InvalidInput(Problem(what=mistake, why=why, where="--out", todo=todo))
    [extract] = taken.values()
    return extract


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise _unwritable(out, error) from None


def _unwritable(out: Path, error: OSError) -> InvalidInput:
    why = error.strerror or str(error)
    todo = "Name a file in a folder that exists and that you may write to."
    return InvalidInput(Problem(what="cannot be written", why=why, where=str(out), todo=todo))
