"""A receipt names what an agreement means: an edit that changes no meaning leaves old receipts valid.

The text keeps a digest of its own, so that nobody is left unaware of the edit.
"""

from pathlib import Path

import msgspec
import pytest
from small_agreement import DOCUMENTS

from clauseway.agreement import read_agreement
from clauseway.agreement.authoring.formatting import format_document
from clauseway.agreement.language.meaning import meaning_of, meaning_of_facts
from clauseway.app.agreements.explaining import DecisionVerification, Explanation, explain, verify
from clauseway.app.opening.library import OpenAgreement, open_agreement
from terms_at_hand import documents, reading


def opened(folder: Path, documents: dict[str, str]) -> OpenAgreement:
    folder.mkdir()
    for name, text in documents.items():
        (folder / name).write_text(text, "utf-8")
    return open_agreement(folder)


def asked(agreement: OpenAgreement) -> Explanation:
    question = agreement.question(
        action="serve", party="maker", product="chat-1", cloud="own", as_of="2024-06-01", known_at="2024-06-02"
    )
    return explain(agreement, question)


def verified(tmp_path: Path, name: str, before: str, after: str) -> DecisionVerification:
    recorded = asked(opened(tmp_path / "before", DOCUMENTS))
    assert before in DOCUMENTS[name]
    edited = {**DOCUMENTS, name: DOCUMENTS[name].replace(before, after, 1)}
    return verify(opened(tmp_path / "after", edited), recorded)


# what is edited, where, from, to
SAME = [
    ("a typing mistake in prose", "A1.md", "served on the other cloud alone", "served only on the other cloud"),
    ("a title", "A1.md", "title: The first", "title: First"),
    ("an empty line", "A1.md", "## 1.2", "\n## 1.2"),
    ("the order of keys", "A1.md", "party: maker\nproducts: [api]", "products: [api]\nparty: maker"),
    ("a list written otherwise", "A1.md", "products: [api]", "products:\n  - api"),
    ("the words of a source", "agreement.md", "T: the text", "T: the text, as published"),
]
OTHERWISE = [
    ("a cloud", "A1.md", "only: {clouds: [other]}", "only: {clouds: [own]}"),
    ("a day", "A1.md", "effective: 2024-01-01", "effective: 2024-01-02"),
    ("a figure", "agreement.md", "value: 10 %", "value: 11 %"),
    ("a default reading", "agreement.md", "options: [a, b]", "options: [b, a]"),
    ("a party", "agreement.md", "parties: [maker, buyer]", "parties: [maker, buyer, other-one]"),
]


@pytest.mark.parametrize(("name", "before", "after"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_an_edit_without_a_change_of_meaning(tmp_path: Path, name: str, before: str, after: str) -> None:
    done = verified(tmp_path, name, before, after)
    assert done.same, done.differences
    assert done.recorded.id == done.now.id
    assert done.recorded.agreement != done.now.agreement
    assert [note.what for note in done.notes] == ["text of the agreement"]


@pytest.mark.parametrize(
    ("name", "before", "after"), [case[1:] for case in OTHERWISE], ids=[case[0] for case in OTHERWISE]
)
def test_an_edit_of_the_meaning(tmp_path: Path, name: str, before: str, after: str) -> None:
    done = verified(tmp_path, name, before, after)
    assert not done.same
    assert "agreement" in [difference.what for difference in done.differences]


def test_a_deadline_is_meant() -> None:
    meant = []
    for days in (30, 31, 30):
        texts = documents("id: t\nkind: permission\nparty: shop\nactions: [sell]\nproducts: [apps]\nuntil: late")
        late = f"events:\n  late: {{says: It is late., source: [T], after: milestone, days: {days}}}\nrules:"
        texts["agreement.md"] = texts["agreement.md"].replace("rules:", late, 1)
        meant.append(meaning_of(reading(texts).agreement))
    assert meant[0] == meant[2] != meant[1]


def test_facts_mean_the_same_in_any_order_and_are_no_part_of_the_text() -> None:
    granted = [f"kind: grant, product: apps, party: {party}, effective: 2024-06-01" for party in ("shop", "rival")]
    with_facts = reading(documents("", granted))
    facts = with_facts.facts.facts
    assert meaning_of_facts(facts) == meaning_of_facts(facts[::-1]) != meaning_of_facts(facts[:1])
    assert with_facts.agreement.text_digest == reading(documents("")).agreement.text_digest


def test_formatting_changes_no_meaning(tmp_path: Path) -> None:
    loose = {name: text.replace("source: [T]", "source:   [ T ]") for name, text in DOCUMENTS.items()}
    recorded = asked(opened(tmp_path / "before", loose))
    laid_out = {name: format_document(text) for name, text in loose.items()}
    assert laid_out != loose
    assert verify(opened(tmp_path / "after", laid_out), recorded).same


def test_the_same_text_has_nothing_to_note(tmp_path: Path) -> None:
    agreement = opened(tmp_path / "ours", DOCUMENTS)
    done = verify(agreement, asked(agreement))
    assert (done.same, done.differences, done.notes) == (True, (), ())


# action, what is written beside its answer, and what differs: part, recorded, now
BESIDE = [
    ("share-revenue", True, []),
    ("share-revenue", False, [("due", "False", "True")]),
    ("serve", True, [("due", "True", "none")]),
    ("share-revenue", msgspec.UNSET, []),  # left out, it says nothing
]


@pytest.mark.parametrize(("action", "due", "differs"), BESIDE)
def test_whether_a_share_is_due_is_asked_again(
    tmp_path: Path, action: str, due: bool | msgspec.UnsetType, differs: list[tuple[str, str, str]]
) -> None:
    agreement = opened(tmp_path / "ours", DOCUMENTS)
    to, cloud = ("buyer", "") if action == "share-revenue" else ("", "own")
    question = agreement.question(
        action=action, party="maker", product="chat-1", to=to, cloud=cloud, as_of="2024-06-01"
    )
    done = verify(agreement, msgspec.structs.replace(explain(agreement, question), due=due))
    assert [(part.what, part.recorded, part.now) for part in done.differences] == differs
    assert done.same == (not differs)


def test_a_newer_language_leaves_the_meaning_of_a_text_as_it_was() -> None:
    """Receipts of earlier versions hold this digest. A field that the language learns later counts only where used."""
    assert (
        read_agreement(DOCUMENTS).meaning_digest == "7b976454b336da09361d25d4529a39b90a3d1c4a3dca303cda9f6281c890a16d"
    )
