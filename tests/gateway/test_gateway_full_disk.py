"""A gateway whose journal's disk is full for a while: what it says, what it serves, and that it goes on by itself."""

import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gateway_rig import AUTHORIZED, MESSAGES, MODEL, Rig, eventually

from clauseway.app.running.doctor import Examination, with_room
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, Telemetry
from small_disks import SmallDisk, small_disk

SMALL_SEGMENTS = str(Path(__file__).with_name("small_segments.py"))
# One for all: to make a client costs more than a request.
HTTP = httpx.Client(timeout=60)
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
    told = [json.loads(line)["event"] for line in rig.errors().splitlines() if line.startswith("{")]
    return [event for event in told if event.startswith("journal ")]


def check(rig: Rig, acknowledged: set[str]) -> None:
    """What a client was told in full is recorded, and nothing twice."""
    recorded = [str(record.request) for record in rig.records()]
    assert len(recorded) == len(set(recorded))
    assert acknowledged <= set(recorded)


def test_it_goes_on_then_refuses_then_goes_on(rig: Rig, disk: SmallDisk) -> None:
    start(rig)
    acknowledged = {post(rig).headers["x-clauseway-request-id"]}
    assert health(rig).json() == {"status": "ok"}
    disk.fill(leave=LEFT)
    while "journal" not in (said := health(rig).json()):
        acknowledged.add(post(rig).headers["x-clauseway-request-id"])
    assert said["status"] == "ok", "as long as the present segment has room"
    assert "bytes are left" in said["journal"]
    assert 0 < figure(rig, "clauseway_journal_room_bytes") < 64 << 10
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
    assert figure(rig, "clauseway_journal_full") == 0
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
        for one in (*waiting, *held):
            answer = one.result(timeout=60)
            assert answer.status_code == 200
            acknowledged.add(answer.headers["x-clauseway-request-id"])
    eventually(lambda: rig.counts()["open"] == 0)
    check(rig, acknowledged)


def test_who_leaves_while_held_is_let_go(rig: Rig, disk: SmallDisk) -> None:
    start(rig, hold_s=600)
    disk.fill()
    with ThreadPoolExecutor(8) as clients:
        waiting = []
        while health(rig).status_code == 200:
            waiting.append(clients.submit(post, rig))
            eventually(lambda: waiting[-1].done() or health(rig).status_code == 503)
        eventually(lambda: rig.counts()["open"] == sum(not one.done() for one in waiting))
        before = rig.counts()["open"]
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{rig.url}/v1/chat/completions",
                content=b'{"model":"gpt-5.4","messages":[]}',
                headers={"authorization": "Bearer sk-test-secret"},
                timeout=0.5,
            )
        eventually(lambda: rig.counts()["open"] == before)
        disk.clear()
        assert [one.result(timeout=60).status_code for one in waiting] == [200] * len(waiting)


def test_the_doctor_looks_whether_there_is_room(disk: SmallDisk) -> None:
    well = Examination(True, ())
    (short,) = with_room(well, disk.path / "not" / "made" / "yet").checks
    assert (short.ok, short.what) == (False, "journal")
    assert "MB are free" in short.found
    assert "Make room" in short.todo
    assert with_room(well, Path("/")).ok


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
