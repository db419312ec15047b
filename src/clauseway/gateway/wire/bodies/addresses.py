"""Addresses in messages. A cloud reads a store of its own (`gs://`, `s3://`) with the operator's
identity, so whoever has a key would read what the operator may. Pure."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from clauseway.gateway.wire.bodies.body_errors import NotOffered
from clauseway.gateway.wire.bodies.members import decode_members
from clauseway.values import NOT_JSON

# Members that hold an address, in the formats of the vendors and of those that follow them.
_ADDRESSES: Final = frozenset(
    {"url", "image_url", "file_url", "video_url", "audio_url", "uri", "file_uri", "file_data"}
)
# A recording's `data` may be an address at Google; elsewhere a member of that name is anything.
_RECORDING: Final = "input_audio"
# What an earlier answer cited is not read again.
_CITED: Final = "annotations"
# White space and control characters before an address say nothing, be they escaped.
_is_store: Final = re.compile(r"[\x00-\x20\s]*(?:gs|s3):", re.IGNORECASE).match
# From the quote on, so that a search costs next to nothing where there is none; possessive, so that
# a long run of white space is gone through once.
_MAY_BE_STORE: Final = re.compile(
    rb'"(?:[\s\x80-\xff]+|\\[bfnrt]'
    rb"|\\u(?:00[01][0-9a-f]|00[28a]0|0085|1680|20[0-2][0-9a-f]|205f|3000))*+(?:gs|s3):",
    re.IGNORECASE,
).search
# A letter or digit of such a scheme, or its colon, written as its number.
_MAY_BE_HIDDEN: Final = re.compile(rb"\\u00(?:[46]7|[57]3|33|3[aA])").search


def check_addresses(body: bytes, member: str) -> None:
    """Raise NotOffered if one of the messages in this member of a body names a cloud's own store by
    its address."""
    if not _MAY_BE_STORE(body) and not (b"\\u00" in body and _MAY_BE_HIDDEN(body)):
        return
    try:
        messages = msgspec.json.decode(decode_members(body).get(member, b"null"))
    except NOT_JSON:
        return
    for address in _addresses_in(messages):
        if _is_store(address):
            raise NotOffered(
                f"{address[:80]!r} is a cloud's own store, which it would read with the operator's "
                "identity. Send the bytes, or an https address that anybody may read.",
                member,
            )


def _addresses_in(value: object, within: str = "") -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _addresses_in(item)
    elif isinstance(value, dict):
        for name, member in value.items():
            if isinstance(member, str):
                if name in _ADDRESSES or (name == "data" and within == _RECORDING):
                    yield member
            elif name != _CITED:
                yield from _addresses_in(member, name)
