"""The kinds of event streams that are read on their way to the client: of chat, typed, of messages.

The operation decides the kind. AWS sends messages in frames of its own; clients receive the same
server-sent events from all clouds.
"""

from typing import Final, Protocol

from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.clouds.reports import Reader
from clauseway.gateway.clouds.unusual_counts import Omissions
from clauseway.gateway.wire.bodies.decoding import RequestProperties
from clauseway.gateway.wire.errors import ErrorKind
from clauseway.gateway.wire.message_streams import FramedMessageStream, MessageStream
from clauseway.gateway.wire.stateful_resources import StatefulResource
from clauseway.gateway.wire.streams import EventStream, StoredChatStream
from clauseway.gateway.wire.typed_streams import TypedStream

# For estimates, how many bytes are a token: pictures as PNG in base64, and speech as MP3 of 128
# kbit/s at some twenty tokens a second, as it is and in base64.
PICTURE_BYTES: Final = 1000
SOUND_BYTES: Final = 800
_SOUND_BASE64_BYTES: Final = SOUND_BYTES * 4 // 3


class Stream(Protocol):
    """A cloud's event stream on its way to the client. `feed` takes the cloud's bytes and returns
    whole events that may go to the client now; `close` returns the rest of them, once the cloud has
    ended the stream in order. `broken` returns the event that tells the client that the stream
    broke.

    `has_content` once content came; `done` once its last event came; `failed` once it reported an
    error, of which `error` is the data. Before content, `end_with_error` makes that error the end
    of the stream, and returns the events that were held back. `units` are its usage report, if any,
    and `report` the data of the event with it; `input_units` what it has reported of its input so
    far. `events` counts events with data, of messages the deltas of content alone, of pictures and
    sound the tokens that their length tells: estimates of output rest on it. `last` are the events
    that must not go out before the usage is durable. `resource` is the resource that the stream
    created, if any.
    """

    has_content: bool
    done: bool
    failed: bool
    error: bytes
    events: int
    last: bytes
    resource: StatefulResource | None

    @property
    def units(self) -> Units | None: ...
    @property
    def tier(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def input_units(self) -> Units: ...
    def feed(self, data: bytes) -> bytes: ...
    def close(self) -> bytes: ...
    def end_with_error(self) -> bytes: ...
    def broken(self, kind: ErrorKind, message: str) -> bytes: ...


class StreamWays(Protocol):
    """How the streams of a deployment are read. `takes_usage_option`: the gateway asks for usage
    when the client does not. `framed`: events come in AWS's frames. `account_names` must not stand in
    the errors that a client reads."""

    @property
    def takes_usage_option(self) -> bool: ...
    @property
    def framed(self) -> bool: ...
    @property
    def account_names(self) -> tuple[str, ...]: ...


def chat_stream(
    properties: RequestProperties, _report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    strip_usage = ways.takes_usage_option and not properties.wants_usage
    return EventStream(
        strip_usage=strip_usage, account_names=ways.account_names, omissions=omissions
    )


def stored_chat_stream(
    properties: RequestProperties, _report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    """Return the stream of a completion that is stored, or has sound: their identifiers are
    noted."""
    strip_usage = ways.takes_usage_option and not properties.wants_usage
    return StoredChatStream(
        strip_usage=strip_usage, account_names=ways.account_names, omissions=omissions
    )


def typed_stream(
    properties: RequestProperties, report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    return TypedStream(report_in, ways.account_names, runs_on=properties.later, omissions=omissions)


def picture_stream(
    properties: RequestProperties, report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    """Return the stream of pictures. Each comes anew with each of its events, a little further."""
    return TypedStream(
        report_in,
        ways.account_names,
        token_bytes=PICTURE_BYTES,
        comes_anew=True,
        pictures=properties.choices,
        omissions=omissions,
    )


def sound_stream(
    _asked: RequestProperties, report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    """Return the stream of speech, in pieces."""
    return TypedStream(
        report_in, ways.account_names, token_bytes=_SOUND_BASE64_BYTES, omissions=omissions
    )


def transcript_stream(
    _asked: RequestProperties, report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    """Return the stream of a transcript. vLLM's comes in chunks, like a chat's."""
    return TypedStream(report_in, ways.account_names, may_end_as_chat=True, omissions=omissions)


def stored_response_stream(
    _asked: RequestProperties, report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    """Return the stream of a response that was stored before."""
    return TypedStream(
        report_in, ways.account_names, is_of_stored=True, runs_on=True, omissions=omissions
    )


def message_stream(
    _asked: RequestProperties, _report_in: Reader, ways: StreamWays, omissions: Omissions
) -> Stream:
    kind = FramedMessageStream if ways.framed else MessageStream
    return kind(ways.account_names, omissions)
