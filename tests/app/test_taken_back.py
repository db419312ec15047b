"""Nothing ever takes back more than was charged: of a request, and of a day's sales, however both are mixed.

On 3 May openai sold gpt-5.4 on aws once, request 9: 0.06 × 2.75 + 0.02 × 16.50 = 0.495 USD. On 2 May it sold there
request 8, 0.22 USD. Request 20 has two attempts that were charged: 0.25 USD on azure and 0.275 USD on aws.
"""

import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal as D
from pathlib import Path

import pytest
from bench.price_tables import open_prices
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import settled_book
from clauseway.app.books.bookkeeping import Sold, VoucherDraft, credit, dispute, disputes, resolve
from clauseway.app.books.settling import books_locked
from clauseway.app.opening.home import Home
from clauseway.app.reports.tracing import disputed_days
from clauseway.app.usage.sealing import open_lake
from clauseway.pricing import PriceTable
from clauseway.storage.usage.priced import revenue
from clauseway.values import Interval, InvalidInput, day_after
from database_connections import queries_asked

PRICES = open_prices(settled_book.KNOWN)
THIRD = date(2026, 5, 3)
DAY = Sold(day=THIRD, seller="openai", cloud="aws", product="gpt-5.4")
REQUEST = Sold(request=settled_book.request(9))
CHARGED = D("0.495")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return settled_book.make(tmp_path / "home")


def take(home: Home, voucher: str, sold: Sold, amount: str = "") -> D:
    return credit(home, lambda: PRICES, VoucherDraft(id=voucher, sold=sold, amount=amount)).of.amount


# first, then → what is left for the second
MIXED = [
    (REQUEST, "0.30", DAY, "0.195"),
    (DAY, "0.30", REQUEST, "0.195"),
    (DAY, "0.495", REQUEST, ""),
    (REQUEST, "0.495", DAY, ""),
]


@pytest.mark.parametrize(("first", "amount", "then", "left"), MIXED)
def test_a_request_and_its_day_are_one_charge(home: Home, first: Sold, amount: str, then: Sold, left: str) -> None:
    take(home, "first", first, amount)
    with pytest.raises(InvalidInput, match="is left of that sale"):
        take(home, "too-much", then, "0.20")
    if left:
        assert take(home, "then", then) == D(left)
    with pytest.raises(InvalidInput, match="nothing is left of that sale"):
        take(home, "again", then)


def test_the_charges_of_a_day_are_read_once(home: Home) -> None:
    with open_lake(home) as lake, queries_asked("lake_files") as of_reading:
        revenue(lake, PRICES, Interval(THIRD, day_after(THIRD)), product=DAY.product)
    with queries_asked("lake_files") as asked:
        take(home, "first", DAY)
    assert [query for query in asked if "lake_files.first_day <" in query] == of_reading


def test_a_request_that_was_charged_on_two_clouds_is_taken_back_on_each(home: Home) -> None:
    rows = [(20, "05-03", 9, 1, 1, (100_000, 0, 0)), (21, "05-03", 9, 1, 2, (100_000, 0, 0))]
    settled_book.seal(home, rows, request=20)
    sold = Sold(request=settled_book.request(20))
    with pytest.raises(InvalidInput, match="charged on aws and azure") as refused:
        take(home, "both", sold)
    assert "--cloud" in refused.value.problems[0].remedy
    assert take(home, "azure", Sold(request=sold.request, cloud="azure")) == D("0.25")
    assert take(home, "aws", Sold(request=sold.request, cloud="aws")) == D("0.275")


def claimed(home: Home) -> list[tuple[str, D]]:
    """Dispute the line of gpt-5.4 on aws in May: what is booked, by its days."""
    done = disputed_days(home, "2pa4zs7k", "microsoft", "test traffic", date(2026, 6, 10))
    return [(voucher.id, voucher.of.amount) for voucher in done.booked]


def booked(home: Home) -> list[str]:
    return [opened.id for opened, _ in disputes(home)]


def test_a_line_is_disputed_but_for_what_was_credited(home: Home) -> None:
    take(home, "third", DAY)
    take(home, "second", Sold(request=settled_book.request(8)), "0.02")
    left = [("2pa4zs7k-2026-05-02", D("0.20"))]
    assert (claimed(home), claimed(home), booked(home)) == (left, left, ["2pa4zs7k-2026-05-02"])


def test_a_line_of_which_nothing_is_left_is_not_disputed(home: Home) -> None:
    take(home, "third", DAY)
    take(home, "second", Sold(request=settled_book.request(8)))
    with pytest.raises(InvalidInput, match="nothing is left to dispute"):
        claimed(home)
    assert booked(home) == []


def test_the_days_of_a_line_are_disputed_all_or_none(home: Home) -> None:
    """The second of its days has another dispute by its name."""
    dispute(home, lambda: PRICES, VoucherDraft(id="2pa4zs7k-2026-05-03", sold=REQUEST, amount="0.10"))
    with pytest.raises(InvalidInput, match="is taken"):
        claimed(home)
    assert booked(home) == ["2pa4zs7k-2026-05-03"]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["credit", "dispute", "uphold", "reject"]),
        st.sampled_from([DAY, REQUEST]),
        st.sampled_from(["", "0.1", "0.245", "0.25", "0.495"]),
    ),
    max_size=6,
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_what_stands_never_exceeds_what_was_charged(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Sold, str]]
) -> None:
    home = settled_book.make(tmp_path_factory.mktemp("book"))
    taken: dict[str, D] = {}
    open_disputes: list[str] = []
    for number, (what, sold, amount) in enumerate(steps):
        voucher = f"v-{number}"
        try:
            if what == "credit":
                taken[voucher] = credit(
                    home, lambda: PRICES, VoucherDraft(id=voucher, sold=sold, amount=amount)
                ).of.amount
            elif what == "dispute":
                taken[voucher] = dispute(
                    home, lambda: PRICES, VoucherDraft(id=voucher, sold=sold, amount=amount)
                ).of.amount
                open_disputes.append(voucher)
            elif open_disputes:
                ended = open_disputes.pop()
                resolve(home, voucher, ended, upheld=what == "uphold", day=None, reason="")
                if what == "reject":
                    del taken[ended]
        except InvalidInput:
            # A refused amount would have been too much.
            wanted = D(amount) if amount else CHARGED
            assert sum(taken.values(), wanted) > CHARGED
        assert sum(taken.values(), D(0)) <= CHARGED
    shutil.rmtree(home.root)


class Busy(Exception):
    """Somebody writes the books."""


@pytest.mark.parametrize("takes_back", [credit, dispute])
def test_a_charge_is_taken_back_by_the_prices_that_hold_when_the_books_are_free(
    home: Home, takes_back: Callable[..., object]
) -> None:
    """Whoever waits for the books may wait for a settlement that changes what the home holds."""

    def is_busy() -> None:
        raise Busy

    def held() -> PriceTable:
        with pytest.raises(Busy), books_locked(home, is_busy):
            pass
        return PRICES

    assert takes_back(home, held, VoucherDraft(id="note-1", sold=REQUEST))
