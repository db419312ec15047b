"""The price book: what it refuses, which price wins, and charges as written-out arithmetic."""

from datetime import date
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.metering import Unit
from clauseway.pricing import PriceTable, Sale, UnknownPrice, parse_book
from clauseway.values import InvalidInput, KnownAt

HEADER = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
SHIPPED = parse_book((files("clauseway.pricing") / "data" / "prices.csv").read_text(), "prices.csv")
TABLE = PriceTable(SHIPPED, KnownAt.everything())
IN, CACHED, OUT, REASONING = (
    Unit.INPUT_TOKENS,
    Unit.CACHED_INPUT_TOKENS,
    Unit.OUTPUT_TOKENS,
    Unit.REASONING_TOKENS,
)


def book(*lines: str) -> PriceTable:
    return PriceTable(parse_book(HEADER + "\n".join(lines), "book.csv"), KnownAt.everything())


# product, cloud, day, report → USD. Prices per million tokens: 2.50 / 0.25 / 15 and 5 / 0.50 / 30; aws 10 % above.
CHARGES = [
    # 1,000 × 2.50 + 500 × 15.00 = 2,500 + 7,500 millionths
    ("gpt-5.4", "azure", "2026-04-26", {IN: 1000, OUT: 500}, "0.010000000000"),
    # 600 × 2.50 + 400 cached × 0.25 + 500 × 15.00 = 1,500 + 100 + 7,500 millionths
    ("gpt-5.4", "azure", "2026-04-26", {IN: 1000, CACHED: 400, OUT: 500}, "0.009100000000"),
    # reasoning is inside output and has no price of its own: 500 × 15.00
    ("gpt-5.4", "azure", "2026-05-31", {IN: 0, OUT: 500, REASONING: 450}, "0.007500000000"),
    # 1 cached token of 1: 0.275 millionths
    ("gpt-5.4", "aws", "2026-04-27", {IN: 1, CACHED: 1}, "0.000000275000"),
    # 1,000 × 5.50 + 500 × 33.00 = 5,500 + 16,500 millionths
    ("gpt-5.5", "aws", "2026-05-01", {IN: 1000, OUT: 500}, "0.022000000000"),
    ("gpt-5.5", "azure", "2026-05-01", {IN: 1000, OUT: 500}, "0.020000000000"),
    ("gpt-5.5", "azure", "2026-05-01", {}, "0.000000000000"),
]


@pytest.mark.parametrize(("product", "cloud", "day", "report", "usd"), CHARGES)
def test_charges(product: str, cloud: str, day: str, report: dict[Unit, int], usd: str) -> None:
    charge = TABLE.charge(Sale(product, cloud, "openai", "eastus2"), date.fromisoformat(day), report)
    assert f"{charge.amount:.12f}" == usd
    assert sum(line.quantity * line.price for line in charge.lines) == charge.picodollars


# product, cloud, tier, input tokens of the request → USD of a million tokens in, and of a million out
TIERS_AND_LENGTHS = [
    ("gpt-5.5", "azure", "default", 272_000, "5.00", "30.00"),
    ("gpt-5.5", "azure", "default", 272_001, "10.00", "45.00"),
    ("gpt-5.5", "azure", "priority", 1_000, "12.50", "75.00"),
    ("gpt-5.5", "azure", "priority", 272_001, "20.00", "90.00"),
    ("gpt-5.5", "azure", "batch", 1_000, "2.50", "15.00"),
    ("gpt-5.4", "azure", "priority", 1_000, "5.00", "30.00"),
    ("gpt-5.5", "aws", "default", 272_001, "11.00", "49.50"),
    ("gpt-5.4-mini", "openai-own", "priority", 1_000, "1.50", "9.00"),
    ("gpt-5.4-nano", "openai-own", "batch", 1_000, "0.10", "0.625"),
]


@pytest.mark.parametrize(("product", "cloud", "tier", "tokens", "usd_in", "usd_out"), TIERS_AND_LENGTHS)
def test_tiers_and_long_requests_have_their_prices(
    product: str, cloud: str, tier: str, tokens: int, usd_in: str, usd_out: str
) -> None:
    sale, day = Sale(product, cloud, "openai", "eastus2", tier=tier, context=tokens), date(2026, 12, 1)
    prices = [TABLE.price(sale, unit, day) for unit in (IN, OUT)]
    assert prices == [Decimal(usd_in) * 10**6, Decimal(usd_out) * 10**6]


def test_the_working_names_quantity_price_and_source() -> None:
    day = date(2026, 5, 1)
    charge = TABLE.charge(Sale("gpt-5.5", "aws", "openai", "us-east-2"), day, {IN: 10, CACHED: 4, OUT: 2})
    assert [(line.unit, line.quantity, line.price) for line in charge.lines] == [
        (IN, 6, 5_500_000),
        (CACHED, 4, 550_000),
        (OUT, 2, 33_000_000),
    ]
    assert all("observed 2026-06-03" in line.source for line in charge.lines)


UNKNOWN = [
    ("gpt-5.4", "google-cloud", "2026-05-01", {IN: 1}, "input_tokens of gpt-5.4 on google-cloud", "2026-05-01"),
    ("gpt-5.5", "azure", "2026-04-22", {OUT: 1}, "output_tokens of gpt-5.5 on azure", "2026-04-22"),
    ("gpt-6", "azure", "2026-05-01", {IN: 1}, "input_tokens of gpt-6 on azure", "2026-05-01"),
    # Heard by the minute: inside nothing else, so never free.
    (
        "gpt-5.5",
        "azure",
        "2026-05-01",
        {Unit.AUDIO_INPUT_MILLISECONDS: 1},
        "audio_input_milliseconds of gpt-5.5 on azure",
        "2026-05-01",
    ),
]


@pytest.mark.parametrize(("product", "cloud", "day", "report", "what", "when"), UNKNOWN)
def test_an_unknown_price_is_an_error(
    product: str, cloud: str, day: str, report: dict[Unit, int], what: str, when: str
) -> None:
    with pytest.raises(UnknownPrice) as refused:
        TABLE.charge(Sale(product, cloud, "openai", ""), date.fromisoformat(day), report)
    assert what in str(refused.value)
    assert when in str(refused.value)


def test_a_price_is_known_from_the_day_it_was_recorded() -> None:
    sale, day = Sale("gpt-5.4", "aws", "openai", "us-east-2"), date(2026, 5, 1)
    assert TABLE.price(sale, IN, day) == 2_750_000
    with pytest.raises(UnknownPrice):
        PriceTable(SHIPPED, KnownAt.end_of(date(2026, 6, 2))).price(sale, IN, day)
    assert PriceTable(SHIPPED, KnownAt.end_of(date(2026, 6, 3))).price(sale, IN, day) == 2_750_000


WINNERS = [
    "gpt,,,,input_tokens,2026-01-01,,2026-01-01,1.00,list",
    "gpt,,,,input_tokens,2026-03-01,,2026-01-01,2.00,list from March",
    "gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,3.00,aws",
    "gpt,aws,,us-east-2,input_tokens,2026-02-01,2026-03-01,2026-01-01,4.00,in-region for a month",
    "gpt,,acme,,input_tokens,2026-01-01,,2026-01-01,5.00,negotiated",
    "gpt,aws,acme,,input_tokens,2026-01-01,,2026-01-01,6.00,negotiated on aws",
    "gpt,azure,acme,,input_tokens,2026-01-01,,2026-01-01,7.00,negotiated on azure",
    "gpt,aws,acme,us-east-2,input_tokens,2026-02-01,2026-03-01,2026-01-01,6.50,negotiated in-region",
    "gpt,oci,,,input_tokens,2026-01-01,,2026-01-01,8.00,oci",
    "gpt,oci,,,input_tokens,2026-01-01,,2026-02-01,9.00,oci corrected",
]
# cloud, seller, region, day → USD per million
WINS = [
    ("azure", "openai", "", "2026-02-28", 1),
    ("azure", "openai", "", "2026-03-01", 2),
    ("aws", "openai", "us-west-2", "2026-02-15", 3),
    ("aws", "openai", "us-east-2", "2026-01-31", 3),
    ("aws", "openai", "us-east-2", "2026-02-01", 4),
    ("aws", "openai", "us-east-2", "2026-03-01", 3),
    ("aws", "acme", "us-west-2", "2026-03-01", 6),
    ("aws", "acme", "us-east-2", "2026-02-28", 6.5),
    ("azure", "acme", "", "2026-03-01", 7),
    ("google-cloud", "acme", "", "2026-03-01", 5),
]


@pytest.mark.parametrize(("cloud", "seller", "region", "day", "usd"), WINS)
def test_the_most_specific_wins_then_the_latest_start(
    cloud: str, seller: str, region: str, day: str, usd: float
) -> None:
    table = book(*WINNERS[:8])
    assert table.price(Sale("gpt", cloud, seller, region), IN, date.fromisoformat(day)) == usd * 1_000_000


def test_a_correction_holds_from_when_it_was_recorded() -> None:
    read, sale = parse_book(HEADER + "\n".join(WINNERS[8:]), "book.csv"), Sale("gpt", "oci", "openai", "")
    before = PriceTable(read, KnownAt.end_of(date(2026, 1, 31)))
    after = PriceTable(read, KnownAt.end_of(date(2026, 2, 1)))
    assert [table.price(sale, IN, date(2026, 1, 10)) for table in (before, after)] == [8_000_000, 9_000_000]


REFUSED = [
    ("gpt,aws,,,input_token,2026-01-01,,2026-01-01,1,list", "unknown unit 'input_token'"),
    ("gpt,aws,,,input_tokens,2026-01-32,,2026-01-01,1,list", "begin: '2026-01-32' is not a day"),
    ("gpt,aws,,,input_tokens,2026-01-01,2026-01-01,2026-01-01,1,list", "never in force"),
    ("gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,-1,list", "a minus sign stands where no number is below zero"),
    ("gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,one,list", "'one' is not a price"),
    ("gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,Infinity,list", "'Infinity' is not a price"),
    ("gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,0.0000001,list", "more decimal places than the 6 that are kept"),
    ("gpt,aws,,,input_tokens,2026-01-01,,2026-01-01,1,", "without a source"),
    ("gpt,aws,input_tokens,2026-01-01,,2026-01-01,1,list", "8 fields"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED)
def test_a_bad_line_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        book("gpt,azure,,,input_tokens,2026-01-01,,2026-01-01,1,list", line)
    (problem,) = refused.value.problems
    assert said in str(problem)
    assert (problem.where, problem.line) == ("book.csv", 3)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        book(*(line for line, _ in REFUSED))
    assert [problem.line for problem in refused.value.problems] == list(range(2, 2 + len(REFUSED)))


AMBIGUOUS = [
    # as specific, and both match gpt on aws sold by acme
    ("gpt,aws,,", "gpt,,acme,", "2026-01-01,", "2026-01-01,"),
    (",aws,,", "gpt,,,", "2026-01-01,", "2026-01-01,"),
    # the same conditions, both with an end, overlapping
    ("gpt,aws,,", "gpt,aws,,", "2026-01-01,2026-03-01", "2026-02-01,2026-04-01"),
    # the same conditions from the same day
    ("gpt,aws,,", "gpt,aws,,", "2026-01-01,", "2026-01-01,"),
]


@pytest.mark.parametrize(("first", "second", "when", "and_when"), AMBIGUOUS)
def test_overlaps_are_ambiguous(first: str, second: str, when: str, and_when: str) -> None:
    with pytest.raises(InvalidInput, match="ambiguous price of input_tokens"):
        book(f"{first},input_tokens,{when},2026-01-01,1,list", f"{second},input_tokens,{and_when},2026-01-01,2,list")


def test_neighbours_and_other_units_do_not_meet() -> None:
    book(
        "gpt,aws,,,input_tokens,2026-01-01,2026-02-01,2026-01-01,1,list",
        "gpt,aws,,,input_tokens,2026-02-01,2026-03-01,2026-01-01,2,list",
        "gpt,aws,,,output_tokens,2026-01-01,2026-03-01,2026-01-01,2,list",
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "product;cloud\n"])
def test_a_file_that_is_no_book(text: str) -> None:
    with pytest.raises(InvalidInput, match="not the header"):
        parse_book(text, "book.csv")


DAYS = st.dates(date(2026, 1, 1), date(2026, 3, 31))


@given(DAYS, st.sampled_from(["azure", "aws", "google-cloud"]), st.sampled_from(["openai", "acme"]))
def test_a_single_price_and_the_rows_agree(day: date, cloud: str, seller: str) -> None:
    table, sale = book(*WINNERS[:8]), Sale("gpt", cloud, seller, "us-east-2")
    in_force = [row for row in table.rows([sale]) if row.begin <= day < row.end]
    assert [row.prices[IN] for row in in_force] == [table.price(sale, IN, day)]
