"""Read since when something is known: a day or an instant. See `values.KnownAt`."""

from datetime import UTC, date, datetime

import msgspec

from clauseway.agreement.text.mistakes import Mistakes
from clauseway.values import KnownAt, instant_ns


def known_since(
    written: str, day: date, line: int, mistakes: Mistakes, sequence: int = 0
) -> KnownAt:
    """Return the point at which something that happened on `day` became known.

    This is the day or instant in `written`, else the day itself. Of two with the same instant, the
    one of the lower sequence was known first.
    """
    if not written:
        return KnownAt.recorded_on(day, sequence)
    try:
        return _point(written, sequence)
    except (msgspec.ValidationError, OverflowError) as error:
        remedy = "Write a day (2026-04-27) or an instant (2026-04-27T12:00:00Z)."
        mistakes.add(
            line, f"recorded: {written!r} is neither a day nor an instant", str(error), remedy
        )
        return KnownAt.recorded_on(day, sequence)


def _point(written: str, sequence: int) -> KnownAt:
    if len(written) <= len("2026-04-27"):
        return KnownAt.recorded_on(msgspec.convert(written, date), sequence)
    instant = msgspec.convert(written, datetime)
    utc = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    return KnownAt(instant_ns(utc), sequence)
