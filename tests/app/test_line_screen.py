"""The page of a statement line: down to its requests, and outlined without a look at a record where there are many."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import settled_book
from clauseway.app.books.settled import latest_settlements, now
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.prices import open_prices
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.app.screens import line_page as screen
from clauseway.app.screens.line_page import line_page
from clauseway.gateway.plan.clock import system_clock
from clauseway.ledger import statement_of
from clauseway.web import create_app


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """As somebody settles who knows all prices: what is kept of a day is named by those that were known."""
    made = Home(tmp_path / "home").make()
    settled_book.seal(made)
    for period in ("2026-04", "2026-05"):
        settle_month(made, open_agreement(), open_prices(now()), period, settled_book.ACCEPTED, {})
    return made


def lines_of(home: Home, period: str) -> list[str]:
    return [line.id for line in statement_of(latest_settlements(home)[period]).lines]


@pytest.mark.parametrize("period", ["2026-04", "2026-05"])
def test_an_outline_says_what_the_whole_page_says_but_of_single_records(home: Home, period: str) -> None:
    assert lines_of(home, period)
    for line in lines_of(home, period):
        whole, outline = (line_page(home, period, line, "", records_max=most) for most in (100, 1))
        assert whole is not None
        assert outline is not None
        assert (whole.is_outline, outline.is_outline) == (False, True)
        for part in ("title", "working", "remarks", "entries", "days", "clauses"):
            assert getattr(outline, part) == getattr(whole, part), (line, part)
        assert whole.requests
        assert whole.prices
        assert not outline.requests
        assert not outline.prices


def test_an_outline_reads_no_record(home: Home) -> None:
    for line in lines_of(home, "2026-05"):
        before = line_page(home, "2026-05", line, "", records_max=1)
        shutil.move(home.lake / "usage", home.root / "away")
        assert line_page(home, "2026-05", line, "", records_max=1) == before
        shutil.move(home.root / "away", home.lake / "usage")


def test_days_that_settling_did_not_keep_are_left_out_of_an_outline(home: Home) -> None:
    settled_book.seal(home, ((12, "05-03", 9, 1, 2, (1_000, 0, 0)),))
    [outline, *_] = [line_page(home, "2026-05", line, "", records_max=1) for line in lines_of(home, "2026-05")]
    assert outline is not None
    assert outline.days == ()
    assert outline.working


@pytest.fixture
def client(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(screen, "RECORDS_MAX", 1)
    source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    with TestClient(create_app(source, hosts=["*"])) as pages:
        yield pages


def test_the_page_leads_to_the_records_that_it_did_not_read(home: Home, client: TestClient) -> None:
    line = lines_of(home, "2026-05")[0]
    page = client.get(f"/statement/2026-05/{line}").text
    address = f"/statement/2026-05/{line}?records=all"
    assert f'href="{address}"' in page
    assert "req_" not in page
    whole = client.get(address).text
    assert "req_" in whole
    assert "Follow its cents" in whole
    assert address not in whole
    request = whole.partition("?request=")[2].partition('"')[0]
    assert "moved the line" in client.get(f"/statement/2026-05/{line}?request={request}").text
