"""The tier in which a request was served is the cloud's word, and stands in the usage record."""

import json
from collections.abc import Iterator

import pytest
from gateway_rig import (
    ANSWER,
    DONE_EVENT,
    USAGE,
    Behaviour,
    Connection,
    Received,
    Rig,
    chunk_event,
    compact,
    content_events,
)

from clauseway.metering import Unit


def serving_in(tier: str) -> Behaviour:
    """A cloud that says in which tier it served."""

    async def behave(connection: Connection, request: Received) -> None:
        if not request.json.get("stream"):
            connection.answer(200, compact({**json.loads(ANSWER), "service_tier": tier}))
            return
        connection.begin_stream()
        told = chunk_event([], usage=USAGE, service_tier=tier)
        connection.piece(b"".join((*content_events(with_nulls=True), told, DONE_EVENT)))
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
    ("auto", "default", "default"),
    ("auto", "priority", "priority"),
    ("default", "default", "default"),
    ("flex", "flex", "flex"),
    ("priority", "priority", "priority"),
    ("priority", "default", "default"),
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
