"""Settling month 60 beside month 2, with equal rows: what history costs a settlement.

Sixty months of 200 requests each are sealed, settled and closed, one after the other, under the built-in agreement,
whose share is due on everything since it began. What is compared is the processor time of `settle_month` alone, as the
median of three months around each end; reading, pricing, late usage, posting and the check of the books are in it.
"""

import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.price_tables import open_prices
from bench.results import Effort, Result, result
from clauseway.app.books.closing import close_month
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.usage.sealing import open_lake
from clauseway.metering import Buyer, Deployment, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.values import KnownAt, start_of_day_ns

_MONTHS, _ROWS, _GOAL = 60, 200, 1.2
_ACCEPTED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
_KNOWN_AT = KnownAt.end_of(date(2032, 1, 1))
_LONG_AFTER = date(2033, 1, 1)
_BUYERS = {1: Buyer("Contoso", "search", "key_1", "openai", "any")}
_DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "", "eastus2", "gpt-5.4", "gpt-5.4-2026-03-05"),
    2: Deployment("aws-1", "aws", "", "us-east-2", "gpt-5.4", "openai.gpt-5.4"),
}
_RULINGS = {1: Ruling("d1", "permitted", ("A5.any-cloud",), "r1")}


def measure(effort: Effort) -> list[Result]:
    """One round of sixty months, whatever the effort: they are the history."""
    seconds = _run()
    early, late = (median(seconds[at - 1 : at + 2]) for at in (2, _MONTHS - 2))
    notes = {"month 2": f"{early:.2f} s", "month 60": f"{late:.2f} s", "rows a month": str(_ROWS)}
    return [result("money/settle-month-60", "times", _GOAL, {"ours": [late / early]}, notes)]


def _run() -> list[float]:
    """The processor time of settling each month."""
    opened, prices, seconds = open_agreement(), open_prices(_KNOWN_AT), list[float]()
    begins = [
        date(2026 + (4 + number) // 12, (4 + number) % 12 + 1, 1) for number in range(_MONTHS + 1)
    ]
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder:
        home = Home(Path(folder) / "home").make()
        for number, (begin, end) in enumerate(pairwise(begins)):
            seal_month(home, number, begin, _ROWS)
            started = time.process_time()
            settle_month(home, opened, prices, f"{begin:%Y-%m}", _ACCEPTED, {})
            seconds.append(time.process_time() - started)
            close_month(home, f"{begin:%Y-%m}", max(end, _LONG_AFTER))
    return seconds


def seal_month(home: Home, number: int, begin: date, rows: int) -> None:
    """Seal so many requests of the month that begins on that day, the home's month of that number."""
    first = number * rows
    batch = UsageBatch(
        spool="bench",
        segment=1,
        first_frame=first,
        end_frame=first + rows,
        usage=list(_records(first, begin, rows)),
        intents=(),
        buyers=_BUYERS,
        deployments=_DEPLOYMENTS,
        rulings=_RULINGS,
    )
    with open_lake(home) as lake:
        assert lake.seal(batch, start_of_day_ns(begin + timedelta(days=40)))


def _records(first: int, begin: date, rows: int) -> Sequence[UsageRecord]:
    return [
        UsageRecord(
            request=RequestId(7, first + number),
            attempt=1,
            event_ns=start_of_day_ns(begin + timedelta(days=number % 28)) + number * 1_000_000_000,
            recorded_ns=first + number,
            buyer=1,
            deployment=1 + number % 2,
            ruling=1,
            endpoint=1,
            status=Status.COMPLETE,
            http_status=200,
            streamed=False,
            duration_us=1200,
            first_content_us=300,
            charge_picodollars=0,
            units=((Unit.INPUT_TOKENS, 1_000 + number), (Unit.OUTPUT_TOKENS, 500)),
            upstream_id=f"up-{number}",
        )
        for number in range(rows)
    ]
