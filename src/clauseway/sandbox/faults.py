"""Faults on demand: what a cloud does instead of answering, for as many requests as told.

A fault hits the requests for chat completions only, before the cloud reads them. Set one at the start with
`--fault '{"cloud": "azure", "kind": "status", "status": 503, "count": 2}'`, or while running with
`POST /sandbox/faults` at the port of the cloud that shall fail (`DELETE` ends them all).

| kind | what happens |
|---|---|
| `status` | that status in the cloud's own error shape; `retry_after_ms` becomes `retry-after-ms` and `retry-after` |
| `stall` | nothing for `seconds`, before the first byte or after `events` events of a stream; then it goes on |
| `pace` | `seconds` before each event of a stream |
| `cut-after-events` | a stream's connection breaks after `events` events, an answer in one piece inside its body |
| `drop` | the connection is closed without a byte |
"""

from typing import Literal

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. `count` requests are hit; null means every request until the rules are deleted."""

    kind: Literal["status", "stall", "pace", "cut-after-events", "drop"]
    status: int = 503
    retry_after_ms: int = 0
    seconds: float = 0.0
    events: int = 0
    count: int | None = 1


class StartFault(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule given at the start, where the cloud must be named."""

    cloud: str


class Faults:
    """The rules of one cloud, in the order given; the first with requests left to hit is the one that hits."""

    def __init__(self) -> None:
        self._left: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        self._left.append((fault, fault.count))

    def clear(self) -> None:
        self._left.clear()

    def take(self) -> Fault | None:
        """The fault that hits the next request, used up by one."""
        if not self._left:
            return None
        fault, left = self._left[0]
        if left is not None and left <= 1:
            self._left.pop(0)
        elif left is not None:
            self._left[0] = (fault, left - 1)
        return fault

    def pending(self) -> list[dict[str, object]]:
        """The rules with the requests that each has left to hit."""
        return [{**msgspec.structs.asdict(fault), "count": left} for fault, left in self._left]
