"""Why a request went where it went: the latest requests of this process, for whoever asks with the
project's own key.

Kept in memory, a fixed number of them; `clauseway usage request` reads older ones from the journal and
the lake.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from clauseway.gateway.clouds.usage import Units
from clauseway.gateway.routing.choices import Candidate, Skipped
from clauseway.metering import Buyer, Unit

_KEPT: Final = 10_000  # some hundred bytes each


class FailedAttempt(NamedTuple):
    """An attempt that failed: where, what became of it, how long it took in microseconds, and what
    it used all the same (`charged` in picodollars), as reported or estimated."""

    cloud: str
    deployment: str
    outcome: str
    status: int
    duration_us: int
    product: str
    units: Units
    charged: int
    is_estimated: bool = False

    def __str__(self) -> str:
        return f"{self.cloud} {self.deployment}: {self.outcome}"


class RequestExplanation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a request ended. `candidate` is where its answer came from, None where there was none.

    `event_ns` is the business time; `units` and `charged`, in picodollars, are those of that answer
    alone, and `is_estimated` says that the cloud did not report them; `status` is what the client
    got, `message` the refusal in words, empty where there was an answer.
    """

    event_ns: int
    buyer: Buyer
    operation: str
    model: str
    skipped: tuple[Skipped, ...]
    attempted: tuple[FailedAttempt, ...]
    status: int
    message: str
    candidate: Candidate | None = None
    units: Units = ()
    charged: int = 0
    is_estimated: bool = False


class Explanations:
    """The latest requests by their number, which only rises."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, RequestExplanation] | None] = [None] * _KEPT

    def keep(self, number: int, explanation: RequestExplanation) -> None:
        self._kept[number % _KEPT] = (number, explanation)

    def latest(self) -> Iterator[tuple[int, RequestExplanation]]:
        """Yield those that are kept, with their numbers, the latest first."""
        last = max([kept[0] for kept in self._kept if kept is not None], default=0)
        for number in range(last, max(last - _KEPT, 0), -1):
            kept = self._kept[number % _KEPT]
            if kept is not None and kept[0] == number:
                yield kept

    def find(self, number: int) -> RequestExplanation | None:
        kept = self._kept[number % _KEPT]
        return kept[1] if kept is not None and kept[0] == number else None


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
        "attempted": [_shown(attempted) for attempted in explanation.attempted],
        "passed_over": [skipped._asdict() for skipped in explanation.skipped],
        "usage": _by_name(explanation.units),
        "usage_estimated": explanation.is_estimated,
        "cost": _cost(
            explanation.charged + sum([attempted.charged for attempted in explanation.attempted])
        ),
    }


def _shown(attempted: FailedAttempt) -> dict[str, object]:
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
