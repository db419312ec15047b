"""A bill against the meter, the comparison itself: laws, and what the tests on a lake do not plant."""

from datetime import date, timedelta
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.ledger.reconciliation import (
    BESIDE,
    BillComparison,
    Billed,
    Metered,
    Tolerance,
    UncomparedCharge,
    reconcile,
)
from clauseway.metering import Unit
from clauseway.values import Interval, exact_sum

MAY = Interval(date(2026, 5, 1), date(2026, 6, 1))
FIRST_HOUR = (MAY.begin - date(1970, 1, 1)).days * 24
PRICE = {Unit.INPUT_TOKENS: 2_000_000, Unit.OUTPUT_TOKENS: 10_000_000}  # picodollars


def metered(
    hour: int, quantity: int, unit: Unit = Unit.INPUT_TOKENS, product: str = "gpt-5.4", **more: object
) -> Metered:
    return msgspec.structs.replace(
        Metered(
            hour=FIRST_HOUR + hour,
            cloud="azure",
            seller="microsoft",
            region="eastus2",
            product=product,
            unit=unit,
            quantity=quantity,
            amount=D(quantity * PRICE[unit]).scaleb(-12),
            attempts=1,
        ),
        **more,
    )


def billed(used: list[Metered], offset: int = 0) -> list[Billed]:
    """A row for each: what a cloud that counts as we do would bill."""
    return [
        Billed(
            line=number,
            day=date(1970, 1, 1) + timedelta(days=(sale.hour + offset) // 24),
            cloud=sale.cloud,
            seller=sale.seller,
            region=sale.region,
            product=sale.product,
            unit=sale.unit,
            quantity=D(sale.quantity),
            cost=D(sale.quantity * PRICE[sale.unit]).scaleb(-12),
            identity=str(number),
        )
        for number, sale in enumerate(used, 2)
    ]


def compared(used: list[Metered], rows: list[Billed]) -> BillComparison:
    return reconcile(used, rows, days=MAY, tolerance=Tolerance())


USED = st.lists(
    st.builds(
        metered,
        st.integers(0, 31 * 24 - 1),
        st.integers(1, 10**9),
        st.sampled_from(sorted(PRICE)),
        st.sampled_from(["gpt-5.4", "gpt-5.5"]),
    ),
    max_size=12,
)


@given(USED)
def test_a_bill_made_from_the_meter_is_fully_matched(used: list[Metered]) -> None:
    reconciliation = compared(used, billed(used))
    assert reconciliation.is_matched
    assert reconciliation.difference == reconciliation.at_stake == 0
    assert reconciliation.metered == reconciliation.billed == exact_sum(sale.amount or D(0) for sale in used)


@given(USED, USED)
def test_the_differences_are_all_that_the_sides_differ_by(used: list[Metered], other: list[Metered]) -> None:
    reconciliation = compared(used, billed(other))
    assert reconciliation.difference == reconciliation.billed - reconciliation.metered
    assert reconciliation.difference == exact_sum(
        item.difference for line in reconciliation.lines for item in line.items
    )
    assert sum(count for count, _ in reconciliation.by_status.values()) == sum(
        len(line.items) for line in reconciliation.lines
    )
    assert sum(count for count, _ in reconciliation.by_cause.values()) == sum(
        item.status != "matched" for line in reconciliation.lines for item in line.items
    )


@given(USED, USED, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(used: list[Metered], other: list[Metered], random: object) -> None:
    rows = billed(other)
    reconciliation = compared(used, rows)
    random.shuffle(used)  # type: ignore[attr-defined]
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert [(line.day, line.status, line.difference) for line in compared(used, rows).lines] == [
        (line.day, line.status, line.difference) for line in reconciliation.lines
    ]


def test_usage_without_a_price_is_a_finding_with_all_that_was_billed_at_stake() -> None:
    used = [metered(12, 1_000_000, amount=None)]
    reconciliation = compared(used, billed(used))
    [item] = reconciliation.lines[0].items
    assert (item.status, item.difference) == ("priced differently", D("2.00"))
    assert [cause.name for cause in item.causes] == ["no price"]


def test_a_single_day_that_is_missing_is_no_time_zone() -> None:
    # At 23 o'clock the usage would lie on another day for most of the world: no bill says so.
    used = [metered(23, 1_000_000), metered(100, 5)]
    [line, _] = compared(used, billed(used[1:])).lines
    assert [cause.name for item in line.items for cause in item.causes] == ["no known cause"]


def test_where_most_was_recorded_late_being_late_explains_nothing() -> None:
    used = [metered(1, 100, is_late=True), metered(2, 300, is_late=True), metered(30, 7)]
    rows = billed(used[2:])
    assert [cause.name for line in compared(used, rows).lines for item in line.items for cause in item.causes] == [
        "no known cause"
    ]
    more = [*used, *(metered(60 + hour, 9) for hour in range(5))]
    rows = billed(more[2:])
    assert [cause.name for line in compared(more, rows).lines for item in line.items for cause in item.causes] == [
        "late record"
    ]


def test_another_quantity_at_another_price_has_two_causes() -> None:
    used = [metered(12, 1_000_000)]
    [row] = billed(used)
    again = msgspec.structs.replace(row, line=3, cost=D("2.00"))
    reconciliation = compared(
        used, [msgspec.structs.replace(row, currency="EUR"), msgspec.structs.replace(again, currency="EUR")]
    )
    assert [cause.name for cause in reconciliation.lines[0].items[0].causes] == ["duplicate", "currency"]


def causes(used: list[Metered], rows: list[Billed]) -> dict[str, list[str]]:
    """Of each item that differs, by its day and region: its status, its difference and its causes."""
    return {
        f"{line.day.day} {line.region}": [item.status, f"{item.difference:f}", *(cause.name for cause in item.causes)]
        for line in compared(used, rows).lines
        for item in line.items
        if item.status != "matched"
    }


def test_on_the_last_day_that_was_billed_the_rest_is_missing_and_not_to_come() -> None:
    used = [metered(30, 7), metered(31, 5, region="west"), metered(60, 3)]
    assert causes(used, billed(used[:1])) == {
        "2 west": ["missing on the bill", "-0.000010000000", "no known cause"],
        "3 eastus2": ["missing on the bill", "-0.000006000000", "not billed yet"],
    }


def test_what_is_metered_and_billed_in_a_region_is_no_other_regions() -> None:
    """East has what is billed there; west's equal usage is on no bill."""
    used = [metered(1, 500_000), metered(2, 500_000, region="west")]
    assert causes(used, billed(used[:1])) == {"1 west": ["missing on the bill", "-1.000000000000", "no known cause"]}


def test_rows_without_an_identity_repeat_nothing() -> None:
    used = [metered(12, 1_000_000)]
    [row] = billed(used)
    unnamed = [msgspec.structs.replace(row, identity="", line=number) for number in (2, 3)]
    assert causes(used, unnamed) == {"1 eastus2": ["quantity differs", "2.000000000000", "no known cause"]}


def test_usage_that_is_priced_in_part_has_no_amount() -> None:
    used = [metered(12, 500_000), metered(13, 500_000, amount=None)]
    assert causes(used, billed(used)) == {"1 eastus2": ["priced differently", "2.000000000000", "no price"]}


def test_usage_of_other_days_is_no_difference() -> None:
    """A day before the first and a day after the last are read for bills whose days begin at another hour."""
    used = [metered(-1, 5), metered(12, 7), metered(31 * 24, 5)]
    assert causes(used, billed(used[1:2])) == {}


def test_a_line_is_as_its_heaviest_difference_whatever_a_tolerance_lets_pass() -> None:
    """4.00 more for input is within the tolerance; output of 1.00 is missing."""
    used = [metered(12, 1_000_000), metered(12, 100_000, Unit.OUTPUT_TOKENS)]
    rows = [msgspec.structs.replace(row, cost=D("6.00")) for row in billed(used[:1])]
    reconciliation = reconcile(used, rows, days=MAY, tolerance=Tolerance(amount=D("5.00")))
    [line] = reconciliation.lines
    assert [(item.status, item.at_stake) for item in line.items] == [
        ("matched", D("4.00")),
        ("missing on the bill", D("1.00")),
    ]
    assert (line.status, reconciliation.at_stake) == ("missing on the bill", D("1.00"))


@pytest.mark.parametrize("kind", BESIDE)
def test_only_what_is_not_metered_or_left_out_on_purpose_asks_for_no_explanation(kind: str) -> None:
    used = [metered(12, 7)]
    charge = UncomparedCharge(kind=kind, cost=D("1.00"))
    reconciliation = reconcile(used, billed(used), days=MAY, tolerance=Tolerance(), beside=[charge])
    assert (reconciliation.is_matched, reconciliation.is_whole) == (
        kind in ("taxes", "other services", "not compared"),
        False,
    )


KINDS = st.sampled_from(BESIDE)
AMOUNTS = st.decimals(min_value=-(10**6), max_value=10**6, places=4)
CHARGES = st.lists(
    st.builds(
        lambda kind, cost, currency: UncomparedCharge(kind=kind, cost=cost, currency=currency),
        KINDS,
        AMOUNTS,
        st.sampled_from(["USD", "EUR"]),
    ),
    max_size=6,
)


@given(USED, USED, CHARGES, st.booleans())
def test_the_parts_of_a_bill_are_the_bill(
    used: list[Metered], other: list[Metered], beside: list[UncomparedCharge], is_rated: bool
) -> None:
    rows = [msgspec.structs.replace(row, currency="EUR") if row.line % 3 == 0 else row for row in billed(other)]
    rates = {"EUR": D("1.25")} if is_rated else {}
    reconciliation = reconcile(used, rows, days=MAY, tolerance=Tolerance(), rates=rates, beside=beside)
    costs = [*((row.cost, row.currency) for row in rows), *((charge.cost, charge.currency) for charge in beside)]
    worth = {"USD": D(1), **rates}
    assert reconciliation.total == exact_sum(part.billed for part in reconciliation.parts)
    assert reconciliation.total == exact_sum(cost * worth[currency] for cost, currency in costs if currency in worth)
    assert exact_sum(part.metered for part in reconciliation.parts) == exact_sum(sale.amount or D(0) for sale in used)
    assert reconciliation.unrated == (
        {}
        if is_rated or all(currency == "USD" for _, currency in costs)
        else {"EUR": exact_sum(cost for cost, currency in costs if currency == "EUR")}
    )
    assert sum(part.rows for part in reconciliation.parts) == len(rows) + len(beside)
    is_whole = all(not part.billed and not part.metered for part in reconciliation.parts if part.name != "matched")
    assert reconciliation.is_whole == (reconciliation.is_matched and is_whole and not reconciliation.unrated)
