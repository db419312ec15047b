"""The engineer's screen renews itself: what changes changes in place, and nothing that the reader did is undone."""

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect
from sample_screens import ENGINEER, LATEST
from test_pages import NARROW, WIDE, Served

from clauseway.web.engineer import Tile

pytestmark = pytest.mark.browser

AWAY = "() => { Object.defineProperty(document, 'hidden', {get: () => %s, configurable: true}); "
TOLD = "document.dispatchEvent(new Event('visibilitychange')); }"


@pytest.fixture
def served() -> Iterator[Served]:
    pages = Served()
    # Each of the latest requests has earlier ones like it, which a reader may unfold.
    rows = (msgspec.structs.replace(LATEST, alike=(("req_0", "2026-04-28T06:29:00Z"),)),)
    pages.source.engineer_now = msgspec.structs.replace(ENGINEER, not_served=rows)
    yield pages
    pages.close()


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
    opened = context.new_page()
    opened.goto(f"{served.url}/engineer")
    expect(opened.locator("#live-state")).to_have_text("Live: renewed every two seconds.")
    yield opened
    context.close()


def change(served: Served, p99: str) -> None:
    """Another figure, and another request that was not served, before the others."""
    now = served.source.engineer_now
    newest = msgspec.structs.replace(LATEST, id="req_9")
    served.source.engineer_now = msgspec.structs.replace(
        now, strip=(Tile(label="p99", value=p99),), not_served=(newest, *now.not_served)
    )


def test_figures_and_refusals_change_without_a_reload(page: Page, served: Served) -> None:
    page.evaluate("() => { window.kept = 1; }")
    change(served, "≤ 524 ms")
    expect(page.locator("#strip dd")).to_have_text("≤ 524 ms")
    expect(page.locator("#refused-now > .latest > li")).to_have_count(2)
    assert page.evaluate("window.kept") == 1


def test_what_is_open_and_where_the_keyboard_is_stay(page: Page, served: Served) -> None:
    summaries = page.locator("#refused-now summary")
    for summary in summaries.all():
        summary.click()
    page.get_by_text("1 more like it").first.focus()
    page.get_by_role("textbox", name="request id").evaluate("field => { field.value = 'req_half typed'; }")
    change(served, "≤ 8 ms")
    expect(page.locator("#strip dd")).to_have_text("≤ 8 ms")
    expect(page.get_by_text("1 more like it").first).to_be_focused()
    expect(page.locator("#refused-now details[open]")).to_have_count(3)
    expect(page.get_by_role("textbox", name="request id")).to_have_value("req_half typed")


def test_a_tab_that_nobody_sees_asks_for_nothing(page: Page, served: Served) -> None:
    page.evaluate(AWAY % "true" + TOLD)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    change(served, "≤ 1 ms")
    page.wait_for_timeout(2_500)
    assert asked == []
    with page.expect_request(f"{served.url}/engineer"):
        page.evaluate(AWAY % "false" + TOLD)
    expect(page.locator("#strip dd")).to_have_text("≤ 1 ms")


def test_it_says_when_the_server_is_away(page: Page, served: Served) -> None:
    served.close()
    expect(page.locator("#live-state")).to_contain_text(
        "Not renewed at present: the server does not answer. These figures are of"
    )


def test_without_a_script_it_is_as_it_was_made(browser: Browser, served: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.url}/engineer")
    expect(page.locator("#live-state")).to_have_text("As it was when this page was made.")
    expect(page.locator("#strip dd")).to_contain_text("≤ 131 ms")
    context.close()


def test_a_deployment_stands_once_and_on_a_phone_as_blocks(page: Page) -> None:
    table = page.locator("#deployments-now")
    expect(table.get_by_text("azure-1")).to_have_count(1)
    failed = table.locator("tr", has_text="gpt-5.5").locator("td[data-label=Failed]")
    expect(failed).to_contain_text("2 × 503")
    expect(table.locator("tr", has_text="gpt-5.4").locator("td[data-label=Failed]")).to_have_text("0")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth")


def test_a_budget_is_a_bar_with_what_is_used_and_left(page: Page) -> None:
    budget = page.locator("#budgets-now .budget").first
    expect(budget).to_contain_text("4.00 of 10.00 USD used, 1.00 held by gateways, 5.00 left")
    bars = [budget.locator(f".{part}") for part in ("spent", "held", "left")]
    spent, held, whole = [bar.evaluate("bar => bar.getBoundingClientRect().width") for bar in bars]
    assert (round(100 * spent / whole), round(100 * held / whole)) == (40, 10)


def test_keys_that_expire_soon_stand_first_and_the_others_folded(page: Page) -> None:
    soon, later = page.locator("section[aria-labelledby=keys] > .remark"), page.locator("#keys-later")
    expect(soon).to_contain_text("key_1 of acme/search expires in 3 days, 1 May 2026")
    expect(later.locator("summary")).to_have_text("1 that expires later")
    expect(later).to_contain_text("key_2")
