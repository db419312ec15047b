"""Access to the pages: a browser's answers, with a session and without, and in a real browser."""

import asyncio
import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import httpx
import pytest
from playwright.sync_api import Browser, expect
from sample_pages import SamplePages
from starlette.testclient import TestClient

from clauseway.web import sign_in
from clauseway.web.contexts import Unavailable
from clauseway.web.page_list import PAGES
from clauseway.web.pages import create_app
from clauseway.web.sign_in import Guesses, Sessions, SignedIn, SignInEvent, within
from served_pages import serving

ALL = frozenset({"/", "/engineer", "/lawyer", "/finance", "/auditor"})
SECRET = "a long enough sentence"


class SampleReaders:
    """Anna sees everything, Bob the lawyer's screen; both have one password."""

    def __init__(self) -> None:
        self.held = {"anna": ALL, "bob": frozenset({"/", "/lawyer"})}
        self.since_ns = 1

    async def are_named(self) -> bool:
        return bool(self.held)

    async def named(self, account: str) -> SignedIn | None:
        sees = self.held.get(account)
        return None if sees is None else SignedIn(account=account, sees=sees, since_ns=self.since_ns)

    async def check(self, account: str, password: str) -> SignedIn | None:
        return await self.named(account) if password == SECRET else None


@pytest.fixture
def readers() -> SampleReaders:
    return SampleReaders()


@pytest.fixture
def stranger(readers: SampleReaders) -> TestClient:
    return TestClient(create_app(SamplePages(), hosts=["*"], readers=readers), follow_redirects=False)


def signed_in(client: TestClient, account: str, goes_to: str = "/") -> str:
    """Sign in; return the header that sets the cookie."""
    form = {"account": account, "password": SECRET, "next": goes_to}
    answer = client.post("/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, goes_to)
    return str(answer.headers["set-cookie"])


@pytest.mark.parametrize("address", [*(page.path for page in PAGES), "/download/statement/2026-05/pdf", "/nothing"])
def test_a_stranger_is_led_to_the_form_and_back(stranger: TestClient, address: str) -> None:
    address = re.sub("{.*?}", "2026-05", address)
    answer = stranger.get(f"{address}?a=b&c=d")
    assert answer.status_code == 303
    form = stranger.get(answer.headers["location"])
    assert (form.status_code, f'name="next" value="{address}?a=b&amp;c=d"' in form.text) == (200, True)


@pytest.mark.parametrize("address", ["/", "/finance", "/counts.json", "/sign-in"])
def test_readers_that_cannot_be_looked_up_are_a_page_that_says_so(address: str) -> None:
    class AwayReaders(SampleReaders):
        async def are_named(self) -> bool:
            raise Unavailable("The database cannot be reached.")

    client = TestClient(create_app(SamplePages(), hosts=["*"], readers=AwayReaders()), follow_redirects=False)
    answer = client.get(address)
    assert (answer.status_code, "The database cannot be reached." in answer.text) == (503, True)
    assert "failure of ours" not in answer.text


def test_a_program_is_told_and_not_led(stranger: TestClient) -> None:
    assert stranger.get("/counts.json").status_code == 401
    assert stranger.post("/").status_code == 401


@pytest.mark.parametrize("address", ["/healthz", "/openapi.json"])
def test_what_says_nothing_of_a_home_is_open(stranger: TestClient, address: str) -> None:
    assert stranger.get(address).status_code == 200


def test_as_long_as_nobody_has_a_password_nobody_is_asked(stranger: TestClient, readers: SampleReaders) -> None:
    readers.held = {}
    assert stranger.get("/finance").status_code == 200


def test_the_cookie_of_a_session_is_described(stranger: TestClient) -> None:
    described = stranger.get("/openapi.json").json()
    stranger.base_url = described["servers"][0]["url"]
    session = described["components"]["securitySchemes"]["session"]
    cookie = signed_in(stranger, "anna").partition("=")[0]
    assert (session["type"], session["in"], session["name"]) == ("apiKey", "cookie", cookie)
    assert described["security"] == [{}, {"session": []}]


# The address of the pages | what keeps their cookie from others, behind a proxy with TLS and without
COOKIES = [
    ("https://pages.example", ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=lax", "Secure"]),
    ("http://127.0.0.1:8401", ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=lax"]),
]


@pytest.mark.parametrize(("address", "kept_by"), COOKIES)
def test_no_script_and_no_other_site_gets_the_cookie(stranger: TestClient, address: str, kept_by: list[str]) -> None:
    stranger.base_url = address
    assert sorted(signed_in(stranger, "anna").split("; ")[1:]) == kept_by


def test_a_session_shows_the_screens_that_the_reader_sees(stranger: TestClient) -> None:
    signed_in(stranger, "bob", "/lawyer")
    first = stranger.get("/")
    assert first.status_code == 200
    assert ("bob" in first.text, "/lawyer" in first.text, "/finance" in first.text) == (True, True, False)
    assert stranger.get("/lawyer").status_code == 200
    for address in ("/finance", "/statement/2026-05", "/download/statement/2026-05/pdf", "/engineer", "/auditor"):
        answer = stranger.get(address)
        assert (answer.status_code, "clauseway person password bob" in answer.text) == (403, True)
    assert "You may not see the screen Auditor" in answer.text


def test_who_signs_in_and_who_fails_is_told(readers: SampleReaders) -> None:
    events: list[SignInEvent] = []
    app = create_app(SamplePages(), hosts=["*"], readers=readers, tell=events.append)
    client = TestClient(app, follow_redirects=False)
    client.post("/sign-in", data={"account": 'eve"\n', "password": "wrong"})
    signed_in(client, "anna")
    client.post("/sign-out", headers={"sec-fetch-site": "cross-site"})
    client.post("/sign-out")
    client.post("/sign-out")
    assert [(each.event, each.account) for each in events] == [
        ("wrong password", 'eve"'),
        ("signed in", "anna"),
        ("signed out", "anna"),
    ]
    assert {each.address for each in events} == {"testclient"}


DRAFT = 'id: A6\r\n\r\n> "a <b>draft</b>" & more'


def kept_by(page: str) -> dict[str, str]:
    """Return the fields of a form that nobody sees."""
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in fields}


def test_what_was_typed_outlives_the_session_and_is_sent_again(stranger: TestClient, readers: SampleReaders) -> None:
    signed_in(stranger, "anna")
    change_password(readers)
    asked = stranger.post("/lawyer/draft?a=b", data={"draft": DRAFT})
    assert (asked.status_code, "Sign in" in asked.text) == (401, True)
    kept = kept_by(asked.text)
    assert kept == {"next": "/lawyer/draft?a=b", "kept.draft": DRAFT}
    wrong = stranger.post("/sign-in", data={**kept, "account": "anna", "password": "wrong"})
    assert (wrong.status_code, kept_by(wrong.text)) == (403, kept)
    again = stranger.post("/sign-in", data={**kept, "account": "anna", "password": SECRET})
    assert (again.status_code, SECRET in again.text) == (200, False)
    assert 'action="/lawyer/draft?a=b"' in again.text
    assert kept_by(again.text) == {"draft": DRAFT}
    assert stranger.post("/lawyer/draft", data=kept_by(again.text)).status_code == 200


@pytest.mark.parametrize(
    ("address", "content", "headers"),
    [
        ("/lawyer/draft", b"draft=x", {"sec-fetch-site": "cross-site"}),
        ("/lawyer/draft", b"draft=" + b"x" * (5 << 20), {}),
        ("/lawyer/draft", b"\xff", {}),
        ("/lawyer/draft", b"", {}),
        ("/finance", b"draft=x", {}),
    ],
)
def test_nothing_is_kept_of_what_is_no_form_of_these_pages(
    stranger: TestClient, address: str, content: bytes, headers: dict[str, str]
) -> None:
    answer = stranger.post(address, content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": {"message": "Sign in first."}})


@pytest.mark.parametrize("leads_to", ["https://elsewhere.example", "/finance", "/sign-out", ""])
def test_what_is_kept_is_sent_to_a_form_of_these_pages_alone(stranger: TestClient, leads_to: str) -> None:
    form = {"account": "anna", "password": SECRET, "next": leads_to, "kept.draft": "x"}
    answer = stranger.post("/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, within(leads_to))


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(stranger: TestClient) -> None:
    cookie = signed_in(stranger, "anna").lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert SECRET not in cookie


def test_the_pages_of_two_homes_on_one_machine_know_their_readers_apart(stranger: TestClient) -> None:
    """A browser sends a cookie to every port of a host: a sign-in at one home ended that at the other."""
    for port in (8401, 8402):
        stranger.base_url = f"http://127.0.0.1:{port}"
        assert stranger.get("/finance").status_code == 303
        signed_in(stranger, "anna")
    stranger.base_url = "http://127.0.0.1:8401"
    assert stranger.get("/finance").status_code == 200
    stranger.post("/sign-out")
    assert stranger.get("/finance").status_code == 303
    stranger.base_url = "http://127.0.0.1:8402"
    assert stranger.get("/finance").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "127.0.0.1:x", "[::1", ""])
def test_a_host_that_cannot_be_is_no_failure(stranger: TestClient, host: str) -> None:
    assert stranger.get("/finance", headers={"host": host}).status_code in (303, 400)


def change_password(readers: SampleReaders) -> None:
    readers.since_ns = 2


def remove_password(readers: SampleReaders) -> None:
    del readers.held["anna"]


@pytest.mark.parametrize("change", [change_password, remove_password])
def test_a_session_ends_with_its_password(
    stranger: TestClient, readers: SampleReaders, change: Callable[[SampleReaders], None]
) -> None:
    signed_in(stranger, "anna")
    assert stranger.get("/finance").status_code == 200
    change(readers)
    assert stranger.get("/finance").status_code == 303


def test_who_signs_out_is_a_stranger_again_with_the_old_cookie_too(stranger: TestClient) -> None:
    signed_in(stranger, "anna")
    kept = dict(stranger.cookies)
    assert stranger.post("/sign-out").headers["location"] == "/sign-in"
    stranger.cookies.update(kept)
    assert stranger.get("/").status_code == 303


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ({"account": "anna", "password": "wrong"}, {}, 403),
        ({"account": "nobody", "password": SECRET}, {}, 403),
        ({"account": "anna"}, {}, 403),
        ({"account": "anna", "password": SECRET}, {"sec-fetch-site": "cross-site"}, 400),
        # Of browsers that name no Sec-Fetch-Site.
        ({"account": "anna", "password": SECRET}, {"origin": "https://elsewhere.example"}, 400),
        ({"account": "anna", "password": SECRET}, {"origin": "null"}, 400),
        ({"account": "anna", "password": "x" * 5000}, {}, 400),
    ],
)
def test_what_is_no_sign_in_begins_no_session(
    stranger: TestClient, form: dict[str, str], headers: dict[str, str], status: int
) -> None:
    answer = stranger.post("/sign-in", data=form, headers=headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)
    assert SECRET not in answer.text


def test_a_browser_that_names_the_origin_alone_signs_in_from_these_pages(stranger: TestClient) -> None:
    shown = stranger.get("/sign-in")
    assert shown.headers["referrer-policy"] == "same-origin", "by no-referrer a browser sends the origin null"
    own = {"origin": str(stranger.base_url).rstrip("/")}
    assert stranger.post("/sign-in", data={"account": "anna", "password": SECRET}, headers=own).status_code == 303


def test_behind_a_proxy_that_renames_the_pages_the_refusal_says_what_to_do(stranger: TestClient) -> None:
    answer = stranger.post("/sign-in", data={"account": "anna"}, headers={"origin": "http://pages.internal"})
    assert "http://pages.internal sent it, and these pages are asked as " in answer.text
    assert "Behind a proxy that replaces the header Host, open the pages by https" in answer.text


def test_another_site_signs_nobody_out(stranger: TestClient) -> None:
    signed_in(stranger, "anna")
    for foreign in ({"sec-fetch-site": "cross-site"}, {"origin": "https://elsewhere.example"}):
        answer = stranger.post("/sign-out", headers=foreign)
        # It must not look as if it had worked: behind a proxy it may be the reader's own form.
        assert (answer.status_code, "The form cannot be read" in answer.text) == (400, True)
    assert stranger.get("/").status_code == 200


# Where the form is asked to lead · where it leads
ADDRESSES = [
    ("/finance", "/finance"),
    ("/statement/2026-05?request=req_1", "/statement/2026-05?request=req_1"),
    ("", "/"),
    ("//elsewhere.example", "/"),
    ("/\\elsewhere.example", "/"),
    ("https://elsewhere.example", "/"),
    ("/sign-out", "/"),
    ("/sign-in?next=/sign-in", "/"),
]


@pytest.mark.parametrize(("asked", "leads_to"), ADDRESSES)
def test_the_form_leads_nowhere_else(asked: str, leads_to: str) -> None:
    assert within(asked) == leads_to


def test_guessing_waits_longer_each_time() -> None:
    now_s = [100.0]
    guesses = Guesses(lambda: now_s[0])
    waits = []
    for _ in range(16):
        guesses.wrong("anna")
        waits.append(guesses.wait_s("anna"))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert guesses.wait_s("bob") == 0
    now_s[0] += 300
    assert guesses.wait_s("anna") == 0
    guesses.right("anna")
    guesses.wrong("anna")
    assert guesses.wait_s("anna") == 0


@pytest.fixture
def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """After five wrong passwords an account waits a second, which may pass on a busy machine: here each look at the
    clock takes a millisecond."""
    monkeypatch.setattr(sign_in, "Guesses", partial(Guesses, count(100.0, 0.001).__next__))


@pytest.mark.usefixtures("slow_clock")
def test_whoever_guesses_is_told_to_wait_and_not_tried(readers: SampleReaders) -> None:
    stranger = TestClient(create_app(SamplePages(), hosts=["*"], readers=readers), follow_redirects=False)
    for _ in range(5):
        assert stranger.post("/sign-in", data={"account": "anna", "password": "wrong"}).status_code == 403
    answer = stranger.post("/sign-in", data={"account": "anna", "password": SECRET})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert "set-cookie" not in answer.headers


@pytest.mark.usefixtures("slow_clock")
def test_guesses_at_once_are_tried_no_more_often_than_in_a_row() -> None:
    """Whoever sends all guesses at once is not tried with all of them."""
    tried = []

    class SlowReaders(SampleReaders):
        async def check(self, account: str, password: str) -> SignedIn | None:
            tried.append(password)
            await asyncio.sleep(0.001)
            return await super().check(account, password)

    app = create_app(SamplePages(), hosts=["*"], readers=SlowReaders())

    async def guess() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pages") as client:
            forms = ({"account": "anna", "password": f"guess {number}"} for number in range(50))
            answers = await asyncio.gather(*(client.post("/sign-in", data=form) for form in forms))
            return [answer.status_code for answer in answers]

    statuses = asyncio.run(guess())
    assert (len(tried), Counter(statuses)) == (5, {403: 5, 429: 45})


def test_a_session_ends_after_twelve_hours(readers: SampleReaders) -> None:
    now_s = [0.0]
    sessions = Sessions(lambda: now_s[0])
    client = TestClient(
        create_app(SamplePages(), hosts=["*"], readers=readers, sessions=sessions), follow_redirects=False
    )
    signed_in(client, "anna")
    now_s[0] = 12 * 3600 - 1.0
    assert client.get("/").status_code == 200
    now_s[0] = 12 * 3600.0
    assert client.get("/").status_code == 303


@pytest.fixture
def url(readers: SampleReaders) -> Iterator[str]:
    with serving(create_app(SamplePages(), readers=readers)) as address:
        yield address


@pytest.mark.browser
def test_a_reader_signs_in_and_out_in_a_browser(browser: Browser, url: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/lawyer")
    page.get_by_label("Account").fill("bob")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("No account here has that password.")
    expect(page.get_by_label("Account")).to_have_value("bob")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{url}/lawyer")
    expect(page.get_by_role("navigation", name="Screens").get_by_role("link")).to_have_text(
        ["Overview", "Lawyer", "What did an amendment change?", "What would a draft change?"]
    )
    page.goto(f"{url}/lawyer/draft")
    page.get_by_label("The draft as Markdown").fill("id: A6\n\n> typed for an hour")
    context.clear_cookies()
    page.get_by_role("button", name="Read and rehearse").click()
    page.get_by_label("Account").fill("bob")
    page.get_by_label("Password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    with page.expect_request(f"{url}/lawyer/draft") as sent:
        page.get_by_role("button", name="Send it again").click()
    assert sent.value.post_data == "draft=id%3A+A6%0D%0A%0D%0A%3E+typed+for+an+hour"
    expect(page.get_by_label("The draft as Markdown")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{url}/sign-in")
    page.goto(f"{url}/lawyer")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    context.close()
