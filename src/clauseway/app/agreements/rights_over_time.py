"""Rights over time for the pages, decided by all agreements together: every right of interest, or
the one that is asked about."""

from collections.abc import Sequence
from datetime import date

import msgspec

from clauseway.agreement import Amendment
from clauseway.app.agreements.passages import clause_of, document_name
from clauseway.app.opening.several import OpenAgreements, Opened, each_of
from clauseway.decisions import AnsweredStretch, Question
from clauseway.values import KnownAt
from clauseway.web.contexts import Timeline, TimelineMark, TimelineRow, TimelineStretch
from clauseway.wording.decided import NOT_YET, deciding_clause
from clauseway.wording.names import Wording
from clauseway.wording.outcomes import outcome_word
from clauseway.wording.shown_rights import rights_of_interest

# The picture begins with the year of the first amendment and ends where the last known end lies
# well inside.
_YEARS_AFTER_LAST_END = 1
_YEARS_ASKED_AHEAD = 5
# A day further away than that is not drawn: a picture of so many years shows none of them.
_YEARS_AROUND = 30
# A right's words, its action, and its answers over all days.
_Row = tuple[str, str, tuple[AnsweredStretch, ...]]


def timeline_of_rights(opened: Opened, known_at: KnownAt) -> Timeline:
    """Return every right of interest from the agreements' first year to after their last known
    end, decided by all of them."""
    words = Wording.of(each_of(opened))
    # Several agreements may be about one right: it is shown once.
    rights = {
        words.right(right): right
        for asked in each_of(opened)
        for right in rights_of_interest(asked, known_at)
    }
    timelines = opened.timelines(_as_read(opened, right) for right in rights.values())
    rows = [
        (label, right.action, spans)
        for (label, right), spans in zip(rights.items(), timelines, strict=True)
    ]
    return _drawn(opened, words, rows, known_at)


def timeline_of_question(opened: Opened, question: Question) -> Timeline:
    """Return a question's answers over the same days, and some around the day that it asks for, as
    known at its `known_at`."""
    words = Wording.of(each_of(opened))
    row = (words.right(question), question.action, opened.timeline(question))
    return _drawn(opened, words, [row], question.known_at, question.as_of)


def _drawn(
    opened: Opened,
    words: Wording,
    rows: Sequence[_Row],
    known_at: KnownAt,
    asked: date | None = None,
) -> Timeline:
    several = each_of(opened)
    amendments = [amendment for each in several for amendment in each.agreement.amendments]
    begin, end = _extent([spans for _, _, spans in rows], amendments, asked)
    return Timeline(
        begin=begin,
        end=end,
        rows=tuple(
            TimelineRow(label=label, stretches=_stretches(opened, words, action, spans, begin, end))
            for label, action, spans in rows
        ),
        marks=tuple(
            TimelineMark(
                day=amendment.effective,
                label=amendment.id,
                text=amendment.title,
                document=document_name(opened, each, amendment.document),
            )
            for each in several
            for amendment in each.agreement.amendments
            if amendment.known <= known_at
        ),
    )


def _as_read(opened: Opened, question: Question) -> Question:
    """Return a question as the agreements are asked it: each of several by its own defaults."""
    if isinstance(opened, OpenAgreements):
        return msgspec.structs.replace(question, readings={})
    return question


def _extent(
    rows: Sequence[Sequence[AnsweredStretch]],
    amendments: Sequence[Amendment],
    asked: date | None,
) -> tuple[date, date]:
    begins = [amendment.effective for amendment in amendments]
    days = [span.begin for spans in rows for span in spans] + begins
    first, last = min(days).year, max(days).year + _YEARS_AFTER_LAST_END
    if asked is not None and first - _YEARS_AROUND <= asked.year <= last + _YEARS_AROUND:
        first, last = min(first, asked.year), max(last, asked.year + _YEARS_ASKED_AHEAD)
    return date(first, 1, 1), date(last, 1, 1)


def _stretches(
    opened: Opened,
    words: Wording,
    action: str,
    spans: tuple[AnsweredStretch, ...],
    begin: date,
    end: date,
) -> tuple[TimelineStretch, ...]:
    # Where nothing was known, nothing is stated on any day.
    first = spans[0].begin if spans else end
    before = [TimelineStretch(begin=begin, end=first, outcome="unstated", why=NOT_YET)]
    drawn = before if first > begin else []
    return tuple(drawn) + tuple(
        TimelineStretch(
            begin=max(span.begin, begin),
            end=min(span.end, end),
            outcome=span.decision.outcome.value,
            word=outcome_word(span.decision.outcome, action),
            why=deciding_clause(words, span.decision),
            citations=(clause_of(opened, span.decision.main_reason),),
        )
        for span in spans
        if span.begin < end
    )
