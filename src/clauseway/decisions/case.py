"""A case holds everything that an answer may rest on; a finding is a part of an answer.

`combined` makes one finding of two.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

import msgspec

from clauseway.agreement import Agreement, FactRegister, InForce, Ownership, TermState
from clauseway.agreement.language.terms import AnyTerm, OfProducts
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Condition, Outcome, Reason
from clauseway.decisions.givers import Givers
from clauseway.decisions.question import Question
from clauseway.decisions.reach import NOWHERE, Act, TermComparison, outside
from clauseway.values import Citation

# Placeholders for names from the question, filled in when the answer is given. A finding with
# placeholders holds for every question that no term distinguishes from the one decided.
# No document can contain them, because YAML refuses the NUL character.
ASKED_PARTY, ASKED_PRODUCT, ASKED_SEGMENT = "\0party", "\0product", "\0segment"

# A term, document and line: the place that a reason cites.
CitedPlace = tuple[str, str, int]


class Finding(msgspec.Struct, frozen=True):
    """A part of an answer. Findings combine: one that forbids decides alone, conditions add up."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    conditions: tuple[Condition, ...] = ()


class Case(msgspec.Struct, frozen=True):
    """Everything that an answer may rest on. `by_kind` groups the states of `force` by the class of
    their terms, in the order of `force`.

    `lineages`, `owners` and `by_name` keep results that many acts ask for.
    """

    agreement: Agreement
    catalog: Catalog
    force: InForce
    facts: FactRegister
    question: Question
    by_kind: Mapping[type, Sequence[TermState]]
    givers: Givers
    # A trace collects every comparison of a term here; None where no trace is wanted.
    comparisons: list[TermComparison] | None = None
    # The events that began the terms in force, by the places of the terms.
    begun_by: Mapping[CitedPlace, Citation] = msgspec.field(default_factory=dict)
    # The changes that keep terms in force past their own ends, by the places of the terms.
    prolonged: Mapping[CitedPlace, Reason] = msgspec.field(default_factory=dict)
    lineages: dict[str, frozenset[str]] = msgspec.field(default_factory=dict)
    owners: dict[str, str | None] = msgspec.field(default_factory=dict)
    # By kind of term and name of a product or class: the states of the terms that name it, each
    # with its place among the states of the kind.
    by_name: dict[type, dict[str, list[tuple[int, TermState]]]] = msgspec.field(
        default_factory=dict
    )

    @classmethod
    def of(
        cls,
        agreement: Agreement,
        catalog: Catalog,
        force: InForce,
        facts: FactRegister,
        question: Question,
        comparisons: list[TermComparison] | None = None,
    ) -> "Case":
        by_kind: dict[type, list[TermState]] = {}
        for state in force.states:
            by_kind.setdefault(type(state.term), []).append(state)
        begun_by = {
            _place(state.term.citation): state.begun_by
            for state in force.states
            if state.begun_by is not None and state.in_force
        }
        return cls(
            agreement=agreement,
            catalog=catalog,
            force=force,
            facts=facts,
            question=question,
            by_kind=by_kind,
            givers=Givers.of(force.states),
            comparisons=comparisons,
            begun_by=begun_by,
            prolonged=dict(prolonging(force.states, question.as_of)),
        )

    @property
    def as_of(self) -> date:
        return self.question.as_of

    def states(self, kind: type) -> Sequence[TermState]:
        """Return the states of all terms of a kind, whether in force or not."""
        return self.by_kind.get(kind, ())

    def states_about(self, kind: type[OfProducts], product: str) -> Sequence[TermState]:
        """Return the states of a kind whose terms name the product or a class that it lies in. A
        trace compares every term, so it gets all states of the kind."""
        if self.comparisons is not None:
            return self.states(kind)
        if kind not in self.by_name:
            self.by_name[kind] = _by_name(self.states(kind))
        named = self.by_name[kind]
        # A term may name both a product and its class.
        placed = {at: state for name in self.lineage(product) for at, state in named.get(name, ())}
        return [placed[at] for at in sorted(placed)]

    def belongs(self, product: str, scope: Iterable[str]) -> bool:
        """Return whether a scope names the product or a class that it lies in."""
        return not self.lineage(product).isdisjoint(scope)

    def lineage(self, product: str) -> frozenset[str]:
        """Return a product with every class that it lies in."""
        if product not in self.lineages:
            self.lineages[product] = self.catalog.lineage(product)
        return self.lineages[product]

    def reaches(self, term: AnyTerm, act: Act) -> bool:
        """Return whether an act lies within a term's scope, and note the comparison for a trace."""
        where = outside(term, act, self.belongs)
        if self.comparisons is not None:
            self.comparisons.append(TermComparison(term.id, act, where))
        return where == NOWHERE

    def cite_rule(self, name: str, note: str = "") -> Reason:
        return Reason.of("rule", self.agreement.rules[name], note)

    def commentary(self, bears_on: str) -> tuple[Reason, ...]:
        """Return the comments on a subject, of the amendments in force."""
        return tuple(
            Reason.of("commentary", comment.citation)
            for comment in self.agreement.commentary
            if comment.bears_on == bears_on and comment.from_amendment in self.force.amendments
        )

    def owner(self, act: Act) -> str | None:
        """Return who owns what the act is about; None where no ownership in force names it."""
        if self.comparisons is None and act.product in self.owners:
            return self.owners[act.product]
        owner = next(
            (
                state.term.party
                for state in self.states_about(Ownership, act.product)
                if state.in_force
                and isinstance(state.term, Ownership)
                and self.reaches(state.term, act)
            ),
            None,
        )
        self.owners[act.product] = owner
        return owner


def _by_name(states: Iterable[TermState]) -> dict[str, list[tuple[int, TermState]]]:
    """Group states by the products and classes that their terms name, each with its place."""
    named: dict[str, list[tuple[int, TermState]]] = {}
    for at, state in enumerate(states):
        assert isinstance(state.term, OfProducts)
        for name in state.term.products:
            named.setdefault(name, []).append((at, state))
    return named


def not_named(agreement: Agreement, name: str) -> Reason:
    """Return the reason why an agreement states nothing about a name that it does not define.

    The rule `unstated` is about days, so its text is not quoted. The place cited is the first line
    of the definitions of classes.
    """
    rule = agreement.rules["unstated"]
    lines = [line for (section, _), line in agreement.lines.items() if section == "classes"]
    cited = msgspec.structs.replace(
        rule,
        line=min(lines, default=rule.line),
        text="The agreement defines no such name, so no term of it says anything about it.",
    )
    return Reason.of("rule", cited, f"it does not name {name}")


def combined(first: Finding, second: Finding) -> Finding:
    """Combine two findings that must both hold: a prohibition decides alone, conditions add up."""
    forbidding = [finding for finding in (first, second) if finding.outcome is Outcome.FORBIDDEN]
    if forbidding:
        return Finding(
            Outcome.FORBIDDEN, tuple(reason for finding in forbidding for reason in finding.reasons)
        )
    unstated = [finding for finding in (first, second) if finding.outcome is Outcome.UNSTATED]
    if unstated:
        return unstated[0]
    # Both findings may hold the same condition.
    conditions = tuple(dict.fromkeys(first.conditions + second.conditions))
    outcome = Outcome.CONDITIONAL if conditions else Outcome.PERMITTED
    # A conditional answer cites only the findings that are conditional themselves.
    deciding = (
        [finding for finding in (first, second) if finding.outcome is outcome]
        if conditions
        else [first, second]
    )
    return Finding(
        outcome, tuple(reason for finding in deciding for reason in finding.reasons), conditions
    )


def cite_events_and_changes(case: Case, finding: Finding) -> Finding:
    """Return the finding, with what a term's own text does not say cited after the term: the change
    that keeps it in force past its own end, and the event that began it."""
    if not (case.prolonged or case.begun_by):
        return finding
    reasons: list[Reason] = []
    for reason in finding.reasons:
        reasons.append(reason)
        place = _place(reason)
        if place in case.prolonged and reason.bearing != "ended":
            reasons.append(case.prolonged[place])
        if place in case.begun_by:
            reasons.append(Reason.of("meets", case.begun_by[place]))
    return msgspec.structs.replace(finding, reasons=tuple(reasons))


def prolonging(states: Iterable[TermState], as_of: date) -> Iterator[tuple[CitedPlace, Reason]]:
    """Yield the place of each term that a change keeps in force past its own end, with that change."""
    for state in states:
        by = [change.by for change in state.prolonged if change.since <= as_of]
        if by and state.in_force:
            note = f"by its own text {state.term.id} would have ended on {state.prolonged[0].since}"
            yield _place(state.term.citation), Reason.of("prolongs", by[-1], note)


def _place(cited: Reason | Citation) -> CitedPlace:
    return cited.term, cited.document, cited.line


def named(finding: Finding, act: Act) -> Finding:
    """Return the finding with its placeholders replaced by the names of the act."""

    def fill(text: str) -> str:
        return (
            text.replace(ASKED_PARTY, act.party)
            .replace(ASKED_PRODUCT, act.product)
            .replace(ASKED_SEGMENT, act.segment)
        )

    return Finding(
        finding.outcome,
        tuple(
            msgspec.structs.replace(reason, note=fill(reason.note))
            if "\0" in reason.note
            else reason
            for reason in finding.reasons
        ),
        tuple(
            Condition(
                term=condition.term,
                text=fill(condition.text),
                needs=tuple(map(fill, condition.needs)),
            )
            for condition in finding.conditions
        ),
    )


def once(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Return the reasons without repetitions: each place once, where it is first cited."""
    seen: dict[CitedPlace, Reason] = {}
    for reason in reasons:
        seen.setdefault(_place(reason), reason)
    return tuple(seen.values())
