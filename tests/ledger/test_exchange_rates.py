"""Exchange rates: the latest rate at or before a day counts, whichever way round the pair is written."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.ledger import read_rates
from clauseway.ledger.exchange_rates import Rate
from clauseway.values import InvalidInput

HEADER = "day,base,quote,rate\n"
CURRENCIES = ("EUR", "GBP", "USD")
FIRST = date(2026, 1, 1)
DAYS = st.integers(0, 9).map(lambda days: FIRST + timedelta(days))
PAIRS = st.sampled_from([(base, quote) for base in CURRENCIES for quote in CURRENCIES if base != quote])
LINES = st.lists(
    st.tuples(DAYS, PAIRS, st.integers(1, 99)), unique_by=lambda line: (line[0], frozenset(line[1])), max_size=12
)


@given(LINES, DAYS)
def test_the_latest_rate_at_or_before_a_day_counts(lines: list[tuple[date, tuple[str, str], int]], day: date) -> None:
    rates = read_rates(HEADER + "".join(f"{on},{base},{quote},{rate}\n" for on, (base, quote), rate in lines), "r.csv")
    in_force = []
    for base, quote in [("EUR", "GBP"), ("EUR", "USD"), ("GBP", "USD")]:
        until = [line for line in lines if line[0] <= day and set(line[1]) == {base, quote}]
        if not until:
            with pytest.raises(InvalidInput, match=f"no rate of {base} in {quote} on {day}"):
                rates.at(day, base, quote)
            continue
        on, written, rate = max(until)
        value = Fraction(rate) if written == (base, quote) else Fraction(1, rate)
        assert (rates.at(day, base, quote), rates.at(day, quote, base)) == (value, 1 / value)
        in_force.append(Rate(on, *written, Decimal(rate)))
    assert rates.in_force(day) == sorted(in_force, key=lambda rate: (rate.day, rate.base, rate.quote))


def test_twenty_years_of_thirty_currencies_are_read() -> None:
    days = [date(2006, 1, 1) + timedelta(days) for days in range(7_305)]
    others = [f"X{first}{second}" for first in "ABC" for second in "ABCDEFGHIJ"]
    lines = [f"{day},{other},USD,{1 + at % 97}\n" for at, day in enumerate(days) for other in others]
    rates = read_rates(HEADER + "".join(lines), "r.csv")
    assert len(rates.all) == 219_150
    assert rates.at(days[-1], "XCJ", "USD") == 1 + (len(days) - 1) % 97
