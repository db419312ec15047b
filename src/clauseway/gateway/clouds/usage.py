"""Usage as the clouds report it for chat completions, in our units. `prompt_tokens` includes what was cached.

All clouds that we speak to here use OpenAI's shape on this surface. What is absent was not reported; zero is a report.
"""

from typing import Annotated

import msgspec

from clauseway.metering import Unit

# A negative or absurd count is no report: it would have to be explained on a bill. Charges stay within 63 bits.
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
Units = tuple[tuple[Unit, int], ...]


class PromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    audio_tokens: _Count | None = None


class CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    accepted_prediction_tokens: _Count | None = None
    rejected_prediction_tokens: _Count | None = None


class ChatUsage(msgspec.Struct, frozen=True, gc=False):
    """The member `usage` of an answer or of a stream's last chunk."""

    prompt_tokens: _Count
    completion_tokens: _Count
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    usage: ChatUsage | None = None


# Looked up once: a member of an enumeration costs more to reach than a name of the module.
_INPUT, _CACHED_INPUT, _CACHE_WRITE = Unit.INPUT_TOKENS, Unit.CACHED_INPUT_TOKENS, Unit.CACHE_WRITE_TOKENS
_AUDIO_INPUT, _OUTPUT, _REASONING = Unit.AUDIO_INPUT_TOKENS, Unit.OUTPUT_TOKENS, Unit.REASONING_TOKENS
_AUDIO_OUTPUT = Unit.AUDIO_OUTPUT_TOKENS
_ACCEPTED, _REJECTED = Unit.ACCEPTED_PREDICTION_TOKENS, Unit.REJECTED_PREDICTION_TOKENS
_decode_answer = msgspec.json.Decoder(_Answer).decode
_BYTES_PER_TOKEN = 4  # English prose; the estimate is marked as one wherever it is used


def usage_in(answer: bytes) -> ChatUsage | None:
    """The report in a JSON answer or chunk, None where there is none or it is no possible report."""
    try:
        return _decode_answer(answer).usage
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def units_of(usage: ChatUsage) -> Units:
    """Each reported count under its unit, wholes and parts as reported."""
    units = [(_INPUT, usage.prompt_tokens)]
    prompt = usage.prompt_tokens_details
    if prompt is not None:
        if prompt.cached_tokens is not None:
            units.append((_CACHED_INPUT, prompt.cached_tokens))
        if prompt.cache_write_tokens is not None:
            units.append((_CACHE_WRITE, prompt.cache_write_tokens))
        if prompt.audio_tokens is not None:
            units.append((_AUDIO_INPUT, prompt.audio_tokens))
    units.append((_OUTPUT, usage.completion_tokens))
    completion = usage.completion_tokens_details
    if completion is not None:
        if completion.reasoning_tokens is not None:
            units.append((_REASONING, completion.reasoning_tokens))
        if completion.audio_tokens is not None:
            units.append((_AUDIO_OUTPUT, completion.audio_tokens))
        if completion.accepted_prediction_tokens is not None:
            units.append((_ACCEPTED, completion.accepted_prediction_tokens))
        if completion.rejected_prediction_tokens is not None:
            units.append((_REJECTED, completion.rejected_prediction_tokens))
    return tuple(units)


def estimate(request_bytes: int, output_tokens: int) -> Units:
    """Units where the cloud reported none: input by the body's length, output as counted by the caller."""
    return (
        (_INPUT, -(-request_bytes // _BYTES_PER_TOKEN)),
        (_OUTPUT, output_tokens),
    )


def estimated_tokens(text_bytes: int) -> int:
    """How many tokens so many bytes of text are, about, rounded up."""
    return -(-text_bytes // _BYTES_PER_TOKEN)
