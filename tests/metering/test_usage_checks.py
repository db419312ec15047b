"""What usage must be to be believed: each line a row and what is wrong with it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.metering import Bounds, Flaw, RequestId, Status, Unit, Used, examine, flaws_of_units, imported_id
from clauseway.metering.checks import fields, is_imported
from clauseway.values import start_of_day_ns

BOUNDS = Bounds(
    products=frozenset({"gpt-5.4", "gpt-5.5"}),
    clouds=frozenset({"azure", "aws"}),
    sellers=frozenset({"openai", "microsoft"}),
    first_ns=start_of_day_ns(date(2023, 1, 23)),
    last_ns=start_of_day_ns(date(2026, 11, 20)),
)
ROW = {
    "source": "meter", "id": "1", "event_ns": "2026-05-01T12:00:00Z", "organisation": "acme", "seller": "openai",
    "cloud": "azure", "product": "gpt-5.4", "input_tokens": 1000, "output_tokens": "500",
}  # fmt: skip


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
        ({"event_ns": "2027-01-01T00:00:00Z"}, "event_ns", "2027-01-01T00:00:00Z lies in the future: it is 2026-11-20"),
        ({"event_ns": "2019-01-01T00:00:00Z"}, "event_ns", "2019-01-01T00:00:00Z lies before the first amendment"),
        ({"event_ns": "yesterday"}, "event_ns", "'yesterday' is not an instant"),
        ({"event_ns": 10**30}, "event_ns", "1000000000000000000000000000000 ns lies in the future"),
        ({"id": None}, "id", "missing: without it a record that comes again would count twice"),
        ({"source": ""}, "source", "missing: without it a record that comes again would count twice"),
        ({"request_id": "req_1"}, "request_id", "'req_1' is not a request id of ours"),
        ({"status": "fine"}, "status", "'fine' is none of complete, interrupted"),
        ({"attempt": 0}, "attempt", "0 is not between 1 and 1000"),
        ({"streamed": "perhaps"}, "streamed", "'perhaps' is neither true nor false"),
        ({"upstream_id": "x" * 600}, "upstream_id", "600 characters are more than 512"),
        ({"colour": "red"}, "colour", "no such field"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_true_says_field_and_reason(change: dict[str, object], field: str, reason: str) -> None:
    found = examine({**ROW, **change}, BOUNDS)
    assert isinstance(found, tuple)
    [flaw] = found
    assert flaw.field == field
    assert flaw.reason.startswith(reason)


def test_every_flaw_is_told_at_once() -> None:
    found = examine({"product": "x", "colour": "red"}, BOUNDS)
    assert isinstance(found, tuple)
    assert [flaw.field for flaw in found] == [
        "event_ns", "organisation", "seller", "cloud", "product", "colour", "units", "source",
    ]  # fmt: skip


def test_a_sound_row_is_believed() -> None:
    found = examine(ROW, BOUNDS)
    assert isinstance(found, Used)
    assert (found.status, found.project, found.segment, found.attempt) == (Status.COMPLETE, "default", "any", 1)
    assert found.units == ((Unit.INPUT_TOKENS, 1000), (Unit.OUTPUT_TOKENS, 500))
    assert found.request == imported_id("meter", "1")
    assert is_imported(found.request)
    assert found.event_ns == start_of_day_ns(date(2026, 5, 1)) + 12 * 3600 * 10**9


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
    found = examine({**ROW, "event_ns": text}, BOUNDS)
    assert isinstance(found, Used)
    assert found.event_ns - start_of_day_ns(date(2026, 5, 1)) == nanoseconds


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
    found = examine(row, BOUNDS)
    assert isinstance(found, Used) or (found and all(flaw.field and flaw.reason for flaw in found))


# Few letters, so that two of them are often alike.
TEXT = st.text("a:1\n", max_size=4)


@given(TEXT, TEXT, TEXT, TEXT)
def test_an_imported_id_is_its_source_s_and_never_a_gateway_s(a: str, b: str, c: str, d: str) -> None:
    assert is_imported(imported_id(a, b))
    assert not is_imported(RequestId((1 << 63) - 1, 5))
    assert (imported_id(a, b) == imported_id(c, d)) == ((a, b) == (c, d))
