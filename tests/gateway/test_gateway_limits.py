"""Limits that a client or a cloud runs into, and the wheel that keeps the time."""

import asyncio
import select
import socket
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest
from gateway_rig import (
    PATIENCE_S,
    Connection,
    Received,
    Rig,
    chat_body,
    compact,
    read_all,
    request_bytes,
    well,
)

from awaiting import eventually
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


HALF_A_BODY = request_bytes(b"").replace(b"length: 0", b"length: 9") + b"{"


@pytest.mark.parametrize(("begin", "then"), [(b"POST /v1/chat", b"x"), (HALF_A_BODY, b"")], ids=["head", "body"])
def test_a_request_that_does_not_go_on_is_given_up(rig: Rig, begin: bytes, then: bytes) -> None:
    """A head has all of its time once, however many bytes come in it."""
    with rig.socket() as connection:
        connection.sendall(begin)
        for _ in range(100):
            if select.select([connection], [], [], 0.1)[0]:
                break
            connection.sendall(then)
        else:
            raise AssertionError("it is never given up")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_a_connection_is_idle_anew_after_each_answer(rig: Rig) -> None:
    """It outlives one that asks no more after its first answer, and then it is idle itself."""
    with rig.socket() as silent, rig.socket() as asking:
        silent.sendall(request_bytes(chat_body()))
        assert read_answer(silent).startswith(b"HTTP/1.1 200")
        while not select.select([silent], [], [], 0)[0]:
            asking.sendall(request_bytes(chat_body()))
            assert read_answer(asking).startswith(b"HTTP/1.1 200")
        assert silent.recv(1) == b""
        asking.sendall(request_bytes(chat_body()))
        assert read_answer(asking).startswith(b"HTTP/1.1 200")
        assert read_all(asking) == b""


def read_answer(connection: socket.socket) -> bytes:
    """Read one whole answer that has a length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += some_of(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += some_of(connection)
    return head + body


def some_of(connection: socket.socket) -> bytes:
    data = connection.recv(4096)
    assert data, "closed within an answer"
    return data


def test_connections_beyond_the_limit_are_told_so(rig: Rig) -> None:
    azure, go_on = rig.clouds["azure"], threading.Event()
    asked = len(azure.requests)

    async def waiting(connection: Connection, request: Received) -> None:
        await asyncio.to_thread(go_on.wait, PATIENCE_S)
        await well(connection, request)

    azure.behaviour = waiting
    held = [rig.socket() for _ in range(8)]
    try:
        # Each is at work, so none of them becomes idle meanwhile.
        for connection in held:
            connection.sendall(request_bytes(chat_body()))
        eventually(lambda: len(azure.requests) - asked == 8)
        with rig.socket() as ninth:
            answer = read_all(ninth)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"too_many_connections" in answer
    finally:
        go_on.set()
        azure.behaviour = well
        for connection in held:
            connection.close()
    # A busy machine notices that they left a little later.
    eventually(lambda: rig.post().status_code == 200)


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
    assert "more than 100,000 bytes" in answer.json()["error"]["message"]


# Both arrive in one read, with their end.
@pytest.mark.parametrize(("text_bytes", "status"), [(99_000, 200), (101_000, 502)])
def test_an_answer_that_comes_at_once_is_held_to_the_limit_too(rig: Rig, text_bytes: int, status: int) -> None:
    async def at_once(connection: Connection, _: Received) -> None:
        message = {"role": "assistant", "content": "x" * text_bytes}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        connection.answer(200, compact({"choices": [choice], "usage": usage}))

    rig.clouds["azure"].behaviour = at_once
    answer = rig.post()
    rig.clouds["azure"].behaviour = well
    assert answer.status_code == status
    assert status == 200 or "more than 100,000 bytes" in answer.json()["error"]["message"]


def test_every_limit_has_its_reason_and_its_bounds() -> None:
    for field in msgspec.structs.fields(Limits):
        (note,) = field.type.__metadata__
        assert len(note.description) > 30, f"{field.name} has no reason beside it"
        assert note.ge <= field.default <= note.le, field.name


class Something:
    def __init__(self, name: str, fired: list[str]) -> None:
        self.due_s = 0.0
        self.slot_s = 0.0
        self._name, self._fired = name, fired

    def timer_fired(self) -> None:
        self._fired.append(self._name)


class Clock:
    """A clock turned by hand, and the loop that a wheel asks for its next turn."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.turn: Callable[[], None] = lambda: None

    def call_later(self, _: float, turn: Callable[[], None]) -> None:
        self.turn = turn


# seconds after the begin, which deadlines have passed by then
FIRED = [
    (0.0, []),
    (0.06, ["past"]),
    (0.16, ["past", "again"]),
    (0.19, ["past", "again"]),
    (0.26, ["past", "again", "sooner"]),
    (0.39, ["past", "again", "sooner"]),
    (0.46, ["past", "again", "sooner", "later"]),
    (9.0, ["past", "again", "sooner", "later"]),
    (499.9, ["past", "again", "sooner", "later"]),
    (500.1, ["past", "again", "sooner", "later", "far"]),
]


@pytest.mark.parametrize("step_s", [0.01, 0.05, 0.7], ids=["ahead", "on time", "a busy machine"])
def test_the_wheel_fires_once_after_the_deadline_wherever_it_was_moved(
    monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    clock, fired = Clock(), list[str]()
    monkeypatch.setattr(sys.modules[Wheel.__module__], "monotonic", lambda: clock.now_s)
    wheel = Wheel(cast(asyncio.AbstractEventLoop, clock))
    names = ("later", "sooner", "again", "past", "far")
    later, sooner, again, past, far = (Something(name, fired) for name in names)
    wheel.arm(later, 1000.1)
    wheel.arm(later, 1000.4)
    wheel.arm(sooner, 1500.0)
    wheel.arm(sooner, 1000.2)
    wheel.arm(again, 1000.1)
    wheel.arm(past, 995.0)
    wheel.arm(far, 1500.0)
    for after_s, expected in FIRED:
        while clock.now_s + step_s < 1000.0 + after_s:
            clock.now_s += step_s
            clock.turn()
        clock.now_s = 1000.0 + after_s
        clock.turn()
        assert fired == expected, f"{after_s} s after the begin"


def test_deadlines_hold_in_a_process_that_is_always_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turn after a standstill lets the loop read; the next one fires, however late it is itself."""
    clock, fired = Clock(), list[str]()
    monkeypatch.setattr(sys.modules[Wheel.__module__], "monotonic", lambda: clock.now_s)
    Wheel(cast(asyncio.AbstractEventLoop, clock)).arm(Something("due", fired), 1000.5)
    for expected in ([], ["due"]):
        clock.now_s += 1.0
        clock.turn()
        assert fired == expected


def test_slots_whose_entries_were_forgotten_keep_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that came and went in every slot of the wheel leave it as small as it was."""
    clock = Clock()
    monkeypatch.setattr(sys.modules[Wheel.__module__], "monotonic", lambda: clock.now_s)
    wheel = Wheel(cast(asyncio.AbstractEventLoop, clock))
    connections = [Something(str(number), []) for number in range(8)]
    tracemalloc.start()
    try:
        for _ in range(5000):
            for connection in connections:
                wheel.arm(connection, clock.now_s + 0.1)
            for connection in connections:
                wheel.forget(connection)
            clock.now_s += 0.05
            clock.turn()
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_entries_that_are_forgotten_leave_no_room_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once: the turn of their slots may be minutes away."""
    clock = Clock()
    monkeypatch.setattr(sys.modules[Wheel.__module__], "monotonic", lambda: clock.now_s)
    wheel = Wheel(cast(asyncio.AbstractEventLoop, clock))
    connection = Something("one", [])
    tracemalloc.start()
    try:
        for slot in range(2000):
            wheel.arm(connection, clock.now_s + 0.05 * slot)
            wheel.forget(connection)
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()
