"""OpenAI's and Azure's requests as the vendor's own clients send them, field for field."""

from itertools import product
from typing import Any

import openai
import pytest
from vendor_requests import OPERATIONS, Sent, assert_same, call_for, made, target

from clauseway.gateway.clouds import DIALECTS, Call, Credential, dialect
from clauseway.gateway.clouds.anthropic import MESSAGES
from clauseway.gateway.plan import Auth

KEY, TOKEN = Credential(kind="api-key", secret="azure-key"), Credential(kind="bearer", secret="entra.token")
NAMES = ("gpt-5.4", "my deployment/ü&+%2F")
ENDPOINT = "https://contoso.openai.azure.com"


def test_the_suite_names_every_operation() -> None:
    """Those of Anthropic's format are its own client's: `test_clouds_messages`."""
    assert set(OPERATIONS) | MESSAGES == dialect.OPERATIONS


@pytest.mark.parametrize("operation", OPERATIONS)
def test_openai(operation: str) -> None:
    sent = Sent()
    client = openai.OpenAI(
        api_key="sk-account", organization="org-1", project="proj_1", http_client=sent.client, max_retries=0
    )
    theirs = sent.by(client, operation, "gpt-5.4")
    to = target(
        "openai", "https://api.openai.com/v1", "gpt-5.4", settings={"organization": "org-1", "project": "proj_1"}
    )
    ours = made(to, Credential(kind="bearer", secret="sk-account"), call_for(operation, theirs), theirs.content)
    assert_same(ours, theirs, "authorization", "openai-organization", "openai-project")


@pytest.mark.parametrize(("operation", "version"), list(product(OPERATIONS, ("", "preview"))))
def test_azure_v1(operation: str, version: str) -> None:
    sent = Sent()
    client = openai.OpenAI(
        api_key="entra.token",
        base_url=f"{ENDPOINT}/openai/v1/",
        http_client=sent.client,
        max_retries=0,
        default_query={"api-version": version} if version else None,
    )
    theirs = sent.by(client, operation, NAMES[1])
    to = target("azure", f"{ENDPOINT}/openai/v1", NAMES[1], settings={"api_version": version} if version else {})
    ours = made(to, TOKEN, call_for(operation, theirs), theirs.content)
    assert_same(ours, theirs, "authorization")
    assert "api-key" not in ours.headers
    keyed = made(to, KEY, call_for(operation, theirs), theirs.content)
    assert (keyed.headers["api-key"], "authorization" in keyed.headers) == ("azure-key", False)


@pytest.mark.parametrize(("operation", "name"), list(product(OPERATIONS, NAMES)))
def test_azure_dated(operation: str, name: str) -> None:
    version = "2025-04-01-preview"
    sent = Sent()
    client = openai.AzureOpenAI(
        api_key="azure-key", api_version=version, azure_endpoint=ENDPOINT, http_client=sent.client, max_retries=0
    )
    theirs = sent.by(client, operation, name)
    to = target("azure", f"{ENDPOINT}/openai", name, settings={"api_version": version})
    if operation in DIALECTS["azure"].lacks(to):
        return
    assert_same(made(to, KEY, call_for(operation, theirs), theirs.content), theirs, "api-key", "authorization")


def test_azure_dated_with_a_token() -> None:
    sent = Sent()
    client = openai.AzureOpenAI(
        azure_ad_token="entra.token",
        api_version="2024-10-21",
        azure_endpoint=ENDPOINT,
        http_client=sent.client,
        max_retries=0,
    )
    theirs = sent.by(client, "chat", "gpt-5.4")
    to = target("azure", f"{ENDPOINT}/openai", "gpt-5.4", settings={"api_version": "2024-10-21"})
    assert_same(made(to, TOKEN, call_for("chat", theirs), theirs.content), theirs, "api-key", "authorization")


# A client's query → what Azure is asked, dated and v1. The version that a client names is of our endpoint.
QUERIES = [
    (b"", "api-version=2024-10-21", ""),
    (b"?limit=2", "api-version=2024-10-21&limit=2", "limit=2"),
    (b"?api-version=2025-04-01-preview", "api-version=2024-10-21", ""),
    (b"?a=1&api-version=2025-04-01-preview&b=2", "api-version=2024-10-21&a=1&b=2", "a=1&b=2"),
]


@pytest.mark.parametrize(("asked", "dated", "v1"), QUERIES)
def test_the_version_is_the_deployments(asked: bytes, dated: str, v1: str) -> None:
    call = Call(b"GET", b"/files" + asked, b"")
    to = target("azure", f"{ENDPOINT}/openai", "m", settings={"api_version": "2024-10-21"})
    assert made(to, KEY, call, b"").path == f"/openai/files?{dated}"
    to = target("azure", f"{ENDPOINT}/openai/v1", "m")
    assert made(to, KEY, call, b"").path == "/openai/v1/files" + (f"?{v1}" if v1 else "")


# api_version → what it lacks of these, and whether a chat stream may be asked for its usage.
VERSIONS = [
    ("", "", True),
    ("preview", "", True),
    ("2024-06-01", "audio.speech batches.create images.edits responses", False),
    ("2024-10-21", "audio.speech images.edits responses", True),
    ("2024-02-15-preview", "batches.create images.edits responses", False),
    ("2024-08-01-preview", "images.edits responses", False),
    ("2024-09-01-preview", "images.edits responses", True),
    ("2025-03-01-preview", "images.edits", True),
    ("2025-04-01-preview", "", True),
]


@pytest.mark.parametrize(("version", "lacking", "takes"), VERSIONS)
def test_what_an_azure_version_has(version: str, lacking: str, takes: bool) -> None:
    root = "/openai" if version[:2] == "20" else "/openai/v1"
    to = target("azure", ENDPOINT + root, "m", settings={"api_version": version})
    asked = {
        "chat",
        "embeddings",
        "audio.speech",
        "audio.transcriptions",
        "batches.create",
        "files.list",
        "images.edits",
        "images.generations",
        "responses",
    }
    assert sorted(DIALECTS["azure"].lacks(to) & asked) == lacking.split()
    assert {"moderations", "images.variations"} <= DIALECTS["azure"].lacks(to)
    assert DIALECTS["azure"].takes_usage_option(to) is takes


@pytest.mark.parametrize(
    ("dialect", "url", "version", "secret"),
    [
        ("azure", f"{ENDPOINT}/openai/v1", "2024-10-21", "k"),
        ("azure", ENDPOINT, "2024-10-21", "k"),
        ("azure", f"{ENDPOINT}/openai/v1", "soon", "k"),
        ("azure", f"{ENDPOINT}/openai/v1", "2024-10-21&x=1", "k"),
        ("azure", f"{ENDPOINT}/openai/v1", "", "k\r\nx-injected: 1"),
        # Some servers take either alone for the end of a line.
        ("azure", f"{ENDPOINT}/openai/v1", "", "k\nx-injected: 1"),
        ("azure", f"{ENDPOINT}/openai/v1", "", "k\rx-injected: 1"),
        ("openai", "https://user:pass@api.openai.com/v1", "", "k"),
        ("openai", "https://:pass@api.openai.com/v1", "", "k"),
        ("openai", "https://api.openai.com/v1?x=1", "", "k"),
        ("openai", "ftp://api.openai.com/v1", "", "k"),
    ],
)
def test_what_cannot_be_addressed(dialect: str, url: str, version: str, secret: str) -> None:
    to = target(dialect, url, "m", settings={"api_version": version} if version else {})
    with pytest.raises(ValueError, match=r".+"):
        DIALECTS[dialect].head_writer(to, Credential(kind="api-key", secret=secret))


@pytest.mark.parametrize(
    ("dialect", "url", "kind"),
    [
        ("openai", "https://h/v1", "sigv4"),
        ("azure", "https://h/openai/v1", "none"),
        ("bedrock", "https://bedrock-mantle.us-east-1.api.aws/v1", "api-key"),
        ("vertex", "https://aiplatform.googleapis.com/v1/projects/p/locations/global/endpoints/openapi", "api-key"),
        ("oci", "https://h/openai/v1", "sigv4"),
    ],
)
def test_a_kind_of_credential_that_a_cloud_does_not_take(dialect: str, url: str, kind: str) -> None:
    with pytest.raises(KeyError, match=kind):
        DIALECTS[dialect].head_writer(target(dialect, url, "m"), Credential(kind=kind, secret="s"))


def test_a_server_without_keys() -> None:
    to = target("openai", "http://127.0.0.1:8000/v1", "m")
    sent = Sent()
    client = openai.OpenAI(api_key="unused", http_client=sent.client, max_retries=0)
    theirs = sent.by(client, "chat", "m")
    ours = made(to, Credential(kind="none", secret=""), call_for("chat", theirs), theirs.content)
    assert "authorization" not in ours.headers
    assert ours.headers["host"] == "127.0.0.1:8000"


def test_a_credential_does_not_show_its_secret() -> None:
    hidden: dict[str, Any] = {"secret": "s3cret", "access_key": "AKID", "session_token": "t0ken"}
    settings = {"pass_phrase": "correct horse"}
    shown = f"{Credential(kind='sigv4', **hidden)!r} {Auth(kind='sigv4', settings=settings, **hidden)!r}"
    assert not any(secret in shown for secret in (*hidden.values(), *settings.values()))
