"""Sessions over a WebSocket, for tests of what becomes of them."""

import asyncio
import json
import threading
from typing import Any

import pytest
from gateway_rig import MODEL, PATIENCE_S, Connection, Received
from gateway_stage import RESPONSE_DELTAS, RESPONSE_END, RESPONSE_PREAMBLE
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

# The events of a whole turn.
WHOLE = ["response.created", *["response.output_text.delta"] * 3, "response.completed"]


class Halting:
    """A cloud that stops in the middle of a stream until it may go on."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    async def __call__(self, connection: Connection, _: Received) -> None:
        connection.begin_stream()
        connection.piece(RESPONSE_PREAMBLE + RESPONSE_DELTAS[0])
        await connection.writer.drain()
        self.begun.set()
        await asyncio.to_thread(self.may_go_on.wait, PATIENCE_S)
        for event in (*RESPONSE_DELTAS[1:], RESPONSE_END):
            connection.piece(event)
        connection.end_stream()


def opened(url: str, secret: str) -> ClientConnection:
    """Open a session at the gateway of an HTTP address."""
    address = url.removesuffix("/v1").replace("http://", "ws://", 1) + "/v1/responses"
    head = {"authorization": f"Bearer {secret}"}
    return connect(address, additional_headers=head, compression=None)


def message(**members: object) -> str:
    asked = {"type": "response.create", "model": MODEL, "input": "Hello.", "store": False}
    return json.dumps({**asked, **members})


def until_end(session: ClientConnection) -> list[dict[str, Any]]:
    """Return the events of a turn."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in ("response.completed", "error"):
        events.append(json.loads(session.recv(PATIENCE_S)))
    return events


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def closing_of(session: ClientConnection) -> tuple[int, str]:
    """Wait until the gateway closes a session; its code and reason."""
    with pytest.raises(ConnectionClosed) as closed:
        session.recv(PATIENCE_S)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason
