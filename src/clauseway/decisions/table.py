"""Decisions ahead of time: a right over time, and a table over many questions (a dictionary and a bisection)."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date

import msgspec

from clauseway.agreement import Agreement, FactRegister, boundaries
from clauseway.catalog import Catalog
from clauseway.decisions.decision import Decision
from clauseway.decisions.engine import decide
from clauseway.decisions.question import Question
from clauseway.values import FOREVER

# action, party, to, product, cloud, segment
TableKey = tuple[str, str, str, str, str, str]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """The days `begin` ≤ day < `end` on which a question has one answer."""

    begin: date
    end: date
    decision: Decision


def timeline(agreement: Agreement, catalog: Catalog, facts: FactRegister, question: Question) -> tuple[Span, ...]:
    """The answers to a question over all days, as known at its `known_at`; its own `as_of` is left aside.

    The first span begins with the first day on which anything can change; before it, nothing is stated.
    """
    days = boundaries(agreement, facts, question.known_at)
    spans: list[Span] = []
    for begin, end in zip(days, [*days[1:], FOREVER], strict=True):
        decision = decide(agreement, catalog, facts, msgspec.structs.replace(question, as_of=begin))
        if spans and _same(spans[-1].decision, decision):
            spans[-1] = msgspec.structs.replace(spans[-1], end=end)
        else:
            spans.append(Span(begin=begin, end=end, decision=decision))
    return tuple(spans)


def _same(one: Decision, other: Decision) -> bool:
    return (one.outcome, one.reasons, one.conditions) == (other.outcome, other.reasons, other.conditions)


class DecisionTable(msgspec.Struct, frozen=True):
    """Answers compiled for one point of knowledge and one choice of readings. Built by `compile_table`."""

    rows: Mapping[TableKey, tuple[tuple[date, ...], tuple[Decision, ...]]]

    def look_up(self, key: TableKey, as_of: date) -> Decision | None:
        """The decision in force on a day; None where the key was not compiled or the day lies before every boundary."""
        row = self.rows.get(key)
        if row is None:
            return None
        index = bisect_right(row[0], as_of) - 1
        return row[1][index] if index >= 0 else None


def compile_table(
    agreement: Agreement, catalog: Catalog, facts: FactRegister, questions: Iterable[Question]
) -> DecisionTable:
    """Compile the answers to `questions`; each one's `as_of` is left aside."""
    rows = {}
    for question in questions:
        spans = timeline(agreement, catalog, facts, question)
        key = (question.action, question.party, question.to, question.product, question.cloud, question.segment)
        rows[key] = (tuple(span.begin for span in spans), tuple(span.decision for span in spans))
    return DecisionTable(rows)
