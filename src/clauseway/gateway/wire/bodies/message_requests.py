"""Requests in Anthropic's Messages format, decoded as far as routing and metering need.

Tools stand at the top, and as definitions in blocks of messages: where one is added in the middle
of a conversation (`tool_addition`), and where those of a shortened one are kept (`tool_changes` of
a `compaction`). All are read by the same code.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, cast

import msgspec

from clauseway.catalog import BITS, Capability
from clauseway.gateway.clouds.usage_reports import SEARCHES_MAX
from clauseway.gateway.wire.bodies.addresses import check_addresses
from clauseway.gateway.wire.bodies.body_errors import FurtherModel, NotOffered
from clauseway.gateway.wire.bodies.decoding import RequestProperties, reader_of
from clauseway.gateway.wire.bodies.escapes import may_have_escapes
from clauseway.gateway.wire.bodies.members import each_readable, objects_once, repeats_no_name
from clauseway.gateway.wire.bodies.needs import (
    ABSENT,
    PLAIN,
    WITHOUT_TOOL,
    Needs,
    asks_further_model,
    searches_within,
    stated,
)
from clauseway.gateway.wire.bodies.requests import Streamable, Tokens
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
    ("browser_toolset", _TOOLS, False),
    ("bash", _TOOLS, False),
    ("text_editor", _TOOLS, False),
    ("memory", _TOOLS, False),
)


class _Tool(msgspec.Struct, gc=False):
    type: str | None = None
    strict: bool | None = None
    max_uses: int | None = None


class _Typed(msgspec.Struct, gc=False):
    """A tool of which the type alone is read: nothing else that it says can hide it."""

    type: str | None = None


class _Container(msgspec.Struct, frozen=True, gc=False):
    id: str | None = None


class _BillingPolicy(msgspec.Struct, frozen=True, gc=False):
    bill_to: str | None = None


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


class _UnreadMessage(msgspec.Struct, gc=False):
    content: msgspec.Raw = ABSENT


class _UnreadMessages(msgspec.Struct, gc=False):
    messages: msgspec.Raw = ABSENT


class _Contents(NamedTuple):
    """The needs of messages as `Needs` has them, and the list of the tools that they define, as
    JSON."""

    bits: int = 0
    images: int = 0
    unbounded: bool = False
    tools: msgspec.Raw = ABSENT


_NO_CONTENTS: Final = _Contents()
_decode_tools = msgspec.json.Decoder(list[_Tool]).decode
_decode_typed = msgspec.json.Decoder(_Typed).decode
_decode_unread_messages = msgspec.json.Decoder(_UnreadMessages).decode
_decode_unread_message = msgspec.json.Decoder(_UnreadMessage).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_messages = msgspec.json.Decoder(_Messages).decode
_decode_blocks = msgspec.json.Decoder(str | list[_Block]).decode
_decode_changes = msgspec.json.Decoder(list[_Block]).decode
_decode_added_tool = msgspec.json.Decoder(_AddedTool).decode
# The members that are read of each: one that stands twice is refused.
_MESSAGE_READ: Final = frozenset(_Message.__struct_fields__)
_BLOCK_READ: Final = frozenset(_Block.__struct_fields__)
_TOOL_READ: Final = frozenset(_Tool.__struct_fields__)
_LIST: Final = ord("[")
# A message has blocks, and the result of a tool blocks of its own.
_CONTENTS_WITHIN: Final = 2


class MessageRequest(Streamable, frozen=True, gc=False):
    """`POST /v1/messages`. Usage is always reported; there is nothing to ask for."""

    max_tokens: Tokens | None = None
    tools: msgspec.Raw = ABSENT
    output_config: msgspec.Raw = ABSENT
    mcp_servers: msgspec.Raw = ABSENT
    container: str | _Container | None = None
    thread: msgspec.Raw = ABSENT
    diagnostics: _Diagnostics | None = None
    inference_geo: msgspec.Raw = ABSENT
    billing_policy: _BillingPolicy | None = None
    service_tier: str | None = None
    speed: str | None = None
    wants_usage = True
    choices = 1
    later = False
    asks_nothing = False

    def needs(self, body: bytes) -> Needs:
        bits, images, unbounded, added_tools = _of_messages(body)
        if added_tools is not ABSENT and _ask_further_model(added_tools):
            raise FurtherModel("messages", WITHOUT_TOOL)
        searches = 0
        for tools, path in ((self.tools, "tools"), (added_tools, "messages.tools")):
            if tools is not ABSENT:
                _check_objects(tools, _TOOL_READ, path)
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
_NO_PLACE: Final = (
    "'inference_geo' has the cloud process the message elsewhere than its deployment says, at another "
    "price, so that neither residency nor budget would hold. Leave it out: the place is the "
    "deployment's."
)
_NO_PAYER: Final = (
    "'billing_policy' has the cloud charge another organisation, in whose books nobody here settles. "
    "Leave it out."
)
# One of these stands in the tools of a message by which another model works (`asks_further_model`).
_OF_FURTHER_MODELS: Final = (b"advisor", b":subagent", b":fusion", b":image_generation")
_decode_message_request = reader_of(MessageRequest, "Messages", "messages")


def decode_messages(body: bytes, content_type: bytes) -> RequestProperties:
    """Return a request of messages. Raises BadBody; FurtherModel where the cloud would turn to
    another model, as a fallback or by a tool; NotOffered where it would turn to what it keeps
    of an earlier message, process the message elsewhere or charge somebody else."""
    properties = _decode_message_request(body, content_type)
    request = cast(MessageRequest, properties.decoded)
    if request.tools is not ABSENT and _ask_further_model(request.tools):
        raise FurtherModel("tools", WITHOUT_TOOL)
    if stated(request.thread):
        raise NotOffered(_NO_THREAD, "thread")
    if request.diagnostics is not None and request.diagnostics.previous_message_id:
        raise NotOffered(_NO_COMPARISON, "diagnostics")
    if stated(request.inference_geo):
        raise NotOffered(_NO_PLACE, "inference_geo")
    policy = request.billing_policy
    if policy is not None and policy.bill_to not in (None, "self"):
        raise NotOffered(_NO_PAYER, "billing_policy")
    return properties


def _ask_further_model(tools: msgspec.Raw) -> bool:
    """Return whether another model works by one of the tools."""
    written = bytes(tools)
    is_named = any(word in written for word in _OF_FURTHER_MODELS)
    if not is_named and not may_have_escapes(written):
        return False
    return any(
        asks_further_model(tool.type or "") for tool in each_readable(written, _decode_typed)
    )


def _check_messages(written: msgspec.Raw) -> None:
    """Check that no member that is read stands twice in messages or their contents. Raise
    RepeatedMember."""
    try:
        # As clients mostly write, this look tells; one at each object takes more than twice as long.
        if written is ABSENT or repeats_no_name(written):
            return
    except NOT_JSON:
        return  # its cloud says what is wrong with it
    _check_objects(written, _MESSAGE_READ, "messages", _CONTENTS_WITHIN)


def _check_objects(
    written: msgspec.Raw, read: frozenset[str], path: str, contents_within: int = 0
) -> None:
    """Check that no member that is read stands twice in an object of a list, if it is one.
    `contents_within` is how deep their contents are looked through: no cloud takes deeper ones, and
    to read on would cost time for each. Raise RepeatedMember."""
    if written is ABSENT or memoryview(written)[0] != _LIST:
        return
    try:
        objects = objects_once(written, read, path)
    except NOT_JSON:
        return  # its cloud says what is wrong with it
    if not contents_within:
        return
    for members in objects:
        content = members.get("content", ABSENT)
        _check_objects(content, _BLOCK_READ, f"{path}.content", contents_within - 1)


def _of_messages(body: bytes) -> _Contents:
    """Return the needs of messages and the tools that they define; the worst case where they cannot
    be read. Raises NotOffered, RepeatedMember."""
    if b'"type"' not in body and not may_have_escapes(body):
        return _NO_CONTENTS
    check_addresses(body, "messages")
    _check_messages(_decode_unread_messages(body).messages)
    try:
        decoded = _decode_messages(body).messages
        blocks = [block for message in decoded for block in _blocks(message.content)]
        tools = list(_definitions(blocks))
    except NOT_JSON:
        tools = _readable_definitions(body)
        return _Contents(images=body.count(b"image"), unbounded=True, tools=_listed(tools))
    bits, images, unbounded = 0, 0, False
    for block in blocks:
        if block.type == "image":
            bits, images = bits | _VISION, images + 1
        elif block.type == "document":
            # A page is an image as well as its text: a document's bytes do not bound its tokens.
            bits, unbounded = bits | _FILE_INPUT, True
        elif block.type == "container_upload":
            unbounded = True
    return _Contents(bits, images, unbounded, _listed(tools))


def _listed(tools: list[bytes]) -> msgspec.Raw:
    return msgspec.Raw(b"[%b]" % b",".join(tools)) if tools else ABSENT


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


def _readable_definitions(body: bytes) -> list[bytes]:
    """Return the tools that messages define of which not all can be read: a cloud may read all."""
    messages = each_readable(_decode_unread_messages(body).messages, _decode_unread_message)
    definitions: list[bytes] = []
    for message in messages:
        for block in each_readable(message.content, _decode_block):
            try:
                definitions += _definitions([block])
            except NOT_JSON:
                continue
    return definitions


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
    bits, unbounded, searches = 0, False, 0
    try:
        listed = _decode_tools(tools)
    except NOT_JSON:
        listed = [_Tool(typed.type) for typed in each_readable(tools, _decode_typed)]
        unbounded = stated(tools)
    for tool in listed:
        kind = tool.type or "custom"
        if kind == "custom":
            bits |= _TOOLS | (_STRICT if tool.strict else 0)
            continue
        # The server that runs a tool may stand before its name (`openrouter:web_search`).
        name = kind.rpartition(":")[2]
        for beginning, bit, brings in _TOOLS_OF_VENDOR:
            if name.startswith(beginning):
                bits, unbounded = bits | bit, unbounded or brings
                if bit == _WEB_SEARCH:
                    searches = min(searches + searches_within(tool.max_uses), SEARCHES_MAX)
                break
        else:
            unbounded = True  # nobody here knows what it does
    return bits, unbounded, searches
