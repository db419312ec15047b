"""The forecast on the first page: from four settled months on, a picture and sentences; before, why there is none."""

import re
from datetime import date
from pathlib import Path

import pytest
from bench.price_tables import open_prices

from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.screens.forecast_page import Supposed, forecast_context
from clauseway.values import KnownAt
from metered_months import ACCEPTED, IN, MILLION, OUT, Sold, metered_home

# 100 a month, without growth: 10 million in at 2 and 8 million out at 10.
MONTHS = ("2026-05", "2026-06", "2026-07", "2026-08")
SOLD = [Sold(f"{month}-10", 1, 1, {IN: 10 * MILLION, OUT: 8 * MILLION}) for month in MONTHS]
AUGUST = KnownAt.recorded_on(date(2026, 9, 2))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = metered_home(tmp_path_factory.mktemp("months"), SOLD)
    prices = open_prices(KnownAt.everything(), home.root / "book.csv")
    for month in MONTHS:
        settle_month(home, open_agreement(), prices, month, ACCEPTED, {})
    return home


def test_what_is_due_ahead_in_a_picture_and_in_words(home: Home) -> None:
    page = forecast_context(home, open_agreement(), AUGUST)
    assert page.svg.startswith("<svg")
    # 20.00 a month: settled 80.00, eight months of 2026 are 160, and twelve a year 240.
    [sentence] = page.sentences
    assert "80.00 USD settled under A5.share-openai-microsoft" in sentence
    assert "2026: 160 (160 to 160). 2027: 240 (240 to 240)." in sentence
    assert "The cap is not reached by the end of the forecast." in sentence
    for words in (
        "share OpenAI Microsoft = 20 % (reported)",
        "cap = USD 38,000,000,000 (reported)",
        "1,000 paths",
    ):
        assert words in page.note


def test_too_little_history_says_why_there_is_none(home: Home, tmp_path: Path) -> None:
    page = forecast_context(home, open_agreement(), KnownAt.recorded_on(date(2026, 7, 2)))
    assert (page.svg, page.sentences) == ("", ())
    assert "2 full settled months (2026-05 and 2026-06)" in page.note
    assert "at least 3 changes from one month to the next" in page.note
    assert "clauseway forecast --growth" in page.note
    assert "no past" in forecast_context(Home(tmp_path).make(), open_agreement(), AUGUST).note


JULY = KnownAt.recorded_on(date(2026, 7, 2))


@pytest.mark.parametrize("growth", ["10", "10%", " 10 .. 10%", "10..10..10"])
def test_a_growth_that_is_assumed_is_drawn_from_two_months(home: Home, growth: str) -> None:
    page = forecast_context(home, open_agreement(), JULY, Supposed(growth, "USD 60"))
    assert (page.growth, page.cap, page.growth_problem, page.cap_problem) == (growth, "USD 60", "", "")
    # 20.00 a month, of which two are settled; the cap of 60 leaves 20 of July's 22.
    [sentence] = page.sentences
    assert sentence.startswith("OpenAI pays Microsoft: 40.00 USD settled")
    assert "2026: 60 (60 to 60)." in sentence
    assert "OpenAI" in page.svg
    assert "openai pays" not in page.svg


@pytest.mark.parametrize(
    ("supposed", "field", "said"),
    [
        (Supposed("much"), "growth_problem", "'much' is not a growth"),
        (Supposed("7..3"), "growth_problem", "low first"),
        (Supposed("5", "lots"), "cap_problem", "it is not a number"),
        (Supposed("", "lots"), "cap_problem", "it is not a number"),
    ],
)
def test_a_mistake_stands_at_its_field(home: Home, supposed: Supposed, field: str, said: str) -> None:
    page = forecast_context(home, open_agreement(), JULY, supposed)
    assert said in getattr(page, field)
    assert (page.svg, page.note) == ("", "")


def test_the_line_of_assumptions_ends_within_the_picture(home: Home) -> None:
    page = forecast_context(home, open_agreement(), AUGUST)
    assert max(map(len, re.findall(">([^<]*)</text>", page.svg))) <= 115
