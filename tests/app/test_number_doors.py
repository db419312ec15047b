"""Every door by which a number comes in, and what it takes: one rule, a table of doors, a table of texts."""

import csv
import io
from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.agreement.language.definitions import Figure
from clauseway.app.customers.allowances import GivenScope, set_budget
from clauseway.app.customers.tenants import create_tenant
from clauseway.app.opening.configuration import read_configuration
from clauseway.app.opening.home import Home
from clauseway.app.opening.library import open_agreement
from clauseway.app.opening.prices import _report as tokens_of
from clauseway.app.reports.forecasting import read_growth
from clauseway.app.reports.reconciling import rates_of, tolerance_of
from clauseway.catalog.rows import RowReader
from clauseway.cli import options
from clauseway.exchange.listings import read_listings
from clauseway.exchange.usage.focus import number_of
from clauseway.ledger import Assumptions, read_assumptions
from clauseway.ledger.exchange_rates import read_rates
from clauseway.ledger.voucher_rules import read_amount as amount_of_voucher
from clauseway.metering import Unit
from clauseway.metering.usage_rules import _whole as whole_of_row
from clauseway.pricing.book import parse_book
from clauseway.values import CENT, BadNumber, Citation, InvalidInput

CATALOG = open_agreement().catalog
CITATION = Citation(term="f", amendment="0", document="agreement.md", line=1, source="P", text="What it is.")
DECLARED = {"share": "20 %", "cap": "USD 38000000000", "cap-counts": "from-a5", "wholesale": "100 %"}
FIGURES = {name: Figure(id=name, value=value, standing="ours", citation=CITATION) for name, value in DECLARED.items()}
BOOK = "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source,above,discount_percent"


def in_csv(*fields: str) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(fields)
    return written.getvalue()


def book(price: str = "", above: str = "", discount: str = "") -> D:
    line = in_csv(
        "gpt-5.5", "", "", "", "input_tokens", "2026-01-01", "", "2026-01-01", price, "a letter", above, discount
    )
    [entry] = parse_book(f"{BOOK}\n{line}", "book.csv").entries
    return entry.percent if discount else D(entry.conditions.above) if above else D(entry.price).scaleb(-6)


def rate(text: str) -> D:
    [result] = read_rates("day,base,quote,rate\n" + in_csv("2026-05-01", "EUR", "USD", text), "rates.csv").all
    return result.rate


LISTED = (
    "provider,model,committed_at,commit,event,"
    "input_usd_per_mtok,output_usd_per_mtok,cache_read_usd_per_mtok,open_weights"
)


def listed(text: str) -> D:
    line = in_csv("azure", "gpt-5.5", "2026-05-01T00:00:00+00:00", "c", "listed", text, "", "", "False")
    [listing] = read_listings("listings.csv", f"{LISTED}\n{line}")
    assert listing.input is not None
    return listing.input


def budget(text: str) -> D:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder))
        create_tenant(home, "acme")
        return set_budget(home, CATALOG, GivenScope(organisation="acme"), text, "month").amount


def of_catalog(text: str) -> D:
    row = RowReader({"tokens": text}, "models.csv", 2)
    number = row.count("tokens")
    if row.problems:
        raise InvalidInput(*row.problems)
    return D(number)


def of_bill(text: str) -> D:
    number = number_of(text)
    if number is None:  # the row that has it is told, or waits in quarantine
        raise ValueError("no number")
    return number


CONFIGURED = """
[[deployment]]
name = "direct"
dialect = "openai"
url = "http://127.0.0.1:1/v1"
cloud = "azure"
seller = "openai"
region = "global"
auth = {{kind = "none"}}
models = {{"gpt-5.5" = "gpt-5.5"}}
quota_requests_per_minute = {quota}
[[commitment]]
name = "macc"
kind = "macc"
amount = {amount}
from = 2026-01-01
until = 2027-01-01
"""


def configured(*, quota: str = "0", amount: str = "1") -> tuple[int, D]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clauseway.toml"
        path.write_text(CONFIGURED.format(quota=quota, amount=amount))
        configuration = read_configuration(path, CATALOG)
        return configuration.deployment[0].quota_requests_per_minute, configuration.commitment[0].amount


def assumed(item: str) -> Assumptions:
    return read_assumptions([item], FIGURES)


class Door(NamedTuple):
    """How a text comes in; how a number is written for it; what it takes beyond plain decimals of two places."""

    name: str
    read: Callable[[str], D]
    form: str = "{}"
    whole: bool = False
    takes: frozenset[str] = frozenset()


def percent(read: Callable[[str], D]) -> Callable[[str], D]:
    """A door for percentages, asked in hundredths so that one table serves all."""
    return lambda text: read(text) * 100


DOORS = (
    Door("--assume cap", lambda text: assumed(f"cap={text}").amount("cap")),
    Door("--assume cap in millions", lambda text: assumed(f"cap={text}").amount("cap") / 10**6, "USD {} million"),
    Door("--assume share", percent(lambda text: assumed(f"share={text}").percentage("share")), "{} %"),
    Door("--assume wholesale", percent(lambda text: assumed(f"wholesale=x:{text}").wholesale("x")), "{}%"),
    Door("--assume cap-counts", lambda text: assumed(f"cap-counts=all-payments:{text}").opening_balance),
    Door("budget set --amount", budget),
    Door("payment, credit, dispute --amount", lambda text: amount_of_voucher(text, CENT)),
    Door("reconcile --rate", lambda text: rates_of([f"EUR={text}"])["EUR"]),
    Door("reconcile --tolerance", lambda text: tolerance_of(text, "0").amount),
    Door("reconcile --quantity-tolerance", lambda text: tolerance_of("0", text).quantity),
    Door("forecast --growth", percent(lambda text: read_growth(text).low), "{}%", takes=frozenset({"-"})),
    Door("price --tokens", lambda text: D(tokens_of(f"out={text}")[Unit.OUTPUT_TOKENS]), whole=True),
    Door("a flag that counts", lambda text: D(options.whole("--requests")(text)), whole=True),
    Door("a price of a book", lambda text: book(price=text)),
    Door("a discount of a book", lambda text: book(discount=text)),
    Door("a step of a book", lambda text: book(price="1", above=text), whole=True),
    Door("a currency rate", rate),
    Door("a listing's price", listed, takes=frozenset({"e"})),
    Door("a count of the catalog", of_catalog, whole=True),
    Door("usage as text", lambda text: D(whole_of_row(text)), whole=True, takes=frozenset({"-", "12.0"})),
    Door("a bill's number", of_bill, takes=frozenset({"-", "e"})),
    Door("configuration: a commitment", lambda text: configured(amount=text)[1]),
    Door("configuration: a commitment as text", lambda text: configured(amount=text)[1], '"{}"'),
    Door("configuration: a count", lambda text: D(configured(quota=text)[0]), whole=True),
)

# A number as it is written → what it is; whole ones are for every door.
GOOD = [("7", "7"), ("12", "12"), ("100", "100")]
GOOD_LARGE = [("1_250", "1250"), ("12500", "12500")]
GOOD_DECIMAL = [("12.50", "12.5"), ("0.25", "0.25")]
# No door takes these, however it reads numbers.
BAD = [
    "1,5",
    "38,5",
    "12,50",
    "12,500",
    "1,000,000",
    "25,000.50",
    "1.000,50",
    "1.000.000",
    "1 000",
    "1'000",
    "1_00",
    "1__000",
    "1_0000",
    "+5",
    "--5",
    ".5",
    "5.",
    "NaN",
    "nan",
    "Infinity",
    "inf",
    "-inf",
    "0x10",
    "0b1",
    "\uff11\uff12",
    "\u0661\u0662",
    "\u00b2",
    "\u22125",
    "1e400",
    "1" + "0" * 20,
    "5 5",
    "five",
    "5%%",
    "$5",
    "(5)",
]
PERCENT_DOORS = ("--assume share", "--assume wholesale", "forecast --growth")


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_what_a_door_takes_it_reads_as_written(door: Door) -> None:
    is_percentage = door.name in PERCENT_DOORS or "discount" in door.name
    for text, number in GOOD + ([] if is_percentage else GOOD_LARGE) + ([] if door.whole else GOOD_DECIMAL):
        assert door.read(door.form.format(text)) == D(number), text


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_what_no_door_takes(door: Door) -> None:
    for text in (
        *BAD,
        *(["1e3", "2.5E1"] if "e" not in door.takes else []),
        *(["-5"] if "-" not in door.takes else []),
    ):
        with pytest.raises((InvalidInput, ValueError)) as refused:
            door.read(door.form.format(text))
        assert_told(refused.value, text)


def assert_told(refused: Exception, text: str) -> None:
    """Assert a text: a Problem's four parts (problem, reason, place, remedy), or a flaw of a row of usage."""
    if isinstance(refused, InvalidInput):
        assert all(problem.what and problem.why and problem.where and problem.remedy for problem in refused.problems), (
            text
        )
    else:
        assert str(refused), text


NUMERALS = st.text(alphabet="0123456789_.,+-eE\u0661\uff11 ", min_size=1, max_size=12)
QUICK = tuple(
    door for door in DOORS if door.name != "budget set --amount" and not door.name.startswith("configuration")
)


@given(NUMERALS.filter(lambda text: text == text.strip()), st.sampled_from(QUICK))
def test_a_door_reads_what_stands_there_or_refuses_it(text: str, door: Door) -> None:
    """Whatever is typed: it is refused, or it is the number that its digits say with a point before the decimals."""
    try:
        number = door.read(door.form.format(text))
    except (InvalidInput, BadNumber, ValueError) as refused:
        assert_told(refused, text)
        return
    assert text.isascii()
    assert "," not in text
    assert "+" not in text or "e" in text.lower()
    assert number == D(text.replace("_", ""))
