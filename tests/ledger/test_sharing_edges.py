"""A share at its edges: days that end where a cap or a band begins, sales in no base, and the order of its lines."""

from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from share_tables import amounts, at, in_order, month, only, settled, share, sold

from clauseway.agreement.language.shares import RevenueShare, ShareBase, Tier
from clauseway.ledger import RevenueLine
from clauseway.values import exact_sum

MAY = month("2026-05")
# 20 %, at most 10.00: reached at 50.00. And 20 % below 50.00, 30 % above.
CAPPED, TIERED = share(cap="USD 10"), share(tiers=(Tier(above="USD 50", rate="30 %"),))
APIS = share(cap="USD 10", base=ShareBase(sellers=frozenset({"maker"}), products=frozenset({"api"})))


def day(*said: str) -> list[RevenueLine]:
    """`03 30.00 own` is a sale of 3 May on the maker's own cloud."""
    told = [each.split() for each in said]
    return [sold(f"05-{number}", amount, cloud=cloud) for number, amount, cloud in told]


# Sales · the share → the days whose sales are needed one by one, and what each line owes; else the whole share:
# 50.70 are 50.00 × 20 % + 0.70 × 30 %.
EDGES: list[tuple[list[RevenueLine], RevenueShare, list[int], dict[str, str]]] = [
    # The day ends at the cap to the cent: each line moves it by the one rate.
    (day("02 30.00 own", "02 20.00 rented"), CAPPED, [], {"own": "6.00", "rented": "4.00"}),
    (day("02 30.00 own", "02 20.01 rented"), CAPPED, [2], {"whole": "10.00"}),
    # It begins at the cap: nothing moves, and no order matters.
    (day("02 50.00 own", "03 7.00 rented", "03 5.00 own"), CAPPED, [], {"own": "10.00", "rented": "0.00"}),
    # Small sales around the bound of a band: the first of them is below it.
    (day("02 49.50 own", "03 0.80 rented", "03 0.40 own"), TIERED, [3], {"whole": "10.21"}),
    (day("02 49.50 own", "03 0.30 rented", "03 0.20 own"), TIERED, [], {"own": "9.94", "rented": "0.06"}),
    (day("02 50.00 own", "03 0.80 rented", "03 0.40 own"), TIERED, [], {"own": "10.12", "rented": "0.24"}),
    # A credit of less than a dollar leads below the bound, too.
    (day("02 50.00 own", "03 0.80 rented", "03 -0.40 own"), TIERED, [3], {"whole": "10.12"}),
]


@pytest.mark.parametrize(("revenue", "term", "days", "owed"), EDGES)
def test_which_days_are_needed_in_order(
    revenue: list[RevenueLine], term: RevenueShare, days: list[int], owed: dict[str, str]
) -> None:
    may = settled(revenue, MAY, term)
    assert [each.day for each in may.needs_order] == days
    assert only(may).amount == exact_sum(map(D, owed.values()))
    if not days:
        assert {name.split("|")[2]: amount for name, amount in amounts(may).items()} == owed


def test_sales_in_no_base_stand_between_those_that_are() -> None:
    """Of the day's sales in order, the app is in no base: the cap of 10.00 is reached by the second sale of the api."""
    app = msgspec.structs.replace(at("05-02", 9, "r2", "500.00"), product="code")
    records = [at("05-02", 8, "r1", "30.00", "own"), app, at("05-02", 10, "r3", "40.00"), at("05-02", 11, "r4", "1.00")]
    may = in_order(records, MAY, APIS)
    assert amounts(may) == {"A1.share|chat|own|maker": "6.00", "A1.share|chat|rented|maker": "4.00"}
    cap = only(may).cap
    assert cap is not None
    assert cap.reached is not None
    assert (cap.reached.request_id, cap.remaining) == ("r3", D("0.00"))


def test_lines_stand_by_product_cloud_and_seller() -> None:
    revenue = [
        sold("05-02", "5.00"),
        sold("05-02", "5.00", cloud="own"),
        sold("05-03", "5.00", product="code", cloud="own"),
        sold("05-03", "5.00"),
    ]
    [only_share] = settled(revenue[::-1], MAY, share()).shares
    assert [(line.product, line.cloud, line.requests, str(line.base)) for line in only_share.lines] == [
        ("chat", "own", 1, "5.00"),
        ("chat", "rented", 2, "10.00"),
        ("code", "own", 1, "5.00"),
    ]


def test_a_cap_that_was_reached_stays_reached_and_says_since_when() -> None:
    revenue = day("02 60.00 own", "04 5.00 own")
    for period, reached in ((MAY, 2), (month("2026-06"), 2)):
        cap = only(settled(revenue, period, CAPPED)).cap
        assert cap is not None
        assert cap.reached is not None
        assert cap.reached.day == date(2026, 5, reached)
        assert (cap.consumed_before + cap.consumed, cap.remaining) == (D("10.00"), D("0.00"))
    # A credit reopens it, and a later sale reaches it again.
    again = only(settled([*revenue, *day("03 -40.00 own", "06 30.00 own")], MAY, CAPPED)).cap
    assert again is not None
    assert again.reached is not None
    assert again.reached.day == date(2026, 5, 6)
