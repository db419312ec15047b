"""The agreement as read: definitions, amendments oldest first, their clauses, terms and changes."""

from collections.abc import Mapping
from datetime import date

import msgspec

from clauseway.agreement.language.definitions import (
    Commentary,
    ContextNote,
    Event,
    Figure,
    Reading,
)
from clauseway.agreement.language.terms import AnyTerm
from clauseway.catalog import Catalog
from clauseway.values import Citation, KnownAt


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered clause in prose. `formalised` says whether a term or a change stands under it."""

    number: str
    title: str
    text: str
    line: int
    formalised: bool


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """A change of earlier amendments, as an author writes it.

    It `ends` terms, sets the end of the terms in `sets_end` to `until` or `through`, or `rescinds`
    amendments that are not yet in effect.
    """

    id: str
    citation: Citation
    ends: tuple[str, ...] = ()
    sets_end: tuple[str, ...] = ()
    rescinds: tuple[str, ...] = ()
    until: str = ""
    through: date | None = None
    under: Mapping[str, str] = msgspec.field(default_factory=dict)


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """An amendment, which is one document.

    `known` is when it was announced or, if later, recorded here; `effective` when it took effect.
    `rank` is its place in the order of conclusion. If two amendments change one term, the later
    prevails.
    """

    id: str
    title: str
    document: str
    announced: date
    effective: date
    known: KnownAt
    clauses: tuple[Clause, ...]
    terms: tuple[AnyTerm, ...]
    changes: tuple[Change, ...]
    rank: int = 0

    @property
    def texts(self) -> tuple[AnyTerm | Change, ...]:
        """Return the terms and the changes of the amendment."""
        return (*self.terms, *self.changes)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """An agreement with all its amendments, oldest first.

    `text_digest` is the digest of its text, `meaning_digest` that of the text's meaning (see
    `meaning`).
    `lines` holds the lines of the definitions, by section and name.
    """

    id: str
    title: str
    text_digest: str
    meaning_digest: str
    catalog: Catalog
    sources: Mapping[str, str]
    rules: Mapping[str, Citation]
    readings: Mapping[str, Reading]
    commentary: tuple[Commentary, ...]
    figures: Mapping[str, Figure]
    events: Mapping[str, Event] = msgspec.field(default_factory=dict)
    context: tuple[ContextNote, ...] = ()
    amendments: tuple[Amendment, ...]
    lines: Mapping[tuple[str, str], int] = msgspec.field(default_factory=dict)

    @property
    def terms_by_id(self) -> dict[str, AnyTerm]:
        """Return every term that an amendment writes, oldest first."""
        return {term.id: term for amendment in self.amendments for term in amendment.terms}

    @property
    def ever_rescinded(self) -> frozenset[str]:
        """Return the amendments that some change rescinds, under whichever reading."""
        return frozenset(
            name
            for amendment in self.amendments
            for change in amendment.changes
            for name in change.rescinds
        )

    def default_readings(self) -> dict[str, str]:
        return {reading.id: reading.default for reading in self.readings.values()}

    def not_formalised(self) -> list[tuple[Amendment, Clause]]:
        """Return the clauses without a term or change, so that nothing is silently left out."""
        return [
            (amendment, clause)
            for amendment in self.amendments
            for clause in amendment.clauses
            if not clause.formalised
        ]
