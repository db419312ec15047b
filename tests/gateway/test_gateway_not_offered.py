"""Every path of OpenAI's client and of Anthropic's is offered, or stands in the table of those that are not, with its
reason."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, SECRET, Rig, chat_body, compact

from awaiting import eventually
from clauseway.gateway.plan.settings import Settings, flaw_of_header
from clauseway.gateway.wire.not_offered import NOT_OFFERED, NOT_OFFERED_AS_MESSAGES, reason_against
from clauseway.gateway.wire.operations import UnknownPath, request_line_of

CALL = re.compile(r'self\._(?:get|post|delete|put|patch|get_api_list)\(\s*(?:path_template\(\s*)?f?"([^"?]+)')


def paths_of(client: Any) -> list[str]:
    """The paths that a vendor's client asks for, below `/v1`."""
    resources = Path(client.__file__).parent / "resources"
    written = {path for file in resources.rglob("*.py") for path in CALL.findall(file.read_text())}
    return sorted({path.removeprefix("/v1") for path in written})


PATHS = paths_of(openai)
# One of these is of a later version than the one that is locked.
PATHS_OF_ANTHROPIC = sorted({*paths_of(anthropic), "/compliance/review/cases"})
# Answered by the gateway itself.
OWN = ("/models", "/models/{model}", "/models/{model_id}")


def is_offered(path: str) -> bool:
    url = b"/v1" + re.sub(r"\{\w+\}", "x_1", path).encode()
    try:
        request_line_of(b"GET", url)
    except UnknownPath as unknown:
        return bool(unknown.methods)
    return True


def test_the_clients_paths_are_found() -> None:
    assert len(PATHS) > 200
    assert len(PATHS_OF_ANTHROPIC) > 100


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_the_client_is_offered_or_has_a_reason(path: str) -> None:
    reason = reason_against("/v1" + re.sub(r"\{\w+\}", "x_1", path))
    assert (is_offered(path) or path in OWN) is not bool(reason), "one of both"


@pytest.mark.parametrize("path", PATHS_OF_ANTHROPIC)
@pytest.mark.parametrize("root", ["/v1", "/anthropic/v1"])
def test_a_path_of_anthropics_client_is_offered_or_has_a_reason(root: str, path: str) -> None:
    reason = reason_against(root + re.sub(r"\{\w+\}", "x_1", path), as_messages=True)
    assert (path in (*OWN, "/messages", "/messages/count_tokens")) is not bool(reason), "one of both"


def table_in(text: str) -> dict[str, str]:
    rows = re.findall(r"^\| (`/.*`) \| (.*) \|$", text, re.MULTILINE)
    return {path: reason for paths, reason in rows for path in re.findall("`(.*?)`", paths)}


def test_the_page_and_the_table_say_the_same() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
    _, _, section = page.partition("\n## What is not offered\n")
    of_openai, _, of_anthropic = section.partition("\n## ")[0].partition("path of Anthropic's API")
    assert table_in(of_openai) == dict(NOT_OFFERED)
    assert table_in(of_anthropic) == dict(NOT_OFFERED_AS_MESSAGES)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start(started.plan(settings=Settings(passed_headers=("Idempotency-Key",))))
        yield started


@pytest.mark.parametrize("root", ["/v1", "/openai/v1", "/openai"])
def test_a_client_hears_why_and_a_typing_mistake_is_one(rig: Rig, root: str) -> None:
    answer = httpx.post(f"{rig.url}{root}/vector_stores/vs_1/search", json={}, headers=AUTHORIZED)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (501, "not_offered")
    assert error["message"] == (
        f"{root}/vector_stores/vs_1/search is not offered here: {NOT_OFFERED['/vector_stores']}."
    )
    assert answer.headers["x-should-retry"] == "false"
    deleted = httpx.delete(f"{rig.url}{root}/models/gpt-5.4", headers=AUTHORIZED)
    assert (deleted.status_code, deleted.json()["error"]["code"]) == (501, "not_offered")
    mistaken = httpx.post(f"{rig.url}{root}/vector_store", json={}, headers=AUTHORIZED)
    assert (mistaken.status_code, mistaken.json()["error"]["code"]) == (404, "unknown_url")


SOURCE = {
    "type": "azure_search",
    "parameters": {"index_name": "contracts", "authentication": {"type": "system_assigned_managed_identity"}},
}


@pytest.mark.parametrize("name", ["data_sources", "data\\u005fsources"])
def test_no_source_is_read_with_the_operators_identity(rig: Rig, name: str) -> None:
    before = len(rig.clouds["azure"].requests)
    body = chat_body(data_sources=[SOURCE]).replace(b"data_sources", name.encode())
    answer = httpx.post(f"{rig.url}/v1/chat/completions", content=body, headers=AUTHORIZED, timeout=PATIENCE_S)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "not_offered", "data_sources")
    assert len(rig.clouds["azure"].requests) == before
    assert rig.post(data_sources=None).status_code == 200


def test_no_picture_is_read_from_a_store_of_the_clouds_own(rig: Rig) -> None:
    before = len(rig.clouds["azure"].requests)
    content = [{"type": "image_url", "image_url": {"url": "gs://deeds/1.png"}}]
    answer = rig.post(messages=[{"role": "user", "content": content}])
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "not_offered", "messages")
    assert "'gs://deeds/1.png' is a cloud's own store" in error["message"]
    assert len(rig.clouds["azure"].requests) == before


FILE = ("clause.txt", b"Nobody may.", "text/plain")
ASKED_FILES: list[tuple[str, Any]] = [
    ("files", lambda its: its.files.upload(file=FILE)),
    ("files", lambda its: its.beta.files.upload(file=FILE)),
    ("files", lambda its: list(its.files.list())),
    ("files", lambda its: list(its.beta.files.list())),
    ("files/file_1", lambda its: its.files.retrieve_metadata("file_1")),
    ("files/file_1", lambda its: its.beta.files.retrieve_metadata("file_1")),
    ("files/file_1", lambda its: its.files.delete("file_1")),
    ("files/file_1/content", lambda its: its.files.download("file_1")),
    ("messages/batches", lambda its: its.messages.batches.create(requests=[])),
    ("messages/batches/b_1", lambda its: its.messages.batches.retrieve("b_1")),
    ("models/gpt-5.4", lambda its: its.delete("/v1/models/gpt-5.4", cast_to=httpx.Response)),
]


@pytest.mark.parametrize(("path", "ask"), ASKED_FILES)
@pytest.mark.parametrize("root", ["", "/anthropic"])
def test_anthropics_client_hears_why_in_its_own_shape(rig: Rig, root: str, path: str, ask: Any) -> None:
    """And a file of its is not put where OpenAI's files lie."""
    before = len(rig.clouds["azure"].requests)
    its = anthropic.Anthropic(base_url=rig.url + root, api_key=SECRET, timeout=PATIENCE_S)
    with pytest.raises(anthropic.APIStatusError, match=f"/v1/{path} is not offered here") as refused:
        ask(its)
    body: Any = refused.value.body
    assert (refused.value.status_code, body["type"], body["error"]["code"]) == (501, "error", "not_offered")
    assert body["error"]["type"] == "api_error"
    assert len(rig.clouds["azure"].requests) == before


def test_a_large_file_of_anthropics_is_refused_before_it_is_sent(rig: Rig) -> None:
    with rig.socket() as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nhost: g\r\nx-api-key: "
            + SECRET.encode()
            + b"\r\nanthropic-version: 2026-10-21\r\nexpect: 100-continue\r\ncontent-length: 5000000\r\n\r\n"
        )
        assert connection.recv(12) == b"HTTP/1.1 501"


def test_who_lists_files_without_that_version_gets_openais(rig: Rig) -> None:
    assert httpx.get(f"{rig.url}/v1/files", headers=AUTHORIZED).json()["object"] == "list"


# -- headers that pass


def test_headers_that_a_setting_names_pass_and_others_do_not(rig: Rig) -> None:
    sent = AUTHORIZED | {"idempotency-key": "k-1", "cookie": "c=1", "x-other": "1", "openai-beta": "b"}
    answer = httpx.post(f"{rig.url}/v1/chat/completions", content=chat_body(), headers=sent)
    assert answer.status_code == 200
    received = rig.clouds["azure"].requests[-1]
    assert received.header("idempotency-key") == "k-1"
    assert received.header("openai-beta") == "b"
    assert (received.header("cookie"), received.header("x-other")) == (None, None)


def test_the_list_comes_with_a_plan(rig: Rig) -> None:
    """From the next connection on."""
    rig.write_plan(rig.plan(settings=Settings(passed_headers=("x-other",))))
    question = compact({"model": "gpt-5.4", "messages": []})

    def passes() -> bool:
        httpx.post(f"{rig.url}/v1/chat/completions", content=question, headers=AUTHORIZED | {"x-other": "1"})
        return rig.clouds["azure"].requests[-1].header("x-other") == "1"

    eventually(passes)


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Api-Key",
        "cookie",
        "Host",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "openai-organization",
        "OpenAI-Project",
        "x-amz-date",
        "Date",
        "x-content-sha256",
        "ocp-apim-subscription-key",
        "X-HTTP-Method-Override",
        "range",
        "if-none-match",
        "x-goog-user-project",
        "x-clauseway-cloud",
        "",
        "a b",
        "a:b",
    ],
)
def test_what_is_the_gateways_to_say_cannot_be_passed(name: str) -> None:
    assert flaw_of_header(name)


@pytest.mark.parametrize("name", ["idempotency-key", "OpenAI-Safety-Identifier", "x-request-tag", "baggage"])
def test_other_headers_can(name: str) -> None:
    assert flaw_of_header(name) == ""


@pytest.mark.parametrize("root", ["/v1", "/openai/v1"])
def test_a_models_name_in_a_path_may_be_encoded(rig: Rig, root: str) -> None:
    for written in ("gpt-5.4", "gpt%2D5.4", "gpt-5%2e4"):
        answer = httpx.get(f"{rig.url}{root}/models/{written}", headers=AUTHORIZED)
        assert (answer.status_code, answer.json()["id"]) == (200, "gpt-5.4"), written
    for written in ("%2e%2e", "%2Fgpt-5.4", "..%2Fmodels%2Fgpt-5.4", "gpt-5.4%00", "gpt%252D5.4", "%FF", "%zz"):
        answer = httpx.get(f"{rig.url}{root}/models/{written}", headers=AUTHORIZED)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found"), written
