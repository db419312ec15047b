"""Azure OpenAI's twin, judged by the vendor's unmodified SDK and by a recorded answer of the real service."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AzureOpenAI, OpenAI
from ruamel.yaml import YAML
from sandbox_rig import clouds, running_clouds

from clauseway.sandbox.credentials import AZURE_API_KEY, AZURE_ENTRA_TOKEN

RECORDING = Path(__file__).parent / "recordings" / "azure-chat-basic.yaml"
CHAT = "/openai/v1/chat/completions"
HELLO: Any = [{"role": "user", "content": "which cloud may serve this"}]


def recorded() -> dict[str, Any]:
    response: dict[str, Any] = YAML(typ="safe").load(RECORDING)["interactions"][0]["response"]
    return response


@pytest.mark.parametrize("key", [AZURE_API_KEY, AZURE_ENTRA_TOKEN])
def test_the_plain_sdk_calls_the_v1_path(clouds: Any, key: str) -> None:
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=key, max_retries=0)
    answer = client.chat.completions.create(model="gpt-5-5", messages=HELLO, max_completion_tokens=4)
    assert answer.model == "gpt-5.5-2026-04-23"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 4)
    assert {"gpt-5-5", "gpt-5-4", "text-embedding-3-small"} <= {model.id for model in client.models.list()}


def test_azures_own_class_calls_the_dated_path(clouds: Any) -> None:
    url, version = clouds.url("azure"), "2024-10-21"
    with_key = AzureOpenAI(azure_endpoint=url, api_version=version, api_key=AZURE_API_KEY)
    with_token = AzureOpenAI(azure_endpoint=url, api_version=version, azure_ad_token=AZURE_ENTRA_TOKEN)
    for client in (with_key, with_token):
        answer = client.chat.completions.create(model="gpt-5-4", messages=HELLO, max_completion_tokens=4)
        assert answer.model == "gpt-5.4-2026-03-05"


def test_a_stream_begins_with_the_prompts_filter_and_nothing_else(clouds: Any) -> None:
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=AZURE_API_KEY, max_retries=0)
    first, *chunks, last = client.chat.completions.create(
        model="gpt-5-5",
        messages=HELLO,
        max_completion_tokens=50,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert (first.choices, first.id, first.usage) == ([], "", None)
    assert first.to_dict()["prompt_filter_results"][0]["prompt_index"] == 0  # type: ignore[index]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert len(text.split()) == 50
    assert all(chunk.usage is None for chunk in chunks)
    assert last.usage is not None
    assert (last.choices, last.usage.completion_tokens) == ([], 50)


def test_no_usage_in_a_stream_that_did_not_ask(clouds: Any) -> None:
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=AZURE_API_KEY, max_retries=0)
    stream = client.chat.completions.create(model="gpt-5-5", messages=HELLO, stream=True)
    assert all("usage" not in chunk.model_fields_set for chunk in stream)


def test_an_answer_has_the_keys_and_headers_of_the_recorded_one(clouds: Any) -> None:
    body = {"model": "gpt-5-5", "messages": HELLO}
    answer = httpx.post(clouds.url("azure", CHAT), headers={"api-key": AZURE_API_KEY}, json=body)
    whole, example = answer.json(), json.loads(recorded()["body"])
    assert list(whole) == list(example)
    assert list(whole["choices"][0]) == list(example["choices"][0])
    assert set(whole["choices"][0]["message"]) == set(example["choices"][0]["message"])
    assert set(whole["prompt_filter_results"][0]) == set(example["prompt_filter_results"][0])
    assert set(whole["usage"]) == set(example["usage"])
    # Less the headers of the network in front of the service and of the machine behind it.
    elsewhere = {"strict-transport-security", "x-accel-buffering", "azureml-model-session"}
    assert {name.lower() for name in recorded()["headers"]} - elsewhere <= set(answer.headers)
    assert (answer.headers["x-ms-region"], answer.headers["x-ms-deployment-name"]) == ("East US 2", "gpt-5-5")


WRONG_KEY = "Access denied due to invalid subscription key or wrong API endpoint."
WRONG_TOKEN = "Unauthorized. Access token is missing, invalid, audience is incorrect"
REFUSALS = [
    # path, headers, model, status, code, how the message begins
    (CHAT, {}, "gpt-5-5", 401, "401", WRONG_KEY),
    (CHAT, {"api-key": "wrong"}, "gpt-5-5", 401, "401", WRONG_KEY),
    (CHAT, {"authorization": "Bearer wrong"}, "gpt-5-5", 401, "401", WRONG_TOKEN),
    (
        CHAT,
        {"api-key": AZURE_API_KEY},
        "gpt-5.5",
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does",
    ),
    ("/v1/chat/completions", {"api-key": AZURE_API_KEY}, "gpt-5-5", 404, "404", "Resource not found"),
    (
        "/openai/deployments/gpt-5-5/chat/completions",  # no api-version
        {"api-key": AZURE_API_KEY},
        "gpt-5-5",
        404,
        "404",
        "Resource not found",
    ),
]


@pytest.mark.parametrize(("path", "headers", "model", "status", "code", "message"), REFUSALS)
def test_refusals_in_azures_words(
    clouds: Any, path: str, headers: dict[str, str], model: str, status: int, code: str, message: str
) -> None:
    answer = httpx.post(clouds.url("azure", path), headers=headers, json={"model": model, "messages": HELLO})
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message"}
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"].startswith(message)
    assert "apim-request-id" in answer.headers


def test_a_bad_body_is_refused_in_openais_shape(clouds: Any) -> None:
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=AZURE_API_KEY, max_retries=0)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-5-5", messages=[])
    assert (refused.value.code, refused.value.param) == ("empty_array", "messages")
