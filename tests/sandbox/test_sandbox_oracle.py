"""OCI's fake cloud: the vendor's SDK with Oracle's own signers, and every way to sign wrongly."""

import base64
import hashlib
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import httpx2
import oci
import openai
import pyarrow
import pytest
import requests
from oci.auth.signers import SecurityTokenSigner
from openai import OpenAI
from sandbox_rig import clouds, replaced, running_clouds

from clauseway.sandbox.signatures.credentials import (
    AZURE_ENTRA_TOKEN,
    DEMONSTRATION_KEY,
    ISSUER_KEY,
    OCI_API_KEY,
    OCI_COMPARTMENT,
    OCI_FINGERPRINT,
    OCI_TENANCY,
    OCI_USER,
    oci_session_token,
    private_key_pem,
)

CHAT = "/openai/v1/chat/completions"
MESSAGES: Any = [{"role": "user", "content": "which cloud may serve this"}]
BODY = b'{"model":"openai.gpt-5.5","messages":[{"role":"user","content":"which cloud may serve this"}],"stream":true}'
COMPARTMENT = {"opc-compartment-id": OCI_COMPARTMENT}


def user(pem: str = "", fingerprint: str = OCI_FINGERPRINT) -> Any:
    return oci.signer.Signer(OCI_TENANCY, OCI_USER, fingerprint, None, private_key_content=pem or private_key_pem())


def principal(token: str = "") -> Any:
    key = oci.signer.load_private_key(private_key_pem(), None)
    return SecurityTokenSigner(token or oci_session_token(), key)


class Signed(httpx2.Auth):
    """Oracle's signer in the SDK's HTTP client."""

    requires_request_body = True

    def __init__(self, signer: Any) -> None:
        self._signer = signer

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        del request.headers["authorization"]
        prepared = requests.Request(
            request.method, str(request.url), dict(request.headers.items()), data=request.content
        ).prepare()
        self._signer.do_request_sign(prepared)
        request.headers.update({name: str(value) for name, value in prepared.headers.items()})
        yield request


def client(clouds: Any, signer: Any = None) -> OpenAI:
    url, http = clouds.url("oracle", "/openai/v1"), None
    if signer is not None:
        http = httpx2.Client(auth=Signed(signer))
    return OpenAI(base_url=url, api_key=OCI_API_KEY, default_headers=COMPARTMENT, max_retries=0, http_client=http)


SIGNERS: Any = [pytest.param(user, id="user"), pytest.param(principal, id="resource principal")]


@pytest.mark.parametrize("signer", SIGNERS)
def test_the_sdk_with_oracles_signers(clouds: Any, signer: Callable[[], Any]) -> None:
    sdk = client(clouds, signer())
    answer = sdk.chat.completions.create(model="openai.gpt-5.5", messages=MESSAGES, max_completion_tokens=6)
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (5, 6)
    chunks = sdk.chat.completions.create(model="openai.gpt-oss-120b", messages=MESSAGES, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    # Every method, with a query and with a form for a body.
    response = sdk.responses.create(model="openai.gpt-5.4", input="x")
    assert [item.id for item in sdk.responses.input_items.list(response.id, limit=1)]
    sdk.responses.delete(response.id)
    uploaded = sdk.files.create(file=("a.bin", b"\x00\xff\r\n"), purpose="user_data")
    assert sdk.files.content(uploaded.id).content == b"\x00\xff\r\n"


def test_a_key_opens_some_models(clouds: Any) -> None:
    sdk = client(clouds)
    assert sdk.chat.completions.create(model="openai.gpt-5.5", messages=MESSAGES).model == "openai.gpt-5.5"
    with pytest.raises(openai.PermissionDeniedError):
        sdk.chat.completions.create(model="openai.gpt-oss-120b", messages=MESSAGES)
    assert sdk.files.create(file=("a.txt", b"x"), purpose="user_data").bytes == 1  # a body that is no JSON


def test_request_ids_are_joined(clouds: Any) -> None:
    headers = {**COMPARTMENT, "authorization": f"Bearer {OCI_API_KEY}", "opc-request-id": "abc"}
    answer = httpx.post(clouds.url("oracle", CHAT), content=BODY, headers=headers)
    own, mine = answer.headers["opc-request-id"].split("/")
    assert (own, len(mine)) == ("ABC", 32)


def signed(url: str, *, signer: Any = None, date: datetime | None = None) -> dict[str, str]:
    """The headers of a chat request signed by Oracle's signer as stated."""
    headers = {"content-type": "application/json", **COMPARTMENT}
    if date is not None:
        headers["date"] = format_datetime(date, usegmt=True)
    prepared = requests.Request("POST", url, headers, data=BODY).prepare()
    (signer or user()).do_request_sign(prepared)
    return {name: str(value) for name, value in prepared.headers.items()}


UNAUTHENTICATED = "The required information to complete authentication was not provided or was incorrect."
UNVERIFIED = "Failed to verify the HTTP(S) Signature"


def aged(minutes: float) -> dict[str, Any]:
    return {"date": datetime.now(UTC) - timedelta(minutes=minutes)}


@pytest.mark.parametrize("minutes", [0, 4.5, -4.5])
def test_signatures_that_are_accepted(clouds: Any, minutes: float) -> None:
    url, how = clouds.url("oracle", CHAT), aged(minutes)
    assert httpx.post(url, content=BODY, headers=signed(url, **how)).status_code == 200


SIGNED_WRONGLY: Any = [
    # how it is signed, how the message begins
    (lambda: {"signer": user(ISSUER_KEY.pem)}, UNVERIFIED),
    (lambda: {"signer": user(fingerprint=ISSUER_KEY.public.fingerprint)}, UNAUTHENTICATED),
    (lambda: aged(5.5), "Date '"),
    (lambda: aged(-5.5), "Date '"),
    (lambda: {"signer": principal(oci_session_token(expires_s=1_700_000_000))}, UNAUTHENTICATED),
    (lambda: {"signer": principal(oci_session_token(key=DEMONSTRATION_KEY))}, UNAUTHENTICATED),
    (lambda: {"signer": principal(AZURE_ENTRA_TOKEN)}, UNAUTHENTICATED),
]


@pytest.mark.parametrize(("how", "message"), SIGNED_WRONGLY)
def test_signatures_that_are_refused(clouds: Any, how: Callable[[], dict[str, Any]], message: str) -> None:
    url = clouds.url("oracle", CHAT)
    _expect(httpx.post(url, content=BODY, headers=signed(url, **how())), message)


def _other_digest(headers: dict[str, str]) -> None:
    headers["x-content-sha256"] = base64.b64encode(hashlib.sha256(b"another body").digest()).decode()


def _other_date(headers: dict[str, str]) -> None:
    headers["date"] = format_datetime(datetime.now(UTC) - timedelta(minutes=1), usegmt=True)


TAMPERED: Any = [
    # what is changed after signing, how the message begins
    (replaced("content-type", "json", "xml"), UNVERIFIED),
    (replaced("host", "127.0.0.1", "localhost"), UNVERIFIED),
    (_other_date, UNVERIFIED),
    (_other_digest, "The content hash in the x-content-sha256 header does not match"),
    (replaced("authorization", "x-content-sha256", "opc-compartment-id"), UNAUTHENTICATED),
    (replaced("authorization", "(request-target) ", ""), UNAUTHENTICATED),
    (replaced("authorization", "rsa-sha256", "hmac-sha256"), UNAUTHENTICATED),
    (replaced("authorization", 'version="1"', 'version="2"'), UNAUTHENTICATED),
    (replaced("authorization", 'signature="', 'signature="!'), UNVERIFIED),
    (replaced("authorization", "Signature ", "Basic "), UNAUTHENTICATED),
]


@pytest.mark.parametrize(("change", "message"), TAMPERED)
def test_requests_changed_after_signing(clouds: Any, change: Callable[[dict[str, str]], None], message: str) -> None:
    url = clouds.url("oracle", CHAT)
    headers = signed(url)
    change(headers)
    _expect(httpx.post(url, content=BODY, headers=headers), message)


def test_a_body_or_a_query_changed_after_signing(clouds: Any) -> None:
    url = clouds.url("oracle", CHAT)
    headers = signed(url)
    _expect(httpx.post(url, content=BODY.replace(b"serve", b"swipe"), headers=headers), "The content hash")
    _expect(httpx.post(f"{url}?a=1", content=BODY, headers=headers), UNVERIFIED)


def _expect(answer: httpx.Response, message: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (401, "NotAuthenticated")
    assert answer.json()["message"].startswith(message)
    assert answer.headers["opc-request-id"]


REFUSED: Any = [
    # headers, body, status, Oracle's code
    ({"opc-compartment-id": ""}, BODY, 400, "MissingParameter"),
    ({"opc-compartment-id": "ocid1.compartment.oc1..another"}, BODY, 404, "NotAuthorizedOrNotFound"),
    (COMPARTMENT, BODY.replace(b"gpt-5.5", b"gpt-9"), 404, "NotAuthorizedOrNotFound"),
]


@pytest.mark.parametrize(("headers", "body", "status", "code"), REFUSED)
def test_refusals_in_oracles_shape(clouds: Any, headers: dict[str, str], body: bytes, status: int, code: str) -> None:
    key = {"authorization": f"Bearer {OCI_API_KEY}"}
    answer = httpx.post(clouds.url("oracle", CHAT), headers={**key, **headers}, content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_client_that_takes_zstd_gets_a_frame_an_event(clouds: Any) -> None:
    key = {**COMPARTMENT, "authorization": f"Bearer {OCI_API_KEY}"}
    url = clouds.url("oracle", CHAT)
    plain = httpx.post(url, content=BODY, headers={**key, "accept-encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    with httpx.stream("POST", url, content=BODY, headers={**key, "accept-encoding": "zstd"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "zstd"
    frames = raw.split(b"\x28\xb5\x2f\xfd")[1:]
    assert len(frames) == plain.text.count("\n\n")
    events = [
        pyarrow.CompressedInputStream(pyarrow.BufferReader(b"\x28\xb5\x2f\xfd" + frame), "zstd").read()
        for frame in frames
    ]
    assert events[-1] == b"data: [DONE]\n\n"
    assert all(event.endswith(b"\n\n") for event in events)
