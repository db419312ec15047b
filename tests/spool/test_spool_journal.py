"""A spool on a real disk: what is durable, what a dead process leaves behind, what damage looks like, what may go."""

import asyncio
import contextlib
import errno
import fcntl
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clauseway.metering import RequestId, Status
from clauseway.spool import (
    FrameBatch,
    SpoolBusy,
    SpoolWriter,
    is_written,
    open_attempts,
    pack_intent,
    positions,
    read_frames,
    reader,
    release,
)
from clauseway.spool.reader import _File, _position
from clauseway.spool.segments import fill_with_zeros, list_segments, lock, next_number
from copied import LABELS, Waiting, codes_of, packed_usage

BUYER, DEPLOYMENT, RULING = LABELS
FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES = 28, 64


class Journal:
    """A writer with the three labels of these tests."""

    quick_us = 0

    def __init__(self, directory: Path, boot: int = 1, segment_bytes: int = 1 << 20) -> None:
        self.writer = SpoolWriter(
            directory, asyncio.get_running_loop(), boot=boot, segment_bytes=segment_bytes, quick_us=self.quick_us
        )
        self.codes = codes_of(self.writer)
        self.boot = boot

    def begin(self, number: int, event_ns: int = 1000) -> None:
        packed = pack_intent(self.boot, number, 1, event_ns, 2000, *self.codes, 1, 10, 20, 30)
        self.writer.append(packed, *self.codes)

    def end(self, number: int, event_ns: int = 1000, status: Status = Status.COMPLETE) -> None:
        self.writer.append(packed_usage(self.boot, number, self.codes, event_ns=event_ns, status=status), *self.codes)

    async def commit(self) -> OSError | None:
        waiting = Waiting()
        self.writer.notify_when_durable(waiting)
        return await waiting.heard

    async def write(self, *numbers: int) -> None:
        """One frame per request, each begun and ended. The next segment is there when it is needed."""
        for number in numbers:
            self.begin(number)
            self.end(number)
            assert await self.commit() is None
            if self.writer._preparing is not None:
                await asyncio.wait((self.writer._preparing,))


@pytest.fixture(autouse=True, params=[1_000_000, 0], ids=["written on the loop", "written by the log thread"])
def _disk(request: pytest.FixtureRequest) -> None:
    """Promises of the journal hold whoever writes it."""
    Journal.quick_us = request.param


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.seg"))


def all_batches(directory: Path, max_records: int = 10) -> list[FrameBatch]:
    records = []
    for position in positions(directory):
        at = 0
        while (batch := read_frames(directory, position.segment, at, max_records)).end > at:
            records.append(batch)
            at = batch.end
        assert at == position.end
    return records


def numbers_in(directory: Path) -> list[int]:
    return [record.request.number for batch in all_batches(directory) for record in batch.records]


def test_a_disk_that_becomes_slow_is_left_to_the_log_thread_until_it_is_quick_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slow, threads = os.pwritev, iter((True, True, False, False)), list[str]()
    journals: list[Journal] = []

    def pwritev(*arguments: Any) -> int:
        threads.append(threading.current_thread().name)
        # Ten milliseconds are never quick, and on the busiest machine a day is.
        if next(slow):
            time.sleep(0.01)
        journals[0].writer._quick_us = 5_000 if len(threads) <= 2 else 86_400_000_000
        return real(*arguments)

    async def scenario() -> None:
        journal = Journal(tmp_path)
        journals.append(journal)
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", pwritev)
            await journal.write(1, 2, 3, 4)
        await journal.writer.close()

    monkeypatch.setattr(Journal, "quick_us", 100_000)
    run(scenario)
    assert threads == ["MainThread", "spool", "spool", "MainThread"]
    assert numbers_in(tmp_path) == [1, 2, 3, 4]


def test_no_frame_overtakes_the_end_of_the_segment_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That end is the log thread's, however quick the disk is: frames go behind it until it is written."""
    real, written = os.pwritev, list[str]()

    def pwritev(descriptor: int, buffers: Any, *others: int) -> int:
        if threading.current_thread().name == "spool":
            time.sleep(0.01)
        if bytes(buffers[0][:4]) == b"CWFR":
            written.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        return real(descriptor, buffers, *others)

    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=1_500)
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", pwritev)
            await journal.write(*range(20))
        await journal.writer.close()

    monkeypatch.setattr(Journal, "quick_us", 86_400_000_000)
    run(scenario)
    assert written == sorted(written)
    assert len(set(written)) > 2
    assert numbers_in(tmp_path) == list(range(20))


def test_what_a_waiter_was_told_is_durable_is_read_back_with_its_labels(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.write(1, 2, 3)
        # The writer is still at work: readers see whole frames of a live segment.
        assert numbers_in(tmp_path) == [1, 2, 3]
        assert [position.closed for position in positions(tmp_path)] == [False]
        await journal.writer.close()

    run(scenario)
    (batch,) = all_batches(tmp_path)
    assert (batch.segment, batch.first, batch.end) == (0, 0, 3)
    assert uuid.UUID(batch.spool)
    assert [entry[1:] for entry in batch.entries()] == [(BUYER, DEPLOYMENT, RULING)] * 3
    assert batch.records[0].request == RequestId(1, 1)
    assert [position.closed for position in positions(tmp_path)] == [True]
    assert segments(tmp_path)[0].stat().st_size < 2000, "what was preallocated is given back"


def test_one_commit_for_all_who_are_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.write(0)
        journal.writer.open_requests = 40
        waiting = []
        for number in range(1, 41):
            journal.end(number)
            waiting.append(Waiting())
            journal.writer.notify_when_durable(waiting[-1])
        assert [await answer.heard for answer in waiting] == [None] * 40
        await journal.writer.close()

    run(scenario)
    assert len(numbers_in(tmp_path)) == 41
    (position,) = positions(tmp_path)
    assert position.end <= 3, "forty records took two frames at most: who was first, and everybody else"


# quick disk | the caller's last step | others wait already | told before the call returned, and durable by then
@pytest.mark.parametrize(
    ("is_quick", "is_last_step", "others", "at_once"),
    [(True, True, 0, True), (True, False, 0, False), (True, True, 1, False), (False, True, 0, False)],
)
def test_whoever_waits_alone_and_has_nothing_left_to_do_is_told_at_once(
    tmp_path: Path, is_quick: bool, is_last_step: bool, others: int, at_once: bool
) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.write(0)
        journal.writer._quick_us = 86_400_000_000 if is_quick else 0
        journal.writer.open_requests = 1 + others
        for number in range(1, 1 + others):
            journal.end(number)
            journal.writer.notify_when_durable(Waiting())
        journal.end(9)
        waiting = Waiting()
        journal.writer.notify_when_durable(waiting, is_last_step=is_last_step)
        assert waiting.heard.done() == at_once
        if at_once:
            assert numbers_in(tmp_path)[-1] == 9
        assert await waiting.heard is None
        await journal.writer.close()

    run(scenario)
    assert numbers_in(tmp_path) == [0, *range(1, 1 + others), 9]


def test_a_record_that_nobody_waits_for_is_written_soon(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        journal.begin(1)
        async with asyncio.timeout(60):
            while not read_frames(tmp_path, 0, 0, 10).intents:
                await asyncio.sleep(0.005)
        await journal.writer.close()

    run(scenario)


def test_batches_cut_at_frames_and_labels_resolve_from_earlier_ones(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.write(*range(10))
        await journal.writer.close()

    run(scenario)
    batches = all_batches(tmp_path, max_records=4)
    assert [(batch.first, batch.end) for batch in batches] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    assert all(batch.buyers == {batch.records[0].buyer: BUYER} for batch in batches)


def test_full_segments_follow_each_other_and_each_stands_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        before = len(os.listdir("/proc/self/fd"))
        journal = Journal(tmp_path, segment_bytes=4096)
        await journal.write(*range(100))
        await journal.writer.close()
        assert len(os.listdir("/proc/self/fd")) == before

    run(scenario)
    places = positions(tmp_path)
    assert len(places) > 3
    assert all(place.closed and not place.damages for place in places)
    assert numbers_in(tmp_path) == list(range(100))
    # The last one may have been made ahead of time and not been needed.
    assert all(place.end for place in places[:-1])
    for place in places:
        assert (
            len(list(read_frames(tmp_path, place.segment, place.end // 2, 1000).entries()))
            == place.end - place.end // 2
        )


def test_a_new_process_opens_a_new_segment_of_the_same_spool(tmp_path: Path) -> None:
    async def start(boot: int) -> None:
        journal = Journal(tmp_path, boot)
        await journal.write(boot)
        await journal.writer.close()

    asyncio.run(start(1))
    asyncio.run(start(2))
    first, second = all_batches(tmp_path)
    assert first.spool == second.spool
    assert (first.segment, second.segment) == (0, 1)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_number_is_taken_once_also_when_all_segments_have_gone(tmp_path: Path, is_damaged: bool) -> None:
    """Of two segments with one number the second would be taken for sealed, and its usage never read."""

    async def start(boot: int) -> None:
        journal = Journal(tmp_path, boot)
        await journal.write(boot)
        await journal.writer.close()

    numbers: list[int] = []
    for boot in (1, 2, 3):
        asyncio.run(start(boot))
        places = positions(tmp_path)
        if is_damaged and boot == 1:
            damage(segments(tmp_path)[0])
        release(tmp_path, {place.segment: place.end for place in places})
        assert segments(tmp_path) == []
        numbers += [place.segment for place in places]
    assert numbers == sorted(set(numbers))


def damage(path: Path) -> None:
    """Flip a bit in a frame."""
    data = bytearray(path.read_bytes())
    data[frame_offsets(bytes(data))[0] + 30] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("note", ["numbered", "released"])
def test_no_number_is_given_while_a_note_of_those_that_were_taken_cannot_be_read(tmp_path: Path, note: str) -> None:
    """A segment of a former number would be taken for one that is sealed."""
    (tmp_path / "numbered").write_text("7")
    (tmp_path / "released").write_text("7")
    assert next_number(tmp_path) == 7
    (tmp_path / note).unlink()
    (tmp_path / note).mkdir()
    with pytest.raises(IsADirectoryError):
        next_number(tmp_path)


def test_only_one_process_writes_a_spool(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        with pytest.raises(SpoolBusy, match="another process"):
            Journal(tmp_path)
        await journal.writer.close()

    run(scenario)


# A file that a killed process leaves: here the file as it was, cut or filled up at every byte of the last frame.


def segment_of(tmp_path: Path, count: int) -> bytes:
    """The bytes of a live segment with `count` frames, without the preallocated rest."""

    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=1 << 16)
        await journal.write(*range(count))
        live.append(segments(tmp_path)[0].read_bytes().rstrip(b"\0"))
        await journal.writer.close()

    live: list[bytes] = []
    run(scenario)
    return live[0]


def frame_offsets(data: bytes) -> list[int]:
    offsets, at = [], SEGMENT_HEADER_BYTES
    while data[at : at + 4] == b"CWFR":
        offsets.append(at)
        at += FRAME_HEADER_BYTES + int.from_bytes(data[at + 4 : at + 8], "little")
    return offsets


@pytest.mark.parametrize("rest", [b"", b"\0" * 5000], ids=["cut", "preallocated"])
def test_a_torn_end_is_no_damage(tmp_path: Path, rest: bytes) -> None:
    data = segment_of(tmp_path / "model", 3)
    last = frame_offsets(data)[2]
    spool = tmp_path / "spool"
    spool.mkdir()
    for cut in range(last, len(data), 7):
        (spool / f"{0:016d}.seg").write_bytes(acknowledging(2, data[:cut]) + rest)
        (place,) = positions(spool)
        assert (place.end, place.damages) == (2, ())
        assert numbers_in(spool) == [0, 1]


# How many frames the header acknowledges, of three · what is done to the last · frames read · frames lost
LAST_FRAMES = [
    ("killed in the middle of the write", 2, "half", [0, 1], None),
    ("killed before anybody was told", 2, "whole", [0, 1, 2], None),
    ("one bit flipped after it was acknowledged", 3, "flipped", [0, 1], (2, 3)),
    ("cut off after it was acknowledged", 3, "half", [0, 1], (2, 3)),
    ("gone after it was acknowledged", 3, "none", [0, 1], (2, 3)),
    ("power lost before the mark reached the disk", 0, "half", [0, 1], None),
]


@pytest.mark.parametrize(("acknowledged", "last", "read", "lost"), [row[1:] for row in LAST_FRAMES])
def test_a_last_frame_that_was_acknowledged_is_never_taken_for_a_torn_one(
    tmp_path: Path, acknowledged: int, last: str, read: list[int], lost: tuple[int, int] | None
) -> None:
    data = segment_of(tmp_path / "model", 3)
    at = frame_offsets(data)[2]
    flipped = bytearray(data)
    flipped[at + 40] ^= 4
    kept = {"half": data[: at + 50], "whole": data, "none": data[:at], "flipped": bytes(flipped)}[last]
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"{0:016d}.seg").write_bytes(acknowledging(acknowledged, kept) + b"\0" * 500)
    (place,) = positions(spool)
    assert [(damage.first, damage.end) for damage in place.damages] == ([lost] if lost else [])
    assert numbers_in(spool) == read
    assert place.end == (lost[1] if lost else len(read)), "a batch reaches over what is lost"
    if lost:
        (damage,) = place.damages
        assert (damage.boot, damage.since_ns) == (1, 1000)


def acknowledging(frames: int, data: bytes) -> bytes:
    """A segment whose header says that so many of its frames were acknowledged."""
    return data[:60] + frames.to_bytes(4, "little") + data[64:]


def test_what_was_acknowledged_is_in_the_header_before_anybody_hears_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        for count in (1, 2, 3):
            await journal.write(count)
            data = segments(tmp_path)[0].read_bytes()
            assert int.from_bytes(data[60:64], "little") == count
        await journal.writer.close()

    run(scenario)


@pytest.mark.parametrize("at", [3, 9, 20, 35, 45, 50, 57])
def test_a_damaged_header_loses_nothing(tmp_path: Path, at: int) -> None:
    data = bytearray(segment_of(tmp_path / "model", 3))
    spool = tmp_path / "spool"
    shutil.copytree(tmp_path / "model", spool)
    before = positions(spool)[0].spool
    data[at] ^= 2
    (spool / f"{0:016d}.seg").write_bytes(data)
    (place,) = positions(spool)
    assert (place.spool, place.end, place.damages) == (before, 3, ())
    assert numbers_in(spool) == [0, 1, 2]


def test_a_header_that_is_written_while_somebody_looks_is_no_damage(tmp_path: Path) -> None:
    data = segment_of(tmp_path / "model", 3)
    path = tmp_path / f"{0:016d}.seg"
    path.write_bytes(bytes(len(data)))
    (listed,) = list_segments(tmp_path)
    assert listed.header is None
    (blank,) = positions(tmp_path)
    assert (blank.is_blank, blank.closed) == (True, False)
    path.write_bytes(data)
    place = _position(listed, [])
    assert (place.end, place.damages) == (3, ())


def test_a_segment_of_which_all_was_lost_is_damage_in_a_batch_without_records(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.write(1)
        await journal.writer.close()

    run(scenario)
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[FRAME_HEADER_BYTES + SEGMENT_HEADER_BYTES + 5] ^= 1
    path.write_bytes(data)
    (batch,) = all_batches(tmp_path)
    assert (batch.first, batch.end, batch.records, len(batch.damages)) == (0, 1, (), 1)


def test_damage_in_the_middle_is_reported_with_file_and_offset_and_the_rest_is_read(tmp_path: Path) -> None:
    data = segment_of(tmp_path / "model", 5)
    second, third = frame_offsets(data)[1:3]
    spool = tmp_path / "spool"
    spool.mkdir()
    for at in range(second, third, 11):
        damaged = bytearray(data)
        damaged[at] ^= 0xFF
        (spool / f"{0:016d}.seg").write_bytes(damaged + b"\0" * 100)
        (place,) = positions(spool)
        (damage,) = place.damages
        assert (damage.offset, damage.first, damage.end) == (second, 1, 2)
        assert str(spool) in str(damage)
        assert numbers_in(spool) == [0, 2, 3, 4]
        assert read_frames(spool, 0, 0, 100).damages == (damage,)
        assert read_frames(spool, 0, 1, 100).damages == (damage,)
        assert read_frames(spool, 0, 2, 100).damages == (), "it was told of with the frames before"


@pytest.mark.parametrize(("ends", "since_ns"), [(False, 1000), (True, 2000)], ids=["under way", "ended"])
def test_damage_is_of_the_time_since_the_oldest_attempt_under_way(tmp_path: Path, ends: bool, since_ns: int) -> None:
    """That attempt may have ended in the frame that is lost; else the frame's events follow the last before it."""

    async def scenario() -> None:
        journal = Journal(tmp_path)
        journal.begin(1, 1000)
        if ends:
            journal.end(1, 1000)
        for number in (2, 3, 4):
            journal.begin(number, 1000 * number)
            journal.end(number, 1000 * number)
            assert await journal.commit() is None
        await journal.writer.close()

    run(scenario)
    (path,) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[frame_offsets(bytes(data))[1] + FRAME_HEADER_BYTES + 3] ^= 1
    path.write_bytes(data)
    (damage,) = positions(tmp_path)[0].damages
    assert (damage.first, damage.end, damage.since_ns, damage.until_ns) == (1, 2, since_ns, 4000)


# Bytes in blocks of eight · what is looked for · from where
SOUGHT = [
    (b"abcd", b"abcd", 0),
    (b"......ab" + b"cd......", b"abcd", 0),
    (b"......ab" + b"cd......", b"abcd", 7),
    (bytes(8) + b"abcd", b"abcd", 0),
    (b"......ab" + bytes(8) + b"cd......", b"abcd", 0),
    (b"......ab" + bytes(8) + b"abcd....", b"abcd", 0),
    (b"........" + b"abcd", b"abcd", 9),
]


@pytest.mark.parametrize(("data", "needle", "begin"), SOUGHT)
def test_bytes_are_found_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, needle: bytes, begin: int
) -> None:
    monkeypatch.setattr(reader, "_BLOCK_BYTES", 8)
    path = tmp_path / "file"
    path.write_bytes(data)
    with _File(path) as file:
        assert file.find(needle, begin) == data.find(needle, begin)


def test_a_length_beyond_the_end_of_a_file_takes_no_memory(tmp_path: Path) -> None:
    """A damaged header may claim any."""
    path = tmp_path / "file"
    path.write_bytes(b"abcd")
    with _File(path) as file:
        assert file.at(1, 1 << 62) == b"bcd"


@pytest.mark.parametrize("read_before", [False, True], ids=["a hole", "zeros in the cache"])
def test_a_frame_is_found_wherever_it_stands_in_a_preallocated_segment(tmp_path: Path, read_before: bool) -> None:
    """Even where it begins in one block that is read and ends in the next, or stands behind megabytes never written."""
    data = segment_of(tmp_path / "model", 3)
    last = frame_offsets(data)[2]
    spool, size = tmp_path / "spool", 8 << 20
    spool.mkdir()
    for place in [(blocks << 20) - back for blocks in (1, 2, 5) for back in range(5)] + [size - len(data)]:
        path = spool / f"{0:016d}.seg"
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            os.pwrite(file.fileno(), data[:last], 0)
            os.pwrite(file.fileno(), data[last:], place)
        assert not read_before or len(path.read_bytes()) == size
        (position,) = positions(spool)
        (damage,) = position.damages
        assert (position.end, damage.offset, damage.reason) == (3, last, f"{place - last} bytes fail their checksum")
        path.unlink()


def test_one_damaged_frame_takes_no_others_with_it(tmp_path: Path) -> None:
    """Whichever it is, the one with the first labels too: they are written again in later frames."""
    data = segment_of(tmp_path / "model", 9)
    spool = tmp_path / "spool"
    spool.mkdir()
    for number, at in enumerate(frame_offsets(data)):
        damaged = bytearray(data)
        damaged[at + FRAME_HEADER_BYTES + 3] ^= 1
        (spool / f"{0:016d}.seg").write_bytes(damaged)
        left = [each for each in range(9) if each != number]
        assert numbers_in(spool) == left
        frame_by_frame = all_batches(spool, 1)
        assert [record.request.number for batch in frame_by_frame for record in batch.records] == left
        assert len(positions(spool)[0].damages) == 1


def test_records_whose_labels_were_lost_are_reported_not_guessed(tmp_path: Path) -> None:
    data = bytearray(segment_of(tmp_path / "model", 4))
    for at in frame_offsets(bytes(data))[:3]:  # those with labels
        data[at + FRAME_HEADER_BYTES + 3] ^= 1
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"{0:016d}.seg").write_bytes(data)
    batch = read_frames(spool, 0, 0, 100)
    assert batch.records == ()
    reasons = [damage.reason for damage in batch.damages]
    assert len(reasons) == 2
    assert reasons[1] == "the labels of 2 records were lost, and they with them", "an intent and a usage record"
    assert (batch.intents, batch.intent_frames) == ((), ())


def test_a_later_frame_has_the_labels_of_damaged_ones(tmp_path: Path) -> None:
    data = bytearray(segment_of(tmp_path / "model", 6))
    for at in frame_offsets(bytes(data))[:3]:
        data[at + FRAME_HEADER_BYTES + 3] ^= 1
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"{0:016d}.seg").write_bytes(data)
    batch = read_frames(spool, 0, 0, 2)  # without the fifth frame, which has them
    assert [record.request.number for record in batch.records] == [3]
    assert (batch.intent_frames, len(batch.damages)) == ((3,), 1)


def test_a_full_segment_without_its_end_is_damage(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=4096)
        await journal.write(*range(100))
        await journal.writer.close()

    run(scenario)
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-200])
    (damage,) = positions(tmp_path)[0].damages
    assert damage.reason == "the last frames that were acknowledged cannot be read"
    path.write_bytes(acknowledging(0, path.read_bytes()))
    assert "end is missing" in positions(tmp_path)[0].damages[0].reason, "as journals say of before it was counted"
    assert positions(tmp_path)[0].closed, "nobody writes there any more"


def test_a_segment_that_is_written_is_whole_although_the_next_one_is_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=4096)
        number = 0
        while len(segments(tmp_path)) < 2:
            await journal.write(number)
            number += 1
        written, ahead = positions(tmp_path)
        assert (written.end, written.closed, written.damages) == (number, False, ())
        assert (ahead.end, ahead.closed) == (0, False)
        await journal.writer.close()

    run(scenario)


def test_a_segment_of_a_killed_process_is_closed_by_the_next_start(tmp_path: Path) -> None:
    data = segment_of(tmp_path / "model", 3)
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / f"{0:016d}.seg").write_bytes(data + b"\0" * 100)
    (alone,) = positions(spool)
    assert (alone.end, alone.closed) == (3, False)

    async def scenario() -> None:
        journal = Journal(spool, boot=2)
        await journal.write(9)
        await journal.writer.close()

    run(scenario)
    first, _ = positions(spool)
    assert (first.end, first.closed, first.damages) == (3, True, ())
    assert numbers_in(spool) == [0, 1, 2, 9]


def test_attempts_that_a_dead_process_left_open_are_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.write(1)
        journal.begin(2)
        journal.begin(3)
        await journal.commit()
        journal.end(2)
        await journal.commit()
        await journal.writer.close()

    run(scenario)
    (attempt,) = open_attempts(tmp_path)
    assert attempt.intent.request.number == 3
    assert (attempt.buyer, attempt.deployment, attempt.ruling) == (BUYER, DEPLOYMENT, RULING)


def test_only_the_oldest_segment_wholly_sealed_and_with_nothing_open_is_let_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=4096)
        journal.begin(1000)
        await journal.write(*range(60))
        first, second = positions(tmp_path)[:2]
        assert not release(tmp_path, {first.segment: first.end}), "an attempt begun in it is open"
        journal.end(1000)
        await journal.commit()
        assert not release(tmp_path, {first.segment: first.end - 1}), "a frame is not sealed yet"
        assert not release(tmp_path, {second.segment: second.end}), "an older one exists"
        assert release(tmp_path, {first.segment: first.end}) == [first.segment]
        assert positions(tmp_path)[0] == second
        left = positions(tmp_path)
        released = release(tmp_path, {place.segment: place.end for place in left})
        closed = [place.segment for place in left if place.closed]
        assert released == closed != [], "the segment that is being written stays"
        await journal.writer.close()

    run(scenario)
    assert len(segments(tmp_path)) >= 1


def test_all_that_may_go_goes_after_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their number, each segment is opened as often: where all were read again for each, many took minutes."""
    opened: list[Path] = []
    real = _File.__init__

    def counted(self: _File, path: Path) -> None:
        opened.append(path)
        real(self, path)

    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=4096)
        await journal.write(*range(120))
        await journal.writer.close()

    run(scenario)
    places = positions(tmp_path)
    assert len(places) > 4
    with monkeypatch.context() as patched:
        patched.setattr(_File, "__init__", counted)
        released = release(tmp_path, {place.segment: place.end for place in places})
    assert released == [place.segment for place in places]
    assert set(Counter(opened).values()) == {2}, "for how far it goes, and for what is open"


def test_a_damaged_segment_is_kept_aside(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        await journal.write(1, 2, 3)
        await journal.writer.close()

    run(scenario)
    path = segments(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[frame_offsets(bytes(data))[1] + 30] ^= 1
    path.write_bytes(data)
    assert release(tmp_path, {0: 3}) == [0]
    assert [file.name for file in tmp_path.glob("*.damaged")] == [f"{0:016d}.seg.damaged"]


@contextlib.contextmanager
def small_files(size: int) -> Iterator[None]:
    """A limit on the size of this process's files, set by the kernel: writing beyond it fails, in part or whole.

    Lifted before the test returns: the suite's own output may be a file too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fails_makes_the_writer_fail_closed(tmp_path: Path) -> None:
    told_durable: list[int] = []

    async def scenario() -> None:
        journal = Journal(tmp_path)
        with small_files(4000):
            for number in range(100):
                journal.end(number)
                error = await journal.commit()
                if error is not None:
                    break
                told_durable.append(number)
            assert error is not None
            assert journal.writer.failure is error
            journal.end(100)
            assert await journal.commit() is error, "and nothing is durable any more"
        await journal.writer.close()

    run(scenario)
    assert 5 < len(told_durable) < 50
    assert numbers_in(tmp_path) == told_durable


@pytest.mark.parametrize("removed", ["the segment", "the folder"])
def test_nothing_is_acknowledged_in_a_journal_that_was_removed(tmp_path: Path, removed: str) -> None:
    """Its writes still succeed, in a file that ends with the process."""

    async def scenario() -> None:
        directory = tmp_path / "spool"
        journal = Journal(directory)
        await journal.write(1)
        [segment] = segments(directory)
        if removed == "the folder":
            shutil.rmtree(directory)
        else:
            segment.unlink()
        journal.begin(2)
        journal.end(2)
        error = await journal.commit()
        assert isinstance(error, FileNotFoundError)
        assert error.filename == str(directory)
        assert journal.writer.failure is error
        with contextlib.suppress(OSError):
            await journal.writer.close()

    run(scenario)


def test_making_a_segment_takes_no_memory_for_its_zeros(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=16 << 20)
        tracemalloc.start()
        try:
            segment = journal.writer._create(1, 16 << 20)
            assert tracemalloc.get_traced_memory()[1] < 128 << 10
        finally:
            tracemalloc.stop()
        os.close(segment.descriptor)
        await journal.writer.close()

    run(scenario)
    assert set(segments(tmp_path)[1].read_bytes()[SEGMENT_HEADER_BYTES:]) == {0}


@pytest.mark.parametrize(
    ("begin", "end"), [(0, 10), (0, 4096), (0, 2_200_000), (64, 70_000), (65_530, 1_200_000), (131_072, 131_072)]
)
def test_zeros_fill_their_part_of_a_segment_and_no_more(tmp_path: Path, begin: int, end: int) -> None:
    file, size = tmp_path / "segment", 2_300_000
    file.write_bytes(b"\xff" * size)
    with file.open("r+b") as segment:
        fill_with_zeros(segment.fileno(), begin, end)
    assert file.read_bytes() == b"\xff" * begin + bytes(end - begin) + b"\xff" * (size - end)


# As a command in a second container asks, over the same volume: it sees no process of the first.
IN_ANOTHER_CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c")
ASKS = (
    "import sys; from pathlib import Path; from clauseway.spool import is_written; print(is_written(Path(sys.argv[1])))"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a namespace of processes")
def test_a_writer_is_seen_from_another_container(tmp_path: Path) -> None:
    def seen() -> tuple[bool, str]:
        asked = subprocess.run([*IN_ANOTHER_CONTAINER, ASKS, str(tmp_path)], capture_output=True, text=True, check=True)
        return is_written(tmp_path), asked.stdout.strip()

    assert seen() == (False, "False")
    held = lock(tmp_path)
    assert seen() == (True, "True")
    os.close(held)
    assert seen() == (False, "False")


def test_a_writer_of_an_earlier_version_is_seen_and_keeps_others_out(tmp_path: Path) -> None:
    """It held the lock of the whole file alone, which only the table of this container's locks shows."""
    (tmp_path / "writer.lock").touch()
    with (tmp_path / "writer.lock").open() as former:
        fcntl.flock(former, fcntl.LOCK_EX)
        assert is_written(tmp_path)
        with pytest.raises(SpoolBusy):
            lock(tmp_path)
    assert not is_written(tmp_path)


@pytest.mark.parametrize("asks", [is_written, lock], ids=["whether it is written", "to write it"])
def test_where_no_lock_of_an_open_file_can_be_had_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asks: Callable[[Path], object]
) -> None:
    """As on a file system that does not know such locks. Nobody is told that the journal is free."""

    def unknown(*_: object) -> bytes:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    (tmp_path / "writer.lock").touch()
    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as kernel:
        kernel.setattr(fcntl, "fcntl", unknown)
        with pytest.raises(OSError, match="not supported"):
            asks(tmp_path)
    assert set(os.listdir("/proc/self/fd")) <= before
    # The first of the two locks is free again, too.
    os.close(lock(tmp_path))
