"""Nothing takes back more than is charged, also where a price is lowered after a credit; and each line has one id."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from share_tables import at, month, only, settled, share, sold

from clauseway.ledger import RevenueLine, SaleRecord
from clauseway.ledger.revenue import clipped
from clauseway.values import exact_sum

# The charges of the day's sales · the credits, voucher by voucher · the base that is left
CREDITS: list[tuple[str, list[str], str]] = [
    ("10.00", ["4.00"], "6.00"),
    ("3.00", ["4.00"], "0.00"),
    ("3.00", ["2.00", "2.00"], "0.00"),
    ("3.00", ["2.00", "0.50"], "0.50"),
    ("0.00", ["2.00"], "0.00"),
]


def base_of(revenue: Sequence[RevenueLine], credits_: Sequence[SaleRecord]) -> D:
    return only(settled(revenue, month("2026-05"), share(), credited=credits_)).base


@pytest.mark.parametrize(("charged", "credited", "left"), CREDITS)
def test_a_credit_takes_back_at_most_what_is_charged(charged: str, credited: list[str], left: str) -> None:
    back = [at("05-17", 9, f"c-{number}", f"-{amount}") for number, amount in enumerate(credited)]
    assert base_of([sold("05-17", charged), sold("05-18", "0.00")], back) == D(left)


def test_a_credit_takes_nothing_from_other_days_places_or_products() -> None:
    others = [sold("05-16", "5.00"), sold("05-17", "5.00", cloud="own"), sold("05-17", "5.00", product="code")]
    assert base_of([*others, sold("05-17", "1.00")], [at("05-17", 9, "c", "-4.00")]) == D("15.00")


def test_what_takes_nothing_back_is_left_out() -> None:
    """3.00 were charged: the first takes 2.00, the second what is left, the third nothing."""
    back = [at("05-17", 9, f"c-{number}", "-2.00") for number in range(3)]
    taken = clipped(back, [sold("05-17", "3.00"), sold("05-18", "9.00")])
    assert [(voucher.request_id, str(voucher.amount)) for voucher in taken] == [("c-0", "-2.00"), ("c-1", "-1.00")]


AMOUNTS = st.decimals(min_value=0, max_value=100, places=2)


@given(st.lists(AMOUNTS, max_size=4), st.lists(AMOUNTS, max_size=5), st.randoms())
def test_in_any_order_the_same_is_taken_back_and_no_more_than_charged(
    charged: list[D], credited: list[D], order: object
) -> None:
    revenue = [sold("05-17", str(amount)) for amount in charged]
    back = [at("05-17", 9, f"c-{number}", str(-amount)) for number, amount in enumerate(credited)]
    shuffled = list(back)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    taken = clipped(back, revenue)
    assert clipped(shuffled, revenue) == taken
    whole, wanted = exact_sum(charged), exact_sum(credited)
    assert exact_sum(voucher.amount.copy_negate() for voucher in taken) == min(whole, wanted)


def test_a_term_that_ends_and_begins_again_in_a_month_gives_each_line_an_id_of_its_own() -> None:
    again = [share(end=date(2026, 5, 11)), share(begin=date(2026, 5, 21))]
    settlement = settled([sold("05-05", "10.00"), sold("05-25", "20.00")], month("2026-05"), *again)
    assert [(line.id, line.amount) for share in settlement.shares for line in share.lines] == [
        ("A1.share|chat|rented|maker", D("2.00")),
        ("A1.share@2026-05-21|chat|rented|maker", D("4.00")),
    ]
