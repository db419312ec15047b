"""`python -m bench.scale`: the sums of a settlement by DuckDB and by Spark, at several sizes; writes bench/scale.json.

Both run the product's own expressions over the same sealed files (`bench.settlement` makes them), in a process each,
and must come to the same lines. CPU is that of the process and of every process it started, Java's among them, while
the sums were made; what starting the engine takes stands apart. Spark and Java are those that the tests obtain.

    python -m bench.scale run duckdb|spark FOLDER     one run, as JSON (what the recording starts)
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import ibis
import msgspec

from bench.results import commit, machine
from bench.settlement import KNOWN_AT, SINCE, generate
from clauseway.app.opening.prices import open_prices
from clauseway.storage import Control
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import duckdb_engine
from clauseway.storage.usage.priced import revenue

RECORD = Path(__file__).with_name("scale.json")
SIZES = (1_200_000, 6_000_000, 50_400_000)
ENGINES = ("duckdb", "spark")
_TESTS = Path(__file__).parents[1] / "tests"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One engine at one size. `start_…` is until the engine has answered its first query."""

    engine: str
    rows: int
    files: int
    bytes: int
    start_s: float
    start_cpu_s: float
    sum_s: float
    sum_cpu_s: float
    megabytes: float
    lines: str


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of a recording, with its day, machine and commit."""

    day: str
    machine: str
    commit: str
    cores: int
    runs: tuple[Run, ...]


def record(sizes: tuple[int, ...]) -> Recorded:
    """Run each engine at each size. Raise AssertionError where the two come to different lines."""
    runs: list[Run] = []
    for rows in sizes:
        with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder:
            home = Path(folder) / "home"
            generate(home, rows)
            of_size = [_apart(engine, home) for engine in ENGINES]
        assert len({run.lines for run in of_size}) == 1, "the engines came to different lines"
        runs += of_size
    return Recorded(
        day=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        commit=commit(),
        cores=len(os.sched_getaffinity(0)),
        runs=tuple(runs),
    )


def _apart(engine: str, folder: Path) -> Run:
    command = [sys.executable, "-m", "bench.scale", "run", engine, str(folder)]
    environment = dict(os.environ)
    if engine == "spark":
        asked = "import json, spark_judge; print(json.dumps(spark_judge.settings()))"
        settings = subprocess.run(
            [sys.executable, "-c", asked], cwd=_TESTS, stdout=subprocess.PIPE, check=True
        )
        environment |= json.loads(settings.stdout)
        paths = (environment["PYTHONPATH"], os.environ.get("PYTHONPATH", ""))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        # The tests' own options are for Javas that live for seconds.
        del environment["JAVA_TOOL_OPTIONS"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)


def run(engine: str, folder: Path) -> Run:
    """Sum the lake in a folder by an engine."""
    control = Control.open(folder / "control.db")
    lake = Lake(folder / "lake", control)
    prices = open_prices(KNOWN_AT, folder / "book.csv")
    files = files_of(control, USAGE)
    with ExitStack() as stack:
        begun_s, begun_cpu_s = time.perf_counter(), _cpu_s()
        if engine == "spark":
            from clauseway.storage.usage.spark import spark_engine  # noqa: PLC0415  # else not there

            lake.engine = stack.enter_context(
                spark_engine(f"local[{len(os.sched_getaffinity(0))}]")
            )
        else:
            lake.engine = duckdb_engine
        with lake.engine() as con:
            con.to_pyarrow(ibis.literal(1))
        started_s, started_cpu_s = time.perf_counter(), _cpu_s()
        lines = revenue(lake, prices, SINCE)
        summed_s, summed_cpu_s = time.perf_counter(), _cpu_s()
        megabytes = sum(_megabytes(process) for process in _family())
    control.close()
    return Run(
        engine=engine,
        rows=sum(file.rows for file in files),
        files=len(files),
        bytes=sum(file.bytes for file in files),
        start_s=round(started_s - begun_s, 2),
        start_cpu_s=round(started_cpu_s - begun_cpu_s, 2),
        sum_s=round(summed_s - started_s, 2),
        sum_cpu_s=round(summed_cpu_s - started_cpu_s, 2),
        megabytes=round(megabytes),
        lines=hashlib.sha256(msgspec.json.encode(lines)).hexdigest(),
    )


def _family() -> list[int]:
    """Return this process and all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            figures = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        parents[int(stat.parent.name)] = int(figures[1])
    family = [os.getpid()]
    for process in family:
        family += [child for child, parent in parents.items() if parent == process]
    return family


def _cpu_s() -> float:
    """Return the CPU time of the family so far, of those that ended too."""
    ticks = 0
    for process in _family():
        figures = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, figures[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _megabytes(process: int) -> float:
    """Return the largest resident size of a process so far."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("run", nargs="*", help="what the recording itself starts")
    parser.add_argument("--rows", type=int, action="append", help="a size (default: three)")
    chosen = parser.parse_args()
    if chosen.run:
        _, engine, folder = chosen.run
        sys.stdout.write(msgspec.json.encode(run(engine, Path(folder))).decode() + "\n")
        return
    recorded = record(tuple(chosen.rows or SIZES))
    RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(recorded), indent=1) + b"\n")


if __name__ == "__main__":
    main()
