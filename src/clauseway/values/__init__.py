"""Values: money, days and the two clocks, citations, problems. The room every other room may use.

Knows nothing of agreements, clouds or requests. Everything here is frozen and valid once built.
"""

from clauseway.values.citations import Citation
from clauseway.values.clocks import DAY_NS, KnownAt, day_of, start_of_day_ns
from clauseway.values.days import FOREVER, Interval, day_after, parse_day, through
from clauseway.values.money import CENT, USD, Money, allocate, exact_product, exact_sum, round_half_even
from clauseway.values.problems import InvalidInput, Problem

__all__ = [
    "CENT",
    "DAY_NS",
    "FOREVER",
    "USD",
    "Citation",
    "Interval",
    "InvalidInput",
    "KnownAt",
    "Money",
    "Problem",
    "allocate",
    "day_after",
    "day_of",
    "exact_product",
    "exact_sum",
    "parse_day",
    "round_half_even",
    "start_of_day_ns",
    "through",
]
