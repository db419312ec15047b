"""Terms of a share beside its rate and cap: bands, floors, which sales, whose; and reasons that take sales back.

Each table is a year of one agreement: the maker owes the host a share of what it sells.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from share_tables import amounts, at, cited, in_order, month, only, settled, share, sold

from clauseway.agreement.language.definitions import Figure
from clauseway.agreement.language.shares import Floor, RevenueShare, ShareBase, Tier
from clauseway.app.reports.statements import statement_context
from clauseway.ledger import RevenueLine, SaleRecord, Settlement, statement_of
from clauseway.values import Interval, InvalidInput, day_of, exact_sum

YEAR = Interval(date(2026, 1, 1), date(2027, 1, 1))

# 20 % of the first 1,000.00; 15 % of what lies above; 10 % of what lies above 5,000.00.
TIERED = share(tiers=(Tier(above="USD 5000", rate="10 %"), Tier(above="1_000", rate="15 %")))
# month, sold in it → share due in it
BANDS = [
    ("2026-01", "600.00", "120.00"),  # 600 × 20 %
    ("2026-02", "900.00", "155.00"),  # 400 × 20 % + 500 × 15 % = 80 + 75
    ("2026-03", "3000.00", "450.00"),  # 3,000 × 15 %; 4,500 in all
    ("2026-04", "1500.00", "175.00"),  # 500 × 15 % + 1,000 × 10 % = 75 + 100
    ("2026-05", "-2000.00", "-250.00"),  # back over the bound: −1,000 × 10 % − 1,000 × 15 %
    ("2026-06", "0.07", "0.01"),  # 0.07 × 15 % = 0.0105
]


def test_bands_of_the_cumulative_base() -> None:
    revenue = [sold(f"{name[5:]}-15", amount) for name, amount, _ in BANDS]
    assert [str(only(settled(revenue, month(name), TIERED)).amount) for name, _, _ in BANDS] == [d for *_, d in BANDS]
    result = only(settled(revenue, YEAR, TIERED))
    # 1,000 × 20 % + 3,000.07 × 15 % = 200 + 450.0105
    assert (str(result.share_after), str(result.base_after)) == ("650.01", "4000.07")
    assert [(str(band.above), str(band.rate)) for band in result.bands] == [("1000.00", "0.15"), ("5000.00", "0.1")]


def test_a_band_that_begins_within_a_day_is_split_in_order_of_event_time() -> None:
    records = [
        at("02-01", 9, "a", "800.00", "own"),
        at("02-01", 10, "b", "400.00"),
        at("02-01", 11, "c", "100.00", "own"),
    ]
    rough = settled([sold("02-01", "900.00", cloud="own"), sold("02-01", "400.00")], month("2026-02"), TIERED)
    assert rough.needs_order == (date(2026, 2, 1),)
    exact = in_order(records, month("2026-02"), TIERED)
    assert exact.needs_order == ()
    assert amounts(exact) == {
        "A1.share|chat|own|maker": "175.00",  # 800 × 20 % + 100 × 15 %
        "A1.share|chat|rented|maker": "70.00",  # 200 × 20 % + 200 × 15 %
    }
    assert only(rough).amount == only(exact).amount == D("245.00")


# From 11 March 2026 on: at least 310.00 a month, at least 1,200.00 a quarter, and 3,000.00 by the end of July.
FLOORED = share(
    begin=date(2026, 3, 11),
    end=date(2026, 8, 1),
    floors=(
        Floor(amount="USD 310", per="month"),
        Floor(amount="USD 1200", per="quarter"),
        Floor(amount="USD 3000", per="total"),
    ),
)
# month, sold in it → top-ups, due
FLOORS = [
    # 21 of 31 days: 310 × 21/31 = 210.00, and 1,200 × 21/90 = 280.00 for the quarter; 20 % of 300 is 60
    ("2026-03", "300.00", {"2026-03": "150.00", "2026-Q1": "70.00"}, "280.00"),
    ("2026-04", "2000.00", {}, "400.00"),  # 20 % of 2,000
    ("2026-05", "1000.00", {"2026-05": "110.00"}, "310.00"),  # 200 + 110
    # 310 for June: 310. The quarter has 400 + 310 + 310 = 1,020
    ("2026-06", "0.00", {"2026-06": "310.00", "2026-Q2": "180.00"}, "490.00"),
    # 20 % of 2,000 = 400; the quarter's floor, by 31 of 92 days, is 404.35; 280 + 400 + 310 + 490 + 404.35 = 1,884.35
    ("2026-07", "2000.00", {"2026-Q3": "4.35", "total": "1115.65"}, "1520.00"),
]


def test_floors_are_topped_up_on_the_last_day_of_their_period() -> None:
    revenue = [sold(f"{name[5:]}-20", amount) for name, amount, *_ in FLOORS]
    for name, _, topped, due in FLOORS:
        result = only(settled(revenue, month(name), FLOORED))
        assert {top_up.period: str(top_up.amount) for top_up in result.top_ups} == topped, name
        assert str(result.amount) == due, name
        assert exact_sum(line.amount for line in result.lines) == result.amount
    assert str(only(settled(revenue, YEAR, FLOORED)).share_after) == "3000.00"
    june = settled(revenue, month("2026-06"), FLOORED)
    assert amounts(june) == {"A1.share|minimum|2026-06|": "310.00", "A1.share|minimum|2026-Q2|": "180.00"}
    assert [line.of for line in only(june).lines] == ["minimum of 2026-06", "minimum of 2026-Q2"]


def test_the_minimum_of_a_part_period_says_for_how_many_days_it_is() -> None:
    for name, said in {
        "2026-03": ["minimum of March 2026, for 21 of 31 days", "minimum of 2026-Q1, for 21 of 90 days"],
        "2026-06": ["minimum of June 2026", "minimum of 2026-Q2"],
        "2026-07": ["minimum of 2026-Q3, for 31 of 92 days", "minimum of total"],
    }.items():
        revenue = [sold(f"{month_[5:]}-20", amount) for month_, amount, *_ in FLOORS]
        shown = statement_context(statement_of(settled(revenue, month(name), FLOORED)))
        lines = [line for section in shown.sections for line in section.lines if line.label.startswith("minimum")]
        assert [line.label for line in lines] == said
        for line in lines:
            assert f"is lacking to the {line.label}" in line.working[0]


def test_minimums_of_one_day_count_toward_each_other() -> None:
    # In force on the last day of March: 310 × 1/31 = 10.00 for the month are all of 900 × 1/90 = 10.00 for the quarter
    floors = (Floor(amount="USD 310", per="month"), Floor(amount="USD 900", per="quarter"))
    result = only(settled([], month("2026-03"), share(begin=date(2026, 3, 31), floors=floors)))
    assert {top_up.period: str(top_up.amount) for top_up in result.top_ups} == {"2026-03": "10.00"}


def test_a_day_that_ends_where_a_band_begins_is_not_needed_in_order() -> None:
    sales = [sold("02-01", "600.00"), sold("02-02", "300.00"), sold("02-02", "100.00", cloud="own")]
    assert settled(sales, month("2026-02"), TIERED).needs_order == ()
    assert settled([*sales, sold("02-02", "0.01")], month("2026-02"), TIERED).needs_order == (date(2026, 2, 2),)


def test_no_floor_is_due_before_its_period_is_over() -> None:
    assert str(only(settled([], Interval(date(2026, 3, 11), date(2026, 3, 31)), FLOORED)).amount) == "0.00"


def test_the_cap_holds_for_share_and_floors_together() -> None:
    capped = share(cap="USD 500", floors=(Floor(amount="USD 310", per="month"),))
    january, february, march = (settled([], month(f"2026-0{n}"), capped) for n in (1, 2, 3))
    assert [str(only(month).amount) for month in (january, february, march)] == ["310.00", "190.00", "0.00"]
    reached = only(february).cap
    assert reached is not None
    assert reached.reached is not None
    assert (reached.remaining, reached.reached.day) == (D("0.00"), date(2026, 2, 28))


# which sales are in the base → of 100.00 of chat on own, 10.00 of code on own, 1.00 of chat on rented
SCOPES = [
    (ShareBase(sellers=frozenset({"maker"})), "111.00"),
    (ShareBase(sellers=frozenset({"maker"}), products=frozenset({"api"})), "101.00"),
    (ShareBase(sellers=frozenset({"maker"}), products=frozenset({"code"})), "10.00"),
    (ShareBase(sellers=frozenset({"maker"}), clouds=frozenset({"own"})), "110.00"),
    (ShareBase(sellers=frozenset({"maker"}), clouds=frozenset({"own"}), excludes=frozenset({"app"})), "100.00"),
]


@pytest.mark.parametrize(("base", "counted"), SCOPES)
def test_which_sales_are_in_the_base(base: ShareBase, counted: str) -> None:
    revenue = [
        sold("05-01", "100.00", cloud="own"),
        sold("05-01", "10.00", cloud="own", product="code"),
        sold("05-01", "1.00"),
    ]
    assert str(only(settled(revenue, month("2026-05"), share(base=base))).base) == counted


OWNER = {
    name: Figure(id=name, value=value, standing="ours", citation=cited(name))
    for name, value in (("revenue-owner", "seller"), ("wholesale", "50 %"))
}
OWN_AND_WHOLESALE = share(base=ShareBase(sellers=frozenset({"maker"}), wholesale=True))


@pytest.mark.parametrize(
    ("assume", "counted"),
    [
        ([], "105.00"),  # the maker's own 100.00; of the reseller's 10.00 the half
        (["revenue-owner=host"], "60.00"),  # hosted by the maker 10.00; of what the host hosts, 100.00, the half
    ],
)
def test_whose_revenue_a_sale_is(assume: Sequence[str], counted: str) -> None:
    revenue = [sold("05-01", "100.00"), sold("05-01", "10.00", seller="reseller", cloud="own")]
    result = only(settled(revenue, month("2026-05"), OWN_AND_WHOLESALE, assume=assume, figures=OWNER))
    assert D(counted) == result.base


# A figure that no share names is used by every share that it bears on: declared, and the figure as it is accepted.
UNNAMED = [
    ("wholesale", "50 %", "80%", ShareBase(sellers=frozenset({"maker"}), wholesale=True)),
    ("revenue-owner", "seller", "host", ShareBase(sellers=frozenset({"maker"}))),
    ("cap-counts", "from-now", "all-payments:95", ShareBase(sellers=frozenset({"maker"}))),
]


@pytest.mark.parametrize("standing", ["reported", "placeholder"])
@pytest.mark.parametrize(("name", "declared", "other", "base"), UNNAMED)
def test_an_undisclosed_figure_that_no_share_names_is_accepted_by_name(
    name: str, declared: str, other: str, base: ShareBase, standing: str
) -> None:
    figures = {name: Figure(id=name, value=declared, standing=standing, citation=cited(name))}
    revenue = [sold("05-01", "100.00"), sold("05-01", "10.00", seller="reseller", cloud="own")]

    def settled_on(*assume: str) -> Settlement:
        of = share(cap="USD 100", base=base)
        return settled(revenue, month("2026-05"), of, assume=assume, figures=figures)

    with pytest.raises(InvalidInput, match=f"{name} is undisclosed"):
        settled_on()
    accepted, another = settled_on(name), settled_on(f"{name}={other}")
    assert [figure.name for figure in accepted.assumptions] == [name]
    # Two amounts, two receipts.
    assert only(accepted).amount != only(another).amount
    assert accepted.receipt != another.receipt


def test_an_undisclosed_figure_that_bears_on_no_share_is_not_asked_for() -> None:
    figures = {
        name: Figure(id=name, value=value, standing="reported", citation=cited(name))
        for name, value in (("wholesale", "50 %"), ("cap-counts", "from-now"))
    }
    own = share(cap="USD 100", cap_opening="USD 10")
    assert settled([sold("05-01", "100.00")], month("2026-05"), own, figures=figures).assumptions == ()


def test_a_host_that_nobody_is_known_to_operate_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'moon' hosted what was sold"):
        settled(
            [sold("05-01", "1.00", cloud="moon")],
            month("2026-05"),
            share(),
            assume=["revenue-owner=host"],
            figures=OWNER,
        )


def test_what_does_not_fit_is_refused_with_its_place() -> None:
    twice = share(tiers=(Tier(above="1000", rate="15 %"), Tier(above="USD 1 thousand", rate="10 %")))
    with pytest.raises(InvalidInput, match=r"A1\.md:7: A1\.share cannot be settled: two of its tiers begin at one"):
        settled([], month("2026-05"), twice)
    with pytest.raises(InvalidInput, match="figure nowhere has no value"):
        settled([], month("2026-05"), share(rate="nowhere"))


# A cap of 10.00 at 20 % is full at a base of 50.00.
CAPPED = share(cap="USD 10")
DAY = [
    at("05-02", 8, "r1", "30.00"),  # 6.00
    at("05-02", 9, "r2", "15.00", "own"),  # 3.00, 9.00 in all
    at("05-02", 10, "r3", "20.00"),  # 1.00 fits: the cap is reached at ten o'clock
    at("05-02", 11, "r4", "5.00", "own"),  # nothing any more
]
RENTED, OWN = "A1.share|chat|rented|maker", "A1.share|chat|own|maker"


def test_a_cap_is_reached_within_a_day() -> None:
    may = in_order(DAY, month("2026-05"), CAPPED)
    assert amounts(may) == {OWN: "3.00", RENTED: "7.00"}
    cap = only(may).cap
    assert cap is not None
    assert cap.reached is not None
    assert (cap.reached.day, cap.reached.event_ns, cap.reached.request_id) == (date(2026, 5, 2), DAY[2].event_ns, "r3")


def test_a_credit_reopens_the_cap_for_what_came_after() -> None:
    # r1 was charged 20.00 too much: 10 + 15 + 20 + 5 = 50.00, so r3 fits whole and r4 fills the cap
    credit = at("05-02", 8, "credit-1", "-20.00")
    may = in_order(DAY, month("2026-05"), CAPPED, credited=[credit])
    assert amounts(may) == {OWN: "4.00", RENTED: "6.00"}  # 15 and 5 at 20 %; 10 and 20
    (rented,) = [line for line in only(may).lines if line.cloud == "rented"]
    assert (str(rented.base), str(rented.adjusted), rented.requests) == ("30.00", "-20.00", 2)
    cap = only(may).cap
    assert cap is not None
    assert cap.reached is not None
    assert cap.reached.request_id == "r4"
    # 30.00 more taken back: 20.00 × 20 % are due, and nothing is reached any more
    back = only(in_order(DAY, month("2026-05"), CAPPED, credited=[credit, at("05-02", 9, "credit-2", "-30.00")]))
    assert back.cap is not None
    assert (str(back.amount), back.cap.remaining, back.cap.reached) == ("4.00", D("6.00"), None)


def test_a_credit_of_another_month_moves_that_month() -> None:
    credit = at("05-02", 8, "credit-1", "-40.00")
    records = [*DAY, at("06-01", 9, "r5", "100.00")]
    # May: 70 − 40 = 30.00 → 6.00. June: 130.00 → 26.00, of which 4.00 fit
    assert str(only(in_order(records, month("2026-05"), CAPPED, credited=[credit])).amount) == "6.00"
    assert str(only(in_order(records, month("2026-06"), CAPPED, credited=[credit])).amount) == "4.00"


def test_what_is_disputed_leaves_the_cap_and_returns() -> None:
    disputed = at("05-02", 8, "dispute-1", "-30.00")  # r1, all of it
    while_open = in_order(DAY, month("2026-05"), CAPPED, disputed=[disputed])
    assert amounts(while_open) == {OWN: "4.00", RENTED: "4.00"}  # 15 + 5 and 20.00 at 20 %: 8.00 of the cap's 10.00
    # if it is rejected, r1 returns: rented 7.00 and own 3.00 as without it
    assert {voucher.line: str(voucher.amount) for voucher in while_open.disputed} == {OWN: "-1.00", RENTED: "3.00"}
    upheld = in_order(DAY, month("2026-05"), CAPPED, credited=[disputed])
    assert amounts(upheld) == amounts(while_open)
    assert upheld.disputed == ()


# sold before the day, cap or bands, taken back on the day. 100.00 are sold on it: which came first decides
TAKEN_BACK_WITHIN_A_DAY = [
    ("60.00", CAPPED, "-30.00"),  # the cap of 10.00 stands at 50.00: the credit first reopens it
    ("1050.00", TIERED, "-100.00"),  # a band begins at 1,000.00: the credit first leads below it
]


@pytest.mark.parametrize(("before", "term", "credit"), TAKEN_BACK_WITHIN_A_DAY)
def test_a_day_whose_credits_lead_below_a_bound_is_needed_in_order(
    before: str, term: RevenueShare, credit: str
) -> None:
    revenue = [sold("05-01", before), sold("05-02", credit), sold("05-02", "100.00", cloud="own")]
    assert date(2026, 5, 2) in settled(revenue, month("2026-05"), term).needs_order


def test_days_before_the_period_are_not_needed_in_order() -> None:
    revenue = [sold("05-02", "100.00"), sold("05-02", "100.00", cloud="own")]
    assert settled(revenue, month("2026-05"), CAPPED).needs_order == (date(2026, 5, 2),)
    assert settled(revenue, month("2026-06"), CAPPED).needs_order == ()


def test_sales_after_the_period_count_in_nothing() -> None:
    result = only(settled([sold("05-31", "10.00"), sold("06-01", "5.00")], month("2026-05"), share()))
    (line,) = result.lines
    assert (line.base, line.base_cumulative, result.base_after) == (D("10.00"), D("10.00"), D("10.00"))


def test_a_cap_that_others_have_used_up_leaves_nothing() -> None:
    result = only(settled([sold("05-01", "100.00")], month("2026-05"), share(cap="USD 10", cap_opening="USD 12")))
    assert result.cap is not None
    assert (result.cap.opening, result.cap.remaining) == (D("10.00"), D("0.00"))
    assert (result.share_before, result.amount) == (D("0.00"), D("0.00"))


def test_a_minimum_is_due_in_the_month_of_its_last_day() -> None:
    through_may_day = share(end=date(2026, 5, 2), floors=(Floor(amount="USD 100", per="total"),))
    due = [str(only(settled([], month(name), through_may_day)).amount) for name in ("2026-04", "2026-05")]
    assert due == ["0.00", "100.00"]


def test_a_minimum_for_a_single_day_falls_due_after_its_sales() -> None:
    # 20 % of 500.00 is 100.00; 20.00 lack to the minimum, of which the cap leaves 10.00
    may_day = share(
        begin=date(2026, 5, 1),
        end=date(2026, 5, 2),
        cap="USD 110",
        floors=(Floor(amount="USD 120", per="total"),),
    )
    due = amounts(settled([sold("05-01", "500.00")], month("2026-05"), may_day))
    assert due == {RENTED: "100.00", "A1.share|minimum|total|": "10.00"}


def test_lines_of_a_term_that_begins_again_are_told_apart() -> None:
    first, again = share(end=date(2026, 5, 10)), share(begin=date(2026, 5, 20))
    due = amounts(settled([sold("05-01", "10.00"), sold("05-25", "20.00")], month("2026-05"), again, first))
    assert due == {RENTED: "2.00", "A1.share@2026-05-20|chat|rented|maker": "4.00"}


def test_shares_stand_by_payer_payee_beginning_and_term() -> None:
    given = [share("A3.late", begin=date(2026, 3, 1)), share("A2.first"), share("A1.first"), share("B", payer="host")]
    assert [share.term for share in settled([], month("2026-05"), *given).shares] == [
        "B",
        "A1.first",
        "A2.first",
        "A3.late",
    ]


def test_several_agreements_are_settled_at_once() -> None:
    theirs = share("B1.share", payer="reseller", base=ShareBase(sellers=frozenset({"reseller"})), rate="7.5 %")
    revenue = [sold("05-01", "100.00"), sold("05-01", "40.00", seller="reseller")]
    both = settled(revenue, month("2026-05"), share(), theirs)
    assert {share.term: str(share.amount) for share in both.shares} == {"A1.share": "20.00", "B1.share": "3.00"}


def test_what_a_share_does_not_say_leaves_its_receipt_as_it_was() -> None:
    plain, other = (settled([], month("2026-05"), terms).receipt for terms in (share(), share(late="restatement")))
    assert plain != other
    # The receipt as it was computed before terms could say more.
    assert plain == RECEIPT


RECEIPT = "4031fb51289ed0cb55b44f6e4814906d46c5ba402298ad65e4280c06515cac3e"

# Laws, and a second calculation: a walk through the sales one by one, in fractions.
CENTS = st.integers(-300_000, 900_000).map(lambda units: D(units).scaleb(-4))
RECORDS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 28), st.integers(0, 23), CENTS, st.sampled_from(["own", "rented"])),
    max_size=25,
)
FULL = share(
    tiers=(Tier(above="USD 60", rate="12.5 %"), Tier(above="USD 150", rate="30 %")),
    cap="USD 40",
    floors=(Floor(amount="USD 7", per="month"), Floor(amount="USD 25", per="quarter")),
)


def built(drawn: Sequence[tuple[int, int, int, D, str]]) -> list[SaleRecord]:
    return [
        at(f"{month_:02}-{day:02}", hour, f"r{number}", str(amount), cloud)
        for number, (month_, day, hour, amount, cloud) in enumerate(drawn)
    ]


def gross(base: Fraction) -> Fraction:
    """20 % below 60, 12.5 % to 150, 30 % above."""
    bands = [(Fraction(20, 100), None, 60), (Fraction(125, 1000), 60, 150), (Fraction(30, 100), 150, None)]
    total = Fraction(0)
    for rate, low, high in bands:
        top = base if high is None else min(base, Fraction(high))
        if low is None or top > low:
            total += rate * (top - (low or 0))
    return total


def cents(amount: Fraction) -> Fraction:
    return Fraction(round(amount * 100), 100)


def walked(records: Sequence[SaleRecord]) -> list[Fraction]:
    """Return the amounts due by the ends of January, February and March, by hand: months first, then the quarter."""
    base, added, shares = Fraction(0), Fraction(0), [Fraction(0)]
    dues = []
    for number in (1, 2, 3):
        base += sum(Fraction(record.amount) for record in records if day_of(record.event_ns).month == number)
        shares.append(cents(gross(base)))
        added += max(Fraction(0), 7 - (shares[-1] - shares[-2]))
        if number == 3:
            added += max(Fraction(0), 25 - shares[-1] - added)
        dues.append(min(Fraction(40), shares[-1] + added))
    return dues


@given(RECORDS)
def test_it_agrees_with_a_calculation_by_hand(drawn: list[tuple[int, int, int, D, str]]) -> None:
    records = built(drawn)
    due = [only(in_order(records, month(f"2026-0{n}"), FULL)) for n in (1, 2, 3)]
    assert [Fraction(line.share_after) for line in due] == walked(records)
    for item in due:
        assert exact_sum(line.amount for line in item.lines) == item.amount
        assert item.cap is not None
        assert item.share_after <= D("40.00")


@given(RECORDS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_arrival_nor_batches_change_anything(
    drawn: list[tuple[int, int, int, D, str]], shuffle: st.DataObject, size: int
) -> None:
    records = built(drawn)
    shuffled = list(records)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in ("2026-02", "2026-03"):
        once = in_order(records, month(name), FULL)
        assert once == in_order(shuffled, month(name), FULL)
        batched = [
            RevenueLine(
                event_day=day_of(record.event_ns),
                seller=record.seller,
                cloud=record.cloud,
                product=record.product,
                amount=record.amount / size,
                requests=1 if part == 0 else 0,
            )
            for record in shuffled
            for part in range(size)
            if size != 3  # thirds are no decimals
        ]
        if batched:
            parts = only(settled(batched, month(name), FULL))
            assert (parts.amount, parts.base) == (only(once).amount, only(once).base)


@given(RECORDS, RECORDS)
def test_a_dispute_is_between_upheld_and_rejected(
    drawn: list[tuple[int, int, int, D, str]], back: list[tuple[int, int, int, D, str]]
) -> None:
    """Open, what is due is what is due upheld; and with what is at stake, what is due rejected."""
    records = built(drawn)
    taken = [at(f"02-{day:02}", hour, f"v{n}", str(-abs(a)), c) for n, (_, day, hour, a, c) in enumerate(back) if a]
    rejected, upheld, open_ = (
        in_order(records, month("2026-03"), FULL, **given) for given in ({}, {"credited": taken}, {"disputed": taken})
    )
    assert amounts(open_) == amounts(upheld)
    assert only(open_).amount + exact_sum(voucher.amount for voucher in open_.disputed) == only(rejected).amount
