"""What routing and metering need of a request's body, decoded by type; everything else is only passed over.

Typed decoding is cheaper than searching the bytes, and unlike searching it is right. Every kind of request answers the
same few questions (`Asked`); a body in parts (`multipart/form-data`) is read for its plain fields.
"""

from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec

from clauseway.gateway.multipart import BadForm, fields_of

# Far beyond what any model writes and any cloud allows; with the bound on prices, a reservation stays within 63 bits.
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]
_Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]
# Where a request names no model and OpenAI has a default that every cloud shares.
_MODERATION_MODEL = "omni-moderation-latest"


class Asked(Protocol):
    """What a request asks for.

    `model` is empty where the path names it. `output_tokens` is the most that it may be answered with, all choices
    together, 0 where it does not say. `wants_usage`: the caller itself asked for the usage chunk of a stream.
    `follows` are identifiers of what was made before and has to be found where it lies. `later`: the answer comes back
    before the work is done.
    """

    @property
    def model(self) -> str: ...
    @property
    def streamed(self) -> bool: ...
    @property
    def wants_usage(self) -> bool: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def choices(self) -> int: ...
    @property
    def follows(self) -> tuple[str, ...]: ...
    @property
    def later(self) -> bool: ...


class StreamOptions(msgspec.Struct, frozen=True, gc=False):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True, gc=False):
    """`POST /v1/chat/completions`. An absent member and `null` are the same to OpenAI."""

    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: _Tokens | None = None
    max_tokens: _Tokens | None = None
    n: _Choices | None = None
    follows = ()
    later = False

    @property
    def streamed(self) -> bool:
        return bool(self.stream)

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def output_tokens(self) -> int:
        return self.max_completion_tokens or self.max_tokens or 0

    @property
    def choices(self) -> int:
        return self.n or 1


class _Conversation(msgspec.Struct, frozen=True, gc=False):
    id: str


class ResponsesRequest(msgspec.Struct, frozen=True, gc=False):
    """`POST /v1/responses`. Usage is always reported; there is nothing to ask for."""

    model: str = ""
    stream: bool | None = None
    max_output_tokens: _Tokens | None = None
    previous_response_id: str | None = None
    conversation: str | _Conversation | None = None
    background: bool | None = None
    store: bool | None = None
    wants_usage = True
    choices = 1

    @property
    def streamed(self) -> bool:
        return bool(self.stream)

    @property
    def output_tokens(self) -> int:
        return self.max_output_tokens or 0

    @property
    def follows(self) -> tuple[str, ...]:
        conversation = self.conversation
        named = conversation.id if isinstance(conversation, _Conversation) else conversation
        return tuple(name for name in (self.previous_response_id, named) if name)

    @property
    def later(self) -> bool:
        return bool(self.background)


class PlainRequest(msgspec.Struct, frozen=True, gc=False):
    """Embeddings, images, speech, moderations, and whatever comes in parts."""

    model: str = ""
    stream: bool | None = None
    stream_format: str | None = None
    n: _Choices | None = None
    input_file_id: str | None = None
    wants_usage = True
    output_tokens = 0
    later = False

    @property
    def streamed(self) -> bool:
        return bool(self.stream) or self.stream_format == "sse"

    @property
    def choices(self) -> int:
        return self.n or 1

    @property
    def follows(self) -> tuple[str, ...]:
        return (self.input_file_id,) if self.input_file_id else ()


NOTHING_ASKED = PlainRequest()


class BadBody(Exception):
    """A body that cannot be read. `param` names the member at fault, where it is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


Decode = Callable[[bytes, bytes], Asked]


def _reader(kind: type[Asked], noun: str) -> Decode:
    decode = msgspec.json.Decoder(kind).decode

    def read(body: bytes, _content_type: bytes) -> Asked:
        try:
            return decode(body)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            raise BadBody(f"The body is no {noun} request: {what}.", path.strip("`.") or None) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadBody(f"The body is not JSON: {error}.") from None
        except RecursionError:
            raise BadBody("The body is nested too deeply.") from None

    return read


decode_chat = _reader(ChatRequest, "chat completion")
decode_responses = _reader(ResponsesRequest, "Responses")
decode_plain = _reader(PlainRequest, "JSON")


def decode_moderation(body: bytes, content_type: bytes) -> Asked:
    asked = decode_plain(body, content_type)
    return asked if asked.model else PlainRequest(model=_MODERATION_MODEL)


def decode_form(body: bytes, content_type: bytes) -> Asked:
    """A form's fields `model`, `stream` and `n`. Raises BadBody."""
    try:
        fields = fields_of(body, content_type)
    except BadForm as error:
        raise BadBody(f"The body is no form: {error}.") from None
    count = fields.get("n", "1")
    if not (count.isdecimal() and 1 <= int(count) <= 128):
        raise BadBody(f"{count!r} is not a number from 1 to 128.", "n")
    return PlainRequest(model=fields.get("model", ""), stream=fields.get("stream") == "true", n=int(count))
