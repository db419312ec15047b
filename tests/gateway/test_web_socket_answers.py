"""Answers of clouds as messages of a WebSocket, however the cloud writes them: a message is JSON in UTF-8, and says in
its type when a turn is over."""

import json

import pytest
from gateway_rig import SECRET, Behaviour, Connection, Received
from gateway_stage import RESPONSE, RESPONSE_DELTAS, RESPONSE_END, RESPONSE_PREAMBLE, Stage, answering
from web_socket_rig import WHOLE, kinds, message, opened, until_end


def streaming(*events: bytes, content_type: str = "text/event-stream") -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        connection.writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        for event in events:
            connection.piece(event)
            await connection.apart()
        connection.end_stream()

    return behave


def whole(status: int, body: bytes) -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        connection.answer(status, body)

    return behave


def without_type(event: bytes) -> bytes:
    """An event whose type stands in its `event:` line alone."""
    line, data = event.split(b"\ndata: ")
    members = json.loads(data)
    del members["type"]
    return b"%b\ndata: %b\n\n" % (line, json.dumps(members).encode())


SAID = RESPONSE_DELTAS[0]
ENDED = [RESPONSE_PREAMBLE, SAID, RESPONSE_END]
# How a cloud writes three events → the delta that the second brings.
STREAMS: dict[str, tuple[Behaviour, str]] = {
    "half of a pair": (
        streaming(RESPONSE_PREAMBLE, SAID.replace(b'"a"', rb'"\ud83d"'), RESPONSE_END),
        "\ud83d",
    ),
    "a byte that is not UTF-8": (
        streaming(RESPONSE_PREAMBLE, SAID.replace(b'"a"', b'"a\xff"'), RESPONSE_END),
        "a\N{REPLACEMENT CHARACTER}",
    ),
    "a byte that is not UTF-8 in the last event": (
        streaming(RESPONSE_PREAMBLE, SAID, RESPONSE_END.replace(b'"id":"resp_1"', b'"id":"resp_1","object":"\xff"')),
        "a",
    ),
    "types in lines of their own": (streaming(*map(without_type, ENDED)), "a"),
    "the type of the stream in capitals": (streaming(*ENDED, content_type="Text/Event-Stream; charset=UTF-8"), "a"),
    "no empty line behind the last event": (streaming(RESPONSE_PREAMBLE, SAID, RESPONSE_END[:-1]), "a"),
    "no line end behind the last event": (streaming(RESPONSE_PREAMBLE, SAID, RESPONSE_END[:-2]), "a"),
    "lines that end in CR LF": (streaming(*[event.replace(b"\n", b"\r\n") for event in ENDED]), "a"),
}


@pytest.mark.parametrize(("cloud", "delta"), STREAMS.values(), ids=STREAMS)
def test_a_stream_is_heard_to_its_end(stage: Stage, cloud: Behaviour, delta: str) -> None:
    scene = stage.scene(cloud)
    with opened(stage.rig.url, SECRET) as session:
        session.send(message(model=scene.model, stream_id="a"))
        events = until_end(session)
        assert kinds(events) == ["response.created", "response.output_text.delta", "response.completed"]
        assert events[1]["delta"] == delta
        assert {event["stream_id"] for event in events} == {"a"}
        scene.clouds[0].behaviour = answering
        session.send(message(model=scene.model))
        assert kinds(until_end(session)) == WHOLE
    assert [outcome[1] for outcome in scene.outcomes()] == ["COMPLETE", "COMPLETE"]


def test_an_event_without_members_is_json(stage: Stage) -> None:
    scene = stage.scene(streaming(RESPONSE_PREAMBLE, SAID, b"data: {}\n\n", RESPONSE_END))
    with opened(stage.rig.url, SECRET) as session:
        session.send(message(model=scene.model, stream_id="a"))
        events = [json.loads(session.recv(10)) for _ in range(4)]
    assert events[2] == {"stream_id": "a"}


SPOKEN = b'"output":[{"type":"message","content":[{"type":"output_text","text":"%b"}]}]'
# The text in a whole response → as the session hears it.
WHOLE_ANSWERS = {
    "half of a pair": (rb"\ud83d", "\ud83d"),
    "a byte that is not UTF-8": (b"\xff", "\N{REPLACEMENT CHARACTER}"),
    "a text": (b"Hello.", "Hello."),
}


@pytest.mark.parametrize(("text", "heard"), WHOLE_ANSWERS.values(), ids=WHOLE_ANSWERS)
def test_a_response_that_is_not_streamed_is_heard(stage: Stage, text: bytes, heard: str) -> None:
    scene = stage.scene(whole(200, RESPONSE.replace(b'"output":[]', SPOKEN % text)))
    with opened(stage.rig.url, SECRET) as session:
        session.send(message(model=scene.model))
        (event,) = until_end(session)
    assert event["response"]["output"][0]["content"][0]["text"] == heard
    assert event["response"]["usage"]["output_tokens"] == 8


@pytest.mark.parametrize(
    ("status", "kind"),
    [("completed", "completed"), ("failed", "failed"), ("incomplete", "incomplete"), ("invented", "completed")],
)
def test_a_response_that_is_not_streamed_has_the_type_of_its_end(stage: Stage, status: str, kind: str) -> None:
    """Clients look at the type alone: a response that failed is not taken for an answer."""
    response = RESPONSE.replace(b'"status":"completed"', b'"status":"%b"' % status.encode())
    scene = stage.scene(whole(200, response))
    with opened(stage.rig.url, SECRET) as session:
        session.send(message(model=scene.model))
        event = json.loads(session.recv(10))
    assert (event["type"], event["response"]["status"]) == (f"response.{kind}", status)


# A cloud's refusal → the error that the session hears.
REFUSALS: dict[str, tuple[bytes, dict[str, str]]] = {
    "OpenAI's": (
        b'{"error":{"type":"invalid_request_error","message":"Too long."}}',
        {"type": "invalid_request_error", "message": "Too long."},
    ),
    "half of a pair in it": (
        rb'{"error":{"type":"invalid_request_error","message":"Not \ud83d."}}',
        {"type": "invalid_request_error", "message": "Not \N{REPLACEMENT CHARACTER}."},
    ),
    "Google's, in a list": (
        b'[{"error":{"status":"INVALID_ARGUMENT","message":"Too long."}}]',
        {"status": "INVALID_ARGUMENT", "message": "Too long."},
    ),
    "a sentence as error": (
        b'{"error":"Too long."}',
        {"type": "invalid_request_error", "message": "Too long."},
    ),
    "a sentence": (b"Too long.", {"type": "invalid_request_error", "message": "Too long."}),
    "FastAPI's": (b'{"detail":"Too long."}', {"type": "invalid_request_error", "message": '{"detail":"Too long."}'}),
    "nothing": (b"", {"type": "invalid_request_error", "message": "HTTP 400"}),
}


@pytest.mark.parametrize(("body", "error"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_heard_in_the_clouds_words(stage: Stage, body: bytes, error: dict[str, str]) -> None:
    scene = stage.scene(whole(400, body))
    with opened(stage.rig.url, SECRET) as session:
        session.send(message(model=scene.model))
        (event,) = until_end(session)
    assert (event["status"], event["error"]) == (400, error)
