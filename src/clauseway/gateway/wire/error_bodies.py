"""The bodies of clouds' errors, as they are read whatever a server makes of JSON. Pure.

A proxy may compress what it says itself, although nobody asked for that. Some write the refusal of
a stream as its events, under the status of an error.
"""

import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.gateway.wire.bodies.members import read_or
from clauseway.gateway.wire.errors import reports_error
from clauseway.gateway.wire.sse import data_of, events_in
from clauseway.values import NOT_JSON

# A plain value for whatever a server writes: a member of an unusual type takes no other its words.
_decode: Final[Callable[[bytes], object]] = msgspec.json.Decoder().decode

_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode

# The fields with which events begin.
_EVENTS: Final = (b"data:", b"event:")

# Encodings of a body that the standard library reads, each by its own beginning.
COMPRESSIONS: Final = (b"gzip", b"x-gzip", b"deflate")
_ANY_COMPRESSION: Final = zlib.MAX_WBITS | 32


class _WithError(Protocol):
    """An event that may report an error."""

    @property
    def error(self) -> msgspec.Raw: ...


_Event = TypeVar("_Event", bound=_WithError)


def decompressed(body: bytes, bytes_max: int) -> bytes | None:
    """Return a body that is compressed; None if it is not, or cut, or too long."""
    decompressor = zlib.decompressobj(_ANY_COMPRESSION)
    try:
        plain = decompressor.decompress(body, bytes_max)
    except zlib.error:
        return None
    return plain if decompressor.eof else None


def members_in(body: bytes) -> dict[str, Any]:
    """Return the members of an error, or of the first one in a list, as Google writes it, or among
    events; none if it is not JSON."""
    if body.startswith(_EVENTS):
        body = next((data for event in events_in(body) if (data := data_of(event))), b"")
    try:
        decoded = decode_with_half_pairs(_decode, _plain(body))
    except NOT_JSON:
        return {}
    if isinstance(decoded, list):
        decoded = decoded[0] if decoded else {}
    return decoded if isinstance(decoded, dict) else {}


def first_of_list(data: bytes) -> bytes:
    """Return the first element of a list, as Google writes errors in streams too; empty if `data` is
    no list, or an empty one."""
    if not data.startswith(b"["):
        return b""
    listed: list[msgspec.Raw] = read_or(_decode_list, data, [])
    return bytes(listed[0]) if listed else b""


def error_in_list(decode: Callable[[bytes], _Event], data: bytes) -> _Event | None:
    """Return the error of an event that is a list; None if it reports none."""
    try:
        decoded = decode_with_half_pairs(decode, first_of_list(data))
    except NOT_JSON:
        return None
    return decoded if reports_error(decoded.error) else None


def _plain(body: bytes) -> bytes:
    """Return a body as JSON has it: UTF-8, without a byte order mark."""
    return body if body.isascii() else body.decode("utf-8-sig", "replace").encode()
