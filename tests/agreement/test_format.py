"""The canonical layout of YAML blocks: what a block looks like after it, and what it never changes."""

from importlib import resources

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO
from small_agreement import DOCUMENTS, with_edits
from test_malformed_agreements import ALL

from clauseway.agreement import Agreement, read_agreement
from clauseway.agreement.authoring.formatting import WIDTH, format_block, format_document
from clauseway.agreement.text.entries import Plain
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.agreement.text.yaml_text import read_yaml
from soak import examples

BUILT_IN = resources.files("clauseway.agreement") / "builtin"

# what it is about | kind of block | as written | as laid out
LAYOUTS = [
    (
        "keys stand in the order of their kind",
        "term",
        "source: [T]\nthrough: 2030-12-31\nproducts: [api]\nparty: maker\nkind: ownership\nid: A1.own\n",
        "id: A1.own\nkind: ownership\nparty: maker\nproducts: [api]\nthrough: 2030-12-31\nsource: [T]\n",
    ),
    (
        "a list of names stands on one line",
        "change",
        "id: A2.ends\nends:\n- A1.a\n- A1.b\nsource:\n    - T\n",
        "id: A2.ends\nends: [A1.a, A1.b]\nsource: [T]\n",
    ),
    (
        "carve-outs stand one a line, their keys in order",
        "term",
        "id: x\nkind: exclusivity\nexcept: [{clouds: [own], actions: [serve]}, {segments: [trade]}]\n",
        "id: x\nkind: exclusivity\nexcept:\n  - {actions: [serve], clouds: [own]}\n  - {segments: [trade]}\n",
    ),
    (
        "comments stay with the key above which they stand",
        "term",
        "# the head\nsource: [T]\nkind: ownership\n\n   # whose it is\nparty: maker  # the owner\n# its name\nid: x\n# last\n",
        "# the head\n# its name\nid: x\n# last\nkind: ownership\n\n# whose it is\nparty: maker  # the owner\nsource: [T]\n",
    ),
    (
        "quotes are kept, and what looks like a day or a number stays what was written",
        "term",
        "id: '007'\nkind: stake\nabout: 1_000\nof: \"yes\"\nsince: 2026-04-27\n",
        "id: '007'\nkind: stake\nof: \"yes\"\nabout: 1_000\nsince: 2026-04-27\n",
    ),
    (
        "a mapping may stay on lines of its own",
        "definitions",
        "products:\n   chat:\n      class: api\nparties: [a]\n",
        "parties: [a]\nproducts:\n  chat:\n    class: api\n",
    ),
    (
        "a fact may be one line, however long",
        "facts",
        f"- {{says: {'long ' * 30}end, kind: milestone, source: [T], effective: 2026-01-01}}\n",
        f"- {{kind: milestone, effective: 2026-01-01, source: [T], says: {'long ' * 30}end}}\n",
    ),
    ("what cannot be read is left", "term", "id: [x\nkind: stake\n", "id: [x\nkind: stake\n"),
    ("a key twice is left", "term", "kind: a\nid: x\nkind: b\n", "kind: a\nid: x\nkind: b\n"),
]


@pytest.mark.parametrize(("about", "kind", "written", "laid_out"), LAYOUTS)
def test_how_a_block_is_laid_out(about: str, kind: str, written: str, laid_out: str) -> None:
    assert format_block(kind, written) == laid_out, about


def test_a_long_sentence_is_broken_and_stays_one() -> None:
    sentence = "A sentence that goes on " * 12 + "and ends."
    written = format_block("definitions", f"rules:\n  owner: {sentence}\n")
    assert max(map(len, written.split("\n"))) <= WIDTH
    entry = read_yaml(written, 1, Mistakes("a block"))
    assert entry is not None
    assert entry.plain() == {"rules": {"owner": sentence}}


def test_a_long_list_stands_one_name_a_line() -> None:
    names = [f"A1.a-rather-long-name-of-a-term-{number}" for number in range(5)]
    written = format_block("change", f"id: x\nends: [{', '.join(names)}]\n")
    assert written == "id: x\nends:\n" + "".join(f"  - {name}\n" for name in names)


DOCUMENT = """\
---
id:   A1
---
# A1   Prose   stays
```yaml term
kind: stake
id: x
```
next to it


   and with its spaces
- a list
  ```yaml term
  kind: stake
  id: y
  ```
```python
kind = "no block of ours"
```



```yaml term
id: open
"""


def test_prose_front_matter_and_other_blocks_are_not_touched() -> None:
    laid_out = DOCUMENT.replace(
        "stays\n```yaml term\nkind: stake\nid: x\n```\nnext", "stays\n\n```yaml term\nid: x\nkind: stake\n```\n\nnext"
    )
    assert format_document(DOCUMENT) == laid_out
    assert format_document(DOCUMENT.replace("\n", "\r\n")) == laid_out.replace("\n", "\r\n")


@pytest.mark.parametrize("folder", ["anthropic-clouds", "openai-microsoft", "template"])
def test_the_agreements_that_ship_are_laid_out_canonically(folder: str) -> None:
    for file in (BUILT_IN / folder).iterdir():
        assert format_document(file.read_text("utf-8")) == file.read_text("utf-8"), file.name


def meaning(agreement: Agreement) -> object:
    """Return all that an agreement says, without the numbers of its lines."""

    def without_lines(value: object) -> object:
        if isinstance(value, dict):
            return {
                key: without_lines(member)
                for key, member in value.items()
                if key not in ("line", "lines", "text_digest")
            }
        return [without_lines(item) for item in value] if isinstance(value, list | tuple) else value

    return without_lines(msgspec.to_builtins(agreement, order="sorted"))


@settings(max_examples=examples(40))
@given(seed=st.randoms(use_true_random=False))
def test_the_meaning_of_an_agreement_stays_however_it_was_written(seed: object) -> None:
    documents = {name: shuffled(text, seed) for name, text in DOCUMENTS.items()}
    laid_out = {name: format_document(text) for name, text in documents.items()}
    assert meaning(read_agreement(laid_out)) == meaning(read_agreement(documents))
    assert laid_out == {name: format_document(text) for name, text in DOCUMENTS.items()}


def shuffled(text: str, seed: object) -> str:
    """The document with the keys of each term in another order. Definitions keep theirs: it is seen in answers."""
    parts = text.split("```")
    for index, part in enumerate(parts):
        if part.startswith(("yaml term\n", "yaml change\n")):
            head, *lines = part.rstrip("\n").split("\n")
            seed.shuffle(lines)  # type: ignore[attr-defined]
            parts[index] = "\n".join([head, *lines, ""])
    return "```".join(parts)


@pytest.mark.parametrize("name", ALL)
def test_a_malformed_agreement_is_laid_out_once_and_for_all(name: str) -> None:
    for text in with_edits(*ALL[name].edits).values():
        once = format_document(text)
        assert format_document(once) == once


TEXTS = st.text(st.sampled_from("ab #'\"-:,[]{}&*!|>?%@é\n"), max_size=30)
VALUES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@given(
    kind=st.sampled_from(["term", "change", "definitions", "facts"]),
    value=st.dictionaries(st.sampled_from(["id", "kind", "products", "source", "other"]), VALUES) | st.lists(VALUES),
    flow=st.booleans(),
    comment=st.booleans(),
)
def test_any_block_keeps_what_it_says_and_is_laid_out_once(kind: str, value: object, flow: bool, comment: bool) -> None:
    yaml, stream = YAML(typ="safe", pure=True), StringIO()
    yaml.default_flow_style = flow
    yaml.dump(value, stream)
    text = ("# a comment\n" if comment else "") + stream.getvalue()
    once = format_block(kind, text)
    assert said(once) == said(text)
    assert once.count("# a comment") == text.count("# a comment")
    assert format_block(kind, once) == once


def said(text: str) -> Plain | None:
    entry = read_yaml(text, 1, Mistakes("a block"))
    return None if entry is None else entry.plain()


@given(text=st.text(max_size=200) | st.text(st.sampled_from("`~yaml term\n#-: []{}x\r\t"), max_size=200))
def test_any_text_at_all_comes_back_the_same_the_second_time(text: str) -> None:
    once = format_document(text)
    assert format_document(once) == once
