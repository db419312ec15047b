"""Before it sleeps the process looks for the next bytes, where they have come soon before: how long, and when not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from gateway_rig import Rig, chat_body, request_bytes

from awaiting import eventually
from clauseway.gateway.plan import Plan
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.request.busy_polling import BusyPolling
from clauseway.spool import SpoolWriter

TURN_US = 10
REQUESTS = 20
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
    "among several requests it sleeps": (200, [(2, 30, 0), (9, 30, 0)]),
    "and goes on sleeping for as many reads as their answers and returns take": (
        200,
        [(2, 30, 0), *64 * [(1, 30, 0)], (1, 30, 21)],
    ),
    "it stops where a second request begins": (200, [(1, 5, 5), (2, 30, 0), (1, 30, 0)]),
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


def test_a_request_alone_is_answered_with_fewer_waits(tmp_path: Path) -> None:
    """Not to be told from the process's answers, but from how often it waited: for the client, the cloud and the disk,
    or for the disk alone. On a busy machine bytes may be late: one round of many shows it."""
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        rig.start(polling(rig, 0))
        sleeping = waits_of(rig)
        rig.stop()
        rig.start(polling(rig, 10_000))
        eventually(lambda: waits_of(rig) <= sleeping - REQUESTS // 2)


def polling(rig: Rig, polling_us: int) -> Plan:
    return rig.plan(settings=Settings(limits=Limits(busy_polling_us=polling_us)))


def waits_of(rig: Rig) -> int:
    """How often the process waited during one request after another."""
    before = waited(rig)
    with rig.socket() as client:
        for _ in range(REQUESTS):
            client.sendall(request_bytes(chat_body()))
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
    return waited(rig) - before


def waited(rig: Rig) -> int:
    """How often the process's first thread waited since its start, for its disk or for bytes."""
    assert rig.process is not None
    status = Path(f"/proc/{rig.process.pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
