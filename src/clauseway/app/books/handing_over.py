"""The books and the usage behind them in other programs' formats, for a month and a party or for
all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import msgspec
import pyarrow.parquet as pq

from clauseway.agreement import Ownership
from clauseway.app.books.settled import latest_settlements, settlement_of
from clauseway.app.books.usage_charges import usage_charges, usage_credits
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.periods import month, unsettled
from clauseway.app.opening.places import A_FOLDER, file_at, writing
from clauseway.app.opening.prices import refusing_unpriced
from clauseway.app.opening.several import Opened, each_of
from clauseway.app.usage.sealing import open_lake, seal
from clauseway.exchange.focus.bill import focus_rows, write_bill_as_csv, write_bill_as_parquet
from clauseway.exchange.focus.focus_columns import V1_2, VERSIONS, FocusRow, broken_rules
from clauseway.exchange.focus.invoice_detail import (
    IssuedInvoice,
    billing_period,
    broken_invoices,
    charge_rows,
    detail_rows,
    has_months,
)
from clauseway.exchange.journals import JOURNAL_FORMATS
from clauseway.exchange.journals.accounting import entries_of
from clauseway.exchange.journals.journal_tables import journal_table, lines_table
from clauseway.exchange.parquet_output import parquet_output
from clauseway.exchange.usage.cloudevents import write_cloudevents
from clauseway.files import output_file
from clauseway.ledger import Entry, statement_of
from clauseway.ledger.charges import UsageCharge, UsageCredit
from clauseway.ledger.vouchers import Invoice
from clauseway.metering import SERVED
from clauseway.pricing import PriceTable
from clauseway.storage.books.books import Books
from clauseway.values import Interval, InvalidInput

_TITLE = "Clauseway journal"
# Rows of a bill in memory.
_ROWS_AT_ONCE = 1_000
_JOURNAL, _LINES = "journal.parquet", "lines.parquet"


class ExportScope(msgspec.Struct, frozen=True, kw_only=True):
    """The part that is handed over: a month (`2026-05`, empty for all) and a party's books
    (empty for all)."""

    period: str = ""
    party: str = ""

    @property
    def days(self) -> Interval | None:
        """Return the month's days, or None for all. Raise InvalidInput."""
        return month(self.period) if self.period else None

    @property
    def title(self) -> str:
        return " ".join(
            filter(None, (_TITLE, self.period, f"of {self.party}" if self.party else ""))
        )


class WrittenExport(msgspec.Struct, frozen=True):
    """The text of an export, and how many entries stand in it."""

    text: str
    entries: int


class FocusBill(msgspec.Struct, frozen=True, kw_only=True):
    """A bill: its rows are made as they are read, because they take far more memory than the
    charges.

    `makers` of products and operators of clouds (`hosts`) are by name; without a `party` each seller
    bills its own sales.
    """

    charges: Sequence[UsageCharge | UsageCredit]
    period: Interval
    party: str
    makers: Mapping[str, str]
    hosts: Mapping[str, str]
    version: str

    def __len__(self) -> int:
        return len(self.charges)

    def __iter__(self) -> Iterator[FocusRow]:
        for at in range(0, len(self.charges), _ROWS_AT_ONCE):
            rows = [
                row
                for charge in self.charges[at : at + _ROWS_AT_ONCE]
                for row in self._rows_of(charge)
            ]
            # The rows are ours, so a rule of FOCUS that they break is a bug of this program.
            broken = broken_rules(rows, self.version, self.party)
            assert not broken, "\n".join(broken)
            yield from rows

    def _rows_of(self, charge: UsageCharge | UsageCredit) -> list[FocusRow]:
        maker = self.makers[charge.product]
        return focus_rows([charge], self.period, self.party, maker, self.hosts, self.version)


def journal_text(home: Home, part: ExportScope, form: str) -> WrittenExport:
    """Return the journal in a format of `JOURNAL_FORMATS`.

    Raise InvalidInput for a month that is not settled.
    """
    entries = _entries(home, part)
    return WrittenExport(JOURNAL_FORMATS[form].write(entries, part.title), len(entries))


def parquet_files(home: Home, part: ExportScope, folder: Path) -> dict[Path, int]:
    """Write the journal and the statements' lines into a folder, which is made; each file and
    its rows. Raise InvalidInput."""
    statements = [
        statement_of(settlement, part.party)
        for settlement in latest_settlements(home, part.period).values()
    ]
    tables = {_JOURNAL: journal_table(_entries(home, part)), _LINES: lines_table(statements)}
    with writing(folder, A_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            with output_file(folder / name) as beside:
                pq.write_table(table, beside, compression="zstd")
    return {folder / name: table.num_rows for name, table in tables.items()}


def focus_bill(
    home: Home,
    opened: Opened,
    prices: PriceTable,
    part: ExportScope,
    version: str = V1_2,
) -> FocusBill:
    """Return a party's bill for a month in FOCUS; with no party, each seller's own.

    It has what the party sells, and at a BilledCost of 0 what others sell on its clouds: charges,
    and then credits. Raise InvalidInput.
    """
    days = month(part.period)
    _check_version(version)
    _require_settled(home, part)
    # Usage that still lies in journals belongs on the bill.
    seal(home)
    with open_lake(home) as lake:
        with refusing_unpriced():
            charges = usage_charges(lake, prices, days)
        taken_back = usage_credits(lake, prices, charges, days)
    # The bill has the party's own sales, and the sales of others on its clouds.
    hosts = opened.catalog.operators
    mine = {cloud for cloud, operator in hosts.items() if operator == part.party}
    every: list[UsageCharge | UsageCredit] = [*charges, *taken_back]
    billed = [
        charge
        for charge in every
        if not part.party or charge.seller == part.party or charge.cloud in mine
    ]
    # The makers are looked for once: a month may have as many charges as buyers and days.
    makers = {name: _publisher(opened, name) for name in {charge.product for charge in billed}}
    return FocusBill(
        charges=billed, period=days, party=part.party, makers=makers, hosts=hosts, version=version
    )


def focus_invoices(home: Home, part: ExportScope) -> tuple[list[FocusRow], list[FocusRow]]:
    """Return the invoices of a month and an issuer in FOCUS 1.4, as records and charges.

    The records are of Invoice Detail, the charges behind them of Cost and Usage. Raise
    InvalidInput.
    """
    issued = _issued(home, part)
    old = [invoice.invoice.id for invoice in issued if not has_months(invoice.invoice)]
    if old:
        problem, remedy = "an invoice has no months", "Export other months: --period."
        why = f"{', '.join(old)} was written before invoices kept the months that they sum"
        raise InvalidInput.of(what=problem, why=why, where="--period", remedy=remedy)
    details = [row for invoice in issued for row in detail_rows(invoice)]
    charges = [row for invoice in issued for row in charge_rows(invoice.invoice)]
    broken = broken_invoices(details, charges)
    assert not broken, "\n".join(broken)
    return details, charges


def _issued(home: Home, part: ExportScope) -> list[IssuedInvoice]:
    """Return the invoices that a party issued for a month.

    Raise InvalidInput where there is none.
    """
    with open_control(home) as control:
        vouchers = Books(control).dated_vouchers()
    issued = [
        IssuedInvoice(invoice=voucher, recorded_ns=recorded_ns)
        for voucher, recorded_ns in vouchers
        if isinstance(voucher, Invoice)
        and part.party in ("", voucher.payee)
        and part.days in (None, billing_period(voucher))
    ]
    if not issued:
        by = f" by {part.party}" if part.party else ""
        through = f" through {part.period}" if part.period else ""
        remedy = "Write one: clauseway books invoice; it lists those that there are."
        raise InvalidInput.of(
            what=f"no invoice was written{by}{through}",
            why="there is nothing to hand over",
            where="--period" if part.period else "--party",
            remedy=remedy,
        )
    return issued


def write_focus_files(
    datasets: Mapping[str, tuple[Sequence[FocusRow], Sequence[str]]], form: str, folder: Path
) -> dict[Path, int]:
    """Write data sets, each with its columns, into a folder, which is made.

    Return each file and its rows. Raise InvalidInput.
    """
    form = form or "csv"
    _check_form(form)
    files: dict[Path, int] = {}
    with writing(folder, A_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        for name, (rows, columns) in datasets.items():
            path = folder / f"{name}.{form}"
            write_focus(rows, columns, form, path)
            files[path] = len(rows)
    return files


def _check_form(form: str) -> None:
    """Raise InvalidInput for a format that no bill has."""
    if form not in ("csv", "parquet"):
        problem, remedy = f"{form!r} is not a format", "One of csv, parquet."
        raise InvalidInput.of(
            what=problem, why="no export writes it", where="--format", remedy=remedy
        )


def _check_version(version: str) -> None:
    """Raise InvalidInput for a version of FOCUS in which no bill is written."""
    if version not in VERSIONS:
        problem, remedy = (
            f"no bill is written in FOCUS {version!r}",
            f"One of {', '.join(VERSIONS)}.",
        )
        why = (
            "1.3 has the columns of both" if version == "1.3" else "its columns are not known here"
        )
        raise InvalidInput.of(what=problem, why=why, where="--focus-version", remedy=remedy)


def write_focus(rows: Iterable[FocusRow], columns: Sequence[str], form: str, out: Path) -> None:
    """Write a data set to a file: in a format, by default as the file's name ends, else as CSV.

    Raise InvalidInput.
    """
    chosen = form or ("parquet" if out.suffix.lower() == ".parquet" else "csv")
    _check_form(chosen)
    with file_at(out) as beside:
        if chosen == "csv":
            with beside.open("w", encoding="utf-8", newline="") as file:
                write_bill_as_csv(rows, columns, file)
        else:
            with parquet_output(beside) as output:
                write_bill_as_parquet(rows, columns, output)


def print_focus(rows: Iterable[FocusRow], columns: Sequence[str], form: str, file: TextIO) -> None:
    """Write a data set as CSV to standard output. Raise InvalidInput for another format."""
    _check_form(form or "csv")
    if form == "parquet":
        raise InvalidInput.of(
            what="no file",
            why="Parquet is not printed",
            where="--out",
            remedy="Name where it goes: --out bill.parquet.",
        )
    write_bill_as_csv(rows, columns, file)


def usage_event_lines(home: Home, part: ExportScope) -> Iterator[bytes]:
    """Yield the usage of a month, or all usage, as CloudEvents, one a line. Where a party is named,
    yield its sales alone.

    Attempts that failed, or were lost in a crash, have no charge and are left out.
    """
    seal(home)
    with open_lake(home) as lake:
        for batch in lake.records(part.days):
            counted = [
                row
                for row in batch.to_pylist()
                if row["status"] in SERVED and part.party in ("", row["seller"])
            ]
            yield from write_cloudevents(counted)


def _require_settled(home: Home, part: ExportScope) -> None:
    if part.period and settlement_of(home, part.period) is None:
        raise unsettled(part.period)


def _entries(home: Home, part: ExportScope) -> list[Entry]:
    _require_settled(home, part)
    with open_control(home) as control:
        return entries_of(control.entries(), part.days, part.party)


def _publisher(opened: Opened, product: str) -> str:
    """Return the owner of a product, by the agreements; empty where none says so."""
    owners = [
        term.party
        for asked in each_of(opened)
        for amendment in asked.agreement.amendments
        for term in amendment.terms
        if isinstance(term, Ownership)
        and any(asked.catalog.belongs(product, scope) for scope in term.products)
    ]
    return owners[0] if owners else ""
