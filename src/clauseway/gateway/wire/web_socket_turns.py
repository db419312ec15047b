"""The messages of a WebSocket on `/v1/responses`: each `response.create` is a request as over POST,
each event of its stream a message. Pure.

A message is the body of a POST with three members more: `type`, `stream_id` (the lane that its
events name again) and `generate`. All values stay as they were written.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.wire.members import BadBody
from clauseway.gateway.wire.sse import data_of, end_of_events, events_in

_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NO_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TYPE: Final = b'"response.create"'
_TRUE: Final = msgspec.Raw(b"true")
_LANE_MAX: Final = 200


class SessionRequest(NamedTuple):
    """One request of a session: its body as for a POST, and its lane as JSON; empty: none."""

    body: bytes
    lane: bytes


class MessageNotOffered(Exception):
    """A message that OpenAI knows and nobody answers here. `param` names the member."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.param = param


def request_of(message: bytes) -> SessionRequest:
    """Return the request that a message makes. Raises BadBody, MessageNotOffered."""
    try:
        members = _decode_members(message)
    except _NO_JSON as error:
        raise BadBody(f"The message is no JSON object: {error}.") from None
    kind = bytes(members.pop("type", b""))
    if kind == b'"response.steer"':
        not_yet = "Input cannot be added to a response that is being made; send it after."
        raise MessageNotOffered(not_yet, "type")
    if kind != _TYPE:
        raise BadBody("A message has the type 'response.create'.", "type")
    if bytes(members.pop("generate", _TRUE)) not in (b"true", b"null"):
        raise MessageNotOffered(
            "No cloud prepares a response without making it over POST: leave 'generate' out.",
            "generate",
        )
    if bytes(members.pop("background", b"null")) == b"true":
        raise BadBody("A response in the background is asked for over POST.", "background")
    lane = bytes(members.pop("stream_id", b""))
    if lane and (len(lane) > _LANE_MAX or lane[:1] != b'"'):
        raise BadBody(f"'stream_id' is a text of {_LANE_MAX - 2} bytes at most.", "stream_id")
    members["stream"] = _TRUE
    return SessionRequest(msgspec.json.encode(members), lane)


def in_lane(data: bytes, lane: bytes) -> bytes:
    """Return an event as it is sent in a lane."""
    if not lane or not data.endswith(b"}"):
        return data
    return b'%b,"stream_id":%b}' % (data[:-1], lane)


def message_of_answer(status: int, body: bytes, lane: bytes) -> bytes:
    """Return a whole answer as a message: an error with its status, or a response that a cloud did
    not stream."""
    try:
        members = _decode_members(body)
    except _NO_JSON:
        members = {}
    event: dict[str, object]
    if status == 200:
        event = {"type": "response.completed", "sequence_number": 0, "response": members}
    else:
        error = members.get("error", {"type": "server_error", "message": f"HTTP {status}"})
        event = {"type": "error", "status": status, "error": error}
    return in_lane(msgspec.json.encode(event), lane)


class EventReader:
    """Data of server-sent events, as their bytes come."""

    def __init__(self) -> None:
        self._rest = b""

    def events(self, data: bytes) -> Iterator[bytes]:
        block = self._rest + data
        end = end_of_events(block)
        self._rest = block[end:]
        for event in events_in(block[:end]):
            event_data = data_of(event)
            if event_data and event_data != b"[DONE]":
                yield event_data
