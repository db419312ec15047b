"""OpenTelemetry's GenAI conventions, as OTLP JSON: spans of model calls, and the histogram of tokens used.

A span is a request; its trace and span ids identify it. A point of `gen_ai.client.token.usage` is a sum over its
interval; it counts only as a delta, because a cumulative one says everything before it again. Attributes that start
with `clauseway.` are our fields by name, on the span or on its resource. Spans of a gateway of ours are passed over:
what they tell was metered already.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from clauseway.exchange.reports import Reported, json_values
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
_DELTA = (1, "AGGREGATION_TEMPORALITY_DELTA")


def read_opentelemetry(path: Path) -> Iterator[Reported]:
    """The usage in a file of OTLP JSON: one export request per line, or one in all."""
    for line, value, wrong in json_values(path):
        if wrong:
            yield Reported(line=line, fields={"export": value}, unreadable=wrong)
        elif not isinstance(value, dict) or not ("resourceSpans" in value or "resourceMetrics" in value):
            why = "no OTLP JSON of spans or metrics"
            yield Reported(line=line, fields={"export": value}, unreadable=why)
        else:
            yield from _spans(line, value)
            yield from _points(line, value)


def _spans(line: int, export: Mapping[str, Any]) -> Iterator[Reported]:
    for resource in export.get("resourceSpans", ()):
        shared = _attributes(resource.get("resource", {}))
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                attributes = shared | _attributes(span)
                if _METERED in attributes:
                    yield Reported(line=line, fields={}, skipped="a request that a gateway of ours metered itself")
                    continue
                if not any(name in attributes for name in _UNITS):
                    yield Reported(line=line, fields={}, skipped="a span without token counts")
                    continue
                row = _named(attributes)
                row |= {unit.column: attributes[name] for name, unit in _UNITS.items() if name in attributes}
                begin, end = span.get("startTimeUnixNano"), span.get("endTimeUnixNano")
                row |= {"source": SOURCE, "id": f"{span.get('traceId')}/{span.get('spanId')}", "event_ns": begin}
                if begin and end:
                    row["duration_us"] = (int(end) - int(begin)) // 1_000
                # An attempt that broke off still used what it reports.
                row["status"] = "interrupted" if attributes.get("error.type") else "complete"
                yield Reported(line=line, fields=row)


def _points(line: int, export: Mapping[str, Any]) -> Iterator[Reported]:
    for resource in export.get("resourceMetrics", ()):
        shared = _attributes(resource.get("resource", {}))
        for metric in (metric for scope in resource.get("scopeMetrics", ()) for metric in scope.get("metrics", ())):
            if metric.get("name") != _TOKENS:
                yield Reported(line=line, fields={}, skipped=f"the metric {metric.get('name')}")
                continue
            histogram = metric.get("histogram") or metric.get("exponentialHistogram") or metric.get("sum") or {}
            is_delta = histogram.get("aggregationTemporality") in _DELTA
            for point in histogram.get("dataPoints", ()):
                yield _point(line, shared, point, is_delta=is_delta)


def _point(line: int, shared: Mapping[str, Any], point: Mapping[str, Any], *, is_delta: bool) -> Reported:
    attributes = {**shared, **_attributes(point)}
    kind = str(attributes.pop("gen_ai.token.type", ""))
    row = _named(attributes)
    count = point.get("sum", point.get("asInt", point.get("asDouble")))
    row[_TOKEN_TYPES[kind].column if kind in _TOKEN_TYPES else f"gen_ai.token.type {kind}"] = count
    begin, end = point.get("startTimeUnixNano"), point.get("timeUnixNano")
    said = msgspec.json.encode([sorted(attributes.items()), kind, begin, end])
    row |= {
        "source": SOURCE, "id": hashlib.sha256(said).hexdigest(), "event_ns": begin or end, "aggregated": True,
    }  # fmt: skip
    if not is_delta:
        return Reported(line=line, fields=row, unreadable="a cumulative point: export it with delta temporality")
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
    ours = {name.removeprefix(_OURS): value for name, value in attributes.items() if name.startswith(_OURS)}
    return found | {name: value for name, value in ours.items() if name in _OUR_FIELDS}


def _attributes(owner: Mapping[str, Any]) -> dict[str, Any]:
    return {one["key"]: _value(one.get("value", {})) for one in owner.get("attributes", ()) if "key" in one}


def _value(wrapped: Mapping[str, Any]) -> Any:
    value = next((wrapped[kind] for kind in _WRAPPED if kind in wrapped), None)
    return int(str(value)) if "intValue" in wrapped and str(value).lstrip("-").isdecimal() else value
