"""Settled months, read from the books.

Nothing here counts usage, so that a page or a statement loads no engine.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.periods import month
from clauseway.ledger import Settlement, Statement, statement_of
from clauseway.storage.books.books import Books
from clauseway.storage.lake.quarantine import waiting
from clauseway.values import KnownAt


def statement(
    home: Home, period: str, party: str = "", *, restated: bool = False
) -> Statement | None:
    """Return the statement of a month, for one party or for all; None where it was not settled.

    For a closed month it is the statement with which the month was closed or, with `restated`, its
    latest restatement if there is one; for an open month, the statement of its latest settlement.
    """
    days = month(period)
    with _books(home) as books:
        again = books.restatements(days) if restated else []
        settlement = again[-1] if again else books.standing(days)
    return statement_of(settlement, party) if settlement else None


def latest_settlements(home: Home) -> dict[str, Settlement]:
    """Return each settled month (`2026-05`) with its latest settlement, or the one with which it
    was closed; oldest first."""
    with _books(home) as books:
        return {
            f"{days.begin:%Y-%m}": books.settlement(receipt)
            for days, receipt in books.standing_receipts().items()
        }


def latest_receipts(home: Home) -> list[str]:
    """Return the receipts of `latest_settlements`."""
    with _books(home) as books:
        return list(books.standing_receipts().values())


def settlement_of(home: Home, period: str) -> Settlement | None:
    """Return the settlement of a month as `latest_settlements` does; None where it was not settled."""
    with _books(home) as books:
        return books.standing(month(period))


def rows_waiting(home: Home) -> int:
    """Return how many rows of usage are in quarantine, and so in no amount."""
    with _books(home) as books:
        return waiting(books.control)


@contextmanager
def _books(home: Home) -> Iterator[Books]:
    with open_control(home) as control:
        yield Books(control)


def now() -> KnownAt:
    """Return the point of knowledge of a settlement made now."""
    return KnownAt(time.time_ns())
