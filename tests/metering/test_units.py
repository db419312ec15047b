"""Codes that books on disk already hold, and units of which no token is counted twice or dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.metering import RequestId, Status, Unit, billable, problems_of, request_ids_of
from clauseway.metering.endpoints import ENDPOINT_NAMES, TIERS, has_length, tier_of
from clauseway.metering.units import CONTAINED_IN, WHOLES

# A journal or a lake of last year is read by these. A new one takes the next free code; none is ever given anew.
CODES_OF_UNITS = {
    1: "requests",
    2: "input_tokens",
    3: "cached_input_tokens",
    4: "cache_write_tokens",
    5: "audio_input_tokens",
    6: "output_tokens",
    7: "reasoning_tokens",
    8: "audio_output_tokens",
    9: "accepted_prediction_tokens",
    10: "rejected_prediction_tokens",
    11: "image_input_tokens",
    12: "image_output_tokens",
    13: "audio_input_milliseconds",
    14: "cache_write_1h_tokens",
    15: "web_searches",
    16: "image_tool_input_tokens",
    17: "image_tool_image_input_tokens",
    18: "image_tool_output_tokens",
    19: "image_tool_image_output_tokens",
}
CODES_OF_STATUSES = {
    1: "complete",
    2: "interrupted",
    3: "estimated",
    4: "failed",
    5: "lost",
    6: "quarantined",
    7: "interrupted_estimated",
}
CODES_OF_ENDPOINTS = {
    1: "chat",
    2: "responses",
    3: "responses.retrieve",
    4: "responses.delete",
    5: "responses.cancel",
    6: "responses.input_items",
    7: "embeddings",
    8: "images.generations",
    9: "images.edits",
    10: "images.variations",
    11: "audio.speech",
    12: "audio.transcriptions",
    13: "audio.translations",
    14: "moderations",
    15: "files.create",
    16: "files.list",
    17: "files.retrieve",
    18: "files.delete",
    19: "files.content",
    20: "batches.create",
    21: "batches.list",
    22: "batches.retrieve",
    23: "batches.cancel",
    24: "responses.input_tokens",
    25: "responses.compact",
    26: "conversations.create",
    27: "conversations.retrieve",
    28: "conversations.update",
    29: "conversations.delete",
    30: "conversations.items.create",
    31: "conversations.items.list",
    32: "conversations.items.retrieve",
    33: "conversations.items.delete",
    34: "completions",
    35: "chat.list",
    36: "chat.retrieve",
    37: "chat.messages",
    38: "chat.update",
    39: "chat.delete",
    40: "messages",
    41: "messages.count_tokens",
    99: "summed",
}
CODES_OF_TIERS = {0: "", 1: "default", 2: "flex", 3: "priority", 4: "batch", 5: "fast", 6: "ultrafast"}


@pytest.mark.parametrize(
    ("what", "now", "kept"),
    [
        ("units", {unit.value: unit.column for unit in Unit}, CODES_OF_UNITS),
        ("statuses", {status.value: status.name.lower() for status in Status}, CODES_OF_STATUSES),
        ("endpoints", dict(ENDPOINT_NAMES), CODES_OF_ENDPOINTS),
        ("tiers", dict(enumerate(TIERS)), CODES_OF_TIERS),
    ],
)
def test_a_code_on_disk_keeps_its_meaning(what: str, now: dict[int, str], kept: dict[int, str]) -> None:
    assert {code: now.get(code) for code in kept} == kept, what


# A cloud's report → what of it cannot be.
IMPOSSIBLE = [
    ("input_tokens 10, output_tokens 0", []),
    ("input_tokens 10, cached_input_tokens 4, cache_write_tokens 6", []),
    (
        "input_tokens 10, cached_input_tokens 4, cache_write_tokens 7",
        ["the parts of input_tokens sum to 11, more than its 10"],
    ),
    # Tokens kept for an hour are a part of those written, not a further part of the input.
    ("input_tokens 10, cache_write_tokens 10, cache_write_1h_tokens 10", []),
    (
        "input_tokens 10, cache_write_tokens 6, cache_write_1h_tokens 7",
        ["the parts of cache_write_tokens sum to 7, more than its 6"],
    ),
    (
        "output_tokens 5, cached_input_tokens 1, audio_input_tokens 0",
        ["cached_input_tokens, audio_input_tokens reported without input_tokens"],
    ),
    # Nothing of a whole that was not reported contradicts nothing.
    ("output_tokens 5, cached_input_tokens 0", []),
    ("input_tokens -1", ["input_tokens is -1, below zero"]),
    # One mistake is told once: a whole below zero has no parts here.
    ("input_tokens -1, output_tokens 5, reasoning_tokens 5", ["input_tokens is -1, below zero"]),
    (
        "input_tokens 5, cached_input_tokens 6, output_tokens 5, reasoning_tokens 6",
        ["the parts of input_tokens sum to 6, more than its 5", "the parts of output_tokens sum to 6, more than its 5"],
    ),
]


def units(text: str) -> dict[Unit, int]:
    pairs = (each.split() for each in text.split(", "))
    return {Unit[name.upper()]: int(count) for name, count in pairs}


@pytest.mark.parametrize(("report", "problems"), IMPOSSIBLE)
def test_what_of_a_report_cannot_be(report: str, problems: list[str]) -> None:
    assert problems_of(units(report)) == problems


# A report · the units with a price · what is charged: every token once.
CHARGED = [
    ("input_tokens 10, cached_input_tokens 4", "input_tokens", "input_tokens 10"),
    (
        "input_tokens 10, cached_input_tokens 4",
        "input_tokens cached_input_tokens",
        "input_tokens 6, cached_input_tokens 4",
    ),
    # A whole without a price stays, so that the price table can refuse it; a request may cost nothing.
    ("input_tokens 10, output_tokens 3, requests 1", "input_tokens", "input_tokens 10, output_tokens 3"),
    ("requests 2, input_tokens 10", "requests input_tokens", "requests 2, input_tokens 10"),
    # Written for an hour: taken out of what was written where that has a price, else out of the input.
    (
        "input_tokens 10, cache_write_tokens 6, cache_write_1h_tokens 4",
        "input_tokens cache_write_tokens cache_write_1h_tokens",
        "input_tokens 4, cache_write_tokens 2, cache_write_1h_tokens 4",
    ),
    (
        "input_tokens 10, cache_write_tokens 6, cache_write_1h_tokens 4",
        "input_tokens cache_write_1h_tokens",
        "input_tokens 6, cache_write_1h_tokens 4",
    ),
    (
        "input_tokens 10, cache_write_tokens 6, cache_write_1h_tokens 4",
        "input_tokens cache_write_tokens",
        "input_tokens 4, cache_write_tokens 6",
    ),
]


@pytest.mark.parametrize(("report", "priced", "charged"), CHARGED)
def test_each_token_is_charged_once(report: str, priced: str, charged: str) -> None:
    assert billable(units(report), frozenset(Unit[name.upper()] for name in priced.split())) == units(charged)


@given(
    st.fixed_dictionaries(
        {Unit.INPUT_TOKENS: st.just(100), Unit.OUTPUT_TOKENS: st.just(100)},
        optional={part: st.integers(0, 20) for part in CONTAINED_IN},
    ).filter(lambda report: not problems_of(report)),
    st.frozensets(st.sampled_from(sorted(CONTAINED_IN))),
)
def test_whatever_has_a_price_no_token_is_dropped(report: dict[Unit, int], priced: frozenset[Unit]) -> None:
    quantities = billable(report, priced | WHOLES)
    assert sum(quantities.values()) == 200
    assert min(quantities.values()) >= 0


# The operation · the tier that the cloud reported → the tier it is charged in, and whether its length is known.
LENGTHS = [
    ("chat", "", "default", True),
    ("chat", "flex", "flex", True),
    ("batches.create", "", "batch", False),
    ("batches.create", "priority", "priority", False),
]


@pytest.mark.parametrize(("operation", "reported", "tier", "known"), LENGTHS)
def test_in_which_tier_a_record_is_charged(operation: str, reported: str, tier: str, known: bool) -> None:
    codes = {name: code for code, name in ENDPOINT_NAMES.items()}
    assert tier_of(codes[operation], reported) == tier
    assert has_length(operation) is known


def test_only_a_single_request_has_a_length() -> None:
    assert [has_length("chat", requests) for requests in (0, 1, 2)] == [True, True, False]
    assert not has_length("summed")


U64 = st.integers(0, (1 << 64) - 1)


@given(U64, U64)
def test_a_request_s_id_is_read_as_it_was_written(boot: int, number: int) -> None:
    request = RequestId(boot, number)
    assert str(request) == f"req_{boot:016x}{number:016x}"
    assert RequestId.parse(str(request)) == request


@given(U64, U64, U64)
def test_the_ids_of_a_start_are_a_range(boot: int, of_request: int, number: int) -> None:
    first, last = request_ids_of(f"{boot:016x}")
    assert (first <= str(RequestId(of_request, number)) <= last) == (of_request == boot)
    assert first <= str(RequestId(boot, number)) <= last


NO_IDS = [
    *("", "req_", "req_1", "chat" + "0" * 32, "req_" + "0" * 31, "req_" + "0" * 33),
    # Texts that Python reads as a number all the same.
    *("req_-" + "0" * 31, "req_" + "0" * 16 + "+" + "0" * 15, "req_ " + "0" * 31),
    *("req_0_" + "0" * 30, "req_" + "٣" * 32),
    "req_" + "0" * 32 + "\n",
]


@pytest.mark.parametrize("text", NO_IDS)
def test_another_system_s_id_is_no_id_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match="is not a request id"):
        RequestId.parse(text)
