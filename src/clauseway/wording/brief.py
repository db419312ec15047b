"""An amendment on a page: what happened, why it matters, key numbers, quick answers; each sentence
with its place.

Every sentence is made from the amendment's terms and changes, from the answers that change, and
from the facts; nothing is written about one agreement in particular. Prose that a term does not
state (an undertaking) is quoted.

    brief_of(asked, name, sides, comparison, known_at)   → Brief
    markdown_of(brief)                                   → the page (`brief_page`)
"""

import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

import msgspec

from clauseway.agreement import (
    Agreement,
    Amendment,
    Change,
    Choice,
    Commitment,
    RevenueShareTerm,
    Stake,
)
from clauseway.agreement.force.fold import rescissions
from clauseway.agreement.language.definitions import OURS
from clauseway.agreement.language.shares import CORRECTION
from clauseway.agreement.language.terms import AnyTerm
from clauseway.decisions import (
    AnsweredStretch,
    AskedAgreement,
    Decision,
    Outcome,
    Question,
    Reason,
    Tables,
)
from clauseway.decisions.searches.compare import Side, deciding
from clauseway.decisions.tables.domain import all_questions
from clauseway.values import FOREVER, KnownAt, counted
from clauseway.wording.amendment_effects import AmendmentSentences
from clauseway.wording.brief_page import Brief, BriefSentence, Number, QuickAnswer
from clauseway.wording.changes import (
    ChangeGroup,
    ChangeSentences,
    Comparison,
    Owners,
)
from clauseway.wording.facts import fact_in_words
from clauseway.wording.names import Wording, passages_of
from clauseway.wording.outcomes import outcome_word
from clauseway.wording.rescissions import was_in_effect
from clauseway.wording.shown_rights import rights_of_interest
from clauseway.wording.terms import TermWording, sentences

# A page is read; the rest is a command away.
_CHANGES_MAX = 8
_PERIODS = {
    "month": "a month",
    "quarter": "a quarter",
    "year": "a year",
    "total": "in total",
}
_YES = {
    Outcome.PERMITTED: "yes",
    Outcome.FORBIDDEN: "no",
    Outcome.CONDITIONAL: "on a condition",
    Outcome.UNSTATED: "nothing stated",
}


def brief_of(
    asked: AskedAgreement,
    name: str,
    sides: tuple[Side, Side],
    comparison: Comparison,
    facts_known_at: KnownAt,
) -> Brief:
    """Return an amendment in brief.

    `sides` are the text without the amendment and with it. `comparison` holds what changes between
    them on their day, or on the first later day on which something does. Facts since the amendment
    are those known at `facts_known_at`.
    """
    before, after = sides
    [amendment] = [each for each in after.agreement.amendments if each.id == name]
    words = Wording.of([asked])
    sentences_ = _BriefSentences(
        words, TermWording(words, after.readings), amendment, before, after
    )
    # The knowledge of each side by its day, compiled once for all questions.
    without, with_it = (
        Tables(side.agreement, asked.catalog, side.facts.known(side.known_at)) for side in sides
    )
    clauses = tuple(sentences_.what_happened.clause_by_clause(sentences_.rescinded(comparison)))
    page = Brief(
        amendment=amendment.id,
        title=amendment.title,
        agreement=asked.agreement.title,
        announced=amendment.announced,
        effective=amendment.effective,
        known_at=str(after.known_at),
        rescinded_by=sentences_.rescinded_by(comparison),
        what_happened=(
            *sentences_.rescissions(comparison, rest=bool(clauses)),
            *clauses,
        ),
        why_it_matters=(*sentences_.changes(comparison), *sentences_.readings(with_it)),
        key_numbers=tuple(sentences_.numbers(comparison)),
        quick_answers=tuple(sentences_.answers(asked, without, with_it)),
        since_then=tuple(sentences_.since_then(asked, facts_known_at)),
        next_amendment=next(
            (later.id for later in sentences_.later(asked.agreement, facts_known_at)), ""
        ),
        sources={},
    )
    return msgspec.structs.replace(page, sources=_cited(page, asked.agreement))


def _cited(page: Brief, agreement: Agreement) -> dict[str, str]:
    places = [said.place for said in (*page.what_happened, *page.why_it_matters, *page.since_then)]
    places += [number.place for number in page.key_numbers] + [
        answer.place for answer in page.quick_answers
    ]
    # Behind the semicolon of a place stand its sources.
    cited = {source for place in places for source in place.partition("; ")[2].split(", ")}
    return {
        source: "; ".join([text, *_passages(agreement, page.amendment, source)])
        for source, text in agreement.sources.items()
        if source in cited
    }


def _passages(agreement: Agreement, amendment: str, source: str) -> Iterable[str]:
    """Return the passages of a source on which an amendment's terms and changes rest, each once."""
    [own] = [amendment_ for amendment_ in agreement.amendments if amendment_.id == amendment]
    timed: tuple[AnyTerm | Change, ...] = (*own.terms, *own.changes)
    named = [
        passage
        for item in timed
        for passage in passages_of(item.citation.source, source, agreement.sources)
    ]
    return dict.fromkeys(named)


class _BriefSentences(msgspec.Struct, frozen=True):
    """One amendment, told in one agreement's names: the text without it and with it."""

    words: Wording
    terms: TermWording
    amendment: Amendment
    before: Side
    after: Side

    # Amendments that never take effect

    def rescinded_by(self, comparison: Comparison) -> str:
        """Return the amendment that rescinds this one; empty if none does."""
        return next(
            (each.by for each in comparison.rescissions if each.amendment == self.amendment.id), ""
        )

    def rescinded(self, comparison: Comparison) -> set[str]:
        """Return the amendments that this one rescinds."""
        return {each.amendment for each in comparison.rescissions if each.by == self.amendment.id}

    def rescissions(self, comparison: Comparison, *, rest: bool) -> Iterator[BriefSentence]:
        """Yield what this amendment rescinds, and what rescinds it.

        `rest`: its own clauses are told behind them.
        """
        for each in comparison.rescissions:
            follows = rest and each.amendment == self.amendment.id
            would = " What follows here is what it would have done." if follows else ""
            yield BriefSentence(text=f"{each.sentence}.{would}", place=each.place)

    @property
    def what_happened(self) -> AmendmentSentences:
        return AmendmentSentences(self.words, self.terms, self.amendment, self.before, self.after)

    # Why it matters

    def changes(self, comparison: Comparison) -> Iterator[BriefSentence]:
        """Yield the answers that change, the widest of the named parties' first; if none does, those
        of the first later day with such answers."""
        if comparison.later is not None:
            yield BriefSentence(text=comparison.unchanged, place=self._whole())
            # The later day is where the amendment matters, so all of it stands here.
            yield from self._groups(comparison.later.groups)
            return
        yield from self._groups(comparison.groups[:_CHANGES_MAX])
        left = comparison.groups[_CHANGES_MAX:]
        if left:
            count = sum(group.count for group in left)
            also = (
                "One more group of answers changes"
                if len(left) == 1
                else f"{len(left)} more groups of answers change"
            )
            command = f"clauseway agreement diff {self.amendment.id}"
            yield BriefSentence(
                text=f"{also} ({counted(count, 'combination')}); `{command}` tells all.",
                place=self._whole(),
            )
        if not comparison.groups:
            by = self.rescinded_by(comparison)
            why = f", for {by} rescinds it" if by else ""
            yield BriefSentence(
                text=f"Nothing that can be asked is answered otherwise{why}.", place=self._whole()
            )

    def _groups(self, groups: Iterable[ChangeGroup]) -> Iterator[BriefSentence]:
        for group in groups:
            # The page says in words of its own what was answered without the amendment.
            text = group.without_outcomes
            yield BriefSentence(
                text=f"{text}. Without {self.amendment.id}: "
                f"{outcome_word(group.before, group.actions)}.",
                place=group.place,
            )

    def _whole(self) -> str:
        """Return the place of what rests on the amendment as a whole."""
        return f"{self.amendment.id}, {self.amendment.document}"

    def readings(self, tables: Tables) -> Iterator[BriefSentence]:
        """Yield the readings that the amendment's own words leave open, and how many answers each
        turns; `tables` are those of the text with the amendment."""
        names, chosen = self._readings_open(), self.after.readings
        if not names:
            return
        questions = [
            *all_questions(
                self.after.agreement,
                self.words.catalog,
                as_of=self.after.as_of,
                known_at=self.after.known_at,
            )
        ]
        outcomes = self._outcomes(tables, questions, chosen)
        for name in names:
            reading = self.after.agreement.readings[name]
            for option in reading.options:
                if option != chosen[name]:
                    read = self._outcomes(tables, questions, {**chosen, name: option})
                    turned = sum(map(operator.ne, outcomes, read))
                    says = sentences(reading.citation.text)
                    place = self.words.place(reading.citation)
                    yield BriefSentence(
                        text=f"{says} {_turned(turned, f'{name}={option}', chosen[name])}",
                        place=place,
                    )

    def _outcomes(
        self, tables: Tables, questions: Iterable[Question], readings: Mapping[str, str]
    ) -> list[Outcome]:
        table = tables.table(self.after.known_at, readings)
        return [table.answer(question).outcome for question in questions]

    def _readings_open(self) -> list[str]:
        timed: tuple[AnyTerm | Change, ...] = (*self.amendment.terms, *self.amendment.changes)
        named = [name for item in timed for name in item.under]
        choices = [
            getattr(term, field)
            for term in self.amendment.terms
            for field in term.__struct_fields__
        ]
        named += [
            choice.reading for choice in choices if isinstance(choice, Choice) and choice.reading
        ]
        return sorted(set(named))

    # Key numbers

    def numbers(self, comparison: Comparison) -> Iterator[Number]:
        """Days, counts, holdings, and the figures that its terms rest on."""
        whole, read = self._whole(), self.after.readings.items()
        yield Number(what="announced", value=str(self.amendment.announced), place=whole)
        effective = str(self.amendment.effective)
        if by := self.rescinded_by(comparison):
            effective = f"never (rescinded by {by}; {self._was_to_be(by)})"
        yield Number(what="in effect from", value=effective, place=whole)
        # Terms written under another option of a reading do not begin.
        begun = sum(1 for term in self.amendment.terms if term.under.items() <= read)
        # A rescinded amendment never takes effect: it begins and ends nothing.
        begun = 0 if by else begun
        yield Number(what="terms that begin", value=str(begun), place=whole)
        # Counted once each: two changes of one amendment may end the same term.
        ended = {
            state.term.id
            for change in self.amendment.changes
            if change.under.items() <= read
            for state in self.what_happened.ended(change)
        }
        count = 0 if by else len(ended)
        yield Number(what="terms that end", value=str(count), place=whole)
        of_day = f" of {comparison.later.after.as_of}" if comparison.later is not None else ""
        changed = comparison.shown.changed
        yield Number(what=f"answers{of_day} that change", value=f"{len(changed):,}", place=whole)
        turned = Counter((change.before, change.after) for change in changed)
        for (before, after), number in sorted(turned.items(), key=lambda item: -item[1]):
            yield Number(what=f"of these, {before} → {after}", value=f"{number:,}", place=whole)
        for term in self.amendment.terms:
            yield from self._figures_of(term)
        yield from self._context()

    def _was_to_be(self, by: str) -> str:
        """Return from when this amendment was in effect before another rescinded it, or to be."""
        effective = self.amendment.effective
        amendments = self.after.agreement.amendments
        [rescinding] = [amendment for amendment in amendments if amendment.id == by]
        if was_in_effect(self.amendment, rescinding):
            return f"it was {effective}, as known before"
        return f"it was to be {effective}"

    def _context(self) -> Iterator[Number]:
        """Yield the reports around the agreement since the amendment before this one."""
        *earlier, _ = self.after.agreement.amendments
        since = earlier[-1].effective if earlier else date.min
        for note in self.after.agreement.context:
            if since < note.day <= self.amendment.effective:
                title = sentences(note.citation.text).removesuffix(".")
                place = self.words.place(note.citation)
                yield Number(
                    what=f"{note.day}: {title}",
                    value=note.value or "no effect on any answer",
                    place=place,
                )

    def _figures_of(self, term: AnyTerm) -> Iterator[Number]:
        place, words = self.words.place(term.citation), self.words
        if term.through is not None:
            yield Number(
                what=f"last day of {self.terms.nouns([term])}", value=str(term.through), place=place
            )
        match term:
            case Stake():
                label = f"{words.name(term.holder)}'s stake in {words.name(term.of)}"
                yield Number(what=label, value=term.about, place=place)
            case Commitment():
                label = f"what {words.name(term.party)} commits to {words.name(term.to)}"
                yield Number(what=label, value=term.about, place=place)
            case RevenueShareTerm():
                direction = f"{words.name(term.payer)} to {words.name(term.payee)}"
                bands = [
                    (f", above {_readable(tier.above)}", self._figure(tier.rate))
                    for tier in term.tiers
                ]
                rates = [("", self._figure(term.rate)), *bands]
                for above, rate in rates:
                    yield Number(what=f"percentage, {direction}{above}", value=rate, place=place)
                if term.cap:
                    yield Number(
                        what=f"total cap, {direction}", value=self._figure(term.cap), place=place
                    )
                for floor in term.floors:
                    least = f"minimum {_PERIODS[floor.per]}, {direction}"
                    yield Number(what=least, value=self._figure(floor.amount), place=place)
                for label, value in self._on_payment(term):
                    yield Number(what=f"{label}, {direction}", value=value, place=place)

    def _on_payment(self, term: RevenueShareTerm) -> Iterator[tuple[str, str]]:
        """Yield what a share states of its payment, beside its rates, cap and minimums."""
        if term.cap_opening:
            yield "counted toward the cap before", self._figure(term.cap_opening)
        if term.withholding:
            yield "withheld as tax", self._figure(term.withholding)
        if term.payment is not None:
            days = counted(term.payment.due_days, "day")
            yield "payment due", f"{days} after each {term.payment.every}"
        if term.late != CORRECTION:
            yield "late usage", f"a {term.late} of the closed period"

    def _figure(self, name: str) -> str:
        figure = self.after.agreement.figures.get(name)
        if figure is None:
            return _readable(name)  # the term states it
        if figure.standing == "reported":
            return f"not disclosed; {_readable(figure.value)} was reported (`{name}`)"
        if figure.standing == "placeholder":
            return (
                f"not disclosed; no value was reported, {_readable(figure.value)} is a "
                f"placeholder (`{name}`)"
            )
        stated = f"{_readable(figure.value)}, as the definitions say"
        if set(self.words.sources(figure.citation.source)) <= {OURS}:
            return f"{stated}; no source is named (`{name}`)"
        return f"{stated}, by {figure.citation.source} (`{name}`)"

    # Quick answers

    def answers(
        self, asked: AskedAgreement, before: Tables, after: Tables
    ) -> Iterator[QuickAnswer]:
        """Yield the agreement's main rights, where this amendment changes or decides the answer, by
        the tables of both sides."""
        text = AskedAgreement(self.after.agreement, asked.catalog, asked.facts)
        for right in rights_of_interest(text, self.after.known_at):
            question = msgspec.structs.replace(
                right, as_of=self.after.as_of, readings=self.after.readings
            )
            was, now = before.decide(question), after.decide(question)
            lasted, lasts = self._lasting(before, question), self._lasting(after, question)
            because = deciding(self.after.agreement, question.party, now.reasons)
            changes = (was.outcome, lasted) != (now.outcome, lasts)
            if was.outcome == now.outcome and lasted != lasts:
                because = self._end_set(after, question) or because
            if changes or because.amendment == self.amendment.id:
                yield QuickAnswer(
                    question=self.words.may(question),
                    answer=self._answer(question.product, (was, lasted), (now, lasts)),
                    outcome=now.outcome,
                    before=was.outcome,
                    place=self.words.place(because),
                )

    def _lasting(self, tables: Tables, question: Question) -> str:
        """Return how long a side's answer lasts, as known on that day; empty if it has no end."""
        *_, changed = self._until_changed(tables, question)
        if changed is None:
            return ""
        then = {Outcome.PERMITTED: "yes", Outcome.FORBIDDEN: "no"}.get(
            changed.decision.outcome, "otherwise"
        )
        return f", through {changed.begin - timedelta(days=1)}; then {then}"

    def _end_set(self, tables: Tables, question: Question) -> Reason | None:
        """Return the change of this amendment that moves the day on which an answer ends; None if
        the answer ends otherwise."""
        spans = self._until_changed(tables, question)
        return next(
            (
                reason
                for span in spans
                if span is not None
                for reason in span.decision.reasons
                if reason.bearing in ("prolongs", "ended") and reason.amendment == self.amendment.id
            ),
            None,
        )

    def _until_changed(
        self, tables: Tables, question: Question
    ) -> Iterator[AnsweredStretch | None]:
        """Yield the stretches of a side's answer from its day on, and at last the one that is
        answered otherwise, as known on that day; at last None if the answer has no end."""
        spans = tables.timeline(question)
        now = [span.decision.outcome for span in spans if span.begin <= question.as_of < span.end]
        for span in spans:
            if span.end > question.as_of:
                yield span
                if span.begin > question.as_of and [span.decision.outcome] != now:
                    return
        yield None

    def _answer(
        self, product: str, before: tuple[Decision, str], after: tuple[Decision, str]
    ) -> str:
        """Return an answer in words. Each side is its decision and how long that lasts."""
        (was, lasted), (now, lasts) = before, after
        telling = ChangeSentences(self.words, self.after.readings, Owners.of_side(self.after))
        conditions = telling.conditions(now, product)
        answer = {
            Outcome.PERMITTED: "Yes",
            Outcome.FORBIDDEN: "No",
            Outcome.CONDITIONAL: f"Only if {conditions}",
            Outcome.UNSTATED: "Nothing is stated",
        }[now.outcome]
        without = self.amendment.id
        if was.outcome != now.outcome:
            otherwise = f" Without {without}: {_YES[was.outcome]}."
        elif lasted != lasts:
            until = lasted or ", without an end date"
            otherwise = f" Without {without}: {_YES[was.outcome]}{until}."
        else:
            otherwise = f" The same without {without}."
        turns = "".join(
            f" With {turn.reading}={turn.option}: {_YES[turn.outcome]}." for turn in now.turns_on
        )
        return f"{answer}{lasts}.{otherwise}{turns}"

    # Since then

    def since_then(self, asked: AskedAgreement, known_at: KnownAt) -> Iterator[BriefSentence]:
        """Yield the facts known of the days from this amendment to the next, without what was
        corrected."""
        later = self.later(asked.agreement, known_at)
        until = later[0].effective if later else FOREVER
        for fact in sorted(asked.facts.known(known_at).facts, key=lambda fact: fact.effective):
            if self.amendment.effective <= fact.effective < until and (
                text := fact_in_words(self.words, fact)
            ):
                yield BriefSentence(
                    text=f"On {fact.effective} {text}.", place=self.words.place(fact.citation)
                )

    def later(self, agreement: Agreement, known_at: KnownAt) -> list[Amendment]:
        """Return the amendments that take effect later than this one, the next first."""
        rescinded = rescissions(agreement, known_at, self.after.readings)
        return [
            later
            for later in agreement.amendments
            if later.effective > self.amendment.effective and later.id not in rescinded
        ]


def _turned(count: int, read: str, chosen: str) -> str:
    if not count:
        return f"No answer of that day turns on it ({read} instead of {chosen})."
    answers = (
        "one answer of that day would be another"
        if count == 1
        else f"{count:,} answers of that day would be others"
    )
    return f"With {read} instead of {chosen}, {answers}."


def _readable(value: str) -> str:
    """Return a value with long numbers in groups of three digits; decimals stay as they are."""
    return re.sub(r"(?<![\d.])\d{5,}", lambda digits: f"{int(digits[0]):,}", value)
