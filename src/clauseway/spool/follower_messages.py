"""The messages between a journal's writer and its follower, byte by byte. Pure.

Both sides begin with a preface of 42 bytes: the magic "CLWCOPY" and a zero, the version (u16,
little-endian like all numbers here), and 32 random bytes. From the shared secret and both prefaces
each side makes two keys, one for each direction. Every message after that is

    u32 length of the rest, code included | u8 kind | body | 32 bytes of code

and its code is the HMAC-SHA-256 of its number in its direction, its kind and its body. So neither
side believes anything of a stranger, and a message that was altered, repeated, left out or moved
ends the connection. Nothing is kept secret from whoever can read the network.

The follower speaks first (`PROOF`, no body), so the writer knows that the follower has the secret
before it names its journal:

    HELLO    writer    JSON: spool (hex), boot, place, when_away
    WELCOME  follower  JSON: segments that the follower holds, each with number, size, digest, closed
    REFUSED  follower  JSON: why, detail; then the follower closes the connection
    APPEND   writer    u64 segment | u64 offset | u32 frames | bytes of the segment, from the offset on
    RELEASE  writer    u64 segment: all segments before it are sealed, and may go
    PING     writer    nothing
    BYE      writer    nothing: the journal was closed in order, and all of it is here
    ACK      follower  nothing: to each APPEND, RELEASE, PING and BYE, in their order

`frames` counts the frames of the segment up to the end of the bytes. A digest is the SHA-256 of a
segment's bytes from its begin, less the count of acknowledged frames in its header.
"""

import hashlib
import hmac
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from clauseway.spool.segment_format import ACKNOWLEDGED_AT, ACKNOWLEDGED_END

VERSION: Final = 1
MAGIC: Final = b"CLWCOPY\0"
_PREFACE: Final = Struct("<8sH32s")
PREFACE_BYTES: Final = _PREFACE.size
NONCE_BYTES: Final = 32
# A secret of fewer characters can be guessed from one recorded connection.
SECRET_LENGTH_MIN: Final = 32
_LENGTH: Final = Struct("<I")
_CODE_BYTES: Final = 32
_NUMBER: Final = Struct("<QB")
_APPEND: Final = Struct("<QQI")
_RELEASE: Final = Struct("<Q")
# A group of records has some kilobytes, a chunk of an older segment a megabyte.
MESSAGE_BYTES_MAX: Final = 64 << 20
# The first message of each side names a journal, or nothing. Until it is here the other side has
# proved nothing, and whatever it sends is kept.
FIRST_BYTES_MAX: Final = 64 << 10


class MessageKind(IntEnum):
    """The kinds of messages."""

    PROOF = 1
    HELLO = 2
    WELCOME = 3
    REFUSED = 4
    APPEND = 5
    RELEASE = 6
    PING = 7
    BYE = 8
    ACK = 9


class BadMessage(Exception):
    """The other side is not who it should be, or does not speak as it should. The text says why."""


class Append(NamedTuple):
    """Bytes of a segment from `offset` on; `frames` are in the segment up to their end."""

    segment: int
    offset: int
    frames: int
    data: bytes


def pack_preface(nonce: bytes, version: int = VERSION) -> bytes:
    return _PREFACE.pack(MAGIC, version, nonce)


def check_preface(preface: bytes) -> None:
    """Raise BadMessage unless the other side speaks this version."""
    if len(preface) < PREFACE_BYTES or not preface.startswith(MAGIC):
        raise BadMessage("it does not speak the protocol of journals and followers")
    _, version, _ = _PREFACE.unpack(preface)
    if version != VERSION:
        raise BadMessage(
            f"it speaks version {version} of the protocol, and this side {VERSION}: "
            "install the same release of clauseway on both"
        )


class Channel:
    """One side of a connection: seals the messages that it sends, opens those that it receives."""

    def __init__(self, secret: bytes, prefaces: bytes, *, is_writer: bool) -> None:
        """`prefaces` are the writer's and the follower's, in this order."""
        keys = [hmac.digest(secret, side + prefaces, "sha256") for side in (b"writer", b"follower")]
        self._sending, self._receiving = keys if is_writer else reversed(keys)
        self._sent = self._received = 0
        self._buffer = bytearray()

    def seal(self, kind: MessageKind, body: bytes = b"") -> bytes:
        """Return the bytes of the next message."""
        code = hmac.digest(self._sending, _NUMBER.pack(self._sent, kind) + body, "sha256")
        self._sent += 1
        length = _LENGTH.pack(1 + len(body) + _CODE_BYTES)
        return b"".join((length, bytes((kind,)), body, code))

    def feed(self, data: bytes) -> list[tuple[MessageKind, bytes]]:
        """Return the messages that are whole now, with their bodies. Raise BadMessage."""
        buffer, messages = self._buffer, []
        buffer += data
        at = 0
        while len(buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, at)
            # The length is not proved until the whole message is here, so it is bounded first.
            bytes_max = MESSAGE_BYTES_MAX if self._received else FIRST_BYTES_MAX
            if not _CODE_BYTES < length <= bytes_max:
                raise BadMessage(f"a message of {length:,} bytes")
            begin, end = at + _LENGTH.size, at + _LENGTH.size + length
            if len(buffer) < end:
                break
            messages.append(self._opened(bytes(buffer[begin:end])))
            at = end
        del buffer[:at]
        return messages

    def _opened(self, message: bytes) -> tuple[MessageKind, bytes]:
        kind, body, code = message[0], message[1:-_CODE_BYTES], message[-_CODE_BYTES:]
        expected = hmac.digest(self._receiving, _NUMBER.pack(self._received, kind) + body, "sha256")
        if not hmac.compare_digest(code, expected):
            # Before any message was good, another secret is likelier than an alteration.
            if self._received:
                raise BadMessage("a message was altered on its way")
            raise BadMessage("it has another secret")
        self._received += 1
        try:
            return MessageKind(kind), body
        except ValueError:
            raise BadMessage(f"a message of the unknown kind {kind}") from None


def pack_append(segment: int, offset: int, frames: int, data: bytes) -> bytes:
    return _APPEND.pack(segment, offset, frames) + data


def unpack_append(body: bytes) -> Append:
    """Raise BadMessage."""
    if len(body) < _APPEND.size:
        raise BadMessage("a message that ends too soon")
    segment, offset, frames = _APPEND.unpack_from(body)
    return Append(segment, offset, frames, body[_APPEND.size :])


def pack_release(segment: int) -> bytes:
    return _RELEASE.pack(segment)


def unpack_release(body: bytes) -> int:
    """Raise BadMessage."""
    if len(body) != _RELEASE.size:
        raise BadMessage("a message that ends too soon")
    segment: int = _RELEASE.unpack(body)[0]
    return segment


class SegmentDigest:
    """The digest of a segment, fed with its bytes in order."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._at = 0

    def feed(self, data: bytes) -> None:
        # Without the count of acknowledged frames, which differs from copy to copy.
        begin, end = ACKNOWLEDGED_AT, ACKNOWLEDGED_END
        at, self._at = self._at, self._at + len(data)
        if at >= end:
            self._sum.update(data)
        else:
            self._sum.update(data[: max(begin - at, 0)])
            self._sum.update(data[end - at :])

    def hex(self) -> str:
        return self._sum.hexdigest()
