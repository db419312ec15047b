"""Two parsers read YAML. Whatever the quick one reads, the one that judges reads alike, with the same lines."""

from importlib import resources

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_agreement import DOCUMENTS
from test_any_text import mutated

from clauseway.agreement.text import yaml_in_doubt
from clauseway.agreement.text.markdown import take_apart
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.agreement.text.yaml_text import read_undoubted, read_yaml
from clauseway.values import Problem
from housed_data import DOCUMENTS as HOUSED
from soak import examples

BUILT_IN = resources.files("clauseway.agreement") / "builtin"
SHIPPED = [
    (f"{folder.name}/{entry.name}", entry.read_text("utf-8"))
    for folder in BUILT_IN.iterdir()
    for entry in folder.iterdir()
    if entry.name.endswith(".md")
]
# Where the parsers differ, or differed once: each is left to the one that judges.
IN_DOUBT = [
    "a: b\tc",
    "a:\t",
    "- |+\n  b\n",
    "|+\n#||+\n",
    ">#{",
    '{"a":b}',
    "['a':b]",
    "---",
    "---\n# b\n",
    "a: &b c",
    "a: *b",
    "a: !b c",
    "a: b\na: c",
    "a: b\n---\nc: d",
    "[a]: b",
    'a: "\\x00"',
    "a: \x85b",
    "a: [b",
    "",
    "# a\n",
    "[" * 18 + "]" * 18,
]


def blocks_of(name: str, text: str) -> list[str]:
    document = take_apart(text, Mistakes(name))
    return [text for text in (document.front, *(block.text for block in document.blocks)) if text]


@pytest.mark.parametrize(("name", "text"), SHIPPED, ids=[name for name, _ in SHIPPED])
def test_no_agreement_that_ships_waits_for_the_slow_parser(name: str, text: str) -> None:
    for block in blocks_of(name, text):
        assert read_undoubted(block, 7) is not None, block
        check_alike(block)


@pytest.mark.parametrize("text", IN_DOUBT)
def test_a_text_in_doubt_is_left_to_the_parser_that_judges(text: str) -> None:
    assert read_undoubted(text, 1) is None
    problems: list[Problem] = []
    judged: list[Problem] = []
    assert read_yaml(text, 3, Mistakes("a block", problems)) == yaml_in_doubt.read(text, 3, Mistakes("a block", judged))
    assert problems == judged


KNOWN = [block for name, text in [*SHIPPED, *DOCUMENTS.items(), *HOUSED.items()] for block in blocks_of(name, text)]
STYLES = (
    "a: 'it''s\n  so'\nb: \"\\u00e9 \\\n  z\"\n? k\n: v\nc: {a: 1, d, e: [x, y]}\n- \nd: g\n\n  h\n# i\nj: k#l #m\n"
)


@settings(max_examples=examples(500), suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_text_is_read_alike_by_both(data: st.DataObject) -> None:
    check_alike(data.draw(mutated(data.draw(st.sampled_from([STYLES, *KNOWN])))))


def check_alike(text: str) -> None:
    entry, judged = read_undoubted(text, 7), Mistakes("a block")
    if entry is not None:
        assert entry == yaml_in_doubt.read(text, 7, judged)
        assert not len(judged)
