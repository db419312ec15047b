"""No CSV of ours carries a formula, and what was done about it can be taken back."""

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clauseway.exchange.cells import CsvRow, CsvWriter, csv_rows, inert, plain

SOURCES = Path(__file__).parents[2] / "src" / "clauseway"

# text → cell
CELLS = [
    ("acme", "acme"),
    ('=HYPERLINK("http://x","y")', '\'=HYPERLINK("http://x","y")'),
    ("=1+1", "'=1+1"),
    ("+1", "'+1"),
    ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("\t=1", "'\t=1"),
    ("\r=1", "'\r=1"),
    ("\n=1", "'\n=1"),
    ("\uff1d1", "'\uff1d1"),
    ("-12.50", "-12.50"),  # a number stays one
    ("1e-05", "1e-05"),
    ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),  # what begins with one is none
    ("-", "'-"),
    ("'=1", "''=1"),
    ("'quoted'", "'quoted'"),
    ("", ""),
    ("a=b", "a=b"),
]


@pytest.mark.parametrize(("text", "cell"), CELLS)
def test_cells(text: str, cell: str) -> None:
    assert inert(text) == cell
    assert plain(cell) == text


@example(values=["\r"])
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=8) | st.integers(), min_size=1, max_size=5))
def test_no_cell_is_a_formula_and_every_text_comes_back(values: list[str | int]) -> None:
    file = io.StringIO(newline="")
    CsvWriter(file).row(values)
    if values == [""]:
        return  # the module for CSV writes one empty cell as a quoted one, and reads no row back from an empty line
    [cells] = csv.reader(io.StringIO(file.getvalue(), newline=""))
    for cell, value in zip(cells, values, strict=True):
        assert not re.match("[=+@\t\r\uff1d]", cell)
        assert not cell.startswith("-") or float(cell) <= 0
        assert plain(cell) == str(value)


def test_a_row_has_its_first_and_its_last_line_and_why_it_is_none() -> None:
    lines = ["a,b\n", '1,"x\n', 'y"\n', '2,"z"w\n', "'=3,4\n", '5,"open\n', "6,7\n"]
    assert list(csv_rows(lines)) == [
        CsvRow(1, 1, ["a", "b"]),
        CsvRow(2, 3, ["1", "x\ny"]),
        CsvRow(4, 4, [], "',' expected after '\"'"),
        CsvRow(5, 5, ["=3", "4"]),
        CsvRow(6, 7, [], "unexpected end of data"),
    ]


def test_there_is_one_writer() -> None:
    writing = re.compile(r"csv\.(writer|DictWriter)\(|\.to_csv\(|write_csv\(")
    names = [path.name for path in SOURCES.rglob("*.py") if writing.search(path.read_text("utf-8"))]
    assert sorted(names) == [
        "cells.py",
        "question_files.py",
    ]  # question_files.py: a function of its own that is called _write_csv
