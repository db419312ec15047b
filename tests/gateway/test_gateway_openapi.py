"""The gateway's OpenAPI document: valid, kept in the documents, and of the paths that answer, no more and no fewer."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, Rig
from openapi_spec_validator import validate

from clauseway.gateway.answers import project_usage
from clauseway.gateway.connections import router
from clauseway.gateway.wire.openapi import gateway_document
from clauseway.gateway.wire.operations import OPERATIONS, UnknownPath, request_line_of

KEPT = Path(__file__).parents[2] / "docs/openapi/gateway.json"
DOCUMENT = gateway_document(version("clauseway"))
METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH")
LISTED = [
    (method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item if method != "parameters"
]
OWN = [path for _, path in LISTED if re.search(r"/clauseway/|/models|/\w+z$", path)]
ROOTS = ("/v1", "/openai/v1", "/openai", "/anthropic/v1", "/openai/deployments/m", "/anthropic", "", "/v2")


def filled(path: str) -> str:
    known = {"request_id": "req_" + "0" * 32, "model": "gpt-5.4"}
    return path.format(**(dict.fromkeys(re.findall(r"{(\w+)}", path), "id_1") | known))


def listed_for(path: str) -> set[str]:
    """The methods with which a path is listed; a fixed path goes before one with identifiers."""
    templates = sorted(DOCUMENT["paths"], key=lambda template: template.count("{"))
    for template in templates:
        if re.fullmatch(re.sub(r"{\w+}", "[A-Za-z0-9._-]+", template), path):
            return {method.upper() for method in DOCUMENT["paths"][template] if method != "parameters"}
    return set()


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_each_operation_has_an_identifier_of_its_own() -> None:
    """Generators of clients name functions by it."""
    described = [
        operation for path in DOCUMENT["paths"].values() for verb, operation in path.items() if verb != "parameters"
    ]
    identifiers = [operation["operationId"] for operation in described]
    assert len(set(identifiers)) == len(described)
    assert {"chat", "chat.openai", "chat.openai_v1", "chat.openai_deployments", "messages.anthropic_v1"} <= {
        *identifiers
    }
    assert {"models.list", "models.list.unversioned", "models.list.anthropic_v1"} <= {*identifiers}


def test_the_kept_document_is_the_one_that_is_made() -> None:
    assert json.loads(KEPT.read_text()) == json.loads(json.dumps(DOCUMENT)), "write it again: make openapi"


@pytest.mark.parametrize("root", ROOTS)
def test_each_operation_that_answers_is_listed_and_no_other(root: str) -> None:
    for path in {operation.path for operation in OPERATIONS}:
        asked = root + path.replace(b"%b", b"id_1").decode()
        if re.search("/models", asked):
            continue
        answering = set()
        for method in METHODS:
            try:
                request_line_of(method.encode(), asked.encode())
            except UnknownPath:
                continue
            answering.add(method)
        assert listed_for(asked) == answering, asked


def test_each_path_of_the_gateways_own_is_listed_and_no_other() -> None:
    keyed = [pattern for pattern, _ in router._KEYED]
    fixed = [path.decode() for path, _ in router._OPEN] + [project_usage.PATH.decode()]
    for path in OWN:
        asked = filled(path)
        assert asked in fixed or any(pattern.fullmatch(asked.encode()) for pattern in keyed), path
    assert set(fixed) <= set(OWN)
    for pattern in keyed:
        assert any(pattern.fullmatch(filled(path).encode()) for path in OWN), pattern
    roots = {path.partition("/models")[0] for path in OWN if "/models" in path}
    assert roots == {"", "/v1", "/openai", "/openai/v1", "/anthropic", "/anthropic/v1"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start()
        yield started


def test_a_running_gateway_knows_each_path_and_refuses_as_it_is_listed(rig: Rig) -> None:
    codes = DOCUMENT["components"]["responses"]["Refused"]["x-codes"]
    with httpx.Client(base_url=rig.url, headers=AUTHORIZED, timeout=PATIENCE_S) as client:
        for method, path in LISTED:
            answer = client.request(method, filled(path), content=b"" if method == "GET" else b"{")
            error: dict[str, Any] = answer.json().get("error", {}) if answer.status_code >= 400 else {}
            assert error.get("code") not in ("unknown_url", "method_not_allowed"), (method, path)
            assert not error or error["code"] in codes[str(answer.status_code)], (method, path, error)


def test_what_is_not_offered_is_told_to_be_so(rig: Rig) -> None:
    with httpx.Client(base_url=rig.url, headers=AUTHORIZED, timeout=PATIENCE_S) as client:
        for name in DOCUMENT["x-not-offered"]:
            method, _, path = name.rpartition(" ")
            assert client.request(method or "GET", f"/v1{path}").status_code == 501, name
        for path in DOCUMENT["x-not-offered-to-clients-of-anthropic"]:
            assert client.get(f"/anthropic/v1{path}").status_code == 501, path
