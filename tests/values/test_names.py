"""Names from outside: seen as they are, or refused."""

import re
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clauseway.values import (
    InvalidInput,
    by_beginning,
    check_names,
    checked_reason,
    flaw_of_name,
    nearest_name,
    problem_of_name,
    problem_of_reason,
)
from work_done import calls_in

NAMES = ["acme", "Acme GmbH & Co. KG", "search/eu-1", "gpt-5.5", "Zürich", "日本電気", "=1+1", "-", "a" * 200]


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    assert flaw_of_name(name) == ""


# text → what is said of it
NO_NAMES = [
    ("", "it is empty"),
    (" ", "spaces"),
    ("acme ", "spaces"),
    ("ac  me", "spaces"),
    ("a" * 201, "201 characters"),
    ("ac\nme", "U+000A"),
    ("acme\r", "U+000D"),
    ("ac\tme", "U+0009"),
    ("ac\x00me", "U+0000"),
    ("ac\x1b[31mme", "U+001B"),
    ("ac\x7fme", "U+007F"),
    ("ac\u0085me", "U+0085"),
    ("ac\u202eme", "U+202E"),  # turns the text around
    ("ac\u2066me", "U+2066"),
    ("ac\u200fme", "U+200F"),
    ("ac\u200bme", "U+200B"),  # of zero width
    ("ac\u200dme", "U+200D"),
    ("ac\ufeffme", "U+FEFF"),
    ("ac\u00adme", "U+00AD"),
    ("ac\u2028me", "U+2028"),
    ("ac\u00a0me", "U+00A0"),  # a space that is another one
    ("ac\u3164me", "U+3164"),  # a letter that is drawn as nothing
    ("ac\u2800me", "U+2800"),
    ("ac\ufe0fme", "U+FE0F"),
    ("ac\U000e0101me", "U+E0101"),
    ("ac\ud800me", "U+D800"),  # half a character
    ("ac\ue000me", "U+E000"),  # of private use
]


@pytest.mark.parametrize(("name", "said"), NO_NAMES)
def test_no_names(name: str, said: str) -> None:
    assert said in flaw_of_name(name)
    problem = problem_of_name(name, "--organisation")
    assert problem is not None
    assert (problem.why, problem.where) == (flaw_of_name(name), "--organisation")
    str(problem).encode("ascii" if len(name) <= 60 else "utf-8")  # the refusal itself can be shown anywhere


def test_every_bad_name_is_told_at_once() -> None:
    check_names({"organisation": "acme", "project": "search"})
    with pytest.raises(InvalidInput) as refused:
        check_names([("organisation", "ac\nme"), ("project", "search"), ("key", "")])
    assert [problem.where for problem in refused.value.problems] == ["organisation", "key"]


@given(st.text(max_size=210))
def test_a_name_is_one_line_that_can_be_printed(name: str) -> None:
    if flaw_of_name(name) == "":
        assert name.isprintable()
        assert name.splitlines() == [name]
        assert name == name.strip()
        assert 1 <= len(name) <= 200
        name.encode("utf-8")


# an unknown name → the nearest of thousands
NEAREST = [
    ("model-01235x", "model-01235"),
    ("MODEL-00007", "model-00007"),
    ("zebra", ""),
]


@pytest.mark.parametrize(("name", "nearest"), NEAREST)
def test_an_unknown_name_is_compared_with_few_of_thousands(name: str, nearest: str) -> None:
    """A text with thousands of unknown names took half an hour to be refused."""
    known = [f"model-{number:05}" for number in range(5_000)]
    named = list[str]()
    calls = calls_in(lambda: named.append(nearest_name(name, known)))
    assert (named, calls["real_quick_ratio"] <= 200) == ([nearest], True)


# what was given with --why → what is kept, or the problem
REASONS = [
    (" the disk is gone ", "the disk is gone"),
    ("x" * 500, "x" * 500),
    ("", "no reason is given"),
    (" \n", "no reason is given"),
    ("x" * 501, "the reason cannot be kept"),
    ("gone\nSAME", "the reason cannot be kept"),
]


@pytest.mark.parametrize(("reason", "kept"), REASONS, ids=[f"{reason:.9}" for reason, _ in REASONS])
def test_a_reason_is_a_line(reason: str, kept: str) -> None:
    problem = problem_of_reason(reason, "it is kept")
    assert (checked_reason(reason, "it is kept") if problem is None else problem.what) == kept


# the beginning → the item, or the problem
BEGINNINGS = [
    ("a", 1),
    ("red", 1),
    ("ab", 1),
    ("b", "which fruit?"),
    ("c", "no fruit 'c'"),
    ("", "no fruit ''"),
]


@pytest.mark.parametrize(("name", "item"), BEGINNINGS)
def test_a_beginning_names_the_only_item(name: str, item: int | str) -> None:
    fruits = [("abc", 1), ("apple", 1), ("red", 1), ("bc", 2), ("bd", 3)]
    with nullcontext() if isinstance(item, int) else pytest.raises(InvalidInput, match=re.escape(item)):
        assert by_beginning(name, fruits, "fruit", missing="none is so named", where="FRUIT", remedy="Look.") == item
