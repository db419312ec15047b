"""The effects of an amendment, clause by clause: ends, moved days, beginnings, and prose."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

import msgspec

from clauseway.agreement import Agreement, Amendment, Change, Clause, TermState, in_force
from clauseway.agreement.force.fold import ChangeEffects
from clauseway.agreement.language.terms import EXCLUSIVE_SUFFIX, AnyTerm
from clauseway.decisions.searches.compare import Side
from clauseway.values import FOREVER, Citation
from clauseway.wording.brief_page import BriefSentence
from clauseway.wording.names import Wording, listed, sentence
from clauseway.wording.terms import TermWording, sentences, under_readings, until


class AmendmentSentences(msgspec.Struct, frozen=True):
    """One amendment's clauses, told in one agreement's names: the text without it and with it."""

    words: Wording
    terms: TermWording
    amendment: Amendment
    before: Side
    after: Side

    def clause_by_clause(self, rescinded: Collection[str] = ()) -> Iterator[BriefSentence]:
        """Clause by clause: what it ends or moves, what it begins, what it leaves to prose.

        `rescinded` are the amendments of which the page says elsewhere that this one rescinds them.
        """
        clauses = self.amendment.clauses
        # A clause reaches to the next one; the last one has no end, for which any later line will
        # do.
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
                yield from self._rescinds(change, rescinded)
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
        again = self._effects(change).ends_set_again(change)
        ended, sets = self.ended(change), self._changed(change, change.sets_end)
        moved = [state for state in sets if state.term.id not in again]
        for kind in dict.fromkeys(state.term.kind for state in ended):
            of_kind = [state for state in ended if state.term.kind == kind]
            # Terms that began before the day end, the others never begin: a sentence for each.
            for begun, alike in _by_begin(of_kind, lambda state: state.begin < state.as_of):
                several = self.terms.are_several(alike)
                ends = "end" if several else "ends"
                # The same clause brings a term of this kind, which takes the place of the ended
                # ones.
                if kind in replaced_by:
                    ends = "are replaced" if several else "is replaced"
                elif not begun:
                    ends = "never begin" if several else "never begins"
                yield self._said(f"{self.terms.nouns(alike)} {ends}{under}", change.citation)
        for begun, alike in _by_begin(moved, lambda state: state.begin <= state.as_of):
            several = self.terms.are_several(alike)
            lasts = "now last" if several else "now lasts"
            if not begun:
                lasts = "are to last" if several else "is to last"
            yield self._said(
                f"{self.terms.nouns(alike)} {lasts}{until(change)}{under}", change.citation
            )
        # An end that is set to the day it had already changes nothing, and is said as such.
        if kept := [state.term for state in sets if state.term.id in again]:
            last = "last" if self.terms.are_several(kept) else "lasts"
            yield self._said(
                f"{self.terms.nouns(kept)} {last}{until(change)}, as before{under}", change.citation
            )
        yield from self._to_come(change)
        yield from self._overtaken(change)
        yield from self._left(change)

    def _to_come(self, change: Change) -> Iterator[BriefSentence]:
        """Yield the terms, of amendments that take effect later, that a change ends or moves."""
        whole = self._as_if_standing(self.words.agreements[0])
        changed = self._effects(change, whole).changed_by(change)
        terms = [
            term
            for amendment in whole.amendments
            for term in amendment.terms
            if term.id in changed and term.id not in self._written
        ]
        under = under_readings(change.under)
        for names, singular, plural in (
            (change.ends, "never begins", "never begin"),
            (change.sets_end, f"is to last{until(change)}", f"are to last{until(change)}"),
        ):
            if named := [term for term in terms if term.id in names]:
                does = plural if self.terms.are_several(named) else singular
                yield self._said(f"{self.terms.nouns(named)} {does}{under}", change.citation)

    def _rescinds(self, change: Change, but: Collection[str]) -> Iterator[BriefSentence]:
        for name in change.rescinds:
            if name not in but:
                under = under_readings(change.under)
                yield self._said(f"{name} is rescinded{under}", change.citation)

    def _overtaken(self, change: Change) -> Iterator[BriefSentence]:
        """Yield the terms of which a change concluded later holds instead."""
        overtaken = self._effects(change).overtaken_by(change)
        terms = self._written
        for by in dict.fromkeys(later.id for later in overtaken.values()):
            nouns = self.terms.nouns(
                [terms[name] for name in overtaken if overtaken[name].id == by]
            )
            yield self._said(
                f"The end of {nouns} stays as {by} sets it, which was concluded later",
                change.citation,
            )

    def _left(self, change: Change) -> Iterator[BriefSentence]:
        """Yield the terms that a change names and leaves as they are, by the reason for it."""
        effects = self._effects(change)
        concerned = {*effects.changed_by(change), *effects.overtaken_by(change)}
        by_words: dict[str, list[AnyTerm]] = {}
        for name in dict.fromkeys((*change.ends, *change.sets_end)):
            if name in self._written and name not in concerned:
                term = self._written[name]
                by_words.setdefault(self._left_as_it_is(change, term), []).append(term)
        only = f", which stands {_only_under(change.under)}," if change.under else ""
        for words, terms in by_words.items():
            text = words.format(self.terms.nouns(terms))
            yield self._said(f"{change.id}{only} {text}", change.citation)

    def _left_as_it_is(self, change: Change, term: AnyTerm) -> str:
        """Say that a change does nothing to a term, and why; `{}` stands for the term."""
        nothing = "changes nothing of {}"
        if not term.under.items() <= {**self.after.readings, **change.under}.items():
            if all(change.under.get(name, option) == option for name, option in term.under.items()):
                # It may have an effect under the term's reading, by which the page is not told.
                return f"concerns {{}} {_only_under(term.under)}"
            return f"{nothing}, which stands {_only_under(term.under)}"
        if term.id in self._effects(change).ends_with_right(change):
            return f"{nothing}, which ends with {term.id.removesuffix(EXCLUSIVE_SUFFIX)}"
        if any(state.term.id == term.id and state.ended for state in self._states_before()):
            return f"{nothing}, which had ended"
        return nothing

    def ended(self, change: Change) -> list[TermState]:
        """Return the terms that a change ends, as they were before."""
        return self._changed(change, change.ends)

    def _changed(self, change: Change, names: Collection[str]) -> list[TermState]:
        """Return those of the named terms that a change has an effect on, as they were before."""
        changed = self._effects(change).changed_by(change).intersection(names)
        return [state for state in self._states_before() if state.term.id in changed]

    def _effects(self, change: Change, text: Agreement | None = None) -> ChangeEffects:
        """Return the effects of changes where this one holds, as known at the point; by default
        in the text up to this amendment."""
        side = self.after
        readings = {**side.readings, **change.under}
        facts = side.facts.known(side.known_at)
        return ChangeEffects(text or self._standing, facts, readings, side.known_at)

    @property
    def _standing(self) -> Agreement:
        """Return the text up to this amendment as if nothing rescinded it."""
        return self._as_if_standing(self.after.agreement)

    def _as_if_standing(self, agreement: Agreement) -> Agreement:
        """Return a text as if nothing rescinded this amendment."""
        amendments = [
            msgspec.structs.replace(
                amendment,
                changes=tuple(self._without_rescinding(change) for change in amendment.changes),
            )
            for amendment in agreement.amendments
        ]
        return msgspec.structs.replace(agreement, amendments=tuple(amendments))

    @property
    def _written(self) -> dict[str, AnyTerm]:
        """Return the terms of the text up to this amendment, by their ids."""
        return self._standing.terms_by_id

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


def _only_under(readings: Mapping[str, str]) -> str:
    return f"only if {listed([f'{name}={option}' for name, option in sorted(readings.items())])}"


def _by_begin(
    states: Iterable[TermState], has_begun: Callable[[TermState], bool]
) -> Iterator[tuple[bool, list[AnyTerm]]]:
    """Yield the terms that have begun, with True, and then those that have not, with False."""
    terms_of = {True: list[AnyTerm](), False: list[AnyTerm]()}
    for state in states:
        terms_of[has_begun(state)].append(state.term)
    yield from ((begun, terms) for begun, terms in terms_of.items() if terms)
