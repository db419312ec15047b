"""Looking ahead, with the arithmetic written out: the maker owes the host 20 % of its sales since 1 January 2026."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from share_tables import month, settled, share, sold

from clauseway.agreement.language.shares import Floor, RevenueShare, Tier
from clauseway.ledger import RevenueLine, Settlement, read_assumptions
from clauseway.ledger.forecast import (
    PATHS,
    QUANTILES,
    Growth,
    MonthAhead,
    Outlook,
    assumed_growth,
    forecast,
)
from clauseway.values import InvalidInput, exact_sum

LATER = date(2027, 1, 1)
NO_GROWTH = assumed_growth(D(0), D(0), D(0))


def sales(*bases: str) -> list[RevenueLine]:
    """The bases of January 2026 and the months after it, each on the 17th."""
    return [sold(f"{number:02}-17", base) for number, base in enumerate(bases, 1)]


def months(lines: Sequence[RevenueLine], *shares: RevenueShare) -> list[Settlement]:
    """Each line's month, settled on all lines up to its end."""
    periods = [month(line.event_day.strftime("%Y-%m")) for line in lines]
    return [settled([line for line in lines if line.event_day < days.end], days, *shares) for days in periods]


def ahead(
    past: Sequence[Settlement],
    *shares: RevenueShare,
    growth: Growth | None = None,
    through: int = 2026,
    known: date = LATER,
) -> Outlook:
    result = forecast(past, shares, read_assumptions((), {}), through=through, known_at=known, growth=growth)
    [outlook] = result.outlooks
    return outlook


def cumulative(outlook: Outlook) -> dict[str, str]:
    return {month.month: f"{month.due.mid}" for month in outlook.months}


def test_ten_percent_a_month() -> None:
    of = share()
    outlook = ahead(months(sales("500", "1000"), of), of, growth=assumed_growth(D("0.1"), D("0.1"), D("0.1")))
    # Settled: 20 % of 500 and of 1,500. Then 1,100, 1,210, 1,331 and so on: 2,600 × 20 %, 3,810 × 20 %, 5,141 × 20 %.
    assert list(cumulative(outlook).items())[:5] == [
        ("2026-01", "100.00"),
        ("2026-02", "300.00"),
        ("2026-03", "520.00"),
        ("2026-04", "762.00"),
        ("2026-05", "1028.20"),
    ]
    assert (outlook.settled, outlook.saved, outlook.cap, outlook.reached) == (D("300.00"), D("0.00"), None, None)
    assert outlook.growth.is_assumed


def test_settled_months_may_come_in_any_order() -> None:
    of = share()
    past = months(sales("500", "700", "1000"), of)
    assert ahead(past[::-1], of, growth=NO_GROWTH) == ahead(past, of, growth=NO_GROWTH)


def test_growth_from_nothing_is_told() -> None:
    """A month without usage was settled last: zeros for years would be taken for a forecast."""
    of = share()
    past = [*months(sales("500"), of), settled(sales("500"), month("2026-02"), of)]
    outlook = ahead(past, of, growth=assumed_growth(D("0.1"), D("0.1"), D("0.1")))
    assert {month.due.mid for month in outlook.months} == {D("100.00")}
    assert outlook.growth.method.endswith("; the base of 2026-02, the last one, is 0, so nothing grows from it")


def test_the_cap_and_what_it_saves() -> None:
    # 100 a month of 20 % is 20.00: cumulative 20, 40, then 60, 80, clipped at 70.
    of = share(cap="USD 70")
    outlook = ahead(months(sales("100", "100"), of), of, growth=NO_GROWTH)
    assert list(cumulative(outlook).values())[:5] == ["20.00", "40.00", "60.00", "70.00", "70.00"]
    assert outlook.remaining == D("30.00")
    reached = outlook.reached
    assert reached is not None
    # 10 of April's 20 are left: half of April's base, so the 15th of its 30 days.
    assert (reached.on, reached.earliest, reached.likely, reached.latest) == (None, *[date(2026, 4, 15)] * 3)
    [year] = outlook.years
    # Without the cap twelve months are 240.00.
    assert (year.settled, year.due.mid, year.saved.mid) == (D("40.00"), D("70.00"), D("170.00"))


def test_a_cap_reached_in_the_past_stays_reached() -> None:
    of = share(cap="USD 30")
    outlook = ahead(months(sales("100", "100", "100"), of), of, growth=NO_GROWTH, through=2027)
    assert outlook.reached is not None
    assert (outlook.reached.on, outlook.settled, outlook.saved) == (date(2026, 2, 17), D("30.00"), D("30.00"))
    assert [(year.year, year.settled, year.due.mid, year.saved.mid) for year in outlook.years] == [
        (2026, D("30.00"), D("30.00"), D("210.00")),
        (2027, D("0"), D("0.00"), D("240.00")),
    ]


def test_a_share_that_ends_within_a_month_is_due_for_its_days() -> None:
    of = share(end=date(2026, 3, 11))
    outlook = ahead(months(sales("100", "310"), of), of, growth=NO_GROWTH)
    # Ten of March's 31 days: a base of 100.
    assert cumulative(outlook) == {"2026-01": "20.00", "2026-02": "82.00", "2026-03": "102.00"}


def test_a_share_that_begins_after_the_last_settled_month_is_due_from_its_first_day() -> None:
    before = share(end=date(2026, 3, 22))
    after = share("A2.share", begin=date(2026, 3, 22))
    past = months(sales("100", "310"), before, after)
    outcome = forecast(past, (before, after), read_assumptions((), {}), through=2026, known_at=LATER, growth=NO_GROWTH)
    [result] = [outlook for outlook in outcome.outlooks if outlook.term == "A2.share"]
    # Ten of March's 31 days: a base of 100; then 310 a month.
    assert list(cumulative(result).items())[:2] == [("2026-03", "20.00"), ("2026-04", "82.00")]


def test_low_middle_and_high_are_told_apart() -> None:
    of = share(cap="USD 100")
    outlook = ahead(months(sales("100"), of), of, growth=assumed_growth(D("-0.5"), D(0), D(1)))
    # February: 50, 100 or 200 on 100 are 30, 40 or 60 of share.
    second = outlook.months[1].due
    assert (second.low, second.mid, second.high) == (D("30.00"), D("40.00"), D("60.00"))
    assert outlook.reached is not None
    # Doubled: 60 by the end of February, 400 × 20 % = 80 in March, so half of March: the 16th of 31 days.
    assert (outlook.reached.earliest, outlook.reached.likely, outlook.reached.latest) == (
        date(2026, 3, 16),
        date(2026, 5, 31),
        None,
    )


def test_growth_is_drawn_from_the_settled_months_and_from_nothing_else() -> None:
    of = share()
    # 10 % more each month: whatever is drawn, it is that.
    past = months(sales("1000", "1100", "1210", "1331"), of)
    drawn = ahead(past, of)
    assert drawn.growth.changes == (D("0.1"),) * 3
    assert drawn.growth.months == ("2026-01", "2026-02", "2026-03", "2026-04")
    assert f"{PATHS:,} paths" in drawn.growth.method
    assumed = ahead(past, of, growth=assumed_growth(D("0.1"), D("0.1"), D("0.1")))
    assert drawn.months == assumed.months
    assert [(year.due, year.saved) for year in drawn.years] == [(year.due, year.saved) for year in assumed.years]


def test_the_range_of_changing_growth_holds_the_middle_and_repeats() -> None:
    of = share(cap="USD 3000")
    past = months(sales("1000", "1300", "1100", "1500", "1400"), of)
    outlook = ahead(past, of, through=2027)
    assert outlook == ahead(past, of, through=2027)
    future = [month for month in outlook.months if not month.is_settled]
    assert all(month.due.low <= month.due.mid <= month.due.high <= 3000 for month in future)
    assert all(month.due.low < month.due.high for month in future[:2])
    assert outlook.reached is not None
    assert outlook.reached.chance == 1
    days = (outlook.reached.earliest, outlook.reached.likely, outlook.reached.latest)
    assert None not in days
    assert list(days) == sorted(days)  # type: ignore[type-var]
    # By eye: settled 6,300 of base, 1,260 of share; 1,740 more are 8,700 of base, some five or six months of 1,500.
    assert date(2026, 9, 1) < outlook.reached.likely < date(2026, 12, 31)  # type: ignore[operator]


# The bases of settled months · the share then · the share ahead → what is due by each of the next months.
ANOTHER_CAP = [
    # 40.00 were due before there was a cap of 30.00: it takes nothing back.
    (("100", "100"), share(), share(cap="USD 30"), ["40.00", "40.00", "40.00"]),
    # The cap of 30.00 took 30.00 off the first three months, which stay off under one of 75.00.
    (("100", "100", "100"), share(cap="USD 30"), share(cap="USD 75"), ["50.00", "70.00", "75.00"]),
]


@pytest.mark.parametrize(("bases", "was", "will", "due"), ANOTHER_CAP)
def test_another_cap_holds_for_the_months_ahead(
    bases: tuple[str, ...], was: RevenueShare, will: RevenueShare, due: list[str]
) -> None:
    outlook = ahead(months(sales(*bases), was), will, growth=NO_GROWTH)
    assert list(cumulative(outlook).values())[len(bases) : len(bases) + 3] == due


def test_a_cap_is_reached_on_the_day_on_which_its_last_cent_is_due() -> None:
    # March has 100 of base in 31 days: 20 % of 200 and of 30/31 of it are 59.35.
    for cap, reached in (("USD 59.35", date(2026, 3, 30)), ("USD 59.36", date(2026, 3, 31))):
        of = share(cap=cap)
        outlook = ahead(months(sales("100", "100"), of), of, growth=NO_GROWTH)
        assert outlook.reached is not None
        assert outlook.reached.likely == reached


def test_a_share_that_ended_in_the_last_settled_month_has_its_past() -> None:
    of = share(end=date(2026, 2, 11))
    outlook = ahead([*months(sales("100"), of), settled(sales("100"), month("2026-02"), of)], of, growth=NO_GROWTH)
    assert (outlook.settled, list(cumulative(outlook))) == (D("20.00"), ["2026-01", "2026-02"])


# The bases of settled months, of a share since a day → the changes that growth is drawn from, and its months.
DRAWN = [
    # A month without sales is a fall to nothing; from nothing nothing grows.
    (("1000", "0", "1000", "1000", "500"), date(2026, 1, 1), ("-1", "0", "-0.5"), 1),
    # January is covered in part: it would look like growth.
    (("500", "1000", "1100", "1100", "2200"), date(2026, 1, 10), ("0.1", "0", "1"), 2),
]


@pytest.mark.parametrize(("bases", "begin", "changes", "first"), DRAWN)
def test_which_changes_growth_is_drawn_from(
    bases: tuple[str, ...], begin: date, changes: tuple[str, ...], first: int
) -> None:
    of = share(begin=begin)
    growth = ahead(months(sales(*bases), of), of).growth
    assert growth.changes == tuple(map(D, changes))
    assert growth.months == tuple(f"2026-0{number}" for number in range(first, 6))


def test_late_usage_of_a_settled_month_is_no_month_that_nobody_settled() -> None:
    of = share()
    january, february = settled(sales("100"), month("2026-01"), of), settled(sales("150", "100"), month("2026-02"), of)
    assert ahead([january, february], of, growth=NO_GROWTH).unsettled == ()


HISTORIES = [
    ("1000",),
    ("1000", "1100", "1200"),  # two changes
    ("0", "0", "0", "0", "1000"),  # nothing to grow from
]


@pytest.mark.parametrize("bases", HISTORIES)
def test_too_little_history_says_so_and_asks_for_an_assumption(bases: tuple[str, ...]) -> None:
    of = share()
    past = months(sales(*bases), of)
    with pytest.raises(InvalidInput) as refused:
        ahead(past, of)
    [problem] = refused.value.problems
    assert "too little history" in problem.what
    assert "--growth" in problem.remedy
    assert ahead(past, of, growth=NO_GROWTH).settled == exact_sum(month.shares[0].amount for month in past)


def test_a_month_that_is_not_over_is_no_history() -> None:
    of = share()
    past = months(sales("1000", "1100", "1210", "1331", "5"), of)
    outlook = ahead(past, of, known=date(2026, 5, 20))
    assert outlook.growth.months[-1] == "2026-04"
    assert [month.is_settled for month in outlook.months[:5]] == [True] * 4 + [False]
    # On the first of June May is over.
    for known, last in ((date(2026, 5, 31), "2026-04"), (date(2026, 6, 1), "2026-05")):
        assert ahead(past, of, known=known).growth.months[-1] == last
    with pytest.raises(InvalidInput, match="nothing is settled"):
        ahead(past, of, known=date(2026, 1, 20))


def test_months_that_do_not_follow_each_other_tell_no_growth() -> None:
    of = share()
    lines = [sold(f"{number:02}-17", "1000") for number in (1, 2, 4, 5, 7)]
    with pytest.raises(InvalidInput, match="at least 3 changes from one month to the next"):
        ahead(months(lines, of), of)


def test_a_month_that_nobody_settled_is_named_with_its_amount() -> None:
    # 20 % of 100, 200, 300, 400, 500; of the quarter's floor 300 are due, and 120 sold until March.
    of = share(floors=(Floor(amount="USD 300", per="quarter"),))
    _, _, march, april, may = months(sales("100", "200", "300", "400", "500"), of)
    [gap] = ahead([march, may], of, growth=NO_GROWTH).unsettled[1:]
    assert (gap.months, gap.amount) == (("2026-04",), D("80.00"))
    outlook = ahead([april, may], of, growth=NO_GROWTH)
    # 120 of share until March, and a top-up of 180.
    [gap] = outlook.unsettled
    assert (gap.months, gap.amount) == (("2026-01", "2026-02", "2026-03"), D("300.00"))
    # June's 100.00 and a top-up of 20.00 to the second quarter's 280.00.
    assert [month.due.mid for month in outlook.months if month.month in ("2026-05", "2026-06")] == [
        D("480.00"),
        D("600.00"),
    ]
    assert not ahead(months(sales("100", "0", "300"), of)[::2], of, growth=NO_GROWTH).unsettled


def test_what_a_share_followed_is_its_history_too() -> None:
    old = share("A1.share", end=date(2026, 3, 11))
    new = share("A2.share", begin=date(2026, 3, 11), cap="USD 10000")
    past = months(sales("1000", "1000", "1000", "1000", "1000"), old, new)
    outlook = ahead(past, old, new)
    assert outlook.term == "A2.share"
    assert outlook.growth.months == ("2026-01", "2026-02", "2026-03", "2026-04", "2026-05")
    # March's sale was on the 17th: the new share has 3,000 of base by May.
    assert (outlook.base, outlook.settled) == (D(3000), D("600.00"))


TERMS = st.sampled_from(
    [
        share(),
        share(cap="USD 400"),
        share(cap="USD 400", cap_opening="USD 150"),
        share(tiers=(Tier(above="USD 900", rate="10 %"), Tier(above="USD 2500", rate="30 %")), cap="USD 900"),
        share(floors=(Floor(amount="USD 100", per="month"),), cap="USD 1500"),
        share(floors=(Floor(amount="USD 500", per="quarter"),)),
    ]
)
CENTS = st.integers(0, 200_000).map(lambda units: str(D(units).scaleb(-2)))


@given(TERMS, st.lists(CENTS, min_size=1, max_size=4), st.sampled_from(["-0.5", "0", "0.25"]))
@settings(max_examples=60)
def test_the_past_is_what_was_settled_and_the_future_what_would_be(
    of: RevenueShare, bases: list[str], rate: str
) -> None:
    lines = sales(*bases)
    past = months(lines, of)
    outlook = ahead(past, of, growth=assumed_growth(D(rate), D(rate), D(rate)))
    assert outlook.settled == exact_sum(month.shares[0].amount for month in past)
    assert [month.due.mid for month in outlook.months if month.is_settled] == [
        month.shares[0].share_after for month in past
    ]
    [year] = outlook.years
    assert year.settled == outlook.settled
    # The same bases, sold and settled: December's cumulative share.
    level = D(bases[-1])
    for number in range(len(bases) + 1, 13):
        level = (level * (1 + D(rate))).quantize(D("1e-12"))
        lines.append(msgspec.structs.replace(sold(f"{number:02}-17", "0"), amount=level))
    real = settled(lines, month("2026-12"), of).shares[0]
    assert outlook.months[-1].due.mid == real.share_after == year.due.mid
    assert of.cap or outlook.saved == year.saved.mid == 0


@given(st.lists(st.integers(1, 9_999).map(str), min_size=4, max_size=8), st.sampled_from(["", "USD 5000"]))
@settings(max_examples=15)
def test_a_range_is_in_order_and_no_share_exceeds_its_cap(bases: list[str], cap: str) -> None:
    of = share(cap=cap)
    outlook = ahead(months(sales(*bases), of), of, through=2027)
    for month_ahead in outlook.months:
        assert_in_order(month_ahead)
        assert not cap or month_ahead.due.high <= 5000
        assert month_ahead.due.mid <= month_ahead.uncapped.mid
    assert len(QUANTILES) == 3


def assert_in_order(month_ahead: MonthAhead) -> None:
    assert month_ahead.due.low <= month_ahead.due.mid <= month_ahead.due.high
