"""What is refused of a JSON document that somebody else wrote."""

import json
import re
from itertools import accumulate
from typing import Final

import msgspec

# A text is skipped whole: a comma in it separates nothing. No place is tried twice.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_OUTSIDE_TEXTS = rb'(?:[^"%b]++|' + _TEXT + rb")*+"


def elements_beyond(most: int, sign: bytes = b",") -> re.Pattern[bytes]:
    """Return the pattern that a JSON document matches which has more than so many members and
    elements, before a decoder makes an object of each: its commas outside texts say it. The `sign`
    of members alone is a colon."""
    before = _OUTSIDE_TEXTS % sign
    return re.compile(rb"(?:%b%b){%d}+" % (before, sign, most), re.DOTALL)


# Documents of others nest some dozens of levels.
LEVELS_MAX: Final = 900
_TEXTS = re.compile(_TEXT, re.DOTALL)
_DEEPER = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_OTHER_SIGNS = bytes(set(range(256)) - set(_DEEPER))


def nests_beyond(document: bytes, most: int) -> bool:
    """Return whether the arrays and objects of a JSON document nest deeper than so many.

    >>> nests_beyond(b'[[1, {"a": "]]"}]]', 2), nests_beyond(b'[[1, {"a": "[["}]]', 3)
    (True, False)
    """
    if document.count(b"[") + document.count(b"{") <= most:
        return False
    signs = _TEXTS.sub(b"", document).translate(None, _OTHER_SIGNS)
    return any(depth > most for depth in accumulate(map(_DEEPER.__getitem__, signs)))


def check_depth(document: bytes) -> None:
    """Raise RecursionError where a JSON document nests deeper than any that is read.

    Python 3.11 refuses about so deep ones itself; later ones read on, some to thousands of levels.
    """
    if nests_beyond(document, LEVELS_MAX):
        raise RecursionError(f"it nests more than {LEVELS_MAX} levels deep")


def check_names_once(document: bytes) -> None:
    """Raise DecodeError where an object in a JSON document has a name twice.

    A decoder takes the last value; another reader, or a person, may take the first.

    >>> check_names_once(b'{"outcome": "permitted", "outcome": "forbidden"}')
    Traceback (most recent call last):
    ...
    msgspec.DecodeError: `outcome` stands twice
    """
    # Numbers stay texts: one of a million digits takes long to read.
    json.loads(document, object_pairs_hook=_check, parse_int=str, parse_float=str)


def _check(members: list[tuple[str, object]]) -> None:
    names = set[str]()
    for name, _ in members:
        if name in names:
            raise msgspec.DecodeError(f"`{name}` stands twice")
        names.add(name)
