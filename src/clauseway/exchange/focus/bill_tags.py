"""The tags of a bill's row, in each form in which clouds write them.

    {"team": "search"}                                 FOCUS; Azure, Oracle; AWS in CSV
    "team": "search", "env": "prod"                    Azure's own exports: without braces
    [("user:team", "search")]                          AWS in Parquet: a map
    [{"key": "team", "value": "search",                Google: labels and tags of the resource, and
      "x_inherited": false}]                           those inherited from its project

Keys and values stay as they are written. A key may have several values: those of the resource itself
go before inherited ones.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from clauseway.values import check_depth

_REPEATED_MAX = 4_000  # characters of tags that are remembered
_INHERITED = "x_inherited"
# A tag without a value has this one: FOCUS asks for it.
_VALUELESS = "true"
# Numbers of JSON stay as they are written: 42.10 may be the name of a cost centre.
_AS_WRITTEN: Mapping[str, Any] = {"parse_float": str, "parse_int": str}


def tags_of(written: Any) -> Mapping[str, tuple[str, ...]]:
    """Return the values of each key; no values where there are no tags. Raise ValueError for a text
    that is no form of tags."""
    if not isinstance(written, str):
        return _values_of(written)
    # The tags of a resource stand in each of its rows.
    return _tags_in(written) if len(written) <= _REPEATED_MAX else _values_of(_parsed(written))


@lru_cache(maxsize=1024)
def _tags_in(text: str) -> Mapping[str, tuple[str, ...]]:
    return _values_of(_parsed(text))


def _values_of(written: Any) -> Mapping[str, tuple[str, ...]]:
    own: dict[str, tuple[str, ...]] = {}
    inherited: dict[str, tuple[str, ...]] = {}
    for key, value, is_inherited in _pairs(written):
        values = inherited if is_inherited else own
        if value and value not in values.get(key, ()):
            values[key] = (*values.get(key, ()), value)
    return inherited | own


def _parsed(text: str) -> Any:
    text = text.strip()
    if not text:
        return None
    whole = text if text[0] in "{[" else f"{{{text}}}"
    try:
        check_depth(whole.encode("utf-8", "surrogatepass"))
        return json.loads(whole, object_pairs_hook=_Pairs, **_AS_WRITTEN)
    except (ValueError, RecursionError):
        raise ValueError(f"{text[:40]!r} is neither JSON nor keys with values") from None


class _Pairs(list[tuple[str, Any]]):
    """The members of an object: a key that stands twice is there twice."""


def _pairs(written: Any) -> Iterator[tuple[str, str, bool]]:
    """Yield each key with its value, and whether that is inherited."""
    if written is None:
        return
    if isinstance(written, Mapping):
        written = written.items()
    if not isinstance(written, Iterable):
        raise ValueError(f"{str(written)[:40]!r} has no keys")
    for member in written:
        if isinstance(member, tuple) and len(member) == 2:
            yield str(member[0]), _text(member[1]), False
            continue
        named = dict(member) if isinstance(member, Mapping | _Pairs) else {}
        if "key" not in named:
            raise ValueError(f"{str(member)[:40]!r} has no key")
        yield str(named["key"]), _text(named.get("value")), bool(named.get(_INHERITED))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return _VALUELESS if value else "false"
    return str(value)
