"""Bedrock mantle's fake cloud: the SDK's own Bedrock client, requests signed by botocore, and each way to fail."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from openai import AsyncBedrockOpenAI, BedrockOpenAI, OpenAI
from openai.providers import bedrock
from sandbox_rig import clouds, replaced, running_clouds

from clauseway.sandbox.signatures.credentials import (
    AWS_ACCESS_KEY_ID,
    AWS_REGION,
    AWS_RUNTIME_SERVICE,
    AWS_SECRET_ACCESS_KEY,
    AWS_SERVICE,
    AWS_SESSION_ACCESS_KEY_ID,
    AWS_SESSION_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN,
    BEDROCK_API_KEY,
)

CHAT = "/openai/v1/chat/completions"
HELLO: Any = [{"role": "user", "content": "which cloud may serve this"}]
BODY = b'{"model":"openai.gpt-5.5","messages":[{"role":"user","content":"which cloud may serve this"}]}'
NOW = datetime.now(UTC)
STAMP = "%Y%m%dT%H%M%SZ"


class SignerAt(SigV4Auth):  # type: ignore[misc]
    """botocore's signer with a clock of our choice, for signatures of another time."""

    at = NOW

    def add_auth(self, request: Any) -> None:
        request.context["timestamp"] = self.at.strftime(STAMP)
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))


def signed(
    url: str,
    *,
    access_key: str = AWS_ACCESS_KEY_ID,
    secret: str = AWS_SECRET_ACCESS_KEY,
    token: str | None = None,
    region: str = AWS_REGION,
    service: str = AWS_SERVICE,
    body: bytes = BODY,
    content_hash: bool = True,
    age: timedelta = timedelta(0),
) -> dict[str, str]:
    """The headers of a chat request signed as stated."""
    headers = {"Host": httpx.URL(url).netloc.decode(), "Content-Type": "application/json"}
    if content_hash:
        headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
    request = AWSRequest("POST", url, data=body, headers=headers)
    signer = SignerAt(Credentials(access_key, secret, token), service, region)
    signer.at = datetime.now(UTC) - age
    signer.add_auth(request)
    return dict(request.headers.items())


def post(url: str, headers: dict[str, str], body: bytes = BODY) -> httpx.Response:
    return httpx.post(url, headers=headers, content=body)


CREDENTIALS: list[Any] = [
    pytest.param({"api_key": BEDROCK_API_KEY}, id="API key"),
    pytest.param({"aws_access_key_id": AWS_ACCESS_KEY_ID, "aws_secret_access_key": AWS_SECRET_ACCESS_KEY}, id="SigV4"),
    pytest.param(
        {
            "aws_access_key_id": AWS_SESSION_ACCESS_KEY_ID,
            "aws_secret_access_key": AWS_SESSION_SECRET_ACCESS_KEY,
            "aws_session_token": AWS_SESSION_TOKEN,
        },
        id="SigV4 with a session token",
    ),
]


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_the_sdks_bedrock_client(clouds: Any, credential: dict[str, str]) -> None:
    url = clouds.url("bedrock", "/openai/v1")
    client = BedrockOpenAI(base_url=url, aws_region=AWS_REGION, max_retries=0, **credential)  # type: ignore[arg-type]
    answer = client.chat.completions.create(model="openai.gpt-5.4", messages=HELLO, max_completion_tokens=6)
    assert answer.model == "openai.gpt-5.4"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 6)
    *chunks, last = client.chat.completions.create(
        model="openai.gpt-5.5",
        messages=HELLO,
        max_completion_tokens=40,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert len("".join(chunk.choices[0].delta.content or "" for chunk in chunks).split()) == 40
    assert last.usage is not None
    assert last.usage.total_tokens == 5 + 40


def test_the_sdks_asynchronous_bedrock_client(clouds: Any) -> None:
    async def ask() -> str:
        async with AsyncBedrockOpenAI(
            base_url=clouds.url("bedrock", "/openai/v1"),
            aws_region=AWS_REGION,
            aws_access_key_id=AWS_ACCESS_KEY_ID,
            aws_secret_access_key=AWS_SECRET_ACCESS_KEY,
        ) as client:
            raw = await client.chat.completions.with_raw_response.create(model="openai.gpt-5.5", messages=HELLO)
            assert raw.headers["x-amzn-requestid"]
            return raw.parse().model

    assert asyncio.run(ask()) == "openai.gpt-5.5"


def test_a_wrong_secret_in_the_sdk(clouds: Any) -> None:
    client = BedrockOpenAI(
        base_url=clouds.url("bedrock", "/openai/v1"),
        aws_region=AWS_REGION,
        aws_access_key_id=AWS_ACCESS_KEY_ID,
        aws_secret_access_key="another",
        max_retries=0,
    )
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="openai.gpt-5.5", messages=HELLO)


ACCEPTED: list[Any] = [
    pytest.param({}, id="as the SDK signs"),
    pytest.param({"content_hash": False}, id="without a content hash: the body's own is taken"),
    pytest.param({"age": timedelta(minutes=4, seconds=30)}, id="four and a half minutes old"),
    pytest.param({"age": timedelta(minutes=-4, seconds=-30)}, id="four and a half minutes ahead"),
]


@pytest.mark.parametrize("how", ACCEPTED)
def test_signatures_that_are_accepted(clouds: Any, how: dict[str, Any]) -> None:
    url = clouds.url("bedrock", CHAT)
    assert post(url, signed(url, **how)).status_code == 200


MISMATCH = "The request signature we calculated does not match the signature you provided."
REFUSED: list[Any] = [
    # how it is signed, AWS's error, how the message begins
    ({"secret": "another"}, "InvalidSignatureException", MISMATCH),
    (
        {"access_key": "AKIAUNKNOWNUNKNOWN00"},
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    ({"token": "stray"}, "UnrecognizedClientException", "The security token included in the request is invalid."),
    (
        {"access_key": AWS_SESSION_ACCESS_KEY_ID, "secret": AWS_SESSION_SECRET_ACCESS_KEY},  # its token is missing
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    ({"region": "eu-west-1"}, "InvalidSignatureException", "Credential should be scoped to a valid region."),
    (
        {"service": "bedrock"},
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'bedrock-mantle'.",
    ),
    ({"age": timedelta(minutes=5, seconds=30)}, "InvalidSignatureException", "Signature expired: "),
    ({"age": timedelta(minutes=-5, seconds=-30)}, "InvalidSignatureException", "Signature not yet current: "),
]


@pytest.mark.parametrize(("how", "error", "message"), REFUSED)
def test_signatures_that_are_refused(clouds: Any, how: dict[str, Any], error: str, message: str) -> None:
    url = clouds.url("bedrock", CHAT)
    _expect(post(url, signed(url, **how)), error, message)


def _tampered_hash(headers: dict[str, str]) -> None:
    headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"another body").hexdigest()


def _unsigned_payload(headers: dict[str, str]) -> None:
    headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"


def _added_unsigned(headers: dict[str, str]) -> None:
    headers["X-Amz-Target"] = "smuggled"


def _dropped_signed(headers: dict[str, str]) -> None:
    del headers["Content-Type"]


TAMPERED: list[Any] = [
    # what is changed after signing, AWS's error, how the message begins
    (_tampered_hash, "InvalidSignatureException", MISMATCH),
    (_unsigned_payload, "InvalidSignatureException", MISMATCH),
    (replaced("Content-Type", "json", "xml"), "InvalidSignatureException", MISMATCH),
    (replaced("Host", "127.0.0.1", "localhost"), "InvalidSignatureException", MISMATCH),
    (replaced("Authorization", "Signature=", "Signature=0"), "InvalidSignatureException", MISMATCH),
    (
        replaced("Authorization", "host;", ""),
        "InvalidSignatureException",
        "There were headers present in the request which were not signed: host",
    ),
    (
        _added_unsigned,
        "InvalidSignatureException",
        "There were headers present in the request which were not signed: x-amz-target",
    ),
    (_dropped_signed, "InvalidSignatureException", "Signed headers are missing from the request: content-type"),
    (
        replaced("Authorization", "Signature=", "Sig="),
        "IncompleteSignatureException",
        "Authorization header requires 'Signature' parameter.",
    ),
    (
        replaced("Authorization", "/aws4_request", ""),
        "IncompleteSignatureException",
        "Credential must have exactly 5 slash-delimited elements",
    ),
    (
        replaced("Authorization", "AWS4-HMAC-SHA256", "AWS5-HMAC"),
        "IncompleteSignatureException",
        "Unsupported AWS 'algorithm': 'AWS5-HMAC'.",
    ),
    (replaced("X-Amz-Date", "Z", ""), "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'."),
]


@pytest.mark.parametrize(("change", "error", "message"), TAMPERED)
def test_requests_changed_after_signing(
    clouds: Any, change: Callable[[dict[str, str]], None], error: str, message: str
) -> None:
    url = clouds.url("bedrock", CHAT)
    headers = signed(url)
    change(headers)
    _expect(post(url, headers), error, message)


@pytest.mark.parametrize("content_hash", [True, False])
def test_a_body_changed_after_signing(clouds: Any, content_hash: bool) -> None:
    url = clouds.url("bedrock", CHAT)
    headers = signed(url, content_hash=content_hash)
    _expect(post(url, headers, BODY.replace(b"serve", b"swipe")), "InvalidSignatureException", MISMATCH)


def test_a_query_changed_after_signing(clouds: Any) -> None:
    url = clouds.url("bedrock", CHAT)
    headers = signed(f"{url}?b=2&a=1")
    assert post(f"{url}?b=2&a=1", headers).status_code == 200
    _expect(post(f"{url}?b=2&a=9", headers), "InvalidSignatureException", MISMATCH)


def test_no_or_wrong_keys(clouds: Any) -> None:
    url = clouds.url("bedrock", CHAT)
    _expect(post(url, {}), "MissingAuthenticationTokenException", "Missing Authentication Token")
    wrong = {"authorization": "Bearer wrong"}
    _expect(post(url, wrong), "UnrecognizedClientException", "The security token included in the request is invalid.")


def _expect(answer: httpx.Response, error: str, message: str) -> None:
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, error)
    assert set(answer.json()) == {"message"}
    assert answer.json()["message"].startswith(message)


MODELS = [
    # root, model, status
    ("/openai/v1", "openai.gpt-5.5", 200),
    ("/openai/v1", "openai.gpt-5.4", 200),
    ("/openai/v1", "openai.gpt-oss-120b", 200),
    ("/v1", "openai.gpt-oss-120b", 200),
    ("/v1", "openai.gpt-5.5", 404),
    ("/openai/v1", "gpt-5.5", 404),
    ("/openai/v1", "us.openai.gpt-5.4", 404),
]


@pytest.mark.parametrize(("root", "model", "status"), MODELS)
def test_models_and_their_roots(clouds: Any, root: str, model: str, status: int) -> None:
    client = OpenAI(base_url=clouds.url("bedrock", root), api_key=BEDROCK_API_KEY, max_retries=0)
    if status == 200:
        assert client.chat.completions.create(model=model, messages=HELLO).model == model
    else:
        with pytest.raises(openai.NotFoundError, match=f"The model '{model}' does not exist"):
            client.chat.completions.create(model=model, messages=HELLO)


RUNTIME_CREDENTIALS: Any = [
    {"api_key": BEDROCK_API_KEY},
    {"access_key_id": AWS_ACCESS_KEY_ID, "secret_access_key": AWS_SECRET_ACCESS_KEY},
    {
        "access_key_id": AWS_SESSION_ACCESS_KEY_ID,
        "secret_access_key": AWS_SESSION_SECRET_ACCESS_KEY,
        "session_token": AWS_SESSION_TOKEN,
    },
]


def provided(clouds: Any, endpoint: Any, **credential: str) -> OpenAI:
    cloud = {"mantle": "bedrock", "runtime": "bedrock_runtime"}[endpoint]
    provider = bedrock(endpoint=endpoint, base_url=clouds.url(cloud, "/openai/v1"), region=AWS_REGION, **credential)  # type: ignore[arg-type]
    return OpenAI(provider=provider, max_retries=0)


@pytest.mark.parametrize("credential", RUNTIME_CREDENTIALS, ids=["key", "SigV4", "session"])
def test_the_sdks_provider_at_the_runtime(clouds: Any, credential: dict[str, str]) -> None:
    sdk = provided(clouds, "runtime", **credential)
    for model in ("us.openai.gpt-5.5", "global.openai.gpt-5.4"):
        answer = sdk.chat.completions.create(model=model, messages=HELLO, max_completion_tokens=6)
        assert answer.model == model
        assert answer.usage is not None
        assert answer.usage.completion_tokens == 6
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="openai.gpt-5.5", messages=HELLO)  # no profile's name


def test_each_endpoint_has_a_service_of_its_own(clouds: Any) -> None:
    url = clouds.url("bedrock_runtime", CHAT)
    _expect(
        post(url, signed(url)),
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'bedrock'.",
    )
    body = BODY.replace(b"openai.", b"us.openai.")
    assert post(url, signed(url, service=AWS_RUNTIME_SERVICE, body=body), body).status_code == 200


@pytest.mark.parametrize("endpoint", ["mantle", "runtime"])
def test_every_method_is_signed(clouds: Any, endpoint: str) -> None:
    sdk = provided(clouds, endpoint, **RUNTIME_CREDENTIALS[2])
    model = {"mantle": "openai.gpt-5.5", "runtime": "us.openai.gpt-5.5"}[endpoint]
    answer = sdk.responses.create(model=model, input="which cloud", background=True)
    assert sdk.responses.retrieve(answer.id).status == "in_progress"
    assert [item.id for item in sdk.responses.input_items.list(answer.id, limit=1, order="asc")]
    assert sdk.responses.cancel(answer.id).status == "cancelled"
    sdk.responses.delete(answer.id)
    events = list(sdk.responses.create(model=model, input="which cloud", stream=True))
    assert events[-1].type == "response.completed"
    assert model in [each.id for each in sdk.models.list()]


ODD_PATHS = [
    "/openai/v1/models/a%20b%3Ac",
    "/openai/v1/models/ä~b",
    "/openai/v1//models",
    "/openai/v1/x?b=&a=%2F+1&a=0",
]


@pytest.mark.parametrize("path", ODD_PATHS)
def test_odd_paths_and_queries_are_signed_as_sent(clouds: Any, path: str) -> None:
    """A missing object is looked for only once the signature holds."""
    url = str(httpx.URL(clouds.url("bedrock", path)))
    headers = {"Host": httpx.URL(url).netloc.decode()}
    request = AWSRequest("GET", url, headers=headers)
    SigV4Auth(Credentials(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), AWS_SERVICE, AWS_REGION).add_auth(request)
    assert httpx.get(url, headers=dict(request.headers.items())).status_code == 404
