"""The curl command that a person pastes: it sends the key and shows it to nobody else."""

import html
import json
import re
import shlex
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import msgspec
import pytest

from clauseway.app.opening.configuration import AuthWritten, DeploymentWritten
from clauseway.app.opening.home import Home, home_at
from clauseway.app.running.snippets import Sample, curl_snippet, key_command, python_snippet, sample_of
from deployments import deployment
from in_process import CLAUSEWAY, run
from needed import NEEDS_CURL

KEY = "cw-a-secret"
SAMPLE = Sample(model="gpt-5.5", cloud="aws")


def on(cloud: str, *models: str) -> DeploymentWritten:
    """A deployment of models on a cloud."""
    return DeploymentWritten(
        name=cloud,
        dialect="openai",
        url="http://127.0.0.1/v1",
        cloud=cloud,
        seller="vendor",
        region="global",
        auth=AuthWritten(kind="bearer"),
        models={model: model for model in models},
    )


def test_the_key_that_is_made_for_a_sample_buys_what_it_asks_for() -> None:
    """A key buys from one seller: a cloud of another's is not asked for."""
    resold = msgspec.structs.replace(on("aws", "gpt-5.5"), seller="reseller")
    sample = sample_of((on("azure", "gpt-5.5"), resold))
    assert (sample.cloud, sample.seller) == ("", "vendor")
    made = key_command(sample, home_at(None), None)
    assert made == "clauseway key create --organisation ours --seller vendor"


def test_the_command_that_makes_a_key_names_the_home_and_the_agreement(tmp_path: Path) -> None:
    """Pasted beside a gateway of another home, it made a key that this gateway does not know."""
    home, text = tmp_path / "a home", tmp_path / "our text"
    made = key_command(SAMPLE, Home(home), text)
    assert shlex.split(made)[-4:] == ["--agreement", str(text), "--home", str(home)]


def test_serve_and_its_pages_show_a_command_that_makes_a_key_for_it(tmp_path: Path) -> None:
    home, text, file = tmp_path / "a home", tmp_path / "our text", tmp_path / "clouds.toml"
    assert run("agreement", "new", str(text)).returncode == 0
    file.write_text(
        deployment(cloud="vendor-cloud", models='{assistant = "assistant"}').replace(
            'seller = "openai"', 'seller = "vendor"'
        )
    )
    book = tmp_path / "book.csv"
    book.write_text(
        "product,cloud,seller,region,unit,begin,end,known_at,usd_per_million,source\n"
        "assistant,,,,input_tokens,2026-01-01,,2026-01-01,2,ours\n"
        "assistant,,,,output_tokens,2026-01-01,,2026-01-01,10,ours\n"
    )
    named = ("--config", file, "--agreement", text, "--home", home, "--prices", book)
    words = (*named, "--port", "0", "--pages-port", "0")
    with subprocess.Popen([CLAUSEWAY, "serve", *words], stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stdout is not None
            [pages] = re.findall(r"pages (\S+)", serving.stdout.readline())
            [make_key] = next(re.findall(r"^Make a key: (.*)", line) for line in serving.stdout if "Make a key" in line)
            for page in (pages, f"{pages}engineer"):
                assert html.escape(make_key) in httpx.get(page).text.replace("&#39;", "&#x27;")
        finally:
            serving.terminate()
    assert run(*shlex.split(make_key)[1:], cwd=tmp_path).returncode == 0
    assert (home / "control.db").exists()
    assert not (tmp_path / ".clauseway").exists()


# deployments | model, cloud of the request that is shown
SAMPLES = [
    ((), "MODEL", ""),
    ((on("nova", "assistant"),), "assistant", ""),
    ((on("azure", "gpt-5.5"), on("azure", "gpt-5.5"), on("aws", "gpt-5.5")), "gpt-5.5", "aws"),
    ((on("azure", "gpt-5.5"), on("aws", "claude")), "gpt-5.5", ""),
]


@pytest.mark.parametrize(("deployments", "model", "cloud"), SAMPLES)
def test_a_snippet_asks_for_a_model_that_is_deployed(
    deployments: tuple[DeploymentWritten, ...], model: str, cloud: str
) -> None:
    sample = sample_of(deployments)
    assert (sample.model, sample.cloud) == (model, cloud)
    command = curl_snippet("http://gateway/v1", sample, KEY)
    assert ("x-clauseway-cloud" in command) == bool(cloud)
    assert json.dumps(model) in command
    assert json.dumps(model) in python_snippet("http://gateway/v1", sample, KEY)


class Recorder(HTTPServer):
    """A server that keeps the one request it answers."""

    request_line = ""
    authorization = ""
    body: object = None


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Recorder)
        server.request_line = self.requestline
        server.authorization = self.headers["authorization"]
        server.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@NEEDS_CURL
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_command_works_as_pasted_in_any_shell(shell: str) -> None:
    with Recorder(("127.0.0.1", 0), _Handler) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        command = curl_snippet(f"http://127.0.0.1:{server.server_port}/v1", SAMPLE, KEY)
        subprocess.run([shell, "-c", command], check=True, capture_output=True, timeout=60)
        answering.join(60)
    assert server.request_line == "POST /v1/chat/completions HTTP/1.1"
    assert server.authorization == f"Bearer {KEY}"
    assert isinstance(server.body, dict)
    assert server.body["model"] == "gpt-5.5"


def test_the_key_is_no_argument() -> None:
    """Arguments are in the list of processes; the lines after <<'KEY' are curl's standard input."""
    arguments, heard = re.split(r"<<'KEY'\n", curl_snippet("http://gateway/v1", SAMPLE, KEY))
    assert KEY not in arguments
    assert heard == f"Authorization: Bearer {KEY}\nKEY"
