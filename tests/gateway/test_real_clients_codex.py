"""Codex, unmodified, over responses: a turn in which it uses a tool of its own, and errors. The cloud is scripted, so
that the tool that it is made to use is a harmless one."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_rig import MODEL, NAME_THERE, SECRET, Connection, Received, Rig, compact

from clauseway.metering import Status, Unit
from client_packages import NODE, node_packages
from locked_libraries import INSTALL_S

pytestmark = pytest.mark.timeout(INSTALL_S + 300)
RUN_S = 200.0
PLAN = {"plan": [{"step": "Look up", "status": "completed"}]}
TEXT = "Clouds are many."
USAGE = {
    "input_tokens": 9000,
    "input_tokens_details": {"cached_tokens": 4000, "cache_write_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 9020,
}
UNITS = {
    Unit.INPUT_TOKENS: 9000,
    Unit.CACHED_INPUT_TOKENS: 4000,
    Unit.CACHE_WRITE_TOKENS: 0,
    Unit.OUTPUT_TOKENS: 20,
    Unit.REASONING_TOKENS: 5,
}


def call_of_a_tool() -> dict[str, Any]:
    arguments = json.dumps(PLAN)
    return {
        "id": "fc_1",
        "type": "function_call",
        "call_id": "call_1",
        "name": "update_plan",
        "arguments": arguments,
        "status": "completed",
    }


def message() -> dict[str, Any]:
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


async def cloud(connection: Connection, request: Received) -> None:
    """Ask for a tool first, and answer once its result has come."""
    answered = any(item["type"] == "function_call_output" for item in request.json["input"])
    item = message() if answered else call_of_a_tool()
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": NAME_THERE,
        "status": "in_progress",
        "output": [],
    }
    connection.begin_stream()
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "status": "in_progress"}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {
            "type": "response.completed",
            "response": {**response, "status": "completed", "output": [item], "usage": USAGE},
        },
    ]
    for number, event in enumerate(events):
        data = compact({**event, "sequence_number": number})
        connection.piece(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data))
    connection.end_stream()


class Codex:
    def __init__(self, home: Path, rig: Rig) -> None:
        (self._binary,) = (node_packages(NODE / "codex") / "node_modules" / "@openai").glob(
            "codex-*/vendor/*/bin/codex"
        )
        self._home = home
        self.rig = rig

    def ask(self, model: str = MODEL, secret: str = SECRET) -> list[dict[str, Any]]:
        """Run one turn without a terminal; what it says of it."""
        (self._home / "config.toml").write_text(f"""
model = "{model}"
model_provider = "clauseway"
check_for_update_on_startup = false
analytics.enabled = false

[model_providers.clauseway]
name = "Clauseway"
base_url = "{self.rig.url}/v1"
env_key = "CLAUSEWAY_KEY"
wire_api = "responses"
""")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._home), "CODEX_HOME": str(self._home)}
        command = [str(self._binary), "exec", "--skip-git-repo-check", "--json", "--sandbox", "read-only"]
        done = subprocess.run(
            [*command, "Which cloud is this?"],
            cwd=self._home,
            env={**environment, "CLAUSEWAY_KEY": secret},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert events, done.stderr
        return events


@pytest.fixture(scope="module")
def codex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Codex]:
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        rig.cloud("openai", cloud)
        rig.start()
        yield Codex(tmp_path_factory.mktemp("codex"), rig)


def test_a_turn_with_a_tool(codex: Codex) -> None:
    events = codex.ask()
    said = [event["item"]["text"] for event in events if event.get("item", {}).get("type") == "agent_message"]
    assert said == [TEXT], events
    assert events[-1]["type"] == "turn.completed"
    assert events[-1]["usage"]["output_tokens"] == 40
    requests = codex.rig.clouds["openai"].requests
    assert [request.json["model"] for request in requests] == [NAME_THERE, NAME_THERE]
    (result,) = [item for item in requests[-1].json["input"] if item["type"] == "function_call_output"]
    assert result["call_id"] == "call_1"
    records = codex.rig.records()
    assert [record.status for record in records] == [Status.COMPLETE, Status.COMPLETE]
    assert [dict(record.units) for record in records] == [UNITS, UNITS]


ERRORS = [
    ("a model that is not served", {"model": "gpt-9"}, "The model 'gpt-9' does not exist here"),
    ("a key that nobody has", {"secret": "sk-nobody"}, "Incorrect API key provided"),
]


@pytest.mark.parametrize(("asked", "words"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS])
def test_it_tells_our_errors(codex: Codex, asked: dict[str, str], words: str) -> None:
    events = codex.ask(**asked)
    assert events[-1]["type"] == "turn.failed"
    assert words in events[-1]["error"]["message"]
