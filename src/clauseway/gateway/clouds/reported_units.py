"""Usage as the clouds report it, one typed report per kind of answer, in our units.

Answers in OpenAI's format come in OpenAI's shapes on every cloud: `prompt_tokens` and
`input_tokens` include what was cached. Anthropic's messages leave out of their input what was read
from the cache and written to it: there the three are added. An absent count was not reported; zero
is a report. A report whose wholes cannot be (negative, absurd, of a wrong type, more than any request
uses) is none; a part that cannot be is left out. Of parts that sum to more than their whole the whole
alone is taken: some servers report more cached than they count. But sound that was read from the
cache is among both parts of a chat's prompt; it is taken as sound. `omissions` counts what is left
out.

INVARIANT: `metering.problems_of` finds no problem in the units that are returned here. A part
larger than its whole would give a charge below zero, and sealing would hold the record back.

    chat completions        ChatUsage            units_of
    responses               ResponsesReport      units_of_responses
    batches                 BatchUsage           units_of_batch
    embeddings              EmbeddingsUsage      units_of_embeddings
    images                  ImagesUsage          units_of_images
    audio, transcribed      TranscriptionUsage   units_of_transcription
    audio, spoken (events)  SpeechUsage          units_of_speech
    messages                MessageUsage         units_of_message
"""

from collections.abc import Callable
from decimal import ROUND_CEILING
from typing import Final

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.gateway.clouds.unusual_counts import (
    Omissions,
    answer_with_counts,
    note_omission,
)
from clauseway.gateway.clouds.usage_reports import (
    COUNT_MAX,
    BatchUsage,
    CacheWritten,
    ChatUsage,
    EmbeddingsUsage,
    HeardInDetail,
    ImageDetails,
    ImagesUsage,
    ImageToolUsage,
    MessageUsage,
    Output,
    PromptDetails,
    Response,
    ResponsesReport,
    SpeechUsage,
    TimedTranscription,
    TimeHeard,
    ToolUsage,
    TranscriptionUsage,
    WebSearchUsage,
)
from clauseway.metering import Unit
from clauseway.values import NOT_JSON

Units = tuple[tuple[Unit, int], ...]

# Looked up once: a member of an enumeration costs more to reach than a name of the module.
_INPUT: Final = Unit.INPUT_TOKENS
_CACHED_INPUT: Final = Unit.CACHED_INPUT_TOKENS
_CACHE_WRITE: Final = Unit.CACHE_WRITE_TOKENS
_CACHE_WRITE_1H: Final = Unit.CACHE_WRITE_1H_TOKENS
_AUDIO_INPUT: Final = Unit.AUDIO_INPUT_TOKENS
_IMAGE_INPUT: Final = Unit.IMAGE_INPUT_TOKENS
_OUTPUT: Final = Unit.OUTPUT_TOKENS
_REASONING: Final = Unit.REASONING_TOKENS
_AUDIO_OUTPUT: Final = Unit.AUDIO_OUTPUT_TOKENS
_IMAGE_OUTPUT: Final = Unit.IMAGE_OUTPUT_TOKENS
_ACCEPTED: Final = Unit.ACCEPTED_PREDICTION_TOKENS
_REJECTED: Final = Unit.REJECTED_PREDICTION_TOKENS
_AUDIO_TIME: Final = Unit.AUDIO_INPUT_MILLISECONDS
_WEB_SEARCHES: Final = Unit.WEB_SEARCHES
_TOOL_INPUT: Final = Unit.IMAGE_TOOL_INPUT_TOKENS
_TOOL_IMAGE_INPUT: Final = Unit.IMAGE_TOOL_IMAGE_INPUT_TOKENS
_TOOL_OUTPUT: Final = Unit.IMAGE_TOOL_OUTPUT_TOKENS
_TOOL_IMAGE_OUTPUT: Final = Unit.IMAGE_TOOL_IMAGE_OUTPUT_TOKENS
_decode_output: Final = msgspec.json.Decoder(Output).decode
_SEARCH_CALL: Final = b'"web_search_call"'
# Of a transcription that tells its length, the first that can be read.
_LENGTHS: Final[tuple[Callable[[bytes], TimedTranscription | HeardInDetail], ...]] = (
    msgspec.json.Decoder(TimedTranscription).decode,
    msgspec.json.Decoder(HeardInDetail).decode,
)
_BESIDE_MAX: Final = 1 << 32  # a total beyond it is no count, and tells nothing
BYTES_PER_TOKEN: Final = 4  # English prose; the estimate is marked as one wherever it is used


def units_of(usage: ChatUsage, omissions: Omissions | None = None) -> Units | None:
    """Return each reported count under its unit: wholes as reported, and the parts that fit. None
    if a whole, with what is counted beside it, is more than a request can use."""
    tokens_in = usage.prompt_tokens
    units = [(_INPUT, tokens_in)]
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    if prompt is not None:
        cache = _add(units, _CACHED_INPUT, prompt.cached_tokens)
        cache += _add(units, _CACHE_WRITE, prompt.cache_write_tokens)
        sound = _add(units, _AUDIO_INPUT, prompt.audio_tokens)
        parts = cache + sound
        if sound or parts > tokens_in:
            tokens_in += _beside_prompt(usage, cache, sound)
            units[0] = (_INPUT, tokens_in)
            overlap = parts - tokens_in
            if overlap > 0 and not _count_cached_sound_once(units, prompt, overlap):
                _leave_out(units, 1, omissions)
    if prompt is None or prompt.cached_tokens is None:
        _add_cached_elsewhere(units, usage, omissions)
    reasoning = completion.reasoning_tokens if completion is not None else None
    tokens_out = usage.completion_tokens
    if reasoning:
        tokens_out += _reasoning_beside(usage, tokens_in, reasoning)
    elif reasoning is None and usage.total_tokens is not None:
        tokens_out += _thought_beside(usage, tokens_in)
    if tokens_in > COUNT_MAX or tokens_out > COUNT_MAX:
        note_omission(omissions, "usage")
        return None
    units.append((_OUTPUT, tokens_out))
    if completion is not None:
        wholes = len(units)
        parts = _add(units, _REASONING, reasoning)
        parts += _add(units, _AUDIO_OUTPUT, completion.audio_tokens)
        parts += _add(units, _ACCEPTED, completion.accepted_prediction_tokens)
        parts += _add(units, _REJECTED, completion.rejected_prediction_tokens)
        if parts > tokens_out:
            _leave_out(units, wholes, omissions)
    tools = usage.server_tool_use or usage.server_tool_use_details
    if tools is not None:
        _add_searches(units, tools.web_search_requests)
    elif usage.server_side_tool_usage_details is not None:
        _add_searches(units, usage.server_side_tool_usage_details.web_search_calls)
    return tuple(units)


def _add_searches(units: list[tuple[Unit, int]], searches: int | None) -> None:
    """Add how often the web was searched. What searched nothing needs no price of searches."""
    if searches:
        units.append((_WEB_SEARCHES, searches))


def _add(units: list[tuple[Unit, int]], unit: Unit, count: int | None) -> int:
    """Add a count, if it was reported. Return it, 0 if it was not."""
    if count is None:
        return 0
    units.append((unit, count))
    return count


def _add_part(
    units: list[tuple[Unit, int]],
    unit: Unit,
    count: int | None,
    whole: int,
    omissions: Omissions | None,
) -> None:
    """Add the only part of a whole, if it was reported and fits into it."""
    if count is None:
        return
    if count <= whole:
        units.append((unit, count))
    else:
        note_omission(omissions, unit.column)


def _leave_out(units: list[tuple[Unit, int]], begin: int, omissions: Omissions | None) -> None:
    """Remove the units from a place on, because they sum to more than their whole."""
    for unit, _ in units[begin:]:
        note_omission(omissions, unit.column)
    del units[begin:]


def _count_cached_sound_once(
    units: list[tuple[Unit, int]], prompt: PromptDetails, overlap: int
) -> bool:
    """Reduce the cached part of a prompt by its sound, which a report counts among both. Return
    False if that is less than the overlap of the parts."""
    cached, sound = prompt.cached_tokens or 0, prompt.audio_tokens or 0
    if overlap > min(cached, sound):
        return False
    units[1] = (_CACHED_INPUT, cached - overlap)
    return True


def _add_cached_elsewhere(
    units: list[tuple[Unit, int]], usage: ChatUsage, omissions: Omissions | None
) -> None:
    """Add the cached part of the prompt where its details do not say it, and it fits."""
    cached = usage.cached_tokens
    if cached is None:
        cached = usage.prompt_cache_hit_tokens
    if cached is None:
        cached = usage.num_cached_tokens
    if cached is None:
        return
    others = sum([count for _, count in units[1:]])
    _add_part(units, _CACHED_INPUT, cached, units[0][1] - others, omissions)


def _beside_prompt(usage: ChatUsage, cache: int, sound: int) -> int:
    """Return the tokens that a report counts beside its prompt, not within it: its sound, or those
    read from the cache and written to it.

    OpenAI counts them within it. Mistral counts sound beside it, and a server that translates
    Bedrock's Converse may so count the cache, as Converse does; then they are in the total. The
    cache is looked for only where it does not fit into the prompt: of some models Converse's total
    counts twice what is within it.
    """
    beside = (usage.total_tokens or 0) - usage.prompt_tokens - usage.completion_tokens
    if sound and beside == sound:
        return sound
    return cache if beside == cache and cache + sound > usage.prompt_tokens else 0


def _reasoning_beside(usage: ChatUsage, tokens_in: int, reasoning: int) -> int:
    """Return the tokens of reasoning that a report counts beside its completion, not within it.

    OpenAI counts them within it. xAI's models, and some of Google's, count them beside it, and
    then they are in the total alone. More reasoning than completion says the same, whatever the
    total: Vercel's gateway leaves it out of both.
    """
    if reasoning > usage.completion_tokens:
        return reasoning
    if usage.total_tokens is None:
        return 0
    others = tokens_in + usage.completion_tokens
    return reasoning if usage.total_tokens == others + reasoning else 0


def _thought_beside(usage: ChatUsage, tokens_in: int) -> int:
    """Return the tokens that a report counts in its total alone, where it says nothing of
    reasoning.

    Google's models think beside their completion, and their endpoint in OpenAI's format reports
    no details. Of a total that counts the cache twice nothing is output.
    """
    thought = (usage.total_tokens or 0) - tokens_in - usage.completion_tokens
    if not 0 < thought <= _BESIDE_MAX or thought != int(thought):
        return 0
    prompt = usage.prompt_tokens_details
    if prompt is not None:
        read, written = prompt.cached_tokens or 0, prompt.cache_write_tokens or 0
        if thought in (read, written, read + written):
            return 0
    return int(thought)


def responses_report_of(
    response: Response, answer: bytes, omissions: Omissions | None = None
) -> ResponsesReport | None:
    """Return the report of a response, which was decoded from `answer`; None if there is none."""
    if response.usage is None:
        return None
    tools = response.tool_usage
    # Not every server sums its searches up. A sum goes before the items: not all are charged.
    if tools is None or not tools.sums_searches:
        searches = response.usage.searches
        if searches is None and _SEARCH_CALL in answer:
            searches = _searches_in(answer, omissions)
        if searches is not None:
            drawn = tools.image_gen if tools is not None else None
            tools = ToolUsage(drawn, WebSearchUsage(searches))
    return ResponsesReport(response.usage, tools)


def _searches_in(answer: bytes, omissions: Omissions | None) -> int:
    """Return how often a response's items say that the cloud searched the web."""
    try:
        carried: Output | None = _decode_output(answer)
    except NOT_JSON:
        carried = answer_with_counts(Output, answer, omissions)
    if carried is None:
        return 0
    return sum([item.is_search for item in (carried.response or carried).output or []])


def units_of_batch(usage: BatchUsage, omissions: Omissions | None = None) -> Units:
    return units_of_responses(ResponsesReport(usage, None), omissions)


def units_of_responses(report: ResponsesReport, omissions: Omissions | None = None) -> Units:
    usage, tools = report
    units = [(_INPUT, usage.input_tokens)]
    details = usage.input_tokens_details
    if details is not None:
        parts = _add(units, _CACHED_INPUT, details.cached_tokens)
        parts += _add(units, _CACHE_WRITE, details.cache_write_tokens)
        if parts > usage.input_tokens:
            _leave_out(units, 1, omissions)
    units.append((_OUTPUT, usage.output_tokens))
    output = usage.output_tokens_details
    if output is not None:
        _add_part(units, _REASONING, output.reasoning_tokens, usage.output_tokens, omissions)
    # A response that searched nothing says so too: it needs no price of searches.
    if tools is not None:
        if tools.web_search is not None:
            _add_searches(units, tools.web_search.num_requests)
        if tools.image_gen is not None:
            _add_drawn(units, tools.image_gen, omissions)
    return tuple(units)


def _add_drawn(
    units: list[tuple[Unit, int]], drawn: ImageToolUsage, omissions: Omissions | None
) -> None:
    """Add the tokens of the images that a tool drew. One that drew none is reported too, and needs no
    price."""
    _add_with_images(
        units,
        (_TOOL_INPUT, drawn.input_tokens or 0),
        (_TOOL_IMAGE_INPUT, drawn.input_tokens_details),
        omissions,
    )
    _add_with_images(
        units,
        (_TOOL_OUTPUT, drawn.output_tokens or 0),
        (_TOOL_IMAGE_OUTPUT, drawn.output_tokens_details),
        omissions,
    )


def _add_with_images(
    units: list[tuple[Unit, int]],
    whole: tuple[Unit, int],
    part: tuple[Unit, ImageDetails | None],
    omissions: Omissions | None,
) -> None:
    """Add tokens, if there are any, and those of images among them."""
    count, (unit, details) = whole[1], part
    if count:
        units.append(whole)
        if details is not None:
            _add_part(units, unit, details.image_tokens, count, omissions)


def units_of_embeddings(usage: EmbeddingsUsage, omissions: Omissions | None = None) -> Units | None:
    """Return the tokens that were embedded; None where neither count is reported."""
    tokens = usage.total_tokens if usage.prompt_tokens is None else usage.prompt_tokens
    if tokens is None:
        note_omission(omissions, "usage")
        return None
    return ((_INPUT, tokens),)


def units_of_images(usage: ImagesUsage, omissions: Omissions | None = None) -> Units:
    units = [(_INPUT, usage.input_tokens)]
    drawn_from, drawn = usage.input_tokens_details, usage.output_tokens_details
    if drawn_from is not None:
        _add_part(units, _IMAGE_INPUT, drawn_from.image_tokens, usage.input_tokens, omissions)
    units.append((_OUTPUT, usage.output_tokens))
    if drawn is not None:
        _add_part(units, _IMAGE_OUTPUT, drawn.image_tokens, usage.output_tokens, omissions)
    return tuple(units)


def units_of_transcription(usage: TranscriptionUsage, omissions: Omissions | None = None) -> Units:
    """Tokens, or the audio's length in whole milliseconds, what is begun counted."""
    if isinstance(usage, TimeHeard):
        return ((_AUDIO_TIME, int((usage.seconds * 1000).to_integral_value(ROUND_CEILING))),)
    units = [(_INPUT, usage.input_tokens)]
    heard = usage.input_token_details
    if heard is not None:
        _add_part(units, _AUDIO_INPUT, heard.audio_tokens, usage.input_tokens, omissions)
    units.append((_OUTPUT, usage.output_tokens))
    return tuple(units)


def time_heard_in(answer: bytes) -> Units | None:
    """Return the length of the audio that a transcription tells, in its usage or beside its text;
    None where it tells none. Where audio is sold by its length, that is a report."""
    for decode in _LENGTHS:
        try:
            heard = decode_with_half_pairs(decode, answer)
        except NOT_JSON:
            continue
        return units_of_transcription(TimeHeard(heard.seconds))
    return None


def units_of_speech(usage: SpeechUsage, _omissions: Omissions | None = None) -> Units:
    """All that comes out is audio."""
    return (
        (_INPUT, usage.input_tokens),
        (_OUTPUT, usage.output_tokens),
        (_AUDIO_OUTPUT, usage.output_tokens),
    )


def units_of_message(usage: MessageUsage, omissions: Omissions | None = None) -> Units | None:
    """Return each reported count under its unit; None if a sum is more than a request can use."""
    if usage.iterations:
        usage = _with_compactions(usage)
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    tokens_in = (usage.input_tokens or 0) + (read or 0) + (written or 0)
    tokens_out = usage.output_tokens or 0
    if tokens_in > COUNT_MAX or tokens_out > COUNT_MAX:
        note_omission(omissions, "usage")
        return None
    units = [(_INPUT, tokens_in)]
    _add(units, _CACHED_INPUT, read)
    if written is not None:
        units.append((_CACHE_WRITE, written))
        kept = _kept_for_an_hour(usage.cache_creation)
        _add_part(units, _CACHE_WRITE_1H, kept, written, omissions)
    units.append((_OUTPUT, tokens_out))
    details = usage.output_tokens_details
    if details is not None:
        _add_part(units, _REASONING, details.thinking_tokens, tokens_out, omissions)
    if usage.server_tool_use is not None:
        _add_searches(units, usage.server_tool_use.web_search_requests)
    return tuple(units)


def _with_compactions(usage: MessageUsage) -> MessageUsage:
    """Return a report with the tokens of its compactions, which its own counts leave out."""
    for iteration in usage.iterations or ():
        if iteration.type == "compaction":
            usage = msgspec.structs.replace(
                usage,
                input_tokens=_sum(usage.input_tokens, iteration.input_tokens),
                output_tokens=_sum(usage.output_tokens, iteration.output_tokens),
                cache_read_input_tokens=_sum(
                    usage.cache_read_input_tokens, iteration.cache_read_input_tokens
                ),
                cache_creation_input_tokens=_sum(
                    usage.cache_creation_input_tokens, iteration.cache_creation_input_tokens
                ),
                cache_creation=CacheWritten(
                    ephemeral_1h_input_tokens=_sum(
                        _kept_for_an_hour(usage.cache_creation),
                        _kept_for_an_hour(iteration.cache_creation),
                    )
                ),
            )
    return usage


def _kept_for_an_hour(written: CacheWritten | None) -> int | None:
    return None if written is None else written.ephemeral_1h_input_tokens


def _sum(count: int | None, other: int | None) -> int | None:
    """Return the sum of what was reported; None where neither was."""
    return count if other is None else (count or 0) + other
