"""Streams in Anthropic's Messages format: `event: TYPE`, `data: {"type": …}`, ended by
`message_stop`. Pure.

Usage comes in two parts: input with `message_start`, the totals of all that changed with
`message_delta`. Of a stream that breaks off between them, the input is known. AWS's runtime sends
the same events in frames of its own; they are taken out of those, so that every client reads
server-sent events.
"""

from typing import Final

import msgspec

from clauseway.gateway.clouds.frames import BadFrame, bytes_awaited, event_of, frames_in
from clauseway.gateway.clouds.reported_units import Units, units_of_message
from clauseway.gateway.clouds.reports import no_report_in, tier_of_message
from clauseway.gateway.clouds.unusual_counts import Omissions, answer_with_counts
from clauseway.gateway.clouds.usage_reports import Messaged, MessageUsage
from clauseway.gateway.wire.bodies.needs import ABSENT, stated
from clauseway.gateway.wire.error_bodies import error_in_list
from clauseway.gateway.wire.errors import ErrorKind, reports_error
from clauseway.gateway.wire.message_errors import error_message
from clauseway.gateway.wire.sse import BadStream, data_of, is_error_by_line, type_in_line
from clauseway.gateway.wire.stateful_resources import StatefulResource
from clauseway.gateway.wire.typed_streams import DONE, TypedStream
from clauseway.metering import Unit
from clauseway.values import NOT_JSON

# Events that bring no content yet.
_ANNOUNCING: Final = frozenset({"message_start", "content_block_start", "ping"})
_OF_INPUT: Final = frozenset(
    (
        Unit.INPUT_TOKENS,
        Unit.CACHED_INPUT_TOKENS,
        Unit.CACHE_WRITE_TOKENS,
        Unit.CACHE_WRITE_1H_TOKENS,
    )
)


class _Held(msgspec.Struct, frozen=True, gc=False):
    """The events that may name a container: the beginning of a message, and what changed of it."""

    message: StatefulResource | None = None
    delta: StatefulResource | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    message: Messaged | None = None
    usage: MessageUsage | None = None
    error: msgspec.Raw = ABSENT


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_held: Final = msgspec.json.Decoder(_Held).decode
_NO_EVENT: Final = _Event()


class MessageStream(TypedStream):
    """See `event_streams.Stream`."""

    __slots__ = ("_usage",)

    def __init__(
        self, account_names: tuple[str, ...] = (), omissions: Omissions | None = None
    ) -> None:
        super().__init__(no_report_in, account_names, omissions=omissions)
        self._usage: MessageUsage | None = None

    @property
    def input_units(self) -> Units:
        """Return the input that `message_start` reported, with what the cache held of it."""
        usage = self._usage
        if usage is None or usage.input_tokens is None:
            return ()
        units = units_of_message(usage) or ()
        return tuple([(unit, count) for unit, count in units if unit in _OF_INPUT])

    def broken(self, kind: ErrorKind, message: str) -> bytes:
        """Return the event that says that the stream broke; the vendor's clients raise on it."""
        return b"event: error\ndata: %b\n\n" % error_message(kind.status, message, kind.code)

    def _can_read(self, data: bytes) -> bool:
        """Return whether the data of an event is whole."""
        return _decoded(data, None) is not _NO_EVENT

    def _event(self, event: bytes) -> bytes:
        if self.done:
            self._keep_for_last(event)
            return b""
        data = data_of(event)
        if data == DONE:
            return b""
        decoded = _decoded(data, self._omissions)
        # The vendor's client goes by the event's line.
        kind = decoded.type or type_in_line(event)
        if kind in ("message_start", "message_delta") and b'"container"' in data:
            self._note_container(data)
        if kind == "message_start" and decoded.message is not None:
            self._usage = decoded.message.usage
            if self._usage is not None:
                self.tier = tier_of_message(self._usage, self._omissions)
            self.model = decoded.message.model or ""
        elif kind == "message_delta" and decoded.usage is not None:
            if self.units is not None and decoded.usage.output_tokens == 0:
                return event  # a report without output, behind one with output
            # The figures of `message_delta` are totals so far, not additions.
            self._usage = _together(self._usage, decoded.usage)
            # What `message_start` counts of the output is not all of it.
            is_counted = decoded.usage.output_tokens is not None or self.units is not None
            if self._usage.is_whole and is_counted:
                self.units = units_of_message(self._usage, self._omissions)
        # Held back until the usage record is durable.
        elif kind == "message_stop" and self.has_content:
            self.done = True
            self.last = event
            return b""
        if kind == "error" or reports_error(decoded.error) or is_error_by_line(event):
            return self._error_event(event, data)
        self.events += kind == "content_block_delta"
        # From the first content on, no other cloud may be asked.
        self.has_content = self.has_content or (
            bool(data) and kind not in _ANNOUNCING and not self.failed
        )
        return event

    def _note_container(self, data: bytes) -> None:
        try:
            held = _decode_held(data)
        except NOT_JSON:
            return
        for part in (held.message, held.delta):
            if part is not None and stated(part.container):
                self.resource = part


class FramedMessageStream(MessageStream):
    """A stream of messages that comes in AWS's frames."""

    __slots__ = ("_awaited", "_begun")

    def __init__(
        self, account_names: tuple[str, ...] = (), omissions: Omissions | None = None
    ) -> None:
        super().__init__(account_names, omissions)
        self._begun = bytearray()  # a frame that has not come whole
        self._awaited = 0  # so many of its bytes are looked at together

    def feed(self, data: bytes) -> bytes:
        """Return the events that may go to the client now: whole ones, or nothing. Raises
        BadStream."""
        if self._begun:
            self._begun += data
            # A frame has up to 16 MB, and may come in small pieces.
            if len(self._begun) < self._awaited:
                return b""
            data = bytes(self._begun)
        try:
            frames, rest = frames_in(data)
            self._begun, self._awaited = bytearray(rest), bytes_awaited(rest)
            events = b"".join([event_of(frame) for frame in frames])
        except BadFrame as error:
            raise BadStream(f"sent what is no event stream ({error})") from error
        return super().feed(events) if events else b""


def _together(begun: MessageUsage | None, latest: MessageUsage) -> MessageUsage:
    """Return the totals: the latest report stands, and what it leaves out stays as it was."""
    if begun is None:
        return latest
    reported = {
        name: value
        for name in MessageUsage.__struct_fields__
        if (value := getattr(latest, name)) is not None
    }
    return msgspec.structs.replace(begun, **reported)


def _decoded(data: bytes, omissions: Omissions | None) -> _Event:
    try:
        return _decode_event(data) if data else _NO_EVENT
    except NOT_JSON:
        event = answer_with_counts(_Event, data, omissions)
        return event or error_in_list(_decode_event, data) or _NO_EVENT
