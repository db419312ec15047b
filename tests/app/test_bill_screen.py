"""A cloud's bill on the finance screen: held against the meter, and what differs told with its cause."""

import csv
import html
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from clauseway.app.opening.home import Home
from home_pages import pages_client
from in_process import run
from metered_months import assumed, metered_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = metered_home(tmp_path_factory.mktemp("months"))
    for period in ("2026-04", "2026-05"):
        assert run("settle", "--period", period, *assumed(), home=made.root).returncode == 0
    return made


@pytest.fixture(scope="module")
def bill(home: Home) -> str:
    """The bill that the meter itself would write."""
    path = home.root / "may.csv"
    assert run("export", "focus", "--period", "2026-05", "--out", str(path), home=home.root).returncode == 0
    return path.read_text()


@pytest.fixture(scope="module")
def client(home: Home) -> Iterator[TestClient]:
    with pages_client(home) as pages:
        yield pages


def sent(client: TestClient, bill: str) -> str:
    page = client.post("/finance/bill", data={"bill": bill})
    assert page.status_code == 200
    return page.text


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.partition("</form>")[2])).split())


def test_the_finance_screen_leads_to_it(client: TestClient) -> None:
    assert 'href="/finance/bill"' in client.get("/finance").text
    assert "agrees" not in words(client.get("/finance/bill").text)


def test_a_bill_of_what_was_metered_agrees(client: TestClient, bill: str) -> None:
    page = words(sent(client, bill))
    assert "agrees Everything is matched." in page
    assert "1 May 2026 up to, not including, 1 June 2026, on AWS and Azure, sold by Microsoft and OpenAI" in page
    assert "matched 7 – 444.00 444.00" in page


def test_a_row_that_stands_twice_is_told_with_its_cause_its_rows_and_its_amount(client: TestClient, bill: str) -> None:
    lines = bill.splitlines()
    page = words(sent(client, "\r\n".join([*lines, lines[-1], ""])))
    assert "does not agree At stake:" in page
    assert "quantity differs 1" in page
    assert "duplicate: row 9 repeats row 8" in page
    assert re.search(r"rows 8, 9 · requests req_\w+", page)


@pytest.mark.parametrize("bill", ["no bill", "a,b\n1,2\n", "<script>alert(1)</script>", "\x00", "{"])
def test_what_is_no_bill_is_told_and_stays_as_it_was_typed(client: TestClient, home: Home, bill: str) -> None:
    page = sent(client, bill)
    alert = html.unescape(page.partition('role="alert"')[2].partition("</p>")[0])
    assert len(alert) > 20
    assert str(home.root) not in alert
    assert tempfile.gettempdir() not in alert
    [kept] = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert html.unescape(kept) == bill


def test_a_row_that_cannot_be_read_is_told_with_its_field(client: TestClient, bill: str) -> None:
    rows = list(csv.reader(io.StringIO(bill)))
    rows[1][rows[0].index("ContractedCost")] = "many"
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    page = words(sent(client, written.getvalue()))
    assert "does not agree" in page
    assert "Row 2, ContractedCost:" in page


def test_a_home_without_usage_has_no_bill_to_agree_with(tmp_path: Path, bill: str) -> None:
    home = Home(tmp_path / "empty").make()
    page = words(sent(pages_client(home), bill))
    assert "does not agree" in page
