"""A page as a record: its address, its source, and the words if it has nothing to show."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec

# The protocol of a reader's screen.
Source = TypeVar("Source", contravariant=True)


class Given:
    """The parts of an address: of its path, and of its query, which may repeat some names."""

    def __init__(self, path: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> None:
        self._path, self._query = path, query

    def __getitem__(self, name: str) -> str:
        """Return a part that is not repeated, or an empty text."""
        if name in self._path:
            return self._path[name]
        return next(iter(self._query.get(name, ())), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a query's part that is not empty."""
        return tuple(filter(None, self._query.get(name, ())))


class Absence(msgspec.Struct, frozen=True):
    """The words of a page without content; each may name parts of the path."""

    what: str
    why: str
    remedy: str


class WebPage(msgspec.Struct, Generic[Source], frozen=True, kw_only=True):
    """A page: its path, and the call that asks a source for its context.

    Its template is `NAME.html.j2`, in which the context has that name. `query` lists the parameters
    of its address, `repeatable` those that it may name more than once. `form` lists the fields of a
    form that is sent to it, and `command` does the same on the command line. `screen` is the path
    of its entry in the navigation: readers of that screen, or of a screen in `also`, may see the
    page.
    """

    name: str
    path: str
    ask: Callable[[Source, Given], Awaitable[msgspec.Struct | None]]
    query: tuple[str, ...] = ()
    repeatable: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    command: str = ""
    screen: str
    also: tuple[str, ...] = ()
    # The label of the link on its screen; empty if the screen has its own link.
    link: str = ""
    absent: Absence = Absence(
        "There is no such page", "Nothing is at this address.", "Go to the first page."
    )
