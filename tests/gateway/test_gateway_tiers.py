"""The tier in which a request was served is the cloud's word, and stands in the usage record."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_rig import (
    ANSWER,
    AUTHORIZED,
    DONE_EVENT,
    MODEL,
    USAGE,
    Behaviour,
    Connection,
    Received,
    Rig,
    chunk_event,
    compact,
    content_events,
)

from clauseway.gateway.plan import Prices
from clauseway.metering import Unit


def serving_in(tier: str) -> Behaviour:
    """A cloud that says in which tier it served."""

    async def behave(connection: Connection, request: Received) -> None:
        if not request.json.get("stream"):
            connection.answer(200, compact({**json.loads(ANSWER), "service_tier": tier}))
            return
        connection.begin_stream()
        chunk = chunk_event([], usage=USAGE, service_tier=tier)
        connection.piece(b"".join((*content_events(with_nulls=True), chunk, DONE_EVENT)))
        connection.end_stream()

    return behave


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("tiers")) as rig:
        rig.cloud("azure")
        rig.start()
        yield rig


# asked for, served in by the cloud's word, recorded: a cloud may serve a request in another tier than was asked for
TABLE = [
    (None, "default", ""),
    # As an account is set up, which a cloud tells unasked.
    (None, "priority", "priority"),
    (None, "flex", "flex"),
    (None, "a-tier-of-next-year", ""),
    ("auto", "default", "default"),
    ("auto", "priority", "priority"),
    ("default", "default", "default"),
    ("flex", "flex", "flex"),
    ("priority", "priority", "priority"),
    ("priority", "default", "default"),
    ("fast", "priority", "priority"),
    ("fast", "fast", "priority"),
    ("ultrafast", "ultrafast", "ultrafast"),
    ("flex", "a-tier-of-next-year", ""),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("asked", "served", "recorded"), TABLE)
def test_the_record_names_the_tier(rig: Rig, asked: str | None, served: str, recorded: str, stream: bool) -> None:
    rig.clouds["azure"].behaviour = serving_in(served)
    members = {} if asked is None else {"service_tier": asked}
    assert rig.post(stream=stream, **members).status_code == 200
    record = rig.records()[-1]
    assert (record.tier, record.status.name) == (recorded, "COMPLETE")
    assert dict(record.units)[Unit.INPUT_TOKENS] == USAGE["prompt_tokens"]


def price(output: int, tier: str = "") -> Prices:
    units = {int(Unit.INPUT_TOKENS): 0, int(Unit.OUTPUT_TOKENS): output}
    return Prices(begin_ns=0, end_ns=1 << 62, units=units, tier=tier)


async def in_the_background(connection: Connection, request: Received) -> None:
    """Made at once and done when it is asked for, in the tier that the cloud chose."""
    done = request.head.startswith(b"GET")
    usage = {"input_tokens": 21, "output_tokens": 8}
    members = {"status": "completed", "usage": usage} if done else {"status": "queued", "usage": None}
    tier = "priority" if done else "auto"
    connection.answer(200, compact({"id": "resp_1", "object": "response", "service_tier": tier, **members}))


def test_what_ends_in_the_background_is_charged_in_the_tier_that_its_end_names(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("azure", in_the_background)
        rig.start(rig.plan([rig.target("azure", cloud.port, prices=(price(3), price(7, "priority")))]))
        asked = {"model": MODEL, "input": "hello", "background": True, "max_output_tokens": 10}
        with httpx.Client(base_url=f"{rig.url}/v1", headers=AUTHORIZED) as client:
            assert client.post("/responses", json=asked).json()["status"] == "queued"
            assert client.get("/responses/resp_1").json()["status"] == "completed"
        assert [(record.tier, record.charge_picodollars) for record in rig.records()] == [("", 0), ("priority", 8 * 7)]
        assert [intent.reserved_picodollars for intent in rig.intents()] == [10 * 7, 0]
