"""The latest requests: what is kept is what is found, the latest alone, in little memory."""

import inspect
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.request.latest_requests import LatestRequests
from clauseway.gateway.routing.choices import SkippedDeployment
from clauseway.metering import Buyer, Unit

BUYER = Buyer("acme", "research", "key_1", "openai", "direct")
WORDS = st.text(max_size=20)
# A cloud may report any count: one beyond what a figure holds is kept too.
UNITS = st.lists(st.tuples(st.sampled_from(Unit), st.integers(0, 10**16)), max_size=4).map(tuple)
FAILED = st.builds(
    EndedAttempt, WORDS, WORDS, WORDS, st.integers(0, 599), st.integers(0, 10**9), WORDS, UNITS, st.integers(0, 10**30)
)
EXPLANATIONS = st.builds(
    RequestExplanation,
    event_ns=st.integers(0, 2**62),
    buyer=st.just(BUYER),
    operation=WORDS,
    model=WORDS,
    skipped=st.lists(st.builds(SkippedDeployment, WORDS, WORDS, WORDS), max_size=2).map(tuple),
    attempted=st.lists(FAILED, max_size=2).map(tuple),
    status=st.integers(0, 599),
    message=WORDS,
    units=UNITS,
    charged=st.integers(0, 10**30),  # beyond what 64 bits hold: a million million dollars
    is_estimated=st.booleans(),
)


def fields_of(explanation: RequestExplanation | None) -> list[object] | None:
    names = inspect.signature(RequestExplanation).parameters
    return None if explanation is None else [getattr(explanation, name) for name in names]


@given(st.dictionaries(st.integers(1, 40), EXPLANATIONS, max_size=12))
def test_the_latest_are_found_as_they_were_kept(given: dict[int, RequestExplanation]) -> None:
    """Of numbers that share a place, the one that was kept last: numbers only rise."""
    kept = LatestRequests(kept=8)
    places: dict[int, int] = {}
    for number, explanation in sorted(given.items()):
        kept.keep(number, explanation)
        places[number % 8] = number
    for number in range(42):
        expected = given[number] if number in places.values() else None
        assert fields_of(kept.find(number)) == fields_of(expected)
    last = max(given, default=0)
    latest = [number for number in sorted(places.values(), reverse=True) if number > last - 8]
    assert [number for number, _ in kept.latest()] == latest
    assert [fields_of(request) for _, request in kept.latest()] == [fields_of(given[number]) for number in latest]


def test_ten_thousand_chats_of_one_model_take_next_to_nothing_more() -> None:
    """Their figures lie where room was made at the start."""
    kept = LatestRequests()
    tracemalloc.start()
    try:
        for number in range(1, 30_001):
            units = ((Unit.INPUT_TOKENS, number), (Unit.CACHED_INPUT_TOKENS, number), (Unit.OUTPUT_TOKENS, number))
            explanation = RequestExplanation(
                event_ns=number * 1_000,
                buyer=BUYER,
                operation="chat",
                model="gpt-5.5",
                skipped=(),
                attempted=(),
                status=200,
                message="",
                units=units,
                charged=number * 10**6,
            )
            kept.keep(number, explanation)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_ten_thousand_requests_take_two_megabytes() -> None:
    kept = LatestRequests()
    tracemalloc.start()
    try:
        for number in range(10**9, 10**9 + 30_000):
            units = ((Unit.INPUT_TOKENS, number), (Unit.CACHED_INPUT_TOKENS, number), (Unit.OUTPUT_TOKENS, number))
            explanation = RequestExplanation(
                event_ns=number * 1_000,
                buyer=BUYER,
                operation="chat",
                model=f"gpt-{number}",
                skipped=(),
                attempted=(),
                status=200,
                message="",
                units=units,
                charged=number,
            )
            kept.keep(number, explanation)
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()


def test_refusals_and_failed_attempts_take_half_as_much() -> None:
    """One refusal in words is told to many requests, each in a text of its own; attempts differ in their durations."""
    kept = LatestRequests()
    tracemalloc.start()
    try:
        for number in range(1, 30_001):
            failed = EndedAttempt("azure", "eastus", "failed", 500, 10_000 + number, "api.stateless", (), 0)
            explanation = RequestExplanation(
                event_ns=number * 1_000,
                buyer=BUYER,
                operation="chat",
                model="".join(["gpt-", str(number % 3)]),
                skipped=(),
                attempted=(failed,),
                status=502,
                message="".join(["Every cloud failed. " * 20, str(number % 3)]),
            )
            kept.keep(number, explanation)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
