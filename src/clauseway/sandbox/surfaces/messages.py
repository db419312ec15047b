"""Anthropic's Messages format: reading a request, writing a message or a stream, counting tokens.

Shapes follow the vendor's client. The text up to a block marked with `cache_control` is cached:
written the first time, read from then on. A request that thinks spends half of its budget on that.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from clauseway.sandbox.surfaces.account import CloudAccount, UnknownModel
from clauseway.sandbox.surfaces.chat import generate_as
from clauseway.sandbox.surfaces.generation import Generation, after_thinking, count_tokens
from clauseway.sandbox.surfaces.parameters import section, web_searches
from clauseway.sandbox.wire import STREAM, FormatRefusal, ModelCall, Reply, event

_OUTPUT_TOKENS_MAX: Final = 128_000
_CACHED_MIN, _CACHED_STEP = 1024, 128
# The words that stand for a block other than text: one for each token that it counts.
_MEDIA: Final = {"image": "image " * 85, "document": "page " * 100}
_STOPS: Final = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


class _Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the format accepts, and its answer. `written` are the tokens that it puts
    into the cache, `for_an_hour` those of them that stay there for so long. `searches` is how
    often the web is searched for it."""

    generation: Generation
    written: int
    for_an_hour: int
    searches: int
    streamed: bool


def create(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /messages`."""
    request = _object(call.body)
    model = call.model or _text(request, "model")
    _check_model(account, model)
    accepted = _accept(account, request, model)
    generation = accepted.generation
    message = {
        "id": f"msg_{call.serial[4:]}",
        "type": "message",
        "role": "assistant",
        "model": account.models[model].snapshot,
    }
    if accepted.streamed:
        events = tuple(_events(message, accepted, call.serial))
        return Reply(content_type=STREAM, events=events, tokens=generation.tokens)
    value = {
        **message,
        "content": _content(generation, call.serial),
        "stop_reason": _STOPS[generation.finish_reason],
        "stop_sequence": None,
        "usage": _usage(accepted),
    }
    return Reply(value=value, tokens=generation.tokens)


def count(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /messages/count_tokens`."""
    request = _object(call.body)
    _check_model(account, _text(request, "model"))
    return Reply(value={"input_tokens": sum(map(count_tokens, _contents(request)))})


def _check_model(account: CloudAccount, model: str) -> None:
    if model not in account.models or account.models[model].kind != "messages":
        raise UnknownModel(model)


def _accept(account: CloudAccount, request: dict[str, Any], model: str) -> _Accepted:
    contents = tuple(_contents(request))
    tokens_max = request.get("max_tokens")
    if tokens_max is None:
        raise FormatRefusal(400, "max_tokens: Field required")
    if type(tokens_max) is not int or not 1 <= tokens_max <= _OUTPUT_TOKENS_MAX:
        message = f"max_tokens: {tokens_max} > {_OUTPUT_TOKENS_MAX}, which is the maximum allowed"
        raise FormatRefusal(400, message)
    streamed = request.get("stream") is True
    thinking = _thought(request, tokens_max)
    called, wanted = _called(request), section(section(request, "output_config"), "format")
    generation = generate_as(
        contents, called, wanted, tokens_max - thinking if thinking else None, streamed
    )
    if not thinking and generation.completion_tokens > tokens_max:
        generation = generate_as(contents, called, wanted, tokens_max, streamed)
    generation = after_thinking(generation, thinking)
    read = written = 0
    if b'"cache_control"' in msgspec.json.encode(request):
        read = account.cached_tokens(model, "cache_control", contents)
        whole = generation.prompt_tokens
        cachable = whole - (whole - _CACHED_MIN) % _CACHED_STEP if whole >= _CACHED_MIN else 0
        written = max(cachable - read, 0)
    generation = msgspec.structs.replace(generation, cached_tokens=read)
    # As the first block to be cached says: those of an hour stand before those of five minutes.
    for_an_hour = written if b'"ttl":"1h"' in msgspec.json.encode(request) else 0
    return _Accepted(
        generation=generation,
        written=written,
        for_an_hour=for_an_hour,
        searches=web_searches(request.get("tools") or []),
        streamed=streamed,
    )


def _thought(request: dict[str, Any], tokens_max: int) -> int:
    thinking = request.get("thinking") or {}
    if thinking.get("type") == "enabled":
        return int(min(thinking.get("budget_tokens", 0) // 2, tokens_max // 2))
    return 0


def _called(request: dict[str, Any]) -> dict[str, Any] | None:
    """Return the tool that is called: the one that must be, or the first, unless its result has
    just come."""
    tools = [tool for tool in request.get("tools") or [] if tool.get("type") in (None, "custom")]
    choice = request.get("tool_choice") or {"type": "auto"}
    if not tools or choice["type"] == "none":
        return None
    named = [tool for tool in tools if tool.get("name") == choice.get("name")]
    last = request["messages"][-1].get("content")
    answered = isinstance(last, list) and any(block.get("type") == "tool_result" for block in last)
    if choice["type"] == "auto" and answered:
        return None
    tool = named[0] if choice["type"] == "tool" and named else tools[0]
    return {"name": tool["name"], "parameters": tool.get("input_schema")}


def _contents(request: dict[str, Any]) -> Iterator[str]:
    system = request.get("system")
    if isinstance(system, str):
        yield system
    if isinstance(system, list):
        yield from (block.get("text", "") for block in system)
    messages = request.get("messages")
    if not isinstance(messages, list):
        raise FormatRefusal(400, "messages: Field required")
    if not messages:
        raise FormatRefusal(400, "messages: at least one message is required")
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise FormatRefusal(400, f"messages.{at}.role: Input should be 'user' or 'assistant'")
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            yield from (_block_text(block) for block in content)
        else:
            raise FormatRefusal(400, f"messages.{at}.content: Field required")


def _block_text(block: dict[str, Any]) -> str:
    kind = block.get("type")
    if kind in _MEDIA:
        return _MEDIA[kind]
    inner = block.get("content")
    if kind == "tool_result" and isinstance(inner, list):
        return " ".join([_block_text(part) for part in inner])
    return str(block.get("text") or inner or block.get("input") or "")


def _usage(accepted: _Accepted) -> dict[str, object]:
    generation, written = accepted.generation, accepted.written
    return {
        "input_tokens": generation.prompt_tokens - generation.cached_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": generation.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": written - accepted.for_an_hour,
            "ephemeral_1h_input_tokens": accepted.for_an_hour,
        },
        "output_tokens": generation.completion_tokens,
        "output_tokens_details": {"thinking_tokens": generation.reasoning_tokens},
        "server_tool_use": _searched(accepted.searches),
        "service_tier": "standard",
    }


def _searched(searches: int) -> dict[str, int] | None:
    return {"web_search_requests": searches} if searches else None


def _thinking_block(generation: Generation) -> list[dict[str, object]]:
    if not generation.reasoning_tokens:
        return []
    return [{"type": "thinking", "thinking": "It is thought about.", "signature": "c2FuZGJveA=="}]


def _content(generation: Generation, serial: str) -> list[dict[str, object]]:
    if not generation.tool:
        return [*_thinking_block(generation), {"type": "text", "text": generation.text}]
    given = msgspec.json.decode(generation.text) if generation.finish_reason != "length" else {}
    call = {
        "type": "tool_use",
        "id": f"toolu_{serial[8:]}",
        "name": generation.tool,
        "input": given,
    }
    return [*_thinking_block(generation), call]


def _events(message: dict[str, Any], accepted: _Accepted, serial: str) -> Iterator[bytes]:
    """Yield the events of a stream: the message without content, its blocks, how it ended."""
    generation = accepted.generation
    begun = {
        **message,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        # A stream begins with a count of one; `message_delta` brings the total.
        "usage": {**_usage(accepted), "output_tokens": 1, "server_tool_use": None},
    }
    yield _event("message_start", message=begun)
    at = 0
    for block in _thinking_block(generation):
        empty = {**block, "thinking": "", "signature": ""}
        yield _event("content_block_start", index=at, content_block=empty)
        delta = {"type": "thinking_delta", "thinking": block["thinking"]}
        yield _event("content_block_delta", index=at, delta=delta)
        # The signature comes as a delta too, after all the words that it signs.
        signed = {"type": "signature_delta", "signature": block["signature"]}
        yield _event("content_block_delta", index=at, delta=signed)
        yield _event("content_block_stop", index=at)
        at += 1
    whole: dict[str, object]
    if generation.tool:
        whole = {
            "type": "tool_use",
            "id": f"toolu_{serial[8:]}",
            "name": generation.tool,
            "input": {},
        }
        deltas = [
            {"type": "input_json_delta", "partial_json": piece} for piece in generation.pieces
        ]
    else:
        whole = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in generation.pieces]
    yield _event("content_block_start", index=at, content_block=whole)
    yield _event("ping")
    for piece in deltas:
        yield _event("content_block_delta", index=at, delta=piece)
    yield _event("content_block_stop", index=at)
    ended = {"stop_reason": _STOPS[generation.finish_reason], "stop_sequence": None}
    # Totals, not additions to what `message_start` said.
    totals = {
        "output_tokens": generation.completion_tokens,
        "output_tokens_details": {"thinking_tokens": generation.reasoning_tokens},
        "server_tool_use": _searched(accepted.searches),
    }
    yield _event("message_delta", delta=ended, usage=totals)
    yield _event("message_stop")


def _event(kind: str, **members: object) -> bytes:
    return event({"type": kind, **members}, kind)


def _object(body: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        request = None
    if not isinstance(request, dict):
        raise FormatRefusal(400, "The request body is not valid JSON")
    return request


def _text(request: dict[str, Any], name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise FormatRefusal(400, f"{name}: Field required")
    return value
