"""Requests in Anthropic's Messages format, decoded as far as routing and metering need.

Tools stand at the top, and as definitions in blocks of messages: where one is added in the middle
of a conversation (`tool_addition`), and where those of a shortened one are kept (`tool_changes` of
a `compaction`). All are read by the same code.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, cast

import msgspec

from clauseway.catalog import BITS, Capability
from clauseway.gateway.clouds.usage_reports import SEARCHES_MAX
from clauseway.gateway.wire.bodies.addresses import check_addresses
from clauseway.gateway.wire.bodies.body_errors import FurtherModel, NotOffered
from clauseway.gateway.wire.bodies.decoding import RequestProperties, reader_of
from clauseway.gateway.wire.bodies.escapes import may_have_escapes
from clauseway.gateway.wire.bodies.needs import ABSENT, PLAIN, Needs, searches_within, stated
from clauseway.gateway.wire.bodies.requests import Tokens
from clauseway.values import NOT_JSON

_TOOLS, _STRICT = BITS[Capability.TOOLS], BITS[Capability.STRICT_SCHEMA]
_WEB_SEARCH = BITS[Capability.WEB_SEARCH]
_SCHEMA, _MCP = BITS[Capability.JSON_SCHEMA], BITS[Capability.MCP]
_VISION, _FILE_INPUT = BITS[Capability.VISION], BITS[Capability.FILE_INPUT]
# The vendor's tools, by the beginning of their type: the capability that they need, and whether the
# cloud runs them, so that they bring in input that is not in the body.
_TOOLS_OF_VENDOR: Final = (
    ("web_search", _WEB_SEARCH, True),
    ("web_fetch", 0, True),
    ("code_execution", BITS[Capability.CODE_INTERPRETER], True),
    ("mcp_toolset", _MCP, True),
    ("tool_search", BITS[Capability.TOOL_SEARCH], True),
    ("computer", BITS[Capability.COMPUTER_USE], False),
    ("bash", _TOOLS, False),
    ("text_editor", _TOOLS, False),
    ("memory", _TOOLS, False),
)


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    strict: bool | None = None
    max_uses: int | None = None


class _Container(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None


class _Diagnostics(msgspec.Struct, frozen=True, gc=False):
    previous_message_id: str | None = None


class _Block(msgspec.Struct, gc=False):
    """A block of content; the result of a tool holds blocks again. One that adds a `tool` defines
    it, or refers to one that is defined elsewhere."""

    type: str | None = None
    content: "msgspec.Raw" = ABSENT
    tool: msgspec.Raw = ABSENT
    tool_changes: msgspec.Raw = ABSENT


class _AddedTool(msgspec.Struct, gc=False):
    definition: msgspec.Raw = ABSENT


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Block] | None = None


class _Messages(msgspec.Struct, gc=False):
    messages: list[_Message] = []


class _Contents(NamedTuple):
    """The needs of messages as `Needs` has them, and the list of the tools that they define, as
    JSON."""

    bits: int = 0
    images: int = 0
    unbounded: bool = False
    tools: msgspec.Raw = ABSENT


_NO_CONTENTS: Final = _Contents()
# `fallbacks: []`, however it is spaced.
_NO_FALLBACK: Final = re.compile(rb"\s*\[\s*\]\s*").fullmatch
_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_decode_messages = msgspec.json.Decoder(_Messages).decode
_decode_blocks = msgspec.json.Decoder(str | list[_Block]).decode
_decode_changes = msgspec.json.Decoder(list[_Block]).decode
_decode_added_tool = msgspec.json.Decoder(_AddedTool).decode


class MessageRequest(msgspec.Struct, frozen=True, gc=False):
    """`POST /v1/messages`. Usage is always reported; there is nothing to ask for."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: Tokens | None = None
    tools: msgspec.Raw = ABSENT
    output_config: msgspec.Raw = ABSENT
    mcp_servers: msgspec.Raw = ABSENT
    container: str | _Container | None = None
    fallbacks: msgspec.Raw = ABSENT
    thread: msgspec.Raw = ABSENT
    diagnostics: _Diagnostics | None = None
    service_tier: str | None = None
    speed: str | None = None
    wants_usage = True
    choices = 1
    later = False
    asks_nothing = False

    def needs(self, body: bytes) -> Needs:
        bits, images, unbounded, added_tools = _of_messages(body)
        if added_tools is not ABSENT and _has_advisor(added_tools):
            raise FurtherModel("messages", _WITHOUT_ADVISOR)
        searches = 0
        for tools in (self.tools, added_tools):
            if tools is not ABSENT:
                more, brings, times = _of_tools(tools)
                bits, unbounded = bits | more, unbounded or brings
                searches = min(searches + times, SEARCHES_MAX)
        if b'"json_schema"' in bytes(self.output_config):
            bits |= _SCHEMA
        if stated(self.mcp_servers):
            bits, unbounded = bits | _MCP, True
        if self.container is not None:
            unbounded = True
        tier = "fast" if self.speed == "fast" else ""
        needs = Needs(bits, images, unbounded, tier=tier, searches=searches)
        return PLAIN if needs == PLAIN else needs

    @property
    def named_ids(self) -> tuple[str, ...]:
        """Return the container of an earlier answer that is to be used again."""
        container = self.container
        named = container.id if isinstance(container, _Container) else container
        return (named,) if named else ()

    @property
    def streamed(self) -> bool:
        return bool(self.stream)

    @property
    def output_tokens(self) -> int:
        return self.max_tokens or 0


_NO_THREAD: Final = (
    "'thread' has the cloud keep the conversation on one account, where whoever knows the identifier "
    "of its last message could go on with it, at a length that no budget bounds. Send the whole "
    "conversation without 'thread'."
)
_NO_COMPARISON: Final = (
    "'diagnostics' has the cloud compare the prompt with that of an earlier message, which may be of "
    "another project or lie on another account. Leave out 'previous_message_id'."
)
_WITHOUT_ADVISOR: Final = "Leave the advisor out, and ask that model yourself."
_decode_message_request = reader_of(MessageRequest, "Messages", "messages")


def decode_messages(body: bytes, content_type: bytes) -> RequestProperties:
    """Return a request of messages. Raises BadBody; FurtherModel where the cloud would turn to
    another model, as a fallback or as an advisor; NotOffered where it would turn to what it keeps
    of an earlier message."""
    properties = _decode_message_request(body, content_type)
    request = cast(MessageRequest, properties.decoded)
    if stated(request.fallbacks) and not _NO_FALLBACK(bytes(request.fallbacks)):
        raise FurtherModel("fallbacks", "Leave it out, and ask the next model yourself.")
    if request.tools is not ABSENT and _has_advisor(request.tools):
        raise FurtherModel("tools", _WITHOUT_ADVISOR)
    if stated(request.thread):
        raise NotOffered(_NO_THREAD, "thread")
    if request.diagnostics is not None and request.diagnostics.previous_message_id:
        raise NotOffered(_NO_COMPARISON, "diagnostics")
    return properties


def _has_advisor(tools: msgspec.Raw) -> bool:
    """Return whether one of the tools is another model that the cloud asks for advice."""
    written = bytes(tools)
    if b"advisor" not in written and not may_have_escapes(written):
        return False
    try:
        return any((tool.type or "").startswith("advisor") for tool in _decode_tools(tools))
    except NOT_JSON:
        return False


def _of_messages(body: bytes) -> _Contents:
    """Return the needs of messages and the tools that they define; the worst case where they cannot
    be read. Raises NotOffered."""
    if b'"type"' not in body and not may_have_escapes(body):
        return _NO_CONTENTS
    check_addresses(body, "messages")
    try:
        messages = _decode_messages(body).messages
        blocks = [block for message in messages for block in _blocks(message.content)]
        tools = list(_definitions(blocks))
    except NOT_JSON:
        return _Contents(images=body.count(b"image"), unbounded=True)
    bits, images, unbounded = 0, 0, False
    for block in blocks:
        if block.type == "image":
            bits, images = bits | _VISION, images + 1
        elif block.type == "document":
            # A page is an image as well as its text: a document's bytes do not bound its tokens.
            bits, unbounded = bits | _FILE_INPUT, True
        elif block.type == "container_upload":
            unbounded = True
    listed = msgspec.Raw(b"[%b]" % b",".join(tools)) if tools else ABSENT
    return _Contents(bits, images, unbounded, listed)


def _definitions(blocks: Iterable[_Block]) -> Iterator[bytes]:
    """Yield the tools that blocks define. Raises msgspec's errors."""
    for block in blocks:
        if block.type == "tool_addition" and stated(block.tool):
            definition = _decode_added_tool(block.tool).definition
            if stated(definition):
                yield bytes(definition)
        elif block.type == "compaction" and stated(block.tool_changes):
            # A change is no compaction: there is nothing further within.
            changes = _decode_changes(block.tool_changes)
            yield from _definitions(
                [change for change in changes if change.type == "tool_addition"]
            )


def _blocks(content: str | list[_Block] | None) -> list[_Block]:
    """Return the blocks of a message, and those in the results of its tools."""
    if not isinstance(content, list):
        return []
    inner = [
        _decode_blocks(block.content)
        for block in content
        if block.type == "tool_result" and stated(block.content)
    ]
    return [*content, *(block for blocks in inner if isinstance(blocks, list) for block in blocks)]


def _of_tools(tools: msgspec.Raw) -> tuple[int, bool, int]:
    """Return the bits of what tools need, whether one brings in input that is not in the body, and
    how often the cloud may search the web."""
    try:
        listed = _decode_tools(tools)
    except NOT_JSON:
        return 0, stated(tools), 0
    bits, unbounded, searches = 0, False, 0
    for tool in listed:
        kind = tool.type or "custom"
        if kind == "custom":
            bits |= _TOOLS | (_STRICT if tool.strict else 0)
            continue
        for beginning, bit, brings in _TOOLS_OF_VENDOR:
            if kind.startswith(beginning):
                bits, unbounded = bits | bit, unbounded or brings
                if bit == _WEB_SEARCH:
                    searches = min(searches + searches_within(tool.max_uses), SEARCHES_MAX)
                break
        else:
            unbounded = True  # nobody here knows what it does
    return bits, unbounded, searches
