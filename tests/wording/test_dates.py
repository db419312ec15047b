"""Days, months and instants within a text: told in words, and left as they are where a command or a file takes them."""

import pytest

from clauseway.wording.dates import dated, month_in_words

# As the core writes it · as a page and a document tell it
TOLD = [
    ("due on 2026-04-30", "due on 30 April 2026"),
    ("known at 2026-04-27T23:59:59Z", "known at 27 April 2026, 23:59:59 UTC"),
    ("first used by the settlement of 2026-04", "first used by the settlement of April 2026"),
    ("2 full settled months (2026-04 and 2026-05)", "2 full settled months (April and May 2026)"),
    ("in 2026-03, 2026-04 and 2026-05", "in March, April and May 2026"),
    ("settled months of 2025-12 to 2026-02", "settled months of December 2025 to February 2026"),
    ("2026-13 is no month, 2026-02-30 no day", "2026-13 is no month, 2026-02-30 no day"),
    ("gpt-5.4-2026-03-05 and gpt-5.4-2026-03", "gpt-5.4-2026-03-05 and gpt-5.4-2026-03"),
    ("milestone=2027-01-01", "milestone=2027-01-01"),
    ("lies in 2026-05.json at /statement/2026-05", "lies in 2026-05.json at /statement/2026-05"),
    ("clauseway settle --period 2026-05 names them", "clauseway settle --period 2026-05 names them"),
    ("--from 2026-04-01 --until=2026-05-01, 2026-04", "--from 2026-04-01 --until=2026-05-01, April 2026"),
]


@pytest.mark.parametrize(("written", "expected"), TOLD)
def test_days_and_months_within_a_text(written: str, expected: str) -> None:
    assert dated(written) == expected


def test_a_month_that_is_none_stays_as_it_is() -> None:
    assert (month_in_words("2026-04"), month_in_words("soon")) == ("April 2026", "soon")
