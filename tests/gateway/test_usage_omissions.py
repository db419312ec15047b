"""Parts left out of a cloud's usage report are counted by name, and told once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from gateway_rig import PATIENCE_S, Connection, Received, Rig, chunk_event, content_events

from awaiting import eventually
from clauseway.gateway.clouds.reports import (
    Reader,
    audio_report_in,
    batch_report_in,
    chat_report_in,
    embeddings_report_in,
    images_report_in,
    messages_report_in,
    responses_report_in,
    speech_report_in,
)
from clauseway.gateway.clouds.unusual_counts import Omissions
from clauseway.gateway.plan.settings import Settings, Telemetry
from clauseway.gateway.wire.message_streams import MessageStream
from clauseway.gateway.wire.streams import EventStream
from clauseway.metering.usage_rules import UNITS_PER_REQUEST_MAX

CHAT = {"prompt_tokens": 21, "completion_tokens": 8}
TYPED = {"input_tokens": 21, "output_tokens": 8}
TOO_MANY = UNITS_PER_REQUEST_MAX + 1

# Reader | an answer | the parts of its report that are left out
ANSWERS: list[tuple[Reader, dict[str, Any], list[str]]] = [
    (chat_report_in, {"usage": {**CHAT, "prompt_tokens_details": {"cached_tokens": 4}}}, []),
    (chat_report_in, {"usage": {**CHAT, "prompt_tokens_details": {"cached_tokens": "4"}}}, ["cached_tokens"]),
    (chat_report_in, {"usage": {**CHAT, "prompt_tokens_details": {"cached_tokens": 4.0}}}, []),
    (chat_report_in, {"usage": {**CHAT, "completion_tokens_details": 7}}, ["completion_tokens_details"]),
    (
        chat_report_in,
        {"usage": {**CHAT, "prompt_tokens_details": {"cached_tokens": 22}}},
        ["cached_input_tokens"],
    ),
    (
        chat_report_in,
        {"usage": {**CHAT, "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 9}}},
        ["reasoning_tokens", "audio_output_tokens"],
    ),
    (chat_report_in, {"usage": {**CHAT, "cached_tokens": 22}}, ["cached_input_tokens"]),
    (chat_report_in, {"usage": {**CHAT, "prompt_tokens": TOO_MANY}}, ["usage"]),
    (chat_report_in, {"usage": {**CHAT, "total_tokens": TOO_MANY + 30}}, ["usage"]),
    (chat_report_in, {"usage": {"prompt_tokens": "21", "completion_tokens": 8}}, ["usage"]),
    (chat_report_in, {"usage": None}, []),
    (chat_report_in, {}, []),
    (
        responses_report_in,
        {"usage": TYPED, "tool_usage": {"web_search": {"num_requests": "3"}}},
        ["num_requests"],
    ),
    (
        responses_report_in,
        {"usage": {**TYPED, "input_tokens_details": {"cached_tokens": 22}}},
        ["cached_input_tokens"],
    ),
    (
        responses_report_in,
        {"usage": {**TYPED, "output_tokens_details": {"reasoning_tokens": 9}}},
        ["reasoning_tokens"],
    ),
    (
        images_report_in,
        {"usage": {**TYPED, "output_tokens_details": {"image_tokens": 9}}},
        ["image_output_tokens"],
    ),
    (
        responses_report_in,
        {"usage": TYPED, "tool_usage": {"image_gen": {**TYPED, "output_tokens_details": {"image_tokens": 9}}}},
        ["image_tool_image_output_tokens"],
    ),
    (responses_report_in, {"usage": TYPED, "tool_usage": {"image_gen": {"output_tokens": "1056"}}}, ["output_tokens"]),
    (embeddings_report_in, {"usage": {"prompt_tokens": TOO_MANY}}, ["prompt_tokens", "usage"]),
    (embeddings_report_in, {"usage": {"prompt_tokens": "8", "total_tokens": 8}}, ["prompt_tokens"]),
    (embeddings_report_in, {"usage": {}}, ["usage"]),
    (speech_report_in, {"usage": {"input_tokens": 14}}, ["usage"]),
    (
        audio_report_in,
        {"usage": {"type": "tokens", **TYPED, "input_token_details": {"audio_tokens": 22}}},
        ["audio_input_tokens"],
    ),
    (audio_report_in, {"usage": {"type": "duration", "seconds": "NaN"}}, ["usage"]),
    (messages_report_in, {"usage": {**TYPED, "cache_read_input_tokens": TOO_MANY - 1}}, ["usage"]),
    (messages_report_in, {"usage": {**TYPED, "iterations": [7]}}, ["iterations"]),
    (batch_report_in, {"usage": {"input_tokens": 1 << 40, "output_tokens": 8}}, ["usage"]),
]


@pytest.mark.parametrize(("report_in", "answer", "parts"), ANSWERS)
def test_what_is_left_out_is_counted_by_its_name(report_in: Reader, answer: dict[str, Any], parts: list[str]) -> None:
    omissions: Omissions = {}
    report_in(json.dumps(answer).encode(), omissions)
    assert omissions == dict.fromkeys(parts, 1)


# An answer of a kind | its tier here | the parts that are left out. `scale` and `reserved` are paid ahead.
TIERS_TOLD: list[tuple[Reader, dict[str, Any], str, list[str]]] = [
    (chat_report_in, {"service_tier": "priority"}, "priority", []),
    (chat_report_in, {"service_tier": "fast"}, "priority", []),
    (chat_report_in, {"service_tier": "auto"}, "", []),
    (chat_report_in, {"service_tier": "standard"}, "", []),
    (chat_report_in, {"service_tier": "scale"}, "", ["service_tier"]),
    (chat_report_in, {"service_tier": 7, "usage": CHAT}, "", ["service_tier"]),
    (chat_report_in, {}, "", []),
    (responses_report_in, {"service_tier": "flex"}, "flex", []),
    (responses_report_in, {"response": {"service_tier": "flex"}}, "flex", []),
    (responses_report_in, {"response": {"service_tier": "reserved"}}, "", ["service_tier"]),
    # A word of OpenAI's for the same tier, and another tier of Anthropic's, which has it beside the first one.
    (responses_report_in, {"response": {"service_tier": "fast"}}, "priority", []),
    (messages_report_in, {"usage": {"service_tier": "standard", "speed": "fast"}}, "fast", []),
    (messages_report_in, {"usage": {"service_tier": "standard"}}, "default", []),
    (messages_report_in, {"usage": {"service_tier": "priority", "speed": "fast"}}, "fast", []),
    (messages_report_in, {"usage": {"service_tier": "a-tier-of-next-year"}}, "", ["service_tier"]),
    (messages_report_in, {}, "", []),
]


@pytest.mark.parametrize(("report_in", "answer", "tier", "parts"), TIERS_TOLD)
def test_a_tier_without_a_name_here_is_counted(
    report_in: Reader, answer: dict[str, Any], tier: str, parts: list[str]
) -> None:
    omissions: Omissions = {}
    assert report_in(json.dumps(answer).encode(), omissions).tier == tier
    assert omissions == dict.fromkeys(parts, 1)


@pytest.mark.parametrize("strip", [True, False])
def test_a_chats_stream_counts_what_it_leaves_out(strip: bool) -> None:
    omissions: Omissions = {}
    stream = EventStream(strip_usage=strip, omissions=omissions)
    usage = {**CHAT, "prompt_tokens_details": {"cached_tokens": "4"}, "completion_tokens_details": {"audio_tokens": 9}}
    stream.feed(chunk_event([], usage=usage))
    assert stream.units is not None
    assert omissions == {"cached_tokens": 1, "audio_output_tokens": 1}


def test_a_stream_of_messages_counts_what_it_leaves_out() -> None:
    omissions: Omissions = {}
    stream = MessageStream(omissions=omissions)
    for event in (
        {"type": "message_start", "message": {"usage": {"input_tokens": 32, "output_tokens": 1, "iterations": [7]}}},
        {"type": "message_delta", "usage": {"output_tokens": 8, "output_tokens_details": {"thinking_tokens": 9}}},
    ):
        stream.feed(b"data: %b\n\n" % json.dumps(event).encode())
    assert omissions == {"iterations": 1, "reasoning_tokens": 1}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as started:
        started.cloud("azure").behaviour = _with_a_part_that_is_no_count
        plan = started.plan()
        settings = Settings(telemetry=Telemetry(metrics=True, metrics_port=0))
        started.start(msgspec.structs.replace(plan, settings=settings))
        yield started


async def _with_a_part_that_is_no_count(connection: Connection, request: Received) -> None:
    usage = {**CHAT, "prompt_tokens_details": {"cached_tokens": "4"}}
    if b'"stream":true' not in request.body.replace(b" ", b""):
        connection.answer(200, json.dumps({"choices": [], "usage": usage}).encode())
        return
    connection.begin_stream()
    events = (*content_events(with_nulls=True), chunk_event([], usage=usage), b"data: [DONE]\n\n")
    connection.piece(b"".join(events))
    connection.end_stream()


def test_the_figures_count_it_and_the_log_tells_it_once(rig: Rig) -> None:
    for stream in (False, True, False):
        assert rig.post(stream=stream).status_code == 200
    page = httpx.get(f"http://127.0.0.1:{rig.ports['metrics']}/metrics", timeout=PATIENCE_S).text
    (sample,) = [line for line in page.splitlines() if line.startswith("clauseway_usage_omissions_total{")]
    assert 'deployment="azure-1"' in sample
    assert 'part="cached_tokens"' in sample
    assert float(sample.split()[-1]) == 3
    eventually(lambda: "usage omitted" in rig.errors())
    rig.stop()
    events = [json.loads(line) for line in rig.errors().splitlines()]
    (omitted,) = [event for event in events if event["event"] == "usage omitted"]
    assert (omitted["deployment"], omitted["part"]) == ("azure-1", "cached_tokens")
