"""Requests that dead processes left open in a journal, read behind the requests of the one that serves."""

import random
from collections.abc import Generator
from pathlib import Path

import pytest
from test_spool_journal import BUYER, DEPLOYMENT, RULING, Journal, all_batches, run, segments

from clauseway.metering import RequestId, Status
from clauseway.spool import OpenAttempt, Unended, open_attempts, positions, reading_unended, release


def finish(reading: Generator[None, None, Unended]) -> tuple[Unended, int]:
    """Return the unended requests, and the number of steps."""
    steps = 0
    while True:
        try:
            next(reading)
        except StopIteration as done:
            return done.value, steps
        steps += 1


def numbers(attempts: list[OpenAttempt]) -> list[int]:
    return [attempt.intent.request.number for attempt in attempts]


def left_by_chance(directory: Path, chance: random.Random, boot: int) -> None:
    """Some hundred attempts that overlap, many frames and segments; some never end."""

    async def scenario() -> None:
        journal = Journal(directory, boot, segment_bytes=4096)
        going_on: list[int] = []
        for number in range(200):
            journal.begin(number)
            going_on.append(number)
            while going_on and chance.random() < 0.45:
                journal.end(going_on.pop(chance.randrange(len(going_on))))
            if chance.random() < 0.5:
                await journal.commit()
                await journal.write(1000 + number)
        await journal.writer.close()

    run(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_exactly_what_has_no_end_is_found(tmp_path: Path, seed: int) -> None:
    """Beside every record unpacked."""
    chance = random.Random(seed)
    for boot in (1, 2):
        left_by_chance(tmp_path, chance, boot)
    batches = all_batches(tmp_path, 50)
    ended = {record.request for batch in batches for record in batch.records}
    begun = [intent for batch in batches for intent in batch.intents]
    expected = [intent for intent in begun if intent.request not in ended]
    attempts = open_attempts(tmp_path)
    assert len(segments(tmp_path)) > 4
    assert 0 < len(expected) < len(begun)
    assert {attempt.intent for attempt in attempts} == set(expected)
    assert len(attempts) == len(expected)
    assert {(attempt.buyer, attempt.deployment, attempt.ruling) for attempt in attempts} == {
        (BUYER, DEPLOYMENT, RULING)
    }


def test_it_is_read_frame_by_frame_up_to_a_segment(tmp_path: Path) -> None:
    async def scenario(boot: int) -> None:
        journal = Journal(tmp_path, boot)
        journal.begin(7)
        await journal.write(*range(10, 15))
        await journal.writer.close()

    run(lambda: scenario(1))
    own = positions(tmp_path)[-1].segment + 1
    run(lambda: scenario(2))
    unended, steps = finish(reading_unended(tmp_path, own))
    assert [attempt.intent.request for attempt in unended.attempts] == [RequestId(1, 7)]
    assert steps == 5 + 1, "five frames and the closing one"
    assert len(open_attempts(tmp_path)) == 2


def test_of_the_requests_asked_about_those_with_usage_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path)
        journal.begin(2)
        await journal.write(1, 3)
        journal.begin(5)
        journal.end(5, status=Status.LOST)  # by an earlier start, which found it without an end
        await journal.commit()
        await journal.writer.close()

    run(scenario)
    requests = {RequestId(1, number) for number in (1, 2, 4, 5)}
    unended, _ = finish(reading_unended(tmp_path, requests=requests))
    assert unended.recorded == {RequestId(1, 1)}
    assert numbers(unended.attempts) == [2]


def test_what_ended_in_a_segment_that_goes_meanwhile_is_not_taken_for_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = Journal(tmp_path, segment_bytes=4096)
        journal.begin(7)
        await journal.write(*range(20, 60))
        journal.end(7)
        journal.begin(8)
        await journal.write(*range(60, 100))
        await journal.writer.close()

    run(scenario)
    oldest, *later = positions(tmp_path)
    reading = reading_unended(tmp_path)
    for _ in range(oldest.end):
        next(reading)
    # Seven has begun in what was read; its end goes before it is read.
    gone = release(tmp_path, {place.segment: place.end for place in (oldest, *later)})
    assert gone[0] == oldest.segment
    assert len(gone) > 1
    unended, _ = finish(reading)
    assert numbers(unended.attempts) == [8]
