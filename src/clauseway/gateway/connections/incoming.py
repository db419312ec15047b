"""A request of a client as it arrives, before anybody has understood it."""

from typing import Final

from clauseway.gateway.request.in_flight import Use
from clauseway.gateway.wire.operations import RequestLine


class Incoming:
    """Header values are empty where the header is absent. The usual values stand in the class: most
    requests set few.

    `named_host`: its head has a `Host`. `chunked`: its answer may come in chunks. `coded`: its body
    does. `upgrade`: it would rather speak another protocol,
    with `web_socket_key` that one. `request_line` is what its head asks for,
    where that was looked at already; `unwanted`: its body is not kept, because the head is refused
    whatever the body says. `use` is its key's, where the body is counted; `bytes_in_flight` are the bytes of
    the body that are counted there.
    """

    url = b""
    method = b""
    authorization = b""
    api_key = b""
    other_api_key = b""
    cloud = b""
    expect = b""
    length = b""
    content_type = b""
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
    upgrade = False
    web_socket_key = b""
    request_line: RequestLine | None = None
    unwanted = False

    def __init__(self) -> None:
        self.forwarded: list[bytes] = []
        self.pieces: list[bytes] = []

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
