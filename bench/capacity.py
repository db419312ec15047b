"""`python -m bench.capacity`: the capacity table of docs/operation.md, reckoned from bench/results.json.

Each row is arithmetic that a reader can repeat: the figures that it starts from stand in it, by their names.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.record_bytes import LAKE_BYTES
from bench.report import recorded
from bench.results import Result
from clauseway.metering import RequestId, Status, Unit, UsageRecord
from clauseway.spool import segment_format as layout

PAGE = Path(__file__).parents[1] / "docs/operation.md"
_BEGIN, _END = "<!-- capacity -->", "<!-- end of capacity -->"
# Latency at half of what a process can do is measured; beyond that queues grow.
_LOAD = 0.5
_DAY_S = 86_400
# The sample at the end: requests of a day, and how many times the mean the busiest second has.
_A_DAY, _PEAK = 100_000_000, 4
_STREAMS = 1_000
# Commands that run beside the gateways, by what each holds at most.
_HELD = ("settlement/100M/memory", "money/import/memory", "money/pack/memory")


class Row(NamedTuple):
    """A quantity, its value with its unit, and how it is reckoned."""

    quantity: str
    value: str
    how: str


def journal_bytes() -> int:
    """The bytes that a request leaves in the journal: its intent, and its record of three units."""
    units = ((Unit.INPUT_TOKENS, 1), (Unit.CACHED_INPUT_TOKENS, 1), (Unit.OUTPUT_TOKENS, 1))
    intent = layout.pack_intent(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
    record = UsageRecord(
        RequestId(1, 1), 1, 1, 1, 1, 1, 1, 1, Status.COMPLETE, 200, True, 1, 1, 1, units, "x" * 40
    )
    return len(intent) + len(layout.pack_usage(record))


def rows(results: Sequence[Result]) -> list[Row]:
    """The table, from the figures of these results."""
    ours: Mapping[str, float] = {figure.name: figure.ours for figure in results}
    chat, stream = ours["request/chat-c32"], ours["request/stream-53-events"]
    idle, many = ours["memory/idle"], ours["memory/1000-streams"]
    a_core, streams = _LOAD * 1e6 / chat, _LOAD * 1e6 / stream
    a_stream_kb = (many - idle) * 1000 / _STREAMS
    journal, lake = journal_bytes(), LAKE_BYTES
    sealing, settling = 1e6 / ours["metering/sealing"], ours["settlement/100M"] / 100
    importing = 1e6 / ours["money/import"]
    busiest = _A_DAY / _DAY_S * _PEAK
    return [
        Row(
            "requests a second and core",
            f"{a_core:,.0f}",
            f"half of 1,000,000 µs / {chat} µs (`request/chat-c32`)",
        ),
        Row(
            "streams of 53 events a second and core",
            f"{streams:,.0f}",
            f"half of 1,000,000 µs / {stream} µs (`request/stream-53-events`)",
        ),
        Row(
            "their slowest hundredth at that load",
            f"{ours['latency/half-load-p99']} ms",
            "`latency/half-load-p99`",
        ),
        Row("memory of a process", f"{idle} MB", "`memory/idle`"),
        Row(
            "memory of an open stream",
            f"{a_stream_kb:.1f} kB",
            f"({many} MB − {idle} MB) / {_STREAMS:,} (`memory/1000-streams`, `memory/idle`)",
        ),
        Row(
            "memory with 10,000 open streams",
            f"{idle + a_stream_kb * 10:,.0f} MB",
            f"{idle} MB + 10,000 × {a_stream_kb:.1f} kB",
        ),
        Row(
            "journal for a request",
            f"{journal} bytes",
            "an intent, and a record of three units and an id of 40 letters",
        ),
        Row(
            "lake for a request",
            f"{lake} bytes",
            "sealed, with random ids of 38 letters (`bench.record_bytes`)",
        ),
        Row(
            "sealing a million requests",
            f"{sealing:.1f} s of processor",
            f"1,000,000 / {ours['metering/sealing']:,.0f} (`metering/sealing`)",
        ),
        Row(
            "settling a million requests",
            f"{settling:.3f} s",
            f"{ours['settlement/100M']} s / 100 (`settlement/100M`)",
        ),
        Row(
            "importing a million rows",
            f"{importing:.0f} s of processor",
            f"1,000,000 / {ours['money/import']:,.0f} (`money/import`)",
        ),
        Row(
            "memory to settle, import or pack, beside the gateways",
            f"{max(ours[name] for name in _HELD):.0f} MB",
            f"the most of {', '.join(f'`{name}`' for name in _HELD)}",
        ),
        Row(
            f"**{_A_DAY:,} requests a day**: the busiest second",
            f"{busiest:,.0f} requests",
            f"{_A_DAY:,} / {_DAY_S:,} s × {_PEAK}",
        ),
        Row(
            "its workers",
            f"{-(-busiest // a_core):.0f}",
            f"{busiest:,.0f} / {a_core:,.0f}, rounded up",
        ),
        Row(
            "its journal in an hour in which nothing is sealed",
            f"{busiest * 3600 * journal / 1e9:,.1f} GB",
            f"{busiest:,.0f} × 3,600 s × {journal} bytes",
        ),
        Row(
            "its sealing",
            f"{_A_DAY / 1e6 * sealing / 60:,.0f} minutes of processor a day",
            f"{_A_DAY // 10**6} × {sealing:.1f} s",
        ),
        Row(
            "its lake",
            f"{_A_DAY * lake * 365 / 1e12:,.1f} TB a year",
            f"{_A_DAY:,} × {lake} bytes × 365",
        ),
        Row(
            "its month settled",
            f"{_A_DAY * 30 / 1e6 * settling:,.0f} s",
            f"{_A_DAY * 30 // 10**6:,} × {settling:.3f} s",
        ),
    ]


def table(results: Sequence[Result]) -> str:
    lines = [f"| {row.quantity} | {row.value} | {row.how} |" for row in rows(results)]
    return "\n".join(["| | | reckoned |", "|---|---|---|", *lines])


def with_table(page: str, results: Sequence[Result]) -> str:
    """The page with its table replaced."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{table(results)}\n{_END}{rest.partition(_END)[2]}"


def main() -> int:
    argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__).parse_args()
    PAGE.write_text(with_table(PAGE.read_text(), recorded()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
