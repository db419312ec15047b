"""Limits that a client or a cloud runs into, and the wheel that keeps the time."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from gateway_rig import Connection, Received, Rig, chat_body, read_all, request_bytes, well

from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.transport.timers import Wheel

SHORT_LIMITS = str(Path(__file__).with_name("short_limits.py"))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start(launcher=(SHORT_LIMITS,))
        yield started


def test_an_idle_connection_is_closed_in_silence(rig: Rig) -> None:
    with rig.socket() as connection:
        assert read_all(connection) == b""


@pytest.mark.parametrize(
    "begin", [b"POST /v1/chat", request_bytes(b"").replace(b"length: 0", b"length: 9") + b"{"], ids=["head", "body"]
)
def test_a_request_that_does_not_go_on_is_given_up(rig: Rig, begin: bytes) -> None:
    with rig.socket() as connection:
        connection.sendall(begin)
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_connection_is_idle_anew_after_each_answer(rig: Rig) -> None:
    with rig.socket() as connection:
        for _ in range(4):
            connection.sendall(request_bytes(chat_body()))
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.15)
        assert read_all(connection) == b""


def test_connections_beyond_the_limit_are_told_so(rig: Rig) -> None:
    held = [rig.socket() for _ in range(8)]
    try:
        for connection in held:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        with rig.socket() as ninth:
            answer = read_all(ninth)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"too_many_connections" in answer
    finally:
        for connection in held:
            connection.close()


def test_an_answer_without_end_is_no_answer(rig: Rig) -> None:
    async def endless(connection: Connection, _: Received) -> None:
        connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            connection.writer.write(b"x" * 10_000)
            await connection.writer.drain()

    rig.clouds["azure"].behaviour = endless
    answer = rig.post()
    rig.clouds["azure"].behaviour = well
    assert answer.status_code == 502
    assert "more than 100000 bytes" in answer.json()["error"]["message"]


def test_every_limit_has_its_reason_and_its_bounds() -> None:
    for field in msgspec.structs.fields(Limits):
        (note,) = field.type.__metadata__
        assert len(note.description) > 30, f"{field.name} has no reason beside it"
        assert note.ge <= field.default <= note.le, field.name


class Something:
    def __init__(self) -> None:
        self.due_s = 0.0
        self.slot_s = 0.0
        self.fired_s: list[float] = []

    def expired(self) -> None:
        self.fired_s.append(time.monotonic())


def test_the_wheel_fires_once_after_the_deadline_wherever_it_was_moved() -> None:
    async def scenario() -> None:
        wheel = Wheel(asyncio.get_running_loop())
        begin_s = time.monotonic()
        later, sooner, again, past = Something(), Something(), Something(), Something()
        wheel.arm(later, begin_s + 0.1)
        wheel.arm(later, begin_s + 0.4)
        wheel.arm(sooner, begin_s + 500)
        wheel.arm(sooner, begin_s + 0.2)
        wheel.arm(again, begin_s + 0.1)
        wheel.arm(past, begin_s - 5)
        async with asyncio.timeout(10):
            while not later.fired_s:
                await asyncio.sleep(0.01)
        wheel.stop()
        expected = [(later, 0.4), (sooner, 0.2), (again, 0.1), (past, 0.0)]
        for one, due in expected:
            (fired_s,) = one.fired_s
            assert due <= fired_s - begin_s, "never early"

    asyncio.run(scenario())
