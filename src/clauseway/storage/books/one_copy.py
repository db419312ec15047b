"""When usage was acknowledged with one copy, because the follower of its journal was away.

No amount stands on it; a statement says it.
"""

from collections.abc import Iterable

import msgspec
from sqlalchemy import bindparam, insert, select

from clauseway.storage.control import schema
from clauseway.storage.control.control import Control, as_record
from clauseway.values import Interval, KnownAt, day_of

_PERIODS = (
    select(schema.one_copy)
    .where(schema.one_copy.c.recorded_ns <= bindparam("_known_ns"))
    .order_by(schema.one_copy.c.sequence)
)


class OneCopyPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """Frames from `first_frame` of a segment on have one copy since `since_ns`, until `until_ns`;
    0 while that lasts. `spool` is the journal's id (hex), `place` the name of its folder."""

    spool: str
    place: str
    segment: int
    first_frame: int
    since_ns: int
    until_ns: int
    recorded_ns: int

    @property
    def name(self) -> tuple[str, int, int, int]:
        """Return what its first row and the row of its end have in common."""
        return self.spool, self.segment, self.first_frame, self.since_ns

    def touches(self, days: Interval) -> bool:
        """Return whether usage of these days may have been recorded in it."""
        begin, end = day_of(self.since_ns), day_of(max(self.until_ns - 1, self.since_ns))
        return begin < days.end and (end >= days.begin or not self.until_ns)


def one_copy_periods(control: Control, known_at: KnownAt) -> list[OneCopyPeriod]:
    """Return each period as it was known by an instant, in the order in which they were seen."""
    known = {"_known_ns": known_at.instant_ns}
    with control.reading() as connection:
        rows = [as_record(OneCopyPeriod, row) for row in connection.execute(_PERIODS, known)]
    return list({row.name: row for row in rows}.values())


def record_one_copy(control: Control, seen: Iterable[OneCopyPeriod]) -> None:
    """Record the periods that are new, and those that have ended since they were recorded."""
    known = {(row.name, row.until_ns) for row in one_copy_periods(control, KnownAt.everything())}
    new = [period for period in seen if (period.name, period.until_ns) not in known]
    if new:
        with control.writing() as connection:
            connection.execute(
                insert(schema.one_copy), [msgspec.structs.asdict(period) for period in new]
            )
