"""Anthropic's models at the fake clouds: the vendor's own client for each of them, straight, without a gateway."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import boto3  # type: ignore[import-untyped]
import httpx
import pytest
from botocore.exceptions import EventStreamError  # type: ignore[import-untyped]
from sandbox_rig import clouds, running_clouds

from clauseway.sandbox.signatures import credentials

CLAUDE = "claude-opus-4-7"
ASKED: list[Any] = [{"role": "user", "content": "which cloud is this"}]
SIGNED: Any = {
    "aws_access_key": credentials.AWS_ACCESS_KEY_ID,
    "aws_secret_key": credentials.AWS_SECRET_ACCESS_KEY,
    "aws_region": credentials.AWS_REGION,
}
Make = Callable[[Any], Any]
CLIENTS: dict[str, tuple[Make, str]] = {
    "anthropic": (
        lambda c: anthropic.Anthropic(
            base_url=c.url("anthropic"), api_key=credentials.ANTHROPIC_API_KEY, max_retries=0
        ),
        CLAUDE,
    ),
    "azure": (
        lambda c: anthropic.AnthropicFoundry(
            base_url=c.url("azure", "/anthropic/"), max_retries=0, api_key=credentials.AZURE_API_KEY
        ),
        CLAUDE,
    ),
    "bedrock": (
        lambda c: anthropic.AnthropicBedrockMantle(base_url=c.url("bedrock", "/anthropic"), max_retries=0, **SIGNED),
        f"anthropic.{CLAUDE}",
    ),
    "bedrock_runtime": (
        lambda c: anthropic.AnthropicBedrock(base_url=c.url("bedrock_runtime"), max_retries=0, **SIGNED),
        f"us.anthropic.{CLAUDE}-v1:0",
    ),
    "vertex": (
        lambda c: anthropic.AnthropicVertex(
            base_url=c.url("vertex", "/v1"),
            region="us-east5",
            max_retries=0,
            project_id=credentials.GOOGLE_PROJECT,
            access_token=credentials.google_token(),
        ),
        CLAUDE,
    ),
}


@pytest.mark.parametrize("cloud", CLIENTS)
def test_the_vendors_client(clouds: Any, cloud: str) -> None:
    make, model = CLIENTS[cloud]
    its = make(clouds)
    whole = its.messages.create(model=model, max_tokens=100, messages=ASKED)
    with its.messages.stream(model=model, max_tokens=100, messages=ASKED) as stream:
        final = stream.get_final_message()
    assert whole.content[0].text == final.content[0].text != ""
    assert whole.usage.input_tokens == final.usage.input_tokens == 4
    assert whole.usage.output_tokens == final.usage.output_tokens


@pytest.mark.parametrize("cloud", [cloud for cloud in CLIENTS if cloud != "bedrock_runtime"])
def test_tokens_are_counted(clouds: Any, cloud: str) -> None:
    make, model = CLIENTS[cloud]
    model = CLAUDE if cloud == "vertex" else model
    assert make(clouds).messages.count_tokens(model=model, messages=ASKED).input_tokens == 4


@pytest.mark.parametrize("cloud", CLIENTS)
def test_what_is_wrong_is_told(clouds: Any, cloud: str) -> None:
    make, model = CLIENTS[cloud]
    its = make(clouds)
    with pytest.raises(anthropic.BadRequestError, match="at least one message"):
        its.messages.create(model=model, max_tokens=100, messages=[])
    unknown = (anthropic.NotFoundError, anthropic.BadRequestError)  # AWS's runtime says 400
    with pytest.raises(unknown, match=r"model: |identifier is invalid|was not found"):
        its.messages.create(model="claude-9", max_tokens=100, messages=ASKED)


def test_a_key_and_a_version_open_anthropics_door(clouds: Any) -> None:
    its = anthropic.Anthropic(base_url=clouds.url("anthropic"), api_key="sk-nobody", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
        its.messages.create(model=CLAUDE, max_tokens=100, messages=ASKED)
    its = its.with_options(api_key=credentials.ANTHROPIC_API_KEY)
    with pytest.raises(anthropic.BadRequestError, match="anthropic-version: header is required"):
        its.messages.create(model=CLAUDE, max_tokens=9, messages=ASKED, extra_headers={"anthropic-version": ""})


KEY = {"x-api-key": credentials.ANTHROPIC_API_KEY}
AZURE_KEY = {"x-api-key": credentials.AZURE_API_KEY}
AWS_KEY = {"authorization": f"Bearer {credentials.BEDROCK_API_KEY}"}
TOKEN = {"authorization": f"Bearer {credentials.google_token()}"}
BY_AWS = f"/model/us.anthropic.{CLAUDE}-v1:0/invoke"
GOOGLE_PLACE = f"/v1/projects/{credentials.GOOGLE_PROJECT}/locations/us-east5"
BY_GOOGLE = f"{GOOGLE_PLACE}/publishers/anthropic/models/{CLAUDE}:rawPredict"
NO_VERSION = [("anthropic-version", "2023-10-01")]
FORMER = [("anthropic-version", "2023-06-01")]
VERSIONS: Any = [
    # cloud, path, credential, version in the headers, version in the body, what is said
    ("anthropic", "/v1/messages", KEY, FORMER, "", ""),
    ("anthropic", "/v1/messages", KEY, NO_VERSION, "", '"2023-10-01" is not a valid version'),
    ("anthropic", "/v1/messages", KEY, FORMER * 2, "", '"2023-06-01, 2023-06-01" is not a valid version'),
    ("azure", "/anthropic/v1/messages", AZURE_KEY, FORMER, "", ""),
    ("azure", "/anthropic/v1/messages", AZURE_KEY, [], "", "anthropic-version: header is required"),
    ("azure", "/anthropic/v1/messages", AZURE_KEY, FORMER * 2, "", "is not a valid version"),
    ("bedrock", "/anthropic/v1/messages", AWS_KEY, FORMER, "", ""),
    ("bedrock", "/anthropic/v1/messages", AWS_KEY, [], "", "anthropic-version: header is required"),
    ("bedrock", "/anthropic/v1/messages", AWS_KEY, FORMER * 2, "", "is not a valid version"),
    ("bedrock_runtime", BY_AWS, AWS_KEY, [], "bedrock-2023-05-31", ""),
    ("bedrock_runtime", BY_AWS, AWS_KEY, FORMER, "", "anthropic_version: Field required"),
    ("bedrock_runtime", BY_AWS, AWS_KEY, [], "vertex-2023-10-16", "Invalid API version: vertex-2023-10-16"),
    ("vertex", BY_GOOGLE, TOKEN, [], "vertex-2023-10-16", ""),
    ("vertex", BY_GOOGLE, TOKEN, FORMER, "", "anthropic_version: Field required"),
    ("vertex", BY_GOOGLE, TOKEN, [], "2023-06-01", "Invalid API version: 2023-06-01"),
]


@pytest.mark.parametrize(("cloud", "path", "credential", "headers", "version", "said"), VERSIONS)
def test_the_version_of_the_format_is_checked(
    clouds: Any, cloud: str, path: str, credential: dict[str, str], headers: Any, version: str, said: str
) -> None:
    named = {} if cloud in ("bedrock_runtime", "vertex") else {"model": CLIENTS[cloud][1]}
    body = {**named, "max_tokens": 9, "messages": ASKED, **({"anthropic_version": version} if version else {})}
    answer = httpx.post(clouds.url(cloud, path), headers=[*credential.items(), *headers], json=body)
    assert answer.status_code == (400 if said else 200)
    assert said in json.dumps(answer.json(), ensure_ascii=False).replace("\\", "")


ELSEWHERE: Any = [
    # cloud, path, credential, members beside the messages, status
    ("bedrock", BY_AWS, AWS_KEY, {"anthropic_version": "bedrock-2023-05-31"}, 404),
    ("bedrock_runtime", "/anthropic/v1/messages", AWS_KEY, {"model": CLIENTS["bedrock"][1]}, 404),
    ("bedrock_runtime", BY_AWS, AWS_KEY, {"anthropic_version": "bedrock-2023-05-31", "stream": True}, 400),
    ("bedrock_runtime", BY_AWS, AWS_KEY, {"anthropic_version": "bedrock-2023-05-31", "model": CLAUDE}, 400),
    ("vertex", BY_GOOGLE, TOKEN, {"anthropic_version": "vertex-2023-10-16", "model": CLAUDE}, 400),
    ("vertex", BY_GOOGLE, TOKEN, {"anthropic_version": "vertex-2023-10-16", "stream": True}, 400),
    ("anthropic", "/v1/messages", KEY, {"model": "claude-9"}, 404),
    ("anthropic", "/v1/chat/completions", KEY, {"model": CLAUDE}, 404),
]


@pytest.mark.parametrize(("cloud", "path", "credential", "members", "status"), ELSEWHERE)
def test_each_cloud_takes_messages_at_its_own_place_alone(
    clouds: Any, cloud: str, path: str, credential: dict[str, str], members: Any, status: int
) -> None:
    sent = [*credential.items(), *([] if cloud in ("bedrock_runtime", "vertex") else FORMER)]
    body = {"max_tokens": 9, "messages": ASKED, **members}
    assert httpx.post(clouds.url(cloud, path), headers=sent, json=body).status_code == status


LONG = " ".join(["word"] * 1300)
PLACE: Any = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOLS: Any = [{"name": name, "input_schema": PLACE} for name in ("look", "ask")]
RESULT: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "it is warm"}]}
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}
CALLED: Any = [
    # members, the tool that is called
    ({"tools": TOOLS}, "look"),
    ({"tools": TOOLS, "tool_choice": {"type": "none"}}, ""),
    ({"tools": TOOLS, "tool_choice": {"type": "any"}}, "look"),
    ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "ask"}}, "ask"),
    ({"tools": TOOLS, "messages": [*ASKED, RESULT]}, ""),
    ({"tools": TOOLS, "messages": [*ASKED, RESULT], "tool_choice": {"type": "any"}}, "look"),
    ({"tools": [SEARCH]}, ""),
    ({"tools": [SEARCH, *TOOLS]}, "look"),
    ({}, ""),
]


def blocks_of(message: Any) -> list[dict[str, Any]]:
    """The blocks of a message, but for their ids."""
    blocks = [block.to_dict() for block in message.content]
    return [{name: value for name, value in block.items() if name != "id" and value is not None} for block in blocks]


@pytest.mark.parametrize(("members", "tool"), CALLED)
def test_a_tool_is_called_until_its_result_comes(clouds: Any, members: Any, tool: str) -> None:
    its = CLIENTS["anthropic"][0](clouds)
    asked = {"model": CLAUDE, "max_tokens": 100, "messages": ASKED, **members}
    whole = its.messages.create(**asked)
    assert [block.name for block in whole.content if block.type == "tool_use"] == [tool] * bool(tool)
    assert all(block.input.keys() == {"place"} for block in whole.content if block.type == "tool_use")
    assert whole.stop_reason == ("tool_use" if tool else "end_turn")
    searches = whole.usage.server_tool_use.web_search_requests if whole.usage.server_tool_use else 0
    assert searches == (SEARCH in members.get("tools", []))
    with its.messages.stream(**asked) as stream:
        final = stream.get_final_message()
    assert (blocks_of(final), final.stop_reason) == (blocks_of(whole), whole.stop_reason)


COUNTED: Any = [
    # members, tokens in
    ({"system": "be brief"}, 4 + 2),
    ({"system": [{"type": "text", "text": "be brief"}]}, 4 + 2),
    ({"messages": [*ASKED, RESULT]}, 4 + 3),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "one two"}, {"type": "image"}]}]}, 2 + 85),
    ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, 100),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}]},
        85,
    ),
]


@pytest.mark.parametrize(("members", "tokens"), COUNTED)
def test_every_block_of_a_message_counts(clouds: Any, members: Any, tokens: int) -> None:
    body = {"model": CLAUDE, "max_tokens": 9, "messages": ASKED, **members}
    for path, name in (("/v1/messages", "usage"), ("/v1/messages/count_tokens", "")):
        answer = httpx.post(clouds.url("anthropic", path), headers=[*KEY.items(), *FORMER], json=body).json()
        assert (answer[name] if name else answer)["input_tokens"] == tokens


def test_what_is_marked_is_written_to_the_cache_once(clouds: Any) -> None:
    its = CLIENTS["anthropic"][0](clouds)

    def usage(text: str, **mark: str) -> tuple[int, ...]:
        block = {"type": "text", "text": text, **({"cache_control": {"type": "ephemeral", **mark}} if mark else {})}
        usage = its.messages.create(model=CLAUDE, max_tokens=9, messages=[{"role": "user", "content": [block]}]).usage
        kept = usage.cache_creation
        assert usage.cache_creation_input_tokens == kept.ephemeral_5m_input_tokens + kept.ephemeral_1h_input_tokens
        figures = (usage.input_tokens, usage.cache_read_input_tokens)
        return (*figures, kept.ephemeral_5m_input_tokens, kept.ephemeral_1h_input_tokens)

    # 1,300 words are cached up to 1,024 + 2 x 128: not marked, written, read, read and the rest written for an hour.
    assert usage(LONG) == (1300, 0, 0, 0)
    assert usage(LONG, ttl="5m") == (20, 0, 1280, 0)
    assert usage(LONG, ttl="5m") == (20, 1280, 0, 0)
    assert usage(f"{LONG} {LONG}", ttl="1h") == (2600 - 2560, 1280, 0, 1280)
    assert usage("too short", ttl="5m") == (2, 0, 0, 0)


def test_thinking_takes_half_of_its_budget(clouds: Any) -> None:
    its = CLIENTS["anthropic"][0](clouds)
    asked: Any = {"model": CLAUDE, "max_tokens": 2000, "messages": ASKED}
    thought = its.messages.create(**asked, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in thought.content] == ["thinking", "text"]
    assert thought.usage.output_tokens_details.thinking_tokens == 512
    assert thought.usage.output_tokens == 512 + len(thought.content[1].text.split())
    with its.messages.stream(**asked, thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        final = stream.get_final_message()
    assert (blocks_of(final), final.usage.output_tokens) == (blocks_of(thought), thought.usage.output_tokens)
    assert [block.type for block in its.messages.create(**asked, thinking={"type": "disabled"}).content] == ["text"]
    # It leaves half of the maximum to the answer.
    short = its.messages.create(**asked | {"max_tokens": 1100}, thinking={"type": "enabled", "budget_tokens": 4096})
    assert short.usage.output_tokens_details.thinking_tokens == 550


MOST: Any = [
    # maximum, what is said
    (None, "max_tokens: Field required"),
    (0, "max_tokens: 0"),
    ("9", "max_tokens: 9"),
    (128_001, "max_tokens: 128001 > 128000"),
]


@pytest.mark.parametrize(("most", "said"), MOST)
def test_a_maximum_is_asked_for_and_kept(clouds: Any, most: Any, said: str) -> None:
    sent, url = [*KEY.items(), *FORMER], clouds.url("anthropic", "/v1/messages")
    refused = httpx.post(url, headers=sent, json={"model": CLAUDE, "max_tokens": most, "messages": ASKED})
    assert (refused.status_code, refused.json()["error"]["message"].startswith(said)) == (400, True)
    for fewest, reason in ((1, "max_tokens"), (128_000, "end_turn")):
        body = {"model": CLAUDE, "max_tokens": fewest, "messages": ASKED}
        answer = httpx.post(url, headers=sent, json=body).json()
        assert (answer["stop_reason"], answer["usage"]["output_tokens"] <= fewest) == (reason, True)


def test_a_key_is_a_token_only_by_its_scheme(clouds: Any) -> None:
    body = {"model": CLAUDE, "max_tokens": 9, "messages": ASKED}
    for authorization, status in (("Bearer {}", 200), ("{}", 401), ("Basic {}", 401)):
        sent = [("authorization", authorization.format(credentials.ANTHROPIC_API_KEY)), *FORMER]
        assert httpx.post(clouds.url("anthropic", "/v1/messages"), headers=sent, json=body).status_code == status


def test_it_is_overloaded(clouds: Any) -> None:
    clouds.add_fault("anthropic", kind="status", family="server_is_overloaded")
    its = CLIENTS["anthropic"][0](clouds)
    with pytest.raises(anthropic.APIStatusError) as raised:
        its.messages.create(model=CLAUDE, max_tokens=100, messages=ASKED)
    assert (raised.value.status_code, raised.value.type) == (529, "overloaded_error")


# AWS's runtime tells of errors in frames of its own.
@pytest.mark.parametrize("cloud", [cloud for cloud in CLIENTS if cloud != "bedrock_runtime"])
@pytest.mark.parametrize(("family", "kind"), [("server_is_overloaded", "overloaded_error"), ("", "api_error")])
def test_an_error_within_a_stream_has_anthropics_form(clouds: Any, cloud: str, family: str, kind: str) -> None:
    clouds.add_fault(cloud, kind="error-event", events=3, family=family)
    make, model = CLIENTS[cloud]
    with (
        pytest.raises(anthropic.APIStatusError) as raised,
        make(clouds).messages.stream(model=model, max_tokens=100, messages=ASKED) as stream,
    ):
        list(stream)
    assert raised.value.type == kind


@pytest.mark.parametrize(
    ("family", "code"),
    [("server_is_overloaded", "serviceUnavailableException"), ("", "modelStreamErrorException")],
)
def test_an_error_within_a_stream_in_frames_is_an_exception_of_aws(clouds: Any, family: str, code: str) -> None:
    clouds.add_fault("bedrock_runtime", kind="error-event", events=3, family=family)
    runtime = boto3.client(
        "bedrock-runtime",
        endpoint_url=clouds.url("bedrock_runtime"),
        region_name=credentials.AWS_REGION,
        aws_access_key_id=credentials.AWS_ACCESS_KEY_ID,
        aws_secret_access_key=credentials.AWS_SECRET_ACCESS_KEY,
    )
    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": ASKED}
    model = CLIENTS["bedrock_runtime"][1]
    events = runtime.invoke_model_with_response_stream(modelId=model, body=json.dumps(asked))["body"]
    with pytest.raises(EventStreamError) as raised:
        list(events)
    assert raised.value.response["Error"]["Code"] == code
