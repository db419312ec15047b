"""Exact money: one rounding, and splits that sum to the cent."""

from decimal import Decimal as D
from decimal import Inexact

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clauseway.values import (
    CENT,
    allocate,
    amount_text,
    exact_product,
    exact_sum,
    round_half_even,
    round_together,
    smallest_unit,
    unit_of,
    unreal_amount,
)

# amount → cents: ties go to the even neighbour, everything else to the nearest
ROUNDED = [
    ("0.004999999999", "0.00"),
    ("0.005", "0.00"),
    ("0.015", "0.02"),
    ("0.025", "0.02"),
    ("0.025000000001", "0.03"),
    ("-0.015", "-0.02"),
    ("-0.025", "-0.02"),
    ("38000000000.005", "38000000000.00"),
]


@pytest.mark.parametrize(("amount", "cents"), ROUNDED)
def test_half_even(amount: str, cents: str) -> None:
    assert str(round_half_even(D(amount))) == cents


# currency, its smallest unit by ISO 4217, an amount, as it is printed
PRINTED = [
    ("USD", "0.01", "1234.5", "1,234.50"),
    ("JPY", "1", "100.00", "100"),
    ("JPY", "1", "1234567", "1,234,567"),
    # Homes of before have hundredths of a yen.
    ("JPY", "1", "100.40", "100.40"),
    ("KWD", "0.001", "30", "30.000"),
    ("TND", "0.001", "-1234.5", "-1,234.500"),
    ("CLF", "0.0001", "2.5", "2.5000"),
]


@pytest.mark.parametrize(("currency", "unit", "amount", "printed"), PRINTED)
def test_a_currency_has_its_own_decimal_places(currency: str, unit: str, amount: str, printed: str) -> None:
    assert smallest_unit(currency) == D(unit)
    assert amount_text(D(amount), currency) == printed


# Amounts of one currency → the unit in which all of them are whole. One in hundredths of a yen makes all be told so.
UNITS = [
    ("JPY", ["100", "250.00"], "1"),
    ("JPY", ["100", "250.40"], "0.01"),
    ("JPY", [], "1"),
    ("USD", ["0.01"], "0.01"),
]


@pytest.mark.parametrize(("currency", "amounts", "unit"), UNITS)
def test_the_unit_of_several_amounts(currency: str, amounts: list[str], unit: str) -> None:
    assert unit_of(currency, map(D, amounts)) == D(unit)


# A record, however deep its amounts stand → the one that no sum of money has.
UNREAL: list[tuple[object, str | None]] = [
    ({"USD": D("12.50")}, None),
    ({"USD": D("1e61")}, "1E+61"),
    ([("USD", {"tax": [D("NaN")]})], "NaN"),
    ((D("1e60"), D("1e-61")), "1E-61"),
    ("1e99", None),
]


@pytest.mark.parametrize(("record", "amount"), UNREAL)
def test_an_amount_of_no_real_size_is_found_however_deep_it_stands(record: object, amount: str | None) -> None:
    unreal = unreal_amount(record)
    assert (None if unreal is None else str(unreal)) == amount


# total, weights → parts
SPLITS: list[tuple[str, dict[str, str], dict[str, str]]] = [
    # a third each: one cent is left, and goes to the id that sorts first
    ("1.00", {"a": "1", "b": "1", "c": "1"}, {"a": "0.34", "b": "0.33", "c": "0.33"}),
    ("1.00", {"c": "1", "b": "1", "a": "1"}, {"a": "0.34", "b": "0.33", "c": "0.33"}),
    # 0.05 × (10, 10, 7) / 27 = 0.0185…, 0.0185…, 0.0129…: two cents left for the larger remainders
    ("0.05", {"x": "10", "y": "10", "z": "7"}, {"x": "0.02", "y": "0.02", "z": "0.01"}),
    # a credit: −0.05 × (2000, −1.5, 1) / 1999.5 = −0.05001…, 0.00003…, −0.00002…
    ("-0.05", {"a": "2000", "b": "-1.5", "c": "1"}, {"a": "-0.05", "b": "0.00", "c": "0.00"}),
    # credits alone: −0.05 × (−1, −2) / −3 = −0.0166…, −0.0333…: the cent left goes to the larger remainder
    ("-0.05", {"a": "-1", "b": "-2"}, {"a": "-0.02", "b": "-0.03"}),
    # 20 % of 100 − 99: each line keeps its own sign
    ("0.20", {"sale": "100", "credit": "-99"}, {"sale": "20.00", "credit": "-19.80"}),
    # weights that cancel: the whole goes to the id that sorts first
    ("0.01", {"b": "5", "a": "-5"}, {"a": "0.01", "b": "0.00"}),
    ("0.00", {}, {}),
    # digits beyond the 28 of plain decimals decide a remainder
    ("0.01", {"a": "1", "b": "1.00000000000000000000000000000000001"}, {"a": "0.00", "b": "0.01"}),
]


@pytest.mark.parametrize(("total", "weights", "parts"), SPLITS)
def test_largest_remainder(total: str, weights: dict[str, str], parts: dict[str, str]) -> None:
    assert allocate(D(total), [(line, D(weight)) for line, weight in weights.items()]) == {
        line: D(part) for line, part in parts.items()
    }


@pytest.mark.parametrize(
    ("total", "weights"), [("0.001", [("a", D(1))]), ("0.01", []), ("0.01", [("a", D(1)), ("a", D(2))])]
)
def test_what_cannot_be_split_is_a_bug(total: str, weights: list[tuple[str, D]]) -> None:
    with pytest.raises(AssertionError):
        allocate(D(total), weights)


TOTALS = st.integers(-(10**15), 10**15).map(lambda cents: D(cents).scaleb(-2))
WEIGHTS = st.integers(-(10**24), 10**24).map(lambda units: D(units).scaleb(-12))
POSITIVE = st.integers(1, 10**24).map(lambda units: D(units).scaleb(-12))


# Weights that nearly cancel make parts of more digits than Decimal keeps by itself.
@example(D("37240875700.01"), [D("-999999999999.996265426669"), D("999999999999.995903503672")])
@given(TOTALS, st.lists(WEIGHTS, min_size=1, max_size=12))
def test_the_parts_sum_to_the_total_in_whole_cents(total: D, weights: list[D]) -> None:
    parts = allocate(total, [(f"line {number:02d}", weight) for number, weight in enumerate(weights)])
    assert exact_sum(parts.values()) == total
    assert all(part == round_half_even(part) for part in parts.values())


@given(TOTALS, st.lists(POSITIVE, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_each_part_is_within_a_cent_and_order_changes_nothing(total: D, weights: list[D], shuffle: object) -> None:
    lines = [(f"line {number:02d}", weight) for number, weight in enumerate(weights)]
    parts, whole = allocate(total, lines), exact_sum(weights)
    for line, weight in lines:
        # |part − total × weight / whole| < one cent, without dividing
        assert abs(exact_product(parts[line], whole) - exact_product(total, weight)) < exact_product(CENT, whole)
    shuffle.shuffle(lines)  # type: ignore[attr-defined]
    assert allocate(total, lines) == parts


@given(st.lists(st.integers(-(10**40), 10**40), max_size=8), st.integers(-(10**9), 10**9))
def test_sums_and_products_lose_no_digit(units: list[int], factor: int) -> None:
    total = exact_sum(D(f"{unit}e-20") for unit in units)
    assert total == D(f"{sum(units)}e-20")
    assert exact_product(total, D(f"{factor}e-9")) == D(f"{sum(units) * factor}e-29")


def test_a_product_too_wide_to_keep_is_an_error() -> None:
    with pytest.raises(Inexact):
        exact_product(D("1." + "1" * 40), D("1." + "1" * 40))


@given(st.dictionaries(st.text(max_size=3), st.decimals(min_value=-(10**9), max_value=10**9, places=6), max_size=8))
def test_amounts_that_are_rounded_together_add_up_as_they_are_shown(amounts: dict[str, D]) -> None:
    shown = round_together(amounts)
    assert exact_sum(shown.values()) == round_half_even(exact_sum(amounts.values()))
    assert all(abs(shown[name] - amount) < CENT for name, amount in amounts.items())
    assert all(amount == round_half_even(amount) for amount in shown.values())
