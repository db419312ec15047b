"""Python interprets nothing of a chat, where the gateway is compiled, and little of a stream."""

import json
import tomllib
from pathlib import Path

import httpx
import pytest
from gateway_rig import AUTHORIZED, MODEL, PATIENCE_S, Rig

ROOT = Path(__file__).parents[2]
COUNTING = str(Path(__file__).with_name("interpreting_gateway.py"))
HOOKS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
COMPILED = {path.removeprefix("/src") for path in HOOKS["mypyc"]["include"]}
REQUESTS = 40
# The records of the first are decoded by msgspec, from which a compiled class hides its fields. The second is asked
# once, when the stream begins.
OF_A_STREAM = {"/clauseway/gateway/wire/stream_chunks.py", "/clauseway/gateway/wire/event_streams.py"}


@pytest.mark.parametrize(("stream", "interpreted"), [(False, set()), (True, OF_A_STREAM)], ids=["a chat", "a stream"])
def test_what_each_request_goes_through_is_compiled(tmp_path: Path, stream: bool, interpreted: set[str]) -> None:
    """In a gateway of the sources, functions of modules that the wheel compiles are interpreted and left out here."""
    counted = tmp_path / "counted"
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        rig.start(rig.plan(), launcher=(COUNTING, str(counted)))
        # As long as most: a short body is decoded whole, which is cheaper than to remember its parameters.
        body = {"model": MODEL, "messages": [{"role": "user", "content": 100 * "What is owed? "}], "stream": stream}
        with httpx.Client(timeout=PATIENCE_S) as client:  # one connection
            for _ in range(REQUESTS):
                answer = client.post(f"{rig.url}/v1/chat/completions", json=body, headers=AUTHORIZED)
                assert answer.status_code == 200
        rig.stop()
    calls = json.loads(counted.read_text())
    assert calls, "the gateway's start is interpreted"
    of_each = {(path, name) for path, name, number in calls if number >= REQUESTS and path not in COMPILED}
    assert {path for path, _ in of_each} == interpreted, sorted(of_each)
