"""Identifiers of resources that a body names outside the members that are decoded by type: files
in parts of messages and of tools, vector stores that a tool searches, containers in which a tool
runs, wherever the tool stands, and whatever the lines of a batch's file name."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.wire.bodies.members import (
    Members,
    decode_members,
    each_readable,
    members_once,
    read_or,
)
from clauseway.gateway.wire.bodies.needs import ABSENT, stated
from clauseway.values import NOT_JSON

_NAME_MAX: Final = 200  # characters of an identifier
# A bracket or an escaped quote within a text ends neither it nor the list.
_TEXT: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"'


def _spelled(name: bytes) -> bytes:
    """Return the pattern of a name each letter of which may be an escape."""
    return b"".join([rb"(?:%c|\\u00(?i:%02x))" % (letter, letter) for letter in name])


class _Patterns(NamedTuple):
    """What names one file, and what names several files or vector stores."""

    file_id: re.Pattern[bytes]
    several_ids: re.Pattern[bytes]


def _as_written(name: bytes) -> bytes:
    return name


def _patterns(spell: Callable[[bytes], bytes], most: int) -> _Patterns:
    """Return the patterns of members whose names `spell` writes, of which a value has `most` bytes
    at most."""
    file_id, file_ids = spell(b"file_id"), spell(b"file_ids")
    vector_store_ids = spell(b"vector_store_ids")
    return _Patterns(
        re.compile(rb'"%b"\s*:\s*"([^"]{1,%d})"' % (file_id, most)),
        # Another list begins with a bracket: where one does not end, it is not looked for again.
        re.compile(
            rb'"(?:%b|%b)"\s*:\s*\[([^\[\]"]*(?:%b[^\[\]"]*)*)\]'
            % (file_ids, vector_store_ids, _TEXT)
        ),
    )


_PLAIN: Final = _patterns(_as_written, _NAME_MAX)
# An escape has six bytes. Names are found as they are written, and unescaped alone: to unescape a
# body would take a second for each million of its escapes.
_WITH_ESCAPES: Final = _patterns(_spelled, 6 * _NAME_MAX)
_IN_LINES: Final = re.compile(
    rb'"(?:previous_response_id|conversation|id|container|container_id)"\s*:\s*"([^"]{1,200})"'
)
_TEXTS: Final = re.compile(_TEXT)
# Letters, digits, _ and - as JSON \u escapes, so that an escaped identifier is found too.
_ESCAPED: Final = re.compile(rb"\\u00(2[dD]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])")


class _Function(msgspec.Struct, gc=False):
    parameters: msgspec.Raw = ABSENT


class _Tool(_Function, gc=False):
    """A tool of chat completions (`function: {…}`), of Responses (flat) or of messages."""

    function: _Function | None = None
    input_schema: msgspec.Raw = ABSENT
    input_examples: msgspec.Raw = ABSENT


class _Place(msgspec.Struct, gc=False):
    """Where a tool runs, or the call of an item ran; a namespace and an item have tools of their
    own."""

    container: msgspec.Raw = ABSENT
    environment: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT


class _Environment(msgspec.Struct, gc=False):
    container_id: str | None = None


class _Part(msgspec.Struct, gc=False):
    """A part of a message. Messages hold the arguments of a tool call as an object, `input`, and
    may define a `tool`; what an earlier answer cited stands in the `annotations` of its text."""

    type: str | None = None
    input: msgspec.Raw = ABSENT
    tool: msgspec.Raw = ABSENT
    annotations: msgspec.Raw = ABSENT


class _Item(msgspec.Struct, gc=False):
    """A message, or another item; that of an earlier search has what it found, `results`, another
    brings `tools` along."""

    type: str | None = None
    content: str | list[_Part] | None = None
    results: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT


_decode_tools: Final = msgspec.json.Decoder(list[_Tool]).decode
_decode_place: Final = msgspec.json.Decoder(_Place).decode
_decode_environment: Final = msgspec.json.Decoder(_Environment).decode
_decode_name: Final = msgspec.json.Decoder(str).decode
_ENVIRONMENT_READ: Final = frozenset(_Environment.__struct_fields__)
_decode_items: Final = msgspec.json.Decoder(str | list[_Item] | None).decode
# The members that hold messages or items: of chats and messages, of Responses, of conversations.
_ITEMS: Final = ("messages", "input", "items")
# Tools stand in items, and within a namespace among those.
_LISTS_WITHIN_ITEMS: Final = 2


def identifiers_in(body: bytes) -> list[str]:
    """Return the files and vector stores that a body names, and the containers of its items. Raise
    RepeatedMember."""
    return [*_files_in(body), *_containers_of_items(body)]


def _files_in(body: bytes) -> list[str]:
    """Return the files and vector stores that a body names. A member that is called so names none
    in the client's own data (`metadata`, the parameters of a tool, the arguments of a call) and in
    what an earlier answer cited."""
    if b"\\u00" not in body and b'"file_id' not in body and b'"vector_store_ids"' not in body:
        return []
    named = _named_in(body)
    if not named:
        return []
    # INVARIANT: every occurrence outside the data that is not read stays, so a file of another
    # project is never left out because its name stands in that data too.
    unread = Counter(name for written in _unread_in(body) for name in _named_in(written))
    identifiers = []
    for name in named:
        if unread[name]:
            unread[name] -= 1
        else:
            identifiers.append(name)
    return identifiers


def _named_in(written: bytes) -> list[str]:
    has_escapes = b"\\u00" in written
    patterns = _WITH_ESCAPES if has_escapes else _PLAIN
    named = patterns.file_id.findall(written)
    for several in patterns.several_ids.findall(written):
        named += [text[1:-1] for text in _TEXTS.findall(several)]
    if has_escapes:
        named = [_ESCAPED.sub(_unescaped, name) for name in named]
    return [name.decode("utf-8", "replace") for name in named if name]


def _unread_in(body: bytes) -> Iterator[bytes]:
    """Yield the values of a body that clouds keep or hand to the model, and read no files by.
    Members that cannot be read hold none."""
    members: Members = read_or(decode_members, body, {})
    unread = [members.get("metadata", ABSENT), *_schemas_of(members.get("tools", ABSENT))]
    for name in _ITEMS:
        items = read_or(_decode_items, members.get(name, b"[]"), None)
        for item in items if isinstance(items, list) else ():
            unread += _schemas_of(item.tools)
            if item.type == "file_search_call":
                unread.append(item.results)
            for part in item.content if isinstance(item.content, list) else ():
                unread.append(part.input)
                if part.type == "tool_addition":  # no tool of messages names a file
                    unread.append(part.tool)
                if part.type == "output_text":
                    unread.append(part.annotations)
    for value in unread:
        written = bytes(value)
        if written.startswith((b"{", b"[")):
            yield written


def _schemas_of(tools: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the schemas and examples of a list of tools; none where it cannot be read."""
    if tools is ABSENT:
        return []
    listed: list[_Tool] = read_or(_decode_tools, tools, [])
    schemas = []
    for tool in listed:
        schemas += [tool.parameters, tool.input_schema, tool.input_examples]
        if tool.function is not None:
            schemas.append(tool.function.parameters)
    return schemas


def containers_in(tools: msgspec.Raw, lists_within: int = 1) -> list[str]:
    """Return the containers that tools name: in place of the settings of a new one, or as the
    environment of a shell. `lists_within` is how deep further lists of tools may stand: no cloud
    has a namespace within another. Raise RepeatedMember."""
    written = bytes(tools)
    if b'"container' not in written and b"\\u00" not in written:
        return []
    named = []
    for place in each_readable(written, _decode_place):
        named += [_name_in(place.container), _container_of(place.environment)]
        if lists_within and place.tools is not ABSENT:
            named += containers_in(place.tools, lists_within - 1)
    return [name for name in named if name]


def _containers_of_items(body: bytes) -> list[str]:
    """Return the containers that items name, themselves or by the tools that they bring along."""
    if b'"container' not in body and b"\\u00" not in body:
        return []
    members: Members = read_or(decode_members, body, {})
    return [
        name
        for items in _ITEMS
        for name in containers_in(members.get(items, ABSENT), _LISTS_WITHIN_ITEMS)
    ]


def _name_in(container: msgspec.Raw) -> str:
    """Return the container that is named; empty where it is a new one's settings."""
    return _decode_name(container) if bytes(container).startswith(b'"') else ""


def _container_of(environment: msgspec.Raw) -> str:
    if not stated(environment):
        return ""
    try:
        members_once(environment, _ENVIRONMENT_READ, "tools.environment")
        return _decode_environment(environment).container_id or ""
    except NOT_JSON:
        return ""


def identifiers_in_lines(body: bytes) -> list[str]:
    """Return what the lines of a file may name by identifier: earlier responses, conversations and
    items, containers, files and vector stores."""
    named = {name.decode("utf-8", "replace"): None for name in _IN_LINES.findall(body)}
    return [*named, *identifiers_in(body)]


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))
