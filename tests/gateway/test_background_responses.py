"""Responses in the background run on at their cloud whatever becomes of the connection on which they were made: each is
metered once, by its end, and no second cloud does its work. Its stream names it at once, so that a client can take it
up again."""

import asyncio
import itertools
import time
from typing import Any

import pytest
from gateway_rig import AUTHORIZED, PATIENCE_S, Behaviour, Connection, Received, compact, request_bytes
from gateway_stage import PATIENT, RESPONSE_USAGE, Call, Scene, Stage, answering, typed

from awaiting import eventually
from clauseway.gateway.plan import Prices
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Unit, UsageRecord
from clauseway.metering.endpoints import ENDPOINTS

POLLED = Settings(limits=Limits(retries=10_000, pending_s=0.2), telemetry=PATIENT.telemetry)
STREAM, WHOLE = Call("/v1/responses", True), Call("/v1/responses", False)
BEGIN = ("response.created", "response.queued")
BACKGROUND: dict[str, Any] = {"background": True, "store": True}


USED = {"INPUT_TOKENS": 21, "CACHED_INPUT_TOKENS": 4, "OUTPUT_TOKENS": 8}
NUMBERS = itertools.count(1)


class Background:
    """A cloud with one response in the background: made by a POST, of whose answer so many events come, and then
    `then` (`cut`, `stall` or `end`); ended when it is asked for again."""

    def __init__(
        self,
        events: int = 6,
        then: str = "end",
        late_s: float = 0.0,
        *,
        fails: bool = False,
        states: tuple[str, ...] = (),
    ) -> None:
        # Told to whoever asks for it, one after the other, before its end; "" is a 404.
        self.states = list(states)
        self.told, self.then, self.late_s = events, then, late_s
        self.deleted, self.cancelled, self.told_all, self.status = False, False, False, 200
        self.id, self.begins, self.cancels = f"resp_{next(NUMBERS)}", "queued", True
        words = [typed("response.output_text.delta", 2 + at, delta=word) for at, word in enumerate("abc")]
        error = {"code": "server_error", "message": "sorry"}
        begun = [typed(kind, at, response=self.state("queued")) for at, kind in enumerate(BEGIN)]
        self.events = (
            [*begun, typed("response.failed", 2, response=self.state("failed", error=error))]
            if fails
            else [*begun, *words, typed("response.completed", 5, response=self.state("completed", RESPONSE_USAGE))]
        )

    def state(self, status: str, usage: object = None, **members: object) -> dict[str, object]:
        return {"id": self.id, "object": "response", "status": status, "output": [], "usage": usage, **members}

    async def __call__(self, connection: Connection, request: Received) -> None:
        if request.head.startswith(b"GET"):
            await self.tell_again(connection, request)
            return
        if request.head.startswith(b"DELETE"):
            self.deleted = True
            connection.answer(200, compact({"id": self.id, "object": "response.deleted", "deleted": True}))
            return
        if b"/cancel " in request.head.partition(b"\r\n")[0]:
            self.cancelled = self.cancels
            connection.answer(200, compact(self.state("cancelled")))
            return
        await asyncio.sleep(self.late_s)
        if not request.json.get("stream"):
            connection.answer(200, compact(self.state(self.begins)))
            return
        await self.tell(connection, self.events[: self.told])

    async def tell(self, connection: Connection, events: list[bytes]) -> None:
        connection.begin_stream()
        for event in events:
            connection.piece(event)
            await connection.apart()
        self.told_all = True
        if self.then == "cut":
            connection.drop()
        elif self.then == "stall":
            await connection.left()
        else:
            connection.end_stream()

    async def tell_again(self, connection: Connection, request: Received) -> None:
        line = request.head.partition(b"\r\n")[0].decode()
        state = self.states.pop(0) if self.states else ""
        if state:
            connection.answer(200, compact(self.state(state)))
            return
        if self.deleted or self.states:
            connection.answer(404, b'{"error":{"message":"Response with id \'resp\' not found."}}')
            return
        if "stream=true" not in line and self.cancelled:
            connection.answer(200, compact(self.state("cancelled")))
            return
        if "stream=true" not in line:
            connection.answer(self.status, compact(self.state("completed", RESPONSE_USAGE)))
            return
        if "starting_after" not in line:
            await self.tell(connection, self.events[: self.told])
            return
        after = int(line.partition("starting_after=")[2].split()[0])
        connection.begin_stream()
        for event in self.events[after + 1 :]:
            connection.piece(event)
        connection.end_stream()


def scene_of(stage: Stage, *behaviours: Behaviour, **changes: Any) -> Scene:
    return stage.scene(*behaviours, **{"settings": POLLED, **changes})


def used(scene: Scene) -> list[dict[str, int]]:
    return [units_of(record) for record in scene.records() if record.units]


def units_of(record: UsageRecord) -> dict[str, int]:
    return {unit.name: count for unit, count in record.units}


@pytest.mark.parametrize("late_s", [0.0, 0.5], ids=["after its identifier came", "before the cloud answers"])
@pytest.mark.parametrize("call", [STREAM, WHOLE], ids=["streamed", "whole"])
def test_who_leaves_at_once_pays_for_all_of_it(stage: Stage, call: Call, late_s: float) -> None:
    cloud = Background(events=2, then="stall", late_s=late_s)
    scene = scene_of(stage, cloud, answering, attempt_timeout_s=2.0)
    with stage.rig.socket() as client:
        body = compact(call.body(scene.model, **BACKGROUND))
        client.sendall(request_bytes(body, path=call.path))
        eventually(lambda: scene.clouds[0].requests)
        heard = b""
        while not late_s and cloud.id.encode() not in heard:
            heard += client.recv(1 << 16)
    eventually(lambda: used(scene))
    assert used(scene) == [USED]
    assert len(scene.clouds[1].requests) == 0


# How the stream of a queued response ends.
@pytest.mark.parametrize("then", ["cut", "stall", "end"])
def test_no_other_cloud_does_its_work(stage: Stage, then: str) -> None:
    cloud = Background(events=2, then=then)
    scene = scene_of(stage, cloud, answering, attempt_timeout_s=1.0)
    answer = scene.ask(STREAM, **BACKGROUND)
    assert answer.content.startswith(b"".join(cloud.events[:2]))
    assert b"stream_interrupted" in answer.content
    eventually(lambda: used(scene))
    assert used(scene) == [USED]
    assert len(scene.clouds[1].requests) == 0


# The number of the last event that the client has.
@pytest.mark.parametrize("after", [-1, 1, 3, 4, 5, 9])
def test_it_is_taken_up_again_after_any_event(stage: Stage, after: int) -> None:
    cloud = Background(events=2, then="cut")
    scene = scene_of(stage, cloud)
    assert scene.ask(STREAM, **BACKGROUND).status_code == 200
    for _ in range(6):
        query = f"stream=true&starting_after={after}"
        again = stage.http.get(f"{stage.rig.url}/v1/responses/{cloud.id}?{query}", headers=AUTHORIZED)
        assert (again.status_code, again.content) == (200, b"".join(cloud.events[after + 1 :]))
    eventually(lambda: used(scene))
    assert used(scene) == [USED]
    assert {status for _, status, _ in scene.outcomes()} <= {"INTERRUPTED", "COMPLETE"}


def test_one_that_fails_before_its_output_used_nothing(stage: Stage) -> None:
    cloud = Background(fails=True)
    scene = scene_of(stage, cloud, answering)
    assert scene.ask(STREAM, **BACKGROUND).content == b"".join(cloud.events)
    assert used(scene) == []
    assert len(scene.clouds[1].requests) == 0


# How many events were streamed before it is cancelled, and whether its client reads on → the output that is charged.
STREAMED_BEFORE = {
    "no output": (2, "stall", 0),
    "two words": (4, "stall", 4),
    "two words, and cut": (4, "cut", 4),
}


@pytest.mark.parametrize(("events", "then", "output"), STREAMED_BEFORE.values(), ids=STREAMED_BEFORE)
@pytest.mark.parametrize("again", [False, True], ids=["as it was made", "taken up again"])
def test_what_was_streamed_is_charged_though_it_is_cancelled(
    stage: Stage, events: int, then: str, output: int, again: bool
) -> None:
    """Its cloud reports no usage of a response that was cancelled."""
    cloud = Background(events=events, then=then)
    scene = scene_of(stage, cloud, attempt_timeout_s=PATIENCE_S, settings=PATIENT)
    body = compact((WHOLE if again else STREAM).body(scene.model, **BACKGROUND))
    with stage.rig.socket() as client, stage.rig.socket() as reading:
        client.sendall(request_bytes(body, path=STREAM.path))
        while cloud.id.encode() not in (heard := client.recv(1 << 16)):
            assert heard
        if again:
            path = f"{STREAM.path}/{cloud.id}?stream=true"
            reading.sendall(request_bytes(b"", path=path, method="GET"))
        eventually(lambda: cloud.told_all)
        answer = stage.http.post(f"{stage.rig.url}/v1/responses/{cloud.id}/cancel", headers=AUTHORIZED)
        assert answer.json()["status"] == "cancelled"
    eventually(lambda: stage.rig.counts()["open"] == 0)
    assert used(scene) == ([{"INPUT_TOKENS": -(-len(body) // 4), "OUTPUT_TOKENS": output}] if output else [])


def test_one_that_completes_after_it_was_cancelled_is_metered(stage: Stage) -> None:
    """A cloud may be done with it just as it is cancelled, and tell so later."""
    cloud = Background()
    cloud.cancels = False
    scene = scene_of(stage, cloud)
    assert scene.ask(WHOLE, **BACKGROUND).json()["status"] == "queued"
    answer = stage.http.post(f"{stage.rig.url}/v1/responses/{cloud.id}/cancel", headers=AUTHORIZED)
    assert answer.json()["status"] == "cancelled"
    eventually(lambda: used(scene) == [USED])


def test_one_that_stays_cancelled_has_used_nothing(stage: Stage) -> None:
    cloud = Background()
    scene = scene_of(stage, cloud)
    assert scene.ask(WHOLE, **BACKGROUND).json()["status"] == "queued"
    answer = stage.http.post(f"{stage.rig.url}/v1/responses/{cloud.id}/cancel", headers=AUTHORIZED)
    assert answer.json()["status"] == "cancelled"
    # Once its cloud has told it twice, nobody asks again.
    eventually(lambda: len(scene.clouds[0].requests) >= 3)
    asked = len(scene.clouds[0].requests)
    time.sleep(1.0)
    assert len(scene.clouds[0].requests) <= asked + 1
    assert used(scene) == []


def test_a_status_that_nobody_knows_is_no_end(stage: Stage) -> None:
    cloud = Background(states=("paused", "in_progress", "paused"))
    scene = scene_of(stage, cloud)
    assert scene.ask(WHOLE, **BACKGROUND).json()["status"] == "queued"
    eventually(lambda: used(scene) == [USED])


def test_one_that_begins_with_a_status_that_nobody_knows_is_metered_at_its_end(stage: Stage) -> None:
    cloud = Background()
    cloud.begins = "accepted"
    scene = scene_of(stage, cloud)
    assert scene.ask(WHOLE, **BACKGROUND).json()["status"] == "accepted"
    eventually(lambda: used(scene) == [USED])


def test_one_that_is_not_found_for_a_while_is_metered_at_its_end(stage: Stage) -> None:
    """Azure tells a response half a minute after it was made, and 404 until then."""
    cloud = Background(states=("", "", "in_progress", "", "in_progress"))
    scene = scene_of(stage, cloud, settings=PATIENT)
    assert scene.ask(WHOLE, **BACKGROUND).json()["status"] == "queued"
    url = f"{stage.rig.url}/v1/responses/{cloud.id}"
    refused = stage.http.delete(url, headers=AUTHORIZED)
    assert (refused.status_code, refused.headers["x-should-retry"], cloud.deleted) == (503, "true", False)
    heard = [stage.http.get(url, headers=AUTHORIZED).status_code for _ in range(5)]
    assert heard == [404, 200, 404, 200, 200]
    assert used(scene) == [USED]


def test_one_that_stays_lost_is_estimated_by_its_input(stage: Stage) -> None:
    cloud = Background()
    cloud.deleted = True
    scene = scene_of(stage, cloud)
    body = compact(WHOLE.body(scene.model, **BACKGROUND))
    assert scene.ask(WHOLE, **BACKGROUND).json()["status"] == "queued"
    url = f"{stage.rig.url}/v1/responses/{cloud.id}"
    eventually(lambda: stage.http.get(url, headers=AUTHORIZED).status_code == 404 and used(scene))
    assert used(scene) == [{"INPUT_TOKENS": -(-len(body) // 4), "OUTPUT_TOKENS": 0}]
    assert len(scene.clouds[0].requests) > 2


def test_an_end_is_charged_and_recorded_as_what_made_it(stage: Stage) -> None:
    """A price may be of an endpoint: whoever is the first to see the end decides nothing about it."""
    plain, dear = {Unit.INPUT_TOKENS: 1, Unit.OUTPUT_TOKENS: 2}, {Unit.INPUT_TOKENS: 1_000, Unit.OUTPUT_TOKENS: 2_000}
    prices = tuple(
        Prices(begin_ns=0, end_ns=1 << 62, units={int(unit): price for unit, price in units.items()}, endpoint=endpoint)
        for endpoint, units in (("", plain), ("responses", dear))
    )
    scene = scene_of(stage, Background(), prices=prices)
    made = scene.ask(WHOLE, **BACKGROUND)
    assert made.json()["status"] == "queued"
    eventually(lambda: used(scene) == [USED])
    [record] = [record for record in scene.records() if record.units]
    assert (record.endpoint, record.charge_picodollars) == (ENDPOINTS["responses"], 21 * 1_000 + 8 * 2_000)


def test_a_response_in_the_foreground_ends_with_its_connection(stage: Stage) -> None:
    """So another cloud is asked."""
    scene = scene_of(stage, Background(events=2, then="cut"), answering)
    assert STREAM.ends_well(scene.ask(STREAM).text)
    assert [len(cloud.requests) for cloud in scene.clouds] == [1, 1]


@pytest.mark.parametrize("call", [STREAM, WHOLE], ids=["streamed", "whole"])
def test_one_that_is_deleted_is_metered_before(stage: Stage, call: Call) -> None:
    """Its stream was read up to the last event but one."""
    cloud = Background(events=5, then="cut")
    scene = scene_of(stage, cloud, settings=PATIENT)
    assert cloud.id in scene.ask(call, **BACKGROUND).text
    cloud.status = 500
    url = f"{stage.rig.url}/v1/responses/{cloud.id}"
    refused = stage.http.delete(url, headers=AUTHORIZED)
    assert (refused.status_code, refused.json()["error"]["code"], cloud.deleted) == (503, "clouds_unavailable", False)
    assert refused.headers["x-should-retry"] == "true"
    cloud.status = 200
    deleted = stage.http.delete(url, headers=AUTHORIZED)
    assert (deleted.status_code, deleted.json()["deleted"], cloud.deleted) == (200, True, True)
    assert used(scene) == [USED]
    assert stage.http.delete(url, headers=AUTHORIZED).status_code in (200, 404)
    assert used(scene) == [USED]
