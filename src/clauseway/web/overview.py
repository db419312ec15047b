"""The first page: each reader's screen in a sentence, rights over time, and the counts."""

from datetime import date
from typing import Final, Protocol

import msgspec

from clauseway.web.contexts import Alert, CountsContext, Snippet, Timeline
from clauseway.web.page import WebPage


class ScreenSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A reader's screen on the first page: its address and its first answer of the day."""

    reader: str
    address: str
    answer: str
    more: str = ""


class HomeContext(msgspec.Struct, frozen=True, kw_only=True):
    """The first page. `down` says why no gateway reports counts; empty if one does."""

    title: str
    as_of: date
    known_at: str
    screens: tuple[ScreenSummary, ...]
    timeline: Timeline
    counts: CountsContext
    gateway_url: str
    snippets: tuple[Snippet, ...]
    alerts: tuple[Alert, ...]
    down: str = ""


class OverviewSource(Protocol):
    """The source of the first page and of its counts."""

    async def home(self) -> HomeContext:
        """Return everything on the first page."""
        ...

    async def counts(self) -> CountsContext:
        """Return only the counts. Every open page asks once a second, so this must be cheap."""
        ...


OVERVIEW_PAGES: Final[tuple[WebPage[OverviewSource], ...]] = (
    WebPage(name="home", path="/", ask=lambda source, _: source.home(), screen="/"),
)
