"""The pages over a real home, asked for what cannot be: a designed answer that says so, never a failure."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from clauseway.app.opening.home import Home
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.app.running.readers import HomeReaders
from clauseway.gateway.plan.clock import system_clock
from clauseway.gateway.transport.listening import listen
from clauseway.web.pages import create_app
from home_pages import pages_client

PATIENCE_S = 60.0
# Text that an address may hold once it is quoted: surrogates have no encoding, and clients resolve dots.
SEGMENT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: text.strip(".")
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The pages of a home in which nothing is settled and no gateway runs."""
    home = Home(tmp_path_factory.mktemp("home"))
    app = create_app(HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1"))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with listen("127.0.0.1", 0, 0) as listener:
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        serving.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=PATIENCE_S) as client:
            yield client
        server.should_exit = True
        serving.join()


TABLE = [
    ("/statement/x", 404, "is not a month"),
    ("/statement/2026-13", 404, "is not a month"),
    ("/statement/2026-5", 404, "is not a month"),
    ("/statement/9999-12", 404, "is not a month"),
    ("/statement/2026-05", 404, "There is no statement for May 2026"),
    ("/statement/2026-05/line", 404, "There is no line line in May 2026"),
    ("/statement/x/y", 404, "is not a month"),
    ("/statement/2026-05/line?request=x&request=y", 400, "The parameter &#39;request&#39; is given 2 times"),
    ("/statement/2026-05?party=openai", 400, "Leave &#39;party&#39; out."),
    ("/download/statement/2026-05/pdf?party=openai", 400, "This page has no parameter &#39;party&#39;"),
    ("/finance?before=A4", 400, "It takes growth, cap."),
    ("/finance?growth=3&growth=9", 400, "This page takes one growth."),
    ("/lawyer?product=gpt-5.4&product=gpt-5.5", 400, "The parameter &#39;product&#39; is given 2 times"),
    ("/lawyer/draft?draft=x", 400, "It takes no parameter."),
    ("/counts.json?cloud=aws", 400, "This page has no parameter &#39;cloud&#39;"),
    ("/sign-in?next=/lawyer&next=/finance", 400, "Give &#39;next&#39; once."),
    ("/text?line=x", 400, "is not the number of a line"),
    ("/text?document=A5.md&line=9999", 400, " lines, numbered from 1"),
    ("/statement/%00", 404, "is not a month"),
    ("/statement/%3Cscript%3E", 404, "is not a month"),
    ("/statement/", 404, "There is no such page"),
    ("/statement/a/b/c", 404, "It is not written as a month."),
    ("/statement/2026-13", 404, "Write YYYY-MM, as 2026-05."),
    ("/statement/2026-05/line/soon", 404, "is not a day"),
    ("/statement/2026-05/line/2026-05-04", 404, "There are no requests of line line on 4 May 2026"),
    ("/statement/2026-05/line/2026-05-04?from=x", 404, "is not the number of a request"),
    ("/statement/a/b/c/d", 404, "There is no such page"),
    ("/nothing", 404, "followed by a month such as 2026-05."),
]


@pytest.mark.parametrize(("path", "status", "says"), TABLE)
def test_what_cannot_be_shown_is_told_on_a_page(pages: httpx.Client, path: str, status: int, says: str) -> None:
    answer = pages.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert "content-security-policy" in answer.headers
    assert says in answer.text
    assert "<script>" not in re.sub(r"<script nonce=[^>]*>", "", answer.text)


def test_the_way_on_is_a_link(pages: httpx.Client) -> None:
    assert '<a href="/">the first page</a>' in pages.get("/nothing/here").text


# A form as it is sent · what the answer says
FORMS = [
    (b"bill=a&bill=b", {}, "The field &#39;bill&#39; is given 2 times"),
    (b"bill=a&draft=b", {}, "This page has no field &#39;draft&#39;"),
    (b"bill=%ff", {}, "more than 8 fields"),
    (b"bill=" + b"x" * (5 << 20), {}, "Use the command line: clauseway usage reconcile --bill FILE."),
    (b"bill=a", {"sec-fetch-site": "cross-site"}, "Another site&#39;s page sent it."),
    (b"bill=a", {"content-type": "text/plain"}, "It is not sent as application/x-www-form-urlencoded."),
    (b"--x", {"content-type": "multipart/form-data; boundary=x"}, "It is not sent as application"),
]


@pytest.mark.parametrize(("content", "headers", "says"), FORMS)
def test_a_form_that_cannot_be_read_is_told_why(
    pages: httpx.Client, content: bytes, headers: dict[str, str], says: str
) -> None:
    answer = pages.post("/finance/bill", content=content, headers=headers)
    assert (answer.status_code, says in answer.text) == (400, True)


def test_a_form_many_times_too_long_is_answered_once_it_is_sent(pages: httpx.Client) -> None:
    answer = pages.post("/finance/bill", content=b"bill=" + b"x" * (30 << 20))
    assert (answer.status_code, "It is longer than 4,096 KiB." in answer.text) == (400, True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_pages_are_only_read(pages: httpx.Client, method: str) -> None:
    assert pages.request(method, "/statement/2026-05").status_code == 405


@given(st.lists(SEGMENT, min_size=1, max_size=3), SEGMENT)
def test_any_address_gets_an_answer(pages: httpx.Client, segments: list[str], request: str) -> None:
    path = "/".join(quote(segment, safe="") for segment in segments)
    answer = pages.get(f"/statement/{path}?request={quote(request, safe='')}")
    # A page without the parameter refuses it; any other has nothing at such an address.
    assert answer.status_code in (400, 404)
    assert "content-security-policy" in answer.headers


def test_a_gateway_that_died_is_told_in_words(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").make()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(home.gateway_socket))
    answer = pages_client(home).get("/")
    assert (answer.status_code, "Errno" in answer.text) == (200, False)
    assert "The gateway does not answer: none is running." in answer.text
    assert "<code>clauseway serve</code>" in answer.text


DAMAGED = ("control.db", b"no database" * 1000, "The control data are damaged.")
AWAY = ("database.url", b"postgresql://nobody:secret@127.0.0.1:1/none", "The database cannot be reached.")


# The file of the home in which the fault is, what stands there, what the page says, and which page.
@pytest.mark.parametrize("is_begun", [True, False])
@pytest.mark.parametrize(
    ("file", "content", "says", "path"),
    [(*fault, path) for fault in (DAMAGED, AWAY) for path in ("/", "/finance", "/auditor", "/statement/2026-05")],
)
def test_control_data_that_cannot_be_read_are_no_failure_of_ours(
    tmp_path: Path, file: str, content: bytes, says: str, path: str, is_begun: bool
) -> None:
    """Nor where they cannot be read as the pages start: pages that ended would take the gateway along."""
    home = Home(tmp_path / "home").make()
    if is_begun:
        readers = HomeReaders(home)
        assert not asyncio.run(readers.are_named())
    source = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    # The last writes would be read from these files, whatever stands in the database.
    for ending in ("-wal", "-shm"):
        (home.root / f"control.db{ending}").unlink(missing_ok=True)
    (home.root / file).touch(0o600)
    (home.root / file).write_bytes(content)
    if not is_begun:
        readers = HomeReaders(home)
    with TestClient(create_app(source, hosts=["*"], readers=readers), raise_server_exceptions=False) as client:
        answer = client.get(path, follow_redirects=False)
    assert (answer.status_code, says in answer.text) == (503, True)
    assert "clauseway doctor" in answer.text
    assert "secret" not in answer.text
