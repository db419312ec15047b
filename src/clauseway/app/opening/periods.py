"""Periods as commands name them."""

import re
from datetime import date

from clauseway.values import FOREVER, Interval, InvalidInput, parse_day, through

_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}")


def month(period: str) -> Interval:
    """`2026-05` as its days. Raise InvalidInput."""
    try:
        if not _WRITTEN.fullmatch(period):
            raise ValueError("it is not written as a month")
        begin = date.fromisoformat(f"{period}-01")
        end = date(begin.year + begin.month // 12, begin.month % 12 + 1, 1)
    except ValueError as error:
        remedy = "Write YYYY-MM, as 2026-05."
        raise InvalidInput.of(
            what=f"{period!r} is not a month", why=str(error), where="--period", remedy=remedy
        ) from None
    return Interval(begin, end)


def months_in(days: Interval) -> list[str]:
    """Return the months that have some of the days, as `2026-05`, oldest first."""
    periods: list[str] = []
    at = days.begin
    while at < days.end and at != FOREVER:
        periods.append(f"{at:%Y-%m}")
        at = month(periods[-1]).end
    return periods


def days_given(begin: str, end: str) -> Interval | None:
    """Return the days of --from and --until, both included; None where neither is given.

    Raise InvalidInput where they hold no day: its usage would look like none that is there.
    """
    if not begin and not end:
        return None
    first = parse_day(begin, "--from") if begin else date.min
    days = Interval(first, through(parse_day(end, "--until")) if end else FOREVER)
    if days.is_empty:
        raise InvalidInput.of(
            what="there is no such day",
            why="the first day is after the last",
            where="--until",
            remedy="Let --until be no earlier than --from.",
        )
    return days


def unsettled(period: str, where: str = "--period") -> InvalidInput:
    """Return the refusal of a month that is not settled: an empty answer would look like a month
    without business. `where` is the flag or the argument that names the month."""
    return InvalidInput.of(
        what=f"{period} is not settled",
        why="no settlement of that month was posted here",
        where=where,
        remedy=f"Settle it first: clauseway settle --period {period} --assume …",
    )
