"""The JSON Schema of blocks accepts what the reader accepts, and refuses every mistake of shape that it refuses."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from small_agreement import DOCUMENTS, with_edits
from test_malformed_agreements import ALL

from clauseway.agreement.authoring.json_schema import BLOCKS, DOCS, block_schema
from clauseway.agreement.language.terms import KINDS
from clauseway.agreement.text.entries import Plain
from clauseway.agreement.text.markdown import Block, take_apart
from clauseway.agreement.text.mistakes import Mistakes
from clauseway.agreement.text.yaml_text import read_yaml
from housed_data import DOCUMENTS as HOUSED

SCHEMA = block_schema()
BUILT_IN = resources.files("clauseway.agreement") / "builtin"
# Mistakes that one block shows by itself, whatever else the agreement defines.
SHAPE = re.compile(
    r"does not fit|^unknown (key|kind of|rule|standing|value of)|^'[\w-]+' is missing|leaves no choice|is not a mapping"
)


def blocks(text: str) -> tuple[Block, ...]:
    return take_apart(text, Mistakes("a document")).blocks


def as_an_editor_reads_it(text: str) -> Any:
    """YAML 1.2: true is no text, a number is a number, a day is a text."""

    def typed(value: Plain) -> Any:
        if isinstance(value, dict):
            return {key: typed(member) for key, member in value.items()}
        if isinstance(value, list):
            return [typed(item) for item in value]
        return json.loads(value) if re.fullmatch(r"true|false|-?(0|[1-9]\d*)(\.\d+)?", value) else value

    entry = read_yaml(text, 1, Mistakes("a block"))
    assert entry is not None, text
    return typed(entry.plain())


def mistakes(block: Block) -> list[str]:
    of_kind = {**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{block.kind}"}]}
    validator = Draft202012Validator(of_kind, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(as_an_editor_reads_it(block.text))]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(BLOCKS) <= SCHEMA["$defs"].keys()


def test_sellers_and_regions_fit() -> None:
    read = [block for text in HOUSED.values() for block in blocks(text)]
    assert [message for block in read for message in mistakes(block)] == []
    for wrong in ("regions: [eu]", "regions: {eu: [south-1]}", "regions: {eu: {south: south-1}}"):
        [block] = blocks(f"```yaml definitions\n{wrong}\n```\n")
        assert mistakes(block), wrong


@pytest.mark.parametrize("folder", ["anthropic-clouds", "openai-microsoft", "template"])
def test_the_agreements_that_ship_fit(folder: str) -> None:
    read = [block for file in (BUILT_IN / folder).iterdir() for block in blocks(file.read_text("utf-8"))]
    assert len(read) > 15
    assert [(block.line, errors) for block in read if (errors := mistakes(block))] == []
    assert all(Draft202012Validator(SCHEMA).is_valid(as_an_editor_reads_it(block.text)) for block in read)


def test_the_template_shows_every_kind_of_term() -> None:
    texts = "".join(file.read_text("utf-8") for file in (BUILT_IN / "template").iterdir())
    assert {kind for kind in KINDS if f"kind: {kind}\n" in texts} == set(KINDS)


def told_of_shape() -> Iterator[tuple[str, str, int]]:
    """The malformed agreements whose mistake is one of shape: name, file and line of each such mistake."""
    for name, case in ALL.items():
        for text in case.told:
            place, _, what = text.partition(" ")
            document, _, line = place.partition(":")
            if SHAPE.search(what) and block_at(name, document, int(line)) is not None:
                yield name, document, int(line)


def block_at(name: str, document: str, line: int) -> Block | None:
    documents = DOCUMENTS | with_edits(*ALL[name].edits)
    for block in blocks(documents.get(document, "")):
        if block.line <= line <= block.line + block.text.count("\n"):
            return block
    return None


@pytest.mark.parametrize(("name", "document", "line"), list(told_of_shape()))
def test_a_mistake_of_shape_is_one_by_the_schema(name: str, document: str, line: int) -> None:
    block = block_at(name, document, line)
    assert block is not None
    assert mistakes(block)


def test_there_are_enough_mistakes_of_shape() -> None:
    assert len(set(told_of_shape())) > 20


def described(schema: Any) -> Iterator[tuple[str, bool]]:
    if isinstance(schema, dict):
        for key, value in schema.get("properties", {}).items():
            yield key, bool(value.get("description"))
        for value in schema.values():
            yield from described(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from described(value)


def test_every_key_is_described_and_every_description_is_of_a_key() -> None:
    keys = dict(described(SCHEMA))
    assert [key for key, description in keys.items() if not description] == []
    assert {key.rpartition(".")[2] for key in DOCS} <= keys.keys()


def test_every_kind_is_described_in_whole_sentences() -> None:
    descriptions = [
        definition.get("description", "A description is missing")
        for name, definition in SCHEMA["$defs"].items()
        if name.startswith(("term.", "fact."))
    ]
    assert [description for description in descriptions if not description.endswith(".")] == []
