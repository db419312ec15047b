"""Where the parts of a right stand on the strip: percent of the width for days, pixels for lines."""

from datetime import date, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.values import Citation
from clauseway.web.contexts import Timeline, TimelineMark, TimelineRow, TimelineStretch
from clauseway.web.timeline import drawn_of

HUNDRED_DAYS = (date(2026, 1, 1), date(2026, 4, 11))


def strip(*stretches: TimelineStretch, marks: tuple[TimelineMark, ...] = ()) -> Timeline:
    begin, end = HUNDRED_DAYS
    return Timeline(begin=begin, end=end, rows=(TimelineRow(label="a right", stretches=stretches),), marks=marks)


def stretch(first: int, last: int) -> TimelineStretch:
    """A stretch by day numbers: the hundred days of the strip are 0 to 99."""
    begin = HUNDRED_DAYS[0]
    return TimelineStretch(
        begin=begin + timedelta(days=first), end=begin + timedelta(days=last), outcome="permitted", why=""
    )


@pytest.mark.parametrize(
    ("first", "last", "x", "width", "word"),
    [
        (0, 100, 0.0, 100.0, "always"),
        (10, 36, 10.0, 26.0, "always"),
        (10, 35, 10.0, 25.0, "wide"),
        (10, 19, 10.0, 9.0, "wide"),
        (10, 18, 10.0, 8.0, "never"),
        (-50, 40, 0.0, 40.0, "always"),  # cut off at the strip's begin
        (90, 400, 90.0, 10.0, "wide"),  # and at its end
    ],
)
def test_a_day_is_one_percent_of_a_hundred(first: int, last: int, x: float, width: float, word: str) -> None:
    (bar,) = drawn_of(strip(stretch(first, last)), HUNDRED_DAYS[0]).rows[0].bars
    assert (bar.x, bar.width, bar.shown) == (x, width, word)


def test_what_lies_outside_is_not_drawn() -> None:
    assert drawn_of(strip(stretch(-20, 0), stretch(100, 120)), HUNDRED_DAYS[0]).rows[0].bars == ()


def test_a_cut_stretch_still_tells_its_own_days() -> None:
    (bar,) = drawn_of(strip(stretch(-50, 40)), HUNDRED_DAYS[0]).rows[0].bars
    assert bar.begin == date(2025, 11, 12)


def test_a_bar_says_which_terms_decide_and_why() -> None:
    cited = [Citation(term=term, amendment="A1", document="A1.md", line=1, source="S1", text="") for term in ("a", "b")]
    said = msgspec.structs.replace(stretch(0, 9), why="It was agreed.", citations=tuple(cited))
    (bar,) = drawn_of(strip(said), HUNDRED_DAYS[0]).rows[0].bars
    assert (bar.said, bar.why) == ("permitted", "a: b: It was agreed.")
    (bar,) = drawn_of(strip(msgspec.structs.replace(said, word="due")), HUNDRED_DAYS[0]).rows[0].bars
    assert (bar.said, bar.outcome) == ("due", "permitted")


def test_marks_too_near_each_other_step_down_a_line() -> None:
    days = (0, 50, 55, 58, 80, -1, 100)  # the last two lie outside
    marks = tuple(
        TimelineMark(day=HUNDRED_DAYS[0] + timedelta(days=day), label=f"A{n}", text="") for n, day in enumerate(days)
    )
    drawn = drawn_of(strip(marks=marks), HUNDRED_DAYS[0])
    assert [(mark.label, mark.x, mark.y) for mark in drawn.marks] == [
        ("A0", 0.0, 12),
        ("A1", 50.0, 12),
        ("A2", 55.0, 27),
        ("A3", 58.0, 42),
        ("A4", 80.0, 12),
    ]


@pytest.mark.parametrize(("day", "x"), [(date(2026, 1, 1), 0.0), (date(2026, 2, 20), 50.0), (date(2026, 4, 11), None)])
def test_the_day_shown_is_marked_where_it_is_on_the_strip(day: date, x: float | None) -> None:
    assert drawn_of(strip(), day).today_x == x


@given(cuts=st.sets(st.integers(-30, 130), min_size=2, max_size=12))
def test_stretches_that_touch_are_drawn_touching(cuts: set[int]) -> None:
    ordered = sorted(cuts)
    stretches = [stretch(first, last) for first, last in pairwise(ordered)]
    bars = drawn_of(strip(*stretches), HUNDRED_DAYS[0]).rows[0].bars
    for left, right in pairwise(bars):
        assert left.x + left.width == pytest.approx(right.x)
    assert all(bar.x >= 0 and bar.x + bar.width <= 100.0000001 for bar in bars)
