"""The replay: what the client saw, the clock it wrote, and the midnight that nothing crosses."""

import asyncio
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from sandbox_rig import clouds, running_clouds

from clauseway.sandbox.signatures.credentials import OPENAI_API_KEY
from clauseway.sandbox.traffic.clock import SimulatedClock
from clauseway.sandbox.traffic.replay import CONCURRENCY, Progress, ReplayedRequest, ReplayReport, replay
from clauseway.sandbox.traffic.traffic import BEGIN_NS, END_NS, SELLERS, plan
from clauseway.sandbox.traffic.traffic_trace import TraceRequest, read_sample
from clauseway.values import DAY_NS, InvalidInput

KEYS = dict.fromkeys(SELLERS, OPENAI_API_KEY)


def sample(count: int) -> list[Any]:
    """Every so manieth request of the real sample, spread over the whole week."""
    rows = read_sample()
    return plan(rows[:: len(rows) // count][:count])


def run(clouds: Any, planned: list[Any], **options: Any) -> ReplayReport:
    return uvloop.run(replay(clouds.url("openai", "/v1"), KEYS, planned, **options))


def test_the_client_sees_every_token(clouds: Any) -> None:
    planned = sample(120)
    before = clouds.counts("openai")
    report = run(clouds, planned)
    assert [outcome.index for outcome in report.outcomes] == list(range(120))
    assert {(outcome.kind, outcome.status) for outcome in report.outcomes} == {("served", 200)}
    for request, outcome in zip(planned, report.outcomes, strict=True):
        assert outcome.completion_words == request.completion_tokens
        if outcome.usage_reported:
            assert outcome.prompt_tokens == request.prompt_tokens
            assert outcome.completion_tokens == request.completion_tokens
    after = clouds.counts("openai")
    assert after["answered"] - before["answered"] == 120
    assert after["completion_tokens"] - before["completion_tokens"] == sum(r.completion_tokens for r in planned)
    assert after["prompt_tokens"] - before["prompt_tokens"] == sum(r.prompt_tokens for r in planned)


def test_both_ways_of_streaming_are_exercised(clouds: Any) -> None:
    planned = sample(60)
    report = run(clouds, planned)
    modes = [(r.streamed, o.usage_reported) for r, o in zip(planned, report.outcomes, strict=True)]
    # Of 60 requests every third streams, 20, and every other stream asks for its usage, 10.
    assert {mode: modes.count(mode) for mode in set(modes)} == {(False, True): 40, (True, True): 10, (True, False): 10}


def test_the_clock_follows_the_requests(clouds: Any, tmp_path: Path) -> None:
    planned = sample(40)
    seen: list[Progress] = []
    with SimulatedClock.create(tmp_path / "clock", BEGIN_NS - 1) as clock:
        run(clouds, planned, clock=clock, on_progress=seen.append)
        assert clock.instant_ns == planned[-1].event_ns
    assert struct.unpack("<q", (tmp_path / "clock").read_bytes()) == (planned[-1].event_ns,)
    assert [(progress.done, progress.total) for progress in seen] == [(32, 40), (40, 40)]
    assert seen[-1].business_ns == planned[-1].event_ns < END_NS


def test_failures_have_names(clouds: Any) -> None:
    clouds.add_fault("openai", kind="status", status=503, count=1)
    clouds.add_fault("openai", kind="drop", count=1)
    clouds.add_fault("openai", kind="cut-after-events", events=3)
    planned = sample(4)
    report = run(clouds, [planned[1], planned[2], planned[0], planned[3]], concurrency=1)
    assert [(outcome.index, outcome.kind, outcome.code, outcome.status) for outcome in report.outcomes] == [
        (0, "failed", "broken_off", 200),
        (1, "failed", "server_is_overloaded", 503),
        (2, "failed", "broken_off", 0),
        (3, "served", "", 200),
    ]
    assert report.progress.failed == {"server_is_overloaded": 1, "broken_off": 2}


def test_nobody_listening_is_a_failure_with_a_name() -> None:
    report = uvloop.run(replay("http://127.0.0.1:1/v1", KEYS, sample(2)))
    assert [(outcome.kind, outcome.code) for outcome in report.outcomes] == [("failed", "not_connected")] * 2


@pytest.mark.parametrize("url", ["127.0.0.1:1/v1", "ftp://h/v1", "http:///v1", "http://h:99999/v1", "http://a b/"])
def test_what_is_no_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(InvalidInput, match="is not the address of a gateway"):
        uvloop.run(replay(url, KEYS, sample(1)))


class Gateway:
    """A gateway's stand-in that answers late and as told, and notes the business day at both ends of each request."""

    def __init__(self, clock: Path, answers: list[bytes]) -> None:
        self.arrived = asyncio.Condition()
        self.left: Counter[int] = Counter()
        self.clock = clock
        self.answers = answers
        self.days: list[tuple[int, int]] = []
        self.heads: list[bytes] = []
        self.connections: list[Any] = []
        self.open = 0
        self.open_max = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(asyncio.current_task())
        try:
            while True:
                await self.answer_one(reader, writer)
        except asyncio.IncompleteReadError:  # the client closed the connection between two requests
            writer.close()

    async def answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        self.heads.append(head)
        day = self.day()
        # Each waits until as many are open as may be, or all that the day still has.
        async with self.arrived, asyncio.timeout(60):
            self.open += 1
            self.open_max = max(self.open, self.open_max)
            self.arrived.notify_all()
            await self.arrived.wait_for(lambda: self.open >= min(CONCURRENCY, self.left[day]))
            self.days.append((day, self.day()))
            self.open -= 1
            self.left[day] -= 1
            self.arrived.notify_all()
        writer.write(self.answers.pop(0) if self.answers else WHOLE)

    def day(self) -> int:
        instant_ns: int = struct.unpack("<q", self.clock.read_bytes())[0]
        return (instant_ns - BEGIN_NS) // DAY_NS

    async def receive(self, planned: list[Any], clock: SimulatedClock | None) -> ReplayReport:
        days = [(request.event_ns - BEGIN_NS) // DAY_NS if clock else self.day() for request in planned]
        self.left = Counter(days)
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            report = await replay(f"http://127.0.0.1:{port}/v1/", KEYS, planned, clock=clock)
            await asyncio.gather(*self.connections)
            return report


def answer(status: str, body: object, *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


WHOLE = answer(
    "200 OK",
    {"choices": [{"message": {"content": "a b"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    "x-clauseway-cloud: azure",
    "x-clauseway-request-id: req_1",
)
REFUSED = answer(
    "403 Forbidden",
    {
        "error": {
            "message": "forbidden by A2 X",
            "type": "permission_error",
            "param": None,
            "code": "forbidden_by_agreement",
        }
    },
)


def test_no_request_is_open_across_midnight(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    planned = [request for request in plan([TraceRequest(n, 5, 5) for n in range(900)]) if not request.streamed]
    gateway = Gateway(path, [])
    with SimulatedClock.create(path, BEGIN_NS) as clock:
        report = uvloop.run(gateway.receive(planned, clock))
    assert all(begin == end for begin, end in gateway.days)
    assert {begin for begin, _ in gateway.days} == set(range(7))
    assert gateway.open_max == 32  # within a day the requests do overlap, as many as allowed
    assert {(outcome.cloud, outcome.request_id) for outcome in report.outcomes} == {("azure", "req_1")}


def one(tmp_path: Path, index: int, reply: bytes) -> tuple[ReplayedRequest, Progress, bytes]:
    """The outcome of the request of that index in the mix, answered so."""
    (tmp_path / "clock").write_bytes(bytes(8))
    gateway = Gateway(tmp_path / "clock", [reply])
    report = uvloop.run(gateway.receive([plan([TraceRequest(n, 5, 5) for n in range(20)])[index]], None))
    return report.outcomes[0], report.progress, gateway.heads[0]


def test_a_refusal_counts_at_the_cloud_that_was_asked_for(tmp_path: Path) -> None:
    outcome, progress, head = one(tmp_path, 7, REFUSED)
    assert (outcome.kind, outcome.status, outcome.cloud) == ("refused", 403, "aws")
    assert (outcome.code, outcome.message) == ("forbidden_by_agreement", "forbidden by A2 X")
    assert progress.refused == {"aws": 1}
    assert b"x-clauseway-cloud: aws\r\n" in head
    outcome, progress, head = one(tmp_path, 4, REFUSED)
    assert progress.refused == {"any": 1}
    assert b"x-clauseway-cloud" not in head


def stream(*chunks: object, end: bytes = b"data: [DONE]\n\n") -> bytes:
    events = [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks]
    return answer("200 OK", b": a comment\n\n" + b"".join(events) + end)


CONTENT = {"choices": [{"delta": {"content": "a b"}}]}
NULL_USAGE = {**CONTENT, "usage": None}
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
ERROR = {"error": {"message": "the stream broke", "code": "upstream_broke"}}
STREAMS = [
    # index (0 asks for usage, 3 does not), the stream, kind, code
    (0, stream(NULL_USAGE, USAGE), "served", ""),
    (3, stream(CONTENT), "served", ""),
    (0, stream(NULL_USAGE), "failed", "usage_missing"),
    (3, stream(NULL_USAGE), "failed", "usage_not_asked_for"),
    (3, stream(CONTENT, USAGE), "failed", "usage_not_asked_for"),
    (3, stream(CONTENT, end=b""), "failed", "stream_without_end"),
    (3, stream(CONTENT, ERROR, end=b""), "failed", "upstream_broke"),
    (0, stream(NULL_USAGE, ERROR), "failed", "upstream_broke"),
    (3, answer("200 OK", b"data: nonsense\n\ndata: [DONE]\n\n"), "failed", "unreadable_event"),
    (4, answer("200 OK", b"nonsense"), "failed", "unreadable_200"),
    (4, answer("502 Bad Gateway", b"<html>"), "failed", "unreadable_502"),
    (4, b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + WHOLE, "served", ""),
    (4, WHOLE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), "served", ""),
    (4, b"no HTTP at all\r\n\r\n", "failed", "not_http"),
    (4, answer("401 Unauthorized", {"error": {"message": "no", "code": None}}), "failed", "401"),
]


@pytest.mark.parametrize(("index", "reply", "kind", "code"), STREAMS)
def test_what_a_careful_client_complains_about(tmp_path: Path, index: int, reply: bytes, kind: str, code: str) -> None:
    outcome, progress, _ = one(tmp_path, index, reply)
    assert (outcome.kind, outcome.code) == (kind, code)
    assert progress.failed == ({code: 1} if code else {})


def test_the_clock_never_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_bytes(b"an older and longer file")
    with SimulatedClock.create(path, 100) as clock:
        clock.set(300)
        clock.set(200)
        assert clock.instant_ns == 300
        assert path.read_bytes() == (300).to_bytes(8, "little")
