"""OpenAI's completion format from before chat: prompts in, each continued.

Shapes follow the vendor's OpenAPI description. One request may hold several prompts, as text or as
lists of token numbers; each gets one choice.
"""

from collections.abc import Iterator
from typing import Any

from clauseway.sandbox.surfaces.account import CloudAccount
from clauseway.sandbox.surfaces.generation import Generation, generate
from clauseway.sandbox.surfaces.parameters import (
    expect,
    flag,
    integer,
    model_of,
    read_object,
    section,
)
from clauseway.sandbox.wire import STREAM, FormatRefusal, ModelCall, Reply, event

# The length of an answer where a request states no maximum.
_USUAL_TOKENS = 16


def complete(account: CloudAccount, call: ModelCall) -> Reply:
    """`POST /completions`."""
    request = read_object(call.body)
    model = account.snapshot(model_of(request, call.model), "completion")
    streamed = flag(request, "stream")
    for name in ("n", "best_of"):
        if request.get(name) not in (None, 1):
            raise FormatRefusal(400, f"Only one choice is written: {name} is 1.", param=name)
    tokens_max = integer(request, "max_tokens", 1) or _USUAL_TOKENS
    answers = [generate([prompt], tokens_max, streamed) for prompt in _prompts(request)]
    head = {
        "id": f"cmpl-{call.serial[4:]}",
        "object": "text_completion",
        "created": int(call.now_s),
        "model": model,
    }
    tokens = (
        sum([answer.prompt_tokens for answer in answers]),
        sum([answer.completion_tokens for answer in answers]),
    )
    usage = {
        "prompt_tokens": tokens[0],
        "completion_tokens": tokens[1],
        "total_tokens": sum(tokens),
    }
    if streamed:
        asks_usage = flag(section(request, "stream_options"), "include_usage")
        events = tuple(_events(head, answers, usage if asks_usage else None))
        return Reply(content_type=STREAM, events=events, tokens=tokens)
    choices = [_choice(at, answer.text, answer.finish_reason) for at, answer in enumerate(answers)]
    return Reply(value={**head, "choices": choices, "usage": usage}, tokens=tokens)


def _prompts(request: dict[str, Any]) -> list[str]:
    """Return the prompts; a token number counts as a word."""
    given = request.get("prompt", "<|endoftext|>")
    if isinstance(given, str):
        return [given]
    expect(given, list, "prompt", "a string or an array")
    if given and all(isinstance(part, int) for part in given):
        given = [given]
    return [
        part if isinstance(part, str) else " ".join([str(number) for number in part])
        for part in given
    ]


def _choice(at: int, text: str, finish_reason: str | None) -> dict[str, object]:
    return {"index": at, "text": text, "logprobs": None, "finish_reason": finish_reason}


def _events(
    head: dict[str, object], answers: list[Generation], usage: dict[str, int] | None
) -> Iterator[bytes]:
    """Yield the pieces of each answer in turn; with `usage` one more event says it, and `[DONE]`
    ends the stream."""
    none = {"usage": None} if usage is not None else {}
    for at, answer in enumerate(answers):
        for piece in answer.pieces:
            yield event({**head, "choices": [_choice(at, piece, None)], **none})
        yield event({**head, "choices": [_choice(at, "", answer.finish_reason)], **none})
    if usage is not None:
        yield event({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"
