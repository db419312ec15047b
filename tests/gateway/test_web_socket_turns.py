"""Messages of a session, and the events that answer them: member by member."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from clauseway.gateway.clouds.reports import responses_report_in
from clauseway.gateway.wire.bodies.body_errors import BadBody, RepeatedMember
from clauseway.gateway.wire.streams import EventStream
from clauseway.gateway.wire.typed_streams import TypedStream
from clauseway.gateway.wire.web_socket_turns import (
    EventReader,
    PreparedInput,
    SessionPreparation,
    SessionRequest,
    SessionSteering,
    TurnEvent,
    event_of_steering,
    events_of_preparation,
    message_of_answer,
    request_of,
)
from work_done import grows_with_its_length

PREPARED = PreparedInput("prep_1", (msgspec.Raw(b'{"a":1}'), msgspec.Raw(b'{"b":2}')), msgspec.Raw(b'"resp_1"'))


def sent(**members: object) -> bytes:
    return json.dumps({"type": "response.create", "model": "m", **members}).encode()


# A message's members beside its type and model → the body of the POST, and the lane.
REQUESTS: list[tuple[dict[str, object], dict[str, object], str]] = [
    ({"input": "Hi"}, {"input": "Hi"}, ""),
    ({"stream_id": "a" * 198}, {}, "a" * 198),
    ({"stream": False, "background": False, "generate": True}, {}, ""),
    ({"background": None, "generate": None}, {}, ""),
    ({"previous_response_id": "resp_9", "input": "Hi"}, {"previous_response_id": "resp_9", "input": "Hi"}, ""),
    ({"previous_response_id": 7}, {"previous_response_id": 7}, ""),
    # the input that was prepared goes ahead, in the place of its name
    ({"previous_response_id": "prep_1"}, {"previous_response_id": "resp_1", "input": [{"a": 1}, {"b": 2}]}, ""),
    (
        {"previous_response_id": "prep_1", "input": "Hi"},
        {"previous_response_id": "resp_1", "input": [{"a": 1}, {"b": 2}, {"role": "user", "content": "Hi"}]},
        "",
    ),
    (
        {"previous_response_id": "prep_1", "input": [{"c": 3}]},
        {"previous_response_id": "resp_1", "input": [{"a": 1}, {"b": 2}, {"c": 3}]},
        "",
    ),
]


@pytest.mark.parametrize(("members", "body", "lane"), REQUESTS)
def test_a_message_is_a_request_over_post(members: dict[str, object], body: dict[str, object], lane: str) -> None:
    request = request_of(sent(**members), PREPARED)
    assert isinstance(request, SessionRequest)
    assert json.loads(request.body) == {"model": "m", "stream": True, **body}
    assert request.lane == (json.dumps(lane).encode() if lane else b"")


# A message → the member that is at fault, and the first words about it.
REFUSED: list[tuple[bytes, str, str]] = [
    (b"[]", "", "The message is no JSON object"),
    (b"{}", "type", "A message has the type 'response.create'."),
    (sent(type="response.cancel"), "type", "A message has the type 'response.create'."),
    (sent(background=True), "background", "A response in the background is asked for over POST."),
    (sent(stream_id="a" * 199), "stream_id", "'stream_id' is a text of 198 bytes at most."),
    (sent(stream_id=7), "stream_id", "'stream_id' is a text of 198 bytes at most."),
    (sent(generate=0), "generate", "'generate' is true or false."),
    (sent(generate=False, input={}), "input", "'input' is a text or a list"),
    (sent(type="response.steer", input="Hi"), "previous_response_id", "A steering names its response."),
    (
        sent(type="response.steer", previous_response_id="resp_1", input={}),
        "input",
        "The input of a steering is a text or a list.",
    ),
]


# A member that the session or the POST reads, as it stands twice in a message.
TWICE: list[tuple[str, str]] = [
    ("model", '"model":"b"'),
    ("model", '"mod\\u0065l":"b"'),
    ("type", '"type":"response.create"'),
    ("input", '"input":"Hi","input":[]'),
    ("previous_response_id", '"previous_response_id":"prep_1","previous_response_id":"resp_1"'),
    ("max_output_tokens", '"max_output_tokens":9,"max_output_tokens":90'),
    ("stream_id", '"stream_id":"a","stream_id":"b"'),
    ("generate", '"generate":false,"generate":true'),
    ("background", '"background":true,"background":false'),
    ("fallbacks", '"fallbacks":["x"],"fallbacks":null'),
]


@pytest.mark.parametrize(("member", "written"), TWICE)
def test_a_member_that_is_read_and_stands_twice_is_refused_as_over_post(member: str, written: str) -> None:
    with pytest.raises(RepeatedMember) as refused:
        request_of(b"%b,%b}" % (sent()[:-1], written.encode()), PREPARED)
    assert refused.value.param == member


def test_a_member_that_nobody_reads_may_stand_twice() -> None:
    request = request_of(b'%b,"temperature":0,"temperature":1}' % sent()[:-1])
    assert isinstance(request, SessionRequest)


@pytest.mark.parametrize(("message", "member", "words"), REFUSED)
def test_a_message_that_asks_for_nothing_names_the_member_at_fault(message: bytes, member: str, words: str) -> None:
    with pytest.raises(BadBody) as refused:
        request_of(message)
    assert (refused.value.param or "", str(refused.value).startswith(words)) == (member, True)


# The input of a preparation → the items that are kept.
INPUTS: list[tuple[dict[str, object], list[object]]] = [
    ({}, []),
    ({"input": None}, []),
    ({"input": "Hi"}, [{"role": "user", "content": "Hi"}]),
    ({"input": [{"c": 3}, "text"]}, [{"c": 3}, "text"]),
    ({"input": "Hi", "previous_response_id": "prep_1"}, [{"a": 1}, {"b": 2}, {"role": "user", "content": "Hi"}]),
]


@pytest.mark.parametrize(("members", "items"), INPUTS)
def test_a_preparation_keeps_its_input(members: dict[str, object], items: list[object]) -> None:
    preparation = request_of(sent(generate=False, stream_id="a", **members), PREPARED)
    assert isinstance(preparation, SessionPreparation)
    kept = preparation.keep_as("prep_2")
    assert (kept.identifier, [json.loads(bytes(item)) for item in kept.items]) == ("prep_2", items)
    follows = "resp_1" if "previous_response_id" in members else None
    assert (json.loads(bytes(kept.follows)), bytes(preparation.model), preparation.lane) == (follows, b'"m"', b'"a"')


def test_a_preparation_is_answered_as_a_response_that_used_nothing() -> None:
    preparation = request_of(sent(generate=False, stream_id="a", previous_response_id="resp_0"))
    assert isinstance(preparation, SessionPreparation)
    response = {
        "id": "prep_1",
        "object": "response",
        "created_at": 1_777_716_000,
        "model": "m",
        "output": [],
        "previous_response_id": "resp_0",
    }
    usage = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    states: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress", "usage": None}},
        {"type": "response.completed", "response": {**response, "status": "completed", "usage": usage}},
    ]
    events = [json.loads(event) for event in events_of_preparation(preparation, "prep_1", 1_777_716_000)]
    assert events == [{**state, "sequence_number": number, "stream_id": "a"} for number, state in enumerate(states)]


@pytest.mark.parametrize("given", ["Hi", [{"c": 3}]])
def test_a_steering_is_given_back(given: object) -> None:
    steering = request_of(sent(type="response.steer", previous_response_id="resp_1", input=given))
    assert isinstance(steering, SessionSteering)
    event = json.loads(event_of_steering(steering))
    error = event.pop("error")
    assert "with previous_response_id" in error.pop("message")
    assert error == {"type": "invalid_request_error", "code": "steering_not_supported"}
    assert event == {
        "type": "response.steer.failed",
        "sequence_number": 0,
        "steer": {"previous_response_id": "resp_1", "input": given},
    }


STREAM = (
    b': a comment\n\nevent: response.created\ndata: {"n":1}\n\nevent: x\ndata: {"type":"response.in_progress"}\n\n'
    b'event: x\ndata: no object\n\ndata: {}\n\ndata: {"type":"response.incomplete"}\n\ndata: [DONE]\n\n'
)
EVENTS = [
    TurnEvent(b'{"n":1,"type":"response.created"}', ends_turn=False),
    TurnEvent(b'{"type":"response.in_progress"}', ends_turn=False),
    TurnEvent(b"no object", ends_turn=False),
    TurnEvent(b"{}", ends_turn=False),
    TurnEvent(b'{"type":"response.incomplete"}', ends_turn=True),
]


@pytest.mark.parametrize("size", [1, 2, 7, len(STREAM)])
def test_a_stream_is_read_in_pieces_of_any_size(size: int) -> None:
    reader = EventReader()
    pieces = [STREAM[begin : begin + size] for begin in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in reader.events(piece)] == EVENTS


def _drained(reader: EventReader) -> Callable[[bytes], object]:
    return lambda piece: list(reader.events(piece))


READERS: dict[str, Callable[[], Callable[[bytes], object]]] = {
    "an answer's events": lambda: _drained(EventReader()),
    "a chat's stream": lambda: EventStream(strip_usage=False).feed,
    "a stream of typed events": lambda: TypedStream(responses_report_in).feed,
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_large_event_in_small_pieces_is_read_once(reader: Callable[[], Callable[[bytes], object]]) -> None:
    """Each piece was joined with all before it: a picture of 32 MB took a minute."""

    def work(pieces: int) -> Callable[[], object]:
        def read() -> None:
            feed = reader()
            for _ in range(pieces):
                feed(b"x" * 64)
            feed(b"\n\n")

        return read

    assert grows_with_its_length(work, 1 << 14)


# A status | whose fault it is
PAGES = [(404, "invalid_request_error"), (499, "invalid_request_error"), (500, "server_error"), (503, "server_error")]


@pytest.mark.parametrize(("status", "kind"), PAGES)
def test_a_page_of_html_is_repeated_in_part(status: int, kind: str) -> None:
    event = json.loads(message_of_answer(status, b"<html>" + b"a" * 2_000, b'"lane"'))
    assert event == {
        "type": "error",
        "status": status,
        "error": {"type": kind, "message": "<html>" + "a" * 994},
        "stream_id": "lane",
    }
