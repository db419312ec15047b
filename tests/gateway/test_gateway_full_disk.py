"""A gateway whose journal's disk is full for a while: what it says, what it serves, and that it goes on by itself."""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from gateway_rig import (
    AUTHORIZED,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    PRODUCT,
    SECRET,
    Connection,
    ReadsBroken,
    Received,
    Rig,
    chat_body,
    compact,
    request_bytes,
    well,
)
from gateway_stage import RESPONSE_DELTAS, RESPONSE_END, RESPONSE_PREAMBLE
from websockets.sync.client import connect

from awaiting import eventually
from clauseway.app.running.doctor import Examination, with_room
from clauseway.gateway.plan import Auth, Epoch, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, Telemetry
from clauseway.metering import Deployment, Status, Unit
from small_disks import SmallDisk, small_disk

SLOW_DISK = str(Path(__file__).with_name("slow_disk.py"))
SMALL_SEGMENTS = str(Path(__file__).with_name("small_segments.py"))
# One for all: to make a client costs more than a request.
HTTP = httpx.Client(transport=ReadsBroken(), timeout=60)
LEFT = 40_000  # less than a segment


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 4 << 20) as mounted:
        yield mounted


@pytest.fixture
def rig(tmp_path: Path, disk: SmallDisk) -> Iterator[Rig]:
    with Rig(tmp_path) as started:
        started.spool = disk.path / "spool"
        yield started


def start(rig: Rig, hold_s: float = 0.0) -> None:
    rig.cloud("azure")
    settings = Settings(limits=Limits(journal_hold_s=hold_s), telemetry=Telemetry(metrics=True, metrics_port=0))
    rig.start(rig.plan(settings=settings), launcher=(SMALL_SEGMENTS,))


def post(rig: Rig, stream: bool = False) -> httpx.Response:
    body = {"model": MODEL, "messages": MESSAGES, "stream": stream, "user": "u" * 64}
    return HTTP.post(f"{rig.url}/v1/chat/completions", json=body, headers=AUTHORIZED)


def fill_journal(rig: Rig) -> set[str]:
    """Ask until the journal is full; the requests that were answered."""
    acknowledged = set()
    while (answer := post(rig)).status_code == 200:
        acknowledged.add(answer.headers["x-clauseway-request-id"])
    return acknowledged


def health(rig: Rig) -> httpx.Response:
    return HTTP.get(f"{rig.url}/healthz")


def figure(rig: Rig, name: str) -> float:
    lines = HTTP.get(f"http://127.0.0.1:{rig.ports['metrics']}/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name} ")]
    return float(line.split(" ")[1])


def events(rig: Rig) -> list[str]:
    events = [json.loads(line)["event"] for line in rig.errors().splitlines() if line.startswith("{")]
    return [event for event in events if event.startswith("journal ")]


def check(rig: Rig, acknowledged: set[str]) -> None:
    """Each answer that a client was told in full is recorded, and nothing twice."""
    recorded = [str(record.request) for record in rig.records()]
    assert len(recorded) == len(set(recorded))
    assert acknowledged <= set(recorded)


def test_it_goes_on_then_refuses_then_goes_on(rig: Rig, disk: SmallDisk) -> None:
    start(rig)
    acknowledged = {post(rig).headers["x-clauseway-request-id"]}
    assert health(rig).json() == {"status": "ok"}
    assert figure(rig, "clauseway_journal_short") == 0, "before half a segment is written nobody has asked for the next"
    disk.fill(leave=LEFT)
    while "journal" not in (said := health(rig).json()):
        acknowledged.add(post(rig).headers["x-clauseway-request-id"])
    assert said["status"] == "ok", "as long as the present segment has room"
    assert "bytes are left" in said["journal"]
    assert 0 < figure(rig, "clauseway_journal_room_bytes") < 64 << 10
    assert figure(rig, "clauseway_journal_short") == 1
    disk.fill()
    acknowledged |= fill_journal(rig)
    for refused in (post(rig), post(rig, stream=True), health(rig), HTTP.get(f"{rig.url}/readyz")):
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "journal_full")
        assert (refused.headers["retry-after"], refused.headers["x-should-retry"]) == ("5", "true")
    asked = len(rig.clouds["azure"].requests)
    assert post(rig).status_code == 503
    assert len(rig.clouds["azure"].requests) == asked, "no cloud is asked for what cannot be recorded"
    assert (figure(rig, "clauseway_journal_full"), figure(rig, "clauseway_journal_room_bytes")) == (1, 0)
    assert figure(rig, "clauseway_journal_failed") == 0
    eventually(lambda: "journal full" in events(rig))
    disk.clear()
    eventually(lambda: health(rig).json() == {"status": "ok"})
    for _ in range(30):
        acknowledged.add(post(rig).headers["x-clauseway-request-id"])
    assert (figure(rig, "clauseway_journal_full"), figure(rig, "clauseway_journal_short")) == (0, 0)
    eventually(lambda: events(rig)[-1:] == ["journal has room"])
    assert rig.counts()["open"] == 0
    check(rig, acknowledged)
    rig.stop()
    check(rig, acknowledged)


def test_where_it_may_it_holds_requests_until_there_is_room(rig: Rig, disk: SmallDisk) -> None:
    start(rig, hold_s=600)
    acknowledged = {post(rig).headers["x-clauseway-request-id"]}
    disk.fill()
    with ThreadPoolExecutor(8) as clients:
        waiting = []
        while health(rig).status_code == 200:
            waiting.append(clients.submit(post, rig))
            eventually(lambda: waiting[-1].done() or health(rig).status_code == 503)
        asked = len(rig.clouds["azure"].requests)
        held = [clients.submit(post, rig, stream) for stream in (False, True, False)]
        eventually(lambda: rig.counts()["open"] >= 3)
        assert len(rig.clouds["azure"].requests) == asked, "nothing is asked of a cloud until it can be recorded"
        disk.clear()
        for item in (*waiting, *held):
            answer = item.result(timeout=60)
            assert answer.status_code == 200
            acknowledged.add(answer.headers["x-clauseway-request-id"])
    eventually(lambda: rig.counts()["open"] == 0)
    check(rig, acknowledged)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_that_could_not_be_recorded_is_explained_and_counted_as_refused(
    rig: Rig, disk: SmallDisk, stream: bool
) -> None:
    """The cloud answered 200, but the client got an error: what is told of the request says so too."""
    start(rig)
    disk.fill()
    while "journal_full" not in (refused := post(rig, stream)).text:
        pass
    asked = len(rig.clouds["azure"].requests)
    disk.clear()
    eventually(lambda: health(rig).status_code == 200)
    listed = HTTP.get(f"{rig.url}/clauseway/v1/requests", headers=AUTHORIZED).json()["data"]
    assert refused.status_code == (200 if stream else 503), "of a stream the status was sent before"
    assert refused.headers["x-clauseway-attempts"] == "1"
    latest, *others = listed
    assert int(latest["id"][-16:], 16) == asked, "the router refused none: the cloud was asked for each"
    assert (latest["status"], {other["status"] for other in others}) == (503, {200})
    assert "journal" in latest["message"]
    path = f"/clauseway/v1/requests/{refused.headers['x-clauseway-request-id']}"
    assert HTTP.get(rig.url + path, headers=AUTHORIZED).json() == latest
    figures = HTTP.get(f"http://127.0.0.1:{rig.ports['metrics']}/metrics").text.splitlines()
    [counted] = [line for line in figures if line.startswith("clauseway_requests") and 'status="503"' in line]
    assert float(counted.split()[-1]) == 1


def test_a_hedge_is_due_only_after_the_wait_for_room(rig: Rig, disk: SmallDisk) -> None:
    """Time spent waiting for room counts against no deadline, and makes no cloud slow."""
    hedge_s = 5.0

    async def after_a_while(connection: Connection, request: Received) -> None:
        await asyncio.sleep(0.3)  # long enough for a hedge that is due
        await well(connection, request)

    azure, openai_cloud = rig.cloud("azure"), rig.cloud("openai")
    rig.start(rig.plan(settings=Settings(limits=Limits(journal_hold_s=600))), launcher=(SMALL_SEGMENTS,))
    disk.fill()
    with ThreadPoolExecutor(8) as clients:
        waiting = []
        while health(rig).status_code == 200:
            waiting.append(clients.submit(post, rig))
            eventually(lambda: waiting[-1].done() or health(rig).status_code == 503)
        eventually(lambda: rig.counts()["open"] == sum(not answer.done() for answer in waiting))
        open_before, azure.behaviour = rig.counts()["open"], after_a_while
        begin_s = time.monotonic()
        held = clients.submit(
            HTTP.post,
            f"{rig.url}/v1/chat/completions",
            json={"model": MODEL, "messages": MESSAGES},
            headers=AUTHORIZED | {"x-clauseway-hedge-ms": f"{hedge_s * 1000:.0f}"},
        )
        eventually(lambda: rig.counts()["open"] > open_before)
        eventually(lambda: time.monotonic() > begin_s + hedge_s)
        disk.clear()
        answer = held.result(timeout=PATIENCE_S)
        assert [(other.result(timeout=PATIENCE_S)).status_code for other in waiting] == [200] * len(waiting)
    assert (answer.headers["x-clauseway-cloud"], answer.headers["x-clauseway-attempts"]) == ("azure", "1")
    assert not openai_cloud.requests


def test_who_leaves_while_held_is_let_go(rig: Rig, disk: SmallDisk) -> None:
    start(rig, hold_s=600)
    disk.fill()
    with ThreadPoolExecutor(8) as clients:
        waiting = []
        while health(rig).status_code == 200:
            waiting.append(clients.submit(post, rig))
            eventually(lambda: waiting[-1].done() or health(rig).status_code == 503)
        eventually(lambda: rig.counts()["open"] == sum(not answer.done() for answer in waiting))
        before = rig.counts()["open"]
        with rig.socket() as leaving:
            leaving.sendall(request_bytes(chat_body()))
            eventually(lambda: rig.counts()["open"] == before + 1)
        eventually(lambda: rig.counts()["open"] == before)
        disk.clear()
        assert [answer.result(timeout=60).status_code for answer in waiting] == [200] * len(waiting)


# -- streams of typed events

CLAUDE = "claude-opus-4-7"
MESSAGE_USAGE = {"input_tokens": 21, "output_tokens": 8}


def message_event(kind: str, **members: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind, **members}))


DELTA = message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "word"})
MESSAGE_BEGIN = message_event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [],
        "usage": MESSAGE_USAGE,
    },
) + message_event("content_block_start", index=0, content_block={"type": "text", "text": ""})
MESSAGE_END = message_event("message_delta", delta={"stop_reason": "end_turn"}, usage=MESSAGE_USAGE)
MESSAGE_END += message_event("message_stop")
# Path → (what a stream begins with, how it ends).
TYPED = {
    b"/responses": (RESPONSE_PREAMBLE + RESPONSE_DELTAS[0], RESPONSE_END),
    b"/messages": (MESSAGE_BEGIN + DELTA, MESSAGE_END),
}


class HaltingStreams:
    """A cloud that stops in the middle of a typed stream until it may go on, and answers chats."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    async def __call__(self, connection: Connection, request: Received) -> None:
        line = request.head.partition(b"\r\n")[0]
        for path, (begin, end) in TYPED.items():
            if path in line:
                connection.begin_stream()
                connection.piece(begin)
                await connection.writer.drain()
                self.begun.set()
                await asyncio.to_thread(self.may_go_on.wait, PATIENCE_S)
                connection.piece(end)
                connection.end_stream()
                return
        await well(connection, request)


def responses_events(rig: Rig) -> list[str]:
    client = openai.OpenAI(base_url=f"{rig.url}/v1", api_key=SECRET, max_retries=0)
    kinds: list[str] = []
    stream = client.responses.create(model=MODEL, input="Hello.", store=False, stream=True)
    with pytest.raises(openai.APIError) as failed:
        kinds.extend(event.type for event in stream)
    assert failed.value.code == "journal_full"
    return kinds


def messages_events(rig: Rig) -> list[str]:
    client = anthropic.Anthropic(base_url=rig.url, api_key=SECRET, max_retries=0)
    asked: list[Any] = [{"role": "user", "content": "Hello."}]
    kinds: list[str] = []
    stream = client.messages.create(model=CLAUDE, max_tokens=9, messages=asked, stream=True)
    with pytest.raises(anthropic.APIStatusError) as failed:
        kinds.extend(event.type for event in stream)
    assert "journal_full" in str(failed.value.body)
    return kinds


@pytest.mark.parametrize(
    ("ask", "last"),
    [(responses_events, "response.output_text.delta"), (messages_events, "message_delta")],
    ids=["responses", "messages"],
)
def test_a_typed_stream_whose_usage_has_no_room_yet(
    rig: Rig, disk: SmallDisk, ask: Callable[[Rig], list[str]], last: str
) -> None:
    """Its client raises and has no whole answer; what it used is recorded as soon as there is room."""
    halting = HaltingStreams()
    port = rig.cloud("azure", halting).port
    products = {MODEL: PRODUCT, CLAUDE: "claude"}
    label = Deployment("anthropic-1", "anthropic", "openai", "eastus", "claude", CLAUDE)
    claude = rig.target("anthropic", port, label=label, dialect="anthropic", auth=Auth(kind="api-key", secret="s"))
    routes = {f"openai|{product}|direct": Route(candidates=((at, 0),)) for at, product in enumerate(products.values())}
    targets = (rig.target("azure", port), claude)
    epochs = (Epoch(begin_ns=0, routes=routes),)
    rig.start(rig.plan(targets, models=products, epochs=epochs), launcher=(SMALL_SEGMENTS,))
    with ThreadPoolExecutor(1) as clients:
        asking = clients.submit(ask, rig)
        assert halting.begun.wait(PATIENCE_S)
        disk.fill()
        acknowledged = fill_journal(rig)
        halting.may_go_on.set()
        assert asking.result(PATIENCE_S)[-1] == last
    disk.clear()
    acknowledged.add(eventual_answer(rig))
    check(rig, acknowledged)
    (streamed,) = [record for record in rig.records() if record.streamed]
    assert streamed.status is Status.COMPLETE
    assert {Unit.INPUT_TOKENS: 21, Unit.OUTPUT_TOKENS: 8}.items() <= dict(streamed.units).items()


def eventual_answer(rig: Rig) -> str:
    eventually(lambda: post(rig).status_code == 200)
    return post(rig).headers["x-clauseway-request-id"]


def test_the_doctor_looks_whether_there_is_room(disk: SmallDisk) -> None:
    well = Examination(True, ())
    (short,) = with_room(well, disk.path / "not" / "made" / "yet").checks
    assert (short.ok, short.what) == (False, "journal")
    assert "MB are free" in short.found
    assert "Make room" in short.remedy
    assert with_room(well, Path("/")).ok


def test_the_doctor_looks_whether_there_is_room_for_files(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100 << 20, files_max=500) as disk:
        (short,) = with_room(Examination(True, ()), disk.path).checks
    assert not short.ok
    assert "499 files can still be made" in short.found


def test_a_refusal_for_want_of_room_leaves_the_connection_usable(rig: Rig, disk: SmallDisk) -> None:
    start(rig)
    disk.fill()
    with socket.create_connection(("127.0.0.1", rig.port)) as client:
        while ask_over(client) == 200:
            pass
        assert [ask_over(client) for _ in range(3)] == [503, 503, 503]


def ask_over(client: socket.socket) -> int:
    """Send one request over a connection and read its whole answer; its status."""
    body = json.dumps({"model": MODEL, "messages": MESSAGES, "user": "u" * 64}).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in AUTHORIZED.items())
    client.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(client)
    answer_head, _, rest = received.partition(b"\r\n\r\n")
    [length] = re.findall(rb"content-length: (\d+)", answer_head)
    while len(rest) < int(length):
        rest += _some(client)
    return int(answer_head.split(b" ")[1])


def _some(client: socket.socket) -> bytes:
    data = client.recv(65536)
    assert data, "the connection was closed without a word"
    return data


async def stores_responses(connection: Connection, request: Received) -> None:
    """A cloud that answers chats, and responses under a new identifier each."""
    if b"/chat/" in request.head:
        await well(connection, request)
        return
    named = f"resp_{time.monotonic_ns()}"
    usage = {"input_tokens": 21, "output_tokens": 8, "total_tokens": 29}
    connection.answer(200, compact({"id": named, "object": "response", "status": "completed", "usage": usage}))


def test_no_cloud_is_asked_for_what_could_not_be_found_again(tmp_path: Path) -> None:
    """The journal has room, the index of identifiers has none: the cloud would bill an answer that no client gets."""
    with small_disk(tmp_path / "disk", 40 << 20) as disk, Rig(tmp_path) as rig:
        rig.spool = disk.path / "spool"
        cloud = rig.cloud("openai", stores_responses)
        rig.start()

        def respond(**members: object) -> httpx.Response:
            body = {"model": MODEL, "input": "hi", **members}
            return HTTP.post(f"{rig.url}/v1/responses", json=body, headers=AUTHORIZED)

        assert respond().status_code == 200
        disk.fill()
        for _ in range(5):
            refused = respond()
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "journal_full"
            assert refused.headers["retry-after"] == "5"
            message = refused.json()["error"]["message"]
            assert message.startswith("The index of identifiers ")
            assert "journal" not in message
        url = f"ws://127.0.0.1:{rig.port}/v1/responses"
        with connect(url, additional_headers=AUTHORIZED) as session:
            session.send(json.dumps({"type": "response.create", "model": MODEL, "input": "hi"}))
            event = json.loads(session.recv(PATIENCE_S))
            assert (event["type"], event["status"], event["error"]["code"]) == ("error", 503, "journal_full")
        assert len(cloud.requests) == 2, "the first to find no room was asked for"
        assert [respond(store=False).status_code, post(rig).status_code] == [200, 200]
        eventually(lambda: "identifiers not kept" in rig.errors())
        disk.clear()
        eventually(lambda: respond().status_code == 200)
        eventually(lambda: "identifiers kept again" in rig.errors())


def test_a_gateway_whose_disk_hangs_says_so(tmp_path: Path) -> None:
    """A disk that neither writes nor fails, as of a server that is gone, holds every answer up."""
    with Rig(tmp_path) as rig, ThreadPoolExecutor(1) as clients:
        rig.cloud("azure")
        rig.start(launcher=(SLOW_DISK,))
        slow = rig.spool.with_name("slow")
        slow.write_text("0.02")
        assert post(rig).status_code == 200  # from here on commits are another thread's
        slow.write_text("8")
        asking = clients.submit(post, rig)
        eventually(lambda: HTTP.get(f"{rig.url}/readyz").status_code == 503)
        error = health(rig).json()["error"]
        assert error["code"] == "journal_failed"
        assert "its disk has not answered for" in error["message"]
        slow.unlink()
        assert asking.result(PATIENCE_S).status_code == 200
        assert HTTP.get(f"{rig.url}/readyz").status_code == 200
        eventually(lambda: events(rig)[-2:] == ["journal hangs", "journal written again"])
