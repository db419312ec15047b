"""Importing: events of six years in no order, checked, sorted and sealed into the lake, in a process of their own.

`money/import` is reading and checking them, `money/seal` sorting them and writing the lake with its sums and its
register of what was imported. Beside the rate: files (one a day is the least there can be), bytes of the lake and of
all of the home for a record, and the peak of memory.

    python -m bench.importing run ROWS FOLDER     one run, as JSON (what the benchmark starts)
"""

import random
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import msgspec

from bench.memory import peak_megabytes
from bench.results import Effort, Result, result
from clauseway import open_agreement
from clauseway.app.opening.home import Home
from clauseway.app.usage.importing import Imported, ImportSource, import_usage
from clauseway.app.usage.sealing import open_lake
from clauseway.exchange.usage.cloudevents import TYPE
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.values import DAY_NS, start_of_day_ns

_ROWS, _MANY = 500_000, 5_000_000
_FIRST_NS, _DAYS = start_of_day_ns(date(2023, 6, 1)), 1_200
_CLOUDS = (("azure", "eastus2"), ("aws", "us-east-2"))
_MEGABYTES = 600


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One run: CPU seconds of both stages, what the home holds then, and the peak of memory."""

    reading_s: float
    sealing_s: float
    files: int
    lake_bytes: int
    home_bytes: int
    megabytes: float


def measure(effort: Effort) -> list[Result]:
    """Half a million rows; five million with `--large`."""
    rows = _MANY if effort.large else _ROWS
    runs = [_run(rows) for _ in range(1 if effort.large else min(effort.rounds, 3))]
    last = runs[-1]
    notes = {
        "ours": f"{rows:,} events of {_DAYS:,} days in no order",
        "files": f"{last.files:,}",
        "bytes a record": f"{last.lake_bytes / rows:.0f} in the lake, {last.home_bytes / rows:.0f} with the register",
    }
    imported: dict[str, list[float]] = {"ours": [round(rows / run.reading_s) for run in runs]}
    sealed: dict[str, list[float]] = {"ours": [round(rows / run.sealing_s) for run in runs]}
    peak = {"ours": [run.megabytes for run in runs]}
    return [
        result("money/import", "rows per CPU second", None, imported, notes, direction="higher"),
        result("money/seal", "rows per CPU second", None, sealed, notes, direction="higher"),
        result("money/import/memory", "MB", _MEGABYTES, peak, notes),
    ]


def _run(rows: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder:
        command = [sys.executable, "-m", "bench.importing", "run", str(rows), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the import failed:\n{done.stderr}")
    return msgspec.json.decode(done.stdout, type=Figures)


def run(rows: int, folder: Path) -> Figures:
    """Make the events, import them, and see what the home holds."""
    path, home = folder / "events.jsonl", Home(folder / "home")
    _write(path, rows)
    read_s = [0.0]

    def told(stage: str, _: Imported) -> None:
        if stage == path.name:
            read_s[0] = time.process_time()

    begun_s = time.process_time()
    done = import_usage(home, open_agreement(), [path], ImportSource(), told)
    ended_s = time.process_time()
    assert done == Imported(rows=rows, imported=rows), done
    with open_lake(home) as lake:
        files = files_of(lake.control, USAGE)
    return Figures(
        reading_s=read_s[0] - begun_s,
        sealing_s=ended_s - read_s[0],
        files=len(files),
        lake_bytes=sum(file.bytes for file in files),
        home_bytes=sum(file.stat().st_size for file in home.root.rglob("*") if file.is_file()),
        megabytes=peak_megabytes(),
    )


def _write(path: Path, rows: int) -> None:
    """Events with the days and counts of a stated chance: the same in every run."""
    chance = random.Random(11)
    with path.open("wb") as file:
        for number in range(rows):
            cloud, region = _CLOUDS[number % 2]
            data = {
                "organisation": f"tenant-{number % 200}",
                "seller": "openai",
                "cloud": cloud,
                "region": region,
                "product": "gpt-5.4",
                "units": {
                    "input_tokens": chance.randrange(8_000),
                    "output_tokens": chance.randrange(900),
                },
            }
            event = {
                "specversion": "1.0",
                "type": TYPE,
                "source": "/bench",
                "id": str(number),
                "time": str(_FIRST_NS + chance.randrange(_DAYS * DAY_NS)),
                "data": data,
            }
            file.write(msgspec.json.encode(event) + b"\n")


if __name__ == "__main__":
    assert sys.argv[1] == "run", __doc__
    print(msgspec.json.encode(run(int(sys.argv[2]), Path(sys.argv[3]))).decode())
