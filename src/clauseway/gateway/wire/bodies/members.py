"""Names of JSON members: a member that the gateway reads may stand only once in its object. Pure.

Parsers differ in which of two members of one name they take (RFC 8259, section 4): the gateway
could decide by one of them, and the cloud act by the other. Members that the gateway does not read
are the cloud's to judge and may repeat. So may those of an object in a list if their values are the
same bytes: whichever a parser takes, it reads the same, and no value within a list is rewritten.

A decoded object keeps only the last member of each name. So if it is encoded again and has as many
bytes as before, no name was repeated; an object without white space and escapes, as most are,
passes this check. Where the length differs, or the text is long, each name is looked at.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Set
from typing import Final, NamedTuple, TypeVar

import msgspec

from clauseway.gateway.wire.bodies.body_errors import RepeatedMember
from clauseway.gateway.wire.bodies.escapes import may_have_escapes
from clauseway.gateway.wire.bodies.member_names import decode_names, decode_names_of_objects
from clauseway.values import NOT_JSON

# Writing longer text anew costs more than a look at each name.
_REWRITTEN_BYTES_MAX: Final = 32 << 10
_CHECKED_BYTES: Final = 1 << 20  # of text that is not ASCII, at once


class ValueSpan(NamedTuple):
    """Where the value of a member lies in its object."""

    begin: int
    end: int


Members = dict[str, msgspec.Raw]
_Decoded = TypeVar("_Decoded")

# The text between two values: the comma, the next name and its colon.
_BEFORE_VALUE: Final = re.compile(rb'[\s,]*"[^"\\]*(?:\\.[^"\\]*)*"\s*:\s*', re.DOTALL)
# Any letter of the name, written as its number.
_LETTER_OF_AUDIO: Final = re.compile(rb"\\u00(?:6[149fF]|75)")
_BRACES_MAX: Final = 200
_SPACE: Final = 0x20  # white space has no larger byte
_COLON: Final = 0x3A
encode: Final = msgspec.json.Encoder().encode
decode_members: Final = msgspec.json.Decoder(Members).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_objects: Final = msgspec.json.Decoder(list[Members]).decode
_decode_whole: Final = msgspec.json.Decoder().decode


def check_utf8(text: bytes) -> None:
    """Raise UnicodeDecodeError where `text` is not UTF-8: a parser does not check the text that it
    skips."""
    if text.isascii():
        return
    check = codecs.getincrementaldecoder("utf-8")().decode
    for at in range(0, len(text), _CHECKED_BYTES):
        check(text[at : at + _CHECKED_BYTES], at + _CHECKED_BYTES >= len(text))


def read_or(
    decode: Callable[[bytes | msgspec.Raw], _Decoded],
    written: bytes | msgspec.Raw,
    otherwise: _Decoded,
) -> _Decoded:
    """Return what `decode` reads; `otherwise` where it cannot be read."""
    try:
        return decode(written)
    except NOT_JSON:
        return otherwise


def each_readable(
    written: bytes | msgspec.Raw, decode: Callable[[msgspec.Raw], _Decoded]
) -> list[_Decoded]:
    """Return the elements of a list as `decode` reads them, each by itself: one that cannot be read
    hides no other. None where `written` is no list."""
    if not memoryview(written).nbytes:
        return []
    listed: list[msgspec.Raw] = read_or(_decode_list, written, [])
    read = []
    for element in listed:
        try:
            read.append(decode(element))
        except NOT_JSON:
            continue
    return read


def may_have_parts(body: bytes) -> bool:
    """Return whether the messages of a chat may have parts: these are an array within the array of
    messages, so a body with a single `[` has none."""
    return body.find(b"[") != body.rfind(b"[")


def may_name_sounds(body: bytes) -> bool:
    """Return whether the messages of a chat may name what a model said aloud, as their `audio`."""
    # To look for a word takes as long as to read the whole body as JSON.
    if not _may_have_object_as_value(body):
        return False
    if body.find(b'"audio"') >= 0:
        return True
    return may_have_escapes(body) and _LETTER_OF_AUDIO.search(body) is not None


def _may_have_object_as_value(body: bytes) -> bool:
    """Return whether the value of a member may be an object, by what stands before each brace."""
    brace = 0
    for _ in range(_BRACES_MAX):
        brace = body.find(b"{", brace + 1)
        if brace < 0:
            return False
        before = brace - 1
        while before > 0 and body[before] <= _SPACE:
            before -= 1
        if body[before] == _COLON:
            return True
    return True


def members_once(written: bytes | msgspec.Raw, read: Set[str], within: str = "") -> Members:
    """Return the members of an object. Raise RepeatedMember if one of the names `read` stands more
    than once, msgspec's errors if `written` is no object. `within` is the path of the object
    itself."""
    members = decode_members(written)
    if not _rewrites(members, written):
        _check_names(decode_names(written).items(), read, within, may_agree=False)
    return members


def objects_once(written: bytes | msgspec.Raw, read: Set[str], within: str) -> list[Members]:
    """Return the members of each object of a list. Raise RepeatedMember if one of the names `read`
    stands more than once in an object, with different values; msgspec's errors if `written` is no
    list of objects."""
    objects = _decode_objects(written)
    if not _rewrites(objects, written):
        for each in decode_names_of_objects(written):
            _check_names(each.items(), read, within, may_agree=True)
    return objects


def repeats_no_name(written: msgspec.Raw) -> bool:
    """Return whether a text, written anew, is as it was: then none of its objects, however deep it
    lies, repeats a name. False tells nothing, because white space too is written otherwise. Raise
    msgspec's errors."""
    # The length would not tell: a number may be written longer, and hide a member that is gone.
    return encode(_decode_whole(written)) == bytes(written)


def place_of(written: bytes, name: str) -> ValueSpan | None:
    """Return the place of the last value of a member in an object; None if there is no such
    member."""
    at = written.index(b"{") + 1
    place = None
    for key, value in decode_names(written).items():
        before = _BEFORE_VALUE.match(written, at)
        assert before is not None, "a valid object"
        begin = before.end()
        at = begin + memoryview(value).nbytes
        if str.__str__(key) == name:
            place = ValueSpan(begin, at)
    return place


def _rewrites(decoded: object, written: bytes | msgspec.Raw) -> bool:
    """Return whether the decoded value has as many bytes as before, when it is encoded again; False
    for long text, which is not encoded."""
    size = len(written) if isinstance(written, bytes) else memoryview(written).nbytes
    return size <= _REWRITTEN_BYTES_MAX and len(encode(decoded)) == size


def _check_names(
    members: Iterable[tuple[str, msgspec.Raw]], read: Set[str], within: str, *, may_agree: bool
) -> None:
    """Raise RepeatedMember if one of the names `read` stands more than once. `may_agree`: not if
    its values are equal."""
    seen: Members = {}
    for key, value in members:
        name = str.__str__(key)
        earlier = seen.setdefault(name, value)
        if earlier is value or name not in read:
            continue
        if may_agree and memoryview(earlier) == memoryview(value):
            continue
        raise RepeatedMember(f"{within}.{name}" if within else name)
