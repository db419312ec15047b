"""Identifiers of resources that a body names outside the members that are decoded by type: files
in parts of messages and of tools, and whatever the lines of a batch's file name."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from clauseway.gateway.wire.bodies.members import decode_members
from clauseway.gateway.wire.bodies.needs import ABSENT
from clauseway.values import NOT_JSON

_FILE_ID: Final = re.compile(rb'"file_id"\s*:\s*"([^"]{1,200})"')
_FILE_IDS: Final = re.compile(rb'"file_ids"\s*:\s*\[([^\]]*)\]')
_PREVIOUS: Final = re.compile(rb'"previous_response_id"\s*:\s*"([^"]{1,200})"')
_QUOTED: Final = re.compile(rb'"([^"]{1,200})"')
# Letters, digits, _ and - as JSON \u escapes, so that an escaped file id is found too.
_ESCAPED: Final = re.compile(rb"\\u00(2[dD]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])")


class _Function(msgspec.Struct, gc=False):
    parameters: msgspec.Raw = ABSENT


class _Tool(_Function, gc=False):
    """A tool of chat completions (`function: {…}`), of Responses (flat) or of messages."""

    function: _Function | None = None
    input_schema: msgspec.Raw = ABSENT
    input_examples: msgspec.Raw = ABSENT


class _Block(msgspec.Struct, gc=False):
    """A part of a message. Messages hold the arguments of a tool call as an object, `input`."""

    input: msgspec.Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Block] | None = None


_decode_tools: Final = msgspec.json.Decoder(list[_Tool]).decode
_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode


def files_in(body: bytes) -> list[str]:
    """Return the files that a body names. A member of the client's own data that is called so (in
    `metadata`, the parameters of a tool, the arguments of a call) names none."""
    if b"\\u00" in body:
        body = _ESCAPED.sub(_unescaped, body)
    if b'"file_id' not in body:
        return []
    named = _named_in(body)
    if not named:
        return []
    # INVARIANT: every occurrence outside the client's own data stays, so a file of another project
    # is never left out because its name stands in that data too.
    own = Counter(name for written in _own_data_in(body) for name in _named_in(written))
    files = []
    for name in named:
        if own[name]:
            own[name] -= 1
        else:
            files.append(name)
    return files


def _named_in(written: bytes) -> list[str]:
    named = _FILE_ID.findall(written)
    for several in _FILE_IDS.findall(written):
        named += _QUOTED.findall(several)
    return [name.decode("utf-8", "replace") for name in named]


def _own_data_in(body: bytes) -> Iterator[bytes]:
    """Yield the objects of a body that clouds keep or hand to the model, and read no files from.
    Members that cannot be read hold none."""
    try:
        members = decode_members(body)
    except NOT_JSON:
        return
    own = [members.get("metadata", ABSENT)]
    try:
        for tool in _decode_tools(members.get("tools", b"[]")):
            own += (tool.parameters, tool.input_schema, tool.input_examples)
            if tool.function is not None:
                own.append(tool.function.parameters)
    except NOT_JSON:
        pass
    try:
        for message in _decode_messages(members.get("messages", b"[]")):
            if isinstance(message.content, list):
                own += [block.input for block in message.content]
    except NOT_JSON:
        pass
    for value in own:
        written = bytes(value)
        if written.startswith((b"{", b"[")):
            yield written


def identifiers_in_lines(body: bytes) -> list[str]:
    """Return the identifiers that the lines of a file name: of earlier responses and of files."""
    previous = [name.decode("utf-8", "replace") for name in _PREVIOUS.findall(body)]
    return [*previous, *files_in(body)]


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))
