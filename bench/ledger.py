"""Closing a month: from the sums of usage to a posted journal and a statement that is kept, byte by byte.

1,000 tenants sell five products on five clouds each, every fifth day of two months: 25,000 statement lines a month,
each posted in the books of payer and payee, so 100,000 journal lines. The first month is there already. What is timed,
apart and together: settling the second, its entries, posting them (SQLite, forced to disk), and closing; then settling
it once more on late sales of both months, with the corrections that they bring. Reading usage is timed elsewhere.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import msgspec

from bench.results import Effort, Result, result
from clauseway.agreement.language.shares import RevenueShare, ShareBase
from clauseway.catalog import Catalog, Product, ProductClass
from clauseway.ledger import (
    Inputs,
    RevenueLine,
    Settlement,
    accruals,
    changes,
    corrected,
    read_assumptions,
    references,
    settle,
    stated,
    statement_of,
)
from clauseway.ledger.statement import canonical_bytes, digest_of
from clauseway.storage import Control
from clauseway.storage.books.books import Books, Closed
from clauseway.values import Citation, Interval, KnownAt, exact_sum

_GOAL_S = 10.0
_TENANTS = [f"tenant-{number:04}" for number in range(1_000)]
_PRODUCTS = [f"product-{number}" for number in range(5)]
_CLOUDS = [f"cloud-{number}" for number in range(5)]
_JOURNAL_LINES = 100_000
_MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))
_JUNE = Interval(date(2026, 6, 1), date(2026, 7, 1))
_CATALOG = Catalog(
    parties=frozenset({"maker", "host", *_TENANTS}),
    clouds=frozenset(_CLOUDS),
    operators=dict.fromkeys(_CLOUDS, "host"),
    segments=frozenset({"any"}),
    classes={"api": ProductClass(id="api")},
    products={name: Product(id=name, product_class="api") for name in _PRODUCTS},
)
_SHARE = RevenueShare(
    term="A1.share",
    payer="maker",
    payee="host",
    rate="20 %",
    cap="USD 50 million",
    begin=_MAY.begin,
    end=date(2031, 1, 1),
    base=ShareBase(sellers=frozenset(_TENANTS)),
    citation=Citation(
        term="A1.share", amendment="A1", document="A1.md", line=7, source="T", text="A share."
    ),
)


def measure(effort: Effort) -> list[Result]:
    runs = [_run() for _ in range(effort.rounds)]
    parts = {name: [run[name] for run in runs] for name in runs[0]}
    notes = {
        name: f"{sorted(values)[len(values) // 2]:.2f} s"
        for name, values in parts.items()
        if name != "settled to closed"
    }
    name = "closing a month: 1,000 tenants, 100,000 journal lines"
    return [result(name, "s", _GOAL_S, {"ours": parts["settled to closed"]}, notes)]


def _run() -> dict[str, float]:
    revenue = list(_sales(_MAY)) + list(_sales(_JUNE))
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        control = Control.open(Path(folder) / "control.db")
        books = Books(control)
        may = _settled(_MAY, revenue)
        control.settle(may, accruals(may, control.entries(*references(_MAY))), time.time_ns())
        _close(books, may)
        with _timed(seconds, "settled to closed"):
            with _timed(seconds, "settled"):
                june = _settled(_JUNE, revenue)
            with _timed(seconds, "entries"):
                entries = accruals(june, control.entries(*references(_JUNE)))
            with _timed(seconds, "posted"):
                control.settle(june, entries, time.time_ns())
            with _timed(seconds, "closed"):
                _close(books, june)
        assert sum(len(entry.postings) for entry in entries) == _JOURNAL_LINES
        with _timed(seconds, "settled again on late sales, with corrections"):
            late = [
                msgspec.structs.replace(line, requests=1, amount=line.amount / 2)
                for line in revenue[::100]
            ]
            again = _settled(_JUNE, [*revenue, *late])
            closed = books.settlement(may.receipt)
            differences = changes(closed, _settled(_MAY, [*revenue, *late]), stated(closed))
            again = corrected(again, differences, [closed.receipt])
            control.settle(
                again, accruals(again, control.entries(*references(_JUNE))), time.time_ns()
            )
        total = exact_sum(
            -posting.amount
            for entry in control.entries()
            for posting in entry.postings
            if (posting.account.party, posting.account.kind) == ("maker", "payable")
        )
        assert total == again.shares[0].share_after, "the journal is not what is due"
        control.close()
    return seconds


def _sales(period: Interval) -> Iterator[RevenueLine]:
    day = period.begin
    while day < period.end:
        for number, (tenant, sold, cloud) in enumerate(product(_TENANTS, _PRODUCTS, _CLOUDS)):
            amount = Decimal((number * 7919 + day.day * 104729) % 90_000_000 + 1).scaleb(-6)
            yield RevenueLine(
                event_day=day, seller=tenant, cloud=cloud, product=sold, amount=amount, requests=10
            )
        day += timedelta(days=5)


def _settled(period: Interval, revenue: list[RevenueLine]) -> Settlement:
    return settle(
        period=period,
        shares=[_SHARE],
        revenue=revenue,
        catalog=_CATALOG,
        assumptions=read_assumptions((), {}),
        inputs=Inputs(
            agreement="", price_book="", batches=(), known_at=str(KnownAt(len(revenue))), engine=""
        ),
    )


def _close(books: Books, settlement: Settlement) -> None:
    statement = statement_of(settlement)
    closed = Closed(
        period=settlement.period,
        receipt=settlement.receipt,
        digest=digest_of(statement),
        statement=canonical_bytes(statement),
        closed_ns=time.time_ns(),
    )
    books.close(closed)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begin
