"""Why a request went where it went: the latest requests of this process, for whoever asks with the
project's own key.

`latest_requests` keeps a fixed number of them in memory; `clauseway usage request` reads older ones
from the journal and the lake.
"""

from typing import Final

from clauseway.gateway.clouds.reported_units import Units
from clauseway.gateway.request.ended_attempts import EndedAttempt
from clauseway.gateway.routing.choices import Candidate, SkippedDeployment
from clauseway.metering import Buyer, Unit


class RequestExplanation:
    """How a request ended. `candidate` is where its answer came from, None where there was none;
    `candidates` are all that could have answered, in the order of `strategy`.

    `event_ns` is the business time; `units` and `charged`, in picodollars, are those of that answer
    alone, and `is_estimated` says that the cloud did not report them; `status` is what the client
    got (0 if it left), `message` the refusal in words, empty where there was an answer, and `refused_by` the terms
    of the agreement that it is about. `streamed`: a stream was asked for, whose first content came
    after `first_content_us`, 0 where none came. `model_there` is the model that the cloud says
    gave the answer. Neither is kept with the latest requests.

    A plain class, because compiled code reads the fields of a plain class directly.
    """

    def __init__(
        self,
        *,
        event_ns: int,
        buyer: Buyer,
        operation: str,
        model: str,
        skipped: tuple[SkippedDeployment, ...],
        attempted: tuple[EndedAttempt, ...],
        status: int,
        message: str,
        refused_by: tuple[str, ...] = (),
        candidate: Candidate | None = None,
        candidates: tuple[Candidate, ...] = (),
        strategy: str = "",
        units: Units = (),
        charged: int = 0,
        is_estimated: bool = False,
        streamed: bool = False,
        first_content_us: int = 0,
        model_there: str = "",
    ) -> None:
        self.event_ns: Final = event_ns
        self.buyer: Final = buyer
        self.operation: Final = operation
        self.model: Final = model
        self.skipped: Final = skipped
        self.attempted: Final = attempted
        self.status: Final = status
        self.message: Final = message
        self.refused_by: Final = refused_by
        self.candidate: Final = candidate
        self.candidates: Final = candidates
        self.strategy: Final = strategy
        self.units: Final = units
        self.charged: Final = charged
        self.is_estimated: Final = is_estimated
        self.streamed: Final = streamed
        self.first_content_us: Final = first_content_us
        self.model_there: Final = model_there


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
