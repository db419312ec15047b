"""Azure OpenAI's fake cloud, judged by the vendor's unmodified SDK and by a recorded answer of the real service."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential, get_bearer_token_provider
from openai import AzureOpenAI, OpenAI
from ruamel.yaml import YAML
from sandbox_rig import clouds, running_clouds

from clauseway.sandbox.signatures.credentials import (
    AZURE_API_KEY,
    AZURE_CLIENT_ID,
    AZURE_CLIENT_SECRET,
    AZURE_ENTRA_TOKEN,
    AZURE_SCOPE,
    AZURE_TENANT_ID,
    DEMONSTRATION_KEY,
    entra_token,
    google_token,
)

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
    able = {model.id: model.to_dict()["capabilities"] for model in client.models.list()}
    assert {"gpt-5-5", "gpt-5-4", "text-embedding-3-small"} <= set(able)
    for name, chats in (("gpt-5-5", True), ("text-embedding-3-small", False)):
        inferring = {"fine_tune": False, "inference": True, "completion": False}
        assert able[name] == {**inferring, "chat_completion": chats, "embeddings": not chats}


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
    (CHAT, {"authorization": AZURE_API_KEY}, "gpt-5-5", 401, "401", WRONG_KEY),
    (CHAT, {"authorization": f"Basic {AZURE_API_KEY}"}, "gpt-5-5", 401, "401", WRONG_KEY),
    (CHAT, {"x-api-key": AZURE_API_KEY}, "gpt-5-5", 401, "401", WRONG_KEY),
    (CHAT, {"api-key": "wrong", "authorization": f"Bearer {AZURE_API_KEY}"}, "gpt-5-5", 401, "401", WRONG_KEY),
    (
        "/openai/deployments/gpt-5-5/chat/completions?api-version=2024-10-21",  # a key is no token there
        {"authorization": f"Bearer {AZURE_API_KEY}"},
        "gpt-5-5",
        401,
        "401",
        WRONG_TOKEN,
    ),
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


DATED = "/openai/deployments/gpt-5-5/chat/completions"
KEY = {"api-key": AZURE_API_KEY}
DATED_ANSWERS: Any = [
    # api-version, what is asked beside messages, status
    ("2024-10-21", {}, 200),
    ("2024-06-01", {}, 200),
    ("2024-06-01", {"stream": True}, 200),
    ("2024-06-01", {"stream": True, "stream_options": {"include_usage": True}}, 400),
    ("2024-07-01-preview", {"stream": True, "stream_options": {"include_usage": True}}, 400),
    ("2024-08-01-preview", {"stream": True, "stream_options": {"include_usage": True}}, 400),
    ("2024-09-01-preview", {"stream": True, "stream_options": {"include_usage": True}}, 200),
    ("2024-10-21", {"stream": True, "stream_options": {"include_usage": True}}, 200),
    ("2023-01-01", {}, 404),
    ("", {}, 404),
]


@pytest.mark.parametrize(("version", "fields", "status"), DATED_ANSWERS)
def test_dated_api_versions(clouds: Any, version: str, fields: dict[str, Any], status: int) -> None:
    url = clouds.url("azure", f"{DATED}?api-version={version}")
    answer = httpx.post(url, headers=KEY, json={"messages": HELLO, **fields})
    assert answer.status_code == status
    if status == 400:
        message = "Unrecognized request argument supplied: stream_options"
        assert answer.json()["error"]["message"] == message


DATED_REFUSED = [
    ("/openai/deployments/nobody/chat/completions?api-version=2024-10-21", "DeploymentNotFound"),
    ("/openai/deployments/gpt-5-5/responses?api-version=2025-03-01-preview", "404"),
    ("/openai/responses?api-version=2024-10-21", "404"),
    ("/openai/deployments/gpt-5-5/?api-version=2024-10-21", "404"),
    ("/openai/v1/responses/compact", "404"),
    ("/openai/v1/responses/input_tokens", "404"),
    ("/openai/v1/moderations", "404"),
    ("/openai/v1/chat/completions?api-version=2024-10-21", "404"),
]


@pytest.mark.parametrize(("path", "code"), DATED_REFUSED)
def test_what_is_not_at_a_path(clouds: Any, path: str, code: str) -> None:
    answer = httpx.post(clouds.url("azure", path), headers=KEY, json={"model": "gpt-5-5", "messages": HELLO})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)


def test_azures_own_class_beyond_chat(clouds: Any) -> None:
    client = AzureOpenAI(
        azure_endpoint=clouds.url("azure"), api_version="2025-04-01-preview", api_key=AZURE_API_KEY, max_retries=0
    )
    assert client.embeddings.create(model="text-embedding-3-small", input="one two").usage.total_tokens == 2
    assert client.images.generate(model="gpt-image-1", prompt="a way").usage is not None
    assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"x")).text
    answer = client.responses.create(model="gpt-5-5", input="which cloud")
    assert client.responses.retrieve(answer.id).output_text == answer.output_text
    uploaded = client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    assert [each.id for each in client.files.list()] == [uploaded.id]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-5.5", messages=HELLO)  # the model's name is no deployment's


def test_a_batch_of_what_is_not_deployed_is_not_made(clouds: Any) -> None:
    client = openai.OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=AZURE_API_KEY, max_retries=0)
    line = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"%b","messages":[]}}\n'
    file = client.files.create(file=("a.jsonl", line % b"gpt-5-5" + line % b"gpt-5.5"), purpose="batch")
    with pytest.raises(openai.BadRequestError) as raised:
        client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    (error,) = raised.value.response.json()["errors"]["data"]
    assert (error["code"], "model deployment 'gpt-5.5' does not exist" in error["message"]) == ("model_not_found", True)
    assert list(client.batches.list()) == []


def test_responses_refuse_stream_options(clouds: Any) -> None:
    body = {"model": "gpt-5-5", "input": "x", "stream": True, "stream_options": {"include_obfuscation": False}}
    answer = httpx.post(clouds.url("azure", "/openai/v1/responses"), headers=KEY, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_parameter")


class PlainTransport(RequestsTransport):  # type: ignore[misc]
    """azure-identity asks for https; the sandbox speaks http."""

    def send(self, request: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


def entra(clouds: Any, **changed: str) -> ClientSecretCredential:
    client = {"tenant_id": AZURE_TENANT_ID, "client_id": AZURE_CLIENT_ID, "client_secret": AZURE_CLIENT_SECRET}
    return ClientSecretCredential(
        **{**client, **changed},
        authority=clouds.url("azure").replace("http://", "https://"),
        disable_instance_discovery=True,
        transport=PlainTransport(),
        retry_total=0,
    )


def test_azure_identity_fetches_a_token_and_the_sdk_uses_it(clouds: Any) -> None:
    provider = get_bearer_token_provider(entra(clouds), AZURE_SCOPE)
    client = AzureOpenAI(
        azure_endpoint=clouds.url("azure"), api_version="2024-10-21", azure_ad_token_provider=provider, max_retries=0
    )
    for _ in range(2):
        assert client.chat.completions.create(model="gpt-5-5", messages=HELLO).usage is not None
    fetched = [attempt for attempt in clouds.attempts("azure") if str(attempt["path"]).endswith("/oauth2/v2.0/token")]
    assert len(fetched) == 1


ENTRA_REFUSED = [
    ({"client_secret": "wrong"}, "AADSTS7000215"),
    ({"client_id": "5a9db0c5-0000-4000-8000-00000000000f"}, "AADSTS700016"),
    ({"tenant_id": "5a9db0c5-0000-4000-8000-00000000000f"}, "AADSTS90002"),
]


@pytest.mark.parametrize(("changed", "number"), ENTRA_REFUSED)
def test_entra_refuses_by_number(clouds: Any, changed: dict[str, str], number: str) -> None:
    with pytest.raises(ClientAuthenticationError, match=number):
        entra(clouds, **changed).get_token(AZURE_SCOPE)


BAD_TOKENS: Any = [
    entra_token(audience="https://graph.microsoft.com"),
    entra_token(expires_s=1_770_000_000),
    entra_token(issued_s=4_000_000_000),
    entra_token(tenant="5a9db0c5-0000-4000-8000-00000000000f"),
    entra_token(key=DEMONSTRATION_KEY),
    "eyJhbGciOiJub25lIn0.eyJhdWQiOiJzYW5kYm94In0.",
    google_token().removeprefix("ya29."),
]


@pytest.mark.parametrize(
    "token", BAD_TOKENS, ids=["audience", "expired", "early", "tenant", "signature", "none", "google"]
)
def test_entra_tokens_that_are_refused(clouds: Any, token: str) -> None:
    client = OpenAI(base_url=clouds.url("azure", "/openai/v1"), api_key=token, max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="audience is incorrect"):
        client.chat.completions.create(model="gpt-5-5", messages=HELLO)
