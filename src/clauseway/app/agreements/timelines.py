"""Rights over the years: as rows to read, and as a picture (SVG; PNG with the extra `charts`).

rights_over_time(opened, [question], known_at)                 rows to read
svg_of(view), png_of(svg)                                      the picture
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from html import escape

import msgspec

from clauseway.agreement import Amendment, boundaries
from clauseway.app.agreements.comparing import ChangeSentences
from clauseway.app.agreements.rights import rights_of_interest
from clauseway.app.agreements.wording import Wording
from clauseway.app.opening.library import OpenAgreement
from clauseway.app.opening.several import Opened, each_of
from clauseway.decisions import (
    Decision,
    Outcome,
    Question,
    Span,
    check_readings,
    check_readings_together,
)
from clauseway.values import FOREVER, InvalidInput, KnownAt, Problem
from clauseway.web import Timeline, TimelineMark, TimelineRow, TimelineSegment
from clauseway.web.timeline import BAR_PX, Bar, Drawn, Row, drawn_of

LAST_YEAR = 2033
_NOT_YET = "No amendment is in force yet."


class RightSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The days `begin` ≤ day < `end` on which one answer holds, the clause that decides it, and why."""

    begin: date
    end: date
    outcome: Outcome
    clause: str
    why: str


class RightOverTime(msgspec.Struct, frozen=True, kw_only=True):
    """A right and its answers, in order of time and without gaps."""

    right: str
    spans: tuple[RightSpan, ...]


class RightsOverTime(msgspec.Struct, frozen=True, kw_only=True):
    """Rights from `begin` up to, not including, `end`, as known at a point; `amendments` are (id, day, title)."""

    title: str
    known_at: str
    begin: date
    end: date
    rights: tuple[RightOverTime, ...]
    amendments: tuple[tuple[str, date, str], ...]


def main_rights(opened: Opened, known_at: KnownAt, reading: Mapping[str, str]) -> list[Question]:
    """The rights that the agreement is about, or each of several, under chosen readings."""
    if isinstance(opened, OpenAgreement):
        readings: Mapping[str, str] = check_readings(opened.agreement, reading)
    else:
        check_readings_together(opened.each, reading)
        readings = reading
    rights = [
        right.question for one in each_of(opened) for right in rights_of_interest(one, known_at)
    ]
    asked = [msgspec.structs.replace(question, readings=readings) for question in rights]
    return [question for at, question in enumerate(asked) if question not in asked[:at]]


def rights_over_time(
    opened: Opened,
    rights: Iterable[Question],
    known_at: KnownAt,
    first_year: int | None = None,
    last_year: int | None = None,
) -> RightsOverTime:
    """Rights from the begin of one year to the end of another; by default from the first amendment's year to 2033."""
    begin, end = _extent(opened, known_at, first_year, last_year)
    words = Wording.of(opened)
    return RightsOverTime(
        title=" · ".join(one.agreement.title for one in each_of(opened)),
        known_at=str(known_at),
        begin=begin,
        end=end,
        rights=tuple(
            RightOverTime(
                right=words.right(right),
                spans=_spans(
                    ChangeSentences(words, right.readings), opened.timeline(right), begin, end
                ),
            )
            for right in rights
        ),
        amendments=tuple(
            (_amendment(opened, one, amendment), amendment.effective, amendment.title)
            for one in each_of(opened)
            for amendment in one.agreement.amendments
            if amendment.known <= known_at
        ),
    )


def _amendment(opened: Opened, one: OpenAgreement, amendment: Amendment) -> str:
    """An amendment's name; of several agreements, behind the id of its own."""
    return amendment.id if opened is one else f"{one.agreement.id} {amendment.id}"


def _extent(
    opened: Opened, known_at: KnownAt, first_year: int | None, last_year: int | None
) -> tuple[date, date]:
    days = [
        day for one in each_of(opened) for day in boundaries(one.agreement, one.facts, known_at)
    ]
    begins = [
        amendment.effective for one in each_of(opened) for amendment in one.agreement.amendments
    ]
    first = first_year if first_year is not None else min([*days, *begins]).year
    last = (
        last_year
        if last_year is not None
        else max([LAST_YEAR, first, *(day.year for day in begins)])
    )
    if not date.min.year <= first <= last < FOREVER.year:
        raise InvalidInput(
            Problem(
                what=f"from {first} to {last} there are no years to draw",
                why=f"years run from {date.min.year} to {FOREVER.year - 1}, the earlier one first",
                where="--from, --to",
                todo="Name two years, as --from 2023 --to 2033.",
            )
        )
    return date(first, 1, 1), date(last + 1, 1, 1)


def _spans(
    telling: ChangeSentences, spans: Sequence[Span], begin: date, end: date
) -> tuple[RightSpan, ...]:
    first = spans[0].begin if spans else end
    before = RightSpan(
        begin=begin, end=min(first, end), outcome=Outcome.UNSTATED, clause="", why=_NOT_YET
    )
    told = [before] if begin < first else []
    told += [
        RightSpan(
            begin=max(span.begin, begin),
            end=min(span.end, end),
            outcome=span.decision.outcome,
            clause=telling.wording.place(span.decision.reasons[0]),
            why=_why(telling, span.decision),
        )
        for span in spans
        if span.begin < end and span.end > begin
    ]
    return tuple(told)


def _why(telling: ChangeSentences, decision: Decision) -> str:
    """The deciding clause's words, behind what it takes, and what they do not say, such as the day of an end."""
    conditions = ", and if ".join(
        telling.condition(condition.term) for condition in decision.conditions
    )
    only_if = f"Only if {conditions}: " if conditions else ""
    reason = decision.reasons[0]
    return f"{only_if}{reason.text}{reason.note and f' ({reason.note})'}"


# The picture

_WIDTH_PX = 1120
_MARGIN_PX = 28
_HEAD_PX = 66
_FOOT_PX = 44
# What an outcome's name needs within its bar.
_WORD_PX = 86
# The picture names the day of a point of knowledge and leaves its time out.
_DAY = len("2026-04-27")
# A year's label needs this much; where years are narrower, some go without.
_YEAR_PX = 40
_FONT = "DejaVu Sans, Liberation Sans, Arial, sans-serif"
_STYLE = f"""
text {{ font-family: {_FONT}; font-size: 13px; fill: #1e1d1a }}
.title {{ font-size: 18px; font-weight: bold }} .soft {{ font-size: 12px; fill: #625e55 }}
.word {{ font-size: 12px; fill: #ffffff }} .grid {{ stroke: #d8d3c6 }}
.mark {{ stroke: #7a2e1f; stroke-dasharray: 2 3 }} .mark-label {{ font-size: 12px; font-weight: bold; fill: #7a2e1f }}
.permitted, .forbidden, .conditional {{ stroke: #fbfaf6 }}
.permitted {{ fill: #1e6b62 }} .forbidden {{ fill: #9b3b2c }} .conditional {{ fill: #8a6110 }}
.unstated {{ fill: #fbfaf6; stroke: #8d887c; stroke-dasharray: 3 2 }}
"""
# Outcomes differ in texture too, for those who see no difference in colour.
_PATTERNS = """<defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<rect width="1.6" height="6" fill="#ffffff" fill-opacity="0.22"/></pattern>
<pattern id="dots" width="7" height="7" patternUnits="userSpaceOnUse">\
<circle cx="3.5" cy="3.5" r="1.3" fill="#ffffff" fill-opacity="0.3"/></pattern>
</defs>"""
_TEXTURES = {Outcome.FORBIDDEN: "hatch", Outcome.CONDITIONAL: "dots"}


def svg_of(view: RightsOverTime) -> str:
    """The picture: one bar per right, the amendments marked, a legend. Every bar's title says the same in words."""
    drawn = drawn_of(_strip(view), date.min)
    height = _HEAD_PX + drawn.height + _FOOT_PX
    years = f"{view.begin.year} to {view.end.year - 1}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH_PX}" height="{height}" '
            f'viewBox="0 0 {_WIDTH_PX} {height}" role="img">',
            f"<title>{escape(view.title)}, {years}</title>",
            f"<style>{_STYLE}</style>",
            _PATTERNS,
            f'<rect width="{_WIDTH_PX}" height="{height}" fill="#fbfaf6"/>',
            _text(_MARGIN_PX, 30, view.title, "title"),
            _text(
                _MARGIN_PX,
                50,
                f"Rights over time, {years}; known at {view.known_at[:_DAY]}",
                "soft",
            ),
            f'<g transform="translate({_MARGIN_PX},{_HEAD_PX})">',
            *_axis(drawn),
            *(line for row in drawn.rows for line in _row(row)),
            *(_text(_px(mark.x) + 3, mark.y, mark.label, "mark-label") for mark in drawn.marks),
            "</g>",
            *_legend(height - 18),
            "</svg>\n",
        ]
    )


def _strip(view: RightsOverTime) -> Timeline:
    return Timeline(
        begin=view.begin,
        end=view.end,
        rows=tuple(
            TimelineRow(
                label=row.right,
                segments=tuple(
                    TimelineSegment(
                        begin=span.begin,
                        end=span.end,
                        outcome=span.outcome.value,
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


def _px(percent: float) -> float:
    return round(percent / 100 * (_WIDTH_PX - 2 * _MARGIN_PX), 1)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(text)}</text>'


def _line(x: float, top: float, bottom: float, kind: str) -> str:
    return f'<line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}" class="{kind}"/>'


def _axis(drawn: Drawn) -> Iterable[str]:
    width = _px(drawn.years[1].x - drawn.years[0].x) if len(drawn.years) > 1 else _YEAR_PX
    step = max(1, -(-_YEAR_PX // max(1, int(width))))
    for index, year in enumerate(drawn.years):
        yield _line(_px(year.x), drawn.top, drawn.axis_y, "grid")
        if index % step == 0:
            yield _text(_px(year.x) + 2, drawn.axis_y + 17, year.label, "soft")
    for mark in drawn.marks:
        yield _line(_px(mark.x), mark.y - 10, drawn.axis_y, "mark")


def _row(row: Row) -> Iterable[str]:
    # Written twice: the first, thick and in the paper's colour, keeps lines off the second.
    yield (
        f'<text y="{row.label_y}" stroke="#fbfaf6" stroke-width="4" stroke-linejoin="round">{escape(row.label)}</text>'
    )
    yield _text(0, row.label_y, row.label)
    for bar in row.bars:
        yield from _bar(row, bar)


def _bar(row: Row, bar: Bar) -> Iterable[str]:
    place = f'x="{_px(bar.x)}" width="{_px(bar.width)}" y="{row.bar_y}" height="{BAR_PX}"'
    said = f"{row.label}: {bar.outcome}, {bar.begin} to {bar.end}. {bar.why}"
    yield f"<g><title>{escape(said)}</title>"
    yield f'<rect {place} class="{bar.outcome}"/>'
    if texture := _TEXTURES.get(Outcome(bar.outcome)):
        yield f'<rect {place} fill="url(#{texture})"/>'
    if _px(bar.width) >= _WORD_PX:
        kind = "soft" if bar.outcome == "unstated" else "word"
        yield _text(_px(bar.x) + 7, row.bar_y + 14, bar.outcome, kind)
    yield "</g>"


def _legend(y: int) -> Iterable[str]:
    for index, outcome in enumerate(Outcome):
        x = _MARGIN_PX + index * 130
        place = f'x="{x}" y="{y - 10}" width="26" height="12"'
        yield f'<rect {place} class="{outcome}"/>'
        if texture := _TEXTURES.get(outcome):
            yield f'<rect {place} fill="url(#{texture})"/>'
        yield _text(x + 34, y, outcome, "soft")


def png_of(svg: str) -> bytes:
    """The picture at twice its size. Raises InvalidInput where the library that draws it is not installed."""
    try:
        renderer = importlib.import_module("vl_convert")
    except ModuleNotFoundError:
        raise InvalidInput(
            Problem(
                what="no PNG can be drawn",
                why="the library that draws it is not installed",
                where="--png",
                todo="Install it (pip install 'clauseway[charts]'), or write --svg, which needs nothing.",
            )
        ) from None
    drawn: bytes = renderer.svg_to_png(svg, scale=2.0)
    return drawn
