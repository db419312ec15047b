"""Parts larger than their whole are left out of a report, however it comes, and no report gives money back."""

import json
from pathlib import Path
from typing import Any

import pytest
from gateway_rig import Connection, Received, Rig, chunk_event, content_events
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.clouds.reports import (
    Reader,
    audio_report_in,
    chat_report_in,
    images_report_in,
    messages_report_in,
    responses_report_in,
)
from clauseway.gateway.plan import Prices
from clauseway.gateway.routing.unit_rates import TokenRates
from clauseway.gateway.wire.message_streams import FramedMessageStream, MessageStream
from clauseway.gateway.wire.streams import EventStream
from clauseway.gateway.wire.typed_streams import TypedStream
from clauseway.metering import Status, Unit, billable, problems_of
from clauseway.metering.units import CONTAINED_IN
from clauseway.sandbox.surfaces import aws_frames

READERS: dict[str, Reader] = {
    "chat": chat_report_in,
    "responses": responses_report_in,
    "images": images_report_in,
    "transcription": audio_report_in,
    "message": messages_report_in,
}
CHAT = {"prompt_tokens": 21, "completion_tokens": 8}
TYPED = {"input_tokens": 21, "output_tokens": 8}
HEARD = {"type": "tokens", **TYPED}

# Of 21 tokens in and 8 out → parts that cannot be among them.
IMPOSSIBLE: list[tuple[str, dict[str, Any]]] = [
    ("chat", {**CHAT, "prompt_tokens_details": {"cached_tokens": 22}}),
    ("chat", {**CHAT, "prompt_tokens_details": {"cache_write_tokens": 22}}),
    ("chat", {**CHAT, "prompt_tokens_details": {"audio_tokens": 22}}),
    ("chat", {**CHAT, "prompt_tokens_details": {"cached_tokens": 11, "cache_write_tokens": 11}}),
    ("chat", {**CHAT, "prompt_tokens_details": {"cached_tokens": 22, "audio_tokens": 11}}),
    ("chat", {**CHAT, "prompt_tokens_details": {"cached_tokens": 11, "cache_write_tokens": 11, "audio_tokens": 11}}),
    ("chat", {**CHAT, "total_tokens": 29, "prompt_tokens_details": {"cached_tokens": 1 << 32}}),
    ("chat", {**CHAT, "completion_tokens_details": {"audio_tokens": 9}}),
    ("chat", {**CHAT, "completion_tokens_details": {"accepted_prediction_tokens": 9}}),
    ("chat", {**CHAT, "completion_tokens_details": {"rejected_prediction_tokens": 9}}),
    ("responses", {**TYPED, "input_tokens_details": {"cached_tokens": 22}}),
    ("responses", {**TYPED, "input_tokens_details": {"cached_tokens": 11, "cache_write_tokens": 11}}),
    ("responses", {**TYPED, "output_tokens_details": {"reasoning_tokens": 9}}),
    ("images", {**TYPED, "input_tokens_details": {"image_tokens": 22}}),
    ("images", {**TYPED, "output_tokens_details": {"image_tokens": 9}}),
    ("transcription", {**HEARD, "input_token_details": {"audio_tokens": 22}}),
    # Its input leaves out what the cache was given, so only what is kept for an hour can be too much.
    (
        "message",
        {**TYPED, "cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 6}},
    ),
    ("message", {**TYPED, "output_tokens_details": {"thinking_tokens": 9}}),
]


@pytest.mark.parametrize(("kind", "report"), IMPOSSIBLE)
def test_parts_larger_than_their_whole_are_left_out(kind: str, report: dict[str, Any]) -> None:
    """Azure reports so of Grok: 7 tokens in, of which 161 cached, in the recorded exchanges."""
    written = report.get("cache_creation_input_tokens", 0)
    wholes = {Unit.INPUT_TOKENS: 21 + written, Unit.OUTPUT_TOKENS: 8}
    if written:
        wholes[Unit.CACHE_WRITE_TOKENS] = written
    counted = READERS[kind](json.dumps({"usage": report}).encode()).units
    assert counted is not None
    assert dict(counted) == wholes
    assert in_stream(kind, report) == [counted] * len(streams(kind))


def streams(kind: str) -> list[Any]:
    if kind == "chat":
        return [EventStream(strip_usage=True)]
    if kind == "message":
        return [MessageStream(), FramedMessageStream()]
    return [TypedStream(READERS[kind])]


def in_stream(kind: str, report: dict[str, Any]) -> list[Units | None]:
    """The units that streams of a kind report at their end."""
    if kind == "message":
        begun = {"type": "message_start", "message": {"usage": {"input_tokens": 1, "output_tokens": 0}}}
        events: list[Any] = [begun, {"type": "message_delta", "usage": report}]
    elif kind == "responses":
        events = [{"type": "response.completed", "response": {"usage": report}}]
    else:
        ends = {"images": "image_generation.completed", "transcription": "transcript.text.done"}
        events = [{"type": ends.get(kind, ""), "choices": [], "usage": report}]
    read = streams(kind)
    for stream in read:
        for event in events:
            data = json.dumps(event).encode()
            framed = isinstance(stream, FramedMessageStream)
            stream.feed(aws_frames.chunk_frame(data) if framed else b"data: %b\n\n" % data)
    return [stream.units for stream in read]


# Prompt, completion, read from the cache, written to it, total → input.
CACHED: list[tuple[int, int, int, int, int | None, int]] = [
    (21, 8, 20, 1, 29, 21),  # as OpenAI counts: within the prompt
    (21, 8, 2000, 0, 2029, 2021),  # as Converse counts: beside it, and within the total
    (21, 8, 2000, 300, 2329, 2321),
    # As nobody counts: the prompt alone is taken.
    (21, 8, 2000, 300, 2029, 21),
    (21, 8, 2000, 0, 29, 21),
    (21, 8, 2000, 0, None, 21),
    # It fits into the prompt: Converse's streams count what GPT-5.6 wrote twice in the total.
    (4995, 19, 0, 4993, 10007, 4995),
]


@pytest.mark.parametrize(("prompt", "completion", "cached", "written", "total", "tokens_in"), CACHED)
def test_what_was_cached_counts_beside_the_prompt_if_the_total_says_so(
    prompt: int, completion: int, cached: int, written: int, total: int | None, tokens_in: int
) -> None:
    report = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
    }
    counted = chat_report_in(json.dumps({"usage": report}).encode()).units
    assert counted is not None
    assert dict(counted)[Unit.INPUT_TOKENS] == tokens_in


# Of a prompt of 21: read from the cache, written to it, sound → what is metered as read from the cache.
CACHED_SOUND: list[tuple[int, int, int, int]] = [
    (10, 0, 11, 10),
    (11, 0, 11, 10),
    (21, 0, 11, 10),
    (11, 2, 11, 8),
    (11, 0, 21, 0),
]


@pytest.mark.parametrize(("cached", "written", "sound", "metered"), CACHED_SOUND)
def test_sound_that_was_read_from_the_cache_is_reported_twice_and_metered_as_sound(
    cached: int, written: int, sound: int, metered: int
) -> None:
    details = {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": sound}
    counted = chat_report_in(json.dumps({"usage": {**CHAT, "prompt_tokens_details": details}}).encode()).units
    assert counted is not None
    assert dict(counted) == {
        Unit.INPUT_TOKENS: 21,
        Unit.CACHED_INPUT_TOKENS: metered,
        Unit.CACHE_WRITE_TOKENS: written,
        Unit.AUDIO_INPUT_TOKENS: sound,
        Unit.OUTPUT_TOKENS: 8,
    }


COUNTS = st.one_of(st.integers(0, 30), st.sampled_from([None, 0, 21, 1 << 32]))


def counts(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, COUNTS))


def typed(**details: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    whole = st.integers(0, 40)
    return st.fixed_dictionaries({"input_tokens": whole, "output_tokens": whole}, optional=details)


REPORTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "chat": st.fixed_dictionaries(
        {"prompt_tokens": st.integers(0, 40), "completion_tokens": st.integers(0, 40)},
        optional={
            "total_tokens": st.integers(0, 120),
            "prompt_tokens_details": counts("cached_tokens", "cache_write_tokens", "audio_tokens"),
            "completion_tokens_details": counts(
                "reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"
            ),
        },
    ),
    "responses": typed(
        input_tokens_details=counts("cached_tokens", "cache_write_tokens"),
        output_tokens_details=counts("reasoning_tokens"),
    ),
    "images": typed(input_tokens_details=counts("image_tokens"), output_tokens_details=counts("image_tokens")),
    "transcription": typed(input_token_details=counts("audio_tokens")).map(lambda report: {"type": "tokens", **report}),
    "message": typed(
        cache_read_input_tokens=COUNTS,
        cache_creation_input_tokens=COUNTS,
        cache_creation=counts("ephemeral_1h_input_tokens"),
        output_tokens_details=counts("thinking_tokens"),
        iterations=st.lists(
            typed(
                cache_read_input_tokens=COUNTS,
                cache_creation_input_tokens=COUNTS,
                cache_creation=counts("ephemeral_1h_input_tokens"),
            ).map(lambda run: {"type": "compaction", **run}),
            max_size=2,
        ),
    ),
}
PRICED = st.fixed_dictionaries(
    dict.fromkeys((Unit.INPUT_TOKENS, Unit.OUTPUT_TOKENS), st.integers(50, 100)),
    optional=dict.fromkeys(CONTAINED_IN, st.integers(0, 100)),
)


@pytest.mark.parametrize("kind", REPORTS)
@given(data=st.data(), prices=PRICED)
def test_no_report_is_charged_less_than_its_parts(kind: str, data: st.DataObject, prices: dict[Unit, int]) -> None:
    report = data.draw(REPORTS[kind])
    counted = READERS[kind](json.dumps({"usage": report}).encode()).units
    assert in_stream(kind, report) == [counted] * len(streams(kind))
    if counted is None:
        return
    units = dict(counted)
    assert problems_of(units) == []
    quantities = billable(units, frozenset(prices))
    assert min(quantities.values()) >= 0
    charge = TokenRates({int(unit): price for unit, price in prices.items()}).charge(counted)
    assert charge == sum(count * prices.get(unit, 0) for unit, count in quantities.items())
    # Tokens kept for an hour are within those written: the other parts are beside each other.
    beside = [part for part in CONTAINED_IN if part in prices and part is not Unit.CACHE_WRITE_1H_TOKENS]
    if Unit.CACHE_WRITE_1H_TOKENS not in prices:
        assert charge >= sum(units.get(part, 0) * prices[part] for part in beside)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(Unit, st.integers(0, 1 << 32))), PRICED)
def test_rates_give_nothing_back_whatever_is_counted(units: dict[Unit, int], prices: dict[Unit, int]) -> None:
    assert TokenRates({int(unit): price for unit, price in prices.items()}).charge(tuple(units.items())) >= 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_cache_larger_than_its_prompt_gives_nothing_back(tmp_path: Path, stream: bool) -> None:
    """At 2.50 USD a million in and 0.25 cached it would be charged 0.8998 USD below zero."""
    report = {**CHAT, "total_tokens": 29, "prompt_tokens_details": {"cached_tokens": 400_000}}

    async def impossible(connection: Connection, _: Received) -> None:
        if not stream:
            connection.answer(200, json.dumps({"choices": [], "usage": report}).encode())
            return
        connection.begin_stream()
        connection.piece(
            b"".join((*content_events(with_nulls=True), chunk_event([], usage=report), b"data: [DONE]\n\n"))
        )
        connection.end_stream()

    units = {Unit.INPUT_TOKENS: 2_500_000, Unit.CACHED_INPUT_TOKENS: 250_000, Unit.OUTPUT_TOKENS: 15_000_000}
    prices = (Prices(begin_ns=0, end_ns=1 << 62, units={int(unit): price for unit, price in units.items()}),)
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("azure")
        cloud.behaviour = impossible
        rig.start(rig.plan([rig.target("azure", cloud.port, prices=prices)]))
        assert rig.post(stream=stream).status_code == 200
        record = rig.records()[-1]
    assert record.status is Status.COMPLETE
    assert dict(record.units) == {Unit.INPUT_TOKENS: 21, Unit.OUTPUT_TOKENS: 8}
    assert record.charge_picodollars == 21 * 2_500_000 + 8 * 15_000_000
