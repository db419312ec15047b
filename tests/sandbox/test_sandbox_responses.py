"""The Responses API, tools and structured answers, by the vendor's own SDK and its parse helpers."""

import json
from enum import Enum
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import validate
from openai import OpenAI
from openai.types.chat import ChatCompletion
from pydantic import BaseModel
from sandbox_rig import clouds, running_clouds
from sandbox_shapes import paths_of, problems_of, recorded_body

from clauseway.sandbox.signatures.credentials import OPENAI_API_KEY
from clauseway.sandbox.surfaces.generation import CONTENT_EVENTS_MAX, count_tokens, generate_json

KEY = {"authorization": f"Bearer {OPENAI_API_KEY}"}
WHAT = "which cloud may serve this"
MESSAGES: Any = [{"role": "user", "content": WHAT}]


@pytest.fixture
def client(clouds: Any) -> OpenAI:
    return OpenAI(base_url=clouds.url("openai", "/v1"), api_key=OPENAI_API_KEY, max_retries=0)


def test_a_response_is_created_kept_and_deleted(client: OpenAI) -> None:
    answer = client.responses.create(model="gpt-5.5", input=WHAT, instructions="be brief", metadata={"a": "b"})
    assert (answer.status, answer.model) == ("completed", "gpt-5.5-2026-04-23")
    assert answer.usage is not None
    assert answer.usage.input_tokens == 5 + 2  # the input and the instructions
    assert answer.usage.output_tokens == len(answer.output_text.split())
    assert problems_of("Response", answer.to_dict()) == []
    assert client.responses.retrieve(answer.id).to_dict() == answer.to_dict()
    items = client.responses.input_items.list(answer.id)
    assert [item.to_dict()["content"] for item in items] == [[{"type": "input_text", "text": WHAT}]]
    assert problems_of("ResponseItemList", items.to_dict()) == []
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        client.responses.retrieve(answer.id)


def test_what_is_not_stored_cannot_be_retrieved(client: OpenAI) -> None:
    answer = client.responses.create(model="gpt-5.5", input=WHAT, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_a_previous_response_is_context(client: OpenAI) -> None:
    first = client.responses.create(model="gpt-5.5", input=WHAT)
    second = client.responses.create(model="gpt-5.5", input="and then", previous_response_id=first.id)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens == first.usage.total_tokens + 2
    with pytest.raises(openai.BadRequestError) as unknown:
        client.responses.create(model="gpt-5.5", input="x", previous_response_id="resp_nobody")
    assert (unknown.value.code, unknown.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_response_as_long_as_it_may_be_is_incomplete(client: OpenAI) -> None:
    answer = client.responses.create(model="gpt-5.5", input=WHAT, max_output_tokens=20)
    assert answer.incomplete_details is not None
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert len(answer.output_text.split()) == 20
    assert problems_of("Response", answer.to_dict()) == []


TEXT_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * CONTENT_EVENTS_MAX,
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.incomplete",
]


def test_a_stream_of_every_event_numbered(client: OpenAI) -> None:
    events = list(client.responses.create(model="gpt-5.5", input=WHAT, max_output_tokens=100, stream=True))
    assert [event.type for event in events] == TEXT_EVENTS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [problem for event in events for problem in problems_of("ResponseStreamEvent", event.to_dict())] == []
    last = events[-1]
    assert last.type == "response.incomplete"
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == 100
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == last.response.output_text
    assert client.responses.retrieve(last.response.id).output_text == text


def test_the_bytes_of_a_stream(clouds: Any) -> None:
    body = {"model": "gpt-5.5", "input": WHAT, "stream": True}
    answer = httpx.post(clouds.url("openai", "/v1/responses"), headers=KEY, json=body)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = answer.text.split("\n\n")
    assert events.pop() == ""
    for event in events:
        name, data = event.split("\n")
        assert name.removeprefix("event: ") == json.loads(data.removeprefix("data: "))["type"]
    assert "[DONE]" not in answer.text


def test_a_response_in_the_background_is_polled(clouds: Any, client: OpenAI) -> None:
    before = clouds.counts("openai")["completion_tokens"]
    answer = client.responses.create(model="gpt-5.5", input=WHAT, background=True)
    polled = [client.responses.retrieve(answer.id) for _ in range(3)]
    assert [answer.status, *(each.status for each in polled)] == ["queued", "in_progress", "completed", "completed"]
    assert (answer.usage, answer.output) == (None, [])
    assert polled[1] == polled[2]
    assert polled[1].usage is not None
    # Its tokens count once, however often it is asked for.
    assert clouds.counts("openai")["completion_tokens"] - before == polled[1].usage.output_tokens
    assert [problem for each in (answer, *polled) for problem in problems_of("Response", each.to_dict())] == []


def test_a_response_in_the_background_is_cancelled(client: OpenAI) -> None:
    answer = client.responses.create(model="gpt-5.5", input=WHAT, background=True)
    assert client.responses.cancel(answer.id).status == "cancelled"
    assert client.responses.retrieve(answer.id).status == "cancelled"
    plain = client.responses.create(model="gpt-5.5", input=WHAT)
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(plain.id)


def test_a_stream_in_the_background_is_taken_up_where_it_broke(client: OpenAI) -> None:
    events = list(client.responses.create(model="gpt-5.5", input=WHAT, background=True, stream=True))
    assert [event.type for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    first = events[0]
    assert first.type == "response.created"
    again = list(client.responses.retrieve(first.response.id, stream=True, starting_after=4))
    assert [(event.sequence_number, event.type) for event in again] == [
        (event.sequence_number, event.type) for event in events[5:]
    ]
    assert client.responses.retrieve(first.response.id).status == "completed"


def test_tokens_are_counted_and_a_context_is_compacted(client: OpenAI) -> None:
    assert client.responses.input_tokens.count(model="gpt-5.5", input=WHAT).input_tokens == 5
    answer = client.responses.compact(model="gpt-5.5", input=WHAT)
    assert answer.usage.input_tokens == 5
    assert answer.output[-1].type == "compaction"
    assert problems_of("CompactResource", answer.to_dict(warnings=False)) == []


RESPONSES_REFUSED = [
    # fields, param, how the message begins
    ({"input": None}, "input", "Missing required parameter: 'input'."),
    ({"input": 7}, "input", "Invalid type for 'input': expected one of a string or array of objects"),
    ({"max_output_tokens": 15}, "max_output_tokens", "Invalid 'max_output_tokens': integer below minimum value."),
    ({"background": True, "store": False}, "background", "Background mode requires 'store' to be true."),
    ({"input": [{"content": "x"}]}, "input[0].role", "Missing required parameter: 'input[0].role'."),
]


@pytest.mark.parametrize(("fields", "param", "message"), RESPONSES_REFUSED)
def test_what_responses_refuse(clouds: Any, fields: dict[str, Any], param: str, message: str) -> None:
    body = {"model": "gpt-5.5", "input": WHAT, **fields}
    answer = httpx.post(clouds.url("openai", "/v1/responses"), headers=KEY, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert answer.json()["error"]["message"].startswith(message)


class Cloud(Enum):
    AZURE = "azure"
    AWS = "aws"


class Ruling(BaseModel):
    cloud: Cloud
    permitted: bool
    clauses: list[str]
    share: float
    until: str | None
    appeals: list["Ruling"]


def test_the_sdk_parses_a_structured_chat_answer(client: OpenAI) -> None:
    answer = client.chat.completions.parse(model="gpt-5.5", messages=MESSAGES, response_format=Ruling)
    ruling = answer.choices[0].message.parsed
    assert ruling is not None
    assert (ruling.cloud, ruling.permitted, answer.choices[0].finish_reason) == (Cloud.AZURE, True, "stop")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len((answer.choices[0].message.content or "").split())


def test_the_sdk_parses_a_structured_response_whole_and_streamed(client: OpenAI) -> None:
    whole = client.responses.parse(model="gpt-5.5", input=WHAT, text_format=Ruling)
    assert whole.output_parsed is not None
    with client.responses.stream(model="gpt-5.5", input=WHAT, text_format=Ruling) as stream:
        streamed = stream.get_final_response()
    assert streamed.output_parsed == whole.output_parsed
    assert problems_of("Response", whole.to_dict()) == []


def test_json_without_a_schema_must_be_spoken_of(client: OpenAI) -> None:
    asked: Any = {"model": "gpt-5.5", "response_format": {"type": "json_object"}}
    with pytest.raises(openai.BadRequestError, match="must contain the word 'json'"):
        client.chat.completions.create(messages=MESSAGES, **asked)
    answer = client.chat.completions.create(messages=[{"role": "user", "content": "as JSON"}], **asked)
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)
    assert paths_of(answer.to_dict()) == paths_of(recorded_body("chat-json-mode"))


PARAMETERS = {
    "type": "object",
    "properties": {"location": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"], "type": "string"}},
    "required": ["location"],
}
FUNCTION: Any = {"name": "get_weather", "parameters": PARAMETERS}
CHAT_TOOLS: Any = [{"type": "function", "function": FUNCTION}]
RESPONSE_TOOLS: Any = [{"type": "function", "strict": False, **FUNCTION}]


def _call(answer: ChatCompletion) -> Any:
    assert answer.choices[0].message.tool_calls is not None
    (call,) = answer.choices[0].message.tool_calls
    return call


def test_a_tool_is_called_in_chat_and_answered(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-5.5", messages=MESSAGES, tools=CHAT_TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls"
    assert paths_of(answer.to_dict()) == paths_of(recorded_body("chat-tools"))
    assert problems_of("CreateChatCompletionResponse", answer.to_dict()) == []
    call: Any = _call(answer)
    assert call.type == "function"
    validate(json.loads(call.function.arguments), PARAMETERS)
    said: Any = answer.choices[0].message.to_dict()
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "it is warm"}
    after = client.chat.completions.create(model="gpt-5.5", messages=[*MESSAGES, said, result], tools=CHAT_TOOLS)
    assert (after.choices[0].finish_reason, after.choices[0].message.tool_calls) == ("stop", None)


def test_a_tools_call_in_a_chat_stream(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="gpt-5.5", messages=MESSAGES, tools=CHAT_TOOLS)
    with client.chat.completions.stream(model="gpt-5.5", messages=MESSAGES, tools=CHAT_TOOLS) as stream:
        streamed = stream.get_final_completion()
    assert _call(whole).function.arguments == _call(streamed).function.arguments
    chunks = list(client.chat.completions.create(model="gpt-5.5", messages=MESSAGES, tools=CHAT_TOOLS, stream=True))
    assert [
        problem for each in chunks for problem in problems_of("CreateChatCompletionStreamResponse", each.to_dict())
    ] == []


TOOL_CHOICES: Any = [
    # choice in chat, whether a tool is called
    ("none", False),
    ("auto", True),
    ("required", True),
    ({"type": "function", "function": {"name": "get_weather"}}, True),
]


@pytest.mark.parametrize(("choice", "called"), TOOL_CHOICES)
def test_the_choice_of_tools(client: OpenAI, choice: Any, called: bool) -> None:
    answer = client.chat.completions.create(model="gpt-5.5", messages=MESSAGES, tools=CHAT_TOOLS, tool_choice=choice)
    assert bool(answer.choices[0].message.tool_calls) is called


def test_a_tool_is_called_in_responses_and_answered(client: OpenAI) -> None:
    answer = client.responses.create(model="gpt-5.5", input=WHAT, tools=RESPONSE_TOOLS)
    (call,) = answer.output
    assert call.type == "function_call"
    validate(json.loads(call.arguments), PARAMETERS)
    assert problems_of("Response", answer.to_dict()) == []
    events = list(client.responses.create(model="gpt-5.5", input=WHAT, tools=RESPONSE_TOOLS, stream=True))
    assert "response.function_call_arguments.done" in [event.type for event in events]
    assert [problem for event in events for problem in problems_of("ResponseStreamEvent", event.to_dict())] == []
    bare: Any = [{"type": "function", "name": "f"}]
    echoed: Any = client.responses.create(model="gpt-5.5", input=WHAT, tools=bare).tools
    assert (echoed[0].strict, echoed[0].parameters) == (True, None)
    after = client.responses.create(
        model="gpt-5.5",
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "it is warm"}],
        previous_response_id=answer.id,
        tools=RESPONSE_TOOLS,
    )
    assert after.output_text
    assert problems_of("ResponseItemList", client.responses.input_items.list(after.id).to_dict()) == []
    two: Any = [{"role": "user", "content": text} for text in ("first", "last")]
    listed: Any = client.responses.input_items.list
    asked = client.responses.create(model="gpt-5.5", input=two).id
    assert [item.content[0].text for item in listed(asked)] == ["last", "first"]
    assert [item.content[0].text for item in listed(asked, order="asc")] == ["first", "last"]


THOUGHT: Any = [
    # effort, maximum, tokens thought, words answered (None: as many as it takes)
    ("low", None, 16, None),
    ("high", None, 256, None),
    ("high", 100, 50, 50),
    ("none", 100, 0, 100),
]


@pytest.mark.parametrize(("effort", "most", "thought", "words"), THOUGHT)
def test_thinking_counts_in_the_answers_tokens(
    client: OpenAI, effort: Any, most: int | None, thought: int, words: int | None
) -> None:
    chat = client.chat.completions.create(
        model="gpt-5.5", messages=MESSAGES, reasoning_effort=effort, max_completion_tokens=most
    )
    assert chat.usage is not None
    assert chat.usage.completion_tokens_details is not None
    assert chat.usage.completion_tokens_details.reasoning_tokens == thought
    said = len((chat.choices[0].message.content or "").split())
    assert chat.usage.completion_tokens == thought + said
    assert words in (None, said)
    asked: Any = {"model": "gpt-5.5", "input": WHAT, "reasoning": {"effort": effort}, "max_output_tokens": most}
    whole = client.responses.create(**asked)
    assert whole.usage is not None
    assert whole.usage.output_tokens_details.reasoning_tokens == thought
    assert whole.output_text == chat.choices[0].message.content
    assert [item.type for item in whole.output] == (["reasoning", "message"] if thought else ["message"])
    events = list(client.responses.create(**asked, stream=True))
    assert [problem for event in events for problem in problems_of("ResponseStreamEvent", event.to_dict())] == []
    assert [event.sequence_number for event in events] == list(range(len(events)))
    places = {event.item.type: event.output_index for event in events if event.type == "response.output_item.added"}
    assert places == ({"reasoning": 0, "message": 1} if thought else {"message": 0})


@pytest.mark.parametrize("streamed", [False, True])
def test_thinking_that_is_not_stored_comes_back_encrypted(client: OpenAI, streamed: bool) -> None:
    """As agents send it along: an item that nobody stored, and that brings nothing, is unknown."""
    asked: Any = {"model": "gpt-5.5", "store": False, "reasoning": {"effort": "low"}}

    def thought_of(**members: Any) -> Any:
        if not streamed:
            return client.responses.create(**asked, input=WHAT, **members).output[0]
        (end,) = [
            event
            for event in client.responses.create(**asked, input=WHAT, stream=True, **members)
            if event.type == "response.completed"
        ]
        return end.response.output[0]

    bare, encrypted = thought_of(), thought_of(include=["reasoning.encrypted_content"])
    assert bare.encrypted_content is None
    question: Any = {"role": "user", "content": "And now?"}
    with pytest.raises(openai.NotFoundError, match="Items are not persisted"):
        client.responses.create(**asked, input=[bare, question])
    assert client.responses.create(**asked, input=[encrypted, question]).output_text


def test_a_response_reports_the_tools_of_the_vendor_which_strict_clients_read(client: OpenAI) -> None:
    tool_usage = client.responses.create(model="gpt-5.5", input=WHAT).to_dict()["tool_usage"]
    none: Any = {"image_tokens": 0, "text_tokens": 0}
    drawn = {
        "input_tokens": 0,
        "input_tokens_details": none,
        "output_tokens": 0,
        "output_tokens_details": none,
        "total_tokens": 0,
    }
    assert tool_usage == {"image_gen": drawn, "web_search": {"num_requests": 0}}


def test_a_prompt_is_cached_under_its_key_alone(clouds: Any, client: OpenAI) -> None:
    def cached(words: int, key: str | None, last: str = "", first: str = "w") -> int:
        text = " ".join([first, *(f"w{number}" for number in range(1, words))])
        messages: Any = [{"role": "user", "content": f"{text}{last}"}]
        asked: Any = {"prompt_cache_key": key} if key else {}
        answer = client.responses.create(model="gpt-5.5", input=messages, **asked)
        chat = client.chat.completions.create(model="gpt-5.4", messages=messages, **asked)
        # Each model has a cache of its own, and both endpoints count alike.
        cached_tokens = answer.to_dict()["usage"]["input_tokens_details"]["cached_tokens"]
        assert chat.to_dict()["usage"]["prompt_tokens_details"]["cached_tokens"] == cached_tokens
        return int(cached_tokens)

    counts = [cached(1300, "a"), cached(1300, "a"), cached(1300, "a", " more"), cached(1300, "b"), cached(1300, None)]
    # 1,300 words are cached up to 1,024 + 2 × 128.
    assert counts == [0, 1280, 1280, 0, 0]
    assert cached(1300, "a", first="another") == 0
    assert [cached(1000, "a"), cached(1500, "a")] == [0, 1280]


SCHEMAS: Any = [
    {"type": "object", "properties": {}, "additionalProperties": False},
    {"type": "array", "items": {"type": "integer", "minimum": 5, "multipleOf": 3}, "minItems": 3},
    {"type": "object", "properties": {"a": {"const": 7}, "b": {"type": ["null", "string"]}}, "required": ["a", "b"]},
    {"type": "number", "exclusiveMinimum": 2},
    {"type": "number", "maximum": -3.5},
    {"type": "integer", "maximum": -3.5},
    {"type": "integer", "minimum": -9007199254740991, "exclusiveMinimum": 0},
    {"type": "number", "exclusiveMinimum": -5, "minimum": 2},
    {"type": "integer", "exclusiveMaximum": 1},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0.2, "maximum": 0.3},
    {"type": "string", "minLength": 40, "maxLength": 50},
    {"type": "string", "format": "date"},
    {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
    {"type": "string", "enum": ["south", "north"]},
    {"type": "object", "properties": {"a": {"enum": [1, 2]}, "b": {"type": "null"}}, "required": ["a", "b"]},
    {"type": "string", "maxLength": 2},
    {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["next", "children"],
                "additionalProperties": False,
            }
        },
    },
    {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}]},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_structured_answer_fits_its_schema(schema: Any) -> None:
    whole = generate_json(("one two",), schema, None, streamed=False)
    streamed = generate_json(("one two",), schema, None, streamed=True)
    validate(json.loads(whole.text), schema)
    assert whole.text == streamed.text
    assert whole.completion_tokens == count_tokens(whole.text)


@settings(max_examples=50)
@given(texts=st.lists(st.text(), min_size=1), tokens=st.integers(1, 20))
def test_a_structured_answer_is_cut_at_its_maximum(texts: list[str], tokens: int) -> None:
    schema = {"type": "object", "properties": {str(each): {"type": "string"} for each in range(8)}}
    whole = generate_json(texts, schema, None, streamed=False)
    cut = generate_json(texts, schema, tokens, streamed=True)
    assert cut.completion_tokens == min(tokens, whole.completion_tokens) == count_tokens(cut.text)
    assert whole.text.startswith(cut.text)
    assert cut.finish_reason == ("length" if tokens < whole.completion_tokens else "stop")
