"""Hedges, clients that leave, waits, credentials that are refused; and the law that nothing is asked twice."""

import asyncio
import contextlib
import gzip
import json
import math
import signal
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest
from gateway_rig import (
    AUTHORIZED,
    PATIENCE_S,
    PATIENT_GATEWAY,
    SECRET,
    Behaviour,
    Connection,
    Received,
    Rig,
    chat_body,
    chunk_event,
    content_events,
    drop,
    key,
    request_bytes,
    stall,
    status,
    unread,
)
from gateway_stage import (
    CALLS,
    RESPONSE_DELTAS,
    RESPONSE_END,
    RESPONSE_PREAMBLE,
    SILENCE_S,
    Call,
    Scene,
    Stage,
    answering,
    events_of,
    failing_after,
    whole_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from misbehaviours import told

from awaiting import eventually
from clauseway.gateway.plan import Budget
from clauseway.metering import Status, Unit

HEDGED = {"x-clauseway-hedge-ms": "50"}
NEVER = threading.Event()


# -- the law


async def garbage(connection: Connection, _: Received) -> None:
    connection.writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")


async def short(connection: Connection, _: Received) -> None:
    """Less than its length says."""
    connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{}")
    connection.drop()


BEHAVIOURS: dict[str, Behaviour | None] = {
    "answers": answering,
    "500": status(500),
    "503": status(503, "retry-after: 3"),
    "429": status(429),
    "drop": drop,
    "401": status(401),
    "404": status(404),
    "307": status(307, "location: /"),
    "400": status(400),
    "nobody": None,
    "garbage": garbage,
    "short": short,
    "error after 200": failing_after(0, "error"),
    "cut": failing_after(2, "cut"),
    "error after content": failing_after(2, "error"),
    "stall": stall,
}
scripts = st.lists(st.sampled_from(sorted(BEHAVIOURS)), min_size=1, max_size=4).filter(
    lambda script: script.count("stall") < 2
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scripts, st.sampled_from(sorted(CALLS)), st.booleans())
def test_each_is_asked_once_at_most_and_there_is_one_outcome(
    stage: Stage, script: list[str], call: str, hedged: bool
) -> None:
    scene = stage.scene(*(BEHAVIOURS[name] for name in script), attempt_timeout_s=1.0)
    answer = scene.ask(CALLS[call], HEDGED if hedged else None)
    assert max(scene.asked) <= 1
    attempts = int(answer.headers["x-clauseway-attempts"])
    outcomes = scene.wait_for_outcomes(attempts)
    assert len(outcomes) == attempts, "as many records as attempts"
    assert len({where for where, _, _ in outcomes}) == attempts, "each at a deployment of its own"
    if answer.status_code == 200 and CALLS[call].stream:
        assert CALLS[call].ends_well(answer.text) is ("COMPLETE" in [how for _, how, _ in outcomes])
    elif answer.status_code == 200:
        assert [how for _, how, _ in outcomes].count("COMPLETE") == 1
        assert answer.json()["usage"]
    else:
        assert set(answer.json()["error"]) >= {"message", "code"}
        assert "COMPLETE" not in [how for _, how, _ in outcomes]


# -- hedges


def after(event: threading.Event, behaviour: Behaviour) -> Behaviour:
    """Behave so once something has happened."""

    async def behave(connection: Connection, request: Received) -> None:
        await happened(event)
        await behaviour(connection, request)

    return behave


def setting(event: threading.Event, behaviour: Behaviour) -> Behaviour:
    """Behave so, and say so when the gateway has read it."""

    async def behave(connection: Connection, request: Received) -> None:
        await behaviour(connection, request)
        await connection.apart()
        event.set()

    return behave


async def happened(event: threading.Event) -> None:
    while not event.is_set():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_hedge_answers_where_the_first_is_slow(stage: Stage, call: Call) -> None:
    scene = stage.scene(stall, answering, attempt_timeout_s=PATIENCE_S)
    answer = scene.ask(call, HEDGED)
    assert (answer.status_code, answer.headers["x-clauseway-cloud"]) == (200, "cloud1")
    assert answer.headers["x-clauseway-attempts"] == "2"
    assert sorted(scene.outcomes()) == [(0, "INTERRUPTED_ESTIMATED", 0), (1, "COMPLETE", 200)]
    assert scene.clouds[0].left.wait(PATIENCE_S), "the slower one is called off"


@pytest.mark.parametrize(
    ("call", "fastest", "output"),
    [
        ("chat", answering, 8),
        ("responses", answering, 8),
        ("chat", status(400), 0),
        ("chat stream", answering, 0),
    ],
    ids=["a chat", "a response", "a refusal", "a stream"],
)
def test_of_a_whole_answer_the_slower_attempt_is_estimated_to_be_as_long(
    stage: Stage, call: str, fastest: Behaviour, output: int
) -> None:
    """Its cloud works the answer out all the same, and charges for it."""
    scene = stage.scene(stall, fastest, attempt_timeout_s=PATIENCE_S)
    scene.ask(CALLS[call], HEDGED)
    slower = next(record for record in scene.records() if record.status is Status.INTERRUPTED_ESTIMATED)
    assert dict(slower.units)[Unit.OUTPUT_TOKENS] == output


# Objects that a cloud keeps are asked for once: of a second attempt nobody would learn the identifier.
KEPT: list[tuple[str, dict[str, object], str]] = [
    ("responses", {"store": None}, "1"),
    ("responses", {"store": True}, "1"),
    ("responses", {"store": False}, "2"),
    ("responses stream", {"store": True}, "1"),
    ("chat", {"store": True}, "1"),
    ("chat stream", {"store": True}, "1"),
    ("chat", {"store": False}, "2"),
    ("chat", {}, "2"),
]


@pytest.mark.parametrize(("call", "members", "attempts"), KEPT)
def test_an_answer_that_its_cloud_keeps_is_not_hedged(
    stage: Stage, call: str, members: dict[str, object], attempts: str
) -> None:
    async def slow(connection: Connection, request: Received) -> None:
        await asyncio.sleep(0.5)  # ten times as long as a hedge waits
        await answering(connection, request)

    scene = stage.scene(slow, slow, attempt_timeout_s=PATIENCE_S)
    answer = scene.ask(CALLS[call], HEDGED, **members)
    assert (answer.status_code, answer.headers["x-clauseway-attempts"]) == (200, attempts)


def test_the_first_may_still_win_against_its_hedge(stage: Stage) -> None:
    hedged = threading.Event()

    async def second(connection: Connection, request: Received) -> None:
        hedged.set()
        await stall(connection, request)

    scene = stage.scene(after(hedged, answering), second, attempt_timeout_s=PATIENCE_S)
    answer = scene.ask(headers=HEDGED)
    assert (answer.headers["x-clauseway-cloud"], answer.headers["x-clauseway-attempts"]) == ("cloud0", "2")
    assert sorted(scene.outcomes()) == [(0, "COMPLETE", 200), (1, "INTERRUPTED_ESTIMATED", 0)]


TOLD = {
    "called off": ((stall, answering), "chat", [("0", "was slower and called off")], "1"),
    "broken off": ((failing_after(3, "cut"),), "chat stream", [("0", "broke off its answer")], ""),
    "an error in it": ((failing_after(3, "error"),), "responses stream", [("0", "reported an error")], ""),
}


@pytest.mark.parametrize(("script", "call", "attempted", "served"), TOLD.values(), ids=TOLD)
def test_what_a_request_tells_of_is_what_the_journal_holds(
    stage: Stage, script: tuple[Behaviour, ...], call: str, attempted: list[tuple[str, str]], served: str
) -> None:
    """Every attempt, and what all of them cost: also of one that broke off, or was called off."""
    scene = stage.scene(*script, attempt_timeout_s=PATIENCE_S)
    answer = scene.ask(CALLS[call], HEDGED)
    path = f"/clauseway/v1/requests/{answer.headers['x-clauseway-request-id']}"
    result = stage.http.get(stage.rig.url + path, headers=AUTHORIZED).json()
    assert [
        (attempt["deployment"].rpartition("-")[2], attempt["outcome"]) for attempt in result["attempted"]
    ] == attempted
    assert (result["served_by"]["region"] if result["served_by"] else "") == served
    assert result["attempted"][0]["usage"]["input_tokens"] > 0
    assert (result["attempted"][0]["usage_estimated"], result["usage_estimated"]) == (True, False)
    records = scene.records()
    assert all(record.charge_picodollars > 0 for record in records)
    charged = sum(record.charge_picodollars for record in records)
    assert Decimal(result["cost"]["amount"]) == Decimal(charged).scaleb(-12)
    assert len(records) == int(answer.headers["x-clauseway-attempts"])


def test_no_hedge_where_the_first_is_quick_enough(stage: Stage) -> None:
    scene = stage.scene(answering, answering)
    assert scene.ask(headers={"x-clauseway-hedge-ms": "30000"}).headers["x-clauseway-attempts"] == "1"
    assert scene.asked == [1, 0]


def test_a_hedge_goes_on_when_the_first_fails_and_the_other_way_round(stage: Stage) -> None:
    hedged, failed = threading.Event(), threading.Event()

    async def second(connection: Connection, request: Received) -> None:
        hedged.set()
        await happened(failed)
        await answering(connection, request)

    first = setting(failed, after(hedged, status(500)))
    scene = stage.scene(first, second, attempt_timeout_s=PATIENCE_S)
    assert scene.ask(headers=HEDGED).headers["x-clauseway-cloud"] == "cloud1"
    assert sorted(scene.outcomes()) == [(0, "FAILED", 500), (1, "COMPLETE", 200)]
    failed = threading.Event()
    scene = stage.scene(after(failed, answering), setting(failed, status(500)), attempt_timeout_s=PATIENCE_S)
    assert scene.ask(headers=HEDGED).headers["x-clauseway-cloud"] == "cloud0"
    assert sorted(scene.outcomes()) == [(0, "COMPLETE", 200), (1, "FAILED", 500)]


def test_the_deadline_ends_both(stage: Stage) -> None:
    scene = stage.scene(stall, stall, answering, attempt_timeout_s=PATIENCE_S, deadline_s=3.0)
    answer = scene.ask(headers=HEDGED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    assert scene.outcomes() == [(0, "FAILED", 0), (1, "FAILED", 0)]
    eventually(lambda: scene.asked == [1, 1, 0])  # what was sent is read, although nobody waits for it any more


def test_attempts_that_are_out_of_time_together_end_once_each(stage: Stage) -> None:
    """The first has its whole stream by then, and calls the other off; the gateway's process stood still meanwhile."""
    hedged = threading.Event()
    ends: list[tuple[tuple[str, int], tuple[str, int]]] = []

    async def first(connection: Connection, request: Received) -> None:
        await happened(hedged)
        connection.begin_stream()
        connection.piece(RESPONSE_END)
        info = connection.writer.get_extra_info
        ends.append((info("sockname"), info("peername")))
        await happened(NEVER)

    async def second(connection: Connection, request: Received) -> None:
        hedged.set()
        await happened(NEVER)

    scene = stage.scene(first, second, attempt_timeout_s=2.0)
    process = stage.rig.process
    assert process is not None
    with connected(scene, CALLS["responses stream"], **HEDGED):
        eventually(lambda: ends and unread(*ends[0]) == (0, 0))
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)  # until both deadlines have passed
        process.send_signal(signal.SIGCONT)
        eventually(lambda: stage.rig.counts()["open"] == 0)
    assert sorted(scene.outcomes()) == [(0, "COMPLETE", 200), (1, "INTERRUPTED_ESTIMATED", 0)]


@pytest.mark.parametrize("on_leave", ["cancel", "drain"])
def test_a_client_that_leaves_two_attempts(stage: Stage, on_leave: str) -> None:
    left = threading.Event()
    clouds = (stall, after(left, answering))
    scene = stage.scene(*clouds, attempt_timeout_s=PATIENCE_S, on_leave=on_leave)
    with connected(scene, CALLS["chat"], **HEDGED):
        eventually(lambda: scene.asked == [1, 1])
    left.set()
    assert sorted(scene.wait_for_outcomes(2)) == [(0, "INTERRUPTED_ESTIMATED", 0), (1, "COMPLETE", 200)]


def counted(stage: Stage, scene: Scene) -> tuple[int, list[int], int]:
    """Failures so far of the scene's clouds, and of each of its deployments; and failovers."""
    transport = httpx.HTTPTransport(uds=str(stage.rig.control))
    with httpx.Client(transport=transport) as client:
        deployments = client.get("http://gateway/glance").json()["deployments"]
    by_name = {deployment["deployment"]: deployment["failures"] for deployment in deployments}
    failed = stage.rig.counts()["failed"]
    figures = stage.http.get(f"http://127.0.0.1:{stage.rig.ports['metrics']}/metrics").text
    failovers = int(figures.partition("\nclauseway_failovers_total ")[2].split(maxsplit=1)[0].partition(".")[0])
    return (
        sum(failed.get(cloud.name, 0) for cloud in scene.clouds),
        [by_name[f"{scene.model}-at-{at}"] for at in range(len(scene.clouds))],
        failovers,
    )


@pytest.mark.parametrize("ends", ["the hedge wins", "the first wins", "the client leaves"])
def test_an_attempt_that_is_called_off_is_no_failure_of_its_cloud(stage: Stage, ends: str) -> None:
    asked = threading.Event()
    scripts = {
        "the hedge wins": (stall, answering),
        "the first wins": (after(asked, answering), after(NEVER, answering)),
        "the client leaves": (after(NEVER, answering), after(NEVER, answering)),
    }
    scene = stage.scene(*scripts[ends], attempt_timeout_s=PATIENCE_S)
    before = counted(stage, scene)
    call = CALLS["chat stream" if ends == "the client leaves" else "chat"]
    with connected(scene, call, **HEDGED) as client:
        eventually(lambda: scene.asked == [1, 1])
        asked.set()
        if ends != "the client leaves":
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    assert len(scene.wait_for_outcomes(2)) == 2
    eventually(lambda: stage.rig.counts()["open"] == 0)
    failed, by_deployment, failovers = before
    assert counted(stage, scene) == (failed, by_deployment, failovers + (ends == "the hedge wins"))


# -- clients that leave


class connected:
    """A request on a connection of its own, which is closed at the end whatever has come."""

    def __init__(self, scene: Scene, call: Call, **headers: str) -> None:
        body = json.dumps(call.body(scene.model)).encode()
        lines = [f"POST {call.path} HTTP/1.1", "host: x", f"authorization: Bearer {SECRET}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.socket = scene.stage.rig.socket()
        self.socket.sendall("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)

    def __enter__(self) -> socket.socket:
        return self.socket

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def halting(words: int, go_on: threading.Event) -> Behaviour:
    """A stream that says some words, halts until it may go on, and then goes on to its end."""

    async def behave(connection: Connection, request: Received) -> None:
        connection.begin_stream()
        events = content_events(with_nulls=True)
        connection.piece(b"".join(events[: words + 1]))
        await connection.writer.drain()
        await happened(go_on)
        usage = {"prompt_tokens": 21, "completion_tokens": 8}
        connection.piece(b"".join(events[words + 1 :]) + chunk_event([], usage=usage) + b"data: [DONE]\n\n")
        connection.end_stream()

    return behave


def test_a_client_that_leaves_has_its_request_called_off(stage: Stage) -> None:
    async def speaking(connection: Connection, _: Received) -> None:
        connection.begin_stream()
        connection.piece(b"".join(content_events(with_nulls=True)[:4]))
        with contextlib.suppress(OSError):
            await connection.left()
        left.set()

    left = threading.Event()
    scene = stage.scene(speaking, attempt_timeout_s=10 * PATIENCE_S)
    with connected(scene, CALLS["chat stream"]) as client:
        assert b"Cl" in client.recv(1 << 16)
    assert left.wait(PATIENCE_S), "its cloud need not go on"
    assert scene.wait_for_outcomes(1) == [(0, "INTERRUPTED_ESTIMATED", 200)]
    (record,) = scene.records()
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == 4, "by the events that were passed on"


def leave_at_once(scene: Scene, client: socket.socket) -> None:
    """Reset a connection, and wait until the gateway has seen it: it answers in the order in which it hears."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    for _ in range(2):
        scene.stage.rig.counts()


# how the first cloud answers once its client has left → how its attempt ends, and the output that is metered
READ_ON: dict[str, tuple[Behaviour, tuple[str, int], int]] = {
    "an answer": (answering, ("COMPLETE", 200), 8),
    "a failure": (status(500), ("FAILED", 500), 0),
    "a credential that is refused": (status(401), ("FAILED", 401), 0),
}


@pytest.mark.parametrize("call", ["chat", "responses"])
@pytest.mark.parametrize(("behaviour", "end", "output"), READ_ON.values(), ids=READ_ON)
def test_a_whole_answer_is_read_for_its_usage_and_asked_for_nowhere_else(
    stage: Stage, call: str, behaviour: Behaviour, end: tuple[str, int], output: int
) -> None:
    """The cloud works it out, and charges for it, whoever has left."""
    left = threading.Event()
    scene = stage.scene(after(left, behaviour), answering, attempt_timeout_s=PATIENCE_S)
    with connected(scene, CALLS[call]) as client:
        eventually(lambda: scene.asked == [1, 0])
        leave_at_once(scene, client)
    left.set()
    assert scene.wait_for_outcomes(1) == [(0, *end)]
    (record,) = scene.records()
    assert dict(record.units).get(Unit.OUTPUT_TOKENS, 0) == output
    eventually(lambda: stage.rig.counts()["open"] == 0)
    assert scene.asked == [1, 0]


def test_for_whoever_left_nothing_is_sent_on_another_connection(stage: Stage) -> None:
    left = threading.Event()
    scene = stage.scene(answering, attempt_timeout_s=PATIENCE_S)
    assert scene.ask().status_code == 200
    scene.clouds[0].behaviour = after(left, drop)  # the kept connection
    with connected(scene, CALLS["chat"]) as client:
        eventually(lambda: scene.asked == [2])
        leave_at_once(scene, client)
    left.set()
    assert scene.wait_for_outcomes(2) == [(0, "COMPLETE", 200), (0, "FAILED", 0)]
    eventually(lambda: stage.rig.counts()["open"] == 0)
    assert scene.asked == [2]


def test_by_the_customers_policy_the_answer_is_read_to_its_end(stage: Stage) -> None:
    left = threading.Event()
    scene = stage.scene(halting(3, left), attempt_timeout_s=PATIENCE_S, on_leave="drain")
    with connected(scene, CALLS["chat stream"]) as client:
        assert b"Cl" in client.recv(1 << 16)
    left.set()
    assert scene.wait_for_outcomes(1) == [(0, "COMPLETE", 200)]
    (record,) = scene.records()
    assert dict(record.units) == {Unit.INPUT_TOKENS: 21, Unit.OUTPUT_TOKENS: 8}, "as reported"


def test_what_is_drained_has_its_deadlines_too(stage: Stage) -> None:
    scene = stage.scene(halting(3, NEVER), attempt_timeout_s=SILENCE_S, on_leave="drain")
    with connected(scene, CALLS["chat stream"]) as client:
        assert b"Cl" in client.recv(1 << 16)
    assert scene.wait_for_outcomes(1) == [(0, "INTERRUPTED_ESTIMATED", 200)]


def test_a_drained_request_may_still_go_elsewhere(stage: Stage) -> None:
    left = threading.Event()
    first = after(left, status(500))
    scene = stage.scene(first, answering, attempt_timeout_s=PATIENCE_S, on_leave="drain")
    with connected(scene, CALLS["chat"]):
        eventually(lambda: scene.asked == [1, 0])
    left.set()
    assert scene.wait_for_outcomes(2) == [(0, "FAILED", 500), (1, "COMPLETE", 200)]


# -- after the commit


@pytest.mark.parametrize("ending", ["error event", "cut", "silence"])
def test_a_responses_stream_that_breaks_never_ends_cleanly(stage: Stage, ending: str) -> None:
    async def breaking(connection: Connection, _: Received) -> None:
        connection.begin_stream()
        connection.piece(RESPONSE_PREAMBLE + RESPONSE_DELTAS[0])
        await connection.writer.drain()
        if ending == "error event":
            connection.piece(b'event: error\ndata: {"type":"error","code":"x","message":"sorry"}\n\n')
            connection.end_stream()
        elif ending == "cut":
            connection.drop()
        else:
            await connection.left()

    waits_s = SILENCE_S if ending == "silence" else PATIENCE_S
    scene = stage.scene(breaking, answering, attempt_timeout_s=waits_s)
    text = scene.ask(CALLS["responses stream"]).text
    kind, data = text.rstrip().rpartition("\n\n")[2].split("\n")
    result = json.loads(data.removeprefix("data: "))
    assert (kind, result["type"], result["error"]["code"]) == ("event: error", "error", "stream_interrupted")
    assert "response.completed" not in text
    assert scene.outcomes() == [(0, "INTERRUPTED_ESTIMATED", 200)]
    assert scene.asked == [1, 0], "committed: nobody else is asked"


@pytest.mark.parametrize("call", [CALLS["chat stream"], CALLS["responses stream"]], ids=["chat", "responses"])
def test_a_stream_whose_last_event_has_come_is_whole_whatever_follows(stage: Stage, call: Call) -> None:
    async def without_end(connection: Connection, request: Received) -> None:
        connection.end_stream = lambda: None  # type: ignore[method-assign]
        await answering(connection, request)
        await connection.writer.drain()
        connection.drop()

    scene = stage.scene(without_end)
    assert call.ends_well(scene.ask(call).text)
    assert scene.outcomes() == [(0, "COMPLETE", 200)]


# -- waits


# The header that a cloud sends with a stream, or none: clients look at the events alone.
HEADS_OF_STREAMS = ["", "content-type: text/plain; charset=utf-8\r\n", "content-type: application/json\r\n"]
MARK = b"\xef\xbb\xbf"
BEFORE_EVENTS = [b"", b": hello\n\n", b"\r\n", b"retry: 3\n\n", MARK, MARK + b"\r\n"]


@pytest.mark.parametrize("before", BEFORE_EVENTS)
@pytest.mark.parametrize("head", HEADS_OF_STREAMS)
@pytest.mark.parametrize("call", [CALLS["chat stream"], CALLS["responses stream"]])
def test_events_are_a_stream_whatever_the_head_says(stage: Stage, call: Call, head: str, before: bytes) -> None:
    heard = threading.Event()

    async def behave(connection: Connection, request: Received) -> None:
        announcing, content, end = events_of(request)
        data = before + announcing + content[0]
        connection.writer.write(f"HTTP/1.1 200 OK\r\n{head}transfer-encoding: chunked\r\n\r\n".encode())
        for piece in (data[:3], data[3:]):
            connection.piece(piece)
            await connection.apart()
        # The content goes out before the stream ends.
        await asyncio.to_thread(heard.wait, PATIENCE_S)
        connection.piece(b"".join(content[1:]) + end)
        connection.end_stream()

    scene = stage.scene(behave)
    asked = call.body(scene.model)
    with stage.http.stream("POST", stage.rig.url + call.path, json=asked, headers=AUTHORIZED) as answer:
        pieces = answer.iter_bytes()
        text = next(pieces)
        heard.set()
        text += b"".join(pieces)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert text.startswith(before.removeprefix(MARK))
    assert MARK not in text
    assert call.ends_well(text.decode())
    assert scene.outcomes() == [(0, "COMPLETE", 200)]
    assert dict(scene.records()[0].units)[Unit.OUTPUT_TOKENS] == 8


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("call", [CALLS["chat"], CALLS["responses"]])
def test_a_whole_answer_is_one_whatever_the_head_says(stage: Stage, call: Call, size: int) -> None:
    """Some servers announce events before every answer; clients that asked for none want an object."""

    async def behave(connection: Connection, request: Received) -> None:
        connection.begin_stream()
        body = whole_of(request)
        for begin in range(0, len(body), size):
            connection.piece(body[begin : begin + size])
        connection.end_stream()

    scene = stage.scene(behave)
    answer = scene.ask(call)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["usage"]
    assert scene.outcomes() == [(0, "COMPLETE", 200)]
    assert dict(scene.records()[0].units)[Unit.OUTPUT_TOKENS] == 8


@pytest.mark.parametrize("before", BEFORE_EVENTS)
@pytest.mark.parametrize("call", [CALLS["chat"], CALLS["responses"]])
def test_events_that_nobody_asked_for_are_a_stream(stage: Stage, call: Call, before: bytes) -> None:
    async def behave(connection: Connection, request: Received) -> None:
        announcing, content, end = events_of(request)
        connection.begin_stream()
        # In two pieces, of which the first may tell nothing yet.
        connection.piece((before + announcing)[:2])
        await connection.apart()
        connection.piece((before + announcing)[2:] + b"".join(content) + end)
        connection.end_stream()

    scene = stage.scene(behave)
    answer = scene.ask(call)
    assert answer.headers["content-type"] == "text/event-stream"
    assert call._replace(stream=True).ends_well(answer.text)
    assert scene.outcomes() == [(0, "COMPLETE", 200)]


def test_who_asks_to_be_left_alone_is_left_alone(stage: Stage) -> None:
    scene = stage.scene(status(429, "retry-after: 60"), answering)
    assert [scene.ask().headers["x-clauseway-cloud"] for _ in range(3)] == ["cloud1"] * 3
    assert scene.asked == [1, 3]


def test_where_all_ask_to_be_left_alone_the_client_hears_for_how_long(stage: Stage) -> None:
    scene = stage.scene(status(429, "retry-after: 25"), status(429, "retry-after-ms: 60000"))
    begin_s = time.monotonic()
    first, second = scene.ask(), scene.ask()
    passed_s = time.monotonic() - begin_s
    assert first.status_code == 429
    assert 25_000 - 1_000 * passed_s <= int(first.headers["retry-after-ms"]) <= 25_500, (
        "the one that may be asked first"
    )
    assert (second.status_code, second.headers["x-clauseway-attempts"]) == (429, "0")
    assert 24 - passed_s <= int(second.headers["retry-after"]) <= 26
    assert [answer.headers["x-should-retry"] for answer in (first, second)] == ["true"] * 2, "short enough to wait for"
    assert "left alone" in second.json()["error"]["message"]
    assert [" Attempted: " in answer.text for answer in (first, second)] == [True, False], "it was nobody's turn"
    assert scene.asked == [1, 1]
    scene = stage.scene(status(429, "retry-after: 60"), status(429, "retry-after: 60"))
    assert [scene.ask().headers["x-should-retry"] for _ in range(2)] == ["false"] * 2, "too long to wait for"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(429, 429, 429), (503, 503, 503), (529, 529, 503), (503, 429, 503)],
)
def test_who_is_left_alone_is_reported_as_it_answered(stage: Stage, first: int, second: int, expected: int) -> None:
    """An overloaded cloud is no limit of the client's, also where it is not asked again."""
    scene = stage.scene(status(first, "retry-after: 25"), status(second, "retry-after: 25"))
    answers = [scene.ask() for _ in range(2)]
    assert [answer.status_code for answer in answers] == [expected] * 2
    assert [answer.json()["error"]["type"] for answer in answers] == [
        "rate_limit_error" if expected == 429 else "server_error"
    ] * 2
    assert [answer.headers["x-clauseway-attempts"] for answer in answers] == ["2", "0"]


def test_a_deployment_that_fails_again_and_again_is_ejected_and_probed(stage: Stage) -> None:
    scene = stage.scene(status(500), answering, attempt_timeout_s=PATIENCE_S)
    begin_s = time.monotonic()
    for _ in range(7):
        assert scene.ask().headers["x-clauseway-cloud"] == "cloud1"
    failed, answered = scene.asked
    # An ejection takes a second, and twice as long after each probe that failed: a busy machine may come to one.
    probes_max = int(math.log2(1 + time.monotonic() - begin_s))
    assert (5 <= failed <= 5 + probes_max, answered) == (True, 7)
    # A probe that is called off, as the slower one or because its client left, tells nothing: the next request is one.
    scene.clouds[0].behaviour = stall
    eventually(lambda: scene.ask(headers=HEDGED).headers["x-clauseway-attempts"] == "2")
    assert scene.ask(headers=HEDGED).headers["x-clauseway-attempts"] == "2"
    asked = sum(scene.asked)
    with connected(scene, CALLS["chat stream"]):
        eventually(lambda: sum(scene.asked) == asked + 1)
    scene.wait_for_outcomes(asked + 1)
    scene.clouds[0].behaviour = answering
    assert scene.ask().headers["x-clauseway-cloud"] == "cloud0"
    assert scene.ask().headers["x-clauseway-cloud"] == "cloud0"


def test_a_poor_chance_is_better_than_none(stage: Stage) -> None:
    scene = stage.scene(status(500))
    assert [scene.ask().status_code for _ in range(7)] == [502] * 7
    assert scene.asked == [7]
    scene.clouds[0].behaviour = answering
    assert scene.ask().status_code == 200


# How the second of two clouds was busy → whether a request that fails at the first goes there meanwhile
BUSY_SECOND = {
    "for a time that it named": (status(429, "retry-after: 100"), False),
    "without a time": (status(429), True),
    "because its quota is spent": (told(429, "insufficient_quota"), True),
}


@pytest.mark.parametrize(("busy", "asked"), BUSY_SECOND.values(), ids=BUSY_SECOND)
def test_a_busy_cloud_is_asked_where_nothing_else_is_left(stage: Stage, busy: Behaviour, asked: bool) -> None:
    scene = stage.scene(status(500), busy)
    assert scene.ask().status_code == 502
    scene.clouds[1].behaviour = answering
    answer = scene.ask()
    assert answer.status_code == (200 if asked else 502)
    assert answer.headers["x-clauseway-attempts"] == ("2" if asked else "1")
    assert scene.asked == [2, 1 + asked]


# How the second cloud fails, where our quota at the first is spent → what a client is told
BESIDE_A_SPENT_QUOTA = {
    "its quota is spent too": (told(429, "credit_balance_exhausted"), 502, "clouds_failed"),
    "it is busy": (status(429), 429, "rate_limit_exceeded"),
    "it is overloaded": (status(503), 503, "clouds_unavailable"),
}


@pytest.mark.parametrize(("other", "code", "error"), BESIDE_A_SPENT_QUOTA.values(), ids=BESIDE_A_SPENT_QUOTA)
def test_a_spent_quota_of_ours_is_no_rate_limit_of_the_client(
    stage: Stage, other: Behaviour, code: int, error: str
) -> None:
    """Clients waited for a limit of theirs that no time would lift."""
    answer = stage.scene(told(429, "insufficient_quota"), other).ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (code, error)
    assert answer.headers["x-should-retry"] == "false"


def test_where_all_clouds_are_busy_each_is_asked_once(stage: Stage) -> None:
    scene = stage.scene(told(429, "insufficient_quota"), told(429, "insufficient_quota"))
    assert [scene.ask().headers["x-clauseway-attempts"] for _ in range(3)] == ["2"] * 3
    scene.clouds[1].behaviour = answering
    assert scene.ask().headers["x-clauseway-cloud"] == "cloud1"
    assert scene.asked == [4, 4]


# -- what may be read and what may not


def test_an_answer_in_an_encoding_is_no_answer(stage: Stage) -> None:
    async def encoded(connection: Connection, _: Received) -> None:
        connection.answer(200, b"(\xb5/\xfd...", ["content-encoding: zstd"])

    scene = stage.scene(encoded, answering)
    assert scene.ask().headers["x-clauseway-cloud"] == "cloud1"
    assert scene.outcomes() == [(0, "FAILED", 200), (1, "COMPLETE", 200)]
    assert scene.clouds[0].requests[0].header("accept-encoding") in (None, "identity")


TOO_LONG = b'{"error":{"message":"too long: you@corp, sk-abc123456","code":"scripted"}}'
BOMB = b'{"error":{"message":"%b"}}' % (b" " * 1_000_000)


def refusing(status: int, encoding: str, body: bytes) -> Behaviour:
    async def refuse(connection: Connection, _: Received) -> None:
        connection.answer(status, body, [f"content-encoding: {encoding}", "x-ratelimit-remaining-requests: 9"])

    return refuse


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("X-GZIP ", gzip.compress), ("deflate", zlib.compress)]
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_refusal_that_is_compressed_is_read(
    stage: Stage, call: Call, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    scene = stage.scene(refusing(400, encoding, pack(TOO_LONG)), answering)
    answer = scene.ask(call)
    assert (answer.status_code, answer.content) == (400, TOO_LONG.replace(b"sk-abc123456", b"sk-***"))
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    assert scene.asked == [1, 0]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", TOO_LONG),
        ("gzip", gzip.compress(TOO_LONG)[:-9]),
        ("gzip", gzip.compress(BOMB)),
        ("br", b"\x0b\x02\x80{}\x03"),
        ("gzip, gzip", gzip.compress(gzip.compress(TOO_LONG))),
    ],
    ids=["not compressed", "cut", "a bomb", "brotli", "twice"],
)
def test_a_refusal_that_cannot_be_decompressed_is_a_failure(stage: Stage, encoding: str, body: bytes) -> None:
    scene = stage.scene(refusing(400, encoding, body), answering)
    assert scene.ask().headers["x-clauseway-cloud"] == "cloud1"
    assert scene.outcomes() == [(0, "FAILED", 400), (1, "COMPLETE", 200)]


def test_a_refusal_of_the_request_that_cannot_be_read_takes_the_deployment_from_nobody(stage: Stage) -> None:
    unreadable = refusing(400, "br", b"\x0b\x02\x80{}\x03")
    scene = stage.scene(unreadable)
    for _ in range(8):
        answer = scene.ask()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "clouds_failed")
        assert "answered 400 in an encoding that nobody asked for" in answer.text
    scene.clouds[0].behaviour = answering
    assert scene.ask().status_code == 200


def test_the_code_of_a_failure_that_is_compressed_is_told(stage: Stage) -> None:
    spent = b'{"error":{"code":"insufficient_quota","type":"insufficient_quota"}}'
    answer = stage.scene(refusing(429, "gzip", gzip.compress(spent))).ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "clouds_failed")
    assert "429 (insufficient_quota)" in answer.text


def test_a_byte_order_mark_is_no_part_of_an_answer(stage: Stage) -> None:
    """RFC 8259, 8.1: nobody may write one, and whoever reads may ignore it."""

    async def marked(connection: Connection, request: Received) -> None:
        connection.answer(200, MARK + whole_of(request))

    scene = stage.scene(marked)
    for call in (CALLS["chat"], CALLS["responses"]):
        answer = scene.ask(call)
        assert (answer.status_code, answer.content[:1]) == (200, b"{")
        assert int(answer.headers["content-length"]) == len(answer.content)
    assert scene.outcomes() == [(0, "COMPLETE", 200)] * 2


def test_the_rest_of_an_error_is_not_waited_for_long(stage: Stage) -> None:
    async def stalling_error(connection: Connection, _: Received) -> None:
        connection.writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 500\r\n\r\n{")
        await connection.left()

    # Whoever waited for the rest would wait longer than the client does.
    scene = stage.scene(stalling_error, answering, attempt_timeout_s=10 * PATIENCE_S)
    assert scene.ask().headers["x-clauseway-cloud"] == "cloud1"
    assert scene.outcomes() == [(0, "FAILED", 500), (1, "COMPLETE", 200)]


def test_what_is_still_open_at_the_end_of_a_drain_is_recorded(tmp_path: Path) -> None:
    """SIGTERM while an answer is read for a client that has left, and beyond the drain's patience."""
    with Rig(tmp_path) as rig:
        stage = Stage(rig)
        stage.start((str(Path(__file__).with_name("short_limits.py")),))
        scene = stage.scene(halting(3, NEVER), attempt_timeout_s=10 * PATIENCE_S, on_leave="drain")
        with connected(scene, CALLS["chat stream"]) as client:
            assert b"Cl" in client.recv(1 << 16)
        rig.stop()
        (record,) = rig.records()
        assert (record.status, dict(record.units)[Unit.OUTPUT_TOKENS]) == (Status.INTERRUPTED_ESTIMATED, 4)


def test_hedges_are_asked_for_in_milliseconds(stage: Stage) -> None:
    scene = stage.scene(answering)
    for value in ("soon", "-5", "1.5", "99999999"):
        answer = scene.ask(headers={"x-clauseway-hedge-ms": value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_http")
    assert scene.asked == [0]


def test_a_client_that_leaves_while_its_budget_is_asked_for_more(tmp_path: Path) -> None:
    """Whoever leases does not answer: nothing was attempted, so nothing is recorded and nothing stays open."""
    with Rig(tmp_path) as rig, socket.socket(socket.AF_UNIX) as lease_server:
        lease_server.bind(str(tmp_path / "leases.sock"))
        lease_server.listen()
        azure = rig.cloud("azure")
        keys = (msgspec.structs.replace(key(SECRET, "openai"), budgets=(0,)),)
        budgets = (Budget(id="b", whose="the test"),)
        rig.start(rig.plan(keys=keys, budgets=budgets, leases=str(tmp_path / "leases.sock")))
        with rig.socket() as client:
            client.sendall(request_bytes(chat_body()))
            asking, _ = lease_server.accept()
            assert asking.recv(1), "its ask has come"
        with asking:
            eventually(lambda: rig.counts()["open"] == 0)
        assert (azure.requests, rig.intents(), rig.records()) == ([], [], [])
        answer = rig.post()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "budget_unavailable")
        assert "cannot be asked for more" in answer.text
        assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("2", "true")
        rig.stop()
        assert "Traceback" not in rig.errors()


def test_a_deadline_that_passes_before_any_attempt_says_so(tmp_path: Path) -> None:
    """Whoever leases does not answer in time: no cloud is to blame, and none is listed."""
    with Rig(tmp_path) as rig, socket.socket(socket.AF_UNIX) as lease_server:
        lease_server.bind(str(tmp_path / "leases.sock"))
        lease_server.listen()
        rig.cloud("azure")
        keys = (msgspec.structs.replace(key(SECRET, "openai"), budgets=(0,)),)
        budgets = (Budget(id="b", whose="the test"),)
        leases = str(tmp_path / "leases.sock")
        plan = rig.plan(keys=keys, budgets=budgets, leases=leases, deadline_s=0.5)
        rig.start(plan, launcher=PATIENT_GATEWAY)
        answer = rig.post()
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
        message = answer.json()["error"]["message"]
        assert message == "No cloud answered this request. The deadline passed before any was attempted."
