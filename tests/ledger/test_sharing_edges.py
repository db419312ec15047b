"""A share at its edges: days that end where a cap or a band begins, sales in no base, and the order of its lines."""

from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from share_tables import CATALOG, INPUTS, amounts, at, in_order, month, only, settled, share, sold

from clauseway.agreement.language.shares import RevenueShare, ShareBase, Tier
from clauseway.ledger import RevenueLine, SaleRecord, Settlement, carry, read_assumptions, settle
from clauseway.ledger.revenue import left_of_sales
from clauseway.values import Interval, exact_sum

MAY = month("2026-05")
# 20 %, at most 10.00: reached at 50.00. And 20 % below 50.00, 30 % above.
CAPPED, TIERED = share(cap="USD 10"), share(tiers=(Tier(above="USD 50", rate="30 %"),))
APIS = share(cap="USD 10", base=ShareBase(sellers=frozenset({"maker"}), products=frozenset({"api"})))


def day(*said: str) -> list[RevenueLine]:
    """`03 30.00 own` is a sale of 3 May on the maker's own cloud."""
    results = [each.split() for each in said]
    return [sold(f"05-{number}", amount, cloud=cloud) for number, amount, cloud in results]


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


# 20 %, at most 10.00, of four sales of 2 May · what is taken back of the day's own sales, at its last instant · each
# line's amount. Nothing is due of sales that are all taken back, and no line owes more than its rate of its base.
DAY_TAKEN_BACK: list[tuple[list[str], str, dict[str, str]]] = [
    (["30.00 own", "15.00 rented", "20.00 rented", "5.00 rented"], "30.00", {"own": "0.00", "rented": "8.00"}),
    (["15.00 rented", "20.00 rented", "30.00 own", "5.00 rented"], "30.00", {"own": "0.00", "rented": "8.00"}),
    (["50.00 rented", "20.00 rented", "30.00 own"], "30.00", {"own": "0.00", "rented": "10.00"}),
    # The latest sale of the line is taken back first: of 10.00 at eight, 30.00 at nine and 40.00 of the other at ten.
    (["10.00 own", "30.00 own", "40.00 rented"], "25.00", {"own": "3.00", "rented": "7.00"}),
]


@pytest.mark.parametrize("how", ["credited", "disputed"])
@pytest.mark.parametrize(("sales", "back", "owed"), DAY_TAKEN_BACK)
def test_sales_of_a_day_are_taken_back_from_their_own_line(
    sales: list[str], back: str, owed: dict[str, str], how: str
) -> None:
    results = [each.split() for each in sales]
    records = [at("05-02", 8 + hour, f"r{hour}", amount, cloud) for hour, (amount, cloud) in enumerate(results)]
    taken = msgspec.structs.replace(
        at("05-03", 0, "note", f"-{back}", "own"), event_ns=at("05-03", 0, "", "0").event_ns - 1
    )
    may = in_order(records, MAY, CAPPED, **{how: [taken]})
    assert {line.cloud: str(line.amount) for line in only(may).lines if line.base or line.amount} == {
        cloud: amount for cloud, amount in owed.items() if amount != "0.00"
    }


# Three sales of one line, 10.00 at eight, 30.00 at nine and 5.00 at ten · what a credit of the sale at nine takes back
# → what is left of each: the sale itself goes first, then those before it, then those after.
TAKEN_BACK_OF_NINE = [
    ("12.00", {"r8": "10.00", "r9": "18.00", "r10": "5.00"}),
    ("30.00", {"r8": "10.00", "r10": "5.00"}),
    ("35.00", {"r8": "5.00", "r10": "5.00"}),
    ("43.00", {"r10": "2.00"}),
    # More than the line has: the rest stays, and takes from the base.
    ("50.00", {"c1": "-5.00"}),
]


@pytest.mark.parametrize(("back", "left"), TAKEN_BACK_OF_NINE)
def test_a_credit_takes_its_own_sale_then_those_before_then_those_after(back: str, left: dict[str, str]) -> None:
    records = [at("05-02", hour, f"r{hour}", amount) for hour, amount in ((8, "10.00"), (9, "30.00"), (10, "5.00"))]
    kept = left_of_sales([at("05-02", 9, "c1", f"-{back}"), *records])
    assert {record.request_id: str(record.amount) for record in kept} == left


def test_a_day_within_which_a_band_begins_is_split_however_many_digits_its_amounts_have() -> None:
    """Prices in euros at the inverse of a rate to twelve places: amounts have 24 places, and shares of them more.

    50.00 × 17.125 % + 9.12… × 30 % = 8.5625 + 2.737….
    """
    amounts_of_day = {"own": "30.123456789012345678901234", "rented": "29.000000000000000000000007"}
    revenue = [sold("05-02", amount, cloud=cloud) for cloud, amount in amounts_of_day.items()]
    may = settled(revenue, MAY, share(rate="17.125 %", tiers=TIERED.tiers))
    assert ([each.day for each in may.needs_order], only(may).amount) == ([2], D("11.30"))


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


def june_on_carried_sums(*disputed: SaleRecord) -> Settlement:
    """June has 30.00 of sales; May had 60.00 on the second, and is carried with what is in dispute and without."""
    figures, key = read_assumptions((), {}), (CAPPED.term, CAPPED.begin)
    with_disputes, if_rejected = (
        {key: carry(CAPPED, Interval(CAPPED.begin, MAY.end), day("02 60.00 own"), back, CATALOG, figures, None)}
        for back in (disputed, ())
    )
    return settle(
        period=month("2026-06"),
        shares=[CAPPED],
        revenue=[sold("06-05", "30.00", cloud="own")],
        catalog=CATALOG,
        assumptions=figures,
        inputs=INPUTS,
        disputed=disputed,
        carried=with_disputes,
        carried_if_rejected=if_rejected,
    )


def test_sums_that_are_carried_say_since_when_a_cap_is_reached() -> None:
    cap = only(june_on_carried_sums()).cap
    assert cap is not None
    assert cap.reached is not None
    assert (cap.reached.day, cap.consumed_before, cap.consumed) == (date(2026, 5, 2), D("10.00"), D("0.00"))


def test_a_dispute_of_an_earlier_month_is_rejected_on_sums_without_it() -> None:
    """40.00 of May's 60.00 are in dispute: May owes 4.00, and June 6.00. Rejected, May had owed all 10.00."""
    june = june_on_carried_sums(at("05-02", 1, "D1", "-40.00", "own"))
    assert only(june).amount == D("6.00")
    assert [str(dispute.amount) for dispute in june.disputed] == ["-6.00"]


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
