"""Items of earlier answers that a body names by their identifiers. The cloud reads them from what it
has stored. Pure."""

from typing import Final

import msgspec

from clauseway.gateway.wire.bodies.members import each_readable
from clauseway.gateway.wire.bodies.needs import ABSENT, ItemReference, stated
from clauseway.values import NOT_JSON


class _Item(msgspec.Struct, gc=False):
    id: str | None = None
    type: str | None = None
    role: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    encrypted_content: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT


class _Body(msgspec.Struct, gc=False):
    """A request of Responses (`input`), or items for a conversation (`items`)."""

    input: msgspec.Raw = ABSENT
    items: msgspec.Raw = ABSENT


_decode_body: Final = msgspec.json.Decoder(_Body).decode
_decode_item: Final = msgspec.json.Decoder(_Item).decode


def items_named_in(body: bytes) -> tuple[ItemReference, ...]:
    """Return the items of earlier answers that a body names."""
    if b'"id"' not in body and b"\\u00" not in body:
        return ()
    try:
        members = _decode_body(body)
    except NOT_JSON:
        return ()
    items = [
        item
        for written in (members.input, members.items)
        for item in each_readable(written, _decode_item)
    ]
    return tuple([named for item in items if (named := _reference(item)) is not None])


def _reference(item: _Item) -> ItemReference | None:
    if not item.id:
        return None
    if item.type == "item_reference" or (item.type is None and not stated(item.role)):
        return ItemReference(item.id, is_bare=True)
    if item.type == "image_generation_call":
        return ItemReference(item.id, is_bare=not stated(item.result))
    if (
        item.type == "reasoning"
        and not stated(item.encrypted_content)
        and bytes(item.content) in (b"", b"null", b"[]")
    ):
        return ItemReference(item.id, is_bare=False)
    return None
