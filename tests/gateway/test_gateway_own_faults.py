"""The gateway itself fails in an attempt: the client is told at once, nothing leaks, no cloud is blamed."""

import asyncio
import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from gateway_rig import (
    AUTHORIZED,
    PATIENCE_S,
    SECRET,
    Behaviour,
    Cloud,
    Connection,
    ReadsBroken,
    Received,
    Rig,
    chat_body,
    compact,
    content_events,
    read_all,
    request_bytes,
    well,
)
from gateway_stage import RESPONSE, RESPONSE_DELTAS, RESPONSE_PREAMBLE, typed
from web_socket_rig import closing_of, message, opened

from awaiting import eventually
from clauseway.gateway.plan import RateLimit
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Log, Settings
from clauseway.gateway.request.resource_index import INDEX_FILE, open_index
from clauseway.gateway.wire.errors import OWN_FAULT

PLANTED = str(Path(__file__).with_name("planted_faults.py"))
MANY = 12  # more than the failures in a row that eject a deployment


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.cloud("openai")
        started.start(started.plan(settings=Settings(log=Log(access=1.0))), launcher=(PLANTED,))
        yield started


@pytest.fixture
def azure(rig: Rig) -> Iterator[Cloud]:
    """Whatever a test does, the first cloud is asked again afterwards, and nothing is left open."""
    for cloud in rig.clouds.values():
        cloud.behaviour = well
        cloud.requests.clear()
    azure = rig.clouds["azure"]
    yield azure
    azure.behaviour = well
    answer = rig.post()
    assert (answer.status_code, answer.headers["x-clauseway-cloud"]) == (200, "azure")
    assert rig.counts()["open"] == 0


def failing(word: str) -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(503, compact({"error": {"message": word}}))

    return behave


def streaming(*events: bytes) -> Behaviour:
    """Some events, each read on its own; then silence, until the gateway closes the connection."""

    async def behave(connection: Connection, _: Received) -> None:
        connection.begin_stream()
        for event in events:
            connection.piece(event)
            await connection.apart()
        await connection.left()

    return behave


async def made(connection: Connection, _: Received) -> None:
    connection.answer(200, RESPONSE.replace(b"resp_1", b"fault-made"))


FAULT = b'data: {"choices":[{"delta":{"content":"fault-stream"}}]}\n\n'
TYPED_FAULT = typed("response.output_text.delta", 9, delta="fault-stream")
ROLE, *WORDS = content_events(with_nulls=False)
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
# where it fails: path, body, what the cloud does → is the cloud asked, is its connection closed
PLACES: dict[str, tuple[str, bytes, Behaviour, bool, bool]] = {
    "before anything was sent": (CHAT, chat_body(user="fault-sending"), well, False, False),
    "the same for a stream": (CHAT, chat_body(user="fault-sending", stream=True), well, False, False),
    "reading a failure": (CHAT, chat_body(), failing("fault-failing"), True, False),
    "reading what was made": (RESPONSES, compact({"model": "gpt-5.4", "input": "Hi"}), made, True, False),
    "in a stream, before its content": (CHAT, chat_body(stream=True), streaming(ROLE, FAULT), True, True),
    "in a stream's first event": (CHAT, chat_body(stream=True), streaming(FAULT), True, True),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_client_is_told_and_no_cloud_is_blamed(rig: Rig, azure: Cloud, place: str) -> None:
    path, body, behaviour, is_asked, is_closed = PLACES[place]
    for _ in range(MANY):
        azure.behaviour = behaviour
        azure.left.clear()
        before = len(rig.records())
        answer = httpx.post(rig.url + path, content=body, headers=AUTHORIZED, timeout=PATIENCE_S)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (500, "server_error", "internal_error")
        assert set(error) == {"message", "type", "param", "code"}
        assert answer.headers["x-clauseway-request-id"]
        assert answer.headers["x-clauseway-attempts"] == "1"
        assert not is_closed or azure.left.wait(PATIENCE_S), "its connection is closed"
        (record,) = rig.records()[before:]
        assert (record.status.name, record.units) == ("FAILED", ())
    assert len(azure.requests) == (MANY if is_asked else 0)
    assert rig.clouds["openai"].requests == [], "nor is another cloud asked: it would fail there as well"
    assert rig.counts()["failed"] == {}, "nor counted"
    eventually(lambda: "planted" in rig.errors())  # whoever runs the gateway is told, by lines that are gathered first


@pytest.mark.parametrize(
    ("path", "body", "events"),
    [
        (CHAT, chat_body(stream=True), (ROLE, *WORDS[:2], FAULT)),
        (
            RESPONSES,
            compact({"model": "gpt-5.4", "input": "Hi", "stream": True, "store": False}),
            (RESPONSE_PREAMBLE, *RESPONSE_DELTAS, TYPED_FAULT),
        ),
    ],
)
def test_a_stream_that_the_gateway_breaks_ends_with_an_error_and_is_metered(
    rig: Rig, azure: Cloud, path: str, body: bytes, events: tuple[bytes, ...]
) -> None:
    azure.behaviour = streaming(*events)
    before = len(rig.records())
    with httpx.Client(transport=ReadsBroken(), headers=AUTHORIZED, timeout=PATIENCE_S) as client:
        answer = client.post(rig.url + path, content=body)
    assert answer.status_code == 200
    assert answer.extensions["broken"]
    last = answer.text.strip().split("\n\n")[-1]
    assert "internal_error" in last or "stream_interrupted" in last
    assert "[DONE]" not in answer.text
    assert "response.completed" not in answer.text
    assert azure.left.wait(PATIENCE_S)
    (record,) = rig.records()[before:]
    assert record.status.name == "INTERRUPTED_ESTIMATED"


def test_a_session_whose_turn_the_gateway_cannot_begin_is_closed(rig: Rig, azure: Cloud) -> None:
    """Its client would wait for events for ever."""
    with opened(rig.url, SECRET) as session:
        session.send(message(input="fault-turn"))
        assert closing_of(session) == (1011, OWN_FAULT)
    eventually(lambda: "planted: fault-turn" in rig.errors())
    eventually(lambda: (rig.counts()["connections"], rig.counts()["bytes"]) == (0, 0))


def test_a_connection_goes_on_when_a_line_of_its_request_cannot_be_made(rig: Rig, azure: Cloud) -> None:
    """The answer is sent by then."""
    traced = {"traceparent": f"00-{'fa017'.zfill(32)}-{'1'.zfill(16)}-00"}
    with httpx.Client(headers=AUTHORIZED, timeout=PATIENCE_S) as client:
        for headers in (traced, {}):
            assert client.post(rig.url + CHAT, content=chat_body(), headers=headers).status_code == 200
    eventually(lambda: "planted: fa017" in rig.errors())


def test_what_was_reserved_is_free_again(tmp_path: Path) -> None:
    """One request may use some 4,200 tokens at most, so the limit bears one at a time."""
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        plan = rig.plan()
        limit = RateLimit(id="l", whose="organisation acme", tokens_per_minute=5_000)
        keys = tuple([msgspec.structs.replace(key, limits=(0,)) for key in plan.keys])
        rig.start(msgspec.structs.replace(plan, limits=(limit,), keys=keys), launcher=(PLANTED,))
        for _ in range(MANY):
            answer = rig.exchange(request_bytes(chat_body(user="fault-sending"), "connection: close"))
            assert answer.startswith(b"HTTP/1.1 500 ")
        assert rig.counts()["open"] == 0
        assert rig.post().status_code == 200


def test_each_attempt_beside_a_fault_of_ours_has_a_record_of_its_own(tmp_path: Path) -> None:
    """The gateway fails in the first attempt, its hedge is refused, a third cloud answers."""
    hedged = threading.Event()

    async def first(connection: Connection, request: Received) -> None:
        while not hedged.is_set():
            await asyncio.sleep(0.005)
        await failing("fault-failing")(connection, request)

    with Rig(tmp_path) as rig:

        async def second(connection: Connection, request: Received) -> None:
            hedged.set()
            while "planted" not in rig.errors():
                await asyncio.sleep(0.005)
            connection.answer(500, compact({"error": {"message": "down"}}))

        for name, behaviour in (("azure", first), ("openai", second), ("oracle", well)):
            rig.cloud(name, behaviour)
        rig.start(launcher=(PLANTED,))
        headers = AUTHORIZED | {"x-clauseway-hedge-ms": "50"}
        answer = httpx.post(rig.url + CHAT, content=chat_body(), headers=headers, timeout=PATIENCE_S)
        assert (answer.status_code, answer.headers["x-clauseway-cloud"]) == (200, "oracle")
        records = rig.records()
        assert sorted(record.status.name for record in records) == ["COMPLETE", "FAILED", "FAILED"]
        assert sorted(record.attempt for record in records) == [1, 2, 3]
        assert answer.headers["x-clauseway-attempts"] == "3"


def test_an_attempt_that_fails_here_is_called_off_while_its_hedge_goes_on(rig: Rig, azure: Cloud) -> None:
    hedged, is_closed = threading.Event(), list[bool]()

    async def first(connection: Connection, request: Received) -> None:
        await asyncio.to_thread(hedged.wait, PATIENCE_S)
        await streaming(FAULT)(connection, request)

    async def second(connection: Connection, request: Received) -> None:
        hedged.set()
        is_closed.append(await asyncio.to_thread(azure.left.wait, 5.0))
        await well(connection, request)

    azure.left.clear()
    azure.behaviour, rig.clouds["openai"].behaviour = first, second
    headers = AUTHORIZED | {"x-clauseway-hedge-ms": "50"}
    answer = httpx.post(rig.url + CHAT, content=chat_body(stream=True), headers=headers, timeout=PATIENCE_S)
    assert (answer.status_code, answer.headers["x-clauseway-cloud"], is_closed) == (200, "openai", [True])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_lack_of_descriptors_is_no_fault_of_a_cloud(tmp_path: Path, host: str) -> None:
    with Rig(tmp_path) as rig:
        port = rig.cloud("azure").port
        rig.start(rig.plan([rig.target("azure", port, url=f"http://{host}:{port}/v1")]))
        assert rig.process is not None
        opened = [rig.socket() for _ in range(MANY)]
        eventually(lambda: rig.counts()["connections"] == MANY)
        limit = resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE)
        # Whatever it opens from now on is refused; what is open stays.
        resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
        for connection in opened:
            with connection:
                connection.sendall(request_bytes(chat_body(), "connection: close"))
                answer = read_all(connection)
                assert answer.startswith(b"HTTP/1.1 502 ")
                assert b"could not be reached (Too many open files)" in answer
        resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE, limit)
        assert rig.post().status_code == 200
        eventually(lambda: '"kind":"descriptors","whose":"the process"' in rig.errors())
        assert "deployment ejected" not in rig.errors()
        assert rig.counts()["open"] == 0


def test_a_plan_that_cannot_be_read_for_now_is_read_later(tmp_path: Path) -> None:
    """Nobody writes it again because a process had no descriptor left."""
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        rig.start()
        assert rig.process is not None
        assert rig.post().status_code == 200
        limit = resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
        rig.write_plan(rig.plan(keys=()))
        eventually(lambda: "plan refused" in rig.errors())
        resource.prlimit(rig.process.pid, resource.RLIMIT_NOFILE, limit)
        eventually(lambda: rig.post().status_code == 401)
        assert rig.errors().count("plan refused") == 1, "the failure is logged once"


def pending_rows(index: Path, count: int) -> None:
    """Fill an index with more than its readers keep in memory; nobody meters the end of these resources."""
    values = ((f"file-{number:06d}", number, "x" * 200) for number in range(count))
    with contextlib.closing(open_index(index)) as connection, connection:
        connection.executemany(
            "INSERT INTO issued (identifier, organisation, project, key_id, seller, segment, deployment, model, "
            "endpoint, body_bytes, created_ns, pending) VALUES (?1, 'acme', ?3, 'k', 'openai', 'direct', 'azure', 'm', "
            "0, 1, ?2, 1)",
            values,
        )


def test_an_index_that_cannot_be_read_ends_no_gateway(tmp_path: Path) -> None:
    """Only what names something that was made before is refused, and not as unknown."""
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        index = rig.spool / INDEX_FILE
        index.parent.mkdir(parents=True)
        pending_rows(index, 20_000)
        rig.start(rig.plan(settings=Settings(limits=Limits(pending_s=0.1))))
        assert rig.process is not None
        sound = index.read_bytes()
        with index.open("r+b") as damaged:
            damaged.write(b"\xff" * len(sound))
        eventually(lambda: "identifiers not kept" in rig.errors())
        answers = [
            httpx.get(f"{rig.url}/v1/files/file-{number:06d}", headers=AUTHORIZED, timeout=PATIENCE_S)
            for number in range(0, 20_000, 1_000)
        ]
        rows = {(answer.status_code, answer.json()["error"]["code"]) for answer in answers}
        assert (503, "objects_unavailable") in rows
        assert {status for status, _ in rows} <= {404, 503}, "of another project, where it can be read"
        assert rig.post().status_code == 200
        with index.open("r+b") as mended:
            mended.write(sound)
        eventually(lambda: "identifiers kept again" in rig.errors())
        assert rig.process.poll() is None
