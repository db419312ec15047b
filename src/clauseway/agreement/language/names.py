"""The names that a term uses: parties, clouds, products, …, each with its key in the text."""

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import NamedTuple

import msgspec
from msgspec.structs import FieldInfo

from clauseway.agreement.language.terms import ANYONE, AnyTerm, Permission, Prohibition

# The fields of terms and of scopes within them that hold names, with the noun for what they name.
NOUNS: Mapping[str, str] = {
    **dict.fromkeys(("party", "parties", "to", "of", "holder", "grantor"), "party"),
    **dict.fromkeys(("licensor", "licensee", "licensees", "payer", "payee"), "party"),
    **dict.fromkeys(("sellers", "wholesale_except"), "party"),
    **dict.fromkeys(("products", "excludes"), "product"),
    **dict.fromkeys(("clouds", "first", "except_clouds"), "cloud"),
    "actions": "action",
    "segments": "segment",
    "regions": "region",
}
# The fields of terms that hold scopes.
SCOPES = ("only", "except_", "carries", "base")


class NameUse(NamedTuple):
    """Names in a term: the key they are written under, the noun for what they name, the names.

    `number` counts the scopes under the key from 1, and is 0 of names that stand in no scope.
    """

    key: str
    noun: str
    names: Collection[str]
    number: int = 0


def uses(term: AnyTerm) -> Iterator[NameUse]:
    """Yield the names in a term, in the order of its fields."""
    for field in _fields(type(term)):
        value = getattr(term, field.name)
        if field.name in SCOPES:
            scopes: tuple[msgspec.Struct, ...] = value if isinstance(value, tuple) else (value,)
            for number, scope in enumerate(scopes, start=1):
                for part in _fields(type(scope)):
                    if part.name in NOUNS:
                        yield NameUse(
                            key=field.encode_name,
                            noun=NOUNS[part.name],
                            names=getattr(scope, part.name),
                            number=number,
                        )
        elif field.name in NOUNS and value != field.default:
            names = value if isinstance(value, frozenset) else frozenset({value})
            # A permission or prohibition may hold for everyone.
            if isinstance(term, Permission | Prohibition) and field.name in ("party", "parties"):
                names -= {ANYONE}
            yield NameUse(field.encode_name, NOUNS[field.name], names)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[FieldInfo, ...]:
    return msgspec.structs.fields(kind)
