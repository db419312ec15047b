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
        f"| `{one.name}` | {one.unit} | {_plain(one.goal)} | **{_plain(one.ours)}** | {_peers(one)} | {_verdict(one)} |"
        for one in results
    ]
    raw = [
        f"| `{one.name}` | {who} | {' '.join(map(_plain, rounds))} | {one.notes.get(who, '')} |"
        for one in results
        for who, rounds in one.runs.items()
    ]
    missing = [
        f"- `{one.name}`: {who} {note}"
        for one in results
        for who, note in one.notes.items()
        if who not in one.runs
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
    """Which figures were measured at which commit, and where."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in results:
        groups.setdefault((one.commit, one.machine), []).append(f"`{one.name}`")
    return [
        f"- Commit {commit}{f' on {machine}' if machine else ''}: {', '.join(names)}"
        for (commit, machine), names in groups.items()
    ]


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:,.5g}"


def _peers(one: Result) -> str:
    return ", ".join(f"{who} {_plain(value)}" for who, value in one.peers.items()) or "–"


def _verdict(one: Result) -> str:
    if one.goal is None:
        return "–"
    return "yes" if one.met else "**no**"
