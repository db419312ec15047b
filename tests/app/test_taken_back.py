"""Nothing ever takes back more than was charged: of a request, and of a day's sales, however both are mixed.

On 3 May openai sold gpt-5.4 on aws once, request 9: 0.06 × 2.75 + 0.02 × 16.50 = 0.495 USD. On 2 May it sold there
request 8, 0.22 USD. Request 20 has two attempts that were charged: 0.25 USD on azure and 0.275 USD on aws.
"""

import itertools
import shutil
from datetime import date
from decimal import Decimal as D
from pathlib import Path

import pytest
from bench.price_tables import open_prices
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import settled_book
from clauseway.app.books.bookkeeping import Sold, credit, dispute, resolve
from clauseway.app.opening.home import Home
from clauseway.values import InvalidInput

PRICES = open_prices(settled_book.KNOWN)
THIRD = date(2026, 5, 3)
DAY = Sold(day=THIRD, seller="openai", cloud="aws", product="gpt-5.4")
REQUEST = Sold(request=settled_book.request(9))
CHARGED = D("0.495")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settled_book.make(tmp_path_factory.mktemp("made") / "home").root


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(made, tmp_path / "home")))


def take(home: Home, told: str, sold: Sold, amount: str = "") -> D:
    return credit(home, PRICES, told, sold, amount, None, "").of.amount


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
    with pytest.raises(InvalidInput, match="more than is left"):
        take(home, "too-much", then, "0.20")
    if left:
        assert take(home, "then", then) == D(left)
    with pytest.raises(InvalidInput, match="more than is left"):
        take(home, "again", then)


def test_a_request_that_was_charged_on_two_clouds_is_taken_back_on_each(home: Home) -> None:
    rows = [(20, "05-03", 9, 1, 1, (100_000, 0, 0)), (21, "05-03", 9, 1, 2, (100_000, 0, 0))]
    settled_book.seal(home, rows, request=20)
    sold = Sold(request=settled_book.request(20))
    with pytest.raises(InvalidInput, match="charged on aws and azure") as refused:
        take(home, "both", sold)
    assert "--cloud" in refused.value.problems[0].remedy
    assert take(home, "azure", Sold(request=sold.request, cloud="azure")) == D("0.25")
    assert take(home, "aws", Sold(request=sold.request, cloud="aws")) == D("0.275")


COUNTER = itertools.count()
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
def test_what_stands_never_exceeds_what_was_charged(made: Path, steps: list[tuple[str, Sold, str]]) -> None:
    home = Home(Path(shutil.copytree(made, made.parent / f"copy-{next(COUNTER)}")))
    taken: dict[str, D] = {}
    open_disputes: list[str] = []
    for number, (what, sold, amount) in enumerate(steps):
        told = f"v-{number}"
        try:
            if what == "credit":
                taken[told] = credit(home, PRICES, told, sold, amount, None, "").of.amount
            elif what == "dispute":
                taken[told] = dispute(home, PRICES, told, sold, amount, None, "").of.amount
                open_disputes.append(told)
            elif open_disputes:
                ended = open_disputes.pop()
                resolve(home, told, ended, upheld=what == "uphold", day=None, reason="")
                if what == "reject":
                    del taken[ended]
        except InvalidInput:
            # What is refused would have been too much.
            wanted = D(amount) if amount else CHARGED
            assert sum(taken.values(), wanted) > CHARGED
        assert sum(taken.values(), D(0)) <= CHARGED
    shutil.rmtree(home.root)
