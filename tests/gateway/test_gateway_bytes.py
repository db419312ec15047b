"""Bytes in, bytes out, both ways, for every operation, outside the list in `docs/wire.md`."""

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import msgspec
import pytest
from gateway_rig import (
    AUTHORIZED,
    DONE_EVENT,
    MODEL,
    NAME_THERE,
    PATIENCE_S,
    USAGE_EVENT,
    Behaviour,
    Connection,
    Received,
    Rig,
    content_events,
)

from clauseway.gateway.wire.operations import OPERATIONS, State

JSON = "application/json"
FORM = 'multipart/form-data; boundary="a b"'
ODD = b'{ "odd" : [1.0,1e5,-0.0,"\\u0041\\/\xe2\x82\xac"],\n\t"nested":{"usage" : null, "x":[]} , '
FILE = bytes(range(256)) * 4


def asking(*members: bytes) -> bytes:
    return ODD + b" , ".join((b'"model": "%b"' % MODEL.encode(), *members)) + b" }\r\n"


def form(*fields: tuple[str, str], content: bytes = b"") -> bytes:
    parts = [f'--a b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    head = b'--a b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\nX-Odd: 1\r\n\r\n'
    return "".join(parts).encode() + head + (content or FILE) + b"\r\n--a b--"


# A batch's file as nobody should write one: a mark, odd spaces, blank lines, `\r\n`, a body that stands there twice.
_BODY = b'{ "model" : "%b" , "messages":[ ] , "odd":1.0 }' % MODEL.encode()
_LINE = b'{"custom_id" : "\\u0041", "method":"POST" ,"url":"/v1/chat/completions","twin": %b, "body" : %b ,"x":[1e5]}'
LINES = b"\xef\xbb\xbf%b\r\n\r\n \n%b" % (_LINE % (b"[]", _BODY), _LINE % (b'"model"', _BODY.replace(b" ", b"\t")))


def answer(*members: bytes) -> bytes:
    return ODD + b" , ".join(members) + b" }\n\n"


def events(*data: bytes, end: bytes) -> bytes:
    return b": hello\n\n" + b"".join(b"event: x\nid: 7\ndata: %b\n\n" % item for item in data) + end


CHAT_USAGE = b'"usage" : {"prompt_tokens": 5 , "completion_tokens":2}'
USAGE = b'"usage" : {"input_tokens": 5 , "output_tokens":2}'
CHAT_STREAM = b"".join(content_events(with_nulls=True)) + USAGE_EVENT + DONE_EVENT
MESSAGE_STREAM = events(
    b'{"type":"message_start" ,"message":{"id":"msg_1","usage" : {"input_tokens":5,"output_tokens":1}}}',
    b'{"type":"content_block_delta","index":0 ,"delta":{"type":"text_delta","text":"\\u00e9\\/"} }',
    b'{"type":"never_heard_of","x" : 1.0}',
    b'{"type":"message_delta","delta":{"stop_reason":"end_turn"}, "usage":{"output_tokens":2}}',
    end=b'event: message_stop\ndata: {"type":"message_stop" }\n\n',
)
LEGACY_STREAM = events(
    b'{"id":"cmpl-1", "choices":[ {"index":0,"text":"" ,"finish_reason":null}],"usage":null}',
    b'{"id":"cmpl-1", "choices":[ {"index":0,"text":"\\u00e9\\/","logprobs":null,"finish_reason":"stop"}]}',
    b'{"id":"cmpl-1","choices":[], %b}' % CHAT_USAGE,
    end=DONE_EVENT,
)
RESPONSE_STREAM = events(
    b'{"type":"response.created", "sequence_number":0,"response":{"id":"resp_9","status":"in_progress"}}',
    b'{"type":"response.output_text.delta" ,"delta":"\\u00e9\\/" }',
    b'{"type":"response.never_heard_of","x" : 1.0}',
    end=b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"resp_9",%b}}\n\n' % USAGE,
)
IMAGE_STREAM = events(
    b'{"type":"image_generation.partial_image" ,"b64_json":"AA=="}',
    end=b'data: {"type":"image_generation.completed", %b}\n\n' % USAGE,
)
HEARD_STREAM = events(
    b'{"type":"transcript.text.delta","delta":"a"}', end=b'data: {"type":"transcript.text.done", %b}\n\n' % USAGE
)
STREAMING = b'"stream" : true'
INCLUDE = b'"stream_options" : {"include_usage" : true}'


class Case(NamedTuple):
    """A request and its answer. `%s` in the path is an identifier that was issued before."""

    operation: str
    line: str
    body: bytes = b""
    kind: str = ""
    back: bytes = b""
    back_kind: str = JSON


CASES = [
    Case(
        operation="chat",
        line="POST /chat/completions",
        body=asking(),
        kind=JSON,
        back=answer(b'"choices":[]', CHAT_USAGE),
    ),
    Case(
        operation="chat",
        line="POST /chat/completions",
        body=asking(STREAMING, INCLUDE),
        kind=JSON,
        back=CHAT_STREAM,
        back_kind="text/event-stream",
    ),
    Case(
        operation="responses",
        line="POST /responses",
        body=asking(),
        kind=JSON,
        back=answer(b'"id":"resp_1"', b'"status":"completed"', USAGE),
    ),
    Case(
        operation="responses",
        line="POST /responses",
        body=asking(STREAMING),
        kind=JSON,
        back=RESPONSE_STREAM,
        back_kind="text/event-stream; charset=utf-8",
    ),
    Case("responses.retrieve", "GET /responses/resp_1?include[]=x&stream=false", back=answer(b'"id":"resp_1"', USAGE)),
    Case(
        operation="responses.retrieve",
        line="GET /responses/resp_1?stream=true",
        body=b"",
        kind="",
        back=RESPONSE_STREAM,
        back_kind="text/event-stream",
    ),
    Case("responses.cancel", "POST /responses/resp_1/cancel", back=answer(b'"id":"resp_1"')),
    Case("responses.input_items", "GET /responses/resp_1/input_items?limit=2", back=answer(b'"data":[ {"id":"x"} ]')),
    Case(
        operation="embeddings",
        line="POST /embeddings",
        body=asking(),
        kind=JSON,
        back=answer(b'"data":[[0.10]]', CHAT_USAGE),
    ),
    Case(
        operation="images.generations",
        line="POST /images/generations",
        body=asking(),
        kind=JSON,
        back=answer(b'"data":[ ]', USAGE),
    ),
    Case(
        operation="images.generations",
        line="POST /images/generations",
        body=asking(STREAMING),
        kind=JSON,
        back=IMAGE_STREAM,
        back_kind="text/event-stream",
    ),
    Case(
        operation="images.edits",
        line="POST /images/edits",
        body=form(("model", MODEL), ("n", "1")),
        kind=FORM,
        back=answer(b'"data":[]', USAGE),
    ),
    Case(
        operation="images.edits", line="POST /images/edits", body=asking(), kind=JSON, back=answer(b'"data":[]', USAGE)
    ),
    Case(
        operation="images.variations",
        line="POST /images/variations",
        body=form(("model", MODEL)),
        kind=FORM,
        back=answer(b'"data":[]'),
    ),
    Case(
        operation="audio.speech", line="POST /audio/speech", body=asking(), kind=JSON, back=FILE, back_kind="audio/mpeg"
    ),
    Case(
        operation="audio.transcriptions",
        line="POST /audio/transcriptions",
        body=form(("model", MODEL)),
        kind=FORM,
        back=answer(b'"text":""', USAGE),
    ),
    Case(
        operation="audio.transcriptions",
        line="POST /audio/transcriptions",
        body=form(("a", MODEL), ("model", MODEL), ("stream", "true")),
        kind=FORM,
        back=HEARD_STREAM,
        back_kind="text/event-stream",
    ),
    Case(
        operation="audio.translations",
        line="POST /audio/translations",
        body=form(("model", MODEL)),
        kind=FORM,
        back=b"plain text\xe2\x82\xac",
        back_kind="text/plain",
    ),
    Case(operation="moderations", line="POST /moderations", body=asking(), kind=JSON, back=answer(b'"results":[]')),
    Case(
        operation="files.create",
        line="POST /files",
        body=form(("purpose", "user_data")),
        kind=FORM,
        back=answer(b'"id":"file-0"'),
    ),
    Case(
        operation="files.create",
        line="POST /files",
        body=form(("purpose", "batch"), content=LINES),
        kind=FORM,
        back=answer(b'"id":"file-1"'),
    ),
    Case("files.retrieve", "GET /files/file-1", back=answer(b'"id":"file-1"')),
    Case("files.content", "GET /files/file-1/content", back=FILE, back_kind="application/octet-stream"),
    Case(
        operation="batches.create",
        line="POST /batches",
        body=ODD + b'"input_file_id":"file-1"}',
        kind=JSON,
        back=answer(b'"id":"batch_1"', b'"status":"validating"'),
    ),
    Case("batches.retrieve", "GET /batches/batch_1", back=answer(b'"id":"batch_1"', b'"status":"in_progress"')),
    Case("batches.cancel", "POST /batches/batch_1/cancel", back=answer(b'"id":"batch_1"', b'"status":"cancelling"')),
    Case("files.delete", "DELETE /files/file-1", back=answer(b'"id":"file-1"', b'"deleted":true')),
    Case(
        operation="responses.input_tokens",
        line="POST /responses/input_tokens",
        body=asking(),
        kind=JSON,
        back=answer(b'"input_tokens" : 7'),
    ),
    Case(
        operation="responses.compact",
        line="POST /responses/compact",
        body=asking(),
        kind=JSON,
        back=answer(b'"output":[ ]', USAGE),
    ),
    Case(
        operation="conversations.create",
        line="POST /conversations",
        body=ODD + b'"metadata":{}}',
        kind=JSON,
        back=answer(b'"id":"conv_1"'),
    ),
    Case("conversations.retrieve", "GET /conversations/conv_1", back=answer(b'"id":"conv_1"')),
    Case(
        operation="conversations.update",
        line="POST /conversations/conv_1",
        body=ODD + b'"metadata":{}}',
        kind=JSON,
        back=answer(b'"id":"conv_1"'),
    ),
    Case(
        operation="conversations.items.create",
        line="POST /conversations/conv_1/items?include[]=x",
        body=ODD + b'"items":[]}',
        kind=JSON,
        back=answer(b'"data":[ ]'),
    ),
    Case("conversations.items.list", "GET /conversations/conv_1/items?limit=2", back=answer(b'"data":[ ]')),
    Case("conversations.items.retrieve", "GET /conversations/conv_1/items/msg_1", back=answer(b'"id":"msg_1"')),
    Case("conversations.items.delete", "DELETE /conversations/conv_1/items/msg_1", back=answer(b'"id":"conv_1"')),
    Case("conversations.delete", "DELETE /conversations/conv_1", back=answer(b'"id":"conv_1"', b'"deleted":true')),
    Case(
        operation="messages",
        line="POST /messages",
        body=asking(b'"max_tokens":9'),
        kind=JSON,
        back=answer(b'"content":[ ]', USAGE),
    ),
    Case(
        operation="messages",
        line="POST /messages",
        body=asking(STREAMING),
        kind=JSON,
        back=MESSAGE_STREAM,
        back_kind="text/event-stream; charset=utf-8",
    ),
    Case(
        operation="completions",
        line="POST /completions",
        body=asking(b'"prompt":"a"'),
        kind=JSON,
        back=answer(b'"choices":[]', CHAT_USAGE),
    ),
    Case(
        operation="completions",
        line="POST /completions",
        body=asking(STREAMING, INCLUDE),
        kind=JSON,
        back=LEGACY_STREAM,
        back_kind="text/event-stream",
    ),
    Case(
        operation="chat",
        line="POST /chat/completions",
        body=asking(b'"store":true'),
        kind=JSON,
        back=answer(b'"id":"chatcmpl-7"', b'"choices":[]', CHAT_USAGE),
    ),
    Case("chat.retrieve", "GET /chat/completions/chatcmpl-7", back=answer(b'"id":"chatcmpl-7"')),
    Case("chat.messages", "GET /chat/completions/chatcmpl-7/messages?limit=2", back=answer(b'"data":[ ]')),
    Case(
        operation="chat.update",
        line="POST /chat/completions/chatcmpl-7",
        body=ODD + b'"metadata":{}}',
        kind=JSON,
        back=answer(b'"id":"chatcmpl-7"'),
    ),
    Case("chat.delete", "DELETE /chat/completions/chatcmpl-7", back=answer(b'"id":"chatcmpl-7"', b'"deleted":true')),
    Case(
        operation="messages.count_tokens",
        line="POST /messages/count_tokens",
        body=asking(),
        kind=JSON,
        back=answer(b'"input_tokens" : 7'),
    ),
    Case("responses.delete", "DELETE /responses/resp_1", back=answer(b'"id":"resp_1"', b'"deleted":true')),
]


def test_every_operation_is_compared() -> None:
    """But for lists, which are put together here."""
    passed = {operation.name for operation in OPERATIONS if operation.state is not State.LISTS}
    assert {case.operation for case in CASES} == passed


def answering(case: Case, piece: int) -> Behaviour:
    async def behave(connection: Connection, _: Received) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {case.back_kind}\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.writer.write(head.encode())
        for at in range(0, len(case.back), piece):
            connection.piece(case.back[at : at + piece])
            await connection.writer.drain()
        connection.end_stream()

    return behave


@pytest.fixture(scope="module", params=["the same name there", "another name there"])
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, str]]:
    name = MODEL if request.param == "the same name there" else NAME_THERE
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        cloud = started.cloud("azure")
        # Each format has its surface, and both know the model.
        others = started.target("azure", cloud.port, name)
        label = msgspec.structs.replace(others.label, deployment="azure-messages")
        messages = started.target("azure", cloud.port, name, dialect="anthropic", label=label)
        started.start(started.plan([others, messages]))
        yield started, name


@pytest.mark.parametrize("piece", [1 << 20, 37], ids=["whole", "in pieces"])
def test_bytes_both_ways(rig: tuple[Rig, str], piece: int) -> None:
    """In the order of the table, because what follows needs what was issued."""
    gateway, name = rig
    cloud = gateway.clouds["azure"]
    for case in CASES:
        cloud.requests.clear()
        cloud.behaviour = answering(case, piece)
        method, path = case.line.split(" ")
        headers = AUTHORIZED | ({"content-type": case.kind} if case.kind else {})
        with httpx.Client(timeout=PATIENCE_S) as client:
            back = client.request(method, f"{gateway.url}/v1{path}", content=case.body, headers=headers)
        assert back.status_code == 200, (case, back.text)
        assert back.content == case.back, case.operation
        assert back.headers["content-type"] == case.back_kind
        (received,) = cloud.requests
        assert received.head.split(b" ")[:2] == [method.encode(), f"/v1{path}".encode()]
        assert received.header("content-type") == (case.kind or None)
        assert received.body == with_name(case, name), case.operation


def with_name(case: Case, name: str) -> bytes:
    """The body with the one thing that is spliced: the model's name, in its member or its field, or in its lines."""
    if LINES in case.body:
        return case.body.replace(MODEL.encode(), name.encode())
    if case.kind == FORM:
        return case.body.replace(b'name="model"\r\n\r\n' + MODEL.encode(), b'name="model"\r\n\r\n' + name.encode())
    return case.body.replace(b'"model": "%b"' % MODEL.encode(), b'"model": "%b"' % name.encode())


def test_what_a_stream_is_asked_for_and_what_of_it_is_taken_out(rig: tuple[Rig, str]) -> None:
    gateway, name = rig
    cloud = gateway.clouds["azure"]
    cloud.requests.clear()
    case = CASES[1]._replace(body=asking(STREAMING))
    cloud.behaviour = answering(case, 37)
    headers = AUTHORIZED | {"content-type": JSON}
    back = httpx.post(f"{gateway.url}/v1/chat/completions", content=case.body, headers=headers, timeout=PATIENCE_S)
    assert back.content == b"".join(content_events(with_nulls=False)) + DONE_EVENT
    added = with_name(case, name).replace(b" }\r\n", b' ,"stream_options":{"include_usage":true}}\r\n')
    assert cloud.requests[0].body == added
