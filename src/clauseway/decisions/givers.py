"""Givers of rights: a giver must own the product, or hold a permission to license it on.

A right counts on the days on which its giver may give it. When the giver no longer owns the product
or may no longer license it on, the right falls, and with it every right that rests on it. A right
that its giver could never give is void from the start.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import assert_never

import msgspec

from clauseway.agreement import Licence, Ownership, Permission, TermState
from clauseway.agreement.language.actions import LICENSE
from clauseway.agreement.language.terms import AnyTerm, Granting

_ONE_DAY = timedelta(days=1)


def giver_of(term: AnyTerm | None) -> str:
    """Return the licensor of a licence, or the grantor that a permission names; else empty."""
    if not isinstance(term, Granting):
        return ""
    match term:
        case Licence():
            return term.licensor
        case Permission():
            return term.grantor
        case _:
            assert_never(term)


class LostRight(msgspec.Struct, frozen=True):
    """A right that was given and holds no more. It ended on `day`; `fell`: its giver lost its own
    right on `day`."""

    state: TermState
    day: date
    fell: bool

    @property
    def rank(self) -> tuple[date, int]:
        """Return the place among rights that were lost: the last in time, then in the text."""
        return self.day, self.state.order


class Givers(msgspec.Struct, frozen=True):
    """The ownerships and the permissions to license, with their days; the latest amendment first.

    `lineage` is a product with every class that it lies in. `behind` holds the parties already asked
    about in a chain of grantors: two parties that each license by the other's permission have no
    right at all.
    """

    owning: Sequence[TermState]
    licensing: Sequence[TermState]

    @classmethod
    def of(cls, states: Sequence[TermState]) -> "Givers":
        return cls(
            owning=[state for state in states if isinstance(state.term, Ownership)],
            licensing=[state for state in states if may_license(state.term)],
        )

    def ownership(self, lineage: frozenset[str], day: date) -> TermState | None:
        """Return the ownership of a product that holds on a day."""
        return next((state for state in self.owning if _holds(state, lineage, day)), None)

    def owner(self, lineage: frozenset[str], day: date) -> str:
        """Return the owner of a product on a day; empty where nobody owns it."""
        state = self.ownership(lineage, day)
        return state.term.party if state is not None and isinstance(state.term, Ownership) else ""

    def grantor(self, lineage: frozenset[str], granted: date, as_of: date) -> str:
        """Return the party that made a recorded grant: the owner on its day, else the first owner
        after it.

        Empty where nobody has owned the product.
        """
        begun = [
            state.begin
            for state in self.owning
            if granted <= state.begin <= as_of and _covers(state, lineage)
        ]
        owners = (self.owner(lineage, day) for day in (granted, *sorted(begun)))
        return next(filter(None, owners), "")

    def may_give(
        self, giver: str, lineage: frozenset[str], day: date, behind: tuple[str, ...] = ()
    ) -> bool:
        """Return whether a party owns a product on a day, or may license it on."""
        return giver == self.owner(lineage, day) or self.may_license_on(giver, lineage, day, behind)

    def links(
        self, giver: str, lineage: frozenset[str], day: date, behind: tuple[str, ...] = ()
    ) -> tuple[TermState, ...] | None:
        """Return the permissions by which a party that owns no product may license it on.

        The party's own comes first, then its grantor's, up to the owner's. None if it may not.
        """
        if giver == self.owner(lineage, day):
            return ()
        asked = (giver, *behind)
        for state in self._permissions(giver, lineage, day):
            grantor = giver_of(state.term)
            if not grantor:
                return (state,)
            if grantor not in asked:
                further = self.links(grantor, lineage, day, asked)
                if further is not None:
                    return (state, *further)
        return None

    def may_license_on(
        self, giver: str, lineage: frozenset[str], day: date, behind: tuple[str, ...] = ()
    ) -> bool:
        """Return whether a permission lets a party license a product on.

        The grantor that the permission names, if any, must be able to give it in turn.
        """
        asked = (giver, *behind)
        return any(
            not (grantor := giver_of(state.term))
            or (grantor not in asked and self.may_give(grantor, lineage, day, asked))
            for state in self._permissions(giver, lineage, day)
        )

    def _permissions(self, giver: str, lineage: frozenset[str], day: date) -> Iterator[TermState]:
        for state in self.licensing:
            assert isinstance(state.term, Permission)
            if state.term.party == giver and _holds(state, lineage, day):
                yield state

    def lost(self, state: TermState, lineage: frozenset[str], as_of: date) -> LostRight | None:
        """Return a right that was given and holds no more; None if it holds or was never given.

        An exclusivity that a right wrote is lost with the right.
        """
        if state.begin > as_of:
            return None
        giver, ended = giver_of(state.right or state.term), state.end <= as_of
        end = state.end if ended else as_of + _ONE_DAY
        last = self.given_until(giver, lineage, state.begin, end) if giver else end
        if last is None or (last == end and not ended):
            return None
        return LostRight(state, last, fell=last < end)

    def lost_permission(
        self, state: TermState, lineage: frozenset[str], as_of: date
    ) -> LostRight | None:
        """Return a permission that was given to its party and holds no more.

        A permission of the owner gave it nothing: it declared what was free.
        """
        lost = self.lost(state, lineage, as_of)
        if lost is None or not isinstance(state.term, Permission):
            return None
        last = max(state.begin, lost.day - _ONE_DAY)
        return lost if state.term.party != self.owner(lineage, last) else None

    def given_until(
        self, giver: str, lineage: frozenset[str], begin: date, end: date
    ) -> date | None:
        """Return the first day, at most `end`, from which a giver could give no more; None if it
        never could since `begin`.

        If `begin` and `end` are one day, that day decides.
        """
        # Most givers could give to the end. Only for the others, go through the history.
        if self.may_give(giver, lineage, max(begin, end - _ONE_DAY)):
            return end
        until = None
        for day, following in self._stretches(lineage, begin, end):
            if self.may_give(giver, lineage, day):
                until = following
        return until

    def falls(
        self, giver: str, lineage: frozenset[str], begin: date, end: date
    ) -> Iterator[tuple[date, date | None]]:
        """Yield each day before `end` from which a giver can give no more, with the day from which
        it can again; None if it never can.
        """
        could, fell = False, None
        for day, _ in self._stretches(lineage, begin, end):
            can = self.may_give(giver, lineage, day)
            if can and fell is not None:
                yield fell, day
                fell = None
            if could and not can:
                fell = day
            could = can
        if fell is not None:
            yield fell, None

    def _stretches(
        self, lineage: frozenset[str], begin: date, end: date
    ) -> Iterator[tuple[date, date]]:
        """Return the stretches of days, each with its begin and end, within which no giver of the
        product gains or loses a right to give it."""
        turns = {
            day
            for state in (*self.owning, *self.licensing)
            if _covers(state, lineage)
            for day in (state.begin, state.end)
            if begin < day < end
        }
        return pairwise([begin, *sorted(turns), end])

    def broken(
        self, giver: str, lineage: frozenset[str], day: date, behind: tuple[str, ...] = ()
    ) -> Iterator[TermState]:
        """Yield the states whose end or beginning on a day took a giver's right to give."""
        before = day - _ONE_DAY
        owned, now = self.ownership(lineage, before), self.ownership(lineage, day)
        passed = [state for state in (owned, now) if state is not None and _turns(state, day)]
        if self.owner(lineage, before) == giver:
            yield from passed
        asked = (giver, *behind)
        for state in self._permissions(giver, lineage, before):
            grantor = giver_of(state.term)
            if not grantor:
                yield state
            elif grantor not in asked and self.may_give(grantor, lineage, before, asked):
                yield from self.broken(grantor, lineage, day, asked)
                yield state


def may_license(term: AnyTerm) -> bool:
    """Return whether a term lets its party license products on."""
    return isinstance(term, Permission) and LICENSE in term.actions


def _covers(state: TermState, lineage: frozenset[str]) -> bool:
    term = state.term
    return isinstance(term, Ownership | Permission) and not lineage.isdisjoint(term.products)


def _holds(state: TermState, lineage: frozenset[str], day: date) -> bool:
    return state.begin <= day < state.end and _covers(state, lineage)


def _turns(state: TermState, day: date) -> bool:
    return day in (state.begin, state.end)
