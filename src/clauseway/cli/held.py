"""What commands of the books read from a home: the prices and agreements that its settlements rest
on, by one connection to its database."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import home_at
from clauseway.app.opening.home_control import kept_control
from clauseway.app.opening.library import known_point
from clauseway.app.opening.several import Opened
from clauseway.pricing import PriceTable


def held_prices(home: Path | None, known_at: str | None = None) -> PriceTable:
    """Return the prices that a home holds, as known at a point; by default all that is known."""
    return basis_of(home_at(home)).prices(known_point(known_at))


def held_agreements(home: Path | None) -> Opened:
    """Return the agreements that a home holds, with the facts recorded in it."""
    return basis_of(home_at(home)).opened()


def by_one_connection(command: Callable[..., int]) -> Callable[..., int]:
    """Let a command open the database of its flag `--home` once: a settlement asks for it sixteen
    times, and to open it takes milliseconds each time."""

    @wraps(command)
    def connected(*, home: Path | None, **flags: object) -> int:
        with kept_control(home_at(home)):
            return command(home=home, **flags)

    return connected
