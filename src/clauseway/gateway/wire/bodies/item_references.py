"""Items of earlier answers that a body names by their identifiers, and in a chat what a model said
aloud. The cloud reads them from what it has stored. Pure."""

from typing import Final

import msgspec

from clauseway.gateway.wire.bodies.members import (
    each_readable,
    may_name_sounds,
    members_once,
    objects_once,
    read_or,
)
from clauseway.gateway.wire.bodies.needs import ABSENT, ItemReference
from clauseway.values import NOT_JSON


class _Item(msgspec.Struct, gc=False):
    """`container_id` is where the call of a code interpreter ran."""

    id: str | None = None
    type: str | None = None
    role: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    encrypted_content: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT
    container_id: msgspec.Raw = ABSENT


class _Body(msgspec.Struct, gc=False):
    """A request of Responses (`input`), or items for a conversation (`items`)."""

    input: msgspec.Raw = ABSENT
    items: msgspec.Raw = ABSENT


class _Chat(msgspec.Struct, gc=False):
    messages: msgspec.Raw = ABSENT


class _Sound(msgspec.Struct, gc=False):
    id: str | None = None


class _Thought(msgspec.Struct, gc=False):
    """A part of what a model thought."""

    text: str | None = None


_decode_body: Final = msgspec.json.Decoder(_Body).decode
_decode_item: Final = msgspec.json.Decoder(_Item).decode
_decode_chat: Final = msgspec.json.Decoder(_Chat).decode
_decode_sound: Final = msgspec.json.Decoder(_Sound).decode
_decode_thought: Final = msgspec.json.Decoder(_Thought).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_SOUND: Final = frozenset({"audio"})
_SOUND_READ: Final = frozenset(_Sound.__struct_fields__)


def items_named_in(body: bytes) -> tuple[ItemReference, ...]:
    """Return the items of earlier answers that a body names, and the containers of earlier calls."""
    if b'"id"' not in body and b'"container_id"' not in body and b"\\u00" not in body:
        return ()
    members = read_or(_decode_body, body, _Body())
    items = [
        item
        for written in (members.input, members.items)
        for item in each_readable(written, _decode_item)
    ]
    named = [reference for item in items if (reference := _reference(item)) is not None]
    return (*named, *[_container_of(item) for item in items if _is_text(item.container_id)])


def sounds_named_in(body: bytes) -> tuple[ItemReference, ...]:
    """Return what earlier answers said aloud that the messages of a chat name. Raise
    RepeatedMember."""
    if not may_name_sounds(body):
        return ()
    sounds = []
    try:
        for members in objects_once(_decode_chat(body).messages, _SOUND, "messages"):
            sound = members.get("audio", ABSENT)
            if bytes(sound).startswith(b"{"):
                members_once(sound, _SOUND_READ, "messages.audio")
                sounds.append(_decode_sound(sound).id)
    except NOT_JSON:
        pass  # its cloud says what is wrong with it
    return tuple([ItemReference(name, is_bare=False) for name in sounds if name])


def _reference(item: _Item) -> ItemReference | None:
    if not item.id:
        return None
    if item.type == "item_reference" or (not item.type and not _is_text(item.role)):
        return ItemReference(item.id, is_bare=True)
    if item.type == "image_generation_call":
        return ItemReference(item.id, is_bare=not _is_text(item.result))
    if item.type == "reasoning" and not _brings_thinking(item):
        return ItemReference(item.id, is_bare=False)
    return None


def _container_of(item: _Item) -> ItemReference:
    """Return the container in which a call ran."""
    return ItemReference(_decode_text(item.container_id), is_bare=False, is_container=True)


def _brings_thinking(item: _Item) -> bool:
    """Return whether an item says what was thought, so that no cloud needs to look it up."""
    if _is_text(item.encrypted_content):
        return True
    return any(thought.text for thought in each_readable(item.content, _decode_thought))


def _is_text(written: msgspec.Raw) -> bool:
    """Return whether a member is there, and is a text that says something."""
    return bool(read_or(_decode_text, written, ""))
