"""Rescinded amendments in words: who rescinds them, from when they were to hold, and what returns."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from clauseway.agreement import Agreement, Amendment, Change
from clauseway.agreement.force.fold import rescissions
from clauseway.values import KnownAt
from clauseway.wording.names import Wording, listed
from clauseway.wording.terms import TermWording


class Rescission(msgspec.Struct, frozen=True, kw_only=True):
    """A rescinded amendment, by which one, the sentence that says so, and its place."""

    amendment: str
    by: str
    sentence: str
    place: str


def rescissions_of(
    words: Wording,
    agreement: Agreement,
    about: Collection[str],
    known_at: KnownAt,
    readings: Mapping[str, str],
) -> tuple[Rescission, ...]:
    """Return the rescissions known at a point by, or of, one of these amendments."""
    amendments = {amendment.id: amendment for amendment in agreement.amendments}
    telling = _Telling(words, TermWording(words, readings), agreement)
    return tuple(
        Rescission(
            amendment=name,
            by=by.id,
            sentence=telling.sentence(amendments[name], by),
            place=words.place(change.citation),
        )
        for name, (by, change) in rescissions(agreement, known_at, readings).items()
        if name in about or by.id in about
    )


class _Telling(msgspec.Struct, frozen=True):
    words: Wording
    terms: TermWording
    agreement: Agreement

    def sentence(self, rescinded: Amendment, by: Amendment) -> str:
        late = was_in_effect(rescinded, by)
        never = (
            f"in effect since {rescinded.effective} as known before, never took effect"
            if late
            else f"which was to take effect on {rescinded.effective}, never does"
        )
        begin = (
            f"{rescinded.id} ({rescinded.title}), {never}: {by.id} rescinds it, as announced on "
            f"{by.announced}"
        )
        return "; ".join([begin, *self._what_returns(rescinded, late)])

    def _what_returns(self, rescinded: Amendment, late: bool) -> Iterator[str]:
        """Say which terms stay as they were, which never begin, and which amendments stand again."""
        named = {name for change in rescinded.changes for name in _changed(change)}
        terms = [term for amendment in self.agreement.amendments for term in amendment.terms]
        if kept := [term for term in terms if term.id in named]:
            several = self.terms.are_several(kept)
            yield f"{self.terms.nouns(kept)} {'stay as they were' if several else 'stays as it was'}"
        if never := list(rescinded.terms):
            begins = "begin" if self.terms.are_several(never) else "begins"
            yield f"{self.terms.nouns(never)} never {'began' if late else begins}"
        again = {name for change in rescinded.changes for name in change.rescinds}
        if again:
            yield f"{listed(sorted(again))} {'stand' if len(again) > 1 else 'stands'} again"


def was_in_effect(rescinded: Amendment, by: Amendment) -> bool:
    """Return whether an amendment was in effect, as it was known, until its rescission was known."""
    return rescinded.known < by.known and rescinded.effective < by.known.day


def _changed(change: Change) -> tuple[str, ...]:
    return (*change.ends, *change.sets_end)
