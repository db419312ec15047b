"""Streams of typed events (Responses, images, audio): `event: TYPE`, `data: {"type": …}`, no
`[DONE]`. Pure.

Events go on as they came, unknown ones too. Until the first content everything is held back,
because a cloud may still break off and the request may still go elsewhere. A response in the
background runs on at its cloud: the event that names it is content already. The event that ends the
stream, and what follows it (`[DONE]` at some servers), is held until usage is durable. Of several
pictures each has an event of its own that ends it and reports its usage; the last ends the stream.
"""

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.clouds.reports import AnswerReport, Reader
from clauseway.gateway.clouds.unusual_counts import Omissions
from clauseway.gateway.wire.bodies.needs import ABSENT, stated
from clauseway.gateway.wire.error_bodies import error_in_list
from clauseway.gateway.wire.errors import ErrorKind, error_members, reports_error, without_our_names
from clauseway.gateway.wire.sse import (
    BadStream,
    UnendedEvent,
    data_of,
    events_in,
    is_error_by_line,
    type_in_line,
    without_mark,
)
from clauseway.gateway.wire.stateful_resources import StatefulResource, resource_in
from clauseway.values import NOT_JSON

# Events that announce and bring nothing yet. All others, known or not, are content.
_ANNOUNCING = frozenset(
    {
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_summary_part.added",
        "keepalive",
    }
)
_PICTURE = frozenset({"image_generation.completed", "image_edit.completed"})
_FINAL = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "response.failed",
        "speech.audio.done",
        "transcript.text.done",
        "transcription.done",  # Mistral's
    }
)
_FAILED = frozenset({"error", "response.failed"})
_ERROR = b'"error"'
# The usage of a transcript in chunks, as vLLM reports it; within a text its quotes would be escaped.
_CHAT_USAGE = b'"prompt_tokens"'
# The end of a chat, which some servers write behind their last event. Where none came, clients of
# OpenAI's would take what came for the whole: it is left out, so that they hear that the stream
# broke.
DONE = b"[DONE]"
# One event is a token or a few; a picture or the whole answer, repeated at the end, is some MB.
_EVENT_BYTES_MAX = 32 << 20


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    # Whatever a server writes into these two hides neither the type nor an error.
    sequence_number: int | float | str | None = None
    response: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


_decode_event = msgspec.json.Decoder(_Event).decode
_NO_EVENT = _Event()


class TypedStream:
    """See `event_streams.Stream`. `is_of_stored`: the stream is of a response that was made before,
    so the response's failure is the answer. `runs_on`: it is of a response in the background.
    `has_output` once an event came that tells more than a beginning. `token_bytes`: so many bytes of
    an event are a token, 0 where an event is one; with `comes_anew` each event brings all of a
    picture, of which `pictures` were asked for.
    `may_end_as_chat`: `[DONE]` ends it too, where no typed event did."""

    __slots__ = (
        "_account_names",
        "_before_content",
        "_comes_anew",
        "_is_of_stored",
        "_may_end_as_chat",
        "_omissions",
        "_pictures",
        "_pictures_asked",
        "_pictures_tokens",
        "_report_in",
        "_runs_on",
        "_sequence",
        "_token_bytes",
        "_unended",
        "done",
        "error",
        "events",
        "failed",
        "has_content",
        "has_output",
        "last",
        "model",
        "resource",
        "tier",
        "units",
    )

    def __init__(
        self,
        report_in: Reader,
        account_names: tuple[str, ...] = (),
        *,
        is_of_stored: bool = False,
        runs_on: bool = False,
        token_bytes: int = 0,
        comes_anew: bool = False,
        may_end_as_chat: bool = False,
        pictures: int = 1,
        omissions: Omissions | None = None,
    ) -> None:
        self._omissions = omissions
        self._is_of_stored = is_of_stored
        self._runs_on = runs_on
        self._token_bytes = token_bytes
        self._comes_anew = comes_anew
        self._may_end_as_chat = may_end_as_chat
        self._pictures_asked = pictures
        # The pictures that are complete, and the tokens that they are estimated at.
        self._pictures = 0
        self._pictures_tokens = 0
        self.has_output = False
        self._report_in = report_in
        self._account_names = account_names
        self._unended = UnendedEvent()
        self._before_content = b""
        self._sequence = -1
        self.has_content = False
        self.done = False
        self.failed = False
        self.error = b""
        self.events = 0
        self.last = b""
        self.units: Units | None = None
        self.tier = self.model = ""
        self.resource: StatefulResource | None = None

    @property
    def input_units(self) -> Units:
        """Return nothing: a response reports its input with its output."""
        return ()

    def feed(self, data: bytes) -> bytes:
        """Return the events that may go to the client now: whole ones, or nothing. Raises
        BadStream."""
        block = self._unended.ended_by(data)
        if self._unended.length > _EVENT_BYTES_MAX:
            raise BadStream(f"an event is longer than {_EVENT_BYTES_MAX} bytes")
        # Behind the last event: waits with it for the usage record.
        if self.done:
            self._keep_for_last(block)
            return b""
        if not block:
            return b""
        if not self.has_content and not self._before_content:
            block = without_mark(block)
        going_on = self.has_content
        passed = b"".join(self._event(event) for event in events_in(block))
        return passed if going_on else self._from_content_on(passed)

    def _from_content_on(self, passed: bytes) -> bytes:
        """Return nothing before the first content; with it, all events held until then."""
        # A cloud may still break off, and another be asked: the client gets nothing until content.
        self._before_content += passed
        if self.has_content:
            before_content, self._before_content = self._before_content, b""
            return before_content
        if len(self._before_content) > _EVENT_BYTES_MAX:
            raise BadStream(f"no content within {_EVENT_BYTES_MAX} bytes")
        return b""

    def close(self) -> bytes:
        """The cloud has ended the stream in order: return what may go to the client of the rest."""
        rest = self._unended.taken()
        if not self.has_content and not self._before_content:
            rest = without_mark(rest)
        if self.done:
            self._keep_for_last(rest)
            return b""
        data = data_of(rest)
        # Behind the last event of a stored response nothing is left to tell, and fewer pictures
        # than were asked for may be drawn.
        is_over = self._is_of_stored and not self.events
        if not data and (is_over or (self._pictures and not self.failed)):
            self.done = self.has_content = True
            return self._from_content_on(b"")
        if not self._can_read(data):
            return b""
        # A last event without its empty line.
        going_on = self.has_content
        passed = self._event(rest)
        return passed if going_on else self._from_content_on(passed)

    def _can_read(self, data: bytes) -> bool:
        """Return whether the data of an event is whole."""
        return _decoded(data) is not _NO_EVENT

    def end_with_error(self) -> bytes:
        """Let the reported error end the stream, which is the answer: return all that was held."""
        held, self._before_content = self._before_content, b""
        # The failure of a response may have followed its error, and reported usage.
        if self.units is None:
            self._note_usage(self.error)
        self.failed = False
        self.done = self.has_content = True
        return held

    def _keep_for_last(self, block: bytes) -> None:
        kept = []
        for event in events_in(block):
            if self._pictures and _kind_of(event) in _PICTURE:
                self._note_picture(data_of(event))
            if _is_error(event):
                # A response that ended with an error may be told once more, as failed.
                if self.units is None:
                    self._note_usage(data_of(event))
                event = self._without_names(event)
            kept.append(event)
        self.last += b"".join(kept)
        if len(self.last) > 2 * _EVENT_BYTES_MAX:
            raise BadStream(f"more than {_EVENT_BYTES_MAX} bytes follow its end")

    def broken(self, kind: ErrorKind, message: str) -> bytes:
        """Return the event that says that the stream broke; OpenAI's clients raise on its
        `error`."""
        members = error_members(kind, message)
        event = {
            **members,
            "type": "error",
            "sequence_number": self._sequence + 1,
            "error": members,
        }
        return b"event: error\ndata: %b\n\n" % msgspec.json.encode(event)

    def _event(self, event: bytes) -> bytes:
        if self.done:
            self._keep_for_last(event)
            return b""
        data = data_of(event)
        if data == DONE:
            if self._may_end_as_chat and not self.failed:
                self.done = self.has_content = True
                self.last = event
            return b""
        decoded = _decoded(data)
        # Some servers write the type in its line alone.
        kind = decoded.type or type_in_line(event)
        if kind in _PICTURE:
            self._note_picture(data)
            if self._pictures < self._pictures_asked:
                self.has_content = self.has_output = True
                return event
            self.done = self.has_content = True
            self.failed = False
            self.last = event
            return b""
        if isinstance(decoded.sequence_number, (int, float)):
            self._sequence = max(self._sequence, int(decoded.sequence_number))
        if stated(decoded.response):
            self.resource = resource_in(bytes(decoded.response)) or self.resource
        # A failure before content is not final here: another cloud may still be asked.
        if kind in _FINAL and (self.has_content or kind not in _FAILED or self._is_of_stored):
            self._note(self._report_in(data, self._omissions))
            if self.units is None and self._token_bytes:
                self._count(data)
            # A response that failed before its output, and reports nothing, used nothing.
            if self.units is None and not self.has_output and kind in _FAILED:
                self.units = ()
            # An error that came after content has its end now, as the cloud tells it.
            self.failed = self.failed and not self.has_content
            self.done = self.has_content = True
            self.last = self._without_names(event) if kind in _FAILED else event
            return b""
        if self._may_end_as_chat and _CHAT_USAGE in data:
            self._note_usage(data)
        self._count(data)
        if kind in _FAILED or reports_error(decoded.error) or is_error_by_line(event):
            return self._error_event(event, data)
        if data and not self.failed:
            self.has_output = self.has_output or kind not in _ANNOUNCING
            is_named = self._runs_on and self.resource is not None
            self.has_content = self.has_content or self.has_output or is_named
        return event

    def _count(self, data: bytes) -> None:
        """Count what an event brings, for estimates."""
        if not self._token_bytes:
            self.events += bool(data)
            return
        tokens = -(-len(data) // self._token_bytes)
        if self._comes_anew:
            self.events = max(self.events, self._pictures_tokens + tokens)
        else:
            self.events += tokens

    def _note_picture(self, data: bytes) -> None:
        """Add up the usage of a picture that is complete."""
        self._count(data)
        self._pictures += 1
        self._pictures_tokens = self.events
        sum_before, report = self.units or (), self._report_in(data, self._omissions)
        if report.units is not None:
            self._note(report)
            self.units = _sum_of(sum_before, report.units)

    def _error_event(self, event: bytes, data: bytes) -> bytes:
        """Note an error that the cloud reports, and return its event for the client."""
        # The failure of a response, after its error, reports what was used.
        if self.failed:
            self._note_usage(data)
        self.failed, self.error = True, self.error or data
        return self._without_names(event)

    def _note_usage(self, data: bytes) -> None:
        """Note the usage that an event reports, if it reports any."""
        report = self._report_in(data, self._omissions)
        if report.units:
            self._note(report)

    def _note(self, report: AnswerReport) -> None:
        self.units, self.tier, self.model = report.units, report.tier, report.model

    def _without_names(self, event: bytes) -> bytes:
        """Return the event of an error without the names of our account."""
        return without_our_names(event, self._account_names)


def _sum_of(units: Units, others: Units) -> Units:
    """Return the counts of both, each under its unit."""
    counts = dict(units)
    for unit, count in others:
        counts[unit] = counts.get(unit, 0) + count
    return tuple(counts.items())


def _kind_of(event: bytes) -> str:
    """Return an event's type; some servers write it in its line alone."""
    return _decoded(data_of(event)).type or type_in_line(event)


def _is_error(event: bytes) -> bool:
    if event.find(_ERROR) < 0:
        return False
    decoded = _decoded(data_of(event))
    return decoded.type in _FAILED or reports_error(decoded.error) or is_error_by_line(event)


def _decoded(data: bytes) -> _Event:
    try:
        return decode_with_half_pairs(_decode_event, data) if data else _NO_EVENT
    except NOT_JSON:
        return error_in_list(_decode_event, data) or _NO_EVENT
