"""A statement as a workbook (Office Open XML): its lines, totals, assumptions and receipt.

Amounts are numbers with the exact digits of the statement. The sheet of totals adds the lines up by
formulas, so that a reader sees that they agree. No name becomes a formula, and the bytes do not
depend on the day or the machine.

Apart from `statement_csv`, because the library comes with an extra.
"""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.xml.constants import ARC_CORE
from openpyxl.xml.functions import tostring

from clauseway.exchange.statement_csv import COLUMNS, statement_rows
from clauseway.ledger.assumptions import in_thousands
from clauseway.ledger.statement import Statement, digest_of

_BOLD: Final = Font(bold=True)
_AMOUNT: Final = "#,##0.00"
_FORMATS: Final = {"base_usd": "#,##0.00########", "amount_usd": _AMOUNT, "rate": "0.00##%"}
_WIDEST: Final = 60
# The most that a cell may hold in Office Open XML; the library cuts a longer text without a sign.
_CELL_CHARACTERS_MAX: Final = 32_767
# Zip keeps the time of each part; this is the earliest that it can hold.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_MADE: Final = datetime(1980, 1, 1, tzinfo=UTC).replace(tzinfo=None)


class Formula(str):
    """A text that a spreadsheet computes."""

    __slots__ = ()


def statement_xlsx(statement: Statement) -> bytes:
    """Return the workbook. Equal statements have equal bytes."""
    book = Workbook()
    book.properties.creator = "Clauseway"
    book.properties.created = _MADE
    _write_lines(book.active, statement)
    _write_totals(book.create_sheet("Totals"), statement)
    _write_table(
        book.create_sheet("Assumptions"),
        ("figure", "value", "standing"),
        [
            (figure.name, in_thousands(figure.value), figure.standing)
            for figure in statement.assumptions
        ],
    )
    _write_table(book.create_sheet("Receipt"), ("name", "value"), _receipt(statement))
    return _without_times(book)


def _write_lines(sheet: Worksheet, statement: Statement) -> None:
    sheet.title = "Lines"
    _write_table(sheet, COLUMNS, statement_rows(statement))
    for column, name in enumerate(COLUMNS, start=1):
        if name in _FORMATS:
            for row in range(2, sheet.max_row + 1):
                sheet.cell(row, column).number_format = _FORMATS[name]
    sheet.auto_filter.ref = sheet.dimensions


def _write_totals(sheet: Worksheet, statement: Statement) -> None:
    """Write the amount that each party owes another, and the same as the sum of its lines."""
    payer, payee, amount = (_column_of(name) for name in ("payer", "payee", "amount_usd"))
    rows = [
        (
            direction.payer,
            direction.payee,
            direction.total,
            Formula(f"=SUMIFS({amount},{payer},A{row},{payee},B{row})"),
            Formula(f"=ROUND(C{row}-D{row},2)"),
        )
        for row, direction in enumerate(statement.directions, start=2)
    ]
    _write_table(sheet, ("payer", "payee", "total_usd", "sum_of_lines_usd", "difference"), rows)
    for row in range(2, sheet.max_row + 1):
        for column in (3, 4, 5):
            sheet.cell(row, column).number_format = _AMOUNT


def _column_of(name: str) -> str:
    letter = get_column_letter(COLUMNS.index(name) + 1)
    return f"Lines!${letter}:${letter}"


def _receipt(statement: Statement) -> list[tuple[str, str]]:
    return [
        ("month", statement.month),
        ("party", statement.party or "all"),
        ("known at", statement.known_at),
        ("currency", statement.currency),
        ("receipt", statement.receipt),
        ("statement", digest_of(statement)),
    ]


def _write_table(sheet: Worksheet, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    for column, head in enumerate(heads, start=1):
        _write(sheet.cell(1, column), head)
        sheet.cell(1, column).font = _BOLD
    widths = [len(head) for head in heads]
    for row, values in enumerate(rows, start=2):
        for column, value in enumerate(values, start=1):
            _write(sheet.cell(row, column), value)
            widths[column - 1] = max(widths[column - 1], len(str(value)))
    for column, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(column)].width = min(width + 2, _WIDEST)
    sheet.freeze_panes = "A2"


def _write(cell: Cell, value: object) -> None:
    if isinstance(value, Decimal):
        cell.value = f"{value:f}"
        cell.data_type = "n"  # else the library writes the 16 digits of a float
    elif isinstance(value, Formula | int | date):
        cell.value = value
    elif value not in ("", None):
        text = ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", str(value))
        if len(text) > _CELL_CHARACTERS_MAX:
            text = text[: _CELL_CHARACTERS_MAX - 1] + "…"
        cell.value = text
        cell.data_type = "s"  # else the library takes a text that begins with = for a formula


def _without_times(book: Workbook) -> bytes:
    """Return the workbook as a file whose parts have no times."""
    saved, written = io.BytesIO(), io.BytesIO()
    book.save(saved)
    book.properties.modified = _MADE  # saving sets it to the time of day
    with ZipFile(saved) as parts, ZipFile(written, "w", ZIP_DEFLATED) as file:
        for part in sorted(parts.namelist()):
            content = parts.read(part)
            if part == ARC_CORE:
                content = tostring(book.properties.to_tree())
            file.writestr(ZipInfo(part, _NO_TIME), content, ZIP_DEFLATED)
    return written.getvalue()
