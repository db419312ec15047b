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
