"""Claude Code, unmodified, over messages: a turn in which it uses a tool of its own, its usage as it tells it, and
errors. The cloud is scripted, so that the tool that it is made to use is a harmless one."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gateway_rig import NAME_THERE, PRODUCT, SECRET, Connection, Received, Rig, compact, key

from clauseway.gateway.plan import Epoch, Route
from clauseway.metering import Deployment, Status, Unit
from client_packages import NODE, node_packages
from locked_libraries import INSTALL_S

pytestmark = pytest.mark.timeout(INSTALL_S + 300)
RUN_S = 200.0
MODEL = "claude-sonnet-4-5"
TEXT = "Clouds are many."
CALL: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "echo of-a-tool"}}
SAID: dict[str, Any] = {"type": "text", "text": TEXT}
# Each of its two requests: as the cloud reports it, as it is metered, and as Claude Code tells of both.
REPORTED = {
    "input_tokens": 10,
    "cache_read_input_tokens": 300,
    "cache_creation_input_tokens": 7000,
    "cache_creation": {"ephemeral_5m_input_tokens": 5000, "ephemeral_1h_input_tokens": 2000},
    "output_tokens": 20,
}
UNITS = {
    Unit.INPUT_TOKENS: 7310,
    Unit.CACHED_INPUT_TOKENS: 300,
    Unit.CACHE_WRITE_TOKENS: 7000,
    Unit.CACHE_WRITE_1H_TOKENS: 2000,
    Unit.OUTPUT_TOKENS: 20,
}
TOLD = {
    "input_tokens": 20,
    "cache_read_input_tokens": 600,
    "cache_creation_input_tokens": 14000,
    "output_tokens": 40,
}


def has_result(request: Received) -> bool:
    """Return whether the tool's result has come."""
    return any(block["type"] == "tool_result" for block in blocks(request))


def blocks(request: Received) -> list[dict[str, Any]]:
    contents = [message["content"] for message in request.json["messages"]]
    return [block for content in contents if isinstance(content, list) for block in content]


async def cloud(connection: Connection, request: Received) -> None:
    """Ask for a tool first, and answer once its result has come."""
    block, reason = (SAID, "end_turn") if has_result(request) else (CALL, "tool_use")
    empty: dict[str, Any] = {"text": ""} if block is SAID else {"input": {}}
    delta = (
        {"type": "text_delta", "text": TEXT}
        if block is SAID
        else {"type": "input_json_delta", "partial_json": json.dumps(CALL["input"])}
    )
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": NAME_THERE, "content": []}
    begun = {**message, "stop_reason": None, "stop_sequence": None, "usage": {**REPORTED, "output_tokens": 1}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block | empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": REPORTED["output_tokens"]},
        },
        {"type": "message_stop"},
    ]
    connection.begin_stream()
    for event in events:
        connection.piece(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), compact(event)))
    connection.end_stream()


class ClaudeCode:
    def __init__(self, home: Path, rig: Rig) -> None:
        packages = node_packages(NODE / "claude") / "node_modules" / "@anthropic-ai"
        (self._binary,) = packages.glob("claude-code-*/claude")
        self._home = home
        self.rig = rig

    def ask(self, model: str = MODEL, secret: str = SECRET) -> dict[str, Any]:
        """Run one turn without a terminal; what it says of it."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "ANTHROPIC_BASE_URL": self.rig.url,
            "ANTHROPIC_API_KEY": secret,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",
        }
        command = [str(self._binary), "--print", "--model", model, "--output-format", "json", "--allowedTools", "Bash"]
        done = subprocess.run(
            [*command, "--", "Which cloud is this?"],
            cwd=self._home,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )
        assert done.stdout, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result


@pytest.fixture(scope="module")
def claude_code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaudeCode]:
    with Rig(tmp_path_factory.mktemp("gateway")) as rig:
        its = rig.cloud("anthropic", cloud)
        url = f"http://127.0.0.1:{its.port}/v1"
        label = Deployment("anthropic-1", "anthropic", "anthropic", "us", PRODUCT, NAME_THERE)
        target = rig.target("anthropic", its.port, url=url, dialect="anthropic", label=label)
        plan = rig.plan(
            [msgspec.structs.replace(target, output_tokens_max=64_000)],
            models={MODEL: PRODUCT},
            epochs=(Epoch(begin_ns=0, routes={f"anthropic|{PRODUCT}|direct": Route(candidates=((0, 0),))}),),
            keys=(key(SECRET, "anthropic"),),
        )
        rig.start(plan)
        yield ClaudeCode(tmp_path_factory.mktemp("claude"), rig)
        assert "Traceback" not in rig.errors()


def test_a_turn_with_a_tool(claude_code: ClaudeCode) -> None:
    outcome = claude_code.ask()
    assert (outcome["is_error"], outcome["result"]) == (False, TEXT), outcome
    assert {name: outcome["usage"][name] for name in TOLD} == TOLD
    requests = claude_code.rig.clouds["anthropic"].requests
    assert [request.json["model"] for request in requests] == [NAME_THERE, NAME_THERE]
    (result,) = [block for block in blocks(requests[-1]) if block["type"] == "tool_result"]
    # It adds how many tokens are left to the result.
    assert (result["tool_use_id"], result["content"].split("\n")[0]) == ("toolu_1", "of-a-tool")
    # Beta features that it asks for reach the cloud.
    assert "claude-code-" in (requests[0].header("anthropic-beta") or "")
    records = claude_code.rig.records()
    assert [record.status for record in records] == [Status.COMPLETE, Status.COMPLETE]
    assert [dict(record.units) for record in records] == [UNITS, UNITS]


ERRORS = [
    ("a model that is not served", {"model": "claude-9"}, "claude-9"),
    ("a key that nobody has", {"secret": "sk-nobody"}, "Incorrect API key provided"),
]


@pytest.mark.parametrize(("asked", "words"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS])
def test_it_tells_our_errors(claude_code: ClaudeCode, asked: dict[str, str], words: str) -> None:
    result = claude_code.ask(**asked)
    assert result["is_error"]
    assert words in result["result"]
