r"""JSON in whose texts half of a surrogate pair stands (`\ud83d` alone). Pure.

JSON allows it (RFC 8259, section 8.2), and models write it: some servers cut a character in two
between two chunks, and `max_tokens` cuts an answer anywhere. The decoder refuses it. So where the
decoder refuses an answer, it is read once more with a replacement character in the place of each
half. The client gets the answer as it came.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from clauseway.values import NOT_JSON

_Decoded = TypeVar("_Decoded")

# The first half without the second after it, or the second without the first before it. A text
# that spells `\\ud83d`, with a backslash of its own, is taken for half too: no harm in what is read.
_HALF: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
# As long as a half: values stay at their places.
_REPLACEMENT: Final = rb"\\ufffd"


def without_half_pairs(text: bytes) -> bytes:
    """Return JSON with a replacement character in the place of each half of a pair, every other
    byte at its place."""
    return _HALF.sub(_REPLACEMENT, text) if text.find(b"\\u") >= 0 else text


def decode_with_half_pairs(decode: Callable[[bytes], _Decoded], text: bytes) -> _Decoded:
    """Return JSON as `decode` reads it, although half of a pair stands in it. Raises as
    `decode`."""
    try:
        return decode(text)
    except NOT_JSON:
        whole = without_half_pairs(text)
        if whole == text:
            raise
    return decode(whole)
