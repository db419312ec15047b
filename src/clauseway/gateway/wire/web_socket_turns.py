"""The messages of a WebSocket on `/v1/responses`: each `response.create` is a request as over POST,
each event of its stream a message. Pure.

A message is the body of a POST with three members more: `type`, `stream_id` (the lane that its
events name again) and `generate`. All values stay as they were written.

`generate: false` prepares a turn: its input is kept, under an identifier of ours, and goes ahead of
the input of the turn that names the identifier as `previous_response_id`.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.decoding import check_depth, check_elements, why_not_json
from clauseway.gateway.wire.bodies.members import members_once
from clauseway.gateway.wire.bodies.needs import ABSENT
from clauseway.gateway.wire.bodies.requests import READ_OF_RESPONSES
from clauseway.gateway.wire.sse import UnendedEvent, data_of, events_in, type_in_line
from clauseway.values import NOT_JSON

_decode_items: Final = msgspec.json.Decoder(tuple[msgspec.Raw, ...] | None).decode
_decode_text: Final = msgspec.json.Decoder(str | None).decode
_TYPE: Final = b'"response.create"'
_TRUE: Final = msgspec.Raw(b"true")
_NULL: Final = msgspec.Raw(b"null")
# A message is written anew for the cloud, which would hide from the POST's own check that a member
# stood twice.
_READ: Final = READ_OF_RESPONSES | {"type", "stream_id", "generate"}
_LANE_MAX: Final = 200
# The last event of a turn: whoever hears it sends the next one.
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})


class _Typed(msgspec.Struct, frozen=True, gc=False):
    type: str = ""


class _Ended(msgspec.Struct, frozen=True, gc=False):
    status: str = ""


class _Refused(msgspec.Struct, frozen=True, gc=False):
    error: msgspec.Raw = ABSENT


_decode_type: Final = msgspec.json.Decoder(_Typed).decode
_decode_ended: Final = msgspec.json.Decoder(_Ended).decode
# Google wraps a body in a list.
_decode_refused: Final = msgspec.json.Decoder(_Refused | list[_Refused]).decode
# An error is some hundred bytes; a page of HTML is not repeated to its end.
_WORDS_MAX: Final = 1000


class PreparedInput(NamedTuple):
    """The input of a `generate: false`. `follows` is its own `previous_response_id`, as JSON."""

    identifier: str
    items: tuple[msgspec.Raw, ...]
    follows: msgspec.Raw


class SessionRequest(NamedTuple):
    """One request of a session: its body as for a POST, and its lane as JSON; empty: none."""

    body: bytes
    lane: bytes


class SessionPreparation(NamedTuple):
    """A `generate: false`: the input to keep, and the model that it is meant for, as JSON."""

    items: tuple[msgspec.Raw, ...]
    follows: msgspec.Raw
    model: msgspec.Raw
    lane: bytes

    def keep_as(self, identifier: str) -> PreparedInput:
        return PreparedInput(identifier, self.items, self.follows)


class SessionSteering(NamedTuple):
    """A `response.steer`: input for a response that is being made, and that response, as JSON."""

    previous_response_id: msgspec.Raw
    items: msgspec.Raw


def request_of(
    message: bytes, prepared: PreparedInput | None = None
) -> SessionRequest | SessionPreparation | SessionSteering:
    """Return what a message asks for; `prepared` is what the session keeps. Raises BadBody."""
    check_depth(message, "The message")
    check_elements(message)
    try:
        members = members_once(message, _READ)
    except msgspec.ValidationError as error:
        raise BadBody(f"The message is no JSON object: {error}.") from None
    except NOT_JSON as error:
        raise BadBody(why_not_json(message, error, "The message")) from None
    kind = bytes(members.pop("type", b""))
    if kind == b'"response.steer"':
        return _steering_of(members)
    if kind != _TYPE:
        raise BadBody("A message has the type 'response.create'.", "type")
    if bytes(members.pop("background", b"null")) == b"true":
        raise BadBody("A response in the background is asked for over POST.", "background")
    lane = bytes(members.pop("stream_id", b""))
    # Two more for the quotes: the lane is kept as it was written.
    if lane and (len(lane) > _LANE_MAX or lane[:1] != b'"'):
        raise BadBody(f"'stream_id' is a text of {_LANE_MAX - 2} bytes at most.", "stream_id")
    generate = bytes(members.pop("generate", _TRUE))
    if generate not in (b"true", b"false", b"null"):
        raise BadBody("'generate' is true or false.", "generate")
    # The prepared input was never sent: it goes ahead, and the cloud's own identifier, if any,
    # takes the place of ours.
    if prepared is not None and _names(members, prepared):
        members["input"] = _joined((*prepared.items, *_items_of(members)))
        members["previous_response_id"] = prepared.follows
    if generate == b"false":
        follows = members.get("previous_response_id", _NULL)
        return SessionPreparation(_items_of(members), follows, members.get("model", _NULL), lane)
    members["stream"] = _TRUE
    return SessionRequest(msgspec.json.encode(members), lane)


def _steering_of(members: dict[str, msgspec.Raw]) -> SessionSteering:
    """Return the steering that a message asks for. Raises BadBody."""
    previous, items = members.get("previous_response_id", _NULL), members.get("input", _NULL)
    if bytes(previous)[:1] != b'"':
        raise BadBody("A steering names its response.", "previous_response_id")
    if bytes(items)[:1] not in (b'"', b"["):
        raise BadBody("The input of a steering is a text or a list.", "input")
    return SessionSteering(previous, items)


def _names(members: dict[str, msgspec.Raw], prepared: PreparedInput) -> bool:
    try:
        named: str | None = _decode_text(members.get("previous_response_id", _NULL))
    except NOT_JSON:
        return False
    return named == prepared.identifier


def _items_of(members: dict[str, msgspec.Raw]) -> tuple[msgspec.Raw, ...]:
    """Return the items of an input, each as it was written; a text is a user's message. Raises
    BadBody."""
    text = bytes(members.get("input", _NULL))
    if text.startswith(b'"'):
        return (msgspec.Raw(b'{"role":"user","content":%b}' % text),)
    try:
        return _decode_items(text) or ()
    except NOT_JSON as error:
        raise BadBody(f"'input' is a text or a list: {error}.", "input") from None


def _joined(items: tuple[msgspec.Raw, ...]) -> msgspec.Raw:
    return msgspec.Raw(b"[%b]" % b",".join(map(bytes, items)))


def events_of_preparation(
    preparation: SessionPreparation, identifier: str, created_s: int
) -> Iterator[bytes]:
    """Yield the events that answer a preparation: a response that has no output and used
    nothing."""
    usage = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    response = {
        "id": identifier,
        "object": "response",
        "created_at": created_s,
        "model": preparation.model,
        "output": [],
        "previous_response_id": preparation.follows,
    }
    begun = {**response, "status": "in_progress", "usage": None}
    ended = {**response, "status": "completed", "usage": usage}
    for number, (kind, state) in enumerate(
        (("response.created", begun), ("response.completed", ended))
    ):
        event = {"type": kind, "sequence_number": number, "response": state}
        yield in_lane(msgspec.json.encode(event), preparation.lane)


def event_of_steering(steering: SessionSteering) -> bytes:
    """Return the event that gives the input of a steering back, as from a model that cannot be
    steered: clouds are asked over POST, where nothing is added to a response."""
    message = (
        "Input cannot be added here to a response that is being made. Send it with the next "
        "response.create, with previous_response_id."
    )
    event = {
        "type": "response.steer.failed",
        "sequence_number": 0,
        "steer": {"previous_response_id": steering.previous_response_id, "input": steering.items},
        "error": {
            "type": "invalid_request_error",
            "code": "steering_not_supported",
            "message": message,
        },
    }
    return msgspec.json.encode(event)


def in_lane(data: bytes, lane: bytes) -> bytes:
    """Return an event as it is sent in a lane."""
    return _with_member(data, b"stream_id", lane) if lane else data


def _with_member(data: bytes, name: bytes, value: bytes) -> bytes:
    """Return a JSON object with one member more; what is no object as it is."""
    if not (data.startswith(b"{") and data.endswith(b"}")):
        return data
    others = data[1:-1].strip()
    return b'{%b%b"%b":%b}' % (others, b"," if others else b"", name, value)


def message_of_answer(status: int, body: bytes, lane: bytes) -> bytes:
    """Return a whole answer as a message: an error with its status, or a response that a cloud did
    not stream, as it was written."""
    if status == 200:
        event = b'{"type":"%b","sequence_number":0,"response":%b}' % (_end_of(body), body.strip())
    else:
        members = {"type": "error", "status": status, "error": _error_in(status, body)}
        event = msgspec.json.encode(members)
    return in_lane(event, lane)


def _end_of(response: bytes) -> bytes:
    """Return the type of the event that would have ended the stream of a whole response."""
    try:
        kind = f"response.{decode_with_half_pairs(_decode_ended, response).status}"
    except NOT_JSON:
        kind = ""
    return kind.encode() if kind in _ENDS else b"response.completed"


def _error_in(status: int, body: bytes) -> object:
    """Return the error of a refusal: the object that the cloud wrote, or its words in one."""
    try:
        refused = decode_with_half_pairs(_decode_refused, body)
    except NOT_JSON:
        refused = _Refused()
    if isinstance(refused, list):
        refused = refused[0] if refused else _Refused()
    error = refused.error
    if bytes(error).startswith(b"{"):
        return error
    words = body[:_WORDS_MAX].decode("utf-8", "replace").strip()
    kind = "invalid_request_error" if status < 500 else "server_error"
    message = error if bytes(error).startswith(b'"') else words or f"HTTP {status}"
    return {"type": kind, "message": message}


class TurnEvent(NamedTuple):
    """An event of a turn's stream: its data, and whether it is the last of its turn."""

    data: bytes
    ends_turn: bool


class EventReader:
    """Reads the data of server-sent events from bytes as they come."""

    def __init__(self) -> None:
        self._unended = UnendedEvent()

    def events(self, data: bytes) -> Iterator[TurnEvent]:
        """Yield each event that is whole now; none without data, and no `[DONE]`."""
        for event in events_in(self._unended.ended_by(data)):
            event_data = data_of(event)
            if event_data and event_data != b"[DONE]":
                yield _turn_event(event, event_data)


def _turn_event(event: bytes, data: bytes) -> TurnEvent:
    """Return an event with its type in its data: a message has no other place for it, and some
    servers write it in the event's own line alone."""
    try:
        kind = decode_with_half_pairs(_decode_type, data).type
    except NOT_JSON:
        kind = ""
    in_line = type_in_line(event) if not kind else ""
    if in_line:
        data = _with_member(data, b"type", msgspec.json.encode(in_line))
    return TurnEvent(data, (kind or in_line) in _ENDS)
