"""What is in force: the amendments folded for one day, one point of knowledge, one choice of readings, and known facts.

A term begins with its amendment. It ends by its own `until` or `through`, or by what a later amendment says: of the
changes in effect on the day the one concluded last holds, and replaces what an earlier one said of the same end. What
had ended when a change took effect stays ended. An amendment that was rescinded before it took effect never does.
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import msgspec

from clauseway.agreement.agreement import Agreement, Amendment, Change
from clauseway.agreement.facts import FactRegister, Launch, Milestone
from clauseway.agreement.shares import RevenueShare
from clauseway.agreement.terms import MILESTONE, AnyTerm, Precedence, RevenueShareTerm, Term
from clauseway.values import FOREVER, Citation, KnownAt, through


class TermState(msgspec.Struct, frozen=True, kw_only=True):
    """A term on a day. `end` is exclusive. `ended_by` cites what set the end, the term itself where nothing else did;
    `event` the fact that brought it about, where it ends by an event that has happened."""

    term: AnyTerm
    amendment: str
    order: int
    as_of: date
    end: date
    ended_by: Citation
    event: Citation | None = None

    @property
    def in_force(self) -> bool:
        return self.term.begins <= self.as_of < self.end

    @property
    def ended(self) -> bool:
        return self.end <= self.as_of and self.term.begins <= self.as_of


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """All terms of the amendments known, with their state on a day, the latest amendment's first."""

    as_of: date
    known_at: KnownAt
    amendments: tuple[str, ...]
    states: tuple[TermState, ...]

    @property
    def stated(self) -> bool:
        """Whether any amendment is both in force and known."""
        return bool(self.amendments)


def in_force(
    agreement: Agreement,
    facts: FactRegister,
    as_of: date,
    known_at: KnownAt,
    readings: Mapping[str, str],
) -> InForce:
    """Fold the agreement. `facts` must already be those known at `known_at`."""
    known = standing(agreement, known_at, readings)
    effective = [amendment for amendment in known if amendment.effective <= as_of]
    fold = _Fold(as_of, _changes(effective, readings), facts.milestone())
    states = [
        fold.state(term, amendment, order)
        for order, amendment in enumerate(known)
        for term in amendment.terms
        if _reads(term.under, readings)
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
    """The amendments known at a point and not rescinded by then, oldest first. What rescinds may be rescinded too."""
    known = [amendment for amendment in agreement.amendments if amendment.known <= known_at]
    rescinded: set[str] = set()
    for amendment in sorted(known, key=_rank, reverse=True):
        if amendment.id not in rescinded:
            rescinded.update(
                name
                for change in amendment.changes
                if _reads(change.under, readings)
                for name in change.rescinds
            )
    return [amendment for amendment in known if amendment.id not in rescinded]


def changed_by(
    agreement: Agreement, facts: FactRegister, readings: Mapping[str, str], change: Change
) -> frozenset[str]:
    """The terms that a change finds still in force when it takes effect, with everything known."""
    amendments = standing(agreement, KnownAt.everything(), readings)
    fold = _Fold(date.max, _changes(amendments, readings), facts.milestone())
    terms = [
        term for amendment in amendments for term in amendment.terms if _reads(term.under, readings)
    ]
    return frozenset(term.id for term in terms if fold.has_effect(change, term))


def _rank(amendment: Amendment) -> int:
    return amendment.rank


def boundaries(agreement: Agreement, facts: FactRegister, known_at: KnownAt) -> list[date]:
    """Every day on which an answer can change, as known: begins and ends of terms, changes, and facts. In order."""
    days: set[date] = set()
    terms = [term for amendment in agreement.amendments for term in amendment.terms]
    leads = {term.lead_days for term in terms if isinstance(term, Precedence)}
    for amendment in agreement.amendments:
        if amendment.known <= known_at:
            days.add(amendment.effective)
            texts: list[Term | Change] = [*amendment.terms, *amendment.changes]
            for timed in texts:
                days |= _days_of(timed)
    known = facts.known(known_at).facts
    days |= {turn for fact in known for turn in fact.turns}
    days |= {
        launch.effective + timedelta(days=lead)
        for launch in known
        if isinstance(launch, Launch)
        for lead in leads
    }
    return sorted(days - {FOREVER})


def _days_of(timed: Term | Change) -> set[date]:
    days = {timed.begins} if isinstance(timed, Term) else set()
    if timed.through is not None:
        days.add(through(timed.through))
    if timed.until and timed.until != MILESTONE:
        days.add(date.fromisoformat(timed.until))
    return days


def _changes(
    effective: Iterable[Amendment], readings: Mapping[str, str]
) -> dict[str, list[tuple[Change, date]]]:
    """What the amendments in effect change of each term, concluded first first, with the day from which it holds."""
    changes: dict[str, list[tuple[Change, date]]] = {}
    for amendment in sorted(effective, key=_rank):
        for change in amendment.changes:
            if _reads(change.under, readings):
                for term in (*change.ends, *change.sets_end):
                    changes.setdefault(term, []).append((change, amendment.effective))
    return changes


class _End(msgspec.Struct, frozen=True):
    """The day on which a term ends (exclusive), what set it, and whether an event brought it about."""

    day: date
    set_by: Citation
    by_event: bool


class _Fold(msgspec.Struct, frozen=True):
    """What the state of every term rests on: the day, the changes in effect, and the milestone, if it is known."""

    as_of: date
    changes: Mapping[str, list[tuple[Change, date]]]
    milestone: Milestone | None

    def state(self, term: AnyTerm, amendment: Amendment, order: int) -> TermState:
        end = self._end(term)
        return TermState(
            term=term,
            amendment=amendment.id,
            order=order,
            as_of=self.as_of,
            end=end.day,
            ended_by=end.set_by,
            event=self.milestone.citation if end.by_event and self.milestone else None,
        )

    def has_effect(self, change: Change, term: Term) -> bool:
        """Return whether a term had not ended when a change of it took effect."""
        end = self._written_end(term, term.begins)
        for other, effective in self.changes.get(term.id, ()):
            if other.id == change.id:
                return end.day > effective
            end = self._changed(end, other, effective, term)
        return False

    def _end(self, term: Term) -> _End:
        end = self._written_end(term, term.begins)
        for change, effective in self.changes.get(term.id, ()):
            end = self._changed(end, change, effective, term)
        return end

    def _changed(self, end: _End, change: Change, effective: date, term: Term) -> _End:
        if end.day <= effective:
            return end  # it had ended by then
        if term.id in change.ends:
            return _End(effective, change.citation, False)
        return self._written_end(change, effective)

    def _written_end(self, timed: Term | Change, since: date) -> _End:
        """The end that a text sets which holds since a day; none lies before that day."""
        ends = [(FOREVER, False)]
        if timed.through is not None:
            ends.append((through(timed.through), False))
        if timed.until == MILESTONE:
            ends += [(self.milestone.effective, True)] if self.milestone else []
        elif timed.until:
            ends.append((date.fromisoformat(timed.until), False))
        day, by_event = min(ends)
        return _End(max(day, since), timed.citation, by_event)


def _reads(under: Mapping[str, str], readings: Mapping[str, str]) -> bool:
    return all(readings[reading] == value for reading, value in under.items())


def revenue_shares(
    agreement: Agreement, facts: FactRegister, known_at: KnownAt, readings: Mapping[str, str]
) -> list[RevenueShare]:
    """Every share the agreement makes due, with its days, oldest first. `facts`: those known at `known_at`."""
    open_shares: dict[str, RevenueShare] = {}
    closed: list[RevenueShare] = []
    for day in boundaries(agreement, facts, known_at):
        for state in in_force(agreement, facts, day, known_at, readings).states:
            term = state.term
            if not isinstance(term, RevenueShareTerm):
                continue
            if state.in_force and term.id not in open_shares:
                open_shares[term.id] = _share(term, day)
            elif not state.in_force and term.id in open_shares:
                share = open_shares.pop(term.id)
                closed.append(msgspec.structs.replace(share, end=day, ended_by=state.ended_by))
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
