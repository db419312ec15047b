"""The names that a term uses: parties, clouds, products, …, each with its key in the text."""

from collections.abc import Collection, Iterator
from functools import cache
from typing import NamedTuple

import msgspec
from msgspec.structs import FieldInfo

from clauseway.agreement.language.terms import (
    ANYONE,
    KINDS,
    NOUNS,
    SCOPES,
    AnyTerm,
)


class NameUse(NamedTuple):
    """Names in a term: the key they are written under, the noun for what they name, the names.

    `field` holds the names in the term, or in one of its scopes. `number` counts the scopes under
    the key from 1; it is 0 for names outside any scope.
    """

    key: str
    field: str
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
                            field=part.name,
                            noun=NOUNS[part.name],
                            names=getattr(scope, part.name),
                            number=number,
                        )
        elif field.name in NOUNS and value != field.default:
            names = value if isinstance(value, frozenset) else frozenset({value})
            if field.name == KINDS[term.kind].anyone:
                names -= {ANYONE}
            yield NameUse(field.encode_name, field.name, NOUNS[field.name], names)


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[FieldInfo, ...]:
    return msgspec.structs.fields(kind)
