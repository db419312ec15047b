"""How deep a JSON document nests, whatever stands in its texts."""

import pytest

from clauseway.values import nests_beyond

# a document | the deepest level of its arrays and objects
DEPTHS = [
    ("7", 0),
    ("[]", 1),
    ("[[], [], {}]", 2),
    ('{"a": [{"b": 1}], "c": []}', 3),
    ('"[[["', 0),
    ('["[[["]', 1),
    ('["]", ["]", ["]"]]]', 3),
    (r'["\"[", ["\\", ["\\\"]"]]]', 3),
    ("[" * 5000 + "]" * 5000, 5000),
    ('{"a":' * 700 + "1" + "}" * 700, 700),
]


@pytest.mark.parametrize(("document", "depth"), DEPTHS, ids=[document[:20] for document, _ in DEPTHS])
def test_texts_add_no_level_and_hide_none(document: str, depth: int) -> None:
    assert not nests_beyond(document.encode(), depth)
    assert depth == 0 or nests_beyond(document.encode(), depth - 1)
