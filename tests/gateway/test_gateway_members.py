"""Members of a body: which are refused, which count as absent, and that nothing a body holds gets past the door."""

import json
import re
from collections.abc import Iterator

import msgspec
import pytest
from gateway_rig import (
    MESSAGES,
    MODEL,
    NAME_THERE,
    Cloud,
    Rig,
    chat_body,
    compact,
    request_bytes,
    well,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway.gateway.wire.batch_files import read_line
from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.decoding import Decode
from clauseway.gateway.wire.bodies.members import repeats_no_name
from clauseway.gateway.wire.bodies.needs import PLAIN
from clauseway.gateway.wire.bodies.requests import decode_chat, decode_items, decode_plain, decode_responses
from clauseway.gateway.wire.operations import OPERATIONS
from clauseway.gateway.wire.splice import Destination

JSON = b"application/json"
CHAT, RESPONSES, PLAIN_JSON = decode_chat, decode_responses, decode_plain
CONVERSATION = decode_items
TEXT = '"messages":[{"role":"user","content":"Hi"}]'
IMAGE = '{"type":"image_url","image_url":{"url":"https://x/y.png"}}'


def read(decode: Decode, body: bytes) -> None:
    """Everything that is read of a body before a cloud is asked. Raises BadBody."""
    decode(body, JSON).needs(body)


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ('[{"a":[{"b":1,"c":"\\n"}]},{"a":null}]', True),
        ('[{"a":[{"b":1,"b":1}]}]', False),
        # White space and numbers are written otherwise than they stood: that tells nothing.
        ('[{"a": 1}]', False),
        # The number becomes longer by as much as the member that is gone, so the whole is as long as before.
        ('[{"a":1,"a":1,"b":1e6}]', False),
    ],
)
def test_a_text_that_is_written_as_it_stood_repeats_no_name(text: str, is_plain: bool) -> None:
    assert repeats_no_name(msgspec.Raw(text.encode())) is is_plain


# A member that is read and stands twice → the name that is told.
TWICE: list[tuple[Decode, str, str]] = [
    (CHAT, '{"model":"a","model":"b",%s}', "model"),
    (CHAT, '{"model":"a","mod\\u0065l":"b",%s}', "model"),
    (CHAT, '{ "model" : "a", "model" : "a", %s }', "model"),
    (CHAT, '{"model":"a","max_tokens":10,"max_tokens":4000,%s}', "max_tokens"),
    (CHAT, '{"model":"a","max_tokens":4000,"max_tokens":null,%s}', "max_tokens"),
    (CHAT, '{"model":"a","max_completion_tokens":1,"max_completion_tokens":2,%s}', "max_completion_tokens"),
    (CHAT, '{"model":"a","stream":true,"stream":false,%s}', "stream"),
    (CHAT, '{"model":"a","n":1,"n":8,%s}', "n"),
    (CHAT, '{"model":"a","service_tier":"priority","service_tier":"flex",%s}', "service_tier"),
    (CHAT, '{"model":"a","messages":[],%s}', "messages"),
    (CHAT, '{"model":"a","stream_options":{},"stream_options":null,%s}', "stream_options"),
    (
        CHAT,
        '{"model":"a","stream_options":{"include_usage":true,"include_usage":false},%s}',
        "stream_options.include_usage",
    ),
    (CHAT, '{"model":"a","tools":[{"type":"web_search","type":"function"}],%s}', "tools.type"),
    (
        CHAT,
        '{"model":"a","tools":[{"type":"function","function":{"strict":true,"strict":false}}],%s}',
        "tools.function.strict",
    ),
    (
        CHAT,
        '{"model":"a","response_format":{"type":"json_schema","type":"text"},%s}',
        "response_format.type",
    ),
    (
        CHAT,
        '{"model":"a","response_format":{"type":"json_schema","json_schema":{"strict":true,"strict":false}},%s}',
        "response_format.json_schema.strict",
    ),
    (
        CHAT,
        '{"model":"a","messages":[{"role":"user","content":[{"type":"image_url","type":"text"}]}]}',
        "messages.content.type",
    ),
    (
        CHAT,
        '{"model":"a","messages":[{"role":"user","content":[],"content":"text"},{"content":[]}]}',
        "messages.content",
    ),
    (
        CHAT,
        '{"model":"a","messages":[{"content":[{"type":"image_url","typ\\u0065":"text"}]}]}',
        "messages.content.type",
    ),
    (RESPONSES, '{"model":"a","model":"b","input":"Hi"}', "model"),
    (RESPONSES, '{"model":"a","input":"Hi","input":[]}', "input"),
    (RESPONSES, '{"model":"a","input":"Hi","max_output_tokens":9,"max_output_tokens":90}', "max_output_tokens"),
    (RESPONSES, '{"model":"a","previous_response_id":"r1","previous_response_id":"r2"}', "previous_response_id"),
    (RESPONSES, '{"model":"a","conversation":{"id":"c1","id":"c2"}}', "conversation.id"),
    (
        RESPONSES,
        '{"model":"a","prompt_cache_options":{"comparison_response_id":"r1","comparison_response_id":null}}',
        "prompt_cache_options.comparison_response_id",
    ),
    (RESPONSES, '{"model":"a","background":true,"background":false}', "background"),
    (RESPONSES, '{"model":"a","reasoning":{"summary":"auto","summary":null}}', "reasoning.summary"),
    (RESPONSES, '{"model":"a","text":{"format":{"type":"json_object"},"format":null}}', "text.format"),
    (
        RESPONSES,
        '{"model":"a","text":{"format":{"type":"json_object","type":"text"}}}',
        "text.format.type",
    ),
    (
        RESPONSES,
        '{"model":"a","input":[{"type":"message","type":"item_reference"},{"content":[]}]}',
        "input.type",
    ),
    (
        RESPONSES,
        '{"model":"a","input":[{"output":{"type":"computer_screenshot","type":"x"}}]}',
        "input.output.type",
    ),
    (
        RESPONSES,
        '{"model":"a","input":[{"type":"configuration_update","text":{"format":{"type":"json_object","type":"text"}}}]}',
        "input.text.format.type",
    ),
    # The same in other letters is not the same bytes, and who does not decode them reads another value.
    (RESPONSES, '{"model":"a","input":[{"role":"user","role":"us\\u0065r","content":"Hi"}]}', "input.role"),
    (RESPONSES, '{"model":"a","conversation":{"id":"c1","id":"c1"}}', "conversation.id"),
    # An item beside it that cannot be read hides nothing.
    (RESPONSES, '{"model":"a","input":[{"type":"item_reference","id":"a","id":"","content":5}]}', "input.id"),
    (
        RESPONSES,
        '{"model":"a","input":"Hi","tools":[{"type":"code_interpreter","container":"a","container":{},"strict":5}]}',
        "tools.container",
    ),
    (CONVERSATION, '{"items":[{"type":"item_reference","id":"a"}],"items":[]}', "items"),
    (CONVERSATION, '{"items":[{"type":"item_reference","id":"a"}],"it\\u0065ms":[]}', "items"),
    (CONVERSATION, '{"items":[{"type":"item_reference","id":"a","id":""}]}', "items.id"),
    (CONVERSATION, '{"items":[{"type":"item_reference","id":"a","type":"message","role":"user"}]}', "items.type"),
    (CONVERSATION, '{"items":[{"type":"reasoning","id":"a","content":[],"content":[{"text":"x"}]}]}', "items.content"),
    (
        CONVERSATION,
        '{"items":[{"role":"user","content":[{"type":"output_text","type":"input_file"}]}]}',
        "items.content.type",
    ),
    (PLAIN_JSON, '{"model":"a","model":"b","input":"Hi"}', "model"),
    (PLAIN_JSON, '{"input_file_id":"file-1","input_file_id":"file-2"}', "input_file_id"),
    (PLAIN_JSON, '{"model":"a","stream_format":"sse","stream_format":"audio"}', "stream_format"),
]


@pytest.mark.parametrize(("decode", "body", "name"), TWICE)
def test_a_member_that_is_read_and_stands_twice_is_refused(decode: Decode, body: str, name: str) -> None:
    with pytest.raises(BadBody, match="more than once") as refused:
        read(decode, body.replace("%s", TEXT).encode())
    assert refused.value.param == name


# A member that nothing is read of passes, however often it stands: it is the cloud's to judge.
UNREAD = [
    '{"model":"a","temperature":0,"temperature":1,%s}',
    '{"model":"a","metadata":{"a":"1","a":"2"},%s}',
    '{"model":"a","messages":[{"role":"user","content":"Hi"},{"role":"user","role":"user","content":[%s]}]}',
    '{"model":"a","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","type":"x"}}}],%s}',
]


@pytest.mark.parametrize("body", UNREAD)
def test_a_member_that_nobody_reads_may_stand_twice(body: str) -> None:
    read(CHAT, (body % (IMAGE if "[%s]" in body else TEXT)).encode())


# Whichever of equal values a cloud takes, it acts by what the gateway decided by.
EQUAL: list[tuple[Decode, str]] = [
    (RESPONSES, '{"model":"a","input":[{"role":"user","type":"message","role":"user","content":[]}]}'),
    (RESPONSES, '{"model":"a","input":[{"type":"message","role":"user","r\\u006fle":"user","content":"Hi"}]}'),
    (RESPONSES, '{"model":"a","input":[{"role":"user","role":"user","content":"%s"}]}' % ("long " * 10_000)),
    (CHAT, '{"model":"a","tools":[{"type":"function","type":"function","function":{"name":"f"}}],"messages":[]}'),
    (CONVERSATION, '{"items":[{"role":"user","content":[{"type":"input_text","text":"Hi","type":"input_text"}]}]}'),
]


@pytest.mark.parametrize(("decode", "body"), EQUAL)
def test_a_member_of_a_list_may_stand_twice_with_one_value(decode: Decode, body: str) -> None:
    read(decode, body.encode())


# Bytes that are not UTF-8, or no valid name, wherever they stand.
NOT_TEXT = [
    b'{"model":"a","x\xefy":20,%s}',
    b'{"model":"a","metadata":{"\xff":1},%s}',
    b'{"model":"a","user":"\xc3",%s}',
    b'{"model":"a","user":"\xed\xa0\x80",%s}',
    b'{"model":"a","x\\ud800":20,%s}',
    b'{"model":"a","x\\q":20,%s}',
    b'{"model":"a","stream":true,"stream_options":{"x\\ud800":1},%s}',
    b'{"model":"a","stream":true,"stream_options":{"x\xef":1},%s}',
]


@pytest.mark.parametrize("body", NOT_TEXT)
def test_what_is_no_text_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody, match="not JSON"):
        read(CHAT, body.replace(b"%s", TEXT.encode()))


# `null` says as much as nothing.
NULLS: list[tuple[Decode, str]] = [
    *(
        (CHAT, f'{{"model":"a","{name}":null,{TEXT}}}')
        for name in (
            "stream",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "n",
            "tools",
            "functions",
            "logprobs",
            "parallel_tool_calls",
            "response_format",
            "service_tier",
            "modalities",
            "web_search_options",
            "prediction",
            "store",
            "prompt_cache_key",
            "prompt_cache_retention",
        )
    ),
    (CHAT, f'{{"model":null,{TEXT}}}'),
    (CHAT, f'{{"model":"a","stream_options":{{"include_usage":null}},{TEXT}}}'),
    (CHAT, '{"model":"a","messages":null}'),
    *((PLAIN_JSON, f'{{"model":"a","{name}":null}}') for name in ("stream", "stream_format", "n", "input_file_id")),
    (PLAIN_JSON, '{"model":null}'),
]


@pytest.mark.parametrize(("decode", "body"), NULLS)
def test_null_is_as_good_as_absent(decode: Decode, body: str) -> None:
    members = json.loads(body)
    present = {name: value for name, value in members.items() if value is not None}
    said, unsaid = decode(body.encode(), JSON), decode(compact(present), JSON)
    assert said.needs(body.encode()) == unsaid.needs(compact(present)) == PLAIN
    rows = [
        (asked.model or "", asked.streamed, asked.wants_usage, asked.output_tokens, asked.choices, asked.named_ids)
        for asked in (said, unsaid)
    ]
    assert rows[0] == rows[1]


def test_null_deep_inside_hides_nothing() -> None:
    tools = '{"type":"function","function":{"name":"f","strict":null},"strict":null,"execution":null}'
    parts = f'{{"role":null,"type":null,"content":[{IMAGE},{{"type":null}}],"output":null}}'
    body = '{"model":"a","tools":[%s],"messages":[%s]}'
    null, bare = (
        (body % (tools, parts)).encode(),
        (body % ('{"type":"function","function":{"name":"f"}}', f'{{"content":[{IMAGE}]}}')).encode(),
    )
    assert decode_chat(null, JSON).needs(null) == decode_chat(bare, JSON).needs(bare)
    assert decode_chat(null, JSON).needs(null).images == 1


def test_lines_of_a_batch() -> None:
    body = f'{{"model":"a",{TEXT}}}'
    line = '{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":' + body + "%s}"
    read_line((line % "").encode())
    for more, name in (
        (',"body":{"model":"b"}', "body"),
        (',"url":"/v1/embeddings"', "url"),
        (',"method":"POST"', "method"),
    ):
        with pytest.raises(BadBody, match="more than once") as refused:
            read_line((line % more).encode())
        assert refused.value.param == name
    with pytest.raises(BadBody, match="more than once"):
        read_line((line % "").replace('"model":"a"', '"model":"a","model":"b"').encode())
    with pytest.raises(BadBody):
        read_line((line % "").encode().replace(b'"custom_id"', b'"custom\xff"'))


# -- whatever bytes come

VALID = [
    (operation, body)
    for operation in OPERATIONS
    if operation.decode is not None and operation.name not in ("files.create", "batches.create")
    for body in (
        [
            chat_body(stream=True, stream_options={"include_usage": False, "x": None}),
            chat_body(tools=[{"type": "function", "function": {"name": "f", "strict": True}}], n=2),
            compact({"messages": [{"role": "user", "content": [{"type": "image_url"}, {"type": "text"}]}]}),
            json.dumps({"model": MODEL, "input": [{"type": "message", "content": [{"type": "input_image"}]}]}).encode(),
            b'{"mod\\u0065l":"gpt-5.4","stream":true,"x\\n":{"model":"y"},"stream_options":null}',
        ]
        if "form" not in getattr(operation.decode, "__name__", "")
        else [b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\ngpt-5.4\r\n--b--\r\n']
    )
]
TOKENS = st.sampled_from(
    [
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\xef",
        b"\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"\\u0065",
        b"null",
        b'"model":"x",',
        b'"model"',
        b'"stream":true,',
        b'"stream_options":{},',
        b"1e999",
        b"9" * 5000,
        b"\x00",
        b"\xef\xbb\xbf",
        b"\r\n--b",
        b"true",
        b'"type":"image_url",',
    ]
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 6), TOKENS | st.binary(max_size=4)), min_size=1, max_size=4
)


@settings(max_examples=1500, deadline=None)
@given(valid=st.sampled_from(VALID), changes=CHANGES, named=st.booleans())
def test_what_is_read_can_be_sent(
    valid: tuple[object, bytes], changes: list[tuple[int, int, bytes]], named: bool
) -> None:
    """Whatever the bytes: they are refused with a reason, or every cloud can be sent what comes of them."""
    operation, body = valid
    for at, dropped, put in changes:
        at %= len(body) + 1
        body = body[:at] + put + body[at + dropped :]
    content_type = JSON if body.lstrip()[:1] != b"-" else b"multipart/form-data; boundary=b"
    try:
        asked = operation.decode(body, content_type)  # type: ignore[attr-defined]
        asked.needs(body)
    except BadBody:
        return
    for takes_usage in (True, False):
        there = Destination("other-model", b'"other-model"', takes_usage)
        sent = operation.splice(asked, body, content_type, there)  # type: ignore[attr-defined]
        if not operation.routed:  # type: ignore[attr-defined]
            assert sent == body
        elif content_type == JSON:
            again = operation.decode(sent, content_type)  # type: ignore[attr-defined]
            assert again.model == "other-model"
            assert again.streamed == asked.streamed
            assert again.wants_usage or not (takes_usage and asked.streamed)
            again.needs(sent)


# -- on a running gateway


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("gateway")) as started:
        started.cloud("azure")
        started.start()
        yield started
        assert "Traceback" not in started.errors()


@pytest.fixture
def azure(rig: Rig) -> Cloud:
    cloud = rig.clouds["azure"]
    cloud.behaviour = well
    cloud.requests.clear()
    return cloud


DATED = f"/openai/deployments/{MODEL}/chat/completions?api-version=2024-10-21"
# path, body → status, param
ASKED: list[tuple[str, bytes, int, str | None]] = [
    (DATED, b'{"messages":[],"x\xefy":20}', 400, None),
    ("/v1/chat/completions", b'{"model":"gpt-5.4","stream":true,"stream_options":{"x":1},"x\xefy":20}', 400, None),
    ("/v1/chat/completions", b'{"model":"gpt-5.4","model":"gpt-5.4","messages":[]}', 400, "model"),
    ("/v1/chat/completions", b'{"model":"gpt-5.4","max_tokens":5,"max_tok\\u0065ns":5}', 400, "max_tokens"),
    (DATED, compact({"model": None, "messages": MESSAGES}), 200, None),
    (DATED, compact({"messages": MESSAGES}), 200, None),
]


@pytest.mark.parametrize(("path", "body", "status", "param"), ASKED)
def test_at_the_door(rig: Rig, azure: Cloud, path: str, body: bytes, status: int, param: str | None) -> None:
    answer = rig.exchange(request_bytes(body, "connection: close", path=path))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    if status == 400:
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert (error["code"], error["param"]) == ("invalid_body", param)
        assert azure.requests == []
    else:
        assert azure.requests[0].json == {"messages": MESSAGES, "model": NAME_THERE}


def test_an_option_whose_name_is_escaped_is_not_sent_twice(rig: Rig, azure: Cloud) -> None:
    body = b'{"model":"gpt-5.4","stream":true,"stream_option\\u0073":null,"messages":[]}'
    rig.exchange(request_bytes(body, "connection: close"))
    assert azure.requests[0].json["stream_options"] == {"include_usage": True}
    assert b'"stream_option\\u0073":{"include_usage":true}' in azure.requests[0].body
    names = [name for name, _ in json.loads(azure.requests[0].body, object_pairs_hook=list)]
    assert names == ["model", "stream", "stream_options", "messages"]


FORM = b"--b\r\ncontent-disposition: form-data; %b\r\n\r\n%b\r\n"
# The heads of a form's two parts: what some parser reads as two models is refused.
FORMS = [
    (b'name="model"', b'name="model"'),
    (b'name="model"', b"name=model"),
    (b"name=model", b"name=model"),
    (b'name="model"', b"name*=utf-8''model"),
    (b'name="model"', b'name="x"; name="model"'),
    (b'name="model"', b'name="mod\\el"'),
    (b'name="n"', b"name=n"),
]


@pytest.mark.parametrize(("first", "second"), FORMS)
def test_forms(rig: Rig, azure: Cloud, first: bytes, second: bytes) -> None:
    body = FORM % (first, MODEL.encode()) + FORM % (second, b"other") + b"--b--\r\n"
    kind = "content-type: multipart/form-data; boundary=b"
    answer = rig.exchange(request_bytes(body, kind, "connection: close", path="/v1/audio/transcriptions"))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_body"
    assert azure.requests == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (rb'{"model":"a","x":"\ud83d"}', r"\ud83d at byte 18 is half of a surrogate pair"),
        (rb'{"model":"a","x":"\ud83dx"}', r"\ud83d at byte 18 is half of a surrogate pair"),
        (rb'{"model":"a","x":"\ud83d\ude00\\ud83d \uDE00"}', r"\uDE00 at byte 38 is half of a surrogate pair"),
        (b'\xef\xbb\xbf{"model":"a"}', "it begins with a byte order mark. Send it without."),
    ],
)
def test_why_a_body_is_not_json(body: bytes, message: str) -> None:
    with pytest.raises(BadBody, match=re.escape(message)):
        decode_plain(body, JSON)


def test_both_halves_of_a_character_are_json() -> None:
    assert decode_plain(rb'{"model":"\ud83d\ude00","x":"\\ud83d"}', JSON).model == "\U0001f600"
