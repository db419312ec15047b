"""Percentages and amounts as people write them: `20 %`, `0.2`, `USD 38 billion`, `25,000.50`."""

import re
from decimal import Decimal

from clauseway.values import round_half_even

_SCALES = {"": 1, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_NUMBER = re.compile(r"(?P<number>\d[\d,_]*(\.\d+)?([eE]\+?\d{1,2})?)")
_PERCENTAGE = re.compile(_NUMBER.pattern + r"\s*(?P<sign>%?)")
_AMOUNT = re.compile(
    r"(USD\s*)?" + _NUMBER.pattern + r"\s*(?P<scale>thousand|million|billion|trillion|)", re.IGNORECASE
)


def parse_percentage(text: str) -> Decimal:
    """`20%`, `20 %` or `0.2` as a fraction of one. Raises ValueError."""
    match = _PERCENTAGE.fullmatch(text.strip())
    if match is None:
        raise ValueError("write a percentage, as in 20% or 0.2")
    fraction = _decimal(match["number"]) / (100 if match["sign"] else 1)
    if fraction > 1:
        raise ValueError("it is more than the whole; write a percentage, as in 20% or 0.2")
    return fraction


def parse_amount(text: str) -> Decimal:
    """`38000000000`, `USD 38 billion` or `25,000.50` in USD. Raises ValueError."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError("write an amount in USD, as in 38000000000 or 'USD 38 billion'")
    amount = _decimal(match["number"]) * _SCALES[match["scale"].lower()]
    cents = round_half_even(amount)
    if amount != cents:
        raise ValueError("it is no whole number of cents")
    return cents


def _decimal(number: str) -> Decimal:
    return Decimal(number.replace(",", "").replace("_", ""))
