"""Rights over time as places on a strip, in percent of its width, so that text does not scale.

drawn_of(timeline, as_of)   all that the template draws
"""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from clauseway.web.contexts import OutcomeName, Timeline, TimelineMark, TimelineRow, TimelineStretch

# A label nearer to its neighbour than this (percent of the width) is drawn one row lower, so that
# they do not overlap on a narrow screen.
_MARK_DISTANCE_MIN = 9.0
# Shorter stretches have no room for a word; the middle ones have it on a wide screen only.
_WORD_WIDTH_MIN = 9.0
_WORD_WIDTH_ALWAYS = 26.0

# The outcomes as the legend names them: of an act, and of a share.
LEGEND: Mapping[OutcomeName, str] = {
    "permitted": "permitted, due",
    "forbidden": "forbidden, not due",
    "conditional": "conditional",
    "unstated": "unstated",
}
MARK_LINE_PX = 15
ROW_PX = 50
BAR_PX = 20
AXIS_PX = 26


class Bar(msgspec.Struct, frozen=True):
    """A stretch's place. `shown` says when the bar names its outcome: `always`, on `wide` screens,
    or `never`."""

    x: float
    width: float
    outcome: OutcomeName
    said: str
    why: str
    begin: date
    end: date
    shown: str


class DrawnRow(msgspec.Struct, frozen=True):
    label: str
    label_y: int
    bar_y: int
    bars: tuple[Bar, ...]


class Mark(msgspec.Struct, frozen=True):
    """`anchor` is the SVG text-anchor that keeps the label inside the strip."""

    x: float
    y: int
    label: str
    text: str
    day: date
    anchor: str
    document: str


class Year(msgspec.Struct, frozen=True):
    x: float
    label: str
    every_other: bool


class Drawn(msgspec.Struct, frozen=True):
    """`x` in percent of the width, `y` in pixels."""

    height: int
    top: int
    axis_y: int
    rows: tuple[DrawnRow, ...]
    marks: tuple[Mark, ...]
    years: tuple[Year, ...]
    today_x: float | None


def drawn_of(timeline: Timeline, as_of: date) -> Drawn:
    """Return all places. Stretches are cut at the timeline's first and last day."""
    marks = _marks(timeline)
    top = max((mark.y for mark in marks), default=0) + MARK_LINE_PX
    axis_y = top + ROW_PX * len(timeline.rows)
    return Drawn(
        height=axis_y + AXIS_PX,
        top=top,
        axis_y=axis_y,
        rows=tuple(
            _row(row, timeline, top + ROW_PX * index) for index, row in enumerate(timeline.rows)
        ),
        marks=marks,
        years=tuple(
            Year(_x(date(year, 1, 1), timeline), str(year), (year - timeline.begin.year) % 2 == 0)
            for year in range(timeline.begin.year, timeline.end.year + 1)
            if timeline.begin <= date(year, 1, 1) < timeline.end
        ),
        today_x=_x(as_of, timeline) if timeline.begin <= as_of < timeline.end else None,
    )


def _x(day: date, timeline: Timeline) -> float:
    return round(100 * (day - timeline.begin).days / (timeline.end - timeline.begin).days, 3)


def _row(row: TimelineRow, timeline: Timeline, y: int) -> DrawnRow:
    cut = [
        (max(stretch.begin, timeline.begin), min(stretch.end, timeline.end), stretch)
        for stretch in row.stretches
    ]
    bars = tuple(_bar(begin, end, stretch, timeline) for begin, end, stretch in cut if begin < end)
    return DrawnRow(row.label, y + 17, y + 24, bars)


def _bar(begin: date, end: date, stretch: TimelineStretch, timeline: Timeline) -> Bar:
    width = round(_x(end, timeline) - _x(begin, timeline), 3)
    shown = (
        "always" if width >= _WORD_WIDTH_ALWAYS else "wide" if width >= _WORD_WIDTH_MIN else "never"
    )
    return Bar(
        x=_x(begin, timeline),
        width=width,
        outcome=stretch.outcome,
        said=stretch.said,
        why=" ".join([*(f"{each.term}:" for each in stretch.citations), stretch.why]),
        begin=stretch.begin,
        end=stretch.end,
        shown=shown,
    )


def _marks(timeline: Timeline) -> tuple[Mark, ...]:
    inside = [
        mark
        for mark in sorted(timeline.marks, key=lambda mark: mark.day)
        if _inside(mark.day, timeline)
    ]
    levels = _levels([_x(mark.day, timeline) for mark in inside])
    return tuple(_mark(mark, level, timeline) for mark, level in zip(inside, levels, strict=True))


def _inside(day: date, timeline: Timeline) -> bool:
    return timeline.begin <= day < timeline.end


def _levels(places: Sequence[float]) -> list[int]:
    """Return the row of each label, one lower than its neighbour if they are too near."""
    levels: list[int] = []
    for index, x in enumerate(places):
        near = index > 0 and x - places[index - 1] < _MARK_DISTANCE_MIN
        levels.append(levels[-1] + 1 if near else 0)
    return levels


def _mark(mark: TimelineMark, level: int, timeline: Timeline) -> Mark:
    x = _x(mark.day, timeline)
    return Mark(
        x=x,
        y=12 + MARK_LINE_PX * level,
        label=mark.label,
        text=mark.text,
        day=mark.day,
        anchor="end" if x > 90 else "start",
        document=mark.document,
    )
