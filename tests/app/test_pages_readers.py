"""The readers of a real home's pages: given by command, asked by the pages, gone at once when they are removed."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import settled_book
from clauseway.app.books import people
from clauseway.app.books.people import give_password, take_password
from clauseway.app.books.settled import latest_settlements, now
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running import pages_process
from clauseway.app.running.pages_process import HomePages, log_sign_in
from clauseway.app.running.readers import HomeReaders
from clauseway.app.screens.forecast_page import Supposed
from clauseway.gateway.plan.clock import system_clock
from clauseway.ledger import statement_of
from clauseway.web import page_list
from clauseway.web.pages import create_app
from home_pages import pages_client

SECRET, OTHER = "a long enough sentence", "another long sentence"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").make()


@pytest.fixture
def pages(home: Home) -> TestClient:
    return pages_client(home, readers=HomeReaders(home), follow_redirects=False)


def test_every_screen_but_the_first_can_be_given() -> None:
    assert ["/", *(f"/{name}" for name in people.SCREENS)] == [screen.path for screen in page_list.SCREENS]


def tried(pages: TestClient, account: str, password: str) -> int:
    return pages.post("/sign-in", data={"account": account, "password": password}).status_code


def test_the_pages_ask_from_the_first_password_on(home: Home, pages: TestClient) -> None:
    assert pages.get("/finance").status_code == 200
    give_password(home, "anna", SECRET, [])
    assert pages.get("/finance").status_code == 303
    assert (tried(pages, "anna", OTHER), tried(pages, "bob", SECRET)) == (403, 403)
    assert tried(pages, "anna", SECRET) == 303
    assert pages.get("/finance").status_code == 200


def test_another_password_or_none_ends_the_session_at_once(home: Home, pages: TestClient) -> None:
    give_password(home, "anna", SECRET, ["finance"])
    give_password(home, "bob", SECRET, [])
    tried(pages, "anna", SECRET)
    give_password(home, "anna", OTHER, [])
    assert pages.get("/finance").status_code == 303
    assert tried(pages, "anna", SECRET) == 403
    tried(pages, "anna", OTHER)
    assert (pages.get("/finance").status_code, pages.get("/lawyer").status_code) == (200, 403)
    take_password(home, "anna")
    assert pages.get("/finance").status_code == 303
    assert tried(pages, "anna", OTHER) == 403


def test_each_try_is_a_line_that_nobody_can_forge(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    give_password(home, "anna", SECRET, [])
    source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    readers = HomeReaders(home)
    pages = TestClient(create_app(source, hosts=["*"], readers=readers, tell=log_sign_in), follow_redirects=False)
    tried(pages, 'x"}\n{"event": "signed in", "account": "eve', OTHER)
    tried(pages, "anna", SECRET)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["account"]) for line in lines] == [
        ("wrong password", 'x"}\n{"event": "signed in", "account": "eve'),
        ("signed in", "anna"),
    ]
    assert all(SECRET not in str(line) and OTHER not in str(line) for line in lines)
    assert lines[1]["time"].endswith("Z")


def test_no_password_lies_in_the_home(home: Home) -> None:
    give_password(home, "anna", SECRET, [])
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert files
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


# Pages alike but for their query, of which so many are opened.
ALIKE_MAX = 3


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return settled_book.make(tmp_path_factory.mktemp("book") / "home")


@pytest.mark.parametrize("screen", people.SCREENS)
def test_no_page_leads_its_reader_to_what_they_may_not_open(settled: Home, screen: str) -> None:
    give_password(settled, screen, SECRET, [screen])
    pages = pages_client(settled, readers=HomeReaders(settled), follow_redirects=False)
    tried(pages, screen, SECRET)
    answers: dict[str, int] = {}
    ahead = ["/"]
    while ahead:
        address = ahead.pop().partition("#")[0]
        alike = [each for each in answers if each.partition("?")[0] == address.partition("?")[0]]
        if address.startswith("/") and address not in answers and len(alike) < ALIKE_MAX:
            answer = pages.get(address)
            answers[address] = answer.status_code
            if not address.startswith("/download"):
                ahead += map(unescape, re.findall(r'(?:href|action)="([^"]*)"', answer.text))
    # The form that signs out is only sent.
    assert {address for address, status in answers.items() if status != 200} <= {"/sign-out"}
    assert f"/{screen}" in answers


OPENED = [
    "/text?document=A5.md&line=149",
    "/statement/2026-05",
    "/statement/2026-05/{line}",
    "/download/statement/2026-05/csv",
]
# the screen that a reader sees · which of these it opens
OPENS = {
    "engineer": (200, 403, 403, 403),
    "lawyer": (200, 403, 403, 403),
    "finance": (200, 200, 200, 200),
    "auditor": (200, 200, 200, 200),
}


@pytest.mark.parametrize("screen", people.SCREENS)
def test_texts_are_for_every_reader_and_statements_for_who_books_or_audits(settled: Home, screen: str) -> None:
    pages = pages_client(settled, readers=HomeReaders(settled), follow_redirects=False)
    give_password(settled, screen, SECRET, [screen])
    [line, *_] = statement_of(latest_settlements(settled)["2026-05"]).lines
    assert pages.get(OPENED[0]).status_code == 303
    tried(pages, screen, SECRET)
    assert tuple(pages.get(address.format(line=line.id)).status_code for address in OPENED) == OPENS[screen]
    home = pages.get(OPENED[0]).text
    assert re.findall(r'<a href="/(engineer|lawyer|finance|auditor)"', home) == [screen]


def test_an_open_page_looks_at_every_file_of_the_lake_now_and_then(settled: Home) -> None:
    """The counts ask each second whether anything is new: a large lake has a hundred thousand files."""
    pages = HomePages(settled, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    whole = pages._alerts_lately(100)
    file = next(settled.lake.glob("usage/*/*.parquet"))
    aside = file.rename(file.with_suffix(".aside"))
    assert pages._alerts_lately(109) == whole
    assert pages._alerts_lately(110) != whole
    aside.rename(file)
    assert pages._alerts_lately(120) == whole


class _Emptied(dict[Any, Any]):
    """The cache of pages, emptied by another thread once an entry was looked for."""

    def __contains__(self, key: object) -> bool:
        is_kept = super().__contains__(key)
        self.clear()
        return is_kept


class _Shared(HomePages):
    """Pages of two readers at once: what one of them keeps is replaced by the other's at once."""

    @property
    def _forecast(self) -> Any:
        return self.__dict__.get("of_another")

    @_forecast.setter
    def _forecast(self, made: Any) -> None:
        self.__dict__["of_another"] = made and (("another",), "the forecast of another reader")


def test_a_page_shows_its_own_forecast_and_comparison_beside_another_reader_s(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_agreements([])
    monkeypatch.setattr(pages_process, "forecast_context", lambda *_: "its own forecast")
    pages = _Shared(home, opened, system_clock, "")
    forecast: Any = pages._ahead(opened, now(), Supposed("", ""), ())
    assert forecast == "its own forecast"
    kept = pages._compare("A4", "A5")
    pages._compared = _Emptied(pages._compared)
    assert pages._compare("A4", "A5") == kept
