"""Days, half-open intervals and the two clocks. All days are UTC."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.values import (
    DAY_NS,
    FOREVER,
    Citation,
    Interval,
    InvalidInput,
    KnownAt,
    Problem,
    day_after,
    day_of,
    parse_day,
    refuse_any,
    start_of_day_ns,
    through,
)

DAYS = st.dates(date(1970, 1, 1), date(2200, 1, 1))
A5 = date(2026, 4, 27)
MIDNIGHT = 1_777_248_000 * 1_000_000_000  # 2026-04-27T00:00:00Z

# nanoseconds since 1970 → UTC day
INSTANTS = [
    (0, "1970-01-01"),
    (MIDNIGHT - 1, "2026-04-26"),
    (MIDNIGHT, "2026-04-27"),
    (MIDNIGHT + DAY_NS - 1, "2026-04-27"),
    (-1, "1969-12-31"),
]


@pytest.mark.parametrize(("instant", "day"), INSTANTS)
def test_the_day_of_an_instant(instant: int, day: str) -> None:
    assert str(day_of(instant)) == day


@given(DAYS, st.integers(0, DAY_NS - 1))
def test_a_day_holds_its_instants(day: date, offset: int) -> None:
    assert day_of(start_of_day_ns(day) + offset) == day


@pytest.mark.parametrize(
    "text", ["2026-4-27", "27.04.2026", "2026-02-30", "20260427", "2026-04-27T00:00", "", "2026-W17-1"]
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--as-of: .* is not a day.*YYYY-MM-DD"):
        parse_day(text, "--as-of")


def test_through_includes_and_until_excludes_the_day() -> None:
    assert parse_day("2026-04-27", "--as-of") == A5
    assert date(2030, 12, 31) in Interval(A5, through(date(2030, 12, 31)))
    assert date(2031, 1, 1) not in Interval(A5, through(date(2030, 12, 31)))
    assert A5 not in Interval(date(2023, 1, 23), A5)
    assert A5 in Interval(A5)
    # From a day until the same day there is no day.
    assert Interval(A5, A5).is_empty
    assert not Interval(A5, day_after(A5)).is_empty
    assert day_after(FOREVER) == FOREVER


@given(DAYS, DAYS, DAYS, DAYS, DAYS)
def test_a_day_is_in_both_or_not_in_the_intersection(a: date, b: date, c: date, d: date, day: date) -> None:
    first, second = Interval(a, b), Interval(c, d)
    both = first.intersect(second)
    assert (day in both) == (day in first and day in second)
    assert both.is_empty == (both.begin >= both.end)


# what is recorded when → known at the end of 2026-03-31?
KNOWN = [
    (KnownAt.recorded_on(date(2026, 3, 31)), True),
    (KnownAt(start_of_day_ns(date(2026, 4, 1)) - 1, 99), True),
    (KnownAt.recorded_on(date(2026, 4, 1)), False),
    (KnownAt.recorded_on(date(2026, 4, 27)), False),
]


@pytest.mark.parametrize(("recorded", "known"), KNOWN)
def test_a_known_at_day_includes_the_whole_day(recorded: KnownAt, known: bool) -> None:
    assert (recorded <= KnownAt.end_of(date(2026, 3, 31))) is known
    assert recorded <= KnownAt.everything()


def test_records_of_one_instant_have_an_order() -> None:
    first, second = KnownAt(7, 1), KnownAt(7, 2)
    assert first < second < KnownAt(7) < KnownAt(8, 0)


def test_how_a_point_of_knowledge_is_written() -> None:
    assert str(KnownAt.everything()) == "everything"
    assert KnownAt.everything().to_the_second() == KnownAt.everything()
    assert str(KnownAt.recorded_on(A5)) == "2026-04-27T00:00:00Z"
    assert str(KnownAt.end_of(A5)) == "2026-04-27T23:59:59Z"
    assert str(KnownAt(MIDNIGHT + 5)) == "2026-04-27T00:00:00.000000005Z"
    assert KnownAt.end_of(A5).day == A5


# A point of knowledge as it is written → nanoseconds after midnight. A day's last second stands for the whole of it.
WRITTEN = [
    ("2026-04-27T00:00:00Z", 0),
    ("2026-04-27T00:00:00.000000005Z", 5),
    ("2026-04-27T00:00:00.5Z", 500_000_000),
    ("2026-04-27T23:59:58Z", DAY_NS - 2_000_000_000),
    ("2026-04-27T23:59:59Z", DAY_NS - 1),
    ("2026-04-27T23:59:59.250000000Z", DAY_NS - 750_000_000),
]


@pytest.mark.parametrize(("text", "after"), WRITTEN)
def test_a_point_of_knowledge_is_read_as_it_is_written(text: str, after: int) -> None:
    assert KnownAt.parse(text) == KnownAt(MIDNIGHT + after)
    assert KnownAt.parse(str(KnownAt(MIDNIGHT + after))) == KnownAt(MIDNIGHT + after)


def test_a_refusal_carries_every_problem_with_what_why_where_and_what_to_do() -> None:
    problem = Problem(what="a", why="b", where="A1.md", line=3, remedy="Do c.")
    two = Problem(what="d", why="e", where="--flag", remedy="Do f.")
    refusal = InvalidInput(problem, two)
    assert refusal.problems == (problem, two)
    assert str(refusal) == "A1.md:3: a: b. Do c.\n--flag: d: e. Do f."
    with pytest.raises(AssertionError):
        InvalidInput()
    assert InvalidInput.of(what="a", why="b", where="A1.md", line=3, remedy="Do c.").problems == (problem,)


def test_problems_are_refused_together_and_none_is_not() -> None:
    result = Problem(what="a", why="b", where="A1.md", line=3, remedy="Do c.")
    refuse_any(())
    with pytest.raises(InvalidInput) as refusal:
        refuse_any(problem for problem in (result, result))
    assert refusal.value.problems == (result, result)


def test_a_citation_reads_as_a_place_and_a_sentence() -> None:
    citation = Citation(term="A5.share", amendment="A5", document="A5.md", line=7, source="S2", text="Pays.")
    assert str(citation) == "A5 A5.share (A5.md:7; S2): Pays."
