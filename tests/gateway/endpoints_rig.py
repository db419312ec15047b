"""The simulated clouds and one gateway before them, for tests with real clients and every endpoint."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import forked_programs
import httpx
import openai
from gateway_rig import MODEL, PATIENCE_S, PRODUCT, SECRET, Rig, key

from clauseway.gateway.plan import Auth, Epoch, Key, Plan, Prices, Route, Target
from clauseway.metering import Deployment, Unit
from clauseway.sandbox.signatures import credentials

RIVAL_SECRET = "sk-test-rival"
EMBEDDING, SPEECH, TRANSCRIBE, IMAGE = "text-embedding-3-small", "gpt-4o-mini-tts", "gpt-4o-transcribe", "gpt-image-1"
LEGACY = "gpt-3.5-turbo-instruct"
MODELS = (MODEL, EMBEDDING, SPEECH, TRANSCRIBE, IMAGE, "whisper-1", "omni-moderation-latest", LEGACY)
CLOUDS = ("openai", "azure")
STORE = "vs_deeds"  # on OpenAI's account, for the first project alone
# Prices of models that are not sold by the token.
PRICES = {"whisper-1": (Prices(begin_ns=0, end_ns=1 << 62, units={int(Unit.AUDIO_INPUT_MILLISECONDS): 100_000}),)}


class Endpoints:
    """A gateway before the simulated clouds. `second`: the other cloud stands behind the first for every model."""

    def __init__(self, rig: Rig, ports: dict[str, int]) -> None:
        self.rig = rig
        self.ports = ports

    @property
    def base_url(self) -> str:
        return f"{self.rig.url}/v1"

    def client(self, secret: str = SECRET, **options: Any) -> Any:
        """OpenAI's; untyped, because its overloads name every model that it knows."""
        return openai.OpenAI(
            **{"base_url": self.base_url, "api_key": secret, "max_retries": 0, "timeout": PATIENCE_S, **options}
        )

    def get(self, path: str, secret: str = SECRET) -> httpx.Response:
        return httpx.get(self.rig.url + path, headers={"authorization": f"Bearer {secret}"}, timeout=PATIENCE_S)

    def fault(self, cloud: str, **rule: object) -> None:
        assert httpx.post(f"http://127.0.0.1:{self.ports[cloud]}/sandbox/faults", json=rule).status_code == 200

    def clear_faults(self) -> None:
        for cloud in self.ports:
            httpx.delete(f"http://127.0.0.1:{self.ports[cloud]}/sandbox/faults")

    def asked(self, cloud: str) -> list[dict[str, Any]]:
        """Return the requests that a cloud got, in order."""
        seen = httpx.get(f"http://127.0.0.1:{self.ports[cloud]}/sandbox/attempts").json()
        return [attempt for attempt in seen if attempt["cloud"] == cloud]

    def forget_asked(self) -> None:
        httpx.delete(f"http://127.0.0.1:{next(iter(self.ports.values()))}/sandbox/attempts")


def targets(ports: dict[str, int]) -> list[Target]:
    """OpenAI, images apart and every other model on one deployment; behind it Azure with the chat and legacy models."""
    openai_url = f"http://127.0.0.1:{ports['openai']}/v1"
    openai_auth = Auth(kind="bearer", secret=credentials.OPENAI_API_KEY)
    results = [
        target("openai-images" if model == IMAGE else "openai", "openai", model, openai_url, openai_auth)
        for model in MODELS
    ]
    azure_auth = Auth(kind="api-key", secret=credentials.AZURE_API_KEY)
    azure_url = f"http://127.0.0.1:{ports['azure']}/openai/v1"
    azure = [target("azure-chat", "azure", model, azure_url, azure_auth) for model in ("gpt-5-4", LEGACY)]
    return [*results, *azure]


def target(name: str, cloud: str, model: str, url: str, auth: Auth) -> Target:
    product = PRODUCT if model in (MODEL, "gpt-5-4") else f"product.{model}"
    return Target(
        label=Deployment(name, cloud, "openai", "eastus", product, model),
        dialect=cloud,
        url=url,
        auth=auth,
        input_price=2_500_000,
        output_price=15_000_000,
        output_tokens_max=4096,
        prices=PRICES.get(model, ()),
        vector_stores={STORE: ("acme/research",)} if name == "openai" else {},
    )


def plan(rig: Rig, ports: dict[str, int], keys: Sequence[Key] = (), **changes: Any) -> Plan:
    """Every model permitted on OpenAI; chat on Azure behind it; a second project beside the first."""
    deployed = targets(ports)
    routes = {}
    for seller in ("openai", "microsoft"):
        for product in {target.label.product for target in deployed}:
            there = tuple((index, 0) for index, target in enumerate(deployed) if target.label.product == product)
            routes[f"{seller}|{product}|direct"] = Route(candidates=there)
    products = {model: PRODUCT if model == MODEL else f"product.{model}" for model in MODELS}
    rival = Key(
        digest=key(RIVAL_SECRET, "openai").digest,
        organisation="rival",
        project="theirs",
        key_id="key-rival",
        seller="openai",
        segment="direct",
    )
    return rig.plan(
        deployed,
        models=products,
        epochs=(Epoch(begin_ns=0, routes=routes),),
        keys=(key(SECRET, "openai"), rival, *keys),
        **{"attempt_timeout_s": PATIENCE_S, **changes},
    )


@contextlib.contextmanager
def sandbox_clouds(*clouds: str) -> Iterator[dict[str, int]]:
    """The simulated clouds as one process; their ports by name."""
    arguments = [word for cloud in clouds for word in (f"--{cloud}-port", "0")]
    process = forked_programs.start("clauseway.sandbox", arguments)
    try:
        yield json.loads(process.stdout.readline())["ports"]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def endpoints(home: Path, *arguments: str, launcher: Sequence[str] = (), **changes: Any) -> Iterator[Endpoints]:
    with sandbox_clouds(*CLOUDS) as ports, Rig(home) as rig:
        rig.start(plan(rig, ports, **changes), *arguments, launcher=launcher)
        yield Endpoints(rig, ports)
