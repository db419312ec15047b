"""The simulated model's arithmetic: words are tokens, in the prompt and in the answer, streamed or whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.sandbox.surfaces.chat import read_request, usage_of
from clauseway.sandbox.surfaces.generation import CONTENT_EVENTS_MAX, count_tokens, generate

PROMPTS = [
    # body, prompt tokens
    (b'{"model":"m","messages":[{"role":"user","content":"one two  three\\n four"}]}', 4),
    (b'{"model":"m","messages":[{"role":"system","content":"one"},{"role":"user","content":"two three"}]}', 3),
    (
        b'{"model":"m","messages":[{"role":"user","content":'
        b'[{"type":"text","text":"one two"},{"type":"text","text":"three"}]}]}',
        3,
    ),
    (b'{"model":"m","messages":[{"role":"assistant","content":null},{"role":"tool","content":"one"}]}', 1),
    (b'{"model":"m","messages":[{"role":"user","content":""}]}', 0),
]


@pytest.mark.parametrize(("body", "tokens"), PROMPTS)
def test_prompt_tokens(body: bytes, tokens: int) -> None:
    assert read_request(body).generation.prompt_tokens == tokens


def test_usage_is_complete() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"one two three"}],"max_tokens":4}'
    assert usage_of(read_request(body).generation) == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,  # 3 + 4
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_max_completion_tokens_goes_before_max_tokens() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":4,"max_completion_tokens":9}'
    generation = read_request(body).generation
    assert (generation.completion_tokens, generation.finish_reason) == (9, "length")


@given(contents=st.lists(st.text()), tokens=st.integers(1, 5_000), streamed=st.booleans())
def test_an_answer_has_as_many_words_as_tokens(contents: list[str], tokens: int, streamed: bool) -> None:
    generation = generate(contents, tokens, streamed)
    assert count_tokens("".join(generation.pieces)) == generation.completion_tokens == tokens
    assert generation.prompt_tokens == sum(len(content.split()) for content in contents)
    assert len(generation.pieces) == (min(tokens, CONTENT_EVENTS_MAX) if streamed else 1)
    assert all(count_tokens(piece) for piece in generation.pieces)
    assert generation.finish_reason == "length"


@given(contents=st.lists(st.text()))
def test_streamed_or_whole_the_answer_is_the_same(contents: list[str]) -> None:
    whole, streamed = generate(contents, None, False), generate(contents, None, True)
    assert "".join(whole.pieces) == "".join(streamed.pieces)
    assert (whole.finish_reason, whole.completion_tokens) == ("stop", streamed.completion_tokens)
    assert 8 <= whole.completion_tokens < 64
