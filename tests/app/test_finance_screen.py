"""The finance screen over a home with two settled months: how far each has come, and files to take away."""

import json
import re
import shlex
from collections.abc import Iterator
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

import settled_book
from clauseway.app.books.bookkeeping import invoice, pay
from clauseway.app.books.closing import close_month
from clauseway.app.books.month_states import MonthOwed, MonthState, latest_settled
from clauseway.app.books.settled import statement
from clauseway.app.opening.home import Home
from clauseway.app.reports.statements import statement_context
from clauseway.app.screens import finance_page
from clauseway.app.screens.finance_page import NEXT, page_of_statement, round_in_words
from home_pages import pages_client
from in_process import run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return settled_book.make(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def client(home: Home) -> Iterator[TestClient]:
    with pages_client(home) as pages:
        yield pages


def months(client: TestClient) -> dict[str, str]:
    page = client.get("/finance").text
    return dict(re.findall(r'<a href="/statement/([^"]*)">.*?class="state \w+">(\w+)<', page, re.DOTALL))


@pytest.mark.parametrize("command", [command for command in NEXT.values() if command])
def test_what_comes_next_is_a_command(command: str) -> None:
    named = command.format(period="2026-05", payer="openai", payee="microsoft").replace("…", "reported")
    done = run(*named.split()[1:], "--help")
    assert done.returncode == 0, done.stderr


def test_each_month_says_how_far_it_has_come_and_what_comes_next(client: TestClient, home: Home) -> None:
    assert months(client) == {"2026-05": "settled", "2026-04": "settled"}
    page = client.get("/finance").text
    assert "Next: <code>clauseway books close 2026-04</code>" in page
    assert "Next, once April 2026 is closed: <code>clauseway books close 2026-05</code>" in page
    for period in ("2026-04", "2026-05"):
        close_month(home, period, date(2026, 7, 1))
    assert months(client) == {"2026-05": "closed", "2026-04": "closed"}
    # Microsoft owes nothing for May, so there is no invoice to write.
    command = "clauseway books invoice --period 2026-05 --payer openai --payee microsoft"
    assert f"Next: <code>{command}</code>" in client.get("/finance").text
    claims = [
        invoice(home, "2026-04", payer, payee, date(2026, 7, 1))
        for payer, payee in (("openai", "microsoft"), ("microsoft", "openai"))
    ]
    assert months(client) == {"2026-05": "closed", "2026-04": "invoiced"}
    assert f"invoice {claims[0].id}" in client.get("/finance").text
    for number, claim in enumerate(claims):
        pay(home, f"payment-{number}", claim.id, "", date(2026, 7, 2))
    assert months(client)["2026-04"] == "paid"


def test_every_file_that_is_offered_can_be_taken_away(client: TestClient) -> None:
    page = client.get("/finance").text
    offered = re.findall(r'href="(/download/[^"]*)" download', page)
    assert {address.split("/")[2] for address in offered} == {"statement", "ledger", "evidence"}
    for address in offered:
        file = client.get(address)
        assert file.status_code == 200, address
        assert file.headers["content-disposition"].startswith('attachment; filename="clauseway-')
        # No browser takes a file for a page, or keeps it for the next reader.
        assert (file.headers["x-content-type-options"], file.headers["cache-control"]) == ("nosniff", "no-store")
    stated = json.loads(client.get("/download/statement/2026-04/json").content)
    assert stated["directions"]


@pytest.mark.parametrize(
    "address", ["statement/2026-04/exe", "secrets/2026-04/csv", "statement/2031-01/csv", "statement/x/csv"]
)
def test_a_file_that_is_none_is_not_found(client: TestClient, address: str) -> None:
    assert client.get(f"/download/{address}").status_code == 404


def test_balances_are_in_the_words_of_people(client: TestClient) -> None:
    page = client.get("/finance").text
    row = r'<th scope="row">(\w+)</th><td data-label="Account">([^<]*)</td>.*?data-label="(Debit|Credit)"'
    sides = set(re.findall(row, page))
    assert ("OpenAI", "payable: revenue share", "Credit") in sides
    assert ("Microsoft", "receivable: revenue share", "Debit") in sides


@pytest.mark.parametrize("address", ["/finance", "/statement/2026-05"])
def test_a_statement_names_parties_and_clouds_as_people_write_them(client: TestClient, address: str) -> None:
    page = client.get(address).text
    text = " ".join(re.sub(r"<[^>]+>", " ", page.partition("<article")[2].partition("</article>")[0]).split())
    assert "OpenAI pays Microsoft" in text
    assert "OpenAI owes Microsoft" in text
    assert "on AWS, sold by OpenAI" in text
    assert re.findall(r"\b(?:openai|microsoft) (?:pays|owes)|on (?:aws|azure), sold", text) == []


def test_a_line_is_titled_as_people_write_its_names(client: TestClient) -> None:
    [line] = re.findall(r'href="(/statement/2026-05/\w+)"[^>]*>[^<]*</a>', client.get("/statement/2026-05").text)[:1]
    title = re.search(r"<h1>(.*?)</h1>", client.get(line).text)
    assert title is not None
    assert re.match(
        r"(OpenAI|Microsoft) pays (OpenAI|Microsoft) .* on (AWS|Azure), sold by (OpenAI|Microsoft)$", title[1]
    )


def commands(page: str) -> list[str]:
    return re.findall(r"<code>(clauseway [^<]*)</code>", page)


@pytest.mark.parametrize("address", ["/finance", "/auditor"])
def test_a_page_of_an_empty_home_names_a_command_that_fills_one(tmp_path: Path, address: str) -> None:
    command = commands(pages_client(Home(tmp_path / "home").make()).get(address).text)[0]
    done = run(*shlex.split(command)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'href="/statement/2026-05"' in pages_client(Home(tmp_path / "demo")).get(address).text


@pytest.mark.parametrize("address", ["/finance", "/auditor"])
def test_a_month_with_usage_alone_names_the_command_that_settles_it(tmp_path: Path, address: str) -> None:
    home = settled_book.sealed(tmp_path / "home")
    command = commands(pages_client(home).get(address).text)[0]
    assert command.startswith("clauseway settle --period 2026-04 --assume cap --assume share-")
    done = run(*shlex.split(command)[1:], home=home.root)
    assert done.returncode == 0, done.stderr
    assert 'href="/statement/2026-04"' in pages_client(home).get(address).text


def test_what_was_accepted_before_is_not_asked_for_again(tmp_path: Path) -> None:
    home = settled_book.sealed(tmp_path / "home")
    accepted = run("basis", "assume", "cap", "--why", "as reported", home=home.root)
    assert accepted.returncode == 0, accepted.stderr
    command = commands(pages_client(home).get("/finance").text)[0]
    assert (
        command == "clauseway settle --period 2026-04 --assume share-microsoft-openai --assume share-openai-microsoft"
    )


# The states of the months from January on, and the months in the order in which they are shown; today is 10 June.
BY_ATTENTION = [
    ("paid paid settled settled", "03 04 02 01"),  # March is closed next, April behind it
    ("paid invoiced closed settled", "03 04 02 01"),  # one may be claimed, one closed; one is awaited
    ("open open open open open open", "01 02 03 04 05 06"),
    ("paid paid paid paid settled open", "05 06 04 03 02 01"),  # June is not over
    ("settled open closed", "01 02 03"),
    ("paid paid paid paid invoiced paid settled", "05 07 06 04 03 02 01"),  # July has not begun
    ("open settled closed", "01 03 02"),  # January has to be settled and closed before February
]


@pytest.mark.parametrize(("states", "shown"), BY_ATTENTION)
def test_months_come_in_the_order_in_which_they_need_attention(states: str, shown: str) -> None:
    months = [MonthState(period=f"2026-{number:02}", state=state) for number, state in enumerate(states.split(), 1)]
    ordered = finance_page._by_attention(months, date(2026, 6, 10))
    assert " ".join(month.period[5:] for month in ordered) == shown


def test_a_settled_month_that_has_not_begun_does_not_stand_for_what_is_owed() -> None:
    may, later = (MonthState(period=period, state="settled") for period in ("2026-05", "2027-05"))
    assert latest_settled((may, later), date(2026, 6, 10)) == may
    assert latest_settled((later,), date(2026, 6, 10)) == later
    assert latest_settled((), date(2026, 6, 10)) is None


def test_a_month_is_due_from_the_day_after_its_last() -> None:
    may, invoiced = MonthState(period="2026-05", state="open"), MonthState(period="2026-04", state="invoiced")
    for today, first in ((date(2026, 5, 31), invoiced), (date(2026, 6, 1), may)):
        assert finance_page._by_attention((invoiced, may), today)[0] == first


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("USD 38000000000", "USD 38 billion"),
        ("USD 1250000000", "USD 1.25 billion"),
        ("USD 1234567000", "USD 1,234,567,000"),
        ("USD 3000000", "USD 3 million"),
        ("USD 1000000", "USD 1 million"),
        ("USD ²", "USD ²"),
        ("USD 900", "USD 900"),
        ("20 %", "20 %"),
        ("from-a5", "from-a5"),
        ("2030", "2030"),
    ],
)
def test_a_sum_is_written_as_people_write_it(value: str, shown: str) -> None:
    assert round_in_words(value) == shown


def test_a_long_statement_is_shown_in_part_with_the_way_to_all_of_it(
    home: Home, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand lines would be a page of 11 MB."""
    whole = client.get("/finance").text
    lines = whole.count('<details class="line"')
    monkeypatch.setattr(finance_page, "_LINES_MAX", 1)
    part = client.get("/finance").text
    sections = whole.count('<section class="ledger"')
    assert sections < lines
    assert part.count('<details class="line"') == part.count('<section class="ledger"') == sections
    assert 'more in <a href="/statement/2026-05">the whole statement</a>' in part
    assert "the whole statement" not in whole
    subtotals = [re.findall('<div class="row subtotal">.*</div>', text) for text in (whole, part)]
    assert subtotals[0] == subtotals[1]


# Amounts that a party owes another for a month | the page's sentence
CLAIMED = [
    ({"invoices": (), "unclaimed": D("4.00")}, ""),
    ({"invoices": ("i-1",), "unpaid": ((D("4.00"), "USD"),)}, "invoice i-1: 4.00 USD open"),
    ({"invoices": ("i-1", "i-2"), "unpaid": ((D(0), "USD"), (D("3.70"), "EUR"))}, "invoice i-1, i-2: 3.70 EUR open"),
    ({"invoices": ("i-1",), "unpaid": ((D(0), "USD"),)}, "invoice i-1: paid"),
    ({"invoices": ("i-1",), "unclaimed": D("1.50")}, "invoice i-1: paid · 1.50 USD not invoiced yet"),
]


@pytest.mark.parametrize(("state", "said"), CLAIMED)
def test_what_is_claimed_paid_and_not_invoiced_yet(state: dict[str, Any], said: str) -> None:
    owed: dict[str, Any] = {"amount": D("4.00"), "unclaimed": D(0), "unpaid": ()} | state
    assert finance_page._claimed(MonthOwed(payer="openai", payee="microsoft", **owed)) == said


def test_a_long_statement_is_paged_and_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line stands on one page, and the sums of the whole statement on all of them."""
    address = "/statement/2026-05"

    def parts_of(page: str, kind: str) -> list[str]:
        return re.findall(rf'<div class="{kind}">.*?</div>', page, re.DOTALL)

    whole = client.get(address).text
    lines = parts_of(whole, "line")
    assert "all sums are those of the whole statement" not in whole
    monkeypatch.setattr(finance_page, "_PAGE_LINES", 1)
    pages = [client.get(f"{address}?from={number}").text for number in range(1, len(lines) + 1)]
    assert [parts_of(page, "line") for page in pages] == [[line] for line in lines]
    for number, page in enumerate(pages, 1):
        assert f"Lines {number} to {number} of {len(lines)}; all sums are those of the whole statement." in page
        beside = {each for each in (number - 1, number + 1) if 1 <= each <= len(lines)}
        assert set(map(int, re.findall(rf'href="{address}\?from=(\d+)"', page))) == beside
        assert parts_of(page, "row total") == parts_of(whole, "row total")
    for wrong in ("0", "x", str(len(lines) + 1)):
        refused = client.get(f"{address}?from={wrong}")
        assert (refused.status_code, "is not the number of a line" in refused.text) == (404, True)


def test_a_section_without_lines_stands_on_the_first_page(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = statement(home, "2026-05")
    assert stated is not None
    shown = statement_context(stated, str)
    empty = msgspec.structs.replace(shown.sections[0], lines=())
    shown = msgspec.structs.replace(shown, sections=(empty, *shown.sections))
    monkeypatch.setattr(finance_page, "_PAGE_LINES", 1)
    assert [empty in page_of_statement(shown, begin).sections for begin in ("1", "2")] == [True, False]


def test_totals_come_first_and_assumptions_in_words(client: TestClient) -> None:
    page = client.get("/finance").text
    statement = page[page.index('<article class="statement">') :]
    assert re.findall('class="figure amount">(.*?)<', statement)[:2] == ["0.00 USD", "0.60 USD"]
    assert statement.index('class="totals"') < statement.index('class="chips"') < statement.index('class="ledger"')
    alone = client.get("/statement/2026-05").text
    assert alone.index('class="totals"') < alone.index('class="ledger"')
    for chip in ("<b>Cap</b> USD 38 billion", "<b>Share OpenAI Microsoft</b> 20 %"):
        assert chip in statement
