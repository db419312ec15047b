"""Sources of citations: marked by their identifiers, and listed once with the passages that were cited."""

from collections.abc import Sequence

import pytest

from clauseway.values import Citation
from clauseway.web.cited_sources import SourceListed, source_names, sources_of

REPORT = "S2 (a report of 27 April 2026"


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", []),
        ("S1", ["S1"]),
        ("P (other public reporting)", ["P"]),
        (f"{REPORT}: under Why Now); S4 (Stack Digest: in the opening)", ["S2", "S4"]),
        # A semicolon within a passage begins no source.
        (f"{REPORT}: under Why Now; and below); P (other public reporting)", ["S2", "P"]),
        (f"{REPORT}: one); {REPORT}: two)", ["S2"]),
    ],
)
def test_a_citation_marks_its_sources_once(source: str, names: Sequence[str]) -> None:
    assert source_names(source) == names


def test_the_list_below_has_each_source_once_with_all_passages() -> None:
    cited = [f"{REPORT}: one); S4 (Stack Digest: three)", f"{REPORT}: two)", f"{REPORT}: one)", "S1"]
    assert sources_of(
        Citation(term="t", amendment="A1", document="A1.md", line=1, source=source, text="") for source in cited
    ) == [
        SourceListed("S1", "", ()),
        SourceListed("S2", "a report of 27 April 2026", ("one", "two")),
        SourceListed("S4", "Stack Digest", ("three",)),
    ]
