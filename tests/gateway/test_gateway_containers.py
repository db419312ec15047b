"""Containers in which a cloud ran code: named by an answer, used again by the project that got it, and by no other."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import MODEL, PATIENCE_S, SECRET, Connection, Received, Rig, compact, key

RIVAL_SECRET = "sk-test-rival"
MESSAGE = [{"role": "user", "content": "Go on."}]
CODE_OF_MESSAGES = {"type": "code_execution_20250825", "name": "code_execution"}


def response(container: str, status: str = "completed", *, by_shell: bool = False) -> dict[str, Any]:
    called: dict[str, Any] = {"type": "code_interpreter_call", "id": "ci_1", "container_id": container}
    if by_shell:
        reference = {"type": "container_reference", "container_id": container}
        called = {"type": "shell_call", "id": "sh_1", "call_id": "c", "environment": reference}
    called["status"] = "completed"
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []}
    usage = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
    # An item that is no object, and those whose names are none, hide no other.
    output = [None, {"id": 5, "container_id": 6}, {"id": "sh_0", "environment": "unreadable"}, called, said]
    return {"id": "resp_1", "object": "response", "status": status, "model": MODEL, "output": output, "usage": usage}


def message(container: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "Done."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 3},
        "container": {"id": container, "expires_at": "2026-11-28T00:00:00Z"},
    }


def response_events(container: str) -> list[dict[str, Any]]:
    return [
        {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "delta": "Done."},
        {"type": "response.completed", "response": response(container)},
    ]


def message_events(container: str) -> list[dict[str, Any]]:
    """The vendor names it at the end; at the beginning there is none yet."""
    whole = message(container)
    held = whole.pop("container")
    return [
        {"type": "message_start", "message": {**whole, "content": [], "container": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Done."}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "container": held},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]


def uses(path: str, container: str) -> list[dict[str, Any]]:
    """The ways in which a request names a container."""
    if path == "messages":
        asked = {"model": MODEL, "max_tokens": 9, "messages": MESSAGE, "tools": [CODE_OF_MESSAGES]}
        return [{**asked, "container": named} for named in (container, {"id": container, "skills": []})]
    shell = {"type": "shell", "environment": {"type": "container_reference", "container_id": container}}
    tools: list[dict[str, Any]] = [{"type": "code_interpreter", "container": container}, shell]
    called = {**shell, "type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
    items: list[dict[str, Any]] = [{"type": "additional_tools", "role": "developer", "tools": [tool]} for tool in tools]
    items.append({"type": "tool_search_output", "call_id": None, "tools": [{"type": "namespace", "tools": tools}]})
    return [{"model": MODEL, "input": "Go on.", "tools": [tool]} for tool in tools] + [
        {"model": MODEL, "input": [*MESSAGE, item]} for item in (*items, called)
    ]


class Account:
    """A cloud that runs code in a container of its own naming, or in the one that a request names."""

    container = "cntr_0"
    by_shell = False

    async def __call__(self, connection: Connection, request: Received) -> None:
        path, asked = request.head.split(b" ")[1].rpartition(b"/")[2], request.json
        messages = path == b"messages"
        if not asked.get("stream"):
            answer = message(self.container) if messages else response(self.container, by_shell=self.by_shell)
            connection.answer(200, compact(answer))
            return
        connection.begin_stream()
        for event in (message_events if messages else response_events)(self.container):
            connection.piece(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), compact(event)))
        connection.end_stream()


class Stage:
    def __init__(self, rig: Rig, account: Account) -> None:
        self.rig = rig
        self.account = account

    def post(self, path: str, body: dict[str, Any] | bytes, secret: str = SECRET) -> httpx.Response:
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
        content = body if isinstance(body, bytes) else compact(body)
        return httpx.post(f"{self.rig.url}/v1/{path}", content=content, headers=headers, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    account, theirs = Account(), msgspec.structs.replace(key(RIVAL_SECRET, "openai"), project="theirs")
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        port = rig.cloud("azure", account).port
        targets = [rig.target("azure", port), rig.target("anthropic", port, dialect="anthropic")]
        rig.start(rig.plan(targets, keys=(key(SECRET, "openai"), theirs)))
        yield Stage(rig, account)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("path", "more"), [("responses", {}), ("responses", {"store": False}), ("messages", {})])
def test_a_container_is_of_the_project_whose_answer_named_it(
    stage: Stage, path: str, more: dict[str, Any], streamed: bool
) -> None:
    stage.account.container = container = f"cntr_{path}_{len(more)}_{streamed}"
    cloud = stage.rig.clouds["azure"]
    new: dict[str, Any] = {**uses(path, "")[0], **more, "stream": streamed}
    if path == "messages":
        # Tools of other names run code too.
        del new["container"], new["tools"]
    else:
        new["tools"] = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    assert stage.post(path, new).status_code == 200
    for body in uses(path, container):
        before = len(cloud.requests)
        assert stage.post(path, body).status_code == 200
        refused = stage.post(path, body, RIVAL_SECRET)
        assert (refused.status_code, container in refused.text) == (404, True), refused.text
        assert len(cloud.requests) == before + 1, "nothing of it reached the cloud"


def test_a_container_of_a_shell_is_learned_from_its_call(stage: Stage) -> None:
    stage.account.container, stage.account.by_shell = "cntr_shell", True
    try:
        new = {"model": MODEL, "input": "Go on.", "store": False}
        (*_, called, _) = stage.post("responses", new).json()["output"]
    finally:
        stage.account.by_shell = False
    again = {**new, "input": [*MESSAGE, called]}  # as a client does that keeps the conversation itself
    assert stage.post("responses", again).status_code == 200
    assert stage.post("responses", again, RIVAL_SECRET).status_code == 404


def test_a_container_of_an_earlier_call_is_of_nobody_else(stage: Stage) -> None:
    """A tool whose container is `auto` goes on in the one of an earlier call."""
    stage.account.container = "cntr_called"
    tools = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    (*_, called, _) = stage.post("responses", {"model": MODEL, "input": "Run.", "tools": tools}).json()["output"]
    items = [called, {**called, "id": None}, {**called, "id": "ci_made_up"}]
    for item in items:
        again = {"model": MODEL, "tools": tools, "input": [*MESSAGE, item]}
        refused = stage.post("responses", compact(again).replace(b"container_id", rb"c\u006fntainer_id"), RIVAL_SECRET)
        assert (refused.status_code, "There is no 'cntr_called'" in refused.text) == (404, True), refused.text
        assert stage.post("conversations", {"items": [item]}, RIVAL_SECRET).status_code == 404
        assert stage.post("responses", again).status_code == 200
    # One from before an upgrade, or of a server that names none here, is of whoever sends it.
    unknown = {"model": MODEL, "input": [{**called, "container_id": "cntr_of_before"}]}
    assert stage.post("responses", unknown, RIVAL_SECRET).status_code == 200


def test_a_container_is_looked_for_in_a_conversation_too(stage: Stage) -> None:
    asked = len(stage.rig.clouds["azure"].requests)
    for body in uses("responses", "cntr_guessed"):
        if isinstance(body["input"], list):
            assert stage.post("conversations", {"items": body["input"]}).status_code == 404
    assert len(stage.rig.clouds["azure"].requests) == asked, "nothing of it reached the cloud"


@pytest.mark.parametrize("path", ["responses", "messages"])
def test_a_container_that_no_answer_named_is_not_found(stage: Stage, path: str) -> None:
    cloud, asked = stage.rig.clouds["azure"], len(stage.rig.clouds["azure"].requests)
    # A tool beside it does not hide it.
    beside = [{"type": "function", "function": "unreadable"}]
    hidden = [{**body, "tools": [*beside, *body["tools"]]} for body in uses(path, "cntr_guessed") if "tools" in body]
    for tool in (tool for body in hidden for tool in body["tools"] if "container" in tool):
        tool["environment"] = "unreadable"
    for body in [*uses(path, "cntr_guessed"), *hidden]:
        refused = stage.post(path, compact(body).replace(b"container", rb"c\u006fntainer"))
        assert refused.status_code == 404, refused.text
    assert len(cloud.requests) == asked, "nothing of it reached the cloud"


TWICE = [
    ("responses", '{"model":"M","input":"x","tools":[{"type":"code_interpreter","container":"a","container":"b"}]}'),
    (
        "responses",
        '{"model":"M","input":"x","tools":[{"type":"shell","environment":{"container_id":"a","container_id":"b"}}]}',
    ),
    ("responses", '{"model":"M","input":[{"type":"item_reference","id":"a","id":"b"}]}'),
    ("responses", '{"model":"M","input":[{"type":"additional_tools","tools":[],"tools":[{}]}]}'),
    ("responses", '{"model":"M","input":[{"type":"additional_tools","tools":[{"container":"a","container":"b"}]}]}'),
    ("responses", '{"model":"M","input":[{"environment":{"container_id":"a"},"environment":{}}]}'),
    ("responses", '{"model":"M","input":[{"container_id":"a","container_id":"b"}]}'),
    ("messages", '{"model":"M","max_tokens":9,"messages":[],"container":{"id":"a","id":"b"}}'),
    ("messages", '{"model":"M","max_tokens":9,"messages":[],"container":"a","container":"b"}'),
]


@pytest.mark.parametrize(("path", "body"), TWICE)
def test_a_name_that_stands_twice_is_refused(stage: Stage, path: str, body: str) -> None:
    """A cloud could take the other one."""
    asked = len(stage.rig.clouds["azure"].requests)
    refused = stage.post(path, body.replace('"M"', f'"{MODEL}"').encode())
    assert (refused.status_code, "stands more than once" in refused.text) == (400, True), refused.text
    assert len(stage.rig.clouds["azure"].requests) == asked, "nothing of it reached the cloud"
