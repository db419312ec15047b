"""A reservation for a resource that runs on: moved to a lease of its own, ended once, told again if unheard."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from time import time_ns
from typing import Any

import msgspec
import pytest
from gateway_stage import typed
from test_allowances import budget
from test_resource_index import row

from allowance_plans import opened
from clauseway.gateway.budgets.allowances import Allowances
from clauseway.gateway.budgets.leases import Ask, GrantedLease, LocalLeaseServer
from clauseway.gateway.clouds.reports import responses_report_in
from clauseway.gateway.request.holds import _LOOKED_AT_MAX, _STREAMS_MAX, Holds, Reservation
from clauseway.gateway.request.resource_index import Hold, ResourceIndex
from clauseway.gateway.wire.typed_streams import TypedStream

COST = 40
LONG_AGO_NS = 60_000_000_000


class Hearing(LocalLeaseServer):
    """A lease server that keeps what it heard of leases of their own; while it `is_away`, it hears nothing."""

    def __init__(self) -> None:
        super().__init__({"b": 1000})
        self.heard: list[tuple[bool, int]] = []
        self.is_away = False
        self.may_answer: asyncio.Event | None = None
        self.calls = 0

    async def lease(self, asks: Sequence[Ask]) -> Sequence[GrantedLease]:
        self.calls += 1
        if self.is_away:
            raise ConnectionRefusedError
        if self.may_answer is not None:
            await self.may_answer.wait()
        self.heard += [(ask.over, ask.spent if ask.over else ask.target) for ask in asks if ask.holder]
        return await super().lease(asks)


class Stage:
    """One process: its index, its slice of a budget, and its reservations."""

    def __init__(self, path: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.index = ResourceIndex(path / "issued.db", self.loop)
        self.lease_server = Hearing()
        self.allowances = Allowances(self.lease_server)
        self.allowance = opened(self.allowances, budgets=[budget()])
        (self.slice,) = self.allowance.slices("azure", "gpt-5.5")
        self.holds = Holds(self.loop, self.allowances, self.index)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(work)

    async def reserve(self, cost: int = COST) -> Reservation:
        while (short := self.allowance.reserve("azure", "gpt-5.5", cost, 0, 0.0)) is not None:
            assert await self.allowances.grow(short)
        return Reservation(self.allowance, "azure", "gpt-5.5", cost, 0, outlives_process=True)

    def add(self, *, age_ns: int = 0) -> None:
        """A batch that is pending, with its hold."""
        resource = row("batch_1", pending=True)
        hold = Hold("batch_1", ("b",), COST, time_ns() - age_ns)
        self.index.add([msgspec.structs.replace(resource, hold=hold)], lambda _outcome: None)
        self.index.flush()

    async def keep(self) -> None:
        self.add()
        self.holds.keep("batch_1", await self.reserve())

    async def look(self, now_s: float) -> None:
        self.index.flush()
        self.holds.look(now_s)
        while self.holds.is_working:
            await asyncio.sleep(0)
        self.index.flush()

    def close(self) -> None:
        self.index.close()
        self.loop.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    opened_stage = Stage(tmp_path)
    yield opened_stage
    opened_stage.close()


# When the batch ends with a charge of 7 → what is spent of this process's slice, and what the lease server hears.
ENDS = {
    "before it is moved": (7, [(True, 0)]),
    "once it is moved": (0, [(False, COST), (True, 7)]),
}


@pytest.mark.parametrize("when", ENDS)
def test_a_batch_is_paid_once_by_the_slice_or_by_its_lease(stage: Stage, when: str) -> None:
    async def end() -> None:
        await stage.keep()
        if when == "once it is moved":
            await stage.look(0.0)
            assert (stage.slice.reserved, len(stage.holds)) == (0, 0)
        assert stage.holds.end_reservation("batch_1", 7, 0)
        await stage.look(1.0)
        assert (stage.slice.reserved, stage.slice.spent) == (0, ENDS[when][0])
        assert stage.lease_server.heard == ENDS[when][1]
        assert not stage.index.is_held("batch_1")
        assert not stage.holds.end_reservation("batch_1", 7, 0)
        await stage.look(60.0)
        assert stage.lease_server.heard == ENDS[when][1], "it was told, and is told no more"

    stage.run(end())


def test_a_batch_that_ends_while_others_ask_is_not_moved(stage: Stage) -> None:
    async def end() -> None:
        await stage.keep()
        answered = asyncio.Event()
        stage.slice.lease_task = asyncio.create_task(answered.wait())
        stage.holds.look(0.0)
        await asyncio.sleep(0)
        assert stage.holds.end_reservation("batch_1", 7, 0)
        answered.set()
        stage.slice.lease_task = None
        await stage.look(0.0)
        assert (stage.slice.reserved, stage.slice.spent) == (0, 7)
        assert (False, COST) not in stage.lease_server.heard

    stage.run(end())


def test_what_cannot_be_moved_stays_reserved_until_it_can(stage: Stage) -> None:
    async def move() -> None:
        await stage.keep()
        stage.lease_server.is_away = True
        await stage.look(0.0)
        assert (stage.slice.reserved, len(stage.holds)) == (COST, 1)
        stage.lease_server.is_away = False
        await stage.look(1.0)
        assert (stage.slice.reserved, len(stage.holds)) == (0, 0)
        assert stage.lease_server.heard == [(False, COST)]
        assert not stage.index.open_holds(9), "nothing is left to be told"

    stage.run(move())


def test_a_stop_moves_what_outlives_the_process(stage: Stage) -> None:
    async def stop() -> None:
        await stage.keep()
        await stage.look(0.0)
        stage.holds.end_reservation("batch_1", 7, 0)
        stage.index.flush()
        stage.lease_server.may_answer = asyncio.Event()
        stage.holds.look(1.0)
        stopping = asyncio.create_task(stage.holds.close())
        for _ in range(9):
            await asyncio.sleep(0)
        assert not stopping.done(), "the end that is being told is waited for"
        stage.lease_server.may_answer.set()
        await stopping
        assert not stage.holds.is_working
        stage.holds.keep("batch_2", await stage.reserve())
        await stage.holds.close()
        assert stage.slice.reserved == 0
        assert stage.lease_server.heard == [(False, COST), (True, 7), (False, COST)]

    stage.run(stop())


# A hold in the index that no process here has, so old → is it told to the lease server?
@pytest.mark.parametrize(("age_ns", "heard"), [(0, []), (LONG_AGO_NS, [(False, COST)])])
def test_the_hold_of_a_process_that_died_is_told_by_another(
    stage: Stage, age_ns: int, heard: list[tuple[bool, int]]
) -> None:
    async def look() -> None:
        stage.add(age_ns=age_ns)
        for now_s in (0.0, 60.0):
            await stage.look(now_s)
            assert stage.lease_server.heard == heard

    stage.run(look())


def test_an_end_that_was_not_heard_is_told_again_after_a_while(stage: Stage) -> None:
    async def tell() -> None:
        await stage.keep()
        await stage.look(0.0)
        stage.holds.end_reservation("batch_1", 7, 0)
        stage.lease_server.is_away = True
        calls = []
        for now_s in (1.0, 2.0, 5.9, 6.0):
            await stage.look(now_s)
            calls.append(stage.lease_server.calls)
        assert [after - calls[0] for after in calls] == [0, 0, 0, 1]
        stage.lease_server.is_away = False
        await stage.look(11.0)
        assert stage.lease_server.heard[-1] == (True, 7)
        assert not stage.index.is_held("batch_1")

    stage.run(tell())


def test_an_identifier_that_a_cloud_gives_twice_has_one_reservation(stage: Stage) -> None:
    async def keep() -> None:
        stage.holds.keep("batch_1", await stage.reserve(30))
        stage.holds.keep("batch_1", await stage.reserve(10))
        assert (stage.slice.reserved, len(stage.holds)) == (10, 1)

    stage.run(keep())


def test_each_reservation_is_looked_at_in_turn(stage: Stage) -> None:
    """There is one more than are looked at together: that one was metered by another worker."""
    kept = [f"resp_{number}" for number in range(_LOOKED_AT_MAX + 1)]

    async def look() -> None:
        for identifier in kept:
            stage.index.add([row(identifier, pending=True)], lambda _outcome: None)
            stage.holds.keep(identifier, (await stage.reserve(1))._replace(outlives_process=False))
        stage.index.claim(kept[-1], "req_a", lambda _outcome: None)
        stage.index.mark_metered(kept[-1])
        stage.index.flush()
        for now_s, left in ((0.0, len(kept)), (1.0, len(kept)), (5.0, len(kept)), (6.0, len(kept) - 1)):
            await stage.look(now_s)
            assert len(stage.holds) == left
        assert not stage.holds._ended_s

    stage.run(look())


def test_a_reservation_of_what_is_pending_again_stays(stage: Stage) -> None:
    """Its identifier was given a second time: the time since its first end does not count."""

    def meter() -> None:
        stage.index.claim("resp_1", "req_a", lambda _outcome: None)
        stage.index.mark_metered("resp_1")

    def make() -> None:
        stage.index.forget("resp_1", lambda _outcome: None)
        stage.index.add([row("resp_1", pending=True)], lambda _outcome: None)

    async def look() -> None:
        make()
        stage.holds.keep("resp_1", (await stage.reserve())._replace(outlives_process=False))
        for now_s, happens, left in ((1.0, meter, 1), (3.0, make, 1), (5.0, meter, 1), (9.9, None, 1), (10.0, None, 0)):
            if happens is not None:
                happens()
            await stage.look(now_s)
            assert len(stage.holds) == left, now_s

    stage.run(look())


def test_steps_are_told_by_one_task(stage: Stage) -> None:
    async def look() -> None:
        await stage.keep()
        stage.holds.look(0.0)
        task = stage.holds._task
        stage.holds.look(0.0)
        assert stage.holds._task is task
        await stage.look(0.0)

    stage.run(look())


def test_of_cancelled_responses_the_latest_are_known(stage: Stage) -> None:
    for_s: Callable[[str, float], float] = stage.holds.end_reported_for_s
    first, second, last = "resp_0", "resp_1", f"resp_{_STREAMS_MAX}"
    assert {for_s(f"resp_{number}", 1.0) for number in range(_STREAMS_MAX + 1)} == {0.0}
    assert [for_s(last, 5.0), for_s(second, 5.0)] == [4.0, 4.0]
    assert for_s(first, 5.0) == 0.0
    stage.holds.forget_response(last)
    assert for_s(last, 9.0) == 0.0


def test_of_streams_in_the_background_the_latest_are_counted(stage: Stage) -> None:
    stream = TypedStream(responses_report_in, (), runs_on=True)
    stream.feed(typed("response.output_text.delta", 0, delta="word"))
    for number in range(_STREAMS_MAX + 1):
        stage.holds.note_stream(f"resp_{number}", stream)
    assert [stage.holds.events_streamed(identifier) for identifier in ("resp_0", "resp_1")] == [0, 1]
    stage.holds.forget_response("resp_1")
    assert stage.holds.events_streamed("resp_1") == 0
