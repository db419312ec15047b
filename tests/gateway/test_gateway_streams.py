"""Event streams cut anywhere: what goes on, what is held, what is taken out."""

import itertools
import json

import pytest
from gateway_rig import DONE_EVENT, USAGE, USAGE_EVENT, chunk_event, content_events
from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.clouds.reported_units import units_of
from clauseway.gateway.wire.sse import BadStream, data_of, events_in
from clauseway.gateway.wire.streams import EventStream
from clauseway.metering import Unit

WITH_USAGE = b"".join(content_events(with_nulls=True)) + USAGE_EVENT
WITHOUT_USAGE = b"".join(content_events(with_nulls=False))
PREAMBLE = chunk_event([], prompt_filter_results=[{"prompt_index": 0}], usage=None)


def fed(stream: EventStream, data: bytes, cuts: list[int]) -> bytes:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return b"".join(stream.feed(data[begin:end]) for begin, end in itertools.pairwise(bounds))


cuts = st.lists(st.integers(0, 100_000), max_size=12)


@given(cuts)
def test_a_caller_who_asked_gets_every_byte_but_done(cut_at: list[int]) -> None:
    stream = EventStream(strip_usage=False)
    assert fed(stream, WITH_USAGE + DONE_EVENT, cut_at) == WITH_USAGE
    assert stream.done
    assert stream.has_content
    assert stream.usage is not None
    assert dict(units_of(stream.usage) or ())[Unit.CACHED_INPUT_TOKENS] == 4


@given(cuts, st.booleans())
def test_a_byte_order_mark_hides_no_event(cut_at: list[int], strips: bool) -> None:
    stream = EventStream(strip_usage=strips)
    out = fed(stream, b"\xef\xbb\xbf" + WITH_USAGE + DONE_EVENT, cut_at)
    assert out == (WITHOUT_USAGE if strips else WITH_USAGE)
    assert stream.done


@given(cuts)
def test_a_caller_who_did_not_ask_gets_what_the_cloud_would_have_sent(cut_at: list[int]) -> None:
    stream = EventStream(strip_usage=True)
    assert fed(stream, WITH_USAGE + DONE_EVENT, cut_at) == WITHOUT_USAGE
    assert stream.done
    assert stream.usage is not None
    assert stream.usage.completion_tokens == USAGE["completion_tokens"]


@given(cuts)
def test_other_spellings_of_the_same_are_taken_out_too(cut_at: list[int]) -> None:
    spaced = b"".join(
        b"data: " + json.dumps(json.loads(event[6:])).encode() + b"\n\n"
        for event in (*content_events(with_nulls=True), USAGE_EVENT)
    )
    first = b'data: {"usage":null,"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    stream = EventStream(strip_usage=True)
    out = fed(stream, first + spaced + DONE_EVENT, cut_at)
    assert b"usage" not in out
    assert stream.usage is not None
    assert out.count(b"data: ") == 1 + WITHOUT_USAGE.count(b"data: ")


def written(events: list[bytes], comma: str, colon: str) -> bytes:
    """Events with other white space between their names and values."""
    spelled = [json.dumps(json.loads(event[6:]), separators=(comma, colon)).encode() for event in events]
    return b"".join(b"data: %b\n\n" % event for event in spelled)


SPELLINGS = [(",", ":"), (", ", ": "), (",", " :"), (" , ", " : "), (",\t", "\t:\t"), (",  ", ":  ")]


@pytest.mark.parametrize(("comma", "colon"), SPELLINGS)
@pytest.mark.parametrize("strips", [False, True])
@given(cuts)
def test_a_finish_reason_and_usage_are_read_whatever_white_space_is_there(
    strips: bool, comma: str, colon: str, cut_at: list[int]
) -> None:
    content = content_events(with_nulls=True)
    stream = EventStream(strip_usage=strips)
    out = fed(stream, written([*content, USAGE_EVENT], comma, colon), cut_at) + stream.close()
    assert stream.done, "it ends without [DONE], after a finish reason"
    assert stream.usage is not None
    assert stream.usage.completion_tokens == USAGE["completion_tokens"]
    if not strips:
        assert out == written([*content, USAGE_EVENT], comma, colon)
        return
    events = [json.loads(event[6:]) for event in out.decode().split("\n\n")[:-1]]
    assert events == [json.loads(event[6:]) for event in content_events(with_nulls=False)]


# Beside the chunk's own, which goes, or alone: the members of its last event.
NESTED: list[tuple[dict[str, object], dict[str, object]]] = [
    ({"x_groq": {"id": "req_1", "usage": None}}, {"x_groq": {"id": "req_1", "usage": None}}),
    ({"x_groq": {"usage": None, "id": "req_1"}}, {"x_groq": {"usage": None, "id": "req_1"}}),
    ({"x_groq": {"id": "req_1", "usage": None}, "usage": None}, {"x_groq": {"id": "req_1", "usage": None}}),
    ({"usage": None, "x_groq": {"id": "req_1", "usage": None}}, {"x_groq": {"id": "req_1", "usage": None}}),
    ({"usage": None, "obfuscation": "aB3"}, {"obfuscation": "aB3"}),
    ({"usage": None, "obfuscation": "aB3", "p": 1.5e-3}, {"obfuscation": "aB3", "p": 1.5e-3}),
    ({"usage": None, "timings": {"n": 1}}, {"timings": {"n": 1}}),
]


@pytest.mark.parametrize(("members", "left"), NESTED)
@pytest.mark.parametrize("line", [b"\n", b"\r\n"])
def test_a_usage_that_is_not_the_chunks_own_stays(
    members: dict[str, object], left: dict[str, object], line: bytes
) -> None:
    choices: list[object] = [{"index": 0, "delta": {"content": "x", "tool": {"name": "f", "usage": None}}}]
    stream = EventStream(strip_usage=True)
    expected = chunk_event(choices, **left)
    assert stream.feed(chunk_event(choices, **members).replace(b"\n", line)).splitlines() == expected.splitlines()
    assert stream.feed(DONE_EVENT) == b""


@pytest.mark.parametrize(("strips", "passed"), [(False, WITH_USAGE[:-2]), (True, WITHOUT_USAGE)])
@given(cuts)
def test_a_report_whose_empty_line_never_came_counts(strips: bool, passed: bytes, cut_at: list[int]) -> None:
    """The last event of a server that sends no `[DONE]`, and closes."""
    stream = EventStream(strip_usage=strips)
    assert fed(stream, WITH_USAGE[:-2], cut_at) + stream.close() == passed
    assert stream.done
    assert stream.usage is not None
    assert stream.usage.completion_tokens == USAGE["completion_tokens"]


# The last line of a server without `[DONE]`, without an empty line → is the stream whole?
LAST_LINES = {
    ": bye": True,
    ": bye\n": True,
    ":\r\n: bye\r\n": True,
    "event: bye": False,
    "data: {": False,
    "da": False,
}


@pytest.mark.parametrize(("lines", "is_whole"), LAST_LINES.items())
@pytest.mark.parametrize("strip_usage", [False, True])
def test_comments_may_be_the_last_lines(lines: str, is_whole: bool, strip_usage: bool) -> None:
    stream = EventStream(strip_usage=strip_usage)
    begun = stream.feed(WITHOUT_USAGE + lines.encode())
    assert begun == WITHOUT_USAGE
    assert stream.close() == (lines.encode() if is_whole else b"")
    assert stream.done is is_whole


def test_text_that_looks_like_usage_stays() -> None:
    event = chunk_event([{"index": 0, "delta": {"content": '","usage":null,"choices":[]'}}])
    again = chunk_event([{"index": 0, "delta": {"content": "usage"}}])
    stream = EventStream(strip_usage=True)
    assert stream.feed(event + again + DONE_EVENT) == event + again
    assert stream.usage is None


def test_nothing_goes_out_before_content() -> None:
    stream = EventStream(strip_usage=False)
    role = content_events(with_nulls=False)[0]
    assert stream.feed(PREAMBLE) == b""
    assert stream.feed(role) == b""
    assert not stream.has_content
    word = content_events(with_nulls=False)[1]
    assert stream.feed(word) == PREAMBLE + role + word
    assert stream.has_content


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"reasoning_content": "hm"},
        {"audio": {"data": "AAAA"}},
    ],
)
def test_content_is_whatever_a_delta_says_besides_its_role(delta: dict[str, object]) -> None:
    stream = EventStream(strip_usage=False)
    assert stream.feed(chunk_event([{"index": 0, "delta": {"role": "assistant", **delta}}]))
    assert stream.has_content


# The usage beside content → how it is counted; None: it is no report.
REPORTS: list[tuple[str, object, dict[Unit, int] | None]] = [
    ("whole", {"prompt_tokens": 21, "completion_tokens": 8}, {Unit.INPUT_TOKENS: 21, Unit.OUTPUT_TOKENS: 8}),
    (
        "written as 21.0",
        {"prompt_tokens": 21.0, "completion_tokens": 8.0},
        {Unit.INPUT_TOKENS: 21, Unit.OUTPUT_TOKENS: 8},
    ),
    ("no output yet", {"prompt_tokens": 21, "completion_tokens": None}, {Unit.INPUT_TOKENS: 21, Unit.OUTPUT_TOKENS: 0}),
    ("a fraction", {"prompt_tokens": 21, "completion_tokens": 8.5}, None),
    ("negative", {"prompt_tokens": -1, "completion_tokens": 0}, None),
    ("the input alone", {"prompt_tokens": 21}, None),
    ("empty", {}, None),
    ("a word", "none", None),
]


@pytest.mark.parametrize(("usage", "units"), [case[1:] for case in REPORTS], ids=[case[0] for case in REPORTS])
@pytest.mark.parametrize("strips", [False, True])
def test_content_goes_on_whatever_stands_in_the_usage_beside_it(
    strips: bool, usage: object, units: dict[Unit, int] | None
) -> None:
    stream = EventStream(strip_usage=strips)
    event = chunk_event([{"index": 0, "delta": {"content": "x"}, "finish_reason": None}], usage=usage)
    assert stream.feed(event) == event
    assert stream.has_content
    assert (None if stream.units is None else dict(stream.units)) == units


# The finish reasons of two choices, as they are written → one of them has ended.
FINISHES: list[tuple[str, str, bool]] = [
    (':"stop"', ":null", True),
    (':""', ':"stop"', True),
    (':"stop"', ':""', True),
    (' : "stop"', ':""', True),
    (':""', ':""', False),
    (': ""', ":null", False),
    (":null", ":null", False),
]


@pytest.mark.parametrize(("first", "second", "is_finished"), FINISHES)
def test_an_empty_finish_reason_finishes_nothing(first: str, second: str, is_finished: bool) -> None:
    """A stream without `[DONE]` that is closed is whole only after a finish reason."""
    choices = ",".join('{"delta":{"content":"a"},"finish_reason"' + reason + "}" for reason in (first, second))
    stream = EventStream(strip_usage=False)
    assert stream.feed(b'data: {"choices":[%b]}\n\n' % choices.encode()) + stream.close()
    assert stream.done is is_finished


def test_an_empty_finish_reason_is_no_content() -> None:
    stream = EventStream(strip_usage=False)
    assert stream.feed(chunk_event([{"index": 0, "delta": {"role": "assistant"}, "finish_reason": ""}])) == b""
    assert not stream.has_content


# The bytes of a stream → the number of events that estimates count.
COUNTED: list[tuple[bytes, int]] = [
    (b"", 0),
    (b": keep-alive\n\n" * 3, 0),
    (WITHOUT_USAGE, 8),
    (WITHOUT_USAGE.replace(b"\n", b"\r\n"), 8),
    (WITHOUT_USAGE.replace(b"data:", b": a comment\ndata:"), 8),
    (WITHOUT_USAGE.replace(b"data:", b"id: 7\ndata:"), 8),
    (WITHOUT_USAGE.replace(b"data:", b": keep-alive\n\ndata:"), 8),
    (chunk_event([{"index": 0, "delta": {"content": "\n\ndata: x\n\ndata: y"}}]), 1),
]


@pytest.mark.parametrize(("data", "count"), COUNTED)
@given(cuts)
def test_comments_are_no_tokens(data: bytes, count: int, cut_at: list[int]) -> None:
    stream = EventStream(strip_usage=False)
    fed(stream, data, cut_at)
    assert stream.events == count


@pytest.mark.parametrize("strips", [False, True])
def test_a_character_in_two_halves_is_content(strips: bool) -> None:
    """The second chunk has the finish reason, and the stream's usage too."""
    first = rb'data: {"choices":[{"index":0,"delta":{"content":"\ud83d"}}]}' + b"\n\n"
    second = rb'data: {"choices":[{"index":0,"delta":{"content":"\ude00"},"finish_reason":"stop"}],"usage":{'
    second += b'"prompt_tokens":21,"completion_tokens":8}}'
    stream = EventStream(strip_usage=strips)
    assert stream.feed(first) == first
    assert stream.feed(second) + stream.close() == second
    assert stream.done
    assert dict(stream.units or ()) == {Unit.INPUT_TOKENS: 21, Unit.OUTPUT_TOKENS: 8}


@pytest.mark.parametrize("nothing", [None, "", False, {}])
def test_an_error_that_says_nothing_is_none(nothing: object) -> None:
    event = chunk_event([{"index": 0, "delta": {"content": "x"}}], error=nothing)
    stream = EventStream(strip_usage=False)
    assert (stream.feed(event), stream.failed) == (event, False)


def test_an_error_before_content_is_a_failure_and_after_it_is_passed_on() -> None:
    error = b'data: {"error":{"message":"no_capacity"}}\n\n'
    early = EventStream(strip_usage=False)
    assert early.feed(PREAMBLE + error + DONE_EVENT) == b""
    assert early.failed
    assert not early.has_content
    late = EventStream(strip_usage=False)
    content = content_events(with_nulls=False)[1]
    late.feed(content)
    assert late.feed(error) == error
    assert late.failed
    # However much is read at once.
    both = EventStream(strip_usage=False)
    assert both.feed(PREAMBLE + content + error) == PREAMBLE + content + error
    assert both.failed
    assert both.has_content


FINISH = content_events(with_nulls=False)[-1]
# Before an error behind content → whether the answer was over.
BEFORE_AN_ERROR: list[tuple[bytes, bool]] = [
    (FINISH, True),
    (b"", False),
    (chunk_event([{"index": 0, "delta": {}, "finish_reason": None}]), False),
]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(("before", "is_over"), BEFORE_AN_ERROR)
def test_an_error_behind_the_finish_reason_breaks_nothing(before: bytes, is_over: bool, at_once: bool) -> None:
    """As OpenRouter says why the answer ended there, and sends `[DONE]`; its errors may have a finish reason too."""
    error = chunk_event([{"index": 0, "delta": {}, "finish_reason": "error"}], error={"code": 400, "message": "limit"})
    pieces = [content_events(with_nulls=False)[1], before, error, DONE_EVENT]
    stream = EventStream(strip_usage=False)
    passed = b"".join(stream.feed(piece) for piece in ([b"".join(pieces)] if at_once else pieces))
    assert passed + stream.last == b"".join(pieces)
    assert stream.failed is not is_over


# (the end of a line, the empty line behind an event): each that the format allows (HTML standard, 9.2.5).
LINE_ENDS = [(b"\r\n", b"\r\n"), (b"\r", b"\r"), (b"\n", b"\r\n"), (b"\r\n", b"\n")]


def ended(data: bytes, line: bytes, empty: bytes) -> bytes:
    """Events whose lines end otherwise."""
    return b"".join([event.replace(b"\n", line) + line + empty for event in data.split(b"\n\n")[:-1]])


@pytest.mark.parametrize(("line", "empty"), LINE_ENDS)
@given(cuts)
def test_lines_that_end_otherwise(line: bytes, empty: bytes, cut_at: list[int]) -> None:
    stream = EventStream(strip_usage=False)
    assert fed(stream, ended(WITH_USAGE + DONE_EVENT, line, empty), cut_at) == ended(WITH_USAGE, line, empty)
    assert (stream.done, stream.last) == (True, ended(DONE_EVENT, line, empty))
    assert stream.usage is not None


@pytest.mark.parametrize(("line", "empty"), LINE_ENDS)
@given(cuts)
def test_usage_goes_from_lines_that_end_otherwise(line: bytes, empty: bytes, cut_at: list[int]) -> None:
    stream = EventStream(strip_usage=True)
    out = fed(stream, ended(WITH_USAGE + DONE_EVENT, line, empty), cut_at)
    assert [data_of(event) for event in events_in(out)] == [data_of(event) for event in events_in(WITHOUT_USAGE)]
    assert stream.usage is not None


@pytest.mark.parametrize(("line", "empty"), LINE_ENDS)
def test_events_are_counted_however_their_lines_end(line: bytes, empty: bytes) -> None:
    stream = EventStream(strip_usage=False)
    stream.feed(ended(b": still here\n\n" + WITHOUT_USAGE, line, empty))
    assert stream.events == len(content_events(with_nulls=False))


@pytest.mark.parametrize("before", [b"", b"id: 7\n", b"event: chunk\nretry: 3000\n"])
@given(cuts)
def test_data_of_several_lines_stays_data(before: bytes, cut_at: list[int]) -> None:
    """Without its usage an event is written anew: on one line, behind its other lines."""
    events = [json.dumps(json.loads(event[6:]), indent=1).encode() for event in content_events(with_nulls=True)]
    lines = b"".join([before + b"data: " + event.replace(b"\n", b"\ndata: ") + b"\n\n" for event in events])
    stream = EventStream(strip_usage=True)
    out = list(events_in(fed(stream, lines + DONE_EVENT, cut_at)))
    assert [json.loads(data_of(event)) for event in out] == [
        json.loads(event[6:]) for event in content_events(with_nulls=False)
    ]
    assert all(event.startswith(before + b"data: ") for event in out)


@pytest.mark.parametrize("strips", [False, True])
@pytest.mark.parametrize("end", [DONE_EVENT, b"data:[DONE]\r\n\r\n"])
@given(cuts)
def test_usage_behind_the_end_counts(strips: bool, end: bytes, cut_at: list[int]) -> None:
    stream = EventStream(strip_usage=strips)
    assert fed(stream, WITHOUT_USAGE + end + USAGE_EVENT, cut_at) + stream.close() == WITHOUT_USAGE
    assert stream.last == (end if strips else end + USAGE_EVENT)
    assert stream.usage is not None
    assert stream.usage.completion_tokens == USAGE["completion_tokens"]


def test_an_endless_event_is_refused() -> None:
    stream = EventStream(strip_usage=False)
    assert stream.feed(b"x" * (4 << 20)) == b""
    with pytest.raises(BadStream, match="longer than"):
        stream.feed(b"x")


# An event → its data: the values of its `data:` lines.
DATA = [
    (b"data: {}\n\n", b"{}"),
    (b"data:{}\n\n", b"{}"),
    (b"data:  {} \n\n", b"{}"),
    (b"data:\n\n", b""),
    (b"data: {}\r\n\r\n", b"{}"),
    (b"data: {}", b"{}"),
    (b"data: {}\n", b"{}"),
    (b"data: {}\r\n", b"{}"),
    (b"data: {\ndata: }\n\n", b"{\n}"),
    (b"data: {\rdata: }\n\n", b"{\n}"),
    (b"data: {\r\ndata: }\r\n\r\n", b"{\n}"),
    (b"event: done\ndata: {}\n\n", b"{}"),
    (b"data: {}\nid: 7\n\n", b"{}"),
    (b": still here\n\n", b""),
    (b"database: {}\n\n", b""),
    (b"\n\n", b""),
    (b"", b""),
]


@pytest.mark.parametrize(("event", "data"), DATA, ids=[repr(event) for event, _ in DATA])
def test_the_data_of_an_event(event: bytes, data: bytes) -> None:
    assert data_of(event) == data


@given(
    st.lists(st.sampled_from([b"data:", b"data", b" ", b"x", b"{}", b"\n", b"\r", b"\r\n", b"\n\n", b":"]), max_size=9)
)
def test_a_comment_before_an_event_changes_no_data(pieces: list[bytes]) -> None:
    event = b"".join(pieces)
    assert data_of(event) == data_of(b": still here\n" + event)
