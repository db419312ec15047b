"""Spans and metrics as a collector receives them: over OTLP, decoded by OpenTelemetry's own messages."""

import asyncio
import contextlib
import http.server
import io
import threading
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
import msgspec
import pytest
import requests
from gateway_rig import (
    AUTHORIZED,
    DONE_EVENT,
    MODEL,
    NAME_THERE,
    PATIENCE_S,
    PRODUCT,
    USAGE,
    Connection,
    Received,
    Rig,
    chunk_event,
    closed_port,
    content_events,
    cut,
    status,
)
from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from awaiting import eventually
from clauseway.exchange.usage.opentelemetry import Spans, read_opentelemetry
from clauseway.gateway.plan import Epoch, Plan, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Log, Settings, Telemetry
from clauseway.gateway.process.collector_session import CollectorSession
from clauseway.gateway.process.logs import LogQueue
from clauseway.gateway.process.telemetry import TelemetryWatcher, _formerly_too, _parent
from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.routing.choices import Candidate
from clauseway.gateway.routing.health import Health
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.transport.upstream import Endpoint
from clauseway.metering import Buyer, Unit
from clauseway.values import VERSION
from selection_rig import deployment

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
STATE = "ot=th:c;rv:abcdefabcdefab,vendor=1"


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what is sent to it, and answers `status`, with `headers` and a `body`; metrics by `metrics_status`
    where that is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, bytes]] = []
        self.status, self.metrics_status = 200, 0
        self.headers: dict[str, str] = {}
        self.body = b""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[Span]:
        return [
            span
            for path, body in self.bodies
            if path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, list[Any]]:
        """Name → data points of the last export."""
        return {metric.name: list(metric.histogram.data_points) for metric in self.last_metrics()}

    def last_metrics(self) -> list[Metric]:
        last = [ExportMetricsServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/metrics"][-1]
        return [
            metric for resource in last.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append((self.path, body))
        server = self.server
        self.send_response((server.metrics_status if self.path == "/v1/metrics" else 0) or server.status)
        for name, value in {**server.headers, "content-length": str(len(server.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def attributes(values: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> object:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in values}


def exporting(plan: Plan, url: str, **members: Any) -> Plan:
    return msgspec.structs.replace(plan, settings=Settings(telemetry=Telemetry(otlp_endpoint=url, **members)))


def ask(rig: Rig, traceparent: str = "", word: str = "hello") -> httpx.Response:
    headers = {**AUTHORIZED, **({"traceparent": traceparent, "tracestate": STATE} if traceparent else {})}
    body = {"model": MODEL, "messages": [{"role": "user", "content": word}]}
    return httpx.post(f"{rig.url}/v1/chat/completions", json=body, headers=headers, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    collector = Collector()
    with Rig(tmp_path_factory.mktemp("telemetry")) as rig:
        azure, aws = rig.cloud("azure", status(503)), rig.cloud("aws")
        # The first of the deployment's models is not the one that is asked.
        targets = [rig.target("azure", azure.port, "o-1"), *(rig.target(at.name, at.port) for at in (azure, aws))]
        routes = {f"openai|{PRODUCT}|direct": Route(candidates=((1, 0), (2, 0)))}
        plan = rig.plan(targets, epochs=(Epoch(begin_ns=0, routes=routes),))
        rig.start(exporting(plan, collector.url, service_name="edge"))
        assert ask(rig, f"00-{TRACE}-{CALLER}-01", "a-prompt").status_code == 200
        assert ask(rig, f"00-{TRACE[::-1]}-{CALLER}-00").status_code == 200
        assert rig.post(model="a-prompt").status_code == 404
        unread = httpx.post(f"{rig.url}/v1/chat/completions", content=b"{", headers=AUTHORIZED, timeout=PATIENCE_S)
        assert unread.status_code == 400
        rig.clouds["aws"].behaviour = status(500)
        assert ask(rig).status_code == 502
        eventually(lambda: len(collector.spans()) == 8)
        rig.stop()  # what has gathered is exported
    yield collector
    collector.shutdown()


def test_a_request_continues_the_callers_trace_and_attempts_are_its_children(collected: Collector) -> None:
    spans = [span for span in collected.spans() if span.trace_id.hex() == TRACE]
    (request,) = [span for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    failed, served = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT]
    assert request.parent_span_id.hex() == CALLER
    assert {failed.parent_span_id, served.parent_span_id} == {request.span_id}
    assert len({span.span_id for span in spans}) == 3
    assert {span.name for span in spans} == {f"chat {MODEL}"}
    assert {span.trace_state for span in spans} == {STATE}
    assert request.start_time_unix_nano <= failed.start_time_unix_nano <= failed.end_time_unix_nano
    assert failed.end_time_unix_nano <= served.start_time_unix_nano < served.end_time_unix_nano
    assert served.end_time_unix_nano == request.end_time_unix_nano


# By W3C's Trace Context: what is no version, or not as it is written there, begins a new trace.
@pytest.mark.parametrize(
    ("lines", "trace", "sampled", "state"),
    [
        (f"traceparent: 00-{TRACE}-{CALLER}-01", TRACE, True, ""),
        (f"Traceparent: 00-{TRACE}-{CALLER}-00", TRACE, False, ""),
        (f"traceparent: 00-{TRACE}-{CALLER}-01\ntracestate: a=1,b=2", TRACE, True, "a=1,b=2"),
        (f"tracestate: a=1\ntraceparent: 00-{TRACE}-{CALLER}-01\ntracestate: b=2", TRACE, True, "a=1,b=2"),
        (f"traceparent: cc-{TRACE}-{CALLER}-01", TRACE, True, ""),
        (f"traceparent: cc-{TRACE}-{CALLER}-01-of-later", TRACE, True, ""),
        (f"traceparent: 00-{TRACE}-{CALLER}-01-of-later", "", False, ""),
        (f"traceparent: ff-{TRACE}-{CALLER}-01", "", False, ""),
        (f"traceparent: 00-{TRACE.upper()}-{CALLER}-01", "", False, ""),
        (f"traceparent: 00-{'0' * 32}-{CALLER}-01", "", False, ""),
        (f"traceparent: 00-{TRACE}-{'0' * 16}-01", "", False, ""),
        (f"traceparent: 00-{TRACE}-{CALLER}-01\ntraceparent: 00-{TRACE[::-1]}-{CALLER}-01", "", False, ""),
        (f"x-client-request-id: traceparent: 00-{TRACE}-{CALLER}-01", "", False, ""),
        ("tracestate: a=1", "", False, ""),
    ],
)
def test_the_span_of_the_caller(lines: str, trace: str, sampled: bool, state: str) -> None:
    parent, is_sampled = _parent("".join(f"{line}\r\n" for line in lines.split("\n")).encode())
    assert (f"{parent.trace_id:032x}" if parent else "", is_sampled) == (trace, sampled)
    assert (parent.trace_state.to_header() if parent else "") == state


def test_spans_say_what_the_conventions_ask_for(collected: Collector) -> None:
    spans = [span for span in collected.spans() if span.trace_id.hex() == TRACE]
    failed, served = [attributes(span.attributes) for span in spans if span.kind == Span.SPAN_KIND_CLIENT]
    assert failed["error.type"] == "503"
    assert (failed["clauseway.deployment"], failed["gen_ai.response.model"]) == ("azure-1", NAME_THERE)
    assert "error.type" not in served
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.response.model": NAME_THERE,
        "gen_ai.usage.input_tokens": 21,
        "gen_ai.usage.output_tokens": 8,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "server.address": "127.0.0.1",
        "clauseway.cloud": "aws",
    }
    assert served.items() >= expected.items()
    (request,) = [attributes(span.attributes) for span in spans if span.kind == Span.SPAN_KIND_SERVER]
    assert request["clauseway.request.id"].startswith("req_")
    assert (request["clauseway.attempts"], request["clauseway.decision"]) == (2, "permitted-1")
    of_http = {"http.request.method": "POST", "http.route": "/v1/chat/completions", "url.scheme": "http"}
    assert request.items() >= of_http.items()
    assert of_http.keys().isdisjoint(served)


async def stream_of_another_name(connection: Connection, _: Received) -> None:
    """A stream whose chunks name the model as the cloud does."""
    connection.begin_stream()
    events = [*content_events(with_nulls=True), chunk_event([], model="gpt-5.4-of-june", usage=USAGE), DONE_EVENT]
    connection.piece(b"".join(events))
    connection.end_stream()


def test_streams_broken_answers_and_conversations_say_what_they_are(tmp_path: Path) -> None:
    collector = Collector()
    with Rig(tmp_path) as rig:
        cloud = rig.cloud("azure", stream_of_another_name)
        rig.start(exporting(rig.plan(), collector.url, former_names=False))
        assert rig.post(stream=True).status_code == 200
        cloud.behaviour = cut
        assert b"stream broke" in rig.post(stream=True).content
        cloud.behaviour = status(400)
        conversation = httpx.post(f"{rig.url}/v1/conversations", json={}, headers=AUTHORIZED, timeout=PATIENCE_S)
        assert conversation.status_code == 400
        eventually(lambda: len(collector.spans()) == 6)
        rig.stop()
    read, asked, broken, failed, kept, asked_to_keep = [attributes(span.attributes) for span in collector.spans()]
    # The span says whether a stream was asked for, and which model the cloud says has answered.
    for span in (read, asked):
        assert (span["gen_ai.request.stream"], span["gen_ai.response.model"]) == (True, "gpt-5.4-of-june")
    assert 0 < read["gen_ai.response.time_to_first_chunk"] < PATIENCE_S
    # An answer that broke off failed for no status, and was used.
    assert (broken["error.type"], broken["clauseway.outcome"]) == ("broken_answer", "broke off its answer")
    assert broken["gen_ai.usage.output_tokens"] == 4
    assert (failed["error.type"], failed["gen_ai.request.stream"]) == ("502", True)
    # No model works for a conversation as such.
    for span in (kept, asked_to_keep):
        assert {"gen_ai.request.model", "gen_ai.response.model", "gen_ai.request.stream"}.isdisjoint(span)
    metrics = collector.metrics()
    assert [point.count for point in metrics["gen_ai.client.operation.time_to_first_chunk"]] == [1]
    tokens = metrics["gen_ai.client.token.usage"]
    assert sum(point.sum for point in tokens if attributes(point.attributes)["gen_ai.token.type"] == "output") == 12
    assert not any("error.type" in attributes(point.attributes) for point in tokens)
    collector.shutdown()


def test_what_the_conventions_called_otherwise_before_has_that_name_too(collected: Collector) -> None:
    spans = [attributes(span.attributes) for span in collected.spans() if span.trace_id.hex() == TRACE]
    served = spans[-1]
    former = {"gen_ai.system": "openai", "gen_ai.usage.prompt_tokens": 21, "gen_ai.usage.completion_tokens": 8}
    assert served.items() >= former.items()
    assert all(span["gen_ai.system"] == span["gen_ai.provider.name"] for span in spans)
    (measured, *_) = collected.metrics()["gen_ai.client.token.usage"]
    assert attributes(measured.attributes)["gen_ai.system"] == "openai"


@pytest.mark.parametrize(
    ("provider", "before"),
    [("azure.ai.openai", "az.ai.openai"), ("gcp.vertex_ai", "vertex_ai"), ("aws.bedrock", "aws.bedrock")],
)
def test_a_provider_has_its_former_name(provider: str, before: str) -> None:
    named = _formerly_too({"gen_ai.provider.name": provider, "gen_ai.request.model": MODEL})
    assert named == {"gen_ai.provider.name": provider, "gen_ai.request.model": MODEL, "gen_ai.system": before}


def test_former_names_can_be_left_out_and_a_new_plan_says_how_many_are_sampled(tmp_path: Path) -> None:
    collector = Collector()
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        rig.start(exporting(rig.plan(), collector.url, former_names=False))
        assert ask(rig).status_code == 200
        eventually(lambda: len(collector.spans()) == 2)
        rig.write_plan(exporting(rig.plan(), collector.url, former_names=False, spans=0.0))
        eventually(lambda: "plan reloaded" in rig.errors())
        assert ask(rig).status_code == 200
        rig.stop()
    assert len(collector.spans()) == 2
    assert "restart needed" not in rig.errors()
    names = {name for span in collector.spans() for name in attributes(span.attributes)}
    assert names.isdisjoint({"gen_ai.system", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"})
    assert "gen_ai.provider.name" in names
    collector.shutdown()


def test_a_caller_who_does_not_sample_is_heeded_and_a_failure_is_one(collected: Collector) -> None:
    spans = collected.spans()
    assert all(span.trace_id.hex() != TRACE[::-1] for span in spans)
    unknown, unread, request = [
        span for span in spans if span.kind == Span.SPAN_KIND_SERVER and span.trace_id.hex() != TRACE
    ]
    assert (unknown.name, attributes(unknown.attributes)["error.type"]) == ("chat (unknown)", "404")
    assert (unread.name, attributes(unread.attributes)["error.type"]) == ("chat", "400")
    assert (request.parent_span_id, request.status.code) == (b"", 2)
    assert attributes(request.attributes)["error.type"] == "502"


def test_metrics_count_every_request_sampled_or_not(collected: Collector) -> None:
    metrics = collected.metrics()
    served = metrics["gen_ai.client.token.usage"]
    tokens = {attributes(point.attributes)["gen_ai.token.type"]: (point.count, point.sum) for point in served}
    assert tokens == {"input": (2, 42), "output": (2, 16)}
    attempts = metrics["gen_ai.client.operation.duration"]
    by_error = {attributes(point.attributes).get("error.type", ""): point.count for point in attempts}
    assert by_error == {"": 2, "503": 3, "500": 1}
    requests = metrics["gen_ai.server.request.duration"]
    assert sum(point.count for point in requests) == 5
    measured = [attributes(point.attributes) for points in metrics.values() for point in points]
    # The conventions require both of every point; nobody but the gateway answers what it refuses.
    assert all(point["gen_ai.operation.name"] and point["gen_ai.provider.name"] for point in measured)
    served_by = [attributes(point.attributes) for point in requests]
    answered = {(point.get("error.type", ""), point["gen_ai.provider.name"]) for point in served_by}
    assert answered == {("", "openai"), ("404", "clauseway"), ("400", "clauseway"), ("502", "clauseway")}
    assert "" not in {value for point in measured for value in point.values()}
    names = {name for points in metrics.values() for point in points for name in attributes(point.attributes)}
    assert not any(name.startswith("clauseway.") for name in names), "a request's own names would be a series each"


def test_the_resource_is_named_and_nothing_tells_a_prompt(collected: Collector) -> None:
    traces = [body for path, body in collected.bodies if path == "/v1/traces"]
    resource = attributes(ExportTraceServiceRequest.FromString(traces[0]).resource_spans[0].resource.attributes)
    assert resource["service.name"] == "edge"
    everything = b"".join(body for _, body in collected.bodies)
    for kept in (b"a-prompt", b"many", AUTHORIZED["authorization"].encode()[7:], b"sk-aws"):
        assert kept not in everything


def test_nothing_that_a_gateway_exports_is_imported_as_usage(collected: Collector, tmp_path: Path) -> None:
    messages: dict[str, Any] = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
    exported = tmp_path / "collected.json"
    lines = [MessageToJson(messages[path].FromString(body), indent=None) for path, body in collected.bodies]
    exported.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    rows = list(read_opentelemetry(exported, Spans([exported])))
    assert {row.skipped for row in rows} >= {"a request that a gateway of ours metered itself"}
    assert [row for row in rows if not row.skipped] == []


def test_a_collector_that_takes_nothing_costs_nobody_anything_but_spans(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.cloud("azure")
        collector = Collector()
        collector.status = 400
        rig.start(exporting(rig.plan(), collector.url, queue=3, metrics=True, metrics_port=0))
        for _ in range(12):
            assert ask(rig).status_code == 200
        url = f"http://127.0.0.1:{rig.ports['metrics']}/metrics"

        def dropped() -> float:
            name = "clauseway_telemetry_dropped_total "
            lines = httpx.get(url).text.splitlines()
            return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))

        # Those beyond the queue and those that were refused: all twelve.
        eventually(lambda: dropped() == 12)
        eventually(lambda: '"signal":"spans","why":"answered 400","dropped":' in rig.errors())
        collector.status = 200
        assert ask(rig).status_code == 200
        eventually(lambda: "telemetry taken again" in rig.errors())
        collector.status, collector.metrics_status = 400, 404
        assert ask(rig).status_code == 200
        eventually(lambda: dropped() == 13)
        assert ask(rig).status_code == 200
        rig.stop()  # what has gathered is exported
        assert '"signal":"metrics","why":"answered 404"' in rig.errors()
        assert '"dropped":14' in rig.errors(), "what is lost last is told too"
        assert all(line.startswith("{") for line in rig.errors().splitlines()), "the SDK's own log is not ours"
        collector.shutdown()


REJECTED = ExportTraceServiceResponse(
    partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
)
# A collector's answer · the gateway's reason why not all was taken, and the number of spans that were not
ANSWERS = [
    (200, {}, b"", "", 0),
    (202, {}, b"OK", "", 0),
    (200, {}, REJECTED.SerializeToString(), "rejected 2: too old", 2),
    (301, {"location": "/elsewhere"}, b"", "answered 301, which leads to another address", 0),
    (404, {}, b"no such path", "answered 404", 0),
    (503, {"retry-after": "1"}, b"", "answered 503", 0),
]


@pytest.mark.parametrize(("status_code", "headers", "body", "why", "rejected"), ANSWERS)
def test_what_a_collector_answers_is_read(
    status_code: int, headers: dict[str, str], body: bytes, why: str, rejected: int
) -> None:
    collector = Collector()
    collector.status, collector.headers, collector.body = status_code, headers, body
    with CollectorSession() as session, contextlib.suppress(requests.RequestException):
        session.post(f"{collector.url}/v1/traces", data=b"", allow_redirects=False)
    assert (session.problem, session.rejected) == (why, rejected)
    collector.shutdown()


def test_a_collector_that_is_not_there_is_told() -> None:
    with closed_port() as port, CollectorSession() as session:
        with pytest.raises(requests.RequestException):
            session.post(f"http://127.0.0.1:{port}/v1/traces", data=b"")
        assert session.problem == "Connection refused"


BOOT = 0xB007
BUYER = Buyer("acme", "research", "key_1", "openai", "direct")


def candidate(name: str, **changes: Any) -> Candidate:
    endpoint = Endpoint(f"{name}.example", 8443, cast("AbstractEventLoop", None), Limits())
    return Candidate(CallTarget(deployment(name, **changes), 1, endpoint, Health()), 1, b"", "d-1", "permitted")


FIRST, SECOND = candidate("first"), candidate("second", cloud="aws", seller="amazon", region="r-2")
ABSENT = "(absent)"
# Of 21 tokens in, 4 were cached and 3 written to the cache; of 8 out, 2 were thought.
UNITS = (
    (Unit.INPUT_TOKENS, 21),
    (Unit.CACHED_INPUT_TOKENS, 4),
    (Unit.CACHE_WRITE_TOKENS, 3),
    (Unit.OUTPUT_TOKENS, 8),
    (Unit.REASONING_TOKENS, 2),
)
USAGE_NAMED = {
    "gen_ai.usage.input_tokens": 21,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.cache_creation.input_tokens": 3,
    "gen_ai.usage.output_tokens": 8,
    "gen_ai.usage.reasoning.output_tokens": 2,
}


def ended(outcome: str, status_code: int, duration_us: int, **members: Any) -> EndedAttempt:
    place = FIRST.target
    first = EndedAttempt("azure", place.name, outcome, status_code, duration_us, place.product, (), 0)
    return first._replace(**members)


def explained(operation: str = "chat", **members: Any) -> RequestExplanation:
    defaults = {"event_ns": 1, "buyer": BUYER, "model": "gpt-5.5", "skipped": (), "attempted": (), "message": ""}
    return RequestExplanation(**{**defaults, "operation": operation, "status": 200, **members})


class Told(NamedTuple):
    """A span: when it begins and ends, in microseconds of its request, its status, and some of its attributes."""

    begin_us: int
    end_us: int
    attributes: dict[str, Any]
    is_error: bool = False


class Finished(NamedTuple):
    """A request that took 1,000 microseconds, and its spans: of its attempts, and its own last."""

    explanation: RequestExplanation
    spans: list[Told]


FINISHED = {
    "after attempts that ended otherwise": Finished(
        explained(
            attempted=(
                ended("called off", 0, 100, called_off=True, units=((Unit.OUTPUT_TOKENS, 5),)),
                ended("did not answer", 0, 200),
                ended("broke off its answer", 200, 300),
                ended("answered 503", 503, 50),
            ),
            candidate=SECOND,
            candidates=(FIRST, SECOND),
            units=UNITS,
            streamed=True,
            first_content_us=700,
            model_there="gpt-5.5-of-june",
        ),
        [
            Told(0, 100, {"error.type": "called_off", "gen_ai.usage.output_tokens": 5}, is_error=True),
            # The model there is what was asked for: no answer says which it was.
            Told(100, 300, {"error.type": "unavailable", "gen_ai.response.model": "first"}, is_error=True),
            Told(300, 600, {"error.type": "broken_answer", "clauseway.outcome": "broke off its answer"}, is_error=True),
            Told(600, 650, {"error.type": "503", "clauseway.deployment": "first"}, is_error=True),
            Told(
                650,
                1000,
                {
                    "error.type": ABSENT,
                    "server.address": "second.example",
                    "server.port": 8443,
                    "clauseway.cloud": "aws",
                    "clauseway.seller": "amazon",
                    "clauseway.region": "r-2",
                    "gen_ai.response.model": "gpt-5.5-of-june",
                    "gen_ai.response.time_to_first_chunk": 0.0007,
                    **USAGE_NAMED,
                },
            ),
            Told(
                0,
                1000,
                {
                    "clauseway.request.id": f"req_{BOOT:016x}{1:016x}",
                    "clauseway.organisation": "acme",
                    "clauseway.project": "research",
                    "clauseway.attempts": 5,
                    "http.response.status_code": 200,
                    "url.scheme": "https",
                    **USAGE_NAMED,
                },
            ),
        ],
    ),
    "of a hedge that ran beside": Finished(
        explained(
            attempted=(ended("called off", 0, 5000, called_off=True),),
            candidate=FIRST,
            candidates=(FIRST,),
            first_content_us=500,
        ),
        [
            Told(0, 1000, {}, is_error=True),
            Told(1000, 1000, {"gen_ai.response.time_to_first_chunk": ABSENT}),
            Told(0, 1000, {"gen_ai.request.stream": ABSENT}),
        ],
    ),
    "whose client left": Finished(
        explained(status=0, candidate=FIRST, candidates=(FIRST,), streamed=True),
        [
            Told(0, 1000, {"error.type": "client_left", "gen_ai.response.time_to_first_chunk": ABSENT}, is_error=True),
            Told(0, 1000, {"error.type": "client_left", "http.response.status_code": ABSENT}),
        ],
    ),
    "that was refused": Finished(
        explained(status=429),
        [
            Told(
                0,
                1000,
                {"error.type": "429", "gen_ai.provider.name": "clauseway", "gen_ai.response.model": ABSENT},
            )
        ],
    ),
    "that a cloud refused": Finished(
        explained("completions", status=400, candidate=FIRST, candidates=(FIRST,), model_there="m" * 300),
        [
            Told(0, 1000, {"error.type": "400", "gen_ai.response.model": "m" * 256}, is_error=True),
            Told(0, 1000, {"error.type": "400", "gen_ai.operation.name": "text_completion"}),
        ],
    ),
    "that leads elsewhere": Finished(
        explained("messages", status=302, candidate=FIRST, candidates=(FIRST,)),
        [Told(0, 1000, {"error.type": ABSENT}), Told(0, 1000, {"error.type": ABSENT, "gen_ai.operation.name": "chat"})],
    ),
    "for an object": Finished(
        explained("responses.retrieve", model="", candidate=FIRST),
        [
            Told(0, 1000, {"gen_ai.request.model": ABSENT, "gen_ai.response.model": ABSENT}),
            Told(0, 1000, {"http.request.method": "GET", "http.route": "/v1/responses/{id}"}),
        ],
    ),
    "for the project's usage": Finished(
        explained("usage", model=""), [Told(0, 1000, {"http.route": "/clauseway/v1/usage"})]
    ),
    "that failed here": Finished(explained(status=502), [Told(0, 1000, {"error.type": "502"}, is_error=True)]),
}


def end(watcher: TelemetryWatcher) -> None:
    """Wait for the last exports however long they take on a busy machine, where a process that stops gives up."""
    watcher._closing.set()
    watcher._thread.join(PATIENCE_S)
    watcher.close()


@pytest.fixture(scope="module")
def exported() -> Iterator[Collector]:
    """Yield the collector to which one process exported all these requests, in their order."""
    collector = Collector()

    async def export() -> None:
        loop = asyncio.get_running_loop()
        lines = LogQueue(Log(), loop, io.BytesIO())
        settings = Telemetry(otlp_endpoint=f"{collector.url}/", former_names=False)
        watcher = TelemetryWatcher(settings, BOOT, loop, lines, lambda _: True, "https")
        for number, finished in enumerate(FINISHED.values(), 1):
            watcher.finished(number, finished.explanation, 1000, b"")
        await loop.run_in_executor(None, end, watcher)
        lines.close()
        assert watcher.dropped == 0

    asyncio.run(export())
    yield collector
    collector.shutdown()


@pytest.mark.parametrize("name", FINISHED)
def test_a_request_has_the_spans_of_its_attempts_and_its_own(name: str, exported: Collector) -> None:
    spans = exported.spans()
    for earlier in FINISHED:
        earlier_spans, spans = spans[: len(FINISHED[earlier].spans)], spans[len(FINISHED[earlier].spans) :]
        if earlier == name:
            break
    begin_ns = earlier_spans[-1].start_time_unix_nano
    assert [span.kind for span in earlier_spans] == [Span.SPAN_KIND_CLIENT] * (len(earlier_spans) - 1) + [
        Span.SPAN_KIND_SERVER
    ]
    for span, expected in zip(earlier_spans, FINISHED[name].spans, strict=True):
        us = [(ns - begin_ns) // 1000 for ns in (span.start_time_unix_nano, span.end_time_unix_nano)]
        assert us == [expected.begin_us, expected.end_us]
        assert (span.status.code == 2) == expected.is_error
        named = attributes(span.attributes)
        assert {key: named.get(key, ABSENT) for key in expected.attributes} == expected.attributes


def test_histograms_have_the_conventions_units_and_bounds(exported: Collector) -> None:
    metrics = {metric.name: metric for metric in exported.last_metrics()}
    tokens = metrics.pop("gen_ai.client.token.usage")
    assert tokens.unit == "{token}"
    assert list(tokens.histogram.data_points[0].explicit_bounds) == [4**power for power in range(14)]
    assert sorted(metrics) == [
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.server.request.duration",
    ]
    for metric in metrics.values():
        assert metric.unit == "s"
        bounds = list(metric.histogram.data_points[0].explicit_bounds)
        assert bounds == [2**power / 100 for power in range(14)]


def test_histograms_sum_what_the_spans_tell(exported: Collector) -> None:
    metrics = exported.metrics()

    def total(name: str, **wanted: str) -> float:
        """The sum over the points with these attributes: microseconds, of durations."""
        points = metrics[f"gen_ai.{name}"]
        return sum(
            float(point.sum)
            for point in points
            if {key: attributes(point.attributes).get(f"gen_ai.{key.replace('_', '.')}") for key in wanted} == wanted
        )

    spans = [span for finished in FINISHED.values() for span in finished.spans[:-1]]
    attempts_us = sum(span.end_us - span.begin_us for span in spans)
    assert total("client.operation.duration") * 1e6 == pytest.approx(attempts_us)
    assert total("server.request.duration") * 1e6 == pytest.approx(1000 * len(FINISHED))
    assert total("client.operation.time_to_first_chunk") * 1e6 == pytest.approx(700)
    assert total("client.token.usage", token_type="input") == 21
    assert total("client.token.usage", token_type="output") == 8 + 5


def test_an_exporter_says_which_process_it_is(exported: Collector) -> None:
    bodies = [body for path, body in exported.bodies if path == "/v1/traces"]
    (resource,) = ExportTraceServiceRequest.FromString(bodies[0]).resource_spans
    resource_attributes = attributes(resource.resource.attributes)
    assert (resource_attributes["service.version"], resource_attributes["service.instance.id"]) == (
        VERSION,
        f"{BOOT:016x}",
    )
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("clauseway.gateway", VERSION)


@pytest.mark.parametrize(
    ("status_code", "body", "why", "not_taken"),
    [
        (400, b"", "answered 400; port 4317 is mostly for OTLP over gRPC, 4318 for OTLP over HTTP", 3),
        # Of the requests of an export no more than there were, though each has several spans.
        (200, REJECTED.SerializeToString(), "rejected 2: too old; port 4317", 1 + 2),
    ],
)
def test_what_was_not_taken_is_counted_by_requests_and_told(
    status_code: int, body: bytes, why: str, not_taken: int, tmp_path: Path
) -> None:
    """Three requests come while the first is exported, and two may wait. No line tells a password."""
    collector = Collector()
    collector.status, collector.body = status_code, body
    exporting_first, go_on = threading.Event(), threading.Event()

    def knows(_: str) -> bool:
        exporting_first.set()
        return go_on.wait(PATIENCE_S)

    async def dropped() -> int:
        loop = asyncio.get_running_loop()
        lines = LogQueue(Log(form="json", file=str(tmp_path / "log")), loop, io.BytesIO())
        endpoint = f"{collector.url.replace('//', '//user:password@')}/:4317"
        watcher = TelemetryWatcher(Telemetry(otlp_endpoint=endpoint, queue=2), BOOT, loop, lines, knows)
        watcher.finished(1, explained(candidate=FIRST), 1000, b"")
        ending = loop.run_in_executor(None, end, watcher)
        await loop.run_in_executor(None, exporting_first.wait)
        for number in (2, 3, 4):
            watcher.finished(number, explained(candidate=FIRST), 1000, b"")
        go_on.set()
        await ending
        lines.close()
        return watcher.dropped

    assert asyncio.run(dropped()) == not_taken + 1
    lines = [msgspec.json.decode(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    spans = [line for line in lines if line["signal"] == "spans"]
    assert why in spans[0]["why"]
    assert lines[-1]["dropped"] == not_taken + 1
    assert {line["endpoint"] for line in lines} == {f"127.0.0.1:{collector.server_address[1]}/:4317"}
    collector.shutdown()
