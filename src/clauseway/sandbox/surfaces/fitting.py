"""A JSON value that fits a JSON Schema, the same one every time: what a model answers under
structured output.

Covers what the vendors' SDKs send (objects, arrays, enums, constants, unions, references, bounds,
common formats). Every property is given. Where a schema contains itself, the value ends as soon as
the schema lets it.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

# Below this depth a value takes every way out that the schema offers: null, an empty array, no
# optional property.
_DEPTH_MAX: Final = 6
_HOPS_MAX: Final = 20
_ITEMS_MAX: Final = 100
_LENGTH_MAX: Final = 10_000
_FORMATS: Final = {
    "date-time": "2026-04-27T00:00:00Z",
    "date": "2026-04-27",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "clause@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/clause",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000001",
}


class UnfitSchema(Exception):
    """No schema, or one that no finite value fits."""


def fit(schema: Mapping[str, Any], words: Iterator[str]) -> Any:
    """Return a value that `schema` accepts; texts in it are drawn from `words`, which must not end.

    Raise UnfitSchema.
    """
    try:
        return _Fitting(schema, words).value(schema, 0)
    except (
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise UnfitSchema(f"{type(error).__name__}: {error}") from None


class _Fitting:
    def __init__(self, root: Mapping[str, Any], words: Iterator[str]) -> None:
        self._root = root
        self._words = words

    def value(self, schema: Any, depth: int) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for union in ("anyOf", "oneOf"):
            if schema.get(union):
                return self.value(self._branch(schema[union], depth), depth)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        # A way out (null) is taken only deep down, so that values usually have content.
        if isinstance(kind, list):
            ways_out = [name for name in kind if name == "null"] if depth > _DEPTH_MAX else []
            kind = (ways_out or [name for name in kind if name != "null"] or ["null"])[0]
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                least = schema.get("minItems", 0 if depth > _DEPTH_MAX else 1)
                if least > _ITEMS_MAX:
                    raise ValueError(f"more than {_ITEMS_MAX} items")
                return [self.value(schema.get("items", {}), depth + 1) for _ in range(least)]
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
            case "null":
                return None
        return self._text(schema)

    def _resolve(self, schema: Any) -> Mapping[str, Any]:
        resolved: dict[str, Any] = dict(schema) if isinstance(schema, Mapping) else {}
        hops = 0
        while "$ref" in resolved:
            hops += 1
            if hops > _HOPS_MAX:
                raise ValueError("a reference leads to itself")
            at: Any = self._root
            for name in resolved.pop("$ref").removeprefix("#").strip("/").split("/"):
                at = at[name] if name else at
            # Keys beside a reference go before those that it refers to.
            resolved = {**at, **resolved}
        for part in resolved.pop("allOf", ()):
            inner = self._resolve(part)
            properties = {**resolved.get("properties", {}), **inner.get("properties", {})}
            resolved = {**inner, **resolved, **({"properties": properties} if properties else {})}
        return resolved

    def _branch(self, branches: list[Any], depth: int) -> Any:
        nulls = [branch for branch in branches if self._resolve(branch).get("type") == "null"]
        others = [branch for branch in branches if branch not in nulls]
        return (nulls + others if depth > _DEPTH_MAX else others + nulls)[0]

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        wanted = schema.get("required", properties) if depth > _DEPTH_MAX else properties
        return {
            name: self.value(properties[name], depth + 1) for name in properties if name in wanted
        }

    def _text(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = next(self._words)
        while len(text) < min(schema.get("minLength", 0), _LENGTH_MAX):
            text += " " + next(self._words)
        return text[: schema.get("maxLength", len(text))]


def _number(schema: Mapping[str, Any]) -> int | float:
    """Return the smallest allowed multiple from 1 on, or from the lower bounds where there are any."""
    step = schema.get("multipleOf", 1)
    lower = [schema[name] for name in ("minimum", "exclusiveMinimum") if name in schema]
    upper = [schema[name] for name in ("maximum", "exclusiveMaximum") if name in schema]
    least, most = max(lower, default=min([1, *upper])), min(upper, default=math.inf)
    value = -(-least // step) * step
    if value == schema.get("exclusiveMinimum"):
        value += step
    too_large = value > most or value == schema.get("exclusiveMaximum")
    if too_large and not lower:
        value -= step
    if schema["type"] == "integer":
        return int(value)
    # Both bounds lie between two multiples.
    return float((least + most) / 2 if too_large and lower else value)
