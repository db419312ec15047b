"""Log events, and an access log with a line for some or all requests; as JSON, or as text on a
terminal.

    {"time": "2026-11-20T12:00:00.000Z", "level": "info", "event": "plan reloaded", "deployments": 4}

Nobody waits for a line: it is put in a queue, and a thread writes what has gathered. A queue that
is full loses the line and counts it; the next line that is written says how many were lost. Lines
hold names and figures that we made ourselves: never a secret, a prompt, an answer, or a cloud's
words about them.
"""

import os
import queue
import random
import threading
import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Final, NamedTuple

import msgspec

from clauseway.gateway.plan.settings import Log as LogSettings
from clauseway.gateway.request.explanations import RequestExplanation
from clauseway.metering import RequestId

UNKNOWN = "(unknown)"
# An error keeps something from being served, recorded or replaced until somebody acts; a warning
# may come to that. Every other event is `info`, requests included: a status is not an event's level.
LEVELS: Final[Mapping[str, str]] = {
    "plan refused": "error",
    "certificate refused": "error",
    "authorities refused": "error",
    "credential problem": "error",
    "database away": "error",
    "identifiers not kept": "error",
    "journal failed": "error",
    "journal full": "error",
    "journal hangs": "error",
    "budget short": "warning",
    "clock differs": "warning",
    "deployment ejected": "warning",
    "few descriptors": "warning",
    "journal copy away": "warning",
    "journal short of room": "warning",
    "limit reached": "warning",
    "lines dropped": "warning",
    "refused requests not kept": "warning",
    "restart needed": "warning",
    "telemetry not taken": "warning",
    "usage omitted": "warning",
}
_GATHER_S = (
    0.1  # lines are written together: waking a thread for each would cost more than the line
)
# While the thread makes lines the event loop waits: a third of a millisecond for so many.
_BATCH_LINES = 32
_CLOSE_S = 2.0  # for what has gathered, when the process stops


class LogLine(NamedTuple):
    """Something that happened. `time_ns` is since 1970; `facts` are names and figures."""

    time_ns: int
    event: str
    facts: Mapping[str, object]


class LogQueue:
    """The queue, and the thread behind it."""

    def __init__(
        self,
        settings: LogSettings,
        loop: AbstractEventLoop,
        standard_error: IO[bytes],
        worker: str = "",
    ) -> None:
        """Each line names the `worker`, where several write one log. Raises OSError where the file
        cannot be opened."""
        self._always: Mapping[str, object] = {"worker": worker} if worker else {}
        self._settings = settings
        self._loop = loop
        self._file = _opened(settings.file) if settings.file else standard_error
        terminal = self._file.isatty()
        if settings.form == "text" or (settings.form == "auto" and terminal):
            self._form = as_colours if terminal else as_text
        else:
            self._form = as_json
        self._gathered: list[Callable[[], LogLine]] = []
        self._timer: TimerHandle | None = None
        self._batches: queue.SimpleQueue[list[Callable[[], LogLine]] | None] = queue.SimpleQueue()
        # Each is changed by one thread only: the difference is what waits.
        self._put = self._written = 0
        self.dropped = 0
        self._reported_dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def event(self, event: str, **facts: object) -> None:
        """Write an event. Lines about requests go through `later`."""
        line = LogLine(time.time_ns(), event, facts)
        self.later(lambda: line)

    def later(self, line: Callable[[], LogLine]) -> None:
        """Write the line that `line` returns, which is called in the thread that writes."""
        if self._put - self._written >= self._settings.queue:
            self.dropped += 1
            return
        self._put += 1
        self._gathered.append(line)
        if len(self._gathered) >= _BATCH_LINES:
            self._hand_over()
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER_S, self._timer_fired)

    def close(self) -> None:
        """Write what has gathered, for two seconds at most."""
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()
        self._batches.put(None)
        self._thread.join(_CLOSE_S)

    def _timer_fired(self) -> None:
        self._timer = None
        self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered:
            self._batches.put(self._gathered)
            self._gathered = []

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._write(batch)
            self._written += len(batch)

    def _write(self, batch: list[Callable[[], LogLine]]) -> None:
        lines = [line() for line in batch]
        dropped = self.dropped
        if dropped != self._reported_dropped:
            lines.append(
                LogLine(
                    time.time_ns(), "lines dropped", {"lines": dropped - self._reported_dropped}
                )
            )
            self._reported_dropped = dropped
        if self._always:
            lines = [line._replace(facts={**self._always, **line.facts}) for line in lines]
        data = memoryview(b"".join(map(self._form, lines)))
        try:
            self._follow()
            while data:
                data = data[os.write(self._file.fileno(), data) :]
        except OSError:
            self.dropped += len(batch)  # a disk that is full is no reason to serve nothing

    def _follow(self) -> None:
        """Where the file was moved away (logrotate does that), go on in a new one of its name."""
        path = self._settings.file
        if path and (
            not os.path.exists(path)
            or not os.path.samestat(os.stat(path), os.fstat(self._file.fileno()))
        ):
            moved, self._file = self._file, _opened(path)
            moved.close()


class AccessLog:
    """A line for some or all requests that are over. Those that are sampled are chosen at random,
    so that no pattern of clients hides from it. `knows` says whether a model's name is one of ours:
    clients may write anything there."""

    def __init__(
        self, lines: LogQueue, share: float, boot: int, knows: Callable[[str], bool]
    ) -> None:
        self._lines = lines
        self._knows = knows
        self.share = share
        self._boot = boot

    def finished(
        self, number: int, explanation: RequestExplanation, duration_us: int, _forwarded: bytes
    ) -> None:
        if self.share >= 1.0 or random.random() < self.share:
            time_ns = time.time_ns()
            self._lines.later(
                lambda: LogLine(time_ns, "request", self._facts(number, explanation, duration_us))
            )

    def _facts(
        self, number: int, explanation: RequestExplanation, duration_us: int
    ) -> dict[str, object]:
        buyer, candidate = explanation.buyer, explanation.candidate
        return {
            "request": str(RequestId(self._boot, number)),
            "operation": explanation.operation,
            "model": model_of(explanation, self._knows),
            "status": explanation.status,
            "cloud": candidate.target.cloud if candidate is not None else "",
            "deployment": candidate.target.name if candidate is not None else "",
            "decision": candidate.decision if candidate is not None else "",
            "failed": [f"{failed.deployment} {failed.status}" for failed in explanation.attempted],
            "skipped": len(explanation.skipped),
            "duration_ms": duration_us / 1000,
            "organisation": buyer.organisation,
            "project": buyer.project,
            "key": buyer.key_id,
            "usage": {unit.column: count for unit, count in explanation.units},
        }


def model_of(explanation: RequestExplanation, knows: Callable[[str], bool]) -> str:
    """Return the name of the model that was asked for, unless it is a client's own text, which may
    be anything. A name that had candidates was known, whether or not the present plan knows it."""
    model = explanation.model
    return model if not model or explanation.candidates or knows(model) else UNKNOWN


def _opened(path: str) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return open(descriptor, "ab", buffering=0)


def level_of(event: str) -> str:
    return LEVELS.get(event, "info")


def as_json(line: LogLine) -> bytes:
    level = level_of(line.event)
    members = {"time": _time(line.time_ns), "level": level, "event": line.event, **line.facts}
    return msgspec.json.encode(members) + b"\n"


def as_text(line: LogLine) -> bytes:
    """Return a line as text: `12:00:00.123 plan reloaded  deployments=4`; a level above `info` stands
    before the event."""
    return _text(line, _with_level(line.event))


def as_colours(line: LogLine) -> bytes:
    """Return a line as text for a terminal, with the event in bold."""
    return _text(line, f"\033[1m{_with_level(line.event)}\033[0m")


def _with_level(event: str) -> str:
    level = LEVELS.get(event)
    return f"{level}: {event}" if level else event


def _text(line: LogLine, event: str) -> bytes:
    facts = " ".join(f"{name}={_shown(value)}" for name, value in line.facts.items())
    return f"{_time(line.time_ns)[11:23]} {event}  {facts}".rstrip().encode() + b"\n"


def _shown(value: object) -> str:
    return (
        value
        if isinstance(value, str) and value.isprintable() and value
        else msgspec.json.encode(value).decode()
    )


def _time(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
