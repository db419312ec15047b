"""The spend of a day from the hourly sums: an estimate at plain prices, available during the day.

The sums do not say which requests were long, or in which tier; a settlement prices single attempts.
"""

import threading
import time
from datetime import date
from decimal import Decimal

import msgspec

from clauseway.app.books.basis import basis_of
from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.opening.priced_usage import in_usd
from clauseway.metering.units import BY_COLUMN
from clauseway.pricing import PriceTable, Sale, UnknownPrice
from clauseway.storage.lake.hourly_sums import Usage, usage_by
from clauseway.values import Interval, InvalidInput, KnownAt, day_after

# Books seldom change, and reading them takes a quarter of a second.
_PRICES_EVERY_S = 60.0
_BY = ("organisation", "product", "seller", "cloud", "region")


class Spend(msgspec.Struct, frozen=True):
    """The estimated spend of a day in USD, and the number of served requests left out for lack of a
    price or rate."""

    usd: Decimal
    unpriced: int


class LatestPrices:
    """The prices of a home, at most a minute old."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._one_reader = threading.Lock()
        self._read_s = 0.0
        self._table: PriceTable | None = None

    def table(self) -> PriceTable:
        with self._one_reader:
            now_s = time.monotonic()
            if self._table is None or now_s - self._read_s >= _PRICES_EVERY_S:
                self._table = basis_of(self._home).prices(KnownAt(time.time_ns()))
                self._read_s = now_s
            return self._table


def estimated_cost(prices: PriceTable, sale: Sale, day: date, usage: Usage) -> Decimal | None:
    """Return the charge of sums in USD at the plain price; None without a price or a rate."""
    report = {BY_COLUMN[name]: count for name, count in usage.units.items()}
    try:
        return in_usd(prices.charge_sum(sale, day, report), day, prices)
    except (UnknownPrice, InvalidInput):
        return None


def spend_on(home: Home, prices: PriceTable, day: date) -> Spend:
    """Return the spend of a day, from sealed usage."""
    with open_control(home) as control:
        sums = usage_by(control, _BY, Interval(day, day_after(day)))
    usd, unpriced = Decimal(0), 0
    for usage in sums:
        buyer, product, seller, cloud, region = usage.key
        cost = estimated_cost(prices, Sale(product, cloud, seller, region, buyer), day, usage)
        usd, unpriced = usd + (cost or 0), unpriced + (usage.served if cost is None else 0)
    return Spend(usd, unpriced)
