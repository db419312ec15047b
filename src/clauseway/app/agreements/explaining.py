"""A decision explained, and one repeated from its receipt."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, each_of
from clauseway.decisions import Decision, Outcome, Question, Receipt
from clauseway.decisions.joint_answers import answer_of, in_their_order
from clauseway.decisions.question import QuestionRecord
from clauseway.decisions.searches.change import WouldChange, would_change_together
from clauseway.decisions.trace import Traced, trace, trace_together
from clauseway.values import InvalidInput, check_depth, check_names_once
from clauseway.wording.outcomes import is_due


class OwnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of one of several agreements, asked alone."""

    agreement: str
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.agreement}: {self.outcome}"


class Explanation(Decision, frozen=True, kw_only=True):
    """A decision with its question, what would change it and, where asked for, the trace of every
    term.

    Of several agreements asked together, `answers` holds each agreement's own answer.
    """

    question: QuestionRecord
    # Of a revenue share alone: whether it is due.
    due: bool | msgspec.UnsetType = msgspec.UNSET
    would_change: tuple[WouldChange, ...] = ()
    answers: tuple[OwnAnswer, ...] | msgspec.UnsetType = msgspec.UNSET
    trace: tuple[Traced, ...] | msgspec.UnsetType = msgspec.UNSET


class DecisionDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a repeated decision that differs from the recorded one."""

    what: str
    recorded: str
    now: str


class DecisionVerification(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of a recorded decision with the same question asked now.

    `question` is what was asked, and `outcome` the answer now. `notes` name edits that changed no
    answer.
    """

    same: bool
    question: QuestionRecord
    outcome: Outcome
    differences: tuple[DecisionDifference, ...]
    notes: tuple[DecisionDifference, ...]
    recorded: Receipt
    now: Receipt


def explain(
    opened: Opened,
    question: Question,
    *,
    suppositions: Iterable[str] = (),
    with_trace: bool = False,
) -> Explanation:
    """Answer a question and explain it.

    `opened` holds what is supposed already; `suppositions` says what that was.

    >>> from clauseway import explain, open_agreement
    >>> agreement = open_agreement()
    >>> question = agreement.question(
    ...     action="serve", party="openai", product="api.stateless", cloud="aws", as_of="2026-03-15"
    ... )
    >>> explained = explain(agreement, question)
    >>> print(explained.outcome, explained.reasons[0].document, explained.reasons[0].line)
    forbidden A4.md 20
    >>> for change in explained.would_change:
    ...     print(change.kind, change.as_of, change.suppose, change.outcome)
    later 2026-04-27 () conditional
    earlier 2023-01-22 () unstated
    fact None ('milestone=2026-03-15',) permitted
    """
    decision, agreements = opened.answer(question), each_of(opened)
    several, due = len(agreements) > 1, is_due(decision.outcome, question.action)
    return Explanation(
        **msgspec.structs.asdict(decision),
        question=QuestionRecord.of(question, suppositions),
        due=msgspec.UNSET if due is None else due,
        would_change=would_change_together(agreements, question, decision),
        answers=_own_answers(agreements, question) if several else msgspec.UNSET,
        trace=_trace(agreements, question, decision) if with_trace else msgspec.UNSET,
    )


def _own_answers(agreements: Sequence[OpenAgreement], question: Question) -> tuple[OwnAnswer, ...]:
    return tuple(
        OwnAnswer(agreement=asked.agreement.id, outcome=answer_of(asked, question).outcome)
        for asked in in_their_order(agreements)
    )


def _trace(
    agreements: Sequence[OpenAgreement], question: Question, decision: Decision
) -> tuple[Traced, ...]:
    if len(agreements) > 1:
        return trace_together(agreements, question)
    [asked] = agreements
    return trace(asked.agreement, asked.catalog, asked.facts, question, decision)


def read_explanation(where: str, written: bytes) -> Explanation:
    """Return a decision from the bytes that `decide --json` printed, or msgspec encoded.

    `where` is named in what is refused. Raise InvalidInput where it is not a decision.

    >>> import msgspec
    >>> from clauseway import explain, open_agreement, read_explanation
    >>> agreement = open_agreement()
    >>> question = agreement.question(
    ...     action="sell", party="openai", product="gpt-5.5", cloud="aws", as_of="2026-05-01"
    ... )
    >>> written = msgspec.json.encode(explain(agreement, question))
    >>> print(read_explanation("decision.json", written).outcome)
    permitted
    """
    try:
        check_depth(written)
        recorded = msgspec.json.decode(written, type=Explanation)
        check_names_once(written)
        # Read here, because its text is only parsed where it is asked for.
        _ = recorded.question.known_at
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidInput.of(
            what="not a recorded decision",
            why=str(error),
            where=where,
            remedy="Give what `clauseway decide --json` printed, whole.",
        ) from None
    return recorded


def verify(opened: Opened, recorded: Explanation) -> DecisionVerification:
    """Ask a recorded question again.

    Not compared is what a decision was explained with: `trace`, and `would_change`, which grows
    with what becomes known later. Raise InvalidInput where the opened agreements cannot be asked it.

    >>> from clauseway import explain, open_agreement, verify
    >>> agreement = open_agreement()
    >>> question = agreement.question(
    ...     action="sell", party="openai", product="gpt-5.5", cloud="aws", as_of="2026-05-01"
    ... )
    >>> print(verify(agreement, explain(agreement, question)).same)
    True
    """
    asked = recorded.question
    again, question = opened.asking(
        asked.suppositions,
        as_of=asked.as_of,
        known_at=asked.known_at,
        reading=asked.readings,
        **asked.given(),
    )
    now = again.answer(question)
    compared = [*_compared_parts(recorded, now), *_compared_beside(recorded, again, question, now)]
    differences = tuple(_differences(compared))
    # The text may be edited without a change of meaning: that is worth a note, and no difference.
    notes = tuple(
        _differences([("text of the agreement", recorded.receipt.agreement, now.receipt.agreement)])
    )
    return DecisionVerification(
        same=not differences,
        question=asked,
        outcome=now.outcome,
        differences=differences,
        notes=notes,
        recorded=recorded.receipt,
        now=now.receipt,
    )


def _compared_parts(recorded: Decision, now: Decision) -> list[tuple[str, object, object]]:
    """Return what must be the same for the decision to be the same, before and now."""
    # Clauses are quoted in reasons: where the text was edited since, only what is cited can be
    # compared.
    reasons: tuple[object, object] = (recorded.reasons, now.reasons)
    if recorded.receipt.agreement != now.receipt.agreement:
        reasons = (_cited(recorded), _cited(now))
    return [
        ("engine version", recorded.receipt.engine, now.receipt.engine),
        ("agreement", recorded.receipt.meaning, now.receipt.meaning),
        ("facts", recorded.receipt.facts, now.receipt.facts),
        ("outcome", recorded.outcome, now.outcome),
        ("reasons", *reasons),
        ("conditions", recorded.conditions, now.conditions),
        ("turns on", recorded.turns_on, now.turns_on),
        ("as of", (recorded.as_of, recorded.receipt.as_of), (now.as_of, now.receipt.as_of)),
        (
            "known at",
            (recorded.known_at, recorded.receipt.known_at),
            (now.known_at, now.receipt.known_at),
        ),
        ("receipt", recorded.receipt.id, now.receipt.id),
    ]


def _compared_beside(
    recorded: Explanation, again: Opened, question: Question, now: Decision
) -> Iterator[tuple[str, object, object]]:
    """Yield what is recorded beside the decision and follows from it, before and now; what was
    left out says nothing."""
    if recorded.due is not msgspec.UNSET:
        yield "due", recorded.due, is_due(now.outcome, question.action)
    if recorded.answers is not msgspec.UNSET:
        agreements = each_of(again)
        several = len(agreements) > 1
        yield "answers", recorded.answers, _own_answers(agreements, question) if several else ()


def _cited(decision: Decision) -> tuple[str, ...]:
    """Return which terms and facts a decision cites, and how each bears on it: its words may be
    edited."""
    return tuple(
        " ".join(
            filter(
                None,
                (
                    f"{reason.bearing}:",
                    reason.agreement,
                    reason.amendment,
                    reason.term,
                    reason.note,
                ),
            )
        )
        for reason in decision.reasons
    )


def _differences(compared: Iterable[tuple[str, object, object]]) -> Iterator[DecisionDifference]:
    for part, before, after in compared:
        if before != after:
            yield DecisionDifference(what=part, recorded=_shown(before), now=_shown(after))


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
