"""One measured figure, and how it is shown and kept."""

import os
import platform
import subprocess
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")


class Effort(msgspec.Struct, frozen=True):
    """The length of a measurement: rounds of some seconds each, ours and the peers' by turns; on more data or not."""

    rounds: int = 5
    seconds: float = 3.0
    large: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its goal. `ours` and `peers` are medians over `runs` (name to the rounds' values).

    `direction` says which way is better; a figure without a goal is there to be read. `notes` holds what else was seen:
    rates, latencies, what was skipped. `machine` is where it was measured, and under which Python.
    """

    name: str
    unit: str
    direction: str
    ours: float
    peers: dict[str, float]
    goal: float | None
    met: bool
    commit: str
    runs: dict[str, list[float]]
    notes: dict[str, str] = {}
    machine: str = ""


def result(
    name: str,
    unit: str,
    goal: float | None,
    runs: dict[str, list[float]],
    notes: dict[str, str],
    direction: str = "lower",
) -> Result:
    """A result from its raw rounds; `ours` is the key of our own."""
    middles = {who: round(median(values), 2) for who, values in runs.items()}
    ours = middles.pop("ours")
    met = goal is None or (ours <= goal if direction == "lower" else ours >= goal)
    return Result(
        name=name,
        unit=unit,
        direction=direction,
        ours=ours,
        peers=middles,
        goal=goal,
        met=met,
        commit=commit(),
        runs=runs,
        notes=notes,
        machine=machine(),
    )


def ratio(name: str, goal: float | None, measured: Result, peer: str) -> list[Result]:
    """Our figure in times a peer's, round by round: what moves with the machine moves both. Nothing where the
    peer could not be had."""
    if peer not in measured.runs:
        return []
    pairs = zip(measured.runs["ours"], measured.runs[peer], strict=True)
    return [
        result(
            name,
            f"times {peer}'s",
            goal,
            {"ours": [round(ours / theirs, 3) for ours, theirs in pairs]},
            {},
        )
    ]


def commit() -> str:
    """The commit that was measured, marked where the tree was changed since, but for records and the pages written
    from them."""
    sources = (":/", ":(top,exclude)bench/*.json", ":(top,exclude)docs")
    named = _git("rev-parse", "--short=12", "HEAD") or "unknown"
    changed = _git("diff", "--name-only", "HEAD", "--", *sources)
    return f"{named}-dirty" if changed else named


def _git(*words: str) -> str:
    """The output of git, or nothing where there is no repository."""
    done = subprocess.run(
        ["git", *words], capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return done.stdout.strip()


def machine() -> str:
    """Processor, cores, kernel and Python."""
    parts = Path("/proc/cpuinfo").read_text().split("model name\t: ")
    processor = parts[1].partition("\n")[0] if len(parts) > 1 else platform.machine()
    cores = len(os.sched_getaffinity(0))
    return f"{processor}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def write(results: list[Result]) -> None:
    """Replace the results of the same name, keep the others."""
    kept = []
    if RESULTS.exists():
        measured = {figure.name for figure in results}
        kept = [
            figure
            for figure in msgspec.json.decode(RESULTS.read_bytes(), type=list[Result])
            if figure.name not in measured
        ]
    everything = sorted([*kept, *results], key=lambda figure: figure.name)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(everything), indent=1) + b"\n")


def show(results: list[Result], console: Console) -> None:
    table = Table("benchmark", "unit", "goal", "ours", "rounds", "peers", "met")
    for figure in results:
        rounds = f"{min(figure.runs['ours']):.1f} … {max(figure.runs['ours']):.1f}"
        peers = "\n".join(f"{who} {value:.1f}" for who, value in figure.peers.items()) or "none"
        goal = "none" if figure.goal is None else f"{figure.goal:g}"
        table.add_row(
            figure.name,
            figure.unit,
            goal,
            f"[bold]{figure.ours:.1f}[/]",
            rounds,
            peers,
            "[green]yes[/]" if figure.met else "[red]no[/]",
        )
    console.print(table)
    for figure in results:
        for who, note in figure.notes.items():
            console.print(f"{figure.name}, {who}: {note}")
