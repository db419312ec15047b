"""The one reader of numbers: what is read, and what is refused with the way to write it."""

from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.values import BadNumber, read_decimal, read_percentage, read_whole

READ = [
    ("0", "0"),
    ("12500", "12500"),
    ("12_500", "12500"),
    ("1_234_567.89", "1234567.89"),
    ("12500.50", "12500.50"),
    ("0.000000000001", "0.000000000001"),
    ("999999999999999.999999999999", "999999999999999.999999999999"),
    (" 12.5 ", "12.5"),
    ("1.100000000000000000", "1.1"),
]


@pytest.mark.parametrize(("text", "number"), READ)
def test_read_anywhere(text: str, number: str) -> None:
    assert read_decimal(text) == D(number)
    assert read_decimal(text, commas=True) == D(number)
    assert read_decimal(text, signed=True) == D(number)


# the text → why it is refused, and how it is to be written
REFUSED = [
    ("", "nothing is written", "12500.50"),
    ("1,5", "a comma groups", "1.5 or 15 "),
    ("38,5", "a comma groups", "38.5 or 385 "),
    ("12,50", "a comma groups", "12.50 or 1250 "),
    ("12,500", "a comma groups", "12.500 or 12500, or 12_500, "),
    ("1.000,50", "a comma groups", "12500.50"),
    ("1,00,000", "a comma groups", "12500.50"),
    ("1.000.000", "more than one point", "12500.50"),
    ("1 000", "not a number", "12500.50"),
    ("1'000", "not a number", "12500.50"),
    ("1_00", "between groups of three", "12_500.50"),
    ("1__000", "between groups of three", "12_500.50"),
    ("_100", "between groups of three", "12_500.50"),
    ("1000_000", "between groups of three", "12_500.50"),
    ("1_000.000_1", "between groups of three", "12_500.50"),
    ("+5", "plus sign", "Leave"),
    ("-5", "below zero", "anew"),
    ("\u22125", "minus sign", "anew"),
    (".5", "before and behind", "0.5"),
    ("5.", "before and behind", "5.0"),
    ("1e3", "exponent", "12_500_000"),
    ("2.5E-3", "exponent", "12_500_000"),
    ("NaN", "not a number", "12500.50"),
    ("Infinity", "not a number", "12500.50"),
    ("0x10", "not a number", "12500.50"),
    ("\uff11\uff12", "other than 0 to 9", "0 to 9"),
    ("\u0661\u0662", "other than 0 to 9", "0 to 9"),
    ("\u00b2", "other than 0 to 9", "0 to 9"),
    ("20%", "percentage", "12500.50"),
    ("1\n", "not a number", "12500.50"),
    ("\u00a05", "not a number", "12500.50"),
    ("1" + "0" * 15, "more than 15 digits", "10^15"),
    ("9" * 100, "100 characters", "12500.50"),
    ("0.0000000000001", "more decimal places than the 12", "12 decimal places"),
]


@pytest.mark.parametrize(("text", "why", "remedy"), REFUSED)
def test_refused_with_the_way_to_write_it(text: str, why: str, remedy: str) -> None:
    with pytest.raises(BadNumber) as refused:
        read_decimal(text)
    assert why in refused.value.why
    assert remedy in refused.value.remedy
    problem = refused.value.problem("that", "--amount", 3)
    assert (problem.where, problem.line, problem.why, problem.remedy) == (
        "--amount",
        3,
        refused.value.why,
        refused.value.remedy,
    )


# In an agreement's text a comma groups where it can be no decimal sign.
IN_TEXT = [
    ("1,000,000", "1000000"),
    ("25,000.50", "25000.50"),
    ("38,000,000,000", "38000000000"),
    ("1,234,567.89", "1234567.89"),
]
NOT_IN_TEXT = ["25,000", "1,5", "1,50", "1,0000", "1.000,50", "1,000,00", "10,00,000", "1,000_000", "1,000.5,0", ",5"]


@pytest.mark.parametrize(("text", "number"), IN_TEXT)
def test_commas_in_an_agreement(text: str, number: str) -> None:
    assert read_decimal(text, commas=True) == D(number)
    with pytest.raises(BadNumber, match="comma"):
        read_decimal(text)


@pytest.mark.parametrize("text", NOT_IN_TEXT)
def test_ambiguous_commas_in_an_agreement(text: str) -> None:
    with pytest.raises(BadNumber):
        read_decimal(text, commas=True)


def test_signs_places_and_exponents_where_they_belong() -> None:
    assert read_decimal("-12.50", signed=True) == D("-12.50")
    assert str(read_decimal("-0", signed=True)) == "0"
    for text in ("--5", "- 5", "-+5", "+5", "\u22125"):
        with pytest.raises(BadNumber):
            read_decimal(text, signed=True)
    with pytest.raises(BadNumber, match="the 2 that are kept"):
        read_decimal("1.005", places=2)
    assert read_decimal("1.2E-05", exponent=True) == D("0.000012")
    with pytest.raises(BadNumber, match="15 digits"):
        read_decimal("1e15", exponent=True)
    with pytest.raises(BadNumber, match="decimal places"):
        read_decimal("1e-13", exponent=True)


WHOLE = [("0", 0), ("600", 600), ("400_000", 400_000)]
NOT_WHOLE = ["1.5", "12.0", "400,000", "-1", "\u0661", "1e3", "", "1001_000", "two"]


@pytest.mark.parametrize(("text", "number"), WHOLE)
def test_whole_numbers(text: str, number: int) -> None:
    assert read_whole(text) == number


@pytest.mark.parametrize("text", NOT_WHOLE)
def test_no_whole_numbers(text: str) -> None:
    with pytest.raises(BadNumber):
        read_whole(text)


def test_whole_numbers_have_bounds() -> None:
    assert read_whole("-3", least=-5) == -3
    for text in ("-6", "11"):
        with pytest.raises(BadNumber, match="not between -5 and 10"):
            read_whole(text, least=-5, most=10)


PERCENTAGES = [("20 %", "0.2"), ("20%", "0.2"), ("17.5\u00a0%", "0.175"), ("0.2", "0.2"), ("0", "0"), ("0.5%", "0.005")]
NO_PERCENTAGES = ["1", "20", "1.0", "1,5 %", "20 %%", "%", "-5%", "+5%", "\uff12\uff10%", "1e1%", "0.00000000001%"]


@pytest.mark.parametrize(("text", "fraction"), PERCENTAGES)
def test_percentages(text: str, fraction: str) -> None:
    assert read_percentage(text) == D(fraction)


@pytest.mark.parametrize("text", NO_PERCENTAGES)
def test_no_percentages(text: str) -> None:
    with pytest.raises(BadNumber):
        read_percentage(text)
    with pytest.raises(BadNumber):
        read_percentage("0.2", bare=False)


CHARACTERS = st.text(alphabet=st.sampled_from("0123456789_.,-+eE% \u0661\uff11\u22121"), max_size=14)


@given(CHARACTERS)
def test_whatever_is_read_is_read_exactly_and_one_way(text: str) -> None:
    """Numbers that the strict form takes, the form with commas reads alike; commas aside nothing more is taken."""
    try:
        strict = read_decimal(text)
    except BadNumber:
        return
    assert Fraction(strict) == Fraction(text.strip(" ").replace("_", ""))
    assert read_decimal(text, commas=True) == strict
    assert read_decimal(f"{strict:f}") == strict


@given(st.decimals(min_value=0, max_value=D("999999999999999"), places=12))
def test_every_number_within_the_bounds_can_be_written(number: D) -> None:
    assert read_decimal(f"{number:f}") == number
    whole, _, rest = f"{number:f}".partition(".")
    assert read_decimal(f"{int(whole):_}.{rest}") == number
    assert read_decimal(f"{number:,f}", commas=True) == number
