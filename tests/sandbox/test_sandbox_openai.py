"""OpenAI's fake cloud, judged by the vendor's unmodified SDK and by recorded answers of the real API."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from ruamel.yaml import YAML
from sandbox_rig import PATIENCE_S, clouds, running_clouds
from sandbox_shapes import paths_of

from clauseway.sandbox.signatures.credentials import OPENAI_API_KEY

RECORDINGS = Path(__file__).parent / "recordings"
HELLO: Any = [{"role": "user", "content": "which cloud may serve this"}]
KEY = {"authorization": f"Bearer {OPENAI_API_KEY}"}


def recorded(name: str) -> dict[str, Any]:
    response: dict[str, Any] = YAML(typ="safe").load(RECORDINGS / f"{name}.yaml")["interactions"][0]["response"]
    return response


def header_names(name: str) -> set[str]:
    """The recorded headers, less those of the network in front of the API and of the account."""
    names = {key.lower() for key in recorded(name)["headers"]}
    front = {"server", "strict-transport-security", "x-envoy-upstream-service-time", "openai-project", "alt-svc"}
    return {key for key in names - front if not key.startswith("cf-")}


@pytest.fixture
def client(clouds: Any) -> OpenAI:
    return OpenAI(base_url=clouds.url("openai", "/v1"), api_key=OPENAI_API_KEY, max_retries=0)


def test_the_sdk_reads_an_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-5.5", messages=HELLO, max_completion_tokens=7)
    assert answer.model == "gpt-5.5-2026-04-23"
    assert answer.choices[0].finish_reason == "length"
    assert len((answer.choices[0].message.content or "").split()) == 7
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (5, 7, 12)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 0


def test_the_sdk_shows_the_headers_that_clients_read(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-5.4", messages=HELLO)
    assert header_names("chat-basic") <= set(raw.headers)
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["x-request-id"].startswith("req_")
    assert int(raw.headers["x-ratelimit-limit-tokens"]) - int(raw.headers["x-ratelimit-remaining-tokens"]) == 5
    assert raw.parse().model == "gpt-5.4-2026-03-05"


def test_without_a_maximum_the_answer_is_short_and_always_the_same(client: OpenAI) -> None:
    first, second = (client.chat.completions.create(model="gpt-5.4", messages=HELLO) for _ in range(2))
    assert first.choices[0].finish_reason == "stop"
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.usage == second.usage
    assert first.id != second.id


async def stream_async(base_url: str) -> list[str]:
    async with AsyncOpenAI(base_url=base_url, api_key=OPENAI_API_KEY) as client:
        stream = await client.chat.completions.create(
            model="gpt-5.5", messages=HELLO, max_completion_tokens=100, stream=True
        )
        return [chunk.choices[0].delta.content or "" async for chunk in stream]


def test_a_stream_read_by_the_asynchronous_sdk(clouds: Any) -> None:
    pieces = asyncio.run(stream_async(clouds.url("openai", "/v1")))
    assert len("".join(pieces).split()) == 100
    assert len(pieces) == 1 + 32 + 1  # the role, the content, the finish


def test_usage_in_a_stream_only_where_asked_for(client: OpenAI) -> None:
    plain = client.chat.completions.create(model="gpt-5.5", messages=HELLO, max_completion_tokens=3, stream=True)
    assert all("usage" not in chunk.model_fields_set and chunk.choices for chunk in plain)
    *chunks, last = client.chat.completions.create(
        model="gpt-5.5",
        messages=HELLO,
        max_completion_tokens=3,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (5, 3, 8)


def test_the_models_are_listed(client: OpenAI) -> None:
    assert {"gpt-5.5", "gpt-5.4", "text-embedding-3-small"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("gpt-5.4").object == "model"


def test_an_answer_has_the_keys_of_a_recorded_one(clouds: Any) -> None:
    body = {"model": "gpt-5.5", "messages": HELLO}
    answer = httpx.post(clouds.url("openai", "/v1/chat/completions"), headers=KEY, json=body)
    assert paths_of(answer.json()) == paths_of(json.loads(recorded("chat-basic")["body"]))
    assert answer.text.startswith('{\n  "id": "chatcmpl-')  # indented, as the real API's answers are


def test_a_stream_has_the_shape_of_a_recorded_one(clouds: Any) -> None:
    body = {"model": "gpt-5.5", "messages": HELLO, "max_completion_tokens": 1, "stream": True}
    body["stream_options"] = {"include_usage": True}
    answer = httpx.post(clouds.url("openai", "/v1/chat/completions"), headers=KEY, json=body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith('"}\n\ndata: [DONE]\n\n')
    events = answer.text.removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]
    assert len(events) == 4
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    example = json.loads(recorded("chat-streaming-detailed-usage")["body"].split("\n\n")[0].removeprefix("data: "))
    assert "usage" in example
    assert [list(chunk) for chunk in chunks] == [list(example)] * 4
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert [list(delta) for delta in deltas[1:]] == [["content"], []]


def test_an_unknown_model_is_refused_byte_for_byte_as_recorded(clouds: Any) -> None:
    body = {"model": "gpt-4.1-nano-wrong", "messages": HELLO}
    answer = httpx.post(clouds.url("openai", "/v1/chat/completions"), headers=KEY, json=body)
    assert answer.status_code == 404
    assert answer.text == (
        '{\n    "error": {\n'
        '        "message": "The model `gpt-4.1-nano-wrong` does not exist or you do not have access to it.",\n'
        '        "type": "invalid_request_error",\n        "param": null,\n'
        '        "code": "model_not_found"\n    }\n}\n'
    )
    assert len(answer.content) == 224
    assert answer.text == recorded("chat-unknown-model")["body"]


def test_no_messages_are_refused_as_recorded(clouds: Any) -> None:
    body = {"model": "gpt-5.5", "messages": []}
    answer = httpx.post(clouds.url("openai", "/v1/chat/completions"), headers=KEY, json=body)
    assert answer.status_code == 400
    assert answer.json() == json.loads(recorded("chat-no-messages")["body"])
    assert answer.json()["error"]["code"] == "empty_array"
    assert len(answer.content) == recorded("chat-no-messages")["content_length"]  # indented as recorded


BAD_AUTHENTICATION = [
    # authorization, code, how the message begins
    ({}, None, "You didn't provide an API key."),
    ({"authorization": "Basic abc"}, None, "You didn't provide an API key."),
    ({"authorization": "Bearer"}, None, "You didn't provide an API key."),
    (
        {"authorization": "Bearer sk-wrong-key-0123"},
        "invalid_api_key",
        "Incorrect API key provided: sk-wrong*****0123.",
    ),
]


@pytest.mark.parametrize(("headers", "code", "beginning"), BAD_AUTHENTICATION)
def test_bad_authentication(clouds: Any, headers: dict[str, str], code: str | None, beginning: str) -> None:
    body = {"model": "gpt-5.5", "messages": HELLO}
    answer = httpx.post(clouds.url("openai", "/v1/chat/completions"), headers=headers, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"], error["code"]) == (
        401,
        "invalid_request_error",
        None,
        code,
    )
    assert error["message"].startswith(beginning)


USER = [{"role": "user", "content": "x"}]
BAD_BODIES = [
    # body, param, code, message (or how it begins)
    (b"{", None, None, "We could not parse the JSON body of your request."),
    (b"[]", None, None, "We could not parse the JSON body of your request."),
    (b'{"model":"gpt-5.5\xff"}', None, None, "We could not parse the JSON body of your request."),
    ({"messages": USER}, None, None, "you must provide a model parameter"),
    ({"model": "gpt-5.5"}, "messages", "missing_required_parameter", "Missing required parameter: 'messages'."),
    (
        {"model": "gpt-5.5", "messages": "hi"},
        "messages",
        "invalid_type",
        "Invalid type for 'messages': expected an array of objects, but got a string instead.",
    ),
    (
        {"model": "gpt-5.5", "messages": [{"content": "hi"}]},
        "messages[0].role",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].role'.",
    ),
    (
        {"model": "gpt-5.5", "messages": [{"role": "robot", "content": "hi"}]},
        "messages[0].role",
        "invalid_value",
        "Invalid value: 'robot'.",
    ),
    (
        {"model": "gpt-5.5", "messages": [{"role": "user", "content": None}]},
        "messages[0].content",
        "invalid_type",
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got null instead.",
    ),
    (
        {"model": "gpt-5.5", "messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {}}]}]},
        "messages[0].content[0].type",
        "invalid_value",
        "Invalid value: 'video_url'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio',",
    ),
    (
        {"model": "gpt-5.5", "messages": USER, "stream": "yes"},
        "stream",
        "invalid_type",
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
    ),
    (
        {"model": "gpt-5.5", "messages": USER, "stream_options": {"include_usage": True}},
        "stream_options",
        None,
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    (
        {"model": "gpt-5.5", "messages": USER, "max_completion_tokens": 0},
        "max_completion_tokens",
        "integer_below_min_value",
        "Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    ),
    (
        {"model": "gpt-5.5", "messages": USER, "max_tokens": 128_001},
        "max_tokens",
        "invalid_value",
        "max_tokens is too large: 128001. This model supports at most 128000 completion tokens, whereas you",
    ),
    (
        {"model": "gpt-5.5", "messages": USER, "max_tokens": True},
        "max_tokens",
        "invalid_type",
        "Invalid type for 'max_tokens': expected an integer, but got a boolean instead.",
    ),
    (
        {"model": "gpt-5.5", "messages": USER, "logprobs": True},
        "logprobs",
        "unsupported_parameter",
        "Unsupported parameter: 'logprobs' is not supported with this model.",
    ),
    (
        {"model": "gpt-5.5", "messages": USER, "tools": [{"type": "function", "function": {}}]},
        "tools[0].name",
        "missing_required_parameter",
        "Missing required parameter: 'tools[0].name'.",
    ),
    (
        {
            "model": "gpt-5.5",
            "messages": USER,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x"}},
        },
        "response_format.json_schema.schema",
        "missing_required_parameter",
        "Missing required parameter: 'response_format.json_schema.schema'.",
    ),
    (
        {
            "model": "gpt-5.5",
            "messages": USER,
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}},
        },
        "response_format",
        "invalid_json_schema",
        "Invalid schema for response_format: ",
    ),
    ({"model": "gpt-5.5", "messages": USER, "n": 2}, "n", "unsupported_value", "Unsupported value: 'n' does not"),
]


@pytest.mark.parametrize(("body", "param", "code", "message"), BAD_BODIES)
def test_bad_bodies(clouds: Any, body: Any, param: str | None, code: str | None, message: str) -> None:
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = httpx.post(clouds.url("openai", "/v1/chat/completions"), headers=KEY, **content)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code)
    assert error["message"].startswith(message)


BAD_PLACES = [
    ("PUT", "/v1/chat/completions", 405, "Not allowed to PUT on /v1/chat/completions."),
    ("POST", "/v1/engines", 404, "Invalid URL (POST /v1/engines)"),
    ("POST", "/openai/v1/chat/completions", 404, "Invalid URL (POST /openai/v1/chat/completions)"),
]


@pytest.mark.parametrize(("method", "path", "status", "message"), BAD_PLACES)
def test_bad_places(clouds: Any, method: str, path: str, status: int, message: str) -> None:
    answer = httpx.request(method, clouds.url("openai", path), headers=KEY)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(message)


def test_the_sdk_raises_its_own_errors(clouds: Any, client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    assert unknown.value.code == "model_not_found"
    stranger = OpenAI(base_url=clouds.url("openai", "/v1"), api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="gpt-5.5", messages=HELLO)


def test_an_upgrade_is_passed_over_and_the_body_stays(clouds: Any) -> None:
    """RFC 9110, 7.8; the client of the JDK asks so with every body."""
    asked = KEY | {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABk"}
    body = {"model": "gpt-5.5", "messages": HELLO}
    with httpx.Client(timeout=PATIENCE_S) as client:
        for _ in range(2):
            answer = client.post(clouds.url("openai", "/v1/chat/completions"), json=body, headers=asked)
            assert answer.status_code == 200
            assert answer.json()["usage"]["prompt_tokens"] > 0
