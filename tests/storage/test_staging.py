"""Rows on their way into the lake: in order, a day at a time, in the same memory however many they are."""

import gc
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from clauseway.metering.records import RequestId, Status
from clauseway.metering.units import Unit
from clauseway.metering.usage_rules import IMPORTED, Used
from clauseway.storage.lake import staging
from clauseway.storage.lake.columns import used_table
from clauseway.storage.lake.imports import identity_of
from clauseway.storage.lake.staging import Placed, Staging
from clauseway.values import DAY_NS, start_of_day_ns

FIRST = date(2026, 1, 1)
# An import may take 600 MB; some 280 are taken before its rows are sorted.
SORTING_MEGABYTES_MAX = 300
RUN_ROWS, DAYS = 20_000, 1_200


def add(to: Staging, numbers: Sequence[int], days: int) -> None:
    """Add a run of rows whose days and requests are in no order."""
    rows = [used(number, number * 7919 % days) for number in numbers]
    placed = [
        Placed(identity_of(row.request, row.attempt), b"c" * 16, 0, number, number + 1, "{}")
        for number, row in zip(numbers, rows, strict=True)
    ]
    to.add(used_table(rows, 1), placed)


USED = Used(
    request=RequestId(IMPORTED, 0),
    attempt=1,
    event_ns=0,
    recorded_ns=0,
    organisation="",
    project="",
    key_id="",
    seller="openai",
    segment="any",
    deployment="",
    cloud="azure",
    region="eastus2",
    product="gpt-5.4",
    model="gpt-5.4",
    decision="",
    outcome="",
    terms=(),
    receipt="",
    endpoint=0,
    status=Status.COMPLETE,
    http_status=0,
    streamed=False,
    duration_us=0,
    first_content_us=0,
    charge_picodollars=0,
    units=(),
    upstream_id="",
)


def used(number: int, day: int) -> Used:
    # Half a million are made: with all fields written out, that takes a third of the test.
    return msgspec.structs.replace(
        USED,
        request=RequestId(IMPORTED, number * 2654435761 % 2**32),
        event_ns=start_of_day_ns(FIRST) + day * DAY_NS + number,
        organisation=f"tenant-{number % 200}",
        units=((Unit.INPUT_TOKENS, number), (Unit.OUTPUT_TOKENS, 7)),
    )


@pytest.mark.parametrize(
    ("rows", "days", "part_rows", "sizes"),
    [
        (0, 1, 10, []),
        (10, 1, 10, [10]),
        (10, 5, 10, [2, 2, 2, 2, 2]),  # a day is one part, however its rows are read
        (25, 1, 10, [10, 10, 5]),  # a day beyond a row group is several
        (24, 2, 10, [10, 2, 10, 2]),
    ],
)
def test_each_part_is_of_one_day_and_at_most_a_row_group(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    days: int,
    part_rows: int,
    sizes: list[int],
) -> None:
    monkeypatch.setattr(staging, "_PART_ROWS", part_rows)
    monkeypatch.setattr(staging, "_READ_ROWS", 2)
    held = Staging(tmp_path / "importing")
    try:
        if rows:
            add(held, range(rows), days)
        assert list(held.repeats()) == []
        parts = list(held.parts())
    finally:
        held.close()
    assert [len(part) for part in parts] == sizes
    assert all(len(set(part["event_day"].to_pylist())) == 1 for part in parts)
    keys = ["event_day", "request_id"]
    in_order = [tuple(row.values()) for part in parts for row in part.select(keys).to_pylist()]
    assert in_order == sorted(in_order)
    assert {day for day, _ in in_order} == {FIRST + timedelta(day) for day in range(days if rows else 0)}


@pytest.mark.slow
def test_sorting_takes_no_more_than_its_memory(tmp_path: Path) -> None:
    """Half a million rows are several times what the engine may hold, so more rows take no more."""
    ran = subprocess.run(
        [sys.executable, __file__, str(tmp_path / "importing"), "500000"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ran.stdout) < SORTING_MEGABYTES_MAX


def sort_in_this_process(folder: Path, rows: int) -> int:
    """Return by how many megabytes the peak of this process lies above its size before it sorted."""
    held = Staging(folder)
    for first in range(0, rows, RUN_ROWS):
        add(held, range(first, first + RUN_ROWS), DAYS)
    before = memory("VmRSS")
    assert not list(held.repeats())
    assert sum(1 for _ in held.claims()) == rows
    assert sum(map(len, held.parts())) == rows
    held.close()
    pa.default_memory_pool().release_unused()
    return memory("VmHWM") - before


def memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) // 1024


if __name__ == "__main__":
    gc.freeze()  # as a command does with what it loaded
    print(sort_in_this_process(Path(sys.argv[1]), int(sys.argv[2])))
