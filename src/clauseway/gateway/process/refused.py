"""Requests that no cloud answered, kept in a file: which they were, whose, and why. The journal knows
what clouds were asked for, and this process forgets the rest after some thousand requests.

No request waits for it. The file is bounded: once it is full, it replaces the older file.
Where more requests are refused than can be kept, the others are counted, and the next line says how
many.
"""

import sys
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path

from clauseway.gateway.plan.settings import Log
from clauseway.gateway.process.logs import LogLine, LogQueue
from clauseway.gateway.request.explanations import RequestExplanation, as_json
from clauseway.metering import RequestId

# Two files of that size: some 30,000 requests at least.
FILE_BYTES_MAX = 8 << 20
# A flood of refused requests is no reason to write as many lines.
A_SECOND_MAX = 200
_LOOK_EVERY = 100


def older(file: Path) -> Path:
    """Return where a file lies once it was full."""
    return file.with_name(f"{file.stem}-before{file.suffix}")


class RefusedRequests:
    """A `shared.Watcher` that keeps what was refused, or failed at every cloud."""

    def __init__(
        self,
        file: Path,
        boot: int,
        loop: AbstractEventLoop,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises OSError where the file cannot be opened."""
        settings = Log(form="json", file=str(file), queue=A_SECOND_MAX)
        self._file, self._boot, self._now_s = file, boot, now_s
        self._lines = LogQueue(settings, loop, sys.stderr.buffer)
        self._second, self._in_second, self._kept = 0, 0, 0

    def finished(
        self, number: int, explanation: RequestExplanation, _duration_us: int, _forwarded: bytes
    ) -> None:
        if explanation.candidate is not None:
            return
        second = int(self._now_s())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        if self._in_second > A_SECOND_MAX:
            self._lines.dropped += 1
            return
        if self._kept % _LOOK_EVERY == 0:
            self._make_room()
        self._kept += 1
        time_ns, identifier = time.time_ns(), str(RequestId(self._boot, number))
        self._lines.later(lambda: LogLine(time_ns, "refused", as_json(identifier, explanation)))

    def close(self) -> None:
        """Write what has gathered, for two seconds at most. Blocks."""
        self._lines.close()

    def _make_room(self) -> None:
        """Move a full file aside; the next line goes into a new one."""
        try:
            if self._file.stat().st_size > FILE_BYTES_MAX:
                self._file.replace(older(self._file))
        except OSError:
            pass  # it is gone, or its disk fails: the next line is lost and counted
