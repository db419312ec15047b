"""What an amendment does, clause by clause: what it ends or moves, begins, and leaves to prose."""

from collections.abc import Collection, Iterable, Iterator

import msgspec

from clauseway.agreement import Agreement, Amendment, Change, Clause, TermState, in_force
from clauseway.agreement.force.fold import changed_by, overtaken_by
from clauseway.agreement.language.facts import FactRegister
from clauseway.agreement.language.terms import AnyTerm
from clauseway.decisions.compare import Side
from clauseway.values import FOREVER, Citation, KnownAt
from clauseway.wording.brief_page import BriefSentence
from clauseway.wording.names import Wording, sentence
from clauseway.wording.terms import TermWording, sentences, under_readings, until


class AmendmentSentences(msgspec.Struct, frozen=True):
    """One amendment's clauses, told in one agreement's names: the text without it and with it."""

    words: Wording
    terms: TermWording
    amendment: Amendment
    before: Side
    after: Side

    def clause_by_clause(self) -> Iterator[BriefSentence]:
        """Clause by clause: what it ends or moves, what it begins, what it leaves to prose."""
        clauses = self.amendment.clauses
        ends = [*(clause.line for clause in clauses[1:]), FOREVER.toordinal()]
        for clause, end in zip(clauses, ends, strict=True):
            changes = [
                change
                for change in self.amendment.changes
                if clause.line <= change.citation.line < end
            ]
            terms = [
                term for term in self.amendment.terms if clause.line <= term.citation.line < end
            ]
            for change in changes:
                yield from self._change(change, {term.kind for term in terms})
            for term in terms:
                yield self._said(self.terms.term(term, self.amendment.effective), term.citation)
            if not clause.formalised:
                yield self._prose(clause)

    def _said(self, text: str, at: Citation) -> BriefSentence:
        return BriefSentence(text=f"{sentence(text)}.", place=self.words.place(at))

    def _prose(self, clause: Clause) -> BriefSentence:
        place = f"{self.amendment.id} {clause.number}, {self.amendment.document}:{clause.line}"
        return BriefSentence(
            text=f"{sentences(clause.text)} (This stands in prose only; no decision rests on it.)",
            place=place,
        )

    def _change(self, change: Change, replaced_by: set[str]) -> Iterator[BriefSentence]:
        under = under_readings(change.under)
        ended, moved = self.ended(change), self._changed(change, change.sets_end)
        for kind in dict.fromkeys(state.term.kind for state in ended):
            of_kind = [state for state in ended if state.term.kind == kind]
            for begun, alike in _by_begin(of_kind):
                several = self.terms.are_several(alike)
                ends = "end" if several else "ends"
                if kind in replaced_by:
                    ends = "are replaced" if several else "is replaced"
                elif not begun:
                    ends = "never begin" if several else "never begins"
                yield self._said(f"{self.terms.nouns(alike)} {ends}{under}", change.citation)
        for begun, alike in _by_begin(moved):
            several = self.terms.are_several(alike)
            lasts = "now last" if several else "now lasts"
            if not begun:
                lasts = "are to last" if several else "is to last"
            yield self._said(
                f"{self.terms.nouns(alike)} {lasts}{until(change)}{under}", change.citation
            )
        yield from self._overtaken(change)

    def _overtaken(self, change: Change) -> Iterator[BriefSentence]:
        """Yield the terms of which a change concluded later holds instead."""
        overtaken = overtaken_by(*self._about(change))
        terms = {
            term.id: term for amendment in self._standing.amendments for term in amendment.terms
        }
        for by in dict.fromkeys(later.id for later in overtaken.values()):
            nouns = self.terms.nouns(
                [terms[name] for name in overtaken if overtaken[name].id == by]
            )
            yield self._said(
                f"The end of {nouns} stays as {by} sets it, which was concluded later",
                change.citation,
            )

    def ended(self, change: Change) -> list[TermState]:
        """Return the terms that a change ends, as they were before."""
        return self._changed(change, change.ends)

    def _changed(self, change: Change, names: Collection[str]) -> list[TermState]:
        """Return those of the named terms that a change has an effect on, as they were before."""
        changed = changed_by(*self._about(change)).intersection(names)
        return [state for state in self._states_before() if state.term.id in changed]

    def _about(
        self, change: Change
    ) -> tuple[Agreement, FactRegister, dict[str, str], Change, KnownAt]:
        """Return what the effect of a change is asked of: where it holds, as known at the point."""
        side = self.after
        readings = {**side.readings, **change.under}
        return self._standing, side.facts.known(side.known_at), readings, change, side.known_at

    @property
    def _standing(self) -> Agreement:
        """Return the text up to this amendment as if nothing rescinded it."""
        amendments = [
            msgspec.structs.replace(
                amendment,
                changes=tuple(self._without_rescinding(change) for change in amendment.changes),
            )
            for amendment in self.after.agreement.amendments
        ]
        return msgspec.structs.replace(self.after.agreement, amendments=tuple(amendments))

    def _without_rescinding(self, change: Change) -> Change:
        others = tuple(name for name in change.rescinds if name != self.amendment.id)
        return msgspec.structs.replace(change, rescinds=others)

    def _states_before(self) -> list[TermState]:
        """Return each term of the text without the amendment as it was on the amendment's day."""
        side = self.before
        return in_force(
            side.agreement,
            side.facts.known(side.known_at),
            side.as_of,
            side.known_at,
            side.readings,
        ).terms


def _by_begin(states: Iterable[TermState]) -> Iterator[tuple[bool, list[AnyTerm]]]:
    """Yield the terms that have begun, with True, and then those that have not, with False."""
    terms_of = {True: list[AnyTerm](), False: list[AnyTerm]()}
    for state in states:
        terms_of[state.begin <= state.as_of].append(state.term)
    yield from ((begun, terms) for begun, terms in terms_of.items() if terms)
