"""The page of a statement line: down to its requests, and outlined without a look at a record where there are many."""

import shutil
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from bench.price_tables import open_prices
from starlette.testclient import TestClient

import settled_book
from clauseway.app.books.settled import latest_settlements, now
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.reports import tracing
from clauseway.app.reports.amounts import exact
from clauseway.app.reports.tracing import trace_line
from clauseway.app.screens import line_page as screen
from clauseway.app.screens.line_page import day_requests_page, line_page
from clauseway.ledger import RevenueLine, statement_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.priced import revenue
from clauseway.web.contexts import DayRequestsContext
from database_connections import queries_asked
from home_pages import pages_client
from work_done import TIMES, calls_in


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """As somebody settles who knows all prices: what is kept of a day is named by those that were known."""
    made = Home(tmp_path_factory.mktemp("settled") / "home").make()
    settled_book.seal(made)
    for period in ("2026-04", "2026-05"):
        settle_month(made, open_agreement(), open_prices(now()), period, settled_book.ACCEPTED, {})
    return made


@pytest.fixture
def home(settled: Home, tmp_path: Path) -> Home:
    """Each test may change its own."""
    return Home(shutil.copytree(settled.root, tmp_path / "home"))


def lines_of(home: Home, period: str) -> list[str]:
    return [line.id for line in statement_of(latest_settlements(home)[period]).lines]


@pytest.mark.parametrize("period", ["2026-04", "2026-05"])
def test_an_outline_says_what_the_whole_page_says_but_of_single_records(
    home: Home, period: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "RECORDS_MAX", 1)
    assert lines_of(home, period)
    for line in lines_of(home, period):
        whole, outline = (line_page(home, period, line, "", records) for records in ("all", ""))
        assert whole is not None
        assert outline is not None
        assert (whole.is_outline, outline.is_outline) == (False, True)
        for part in ("title", "working", "remarks", "entries", "days", "clauses"):
            assert getattr(outline, part) == getattr(whole, part), (line, part)
        assert whole.requests
        assert whole.prices
        assert not outline.requests
        assert not outline.prices


def test_the_prices_of_a_line_are_looked_up_as_often_however_many_requests_it_has(tmp_path: Path) -> None:
    few = settled_with(tmp_path / "few", 12)
    many = settled_with(tmp_path / "many", 12 * TIMES)
    (unit,) = trace_line(many, lines_of(many, "2026-05")[0]).prices
    assert (unit.quantity, unit.charged) == (12 * TIMES * 1_000_000, 12 * TIMES * Decimal("2.75"))
    assert prices_looked_up(many) == prices_looked_up(few)


def settled_with(folder: Path, requests: int) -> Home:
    """A home with a settled month of so many requests, all of one day and line."""
    made = Home(folder).make()
    settled_book.seal(made, [(number, "05-02", number, 1, 2, (1_000_000, 0, 0)) for number in range(1, requests + 1)])
    settled_book.settle(made, "2026-05")
    return made


def prices_looked_up(home: Home) -> int:
    [line] = lines_of(home, "2026-05")
    return calls_in(lambda: trace_line(home, line))["charge_sum"]


def test_an_outline_reads_no_record(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "RECORDS_MAX", 1)
    for line in lines_of(home, "2026-05"):
        before = line_page(home, "2026-05", line, "")
        shutil.move(home.lake / "usage", home.root / "away")
        assert line_page(home, "2026-05", line, "") == before
        shutil.move(home.root / "away", home.lake / "usage")


def test_a_line_is_looked_for_in_its_own_month(home: Home) -> None:
    """Settlements of other months may have ten thousand lines each."""
    line = lines_of(home, "2026-05")[0]
    with queries_asked("settlements") as asked:
        page = line_page(home, "2026-05", line, "")
        assert page is not None
        day_requests_page(home, "2026-05", line, str(page.days[0][0]), "")
    assert sum("settlements.body" in query for query in asked) == 2
    assert line_page(home, "2026-04", line, "") is None


def test_days_that_settling_did_not_keep_are_left_out_of_an_outline(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "RECORDS_MAX", 1)
    settled_book.seal(home, ((12, "05-03", 9, 1, 2, (1_000, 0, 0)),))
    [outline, *_] = [line_page(home, "2026-05", line, "") for line in lines_of(home, "2026-05")]
    assert outline is not None
    assert outline.days == ()
    assert outline.working


@pytest.fixture
def client(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(screen, "RECORDS_MAX", 1)
    with pages_client(home) as pages:
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


def pages_of(home: Home, period: str, line: str, day: date) -> Iterator[DayRequestsContext]:
    """Every page of a day's requests, as somebody reads on."""
    begin: int | None = 1
    while begin:
        page = day_requests_page(home, period, line, str(day), str(begin))
        assert page is not None
        yield page
        begin = page.later


@pytest.mark.parametrize("most", [1, 2, 100])
def test_a_line_opens_down_to_all_its_requests(home: Home, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(screen, "REQUESTS_MAX", most)
    seen = []
    for period in ("2026-04", "2026-05"):
        for line in lines_of(home, period):
            trace = trace_line(home, line)
            for day in trace.days:
                shown = [row for page in pages_of(home, period, line, day.day) for row in page.requests]
                assert len(shown) == day.requests
                assert sum(Decimal(row.charged) for row in shown) == day.charged
                assert [row.at for row in shown] == sorted(row.at for row in shown)
                seen += [row.id for row in shown]
    # Nothing is owed for what Microsoft sells itself after 27 April.
    assert sorted(seen) == sorted(
        settled_book.request(number) for number, *_ in settled_book.USED if number not in (6, 11)
    )


def test_a_page_of_a_days_requests_sums_no_record_that_settling_has_summed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    summed = []

    def counting(lake: Lake, *given: Any, **named: Any) -> list[RevenueLine]:
        summed.append(given)
        return revenue(lake, *given, **named)

    monkeypatch.setattr(tracing, "revenue", counting)
    line = lines_of(home, "2026-05")[0]
    day = tracing.trace_line(home, line, rows_max=1).days[0]
    page = day_requests_page(home, "2026-05", line, str(day.day), "")
    assert page is not None
    assert f"1 to {day.requests} of {day.requests}; the day is charged {exact(day.charged)} USD" == page.said
    assert summed == []
    # A record that came since is in no kept sum: the day is summed anew.
    settled_book.seal(home, ((12, f"{day.day:%m-%d}", 90, 1, 2, (1_000, 0, 0)),))
    later = day_requests_page(home, "2026-05", line, str(day.day), "")
    assert later is not None
    assert len(summed) == 1
    assert later.said != page.said


def test_the_line_leads_to_each_day_and_each_page_to_the_next(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "REQUESTS_MAX", 1)
    settled_book.seal(home, ((12, "04-20", 70, 1, 1, (1_000, 0, 0)),))
    line, day = next(
        (line, day.day) for line in lines_of(home, "2026-04") for day in trace_line(home, line).days if day.requests > 1
    )
    address = f"/statement/2026-04/{line}/{day}"
    assert f'href="{address}"' in client.get(f"/statement/2026-04/{line}?records=all").text
    first = client.get(address).text
    assert "1 to 1 of 2" in first
    assert "Earlier" not in first
    second = client.get(f"{address}?from=2").text
    assert f'href="{address}?from=2"' in first
    assert f'href="{address}?from=1"' in second
    assert "Later" not in second
    request = second.partition("?request=")[2].partition('"')[0]
    assert request
    assert request not in first


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("{line}/2026-04-01", "There are no requests of line {line} on 1 April 2026"),
        ("l-none/2026-04-20", "There are no requests of line l-none"),
        ("{line}/2026-4-20", "is not a day"),
        ("{line}/{day}?from=0", "The requests of the day are numbered from 1"),
        ("{line}/{day}?from=99", "The day has"),
        ("{line}?request=req_none", "No request &#39;req_none&#39;"),
        ("{line}?records=some", "Write records=all, or leave it out."),
        ("{line}/{day}?from=٣", "is not the number of a request"),
    ],
)
def test_a_day_or_a_number_that_is_none_is_said(home: Home, client: TestClient, asked: str, said: str) -> None:
    line = lines_of(home, "2026-04")[0]
    named = {"line": line, "day": trace_line(home, line).days[0].day}
    answer = client.get("/statement/2026-04/" + asked.format(**named))
    assert answer.status_code == 404
    assert said.format(**named) in answer.text
