"""Content on its way to the client, as it comes: speech, and a file that is longer than a whole
answer may be. Pure.

There are no events in it and no place for an error: if it breaks off, the connection to the client
is closed before the body's end (one of HTTP/1.0, which has no other end, is reset), so that no client
takes the part for the whole.
"""

from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.wire.errors import ErrorKind
from clauseway.gateway.wire.stateful_resources import StatefulResource


class PassedContent:
    """See `event_streams.Stream`. The last byte is held back until the content is whole.

    `token_bytes`: so many bytes are a token, for estimates; 0 for content that costs nothing.
    """

    has_content = True
    failed = False
    error = b""
    tier = model = ""
    input_units: Units = ()

    def __init__(self, token_bytes: int) -> None:
        self.done = False
        self.last = b""
        self.events = 0
        self.units: Units | None = None
        self.resource: StatefulResource | None = None
        self._token_bytes = token_bytes
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        if not data:
            return b""
        self._size += len(data)
        if self._token_bytes:
            self.events = -(-self._size // self._token_bytes)
        passed, self.last = self.last + data[:-1], data[-1:]
        return passed

    def close(self) -> bytes:
        self.done = True
        return b""

    def end_with_error(self) -> bytes:
        return b""

    def broken(self, _kind: ErrorKind, _message: str) -> bytes:
        return b""
