"""Libraries of agents, unmodified, against one gateway: LangChain, pydantic-ai, the Agents SDK, `llm`,
LlamaIndex, and the JDK's HTTP client. Python's are pinned by hash in `clients/*.txt` and installed into the cache: they
want other libraries, and other versions of ours."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from endpoints_rig import EMBEDDING, Endpoints, endpoints
from gateway_rig import MODEL, SECRET

from client_packages import CLIENTS, PYTHON, lock_of, python_packages, unavailable

RUN_S = 300.0
FAMILIES = {
    "frameworks": [
        "LangChain's chat",
        "LangChain's Azure class",
        "LangChain's embeddings",
        "pydantic-ai",
        "the Agents SDK with a session",
        "llm",
    ],
    "llamaindex": ["LlamaIndex"],
}


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    with endpoints(tmp_path_factory.mktemp("gateway"), attempt_timeout_s=30.0) as running:
        yield running


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def outcomes(clouds: Endpoints, family: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the fault of each check; nothing, if all is well."""
    folder = python_packages(family)
    quiet = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "LANGSMITH_TRACING": "false", "TIKTOKEN_CACHE_DIR": str(folder)}
    environment = {**os.environ, **quiet, "PYTHONPATH": str(folder), "PYTHONNOUSERSITE": "1"}
    models = json.dumps({"chat": MODEL, "embedding": EMBEDDING})
    command = [PYTHON, str(CLIENTS / f"{family}.py"), clouds.rig.url, SECRET, models]
    where = tmp_path_factory.mktemp(family)
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=RUN_S)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    faults = {line["name"]: line["wrong"] for line in lines}
    return faults if faults else {"": done.stderr[-1500:]}


def test_every_check_is_well(outcomes: dict[str, str], family: str) -> None:
    assert outcomes == dict.fromkeys(FAMILIES[family], "")


def test_the_jdks_client(clouds: Endpoints, tmp_path: Path) -> None:
    """It wishes for HTTP/2 in the clear (`Upgrade: h2c`) beside its body."""
    java = shutil.which("java")
    if java is None:
        unavailable("there is no Java Development Kit on this machine")
    command = [str(java), str(CLIENTS / "Client.java"), clouds.rig.url, SECRET, MODEL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_S)
    assert "the JDK's client" in done.stdout, done.stderr


def test_the_locks_pin_by_hash_and_name_no_registry() -> None:
    for family in FAMILIES:
        text = lock_of(family).read_text()
        assert text.count("==") <= text.count("--hash=")
        assert "://" not in text
