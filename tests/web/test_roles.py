"""docs/roles.md says what each reader of the pages gets: every address of the application, asked over HTTP by a reader
of each screen, answers as the table says."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec
import pytest
from sample_pages import STATEMENT, SamplePages
from starlette.routing import Route
from test_screens import ADDRESSES
from test_sign_in import SECRET, SampleReaders

from clauseway.web.overview import HomeContext, ScreenSummary
from clauseway.web.page_list import PAGES, SCREENS
from clauseway.web.pages import create_app
from clauseway.web.sign_in import SIGN_IN, SIGN_OUT
from served_pages import serving

PAGE = (Path(__file__).parents[2] / "docs/roles.md").read_text()
# The columns of the table behind the address; the first has no session, the second was given no screen.
STRANGER, NO_SCREEN = "nobody", "no screen"
COLUMNS = (STRANGER, NO_SCREEN, *(screen.path[1:] for screen in SCREENS if screen.path != "/"))
# Addresses of routes that are no pages of the list.
OTHERS = {
    "/download/{document}/{period}/{form}": f"/download/statement/{STATEMENT.period}/csv",
    "/engineer/monitoring/{name}": "/engineer/monitoring/alerts.yml",
}
FORMS = {page.path: dict.fromkeys(page.form, "") for page in PAGES if page.form}


def table(heading: str) -> dict[str, dict[str, str]]:
    """A table of the page: for each row its cells by column."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    head, _, *rows = [
        [cell.strip().strip("`") for cell in line[1:-1].split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    assert len(rows) == len({row[0] for row in rows}), "a row stands twice"
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


PAGES_TABLE, FIELDS_TABLE = table("Pages"), table("Fields of the pages")


class SummarisedPages(SamplePages):
    """Pages whose first one sums up every screen."""

    async def home(self) -> HomeContext:
        summaries = tuple(
            ScreenSummary(reader=screen.label, address=screen.path, answer=f"The sum for {screen.label}.")
            for screen in SCREENS
            if screen.path != "/"
        )
        return msgspec.structs.replace(await super().home(), screens=summaries)


APP = create_app(SamplePages(), hosts=["*"])
ROUTES = [
    (method, route.path)
    for route in APP.routes
    if isinstance(route, Route)
    for method in sorted((route.methods or set()) - {"HEAD"})
]


def address_of(path: str) -> str:
    pattern = re.sub(r"{\w+}", "[^/]+", path)
    asked = [address for address in ADDRESSES if re.fullmatch(pattern, address.partition("?")[0])]
    return OTHERS.get(path) or (asked[0] if asked else path)


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, httpx.Client]]:
    held = SampleReaders()
    held.held = {column: frozenset({"/", f"/{column}"} - {f"/{NO_SCREEN}"}) for column in COLUMNS[1:]}
    with ExitStack() as stack:
        url = stack.enter_context(serving(create_app(SummarisedPages(), hosts=["*"], readers=held)))
        clients = {column: stack.enter_context(httpx.Client(base_url=url)) for column in COLUMNS}
        for column in COLUMNS[1:]:
            assert clients[column].post(SIGN_IN, data=signs_in(column)).status_code == 303
        yield clients


def signs_in(account: str) -> dict[str, str]:
    return {"account": account, "password": SECRET}


def test_every_address_has_its_row() -> None:
    assert sorted(PAGES_TABLE) == sorted(f"{method} {path}" for method, path in ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_address_answers_as_the_table_says(readers: dict[str, httpx.Client], method: str, path: str) -> None:
    answered = {}
    for column, client in readers.items():
        # Whoever signs in or out here has a session of their own, which nobody else uses.
        asking = httpx.Client(base_url=client.base_url) if path in (SIGN_IN, SIGN_OUT) else client
        form = signs_in(COLUMNS[1]) if path == SIGN_IN else FORMS.get(path)
        answer = asking.request(method, address_of(path), data=form if method == "POST" else None)
        answered[column] = str(answer.status_code)
    assert answered == PAGES_TABLE[f"{method} {path}"]


def test_the_first_page_sums_up_the_screens_of_the_table(readers: dict[str, httpx.Client]) -> None:
    first = {column: client.get("/").text for column, client in readers.items()}
    shown = {}
    for screen in SCREENS[1:]:
        marks = (f"The sum for {screen.label}.", f'<a href="{screen.path}"')
        held = {column: {mark in text for mark in marks} for column, text in first.items()}
        assert all(len(each) == 1 for each in held.values()), "a link goes with its summary"
        shown[f"{screen.label}: its link and its summary"] = {
            column: "yes" if each == {True} else "–" for column, each in held.items()
        }
    assert shown == {row: cells for row, cells in FIELDS_TABLE.items() if row in shown}


@pytest.mark.parametrize(
    "path", [page.path for page in PAGES if page.also], ids=lambda path: re.sub("[^a-z]+", " ", path).strip()
)
def test_a_page_keeps_no_field_from_a_reader_who_sees_it(readers: dict[str, httpx.Client], path: str) -> None:
    bodies = {column: client.get(address_of(path)) for column, client in readers.items()}
    main = {body.text.partition("<main")[2] for body in bodies.values() if body.status_code == 200}
    assert len(main) == 1
    assert all(main)
