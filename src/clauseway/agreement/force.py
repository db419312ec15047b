"""What is in force: the amendments folded for one day, one point of knowledge, one choice of readings, and known facts.

A term begins with its amendment. It ends by its own `until` or `through`, or by what a later amendment says: the last
change in effect on the day holds, and replaces what an earlier one said of the same end.
"""

from collections.abc import Mapping
from datetime import date

import msgspec

from clauseway.agreement.agreement import Agreement, Amendment, Change
from clauseway.agreement.facts import FactRegister, Milestone
from clauseway.agreement.shares import RevenueShare
from clauseway.agreement.terms import MILESTONE, RevenueShareTerm, Term
from clauseway.values import FOREVER, Citation, KnownAt, through


class TermState(msgspec.Struct, frozen=True, kw_only=True):
    """A term on a day. `end` is exclusive. `ended_by` cites what set the end, the term itself where nothing else did;
    `event` the fact that brought it about, where it ends by an event that has happened."""

    term: Term
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
    agreement: Agreement, facts: FactRegister, as_of: date, known_at: KnownAt, readings: Mapping[str, str]
) -> InForce:
    """Fold the agreement. `facts` must already be those known at `known_at`."""
    known = [amendment for amendment in agreement.amendments if amendment.known <= known_at]
    effective = [amendment for amendment in known if amendment.effective <= as_of]
    changes = _last_changes(effective, readings)
    milestone = facts.milestone()
    states = [
        _state(
            term,
            amendment,
            order,
            as_of,
            changes.get(term.id),
            milestone,
        )
        for order, amendment in enumerate(known)
        for term in amendment.terms
        if _reads(term.under, readings)
    ]
    # Stable: within an amendment, the text's own order.
    states.sort(key=lambda state: -state.order)
    return InForce(
        as_of=as_of, known_at=known_at, amendments=tuple(amendment.id for amendment in effective), states=tuple(states)
    )


def boundaries(agreement: Agreement, facts: FactRegister, known_at: KnownAt) -> list[date]:
    """Every day on which an answer can change, as known: begins and ends of terms, changes, and facts. In order."""
    days: set[date] = set()
    for amendment in agreement.amendments:
        if amendment.known <= known_at:
            days.add(amendment.effective)
            texts: list[Term | Change] = [*amendment.terms, *amendment.changes]
            for timed in texts:
                days |= _days_of(timed)
    days |= {fact.effective for fact in facts.known(known_at).facts}
    return sorted(days)


def _days_of(timed: Term | Change) -> set[date]:
    days = {timed.begins} if isinstance(timed, Term) else set()
    if timed.through is not None:
        days.add(through(timed.through))
    if timed.until and timed.until != MILESTONE:
        days.add(date.fromisoformat(timed.until))
    return days


def _last_changes(effective: list[Amendment], readings: Mapping[str, str]) -> dict[str, tuple[Change, date]]:
    last: dict[str, tuple[Change, date]] = {}
    for amendment in effective:
        for change in amendment.changes:
            if _reads(change.under, readings):
                for term in (*change.ends, *change.sets_end):
                    last[term] = (change, amendment.effective)
    return last


def _state(
    term: Term,
    amendment: Amendment,
    order: int,
    as_of: date,
    changed: tuple[Change, date] | None,
    milestone: Milestone | None,
) -> TermState:
    end, by_event = _end_of(term, milestone)
    ended_by = term.citation
    if changed is not None:
        change, effective = changed
        ended_by = change.citation
        end, by_event = (effective, False) if term.id in change.ends else _end_of(change, milestone)
    return TermState(
        term=term,
        amendment=amendment.id,
        order=order,
        as_of=as_of,
        end=end,
        ended_by=ended_by,
        event=milestone.citation if by_event and milestone else None,
    )


def _end_of(timed: Term | Change, milestone: Milestone | None) -> tuple[date, bool]:
    """The exclusive end that a text sets, and whether an event brought it about."""
    ends = [(FOREVER, False)]
    if timed.through is not None:
        ends.append((through(timed.through), False))
    if timed.until == MILESTONE:
        ends.append((milestone.effective, True) if milestone else (FOREVER, False))
    elif timed.until:
        ends.append((date.fromisoformat(timed.until), False))
    return min(ends)


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
    )
