"""`python -m bench.soak [--requests N] [--minutes M] [--record FILE]`: nothing grows over millions of requests.

`serve` with four workers and everything on answers N requests in rounds, while its home seals. What the gateways and
the home's own process hold in the second half of the rounds is no more than in the first, but for little: of resident
memory the most, of descriptors the fewest. Exits with 1 where it is more. Part of `make soak`; a record is evidence
(docs/evidence.md).
"""

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from bench.data_plane import Proxy, cloud_on, load, resident_mb
from bench.results import commit, machine
from bench.serving import Served, allow, make_home, new_key, serve

_ROUNDS, _WORKERS, _CONNECTIONS = 20, 4, 64
# Of the gateways together, and of their home: the latest requests are kept to be explained.
_GATEWAYS_MB_MAX, _HOME_MB_MAX = 8.0, 32.0
# Segments, files of the lake and connections come and go, more of them on a busy machine; a leak raises the fewest.
_DESCRIPTORS_MAX = 8


class Size(NamedTuple):
    """The memory and descriptors of processes after a round; or the most memory, the fewest descriptors of several."""

    gateways_mb: float
    home_mb: float
    descriptors: int

    def __str__(self) -> str:
        return (
            f"gateways {self.gateways_mb:.1f} MB, their home {self.home_mb:.1f} MB, "
            f"{self.descriptors} descriptors"
        )


def size_of(served: Served) -> Size:
    processes = (*served.gateways, served.parent)
    descriptors = sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in processes)
    return Size(resident_mb(served.gateways), resident_mb([served.parent]), descriptors)


def of_rounds(sizes: Sequence[Size]) -> Size:
    gateways_mb, home_mb, descriptors = zip(*sizes, strict=True)
    return Size(max(gateways_mb), max(home_mb), min(descriptors))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="no more than so long in all"
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="write what was seen to it")
    asked = parser.parse_args()
    console, cores = Console(width=120), sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="clauseway-bench-") as folder,
        cloud_on(cores[0]) as cloud,
    ):
        home = make_home(Path(folder) / "home", cloud=cloud)
        allow(home)
        secret = new_key(home).secret
        with serve(home, workers=_WORKERS) as served:
            proxy = Proxy(served.port, list(served.gateways), secret=secret)
            sizes, done = _rounds(served, proxy, asked.requests, asked.minutes * 60, console)
    assert len(sizes) > 1, "one round shows no growth: give it more time"
    half = len(sizes) // 2
    before, after = of_rounds(sizes[:half]), of_rounds(sizes[half:])
    console.print(
        f"{done:,} requests over {_WORKERS} workers\n  first half:  {before}\n  second half: {after}"
    )
    grown = has_grown(before, after)
    if asked.record:
        record = {
            "kind": "requests",
            "day": str(datetime.now(UTC).date()),
            "machine": machine(),
            "commit": commit(),
            "requests": done,
            "workers": _WORKERS,
            "rounds": len(sizes),
            "first_half": before._asdict(),
            "second_half": after._asdict(),
            "outcome": "grown" if grown else "flat",
        }
        asked.record.write_text(json.dumps(record, indent=1) + "\n")
    return int(grown)


def _rounds(
    served: Served, proxy: Proxy, wanted: int, limit_s: float, console: Console
) -> tuple[list[Size], int]:
    """The sizes after each round, and how many requests were answered."""
    core, until_s = min(os.sched_getaffinity(0)), time.monotonic() + limit_s
    rate = load(proxy, seconds=2.0, core=core, connections=_CONNECTIONS)["rate"]
    seconds = max(min(wanted / rate, limit_s) / _ROUNDS, 1.0)
    sizes: list[Size] = []
    done = 0
    while done < wanted and time.monotonic() < until_s:
        figures = load(proxy, seconds=seconds, core=core, connections=_CONNECTIONS)
        assert figures["bad"] == 0, "a request was not answered well"
        done += int(figures["rate"] * seconds)
        sizes.append(size_of(served))
        console.print(f"round {len(sizes)}: {done:,} of {wanted:,} requests; {sizes[-1]}")
    return sizes, done


def has_grown(before: Size, after: Size) -> bool:
    """Return whether the second half of the rounds held more than little beyond the first."""
    return (
        after.gateways_mb > before.gateways_mb + _GATEWAYS_MB_MAX
        or after.home_mb > before.home_mb + _HOME_MB_MAX
        or after.descriptors > before.descriptors + _DESCRIPTORS_MAX
    )


if __name__ == "__main__":
    raise SystemExit(main())
