"""Bedrock's requests beside those of OpenAI's own client for it; botocore judges the signatures."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any
from unittest.mock import patch

import botocore.auth  # type: ignore[import-untyped]
import openai
import pytest
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from openai.providers import bedrock
from vendor_requests import NOW_S, OPERATIONS, Head, Sent, assert_same, call_for, made, plain, target

from clauseway.gateway.clouds import DIALECTS, Call, Credential
from clauseway.gateway.plan import Target

REGION = "us-west-2"
ROOTS = {
    "mantle": f"https://bedrock-mantle.{REGION}.api.aws/openai/v1",
    "runtime": f"https://bedrock-runtime.{REGION}.amazonaws.com/openai/v1",
}
SERVICES = {"mantle": "bedrock-mantle", "runtime": "bedrock"}
AKID, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3%JpZ2luX2Vj//"

# The vendor's client signs no body that it sends as a stream, which these are; botocore signs them.
MULTIPART = {"images.edits", "images.variations", "audio.transcriptions", "audio.translations", "files.create"}


@pytest.fixture(autouse=True)
def fixed_clock() -> Iterator[None]:
    with patch.object(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(NOW_S, UTC)):
        yield


def signing(token: str = "") -> Credential:
    return Credential(kind="sigv4", access_key=AKID, secret=SECRET, session_token=token)


def assert_signed(ours: Head, body: bytes, to: Target, service: str, token: str) -> None:
    """Botocore, given the very request, signs it the same."""
    _, _, scope = ours.headers["authorization"].partition("Credential=")
    assert scope.split(",")[0] == f"{AKID}/20260426/{REGION}/{service}/aws4_request"
    covered = ours.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    stated = {name: ours.headers[name] for name in covered if name not in ("x-amz-date", "x-amz-security-token")}
    again = AWSRequest(ours.method, to.url.removesuffix("/openai/v1") + ours.path, headers=stated, data=body)
    botocore.auth.SigV4Auth(Credentials(AKID, SECRET, token or None), service, REGION).add_auth(again)
    theirs = {name.lower(): str(value) for name, value in again.headers.items()}
    assert {name: ours.headers[name] for name in theirs} == theirs
    assert {"host", "x-amz-date", "x-amz-content-sha256"} <= set(covered)
    assert ("x-amz-security-token" in covered) is bool(token)
    assert ("content-type" in covered) is ("content-type" in ours.headers)


@pytest.mark.parametrize(("operation", "surface"), list(product(sorted(set(OPERATIONS) - MULTIPART), ROOTS)))
def test_signed_as_the_vendors_client_signs(operation: str, surface: str) -> None:
    for token in ("", TOKEN):
        sent = Sent()
        vendor = bedrock(
            endpoint="runtime" if surface == "runtime" else "mantle",
            region=REGION,
            access_key_id=AKID,
            secret_access_key=SECRET,
            session_token=token or None,
        )
        client = openai.OpenAI(provider=vendor, http_client=sent.client, max_retries=0)
        theirs = sent.by(client, operation, "openai.gpt-5.4")
        to = target("bedrock", ROOTS[surface], "openai.gpt-5.4")
        ours = made(to, signing(token), call_for(operation, theirs), theirs.content)
        # Ours encodes a space as %20 where the client's library writes +: AWS takes no + for a space.
        assert ours.path.replace("%20", "+") == theirs.url.raw_path.decode()
        assert ours.method == theirs.method
        for name in ("host", "content-type", "content-length", "x-amz-content-sha256", "x-amz-security-token"):
            assert ours.headers.get(name) == theirs.headers.get(name), name
        assert ours.headers["x-amz-date"] == theirs.headers["x-amz-date"] == "20260426T000000Z"
        assert scope_of(ours.headers["authorization"]) == scope_of(theirs.headers["authorization"])
        assert_signed(ours, theirs.content, to, SERVICES[surface], token)


@pytest.mark.parametrize(("operation", "surface"), list(product(sorted(MULTIPART), ROOTS)))
def test_multipart_is_signed(operation: str, surface: str) -> None:
    sent = Sent()
    theirs = sent.by(plain(sent), operation, "m")
    to = target("bedrock", ROOTS[surface], "m")
    ours = made(to, signing(TOKEN), call_for(operation, theirs), theirs.content)
    assert ours.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert_signed(ours, theirs.content, to, SERVICES[surface], TOKEN)


def scope_of(authorization: str) -> str:
    return authorization.partition(", ")[0]


@pytest.mark.parametrize("surface", ROOTS)
def test_a_bedrock_key(surface: str) -> None:
    sent = Sent()
    vendor = bedrock(
        endpoint="runtime" if surface == "runtime" else "mantle", region=REGION, api_key="bedrock-api-key-1"
    )
    client = openai.OpenAI(provider=vendor, http_client=sent.client, max_retries=0)
    theirs = sent.by(client, "responses", "openai.gpt-5.4")
    to = target("bedrock", ROOTS[surface], "openai.gpt-5.4")
    key = Credential(kind="bearer", secret="bedrock-api-key-1")
    assert_same(made(to, key, call_for("responses", theirs), theirs.content), theirs, "authorization", "x-amz-date")


# A client's query, however it wrote it → what is sent and signed.
QUERIES = [
    (b"limit=3&after=a%2fb", "limit=3&after=a%2Fb"),
    (b"include[]=a.b,c&x=1+2", "include%5B%5D=a.b%2Cc&x=1%202"),
    (b"b=2&a=%c3%bc&a", "b=2&a=%C3%BC&a="),
    (b"&&a=~-._&", "a=~-._"),
]


@pytest.mark.parametrize(("asked", "sent"), QUERIES)
def test_queries_are_sent_as_they_are_signed(asked: bytes, sent: str) -> None:
    to = target("bedrock", ROOTS["mantle"], "m")
    ours = made(to, signing(), Call(b"GET", b"/responses/resp_1/input_items?" + asked, b""), b"")
    assert ours.path == f"/openai/v1/responses/resp_1/input_items?{sent}"
    assert_signed(ours, b"", to, "bedrock-mantle", "")


@pytest.mark.parametrize(
    ("url", "auth", "scope"),
    [
        ("https://bedrock-mantle.eu-west-1.api.aws/v1", {}, "eu-west-1/bedrock-mantle"),
        ("https://bedrock-runtime-fips.us-east-1.amazonaws.com/openai/v1", {}, "us-east-1/bedrock"),
        ("https://bedrock-mantle.eu-west-1.api.aws/v1", {"service": "bedrock"}, "eu-west-1/bedrock"),
        ("http://127.0.0.1:8412/v1", {"region": "us-east-1"}, "us-east-1/bedrock-mantle"),
    ],
)
def test_the_host_says_what_is_signed_unless_settings_do(url: str, auth: dict[str, Any], scope: str) -> None:
    ours = made(target("bedrock", url, "m", **auth), signing(), Call(b"GET", b"/models", b""), b"")
    assert f"Credential={AKID}/20260426/{scope}/aws4_request" in ours.headers["authorization"]


def test_a_host_that_names_no_region() -> None:
    with pytest.raises(ValueError, match="names no region"):
        DIALECTS["bedrock"].head_writer(target("bedrock", "https://proxy.example/v1", "m"), signing())


def test_what_the_surfaces_have() -> None:
    lacks = {surface: DIALECTS["bedrock"].lacks(target("bedrock", root, "m")) for surface, root in ROOTS.items()}
    assert lacks["runtime"] - lacks["mantle"] == {"models", "responses.input_items"}
    batches = {"batches.create", "batches.list", "batches.retrieve", "batches.cancel"}
    assert lacks["mantle"] - lacks["runtime"] == batches
    assert sorted(set(OPERATIONS) - lacks["mantle"]) == [
        "chat",
        "models",
        "responses",
        "responses.cancel",
        "responses.delete",
        "responses.input_items",
        "responses.retrieve",
    ]
