"""The price books in use: an operator's own over the shipped one over the public list; and the working of one price."""

from importlib import resources
from pathlib import Path

from clauseway.app.list_prices import list_book
from clauseway.pricing import PriceBook, PriceTable, parse_book
from clauseway.values import InvalidInput, KnownAt, Problem


def open_prices(known_at: KnownAt, path: Path | None = None) -> PriceTable:
    """The books as known at a point. Raises InvalidInput with everything wrong in them."""
    own = [] if path is None else [own_book(path)]
    return PriceTable([*own, _shipped(), list_book()], known_at)


def _shipped() -> PriceBook:
    book = resources.files("clauseway.pricing") / "data" / "prices.csv"
    return parse_book(book.read_text("utf-8"), "prices.csv")


def own_book(path: Path) -> PriceBook:
    """A book of the operator's. Raises InvalidInput with everything wrong in it."""
    try:
        return parse_book(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            Problem(what="the price book cannot be read", why=str(error), where=str(path), todo="Give a readable file.")
        ) from None
