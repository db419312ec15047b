"""Faults on demand: a cloud's misbehaviour, for a number of requests.

A fault hits the requests at which a model works (chat completions, responses, embeddings, images,
audio, moderations), before the cloud reads them; with `endpoint` (`/responses`, `/files`, …) only
the requests of that endpoint. Set one at the start with `--fault '{"cloud": "azure",
"kind": "status", "status": 503, "count": 2}'`, while running with `POST /sandbox/faults` at the
cloud's port (`DELETE` ends all faults), or for one request with the header `x-sandbox-fault`, which
goes first.

| kind | what happens |
|---|---|
| `status` | that `status`, or that `family`, in the cloud's own words; `retry_after_ms` is in its headers |
| `stall` | nothing for `seconds`, before the first byte or after `events` events of a stream; then it goes on |
| `pace` | `seconds` before each event of a stream |
| `drip` | `bytes` of the body at a time, `seconds` before each |
| `cut-after-events` | a stream's connection breaks after `events` events, an answer in one piece inside its body |
| `cut-at-byte` | the connection breaks after `bytes` bytes of the body |
| `error-event` | a stream's `events` first events, then an event with the error `family`, then the end |
| `drop` | the connection is closed without a byte |
| `redirect` | `status` (307) to `location`, or to the request's own address |
| `garbage` | bytes that are not HTTP, then the end |
| `wrong-length` | a `content-length` that is `bytes` more than the body (or less, where negative), then the end |
| `zstd-frames` | each event of a stream, or the whole body, as a Zstandard frame of its own, though nobody asked |

Azure's preamble is the first event of its streams: `error-event` with `events` 1 is an error after
it.

| family | status | what it is |
|---|---|---|
| `rate_limit_exceeded` | 429 | too many requests or tokens a minute |
| `insufficient_quota` | 429 | the account's quota is used up; waiting does not help |
| `credit_balance_exhausted` | 429 | likewise: prepaid credit |
| `organization_spend_limit_exceeded` | 429 | likewise: the organisation's own limit |
| `slow_down` | 429 | traffic that grew too quickly |
| `no_capacity` | 429 | Azure has no room left |
| `server_is_overloaded` | 503 | the whole service is |
| `expired_token` | 401 | a credential that was good until now |
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

FAMILIES: Final[Mapping[str, int]] = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "credit_balance_exhausted": 429,
    "organization_spend_limit_exceeded": 429,
    "slow_down": 429,
    "no_capacity": 429,
    "server_is_overloaded": 503,
    "expired_token": 401,
}
_STATUS_OTHERWISE: Final = 503
_REDIRECT_OTHERWISE: Final = 307


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule. `count` requests are hit; null means every request until the rules are deleted."""

    kind: Literal[
        "status",
        "stall",
        "pace",
        "drip",
        "cut-after-events",
        "cut-at-byte",
        "error-event",
        "drop",
        "redirect",
        "garbage",
        "wrong-length",
        "zstd-frames",
    ]
    status: int | None = None
    family: Literal[
        "",
        "rate_limit_exceeded",
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "slow_down",
        "no_capacity",
        "server_is_overloaded",
        "expired_token",
    ] = ""
    retry_after_ms: int = 0
    seconds: float = 0.0
    events: int = 0
    bytes: int = 0
    location: str = ""
    endpoint: str = ""
    count: int | None = 1

    @property
    def outage(self) -> "Outage":
        if self.kind == "redirect":
            return Outage(self.status or _REDIRECT_OTHERWISE)
        return Outage(self.status or FAMILIES.get(self.family, _STATUS_OTHERWISE), self.family)


class StartFault(Fault, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule given at the start, where the cloud must be named."""

    cloud: str


class Outage(msgspec.Struct, frozen=True):
    """The error that a cloud answers with. `family` is empty where the status says all."""

    status: int
    family: str = ""


class Faults:
    """The rules of one cloud, in the order given; the first that has requests left applies."""

    def __init__(self) -> None:
        self._left: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        self._left.append((fault, fault.count))

    def clear(self) -> None:
        self._left.clear()

    def take(self, endpoint: str, generating: bool) -> Fault | None:
        """Return the fault for a request at `endpoint` and count the request against it."""
        for index, (fault, left) in enumerate(self._left):
            if not hits(fault, endpoint, generating):
                continue
            if left is not None and left <= 1:
                self._left.pop(index)
            elif left is not None:
                self._left[index] = (fault, left - 1)
            return fault
        return None

    def pending(self) -> list[dict[str, object]]:
        """Return the rules, each with the number of requests that it will still hit."""
        return [{**msgspec.structs.asdict(fault), "count": left} for fault, left in self._left]


def hits(fault: Fault, endpoint: str, generating: bool) -> bool:
    """Return whether a fault is for this endpoint: the endpoint that it names, else any at which a
    model works."""
    if not fault.endpoint:
        return generating
    return endpoint == fault.endpoint or endpoint.startswith(f"{fault.endpoint}/")


class Pause(msgspec.Struct, frozen=True):
    """Wait so many seconds."""

    seconds: float


class Break(msgspec.Struct, frozen=True):
    """Close the connection."""


def play(
    parts: Sequence[bytes], streamed: bool, fault: Fault | None, error: bytes
) -> Iterator[bytes | Pause | Break]:
    """Yield a body's parts with the fault played on them: a stream's events, or a whole answer as
    one part.

    `error` is the error event of a stream.
    """
    if fault is None:
        yield from parts
        return
    match fault.kind:
        case "stall":
            yield from parts[: fault.events]
            yield Pause(fault.seconds)
            yield from parts[fault.events :]
        case "pace":
            for part in parts:
                yield Pause(fault.seconds)
                yield part
        case "drip":
            body, step = b"".join(parts), fault.bytes or 1
            for at in range(0, len(body), step):
                yield Pause(fault.seconds)
                yield body[at : at + step]
        case "cut-after-events":
            # An answer in one piece has no events: it breaks in its middle.
            yield from parts[: fault.events] if streamed else (parts[0][: len(parts[0]) // 2],)
            yield Break()
        case "cut-at-byte":
            yield b"".join(parts)[: fault.bytes]
            yield Break()
        case "error-event":
            yield from parts[: fault.events]
            yield error
        case _:
            yield from parts
