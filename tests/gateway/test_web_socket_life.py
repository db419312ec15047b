"""A session's life beside its turns: a stop, a replacement of processes, TLS, pings, bytes in flight, a journal that
fails."""

import contextlib
import json
import resource
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openai
import pytest
import trustme
from gateway_rig import AUTHORIZED, MODEL, PATIENCE_S, SECRET, Connection, Received, Rig, stall
from gateway_stage import RESPONSE_DELTAS, RESPONSE_END, RESPONSE_PREAMBLE, RESPONSE_USAGE, answering, typed
from web_socket_rig import WHOLE, Halting, closing_of, kinds, message, opened, until_end
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Ping, Pong, Request, TextMessage

from awaiting import eventually
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, TlsSettings
from clauseway.metering import Status, Unit
from ports import free_ports

MB = 1 << 20
CONTINUATION, TEXT, PING, PONG = 0x0, 0x1, 0x9, 0xA  # opcodes (RFC 6455, 5.2)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as started:
        started.cloud("azure", answering)
        yield started
        assert "Traceback" not in started.errors()


def start(rig: Rig, tls: TlsSettings | None = None, **limits: Any) -> None:
    rig.start(rig.plan(settings=Settings(limits=Limits(**limits), tls=tls or TlsSettings())))


# -- a stop


def test_a_stop_ends_no_turn_and_says_going_away(rig: Rig) -> None:
    """Turns that were asked for are answered, those in line too; whoever is idle hears at once."""
    halting = rig.clouds["azure"].behaviour = Halting()
    start(rig)
    with opened(rig.url, SECRET) as idle, opened(rig.url, SECRET) as busy:
        busy.send(message(stream_id="first"))
        busy.send(message(stream_id="second"))
        assert halting.begun.wait(PATIENCE_S)
        eventually(lambda: rig.counts()["bytes"] > len(message()))  # the second has come
        assert rig.process is not None
        rig.process.terminate()
        assert closing_of(idle) == (1001, "The gateway is stopping.")
        halting.may_go_on.set()
        for lane in ("first", "second"):
            events = until_end(busy)
            assert kinds(events) == WHOLE
            assert {event["stream_id"] for event in events} == {lane}
        assert closing_of(busy)[0] == 1001
    assert rig.process.wait(PATIENCE_S) == 0
    assert [record.status for record in rig.records()] == [Status.COMPLETE] * 2
    assert '"cut_off":0' in rig.errors()


def test_openais_client_goes_on_at_the_next_process(rig: Rig) -> None:
    port = str(free_ports(1)[0])
    rig.start(rig.plan(), "--port", port)
    client = openai.OpenAI(base_url=f"{rig.url}/v1", api_key=SECRET, timeout=PATIENCE_S)
    with client.responses.connect(on_reconnecting=lambda _: None, max_retries=50, initial_delay=0.1) as session:
        ended: list[str] = []
        reading = threading.Thread(target=collect, args=(session, ended))
        reading.start()
        for turn in (1, 2):
            session.response.create(model=MODEL, input="Hello.")
            eventually(lambda turn=turn: len(ended) == turn)  # type: ignore[misc]
            if turn == 1:
                rig.stop()
                rig.start(rig.plan(), "--port", port)
                eventually(lambda: rig.counts()["connections"] == 1)
        session.close()
        reading.join()
    assert len(rig.records()) == 2


def collect(session: Any, ended: list[str]) -> None:
    for event in session:
        if event.type == "response.completed":
            ended.append(event.response.id)


def test_a_handshake_that_comes_during_a_stop_is_refused(rig: Rig) -> None:
    """Whoever connected before is heard: a session would have to end as soon as it is open."""
    start(rig, linger_s=PATIENCE_S)
    with rig.socket() as connected:
        assert rig.process is not None
        rig.process.terminate()
        eventually(lambda: '"drain"' in rig.errors())
        with pytest.raises(InvalidStatus) as refused:
            connect(
                f"ws://127.0.0.1:{rig.port}/v1/responses",
                sock=connected,
                additional_headers=AUTHORIZED,
                compression=None,
            )
        assert refused.value.response.status_code == 503
        assert json.loads(refused.value.response.body)["error"]["code"] == "stopping"
    assert rig.process.wait(PATIENCE_S) == 0


# -- TLS


def test_a_session_over_tls(rig: Rig, tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    start(rig, TlsSettings(certificate=str(tmp_path / "cert.pem"), key=str(tmp_path / "key.pem")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    url = f"wss://localhost:{rig.port}/v1/responses"
    with connect(url, ssl=context, additional_headers=AUTHORIZED, compression=None) as session:
        for _ in range(2):
            session.send(message())
            assert kinds(until_end(session)) == WHOLE
        assert session.ping().wait(PATIENCE_S)
        assert rig.process is not None
        rig.process.terminate()
        assert closing_of(session)[0] == 1001
    assert rig.process.wait(PATIENCE_S) == 0


def test_a_replaced_authority_of_clients_ends_the_session_after_its_turns(rig: Rig, tmp_path: Path) -> None:
    authority, former, present = trustme.CA(), trustme.CA(), trustme.CA()
    made = authority.issue_cert("localhost")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    former.cert_pem.write_to_path(tmp_path / "clients.pem")
    names = {"certificate": "cert.pem", "key": "key.pem", "client_ca": "clients.pem"}
    halting = rig.clouds["azure"].behaviour = Halting()
    start(rig, TlsSettings(**{field: str(tmp_path / name) for field, name in names.items()}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    former.issue_cert("client@acme.example").configure_cert(context)
    url = f"wss://localhost:{rig.port}/v1/responses"
    with (
        connect(url, ssl=context, additional_headers=AUTHORIZED, compression=None) as idle,
        connect(url, ssl=context, additional_headers=AUTHORIZED, compression=None) as busy,
    ):
        busy.send(message())
        assert halting.begun.wait(PATIENCE_S)
        present.cert_pem.write_to_path(tmp_path / "clients.new")
        (tmp_path / "clients.new").rename(tmp_path / "clients.pem")
        reason = "The authority of clients' certificates was replaced."
        assert closing_of(idle) == (1001, reason)
        busy.send(message())  # too late: it is answered by the end of the session
        halting.may_go_on.set()
        assert kinds(until_end(busy)) == WHOLE
        assert closing_of(busy) == (1001, reason)
    assert len(rig.clouds["azure"].requests) == 1
    eventually(lambda: (rig.counts()["bytes"], rig.counts()["connections"]) == (0, 0))


# -- pings


class RawSession:
    """A session whose client answers pings when it is told to."""

    def __init__(self, rig: Rig) -> None:
        self._socket = rig.socket()
        self._frames = WSConnection(ConnectionType.CLIENT)
        head = [(b"authorization", f"Bearer {SECRET}".encode())]
        request = Request(host="gateway", target="/v1/responses", extra_headers=head)
        self._socket.sendall(self._frames.send(request))

    def pings(self) -> Iterator[Ping]:
        """Yield pings until the gateway closes the connection."""
        while data := self._read():
            self._frames.receive_data(data)
            for event in self._frames.events():
                if isinstance(event, Ping):
                    yield event

    def _read(self) -> bytes:
        with contextlib.suppress(ConnectionResetError):
            return self._socket.recv(1 << 16)
        return b""

    def answer(self, ping: Ping) -> None:
        self._socket.sendall(self._frames.send(Pong(payload=ping.payload)))

    def close(self) -> None:
        self._socket.close()


def test_who_answers_pings_stays_and_who_does_not_is_let_go(rig: Rig) -> None:
    start(rig, idle_s=2.0)
    session = RawSession(rig)
    pings = session.pings()
    for _ in range(3):
        session.answer(next(pings))
    assert isinstance(next(pings), Ping)
    assert next(pings, None) is None, "the connection is closed"
    session.close()
    eventually(lambda: rig.counts()["connections"] == 0)


# -- bytes in flight


def test_a_key_has_so_many_bytes_in_all_its_sessions(rig: Rig) -> None:
    halting = rig.clouds["azure"].behaviour = Halting()
    start(rig, bytes_in_flight_per_key=MB)
    with opened(rig.url, SECRET) as first, opened(rig.url, SECRET) as second:
        first.send(message(input="x" * 700_000))
        assert halting.begun.wait(PATIENCE_S)
        assert rig.counts()["bytes"] > 700_000
        second.send(message(input="x" * 700_000, stream_id="s"))
        (refused,) = until_end(second)
        assert (refused["status"], refused["error"]["code"]) == (429, "too_many_bytes")
        halting.may_go_on.set()
        assert kinds(until_end(first)) == WHOLE
        second.send(message(input="x" * 700_000))
        assert kinds(until_end(second)) == WHOLE, "the session goes on"
    eventually(lambda: (rig.counts()["bytes"], rig.counts()["connections"]) == (0, 0))


def test_an_event_that_nobody_reads_stays_counted(rig: Rig) -> None:
    """Until its client has read it: it is held as long. A steering's input comes back with its event."""
    length = 8 * MB
    start(rig, bytes_in_flight_per_key=2 * length)
    session, frames = handshaken(rig)
    session.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # the kernel holds little
    steering = {"type": "response.steer", "previous_response_id": "resp_1", "input": "x" * length}
    for turn in (1, 2):
        session.sendall(frames.send(TextMessage(data=json.dumps(steering))))
        eventually(lambda turn=turn: rig.counts()["refusals"].get("not_offered") == turn)  # type: ignore[misc]
        assert rig.counts()["bytes"] > MB
        if turn == 1:
            left = length
            while left > 0:
                left -= len(session.recv(MB))
            eventually(lambda: rig.counts()["bytes"] == 0)
    session.close()
    eventually(lambda: (rig.counts()["bytes"], rig.counts()["connections"]) == (0, 0))


def test_a_message_that_is_still_coming_counts(rig: Rig) -> None:
    """Else each connection could hold a whole body that nobody counts."""
    length = 700_000
    start(rig, bytes_in_flight_per_key=MB)
    session = half_a_message(rig, message(input="x" * length))
    eventually(lambda: rig.counts()["bytes"] > length // 2)
    with opened(rig.url, SECRET) as other:
        other.send(message(input="x" * length))
        (refused,) = until_end(other)
        assert refused["error"]["code"] == "too_many_bytes"
    counted = rig.counts()["bytes"]
    with half_a_message(rig, message(input="x" * length)) as third:
        third.sendall(frame(b"read?", opcode=PING, finished=True))
        assert third.recv(100) == bytes([0x80 | PONG, 5]) + b"read?"
        assert rig.counts()["bytes"] == counted, "nothing of a message that is refused is kept until its end"
    session.close()
    eventually(lambda: (rig.counts()["bytes"], rig.counts()["connections"]) == (0, 0))


def test_nothing_stays_counted_of_a_session_that_leaves(rig: Rig) -> None:
    """Whatever it has sent by then: a message that is refused, input that is kept, a turn under way, a message in line,
    half of another."""
    halting = rig.clouds["azure"].behaviour = Halting()
    start(rig, connections_per_key=1)
    session, frames = handshaken(rig)
    session.sendall(frames.send(TextMessage(data="x" * 10_000)))
    for members in ({"generate": False}, {}, {}):
        session.sendall(frames.send(TextMessage(data=message(input="x" * 10_000, **members))))
    session.sendall(frames.send(TextMessage(data="x" * 10_000, message_finished=False)))
    assert halting.begun.wait(PATIENCE_S)
    eventually(lambda: rig.counts()["bytes"] > 40_000)
    session.close()
    eventually(lambda: (rig.counts()["bytes"], rig.counts()["connections"]) == (0, 0))
    halting.may_go_on.set()
    assert serves_a_turn(rig), "the key has its connection again"
    assert [record.status for record in rig.records()] == [Status.INTERRUPTED_ESTIMATED, Status.COMPLETE]


def frame(payload: bytes, *, opcode: int, finished: bool) -> bytes:
    """A frame of a client, masked by zeros."""
    length = len(payload)
    lengths = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + length.to_bytes(2, "big")
    return bytes([finished << 7 | opcode]) + lengths + b"\x00" * 4 + payload


def test_a_message_in_many_fragments_takes_the_memory_of_its_bytes(rig: Rig) -> None:
    """The bytes are what is counted and limited: no fragment costs more, however short it is."""
    count = 120_000
    start(rig, frames_per_key_per_second=10 * count)
    session = handshaken(rig)[0]
    before_mb = rig.megabytes()
    session.sendall(frame(b"", opcode=TEXT, finished=False))
    fragment = frame("€".encode(), opcode=CONTINUATION, finished=False)
    for _ in range(count // 1_000):
        session.sendall(fragment * 1_000)
    session.sendall(frame(b"read?", opcode=PING, finished=True))
    assert session.recv(100) == bytes([0x80 | PONG, 5]) + b"read?"
    assert rig.counts()["bytes"] == 3 * count
    assert rig.megabytes() - before_mb < 5, "a third of a megabyte came"
    session.close()


def test_messages_without_a_byte_wait_in_bounded_memory(rig: Rig) -> None:
    """While a turn lasts, no more is read than may be ahead: each message counts, an empty one too."""
    halting = rig.clouds["azure"].behaviour = Halting()
    start(rig, frames_per_key_per_second=10_000_000)
    session, frames = handshaken(rig)
    session.sendall(frames.send(TextMessage(data=message())))
    assert halting.begun.wait(PATIENCE_S)
    before_mb = rig.megabytes()
    session.setblocking(False)
    empty = frame(b"", opcode=TEXT, finished=True) * 1_000
    sent = 0
    # Messages that are not read any more fill the buffers of both sockets, and then nothing more can be sent.
    with contextlib.suppress(BlockingIOError):
        while sent < 20 * MB and select.select([], [session], [], 2)[1]:
            sent += session.send(empty)
    assert sent < 20 * MB, "the gateway stopped reading"
    assert rig.megabytes() - before_mb < 16
    halting.may_go_on.set()
    session.close()


def half_a_message(rig: Rig, text: str) -> socket.socket:
    """Send the first fragment of a message and nothing more."""
    connection, frames = handshaken(rig)
    connection.sendall(frames.send(TextMessage(data=text[: len(text) * 3 // 4], message_finished=False)))
    return connection


def handshaken(rig: Rig) -> tuple[socket.socket, WSConnection]:
    """Open a session whose frames the test writes itself."""
    frames = WSConnection(ConnectionType.CLIENT)
    connection = rig.socket()
    head = [(b"authorization", f"Bearer {SECRET}".encode())]
    connection.sendall(frames.send(Request(host="gateway", target="/v1/responses", extra_headers=head)))
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1 << 16)
    frames.receive_data(received)
    list(frames.events())
    return connection, frames


# -- events that nobody reads

PIECES = 120
LONG_DELTA = typed("response.output_text.delta", 1, delta="x" * 100_000)


async def long_stream(connection: Connection, request: Received) -> None:
    """More than the gateway and the kernel hold for a client that does not read; a short one where asked."""
    connection.begin_stream()
    connection.piece(RESPONSE_PREAMBLE)
    for _ in range(PIECES if request.json["input"] == "Much." else 1):
        connection.piece(LONG_DELTA)
        await connection.writer.drain()
    connection.piece(RESPONSE_END)
    connection.end_stream()


def test_a_session_that_reads_nothing_is_let_go_and_its_cloud_called_off(rig: Rig) -> None:
    """After `idle_s`; until then nothing is gathered for it."""
    rig.clouds["azure"].behaviour = long_stream
    start(rig, idle_s=1.0)
    before_mb = rig.megabytes()
    session, frames = handshaken(rig)
    session.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    session.sendall(frames.send(TextMessage(data=message(input="Much."))))
    assert rig.clouds["azure"].left.wait(PATIENCE_S), "the cloud is called off"
    eventually(lambda: (rig.counts()["bytes"], rig.counts()["connections"]) == (0, 0))
    assert rig.megabytes() - before_mb < 8
    eventually(lambda: [record.status for record in rig.records()] == [Status.INTERRUPTED_ESTIMATED])
    session.close()


def test_a_session_that_reads_on_hears_all_and_goes_on(rig: Rig) -> None:
    """A message that came meanwhile is answered, and reading goes on behind it."""
    rig.clouds["azure"].behaviour = long_stream
    start(rig, ahead_bytes=1 << 10)
    with opened(rig.url, SECRET) as session:
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        session.send(message(input="Much."))
        session.send(message(input="x" * 2_000))
        time.sleep(0.5)  # until the gateway has no more room for the events
        assert len(until_end(session)) == PIECES + 2
        assert len(until_end(session)) == 3
        session.send(message())
        assert len(until_end(session)) == 3


# -- a turn that is prepared


def test_what_is_prepared_goes_ahead_of_the_turn(rig: Rig) -> None:
    """No cloud hears of the preparation alone, and nothing is metered for it."""
    azure = rig.clouds["azure"]
    start(rig)
    with opened(rig.url, SECRET) as session:
        session.send(message(generate=False, input=[{"role": "user", "content": "First."}], stream_id="s"))
        created, ended = until_end(session)
        assert (kinds([created, ended]), ended["stream_id"]) == (["response.created", "response.completed"], "s")
        assert (ended["response"]["output"], ended["response"]["usage"]["total_tokens"]) == ([], 0)
        assert azure.requests == []
        assert rig.counts()["bytes"] > 0, "what is kept is counted"
        prepared = ended["response"]["id"]
        session.send(message(generate=False, input="Second.", previous_response_id=prepared))
        prepared = until_end(session)[-1]["response"]["id"]
        session.send(message(input="Third.", previous_response_id=prepared))
        assert kinds(until_end(session)) == WHOLE
    (asked,) = [request.json for request in azure.requests]
    assert [item["content"] for item in asked["input"]] == ["First.", "Second.", "Third."]
    assert asked["previous_response_id"] is None
    assert [dict(record.units)[Unit.INPUT_TOKENS] for record in rig.records()] == [RESPONSE_USAGE["input_tokens"]]
    eventually(lambda: rig.counts()["bytes"] == 0)


def test_what_another_session_prepared_is_not_known(rig: Rig) -> None:
    start(rig)
    with opened(rig.url, SECRET) as first, opened(rig.url, SECRET) as second:
        first.send(message(generate=False))
        prepared = until_end(first)[-1]["response"]["id"]
        second.send(message(previous_response_id=prepared))
        (refused,) = until_end(second)
        assert refused["error"]["code"] == "previous_response_not_found"


def test_input_is_kept_for_a_key_that_is_known(rig: Rig) -> None:
    start(rig)
    with opened(rig.url, SECRET) as session:
        session.send(message(generate=False))
        assert "response" in until_end(session)[-1]
        plan = rig.plan(settings=Settings(limits=Limits()))
        rig.write_plan(msgspec.structs.replace(plan, keys=plan.keys[1:]))

        def refused() -> bool:
            session.send(message(generate=False))
            (*_, last) = until_end(session)
            return bool(last.get("status") == 401 and last["error"]["code"] == "invalid_api_key")

        eventually(refused)


def test_what_is_kept_may_be_no_longer_than_a_body(rig: Rig) -> None:
    start(rig, body_bytes=50_000)
    with opened(rig.url, SECRET) as session:
        session.send(message(generate=False, input="x" * 40_000))
        prepared = until_end(session)[-1]["response"]["id"]
        session.send(message(input="x" * 40_000, previous_response_id=prepared))
        (refused,) = until_end(session)
        assert (refused["status"], refused["error"]["code"]) == (413, "body_too_large")
        session.send(message())
        assert kinds(until_end(session)) == WHOLE


def test_what_is_kept_counts_once_more_in_the_body_that_it_goes_into(rig: Rig) -> None:
    halting = rig.clouds["azure"].behaviour = Halting()
    start(rig)
    with opened(rig.url, SECRET) as session:
        prepared = None
        for kept in (1, 2):
            session.send(message(generate=False, input="x" * 10_000, previous_response_id=prepared))
            prepared = until_end(session)[-1]["response"]["id"]
            eventually(lambda kept=kept: kept * 10_000 < rig.counts()["bytes"] < kept * 10_000 + 1_000)  # type: ignore[misc]
        session.send(message(input="x" * 10_000, previous_response_id=prepared))
        assert halting.begun.wait(PATIENCE_S)
        assert 50_000 < rig.counts()["bytes"] < 52_000, "two inputs that are kept, and a body of three"
        halting.may_go_on.set()
        assert kinds(until_end(session)) == WHOLE
    eventually(lambda: rig.counts()["bytes"] == 0)


# -- a cloud that says nothing


def test_a_turn_whose_cloud_says_nothing_is_given_up(rig: Rig) -> None:
    """In its time, however long the session may be idle."""
    rig.clouds["azure"].behaviour = stall
    rig.start(rig.plan(attempt_timeout_s=0.3))
    begun_s = time.monotonic()
    with opened(rig.url, SECRET) as session:
        session.send(message())
        (refused,) = until_end(session)
    assert (refused["status"], refused["error"]["type"]) == (502, "server_error")
    assert time.monotonic() - begun_s < Limits().idle_s / 2


# -- a journal that fails


def test_a_turn_whose_usage_cannot_be_written_ends_with_an_error(rig: Rig) -> None:
    start(rig)
    with opened(rig.url, SECRET) as session:
        session.send(message())
        assert kinds(until_end(session)) == WHOLE
        assert rig.process is not None
        resource.prlimit(rig.process.pid, resource.RLIMIT_FSIZE, (600, resource.RLIM_INFINITY))
        session.send(message())
        events = until_end(session)
        assert kinds(events) == [*WHOLE[:-1], "error"]
        assert events[-1]["error"]["code"] == "journal_failed"
        session.send(message())
        (refused,) = until_end(session)
        assert (refused["status"], refused["error"]["code"]) == (503, "journal_failed")
    assert httpx.get(f"{rig.url}/healthz").status_code == 503


ERROR = typed("error", 4, code="server_error", message="sorry", param=None)
FAILED = typed("response.failed", 5, response={"id": "resp_1", "status": "failed", "usage": RESPONSE_USAGE})
# How a cloud ends a turn in its middle → what the session hears last.
ENDS = [
    ("an error", (ERROR,), "error"),
    ("an error, then the failure", (ERROR, FAILED), "error"),
    ("the failure", (FAILED,), "response.failed"),
    ("the failure, then an error", (FAILED, ERROR), "response.failed"),
]


@pytest.mark.parametrize(("events", "end"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_a_turn_ends_once(rig: Rig, events: tuple[bytes, ...], end: str) -> None:
    """Whoever sends the next turn reads its own answer."""

    async def fail_first(connection: Connection, request: Received) -> None:
        if request.json["input"] != "Fail.":
            await answering(connection, request)
            return
        connection.begin_stream()
        for event in (RESPONSE_PREAMBLE, RESPONSE_DELTAS[0], *events):
            connection.piece(event)
            await connection.apart()
        connection.end_stream()

    rig.clouds["azure"].behaviour = fail_first
    start(rig)
    with opened(rig.url, SECRET) as session:
        session.send(message(input="Fail."))
        session.send(message(stream_id="next"))
        failed = [json.loads(session.recv(PATIENCE_S)) for _ in range(3)]
        assert kinds(failed) == [*WHOLE[:2], end]
        assert failed[-1].get("code") != "stream_interrupted"
        after = until_end(session)
        assert (kinds(after), {event["stream_id"] for event in after}) == (WHOLE, {"next"})


# -- frames beside other tenants


def test_frames_without_end_keep_no_other_from_the_process(rig: Rig) -> None:
    """A read has room for tens of thousands of empty frames: others' requests come between them."""
    start(rig, frames_per_key_per_second=10_000_000)
    flood, _ = handshaken(rig)
    flood.setblocking(False)
    pings = frame(b"", opcode=PING, finished=True) * 40_000
    ended = threading.Event()

    def send_and_read() -> None:
        while not ended.is_set():
            readable, writable, _ = select.select([flood], [flood], [], 1)
            with contextlib.suppress(BlockingIOError):
                if readable:
                    flood.recv(1 << 20)
                if writable:
                    flood.send(pings)

    thread = threading.Thread(target=send_and_read)
    thread.start()
    waited_s = []
    try:
        with httpx.Client() as client:
            for _ in range(40):
                begun_s = time.monotonic()
                assert client.get(rig.url + "/healthz").status_code == 200
                waited_s.append(time.monotonic() - begun_s)
    finally:
        ended.set()
        thread.join()
        flood.close()
    # Heard to the end at once, one read of such frames takes seconds.
    assert sorted(waited_s)[len(waited_s) // 2] < 0.5


FRAMES = 100  # that a key may send in a second
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
OVER = f"The sessions of this key may send {FRAMES:,} frames a second."


@pytest.mark.parametrize(
    "frames",
    [
        frame(b"", opcode=PING, finished=True) * 3 * FRAMES,
        frame(b"", opcode=PONG, finished=True) * 3 * FRAMES,
        frame(b"{", opcode=TEXT, finished=True) * 3 * FRAMES,
        frame(b"{", opcode=TEXT, finished=False) + frame(b"", opcode=CONTINUATION, finished=False) * 3 * FRAMES,
    ],
    ids=["pings", "pongs", "messages", "fragments"],
)
def test_a_session_with_too_many_frames_in_a_second_is_closed_and_counted(rig: Rig, frames: bytes) -> None:
    start(rig, frames_per_key_per_second=FRAMES)
    session, connection = handshaken(rig)
    session.sendall(frames)
    while not (received := closed_with(session, connection)):
        pass
    assert (received.code, received.reason) == (1008, OVER)
    session.close()
    eventually(lambda: rig.counts()["connections"] == 0)
    eventually(lambda: '"kind":"frames","whose":"key ' in rig.errors())


def test_messages_count_as_frames_however_long_and_who_still_sends_hears_why(rig: Rig) -> None:
    """A connection that is closed over what still arrives is reset, and the reason may be lost."""
    start(rig, frames_per_key_per_second=FRAMES)
    session, connection = handshaken(rig)
    session.sendall(frame(b"{" * 40_000, opcode=TEXT, finished=True) * 3 * FRAMES)
    while not (received := closed_with(session, connection)):
        pass
    assert (received.code, received.reason) == (1008, OVER)
    assert session.recv(1) == b""
    session.close()
    eventually(lambda: rig.counts()["connections"] == 0)


def closed_with(session: socket.socket, frames: WSConnection) -> CloseConnection | None:
    """Read on; how the gateway closes the session, where it does."""
    frames.receive_data(session.recv(1 << 16))
    return next((event for event in frames.events() if isinstance(event, CloseConnection)), None)


def test_who_sent_too_many_frames_opens_no_session_in_that_second(rig: Rig) -> None:
    """Else whoever connects again at once would have as many again."""
    start(rig, frames_per_key_per_second=FRAMES)

    def refusal() -> str:
        """Have a session closed and open another; the code of its refusal, or nothing where the next second began."""
        session, frames = handshaken(rig)
        session.sendall(frame(b"", opcode=PING, finished=True) * 3 * FRAMES)
        while not closed_with(session, frames):
            pass
        session.close()
        asked = {**UPGRADE, **AUTHORIZED}
        with httpx.stream("GET", f"{rig.url}/v1/responses", headers=asked) as answer:
            if answer.status_code == 101:
                return ""
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            return str(json.loads(answer.read())["error"]["code"])

    eventually(lambda: refusal() == "too_many_frames")
    eventually(lambda: serves_a_turn(rig))


def test_who_opens_sessions_in_a_row_and_sends_nothing_is_refused(rig: Rig) -> None:
    """A handshake costs more than a frame, and counts as one."""
    start(rig, frames_per_key_per_second=3)

    def opens() -> str:
        with httpx.stream("GET", f"{rig.url}/v1/responses", headers={**UPGRADE, **AUTHORIZED}) as answer:
            return "" if answer.status_code == 101 else str(json.loads(answer.read())["error"]["code"])

    assert "too_many_frames" in (opens() for _ in range(200))
    eventually(lambda: rig.counts()["connections"] == 0)


def serves_a_turn(rig: Rig) -> bool:
    with contextlib.suppress(InvalidStatus), opened(rig.url, SECRET) as session:
        session.send(message())
        return kinds(until_end(session)) == WHOLE
    return False


def test_a_long_message_in_fragments_is_no_flood(rig: Rig) -> None:
    """Clients and proxies cut a message into fragments of some thousand bytes: their bytes are counted already."""
    start(rig, frames_per_key_per_second=FRAMES)
    with opened(rig.url, SECRET) as session:
        text = message(input="x" * 4_000 * FRAMES)
        session.send(text[begin : begin + 2_000] for begin in range(0, len(text), 2_000))
        assert kinds(until_end(session)) == WHOLE


def test_a_frame_that_comes_in_pieces_is_one_frame(rig: Rig) -> None:
    """However the network cuts it: what came of it is no frame yet."""
    start(rig, frames_per_key_per_second=4)
    session, frames = handshaken(rig)
    sent = frames.send(TextMessage(data=message(input="x" * 20_000)))
    for begin in range(0, 10_000, 1_000):
        session.sendall(sent[begin : begin + 1_000])
        eventually(lambda begin=begin: rig.counts()["bytes"] > begin + 900)  # type: ignore[misc]
    session.sendall(sent[10_000:])
    eventually(lambda: len(rig.records()) == 1)
    session.close()
