"""Decode the JSON body of a request by type, and refuse a body that a cloud could read otherwise."""

import re
import sys
from collections.abc import Callable, Set
from typing import Final, Protocol, cast, get_args

import msgspec

from clauseway.gateway.wire.bodies.body_errors import BadBody
from clauseway.gateway.wire.bodies.further_models import FURTHER, refuse_further_models
from clauseway.gateway.wire.bodies.members import (
    Members,
    check_utf8,
    encode,
    may_have_parts,
    may_name_sounds,
    members_once,
)
from clauseway.gateway.wire.bodies.needs import PLAIN, Needs
from clauseway.values import LEVELS_MAX, NOT_JSON, elements_beyond, nests_beyond


class DecodedBody(Protocol):
    """A decoded body, of one kind of request: what `RequestProperties` are read from.

    `asks_nothing`: it asks for no capability, unless its body has a second array.
    """

    @property
    def model(self) -> str | None: ...
    @property
    def streamed(self) -> bool: ...
    @property
    def wants_usage(self) -> bool: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def choices(self) -> int: ...
    @property
    def named_ids(self) -> tuple[str, ...]: ...
    @property
    def later(self) -> bool: ...
    @property
    def asks_nothing(self) -> bool: ...
    def needs(self, body: bytes) -> Needs:
        """Return the request's needs. `body` is the body that it was decoded from."""


class RequestProperties:
    """The properties of a request that routing and metering need, read once from its decoded body.

    `model` is empty or None where the path names it. `output_tokens` is the most that each choice
    may have, 0 if the request does not say. `choices` is how many are written. `wants_usage`: the
    client itself asked for the usage chunk of a stream. `named_ids` are identifiers of resources
    that the request names: it has to go to their deployment. `later`: the cloud answers before the
    work is done, as for a response in the background.

    A plain class, because compiled code reads its fields directly.
    """

    def __init__(self, decoded: DecodedBody) -> None:
        self.decoded: Final = decoded
        self.model: Final = decoded.model
        self.streamed: Final = decoded.streamed
        self.wants_usage: Final = decoded.wants_usage
        self.output_tokens: Final = decoded.output_tokens
        self.choices: Final = decoded.choices
        self.named_ids: Final = decoded.named_ids
        self.later: Final = decoded.later
        self._asks_nothing: Final = decoded.asks_nothing

    def needs(self, body: bytes) -> Needs:
        """Return the request's needs. `body` is the body that it was decoded from."""
        if self._asks_nothing and not may_have_parts(body) and not may_name_sounds(body):
            return PLAIN
        return self.decoded.needs(body)


# (body, its content type) → the properties of the request. Raises BadBody.
Decode = Callable[[bytes, bytes], RequestProperties]

# Escapes in a text, each taken whole: both halves of a character, one half alone, or any other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def why_not_json(text: bytes, error: Exception, noun: str = "The body") -> str:
    """Say why a text is not JSON, also where the decoder's own words would mislead."""
    if isinstance(error, RecursionError):
        return _too_deep(noun)
    if text.startswith(BYTE_ORDER_MARK):
        return f"{noun} is not JSON: it begins with a byte order mark. Send it without."
    for escape in _ESCAPE.finditer(text):
        if escape[1] is not None:
            return (
                f"{noun} is not JSON: \\{escape[1].decode()} at byte {escape.start()} is half of a "
                "surrogate pair, which is no character. Send both halves, or neither."
            )
    return f"{noun} is not JSON: {error}."


def _too_deep(noun: str) -> str:
    return f"{noun} is nested too deeply."


_OPENING_BRACE: Final = ord("{")
# Python 3.11 ends with RecursionError at about as many levels as are read. Later ones read thousands,
# at which clouds fail, and then seem to be broken for everybody.
_READS_ANY_DEPTH: Final = sys.hexversion >= 0x030C0000
# The elements of messages, items and tools are looked at one by one, and nobody else is served
# meanwhile: so many take less than a second. A prompt of a million tokens has fewer.
_ELEMENTS_MAX: Final = 250_000
_TOO_MANY_ELEMENTS: Final = elements_beyond(_ELEMENTS_MAX)
_TOO_MANY_MEMBERS: Final = elements_beyond(_ELEMENTS_MAX, b":")
# Encoding the typed members of a shorter body costs more than reading the other members again.
_DECODED_WHOLE_BYTES: Final = 512
# An application repeats its parameters with each request. Remember so many different ones, none
# longer than so many bytes.
_REMEMBERED_MAX: Final = 256
_REMEMBERED_BYTES: Final = 256


def _members_of(kind: object) -> frozenset[str]:
    """Return the members that are read of an object in a body; none where `kind` is no object."""
    for each in (kind, *get_args(kind)):
        if isinstance(each, type) and issubclass(each, msgspec.Struct):
            return frozenset(each.__struct_fields__)
    return frozenset()


class _TypedMembers:
    """Decodes the members of a body that are read by type."""

    def __init__(self, kind: type[DecodedBody], names: Set[str]) -> None:
        self._decode = msgspec.json.Decoder(kind).decode
        self._names = names
        self._remembered: dict[bytes, RequestProperties] = {}

    def properties(self, body: bytes, members: Members) -> RequestProperties:
        """Return the properties of a request. Its `members` have checked that the others, most of
        the text, are JSON. Raise msgspec's errors."""
        if len(body) < _DECODED_WHOLE_BYTES:
            return RequestProperties(self._decode(body))
        names = self._names
        written = encode({name: members[name] for name in members if name in names})
        is_short = len(written) <= _REMEMBERED_BYTES  # a long list of tools is not hashed
        remembered = self._remembered.get(written) if is_short else None
        if remembered is not None:
            return remembered
        try:
            properties = RequestProperties(self._decode(written))
        except msgspec.DecodeError:
            return RequestProperties(self._decode(body))  # raises, with the place in the whole body
        if is_short:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            self._remembered[written] = properties
        return properties


def check_elements(body: bytes, *, members_alone: bool = False) -> None:
    """Raise BadBody where a body has more members and elements than are looked at one by one; of
    some bodies these are the `members_alone`."""
    # Most bodies are shorter than that, or have fewer of these signs even in their texts.
    if len(body) <= _ELEMENTS_MAX:
        return
    sign, pattern = (b":", _TOO_MANY_MEMBERS) if members_alone else (b",", _TOO_MANY_ELEMENTS)
    if body.count(sign) >= _ELEMENTS_MAX and pattern.match(body) is not None:
        raise BadBody(
            f"The body has more than {_ELEMENTS_MAX:,} members and elements, and each is looked at "
            "before a cloud is asked. Write long data as a text."
        )


def check_depth(body: bytes, noun: str = "The body") -> None:
    """Raise BadBody where a body nests deeper than clouds read, if Python itself would not."""
    if _READS_ANY_DEPTH and nests_beyond(body, LEVELS_MAX):
        raise BadBody(_too_deep(noun))


def names_read(kind: type[DecodedBody], *read_later: str) -> frozenset[str]:
    """Return the members that are read of a body of this kind. `read_later` are those that `needs`
    reads beside the fields of `kind`."""
    return frozenset((*cast(type[msgspec.Struct], kind).__struct_fields__, *read_later)) | FURTHER


def reader_of(
    kind: type[DecodedBody],
    noun: str,
    *read_later: str,
) -> Decode:
    """Return a function that decodes bodies of a kind. A body that repeats a member that is read is
    refused (see `members`), and so is one that turns to another model (see `further_models`).
    `read_later` are members that `needs` reads beside the fields of `kind`."""
    fields = msgspec.structs.fields(cast(type[msgspec.Struct], kind))
    typed = frozenset([field.name for field in fields])
    typed_members = _TypedMembers(kind, typed)
    read = names_read(kind, *read_later)
    nested = [(field.name, names) for field in fields if (names := _members_of(field.type))]
    # Tokens to embed or to complete are elements too, and nobody looks at them.
    members_alone = not read_later

    def decode_body(body: bytes, _content_type: bytes) -> RequestProperties:
        check_depth(body)
        check_elements(body, members_alone=members_alone)
        try:
            check_utf8(body)
            members = members_once(body, read)
            if not FURTHER.isdisjoint(members):
                refuse_further_models(members, read)
            properties = typed_members.properties(body, members)
            for name, names in nested:
                if name in members and memoryview(members[name])[0] == _OPENING_BRACE:
                    members_once(members[name], names, name)
        # msgspec's message ends with the path: "… - at `$.messages[0]`". Clients get it as `param`.
        except msgspec.ValidationError as error:
            wrong, _, path = str(error).partition(" - at `$")
            raise BadBody(
                f"The body is no {noun} request: {wrong}.", path.strip("`.") or None
            ) from None
        except NOT_JSON as error:
            raise BadBody(why_not_json(body, error)) from None
        return properties

    return decode_body
