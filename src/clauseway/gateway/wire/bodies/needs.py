"""The needs of a request, read from its values: the bits of its capabilities, and what its length
says nothing of.

Members at the top are decoded by type, and absent ones cost nothing. The parts of messages are
decoded only where the body has arrays to hold them: one for Responses, two for a chat, whose
messages are an array themselves. Tools may stand among the items too, and need there what they need
at the top. An unreadable part asks for nothing: it passes through, and its cloud says what is wrong
with it. For reservations it counts as the worst that it could be.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Final, NamedTuple

import msgspec

from clauseway.catalog import BITS, CAPABILITY_OF_TIER, Capability
from clauseway.gateway.clouds.usage_reports import SEARCHES_MAX
from clauseway.gateway.wire.bodies.addresses import check_addresses
from clauseway.gateway.wire.bodies.body_errors import FurtherModel, NotOffered
from clauseway.gateway.wire.bodies.members import (
    each_readable,
    may_have_parts,
    members_once,
    objects_once,
)
from clauseway.values import NOT_JSON


class ItemReference(NamedTuple):
    """An item of an earlier answer that a request names by its identifier. `is_bare`: the request
    says nothing else of it, so the cloud has to have stored it. Of other items the cloud may have
    stored more than the request says: what a model thought, or drew. `is_container`: it is where an
    earlier call ran, in which the cloud may go on; another cloud begins a new one."""

    identifier: str
    is_bare: bool
    is_container: bool = False


class Needs(NamedTuple):
    """The needs of a request. `bits` as in `catalog.BITS`.

    `images` count for more tokens than their bytes say. `unbounded`: it draws on what is not in the
    body (stored context, files and addresses, tools that the cloud runs), so nothing but the
    model's context bounds its input. `audio`: sound goes in or comes out. `cache_key` is what
    prompts with the same beginning share. `tier` is the tier of service that it asks for, in its
    own words. `tokens_max` is the most that its input can be where that is far less than a token
    for each byte, 0 elsewhere. `searches` is how often the cloud may search the web for it, `drawings`
    how many pictures it may draw. `frames` is how many pictures each of its choices consists of. `items`
    are the items of earlier answers that it names.
    """

    bits: int = 0
    images: int = 0
    unbounded: bool = False
    audio: bool = False
    cache_key: str = ""
    tier: str = ""
    tokens_max: int = 0
    searches: int = 0
    drawings: int = 0
    frames: int = 1
    items: tuple[ItemReference, ...] = ()


PLAIN = Needs()
# Stands for an absent member that is read only where it matters: the same object in every request.
ABSENT = msgspec.Raw()

_TOOLS, _CUSTOM, _PARALLEL = (
    BITS[Capability.TOOLS],
    BITS[Capability.CUSTOM_TOOLS],
    BITS[Capability.PARALLEL_TOOL_CALLS],
)
_DRAWING = BITS[Capability.IMAGE_GENERATION_TOOL]
_NO_AUTHOR: Final = "Ask the tool for another format, or have the model that chats write the SVG."
_CLIENT_TOOL_SEARCH = BITS[Capability.CLIENT_TOOL_SEARCH]
_JSON_MODE, _JSON_SCHEMA, _STRICT = (
    BITS[Capability.JSON_MODE],
    BITS[Capability.JSON_SCHEMA],
    BITS[Capability.STRICT_SCHEMA],
)
_VISION, _AUDIO_INPUT, _FILE_INPUT = (
    BITS[Capability.VISION],
    BITS[Capability.AUDIO_INPUT],
    BITS[Capability.FILE_INPUT],
)
TIERS: Mapping[str, int] = {
    tier: BITS[capability] for tier, capability in CAPABILITY_OF_TIER.items()
}
# Tools that the cloud itself runs, by the beginning of their type (`web_search`,
# `web_search_preview_2025_03_11`).
_HOSTED: Sequence[tuple[str, int]] = (
    ("web_search", BITS[Capability.WEB_SEARCH]),
    ("file_search", BITS[Capability.FILE_SEARCH]),
    ("code_interpreter", BITS[Capability.CODE_INTERPRETER]),
    ("computer", BITS[Capability.COMPUTER_USE]),
    ("image_generation", BITS[Capability.IMAGE_GENERATION_TOOL]),
    ("mcp", BITS[Capability.MCP]),
    ("shell", BITS[Capability.SHELL]),
    ("local_shell", BITS[Capability.SHELL]),
    ("apply_patch", BITS[Capability.CUSTOM_TOOLS]),
    ("tool_search", BITS[Capability.TOOL_SEARCH]),
)
# OpenAI's connectors act for whoever signed in there. Amazon's are functions and gateways of the
# account, by their ARN.
_OF_CALLER: Final = b"connector_"
# Tools by which Microsoft Foundry reads and acts with the identity of the operator's account, by the
# beginning of their type.
_OF_ACCOUNT: Final = (
    *("azure_ai_search", "azure_function", "sharepoint_grounding", "memory_search", "openapi"),
    *("bing_grounding", "bing_custom_search", "fabric_dataagent", "fabric_iq", "work_iq"),
    *("browser_automation", "a2a_preview", "toolbox_search"),
)
# Tools by which another model works at a server that offers many (`openrouter:subagent`), by the
# beginning of their name.
_OF_MANY_MODELS: Final = ("subagent", "fusion", "image_generation")
WITHOUT_TOOL: Final = "Leave the tool out, and ask that model yourself."
_WITH_OUR_IDENTITY: Final = (
    "has the cloud act with the identity of the operator's account, so whoever has a key would reach "
    "what the operator may. Search or call yourself, and send what came of it."
)
# So many searches of the web are reserved for a request that sets no limit to them.
_SEARCHES: Final = 128
# So many pictures are reserved for a request that sets no limit, and no more for one that sets a
# higher one: with what each may cost, charges stay within 63 bits.
_DRAWINGS: Final = 4
_DRAWINGS_MAX: Final = 128
GIF: Final = "gif"
FRAMES: Final = 9  # of an animation that names no number: OpenAI's default
# Tools that the client runs itself bring nothing in that is not in the body.
_RUN_BY_CALLER = ("computer", "local_shell", "apply_patch")
_NAMESPACE = "namespace"  # a tool that groups others
# An item with the tools that a server listed for an earlier answer, which asks for none of them.
_LISTED = "mcp_list_tools"
# An item that sets the format of the answers that follow, as `text` of a request does.
_CONFIGURED = "configuration_update"


class _Strict(msgspec.Struct, gc=False):
    strict: bool | None = None


class _Typed(msgspec.Struct, gc=False):
    """The members by which a tool is judged, also where it cannot be read whole: nothing else that it
    says can hide what it is.

    A namespace has `tools` of its own. `project_connection_id`: Foundry calls a server with what its
    project holds; `connector_id`: the cloud calls what it knows by that name; `tunnel_id`: what
    OpenAI reaches through a tunnel of the account."""

    type: str | None = None
    project_connection_id: msgspec.Raw = ABSENT
    connector_id: msgspec.Raw = ABSENT
    tunnel_id: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT


class _Tool(_Typed, gc=False):
    """A tool as chat completions (`function: {…}`) and Responses (flat) write it."""

    strict: bool | None = None
    function: _Strict | None = None
    execution: str | None = None


class _Drawing(msgspec.Struct, gc=False):
    """A tool that draws. Asked for SVG, another model writes the picture as text; a GIF is as many
    pictures as it has frames. A namespace has `tools` of its own."""

    type: str | None = None
    output_format: object = None
    svg: object = None
    frame_count: object = None
    tools: msgspec.Raw = ABSENT

    @property
    def frames(self) -> int:
        if self.output_format != GIF:
            return 1
        if self.frame_count is None:
            return FRAMES
        return self.frame_count if isinstance(self.frame_count, int) else _DRAWINGS_MAX


class _Format(msgspec.Struct, gc=False):
    """`response_format` of chat completions (`json_schema: {…}`), or `text.format` of Responses
    (flat)."""

    type: str | None = None
    strict: bool | None = None
    json_schema: _Strict | None = None


class _Text(msgspec.Struct, gc=False):
    format: _Format | None = None


class _Part(msgspec.Struct, gc=False):
    """A part of a message's content, in either format; also what a tool's output consists of."""

    type: str | None = None


class _Item(msgspec.Struct, gc=False):
    """A message, or another item of a Responses input. An item may bring tools along, as
    `additional_tools` and `tool_search_output` do, or a format as `configuration_update`."""

    type: str | None = None
    content: str | list[_Part] | None = None
    output: str | list[_Part] | _Part | None = None
    tools: msgspec.Raw = ABSENT
    text: msgspec.Raw = ABSENT


class _Lists(msgspec.Struct, gc=False):
    """The lists of messages or items: of a chat, of Responses, of a conversation."""

    messages: msgspec.Raw = ABSENT
    input: msgspec.Raw = ABSENT
    items: msgspec.Raw = ABSENT


_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_decode_drawing = msgspec.json.Decoder(_Drawing).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_format = msgspec.json.Decoder(_Format | None).decode
_decode_text = msgspec.json.Decoder(_Text | None).decode
_decode_lists = msgspec.json.Decoder(_Lists).decode
_decode_items = msgspec.json.Decoder(str | list[_Item] | None).decode
# The members that are read of each: one that stands twice is refused.
_TOOL_READ = frozenset(
    {
        *_Tool.__struct_fields__,
        *("container", "environment", "output_format", "svg", "frame_count"),
    }
)
_STRICT_READ = frozenset(_Strict.__struct_fields__)
_FORMAT_READ = frozenset(_Format.__struct_fields__)
_TEXT_READ = frozenset(_Text.__struct_fields__)
_MESSAGE_READ = frozenset(_Item.__struct_fields__)
# With what `item_references` and `identifiers` read.
_ITEM_READ = _MESSAGE_READ | {
    *("id", "role", "encrypted_content", "result", "environment", "container_id"),
}
_PART_READ = frozenset(_Part.__struct_fields__)
_OBJECT, _LIST = ord("{"), ord("[")


def tools_needed(
    tools: msgspec.Raw, path: str = "tools", *, grouped: bool = False
) -> tuple[int, bool]:
    """Return the bits of a list of tools, and whether one of them brings in input that is not in
    the body. `path` is where the list stands; `grouped`: in a namespace.

    Raises RepeatedMember; FurtherModel where a further model works by one, or writes pictures as
    text; NotOffered where one acts with the identity of our account.
    """
    # Read twice: that no member that matters stands twice, also where a tool cannot be read; and
    # what each tool says.
    try:
        for members in objects_once(tools, _TOOL_READ, path):
            if "function" in members:
                _check_strict(members["function"], f"{path}.function")
        listed, unbounded = _decode_tools(tools), False
    except NOT_JSON:
        typed = each_readable(tools, _decode_typed)
        listed = [_Tool(**msgspec.structs.asdict(each)) for each in typed]
        unbounded = stated(tools)
    bits = 0
    for tool in listed:
        kind = tool.type or ""
        if kind == "function":
            bits |= _TOOLS
            if tool.strict or (tool.function is not None and tool.function.strict):
                bits |= _STRICT
        elif kind == "custom":
            bits |= _CUSTOM
        elif kind == "tool_search" and tool.execution == "client":
            bits |= _CLIENT_TOOL_SEARCH
        # No cloud has a namespace within another, and to read them on would cost time for each.
        elif kind == _NAMESPACE and not grouped:
            more, brings = tools_needed(tool.tools, f"{path}.tools", grouped=True)
            bits, unbounded = bits | more, unbounded or brings
        else:
            if _acts_for_account(tool):
                raise NotOffered(f"{path!r} {_WITH_OUR_IDENTITY}", path)
            if asks_further_model(kind):
                raise FurtherModel(path, WITHOUT_TOOL)
            # Tools that the cloud runs are named with a version at their end, and some with the
            # server that runs them at the beginning (`openrouter:web_search`).
            name = kind.rpartition(":")[2]
            for beginning, bit in _HOSTED:
                if name.startswith(beginning):
                    bits |= bit
                    break
            unbounded = unbounded or not kind.startswith(_RUN_BY_CALLER)
    if bits & _DRAWING and _draws_as_text(tools):
        raise FurtherModel(path, _NO_AUTHOR)
    return bits, unbounded


def asks_further_model(kind: str) -> bool:
    """Return whether another model works by a tool of a type: one that advises the model, or one of a
    server that offers many models."""
    server, _, name = kind.rpartition(":")
    return name.startswith("advisor") or (bool(server) and name.startswith(_OF_MANY_MODELS))


def _acts_for_account(tool: _Tool) -> bool:
    """Return whether the cloud runs a tool with the identity of the operator's account."""
    if (tool.type or "").startswith(_OF_ACCOUNT):
        return True
    if stated(tool.project_connection_id) or stated(tool.tunnel_id):
        return True
    connector = bytes(tool.connector_id) if stated(tool.connector_id) else b""
    return bool(connector) and not connector.startswith(b'"%b' % _OF_CALLER)


def _draws_as_text(tools: msgspec.Raw) -> bool:
    """Return whether a tool that draws has another model write the picture as text."""
    for tool in each_readable(tools, _decode_drawing):
        draws = (tool.type or "").startswith("image_generation")
        if draws and (tool.output_format == "svg" or tool.svg is not None):
            return True
    return False


def frames_drawn(tools: msgspec.Raw, *, grouped: bool = False) -> int:
    """Return the most frames that a picture of these tools may have, 1 of most."""
    frames = 1
    for tool in each_readable(tools, _decode_drawing):
        if (tool.type or "").startswith("image_generation"):
            frames = max(frames, tool.frames)
        elif tool.tools is not ABSENT and not grouped:
            frames = max(frames, frames_drawn(tool.tools, grouped=True))
    return frames


def format_needed(written: msgspec.Raw, *, in_text: bool, path: str = "text") -> int:
    """Return the bits of the format that the answer is to have. `path` is where the `text` of a
    response stands. Raises RepeatedMember."""
    try:
        text = _decode_text(written) if in_text else None
        form = text.format if text is not None else None if in_text else _decode_format(written)
        if text is not None:
            members = members_once(written, _TEXT_READ, path)
            if form is not None:
                _check_format(members["format"], f"{path}.format")
        elif form is not None:
            _check_format(written, "response_format")
    except NOT_JSON:
        return 0
    if form is None:
        return 0
    if form.type == "json_object":
        return _JSON_MODE
    if form.type != "json_schema":
        return 0
    strict = form.strict or (form.json_schema is not None and form.json_schema.strict)
    return _JSON_SCHEMA | _STRICT if strict else _JSON_SCHEMA


class Parts(NamedTuple):
    """The needs of the parts of a request's messages, and of the tools that they bring along."""

    bits: int = 0
    images: int = 0
    unbounded: bool = False
    audio: bool = False
    frames: int = 1


_NO_PARTS = Parts()


def searches_within(limit: int | None) -> int:
    """Return how often the cloud may search the web for a request with this limit, or without
    one."""
    return _SEARCHES if limit is None else min(max(limit, 0), SEARCHES_MAX)


def drawings_within(limit: int | None, frames: int) -> int:
    """Return how many pictures the cloud may draw for a request with this limit, or without one,
    each of so many frames."""
    calls = _DRAWINGS if limit is None else max(limit, 0)
    return min(calls * frames, _DRAWINGS_MAX)


def stated(member: msgspec.Raw) -> bool:
    """Return whether a member is there and says something: `null` is the same as nothing."""
    return member is not ABSENT and bytes(member) != b"null"


def chat_parts(body: bytes) -> Parts:
    """Return the needs of the parts of a chat's messages. Raises RepeatedMember, NotOffered."""
    return _parts_in(body, "messages", _MESSAGE_READ) if may_have_parts(body) else _NO_PARTS


def response_parts(body: bytes) -> Parts:
    """Return the needs of the parts of a Responses input. Raises RepeatedMember, NotOffered."""
    return _parts_in(body, "input", _ITEM_READ) if b"[" in body else _NO_PARTS


def conversation_parts(body: bytes) -> Parts:
    """Return the needs of the items of a conversation. Raises RepeatedMember, NotOffered."""
    return _parts_in(body, "items", _ITEM_READ)


def _parts_in(body: bytes, path: str, read: Set[str]) -> Parts:
    """Return the needs of the messages or items in a member of a body; the worst where they cannot
    be read."""
    check_addresses(body, path)
    try:
        written: msgspec.Raw = getattr(_decode_lists(body), path)
        # Before the items are read, so that one that cannot be hides no name that stands twice.
        _check_items(written, read, path)
        items = _decode_items(written) if written is not ABSENT else None
        return _of_items(items, path) if isinstance(items, list) else _NO_PARTS
    except NOT_JSON:
        return _worst(body)


def _check_items(written: msgspec.Raw, read: Set[str], path: str) -> None:
    if written is ABSENT or memoryview(written)[0] != _LIST:
        return
    for members in objects_once(written, read, path):
        for name in ("content", "output"):
            if name in members:
                _check_parts(members[name], f"{path}.{name}")


def _check_parts(written: msgspec.Raw, path: str) -> None:
    opening = memoryview(written)[0]
    if opening == _LIST:
        objects_once(written, _PART_READ, path)
    elif opening == _OBJECT:
        members_once(written, _PART_READ, path)


def _check_format(written: msgspec.Raw, path: str) -> None:
    members = members_once(written, _FORMAT_READ, path)
    if "json_schema" in members:
        _check_strict(members["json_schema"], f"{path}.json_schema")


def _check_strict(written: msgspec.Raw, path: str) -> None:
    """Check an object with a schema, of which `strict` alone is read. Schemas are long: its names
    are looked at only if that name may stand twice, or be hidden by an escape."""
    text = bytes(written)
    if text.startswith(b"{") and (text.count(b'"strict"') > 1 or b"\\u" in text):
        members_once(written, _STRICT_READ, path)


def _of_items(items: list[_Item], path: str) -> Parts:
    parts = _NO_PARTS
    for item in items:
        if item.tools is not ABSENT and item.type != _LISTED:
            bits, unbounded = tools_needed(item.tools, f"{path}.tools")
            parts = parts._replace(
                bits=parts.bits | bits,
                unbounded=parts.unbounded or unbounded,
                frames=max(parts.frames, frames_drawn(item.tools) if bits & _DRAWING else 1),
            )
        if item.type == _CONFIGURED and item.text is not ABSENT:
            more = format_needed(item.text, in_text=True, path=f"{path}.text")
            parts = parts._replace(bits=parts.bits | more)
        content, output = item.content, item.output
        if isinstance(content, list):
            for part in content:
                parts = _with_part(parts, part)
        if output is not None and not isinstance(output, str):
            for part in output if isinstance(output, list) else (output,):
                parts = _with_part(parts, part)
    return parts


def _with_part(parts: Parts, part: _Part) -> Parts:
    bits, images, unbounded, audio, frames = parts
    kind = part.type
    if kind in ("image_url", "input_image", "computer_screenshot"):
        return Parts(bits | _VISION, images + 1, unbounded, audio, frames)
    if kind == "input_audio":
        return Parts(bits | _AUDIO_INPUT, images, unbounded, True, frames)
    if kind in ("file", "input_file"):
        # A page is an image as well as its text: a document's bytes do not bound its tokens.
        return Parts(bits | _FILE_INPUT, images, True, audio, frames)
    return parts


def _worst(body: bytes) -> Parts:
    """Return the needs of messages in a shape that we do not know: no capability, as none is known
    to be needed, and otherwise the worst, as anything may be in them."""
    return Parts(0, body.count(b"image"), True, True, _DRAWINGS_MAX)
