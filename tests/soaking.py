"""Run the parts of `make soak` one after the other, and record how many minutes each took.

    python tests/soaking.py [--record FILE]

A part that fails does not keep the others from being run. The record is written after each part.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from commits import described

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable
# Together no more than an hour on two processors (choice 145).
PARTS: Mapping[str, Sequence[str]] = {
    "property tests, and beside them a hundred kills": ("make", "--jobs=2", "soak-properties", "soak-kills"),
    "a thousand seeds and the planted bugs": (
        PYTHON,
        "-m",
        "tests.simulator",
        "--seeds",
        "1000",
        "--planted",
        "--jobs",
        "2",
        "--json",
        "bench/evidence/simulator.json",
    ),
    "every reader fuzzed": ("make", "fuzz"),
    "memory over requests": (PYTHON, "-m", "bench.soak", "--minutes", "5"),
    "memory over connections": (PYTHON, "-m", "bench.churn", "--connections", "200000"),
}


def soak(parts: Mapping[str, Sequence[str]], record: Path) -> int:
    """Run each part and record it; how many of them failed."""
    done: list[dict[str, Any]] = []
    for timed in _timed(parts):
        done.append(timed)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(_record(done), indent=1) + "\n")
    return sum(part["outcome"] != "passed" for part in done)


def _timed(parts: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    for name, command in parts.items():
        begun_s = time.monotonic()
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        minutes = round((time.monotonic() - begun_s) / 60, 1)
        print(f"{minutes:6.1f} minutes  {name}{'' if code == 0 else f': ended with {code}'}", flush=True)
        yield {"name": name, "minutes": minutes, "outcome": "failed" if code else "passed"}


def _record(done: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": "soak",
        "day": str(datetime.now(UTC).date()),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "commit": described(),
        "parts": list(done),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/soaking.py", description=__doc__)
    parser.add_argument("--record", type=Path, default=ROOT / "bench/evidence/soak.json")
    failed = soak(PARTS, parser.parse_args().record)
    subprocess.run([PYTHON, "-m", "bench.evidence_page"], cwd=ROOT, check=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
