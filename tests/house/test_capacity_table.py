"""The capacity table of docs/operation.md is what the recorded figures come to."""

import re

import pytest
from bench.capacity import PAGE, Row, rows, with_table
from bench.record_bytes import LAKE_BYTES, measured
from bench.report import recorded
from msgspec import structs

ROWS = {row.quantity: row for row in rows(recorded())}
FIGURE = re.compile(r"\d[\d,]*\.?\d*")
NAMES = re.compile(r"`.*?`|\*\*")
RECKONED = [row for row in ROWS.values() if re.search(r"[×/+]", NAMES.sub("", row.how))]


def figures(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in FIGURE.findall(NAMES.sub("", text))]


def test_the_page_shows_the_table_of_the_recorded_figures() -> None:
    page = PAGE.read_text()
    assert with_table(page, recorded()) == page


# A derived figure | by hand, from the figures in its row
BY_HAND = {
    "requests a second and core": lambda f: 0.5 * f[0] / f[1],
    "streams of 53 events a second and core": lambda f: 0.5 * f[0] / f[1],
    "memory of an open stream": lambda f: (f[0] - f[1]) * 1000 / f[2],
    "memory with 10,000 open streams": lambda f: f[0] + f[1] * f[2] / 1000,
    "sealing a million requests": lambda f: f[0] / f[1],
    "settling a million requests": lambda f: f[0] / f[1],
    "importing a million rows": lambda f: f[0] / f[1],
    "**100,000,000 requests a day**: the busiest second": lambda f: f[0] / f[1] * f[2],
    "its workers": lambda f: -(-f[0] // f[1]),
    "its journal in an hour in which nothing is sealed": lambda f: f[0] * f[1] * f[2] / 1e9,
    "its sealing": lambda f: f[0] * f[1] / 60,
    "its lake": lambda f: f[0] * f[1] * f[2] / 1e12,
    "its month settled": lambda f: f[0] * f[1],
}


def test_each_row_that_is_reckoned_is_reckoned_here_too() -> None:
    assert {row.quantity for row in RECKONED} == BY_HAND.keys()


@pytest.mark.parametrize("row", RECKONED, ids=[row.quantity for row in RECKONED])
def test_a_row_comes_to_what_its_arithmetic_says(row: Row) -> None:
    assert figures(row.value)[0] == pytest.approx(BY_HAND[row.quantity](figures(row.how)), rel=0.02)


def test_a_worse_figure_changes_the_table() -> None:
    page, results = PAGE.read_text(), recorded()
    (chat,) = [result for result in results if result.name == "request/chat-c32"]
    slower = [result for result in results if result is not chat] + [structs.replace(chat, ours=chat.ours * 2)]
    assert with_table(page, slower) != page


def test_a_record_takes_the_bytes_that_both_pages_reckon_with() -> None:
    """A tenth of the records that the figure is measured with: their files' own ends weigh more."""
    assert measured(20_000) == pytest.approx(LAKE_BYTES, rel=0.08)
