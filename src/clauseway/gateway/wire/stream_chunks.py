"""The chunks of a chat's event stream, as far as they are decoded: content, usage and errors. Pure."""

from typing import Final

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.gateway.clouds.usage_reports import Answered, ChatUsage
from clauseway.gateway.wire.bodies.needs import ABSENT
from clauseway.gateway.wire.error_bodies import first_of_list
from clauseway.gateway.wire.errors import reports_error
from clauseway.gateway.wire.sse import data_of
from clauseway.values import NOT_JSON

ERROR: Final = b'"error"'
_EMPTY_VALUES: Final = frozenset((b"null", b'""', b"[]", b"{}"))


class _Choice(msgspec.Struct, frozen=True, gc=False):
    delta: dict[str, msgspec.Raw] | None = None
    finish_reason: str | None = None
    text: str | None = None  # of a legacy completion

    @property
    def has_content(self) -> bool:
        if self.finish_reason or self.text:
            return True
        if self.delta is not None:
            for name, value in self.delta.items():
                if name != "role" and bytes(value) not in _EMPTY_VALUES:
                    return True
        return False


class _Choices(msgspec.Struct, frozen=True, gc=False):
    """A chunk without its usage: a report that cannot be read hides no content."""

    choices: list[_Choice] = []


class Chunk(Answered, frozen=True, gc=False):
    choices: list[_Choice] = msgspec.field(default_factory=list)


class _Reporting(msgspec.Struct, frozen=True, gc=False):
    usage: ChatUsage | None = None


class _ReportingChunk(msgspec.Struct, frozen=True, gc=False):
    choices: list[_Reporting] = []
    x_groq: _Reporting | None = None


class _ReportedError(msgspec.Struct, frozen=True, gc=False):
    type: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT

    @property
    def is_error(self) -> bool:
        return bytes(self.type) == ERROR or reports_error(self.error)


decode_chunk: Final = msgspec.json.Decoder(Chunk).decode
_decode_choices: Final = msgspec.json.Decoder(_Choices).decode
_decode_reporting: Final = msgspec.json.Decoder(_ReportingChunk).decode
_decode_reported: Final = msgspec.json.Decoder(_ReportedError).decode


def usage_within(data: bytes) -> ChatUsage | None:
    """Return the usage that another member of a chunk reports; None if none does. Kimi's last chunk
    has it in a choice, Groq's in `x_groq`, whether or not a report was asked for."""
    try:
        chunk = decode_with_half_pairs(_decode_reporting, data)
    except NOT_JSON:
        return None
    members = chunk.choices if chunk.x_groq is None else [*chunk.choices, chunk.x_groq]
    return next((member.usage for member in members if member.usage is not None), None)


def is_error(event: bytes) -> bool:
    """Return whether an event reports an error."""
    if event.find(ERROR) < 0:
        return False
    data = data_of(event)
    try:
        return decode_with_half_pairs(_decode_reported, first_of_list(data) or data).is_error
    except NOT_JSON:
        return False


def has_content(event: bytes) -> bool:
    """Return whether an event says more than a role, or why the answer ends."""
    try:
        choices = decode_with_half_pairs(_decode_choices, data_of(event)).choices
    except NOT_JSON:
        return False
    return any(choice.has_content for choice in choices)
