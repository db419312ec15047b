"""Parameters that come again with each request are read once: whatever came before, a request has the properties of its
own body."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.decoding import Decode, RequestProperties
from clauseway.gateway.wire.bodies.message_requests import decode_messages
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.bodies.requests import decode_chat, decode_plain, decode_responses

JSON = b"application/json"
LONG = [{"role": "user", "content": "Read the deed. " * 50}]  # a shorter body is decoded as a whole
MEMBERS: Mapping[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["a", "b", "gpt-5.5", "\u0436"]),
    "stream": st.sampled_from([True, False, None]),
    "stream_options": st.sampled_from([None, {}, {"include_usage": True}, {"include_usage": False}]),
    "n": st.sampled_from([None, 1, 2]),
    "max_tokens": st.sampled_from([None, 0, 7, 4000]),
    "max_completion_tokens": st.sampled_from([None, 9]),
    "max_output_tokens": st.sampled_from([None, 11]),
    "store": st.sampled_from([None, True, False]),
    "background": st.sampled_from([None, True, False]),
    "service_tier": st.sampled_from([None, "flex", "priority"]),
    "prompt_cache_key": st.sampled_from([None, "k", "k" * 300]),
    "previous_response_id": st.sampled_from([None, "resp_1"]),
    "tools": st.sampled_from([[], [{"type": "function"}], [{"type": "web_search"}]]),
    "temperature": st.sampled_from([0, 1]),
}
KINDS: Mapping[str, Decode] = {
    "chat": decode_chat,
    "responses": decode_responses,
    "plain": decode_plain,
    "messages": decode_messages,
}
Seen = tuple[str | None, bool, bool, int, int, tuple[str, ...], bool, Needs]


def body_of(members: Mapping[str, Any], text: Any = LONG) -> bytes:
    return json.dumps({**members, "messages": text}).encode()


def seen(properties: RequestProperties, body: bytes) -> Seen:
    return (
        properties.model,
        properties.streamed,
        properties.wants_usage,
        properties.output_tokens,
        properties.choices,
        properties.named_ids,
        properties.later,
        properties.needs(body),
    )


@pytest.mark.parametrize("decode", KINDS.values(), ids=KINDS.keys())
@settings(max_examples=300, deadline=None)
@given(several=st.lists(st.fixed_dictionaries({}, optional=dict(MEMBERS)), min_size=1, max_size=6))
def test_a_request_has_the_properties_of_its_own_body(decode: Decode, several: list[dict[str, Any]]) -> None:
    for members in [*several, *several]:
        long, short = body_of(members), body_of(members, [])
        # Nothing of a short body is remembered.
        assert seen(decode(long, JSON), long) == seen(decode(short, JSON), short)


def test_the_same_parameters_are_read_once() -> None:
    parameters = {"model": "remembered", "max_tokens": 12}
    first, second = (body_of(parameters, [{"role": "user", "content": who * 600}]) for who in "xy")
    assert decode_chat(first, JSON) is decode_chat(second, JSON)


def test_parts_of_messages_are_read_each_time() -> None:
    parameters = {"model": "remembered", "max_tokens": 13}
    text, image = (
        body_of(parameters, [{"role": "user", "content": content}])
        for content in ("x" * 600, [{"type": "text", "text": "x" * 600}, {"type": "image_url"}])
    )
    properties = decode_chat(text, JSON)
    assert decode_chat(image, JSON) is properties
    assert properties.needs(text) is PLAIN
    assert properties.needs(image).images == 1
    assert properties.needs(text) is PLAIN


def test_a_wrong_parameter_is_refused_each_time() -> None:
    for _ in range(3):
        with pytest.raises(BadBody) as caught:
            decode_chat(body_of({"model": "a", "max_tokens": "many"}), JSON)
        assert caught.value.param == "max_tokens"


def test_parameters_without_end_are_not_remembered_without_end() -> None:
    bodies = [body_of({"model": f"model-{number}"}) for number in range(300)]
    first = [decode_plain(body, JSON) for body in bodies]
    again = [decode_plain(body, JSON) for body in bodies]
    assert [properties.model for properties in again] == [f"model-{number}" for number in range(300)]
    assert any(one is not other for one, other in zip(first, again, strict=True))
    long = body_of({"model": "m" * 300})
    assert decode_plain(long, JSON) is not decode_plain(long, JSON), "long parameters are not kept"
