"""Give a reader many inputs, in a process of its own, and say what broke which law.

    a value, or an error of the reader's own     nothing else comes of an input
    the process                                  goes on
    memory                                       grows by no more than MEMORY_MB over all inputs
    time                                         no more than CPU_S of processor for an input, and STALL_S in all
                                                 (time that it waits for a processor is not counted)

    python tests/readers/fuzzing.py --inputs 100000 [--reader NAME]… [--record FILE [--once]] [--keep FOLDER]

An input has a number; seed and number make it again. What failed is written to the folder, the smallest
of each kind; `kept/READER` holds those that were mended, and the suite gives them again. The record is
written after each reader. With `--once` it is of the longest run: what earlier runs wrote stays, each with
its commit, and a reader that had the seed in one of them is skipped.
"""

import argparse
import ctypes
import json
import mmap
import os
import platform
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
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
sys.path.append(str(HERE.parent))
from clauseway.files import write_whole  # noqa: E402
from commits import described  # noqa: E402  # lies beside this folder
from memory_folders import memory_folder  # noqa: E402

KEPT = HERE / "kept"
MEMORY_MB = 300.0  # the dearest valid input of any reader takes a tenth
ADDRESS_SPACE_BYTES = 2 << 30  # beyond what the libraries have mapped before the first input
CPU_S = 5.0  # the slowest valid input takes a fiftieth
STALL_S = 120.0
_PLACE = struct.Struct("<qqqd")  # the number of the input; values, refused and the slowest before it
_PLACE_BYTES = 96
# In memory, where there is so much room: what is forced to a disk for each input takes most of the time.
_ROOM_BYTES = 1 << 30
# Readers of which an input takes long are read in slices, at least so large, so that all processes end together.
SLICE = 25_000
SLICES_MAX = 4
SLICED = ("forms", "packs", "agreement", "litellm", "pages", "backups")


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
    """The input that each reader is reading, and the results of those before it, so that whoever watches knows it
    when the process is gone."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        if make:
            path.write_bytes(bytes(_PLACE_BYTES))
        with path.open("r+b") as file:
            self._mapped = mmap.mmap(file.fileno(), _PLACE_BYTES)

    def begin(self, reader: str) -> None:
        self.at(-1)
        self._mapped[_PLACE.size :] = reader.encode().ljust(_PLACE_BYTES - _PLACE.size, b"\0")

    def at(self, number: int, values: int = 0, refused: int = 0, slowest_s: float = 0.0) -> None:
        _PLACE.pack_into(self._mapped, 0, number + 1, values, refused, slowest_s)

    @property
    def reader(self) -> str:
        return self._mapped[_PLACE.size :].rstrip(b"\0").decode()

    @property
    def place(self) -> tuple[int, int, int, float]:
        """The number of the input, -1 while the reader is opened; values, refused and the slowest before it."""
        after, values, refused, slowest_s = _PLACE.unpack_from(self._mapped)
        return after - 1, values, refused, slowest_s


# The input that broke a law, while a reader is being read.
_NOTED = "noted"


# The process that reads

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when the one that watches ends: no thread of ours might come to see it, where
    an input never ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def read_all(asked: argparse.Namespace, progress: Progress) -> None:
    """Give each reader its inputs, the first of them from `first` on, and write what came of it."""
    # Valid inputs are those of other tests, each in its folder; the process that watches loads none of it.
    sys.path += [str(path) for path in (HERE.parent, *sorted(HERE.parent.iterdir())) if path.is_dir()]
    from fuzzed_readers import READERS  # noqa: PLC0415

    folder, first = asked.child, asked.first
    done = {each.reader for each in results_in(folder)}
    for reader in [READERS[name] for name in asked.reader or READERS if name not in done]:
        progress.begin(reader.name)
        place = folder / reader.name
        # A process that ended left its files.
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        fuzzed = _read(reader, asked.seed, range(first, asked.last or reader.in_suite), progress, place)
        first = 0
        _write_result(folder, fuzzed)
        shutil.rmtree(place, ignore_errors=True)


def results_in(folder: Path) -> list[Fuzzed]:
    path = folder / "results"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Fuzzed) for line in lines]


def _write_result(folder: Path, fuzzed: Fuzzed) -> None:
    with (folder / "results").open("ab") as out:
        out.write(msgspec.json.encode(fuzzed) + b"\n")


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
            progress.at(number, values, refused, slowest_s)
            content = make(Mutator(Random(f"{seed}/{reader.name}/{number}"), valid))
            how, where, is_value, spent_s = _tried(reader, read, content)
            values += is_value
            refused += not is_value
            slowest_s = max(slowest_s, spent_s)
            if not how and (now_mb := _peak_mb()) > peak_mb + MEMORY_MB:
                how, peak_mb = f"memory: it grew by {now_mb - before_mb:.0f} MB", now_mb
            if how:
                _note(broken, Broken(number, how, where, len(content), content.hex()))
                (folder.parent / _NOTED).write_bytes(msgspec.json.encode(list(broken.values())))
        cpu_s = time.process_time() - begun_s
    return Fuzzed(
        reader.name,
        values + refused,
        values,
        refused,
        tuple(broken.values()),
        round(_peak_mb() - before_mb, 1),
        round(slowest_s, 3),
        round(cpu_s, 1),
    )


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


def _note(broken: dict[str, Broken], breach: Broken) -> None:
    """Keep the smallest of each kind: the place of an exception, or the first words of anything else."""
    kind = breach.where or breach.how.partition(" ")[0]
    if kind not in broken or broken[kind].size > breach.size:
        broken[kind] = breach


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


def fuzz(names: Sequence[str] = (), seed: str = "1", first: int = 0, last: int = 0) -> list[Fuzzed]:
    """Give inputs to readers, to all where none is named: from `first` up to `last`, or as many as in the suite. An
    input that ends the process is noted, and the next ones are read."""
    with memory_folder("clauseway-fuzz-", _ROOM_BYTES) as folder:
        parts: list[Fuzzed] = []
        while (stopped := _round(names, ("--seed", seed, "--last", str(last)), first, folder)) is not None:
            parts.append(stopped)
            first = stopped.broken[-1].number + 1
        return merged([*parts, *results_in(folder)])


def merged(parts: Sequence[Fuzzed]) -> list[Fuzzed]:
    """Return the parts of each reader as one."""
    whole: dict[str, Fuzzed] = {}
    for part in parts:
        before = whole.get(part.reader)
        whole[part.reader] = part if before is None else _added(before, part)
    return list(whole.values())


def _added(before: Fuzzed, part: Fuzzed) -> Fuzzed:
    return Fuzzed(
        reader=part.reader,
        inputs=before.inputs + part.inputs,
        values=before.values + part.values,
        refused=before.refused + part.refused,
        broken=(*before.broken, *part.broken),
        memory_mb=max(before.memory_mb, part.memory_mb),
        slowest_s=max(before.slowest_s, part.slowest_s),
        cpu_s=before.cpu_s + part.cpu_s,
    )


def _round(names: Sequence[str], options: Sequence[str], first: int, folder: Path) -> Fuzzed | None:
    """Read on in a new process until all is read, or until an input stops it: its reader up to that input, which is the
    last that broke a law."""
    progress = Progress(folder / "progress", make=True)
    (folder / _NOTED).unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "fuzzing.py"), "--child", str(folder), "--first", str(first), *options]
    command += ["--parent", str(os.getpid())]
    command += [word for name in names for word in ("--reader", name)]
    temporary = folder / "temporary"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    environment["TMPDIR"] = str(temporary)
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors, cwd=ROOT, env=environment)
        watched, since_s = progress.place, _served_s(process.pid)
        while process.poll() is None:
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                if progress.place != watched or is_stopped(process.pid):
                    watched, since_s = progress.place, _served_s(process.pid)
                elif _served_s(process.pid) - since_s > STALL_S:
                    process.kill()
                    process.wait()
                    break
    if process.returncode == 0:
        return None
    said = (folder / "errors").read_text()[-2000:]
    number, values, refused, slowest_s = progress.place
    if number < 0:
        raise RuntimeError(f"{progress.reader} cannot be opened, or a valid input is not read:\n{said}")
    how = f"the process ended with {process.returncode}, or was not done with it in {STALL_S:.0f} s: {said}"
    noted = folder / _NOTED
    broken = msgspec.json.decode(noted.read_bytes(), type=list[Broken]) if noted.exists() else []
    # The input that ended it counts as refused.
    return Fuzzed(
        reader=progress.reader,
        inputs=values + refused + 1,
        values=values,
        refused=refused + 1,
        broken=(*broken, Broken(number, how, "", 0, "")),
        memory_mb=0.0,
        slowest_s=round(slowest_s, 3),
        cpu_s=0.0,
    )


def _served_s(pid: int) -> float:
    """A clock that stands still while a process waits for a processor: on a busy machine, one that yields to all others
    may wait for minutes."""
    waited_ns = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
    return time.monotonic() - waited_ns / 1e9


def is_stopped(pid: int) -> bool:
    """Return whether somebody stopped a process by a signal, to go on later."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"


def kept_inputs(name: str) -> Iterator[Path]:
    """The inputs that once broke a law."""
    yield from sorted(path for path in (KEPT / name).glob("*") if path.is_file())


# The command


class Run(msgspec.Struct, frozen=True):
    """The subject of a record: the seed, the commit, and whether it is of the longest run."""

    seed: str
    commit: str
    once: bool

    def record(self, results: Sequence[Fuzzed], before: dict[str, Any]) -> dict[str, Any]:
        """The record of this run, joined with the one that stood there before it."""
        return {
            "kind": "fuzzing-once" if self.once else "fuzzing",
            "day": str(datetime.now(UTC).date()),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "commit": self.commit,
            "seeds": sorted({*before.get("seeds", ()), self.seed}, key=lambda seed: (len(seed), seed)),
            **({"runs": self._runs(results, before)} if self.once else {}),
            "memory_mb_max": MEMORY_MB,
            "cpu_s_max": CPU_S,
            "readers": self._readers(results, before),
        }

    def _runs(self, results: Sequence[Fuzzed], before: dict[str, Any]) -> list[dict[str, Any]]:
        own = {"seed": self.seed, "commit": self.commit}
        runs = list(before.get("runs", ()))
        earlier = [name for run in runs if own.items() <= run.items() for name in run["readers"]]
        others = [run for run in runs if not own.items() <= run.items()]
        return [*others, own | {"readers": [*earlier, *(each.reader for each in results)]}]

    def _readers(self, results: Sequence[Fuzzed], before: dict[str, Any]) -> list[dict[str, Any]]:
        """The counts of each reader, those of earlier runs too, in the order of the table."""
        readers = {reader["name"]: reader for reader in before.get("readers", ())}
        for each in results:
            row = _row(each) | ({"seeds": [self.seed]} if self.once else {})
            readers[each.reader] = _summed(row, readers[each.reader]) if each.reader in readers else row
        places = {name: place for place, name in enumerate(names())}
        return sorted(readers.values(), key=lambda reader: places.get(reader["name"], len(places)))


def _row(each: Fuzzed) -> dict[str, Any]:
    return {
        "name": each.reader,
        "inputs": each.inputs,
        "values": each.values,
        "refused": each.refused,
        "broken": len(each.broken),
        "kept": len(list(kept_inputs(each.reader))),
        "memory_mb": each.memory_mb,
        "slowest_s": each.slowest_s,
    }


def _summed(row: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    sums = {name: earlier[name] + row[name] for name in ("inputs", "values", "refused", "broken", "seeds")}
    return row | sums | {name: max(earlier[name], row[name]) for name in ("memory_mb", "slowest_s")}


def readers_without(seed: str, record: dict[str, Any]) -> list[str]:
    """The readers that had no input of the seed yet."""
    done = {reader["name"] for reader in record.get("readers", ()) if seed in reader["seeds"]}
    return [name for name in names() if name not in done]


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


def slices(reader: str, inputs: int) -> Iterator[tuple[int, int]]:
    """The numbers of a reader's inputs: cut into slices where one takes long."""
    size = max(SLICE, -(-inputs // SLICES_MAX)) if reader in SLICED and inputs else max(inputs, 1)
    for first in range(0, max(inputs, 1), size):
        yield first, min(first + size, inputs)


def results(readers: Sequence[str], seed: str, inputs: int, processes: int) -> Iterator[Fuzzed]:
    """Give each reader its inputs, in so many processes at once, and yield what came of each when it is done."""
    with ThreadPoolExecutor(processes) as threads:
        parts = {
            reader: [threads.submit(fuzz, [reader], seed, first, last) for first, last in slices(reader, inputs)]
            for reader in readers
        }
        for reader in readers:
            yield from merged([part for done in parts[reader] for part in done.result()])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/readers/fuzzing.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=0)
    parser.add_argument("--reader", action="append", default=[])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--once", action="store_true", help="with --record: it is the record of the longest run")
    parser.add_argument("--keep", type=Path, default=ROOT / "build/fuzzing")
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--last", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    asked = _options()
    if asked.child:
        end_with_parent(asked.parent)
        progress = Progress(asked.child / "progress")
        read_all(asked, progress)
        # Libraries that wait for their threads at the end are not what is looked at.
        sys.stdout.flush()
        os._exit(0)
    before = json.loads(asked.record.read_text()) if asked.once and asked.record and asked.record.exists() else {}
    missing = readers_without(asked.seed, before)
    readers = [name for name in asked.reader or names() if name in missing]
    run = Run(asked.seed, described(), asked.once)
    done: list[Fuzzed] = []
    for each in results(readers, asked.seed, asked.inputs, asked.processes):
        _tell(each, asked.seed, asked.keep)
        done.append(each)
        if asked.record:
            asked.record.parent.mkdir(parents=True, exist_ok=True)
            write_whole(asked.record, (json.dumps(run.record(done, before), indent=1) + "\n").encode())
    return 1 if any(each.broken for each in done) else 0


if __name__ == "__main__":
    raise SystemExit(main())
