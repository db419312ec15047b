"""A reservation ends exactly once, whichever way a request ends: told by the limit's own header.

After a request that ends in some way, another asks what is left: the limit, without what the records say was used. A
reservation that stayed would leave less, a reservation that ended twice would leave more.
"""

import asyncio
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from gateway_rig import (
    PATIENCE_S,
    SECRET,
    Behaviour,
    Connection,
    Received,
    Rig,
    compact,
    drop,
    key,
    stall,
    status,
)
from gateway_stage import CALLS, RESPONSE_USAGE, Call, Scene, Stage, answering, failing_after

from awaiting import eventually
from clauseway.gateway.plan import RateLimit
from clauseway.metering import Unit, UsageRecord

LIMIT = 10_000_000
LEFT = "x-ratelimit-remaining-tokens"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        started = Stage(rig)
        started.start()
        yield started
        assert "Traceback" not in rig.errors()


def limited(stage: Stage, name: str, *behaviours: Behaviour | None, **changes: Any) -> Scene:
    """A scene in which a limit of this name holds, whatever scenes had it before."""
    limit = RateLimit(id=name, whose="the test", tokens_per_minute=LIMIT)
    keys = (msgspec.structs.replace(key(SECRET, "openai"), limits=(0,)),)
    return stage.scene(*behaviours, keys=keys, limits=(limit,), **changes)


def left_after(stage: Stage, name: str) -> int:
    """Return the number of requests left that an ordinary request is told."""
    return int(limited(stage, name, answering).ask().headers[LEFT])


def used_by(records: list[UsageRecord]) -> int:
    return sum(
        count for record in records for unit, count in record.units if unit in (Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS)
    )


ENDS: list[tuple[str, tuple[Behaviour | None, ...], dict[str, object]]] = [
    ("answered", (answering,), {}),
    ("the cloud's own word", (status(400),), {}),
    ("one fails", (status(500), answering), {}),
    ("all fail", (status(500), status(429), drop, None), {}),
    ("cut before content", (failing_after(0, "cut"), answering), {}),
    ("cut after content", (failing_after(2, "cut"), answering), {}),
    ("falls silent", (failing_after(2, "stall"),), {"attempt_timeout_s": 1.0}),
    ("hedged, the second wins", (stall, answering), {"hedge": "50", "attempt_timeout_s": PATIENCE_S}),
    ("hedged, both fail", (stall, stall), {"hedge": "50", "attempt_timeout_s": 1.0}),
    ("past the deadline", (stall, stall), {"hedge": "50", "attempt_timeout_s": PATIENCE_S, "deadline_s": 1.0}),
]


@pytest.mark.parametrize("call", [CALLS["chat"], CALLS["responses stream"]], ids=["chat", "responses stream"])
@pytest.mark.parametrize(("behaviours", "changes"), [case[1:] for case in ENDS], ids=[case[0] for case in ENDS])
def test_every_end(
    stage: Stage, behaviours: tuple[Behaviour | None, ...], changes: dict[str, object], call: Call
) -> None:
    name = f"limit-{next(_numbers)}"
    ordinary = left_after(stage, f"fresh-{name}")
    options = {option: value for option, value in changes.items() if option != "hedge"}
    scene = limited(stage, name, *behaviours, **options)
    answer = scene.ask(call, {"x-clauseway-hedge-ms": str(changes["hedge"])} if "hedge" in changes else None)
    scene.wait_for_outcomes(int(answer.headers["x-clauseway-attempts"]))
    assert left_after(stage, name) == ordinary - used_by(scene.records())


@pytest.mark.parametrize("on_leave", ["cancel", "drain"])
def test_a_client_that_leaves(stage: Stage, on_leave: str) -> None:
    name = f"limit-{next(_numbers)}"
    ordinary = left_after(stage, f"fresh-{name}")

    left = threading.Event()

    async def slowly(connection: Connection, request: Received) -> None:
        await asyncio.to_thread(left.wait, PATIENCE_S)
        await answering(connection, request)

    scene = limited(stage, name, slowly, on_leave=on_leave, attempt_timeout_s=PATIENCE_S)
    body = compact(CALLS["chat"].body(scene.model))
    with stage.rig.socket() as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\n"
        client.sendall(head.encode() + b"content-length: %d\r\n\r\n%b" % (len(body), body))
        eventually(lambda: scene.asked == [1])
    left.set()
    scene.wait_for_outcomes(1)
    assert used_by(scene.records()) > 0
    assert left_after(stage, name) == ordinary - used_by(scene.records())


def test_what_goes_on_in_the_background_stays_reserved_until_its_end(stage: Stage) -> None:
    name = f"limit-{next(_numbers)}"
    ordinary = left_after(stage, f"fresh-{name}")
    identifier = f"resp_{name}"
    state = {"status": "queued"}

    async def background(connection: Connection, _: Received) -> None:
        usage = RESPONSE_USAGE if state["status"] == "completed" else None
        connection.answer(200, compact({"id": identifier, "usage": usage, **state}))

    scene = limited(stage, name, background)
    scene.ask(CALLS["responses"], background=True, store=True, max_output_tokens=1000)
    scene.clouds[0].behaviour = answering
    assert int(scene.ask().headers[LEFT]) <= ordinary - 1000, "nothing is used yet, and all of it may be"
    scene.clouds[0].behaviour = background
    state["status"] = "completed"
    url = f"{stage.rig.url}/v1/responses/{identifier}"
    for _ in range(2):
        assert stage.http.get(url, headers={"authorization": f"Bearer {SECRET}"}, timeout=PATIENCE_S).is_success
    assert used_by(scene.records()) == 29 + 29, "the request in between, and the end, once"
    assert left_after(stage, name) == ordinary - 29 - 29


def test_to_read_and_to_upload_reserves_nothing(stage: Stage) -> None:
    """A limit that bears no further answer bears these."""
    kept = compact({"id": "file-1", "object": "file"})

    async def keeping(connection: Connection, _: Received) -> None:
        connection.answer(200, kept)

    limit = RateLimit(id=f"limit-{next(_numbers)}", whose="the test", tokens_per_minute=10)
    keys = (msgspec.structs.replace(key(SECRET, "openai"), limits=(0,)),)
    scene = stage.scene(keeping, keys=keys, limits=(limit,))
    assert scene.ask().status_code == 429
    url, headers = f"{stage.rig.url}/v1/files", {"authorization": f"Bearer {SECRET}"}
    sent = stage.http.post(url, data={"purpose": "user_data"}, files={"file": bytes(5000)}, headers=headers)
    assert sent.content == kept
    assert stage.http.get(f"{url}/file-1", headers=headers).content == kept
