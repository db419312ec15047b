"""A text of any length is read once, whatever it says: errors quote what clients write, and while one is read nobody
else is served."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
from gateway_rig import AUTHORIZED, MODEL, PATIENCE_S, Rig

from clauseway.gateway.request.failures import failure_of
from clauseway.gateway.wire.bodies.identifiers import identifiers_in_lines
from clauseway.gateway.wire.errors import without_our_names
from clauseway.gateway.wire.message_streams import FramedMessageStream
from clauseway.gateway.wire.sse import events_in
from clauseway.sandbox.surfaces import aws_frames
from work_done import grows_with_its_length

# To go through so many bytes from each of them takes seconds.
LENGTH = 40_000


def repeated(written: bytes, length: int) -> bytes:
    return written * (length // len(written))


TEXTS: dict[str, Callable[[int], Callable[[], object]]] = {
    "hyphens in an error": lambda length: partial(without_our_names, b'{"detail":"%b"}' % repeated(b"a-", length)),
    "an event without an empty line": lambda length: partial(split, b"data: %b\r\n" % repeated(b"x", length)),
    "lists that do not end": lambda length: partial(identifiers_in_lines, repeated(b'"file_ids":[', length)),
    "a frame in small pieces": lambda length: partial(feed, aws_frames.frame_of({}, repeated(b"x", 20 * length))),
    "many models in a refusal": lambda length: partial(
        failure_of, 404, b"", b'{"message":"%b"}' % repeated(b"model ", length), 0.0
    ),
}


def feed(frame: bytes) -> None:
    """All of a frame but its end."""
    stream = FramedMessageStream()
    for at in range(0, len(frame) - 100, 100):
        assert not stream.feed(frame[at : at + 100])


def split(stream: bytes) -> list[bytes]:
    return list(events_in(stream))


@pytest.mark.parametrize("reading", TEXTS.values(), ids=TEXTS)
def test_a_text_is_read_once(reading: Callable[[int], Callable[[], object]]) -> None:
    assert grows_with_its_length(reading, LENGTH)


def test_a_request_that_names_many_items_costs_as_much_as_they_are(tmp_path: Path) -> None:
    """With each that was looked up, the names of all were copied."""
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("openai")
        rig.start()

        def asking(items: int) -> Callable[[], object]:
            thoughts = [{"type": "reasoning", "id": f"rs_{number}", "summary": []} for number in range(items)]
            body = {"model": MODEL, "input": thoughts}
            return lambda: httpx.post(f"{rig.url}/v1/responses", json=body, headers=AUTHORIZED, timeout=PATIENCE_S)

        assert grows_with_its_length(asking, 16_000, partial(processor_ns, rig))
        assert len(cloud.requests) == 6


def processor_ns(rig: Rig) -> int:
    """The processor time of a gateway."""
    assert rig.process is not None
    return int(Path(f"/proc/{rig.process.pid}/schedstat").read_text().split()[0])
