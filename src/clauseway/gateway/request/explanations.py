"""Why a request went where it went: the latest requests of this process, for whoever asks with the
project's own key.

Kept in memory, a fixed number of them; `clauseway usage request` reads older ones from the journal and
the lake.
"""

from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeVar

import msgspec

from clauseway.gateway.clouds.usage import Units
from clauseway.gateway.routing.choices import Candidate, SkippedDeployment
from clauseway.metering import Buyer, Unit

_KEPT: Final = 10_000
_SHARED_MAX: Final = 256

T = TypeVar("T")


class EndedAttempt(NamedTuple):
    """An attempt that failed or was called off: where, what became of it, how long it took in
    microseconds, and what it used all the same (`charged` in picodollars), as reported or estimated.

    `ordinal` counts the attempts of a request from 1.
    """

    cloud: str
    deployment: str
    outcome: str
    status: int
    duration_us: int
    product: str
    units: Units
    charged: int
    is_estimated: bool = False
    ordinal: int = 1
    called_off: bool = False  # by the gateway: no failure of the cloud

    def __str__(self) -> str:
        return f"{self.cloud} {self.deployment}: {self.outcome}"


class RequestExplanation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a request ended. `candidate` is where its answer came from, None where there was none;
    `candidates` are all that could have answered, in the order of `strategy`.

    `event_ns` is the business time; `units` and `charged`, in picodollars, are those of that answer
    alone, and `is_estimated` says that the cloud did not report them; `status` is what the client
    got, `message` the refusal in words, empty where there was an answer, and `refused_by` the terms
    of the agreement that it is about.
    """

    event_ns: int
    buyer: Buyer
    operation: str
    model: str
    skipped: tuple[SkippedDeployment, ...]
    attempted: tuple[EndedAttempt, ...]
    status: int
    message: str
    refused_by: tuple[str, ...] = ()
    candidate: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()
    strategy: str = ""
    units: Units = ()
    charged: int = 0
    is_estimated: bool = False


class _Measured(NamedTuple):
    """The figures of a request, which nearly always differ from those of every other."""

    units: Units
    charged: int
    durations_us: tuple[int, ...]  # of its attempts that failed


# As JSON, where a charge has no length.
_pack: Final = msgspec.json.Encoder().encode
_unpack_measured: Final = msgspec.json.Decoder(_Measured).decode
_unpack_attempts: Final = msgspec.json.Decoder(tuple[EndedAttempt, ...]).decode


class Explanations:
    """The latest requests by their number, which only rises.

    Each field is a column, so that neighbours share cache lines. A text that many requests have is
    kept once, and so are failed attempts that differ in their durations alone; the figures are
    packed, so that a request adds one object: whole records would take several times the memory.
    """

    def __init__(self) -> None:
        self._numbers = array("Q", bytes(8 * _KEPT))
        self._events_ns = array("Q", bytes(8 * _KEPT))
        self._statuses = array("H", bytes(2 * _KEPT))
        self._estimated = bytearray(_KEPT)
        self._measured: list[bytes] = [b""] * _KEPT
        self._operations: list[str] = [""] * _KEPT
        self._models: list[str] = [""] * _KEPT
        self._messages: list[str] = [""] * _KEPT
        self._buyers: list[Buyer | None] = [None] * _KEPT
        self._candidate: list[Candidate | None] = [None] * _KEPT
        self._candidates: list[tuple[Candidate, ...]] = [()] * _KEPT
        self._strategies: list[str] = [""] * _KEPT
        self._skipped: list[tuple[SkippedDeployment, ...]] = [()] * _KEPT
        self._attempted: list[bytes] = [b""] * _KEPT
        self._refused_by: list[tuple[str, ...]] = [()] * _KEPT
        self._texts: dict[str, str] = {}
        self._attempts: dict[bytes, bytes] = {}

    def keep(self, number: int, explanation: RequestExplanation) -> None:
        # A ring: each request takes the place of the one `_KEPT` before it.
        place = number % _KEPT
        self._numbers[place] = number
        self._events_ns[place] = explanation.event_ns
        self._statuses[place] = explanation.status
        self._estimated[place] = explanation.is_estimated
        attempted = explanation.attempted
        durations_us = tuple([attempt.duration_us for attempt in attempted])
        measured = _Measured(explanation.units, explanation.charged, durations_us)
        self._measured[place] = _pack(measured)
        self._operations[place] = explanation.operation
        self._models[place] = _shared(self._texts, explanation.model)
        self._messages[place] = _shared(self._texts, explanation.message)
        self._buyers[place] = explanation.buyer
        self._candidate[place] = explanation.candidate
        self._candidates[place] = explanation.candidates
        self._strategies[place] = explanation.strategy
        self._skipped[place] = explanation.skipped
        self._attempted[place] = _shared(self._attempts, _without_durations(attempted))
        self._refused_by[place] = explanation.refused_by

    def latest(self) -> Iterator[tuple[int, RequestExplanation]]:
        """Yield those that are kept, with their numbers, the latest first."""
        last = max(self._numbers)
        for number in range(last, max(last - _KEPT, 0), -1):
            kept = self.find(number)
            if kept is not None:
                yield number, kept

    def find(self, number: int) -> RequestExplanation | None:
        place = number % _KEPT
        buyer = self._buyers[place]
        # The place may hold a later request, or none yet.
        if self._numbers[place] != number or buyer is None:
            return None
        measured = _unpack_measured(self._measured[place])
        return RequestExplanation(
            event_ns=self._events_ns[place],
            buyer=buyer,
            operation=self._operations[place],
            model=self._models[place],
            skipped=self._skipped[place],
            attempted=_with_durations(self._attempted[place], measured.durations_us),
            status=self._statuses[place],
            message=self._messages[place],
            refused_by=self._refused_by[place],
            candidate=self._candidate[place],
            candidates=self._candidates[place],
            strategy=self._strategies[place],
            units=measured.units,
            charged=measured.charged,
            is_estimated=bool(self._estimated[place]),
        )


def _shared(kept: dict[T, T], value: T) -> T:
    """Return the equal value that a recent request already keeps, else this one."""
    if len(kept) > _SHARED_MAX:
        kept.clear()  # clients write the names of models: they may all differ
    return kept.setdefault(value, value)


def _without_durations(attempted: tuple[EndedAttempt, ...]) -> bytes:
    """Pack failed attempts, all but their durations; empty if there are none."""
    return _pack([attempt._replace(duration_us=0) for attempt in attempted]) if attempted else b""


def _with_durations(packed: bytes, durations_us: tuple[int, ...]) -> tuple[EndedAttempt, ...]:
    attempted = _unpack_attempts(packed) if packed else ()
    return tuple(
        [
            attempt._replace(duration_us=duration_us)
            for attempt, duration_us in zip(attempted, durations_us, strict=True)
        ]
    )


def as_json(identifier: str, explanation: RequestExplanation) -> dict[str, object]:
    """A request as `GET /clauseway/v1/requests/ID` shows it."""
    candidate = explanation.candidate
    label = candidate.target.deployment if candidate is not None else None
    return {
        "id": identifier,
        "object": "clauseway.request",
        "operation": explanation.operation,
        "model": explanation.model,
        "organisation": explanation.buyer.organisation,
        "project": explanation.buyer.project,
        "key": explanation.buyer.key_id,
        "event_ns": str(explanation.event_ns),
        "status": explanation.status,
        "message": explanation.message,
        "served_by": label,
        "decision": candidate.decision if candidate is not None else None,
        "outcome": candidate.outcome if candidate is not None else None,
        "terms": candidate.terms if candidate is not None else explanation.refused_by,
        "strategy": explanation.strategy,
        "candidates": [
            _with_prices(candidate, explanation) for candidate in explanation.candidates
        ],
        "attempted": [_shown(attempted) for attempted in explanation.attempted],
        "skipped": [skipped._asdict() for skipped in explanation.skipped],
        "usage": _by_name(explanation.units),
        "usage_estimated": explanation.is_estimated,
        "cost": _cost(
            explanation.charged + sum([attempted.charged for attempted in explanation.attempted])
        ),
    }


def _with_prices(candidate: Candidate, explanation: RequestExplanation) -> dict[str, object]:
    """Show a candidate with its plain prices at the time of the request."""
    target = candidate.target
    rates = target.plain_rates(explanation.operation, explanation.buyer, explanation.event_ns)
    return {
        "cloud": target.cloud,
        "deployment": target.name,
        "usd_per_million_tokens": {
            "input": _per_million(rates.input),
            "cached_input": _per_million(rates.cached_input),
            "output": _per_million(rates.output),
        },
    }


def _per_million(picodollars: int) -> str:
    """Return the exact price in dollars of a million, given the price of one."""
    whole, rest = divmod(picodollars, 10**6)
    return f"{whole}.{rest:06d}"


def _shown(attempted: EndedAttempt) -> dict[str, object]:
    """Show a failed attempt. Its usage is in the request's cost, too."""
    shown: dict[str, object] = {
        "cloud": attempted.cloud,
        "deployment": attempted.deployment,
        "outcome": attempted.outcome,
        "status": attempted.status,
        "duration_us": attempted.duration_us,
    }
    if attempted.units:
        shown["usage"], shown["usage_estimated"] = _by_name(attempted.units), attempted.is_estimated
        shown["cost"] = _cost(attempted.charged)
    return shown


def _by_name(units: Units) -> dict[str, int]:
    return {Unit(unit).column: count for unit, count in units}


def _cost(picodollars: int) -> dict[str, object]:
    return {"amount": usd(picodollars), "currency": "USD", "provisional": True}


def usd(picodollars: int) -> str:
    """An exact amount in dollars."""
    whole, rest = divmod(picodollars, 10**12)
    return f"{whole}.{rest:012d}"
