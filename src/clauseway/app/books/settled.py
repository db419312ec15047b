"""What was settled, read from the books, and the shares that a settlement takes.

Nothing here counts usage, so that a page or a statement loads no engine.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from clauseway.agreement import RevenueShare
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.periods import month
from clauseway.app.opening.several import Opened, own_readings
from clauseway.decisions.several import in_their_order
from clauseway.ledger import Settlement, Statement, statement_of
from clauseway.storage import Control
from clauseway.storage.books.books import Books
from clauseway.values import Citation, KnownAt


def statement(
    home: Home, period: str, party: str = "", *, restated: bool = False
) -> Statement | None:
    """Return the statement of a month, for one party or for all; None where it was not settled.

    Of a closed month it is the one that was closed, or with `restated` the latest that restates it;
    of an open one that of its latest settlement.
    """
    days = month(period)
    with _books(home) as books:
        closes = [closed_month for closed_month in books.closed() if closed_month.period == days]
        again = books.restatements(days) if restated else []
        settlement = (
            again[-1]
            if again
            else books.settlement(closes[0].receipt)
            if closes
            else books.latest(days)
        )
    return statement_of(settlement, party) if settlement else None


def latest_settlements(home: Home) -> dict[str, Settlement]:
    """Return each settled month (`2026-05`) with its latest settlement, or the one with which it
    was closed; oldest first."""
    with _books(home) as books:
        closed = {closed_month.period: closed_month.receipt for closed_month in books.closed()}
        latest = {
            settlement.period.begin.strftime("%Y-%m"): settlement
            for settlement in books.control.settlements()
            if closed.get(settlement.period, settlement.receipt) == settlement.receipt
        }
    return dict(sorted(latest.items()))


@contextmanager
def _books(home: Home) -> Iterator[Books]:
    control = Control.open(home.make().control)
    try:
        yield Books(control)
    finally:
        control.close()


def shares_of(opened: Opened, known_at: KnownAt, readings: Mapping[str, str]) -> list[RevenueShare]:
    """Return every revenue share of the agreements.

    Of several, places name their agreement too; and so does a term's id that two of them have.
    """
    if isinstance(opened, OpenAgreement):
        return opened.revenue_shares(known_at, readings)
    shares = [
        (asked.agreement.id, share)
        for asked in in_their_order(opened.each)
        for share in asked.revenue_shares(known_at, own_readings(opened, asked, readings))
    ]
    # A share that another amendment ends and begins again has one id in one agreement.
    owners: dict[str, set[str]] = {}
    for agreement, share in shares:
        owners.setdefault(share.term, set()).add(agreement)
    return [
        msgspec.structs.replace(
            share,
            term=share.term if len(owners[share.term]) == 1 else f"{agreement}:{share.term}",
            citation=_placed(agreement, share.citation),
            ended_by=share.ended_by and _placed(agreement, share.ended_by),
        )
        for agreement, share in shares
    ]


def _placed(agreement: str, citation: Citation) -> Citation:
    return msgspec.structs.replace(citation, document=f"{agreement}/{citation.document}")


def now() -> KnownAt:
    """Return the point of knowledge of a settlement made now."""
    return KnownAt(time.time_ns())
