"""Needs of requests, read from their values: bodies → capabilities, and sizes that their bytes do not bound."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.catalog import BITS, Capability
from clauseway.gateway.wire.batch_files import read_line
from clauseway.gateway.wire.bodies.body_errors import BadBody, FurtherModel, NotOffered, RepeatedMember
from clauseway.gateway.wire.bodies.decoding import RequestProperties
from clauseway.gateway.wire.bodies.escapes import text_bytes
from clauseway.gateway.wire.bodies.further_models import FURTHER
from clauseway.gateway.wire.bodies.message_requests import decode_messages
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.gateway.wire.bodies.requests import (
    decode_chat,
    decode_completion,
    decode_drawing,
    decode_edit,
    decode_form,
    decode_items,
    decode_plain,
    decode_responses,
    decode_sound,
)

WIRE = Path(__file__).parents[2] / "docs/wire.md"
TEXT = [{"role": "user", "content": 'a [list] of {"type": "image_url"} in prose'}]
FUNCTION = {"name": "look_up", "parameters": {"type": "object", "properties": {"image_url": {"type": "string"}}}}


def part(kind: str, **members: object) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": kind, **members}]}]


def schema(strict: bool | None) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "s", "schema": {}, "strict": strict}}


CHAT: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"n": 1, "service_tier": "auto", "parallel_tool_calls": False, "store": False, "logprobs": None}, []),
    ({"tools": None, "response_format": None, "prediction": None, "web_search_options": None}, []),
    ({"tools": [{"type": "function", "function": FUNCTION}]}, ["tools"]),
    ({"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]}, ["tools", "strict-schema"]),
    ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, ["custom-tools"]),
    ({"functions": [FUNCTION]}, ["tools"]),
    ({"parallel_tool_calls": True}, ["parallel-tool-calls"]),
    ({"response_format": {"type": "text"}}, []),
    ({"response_format": {"type": "json_object"}}, ["json-mode"]),
    ({"response_format": schema(None)}, ["json-schema"]),
    ({"response_format": schema(True)}, ["json-schema", "strict-schema"]),
    ({"messages": part("image_url", image_url={"url": "https://a.test/b.png"})}, ["vision"]),
    ({"messages": part("input_audio", input_audio={"data": "aa", "format": "wav"})}, ["audio-input"]),
    ({"messages": part("file", file={"file_id": "file-1"})}, ["file-input"]),
    ({"messages": part("a_kind_of_tomorrow")}, []),
    ({"modalities": ["text", "audio"]}, ["audio-output"]),
    ({"n": 2}, ["several-choices"]),
    ({"logprobs": True}, ["logprobs"]),
    ({"service_tier": "flex"}, ["flex"]),
    ({"service_tier": "priority"}, ["priority"]),
    ({"service_tier": "fast"}, ["priority"]),  # another word for it
    ({"service_tier": "ultrafast"}, ["priority"]),
    ({"web_search_options": {}}, ["web-search"]),
    ({"tools": [{"type": "openrouter:web_search"}]}, ["web-search"]),
    ({"prediction": {"type": "content", "content": "x"}}, ["predicted-output"]),
    ({"store": True}, ["stored-state"]),
    ({"prompt_cache_key": "k"}, ["prompt-cache-key"]),
    ({"prompt_cache_retention": "24h"}, ["prompt-cache-retention"]),
]
RESPONSES: list[tuple[dict[str, Any], list[str]]] = [
    ({"input": "hello"}, []),
    ({"tools": [{"type": "function", "name": "f", "strict": True}]}, ["tools", "strict-schema"]),
    ({"tools": [{"type": "web_search"}]}, ["web-search"]),
    ({"tools": [{"type": "web_search_preview_2025_03_11"}]}, ["web-search"]),
    ({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, ["file-search"]),
    ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, ["code-interpreter"]),
    ({"tools": [{"type": "computer_use_preview"}]}, ["computer-use"]),
    ({"tools": [{"type": "image_generation"}]}, ["image-generation-tool"]),
    ({"tools": [{"type": "mcp", "server_label": "s"}]}, ["mcp"]),
    ({"tools": [{"type": "tool_search"}]}, ["tool-search"]),
    ({"tools": [{"type": "tool_search", "execution": "server"}]}, ["tool-search"]),
    ({"tools": [{"type": "tool_search", "execution": "client"}]}, ["client-tool-search"]),
    ({"tools": [{"type": "a_tool_of_tomorrow"}]}, []),
    ({"text": {"format": {"type": "json_schema", "strict": True, "schema": {}}}}, ["json-schema", "strict-schema"]),
    (
        {"input": [{"type": "configuration_update", "text": {"format": {"type": "json_schema", "strict": True}}}]},
        ["json-schema", "strict-schema"],
    ),
    ({"input": [{"type": "configuration_update", "reasoning": {"effort": "high"}, "text": None}]}, []),
    ({"input": [{"type": "an_item_of_tomorrow", "text": {"format": {"type": "json_object"}}}]}, []),
    ({"text": {"verbosity": "low"}}, []),
    ({"reasoning": {"effort": "high"}}, []),
    ({"reasoning": {"summary": "auto"}}, ["reasoning-summary"]),
    ({"background": True}, ["background"]),
    ({"store": True}, ["stored-state"]),
    ({"previous_response_id": "resp_1"}, ["stored-state"]),
    ({"conversation": {"id": "conv_1"}}, ["conversations"]),
    ({"prompt": {"id": "pmpt_1"}}, ["prompt-templates"]),
    ({"top_logprobs": 3}, ["logprobs"]),
    ({"input": part("input_image", image_url="data:image/png;base64,aa")}, ["vision"]),
    ({"input": part("input_file", file_url="https://a.test/b.pdf")}, ["file-input"]),
    (
        {"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": "data:"}}]},
        ["vision"],
    ),
    ({"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": "x"}]}]}, ["vision"]),
    ({"service_tier": "flex", "prompt_cache_key": "k"}, ["flex", "prompt-cache-key"]),
]


SEARCH = {"type": "web_search_20250305", "name": "web_search"}
LOOK_UP = {"type": "function", "name": "look_up", "strict": True}
# a list of tools → its capabilities
TOOLS: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([LOOK_UP], ["tools", "strict-schema"]),
    ([{"type": "custom", "name": "c"}], ["custom-tools"]),
    ([{"type": "web_search"}], ["web-search"]),
    ([{"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "mcp"}], ["code-interpreter", "mcp"]),
    ([{"type": "namespace", "name": "crm", "tools": [LOOK_UP]}], ["tools", "strict-schema"]),
    ([{"type": "namespace", "name": "crm", "tools": [{"type": "web_search"}]}], ["web-search"]),
]
# Items that bring tools along, and a tool that an earlier answer's server listed, which is none of the request's.
BRINGING = ["additional_tools", "tool_search_output", "an_item_of_tomorrow", None]
LISTED = {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "web_search", "input_schema": {}}]}


def named(bits: int) -> set[str]:
    return {str(capability) for capability in Capability if BITS[capability] & bits}


def edit(**members: object) -> tuple[RequestProperties, bytes]:
    body = json.dumps({"model": "m", "prompt": "a fox", **members}).encode()
    return decode_edit(body, b"application/json"), body


def chat(**members: Any) -> tuple[RequestProperties, bytes]:
    body = json.dumps({"model": "m", "messages": TEXT, **members}).encode()
    return decode_chat(body, b""), body


def responses(**members: Any) -> tuple[RequestProperties, bytes]:
    body = json.dumps({"model": "m", "input": "hello", **members}).encode()
    return decode_responses(body, b""), body


def messages(**members: Any) -> tuple[RequestProperties, bytes]:
    body = json.dumps({"model": "m", "messages": TEXT, **members}).encode()
    return decode_messages(body, b""), body


def needs(asked_and_body: tuple[RequestProperties, bytes]) -> Needs:
    asked, body = asked_and_body
    return asked.needs(body)


@pytest.mark.parametrize(("members", "capabilities"), CHAT, ids=lambda value: json.dumps(value)[:60])
def test_a_chat_request_needs(members: dict[str, Any], capabilities: list[str]) -> None:
    assert named(needs(chat(**members)).bits) == set(capabilities)


@pytest.mark.parametrize(("members", "capabilities"), RESPONSES, ids=lambda value: json.dumps(value)[:60])
def test_a_responses_request_needs(members: dict[str, Any], capabilities: list[str]) -> None:
    assert named(needs(responses(**members)).bits) == set(capabilities)


@pytest.mark.parametrize("kind", BRINGING)
@pytest.mark.parametrize(("tools", "capabilities"), TOOLS, ids=lambda value: json.dumps(value)[:60])
def test_tools_are_the_same_wherever_they_stand(
    tools: list[dict[str, Any]], capabilities: list[str], kind: str | None
) -> None:
    above = needs(responses(tools=tools))
    within = needs(responses(input=[*TEXT, {"type": kind, "tools": tools}]))
    assert named(above.bits) == set(capabilities)
    assert (within.bits, within.unbounded, within.searches) == (above.bits, above.unbounded, above.searches)


ITEMS = [(said["input"], needed) for said, needed in RESPONSES if isinstance(said.get("input"), list)]


@pytest.mark.parametrize(("items", "capabilities"), ITEMS, ids=lambda value: json.dumps(value)[:60])
def test_the_items_of_a_conversation_need_what_those_of_a_request_do(items: list[Any], capabilities: list[str]) -> None:
    body = json.dumps({"items": items}).encode()
    assert named(decode_items(body, b"application/json").needs(body).bits) == set(capabilities)


def test_tools_that_a_server_listed_are_not_asked_for() -> None:
    assert needs(responses(input=[*TEXT, LISTED])) == needs(responses())


# a list of a message's tools → its capabilities
TOOLS_OF_MESSAGES: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([{"name": "look_up", "input_schema": {}, "strict": True}], ["tools", "strict-schema"]),
    ([SEARCH], ["web-search"]),
    ([{**SEARCH, "max_uses": 5}, {"type": "code_execution_20250825"}], ["web-search", "code-interpreter"]),
    ([{"type": "mcp_toolset", "mcp_server_name": "s"}], ["mcp"]),
    ([{"type": "a_tool_of_tomorrow"}], []),
]


def added(tool: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}}


@pytest.mark.parametrize(("tools", "capabilities"), TOOLS_OF_MESSAGES, ids=lambda value: json.dumps(value)[:60])
def test_tools_of_messages_are_the_same_wherever_they_stand(
    tools: list[dict[str, Any]], capabilities: list[str]
) -> None:
    above, changes = needs(messages(tools=tools)), [added(tool) for tool in tools]
    assert named(above.bits) == set(capabilities)
    for blocks in (changes, [{"type": "compaction", "content": None, "tool_changes": changes}]):
        within = needs(messages(messages=[*TEXT, {"role": "system", "content": blocks}]))
        assert (within.bits, within.unbounded, within.searches) == (above.bits, above.unbounded, above.searches)


def test_a_tool_that_is_only_referred_to_brings_nothing_along() -> None:
    reference = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "web_search"}}
    blocks = [reference, {"type": "compaction", "tool_changes": None}, {"type": "tool_removal", "tool": added(SEARCH)}]
    assert needs(messages(messages=[{"role": "system", "content": blocks}])) is PLAIN


def test_a_plain_request_costs_nothing_and_shares_one_answer() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hello"}],"max_tokens":10,"stream":true}'
    assert decode_chat(body, b"").needs(body) is PLAIN
    body = b'{"model":"m","input":"hello"}'
    assert decode_plain(body, b"").needs(body) is PLAIN


def test_an_escaped_name_hides_nothing() -> None:
    body = rb'{"model":"m","messages":[{"role":"user","content":[{"\u0074ype":"image\u005furl","image_url":{}}]}]}'
    assert named(decode_chat(body, b"").needs(body).bits) == {"vision"}


def test_an_escaped_word_hides_no_sound() -> None:
    body = rb'{"model":"m","messages":[{"role":"user","content":"hello"}],"modalities":["text","\u0061udio"]}'
    wanted = decode_chat(body, b"").needs(body)
    assert (named(wanted.bits), wanted.audio) == ({"audio-output"}, True)


@pytest.mark.parametrize(
    ("members", "most"),
    [
        ({"max_completion_tokens": 5}, 5),
        ({"max_tokens": 7}, 7),
        # Servers differ in which of the two they read.
        ({"max_completion_tokens": 5, "max_tokens": 7}, 7),
        ({"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ({"max_completion_tokens": None, "max_tokens": None}, 0),
    ],
)
def test_the_higher_of_two_limits_is_reserved(members: dict[str, Any], most: int) -> None:
    asked, _ = chat(**members)
    assert asked.output_tokens == most


# what is asked → images, unbounded by the body, sound
BOUNDS = [
    (chat(), (0, False, False)),
    (chat(messages=part("image_url", image_url={"url": "data:"}) * 3), (3, False, False)),
    (chat(messages=part("file", file={"file_id": "file-1"})), (0, True, False)),
    (chat(messages=part("input_audio", input_audio={})), (0, False, True)),
    (chat(modalities=["audio"]), (0, False, True)),
    (chat(modalities=[7, "audio"]), (0, False, True)),
    (chat(tools=[{"type": "function", "function": FUNCTION}]), (0, False, False)),
    (chat(web_search_options={}), (0, True, False)),
    (responses(tools=[{"type": "function", "name": "f"}]), (0, False, False)),
    (responses(tools=[{"type": "web_search"}]), (0, True, False)),
    (responses(tools=[{"type": "a_tool_of_tomorrow"}]), (0, True, False)),
    (responses(tools="a shape of tomorrow"), (0, True, False)),
    (responses(tools=[{"type": "namespace", "tools": [LOOK_UP]}]), (0, False, False)),
    (responses(tools=[{"type": "namespace", "tools": [{"type": "namespace", "tools": []}]}]), (0, True, False)),
    (responses(input=[{"type": "additional_tools", "tools": [LOOK_UP]}]), (0, False, False)),
    (responses(input=[{"type": "additional_tools", "tools": "a shape of tomorrow"}]), (0, True, False)),
    (messages(tools=[{"type": "computer_toolset_20260801"}]), (0, False, False)),
    (messages(tools=[{"type": "browser_toolset_20260801"}]), (0, False, False)),
    (messages(tools=[{"type": "web_fetch_20260318", "name": "web_fetch"}]), (0, True, False)),
    (messages(tools=[{"type": "a_tool_of_tomorrow"}]), (0, True, False)),
    (responses(previous_response_id="resp_1"), (0, True, False)),
    (responses(multi_agent={"enabled": True, "max_concurrent_subagents": 9}), (0, True, False)),
    (responses(multi_agent=None), (0, False, False)),
    (responses(conversation="conv_1"), (0, True, False)),
    (responses(input=[{"type": "item_reference", "id": "msg_1"}]), (0, True, False)),
    # A shape that we do not know: anything may be in it.
    (chat(messages=[{"role": "user", "content": [{"type": 7}]}]), (0, True, True)),
    # Pictures to edit, which JSON may name by address.
    (edit(), (0, False, False)),
    (edit(images=[{"image_url": "https://a.test/b.png"}, {"file_id": "file-1"}]), (2, False, False)),
    (edit(images=[{"file_id": "file-1"}], mask={"file_id": "file-2"}), (2, False, False)),
    (edit(image={"url": "https://a.test/b.png"}, mask=None, n=2), (1, False, False)),
    (edit(image=["https://a.test/b.png", "https://a.test/c.png"]), (2, False, False)),
]


# what is asked → how often the cloud may search the web for it
SEARCHES = [
    (responses(), 0),
    (responses(tools=[{"type": "function", "name": "f"}], max_tool_calls=7), 0),
    (responses(tools=[{"type": "web_search"}]), 128),
    (responses(tools=[{"type": "web_search_preview_2025_03_11"}], max_tool_calls=7), 7),
    (responses(tools=[{"type": "web_search"}], max_tool_calls=0), 0),
    (responses(tools=[{"type": "web_search"}], max_tool_calls=10**15), 1 << 20),
    (responses(tools=[{"type": "web_search"}], max_tool_calls=-1), 0),
    (responses(prompt={"id": "pmpt_1"}), 128),  # the template may bring the tool along
    (chat(tools=[{"type": "openrouter:web_search", "parameters": {"max_uses": 1}}]), 128),
    (chat(tools=[{"type": "function", "function": {"name": "web_search"}}]), 0),
    (messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]), 128),
    (messages(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]), 5),
    (messages(tools=[{"type": "computer_20250124", "name": "computer"}]), 0),
    (messages(tools=[{"type": "openrouter:web_search", "parameters": {"max_uses": 1}}]), 128),
    (messages(tools=[{**SEARCH, "max_uses": 5}, {**SEARCH, "max_uses": 3}]), 8),
    # A cloud may read what cannot be read here, or leave it out.
    (responses(tools=[{"type": "web_search", "strict": "no"}]), 128),
    (responses(tools=[{"type": "web_search"}, {"type": "function", "name": "f", "strict": 1}, 7]), 128),
    (responses(tools=[{"type": "namespace", "execution": 7, "tools": [{"type": "web_search"}]}], max_tool_calls=7), 7),
    (messages(tools=[{**SEARCH, "max_uses": "5"}]), 128),
]


LAMBDA = "arn:aws:lambda:us-west-2:123456789012:function:orders"
SVG_TOOL = {"type": "image_generation", "output_format": "svg"}
SVG_AUTHOR = {"type": "image_generation", "svg": {"model": "gpt-6-astra"}}
# what a body says beside its model → the member that has the cloud turn to another model or host
TURNING: list[tuple[Any, dict[str, Any], str]] = [
    (decode_chat, {"moderation": {"model": "omni-moderation-latest"}}, "moderation"),
    (decode_responses, {"moderation": {"model": "omni-moderation-latest"}}, "moderation"),
    (decode_chat, {"models": ["claude-sonnet-5"], "route": "fallback"}, "models"),
    (decode_responses, {"models": ["claude-sonnet-5"]}, "models"),
    (decode_completion, {"models": ["davinci-002"]}, "models"),
    (decode_chat, {"fallbacks": ["claude-sonnet-5"]}, "fallbacks"),
    (decode_messages, {"models": ["gpt-5.4"]}, "models"),
    (decode_chat, {"preset": "copywriter"}, "preset"),
    (decode_responses, {"agent": {"type": "agent_reference", "name": "clerk"}}, "agent"),
    (decode_responses, {"agent_reference": {"type": "agent_reference", "name": "clerk"}}, "agent_reference"),
    (decode_chat, {"compound_custom": {"models": {"reasoning_model": "gpt-oss"}}}, "compound_custom"),
    (decode_chat, {"safety_model": "a-guard"}, "safety_model"),
    (decode_chat, {"draft_model": "a-small-one"}, "draft_model"),
    (decode_chat, {"lora_path": "weights"}, "lora_path"),
    (decode_chat, {"context_window_fallbacks": [{"m": ["x"]}]}, "context_window_fallbacks"),
    (decode_chat, {"content_policy_fallbacks": [{"m": ["x"]}]}, "content_policy_fallbacks"),
    (decode_chat, {"user_config": {"model_list": [{"model_name": "m"}]}}, "user_config"),
    (decode_chat, {"plugins": [{"id": "auto-router"}]}, "plugins"),
    (decode_chat, {"lora": [{"id": 0, "scale": 1.0}]}, "lora"),
    (decode_chat, {"adapters": "weights"}, "adapters"),
    (decode_chat, {"api_base": "https://another.example"}, "api_base"),
    (decode_chat, {"base_url": "https://another.example"}, "base_url"),
    (decode_chat, {"extra_body": {"model": "x"}}, "extra_body.model"),
    (decode_chat, {"extra_body": {"models": ["x"]}}, "extra_body.models"),
    (decode_responses, {"extra_body": {"provider": {"order": ["azure"]}}}, "extra_body.provider"),
    (decode_chat, {"extra_body": {"max_tokens": 100_000}}, "extra_body.max_tokens"),
    (decode_responses, {"extra_body": {"tools": [{"type": "web_search"}]}}, "extra_body.tools"),
    (decode_chat, {"extra_body": {"extra_body": {"model": "x"}}}, "extra_body.extra_body"),
    (decode_messages, {"extra_body": {"thread": {"id": "x"}}}, "extra_body.thread"),
    (
        decode_chat,
        {"extra_body": {"google": {"cached_content": "cachedContents/1"}}},
        "extra_body.google.cached_content",
    ),
    (decode_chat, {"extra_body": {"google": {"cachedContent": "1"}}}, "extra_body.google.cachedContent"),
    (decode_chat, {"provider": {"order": ["azure"]}}, "provider"),
    (decode_responses, {"providerOptions": {"gateway": {"order": ["azure"]}}}, "providerOptions"),
    (decode_responses, {"tools": [SVG_TOOL]}, "tools"),
    (decode_responses, {"tools": [{"type": "function", "name": "f"}, SVG_AUTHOR]}, "tools"),
    (decode_responses, {"input": [{"type": "additional_tools", "tools": [SVG_AUTHOR]}]}, "input.tools"),
    # Tools of a server that offers many models, by which another of them works.
    (decode_chat, {"tools": [{"type": "openrouter:advisor", "parameters": {"model": "x"}}]}, "tools"),
    (decode_chat, {"tools": [7, {"type": "openrouter:advisor"}]}, "tools"),
    (decode_chat, {"tools": [{"type": "function", "function": {}}, {"type": "openrouter:subagent"}]}, "tools"),
    (decode_responses, {"tools": [{"type": "openrouter:fusion"}]}, "tools"),
    (decode_responses, {"tools": [{"type": "openrouter:image_generation"}]}, "tools"),
    (decode_messages, {"tools": [{"type": "openrouter:image_generation"}]}, "tools"),
    (decode_messages, {"tools": [{"type": "openrouter:subagent"}]}, "tools"),
    (decode_chat, {"tools": [{"type": "advisor_20260301", "model": "x"}]}, "tools"),
    # Tools by which the cloud acts with the identity of the operator's account.
    (decode_responses, {"tools": [{"type": "azure_ai_search", "azure_ai_search": {"indexes": []}}]}, "tools"),
    (decode_items, {"items": [{"type": "additional_tools", "tools": [{"type": "azure_ai_search"}]}]}, "items.tools"),
    (decode_items, {"items": [{"type": "additional_tools", "tools": [SVG_AUTHOR]}]}, "items.tools"),
    (decode_responses, {"tools": [{"type": "sharepoint_grounding_preview"}, 7]}, "tools"),
    (decode_responses, {"tools": [{"type": "mcp", "server_label": "x", "project_connection_id": "crm"}]}, "tools"),
    (decode_responses, {"tools": [{"type": "namespace", "tools": [{"type": "openapi"}]}]}, "tools.tools"),
    (decode_responses, {"tools": [{"type": "mcp", "server_label": "x", "connector_id": LAMBDA}]}, "tools"),
    (decode_responses, {"tools": [{"type": "mcp", "server_label": "x", "tunnel_id": "tunnel_1"}]}, "tools"),
    (decode_responses, {"tools": [7, {"type": "mcp", "server_label": "x", "connector_id": LAMBDA}]}, "tools"),
]


@pytest.mark.parametrize(("decode", "says", "member"), TURNING)
def test_no_body_turns_to_a_further_model_or_host(decode: Any, says: dict[str, Any], member: str) -> None:
    written = json.dumps({"model": "m", "max_tokens": 9, "messages": [], **says}).encode()
    with pytest.raises(NotOffered) as refused:
        decode(written, b"application/json").needs(written)
    assert refused.value.param == member


NOTHING: list[object] = [None, [], {}, ""]


@pytest.mark.parametrize(
    ("decode", "says"),
    [
        *[(decode_chat, dict.fromkeys(FURTHER, nothing)) for nothing in NOTHING],
        (decode_drawing, {"moderation": "low"}),
        (decode_chat, {"extra_body": {"google": {"thinking_config": {"include_thoughts": True}}}}),
        (decode_chat, {"extra_body": {"google": {"cached_content": None}}}),
        (decode_chat, {"extra_body": {"google": "no object"}}),
        (decode_chat, {"extra_body": {"models": None, "top_k": 4}}),
        (decode_chat, {"extra_body": "no object"}),
        (decode_chat, {"compound_custom": {"tools": {"enabled_tools": ["web_search"]}}}),
        (decode_chat, {"tools": [{"type": "function", "function": {"name": "openrouter:advisor"}}]}),
        (decode_chat, {"tools": [{"type": "openrouter:datetime"}, {"type": "openrouter:web_fetch"}]}),
        (decode_messages, {"max_tokens": 9, "messages": [], "tools": [{"type": "custom", "name": "subagent"}]}),
        (decode_responses, {"tools": [{"type": "image_generation", "output_format": "png", "svg": None}]}),
        (decode_responses, {"tools": [{"type": "function", "name": "f", "svg": {}}, {"type": "image_generation"}]}),
        (decode_responses, {"tools": [{"type": "mcp", "server_label": "x", "project_connection_id": None}]}),
        (decode_responses, {"tools": [{"type": "mcp", "server_label": "x", "connector_id": "connector_gmail"}]}),
        (decode_responses, {"tools": [{"type": "mcp", "server_label": "x", "connector_id": None}]}),
        (decode_responses, {"tools": [{"type": "function", "name": "openapi", "parameters": {"type": "openapi"}}]}),
    ],
)
def test_what_turns_to_no_further_model_passes(decode: Any, says: dict[str, Any]) -> None:
    written = json.dumps({"model": "m", **says}, indent=1).encode()
    decode(written, b"application/json").needs(written)


def form(*fields: tuple[str, str]) -> tuple[bytes, bytes]:
    """(body, content type) of a recording with these fields."""
    parts = b"".join(
        b'--b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value.encode())
        for name, value in (("model", "whisper-1"), *fields)
    )
    return parts + b"--b--", b"multipart/form-data; boundary=b"


@pytest.mark.parametrize("decode", [decode_sound, decode_form])
@pytest.mark.parametrize(
    ("fields", "member"),
    [
        ([("fallbacks", "gpt-4o-transcribe")], "fallbacks"),
        ([("fallbacks", '["gpt-4o-transcribe"]')], "fallbacks"),
        ([("fallbacks", "x" * 100_000)], "fallbacks"),
        # As HTTP libraries write lists and objects.
        ([("models[]", "gpt-4o-transcribe"), ("models[]", "")], "models"),
        ([("models[0]", "gpt-4o-transcribe")], "models"),
        ([("provider[order][]", "azure")], "provider"),
        ([("moderation[model]", "omni-moderation-latest")], "moderation"),
        ([("api_base", "https://another.example")], "api_base"),
        ([("extra_body", '{"model":"gpt-4o-transcribe"}')], "extra_body.model"),
        ([("extra_body[model]", "gpt-4o-transcribe")], "extra_body.model"),
        ([("extra_body[fallbacks][]", "gpt-4o-transcribe")], "extra_body.fallbacks"),
    ],
    ids=str,
)
def test_no_form_turns_to_a_further_model_or_host(decode: Any, fields: list[tuple[str, str]], member: str) -> None:
    with pytest.raises(NotOffered) as refused:
        decode(*form(*fields))
    assert refused.value.param == member


def test_a_form_that_turns_to_no_further_model_passes() -> None:
    nothing = [(name, value) for name in FURTHER for value in ("", "null", "[]")]
    fields = [("moderation", "low"), ("extra_body[top_k]", "4"), ("extra_body", '{"top_k":4}'), ("image[]", "x")]
    assert decode_form(*form(*nothing, *fields)).model == "whisper-1"


def test_a_further_model_of_a_form_is_no_file_and_no_half_object() -> None:
    body, content_type = form(("extra_body", '{"model":'))
    with pytest.raises(BadBody, match="extra_body"):
        decode_form(body, content_type)
    body, content_type = form(("fallbacks", "x"))
    with pytest.raises(BadBody, match="its fallbacks is a file"):
        decode_form(body.replace(b'name="fallbacks"', b'name="fallbacks"; filename=""'), content_type)


def test_each_further_model_or_host_is_documented() -> None:
    table = WIRE.read_text().partition("\n## Further models in a body\n")[2].partition("\n## ")[0]
    assert {name for name in FURTHER if f"`{name}`" not in table} == set()


def test_a_further_model_that_stands_beside_none_is_refused() -> None:
    """A cloud could read the first of the two."""
    with pytest.raises(RepeatedMember):
        decode_chat(b'{"model":"m","models":["x"],"models":null}', b"application/json")
    with pytest.raises(RepeatedMember):
        decode_chat(b'{"model":"m","extra_body":{"models":["x"],"models":null}}', b"application/json")


# A picture, as JSON and as a form → how many frames are reserved for it.
FRAMES: list[tuple[dict[str, Any], int]] = [
    ({}, 1),
    ({"output_format": "png", "frame_count": 12}, 1),
    ({"output_format": "gif"}, 9),
    ({"output_format": "gif", "frame_count": 12, "n": 2}, 12),
]


@pytest.mark.parametrize(("members", "frames"), FRAMES)
def test_each_frame_of_a_picture_counts_as_one(members: dict[str, Any], frames: int) -> None:
    named = {"model": "gpt-image-2", "prompt": "a cloud", **members}
    body = json.dumps(named).encode()
    assert needs((decode_drawing(body, b""), body)).frames == frames
    request = httpx.Request("POST", "http://x", files={name: (None, str(value)) for name, value in named.items()})
    read, form = request.read(), request.headers["content-type"].encode()
    assert needs((decode_edit(read, form), read)).frames == frames


@pytest.mark.parametrize("count", [0, 129, -1])
def test_frames_that_are_no_number_of_frames_are_refused(count: int) -> None:
    body = json.dumps({"model": "m", "prompt": "a", "output_format": "gif", "frame_count": count}).encode()
    with pytest.raises(BadBody):
        decode_drawing(body, b"")


# A response that may draw → how many pictures are reserved for it.
DRAWINGS: list[tuple[dict[str, Any], int]] = [
    ({"tools": [{"type": "image_generation"}]}, 4),
    ({"tools": [{"type": "image_generation"}], "max_tool_calls": 2}, 2),
    ({"tools": [{"type": "image_generation"}], "max_tool_calls": 10**6}, 128),
    ({"tools": [{"type": "image_generation", "output_format": "gif"}]}, 4 * 9),
    ({"tools": [{"type": "image_generation", "output_format": "gif", "frame_count": 20}], "max_tool_calls": 2}, 40),
    ({"tools": [{"type": "image_generation", "output_format": "gif", "frame_count": "x"}]}, 128),
    ({"tools": [{"type": "image_generation", "output_format": "png", "frame_count": 20}]}, 4),
    ({"input": [{"type": "additional_tools", "tools": [{"type": "image_generation", "output_format": "gif"}]}]}, 36),
    ({"tools": [{"type": "web_search"}], "max_tool_calls": 2}, 0),
    ({"prompt": {"id": "pmpt_1"}}, 4),
    ({}, 0),
]


@pytest.mark.parametrize(("members", "drawings"), DRAWINGS)
def test_how_many_pictures_may_be_drawn(members: dict[str, Any], drawings: int) -> None:
    body = json.dumps({"model": "gpt-5.5", "input": "a cat", **members}).encode()
    assert needs((decode_responses(body, b""), body)).drawings == drawings


@pytest.mark.parametrize(("asked", "searches"), SEARCHES)
def test_how_often_the_web_may_be_searched(asked: tuple[RequestProperties, bytes], searches: int) -> None:
    assert needs(asked).searches == searches


@pytest.mark.parametrize(("asked", "bounds"), BOUNDS)
def test_what_the_bytes_do_not_bound(asked: tuple[RequestProperties, bytes], bounds: tuple[int, bool, bool]) -> None:
    wanted = needs(asked)
    assert (wanted.images, wanted.unbounded, wanted.audio) == bounds


def test_what_shares_a_prompt_is_named() -> None:
    assert needs(chat(prompt_cache_key="tenant-7")).cache_key == "tenant-7"
    assert needs(responses(prompt_cache_key="tenant-7")).cache_key == "tenant-7"


# -- how much text a body can have, and how many tokens a recording


@given(st.text(), st.booleans())
def test_no_text_is_longer_than_is_thought(text: str, escaped: bool) -> None:
    body = json.dumps({"input": text}, ensure_ascii=escaped).encode("utf-8", "replace")
    said = text_bytes(body)
    assert len(text.encode("utf-8", "replace")) <= said <= len(body)


@pytest.mark.parametrize(
    ("text", "most"),
    [("a", 1), ("д", 2), ("語", 3), ("🙂", 6), ("\\u0434", 7)],
    ids=["a", "cyrillic", "han", "emoji", "slash"],
)
def test_letters_written_as_numbers_count_as_letters(text: str, most: int) -> None:
    frame = len(b'{"input":""}')
    body = json.dumps({"input": text * 4000}, separators=(",", ":")).encode()
    assert text_bytes(body) - frame <= most * 4000


def test_a_recording_has_fewer_tokens_than_bytes() -> None:
    form = (
        b"--b\r\ncontent-disposition: form-data; name=model\r\n\r\nm\r\n"
        b'--b\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nNames: Ada.\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
        + b"x" * 250_000
        + b"\r\n--b--\r\n"
    )
    wanted = decode_sound(form, b"multipart/form-data; boundary=b").needs(form)
    assert (wanted.audio, 10_000 < wanted.tokens_max < 10_100) == (True, True), "ten a second, at 2 kbit/s"


def as_messages(body: bytes, content_type: bytes) -> RequestProperties:
    return decode_messages(body, content_type)


STORED: list[tuple[Any, str, dict[str, Any]]] = [
    (decode_chat, "messages", {"messages": part("image_url", image_url={"url": "gs://deeds/1.png"})}),
    (decode_chat, "messages", {"messages": part("image_url", image_url={"detail": "low", "url": " S3://deeds/1.png"})}),
    (decode_responses, "input", {"input": part("input_image", image_url="gs://deeds/1.png")}),
    (decode_responses, "input", {"input": part("input_file", file_url="Gs://deeds/1.pdf")}),
    (
        as_messages,
        "messages",
        {"messages": part("image", source={"type": "url", "url": "gs://deeds/1.png"}), "max_tokens": 9},
    ),
    (decode_items, "items", {"items": part("input_image", image_url="gs://deeds/1.png")}),
    (decode_chat, "messages", {"messages": part("input_audio", input_audio={"data": "gs://deeds/1.wav"})}),
    (decode_chat, "messages", {"messages": part("file", file={"file_data": "gs://deeds/1.pdf"})}),
    # White space and control characters before an address are nothing to whoever reads it.
    (decode_responses, "input", {"input": part("input_image", image_url="\n\t\u0001gs://deeds/1.png")}),
    (decode_responses, "input", {"input": part("input_image", image_url="\r\u00a0s3://deeds/1.png")}),
    # In a shape that we do not know.
    (decode_responses, "input", {"input": [["x"], {"content": [7, {"video_url": {"url": "s3://deeds/1.mp4"}}]}]}),
]


def with_number(text: str, at: int) -> str:
    """The text with one character of each store's scheme written as its number."""
    return re.sub(
        "(?i)(?:gs|s3):(?=//)",
        lambda match: rf"{match[0][:at]}\u{ord(match[0][at]):04x}{match[0][at + 1 :]}",
        text,
    )


@pytest.mark.parametrize(("decode", "member", "body"), STORED)
def test_a_store_of_a_clouds_own_is_not_read_for_a_client(decode: Any, member: str, body: dict[str, Any]) -> None:
    """However it is written: by the letters' numbers too."""
    plain = json.dumps({"model": "m", **body})
    hidden = [with_number(plain, at) for at in range(3)]
    assert plain not in hidden
    for written in (plain, *hidden):
        with pytest.raises(NotOffered) as refused:
            decode(written.encode(), b"application/json").needs(written.encode())
        assert refused.value.param == member


def test_no_white_space_hides_a_store() -> None:
    """Nor a control character, escaped or not."""
    spaces = [chr(code) for code in range(0x10000) if chr(code).isspace() or code <= ord(" ")]
    assert len(spaces) > 40
    for space, ascii_alone in itertools.product(spaces, (True, False)):
        body = {"model": "m", "input": part("input_image", image_url=f"{space}\t{space}gs://deeds/1.png")}
        written = json.dumps(body, ensure_ascii=ascii_alone).encode()
        with pytest.raises(NotOffered):
            decode_responses(written, b"").needs(written)


PASSING: list[tuple[Any, dict[str, Any]]] = [
    (decode_chat, {"messages": part("image_url", image_url={"url": "https://a.test/gs://b.png"})}),
    (decode_chat, {"messages": part("text", text="gs://deeds is where they lie.")}),
    (decode_responses, {"input": part("output_text", text="See", annotations=[{"url": "gs://deeds/1.png"}])}),
    (decode_responses, {"input": "gs://deeds/1.png", "tools": [{"type": "function", "name": "read", "url": "gs://x"}]}),
]


@pytest.mark.parametrize(("decode", "body"), PASSING)
def test_what_only_speaks_of_a_store_passes(decode: Any, body: dict[str, Any]) -> None:
    written = json.dumps({"model": "m", **body}).encode()
    decode(written, b"application/json").needs(written)


def drawn(output_format: str | None) -> dict[str, tuple[RequestProperties, bytes]]:
    """A request for a picture in a format, by each way in which it may come."""
    asked = {"model": "m", "prompt": "a fox", "output_format": output_format}
    body = json.dumps(asked).encode()
    line = read_line(json.dumps({"method": "POST", "url": "/v1/images/generations", "body": asked}).encode())
    form = httpx.Request("POST", "http://x", data=asked, files={"image": ("a.png", b"x")})
    sent = form.read()
    return {
        "drawn": (decode_drawing(body, b""), body),
        "edited": edit(output_format=output_format),
        "edited by a form": (decode_edit(sent, form.headers["content-type"].encode()), sent),
        "in a batch": (line.properties, line.body),
    }


@pytest.mark.parametrize("way", drawn(None))
def test_no_further_model_writes_a_picture_as_text(way: str) -> None:
    properties, body = drawn("svg")[way]
    with pytest.raises(FurtherModel, match="another model") as refused:
        properties.needs(body)
    assert refused.value.param == "output_format"
    for offered in ("png", "webp", None):
        properties, body = drawn(offered)[way]
        assert properties.needs(body) == PLAIN
