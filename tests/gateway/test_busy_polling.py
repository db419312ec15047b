"""Before it sleeps the process looks for the next bytes, where they have come soon before: how long, and when not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from gateway_rig import Rig

from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.request.busy_polling import BusyPolling
from clauseway.spool import SpoolWriter

TURN_US = 10
LOOKING = str(Path(__file__).with_name("looking_gateway.py"))
# Reads: how many requests are open, how many turns of 10 µs pass until the next read, and in how many of them the
# process looks. Each line is a process of its own.
#
#   polling_us | reads
STORIES: dict[str, tuple[int, Sequence[tuple[int, int, int]]]] = {
    "it looks until its time is over": (200, [(1, 100, 21)]),
    "the time runs anew from each read": (200, [(1, 15, 15), (0, 15, 15), (1, 100, 21)]),
    "after a failure one read is skipped, then three, then seven": (
        200,
        [(1, 30, 21), (1, 30, 0), (1, 30, 21), *3 * [(1, 30, 0)], (1, 30, 21), *7 * [(1, 30, 0)], (1, 30, 21)],
    ),
    "a read in time halves what is skipped": (
        200,
        [
            *((1, 30, 21), (1, 30, 0), (1, 30, 21), *3 * [(1, 30, 0)]),  # from here on it would skip seven
            *((1, 5, 5), (1, 5, 5), (1, 30, 21)),  # two in time: 3, 1, 0, and after the failure 1
            *((1, 30, 0), (1, 30, 21)),
        ],
    ),
    "a single read in time halves it once, and so do two between two turns": (
        200,
        [
            *((1, 30, 21), (1, 30, 0), (1, 30, 21), *3 * [(1, 30, 0)]),
            *((1, 5, 5), (1, 30, 21), *3 * [(1, 30, 0)]),  # 3, 1, and after the failure 3
            *((1, 5, 5), (1, 0, 0), (1, 30, 21), *3 * [(1, 30, 0)], (1, 30, 21)),
        ],
    ),
    "among several requests it sleeps": (200, [(2, 30, 0), (9, 30, 0)]),
    "and goes on sleeping for as many reads as their answers and returns take": (
        200,
        [(2, 30, 0), *64 * [(1, 30, 0)], (1, 30, 21)],
    ),
    "it stops where a second request begins": (200, [(1, 5, 5), (2, 30, 0), (1, 30, 0)]),
    "and looks again later": (200, [(1, 5, 5), (2, 30, 0), *64 * [(1, 30, 0)], (1, 30, 21)]),
    "never": (0, 3 * [(1, 30, 0)]),
}


def test_it_skips_at_most_255_reads(tmp_path: Path) -> None:
    looked = turns_of(tmp_path, 50, 3000 * [(1, 10, -1)])
    after = [0]
    for turns in looked[1:]:
        if turns:
            after.append(0)
        else:
            after[-1] += 1
    assert after[:9] == [1, 3, 7, 15, 31, 63, 127, 255, 255]


@pytest.mark.parametrize(("polling_us", "reads"), STORIES.values(), ids=STORIES)
def test_it_looks_where_bytes_come_soon(tmp_path: Path, polling_us: int, reads: Sequence[tuple[int, int, int]]) -> None:
    assert turns_of(tmp_path, polling_us, reads) == [expected for _, _, expected in reads]


def turns_of(folder: Path, polling_us: int, reads: Sequence[tuple[int, int, int]]) -> list[int]:
    """For how many turns the process looked after each read."""
    now_us = 0
    looked = 0

    def now_ns() -> int:
        nonlocal looked
        looked += 1
        return now_us * 1000

    async def scenario() -> list[int]:
        nonlocal now_us, looked
        writer = SpoolWriter(folder / "spool", asyncio.get_running_loop(), boot=1)
        polling = BusyPolling(asyncio.get_running_loop(), writer, polling_us, now_ns)
        seen = []
        for open_requests, turns, _ in reads:
            writer.open_requests, looked = open_requests, 0
            polling.bytes_came()
            for _ in range(turns):
                await asyncio.sleep(0)
                now_us += TURN_US
            seen.append(looked)
        await writer.close()
        return seen

    return asyncio.run(scenario())


@pytest.mark.parametrize(("polling_us", "looks"), [(0, False), (10_000, True)], ids=["never", "for 10 ms"])
def test_a_gateway_looks_where_one_request_follows_another(tmp_path: Path, polling_us: int, looks: bool) -> None:
    count = tmp_path / "looks"
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        plan = rig.plan(settings=Settings(limits=Limits(busy_polling_us=polling_us)))
        rig.start(plan, launcher=(LOOKING, str(count)))
        for _ in range(3):
            assert rig.post().status_code == 200
        rig.stop()
    assert (int(count.read_text()) > 0) == looks
