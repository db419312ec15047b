"""One gateway for many scenes: each scene has deployments of its own, so that nothing of the last one is remembered."""

import contextlib
import itertools
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from gateway_rig import (
    ANSWER,
    AUTHORIZED,
    DONE_EVENT,
    MESSAGES,
    PATIENCE_S,
    PRODUCT,
    USAGE_EVENT,
    Behaviour,
    Cloud,
    Connection,
    ReadsBroken,
    Received,
    Rig,
    chunk_event,
    compact,
    content_events,
    well,
)

from awaiting import eventually
from clauseway.gateway.plan import Epoch, Policy, Prices, Route
from clauseway.gateway.plan.limits import Limits
from clauseway.gateway.plan.settings import Settings, Telemetry
from clauseway.metering import Deployment, UsageRecord

# Many scenes of failures in one process must not use up its retries.
PATIENT = Settings(limits=Limits(retries=10_000), telemetry=Telemetry(metrics=True, metrics_port=0))
# For a deployment that falls silent: time enough for the one behind it to answer, which has no more.
SILENCE_S = 2.0
# More than any test has at once. Each cloud listens with a descriptor, and a module has a thousand scenes.
SCENES_MAX = 8
TABLE_GATEWAY = str(Path(__file__).with_name("table_gateway.py"))
RESPONSE_USAGE = {"input_tokens": 21, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 8}
RESPONSE = compact(
    {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "output": [],
        "usage": RESPONSE_USAGE,
        "store": False,
    }
)


def typed(kind: str, number: int, **members: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind, "sequence_number": number, **members}))


RESPONSE_PREAMBLE = typed("response.created", 0, response={"id": "resp_1", "status": "in_progress"})
RESPONSE_DELTAS = [typed("response.output_text.delta", number + 1, delta=word) for number, word in enumerate("abc")]
RESPONSE_END = typed("response.completed", 4, response={"id": "resp_1", "status": "completed", "usage": RESPONSE_USAGE})


class Call(NamedTuple):
    """One kind of request: chat or responses, streamed or not."""

    path: str
    stream: bool

    @property
    def is_chat(self) -> bool:
        return self.path.endswith("completions")

    def body(self, model: str, **members: object) -> dict[str, object]:
        asked: dict[str, object] = {"messages": MESSAGES} if self.is_chat else {"input": "Hello.", "store": False}
        return {"model": model, **asked, "stream": self.stream, **members}

    def ends_well(self, text: str) -> bool:
        """Return whether a stream ends as a whole one does."""
        return text.endswith(DONE_EVENT.decode()) if self.is_chat else "event: response.completed" in text


CALLS = {
    "chat": Call("/v1/chat/completions", False),
    "chat stream": Call("/v1/chat/completions", True),
    "responses": Call("/v1/responses", False),
    "responses stream": Call("/v1/responses", True),
}


async def answering(connection: Connection, request: Received) -> None:
    """A whole answer to either kind of request."""
    if b"/responses" not in request.head.partition(b"\r\n")[0]:
        await well(connection, request)
    elif not request.json.get("stream"):
        connection.answer(200, RESPONSE)
    else:
        connection.begin_stream()
        for event in (RESPONSE_PREAMBLE, *RESPONSE_DELTAS, RESPONSE_END):
            connection.piece(event)
        connection.end_stream()


def events_of(request: Received) -> tuple[bytes, list[bytes], bytes]:
    """(what announces, what brings content, the end) of the stream that a request asks for."""
    if b"/responses" in request.head.partition(b"\r\n")[0]:
        return RESPONSE_PREAMBLE, RESPONSE_DELTAS, RESPONSE_END
    role, *words = content_events(with_nulls=True)
    return chunk_event([], prompt_filter_results=[]) + role, words, USAGE_EVENT + DONE_EVENT


def whole_of(request: Received) -> bytes:
    """The whole answer that a request asks for, not streamed."""
    return RESPONSE if b"/responses" in request.head.partition(b"\r\n")[0] else ANSWER


def error_event_of(request: Received) -> bytes:
    if b"/responses" in request.head.partition(b"\r\n")[0]:
        return typed("error", 1, code="server_error", message="sorry", param=None)
    return b'data: {"error":{"message":"no_capacity","code":"no_capacity"}}\n\n'


def failing_after(words: int, then: str) -> Behaviour:
    """A 200 that fails: its stream after its announcements and so many words, a whole answer in its middle. `then` is
    `error`, `cut` or `stall`."""

    async def behave(connection: Connection, request: Received) -> None:
        if request.json.get("stream"):
            announcing, content, _ = events_of(request)
            connection.begin_stream()
            connection.piece(announcing + b"".join(content[:words]))
        else:
            whole = whole_of(request)
            connection.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(whole) + whole[:50])
        await connection.apart()
        if then == "stall":
            await connection.left()
        elif then == "error" and request.json.get("stream"):
            connection.piece(error_event_of(request))
            connection.end_stream()
        else:
            connection.drop()

    return behave


class Scene(NamedTuple):
    """Some deployments, first to last."""

    stage: "Stage"
    model: str
    clouds: list[Cloud]

    def ask(
        self, call: Call = CALLS["chat"], headers: dict[str, str] | None = None, **members: object
    ) -> httpx.Response:
        return self.stage.http.post(
            self.stage.rig.url + call.path, json=call.body(self.model, **members), headers=AUTHORIZED | (headers or {})
        )

    @property
    def asked(self) -> list[int]:
        """How often each deployment was asked."""
        return [len(cloud.requests) for cloud in self.clouds]

    def records(self) -> list[UsageRecord]:
        return [record for record, where in self._entries()]

    def outcomes(self) -> list[tuple[int, str, int]]:
        """(which deployment, how it ended, HTTP status) of each record."""
        return [(int(where.region), record.status.name, record.http_status) for record, where in self._entries()]

    def _entries(self) -> list[tuple[UsageRecord, Deployment]]:
        entries = [(record, where) for record, _, where, _ in self.stage.rig.entries()]
        return [(record, where) for record, where in entries if where.deployment.startswith(f"{self.model}-at-")]

    def wait_for_outcomes(self, count: int) -> list[tuple[int, str, int]]:
        """Wait until so many attempts are recorded; return their outcomes."""
        eventually(lambda: len(self.outcomes()) >= count)
        return self.outcomes()


class Stage:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        # One client for all: to make one costs more than most scenes.
        self.http = httpx.Client(transport=ReadsBroken(), timeout=PATIENCE_S)
        self._numbers = itertools.count()
        self._scenes: deque[Scene] = deque()

    def start(self, launcher: Sequence[str] = (TABLE_GATEWAY,)) -> None:
        self.rig.start(self.rig.plan(settings=PATIENT), launcher=launcher)

    def scene(
        self, *behaviours: Behaviour | None, on_leave: str = "cancel", prices: tuple[Prices, ...] = (), **changes: Any
    ) -> Scene:
        """Deployments that behave so, in order of preference; None is one where nobody listens."""
        if len(self._scenes) == SCENES_MAX:
            for cloud in self._scenes.popleft().clouds:
                cloud.close()
        rig, model = self.rig, f"model-{next(self._numbers):05d}"
        clouds, targets = [], []
        for number, behaviour in enumerate(behaviours):
            # On a port of its own: a connection that was kept from another scene would be tried first.
            cloud = rig.cloud(f"cloud{number}", behaviour or well)
            clouds.append(cloud)
            label = Deployment(f"{model}-at-{number}", cloud.name, "openai", str(number), PRODUCT, "named-there")
            port = cloud.port if behaviour is not None else rig.closed_port
            targets.append(rig.target(cloud.name, port, label=label, prices=prices))
        routes = {f"openai|{PRODUCT}|direct": Route(candidates=tuple((at, 0) for at in range(len(targets))))}
        plan = rig.plan(
            targets,
            models={model: PRODUCT},
            epochs=(Epoch(begin_ns=0, routes=routes),),
            policies=(Policy(on_leave=on_leave),),
            **{"attempt_timeout_s": PATIENCE_S, "settings": PATIENT, **changes},
        )
        rig.write_plan(plan)
        assert rig.process is not None
        rig.process.send_signal(signal.SIGHUP)
        eventually(lambda: model in self.http.get(f"{rig.url}/v1/models", headers=AUTHORIZED).text)
        made = Scene(self, model, clouds)
        self._scenes.append(made)
        return made


@contextlib.contextmanager
def staged(home: Path) -> Iterator[Stage]:
    """A gateway whose every request has come to an end, and every attempt to one record, when it stops."""
    with Rig(home) as rig:
        started = Stage(rig)
        started.start()
        yield started
        eventually(lambda: rig.counts()["open"] == 0)
        rig.stop()
        ended = [(record.request, record.attempt) for record in rig.records()]
        assert sorted(ended) == sorted({(intent.request, intent.attempt) for intent in rig.intents()})
        assert "Traceback" not in rig.errors()
