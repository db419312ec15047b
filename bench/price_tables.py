"""Price tables for benchmarks and tests: the shipped books, below a book of their own."""

from pathlib import Path

from clauseway.app.opening.prices import own_book, own_rates, shipped_books
from clauseway.pricing import PriceTable
from clauseway.values import KnownAt


def open_prices(
    known_at: KnownAt, path: Path | None = None, rates: Path | None = None
) -> PriceTable:
    """Return the shipped books, below the one at a path, with the rates of their currencies."""
    own = [] if path is None else [own_book(path)]
    return PriceTable(
        [*own, *shipped_books()], known_at, None if rates is None else own_rates(rates)
    )
