"""A stop that is announced to load balancers, one while answers are read for their usage alone, and one that takes too
long."""

import asyncio
import signal
import subprocess
import threading
import time

import httpx
import msgspec
import pytest
from gateway_rig import (
    ANSWER,
    DONE_EVENT,
    PATIENCE_S,
    USAGE_EVENT,
    Connection,
    Received,
    Rig,
    chat_body,
    content_events,
    read_all,
    request_bytes,
    well,
)

from awaiting import eventually
from clauseway.gateway.plan import Plan, Policy
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Status, Unit


class Slow:
    """A cloud that stops in the middle of a stream until it may go on."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    async def behave(self, connection: Connection, _: Received) -> None:
        events = content_events(with_nulls=True)
        connection.begin_stream()
        connection.piece(b"".join(events[:3]))
        self.begun.set()
        while not self.may_go_on.is_set():
            await asyncio.sleep(0.01)
        connection.piece(b"".join(events[3:]) + USAGE_EVENT + DONE_EVENT)
        connection.end_stream()


BODY = chat_body()
REQUEST = request_bytes(BODY)
HALF_A_HEAD, HEAD = REQUEST[:60], REQUEST[: -len(BODY)]
# A client has connected, and sent so much of its request, when the gateway is told to stop.
SENT_BEFORE = {"nothing": b"", "half a head": HALF_A_HEAD, "a head": HEAD, "half a body": REQUEST[:-20]}


@pytest.mark.parametrize("sent", SENT_BEFORE)
def test_a_request_that_is_arriving_is_answered_before_a_stop(rig: Rig, sent: str) -> None:
    rig.cloud("azure")
    rig.start(rig.plan(settings=Settings(limits=Limits(linger_s=PATIENCE_S))))
    before = SENT_BEFORE[sent]
    with rig.socket() as connection:
        connection.sendall(before)
        assert rig.process is not None
        rig.process.terminate()
        eventually(lambda: '"drain"' in rig.errors())
        connection.sendall(REQUEST[len(before) :])
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nconnection: close\r\n" in answer
    assert rig.process.wait(PATIENCE_S) == 0
    assert [record.status for record in rig.records()] == [Status.COMPLETE]


# The part of its first exchange that a kept connection has behind it when the gateway is told to stop. Nothing in it
# says that the connection ends, so a proxy may send its next request just then, and repeats none that was not answered.
KEPT = {"its answer": False, "half a stream": True}


@pytest.mark.parametrize("kept", KEPT)
def test_a_kept_connection_carries_one_more_request_after_a_stop(rig: Rig, kept: str) -> None:
    slow, streamed = Slow(), KEPT[kept]
    rig.cloud("azure", slow.behave if streamed else well)
    rig.start(rig.plan(settings=Settings(limits=Limits(linger_s=PATIENCE_S / 2, drain_s=PATIENCE_S))))
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=streamed)))
        before = connection.recv(1 << 16)
        assert rig.process is not None
        rig.process.terminate()
        eventually(lambda: '"drain"' in rig.errors())
        slow.may_go_on.set()
        while streamed and not before.endswith(b"\r\n0\r\n\r\n"):
            before += connection.recv(1 << 16)
        rig.clouds["azure"].behaviour = well
        connection.sendall(REQUEST)
        last = read_all(connection)
    assert b"connection: close" not in before
    assert last.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\nconnection: close\r\n" in last
    assert rig.process.wait(PATIENCE_S) == 0
    assert [record.status for record in rig.records()] == [Status.COMPLETE] * 2
    assert '"cut_off":0' in rig.errors()


def test_a_request_that_is_arriving_behind_another_has_its_usual_time_at_a_stop(rig: Rig) -> None:
    slow = Slow()
    rig.cloud("azure", slow.behave)
    rig.start(rig.plan(settings=Settings(limits=Limits(linger_s=0.05, drain_s=PATIENCE_S))))
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=True)))
        assert slow.begun.wait(PATIENCE_S)
        connection.sendall(REQUEST[:-20])
        assert rig.process is not None
        rig.process.terminate()
        eventually(lambda: '"drain"' in rig.errors())
        rig.clouds["azure"].behaviour = well
        slow.may_go_on.set()
        before = connection.recv(1 << 16)
        while not before.endswith(b"\r\n0\r\n\r\n"):
            before += connection.recv(1 << 16)
        time.sleep(0.3)  # longer than the time for a client that sends nothing
        connection.sendall(REQUEST[-20:])
        last = read_all(connection)
    assert last.startswith(b"HTTP/1.1 200 OK")
    assert rig.process.wait(PATIENCE_S) == 0


def test_a_kept_connection_without_a_further_request_ends_soon_after_a_stop(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start(rig.plan(settings=Settings(limits=Limits(linger_s=PATIENCE_S, drain_s=0.5))))
    with rig.socket() as connection:
        connection.sendall(REQUEST)
        assert ANSWER in connection.recv(1 << 16)
        rig.stop()
        assert read_all(connection) == b""
    assert '"cut_off":0' in rig.errors()


def test_a_client_that_connects_and_sends_nothing_keeps_no_gateway_from_stopping(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start(rig.plan(settings=Settings(limits=Limits(linger_s=0.05))))
    with rig.socket() as connection:
        rig.stop()
        assert read_all(connection) == b""
    assert '"cut_off":0' in rig.errors()


def draining(plan: Plan, drain_s: float) -> Plan:
    settings = Settings(limits=Limits(drain_s=drain_s))
    return msgspec.structs.replace(plan, policies=(Policy(on_leave="drain"),), settings=settings)


def leave_in_the_middle(rig: Rig, slow: Slow) -> None:
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=True)))
        assert slow.begun.wait(PATIENCE_S)
        assert b"200 OK" in connection.recv(1 << 16)


def test_an_announced_stop_turns_load_balancers_away_and_answers_requests(rig: Rig) -> None:
    rig.cloud("azure")
    rig.start()
    assert httpx.get(f"{rig.url}/readyz", timeout=PATIENCE_S).status_code == 200
    assert rig.process is not None
    rig.process.send_signal(signal.SIGUSR2)
    eventually(lambda: httpx.get(f"{rig.url}/readyz", timeout=PATIENCE_S).status_code == 503)
    unready = httpx.get(f"{rig.url}/readyz", timeout=PATIENCE_S).json()["error"]
    assert (unready["code"], unready["message"]) == (
        "stopping",
        "The gateway is about to stop: send requests elsewhere.",
    )
    assert httpx.get(f"{rig.url}/healthz", timeout=PATIENCE_S).json() == {"status": "ok"}
    assert rig.post().status_code == 200
    eventually(lambda: '"stop announced"' in rig.errors())
    rig.stop()


def test_a_stop_waits_for_the_usage_of_those_who_left(rig: Rig) -> None:
    slow = Slow()
    rig.cloud("azure", slow.behave)
    rig.start(draining(rig.plan(), 20))
    leave_in_the_middle(rig, slow)
    assert rig.process is not None
    rig.process.terminate()
    eventually(lambda: '"drain"' in rig.errors())
    with pytest.raises(subprocess.TimeoutExpired):
        rig.process.wait(0.5)  # some times as long as a look at what is open: no connection is left
    slow.may_go_on.set()
    assert rig.process.wait(PATIENCE_S) == 0
    (record,) = rig.records()
    assert (record.status, dict(record.units)[Unit.INPUT_TOKENS]) == (Status.COMPLETE, 21)


def test_a_stream_without_chunks_that_a_stop_cuts_off_does_not_end_like_a_whole_one(rig: Rig) -> None:
    """A client of HTTP/1.0 knows no other end than that of the connection."""
    slow = Slow()
    rig.cloud("azure", slow.behave)
    rig.start(draining(rig.plan(), 0.2))
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert slow.begun.wait(PATIENCE_S)
        assert b"200 OK" in connection.recv(1 << 16)
        rig.stop()
        with pytest.raises(ConnectionResetError):
            b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_a_stop_that_takes_too_long_meters_what_came(rig: Rig) -> None:
    slow = Slow()
    rig.cloud("azure", slow.behave)
    rig.start(draining(rig.plan(), 0.2))
    leave_in_the_middle(rig, slow)
    with rig.socket() as staying:
        slow.begun.clear()
        staying.sendall(request_bytes(chat_body(stream=True)))
        assert slow.begun.wait(PATIENCE_S)
        assert b"200 OK" in staying.recv(1 << 16)
        rig.stop()
        assert not staying.recv(1 << 16).endswith(DONE_EVENT)
    assert [record.status for record in rig.records()] == [Status.INTERRUPTED_ESTIMATED] * 2
    assert all(record.units for record in rig.records())
    assert '"cut_off":1' in rig.errors()
