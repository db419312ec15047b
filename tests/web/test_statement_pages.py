"""A statement's page, its file for print and what stands behind a line, in a real browser."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pypdf
import pytest
from playwright.sync_api import Browser, Page, expect
from sample_pages import LINE, STATEMENT
from test_pages import NARROW, WIDE, Served

from clauseway.web.documents import statement_html

pytestmark = pytest.mark.browser
ASSUMED = 'cap = USD 38 billion (reported) · "x"; } </style><script>alert(1)</script> · wholesale = 100 % (ours)'
# Long enough for several printed pages.
LONG = msgspec.structs.replace(STATEMENT, sections=STATEMENT.sections * 8, assumed=ASSUMED, digest="5e" * 32)


@pytest.fixture
def served() -> Iterator[Served]:
    pages = Served()
    yield pages
    pages.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=NARROW)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def scrolls_sideways(page: Page) -> bool:
    answer = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert isinstance(answer, bool)
    return answer


def test_of_ten_thousand_lines_those_are_laid_out_that_are_seen_and_on_paper_all(served: Served, page: Page) -> None:
    """Laid out at once they took a browser more than two minutes, of which quotation marks were the most."""
    page.goto(f"{served.url}/statement/{STATEMENT.period}")
    laid_out = """line => [
        getComputedStyle(line).contentVisibility,
        getComputedStyle(line.querySelector("q"), "::before").content,
    ]"""
    assert page.locator(".line").first.evaluate(laid_out) == ["auto", "none"]
    page.emulate_media(media="print")
    assert page.locator(".line").first.evaluate(laid_out) == ["visible", "none"]


def test_a_line_opens_to_everything_behind_it(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/statement/{LINE.period}")
    page.get_by_role("link", name=LINE.id).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(LINE.title)
    main = page.locator("main")
    for text in (
        *LINE.working,
        *LINE.remarks,
        LINE.entries[0].id,
        LINE.entries[0].legs[0].account,
        "28 April 2026",
        LINE.prices[0].source,
        LINE.requests[0].id,
        LINE.clauses[0].title,
        LINE.clauses[0].citation.source,
        f"{LINE.clauses[0].citation.document}, line {LINE.clauses[0].citation.line}",
    ):
        expect(main).to_contain_text(text)


@pytest.mark.parametrize("path", ["/statement/2026-04", "/statement/2026-04/7h3kq0m2"])
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["390", "1280"])
def test_nothing_scrolls_sideways(served: Served, page: Page, path: str, size: dict[str, int]) -> None:
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.goto(served.url + path)
    for closed in page.locator("details:not([open]) > summary").all():
        closed.click()
    assert not scrolls_sideways(page)


def test_what_is_not_there_is_said(served: Served) -> None:
    for path in ("/statement/2026-04/nothing", "/statement/2026-09/7h3kq0m2", "/statement/2026-04/%3Cscript%3E"):
        answer = httpx.get(served.url + path)
        assert answer.status_code == 404
        assert "There is no line" in answer.text
        assert "<script>" not in answer.text


def test_the_file_needs_nothing_else_and_names_its_assumptions_on_every_printed_page(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "statement.html"
    file.write_text(statement_html(LONG))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert not scrolls_sideways(page)
    page.emulate_media(media="print")
    expect(page.get_by_text("7h3kq0m2").first).to_be_visible()
    printed = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4")))
    assert len(printed.pages) >= 3
    for number, sheet in enumerate(printed.pages, 1):
        text = " ".join(sheet.extract_text().split())
        assert "Assumed: cap = USD 38 billion (reported)" in text, f"page {number}"
        assert f"page {number} of {len(printed.pages)}" in text


def test_a_line_leads_to_all_its_requests_from_where_some_are_listed(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/statement/{LINE.period}/{LINE.id}")
    page.locator("section[aria-labelledby=requests]").get_by_role("link", name="28 April 2026: all 4,840").click()
    expect(page).to_have_url(f"{served.url}/statement/{LINE.period}/{LINE.id}/2026-04-28")
