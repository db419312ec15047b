"""No name means anything: rename all parties, clouds, products and classes, and every answer stays.

The texts themselves are renamed, so that reader, catalog, facts and decisions all see other names,
in another alphabetical order.
"""

import re
from collections.abc import Mapping
from datetime import date

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from clauseway import KnownAt, OpenAgreement, open_agreement
from clauseway.agreement import boundaries
from clauseway.app.opening.library import SHIPPED, agreement_of
from clauseway.catalog import Catalog
from clauseway.decisions import DecisionTable, Question, all_questions, check_readings, compile_table
from soak import examples

EVERYTHING = KnownAt.everything()
# A word of the text that may be a name; `A3.api` is one word, and no name.
WORD = re.compile(r"[A-Za-z0-9][\w.-]*")


def names(catalog: Catalog) -> list[str]:
    return sorted({*catalog.parties, *catalog.clouds, *catalog.products, *catalog.classes})


def renamed(opened: OpenAgreement, new: Mapping[str, str]) -> OpenAgreement:
    texts = {
        document: WORD.sub(lambda word: new.get(word[0], word[0]), text) for document, text in opened.documents.items()
    }
    return agreement_of(texts)


def question_of(asked: Question, new: Mapping[str, str]) -> Question:
    parts = {part: getattr(asked, part) for part in ("party", "to", "product", "cloud", "seller")}
    return msgspec.structs.replace(asked, **{part: new.get(name, name) for part, name in parts.items()})


def table(opened: OpenAgreement, readings: Mapping[str, str]) -> DecisionTable:
    return compile_table(opened.agreement, opened.catalog, opened.facts, EVERYTHING, readings)


def days(opened: OpenAgreement) -> list[date]:
    return sorted(boundaries(opened.agreement, opened.facts, EVERYTHING))


@pytest.mark.parametrize("shipped", SHIPPED)
@given(data=st.data())
# Another order of names is no simpler one: there is nothing to shrink to.
@settings(max_examples=examples(3), phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_renaming_everything_changes_no_outcome(shipped: str, data: st.DataObject) -> None:
    opened = open_agreement(shipped)
    old = names(opened.catalog)
    new = dict(zip(old, data.draw(st.permutations([f"n{number:02}" for number in range(len(old))])), strict=True))
    readings = {
        name: data.draw(st.sampled_from(reading.options)) for name, reading in opened.agreement.readings.items()
    }
    other = renamed(opened, new)
    assert names(other.catalog) == sorted(new.values())
    ours, theirs = table(opened, readings), table(other, check_readings(other.agreement, readings))
    differing = [
        f"{ours.answer(question).outcome}: {question}"
        for day in days(opened)
        for question in all_questions(
            opened.agreement, opened.catalog, as_of=day, known_at=EVERYTHING, readings=readings
        )
        if ours.answer(question).outcome != theirs.answer(question_of(question, new)).outcome
    ]
    assert differing == []
