"""`python -m bench.scale`: the sums of a settlement and the hashes of its days, by DuckDB and by Spark, at several
sizes; writes bench/scale.json.

Both run the product's own expressions over the same sealed files (`bench.settlement` makes them), in a process each,
and must come to the same lines. CPU is that of the process and of every process it started, Java's among them, while
the sums were made; what starting the engine takes stands apart. Spark and Java are those that the tests obtain.

    python -m bench.scale --hashes                         the hashes of days alone; the sums stay as they were recorded
    python -m bench.scale run|hash duckdb|spark FOLDER     one run, as JSON (what the recording starts)
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import ibis
import msgspec

from bench.price_tables import open_prices
from bench.results import commit, machine
from bench.settlement import KNOWN_AT, SINCE, generate
from clauseway.storage import Control
from clauseway.storage.lake.file_list import USAGE, files_of
from clauseway.storage.lake.lake import Lake
from clauseway.storage.lake.query_engines import QueryEngine, duckdb_engine
from clauseway.storage.usage.content import day_contents
from clauseway.storage.usage.priced import revenue

RECORD = Path(__file__).with_name("scale.json")
SIZES = (1_200_000, 6_000_000, 50_400_000)
# Hashing takes longer by far than summing.
HASHED_SIZES = SIZES[:2]
ENGINES = ("duckdb", "spark")
# Two processes of 1 GB, each with one core, beside the one that settles.
_CLUSTER = "local-cluster[2,1,1024]"
# By this instant everything was known; a lake that is read as of an instant keeps no hashes.
_ALL_KNOWN_NS = 1 << 62
_TESTS = Path(__file__).parents[1] / "tests"
R = TypeVar("R")


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


class Hashing(msgspec.Struct, frozen=True, kw_only=True):
    """The days of a lake hashed by one engine, without its start. `digest` is of the hashes of all days."""

    engine: str
    rows: int
    hash_s: float
    hash_cpu_s: float
    megabytes: float
    digest: str


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of a recording, with its day, machine and commit; those that hash may be of another day."""

    day: str
    machine: str
    commit: str
    cores: int
    runs: tuple[Run, ...]
    hashed: tuple[Hashing, ...] = ()
    hashed_day: str = ""


def record(sizes: tuple[int, ...]) -> Recorded:
    """Run each engine at each size. Raise AssertionError where the two come to different lines."""
    runs: list[Run] = []
    for rows in sizes:
        of_size = _by_each_engine("run", rows, Run)
        assert len({run.lines for run in of_size}) == 1, "the engines came to different lines"
        runs += of_size
    return Recorded(
        day=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        commit=commit(),
        cores=len(os.sched_getaffinity(0)),
        runs=tuple(runs),
    )


def with_hashes(recorded: Recorded, sizes: tuple[int, ...]) -> Recorded:
    """Let each engine hash days at each size. Raise AssertionError where the two come to different hashes."""
    hashed: list[Hashing] = []
    for rows in sizes:
        of_size = _by_each_engine("hash", rows, Hashing)
        assert len({hashing.digest for hashing in of_size}) == 1, (
            "the engines came to different hashes"
        )
        hashed += of_size
    today = datetime.now(UTC).date().isoformat()
    return msgspec.structs.replace(recorded, hashed=tuple(hashed), hashed_day=today)


def _by_each_engine(act: str, rows: int, kind: type[R]) -> list[R]:
    with tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder:
        home = Path(folder) / "home"
        generate(home, rows)
        return [_apart(act, engine, home, kind) for engine in ENGINES]


def _apart(act: str, engine: str, folder: Path, kind: type[R]) -> R:
    command = [sys.executable, "-m", "bench.scale", act, engine, str(folder)]
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
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=kind)


@contextmanager
def _read_by(engine: str, master: str, folder: Path) -> Iterator[Lake]:
    """Open the lake in a folder, and start an engine to read it."""
    control = Control.open(folder / "control.db")
    lake = Lake(folder / "lake", control)
    started: AbstractContextManager[QueryEngine]
    if engine == "spark":
        from clauseway.storage.usage.spark import spark_engine  # noqa: PLC0415  # else not there

        started = spark_engine(master)
    else:
        started = nullcontext(duckdb_engine)
    with started as opened:
        with opened() as con:
            con.to_pyarrow(ibis.literal(1))
        yield lake.priced_by(opened)
    control.close()


def hash_days(engine: str, folder: Path) -> Hashing:
    """Hash the days of the lake in a folder by an engine."""
    with _read_by(engine, _CLUSTER, folder) as lake:
        started_s, started_cpu_s = time.perf_counter(), _cpu_s()
        contents = day_contents(lake.as_known(_ALL_KNOWN_NS), SINCE)
        hashed_s, hashed_cpu_s = time.perf_counter(), _cpu_s()
        megabytes = sum(_megabytes(process) for process in _family())
    return Hashing(
        engine=engine,
        rows=sum(content.attempts for content in contents),
        hash_s=round(hashed_s - started_s, 2),
        hash_cpu_s=round(hashed_cpu_s - started_cpu_s, 2),
        megabytes=round(megabytes),
        digest=hashlib.sha256(msgspec.json.encode(contents)).hexdigest(),
    )


def run(engine: str, folder: Path) -> Run:
    """Sum the lake in a folder by an engine."""
    prices = open_prices(KNOWN_AT, folder / "book.csv")
    begun_s, begun_cpu_s = time.perf_counter(), _cpu_s()
    with _read_by(engine, f"local[{len(os.sched_getaffinity(0))}]", folder) as lake:
        files = files_of(lake.control, USAGE)
        started_s, started_cpu_s = time.perf_counter(), _cpu_s()
        lines = revenue(lake, prices, SINCE)
        summed_s, summed_cpu_s = time.perf_counter(), _cpu_s()
        megabytes = sum(_megabytes(process) for process in _family())
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
    parser.add_argument(
        "--hashes", action="store_true", help="hash alone, and keep the recorded sums"
    )
    chosen = parser.parse_args()
    if chosen.run:
        act, engine, folder = chosen.run
        figures = {"run": run, "hash": hash_days}[act](engine, Path(folder))
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
        return
    if chosen.hashes:
        recorded = msgspec.json.decode(RECORD.read_bytes(), type=Recorded)
    else:
        recorded = record(tuple(chosen.rows or SIZES))
    recorded = with_hashes(recorded, tuple(chosen.rows or HASHED_SIZES))
    RECORD.write_bytes(msgspec.json.format(msgspec.json.encode(recorded), indent=1) + b"\n")


if __name__ == "__main__":
    main()
