"""Prices by buyer, tier, endpoint, length of context, hour and discount: which wins, and the amount written out."""

import csv
from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.wire.operations import OPERATIONS
from clauseway.metering import Unit
from clauseway.metering.endpoints import ENDPOINTS
from clauseway.pricing import PriceBook, PriceTable, Sale, UnknownPrice, parse_book
from clauseway.pricing.price_conditions import classes_of_hours, parse_hours
from clauseway.values import InvalidInput, KnownAt

IN, CACHED, OUT = Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.OUTPUT_TOKENS
HEADER = (
    "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source,"
    "buyer,tier,endpoint,above,hours,discount_percent\n"
)
LINES = """
gpt,,,,input_tokens,2026-01-01,,2026-01-01,4.00,list,,,,,,
gpt,,,,cached_input_tokens,2026-01-01,,2026-01-01,0.40,list,,,,,,
gpt,,,,output_tokens,2026-01-01,,2026-01-01,20.00,list,,,,,,
gpt,,,,input_tokens,2026-01-01,,2026-01-01,8.00,list long,,,,272000,,
gpt,,,,input_tokens,2026-01-01,,2026-01-01,9.00,list longest,,,,500000,,
gpt,,,,output_tokens,2026-01-01,,2026-01-01,30.00,list long,,,,272000,,
gpt,,,,input_tokens,2026-01-01,,2026-01-01,2.00,flex,,flex,,,,
gpt,,,,input_tokens,2026-01-01,,2026-01-01,4.00,flex long,,flex,,272000,,
gpt,,,,input_tokens,2026-01-01,,2026-01-01,5.00,flex longest,,flex,,500000,,
gpt,,,,input_tokens,2026-01-01,,2026-01-01,2.00,batch,,batch,,,,
gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,3.00,at night on aws,,,,,22-06,
gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,3.10,at night on aws in flex,,flex,,,22-06,
gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,6.00,at night and long on aws,,,,272000,22-06,
gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,6.10,at night and long on aws in flex,,flex,,272000,22-06,
gpt,aws,microsoft,,input_tokens,2026-01-01,,2026-01-01,3.50,embedded,,,embeddings,,22-06,
gpt,aws,microsoft,,input_tokens,2026-01-01,,2026-01-01,7.00,embedded long,,,embeddings,272000,22-06,
gpt,aws,microsoft,,input_tokens,2026-01-01,,2026-01-01,7.10,embedded long in flex,,flex,embeddings,272000,22-06,
gpt,azure,openai,,input_tokens,2026-02-01,,2026-01-15,3.20,agreed with Contoso,Contoso,,,,,
gpt,azure,,,,2026-03-01,2026-04-01,2026-02-15,,spring,,,,,,12.5
gpt,azure,,,output_tokens,2026-03-01,2026-04-01,2026-02-15,,spring on answers,,,,,,20
gpt,azure,openai,,,2026-03-01,2026-04-01,2026-02-15,,Fabrikam in spring,Fabrikam,,,,,33.333333
""".strip()
BOOK = parse_book(HEADER + LINES, "book.csv")
TABLE = PriceTable(BOOK, KnownAt.everything())
NIGHT, DAY = 23, 12  # of Monday


def test_the_prices_of_a_unit_are_told_apart_by_what_they_name_of_requests() -> None:
    conditions = {entry.source: "/".join(entry.conditions.of_requests) for entry in BOOK.entries}
    assert [conditions[source] for source in ("list", "list long", "flex longest", "batch", "agreed with Contoso")] == [
        "",
        "above-272000",
        "flex/above-500000",
        "batch",
        "",
    ]
    assert conditions["at night on aws"] == "from-hour-0"
    assert conditions["embedded long in flex"] == "flex/embeddings/above-272000/from-hour-0"


# sale, day, report → USD per million of input, of output, and where they stand
WINS = [
    (Sale("gpt", "azure", "openai", ""), "2026-02-10", 272_000, "4.00", "20.00"),
    (Sale("gpt", "azure", "openai", ""), "2026-02-10", 272_001, "8.00", "30.00"),
    (Sale("gpt", "azure", "openai", ""), "2026-02-10", 500_001, "9.00", "30.00"),
    (Sale("gpt", "azure", "openai", "", tier="flex"), "2026-02-10", 1, "2.00", "20.00"),
    (Sale("gpt", "azure", "openai", "", tier="flex"), "2026-02-10", 300_000, "4.00", "30.00"),
    (Sale("gpt", "azure", "openai", "", tier="priority"), "2026-02-10", 1, "4.00", "20.00"),
    # what a batch reports sums many requests: its length is not that of a context
    (Sale("gpt", "azure", "openai", "", "", "batch", "batches.retrieve"), "2026-02-10", 900_000, "2.00", "20.00"),
    (Sale("gpt", "azure", "openai", "", "", "default", "summed"), "2026-02-10", 900_000, "4.00", "20.00"),
    # a single request in the tier of batches has a length: its own price is of any, and its answers have none
    (Sale("gpt", "azure", "openai", "", tier="batch"), "2026-02-10", 900_000, "2.00", "30.00"),
    (Sale("gpt", "azure", "openai", "", tier="batch", endpoint="chat"), "2026-02-10", 272_000, "2.00", "20.00"),
    (Sale("gpt", "aws", "openai", "", hour=NIGHT), "2026-02-10", 1, "3.00", "20.00"),
    (Sale("gpt", "aws", "openai", "", hour=24 + 5), "2026-02-10", 1, "3.00", "20.00"),
    (Sale("gpt", "aws", "openai", "", hour=24 + 6), "2026-02-10", 1, "4.00", "20.00"),
    (Sale("gpt", "aws", "openai", "", hour=DAY), "2026-02-10", 1, "4.00", "20.00"),
    (Sale("gpt", "aws", "openai", "", hour=NIGHT), "2026-02-10", 300_000, "6.00", "30.00"),
    (Sale("gpt", "aws", "openai", "", hour=NIGHT, tier="flex"), "2026-02-10", 300_000, "6.10", "30.00"),
    (Sale("gpt", "aws", "microsoft", "", endpoint="embeddings", hour=NIGHT), "2026-02-10", 1, "3.50", "20.00"),
    (Sale("gpt", "aws", "microsoft", "", endpoint="chat", hour=NIGHT), "2026-02-10", 1, "3.00", "20.00"),
    (Sale("gpt", "azure", "openai", "", buyer="Contoso"), "2026-01-31", 1, "4.00", "20.00"),
    (Sale("gpt", "azure", "openai", "", buyer="Contoso"), "2026-02-01", 1, "3.20", "20.00"),
    (Sale("gpt", "azure", "openai", "", buyer="Fabrikam"), "2026-02-01", 1, "4.00", "20.00"),
    # 4.00 less 12.5 % = 3.50; 20.00 less 20 % = 16.00
    (Sale("gpt", "azure", "openai", ""), "2026-03-01", 1, "3.50", "16.00"),
    (Sale("gpt", "azure", "openai", ""), "2026-04-01", 1, "4.00", "20.00"),
    (Sale("gpt", "aws", "openai", ""), "2026-03-01", 1, "4.00", "20.00"),
    # what was negotiated is not discounted; what was not, is: 20.00 less 20 %
    (Sale("gpt", "azure", "openai", "", buyer="Contoso"), "2026-03-01", 1, "3.20", "16.00"),
    # 4,000,000 × 0.66666667 = 2,666,666.68 and 20,000,000 × 0.66666667 = 13,333,333.4: half-even to whole picodollars
    (Sale("gpt", "azure", "openai", "", buyer="Fabrikam"), "2026-03-01", 1, "2.666667", "13.333333"),
]


def settled(lines: str) -> PriceTable:
    return PriceTable(parse_book(HEADER + lines, "book.csv"), KnownAt.everything())


@pytest.mark.parametrize(("sale", "day", "tokens", "usd_in", "usd_out"), WINS)
def test_what_a_million_costs(sale: Sale, day: str, tokens: int, usd_in: str, usd_out: str) -> None:
    charge = TABLE.charge(sale, date.fromisoformat(day), {IN: tokens, OUT: 10})
    costs = {line.unit: Fraction(line.amount, line.quantity * 1_000_000) for line in charge.lines}
    assert costs == {IN: Fraction(usd_in), OUT: Fraction(usd_out)}


def test_the_book_and_the_line_that_won_are_named() -> None:
    charge = TABLE.charge(Sale("gpt", "azure", "openai", ""), date(2026, 3, 1), {IN: 10, CACHED: 4, OUT: 1})
    assert [(line.unit, line.place, line.source) for line in charge.lines] == [
        (IN, "book.csv:2 less book.csv:20", "list, less 12.5 %: spring"),
        (CACHED, "book.csv:3 less book.csv:20", "list, less 12.5 %: spring"),
        (OUT, "book.csv:4 less book.csv:21", "list, less 20 %: spring on answers"),
    ]


def test_a_discount_is_known_from_when_it_was_recorded() -> None:
    before = PriceTable(BOOK, KnownAt.end_of(date(2026, 2, 14)))
    assert before.price(Sale("gpt", "azure", "openai", ""), IN, date(2026, 3, 1)) == 4_000_000


def test_the_first_book_goes_before_the_others_for_all_of_a_model() -> None:
    own = parse_book(HEADER + "gpt,,,,input_tokens,2026-02-01,,2026-01-01,1.00,ours,,,,,,", "own.csv")
    table = PriceTable([own, BOOK], KnownAt.everything())
    sale = Sale("gpt", "aws", "openai", "", tier="flex", hour=NIGHT)
    prices = table.row(sale, date(2026, 2, 10)).won
    assert {unit: price.place for unit, price in prices.items()} == {IN: "own.csv:2"}
    assert table.price(sale, IN, date(2026, 1, 31)) == 3_100_000
    assert len({table.digest, own.digest, BOOK.digest}) == 3


REFUSED = [
    ("gpt,,,,input_tokens,2026-01-01,,2026-01-01,1,x,,,talk,,,", "unknown endpoint 'talk'"),
    ("gpt,,,,input_tokens,2026-01-01,,2026-01-01,1,x,,,,-5,,", "'-5' is not a length of a context"),
    ("gpt,,,,input_tokens,2026-01-01,,2026-01-01,1,x,,,,,25-26,", "'25-26' is not a time window"),
    ("gpt,,,,input_tokens,2026-01-01,,2026-01-01,1,x,,,,,monday,", "'monday' is not a time window"),
    ("gpt,,,,input_tokens,2026-01-01,,2026-01-01,1,x,,,,,,10", "a price and a discount in one line"),
    ("gpt,,,,input_tokens,2026-01-01,,2026-01-01,,x,,,,,,110", "a discount of 110"),
    ("gpt,,,,input_tokens,2026-01-01,,2026-01-01,,x,,,,,,0.0000001", "a discount of 0.0000001"),
    ("gpt,,,,,2026-01-01,,2026-01-01,1,x,,,,,,", "unknown unit ''"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_a_bad_condition_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        settled("gpt,azure,,,output_tokens,2026-01-01,,2026-01-01,1,list,,,,,,\n" + line)
    assert [(problem.line, said in problem.what) for problem in refused.value.problems] == [(3, True)]


START = "gpt,,,,input_tokens,2026-01-01,,2026-01-01,"
AMBIGUOUS = [
    ("gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,1,x,,,,,,", START + "1,x,,flex,,,,"),
    (START + "1,x,,,,,22-06,", START + "1,x,,,,,sun,"),
    (START + "1,x,,,,9,,", START + "1,x,A,,,,,"),
    ("gpt,,,,,2026-01-01,,2026-01-01,,x,,,,,,5", "gpt,,,,,2026-01-01,,2026-01-01,,x,,,,,,6"),
    ("gpt,aws,,,,2026-01-01,,2026-01-01,,x,,,,,,5", START + ",x,,,,,,6"),
]


@pytest.mark.parametrize(("first", "second"), AMBIGUOUS)
def test_what_neither_wins_is_refused_with_both_lines(first: str, second: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        settled(f"{first}\n{second}")
    (problem,) = refused.value.problems
    assert (problem.line, "line 2 is as specific" in problem.why) == (3, True)


DISTINCT = [
    (START + "1,x,,,,9,,", START + "2,x,,,,10,,"),
    (START + "1,x,,,,,mon-fri,", START + "1,x,,,,,sat,"),
    (START + "1,x,A,,,,,", START + "2,x,B,,,,,"),
    (START + "1,x,,,,,,", START + ",x,,,,,,5"),
]


@pytest.mark.parametrize(("first", "second"), DISTINCT)
def test_what_never_meets_or_is_a_longer_step_is_no_ambiguity(first: str, second: str) -> None:
    settled(f"{first}\n{second}")


WINDOWS = [
    ("22-06", 56, [22, 23, 24, 29], [6, 21, 30]),
    ("mon-fri 08-18", 50, [8, 17, 4 * 24 + 17], [18, 5 * 24 + 8]),
    ("sat,sun", 48, [120, 167], [119, 0]),
    ("sun 22-06", 8, [166, 167, 0, 5], [6, 165]),
    ("fri-mon 00-24", 96, [96, 167, 0, 23], [24, 95]),
]


@pytest.mark.parametrize(("text", "count", "within", "without"), WINDOWS)
def test_time_windows(text: str, count: int, within: list[int], without: list[int]) -> None:
    hours = parse_hours(text)
    assert len(hours) == count
    assert hours >= set(within)
    assert not hours & set(without)


@given(st.lists(st.frozensets(st.integers(0, 167), min_size=1), max_size=4))
def test_hours_of_one_class_are_in_the_same_windows(windows: list[frozenset[int]]) -> None:
    for hour, first in classes_of_hours(windows).items():
        assert [hour in window for window in windows] == [first in window for window in windows]


def test_columns_may_stand_in_any_order_and_be_left_out() -> None:
    head, *lines = [line.split(",") for line in (HEADER + LINES.splitlines()[0]).splitlines()]
    turned = "\n".join(",".join(reversed(line)) for line in (head, *lines))
    assert parse_book(turned, "b").entries == parse_book("\n".join(map(",".join, (head, *lines))), "b").entries


@pytest.mark.parametrize("header", ["product,cloud", HEADER.strip() + ",colour", HEADER.strip() + ",tier"])
def test_a_header_with_columns_missing_unknown_or_twice(header: str) -> None:
    with pytest.raises(InvalidInput, match="not the header"):
        parse_book(header, "book.csv")


SALES = st.builds(
    Sale,
    st.just("gpt"),
    st.sampled_from(["azure", "aws"]),
    st.sampled_from(["openai", "microsoft"]),
    st.just(""),
    st.sampled_from(["", "Contoso", "Fabrikam", "Acme"]),
    st.sampled_from(["default", "flex", "priority"]),
    st.sampled_from(["chat", "embeddings"]),
    st.integers(0, 600_000),
    st.integers(-1, 167),
)


@given(SALES, st.dates(date(2026, 1, 1), date(2026, 4, 30)))
def test_a_group_has_one_price(sale: Sale, day: date) -> None:
    """Sales that the grain puts together cost the same: the price that a look through the lines finds."""
    group = TABLE.grain([sale]).group_of(sale)
    prices = TABLE.row(sale, day).prices
    (row,) = (row for row in TABLE.rows([group]) if row.begin <= day < row.end)
    assert row.prices == prices
    assert Fraction(prices[IN]) == _by_hand(sale, day, "input_tokens")
    assert Fraction(prices[OUT]) == _by_hand(sale, day, "output_tokens")


def _by_hand(sale: Sale, day: date, unit: str) -> Fraction:
    """The price again, read from the text with nothing of the product's in between."""
    best: dict[str, tuple[tuple[int, int, str], dict[str, str]]] = {}
    for line in csv.DictReader((HEADER + LINES).splitlines()):
        ends = line["end"] or "9999"
        wanted = {name: line[name] for name in ("product", "cloud", "seller", "region", "buyer", "tier", "endpoint")}
        hours = {h % 168 for d in range(7) for h in range(d * 24 + 22, d * 24 + 30)} if line["hours"] else set()
        if (
            line["unit"] in ("", unit)
            and line["begin"] <= str(day) < ends
            and all(not value or value == getattr(sale, name) for name, value in wanted.items())
            and (not line["above"] or sale.context > int(line["above"]))
            and (not hours or sale.hour in hours)
        ):
            named = sum(bool(line[name]) for name in (*wanted, "above", "hours"))
            kind = "discount" if line["discount_percent"] else "price"
            rank = (named + (kind == "discount" and bool(line["unit"])), int(line["above"] or 0), line["begin"])
            best[kind] = max(best.get(kind, ((-1, 0, ""), {})), (rank, line), key=lambda pair: pair[0])
    price = Fraction(best["price"][1]["usd_per_million"]) * 1_000_000
    if "discount" not in best or best["price"][1]["buyer"]:
        return price
    return Fraction(round(price * (100 - Fraction(best["discount"][1]["discount_percent"])) / 100))


def test_the_endpoints_are_those_of_the_gateway() -> None:
    assert {operation.name: operation.code for operation in OPERATIONS} == dict(ENDPOINTS)


def test_two_currencies_in_one_sale_are_refused() -> None:
    header = "product,cloud,seller,region,unit,begin,end,known_at,per_million,source,currency\n"
    lines = "gpt,,,,input_tokens,2026-01-01,,2026-01-01,1,x,EUR\ngpt,,,,output_tokens,2026-01-01,,2026-01-01,1,x,USD"
    table = PriceTable(parse_book(header + lines, "book.csv"), KnownAt.everything())
    with pytest.raises(InvalidInput, match="two currencies"):
        table.row(Sale("gpt", "aws", "openai", ""), date(2026, 1, 1))


def test_an_unknown_price_in_another_tier_only() -> None:
    book: PriceBook = parse_book(HEADER + "gpt,,,,input_tokens,2026-01-01,,2026-01-01,1,x,,flex,,,,", "book.csv")
    table = PriceTable(book, KnownAt.everything())
    assert table.price(Sale("gpt", "aws", "openai", "", tier="flex"), IN, date(2026, 1, 1)) == 1_000_000
    with pytest.raises(UnknownPrice):
        table.price(Sale("gpt", "aws", "openai", ""), IN, date(2026, 1, 1))


# product, tier → what 300,000 input tokens of one request cost: the price of batches by length, where there is one
BATCHED = """
one,,,,input_tokens,2026-01-01,,2026-01-01,5.00,list,,,,,,
one,,,,input_tokens,2026-01-01,,2026-01-01,10.00,long,,,,272000,,
two,,,,input_tokens,2026-01-01,,2026-01-01,5.00,list,,,,,,
two,,,,input_tokens,2026-01-01,,2026-01-01,10.00,long,,,,272000,,
two,,,,input_tokens,2026-01-01,,2026-01-01,2.50,batch,,batch,,,,
two,,,,input_tokens,2026-01-01,,2026-01-01,5.00,batch long,,batch,,272000,,
off,,,,input_tokens,2026-01-01,,2026-01-01,5.00,list,,,,,,
off,,,,input_tokens,2026-01-01,,2026-01-01,,long,,,,272000,,10
off,,,,input_tokens,2026-01-01,,2026-01-01,,batch,,batch,,,,50
"""
OF_ONE = [
    ("one", "batch", "3"),
    ("two", "batch", "1.5"),
    ("off", "batch", "0.75"),
    ("one", "default", "3"),
    ("two", "default", "3"),
    ("off", "default", "1.35"),
]
OF_SUMS = [
    ("one", "batch", "1.5"),
    ("two", "batch", "0.75"),
    ("off", "batch", "0.75"),
    ("one", "default", "1.5"),
    ("two", "default", "1.5"),
    ("off", "default", "1.5"),
]


@pytest.mark.parametrize(("product", "tier", "usd"), OF_ONE)
def test_a_single_request_is_priced_by_its_own_length_in_every_tier(product: str, tier: str, usd: str) -> None:
    table = PriceTable(parse_book(HEADER + BATCHED, "book.csv"), KnownAt.everything())
    charge = table.charge(Sale(product, "azure", "openai", "", tier=tier), date(2026, 5, 1), {IN: 300_000})
    assert charge.amount == Decimal(usd)


@pytest.mark.parametrize(("product", "tier", "usd"), OF_SUMS)
def test_a_sum_of_many_requests_has_no_length(product: str, tier: str, usd: str) -> None:
    table = PriceTable(parse_book(HEADER + BATCHED, "book.csv"), KnownAt.everything())
    sale = Sale(product, "azure", "openai", "", tier=tier)
    for line, report in (
        (msgspec.structs.replace(sale, endpoint="batches.retrieve"), {IN: 300_000}),
        (msgspec.structs.replace(sale, endpoint="summed"), {IN: 300_000}),
        (sale, {IN: 300_000, Unit.REQUESTS: 2}),
    ):
        assert table.charge(line, date(2026, 5, 1), report).amount == Decimal(usd)


# The first book prices only some units of a model; the second knows the rest, and another model.
FIRST = """
gpt,,,,input_tokens,2026-01-01,,2026-01-01,4.00,ours,,,,,,
gpt,,,,output_tokens,2026-02-01,,2026-01-01,20.00,ours,,,,,,
"""
SECOND = """
gpt,,,,input_tokens,2026-01-01,,2026-01-01,1.00,list,,,,,,
gpt,,,,cached_input_tokens,2026-01-01,,2026-01-01,0.10,list,,,,,,
gpt,,,,output_tokens,2026-01-01,,2026-01-01,2.00,list,,,,,,
oss,,,,input_tokens,2026-01-01,,2026-01-01,0.50,list,,,,,,
"""


def two_books() -> PriceTable:
    books = (parse_book(HEADER + FIRST.lstrip(), "ours.csv"), parse_book(HEADER + SECOND.lstrip(), "list.csv"))
    return PriceTable(books, KnownAt.everything())


def test_a_book_is_whole_for_a_model_that_it_prices() -> None:
    sale = Sale("gpt", "azure", "openai", "")
    charge = two_books().charge(sale, date(2026, 2, 1), {IN: 1000, CACHED: 600, OUT: 10})
    # the cached part has no price there and is input: 1,000 × 4.00 + 10 × 20.00
    assert charge.amount == Decimal("0.0042")
    assert {line.place for line in charge.lines} == {"ours.csv:2", "ours.csv:3"}
    # a whole that it does not list is no other book's: it is refused
    with pytest.raises(UnknownPrice, match="output_tokens of gpt"):
        two_books().charge(sale, date(2026, 1, 31), {IN: 1000, OUT: 10})
    assert two_books().charge(Sale("oss", "aws", "amazon", ""), date(2026, 2, 1), {IN: 1000}).amount == Decimal(
        "0.0005"
    )


@given(st.sampled_from(["gpt", "oss"]), st.dates(date(2025, 12, 1), date(2026, 4, 1)))
def test_all_prices_of_a_sale_are_of_one_book(product: str, day: date) -> None:
    row = two_books().row(Sale(product, "azure", "openai", ""), day)
    assert len({price.entry.book for price in row.won.values()}) <= 1
