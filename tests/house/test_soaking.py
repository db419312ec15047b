"""`make soak` runs every part, whatever became of the others, and records the minutes of each."""

import json
import sys
from pathlib import Path

from soaking import soak


def test_a_part_that_fails_is_recorded_and_the_next_is_run(tmp_path: Path) -> None:
    parts = {name: (sys.executable, "-c", f"raise SystemExit({code})") for name, code in (("one", 3), ("two", 0))}
    assert soak(parts, tmp_path / "soak.json") == 1
    record = json.loads((tmp_path / "soak.json").read_text())
    assert {part["name"]: part["outcome"] for part in record["parts"]} == {"one": "failed", "two": "passed"}
    assert all(part["minutes"] >= 0 for part in record["parts"])
    assert record["commit"]
