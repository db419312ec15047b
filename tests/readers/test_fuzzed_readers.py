"""A few hundred inputs for every reader, and again each input that once broke a law. `make soak` gives 100,000 each."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from fuzzing import KEPT, Fuzzed, fuzz, kept_inputs, names

ROOT = Path(__file__).parents[2]
READERS = list(names())
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fuzzed() -> Mapping[str, Fuzzed]:
    """All readers in one process that is not this one: whatever an input does, the others are read."""
    return {each.reader: each for each in fuzz()}


@pytest.mark.parametrize("name", READERS)
def test_no_input_breaks_a_law(fuzzed: Mapping[str, Fuzzed], name: str) -> None:
    """A value or an error of the reader's own; no end of the process, no memory and no time without bound."""
    read = fuzzed[name]
    assert [(each.number, each.how, each.where) for each in read.broken] == []
    assert read.values, "some inputs get through to the end"
    assert read.refused, "and some are refused"


def test_each_kept_input_belongs_to_a_reader() -> None:
    assert {path.name for path in KEPT.iterdir()} <= set(READERS)
    assert all(list(kept_inputs(path.name)) for path in KEPT.iterdir())


def test_each_address_of_the_openapi_documents_is_among_the_inputs() -> None:
    """The readers of HTTP draw from the documents themselves, so a new address is fuzzed without a word."""
    source = (ROOT / "tests/readers/fuzzed_readers.py").read_text()
    assert set(re.findall(r'_operations\("([\w.]+)"\)', source)) == {
        path.name for path in (ROOT / "docs/openapi").glob("*.json")
    }
