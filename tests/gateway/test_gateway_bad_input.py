"""Mistakes and attempts of clients: the right 4xx in OpenAI's shape, no cloud is asked, the next request works.

One gateway for the whole table, with limits so short that slow senders can be waited for.
"""

import contextlib
import gzip
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_rig import (
    AUTHORIZED,
    MESSAGES,
    MODEL,
    OTHER_SECRET,
    SECRET,
    Cloud,
    Rig,
    chat_body,
    compact,
    read_all,
    request_bytes,
    resident_mb,
    well,
)

from awaiting import eventually

SHORT_LIMITS = str(Path(__file__).with_name("short_limits.py"))
BODY = chat_body()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = f"content-length: {len(BODY)}"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start(launcher=(SHORT_LIMITS,))
        yield started
        assert "Traceback" not in started.errors()


@pytest.fixture
def azure(rig: Rig) -> Iterator[Cloud]:
    """Whatever a test does, a request after it works."""
    cloud = rig.clouds["azure"]
    cloud.behaviour = well
    cloud.requests.clear()
    yield cloud
    assert rig.exchange(request_bytes(BODY, "connection: close")).startswith(b"HTTP/1.1 200 ")
    assert rig.counts()["open"] == 0


def sent(
    *headers: str | bytes, body: bytes = BODY, line: str = "POST /v1/chat/completions HTTP/1.1", end: bytes = b"\r\n"
) -> bytes:
    lines = [line, "host: x", f"authorization: Bearer {SECRET}", *headers, "", ""]
    return end.join(line if isinstance(line, bytes) else line.encode() for line in lines) + body


MALFORMED: dict[str, bytes] = {
    # two readings of where a body ends
    "both lengths": sent(LENGTH, "transfer-encoding: chunked", body=CHUNKED),
    "both lengths, the other way round": sent("transfer-encoding: chunked", LENGTH, body=CHUNKED),
    "two lengths": sent(LENGTH, "content-length: 3"),
    "the same length twice": sent(LENGTH, LENGTH),
    "a list of lengths": sent(f"{LENGTH}, {len(BODY)}"),
    "a length with a sign": sent(f"content-length: +{len(BODY)}"),
    "a negative length": sent("content-length: -1"),
    "a length in hex": sent(f"content-length: 0x{len(BODY):x}"),
    "a length beyond all bounds": sent("content-length: 99999999999999999999999"),
    "space before the colon": sent(LENGTH.replace(":", " :")),
    "a coding that is none": sent("transfer-encoding: xchunked", body=CHUNKED),
    "identity": sent("transfer-encoding: identity"),
    "chunked, then something": sent("transfer-encoding: chunked, gzip", body=CHUNKED),
    "something, then chunked": sent("transfer-encoding: gzip, chunked", body=CHUNKED),
    "chunked twice": sent("transfer-encoding: chunked", "transfer-encoding: chunked", body=CHUNKED),
    # chunks
    "a chunk's length that is none": sent("transfer-encoding: chunked", body=b"zz\r\n" + BODY),
    "a chunk's negative length": sent("transfer-encoding: chunked", body=b"-5\r\n" + BODY),
    "a chunk beyond all bounds": sent("transfer-encoding: chunked", body=b"f" * 18 + b"\r\n" + BODY),
    "a chunk that goes on": sent("transfer-encoding: chunked", body=CHUNKED.replace(b"\r\n0", b"XX0")),
    "chunks with bare line feeds": sent("transfer-encoding: chunked", body=CHUNKED.replace(b"\r\n", b"\n")),
    # lines
    "bare line feeds": sent(LENGTH, end=b"\n"),
    "one bare line feed": sent(LENGTH).replace(b"host: x\r\n", b"host: x\n"),
    "a bare carriage return": sent(LENGTH).replace(b"host: x\r\n", b"host: x\r"),
    "a folded header": sent("x-a: b\r\n c", LENGTH),
    "a NUL in a header": sent(b"x-a: b\0c", LENGTH),
    "a line without a colon": sent("nonsense", LENGTH),
    "space in the path": sent(LENGTH, line="POST /v1/chat /completions HTTP/1.1"),
    # other protocols
    "an unknown version": sent(LENGTH, line="POST /v1/chat/completions HTTP/9.9"),
    "an unknown method": sent(LENGTH, line="BREW /v1/chat/completions HTTP/1.1"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01",
}


def test_a_client_that_insists_on_http_2_is_told_so(rig: Rig) -> None:
    """As `curl --http2-prior-knowledge` does, and h2 clients in the clear."""
    answer = rig.exchange(MALFORMED["HTTP/2"])
    assert b"HTTP/2 is not spoken here: have the client use HTTP/1.1." in answer


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_http(rig: Rig, azure: Cloud, name: str) -> None:
    answer = rig.exchange(MALFORMED[name])
    check(answer, 400, "malformed_http")
    assert statuses(answer) == [400], "one answer, and the connection is closed: nothing can hide behind it"
    assert b"\r\nconnection: close\r\n" in answer
    assert azure.requests == []


def statuses(answers: bytes) -> list[int]:
    return [int(match) for match in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", answers)]


def check(answer: bytes, status: int, code: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"%d" % status
    error = json.loads(body)["error"]
    assert (set(error), error["code"]) == ({"message", "type", "param", "code"}, code)
    assert error["message"]
    assert b"\r\nx-should-retry: " in head
    assert b"\r\nx-clauseway-request-id: req_" in head


def test_nothing_can_be_smuggled_behind_a_body(rig: Rig, azure: Cloud) -> None:
    """Bytes behind a request's end are the next request, with its own key."""
    hidden = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
    answers = rig.exchange(sent(LENGTH) + hidden)
    assert statuses(answers) == [200, 401]
    assert len(azure.requests) == 1


WEBSOCKET = ("upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13", "sec-websocket-key: AAAA")


@pytest.mark.parametrize("path", ["/v1/realtime?model=gpt-5.4", "/openai/realtime?api-version=x", "/v1/realtime/calls"])
def test_realtime_says_that_it_is_not_offered(rig: Rig, azure: Cloud, path: str) -> None:
    check(rig.exchange(sent(*WEBSOCKET, body=b"", line=f"GET {path} HTTP/1.1")), 501, "not_offered")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        # Go's clients of Azure leave the point out unless told otherwise.
        ("/openai/deployments/gpt-54/chat/completions?api-version=2024-10-21", None),
        ("/v1/chat/completions", "gpt-54"),
        ("/v1/chat/completions", "openai/gpt-5.4"),
        ("/v1/chat/completions", "GPT-5-4"),
    ],
)
def test_a_model_spelt_otherwise_is_named(rig: Rig, azure: Cloud, path: str, model: str | None) -> None:
    answer = httpx.post(rig.url + path, json={"model": model, "messages": MESSAGES}, headers=AUTHORIZED)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "model_not_found")
    assert "does not exist here, but 'gpt-5.4' does" in error["message"]


@pytest.mark.parametrize("model", ["gpt-5", "gpt-9", "openai/", "…"])
def test_no_model_is_named_for_another(rig: Rig, azure: Cloud, model: str) -> None:
    answer = httpx.post(f"{rig.url}/v1/chat/completions", json={"model": model}, headers=AUTHORIZED)
    assert answer.json()["error"]["message"].endswith("does not exist here. GET /v1/models lists those that do.")


FORM = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\ngpt-5.4\r\n--b--\r\n'
FORM_TYPE = "content-type: multipart/form-data; boundary=b"
JSON_TYPE = "content-type: application/json"
# path, content type, body → status, code
BODIES: list[tuple[str, str, bytes, int, str]] = [
    ("/v1/chat/completions", JSON_TYPE, b"", 400, "invalid_body"),
    ("/v1/chat/completions", JSON_TYPE, b"{", 400, "invalid_body"),
    ("/v1/chat/completions", JSON_TYPE, b"null", 400, "invalid_body"),
    ("/v1/chat/completions", JSON_TYPE, b'{"model":"\xff\xfe"}', 400, "invalid_body"),
    ("/v1/chat/completions", JSON_TYPE, BODY[:-1] + b"}}", 400, "invalid_body"),
    ("/v1/chat/completions", JSON_TYPE, b"\x1f\x8b\x08\x00\x00", 400, "invalid_body"),
    ("/v1/chat/completions", JSON_TYPE, BODY.decode().encode("utf-16"), 400, "invalid_body"),
    ("/v1/chat/completions", FORM_TYPE, FORM, 400, "invalid_body"),
    ("/v1/chat/completions", JSON_TYPE, compact({"model": "gpt-9"}), 404, "model_not_found"),
    ("/v1/chat/completions", JSON_TYPE, b"{}", 400, "missing_required_parameter"),
    ("/v1/responses", JSON_TYPE, compact({"model": MODEL, "previous_response_id": 5}), 400, "invalid_body"),
    (
        "/v1/responses",
        JSON_TYPE,
        compact({"model": MODEL, "previous_response_id": "resp_x"}),
        400,
        "previous_response_not_found",
    ),
    ("/v1/embeddings", FORM_TYPE, FORM, 400, "invalid_body"),
    ("/v1/audio/transcriptions", JSON_TYPE, BODY, 400, "invalid_body"),
    ("/v1/audio/transcriptions", FORM_TYPE, BODY, 400, "invalid_body"),
    ("/v1/audio/transcriptions", FORM_TYPE, FORM[:-9], 400, "invalid_body"),
    ("/v1/audio/transcriptions", FORM_TYPE, FORM.replace(b"gpt-5.4", b"gpt-9"), 404, "model_not_found"),
    ("/v1/audio/transcriptions", FORM_TYPE, b"--b--\r\n", 400, "missing_required_parameter"),
    ("/v1/files", JSON_TYPE, b"{}", 400, "invalid_body"),
    ("/v1/batches", JSON_TYPE, b"{}", 400, "missing_required_parameter"),
    ("/v1/batches", JSON_TYPE, b'{"input_file_id":"file-x"}', 404, "not_found"),
]


@pytest.mark.parametrize(("path", "kind", "body", "status", "code"), BODIES)
def test_bodies(rig: Rig, azure: Cloud, path: str, kind: str, body: bytes, status: int, code: str) -> None:
    check(rig.exchange(request_bytes(body, kind, "connection: close", path=path)), status, code)
    assert azure.requests == []


def test_unknown_members_and_odd_spellings_pass_untouched(rig: Rig, azure: Cloud) -> None:
    body = (
        b' { "invented_tomorrow" : {"a":[1.0,1e5,-0]},\n\t"messages":[{"role":"user","content":"\\u0041\\/\xe2\x82\xac"'
        b"}],"
        b'"temperature":1.000,"model" : "gpt-5.4", "x":null} \r\n'
    )
    assert rig.exchange(request_bytes(body, JSON_TYPE, "connection: close")).startswith(b"HTTP/1.1 200 ")
    (received,) = azure.requests
    assert received.body == body.replace(b'"gpt-5.4"', b'"gpt-5.4-2026-03-05"')


# -- too large, too slow, half gone


def test_a_head_that_is_too_large(rig: Rig, azure: Cloud) -> None:
    with rig.socket() as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        with_end = itertools.islice(itertools.repeat(b"x-a: " + b"b" * 8000 + b"\r\n"), 40)
        for line in with_end:
            try:
                connection.sendall(line)
            except OSError:
                break
        check(read_all(connection), 431, "head_too_large")


def test_a_head_that_is_too_large_and_comes_at_once(rig: Rig, azure: Cloud) -> None:
    check(rig.exchange(sent("x-a: " + "b" * 40_000, LENGTH)), 431, "head_too_large")
    assert b" 200 " in rig.exchange(sent("x-a: " + "b" * 30_000, LENGTH, "connection: close"))[:15]


def test_an_address_may_be_told_as_a_whole(rig: Rig, azure: Cloud) -> None:
    line = "POST http://gateway.example/v1/chat/completions HTTP/1.1"
    assert rig.exchange(sent(LENGTH, "connection: close", line=line)).startswith(b"HTTP/1.1 200 ")


# Load balancers ask for health by HEAD, too, and some for the models.
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/v1/models", 200),
        (f"/v1/models/{MODEL}", 200),
        ("/v1/models/none", 404),
        ("/clauseway/v1/limits", 200),
        ("/clauseway/v1/requests", 200),
        ("/clauseway/v1/requests/req_" + "0" * 32, 404),
        ("/clauseway/v1/usage", 501),
        ("/x", 404),
    ],
)
def test_an_answer_to_head_has_no_body(rig: Rig, azure: Cloud, path: str, status: int) -> None:
    answers = rig.exchange(sent(line=f"HEAD {path} HTTP/1.1", body=b"") + sent(LENGTH, "connection: close"))
    assert answers.startswith(b"HTTP/1.1 %d " % status)
    assert answers.partition(b"\r\n\r\n")[2].startswith(b"HTTP/1.1 200 ")


def test_a_body_that_is_too_large(rig: Rig, azure: Cloud) -> None:
    answer = rig.exchange(sent("content-length: 60000000", body=b"{"))
    check(answer, 413, "body_too_large")
    assert b"A body may have at most 52,428,800 bytes." in answer


def test_half_a_body_does_not_stay_when_its_client_has_gone(rig: Rig, azure: Cloud) -> None:
    """Neither that of a client that left, nor of one that was refused; they may be large."""
    part = b"800000\r\n" + b"x" * 0x800000 + b"\r\n"
    before = resident_mb(rig)
    for _ in range(12):
        with rig.socket() as connection:
            connection.sendall(sent("transfer-encoding: chunked", body=part))
    for _ in range(2):
        with rig.socket() as connection, contextlib.suppress(OSError):
            connection.sendall(sent("transfer-encoding: chunked", body=part * 7))
            read_all(connection)
    eventually(lambda: resident_mb(rig) < before + 64)


SLOW = {
    "head": sent(LENGTH)[:40],
    "body": sent(LENGTH)[:-5],
    "chunk": sent("transfer-encoding: chunked", body=b"5\r\n{"),
}


@pytest.mark.parametrize("part", SLOW)
def test_senders_that_take_too_long(rig: Rig, azure: Cloud, part: str) -> None:
    check(rig.exchange(SLOW[part]), 408, "request_timeout")
    assert azure.requests == []


@pytest.mark.parametrize("part", SLOW)
def test_senders_that_stop_halfway(rig: Rig, azure: Cloud, part: str) -> None:
    """A client that closes its side is taken to have left: nothing is answered, and nothing is asked for it."""
    with rig.socket() as connection:
        connection.sendall(SLOW[part])
        connection.shutdown(1)
        assert read_all(connection) == b""
    assert azure.requests == []


def test_an_answer_that_nobody_reads_ends_with_its_connection(rig: Rig, azure: Cloud) -> None:
    before = len(rig.records())
    with rig.socket() as connection:
        connection.sendall(sent(LENGTH))
        connection.shutdown(1)
    eventually(lambda: len(rig.records()) > before)


def test_a_compressed_body_is_told_from_a_malformed_one(rig: Rig, azure: Cloud) -> None:
    packed = gzip.compress(BODY)
    coding = "content-encoding: gzip"
    answer = rig.exchange(sent(f"content-length: {len(packed)}", coding, "connection: close", body=packed))
    check(answer, 400, "invalid_body")
    assert b"'Content-Encoding: gzip'" in answer
    # Some clients name a character set there, and compress nothing.
    answer = rig.exchange(sent(LENGTH, "content-encoding: utf-8", "connection: close"))
    assert answer.startswith(b"HTTP/1.1 200 ")


# -- keys

KEYS = [
    ([], 401),
    (["authorization: Bearer "], 401),
    (["authorization: Bearer sk-nobody"], 401),
    (["authorization: Basic c2stdGVzdC1zZWNyZXQ="], 401),
    ([f"authorization: {SECRET}"], 401),
    (["api-key: sk-nobody"], 401),
    ([f"api-key: {SECRET}"], 200),
    ([f"Authorization: bearer {SECRET}"], 200),
    (["authorization: Bearer sk-nobody", f"api-key: {SECRET}"], 401),
    ([f"authorization: Bearer {SECRET}\xff"], 401),
    # One key in several headers, or a stranger's beside it, leave no doubt who asks. Two owners do.
    ([f"authorization: Bearer {SECRET}", f"api-key: {SECRET}", f"x-api-key: {SECRET}"], 200),
    ([f"authorization: Bearer {SECRET}", "x-api-key: sk-nobody"], 200),
    ([f"authorization: Bearer {SECRET}", f"api-key: {OTHER_SECRET}"], 400),
    ([f"x-api-key: {OTHER_SECRET}", f"authorization: Bearer {SECRET}"], 400),
    ([f"api-key: {SECRET}", f"x-api-key: {OTHER_SECRET}"], 400),
    ([f"authorization: Bearer {SECRET}", "api-key: sk-nobody", f"x-api-key: {OTHER_SECRET}"], 400),
]


@pytest.mark.parametrize(("headers", "status"), KEYS, ids=[" + ".join(case[0]) or "none" for case in KEYS])
def test_keys(rig: Rig, azure: Cloud, headers: list[str], status: int) -> None:
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", *headers, LENGTH, "connection: close", "", ""]
    answer = rig.exchange("\r\n".join(lines).encode("latin-1") + BODY)
    assert answer.split(b" ")[1] == b"%d" % status
    if status == 401:
        # RFC 9110, 11.6.1; without it the JDK's client raises no 401 but an error about the header.
        assert b"\r\nwww-authenticate: Bearer\r\n" in answer
    if status != 200:
        check(answer, status, "invalid_api_key" if status == 401 else "malformed_http")
        assert SECRET.encode() not in answer
        assert azure.requests == []
