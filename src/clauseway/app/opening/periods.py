"""Periods as commands name them."""

from datetime import date

from clauseway.values import Interval, InvalidInput, Problem


def month(period: str) -> Interval:
    """`2026-05` as its days. Raise InvalidInput."""
    try:
        begin = date.fromisoformat(f"{period}-01")
        if not str(begin).startswith(period):  # digits of other scripts
            raise ValueError("it is written otherwise")
        end = date(begin.year + begin.month // 12, begin.month % 12 + 1, 1)
    except ValueError as error:
        todo = "Write YYYY-MM, as 2026-05."
        raise InvalidInput(
            Problem(what=f"{period!r} is not a month", why=str(error), where="--period", todo=todo)
        ) from None
    return Interval(begin, end)


def unsettled(period: str) -> InvalidInput:
    """Return the refusal of a month that is not settled: an empty answer would look like a month
    without business."""
    return InvalidInput(
        Problem(
            what=f"{period} is not settled",
            why="no settlement of that month was posted here",
            where="--period",
            todo=f"Settle it first: clauseway settle --period {period} --assume …",
        )
    )
