"""Every block of an agreement's text and its keys, from the JSON Schema of the blocks."""

from collections.abc import Iterator, Mapping
from typing import Any

from clauseway.agreement.authoring.json_schema import block_schema
from docsite.tables import code, table

_NO_BLOCKS = frozenset({"term", "facts", "fact", "text", "name"})


def blocks_page() -> str:
    """Return the page: a table of keys for each kind of term, fact and block."""
    definitions: Mapping[str, Any] = block_schema()["$defs"]
    lines = [
        "# Blocks of an agreement",
        "",
        "Made from the JSON Schema that `clauseway agreement schema` prints. What a term means stands in [what a term "
        "means](../terms.md).",
        "",
    ]
    for name, schema in definitions.items():
        if name not in _NO_BLOCKS and "properties" in schema:
            lines += _block(name, schema)
    return "\n".join(lines)


def _block(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    kind, _, of = name.partition(".")
    yield from [
        f"## {f'{kind}: {of}' if of else kind}",
        "",
        schema.get("description", "").replace("```yaml", "In a block"),
        "",
    ]
    required = set(schema.get("required", ()))
    rows = (
        [code(key), _form(value), "yes" if key in required else "", value.get("description", "")]
        for key, value in schema["properties"].items()
    )
    yield from table(["key", "value", "required", "meaning"], rows)
    for key, value in schema["properties"].items():
        for below in _entries(value):
            yield from _block(f"{name}.{key}", below)


def _entries(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the schemas of the records that stand by name under a key, as events do."""
    inner = value.get("additionalProperties") or value.get("items") or {}
    for schema in inner.get("anyOf", [inner]) if isinstance(inner, dict) else ():
        if "properties" in schema:
            yield schema


def _form(value: Mapping[str, Any]) -> str:
    """Return the form of a value in a few words."""
    if "const" in value:
        return code(str(value["const"]))
    if "enum" in value:
        return ", ".join(code(str(word)) for word in value["enum"])
    if "$ref" in value:
        return {"name": "name", "text": "text"}.get(value["$ref"].rpartition("/")[2], "block")
    if value.get("format") == "date":
        return "day"
    if value.get("type") == "array":
        return "list"
    if value.get("type") == "object":
        return "mapping"
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_form(each) for each in value["anyOf"]))
    return {"boolean": "true or false"}.get(str(value.get("type")), "text")
