"""A month in which a gateway went on alone: its statement says when usage had one copy only.

The home is that of `metered_months`, with a journal beside it. Nothing
of what is due changes by it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from journals import gateway

from clauseway.app.opening.home import Home
from clauseway.app.usage.sealing import seal
from clauseway.spool.alone import AlonePeriods
from in_process import answer
from metered_months import assumed, metered_home


def at_ns(instant: str) -> int:
    return int(datetime.fromisoformat(instant).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = metered_home(tmp_path / "home")
    gateway(made, day="2026-06-02")
    return made


def alone(home: Home, since: str, until: str = "") -> None:
    """A gateway's follower was away from one instant to another; a home sees it when it seals."""
    notes = AlonePeriods(home.spools / "gateway")
    notes.begin(1, 4, at_ns(since))
    if until:
        notes.end(1, 9, at_ns(until))
    seal(home)


def remarks(home: Home, period: str) -> list[str]:
    """Return the remarks on copies in the statement of a month."""
    settled: Any = answer("settle", "--period", period, *assumed(), home=home.root)
    return [each["text"] for each in settled["assumptions"] if each["name"].startswith("one-copy-")]


# since · until · month · what its statement says
AWAY = [
    (
        "2026-05-05 14:02:00",
        "2026-05-05 14:09:10",
        "2026-05",
        "The follower of the journal gateway was away from 2026-05-05 14:02:00 UTC to 2026-05-05 "
        "14:09:10 UTC: usage was "
        "acknowledged with one copy.",
    ),
    (
        "2026-05-05 14:02:00",
        "",
        "2026-05",
        "The follower of the journal gateway has been away since 2026-05-05 14:02:00 UTC: usage was "
        "acknowledged with one "
        "copy.",
    ),
    (
        "2026-05-31 23:59:00",
        "2026-06-01 00:01:00",
        "2026-05",
        "The follower of the journal gateway was away from 2026-05-31 23:59:00 UTC to 2026-06-01 "
        "00:01:00 UTC: usage was "
        "acknowledged with one copy.",
    ),
    ("2026-06-01 00:00:00", "2026-06-01 00:01:00", "2026-05", ""),
    ("2026-04-30 23:00:00", "2026-05-01 00:00:00", "2026-05", ""),
]


@pytest.mark.parametrize(("since", "until", "period", "said"), AWAY)
def test_a_statement_says_which_usage_had_one_copy(home: Home, since: str, until: str, period: str, said: str) -> None:
    alone(home, since, until)
    assert remarks(home, period) == ([said] if said else [])
    assert answer("statement", "verify", period, home=home.root)["repeated"]["same"]


def test_what_ends_later_is_said_as_it_was_known(home: Home, tmp_path: Path) -> None:
    alone(home, "2026-05-05 14:02:00")
    answer("settle", "--period", "2026-05", *assumed(), home=home.root)
    packed = tmp_path / "may.pack"
    answer("statement", "pack", "2026-05", "--out", str(packed), home=home.root)
    AlonePeriods(home.spools / "gateway").end(1, 9, at_ns("2026-05-05 14:09:10"))
    seal(home)
    seal(home)
    assert answer("statement", "verify", "2026-05", home=home.root)["repeated"]["same"]
    assert answer("statement", "verify", str(packed), home=tmp_path / "nowhere")["repeated"]["same"]
    (said,) = remarks(home, "2026-05")
    assert "to 2026-05-05 14:09:10 UTC" in said
    assert answer("audit", "verify", home=home.root)["problems"] == []
