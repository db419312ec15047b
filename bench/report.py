"""The page of benchmarks: written from what was measured, between two marks, so that page and results cannot differ."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.results import RESULTS, Result

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def figures(results: Sequence[Result]) -> str:
    """Tables of all results, and the raw rounds beneath."""
    rows = [
        f"| `{figure.name}` | {figure.unit} | {_plain(figure.goal)} | **{_plain(figure.ours)}** "
        f"| {_peers(figure)} | {_verdict(figure)} |"
        for figure in results
    ]
    raw = [
        f"| `{figure.name}` | {who} | {' '.join(map(_plain, rounds))} | {figure.notes.get(who, '')} |"
        for figure in results
        for who, rounds in figure.runs.items()
    ]
    missing = [
        f"- `{figure.name}`: {who} {note}"
        for figure in results
        for who, note in figure.notes.items()
        if who not in figure.runs
    ]
    return "\n".join(
        [
            *_measured(results),
            "",
            "| figure | unit | goal | ours (median) | peers (median) | met |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "## Raw rounds",
            "",
            "| figure | who | rounds | seen besides |",
            "|---|---|---|---|",
            *raw,
            *(["", *missing] if missing else []),
        ]
    )


def with_figures(page: str, results: Sequence[Result]) -> str:
    """The page with its figures replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{figures(results)}\n{_END}{after}"


def recorded() -> list[Result]:
    return msgspec.json.decode(RESULTS.read_bytes(), type=list[Result])


def write_page() -> None:
    PAGE.write_text(with_figures(PAGE.read_text(), recorded()))


def _measured(results: Sequence[Result]) -> list[str]:
    """The figures by the commit and the machine that they were measured at."""
    groups: dict[tuple[str, str], list[str]] = {}
    for figure in results:
        groups.setdefault((figure.commit, figure.machine), []).append(f"`{figure.name}`")
    return [
        f"- Commit {commit}{f' on {machine}' if machine else ''}: {', '.join(names)}"
        for (commit, machine), names in groups.items()
    ]


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:,.5g}"


def _peers(figure: Result) -> str:
    return ", ".join(f"{who} {_plain(value)}" for who, value in figure.peers.items()) or "–"


def _verdict(figure: Result) -> str:
    if figure.goal is None:
        return "–"
    return "yes" if figure.met else "**no**"
