"""A cloud's event stream on its way to the client: pure bytes in, bytes out.

Whole events only go on, as they came, but for errors that no client would read. Four things are
looked for. Three are members, found by bytes that cannot stand inside a JSON string (its quotes
would be escaped): the usage report, errors inside the stream, and the finish reason. The fourth is
`[DONE]`, which is held with all that follows it because the request sends it when the usage record
is durable. Where the gateway asked for usage and the client did not, the usage chunk and the
`"usage":null` of the other chunks are taken out too; all other bytes stay as they are.

A stream ends with `[DONE]`, or, at servers that do not send it, with a finish reason and a
connection that is closed in order.

Bytes are searched with `find`, not with `in`, which in Python 3.11 raises and drops an error before
each search: a stream is searched several times for each of its events. Bytes that most blocks lack
are searched with `rfind`, which takes half as long.

Until the first content (a delta that says more than its role, or a finish reason) everything is
held back: a cloud may still break off, and the request may still go elsewhere.
"""

import re
from typing import Final

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.gateway.clouds.reported_units import Units, units_of
from clauseway.gateway.clouds.reports import chat_answer_in, tier_of
from clauseway.gateway.clouds.unusual_counts import Omissions
from clauseway.gateway.clouds.usage_reports import ChatUsage, ServedAnswer
from clauseway.gateway.wire.bodies.members import decode_members
from clauseway.gateway.wire.errors import ErrorKind, error_event, without_our_names
from clauseway.gateway.wire.sse import (
    BadStream,
    UnendedEvent,
    data_of,
    events_in,
    with_errors_as_data,
    without_mark,
)
from clauseway.gateway.wire.stateful_resources import StatefulResource, resource_in
from clauseway.gateway.wire.stream_chunks import (
    ERROR,
    decode_chunk,
    has_content,
    is_error,
    usage_within,
)
from clauseway.values import NOT_JSON

DONE: Final = b"data: [DONE]\n\n"
# Members that are found by their bytes, before an event is decoded. White space may stand around each
# colon: servers write JSON in their own ways. Quotes in a text are escaped, so no text looks like a member.
_NAME: Final = b'"usage"'
_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_AUDIO: Final = b'"audio"'
_FINISH_NAME: Final = b'"finish_reason"'
# As most servers write it.
_NULL_FINISH: Final = b'"finish_reason":null'
_GIVEN_FINISH: Final = b'"finish_reason":"'
_FINISH: Final = re.compile(_FINISH_NAME + rb'\s*:\s*"[^"]')
# As most servers write it: one brace, then the empty line, so the member before it is the chunk's.
_END: Final = b"}\n\n"
_LAST_NULL_USAGE: Final = b',"usage":null' + _END
# A member of the chunk itself, and of no object within it: at most a few plain values follow, then
# the one brace that ends the event. Any other spelling is decoded.
_NULL_USAGE: Final = re.compile(
    rb',\s*"usage"\s*:\s*null'
    rb'(?=(?:\s*,\s*"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)){0,4}\s*\}[ \t]*(?:\r?\n\r?\n|\r?\n?\Z))'
)
# Whole lines that are comments, of which the last may lack its end.
_COMMENTS: Final = re.compile(rb"(?:(?::[^\r\n]*)?[\r\n])*(?::[^\r\n]*)?")
# One event is a token or a few; with logprobs or audio some hundred KB. Longer is no event stream.
_EVENT_BYTES_MAX: Final = 4 << 20


class EventStream:
    """One stream. After each `feed`: `has_content` once content came, `done` once `[DONE]` came or the
    stream was closed after a finish reason, `failed` once the cloud reported an error in the stream,
    of which `error` is the data.
    `usage` is its report, if any; `events` counts those with data until it came; `last` is `[DONE]`
    and what follows it, as they came."""

    def __init__(
        self,
        *,
        strip_usage: bool,
        account_names: tuple[str, ...] = (),
        omissions: Omissions | None = None,
    ) -> None:
        self._strip = strip_usage
        self._account_names = account_names
        self._omissions = omissions
        self._unended = UnendedEvent()
        self._before_content = b""
        self._finished = False
        self.last = b""
        self.has_content = False
        self.done = False
        self.failed = False
        self.error = b""
        self.usage: ChatUsage | None = None
        self._tier_word: str | None = None
        self.model = ""
        self.events = 0
        self.resource: StatefulResource | None = None

    @property
    def units(self) -> Units | None:
        """Return the units of the latest report, and count what is left out of it: to be asked once,
        at the end."""
        return units_of(self.usage, self._omissions) if self.usage is not None else None

    @property
    def tier(self) -> str:
        """Return the service tier that the latest report stands beside: to be asked once, at the
        end."""
        return tier_of(self._tier_word, self._omissions)

    @property
    def input_units(self) -> Units:
        """Return nothing: a chat reports its input with its output."""
        return ()

    def broken(self, kind: ErrorKind, message: str) -> bytes:
        """Return the event that says that the stream broke."""
        return error_event(kind, message)

    def feed(self, data: bytes) -> bytes:
        """Return the events that may go to the client now: whole ones, or nothing. Raises
        BadStream."""
        block = self._unended.ended_by(data)
        if self._unended.length > _EVENT_BYTES_MAX:
            raise BadStream(f"an event is longer than {_EVENT_BYTES_MAX} bytes")
        if not block:
            return b""
        if not self.has_content and not self._before_content:
            block = without_mark(block)
        # After `[DONE]`: waits with it for the usage record.
        if self.done:
            self._keep_for_last(block)
            return b""
        return self._passed(block)

    def close(self) -> bytes:
        """The cloud has ended the stream in order: return what may go to the client of the rest."""
        rest, passed = self._unended.taken(), b""
        if not self.has_content and not self._before_content:
            rest = without_mark(rest)
        if self.done:
            self._keep_for_last(rest)
        elif rest.strip():
            # A last event without its empty line, or comments, which need none; half of an event is
            # no end.
            is_whole = data_of(rest) == b"[DONE]" or _is_json(data_of(rest))
            if not is_whole and _COMMENTS.fullmatch(rest) is None:
                return b""
            passed = self._passed(rest)
        self.done = self.done or (self._finished and self.has_content)
        return passed

    def end_with_error(self) -> bytes:
        """Let the reported error end the stream, which is the answer: return all that was held."""
        held, self._before_content = self._before_content, b""
        self.failed = False
        self.done = self.has_content = True
        return held

    def _passed(self, block: bytes) -> bytes:
        # The cheapest search to call; most blocks do not have the word.
        may_have_error = block.partition(b"error")[1] != b""
        if may_have_error:
            block = with_errors_as_data(block)
        block = self._without_done(block)
        block = self._without_usage(block) if self._strip else self._noting_usage(block)
        if may_have_error and block.rfind(ERROR) >= 0:
            block = self._noting_error(block)
        if not self._finished and _has_finish_reason(block):
            self._finished = True
        # Events stand for tokens if no report comes: comments do not. No line begins within JSON.
        if self.usage is None:
            self.events += block.count(b"\ndata:") + block.startswith(b"data:")
            if block.find(b"\r") >= 0:
                self.events += block.count(b"\rdata:")
        return block if self.has_content else self._from_first_content(block)

    def _without_done(self, block: bytes) -> bytes:
        if block.rfind(b"[DONE]") < 0:
            return block
        done_at = block.find(b"[DONE]")
        if done_at == len(block) - len(b"[DONE]\n\n") and block.endswith(DONE):
            self.done, self.last = True, DONE
            return block[: -len(DONE)]
        events = list(events_in(block))
        for at, event in enumerate(events):
            if data_of(event) == b"[DONE]":
                self.done = True
                self._keep_for_last(b"".join(events[at:]))
                return b"".join(events[:at])
        return block

    def _keep_for_last(self, block: bytes) -> None:
        """Keep what comes after the end: nothing but usage is expected there, and the client may
        read it."""
        block = self._without_usage(block) if self._strip else self._noting_usage(block)
        self.last += block if block.find(ERROR) < 0 else self._without_names_in_errors(block)
        if len(self.last) > _EVENT_BYTES_MAX:
            raise BadStream(f"more than {_EVENT_BYTES_MAX} bytes follow its end")

    def _noting_error(self, block: bytes) -> bytes:
        """Note the first error of a block, and return the block for the client. Behind a finish reason
        an error takes nothing from the answer."""
        finished = self._finished
        for event in events_in(block):
            if is_error(event):
                if not finished:
                    self.failed, self.error = True, self.error or data_of(event)
                return self._without_names_in_errors(block)
            finished = finished or _has_finish_reason(event)
        return block

    def _without_names_in_errors(self, block: bytes) -> bytes:
        """Return a block whose errors do not name our account; the model's words stay."""
        events = [
            without_our_names(event, self._account_names) if is_error(event) else event
            for event in events_in(block)
        ]
        return b"".join(events)

    def _noting_usage(self, block: bytes) -> bytes:
        if _USAGE.search(block) is not None:
            for event in events_in(block[_begin_of(block, block.find(_NAME)) :]):
                data = data_of(event)
                answered = chat_answer_in(data, self._omissions)
                usage = answered.usage if answered is not None else None
                usage = usage or usage_within(data)
                if usage is not None:
                    self._note_usage(usage, answered)
        return block

    def _note_usage(self, usage: ChatUsage, chunk: ServedAnswer | None) -> None:
        """Note the latest report, and what its chunk says beside it: each counts all until then. One
        without output, behind one with output, has lost count."""
        if self.usage is None or usage.completion_tokens or not self.usage.completion_tokens:
            self.usage = usage
            if chunk is not None:
                self._tier_word, self.model = chunk.service_tier, chunk.model or ""

    def _without_usage(self, block: bytes) -> bytes:
        if block.find(_NAME) < 0:
            return block
        # Not by `replace`, which first counts and so looks through the block once more.
        block = _END.join(block.split(_LAST_NULL_USAGE))
        named_at = block.find(_NAME)
        if named_at < 0:
            return block
        # Most blocks name it only in their last event: those before are not looked at.
        begin = _begin_of(block, named_at)
        named = _NULL_USAGE.sub(b"", block[begin:])
        if named.find(_NAME) >= 0:
            named = b"".join([self._event_without_usage(event) for event in events_in(named)])
        return block[:begin] + named

    def _event_without_usage(self, event: bytes) -> bytes:
        """Return the event without a usage that is null, or nothing where it was sent for the usage
        alone. Usage beside content is a server's own habit, and stays."""
        if event.find(_NAME) < 0:
            return event
        data = data_of(event)
        try:
            chunk = decode_chunk(data)
            members = decode_members(data)
        # No chunk as we know it: the client may read it.
        except NOT_JSON:
            return self._event_without_unusual_usage(event, data)
        if chunk.usage is not None:
            self._note_usage(chunk.usage, chunk)
            # Only we asked for it: this event exists for its usage.
            return event if chunk.choices or "error" in members else b""
        usage = usage_within(data)
        if usage is not None:
            self._note_usage(usage, chunk)
        if "usage" not in members:
            return event
        del members["usage"]
        return _with_data(event, msgspec.json.encode(members))

    def _event_without_unusual_usage(self, event: bytes, data: bytes) -> bytes:
        """Return an event whose usage may be written in an unusual way: as it is, or nothing where
        it was sent for the usage alone."""
        answered = chat_answer_in(data, self._omissions)
        if answered is None or answered.usage is None:
            return event
        self._note_usage(answered.usage, answered)
        try:
            members = decode_members(data)
            choices = msgspec.json.decode(members.get("choices", b"[]"))
        # Usage can be read, the rest cannot: the client gets it as it came.
        except NOT_JSON:
            return event
        return event if choices or "error" in members else b""

    def _brings_content(self, block: bytes) -> bool:
        """Return whether content stands in a block before any error: how much is read at once changes
        nothing."""
        for event in events_in(block):
            if self.failed and is_error(event):
                return False
            if has_content(event):
                return True
        return False

    def _from_first_content(self, block: bytes) -> bytes:
        """Return nothing before the first content; then all events held until then."""
        self._before_content += block
        if len(self._before_content) > _EVENT_BYTES_MAX:
            raise BadStream(f"no content within {_EVENT_BYTES_MAX} bytes")
        if not self._brings_content(block):
            return b""
        self.has_content = True
        before_content, self._before_content = self._before_content, b""
        return before_content


class StoredChatStream(EventStream):
    """A stream of a completion that its cloud keeps, or of which it keeps what was said aloud:
    `resource` names both."""

    def _passed(self, block: bytes) -> bytes:
        if self.resource is None or block.rfind(_AUDIO) >= 0:
            # Azure's preamble has an empty identifier.
            for event in events_in(block):
                self._note(resource_in(data_of(event)))
        return super()._passed(block)

    def _note(self, chunk: StatefulResource | None) -> None:
        """Note what a chunk names: each choice is named by the chunks that bring its sound."""
        if chunk is None:
            return
        said = {} if self.resource is None else dict.fromkeys(self.resource.sounds())
        if self.resource is None or not said.keys() >= set(chunk.sounds()):
            choices = [{"delta": {"audio": {"id": name}}} for name in [*said, *chunk.sounds()]]
            resource = self.resource or chunk
            written = msgspec.Raw(msgspec.json.encode(choices))
            self.resource = msgspec.structs.replace(resource, choices=written)


def _begin_of(block: bytes, at: int) -> int:
    """Return where the event begins in which `at` lies, or one before it."""
    before = block.rfind(b"\n\n", 0, at)
    return before + 2 if before >= 0 else 0


def _with_data(event: bytes, data: bytes) -> bytes:
    """Return an event with other data, as JSON: on one line, behind the event's other lines."""
    lines = event.splitlines(keepends=True)
    others = b"".join([line for line in lines if line.strip() and not line.startswith(b"data:")])
    # Data of several lines has white space at their ends; a text spells a line end as an escape.
    return b"%bdata: %b\n\n" % (others, data.replace(b"\n", b""))


def _has_finish_reason(block: bytes) -> bool:
    """Return whether a finish reason stands in a block; an empty one, as some servers write it
    into every chunk, is none."""
    # Where there is one, it stands near the end.
    given_at = block.rfind(_GIVEN_FINISH)
    if given_at >= 0 and not block.startswith(b'"', given_at + len(_GIVEN_FINISH)):
        return True
    # Nearly every event says that it is null: to count is quicker than to look at each.
    if block.count(_FINISH_NAME) == block.count(_NULL_FINISH):
        return False
    return _FINISH.search(block) is not None


def _is_json(data: bytes) -> bool:
    try:
        decode_with_half_pairs(decode_members, data)
    except NOT_JSON:
        return False
    return True
