"""Commitments as they burn down: what was promised to a cloud, what metered spend counts toward it,
where that leads.

Spend is what the lake holds, priced by the book in force on each day; a charge counts toward every
commitment that covers it. The forecast is a straight line: what was spent in the last four weeks
(or since the beginning, where that is later) goes on at the same pace.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Literal

import msgspec
from sqlalchemy.exc import DBAPIError

from clauseway.app.books.carrying import PriceNames
from clauseway.app.books.day_charges import DayCharges
from clauseway.app.opening.configuration import CommitmentWritten, Configuration
from clauseway.app.opening.home import Home
from clauseway.app.opening.prices import refusing_unpriced
from clauseway.app.running.planning import promised
from clauseway.app.usage.sealing import open_lake
from clauseway.ledger import RevenueLine
from clauseway.pricing import PriceTable
from clauseway.storage.usage.priced import revenue
from clauseway.values import FOREVER, Interval, InvalidInput, day_after, round_half_even

_PACE_DAYS = 28

CommitmentOutlook = Literal["not begun", "met", "on course", "short", "lapsed"]


class BurnDown(msgspec.Struct, frozen=True, kw_only=True):
    """A commitment on a day. Amounts are in USD; `begin` ≤ day < `end`.

    `a_day` is the present pace; `reaches` is the day by which it would be met at that pace, None
    where it never would within its time; `lapses` is what would be left unspent when it ends.
    """

    name: str
    kind: str
    begin: date
    end: date
    amount: Decimal
    spent: Decimal
    left: Decimal
    days_left: int
    a_day: Decimal
    reaches: date | None
    lapses: Decimal
    outlook: CommitmentOutlook
    clouds: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    products: tuple[str, ...] = ()


def burn_downs(
    home: Home, configuration: Configuration, prices: PriceTable, day: date
) -> list[BurnDown]:
    """Return every commitment of the configuration as of the end of a day.

    Raise InvalidInput where usage has no price.
    """
    with refusing_unpriced():
        lines = _lines(home, configuration.commitment, prices, day)
    return [burn_down(written, lines, day) for written in configuration.commitment]


def spent_by_name(home: Home, configuration: Configuration, prices: PriceTable) -> dict[str, int]:
    """Return the amount ever spent toward each commitment, in picodollars: a plan takes it away.

    Usage without a price counts as nothing: who may come in and where requests go must not hang on
    a price that was once forgotten. The charges of each day are kept, so that the next plan sums
    the days that changed.
    """
    if not configuration.commitment:
        return {}
    days = Interval(min(written.begin for written in configuration.commitment), FOREVER)
    with open_lake(home) as lake:
        charges = DayCharges(lake, prices, PriceNames(prices), (), use_kept=True, known_only=True)
        lines = charges.lines(days)
        # Where nothing can be kept, the next plan sums them again.
        with suppress(DBAPIError, InvalidInput):
            charges.keep()
    return {
        written.name: int(
            sum((line.amount for line in lines if counts(written, line)), Decimal(0)).scaleb(12)
        )
        for written in configuration.commitment
    }


def _lines(
    home: Home,
    commitments: Sequence[CommitmentWritten],
    prices: PriceTable,
    day: date,
) -> list[RevenueLine]:
    """Return all sealed spend from the first commitment's beginning until the end of the day."""
    if not commitments:
        return []
    days = Interval(min(written.begin for written in commitments), day_after(day))
    if days.is_empty:
        return []
    with open_lake(home) as lake:
        return revenue(lake, prices, days)


def counts(written: CommitmentWritten, line: RevenueLine) -> bool:
    """Return whether a day's charges count toward a commitment."""
    return written.begin <= line.event_day < written.end and all(
        not wanted or value in wanted
        for wanted, value in (
            (written.clouds, line.cloud),
            (written.sellers, line.seller),
            (written.products, line.product),
        )
    )


def burn_down(written: CommitmentWritten, lines: Sequence[RevenueLine], day: date) -> BurnDown:
    """Return a commitment as of the end of a day, by all charges until then."""
    counting = [line for line in lines if counts(written, line) and line.event_day <= day]
    amount = Decimal(promised(written)).scaleb(-12)
    spent = sum((line.amount for line in counting), Decimal(0))
    left = max(amount - spent, Decimal(0))
    # The pace is that of the latest days, not of the whole term.
    since = max(written.begin, day_after(day) - timedelta(days=_PACE_DAYS))
    elapsed = max((day_after(day) - since).days, 0)
    lately = sum((line.amount for line in counting if line.event_day >= since), Decimal(0))
    a_day = lately / elapsed if elapsed else Decimal(0)
    days_left = max((written.end - max(day_after(day), written.begin)).days, 0)
    # At that pace the rest lasts so many days, if the commitment does.
    days = int((left / a_day).to_integral_value(ROUND_CEILING)) if a_day else 0
    reaches = day + timedelta(days=days) if left and a_day and days <= days_left else None
    return BurnDown(
        name=written.name,
        kind=written.kind,
        begin=written.begin,
        end=written.end,
        amount=amount,
        spent=spent,
        left=left,
        days_left=days_left,
        a_day=round_half_even(a_day),
        reaches=reaches,
        lapses=round_half_even(max(left - a_day * days_left, Decimal(0))),
        outlook=_outlook(written, day, left, reaches),
        clouds=written.clouds,
        sellers=written.sellers,
        products=written.products,
    )


def _outlook(
    written: CommitmentWritten, day: date, left: Decimal, reaches: date | None
) -> CommitmentOutlook:
    if not left:
        return "met"
    if day < written.begin:
        return "not begun"
    if day_after(day) >= written.end:
        return "lapsed"
    return "on course" if reaches is not None else "short"
