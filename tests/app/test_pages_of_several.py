"""The pages of a home that two agreements govern at once: no link of any page leads nowhere."""

import re
from collections import Counter
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlsplit

import pytest
from bench.price_tables import open_prices

import settled_book
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import Opened, open_agreements
from clauseway.web.page_list import PAGES
from home_pages import pages_client

SHARES = tuple(f"share-anthropic-{host}" for host in ("amazon", "google", "microsoft"))
# Pages whose addresses differ in their query alone, of which so many are opened.
ALIKE_MAX = 15
BEGINNINGS = [page.path for page in PAGES if "{" not in page.path]


@pytest.fixture(scope="module")
def both() -> Opened:
    return open_agreements(["openai-microsoft", "anthropic-clouds"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, both: Opened) -> Home:
    home = Home(tmp_path_factory.mktemp("several") / "home").make()
    settled_book.seal(home)
    for period in ("2026-04", "2026-05"):
        settle_month(home, both, open_prices(settled_book.KNOWN), period, (*settled_book.ACCEPTED, *SHARES), {})
    return home


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same months, settled under the built-in agreement alone."""
    return settled_book.make(tmp_path_factory.mktemp("alone") / "home")


def links_of(page: str) -> list[str]:
    return [unescape(address) for address in re.findall(r'href="([^"]*)"', page)]


@pytest.fixture(scope="module")
def opened_pages(home: Home, both: Opened) -> dict[str, tuple[int, str, set[str]]]:
    """Each page that a link leads to: its status, its text, and the pages that link to it."""
    answers: dict[str, tuple[int, str, set[str]]] = {}
    alike: Counter[str] = Counter()
    ahead = [(address, "typed") for address in BEGINNINGS]
    pages = pages_client(home, both)
    while ahead:
        link, origin = ahead.pop(0)
        address = link.partition("#")[0]
        if address in answers:
            answers[address][2].add(origin)
        elif address.startswith("/") and alike[urlsplit(address).path] < ALIKE_MAX:
            alike[urlsplit(address).path] += 1
            answer = pages.get(address)
            text = answer.text if answer.headers["content-type"].startswith("text/html") else ""
            answers[address] = answer.status_code, text, {origin}
            # A statement taken away as a file is read without these pages.
            ahead += [] if address.startswith("/download") else [(each, address) for each in links_of(text)]
    return answers


def test_every_link_leads_to_a_page(opened_pages: Mapping[str, tuple[int, str, set[str]]]) -> None:
    assert {page.path for page in PAGES if "{" not in page.path} <= opened_pages.keys()
    lost = {address: text for address, (status, _, text) in opened_pages.items() if status != 200}
    assert lost == {}


SERVED = (
    ("both", ["openai-microsoft", "anthropic-clouds"], "openai-microsoft/A5.md"),
    ("the other way round", ["anthropic-clouds", "openai-microsoft"], "openai-microsoft/A5.md"),
    ("the built-in one alone", ["openai-microsoft"], "A5.md"),
)


@pytest.mark.parametrize(("served", "document"), [row[1:] for row in SERVED], ids=[row[0] for row in SERVED])
@pytest.mark.parametrize("settled", ["alone", "beside another"])
def test_a_clause_of_a_settled_month_opens_its_text(
    home: Home, alone: Home, settled: str, served: list[str], document: str
) -> None:
    pages = pages_client(home if settled == "beside another" else alone, open_agreements(served))
    for address in ("/finance", "/statement/2026-05"):
        cited = [link for link in links_of(pages.get(address).text) if link.startswith("/text?")]
        assert f"/text?document={document}&line=149#named" in cited, address
        assert [link for link in cited if 'id="named"' not in pages.get(link).text] == []
    lines = {link for link in links_of(pages.get("/statement/2026-05").text) if link.startswith("/statement/2026-05/")}
    assert lines
    behind = [pages.get(line).text for line in lines]
    # Each shows its clause's heading and words; one is of that clause.
    assert [page for page in behind if not re.search(r"<b>\d[\d.]* \w[^<]*</b> <q>\w", page)] == []
    assert any(f"/text?document={document}&line=149#named" in links_of(page) for page in behind)


def test_a_clause_of_an_agreement_that_is_not_served_has_no_link(alone: Home) -> None:
    statement = pages_client(alone, open_agreements(["anthropic-clouds"])).get("/statement/2026-05").text
    assert "A5.share-openai-microsoft" in statement
    assert [link for link in links_of(statement) if link.startswith("/text?")] == []
