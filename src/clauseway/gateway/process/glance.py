"""The process at a glance, for the pages: its load, each deployment with the terms that permit it,
what is refused, and the latest requests. Made when it is asked for; no request counts for it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from clauseway.gateway.plan import Route
from clauseway.gateway.request.counters import BUCKETS, Counters, CountersKey
from clauseway.gateway.request.explanations import as_json
from clauseway.gateway.request.shared import Shared
from clauseway.gateway.routing.targets import CallTarget
from clauseway.metering import RequestId

# Of the latest requests, and of those among them that were refused or failed, so many are shown.
_SHOWN = 20
_LOOKED_THROUGH = 2_000
# From this status on the client got no answer of a cloud.
_FAILED = 400


def glance(shared: Shared) -> dict[str, object]:
    """Return the glance as the control socket gives it to the pages."""
    routes = _routes(shared)
    counts = shared.counts
    return {
        "requests": counts.ended,
        "statuses": _statuses(counts.by_outcome),
        "buckets": _buckets(counts.by_outcome.values()),
        "open": shared.spool.open_requests,
        "refusals": dict(counts.refusals),
        "deployments": list(_deployments(shared, routes)),
        "ruled_out": list(_ruled_out(routes)),
        "latest": _latest(shared, 0),
        "not_served": _latest(shared, _FAILED),
    }


def request_named(shared: Shared, named: str) -> dict[str, object]:
    """Return a request by its id; empty where this process does not keep it any more."""
    try:
        identity = RequestId.parse(named)
    except ValueError:
        return {}
    kept = shared.explanations.find(identity.number) if identity.boot == shared.boot else None
    return as_json(named, kept) if kept is not None else {}


def _routes(shared: Shared) -> Mapping[str, Route]:
    """Return the routes of the stretch in which the business clock stands."""
    now_ns = shared.clock()
    routes: Mapping[str, Route] = {}
    for epoch in shared.tables.plan.epochs:
        if epoch.begin_ns <= now_ns:
            routes = epoch.routes
    return routes


def _statuses(by_outcome: Mapping[CountersKey, Counters]) -> dict[str, int]:
    statuses: dict[str, int] = {}
    for (_, _, _, status), counters in list(by_outcome.items()):
        statuses[str(status)] = statuses.get(str(status), 0) + counters.count
    return statuses


def _buckets(several: Iterable[Counters]) -> list[int]:
    """Return how many requests had a duration of each number of bits, in microseconds."""
    summed = [0] * BUCKETS
    for counters in list(several):
        for at, count in enumerate(counters.buckets):
            summed[at] += count
    return summed


def _deployments(shared: Shared, routes: Mapping[str, Route]) -> Iterator[dict[str, object]]:
    """Yield each deployment's model with its state, its requests, and the terms that permit it."""
    tables, counts, now_s = shared.tables, shared.counts, shared.wheel.now_s
    terms: dict[int, tuple[str, ...]] = {}
    for route in routes.values():
        for position, ruling in route.candidates:
            terms.setdefault(position, tables.plan.rulings[ruling].terms)
    for at, target in enumerate(tables.targets):
        own = [
            counters
            for (name, product, _, _), counters in list(counts.by_outcome.items())
            if (name, product) == (target.name, target.product)
        ]
        label = target.deployment
        state, why = _state(target, now_s, is_permitted=at in terms)
        yield {
            "deployment": target.name,
            "cloud": label.cloud,
            "region": label.region,
            "seller": label.seller,
            "product": target.product,
            "state": state,
            "why": why,
            "requests": sum(counters.count for counters in own),
            "failures": {
                str(status): count
                for (name, product, status), count in list(counts.failures.items())
                if (name, product) == (target.name, target.product)
            },
            "room": _room(target, now_s),
            "buckets": _buckets(own),
            "terms": terms.get(at, ()),
        }


def _room(target: CallTarget, now_s: float) -> dict[str, int] | None:
    """Return what the quota of a deployment's model leaves at this worker; None where it has no
    quota. 0 a minute: that unit has no quota."""
    if target.quota is None:
        return None
    requests, tokens = target.quota.left(now_s)
    return {
        "requests": requests,
        "requests_per_minute": target.quota.requests,
        "tokens": tokens,
        "tokens_per_minute": target.quota.tokens,
    }


def _state(target: CallTarget, now_s: float, *, is_permitted: bool) -> tuple[str, str]:
    """Return the state of a deployment's model, and the reason of a failure, empty otherwise."""
    if target.credential is None:
        return "without a credential", ""
    if not is_permitted:
        return "not permitted", ""
    if target.health.is_away(now_s):
        return "left alone", target.health.why
    return ("failing", failing) if (failing := target.health.failing) else ("well", "")


def _ruled_out(routes: Mapping[str, Route]) -> Iterator[dict[str, object]]:
    """Yield what the agreement refuses now, by seller, product and segment."""
    for market, route in routes.items():
        for refusal in route.refusals:
            yield {
                "market": market,
                "cloud": refusal.cloud,
                "outcome": refusal.outcome,
                "message": refusal.message,
                "terms": refusal.terms,
            }


def _latest(shared: Shared, from_status: int) -> list[dict[str, object]]:
    kept = islice(shared.explanations.latest(), _LOOKED_THROUGH)
    wanted = (
        (number, explanation) for number, explanation in kept if explanation.status >= from_status
    )
    return [
        as_json(str(RequestId(shared.boot, number)), explanation)
        for number, explanation in islice(wanted, _SHOWN)
    ]
