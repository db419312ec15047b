"""Give a reader many inputs, in a process of its own, and say what broke which law.

    a value, or an error of the reader's own     nothing else comes of an input
    the process                                  goes on
    memory                                       grows by no more than MEMORY_MB over all inputs
    time                                         no more than CPU_S of processor for an input, and STALL_S in all

    python tests/readers/fuzzing.py --inputs 100000 [--reader NAME]… [--record FILE [--once]] [--keep FOLDER]

An input has a number; seed and number make it again. What failed is written to the folder, the smallest
of each kind; `kept/READER` holds those that were mended, and the suite gives them again. With `--once` the
record is of the longest run: a run with another seed joins what earlier ones wrote, each with its commit.
"""

import argparse
import json
import mmap
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from mutations import Mutator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

KEPT = HERE / "kept"
MEMORY_MB = 300.0  # the dearest valid input of any reader takes a tenth
ADDRESS_SPACE_BYTES = 2 << 30  # beyond what the libraries have mapped before the first input
CPU_S = 5.0  # the slowest valid input takes a fiftieth
STALL_S = 120.0
_PLACE_BYTES = 64
_MEGABYTE = 1 << 20


class Broken(msgspec.Struct, frozen=True):
    """An input that broke a law: how, and the input in hexadecimal digits."""

    number: int
    how: str
    where: str
    size: int
    input: str


class Fuzzed(msgspec.Struct, frozen=True):
    """A reader after all its inputs."""

    reader: str
    inputs: int
    values: int
    refused: int
    broken: tuple[Broken, ...]
    memory_mb: float
    slowest_s: float
    cpu_s: float


class Progress:
    """Which input of which reader is being read, so that whoever watches knows it when the process is gone."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        if make:
            path.write_bytes(bytes(_PLACE_BYTES))
        with path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), _PLACE_BYTES)

    def begin(self, reader: str) -> None:
        self._mapped[8:] = reader.encode().ljust(_PLACE_BYTES - 8, b"\0")

    def at(self, number: int) -> None:
        self._mapped[:8] = (number + 1).to_bytes(8, "little")

    @property
    def place(self) -> tuple[str, int]:
        """The reader, and the number of the input; -1 while it is opened."""
        return self._mapped[8:].rstrip(b"\0").decode(), int.from_bytes(self._mapped[:8], "little") - 1


# The process that reads


def read_all(asked: argparse.Namespace, progress: Progress) -> None:
    """Give each reader its inputs, the first of them from `first` on, and write what came of it."""
    # Valid inputs are those of other tests, each in its folder; the process that watches loads none of it.
    sys.path += [str(path) for path in (HERE.parent, *sorted(HERE.parent.iterdir())) if path.is_dir()]
    from fuzzed_readers import READERS  # noqa: PLC0415

    folder, first = asked.child, asked.first
    done = {each.reader for each in results_in(folder)}
    for reader in [READERS[name] for name in asked.reader or READERS if name not in done]:
        progress.at(-1)
        progress.begin(reader.name)
        place = folder / reader.name
        place.mkdir(exist_ok=True)
        fuzzed = _read(reader, asked.seed, range(first, asked.inputs or reader.in_suite), progress, place)
        first = 0
        with (folder / "results").open("ab") as out:
            out.write(msgspec.json.encode(fuzzed) + b"\n")


def results_in(folder: Path) -> list[Fuzzed]:
    path = folder / "results"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Fuzzed) for line in lines]


def _read(reader: Any, seed: str, numbers: range, progress: Progress, folder: Path) -> Fuzzed:
    values = refused = 0
    slowest_s, broken = 0.0, dict[str, Broken]()
    with reader.open(folder) as (valid, make, read):
        for content in valid:
            how, where, is_value, _ = _tried(reader, read, content)
            assert is_value or (reader.is_asked and not how), f"{reader.name}: {how} {where} {content[:200]!r}"
        begun_s = time.process_time()
        _limit()
        before_mb = peak_mb = _peak_mb()
        kept = () if numbers.start else kept_inputs(reader.name)
        for path in kept:
            how, where, _, _ = _tried(reader, read, path.read_bytes())
            if not how and (now_mb := _peak_mb()) > peak_mb + MEMORY_MB:
                how, peak_mb = f"memory: it grew by {now_mb - before_mb:.0f} MB", now_mb
            if how:
                broken[path.name] = Broken(-1, f"{path.name}: {how}", where, 0, "")
        for number in numbers:
            progress.at(number)
            content = make(Mutator(Random(f"{seed}/{reader.name}/{number}"), valid))
            how, where, is_value, spent_s = _tried(reader, read, content)
            values += is_value
            refused += not is_value
            slowest_s = max(slowest_s, spent_s)
            if not how and (now_mb := _peak_mb()) > peak_mb + MEMORY_MB:
                how, peak_mb = f"memory: it grew by {now_mb - before_mb:.0f} MB", now_mb
            if how:
                _note(broken, Broken(number, how, where, len(content), content.hex()))
        cpu_s = time.process_time() - begun_s
    return Fuzzed(
        reader.name, values + refused, values, refused, tuple(broken.values()), round(_peak_mb() - before_mb, 1),
        round(slowest_s, 3), round(cpu_s, 1),
    )  # fmt: skip


def _tried(reader: Any, read: Any, content: bytes) -> tuple[str, str, bool, float]:
    """How an input broke a law and where, or nothing; whether it was a value; and the processor's seconds."""
    how, where, is_value = "", "", False
    since_s = time.process_time()
    try:
        read(content)
        is_value = True
    except reader.refuses as error:
        how = reader.why_bad(error)
    except BaseException as error:
        how, where = f"{type(error).__name__}: {str(error)[:300]}", _where(error)
    spent_s = time.process_time() - since_s
    if not how and spent_s > CPU_S:
        how = f"slow: it took {spent_s:.1f} s"
    return how, where, is_value, spent_s


def _note(broken: dict[str, Broken], one: Broken) -> None:
    """Keep the smallest of each kind: the place of an exception, or the first words of anything else."""
    kind = one.where or one.how.partition(" ")[0]
    if kind not in broken or broken[kind].size > one.size:
        broken[kind] = one


def _where(error: BaseException) -> str:
    """The kind of an error and the innermost line of ours that it came through."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if str(ROOT / "src") in frame.filename]
    place = f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "no line of ours"
    return f"{type(error).__name__} at {place}"


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bytes_max = pages * os.sysconf("SC_PAGE_SIZE") + ADDRESS_SPACE_BYTES
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (bytes_max, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# The process that watches


def fuzz(names: Sequence[str] = (), *options: str) -> list[Fuzzed]:
    """Give inputs to readers, to all where none is named, as `options` of the command say. An input that ends the
    process is noted, and the next ones are read."""
    ended: dict[str, list[Broken]] = {}
    first = 0
    with tempfile.TemporaryDirectory(prefix="clauseway-fuzz-") as name:
        folder = Path(name)
        while (stopped := _round(names, options, first, folder)) is not None:
            reader, broken = stopped
            ended.setdefault(reader, []).append(broken)
            first = broken.number + 1
        results = results_in(folder)
    return [msgspec.structs.replace(each, broken=(*ended.get(each.reader, ()), *each.broken)) for each in results]


def _round(names: Sequence[str], options: Sequence[str], first: int, folder: Path) -> tuple[str, Broken] | None:
    """Read on in a new process until all is read, or until an input stops it: which one of which reader, and how."""
    progress = Progress(folder / "progress", make=True)
    command = [sys.executable, str(HERE / "fuzzing.py"), "--child", str(folder), "--first", str(first), *options]
    command += [word for name in names for word in ("--reader", name)]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors, cwd=ROOT, env=environment)
        watched, since_s = progress.place, time.monotonic()
        while process.poll() is None:
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                if progress.place != watched:
                    watched, since_s = progress.place, time.monotonic()
                elif time.monotonic() - since_s > STALL_S:
                    process.kill()
                    process.wait()
                    break
    if process.returncode == 0:
        return None
    (reader, number), said = progress.place, (folder / "errors").read_text()[-2000:]
    if number < 0:
        raise RuntimeError(f"{reader} cannot be opened, or a valid input is not read:\n{said}")
    how = f"the process ended with {process.returncode}, or was not done with it in {STALL_S:.0f} s: {said}"
    return reader, Broken(number, how, "", 0, "")


def kept_inputs(name: str) -> Iterator[Path]:
    """The inputs that once broke a law."""
    yield from sorted(path for path in (KEPT / name).glob("*") if path.is_file())


# The command


def _record(results: Sequence[Fuzzed], seed: str, *, once: bool) -> dict[str, Any]:
    described = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]
    commit = subprocess.run(described, cwd=ROOT, capture_output=True, text=True).stdout
    return {
        "kind": "fuzzing-once" if once else "fuzzing",
        "day": str(datetime.now(UTC).date()),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "commit": commit.strip(),
        "seeds": [seed],
        **({"runs": [f"seed {seed} at {commit.strip()}"]} if once else {}),
        "memory_mb_max": MEMORY_MB,
        "cpu_s_max": CPU_S,
        "readers": [
            {
                "name": each.reader, "inputs": each.inputs, "values": each.values, "refused": each.refused,
                "broken": len(each.broken), "kept": len(list(kept_inputs(each.reader))), "memory_mb": each.memory_mb,
                "slowest_s": each.slowest_s,
            }
            for each in results
        ],
    }  # fmt: skip


def _joined(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """Join a record with the one that stands there. Ends where that has the seed."""
    before = json.loads(path.read_text())
    if set(before["seeds"]) & set(record["seeds"]):
        sys.exit(f"{path} has the seed {record['seeds'][0]}: name another with --seed")
    earlier = {reader["name"]: reader for reader in before["readers"]}
    readers = [_summed(reader, earlier.get(reader["name"], reader | _NOTHING)) for reader in record["readers"]]
    joined = {name: [*before[name], *record[name]] for name in ("seeds", "runs")}
    return record | joined | {"readers": readers}


# The counts of a reader before its first input.
_NOTHING = {"inputs": 0, "values": 0, "refused": 0, "broken": 0}


def _summed(reader: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    sums = {name: earlier[name] + reader[name] for name in _NOTHING}
    return reader | sums | {name: max(earlier[name], reader[name]) for name in ("memory_mb", "slowest_s")}


def names() -> Iterator[str]:
    """The names of all readers, without the libraries that they load."""
    yield from re.findall(r'Reader\(\s*"([a-z-]+)"', (HERE / "fuzzed_readers.py").read_text())


def _tell(done: Fuzzed, seed: str, keep: Path) -> None:
    """Print what came of a reader's inputs, and keep those that broke a law."""
    print(
        f"{done.reader:14} {done.inputs:>9,} inputs  {done.values:>9,} values  {done.refused:>9,} refused  "
        f"{len(done.broken)} broke a law  {done.memory_mb:6.1f} MB  {done.slowest_s:.3f} s  {done.cpu_s:.0f} s of "
        "processor",
        flush=True,
    )
    for broken in done.broken:
        path = keep / done.reader / f"{seed}-{broken.number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes.fromhex(broken.input))
        print(f"    {broken.number}: {broken.how}\n      {broken.where}\n      {path}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/readers/fuzzing.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=0)
    parser.add_argument("--reader", action="append", default=[])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--once", action="store_true", help="with --record: it is the record of the longest run")
    parser.add_argument("--keep", type=Path, default=ROOT / "build/fuzzing")
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        progress = Progress(asked.child / "progress")
        read_all(asked, progress)
        # Libraries that wait for their threads at the end are not what is looked at.
        sys.stdout.flush()
        os._exit(0)
    options = ["--inputs", str(asked.inputs), "--seed", asked.seed]
    results = []
    with ThreadPoolExecutor(asked.processes) as threads:
        for some in threads.map(lambda name: fuzz([name], *options), asked.reader or names()):
            _tell(some[0], asked.seed, asked.keep)
            results += some
    if asked.record:
        record = _record(results, asked.seed, once=asked.once)
        if asked.once and asked.record.exists():
            record = _joined(record, asked.record)
        asked.record.parent.mkdir(parents=True, exist_ok=True)
        asked.record.write_text(json.dumps(record, indent=1) + "\n")
    return 1 if any(done.broken for done in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
