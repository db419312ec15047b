"""A home with a little metered usage in April and May 2026, priced so that every amount can be checked by eye.

Prices are USD per million tokens, the same everywhere: 2 for input, 0.50 for cached input, 10 for output.

    10 April  openai on azure      10 in,  8 out              20 + 80     = 100.00
    10 April  microsoft on azure   10 in,  3 out              20 + 30     =  50.00
    28 April  openai on aws         5 in,  9 out              10 + 90     = 100.00
    28 April  microsoft on azure    5 in,  1 out              10 + 10     =  20.00
     5 May    openai on azure      15 in, 17 out              30 + 170    = 200.00
     6 May    openai on aws        10 in (4 cached), 13 out   12 + 2 + 130 = 144.00
     7 May    microsoft on azure   10 in,  8 out              20 + 80     = 100.00
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import msgspec

from clauseway.app.books.basis import change_prices
from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import open_lake
from clauseway.metering import Buyer, Deployment, Ruling, Status, Unit, UsageRecord
from clauseway.values import start_of_day_ns
from usage_records import usage_batch, usage_record

BOOK = """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt-5.4,,,,input_tokens,2026-03-05,,2026-03-05,2.00,ours
gpt-5.4,,,,cached_input_tokens,2026-03-05,,2026-03-05,0.50,ours
gpt-5.4,,,,output_tokens,2026-03-05,,2026-03-05,10.00,ours
"""
ACCEPTED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
IN, CACHED, OUT = Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.OUTPUT_TOKENS
MILLION, HOUR_NS = 10**6, 3_600_000_000_000
_BUYERS = {
    1: Buyer("Contoso", "search", "key_1", "openai", "any"),
    2: Buyer("Fabrikam", "chat", "key_2", "microsoft", "enterprise"),
}
_DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "openai", "eastus2", "gpt-5.4", "gpt-5.4"),
    2: Deployment("aws-1", "aws", "openai", "us-east-2", "gpt-5.4", "openai.gpt-5.4"),
    3: Deployment("azure-2", "azure", "microsoft", "eastus2", "gpt-5.4", "gpt-5.4"),
    4: Deployment("aws-2", "aws", "openai", "us-east-2", "gpt-9", "openai.gpt-9"),  # no agreement names it
    5: Deployment("azure-3", "azure", "openai", "global", "gpt-5.4", "gpt-5.4"),
}
_RULINGS = {1: Ruling("d1", "permitted", ("A5.any-cloud",), "r1")}


class Sold(msgspec.Struct, frozen=True):
    """An attempt as a table in a test writes it: units in tokens, `hour` of its day, `late` days until it was told."""

    day: str
    buyer: int
    deployment: int
    units: Mapping[Unit, int]
    hour: int = 12
    status: Status = Status.COMPLETE
    late: int = 0


SOLD = (
    Sold("2026-04-10", 1, 1, {IN: 10 * MILLION, OUT: 8 * MILLION}),
    Sold("2026-04-10", 2, 3, {IN: 10 * MILLION, OUT: 3 * MILLION}),
    Sold("2026-04-28", 1, 2, {IN: 5 * MILLION, OUT: 9 * MILLION}),
    Sold("2026-04-28", 2, 3, {IN: 5 * MILLION, OUT: 1 * MILLION}),
    Sold("2026-05-05", 1, 1, {IN: 15 * MILLION, OUT: 17 * MILLION}),
    Sold("2026-05-06", 1, 2, {IN: 10 * MILLION, CACHED: 4 * MILLION, OUT: 13 * MILLION}),
    Sold("2026-05-07", 2, 3, {IN: 10 * MILLION, OUT: 8 * MILLION}),
)


def record(number: int, sold: Sold) -> UsageRecord:
    event_ns = start_of_day_ns(date.fromisoformat(sold.day)) + sold.hour * HOUR_NS
    return usage_record(
        number,
        event_ns,
        sold.units,
        recorded_ns=event_ns + sold.late * 24 * HOUR_NS,
        buyer=sold.buyer,
        deployment=sold.deployment,
        status=sold.status,
    )


def metered_home(root: Path, sold: Sequence[Sold] = SOLD, book: str = BOOK, first: int = 1) -> Home:
    """A home whose lake holds these attempts, and which holds the price book `book.csv`."""
    home = Home(root).make()
    (root / "book.csv").write_text(book)
    change_prices(home, "the prices of this example", file=root / "book.csv", of_this_version=False, alone=False)
    if sold:
        metered(home, [record(number, sale) for number, sale in enumerate(sold, first)], first)
    return home


def metered(home: Home, usage: Sequence[UsageRecord], first: int = 1) -> None:
    """Seal attempts into a home's lake."""
    batch = usage_batch(usage, _BUYERS, _DEPLOYMENTS, _RULINGS, first=first, spool="hand")
    with open_lake(home) as lake:
        lake.seal(batch, 1)


def assumed(*names: str) -> list[str]:
    """`--assume` flags for these figures, by default for all that were reported."""
    return [part for name in names or ACCEPTED for part in ("--assume", name)]
