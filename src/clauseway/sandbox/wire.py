"""Requests to a fake cloud and its answers: plain values, so that a fake cloud is a pure
function."""

from collections.abc import Mapping, Sequence

import msgspec

Header = tuple[bytes, bytes]


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came off the wire. Header names are lower case, in the order received.

    `path` is decoded; `raw_path` is as sent, for signatures.

    `now_s` is the machine's clock (seconds since 1970) and `serial` 32 hex digits that no other
    request of any sandbox has: a fake cloud asks neither clock nor randomness.
    """

    method: str
    path: str
    raw_path: str
    query: str
    headers: Sequence[Header]
    body: bytes
    now_s: float
    serial: str
    scheme: str = "http"

    def header(self, name: bytes) -> str:
        """Return the first value of a header, empty where it is missing."""
        return next(iter(self.header_values(name)), "")

    def header_values(self, name: bytes) -> list[str]:
        """Return all values of a header."""
        return [value.decode("latin-1") for key, value in self.headers if key == name]

    @property
    def bearer(self) -> str:
        """Return the token of `Authorization: Bearer …`; empty for another scheme or none."""
        scheme, _, token = self.header(b"authorization").partition(" ")
        return token if scheme == "Bearer" else ""

    @property
    def uuid(self) -> str:
        """Return the serial in the form that Azure and AWS give their request ids."""
        text = self.serial
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a request for the model server: the cloud has handled its root and the
    authentication.

    `path` is what follows the root. `model` is empty where the body names the model, as it does
    almost everywhere.
    """

    method: str
    path: str
    query: str
    content_type: str
    body: bytes
    now_s: float
    serial: str
    model: str = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The model server's answer, before a cloud adds its headers and its way of writing JSON.

    One of: `value` as JSON, `content` of `content_type`, or the `events` of a stream, each with its
    blank line. `tokens` are those that it reports: in and out.
    """

    value: object = None
    content: bytes = b""
    content_type: bytes = b"application/json"
    events: tuple[bytes, ...] = ()
    tokens: tuple[int, int] = (0, 0)


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer: `body`, or for a stream its `events`, each with its blank line.

    `tokens` are those that it reports: in and out.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""
    events: tuple[bytes, ...] = ()
    tokens: tuple[int, int] = (0, 0)


class FormatRefusal(Exception):
    """A request that the chat format itself refuses, in OpenAI's terms; each fake cloud words its
    own body around it.

    Raised while a body is read, caught by the fake cloud. `code` and `param` are empty where OpenAI
    says null.
    """

    def __init__(self, status: int, message: str, *, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code

    @property
    def body(self) -> dict[str, object]:
        """Return the error as OpenAI's API writes it."""
        fields: Mapping[str, object] = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": self.param or None,
            "code": self.code or None,
        }
        return {"error": fields}


encode = msgspec.json.Encoder().encode


def encode_indented(value: object) -> bytes:
    """Return a value as JSON over several lines, as OpenAI and Azure write whole answers."""
    return msgspec.json.format(encode(value), indent=2)


def event(data: object, name: str = "") -> bytes:
    """Return one server-sent event."""
    head = b"event: " + name.encode() + b"\n" if name else b""
    return head + b"data: " + encode(data) + b"\n\n"


STREAM = b"text/event-stream; charset=utf-8"
# Hides the length of a token from who watches the wire; drawn from the event's number, so that
# answers repeat.
_PADDING = "WuQNXIPio8PDeczEmdPr"


def padding(number: int) -> str:
    return _PADDING[number % len(_PADDING) :]
