"""A source is cited with the passage that carries the term; every reason, page and brief shows it."""

import jsonschema
import pytest
from small_agreement import DOCUMENTS, with_edits

from clauseway.agreement import read_agreement
from clauseway.agreement.authoring.formatting import format_document
from clauseway.agreement.authoring.json_schema import block_schema
from clauseway.values import InvalidInput

# what stands behind `source:`, and what a citation of the term says
CITED = [
    ("[T]", "T (the text)"),
    ("[{T: the second paragraph}]", "T (the text: the second paragraph)"),
    ("[T, {ours: what follows from it}]", "T (the text); ours (our reading: what follows from it)"),
    ("⏎  - T: under Money, line 3", "T (the text: under Money, line 3)"),
]


def edited(written: str) -> dict[str, str]:
    documents = with_edits(("A1.md", 18, f"source: {written}".replace("⏎", "\n")))
    definitions = documents["agreement.md"].replace("  T: the text\n", "  T: the text\n  ours: our reading\n")
    return {**documents, "agreement.md": definitions}


@pytest.mark.parametrize(("written", "says"), CITED)
def test_a_citation_names_the_passage(written: str, says: str) -> None:
    [own, *_] = read_agreement(edited(written)).amendments[0].terms
    assert own.citation.source == says


@pytest.mark.parametrize(("written", "says"), CITED)
def test_the_layout_keeps_the_passage(written: str, says: str) -> None:
    laid_out = {name: format_document(text) for name, text in edited(written).items()}
    [own, *_] = read_agreement(laid_out).amendments[0].terms
    assert own.citation.source == says


# what stands behind `source:`, and what is told
REFUSED = [
    ("[{T: }]", "'source' does not fit"),
    ("[{T: a, ours: b}]", "'source' does not fit"),
    ("[[T]]", "'source' does not fit"),
    ("[]", "'source' does not fit"),
    ("{T: a passage}", "'source' does not fit"),
    ("[{U: a passage}]", "unknown source 'U'"),
]


@pytest.mark.parametrize(("written", "expected"), REFUSED)
def test_what_is_no_source_is_told(written: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_agreement(edited(written))
    assert [problem.what for problem in refused.value.problems] == [expected]


def test_the_schema_takes_what_the_reader_takes() -> None:
    term = {"id": "A1.own", "kind": "ownership", "party": "maker", "products": ["api"]}
    for source, fits in [(["T"], True), ([{"T": "a passage"}], True), ([{"T": "a", "U": "b"}], False), ([], False)]:
        validator = jsonschema.Draft202012Validator(block_schema())
        assert validator.is_valid(term | {"source": source}) is fits, source


def test_the_small_agreement_is_the_base() -> None:
    assert read_agreement(DOCUMENTS).amendments[0].terms[0].citation.source == "T (the text)"
