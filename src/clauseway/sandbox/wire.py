"""What a twin receives and what it answers: plain values, so that a twin is a pure function."""

from collections.abc import Sequence

import msgspec

Header = tuple[bytes, bytes]


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it came off the wire. Header names are lower case, in the order received.

    `now_s` is the machine's clock (seconds since 1970) and `serial` 32 hex digits that no other request of any sandbox
    has: a twin asks neither clock nor randomness.
    """

    method: str
    path: str
    query: str
    headers: Sequence[Header]
    body: bytes
    now_s: float
    serial: str

    def header(self, name: bytes) -> str:
        """The first value of a header, empty where it is missing."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return ""

    @property
    def uuid(self) -> str:
        """The serial in the form that Azure and AWS give their request ids."""
        text = self.serial
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back: `body`, or for a stream its `events`, each with its blank line. Tokens are what it reports."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""
    events: tuple[bytes, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Refused(Exception):
    """A request that the chat format itself refuses, in OpenAI's terms; each twin words its own body around it.

    Raised while a body is read, caught by the twin. `code` and `param` are empty where OpenAI says null.
    """

    def __init__(self, status: int, message: str, *, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
