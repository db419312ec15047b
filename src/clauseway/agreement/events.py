"""Events by name: how an agreement says that they come about, and the days on which each goes on, as known.

An event is recorded (a fact of kind `event`, or `milestone`), or comes about by what the agreement says of it: so many
days after another one, unless a third happens in between; or on a day, which other events put off. It goes on from
its day until it is over: by its own last day, by the event that ends it, or never.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import msgspec

from clauseway.agreement.facts import EventHappened, FactRegister, Milestone
from clauseway.agreement.terms import MILESTONE
from clauseway.values import FOREVER, Citation, through


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as an agreement defines it; recorded, where neither `after` nor `on` says how it comes about.

    `over_by` ends it. It comes about `days` after the event `after`, unless the event `prevented_by` happens from that
    day on and before; or on the day `on`, which each event `extended_by` that happens before puts off by `days`.
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


class Stretch(msgspec.Struct, frozen=True):
    """Days on which something holds. `begun_by` and `ended_by` cite the event behind each bound, if there is one."""

    begin: date
    end: date = FOREVER
    begun_by: Citation | None = None
    ended_by: Citation | None = None


class Calendar:
    """The days on which each event goes on. `facts` are those known."""

    def __init__(self, events: Mapping[str, Event], facts: FactRegister) -> None:
        self._events = events
        self._facts = facts
        self._stretches: dict[str, tuple[Stretch, ...]] = {}

    def stretches(self, event: str) -> tuple[Stretch, ...]:
        """Return when an event goes on: in order, none touching the next."""
        if event not in self._stretches:
            self._stretches[event] = _merged(map(self._ending(event), self._starts(event)))
        return self._stretches[event]

    def first(self, event: str, since: date) -> tuple[date, Citation | None]:
        """Return the first day from `since` on at which an event goes on, and what brought it about."""
        for stretch in self.stretches(event):
            if since < stretch.end:
                return max(since, stretch.begin), stretch.begun_by
        return FOREVER, None

    def days(self) -> set[date]:
        """Return every day on which an event begins or is over."""
        return {
            day
            for event in self._events
            for stretch in self.stretches(event)
            for day in (stretch.begin, stretch.end)
        }

    def _starts(self, name: str) -> list[Stretch]:
        event = self._events.get(name)
        if event is None or event.recorded:
            return self._recorded(name)
        return self._deadlines(event) if event.after else [self._expiry(event, event.on)]

    def _recorded(self, name: str) -> list[Stretch]:
        return [
            Stretch(fact.effective, _end_of(fact), fact.citation)
            for fact in sorted(self._facts.facts, key=lambda fact: fact.effective)
            if (isinstance(fact, EventHappened) and fact.event == name)
            or (isinstance(fact, Milestone) and name == MILESTONE)
        ]

    def _deadlines(self, event: Event) -> list[Stretch]:
        prevented = (
            [start.begin for start in self._starts(event.prevented_by)]
            if event.prevented_by
            else []
        )
        starts = []
        for start in self._starts(event.after):
            day = _later(start.begin, event.days)
            if not any(start.begin <= other < day for other in prevented):
                starts.append(Stretch(day, begun_by=start.begun_by))
        return starts

    def _expiry(self, event: Event, day: date | None) -> Stretch:
        """A day that others put off; what comes when it is over puts off nothing."""
        assert day is not None
        for start in self._starts(event.extended_by) if event.extended_by else ():
            if start.begin < day:
                day = _later(day, event.days)
        return Stretch(day, begun_by=event.citation)

    def _ending(self, name: str) -> "_Ending":
        event = self._events.get(name)
        return _Ending(self._starts(event.over_by) if event is not None and event.over_by else [])


class _Ending:
    """Ends what has begun by the first of these that comes after."""

    def __init__(self, ends: list[Stretch]) -> None:
        self._ends = ends

    def __call__(self, start: Stretch) -> Stretch:
        for end in self._ends:
            if start.begin <= end.begin < start.end:
                return msgspec.structs.replace(start, end=end.begin, ended_by=end.begun_by)
        return start


def _end_of(fact: EventHappened | Milestone) -> date:
    last_day = fact.through if isinstance(fact, EventHappened) else None
    return FOREVER if last_day is None else through(last_day)


def _later(day: date, days: int) -> date:
    return FOREVER if days >= (FOREVER - day).days else day + timedelta(days=days)


def _merged(stretches: Iterable[Stretch]) -> tuple[Stretch, ...]:
    merged: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda stretch: stretch.begin):
        if stretch.begin >= stretch.end:
            continue
        if not merged or merged[-1].end < stretch.begin:
            merged.append(stretch)
        elif merged[-1].end < stretch.end:
            merged[-1] = msgspec.structs.replace(
                merged[-1], end=stretch.end, ended_by=stretch.ended_by
            )
    return tuple(merged)


def while_going_on(stretches: Iterable[Stretch], event: Iterable[Stretch]) -> list[Stretch]:
    """Return what of these stretches lies within an event's."""
    kept = []
    for stretch in stretches:
        for other in event:
            begin, end = max(stretch.begin, other.begin), min(stretch.end, other.end)
            if begin < end:
                begun_by = other.begun_by if begin == other.begin else stretch.begun_by
                ended_by = other.ended_by if end < stretch.end else stretch.ended_by
                kept.append(Stretch(begin, end, begun_by, ended_by))
    return kept


def pauses(event: Iterable[Stretch]) -> list[Stretch]:
    """Return when an event does not go on."""
    between, since, begun_by = [], date.min, None
    for stretch in event:
        between.append(Stretch(since, stretch.begin, begun_by, stretch.begun_by))
        since, begun_by = stretch.end, stretch.ended_by
    return [*between, Stretch(since, FOREVER, begun_by)]
