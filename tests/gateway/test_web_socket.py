"""The WebSocket mode of responses, by OpenAI's own client: each turn is decided, limited and metered as over POST."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from endpoints_rig import RIVAL_SECRET, Endpoints, endpoints
from gateway_rig import MODEL, PATIENCE_S, SECRET
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from awaiting import eventually
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings
from clauseway.metering import Status, Unit

SETTINGS = Settings(limits=Limits(body_bytes=50_000))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoints]:
    with endpoints(tmp_path_factory.mktemp("gateway"), settings=SETTINGS) as running:
        yield running


def socket(clouds: Endpoints, secret: str = SECRET, path: str = "/v1/responses") -> ClientConnection:
    headers = {"authorization": f"Bearer {secret}"}
    url = f"ws://127.0.0.1:{clouds.rig.port}{path}"
    # With a bound this client waits a minute to close, because it reads nothing behind events that nobody took.
    return connect(url, additional_headers=headers, compression=None, max_queue=None)


def turn(connection: ClientConnection, **members: object) -> list[dict[str, Any]]:
    """Send a request; its events until it ends."""
    connection.send(json.dumps({"type": "response.create", "model": MODEL, "input": "Hello.", **members}))
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in ("response.completed", "response.failed", "error"):
        events.append(json.loads(connection.recv(PATIENCE_S)))
    return events


def test_the_client_makes_responses_one_after_the_other(clouds: Endpoints) -> None:
    before = len(clouds.rig.records())
    with clouds.client().responses.connect() as connection:
        connection.response.create(model=MODEL, input="Hello.")
        first = list(until_end(connection))[-1].response
        connection.response.create(model=MODEL, input="Go on.", previous_response_id=first.id)
        second = list(until_end(connection))
    kinds = [event.type for event in second]
    assert kinds[0] == "response.created"
    assert "response.output_text.delta" in kinds
    answer = second[-1].response
    assert answer.previous_response_id == first.id
    records = clouds.rig.records()[before:]
    assert [record.status for record in records] == [Status.COMPLETE] * 2
    assert [dict(record.units)[Unit.OUTPUT_TOKENS] for record in records] == [
        first.usage.output_tokens,
        answer.usage.output_tokens,
    ]
    assert clouds.client().responses.retrieve(answer.id).id == answer.id


def until_end(connection: Any) -> Iterator[Any]:
    for event in connection:
        yield event
        if event.type in ("response.completed", "error"):
            return


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/v1/responses?api-version=preview"])
def test_events_are_those_of_a_stream(clouds: Endpoints, path: str) -> None:
    with socket(clouds, path=path) as connection:
        kinds = [event["type"] for event in turn(connection)]
    streamed = [event.type for event in clouds.client().responses.create(model=MODEL, input="Hello.", stream=True)]
    assert kinds == streamed


def test_a_lane_is_named_again(clouds: Endpoints) -> None:
    with socket(clouds) as connection:
        assert {event["stream_id"] for event in turn(connection, stream_id="a-1")} == {"a-1"}
        assert "stream_id" not in turn(connection)[0]


# (members of a message, status, code, param)
REFUSALS: list[tuple[str, dict[str, object], int, str, str | None]] = [
    ("no such model", {"model": "gpt-9"}, 404, "model_not_found", "model"),
    (
        "no such response",
        {"previous_response_id": "resp_1"},
        400,
        "previous_response_not_found",
        "previous_response_id",
    ),
    ("another type", {"type": "session.update"}, 400, "invalid_body", "type"),
    ("steering nothing", {"type": "response.steer", "input": "Be brief."}, 400, "invalid_body", "previous_response_id"),
    (
        "steering without input",
        {"type": "response.steer", "previous_response_id": "resp_1", "input": None},
        400,
        "invalid_body",
        "input",
    ),
    ("neither made nor prepared", {"generate": 1}, 400, "invalid_body", "generate"),
    ("no input", {"generate": False, "input": 1}, 400, "invalid_body", "input"),
    ("in the background", {"background": True}, 400, "invalid_body", "background"),
    ("a wrong lane", {"stream_id": 1}, 400, "invalid_body", "stream_id"),
]


@pytest.mark.parametrize(
    ("members", "status", "code", "param"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS]
)
def test_a_refusal_is_an_event_and_the_session_goes_on(
    clouds: Endpoints, members: dict[str, object], status: int, code: str, param: str | None
) -> None:
    with socket(clouds) as connection:
        (refused,) = turn(connection, **members)
        assert (refused["type"], refused["status"]) == ("error", status)
        assert (refused["error"]["code"], refused["error"]["param"]) == (code, param)
        assert refused["error"]["message"]
        assert turn(connection)[-1]["type"] == "response.completed"
    assert clouds.asked("openai")


def test_what_is_not_stored_is_not_gone_on_from(clouds: Endpoints) -> None:
    with socket(clouds) as connection:
        made = turn(connection, store=False)[-1]["response"]
        (refused,) = turn(connection, previous_response_id=made["id"])
        assert (refused["status"], refused["error"]["code"]) == (400, "previous_response_not_found")
        # The ways that there are instead: to store it, or to send its output.
        items = [{"role": "user", "content": "Hello."}, *made["output"], {"role": "user", "content": "Go on."}]
        assert turn(connection, input=items)[-1]["type"] == "response.completed"


def test_input_for_a_response_that_is_being_made_comes_back(clouds: Endpoints) -> None:
    """As from a model that cannot be steered: the client sends it with its next turn."""
    with clouds.client().responses.connect() as connection:
        connection.response.create(model=MODEL, input="Hello.")
        first = list(until_end(connection))[-1].response
        connection.response.steer(previous_response_id=first.id, input="Be brief.")
        failed = connection.recv()
        assert failed.type == "response.steer.failed"
        assert (failed.error.code, failed.error.type) == ("steering_not_supported", "invalid_request_error")
        assert "response.create" in failed.error.message
        steer = failed.steer
        assert (steer.id, steer.previous_response_id, steer.input) == (None, first.id, "Be brief.")
        connection.response.create(model=MODEL, input=steer.input, previous_response_id=steer.previous_response_id)
        assert list(until_end(connection))[-1].type == "response.completed"
    assert len(clouds.asked("openai")) == 2


# A message that is no JSON → the reason, in the words that a body over POST gets.
NOT_READ = [
    ("hello", "The message is not JSON: "),
    ("[]", "The message is no JSON object: "),
    ('{"input":' + "[" * 5000 + "]" * 5000 + "}", "The message is nested too deeply."),
    ('{"input":"\\ud83d"}', r"The message is not JSON: \ud83d at byte 10 is half of a surrogate pair"),
]


@pytest.mark.parametrize(("message", "why"), NOT_READ, ids=["a word", "a list", "too deep", "half of a pair"])
def test_a_message_that_is_no_json_is_refused(clouds: Endpoints, message: str, why: str) -> None:
    with socket(clouds) as connection:
        connection.send(message)
        error = json.loads(connection.recv(PATIENCE_S))["error"]
        assert (error["code"], error["message"].startswith(why)) == ("invalid_body", True), error["message"]


def test_another_project_does_not_go_on_from_it(clouds: Endpoints) -> None:
    with socket(clouds) as connection:
        made = turn(connection)[-1]["response"]["id"]
    with socket(clouds, RIVAL_SECRET) as connection:
        (refused,) = turn(connection, previous_response_id=made)
        assert refused["error"]["code"] == "previous_response_not_found"


def test_a_stream_that_breaks_is_an_error_of_its_turn(clouds: Endpoints) -> None:
    clouds.fault("openai", kind="cut-after-events", events=8)
    with socket(clouds) as connection:
        broken = turn(connection)[-1]
        assert broken["type"] == "error"
        assert "stream broke" in broken["error"]["message"]
        assert turn(connection)[-1]["type"] == "response.completed"


def test_who_leaves_is_metered(clouds: Endpoints) -> None:
    before = len(clouds.rig.records())
    with socket(clouds) as connection:
        connection.send(json.dumps({"type": "response.create", "model": MODEL, "input": "Long. " * 50}))
        connection.recv(PATIENCE_S)
    eventually(lambda: len(clouds.rig.records()) == before + 1)


def test_an_unknown_key_opens_nothing(clouds: Endpoints) -> None:
    with pytest.raises(InvalidStatus) as refused:
        socket(clouds, "sk-nobody")
    assert refused.value.response.status_code == 401
    assert b"invalid_api_key" in (refused.value.response.body or b"")


def test_elsewhere_there_is_none(clouds: Endpoints) -> None:
    with pytest.raises(InvalidStatus) as refused:
        socket(clouds, path="/v1/realtime?model=gpt-realtime")
    assert (refused.value.response.status_code, b"not_offered" in (refused.value.response.body or b"")) == (501, True)
    answer = httpx.get(f"{clouds.rig.url}/v1/responses", headers={"authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 405


def test_bytes_and_what_is_too_long_end_the_session(clouds: Endpoints) -> None:
    for message, code in ((b"{}", 1003), ("x" * 60_000, 1009)):
        with socket(clouds) as connection:
            connection.send(message)
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == code


def test_requests_in_line_are_answered_in_order(clouds: Endpoints) -> None:
    with socket(clouds) as connection:
        for lane in ("1", "2", "3"):
            message = {"type": "response.create", "model": MODEL, "input": "Hello.", "stream_id": lane}
            connection.send(json.dumps(message))
        ended: list[str] = []
        while len(ended) < 3:
            event = json.loads(connection.recv(PATIENCE_S))
            if event["type"] == "response.completed":
                ended.append(event["stream_id"])
    assert ended == ["1", "2", "3"]


def test_a_ping_is_answered(clouds: Endpoints) -> None:
    with socket(clouds) as connection:
        assert connection.ping().wait(PATIENCE_S)


def test_the_asynchronous_client(clouds: Endpoints) -> None:
    async def ask() -> str:
        client = openai.AsyncOpenAI(base_url=clouds.base_url, api_key=SECRET, max_retries=0)
        async with client.responses.connect() as connection:
            await connection.response.create(model=MODEL, input="Hello.")
            async for event in connection:
                if event.type == "response.completed":
                    return event.response.output_text
        return ""

    assert asyncio.run(ask())
