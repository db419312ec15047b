"""A statement as a workbook, read by another library than the one that wrote it."""

import io
import re
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from zipfile import ZipFile

import msgspec
import openpyxl
import pytest
from python_calamine import CalamineWorkbook

import settled_book
from clauseway.app.books.settled import statement
from clauseway.exchange.statement_csv import COLUMNS, statement_rows
from clauseway.exchange.statement_xlsx import statement_xlsx
from clauseway.ledger import Statement
from clauseway.ledger.statement import digest_of
from in_process import run


@pytest.fixture(scope="module")
def may(tmp_path_factory: pytest.TempPathFactory) -> Statement:
    settled = statement(settled_book.make(tmp_path_factory.mktemp("book") / "home"), "2026-05")
    assert settled is not None
    return settled


def sheet(workbook: bytes, name: str) -> list[list[object]]:
    rows = CalamineWorkbook.from_filelike(io.BytesIO(workbook)).get_sheet_by_name(name).to_python()
    return [list(row) for row in rows]


def test_each_line_of_the_statement_is_a_row(may: Statement) -> None:
    heads, *rows = sheet(statement_xlsx(may), "Lines")
    assert heads == list(COLUMNS)
    assert len(rows) == len(may.lines) == 3
    for row, line in zip(rows, may.lines, strict=True):
        cells = dict(zip(COLUMNS, row, strict=True))
        assert (cells["line"], cells["payer"], cells["payee"]) == (line.id, line.payer, line.payee)
        assert (cells["product"], cells["cloud"], cells["first_day"]) == (line.product, line.cloud, line.days.begin)


def test_a_row_says_all_of_its_line(may: Statement) -> None:
    first = dict(zip(COLUMNS, next(statement_rows(may)), strict=True))
    assert first == {
        "line": "2pa4zs7k",
        "period": "2026-05",
        "payer": "openai",
        "payee": "microsoft",
        "term": "A5.share-openai-microsoft",
        "first_day": date(2026, 5, 1),
        "last_day": date(2026, 5, 31),
        "product": "gpt-5.4",
        "cloud": "aws",
        "seller": "openai",
        "requests": 2,
        "base_usd": D("0.715"),
        "rate": D("0.2"),
        "amount_usd": D("0.14"),
        "due": "",
        "corrects": "",
        "restates": "",
        "clauses": "A5.share-openai-microsoft A5.md:149",
        "sources": may.lines[0].citations[0].source,
        "assumptions": "cap=USD 38000000000; cap-counts=from-a5; revenue-owner=seller; share-openai-microsoft=20 %; "
        "wholesale=100 %",
        "receipt": may.receipt,
        "statement": digest_of(may),
    }


def test_a_row_says_which_month_it_changes_its_sources_and_by_when_it_is_due(may: Statement) -> None:
    [first, *_] = may.lines
    cited = (*first.citations, msgspec.structs.replace(first.citations[0], line=7, source="S9"))
    changed = msgspec.structs.replace(first, corrects="2026-04", restates="2026-03", citations=cited)
    [due] = [due for due in may.dues if due.term == first.term]
    by_day = msgspec.structs.replace(due, due=date(2026, 7, 15))
    # Another term between the same parties is due on another day.
    other = msgspec.structs.replace(due, term="A9.other", due=date(2026, 8, 1))
    [row] = statement_rows(msgspec.structs.replace(may, lines=(changed,), dues=(other, by_day)))
    cells = dict(zip(COLUMNS, row, strict=True))
    assert (cells["corrects"], cells["restates"], cells["due"]) == ("2026-04", "2026-03", date(2026, 7, 15))
    assert cells["clauses"] == "A5.share-openai-microsoft A5.md:149; A5.share-openai-microsoft A5.md:7"
    assert cells["sources"] == f"{first.citations[0].source}; S9"


def test_amounts_stand_in_the_file_with_the_digits_of_the_statement(may: Statement) -> None:
    """Not as a reader's float shows them: as they are written."""
    base, amount = D("12345678901234567.891234567"), D("98765432109876543.21")
    large = msgspec.structs.replace(may.lines[0], base=base, amount=amount)
    lines = (large, *may.lines[1:])
    workbook = statement_xlsx(msgspec.structs.replace(may, lines=lines))
    sheet_of_lines = ZipFile(io.BytesIO(workbook)).read("xl/worksheets/sheet1.xml").decode()
    for line in lines:
        assert f"<v>{line.base.normalize():f}</v>" in sheet_of_lines
        assert f"<v>{line.amount:f}</v>" in sheet_of_lines


def test_money_and_rates_are_shown_as_such(may: Statement) -> None:
    book = openpyxl.load_workbook(io.BytesIO(statement_xlsx(may)))
    for name, shown in {"base_usd": "#,##0.00########", "rate": "0.00##%", "amount_usd": "#,##0.00"}.items():
        column = COLUMNS.index(name) + 1
        assert {book["Lines"].cell(row, column).number_format for row in range(2, 5)} == {shown}
    assert {book["Totals"].cell(2, column).number_format for column in (3, 4, 5)} == {"#,##0.00"}
    assert book["Lines"].auto_filter.ref == book["Lines"].dimensions
    for page in book:
        assert (page["A1"].font.bold, page.freeze_panes) == (True, "A2")


def test_the_totals_are_the_sum_of_the_lines_by_formulas(may: Statement) -> None:
    book = openpyxl.load_workbook(io.BytesIO(statement_xlsx(may)))
    totals = book["Totals"]
    for row, direction in enumerate(may.directions, start=2):
        assert (totals.cell(row, 1).value, totals.cell(row, 2).value) == (direction.payer, direction.payee)
        assert totals.cell(row, 4).value == f"=SUMIFS(Lines!$N:$N,Lines!$C:$C,A{row},Lines!$D:$D,B{row})"
        assert totals.cell(row, 5).value == f"=ROUND(C{row}-D{row},2)"
        # The formula's sum, by the columns that it names.
        added = sum(
            D(str(line[13].value))
            for line in book["Lines"].iter_rows(min_row=2)
            if (line[2].value, line[3].value) == (direction.payer, direction.payee)
        )
        assert added == direction.total == D(str(totals.cell(row, 3).value))
    assert [COLUMNS.index(name) for name in ("payer", "payee", "amount_usd")] == [2, 3, 13]


# Text that a spreadsheet would run, or that no workbook can hold → as it is read back.
TEXTS = [
    ('=HYPERLINK("http://x","y")', '=HYPERLINK("http://x","y")'),
    ("+1", "+1"),
    ("@SUM(A1)", "@SUM(A1)"),
    ("007", "007"),
    ("2026-05-01", "2026-05-01"),
    ("a\x00b\x1b", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
    pytest.param("a" * 32_767, "a" * 32_767, id="as long as a cell may be"),
    pytest.param("a" * 32_768, "a" * 32_766 + "…", id="longer than a cell may be"),
]


@pytest.mark.parametrize(("name", "kept"), TEXTS)
def test_text_stays_text(may: Statement, name: str, kept: str) -> None:
    line = msgspec.structs.replace(may.lines[0], product=name)
    workbook = statement_xlsx(msgspec.structs.replace(may, lines=(line,)))
    assert dict(zip(COLUMNS, sheet(workbook, "Lines")[1], strict=True))["product"] == kept
    cell = openpyxl.load_workbook(io.BytesIO(workbook))["Lines"].cell(2, COLUMNS.index("product") + 1)
    assert (cell.data_type, cell.value) == ("s", kept)


def test_figures_and_the_receipt_have_their_sheets(may: Statement) -> None:
    workbook = statement_xlsx(may)
    heads, *figures = sheet(workbook, "Assumptions")
    assert heads == ["figure", "value", "standing"]
    assert [name for name, _, _ in figures] == [figure.name for figure in may.assumptions]
    assert ["cap", "USD 38,000,000,000", "reported"] in figures
    assert sheet(workbook, "Receipt") == [
        ["name", "value"],
        ["month", "2026-05"],
        ["party", "all"],
        ["known at", may.known_at],
        ["currency", "USD"],
        ["receipt", may.receipt],
        ["statement", digest_of(may)],
    ]


def test_no_time_is_in_the_bytes(may: Statement) -> None:
    parts = ZipFile(io.BytesIO(statement_xlsx(may)))
    assert {part.date_time for part in parts.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    written = b"".join(parts.read(part) for part in parts.namelist()).decode()
    assert set(re.findall(r"\d{4}-\d\d-\d\dT[\d:]+Z", written)) == {"1980-01-01T00:00:00Z"}


def test_a_month_without_lines_is_heads_alone(may: Statement) -> None:
    empty = msgspec.structs.replace(may, lines=(), directions=())
    assert list(statement_rows(empty)) == []
    assert sheet(statement_xlsx(empty), "Lines") == [list(COLUMNS)]


def test_it_is_written_and_downloaded_like_the_other_formats(tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    out = tmp_path / "may.xlsx"
    done = run("statement", "--period", "2026-05", "--out", str(out), "--home", str(home.root))
    assert done.returncode == 0, done.stderr
    settled = statement(home, "2026-05")
    assert settled is not None
    assert out.read_bytes() == statement_xlsx(settled)
