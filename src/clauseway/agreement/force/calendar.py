"""The days on which each event of an agreement goes on, as known at a point.

A recorded event goes on from the day of its fact. An event that follows from its definition begins
some days after another event, unless a third event happens in between; or on a day that other
events put off. It goes on until its own last day, until the event that ends it, or for ever.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import msgspec

from clauseway.agreement.language.definitions import Event
from clauseway.agreement.language.facts import EventHappened, FactRegister, Milestone
from clauseway.agreement.language.terms import MILESTONE
from clauseway.values import FOREVER, Citation, through


class Stretch(msgspec.Struct, frozen=True):
    """Days on which a term or an event holds, and the events that began and ended them, if any."""

    begin: date
    end: date = FOREVER
    begun_by: Citation | None = None
    ended_by: Citation | None = None


class Calendar:
    """The days on which each event goes on. `facts` holds only known facts."""

    def __init__(self, events: Mapping[str, Event], facts: FactRegister) -> None:
        self._events = events
        self._facts = facts
        self._stretches: dict[str, tuple[Stretch, ...]] = {}

    def stretches(self, event: str) -> tuple[Stretch, ...]:
        """Return the stretches on which an event goes on, in order, with gaps between them."""
        if event not in self._stretches:
            self._stretches[event] = _merged(map(self._ending(event), self._starts(event)))
        return self._stretches[event]

    def first(self, event: str, since: date) -> tuple[date, Citation | None]:
        """Return the first day, from `since` on, on which an event goes on, and what it cites.

        The day is FOREVER if there is none.
        """
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
        # A third event that comes before the deadline prevents it.
        prevented = (
            [start.begin for start in self._starts(event.prevented_by)]
            if event.prevented_by
            else []
        )
        starts = []
        for start in self._starts(event.after):
            day = _later(start.begin, event.days)
            if not any(start.begin <= prevention < day for prevention in prevented):
                starts.append(Stretch(day, begun_by=start.begun_by))
        return starts

    def _expiry(self, event: Event, day: date | None) -> Stretch:
        """Return a day put off by other events. Only events before the day put it off."""
        assert day is not None
        for start in self._starts(event.extended_by) if event.extended_by else ():
            if start.begin < day:
                day = _later(day, event.days)
        return Stretch(day, begun_by=event.citation)

    def _ending(self, name: str) -> "_Ending":
        event = self._events.get(name)
        return _Ending(self._starts(event.over_by) if event is not None and event.over_by else [])


def possible_days(events: Mapping[str, Event], facts: FactRegister) -> set[date]:
    """Return every day on which an event may begin or be over, whichever of the facts count.

    A fact that is corrected, or not known yet, may have prevented or put off what follows.
    """
    days = {turn for fact in facts.facts for turn in fact.turns}
    return days.union(*(_possible_begins(event, events, facts) for event in events))


def _possible_begins(name: str, events: Mapping[str, Event], facts: FactRegister) -> list[date]:
    event = events.get(name)
    if event is None or event.recorded:
        # Recorded: each of its facts is a beginning. The milestone has a fact of its own kind.
        return [
            fact.effective
            for fact in facts.facts
            if (isinstance(fact, EventHappened) and fact.event == name)
            or (isinstance(fact, Milestone) and name == MILESTONE)
        ]
    if event.after:
        return [_later(day, event.days) for day in _possible_begins(event.after, events, facts)]
    assert event.on is not None
    days = [event.on]
    if event.extended_by:
        # Each time that the other event happens puts the day off once more.
        for _ in _possible_begins(event.extended_by, events, facts):
            days.append(_later(days[-1], event.days))
    return days


class _Ending:
    """Ends a stretch by the first of `ends` that begins within it."""

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
        # Stretches that touch or overlap are one.
        if not merged or merged[-1].end < stretch.begin:
            merged.append(stretch)
        elif merged[-1].end < stretch.end:
            merged[-1] = msgspec.structs.replace(
                merged[-1], end=stretch.end, ended_by=stretch.ended_by
            )
    return tuple(merged)


def while_going_on(stretches: Iterable[Stretch], event: Iterable[Stretch]) -> list[Stretch]:
    """Return the parts of these stretches that lie within an event's stretches."""
    kept = []
    for stretch in stretches:
        # An event may go on several times: each meeting of both is a stretch of its own.
        for stretch_of_event in event:
            begin, end = (
                max(stretch.begin, stretch_of_event.begin),
                min(stretch.end, stretch_of_event.end),
            )
            if begin < end:
                begun_by = (
                    stretch_of_event.begun_by
                    if begin == stretch_of_event.begin
                    else stretch.begun_by
                )
                ended_by = stretch_of_event.ended_by if end < stretch.end else stretch.ended_by
                kept.append(Stretch(begin, end, begun_by, ended_by))
    return kept


def pauses(event: Iterable[Stretch]) -> list[Stretch]:
    """Return the stretches on which an event does not go on."""
    between, since, begun_by = [], date.min, None
    for stretch in event:
        between.append(Stretch(since, stretch.begin, begun_by, stretch.begun_by))
        since, begun_by = stretch.end, stretch.ended_by
    return [*between, Stretch(since, FOREVER, begun_by)]
