"""A disk that is full for a while: what was acknowledged stays, and the journal goes on once there is room."""

import asyncio
import contextlib
import errno
import resource
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from test_spool_journal import numbers_in

from clauseway.spool import SpoolWriter, positions
from copied import Waiting, codes_of, packed_usage
from small_disks import SmallDisk, small_disk

SEGMENT_BYTES = 64 << 10
ROOM_EVERY_S = 0.02


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 2 << 20) as mounted:
        yield mounted


class Journal:
    """A writer on a small disk, and the numbers of the records that it said were durable."""

    def __init__(self, disk: SmallDisk, quick_us: int, hold_s: float = 0.0) -> None:
        self.directory = disk.path / "spool"
        self.writer = SpoolWriter(
            self.directory,
            asyncio.get_running_loop(),
            boot=1,
            segment_bytes=SEGMENT_BYTES,
            quick_us=quick_us,
            room_every_s=ROOM_EVERY_S,
        )
        self.writer.hold_s = hold_s
        self.codes = codes_of(self.writer)
        self.written = 0
        self.acknowledged: list[int] = []

    def begin(self) -> tuple[int, Waiting]:
        """Append a record, and wait for it."""
        number, waiting = self.written, Waiting()
        self.written += 1
        self.writer.append(packed_usage(1, number, self.codes, upstream_id=b"u" * 60), *self.codes)
        self.writer.notify_when_durable(waiting)
        return number, waiting

    async def write(self) -> OSError | None:
        number, waiting = self.begin()
        error = await waiting.heard
        if error is None:
            self.acknowledged.append(number)
        return error

    async def write_until_full(self) -> OSError:
        while (error := await self.write()) is None:
            assert self.written < 100_000
        return error

    async def write_until_short(self) -> OSError:
        """Write until the next segment cannot be made. Return why; each write succeeds."""
        while (shortage := self.shortage()) is None:
            assert await self.write() is None
            if self.writer._preparing is not None:
                await asyncio.wait((self.writer._preparing,))
        return shortage

    async def write_until_durable(self) -> None:
        async with asyncio.timeout(60):
            while await self.write() is not None:
                await asyncio.sleep(ROOM_EVERY_S)

    # Asked by a call, as mypy takes an attribute for unchanged while others run.
    def shortage(self) -> OSError | None:
        return self.writer.shortage

    def full(self) -> OSError | None:
        return self.writer.full

    def check(self) -> None:
        """Every record that was acknowledged is there once, and none twice."""
        numbers = numbers_in(self.directory)
        assert len(numbers) == len(set(numbers))
        assert set(self.acknowledged) <= set(numbers)
        assert all(not place.damages for place in positions(self.directory))


@pytest.fixture(params=[1_000_000, 0], ids=["written on the loop", "written by the log thread"])
def quick_us(request: pytest.FixtureRequest) -> int:
    value: int = request.param
    return value


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_with_the_present_segment_usable_it_goes_on(disk: SmallDisk, quick_us: int) -> None:
    async def scenario() -> None:
        journal = Journal(disk, quick_us)
        disk.fill(leave=20_000)
        assert (await journal.write_until_short()).errno == errno.ENOSPC
        assert 0 < journal.writer.room_bytes < SEGMENT_BYTES
        for _ in range(20):
            assert await journal.write() is None, "there is room in the segment that is there"
        assert (journal.writer.failure, journal.full()) == (None, None)
        disk.clear()
        async with asyncio.timeout(60):
            while journal.shortage() is not None:
                await asyncio.sleep(ROOM_EVERY_S)
        assert journal.writer.room_bytes > SEGMENT_BYTES
        for _ in range(1000):
            assert await journal.write() is None
        await journal.writer.close()
        journal.check()

    run(scenario)
    assert len(positions(disk.path / "spool")) > 2


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Have this process open nothing more; what is open stays."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_without_a_descriptor_for_the_next_segment_it_goes_on(tmp_path: Path, quick_us: int) -> None:
    async def scenario() -> None:
        journal = Journal(SmallDisk(tmp_path), quick_us)
        await asyncio.to_thread(int)  # so that nothing is left to import
        with no_descriptor_left():
            assert (await journal.write_until_short()).errno == errno.EMFILE
            while journal.writer.room_bytes:
                assert await journal.write() is None, "there is room in the segment that is there"
            for _ in range(100):
                assert await journal.write() is None, "and behind it"
        async with asyncio.timeout(60):
            while journal.shortage() is not None:
                await asyncio.sleep(ROOM_EVERY_S)
        assert await journal.write() is None
        await journal.writer.close()
        journal.check()

    run(scenario)
    assert len(positions(tmp_path / "spool")) > 1


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(disk: SmallDisk, quick_us: int) -> None:
    async def scenario() -> None:
        journal = Journal(disk, quick_us)
        for turn in range(3):
            disk.fill()
            error = await journal.write_until_full()
            assert error.errno == errno.ENOSPC
            assert journal.full() is error
            assert journal.writer.failure is None
            heard = journal.begin()[1]
            assert (await heard.heard).errno == errno.ENOSPC  # type: ignore[union-attr]
            assert journal.writer.room_bytes == 0
            disk.clear()
            await journal.write_until_durable()
            assert journal.full() is None
            assert len(journal.acknowledged) > 10 * turn
        await journal.writer.close()
        journal.check()
        numbers = numbers_in(journal.directory)
        assert numbers == list(range(journal.written)), "what was refused is recorded all the same, in its order"

    run(scenario)


def test_those_who_may_wait_hear_nothing_until_there_is_room(disk: SmallDisk, quick_us: int) -> None:
    async def scenario() -> None:
        journal = Journal(disk, quick_us, hold_s=600)
        disk.fill()
        while journal.full() is None:
            number, waiting = journal.begin()
            while not waiting.heard.done() and journal.full() is None:
                await asyncio.sleep(0)
            if waiting.heard.done():
                journal.acknowledged.append(number)
        held = [waiting, *[journal.begin()[1] for _ in range(5)]]
        await asyncio.sleep(5 * ROOM_EVERY_S)  # time for some tries, none of which finds room
        assert not any(item.heard.done() for item in held)
        disk.clear()
        async with asyncio.timeout(60):
            assert [await item.heard for item in held] == [None] * 6
        await journal.writer.close()
        journal.check()
        assert numbers_in(journal.directory) == list(range(journal.written))

    run(scenario)


def test_who_has_waited_long_enough_hears_that_there_is_no_room(disk: SmallDisk, quick_us: int) -> None:
    async def scenario() -> None:
        journal = Journal(disk, quick_us, hold_s=5 * ROOM_EVERY_S)
        disk.fill()
        assert (await journal.write_until_full()).errno == errno.ENOSPC
        assert (await journal.begin()[1].heard).errno == errno.ENOSPC  # type: ignore[union-attr]
        await journal.writer.close()
        journal.check()

    run(scenario)


def test_a_stop_on_a_full_disk_loses_nothing_that_was_acknowledged(disk: SmallDisk, quick_us: int) -> None:
    async def scenario() -> None:
        journal = Journal(disk, quick_us)
        disk.fill()
        await journal.write_until_full()
        async with asyncio.timeout(60):
            await journal.writer.close()
        journal.check()
        assert numbers_in(journal.directory) == journal.acknowledged
        disk.clear()
        again = Journal(disk, quick_us)
        assert await again.write() is None
        await again.writer.close()
        assert numbers_in(journal.directory) == [*journal.acknowledged, 0]

    run(scenario)


def test_a_start_on_a_full_disk_is_refused_and_leaves_nothing_in_the_way(disk: SmallDisk, quick_us: int) -> None:
    async def scenario() -> None:
        disk.fill(leave=8192)
        with pytest.raises(OSError, match="No space left"):
            Journal(disk, quick_us)
        assert list(disk.path.glob("spool/*.seg")) == []
        disk.clear()
        journal = Journal(disk, quick_us)
        assert await journal.write() is None
        await journal.writer.close()

    run(scenario)
