"""`python -m bench.run [--rounds N] [--seconds S] [NAME…]`: run the benchmarks, print a table, write results.json."""

import argparse
from collections.abc import Callable, Mapping

from rich.console import Console

from bench import data_plane, decisions
from bench.results import Effort, Result, show, write

BENCHMARKS: Mapping[str, Callable[[Effort], list[Result]]] = {
    "data_plane": data_plane.measure,
    "decisions": decisions.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of: {', '.join(BENCHMARKS)} (all when none is named)")
    parser.add_argument("--rounds", type=int, default=Effort().rounds)
    parser.add_argument("--seconds", type=float, default=Effort().seconds, help="of each round")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    effort = Effort(rounds=chosen.rounds, seconds=chosen.seconds)
    results = [one for name in chosen.names or BENCHMARKS for one in BENCHMARKS[name](effort)]
    show(results, Console())
    write(results)


if __name__ == "__main__":
    main()
