"""What routing and metering need of a request's body, decoded by type; everything else is only passed over.

Typed decoding is cheaper than searching the bytes, and unlike searching it is right.
"""

from typing import Annotated

import msgspec

# Far beyond what any model writes and any cloud allows; with the bound on prices, a reservation stays within 63 bits.
_Tokens = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]
_Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]


class StreamOptions(msgspec.Struct, frozen=True, gc=False):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True, gc=False):
    """`POST /v1/chat/completions`. An absent member and `null` are the same to OpenAI."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: _Tokens | None = None
    max_tokens: _Tokens | None = None
    n: _Choices | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether the caller asked for the usage chunk of a stream."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)


class BadBody(Exception):
    """A body that cannot be read. `param` names the member at fault, where it is one."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


_decode = msgspec.json.Decoder(ChatRequest).decode


def decode_chat(body: bytes) -> ChatRequest:
    """Raises BadBody."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        param = path.strip("`.") or None
        if "missing required field" in what:
            param = what.rpartition("field ")[2].strip("`")
        raise BadBody(f"The body is no chat completion request: {what}.", param) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadBody(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise BadBody("The body is nested too deeply.") from None
