"""Cumulative sums carried from month to month, so that settling a month reads that month.

    carried up to a month ── sales of the month ──▶ carried up to the next

A share is due on its base since it began. Its sums before a period are one record: the base by
line, its sums at the months' ends (floors need them), and since when the cap has been reached. The
record is a function of the share, its figures and everything before the day it reaches to; a law in
the tests says that settling on it equals settling on everything, to the last digit.
"""

from datetime import date
from decimal import Decimal
from typing import TypeAlias

import msgspec

# The share of a record: its term, and when it began, because a term may begin again.
ShareKey: TypeAlias = tuple[str, date]


class CarriedLine(msgspec.Struct, frozen=True, gc=False):
    """The base of one product on one cloud by one seller, since the share began."""

    product: str
    cloud: str
    seller: str
    base: Decimal


class MonthEnd(msgspec.Struct, frozen=True, gc=False):
    """The whole base since the share began, at the end of a day."""

    last_day: date
    base: Decimal


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of a share before the day `until`. `reached` is the day since which its cap is
    reached."""

    until: date
    lines: tuple[CarriedLine, ...]
    ends: tuple[MonthEnd, ...]
    reached: date | None = None
