"""Every path of OpenAI's client is offered, or stands in the table of those that are not, with its reason."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from gateway_rig import AUTHORIZED, Rig, chat_body, compact

from clauseway.gateway.plan.settings import Settings, flaw_of_header
from clauseway.gateway.wire.not_offered import NOT_OFFERED, reason_against
from clauseway.gateway.wire.operations import UnknownPath, asking_of

CALL = re.compile(r'self\._(?:get|post|delete|put|patch|get_api_list)\(\s*(?:path_template\(\s*)?f?"([^"?]+)')
RESOURCES = Path(openai.__file__).parent / "resources"
PATHS = sorted({path for file in RESOURCES.rglob("*.py") for path in CALL.findall(file.read_text())})
# Answered by the gateway itself.
OWN = ("/models", "/models/{model}")


def is_offered(path: str) -> bool:
    url = b"/v1" + re.sub(r"\{\w+\}", "x_1", path).encode()
    try:
        asking_of(b"GET", url)
    except UnknownPath as unknown:
        return bool(unknown.methods)
    return True


def test_the_clients_paths_are_found() -> None:
    assert len(PATHS) > 200


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_the_client_is_offered_or_has_a_reason(path: str) -> None:
    reason = reason_against("/v1" + re.sub(r"\{\w+\}", "x_1", path))
    assert (is_offered(path) or path in OWN) is not bool(reason), "one of both"


def test_the_page_and_the_table_say_the_same() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
    _, _, section = page.partition("\n## What is not offered\n")
    rows = re.findall(r"^\| (`/.*`) \| (.*) \|$", section.partition("\n## ")[0], re.MULTILINE)
    assert {path: reason for paths, reason in rows for path in re.findall("`(.*?)`", paths)} == dict(NOT_OFFERED)


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
    plan = rig.plan(settings=Settings(passed_headers=("x-other",)))
    rig.write_plan(plan)
    for _ in range(600):
        sent = AUTHORIZED | {"x-other": "1"}
        httpx.post(
            f"{rig.url}/v1/chat/completions", content=compact({"model": "gpt-5.4", "messages": []}), headers=sent
        )
        if rig.clouds["azure"].requests[-1].header("x-other"):
            break
    assert rig.clouds["azure"].requests[-1].header("x-other") == "1"


@pytest.mark.parametrize(
    "name",
    ["authorization", "Api-Key", "cookie", "Host", "content-length", "transfer-encoding", "accept-encoding",
     "openai-organization", "OpenAI-Project", "x-amz-date", "x-goog-user-project", "x-clauseway-cloud", "",
     "a b", "a:b"],
)  # fmt: skip
def test_what_is_the_gateways_to_say_cannot_be_passed(name: str) -> None:
    assert flaw_of_header(name)


@pytest.mark.parametrize("name", ["idempotency-key", "OpenAI-Safety-Identifier", "x-request-tag", "baggage"])
def test_other_headers_can(name: str) -> None:
    assert flaw_of_header(name) == ""
