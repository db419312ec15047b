"""A cloud's bill against the meter. Bills are made from the lake, row by row as a cloud writes them; then something is
planted, and has to be found by name, with what is at stake.

Usage of 1 to 6 May, prices of `metered_months` (USD per million: 2 in, 0.50 cached, 10 out). On azure each day has
1,234,567 tokens in and 200,000 out, at 1, 12 and 22 o'clock; on aws 10 million in, of which 4 cached, and 1 out.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal as D
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench.price_tables import open_prices

from clauseway.app.books.usage_charges import usage_charges
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import known_point, open_agreement
from clauseway.app.opening.periods import month
from clauseway.app.reports.reconciliation_text import behind, differing, summary
from clauseway.app.reports.reconciling import Reconciliation, rates_of, reconcile_bill, regions_of, tolerance_of
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.focus.bill import bill_columns, focus_rows, write_bill_as_csv
from clauseway.exchange.focus.focus_columns import FocusRow
from clauseway.ledger.reconciliation import CAUSES, UNEXPLAINED, Tolerance
from clauseway.metering import Status, Unit
from clauseway.storage.usage.metered import metered_sums
from clauseway.values import Interval, InvalidInput, KnownAt
from metered_months import BOOK, CACHED, IN, MILLION, OUT, Sold, metered_home

Row = dict[str, str]
MAY = month("2026-05")
AZURE, AWS = 1, 2


def usage() -> Iterator[Sold]:
    for day in range(1, 7):
        name = f"2026-05-{day:02}"
        yield Sold(name, 1, AZURE, {IN: 1_000_000, OUT: 100_000}, hour=1)
        yield Sold(name, 1, AZURE, {IN: 200_000, OUT: 50_000 + day}, hour=12)
        # On the 3rd an answer without a report, on the 4th one that was told three days late.
        status = Status.ESTIMATED if day == 3 else Status.COMPLETE
        yield Sold(name, 1, AZURE, {IN: 34_567, OUT: 50_000 - day}, hour=22, status=status, late=3 * (day == 4))
        yield Sold(name, 1, AWS, {IN: 10 * MILLION, CACHED: 4 * MILLION, OUT: MILLION})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return metered_home(tmp_path_factory.mktemp("billed"), list(usage()))


def book_with(home: Home, *lines: str, columns: str = "") -> Path:
    path = home.root / f"book-{abs(hash((lines, columns)))}.csv"
    head, *entries = BOOK.strip().splitlines()
    path.write_text(
        "\n".join([head + columns, *(f"{entry}{',' * columns.count(',')}" for entry in entries), *lines, ""])
    )
    return path


table = cache(open_prices)


@cache
def bill_text(home: Home, book: Path) -> str:
    """The bill a cloud would send: what was metered in May, at the prices of a book."""
    with open_lake(home) as lake:
        charges = usage_charges(lake, table(KnownAt.everything(), book), MAY)
    return as_csv(focus_rows(charges, MAY))


def as_csv(rows: Iterable[FocusRow]) -> str:
    written = io.StringIO(newline="")
    write_bill_as_csv(rows, bill_columns(), written)
    return written.getvalue()


def bill(home: Home, book: Path | None = None) -> list[Row]:
    return list(csv.DictReader(io.StringIO(bill_text(home, book or home.root / "book.csv"))))


def row(rows: list[Row], day: int, cloud: str, unit: str) -> Row:
    [row] = [
        row
        for row in rows
        if (row["ChargePeriodStart"][:10], row["x_HostCloud"]) == (f"2026-05-{day:02}", cloud)
        and row["SkuId"] == f"gpt-5.4/{unit}"
    ]
    return row


def priced(row: Row, quantity: int, per_million: str) -> None:
    """The row with another quantity or price, its costs with it."""
    cost = f"{quantity * D(per_million) / MILLION:f}"
    row |= {"ConsumedQuantity": str(quantity), "ContractedCost": cost, "EffectiveCost": cost, "BilledCost": cost}


def reconciled(
    home: Home, rows: list[Row], *, book: Path | None = None, known: str = "", **more: Any
) -> Reconciliation:
    path = home.root / "bill.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return compared(home, path, book=book, known=known, **more)


def compared(home: Home, path: Path, *, book: Path | None = None, known: str = "", **more: Any) -> Reconciliation:
    at = known_point(known) if known else KnownAt.everything()
    more = {"tolerance": Tolerance()} | more
    return reconcile_bill(home, open_agreement(), table(at, book or home.root / "book.csv"), path, **more)


def findings(reconciliation: Reconciliation) -> dict[str, tuple[str, ...]]:
    """Return the unmatched parts: day, cloud and unit → status, difference, causes."""
    return {
        f"{line.day.day} {line.cloud} {item.unit}": (
            item.status,
            f"{item.difference.normalize():f}",
            *(cause.name for cause in item.causes),
        )
        for line in reconciliation.found.lines
        for item in line.items
        if item.status != "matched"
    }


def test_a_bill_made_from_the_meter_is_fully_matched(home: Home) -> None:
    reconciliation = reconciled(home, bill(home))
    assert reconciliation.is_matched
    assert findings(reconciliation) == {}
    # A day: azure 1,234,567 × 2 + 200,000 × 10 = 4.469134; aws 6 × 2 + 4 × 0.50 + 1 × 10 = 24.
    assert reconciliation.found.metered == reconciliation.found.billed == 6 * (D("4.469134") + 24)
    assert reconciliation.found.by_status["matched"] == (6 * 5, D(0))
    assert reconciliation.scope.clouds == ("aws", "azure")
    assert reconciliation.scope.sellers == ("openai",)


def test_the_same_as_parquet(home: Home) -> None:
    path = home.root / "bill.parquet"
    pq.write_table(pa.Table.from_pylist(bill(home)), path)
    assert compared(home, path).is_matched


def duplicate(rows: list[Row]) -> None:
    rows.append(dict(row(rows, 2, "aws", "output_tokens")))


def cached_twice(rows: list[Row]) -> None:
    priced(row(rows, 2, "aws", "input_tokens"), 10 * MILLION, "2")


def without_the_late(rows: list[Row]) -> None:
    priced(row(rows, 4, "azure", "input_tokens"), 1_200_000, "2")
    priced(row(rows, 4, "azure", "output_tokens"), 150_004, "10")


def other_than_estimated(rows: list[Row]) -> None:
    priced(row(rows, 3, "azure", "output_tokens"), 199_000, "10")


def not_yet(rows: list[Row]) -> None:
    rows[:] = [row for row in rows if row["ChargePeriodStart"] < "2026-05-06"]


def missing(rows: list[Row]) -> None:
    rows.remove(row(rows, 2, "aws", "output_tokens"))


def invented(rows: list[Row]) -> None:
    rows.append(row(rows, 2, "aws", "output_tokens") | {"ChargePeriodStart": "2026-05-20T00:00:00Z"})


def region(rows: list[Row]) -> None:
    row(rows, 5, "aws", "output_tokens")["RegionId"] = "US East (Ohio)"


def thousands(rows: list[Row]) -> None:
    for row in rows:
        if row["SkuId"] == "gpt-5.4/input_tokens":
            # 1,234.567 thousand are billed as 1,235.
            count = round(D(row["ConsumedQuantity"]) / 1000)
            priced(row, count * 1000, "2")
            row |= {"ConsumedQuantity": str(count), "ConsumedUnit": "1K Tokens"}


def euros(rows: list[Row]) -> None:
    row(rows, 2, "aws", "output_tokens")["BillingCurrency"] = "EUR"


def ten_percent_more(rows: list[Row]) -> None:
    row(rows, 2, "aws", "output_tokens")["ContractedCost"] = "11.00"


def whole_cents(rows: list[Row]) -> None:
    for row in rows:
        row["ContractedCost"] = f"{D(row['ContractedCost']).quantize(D('0.01')):f}"


def both(rows: list[Row]) -> None:
    cached_twice(rows)
    ten_percent_more(rows)


PLANTED: list[tuple[Callable[[list[Row]], None], dict[str, tuple[str, ...]]]] = [
    (duplicate, {"2 aws output_tokens": ("quantity differs", "10", "duplicate")}),  # a million more at 10
    # 4 million more at 2
    (cached_twice, {"2 aws input_tokens": ("quantity differs", "8", "cached tokens counted twice")}),
    (
        without_the_late,
        {
            "4 azure input_tokens": ("quantity differs", "-0.069134", "late record"),  # 34,567 × 2
            "4 azure output_tokens": ("quantity differs", "-0.49996", "late record"),  # 49,996 × 10
        },
    ),
    (other_than_estimated, {"3 azure output_tokens": ("quantity differs", "-0.01", "estimated usage")}),  # 1,000 × 10
    (
        not_yet,
        {
            "6 aws cached_input_tokens": ("missing on the bill", "-2", "not billed yet"),
            "6 aws input_tokens": ("missing on the bill", "-12", "not billed yet"),
            "6 aws output_tokens": ("missing on the bill", "-10", "not billed yet"),
            "6 azure input_tokens": ("missing on the bill", "-2.469134", "not billed yet"),
            "6 azure output_tokens": ("missing on the bill", "-2", "not billed yet"),
        },
    ),
    (missing, {"2 aws output_tokens": ("missing on the bill", "-10", UNEXPLAINED)}),
    (invented, {"20 aws output_tokens": ("missing in the meter", "10", UNEXPLAINED)}),
    # 433 tokens more in each of six days.
    (
        thousands,
        {
            f"{day} azure input_tokens": ("quantity differs", "0.000866", "rounding of quantities")
            for day in range(1, 7)
        },
    ),
    (euros, {"2 aws output_tokens": ("priced differently", "-10", "currency")}),
    (ten_percent_more, {"2 aws output_tokens": ("priced differently", "1", UNEXPLAINED)}),
    # 2.469134 is billed as 2.47.
    (
        whole_cents,
        {f"{day} azure input_tokens": ("priced differently", "0.000866", "rounding") for day in range(1, 7)},
    ),
    (
        both,
        {
            "2 aws input_tokens": ("quantity differs", "8", "cached tokens counted twice"),
            "2 aws output_tokens": ("priced differently", "1", UNEXPLAINED),
        },
    ),
]


@pytest.mark.parametrize(("plant", "expected"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_what_is_planted_is_found(
    home: Home, plant: Callable[[list[Row]], None], expected: dict[str, tuple[str, ...]]
) -> None:
    rows = bill(home)
    plant(rows)
    reconciliation = reconciled(home, rows)
    assert findings(reconciliation) == expected
    assert reconciliation.found.difference == sum((D(row[1]) for row in expected.values()), D(0))
    assert reconciliation.found.at_stake == sum((abs(D(row[1])) for row in expected.values()), D(0))
    assert (
        reconciliation.found.billed - reconciliation.found.metered == reconciliation.found.difference or plant is euros
    )


def test_a_region_of_another_name_is_found_on_both_sides(home: Home) -> None:
    rows = bill(home)
    region(rows)
    [here, there] = [
        (line.region, item.status, item.causes[0].name, item.causes[0].detail)
        for line in reconciled(home, rows).found.lines
        for item in line.items
        if item.status != "matched"
    ]
    name = "another name of the region"
    assert here == ("US East (Ohio)", "missing in the meter", name, "metered in us-east-2")
    assert there == ("us-east-2", "missing on the bill", name, "billed in US East (Ohio)")


DRAWN_BOOK = f"""{BOOK}gpt-5.4,,,,image_tool_input_tokens,2026-03-05,,2026-03-05,5.00,ours
gpt-5.4,,,,image_tool_output_tokens,2026-03-05,,2026-03-05,30.00,ours
gpt-image-2,,,,input_tokens,2026-03-05,,2026-03-05,5.00,ours
gpt-image-2,,,,output_tokens,2026-03-05,,2026-03-05,30.00,ours
"""


def test_what_a_tool_drew_is_found_under_the_model_that_draws(tmp_path: Path) -> None:
    """No answer names the model that draws, so the meter has it under the model that was asked."""
    asked = {IN: MILLION, Unit.IMAGE_TOOL_INPUT_TOKENS: 1_500, Unit.IMAGE_TOOL_OUTPUT_TOKENS: 6_208}
    home = metered_home(tmp_path, [Sold("2026-05-02", 1, AZURE, asked)], DRAWN_BOOK)
    rows = bill(home)
    for row in rows:
        row |= {name: value.replace("gpt-5.4/image_tool_", "gpt-image-2/") for name, value in row.items()}
        if row["SkuId"].startswith("gpt-image-2"):
            row["SkuMeter"] = row["SkuId"].replace("/", " ")
    name = "drawn by a tool"
    expected = {
        ("gpt-5.4", "image_tool_input_tokens", "missing on the bill", "-0.0075", name),  # 1,500 × 5
        ("gpt-5.4", "image_tool_output_tokens", "missing on the bill", "-0.18624", name),  # 6,208 × 30
        ("gpt-image-2", "input_tokens", "missing in the meter", "0.0075", name),
        ("gpt-image-2", "output_tokens", "missing in the meter", "0.18624", name),
    }
    assert drawn(reconciled(home, rows)) == expected
    # Of another quantity nothing is said.
    [more] = [item for item in rows if item["SkuId"] == "gpt-image-2/output_tokens"]
    priced(more, 6_209, "30")
    assert {cause for _, unit, *_, cause in drawn(reconciled(home, rows)) if "output" in unit} == {UNEXPLAINED}


def drawn(reconciliation: Reconciliation) -> set[tuple[str, ...]]:
    return {
        (line.product, item.unit, item.status, f"{item.difference.normalize():f}", item.causes[0].name)
        for line in reconciliation.found.lines
        for item in line.items
        if item.status != "matched"
    }


@pytest.mark.parametrize("hours", [-5, 3, -16])
def test_days_that_begin_elsewhere_are_found(home: Home, hours: int) -> None:
    """The cloud's day begins at midnight of its own clock: each hour is billed on the day that it has there. A day of
    UTC+8 begins at 16:00 UTC, and is dated by that."""
    rows = [row for row in bill(home) if row["x_HostCloud"] != "azure"]
    model = row(bill(home), 2, "azure", "input_tokens")
    with open_lake(home) as lake:
        sums = [sold for sold in metered_sums(lake, MAY) if sold.cloud == "azure"]
    for unit in (IN, OUT):
        by_day: dict[int, int] = {}
        for sold in sums:
            day = (sold.hour + hours) // 24
            by_day[day] = by_day.get(day, 0) + sold.units[unit]
        for day, count in by_day.items():
            name = f"{pa.scalar(day, pa.date32()).as_py()}T00:00:00Z"
            if name >= "2026-05":
                fresh = model | {"ChargePeriodStart": name, "SkuId": f"gpt-5.4/{unit.column}", "SkuMeter": unit.column}
                priced(fresh, count, {IN: "2", OUT: "10"}[unit])
                rows.append(fresh)
    reconciliation = reconciled(home, rows)
    assert findings(reconciliation)
    assert {finding[2] for finding in findings(reconciliation).values()} == {"time zone of the day boundary"}
    detail = next(item.causes[0].detail for line in reconciliation.found.lines for item in line.items if item.causes)
    # The parts lie at 1, 12 and 22 o'clock: the nearest clock that puts them on the same days.
    assert f"UTC{ {-5: -2, 3: 2, -16: 11}[hours]:+d}" in detail


PRICES = [
    # The bill's prices, the meter's prices, until when those were known, and the cause.
    ("gpt-5.4,aws,,,output_tokens,2026-05-02,,2026-06-03,16.50,later", "2026-05-31", "price not yet known", "6.5"),
    ("gpt-5.4,aws,,,output_tokens,2026-05-04,,2026-03-05,12,raised", "", "price of another day", "2"),
    (
        "gpt-5.4,aws,,us-west-2,output_tokens,2026-05-01,,2026-03-05,11,west",
        "",
        "price of another region or seller",
        "1",
    ),
]


@pytest.mark.parametrize(("entry", "known", "cause", "more"), PRICES)
def test_a_price_that_was_not_taken_is_named(home: Home, entry: str, known: str, cause: str, more: str) -> None:
    rows = bill(home)
    priced(row(rows, 3, "aws", "output_tokens"), MILLION, str(10 + D(more)))
    book = book_with(home, entry)
    # On the 2nd and from the 4th on the meter has the book's own price where it holds there; the 3rd is looked at.
    reconciliation = reconciled(home, rows, book=book, known=known)
    assert findings(reconciliation)["3 aws output_tokens"] == ("priced differently", more, cause)


def test_another_tier_is_named(home: Home) -> None:
    rows = bill(home)
    priced(row(rows, 3, "aws", "output_tokens"), MILLION, "5")
    book = book_with(home, "gpt-5.4,,,,output_tokens,2026-03-05,,2026-03-05,5,half,flex", columns=",tier")
    assert findings(reconciled(home, rows, book=book)) == {
        "3 aws output_tokens": ("priced differently", "-5", "another tier")
    }


def test_usage_is_priced_by_its_hour_and_its_length(home: Home) -> None:
    """Half the price on Fridays at 22 o'clock: 49,999 of 1 May. And 12 for what has more than a million tokens in."""
    night = "gpt-5.4,azure,,,output_tokens,2026-05-01,,2026-03-05,5,night,,fri 22-23"
    long = "gpt-5.4,aws,,,output_tokens,2026-05-01,,2026-03-05,12,long,1000000,"
    book = book_with(home, night, long, columns=",above,hours")
    assert reconciled(home, bill(home, book), book=book).is_matched
    flat = {place: finding[1] for place, finding in findings(reconciled(home, bill(home), book=book)).items()}
    assert flat == {"1 azure output_tokens": "0.249995"} | {f"{day} aws output_tokens": "-2" for day in range(1, 7)}


def test_a_discount_that_one_side_takes_is_named(home: Home) -> None:
    # Ten percent off on aws: the meter's 12, 2 and 10 are 10.80, 1.80 and 9; the bill knows nothing of it.
    book = book_with(home, "gpt-5.4,aws,,,,2026-05-01,,2026-03-05,,agreed,10", columns=",discount_percent")
    assert findings(reconciled(home, bill(home), book=book)) == {
        f"{day} aws {unit}": ("priced differently", more, "discount")
        for day in range(1, 7)
        for unit, more in (("cached_input_tokens", "0.2"), ("input_tokens", "1.2"), ("output_tokens", "1"))
    }
    # And the other way round.
    assert {finding[2] for finding in findings(reconciled(home, bill(home, book), book=book_with(home))).values()} == {
        UNEXPLAINED
    }


def test_a_buyers_own_discount_is_named(home: Home) -> None:
    # Contoso alone has ten percent off on aws, and bought all of it.
    line = "gpt-5.4,aws,,,output_tokens,2026-05-01,,2026-03-05,,agreed,10,Contoso"
    book = book_with(home, line, columns=",discount_percent,buyer")
    causes = findings(reconciled(home, bill(home), book=book))
    assert set(causes.values()) == {("priced differently", "1", "discount")}


def test_prices_in_another_currency_are_named_too(home: Home) -> None:
    """A book in euros, at 1.25: from the 4th on output is 12 on aws, and a discount is Fabrikam's."""
    book, rates = home.root / "euros.csv", home.root / "euro-rates.csv"
    head, *entries = BOOK.strip().splitlines()
    columns = head.replace("usd_per_million", "per_million") + ",currency,discount_percent,buyer"
    raised = "gpt-5.4,aws,,,output_tokens,2026-05-04,,2026-03-05,12,raised,EUR,,"
    agreed = "gpt-5.4,azure,,,output_tokens,2026-05-01,,2026-03-05,,agreed,,20,Fabrikam"
    book.write_text("\n".join([columns, *(f"{entry},EUR,," for entry in entries), raised, agreed, ""]))
    rates.write_text("day,base,quote,rate\n2026-01-01,EUR,USD,1.25\n")
    prices = open_prices(KnownAt.everything(), book, rates)
    with open_lake(home) as lake:
        charges = usage_charges(lake, prices, MAY)
    rows = list(csv.DictReader(io.StringIO(as_csv(focus_rows(charges, MAY)))))
    priced(row(rows, 3, "aws", "output_tokens"), MILLION, "12")
    priced(row(rows, 3, "azure", "output_tokens"), 200_000, "8")
    path = home.root / "euro-bill.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    reconciliation = reconcile_bill(home, open_agreement(), prices, path, tolerance=Tolerance())
    # 2 of EUR 12 − 10, and 0.2 × 2 of EUR 10 − 8.
    assert findings(reconciliation) == {
        "3 aws output_tokens": ("priced differently", "2.5", "price of another day"),
        "3 azure output_tokens": ("priced differently", "-0.5", "discount"),
    }


def test_regions_that_the_bill_has_under_one_name_are_compared_together(tmp_path: Path) -> None:
    """A global and a regional deployment of one resource: each at its own price, 2.00 and 1.50 a million."""
    book = f"{BOOK}gpt-5.4,azure,,global,input_tokens,2026-03-05,,2026-03-05,1.50,ours\n"
    sold = [Sold("2026-05-02", 1, deployment, {IN: MILLION}) for deployment in (1, 5)]
    home = metered_home(tmp_path, sold, book)
    rows = [item | {"RegionId": "eastus2", "RegionName": "eastus2"} for item in bill(home)]
    assert not reconciled(home, rows).is_matched
    reconciliation = reconciled(home, rows, regions=regions_of(["global=eastus2"]))
    assert (reconciliation.is_matched, reconciliation.found.metered, reconciliation.found.billed) == (
        True,
        D("3.5"),
        D("3.5"),
    )
    # Both under a name that neither has.
    for row in rows:
        row |= {"RegionId": "East US 2"}
    both = regions_of(["global=East US 2", "eastus2=East US 2"])
    assert reconciled(home, rows, regions=both).is_matched
    # Both at the price of the regional one: what differs still differs.
    for row in rows:
        priced(row, MILLION, "2")
    assert findings(reconciled(home, rows, regions=both)).popitem()[1][:2] == ("priced differently", "0.5")


def test_other_currencies_are_compared_at_the_rate_given(home: Home) -> None:
    rows = bill(home)
    for row in rows:
        row |= {"BillingCurrency": "EUR", "ContractedCost": f"{D(row['ContractedCost']) / D('1.25'):f}"}
    assert reconciled(home, rows, rates=rates_of(["EUR=1.25"])).is_matched
    assert {finding[2] for finding in findings(reconciled(home, rows)).values()} == {"currency"}


def test_or_at_dated_rates(home: Home) -> None:
    """The first three days at 1.25, the others at 1.20: each row by its own day."""
    path = home.root / "rates.csv"
    path.write_text("day,base,quote,rate\n2026-05-01,EUR,USD,1.25\n2026-05-04,EUR,USD,1.20\n")
    rows = bill(home)
    for row in rows:
        rate = D("1.25") if row["ChargePeriodStart"] < "2026-05-04" else D("1.20")
        row |= {"BillingCurrency": "EUR", "ContractedCost": f"{(D(row['ContractedCost']) / rate).quantize(D('1e-12'))}"}
    bill_file = home.root / "bill.csv"
    assert not reconciled(home, rows).is_matched
    dated = open_prices(KnownAt.everything(), home.root / "book.csv", path)
    assert reconcile_bill(home, open_agreement(), dated, bill_file, tolerance=Tolerance()).is_matched


def test_every_column_of_the_summary_adds_up_as_it_is_printed(home: Home) -> None:
    rows = bill(home)
    # 0.004 more for other quantities, 0.004 for other prices, and 0.003 that nobody metered.
    priced(row(rows, 2, "azure", "output_tokens"), 200_400, "10")
    bill_row = row(rows, 3, "aws", "output_tokens")
    bill_row["ContractedCost"] = str(D(bill_row["ContractedCost"]) + D("0.004"))
    rows.append(dict(row(rows, 4, "azure", "output_tokens")) | {"ChargePeriodStart": "2026-05-20T00:00:00Z"})
    priced(rows[-1], 300, "10")
    *parts, whole, apart = summary(reconciled(home, rows))
    named = ("matched", "missing in the meter", "quantity differs", "priced differently")
    for column in ("metered", "billed"):
        assert sum(D(getattr(part, column)) for part in parts if part.name in named) == D(getattr(whole, column))
    assert (whole.name, apart.name) == ("in all", "billed less metered")
    # 0.011 are at stake: as parts of the bill, and as causes.
    assert whole.at_stake == "0.01"
    assert sum(D(part.at_stake) for part in parts if part.name in named[1:]) == D("0.01")
    assert sum(D(part.at_stake) for part in parts if part.name.startswith("  ")) == D("0.01")
    assert D(whole.billed) - D(whole.metered) == D(apart.billed)


def test_what_costs_most_is_named_first_with_its_first_rows(home: Home) -> None:
    rows = bill(home)
    priced(row(rows, 2, "aws", "output_tokens"), MILLION, "12")  # 2 more
    priced(row(rows, 1, "aws", "output_tokens"), MILLION, "11")  # 1 more
    twice = row(rows, 3, "aws", "output_tokens")
    reconciliation = reconciled(home, rows + [twice] * 8)  # 80 more
    assert [(line.day.day, item.at_stake) for line, item in differing(reconciliation)] == [
        (3, D(80)),
        (2, D(2)),
        (1, D(1)),
    ]
    own, first = rows.index(twice) + 2, len(rows) + 2
    (_, most), (_, next_most), _ = differing(reconciliation)
    assert behind(most).startswith(f"rows {own}, {', '.join(map(str, range(first, first + 7)))}, … · requests ")
    assert behind(next_most).startswith(f"rows {rows.index(row(rows, 2, 'aws', 'output_tokens')) + 2} · requests ")


def test_the_tolerance_is_what_is_stated(home: Home) -> None:
    rows = bill(home)
    whole_cents(rows)
    assert reconciled(home, rows, tolerance=tolerance_of("0.000866", "0")).is_matched
    assert not reconciled(home, rows, tolerance=tolerance_of("0.000865", "0")).is_matched


def test_rows_that_cannot_be_read_are_told_and_the_rest_is_compared(home: Home) -> None:
    rows = bill(home)
    rows += [
        rows[0] | {"ConsumedQuantity": "many"},
        rows[0] | {"ChargePeriodStart": "1 May"},
        rows[0] | {"SkuMeter": "Disk", "SkuId": "disk", "ChargeDescription": "Disk", "ServiceName": "gpt-5.4"},
        rows[0] | dict.fromkeys(("SkuMeter", "SkuId", "ChargeDescription", "ServiceName"), "Input of something else"),
        rows[0] | {"ContractedCost": ""},
        rows[0] | {"BillingCurrency": "euro"},
        rows[0] | {"ChargeCategory": ""},
        rows[0] | {"ChargeCategory": "Tax"},
    ]
    reconciliation = reconciled(home, rows)
    assert findings(reconciliation) == {}
    assert not reconciliation.is_matched
    assert [(flaw.line - len(rows) + 7, flaw.field) for flaw in reconciliation.unread] == [
        (1, "ConsumedQuantity"),
        (2, "ChargePeriodStart"),
        (3, "SkuMeter"),
        (4, "SkuMeter"),
        (5, "ContractedCost"),
        (6, "BillingCurrency"),
        (7, "ChargeCategory"),
    ]
    assert {part.name: part.rows for part in reconciliation.found.parts}["taxes"] == 1


@pytest.mark.parametrize(
    "providers",
    [
        {"HostProviderName": "Microsoft", "ServiceProviderName": "OpenAI"},
        {"HostProviderName": "", "ServiceProviderName": "Microsoft", "ProviderName": "Microsoft"},
    ],
    ids=["1.4", "1.3"],
)
def test_a_bill_of_a_later_version_is_fully_matched(home: Home, providers: dict[str, str]) -> None:
    """The host is read from the columns that took the place of ProviderName."""
    azure = [row for row in bill(home) if row["x_HostCloud"] == "azure"]
    left = ("ProviderName", "PublisherName", "x_HostCloud")
    rows = [{name: row[name] for name in row if name not in left} | providers for row in azure]
    reconciliation = reconciled(home, rows)
    assert reconciliation.is_matched
    # Azure's six days of 4.469134.
    assert reconciliation.found.billed == 6 * D("4.469134")


def test_missing_columns_are_told_all_at_once(home: Home) -> None:
    rows = [
        {name: value for name, value in row.items() if name not in ("ConsumedUnit", "ContractedCost", "ProviderName")}
        for row in bill(home)
    ]
    with pytest.raises(InvalidInput) as refused:
        reconciled(home, rows)
    assert [problem.what for problem in refused.value.problems] == [
        "ConsumedUnit is missing",
        "ContractedCost is missing",
        "ProviderName (since 1.3: HostProviderName, ServiceProviderName) is missing",
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [("none.csv", None), ("not.parquet", b"PAR1 no"), ("empty.csv", b""), ("binary.csv", bytes(range(256)))],
)
def test_what_is_no_bill_is_refused(home: Home, name: str, content: bytes | None) -> None:
    path = home.root / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput):
        compared(home, path)


def test_every_cause_of_the_table_is_planted_somewhere(home: Home) -> None:
    planted = {cause for _, expected in PLANTED for _, _, *causes in expected.values() for cause in causes}
    planted |= {cause for _, _, cause, _ in PRICES}
    elsewhere = {"time zone of the day boundary", "another name of the region", "drawn by a tool"}
    elsewhere |= {"another tier", "no price", "discount"}
    assert set(CAUSES) | {UNEXPLAINED} == planted | elsewhere


def parts(reconciliation: Reconciliation) -> dict[str, str]:
    """Return the parts of the bill that are not zero, in USD."""
    return {
        part.name: f"{part.billed.normalize():f}" for part in reconciliation.found.parts if part.rows or part.metered
    }


def beside(rows: list[Row], **changed: str) -> Row:
    """A row that is no usage of ours."""
    empty = dict.fromkeys(("SkuMeter", "SkuId", "ConsumedQuantity", "ConsumedUnit", "RegionId"), "")
    return rows[0] | empty | {"ChargeDescription": "beside"} | changed


# Six days: 170.814804 in all, of which azure 26.814804.
USAGE = 6 * (D("4.469134") + 24)


def test_a_bill_adds_up_from_its_parts(home: Home) -> None:
    rows = bill(home)
    invented(rows)  # 10.00
    duplicate(rows)  # 10.00 more of a row of 10.00
    rows.remove(row(rows, 4, "aws", "cached_input_tokens"))  # 2.00
    rows += [
        beside(rows, ChargeCategory="Tax", ContractedCost="32.45"),
        beside(rows, ChargeCategory="Credit", ContractedCost="-50"),
        beside(rows, ChargeCategory="Purchase", ContractedCost="100.005"),
        beside(rows, ChargeCategory="Adjustment", ContractedCost="-0.01"),
        rows[0] | {"ChargeClass": "Correction", "ContractedCost": "-3.50", "ConsumedQuantity": "-7"},
        beside(rows, ServiceCategory="Compute", SkuMeter="BoxUsage", ContractedCost="12"),
        rows[0] | {"ConsumedQuantity": "many", "ContractedCost": "7.77"},
        rows[0] | {"ChargePeriodStart": "2026-04-30T00:00:00Z", "ContractedCost": "1.11"},
    ]
    reconciliation = reconciled(home, rows, days=MAY)
    assert parts(reconciliation) == {
        "matched": f"{USAGE - 10 - 2:f}",
        "quantity differs": "20",
        "missing on the bill": "0",
        "missing in the meter": "10",
        "taxes": "32.45",
        "credits": "-50",
        "purchases": "100.005",
        "adjustments": "-0.01",
        "corrections": "-3.5",
        "other services": "12",
        "not read": "7.77",
        "not compared": "1.11",
    }
    total = sum(D(row["ContractedCost"]) for row in rows)
    assert reconciliation.found.total == total == sum(part.billed for part in reconciliation.found.parts)
    assert sum(part.metered for part in reconciliation.found.parts) == reconciliation.found.metered
    assert not reconciliation.is_matched
    # A row outside the period that the bill states widens what is compared.
    assert reconciled(home, rows).scope.days == Interval(date(2026, 4, 30), MAY.end)


# what is on the bill beside usage that matches | is it matched | all of it
BESIDE: list[tuple[dict[str, str], bool, bool]] = [
    ({}, True, True),
    ({"ChargeCategory": "Tax", "ContractedCost": "32.45"}, True, False),
    ({"ChargeCategory": "Tax", "ContractedCost": "0"}, True, True),
    ({"ServiceCategory": "Compute", "SkuMeter": "BoxUsage", "ContractedCost": "12"}, True, False),
    ({"ServiceCategory": "Storage", "SkuMeter": "Requests-Tier1", "ServiceName": "S3"}, True, False),
    ({"ServiceCategory": "Other", "SkuMeter": "BoxUsage", "ContractedCost": "12"}, False, False),
    ({"ServiceCategory": "", "SkuMeter": "BoxUsage", "ContractedCost": "12"}, False, False),
    ({"ChargeCategory": "Credit", "ContractedCost": "-1"}, False, False),
    ({"ChargeCategory": "Purchase", "ContractedCost": "1"}, False, False),
    ({"ChargeCategory": "Adjustment", "ContractedCost": "1"}, False, False),
    ({"ChargeCategory": "Usage", "ChargeClass": "Correction", "ContractedCost": "1"}, False, False),
]


@pytest.mark.parametrize(("changed", "matched", "whole"), BESIDE)
def test_everything_is_matched_only_where_that_is_the_whole_bill(
    home: Home, changed: Row, matched: bool, whole: bool
) -> None:
    rows = bill(home)
    reconciliation = reconciled(home, [*rows, beside(rows, **changed)] if changed else rows)
    assert (reconciliation.is_matched, reconciliation.is_whole) == (matched, whole)


def test_a_whole_day_that_is_missing_is_one_thing(home: Home) -> None:
    rows = [row for row in bill(home) if row["ChargePeriodStart"][:10] != "2026-05-03"]
    [day] = reconciled(home, rows).found.whole_days
    assert (str(day.day), day.status, day.clouds, day.items) == (
        "2026-05-03",
        "missing on the bill",
        ("aws", "azure"),
        5,
    )
    assert day.difference == -USAGE / 6
    rows = [row for row in bill(home) if (row["ChargePeriodStart"][:10], row["x_HostCloud"]) != ("2026-05-03", "aws")]
    [day] = reconciled(home, rows).found.whole_days
    assert (day.clouds, day.difference) == (("aws",), D(-24))
    # Half of a day is none.
    rows = bill(home)
    missing(rows)
    assert reconciled(home, rows).found.whole_days == ()


def test_only_what_a_seller_sold_is_compared_where_one_is_named(home: Home) -> None:
    rows = bill(home)
    rows[0]["InvoiceIssuerName"] = "Microsoft"
    reconciliation = reconciled(home, rows, sellers=["openai"])
    assert parts(reconciliation)["not compared"] == f"{D(rows[0]['ContractedCost']).normalize():f}"
    # A cloud and a seller that the bill alone names can be named, too.
    rows[0] |= {"x_HostCloud": "moon", "InvoiceIssuerName": "selene"}
    alone = reconciled(home, rows, clouds=["moon"], sellers=["selene"])
    assert (alone.rows, alone.scope.clouds, alone.scope.sellers) == (1, ("moon",), ("selene",))
