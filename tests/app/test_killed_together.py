"""Kills that come to no end say what stands still, and record nothing (`make soak` kills a hundred times)."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import kill_stage
import kills
from kill_load import Got, Outcome
from kill_stage import NeverHappened, Part, Stage
from kill_standing import standing
from kills import Answered, NoVerdict, not_yet_written, recount

_NOBODY = "postgresql://postgres@127.0.0.1:1/nobody"


class _Sleeper(Part):
    """A part that is never ready."""

    def start(self) -> None:
        self.log.write_text("I wait.\n")
        self._begin(["sh", "-c", "echo I sleep.; sleep 1000; exit"])


def test_what_stands_still_is_told_of_each_part(tmp_path: Path) -> None:
    sleeper, gone = _Sleeper("sleeper", tmp_path), _Sleeper("gone", tmp_path)
    stage = cast("Stage", SimpleNamespace(parts=[sleeper, gone], database=SimpleNamespace(address=_NOBODY)))
    got = [Got(f"t{n}", "acme", "told", 503, code="limit_unavailable", port=8400, ended_s=n) for n in (10, 90, 99)]
    sleeper.start()
    sleeper.said(b"I sleep.")  # a process that has just begun has no command line yet
    try:
        report = standing(stage, got, now_s=100.0)
    finally:
        assert sleeper.kill()
    assert not gone.kill()
    assert "port 8400, acme: told 503 limit_unavailable, 2 times" in report
    assert f"sleeper: runs\n    {sleeper.pid} " in report
    assert "sleep 1000" in report
    assert "gone: does not run" in report
    assert "it cannot be asked" in report
    assert "Last said by sleeper:\n  I wait." in report


MISSING = "1 attempts reached a cloud, and only 0 are metered without the cloud's name"


@pytest.mark.parametrize(
    ("outcome", "after_s", "breaches"),
    [
        ("broken", 0.04, []),
        ("broken", 0.6, [MISSING]),
        ("told", 0.04, [MISSING]),
        ("whole", 0.04, ["t1 was answered whole as , and is not metered as complete", MISSING]),
    ],
)
def test_only_what_broke_at_once_may_be_missing(outcome: Outcome, after_s: float, breaches: list[str]) -> None:
    """A gateway writes within 50 ms what it began; an attempt of which a client heard is written before."""
    ledger = {"azure-1": Answered("t1", 5, 7, asked_s=10.0)}
    got = [Got("t1", "acme", outcome, 200, ended_s=10.0 + after_s)]
    unwritten = not_yet_written([], ledger, got)
    assert list(recount([], ledger, got, len(unwritten))) == breaches


def test_a_part_that_never_gets_ready_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_stage, "PATIENCE_S", 0.0)
    sleeper = _Sleeper("sleeper", tmp_path)
    sleeper.start()
    try:
        with pytest.raises(NeverHappened, match="sleeper was not ready"):
            sleeper.said(b"ready")
    finally:
        sleeper.kill()


def test_kills_without_a_verdict_say_why_and_record_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_end(*_: object) -> None:
        raise NoVerdict("3 kills, and then: nothing")

    monkeypatch.setattr(kills, "killed", no_end)
    monkeypatch.setattr("sys.argv", ["kills.py", "--out", str(tmp_path / "kills.json")])
    assert kills.main() == 2
    assert "No verdict: 3 kills, and then: nothing" in capsys.readouterr().err
    assert not (tmp_path / "kills.json").exists()
