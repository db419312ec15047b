"""The replay: planned requests sent as a client would, in the order of business time, and what the
client saw of each.

With a simulated clock, each request's instant is written to the clock as the request is issued, and
no UTC midnight is crossed before all that was issued has been answered: what governs changes at
midnight, so the outcomes do not depend on how fast anything is. Without a clock the same requests
are sent as they are.

Nothing is retried and nothing swallowed: an answer is *served*, *refused* (by the agreement, with
its clause) or *failed*, and a failure has a name.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from clauseway.sandbox.traffic.clock import SimulatedClock
from clauseway.sandbox.traffic.replay_connection import (
    GatewayAddress,
    ReplayAnswer,
    ReplayConnection,
)
from clauseway.sandbox.traffic.traffic import PlannedRequest, prompt_text
from clauseway.values import DAY_NS

# Enough to keep a gateway busy and few enough that a laptop's loopback is not the measure.
CONCURRENCY: Final = 32
# Progress is reported every so many answers, and after the last.
_PROGRESS_EVERY = 32
ANY_CLOUD: Final = "any"
_REFUSED_CODE = "forbidden_by_agreement"


class ReplayedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the client saw it.

    `status` is 0 where no answer came. `cloud` is who served it, or for a refusal the cloud asked
    for (`any` without one). `code` and `message` are the refusal's or the failure's. Tokens are the
    cloud's report as it reached the client; where `usage_reported` is false (a stream that did not
    ask for it) they are 0. `completion_words` counts the words of the text received, which in the
    sandbox are its tokens.
    """

    index: int
    event_ns: int
    kind: str
    status: int
    cloud: str
    code: str = ""
    message: str = ""
    usage_reported: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    completion_words: int = 0
    request_id: str = ""
    latency_us: int = 0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a replay.

    Counts are by cloud, of failures by code; `business_ns` is the latest instant issued.
    """

    done: int
    total: int
    business_ns: int
    served: Mapping[str, int]
    refused: Mapping[str, int]
    failed: Mapping[str, int]


class ReplayReport(msgspec.Struct, frozen=True, kw_only=True):
    """A finished replay: every outcome in the order of the plan, and the last progress."""

    outcomes: tuple[ReplayedRequest, ...]
    progress: Progress
    seconds: float

    @property
    def failures(self) -> dict[str, str]:
        """Return the first message of each way of failing, by its code."""
        messages: dict[str, str] = {}
        for outcome in self.outcomes:
            if outcome.kind == "failed":
                messages.setdefault(outcome.code, outcome.message)
        return messages


class _Seen(msgspec.Struct):
    """The part of an answer that was read so far."""

    text: list[str]
    usage: dict[str, Any]
    problem: tuple[str, str] = ("", "")
    done: bool = False


async def replay(
    base_url: str,
    keys: Mapping[str, str],
    planned: Sequence[PlannedRequest],
    *,
    clock: SimulatedClock | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    concurrency: int = CONCURRENCY,
    certificate: Path | None = None,
) -> ReplayReport:
    """Send `planned` (in order of `event_ns`) to the OpenAI-compatible `base_url` (it ends in
    `/v1`). Raise InvalidInput where that is not an address.

    `keys` holds the secret of each buyer that the plan names. At most `concurrency` requests are
    open at once. `certificate` is the file of what a gateway with TLS is shown. Proxies named in the
    environment are not used.
    """
    strangers = {request.buyer for request in planned} - set(keys)
    assert not strangers, f"the plan names buyers without a key: {sorted(strangers)}"
    address = GatewayAddress.of(base_url, certificate)
    places = [ReplayConnection(address) for _ in range(concurrency)]
    try:
        return await _Replay(places, address, keys, planned, on_progress).send_all(clock)
    finally:
        for place in places:
            place.close()


class _Replay:
    """A running replay. A place is a connection that waits for a request; a request under way has
    taken one."""

    def __init__(
        self,
        places: Sequence[ReplayConnection],
        address: GatewayAddress,
        keys: Mapping[str, str],
        planned: Sequence[PlannedRequest],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._places: asyncio.Queue[ReplayConnection] = asyncio.Queue()
        for place in places:
            self._places.put_nowait(place)
        self._concurrency = len(places)
        self._address = address
        self._keys = keys
        self._planned = planned
        self._on_progress = on_progress
        self._outcomes: list[ReplayedRequest] = []
        self._business_ns = planned[0].event_ns if planned else 0
        self._counts: dict[str, Counter[str]] = {
            "served": Counter(),
            "refused": Counter(),
            "failed": Counter(),
        }

    async def send_all(self, clock: SimulatedClock | None) -> ReplayReport:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for request in self._planned:
                if clock is not None and request.event_ns // DAY_NS != self._business_ns // DAY_NS:
                    await self._all_answered()
                # Waits for a free place before the clock moves.
                place = await self._places.get()
                self._business_ns = request.event_ns
                if clock is not None:
                    clock.set(request.event_ns)
                tasks.create_task(self._send(request, place))
        progress = self._progress()
        self._on_progress(progress)
        outcomes = tuple(sorted(self._outcomes, key=lambda outcome: outcome.index))
        return ReplayReport(
            outcomes=outcomes, progress=progress, seconds=time.perf_counter() - began
        )

    async def _all_answered(self) -> None:
        """Wait until every place is free, that is, until nothing is under way."""
        places = [await self._places.get() for _ in range(self._concurrency)]
        for place in places:
            self._places.put_nowait(place)

    async def _send(self, request: PlannedRequest, place: ReplayConnection) -> None:
        began = time.perf_counter_ns()
        try:
            answer = await place.ask(self._written(request))
        finally:
            self._places.put_nowait(place)
        outcome = _outcome(request, answer, (time.perf_counter_ns() - began) // 1_000)
        self._outcomes.append(outcome)
        self._counts[outcome.kind][outcome.code if outcome.kind == "failed" else outcome.cloud] += 1
        if len(self._outcomes) % _PROGRESS_EVERY == 0 and len(self._outcomes) < len(self._planned):
            self._on_progress(self._progress())

    def _written(self, request: PlannedRequest) -> bytes:
        """Return the bytes of a whole request."""
        body = _body(request)
        asked = f"x-clauseway-cloud: {request.cloud}\r\n" if request.cloud else ""
        head = (
            f"POST {self._address.path}/chat/completions HTTP/1.1\r\n"
            f"host: {self._address.authority}\r\n"
            f"authorization: Bearer {self._keys[request.buyer]}\r\n"
            "content-type: application/json\r\n"
            f"{asked}content-length: {len(body)}\r\n\r\n"
        )
        return head.encode("latin-1") + body

    def _progress(self) -> Progress:
        counts = {kind: dict(counter) for kind, counter in self._counts.items()}
        return Progress(
            done=len(self._outcomes),
            total=len(self._planned),
            business_ns=self._business_ns,
            served=counts["served"],
            refused=counts["refused"],
            failed=counts["failed"],
        )


def _asks_usage(request: PlannedRequest) -> bool:
    """Return whether a stream asks for its usage: every other one does, so that both ways of
    streaming are exercised."""
    return request.streamed and request.index // 3 % 2 == 0


def _body(request: PlannedRequest) -> bytes:
    body: dict[str, object] = {
        "model": request.model,
        "messages": [{"role": "user", "content": prompt_text(request.prompt_tokens)}],
        "max_completion_tokens": request.completion_tokens,
    }
    if request.streamed:
        body["stream"] = True
    if _asks_usage(request):
        body["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(body)


def _read_whole(status: int, body: bytes, seen: _Seen) -> None:
    try:
        answer = msgspec.json.decode(body)
        if status == 200:
            seen.text.append(answer["choices"][0]["message"]["content"])
            seen.usage = answer["usage"]
            seen.done = True
        else:
            error = answer["error"]
            seen.problem = (str(error.get("code") or status), str(error["message"]))
    except (msgspec.DecodeError, KeyError, IndexError, TypeError):
        seen.problem = (f"unreadable_{status}", body[:200].decode("utf-8", "replace"))


def _read_stream(body: bytes, seen: _Seen, *, usage_asked: bool) -> None:
    """Read a stream as OpenAI's SDK would; `seen.problem` names what a careful client would
    complain about."""
    for data in _events(body):
        if data == b"[DONE]":
            seen.done = True
            continue
        try:
            chunk = msgspec.json.decode(data)
            if "error" in chunk:
                error = chunk["error"]
                seen.problem = (
                    str(error.get("code") or "error_in_stream"),
                    str(error.get("message")),
                )
            # A gateway may ask for usage itself; a client that did not must not see it.
            elif "usage" in chunk and not usage_asked:
                seen.problem = (
                    "usage_not_asked_for",
                    "a chunk has `usage` though the request did not ask for it",
                )
            else:
                seen.usage = chunk.get("usage") or seen.usage
                seen.text += [choice["delta"].get("content") or "" for choice in chunk["choices"]]
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
            seen.problem = ("unreadable_event", data[:200].decode("utf-8", "replace"))
    if not seen.done and not seen.problem[0]:
        seen.problem = ("stream_without_end", "the stream ended without [DONE]")
    if usage_asked and not seen.usage and not seen.problem[0]:
        seen.problem = ("usage_missing", "the stream asked for its usage and ended without it")


def _events(body: bytes) -> Iterator[bytes]:
    """Yield the data of each whole event.

    OpenAI's events are one `data:` line each, ended by an empty line.
    """
    *whole, _ = body.split(b"\n\n")
    for event in whole:
        if event.startswith(b"data: "):
            yield event[6:]


def _outcome(request: PlannedRequest, answer: ReplayAnswer, latency_us: int) -> ReplayedRequest:
    seen = _Seen([], {})
    if answer.status == 200 and request.streamed:
        _read_stream(answer.body, seen, usage_asked=_asks_usage(request))
    elif not answer.failure[0]:
        _read_whole(answer.status, answer.body, seen)
    if answer.failure[0]:
        seen.problem = answer.failure
    code, message = seen.problem
    kind = "refused" if code == _REFUSED_CODE else "failed" if code else "served"
    asked = request.cloud or ANY_CLOUD
    return ReplayedRequest(
        index=request.index,
        event_ns=request.event_ns,
        kind=kind,
        status=answer.status,
        cloud=asked if kind == "refused" else answer.header(b"x-clauseway-cloud"),
        code=code,
        message=message,
        usage_reported=bool(seen.usage),
        prompt_tokens=seen.usage.get("prompt_tokens", 0),
        completion_tokens=seen.usage.get("completion_tokens", 0),
        completion_words=len("".join(seen.text).split()),
        request_id=answer.header(b"x-clauseway-request-id"),
        latency_us=latency_us,
    )
