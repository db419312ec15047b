"""Messages whose stream tells its input and never its end: it breaks off, or its client leaves. The input is metered as
the cloud reported it, the output is estimated."""

from collections.abc import Iterator

import httpx
import pytest
from gateway_rig import PATIENCE_S, SECRET, Behaviour, Cloud, Connection, ReadsBroken, Received, Rig, compact, key
from test_messages import CLAUDE, target

from awaiting import eventually
from clauseway.gateway.plan import Auth, Epoch, Route
from clauseway.metering import Status, Unit, UsageRecord

BODY = {"model": CLAUDE, "max_tokens": 1000, "messages": [{"role": "user", "content": "x" * 400}], "stream": True}
HEAD = {"x-api-key": SECRET, "anthropic-version": "2023-06-01"}
# As where a document is named by its address: its tokens do not stand in the body.
REPORTED = {
    "input_tokens": 30,
    "cache_read_input_tokens": 100_000,
    "cache_creation_input_tokens": 50,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
    "output_tokens": 1,
}
# 30 + 100,000 + 50 tokens in, of which so many were read from the cache and written to it.
INPUT = {
    Unit.INPUT_TOKENS: 100_080,
    Unit.CACHED_INPUT_TOKENS: 100_000,
    Unit.CACHE_WRITE_TOKENS: 50,
    Unit.CACHE_WRITE_1H_TOKENS: 30,
}


def event(kind: str, **members: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind, **members}))


def begun(usage: object) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "usage": usage}
    return event("message_start", message=message) + event(
        "content_block_start", index=0, content_block={"type": "text", "text": ""}
    )


START = begun(REPORTED)
WORD = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "word "})
ERROR = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
END_WITHOUT_USAGE = event("message_delta", delta={"stop_reason": "end_turn"}) + event("message_stop")


def telling(*events: bytes, then: str) -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        connection.begin_stream()
        for event in events:
            connection.piece(event)
            await connection.apart()
        if then == "cut":
            connection.drop()
        elif then == "wait":
            await connection.left()
        else:
            connection.end_stream()

    return behave


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        cloud = started.cloud("anthropic")
        deployed = target(
            "anthropic", "anthropic", f"http://127.0.0.1:{cloud.port}/v1", CLAUDE, Auth(kind="api-key", secret="x")
        )
        routes = {f"anthropic|{CLAUDE}|direct": Route(candidates=((0, 0),))}
        started.start(
            started.plan(
                [deployed],
                models={CLAUDE: CLAUDE},
                epochs=(Epoch(begin_ns=0, routes=routes),),
                keys=(key(SECRET, "anthropic"),),
                attempt_timeout_s=PATIENCE_S,
            )
        )
        yield started


@pytest.fixture
def cloud(rig: Rig) -> Cloud:
    return rig.clouds["anthropic"]


def recorded(rig: Rig, count: int) -> UsageRecord:
    eventually(lambda: len(rig.records()) > count)
    return rig.records()[-1]


# How the stream goes → what of it is metered.
BROKEN: dict[str, tuple[Behaviour, Status, dict[Unit, int]]] = {
    "it breaks after two words": (
        telling(START, WORD, WORD, then="cut"),
        Status.INTERRUPTED_ESTIMATED,
        {**INPUT, Unit.OUTPUT_TOKENS: 2},
    ),
    "an error after a word": (
        telling(START, WORD, ERROR, then="end"),
        Status.INTERRUPTED_ESTIMATED,
        {**INPUT, Unit.OUTPUT_TOKENS: 1},
    ),
    "it ends and never reports its output": (
        telling(START, WORD, WORD, END_WITHOUT_USAGE, then="end"),
        Status.ESTIMATED,
        {**INPUT, Unit.OUTPUT_TOKENS: 2},
    ),
    "no report at all: four bytes are a token": (
        telling(begun(None), WORD, then="cut"),
        Status.INTERRUPTED_ESTIMATED,
        {Unit.INPUT_TOKENS: 126, Unit.OUTPUT_TOKENS: 1},
    ),
}


@pytest.mark.parametrize(("behaviour", "status", "units"), BROKEN.values(), ids=BROKEN)
def test_the_input_is_as_reported(
    rig: Rig, cloud: Cloud, behaviour: Behaviour, status: Status, units: dict[Unit, int]
) -> None:
    cloud.behaviour = behaviour
    count = len(rig.records())
    with httpx.Client(transport=ReadsBroken(), headers=HEAD, timeout=PATIENCE_S) as client:
        assert client.post(f"{rig.url}/v1/messages", json=BODY).status_code == 200
    record = recorded(rig, count)
    assert (record.status, dict(record.units)) == (status, units)


@pytest.mark.parametrize("words", [0, 1, 3])
def test_who_leaves_pays_for_the_input(rig: Rig, cloud: Cloud, words: int) -> None:
    """Before the first word, too, once the cloud has read the request."""
    cloud.behaviour = telling(START, *[WORD] * words, then="wait")
    count = len(rig.records())
    with httpx.Client(timeout=PATIENCE_S) as client:
        if words:
            with client.stream("POST", f"{rig.url}/v1/messages", json=BODY, headers=HEAD) as answer:
                read = b""
                for piece in answer.iter_raw():
                    read += piece
                    if read.count(b"content_block_delta") >= 2 * words:
                        break
        else:
            with pytest.raises(httpx.ReadTimeout):
                client.post(f"{rig.url}/v1/messages", json=BODY, headers=HEAD, timeout=1.0)
    record = recorded(rig, count)
    assert (record.status, dict(record.units)) == (
        Status.INTERRUPTED_ESTIMATED,
        {**INPUT, Unit.OUTPUT_TOKENS: words},
    )
    # 30 tokens at 5 dollars a million, 100,000 at 0.50, 20 at 6.25 and 30 at 10 for what was written; a word is a
    # token at 25.
    assert record.charge_picodollars == 30 * 5_000_000 + 100_000 * 500_000 + 20 * 6_250_000 + 30 * 10_000_000 + (
        words * 25_000_000
    )
