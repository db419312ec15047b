"""Days, months and instants as people write them.

The words are English whatever the machine's locale: a document's bytes depend on what it says
alone.
"""

import re
from datetime import date, timedelta

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
# A flag with its value, which stays as a command takes it; else a day or an instant of UTC, or months
# (`2026-04, 2026-05 and 2026-06`). No part of a longer identifier (`gpt-5.4-2026-03-05`), and no fact in
# the form that a command takes (`milestone=2027-01-01`).
_WRITTEN = re.compile(
    r"(?<![\w-])--[a-z-]+[ =][\w:.-]+"
    r"|(?<![\w./=-])(?:"
    r"(?P<day>\d{4}-\d\d-\d\d)(?:T(?P<time>\d\d:\d\d:\d\d)(?:\.\d+)?Z)?"
    r"|(?P<months>\d{4}-\d\d(?:(?:, | and | to )\d{4}-\d\d(?![\w-]))*)"
    r")(?![\w/-]|\.\w)"
)
_MONTH = re.compile(r"(\d{4})-\d\d")


def day_in_words(day: date) -> str:
    """27 April 2026."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def days_in_words(begin: date, end: date) -> str:
    """Return a half-open interval in the words of a contract: both days named are included."""
    if end == date.max:
        return f"from {day_in_words(begin)} on"
    last = end - timedelta(days=1)
    if last == begin:
        return day_in_words(begin)
    if (last.year, last.month) == (begin.year, begin.month):
        return f"{begin.day} to {day_in_words(last)}"
    if last.year == begin.year:
        return f"{begin.day} {_MONTHS[begin.month - 1]} to {day_in_words(last)}"
    return f"{day_in_words(begin)} to {day_in_words(last)}"


def month_in_words(period: str) -> str:
    """Return April 2026 for 2026-04; other texts stay as they are."""
    try:
        first = date.fromisoformat(f"{period}-01")
    except ValueError:
        return period
    return f"{_MONTHS[first.month - 1]} {first.year}"


def dated(text: str) -> str:
    """Return a text with its days, months and instants in words: `known at 27 April 2026, 23:59:59
    UTC`."""
    return _WRITTEN.sub(_in_words, text)


def _in_words(written: re.Match[str]) -> str:
    if written["months"]:
        return _MONTH.sub(_month_in_its_row, written["months"])
    if not written["day"]:
        return written[0]
    try:
        day = day_in_words(date.fromisoformat(written["day"]))
    except ValueError:
        return written[0]
    return f"{day}, {written['time']} UTC" if written["time"] else day


def _month_in_its_row(month: re.Match[str]) -> str:
    """Return a month in words, without its year where the next one is of the same year."""
    later = _MONTH.search(month.string, month.end())
    words = month_in_words(month[0])
    return words.removesuffix(f" {month[1]}") if later and later[1] == month[1] else words
