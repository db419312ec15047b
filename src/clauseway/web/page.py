"""A page as a record: its address, the source that fills it, the words where it shows nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

# The protocol of a reader's screen.
Source = TypeVar("Source", contravariant=True)


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
    remedy: str


class WebPage(msgspec.Struct, Generic[Source], frozen=True, kw_only=True):
    """A page: its path, and how its context is asked of a source by the parts of the address.

    Its template is `NAME.html.j2`, in which the context is called by that name. `query` lists what
    an address may say beyond its path, and `form` what a form that is sent to it may. `screen` is
    the entry of the navigation that it stands under, by its path: whoever may see that screen may
    see the page. Whoever sees a screen in `also` may see it too, and finds it under that screen.
    """

    name: str
    path: str
    ask: Callable[[Source, Given], Awaitable[msgspec.Struct | None]]
    query: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    screen: str
    also: tuple[str, ...] = ()
    # The words of the link to it on its screen; empty where its screen links to it by other words.
    link: str = ""
    absent: Absence = Absence(
        "There is no such page", "Nothing is at this address.", "Go to the first page."
    )
