"""Hourly sums cost a page the same at any size of the lake: counted in steps of the database."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from clauseway.storage import Control
from clauseway.storage.lake.hourly_sums import DIMENSIONS, FIGURES, Sums, add_sums, days_with_usage
from clauseway.values import HOUR_NS, Interval, start_of_day_ns

FIRST_HOUR = start_of_day_ns(date(2026, 5, 1)) // HOUR_NS


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    opened = Control.open(tmp_path / "control.db")
    yield opened
    opened.close()


def fill(control: Control, hours: int) -> None:
    """A sum of one organisation for each of so many hours."""
    rows = [
        {"hour": FIRST_HOUR + number, **dict.fromkeys(DIMENSIONS, "name"), **dict.fromkeys(FIGURES, 1)}
        for number in range(hours)
    ]
    with control.writing() as connection:
        add_sums(connection, Sums(rows))


def steps_of_days(control: Control) -> int:
    """How many tens of instructions SQLite runs for the days with usage."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with control.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(count, 10)
    days_with_usage(control)
    driver.set_progress_handler(None, 0)
    return steps


def test_the_days_with_usage_are_the_first_and_the_last_with_a_sum(control: Control) -> None:
    assert days_with_usage(control) is None
    fill(control, 25)
    assert days_with_usage(control) == Interval(date(2026, 5, 1), date(2026, 5, 3))


def test_the_days_with_usage_take_no_walk_over_the_sums(control: Control) -> None:
    fill(control, 24)
    few = steps_of_days(control)
    assert few > 0
    fill(control, 4_800)
    assert steps_of_days(control) <= 2 * few
