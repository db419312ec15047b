"""OpenAI's Responses API: create, stream, poll, retrieve, cancel, delete, input items, input
tokens, compact.

A response in the background is queued, at the first poll in progress and at the second finished: no
clock is needed to test a client that polls. A stored response belongs to the account that made it.
Shapes follow the vendor's OpenAPI description; refusals are in the API's words.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import msgspec

from clauseway.sandbox.surfaces.account import CloudAccount, KeptConversation, KeptResponse, keep
from clauseway.sandbox.surfaces.chat import MEDIA, OUTPUT_TOKENS_MAX, called_tool, generate_as, less
from clauseway.sandbox.surfaces.generation import (
    Generation,
    after_thinking,
    count_tokens,
    generate,
    think,
)
from clauseway.sandbox.surfaces.parameters import (
    expect,
    flag,
    images_drawn,
    integer,
    list_page,
    missing,
    model_of,
    objects,
    query_of,
    read_object,
    required,
    section,
    web_searches,
)
from clauseway.sandbox.wire import STREAM, FormatRefusal, ModelCall, Reply, event, padding

# The real API's least value of `max_output_tokens`.
_OUTPUT_TOKENS_MIN: Final = 16
_ENCRYPTED_THOUGHTS: Final = "reasoning.encrypted_content"
_FINAL: Final = frozenset({"completed", "incomplete", "cancelled", "failed"})
# An image that the tool draws: from a prompt of so many tokens, square, of medium quality.
_DRAWN_FROM_TOKENS: Final = 24
_DRAWN_TOKENS: Final = 1056
# Parameters that are echoed, each with its default.
_ECHOED: Final[dict[str, object]] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}


def create(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /responses`."""
    request = read_object(call.body)
    model = model_of(request, call.model)
    items = input_items(account, required(request, "input"), call.serial)
    previous = _previous(account, request)
    conversation = _conversation(account, request)
    streamed, background = flag(request, "stream"), flag(request, "background")
    stored = request.get("store") is not False
    if background and not stored:
        raise FormatRefusal(400, "Background mode requires 'store' to be true.", param="background")
    instructions = request.get("instructions")
    instructed = [instructions] if isinstance(instructions, str) else []
    # Earlier turns count as input.
    context = [
        *(previous.context if previous else ()),
        *(text for item in conversation.items for text in _texts(item)),
        *(text for item in items for text in _texts(item)),
    ]
    generation = _generate(request, items, (*instructed, *context), streamed)
    snapshot = account.snapshot(model, "text")
    cached = account.cached_tokens(
        snapshot, request.get("prompt_cache_key"), (*instructed, *context)
    )
    generation = msgspec.structs.replace(generation, cached_tokens=cached)
    body = _begin(request, call, snapshot, background, stored)
    if conversation.body:
        body["conversation"] = {"id": conversation.body["id"]}
    kept = KeptResponse(
        body,
        items,
        [*context, generation.text],
        generation,
        obfuscated=_obfuscated(request),
        encrypts_thoughts=_ENCRYPTED_THOUGHTS in (request.get("include") or ()),
    )
    conversation.items += [*items, *_finished(kept, int(call.now_s))["output"]]
    # Kept at once, so that a client may retrieve a response that is still streamed.
    if stored:
        keep(account.responses, body["id"], kept)
    if streamed:
        events = tuple(_events(kept, int(call.now_s)))
        kept.body = _finished(kept, int(call.now_s))
        return _reply(kept, events=events)
    if background:
        return Reply(value=kept.body)
    kept.body = _finished(kept, int(call.now_s))
    return _reply(kept, value=kept.body)


def retrieve(account: CloudAccount, call: ModelCall, response_id: str) -> Reply:
    """`GET /responses/{id}`: one poll of a response in the background; with `stream=true` its
    events again."""
    kept = _kept(account, response_id)
    query = query_of(call.query)
    if query.get("stream") == "true":
        if not kept.body["background"]:
            raise FormatRefusal(
                400,
                "Only responses created with 'background=true' can be streamed again.",
                param="stream",
            )
        given = query.get("starting_after", "")
        after = int(given) if given.isdecimal() else -1
        # The events are made anew from the response as it was before it began.
        begun = {**kept.body, "status": "queued", "output": [], "usage": None, "completed_at": None}
        again = msgspec.structs.replace(kept, body=begun)
        events = tuple(_events(again, int(call.now_s)))[after + 1 :]
        # Usage counts once: a stream that is read again after the end used nothing more.
        reported_before = kept.body["status"] in _FINAL
        kept.body = _finished(again, int(call.now_s))
        return (
            Reply(content_type=STREAM, events=events)
            if reported_before
            else _reply(kept, events=events)
        )
    if kept.body["status"] in _FINAL:
        return Reply(value=kept.body)
    kept.polls += 1
    if kept.polls == 1:
        kept.body = {**kept.body, "status": "in_progress"}
        return Reply(value=kept.body)
    kept.body = _finished(kept, int(call.now_s))
    return _reply(kept, value=kept.body)


def delete(account: CloudAccount, call: ModelCall, response_id: str) -> Reply:
    """`DELETE /responses/{id}`."""
    _kept(account, response_id)
    del account.responses[response_id]
    return Reply(value={"id": response_id, "object": "response", "deleted": True})


def cancel(account: CloudAccount, call: ModelCall, response_id: str) -> Reply:
    """`POST /responses/{id}/cancel`: a finished response stays as it is."""
    kept = _kept(account, response_id)
    if not kept.body["background"]:
        raise FormatRefusal(400, "Cannot cancel a synchronous response.")
    if kept.body["status"] not in _FINAL:
        kept.body = {**kept.body, "status": "cancelled"}
    return Reply(value=kept.body)


def list_input_items(account: CloudAccount, call: ModelCall, response_id: str) -> Reply:
    """`GET /responses/{id}/input_items`, the newest first unless `order=asc`."""
    items = _kept(account, response_id).input_items
    if query_of(call.query).get("order", "desc") != "asc":
        items = items[::-1]
    return list_page(items, call.query)


def count_input_tokens(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /responses/input_tokens`."""
    request = read_object(call.body)
    account.snapshot(model_of(request), "text")
    texts = [
        text
        for item in input_items(account, required(request, "input"), call.serial)
        for text in _texts(item)
    ]
    texts.append(str(request.get("instructions") or ""))
    return Reply(
        value={"object": "response.input_tokens", "input_tokens": sum(map(count_tokens, texts))}
    )


def compact(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /responses/compact`: the context as one opaque item of a fixed number of tokens."""
    request = read_object(call.body)
    account.snapshot(model_of(request), "text")
    previous = _previous(account, request)
    items = input_items(account, request.get("input") or [], call.serial)
    texts = [
        *(previous.context if previous else ()),
        *(text for item in items for text in _texts(item)),
    ]
    generation = generate(texts, _OUTPUT_TOKENS_MIN, False)
    opaque = {
        "id": f"cmp_{call.serial}",
        # Opaque to the client, which sends it back in place of the earlier turns.
        "type": "compaction",
        "encrypted_content": generation.text,
    }
    value = {
        "id": f"resp_{call.serial}",
        "object": "response.compaction",
        "created_at": int(call.now_s),
        "output": [*(item for item in items if item.get("role") == "user"), opaque],
        "usage": usage_of(generation),
    }
    return Reply(value=value, tokens=generation.tokens)


def usage_of(generation: Generation) -> dict[str, object]:
    """Return the usage object of the Responses API."""
    return {
        "input_tokens": generation.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": generation.cached_tokens,
            "cache_write_tokens": 0,
        },
        "output_tokens": generation.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": generation.reasoning_tokens},
        "total_tokens": generation.prompt_tokens + generation.completion_tokens,
    }


def _kept(account: CloudAccount, response_id: str) -> KeptResponse:
    if response_id not in account.responses:
        raise FormatRefusal(404, f"Response with id '{response_id}' not found.")
    return account.responses[response_id]


def _previous(account: CloudAccount, request: dict[str, Any]) -> KeptResponse | None:
    response_id = request.get("previous_response_id")
    if response_id is None:
        return None
    expect(response_id, str, "previous_response_id", "a string")
    if response_id not in account.responses:
        raise FormatRefusal(
            400,
            f"Previous response with id '{response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return account.responses[response_id]


def _conversation(account: CloudAccount, request: dict[str, Any]) -> KeptConversation:
    """Return the conversation that a request goes on from; an empty one where it names none."""
    named = request.get("conversation")
    if named is None:
        return KeptConversation({}, [])
    if request.get("previous_response_id") is not None:
        raise FormatRefusal(
            400,
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure you are "
            "only providing one of: 'previous_response_id' or 'conversation'.",
            code="mutually_exclusive_parameters",
        )
    if isinstance(named, dict) and "id" not in named:
        raise FormatRefusal(400, "Missing required parameter: 'conversation.id'.")
    return conversation_of(account, str(named["id"] if isinstance(named, dict) else named))


def conversation_of(account: CloudAccount, conversation_id: str) -> KeptConversation:
    if conversation_id not in account.conversations:
        raise FormatRefusal(404, f"Conversation with id '{conversation_id}' not found.")
    return account.conversations[conversation_id]


def input_items(account: CloudAccount, given: object, serial: str) -> list[dict[str, Any]]:
    """Return the input as items with ids: a text is a user's message, and a reference the item that
    the account has stored."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    expect(given, list, "input", "one of a string or array of objects")
    assert isinstance(given, list)
    items = []
    for index, item in enumerate(given):
        at = f"input[{index}]"
        expect(item, dict, at, "an object")
        bare = "item_reference" if "id" in item and "role" not in item else "message"
        kind = item.get("type") or bare
        if kind == "item_reference" or _is_stored_thought(item):
            items.append(_stored_item(account, str(item.get("id"))))
            continue
        if kind == "message" and "role" not in item:
            raise missing(f"{at}.role")
        whole = {
            "id": f"{'msg' if kind == 'message' else 'item'}_{serial}{index:04x}",
            "type": kind,
            **item,
        }
        if kind == "message":
            # Earlier words of the assistant come back as output, all else as input.
            part = "output_text" if item["role"] == "assistant" else "input_text"
            if isinstance(item.get("content"), str):
                whole["content"] = [{"type": part, "text": item["content"]}]
            expect(
                whole.get("content"), list, f"{at}.content", "one of a string or array of objects"
            )
        if kind in ("message", "function_call", "function_call_output"):
            whole.setdefault("status", "completed")
        items.append(whole)
    return items


def _is_stored_thought(item: dict[str, Any]) -> bool:
    """Return whether a model's thinking is named, and not brought along."""
    return item.get("type") == "reasoning" and "id" in item and not item.get("encrypted_content")


def _stored_item(account: CloudAccount, item_id: str) -> dict[str, Any]:
    lists = [(*kept.body["output"], *kept.input_items) for kept in account.responses.values()]
    lists += [tuple(conversation.items) for conversation in account.conversations.values()]
    for items in lists:
        for item in items:
            if item["id"] == item_id:
                return dict(item)
    message = (
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input."
    )
    raise FormatRefusal(404, message, param="input")


def _texts(item: dict[str, Any]) -> Iterator[str]:
    content = item.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict):
            yield MEDIA.get(str(part.get("type")), "") or str(part.get("text", ""))
    output = item.get("output")
    if isinstance(output, str):
        yield output


def _generate(
    request: dict[str, Any], items: list[dict[str, Any]], contents: tuple[str, ...], streamed: bool
) -> Generation:
    tokens_max = integer(request, "max_output_tokens", _OUTPUT_TOKENS_MIN)
    if tokens_max is not None and tokens_max > OUTPUT_TOKENS_MAX:
        raise FormatRefusal(
            400, f"max_output_tokens is too large: {tokens_max}.", param="max_output_tokens"
        )
    tools = [tool for tool in objects(request, "tools") if tool.get("type") == "function"]
    answered = bool(items) and items[-1]["type"] == "function_call_output"
    tool = called_tool(tools, request.get("tool_choice"), answered=answered)
    wanted = section(section(request, "text"), "format")
    thinking = think(section(request, "reasoning").get("effort"), tokens_max)
    return after_thinking(
        generate_as(contents, tool, wanted, less(tokens_max, thinking), streamed), thinking
    )


def _obfuscated(request: dict[str, Any]) -> bool:
    return section(request, "stream_options").get("include_obfuscation") is not False


def _begin(
    request: dict[str, Any], call: ModelCall, snapshot: str, background: bool, stored: bool
) -> dict[str, Any]:
    reasoning, text = section(request, "reasoning"), section(request, "text")
    return {
        "id": f"resp_{call.serial}",
        "object": "response",
        "created_at": int(call.now_s),
        "status": "queued" if background else "in_progress",
        "background": background,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": snapshot,
        "output": [],
        **{
            name: request[name] if request.get(name) is not None else value
            for name, value in _ECHOED.items()
        },
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": request.get("service_tier") or ("auto" if background else "default"),
        "store": stored,
        "text": {
            "format": text.get("format") or {"type": "text"},
            "verbosity": text.get("verbosity") or "medium",
        },
        "tools": [_echoed_tool(tool) for tool in objects(request, "tools")],
        "usage": None,
    }


def _echoed_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": True, **tool}


def _finished(kept: KeptResponse, now_s: int) -> dict[str, Any]:
    generation = kept.generation
    whole = generation.finish_reason != "length"
    return {
        **kept.body,
        "status": "completed" if whole else "incomplete",
        "completed_at": now_s if whole else None,
        "incomplete_details": None if whole else {"reason": "max_output_tokens"},
        "output": [
            *_thoughts(kept),
            _item(kept, "completed" if whole else "incomplete", generation.text),
        ],
        "service_tier": "default",
        "tool_usage": {
            "image_gen": _image_tool_usage(images_drawn(kept.body["tools"])),
            "web_search": {"num_requests": web_searches(kept.body["tools"])},
        },
        "usage": usage_of(generation),
    }


def _image_tool_usage(images: int) -> dict[str, object]:
    """Return the usage of the tool that draws images. OpenAI reports it also where it drew none."""
    drawn_from, drawn = images * _DRAWN_FROM_TOKENS, images * _DRAWN_TOKENS
    return {
        "input_tokens": drawn_from,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": drawn_from},
        "output_tokens": drawn,
        "output_tokens_details": {"image_tokens": drawn, "text_tokens": 0},
        "total_tokens": drawn_from + drawn,
    }


def _thoughts(kept: KeptResponse) -> list[dict[str, Any]]:
    """Return the item that stands for the thinking, which is not shown; none where there was
    none. Encrypted, it can be sent along where nothing is stored."""
    if not kept.generation.reasoning_tokens:
        return []
    identifier = kept.body["id"].replace("resp_", "rs_")
    thought = {"id": identifier, "type": "reasoning", "summary": []}
    return [
        {**thought, "encrypted_content": f"gAAAAA-{identifier}"}
        if kept.encrypts_thoughts
        else thought
    ]


def _item(kept: KeptResponse, status: str, text: str | None) -> dict[str, Any]:
    """Return the item of the output that says something: a message or a function's call.

    `text` is None until it does.
    """
    serial = kept.body["id"].removeprefix("resp_")
    if kept.generation.tool:
        return {
            "id": f"fc_{serial}",
            "type": "function_call",
            "status": status,
            "arguments": text or "",
            "call_id": f"call_{serial[-24:]}",
            "name": kept.generation.tool,
        }
    content = [] if text is None else [_part(text)]
    return {
        "id": f"msg_{serial}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _events(kept: KeptResponse, now_s: int) -> Iterator[bytes]:
    """Yield the events of a stream, numbered from 0; there is no `[DONE]`."""
    numbers = count()

    def say(kind: str, **fields: object) -> bytes:
        return event({"type": kind, "sequence_number": next(numbers), **fields}, kind)

    working = {**kept.body, "status": "in_progress"}
    yield say("response.created", response=kept.body)
    if kept.body["background"]:
        yield say("response.queued", response=kept.body)
    yield say("response.in_progress", response=working)
    finished = _finished(kept, now_s)
    # Thinking, which is not shown, is an item without a text.
    for thought in finished["output"][:-1]:
        yield say("response.output_item.added", output_index=0, item=thought)
        yield say("response.output_item.done", output_index=0, item=thought)
    item, index = finished["output"][-1], len(finished["output"]) - 1
    yield say(
        "response.output_item.added", output_index=index, item=_item(kept, "in_progress", None)
    )
    at = {"item_id": item["id"], "output_index": index}
    text = kept.generation.text
    # The output itself: a function's call, or a message in one part.
    if kept.generation.tool:
        for number, piece in enumerate(kept.generation.pieces):
            yield say(
                "response.function_call_arguments.delta", **at, delta=piece, **_hidden(kept, number)
            )
        name = {"name": kept.generation.tool}
        yield say("response.function_call_arguments.done", **at, arguments=text, **name)
    else:
        in_part = {**at, "content_index": 0}
        yield say("response.content_part.added", **in_part, part=_part(""))
        for number, piece in enumerate(kept.generation.pieces):
            yield say(
                "response.output_text.delta",
                **in_part,
                delta=piece,
                logprobs=[],
                **_hidden(kept, number),
            )
        yield say("response.output_text.done", **in_part, text=text, logprobs=[])
        yield say("response.content_part.done", **in_part, part=_part(text))
    yield say("response.output_item.done", output_index=index, item=item)
    yield say(f"response.{finished['status']}", response=finished)


def _hidden(kept: KeptResponse, number: int) -> dict[str, str]:
    return {"obfuscation": padding(number)} if kept.obfuscated else {}


def _reply(kept: KeptResponse, *, value: object = None, events: tuple[bytes, ...] = ()) -> Reply:
    return Reply(
        value=value,
        events=events,
        content_type=STREAM if events else b"application/json",
        tokens=kept.generation.tokens,
    )
