"""Floors by the calendar and by days, and scales of one rate or several: amounts as written-out arithmetic."""

from datetime import date
from decimal import Decimal as D

import pytest

from clauseway.ledger.floors import Least, TopUp, calendar_period, part_in_words, top_ups
from clauseway.ledger.scale import Band, Scale
from clauseway.values import FOREVER, Interval


def day(text: str) -> date:
    return date.fromisoformat(f"2026-{text}")


PERIODS = [
    ("month", "2026-01-31", "2026-01-01", "2026-02-01"),
    ("month", "2026-02-01", "2026-02-01", "2026-03-01"),
    ("month", "2026-11-30", "2026-11-01", "2026-12-01"),
    ("month", "2026-12-01", "2026-12-01", "2027-01-01"),
    ("quarter", "2026-03-31", "2026-01-01", "2026-04-01"),
    ("quarter", "2026-04-01", "2026-04-01", "2026-07-01"),
    ("quarter", "2026-09-30", "2026-07-01", "2026-10-01"),
    ("quarter", "2026-12-31", "2026-10-01", "2027-01-01"),
    ("year", "2026-01-01", "2026-01-01", "2027-01-01"),
    ("year", "2026-12-31", "2026-01-01", "2027-01-01"),
]


@pytest.mark.parametrize(("per", "on", "begin", "end"), PERIODS)
def test_periods_of_the_calendar(per: str, on: str, begin: str, end: str) -> None:
    expected = Interval(date.fromisoformat(begin), date.fromisoformat(end))
    assert calendar_period(date.fromisoformat(on), per) == expected


# A share from 16 January to 10 April earns 10.00 on the 20th of each month.
DAYS = Interval(day("01-16"), day("04-11"))
EARNED = [day("01-20"), day("02-20"), day("03-20")]


def share_until(until: date) -> D:
    return D("10.00") * len([earned for earned in EARNED if earned < until])


# Its floors, the day before which top-ups fall due → (its last day, period, floor by days − share − top-ups within it).
TOP_UPS: list[tuple[list[tuple[str, str]], str, list[tuple[str, str, D]]]] = [
    ([("month", "31.00")], "01-31", []),
    ([("month", "31.00")], "02-01", [("01-31", "2026-01", D("16.00") - 10)]),
    ([("month", "9.00")], "02-01", []),  # 9.00 × 16 ÷ 31 = 4.65: nothing lacks
    ([("month", "19.37")], "02-01", []),  # 19.37 × 16 ÷ 31 = 9.997…: not a cent lacks
    ([("month", "19.39")], "02-01", [("01-31", "2026-01", D("0.01"))]),  # 10.0077… is 10.01
    (
        [("month", "31.00")],
        "05-01",
        [
            ("01-31", "2026-01", D("16.00") - 10),
            ("02-28", "2026-02", D("31.00") - 10),
            ("03-31", "2026-03", D("31.00") - 10),
            ("04-10", "2026-04", D("10.33")),  # 31.00 × 10 ÷ 30 = 10.333…
        ],
    ),
    ([("quarter", "90.00")], "04-01", [("03-31", "2026-Q1", D("75.00") - 30)]),  # 75 of 90 days
    ([("quarter", "90.00")], "04-10", [("03-31", "2026-Q1", D("75.00") - 30)]),
    # A month's top-up counts toward the quarter's floor, one of another quarter does not.
    (
        [("quarter", "90.00"), ("month", "31.00")],
        "04-11",
        [
            ("01-31", "2026-01", D("6.00")),
            ("02-28", "2026-02", D("21.00")),
            ("03-31", "2026-03", D("21.00")),
            ("04-10", "2026-04", D("10.33")),
            # Of the quarter 90.00 × 10 ÷ 91 = 9.89 is due, less than for its month.
        ],
    ),
    ([("year", "365.00")], "04-11", [("04-10", "2026", D("85.00") - 30)]),
    ([("total", "50.00")], "04-10", []),
    ([("total", "50.00")], "04-11", [("04-10", "total", D("50.00") - 30)]),
    ([("total", "30.00")], "04-11", []),
    (
        [("total", "99.00"), ("year", "365.00")],
        "04-11",
        [("04-10", "2026", D("55.00")), ("04-10", "total", D("14.00"))],
    ),
]


@pytest.mark.parametrize(("floors", "until", "due"), TOP_UPS)
def test_what_is_due_beside_a_share(floors: list[tuple[str, str]], until: str, due: list[tuple[str, str, D]]) -> None:
    leasts = [Least(per, D(amount)) for per, amount in floors]
    assert top_ups(DAYS, leasts, day(until), share_until) == [
        TopUp(day(on), period, amount) for on, period, amount in due
    ]


def test_a_share_of_one_day_is_topped_up_once() -> None:
    """31 January alone: 31.00 ÷ 31 for the month, and it counts toward 90.00 ÷ 90 for the quarter."""
    due = top_ups(
        Interval(day("01-31"), day("02-01")),
        [Least("month", D("31.00")), Least("quarter", D("90.00"))],
        day("05-01"),
        lambda _: D(0),
    )
    assert due == [TopUp(day("01-31"), "2026-01", D("1.00"))]


def test_a_share_without_an_end_has_no_floor_in_total() -> None:
    endless = Interval(day("01-16"), FOREVER)
    assert top_ups(endless, [Least("total", D("50.00"))], FOREVER, share_until) == []


# The period of a top-up of that share and its last day → the words for the days that count.
PARTS = [
    ("01-31", "2026-01", "for 16 of 31 days"),
    ("02-28", "2026-02", ""),
    ("03-31", "2026-Q1", "for 75 of 90 days"),
    ("04-10", "2026-04", "for 10 of 30 days"),
    ("04-10", "2026-Q2", "for 10 of 91 days"),
    ("04-10", "2026", "for 85 of 365 days"),
    ("04-10", "total", ""),
]


@pytest.mark.parametrize(("on", "period", "words"), PARTS)
def test_the_days_of_a_top_up_in_words(on: str, period: str, words: str) -> None:
    assert part_in_words(DAYS, TopUp(day(on), period, D(1))) == words


# -- scales: 20 %, above 100 USD 30 %, above 400 USD 10 %

SCALE = Scale(D("0.2"), [Band(D(400), D("0.1")), Band(D(100), D("0.3"))])
GROSS = [
    ("-50", "-10"),  # a credit beyond everything sold: at the first rate
    ("0", "0"),
    ("99.99", "19.998"),
    ("100", "20"),
    ("101", "20.3"),  # 100 × 0.2 + 1 × 0.3
    ("400", "110"),  # 20 + 300 × 0.3
    ("500", "120"),  # 110 + 100 × 0.1
]


@pytest.mark.parametrize(("base", "gross"), GROSS)
def test_the_share_of_a_base(base: str, gross: str) -> None:
    assert SCALE.gross(D(base)) == D(gross)
    assert Scale(D("0.2")).gross(D(base)) == D(base) * D("0.2")


# Between two bases → the one rate, or none where a band begins in between.
RATES = [
    ("-10", "0", "0.2"),
    ("0", "100", "0.2"),
    ("0", "100.01", None),
    ("99", "400", None),
    ("100", "400", "0.3"),
    ("100", "401", None),
    ("400", "401", "0.1"),
    ("500", "100000", "0.1"),
]


@pytest.mark.parametrize(("low", "high", "rate"), RATES)
def test_the_rate_between_two_bases(low: str, high: str, rate: str | None) -> None:
    assert SCALE.rate_between(D(low), D(high)) == (rate and D(rate))
    assert Scale(D("0.2")).rate_between(D(low), D(high)) == D("0.2")
