"""Days whose instants no record can hold: each command refuses them by name, before it changes anything."""

from pathlib import Path

import pytest

from clauseway.cli import run

REPORTED = "--assume share-openai-microsoft --assume share-microsoft-openai --assume cap"

# the command; the flag that is named
FAR = [
    ("settle --period 2026-05 --known-at 3000-01-01", "--known-at"),
    ("settle --period 2026-05 --known-at 0001-01-01", "--known-at"),
    ("settle --period 2026-05 --known-at 3000-01-01T00:00:00Z", "--known-at"),
    ("settle --period 2026-05 --known-at 9999-12-31T23:59:59.000000000Z", "--known-at"),
    ("key create --organisation acme --seller openai --expires 3000-01-01", "--expires"),
]


@pytest.mark.parametrize(("line", "flag"), FAR)
def test_a_day_that_no_record_can_hold_is_refused_by_its_flag(
    line: str, flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    assert run(["settle", "--period", "2026-05", *REPORTED.split(), *home]) == 0
    capsys.readouterr()
    assert run([*line.split(), *home]) == 3
    refusal = capsys.readouterr().err
    assert refusal.startswith("Refused, with one problem; nothing was changed.")
    assert f"  {flag}: " in refusal
    assert "2262-04-10" in refusal


def test_the_last_day_that_a_record_can_hold_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(tmp_path / "home")]
    assert run(["settle", "--period", "2026-05", *REPORTED.split(), *home]) == 0
    assert run(["settle", "--period", "2026-05", "--known-at", "2262-04-10", *home]) == 0
    assert "known at 2262-04-10T23:59:59Z" in capsys.readouterr().out
