"""The bodies of clouds' errors, as they are read whatever a server makes of JSON. Pure."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from clauseway.gateway.clouds.half_pairs import decode_with_half_pairs
from clauseway.values import NOT_JSON

# A plain value for whatever a server writes: a member of an unusual type takes no other its words.
_decode: Final[Callable[[bytes], object]] = msgspec.json.Decoder().decode


def members_in(body: bytes) -> dict[str, Any]:
    """Return the members of an error, or of the first one in a list, as Google writes it; none if
    it is not JSON."""
    try:
        decoded = decode_with_half_pairs(_decode, _plain(body))
    except NOT_JSON:
        return {}
    if isinstance(decoded, list):
        decoded = decoded[0] if decoded else {}
    return decoded if isinstance(decoded, dict) else {}


def _plain(body: bytes) -> bytes:
    """Return a body as JSON has it: UTF-8, without a byte order mark."""
    return body if body.isascii() else body.decode("utf-8-sig", "replace").encode()
