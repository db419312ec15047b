"""`python -m bench.run [--rounds N] [--seconds S] [--large] [NAME…]`: run them, show them, write them down."""

import argparse
from collections.abc import Callable, Mapping

from rich.console import Console

from bench import (
    checking,
    command_line,
    data_plane,
    databases,
    decisions,
    gone_machines,
    importing,
    instructions,
    ledger,
    metering,
    months,
    pages,
    recovery,
    replicas,
    settlement,
    takeover,
    workers,
)
from bench.report import write_page
from bench.results import Effort, Result, show, write

BENCHMARKS: Mapping[str, Callable[[Effort], list[Result]]] = {
    "data_plane": data_plane.measure,
    "instructions": instructions.measure,
    "takeover": takeover.measure,
    "recovery": recovery.measure,
    "replicas": replicas.measure,
    "workers": workers.measure,
    "databases": databases.measure,
    "gone_machines": gone_machines.measure,
    "command_line": command_line.measure,
    "decisions": decisions.measure,
    "metering": metering.measure,
    "importing": importing.measure,
    "settlement": settlement.measure,
    "ledger": ledger.measure,
    "months": months.measure,
    "pages": pages.measure,
    "checking": checking.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"which of: {', '.join(BENCHMARKS)} (all when none is named)"
    )
    parser.add_argument("--rounds", type=int, default=Effort().rounds)
    parser.add_argument("--seconds", type=float, default=Effort().seconds, help="of each round")
    parser.add_argument(
        "--large", action="store_true", help="twice the rows, where that can be asked for"
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    effort = Effort(rounds=chosen.rounds, seconds=chosen.seconds, large=chosen.large)
    results = [figure for name in chosen.names or BENCHMARKS for figure in BENCHMARKS[name](effort)]
    show(results, Console())
    write(results)
    write_page()


if __name__ == "__main__":
    main()
