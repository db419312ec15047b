"""Every setting of the gateway's configuration, from the records that read the file."""

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta

from clauseway.app.opening.configuration import Configuration, example_text
from docsite.tables import code, table

_NO_MEANING = "See the example below."


class _Held(NamedTuple):
    """A record within a field, and whether the field holds a list of them."""

    record: type[msgspec.Struct]
    is_repeated: bool


def configuration_page() -> str:
    """Return the page: a table for each part of the file, then the example that ships."""
    lines = [
        "# Configuration",
        "",
        "Made from the records that read `clauseway.toml`. `clauseway config example` prints the commented file that "
        "stands at the end of this page; `clauseway config check` names every mistake with its line.",
        "",
        *_part("The file itself", Configuration),
        "## The example that ships",
        "",
        "```toml",
        example_text().rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _part(title: str, record: type[msgspec.Struct]) -> Iterator[str]:
    yield from [f"## {title}", "", " ".join((record.__doc__ or "").split()), ""]
    fields = msgspec.structs.fields(record)
    below = {field.encode_name: inner for field in fields if (inner := _record_in(field.type))}
    rows = (
        [code(field.encode_name), _type_name(field.type), _default(field), _meaning(field)]
        for field in fields
        if field.encode_name not in below
    )
    yield from table(["setting", "value", "left out", "meaning"], rows)
    for name, held in below.items():
        yield from _part(f"`[[{name}]]`" if held.is_repeated else f"`[{name}]`", held.record)


def _record_in(annotated: Any) -> _Held | None:
    """Return the record that a field holds, if it holds one or several."""
    if isinstance(annotated, type) and issubclass(annotated, msgspec.Struct):
        return _Held(annotated, is_repeated=False)
    inner = get_args(annotated)
    is_list = get_origin(annotated) is tuple and isinstance(inner[0], type)
    if is_list and issubclass(inner[0], msgspec.Struct):
        return _Held(inner[0], is_repeated=True)
    return None


def _type_name(annotated: Any) -> str:
    info = msgspec.json.schema(annotated)
    if "anyOf" in info:
        return " or ".join(part["type"] for part in info["anyOf"] if part["type"] != "null")
    if "enum" in info:
        return ", ".join(code(word or '""') for word in info["enum"])
    names = {
        "object": "table",
        "array": "list",
        "integer": "whole number",
        "boolean": "true or false",
    }
    return names.get(info["type"], str(info["type"]))


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is NODEFAULT or field.default in ("", (), None):
        return ""
    if isinstance(field.default, bool):
        return code(str(field.default).lower())
    if isinstance(field.default, tuple):
        return code(str(list(field.default)).replace("'", '"'))
    return code(str(field.default))


def _meaning(field: msgspec.structs.FieldInfo) -> str:
    return next(
        (meta.description or "" for meta in _metas(field.type) if meta.description), _NO_MEANING
    )


def _metas(annotated: Any) -> Iterator[Meta]:
    if get_origin(annotated) is Annotated:
        yield from (each for each in get_args(annotated)[1:] if isinstance(each, Meta))
