"""The two clocks: `as_of`, the day whose rules are asked for, and `known_at`, the point up to which
records count.

`as_of` is a UTC day. `known_at` is a point in the order in which records became known: an instant
and, within it, a sequence, because two records of one instant still have an order. Event times are
nanoseconds since 1970 (UTC).
"""

from datetime import UTC, date, datetime, timedelta

import msgspec

DAY_NS = 86_400 * 1_000_000_000
HOUR_NS = DAY_NS // 24
HOURS_OF_WEEK = 168  # from Monday 00:00 UTC
# 1970 began on a Thursday: so many hours after the beginning of a Monday.
EPOCH_HOUR = 72
_EPOCH = date(1970, 1, 1)
_LAST_SEQUENCE = 2**63 - 1


def day_of(instant_ns: int) -> date:
    """Return the UTC day that holds an instant (nanoseconds since 1970)."""
    return _EPOCH + timedelta(days=instant_ns // DAY_NS)


def start_of_day_ns(day: date) -> int:
    """Return the first nanosecond of a UTC day."""
    return (day - _EPOCH).days * DAY_NS


def instant_ns(instant: datetime) -> int:
    """Return an instant, which has an offset from UTC, as nanoseconds since 1970."""
    since = instant - datetime.fromtimestamp(0, UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


# The days all of whose instants 64 bits of nanoseconds name, as databases and usage keep them.
FIRST_DAY = day_of(-_LAST_SEQUENCE) + timedelta(days=1)
LAST_DAY = day_of(_LAST_SEQUENCE) - timedelta(days=1)


class KnownAt(msgspec.Struct, frozen=True, order=True):
    """A point in the order of knowledge. A record is known at `k` when its own point is not after
    `k`."""

    instant_ns: int
    sequence: int = _LAST_SEQUENCE

    @classmethod
    def recorded_on(cls, day: date, sequence: int = 0) -> "KnownAt":
        """Return the point of a record that carries only a day: the day's first instant."""
        return cls(start_of_day_ns(day), sequence)

    @classmethod
    def end_of(cls, day: date) -> "KnownAt":
        """Return the point after everything recorded up to the end of `day`, so that a day includes
        the whole day."""
        return cls(start_of_day_ns(day) + DAY_NS - 1)

    @classmethod
    def everything(cls) -> "KnownAt":
        """Return the point after everything ever recorded."""
        return cls(_LAST_SEQUENCE)

    @classmethod
    def always(cls) -> "KnownAt":
        """Return the point before all others: suppositions of a question are known at every
        point."""
        return cls(-_LAST_SEQUENCE, 0)

    @classmethod
    def parse(cls, text: str) -> "KnownAt":
        """Read a point as `str` writes it. A day's last second without a fraction is the day's end.
        Raise ValueError."""
        if text == "everything":
            return cls.everything()
        stamp, _, fraction = text.removesuffix("Z").partition(".")
        since = datetime.fromisoformat(stamp).replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)
        ends_a_day = not fraction and stamp.endswith("23:59:59")
        rest = 999_999_999 if ends_a_day else int(fraction.ljust(9, "0") or 0)
        return cls((since.days * 86_400 + since.seconds) * 1_000_000_000 + rest)

    @property
    def is_recordable(self) -> bool:
        """Return whether a database can be asked what was recorded by the point."""
        return abs(self.instant_ns) <= _LAST_SEQUENCE

    def to_the_second(self) -> "KnownAt":
        """Return the point as people read it; receipts keep every digit."""
        if self.instant_ns == _LAST_SEQUENCE:
            return self
        return KnownAt(self.instant_ns // 1_000_000_000 * 1_000_000_000, self.sequence)

    @property
    def day(self) -> date:
        return day_of(self.instant_ns) if self.instant_ns < _LAST_SEQUENCE else date.max

    def __str__(self) -> str:
        if self.instant_ns == _LAST_SEQUENCE:
            return "everything"
        seconds, rest = divmod(self.instant_ns, 1_000_000_000)
        stamp = (
            datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        )
        return f"{stamp}.{rest:09d}Z" if rest not in (0, 999_999_999) else f"{stamp}Z"
