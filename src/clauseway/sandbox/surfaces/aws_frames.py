"""A stream as AWS's runtime sends it: each event of a model in a binary frame
(`application/vnd.amazon.eventstream`), written here, read by botocore in the tests."""

import struct
from base64 import b64encode
from typing import Final
from zlib import crc32

from clauseway.sandbox.wire import encode

CONTENT_TYPE: Final = b"application/vnd.amazon.eventstream"
_TEXT: Final = 7


def chunk_frame(data: bytes) -> bytes:
    """Return a frame that carries one event of a model."""
    payload = encode({"bytes": b64encode(data).decode(), "p": "abcdefgh"})
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame_of(headers, payload)


def exception_frame(name: str, message: str) -> bytes:
    """Return a frame that ends a stream with an exception, as the service's model names it."""
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame_of(headers, encode({"message": message}))


def data_in(event: bytes) -> bytes:
    """Return the data of a server-sent event."""
    return event.partition(b"data: ")[2].rstrip(b"\n")


def frame_of(headers: dict[str, str], payload: bytes) -> bytes:
    """Return a frame with the headers and the payload."""
    written = b"".join([_header(name, value) for name, value in headers.items()])
    length = 12 + len(written) + len(payload) + 4
    prelude = struct.pack(">II", length, len(written))
    head = prelude + struct.pack(">I", crc32(prelude))
    return head + written + payload + struct.pack(">I", crc32(head + written + payload))


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return bytes([len(name)]) + name.encode() + struct.pack(">BH", _TEXT, len(text)) + text
