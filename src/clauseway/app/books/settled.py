"""Settled months and the journal, read from the books.

Nothing here counts usage, so that a page or a statement loads no engine.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.periods import month
from clauseway.ledger import Settlement, Statement, statement_of
from clauseway.ledger.dues import Due
from clauseway.ledger.statement import digest_of
from clauseway.storage.books.books import Books
from clauseway.storage.control import journal
from clauseway.storage.control.journal import Leg
from clauseway.storage.lake.quarantine import waiting
from clauseway.values import KnownAt, exact_sum


class SettledMonth(msgspec.Struct, frozen=True, kw_only=True):
    """A settled month without its lines: the digest of its statement, the total of each direction
    (payer, payee, USD), and the dues term by term."""

    receipt: str
    digest: str
    totals: tuple[tuple[str, str, Decimal], ...]
    dues: tuple[Due, ...]


class Balanced(msgspec.Struct, frozen=True, kw_only=True):
    """A leg of the journal with the running balance of its account after it."""

    leg: Leg
    balance: Decimal


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


def latest_settlements(home: Home, period: str = "") -> dict[str, Settlement]:
    """Return each settled month (`2026-05`) with its latest settlement, or the one with which it
    was closed; oldest first. With `period`, read only that month."""
    with _books(home) as books:
        return {
            name: books.settlement(receipt)
            for name, receipt in _receipts(books).items()
            if period in ("", name)
        }


def latest_receipts(home: Home) -> list[str]:
    """Return the receipts of `latest_settlements`."""
    with _books(home) as books:
        return list(_receipts(books).values())


class SettledMonths:
    """The settled months of a home, for pages: each settlement is read once, because it never
    changes and may have many lines."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._read: dict[str, SettledMonth] = {}

    def latest(self) -> dict[str, SettledMonth]:
        """Return the months of `latest_settlements`, in the same order."""
        read, months = self._read, dict[str, SettledMonth]()
        with _books(self._home) as books:
            for name, receipt in _receipts(books).items():
                months[name] = read.get(receipt) or settled_month(books.settlement(receipt))
        # Settlements that were replaced are forgotten.
        self._read = {month.receipt: month for month in months.values()}
        return months


def settled_month(settlement: Settlement) -> SettledMonth:
    """Return the sums of a settlement."""
    stated = statement_of(settlement)
    return SettledMonth(
        receipt=settlement.receipt,
        digest=digest_of(stated),
        totals=tuple(
            (direction.payer, direction.payee, direction.total) for direction in stated.directions
        ),
        dues=stated.dues,
    )


def _receipts(books: Books) -> dict[str, str]:
    return {f"{days.begin:%Y-%m}": receipt for days, receipt in books.standing_receipts().items()}


def settlement_of(home: Home, period: str) -> Settlement | None:
    """Return the settlement of a month as `latest_settlements` does; None where it was not settled."""
    with _books(home) as books:
        return books.standing(month(period))


def journal_of(
    home: Home, party: str = "", period: str = "", account: str = ""
) -> Iterator[Balanced]:
    """Yield the journal's legs of a party, month and account, in order, each with its account's
    balance after it, which counts the legs that are left out, too."""
    days = month(period) if period else None
    balances: dict[tuple[object, str], Decimal] = {}
    with _books(home) as books, books.control.reading() as connection:
        for leg in journal.legs_of(connection, party=party, name=account):
            posting = leg.posting
            key = posting.account, posting.currency
            balances[key] = exact_sum((balances.get(key, Decimal(0)), posting.amount))
            if days is None or leg.day in days:
                yield Balanced(leg=leg, balance=balances[key])


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
