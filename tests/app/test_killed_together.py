"""An installation under load of which anything is killed: four gateways in two homes, two clouds, PostgreSQL and a
follower. `python tests/kills.py` does the same for as long as is asked, and writes down what it saw."""

from pathlib import Path

import pytest

from kills import killed
from soak import examples, only_when_soaking

KILLS = examples(5)


@only_when_soaking
@pytest.mark.timeout(0)
def test_whatever_is_killed_is_counted_once_and_nothing_is_overspent(tmp_path: Path) -> None:
    run, judged = killed(tmp_path / "stage", KILLS, seed=3)
    assert list(judged.breaches) == []
    assert sum(run.killed.values()) == KILLS
    assert judged.recounted > judged.whole // 2 > 0
