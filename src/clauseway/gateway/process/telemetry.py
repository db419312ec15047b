"""OpenTelemetry: spans and metrics of finished requests, by the semantic conventions for generative
AI.

On a request's way nothing is done but to put what is known anyway into a bounded queue. A thread
makes spans of it and exports them with the SDK's own exporter (OTLP over HTTP); what finds the
queue full is dropped and counted. A request is a span of kind SERVER that continues the client's
trace, each attempt at a cloud one of kind CLIENT under it. Attempts are placed one after the other,
which is not exact where a hedge ran beside another.

Never a prompt or an answer: names, figures, statuses. Loaded only where it is switched on (the
extra `telemetry`).
"""

import contextlib
import logging
import random
import threading
import time
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from clauseway.gateway.clouds import DIALECTS
from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.plan.settings import Telemetry as TelemetrySettings
from clauseway.gateway.process.collector_session import CollectorSession, own_unless_given
from clauseway.gateway.process.logs import LogQueue, model_of
from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.gateway.routing.targets import CallTarget
from clauseway.gateway.wire.operations import OPERATIONS, OWN_REQUESTS, OWN_USAGE, Operation
from clauseway.metering import RequestId, Unit
from clauseway.values import VERSION

_EVERY_S = 1.0
_EXPORT_S = 5.0  # a collector that takes longer is down; meanwhile the queue fills
_METRICS_EVERY_MS = 10_000
_CLOSE_S = 3.0
_UNKNOWN = "its library does not say why"
_STOPPED = "the gateway stopped before the collector took all"
_GRPC_PORT = ":4317"
_GRPC_HINT = "; port 4317 is mostly for OTLP over gRPC, 4318 for OTLP over HTTP"
_BATCH_MAX = 500
_TRACE_CONTEXT = TraceContextTextMapPropagator()
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# The conventions' names; an operation that they do not name keeps ours.
_OPERATIONS = {
    "chat": "chat",
    "completions": "text_completion",
    "messages": "chat",
    "responses": "chat",
    "embeddings": "embeddings",
}
_USAGE = {
    Unit.INPUT_TOKENS: "gen_ai.usage.input_tokens",
    Unit.OUTPUT_TOKENS: "gen_ai.usage.output_tokens",
    Unit.CACHED_INPUT_TOKENS: "gen_ai.usage.cache_read.input_tokens",
    Unit.CACHE_WRITE_TOKENS: "gen_ai.usage.cache_creation.input_tokens",
    Unit.REASONING_TOKENS: "gen_ai.usage.reasoning.output_tokens",
}
# Names of the same attributes in the conventions before 1.37, and before 1.27: those who read spans
# have yet to learn the new names.
_FORMER_NAMES = {
    "gen_ai.provider.name": "gen_ai.system",
    "gen_ai.usage.input_tokens": "gen_ai.usage.prompt_tokens",
    "gen_ai.usage.output_tokens": "gen_ai.usage.completion_tokens",
}
_FORMER_PROVIDERS = {"azure.ai.openai": "az.ai.openai", "gcp.vertex_ai": "vertex_ai"}
# The conventions require a provider: of what no cloud answered it is the gateway itself.
_ANSWERED_HERE = "clauseway"
_TOKEN_TYPES = {Unit.INPUT_TOKENS: "input", Unit.OUTPUT_TOKENS: "output"}
# As the conventions advise.
_TOKEN_BOUNDS = tuple(4**power for power in range(14))
_DURATION_BOUNDS = tuple(0.01 * 2**power for power in range(14))
_Attributes = dict[str, str | bool | int | float]
_MODEL_CHARACTERS_MAX = 256  # a cloud may write anything there


class _Finished(NamedTuple):
    number: int
    explanation: RequestExplanation
    end_ns: int
    duration_us: int
    forwarded: bytes


class TelemetryWatcher:
    """A `shared.Watcher`. It makes spans of a `share` of the requests. `knows` tells the names of the
    present plan's models, because clients may write anything there. `scheme` is that of the port."""

    def __init__(
        self,
        settings: TelemetrySettings,
        boot: int,
        loop: AbstractEventLoop,
        lines: LogQueue,
        knows: Callable[[str], bool],
        scheme: str = "http",
    ) -> None:
        _quiet()
        self._settings, self._boot = settings, boot
        self.share = settings.spans
        self._scheme = scheme
        self._loop, self._lines, self._knows = loop, lines, knows
        self._named_as = _formerly_too if settings.former_names else _as_it_is
        self._queue: deque[_Finished] = deque()
        # Each is changed by one thread only.
        self._beyond_queue = self._not_taken = self._under_way = self._dropped_reported = 0
        self._closing = threading.Event()
        root = settings.otlp_endpoint.rstrip("/")
        self._spans_session = CollectorSession()
        self._spans_signal = _Signal("spans", self._tell)
        self._resource = Resource.create(
            {
                "service.name": settings.service_name,
                "service.version": VERSION,
                "service.instance.id": f"{boot:016x}",
            }
        )
        self._scope = InstrumentationScope("clauseway.gateway", VERSION)
        self._exporter = OTLPSpanExporter(
            endpoint=f"{root}/v1/traces",
            timeout=_EXPORT_S,
            session=own_unless_given(self._spans_session),
        )
        self._meters = MeterProvider(
            [
                PeriodicExportingMetricReader(
                    _MetricExporter(f"{root}/v1/metrics", _Signal("metrics", self._tell)),
                    export_interval_millis=_METRICS_EVERY_MS,
                )
            ],
            self._resource,
            # `close` ends it, within a bound; the SDK's exit handler would wait for a collector.
            shutdown_on_exit=False,
            views=[
                _bounded("gen_ai.client.operation.duration", _DURATION_BOUNDS),
                _bounded("gen_ai.client.operation.time_to_first_chunk", _DURATION_BOUNDS),
                _bounded("gen_ai.server.request.duration", _DURATION_BOUNDS),
                _bounded("gen_ai.client.token.usage", _TOKEN_BOUNDS),
            ],
        )
        meter = self._meters.get_meter("clauseway.gateway", VERSION)
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "Of attempts at clouds."
        )
        self._first_chunks = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Of streams, until their first content.",
        )
        self._requests = meter.create_histogram(
            "gen_ai.server.request.duration", "s", "Of requests to the gateway."
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "As the clouds reported them."
        )
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Return how many requests no collector took in time."""
        return self._beyond_queue + self._not_taken

    # -- on the loop

    def finished(
        self, number: int, explanation: RequestExplanation, duration_us: int, forwarded: bytes
    ) -> None:
        if len(self._queue) >= self._settings.queue:
            self._beyond_queue += 1
        else:
            self._queue.append(
                _Finished(number, explanation, time.time_ns(), duration_us, forwarded)
            )

    def close(self) -> None:
        """Export what has gathered, for some seconds at most; say if not all was taken. Blocks."""
        self._closing.set()
        self._thread.join(_CLOSE_S)
        self._not_taken += len(self._queue) + self._under_way
        if self.dropped != self._dropped_reported:
            self._log("telemetry not taken", signal="spans", why=_STOPPED)

    # -- in the thread

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_S):
            self._export_all()
        self._export_all()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        self._meters.shutdown(timeout_millis=_CLOSE_S * 1000)

    def _export_all(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_MAX))]
            self._under_way = len(batch)
            spans = [span for finished in batch for span in self._spans(finished)]
            if spans:
                self._export(spans, len(batch))
            self._under_way = 0

    def _export(self, spans: list[ReadableSpan], requests: int) -> None:
        """Export the spans of some requests; count what is not taken of them."""
        session = self._spans_session
        session.begin()
        if self._exporter.export(spans) is SpanExportResult.SUCCESS:
            self._not_taken += min(session.rejected, requests)
            self._spans_signal.note(session.problem)
        else:
            self._not_taken += requests
            self._spans_signal.note(session.problem or _UNKNOWN)

    def _tell(self, signal: str, why: str) -> None:
        """Say that a signal is not taken and why; that it is taken again, if `why` is empty."""
        event = "telemetry not taken" if why else "telemetry taken again"
        if why and self._settings.otlp_endpoint.endswith(_GRPC_PORT):
            why += _GRPC_HINT
        self._log(event, signal=signal, **({"why": why} if why else {}))

    def _log(self, event: str, **facts: object) -> None:
        """Have the loop write a line; called in other threads."""
        endpoint = self._settings.otlp_endpoint.rpartition("@")[2]

        def write() -> None:
            self._dropped_reported = self.dropped
            self._lines.event(event, endpoint=endpoint, **facts, dropped=self._dropped_reported)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads on
            self._loop.call_soon_threadsafe(write)

    def _spans(self, finished: _Finished) -> Iterator[ReadableSpan]:
        """Record the metrics of a request, and yield its spans if it is sampled: the request's own
        last."""
        explanation = finished.explanation
        model = model_of(explanation, self._knows)
        begin_ns = finished.end_ns - finished.duration_us * 1000
        # A client that is traced decides on sampling; else chance does.
        parent, sampled = _parent(finished.forwarded)
        if parent is None:
            sampled = random.random() < self.share
        trace = parent.trace_id if parent is not None else random.getrandbits(128) or 1
        own = _new_context(trace, parent)
        operation = _OPERATIONS.get(explanation.operation, explanation.operation)
        # Failed attempts first: each begins where the one before it ended.
        at_ns = begin_ns
        for failed in explanation.attempted:
            end_ns = min(at_ns + failed.duration_us * 1000, finished.end_ns)
            attributes = _failed(failed, operation, model, explanation)
            self._observe(self._durations, end_ns - at_ns, attributes)
            self._count_tokens(failed.units, attributes)
            attributes |= _usage(failed.units)
            if sampled:
                yield self._span(own, attributes, at_ns, end_ns)
            at_ns = end_ns
        candidate = explanation.candidate
        # The attempt that answered took the rest of the time.
        if candidate is not None:
            attributes = _of(candidate.target, operation, model, explanation)
            if not 200 <= explanation.status < 400:
                attributes["error.type"] = _error(explanation.status)
            self._observe(self._durations, finished.end_ns - at_ns, attributes)
            self._count_tokens(explanation.units, attributes)
            if explanation.streamed and explanation.first_content_us:
                first_us = explanation.first_content_us
                self._observe(self._first_chunks, first_us * 1000, attributes)
                attributes["gen_ai.response.time_to_first_chunk"] = first_us / 1e6
            attributes |= _usage(explanation.units)
            if sampled:
                yield self._span(own, attributes, at_ns, finished.end_ns)
        # The request itself, around all of them.
        attributes = self._request(finished, operation, model)
        self._observe(self._requests, finished.end_ns - begin_ns, attributes)
        if sampled:
            yield self._readable(
                f"{operation} {model}".rstrip(),
                own,
                parent,
                SpanKind.SERVER,
                attributes,
                begin_ns,
                finished.end_ns,
                failed=explanation.status >= 500,
            )

    def _observe(self, histogram: Histogram, duration_ns: int, attributes: _Attributes) -> None:
        histogram.record(duration_ns / 1e9, self._named_as(_measured(attributes)))

    def _count_tokens(self, units: Units, attributes: _Attributes) -> None:
        measured = self._named_as(_measured(attributes))
        # The conventions give it to durations alone.
        measured.pop("error.type", None)
        for unit, count in units:
            if unit in _TOKEN_TYPES:
                self._tokens.record(count, {**measured, "gen_ai.token.type": _TOKEN_TYPES[unit]})

    def _request(self, finished: _Finished, operation: str, model: str) -> _Attributes:
        explanation = finished.explanation
        buyer, candidate = explanation.buyer, explanation.candidate
        attributes: _Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _ANSWERED_HERE,
            "clauseway.request.id": str(RequestId(self._boot, finished.number)),
            "clauseway.organisation": buyer.organisation,
            "clauseway.project": buyer.project,
            "clauseway.attempts": len(explanation.attempted) + (candidate is not None),
            "url.scheme": self._scheme,
            **_ROUTES.get(explanation.operation, {}),
        }
        if explanation.status:
            attributes["http.response.status_code"] = explanation.status
        if model:
            attributes["gen_ai.request.model"] = model
        if explanation.streamed:
            attributes["gen_ai.request.stream"] = True
        if candidate is not None:
            attributes |= {
                "gen_ai.provider.name": DIALECTS[candidate.target.target.dialect].provider,
                "clauseway.decision": candidate.decision,
            }
            if model:
                attributes["gen_ai.response.model"] = _model_there(candidate.target, explanation)
            attributes |= _usage(explanation.units)
        # The conventions give `error.type` to failures only.
        if not 200 <= explanation.status < 400:
            attributes["error.type"] = _error(explanation.status)
        return attributes

    def _span(
        self, parent: SpanContext, attributes: _Attributes, begin_ns: int, end_ns: int
    ) -> ReadableSpan:
        own = _new_context(parent.trace_id, parent)
        name = f"{attributes['gen_ai.operation.name']} {attributes.get('gen_ai.request.model', '')}".rstrip()
        failed = "error.type" in attributes
        return self._readable(
            name, own, parent, SpanKind.CLIENT, attributes, begin_ns, end_ns, failed=failed
        )

    def _readable(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: _Attributes,
        begin_ns: int,
        end_ns: int,
        *,
        failed: bool,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            self._named_as(attributes),
            kind=kind,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=begin_ns,
            end_time=end_ns,
            instrumentation_scope=self._scope,
        )


def _new_context(trace: int, parent: SpanContext | None) -> SpanContext:
    """Return the context of a new span under another. Collectors read from `tracestate` of how many
    requests a sampled one stands."""
    return SpanContext(
        trace,
        random.getrandbits(64) or 1,
        is_remote=False,
        trace_flags=_SAMPLED,
        trace_state=parent.trace_state if parent is not None else None,
    )


class _Signal:
    """Spans or metrics: tells when the collector begins to take none, and when it takes them again."""

    def __init__(self, name: str, tell: Callable[[str, str], None]) -> None:
        self._name, self._tell = name, tell
        self._taken = True

    def note(self, problem: str) -> None:
        """Note an export; `problem` is empty if the collector took it."""
        if bool(problem) == self._taken:
            self._taken = not problem
            self._tell(self._name, problem)


class _MetricExporter(OTLPMetricExporter):
    """The SDK's exporter, which says what becomes of each export. Metrics are sums: those that were
    not taken are in the next export."""

    def __init__(self, endpoint: str, signal: _Signal) -> None:
        self._session, self._signal = CollectorSession(), signal
        super().__init__(
            endpoint=endpoint, timeout=_EXPORT_S, session=own_unless_given(self._session)
        )

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        self._session.begin()
        result = super().export(metrics_data, timeout_millis, **kwargs)
        taken = result is MetricExportResult.SUCCESS
        self._signal.note(self._session.problem or ("" if taken else _UNKNOWN))
        return result


def _of(
    target: CallTarget, operation: str, model: str, explanation: RequestExplanation
) -> _Attributes:
    attributes: _Attributes = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": DIALECTS[target.target.dialect].provider,
        "server.address": target.endpoint.host,
        "server.port": target.endpoint.port,
        "clauseway.cloud": target.cloud,
        "clauseway.seller": target.deployment.seller,
        "clauseway.region": target.deployment.region,
        "clauseway.deployment": target.name,
    }
    # No model works for files, conversations and lists.
    if model:
        attributes["gen_ai.request.model"] = model
        attributes["gen_ai.response.model"] = _model_there(target, explanation)
    if explanation.streamed:
        attributes["gen_ai.request.stream"] = True
    return attributes


def _model_there(target: CallTarget, explanation: RequestExplanation) -> str:
    """Return the model that the cloud says gave the answer; of an attempt without one, or where it
    does not say, the name under which the model was asked for there."""
    candidate = explanation.candidate
    if explanation.model_there and candidate is not None and candidate.target is target:
        return explanation.model_there[:_MODEL_CHARACTERS_MAX]
    return target.deployment.model


def _failed(
    failed: EndedAttempt, operation: str, model: str, explanation: RequestExplanation
) -> _Attributes:
    """Return the attributes of an attempt that failed: those of the candidate as it was, because
    the present plan may have another deployment of that name, or none."""
    attributes: _Attributes = {"gen_ai.operation.name": operation}
    for candidate in explanation.candidates:
        target = candidate.target
        if (target.name, target.product) == (failed.deployment, failed.product):
            attributes = _of(target, operation, model, explanation)
    return {
        **attributes,
        "error.type": _error_of(failed),
        "clauseway.outcome": failed.outcome,
    }


def _error_of(failed: EndedAttempt) -> str:
    """Return the kind of an attempt's failure. Its status says nothing where an answer that had begun
    well broke off, or was none."""
    if failed.called_off:
        return "called_off"
    if 200 <= failed.status < 300:
        return "broken_answer"
    return _error(failed.status, "unavailable")


def _usage(units: Units) -> _Attributes:
    return {_USAGE[unit]: count for unit, count in units if unit in _USAGE}


def _route(operation: Operation) -> _Attributes:
    path = operation.path.replace(b"%b", b"{id}").decode()
    return {
        "http.request.method": operation.method.decode(),
        "http.route": path if operation in _OWN else f"/v1{path}",
    }


# By operation: nothing is kept of a request for them. Its own path may name an identifier, or what a
# client wrote for a model, and its host is the client's word: neither is told.
_OWN: Final = (OWN_USAGE, OWN_REQUESTS)
_ROUTES: Final = {operation.name: _route(operation) for operation in (*OPERATIONS, *_OWN)}


_MEASURED = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "server.address",
    "server.port",
    "error.type",
)


def _measured(attributes: _Attributes) -> _Attributes:
    """Return the attributes that the conventions give to metrics: a request's own names would make
    a series of each."""
    return {name: attributes[name] for name in _MEASURED if name in attributes}


def _formerly_too(attributes: _Attributes) -> _Attributes:
    """Return the attributes with what the conventions called them before."""
    former = {
        before: attributes[name] for name, before in _FORMER_NAMES.items() if name in attributes
    }
    if provider := former.get("gen_ai.system"):
        former["gen_ai.system"] = _FORMER_PROVIDERS.get(str(provider), provider)
    return {**attributes, **former}


def _as_it_is(attributes: _Attributes) -> _Attributes:
    return attributes


def _error(status: int, without: str = "client_left") -> str:
    return str(status) if status else without


def _parent(forwarded: bytes) -> tuple[SpanContext | None, bool]:
    """Return the client's span by W3C's Trace Context, and whether it is sampled."""
    headers: dict[str, list[str]] = {}
    for line in forwarded.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        headers.setdefault(name.lower(), []).append(value)
    # Of two parents neither is known to be the right one.
    if len(headers.get("traceparent", ())) != 1:
        return None, False
    parent = get_current_span(_TRACE_CONTEXT.extract(headers)).get_span_context()
    return (parent, parent.trace_flags.sampled) if parent.is_valid else (None, False)


def _bounded(instrument: str, bounds: tuple[float, ...]) -> View:
    return View(instrument_name=instrument, aggregation=ExplicitBucketHistogramAggregation(bounds))


def _quiet() -> None:
    """Silence the SDK's own log, which would stand among our lines; what matters of it becomes an
    event."""
    log = logging.getLogger("opentelemetry")
    log.addHandler(logging.NullHandler())
    log.propagate = False
