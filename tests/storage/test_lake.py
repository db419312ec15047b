"""Sealing: a batch counts once or not at all. Usage: sums and prices, against pricing one by one and plain SQL."""

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clauseway.ledger import RevenueLine
from clauseway.metering import SERVED, Buyer, Deployment, Intent, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.metering.usage_rules import UNITS_PER_REQUEST_MAX
from clauseway.pricing import PriceTable, Sale, UnknownPrice, parse_book
from clauseway.storage import Control, Overlap
from clauseway.storage.control.engines import Place
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.storage.usage.priced import revenue, sales_in_order
from clauseway.values import DAY_NS, Interval, InvalidInput, KnownAt, day_of, exact_sum, start_of_day_ns
from small_disks import small_disk
from usage_records import usage_batch, usage_record

BOOK = parse_book(
    """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt-5.4,azure,,,input_tokens,2026-03-05,,2026-03-05,2.50,list
gpt-5.4,azure,,,cached_input_tokens,2026-03-05,,2026-03-05,0.25,list
gpt-5.4,azure,,,output_tokens,2026-03-05,,2026-03-05,15.00,list
gpt-5.4,azure,microsoft,,input_tokens,2026-05-02,,2026-03-05,2.40,from 2 May
gpt-5.4,aws,,,input_tokens,2026-04-27,,2026-06-03,2.75,list
gpt-5.4,aws,,us-west-2,input_tokens,2026-04-27,,2026-06-03,2.875001,in-region
gpt-5.4,aws,,,output_tokens,2026-04-27,,2026-06-03,16.50,list
gpt-5.4,aws,,,reasoning_tokens,2026-04-27,,2026-06-03,18.00,list
""",
    "book.csv",
)
PRICES = PriceTable(BOOK, KnownAt.everything())
BUYERS = {
    1: Buyer("Contoso", "search", "key_1", "openai", "any"),
    2: Buyer("Fabrikam", "chat", "key_2", "microsoft", "enterprise"),
}
DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "", "eastus2", "gpt-5.4", "gpt-5.4-2026-03-05"),
    2: Deployment("aws-1", "aws", "", "us-east-2", "gpt-5.4", "openai.gpt-5.4"),
    3: Deployment("aws-2", "aws", "", "us-west-2", "gpt-5.4", "openai.gpt-5.4"),
}
RULINGS = {1: Ruling("d1", "permitted", ("A5.any-cloud", "A5.licence"), "r1")}
IN, CACHED, OUT, REASONING = Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.OUTPUT_TOKENS, Unit.REASONING_TOKENS
DAYS = Interval(date(2026, 4, 27), date(2026, 5, 4))


def used(
    number: int,
    day: str,
    units: Mapping[Unit, int],
    *,
    buyer: int = 1,
    deployment: int = 1,
    status: Status = Status.COMPLETE,
    attempt: int = 1,
    at_ns: int = 0,
) -> UsageRecord:
    event_ns = start_of_day_ns(date.fromisoformat(f"2026-{day}")) + at_ns
    return usage_record(number, event_ns, units, attempt=attempt, buyer=buyer, deployment=deployment, status=status)


def batch(
    first: int, end: int, usage: Sequence[UsageRecord], intents: Sequence[Intent] = (), spool: str = "s"
) -> UsageBatch:
    return usage_batch(usage, BUYERS, DEPLOYMENTS, RULINGS, first=first, end=end, spool=spool, intents=intents)


@pytest.fixture
def lake(tmp_path: Path, place: Place) -> Iterator[Lake]:
    control = Control.open(place)
    yield Lake(tmp_path / "lake", control)
    control.close()


def totals(lines: Sequence[RevenueLine]) -> dict[tuple[str, str, str, str], str]:
    return {(str(line.event_day), line.seller, line.cloud, line.product): f"{line.amount:f}" for line in lines}


USAGE = [
    used(1, "04-27", {IN: 1000, CACHED: 400, OUT: 500}),
    used(2, "04-27", {IN: 10, OUT: 0}),
    used(3, "04-27", {IN: 1000, OUT: 500, REASONING: 200}, deployment=2),
    used(4, "04-27", {IN: 1000}, deployment=3),
    used(5, "05-01", {IN: 1000}, buyer=2),
    used(6, "05-02", {IN: 1000}, buyer=2, status=Status.INTERRUPTED),
    used(7, "05-02", {IN: 1000}, status=Status.ESTIMATED),
    used(8, "05-02", {IN: 9999}, status=Status.FAILED),
    used(8, "05-02", {IN: 1}, attempt=2),
    used(9, "05-02", {}, status=Status.LOST),
]
# USD per million tokens × tokens, in millionths of a dollar
REVENUE = {
    # 600 × 2.50 + 400 × 0.25 + 500 × 15.00 + 10 × 2.50 = 1,500 + 100 + 7,500 + 25
    ("2026-04-27", "openai", "azure", "gpt-5.4"): "0.009125000000",
    # us-east-2: 1,000 × 2.75 + 300 × 16.50 + 200 × 18.00 = 2,750 + 4,950 + 3,600; us-west-2: 1,000 × 2.875001
    ("2026-04-27", "openai", "aws", "gpt-5.4"): "0.014175001000",
    ("2026-05-01", "microsoft", "azure", "gpt-5.4"): "0.002500000000",  # 1,000 × 2.50
    ("2026-05-02", "microsoft", "azure", "gpt-5.4"): "0.002400000000",  # 1,000 × 2.40, from 2 May
    ("2026-05-02", "openai", "azure", "gpt-5.4"): "0.002502500000",  # 1,001 × 2.50; failed and lost cost nothing
}


def test_revenue_is_the_hand_calculation(lake: Lake) -> None:
    lake.seal(batch(0, 3, USAGE[:4]), 1)
    lake.seal(batch(3, 9, USAGE[4:]), 2)
    lines = revenue(lake, PRICES, DAYS)
    assert totals(lines) == REVENUE
    (line,) = (line for line in lines if line.cloud == "aws")
    assert line.requests == 2
    assert totals(revenue(lake, PRICES, Interval(date(2026, 5, 2), date(2026, 5, 3)))) == {
        key: amount for key, amount in REVENUE.items() if key[0] == "2026-05-02"
    }


def test_an_empty_lake_has_no_revenue(lake: Lake) -> None:
    assert revenue(lake, PRICES, DAYS) == []
    assert sales_in_order(lake, PRICES, date(2026, 5, 1)) == []


def test_the_same_batch_sealed_twice_counts_once(lake: Lake) -> None:
    assert lake.seal(batch(0, 9, USAGE), 1)
    assert not lake.seal(batch(0, 9, USAGE), 2)
    assert totals(revenue(lake, PRICES, DAYS)) == REVENUE
    with pytest.raises(Overlap):
        lake.seal(batch(8, 10, USAGE[:1]), 3)


def test_an_attempt_recorded_twice_counts_once_and_as_what_is_known_best(lake: Lake) -> None:
    lost = used(1, "04-27", {}, status=Status.LOST)
    guess = used(2, "04-27", {IN: 999_999}, status=Status.ESTIMATED)
    lake.seal(batch(0, 1, [lost, guess], spool="recovered"), 1)
    lake.seal(batch(0, 9, USAGE), 2)
    lake.seal(batch(0, 9, USAGE, spool="copied"), 3)
    assert totals(revenue(lake, PRICES, DAYS)) == REVENUE


def test_a_database_removes_no_file_of_a_lake_that_is_not_its_own(lake: Lake, tmp_path: Path) -> None:
    """A wrong address of the database: an empty one, and one of another home with usage of its own."""
    lake.seal(batch(0, 4, USAGE[:4]), 1)
    files = lake.files()
    with closing(Control.open(tmp_path / "other.db")) as other:
        wrong = Lake(lake.root, other)
        with pytest.raises(InvalidInput, match="not of this database"):
            wrong.sweep()
        assert lake.sweep().removed == ()
        assert wrong.seal(batch(4, 9, USAGE[4:]), 2)
        with pytest.raises(InvalidInput, match="names another one"):
            wrong.sweep()
    assert all(file.exists() for file in files)


@pytest.mark.parametrize("is_there", [True, False], ids=["an empty mount point", "no folder"])
def test_nothing_is_sealed_in_place_of_a_lake_that_is_gone(lake: Lake, is_there: bool) -> None:
    """Its files would be where nobody finds them, once the mount is back."""
    lake.seal(batch(0, 4, USAGE[:4]), 1)
    aside = lake.root.rename(lake.root.with_name("aside"))
    if is_there:
        lake.root.mkdir()
    with pytest.raises(InvalidInput, match=r"not in its place.*make the folder .*/usage"):
        Lake(lake.root, lake.control).seal(batch(4, 5, USAGE[4:]), 2)
    assert [batch.end_frame for batch in lake.control.batches()] == [4]
    assert not list(lake.root.iterdir())
    lake.root.rmdir()
    aside.rename(lake.root)
    assert lake.seal(batch(4, 5, USAGE[4:]), 2)


def test_who_says_that_a_lakes_files_are_lost_goes_on_without_them(lake: Lake) -> None:
    lake.seal(batch(0, 4, USAGE[:4]), 1)
    shutil.rmtree(lake.root)
    (lake.root / "usage").mkdir(parents=True)
    assert lake.seal(batch(4, 5, USAGE[4:]), 2)


def test_a_mount_that_comes_or_ends_while_a_batch_is_sealed_keeps_it_from_the_commit(lake: Lake) -> None:
    lake.root.rmdir()
    with small_disk(lake.root, 1 << 20):
        with pytest.raises(InvalidInput, match="on another disk than a moment ago"):
            lake.seal(batch(0, 4, USAGE[:4]), 1)
        assert not lake.control.batches()
    assert lake.seal(batch(0, 4, USAGE[:4]), 1)


def test_a_crash_before_the_commit_leaves_a_file_that_nobody_reads(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.seal(batch(0, 4, USAGE[:4]), 1)
    before = totals(revenue(lake, PRICES, DAYS))

    def crash(*_: object) -> bool:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(lake.control, "commit_batch", crash)
        with pytest.raises(SystemExit):
            lake.seal(batch(4, 9, USAGE[4:]), 2)
    assert totals(revenue(lake, PRICES, DAYS)) == before
    orphans = [lake.root / name for name in lake.sweep().removed]
    assert [orphan.parent.name for orphan in orphans] == ["2026-05-01", "2026-05-02"]
    assert not any(orphan.exists() for orphan in orphans)
    assert lake.seal(batch(4, 9, USAGE[4:]), 3)
    assert lake.sweep().removed == ()
    assert totals(revenue(lake, PRICES, DAYS)) == REVENUE


def test_the_name_of_a_days_folder_is_forced_whoever_made_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was killed may have made the folder, and never forced its name."""
    (lake.root / "usage/2026-04-27").mkdir(parents=True)
    forced: list[Path] = []

    def force(descriptor: int) -> None:
        forced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    with monkeypatch.context() as watched:
        watched.setattr(os, "fsync", force)
        lake.seal(batch(0, 4, USAGE[:4]), 1)
    assert {lake.root / "usage/2026-04-27", lake.root / "usage", lake.root} <= set(forced)
    with monkeypatch.context() as watched:
        watched.setattr(os, "fsync", force)
        lake.store.put("index/one.json", b"{}")
        forced.clear()
        assert not lake.store.put("index/one.json", b"{}")
    assert set(forced) == {lake.root / "index", lake.root}


def test_intents_are_sealed_too(lake: Lake) -> None:
    intent = Intent(RequestId(7, 1), 1, start_of_day_ns(date(2026, 4, 27)), 5, 1, 2, 1, 1, 2048, 512, 77)
    assert lake.seal(batch(0, 1, [], [intent]), 1)
    (sealed,) = lake.control.batches()
    assert (sealed.usage_rows, sealed.intent_rows, sealed.first_day, lake.files()) == (0, 1, None, [])
    (row,) = pq.read_table(lake.files(kind="intents")[0]).to_pylist()
    assert (row["request_id"], row["cloud"], row["body_bytes"], row["terms"]) == (
        str(RequestId(7, 1)),
        "aws",
        2048,
        ["A5.any-cloud", "A5.licence"],
    )
    assert revenue(lake, PRICES, DAYS) == []


def test_what_was_not_reported_is_null_and_zero_is_zero(lake: Lake) -> None:
    lake.seal(batch(0, 1, [used(1, "04-27", {IN: 5, OUT: 0})]), 1)
    (row,) = pq.read_table(lake.files()[0]).to_pylist()
    assert (row["input_tokens"], row["output_tokens"], row["cached_input_tokens"]) == (5, 0, None)
    assert (row["event_day"], row["organisation"], row["seller"]) == (date(2026, 4, 27), "Contoso", "openai")


def test_usage_without_a_price_is_an_error(lake: Lake) -> None:
    lake.seal(batch(0, 1, [*USAGE, used(20, "04-26", {IN: 1, OUT: 0}, deployment=2)]), 1)
    with pytest.raises(UnknownPrice) as refused:
        revenue(lake, PRICES, Interval(date(2026, 4, 1), date(2026, 5, 1)))
    assert refused.value.missing == ((Sale("gpt-5.4", "aws", "openai", "us-east-2"), IN, date(2026, 4, 26)),)
    with pytest.raises(UnknownPrice):
        revenue(lake, PriceTable(BOOK, KnownAt.end_of(date(2026, 6, 2))), DAYS)


def test_sales_in_order_of_event_time_then_record(lake: Lake) -> None:
    late, early = used(1, "05-01", {IN: 4}, at_ns=9), used(3, "05-01", {IN: 1}, at_ns=3)
    same = used(2, "05-01", {IN: 2}, at_ns=3)
    lake.seal(batch(0, 1, [late, early, same]), 1)
    sales = sorted(sales_in_order(lake, PRICES, date(2026, 5, 1)))
    assert [(sale.event_ns % DAY_NS, sale.request_id[-1], f"{sale.amount:f}") for sale in sales] == [
        (3, "2", "0.000005000000"),
        (3, "3", "0.000002500000"),
        (9, "1", "0.000010000000"),
    ]


COUNTS = st.integers(0, UNITS_PER_REQUEST_MAX)
REPORTS = st.tuples(COUNTS, COUNTS, st.integers(0, 100), st.integers(0, 100), st.booleans()).map(
    lambda t: {IN: t[0], OUT: t[1]} | ({CACHED: t[0] * t[2] // 100, REASONING: t[1] * t[3] // 100} if t[4] else {})
)
SALES = st.tuples(
    st.sampled_from([date(2026, 4, 27), date(2026, 5, 1), date(2026, 5, 2)]),
    REPORTS,
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(list(Status)),
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SALES, min_size=1, max_size=20), st.integers(1, 7))
def test_the_join_agrees_with_pricing_one_by_one_and_with_plain_sql(
    sales: list[tuple[date, dict[Unit, int], int, int, Status]], size: int
) -> None:
    records = [
        used(number, f"{day:%m-%d}", report, buyer=buyer, deployment=deployment, status=status)
        for number, (day, report, buyer, deployment, status) in enumerate(sales)
    ]
    with TemporaryDirectory() as folder:
        control = Control.open(Path(folder) / "control.db")
        lake = Lake(Path(folder) / "lake", control)
        for first in range(0, len(records), size):
            lake.seal(batch(first, first + size, records[first : first + size]), 1)
        joined = {key: Decimal(amount) for key, amount in totals(revenue(lake, PRICES, DAYS)).items()}
        in_order = [sale for day in sorted({day for day, *_ in sales}) for sale in sales_in_order(lake, PRICES, day)]
        files = lake.files()
        control.close()
        assert joined == one_by_one(records) == plain_sql(files)
    assert exact_sum(sale.amount for sale in in_order) == exact_sum(joined.values())


def one_by_one(records: Sequence[UsageRecord]) -> dict[tuple[str, str, str, str], Decimal]:
    charges = []
    for record in records:
        if record.status in SERVED:
            at, seller, day = DEPLOYMENTS[record.deployment], BUYERS[record.buyer].seller, day_of(record.event_ns)
            charge = PRICES.charge(Sale(at.product, at.cloud, seller, at.region), day, dict(record.units))
            charges.append(((str(day), seller, at.cloud, at.product), charge.amount))
    charges.sort()
    grouped = itertools.groupby(charges, key=lambda item: item[0])
    return {key: exact_sum(amount for _, amount in group) for key, group in grouped}


def plain_sql(files: Sequence[Path]) -> dict[tuple[str, str, str, str], Decimal]:
    """The same prices, written out again by hand, in picodollars."""
    rows = (
        duckdb.connect()
        .execute(
            f"""
        SELECT event_day::VARCHAR, seller, cloud, product, sum(CASE
            WHEN cloud = 'azure' THEN
                (input_tokens - coalesce(cached_input_tokens, 0))::HUGEINT
                    * CASE WHEN seller = 'microsoft' AND event_day >= DATE '2026-05-02' THEN 2400000 ELSE 2500000 END
                + coalesce(cached_input_tokens, 0)::HUGEINT * 250000
                + output_tokens::HUGEINT * 15000000
            ELSE
                input_tokens::HUGEINT * CASE WHEN region = 'us-west-2' THEN 2875001 ELSE 2750000 END
                + (output_tokens - coalesce(reasoning_tokens, 0))::HUGEINT * 16500000
                + coalesce(reasoning_tokens, 0)::HUGEINT * 18000000
            END)::VARCHAR
        FROM read_parquet({[str(file) for file in files]}) WHERE status IN (1, 2, 3, 7) GROUP BY ALL
        """
        )
        .fetchall()
    )
    return {(day, seller, cloud, product): Decimal(pico).scaleb(-12) for day, seller, cloud, product, pico in rows}
