"""Events by name, as an agreement defines them. `force.calendar` finds the days of each.

An event is recorded (a fact of kind `event`, or `milestone`), or it follows from its definition:
some days after another event, or on a day that other events put off.
"""

from datetime import date

import msgspec

from clauseway.values import Citation


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as an agreement defines it. It is recorded if it has neither `after` nor `on`.

    `after`: it happens `days` after this event, unless `prevented_by` happens in between.
    `on`: it happens on this day; each earlier event `extended_by` puts the day off by `days`.
    `over_by`: the event that ends it.
    """

    id: str
    citation: Citation
    over_by: str = ""
    after: str = ""
    prevented_by: str = ""
    on: date | None = None
    extended_by: str = ""
    days: int = 0

    @property
    def recorded(self) -> bool:
        return not self.after and self.on is None

    @property
    def waits_for(self) -> frozenset[str]:
        """Return the events that decide its first day."""
        return frozenset({self.after, self.prevented_by, self.extended_by} - {""})
