"""Floors: the least that is due for a month, quarter or year of the calendar, or in total by the
end of a share.

    top-up of a period = max(0, its floor − the share of the period, cap aside, − top-ups within it)

A top-up falls due on the last day of its period. Of a period in which the share is in force on some
days only, the floor's part by days is due, rounded half-even to cents. The cap holds for share and
top-ups together.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec

from clauseway.agreement.language.shares import TOTAL
from clauseway.values import CENT, FOREVER, Interval, exact_sum

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_ORDER = ("month", "quarter", "year", TOTAL)


class Least(msgspec.Struct, frozen=True):
    """A floor with its figure filled in: `amount` USD `per` period."""

    per: str
    amount: Decimal


class TopUp(msgspec.Struct, frozen=True):
    """The amount added for one floor and period, due on `day`, the period's last. `period` is as
    2026-05, 2026-Q2 or 2026."""

    day: date
    period: str
    amount: Decimal


def top_ups(
    days: Interval, floors: Sequence[Least], until: date, share_until: Callable[[date], Decimal]
) -> list[TopUp]:
    """Return the top-ups of a share in force on `days` that fall due before `until`, in order of
    their days.

    `share_until(day)` is the share of everything before a day, rounded, cap aside.
    """
    due: list[TopUp] = []
    ending = sorted(
        (part.end, _ORDER.index(floor.per), part, whole, floor)
        for floor in floors
        for part, whole in _periods(days, floor.per, until)
    )
    for _, _, part, whole, floor in ending:
        # Top-ups of shorter periods within this one count toward its floor.
        within = [top_up.amount for top_up in due if part.begin <= top_up.day < part.end]
        share = exact_sum((share_until(part.end), share_until(part.begin).copy_negate(), *within))
        lacking = exact_sum((_by_days(floor.amount, part, whole), share.copy_negate()))
        if lacking > 0:
            due.append(TopUp(part.last_day, _named(floor.per, whole), lacking))
    return due


def calendar_period(day: date, per: str) -> Interval:
    """Return the month, quarter or year of the calendar that holds a day."""
    months = _MONTHS[per]
    begin = date(day.year, (day.month - 1) // months * months + 1, 1)
    end = begin.month - 1 + months
    return Interval(begin, date(begin.year + end // 12, end % 12 + 1, 1))


def part_in_words(days: Interval, top_up: TopUp) -> str:
    """Return `for 10 of 31 days` of a top-up in whose period a share in force on `days` is not in
    force throughout; else nothing."""
    if top_up.period == TOTAL:
        return ""
    per = next(
        per for per in _MONTHS if _named(per, calendar_period(top_up.day, per)) == top_up.period
    )
    whole = calendar_period(top_up.day, per)
    part = whole.intersect(days)
    if part == whole:
        return ""
    return f"for {(part.end - part.begin).days} of {(whole.end - whole.begin).days} days"


def _periods(days: Interval, per: str, until: date) -> Iterator[tuple[Interval, Interval]]:
    """Yield each period that ends by `until`: the days of the share in it, and the whole period."""
    if per == TOTAL:
        if days.end <= until and days.end != FOREVER:
            yield days, days
        return
    # Cut the share's days where calendar periods end.
    at = days.begin
    while at < days.end:
        whole = calendar_period(at, per)
        part = whole.intersect(days)
        if part.end > until:
            return
        yield part, whole
        at = whole.end


def _by_days(amount: Decimal, part: Interval, whole: Interval) -> Decimal:
    """Return the part of an amount by days, half-even to cents."""
    if part == whole:
        return amount
    cents = Fraction(amount) * 100 * (part.end - part.begin).days / (whole.end - whole.begin).days
    return CENT * round(cents)


def _named(per: str, whole: Interval) -> str:
    begin = whole.begin
    match per:
        case "month":
            return begin.strftime("%Y-%m")
        case "quarter":
            return f"{begin.year}-Q{(begin.month + 2) // 3}"
        case "year":
            return str(begin.year)
    return TOTAL
