"""The prices and agreements that a home's settlements rest on."""

from pathlib import Path

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import home_at
from clauseway.app.opening.library import known_point
from clauseway.app.opening.several import Opened
from clauseway.pricing import PriceTable


def held_prices(home: Path | None, known_at: str | None = None) -> PriceTable:
    """Return the prices that a home holds, as known at a point; by default all that is known."""
    return basis_of(home_at(home)).prices(known_point(known_at))


def held_agreements(home: Path | None) -> Opened:
    """Return the agreements that a home holds, with the facts recorded in it."""
    return basis_of(home_at(home)).opened()
