"""Vercel's AI SDK, unmodified, through six models of four of its providers: OpenAI's (responses and chat), Azure's (the
same), a compatible server's, and Anthropic's."""

import json

import pytest
from endpoints_rig import EMBEDDING, IMAGE, TRANSCRIBE, sandbox_clouds, targets
from gateway_rig import MODEL, SECRET, Rig, key
from test_messages import CLAUDE, target

from clauseway.gateway.plan import Auth, Epoch, Route
from clauseway.sandbox.signatures import credentials
from client_packages import NODE, run_node

FAILING, FAILING_CLAUDE = "gpt-5.4-mini", "claude-haiku-4-5"
MODELS = [
    "OpenAI's responses",
    "OpenAI's chat",
    "Azure's responses",
    "Azure's chat",
    "a compatible server's",
    "Anthropic's",
]
EACH = ["text", "stream", "tools", "structured output", "errors", "abort"]
CHECKS = [
    *(f"{model} {check}" for model in MODELS for check in EACH),
    *(f"{whose} embeddings" for whose in ("OpenAI's", "Azure's", "a compatible server's")),
    "OpenAI's pictures and transcriptions",
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the fault of each check; nothing, if all is well."""
    with sandbox_clouds("openai", "azure", "anthropic") as ports, Rig(tmp_path_factory.mktemp("gateway")) as rig:
        claude = Auth(kind="api-key", secret=credentials.ANTHROPIC_API_KEY)
        # One product for each model; the last two lie where nobody listens.
        served = {target.label.model: target for target in targets(ports) if target.label.cloud == "openai"}
        served[CLAUDE] = target("anthropic", "anthropic", f"http://127.0.0.1:{ports['anthropic']}/v1", CLAUDE, claude)
        served[FAILING] = rig.target("openai", rig.closed_port, FAILING)
        nowhere = f"http://127.0.0.1:{rig.closed_port}/v1"
        served[FAILING_CLAUDE] = target("anthropic", "anthropic", nowhere, FAILING_CLAUDE, claude)
        routes = {f"openai|{name}|direct": Route(candidates=((at, 0),)) for at, name in enumerate(served)}
        plan = rig.plan(
            list(served.values()),
            models={name: name for name in served},
            keys=(key(SECRET, "openai"),),
            epochs=(Epoch(begin_ns=0, routes=routes),),
            attempt_timeout_s=30.0,
        )
        rig.start(plan)
        models = {
            "chat": MODEL,
            "claude": CLAUDE,
            "embedding": EMBEDDING,
            "image": IMAGE,
            "transcription": TRANSCRIBE,
            "failing": FAILING,
            "failingClaude": FAILING_CLAUDE,
        }
        arguments = [rig.url, SECRET, json.dumps(models)]
        return run_node(NODE / "ai" / "client.mjs", arguments, tmp_path_factory.mktemp("node"))


@pytest.mark.parametrize("check", CHECKS)
def test_ai_sdk(outcomes: dict[str, str], check: str) -> None:
    assert outcomes.get(check, outcomes.get("node", "it did not run")) == ""


def test_every_check_was_looked_at(outcomes: dict[str, str]) -> None:
    assert sorted(outcomes) == sorted(CHECKS)
