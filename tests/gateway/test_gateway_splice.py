"""Bodies are changed in two places only. The law: decode, change the one member, and nothing else differs."""

import json

from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.wire.bodies.requests import ChatRequest, decode_chat
from clauseway.gateway.wire.splice import asking_usage, with_model

NAME = "gpt-5.4-deployment"
QUOTED = b'"gpt-5.4-deployment"'
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"model"', '{"model":"x"}', "model", '\\"model\\":', ',"usage":null', "}"]
)
names = texts | st.sampled_from(["messages", "tools", "model_", "metadata"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.just("model"), inner, max_size=3),
    max_leaves=8,
)
before = st.dictionaries(names.filter(lambda name: name != "model"), values, max_size=3)
layouts = st.sampled_from([(None, (",", ":")), (None, (", ", ": ")), (2, (",", ": "))])


def bodies(members: dict[str, object], layout: tuple[int | None, tuple[str, str]], escape: bool) -> bytes:
    indent, separators = layout
    return json.dumps(members, indent=indent, separators=separators, ensure_ascii=escape).encode()


@given(before, texts, before, layouts, st.booleans())
def test_only_the_models_name_changes(
    first: dict[str, object],
    model: str,
    last: dict[str, object],
    layout: tuple[int | None, tuple[str, str]],
    escape: bool,
) -> None:
    members = {**first, "model": model, **{key: value for key, value in last.items() if key not in first}}
    body = bodies(members, layout, escape)
    spliced = with_model(body, model, NAME, QUOTED)
    assert list(json.loads(spliced).items()) == list({**members, "model": NAME}.items())


@given(before, layouts)
def test_the_rest_of_the_body_stays_byte_for_byte(
    first: dict[str, object], layout: tuple[int | None, tuple[str, str]]
) -> None:
    for members in ({"model": "a-name", **first}, {**first, "model": "a-name"}):
        body = bodies(members, layout, escape=False)
        if body.count(b'"model"') == 1:
            spliced = with_model(body, "a-name", NAME, QUOTED)
            assert spliced == body.replace(b'"a-name"', QUOTED) or body.count(b'"a-name"') > 1


def test_names_written_oddly() -> None:
    table = {
        b'{"model":"a"}': b'{"model":"gpt-5.4-deployment"}',
        b' { "model" : "a" } ': b' { "model" : "gpt-5.4-deployment" } ',
        # The key is inside a tool as well, after the one that counts.
        b'{"messages":[1.50],"model":"a","tools":[{"model":"b"}]}': (
            b'{"messages":[1.50],"model":"gpt-5.4-deployment","tools":[{"model":"b"}]}'
        ),
        # Escapes in the key, or in a name: what counts is what it means.
        b'{"mod\\u0065l":"a"}': b'{"mod\\u0065l":"gpt-5.4-deployment"}',
        b'{"model":"a\\"b"}': b'{"model":"gpt-5.4-deployment"}',
        # Named by the path alone: what a tool is called is no model.
        b'{"tools":[{"model":"b"}]}': b'{"tools":[{"model":"b"}],"model":"gpt-5.4-deployment"}',
        # The only one that stands there letter by letter is a tool's.
        b'{"tools":[{"model":"a"}], "mod\\u0065l": "a"}': (
            b'{"tools":[{"model":"a"}], "mod\\u0065l": "gpt-5.4-deployment"}'
        ),
        # A name that only ends like it, with an escaped quote, and one within a list.
        b'{"model":"a","x\\"model":"a"}': b'{"model":"gpt-5.4-deployment","x\\"model":"a"}',
        b'{"mod\\u0065l":"a","x\\"model":"a"}': b'{"mod\\u0065l":"gpt-5.4-deployment","x\\"model":"a"}',
        b'{"mod\\u0065l":"a","x":[{"model":"a"}]}': b'{"mod\\u0065l":"gpt-5.4-deployment","x":[{"model":"a"}]}',
        b'{"mod\\u0065l":"a","x":{"model":"a"}}': b'{"mod\\u0065l":"gpt-5.4-deployment","x":{"model":"a"}}',
        # Members that stand twice and are not read stay so, in their order.
        b'{"x":[1.0, 2],"model":null,"x":{"model" : 1}}': (
            b'{"x":[1.0, 2],"model":"gpt-5.4-deployment","x":{"model" : 1}}'
        ),
    }
    for body, expected in table.items():
        assert with_model(body, json.loads(body).get("model") or "", NAME, QUOTED) == expected


def test_asking_for_usage() -> None:
    table = {
        b'{"model":"a","stream":true}': b'{"model":"a","stream":true,"stream_options":{"include_usage":true}}',
        b'{"model":"a"} \n': b'{"model":"a","stream_options":{"include_usage":true}} \n',
        b'{"stream_options":{"include_usage":false},"model":"a"}': (
            b'{"stream_options":{"include_usage":true},"model":"a"}'
        ),
        b'{"stream_options":{"include_obfuscation": false},"model":"a"}': (
            b'{"stream_options":{"include_obfuscation": false,"include_usage":true},"model":"a"}'
        ),
        b'{"stream_options": null,"n": 1.0}': b'{"stream_options": {"include_usage":true},"n": 1.0}',
        b'{"stream_options": { } ,"x\\u0041":1}': b'{"stream_options": { "include_usage":true} ,"x\\u0041":1}',
        b'{"stream_option\\u0073":{"include_usage" : null}}': b'{"stream_option\\u0073":{"include_usage" : true}}',
        b'{"tools":["stream_options"], "x\\u0041":1 }': (
            b'{"tools":["stream_options"], "x\\u0041":1 ,"stream_options":{"include_usage":true}}'
        ),
    }
    for body, expected in table.items():
        assert asking_usage(body) == expected


@given(before, texts, layouts)
def test_both_changes_together_are_what_was_meant(
    first: dict[str, object], model: str, layout: tuple[int | None, tuple[str, str]]
) -> None:
    kept = {key: value for key, value in first.items() if key not in ChatRequest.__struct_fields__}
    body = bodies({**kept, "model": model, "stream": True}, layout, escape=False)
    changed = asking_usage(with_model(body, model, NAME, QUOTED))
    request = decode_chat(changed, b"application/json")
    assert (request.model, request.streamed, request.wants_usage) == (NAME, True, True)
    assert json.loads(changed) == {**kept, "model": NAME, "stream": True, "stream_options": {"include_usage": True}}
