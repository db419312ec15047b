"""Usage as the clouds report it: the shapes, one for each kind of answer, as msgspec decodes them.

All clouds that we speak to here use OpenAI's shapes. `usage` translates them into our units.
"""

from decimal import Decimal
from typing import Annotated, Final, NamedTuple

import msgspec

from clauseway.metering import Unit
from clauseway.metering.usage_rules import most_believed

# A count below zero, or beyond what a request can use, is no report: sealing would hold the record
# back, while its charge had been taken from budgets.
COUNT_MAX: Final = most_believed(Unit.INPUT_TOKENS)
_Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
_SECONDS_MAX: Final = most_believed(Unit.AUDIO_INPUT_MILLISECONDS) // 1000
# A batch sums requests whose number nothing bounds here. Charges stay within 63 bits.
_Sum = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
# A search costs up to a thousand times as much as a token: fewer are believed, so that charges stay
# within 63 bits.
SEARCHES_MAX: Final = 1 << 20
_Searches = Annotated[int, msgspec.Meta(ge=0, le=SEARCHES_MAX)]


class ServedAnswer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """An answer, or an event that ends a stream, with the model that gave it and the service tier in
    which it was served."""

    model: str | None = None
    service_tier: str | None = None


class PromptDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    audio_tokens: _Count | None = None


class CompletionDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    accepted_prediction_tokens: _Count | None = None
    rejected_prediction_tokens: _Count | None = None


class ServerToolUse(msgspec.Struct, frozen=True, gc=False):
    """The work of the cloud's own tools for a message or a chat."""

    web_search_requests: _Searches | None = None


class ServerSideTools(msgspec.Struct, frozen=True, gc=False):
    """How often xAI's own tools were called, as its usage sums it up."""

    web_search_calls: _Searches | None = None


class ChatUsage(msgspec.Struct, frozen=True, gc=False):
    """The member `usage` of an answer or of a stream's last chunk."""

    prompt_tokens: _Count
    completion_tokens: _Count
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    # It tells whether reasoning is counted in the completion or beside it.
    total_tokens: int | float | None = None
    # What Kimi, DeepSeek and Mistral call the cached part of the prompt, beside or instead of its
    # details.
    cached_tokens: _Count | None = None
    prompt_cache_hit_tokens: _Count | None = None
    num_cached_tokens: _Count | None = None
    # OpenRouter's.
    server_tool_use: ServerToolUse | None = None
    server_tool_use_details: ServerToolUse | None = None
    server_side_tool_usage_details: ServerSideTools | None = None


class Answered(ServedAnswer, frozen=True, gc=False):
    usage: ChatUsage | None = None


class InputDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: _Count | None = None


class ResponsesUsage(msgspec.Struct, frozen=True, gc=False):
    """The member `usage` of a response; in a stream, of the `response` that its last event
    carries."""

    input_tokens: _Count
    output_tokens: _Count
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    server_side_tool_usage_details: ServerSideTools | None = None

    @property
    def searches(self) -> int | None:
        """Return how often the web was searched, where the usage sums it up."""
        tools = self.server_side_tool_usage_details
        return tools.web_search_calls if tools is not None else None


class WebSearchUsage(msgspec.Struct, frozen=True, gc=False):
    num_requests: _Searches | None = None


class ImageDetails(msgspec.Struct, frozen=True, gc=False):
    """The tokens of images among a report's; the rest are text's."""

    image_tokens: _Count | None = None


class ImageToolUsage(msgspec.Struct, frozen=True, gc=False):
    """The tokens of images that a tool drew, with another model."""

    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    input_tokens_details: ImageDetails | None = None
    output_tokens_details: ImageDetails | None = None


class ToolUsage(msgspec.Struct, frozen=True, gc=False):
    """The work of the cloud's own tools, beside the tokens of the model."""

    image_gen: ImageToolUsage | None = None
    web_search: WebSearchUsage | None = None

    @property
    def sums_searches(self) -> bool:
        """Return whether it says how often the web was searched."""
        return self.web_search is not None and self.web_search.num_requests is not None


class Action(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None


class OutputItem(msgspec.Struct, frozen=True, gc=False):
    """An item of a response's output. `action` is what a call of the tool that searches the web did:
    it may have opened a page, which no cloud charges for."""

    type: str | None = None
    status: str | None = None
    action: Action | None = None

    @property
    def is_search(self) -> bool:
        searched = self.action is None or self.action.type == "search"
        return self.type == "web_search_call" and searched and self.status != "failed"


class Output(msgspec.Struct, frozen=True, gc=False):
    """The items of a response, or of an event that carries one."""

    output: list[OutputItem] | None = None
    response: "Output | None" = None


class Response(ServedAnswer, frozen=True, gc=False):
    usage: ResponsesUsage | None = None
    tool_usage: ToolUsage | None = None


class Responded(Response, frozen=True, gc=False):
    """A response, or an event that carries one."""

    response: Response | None = None


class ResponsesReport(NamedTuple):
    """Of a response: its tokens, and what the cloud's own tools did, None where it does not say."""

    usage: "ResponsesUsage | BatchUsage"
    tools: ToolUsage | None


class BatchInputDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: _Sum | None = None
    cache_write_tokens: _Sum | None = None


class BatchOutputDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: _Sum | None = None


class BatchUsage(msgspec.Struct, frozen=True, gc=False):
    """The member `usage` of a batch: a response's, summed."""

    input_tokens: _Sum
    output_tokens: _Sum
    input_tokens_details: BatchInputDetails | None = None
    output_tokens_details: BatchOutputDetails | None = None


class Batched(ServedAnswer, frozen=True, gc=False):
    usage: BatchUsage | None = None


class EmbeddingsUsage(msgspec.Struct, frozen=True, gc=False):
    """The member `usage` of embeddings. Voyage reports the total alone."""

    prompt_tokens: _Count | None = None
    total_tokens: _Count | None = None


class Embedded(ServedAnswer, frozen=True, gc=False):
    usage: EmbeddingsUsage | None = None


class ImagesUsage(msgspec.Struct, frozen=True, gc=False):
    """The member `usage` of the images, or of a stream's last event."""

    input_tokens: _Count
    output_tokens: _Count
    input_tokens_details: ImageDetails | None = None
    output_tokens_details: ImageDetails | None = None


class DrawnReport(ServedAnswer, frozen=True, gc=False):
    usage: ImagesUsage | None = None


class AudioDetails(msgspec.Struct, frozen=True, gc=False):
    """The tokens of audio among a report's; the rest are text's."""

    audio_tokens: _Count | None = None


class TokensHeard(msgspec.Struct, frozen=True, gc=False, tag="tokens"):
    """The report of models that bill by the token."""

    input_tokens: _Count
    output_tokens: _Count
    input_token_details: AudioDetails | None = None


class TimeHeard(msgspec.Struct, frozen=True, gc=False, tag="duration"):
    """The report of models that bill by the length of the audio."""

    seconds: Decimal

    def __post_init__(self) -> None:
        _check_length(self.seconds)


class HeardInDetail(msgspec.Struct, frozen=True, gc=False):
    """A transcription in detail: it tells the length of the audio, in seconds, beside its text."""

    duration: Decimal

    def __post_init__(self) -> None:
        _check_length(self.duration)

    @property
    def seconds(self) -> Decimal:
        return self.duration


class TimedUsage(msgspec.Struct, frozen=True, gc=False):
    """Of the usage that Mistral reports of a transcription: the length of the audio, in seconds."""

    prompt_audio_seconds: Decimal

    def __post_init__(self) -> None:
        _check_length(self.prompt_audio_seconds)


class TimedTranscription(msgspec.Struct, frozen=True, gc=False):
    """A transcription whose usage tells the length of the audio beside its tokens."""

    usage: TimedUsage

    @property
    def seconds(self) -> Decimal:
        return self.usage.prompt_audio_seconds


def _check_length(seconds: Decimal) -> None:
    # Decimals are written as text too, and NaN compares with nothing.
    if not seconds.is_finite() or not 0 <= seconds <= _SECONDS_MAX:
        raise ValueError("no length of any audio")


TranscriptionUsage = TokensHeard | TimeHeard


class Transcribed(ServedAnswer, frozen=True, gc=False):
    usage: TranscriptionUsage | None = None


class SpeechUsage(msgspec.Struct, frozen=True, gc=False):
    """The member `usage` of the event that ends speech sent as events; speech sent as sound reports
    nothing."""

    input_tokens: _Count
    output_tokens: _Count


class Spoken(ServedAnswer, frozen=True, gc=False):
    usage: SpeechUsage | None = None


class ThinkingDetails(msgspec.Struct, frozen=True, gc=False):
    """The tokens of thinking among a message's."""

    thinking_tokens: _Count | None = None


class CacheWritten(msgspec.Struct, frozen=True, gc=False):
    """The tokens that a message wrote to the cache, by how long they are kept."""

    ephemeral_5m_input_tokens: _Count | None = None
    ephemeral_1h_input_tokens: _Count | None = None


class MessageTokens(msgspec.Struct, frozen=True, gc=False):
    """Tokens in Anthropic's format. The input leaves out what was read from the cache and written
    to it."""

    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation: CacheWritten | None = None


class Iteration(MessageTokens, frozen=True, gc=False):
    """One of the model's runs that a message took. A run of type `compaction` shortens the
    conversation, and the message's own counts leave it out."""

    type: str | None = None


class MessageUsage(MessageTokens, frozen=True, gc=False):
    """The member `usage` of a message in Anthropic's format; of a stream's `message_delta` too,
    which reports again, as totals, whatever has changed."""

    output_tokens_details: ThinkingDetails | None = None
    iterations: list[Iteration] | None = None
    server_tool_use: ServerToolUse | None = None
    service_tier: str | None = None
    speed: str | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether it reports input and output: what is not reported is not zero."""
        return self.input_tokens is not None and self.output_tokens is not None


class Messaged(msgspec.Struct, frozen=True, gc=False):
    """A message, with the model that gave it."""

    model: str | None = None
    usage: MessageUsage | None = None
