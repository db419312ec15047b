"""A home with two settled months, made by hand: eleven requests of two buyers on two clouds, before and after 27 April.

What each request costs, in USD (tokens × USD per million): see USED. Nothing here depends on the clock or the machine.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from shutil import copytree, rmtree
from tempfile import mkdtemp

from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.prices import shipped_books
from clauseway.app.usage.sealing import open_lake
from clauseway.metering import Buyer, Deployment, RequestId, Ruling, Unit
from clauseway.pricing import PriceTable
from clauseway.values import KnownAt, start_of_day_ns
from usage_records import usage_batch, usage_record

IN, CACHED, OUT = Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.OUTPUT_TOKENS
_MADE: list[Path] = []
ACCEPTED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
KNOWN = KnownAt.end_of(date(2026, 6, 30))
BUYERS = {
    1: Buyer("Contoso", "search", "key_1", "openai", "any"),
    2: Buyer("Fabrikam", "chat", "key_2", "microsoft", "enterprise"),
}
DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "", "eastus2", "gpt-5.4", "gpt-5.4-2026-03-05"),
    2: Deployment("aws-1", "aws", "", "us-east-2", "gpt-5.4", "openai.gpt-5.4"),
    3: Deployment("azure-2", "azure", "", "eastus2", "gpt-5.5", "gpt-5.5-2026-04-24"),
}
RULINGS = {1: Ruling("d1", "permitted", ("A1.licence", "A5.any-cloud"), "r1")}

Row = tuple[int, str, int, int, int, tuple[int, int, int]]
# number | day | second of the day | buyer | deployment | input, cached, output tokens | charge in USD
USED: tuple[Row, ...] = (
    (1, "04-20", 60, 1, 1, (400_000, 0, 100_000)),  # 0.4 × 2.50 + 0.1 × 15.00 = 2.50
    (2, "04-20", 61, 2, 1, (200_000, 0, 20_000)),  # 0.2 × 2.50 + 0.02 × 15.00 = 0.80
    (3, "04-26", 86_399, 2, 1, (120_000, 0, 40_000)),  # 0.12 × 2.50 + 0.04 × 15.00 = 0.90
    (4, "04-27", 0, 1, 1, (100_000, 80_000, 10_000)),  # 0.02 × 2.50 + 0.08 × 0.25 + 0.01 × 15.00 = 0.22
    (5, "04-28", 5, 1, 2, (1_000_000, 0, 50_000)),  # 1 × 2.75 + 0.05 × 16.50 = 3.575
    (6, "04-28", 6, 2, 1, (300_000, 0, 30_000)),  # microsoft's own sale: no share from 27 April on
    (7, "05-02", 1, 1, 1, (240_000, 0, 60_000)),  # 0.24 × 2.50 + 0.06 × 15.00 = 1.50
    (8, "05-02", 2, 1, 2, (20_000, 0, 10_000)),  # 0.02 × 2.75 + 0.01 × 16.50 = 0.22
    (9, "05-03", 3, 1, 2, (60_000, 0, 20_000)),  # 0.06 × 2.75 + 0.02 × 16.50 = 0.495
    (10, "05-03", 4, 1, 3, (100_000, 0, 10_000)),  # 0.1 × 5.00 + 0.01 × 30.00 = 0.80
    (11, "05-03", 5, 2, 1, (10_000, 0, 1_000)),  # microsoft's own sale
)


def request(number: int) -> str:
    """The id of a request of the table."""
    return str(RequestId(7, number))


def seal(
    home: Home,
    rows: Sequence[Row] = USED,
    request: int = 0,
    buyers: Mapping[int, Buyer] = BUYERS,
    deployments: Mapping[int, Deployment] = DEPLOYMENTS,
) -> None:
    """Seal rows of the table as one batch of a gateway's spool; with `request`, all as attempts of that one."""
    records = [
        usage_record(
            number,
            start_of_day_ns(date.fromisoformat(f"2026-{day}")) + second * 1_000_000_000,
            {IN: units[0], CACHED: units[1], OUT: units[2]},
            request=RequestId(7, request or number),
            attempt=number - request + 1 if request else 1,
            buyer=buyer,
            deployment=deployment,
        )
        for number, day, second, buyer, deployment, units in rows
    ]
    first, end = rows[0][0], rows[-1][0] + 1
    batch = usage_batch(records, buyers, deployments, RULINGS, first=first, end=end, spool="gateway-1")
    with open_lake(home) as lake:
        at_first = start_of_day_ns(date(2026, 6, 1))
        assert lake.seal(batch, at_first if rows is USED else time.time_ns())


def settle(home: Home, *periods: str, accepted: Sequence[str] = ACCEPTED) -> None:
    for period in periods:
        settle_month(home, open_agreement(), PriceTable(shipped_books(), KNOWN), period, accepted, {})


def sealed(folder: Path, rows: Sequence[Row] = USED) -> Home:
    """A home with this usage, of which nothing is settled, in a folder as `make` takes it: a copy too."""
    copytree(_sealed_once(tuple(rows)), folder, dirs_exist_ok=True)
    return Home(folder)


@cache
def _sealed_once(rows: tuple[Row, ...]) -> Path:
    home = _begun()
    seal(home, rows)
    return home.root


def make(folder: Path, buyers: Mapping[int, Buyer] = BUYERS) -> Home:
    """The whole of it, in a folder that does not exist yet or is empty: a copy of one that a process settles once."""
    copytree(_settled_once(tuple(buyers.items())), folder, dirs_exist_ok=True)
    return Home(folder)


@cache
def _settled_once(buyers: tuple[tuple[int, Buyer], ...]) -> Path:
    home = _begun()
    seal(home, buyers=dict(buyers))
    settle(home, "2026-04", "2026-05")
    return home.root


def _begun() -> Home:
    home = Home(Path(mkdtemp(prefix="clauseway-settled-"))).make()
    _MADE.append(home.root)
    return home


def stop() -> None:
    """Remove the homes that others are copies of."""
    while _MADE:
        rmtree(_MADE.pop())
