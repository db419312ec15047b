"""Usage priced by everything a price may depend on: the join, one by one and plain SQL agree; duplicates count once."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from clauseway.ledger import RevenueLine
from clauseway.ledger.exchange_rates import read_rates
from clauseway.metering import SERVED, Buyer, Deployment, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.metering.endpoints import ENDPOINTS
from clauseway.pricing import PriceTable, Sale, UnknownPrice, parse_book
from clauseway.storage import Control
from clauseway.storage.control import schema
from clauseway.storage.control.engines import Place
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.priced import revenue, sales_in_order
from clauseway.values import Interval, InvalidInput, KnownAt, day_of, exact_sum, start_of_day_ns
from usage_records import usage_batch, usage_record

IN, CACHED, OUT = Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.OUTPUT_TOKENS
WRITE, WRITE_1H = Unit.CACHE_WRITE_TOKENS, Unit.CACHE_WRITE_1H_TOKENS
HOUR_NS = 3_600_000_000_000
# Conditions of every kind. 2026-05-04 is a Monday.
BOOK = parse_book(
    """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source,buyer,tier,endpoint,above,hours,discount_percent
gpt,,,,input_tokens,2026-05-01,,2026-05-01,4.00,list,,,,,,
gpt,,,,cached_input_tokens,2026-05-01,,2026-05-01,0.40,list,,,,,,
gpt,,,,output_tokens,2026-05-01,,2026-05-01,20.00,list,,,,,,
gpt,,,,input_tokens,2026-05-01,,2026-05-01,8.00,long,,,,272000,,
gpt,,,,input_tokens,2026-05-01,,2026-05-01,2.00,batch,,batch,,,,
gpt,,,,input_tokens,2026-05-01,,2026-05-01,2.50,flex,,flex,,,,
gpt,,,,input_tokens,2026-05-01,,2026-05-01,5.00,flex and long,,flex,,272000,,
gpt,,,,cache_write_1h_tokens,2026-05-01,,2026-05-01,8.00,kept for an hour,,,,,,
gpt,aws,,,cache_write_tokens,2026-05-01,,2026-05-01,5.00,kept,,,,,,
gpt,aws,,,web_searches,2026-05-01,,2026-05-01,10000.00,searches,,,,,,
gpt,aws,openai,,output_tokens,2026-05-01,,2026-05-01,18.00,weekdays by day,,,,,mon-fri 08-18,
gpt,aws,openai,us-east-2,output_tokens,2026-05-02,,2026-05-01,17.00,embeddings,,,embeddings,,,
gpt,azure,openai,,input_tokens,2026-05-02,,2026-05-01,3.20,agreed,Contoso,,,,,
gpt,azure,,,,2026-05-03,2026-05-05,2026-05-01,,spring,,,,,,12.5
gpt,azure,,,output_tokens,2026-05-03,2026-05-05,2026-05-01,,answers,,,,,,33.333333
""",
    "book.csv",
)
# A book behind it: what it says of gpt counts nowhere, because the first book is whole for what it prices.
BEHIND = parse_book(
    """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt,,,,input_tokens,2026-05-01,,2026-05-01,77.00,behind
gpt,,,,reasoning_tokens,2026-05-01,,2026-05-01,99.00,behind
gpt,,,,audio_input_tokens,2026-05-01,,2026-05-01,99.00,behind
gpt,,,,requests,2026-05-01,,2026-05-01,1000000.00,behind
""",
    "behind.csv",
)
PRICES = PriceTable((BOOK, BEHIND), KnownAt.everything())
BUYERS = {
    1: Buyer("Contoso", "search", "key_1", "openai", "any"),
    2: Buyer("Fabrikam", "chat", "key_2", "openai", "any"),
    3: Buyer("Acme", "chat", "key_3", "microsoft", "any"),
}
DEPLOYMENTS = {
    1: Deployment("azure-1", "azure", "", "eastus2", "gpt", "gpt-1"),
    2: Deployment("aws-1", "aws", "", "us-east-2", "gpt", "openai.gpt"),
    3: Deployment("aws-2", "aws", "", "us-west-2", "gpt", "openai.gpt"),
}
RULINGS = {1: Ruling("d1", "permitted", ("A5.any-cloud",), "r1")}
DAYS = Interval(date(2026, 5, 1), date(2026, 5, 8))
NAMES = {code: name for name, code in ENDPOINTS.items()}


def used(
    number: int,
    day: int,
    units: Mapping[Unit, int],
    buyer: int = 1,
    at: int = 1,
    hour: int = 0,
    ns: int = 5,
    endpoint: str = "chat",
    status: Status = Status.COMPLETE,
    tier: str = "",
) -> UsageRecord:
    event_ns = start_of_day_ns(date(2026, 5, day)) + hour * HOUR_NS + ns
    named = {"buyer": buyer, "deployment": at, "endpoint": ENDPOINTS[endpoint]}
    return usage_record(number, event_ns, units, **named, status=status, tier=tier)


def sealed(lake: Lake, usage: Sequence[UsageRecord], first: int = 0, spool: str = "s") -> None:
    assert lake.seal(usage_batch(usage, BUYERS, DEPLOYMENTS, RULINGS, first=first, spool=spool), 1)


@pytest.fixture
def lake(tmp_path: Path, place: Place) -> Lake:
    return Lake(tmp_path / "lake", Control.open(place))


Line = tuple[str, str, str]


def totals(lines: Sequence[RevenueLine]) -> dict[Line, Decimal]:
    return {(str(line.event_day), line.seller, line.cloud): line.amount for line in lines}


# Usage, and its charge, in millionths of a dollar.
PRICED = [
    # 1,000 × 4.00 + 10 × 20.00
    (used(1, 1, {IN: 1000, OUT: 10}), "0.0042"),
    # above 272,000 input tokens every one costs 8.00: 272,001 × 8.00; at 272,000 it is 4.00
    (used(2, 1, {IN: 272_001}), "2.176008"),
    (used(3, 1, {IN: 272_000}), "1.088"),
    # a batch has no length: 900,000 × 2.00
    (used(4, 1, {IN: 900_000}, endpoint="batches.create"), "1.8"),
    # one request in the tier of batches has a length, and 2.00 is the price of any: 300,000 × 2.00
    (used(20, 1, {IN: 300_000}, tier="batch"), "0.6"),
    # two requests in one record: how long each was is not known, so 300,000 × 4.00
    (used(21, 1, {IN: 300_000, Unit.REQUESTS: 2}), "1.2"),
    # its book has no price of thinking, so that is output: 10 × 20.00, whatever the book behind it says
    (used(22, 1, {IN: 0, OUT: 10, Unit.REASONING_TOKENS: 8}), "0.0002"),
    # of 600 written to the cache 400 are for an hour: 600 × 4.00 + 400 × 8.00; aws has a price for the others too:
    # 400 × 4.00 + 200 × 5.00 + 400 × 8.00
    (used(23, 1, {IN: 1000, WRITE: 600, WRITE_1H: 400}), "0.0056"),
    (used(24, 1, {IN: 1000, WRITE: 600, WRITE_1H: 400}, at=3), "0.0058"),
    # what three searches brought in is input too: 1,000 × 4.00 + 3 × 10,000.00
    (used(25, 1, {IN: 1000, Unit.WEB_SEARCHES: 3}, at=3), "0.034"),
    # flex, as the cloud told it: 1,000 × 2.50; and what it told of a batch's endpoint goes before that
    (used(16, 1, {IN: 1000}, tier="flex"), "0.0025"),
    (used(17, 1, {IN: 300_000}, tier="flex"), "1.5"),
    (used(18, 1, {IN: 1000}, endpoint="batches.create", tier="default"), "0.004"),
    (used(19, 1, {IN: 1000}, tier="priority"), "0.004"),
    # aws, Monday: 10 × 18.00 from 8 to 18 o'clock, else 10 × 20.00; 1 May was a Friday, 2 May a Saturday
    (used(5, 4, {IN: 0, OUT: 10}, at=3, hour=8), "0.00018"),
    (used(6, 4, {IN: 0, OUT: 10}, at=3, hour=7), "0.0002"),
    (used(7, 4, {IN: 0, OUT: 10}, at=3, hour=18), "0.0002"),
    # an hour ends with its last nanosecond, which a floating-point number rounds up
    (used(26, 4, {IN: 0, OUT: 10}, at=3, hour=7, ns=HOUR_NS - 1), "0.0002"),
    (used(27, 4, {IN: 0, OUT: 10}, at=3, hour=17, ns=HOUR_NS - 1), "0.00018"),
    (used(8, 2, {IN: 0, OUT: 10}, at=3, hour=12), "0.0002"),
    (used(9, 4, {IN: 0, OUT: 10}, buyer=3, at=3, hour=12), "0.0002"),
    # embeddings in us-east-2 name more than the weekdays: 10 × 17.00
    (used(10, 4, {IN: 0, OUT: 10}, at=2, hour=12, endpoint="embeddings"), "0.00017"),
    # negotiated from 2 May: 1,000 × 3.20; Fabrikam pays 1,000 × 4.00
    (used(11, 2, {IN: 1000}), "0.0032"),
    (used(12, 2, {IN: 1000}, buyer=2), "0.004"),
    # 12.5 % off 4.00 and 0.40: 600 × 3.50 + 400 × 0.35, and a third off 20.00 as whole picodollars: 3 × 13.333333
    (used(13, 3, {IN: 1000, CACHED: 400, OUT: 3}, buyer=2), "0.002279999999"),
    # what was negotiated is not discounted, its cached part is: 600 × 3.20 + 400 × 0.35
    (used(14, 3, {IN: 1000, CACHED: 400}), "0.00206"),
    (used(15, 3, {IN: 1000}, status=Status.FAILED), "0"),
]


def test_what_each_request_costs(lake: Lake) -> None:
    sealed(lake, [record for record, _ in PRICED])
    days = sorted({day_of(record.event_ns) for record, _ in PRICED})
    sales = [sale for day in days for sale in sales_in_order(lake, PRICES, day)]
    assert {sale.request_id: sale.amount for sale in sales} == {
        str(record.request): Decimal(usd) for record, usd in PRICED if record.status in SERVED
    }


def test_all_of_it_at_once_by_day_seller_and_cloud(lake: Lake) -> None:
    sealed(lake, [record for record, _ in PRICED])
    wanted: dict[Line, list[Decimal]] = {}
    for record, usd in PRICED:
        if record.status in SERVED:
            cloud, seller = DEPLOYMENTS[record.deployment].cloud, BUYERS[record.buyer].seller
            wanted.setdefault((str(day_of(record.event_ns)), seller, cloud), []).append(Decimal(usd))
    assert totals(revenue(lake, PRICES, DAYS)) == {line: exact_sum(usd) for line, usd in wanted.items()}


def test_sealing_says_which_files_hold_no_attempt_again(lake: Lake) -> None:
    sealed(lake, [used(1, 1, {IN: 1}), used(2, 2, {IN: 1})])
    sealed(lake, [used(3, 1, {IN: 1}), used(4, 3, {IN: 1})], first=2)
    # Request 3 once more, from a spool that was copied; the fifth of May has one request twice.
    sealed(lake, [used(3, 1, {IN: 1}), used(5, 4, {IN: 1})], spool="copied")
    sealed(lake, [used(6, 5, {IN: 1}), used(6, 5, {IN: 1})], first=4)
    files = [(file.first_day.day, file.apart) for file in files_of(lake.control, USAGE)]
    assert files == [(1, True), (2, True), (1, True), (3, True), (1, False), (4, True), (5, False)]
    # six requests of a token each, and no more: 2 × 4.00 on the first of May, 4 × 3.20 later
    assert exact_sum(totals(revenue(lake, PRICES, DAYS)).values()) == Decimal("0.0000208")
    assert sum(line.requests for line in revenue(lake, PRICES, DAYS)) == 6


def test_without_the_look_for_duplicates_they_would_count(lake: Lake) -> None:
    """The negative control: were the copied file held to be apart, its request would count twice."""
    sealed(lake, [used(1, 1, {IN: 100_000})])
    sealed(lake, [used(1, 1, {IN: 100_000})], spool="copied")
    assert exact_sum(totals(revenue(lake, PRICES, DAYS)).values()) == Decimal("0.4")
    with lake.control.writing() as connection:
        connection.execute(update(schema.lake_files).values(apart=True))
    assert exact_sum(totals(revenue(lake, PRICES, DAYS)).values()) == Decimal("0.8")


def test_files_that_nobody_looked_through_count_the_same(lake: Lake) -> None:
    sealed(lake, [record for record, _ in PRICED])
    before = revenue(lake, PRICES, DAYS)
    with lake.control.writing() as connection:
        connection.execute(update(schema.lake_files).values(apart=False, places=""))
    assert revenue(lake, PRICES, DAYS) == before


def test_everything_without_a_price_is_named(lake: Lake) -> None:
    flex = parse_book(BOOK_OF_AWS, "aws.csv")
    sealed(lake, [used(1, 1, {IN: 5, OUT: 5}), used(2, 1, {IN: 5, OUT: 0}, at=2), used(3, 2, {IN: 0, OUT: 1}, at=2)])
    with pytest.raises(UnknownPrice) as refused:
        revenue(lake, PriceTable(flex, KnownAt.everything()), DAYS)
    assert [(sale.cloud, unit, day.day) for sale, unit, day in refused.value.missing] == [
        ("aws", OUT, 2),
        ("azure", IN, 1),
        ("azure", OUT, 1),
    ]
    with pytest.raises(UnknownPrice):
        sales_in_order(lake, PriceTable(flex, KnownAt.everything()), date(2026, 5, 2))


def test_a_search_without_a_price_is_not_free(lake: Lake) -> None:
    sealed(lake, [used(1, 1, {IN: 5, OUT: 5, Unit.WEB_SEARCHES: 1}), used(2, 1, {IN: 5, OUT: 5})])
    with pytest.raises(UnknownPrice) as refused:
        revenue(lake, PRICES, DAYS)
    assert [(sale.cloud, unit, day.day) for sale, unit, day in refused.value.missing] == [
        ("azure", Unit.WEB_SEARCHES, 1)
    ]


def test_what_is_in_no_base_needs_no_price(lake: Lake) -> None:
    prices = PriceTable(parse_book(BOOK_OF_AWS, "aws.csv"), KnownAt.everything())
    sealed(lake, [used(1, 1, {IN: 5, OUT: 5}), used(2, 2, {IN: 1_000_000, OUT: 0}, at=2)])
    lines = revenue(lake, prices, DAYS, in_no_base={"gpt"})
    assert [(line.cloud, line.amount, line.requests) for line in lines] == [
        ("azure", Decimal(0), 1),
        ("aws", Decimal(4), 1),
    ]
    assert [sale.amount for sale in sales_in_order(lake, prices, date(2026, 5, 1), {"gpt"})] == [0]
    assert len(revenue(lake, prices, DAYS, product="another")) == 2
    with pytest.raises(UnknownPrice):
        revenue(lake, prices, DAYS, in_no_base={"another"})
    with pytest.raises(UnknownPrice):
        revenue(lake, prices, DAYS, product="gpt")


def test_records_of_unknown_length_are_counted_where_it_matters(lake: Lake) -> None:
    long, short = {IN: 300_000, Unit.REQUESTS: 2}, {IN: 272_000, Unit.REQUESTS: 2}
    sealed(lake, [used(1, 1, long), used(2, 1, short), used(3, 1, {IN: 300_000}), used(4, 2, long, at=2)])
    assert [line.unsized for line in revenue(lake, PRICES, DAYS)] == [1, 1]


BOOK_OF_AWS = """product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source
gpt,aws,,,input_tokens,2026-05-01,,2026-05-01,4.00,list
"""

COUNTS = st.sampled_from([0, 1, 271_999, 272_000, 272_001, 9_999_999])
RECORDS = st.builds(
    used,
    st.just(0),
    st.integers(1, 7),
    st.tuples(COUNTS, st.integers(0, 100), COUNTS, st.booleans()).map(
        lambda t: {IN: t[0], OUT: t[2]} | ({CACHED: t[0] * t[1] // 100} if t[3] else {})
    ),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 2, 3]),
    st.integers(0, 23),
    st.sampled_from([0, HOUR_NS - 1]),
    st.sampled_from(["chat", "embeddings", "batches.create", "responses"]),
    st.sampled_from(list(Status)),
    st.sampled_from(["", "default", "flex", "batch"]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RECORDS, min_size=1, max_size=25), st.integers(1, 4), st.booleans())
def test_join_one_by_one_and_plain_sql_agree(drawn: list[UsageRecord], batches: int, copied: bool) -> None:
    """To the last digit, in any number of batches, with all of it there once more or not."""
    records = [
        msgspec.structs.replace(record, request=RequestId(7, number), recorded_ns=number)
        for number, record in enumerate(drawn)
    ]
    with TemporaryDirectory() as folder:
        control = Control.open(Path(folder) / "control.db")
        lake = Lake(Path(folder) / "lake", control)
        size = -(-len(records) // batches)
        for first in range(0, len(records), size):
            sealed(lake, records[first : first + size], first)
        files = lake.files()
        if copied:
            sealed(lake, records, spool="copied")
        joined = totals(revenue(lake, PRICES, DAYS))
        control.close()
        assert joined == one_by_one(records) == plain_sql(files)


def one_by_one(records: Sequence[UsageRecord]) -> dict[Line, Decimal]:
    charges = []
    for record in records:
        if record.status in SERVED:
            at, buyer, day = DEPLOYMENTS[record.deployment], BUYERS[record.buyer], day_of(record.event_ns)
            name = NAMES[record.endpoint]
            hour = day.weekday() * 24 + record.event_ns // HOUR_NS % 24
            tier = record.tier or ("batch" if name == "batches.create" else "default")
            sale = Sale(at.product, at.cloud, buyer.seller, at.region, buyer.organisation, tier, name, 0, hour)
            charge = PRICES.charge(sale, day, dict(record.units))
            charges.append(((str(day), buyer.seller, at.cloud), charge.amount))
    charges.sort()
    grouped = itertools.groupby(charges, key=lambda item: item[0])
    return {line: exact_sum(amount for _, amount in group) for line, group in grouped}


def plain_sql(files: Sequence[Path]) -> dict[Line, Decimal]:
    """The same prices, written out again by hand, in picodollars."""
    query = """
        WITH told AS (
            SELECT *, tier = 'batch' OR endpoint = 20 AND tier = '' AS batch,
                input_tokens > 272000 AND endpoint <> 20 AS long, event_ns // 3600000000000 % 24 BETWEEN 8 AND 17
                AND dayofweek(event_day) BETWEEN 1 AND 5 AS by_day,
                cloud = 'azure' AND event_day >= DATE '2026-05-03' AND event_day < DATE '2026-05-05' AS spring
            FROM read_parquet($files) WHERE status IN (1, 2, 3, 7)),
        priced AS (SELECT *,
            CASE WHEN cloud = 'azure' AND seller = 'openai' AND organisation = 'Contoso'
                    AND event_day >= DATE '2026-05-02' THEN 3200000
                ELSE (CASE WHEN batch THEN 2000000 WHEN tier = 'flex' AND long THEN 5000000
                    WHEN tier = 'flex' THEN 2500000 WHEN long THEN 8000000 ELSE 4000000 END)
                    // 1000 * (CASE WHEN spring THEN 875 ELSE 1000 END) END AS input_price,
            CASE WHEN spring THEN 350000 ELSE 400000 END AS cached_price,
            CASE WHEN region = 'us-east-2' AND seller = 'openai' AND endpoint = 7 AND event_day >= DATE '2026-05-02'
                    THEN 17000000
                WHEN cloud = 'aws' AND seller = 'openai' AND by_day THEN 18000000
                WHEN spring THEN 13333333 ELSE 20000000 END AS output_price FROM told)
        SELECT event_day::VARCHAR, seller, cloud, sum(
            (input_tokens - coalesce(cached_input_tokens, 0))::HUGEINT * input_price
            + coalesce(cached_input_tokens, 0)::HUGEINT * cached_price + output_tokens::HUGEINT * output_price)::VARCHAR
        FROM priced GROUP BY ALL"""
    rows = duckdb.connect().execute(query, {"files": [str(file) for file in files]}).fetchall()
    return {(day, seller, cloud): Decimal(pico).scaleb(-12) for day, seller, cloud, pico in rows}


EUROS = parse_book(
    """product,cloud,seller,region,unit,begin,end,known_at,per_million,source,currency
gpt,azure,,,input_tokens,2026-05-01,,2026-05-01,4.00,list,
gpt,aws,,,input_tokens,2026-05-01,,2026-05-01,3.00,list in euros,EUR
gpt,aws,openai,us-west-2,input_tokens,2026-05-01,,2026-05-01,2.75,list of one region,USD
""",
    "euros.csv",
)
RATES = "day,base,quote,rate\n2026-04-30,EUR,USD,1.1\n2026-05-02,USD,EUR,0.9\n"
# In USD, each day at its rate: 1.1, and from the second of May 1 / 0.9 to twelve places, 1.111111111111.
EXCHANGED = {
    # 7 × 3.00 EUR × 1.1 = 23.1 millionths, and 2 × 2.75 USD
    ("2026-05-01", "openai", "aws"): "0.0000286",
    # 9 × 3.00 EUR × 1.111111111111 = 29.999999999997 millionths
    ("2026-05-02", "openai", "aws"): "0.000029999999999997",
    # 5 × 4.00 USD
    ("2026-05-02", "openai", "azure"): "0.00002",
}


def test_prices_in_another_currency_are_worth_the_rate_of_the_day(lake: Lake) -> None:
    used_up = [
        used(1, 1, {IN: 3}, at=2),
        used(2, 1, {IN: 4}, at=2),
        used(3, 1, {IN: 2}, at=3),
        used(4, 2, {IN: 9}, at=2),
        used(5, 2, {IN: 5}),
    ]
    sealed(lake, used_up)
    table = PriceTable(EUROS, KnownAt.everything(), read_rates(RATES, "rates.csv"))
    lines = totals(revenue(lake, table, DAYS))
    assert lines == {line: Decimal(usd) for line, usd in EXCHANGED.items()}
    for day in (1, 2):
        sales = sales_in_order(lake, table, date(2026, 5, day))
        on_day = [usd for (when, *_), usd in lines.items() if when == f"2026-05-0{day}"]
        assert exact_sum(sale.amount for sale in sales) == exact_sum(on_day)
    without = PriceTable(EUROS, KnownAt.everything())
    with pytest.raises(InvalidInput, match="no rates are held"):
        revenue(lake, without, DAYS)
    late = read_rates("day,base,quote,rate\n2026-05-02,EUR,USD,1.1\n", "rates.csv")
    with pytest.raises(InvalidInput, match="no rate of EUR in USD on 2026-05-01"):
        revenue(lake, PriceTable(EUROS, KnownAt.everything(), late), DAYS)
    # A month settled at other rates has another receipt.
    assert len({table.digest, without.digest}) == 2
