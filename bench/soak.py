"""`python -m bench.soak [--requests N] [--minutes M]`: memory stays flat over millions of requests (`make soak`).

A gateway with everything on answers N requests in rounds; its resident memory after each round must stay within a few
megabytes of that after the first. Exits with 1 where it does not.
"""

import argparse
import math
import time

from rich.console import Console

from bench.data_plane import resident_mb, running
from bench.results import Effort

_ROUNDS = 20
_GROWTH_MAX_MB = 8.0  # the latest requests are kept to be explained, and arenas settle


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="no more than so long in all"
    )
    asked = parser.parse_args()
    wanted, until_s = asked.requests, time.monotonic() + 60 * asked.minutes
    console = Console()
    with running(Effort(rounds=1, seconds=2.0), peers=()) as bench:
        rate = bench.load(bench.ours)["rate"]
        seconds = max(min(wanted / rate, 60 * asked.minutes) / _ROUNDS, 1.0)
        bench.effort = Effort(rounds=1, seconds=seconds)
        sizes: list[float] = []
        done = 0
        while done < wanted and time.monotonic() < until_s:
            figures = bench.load(bench.ours)
            done += int(figures["rate"] * seconds)
            sizes.append(resident_mb(bench.ours.processes))
            console.print(
                f"round {len(sizes)}: {done:,} of {wanted:,} requests, {sizes[-1]} MB, {figures['bad']:.0f} bad answers"
            )
            assert figures["bad"] == 0, "a request was not answered well"
        grown = round(max(sizes[1:], default=sizes[0]) - sizes[0], 1)
    console.print(
        f"{done:,} requests; {sizes[0]} MB after the first round, {grown:+} MB at most since"
    )
    return 0 if grown <= _GROWTH_MAX_MB else 1


if __name__ == "__main__":
    raise SystemExit(main())
