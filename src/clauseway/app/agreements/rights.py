"""Rights over time for the first page: every right of interest, decided by all agreements
together."""

from datetime import date

import msgspec

from clauseway.agreement import Amendment
from clauseway.app.opening.several import OpenAgreements, Opened, each_of
from clauseway.decisions import AnsweredStretch, Question
from clauseway.values import KnownAt
from clauseway.web.contexts import Timeline, TimelineMark, TimelineRow, TimelineStretch
from clauseway.wording.decided import NOT_YET, deciding_clause
from clauseway.wording.names import Wording
from clauseway.wording.outcomes import outcome_word
from clauseway.wording.rights import Right, rights_of_interest

# The picture begins with the year of the first amendment and ends where the last known end lies
# well inside.
_YEARS_AFTER_LAST_END = 1


def timeline_of_rights(opened: Opened, known_at: KnownAt) -> Timeline:
    """Return every right of interest from the agreements' first year to after their last known
    end, decided by all of them."""
    words = Wording.of(each_of(opened))
    # Several agreements may be about one right: it is shown once.
    rights = {
        words.right(right.question): right
        for asked in each_of(opened)
        for right in rights_of_interest(asked, known_at)
    }
    rows = [(right, _spans(opened, right.question)) for right in rights.values()]
    amendments = [
        amendment for asked in each_of(opened) for amendment in asked.agreement.amendments
    ]
    begin, end = _extent(rows, amendments)
    return Timeline(
        begin=begin,
        end=end,
        rows=tuple(
            TimelineRow(
                label=label,
                stretches=_stretches(right.question.action, spans, begin, end),
            )
            for label, (right, spans) in zip(rights, rows, strict=True)
        ),
        marks=tuple(
            TimelineMark(day=amendment.effective, label=amendment.id, text=amendment.title)
            for amendment in amendments
            if amendment.known <= known_at
        ),
    )


def _spans(opened: Opened, question: Question) -> tuple[AnsweredStretch, ...]:
    """Return the answers over all days. Each of several agreements is read by its own defaults."""
    if isinstance(opened, OpenAgreements):
        return opened.timeline(msgspec.structs.replace(question, readings={}))
    return opened.timeline(question)


def _extent(
    rows: list[tuple[Right, tuple[AnsweredStretch, ...]]], amendments: list[Amendment]
) -> tuple[date, date]:
    begins = [amendment.effective for amendment in amendments]
    days = [span.begin for _, spans in rows for span in spans] + begins
    return date(min(days).year, 1, 1), date(max(days).year + _YEARS_AFTER_LAST_END, 1, 1)


def _stretches(
    action: str, spans: tuple[AnsweredStretch, ...], begin: date, end: date
) -> tuple[TimelineStretch, ...]:
    before = [TimelineStretch(begin=begin, end=spans[0].begin, outcome="unstated", why=NOT_YET)]
    drawn = before if spans[0].begin > begin else []
    return tuple(drawn) + tuple(
        TimelineStretch(
            begin=max(span.begin, begin),
            end=min(span.end, end),
            outcome=span.decision.outcome.value,
            word=outcome_word(span.decision.outcome, action),
            why=deciding_clause(span.decision),
        )
        for span in spans
        if span.begin < end
    )
