"""The rows of a bill's file, in the columns and values that FOCUS specifies.

A file is CSV, gzipped too, or Parquet. Vendors write some of it otherwise, and each row is handed on
as the specification has it: Oracle's columns have the names of the specification's preview, Google's
view writes categories in lower case, and BigQuery writes a time in CSV as `2026-05-01 00:00:00 UTC`.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from clauseway.exchange.cells import CsvRow, csv_rows, lines_within_bounds
from clauseway.exchange.usage.parquet_rows import check_columns, parquet_rows
from clauseway.values import InvalidInput

# The endings of names of CSV files.
CSV_ENDINGS = (".csv", ".csv.gz")
# 1.3 splits ProviderName in two and keeps it beside them; 1.4 drops it. The host names the cloud
# best.
PROVIDERS = ("HostProviderName", "ServiceProviderName", "ProviderName")
# The columns that every row of usage needs; a file that lacks one of them is refused whole.
NEEDED = ("ChargeCategory", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit")
# The name under which a row has the fields beyond its columns.
TOO_MANY = "more fields than columns"
# The names of the preview, which Oracle's reports still have.
_OF_PREVIEW = {
    "InvoiceIssuer": "InvoiceIssuerName",
    "Provider": "ProviderName",
    "Publisher": "PublisherName",
    "Region": "RegionId",
    "UsageQuantity": "ConsumedQuantity",
    "UsageUnit": "ConsumedUnit",
}
_CATEGORIES = ("ChargeCategory", "ChargeClass")
_TIMES = ("BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart")
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class MissingColumns(ValueError):
    """A file that is not FOCUS: the columns it lacks."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(", ".join(columns))
        self.columns = tuple(columns)


def rows_of(
    path: Path, needed: Iterable[str] = NEEDED
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """Yield the rows of a CSV or Parquet file, each with its line and why it could not be read,
    else empty.

    Raise MissingColumns, naming the columns that the file lacks, InvalidInput for a column that is
    there twice and for a CSV file of another form, OSError for a file that is damaged.
    """
    read = _parquet_rows if path.suffix.lower() == ".parquet" else _csv_rows
    for line, row, wrong in read(path, tuple(needed)):
        yield line, _as_specified(row), wrong


def _parquet_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, Any], str]]:
    specified: dict[str, str] = {}

    def check(names: list[str]) -> None:
        specified.update(zip(names, _specified(names), strict=True))
        _check(specified.values(), needed)

    for line, row, wrong in parquet_rows(path, check):
        yield line, {specified[name]: row[name] for name in row}, wrong


def _csv_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, Any], str]]:
    with _opened(path) as text:
        rows = csv_rows(_lines(text, path))
        heading = next(rows, None)
        names = _specified(heading.cells if heading is not None else [])
        _check_separators(path, names)
        check_columns(path, names)
        _check(names, needed)
        for row in rows:
            if row.problem:
                yield row.first, {}, _no_row(row)
            elif row.cells:
                fields: dict[str, Any] = dict(zip(names, row.cells, strict=False))
                if beyond := row.cells[len(names) :]:
                    fields[TOO_MANY] = beyond
                yield row.last, fields, ""


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """Open a CSV file, gzipped or not. Bytes that are not UTF-8 become lone surrogates, so that
    only their own row is invalid."""
    with path.open("rb") as file:
        beginning = file.read(2)
        file.seek(0)
        if beginning in _UTF_16:
            raise InvalidInput.of(
                what="the bill is not UTF-8",
                why="it begins as UTF-16 does",
                where=str(path),
                remedy="Give the vendor's own file, or save it again as CSV UTF-8.",
            )
        plain: Any = gzip.GzipFile(fileobj=file) if beginning == _GZIP else file
        yield TextIOWrapper(plain, encoding="utf-8-sig", newline="", errors="surrogateescape")


def _lines(text: IO[str], path: Path) -> Iterator[str]:
    try:
        yield from lines_within_bounds(text, path)
    except (EOFError, zlib.error) as error:
        raise OSError(f"the gzip file is damaged: {error}") from None


def _check_separators(path: Path, names: Sequence[str]) -> None:
    """Raise InvalidInput for a file whose columns are separated otherwise: its decimal points may
    be written otherwise too."""
    for sign, named in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and names[0].count(sign) > 1:
            raise InvalidInput.of(
                what="the bill is not CSV",
                why=f"{named} are between its columns, not commas",
                where=str(path),
                line=1,
                remedy="Give the vendor's own file: a spreadsheet may have written this one, and "
                "its numbers and days otherwise too.",
            )


def _specified(names: Sequence[str]) -> list[str]:
    """Return the names of columns as the specification has them since 1.0."""
    there = set(names)
    return [
        _OF_PREVIEW[name] if name in _OF_PREVIEW and _OF_PREVIEW[name] not in there else name
        for name in names
    ]


def _as_specified(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose categories and times are written as the specification has them."""
    for name in _CATEGORIES:
        if isinstance(value := row.get(name), str) and value.islower():
            row[name] = value.capitalize()
    for name in _TIMES:
        if isinstance(value := row.get(name), str) and value.endswith(" UTC"):
            row[name] = f"{value.removesuffix(' UTC')}Z"
    return row


def _no_row(row: CsvRow) -> str:
    """Return why the lines of a file are not a row."""
    if row.first == row.last:
        return f"not a row of a CSV file: {row.problem}"
    return (
        f"lines {row.first} to {row.last} are no rows of a CSV file ({row.problem}): "
        f"see the quotation marks of line {row.first}"
    )


def _check(names: Iterable[str], needed: Iterable[str]) -> None:
    there = set(names)
    missing = [name for name in needed if name not in there]
    if there.isdisjoint(PROVIDERS):
        missing.append("ProviderName (since 1.3: HostProviderName, ServiceProviderName)")
    if missing:
        raise MissingColumns(missing)
