"""JSON arrays that others wrote, read value by value: a long one costs what its values cost, and says their lines."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clauseway.exchange.usage.reported_rows import json_values
from work_done import least_cost

# More than one read of a file takes in.
EVENTS = [{"id": str(number), "input_tokens": number} for number in range(40_000)]


def as_array(values: Iterator[str]) -> str:
    return "[\n" + ",\n".join(values) + "\n]\n"


def test_an_array_costs_a_few_times_what_its_lines_cost(tmp_path: Path) -> None:
    lines, array = tmp_path / "events.jsonl", tmp_path / "events.json"
    lines.write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS))
    array.write_text(as_array(json.dumps(event) for event in EVENTS))
    assert count(array) == count(lines) == len(EVENTS)
    # Values that are cut off the rest of a megabyte one by one cost thirty times as much.
    assert least_cost(lambda: count(array)) < 10 * least_cost(lambda: count(lines))


def count(path: Path) -> int:
    return sum(1 for _ in json_values(path))


def test_each_value_of_a_long_array_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(as_array(json.dumps(event) for event in EVENTS))
    assert list(json_values(path)) == [(line, event, "") for line, event in enumerate(EVENTS, 2)]


def test_what_is_no_json_spoils_its_own_place_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    wrong = {17: "{'id': 1}", 5_000: '{"id": oops, "a": [1, "]"]}', 39_000: "{no}"}
    path.write_text(as_array(wrong.get(number, json.dumps(event)) for number, event in enumerate(EVENTS)))
    read = list(json_values(path))
    assert [line for line, _, _ in read] == [*range(2, len(EVENTS) + 2)]
    assert {line - 2: value for line, value, problem in read if problem} == wrong
    assert all(
        problem.startswith("not JSON: Expecting") and "line 1 column" in problem for _, _, problem in read if problem
    )


def test_an_array_without_an_end_says_so_at_its_last_line(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text('[\n{"id": "1"},\n{"id": "2"},\n')
    assert list(json_values(path)) == [
        (2, {"id": "1"}, ""),
        (3, {"id": "2"}, ""),
        (4, "", "not JSON: the array has no end"),
    ]


@pytest.mark.parametrize("text", ['{"id": 1}\n{"id": 2}\n', '[{"id": 1}, {"id": 2}]', '[\n{"id": 1},\n{"id": 2}\n]\n'])
def test_a_mark_of_utf_8_is_no_part_of_the_first_value(tmp_path: Path, text: str) -> None:
    path = tmp_path / "events.json"
    path.write_text(text, "utf-8-sig")
    assert [(value, problem) for _, value, problem in json_values(path)] == [({"id": 1}, ""), ({"id": 2}, "")]


def test_what_is_no_json_costs_the_same_wherever_it_stands(tmp_path: Path) -> None:
    """An error that counts the lines before it costs as much as all that was read."""
    first, last = tmp_path / "first.json", tmp_path / "last.json"
    wrong, long_text = ["x"] * 1_000, json.dumps("a" * 900_000)
    first.write_text(as_array(iter([*wrong, long_text])))
    last.write_text(as_array(iter([wrong[0], long_text, *wrong[1:]])))
    assert count(first) == count(last) == 1_001
    assert least_cost(lambda: count(last)) < 3 * least_cost(lambda: count(first))


@pytest.mark.parametrize(("name", "form"), [("deep.jsonl", "%s\n{}\n"), ("deep.json", "[\n%s,\n{}]\n")])
def test_a_value_nests_as_deep_on_every_python(tmp_path: Path, name: str, form: str) -> None:
    """Python 3.11 refuses a thousand levels; later ones read on, as this one does for as long."""
    path = tmp_path / name
    path.write_text(form % ('{"a":' + "[" * 2_000 + "]" * 2_000 + "}"))
    least = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        read = list(json_values(path))
    finally:
        sys.setrecursionlimit(least)
    assert [problem for _, _, problem in read] == ["not readable JSON: it is nested too deep", *[""] * (len(read) - 1)]
    assert len(read) == 2
