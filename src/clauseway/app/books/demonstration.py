"""Homes to try commands in: the sales, price books and bills that the documents use, sealed and
settled as if gateways had metered them."""

import csv
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from clauseway.app.books.basis import basis_of, change_prices
from clauseway.app.books.handing_over import ExportScope, focus_bill, write_focus
from clauseway.app.books.settling import settle_month
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.places import writing
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.focus.bill import bill_columns
from clauseway.files.presence import is_there
from clauseway.metering import Buyer, Deployment, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.values import InvalidInput, KnownAt, Problem

_FOLDER = Path(__file__).parent / "demo"
_SALES, _BOOK, _BILL = "sales.csv", "book.csv", "may.csv"
PERIODS = ("2026-04", "2026-05")
_ASSUMED = ("share-openai-microsoft", "share-microsoft-openai", "cap")
# Requests of a gateway are named by its start and a number: here 7, as the documents show them.
_START = 7
_UNITS = (Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.OUTPUT_TOKENS)
_Label = TypeVar("_Label")
_RULINGS = {1: Ruling("d1", "permitted", ("A1.licence", "A5.any-cloud"), "r1")}


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """A home that documents use: the files that are put beside the caller, and whether May's bill
    is one of them."""

    documents: tuple[str, ...]
    files: tuple[str, ...]
    has_bill: bool = False


DEMOS: Mapping[str, Demo] = {
    "statements": Demo(
        documents=("docs/statements.md", "docs/books.md", "docs/lake.md"), files=("rates.csv",)
    ),
    "what-next": Demo(
        documents=("docs/what-next.md", "docs/basis.md"), files=(_BOOK, "A6.md"), has_bill=True
    ),
}


class Demonstrated(msgspec.Struct, frozen=True, kw_only=True):
    """A home that was filled, and the files that were written beside the caller."""

    demo: str
    home: str
    sales: int
    settled: tuple[str, ...]
    files: tuple[str, ...]
    documents: tuple[str, ...]


def demonstrate(home: Home, name: str, beside: Path) -> Demonstrated:
    """Fill a home with the sales of a demo, settle April and May, and write its files.

    Raise InvalidInput before anything is written: there is no such demo, the home is begun, or a
    file is there already.
    """
    demo = _named(name)
    files = [beside / file for file in (*demo.files, *((_BILL,) if demo.has_bill else ()))]
    _refuse_begun(home, files)
    for file in demo.files:
        with writing(beside / file):
            (beside / file).write_bytes((_FOLDER / name / file).read_bytes())
    home.make()
    if _BOOK in demo.files:
        why = "the prices of this example"
        change_prices(home, why, file=beside / _BOOK, of_this_version=False, alone=False)
    records = _seal(home, _FOLDER / name / _SALES)
    opened, prices = open_agreement(), basis_of(home).prices(KnownAt(time.time_ns()))
    for period in PERIODS:
        settle_month(home, opened, prices, period, _ASSUMED, {})
    if demo.has_bill:
        _write_bill(home, beside / _BILL)
    return Demonstrated(
        demo=name,
        home=str(home.root),
        sales=records,
        settled=PERIODS,
        files=tuple(map(str, files)),
        documents=demo.documents,
    )


def _named(name: str) -> Demo:
    if name not in DEMOS:
        problem, why = f"there is no demo {name!r}", "a demo belongs to the documents that use it"
        remedy = f"Name one of {', '.join(DEMOS)}."
        raise InvalidInput.of(what=problem, why=why, where="--demo", remedy=remedy)
    return DEMOS[name]


def _refuse_begun(home: Home, files: Sequence[Path]) -> None:
    problem, why = "the demo was not made", "what is there is never overwritten"
    remedy = "Name another home with --home, and call it in a folder of its own."
    there = [home.root] * home.is_begun + [file for file in files if is_there(file)]
    if there:
        raise InvalidInput(
            *(Problem(what=problem, why=why, where=str(path), remedy=remedy) for path in there)
        )


def _seal(home: Home, sales: Path) -> int:
    """Seal a table of sales as one batch of a gateway's journal; return how many there are."""
    with sales.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    buyers = _numbered([_buyer(row) for row in rows])
    deployments = _numbered([_deployment(row) for row in rows])
    usage = [
        _record(number, row, buyers[_buyer(row)], deployments[_deployment(row)])
        for number, row in enumerate(rows, 1)
    ]
    batch = UsageBatch(
        spool="gateway-1",
        segment=1,
        # Frames as a gateway would have numbered them: from 1, the end excluded.
        first_frame=1,
        end_frame=len(rows) + 1,
        usage=usage,
        intents=(),
        buyers={number: buyer for buyer, number in buyers.items()},
        deployments={number: deployment for deployment, number in deployments.items()},
        rulings=_RULINGS,
    )
    with open_lake(home) as lake:
        lake.seal(batch, time.time_ns())
    return len(rows)


def _numbered(labels: Sequence[_Label]) -> dict[_Label, int]:
    return {label: number for number, label in enumerate(dict.fromkeys(labels), 1)}


def _buyer(row: Mapping[str, str]) -> Buyer:
    return Buyer(row["organisation"], row["project"], row["key"], row["seller"], row["segment"])


def _deployment(row: Mapping[str, str]) -> Deployment:
    return Deployment(
        deployment=row["deployment"],
        cloud=row["cloud"],
        seller=row["deployment_seller"],
        region=row["region"],
        product=row["product"],
        model=row["model"],
    )


def _record(number: int, row: Mapping[str, str], buyer: int, deployment: int) -> UsageRecord:
    at = int(datetime.fromisoformat(row["at"]).timestamp()) * 1_000_000_000
    return UsageRecord(
        request=RequestId(_START, number),
        attempt=1,
        event_ns=at,
        recorded_ns=at,
        buyer=buyer,
        deployment=deployment,
        ruling=1,
        endpoint=1,
        status=Status.COMPLETE,
        http_status=200,
        streamed=False,
        duration_us=1200,
        first_content_us=300,
        charge_picodollars=0,
        units=tuple((unit, int(row[unit.name.lower()])) for unit in _UNITS),
        upstream_id=f"up-{number}",
    )


def _write_bill(home: Home, path: Path) -> None:
    """Write May's bill as the meter exports it, with its first charge billed twice."""
    prices = basis_of(home).prices(KnownAt(time.time_ns()))
    bill = focus_bill(home, open_agreement(), prices, ExportScope(period=PERIODS[-1], party=""))
    write_focus([*bill, next(iter(bill))], bill_columns(), "csv", path)
