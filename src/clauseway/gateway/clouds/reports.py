"""How usage is read of each operation's answer. What is absent was not reported; an impossible report is none."""

from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec

from clauseway.gateway.clouds.usage import Units, units_of, usage_in
from clauseway.metering import Unit

_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]


class _Report(Protocol):
    def units(self) -> Units: ...


class _InputDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None


class _OutputDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: _Count | None = None


class _TokenReport(msgspec.Struct, frozen=True, gc=False):
    """Of Responses, images and transcriptions."""

    input_tokens: _Count
    output_tokens: _Count = 0
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def units(self) -> Units:
        found = [(Unit.INPUT_TOKENS, self.input_tokens)]
        before = self.input_tokens_details
        if before is not None and before.cached_tokens is not None:
            found.append((Unit.CACHED_INPUT_TOKENS, before.cached_tokens))
        if before is not None and before.cache_write_tokens is not None:
            found.append((Unit.CACHE_WRITE_TOKENS, before.cache_write_tokens))
        found.append((Unit.OUTPUT_TOKENS, self.output_tokens))
        after = self.output_tokens_details
        if after is not None and after.reasoning_tokens is not None:
            found.append((Unit.REASONING_TOKENS, after.reasoning_tokens))
        return tuple(found)


class _PromptReport(msgspec.Struct, frozen=True, gc=False):
    """Of embeddings."""

    prompt_tokens: _Count

    def units(self) -> Units:
        return ((Unit.INPUT_TOKENS, self.prompt_tokens),)


class _WithTokens(msgspec.Struct, frozen=True, gc=False):
    usage: _TokenReport | None = None


class _WithPrompt(msgspec.Struct, frozen=True, gc=False):
    usage: _PromptReport | None = None


class _Final(msgspec.Struct, frozen=True, gc=False):
    """The event that ends a typed stream: its usage stands in the response, or beside the type."""

    response: _WithTokens | None = None
    usage: _TokenReport | None = None


def _reader(kind: type[_WithTokens | _WithPrompt]) -> Callable[[bytes], Units | None]:
    decode = msgspec.json.Decoder(kind).decode

    def units_in(answer: bytes) -> Units | None:
        try:
            usage: _Report | None = decode(answer).usage
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return usage.units() if usage is not None else None

    return units_in


responses_units_in = images_units_in = audio_units_in = _reader(_WithTokens)
embeddings_units_in = _reader(_WithPrompt)
_decode_final = msgspec.json.Decoder(_Final).decode


def chat_units_in(answer: bytes) -> Units | None:
    usage = usage_in(answer)
    return units_of(usage) if usage is not None else None


def typed_units_in(event: bytes) -> Units | None:
    """Of the event that ends a typed stream."""
    try:
        final = _decode_final(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    usage = final.usage or (final.response.usage if final.response is not None else None)
    return usage.units() if usage is not None else None


def no_units_in(_answer: bytes) -> Units:
    """For operations that use nothing that is priced."""
    return ()
