"""81 exchanges with Anthropic that OpenLLMetry's authors recorded, played again with the gateway between: what the
cloud receives, what the client receives and what is metered equal the recording.

They come with the source of `opentelemetry-instrumentation-anthropic` on PyPI (Apache-2.0), pinned by hash.
"""

import gzip
import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import httpx
import pytest
import yaml
from gateway_rig import PATIENCE_S, PRODUCT, SECRET, Connection, Received, Rig, key

from clauseway.gateway.plan import Epoch, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Deployment, Unit
from client_packages import python_source

FAMILY, LIBRARY = "anthropic_recordings", "opentelemetry-instrumentation-anthropic"
MESSAGES = "https://api.anthropic.com/v1/messages"
SUFFIX = "-at-this-cloud"


class Exchange(NamedTuple):
    source: str
    query: str  # beta features are asked for in it
    body: bytes
    answer_type: str
    answer: bytes

    @property
    def model(self) -> str:
        named: str = json.loads(self.body)["model"]
        return named

    @property
    def is_streamed(self) -> bool:
        return self.answer_type.startswith("text/event-stream")

    @property
    def reported(self) -> dict[Unit, int]:
        """The usage in the answer, by plain JSON: later reports of a stream prevail."""
        reports = [json.loads(self.answer)] if not self.is_streamed else _events(self.answer)
        usage: dict[str, Any] = {}
        for report in reports:
            usage |= report.get("message", report).get("usage") or {}
        read, written = (usage.get(f"cache_{name}_input_tokens") or 0 for name in ("read", "creation"))
        return {
            Unit.INPUT_TOKENS: usage["input_tokens"] + read + written,
            Unit.CACHED_INPUT_TOKENS: read,
            Unit.CACHE_WRITE_TOKENS: written,
            Unit.OUTPUT_TOKENS: usage["output_tokens"],
        }


def _events(answer: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in answer.splitlines() if line.startswith(b"data:")]


@cache
def exchanges() -> tuple[Exchange, ...]:
    """Return those of the Messages API, by the name of their file."""
    differences = []
    for file in sorted((python_source(FAMILY, LIBRARY) / "tests" / "cassettes").rglob("*.yaml")):
        for number, recorded in enumerate(yaml.safe_load(file.read_text())["interactions"]):
            asked, answered = recorded["request"], recorded["response"]
            if not asked["uri"].startswith(MESSAGES):
                continue
            content, headers = (
                answered["body"]["string"],
                {name.lower(): line for name, line in answered["headers"].items()},
            )
            answer = content.encode() if isinstance(content, str) else content
            if headers.get("content-encoding") == ["gzip"]:
                answer = gzip.decompress(answer)
            source = f"{file.parent.name}/{file.stem}/{number}"
            differences.append(
                Exchange(
                    source=source,
                    query=asked["uri"].removeprefix(MESSAGES),
                    body=asked["body"].encode(),
                    answer_type=headers["content-type"][0],
                    answer=answer,
                )
            )
    return tuple(differences)


class Player:
    """A gateway over one cloud that answers as recorded, and has its models under other names."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self._random = rig, random.Random(7)
        self.exchange = exchanges()[0]
        self.cloud = rig.cloud("anthropic", self._answer)
        models = sorted({exchange.model for exchange in exchanges()})
        products = {model: f"{PRODUCT}.{at}" for at, model in enumerate(models)}
        targets = [
            rig.target(
                "anthropic",
                self.cloud.port,
                url=f"http://127.0.0.1:{self.cloud.port}/v1",
                dialect="anthropic",
                label=Deployment("anthropic-1", "anthropic", "anthropic", "us", product, model + SUFFIX),
            )
            for model, product in products.items()
        ]
        routes = {
            f"anthropic|{product}|direct": Route(candidates=((at, 0),)) for at, product in enumerate(products.values())
        }
        plan = rig.plan(
            targets,
            models=products,
            epochs=(Epoch(begin_ns=0, routes=routes),),
            keys=(key(SECRET, "anthropic"),),
            settings=Settings(limits=Limits(retries=10_000)),
        )
        rig.start(plan)

    async def _answer(self, connection: Connection, _: Received) -> None:
        """The recorded answer; a stream in pieces that end anywhere."""
        exchange, writer = self.exchange, connection.writer
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {exchange.answer_type}\r\n"
        if not exchange.is_streamed:
            writer.write(f"{head}content-length: {len(exchange.answer)}\r\n\r\n".encode() + exchange.answer)
            return
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        cuts = sorted(self._random.sample(range(1, len(exchange.answer)), k=5))
        for begin, end in zip([0, *cuts], [*cuts, len(exchange.answer)], strict=True):
            connection.piece(exchange.answer[begin:end])
            await writer.drain()
        connection.end_stream()

    def play(self, exchange: Exchange) -> tuple[httpx.Response, bytes]:
        """Return the client's answer, and the body that the cloud received."""
        self.exchange, count = exchange, len(self.cloud.requests)
        headers = {"x-api-key": SECRET, "anthropic-version": "2023-06-01", "content-type": "application/json"}
        answer = httpx.post(
            f"{self.rig.url}/v1/messages{exchange.query}", content=exchange.body, headers=headers, timeout=PATIENCE_S
        )
        (received,) = self.cloud.requests[count:]
        return answer, received.body


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        yield Player(rig)
        assert "Traceback" not in rig.errors()


def test_every_exchange_is_as_it_was_recorded_and_metered_to_the_token(player: Player) -> None:
    assert len(exchanges()) == 81
    assert sum(exchange.is_streamed for exchange in exchanges()) == 37
    requests = {}
    for exchange in exchanges():
        answer, received = player.play(exchange)
        assert (answer.status_code, answer.content) == (200, exchange.answer), exchange.source
        named = f'"{exchange.model}"'.encode()
        assert received == exchange.body.replace(named, named[:-1] + f'{SUFFIX}"'.encode(), 1), exchange.source
        requests[answer.headers["x-clauseway-request-id"]] = exchange
    metered = {str(record.request): dict(record.units) for record in player.rig.records()}
    for request, exchange in requests.items():
        units = {unit: metered[request].get(unit, 0) for unit in exchange.reported}
        assert units == exchange.reported, exchange.source
