"""Find the terms in force: fold the amendments for a day, a point of knowledge, readings and facts.

A term begins with its amendment. It ends by its own `until` or `through`, or by a change in a later
amendment. Of the changes in effect on the day, the one concluded last holds, and replaces earlier
changes of the same end. A term that had ended when a change took effect stays ended; a change that
takes effect on the same day had not ended it. An amendment that was rescinded before it took effect
never takes effect. Events may begin or end a term, or let it hold and pause in turn: the term has a
state for each stretch on which it holds.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

import msgspec

from clauseway.agreement.force.calendar import (
    Calendar,
    Stretch,
    pauses,
    possible_days,
    while_going_on,
)
from clauseway.agreement.language.agreement import Agreement, Amendment, Change
from clauseway.agreement.language.facts import EventHappened, FactRegister, Launch
from clauseway.agreement.language.shares import RevenueShare
from clauseway.agreement.language.terms import (
    MILESTONE,
    AnyTerm,
    Precedence,
    RevenueShareTerm,
    Term,
    exclusivity_of,
)
from clauseway.values import FOREVER, Citation, KnownAt, through


class Prolonging(msgspec.Struct, frozen=True):
    """A change that keeps a term in force from a day on, by which its own text would have ended it."""

    since: date
    by: Citation


class TermState(msgspec.Struct, frozen=True, kw_only=True):
    """A term on a day.

    `begin` is FOREVER if the term waits for an event. `end` is exclusive. `ended_by` cites the text
    that set the end: the term itself or a change. `event` cites the fact that brought the end
    about, and `begun_by` the fact that brought the beginning about, if a past event did. `paused`
    is filled where the state ended and the term did not: `while EVENT goes on`, or `… does not go
    on`. `right` is the permission or licence that wrote the term, if it is the exclusivity of one.
    `prolonged` holds the changes that keep the term in force once its own text would have ended it,
    the earliest first: the first begins on the day of its own end.
    """

    term: AnyTerm
    amendment: str
    order: int
    as_of: date
    begin: date
    end: date
    ended_by: Citation
    event: Citation | None = None
    begun_by: Citation | None = None
    paused: str = ""
    right: AnyTerm | None = None
    prolonged: tuple[Prolonging, ...] = ()

    @property
    def in_force(self) -> bool:
        return self.begin <= self.as_of < self.end

    @property
    def ended(self) -> bool:
        return self.end <= self.as_of and self.begin <= self.as_of


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """All terms of the known amendments, with their state on a day; the latest amendment first."""

    as_of: date
    known_at: KnownAt
    amendments: tuple[str, ...]
    states: tuple[TermState, ...]

    @property
    def stated(self) -> bool:
        """Return whether any amendment is both in force and known."""
        return bool(self.amendments)

    @property
    def terms(self) -> list[TermState]:
        """Return each term once: as it is in force, else as it last ended, or as it will begin."""
        last: dict[str, TermState] = {}
        for state in self.states:
            kept = last.get(state.term.id)
            if kept is None or state.in_force or (state.ended and not kept.in_force):
                last[state.term.id] = state
        return list(last.values())


def in_force(
    agreement: Agreement,
    facts: FactRegister,
    as_of: date,
    known_at: KnownAt,
    readings: Mapping[str, str],
) -> InForce:
    """Fold the agreement. `facts` must hold only the facts known at `known_at`."""
    amendments = standing(agreement, known_at, readings)
    effective = [amendment for amendment in amendments if amendment.effective <= as_of]
    changes = _changes(effective, readings)
    fold = _Fold(as_of, changes, Calendar(agreement.events, facts), _exclusive_rights(amendments))
    states = [
        state
        for order, amendment in enumerate(amendments)
        for term in amendment.terms
        if _reads(term.under, readings)
        for state in fold.states(term, amendment, order)
    ]
    # Stable: within an amendment, the text's own order.
    states.sort(key=lambda state: -state.order)
    return InForce(
        as_of=as_of,
        known_at=known_at,
        amendments=tuple(amendment.id for amendment in effective),
        states=tuple(states),
    )


def standing(
    agreement: Agreement, known_at: KnownAt, readings: Mapping[str, str]
) -> list[Amendment]:
    """Return the amendments known at a point and not rescinded by then, oldest first.

    An amendment that rescinds another may itself be rescinded.
    """
    rescinded = rescissions(agreement, known_at, readings)
    return [
        amendment
        for amendment in agreement.amendments
        if amendment.known <= known_at and amendment.id not in rescinded
    ]


def rescissions(
    agreement: Agreement, known_at: KnownAt, readings: Mapping[str, str]
) -> dict[str, tuple[Amendment, Change]]:
    """Return the amendments rescinded by a point of knowledge, each with what rescinds it."""
    amendments = [amendment for amendment in agreement.amendments if amendment.known <= known_at]
    rescinded: dict[str, tuple[Amendment, Change]] = {}
    # The latest first: an amendment that was itself rescinded rescinds nothing.
    for amendment in sorted(amendments, key=_rank, reverse=True):
        if amendment.id in rescinded:
            continue
        for change in amendment.changes:
            for name in change.rescinds if _reads(change.under, readings) else ():
                rescinded.setdefault(name, (amendment, change))
    return rescinded


class ChangeEffects:
    """The effects of an agreement's changes under some readings, as known at a point: each change
    counts, whenever it takes effect.

    `facts` must hold only the facts known at that point.
    """

    def __init__(
        self,
        agreement: Agreement,
        facts: FactRegister,
        readings: Mapping[str, str],
        known_at: KnownAt,
    ) -> None:
        amendments = standing(agreement, known_at, readings)
        changes, rights = _changes(amendments, readings), _exclusive_rights(amendments)
        self._fold = _Fold(date.max, changes, Calendar(agreement.events, facts), rights)
        # An event may never happen, so an end by an event leaves a change its effect.
        no_events = Calendar(agreement.events, FactRegister())
        self._written = msgspec.structs.replace(self._fold, calendar=no_events)
        self._terms = [
            term
            for amendment in amendments
            for term in amendment.terms
            if _reads(term.under, readings)
        ]

    def changed_by(self, change: Change) -> frozenset[str]:
        """Return the terms that have not ended when a change takes effect.

        Left out are a term whose end had been set by then by a change concluded later, and an
        exclusivity that the change only moves past the end of its right.
        """
        return self._affected(change, outlives_right=False)

    def ends_with_right(self, change: Change) -> frozenset[str]:
        """Return the exclusivities that a change only moves past the end of the right that wrote
        them."""
        return self._affected(change, outlives_right=True)

    def _affected(self, change: Change, *, outlives_right: bool) -> frozenset[str]:
        return frozenset(
            term.id
            for term in self._terms
            if self._fold.has_effect(change, term)
            and self._written.outlives_right(change, term) == outlives_right
        )

    def overtaken_by(self, change: Change) -> dict[str, Change]:
        """Return the terms whose end a change never sets, each with the change that holds instead.

        The change that holds was concluded later, and took effect no later.
        """
        return {
            term.id: by
            for term in self._terms
            if (by := self._fold.overtaken(change, term)) is not None
        }

    def ends_set_again(self, change: Change) -> dict[str, Citation]:
        """Return the terms whose end a change sets to the end that they have already.

        Each comes with the citation of the text that set that end.
        """
        return {
            term.id: set_by
            for term in self._terms
            if term.id in change.sets_end
            if (set_by := self._fold.had_end_of(change, term)) is not None
        }


def idle_events(agreement: Agreement, facts: FactRegister) -> tuple[EventHappened, ...]:
    """Return the recorded events that change nothing: renewals that came too late, second notices.

    Such an event can be left out, and every event that a term waits for still goes on on the same
    days: as known now, and as known at each point since it was recorded, because answers given then
    may have rested on it. `facts` holds only known facts.
    """
    awaited = events_awaited(agreement)

    def days(register: FactRegister) -> list[list[tuple[date, date]]]:
        calendar = Calendar(agreement.events, register)
        return [
            [(stretch.begin, stretch.end) for stretch in calendar.stretches(event)]
            for event in awaited
        ]

    happened = [fact for fact in facts.facts if isinstance(fact, EventHappened)]
    registers = {
        point: tuple(fact for fact in facts.facts if fact.known <= point)
        for point in sorted({event.known for event in happened})
    }
    with_all = {point: days(FactRegister(known)) for point, known in registers.items()}

    def is_idle(event: EventHappened) -> bool:
        return all(
            days(FactRegister(tuple(fact for fact in known if fact is not event)))
            == with_all[point]
            for point, known in registers.items()
            if event.known <= point
        )

    return tuple(event for event in happened if is_idle(event))


def events_awaited(agreement: Agreement) -> tuple[str, ...]:
    """Return the events that terms and changes name."""
    named: set[str] = set()
    for amendment in agreement.amendments:
        named.update(timed.until for timed in (*amendment.terms, *amendment.changes))
        for term in amendment.terms:
            named.update((term.from_, term.while_, term.while_no))
    return tuple(sorted(name for name in named if name in agreement.events or name == MILESTONE))


def _rank(amendment: Amendment) -> int:
    return amendment.rank


def boundaries(agreement: Agreement, facts: FactRegister, known_at: KnownAt) -> list[date]:
    """Return in order every day on which an answer can change, as known at a point.

    These are the days on which terms begin or end, changes take effect, and facts turn.
    """
    days: set[date] = set()
    for amendment in agreement.amendments:
        if amendment.known <= known_at:
            days.add(amendment.effective)
            # The days of every text, in force or not: a boundary too many does no harm.
            for text in amendment.texts:
                days |= _days_of(text)
    known_facts = facts.known(known_at)
    days |= {turn for fact in known_facts.facts for turn in fact.turns}
    days |= Calendar(agreement.events, known_facts).days()
    days |= _ends_of_leads(agreement, known_facts)
    return sorted(days - {FOREVER})


def possible_boundaries(agreement: Agreement, facts: FactRegister) -> set[date]:
    """Return every day on which an answer can change, whichever of the facts are known."""
    written = boundaries(agreement, FactRegister(), KnownAt.everything())
    return possible_turns(agreement, facts).union(written)


def possible_turns(agreement: Agreement, facts: FactRegister) -> set[date]:
    """Return every day on which facts can change an answer, whichever of them are known."""
    days = possible_days(agreement.events, facts) | _ends_of_leads(agreement, facts)
    return days - {FOREVER}


def _ends_of_leads(agreement: Agreement, facts: FactRegister) -> set[date]:
    """Return the days on which a product has been on the first cloud for a lead of days."""
    terms = [term for amendment in agreement.amendments for term in amendment.terms]
    leads = {term.lead_days for term in terms if isinstance(term, Precedence)}
    return {
        launch.effective + timedelta(days=lead)
        for launch in facts.facts
        if isinstance(launch, Launch)
        for lead in leads
    }


def _days_of(timed: Term | Change) -> set[date]:
    days = {timed.begins} if isinstance(timed, Term) else set()
    if isinstance(timed, Precedence) and timed.since > timed.begins:
        days.add(timed.since)
    return days.union(_written_days(timed))


def _changes(
    effective: Iterable[Amendment], readings: Mapping[str, str]
) -> dict[str, list[tuple[Change, date]]]:
    """Return the changes of each term by the amendments in effect, in the order of conclusion.

    Each change comes with the day on which it takes effect.
    """
    changes: dict[str, list[tuple[Change, date]]] = {}
    for amendment in sorted(effective, key=_rank):
        for change in amendment.changes:
            if _reads(change.under, readings):
                for term in (*change.ends, *change.sets_end):
                    changes.setdefault(term, []).append((change, amendment.effective))
    return changes


def _exclusive_rights(amendments: Iterable[Amendment]) -> dict[str, AnyTerm]:
    """Return the rights that are exclusive or sole, by the ids of the exclusivities they write."""
    return {
        name: term
        for amendment in amendments
        for term in amendment.terms
        if (name := exclusivity_of(term))
    }


class _End(msgspec.Struct, frozen=True):
    """The day on which a term ends (exclusive), the text that set it, and the event behind it.

    `since` is the day on which the change that set it took effect; if a term set it, no day.
    """

    day: date
    set_by: Citation
    event: Citation | None = None
    since: date = date.min

    def comes_before(self, effective: date) -> bool:
        """Return whether a term had ended when a change of its end took effect.

        Two changes of one day take effect at once: what the earlier ends, the later finds open.
        """
        return self.day <= effective and self.since < effective


class _Fold(msgspec.Struct, frozen=True):
    """The basis of every term's state: the day, the changes in effect, and the events' days.

    `rights` holds the right behind each exclusivity that a right wrote.
    """

    as_of: date
    changes: Mapping[str, list[tuple[Change, date]]]
    calendar: Calendar
    rights: Mapping[str, AnyTerm]

    def states(self, term: AnyTerm, amendment: Amendment, order: int) -> Iterator[TermState]:
        """Yield a state for each stretch on which the term holds; one state if it never does.

        A term that ends while it is paused has a last state that holds on no day: the term has
        ended, and no longer waits to go on.
        """
        begin, begun_by = self._begin(term)
        end = self._end(term, begin)
        # From its beginning to its end, and of this only the days on which its events let it hold.
        whole = Stretch(begin, end.day, begun_by, end.event)
        prolonged = self._prolonged(term, begin) if term.id in self.changes else ()
        stretches = [whole]
        if term.from_ or term.while_ or term.while_no:
            stretches = self._kept_to_events(term, whole)
            # A term that waits for an event has not begun.
            stretches = stretches or [msgspec.structs.replace(whole, begin=FOREVER)]
            pauses_at_last = stretches[-1].end < end.day < FOREVER
            if pauses_at_last and stretches[-1].begin < FOREVER:
                stretches.append(Stretch(end.day, end.day, ended_by=end.event))
        for stretch in stretches:
            paused = self._pause(term, stretch.end) if stretch.end < end.day else ""
            yield TermState(
                term=term,
                amendment=amendment.id,
                order=order,
                as_of=self.as_of,
                begin=stretch.begin,
                end=stretch.end,
                ended_by=end.set_by if stretch.end == end.day else term.citation,
                event=stretch.ended_by,
                begun_by=stretch.begun_by,
                paused=paused,
                right=self.rights.get(term.id),
                prolonged=prolonged,
            )

    def _begin(self, term: Term) -> tuple[date, Citation | None]:
        """Return the day on which a term begins, and the event that begins it, if one does."""
        if term.from_:
            return self.calendar.first(term.from_, term.begins)
        return term.begins, None

    def _pause(self, term: Term, day: date) -> str:
        """Return why a term pauses on a day: `while EVENT goes on`, or `… does not go on`."""
        for stretch in self.calendar.stretches(term.while_no) if term.while_no else ():
            if stretch.begin <= day < stretch.end:
                return f"while {term.while_no} goes on"
        return f"while {term.while_} does not go on"

    def _kept_to_events(self, term: Term, whole: Stretch) -> list[Stretch]:
        stretches = [whole] if whole.begin < whole.end else []
        if term.while_:
            stretches = while_going_on(stretches, self.calendar.stretches(term.while_))
        if term.while_no:
            stretches = while_going_on(stretches, pauses(self.calendar.stretches(term.while_no)))
        return stretches

    def has_effect(self, change: Change, term: Term) -> bool:
        """Return whether a change sets the end of a term that had not ended when it took effect."""
        end = self._own_end(term)
        for earlier, effective in self.changes.get(term.id, ()):
            if earlier.id == change.id:
                takes_effect = self._changed(end, change, effective, term) is not end
                return takes_effect and self.overtaken(change, term) is None
            end = self._changed(end, earlier, effective, term)
        return False

    def overtaken(self, change: Change, term: Term) -> Change | None:
        """Return the change, concluded later, that set a term's end before a change could."""
        end, since = self._own_end(term), date.min
        for each, effective in self.changes.get(term.id, ()):
            changed = self._changed(end, each, effective, term)
            if each.id == change.id and changed is not end:
                since = effective
            elif effective <= since and changed is not end:
                return each
            end = changed
        return None

    def had_end_of(self, change: Change, term: Term) -> Citation | None:
        """Return the text that had set the end which a change sets again.

        None if the change sets another end.
        """
        end, said = self._own_end(term), _said_end(term)
        for each, effective in self.changes.get(term.id, ()):
            if end.comes_before(effective):
                continue
            if each.id == change.id:
                return end.set_by if _said_end(each) == said else None
            end, said = self._changed(end, each, effective, term), _said_end(each)
        return None

    def outlives_right(self, change: Change, term: Term) -> bool:
        """Return whether a change only moves an exclusivity past the right that wrote it."""
        right = self.rights.get(term.id)
        if right is None or right.id in (*change.ends, *change.sets_end):
            return False
        last = self._end(right, term.begins)
        end = self._own_end(term)
        for each, effective in self.changes.get(term.id, ()):
            changed = self._changed(end, each, effective, term)
            if each.id == change.id:
                # An end by an event that the right does not wait for may come first.
                by_event = change.until != right.until and not is_day(change.until or "0")
                return last.day <= min(end.day, changed.day) and not by_event
            end = changed
        return False

    def _own_end(self, term: Term) -> _End:
        """Return the end that a term sets itself, as far as it is known.

        If an event begins the term, an event ends it only after that.
        """
        by_day = term if is_day(term.until) else msgspec.structs.replace(term, until="")
        end, (begin, _) = self._written_end(by_day, term.begins), self._begin(term)
        by_event = self._written_end(term, begin) if begin < FOREVER else end
        return min(end, by_event, key=_day_of_end)

    def _end(self, term: Term, begin: date) -> _End:
        end = self._written_end(term, begin)
        for change, effective in self.changes.get(term.id, ()):
            end = self._changed(end, change, effective, term)
        last = self._end_of_right(term, begin)
        return last if last is not None and last.day < end.day else end

    def _prolonged(self, term: Term, begin: date) -> tuple[Prolonging, ...]:
        """Return the changes that keep a term in force from the day on which it would have ended.

        On each day the changes in effect by then count, so that every later day's fold tells the
        same of it.
        """
        own_end, changes = self._written_end(term, begin), self.changes[term.id]
        later = {effective for _, effective in changes if effective > own_end.day}
        prolonged: list[Prolonging] = []
        for since in sorted({own_end.day, *later} - {FOREVER}):
            end = own_end
            for change, effective in changes:
                if effective <= since:
                    end = self._changed(end, change, effective, term)
            if end.day > since and not (prolonged and prolonged[-1].by == end.set_by):
                prolonged.append(Prolonging(since, end.set_by))
        return tuple(prolonged)

    def _end_of_right(self, term: Term, begin: date) -> _End | None:
        """Return the end of the right that wrote an exclusivity; None for any other term.

        The exclusivity never outlives the right: nobody would be left who may act.
        """
        right = self.rights.get(term.id)
        return self._end(right, begin) if right is not None else None

    def _changed(self, end: _End, change: Change, effective: date, term: Term) -> _End:
        if end.comes_before(effective):
            return end
        if term.id in change.ends:
            # To end on a day what ends on that day already changes nothing.
            ends_then = _End(effective, change.citation, since=effective)
            return ends_then if end.day > effective else end
        written_end = self._written_end(change, effective)
        return msgspec.structs.replace(written_end, since=effective)

    def _written_end(self, timed: Term | Change, since: date) -> _End:
        """Return the end set by a text that holds since a day; it is never before that day."""
        # Of several ends that a text writes, the earliest counts.
        day, event = min(_written_days(timed), default=FOREVER), None
        if timed.until and not is_day(timed.until):
            day_of_event, happened = self.calendar.first(timed.until, since)
            if day_of_event < day:
                day, event = day_of_event, happened
        return _End(max(day, since), timed.citation, event)


def _day_of_end(end: _End) -> date:
    return end.day


def is_day(until: str) -> bool:
    """Return whether an end names a day, not an event."""
    return until[:1].isdigit()


def _said_end(timed: Term | Change) -> tuple[str, date]:
    """Return the event that a text names as an end, if any, and the day before which it ends."""
    event = "" if is_day(timed.until) else timed.until
    return event, min(_written_days(timed), default=FOREVER)


def _written_days(timed: Term | Change) -> list[date]:
    """Return the days before which a text ends, as far as it names days."""
    days = [] if timed.through is None else [through(timed.through)]
    return [*days, date.fromisoformat(timed.until)] if is_day(timed.until) else days


def _reads(under: Mapping[str, str], readings: Mapping[str, str]) -> bool:
    # Nearly every text holds under any reading, so the common case starts no generator.
    return not under or all(readings[reading] == value for reading, value in under.items())


def revenue_shares(
    agreement: Agreement, facts: FactRegister, known_at: KnownAt, readings: Mapping[str, str]
) -> list[RevenueShare]:
    """Return every revenue share that the agreement makes due, with its days, oldest first.

    `facts` must hold only the facts known at `known_at`.
    """
    # A share begins and ends only on a boundary, so these days are enough.
    open_shares: dict[str, RevenueShare] = {}
    closed: list[RevenueShare] = []
    for day in boundaries(agreement, facts, known_at):
        for state in in_force(agreement, facts, day, known_at, readings).terms:
            term = state.term
            if not isinstance(term, RevenueShareTerm):
                continue
            if state.in_force and term.id not in open_shares:
                open_shares[term.id] = _share(term, day)
            elif not state.in_force and term.id in open_shares:
                share = open_shares.pop(term.id)
                event = state.event or msgspec.UNSET
                closed.append(
                    msgspec.structs.replace(share, end=day, ended_by=state.ended_by, event=event)
                )
    return sorted([*closed, *open_shares.values()], key=lambda share: (share.begin, share.term))


def _share(term: RevenueShareTerm, begin: date) -> RevenueShare:
    return RevenueShare(
        term=term.id,
        payer=term.payer,
        payee=term.payee,
        rate=term.rate,
        cap=term.cap,
        begin=begin,
        end=FOREVER,
        base=term.base,
        citation=term.citation,
        cap_opening=term.cap_opening,
        tiers=term.tiers,
        floors=term.floors,
        payment=term.payment,
        withholding=term.withholding,
        late=term.late,
    )
