"""The path of a request that the journal alone still holds, as the engineer's screen shows it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from clauseway.app.opening.library import open_agreement
from clauseway.app.screens.request_path import path_in_journal
from clauseway.metering import Status, Unit
from metered_months import CACHED, IN, MILLION, OUT, Sold, metered_home, record

# How the attempt ended · what it used · its step's kind · what is said of it
ENDED = [
    (
        Status.COMPLETE,
        {IN: MILLION, CACHED: 0, OUT: 8},
        "answered",
        [("input tokens", "1,000,000"), ("output tokens", "8")],
    ),
    (Status.INTERRUPTED, {IN: 2, CACHED: 0, OUT: 8}, "answered", [("input tokens", "2"), ("output tokens", "8")]),
    (Status.FAILED, {}, "failed", []),
]


@pytest.mark.parametrize(("status", "units", "kind", "said"), ENDED)
def test_a_request_in_the_journal_shows_its_end_and_what_it_used(
    tmp_path: Path, status: Status, units: Mapping[Unit, int], kind: str, said: list[tuple[str, str]]
) -> None:
    sold = Sold("2026-05-05", 1, 1, units, status=status)
    home = metered_home(tmp_path / "home", [sold])
    path = path_in_journal(home, open_agreement(), str(record(1, sold).request))
    assert path is not None
    assert [step.kind for step in path.steps] == [kind]
    assert list(path.facts[:-1]) == said
    assert path.facts[-1] == ("cost, until the month is settled", "0.00 USD")
