"""Requests in Anthropic's format as the vendor's own clients send them to each place, field for field; AWS's frames."""

import json
import random
import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from zlib import crc32

import anthropic
import botocore.session  # type: ignore[import-untyped]
import pytest
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from vendor_requests import NOW_S, Head, Sent, target

from clauseway.gateway.clouds import DIALECTS, Call, Credential
from clauseway.gateway.clouds.anthropic import VERSION
from clauseway.gateway.clouds.dialect import OPERATIONS, Envelope
from clauseway.gateway.clouds.frames import BadFrame, event_of, frames_in
from clauseway.gateway.plan import Target
from clauseway.gateway.wire.message_streams import FramedMessageStream, MessageStream
from clauseway.gateway.wire.sse import BadStream
from clauseway.metering import Unit
from clauseway.sandbox.surfaces import aws_frames

MODEL = "claude-opus-4-7"
VERTEX_MODEL = "claude-sonnet-4-5@20250929"
BEDROCK_MODEL = "us.anthropic.claude-opus-4-7-v1:0"
ASKED: Any = {"max_tokens": 9, "messages": [{"role": "user", "content": "Which cloud, ü?"}]}
BETAS = {"anthropic-beta": "context-1m-2026-01-01,files-api-2026-02-02"}
VERTEX = "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic"
MESSAGES = Call(b"POST", b"/messages", b"application/json")
BEDROCK_KEY = Credential(kind="bearer", secret="bedrock-key")


def direct(http: Any) -> Any:
    return anthropic.Anthropic(api_key="sk-account", http_client=http, max_retries=0)


def foundry(http: Any) -> Any:
    return anthropic.AnthropicFoundry(resource="contoso", api_key="sk-account", http_client=http, max_retries=0)


def foundry_by_token(http: Any) -> Any:
    return anthropic.AnthropicFoundry(
        resource="contoso", azure_ad_token_provider=lambda: "entra.token", http_client=http, max_retries=0
    )


def vertex(http: Any) -> Any:
    return anthropic.AnthropicVertex(
        region="us-east5", project_id="p", access_token="ya29.t", http_client=http, max_retries=0
    )


def mantle(http: Any) -> Any:
    return anthropic.AnthropicBedrockMantle(
        aws_region="us-west-2", api_key="bedrock-key", http_client=http, max_retries=0
    )


def runtime(http: Any) -> Any:
    return anthropic.AnthropicBedrock(aws_region="us-west-2", api_key="bedrock-key", http_client=http, max_retries=0)


# Client, target, credential, header that presents it.
PLACES: dict[str, tuple[Callable[[Any], Any], Target, Credential, str]] = {
    "anthropic": (
        direct,
        target("anthropic", "https://api.anthropic.com/v1", MODEL),
        Credential(kind="bearer", secret="sk-account"),
        "authorization",
    ),
    "foundry": (
        foundry,
        target("azure", "https://contoso.services.ai.azure.com/anthropic/v1", MODEL),
        Credential(kind="api-key", secret="sk-account"),
        "x-api-key",
    ),
    "foundry by token": (
        foundry_by_token,
        target("azure", "https://contoso.services.ai.azure.com/anthropic/v1", MODEL),
        Credential(kind="bearer", secret="entra.token"),
        "authorization",
    ),
    "vertex": (
        vertex,
        target("vertex", VERTEX, VERTEX_MODEL),
        Credential(kind="bearer", secret="ya29.t"),
        "authorization",
    ),
    "mantle": (
        mantle,
        target("bedrock", "https://bedrock-mantle.us-west-2.api.aws/anthropic/v1", f"anthropic.{MODEL}"),
        BEDROCK_KEY,
        "authorization",
    ),
    "runtime": (
        runtime,
        target("bedrock", "https://bedrock-runtime.us-west-2.amazonaws.com", BEDROCK_MODEL),
        BEDROCK_KEY,
        "authorization",
    ),
}
COUNTED = [place for place in PLACES if place != "runtime"]


def sent_by(make: Callable[[Any], Any], model: str, *, stream: bool = False, count: bool = False) -> Any:
    """The request that the vendor's client sends."""
    sent = Sent()
    messages = make(sent.client).messages
    asked = {**ASKED, "model": model, "extra_headers": BETAS}
    try:
        if count:
            asked.pop("max_tokens")
            messages.count_tokens(**asked)
        else:
            messages.create(**asked, stream=stream)
    except anthropic.APIStatusError:
        return sent.requests[-1]
    raise AssertionError("a 400 was taken for an answer")


def made(to: Target, credential: Credential, ours: Any, model: str) -> tuple[Head, bytes]:
    """Return the head and body that our modules make of a request that came to the gateway."""
    dialect = DIALECTS[to.dialect]
    body = ours.content.replace(json.dumps(MODEL).encode(), json.dumps(model).encode())
    call = Call(b"POST", ours.url.raw_path.removeprefix(b"/v1"), b"application/json")
    passed = b"".join(
        b"%b: %b\r\n" % (name.encode(), ours.headers[name].encode()) for name in ("anthropic-version", "anthropic-beta")
    )
    envelope: Envelope | None = dialect.envelope(to)
    if envelope is not None:
        call, body = envelope(call, body, passed, b'"stream":true' in body)
    return Head(dialect.head_writer(to, credential)(call, body, passed, NOW_S)), body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("place", PLACES)
def test_as_the_vendors_client_sends(place: str, stream: bool) -> None:
    make, to, credential, authentication = PLACES[place]
    theirs = sent_by(make, to.label.model, stream=stream)
    ours, body = made(to, credential, sent_by(direct, MODEL, stream=stream), to.label.model)
    assert_same(ours, theirs, authentication)
    assert json.loads(body) == json.loads(theirs.content)


@pytest.mark.parametrize("place", COUNTED)
def test_tokens_are_counted_as_the_vendors_client_asks(place: str) -> None:
    make, to, credential, authentication = PLACES[place]
    theirs = sent_by(make, to.label.model, count=True)
    ours, body = made(to, credential, sent_by(direct, MODEL, count=True), to.label.model)
    assert_same(ours, theirs, authentication)
    assert json.loads(body) == json.loads(theirs.content)


def test_a_model_is_one_segment_of_the_path_whatever_its_name() -> None:
    """A profile of inference that an account made is called by its ARN, in which a slash stands."""
    name = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/a1b2c3"
    to = target("bedrock", "https://bedrock-runtime.us-west-2.amazonaws.com", name)
    ours, _ = made(to, BEDROCK_KEY, sent_by(direct, MODEL), name)
    assert_same(ours, sent_by(runtime, name), "authorization")
    assert ours.path.endswith("application-inference-profile%2Fa1b2c3/invoke")


def assert_same(ours: Head, theirs: Any, authentication: str) -> None:
    assert (ours.method, ours.path) == (theirs.method, theirs.url.raw_path.decode())
    for name in ("host", "content-type", authentication, "anthropic-beta"):
        assert ours.headers.get(name) == theirs.headers.get(name), name


def test_a_version_is_named_where_the_caller_names_none() -> None:
    keyed = Credential(kind="api-key", secret="sk-account")
    head = Head(DIALECTS["anthropic"].head_writer(PLACES["anthropic"][1], keyed)(MESSAGES, b"{}", b"", NOW_S))
    assert (head.headers["x-api-key"], "authorization" in head.headers) == ("sk-account", False)
    for place in ("anthropic", "foundry", "mantle"):
        _, to, credential, _ = PLACES[place]
        head = Head(DIALECTS[to.dialect].head_writer(to, credential)(MESSAGES, b"{}", b"", NOW_S))
        assert head.headers["anthropic-version"] == VERSION
        passed = b"Anthropic-Version: 2023-06-01\r\n"
        head = Head(DIALECTS[to.dialect].head_writer(to, credential)(MESSAGES, b"{}", passed, NOW_S))
        assert head.headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize(("place", "former"), [("vertex", "vertex-2023-10-16"), ("runtime", "bedrock-2023-05-31")])
def test_the_former_version_has_a_name_at_each_cloud(place: str, former: str) -> None:
    to = PLACES[place][1]
    envelope = DIALECTS[to.dialect].envelope(to)
    assert envelope is not None
    call = Call(b"POST", b"/messages", b"application/json")
    odd = b'{"model":"m", "max_tokens" : 9,"x":[1.0,1e5,"\\u0041"]}'
    _, body = envelope(call, odd, b"anthropic-version: 2023-06-01\r\n", False)
    assert json.loads(body)["anthropic_version"] == former
    assert b'"x":[1.0,1e5,"\\u0041"]' in body, "values stay as they were written"
    own = b'{"anthropic_version":"mine","anthropic_beta":["b"]}'
    _, body = envelope(call, own, b"anthropic-beta: c\r\n", False)
    assert json.loads(body) == {"anthropic_version": "mine", "anthropic_beta": ["b"]}


# -- frames

BEGUN = {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"usage": BEGUN}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ü"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]
FRAMED = b"".join([aws_frames.chunk_frame(json.dumps(event).encode()) for event in EVENTS])
PLAIN = b"".join([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS])


def streamed(stream: MessageStream, data: bytes, cuts: list[int]) -> bytes:
    out = b"".join(stream.feed(data[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True))
    return out + stream.close() + stream.last


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_is_the_same_however_it_comes(seed: int) -> None:
    """In AWS's frames or not, cut anywhere: the same events, the same usage."""
    cut = random.Random(seed)
    for stream, data in ((FramedMessageStream(), FRAMED), (MessageStream(), PLAIN)):
        cuts = sorted(cut.choices(range(len(data)), k=seed))
        assert streamed(stream, data, cuts) == PLAIN
        assert stream.done
        assert dict(stream.units or ()) == {
            Unit.INPUT_TOKENS: 7,
            Unit.CACHED_INPUT_TOKENS: 2,
            Unit.OUTPUT_TOKENS: 3,
        }


UNTYPED = [{name: value for name, value in event.items() if name != "type"} for event in EVENTS]


def test_a_type_may_stand_in_the_line_of_an_event_alone() -> None:
    """As the vendor's client reads it; an error before content is one as well."""
    stream = MessageStream()
    lines = zip(EVENTS, UNTYPED, strict=True)
    plain = b"".join([f"event: {event['type']}\ndata: {json.dumps(bare)}\n\n".encode() for event, bare in lines])
    assert streamed(stream, plain, []) == plain
    assert (stream.done, dict(stream.units or ())[Unit.OUTPUT_TOKENS]) == (True, 3)
    failed = MessageStream()
    assert failed.feed(b'event: error\ndata: {"message":"Overloaded"}\n\n') == b""
    assert (failed.failed, failed.has_content) == (True, False)


def test_a_report_without_output_is_none_behind_one_with_output() -> None:
    stream = MessageStream()
    for event in (*EVENTS[:-1], {"type": "message_delta", "usage": {"output_tokens": 0}}, EVENTS[-1]):
        stream.feed(f"data: {json.dumps(event)}\n\n".encode())
    assert dict(stream.units or ())[Unit.OUTPUT_TOKENS] == 3


# Frames that are no event of the model's, and data that no line of an event can hold → what the client gets.
INITIAL = {":event-type": "initial-response", ":message-type": "event"}
ODD_FRAMES: list[tuple[str, bytes, bytes]] = [
    ("the answer's beginning", aws_frames.frame_of(INITIAL, b"{}"), b""),
    (
        "an event of another kind",
        aws_frames.frame_of({":event-type": "metadata", ":message-type": "event"}, b'{"latencyMs":7}'),
        b"",
    ),
    (
        "data of several lines",
        aws_frames.chunk_frame(b'{"type":\r\n"ping"}'),
        b'event: ping\ndata: {"type":  "ping"}\n\n',
    ),
]


@pytest.mark.parametrize(("frame", "events"), [case[1:] for case in ODD_FRAMES], ids=[case[0] for case in ODD_FRAMES])
def test_a_frame_is_one_event_or_none(frame: bytes, events: bytes) -> None:
    assert streamed(FramedMessageStream(), frame + FRAMED, []) == events + PLAIN


def test_a_type_of_two_lines_is_no_event() -> None:
    with pytest.raises(BadStream):
        FramedMessageStream().feed(aws_frames.chunk_frame(b'{"type":"ping\\ndata: x"}'))


def test_the_sandboxes_frames_are_aws_s() -> None:
    """Read by botocore, as the vendor's client reads them."""
    buffer = EventStreamBuffer()
    buffer.add_data(FRAMED)
    payloads = [json.loads(message.payload)["bytes"] for message in buffer]
    assert payloads == [b64encode(json.dumps(event).encode()).decode() for event in EVENTS]


# The exceptions of AWS's model of the runtime, by the status that it states → Anthropic's word for it.
EXCEPTIONS: list[tuple[str, str, int]] = [
    ("validationException", "invalid_request_error", 400),
    ("accessDeniedException", "permission_error", 403),
    ("resourceNotFoundException", "not_found_error", 404),
    ("modelTimeoutException", "timeout_error", 408),
    ("modelErrorException", "api_error", 424),
    ("modelStreamErrorException", "api_error", 424),
    ("throttlingException", "rate_limit_error", 429),
    ("ThrottlingException", "rate_limit_error", 429),
    ("modelNotReadyException", "rate_limit_error", 429),
    ("internalServerException", "api_error", 500),
    ("serviceUnavailableException", "overloaded_error", 503),
]


@pytest.mark.parametrize(("name", "kind", "_status"), EXCEPTIONS)
def test_an_exception_in_a_frame_is_an_error_event(name: str, kind: str, _status: int) -> None:
    headers = {":exception-type": name, ":message-type": "exception"}
    frame = aws_frames.frame_of(headers, b'{"message":"As AWS says it."}')
    ((only,), rest) = frames_in(frame)
    assert rest == b""
    assert event_of(only) == (
        b'event: error\ndata: {"type":"error","error":{"type":"%b","message":"As AWS says it."}}\n\n' % kind.encode()
    )
    stream = FramedMessageStream()
    stream.feed(frame)
    assert stream.failed


def test_the_exceptions_are_those_of_aws_s_model() -> None:
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shapes = [*model.operation_model("InvokeModelWithResponseStream").error_shapes]
    members = model.shape_for("ResponseStream").members.values()
    shapes += [shape for shape in members if shape.metadata.get("exception")]
    stated = {shape.name.lower(): shape.metadata["error"]["httpStatusCode"] for shape in shapes}
    del stated["servicequotaexceededexception"]  # its words tell it
    assert {name.lower(): status for name, _, status in EXCEPTIONS} == stated


@given(at=st.integers(0, len(FRAMED) - 1), bit=st.integers(0, 7))
def test_a_damaged_frame_is_never_passed_on(at: int, bit: int) -> None:
    """One flipped bit: what comes out is a beginning of the stream, or the stream is refused."""
    damaged = bytearray(FRAMED)
    damaged[at] ^= 1 << bit
    stream = FramedMessageStream()
    try:
        out = stream.feed(bytes(damaged))
    except BadStream:
        return
    assert PLAIN.startswith(out)
    assert not stream.done


@given(st.binary(max_size=200))
def test_noise_is_no_frame(noise: bytes) -> None:
    try:
        frames, _ = frames_in(noise)
    except BadFrame:
        return
    assert frames == []


def frame_with(headers: bytes, payload: bytes = b"{}") -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return head + struct.pack(">I", crc32(head))


# A type of a header's value in AWS's format, and a value of it.
HEADERS = [
    *((kind, bytes(size)) for kind, size in {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}.items()),
    (6, b"\x00\x02ab"),
    (7, b"\x00\x02ab"),
]


@pytest.mark.parametrize(("kind", "value"), HEADERS)
def test_behind_a_header_of_any_type_the_next_one_is_read(kind: int, value: bytes) -> None:
    headers = b"\x01x" + bytes([kind]) + value + b"\x0b:event-type\x07\x00\x05chunk"
    ((only,), rest) = frames_in(frame_with(headers) + b"rest")
    assert (only.kind, only.name, only.payload, rest) == ("event", "chunk", b"{}", b"rest")


@pytest.mark.parametrize("headers", [b"\x01x", b"\x05x", b"\x01x\x0a"])
def test_headers_that_are_cut_are_refused(headers: bytes) -> None:
    with pytest.raises(BadFrame):
        frames_in(frame_with(headers))


# The length that a frame's beginning says, what is added to its checksum → it is refused at once, not waited for
BEGINNINGS = [(15, 0, True), (16, 0, False), (16 << 20, 0, False), ((16 << 20) + 1, 0, True), (1_000, 1, True)]


@pytest.mark.parametrize(("length", "added", "is_refused"), BEGINNINGS)
def test_nobody_waits_for_a_frame_whose_beginning_is_damaged(length: int, added: int, is_refused: bool) -> None:
    prelude = struct.pack(">II", length, 0)
    begun = prelude + struct.pack(">I", crc32(prelude) + added)
    if is_refused:
        with pytest.raises(BadFrame, match="beginning is damaged"):
            frames_in(begun)
    else:
        assert frames_in(begun) == ([], begun)


COUNTING = ["messages", "messages.count_tokens"]
# A surface of Anthropic's format → the operations that it has.
SURFACES = [
    ("anthropic", "https://api.anthropic.com/v1", [*COUNTING, "models"]),
    ("azure", "https://r.services.ai.azure.com/anthropic/v1", COUNTING),
    ("bedrock", "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1", COUNTING),
    ("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", ["messages"]),
    ("vertex", "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic", COUNTING),
]


@pytest.mark.parametrize(("dialect", "root", "operations"), SURFACES)
def test_what_a_surface_of_messages_has(dialect: str, root: str, operations: list[str]) -> None:
    lacks = DIALECTS[dialect].lacks(target(dialect, root, "claude"))
    assert sorted(set(OPERATIONS) - lacks) == operations
