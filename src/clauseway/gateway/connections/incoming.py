"""A request of a client as it arrives, before anybody has understood it."""

from typing import Final

from clauseway.gateway.request.in_flight import Use
from clauseway.gateway.wire.operations import RequestLine


class Incoming:
    """A request as it arrives. The value of an absent header is empty. Defaults are class
    attributes: most requests set few of them.

    `begun`, `head_done`: the first byte, and the whole head, have come. `named_host`: the head has
    a `Host`. `chunked`: the answer may come in chunks. `coded`: the body comes in chunks.
    `upgrade` names other protocols that the head asks for, `web_socket_key` and
    `web_socket_version` are of WebSocket.
    `connection`: what `Connection` lists, beyond how long the connection stays.
    `request_line` is the parsed request line, once the router has parsed it. `unwanted`: the router
    refuses the head, so the body is not kept. `received` counts bytes of a body that is dropped, or
    whose length the head does not state. `bytes_in_flight` are the bytes of the body that count
    toward `use`, the use of its key."""

    url = b""
    method = b""
    authorization = b""
    api_key = b""
    other_api_key = b""
    cloud = b""
    expect = b""
    length = b""
    content_type = b""
    content_coding = b""
    hedge = b""
    received = 0
    bytes_in_flight = 0
    use: Use | None = None
    begun = True
    head_done = False
    named_host = False
    keep_alive = True
    chunked = True
    coded = False
    upgrade = b""
    web_socket_key = b""
    web_socket_version = b""
    request_line: RequestLine | None = None
    unwanted = False
    connection = b""

    def __init__(self) -> None:
        self.forwarded: list[bytes] = []
        self.pieces: list[bytes] = []

    @property
    def presents_several_keys(self) -> bool:
        """Return whether more than one header presents a key."""
        if self.authorization:
            return bool(self.api_key or self.other_api_key)
        return bool(self.api_key and self.other_api_key)

    def drop_forwarded(self, listed: bytes) -> None:
        """Drop the headers to forward that `Connection` lists: they are for this hop alone (RFC
        9110, 7.6.1)."""
        names = [name.strip() for name in listed.lower().split(b",")]
        kept: list[bytes] = []
        for at in range(0, len(self.forwarded), 4):  # name, colon, value and end of each
            if self.forwarded[at].lower() not in names:
                kept += self.forwarded[at : at + 4]
        self.forwarded = kept

    def message(self, body: bytes) -> "Incoming":
        """Return the request that a body is, in the session that this head has begun."""
        message = Incoming()
        message.url, message.method = self.url.partition(b"?")[0], b"POST"
        message.content_type = b"application/json"
        message.authorization = self.authorization
        message.api_key, message.other_api_key = self.api_key, self.other_api_key
        message.cloud, message.hedge = self.cloud, self.hedge
        message.forwarded = self.forwarded
        message.pieces.append(body)
        return message


class _Nothing(Incoming):
    """Between two requests."""

    begun = False


NOTHING: Final = _Nothing()
