"""Requests of clients and their answers: the official client, raw bytes, and everything in between."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from gateway_rig import (
    ANSWER,
    AUTHORIZED,
    DONE_EVENT,
    MESSAGES,
    MODEL,
    NAME_THERE,
    OTHER_SECRET,
    PATIENCE_S,
    SECRET,
    WORDS,
    Cloud,
    Connection,
    Received,
    Rig,
    chat_body,
    chunk_event,
    content_events,
    read_all,
    request_bytes,
    status,
    well,
)

from awaiting import eventually
from clauseway.gateway.plan import Auth, Epoch, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.transport.upstream import Endpoint
from clauseway.metering import Buyer, Deployment, Ruling, Status, Unit


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One gateway for all tests that leave it as it was."""
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start()
        yield started


@pytest.fixture
def azure(rig: Rig) -> Iterator[Cloud]:
    cloud = rig.clouds["azure"]
    cloud.behaviour = well
    cloud.requests.clear()
    cloud.left.clear()
    yield cloud
    cloud.behaviour = well


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# -- the official client


def test_a_whole_answer(rig: Rig, azure: Cloud) -> None:
    raw = rig.client().chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    assert raw.http_response.content == ANSWER, "byte for byte what the cloud sent"
    assert raw.parse().usage.prompt_tokens == 21  # type: ignore[union-attr]
    (received,) = azure.requests
    assert received.json == {"model": NAME_THERE, "messages": MESSAGES}
    assert received.header("authorization") == "Bearer sk-azure"
    headers = raw.http_response.headers
    fields = {name: headers[f"x-clauseway-{name}"] for name in ("cloud", "seller", "region", "deployment", "decision")}
    assert fields == {
        "cloud": "azure",
        "seller": "openai",
        "region": "eastus",
        "deployment": "azure-1",
        "decision": "permitted-1",
    }
    assert headers["x-request-id"] == "up-1"
    record, buyer, deployment, ruling = rig.entries()[-1]
    assert str(record.request) == headers["x-clauseway-request-id"]
    assert (record.status, record.http_status, record.streamed) == (Status.COMPLETE, 200, False)
    assert record.units == (
        (Unit.INPUT_TOKENS, 21),
        (Unit.CACHED_INPUT_TOKENS, 4),
        (Unit.AUDIO_INPUT_TOKENS, 0),
        (Unit.OUTPUT_TOKENS, 8),
        (Unit.REASONING_TOKENS, 2),
    )
    assert record.upstream_id == "up-1"
    assert buyer == Buyer("acme", "research", "key-openai", "openai", "direct")
    assert deployment == Deployment("azure-1", "azure", "openai", "eastus", "api.stateless", NAME_THERE)
    assert ruling == Ruling("permitted-1", "permitted", ("A5.any-cloud",), "receipt")


def test_a_stream_without_usage(rig: Rig, azure: Cloud) -> None:
    chunks = list(rig.client().chat.completions.create(model=MODEL, messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "".join(WORDS)
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    assert azure.requests[-1].json["stream_options"] == {"include_usage": True}
    record = rig.records()[-1]
    assert (record.status, record.streamed) == (Status.COMPLETE, True)
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == 8
    assert 0 < record.first_content_us <= record.duration_us


def test_a_stream_with_usage(rig: Rig, azure: Cloud) -> None:
    chunks = list(
        rig.client().chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 29


def test_the_reservation_covers_the_worst_case(rig: Rig, azure: Cloud) -> None:
    body = chat_body(max_completion_tokens=100, n=2)
    assert b"200 OK" in rig.exchange(request_bytes(body, "connection: close"))
    intent = rig.intents()[-1]
    assert (intent.body_bytes, intent.output_tokens_max) == (len(body), 200)
    assert intent.reserved_picodollars == len(body) * 2_500_000 + 200 * 15_000_000


# Of one body two servers in use, told so, read another model: of `&model=…` within a text, and of UTF-7's quotes.
TYPES = [
    "",
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=utf-7",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "text/plain",
]


@pytest.mark.parametrize("content_type", TYPES)
def test_what_was_read_as_json_is_sent_as_json(rig: Rig, azure: Cloud, content_type: str) -> None:
    headers = (f"content-type: {content_type}",) if content_type else ()
    answer = rig.exchange(request_bytes(chat_body(user="&model=other&"), *headers, "connection: close"))
    assert status_of(answer) == 200
    assert azure.requests[-1].header("content-type") == "application/json"


def test_models_are_those_that_the_key_can_reach(rig: Rig) -> None:
    assert [model.id for model in rig.client().models.list()] == [MODEL]
    assert list(rig.client(OTHER_SECRET).models.list()) == []


def test_an_answer_without_usage_is_estimated_and_says_so(rig: Rig, azure: Cloud) -> None:
    async def silent(connection: Connection, _: Received) -> None:
        connection.answer(200, b'{"choices":[],"usage":null}')

    azure.behaviour = silent
    assert rig.post().status_code == 200
    record = rig.records()[-1]
    assert record.status is Status.ESTIMATED
    assert dict(record.units) == {
        Unit.INPUT_TOKENS: -(-len(azure.requests[0].body.replace(NAME_THERE.encode(), MODEL.encode())) // 4),
        Unit.OUTPUT_TOKENS: 7,
    }


def test_a_picture_given_by_its_address_is_estimated_as_a_picture(rig: Rig, azure: Cloud) -> None:
    async def silent(connection: Connection, _: Received) -> None:
        connection.answer(200, b'{"choices":[],"usage":null}')

    azure.behaviour = silent
    pictures = [{"type": "image_url", "image_url": {"url": f"https://example.com/{name}.png"}} for name in "ab"]
    assert rig.post(messages=[{"role": "user", "content": pictures}]).status_code == 200
    record, body = rig.records()[-1], azure.requests[0].body.replace(NAME_THERE.encode(), MODEL.encode())
    assert record.status is Status.ESTIMATED
    assert dict(record.units)[Unit.INPUT_TOKENS] == 2 * 1000 + -(-len(body) // 4)


def test_an_estimate_is_no_more_than_was_reserved(rig: Rig, azure: Cloud) -> None:
    async def wordy(connection: Connection, _: Received) -> None:
        connection.answer(200, b'{"choices":[],"logprobs":"%b","usage":null}' % (b"x" * 4000))

    azure.behaviour = wordy
    assert rig.post(max_completion_tokens=10).status_code == 200
    (record, intent) = rig.records()[-1], rig.intents()[-1]
    assert (record.status, dict(record.units)[Unit.OUTPUT_TOKENS]) == (Status.ESTIMATED, 10)
    assert record.charge_picodollars <= intent.reserved_picodollars


def test_an_impossible_report_is_no_report(rig: Rig, azure: Cloud) -> None:
    async def absurd(connection: Connection, _: Received) -> None:
        connection.answer(200, b'{"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":1}}')

    azure.behaviour = absurd
    rig.post()
    assert rig.records()[-1].status is Status.ESTIMATED


# -- refusals: request → status, code

JSON_TABLE = [
    (b"", 400, "invalid_body"),
    (b"{", 400, "invalid_body"),
    (b"[]", 400, "invalid_body"),
    (b'{"model":5}', 400, "invalid_body"),
    (b'{"messages":[]}', 400, "missing_required_parameter"),
    (b'{"model":"gpt-5.4","stream":"yes"}', 400, "invalid_body"),
    (b'{"model":"gpt-5.4","max_tokens":-1}', 400, "invalid_body"),
    (b'{"model":"gpt-5.4","n":0}', 400, "invalid_body"),
    (b'{"model":"\xff\xfe"}', 400, "invalid_body"),
    (b'{"model":"gpt-5.4","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "invalid_body"),
    (b'{"model":"gpt-9"}', 404, "model_not_found"),
]


@pytest.mark.parametrize(("body", "expected", "code"), JSON_TABLE)
def test_bodies_that_cannot_be_served(rig: Rig, azure: Cloud, body: bytes, expected: int, code: str) -> None:
    answer = httpx.post(f"{rig.url}/v1/chat/completions", content=body, headers=AUTHORIZED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (expected, code)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert not azure.requests


def test_the_member_at_fault_is_named(rig: Rig) -> None:
    answer = httpx.post(
        f"{rig.url}/v1/chat/completions", content=b'{"model":"m","stream":"yes"}', headers=AUTHORIZED
    ).json()
    assert answer["error"]["param"] == "stream"
    answer = httpx.post(f"{rig.url}/v1/chat/completions", content=b"{}", headers=AUTHORIZED).json()
    assert answer["error"]["param"] == "model"


PATHS = [
    ("POST", "/v1/realtime/sessions", 501, "not_offered"),
    ("GET", "/v1/responses/compact", 405, "method_not_allowed"),
    ("DELETE", "/v1/responses/input_tokens", 405, "method_not_allowed"),
    ("GET", "/", 404, "unknown_url"),
    ("PUT", "/v1/chat/completions", 405, "method_not_allowed"),
    ("PUT", "/v1/models", 405, "method_not_allowed"),
]


@pytest.mark.parametrize(("method", "path", "expected", "code"), PATHS)
def test_paths_and_methods(rig: Rig, method: str, path: str, expected: int, code: str) -> None:
    answer = httpx.request(method, rig.url + path, headers=AUTHORIZED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (expected, code)


# A request whose base URL lacks `/v1`, ends in more than that, or is another server's → the endpoint that it means.
MISTAKEN = {
    "/chat/completions": "/v1/chat/completions",
    "/responses/resp_1/cancel": "/v1/responses/resp_1/cancel",
    "/v1/v1/messages": "/v1/messages",
    "/anthropic/v1/v1/messages": "/anthropic/v1/messages",
    "/v1//chat/completions": "/v1/chat/completions",
    "/v1/chat/completions/": "/v1/chat/completions",
    "/v2/chat/completions": "/v1/chat/completions",
    "/api/v1/messages/count_tokens": "/v1/messages/count_tokens",
    "/models/chat/completions": "/v1/chat/completions",
    "/v1beta/openai/embeddings": "/v1/embeddings",
    "/v1/openai/deployments/gpt/chat/completions": "/openai/deployments/gpt/chat/completions",
    "/v1/openai/files": "/openai/files",
    "/v1//models": "/v1/models",
    "/v1/models/": "/v1/models",
    "/api/models": "/v1/models",
    "/v1/chat/completion": "",
    "/v1/xcompletions": "",
}


@pytest.mark.parametrize(("path", "meant"), MISTAKEN.items())
def test_a_path_that_a_wrong_base_url_makes_is_told_the_right_one(rig: Rig, path: str, meant: str) -> None:
    answer = httpx.post(rig.url + path, json={}, headers=AUTHORIZED)
    ending = f", but there is {meant}: correct the client's base URL." if meant else "."
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == f"There is no {path} here{ending}"


# The same, where what the client asks for by POST is a path that takes other methods.
MISTAKEN_FOR_NAMES = {
    "/models/embeddings": ("GET, HEAD", "/v1/embeddings"),
    "/v1/models/completions": ("GET, HEAD", "/v1/completions"),
    "/openai/models/moderations": ("GET, HEAD", "/v1/moderations"),
    "/v1/responses/responses": ("GET, DELETE", "/v1/responses"),
    "/openai/v1/files/files": ("GET, DELETE", "/v1/files"),
    "/v1/models/gpt-5.5": ("GET, HEAD", ""),
    "/v1/models": ("GET, HEAD", ""),
    # This is the path of a stored chat's messages, and no other's.
    "/v1/chat/completions/chatcmpl-1/messages": ("GET", ""),
}


@pytest.mark.parametrize(("path", "expected"), MISTAKEN_FOR_NAMES.items())
def test_a_path_that_is_taken_for_a_name_is_told_the_right_one(rig: Rig, path: str, expected: tuple[str, str]) -> None:
    methods, meant = expected
    answer = httpx.post(rig.url + path, json={}, headers=AUTHORIZED)
    ending = f", but there is {meant}: correct the client's base URL." if meant else "."
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)
    assert answer.json()["error"]["message"] == f"{path} takes {methods}, not POST{ending}"


KEYS = [
    ({}, 401),
    ({"authorization": "Bearer wrong"}, 401),
    ({"authorization": f"Basic {SECRET}"}, 401),
    ({"authorization": "Bearer"}, 401),
    ({"authorization": f"bearer {SECRET}"}, 200),
    ({"api-key": SECRET}, 200),
    ({"api-key": "wrong"}, 401),
]


@pytest.mark.parametrize(("headers", "expected"), KEYS)
def test_keys(rig: Rig, azure: Cloud, headers: dict[str, str], expected: int) -> None:
    answer = httpx.post(f"{rig.url}/v1/chat/completions", content=chat_body(), headers=headers)
    assert answer.status_code == expected
    if expected == 401:
        error = answer.json()["error"]
        assert error["code"] == "invalid_api_key"
        # OpenAI's words, by which LiteLLM tells a wrong key from a wrong request.
        is_wrong = "api-key" in headers or "Bearer " in headers.get("authorization", "")
        assert error["message"].startswith("Incorrect API key provided: ") is is_wrong
        assert not azure.requests


def test_what_the_agreement_forbids_is_refused_with_the_clause(rig: Rig, azure: Cloud) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        rig.client().chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers={"x-clauseway-cloud": "aws"})
    assert refused.value.code == "forbidden_by_agreement"
    # The id that clients show, where no cloud gives one, is the one that finds the request.
    assert refused.value.request_id == refused.value.response.headers["x-clauseway-request-id"]
    assert "amendment-4.md, line 12" in str(refused.value)
    assert refused.value.response.headers["x-clauseway-decision"] == "A4.azure-exclusive"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert not azure.requests
    assert rig.counts()["refused"]["aws"] >= 1


def test_what_nobody_deployed_is_not_laid_at_the_agreements_door(rig: Rig) -> None:
    said = (
        "for this key, which buys from microsoft; the agreement does not stand in the way. "
        "Keys that buy from openai may be served."
    )
    with pytest.raises(openai.NotFoundError, match=said):
        rig.client(OTHER_SECRET).chat.completions.create(model=MODEL, messages=MESSAGES)


def test_an_unknown_cloud_is_the_callers_mistake(rig: Rig) -> None:
    with pytest.raises(openai.BadRequestError, match="no cloud 'mars'"):
        rig.client().chat.completions.create(
            model=MODEL, messages=MESSAGES, extra_headers={"x-clauseway-cloud": "mars"}
        )


# -- the protocol, in raw bytes

CLOSE = "connection: close"
MALFORMED = {
    "two lengths": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "length and chunks": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    b"content-length: 2\r\n\r\n0\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
    "space before colon": b"POST / HTTP/1.1\r\nhost : x\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nhost: x\n\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "wrong chunk size": b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_not_valid_http_is_refused_and_the_connection_closed(rig: Rig, azure: Cloud, name: str) -> None:
    answer = rig.exchange(MALFORMED[name])
    assert status_of(answer) == 400
    assert b"connection: close" in answer
    assert answer.count(b"x-should-retry") == 1
    assert not azure.requests


def test_requests_in_a_row_are_answered_in_order(rig: Rig, azure: Cloud) -> None:
    requests = [request_bytes(chat_body(user=f"u{number}")) for number in range(20)]
    requests.append(request_bytes(b"", path="/healthz", method="GET"))
    requests.append(request_bytes(chat_body(user="last"), CLOSE))
    answer = rig.exchange(b"".join(requests))
    assert answer.count(b"HTTP/1.1 200 OK") == 22
    assert answer.index(b'{"status":"ok"}') > answer.rindex(ANSWER, 0, answer.rindex(b"HTTP/1.1"))
    assert [received.json["user"] for received in azure.requests] == [*(f"u{n}" for n in range(20)), "last"]
    assert answer.endswith(ANSWER)


def test_a_large_request_may_follow_while_another_is_answered(rig: Rig, azure: Cloud) -> None:
    """It is read no further than a limit until its turn comes, and then to its end."""
    go_on = threading.Event()

    async def waiting(connection: Connection, request: Received) -> None:
        await asyncio.to_thread(go_on.wait, PATIENCE_S)
        await well(connection, request)

    azure.behaviour = waiting
    large = request_bytes(chat_body(padding="x" * 3_000_000), CLOSE)
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body()))
        sender = threading.Thread(target=connection.sendall, args=(large,))
        sender.start()
        eventually(lambda: len(azure.requests) == 1)
        go_on.set()
        answer = read_all(connection)
        sender.join()
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert len(azure.requests[1].body) > 3_000_000


def test_a_request_may_come_in_any_pieces(rig: Rig, azure: Cloud) -> None:
    data = request_bytes(chat_body(), CLOSE)
    with rig.socket() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), 11):
            connection.sendall(data[at : at + 11])
        assert status_of(read_all(connection)) == 200


def test_a_body_in_chunks(rig: Rig, azure: Cloud) -> None:
    def pieces() -> Iterator[bytes]:
        body = chat_body()
        yield body[:10]
        yield body[10:]

    answer = httpx.post(f"{rig.url}/v1/chat/completions", content=pieces(), headers=AUTHORIZED)
    assert answer.status_code == 200


def test_expect_continue(rig: Rig, azure: Cloud) -> None:
    body = chat_body()
    head, _, _ = request_bytes(body, CLOSE, "expect: 100-continue").partition(b"\r\n\r\n")
    with rig.socket() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert status_of(read_all(connection)) == 200
    assert status_of(rig.exchange(head.replace(b"100-continue", b"tea") + b"\r\n\r\n")) == 417


def test_a_body_announced_too_large_is_refused_before_it_is_sent(rig: Rig, azure: Cloud) -> None:
    head = request_bytes(b"").replace(b"content-length: 0", b"content-length: 60000000")
    answer = rig.exchange(head)
    assert status_of(answer) == 413
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "body_too_large"


def test_a_chunked_body_too_large_is_refused_on_its_way(rig: Rig, azure: Cloud) -> None:
    head = request_bytes(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with rig.socket() as connection:
        connection.sendall(head)
        for _ in range(51):
            connection.sendall(piece)
        assert status_of(read_all(connection)) == 413


def test_an_endless_head_is_refused(rig: Rig) -> None:
    with rig.socket() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        for number in range(40):
            connection.sendall(b"x-%d: " % number + b"y" * 1000 + b"\r\n")
        assert status_of(read_all(connection)) == 431


def test_http_1_0(rig: Rig, azure: Cloud) -> None:
    old = request_bytes(chat_body()).replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = rig.exchange(old)
    assert answer.endswith(ANSWER)
    assert b"connection: close" in answer
    stream = rig.exchange(request_bytes(chat_body(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert b"chunked" not in stream
    assert stream.partition(b"\r\n\r\n")[2] == b"".join(content_events(with_nulls=False)) + DONE_EVENT


def test_what_lies_between_two_neighbours_is_not_passed_on(rig: Rig, azure: Cloud) -> None:
    headers = ("set-cookie: a=b", "x-hop: 1", "Connection: keep-alive, X-Hop", "X-Hop: 2", "keep-alive: timeout=5")
    # A browser would take these for statements of the gateway's own site.
    site = ('clear-site-data: "*"', "refresh: 0", "nel: {}", "report-to: {}", 'reporting-endpoints: e="https://r"')

    async def talkative(connection: Connection, _: Received) -> None:
        forged = ("x-clauseway-cloud: forged", "connection: x-ratelimit-hop", "x-ratelimit-hop: 3")
        connection.answer(
            200, ANSWER, (*headers, *site, *forged, "openai-processing-ms: 12", "x-ratelimit-reset-tokens: 6m0s")
        )

    azure.behaviour = talkative
    answer = httpx.post(
        f"{rig.url}/v1/chat/completions",
        content=chat_body(),
        headers={**AUTHORIZED, "cookie": "secret", "api-key": "mine", "openai-beta": "x", "x-amz-date": "forged"},
    )
    assert answer.headers["openai-processing-ms"] == "12"
    assert answer.headers["x-ratelimit-reset-tokens"] == "6m0s"
    assert answer.headers["x-clauseway-cloud"] == "azure"
    assert not {"set-cookie", "keep-alive", "x-hop", "x-ratelimit-hop"} & set(answer.headers)
    assert not {line.partition(":")[0] for line in site} & set(answer.headers)
    (received,) = azure.requests
    assert received.header("openai-beta") == "x"
    assert all(received.header(name) is None for name in ("cookie", "api-key", "x-amz-date", "x-clauseway-cloud"))


def test_connections_to_clouds_are_kept(rig: Rig, azure: Cloud) -> None:
    before = azure.connections
    for stream in (False, True) * 5:
        assert rig.post(stream=stream).status_code == 200
    assert azure.connections <= before + 1


def test_an_answer_that_came_before_its_request_answers_nobody() -> None:
    """A cloud sent it on a connection that was kept in an earlier second, and the loop has not read it yet."""

    async def taken_again(unasked: bytes) -> bool:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            endpoint = Endpoint("127.0.0.1", port, asyncio.get_running_loop(), Limits())
            connection = await endpoint.connect()
            cloud, _ = listening.accept()
            with cloud:
                endpoint.keep(connection)
                endpoint.grow_older()
                cloud.sendall(unasked)
                taken = endpoint.take()
                connection.close()
                return taken is connection

    assert asyncio.run(taken_again(b""))
    assert not asyncio.run(taken_again(ANSWER))


# -- callers who leave, and callers who are slow


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_caller_who_leaves_a_stream_calls_the_cloud_off(rig: Rig, azure: Cloud, has_begun: bool) -> None:
    begun = threading.Event()

    async def slowly(connection: Connection, request: Received) -> None:
        if has_begun:
            connection.begin_stream()
            connection.piece(b"".join(content_events(with_nulls=True)[:3]))
            await connection.writer.drain()
        begun.set()
        await connection.left()

    azure.behaviour = slowly
    count = len(rig.records())
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=True)))
        assert begun.wait(20)
        if has_begun:
            assert connection.recv(100)
    assert azure.left.wait(20), "the upstream connection was closed"
    eventually(lambda: len(rig.records()) > count)
    record = rig.records()[-1]
    assert record.status is Status.INTERRUPTED_ESTIMATED
    assert dict(record.units)[Unit.OUTPUT_TOKENS] == (3 if has_begun else 0)
    eventually(lambda: rig.counts()["open"] == 0)


def test_a_slow_caller_slows_the_cloud_down(rig: Rig, azure: Cloud) -> None:
    """100 MB for a caller who does not read: neither the gateway nor its peer holds them."""
    event = chunk_event([{"index": 0, "delta": {"content": "x" * 100_000}}])
    sent: list[int] = [0]
    ended = threading.Event()

    async def flood(connection: Connection, _: Received) -> None:
        connection.begin_stream()
        while sent[0] < 1000:
            connection.piece(event)
            await connection.writer.drain()
            sent[0] += 1
        connection.piece(DONE_EVENT)
        connection.end_stream()
        ended.set()

    azure.behaviour = flood
    with rig.socket() as connection:
        connection.sendall(request_bytes(chat_body(stream=True), CLOSE))
        connection.recv(1000)
        before = -1
        # No more is sent although the gateway has many turns to take it.
        while sent[0] != before:
            before = sent[0]
            for _ in range(50):
                assert status_of(rig.exchange(request_bytes(b"", CLOSE, path="/healthz", method="GET"))) == 200
        assert sent[0] < 400, "about what the kernel's buffers hold, not a hundred megabytes"
        received = len(read_all(connection))
    assert ended.wait(PATIENCE_S)
    assert received > 1000 * len(event)


# -- plans


def test_signed_and_keyed_clouds_get_their_own_authentication(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        azure, aws = rig.cloud("azure", status(503)), rig.cloud("aws")
        signed = Auth(kind="sigv4", secret="s", access_key="AKID", service="bedrock-mantle", region="us-east-1")
        targets = [
            rig.target("azure", azure.port, dialect="azure", auth=Auth(kind="api-key", secret="az-key")),
            rig.target("aws", aws.port, model="openai.gpt-5.4", dialect="bedrock", auth=signed),
        ]
        rig.start(rig.plan(targets))
        assert rig.post().headers["x-clauseway-cloud"] == "aws"
        assert azure.requests[0].header("api-key") == "az-key"
        assert azure.requests[0].header("authorization") is None
        assert aws.requests[0].json["model"] == "openai.gpt-5.4"
        assert "Credential=AKID/" in (aws.requests[0].header("authorization") or "")


def test_the_epoch_turns_with_the_business_clock(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        clock = tmp_path / "clock"
        clock.write_bytes((999).to_bytes(8, "little", signed=True))
        rig.cloud("azure")
        aws = rig.cloud("aws")
        plan = rig.plan()
        both = plan.epochs[0].routes
        refusing = rig.plan([plan.targets[0]]).epochs[0].routes
        route = next(iter(both))
        epochs = (
            Epoch(begin_ns=0, routes=refusing),
            Epoch(begin_ns=1000, routes=both),
            Epoch(begin_ns=2000, routes={route: Route(candidates=())}),
        )
        rig.start(rig.plan(plan.targets, epochs=epochs), "--simulated-clock", str(clock))
        client, pin = rig.client(), {"x-clauseway-cloud": "aws"}

        def at(instant_ns: int) -> int:
            with clock.open("r+b") as file:
                file.write(instant_ns.to_bytes(8, "little", signed=True))
            try:
                client.chat.completions.create(model=MODEL, messages=MESSAGES, extra_headers=pin)
            except openai.APIStatusError as error:
                return error.status_code
            return 200

        assert [at(999), at(1000), at(1999), at(2000), at(500), at(1500)] == [403, 200, 200, 404, 403, 200]
        assert [record.event_ns for record in rig.records()] == [1000, 1999, 1500]
        assert len(aws.requests) == 3
        assert list(client.models.list())
        at(2000)
        assert list(client.models.list()) == []
