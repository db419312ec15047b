"""Vertex AI's fake cloud: the SDK's own Vertex provider, google-auth's service account, and each way to fail."""

import json
import time
from typing import Any

import google.auth.transport.requests
import httpx
import openai
import pytest
from google.auth import crypt, exceptions, jwt
from google.oauth2 import service_account
from openai import OpenAI
from openai.providers import vertex
from sandbox_rig import clouds, running_clouds

from clauseway.sandbox.signatures.credentials import (
    AZURE_ENTRA_TOKEN,
    DEMONSTRATION_KEY,
    GOOGLE_CLIENT_EMAIL,
    GOOGLE_LOCATION,
    GOOGLE_PROJECT,
    GOOGLE_SCOPE,
    ISSUER_KEY,
    google_service_account,
    google_token,
)
from clauseway.sandbox.signatures.rsa import KeyPair

PLACE = f"/v1/projects/{GOOGLE_PROJECT}/locations/{GOOGLE_LOCATION}"
RESPONSES = f"{PLACE}/publishers/openai/v1/responses"
CHAT = f"{PLACE}/endpoints/openapi/chat/completions"
CLAUDE = f"{PLACE}/publishers/anthropic/models/claude-opus-4-7:rawPredict"
BODY: Any = {"model": "gpt-5.5", "input": "which cloud may serve this"}
MESSAGES: Any = [{"role": "user", "content": "which cloud may serve this"}]
TOKEN = {"authorization": f"Bearer {google_token()}"}


def client(clouds: Any, **options: Any) -> OpenAI:
    url = clouds.url("vertex", f"{PLACE}/publishers/openai/v1")
    return OpenAI(provider=vertex(base_url=url, **options), max_retries=0)


def account(clouds: Any, **changed: str) -> Any:
    info = {**google_service_account(clouds.url("vertex", "/token")), **changed}
    return service_account.Credentials.from_service_account_info(info)  # type: ignore[no-untyped-call]


def test_the_sdks_provider_with_a_service_account(clouds: Any) -> None:
    sdk = client(clouds, credentials=account(clouds))
    answer = sdk.responses.create(model="gpt-5.5", input="which cloud may serve this", max_output_tokens=20)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (5, 20)
    events = list(sdk.responses.create(model="gpt-5.4", input="x", stream=True))
    assert events[-1].type == "response.completed"
    seen = [(attempt["method"], attempt["path"]) for attempt in clouds.attempts("vertex")]
    assert seen.count(("POST", "/token")) == 1  # one token for both


def test_the_sdks_provider_with_a_token(clouds: Any) -> None:
    assert client(clouds, token_provider=google_token).responses.create(**BODY).status == "completed"


def test_open_models_have_chat_under_another_path(clouds: Any) -> None:
    sdk = OpenAI(base_url=clouds.url("vertex", f"{PLACE}/endpoints/openapi"), api_key=google_token(), max_retries=0)
    answer = sdk.chat.completions.create(model="openai/gpt-oss-120b-maas", messages=MESSAGES, max_tokens=6)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="gpt-5.5", messages=MESSAGES)


def test_google_auth_fetches_a_token_that_lasts_an_hour(clouds: Any) -> None:
    credentials = account(clouds).with_scopes([GOOGLE_SCOPE])
    credentials.refresh(google.auth.transport.requests.Request())
    assert credentials.valid
    assert 3500 < credentials.expiry.timestamp() - time.mktime(time.gmtime()) < 3600
    answer = httpx.post(
        clouds.url("vertex", RESPONSES), json=BODY, headers={"authorization": f"Bearer {credentials.token}"}
    )
    assert answer.status_code == 200


BAD_TOKENS = [
    # authorization, status, reason
    ("", 401, "CREDENTIALS_MISSING"),
    ("Bearer sk-of-another-cloud", 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    (f"Bearer {google_token(key=DEMONSTRATION_KEY)}", 401, "ACCESS_TOKEN_TYPE_UNSUPPORTED"),
    (f"Bearer {google_token(expires_s=1_700_000_000)}", 401, "ACCESS_TOKEN_EXPIRED"),
    (google_token(), 401, "CREDENTIALS_MISSING"),
    (f"Bearer ya29.{AZURE_ENTRA_TOKEN}", 403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
    (f"Bearer {google_token(scope='https://www.googleapis.com/auth/drive')}", 403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
]


@pytest.mark.parametrize(("authorization", "status", "reason"), BAD_TOKENS)
def test_tokens_that_are_refused(clouds: Any, authorization: str, status: int, reason: str) -> None:
    headers = {"authorization": authorization} if authorization else {}
    answer = httpx.post(clouds.url("vertex", RESPONSES), json=BODY, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"][0]["reason"]) == (status, status, reason)
    assert error["status"] == {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}[status]


BAD_ASSERTIONS: Any = [
    # claims changed, how Google words it
    ({"iss": "stranger@example.iam.gserviceaccount.com"}, "Invalid grant: account not found"),
    ({"aud": "https://example.com/token"}, "Invalid JWT: Failed audience check."),
    ({"iat": -7200, "exp": -3600}, "Invalid JWT: Token must be a short-lived token"),
    ({"exp": 7200}, "Invalid JWT: Token must be a short-lived token"),
    ({"iat": 3600, "exp": 7200}, "Invalid JWT: Token must be a short-lived token"),
    ({"scope": ""}, "Invalid OAuth scope"),
]


@pytest.mark.parametrize(("changed", "message"), BAD_ASSERTIONS)
def test_assertions_that_are_refused(clouds: Any, changed: dict[str, Any], message: str) -> None:
    now = int(time.time())
    claims = {
        "iss": GOOGLE_CLIENT_EMAIL,
        "aud": "https://oauth2.googleapis.com/token",
        "scope": GOOGLE_SCOPE,
        "iat": now,
        "exp": now + 3600,
        **{name: now + value if isinstance(value, int) else value for name, value in changed.items()},
    }
    signer = crypt.RSASigner.from_string(google_service_account("")["private_key"])  # type: ignore[no-untyped-call]
    assertion = jwt.encode(signer, claims).decode()  # type: ignore[no-untyped-call]
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    answer = httpx.post(clouds.url("vertex", "/token"), data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["error_description"].startswith(message)


def test_another_key_signs_nothing(clouds: Any) -> None:
    other = KeyPair(DEMONSTRATION_KEY.p, ISSUER_KEY.p)
    with pytest.raises(exceptions.RefreshError, match="Invalid JWT Signature"):
        account(clouds, private_key=other.pem).with_scopes([GOOGLE_SCOPE]).refresh(
            google.auth.transport.requests.Request()
        )


REFUSED: Any = [
    # path, headers, body, status, Google's status
    (RESPONSES, {"openai-project": "p"}, BODY, 400, "INVALID_ARGUMENT"),
    (RESPONSES, {"openai-organization": "o"}, BODY, 400, "INVALID_ARGUMENT"),
    (RESPONSES, {}, {**BODY, "model": "gpt-9"}, 404, "NOT_FOUND"),
    (RESPONSES.replace(GOOGLE_PROJECT, "another"), {}, BODY, 403, "PERMISSION_DENIED"),
    (CLAUDE.replace(GOOGLE_PROJECT, "another"), {}, BODY, 403, "PERMISSION_DENIED"),
    (CHAT.replace("endpoints/openapi", "publishers/openai/v1"), {}, {}, 404, "NOT_FOUND"),
    ("/v1/chat/completions", {}, {}, 404, "NOT_FOUND"),
]


@pytest.mark.parametrize(("path", "headers", "body", "status", "name"), REFUSED)
def test_refusals_in_googles_shape(
    clouds: Any, path: str, headers: dict[str, str], body: dict[str, Any], status: int, name: str
) -> None:
    answer = httpx.post(clouds.url("vertex", path), headers={**TOKEN, **headers}, json=body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (status, name)


def test_a_bad_body_is_refused_in_openais_shape(clouds: Any) -> None:
    answer = httpx.post(clouds.url("vertex", RESPONSES), headers=TOKEN, content=json.dumps({"model": "gpt-5.5"}))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
