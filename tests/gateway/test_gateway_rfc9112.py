"""HTTP/1.1 as RFC 9112 has it: requests in any pieces, and nothing that a second parser would divide in another way."""

import json
import re
import socket
from collections.abc import Iterator

import h11
import pytest
from gateway_rig import ANSWER, PATIENCE_S, SECRET, Connection, Received, Rig, chat_body, read_all, well
from hypothesis import HealthCheck, given, settings, strategies

from awaiting import eventually


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.clouds["azure"].behaviour = well
        started.start()
        yield started
        eventually(lambda: started.counts()["open"] == 0)
        assert "Traceback" not in started.errors()


KEY = f"Authorization: Bearer {SECRET}"
BODY = chat_body(user="u")
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
IN_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


def ended(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def post(*headers: str, body: bytes = BODY, line: str = "POST /v1/chat/completions HTTP/1.1") -> bytes:
    return ended(line, "Host: x", KEY, *headers) + body


GET = ("GET /v1/models HTTP/1.1", "Host: x", KEY)
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def handshake(
    *headers: str,
    version: str = "HTTP/1.1",
    upgrade: str = "websocket",
    key: str = SAMPLE_KEY,
    number: tuple[str, ...] = ("Sec-WebSocket-Version: 13",),
) -> bytes:
    lines = ("Connection: Upgrade", f"Upgrade: {upgrade}", f"Sec-WebSocket-Key: {key}", *number, *headers)
    return ended(f"GET /v1/responses {version}", "Host: x", KEY, *lines)


# The section of RFC 9112 (of RFC 9110 where it says so), a request, and the statuses of its answers.
CASES: dict[str, tuple[bytes, list[int]]] = {
    # 2.2 messages
    "a request": (ended(*GET), [200]),
    "empty lines before it": (b"\r\n\r\n" + ended(*GET), [200]),
    "a bare LF after the request line": (ended(*GET).replace(b"\r\n", b"\n", 1), [400]),
    "bare LFs throughout": (ended(*GET).replace(b"\r\n", b"\n"), [400]),
    "a bare CR in a header": (ended(*GET, "X-A: b\rc"), [400]),
    "white space before the first header": (ended(GET[0], " X-A: b", *GET[1:]), [400]),
    # 2.3 version, 3 request line
    "HTTP/1.0": (ended("GET /v1/models HTTP/1.0", KEY), [200]),
    "no version": (b"GET /v1/models\r\n\r\n", [400]),
    "another protocol": (ended("GET /v1/models HTTQ/1.1", *GET[1:]), [400]),
    "a version of one digit": (ended("GET /v1/models HTTP/1", *GET[1:]), [400]),
    "a version that is none": (ended("GET /v1/models HTTP/1.x", *GET[1:]), [400]),
    "HTTP/2.0": (ended("GET /v1/models HTTP/2.0", *GET[1:]), [400]),
    "two spaces, as 3 allows": (ended("GET  /v1/models HTTP/1.1", *GET[1:]), [200]),
    "no path": (ended("GET HTTP/1.1", *GET[1:]), [400]),
    "a lower-case method": (ended("get /v1/models HTTP/1.1", *GET[1:]), [400]),
    "a method that is no token": (ended("G(T /v1/models HTTP/1.1", *GET[1:]), [400]),
    # 3.2 targets and Host
    "an absolute target": (ended("GET http://x/v1/models HTTP/1.1", *GET[1:]), [200]),
    "an absolute target, its scheme in capitals": (ended("GET HTTP://x/v1/models HTTP/1.1", *GET[1:]), [200]),
    **{
        f"Host: {host}": (ended(GET[0], f"Host: {host}", KEY), [status])
        for host, status in {
            "x.example:8400": 200,
            "[::1]:80": 200,
            "x_1": 200,
            "a b": 400,
            "x/y": 400,
            "u@x": 400,
            "x:abc": 400,
            "http://x": 400,
            "\u00ff": 400,
        }.items()
    },
    "no Host": (ended(GET[0], KEY), [400]),
    "an empty Host": (ended(GET[0], "Host:", KEY), [200]),
    "two Hosts": (ended(*GET, "Host: y"), [400]),
    "asterisk": (ended("OPTIONS * HTTP/1.1", *GET[1:]), [404]),
    # 5 headers
    "an empty value": (ended(*GET, "X-A:"), [200]),
    "white space around a value": (ended(*GET, "X-A: \t b \t "), [200]),
    **{
        f"white space behind {line}": (ended(*lines, f"{line} \t"), [200])
        for line, lines in {
            "Host: x": (GET[0], KEY),
            KEY: GET[:2],
            f"api-key: {SECRET}": GET[:2],
            f"x-api-key: {SECRET}": GET[:2],
        }.items()
    },
    "white space behind a length": (post(f"{LENGTH} \t"), [200]),
    "white space behind chunked": (post(f"{CHUNKED}  ", body=IN_CHUNKS) + ended(*GET), [200, 200]),
    "white space behind a cloud": (post(LENGTH, "x-clauseway-cloud: azure \t"), [200]),
    "white space behind a time": (post(LENGTH, "x-clauseway-hedge-ms: 100 \t"), [200]),
    "white space behind an expectation": (post(LENGTH, "Expect: 100-continue \t"), [100, 200]),
    "white space behind a handshake's": (
        handshake(key=f"{SAMPLE_KEY} \t", number=("Sec-WebSocket-Version: 13 \t",)),
        [101],
    ),
    "no white space before a value": (ended(*GET, "X-A:b"), [200]),
    "white space before the colon": (ended(*GET, "X-A : b"), [400]),
    "no name": (ended(*GET, ": b"), [400]),
    "a name that is no token": (ended(*GET, "X[A]: b"), [400]),
    "a NUL in a value": (ended(*GET, "X-A: b\0c"), [400]),
    "a control character in a value": (ended(*GET, "X-A: b\x01c"), [400]),
    "DEL in a value": (ended(*GET, "X-A: b\x7fc"), [400]),
    "a folded value": (ended(*GET, "X-A: b", " c"), [400]),
    "a header without a colon": (ended(*GET, "X-A"), [400]),
    # 6 bodies
    "a body by its length": (post(LENGTH), [200]),
    "a body in chunks": (post(CHUNKED, body=IN_CHUNKS), [200]),
    "no framing, so no body": (post(body=b""), [400]),
    "a length below zero": (post("Content-Length: -1"), [400]),
    "a length with a sign": (post(f"Content-Length: +{len(BODY)}"), [400]),
    "a length that is none": (post("Content-Length: abc"), [400]),
    "an empty length": (post("Content-Length:"), [400]),
    "a length in hex": (post(f"Content-Length: {hex(len(BODY))}"), [400]),
    "a length beyond 64 bits": (post("Content-Length: 18446744073709551617"), [400]),
    "two lengths": (post(LENGTH, "Content-Length: 3"), [400]),
    "one length twice": (post(LENGTH, LENGTH), [400]),
    "a list of lengths": (post(f"{LENGTH}, {len(BODY)}"), [400]),
    "a length and chunks": (post(LENGTH, CHUNKED, body=IN_CHUNKS), [400]),
    "chunks in HTTP/1.0, and nothing after them": (
        post(CHUNKED, body=IN_CHUNKS + ended(*GET), line="POST /v1/chat/completions HTTP/1.0"),
        [200],
    ),
    "chunked by another spelling": (post("transfer-encoding: CHUNKED", body=IN_CHUNKS), [200]),
    "a coding that is not chunked": (post("Transfer-Encoding: gzip", body=IN_CHUNKS), [400]),
    # 7.1 chunks
    "an extension of a chunk": (post(CHUNKED, body=IN_CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)), [200]),
    "trailers": (post(CHUNKED, body=IN_CHUNKS[:-2] + b"X-T: a\r\n\r\n"), [200]),
    "zeros before a size": (post(CHUNKED, body=b"000" + IN_CHUNKS), [200]),
    "a size with a sign": (post(CHUNKED, body=b"+" + IN_CHUNKS), [400]),
    "a size with 0x": (post(CHUNKED, body=b"0x" + IN_CHUNKS), [400]),
    "a size beyond 64 bits": (post(CHUNKED, body=b"1" + b"0" * 16 + b"\r\n"), [400]),
    "no line end after a chunk": (post(CHUNKED, body=IN_CHUNKS.replace(b"\r\n0", b"0")), [400]),
    "a chunk longer than its size": (post(CHUNKED, body=b"1\r\n" + BODY + b"\r\n0\r\n\r\n"), [400]),
    # RFC 9110, 10.1.1 expectations
    "an expectation": (post(LENGTH, "Expect: 100-continue"), [100, 200]),
    "an expectation twice": (post(LENGTH, "Expect: 100-continue", "Expect: 100-Continue"), [100, 200]),
    "an expectation in HTTP/1.0": (
        post(LENGTH, "Expect: 100-continue", line="POST /v1/chat/completions HTTP/1.0"),
        [200],
    ),
    "an unknown expectation before a known one": (post(LENGTH, "Expect: foo", "Expect: 100-continue"), [417]),
    # RFC 9110, 7.8 other protocols: only a WebSocket is switched to, and in HTTP/1.0 none
    "a WebSocket": (handshake(), [101]),
    "a WebSocket among others": (handshake(upgrade="h2c, WebSocket"), [101]),
    "a protocol that nobody knows": (handshake(upgrade="foo"), [405]),
    "HTTP/2 and the key of a WebSocket": (handshake(upgrade="h2c"), [405]),
    "a WebSocket in HTTP/1.0": (handshake(version="HTTP/1.0"), [405]),
    # RFC 6455, 4.2 handshakes
    "a WebSocket of another version": (handshake(number=("Sec-WebSocket-Version: 8",)), [400]),
    "a WebSocket of no version": (handshake(number=()), [400]),
    "a key that is no base64": (handshake(key="!!"), [400]),
    "a key that is too short": (handshake(key="dGhl"), [400]),
    "an empty key": (handshake(key=""), [400]),
    "two keys": (handshake(f"Sec-WebSocket-Key: {SAMPLE_KEY}"), [400]),
    "two versions": (handshake("Sec-WebSocket-Version: 8"), [400]),
    # 9.3 one after another
    "two in one write": (ended(*GET) + ended(*GET), [200, 200]),
    "a body, then another request": (post(LENGTH) + ended(*GET), [200, 200]),
    "chunks, then another request": (post(CHUNKED, body=IN_CHUNKS) + ended(*GET), [200, 200]),
    "nothing after close": (ended(*GET, "Connection: close") + ended(*GET), [200]),
    "a fault, and nothing after it": (ended(*GET, "X-A : b") + ended(*GET), [400]),
    # 9.3.2 answers in the order of the requests: what came before a fault is answered, then the fault
    "a fault behind two requests": (post(LENGTH) + ended(*GET) + ended(*GET, "X-A : b"), [200, 200, 400]),
    "a fault behind a request": (post(LENGTH) + ended(*GET, "X-A : b"), [200, 400]),
    "a coding behind two requests": (post(LENGTH) + ended(*GET) + post("Transfer-Encoding: gzip"), [200, 200, 400]),
    "an unknown expectation behind two requests": (
        post(LENGTH) + ended(*GET) + post(LENGTH, "Expect: foo") + ended(*GET),
        [200, 200, 417],
    ),
    "too large a body behind two requests": (
        post(LENGTH) + ended(*GET) + post("Content-Length: 9999999999"),
        [200, 200, 413],
    ),
    "a fault behind close": (post(LENGTH, "Connection: close") + ended(*GET, "X-A : b"), [200]),
    "a fault behind close, behind a request": (
        post(LENGTH) + ended(*GET, "Connection: close") + ended(*GET, "X-A : b"),
        [200, 200],
    ),
}


def statuses(answers: bytes) -> list[int]:
    """Of all answers, whatever their bodies are."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]


@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
@pytest.mark.parametrize("name", CASES)
def test_a_case_of_the_standard(rig: Rig, name: str, pieces: str) -> None:
    data, expected = CASES[name]
    with rig.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if pieces == "whole":
                connection.sendall(data)
            else:
                for at in range(len(data)):
                    connection.sendall(data[at : at + 1])
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it was refused before its end
        assert statuses(read_all(connection)) == expected


def test_what_connection_lists_is_for_this_hop_alone(rig: Rig) -> None:
    azure = rig.clouds["azure"]
    azure.requests.clear()
    headers = ("Connection: close, Traceparent", "traceparent: 00-hop", "tracestate: a=b")
    assert statuses(rig.exchange(post(LENGTH, *headers))) == [200]
    (received,) = azure.requests
    assert (received.header("traceparent"), received.header("tracestate")) == (None, "a=b")


# The head's line, and whether a cloud gets it: W3C's Trace Context has printable ASCII in `tracestate`, and a list that
# cannot be read is dropped; of any other value such bytes are nobody's business on the way (RFC 9110, 5.5).
PASSED_LINES = {
    "a state": (b"tracestate: a=1,b=~ !", True),
    "a state with a tab between members": (b"tracestate: a=1\t, b=2", True),
    "a state in Latin-1": (b"tracestate: a=caf\xe9", False),
    "a state in UTF-8": (b"Tracestate: a=1,b=\xc3\xa9", False),
    "a name in Latin-1": (b"x-client-request-id: caf\xe9", True),
}


@pytest.mark.parametrize("name", PASSED_LINES)
def test_a_state_of_a_trace_is_printable(rig: Rig, name: str) -> None:
    line, passes = PASSED_LINES[name]
    azure = rig.clouds["azure"]
    azure.requests.clear()
    first, rest = post(LENGTH, "Connection: close", "traceparent: 00-hop").split(b"\r\n", 1)
    assert statuses(rig.exchange(b"\r\n".join((first, line, rest)))) == [200]
    (received,) = azure.requests
    header, _, value = line.decode("latin-1").partition(": ")
    assert received.header(header.lower()) == (value if passes else None)
    assert received.header("traceparent") == "00-hop", "that of a state says nothing of its trace"


# How a cloud frames its answer, every value with white space behind it (5.1), or an encoding that is none.
ANSWER_HEADS = {
    "chunked": ("Transfer-Encoding: chunked ", b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANSWER), ANSWER)),
    "a length": (f"Content-Length: {len(ANSWER)} \t", ANSWER),
    "identity": (f"Content-Length: {len(ANSWER)}\r\nContent-Encoding: identity \t", ANSWER),
    "no encoding": (f"Content-Length: {len(ANSWER)}\r\nContent-Encoding:", ANSWER),
    "keep-alive": (f"Content-Length: {len(ANSWER)}\r\nConnection: keep-alive \t", ANSWER),
}


@pytest.mark.parametrize("name", ANSWER_HEADS)
def test_an_answer_is_read_whatever_white_space_its_head_has(rig: Rig, name: str) -> None:
    lines, body = ANSWER_HEADS[name]

    async def answer(connection: Connection, _: Received) -> None:
        connection.writer.write(ended("HTTP/1.1 200 OK", "Content-Type: application/json \t", lines) + body)

    azure = rig.clouds["azure"]
    azure.behaviour = answer
    try:
        assert rig.post().content == ANSWER
    finally:
        azure.behaviour = well


# -- a second parser


def bodies_by_h11(data: bytes) -> list[bytes]:
    """Return the bodies of the whole requests before the first thing that h11 does not take."""
    connection, bodies, body = h11.Connection(h11.SERVER), [], b""
    connection.receive_data(data)
    connection.receive_data(b"")
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                bodies.append(body)
                body = b""
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return bodies
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed | type(h11.NEED_DATA) | type(h11.PAUSED)):
                return bodies
    except h11.RemoteProtocolError:
        return bodies


USERS = ("first", "second", "third")
HIDDEN = post(LENGTH.replace(str(len(BODY)), str(len(chat_body(user="hidden")))), body=chat_body(user="hidden"))
SPACES = strategies.sampled_from(["", " ", "\t", "  ", "\x0b", "\r\n "])
LENGTHS = strategies.sampled_from(["Content-Length", "content-length", "Content-Length ", "Content_Length"])
TRANSFERS = strategies.sampled_from(
    ["Transfer-Encoding", "transfer-encoding", "Transfer-Encoding ", "X-Transfer-Encoding"]
)
CODINGS = strategies.sampled_from(
    [
        "chunked",
        "Chunked",
        "chunked ",
        "\x0bchunked",
        "xchunked",
        "chunked,",
        ", chunked",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        '"chunked"',
        "chunked;q=1",
        "",
    ]
)


@strategies.composite
def requests_in_line(draw: strategies.DrawFn) -> bytes:
    """Requests whose framing is said in one or two of many ways, right or wrong."""
    data = b""
    for user in USERS[: draw(strategies.integers(1, 3))]:
        body = chat_body(user=user)
        size = draw(
            strategies.sampled_from([b"%x", b"%X", b"0%x", b" %x", b"%x ", b"+%x", b"0x%x", b"%x;a=b", b"%x;a\n"])
        )
        end = draw(strategies.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r", b"\r\r\n"]))
        chunks = size % len(body) + end + body + end + b"0" + end + end
        headers = []
        for _ in range(draw(strategies.integers(1, 2))):
            space = draw(SPACES)
            if draw(strategies.booleans()):
                said = draw(strategies.sampled_from([len(body), 0, len(chunks), len(body) + len(HIDDEN)]))
                form = draw(strategies.sampled_from(["{}", "+{}", "0{}", "{},{}", "{};", "{} 1"]))
                headers.append(f"{draw(LENGTHS)}:{space}{form.format(said, said)}")
            else:
                headers.append(f"{draw(TRANSFERS)}:{space}{draw(CODINGS)}")
        data += post(*headers, body=draw(strategies.sampled_from([body, chunks, body + HIDDEN, chunks + HIDDEN])))
    return data


def user_in(body: bytes) -> str:
    try:
        return str(json.loads(body)["user"])
    except (ValueError, KeyError, TypeError):
        return ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=requests_in_line())
def test_what_is_served_a_second_parser_divides_the_same_way(rig: Rig, data: bytes) -> None:
    """Bytes that one of two parsers takes for a body and the other for a request hide an attack. The gateway may
    refuse what the other takes, and never takes it otherwise."""
    azure = rig.clouds["azure"]
    azure.requests.clear()
    with socket.create_connection(("127.0.0.1", rig.port), PATIENCE_S) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answers = statuses(read_all(connection))
    served = [str(request.json["user"]) for request in azure.requests]
    divided = [user_in(body) for body in bodies_by_h11(data)]
    assert served == [user for user in divided[: len(answers)] if user][: len(served)], (data, answers)
