"""The names of an object's members, each as often as it stands: a decoded dictionary keeps only the
last one of equal names. Pure.

This module is not compiled, because mypyc compiles no subclass of `str`; `members` is.
"""

from operator import call
from typing import Final

import msgspec


class _Name(str):
    """A member's name. Two equal names are two keys of a dictionary, so that it keeps both
    values."""

    __slots__ = ()
    __hash__ = object.__hash__
    __eq__ = object.__eq__


decode_names: Final = msgspec.json.Decoder(dict[_Name, msgspec.Raw], dec_hook=call).decode
decode_names_of_objects: Final = msgspec.json.Decoder(
    list[dict[_Name, msgspec.Raw]], dec_hook=call
).decode
