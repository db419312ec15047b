"""Usage of others, line by line: what a span, a point of a metric or an event says, and which fields it becomes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clauseway.exchange.usage.cloudevents import read_cloudevents, write_cloudevents
from clauseway.exchange.usage.opentelemetry import Spans, read_opentelemetry
from clauseway.exchange.usage.reported_rows import Reported
from clauseway.exchange.usage.usage_files import spans_in
from clauseway.metering import Status

NOON_NS = 1_777_716_000_000_000_000
NOTHING: Mapping[str, object] = {}
USED = {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3}


def attributes(given: Mapping[str, object]) -> list[dict[str, Any]]:
    """Attributes as OTLP JSON writes them: whole numbers as text."""
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for name, value in given.items()
    ]


def read_export(path: Path, export: object) -> Reported:
    path.write_text(json.dumps(export) + "\n")
    (reported,) = read_opentelemetry(path, Spans([path]))
    return reported


def read_span(
    tmp_path: Path,
    given: Mapping[str, object],
    members: Mapping[str, object] = NOTHING,
    resource: Mapping[str, object] = NOTHING,
) -> Reported:
    span = {
        "traceId": "a" * 32,
        "spanId": "b" * 16,
        "startTimeUnixNano": str(NOON_NS),
        "endTimeUnixNano": str(NOON_NS + 1_500_000_000),
        "attributes": attributes(given),
        **members,
    }
    scope = {"resource": {"attributes": attributes(resource)}, "scopeSpans": [{"spans": [span]}]}
    return read_export(tmp_path / "spans.json", {"resourceSpans": [scope]})


def read_point(
    tmp_path: Path,
    given: Mapping[str, object],
    members: Mapping[str, object] = NOTHING,
    resource: Mapping[str, object] = NOTHING,
    temporality: object = 1,
) -> Reported:
    point = {"startTimeUnixNano": str(NOON_NS), "attributes": attributes(given), **members}
    data = {"aggregationTemporality": temporality, "dataPoints": [point]}
    metric = {"name": "gen_ai.client.token.usage", "histogram": data}
    scope = {"resource": {"attributes": attributes(resource)}, "scopeMetrics": [{"metrics": [metric]}]}
    return read_export(tmp_path / "metrics.json", {"resourceMetrics": [scope]})


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        # the model that answered is the model; what was asked for is the product
        ({"gen_ai.request.model": "gpt-5.5", "gen_ai.response.model": "gpt-5.5-dated"}, "model", "gpt-5.5-dated"),
        ({"gen_ai.request.model": "gpt-5.5", "gen_ai.response.model": "gpt-5.5-dated"}, "product", "gpt-5.5"),
        ({"gen_ai.request.model": "gpt-5.5"}, "model", "gpt-5.5"),
        ({"gen_ai.response.model": "gpt-5.5"}, "product", "gpt-5.5"),
        # our own name of a field goes before the conventions'
        ({"gen_ai.provider.name": "openai", "clauseway.cloud": "azure"}, "cloud", "azure"),
        ({"gen_ai.system": "aws.bedrock"}, "cloud", "aws"),
        ({"gen_ai.provider.name": "openai", "gen_ai.system": "aws.bedrock"}, "cloud", "openai-own"),
        # in the tier that served it, as a gateway records it
        ({"openai.request.service_tier": "auto", "openai.response.service_tier": "flex"}, "tier", "flex"),
        ({"gen_ai.openai.response.service_tier": "priority"}, "tier", "priority"),
        ({"openai.response.service_tier": "fast"}, "tier", "priority"),
        ({"openai.response.service_tier": "scale"}, "tier", ""),
        ({"openai.response.service_tier": "flex", "clauseway.tier": "batch"}, "tier", "batch"),
        # an attempt that failed used what it reports
        ({"error.type": "timeout"}, "status", "interrupted"),
        ({}, "status", "complete"),
        ({}, "duration_us", 1_500_000),
        ({}, "id", "a" * 32 + "/" + "b" * 16),
        ({}, "input_tokens", 7),
        # each count is that of its unit, by its former name too
        ({"gen_ai.usage.cache_read.input_tokens": 5}, "cached_input_tokens", 5),
        ({"gen_ai.usage.cache_creation.input_tokens": 4}, "cache_write_tokens", 4),
        ({"gen_ai.usage.reasoning.output_tokens": 2}, "reasoning_tokens", 2),
        ({"gen_ai.usage.prompt_tokens": 9}, "input_tokens", 9),
        ({"gen_ai.usage.completion_tokens": 8}, "output_tokens", 8),
        ({"gen_ai.response.id": "resp_1"}, "upstream_id", "resp_1"),
    ],
)
def test_a_span(tmp_path: Path, given: Mapping[str, object], field: str, value: object) -> None:
    assert read_span(tmp_path, {**USED, **given}).fields[field] == value


def test_what_a_span_or_point_says_goes_before_what_its_resource_says(tmp_path: Path) -> None:
    own, resource = {"cloud.region": "eastus"}, {"cloud.region": "westus", "service.name": "shop"}
    for reported in (
        read_span(tmp_path, {**USED, **own}, resource=resource),
        read_point(tmp_path, own, resource=resource),
    ):
        assert (reported.fields["region"], reported.fields["project"]) == ("eastus", "shop")


def test_a_span_that_reports_input_alone_is_usage(tmp_path: Path) -> None:
    reported = read_span(tmp_path, {"gen_ai.usage.input_tokens": 7})
    assert (reported.skipped, reported.fields["input_tokens"]) == ("", 7)


@pytest.mark.parametrize("missing", ["traceId", "spanId"])
def test_a_span_without_a_part_of_its_identity_has_none(tmp_path: Path, missing: str) -> None:
    """Else two such spans would be taken for one."""
    assert read_span(tmp_path, USED, {missing: ""}).fields["id"] == ""


@pytest.mark.parametrize("missing", ["startTimeUnixNano", "endTimeUnixNano"])
def test_a_span_that_does_not_say_when_it_began_or_ended_has_no_duration(tmp_path: Path, missing: str) -> None:
    assert "duration_us" not in read_span(tmp_path, USED, {missing: None}).fields


def test_text_of_digits_stays_text(tmp_path: Path) -> None:
    reported = read_span(tmp_path, {**USED, "service.name": "2026"})
    assert reported.fields["project"] == "2026"


# a count as an export writes it | as it is kept: what is no whole number is examined with the row, and stops no import
COUNTS = [
    ({"intValue": "7"}, 7),
    ({"intValue": 7}, 7),
    ({"intValue": "7.5"}, "7.5"),
    ({"intValue": "seven"}, "seven"),
    ({"intValue": "9" * 20}, "9" * 20),
    ({"doubleValue": 7.0}, 7.0),
    ({"stringValue": "7"}, "7"),
    ({"arrayValue": {}}, None),
]


@pytest.mark.parametrize(("value", "kept"), COUNTS)
def test_a_count_is_kept_as_it_is_written(tmp_path: Path, value: Mapping[str, object], kept: object) -> None:
    given = {"attributes": [{"key": "gen_ai.usage.input_tokens", "value": value}]}
    assert read_span(tmp_path, {}, given).fields["input_tokens"] == kept


@pytest.mark.parametrize(
    ("members", "field", "value"),
    [
        ({"sum": 900, "asInt": "5"}, "input_tokens", 900),
        ({"asInt": "5", "asDouble": 7.0}, "input_tokens", "5"),
        ({"asDouble": 7.0}, "input_tokens", 7.0),
        # the usage of an interval is dated at its beginning
        ({"timeUnixNano": str(NOON_NS + 60)}, "event_ns", str(NOON_NS)),
        ({"startTimeUnixNano": None, "timeUnixNano": str(NOON_NS + 60)}, "event_ns", str(NOON_NS + 60)),
        ({"sum": 900, "count": 30}, "requests", 30),
    ],
)
def test_a_point_of_input(tmp_path: Path, members: Mapping[str, object], field: str, value: object) -> None:
    assert read_point(tmp_path, {"gen_ai.token.type": "input"}, members).fields[field] == value


@pytest.mark.parametrize("line", ["7", '"resourceSpans"', '{"resourceLogs":[]}', "{}"])
def test_a_line_that_is_no_export_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "spans.json"
    path.write_text(f"{line}\n")
    (reported,) = read_opentelemetry(path, Spans([path]))
    assert reported.unreadable == "not OTLP JSON of spans or metrics"
    assert reported.fields == {"export": json.loads(line)}


WIDE = {"resource": {"attributes": [{"key": "a"}] * 1_001}, "scopeSpans": []}
# an export of which a part is not of its type | the field that is kept, why it is not read
MALFORMED = [
    ({"resourceSpans": 3}, {"resourceSpans": 3}, "resourceSpans is not a list"),
    ({"resourceMetrics": [4]}, {"resourceMetrics": 4}, "an element of resourceMetrics is not an object"),
    ({"resourceSpans": [{"scopeSpans": "x"}]}, {"scopeSpans": "x"}, "scopeSpans is not a list"),
    ({"resourceSpans": [{"scopeSpans": [{"spans": [5]}]}]}, {"spans": 5}, "an element of spans is not an object"),
    ({"resourceSpans": [WIDE]}, {"resourceSpans": WIDE}, "it has 1,001 attributes, more than 1,000"),
]


@pytest.mark.parametrize(("export", "kept", "why"), MALFORMED, ids=[why for _, _, why in MALFORMED])
def test_a_part_of_another_type_is_kept_and_named(tmp_path: Path, export: object, kept: object, why: str) -> None:
    reported = read_export(tmp_path / "export.json", export)
    assert (reported.fields, reported.unreadable) == (kept, why)


CUMULATIVE = "a cumulative point: export it with delta temporality"


@pytest.mark.parametrize(
    ("temporality", "unreadable"),
    [
        (1, ""),
        ("AGGREGATION_TEMPORALITY_DELTA", ""),
        (2, CUMULATIVE),
        ("AGGREGATION_TEMPORALITY_CUMULATIVE", CUMULATIVE),
        (None, CUMULATIVE),
    ],
)
def test_a_point_counts_only_as_a_delta(tmp_path: Path, temporality: object, unreadable: str) -> None:
    point = read_point(tmp_path, {"gen_ai.token.type": "input"}, {"sum": 900}, temporality=temporality)
    assert point.unreadable == unreadable


def test_requests_are_counted_at_their_input_alone(tmp_path: Path) -> None:
    assert "requests" not in read_point(tmp_path, {"gen_ai.token.type": "output"}, {"sum": 900, "count": 30}).fields


def test_points_of_two_models_and_of_two_types_are_two(tmp_path: Path) -> None:
    kinds = [{"gen_ai.token.type": kind} for kind in ("input", "output")]
    points = [kind | {"gen_ai.request.model": model} for kind in kinds for model in ("gpt-5.4", "gpt-5.5")]
    read = [read_point(tmp_path, given, {"sum": 900}) for given in points]
    assert len({point.fields["id"] for point in read}) == 4
    assert {point.fields["aggregated"] for point in read} == {True}


def test_points_of_two_intervals_are_two(tmp_path: Path) -> None:
    given = {"gen_ai.token.type": "input"}
    ends = [{"timeUnixNano": str(NOON_NS + after)} for after in (60, 60, 120)]
    ids = {read_point(tmp_path, given, end).fields["id"] for end in ends}
    assert len(ids) == 2


def event(**members: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": "req_1/2",
        "source": "/clauseway",
        "type": "org.clauseway.usage.v1",
        "time": "2026-05-02T10:00:00Z",
        "data": {"cloud": "azure", "units": {"input_tokens": 7}},
        **members,
    }


def read_event(tmp_path: Path, **members: object) -> Reported:
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps(event(**members)) + "\n")
    (reported,) = read_cloudevents(path)
    return reported


OURS = ("req_1", "2")


@pytest.mark.parametrize(
    ("members", "identity"),
    [
        ({}, OURS),
        # types and sources of former versions
        ({"type": "org.clauseway.usage"}, OURS),
        ({"type": "clauseway.usage.v1", "source": "clauseway.usage.v1"}, OURS),
        # of another type, or from elsewhere, the identity is the event's own
        ({"type": "com.example.usage"}, (None, None)),
        ({"source": "/app"}, (None, None)),
    ],
)
def test_whose_event_it_is(tmp_path: Path, members: Mapping[str, object], identity: tuple[object, object]) -> None:
    fields = read_event(tmp_path, **members).fields
    sent = event(**members)
    assert (fields["source"], fields["id"], fields["event_ns"]) == (sent["source"], sent["id"], sent["time"])
    assert (fields["cloud"], fields["input_tokens"]) == ("azure", 7)
    assert (fields.get("request_id"), fields.get("attempt")) == identity


@pytest.mark.parametrize(
    ("members", "skipped", "unreadable"),
    [
        ({"type": "com.example.order", "data": {"total": 3}}, "an event of type com.example.order", ""),
        ({"data": "text"}, "", "its data are not an object"),
        ({"specversion": "0.3"}, "", "specversion '0.3' is not 1.0"),
    ],
)
def test_an_event_without_usage(tmp_path: Path, members: Mapping[str, object], skipped: str, unreadable: str) -> None:
    reported = read_event(tmp_path, **members)
    assert (reported.skipped, reported.unreadable) == (skipped, unreadable)


def test_a_line_that_is_no_event_is_kept_as_it_came(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    deep = "[" * 20_000
    path.write_text(f"{{no}}\n[1]\n{deep}\n")
    rows = list(read_cloudevents(path))
    # Of a long line only the beginning is kept.
    assert [row.fields for row in rows] == [{"event": "{no}\n"}, {"event": 1}, {"event": deep[:500]}]
    assert rows[2].unreadable == "not readable JSON: it is nested too deep"


ROW = {
    "request_id": "req_1",
    "attempt": 2,
    "event_ns": NOON_NS,
    "organisation": "acme",
    "project": "shop",
    "cloud": "azure",
    "region": "",
    "status": Status.COMPLETE,
    "input_tokens": 7,
    "output_tokens": 0,
    "cached_input_tokens": None,
}


def written(**changes: object) -> dict[str, Any]:
    (line,) = write_cloudevents([{**ROW, **changes}])
    event: dict[str, Any] = json.loads(line)
    return event


@pytest.mark.parametrize(
    ("event_ns", "instant"),
    [
        (NOON_NS, "2026-05-02T10:00:00Z"),
        (NOON_NS + 1, "2026-05-02T10:00:00.000000001Z"),
        (NOON_NS + 500_000_000, "2026-05-02T10:00:00.500000000Z"),
    ],
)
def test_an_event_is_dated_to_the_nanosecond(event_ns: int, instant: str) -> None:
    assert written(event_ns=event_ns)["time"] == instant


def test_what_a_reader_in_javascript_would_round_is_written_as_text(tmp_path: Path) -> None:
    """RFC 8259, section 6: numbers agree everywhere below 2^53, which nanoseconds since 1970 and picodollars leave."""
    whole = {"recorded_ns": NOON_NS + 1, "charge_picodollars": 2**53 + 1}
    event = written(**whole)
    assert {name: event["data"][name] for name in whole} == {name: str(value) for name, value in whole.items()}
    assert written(recorded_ns=1, charge_picodollars=0)["data"]["charge_picodollars"] == "0"  # one type at any size


def test_an_event_says_what_is_known_and_nothing_else() -> None:
    event = written()
    assert event["data"] == {
        "organisation": "acme",
        "project": "shop",
        "cloud": "azure",
        "status": "complete",
        "units": {"input_tokens": 7, "output_tokens": 0},
    }
    assert {name: value for name, value in event.items() if name not in ("data", "time")} == {
        "specversion": "1.0",
        "id": "req_1/2",
        "source": "/clauseway",
        "type": "org.clauseway.usage.v1",
        "subject": "acme/shop",
        "datacontenttype": "application/json",
    }
    assert "subject" not in written(organisation="", project="")


def test_a_call_of_our_gateway_that_its_client_traced_too_is_metered_already(tmp_path: Path) -> None:
    """The application's span stands above the gateway's, an HTTP client's between them; both come in one file."""

    def span(own: str, parent: str, given: Mapping[str, object], trace: str = "a") -> dict[str, Any]:
        times = {"startTimeUnixNano": str(NOON_NS), "endTimeUnixNano": str(NOON_NS + 1)}
        ids = {"traceId": trace * 32, "spanId": own * 16, "parentSpanId": parent * 16}
        return {**ids, **times, "attributes": attributes(given)}

    application = {
        "scope": {"name": "opentelemetry.instrumentation.openai_v2"},
        "spans": [
            span("1", "", {}),  # of the application itself, without counts
            span("2", "1", USED),  # through the gateway
            span("3", "2", {"http.request.method": "POST"}),
            span("4", "1", USED),  # to a cloud, in the same trace
            span("2", "1", USED, trace="c"),  # to a cloud, in another trace
        ],
    }
    gateway = {
        "scope": {"name": "clauseway.gateway"},
        "spans": [span("5", "3", {**USED, "clauseway.request.id": "req_1"}), span("6", "5", USED)],
    }
    path = tmp_path / "collected.jsonl"
    for scopes in ([application, gateway], [gateway, application]):
        lines = [{"resourceSpans": [{"scopeSpans": [scope]}]} for scope in scopes]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        read = list(read_opentelemetry(path, Spans([path])))
        counted = [reported.fields["id"] for reported in read if not reported.skipped]
        assert counted == [f"{'a' * 32}/{'4' * 16}", f"{'c' * 32}/{'2' * 16}"]
        assert sum("metered itself" in reported.skipped for reported in read) == 5


def export_of(service: str, spans: list[dict[str, Any]], points: list[dict[str, Any]]) -> dict[str, Any]:
    """An export of a service: its spans, and the points of its token metric."""
    resource = {"attributes": attributes({"service.name": service})}
    data = {"aggregationTemporality": 1, "dataPoints": points}
    metric = {"name": "gen_ai.client.token.usage", "histogram": data}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}],
        "resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}],
    }


def read_exports(path: Path, *exports: object) -> tuple[list[Reported], list[str]]:
    """Return the usage that counts in a file of exports, and the reasons for skipping the rest."""
    path.write_text("".join(json.dumps(export) + "\n" for export in exports))
    read = list(read_opentelemetry(path, Spans([path])))
    return [row for row in read if not row.skipped], sorted(row.skipped for row in read if row.skipped)


def traced(own: str, parent: str, given: Mapping[str, object], end_ns: int = NOON_NS + 1) -> dict[str, Any]:
    times = {"startTimeUnixNano": str(NOON_NS), "endTimeUnixNano": str(end_ns)}
    ids = {"traceId": "a" * 32, "spanId": own * 16, "parentSpanId": parent * 16}
    return {**ids, **times, "attributes": attributes(given)}


def point_of(model: str, begin_ns: int, end_ns: int) -> dict[str, Any]:
    given = {"gen_ai.request.model": model, "gen_ai.token.type": "input"}
    return {
        "startTimeUnixNano": str(begin_ns),
        "timeUnixNano": str(end_ns),
        "sum": 7,
        "count": "1",
        "attributes": attributes(given),
    }


def test_spans_of_one_file_and_points_of_another_count_once_in_one_import(tmp_path: Path) -> None:
    called = traced("1", "", {**USED, "gen_ai.request.model": "gpt-5.4"})
    export = export_of("chat", [called], [point_of("gpt-5.4", NOON_NS, NOON_NS + 60_000_000_000)])
    paths = [tmp_path / name for name in ("metrics.json", "spans.json")]
    for path, kind in zip(paths, ("resourceMetrics", "resourceSpans"), strict=True):
        path.write_text(json.dumps({kind: export[kind]}))
    spans = spans_in([(path, "opentelemetry") for path in paths])
    points, counted = (list(read_opentelemetry(path, spans)) for path in paths)
    assert [row.skipped for row in points] == ["a point of tokens that spans count"]
    assert [row.skipped for row in counted] == [""]


def test_tokens_that_spans_count_are_not_counted_by_points_again(tmp_path: Path) -> None:
    minute = 60_000_000_000
    called = traced("1", "", {**USED, "gen_ai.request.model": "gpt-5.4"}, NOON_NS + minute // 2)
    points = [
        point_of("gpt-5.4", NOON_NS, NOON_NS + minute),  # of the span's call
        point_of("gpt-5.5", NOON_NS, NOON_NS + minute),  # of a model without spans
        point_of("gpt-5.4", NOON_NS + minute, NOON_NS + 2 * minute),  # of a minute without spans
    ]
    other = export_of("mail", [], [points[0]])
    for exports in ((export_of("shop", [called], points), other), (other, export_of("shop", [called], points))):
        counted, skipped = read_exports(tmp_path / "collected.jsonl", *exports)
        assert len(counted) == 4
        assert skipped == ["a point of tokens that spans count"]


@pytest.mark.parametrize("kind", ["histogram", "exponentialHistogram", "sum"])
def test_a_point_counts_in_each_kind_of_metric(tmp_path: Path, kind: str) -> None:
    data = {"aggregationTemporality": 1, "dataPoints": [point_of("gpt-5.4", NOON_NS, NOON_NS + 1)]}
    metrics = [{"name": "gen_ai.client.token.usage", kind: data}]
    scopes = [{"scope": {"name": name}, "metrics": metrics} for name in ("openai_v2", "clauseway.gateway")]
    export = {"resourceMetrics": [{"scopeMetrics": scopes}]}
    counted, skipped = read_exports(tmp_path / "metrics.jsonl", export)
    assert [row.fields["input_tokens"] for row in counted] == [7]
    assert skipped == ["a request that a gateway of ours metered itself"]


# when spans of the service and model end | the interval of a point | whether they count its tokens
COUNTED = [
    ((10, 90), (20, 30), True),  # between the first and the last
    ((90, 10), (20, 30), True),
    ((10, 90), (91, 120), False),
    ((10, 90), (1, 9), False),
    ((10, 90), (0, 10), True),  # a span ends at the end of the interval
    ((10, 90), (None, 50), True),  # a point without a begin is of an instant
    ((10, 90), (None, 95), False),
]


@pytest.mark.parametrize(("ends", "interval", "is_counted"), COUNTED)
def test_spans_count_the_points_of_their_time(
    tmp_path: Path, ends: tuple[int, int], interval: tuple[int | None, int], is_counted: bool
) -> None:
    called = {**USED, "gen_ai.request.model": "gpt-5.4"}
    spans = [traced(str(number), "", called, NOON_NS + end) for number, end in enumerate(ends)]
    begin, end = interval
    point = point_of("gpt-5.4", NOON_NS + (begin or 0), NOON_NS + end)
    if begin is None:
        del point["startTimeUnixNano"]
    _, skipped = read_exports(tmp_path / "both.jsonl", export_of("shop", spans, [point]))
    assert skipped == ["a point of tokens that spans count"] * is_counted


def test_a_span_that_sums_up_the_calls_below_it_is_not_counted(tmp_path: Path) -> None:
    """An agent's span says the tokens of the calls that it made; a call between them has none."""
    agent, tool = traced("1", "", {"gen_ai.usage.input_tokens": 14}), traced("2", "1", {})
    calls = [traced("3", "2", USED), traced("4", "1", USED)]
    counted, skipped = read_exports(tmp_path / "agent.jsonl", export_of("shop", [agent, tool, *calls], []))
    assert [row.fields["input_tokens"] for row in counted] == [7, 7]
    assert skipped == ["a span above others that count the same tokens", "a span without token counts"]
