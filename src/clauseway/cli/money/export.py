"""`clauseway export` of the books: the journal, bills and invoices in other programs' formats."""

import contextlib
import io
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clauseway.app.books.handing_over import (
    ExportScope,
    focus_bill,
    journal_text,
    parquet_files,
    print_focus,
    usage_event_lines,
    write_focus,
    write_focus_files,
)
from clauseway.app.books.handing_over import (
    focus_invoices as focus_invoices_of,
)
from clauseway.app.opening.home import home_at
from clauseway.app.opening.places import file_at
from clauseway.app.opening.several import check_party
from clauseway.cli import options
from clauseway.cli.commands import Export
from clauseway.cli.held import by_one_connection, held_agreements, held_prices
from clauseway.cli.written import (
    OutFile,
    WrittenFile,
    WrittenText,
    put,
    report_rows,
    report_written,
)
from clauseway.exchange.focus.bill import bill_columns
from clauseway.exchange.focus.focus_columns import V1_2
from clauseway.exchange.focus.invoice_detail import CHARGE_COLUMNS, INVOICE_COLUMNS
from clauseway.values import InvalidInput


class _Books(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of every export of the books."""

    period: Annotated[str, typer.Option("--period", help="Only this month, as 2026-05.")] = ""
    party: Annotated[str, typer.Option("--party", help="Only this party's books.")] = ""
    home: options.HomeRead = None
    out: OutFile = None
    as_json: options.AsJson = False

    @property
    def part(self) -> ExportScope:
        """Return the part of the books to export. Raise InvalidInput for an unknown party."""
        check_party(self.party, held_agreements(self.home))
        part = ExportScope(period=self.period, party=self.party)
        _ = part.days
        return part


class _BooksInFiles(_Books, frozen=True, kw_only=True):
    """The flags of an export of several files."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder to write the files into; it has to be named.", metavar="FOLDER"
        ),
    ] = None

    def folder(self, example: str) -> Path:
        """Return the folder. Raise InvalidInput where none is named."""
        if self.out is None:
            raise InvalidInput.of(
                what="no folder",
                why="there are two files",
                where="--out",
                remedy=f"Name where they go: --out {example}.",
            )
        return self.out


def journal_in(export: Export) -> Callable[..., int]:
    """Return the command that writes the journal in the format of its record."""

    @options.taking(_Books)
    def journal(books: _Books) -> int:
        written = journal_text(home_at(books.home), books.part, export.form)
        text = WrittenText(written.text, written.entries, "entries")
        return report_written([put(books, text)], books.as_json)

    journal.__doc__ = export.text
    return journal


@by_one_connection
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
    unit, and one for each credit.

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
        remedy = "Name it with --period, as 2026-05."
        raise InvalidInput.of(
            what="no period", why="a bill is of a month", where="--period", remedy=remedy
        )
    table = held_prices(books.home, known_at)
    opened = held_agreements(books.home)
    bill, columns = (
        focus_bill(home_at(books.home), opened, table, part, version),
        bill_columns(version),
    )
    text = io.StringIO(newline="")
    if books.out is not None:
        write_focus(bill, columns, form, books.out)
    else:
        print_focus(bill, columns, form, text if books.as_json else sys.stdout)
    file = WrittenFile(
        file=str(books.out or ""), number=len(bill), unit="rows", text=text.getvalue()
    )
    return report_written([file], books.as_json)


@by_one_connection
@options.taking(_BooksInFiles)
def focus_invoices(
    books: _BooksInFiles,
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
    folder = books.folder("invoices")
    details, charges = focus_invoices_of(home_at(books.home), books.part)
    datasets = {
        "invoice_detail": (details, INVOICE_COLUMNS),
        "cost_and_usage": (charges, CHARGE_COLUMNS),
    }
    written = write_focus_files(datasets, form, folder)
    return report_rows(written, books.as_json)


@options.taking(_BooksInFiles)
def parquet(books: _BooksInFiles) -> int:
    """Write journal.parquet (a row a posting) and lines.parquet (a row a statement line) into a
    folder.

    \b
    For a notebook, or a warehouse:
      clauseway export parquet --out books
    """
    folder = books.folder("books")
    written = parquet_files(home_at(books.home), books.part, folder)
    return report_rows(written, books.as_json)


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
        remedy = "See what there is: clauseway usage show."
        raise InvalidInput.of(what=mistake, why=why, where="--period", remedy=remedy)
    every = chain([] if first is None else [first], lines)
    if books.as_json and books.out is None:
        text = b"".join(every)
        return report_written(
            [put(books, WrittenText(text.decode(), text.count(b"\n"), "events"))], True
        )
    events = 0
    with contextlib.ExitStack() as stack:
        write = _write_lines(stack, books.out)
        for line in every:
            write(line)
            events += 1
    file = WrittenFile(file=str(books.out or ""), number=events, unit="events")
    return report_written([file], books.as_json)


def _write_lines(stack: contextlib.ExitStack, out: Path | None) -> Callable[[bytes], object]:
    """Return the function that writes a line: into the file, or to standard output."""
    if out is None:
        return lambda line: sys.stdout.write(line.decode())
    beside = stack.enter_context(file_at(out))
    return stack.enter_context(beside.open("wb")).write
