"""The connection to a collector, which keeps what its answers say.

OpenTelemetry's library logs why an export failed and takes two answers for success that are none: a
redirect, and a success that says that some of what was sent was rejected.
"""

import os
from typing import Any

import requests
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

_WHY_CHARACTERS_MAX = 200  # a collector may answer any text

# By these variables OpenTelemetry's library takes sessions from another library, which sign in.
_GIVEN_BY = tuple(
    f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{kind}CREDENTIAL_PROVIDER"
    for kind in ("", "TRACES_", "METRICS_")
)


class CollectorSession(requests.Session):
    """A session of one exporter, used by one thread. `problem` says why the latest export was not
    taken, or not all of it; empty if it was. `rejected` counts the spans or points that the
    collector did not take of it."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()

    def begin(self) -> None:
        """Forget the export before."""
        self.problem, self.rejected = "", 0

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        try:
            response = super().send(request, **options)
        except requests.RequestException as error:
            self.problem = _cause_of(error)
            raise
        if 300 <= response.status_code < 400:
            self.problem = f"answered {response.status_code}, which leads to another address"
            raise requests.RequestException(self.problem)
        if response.status_code >= 400:
            self.problem = f"answered {response.status_code}"
        else:
            self.problem = self._rejection(response)
        return response

    def _rejection(self, response: requests.Response) -> str:
        """Return what a collector says of spans or points that it did not take; empty if it took
        all."""
        is_trace = (response.request.path_url or "").endswith("/v1/traces")
        answer = ExportTraceServiceResponse() if is_trace else ExportMetricsServiceResponse()
        try:
            answer.ParseFromString(response.content)
        except DecodeError:
            return ""  # no protobuf: some answer with a word
        partial = answer.partial_success
        self.rejected = partial.rejected_spans if is_trace else partial.rejected_data_points
        if not self.rejected:
            return ""
        return f"rejected {self.rejected:,}: {_brief(partial.error_message)}"


def own_unless_given(session: CollectorSession) -> CollectorSession | None:
    """Return the session, unless the environment names a library whose sessions sign in."""
    return None if any(os.environ.get(name) for name in _GIVEN_BY) else session


def _cause_of(error: BaseException) -> str:
    """Return what was met first: the library's own text is about its pools and retries."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _brief(f"{type(error).__name__}: {error}")


def _brief(text: str) -> str:
    return text if len(text) <= _WHY_CHARACTERS_MAX else f"{text[:_WHY_CHARACTERS_MAX]}…"
