"""Lines of a book that decide a price: why the others lost, which two are ambiguous, how finely sales differ."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from clauseway.metering import Unit
from clauseway.metering.units import WHOLES
from clauseway.pricing import PriceTable, Sale, UnknownPrice, parse_book
from clauseway.pricing.price_conditions import Conditions, parse_hours
from clauseway.pricing.price_table import in_context
from clauseway.pricing.working import considered
from clauseway.values import InvalidInput, KnownAt, start_of_day_ns

IN, CACHED, OUT = Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.OUTPUT_TOKENS
HEADER = (
    "product,cloud,seller,region,buyer,tier,endpoint,above,hours,unit,begin,end,known_at,usd_per_million,"
    "discount_percent,source\n"
)
DAY = date(2026, 3, 10)


def line(said: str = "", price: str = "1", unit: str = "input_tokens") -> str:
    """A price of `gpt` from 2026 on, recorded on New Year's Day, unless it is said otherwise; `off=5` is a discount."""
    fields = {"product": "gpt", "begin": "2026-01-01", "known_at": "2026-01-01", "unit": unit, "source": "x"}
    fields |= dict(part.split("=") for part in said.split(" ") if part)
    off = fields.pop("off", "")
    fields |= {"discount_percent": off, "usd_per_million": "" if off else price}
    cells = [fields.pop(name, "") for name in HEADER.strip().split(",")]
    assert not fields, fields
    return ",".join(f'"{cell}"' if "," in cell else cell for cell in cells)


def book(*lines: str, name: str = "book.csv") -> PriceTable:
    return PriceTable(parse_book(HEADER + "\n".join(lines), name), KnownAt.everything())


SALE = Sale("gpt", "aws", "openai", "us", buyer="Contoso", hour=23)
# Lines of a book · the sale · its tokens → the verdict on each line, and why.
CONSIDERED: list[tuple[list[str], Sale, int, list[str]]] = [
    (
        [line(), line("cloud=aws"), line("cloud=azure"), line("cloud=aws seller=openai")],
        SALE,
        1,
        [
            "skipped: book.csv:5 names more conditions",
            "skipped: book.csv:5 names more conditions",
            "skipped: it is for cloud azure, not aws",
            "won: it names the most of those that hold",
        ],
    ),
    (
        [line(), line("buyer=Acme"), line("buyer=Contoso")],
        SALE,
        1,
        [
            "skipped: book.csv:4 names more conditions",
            "skipped: it is for buyer Acme, not Contoso",
            "won: it names the most of those that hold",
        ],
    ),
    (
        [line(), line("buyer=Acme")],
        Sale("gpt", "aws", "openai", ""),
        1,
        [
            "won: it names the most of those that hold",
            "skipped: it is for buyer Acme, not an unnamed one",
        ],
    ),
    (
        [line("above=200"), line("above=100"), line()],
        SALE,
        200,
        [
            "skipped: it is for more than 200 input tokens, these are 200",
            "won: it names the most of those that hold",
            "skipped: book.csv:3 names more conditions",
        ],
    ),
    (
        [line("above=200"), line("above=100"), line()],
        SALE,
        201,
        [
            "won: it names the most of those that hold",
            "skipped: book.csv:2 is for longer contexts",
            "skipped: book.csv:2 names more conditions",
        ],
    ),
    (
        [line("hours=08-18"), line("hours=22-06")],
        SALE,
        1,
        [
            "skipped: it is for other hours",
            "won: it names the most of those that hold",
        ],
    ),
    (
        [
            line("begin=2026-04-01"),
            line("begin=2026-02-01"),
            line("end=2026-03-01 known_at=2025-12-30"),
            line("begin=2026-01-15"),
        ],
        SALE,
        1,
        [
            "skipped: it is in force from 2026-04-01",
            "won: it names the most of those that hold",
            "skipped: it is in force from 2026-01-01 until 2026-03-01",
            "skipped: book.csv:3 begins later",
        ],
    ),
    (
        [line(), line("known_at=2026-01-02")],
        SALE,
        1,
        [
            "skipped: book.csv:3 was recorded later and corrects it",
            "won: it names the most of those that hold",
        ],
    ),
    (
        [line(), line("known_at=2026-05-02")],
        SALE,
        1,
        [
            "won: it names the most of those that hold",
            "skipped: it was recorded on 2026-05-02, which was not known then",
        ],
    ),
    # In the tier of batches its own price, which is of any length, goes before one of a length in any tier.
    (
        [line(), line("above=100"), line("tier=batch")],
        Sale("gpt", "aws", "openai", "", tier="batch"),
        500,
        [
            "skipped: book.csv:4 names more conditions",
            "skipped: book.csv:4 is the price of batches of any length",
            "won: it names the most of those that hold",
        ],
    ),
    # A discount on batches is no price of them.
    (
        [line("above=100"), line("off=5 tier=batch")],
        Sale("gpt", "aws", "openai", "", tier="batch"),
        500,
        ["won: it names the most of those that hold", "discount: it names the most of those that hold"],
    ),
    (
        [line(), line("off=10 cloud=aws"), line("off=5"), line("off=5 cloud=azure")],
        SALE,
        1,
        [
            "won: it names the most of those that hold",
            "discount: it names the most of those that hold",
            "skipped: book.csv:3 names more conditions",
            "skipped: it is for cloud azure, not aws",
        ],
    ),
    (
        [line("buyer=Contoso"), line("off=5")],
        SALE,
        1,
        [
            "won: it names the most of those that hold",
            "skipped: book.csv:2 was negotiated as a whole",
        ],
    ),
    (
        [line("cloud=azure"), line("cloud=oci")],
        SALE,
        1,
        [
            "skipped: it is for cloud azure, not aws",
            "skipped: it is for cloud oci, not aws",
        ],
    ),
    # Other products and units are not looked at; a price of any product, and a discount on every unit, are.
    (
        [line("product=gpt-6"), line(unit="output_tokens"), line("product="), line(), line("off=5", unit="")],
        SALE,
        1,
        [
            "skipped: book.csv:5 names more conditions",
            "won: it names the most of those that hold",
            "discount: it names the most of those that hold",
        ],
    ),
]


@pytest.mark.parametrize(("lines", "sale", "tokens", "verdicts"), CONSIDERED)
def test_why_each_line_won_or_lost(lines: Sequence[str], sale: Sale, tokens: int, verdicts: list[str]) -> None:
    read = parse_book(HEADER + "\n".join(lines), "book.csv")
    table = PriceTable(read, KnownAt.end_of(date(2026, 5, 1)))
    candidates = considered(table, sale, IN, DAY, tokens)
    assert [f"{each.verdict}: {each.why}" for each in candidates] == verdicts
    missed = ("it is for ",)
    assert [each.holds for each in candidates] == [not each.why.startswith(missed) for each in candidates]


def test_the_first_book_goes_before_the_others() -> None:
    books = [parse_book(HEADER + line(said), name) for name, said in (("own.csv", ""), ("list.csv", "cloud=aws"))]
    candidates = considered(PriceTable(books, KnownAt.everything()), SALE, IN, DAY, 1)
    assert [(each.verdict, each.why) for each in candidates] == [
        ("won", "it names the most of those that hold"),
        ("skipped", "own.csv goes before it"),
    ]


# Two lines · whether they are ambiguous. Neither names more than the other.
PAIRS = [
    ("cloud=aws", "seller=openai", True),
    ("cloud=aws", "cloud=azure", False),
    ("cloud=aws", "cloud=aws known_at=2026-01-02", False),
    ("cloud=aws", "seller=openai known_at=2026-01-02", True),
    ("above=100", "above=200", False),
    ("above=100 cloud=aws", "above=200 seller=openai", True),
    ("above=100 cloud=aws", "above=200 cloud=aws", False),
    ("hours=22-06", "hours=08-18", False),
    ("hours=22-06", "hours=05-18", True),
    ("hours=22-06", "cloud=aws", True),
    ("cloud=aws", "hours=22-06", True),
    # A price of batches goes before one of a length in any tier, whichever stands first.
    ("tier=batch", "above=100", False),
    ("above=100", "tier=batch", False),
    ("tier=batch", "above=1", False),
    ("tier=flex", "above=100", True),
    # Of two prices of batches neither goes before the other.
    ("tier=batch cloud=aws", "tier=batch seller=openai", True),
    ("tier=batch above=50", "above=100 cloud=aws", True),
    ("tier=batch cloud=aws", "above=100 hours=22-06", False),
    # One succeeds the other where the earlier is open-ended.
    ("begin=2026-02-01", "begin=2026-03-01", False),
    ("begin=2026-03-01", "begin=2026-02-01", False),
    ("begin=2026-02-01 end=2026-04-01", "begin=2026-03-01", True),
    ("begin=2026-03-01", "begin=2026-02-01 end=2026-04-01", True),
    ("begin=2026-02-01", "begin=2026-03-01 end=2026-04-01", False),
    ("begin=2026-02-01", "begin=2026-02-01 end=2026-04-01", True),
    # Discounts meet discounts alone. One on a unit names one condition more.
    ("off=5", "off=6", True),
    ("off=5 unit=", "off=6 unit= cloud=aws", False),
    ("off=5 unit= cloud=aws", "off=6", True),
    ("off=6", "off=5 unit= cloud=aws", True),
    ("off=5 unit= cloud=aws", "off=6 seller=openai", False),
    ("off=5 unit= cloud=aws", "off=6 unit= seller=openai", True),
    ("off=5 unit= above=100", "off=6", True),
    ("off=5", "cloud=aws", False),
    ("cloud=aws", "product= cloud=aws seller=openai", True),
    ("cloud=aws", "product=gpt-6 seller=openai", False),
]


@pytest.mark.parametrize(("first", "second", "ambiguous"), PAIRS)
def test_which_two_lines_are_ambiguous(first: str, second: str, ambiguous: bool) -> None:
    if not ambiguous:
        book(line(first), line(second))
        return
    with pytest.raises(InvalidInput) as refused:
        book(line(first), line(second))
    [problem] = refused.value.problems
    kind = "discount" if "off" in second else "price"
    of = "" if "unit=" in first and "unit=" in second else " of input_tokens"
    assert problem.what == f"an ambiguous {kind}{of}"
    assert (problem.line, problem.why.split(" is ")[0]) == (3, "line 2")


# Two lines that meet on gpt, on aws, sold by openai, from February on · a third · whether it decides between them.
MEETING = ("cloud=aws begin=2026-02-01", "seller=openai")
DECIDING = [
    ("cloud=aws seller=openai", True),
    ("cloud=aws seller=openai begin=2026-02-01", True),
    ("cloud=aws seller=openai begin=2026-02-02", False),
    ("cloud=aws seller=openai end=2026-12-31", False),
    ("cloud=aws seller=openai region=us", False),
    ("cloud=aws region=us", False),
    ("cloud=aws seller=openai unit=output_tokens", False),
    ("cloud=aws seller=openai known_at=2026-01-02", False),
    ("cloud=aws seller=openai off=5", False),
]


@pytest.mark.parametrize(("third", "decides"), DECIDING)
def test_a_line_that_names_both_conditions_decides_between_them(third: str, decides: bool) -> None:
    lines = [*map(line, MEETING), line(third)]
    if decides:
        assert book(*lines).price(Sale("gpt", "aws", "openai", ""), IN, DAY) == 1_000_000
        return
    with pytest.raises(InvalidInput, match="line 2 is as specific and meets it on 2026-02-01"):
        book(*lines)


@pytest.mark.parametrize(("known", "decides"), [("01", True), ("02", True), ("03", True), ("04", False)])
def test_a_line_decides_if_it_is_known_once_both_are(known: str, decides: bool) -> None:
    """The first of the two was recorded on New Year's Day, the second on 3 January."""
    third = line(f"cloud=aws seller=openai known_at=2026-01-{known}")
    lines = (line("cloud=aws"), line("seller=openai known_at=2026-01-03"), third)
    if decides:
        book(*lines)
        return
    with pytest.raises(InvalidInput, match="line 2 is as specific"):
        book(*lines)


def test_a_line_is_refused_once_whatever_it_meets() -> None:
    with pytest.raises(InvalidInput) as refused:
        book(line("cloud=aws"), line("seller=openai"), line("region=us"), line("buyer=Acme"))
    assert [problem.line for problem in refused.value.problems] == [3, 4, 5]


def test_a_pair_that_a_third_decides_hides_no_other() -> None:
    with pytest.raises(InvalidInput) as refused:
        book(line("cloud=aws"), line("seller=openai"), line("cloud=aws seller=openai"), line("region=us"))
    assert [(problem.line, problem.why[:6]) for problem in refused.value.problems] == [(5, "line 2")]


def test_a_wrong_header_is_named_with_its_line() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_book("# our prices\n\nproduct;cloud\n", "book.csv")
    [problem] = refused.value.problems
    assert (problem.line, problem.why) == (3, "it reads 'product;cloud'")


# Conditions that hold for all that the others hold for.
COVERS = [
    ("", "cloud=aws", True),
    ("cloud=aws", "", False),
    ("cloud=aws", "cloud=aws seller=openai", True),
    ("cloud=aws", "cloud=azure", False),
    ("above=100", "above=100", True),
    ("above=100", "above=200", True),
    ("above=200", "above=100", False),
    ("above=100", "", False),
    ("cloud=aws above=200", "cloud=aws above=100", False),
    ("hours=22-06", "hours=23-05", True),
    ("hours=23-05", "hours=22-06", False),
    ("hours=22-06", "", False),
    ("", "hours=22-06", True),
]


def conditions(text: str) -> Conditions:
    [entry] = parse_book(HEADER + line(text), "book.csv").entries
    return entry.conditions


@pytest.mark.parametrize(("wide", "narrow", "covers"), COVERS)
def test_which_conditions_cover_which(wide: str, narrow: str, covers: bool) -> None:
    assert conditions(wide).covers(conditions(narrow)) is covers


def test_the_conditions_of_both() -> None:
    night, late = "hours=22-06", "hours=20-24"
    both = conditions(f"cloud=aws above=100 {night}").both(conditions(f"seller=openai above=200 {late}"))
    assert both.names == conditions("cloud=aws seller=openai").names
    assert (both.above, both.hours) == (200, parse_hours("22-24"))
    assert conditions("").both(conditions(night)).hours == parse_hours("22-06")
    assert conditions(night).both(conditions("")).hours == parse_hours("22-06")


@pytest.mark.parametrize("text", ["xyz", "xyz-mon", "mon-xyz", "mon,xyz"])
def test_a_window_of_no_day_of_the_week_says_which_there_are(text: str) -> None:
    with pytest.raises(ValueError, match="the days are mon, tue, wed, thu, fri, sat, sun"):
        parse_hours(text)


def test_how_much_a_line_names() -> None:
    said = ["", "cloud=aws", "cloud=aws above=1", "cloud=aws hours=22-06", "cloud=aws tier=flex above=1 hours=22-06"]
    assert [conditions(each).specificity for each in said] == [1, 2, 3, 3, 5]
    assert [sorted(conditions(each).further) for each in said] == [
        [],
        [],
        ["context"],
        ["hour"],
        ["context", "hour", "tier"],
    ]


# How finely sales of a place must be told apart: its buyers, tiers, operations, lengths and hours.
GRAINED = [
    line(),
    line("above=100"),
    line("above=300"),
    line("cloud=aws above=200"),
    line("buyer=Contoso"),
    line("tier=flex"),
    line("endpoint=embeddings"),
    line("cloud=azure hours=22-06"),
    line("off=5 cloud=aws", unit="cached_input_tokens"),
    line("cloud=aws", unit="output_tokens"),
    line("product=gpt-6 above=50 buyer=Acme"),
]


def grained() -> PriceTable:
    # Some of these meet; whichever wins, they are told apart. So each is a book of its own.
    books = [parse_book(HEADER + each, f"{number}.csv") for number, each in enumerate(GRAINED)]
    return PriceTable(books, KnownAt.everything())


def test_how_finely_sales_are_told_apart() -> None:
    grain = grained().grain([Sale("gpt", "aws", "openai", "us")])
    assert grain.further == {"context", "buyer", "tier", "endpoint"}
    assert [*grain.buyers, *grain.tiers, *grain.endpoints] == ["Contoso", "flex", "embeddings"]
    assert (grain.steps, dict(grain.dear)) == ((100, 200, 300), {"gpt": 100})
    # A product that is never free needs a price; a discount gives none.
    assert grain.units == WHOLES
    assert set(grain.hours.values()) == {0}
    at_night = grained().grain([Sale("gpt", "azure", "openai", "us")])
    assert at_night.steps == (100, 300)
    assert at_night.further - grain.further == {"hour"}
    assert [at_night.hours[hour] for hour in (0, 5, 6, 21, 22, 167)] == [0, 0, 6, 6, 0, 0]


# A sale → the sale that stands for its group.
GROUPS = [
    (SALE, Sale("gpt", "aws", "openai", "us", buyer="Contoso", tier="")),
    (
        Sale("gpt", "aws", "openai", "us", "Acme", "flex", "chat", 100, 23),
        Sale("gpt", "aws", "openai", "us", "", "flex", "", 0, -1),
    ),
    (
        Sale("gpt", "aws", "openai", "us", "", "batch", "embeddings", 101, 23),
        Sale("gpt", "aws", "openai", "us", "", "", "embeddings", 101, -1),
    ),
    (Sale("gpt", "aws", "openai", "us", context=250), Sale("gpt", "aws", "openai", "us", tier="", context=201)),
    (
        Sale("gpt", "azure", "openai", "us", context=900, hour=30),
        Sale("gpt", "azure", "openai", "us", tier="", context=301, hour=6),
    ),
    (Sale("gpt", "azure", "openai", "us", hour=-1), Sale("gpt", "azure", "openai", "us", tier="", hour=-1)),
    (Sale("gpt", "azure", "openai", "us", hour=29), Sale("gpt", "azure", "openai", "us", tier="", hour=0)),
]


@pytest.mark.parametrize(("sale", "group"), GROUPS)
def test_which_sale_stands_for_its_group(sale: Sale, group: Sale) -> None:
    assert grained().grain([Sale(sale.product, sale.cloud, sale.seller, sale.region)]).group_of(sale) == group


def test_a_row_names_the_sale_that_was_asked_for() -> None:
    table = book(line("begin=2026-01-01 end=2026-02-01"), line("begin=2026-03-01 end=2026-04-01"))
    sales = [Sale("gpt", "aws", "openai", "", buyer=buyer) for buyer in ("A", "B")]
    rows = [(row.sale.buyer, row.begin.month, row.end.month) for row in table.rows([*sales, *sales])]
    # Without a price, there is no row.
    assert rows == [("A", 1, 2), ("A", 3, 4), ("B", 1, 2), ("B", 3, 4)]
    assert table.row(sales[0], date(2026, 2, 10)).prices == {}
    assert list(table.row(sales[0], date(2026, 3, 31)).prices) == [IN]
    assert list(table.row(sales[0], date(2026, 4, 1)).prices) == []


def test_a_line_counts_from_the_instant_it_was_recorded() -> None:
    read = parse_book(HEADER + line("known_at=2026-02-01"), "book.csv")
    [entry] = read.entries
    sale = Sale("gpt", "aws", "openai", "")
    then = PriceTable(read, entry.known_at)
    assert then.price(sale, IN, DAY) == 1_000_000
    assert [(each.verdict, each.why) for each in considered(then, sale, IN, DAY, 1)] == [
        ("won", "it names the most of those that hold")
    ]
    with pytest.raises(UnknownPrice):
        PriceTable(read, KnownAt(start_of_day_ns(date(2026, 2, 1)) - 1, 0)).price(sale, IN, DAY)


def test_a_charge_has_its_lines_in_order_and_says_where_it_was_missed() -> None:
    table = book(line(), line(unit="output_tokens"), line("off=12.5 cloud=aws", unit=""))
    charge = table.charge(Sale("gpt", "azure", "openai", ""), DAY, {OUT: 2, IN: 1})
    assert [each.unit for each in charge.lines] == [IN, OUT]
    # Of what was not used, no price is missing, and the charge has no line.
    assert (
        table.charge(Sale("gpt", "azure", "openai", ""), DAY, {IN: 1, Unit.WEB_SEARCHES: 0}).lines == charge.lines[:1]
    )
    # 12.5 % off 1,000,000 picodollars.
    assert table.price(Sale("gpt", "aws", "openai", ""), OUT, DAY) == 875_000
    for region, said in (("us", "on aws in us sold"), ("", "on aws sold")):
        with pytest.raises(UnknownPrice, match=said):
            table.price(Sale("gpt-6", "aws", "openai", region), IN, DAY)


def test_the_length_of_a_context_is_the_report_s() -> None:
    sale = Sale("gpt", "aws", "openai", "", context=7)
    assert in_context(sale, {IN: 9}).context == 9
    assert in_context(sale, {OUT: 9}).context == 0
    assert in_context(sale, {IN: 9, Unit.REQUESTS: 1}).context == 9
    assert in_context(sale, {IN: 9, Unit.REQUESTS: 2}).context == 0


class Rates:
    """A dollar is 0.5625 euros on every day; a euro is 1.7777…"""

    digest = "rates"

    def at(self, day: date, base: str, quote: str) -> Fraction:
        assert (day, base, quote) == (DAY, "EUR", "USD")
        return Fraction(16, 9)


def test_a_currency_is_worth_twelve_places_of_dollars() -> None:
    read = parse_book(HEADER + line(), "book.csv")
    table, plain = PriceTable(read, KnownAt.everything(), Rates()), PriceTable(read, KnownAt.everything())
    assert table.usd("EUR", DAY) == Decimal("1.777777777778")
    assert table.usd("USD", DAY) == plain.usd("USD", DAY) == 1
    with pytest.raises(InvalidInput, match="prices in EUR"):
        plain.usd("EUR", DAY)
    # A receipt names the rates beside the book; a book alone is named by its own digest.
    assert plain.digest == read.digest
    assert table.digest != plain.digest


# A field of a line, as it is written → what is said against it; empty where it is read.
EDGES = [
    ("above=1", ""),
    ("above=0", "'0' is not a length of a context"),
    ("above=999999999999", ""),
    ("above=1000000000000", "'1000000000000' is not a length of a context"),
    ("off=100", ""),
    ("off=0.000001", ""),
    ("off=0", "a discount of 0"),
    ("off=100.000001", "a discount of 100.000001"),
    ("unit=", "unknown unit ''"),
    ("off=5 unit=", ""),
    ("off=5 unit=words", "unknown unit 'words'"),
    ("endpoint=chat", ""),
    ("hours=23-24", ""),
    ("hours=00-24", ""),
    ("hours=24-06", "'24-06' is not a time window"),
    ("hours=23-25", "'23-25' is not a time window"),
    ("hours=06-06", "'06-06' is not a time window"),
    ("hours=mon-xyz", "'mon-xyz' is not a time window"),
    ("hours=xyz-mon", "'xyz-mon' is not a time window"),
    ("hours=xyz", "'xyz' is not a time window"),
    ("end=2026-01-02", ""),
]


@pytest.mark.parametrize(("said", "problem"), EDGES)
def test_where_a_field_ends(said: str, problem: str) -> None:
    if not problem:
        book(line(said))
        return
    with pytest.raises(InvalidInput) as refused:
        book(line(said))
    assert [each.what for each in refused.value.problems] == [problem]


def test_the_dearest_price_that_is_kept() -> None:
    assert book(line(price="999999999999.999999")).price(SALE, IN, DAY) == 10**18 - 1
    assert book(line(price="0")).price(SALE, IN, DAY) == 0
    with pytest.raises(InvalidInput, match="beyond what one column can hold"):
        book(line(price="1000000000000"))


NEUTRAL = "product,cloud,seller,region,unit,begin,end,known_at,per_million,source,currency,discount_percent\n"
START = "gpt,,,,input_tokens,2026-01-01,,2026-01-01,"
# The rest of a line in a book whose column names no currency → its currency, or what is said against it.
CURRENCIES = [
    ("1,x,,", "USD"),
    ("1,x,EUR,", "EUR"),
    ("1,x,USD,", "USD"),
    ("1,x,eur,", "'eur' is not a currency"),
    ("1,x,EURO,", "'EURO' is not a currency"),
    (",x,,5", "USD"),
    (",x,EUR,5", "a discount with a currency"),
    ("1,x,,5", "a price and a discount in one line"),
    (",x,,", "'' is not a price"),
]


@pytest.mark.parametrize(("rest", "said"), CURRENCIES)
def test_in_which_currency_a_price_is(rest: str, said: str) -> None:
    if len(said) == 3:
        [entry] = parse_book(NEUTRAL + START + rest, "book.csv").entries
        assert entry.currency == said
        return
    with pytest.raises(InvalidInput) as refused:
        parse_book(NEUTRAL + START + rest, "book.csv")
    assert [problem.what for problem in refused.value.problems] == [said]


def test_the_column_of_dollars_holds_dollars() -> None:
    header = NEUTRAL.replace("per_million", "usd_per_million")
    with pytest.raises(InvalidInput, match="a price in EUR in the column usd_per_million"):
        parse_book(header + START + "1,x,EUR,", "book.csv")
