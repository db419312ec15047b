"""OpenAI's chat completion format, which all three clouds speak: reading a request, writing an answer or a stream.

Shapes and messages follow recorded answers of the real API and the vendor's OpenAPI description. What the simulated
model does not do (several choices, images, audio) is refused in the API's own words, never ignored.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from clauseway.sandbox.generation import Generation, generate
from clauseway.sandbox.wire import Received, Refused

# The largest answer that the gpt-5 family gives (OpenAI's model pages).
OUTPUT_TOKENS_MAX = 128_000
_ROLES = frozenset({"assistant", "developer", "function", "system", "tool", "user"})
_JSON_TYPES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
}
_NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)
# Hides the length of a token from who watches the wire; drawn from the event's number, so that answers repeat.
_PADDING = "WuQNXIPio8PDeczEmdPr"

encode = msgspec.json.Encoder().encode


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A chat request that the format accepts, with the answer it will get. Whether the model exists is the twin's."""

    model: str
    streamed: bool
    include_usage: bool
    obfuscated: bool
    generation: Generation


def read_request(body: bytes) -> ChatRequest:
    """Read a chat completion request. Raises Refused as the real API refuses."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refused(400, _NOT_JSON) from None
    if not isinstance(request, dict):
        raise Refused(400, _NOT_JSON)
    model = request.get("model")
    if not model:
        raise Refused(400, "you must provide a model parameter")
    _expect(model, str, "model", "a string")
    contents = tuple(_contents(request))
    streamed = _flag(request, "stream", "stream")
    options = _stream_options(request, streamed)
    if request.get("n") not in (None, 1):
        raise Refused(
            400,
            f"Unsupported value: 'n' does not support {request['n']} with this model. "
            "Only the default (1) value is supported.",
            param="n",
            code="unsupported_value",
        )
    return ChatRequest(
        model=model,
        streamed=streamed,
        include_usage=_flag(options, "include_usage", "stream_options.include_usage"),
        obfuscated=options.get("include_obfuscation") is not False,
        generation=generate(contents, _tokens_max(request), streamed),
    )


def _contents(request: dict[str, Any]) -> Iterator[str]:
    messages = request.get("messages")
    if messages is None:
        raise Refused(
            400, "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    _expect(messages, list, "messages", "an array of objects")
    if not messages:
        raise Refused(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        _expect(message, dict, at, "an object")
        if "role" not in message:
            raise Refused(
                400, f"Missing required parameter: '{at}.role'.", param=f"{at}.role", code="missing_required_parameter"
            )
        if message["role"] not in _ROLES:
            raise Refused(
                400,
                f"Invalid value: '{message['role']}'. Supported values are: 'system', 'assistant', 'user', 'function', "
                "'tool', and 'developer'.",
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
            _expect(part, dict, f"{at}.content[{index}]", "an object")
            if part.get("type") != "text":
                raise Refused(
                    400,
                    f"Invalid content type. {part.get('type')} is only supported by certain models.",
                    param=f"{at}.content[{index}].type",
                )
            _expect(part.get("text"), str, f"{at}.content[{index}].text", "a string")
            yield part["text"]
    elif content is not None or message["role"] != "assistant":  # an assistant's message may be tool calls alone
        _expect(content, str, f"{at}.content", "one of a string or array of objects")


def _stream_options(request: dict[str, Any], streamed: bool) -> dict[str, Any]:
    options = request.get("stream_options")
    if options is None:
        return {}
    if not streamed:
        raise Refused(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    _expect(options, dict, "stream_options", "an object")
    return dict(options)


def _tokens_max(request: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = request.get(name)
        if value is None:
            continue
        if type(value) is not int:
            _refuse_type(value, name, "an integer")
        if value < 1:
            raise Refused(
                400,
                f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead.",
                param=name,
                code="integer_below_min_value",
            )
        if value > OUTPUT_TOKENS_MAX:
            raise Refused(
                400,
                f"{name} is too large: {value}. This model supports at most {OUTPUT_TOKENS_MAX} completion tokens, "
                f"whereas you provided {value}.",
                param=name,
                code="invalid_value",
            )
        return int(value)
    return None


def _flag(fields: dict[str, Any], name: str, at: str) -> bool:
    value = fields.get(name)
    if value is not None:
        _expect(value, bool, at, "a boolean")
    return bool(value)


def _expect(value: object, kind: type, at: str, wanted: str) -> None:
    if not isinstance(value, kind):
        _refuse_type(value, at, wanted)


def _refuse_type(value: object, at: str, wanted: str) -> None:
    got = _JSON_TYPES.get(type(value), "null")
    raise Refused(
        400, f"Invalid type for '{at}': expected {wanted}, but got {got} instead.", param=at, code="invalid_type"
    )


def completion_id(received: Received) -> str:
    return f"chatcmpl-{received.serial[3:]}"


def usage_of(generation: Generation) -> dict[str, object]:
    """The whole usage object, in the order of the real one. The simulated model neither caches nor reasons."""
    return {
        "prompt_tokens": generation.prompt_tokens,
        "completion_tokens": generation.completion_tokens,
        "total_tokens": generation.prompt_tokens + generation.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def message_of(generation: Generation) -> dict[str, object]:
    return {"role": "assistant", "content": generation.pieces[0], "refusal": None, "annotations": []}


def stream_events(request: ChatRequest, head: dict[str, object], choice: dict[str, object]) -> Iterator[bytes]:
    """The events of a stream, `[DONE]` last: a role, the pieces, the finish, and the usage where it was asked for.

    `head` holds the fields that stand before `choices` in every chunk, `choice` those that a cloud adds to a choice.
    With `include_usage` every chunk says `usage: null` and one more, without choices, says it all; without it no chunk
    mentions usage.
    """
    generation = request.generation
    deltas: list[tuple[dict[str, object], str | None]] = [({"role": "assistant", "content": "", "refusal": None}, None)]
    deltas += [({"content": piece}, None) for piece in generation.pieces]
    deltas.append(({}, generation.finish_reason))
    for number, (delta, finish) in enumerate(deltas):
        chunk = {**head, "choices": [{"index": 0, "delta": delta, **choice, "finish_reason": finish}]}
        yield event(_finished(request, chunk, None, number))
    if request.include_usage:
        yield event(_finished(request, {**head, "choices": []}, usage_of(generation), len(deltas)))
    yield b"data: [DONE]\n\n"


def _finished(
    request: ChatRequest, chunk: dict[str, object], usage: dict[str, object] | None, number: int
) -> dict[str, object]:
    if request.include_usage:
        chunk["usage"] = usage
    if request.obfuscated:
        chunk["obfuscation"] = _PADDING[number % len(_PADDING) :]
    return chunk


def event(chunk: object) -> bytes:
    return b"data: " + encode(chunk) + b"\n\n"
