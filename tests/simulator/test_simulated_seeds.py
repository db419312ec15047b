"""Seeds of the simulator: every law holds, a seed tells the same story again, and planted bugs are seen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .hunting import hunt, seeds_for
from .laws import LAWS
from .planted import BUGS, UNSEEN, planting
from .stories import tell

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "bench/evidence/simulator.json"
PLANTED = [found for found in json.loads(RECORD.read_text())["planted"] if found["seed"] >= 0]
# In parts, so that processes share them; `make soak` runs a thousand by the command.
PARTS, SEEDS = 8, 200
HUNTED = 40


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_law_holds_in_every_story(part: int) -> None:
    size = SEEDS // PARTS
    broken = {seed: tell(seed).broken for seed in range(part * size, (part + 1) * size)}
    assert {seed: laws for seed, laws in broken.items() if laws} == {}


def test_the_same_seed_tells_the_same_story_in_another_process() -> None:
    command = [sys.executable, "-m", "tests.simulator", "--history", "--seed", "9"]
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    tell(3)
    history = tell(9).history
    assert tell(9).history == history, "also after others in this process"
    assert again.splitlines()[: len(history)] == list(history)
    assert tell(10).history != history


def test_there_are_twenty_bugs_and_each_stands_in_the_source() -> None:
    assert len(BUGS) >= 20
    for bug in (*BUGS, UNSEEN):
        assert bug.law in LAWS or bug.why_unseen
        planting(bug)


@pytest.mark.slow
@pytest.mark.parametrize("name", [found["name"] for found in PLANTED])
def test_a_planted_bug_is_seen(name: str) -> None:
    """In the seed that found it the last time, or in another one."""
    (bug,) = [bug for bug in BUGS if bug.name == name]
    assert hunt(bug, seeds_for(bug, {"planted": PLANTED}, HUNTED)).seed >= 0
