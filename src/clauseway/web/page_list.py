"""The one list of pages, `PAGES`, and `PageSource`, the protocol of what they are filled from."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from clauseway.web.auditor import AuditorContext, CheckContext
from clauseway.web.contexts import CountsContext, HomeContext, LineContext, StatementContext
from clauseway.web.engineer import EngineerContext, RequestPath
from clauseway.web.finance import FinanceContext, SentFile
from clauseway.web.lawyer import CompareContext, LawyerContext, QuestionAsked, TextContext


class PageSource(Protocol):
    """The source of the pages' contexts.

    Each method may raise `Unavailable`, or InvalidInput where an address is wrong; the pages then
    say so.
    """

    async def home(self) -> HomeContext:
        """Return everything on the first page."""
        ...

    async def counts(self) -> CountsContext:
        """Return the counts alone: asked once a second by every open page, so it should be
        cheap."""
        ...

    async def lawyer(self, asked: QuestionAsked) -> LawyerContext:
        """Return the lawyer's screen with a question answered; of an invalid question, its form
        with the problems of each field."""
        ...

    async def compare(self, before: str, after: str) -> CompareContext:
        """Return two amendments compared; where none are named, the last two."""
        ...

    async def text(self, document: str, line: str) -> TextContext | None:
        """Return a document of the agreement, the clause at a line marked; None where there is no
        such document."""
        ...

    async def engineer(self, request: str) -> EngineerContext:
        """Return the engineer's screen, with the request of an id that was searched for, or why
        there is none; an empty `request` searches for nothing."""
        ...

    async def request(self, named: str) -> RequestPath | None:
        """Return a request's path; None where neither a gateway nor the journal holds it."""
        ...

    async def finance(self) -> FinanceContext:
        """Return the finance screen."""
        ...

    async def file(self, document: str, period: str, form: str) -> SentFile | None:
        """Return a month's statement or ledger in a format; None where there is none."""
        ...

    async def auditor(self) -> AuditorContext:
        """Return the auditor's screen."""
        ...

    async def check(self, subject: str) -> CheckContext | None:
        """Return the result of a check: of `books`, or of a month's statement settled again; None
        where the month is not settled."""
        ...

    async def statement(self, period: str) -> StatementContext | None:
        """Return the statement of a month (`2026-05`), or None where there is none."""
        ...

    async def line(self, period: str, line: str, request: str) -> LineContext | None:
        """Return the evidence behind a line of a month, with one request followed where it is
        named; None where there is no such line or request."""
        ...


class Given:
    """The parts of an address: of its path, and of its query, which may repeat a name."""

    def __init__(self, path: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> None:
        self._path, self._query = path, query

    def __getitem__(self, name: str) -> str:
        """Return a part; empty where the address does not have it, the first where it repeats."""
        if name in self._path:
            return self._path[name]
        return next(iter(self._query.get(name, ())), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a query's part that is not empty."""
        return tuple(filter(None, self._query.get(name, ())))


class Absence(msgspec.Struct, frozen=True):
    """The words of a page that has nothing to show; each may name parts of its path."""

    what: str
    why: str
    todo: str


class WebPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its path, and how its context is asked for by the parts of the address.

    Its template is `NAME.html.j2`, in which the context is called by that name. `query` lists what
    an address may say beyond its path. `screen` is the entry of the navigation that it stands
    under, by its path.
    """

    name: str
    path: str
    ask: Callable[[PageSource, Given], Awaitable[msgspec.Struct | None]]
    query: tuple[str, ...] = ()
    screen: str = "/"
    absent: Absence = Absence(
        "There is no such page", "Nothing lies at this address.", "Go to the first page."
    )


class Screen(msgspec.Struct, frozen=True):
    """An entry of the navigation."""

    path: str
    label: str


# A statement or a ledger of a month, as a file.
FILES = "/download/{document}/{period}/{form}"
FILES_SCREEN = "/finance"
SCREENS = (
    Screen("/", "Overview"),
    Screen("/engineer", "Engineer"),
    Screen("/lawyer", "Lawyer"),
    Screen("/finance", "Finance"),
    Screen("/auditor", "Auditor"),
)
_QUESTION = QuestionAsked.__struct_fields__


def _asked(given: Given) -> QuestionAsked:
    """Return the question of an address, as it was typed."""
    several = {name: given.all(name) for name in ("reading", "suppose")}
    single = {name: given[name] for name in _QUESTION if name not in several}
    return msgspec.convert(single | several, QuestionAsked)


PAGES = (
    WebPage(name="home", path="/", ask=lambda source, _: source.home()),
    WebPage(
        name="engineer",
        path="/engineer",
        query=("request",),
        screen="/engineer",
        ask=lambda source, given: source.engineer(given["request"]),
    ),
    WebPage(
        name="request",
        path="/engineer/request/{named}",
        screen="/engineer",
        ask=lambda source, given: source.request(given["named"]),
        absent=Absence(
            "There is no request {named}",
            "No gateway keeps it, and neither the journal nor the lake of this home holds it.",
            "Take the id from the answer's header x-clauseway-request-id.",
        ),
    ),
    WebPage(
        name="lawyer",
        path="/lawyer",
        query=_QUESTION,
        screen="/lawyer",
        ask=lambda source, given: source.lawyer(_asked(given)),
    ),
    WebPage(
        name="compare",
        path="/lawyer/compare",
        query=("before", "after"),
        screen="/lawyer",
        ask=lambda source, given: source.compare(given["before"], given["after"]),
    ),
    WebPage(
        name="text",
        path="/text",
        query=("document", "line"),
        screen="/lawyer",
        ask=lambda source, given: source.text(given["document"], given["line"]),
        absent=Absence(
            "The agreement has no such document",
            "No text of that name is among its documents.",
            "Open one from the lawyer's screen: every clause named there leads to its text.",
        ),
    ),
    WebPage(
        name="finance",
        path="/finance",
        screen="/finance",
        ask=lambda source, _: source.finance(),
    ),
    WebPage(
        name="auditor",
        path="/auditor",
        screen="/auditor",
        ask=lambda source, _: source.auditor(),
    ),
    WebPage(
        name="check",
        path="/auditor/check/{subject}",
        screen="/auditor",
        ask=lambda source, given: source.check(given["subject"]),
        absent=Absence(
            "There is no statement for {subject} to repeat",
            "No settlement of that month has been posted.",
            "Open the auditor's screen: /auditor.",
        ),
    ),
    WebPage(
        name="statement",
        screen="/finance",
        path="/statement/{period}",
        ask=lambda source, given: source.statement(given["period"]),
        absent=Absence(
            "There is no statement for {period}",
            "No settlement of that month has been posted.",
            "Settle it: clauseway settle --period {period} --assume …",
        ),
    ),
    WebPage(
        name="line",
        screen="/finance",
        path="/statement/{period}/{line}",
        query=("request",),
        ask=lambda source, given: source.line(given["period"], given["line"], given["request"]),
        absent=Absence(
            "There is no line {line} in {period}",
            "No settlement of that month has it, or the request is not in it.",
            "Take the name from the statement: /statement/{period}.",
        ),
    ),
)
