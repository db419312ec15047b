"""OpenTelemetry's GenAI conventions, as OTLP JSON: spans of model calls, and the histogram of
tokens used.

A span is a request; its trace and span ids identify it. A point of `gen_ai.client.token.usage` is a
sum over its interval; it counts only as a delta, because a cumulative point repeats everything
before it. Attributes that start with `clauseway.` are our fields by name, on the span or on its
resource. Spans and points of a gateway of ours are skipped: their usage was metered already. The
scope names the gateway, on the request's span and on those of its attempts.

An application that traces its calls reports the same tokens several times. In the files of one
import they count once: a span is skipped if a span below it is counted or metered, and a point is
skipped if spans of its service and model end in its interval.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clauseway.catalog.cloud_names import CLOUD_NAMES
from clauseway.exchange.usage.reported_rows import (
    Malformed,
    Reported,
    json_values,
    keepable,
    list_of,
    object_of,
)
from clauseway.metering import Unit
from clauseway.metering.endpoints import TIERS
from clauseway.metering.usage_rules import fields

SOURCE = "opentelemetry"
_TOKENS = "gen_ai.client.token.usage"
_OURS = "clauseway."
_METERED = "clauseway.request.id"
_METERED_ALREADY = "a request that a gateway of ours metered itself"
# The instrumentation scope of a gateway of ours.
_GATEWAY = "clauseway.gateway"
_COUNTED_BELOW = "a span above others that count the same tokens"
_COUNTED_BY_SPANS = "a point of tokens that spans count"
_UNITS: Mapping[str, Unit] = {
    "gen_ai.usage.input_tokens": Unit.INPUT_TOKENS,
    "gen_ai.usage.output_tokens": Unit.OUTPUT_TOKENS,
    # Names that the conventions had before input_tokens and output_tokens.
    "gen_ai.usage.prompt_tokens": Unit.INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": Unit.OUTPUT_TOKENS,
    "gen_ai.usage.cache_read.input_tokens": Unit.CACHED_INPUT_TOKENS,
    "gen_ai.usage.cache_creation.input_tokens": Unit.CACHE_WRITE_TOKENS,
    "gen_ai.usage.reasoning.output_tokens": Unit.REASONING_TOKENS,
}
_TOKEN_TYPES = {"input": Unit.INPUT_TOKENS, "output": Unit.OUTPUT_TOKENS}
# Names of providers in the conventions, and their clouds.
_CLOUDS = {name: names.cloud for names in CLOUD_NAMES for name in names.telemetry}
_NAMES = {"cloud.region": "region", "service.name": "project", "gen_ai.response.id": "upstream_id"}
# The tier in which a request was served; the conventions had a longer name before.
_TIERS = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")
_OUR_FIELDS = frozenset(fields())
# OTLP JSON wraps a value by its type.
_WRAPPED = ("stringValue", "intValue", "doubleValue", "boolValue")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
# Those of a resource are put together with those of each of its spans. SDKs write 128 unless set.
_ATTRIBUTES_MAX = 1_000
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")
# The places of spans and metrics in an export, and of the points in a metric.
_SPANS = ("resourceSpans", "scopeSpans", "spans")
_METRICS = ("resourceMetrics", "scopeMetrics", "metrics")
_KINDS = ("histogram", "exponentialHistogram", "sum")


def read_opentelemetry(path: Path, spans: "Spans") -> Iterator[Reported]:
    """Yield the usage in a file of OTLP JSON: an export request per line, or a single one.

    `spans` are the spans of all files of the import, including this file.
    """
    for line, value, wrong in json_values(path):
        if wrong:
            yield Reported(line=line, fields={"export": value}, unreadable=wrong)
        elif not isinstance(value, dict) or not (
            "resourceSpans" in value or "resourceMetrics" in value
        ):
            why = "not OTLP JSON of spans or metrics"
            yield Reported(line=line, fields={"export": value}, unreadable=why)
        else:
            for kinds, read in ((_SPANS, spans.read_span), (_METRICS, spans.read_metric)):
                yield from _inside(line, value, kinds, {}, read)


_Read = Callable[[int, Mapping[str, Any], Mapping[str, Any]], Iterator[Reported]]


def _inside(
    line: int,
    owner: Mapping[str, Any],
    kinds: Sequence[str],
    shared: Mapping[str, Any],
    read: _Read,
) -> Iterator[Reported]:
    """Yield the reports in the lists that `kinds` names, each inside the one before; `shared` are
    the attributes of their parents.

    A part that is not of its type is unreadable, and the next one is read.
    """
    # `kinds` goes from the outermost list to the innermost, whose elements are read.
    kind, *inner = kinds
    try:
        parts = list_of(owner.get(kind), kind)
    except Malformed as error:
        yield Reported(line=line, fields={kind: owner[kind]}, unreadable=str(error))
        return
    for part in parts:
        try:
            element = object_of(part, f"an element of {kind}")
            if not inner:
                yield from read(line, shared, element)
                continue
            attributes = _attributes(object_of(element.get("resource"), "resource"))
            if object_of(element.get("scope"), "scope").get("name") == _GATEWAY:
                attributes[_METERED] = ""
        except Malformed as error:
            yield Reported(line=line, fields={kind: part}, unreadable=str(error))
            continue
        yield from _inside(line, element, inner, {**shared, **attributes}, read)


class Spans:
    """The spans of files that are read together, by which each token in them is counted once."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._parents: dict[str, str] = {}
        self._metered: list[str] = []
        self._counted: list[str] = []
        # By service and product: the first and the last time at which a span with counts ends.
        self._ends: dict[tuple[str, str], tuple[int, int]] = {}
        for path in paths:
            self._note_all(path)
        self._above_metered = self._above(self._metered)
        self._above_counted = self._above(self._counted)

    def _note_all(self, path: Path) -> None:
        for line, value, _wrong in json_values(path):
            if isinstance(value, dict):
                for _malformed in _inside(line, value, _SPANS, {}, self._note):
                    pass

    def _note(
        self, _line: int, shared: Mapping[str, Any], span: Mapping[str, Any]
    ) -> Iterator[Reported]:
        attributes = {**shared, **_attributes(span)}
        own = _span_id(span)
        if own:
            self._parents[own] = _span_id({**span, "spanId": span.get("parentSpanId")})
        if _METERED in attributes:
            self._metered.append(own)
        elif _has_counts(attributes):
            self._counted.append(own)
            if end_ns := _nanoseconds(span.get("endTimeUnixNano")):
                key = _service_and_product(attributes)
                first, last = self._ends.get(key, (end_ns, end_ns))
                self._ends[key] = min(first, end_ns), max(last, end_ns)
        return iter(())

    def _above(self, span_ids: Sequence[str]) -> set[str]:
        above: set[str] = set()
        for own in span_ids:
            span_id = own
            # A span that was noted before has its own parents noted too.
            while (span_id := self._parents.get(span_id, "")) and span_id not in above:
                above.add(span_id)
        return above

    def read_span(
        self, line: int, shared: Mapping[str, Any], span: Mapping[str, Any]
    ) -> Iterator[Reported]:
        """Yield the usage of a span, or why it is not usage."""
        attributes = {**shared, **_attributes(span)}
        own = _span_id(span)
        if _METERED in attributes or own in self._above_metered:
            yield Reported(line=line, fields={}, skipped=_METERED_ALREADY)
        elif not _has_counts(attributes):
            yield Reported(line=line, fields={}, skipped="a span without token counts")
        elif own in self._above_counted:
            yield Reported(line=line, fields={}, skipped=_COUNTED_BELOW)
        else:
            yield _span(line, attributes, span)

    def read_metric(
        self, line: int, shared: Mapping[str, Any], metric: Mapping[str, Any]
    ) -> Iterator[Reported]:
        """Yield the usage of a metric's points, or why it is not usage."""
        if metric.get("name") != _TOKENS:
            yield Reported(
                line=line, fields={}, skipped=f"the metric {str(metric.get('name'))[:80]}"
            )
            return
        if _METERED in shared:
            yield Reported(line=line, fields={}, skipped=_METERED_ALREADY)
            return
        kind = next((kind for kind in _KINDS if metric.get(kind)), _KINDS[0])
        data = object_of(metric.get(kind), kind)
        is_delta = data.get("aggregationTemporality") in _DELTA
        for point in list_of(data.get("dataPoints"), "dataPoints"):
            try:
                element = object_of(point, "a data point")
                attributes = {**shared, **_attributes(element)}
                if self._are_counted(attributes, element):
                    yield Reported(line=line, fields={}, skipped=_COUNTED_BY_SPANS)
                else:
                    yield _point(line, attributes, element, is_delta=is_delta)
            except Malformed as error:
                yield Reported(line=line, fields={"point": point}, unreadable=str(error))

    def _are_counted(self, attributes: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
        """Return whether spans end in the time of a point of their service and product."""
        ends = self._ends.get(_service_and_product(attributes))
        until_ns = _nanoseconds(point.get("timeUnixNano"))
        from_ns = _nanoseconds(point.get("startTimeUnixNano")) or until_ns
        return ends is not None and from_ns <= ends[1] and ends[0] <= until_ns


def _has_counts(attributes: Mapping[str, Any]) -> bool:
    return any(name in attributes for name in _UNITS)


def _service_and_product(attributes: Mapping[str, Any]) -> tuple[str, str]:
    named = _named(attributes)
    return str(attributes.get("service.name", "")), str(named.get("product", ""))


def _nanoseconds(instant: Any) -> int:
    """Return an instant as a number; 0 if it is missing or invalid."""
    return int(str(instant)[:20]) if str(instant).isdecimal() else 0


def _span(line: int, attributes: Mapping[str, Any], span: Mapping[str, Any]) -> Reported:
    row = _named(attributes)
    row |= {unit.column: attributes[name] for name, unit in _UNITS.items() if name in attributes}
    begin, end = span.get("startTimeUnixNano"), span.get("endTimeUnixNano")
    row |= {"source": SOURCE, "id": _span_id(span), "event_ns": begin}
    if (begin_ns := _nanoseconds(begin)) and (end_ns := _nanoseconds(end)):
        row["duration_us"] = (end_ns - begin_ns) // 1_000
    # An attempt that broke off still used what it reports.
    row["status"] = "interrupted" if attributes.get("error.type") else "complete"
    return Reported(line=line, fields=row)


def _span_id(span: Mapping[str, Any]) -> str:
    """Return a span's identity; empty if a part of it is missing, so that two such spans are not
    taken for one."""
    trace, own = span.get("traceId"), span.get("spanId")
    return (
        f"{trace}/{own}"
        if isinstance(trace, str) and isinstance(own, str) and trace and own
        else ""
    )


def _point(
    line: int, attributes: dict[str, Any], point: Mapping[str, Any], *, is_delta: bool
) -> Reported:
    kind = str(attributes.pop("gen_ai.token.type", ""))
    row = _named(attributes)
    count = point.get("sum", point.get("asInt", point.get("asDouble")))
    row[_TOKEN_TYPES[kind].column if kind in _TOKEN_TYPES else f"gen_ai.token.type {kind}"] = count
    if _TOKEN_TYPES.get(kind) is Unit.INPUT_TOKENS and (requests := point.get("count")):
        # Every request has input: reported there alone, its number is counted once.
        row[Unit.REQUESTS.column] = requests
    begin, end = point.get("startTimeUnixNano"), point.get("timeUnixNano")
    identifying = msgspec.json.encode(keepable([sorted(attributes.items()), kind, begin, end]))
    row |= {
        "source": SOURCE,
        "id": hashlib.sha256(identifying).hexdigest(),
        "event_ns": begin or end,
        "aggregated": True,
    }
    if not is_delta:
        return Reported(
            line=line, fields=row, unreadable="a cumulative point: export it with delta temporality"
        )
    return Reported(line=line, fields=row)


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return our fields by their names in the conventions; our own names prevail."""
    fields_: dict[str, Any] = {}
    # `gen_ai.system` is the older name of `gen_ai.provider.name`.
    provider = attributes.get("gen_ai.provider.name", attributes.get("gen_ai.system"))
    if provider:
        fields_["cloud"] = _CLOUDS.get(str(provider), str(provider))
    # The answer names the model that served, often a dated snapshot; the product is what was asked
    # for.
    if model := attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model"):
        fields_["model"] = model
    if product := attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model"):
        fields_["product"] = product
    fields_ |= {ours: attributes[name] for name, ours in _NAMES.items() if name in attributes}
    if tier := next((attributes[name] for name in _TIERS if name in attributes), ""):
        # As a gateway records it: `fast` is OpenAI's other word, and an unknown one names no tier.
        known = "priority" if tier == "fast" else tier
        fields_["tier"] = known if known in TIERS else ""
    ours = {
        name.removeprefix(_OURS): value
        for name, value in attributes.items()
        if name.startswith(_OURS)
    }
    return fields_ | {name: value for name, value in ours.items() if name in _OUR_FIELDS}


def _attributes(owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes by name. Raise Malformed."""
    values: dict[str, Any] = {}
    attributes = list_of(owner.get("attributes"), "attributes")
    if len(attributes) > _ATTRIBUTES_MAX:
        raise Malformed(f"it has {len(attributes):,} attributes, more than {_ATTRIBUTES_MAX:,}")
    for attribute in attributes:
        name = object_of(attribute, "an attribute").get("key")
        if not isinstance(name, str):
            raise Malformed("an attribute has no name")
        values[name] = _value(object_of(attribute.get("value"), f"the value of {name[:40]}"))
    return values


def _value(wrapped: Mapping[str, Any]) -> Any:
    value = next((wrapped[kind] for kind in _WRAPPED if kind in wrapped), None)
    # OTLP writes whole numbers as text.
    if "intValue" in wrapped and isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return value
