"""Rights over the years: as rows to read, and as a picture.

rights_over_time(opened, [question], known_at)                 rows to read
svg_of(view)                                                   the picture (SVG)
"""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from clauseway.agreement import Amendment, boundaries
from clauseway.agreement.language.actions import SHARE
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, each_of, title_of
from clauseway.decisions import (
    AnsweredStretch,
    Outcome,
    Question,
    check_readings,
    check_readings_together,
)
from clauseway.values import FOREVER, InvalidInput, KnownAt
from clauseway.web.contexts import Timeline, TimelineMark, TimelineRow, TimelineStretch
from clauseway.web.pictures import rights_svg
from clauseway.wording.changes import ChangeSentences, Owners
from clauseway.wording.decided import NOT_YET
from clauseway.wording.names import Wording
from clauseway.wording.outcomes import is_due, outcome_word
from clauseway.wording.shown_rights import rights_of_interest

LAST_YEAR = 2033
# The picture names the day of a point of knowledge and leaves its time out.
_DAY = len("2026-04-27")


class RightSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The days `begin` ≤ day < `end` on which one answer holds, the clause that decides it, and
    why."""

    begin: date
    end: date
    outcome: Outcome
    clause: str
    why: str
    # Of a revenue share alone: whether it is due.
    due: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def word(self) -> str:
        """Return the outcome as people read it."""
        return outcome_word(self.outcome, "" if isinstance(self.due, msgspec.UnsetType) else SHARE)


class RightOverTime(msgspec.Struct, frozen=True, kw_only=True):
    """A right and its answers, in order of time and without gaps."""

    right: str
    spans: tuple[RightSpan, ...]


class RightsOverTime(msgspec.Struct, frozen=True, kw_only=True):
    """Rights from `begin` up to, not including, `end`, as known at a point; `amendments` are
    (id, day, title)."""

    title: str
    known_at: str
    begin: date
    end: date
    rights: tuple[RightOverTime, ...]
    amendments: tuple[tuple[str, date, str], ...]


def main_rights(opened: Opened, known_at: KnownAt, reading: Mapping[str, str]) -> list[Question]:
    """Return the rights that the agreement is about, or each of several, under chosen readings."""
    if isinstance(opened, OpenAgreement):
        readings: Mapping[str, str] = check_readings(opened.agreement, reading)
    else:
        check_readings_together(opened.each, reading)
        readings = reading
    rights = [right for asked in each_of(opened) for right in rights_of_interest(asked, known_at)]
    asked = [msgspec.structs.replace(question, readings=readings) for question in rights]
    # Several agreements may be about one right: it is shown once.
    return [question for at, question in enumerate(asked) if question not in asked[:at]]


def rights_over_time(
    opened: Opened,
    rights: Sequence[Question],
    known_at: KnownAt,
    first_year: int | None = None,
    last_year: int | None = None,
) -> RightsOverTime:
    """Return rights from the beginning of one year to the end of another; by default from the first
    amendment's year to 2033."""
    begin, end = _extent(opened, known_at, first_year, last_year)
    words = Wording.of(each_of(opened))
    return RightsOverTime(
        title=title_of(opened),
        known_at=str(known_at),
        begin=begin,
        end=end,
        rights=tuple(
            RightOverTime(
                right=words.right(right),
                spans=_spans(
                    _Telling(words, each_of(opened), right),
                    stretches,
                    begin,
                    end,
                    right.action,
                ),
            )
            for right, stretches in zip(rights, opened.timelines(rights), strict=True)
        ),
        amendments=tuple(
            (_amendment(opened, asked, amendment), amendment.effective, amendment.title)
            for asked in each_of(opened)
            for amendment in asked.agreement.amendments
            if amendment.known <= known_at
        ),
    )


def _amendment(opened: Opened, asked: OpenAgreement, amendment: Amendment) -> str:
    """Return an amendment's name; of several agreements, behind the id of its own."""
    return amendment.id if opened is asked else f"{asked.agreement.id} {amendment.id}"


def _extent(
    opened: Opened, known_at: KnownAt, first_year: int | None, last_year: int | None
) -> tuple[date, date]:
    days = [
        day
        for asked in each_of(opened)
        for day in boundaries(asked.agreement, asked.facts, known_at)
    ]
    begins = [
        amendment.effective for asked in each_of(opened) for amendment in asked.agreement.amendments
    ]
    first = first_year if first_year is not None else min([*days, *begins]).year
    last = (
        last_year
        if last_year is not None
        else max([LAST_YEAR, first, *(day.year for day in begins)])
    )
    if not date.min.year <= first <= last < FOREVER.year:
        raise InvalidInput.of(
            what=f"from {first} to {last} there are no years to draw",
            why=f"years run from {date.min.year} to {FOREVER.year - 1}, the earlier one first",
            where="--from, --until",
            remedy="Name two years, as --from 2023 --until 2033.",
        )
    return date(first, 1, 1), date(last + 1, 1, 1)


class _Telling(msgspec.Struct, frozen=True):
    """Says why a right stands as it does on a stretch of days."""

    words: Wording
    asked: Sequence[OpenAgreement]
    right: Question

    def why(self, span: AnsweredStretch) -> str:
        right = self.right
        owners = Owners.on(self.asked, span.begin, right.known_at, right.readings)
        return ChangeSentences(self.words, right.readings, owners).why(span.decision, right.product)


def _spans(
    telling: _Telling, spans: Sequence[AnsweredStretch], begin: date, end: date, action: str
) -> tuple[RightSpan, ...]:
    # Before the first stretch no amendment is in force.
    first = spans[0].begin if spans else end
    before = RightSpan(
        begin=begin,
        end=min(first, end),
        outcome=Outcome.UNSTATED,
        clause="",
        why=NOT_YET,
        due=_due(Outcome.UNSTATED, action),
    )
    right_spans = [before] if begin < first else []
    right_spans += [
        RightSpan(
            begin=max(span.begin, begin),
            end=min(span.end, end),
            outcome=span.decision.outcome,
            clause=telling.words.place(span.decision.main_reason),
            why=telling.why(span),
            due=_due(span.decision.outcome, action),
        )
        for span in spans
        if span.begin < end and span.end > begin
    ]
    return tuple(right_spans)


def _due(outcome: Outcome, action: str) -> bool | msgspec.UnsetType:
    due = is_due(outcome, action)
    return msgspec.UNSET if due is None else due


def svg_of(view: RightsOverTime) -> str:
    """Return the rights as a picture."""
    return rights_svg(view.title, view.known_at[:_DAY], _strip(view))


def _strip(view: RightsOverTime) -> Timeline:
    return Timeline(
        begin=view.begin,
        end=view.end,
        rows=tuple(
            TimelineRow(
                label=row.right,
                stretches=tuple(
                    TimelineStretch(
                        begin=span.begin,
                        end=span.end,
                        outcome=span.outcome.value,
                        word=span.word,
                        why=f"{span.why} {span.clause}",
                    )
                    for span in row.spans
                ),
            )
            for row in view.rights
        ),
        marks=tuple(
            TimelineMark(day=day, label=name, text=title) for name, day, title in view.amendments
        ),
    )
