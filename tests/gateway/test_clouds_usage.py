"""Clouds' reports → our units. The vendor's own types read the same answers."""

import json
from decimal import Decimal
from typing import Any

import pytest
from anthropic.types.beta import BetaUsage
from openai.types import CreateEmbeddingResponse, ImagesResponse
from openai.types.audio import Transcription
from openai.types.responses.response_usage import ResponseUsage

from clauseway.gateway.clouds import reported_units, reports
from clauseway.gateway.clouds.reports import Reader
from clauseway.gateway.clouds.usage_reports import TimeHeard
from clauseway.gateway.wire.message_streams import MessageStream
from clauseway.gateway.wire.streams import EventStream
from clauseway.metering import Unit, flaws_of_units, problems_of
from clauseway.metering.usage_rules import UNITS_PER_REQUEST_MAX

RESPONSE = {
    "input_tokens": 75,
    "input_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 8},
    "output_tokens": 1186,
    "output_tokens_details": {"reasoning_tokens": 1024},
    "total_tokens": 1261,
}
IMAGES = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 272,
    "output_tokens_details": {"image_tokens": 272, "text_tokens": 0},
    "total_tokens": 322,
}
HEARD = {
    "type": "tokens",
    "input_tokens": 14,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
    "output_tokens": 45,
    "total_tokens": 59,
}
# Of Anthropic's the input is what was neither read from the cache nor written to it.
MESSAGE = {
    "input_tokens": 21,
    "cache_read_input_tokens": 90,
    "cache_creation_input_tokens": 10,
    "output_tokens": 400,
    "output_tokens_details": {"thinking_tokens": 300},
    "service_tier": "standard",
}
# Of what was written, some for an hour.
KEPT = {
    **MESSAGE,
    "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
}
# The vendor's client says of such a report: the tokens of a compaction are not in the counts beside `iterations`.
COMPACTION = {
    "type": "compaction",
    "input_tokens": 30_000,
    "cache_read_input_tokens": 150_000,
    "cache_creation_input_tokens": 2_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 1_500, "ephemeral_1h_input_tokens": 500},
    "output_tokens": 3_500,
}
COMPACTED = {**KEPT, "iterations": [COMPACTION, {"type": "message", **KEPT}]}
EMBEDDED = {"prompt_tokens": 8, "total_tokens": 8}
READERS: dict[str, Reader] = {
    "chat": reports.chat_report_in,
    "responses": reports.responses_report_in,
    "batch": reports.batch_report_in,
    "embeddings": reports.embeddings_report_in,
    "images": reports.images_report_in,
    "transcription": reports.audio_report_in,
    "speech": reports.speech_report_in,
    "message": reports.messages_report_in,
}


def units(name: str, report: object, **members: object) -> dict[str, int] | None:
    """The units of an answer of this kind, by column."""
    units = READERS[name](json.dumps({**members, "usage": report}).encode()).units
    return None if units is None else {unit.column: count for unit, count in units}


@pytest.mark.parametrize(
    ("name", "report", "expected"),
    [
        (
            "responses",
            RESPONSE,
            {
                "input_tokens": 75,
                "cached_input_tokens": 32,
                "cache_write_tokens": 8,
                "output_tokens": 1186,
                "reasoning_tokens": 1024,
            },
        ),
        ("responses", {"input_tokens": 3, "output_tokens": 0}, {"input_tokens": 3, "output_tokens": 0}),
        ("embeddings", EMBEDDED, {"input_tokens": 8}),
        # As Voyage reports them: all that is embedded is input.
        ("embeddings", {"total_tokens": 8}, {"input_tokens": 8}),
        ("embeddings", {"prompt_tokens": None, "total_tokens": 8}, {"input_tokens": 8}),
        (
            "images",
            IMAGES,
            {"input_tokens": 50, "image_input_tokens": 40, "output_tokens": 272, "image_output_tokens": 272},
        ),
        ("images", {"input_tokens": 50, "output_tokens": 272}, {"input_tokens": 50, "output_tokens": 272}),
        ("transcription", HEARD, {"input_tokens": 14, "audio_input_tokens": 10, "output_tokens": 45}),
        # As OpenRouter reports one, without the kind; and Mistral, as a chat.
        ("transcription", {"input_tokens": 14, "output_tokens": 45}, {"input_tokens": 14, "output_tokens": 45}),
        (
            "transcription",
            {
                "prompt_tokens": 4,
                "prompt_audio_seconds": 3,
                "prompt_tokens_details": {"audio_tokens": 375},
                "completion_tokens": 11,
                "total_tokens": 390,
            },
            {"input_tokens": 379, "audio_input_tokens": 375, "output_tokens": 11},
        ),
        (
            "speech",
            {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115},
            {"input_tokens": 14, "output_tokens": 101, "audio_output_tokens": 101},
        ),
        (
            "message",
            MESSAGE,
            {
                "input_tokens": 121,
                "cached_input_tokens": 90,
                "cache_write_tokens": 10,
                "output_tokens": 400,
                "reasoning_tokens": 300,
            },
        ),
        (
            "message",
            KEPT,
            {
                "input_tokens": 121,
                "cached_input_tokens": 90,
                "cache_write_tokens": 10,
                "cache_write_1h_tokens": 6,
                "output_tokens": 400,
                "reasoning_tokens": 300,
            },
        ),
        (
            "message",
            COMPACTED,
            {
                "input_tokens": 121 + 180_000 + 2_000,
                "cached_input_tokens": 90 + 150_000,
                "cache_write_tokens": 10 + 2_000,
                "cache_write_1h_tokens": 6 + 500,
                "output_tokens": 400 + 3_500,
                "reasoning_tokens": 300,
            },
        ),
        ("message", {"input_tokens": 3, "output_tokens": 0}, {"input_tokens": 3, "output_tokens": 0}),
        # A conversation that was compacted for the first time: the message's own counts have no cache.
        (
            "message",
            {"input_tokens": 3, "output_tokens": 0, "iterations": [COMPACTION]},
            {
                "input_tokens": 3 + 30_000 + 150_000 + 2_000,
                "cached_input_tokens": 150_000,
                "cache_write_tokens": 2_000,
                "cache_write_1h_tokens": 500,
                "output_tokens": 3_500,
            },
        ),
        ("transcription", {"type": "duration", "seconds": 0}, {"audio_input_milliseconds": 0}),
        ("transcription", {"type": "duration", "seconds": 9.0}, {"audio_input_milliseconds": 9000}),
        ("transcription", {"type": "duration", "seconds": 1.1}, {"audio_input_milliseconds": 1100}),
        ("transcription", {"type": "duration", "seconds": 0.0001}, {"audio_input_milliseconds": 1}),
        ("transcription", {"seconds": 3}, {"audio_input_milliseconds": 3000}),
    ],
)
def test_reports_become_units(name: str, report: dict[str, Any], expected: dict[str, int]) -> None:
    assert units(name, report, id="x", data=[]) == expected
    assert problems_of({unit: expected[unit.column] for unit in Unit if unit.column in expected}) == []


# Prompt, completion, reasoning, total; what comes out of them. The second is xAI's own example, the third a model of
# Google's that has only thought, the last of a gateway whose total leaves out what such a model thought.
BESIDE: list[tuple[int, int, int, int | None, int]] = [
    (21, 8, 2, 29, 8),
    (32, 9, 94, 135, 103),
    (21, 0, 60, 81, 60),
    (21, 400, 60, 481, 460),
    (21, 9, 94, None, 103),
    (21, 60, 60, None, 60),
    (21, 400, 60, None, 400),
    (21, 9, 94, 30, 103),
]


@pytest.mark.parametrize(("prompt", "completion", "reasoning", "total", "output"), BESIDE)
def test_reasoning_counts_whether_in_the_completion_or_beside_it(
    prompt: int, completion: int, reasoning: int, total: int | None, output: int
) -> None:
    report: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    if total is not None:
        report["total_tokens"] = total
    units = reports.chat_report_in(json.dumps({"usage": report}).encode()).units
    counted = dict(units or ())
    assert counted == {Unit.INPUT_TOKENS: prompt, Unit.OUTPUT_TOKENS: output, Unit.REASONING_TOKENS: reasoning}
    assert problems_of(counted) == []


# A report's members beside 19 tokens in and 13 out → the cached ones of the input. The first is Kimi's example.
CACHED_ELSEWHERE: list[tuple[dict[str, Any], int | None]] = [
    ({"cached_tokens": 10}, 10),
    ({"cached_tokens": 0}, 0),
    ({"cached_tokens": 20}, None),
    ({"cached_tokens": None}, None),
    ({"prompt_cache_hit_tokens": 12, "prompt_cache_miss_tokens": 7}, 12),
    ({"num_cached_tokens": 10}, 10),
    ({"cached_tokens": 10, "prompt_tokens_details": {"cached_tokens": 9}}, 9),
    ({"cached_tokens": 10, "prompt_tokens_details": {"cached_tokens": None}}, 10),
    ({"cached_tokens": 10, "prompt_tokens_details": {"audio_tokens": 9}}, 10),
    ({"cached_tokens": 10, "prompt_tokens_details": {"audio_tokens": 10}}, None),
    ({}, None),
]


@pytest.mark.parametrize(("said", "cached"), CACHED_ELSEWHERE)
def test_what_was_cached_is_read_where_other_servers_write_it(said: dict[str, Any], cached: int | None) -> None:
    report = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, **said}
    units = reports.chat_report_in(json.dumps({"usage": report}).encode()).units
    counted = dict(units or ())
    assert counted.get(Unit.CACHED_INPUT_TOKENS) == cached
    assert (counted[Unit.INPUT_TOKENS], counted[Unit.OUTPUT_TOKENS]) == (19, 13)
    assert problems_of(counted) == []


REPORTED = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 10}
ENDED: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": "stop"}
# Whose streams → their last chunk with a choice.
REPORTED_WITHIN: dict[str, dict[str, Any]] = {
    "Kimi's": {"choices": [{**ENDED, "usage": REPORTED}]},
    "Groq's": {"choices": [ENDED], "x_groq": {"id": "req_1", "usage": REPORTED}},
    "Groq's, null beside": {"choices": [ENDED], "x_groq": {"usage": REPORTED, "debug": None}},
}


@pytest.mark.parametrize("strip", [True, False])
@pytest.mark.parametrize("also", [False, True])
@pytest.mark.parametrize("last", REPORTED_WITHIN.values(), ids=list(REPORTED_WITHIN))
def test_a_stream_that_reports_usage_within_another_member_is_metered_by_it(
    last: dict[str, Any], also: bool, strip: bool
) -> None:
    """Without a report of the chunk itself or before it."""
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": "hi"}}]}, last]
    chunks += [{"choices": [], "usage": REPORTED}] if also else []
    stream = EventStream(strip_usage=strip)
    passed = b"".join(stream.feed(b"data: %b\n\n" % json.dumps(chunk).encode()) for chunk in chunks)
    assert stream.units == ((Unit.INPUT_TOKENS, 19), (Unit.CACHED_INPUT_TOKENS, 10), (Unit.OUTPUT_TOKENS, 13))
    # Chunks that hold another member are the server's own, and stay.
    assert json.loads(passed.split(b"\n\n")[1][len("data: ") :]) == chunks[1]


# Prompt, completion, total, and details; the output that comes of them. The first is what Google's endpoint in
# OpenAI's format writes of a model that thought.
THOUGHT: list[tuple[int, int, int | float, dict[str, Any], int]] = [
    (9, 1, 103, {}, 94),
    (9, 1, 103.0, {}, 94),
    (9, 1, 103, {"completion_tokens_details": {"audio_tokens": 0}}, 94),
    (9000, 3, 9096, {"prompt_tokens_details": {"cached_tokens": 8000}}, 96),
    # It says that nothing was thought.
    (9, 1, 103, {"completion_tokens_details": {"reasoning_tokens": 0}}, 1),
    # The cache counted twice, as streams of Converse do.
    (4995, 19, 10007, {"prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 4993}}, 19),
    (100, 8, 128, {"prompt_tokens_details": {"cached_tokens": 20}}, 8),
    (100, 8, 138, {"prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 10}}, 8),
    # No total of these.
    (9, 1, 10, {}, 1),
    (9, 1, 0, {}, 1),
    (9, 1, 102.5, {}, 1),
    (9, 1, 1 << 60, {}, 1),
    (9, 1, 1e300, {}, 1),
]


@pytest.mark.parametrize(("prompt", "completion", "total", "details", "output"), THOUGHT)
def test_what_was_thought_counts_as_output_where_the_total_alone_holds_it(
    prompt: int, completion: int, total: float, details: dict[str, Any], output: int
) -> None:
    report = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total, **details}
    units = reports.chat_report_in(json.dumps({"usage": report}).encode()).units
    counted = dict(units or ())
    assert (counted[Unit.INPUT_TOKENS], counted[Unit.OUTPUT_TOKENS]) == (prompt, output)
    assert problems_of(counted) == []


# Prompt, sound, completion, total, reasoning; the input and output that come of them. The first is what Mistral writes
# of a short question about three seconds of sound.
SOUND: list[tuple[int, int, int, int, int | None, tuple[int, int]]] = [
    (9, 375, 248, 632, None, (384, 248)),
    (900, 375, 248, 1523, None, (1275, 248)),
    (9, 375, 248, 632, 0, (384, 248)),
    # OpenAI counts it within the prompt.
    (384, 375, 248, 632, None, (384, 248)),
    (384, 375, 248, 632, 100, (384, 248)),
    # Reasoning stands beside the completion.
    (384, 375, 248, 732, 100, (384, 348)),
]


@pytest.mark.parametrize(("prompt", "sound", "completion", "total", "reasoning", "expected"), SOUND)
def test_sound_counts_as_input_whether_in_the_prompt_or_beside_it(
    prompt: int, sound: int, completion: int, total: int, reasoning: int | None, expected: tuple[int, int]
) -> None:
    """Beside it, it was charged as output."""
    report = {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": sound},
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": total,
    }
    units = reports.chat_report_in(json.dumps({"usage": report}).encode()).units
    counted = dict(units or ())
    assert (counted[Unit.INPUT_TOKENS], counted[Unit.OUTPUT_TOKENS]) == expected
    assert counted[Unit.AUDIO_INPUT_TOKENS] == sound
    assert problems_of(counted) == []


def test_a_stream_of_messages_reports_its_compaction_at_the_end() -> None:
    begun = {"type": "message_start", "message": {"usage": {**KEPT, "output_tokens": 1}}}
    ended = {"type": "message_delta", "usage": {"output_tokens": 400, "iterations": COMPACTED["iterations"]}}
    stream = MessageStream()
    stream.feed(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in (begun, ended)))
    assert stream.units is not None
    assert dict(stream.units)[Unit.OUTPUT_TOKENS] == 400 + 3_500
    assert {unit.column: count for unit, count in stream.units} == units("message", COMPACTED)


def test_a_stream_of_messages_without_output_reports_none() -> None:
    begun = {"type": "message_start", "message": {"usage": {**MESSAGE, "output_tokens": 1}}}
    ended = {"type": "message_delta", "usage": {"output_tokens": 0}}
    stream = MessageStream()
    stream.feed(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in (begun, ended)))
    without_output = units("message", {**MESSAGE, "output_tokens": 0})
    assert {unit.column: count for unit, count in stream.units or ()} == without_output


# The usage at the beginning of a message → the tier that is charged
TIERS_OF_MESSAGES = [
    ({"service_tier": "standard"}, "default"),
    ({"service_tier": "priority"}, "priority"),
    ({"service_tier": "standard", "speed": "fast"}, "fast"),
]


@pytest.mark.parametrize(("said", "tier"), TIERS_OF_MESSAGES)
def test_a_stream_of_messages_says_its_tier_and_model_at_the_beginning(said: dict[str, str], tier: str) -> None:
    stream = MessageStream()
    begun = {"type": "message_start", "message": {"model": "claude-dated", "usage": {**MESSAGE, **said}}}
    stream.feed(f"data: {json.dumps(begun)}\n\n".encode())
    assert (stream.tier, stream.model, stream.units) == (tier, "claude-dated", None)


def test_the_vendors_types_take_these_reports() -> None:
    assert ResponseUsage.model_validate(RESPONSE).input_tokens_details.cache_write_tokens == 8
    assert ImagesResponse.model_validate({"created": 1, "usage": IMAGES}).usage is not None
    assert Transcription.model_validate({"text": "x", "usage": HEARD}).usage is not None
    assert BetaUsage.model_validate(COMPACTED).iterations is not None
    answer = {"data": [], "model": "m", "object": "list", "usage": EMBEDDED}
    assert CreateEmbeddingResponse.model_validate(answer).usage.prompt_tokens == 8


SEARCH: dict[str, Any] = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
OPENED: dict[str, Any] = {**SEARCH, "action": {"type": "open_page", "url": "https://example.com"}}
XAI = {**RESPONSE, "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 3}}
# A response's or a message's count of searches → the number metered. None at all needs no price.
SEARCHED: list[tuple[str, dict[str, Any], dict[str, Any], int | None]] = [
    ("responses", RESPONSE, {"tool_usage": {"image_gen": {"input_tokens": 0}, "web_search": {"num_requests": 3}}}, 3),
    ("responses", RESPONSE, {"tool_usage": {"web_search": {"num_requests": 0}}}, None),
    ("responses", RESPONSE, {"tool_usage": {"web_search": None}}, None),
    ("responses", RESPONSE, {"tool_usage": None}, None),
    # Not every server sums searches up. A sum goes before the items: not every search is charged.
    ("responses", RESPONSE, {"output": [SEARCH, OPENED, {"type": "message"}, SEARCH]}, 2),
    ("responses", RESPONSE, {"output": [{**SEARCH, "action": None}, {**SEARCH, "status": "failed"}]}, 1),
    ("responses", RESPONSE, {"output": [OPENED]}, None),
    ("responses", RESPONSE, {"output": [SEARCH], "tool_usage": {"web_search": {"num_requests": 0}}}, None),
    ("responses", RESPONSE, {"output": [SEARCH], "tool_usage": {"image_gen": None}}, 1),
    ("responses", RESPONSE, {"output": [SEARCH], "tool_usage": {"web_search": {"num_requests": None}}}, 1),
    ("responses", RESPONSE, {"tool_usage": {"web_search": {"num_requests": 3.0}}}, 3),
    # An item that cannot be read hides no other; half of a surrogate pair, in whatever text, hides none.
    ("responses", RESPONSE, {"output": [7, {"type": 7}, {**SEARCH, "action": 7}, OPENED]}, 1),
    ("responses", RESPONSE, {"output": [SEARCH, {"type": "message", "content": [{"text": "\ud83d"}]}]}, 1),
    # xAI sums up within the usage. What it charges is what succeeded: that goes before the items.
    ("responses", XAI, {}, 2),
    ("responses", XAI, {"output": [SEARCH]}, 2),
    ("responses", {**RESPONSE, "server_side_tool_usage_details": {"web_search_calls": 0}}, {"output": [SEARCH]}, None),
    ("responses", {**RESPONSE, "server_side_tool_usage_details": None}, {"output": [SEARCH]}, 1),
    ("chat", {**REPORTED, "server_side_tool_usage_details": {"web_search_calls": 3}}, {}, 3),
    # As OpenRouter says of a chat.
    ("chat", {**REPORTED, "server_tool_use_details": {"tool_calls_executed": 2, "web_search_requests": 1}}, {}, 1),
    ("chat", {**REPORTED, "server_tool_use": {"web_search_requests": 2}}, {}, 2),
    ("chat", {**REPORTED, "server_tool_use": {"web_search_requests": 0}}, {}, None),
    ("chat", {**REPORTED, "server_tool_use": {"web_search_requests": "two"}}, {}, None),
    ("message", {**MESSAGE, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 5}}, {}, 2),
    ("message", {**MESSAGE, "server_tool_use": {"web_search_requests": 0}}, {}, None),
    ("message", {**MESSAGE, "server_tool_use": None}, {}, None),
]


@pytest.mark.parametrize(("name", "report", "members", "searches"), SEARCHED)
def test_searches_of_the_clouds_own_tool_are_metered(
    name: str, report: dict[str, Any], members: dict[str, Any], searches: int | None
) -> None:
    metered = units(name, report, **members)
    assert metered is not None
    assert metered.pop("web_searches", None) == searches
    assert metered == units(name, {key: value for key, value in report.items() if not key.startswith("server_")})


DRAWN = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 1056,
    "output_tokens_details": {"image_tokens": 1056, "text_tokens": 0},
    "total_tokens": 1106,
}
NONE_DRAWN = {
    "input_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
}
# A response's usage of the tool that draws → the units beside those of its own model. None at all needs no price.
DRAWINGS: list[tuple[dict[str, Any] | None, dict[str, int]]] = [
    (
        DRAWN,
        {
            "image_tool_input_tokens": 50,
            "image_tool_image_input_tokens": 40,
            "image_tool_output_tokens": 1056,
            "image_tool_image_output_tokens": 1056,
        },
    ),
    ({"output_tokens": 1056}, {"image_tool_output_tokens": 1056}),
    (NONE_DRAWN, {}),
    (None, {}),
]


@pytest.mark.parametrize(("drawn", "expected"), DRAWINGS)
def test_what_the_clouds_own_tool_draws_is_metered_beside_the_model(
    drawn: dict[str, Any] | None, expected: dict[str, int]
) -> None:
    metered = units("responses", RESPONSE, tool_usage={"image_gen": drawn, "web_search": {"num_requests": 0}})
    own = units("responses", RESPONSE)
    assert own is not None
    assert metered == {**own, **expected}


def test_a_stream_of_messages_tells_its_searches_at_the_end() -> None:
    begun = {"type": "message_start", "message": {"usage": {**MESSAGE, "output_tokens": 1}}}
    ended = {"type": "message_delta", "usage": {"output_tokens": 400, "server_tool_use": {"web_search_requests": 2}}}
    stream = MessageStream()
    stream.feed(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in (begun, ended)))
    assert dict(stream.units or ())[Unit.WEB_SEARCHES] == 2


def test_a_streams_last_event_carries_the_response() -> None:
    event = {"type": "response.completed", "sequence_number": 9, "response": {"id": "resp_1", "usage": RESPONSE}}
    result = reports.responses_report_in(json.dumps(event).encode()).units
    assert {unit.column: count for unit, count in result or ()} == units("responses", RESPONSE)
    begun = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "usage": None}}
    assert reports.responses_report_in(json.dumps(begun).encode()).units is None


# A chat's report | input and output as metered; None: no report
UNUSUAL: list[tuple[dict[str, object], tuple[int, int] | None]] = [
    ({"prompt_tokens": 32.0, "completion_tokens": 8.0}, (32, 8)),
    ({"prompt_tokens": 32, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 4.0}}, (32, 8)),
    ({"prompt_tokens": 32, "completion_tokens": None}, (32, 0)),
    ({"prompt_tokens": 32, "completion_tokens": None, "total_tokens": 40}, (32, 8)),
    # As OpenAI reports a legacy completion whose text is empty.
    ({"prompt_tokens": 32, "total_tokens": 32}, (32, 0)),
    ({"prompt_tokens": 32, "total_tokens": 40.0}, (32, 8)),
    ({"prompt_tokens": 32, "total_tokens": 31}, (32, 0)),
    ({"prompt_tokens": 32, "total_tokens": "32"}, None),
    ({"prompt_tokens": None, "completion_tokens": 8}, None),
    ({"prompt_tokens": 32}, None),
    ({"prompt_tokens": 32.5, "completion_tokens": 8}, None),
    ({"prompt_tokens": 32, "completion_tokens": 1e300}, None),
    ({"prompt_tokens": 32, "completion_tokens": -8.0}, None),
]


@pytest.mark.parametrize(("report", "expected"), UNUSUAL)
def test_counts_that_are_written_otherwise(report: dict[str, object], expected: tuple[int, int] | None) -> None:
    chunk = json.dumps({"choices": [], "usage": report}).encode()
    units = reports.chat_report_in(chunk).units
    wholes = dict(units or ())
    assert (units and (wholes[Unit.INPUT_TOKENS], wholes[Unit.OUTPUT_TOKENS])) == expected
    stream = EventStream(strip_usage=True)
    content = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
    event = b"data: %b\n\n" % chunk
    assert stream.feed(content + event) == (content if expected else content + event)
    assert stream.units == units


# A report with a part that is no count | the same without the part
READABLE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("responses", {"output_tokens_details": {"reasoning_tokens": "many"}}, {"output_tokens_details": {}}),
    ("responses", {"output_tokens_details": "none"}, {"output_tokens_details": None}),
    (
        "responses",
        {"input_tokens_details": {"cached_tokens": 32, "cache_write_tokens": -1}},
        {"input_tokens_details": {"cached_tokens": 32}},
    ),
    ("responses", {"input_tokens_details": {"cached_tokens": 1 << 70}}, {"input_tokens_details": {}}),
    ("responses", {"input_tokens_details": [32]}, {"input_tokens_details": None}),
    ("images", {"input_tokens_details": {"image_tokens": 1.5}}, {"input_tokens_details": {}}),
    ("transcription", {"input_token_details": {"audio_tokens": "10"}}, {"input_token_details": {}}),
    ("message", {"cache_creation": {"ephemeral_1h_input_tokens": "6"}}, {"cache_creation": None}),
    ("message", {"cache_creation_input_tokens": -10}, {"cache_creation_input_tokens": None}),
    ("message", {"server_tool_use": {"web_search_requests": "two"}}, {"server_tool_use": None}),
]
READABLE += [
    ("message", {"iterations": [COMPACTION, {"type": 3}]}, {"iterations": [COMPACTION]}),
    (
        "message",
        {"iterations": [{**COMPACTION, "cache_creation": "x"}]},
        {"iterations": [{**COMPACTION, "cache_creation": None}]},
    ),
]
REPORTS: dict[str, dict[str, Any]] = {
    "responses": RESPONSE,
    "images": IMAGES,
    "transcription": HEARD,
    "message": KEPT,
}


@pytest.mark.parametrize(("name", "part", "without"), READABLE)
def test_a_part_that_is_no_count_is_left_out(name: str, part: dict[str, Any], without: dict[str, Any]) -> None:
    metered = units(name, {**REPORTS[name], **part})
    assert metered is not None
    assert metered == units(name, {**REPORTS[name], **without})


def test_a_chat_whose_parts_are_no_counts_is_metered_by_its_wholes() -> None:
    report = {"prompt_tokens": 32, "completion_tokens": 8, "total_tokens": "40"}
    details = {"prompt_tokens_details": {"cached_tokens": "4", "audio_tokens": 2}, "completion_tokens_details": 7}
    assert units("chat", {**report, **details}) == {
        "input_tokens": 32,
        "audio_input_tokens": 2,
        "output_tokens": 8,
    }


def test_a_response_whose_searches_are_no_count_is_metered_by_its_tokens() -> None:
    metered = units("responses", RESPONSE, tool_usage={"web_search": {"num_requests": "three"}})
    assert metered is not None
    assert metered == units("responses", RESPONSE)


def test_each_kind_reads_whole_numbers_with_a_point() -> None:
    assert units("responses", {"input_tokens": 32.0, "output_tokens": 8}) == {"input_tokens": 32, "output_tokens": 8}
    event = {"response": {"usage": {"input_tokens": 32.0, "output_tokens": None, "total_tokens": 40}}}
    read = reports.responses_report_in(json.dumps(event).encode()).units
    assert read == ((Unit.INPUT_TOKENS, 32), (Unit.OUTPUT_TOKENS, 8))
    for name in ("images", "speech", "message"):
        metered = units(name, {"input_tokens": 32.0, "output_tokens": 8.0})
        assert metered is not None
        assert (metered["input_tokens"], metered["output_tokens"]) == (32, 8), name
    assert units("embeddings", {"prompt_tokens": 8.0}) == {"input_tokens": 8}


def test_a_stream_of_messages_without_its_input_reports_nothing() -> None:
    stream = MessageStream()
    for event in (
        {"type": "message_start", "message": {"usage": {}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}},
    ):
        stream.feed(b"data: %b\n\n" % json.dumps(event).encode())
    assert stream.units is None


@pytest.mark.parametrize("output", ["8", -8, None])
def test_a_stream_of_messages_whose_output_is_no_count_reports_its_input_alone(output: object) -> None:
    """Output that the beginning counted is not all of it."""
    stream = MessageStream()
    for event in (
        {"type": "message_start", "message": {"usage": {"input_tokens": 32, "output_tokens": 1}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": output}},
    ):
        stream.feed(b"data: %b\n\n" % json.dumps(event).encode())
    assert (stream.units, stream.input_units) == (None, ((Unit.INPUT_TOKENS, 32),))


@pytest.mark.parametrize("strip", [True, False])
@pytest.mark.parametrize("last", [{"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": 5}, None])
@pytest.mark.parametrize("null", [True, False])
def test_a_stream_counts_on_and_never_back_to_nothing(strip: bool, last: dict[str, object] | None, null: bool) -> None:
    stream = EventStream(strip_usage=strip)
    if last is not None and null:
        last = {**last, "completion_tokens": None}
    for usage in ({"prompt_tokens": 5, "completion_tokens": 1}, {"prompt_tokens": 5, "completion_tokens": 6}, last):
        chunk = {"choices": [{"delta": {"content": "x"}}], "usage": usage}
        stream.feed(b"data: %b\n\n" % json.dumps(chunk).encode())
    assert stream.units == ((Unit.INPUT_TOKENS, 5), (Unit.OUTPUT_TOKENS, 6))


@pytest.mark.parametrize("members", [{"usage": [1]}, {"response": "x"}, {"message": "x"}, {"usage": {"speed": 5}}])
def test_the_tier_is_read_beside_what_cannot_be(members: dict[str, object]) -> None:
    for name in READERS.keys() - {"message"}:
        assert READERS[name](json.dumps({"service_tier": "flex", **members}).encode()).tier == "flex", name


def test_the_tier_of_a_message_is_read_beside_what_cannot_be() -> None:
    usage = {"service_tier": "priority", "speed": 5, "output_tokens": "many"}
    report = READERS["message"](json.dumps({"usage": usage}).encode())
    assert (report.units, report.tier) == (None, "priority")


def test_a_stream_of_messages_reads_whole_numbers_with_a_point() -> None:
    stream = MessageStream()
    for event in (
        {"type": "message_start", "message": {"usage": {"input_tokens": 32.0, "output_tokens": 1.0}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8.0}},
    ):
        stream.feed(b"data: %b\n\n" % json.dumps(event).encode())
    assert stream.units == ((Unit.INPUT_TOKENS, 32), (Unit.OUTPUT_TOKENS, 8))


IMPOSSIBLE: list[tuple[str, object]] = [
    ("responses", {"input_tokens": -1, "output_tokens": 1}),
    ("responses", {"input_tokens": 1}),
    ("responses", {"input_tokens": 1.5, "output_tokens": 1}),
    ("responses", {"input_tokens": 1, "output_tokens": 1 << 40}),
    ("embeddings", {"prompt_tokens": None}),
    ("embeddings", {"total_tokens": "8"}),
    ("images", {"input_tokens": 1, "output_tokens": True}),
    ("transcription", {"input_tokens": 14}),
    ("transcription", {"seconds": "NaN"}),
    ("transcription", {"type": "duration", "seconds": -0.1}),
    ("transcription", {"type": "duration", "seconds": 1e300}),
    ("transcription", {"type": "duration", "seconds": "NaN"}),
    ("transcription", {"type": "duration", "seconds": "sNaN"}),
    ("transcription", {"type": "duration", "seconds": "Infinity"}),
    ("transcription", {"type": "megabytes", "megabytes": 3}),
    ("speech", {"input_tokens": 14}),
    ("message", {}),
    ("message", {"input_tokens": 14}),
    ("message", {"output_tokens": 14}),
    ("message", {"input_tokens": None, "output_tokens": 14, "cache_read_input_tokens": 9}),
    *((name, None) for name in ("speech", "responses", "embeddings", "images", "transcription")),
]


def test_the_length_of_sound_is_read_beside_half_of_a_surrogate_pair() -> None:
    heard = reported_units.time_heard_in(json.dumps({"duration": 1.5, "text": "\ud83d"}).encode())
    assert heard == ((Unit.AUDIO_INPUT_MILLISECONDS, 1500),)


@pytest.mark.parametrize(("name", "report"), IMPOSSIBLE)
def test_what_cannot_be_is_no_report(name: str, report: object) -> None:
    assert units(name, report) is None


MOST = UNITS_PER_REQUEST_MAX
# Each kind of answer | a report | whether it is believed: sealing would hold back what is not
BOUNDS: list[tuple[Reader, dict[str, object], bool]] = [
    (reports.chat_report_in, {"prompt_tokens": MOST, "completion_tokens": MOST}, True),
    (reports.chat_report_in, {"prompt_tokens": MOST + 1, "completion_tokens": 1}, False),
    (reports.chat_report_in, {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": MOST + 3}, False),
    (reports.responses_report_in, {"input_tokens": 1, "output_tokens": MOST + 1}, False),
    (reports.batch_report_in, {"input_tokens": 1 << 32, "output_tokens": MOST + 1}, True),
    (reports.embeddings_report_in, {"prompt_tokens": MOST + 1}, False),
    (reports.images_report_in, {"input_tokens": MOST + 1, "output_tokens": 1}, False),
    (reports.speech_report_in, {"input_tokens": 1, "output_tokens": MOST + 1}, False),
    (reports.audio_report_in, {"type": "tokens", "input_tokens": MOST + 1, "output_tokens": 1}, False),
    (reports.audio_report_in, {"type": "duration", "seconds": 200_000}, True),
    (reports.audio_report_in, {"type": "duration", "seconds": 200_000.001}, False),
    (reports.messages_report_in, {"input_tokens": MOST, "output_tokens": 1, "cache_read_input_tokens": 0}, True),
    (reports.messages_report_in, {"input_tokens": MOST, "output_tokens": 1, "cache_read_input_tokens": 1}, False),
]


@pytest.mark.parametrize(("report_in", "report", "is_believed"), BOUNDS)
def test_more_than_a_request_can_use_is_no_report(
    report_in: Reader, report: dict[str, object], is_believed: bool
) -> None:
    units = report_in(json.dumps({"usage": report}).encode()).units
    assert (units is not None) == is_believed
    if units is not None and report_in is not reports.batch_report_in:
        assert flaws_of_units(dict(units)) == ()


@pytest.mark.parametrize("over", [0, 1])
def test_a_stream_reports_no_more_than_a_request_can_use(over: int) -> None:
    chat = EventStream(strip_usage=False)
    chat.feed(b'data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":1}}\n\n' % (MOST + over))
    message = MessageStream()
    begun = {"type": "message_start", "message": {"usage": {"input_tokens": MOST + over, "output_tokens": 1}}}
    ended = {"type": "message_delta", "usage": {"output_tokens": 400}}
    message.feed(b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in (begun, ended)))
    for stream in (chat, message):
        assert (stream.units is None) == bool(over)
    assert bool(message.input_units) != bool(over)


@pytest.mark.parametrize("answer", [b"", b"WEBVTT\n\n", b"[1]", b'{"usage":', b"\xff\xfe", b"[" * 5000])
def test_what_is_no_answer_holds_no_report(answer: bytes) -> None:
    for read in READERS.values():
        report = read(answer)
        assert (report.units, report.tier, report.model) == (None, "", "")


def test_time_is_exact() -> None:
    assert reported_units.units_of_transcription(TimeHeard(Decimal("199999.9991"))) == (
        (Unit.AUDIO_INPUT_MILLISECONDS, 200_000_000),
    )
