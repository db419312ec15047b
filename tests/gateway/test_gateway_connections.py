"""A connection leaves nothing behind, neither object nor descriptor, however it ends; without a key it gets nothing."""

import contextlib
import json
import shutil
import signal
import socket
import ssl
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import trustme
from gateway_rig import (
    SECRET,
    Connection,
    Received,
    Rig,
    chat_body,
    drop,
    read_all,
    request_bytes,
    resident_mb,
    stall,
    status,
    well,
)

from awaiting import eventually
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, TlsSettings
from needed import NEEDS_CURL

COUNTING = str(Path(__file__).with_name("counting_gateway.py"))
TIMES = 40
# Connections open for so long are still open when the test is over: nothing may stay until a deadline.
PATIENT = Limits(head_s=600, body_s=600, idle_s=600, upstream_idle_s=3600)
# A refused body that is still being sent is read for so long. TLS has no end of one half: clients wait for all of it.
LINGER_S, LINGER_TLS_S = 20.0, 0.05
REQUEST = request_bytes(chat_body())
REQUEST_HEAD = REQUEST.partition(b"\r\n\r\n")[0].rpartition(b"\r\n")[0]
CLOSING = request_bytes(chat_body(), "connection: close")
STREAMING = request_bytes(chat_body(stream=True), "connection: close")


class Counted(NamedTuple):
    """Of a gateway process without a garbage collector."""

    objects: Counter[str]
    descriptors: int


class House:
    """Two gateways over one cloud, one of them with TLS."""

    def __init__(self, home: Path) -> None:
        self.plain, self.secure = Rig(home / "plain"), Rig(home / "secure")
        self.authority = trustme.CA()
        made = self.authority.issue_cert("localhost", "127.0.0.1")
        made.private_key_pem.write_to_path(home / "key.pem")
        made.cert_chain_pems[0].write_to_path(home / "cert.pem")
        self.tls = TlsSettings(certificate=str(home / "cert.pem"), key=str(home / "key.pem"))

    def start(self) -> None:
        for rig, tls, linger_s in ((self.plain, TlsSettings(), LINGER_S), (self.secure, self.tls, LINGER_TLS_S)):
            rig.home.mkdir()
            rig.cloud("azure")
            limits = msgspec.structs.replace(PATIENT, linger_s=linger_s)
            plan = rig.plan(settings=Settings(limits=limits, tls=tls))
            rig.start(plan, launcher=(COUNTING, str(rig.home / "counted.json")))

    def connect(self, rig: Rig) -> socket.socket:
        plain = rig.socket()
        if rig is self.plain:
            return plain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context.wrap_socket(plain, server_hostname="localhost")

    def send(self, rig: Rig, data: bytes) -> None:
        with self.connect(rig) as connection:
            connection.sendall(data)

    def exchange(self, rig: Rig, data: bytes) -> bytes:
        with self.connect(rig) as connection:
            connection.sendall(data)
            return read_all(connection)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    started = House(tmp_path_factory.mktemp("gateways"))
    with started.plain, started.secure:
        started.start()
        yield started


def counted(rig: Rig) -> Counted:
    path = rig.home / "counted.json"
    path.unlink(missing_ok=True)
    assert rig.process is not None
    rig.process.send_signal(signal.SIGRTMIN)
    eventually(path.exists)
    result = json.loads(path.read_text())
    return Counted(Counter(result["objects"]), result["descriptors"])


Way = Callable[[House, Rig], None]


def bare(house: House, rig: Rig) -> None:
    rig.socket().close()


def handshake(house: House, rig: Rig) -> None:
    house.connect(rig).close()


def reset(house: House, rig: Rig) -> None:
    connection = rig.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sendall(b"GET /")
    connection.close()


def half_a_head(house: House, rig: Rig) -> None:
    house.send(rig, REQUEST[:40])


def half_a_body(house: House, rig: Rig) -> None:
    house.send(rig, REQUEST[:-5])


def no_http(house: House, rig: Rig) -> None:
    assert b" 400 " in house.exchange(rig, b"nonsense\r\n\r\n")


def wrong_key(house: House, rig: Rig) -> None:
    assert b" 401 " in house.exchange(rig, CLOSING.replace(SECRET.encode(), b"sk-nobody"))


def served(house: House, rig: Rig) -> None:
    assert b" 200 " in house.exchange(rig, CLOSING)


def streamed(house: House, rig: Rig) -> None:
    assert b"[DONE]" in house.exchange(rig, STREAMING)


def two_in_a_row(house: House, rig: Rig) -> None:
    assert house.exchange(rig, REQUEST + CLOSING).count(b" 200 ") == 2


def left_alone(house: House, rig: Rig) -> None:
    """The client leaves while its cloud works at a stream, which is called off."""
    cloud = rig.clouds["azure"]
    cloud.behaviour = stall
    asked = len(cloud.requests)
    with house.connect(rig) as connection:
        connection.sendall(STREAMING)
        eventually(lambda: len(cloud.requests) > asked)


def cloud_closes(house: House, rig: Rig) -> None:
    async def closing(connection: Connection, request: Received) -> None:
        connection.answer(200, b"{}", ["connection: close"])

    rig.clouds["azure"].behaviour = closing
    assert b" 200 " in house.exchange(rig, CLOSING)


def cloud_drops(house: House, rig: Rig) -> None:
    rig.clouds["azure"].behaviour = drop
    assert b" 50" in house.exchange(rig, CLOSING)


def cloud_fails(house: House, rig: Rig) -> None:
    rig.clouds["azure"].behaviour = status(500)
    assert b" 50" in house.exchange(rig, CLOSING)


WAYS: tuple[Way, ...] = (
    bare,
    handshake,
    reset,
    half_a_head,
    half_a_body,
    no_http,
    wrong_key,
    served,
    streamed,
    two_in_a_row,
    left_alone,
    cloud_closes,
    cloud_drops,
    cloud_fails,
)


# The gateway keeps the words about its latest requests for `/clauseway/v1/requests`, thousands of them.
KEPT = {"tuple", "EndedAttempt", "SkippedDeployment"}


def grown(rig: Rig, before: Counted) -> dict[str, int]:
    """Return the kinds of objects that became more, by at least half of the connections that came and went."""
    now = counted(rig)
    kept = {
        name: more for name, more in (now.objects - before.objects).items() if more >= TIMES // 2 and name not in KEPT
    }
    return kept | ({"descriptors": now.descriptors} if now.descriptors > before.descriptors + TIMES // 2 else {})


def grown_by(house: House, rig: Rig, way: Way) -> dict[str, int]:
    eventually(lambda: rig.counts()["open"] == 0)
    before = counted(rig)
    for _ in range(TIMES):
        way(house, rig)
    with contextlib.suppress(AssertionError):
        eventually(lambda: not grown(rig, before))
    return grown(rig, before)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_nothing_stays_of_a_connection(house: House, way: Way, secure: bool) -> None:
    rig = house.secure if secure else house.plain
    azure = rig.clouds["azure"]
    azure.behaviour = well
    try:
        for _ in range(5):
            way(house, rig)
        # Objects that were only needed for the first time do not grow again.
        leaked = grown_by(house, rig, way)
        assert leaked == {} or leaked.keys() & grown_by(house, rig, way).keys() == set()
    finally:
        azure.behaviour = well


# -- no body without a key

LARGE = 4 << 20
NOBODY = REQUEST.replace(SECRET.encode(), b"sk-nobody").partition(b"\r\n\r\n")[0].rpartition(b"\r\n")[0]
LENGTH, CHUNKED = b"content-length: %d" % LARGE, b"transfer-encoding: chunked"
# Heads that are refused whatever body follows → status, code.
REFUSED_BY_HEAD: dict[str, tuple[bytes, int, str]] = {
    "a wrong key": (NOBODY, 401, "invalid_api_key"),
    "no key": (NOBODY.replace(b"authorization", b"x-authorization"), 401, "invalid_api_key"),
    "a path that is none": (REQUEST_HEAD.replace(b"chat/completions", b"nothing"), 404, "unknown_url"),
    "a wrong method": (REQUEST_HEAD.replace(b"POST", b"PUT"), 405, "method_not_allowed"),
    "health": (NOBODY.replace(b"/v1/chat/completions", b"/healthz"), 405, "method_not_allowed"),
}


def answered(connection: socket.socket) -> tuple[int, str]:
    """(status, code) of the one answer until the connection is closed."""
    head, _, body = read_all(connection).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)["error"]["code"]


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED], ids=["length", "chunks"])
@pytest.mark.parametrize("name", REFUSED_BY_HEAD)
def test_a_body_is_not_waited_for_where_its_head_is_refused(house: House, name: str, framing: bytes) -> None:
    head, status, code = REFUSED_BY_HEAD[name]
    with house.plain.socket() as connection:
        part = b"x" * (1 << 17)
        part = b"%x\r\n%b\r\n" % (len(part), part) if framing == CHUNKED else part
        connection.sendall(head + b"\r\n" + framing + b"\r\n\r\n" + part)
        assert answered(connection) == (status, code)


@pytest.mark.parametrize("framing", [LENGTH, CHUNKED], ids=["length", "chunks"])
def test_who_expects_to_go_on_hears_at_once_that_the_key_is_wrong(house: House, framing: bytes) -> None:
    with house.plain.socket() as connection:
        connection.sendall(NOBODY + b"\r\nexpect: 100-continue\r\n" + framing + b"\r\n\r\n")
        assert answered(connection) == (401, "invalid_api_key")


def test_bodies_without_a_key_are_not_held(house: House) -> None:
    """Each sends all of its body but the last byte, so that it would be held until the deadline."""
    before, open_ones = resident_mb(house.plain), []
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(house.plain.socket())
            with contextlib.suppress(OSError):
                connection.sendall(NOBODY + b"\r\n" + LENGTH + b"\r\n\r\n" + b"x" * (LARGE - 1))
            open_ones.append(connection)
        assert resident_mb(house.plain) < before + 40, "and not 160 MB"


def test_a_small_body_without_a_key_is_dropped_and_the_connection_goes_on(house: House) -> None:
    wrong = REQUEST.replace(SECRET.encode(), b"sk-nobody")
    answers = house.exchange(house.plain, wrong + REQUEST + wrong + CLOSING)
    assert [int(part.split(b" ")[1]) for part in answers.split(b"HTTP/1.1")[1:]] == [401, 200, 401, 200]


def test_a_large_body_without_a_key_behind_a_request_waits_for_its_turn(house: House) -> None:
    wrong = NOBODY + b"\r\n" + LENGTH + b"\r\n\r\n" + b"x" * LARGE
    answers = house.exchange(house.plain, REQUEST + wrong + CLOSING)
    assert [int(part.split(b" ")[1]) for part in answers.split(b"HTTP/1.1")[1:]][:2] == [200, 401]


# -- another protocol is not spoken

UPGRADES = {
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "websocket": b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: AAAA",
    "TLS": b"connection: Upgrade\r\nupgrade: TLS/1.2",
}
BODY = chat_body(user="upgraded")


def with_upgrade(name: str, framing: bytes, body: bytes, *, closing: bool = False) -> bytes:
    upgrade = UPGRADES[name].replace(b"connection: ", b"connection: close, ") if closing else UPGRADES[name]
    return REQUEST_HEAD + b"\r\n" + upgrade + b"\r\n" + framing + b"\r\n\r\n" + body


@pytest.mark.parametrize("name", UPGRADES)
@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_an_upgrade_is_passed_over_and_the_body_stays(house: House, name: str, pieces: int) -> None:
    azure = house.plain.clouds["azure"]
    azure.requests.clear()
    in_chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    data = b"".join(
        (
            with_upgrade(name, b"content-length: %d" % len(BODY), BODY),
            REQUEST,
            with_upgrade(name, CHUNKED, in_chunks),
            request_bytes(b"", UPGRADES[name].decode(), path="/v1/models", method="GET"),
            CLOSING,
        )
    )
    with house.plain.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), pieces):
            connection.sendall(data[at : at + pieces])
        answers = read_all(connection)
    assert [int(part.split(b" ")[1]) for part in answers.split(b"HTTP/1.1")[1:]] == [200] * 5
    assert [request.json.get("user") for request in azure.requests] == ["upgraded", None, "upgraded", None]


def test_an_upgrade_changes_nothing_else(house: House) -> None:
    length = b"content-length: %d" % len(BODY)
    closing = house.exchange(house.plain, with_upgrade("h2c", length, BODY, closing=True) + REQUEST)
    assert closing.count(b"HTTP/1.1 200 ") == 1
    wrong = with_upgrade("h2c", length, BODY).replace(SECRET.encode(), b"sk-nobody")
    answers = house.exchange(house.plain, wrong + CLOSING)
    assert [int(part.split(b" ")[1]) for part in answers.split(b"HTTP/1.1")[1:]] == [401, 200]
    hidden = with_upgrade("h2c", b"content-length: 2", b"{}", closing=True) + REQUEST
    assert house.exchange(house.plain, hidden).count(b"HTTP/1.1") == 1


def test_connect_is_refused_and_nothing_after_it_is_read(house: House) -> None:
    answers = house.exchange(house.plain, b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n" + REQUEST)
    assert answers.count(b"HTTP/1.1") == 1
    assert b" 404 " in answers[:20]


@NEEDS_CURL
@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_curl(house: House, protocol: str) -> None:
    command = [
        "curl",
        "-sS",
        protocol,
        "--max-time",
        "60",
        f"{house.plain.url}/v1/chat/completions",
        "-H",
        f"authorization: Bearer {SECRET}",
        "-H",
        "content-type: application/json",
        "-d",
        BODY.decode(),
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(done.stdout)["id"] == "c1", done.stdout


JAVA = """
import java.net.URI;
import java.net.http.*;
public class Ask {
    public static void main(String[] words) throws Exception {
        var client = HttpClient.newHttpClient();
        for (int turn = 0; turn < 3; turn++) {
            var request = HttpRequest.newBuilder(URI.create(words[0])).header("authorization", "Bearer " + words[1])
                .header("content-type", "application/json").POST(HttpRequest.BodyPublishers.ofString(words[2])).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }
}
"""


@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not on this machine")
def test_the_client_of_the_jdk(house: House, tmp_path: Path) -> None:
    """It asks for HTTP/2 by an upgrade, with the body of its first request behind it."""
    (tmp_path / "Ask.java").write_text(JAVA)
    command = ["java", str(tmp_path / "Ask.java"), f"{house.plain.url}/v1/chat/completions", SECRET, BODY.decode()]
    done = subprocess.run(command, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert [line[:4] for line in done.stdout.decode().splitlines()] == ["200 "] * 3
