"""Usage that is to be believed: each line a row and its fault."""

import hashlib
from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.metering import Bounds, Flaw, RequestId, Status, Unit, Used, examine, flaws_of_units, imported_id
from clauseway.metering.endpoints import ENDPOINTS, SUMMED
from clauseway.metering.usage_rules import content_of, fields, is_imported
from clauseway.values import start_of_day_ns

BOUNDS = Bounds(
    products=frozenset({"gpt-5.4", "gpt-5.5"}),
    clouds=frozenset({"azure", "aws"}),
    sellers=frozenset({"openai", "microsoft"}),
    first_ns=start_of_day_ns(date(2023, 1, 23)),
    last_ns=start_of_day_ns(date(2026, 11, 20)),
)
ROW = {
    "source": "meter",
    "id": "1",
    "event_ns": "2026-05-01T12:00:00Z",
    "organisation": "acme",
    "seller": "openai",
    "cloud": "azure",
    "product": "gpt-5.4",
    "input_tokens": 1000,
    "output_tokens": "500",
}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"input_tokens": -1}, "units", "input_tokens is -1, below zero"),
        ({"input_tokens": 10**12}, "input_tokens", "1000000000000 is more than 20,000,000, which is the most that is"),
        ({"input_tokens": 1.5}, "input_tokens", "'1.5' is not a whole number"),
        ({"input_tokens": "many"}, "input_tokens", "'many' is not a whole number"),
        ({"input_tokens": True}, "input_tokens", "True is not a number"),
        ({"cached_input_tokens": 1001}, "units", "the parts of input_tokens sum to 1001, more than its 1000"),
        ({"input_tokens": None, "cached_input_tokens": 5}, "units", "cached_input_tokens reported without input_to"),
        ({"input_tokens": None, "output_tokens": ""}, "units", "none: a complete record says what was used"),
        ({"product": "gpt-9"}, "product", "'gpt-9' is not a known product"),
        ({"product": None}, "product", "missing"),
        ({"cloud": "Azure"}, "cloud", "'Azure' is not a known cloud"),
        ({"seller": "acme"}, "seller", "'acme' is not a known party"),
        ({"organisation": ""}, "organisation", "missing"),
        (
            {"event_ns": "2027-01-01T00:00:00Z"},
            "event_ns",
            "2027-01-01T00:00:00Z lies in the future: the latest that is believed is 2026-11-20",
        ),
        ({"event_ns": "2019-01-01T00:00:00Z"}, "event_ns", "2019-01-01T00:00:00Z lies before the first amendment"),
        ({"event_ns": "yesterday"}, "event_ns", "'yesterday' is not an instant"),
        ({"event_ns": 10**30}, "event_ns", "1000000000000000000000000000000 ns lies in the future"),
        ({"id": None}, "id", "missing: without it a record that comes again would count twice"),
        ({"source": ""}, "source", "missing: without it a record that comes again would count twice"),
        ({"request_id": "req_1"}, "request_id", "'req_1' is not a request id of ours"),
        ({"status": "fine"}, "status", "'fine' is none of complete, interrupted"),
        ({"deployment": "east\n"}, "deployment", "its character 5, U+000A, cannot be seen"),
        ({"attempt": 0}, "attempt", "0 is not between 1 and 1000"),
        ({"streamed": "perhaps"}, "streamed", "'perhaps' is neither true nor false"),
        ({"upstream_id": "x" * 600}, "upstream_id", "600 characters are more than 512"),
        ({"colour": "red"}, "colour", "no such field"),
    ],
)
def test_a_row_that_cannot_be_true_says_field_and_reason(change: dict[str, object], field: str, reason: str) -> None:
    result = examine({**ROW, **change}, BOUNDS)
    assert isinstance(result, tuple)
    [flaw] = result
    assert flaw.field == field
    assert flaw.reason.startswith(reason)


def test_a_reason_says_nothing_twice() -> None:
    assert examine({**ROW, "input_tokens": 1.5}, BOUNDS) == (Flaw("input_tokens", "'1.5' is not a whole number"),)


def test_every_flaw_is_told_at_once() -> None:
    result = examine({"product": "x", "colour": "red"}, BOUNDS)
    assert isinstance(result, tuple)
    assert [flaw.field for flaw in result] == [
        "event_ns",
        "organisation",
        "seller",
        "cloud",
        "product",
        "colour",
        "units",
        "source",
    ]


def test_a_sound_row_is_believed() -> None:
    result = examine(ROW, BOUNDS)
    assert isinstance(result, Used)
    assert (result.status, result.project, result.segment, result.attempt) == (Status.COMPLETE, "default", "any", 1)
    assert result.units == ((Unit.INPUT_TOKENS, 1000), (Unit.OUTPUT_TOKENS, 500))
    assert result.request == imported_id("meter", "1")
    assert is_imported(result.request)
    assert result.event_ns == start_of_day_ns(date(2026, 5, 1)) + 12 * 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-05-01T00:00:00Z", 0),
        ("2026-05-01", 0),
        ("2026-05-01T02:00:00+02:00", 0),
        ("2026-05-01T00:00:00.123456789Z", 123_456_789),
        ("2026-05-01T02:00:00.5+02:00", 500_000_000),
        (str(start_of_day_ns(date(2026, 5, 1)) + 7), 7),
    ],
)
def test_instants_are_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    result = examine({**ROW, "event_ns": text}, BOUNDS)
    assert isinstance(result, Used)
    assert result.event_ns - start_of_day_ns(date(2026, 5, 1)) == nanoseconds


def test_a_row_of_many_requests_may_hold_more() -> None:
    many = {Unit.REQUESTS: 10, Unit.INPUT_TOKENS: 150_000_000}
    assert flaws_of_units(many, 10) == ()
    assert flaws_of_units(many, 1) != ()
    assert flaws_of_units({Unit.INPUT_TOKENS: 10**14}, aggregated=True) == ()
    assert flaws_of_units({Unit.INPUT_TOKENS: 10**16}, aggregated=True)[0].field == "input_tokens"
    assert isinstance(flaws_of_units({Unit.INPUT_TOKENS: -1})[0], Flaw)


SMALL = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20), st.floats(), st.lists(st.text()))


@given(st.dictionaries(st.sampled_from([*fields(), "other"]), SMALL))
def test_whatever_a_row_holds_it_is_believed_or_its_flaws_are_named(row: dict[str, object]) -> None:
    result = examine(row, BOUNDS)
    assert isinstance(result, Used) or (result and all(flaw.field and flaw.reason for flaw in result))


# Few letters, so that two of them are often alike.
TEXT = st.text("a:1\n", max_size=4)


@given(TEXT, TEXT, TEXT, TEXT)
def test_an_imported_id_is_its_source_s_and_never_a_gateway_s(a: str, b: str, c: str, d: str) -> None:
    assert is_imported(imported_id(a, b))
    assert not is_imported(RequestId((1 << 63) - 1, 5))
    assert (imported_id(a, b) == imported_id(c, d)) == ((a, b) == (c, d))


# A field · as somebody writes it → as it is believed.
READ = [
    ("input_tokens", 12, ((Unit.INPUT_TOKENS, 12), (Unit.OUTPUT_TOKENS, 500))),
    ("input_tokens", "12.0", ((Unit.INPUT_TOKENS, 12), (Unit.OUTPUT_TOKENS, 500))),
    ("input_tokens", 12.0, ((Unit.INPUT_TOKENS, 12), (Unit.OUTPUT_TOKENS, 500))),
    ("input_tokens", 20_000_000, ((Unit.INPUT_TOKENS, 20_000_000), (Unit.OUTPUT_TOKENS, 500))),
    ("project", "", "default"),
    ("project", "chat", "chat"),
    ("segment", "", "any"),
    ("segment", "consumers", "consumers"),
    ("key_id", "", ""),
    ("key_id", "k1", "k1"),
    ("attempt", "3", 3),
    ("attempt", 1_000, 1_000),
    ("event_ns", BOUNDS.first_ns, BOUNDS.first_ns),
    ("event_ns", BOUNDS.last_ns, BOUNDS.last_ns),
    ("upstream_id", "x" * 512, "x" * 512),
    ("upstream_id", "", ""),
    ("status", "", Status.COMPLETE),
    ("status", "Failed", Status.FAILED),
    ("status", "2", Status.INTERRUPTED),
    ("status", 2, Status.INTERRUPTED),
    ("terms", ["A1.api", "A2.api"], ("A1.api", "A2.api")),
    ("terms", "A1.api A2.api", ("A1.api", "A2.api")),
    ("terms", "", ()),
    ("receipt", "r" * 65_536, "r" * 65_536),
    ("receipt", 7, "7"),
    ("tier", "", ""),
    ("tier", "flex", "flex"),
    ("streamed", "", False),
    ("streamed", "False", False),
    ("streamed", 0, False),
    ("streamed", "1", True),
    ("streamed", 1, True),
    ("endpoint", 32_767, 32_767),
    ("http_status", 999, 999),
    # Two days, the longest that a batch may take.
    ("duration_us", 172_800_000_000, 172_800_000_000),
    ("first_content_us", 172_800_000_000, 172_800_000_000),
    ("charge_picodollars", 1 << 62, 1 << 62),
    ("recorded_ns", "", 0),
    ("recorded_ns", BOUNDS.last_ns, BOUNDS.last_ns),
]


@pytest.mark.parametrize(("field", "written", "believed"), READ)
def test_how_a_field_is_read(field: str, written: object, believed: object) -> None:
    result = examine({**ROW, field: written}, BOUNDS)
    assert isinstance(result, Used)
    assert getattr(result, "units" if field in UNIT_NAMES else field) == believed


@pytest.mark.parametrize(
    ("written", "code"),
    [("chat", 1), ("responses", 2), ("batches.retrieve", 22), ("summed", 99), ("2", 2), ("2.0", 2), (40, 40)],
)
def test_an_endpoint_is_named_or_told_by_its_code(written: object, code: int) -> None:
    """Price books name endpoints, and an export of ours writes codes."""
    used = examine({**ROW, "endpoint": written}, BOUNDS)
    assert isinstance(used, Used)
    assert used.endpoint == code


UNIT_NAMES = {unit.column for unit in Unit}
# A field · as somebody writes it → why it is refused.
REFUSED = [
    ("input_tokens", 20_000_001, "20000001 is more than 20,000,000, which is the most that is believed"),
    ("input_tokens", float(1 << 53), "it was a binary fraction before it came here, and has lost digits"),
    ("input_tokens", -float(1 << 53), "it was a binary fraction before it came here, and has lost digits"),
    # A text keeps its digits: it is too many tokens, not a broken number.
    ("input_tokens", str(1 << 62), "is more than 20,000,000"),
    ("input_tokens", str(1 << 63), "is not a whole number"),
    ("attempt", 1_001, "1001 is not between 1 and 1000"),
    ("event_ns", BOUNDS.first_ns - 1, "lies before the first amendment"),
    ("event_ns", BOUNDS.last_ns + 1, "lies in the future"),
    ("event_ns", "2026-05-01T00:00:00.Z", "is not an instant"),
    ("event_ns", "2026-05-01T00:00:00.1234567890Z", "is not an instant"),
    ("upstream_id", "x" * 513, "513 characters are more than 512"),
    ("upstream_id", "a\tb", "character"),
    ("upstream_id", True, "it is true or false, not text"),
    ("key_id", ["k1"], "it is a list, not text"),
    ("status", "0", "'0' is none of complete"),
    ("status", "8", "'8' is none of complete"),
    ("terms", {"A1.api": 1}, "it is an object, not a list"),
    ("receipt", "r" * 65_537, "65537 characters are more than 65536"),
    ("receipt", b"r", "it is bytes, not text"),
    ("tier", "slow", "'slow' is none of default, flex, priority, batch, fast"),
    ("streamed", 2, "2 is neither true nor false"),
    ("endpoint", "chats", "'chats' is no endpoint; write its name, as chat, responses, messages or embeddings"),
    ("endpoint", True, "True is not a number"),
    ("endpoint", 32_768, "32768 is not between 0 and 32767"),
    ("endpoint", -1, "-1 is not between 0 and 32767"),
    ("http_status", 1_000, "1000 is not between 0 and 999"),
    ("duration_us", 172_800_000_001, "is not between 0 and 172800000000"),
    ("first_content_us", 172_800_000_001, "is not between 0 and 172800000000"),
    ("charge_picodollars", (1 << 62) + 1, "is not between 0 and 4611686018427387904"),
    ("recorded_ns", BOUNDS.last_ns + 1, "is not a time at which it can have become known"),
    ("recorded_ns", -1, "is not a time at which it can have become known"),
]


@pytest.mark.parametrize(("field", "written", "why"), REFUSED)
def test_why_a_field_is_refused(field: str, written: object, why: str) -> None:
    result = examine({**ROW, field: written}, BOUNDS)
    assert isinstance(result, tuple)
    [flaw] = result
    assert flaw.field == field
    assert why in flaw.reason


NOTHING_USED = {**ROW, "input_tokens": "", "output_tokens": ""}


def test_a_count_that_cannot_be_read_is_no_missing_count() -> None:
    result = examine({**NOTHING_USED, "input_tokens": "many"}, BOUNDS)
    assert isinstance(result, tuple)
    assert [flaw.field for flaw in result] == ["input_tokens"]


@pytest.mark.parametrize(
    ("change", "believed"),
    [
        ({}, False),
        ({"status": 1}, False),
        ({"status": "complete"}, False),
        ({"status": "failed"}, True),
        ({"status": "lost"}, True),
        # A sum of many requests may be of none.
        ({"aggregated": True}, True),
        ({"endpoint": SUMMED}, True),
    ],
)
def test_only_a_complete_record_must_say_what_was_used(change: dict[str, object], believed: bool) -> None:
    assert isinstance(examine({**NOTHING_USED, **change}, BOUNDS), Used) is believed


# How many requests a row sums · the tokens it may hold.
MANY = [
    ({"requests": 10}, 200_000_000),
    ({"requests": 0}, 20_000_000),
    ({"requests": 10**15}, 10**15),
    ({"aggregated": "true"}, 10**15),
    ({"endpoint": SUMMED}, 10**15),
    # A batch reports what all lines of its file used: 50,000 lines of 1,000 tokens are 50,000,000.
    ({"endpoint": ENDPOINTS["batches.retrieve"]}, 10**15),
    ({"endpoint": ENDPOINTS["chat"]}, 20_000_000),
    ({"aggregated": "false"}, 20_000_000),
]


@pytest.mark.parametrize(("said", "most"), MANY)
def test_how_many_tokens_a_row_may_hold(said: dict[str, object], most: int) -> None:
    sound = examine({**ROW, **said, "input_tokens": most}, BOUNDS)
    assert isinstance(sound, Used)
    assert (Unit.INPUT_TOKENS, most) in sound.units
    # Whoever does not say how many requests a row sums, its mark is kept beside it.
    assert sound.endpoint == said.get("endpoint", SUMMED if said.get("aggregated") == "true" else 0)
    [flaw] = examine({**ROW, **said, "input_tokens": most + 1}, BOUNDS)  # type: ignore[misc]
    assert flaw.reason == f"{most + 1} is more than {most:,}, which is the most that is believed"


def test_a_request_may_hold_as_much_sound_as_its_body() -> None:
    """50 MB at 2 kbit/s are 200,000 seconds."""
    assert flaws_of_units({Unit.AUDIO_INPUT_MILLISECONDS: 200_000_000}) == ()
    [flaw] = flaws_of_units({Unit.AUDIO_INPUT_MILLISECONDS: 200_000_001})
    assert flaw.reason == "200000001 is more than 200,000,000, which is the most that is believed"


def test_requests_themselves_have_a_most() -> None:
    assert flaws_of_units({Unit.REQUESTS: 10**15}) == ()
    assert [flaw.field for flaw in flaws_of_units({Unit.REQUESTS: 10**15 + 1})] == ["requests"]


def test_a_request_of_ours_needs_no_source() -> None:
    row = {name: value for name, value in ROW.items() if name not in ("source", "id")}
    request = RequestId(5, 7)
    result = examine({**row, "request_id": str(request)}, BOUNDS)
    assert isinstance(result, Used)
    assert result.request == request
    assert not is_imported(request)
    # A source and an id beside our own id name nothing anew.
    again = examine({**ROW, "request_id": str(request)}, BOUNDS)
    assert isinstance(again, Used)
    assert again.request == request


def test_a_flaw_of_an_id_is_told_once() -> None:
    [flaw] = examine({**ROW, "id": "x" * 513}, BOUNDS)  # type: ignore[misc]
    assert (flaw.field, flaw.reason) == ("id", "513 characters are more than 512")
    [flaw] = examine({**ROW, "source": "x" * 513}, BOUNDS)  # type: ignore[misc]
    assert flaw.field == "source"


def test_an_import_of_years_ago_is_known_again() -> None:
    """Records of earlier imports lie in books under these ids and contents."""
    assert str(imported_id("meter", "1")) == "req_86bc67c18d6cd401af4421e624989335"
    result = examine({**ROW, "recorded_ns": 5}, BOUNDS)
    assert isinstance(result, Used)
    content = content_of(result)
    assert content == content_of(msgspec.structs.replace(result, recorded_ns=6))
    assert content != content_of(msgspec.structs.replace(result, attempt=2))
    assert content == content_of(msgspec.structs.replace(result, endpoint=SUMMED))
    assert content != content_of(msgspec.structs.replace(result, endpoint=SUMMED + 1))
    assert hashlib.sha256(content).hexdigest() == "c58dd99690273e377aac6f9b991e63756fcf93619faac0d4186ea3621b54ec7b"
