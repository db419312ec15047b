"""The only changes ever made to a client's body: the model's name, and the option that makes a
stream report usage. (The lines of a batch's file are bodies in lines; each is spliced as a body, in
its place.) An operation names the function that splices its bodies for a deployment (`Splice`).

Both are spliced as bytes; everything else stays as the client wrote it. No tokenizer is needed to
find the exact place:

- The option is appended before the last `}`, which in valid JSON closes the top-level object.
- The name asked for is replaced behind the last `"model"`, where that is the member: within a JSON
  string quotes are escaped, so text cannot look like it. It is the member where the object opens
  with it; where neither object nor list begins or ends between it and the object's end; and where
  it stands once, if no letter of any name may be hidden in an escape (`\\u`).
- Else it is replaced at the first place if the object opens with it, else at the last. That may be
  a place inside a message or a tool, so the result is decoded again: the place was the right one
  only if the top-level model now has the new name.

Where that does not decide it (the name comes again in a schema further down, or is written with
escapes), or where `stream_options` is there already without asking for usage, the members of the
top level are walked through to the place of the value.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.wire.bodies.decoding import RequestProperties
from clauseway.gateway.wire.bodies.escapes import may_have_escapes
from clauseway.gateway.wire.bodies.members import place_of
from clauseway.gateway.wire.bodies.multipart import with_field
from clauseway.gateway.wire.bodies.requests import is_json
from clauseway.values import NOT_JSON

_KEY: Final = b'"model"'
_OPTIONS: Final = b'"stream_options"'
_ASK_USAGE: Final = b'"stream_options":{"include_usage":true}'
_FLAT_BYTES_MAX: Final = 256  # longer ones are seldom flat, and take longer to look through
_OPENING_BYTES: Final = 16  # an object that opens with its model has the key within these


class Destination(NamedTuple):
    """The deployment that a body is spliced for: the model's name there, whether its streams
    may be asked for usage, or come in AWS's frames, and the names of our account there."""

    model: str
    quoted_model: bytes
    takes_usage_option: bool
    framed: bool = False
    account_names: tuple[str, ...] = ()


# (properties, body, content type, destination) → the body as it is sent to the deployment.
Splice = Callable[[RequestProperties, bytes, bytes, Destination], bytes]


def chat_body(
    properties: RequestProperties, body: bytes, _content_type: bytes, destination: Destination
) -> bytes:
    if properties.model != destination.model:
        body = with_model(body, properties.model or "", destination.model, destination.quoted_model)
    if properties.streamed and not properties.wants_usage and destination.takes_usage_option:
        body = asking_usage(body)
    return body


def json_body(
    properties: RequestProperties, body: bytes, _content_type: bytes, destination: Destination
) -> bytes:
    if properties.model != destination.model:
        body = with_model(body, properties.model or "", destination.model, destination.quoted_model)
    return body


def form_body(
    properties: RequestProperties, body: bytes, content_type: bytes, destination: Destination
) -> bytes:
    if properties.model != destination.model:
        body = with_field(body, content_type, "model", destination.model.encode())
    return body


def edited_body(
    properties: RequestProperties, body: bytes, content_type: bytes, destination: Destination
) -> bytes:
    splice = json_body if is_json(content_type) else form_body
    return splice(properties, body, content_type, destination)


def same_body(
    _properties: RequestProperties, body: bytes, _content_type: bytes, _destination: Destination
) -> bytes:
    return body


class _Model(msgspec.Struct, gc=False):
    model: str


class _Line(msgspec.Struct, gc=False):
    body: msgspec.Raw


_decode_model: Final = msgspec.json.Decoder(_Model).decode
_decode_line: Final = msgspec.json.Decoder(_Line).decode


def with_model(body: bytes, model: str, name: str, quoted: bytes) -> bytes:
    """Return `body`, a valid request for `model` (empty: it names none), as a request for the model
    `name`; `quoted` is the same name as JSON."""
    before, key, after = body.rpartition(_KEY)
    colon = b": " if after.startswith(b": ") else b":"
    asked = b'%b"%b"' % (colon, model.encode())
    if model and after.startswith(asked) and _is_member(body, before, after):
        return b"".join((before, _KEY, colon, quoted, after[len(asked) :]))
    if key:
        first = body.find(_KEY)
        at = first if first < _OPENING_BYTES else len(before)
        begin = body.find(b'"', at + len(_KEY))
        end = body.find(b'"', begin + 1) + 1
        spliced = body[:begin] + quoted + body[end:]
        try:
            if _decode_model(spliced).model == name:
                return spliced
        except NOT_JSON:
            pass  # the splice cut something else in two
    return _with_member(body, "model", quoted)


def _is_member(body: bytes, before: bytes, after: bytes) -> bool:
    """Return whether the last `"model"` of a body, a valid object, is surely a member of it. What
    stands before and after it makes up the body."""
    if before == b"{":
        return True
    if len(after) <= _FLAT_BYTES_MAX and _is_flat(after):
        return not before.endswith(b"\\")  # else it is the end of a longer name
    return not before.partition(_KEY)[1] and not may_have_escapes(body)


def _is_flat(end: bytes) -> bool:
    """Return whether neither object nor list begins or ends in the end of an object, except that
    object itself. Brackets in texts count too."""
    within, _, beyond = end.partition(b"}")
    brackets = within.partition(b"{")[1] + within.partition(b"[")[1] + within.partition(b"]")[1]
    return not brackets and not beyond.strip()


def with_body(line: bytes, body: bytes, changed: bytes) -> bytes:
    """Return a line of a batch's file, a valid object, with `changed` in the place of its `body`.

    The same bytes may stand in another member too, so the result is decoded again.
    """
    at = line.rfind(body)
    spliced = line[:at] + changed + line[at + len(body) :]
    if bytes(_decode_line(spliced).body) == changed:
        return spliced
    return _with_member(line, "body", changed)


def asking_usage(body: bytes) -> bytes:
    """Return `body`, a valid streaming request with at least one member, as a request for the usage
    chunk too."""
    if body.find(_OPTIONS) >= 0 or may_have_escapes(body):  # an escaped letter may hide the name
        place = place_of(body, "stream_options")
        if place is not None:
            options = body[place.begin : place.end]
            with_usage = _with_member(
                options if options != b"null" else b"{}", "include_usage", b"true"
            )
            return body[: place.begin] + with_usage + body[place.end :]
    close = body.rindex(b"}")
    return b"%b,%b%b" % (body[:close], _ASK_USAGE, body[close:])


def _with_member(written: bytes, name: str, value: bytes) -> bytes:
    """Return the object with another value of a member: in the same place, or at the end if the
    member is missing."""
    place = place_of(written, name)
    if place is not None:
        return written[: place.begin] + value + written[place.end :]
    close = written.rindex(b"}")
    comma = b"" if written[:close].rstrip().endswith(b"{") else b","
    return b'%b%b"%b":%b%b' % (written[:close], comma, name.encode(), value, written[close:])
