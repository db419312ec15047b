"""Sealing under kill -9: what was acknowledged is there, what was not is whole or absent, and nothing counts twice."""

import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from clauseway.pricing import PriceTable, parse_book
from clauseway.storage import Control
from clauseway.storage.lake.lake import Lake
from clauseway.storage.usage.priced import revenue
from clauseway.values import Interval, KnownAt

# Seals batches of two attempts, one frame each, from where the manifest left off; says so after each.
SEALER = """
import sys
from pathlib import Path
from clauseway.metering import Buyer, Deployment, RequestId, Ruling, Status, Unit, UsageRecord
from clauseway.storage import Control
from clauseway.storage.lake.sealed_batches import UsageBatch
from clauseway.storage.lake.lake import Lake

home = Path(sys.argv[1])
control = Control.open(home / "control.db")
lake = Lake(home / "lake", control)
day = 20575 * 86_400_000_000_000  # 2026-05-02
for frame in range(control.sealed_to("s", 1), int(sys.argv[2])):
    usage = [
        UsageRecord(RequestId(1, frame), attempt, day, 0, 1, 1, 1, 1, Status.COMPLETE, 200, False, 0, 0, 0,
                    ((Unit.INPUT_TOKENS, 1),))
        for attempt in (1, 2)
    ]
    lake.seal(UsageBatch(spool="s", segment=1, first_frame=frame, end_frame=frame + 1, usage=usage, intents=[],
                    buyers={1: Buyer("o", "p", "k", "openai", "any")},
                    deployments={1: Deployment("d", "azure", "openai", "r", "gpt-5.4", "m")},
                    rulings={1: Ruling("d", "permitted", (), "r")}), 1)
    print(frame, flush=True)
"""
PRICES = PriceTable(
    parse_book(
        "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
        "gpt-5.4,azure,,,input_tokens,2026-03-05,,2026-03-05,2.50,list\n",
        "book.csv",
    ),
    KnownAt.everything(),
)
FRAMES, KILLS = 1_000_000, 4


def sealer(home: Path, frames: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SEALER, str(home), str(frames)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed_after(home: Path, lines: int, delay_s: float) -> int:
    """Let a sealer acknowledge some batches, kill it a moment later, and give the last frame it acknowledged."""
    with sealer(home, FRAMES) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(lines)]
        time.sleep(delay_s)  # the point in the next seal at which it dies; no event marks it
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    return acknowledged[-1]


@pytest.mark.slow
def test_killed_at_any_moment_each_batch_counts_once_or_not_at_all(tmp_path: Path) -> None:
    chance = random.Random(427)
    for _ in range(KILLS):
        last = killed_after(tmp_path, chance.randint(1, 5), chance.uniform(0, 0.02))
        control = Control.open(tmp_path / "control.db")
        lake, batches = Lake(tmp_path / "lake", control), control.batches()
        files = lake.files()
        control.close()
        assert len(batches) in (last + 1, last + 2)  # the one that was not acknowledged is whole or absent
        assert [batch.first_frame for batch in batches] == list(range(len(batches)))
        assert [pq.read_metadata(file).num_rows for file in files] == [2] * len(batches)
    frames = len(batches) + 2
    with sealer(tmp_path, frames) as process:
        process.communicate()
    control = Control.open(tmp_path / "control.db")
    lake = Lake(tmp_path / "lake", control)
    lake.sweep()
    assert len(list(lake.root.rglob("*.part")) + list(lake.root.rglob("*.parquet"))) == frames
    (line,) = revenue(lake, PRICES, Interval(date(2026, 5, 1), date(2026, 6, 1)))
    control.close()
    assert (line.requests, int(line.amount.scaleb(12))) == (2 * frames, 2 * frames * 2_500_000)
