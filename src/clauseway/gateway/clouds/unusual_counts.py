"""Usage whose counts are written otherwise than as whole numbers: `32.0`, or null for what was not
counted; or in an answer with half of a surrogate pair in its text. Pure.

Some servers write them so, or leave out of which kind a report is. They are read only where the
usual shapes refuse a report, so that usual reports cost no more. A number with a fraction is no
count. A part that is no count is left out, as if it had not been reported; without a whole that is
one, the report is none. Both are omissions, and are counted by the names of what is left out.
"""

from typing import TypeVar, get_args, get_origin

import msgspec

from clauseway.gateway.clouds.half_pairs import without_half_pairs
from clauseway.values import NOT_JSON

# How often each part of usage reports was left out, by its name.
Omissions = dict[str, int]
_Answer = TypeVar("_Answer")
# A report without its input is none; one whose output is null has the rest of the total, or nothing.
# OpenAI leaves the output of an empty text out of the report: then the total has to tell it.
_INPUT_AND_OUTPUT = (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))


def note_omission(omissions: Omissions | None, part: str) -> None:
    """Count that a part of a report was left out."""
    if omissions is not None:
        omissions[part] = omissions.get(part, 0) + 1


def answer_with_counts(
    kind: type[_Answer], answer: bytes, omissions: Omissions | None = None
) -> _Answer | None:
    """Return an answer of a kind with the counts that it reports; None if they are none."""
    try:
        counted = _with_counts(msgspec.json.decode(without_half_pairs(answer)))
        return msgspec.convert(_without_unreadable(counted, kind, omissions), kind)
    except NOT_JSON:
        return None


def _without_unreadable(value: object, kind: object, omissions: Omissions | None) -> object:
    """Return a value of a kind without the members that cannot be read and need not be there."""
    shape = _shape_of(value, kind)
    if shape is None or not isinstance(value, dict):
        return value
    members = dict(value)
    config = shape.__struct_config__
    if config.tag_field is not None:
        members[config.tag_field] = config.tag
    for field in msgspec.structs.fields(shape):
        name = field.name
        if name not in members:
            continue
        member = members[name]
        if isinstance(member, list):
            members[name] = _readable_items(member, field.type, omissions)
            if len(members[name]) < len(member):
                note_omission(omissions, name)
        else:
            members[name] = _without_unreadable(member, field.type, omissions)
        if not field.required and not _is_readable(members[name], field.type):
            note_omission(omissions, name)
            del members[name]
    return members


def _readable_items(
    values: list[object], kind: object, omissions: Omissions | None
) -> list[object]:
    """Return the items that can be read, where a list is of a kind."""
    kinds = [item for part in (kind, *get_args(kind)) for item in _items_of(part)]
    if not kinds:
        return values
    items = [_without_unreadable(value, kinds[0], omissions) for value in values]
    return [item for item in items if _is_readable(item, kinds[0])]


def _items_of(kind: object) -> tuple[object, ...]:
    """Return the kind of a list's items; nothing where it is no list."""
    return get_args(kind) if get_origin(kind) is list else ()


def _is_readable(value: object, kind: object) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _shape_of(value: object, kind: object) -> type[msgspec.Struct] | None:
    """Return the struct that a value of a kind has to be: of several, the one that it names by its
    tag or, where it names none, the one whose members it has; None if there is none."""
    if not isinstance(value, dict):
        return None
    for shape in (kind, *get_args(kind)):
        if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
            tag = shape.__struct_config__.tag
            if tag is None or (value.get("type", tag) == tag and _required(shape) <= value.keys()):
                return shape
    return None


def _required(shape: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(shape) if field.required}


def _with_counts(answer: object) -> object:
    if not isinstance(answer, dict):
        return answer
    members = dict(answer)
    for name in ("usage", "tool_usage"):
        if isinstance(members.get(name), dict):
            members[name] = _counts_of(members[name])
    # An event carries the response, or the message, that reports its usage.
    for name in ("response", "message"):
        if isinstance(members.get(name), dict):
            members[name] = _with_counts(members[name])
    return members


def _counts_of(usage: dict[str, object]) -> dict[str, object]:
    counts = {name: _count(value) for name, value in usage.items()}
    for read, written in _INPUT_AND_OUTPUT:
        tokens_in, total = counts.get(read), counts.get("total_tokens")
        if counts.get(written) is not None or not isinstance(tokens_in, int):
            continue
        if isinstance(total, int):
            counts[written] = max(total - tokens_in, 0)
        elif written in counts:
            counts[written] = 0
    return counts


def _count(value: object) -> object:
    if isinstance(value, dict):
        return _counts_of(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
