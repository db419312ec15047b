"""OpenTelemetry's GenAI conventions, as OTLP JSON: spans of model calls, and the histogram of tokens used.

A span is a request; its trace and span ids identify it. A point of `gen_ai.client.token.usage` is a sum over its
interval; it counts only as a delta, because a cumulative one says everything before it again. Attributes that start
with `clauseway.` are our fields by name, on the span or on its resource. Spans of a gateway of ours are passed over:
what they tell was metered already.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from clauseway.exchange.reports import (
    Malformed,
    Reported,
    json_values,
    keepable,
    list_of,
    object_of,
)
from clauseway.metering import Unit
from clauseway.metering.checks import fields

SOURCE = "opentelemetry"
_TOKENS = "gen_ai.client.token.usage"
_OURS = "clauseway."
_METERED = "clauseway.request.id"
_UNITS: Mapping[str, Unit] = {
    "gen_ai.usage.input_tokens": Unit.INPUT_TOKENS,
    "gen_ai.usage.output_tokens": Unit.OUTPUT_TOKENS,
    "gen_ai.usage.prompt_tokens": Unit.INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": Unit.OUTPUT_TOKENS,
    "gen_ai.usage.cache_read.input_tokens": Unit.CACHED_INPUT_TOKENS,
    "gen_ai.usage.cache_creation.input_tokens": Unit.CACHE_WRITE_TOKENS,
    "gen_ai.usage.reasoning.output_tokens": Unit.REASONING_TOKENS,
}
_TOKEN_TYPES = {"input": Unit.INPUT_TOKENS, "output": Unit.OUTPUT_TOKENS}
# Names of providers in the conventions, and the clouds they are.
_CLOUDS = {
    "openai": "openai-own",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "aws.bedrock": "aws",
    "gcp.vertex_ai": "google-cloud",
    "gcp.gen_ai": "google-cloud",
    "oci.generative_ai": "oci",
    "oci": "oci",
}
_NAMES = {"cloud.region": "region", "service.name": "project", "gen_ai.response.id": "upstream_id"}
_OUR_FIELDS = frozenset(fields())
# How OTLP JSON wraps a value: by its type.
_WRAPPED = ("stringValue", "intValue", "doubleValue", "boolValue")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")
# Where spans and metrics stand in an export, and where a metric has its points.
_SPANS = ("resourceSpans", "scopeSpans", "spans")
_METRICS = ("resourceMetrics", "scopeMetrics", "metrics")
_KINDS = ("histogram", "exponentialHistogram", "sum")


def read_opentelemetry(path: Path) -> Iterator[Reported]:
    """The usage in a file of OTLP JSON: one export request per line, or one in all."""
    for line, value, wrong in json_values(path):
        if wrong:
            yield Reported(line=line, fields={"export": value}, unreadable=wrong)
        elif not isinstance(value, dict) or not (
            "resourceSpans" in value or "resourceMetrics" in value
        ):
            why = "no OTLP JSON of spans or metrics"
            yield Reported(line=line, fields={"export": value}, unreadable=why)
        else:
            for kinds, read in ((_SPANS, _span), (_METRICS, _metric)):
                yield from _inside(line, value, kinds, {}, read)


_Read = Callable[[int, Mapping[str, Any], Mapping[str, Any]], Iterator[Reported]]


def _inside(
    line: int,
    owner: Mapping[str, Any],
    kinds: Sequence[str],
    shared: Mapping[str, Any],
    read: _Read,
) -> Iterator[Reported]:
    """The reports in the lists that `kinds` names, each inside the one before; `shared` are the attributes of what
    they are in. A part that is not of its type is unreadable, and the next one is read."""
    kind, *inner = kinds
    try:
        parts = list_of(owner.get(kind), kind)
    except Malformed as error:
        yield Reported(line=line, fields={kind: owner[kind]}, unreadable=str(error))
        return
    for part in parts:
        try:
            known = object_of(part, f"an element of {kind}")
            if not inner:
                yield from read(line, shared, known)
                continue
            attributes = _attributes(object_of(known.get("resource"), "resource"))
        except Malformed as error:
            yield Reported(line=line, fields={kind: part}, unreadable=str(error))
            continue
        yield from _inside(line, known, inner, {**shared, **attributes}, read)


def _span(line: int, shared: Mapping[str, Any], span: Mapping[str, Any]) -> Iterator[Reported]:
    attributes = {**shared, **_attributes(span)}
    if _METERED in attributes:
        yield Reported(
            line=line, fields={}, skipped="a request that a gateway of ours metered itself"
        )
        return
    if not any(name in attributes for name in _UNITS):
        yield Reported(line=line, fields={}, skipped="a span without token counts")
        return
    row = _named(attributes)
    row |= {unit.column: attributes[name] for name, unit in _UNITS.items() if name in attributes}
    begin, end = span.get("startTimeUnixNano"), span.get("endTimeUnixNano")
    row |= {"source": SOURCE, "id": _span_id(span), "event_ns": begin}
    if str(begin).isdecimal() and str(end).isdecimal():
        row["duration_us"] = (int(str(end)[:20]) - int(str(begin)[:20])) // 1_000
    # An attempt that broke off still used what it reports.
    row["status"] = "interrupted" if attributes.get("error.type") else "complete"
    yield Reported(line=line, fields=row)


def _span_id(span: Mapping[str, Any]) -> str:
    """What identifies a span; nothing where a part of it is missing, so that two such are not taken for one."""
    trace, own = span.get("traceId"), span.get("spanId")
    return (
        f"{trace}/{own}"
        if isinstance(trace, str) and isinstance(own, str) and trace and own
        else ""
    )


def _metric(line: int, shared: Mapping[str, Any], metric: Mapping[str, Any]) -> Iterator[Reported]:
    if metric.get("name") != _TOKENS:
        yield Reported(line=line, fields={}, skipped=f"the metric {str(metric.get('name'))[:80]}")
        return
    kind = next((kind for kind in _KINDS if metric.get(kind)), _KINDS[0])
    told = object_of(metric.get(kind), kind)
    is_delta = told.get("aggregationTemporality") in _DELTA
    for point in list_of(told.get("dataPoints"), "dataPoints"):
        try:
            yield _point(line, shared, object_of(point, "a data point"), is_delta=is_delta)
        except Malformed as error:
            yield Reported(line=line, fields={"point": point}, unreadable=str(error))


def _point(
    line: int, shared: Mapping[str, Any], point: Mapping[str, Any], *, is_delta: bool
) -> Reported:
    attributes = {**shared, **_attributes(point)}
    kind = str(attributes.pop("gen_ai.token.type", ""))
    row = _named(attributes)
    count = point.get("sum", point.get("asInt", point.get("asDouble")))
    row[_TOKEN_TYPES[kind].column if kind in _TOKEN_TYPES else f"gen_ai.token.type {kind}"] = count
    if _TOKEN_TYPES.get(kind) is Unit.INPUT_TOKENS and (requests := point.get("count")):
        # Every request has input: told there alone, its number is counted once.
        row[Unit.REQUESTS.column] = requests
    begin, end = point.get("startTimeUnixNano"), point.get("timeUnixNano")
    said = msgspec.json.encode(keepable([sorted(attributes.items()), kind, begin, end]))
    row |= {
        "source": SOURCE,
        "id": hashlib.sha256(said).hexdigest(),
        "event_ns": begin or end,
        "aggregated": True,
    }
    if not is_delta:
        return Reported(
            line=line, fields=row, unreadable="a cumulative point: export it with delta temporality"
        )
    return Reported(line=line, fields=row)


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Our fields by what the conventions call them; what is ours by name goes before."""
    found: dict[str, Any] = {}
    provider = attributes.get("gen_ai.provider.name", attributes.get("gen_ai.system"))
    if provider:
        found["cloud"] = _CLOUDS.get(str(provider), str(provider))
    if model := attributes.get("gen_ai.response.model") or attributes.get("gen_ai.request.model"):
        found["model"] = model
    if product := attributes.get("gen_ai.request.model") or attributes.get("gen_ai.response.model"):
        found["product"] = product
    found |= {ours: attributes[name] for name, ours in _NAMES.items() if name in attributes}
    ours = {
        name.removeprefix(_OURS): value
        for name, value in attributes.items()
        if name.startswith(_OURS)
    }
    return found | {name: value for name, value in ours.items() if name in _OUR_FIELDS}


def _attributes(owner: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of something by their names. Raises Malformed."""
    found: dict[str, Any] = {}
    for one in list_of(owner.get("attributes"), "attributes"):
        name = object_of(one, "an attribute").get("key")
        if not isinstance(name, str):
            raise Malformed("an attribute has no name")
        found[name] = _value(object_of(one.get("value"), f"the value of {name[:40]}"))
    return found


def _value(wrapped: Mapping[str, Any]) -> Any:
    value = next((wrapped[kind] for kind in _WRAPPED if kind in wrapped), None)
    # OTLP writes whole numbers as text.
    if "intValue" in wrapped and isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return value
