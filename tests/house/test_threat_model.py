"""docs/threat-model.md: each line names a test that shows its protection, or says that there is none."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/threat-model.md").read_text()
NONE = "**not protected**"
HEAD = ["what", "by whom", "what stands in the way", "shown by"]


def rows() -> list[tuple[str, ...]]:
    """The lines of all tables: what is threatened, by whom, what stands in the way, and the tests."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]) for line in lines]
    return [row for row in cells if list(row) != HEAD]


ROWS = rows()


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of a file's tests: functions, and methods of classes."""
    tree = ast.parse((ROOT / path).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, functions) and node.name[:5] == "test_")


def test_the_page_is_a_table_of_threats() -> None:
    assert len(ROWS) > 40
    assert {len(row) for row in ROWS} == {len(HEAD)}
    assert [row for row in ROWS if not all(row)] == []
    names = [row[0] for row in ROWS]
    assert len(names) == len(set(names)), "each threat has one line"


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_each_line_names_a_test_or_says_that_nothing_protects(row: tuple[str, ...]) -> None:
    _, _, way, shown = row
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", shown)
    if way.startswith(NONE):
        assert named == []
        assert len(way) > len(NONE) + 20, "it says what to do instead"
        return
    assert named, "a protection that no test shows is none"
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []
