"""A text of any length is read once, whatever it says: errors quote what clients write, and while one is read nobody
else is served."""

import os
from collections.abc import Callable
from pathlib import Path
from time import process_time

import httpx
import pytest
from gateway_rig import AUTHORIZED, MODEL, PATIENCE_S, Rig

from clauseway.gateway.request.failures import failure_of
from clauseway.gateway.wire.bodies.identifiers import identifiers_in_lines
from clauseway.gateway.wire.errors import without_our_names
from clauseway.gateway.wire.sse import events_in

# To go through so many bytes from each of them takes seconds.
LENGTH = 40_000


def repeated(written: bytes) -> bytes:
    return written * (LENGTH // len(written))


TEXTS: dict[str, Callable[[], object]] = {
    "hyphens in an error": lambda: without_our_names(b'{"detail":"%b"}' % repeated(b"a-")),
    "an event without an empty line": lambda: list(events_in(b"data: %b\r\n" % repeated(b"x"))),
    "lists that do not end": lambda: identifiers_in_lines(repeated(b'"file_ids":[')),
    "many models in a refusal": lambda: failure_of(404, b"", b'{"message":"%b"}' % repeated(b"model "), 0.0),
}


@pytest.mark.parametrize("read", TEXTS.values(), ids=TEXTS)
def test_a_text_is_read_once(read: Callable[[], object]) -> None:
    begin = process_time()
    read()
    assert process_time() - begin < 0.3


def test_a_request_that_names_many_items_costs_as_much_as_they_are(tmp_path: Path) -> None:
    """With each that was looked up, the names of all were copied."""
    thoughts = [{"type": "reasoning", "id": f"rs_{number}", "summary": []} for number in range(16_000)]
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("openai")
        rig.start()
        before_s = processor_s(rig)
        body = {"model": MODEL, "input": thoughts}
        httpx.post(f"{rig.url}/v1/responses", json=body, headers=AUTHORIZED, timeout=PATIENCE_S)
        assert len(cloud.requests) == 1
        assert processor_s(rig) - before_s < 1.2


def processor_s(rig: Rig) -> float:
    """The processor time of a gateway."""
    assert rig.process is not None
    fields = Path(f"/proc/{rig.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
