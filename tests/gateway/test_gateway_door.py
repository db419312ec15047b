"""At the door, as bytes: clients that close one half, heads that can be read in two ways, bodies without end."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

import pytest
from gateway_rig import (
    ANSWER,
    DONE_EVENT,
    PATIENCE_S,
    SECRET,
    Connection,
    Received,
    Rig,
    chat_body,
    content_events,
    read_all,
    request_bytes,
    unread,
    well,
)

from awaiting import eventually
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Status


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start(started.plan(settings=Settings(limits=Limits(head_bytes=1 << 10, body_bytes=1 << 12))))
        yield started
        eventually(lambda: started.counts()["open"] == 0)
        assert "Traceback" not in started.errors()


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    shared_rig.clouds["azure"].behaviour = well
    shared_rig.clouds["azure"].left.clear()
    return shared_rig


def half_closed(rig: Rig, data: bytes) -> bytes:
    """Send, close the sending half, and read to the end."""
    with rig.socket() as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


async def after_the_client_has_closed(connection: Connection, request: Received) -> None:
    """Answers some time later: the gateway has heard the end by then."""
    await connection.apart()
    await well(connection, request)


# -- clients that send nothing more


@pytest.mark.parametrize("count", [1, 3], ids=["one request", "three in line"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_closes_its_sending_half_gets_its_answers(rig: Rig, stream: bool, count: int) -> None:
    asked = request_bytes(chat_body(stream=stream, stream_options={"include_usage": True} if stream else None))
    for _ in range(10):
        answer = half_closed(rig, asked * count)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 200 ") == count
        assert answer.count(DONE_EVENT if stream else ANSWER) == count
    assert rig.records()[-1].status is Status.COMPLETE


def test_probes_stand_nowhere_in_a_streams_events(rig: Rig) -> None:
    """Its first half goes out before the client closes; the sizes of later chunks have zeros before them."""
    closed = threading.Event()

    async def halting(connection: Connection, _: Received) -> None:
        events = content_events(with_nulls=False)
        connection.begin_stream()
        connection.piece(b"".join(events[:3]))
        await connection.writer.drain()
        while not closed.is_set():
            await connection.apart()
        connection.piece(b"".join(events[3:]) + DONE_EVENT)
        connection.end_stream()

    rig.clouds["azure"].behaviour = halting
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=True)))
        begun = connection.recv(1 << 16)
        connection.shutdown(socket.SHUT_WR)
        while not re.search(rb"\r\n00+$", begun):  # two probes have come, or more
            begun += connection.recv(1 << 16)
        closed.set()
        answer = begun + read_all(connection)
    assert unchunked(answer) == b"".join(content_events(with_nulls=False)) + DONE_EVENT


def unchunked(answer: bytes) -> bytes:
    body, rest = b"", answer.partition(b"\r\n\r\n")[2]
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            assert rest == b"\r\n"
            return body
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "within a stream"])
def test_a_client_that_left_is_noticed_all_the_same(rig: Rig, begun: bool) -> None:
    asked = threading.Event()

    async def halting(connection: Connection, _: Received) -> None:
        if begun:
            connection.begin_stream()
            connection.piece(b"".join(content_events(with_nulls=False)[:3]))
            await connection.writer.drain()
        asked.set()
        await connection.left()

    azure = rig.clouds["azure"]
    azure.behaviour = halting
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=True)))
        assert asked.wait(PATIENCE_S)
        if begun:
            connection.recv(1 << 16)
        connection.shutdown(socket.SHUT_WR)
    assert azure.left.wait(PATIENCE_S), "the cloud is called off"


@pytest.mark.parametrize("part", [0.3, 0.9], ids=["within the head", "within the body"])
def test_a_client_that_closes_within_a_request_gets_nothing(rig: Rig, part: float) -> None:
    asked = request_bytes(chat_body())
    assert half_closed(rig, asked[: int(len(asked) * part)]) == b""


# -- heads that can be read in two ways, bodies without end

TWICE = (
    "host: elsewhere",
    f"authorization: Bearer {SECRET}",
    "Authorization: Bearer sk-other",
    "x-clauseway-cloud: azure\r\nX-Clauseway-Cloud: openai",
    "x-clauseway-hedge-ms: 50\r\nx-clauseway-hedge-ms: 60",
)


@pytest.mark.parametrize("line", TWICE)
def test_what_decides_stands_once(rig: Rig, line: str) -> None:
    answer = rig.exchange(request_bytes(chat_body(), line))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_http" in answer


def endless(rig: Rig, before: bytes, again: bytes) -> bytes:
    """Send something again and again until the gateway answers, at most 100 MB; what it answered."""
    with rig.socket() as connection:
        connection.sendall(before)
        connection.setblocking(False)
        try:
            for _ in range((100 << 20) // len(again)):
                with contextlib.suppress(BlockingIOError):
                    return connection.recv(1 << 16)
                connection.setblocking(True)
                connection.sendall(again)
                connection.setblocking(False)
        except ConnectionError:
            return b"closed"
    raise AssertionError("it took 100 MB")


CHUNKED = (
    f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\n"
    "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
).encode()
ENDLESS = {
    "an extension": (CHUNKED + b"5;", b"x=y;" * 8192),
    "one trailer": (CHUNKED + b"5\r\nhello\r\n0\r\nx: ", b"y" * 32768),
    "trailers": (CHUNKED + b"5\r\nhello\r\n0\r\n", b"x: y\r\n" * 8192),
}


@pytest.mark.parametrize(("before", "again"), ENDLESS.values(), ids=ENDLESS)
def test_what_frames_a_body_has_an_end(rig: Rig, before: bytes, again: bytes) -> None:
    assert endless(rig, before, again).startswith((b"HTTP/1.1 4", b"closed"))


def test_what_frames_a_body_counts_anew_from_each_piece_and_each_request(rig: Rig) -> None:
    """Of 64 KB; each part is read before the next is sent."""
    body, extension = chat_body(), b";x=y" * 10_000
    parts = [CHUNKED]
    for piece in (body[:20], body[20:]):
        parts += (b"%x" % len(piece) + extension, b"\r\n%b\r\n" % piece)
    parts += (b"0\r\n" + b"x: y\r\n" * 7_000, b"\r\n")
    with rig.socket() as connection:
        for _ in range(2):
            for part in parts:
                connection.sendall(part)
                eventually(lambda: not any(unread(connection.getsockname(), connection.getpeername())))
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


KEY = f"authorization: Bearer {SECRET}"
# Lines of the head, lines of a trailer → the answer, which the head alone decides.
TRAILERS = {
    "a key": ("x: y", KEY, b"401"),
    "another key": (KEY, "authorization: Bearer sk-other", b"200"),
    "a cloud": (KEY, "x-clauseway-cloud: nowhere", b"200"),
    "a host": (KEY, "host: elsewhere", b"200"),
}


@pytest.mark.parametrize(("line", "trailer", "status"), TRAILERS.values(), ids=TRAILERS)
def test_a_trailer_decides_nothing(rig: Rig, line: str, trailer: str, status: bytes) -> None:
    head = CHUNKED.replace(KEY.encode(), f"connection: close\r\n{line}".encode())
    body = chat_body()
    answer = rig.exchange(b"%b%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (head, len(body), body, trailer.encode()))
    assert answer.startswith(b"HTTP/1.1 " + status), answer


def test_a_small_limit_of_a_body_holds(rig: Rig) -> None:
    assert rig.exchange(request_bytes(chat_body(user="x" * 4096))).startswith(b"HTTP/1.1 413 ")


def test_requests_in_line_are_not_one_head(rig: Rig) -> None:
    """Many short requests in one write, of which the last is not whole: longer than a head may be, and no head is."""
    ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with rig.socket() as connection:
        connection.sendall(ask * 100 + ask[:-10])
        answers = b""
        while answers.count(b'{"status":"ok"}') < 100:
            answers += connection.recv(1 << 16)
        connection.sendall(ask[-10:])
        while answers.count(b'{"status":"ok"}') < 101:
            answers += connection.recv(1 << 16)
    assert b"HTTP/1.1 431" not in answers
