"""The trace and the plan in literal sums, counted from the file without the product."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.sandbox.traffic.traffic import BEGIN_NS, END_NS, SELLERS, plan, prompt_text
from clauseway.sandbox.traffic.traffic_trace import HEADER, TraceRequest, parse_trace, read_sample
from clauseway.values import DAY_NS, InvalidInput


def test_the_sample_in_sums() -> None:
    sample = read_sample()
    assert len(sample) == 4_842
    assert sum(request.context_tokens for request in sample) == 5_560_888
    assert sum(request.generated_tokens for request in sample) == 1_022_564
    assert sample[0] == TraceRequest(0, 374, 44)
    # 19:14:07.7408440 - 18:15:46.6805900 = 58 min 21.0602540 s
    assert sample[-1] == TraceRequest((58 * 60 + 21) * 1_000_000_000 + 60_254_000, 1030, 434)


def test_a_row_of_the_trace() -> None:
    text = f"{HEADER}\r\n2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109"
    # 50.9951690 - 46.6805900 = 4.3145790 seconds
    assert parse_trace(text, "t.csv") == [TraceRequest(0, 374, 44), TraceRequest(4_314_579_000, 396, 109)]


BAD_ROWS = [
    # row, what is said of it
    ("2023-11-16 18:15:46.6805900,374", "it has 2 columns, not 3"),
    ("", "it has 1 columns, not 3"),
    ("16/11/2023 18:15,374,44", "'16/11/2023 18:15' is not written as YYYY-MM-DD HH:MM:SS.fffffff"),
    ("2023-13-16 18:15:46.0,374,44", "time data '2023-13-16 18:15:46' does not match format"),
    ("2023-11-16 18:15:47.68x,374,44", "'2023-11-16 18:15:47.68x' is not written as"),
    ("2023-11-16 18:15:47.0,many,44", "'many' is not a number of tokens"),
    ("2023-11-16 18:15:47.0,374,0", "'0' is not a number of tokens"),
    ("2023-11-16 18:15:47.0,374,-4", "'-4' is not a number of tokens"),
    ("2023-11-16 18:15:45.0,374,44", "it comes before the row above it"),
]


@pytest.mark.parametrize(("row", "why"), BAD_ROWS)
def test_a_malformed_row(row: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_trace(f"{HEADER}\n2023-11-16 18:15:46.6805900,374,44\n{row}\n", "t.csv")
    assert [(problem.where, problem.line) for problem in refused.value.problems] == [("t.csv", 3)]
    assert refused.value.problems[0].why.startswith(why)


def test_every_malformed_row_is_reported_at_once() -> None:
    rows = [row for row, _ in BAD_ROWS[:-1]]
    with pytest.raises(InvalidInput) as refused:
        parse_trace("\n".join(["TIME,A,B", *rows]), "t.csv")
    assert [problem.line for problem in refused.value.problems] == list(range(1, len(BAD_ROWS) + 1))


@pytest.mark.parametrize("text", ["", HEADER, f"{HEADER}\n"])
def test_an_empty_trace(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_trace(text, "t.csv")


MIX = [
    # i, buyer, cloud asked for, model, streamed
    (0, "openai-customer", "", "gpt-5.5", True),
    (3, "openai-customer", "", "gpt-5.5", True),
    (4, "microsoft-customer", "", "gpt-5.5", False),
    (6, "microsoft-customer", "", "gpt-5.5", True),
    (7, "openai-customer", "aws", "gpt-5.5", False),
    (9, "openai-customer", "aws", "gpt-5.5", True),
    (10, "openai-customer", "", "gpt-5.4", False),
    (19, "openai-customer", "aws", "gpt-5.4", False),
    (20, "openai-customer", "", "gpt-5.5", False),
]


@pytest.mark.parametrize(("index", "buyer", "cloud", "model", "streamed"), MIX)
def test_the_mix(index: int, buyer: str, cloud: str, model: str, streamed: bool) -> None:
    request = plan(read_sample())[index]
    assert (request.buyer, request.cloud, request.model, request.streamed) == (buyer, cloud, model, streamed)


# Counted from the file with nothing of the product: requests, prompt tokens, completion tokens.
WEEK = {
    ("openai-customer", "", "gpt-5.4", "26 April"): (117, 125_521, 31_392),
    ("openai-customer", "", "gpt-5.4", "later"): (851, 936_042, 171_367),
    ("openai-customer", "", "gpt-5.5", "26 April"): (120, 147_854, 30_334),
    ("openai-customer", "", "gpt-5.5", "later"): (850, 968_865, 180_170),
    ("openai-customer", "aws", "gpt-5.4", "26 April"): (87, 82_881, 23_710),
    ("openai-customer", "aws", "gpt-5.4", "later"): (639, 788_395, 126_050),
    ("openai-customer", "aws", "gpt-5.5", "26 April"): (90, 110_073, 23_976),
    ("openai-customer", "aws", "gpt-5.5", "later"): (636, 763_631, 129_781),
    ("microsoft-customer", "", "gpt-5.4", "26 April"): (87, 86_798, 22_786),
    ("microsoft-customer", "", "gpt-5.4", "later"): (639, 710_961, 126_724),
    ("microsoft-customer", "", "gpt-5.5", "26 April"): (90, 102_110, 24_271),
    ("microsoft-customer", "", "gpt-5.5", "later"): (636, 737_757, 132_003),
}


def test_the_week_in_sums() -> None:
    sums: dict[tuple[str, str, str, str], tuple[int, int, int]] = {}
    for request in plan(read_sample()):
        when = "26 April" if request.event_ns < BEGIN_NS + DAY_NS else "later"
        key = (request.buyer, request.cloud, request.model, when)
        requests, prompt, completion = sums.get(key, (0, 0, 0))
        sums[key] = (requests + 1, prompt + request.prompt_tokens, completion + request.completion_tokens)
    assert sums == WEEK


def test_requests_by_day() -> None:
    days = Counter((request.event_ns - BEGIN_NS) // DAY_NS for request in plan(read_sample()))
    # 26 April to 2 May; 591 + 629 + 748 + 949 + 771 + 639 + 515 = 4,842
    assert days == {0: 591, 1: 629, 2: 748, 3: 949, 4: 771, 5: 639, 6: 515}


def test_the_week_begins_and_ends_where_it_should() -> None:
    assert datetime.fromtimestamp(BEGIN_NS / 1e9, UTC) == datetime(2026, 4, 26, tzinfo=UTC)
    assert datetime.fromtimestamp(END_NS / 1e9, UTC) == datetime(2026, 5, 3, tzinfo=UTC)
    assert SELLERS == {"openai-customer": "openai", "microsoft-customer": "microsoft"}


@given(st.lists(st.integers(0, 10**13), min_size=1).map(sorted))
def test_order_is_kept_and_the_end_never_reached(offsets: list[int]) -> None:
    offsets = [offset - offsets[0] for offset in offsets]
    planned = plan([TraceRequest(offset, 1, 1) for offset in offsets])
    instants = [request.event_ns for request in planned]
    assert instants == sorted(instants)
    assert instants[0] == BEGIN_NS
    assert instants[-1] < END_NS


@given(st.integers(1, 8_000))
def test_a_prompt_has_exactly_the_words_asked_for(words: int) -> None:
    assert len(prompt_text(words).split()) == words
