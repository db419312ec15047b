"""Schemathesis, which knows nothing of us but the OpenAPI documents, asks a running gateway and running pages."""

import os
import subprocess
from pathlib import Path

import pytest
from gateway_rig import SECRET, Connection, Received, Rig, well

import settled_book
from clauseway.app.opening.several import open_agreements
from clauseway.app.running.pages_process import HomePages
from clauseway.gateway.plan.clock import system_clock
from clauseway.web.pages import create_app
from client_packages import CLIENTS, PYTHON, python_packages
from served_pages import serving
from soak import examples

DOCUMENTS = Path(__file__).parents[2] / "docs/openapi"
FAMILY = "schemathesis"
RUN_S = 900.0  # an upper bound for a busy machine: a run takes one or two minutes of its own
CHECKS = (
    "no_failure_of_ours",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "allow_header_conformance",
    "missing_required_header",
)
# Whoever may ask is said in the gateway's document alone: the pages of a rig without people are open.
OF_GATEWAY = ("ignored_auth",)

pytestmark = pytest.mark.slow


def judge(document: str, url: str, where: Path, *checks: str, headers: tuple[str, ...] = ()) -> None:
    """Fail with what schemathesis prints, if it has an objection to the answers."""
    command = [PYTHON, "-m", "schemathesis.cli", "run", str(DOCUMENTS / document), "--url", url, "--no-color"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", str(examples(3)), "--seed", "1"]
    command += ["--continue-on-failure", "--request-timeout", "60", "--suppress-health-check", "all"]
    # A deployment's name that is too long makes another path, which nobody knows to be of messages.
    command += ["--exclude-path", "/openai/deployments/{model}/messages"]
    command += ["--checks", ",".join((*CHECKS, *checks)), "--warnings", "off"]
    command += [word for header in headers for word in ("--header", header)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(python_packages(FAMILY)), str(CLIENTS))),
        "SCHEMATHESIS_HOOKS": "schemathesis_checks",
    }
    done = subprocess.run(
        command, cwd=where, env=environment, capture_output=True, text=True, timeout=RUN_S * examples(1)
    )
    assert "Test cases:" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout


REFUSAL = b'{"error":{"message":"no request","type":"invalid_request_error","param":null,"code":null}}'


async def answers_requests_alone(connection: Connection, request: Received) -> None:
    """Refuse what is no request, as a cloud does, and answer the rest."""
    try:
        is_request = isinstance(request.json, dict)
    except ValueError:
        is_request = False
    if is_request:
        await well(connection, request)
    else:
        connection.answer(400, REFUSAL, ())


def test_the_gateway_answers_as_its_document_says(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.cloud("azure", answers_requests_alone)
        rig.cloud("openai-own", answers_requests_alone)
        rig.start()
        judge("gateway.json", rig.url, tmp_path, *OF_GATEWAY, headers=(f"Authorization: Bearer {SECRET}",))


def test_the_pages_answer_as_their_document_says(tmp_path: Path) -> None:
    home = settled_book.make(tmp_path / "home")
    pages = HomePages(home, open_agreements([]), system_clock, "http://127.0.0.1/v1")
    with serving(create_app(pages)) as url:
        judge("pages.json", url, tmp_path)
