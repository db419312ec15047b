"""Every page of the one list: drawn by a template of its name, and in words where it has nothing to show."""

import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from sample_pages import DAY_REQUESTS, LINE, STATEMENT, SamplePages
from sample_screens import PATH, TEXT
from starlette.testclient import TestClient

from clauseway.web.auditor import AUDITOR_PAGES
from clauseway.web.engineer import ENGINEER_PAGES
from clauseway.web.finance import FINANCE_PAGES
from clauseway.web.lawyer import LAWYER_PAGES
from clauseway.web.overview import OVERVIEW_PAGES
from clauseway.web.page import WebPage
from clauseway.web.page_list import PAGES, SCREENS, PageSource
from clauseway.web.pages import create_app
from clauseway.wording.dates import dated

# part of an address · what the sample has · what it has not
QUERY = {"document": (TEXT.document, "B9.md")}
PARTS = {
    "period": (STATEMENT.period, "2031-01"),
    "line": (LINE.id, "NOTHINGS"),
    "day": (str(DAY_REQUESTS.day), "2031-01-01"),
    "subject": ("books", "2031-01"),
    "named": (PATH.id, "req_9"),
}
# Whoever may see a screen may see its reader's pages, and nobody else.
OF_SCREEN: Mapping[str, Sequence[WebPage[Any]]] = {
    "/": OVERVIEW_PAGES,
    "/engineer": ENGINEER_PAGES,
    "/lawyer": LAWYER_PAGES,
    "/finance": FINANCE_PAGES,
    "/auditor": AUDITOR_PAGES,
}
CONTROLS = ("button", "input", "meter", "output", "progress", "select", "textarea")
PAGES_BY_PATH = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)


def test_each_page_stands_under_the_screen_of_its_reader() -> None:
    assert OF_SCREEN.keys() == {screen.path for screen in SCREENS}
    assert [page for pages in OF_SCREEN.values() for page in pages] == list(PAGES)
    for screen, pages in OF_SCREEN.items():
        assert {page.screen for page in pages} == {screen}


@PAGES_BY_PATH
def test_a_page_is_drawn_by_the_template_of_its_name(page: WebPage[PageSource]) -> None:
    address = page.path.format(**{part: there for part, (there, _) in PARTS.items()})
    query = {name: QUERY[name][0] for name in page.query if name in QUERY}
    shown = TestClient(create_app(SamplePages(), hosts=["*"])).get(address, params=query)
    assert shown.status_code == 200, shown.text
    controls = Controls()
    controls.feed(shown.text)
    assert controls.faults == []


class Controls(HTMLParser):
    """Form controls that HTML does not allow, and that browsers and axe let pass."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self._labelled: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "label":
            self._labelled = attributes.get("for")
        elif tag in CONTROLS and self._labelled not in (None, attributes.get("id")):
            self.faults.append(f"a label for {self._labelled} holds another control: {self.get_starttag_text()}")
        if attributes.get("wrap", "soft") not in ("soft", "hard"):
            self.faults.append(f"a wrap that HTML does not have: {self.get_starttag_text()}")

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._labelled = None


@PAGES_BY_PATH
def test_a_page_with_nothing_to_show_says_so_with_the_parts_of_its_path(page: WebPage[PageSource]) -> None:
    named = {part for text in msgspec.structs.astuple(page.absent) for part in re.findall(r"{(\w+)}", text)}
    assert named <= set(re.findall(r"{(\w+)}", page.path))
    absent = {part: nothing for part, (_, nothing) in PARTS.items()}
    query = {name: QUERY[name][1] for name in page.query if name in QUERY}
    if "{" in page.path or query:
        shown = TestClient(create_app(SamplePages(), hosts=["*"])).get(page.path.format(**absent), params=query)
        assert shown.status_code == 404
        assert dated(page.absent.what.format(**absent)) in shown.text
