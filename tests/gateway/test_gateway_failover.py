"""Clouds that fail, beside the table of faults: who is named, what is passed on, what is asked again."""

import asyncio
import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import openai
import pytest
from gateway_rig import (
    ANSWER,
    AUTHORIZED,
    DONE_EVENT,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    PATIENT_GATEWAY,
    SECRET,
    USAGE_EVENT,
    WORDS,
    Behaviour,
    Connection,
    Received,
    Rig,
    chat_body,
    content_events,
    cut,
    drop,
    key,
    request_bytes,
    stall,
    status,
    well,
)
from misbehaviours import ok, written

from clauseway.gateway.budgets.leases import GrantedLease, LeaseCall
from clauseway.gateway.plan import Budget
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Unit

SILENCE_S = 2.0

OWN_SECRET = "sk-test-without-a-budget"


class LateLeases:
    """A lease server that grants all that is asked for, once `may_answer` is set."""

    def __init__(self, rig: Rig) -> None:
        self.path = rig.home / "leases"
        self.asked = threading.Event()
        self.may_answer = asyncio.Event()
        server = asyncio.start_unix_server(self._serve, self.path)
        asyncio.run_coroutine_threadsafe(server, rig._loop).result(PATIENCE_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # the gateway has left
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.rpartition(b": ")[2]))
                self.asked.set()
                await self.may_answer.wait()
                asks = msgspec.json.decode(body, type=LeaseCall).asks
                granted = msgspec.json.encode([GrantedLease(leased=ask.target, left=0, amount=1 << 60) for ask in asks])
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(granted), granted))
        writer.close()


def start_with_late_leases(rig: Rig, **members: Any) -> LateLeases:
    """Start a gateway where the usual key has a budget, and another key has none."""
    leases = LateLeases(rig)
    keys = (msgspec.structs.replace(key(SECRET, "openai"), budgets=(0,)), key(OWN_SECRET, "openai"))
    budgets = (Budget(id="b", whose="organisation acme"),)
    plan = rig.plan(keys=keys, budgets=budgets, leases=str(leases.path), **members)
    rig.start(plan, launcher=PATIENT_GATEWAY)
    return leases


def test_a_deployment_that_asks_for_a_pause_while_a_lease_is_awaited_is_left_alone(rig: Rig) -> None:
    azure = rig.cloud("azure", status(429, "retry-after: 60"))
    rig.cloud("openai")
    leases = start_with_late_leases(rig)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(rig.post)
        assert leases.asked.wait(PATIENCE_S)
        rig.client(OWN_SECRET).chat.completions.create(model=MODEL, messages=MESSAGES)
        azure.loop.call_soon_threadsafe(leases.may_answer.set)
        answer = waiting.result(PATIENCE_S)
    assert (answer.headers["x-clauseway-cloud"], answer.headers["x-clauseway-attempts"]) == ("openai", "1")
    assert len(azure.requests) == 1


def test_a_hedge_waits_for_the_first_attempt_however_long_its_lease_took(rig: Rig) -> None:
    async def soon(connection: Connection, request: Received) -> None:
        await asyncio.sleep(0.2)  # some ticks of the timer wheel
        await well(connection, request)

    azure = rig.cloud("azure", soon)
    rig.cloud("openai")
    leases = start_with_late_leases(rig)
    hedge_s = 5.0
    headers = {**AUTHORIZED, "x-clauseway-hedge-ms": f"{hedge_s * 1000:.0f}"}
    body = {"model": MODEL, "messages": MESSAGES}
    with ThreadPoolExecutor() as threads:
        url = f"{rig.url}/v1/chat/completions"
        waiting = threads.submit(httpx.post, url, json=body, headers=headers, timeout=PATIENCE_S)
        assert leases.asked.wait(PATIENCE_S)
        time.sleep(hedge_s)
        azure.loop.call_soon_threadsafe(leases.may_answer.set)
        answer = waiting.result(PATIENCE_S)
    assert (answer.headers["x-clauseway-cloud"], answer.headers["x-clauseway-attempts"]) == ("azure", "1")


@pytest.mark.parametrize("second", [False, True], ids=["one deployment", "two deployments"])
def test_a_stream_cut_after_content_ends_with_an_error_and_no_done(rig: Rig, second: bool) -> None:
    rig.cloud("azure", cut)
    if second:
        rig.cloud("openai", well)
    rig.start()
    answer = rig.post(stream=True)
    assert answer.status_code == 200
    events = answer.text.split("\n\n")
    assert [json.loads(event[6:])["choices"][0]["delta"]["content"] for event in events[:4]] == ["", *WORDS[:3]]
    error = json.loads(events[4][6:])["error"]
    assert error["code"] == "stream_interrupted"
    assert "azure" in error["message"]
    assert "[DONE]" not in answer.text
    (record,) = rig.records()
    assert record.status.name == "INTERRUPTED_ESTIMATED"
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == 4, "the part that was delivered, by events"
    assert "openai" not in rig.clouds or not rig.clouds["openai"].requests, "committed is committed"
    with pytest.raises(openai.APIError, match="stream broke"):
        list(rig.client().chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_stream_cut_after_content_is_incomplete_to_clients_that_read_no_errors_in_it(rig: Rig, version: str) -> None:
    """Some take an event without choices for nothing, and a body that ends for a whole answer."""
    rig.cloud("azure", cut)
    rig.start()
    asked = request_bytes(chat_body(stream=True)).replace(b"HTTP/1.1", f"HTTP/{version}".encode())
    heard = b""
    begin_s = time.monotonic()
    with rig.socket() as client:
        client.sendall(asked)
        while b"stream_interrupted" not in heard:
            heard += client.recv(1 << 16)
        closes = client.recv(1 << 16) if version == "1.1" else reset(client)
    assert closes == b""
    assert time.monotonic() - begin_s >= 0.4, "some clients drop what they have not read when a connection closes"
    assert heard.endswith(b"}}\n\n\r\n" if version == "1.1" else b"}}\n\n"), "the error, and no end of the body"


def reset(client: socket.socket) -> bytes:
    """In HTTP/1.0 a body ends with its connection, so that only a reset tells of a part."""
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    return b""


def test_both_deployments_are_named_when_both_fail(rig: Rig) -> None:
    rig.cloud("azure", status(503))
    rig.cloud("openai", status(429))
    rig.start()
    answer = rig.post()
    assert answer.status_code == 503
    message = answer.json()["error"]["message"]
    assert "azure azure-1: answered 503" in message
    assert "openai openai-1: answered 429" in message


@pytest.mark.parametrize("code", [400, 413, 422])
def test_what_a_cloud_says_of_the_request_itself_is_passed_on(rig: Rig, code: int) -> None:
    rig.cloud("azure", status(code, "x-ratelimit-remaining-requests: 9"))
    rig.cloud("openai", well)
    rig.start()
    answer = rig.post()
    assert (answer.status_code, answer.content) == (code, b'{"error":{"message":"as told","code":"scripted"}}')
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert rig.outcomes() == [("azure-1", "FAILED", code)]
    assert not rig.clouds["openai"].requests


async def break_head(connection: Connection, _: Received) -> None:
    """Begins an answer and closes in the middle of its head."""
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: appli")
    await connection.apart()
    connection.drop()


async def in_pieces(connection: Connection, _: Received) -> None:
    """A whole answer whose framing is read apart from its body: more than may come without a byte of one, in all."""
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    for piece in (ANSWER[:50], ANSWER[50:]):
        for part in (b"%x" % len(piece) + b";x=y" * 10_000, b"\r\n%b\r\n" % piece):
            connection.writer.write(part)
            await connection.apart()
    connection.writer.write(b"0\r\n")
    await connection.apart()
    connection.writer.write(b"\r\n")


# A kept connection's second request meets the first behaviour, a fresh connection's the second.
# the kept connection | a fresh one | stale_s | answered by | requests that azure received | attempts
KEPT: list[tuple[Behaviour, Behaviour, float, str, int, int]] = [
    (drop, well, 10.0, "azure", 3, 1),
    (drop, drop, 10.0, "openai", 3, 2),
    (drop, status(503), 10.0, "openai", 3, 2),
    (break_head, well, 10.0, "openai", 2, 2),  # a part of an answer was read
    (drop, well, 0.0, "openai", 2, 2),  # the cloud had time to work on it
    (status(408, "connection: close"), well, 10.0, "azure", 3, 1),  # it had waited for a request
    (status(408, "connection: close"), status(408), 10.0, "openai", 3, 2),
    (status(408, "connection: close"), well, 0.0, "openai", 2, 2),
]


@pytest.mark.parametrize(("kept", "fresh", "stale_s", "cloud", "received", "attempts"), KEPT)
def test_a_kept_connection_that_was_closed_is_no_failure_of_its_deployment(
    rig: Rig, kept: Behaviour, fresh: Behaviour, stale_s: float, cloud: str, received: int, attempts: int
) -> None:
    azure = rig.cloud("azure", in_pieces)
    rig.cloud("openai")
    rig.start(rig.plan(settings=Settings(limits=Limits(stale_s=stale_s))))
    assert rig.post().headers["x-clauseway-cloud"] == "azure"

    async def once_kept(connection: Connection, request: Received) -> None:
        azure.behaviour = fresh
        await kept(connection, request)

    azure.behaviour = once_kept
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-clauseway-cloud"]) == (200, cloud)
    assert answer.headers["x-clauseway-attempts"] == str(attempts)
    assert len(azure.requests) == received
    assert azure.connections == received - 1
    assert rig.counts()["failed"].get("azure", 0) == attempts - 1
    assert len(rig.records()) == len(rig.intents()) == attempts + 1


# Objects that would stand twice at a cloud that had worked on the lost request.
MADE: list[tuple[str, bytes, str]] = [
    ("/conversations", b'{"metadata":{}}', "application/json"),
    (
        "/files",
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF\r\n--b--\r\n',
        "multipart/form-data; boundary=b",
    ),
]


def made_as(body: bytes) -> Behaviour:
    async def make(connection: Connection, _: Received) -> None:
        connection.answer(200, body)

    return make


@pytest.mark.parametrize(("path", "body", "content_type"), MADE)
def test_what_would_be_made_twice_is_sent_once_on_a_fresh_connection(
    rig: Rig, path: str, body: bytes, content_type: str
) -> None:
    azure = rig.cloud("azure")
    rig.start()
    assert rig.post().status_code == 200

    azure.behaviour = made_as(b'{"id":"made_1","object":"conversation"}')
    headers = {**AUTHORIZED, "content-type": content_type}
    answer = httpx.post(f"{rig.url}/v1{path}", content=body, headers=headers, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text
    assert (len(azure.requests), azure.connections) == (2, 2)


def test_a_conversation_is_continued_once_on_a_fresh_connection(rig: Rig) -> None:
    """A response adds its items to the conversation that it continues."""
    azure = rig.cloud("azure", made_as(b'{"id":"conv_1","object":"conversation"}'))
    rig.start()
    for named in (None, "conv_1", {"id": "conv_1"}):
        path, body = "responses", {"model": MODEL, "input": "Go on.", "conversation": named}
        if named is None:
            path, body = "conversations", {}
        answer = httpx.post(f"{rig.url}/v1/{path}", json=body, headers=AUTHORIZED, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        azure.behaviour = made_as(b'{"id":"resp_1","object":"response","output":[]}')
    assert (len(azure.requests), azure.connections) == (3, 3)


PACKED = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00"
# Whole answers that are none.
NO_ANSWERS: dict[str, tuple[Behaviour, int]] = {
    "204": (written(b"HTTP/1.1 204 No Content\r\n\r\n"), 204),
    "nothing": (ok(b""), 200),
    "a page": (ok(b"<html><body>Welcome</body></html>", "text/html"), 200),
    "half of a JSON text": (ok(b'{"choices":[{"mess'), 200),
    "gzip": (written(PACKED), 200),
    "a stream of nothing": (ok(b"", "text/event-stream"), 200),
    "a stream that is none": (ok(b"<html></html>", "text/event-stream"), 200),
}


@pytest.mark.parametrize(("no_answer", "recorded"), NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_a_connection_that_brought_no_answer_is_not_kept(rig: Rig, no_answer: Behaviour, recorded: int) -> None:
    """The server behind it may read nothing more there, and the next request would wait for it."""
    azure = rig.cloud("azure", no_answer)
    rig.start()
    assert rig.post().status_code == 502

    async def read_nothing_more(connection: Connection, request: Received) -> None:
        await (well if azure.connections > 1 else stall)(connection, request)

    azure.behaviour = read_nothing_more
    assert rig.post().status_code == 200
    assert rig.post().status_code == 200
    assert (len(azure.requests), azure.connections) == (3, 2), "a connection that brought an answer is kept"
    assert rig.outcomes()[0] == ("azure-1", "FAILED", recorded)


def test_a_pinned_cloud_fails_alone(rig: Rig) -> None:
    rig.cloud("azure", status(500))
    rig.cloud("openai", well)
    rig.start()
    with pytest.raises(openai.InternalServerError, match="azure azure-1: answered 500"):
        rig.client().chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers={"x-clauseway-cloud": "azure"}
        )
    assert not rig.clouds["openai"].requests


def test_the_whole_request_has_a_deadline(rig: Rig) -> None:
    rig.cloud("azure", stall)
    rig.cloud("openai", stall)
    rig.start(rig.plan(attempt_timeout_s=3.0, deadline_s=4.5))
    answer = rig.post()
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline_exceeded"
    assert rig.outcomes() == [("azure-1", "FAILED", 0), ("openai-1", "FAILED", 0)]


def test_an_answer_that_came_while_the_gateway_stood_still_is_an_answer(rig: Rig) -> None:
    """However long it stood still: a machine that is paused, or that has no processor to spare."""
    asked, sent = threading.Event(), threading.Event()

    async def meanwhile(connection: Connection, request: Received) -> None:
        asked.set()
        await asyncio.to_thread(sent.wait, PATIENCE_S)
        await well(connection, request)

    rig.cloud("azure", meanwhile)
    rig.cloud("openai")
    rig.start(rig.plan(attempt_timeout_s=SILENCE_S))
    assert rig.process is not None
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(rig.post)
        assert asked.wait(PATIENCE_S)
        rig.process.send_signal(signal.SIGSTOP)
        sent.set()
        time.sleep(1.5 * SILENCE_S)
        rig.process.send_signal(signal.SIGCONT)
        answer = waiting.result(PATIENCE_S)
    assert (answer.headers["x-clauseway-cloud"], answer.headers["x-clauseway-attempts"]) == ("azure", "1")


async def slow(connection: Connection, request: Received) -> None:
    """An answer of which nothing comes for longer than a stream may be silent."""
    await asyncio.sleep(1.5 * SILENCE_S)
    await well(connection, request)


# is a stream asked for, how long may an answer take | who answers at last
SLOW: list[tuple[bool, float, str]] = [
    (False, PATIENCE_S, "azure"),
    (False, SILENCE_S, "openai"),
    (False, 0.0, "openai"),  # as long as a stream may be silent
    (True, PATIENCE_S, "openai"),
]


@pytest.mark.parametrize(("stream", "answer_timeout_s", "cloud"), SLOW)
def test_an_answer_that_is_no_stream_has_a_time_of_its_own(
    rig: Rig, stream: bool, answer_timeout_s: float, cloud: str
) -> None:
    rig.cloud("azure", slow)
    rig.cloud("openai", well)
    rig.start(rig.plan(attempt_timeout_s=SILENCE_S, answer_timeout_s=answer_timeout_s))
    assert rig.post(stream=stream).headers["x-clauseway-cloud"] == cloud


async def begin_and_outlive(deadline_s: float, connection: Connection, events: Sequence[bytes]) -> None:
    """Send a stream's first words at once, and the others when the deadline has passed."""
    connection.begin_stream()
    connection.piece(b"".join(events[:3]))
    await connection.writer.drain()
    await asyncio.sleep(1.2 * deadline_s)
    connection.piece(b"".join(events[3:]))
    await connection.writer.drain()


def test_a_stream_that_goes_on_outlives_the_deadline(rig: Rig) -> None:
    """By its deadline a request has content, or an error; from then on only silence ends a stream."""
    deadline_s = 3.0

    async def unhurried(connection: Connection, _: Received) -> None:
        await begin_and_outlive(deadline_s, connection, [*content_events(with_nulls=True), USAGE_EVENT, DONE_EVENT])
        connection.end_stream()

    rig.cloud("azure", unhurried)
    rig.start(rig.plan(attempt_timeout_s=PATIENCE_S, deadline_s=deadline_s))
    answer = rig.post(stream=True)
    assert answer.text.endswith("data: [DONE]\n\n"), answer.text
    assert rig.outcomes() == [("azure-1", "COMPLETE", 200)]


def test_a_stream_that_falls_silent_is_ended_after_its_deadline_too(rig: Rig) -> None:
    deadline_s = 1.5

    async def silent_at_last(connection: Connection, _: Received) -> None:
        await begin_and_outlive(deadline_s, connection, content_events(with_nulls=True)[:-1])
        await connection.left()

    rig.cloud("azure", silent_at_last)
    rig.start(rig.plan(attempt_timeout_s=2 * deadline_s, deadline_s=deadline_s))
    error = json.loads(rig.post(stream=True).text.split("\n\n")[-2][6:])["error"]
    assert "azure fell silent" in error["message"]
    assert rig.outcomes() == [("azure-1", "INTERRUPTED_ESTIMATED", 200)]
