"""A gateway's own report, as its control socket gives it: records, and the sum of several workers.

Knows the answer of `GET /glance`; must not know agreements or homes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import msgspec

# Requests, keys and budgets in a list of the screen.
SHOWN = 20


class RoomGlance(msgspec.Struct, frozen=True, kw_only=True):
    """The rest of a deployment's quota; by the minute 0 where there is no limit."""

    requests: int
    requests_per_minute: int
    tokens: int
    tokens_per_minute: int


class DeploymentGlance(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment's model, as a gateway tells of it. `failures` are counted by the status that the
    cloud answered, 0 where it answered none."""

    deployment: str
    cloud: str
    region: str
    seller: str
    product: str
    state: str
    why: str
    requests: int
    failures: Mapping[str, int]
    room: RoomGlance | None
    buckets: tuple[int, ...]
    terms: tuple[str, ...]


class RefusalGlance(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal of the present plan: `market` is seller, product and segment, between bars."""

    market: str
    cloud: str
    outcome: str
    message: str
    terms: tuple[str, ...]


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's answer to `GET /glance`; of several workers, their sums."""

    requests: int = 0
    statuses: Mapping[str, int] = {}
    buckets: tuple[int, ...] = ()
    refusals: Mapping[str, int] = {}
    deployments: tuple[DeploymentGlance, ...] = ()
    ruled_out: tuple[RefusalGlance, ...] = ()
    latest: tuple[dict[str, Any], ...] = ()
    not_served: tuple[dict[str, Any], ...] = ()


GLANCE = msgspec.json.Decoder(Glance)


def together(glances: Sequence[Glance]) -> Glance:
    """Return the workers of one gateway as one: they serve by the same plan."""
    named: dict[tuple[str, str], list[DeploymentGlance]] = {}
    for glance in glances:
        for part in glance.deployments:
            named.setdefault((part.deployment, part.product), []).append(part)
    return Glance(
        requests=sum(glance.requests for glance in glances),
        statuses=_summed(glance.statuses for glance in glances),
        buckets=_added(glance.buckets for glance in glances),
        refusals=_summed(glance.refusals for glance in glances),
        deployments=tuple(map(_one_deployment, named.values())),
        ruled_out=glances[0].ruled_out,
        latest=newest(glance.latest for glance in glances),
        not_served=newest(glance.not_served for glance in glances),
    )


def _one_deployment(parts: Sequence[DeploymentGlance]) -> DeploymentGlance:
    # Away at one worker is worth a look, whatever the others say.
    first = next((part for part in parts if part.state != "well"), parts[0])
    return msgspec.structs.replace(
        first,
        requests=sum(part.requests for part in parts),
        failures=_summed(part.failures for part in parts),
        room=_summed_room([part.room for part in parts if part.room is not None]),
        buckets=_added(part.buckets for part in parts),
    )


def _summed_room(rooms: Sequence[RoomGlance]) -> RoomGlance | None:
    """Return the room of all workers: each has a part of the quota for itself."""
    if not rooms:
        return None
    return RoomGlance(
        requests=sum(room.requests for room in rooms),
        requests_per_minute=sum(room.requests_per_minute for room in rooms),
        tokens=sum(room.tokens for room in rooms),
        tokens_per_minute=sum(room.tokens_per_minute for room in rooms),
    )


def _summed(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in several:
        total.update(counts)
    return dict(total)


def _added(several: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*several, strict=True)))


def newest(several: Iterable[Sequence[dict[str, Any]]]) -> tuple[dict[str, Any], ...]:
    """Return the latest requests of several lists, the newest first."""
    views = [view for views in several for view in views]
    return tuple(sorted(views, key=lambda view: -int(view["event_ns"]))[:SHOWN])


def percentile_ms(buckets: Sequence[int], part: float) -> float | None:
    """Return the time within which a part of the requests ended, to the next power of two.

    Bucket `n` holds durations of `n` bits in microseconds. None where nothing ended.
    """
    total = sum(buckets)
    reached = (bits for bits, upto in enumerate(accumulate(buckets)) if upto >= total * part)
    return (1 << next(reached)) / 1000 if total else None
