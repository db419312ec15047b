"""The pages in a real browser, served by a real server on loopback, over a source of hand-made contexts."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, Route, expect
from sample_pages import SamplePages

from clauseway.web.contexts import Alert, PlainSentence
from clauseway.web.pages import create_app

pytestmark = pytest.mark.browser

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
OUTCOMES = ("permitted", "forbidden", "conditional", "unstated")


class Served:
    """The pages on a free port of loopback, in a thread of their own."""

    def __init__(self) -> None:
        self.source = SamplePages()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(create_app(self.source), log_level="error", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture
def served() -> Iterator[Served]:
    pages = Served()
    yield pages
    pages.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """The first page, live: its script has asked for the counts once."""
    context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
    opened = context.new_page()
    opened.goto(served.url)
    expect(opened.locator("#counts-state")).to_have_text("Live: counted every second.")
    yield opened
    context.close()


@pytest.fixture
def finance(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE)  # type: ignore[arg-type]
    opened = context.new_page()
    opened.goto(f"{served.url}/finance")
    yield opened
    context.close()


def count_of(page: Page, cloud: str, column: str) -> str:
    return f'[data-cloud="{cloud}"] [data-count="{column}"]'


class TestCounts:
    def test_they_change_on_the_page_as_they_change(self, page: Page, served: Served) -> None:
        served_cell, refused_cell, tokens_cell = (
            page.locator(count_of(page, "aws", column)) for column in ("served", "refused", "tokens")
        )
        expect(served_cell).to_have_text("0")
        expect(refused_cell).to_have_text("412")
        served.source.refuse("aws")
        expect(refused_cell).to_have_text("413")
        served.source.serve("aws", tokens=1_374)
        expect(served_cell).to_have_text("1")
        expect(tokens_cell).to_have_text("1,374")

    def test_a_cloud_that_appears_gets_a_row(self, page: Page, served: Served) -> None:
        expect(page.locator("#counts tr")).to_have_count(2)
        served.source.serve("openai-own", tokens=7)
        expect(page.locator(count_of(page, "openai-own", "served"))).to_have_text("1")

    def test_before_the_first_request_there_is_none_yet(self, browser: Browser) -> None:
        empty = Served()
        empty.source.counted = {}
        page = browser.new_page()
        page.goto(empty.url)
        expect(page.locator("#counts tr")).to_have_text(["No request yet."])
        empty.source.serve("aws", tokens=7)
        expect(page.locator(count_of(page, "aws", "served"))).to_have_text("1")
        expect(page.locator("#counts tr")).to_have_count(1)
        page.close()
        empty.close()

    def test_a_gateway_that_is_away_is_said_and_comes_back(self, page: Page, served: Served) -> None:
        """Whoever only looks at a home runs no gateway: the browser has nothing to complain of."""
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        served.source.down = "the gateway does not answer"
        expect(page.locator("#counts-state")).to_have_text("Not counted at present: the gateway does not answer.")
        served.source.down = ""
        expect(page.locator("#counts-state")).to_have_text("Live: counted every second.")
        assert complaints == []

    def test_a_session_that_ends_is_said_and_nothing_more_is_asked(self, browser: Browser, served: Served) -> None:
        refused: list[str] = []
        has_ended = False

        def answer(route: Route) -> None:
            if not has_ended:
                route.continue_()
                return
            refused.append(route.request.url)
            route.fulfill(status=401)

        page = browser.new_page()
        page.clock.install()
        page.route("**/counts.json", answer)
        page.goto(served.url)
        expect(page.locator("#counts-state")).to_have_text("Live: counted every second.")
        has_ended = True
        expect(page.locator("#counts-state")).to_have_text(
            "Not counted any more: nobody is signed in. Load the page again to sign in."
        )
        page.clock.run_for(60_000)
        assert refused == [f"{served.url}/counts.json"]
        page.close()

    def test_they_stand_in_a_table_without_any_script(self, browser: Browser, served: Served) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(served.url)
        expect(page.locator(count_of(page, "azure", "served"))).to_have_text("8,230")
        expect(page.locator(count_of(page, "azure", "tokens"))).to_have_text("12,004,771")
        context.close()


class TestPlainWords:
    def test_every_sentence_shows_its_clauses(self, browser: Browser, served: Served) -> None:
        page = browser.new_page()
        page.goto(f"{served.url}/lawyer")
        sentences = page.locator(".plain-words li")
        expect(sentences).to_have_count(len(served.source.plain_words))
        for shown, sentence in zip(sentences.all(), served.source.plain_words, strict=True):
            expect(shown).to_contain_text(sentence.text)
            for citation in sentence.citations:
                clause = shown.locator(".clause", has_text=citation.term)
                expect(clause).to_be_visible()
                expect(clause).to_contain_text(citation.amendment)
                expect(clause).to_contain_text(f"{citation.document}, line {citation.line}")
                expect(clause).to_contain_text(f"source {citation.source}")
        page.close()

    def test_a_sentence_is_text_and_never_markup(self, browser: Browser, served: Served) -> None:
        served.source.plain_words = (PlainSentence(text="<b id=injected>bold</b> & plain", citations=()),)
        page = browser.new_page()
        page.goto(f"{served.url}/lawyer")
        expect(page.locator(".plain-words li p")).to_have_text("<b id=injected>bold</b> & plain")
        expect(page.locator("#injected")).to_have_count(0)
        page.close()


class TestTimeline:
    def test_each_part_of_a_right_says_what_it_is_and_why(self, page: Page, served: Served) -> None:
        title = page.locator(".timeline .bar.forbidden title").first
        assert title.text_content() == (
            "OpenAI serves the stateless API on AWS: forbidden, 23 January 2023 to 26 April 2026. "
            "A1: Azure is the exclusive cloud for all OpenAI workloads."
        )

    def test_the_table_says_the_same(self, page: Page) -> None:
        page.locator("#timeline-table > summary").click()
        row = page.locator("#timeline-table tr", has_text="offered to Microsoft first")
        expect(row).to_contain_text("21 January to 27 October 2025")
        expect(row).to_contain_text("conditional")

    def test_what_is_open_stays_open_when_the_page_renews_itself(self, page: Page, served: Served) -> None:
        table = page.locator("#timeline-table")
        table.locator("summary").click()
        served.source.alerts = (Alert(what="a file is damaged", where="lake", why="it is short", remedy="Recover it."),)
        served.source.edition = "2026-04-29"
        expect(page.locator("#alerts")).to_contain_text("a file is damaged")
        expect(table).to_have_attribute("open", "")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_the_words_in_the_bars_can_be_read(self, browser: Browser, served: Served, scheme: str) -> None:
        context = browser.new_context(color_scheme=scheme, viewport=WIDE)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(served.url)
        for outcome in OUTCOMES[:3]:
            bar = page.locator(f".timeline .bar.{outcome}", has=page.locator(".word")).first
            ink, ground = (
                bar.locator(part).first.evaluate("each => getComputedStyle(each).fill") for part in (".word", ".fill")
            )
            assert contrast(ink, ground) >= 4.5, f"{outcome} in {scheme}: {ink} on {ground}"
        context.close()


class TestStatement:
    def test_a_line_opens_to_its_clause_and_its_working(self, finance: Page) -> None:
        line = finance.locator("details.line", has_text="gpt-5.4 sold by OpenAI, hosted on AWS")
        clause = line.get_by_text("OpenAI pays Microsoft through 2030", exact=False)
        expect(line).to_contain_text("2.42")
        expect(clause).to_be_hidden()
        line.locator("summary").click()
        expect(clause).to_be_visible()
        expect(line.get_by_text("A5.md, line 88 · source S0 S3")).to_be_visible()
        expect(line.get_by_text("12.10 × 20 % = 2.42")).to_be_visible()

    def test_it_opens_from_the_keyboard_too(self, finance: Page) -> None:
        line = finance.locator("details.line").first
        line.locator("summary").focus()
        finance.keyboard.press("Enter")
        expect(line.locator(".basis")).to_be_visible()

    def test_both_directions_are_owed_apart(self, finance: Page) -> None:
        assert finance.locator(".totals .row").all_inner_texts() == [
            "OpenAI owes Microsoft\n261.81 USD",
            "Microsoft owes OpenAI\n128.00 USD",
        ]

    def test_the_page_for_print_has_everything_unfolded(self, finance: Page, served: Served) -> None:
        finance.get_by_role("link", name="for print").click()
        finance.emulate_media(media="print")
        expect(finance.locator(".clause-full")).to_have_count(5)
        assert all(each.is_visible() for each in finance.locator(".clause-full").all())
        expect(finance.get_by_text("share-microsoft-openai").first).to_be_visible()
        expect(finance.get_by_text("sha256:5e5e")).to_be_visible()

    def test_without_one_the_page_says_why(self, browser: Browser, served: Served) -> None:
        served.source.statements = ()
        page = browser.new_page()
        page.goto(f"{served.url}/finance")
        expect(page.locator("main")).to_contain_text("Nothing is settled yet")
        expect(page.locator(".statement")).to_have_count(0)
        page.close()


class TestThePageItself:
    def test_it_asks_nobody_but_its_own_server_and_breaks_no_policy(self, browser: Browser, served: Served) -> None:
        asked: list[str] = []
        complaints: list[str] = []
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(served.url)
        expect(page.locator("#counts-state")).to_have_text("Live: counted every second.")
        assert {url for url in asked if not url.startswith(served.url)} <= {"data:,"}
        assert complaints == []
        page.close()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
    def test_nothing_sticks_out(
        self, browser: Browser, served: Served, scheme: str, viewport: dict[str, int], tmp_path: object
    ) -> None:
        context = browser.new_context(color_scheme=scheme, viewport=viewport)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(served.url)
        page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        page.screenshot(path=f"{tmp_path}/first-page.png", full_page=True)
        context.close()

    def test_a_month_without_a_statement_says_what_to_do(self, served: Served) -> None:
        answer = httpx.get(f"{served.url}/statement/2026-09")
        assert answer.status_code == 404
        assert "clauseway settle --period 2026-09" in answer.text

    def test_no_such_page(self, served: Served) -> None:
        answer = httpx.get(f"{served.url}/nothing")
        assert answer.status_code == 404
        assert "Nothing is at /nothing." in answer.text

    def test_a_source_that_cannot_tell_is_a_page_that_says_so(self, served: Served) -> None:
        served.source.down = "the gateway does not answer"
        answer = httpx.get(served.url)
        assert answer.status_code == 503
        assert "the gateway does not answer" in answer.text
        assert httpx.get(f"{served.url}/healthz").text == "ok\n"

    def test_a_foreign_name_that_points_here_is_refused(self, served: Served) -> None:
        for host in ("elsewhere.example", "a b"):
            answer = httpx.get(served.url, headers={"host": host})
            assert answer.status_code == 400
            assert answer.text.endswith("Open them as http://127.0.0.1 or http://localhost, with their port.\n")

    def test_a_method_that_a_page_does_not_have_is_told_by_a_page(self, served: Served) -> None:
        answer = httpx.put(f"{served.url}/finance")
        assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})
        assert "/finance takes GET and HEAD." in answer.text


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours `rgb(r, g, b)`, as WCAG 2 defines it: 4.5 is legible."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
