"""Days and half-open intervals of days. All days are UTC.

"Through 2030" includes 31 December, so it ends on 2031-01-01; "until" excludes the day it names.
"""

import re
from datetime import date, timedelta

import msgspec

from clauseway.values.problems import InvalidInput

# Later than any day in a question: the end of an interval without end.
FOREVER = date.max
# By this day every change has had its effect on every end.
DAY_BEFORE_FOREVER = FOREVER - timedelta(days=1)
_WRITTEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_day(text: str, where: str) -> date:
    """Read a day written YYYY-MM-DD. Raise InvalidInput naming `where` (a flag, a field)
    otherwise."""
    try:
        day = date.fromisoformat(text)
        if str(day) != text:  # other forms of ISO 8601, such as 2026-W18-1
            raise ValueError("it is another form of date")
        return day
    except ValueError as error:
        raise InvalidInput.of(
            what=f"{text!r} is not a day",
            why=str(error) if _WRITTEN.fullmatch(text) else "it has another form",
            where=where,
            remedy="Write the day as YYYY-MM-DD, for example 2026-04-27.",
        ) from None


def day_after(day: date) -> date:
    """Return the next day; FOREVER has none and stays."""
    return day if day == FOREVER else day + timedelta(days=1)


def through(last_day: date) -> date:
    """Return the exclusive end of an interval that lasts through `last_day`."""
    return day_after(last_day)


class Interval(msgspec.Struct, frozen=True, order=True):
    """The days from `begin` up to, not including, `end`."""

    begin: date
    end: date = FOREVER

    def __contains__(self, day: date) -> bool:
        return self.begin <= day < self.end

    @property
    def last_day(self) -> date:
        return self.end - timedelta(days=1)

    @property
    def is_empty(self) -> bool:
        return self.begin >= self.end

    def intersect(self, other: "Interval") -> "Interval":
        return Interval(max(self.begin, other.begin), min(self.end, other.end))
