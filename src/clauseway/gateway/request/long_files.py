"""The content of a file that is longer than a whole answer may be: bytes on their way to the
client, as they come. Pure.

There are no events in it and no place for an error: if it breaks off, the connection to the client
is closed before the body's end (one of HTTP/1.0, which has no other end, is reset), so that no client
takes the part for the whole.
"""

from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.wire.errors import ErrorKind
from clauseway.gateway.wire.stateful_resources import StatefulResource


class LongFile:
    """See `event_streams.Stream`."""

    has_content = True
    failed = False
    error = b""
    events = 0
    last = b""
    report = b""
    input_units: Units = ()

    def __init__(self) -> None:
        self.done = False
        self.units: Units | None = None
        self.resource: StatefulResource | None = None

    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> bytes:
        self.done = True
        return b""

    def end_with_error(self) -> bytes:
        return b""

    def broken(self, _kind: ErrorKind, _message: str) -> bytes:
        return b""
