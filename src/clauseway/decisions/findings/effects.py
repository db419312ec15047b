"""Find for each term a question whose answer it changes: outcome, reasons or conditions.

A term is tried in every legal position in which it stands or has ended, and there on every
combination that is told apart: the answer is compared with that of the same agreement without the term. This is
done as the register stands, at each point of knowledge and under every reading, and again as if
nothing had been recorded but the events that the term waits for. A right may stand by until an
event ends what forbids it, so each term without an effect so far is tried once more with the events
that may come (see `coming`). Where no answer changes, the term has no effect.

A question whose outcome changes says more than one whose reasons change. Where the first question
of a term is of the second sort, one of the first may be looked for in every other legal position,
with all that is known, under the default readings and those under which the term stands.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from datetime import date
from itertools import islice
from itertools import product as every
from math import prod

import msgspec

from clauseway.agreement import Agreement, FactRegister, Precedence, TermState
from clauseway.agreement.language.definitions import Event
from clauseway.agreement.language.terms import (
    ANY_SEGMENT,
    EXCLUSIVE_SUFFIX,
    AnyTerm,
    Inoperative,
)
from clauseway.catalog import Catalog
from clauseway.decisions.asking import find_answer
from clauseway.decisions.case import Case, Finding
from clauseway.decisions.decision import Decision, Outcome
from clauseway.decisions.engine import decide_act
from clauseway.decisions.findings.coming import (
    bears_on,
    by_supposition,
    position_of,
    supposed_event,
    supposing,
)
from clauseway.decisions.question import Question
from clauseway.decisions.reach import Act
from clauseway.decisions.tables.decision_table import DecisionTable, Sheet
from clauseway.values import KnownAt

# Combinations of readings multiply. A text with more has enough to fix in the first of them.
READINGS_MAX = 256


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A question whose answer a term changes, and its outcome with the term and without it.

    `alone` is true where nothing counts as recorded but `supposed`; otherwise that is added to the
    register. Answers of equal outcome differ in their reasons or conditions.
    """

    term: str
    question: Question
    alone: bool
    supposed: tuple[str, ...]
    outcome: Outcome
    without: Outcome

    @property
    def changes_outcome(self) -> bool:
        return self.outcome != self.without


def effects(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, *, outcomes: bool = False
) -> dict[str, Effect]:
    """Return an effect of each term that has one, by the term's id.

    Terms of the kinds that decide nothing have none. With `outcomes`, a question whose outcome
    changes is looked for in every legal position, which takes about ten times as long.
    """
    search = _Search(agreement, catalog)
    search.among(_Knowledge(facts, False, ()))
    for supposed in search.awaited():
        register = supposing(supposed, agreement, catalog, FactRegister())
        search.among(_Knowledge(register, True, supposed))
    search.whatever_comes(facts)
    if outcomes:
        search.outcomes(_Knowledge(facts, False, ()))
    return search.effects


def choices_of_readings(agreement: Agreement) -> Iterator[Mapping[str, str]]:
    """Yield the first `READINGS_MAX` choices of readings, the defaults first."""
    readings = agreement.readings.values()
    for choice in islice(every(*(reading.options for reading in readings)), READINGS_MAX):
        yield dict(zip(agreement.readings, choice, strict=True))


def readings_named(agreement: Agreement) -> Iterator[Mapping[str, str]]:
    """Yield the default readings, and those under which single terms stand."""
    default = agreement.default_readings()
    under = [{}, *(term.under for amendment in agreement.amendments for term in amendment.terms)]
    seen: list[Mapping[str, str]] = []
    for options in under:
        if options not in seen:
            seen.append(options)
            yield {**default, **options}


def choices_left_out(agreement: Agreement) -> int:
    """Return how many choices of readings there are beyond `READINGS_MAX`."""
    choices = prod(len(reading.options) for reading in agreement.readings.values())
    return max(0, choices - READINGS_MAX)


def without_term(agreement: Agreement, term: str) -> Agreement:
    """Return the agreement as if a term had never been written, nor the exclusivity it wrote."""
    gone = _with_exclusivity(term)
    return msgspec.structs.replace(
        agreement,
        amendments=tuple(
            msgspec.structs.replace(
                amendment, terms=tuple(other for other in amendment.terms if other.id not in gone)
            )
            for amendment in agreement.amendments
        ),
    )


def _with_exclusivity(term: str) -> frozenset[str]:
    return frozenset({term, f"{term}{EXCLUSIVE_SUFFIX}"})


def differ(answer: Decision | Finding, other: Decision | Finding) -> bool:
    """Return whether two answers differ in outcome, reasons or conditions."""
    return (answer.outcome, answer.reasons, answer.conditions) != (
        other.outcome,
        other.reasons,
        other.conditions,
    )


class _Knowledge(msgspec.Struct, frozen=True):
    """A register to try terms with: the recorded one, or none, with supposed facts added."""

    facts: FactRegister
    alone: bool
    supposed: tuple[str, ...]


class _Search:
    """The effects that were seen so far, and the terms of which none was."""

    def __init__(self, agreement: Agreement, catalog: Catalog) -> None:
        self._agreement, self._catalog = agreement, catalog
        self._pending: dict[str, AnyTerm] = {
            term.id: term
            for amendment in agreement.amendments
            for term in amendment.terms
            if not isinstance(term, Inoperative)
        }
        # Of each term, the places of its amendment in the agreement and of the term in that.
        self._places = {
            term.id: (number, place)
            for number, amendment in enumerate(agreement.amendments)
            for place, term in enumerate(amendment.terms)
        }
        self._without_terms = tuple(
            msgspec.structs.replace(amendment, terms=()) for amendment in agreement.amendments
        )
        announced = sorted({amendment.known for amendment in agreement.amendments}, reverse=True)
        self._points = (KnownAt.everything(), *announced)
        self._tried: set[Hashable] = set()
        # Terms with sheets in which no finding is another without the term.
        self._without_difference: set[Hashable] = set()
        self.effects: dict[str, Effect] = {}

    def awaited(self) -> list[tuple[str, ...]]:
        """Return the sets of supposed facts that let terms without an effect so far begin."""
        return list(dict.fromkeys(map(self._awaited_by, self._pending.values())))

    def _awaited_by(self, term: AnyTerm) -> tuple[str, ...]:
        named = dict.fromkeys(event for event in (term.from_, term.while_) if event)
        recorded = (_recorded_first(event, self._agreement.events) for event in named)
        return tuple(
            supposed_event(event, term.begins) for event in dict.fromkeys(recorded) if event
        )

    def among(self, knowledge: _Knowledge) -> None:
        """Look for effects at every point of knowledge, under each choice of readings."""
        for known_at in self._points:
            for chosen in choices_of_readings(self._agreement):
                if not self._pending:
                    return
                self._under(knowledge, known_at, chosen)

    def whatever_comes(self, facts: FactRegister) -> None:
        """Look for effects of the terms without one so far, with the events that may come.

        With all that is known, and what was known at first of an amendment rescinded since.
        """
        points = [KnownAt.everything(), *self._rescinded()]
        coming = by_supposition(self._agreement, self._catalog, self._pending.values())
        for supposed, terms in coming.items():
            register = supposing(supposed, self._agreement, self._catalog, facts)
            knowledge = _Knowledge(register, False, supposed)
            for known_at, readings in every(points, readings_named(self._agreement)):
                pending = [term for term in terms if term.id in self._pending]
                about = frozenset().union(*(bears_on(self._catalog, term) for term in pending))
                if pending:
                    self._under(knowledge, known_at, readings, about=about)

    def _rescinded(self) -> list[KnownAt]:
        """Return when the amendments became known that have been rescinded since."""
        rescinded = self._agreement.ever_rescinded
        amendments = self._agreement.amendments
        return [amendment.known for amendment in amendments if amendment.id in rescinded]

    def outcomes(self, knowledge: _Knowledge) -> None:
        """Look for a question whose outcome changes, for terms with an effect that has none."""
        self._pending = {
            term.id: term
            for amendment in self._agreement.amendments
            for term in amendment.terms
            if term.id in self.effects and not self.effects[term.id].changes_outcome
        }
        choices: list[dict[str, str]] = []
        for term in self._pending.values():
            under = {**self._agreement.default_readings(), **term.under}
            choices += [under] if under not in choices else []
        for chosen in choices:
            self._under(knowledge, KnownAt.everything(), chosen, outcomes_alone=True)

    def _under(
        self,
        knowledge: _Knowledge,
        known_at: KnownAt,
        readings: Mapping[str, str],
        *,
        outcomes_alone: bool = False,
        about: Collection[str] | None = None,
    ) -> None:
        """Try the terms without an effect so far in every legal position.

        Of products named by `about` alone, only in those that were not tried before.
        """
        table = DecisionTable(self._agreement, self._catalog, knowledge.facts, known_at, readings)
        for sheet in table.sheets(about):
            if not self._pending:
                return
            states = sheet.case.force.states
            folded = {term.id for state in states for term in (state.term, state.right) if term}
            findings: dict[Act, Finding] = {}
            for term in folded.intersection(self._pending):
                if about is not None and self._has_tried(term, sheet):
                    continue
                if (term, _deciding(sheet)) in self._without_difference:
                    continue
                effect = self._effect(
                    term,
                    table,
                    sheet,
                    findings,
                    knowledge,
                    known_at,
                    readings,
                    outcomes_alone=outcomes_alone,
                )
                if effect is None or (outcomes_alone and not effect.changes_outcome):
                    continue
                del self._pending[term]
                self.effects[term] = effect

    def _has_tried(self, term: str, sheet: Sheet) -> bool:
        """Return whether a term was tried before in the legal position of a sheet."""
        case = (term, position_of(sheet))
        if case in self._tried:
            return True
        self._tried.add(case)
        return False

    def _effect(
        self,
        term: str,
        table: DecisionTable,
        sheet: Sheet,
        findings: dict[Act, Finding],
        knowledge: _Knowledge,
        known_at: KnownAt,
        readings: Mapping[str, str],
        *,
        outcomes_alone: bool,
    ) -> Effect | None:
        """Return a question of a position whose answer the term changes; None if there is none.

        A question whose outcome changes goes before others, or is looked for alone. `findings`
        keeps the findings with the term, which are those of every other term of the sheet too.
        """
        effect = None
        no_difference = True
        without = _without(sheet.case, term)
        for act in sheet.acts:
            finding = findings.get(act)
            if finding is None:
                finding = findings[act] = decide_act(sheet.case, act)
            other_finding = decide_act(without, act)
            if finding == other_finding:
                continue
            no_difference = False
            if (outcomes_alone or effect) and finding.outcome == other_finding.outcome:
                continue
            question = _question(act, sheet.day, known_at, readings)
            # A sheet leaves out ended terms that others cover, so both are decided on the text.
            agreement = self._kept_to(table.terms_on(question.action, question.product))
            answer = self._answer(agreement, knowledge, question)
            other = self._answer(without_term(agreement, term), knowledge, question)
            # Where another party sells, its sale may decide, whatever the term says of the act.
            if differ(answer, other):
                effect = Effect(
                    term=term,
                    question=question,
                    alone=knowledge.alone,
                    supposed=knowledge.supposed,
                    outcome=answer.outcome,
                    without=other.outcome,
                )
                if effect.changes_outcome:
                    break
        if no_difference:
            self._without_difference.add((term, _deciding(sheet)))
        return effect

    def _kept_to(self, names: Collection[str]) -> Agreement:
        """Return the agreement with some of its terms alone."""
        kept: dict[int, list[AnyTerm]] = defaultdict(list)
        for number, place in sorted(self._places[name] for name in names):
            kept[number].append(self._agreement.amendments[number].terms[place])
        amendments = [*self._without_terms]
        for number, terms in kept.items():
            amendments[number] = msgspec.structs.replace(amendments[number], terms=tuple(terms))
        return msgspec.structs.replace(self._agreement, amendments=tuple(amendments))

    def _answer(self, agreement: Agreement, knowledge: _Knowledge, question: Question) -> Finding:
        return find_answer(agreement, self._catalog, knowledge.facts, question)


def _deciding(sheet: Sheet) -> Hashable:
    """Return all that the engine reads of a sheet: equal for sheets with equal findings.

    Points of knowledge and readings that change nothing in a sheet are left out. Ship-first is the
    only term in a sheet that is read under the readings of the question.
    """
    case = sheet.case
    readings = case.question.readings if case.states(Precedence) else {}
    return (
        case.question.action,
        sheet.for_another,
        tuple(sheet.acts),
        sheet.day,
        case.force.amendments,
        tuple(map(_read_of, case.force.states)),
        case.facts.facts,
        tuple(sorted(readings.items())),
    )


def _read_of(state: TermState) -> Hashable:
    right = state.right.id if state.right else ""
    began, ended = (state.begin, state.begun_by), (state.end, state.ended_by, state.event)
    return (state.term.id, right, state.order, state.paused, began, ended)


def _without(case: Case, term: str) -> Case:
    gone = _with_exclusivity(term)
    kept = tuple(state for state in case.force.states if state.term.id not in gone)
    force = msgspec.structs.replace(case.force, states=kept)
    return Case.of(case.agreement, case.catalog, force, case.facts, case.question)


def _question(act: Act, as_of: date, known_at: KnownAt, readings: Mapping[str, str]) -> Question:
    names = act.named() | {
        "seller": act.seller or act.party,
        "segment": act.segment or ANY_SEGMENT,
    }
    return Question(**names, as_of=as_of, known_at=known_at, readings=readings)


def _recorded_first(event: str, events: Mapping[str, Event]) -> str:
    """Return the recorded event that lets an event come about; empty where a fixed day does."""
    while event in events and events[event].after:
        event = events[event].after
    return event if event not in events or events[event].recorded else ""
