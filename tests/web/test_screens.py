"""Every page in a real browser: judged by axe-core, on wide and narrow screens, in light and dark, by keyboard and on
paper. axe-core comes from npm, locked."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pypdf
import pytest
from playwright.sync_api import Browser, Page, expect
from sample_pages import DAY_REQUESTS, LINE, STATEMENT
from test_pages import NARROW, WIDE, Served

from clauseway import web
from clauseway.web.page_list import PAGES, SCREENS
from client_packages import node_packages

pytestmark = pytest.mark.browser

ADDRESSES = (
    "/",
    "/lawyer",
    "/lawyer/compare",
    "/lawyer/draft",
    "/text?document=A4.md",
    "/engineer",
    "/engineer/request/req_1",
    "/finance",
    "/finance/bill",
    "/auditor",
    "/auditor/launches",
    "/auditor/decision",
    "/auditor/handed",
    "/auditor/check/2026-04",
    f"/statement/{STATEMENT.period}",
    f"/statement/{STATEMENT.period}/{LINE.id}",
    f"/statement/{LINE.period}/{LINE.id}/{DAY_REQUESTS.day}",
    "/nothing",
)
MONITORING = Path(web.__file__).with_name("monitoring")
NARROWEST = 320
# The cells and drawn labels of a page that end beyond what is seen of them without scrolling sideways.
CUT_OFF = """() => [...document.querySelectorAll("td, tbody th, .figure, .row-label")].filter(cell => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  const seen = cell.closest(".scroll, body").getBoundingClientRect();
  const boxes = [...range.getClientRects()].filter(box => box.width > 1);
  return boxes.some(box => box.right > seen.right + 1 || box.left < seen.left - 1);
}).map(cell => cell.textContent.trim())"""


@pytest.fixture(scope="module")
def axe() -> str:
    return (node_packages(Path(__file__).with_name("axe")) / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    pages = Served()
    yield pages
    pages.close()


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(color_scheme=request.param, viewport=WIDE)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def test_every_page_is_among_the_addresses() -> None:
    paths = [address.partition("?")[0] for address in ADDRESSES]
    patterns = {page.path: re.sub(r"{\w+}", "[^/]+", page.path) for page in PAGES}
    missing = [path for path, pattern in patterns.items() if not any(re.fullmatch(pattern, path) for path in paths)]
    assert not missing, "ADDRESSES has no address of these pages"


@pytest.mark.parametrize("address", ADDRESSES)
def test_axe_finds_nothing_and_nothing_sticks_out(served: Served, page: Page, axe: str, address: str) -> None:
    page.goto(served.url + address)
    judge(page, axe)


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_link_leads_to_another_page(served: Served, address: str) -> None:
    """The gateway asks for a key: whoever followed a link to it would end there."""
    links = re.findall(r'<a\b[^>]*\bhref="([^"]*)"', httpx.get(served.url + address).text)
    assert links
    assert [link for link in links if not link.startswith(("/", "#", "?"))] == []


@pytest.mark.parametrize("draft", ["effective: soon", "id: A6"])
def test_axe_finds_nothing_in_a_draft_read_either(served: Served, page: Page, axe: str, draft: str) -> None:
    page.goto(f"{served.url}/lawyer/draft")
    page.get_by_label("The draft as Markdown").fill(draft)
    page.get_by_role("button", name="Read and rehearse").click()
    expect(page.locator("[role=alert], #traffic-played")).to_be_visible()
    judge(page, axe)


def judge(page: Page, axe: str) -> None:
    page.locator("details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    page.evaluate(axe)
    for viewport in (WIDE, NARROW):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        answer = page.evaluate("axe.run(document, {rules: {'target-size': {enabled: true}}})")
        answer = [
            *answer["violations"],
            *(each for each in answer["incomplete"] if each["id"] == "aria-prohibited-attr"),
        ]
        faults = {each["id"]: [node["html"] for node in each["nodes"]] for each in answer}
        assert faults == {}, viewport
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    for width in (NARROW["width"], NARROWEST):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(CUT_OFF) == [], width


def test_the_screens_are_reached_from_each_other_by_keyboard(served: Served, page: Page) -> None:
    page.goto(served.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for screen in SCREENS[1:]:
        page.goto(served.url)
        page.get_by_role("link", name=screen.label, exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name=screen.label, exact=True)).to_have_attribute("aria-current", "page")
        expect(page).to_have_url(served.url + screen.path)


def test_a_question_is_asked_and_its_mistake_told_at_its_field(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/lawyer")
    wrong = page.get_by_role("textbox", name="on the day")
    expect(wrong).to_have_value("yesterday")
    expect(wrong).to_have_accessible_description("'yesterday' is not a day.")
    wrong.fill("2026-04-26")
    wrong.press("Enter")
    expect(page).to_have_url(f"{served.url}/lawyer?party=openai&as_of=2026-04-26&known_at=")
    page.get_by_role("link", name="A4.md, line 20").click()
    expect(page.locator("#named h2")).to_contain_text("4.2 Stateless APIs on Azure")


def test_a_draft_that_is_dropped_is_read_and_a_mistake_leads_to_its_line(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/lawyer/draft")
    dropped = page.evaluate_handle(
        "() => { const sent = new DataTransfer(); "
        "sent.items.add(new File(['---\\nid: A6\\neffective: soon\\n'], 'A6.md')); return sent; }"
    )
    page.dispatch_event("#draft", "drop", {"dataTransfer": dropped})
    page.get_by_role("button", name="line 3").click()
    field = page.get_by_label("The draft as Markdown")
    expect(field).to_be_focused()
    marked = field.evaluate("field => field.value.slice(field.selectionStart, field.selectionEnd)")
    assert marked == "effective: <b>soon</b>"


@pytest.mark.parametrize(("address", "shown"), [("/auditor/decision", "#repeated"), ("/finance/bill", "#compared")])
def test_a_file_that_is_chosen_is_sent_and_answered(
    served: Served, page: Page, axe: str, tmp_path: Path, address: str, shown: str
) -> None:
    chosen = tmp_path / "chosen"
    chosen.write_text("{}")
    page.goto(served.url + address)
    page.get_by_label("or choose a file").set_input_files(chosen)
    expect(page.locator(f"{shown}-shown")).to_be_visible()
    judge(page, axe)


def test_a_file_that_was_too_long_is_chosen_again_once_it_is_shorter(
    served: Served, page: Page, tmp_path: Path
) -> None:
    """A browser tells no change where the file is chosen that a field still holds."""
    chosen = tmp_path / "bill.csv"
    chosen.write_bytes(b"x" * (5 << 20))
    page.goto(f"{served.url}/finance/bill")
    field = page.get_by_label("or choose a file")
    field.set_input_files(chosen)
    expect(page.get_by_role("alert")).to_be_visible()
    assert field.evaluate("field => field.files.length") == 0
    chosen.write_text("{}")
    field.set_input_files(chosen)
    expect(page.locator("#compared-shown")).to_be_visible()


def test_a_statement_and_its_signatures_are_chosen_as_files_at_once(
    served: Served, page: Page, axe: str, tmp_path: Path
) -> None:
    signatures, statement = tmp_path / "april.json.signatures.json", tmp_path / "april.json"
    signatures.write_text("{}")
    statement.write_text('{"period": 1}')
    page.goto(f"{served.url}/auditor/handed")
    page.get_by_label("or choose the files").set_input_files([signatures, statement])
    expect(page.get_by_role("heading", name="Signatures")).to_be_visible()
    judge(page, axe)


def test_what_watches_the_gateway_is_taken_from_the_engineers_screen(
    served: Served, page: Page, tmp_path: Path
) -> None:
    page.goto(f"{served.url}/engineer")
    for label, name in (("A dashboard for Grafana", "grafana.json"), ("Rules for Prometheus", "alerts.yml")):
        with page.expect_download() as download:
            page.get_by_role("link", name=label).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (MONITORING / name).read_bytes()
    assert httpx.get(f"{served.url}/engineer/monitoring/__init__.py").status_code == 404


def test_on_paper_there_is_the_answer_without_what_can_only_be_clicked(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/lawyer")
    page.emulate_media(media="print")
    expect(page.locator(".verdict")).to_be_visible()
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator("form")).to_be_hidden()


COLOURS = ("--paper", "--ink", "--permitted", "--forbidden", "--conditional", "--unstated", "--on-bar")


def test_paper_takes_the_light_colours_of_whoever_reads_in_the_dark(served: Served, page: Page) -> None:
    """Else what is unstated would be a black bar, and every other colour too pale to read."""
    page.goto(f"{served.url}/lawyer")
    printed = []
    for scheme in ("light", "dark"):
        page.emulate_media(media="print", color_scheme=scheme)
        printed.append(
            page.evaluate(
                """names => {
                    const style = getComputedStyle(document.documentElement);
                    return [style.colorScheme, ...names.map(name => style.getPropertyValue(name))];
                }""",
                COLOURS,
            )
        )
    assert printed[0] == printed[1]


def test_no_row_of_a_table_is_cut_by_the_end_of_a_page(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/lawyer")
    page.locator("main").evaluate(
        """main => {
            const row = number => `<tr><td>top-${number}-${"<br>".repeat(6)}end-${number}-</td></tr>`;
            const rows = [...Array(60).keys()].map(row).join("");
            main.insertAdjacentHTML("beforeend", `<table><tbody>${rows}</tbody></table>`);
        }"""
    )
    sheets = [sheet.extract_text() for sheet in pypdf.PdfReader(io.BytesIO(page.pdf(format="A4"))).pages]
    cut = [n for n in range(60) if not any(f"top-{n}-" in text and f"end-{n}-" in text for text in sheets)]
    assert cut == []


def test_on_paper_stand_the_changes_the_readings_and_the_whole_command(served: Served, page: Page) -> None:
    page.goto(f"{served.url}/lawyer")
    command = "clauseway decide --action serve " + " ".join(f"--supposing-{number} none" for number in range(20))
    page.locator(".answer pre code").evaluate("(code, text) => { code.textContent = text; }", command)
    printed = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4")))
    text = " ".join(" ".join(sheet.extract_text() for sheet in printed.pages).split())
    for said in ("What would change this", "from 27 April 2026 on: permitted", "a4 (usual)", "a3"):
        assert said in text
    assert command.replace(" ", "") in text.replace(" ", "")
    assert " Ask " not in text
