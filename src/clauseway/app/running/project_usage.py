"""A project's usage by day and model, for the project itself: from the hourly sums of the lake,
with everything sealed that the journals hold by then."""

import threading
import time
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module

import msgspec

from clauseway.app.opening.home import Home
from clauseway.app.opening.home_control import open_control
from clauseway.app.reports.spend import LatestPrices, estimated_cost
from clauseway.gateway.plan import USAGE_PATIENCE_S, UsageQuestion
from clauseway.pricing import PriceTable, Sale
from clauseway.storage.lake.hourly_sums import Usage, usage_by
from clauseway.values import HOUR_NS, Interval, day_after, day_of

# Sealing writes Parquet; the gateway, which hands questions over, starts without that library.
_SEALING = "clauseway.app.usage.sealing"
# Each sealing leaves files, and a project may ask at any rate. A client that was told to ask again
# comes sooner, and finds what was sealed meanwhile.
_SEAL_EVERY_S = 5.0
_BY = ("hour", "product", "seller", "cloud", "region")
_QUESTION = msgspec.json.Decoder(UsageQuestion)


class _ModelDay:
    """Sums of one model on one day. `cost` is None once something in it has no price."""

    def __init__(self) -> None:
        self.served = 0
        self.failed = 0
        self.units: defaultdict[str, int] = defaultdict(int)
        self.cost: Decimal | None = Decimal(0)

    def add(self, usage: Usage, cost: Decimal | None) -> None:
        self.served += usage.served
        self.failed += usage.failed
        for unit, count in usage.units.items():
            self.units[unit] += count
        self.cost = None if self.cost is None or cost is None else self.cost + cost


class ProjectUsages:
    """Answers questions for usage; one at a time, because each may seal first."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._one_question = threading.Lock()
        self._sealed_s = -_SEAL_EVERY_S
        self._recorded_until = datetime.min  # when the latest sealing began
        self._prices = LatestPrices(home)

    def answer(self, body: bytes) -> bytes:
        """Return the usage of a project as its client reads it. Raise msgspec.DecodeError; TimeoutError
        while another question waits for the lake."""
        question = _QUESTION.decode(body)
        if not self._one_question.acquire(timeout=USAGE_PATIENCE_S):
            raise TimeoutError("usage is still being sealed for an earlier question")
        try:
            if time.monotonic() - self._sealed_s >= _SEAL_EVERY_S:
                begun = datetime.now(UTC)
                import_module(_SEALING).seal(self._home)
                self._sealed_s, self._recorded_until = time.monotonic(), begun
            return msgspec.json.encode(self._of(question, self._prices.table()))
        finally:
            self._one_question.release()

    def _of(self, question: UsageQuestion, prices: PriceTable) -> dict[str, object]:
        days = Interval(question.first, day_after(question.last))
        buyer = {"organisation": question.organisation, "project": question.project}
        with open_control(self._home) as control:
            sums = usage_by(control, _BY, days, buyer)
        by_model: defaultdict[tuple[date, str], _ModelDay] = defaultdict(_ModelDay)
        for usage in sums:
            hour, product, seller, cloud, region = usage.key
            day = day_of(int(hour) * HOUR_NS)
            sale = Sale(product, cloud, seller, region, question.organisation)
            by_model[day, product].add(usage, estimated_cost(prices, sale, day, usage))
        return {
            "object": "clauseway.usage",
            **buyer,
            "from": question.first,
            "until": question.last,
            "recorded_until": self._recorded_until,
            "data": [_row(day, model, its) for (day, model), its in sorted(by_model.items())],
        }


def _row(day: date, model: str, its: _ModelDay) -> dict[str, object]:
    cost = None
    if its.cost is not None:
        cost = {"amount": f"{its.cost:f}", "currency": "USD", "provisional": True}
    return {
        "date": day,
        "model": model,
        "served": its.served,
        "failed": its.failed,
        "usage": {unit: count for unit, count in its.units.items() if count},
        "cost": cost,
    }
