"""OpenAI's chat completion format, which all clouds speak: reading a request, writing an answer or
a stream.

Shapes and messages follow recorded answers of the real API and the vendor's OpenAPI description.
Features that the simulated model lacks (several choices, log probabilities) are refused in the
API's own words, never ignored. It takes images, sound and files for a fixed number of tokens each,
and says nothing about them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from clauseway.sandbox.surfaces.account import ChatStyle, CloudAccount, KeptChat, keep
from clauseway.sandbox.surfaces.fitting import UnfitSchema
from clauseway.sandbox.surfaces.generation import (
    Generation,
    after_thinking,
    generate,
    generate_json,
    think,
)
from clauseway.sandbox.surfaces.parameters import (
    expect,
    flag,
    integer,
    missing,
    model_of,
    objects,
    read_object,
    section,
)
from clauseway.sandbox.surfaces.stored_chats import kept_messages
from clauseway.sandbox.wire import STREAM, FormatRefusal, ModelCall, Reply, event, padding

# The largest answer that the gpt-5 family gives (OpenAI's model pages).
OUTPUT_TOKENS_MAX = 128_000
# Words in place of a part other than text, as many as the tokens that it counts. An image at low
# detail is 85 tokens.
MEDIA = {
    "image_url": "image " * 85,
    "input_image": "image " * 85,
    "input_audio": "sound " * 50,
    "file": "page " * 100,
    "input_file": "page " * 100,
}
_ROLES = frozenset({"assistant", "developer", "function", "system", "tool", "user"})
_ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {"answer": {"type": "string"}}}
_NO_JSON_WORD = (
    "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
    "'json_object'."
)


class AcceptedChat(msgspec.Struct, frozen=True, kw_only=True):
    """A chat request that the format accepts, and its answer. The account checks the model
    later."""

    model: str
    streamed: bool
    include_usage: bool
    obfuscated: bool
    generation: Generation
    contents: tuple[str, ...]
    cache_key: object
    messages: list[dict[str, Any]]
    stored: bool
    metadata: dict[str, Any]


def complete(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /chat/completions`."""
    request = read_request(call.body, call.model)
    snapshot = account.snapshot(request.model, "text")
    cached = account.cached_tokens(snapshot, request.cache_key, request.contents)
    generation = msgspec.structs.replace(request.generation, cached_tokens=cached)
    style = account.style
    head: dict[str, object] = {
        "id": f"chatcmpl-{call.serial[3:]}",
        "object": "chat.completion.chunk" if request.streamed else "chat.completion",
        "created": int(call.now_s),
        "model": snapshot,
    }
    # The whole answer is kept, even if the client gets it as a stream.
    if request.stored:
        body = _whole(style, {**head, "object": "chat.completion"}, generation)
        chat = KeptChat(
            {**body, "metadata": request.metadata}, kept_messages(str(head["id"]), request.messages)
        )
        keep(account.chats, str(head["id"]), chat)
    if request.streamed:
        events = tuple(_stream_events(request, generation, {**head, **style.tail}, style.choice))
        if style.preamble:
            usage = {"usage": None} if request.include_usage else {}
            events = (event({**style.preamble, **usage}), *events)
        return Reply(content_type=STREAM, events=events, tokens=generation.tokens)
    return Reply(value=_whole(style, head, generation), tokens=generation.tokens)


def _whole(style: ChatStyle, head: dict[str, object], generation: Generation) -> dict[str, object]:
    """Return an answer in one piece."""
    message = _message(generation, str(head["id"]))
    choice = {
        "index": 0,
        "message": message,
        **style.choice,
        "finish_reason": generation.finish_reason,
    }
    value = {
        **head,
        "choices": [choice],
        "usage": usage_of(generation),
        **style.tail,
        **style.whole,
    }
    if style.alphabetical:
        value = {**dict(sorted(value.items())), "choices": [dict(sorted(choice.items()))]}
    return value


def read_request(body: bytes, named: str = "") -> AcceptedChat:
    """Read a chat completion request. Raise FormatRefusal as the real API refuses."""
    request = read_object(body)
    model = model_of(request, named)
    contents = tuple(_contents(request))
    streamed = flag(request, "stream")
    options = _stream_options(request, streamed)
    if request.get("n") not in (None, 1):
        raise FormatRefusal(
            400,
            f"Unsupported value: 'n' does not support {request['n']} with this model. "
            "Only the default (1) value is supported.",
            param="n",
            code="unsupported_value",
        )
    if flag(request, "logprobs"):
        raise FormatRefusal(
            400,
            "Unsupported parameter: 'logprobs' is not supported with this model.",
            param="logprobs",
            code="unsupported_parameter",
        )
    return AcceptedChat(
        model=model,
        streamed=streamed,
        include_usage=flag(options, "include_usage", "stream_options.include_usage"),
        obfuscated=options.get("include_obfuscation") is not False,
        generation=_generate(request, contents, streamed),
        contents=contents,
        cache_key=request.get("prompt_cache_key"),
        messages=request["messages"],
        stored=flag(request, "store"),
        metadata=section(request, "metadata"),
    )


def _generate(request: dict[str, Any], contents: tuple[str, ...], streamed: bool) -> Generation:
    tokens_max = _tokens_max(request)
    tools = [
        section(tool, "function")
        for tool in objects(request, "tools")
        if tool.get("type") == "function"
    ]
    answered = request["messages"][-1]["role"] == "tool"
    tool = called_tool(tools, request.get("tool_choice"), answered=answered)
    wanted = section(request, "response_format")
    thinking = think(request.get("reasoning_effort"), tokens_max)
    return after_thinking(
        generate_as(contents, tool, wanted, less(tokens_max, thinking), streamed), thinking
    )


def less(tokens_max: int | None, spent: int) -> int | None:
    """Return the rest of a maximum, where there is one."""
    return None if tokens_max is None else tokens_max - spent


def generate_as(
    contents: tuple[str, ...],
    tool: dict[str, Any] | None,
    wanted: dict[str, Any],
    tokens_max: int | None,
    streamed: bool,
) -> Generation:
    """Return a call of `tool`, else an answer in the `wanted` format, else text."""
    try:
        if tool is not None:
            schema = section(tool, "parameters") or {"type": "object"}
            return generate_json(contents, schema, tokens_max, streamed, tool["name"])
        if (answer := answer_schema(wanted, contents)) is not None:
            return generate_json(contents, answer, tokens_max, streamed)
    except UnfitSchema as error:
        name, param = ("function", "tools") if tool else ("response_format", "response_format")
        code = "invalid_function_parameters" if tool else "invalid_json_schema"
        raise FormatRefusal(
            400, f"Invalid schema for {name}: {error}", param=param, code=code
        ) from None
    return generate(contents, tokens_max, streamed)


def called_tool(
    tools: list[dict[str, Any]], tool_choice: object, *, answered: bool
) -> dict[str, Any] | None:
    """Return the function that the model calls: the one it must, or the first it may, unless a
    tool has just answered."""
    for index, tool in enumerate(tools):
        if not tool.get("name"):
            raise missing(f"tools[{index}].name")
        expect(tool["name"], str, f"tools[{index}].name", "a string")
    if not tools or tool_choice == "none":
        return None
    if isinstance(tool_choice, dict) and tool_choice.get("type") == "function":
        name = tool_choice.get("name") or section(tool_choice, "function").get("name")
        chosen = [tool for tool in tools if tool["name"] == name]
        if not chosen:
            raise FormatRefusal(
                400, f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice"
            )
        return chosen[0]
    # The model answers in words after a tool's result, or it would call for ever.
    return None if answered and tool_choice != "required" else tools[0]


def answer_schema(wanted: dict[str, Any], contents: tuple[str, ...]) -> Mapping[str, Any] | None:
    """Return the schema of a structured answer, from `response_format` or `text.format`.

    None for plain text.
    """
    if wanted.get("type") in (None, "text"):
        return None
    if wanted["type"] == "json_object":
        # The real API insists on the word, because models otherwise may write blanks without end.
        if not any("json" in content.lower() for content in contents):
            raise FormatRefusal(400, _NO_JSON_WORD, param="messages")
        return _ANY_OBJECT
    if wanted["type"] != "json_schema":
        raise FormatRefusal(
            400,
            f"Invalid value: '{wanted['type']}'. Supported values are: 'json_object', "
            f"'json_schema', and 'text'.",
            param="response_format.type",
            code="invalid_value",
        )
    schema = section(wanted, "json_schema") or wanted
    if not isinstance(schema.get("schema"), dict):
        raise missing("response_format.json_schema.schema")
    return dict(schema["schema"])


def _contents(request: dict[str, Any]) -> Iterator[str]:
    messages = request.get("messages")
    if messages is None:
        raise missing("messages")
    expect(messages, list, "messages", "an array of objects")
    if not messages:
        raise FormatRefusal(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            param="messages",
            code="empty_array",
        )
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        expect(message, dict, at, "an object")
        if "role" not in message:
            raise missing(f"{at}.role")
        expect(message["role"], str, f"{at}.role", "a string")
        if message["role"] not in _ROLES:
            raise FormatRefusal(
                400,
                f"Invalid value: '{message['role']}'. Supported values are: 'system', "
                "'assistant', 'user', 'function', 'tool', and 'developer'.",
                param=f"{at}.role",
                code="invalid_value",
            )
        yield from _texts(message, at)


def _texts(message: dict[str, Any], at: str) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for index, part in enumerate(content):
            yield _part_text(part, f"{at}.content[{index}]")
    # An assistant's message may be tool calls alone.
    elif content is not None or message["role"] != "assistant":
        expect(content, str, f"{at}.content", "one of a string or array of objects")


def _part_text(part: dict[str, Any], at: str) -> str:
    expect(part, dict, at, "an object")
    kind = part.get("type")
    if kind in ("image_url", "input_audio", "file"):
        expect(part.get(kind), dict, f"{at}.{kind}", "an object")
        return MEDIA[kind]
    if kind not in ("text", "refusal"):
        raise FormatRefusal(
            400,
            f"Invalid value: '{kind}'. Supported values are: 'text', 'image_url', "
            "'input_audio', 'refusal', 'audio', and 'file'.",
            param=f"{at}.type",
            code="invalid_value",
        )
    expect(part.get(kind), str, f"{at}.{kind}", "a string")
    return str(part[kind])


def _stream_options(request: dict[str, Any], streamed: bool) -> dict[str, Any]:
    options = request.get("stream_options")
    if options is None:
        return {}
    if not streamed:
        raise FormatRefusal(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    expect(options, dict, "stream_options", "an object")
    return dict(options)


def _tokens_max(request: dict[str, Any]) -> int | None:
    # `max_tokens` is the older name: it counts where the newer one is absent.
    for name in ("max_completion_tokens", "max_tokens"):
        value = integer(request, name, 1)
        if value is None:
            continue
        if value > OUTPUT_TOKENS_MAX:
            raise FormatRefusal(
                400,
                f"{name} is too large: {value}. This model supports at most "
                f"{OUTPUT_TOKENS_MAX} completion tokens, whereas you provided {value}.",
                param=name,
                code="invalid_value",
            )
        return value
    return None


def usage_of(generation: Generation) -> dict[str, object]:
    """Return the whole usage object, in the order of the real one."""
    return {
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
        "total_tokens": generation.prompt_tokens + generation.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": generation.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": generation.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _message(generation: Generation, completion: str) -> dict[str, object]:
    if not generation.tool:
        return {"role": "assistant", "content": generation.text, "refusal": None, "annotations": []}
    call = {
        "id": _call_id(completion),
        "type": "function",
        "function": {"name": generation.tool, "arguments": generation.text},
    }
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "refusal": None,
        "annotations": [],
    }


def _call_id(completion: str) -> str:
    return f"call_{completion[-24:]}"


def _deltas(generation: Generation, completion: str) -> Iterator[dict[str, object]]:
    if not generation.tool:
        yield {"role": "assistant", "content": "", "refusal": None}
        for piece in generation.pieces:
            yield {"content": piece}
        return
    function = {"name": generation.tool, "arguments": ""}
    call = {"index": 0, "id": _call_id(completion), "type": "function", "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}
    for piece in generation.pieces:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _stream_events(
    request: AcceptedChat,
    generation: Generation,
    head: dict[str, object],
    choice: Mapping[str, object],
) -> Iterator[bytes]:
    """Yield the events of a stream, `[DONE]` last: a role, the pieces, the finish, and the usage
    where it was asked for.

    `head` holds the fields before `choices` in every chunk, `choice` the fields that a cloud adds
    to a choice. With `include_usage` every chunk says `usage: null`, and a last chunk without
    choices states the usage; without it no chunk mentions usage.
    """
    number = 0
    for number, delta in enumerate(_deltas(generation, str(head["id"]))):
        chunk = {**head, "choices": [{"index": 0, "delta": delta, **choice, "finish_reason": None}]}
        yield event(_finished(request, chunk, None, number))
    last = {
        **head,
        "choices": [{"index": 0, "delta": {}, **choice, "finish_reason": generation.finish_reason}],
    }
    yield event(_finished(request, last, None, number + 1))
    if request.include_usage:
        yield event(_finished(request, {**head, "choices": []}, usage_of(generation), number + 2))
    yield b"data: [DONE]\n\n"


def _finished(
    request: AcceptedChat, chunk: dict[str, object], usage: dict[str, object] | None, number: int
) -> dict[str, object]:
    if request.include_usage:
        chunk["usage"] = usage
    if request.obfuscated:
        chunk["obfuscation"] = padding(number)
    return chunk
