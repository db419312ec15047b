"""openai-node, unmodified, against the gateway. Its packages are pinned in `node/package-lock.json`, which names no
registry: npm takes them from the one that it is configured for, into a cache outside the tree.
"""

import json

import pytest
from endpoints_rig import EMBEDDING, IMAGE, SPEECH, TRANSCRIBE, endpoints, targets
from gateway_rig import MODEL, SECRET

from clauseway.gateway.plan import Epoch, Route
from client_packages import NODE, run_node

CHECKS = [
    "chat",
    "chat streamed",
    "chat through the stream helper",
    "structured output",
    "tools",
    "Azure's class",
    "responses",
    "responses streamed, parsed, polled",
    "embeddings, images, audio, moderations",
    "files and batches",
    "models",
    "errors",
    "its retries do not multiply ours",
]
FAILING = "gpt-5.4-mini"


def test_the_lock_pins_and_names_no_registry() -> None:
    packages = json.loads((NODE / "package-lock.json").read_text())["packages"]
    asked = json.loads((NODE / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in asked} == asked
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the fault of each check; nothing, if all is well."""
    with endpoints(tmp_path_factory.mktemp("gateway")) as clouds:
        rig = clouds.rig
        # A model both of whose deployments are where nobody listens.
        nowhere = [rig.target(cloud, rig.closed_port, FAILING) for cloud in ("openai", "azure")]
        known = targets(clouds.ports)
        models = {"chat": MODEL, "embedding": EMBEDDING, "image": IMAGE, "speech": SPEECH, "transcription": TRANSCRIBE}
        products = {target.label.model: target.label.product for target in known if target.label.cloud == "openai"}
        everything = [*known, *nowhere]
        routes = {
            f"openai|{product}|direct": Route(
                candidates=tuple((at, 0) for at, target in enumerate(known) if target.label.product == product)
            )
            for product in products.values()
        }
        routes["openai|failing|direct"] = Route(candidates=((len(known), 0), (len(known) + 1, 0)))
        rig.kill()
        rig.start(
            rig.plan(everything, models={**products, FAILING: "failing"}, epochs=(Epoch(begin_ns=0, routes=routes),))
        )
        arguments = [clouds.rig.url, SECRET, json.dumps({**models, "failing": FAILING})]
        return run_node(NODE / "client.mjs", arguments, tmp_path_factory.mktemp("node"))


@pytest.mark.parametrize("check", CHECKS)
def test_openai_node(outcomes: dict[str, str], check: str) -> None:
    assert outcomes.get(check, outcomes.get("node", "it did not run")) == ""


def test_every_check_was_looked_at(outcomes: dict[str, str]) -> None:
    assert list(outcomes) == CHECKS
