"""The price book in use: the one that ships with the package, or an operator's own file."""

from importlib import resources
from pathlib import Path

from clauseway.pricing import PriceBook, PriceTable, parse_book
from clauseway.values import InvalidInput, KnownAt, Problem


def open_prices(known_at: KnownAt, path: Path | None = None) -> PriceTable:
    """The book as known at a point. Raises InvalidInput with everything wrong in it."""
    return PriceTable(_shipped() if path is None else _own(path), known_at)


def _shipped() -> PriceBook:
    book = resources.files("clauseway.pricing") / "data" / "prices.csv"
    return parse_book(book.read_text("utf-8"), "prices.csv")


def _own(path: Path) -> PriceBook:
    try:
        return parse_book(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            Problem(what="the price book cannot be read", why=str(error), where=str(path), todo="Give a readable file.")
        ) from None
