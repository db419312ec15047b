"""AWS's event streams (`application/vnd.amazon.eventstream`): binary frames, each with headers and a
payload. Pure.

    4 bytes  length of the frame        all numbers are big-endian
    4 bytes  length of its headers
    4 bytes  CRC-32 of these eight
             headers: name, type, value
             payload
    4 bytes  CRC-32 of everything before

A frame of a model's stream, a `chunk`, carries `{"bytes": …}`, an event in base64; one whose message
type is `exception` or `error` carries the failure. AWS's clients skip events of any other name.
"""

import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from clauseway.values import NOT_JSON

_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_CHUNK: Final = "chunk"
_FRAME_BYTES_MAX: Final = 16 << 20  # AWS's own maximum
# Anthropic's word for an exception of AWS, by the status that AWS's model of the runtime gives it;
# of any other exception it is "api_error". A quota of the account is no fault of the request.
_ERROR_TYPES: Final = {
    "validationException": "invalid_request_error",
    "accessDeniedException": "permission_error",
    "resourceNotFoundException": "not_found_error",
    "modelTimeoutException": "timeout_error",
    "throttlingException": "rate_limit_error",
    "modelNotReadyException": "rate_limit_error",
    "serviceQuotaExceededException": "rate_limit_error",
    "serviceUnavailableException": "overloaded_error",
}
# Bytes of a header's value by its type; 6 and 7 begin with their length.
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class BadFrame(Exception):
    """These bytes are no frame."""


class Frame(NamedTuple):
    """A frame. `kind` is `event`, `exception` or `error`; `name` says which."""

    kind: str
    name: str
    payload: bytes


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    bytes: str = ""


class _Failure(msgspec.Struct, frozen=True, gc=False):
    message: str = ""


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode
_decode_failure: Final = msgspec.json.Decoder(_Failure).decode


def frames_in(block: bytes) -> tuple[list[Frame], bytes]:
    """Return the whole frames of a block, and what follows them. Raises BadFrame."""
    frames = []
    at = 0
    while len(block) - at >= _PRELUDE.size:
        length, headers_length, checksum = _PRELUDE.unpack_from(block, at)
        # The prelude has a checksum of its own: a damaged length would have us wait for bytes that
        # never come. The shortest frame is a prelude and the two checksums: 16 bytes.
        if crc32(block[at : at + 8]) != checksum or not 16 <= length <= _FRAME_BYTES_MAX:
            raise BadFrame("a frame's beginning is damaged")
        # The rest of this frame has not come yet.
        if len(block) - at < length:
            break
        end = at + length - _CRC.size
        if crc32(block[at:end]) != _CRC.unpack_from(block, end)[0]:
            raise BadFrame("a frame is damaged")
        begin = at + _PRELUDE.size + headers_length
        headers = dict(_headers(block[at + _PRELUDE.size : begin]))
        kind = headers.get(":message-type", "event")
        # An event, an exception and an error each name themselves in a header of their own.
        name = next(
            (
                headers[key]
                for key in (":event-type", ":exception-type", ":error-code")
                if key in headers
            ),
            "",
        )
        frames.append(Frame(kind, name, block[begin:end]))
        at += length
    return frames, block[at:]


def bytes_awaited(rest: bytes) -> int:
    """Return how many bytes make `rest`, which `frames_in` returned, a whole frame; before its
    length has come, how many tell that."""
    return int(_PRELUDE.unpack_from(rest)[0]) if len(rest) >= _PRELUDE.size else _PRELUDE.size


def _headers(block: bytes) -> Iterator[tuple[str, str]]:
    """Yield the headers that are text. Raises BadFrame."""
    at = 0
    while at < len(block):
        name_end = at + 1 + block[at]
        name = block[at + 1 : name_end].decode("utf-8", "replace")
        if name_end >= len(block):
            raise BadFrame("a frame's headers are cut")
        kind, at = block[name_end], name_end + 1
        # Bytes (6) and text (7) say their length; all other types have a fixed one.
        if kind in (6, 7):
            size = int.from_bytes(block[at : at + 2])
            value, at = block[at + 2 : at + 2 + size], at + 2 + size
            if kind == 7:
                yield name, value.decode("utf-8", "replace")
        elif kind in _SIZES:
            at += _SIZES[kind]
        else:
            raise BadFrame(f"a frame's header has the type {kind}")


def event_of(frame: Frame) -> bytes:
    """Return a frame as an event of Anthropic's streams; empty where it is no event of the model's.
    Raises BadFrame."""
    try:
        if frame.kind != "event":
            failure = _decode_failure(frame.payload) if frame.payload else _Failure()
            # AWS writes a name with a small letter or with a capital one.
            kind = _ERROR_TYPES.get(frame.name[:1].lower() + frame.name[1:], "api_error")
            error = {"type": kind, "message": failure.message or frame.name}
            return _event("error", msgspec.json.encode({"type": "error", "error": error}))
        if frame.name not in ("", _CHUNK):
            return b""
        data = b64decode(_decode_chunk(frame.payload).bytes, validate=True)
        return _event(_decode_typed(data).type, data)
    except (*NOT_JSON, Base64Error) as error:
        raise BadFrame(f"a frame cannot be read: {error}") from error


class _Typed(msgspec.Struct, frozen=True, gc=False):
    type: str = ""


_decode_typed: Final = msgspec.json.Decoder(_Typed).decode


def _event(name: str, data: bytes) -> bytes:
    if not name.isprintable():
        raise BadFrame("its event has no name that fits into a line")
    # A line break within JSON is white space: no text holds one as it is.
    data = data.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)
