"""Bounds of one client's part of the process: connections by address and by key, bytes by key."""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_rig import (
    DONE_EVENT,
    OTHER_SECRET,
    PATIENCE_S,
    SECRET,
    Connection,
    Received,
    Rig,
    chat_body,
    chunk_event,
    read_all,
    request_bytes,
    stall,
    well,
)
from hypothesis import given, strategies

from awaiting import eventually
from clauseway.gateway.plan import Epoch, Policy, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.gateway.request.counters import Counts
from clauseway.gateway.request.in_flight import InFlight, Use, address_of
from clauseway.gateway.request.refusals import Refused
from clauseway.metering import Buyer, Status

MB = 1 << 20
LIMITS = Limits(
    connections=6,
    connections_per_address=4,
    connections_per_key=2,
    bytes_in_flight=2 * MB,
    bytes_in_flight_per_key=MB,
    linger_s=3.0,  # a client that is turned away sends its request by then, on a busy machine too
)
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
READY = b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n"
CHAT = request_bytes(chat_body())
OTHERS_CHAT = CHAT.replace(SECRET.encode(), OTHER_SECRET.encode())


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        plan = started.plan(settings=Settings(limits=LIMITS))
        ((name, route),) = plan.epochs[0].routes.items()
        routes = {name: route, name.replace("openai|", "microsoft|"): Route(candidates=route.candidates)}
        started.start(started.plan(settings=Settings(limits=LIMITS), epochs=(Epoch(begin_ns=0, routes=routes),)))
        yield started
        assert "Traceback" not in started.errors()


@pytest.fixture
def rig(shared_rig: Rig) -> Iterator[Rig]:
    shared_rig.clouds["azure"].behaviour = well
    shared_rig.clouds["azure"].requests.clear()
    yield shared_rig
    eventually(lambda: (shared_rig.counts()["connections"], shared_rig.counts()["bytes"]) == (0, 0))


Open = Callable[..., socket.socket]


@pytest.fixture
def opened(rig: Rig) -> Iterator[Open]:
    """Opens connections from addresses of this machine, and closes them at the end."""
    with contextlib.ExitStack() as held:

        def connect(address: str = "127.0.0.1") -> socket.socket:
            return held.enter_context(
                socket.create_connection(("127.0.0.1", rig.port), PATIENCE_S, source_address=(address, 0))
            )

        yield connect


def ask(connection: socket.socket, request: bytes) -> tuple[bytes, Any]:
    """Send a request and read its answer: (head, body)."""
    connection.sendall(request)
    return answer_of(connection)


def answer_of(connection: socket.socket) -> tuple[bytes, Any]:
    """Read one answer, and no byte of the next, which may have come with it."""
    head = body = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        piece = connection.recv(length - len(body))
        assert piece, body
        body += piece
    return head, json.loads(body)


def is_refused(answer: tuple[bytes, Any], status: int, code: str) -> None:
    head, body = answer
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert body["error"]["code"] == code
    assert b"\r\nretry-after: 1\r\n" in head
    assert b"\r\nx-should-retry: true\r\n" in head
    assert b"\r\nconnection: close" in head


def is_served(answer: tuple[bytes, Any]) -> None:
    assert answer[0].startswith(b"HTTP/1.1 200 "), answer


# -- connections


def test_an_address_that_opens_too_many_hears_so_and_others_come_in(rig: Rig, opened: Open) -> None:
    of_one = [opened() for _ in range(4)]
    for connection in of_one:
        is_served(ask(connection, HEALTH))
    is_refused(ask(opened(), CHAT), 429, "too_many_connections")
    is_served(ask(opened("127.0.0.2"), CHAT))
    of_one.pop().close()
    eventually(lambda: rig.counts()["connections"] == 4)
    is_served(ask(opened(), CHAT))


def test_more_than_the_process_takes_are_turned_away_from_any_address(rig: Rig, opened: Open) -> None:
    for number in range(6):
        is_served(ask(opened(f"127.0.0.{2 + number}"), HEALTH))
    is_refused(ask(opened("127.0.0.9"), CHAT), 503, "too_many_connections")


def test_who_is_turned_away_and_asks_nothing_hears_so_too(rig: Rig, opened: Open) -> None:
    for number in range(6):
        is_served(ask(opened(f"127.0.0.{2 + number}"), HEALTH))
    with rig.socket() as silent:
        assert read_all(silent).startswith(b"HTTP/1.1 503 ")


def test_beyond_a_thousand_whom_it_turns_away_it_hears_nobody(rig: Rig, opened: Open) -> None:
    """Each of them has a descriptor until it has heard why."""
    for number in range(6):
        is_served(ask(opened(f"127.0.0.{2 + number}"), HEALTH))
    before = rig.counts()["refusals"]["too_many_connections"]
    turned_away = [opened("127.0.1.1") for _ in range(1000)]
    with contextlib.suppress(ConnectionResetError):
        assert opened("127.0.1.1").recv(1) == b""
    assert rig.counts()["refusals"]["too_many_connections"] == before + 1, "the others have not asked yet"
    is_refused(ask(turned_away[0], CHAT), 503, "too_many_connections")


@pytest.mark.parametrize("probe", [HEALTH, READY], ids=["healthz", "readyz"])
def test_a_probe_is_answered_beyond_every_limit(rig: Rig, opened: Open, probe: bytes) -> None:
    """Else whoever watches the gateway would take it away from those whom it serves."""
    for number in range(6):
        is_served(ask(opened(f"127.0.0.{2 + number}"), HEALTH))
    asking = opened("127.0.0.9")
    is_served(ask(asking, probe))
    assert read_all(asking) == b"", "and the connection is closed"


def test_a_key_that_opens_too_many_hears_so_and_others_are_served(rig: Rig, opened: Open) -> None:
    for _ in range(2):
        is_served(ask(opened(), CHAT))
    third = opened()
    is_refused(ask(third, CHAT), 429, "too_many_connections")
    assert read_all(third) == b""
    is_served(ask(opened(), OTHERS_CHAT))


def test_a_connection_counts_for_the_key_that_it_has_now(rig: Rig, opened: Open) -> None:
    """A proxy sends the requests of many keys over the same connections."""
    first, second = opened(), opened()
    for request in (CHAT, OTHERS_CHAT) * 3:
        for connection in (first, second):
            is_served(ask(connection, request))
    for connection in (opened(), opened()):
        is_served(ask(connection, CHAT))


# -- bytes


def chat_of(length: int, secret: str = SECRET) -> bytes:
    body = chat_body(user="")
    return request_bytes(chat_body(user="x" * (length - len(body)))).replace(SECRET.encode(), secret.encode())


class Halting:
    """A cloud that answers when it may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    async def __call__(self, connection: Connection, request: Received) -> None:
        await asyncio.to_thread(self.may_answer.wait, PATIENCE_S)
        await well(connection, request)


@pytest.fixture
def halting(rig: Rig) -> Iterator[Halting]:
    behaviour = Halting()
    rig.clouds["azure"].behaviour = behaviour
    yield behaviour
    behaviour.may_answer.set()


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_key_has_so_many_bytes_at_once(rig: Rig, opened: Open, halting: Halting, framing: str) -> None:
    large = chat_of(700_000)
    if framing == "chunks":
        head, _, body = large.partition(b"\r\n\r\n")
        head = head.replace(b"content-length: 700000", b"transfer-encoding: chunked")
        large = head + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    first = opened()
    first.sendall(large)
    eventually(lambda: rig.counts()["bytes"] == 700_000)
    second = opened()
    with contextlib.suppress(ConnectionError):
        second.sendall(large)
    is_refused(answer_of(second), 429, "too_many_bytes")
    others = opened()
    others.sendall(chat_of(700_000, OTHER_SECRET))
    eventually(lambda: rig.counts()["bytes"] == 1_400_000)
    halting.may_answer.set()
    is_served(answer_of(first))
    is_served(answer_of(others))
    eventually(lambda: rig.counts()["bytes"] == 0)
    is_served(ask(first, large))


def test_the_process_has_so_many_bytes_at_once(rig: Rig, opened: Open, halting: Halting) -> None:
    for secret, length in ((SECRET, 1_000_000), (OTHER_SECRET, 1_000_000)):
        opened().sendall(chat_of(length, secret))
    eventually(lambda: rig.counts()["bytes"] == 2_000_000)
    is_served(ask(opened(), READY))
    refused = opened()
    with contextlib.suppress(ConnectionError):
        refused.sendall(chat_of(200_000).replace(SECRET.encode(), b"sk-nobody"))
    assert answer_of(refused)[0].startswith(b"HTTP/1.1 401 "), "no body without a key, and nothing counted"


def test_a_body_counts_from_its_head_on(rig: Rig, opened: Open) -> None:
    """Else as many could begin as like, and all would be broken off in the middle."""
    first = opened()
    first.sendall(chat_of(900_000)[:2000])
    eventually(lambda: rig.counts()["bytes"] == 900_000)
    second = opened()
    second.sendall(chat_of(900_000)[:2000])
    is_refused(answer_of(second), 429, "too_many_bytes")
    first.close()
    eventually(lambda: rig.counts()["bytes"] == 0)
    is_served(ask(opened(), chat_of(900_000)))


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_is_alone_may_be_larger(rig: Rig, opened: Open, framing: str) -> None:
    """It would be refused for ever, and be told to come again."""
    body = chat_body(user="x" * (3 * MB))
    head = request_bytes(b"").removesuffix(b"content-length: 0\r\n\r\n")
    parts = [body[at : at + MB] for at in range(0, len(body), MB)]
    in_chunks = b"".join([b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b"")])
    request = {
        "length": request_bytes(body),
        "chunks": head + b"transfer-encoding: chunked\r\n\r\n" + in_chunks,
    }[framing]
    is_served(ask(opened(), request))


def test_an_answer_that_is_gathered_counts_and_is_not_refused(rig: Rig, opened: Open) -> None:
    halfway, go_on = threading.Event(), threading.Event()
    answer = json.dumps({"choices": [{"message": {"content": "x" * (3 * MB)}}], "usage": None}).encode()

    async def halting(connection: Connection, _: Received) -> None:
        connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer[: 2 * MB])
        await connection.apart()
        halfway.set()
        await asyncio.to_thread(go_on.wait, PATIENCE_S)
        connection.writer.write(answer[2 * MB :])

    rig.clouds["azure"].behaviour = halting
    first = opened()
    first.sendall(CHAT)
    assert halfway.wait(PATIENCE_S)
    eventually(lambda: rig.counts()["bytes"] == 2 * MB)
    is_refused(ask(opened(), chat_of(5000)), 429, "too_many_bytes")
    go_on.set()
    is_served(answer_of(first))


@pytest.mark.parametrize("part", [2000, 600_000, 700_000])
def test_nothing_stays_counted_of_a_client_that_leaves(rig: Rig, opened: Open, part: int) -> None:
    rig.clouds["azure"].behaviour = stall
    leaving = opened()
    leaving.sendall(chat_of(700_000)[:part])
    eventually(lambda: rig.counts()["bytes"] == 700_000)
    leaving.close()  # the fixture waits for nothing to be counted


def test_nothing_stays_counted_of_requests_in_line(rig: Rig, opened: Open, halting: Halting) -> None:
    leaving = opened()
    leaving.sendall(chat_of(10_000) * 3 + chat_of(700_000)[:2000])
    eventually(lambda: rig.counts()["bytes"] == 730_000)
    leaving.close()
    eventually(lambda: rig.counts()["bytes"] == 10_000)  # of the request that is answered: its answer is read on
    halting.may_answer.set()


def test_who_leaves_counts_as_a_connection_until_the_answer_is_read(rig: Rig, opened: Open) -> None:
    """Else one key could have any number of answers made for nobody."""
    go_on = threading.Event()

    async def waiting(connection: Connection, request: Received) -> None:
        await asyncio.to_thread(go_on.wait, PATIENCE_S)
        await well(connection, request)

    rig.clouds["azure"].behaviour = waiting
    for count in (1, 2):
        leaving = opened()
        leaving.sendall(CHAT)
        eventually(lambda: len(rig.clouds["azure"].requests) == count)  # noqa: B023 (asked at once)
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaving.close()
    is_refused(ask(opened(), CHAT), 429, "too_many_connections")
    go_on.set()
    eventually(lambda: rig.counts()["open"] == 0)
    is_served(ask(opened(), CHAT))


def test_requests_in_line_count_too(rig: Rig, opened: Open, halting: Halting) -> None:
    connection = opened()
    connection.sendall(chat_of(300_000) + chat_of(300_000))
    eventually(lambda: rig.counts()["bytes"] == 600_000)
    halting.may_answer.set()
    is_served(answer_of(connection))
    is_served(answer_of(connection))


# -- who does not read


def test_a_client_that_reads_no_answers_is_not_read_from(rig: Rig) -> None:
    """It asks and asks: what it would be told is not gathered here, and nothing is lost when it reads at last."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        connection.settimeout(2)
        connection.connect(("127.0.0.1", rig.port))
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 16 * MB:
                sent += connection.send(HEALTH * 1000)
        assert sent < 16 * MB, "it was read from to the end"
        connection.settimeout(PATIENCE_S)
        rest = HEALTH[sent % len(HEALTH) :] if sent % len(HEALTH) else b""
        rest += HEALTH.replace(b"host: x", b"host: x\r\nconnection: close")
        sending = threading.Thread(target=connection.sendall, args=(rest,))
        sending.start()
        answers = read_all(connection)
        sending.join()
    assert answers.count(b'{"status":"ok"}') == -(-sent // len(HEALTH)) + 1


def test_no_more_waits_in_line_than_may_be_ahead(tmp_path: Path) -> None:
    """However it comes; all of it is answered in the end."""
    ask = HEALTH.replace(b"host: x", b"host: x\r\nx: " + b"y" * 4_000)
    with Rig(tmp_path) as rig, socket.socket() as connection:
        halting = Halting()
        rig.cloud("azure", halting)
        rig.start(rig.plan(settings=Settings(limits=Limits(ahead_bytes=1 << 20))))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        connection.settimeout(1)
        connection.connect(("127.0.0.1", rig.port))
        connection.sendall(CHAT)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 16 * MB:
                sent += connection.send(ask * 10)
        assert sent < 16 * MB, "it was read to the end"
        connection.settimeout(PATIENCE_S)
        halting.may_answer.set()
        rest = ask[sent % len(ask) :] + HEALTH.replace(b"host: x", b"host: x\r\nconnection: close")
        sending = threading.Thread(target=connection.sendall, args=(rest,))
        sending.start()
        answers = read_all(connection)
        sending.join()
    assert answers.count(b'{"status":"ok"}') == sent // len(ask) + 2


WORD = chunk_event([{"index": 0, "delta": {"content": "x" * 100_000}, "finish_reason": None}])
END = chunk_event([{"index": 0, "delta": {}, "finish_reason": "stop"}]) + DONE_EVENT


async def long_stream(connection: Connection, request: Received) -> None:
    """More than the gateway and the kernel hold for a client that does not read."""
    connection.begin_stream()
    for _ in range(400):
        connection.piece(WORD)
        await connection.writer.drain()
    connection.piece(END)
    connection.end_stream()


def asks_and_pauses(rig: Rig, version: str = "HTTP/1.1") -> socket.socket:
    """Ask for a long stream, and read its beginning alone."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.settimeout(PATIENCE_S)
    client.connect(("127.0.0.1", rig.port))
    asked = request_bytes(chat_body(stream=True), "connection: close")
    client.sendall(asked.replace(b"HTTP/1.1", version.encode(), 1))
    client.recv(1000)
    return client


def test_a_clients_pause_is_not_the_clouds_silence(tmp_path: Path) -> None:
    """It reads on after more than `attempt_timeout_s`, and gets all of the stream."""
    with Rig(tmp_path) as rig:
        rig.cloud("azure", long_stream)
        rig.start(rig.plan(attempt_timeout_s=0.3))
        with asks_and_pauses(rig) as client:
            time.sleep(1.5)
            answer = read_all(client)
        assert answer.count(b"x" * 100_000) == 399, "all but the first, of which a part was read before"
        assert DONE_EVENT in answer
        eventually(lambda: rig.counts()["served"] == {"azure": 1})
        assert rig.counts()["failed"] == {}


def test_what_a_client_left_unread_is_read_for_its_usage(tmp_path: Path) -> None:
    """By the customer's policy: the cloud was paused for the client, and goes on once that has left."""
    with Rig(tmp_path) as rig:
        rig.cloud("azure", long_stream)
        rig.start(rig.plan(policies=(Policy(on_leave="drain"),), attempt_timeout_s=PATIENCE_S))
        with asks_and_pauses(rig):
            time.sleep(0.5)  # until the gateway has no more room for it
        eventually(lambda: rig.counts()["open"] == 0)
        assert [record.status for record in rig.records()] == [Status.ESTIMATED]
        assert rig.counts()["connections"] == 0


def test_a_client_that_reads_nothing_of_a_stream_is_let_go(tmp_path: Path) -> None:
    """After `idle_s`, and the cloud has not failed."""
    with Rig(tmp_path) as rig:
        azure = rig.cloud("azure", long_stream)
        rig.start(rig.plan(attempt_timeout_s=0.3, settings=Settings(limits=Limits(idle_s=1.0))))
        with asks_and_pauses(rig):
            assert azure.left.wait(PATIENCE_S), "the cloud is called off"
            eventually(lambda: rig.counts()["connections"] == 0)
        assert rig.counts()["failed"] == {}
        eventually(lambda: [record.status for record in rig.records()] == [Status.INTERRUPTED_ESTIMATED])


def test_a_client_without_chunks_that_is_let_go_hears_no_end(tmp_path: Path) -> None:
    """HTTP/1.0 knows no other end of a stream than that of the connection: a part must not look like the whole."""
    with Rig(tmp_path) as rig:
        azure = rig.cloud("azure", long_stream)
        rig.start(rig.plan(attempt_timeout_s=0.3, settings=Settings(limits=Limits(idle_s=1.0))))
        with asks_and_pauses(rig, "HTTP/1.0") as client:
            assert azure.left.wait(PATIENCE_S), "the cloud is called off"
            eventually(lambda: rig.counts()["connections"] == 0)
            with pytest.raises(ConnectionResetError):
                b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_an_answer_that_nobody_reads_stays_counted(rig: Rig, opened: Open) -> None:
    """Until its client has read it: it is held as long."""
    answer = json.dumps({"choices": [{"message": {"content": "x" * (8 * MB)}}], "usage": None}).encode()

    async def large(connection: Connection, _: Received) -> None:
        connection.answer(200, answer)

    rig.clouds["azure"].behaviour = large
    first, leaving = opened(), opened()
    for client in (first, leaving):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)  # the kernel holds little
    first.sendall(CHAT)
    eventually(lambda: rig.counts()["served"].get("azure", 0) > 0 and rig.counts()["open"] == 0)
    assert rig.counts()["bytes"] > MB
    is_refused(ask(opened(), chat_of(5000)), 429, "too_many_bytes")
    is_served(answer_of(first))
    eventually(lambda: rig.counts()["bytes"] == 0)
    is_served(ask(first, chat_of(5000)))
    # One that leaves without reading; the fixture waits for nothing to be counted.
    leaving.sendall(OTHERS_CHAT)
    eventually(lambda: rig.counts()["bytes"] > MB)


# -- addresses, and the sums


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.7", 4711), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 4711, 0, 0), "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::", 4711, 0, 0), "2001:db8:1:2::/64"),
        (("::ffff:192.0.2.7", 4711, 0, 0), "192.0.2.7"),
        (("fe80::1%eth0", 4711, 0, 2), "fe80::/64"),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address(peer: object, address: str) -> None:
    assert address_of(peer) == address


# Whose TLS handshake begins, where the process has room for three and an address for two → is it taken?
HANDSHAKES = [("a", True), ("a", True), ("a", False), ("b", True), ("c", False)]


def test_handshakes_have_as_much_room_as_connections() -> None:
    in_flight = InFlight(Counts())
    limits = msgspec.structs.replace(LIMITS, connections=3, connections_per_address=2)
    ends = [in_flight.begin_handshake((peer, 4711), limits) for peer, _ in HANDSHAKES]
    assert [end is not None for end in ends] == [taken for _, taken in HANDSHAKES]
    for end in ends:
        if end is not None:
            end()
    assert (in_flight._handshakes_in_all, in_flight._handshakes) == (0, {})


# How many connections an address may open → what it hears with the next
ONE_TOO_MANY = [
    (1, "This address has 1 connection open, the most it may have: use that again."),
    (2, "This address has 2 connections open, the most it may have: use those again."),
]


@pytest.mark.parametrize(("limit", "heard"), ONE_TOO_MANY)
def test_an_address_with_too_many_hears_how_many_it_may_have(limit: int, heard: str) -> None:
    in_flight = InFlight(Counts())
    limits = msgspec.structs.replace(LIMITS, connections_per_address=limit)
    *taken, refused = [in_flight.enter("a", limits) for _ in range(limit + 1)]
    assert (taken, str(refused)) == ([None] * limit, heard)


STEPS = strategies.lists(
    strategies.tuples(strategies.sampled_from(["enter", "use", "hold", "leave"]), strategies.integers(0, 3)),
    max_size=60,
)


@given(STEPS)
def test_the_sums_are_those_of_their_parts(steps: list[tuple[str, int]]) -> None:
    """Whatever comes and goes in whatever order, no limit is passed and in the end nothing is counted."""
    in_flight, limits = InFlight(Counts()), LIMITS
    addresses: list[str] = []
    uses: list[Use] = []
    held: list[tuple[Use, int]] = []
    for step, number in steps:
        if step == "enter" and in_flight.enter(f"a{number}", limits) is None:
            addresses.append(f"a{number}")
        elif step == "use":
            with contextlib.suppress(Refused):
                uses.append(in_flight.use(number, Buyer("o", "p", f"k{number}", "s", "any"), limits))
        elif step == "hold" and uses:
            with contextlib.suppress(Refused):
                in_flight.count_body(uses[number % len(uses)], 400_000, 0, limits)
                held.append((uses[number % len(uses)], 400_000))
        elif step == "leave" and addresses:
            in_flight.leave(addresses.pop(number % len(addresses)))
        assert in_flight.connections == len(addresses) <= limits.connections
        assert in_flight.bytes == sum(count for _, count in held) <= limits.bytes_in_flight
        for use in uses:
            assert uses.count(use) == use.connections <= limits.connections_per_key
            assert use.bytes <= limits.bytes_in_flight_per_key
    for use, count in held:
        in_flight.release(use, count)
    for use in uses:
        in_flight.leave_key(use)
    for address in addresses:
        in_flight.leave(address)
    assert (in_flight.connections, in_flight.bytes, in_flight._uses, in_flight._addresses) == (0, 0, {}, {})
