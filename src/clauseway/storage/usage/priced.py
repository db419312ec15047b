"""Usage summed and priced, as one set of Ibis expressions over the sealed files, which DuckDB
or Spark runs.

Each attempt counts once by (request, attempt), however often it was sealed. Sealing has compared
files: a file that is `apart` shares no attempt with the files sealed before it. So on days with
such files only, rows are counted as they stand; on other days the best known record of an attempt
counts. Tokens are summed by tenant and day before prices are joined: the join is between groups and
the price table's rows, on equality of everything a price depends on and the day's interval. Money
is decimal(38, 12) throughout; the same rows price one record in `pricing`, and a law in the tests
says they agree.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import reduce
from operator import add, or_
from typing import Any

import ibis
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _
from ibis.backends import BaseBackend
from ibis.expr.types import BooleanValue, DecimalValue, StringValue, Table, Value

from clauseway.ledger import RevenueLine, SaleRecord
from clauseway.metering import Unit
from clauseway.metering.endpoints import ENDPOINTS, batch_codes, lengthless_codes
from clauseway.metering.units import WHOLES, WHOLES_OF
from clauseway.pricing import (
    BATCH,
    DEFAULT_TIER,
    DIMENSIONS,
    Grain,
    PriceRow,
    PriceTable,
    Sale,
    UnknownPrice,
)
from clauseway.pricing.price_conditions import CONTEXT, HOUR
from clauseway.storage.lake.columns import USAGE_SCHEMA
from clauseway.storage.lake.engine_files import places, sound_for
from clauseway.storage.lake.file_list import LakeFile
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import built, given, held
from clauseway.storage.lake.usage_records import best_known, hour_of, is_served, rows_in
from clauseway.values import (
    EPOCH_HOUR,
    HOURS_OF_WEEK,
    USD,
    Interval,
    day_after,
    exact_product,
    exact_sum,
)

# 18 and 18 digits multiply into 37, the widest that every engine keeps without dropping a decimal.
_COUNT, _PRICE_TYPE, _PRICE = "decimal(18, 0)", "decimal(18, 12)", pa.decimal128(18, 12)
# Stands for a unit without a price where a table of prices is handed to an engine: Ibis gives Spark
# no empty decimals. No price is below zero.
_NO_PRICE = Decimal(-1)
# Rows that are Python objects at a time, besides the returned records.
_CHUNK_ROWS = 20_000


def revenue(
    lake: Lake,
    prices: PriceTable,
    days: Interval,
    *,
    known_only: bool = False,
    in_no_base: Collection[str] = (),
    product: str = "",
) -> list[RevenueLine]:
    """Return the charges for usage with event days in `days`, by day, seller, cloud and product, in
    USD.

    Raise UnknownPrice, unless only usage with a price is wanted (`known_only`), the product is
    `in_no_base` or only another `product` is asked for, and InvalidInput if a price is in a
    currency that has no rate.
    """
    with lake.engine() as con:
        parts = _parts(con, lake, days)
        if not parts:
            return []
        grain = prices.grain(places_of(con, lake, days))
        # Sum part by part, then join the prices to the sums.
        sums = held(con, [built(con, _sums, part, grain) for part in parts])
        charged = _charged(con, sums, prices, grain)
        rows = rows_of(con, built(con, _lines, charged))
        # A product without a price is an error only if some base counts it.
        unpriced = {row["product"] for row in rows if row.pop("unpriced")}
        needless = unpriced - {product} if product else in_no_base
        if not known_only and unpriced.difference(needless):
            raise UnknownPrice(_missing(con, charged, grain, needless))
        return _in_usd(rows, prices)


def sales_in_order(
    lake: Lake, prices: PriceTable, day: date, in_no_base: Collection[str] = ()
) -> list[SaleRecord]:
    """Return the charges of one event day one by one, by event time and then record id. Raise
    UnknownPrice."""
    days = Interval(day, day_after(day))
    with lake.engine() as con:
        usage = sealed_usage(con, lake, days)
        if usage is None:
            return []
        grain = prices.grain(places_of(con, lake, days))
        units = [unit.column for unit in sorted(grain.units)]
        # Price the attempts one by one, with the same rows as sums.
        wanted = dict.fromkeys(
            ["event_ns", "request_id", "attempt", "event_day", *price_columns(grain), *units]
        )
        attempts = with_price_columns(priced_once(usage), grain).select(*wanted)
        charged = _charged(con, held(con, [attempts]), prices, grain)
        priced = con.to_pyarrow(
            charged.select(*SaleRecord.__struct_fields__, "currency", "unpriced")
        )
        unpriced = set(pc.unique(priced.filter(priced["unpriced"])["product"]).to_pylist())
        if unpriced.difference(in_no_base):
            raise UnknownPrice(_missing(con, charged, grain, in_no_base))
        rates = {
            currency: prices.usd(currency, day)
            for currency in pc.unique(priced["currency"]).to_pylist()
        }
        return [
            SaleRecord(**row | {"amount": _converted(row["amount"], rates[currency])})
            for batch in priced.drop_columns(["unpriced"]).to_batches(max_chunksize=_CHUNK_ROWS)
            for row in batch.to_pylist()
            if (currency := row.pop("currency"))
        ]


def _lines(charged: Table) -> Table:
    by = ["event_day", "seller", "cloud", "product", "currency"]
    lines = charged.group_by(*by).agg(
        amount=_.amount.sum(),
        requests=_.attempts.sum().cast("int64"),
        unsized=_.unsized.sum().cast("int64"),
        unpriced=_.unpriced.any(),
    )
    return lines.order_by(*by)


def _in_usd(rows: Iterable[dict[str, Any]], prices: PriceTable) -> list[RevenueLine]:
    """Return lines by currency as lines in USD: one for each day, seller, cloud and product."""
    lines: dict[tuple[Any, ...], RevenueLine] = {}
    for row in rows:
        rate = prices.usd(row.pop("currency"), row["event_day"])
        line = RevenueLine(**row | {"amount": _converted(row["amount"], rate)})
        key = (line.event_day, line.seller, line.cloud, line.product)
        if before := lines.get(key):
            line = msgspec.structs.replace(
                line,
                amount=exact_sum((before.amount, line.amount)),
                requests=before.requests + line.requests,
                unsized=before.unsized + line.unsized,
            )
        lines[key] = line
    return list(lines.values())


def _converted(amount: Decimal, rate: Decimal) -> Decimal:
    """Convert an amount at a rate, every digit kept: so the sum of a day's sales is the day's
    line."""
    return amount if rate == 1 else exact_product(amount, rate)


def _sums(usage: Table, grain: Grain) -> Table:
    """Sum the usage that has a charge by day, tenant and everything its price depends on."""
    usage_by_price = with_price_columns(priced_once(usage), grain)
    by = ["event_day", "organisation", *price_columns(grain)]
    units = {unit.column: _[unit.column].sum() for unit in sorted(grain.units)}
    if not grain.dear:
        return usage_by_price.group_by(by).agg(
            **units, attempts=_.count(), unsized=ibis.literal(0, "int64")
        )
    dear = reduce(
        or_, (_above(usage_by_price, product, step) for product, step in grain.dear.items())
    )
    unsized = usage_by_price.mutate(unsized=(dear & sums_many(usage_by_price)).cast("int64"))
    return unsized.group_by(by).agg(**units, attempts=_.count(), unsized=_.unsized.sum())


def _above(usage: Table, product: str, step: int) -> BooleanValue:
    """Return the condition that a record of a product (empty: any) has more input tokens than a
    step of its price."""
    longer = usage.input_tokens.fill_null(0) > step
    return longer & (usage["product"] == product) if product else longer


def sealed_usage(con: BaseBackend, lake: Lake, days: Interval | None) -> Table | None:
    """Return the sealed usage of some days, each attempt once; None if there is none."""
    parts = _parts(con, lake, days)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else built(con, ibis.union, *parts)


def _parts(con: BaseBackend, lake: Lake, days: Interval | None) -> list[Table]:
    """Return the sealed usage of some days, each attempt once, in parts of which no two share a
    day.

    All `apart` files are one part, and every other stretch of days is one by itself, so that no
    more than a stretch need be sorted at a time.
    """
    files = sound_for(con, lake, lake.usage_files(days))
    # A file that may repeat an attempt makes its days unsure for all files.
    unsure = {day for file in files if not file.apart for day in _span(file)}
    apart = [file for file in files if unsure.isdisjoint(_span(file))]
    again = sorted(
        (file for file in files if not unsure.isdisjoint(_span(file))),
        key=lambda file: file.first_day,
    )
    stretches: list[list[LakeFile]] = []
    last_day = date.min
    for file in again:
        # Days overlap: these files may hold the same attempt, so they are sorted together.
        if stretches and last_day >= file.first_day:
            stretches[-1].append(file)
        else:
            stretches.append([file])
        last_day = max(last_day, file.last_day)
    return [
        *([_read(con, lake, apart, days)] if apart else []),
        *(built(con, best_known, _read(con, lake, stretch, days)) for stretch in stretches),
    ]


def _span(file: LakeFile) -> list[date]:
    return [file.first_day + timedelta(n) for n in range((file.last_day - file.first_day).days + 1)]


def _read(con: BaseBackend, lake: Lake, files: Sequence[LakeFile], days: Interval | None) -> Table:
    """Return the rows that were recorded by the point of knowledge, if the lake has one."""
    rows = rows_in(con, places(con, lake, files), days)
    usage = built(con, _in_schema, rows)
    return built(con, _known_by, usage, lake.known_ns) if lake.is_limited else usage


def _in_schema(rows: Table) -> Table:
    return rows.select(*USAGE_SCHEMA.names)


def _known_by(usage: Table, known_ns: int) -> Table:
    return usage.filter(_.recorded_ns <= known_ns)


def priced_once(usage: Table) -> Table:
    """Return the attempts that have a charge, of usage with each attempt once."""
    return usage.filter(is_served(usage.status))


def places_of(con: BaseBackend, lake: Lake, days: Interval) -> list[Sale]:
    """Return the places (product, cloud, seller, region) of the days' usage.

    Files list their places; of a file that lists none, the rows are read. A place may have no
    charge.
    """
    files = lake.usage_files(days)
    sold = {Sale(*place) for file in files for place in file.recorded_places()}
    silent = [file for file in files if not file.places]
    if silent:
        usage = _read(con, lake, sound_for(con, lake, silent), days)
        distinct = built(con, _distinct, usage, DIMENSIONS)
        sold |= {Sale(**row) for row in rows_of(con, distinct)}
    return sorted(sold)


def with_price_columns(usage: Table, grain: Grain) -> Table:
    """Return usage with every column that its price depends on beyond product, cloud, seller and
    region."""
    code = usage.endpoint
    names = {name: ENDPOINTS[name] for name in sorted(grain.endpoints)}
    context = sums_many(usage).ifelse(0, usage.input_tokens.fill_null(0))
    hour = (hour_of(usage.event_ns) + EPOCH_HOUR) % HOURS_OF_WEEK
    columns: dict[str, Value] = {
        "buyer": _if_named(usage.organisation.cast("string"), grain.buyers),
        "tier": _if_named(tier_of(usage), grain.tiers),
        "endpoint_name": ibis.cases(
            *((code == number, name) for name, number in names.items()), else_=""
        )
        if names
        else ibis.literal(""),
        CONTEXT: ibis.cases(
            *((context > step, step + 1) for step in reversed(grain.steps)), else_=0
        )
        if grain.steps
        else ibis.literal(0),
        HOUR: ibis.cases(
            *((hour == of_week, first) for of_week, first in grain.hours.items()), else_=-1
        )
        if HOUR in grain.further
        else ibis.literal(-1),
    }
    wanted = price_columns(grain)
    return usage.mutate(**{name: value for name, value in columns.items() if name in wanted})


def tier_of(usage: Table) -> StringValue:
    """Return the service tier of each record: `endpoints.tier_of` on columns."""
    by_endpoint = usage.endpoint.isin(batch_codes()).ifelse(BATCH, DEFAULT_TIER)
    tier: StringValue = usage.tier.nullif("").fill_null(by_endpoint)
    return tier


def sums_many(usage: Table) -> BooleanValue:
    """Return the condition that a record sums many requests, whose lengths are not known:
    `has_length` on columns."""
    return usage.endpoint.isin(lengthless_codes()) | (usage[Unit.REQUESTS.column].fill_null(1) > 1)


def _if_named(name: StringValue, named: Iterable[str]) -> Value:
    """Return a name if a price names it, else an empty text."""
    names = sorted(named)
    return name.isin(names).ifelse(name, "") if names else ibis.literal("")


def price_columns(grain: Grain) -> list[str]:
    """Return the columns by which sales are told apart."""
    further = ["endpoint_name" if name == "endpoint" else name for name in sorted(grain.further)]
    return [*DIMENSIONS, *further]


def _charged(con: BaseBackend, usage: Table, prices: PriceTable, grain: Grain) -> Table:
    """Return usage (sums or single attempts) with its `amount` in its price's `currency`;
    `unpriced` if it has no price."""
    by = price_columns(grain)
    groups = [sale_of(row) for row in rows_of(con, built(con, _distinct, usage, tuple(by)))]
    rows = prices.rows(groups)
    priced = sorted({unit for row in rows for unit in row.prices})
    table = given(con, _price_table(rows, by, priced))
    return built(con, _joined, usage, table, tuple(by), tuple(priced))


def _distinct(usage: Table, by: Sequence[str]) -> Table:
    return usage.select(*by).distinct()


def _joined(usage: Table, table: Table, by: Sequence[str], priced: Sequence[Unit]) -> Table:
    """Join usage to the rows of its prices and multiply."""
    table = table.mutate(
        **{
            name: table[name].nullif(_NO_PRICE).cast(_PRICE_TYPE)
            for name in (f"price_of_{unit.column}" for unit in priced)
        }
    )
    on = [usage[name] == table[f"of_{name}"] for name in by]
    joined = usage.left_join(
        table, [*on, usage.event_day >= table.begin, usage.event_day < table.end]
    )
    # The amount is the sum over units of quantity times price; each part with a price counts apart.
    amounts = [
        _quantity(joined, unit, priced) * _price(joined, unit).fill_null(Decimal(0))
        for unit in priced
    ]
    total = reduce(add, amounts) if amounts else ibis.literal(Decimal(0))
    unpriced = reduce(or_, (_lacks_price(joined, unit, priced) for unit in sorted(WHOLES)))
    return joined.mutate(
        amount=total.cast("decimal(38, 12)"),
        unpriced=unpriced,
        currency=joined.price_currency.fill_null(USD),
    )


def _missing(
    con: BaseBackend, charged: Table, grain: Grain, in_no_base: Collection[str]
) -> list[tuple[Sale, Unit, date]]:
    """Return, unit by unit, the usage that needs a price and has none."""
    priced = [unit for unit in Unit if f"price_of_{unit.column}" in charged.columns]
    by = price_columns(grain)
    return [
        (sale_of(row), unit, row["event_day"])
        for unit in sorted(WHOLES)
        for row in rows_of(
            con,
            charged.filter(_lacks_price(charged, unit, priced)).select(*by, "event_day").distinct(),
        )
        if row["product"] not in in_no_base
    ]


def _lacks_price(joined: Table, unit: Unit, priced: Sequence[Unit]) -> BooleanValue:
    used = _quantity(joined, unit, priced) != 0
    return used & _price(joined, unit).isnull() if unit in priced else used


def sale_of(row: dict[str, Any]) -> Sale:
    """Return the sale that stands for a group; names that its price does not depend on are
    empty."""
    return Sale(
        product=row["product"],
        cloud=row["cloud"],
        seller=row["seller"],
        region=row["region"],
        buyer=row.get("buyer", ""),
        tier=row.get("tier", DEFAULT_TIER),
        endpoint=row.get("endpoint_name", ""),
        context=row.get(CONTEXT, 0),
        hour=row.get(HOUR, -1),
    )


def _quantity(joined: Table, unit: Unit, priced: Sequence[Unit]) -> DecimalValue:
    """Compute `metering.units.billable` on columns: a whole without those of its parts that have a
    price of their own."""
    quantity = joined[unit.column].fill_null(0).cast(_COUNT)
    for part, wholes in WHOLES_OF.items():
        if part not in priced or unit not in wholes:
            continue
        # It is taken out of the nearest whole that has a price, else of the outermost.
        taken = _price(joined, part).notnull()
        for nearer in wholes[: wholes.index(unit)]:
            if nearer in priced:
                taken = taken & _price(joined, nearer).isnull()
        own = taken.ifelse(joined[part.column].fill_null(0), 0)
        quantity = quantity - own.cast(_COUNT)
    return quantity.cast(_COUNT)


def _price(joined: Table, unit: Unit) -> DecimalValue:
    return joined[f"price_of_{unit.column}"]


def _price_table(rows: Sequence[PriceRow], by: Sequence[str], priced: Sequence[Unit]) -> pa.Table:
    """Return the interval table as columns, one price column per unit, each in the row's currency
    per unit."""
    numbers = (CONTEXT, HOUR)
    schema = pa.schema(
        [
            *((f"of_{name}", pa.int64() if name in numbers else pa.string()) for name in by),
            ("begin", pa.date32()),
            ("end", pa.date32()),
            ("price_currency", pa.string()),
            *((f"price_of_{unit.column}", _PRICE) for unit in priced),
        ]
    )
    fields = {name: name.removesuffix("_name") for name in by}
    columns: dict[str, Iterable[Any]] = {
        f"of_{name}": [getattr(row.sale, fields[name]) for row in rows] for name in by
    }
    columns |= {"begin": [row.begin for row in rows], "end": [row.end for row in rows]}
    columns["price_currency"] = [row.currency for row in rows]
    for unit in priced:
        prices = [row.prices.get(unit) for row in rows]
        columns[f"price_of_{unit.column}"] = [
            _NO_PRICE if p is None else Decimal(p).scaleb(-12) for p in prices
        ]
    return pa.table(columns, schema=schema)


def rows_of(con: BaseBackend, table: Table) -> list[dict[str, Any]]:
    """Return a table's rows, which are few."""
    if con.name != "duckdb":
        return list(con.to_pyarrow(table).to_pylist())
    cursor = con.con.execute(con.compile(table))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
