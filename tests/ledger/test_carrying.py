"""Settling on carried sums is settling on everything, to the last digit: a law over random sales, terms and months."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from share_tables import CATALOG, INPUTS, at, month, share, sold, summed

from clauseway.agreement.language.shares import Floor, RevenueShare, Tier
from clauseway.ledger import Carried, SaleRecord, Settlement, carry, read_assumptions, settle
from clauseway.values import FOREVER, Interval, InvalidInput, day_of

MONTHS = [month(f"2026-0{number}") for number in range(1, 7)]
ASSUMPTIONS = read_assumptions((), {})
TERMS = st.sampled_from(
    [
        share(),
        share(begin=date(2026, 1, 17)),
        share(cap="USD 40"),
        share(cap="USD 40", cap_opening="USD 15"),
        share(tiers=(Tier(above="USD 60", rate="12.5 %"), Tier(above="USD 150", rate="30 %")), cap="USD 60"),
        share(
            begin=date(2026, 2, 10),
            end=date(2026, 6, 20),
            floors=(
                Floor(amount="USD 7", per="month"),
                Floor(amount="USD 25", per="quarter"),
                Floor(amount="USD 90", per="total"),
            ),
            cap="USD 70",
        ),
        share(end=FOREVER, floors=(Floor(amount="USD 30", per="quarter"),)),
    ]
)
CENTS = st.integers(-300_000, 900_000).map(lambda units: D(units).scaleb(-4))
DRAWN = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 28), st.integers(0, 23), CENTS, st.sampled_from(["own", "rented"])),
    max_size=20,
)


def test_a_sale_of_a_product_that_the_catalog_lacks_is_not_carried() -> None:
    """It would be left out of the base, of this month and of every later one."""
    with pytest.raises(InvalidInput, match="lost") as refused:
        carry(share(), MONTHS[0], [sold("01-05", "10.00", product="lost")], [], CATALOG, ASSUMPTIONS, None)
    assert len(refused.value.problems) == 1


def records(drawn: Sequence[tuple[int, int, int, D, str]], name: str, sign: int = 1) -> list[SaleRecord]:
    return [
        at(f"{of:02}-{day:02}", hour, f"{name}{number}", str(sign * amount), cloud)
        for number, (of, day, hour, amount, cloud) in enumerate(drawn)
    ]


def carried(of: RevenueShare, sales: Sequence[SaleRecord], back: Sequence[SaleRecord], until: date) -> Carried | None:
    """The sums month by month, each written and read again as it is kept."""
    before = None
    for days in MONTHS:
        if days.end > until or of.begin >= days.end or of.end <= days.begin:
            continue
        lines = [sale for sale in summed(sales) if sale.event_day in days]
        step = carry(of, days, lines, back, CATALOG, ASSUMPTIONS, before)
        before = msgspec.json.decode(msgspec.json.encode(step), type=Carried)
    return before


def settled(
    of: RevenueShare,
    days: Interval,
    sales: Sequence[SaleRecord],
    credited: Sequence[SaleRecord],
    disputed: Sequence[SaleRecord],
    in_order: Sequence[date],
    *,
    on_carried: bool,
) -> Settlement:
    """A month on everything there is, or on its own sales and what is carried."""
    first = days.begin if on_carried else of.begin
    kept = carried(of, sales, [*credited, *disputed], days.begin) if on_carried else None
    if_rejected = carried(of, sales, credited, days.begin) if on_carried else None
    key = of.term, of.begin
    return settle(
        period=days,
        shares=[of],
        revenue=summed([sale for sale in sales if first <= day_of(sale.event_ns) < days.end]),
        catalog=CATALOG,
        assumptions=ASSUMPTIONS,
        inputs=INPUTS,
        ordered={day: [sale for sale in sales if day_of(sale.event_ns) == day] for day in in_order},
        credited=credited,
        disputed=disputed,
        carried={} if kept is None else {key: kept},
        carried_if_rejected={} if if_rejected is None else {key: if_rejected},
    )


@given(TERMS, DRAWN, DRAWN, DRAWN)
@settings(max_examples=150, deadline=None)
def test_settling_on_carried_sums_is_settling_on_everything(
    of: RevenueShare,
    drawn: list[tuple[int, int, int, D, str]],
    credit: list[tuple[int, int, int, D, str]],
    dispute: list[tuple[int, int, int, D, str]],
) -> None:
    sales, credited = records(drawn, "r"), records(credit[:4], "c", -1)
    disputed = records(dispute[:3], "d", -1)
    for days in MONTHS:
        needed: tuple[date, ...] = ()
        for _ in range(2):  # the second time with the days in order that need it
            whole, alone = (
                settled(of, days, sales, credited, disputed, needed, on_carried=on_carried)
                for on_carried in (False, True)
            )
            assert msgspec.json.encode(alone) == msgspec.json.encode(whole)
            needed = whole.needs_order
