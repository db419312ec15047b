"""Streams of typed events (Responses, images, audio), cut anywhere: what goes on, what is held, what is understood."""

import itertools
import json
import re
from typing import Any

import pytest
from gateway_rig import compact
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.clouds.reports import (
    AnswerReport,
    Reader,
    audio_report_in,
    images_report_in,
    responses_report_in,
)
from clauseway.gateway.clouds.unusual_counts import Omissions
from clauseway.gateway.wire import event_streams
from clauseway.gateway.wire.bodies.requests import NOTHING_ASKED
from clauseway.gateway.wire.errors import STREAM_BROKEN
from clauseway.gateway.wire.splice import Destination
from clauseway.gateway.wire.sse import BadStream
from clauseway.gateway.wire.typed_streams import TypedStream
from clauseway.metering import Unit

USAGE = {"input_tokens": 21, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 8, "total_tokens": 29}


def event(kind: str, number: int = 0, **members: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind, "sequence_number": number, **members}))


CREATED = event("response.created", 0, response={"id": "resp_1", "status": "in_progress", "usage": None})
ADDED = event("response.output_item.added", 1, output_index=0, item={"type": "message", "content": []})
DELTAS = b"".join(event("response.output_text.delta", number, delta=word) for number, word in enumerate("abc", 2))
NEW = event("response.invented_tomorrow.delta", 5, thing={"x": [1, 2]})
COMPLETED = event("response.completed", 6, response={"id": "resp_1", "status": "completed", "usage": USAGE})
FAILED = event("response.failed", 6, response={"id": "resp_1", "status": "failed", "usage": None})
ERROR = event("error", 5, code="server_error", message="sorry", param=None)
cuts = st.lists(st.integers(0, 100_000), max_size=12)


@given(cuts)
def test_a_byte_order_mark_hides_no_event(cut_at: list[int]) -> None:
    # A single event: with the mark before it, a stream of that event alone would have no end.
    for events in (CREATED + DELTAS, b""):
        out, stream = fed(b"\xef\xbb\xbf" + events + COMPLETED, cut_at)
        assert (out, stream.last) == (events, COMPLETED)


def no_usage(_event: bytes, _omissions: Omissions | None = None, /) -> AnswerReport:
    """Read an event that reports no usage."""
    return AnswerReport(None)


def fed(data: bytes, cut_at: list[int] = [], report_in: Reader = responses_report_in) -> tuple[bytes, TypedStream]:  # noqa: B006
    stream = TypedStream(report_in)
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cut_at), len(data)]
    return b"".join(stream.feed(data[begin:end]) for begin, end in itertools.pairwise(bounds)), stream


@given(cuts, st.booleans())
def test_every_byte_goes_on_and_the_last_event_is_held(cut_at: list[int], crlf: bool) -> None:
    parts = [CREATED + b": a comment\n\n" + ADDED + DELTAS + NEW, COMPLETED]
    begin, last = [part.replace(b"\n", b"\r\n") if crlf else part for part in parts]
    out, stream = fed(begin + last, cut_at)
    assert (out, stream.last) == (begin, last)
    assert stream.done
    assert stream.has_content
    assert not stream.failed
    assert stream.units is not None
    assert dict(stream.units) == {Unit.INPUT_TOKENS: 21, Unit.CACHED_INPUT_TOKENS: 4, Unit.OUTPUT_TOKENS: 8}
    assert stream.resource is not None
    assert stream.resource.id == "resp_1"


# Bytes that have come → may anything go to the caller yet?
BEGINNINGS: list[tuple[str, bytes, bool]] = [
    ("nothing", b"", False),
    ("created", CREATED, False),
    ("created, queued", CREATED + event("response.queued", 1, response={"id": "resp_1", "status": "queued"}), False),
    ("an item announced", CREATED + ADDED, False),
    ("a comment", b": keep-alive\n\n", False),
    ("half a delta", CREATED + DELTAS[:40], False),
    ("a delta", CREATED + DELTAS, True),
    ("an event that nobody knows", CREATED + NEW, True),
    ("what is no JSON", CREATED + b"data: something else\n\n", True),
    ("an error", CREATED + ERROR, False),
    ("failed before content", CREATED + FAILED, False),
    ("a function call", event("response.function_call_arguments.delta", 2, delta="{"), True),
    ("a picture's first rows", event("image_generation.partial_image", b64_json="AAAA", partial_image_index=0), True),
    ("speech", event("speech.audio.delta", audio="AAAA"), True),
    ("text heard", event("transcript.text.delta", delta="Hi"), True),
]


@pytest.mark.parametrize(("data", "commits"), [case[1:] for case in BEGINNINGS], ids=[case[0] for case in BEGINNINGS])
def test_the_commit_is_at_the_first_content(data: bytes, commits: bool) -> None:
    out, stream = fed(data)
    assert stream.has_content is commits
    assert out == (data if commits else b"")
    assert stream.failed is ("error" in str(data) or "failed" in str(data))


@given(cuts)
def test_an_error_before_content_fails_and_after_it_is_passed_on(cut_at: list[int]) -> None:
    out, early = fed(CREATED + ADDED + ERROR, cut_at)
    assert (out, early.failed, early.has_content) == (b"", True, False)
    out, late = fed(CREATED + DELTAS + ERROR, cut_at)
    assert (out, late.failed, late.has_content, late.done) == (CREATED + DELTAS + ERROR, True, True, False)


@given(cuts)
def test_a_response_that_fails_after_content_ends_as_the_cloud_says(cut_at: list[int]) -> None:
    out, stream = fed(CREATED + DELTAS + FAILED, cut_at)
    assert (out, stream.last, stream.done, stream.failed) == (CREATED + DELTAS, FAILED, True, False)


@given(cuts)
def test_an_error_and_then_the_failure_end_as_the_cloud_says(cut_at: list[int]) -> None:
    failed = event("response.failed", 6, response={"id": "resp_1", "status": "failed", "usage": USAGE})
    out, stream = fed(CREATED + DELTAS + ERROR + failed, cut_at)
    assert (out, stream.last, stream.done, stream.failed) == (CREATED + DELTAS + ERROR, failed, True, False)
    assert dict(stream.units or ())[Unit.OUTPUT_TOKENS] == 8


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
def test_a_failure_tells_what_was_used_although_an_error_is_the_answer(at_once: bool) -> None:
    response = {"id": "resp_1", "status": "failed", "error": {"code": "invalid_prompt"}, "usage": USAGE}
    failed = event("response.failed", 6, response=response)
    begun, rest = (CREATED + ERROR + failed, b"") if at_once else (CREATED + ERROR, failed)
    out, stream = fed(begun)
    out += stream.end_with_error() + stream.feed(rest)
    assert (out + stream.last, stream.failed) == (CREATED + ERROR + failed, False)
    assert dict(stream.units or ()) == {Unit.INPUT_TOKENS: 21, Unit.CACHED_INPUT_TOKENS: 4, Unit.OUTPUT_TOKENS: 8}


def test_a_response_with_half_of_a_character_ends_as_any_other() -> None:
    half = CREATED + DELTAS.replace(b'"a"', rb'"\ud83d"')
    completed = COMPLETED.replace(b'"status"', rb'"output":[{"id":"msg_1","text":"\ud83dbc"}],"status"')
    out, stream = fed(half + completed)
    assert (out, stream.last, stream.done) == (half, completed, True)
    assert dict(stream.units or ())[Unit.OUTPUT_TOKENS] == 8
    assert stream.resource is not None
    assert stream.resource.named_within(items=True) == ["msg_1"]


def test_comments_are_no_tokens() -> None:
    _, stream = fed(CREATED + b": keep-alive\n\n" * 150 + DELTAS + b": keep-alive\n\n" * 150)
    assert stream.events == 4


def without_types(events: bytes) -> bytes:
    return re.sub(rb'"type":"response[^"]*",', b"", events)


@pytest.mark.parametrize("nothing", [None, "", False, {}])
def test_an_error_that_says_nothing_is_none(nothing: object) -> None:
    data = CREATED + event("response.output_text.delta", 2, delta="a", error=nothing)
    out, stream = fed(data + COMPLETED)
    assert (out, stream.last, stream.failed) == (data, COMPLETED, False)


NUMBER = rb'"sequence_number":(\d)'
# A whole stream, written in another way.
SPELLINGS: list[tuple[str, bytes]] = [
    ("numbers with a point", re.sub(NUMBER, rb'"sequence_number":\1.0', CREATED + DELTAS + COMPLETED)),
    ("numbers in quotes", re.sub(NUMBER, rb'"sequence_number":"\1"', CREATED + DELTAS + COMPLETED)),
    ("no numbers", re.sub(NUMBER, b'"sequence_number":null', CREATED + DELTAS + COMPLETED)),
    ("no identifier", (CREATED + DELTAS + COMPLETED).replace(b'"resp_1"', b"null")),
    ("types in the event's line alone", without_types(CREATED + DELTAS + COMPLETED)),
    ("lines that end in CR", (CREATED + DELTAS + COMPLETED).replace(b"\n", b"\r")),
    ("empty lines that end in CR LF", (CREATED + DELTAS + COMPLETED).replace(b"\n\n", b"\n\r\n")),
    (
        "types in the event's line alone, which ends in CR",
        without_types(CREATED + DELTAS + COMPLETED).replace(b"\n", b"\r"),
    ),
    ("no last empty line", (CREATED + DELTAS + COMPLETED)[:-2]),
    ("no content, no last empty line", (CREATED + ADDED + COMPLETED)[:-2]),
]


@pytest.mark.parametrize("data", [case[1] for case in SPELLINGS], ids=[case[0] for case in SPELLINGS])
@given(cuts)
def test_a_stream_is_whole_however_it_is_written(data: bytes, cut_at: list[int]) -> None:
    out, stream = fed(data, cut_at)
    out += stream.close()
    assert out + stream.last == data
    assert stream.last.startswith(b"event: response.completed")
    assert (stream.done, stream.has_content, stream.failed) == (True, True, False)
    assert dict(stream.units or ())[Unit.OUTPUT_TOKENS] == 8


# The other operations' streams: what ends them and what they used.
ENDS: list[tuple[str, Reader, dict[str, Any], dict[Unit, int]]] = [
    (
        "image_generation.completed",
        images_report_in,
        {"input_tokens": 5, "output_tokens": 7},
        {Unit.INPUT_TOKENS: 5, Unit.OUTPUT_TOKENS: 7},
    ),
    (
        "image_edit.completed",
        images_report_in,
        {"input_tokens": 5, "output_tokens": 7},
        {Unit.INPUT_TOKENS: 5, Unit.OUTPUT_TOKENS: 7},
    ),
    (
        "speech.audio.done",
        audio_report_in,
        {"type": "tokens", "input_tokens": 5, "output_tokens": 7},
        {Unit.INPUT_TOKENS: 5, Unit.OUTPUT_TOKENS: 7},
    ),
    (
        "transcript.text.done",
        audio_report_in,
        {"type": "duration", "seconds": 1.5},
        {Unit.AUDIO_INPUT_MILLISECONDS: 1500},
    ),
]


@pytest.mark.parametrize(("kind", "report_in", "usage", "units"), ENDS, ids=[case[0] for case in ENDS])
def test_other_streams_end(kind: str, report_in: Reader, usage: dict[str, Any], units: dict[Unit, int]) -> None:
    last = event(kind, usage=usage)
    out, stream = fed(event("x.delta", delta="a") + last, report_in=report_in)
    assert (stream.last, stream.done, dict(stream.units or ())) == (last, True, units)
    assert out


PICTURE, SOUND = "a" * 99_950, "a" * 10_640  # with the members beside them 100,000 and 10,667 bytes
SPEECH_END = event("speech.audio.done")
# A stream without usage → its tokens of output, as they are estimated.
WITHOUT_USAGE: list[tuple[str, str, bytes, int]] = [
    ("text: a token for each event", "typed_stream", DELTAS, 3),
    ("a picture: a token for each 1,000 bytes", "picture_stream", event("x.partial_image", b64_json=PICTURE), 101),
    (
        "the same picture again, a little further",
        "picture_stream",
        event("x.partial_image", b64_json=PICTURE) * 3,
        101,
    ),
    ("its end, without usage", "picture_stream", event("image_generation.completed", b64_json=PICTURE), 101),
    ("sound: a token for each 1,066 bytes in base64", "sound_stream", event("speech.audio.delta", audio=SOUND), 11),
    ("each piece of sound", "sound_stream", event("speech.audio.delta", audio=SOUND) * 3, 33),
    ("and its end", "sound_stream", event("speech.audio.delta", audio=SOUND) * 3 + SPEECH_END, 34),
]


@pytest.mark.parametrize(
    ("kind", "data", "tokens"), [case[1:] for case in WITHOUT_USAGE], ids=[c[0] for c in WITHOUT_USAGE]
)
def test_pictures_and_sound_are_estimated_by_their_length(kind: str, data: bytes, tokens: int) -> None:
    """Clients that left before the end of a stream of pictures paid a token for each."""
    stream = getattr(event_streams, kind)(NOTHING_ASKED, no_usage, Destination("m", b'"m"', False), {})
    stream.feed(data)
    assert stream.events == tokens


def drawn(input_tokens: int, output_tokens: int) -> bytes:
    usage = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    return event("image_generation.completed", b64_json="AAAA", usage=usage)


PARTIAL = event("image_generation.partial_image", b64_json="AA", partial_image_index=0)
TWO_DRAWN = {Unit.INPUT_TOKENS: 9, Unit.OUTPUT_TOKENS: 15}
# Pictures asked for, and their stream → what is passed on, what waits for the usage, and the usage.
PICTURES: list[tuple[str, int, tuple[bytes, ...], bytes, dict[Unit, int]]] = [
    ("each its own end", 2, (PARTIAL, drawn(5, 7), PARTIAL, drawn(4, 8)), drawn(4, 8), TWO_DRAWN),
    ("more than asked for", 1, (drawn(5, 7), drawn(4, 8)), drawn(5, 7) + drawn(4, 8), TWO_DRAWN),
    ("fewer than asked for", 3, (drawn(5, 7), drawn(4, 8)), b"", TWO_DRAWN),
]


@pytest.mark.parametrize(
    ("asked", "events", "last", "units"), [case[1:] for case in PICTURES], ids=[case[0] for case in PICTURES]
)
@given(cuts)
def test_a_stream_ends_with_its_last_picture_and_meters_each(
    asked: int, events: tuple[bytes, ...], last: bytes, units: dict[Unit, int], cut_at: list[int]
) -> None:
    data = b"".join(events)
    stream = TypedStream(images_report_in, token_bytes=1000, comes_anew=True, pictures=asked)
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cut_at), len(data)]
    out = b"".join(stream.feed(data[begin:end]) for begin, end in itertools.pairwise(bounds))
    out += stream.close()
    assert (out + stream.last, stream.last, stream.done) == (data, last, True)
    assert dict(stream.units or ()) == units


def test_a_stream_that_breaks_off_between_pictures_keeps_the_usage_of_the_first() -> None:
    stream = TypedStream(images_report_in, token_bytes=1000, comes_anew=True, pictures=2)
    assert stream.feed(drawn(5, 7) + PARTIAL) == drawn(5, 7) + PARTIAL
    assert (stream.done, dict(stream.units or ())) == (False, {Unit.INPUT_TOKENS: 5, Unit.OUTPUT_TOKENS: 7})


def test_pictures_without_usage_are_estimated_together() -> None:
    stream = TypedStream(no_usage, token_bytes=1000, comes_anew=True, pictures=2)
    picture = event("image_generation.completed", b64_json=PICTURE)
    stream.feed((event("x.partial_image", b64_json=PICTURE) + picture) * 2)
    assert (stream.events, stream.units) == (202, None)


# vLLM's transcripts: chunks, and no typed event that ends them.
CHUNK = b'data: {"object":"transcription.chunk","choices":[{"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("kind", "data", "last"),
    [
        ("transcript_stream", CHUNK * 2 + DONE, DONE),
        ("transcript_stream", CHUNK * 2, b""),
        ("transcript_stream", DONE, DONE),
        ("transcript_stream", CHUNK + ERROR + DONE, b""),
        ("picture_stream", CHUNK * 2 + DONE, b""),
        ("typed_stream", CHUNK * 2 + DONE, b""),
    ],
    ids=["ended", "broken off", "silence", "failed", "a picture", "a response"],
)
def test_a_transcript_may_end_like_a_chat(kind: str, data: bytes, last: bytes) -> None:
    """Its clients heard behind `[DONE]` that it broke."""
    stream = getattr(event_streams, kind)(NOTHING_ASKED, no_usage, Destination("m", b'"m"', False), {})
    stream.feed(data)
    assert (stream.last, stream.done) == (last, bool(last))


def test_a_transcript_in_chunks_reports_as_a_chat_does() -> None:
    """vLLM reports in a chunk behind the last, or so far in each."""
    so_far, last = (
        b"data: %b\n\n"
        % compact({"choices": [], "model": "w", "usage": {"prompt_tokens": 7, "completion_tokens": tokens}})
        for tokens in (1, 2)
    )
    for data in (CHUNK + last + DONE, CHUNK + so_far + last + DONE):
        stream = event_streams.transcript_stream(NOTHING_ASKED, audio_report_in, Destination("m", b'"m"', False), {})
        stream.feed(data)
        assert (dict(stream.units or ()), stream.model) == ({Unit.INPUT_TOKENS: 7, Unit.OUTPUT_TOKENS: 2}, "w")


@pytest.mark.parametrize("kind", ["typed_stream", "picture_stream", "sound_stream", "message_stream"])
@given(cut_at=cuts)
def test_no_client_hears_the_end_of_a_chat_before_the_end(kind: str, cut_at: list[int]) -> None:
    """At `[DONE]` OpenAI's clients take what came for the whole, and read no error behind it."""
    begun = event("message_start" if kind == "message_stream" else "response.created")
    for before, passed in ((b"", b""), (begun, b""), (begun + NEW, begun + NEW)):
        stream = getattr(event_streams, kind)(NOTHING_ASKED, no_usage, Destination("m", b'"m"', False), {})
        whole = before + DONE
        ends = sorted({min(cut, len(whole)) for cut in cut_at} | {0, len(whole)})
        out = b"".join(stream.feed(whole[begin:end]) for begin, end in itertools.pairwise(ends)) + stream.close()
        assert (out, stream.has_content, stream.done) == (passed, bool(passed), False)


def test_what_comes_after_the_end_is_held_with_it() -> None:
    out, stream = fed(CREATED + DELTAS + COMPLETED + DELTAS)
    assert (out, stream.last) == (CREATED + DELTAS, COMPLETED + DELTAS)


def test_a_broken_stream_says_so_in_the_next_number() -> None:
    _, stream = fed(CREATED + DELTAS)
    lines = stream.broken(STREAM_BROKEN, "The stream broke.").split(b"\n")
    assert lines[0] == b"event: error"
    result = json.loads(lines[1][6:])
    assert (result["type"], result["code"], result["sequence_number"]) == ("error", "stream_interrupted", 5)
    assert result["error"]["message"] == "The stream broke."


def test_an_endless_event_is_refused() -> None:
    stream = TypedStream(responses_report_in)
    assert stream.feed(b"x" * (32 << 20)) == b""
    with pytest.raises(BadStream, match="longer than"):
        stream.feed(b"x")


@pytest.mark.parametrize("has_output", [False, True])
def test_a_response_that_fails_used_nothing_before_its_output_alone(has_output: bool) -> None:
    """Behind output it used something, which is estimated. The failure need not name the response again."""
    failed = event("response.failed", 6, response={"status": "failed", "error": {"code": "server_error"}})
    stream = TypedStream(responses_report_in, is_of_stored=True)
    stream.feed(CREATED + (DELTAS if has_output else b"") + failed)
    assert stream.done
    assert stream.units == (None if has_output else ())
    assert stream.resource is not None
    assert stream.resource.id == "resp_1"


@pytest.mark.parametrize(("block", "is_over"), [(b"", True), (CREATED, False), (CREATED + DELTAS, False)])
def test_the_stream_of_a_stored_response_is_over_where_nothing_was_left_to_tell(block: bytes, is_over: bool) -> None:
    """One that ends amid its events broke off."""
    stream = TypedStream(responses_report_in, is_of_stored=True)
    stream.feed(block)
    stream.close()
    assert stream.done is is_over


def test_a_response_in_the_background_is_content_once_it_is_named() -> None:
    """Before that, another cloud may be asked."""
    stream = TypedStream(responses_report_in, runs_on=True)
    assert stream.feed(event("keepalive", 0)) == b""
    assert not stream.has_content
    assert stream.feed(CREATED) == event("keepalive", 0) + CREATED
    assert stream.has_content
