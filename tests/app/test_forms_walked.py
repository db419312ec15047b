"""Every form of every reader, signed in, in a real browser: what was typed is kept, the field is named, and nothing
typed does harm. A form that stands in a template and in no row here fails.

No form of the pages changes anything, so two people cannot edit one thing here: the last test holds the books to it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

import settled_book
from clauseway import web
from clauseway.app.books.people import SCREENS, give_password
from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.app.running.readers import HomeReaders
from clauseway.gateway.plan.clock import system_clock
from clauseway.web.page_list import PAGES
from clauseway.web.pages import create_app
from served_pages import serving

pytestmark = pytest.mark.browser

SECRET = "a long enough sentence"
TEMPLATES = Path(web.__file__).with_name("templates")
# A form that is shown once somebody signed in again; its address is that of the form that was sent.
SENT_AGAIN = "{{ sign_in.next }}"


class FormCase(NamedTuple):
    """A form: who sees it, where, its button, and its fields for text; `refused` are those that say what is wrong."""

    reader: str
    path: str
    button: str
    fields: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


QUESTION = ("product", "region", "as_of", "known_at")
FORMS = (
    FormCase("lawyer", "/lawyer", "Ask", QUESTION, ("product", "as_of", "known_at")),
    FormCase("lawyer", "/lawyer/compare", "Compare"),
    FormCase("lawyer", "/lawyer/draft", "Read and rehearse", ("draft",), ("draft",)),
    FormCase("engineer", "/engineer", "Find", ("request",), ("request",)),
    FormCase("finance", "/finance", "Look ahead", ("growth", "cap"), ("growth", "cap")),
    FormCase("finance", "/finance/bill", "Compare it", ("bill",), ("bill",)),
    FormCase("auditor", "/auditor/decision", "Ask it again", ("receipt",), ("receipt",)),
    FormCase("auditor", "/auditor/handed", "Perform it again", ("statement", "signatures"), ("statement",)),
    FormCase("auditor", "/sign-in", "Sign in", ("account",), ("account",)),
    FormCase("auditor", "/sign-out", "Sign out"),
)
TYPED = [form for form in FORMS if form.fields and form.path != "/sign-in"]
# The typed text · its value in a field afterwards, where that differs: HTML has no NUL.
HOSTILE = {
    "a script": "<script>window.harmed = 1</script>",
    "an attribute that ends": "\"'><img src=x onerror='window.harmed = 1'>",
    "an expression of a template": "{{ 7 * 7 }}{% raw %}%00%s",
    "a mark that turns the text around": "\u202eabc\u2066\u05d0\u200f",
    "ten kilobytes": "x" * 10_240,
    "a NUL": "a\0b",
    "lines": "\n\nfirst\n<b>second</b>\n",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = settled_book.make(tmp_path_factory.mktemp("book") / "home")
    for reader in SCREENS:
        give_password(made, reader, SECRET, [reader])
    return made


@pytest.fixture(scope="module")
def url(home: Home) -> Iterator[str]:
    source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    with serving(create_app(source, readers=HomeReaders(home))) as address:
        yield address


class Reader(NamedTuple):
    """Somebody who is signed in, with what the browser complained of."""

    page: Page
    complaints: list[str]


@pytest.fixture(scope="module")
def readers(browser: Browser, url: str) -> Iterator[dict[str, Reader]]:
    """Everybody with their own browser, signed in."""
    contexts: list[BrowserContext] = []
    signed_in: dict[str, Reader] = {}
    for name in SCREENS:
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        reader = Reader(page, complaints_of(page))
        sign_in(reader.page, url, name)
        signed_in[name] = reader
    yield signed_in
    for context in contexts:
        context.close()


def complaints_of(page: Page) -> list[str]:
    """Return the browser's complaints of a page: errors of scripts, and all that it writes to its console."""
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    return complaints


def sign_in(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/sign-in?next=/{name}")
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def field_of(page: Page, name: str) -> Locator:
    return page.locator(f"form input:not([type=hidden])[name={name}], form textarea[name={name}]").first


def type_into(page: Page, form: FormCase, name: str, text: str) -> str:
    """Type a text into a form, where nothing else is typed, and return it as the browser took it. A field of a folded
    part is filled where it is."""
    field = field_of(page, name)
    page.locator("details:has(input)").evaluate_all("all => all.forEach(each => { each.open = true; })")
    if name == "signatures":
        field_of(page, "statement").fill("{}")
    field.evaluate("(field, text) => { field.value = text; }", text)
    taken: str = field.input_value()
    page.get_by_role("button", name=form.button, exact=True).click()
    return taken


def test_every_form_has_a_row() -> None:
    shown = [
        re.sub(r"#.*", "", action)
        for template in sorted(TEMPLATES.glob("*.j2"))
        for action in re.findall(r'<form\b[^>]*\baction="([^"]*)"', template.read_text())
    ]
    assert sorted(shown) == sorted([*(form.path for form in FORMS), SENT_AGAIN])
    fields = {page.path: page.form for page in PAGES if page.form}
    assert fields == {form.path: form.fields for form in FORMS if form.path in fields}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("form", TYPED, ids=lambda form: form.path)
def test_what_is_typed_is_kept_and_harmless(readers: dict[str, Reader], url: str, form: FormCase, hostile: str) -> None:
    page, complaints = readers[form.reader]
    for name in form.fields:
        page.goto(url + form.path)
        taken = type_into(page, form, name, HOSTILE[hostile])
        field = field_of(page, name)
        expect(field).to_have_value(taken.replace("\0", "\ufffd"))
        if name in form.refused:
            expect(field).to_have_attribute("aria-invalid", "true")
            said = page.locator(f"#{field.get_attribute('aria-describedby')}").inner_text()
            assert said
            assert not re.search("[\u202a-\u202e\u2066-\u2069\u200f]", said)
            assert len(said) < 1_000
        assert urlsplit(page.url).path == form.path
        assert page.evaluate("window.harmed") is None
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert complaints == []


@pytest.mark.parametrize("form", TYPED, ids=lambda form: form.path)
def test_a_session_that_ended_leads_back_with_what_was_typed(url: str, browser: Browser, form: FormCase) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, url, form.reader)
    name, text = form.fields[0], "typed for <an hour> \u05d0 & more"
    page.goto(url + form.path)
    context.clear_cookies()
    type_into(page, form, name, text)
    page.get_by_label("Account").fill(form.reader)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    again = page.get_by_role("button", name="Send it again")
    expect(again.or_(field_of(page, name))).to_be_visible()
    if again.is_visible():
        again.click()
    expect(field_of(page, name)).to_have_value(text)
    assert urlsplit(page.url).path == form.path
    context.close()


SENT = [form for form in TYPED if form.path in {page.path for page in PAGES if page.form}]


@pytest.mark.parametrize("form", SENT, ids=lambda form: form.path)
def test_a_result_is_there_again_on_the_way_back_and_when_it_is_loaded_again(
    readers: dict[str, Reader], url: str, form: FormCase
) -> None:
    page, complaints = readers[form.reader]
    name, text = form.fields[0], "typed <once>"
    page.goto(url + form.path)
    type_into(page, form, name, text)
    for comes_back in (page.go_back, page.reload):
        if comes_back == page.go_back:
            page.get_by_role("link", name="Overview").click()
            expect(page).to_have_url(f"{url}/")
        comes_back()
        expect(field_of(page, name)).to_have_attribute("aria-invalid", "true")
        expect(field_of(page, name)).to_have_value(text)
        assert urlsplit(page.url).path == form.path
    page.locator(f"nav a[href='{form.path}']").click()
    expect(field_of(page, name)).not_to_have_attribute("aria-invalid", "true")
    assert complaints == []


def test_a_result_is_not_there_again_for_the_next_reader(readers: dict[str, Reader], home: Home, url: str) -> None:
    give_password(home, "anna", SECRET, ["auditor"])
    page, form = readers["auditor"].page, next(form for form in SENT if form.reader == "auditor")
    page.goto(url + form.path)
    type_into(page, form, form.fields[0], "of the first reader")
    expect(field_of(page, form.fields[0])).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, url, "anna")
    page.go_back()
    for _ in range(3):
        assert "of the first reader" not in page.content()
        page.go_back()
    page.goto(url)
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, url, "auditor")


@pytest.mark.parametrize("form", SENT, ids=lambda form: form.path)
def test_what_was_typed_and_not_sent_is_there_on_the_way_back(
    readers: dict[str, Reader], url: str, form: FormCase
) -> None:
    page = readers[form.reader].page
    page.goto(url)
    page.goto(url + form.path)
    field_of(page, form.fields[0]).fill("an hour's work")
    page.get_by_role("link", name="Overview").click()
    expect(page).to_have_url(f"{url}/")
    page.go_back()
    expect(field_of(page, form.fields[0])).to_have_value("an hour's work")


@pytest.mark.parametrize("form", SENT, ids=lambda form: form.path)
def test_a_file_that_is_too_long_is_told_before_it_is_sent(
    readers: dict[str, Reader], url: str, form: FormCase, tmp_path: Path
) -> None:
    page = readers[form.reader].page
    page.goto(url)
    page.goto(url + form.path)
    chosen = tmp_path / "chosen"
    chosen.write_bytes(b"=" * (2 << 20))  # a character is sent as three
    page.locator("#files").set_input_files(chosen)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("it has 6,145 KiB as it is sent, and a form takes 4,096 KiB. Use the command line")
    expect(alert.locator("code")).to_contain_text("clauseway ")
    longer = tmp_path / "longer"
    with longer.open("wb") as file:
        file.truncate(1 << 30)
    page.locator("#files").set_input_files(longer)
    expect(alert).to_contain_text("it has 1,048,576 KiB")


def test_an_amendment_that_is_none_is_told_at_its_field(readers: dict[str, Reader], url: str) -> None:
    page = readers["lawyer"].page
    page.goto(f"{url}/lawyer/compare?before=A9&after=A5")
    wrong = page.get_by_role("combobox", name="from")
    expect(wrong).to_have_accessible_description("There is no amendment 'A9'. Known: A1, A2, A3, A4, A5.")
    expect(wrong).to_have_value("A9")
    expect(page.get_by_role("combobox", name="to")).not_to_have_attribute("aria-invalid", "true")


def test_signatures_that_cannot_be_read_are_told_at_their_own_field(readers: dict[str, Reader], url: str) -> None:
    page = readers["auditor"].page
    page.goto(f"{url}/statement/2026-05")
    statement = page.request.get(f"{url}/download/statement/2026-05/json").text()
    page.goto(f"{url}/auditor/handed")
    field_of(page, "statement").fill(statement)
    field_of(page, "signatures").fill("<none>")
    page.get_by_role("button", name="Perform it again").click()
    expect(field_of(page, "signatures")).to_have_attribute("aria-invalid", "true")
    expect(field_of(page, "statement")).not_to_have_attribute("aria-invalid", "true")
    expect(field_of(page, "statement")).to_have_value(statement)


def test_a_wrong_account_is_kept_and_harmless(url: str, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    for text in HOSTILE.values():
        page.goto(f"{url}/sign-in?next=/finance")
        account = page.get_by_label("Account")
        account.evaluate("(field, text) => { field.value = text; }", text)
        taken = account.input_value()
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        if len(text) < 4_096:
            expect(page.get_by_label("Account")).to_have_value(taken.strip().replace("\0", "\ufffd"))
        assert page.evaluate("window.harmed") is None
    context.close()


def test_no_form_changed_the_books(readers: dict[str, Reader], home: Home, url: str) -> None:
    def books() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in home.root.rglob("*") if path.suffix in (".db", ".parquet")}

    before = books()
    assert before
    for form in TYPED:
        page = readers[form.reader].page
        page.goto(url + form.path)
        type_into(page, form, form.fields[0], "anything")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert books() == before
