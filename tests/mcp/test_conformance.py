"""The protocol's own conformance package asks the server of the tools: the scenarios about what it offers."""

import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from clauseway.app.opening.home import Home
from clauseway.mcp.server import server_of
from clauseway.mcp.tools import Asked
from client_packages import RUN_S, node_and_npm, node_packages

PACKAGES = Path(__file__).with_name("node")
# A scenario about what is offered · how many checks it makes
OFFERED = {"server-initialize": 1, "ping": 1, "tools-list": 1, "dns-rebinding-protection": 2}
# How the names of the others begin: they ask for tools of the package's own, or for what is not offered.
NOT_OFFERED = (
    "completion",
    "elicitation",
    "json-schema",
    "logging",
    "prompts",
    "resources",
    "server-sse",
    "tools-call",
)


def conformance(*words: str, where: Path) -> subprocess.CompletedProcess[str]:
    """Run the package's command, which leaves its results in a folder."""
    node, _ = node_and_npm()
    program = node_packages(PACKAGES) / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
    command = [node, str(program), *words]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=RUN_S, check=False)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server over HTTP, because the package speaks to no other."""
    app = server_of(Asked(Home(tmp_path_factory.mktemp("home")), ())).streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    # Whoever connects before the server accepts waits in the socket's queue.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("scenario", OFFERED)
def test_a_scenario_about_what_is_offered_passes(scenario: str, address: str, tmp_path: Path) -> None:
    done = conformance("server", "--url", address, "--scenario", scenario, where=tmp_path)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    checks = re.search(r"Passed: (\d+)/(\d+), (\d+) failed, (\d+) warnings", output)
    assert checks is not None, output
    assert checks.groups() == (str(OFFERED[scenario]), str(OFFERED[scenario]), "0", "0"), output


def test_each_scenario_is_asked_or_is_about_something_else(tmp_path: Path) -> None:
    listed = conformance("list", "--server", where=tmp_path).stdout
    scenarios = re.findall(r"^  - ([\w-]+)", listed.partition("Client scenarios")[0], re.MULTILINE)
    assert len(scenarios) > 20
    assert {name for name in scenarios if not name.startswith(NOT_OFFERED)} == OFFERED.keys()
