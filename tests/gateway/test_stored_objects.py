"""An answer that was cut short, or asked for twice, is kept by its cloud: its project can read and delete it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gateway_rig import (
    AUTHORIZED,
    MESSAGES,
    MODEL,
    PATIENCE_S,
    Connection,
    ReadsBroken,
    Received,
    Rig,
    chunk_event,
    compact,
)
from gateway_stage import RESPONSE_USAGE, typed

FAILED = {"id": "made", "status": "failed", "error": {"code": "server_error", "message": "x"}, "usage": RESPONSE_USAGE}
RESPONSE = (
    typed("response.created", 0, response={"id": "made", "status": "in_progress"}),
    typed("response.output_text.delta", 1, delta="a"),
)
TOLD_TO_FAIL = (
    typed("error", 2, code="server_error", message="x", param=None),
    typed("response.failed", 3, response=FAILED),
)
CHAT = (
    chunk_event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}], id="made"),
    chunk_event([{"index": 0, "delta": {"content": "a"}, "finish_reason": None}], id="made"),
)


class Account:
    """A cloud that keeps `made`, and breaks off its stream after some events; `ends_in_order`: without its last one."""

    def __init__(self) -> None:
        self.events: tuple[bytes, ...] = ()
        self.ends_in_order = False

    async def __call__(self, connection: Connection, request: Received) -> None:
        method = request.head.split(b" ")[0]
        if method != b"POST":
            connection.answer(200, compact({"id": "made", "object": "response", "deleted": method == b"DELETE"}))
            return
        connection.begin_stream()
        for event in self.events:
            connection.piece(event)
            await connection.apart()
        if self.ends_in_order:
            connection.end_stream()
        else:
            connection.drop()


@pytest.fixture
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Account, str]]:
    account = Account()
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        rig.cloud("azure", account)
        rig.start()
        yield account, rig.url


CUT_SHORT: list[tuple[str, dict[str, Any], tuple[bytes, ...], bool]] = [
    ("responses", {"input": "Hi"}, RESPONSE, False),
    ("responses", {"input": "Hi"}, RESPONSE, True),
    ("responses", {"input": "Hi"}, (*RESPONSE, *TOLD_TO_FAIL), True),
    ("chat/completions", {"messages": MESSAGES, "store": True}, CHAT, False),
    ("chat/completions", {"messages": MESSAGES, "store": True}, CHAT, True),
]


@pytest.mark.parametrize(("path", "asked", "events", "ends_in_order"), CUT_SHORT)
def test_what_a_stream_named_before_it_broke_is_its_projects(
    account: tuple[Account, str], path: str, asked: dict[str, Any], events: tuple[bytes, ...], ends_in_order: bool
) -> None:
    cloud, url = account
    cloud.events, cloud.ends_in_order = events, ends_in_order
    base_url = f"{url}/v1/"
    with httpx.Client(transport=ReadsBroken(), base_url=base_url, headers=AUTHORIZED, timeout=PATIENCE_S) as client:
        broken = client.post(path, json={"model": MODEL, "stream": True, **asked})
        assert ("stream_interrupted" in broken.text or "server_error" in broken.text) is True, broken.text
        assert client.get(f"{path}/made").status_code == 200
        assert client.delete(f"{path}/made").status_code == 200
        assert client.get(f"{path}/made").status_code == 404, "it is deleted"


def test_what_a_broken_stream_did_not_keep_is_nobodys(account: tuple[Account, str]) -> None:
    cloud, url = account
    cloud.events = RESPONSE
    base_url = f"{url}/v1/"
    with httpx.Client(transport=ReadsBroken(), base_url=base_url, headers=AUTHORIZED, timeout=PATIENCE_S) as client:
        client.post("responses", json={"model": MODEL, "stream": True, "input": "Hi", "store": False})
        assert client.get("responses/made").status_code == 404
